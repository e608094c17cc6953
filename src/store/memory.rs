//! The short-lived store inside this process: bounded, expiring, lost with the process.
//!
//! When it is full it refuses; what is live is never evicted. Expired entries go as new ones come.

use crate::protocol::time::NumericDate;
use crate::provider::Clock;
use crate::store::StoreError;
use crate::store::ephemeral::Counted;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most entries it holds.
const MAX_ENTRIES: usize = 500_000;
/// The most bytes its keys and values may have together.
const MAX_BYTES: usize = 256 * 1024 * 1024;

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
    clock: Clock,
}

impl Memory {
    pub(super) fn new(clock: Clock) -> Self {
        Self { state: Mutex::default(), clock }
    }

    fn state(&self) -> (MutexGuard<'_, State>, NumericDate) {
        (self.state.lock().unwrap_or_else(PoisonError::into_inner), self.clock.now())
    }

    pub(super) fn put(&self, key: String, value: String, ttl: i64) -> Result<(), StoreError> {
        let (mut state, now) = self.state();
        state.insert(key, value, now.plus(ttl), now)
    }

    pub(super) fn put_if_absent(&self, key: String, value: String, ttl: i64) -> Result<bool, StoreError> {
        let (mut state, now) = self.state();
        if state.live(&key, now).is_some() {
            return Ok(false);
        }
        state.insert(key, value, now.plus(ttl), now)?;
        Ok(true)
    }

    pub(super) fn get(&self, key: &str) -> Option<String> {
        let (state, now) = self.state();
        state.live(key, now).map(|entry| entry.value.clone())
    }

    pub(super) fn take(&self, key: &str) -> Option<String> {
        let (mut state, now) = self.state();
        state.live(key, now)?;
        let entry = state.entries.get_mut(key)?;
        let value = std::mem::take(&mut entry.value);
        state.bytes -= value.len();
        Some(value)
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

    pub(super) fn count(&self, key: String, window: i64) -> Result<Counted, StoreError> {
        let (mut state, now) = self.state();
        let (count, expires_at) = match state.live(&key, now) {
            Some(entry) => (entry.value.parse::<i64>().unwrap_or(0) + 1, entry.expires_at),
            None => (1, now.plus(window)),
        };
        state.insert(key, count.to_string(), expires_at, now)?;
        Ok(Counted { count, ends_in: expires_at.since(now) })
    }

    pub(super) fn uncount(&self, key: &str) {
        let (mut state, now) = self.state();
        let Some(count) = state.live(key, now).and_then(|entry| entry.value.parse::<i64>().ok()) else { return };
        let before = count.to_string().len();
        let Some(entry) = state.entries.get_mut(key) else { return };
        entry.value = (count - 1).max(0).to_string();
        let after = entry.value.len();
        state.bytes = state.bytes + after - before;
    }
}

impl State {
    fn live(&self, key: &str, now: NumericDate) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| !entry.expires_at.is_past(now))
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= key.len() + entry.value.len();
        }
    }

    fn insert(
        &mut self,
        key: String,
        value: String,
        expires_at: NumericDate,
        now: NumericDate,
    ) -> Result<(), StoreError> {
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
        let before = self.entries.get(&key).map_or(0, |entry| key.len() + entry.value.len());
        let bytes = self.bytes - before + key.len() + value.len();
        if bytes > MAX_BYTES
            || (before == 0 && self.entries.len() >= MAX_ENTRIES)
            || self.expiries.len() >= 4 * MAX_ENTRIES
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
        let big = "x".repeat(MAX_BYTES / 2 - 10);
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
