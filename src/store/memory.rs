//! The short-lived store inside this process: bounded, expiring, lost with the process.
//!
//! When it is full it refuses; what is live is never evicted. Expired entries go as new ones come. What strangers had us
//! keep (`started`) and what they count up (`tallies`) have shares of their own, and cannot fill that of tokens and sessions.

mod started;
mod tallies;

use crate::ambient::Clock;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::ephemeral::{Fill, Start, Tallied, Tally};
use started::Started;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tallies::Tallies;

/// The most entries it holds.
const MAX_ENTRIES: usize = 500_000;
/// The most bytes that tokens, sessions and codes may have together.
const MAX_BYTES: usize = 160 * 1024 * 1024;
/// What an entry weighs beside its value and its key, which is also in the list of expiries.
const ENTRY: usize = 128;
/// Room beyond `MAX_BYTES` for the markers that end something: a full store must not keep a user signed in.
const RESERVE: usize = 8 * 1024 * 1024;
/// What must be free for the store to be called well.
const BREATH: usize = 64 * 1024;

const fn weight(key: &str, value: &str) -> usize {
    2 * key.len() + value.len() + ENTRY
}

struct Entry {
    value: String,
    expires_at: NumericDate,
}

#[derive(Default)]
struct State {
    entries: HashMap<String, Entry>,
    /// When which key expires; entries that were replaced since leave a stale line behind.
    expiries: BinaryHeap<Reverse<(NumericDate, String)>>,
    bytes: usize,
}

pub(super) struct Memory {
    state: Mutex<State>,
    started: Mutex<Started>,
    tallies: Mutex<Tallies>,
    clock: Clock,
}

/// What a panic left behind is as good as any: no step here leaves anything half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    pub(super) fn new(clock: Clock) -> Self {
        Self { state: Mutex::default(), started: Mutex::default(), tallies: Mutex::default(), clock }
    }

    fn state(&self) -> (MutexGuard<'_, State>, NumericDate) {
        (locked(&self.state), self.clock.now())
    }

    pub(super) fn put(&self, key: String, value: String, ttl: i64) -> Result<(), StoreError> {
        let (mut state, now) = self.state();
        state.insert(key, value, now.plus(ttl), now)
    }

    pub(super) fn get(&self, key: &str) -> Option<String> {
        let (state, now) = self.state();
        state.live(key, now).map(|entry| entry.value.clone())
    }

    pub(super) fn spend(&self, key: &str, ttl: i64) -> Result<Option<String>, StoreError> {
        let (mut state, now) = self.state();
        let Some(value) = state.live(key, now).map(|entry| entry.value.clone()) else { return Ok(None) };
        state.insert(key.to_owned(), String::new(), now.plus(ttl), now)?;
        Ok(Some(value))
    }

    pub(super) fn replace(&self, key: &str, expected: &str, value: String, ttl: i64) -> bool {
        let (mut state, now) = self.state();
        if state.live(key, now).is_none_or(|entry| entry.value != expected) {
            return false;
        }
        state.insert(key.to_owned(), value, now.plus(ttl), now).is_ok()
    }

    pub(super) fn delete(&self, key: &str) {
        let (mut state, _) = self.state();
        state.remove(key);
    }

    /// Takes it away altogether.
    pub(super) fn remove(&self, key: &str) -> Option<String> {
        let (mut state, now) = self.state();
        let value = state.live(key, now).map(|entry| entry.value.clone());
        state.remove(key);
        value
    }

    /// Puts a marker, also where the store is full. `false`: it was there before.
    pub(super) fn mark(&self, key: String, ttl: i64) -> Result<bool, StoreError> {
        let (mut state, now) = self.state();
        let is_new = state.live(&key, now).is_none();
        state.insert_within(key, "1".to_owned(), now.plus(ttl), now, MAX_BYTES + RESERVE)?;
        Ok(is_new)
    }

    /// Whether something could be put.
    pub(super) fn has_room(&self) -> bool {
        let (mut state, now) = self.state();
        state.expire(now);
        state.bytes + BREATH <= MAX_BYTES && state.entries.len() < MAX_ENTRIES
    }

    pub(super) fn start(&self, start: &Start<'_>, value: String) -> Result<(), StoreError> {
        locked(&self.started).start(start, value, self.clock.now())
    }

    pub(super) fn started(&self, id: &str) -> Option<String> {
        locked(&self.started).get(id, self.clock.now())
    }

    pub(super) fn change_started(&self, id: &str, expected: &str, value: String, is_typed_into: bool) -> bool {
        locked(&self.started).change(id, expected, value, is_typed_into, self.clock.now())
    }

    pub(super) fn take_started(&self, id: &str) -> Option<String> {
        locked(&self.started).take(id, self.clock.now())
    }

    pub(super) fn fill_of_started(&self, share: i64) -> Fill {
        locked(&self.started).fill(share)
    }

    pub(super) fn tally(&self, key: &str, tallies: &[Tally<'_>]) -> Result<Tallied, StoreError> {
        locked(&self.tallies).tally(key, tallies, self.clock.now())
    }

    pub(super) fn tallied(&self, key: &str, field: &str) -> i64 {
        locked(&self.tallies).read(key, field, self.clock.now())
    }

    pub(super) fn clear_tally(&self, key: &str) {
        locked(&self.tallies).clear(key);
    }
}

impl State {
    fn live(&self, key: &str, now: NumericDate) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| !entry.expires_at.is_past(now))
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= weight(key, &entry.value);
        }
    }

    fn insert(
        &mut self,
        key: String,
        value: String,
        expires_at: NumericDate,
        now: NumericDate,
    ) -> Result<(), StoreError> {
        self.insert_within(key, value, expires_at, now, MAX_BYTES)
    }

    fn expire(&mut self, now: NumericDate) {
        while let Some(Reverse((due, _))) = self.expiries.peek() {
            if !due.is_past(now) {
                break;
            }
            if let Some(Reverse((due, key))) = self.expiries.pop()
                && self.entries.get(&key).is_some_and(|entry| entry.expires_at <= due)
            {
                self.remove(&key);
            }
        }
    }

    fn insert_within(
        &mut self,
        key: String,
        value: String,
        expires_at: NumericDate,
        now: NumericDate,
        most: usize,
    ) -> Result<(), StoreError> {
        self.expire(now);
        let before = self.entries.get(&key).map_or(0, |entry| weight(&key, &entry.value));
        let bytes = self.bytes - before + weight(&key, &value);
        let entries = if most > MAX_BYTES { 2 * MAX_ENTRIES } else { MAX_ENTRIES };
        // What only becomes lighter always fits.
        let grows = bytes > self.bytes;
        if (grows && bytes > most)
            || (before == 0 && self.entries.len() >= entries)
            || self.expiries.len() >= 8 * MAX_ENTRIES
        {
            return Err(StoreError::Full);
        }
        self.bytes = bytes;
        if self.entries.get(&key).is_none_or(|entry| entry.expires_at != expires_at) {
            self.expiries.push(Reverse((expires_at, key.clone())));
        }
        self.entries.insert(key, Entry { value, expires_at });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    #[test]
    fn what_expired_makes_room_and_what_is_live_is_never_evicted() {
        let moved = Arc::new(AtomicI64::new(0));
        let memory = Memory::new(Clock::Moved(moved.clone()));
        let big = "x".repeat(MAX_BYTES / 2 - ENTRY - 10);
        memory.put("a".into(), big.clone(), 10).unwrap();
        memory.put("b".into(), big.clone(), 20).unwrap();
        assert!(matches!(memory.put("c".into(), big.clone(), 10), Err(StoreError::Full)));
        assert!(memory.get("a").is_some() && memory.get("b").is_some());
        moved.store(10, Ordering::SeqCst);
        assert!(memory.get("a").is_none());
        memory.put("c".into(), big, 10).unwrap();
        assert!(memory.get("b").is_some() && memory.get("c").is_some());
    }

    #[test]
    fn an_entry_that_was_prolonged_outlives_its_first_expiry() {
        let moved = Arc::new(AtomicI64::new(0));
        let memory = Memory::new(Clock::Moved(moved.clone()));
        memory.put("a".into(), "1".into(), 10).unwrap();
        assert!(memory.replace("a", "1", "2".into(), 30));
        moved.store(15, Ordering::SeqCst);
        memory.put("b".into(), "x".into(), 5).unwrap();
        assert_eq!(memory.get("a").as_deref(), Some("2"));
    }
}
