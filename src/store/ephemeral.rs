//! The short-lived store: nine verbs over single keys, in this process or in Redis.
//!
//! | key | value | written by | lives (seconds) |
//! | --- | --- | --- | --- |
//! | `code:{digest of code and client_id}` | `Grant`; a tombstone once taken | `codes.rs` | code lifetime + ten minutes; the tombstone: longest access token |
//! | `at:{digest of token}` | `AccessGrant` | `access_tokens.rs` | the token's lifetime |
//! | `revoked:{grant handle}` | `1`: what this grant issued is dead | `access_tokens.rs` | longest access token |
//! | `ended:{session handle}` | `1`: what this session issued is dead | `sessions.rs` | longest access token |
//! | `session:{digest of cookie}` | `Session` | `sessions.rs` | until its absolute end |
//! | `interaction:{digest of id}` | `Interaction`; a tombstone once taken | `interactions.rs` | interaction lifetime + an hour |
//! | `farewell:{digest of id}` | `Farewell`; a tombstone once taken | `farewells.rs` | half an hour |
//! | `fail:{a, an, n, b, c}:{account, network, browser or client}` | count | `throttle.rs` | the window |
//! | `begun:{network}` | count | `throttle.rs` | the window |
//!
//! Keys hold digests or handles, never a secret, behind a prefix made of the issuer. Every record carries its own
//! `expires_at`, which the reader checks against the provider's clock; the store's own expiry is housekeeping.
//! No command spans keys, so a cluster needs nothing special; what belongs to one trip is sent at once.

use crate::config::EphemeralUrl;
use crate::protocol::secret::Digest;
use crate::protocol::time::NumericDate;
use crate::provider::Clock;
use crate::store::StoreError;
use crate::store::memory::Memory;
use crate::store::redis::Redis;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicU64, Ordering};

/// What taking something that exists once came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// It was there, and now it is this caller's alone.
    Fresh(T),
    /// Somebody took it before.
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

/// What a Redis says of itself.
#[derive(Debug)]
pub struct Facts {
    /// Its version.
    pub version: Option<String>,
    /// Whether it says that it evicts nothing; some hosted ones do not tell.
    pub tells_policy: bool,
    /// Its clock.
    pub clock: Option<NumericDate>,
}

enum Backend {
    Memory(Memory),
    Redis(Box<Redis>),
}

/// The short-lived store.
pub struct Ephemeral {
    backend: Backend,
    prefix: String,
    commands: AtomicU64,
    trips: AtomicU64,
    under_way: AtomicU64,
}

/// A command under way.
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
            EphemeralUrl::Memory => Backend::Memory(Memory::new(clock)),
            EphemeralUrl::Redis(url) => Backend::Redis(Box::new(Redis::open(url).await?)),
        };
        let prefix = format!("hallpass:{}:", &Digest::of(&["issuer", issuer]).as_str()[..12]);
        Ok(Self {
            backend,
            prefix,
            commands: AtomicU64::new(0),
            trips: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
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

    /// How many times a command was sent while no other was under way: for one request at a time, its trips.
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

    /// Stores `value` for `ttl` seconds unless something is there, also a tombstone. `false`: something was.
    ///
    /// # Errors
    /// The store failed or is full.
    pub async fn put_if_absent<T: Serialize + Sync>(&self, key: &str, value: &T, ttl: i64) -> Result<bool, StoreError> {
        let value = serde_json::to_string(value)?;
        let (key, _under_way) = self.key(key);
        match &self.backend {
            Backend::Memory(memory) => memory.put_if_absent(key, value, ttl),
            Backend::Redis(redis) => redis.put_if_absent(&key, &value, ttl).await,
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

    /// Takes what is there, once: whoever is first gets it, a tombstone stays until the key's own expiry.
    ///
    /// # Errors
    /// The store failed.
    pub async fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Taken<T>, StoreError> {
        let (key, _under_way) = self.key(key);
        let found = match &self.backend {
            Backend::Memory(memory) => memory.take(&key),
            Backend::Redis(redis) => redis.take(&key).await?,
        };
        taken(found)
    }

    /// Takes what is there, once, as `take` does; the tombstone stays for `ttl` seconds from now on, however long the
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

    /// Replaces `expected` by `value` for `ttl` seconds. `false`: something else is there by now, or nothing.
    ///
    /// # Errors
    /// The store failed.
    pub async fn replace<T: Serialize + Sync>(
        &self,
        key: &str,
        expected: &T,
        value: &T,
        ttl: i64,
    ) -> Result<bool, StoreError> {
        let (expected, value) = (serde_json::to_string(expected)?, serde_json::to_string(value)?);
        let (key, _under_way) = self.key(key);
        match &self.backend {
            Backend::Memory(memory) => Ok(memory.replace(&key, &expected, value, ttl)),
            Backend::Redis(redis) => redis.replace(&key, &expected, &value, ttl).await,
        }
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

    /// Counts one more in a window of `window` seconds that begins with the first.
    ///
    /// # Errors
    /// The store failed or is full.
    pub async fn count(&self, key: &str, window: i64) -> Result<Counted, StoreError> {
        let (key, _under_way) = self.key(key);
        match &self.backend {
            Backend::Memory(memory) => memory.count(key, window),
            Backend::Redis(redis) => redis.count(&key, window).await,
        }
    }

    /// Takes one count back, if its window is still open.
    ///
    /// # Errors
    /// The store failed.
    pub async fn uncount(&self, key: &str) -> Result<(), StoreError> {
        let (key, _under_way) = self.key(key);
        match &self.backend {
            Backend::Memory(memory) => {
                memory.uncount(&key);
                Ok(())
            }
            Backend::Redis(redis) => redis.uncount(&key).await,
        }
    }

    /// What Redis says of itself; `None`: the store is in this process.
    pub async fn facts(&self) -> Option<Facts> {
        match &self.backend {
            Backend::Memory(_) => None,
            Backend::Redis(redis) => Some(redis.facts().await),
        }
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Memory(_) => Ok(()),
            Backend::Redis(redis) => redis.ping().await,
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
