//! Counters in this process, several to a record, with a budget of bytes of their own: what an attacker counts up takes
//! nothing from tokens and sessions.

use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::ephemeral::{Counted, Tallied, Tally};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// The most bytes that all of them may have together.
pub(super) const MAX_BYTES: usize = 32 * 1024 * 1024;
/// What a record and a field weigh beside their names.
const RECORD: usize = 256;
const FIELD: usize = 96;

/// From so many fields on, those whose window is over are thrown out of a record that lives on.
const MANY_FIELDS: usize = 1024;

#[derive(Default)]
struct Record {
    /// How many, and until when they count.
    fields: HashMap<String, (i64, NumericDate)>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Tallies {
    records: HashMap<String, Record>,
    expiries: BinaryHeap<Reverse<(NumericDate, String)>>,
    bytes: usize,
}

impl Tallies {
    pub(super) fn tally(&mut self, key: &str, tallies: &[Tally<'_>], now: NumericDate) -> Result<Tallied, StoreError> {
        self.expire(now);
        let known = self.records.get(key);
        let mut counted = Vec::with_capacity(tallies.len());
        let mut bytes = if known.is_some() { 0 } else { key.len() * 2 + RECORD };
        for (index, tally) in tallies.iter().enumerate() {
            let field = known.and_then(|record| record.fields.get(tally.field));
            let live = field.copied().filter(|(_, ends_at)| !ends_at.is_past(now));
            let (count, ends_at) = live.unwrap_or((0, now.plus(tally.window)));
            if tally.amount > 0 && count + tally.amount > tally.most {
                return Ok(Tallied::Over { index, ends_in: ends_at.since(now).max(1) });
            }
            bytes += if field.is_some() { 0 } else { tally.field.len() + FIELD };
            counted.push(((count + tally.amount).max(0), ends_at));
        }
        if self.bytes + bytes > MAX_BYTES {
            return Err(StoreError::Full);
        }
        self.bytes += bytes;
        if !self.records.contains_key(key) {
            let ends_at = counted.iter().map(|(_, ends_at)| *ends_at).max().unwrap_or(now);
            self.expiries.push(Reverse((ends_at, key.to_owned())));
        }
        let record = self.records.entry(key.to_owned()).or_default();
        for (tally, (count, ends_at)) in tallies.iter().zip(&counted) {
            record.fields.insert(tally.field.to_owned(), (*count, *ends_at));
        }
        if record.fields.len() > MANY_FIELDS {
            let before = weight(key, record);
            record.fields.retain(|_, (_, ends_at)| !ends_at.is_past(now));
            self.bytes -= before - weight(key, record);
        }
        let counted = counted.into_iter().map(|(count, ends_at)| Counted { count, ends_in: ends_at.since(now) });
        Ok(Tallied::Counted(counted.collect()))
    }

    /// How many a field counts now.
    pub(super) fn read(&self, key: &str, field: &str, now: NumericDate) -> i64 {
        let field = self.records.get(key).and_then(|record| record.fields.get(field));
        field.filter(|(_, ends_at)| !ends_at.is_past(now)).map_or(0, |(count, _)| *count)
    }

    pub(super) fn clear(&mut self, key: &str) {
        if let Some(record) = self.records.remove(key) {
            self.bytes -= weight(key, &record);
        }
    }

    fn expire(&mut self, now: NumericDate) {
        while let Some(Reverse((due, key))) = self.expiries.pop() {
            if !due.is_past(now) {
                self.expiries.push(Reverse((due, key)));
                break;
            }
            let ends_at = self.records.get(&key).and_then(|record| record.fields.values().map(|(_, at)| *at).max());
            match ends_at.filter(|at| !at.is_past(now)) {
                Some(later) => self.expiries.push(Reverse((later, key))),
                None => self.clear(&key),
            }
        }
    }
}

fn weight(key: &str, record: &Record) -> usize {
    key.len() * 2 + RECORD + record.fields.keys().map(|field| field.len() + FIELD).sum::<usize>()
}
