//! The short-lived store: a few verbs over single keys, in this process or in Redis.
//!
//! Whatever keeps something here says at its head under which key, what, and for how long: a line that begins with `Key:`.
//!
//! Keys hold digests or handles, never a secret, behind a prefix made of the issuer. Every record carries its own
//! `expires_at`, which the reader checks against the provider's clock; the store's own expiry is housekeeping.
//! A record is changed only where its text is the one that was read (`stored.rs`): nodes of two versions share them.
//! No command spans slots, so a cluster needs nothing special; what belongs to one trip is sent at once.
//!
//! What strangers had us keep (`start` and its like) is weighed as it is stored: each network has a budget, all of them
//! together a share, and when one of the two is full, the oldest without any input give way, and where there are none
//! the oldest of the others: no attacker can shut all users out by typing. It is the one exception to the rule that what is
//! live is never evicted.

use crate::ambient::Clock;
use crate::config::EphemeralUrl;
use crate::failure::Warning;
use crate::protocol::secret::Digest;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::memory::Memory;
use crate::store::redis::Redis;
use crate::store::stored::Stored;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicU64, Ordering};

/// What taking something that exists once came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// It was there, and now it is this caller's alone.
    Fresh(T),
    /// It was taken before.
    Spent,
    /// It was never there, or is long gone.
    Missing,
}

/// A count in its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How many so far, this one included.
    pub count: i64,
    /// Seconds until the window ends.
    pub ends_in: i64,
}

/// The most bytes that all sign-ins and sign-outs which were started and not completed may store. In process it is a
/// quarter of the store.
pub const STARTED_SHARE: i64 = 64 * 1024 * 1024;

/// What a stranger wants kept.
pub struct Start<'a> {
    /// Its name: a digest.
    pub id: &'a str,
    /// Whose budget it takes from.
    pub network: &'a str,
    /// The most bytes that this network may have stored.
    pub network_budget: i64,
    /// The most bytes that all of them may have stored.
    pub share: i64,
    /// Seconds, the same for all.
    pub ttl: i64,
}

impl Start<'_> {
    /// What a value weighs as it is stored, in bytes: with its name, its place in the order and what a map takes for it.
    #[must_use]
    pub fn weight(value: &str) -> i64 {
        const RECORD: usize = 384;
        i64::try_from(value.len() + RECORD).unwrap_or(i64::MAX)
    }
}

/// How much of a share is taken, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// What is stored.
    pub stored: i64,
    /// The most that can be.
    pub most: i64,
}

/// One count among several in one record.
#[derive(Clone, Copy, Debug)]
pub struct Tally<'a> {
    /// Its name in the record.
    pub field: &'a str,
    /// Seconds for which it counts, from the first on.
    pub window: i64,
    /// The most it may come to.
    pub most: i64,
    /// How many more; negative ones are taken back.
    pub amount: i64,
}

/// What counting came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tallied {
    /// Each field with what it counts now.
    Counted(Vec<Counted>),
    /// One would be over its most, so none was counted.
    Over {
        /// Which.
        index: usize,
        /// Seconds until its window ends.
        ends_in: i64,
    },
}

/// What a Redis says of itself.
#[derive(Debug)]
pub struct Facts {
    /// Its version.
    pub version: Option<String>,
    /// Whether it says that it evicts nothing; some hosted ones do not tell.
    pub tells_policy: bool,
    /// Its clock.
    pub clock: Option<NumericDate>,
    /// What there is to warn of how it keeps what it holds.
    pub warnings: Vec<Warning>,
    /// What a crash costs, where there is nothing to warn of.
    pub cost_of_a_crash: &'static str,
}

enum Backend {
    Memory(Box<Memory>),
    Redis(Box<Redis>),
}

/// The short-lived store.
pub struct Ephemeral {
    backend: Backend,
    prefix: String,
    clock: Clock,
    commands: AtomicU64,
    trips: AtomicU64,
    under_way: AtomicU64,
    unsettled: AtomicU64,
}

/// A command in progress.
struct UnderWay<'a>(&'a AtomicU64);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ephemeral {
    /// Opens the store for one issuer.
    ///
    /// # Errors
    /// Redis does not answer, is older than 6.2, or may evict what is live.
    pub async fn open(url: &EphemeralUrl, issuer: &str, clock: Clock) -> Result<Self, StoreError> {
        let backend = match url {
            EphemeralUrl::Memory => Backend::Memory(Box::new(Memory::new(clock.clone()))),
            EphemeralUrl::Redis(url) => Backend::Redis(Box::new(Redis::open(url).await?)),
        };
        let prefix = format!("hallpass:{}:", &Digest::of(&["issuer", issuer]).as_str()[..12]);
        Ok(Self {
            backend,
            prefix,
            clock,
            commands: AtomicU64::new(0),
            trips: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
            unsettled: AtomicU64::new(0),
        })
    }

    /// Whether it is Redis, so that several nodes can share it.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.backend, Backend::Redis(_))
    }

    /// How many commands were sent; budgets are asserted on it.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }

    /// How many times a command was sent while no other was in progress: for one request at a time, its trips.
    #[must_use]
    pub fn trips(&self) -> u64 {
        self.trips.load(Ordering::Relaxed)
    }

    fn key(&self, key: &str) -> (String, UnderWay<'_>) {
        self.commands.fetch_add(1, Ordering::Relaxed);
        if self.under_way.fetch_add(1, Ordering::Relaxed) == 0 {
            self.trips.fetch_add(1, Ordering::Relaxed);
        }
        (format!("{}{key}", self.prefix), UnderWay(&self.under_way))
    }

    /// Stores `value` for `ttl` seconds, replacing what was there.
    ///
    /// # Errors
    /// The store failed or is full.
    pub async fn put<T: Serialize + Sync>(&self, key: &str, value: &T, ttl: i64) -> Result<(), StoreError> {
        let value = serde_json::to_string(value)?;
        let (key, _under_way) = self.key(key);
        match &self.backend {
            Backend::Memory(memory) => memory.put(key, value, ttl),
            Backend::Redis(redis) => redis.put(&key, &value, ttl).await,
        }
    }

    /// Reads what is there; a tombstone reads as absent.
    ///
    /// # Errors
    /// The store failed.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let (key, _under_way) = self.key(key);
        let found = match &self.backend {
            Backend::Memory(memory) => memory.get(&key),
            Backend::Redis(redis) => redis.get(&key).await?,
        };
        Ok(found.filter(|text| !text.is_empty()).map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// Takes what is there, once: the first gets it, and a tombstone stays for `ttl` seconds from now on, however long the
    /// record had been meant to live.
    ///
    /// # Errors
    /// The store failed or is full.
    pub async fn spend<T: DeserializeOwned>(&self, key: &str, ttl: i64) -> Result<Taken<T>, StoreError> {
        let (key, _under_way) = self.key(key);
        let found = match &self.backend {
            Backend::Memory(memory) => memory.spend(&key, ttl)?,
            Backend::Redis(redis) => redis.spend(&key, ttl).await?,
        };
        taken(found)
    }

    /// Puts back what was spent and not handed out, for `ttl` seconds, where its tombstone still is.
    ///
    /// # Errors
    /// The store failed.
    pub async fn put_back<T: Serialize + Sync>(&self, key: &str, value: &T, ttl: i64) -> Result<(), StoreError> {
        let value = serde_json::to_string(value)?;
        let (key, _under_way) = self.key(key);
        match &self.backend {
            Backend::Memory(memory) => memory.replace(&key, "", value, ttl),
            Backend::Redis(redis) => redis.replace(&key, "", &value, ttl).await?,
        };
        Ok(())
    }

    /// Replaces what was `read` by `value` for `ttl` seconds; members that this version does not know stay. `false`: something
    /// else is there by now, or nothing.
    ///
    /// # Errors
    /// The store failed.
    pub async fn replace<T: Serialize + Sync>(
        &self,
        key: &str,
        read: &Stored<T>,
        value: &T,
        ttl: i64,
    ) -> Result<bool, StoreError> {
        let value = read.changed_to(value)?;
        let (key, _under_way) = self.key(key);
        match &self.backend {
            Backend::Memory(memory) => Ok(memory.replace(&key, read.text(), value, ttl)),
            Backend::Redis(redis) => redis.replace(&key, read.text(), &value, ttl).await,
        }
    }

    /// Counts a record that others changed at every one of our tries, so that what was to be noted in it is not.
    pub fn note_unsettled(&self) {
        self.unsettled.fetch_add(1, Ordering::Relaxed);
    }

    /// How many records could not be changed because others changed them at every try.
    #[must_use]
    pub fn unsettled(&self) -> u64 {
        self.unsettled.load(Ordering::Relaxed)
    }

    /// Forgets what is there.
    ///
    /// # Errors
    /// The store failed.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let (key, _under_way) = self.key(key);
        match &self.backend {
            Backend::Memory(memory) => {
                memory.delete(&key);
                Ok(())
            }
            Backend::Redis(redis) => redis.delete(&key).await,
        }
    }

    /// Takes what is there, once, and leaves nothing behind; it works in a full Redis too.
    ///
    /// # Errors
    /// The store failed.
    pub async fn remove<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let (key, _under_way) = self.key(key);
        let found = match &self.backend {
            Backend::Memory(memory) => memory.remove(&key),
            Backend::Redis(redis) => redis.remove(&key).await?,
        };
        Ok(found.filter(|text| !text.is_empty()).map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// Puts a marker that something has ended, for `ttl` seconds, also where the store is full. `false`: it was there.
    ///
    /// # Errors
    /// The store failed.
    pub async fn mark(&self, key: &str, ttl: i64) -> Result<bool, StoreError> {
        let (key, _under_way) = self.key(key);
        match &self.backend {
            Backend::Memory(memory) => memory.mark(key, ttl),
            Backend::Redis(redis) => redis.mark(&key, ttl).await,
        }
    }

    /// Keeps what a stranger started, within the budgets it names.
    ///
    /// # Errors
    /// `Full`: it is larger than a budget; the store failed.
    pub async fn start<T: Serialize + Sync>(&self, start: &Start<'_>, value: &T) -> Result<(), StoreError> {
        let value = serde_json::to_string(value)?;
        let (prefix, _under_way) = self.key("");
        match &self.backend {
            Backend::Memory(memory) => memory.start(start, value),
            Backend::Redis(redis) => redis.start(&prefix, start, &value, self.clock.now()).await,
        }
    }

    /// Reads what a stranger started; a tombstone reads as absent.
    ///
    /// # Errors
    /// The store failed.
    pub async fn started<T: DeserializeOwned>(&self, id: &str) -> Result<Option<T>, StoreError> {
        let (prefix, _under_way) = self.key("");
        let found = match &self.backend {
            Backend::Memory(memory) => memory.started(id),
            Backend::Redis(redis) => redis.started(&prefix, id).await?,
        };
        Ok(found.filter(|text| !text.is_empty()).map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// Replaces what was `read` by `value`, as `replace` does; with `is_typed_into` it gives way after all others. `false`:
    /// something else is there by now, or nothing.
    ///
    /// # Errors
    /// The store failed.
    pub async fn change_started<T: Serialize + Sync>(
        &self,
        id: &str,
        read: &Stored<T>,
        value: &T,
        is_typed_into: bool,
    ) -> Result<bool, StoreError> {
        let value = read.changed_to(value)?;
        let (prefix, _under_way) = self.key("");
        match &self.backend {
            Backend::Memory(memory) => Ok(memory.change_started(id, read.text(), value, is_typed_into)),
            Backend::Redis(redis) => redis.change_started(&prefix, id, read.text(), &value, is_typed_into).await,
        }
    }

    /// Takes what a stranger started, once; a tombstone stays as long as it would have.
    ///
    /// # Errors
    /// The store failed.
    pub async fn take_started<T: DeserializeOwned>(&self, id: &str) -> Result<Taken<T>, StoreError> {
        let (prefix, _under_way) = self.key("");
        let found = match &self.backend {
            Backend::Memory(memory) => memory.take_started(id),
            Backend::Redis(redis) => redis.take_started(&prefix, id).await?,
        };
        taken(found)
    }

    /// How much of a share of so many bytes is taken.
    ///
    /// # Errors
    /// The store failed.
    pub async fn fill_of_started(&self, share: i64) -> Result<Fill, StoreError> {
        let (prefix, _under_way) = self.key("");
        match &self.backend {
            Backend::Memory(memory) => Ok(memory.fill_of_started(share)),
            Backend::Redis(redis) => redis.fill_of_started(&prefix, share).await,
        }
    }

    /// Counts in several fields of one record at once, or in none of them.
    ///
    /// # Errors
    /// The store failed; `Full`: there are too many counters.
    pub async fn tally(&self, key: &str, tallies: &[Tally<'_>]) -> Result<Tallied, StoreError> {
        let (key, _under_way) = self.key(key);
        match &self.backend {
            Backend::Memory(memory) => memory.tally(&key, tallies),
            Backend::Redis(redis) => redis.tally(&key, tallies, self.clock.now()).await,
        }
    }

    /// How many a field of a record counts now.
    ///
    /// # Errors
    /// The store failed.
    pub async fn tallied(&self, key: &str, field: &str) -> Result<i64, StoreError> {
        let (key, _under_way) = self.key(key);
        match &self.backend {
            Backend::Memory(memory) => Ok(memory.tallied(&key, field)),
            Backend::Redis(redis) => redis.tallied(&key, field, self.clock.now()).await,
        }
    }

    /// Forgets a record of counts.
    ///
    /// # Errors
    /// The store failed.
    pub async fn clear_tally(&self, key: &str) -> Result<(), StoreError> {
        let (key, _under_way) = self.key(key);
        match &self.backend {
            Backend::Memory(memory) => {
                memory.clear_tally(&key);
                Ok(())
            }
            Backend::Redis(redis) => redis.delete(&key).await,
        }
    }

    /// Whether a code, a token or a session could be put now.
    ///
    /// # Errors
    /// `Full`, or the store failed.
    pub async fn probe(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Memory(memory) => memory.has_room().then_some(()).ok_or(StoreError::Full),
            Backend::Redis(redis) => redis.put(&format!("{}probe", self.prefix), "1", 10).await,
        }
    }

    /// What Redis says of itself; `None`: the store is in this process.
    pub async fn facts(&self) -> Option<Facts> {
        match &self.backend {
            Backend::Memory(_) => None,
            Backend::Redis(redis) => Some(redis.facts().await),
        }
    }
}

fn taken<T: DeserializeOwned>(found: Option<String>) -> Result<Taken<T>, StoreError> {
    Ok(match found {
        None => Taken::Missing,
        Some(text) if text.is_empty() => Taken::Spent,
        Some(text) => Taken::Fresh(serde_json::from_str(&text)?),
    })
}
