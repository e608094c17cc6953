//! What strangers had us keep, in this process: weighed as it is stored, each network with a budget and all of them with a
//! share of their own, in which the oldest give way.

use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::ephemeral::{Fill, Start};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A record and what is known of it.
struct Record {
    value: String,
    network: String,
    weight: i64,
    /// Its place in the order of their beginnings.
    place: u64,
    expires_at: NumericDate,
}

/// What one network has here.
#[derive(Default)]
struct Network {
    weight: i64,
    /// The places of those that give way first.
    yielding: BTreeSet<u64>,
    /// The places of those that give way only when no other does.
    staying: BTreeSet<u64>,
}

/// The share.
#[derive(Default)]
pub(super) struct Started {
    records: HashMap<String, Record>,
    /// Every record by its place.
    order: BTreeMap<u64, String>,
    /// The places of those that give way first.
    yielding: BTreeSet<u64>,
    networks: HashMap<String, Network>,
    total: i64,
    next_place: u64,
}

impl Started {
    pub(super) fn start(&mut self, start: &Start<'_>, value: String, now: NumericDate) -> Result<(), StoreError> {
        self.expire(now);
        let weight = Start::weight(&value);
        if weight > start.network_budget || weight > start.share {
            return Err(StoreError::Full);
        }
        loop {
            let own = self.networks.get(start.network);
            if own.map_or(0, |own| own.weight) + weight <= start.network_budget {
                break;
            }
            let oldest = own.and_then(|own| own.yielding.first().or_else(|| own.staying.first()).copied());
            self.remove(oldest.ok_or(StoreError::Full)?);
        }
        while self.total + weight > start.share {
            let oldest = self.yielding.first().or_else(|| self.order.keys().next()).copied();
            self.remove(oldest.ok_or(StoreError::Full)?);
        }
        let place = self.next_place;
        self.next_place += 1;
        let record =
            Record { value, network: start.network.to_owned(), weight, place, expires_at: now.plus(start.ttl) };
        self.order.insert(place, start.id.to_owned());
        self.records.insert(start.id.to_owned(), record);
        self.weigh(start.network, weight);
        self.may_yield(start.network, place);
        Ok(())
    }

    pub(super) fn get(&self, id: &str, now: NumericDate) -> Option<String> {
        self.records.get(id).filter(|record| !record.expires_at.is_past(now)).map(|record| record.value.clone())
    }

    pub(super) fn change(
        &mut self,
        id: &str,
        expected: &str,
        value: String,
        is_typed_into: bool,
        now: NumericDate,
    ) -> bool {
        if self.get(id, now).is_none_or(|current| current != expected) {
            return false;
        }
        let place = self.rewrite(id, value);
        if is_typed_into && let Some((network, place)) = place {
            self.stays(&network, place);
        }
        true
    }

    pub(super) fn take(&mut self, id: &str, now: NumericDate) -> Option<String> {
        let value = self.get(id, now)?;
        if let Some((network, place)) = self.rewrite(id, String::new()) {
            self.may_yield(&network, place);
        }
        Some(value)
    }

    pub(super) const fn fill(&self, share: i64) -> Fill {
        Fill { stored: self.total, most: share }
    }

    /// Puts another value into a record and weighs it anew; gives where it is.
    fn rewrite(&mut self, id: &str, value: String) -> Option<(String, u64)> {
        let record = self.records.get_mut(id)?;
        let weight = Start::weight(&value);
        let (more, network, place) = (weight - record.weight, record.network.clone(), record.place);
        record.value = value;
        record.weight = weight;
        self.weigh(&network, more);
        Some((network, place))
    }

    /// All live equally long, so the oldest expire first.
    fn expire(&mut self, now: NumericDate) {
        while let Some((&place, id)) = self.order.first_key_value() {
            if self.records.get(id).is_some_and(|record| !record.expires_at.is_past(now)) {
                break;
            }
            self.remove(place);
        }
    }

    fn remove(&mut self, place: u64) {
        let Some(record) = self.order.remove(&place).and_then(|id| self.records.remove(&id)) else { return };
        self.yielding.remove(&place);
        if let Some(own) = self.networks.get_mut(&record.network) {
            own.yielding.remove(&place);
            own.staying.remove(&place);
        }
        self.weigh(&record.network, -record.weight);
    }

    fn may_yield(&mut self, network: &str, place: u64) {
        self.yielding.insert(place);
        let own = self.networks.entry(network.to_owned()).or_default();
        own.staying.remove(&place);
        own.yielding.insert(place);
    }

    fn stays(&mut self, network: &str, place: u64) {
        self.yielding.remove(&place);
        if let Some(own) = self.networks.get_mut(network) {
            own.yielding.remove(&place);
            own.staying.insert(place);
        }
    }

    fn weigh(&mut self, network: &str, more: i64) {
        self.total += more;
        let own = self.networks.entry(network.to_owned()).or_default();
        own.weight += more;
        if own.weight <= 0 {
            self.networks.remove(network);
        }
    }
}
