//! Places for connections: how many a listener takes at once, and how many of them one network may have.
//!
//! File descriptors are what runs out first, so the process takes as many as it is given and keeps some back: for the
//! listener that answers health checks, for the stores and for files.

use crate::web::network::{Network, speaks_for_others};
use axum::http::HeaderMap;
use ipnet::IpNet;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The most public connections at once, where the descriptors allow it; further ones wait in the listener's queue.
const MOST: usize = 8192;
/// The most from one network.
const PER_NETWORK: usize = 256;
/// The most on the listener for health; so many descriptors no public connection can take.
const FOR_HEALTH: usize = 16;
/// Descriptors for everything else: stores, outgoing requests, key and migration files.
const FOR_THE_REST: usize = 112;
/// How many addresses are remembered as speaking for others.
const MOST_SPEAKERS: usize = 1024;
/// How often the log says that places are short.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// Raises the number of descriptors that this process may have to the most that the system lets it; gives how many that
/// are. It is done once, at the start.
pub fn raise_descriptors() -> usize {
    let before = getrlimit(Resource::Nofile);
    // Where there is no hard limit, as many as every system grants.
    let wanted = before.maximum.unwrap_or(1 << 20).min(1 << 20);
    if before.current.is_some_and(|current| current < wanted) {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: before.maximum });
        if let Err(error) = raised {
            tracing::warn!(%error, "the limit of open files could not be raised");
        }
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |current| usize::try_from(current).unwrap_or(usize::MAX))
}

/// The places of one listener.
pub struct Places {
    free: Arc<Semaphore>,
    most: usize,
    per_network: Option<usize>,
    trusted: Vec<IpNet>,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    taken: HashMap<IpAddr, usize>,
    /// Private addresses that have sent a proxy's header: many share them.
    speakers: HashSet<IpAddr>,
    said_at: Option<Instant>,
}

impl Places {
    /// Of the public listener, in a process that may have so many descriptors.
    #[must_use]
    pub fn public(descriptors: usize, trusted_proxies: &[IpNet]) -> Arc<Self> {
        let kept_back = FOR_HEALTH + FOR_THE_REST;
        // With very few of them, half are better than none.
        let most = descriptors.saturating_sub(kept_back).max(descriptors / 2).clamp(1, MOST);
        Self::of(most, Some(PER_NETWORK), trusted_proxies)
    }

    /// Of a listener for a few: health, the demo's services.
    #[must_use]
    pub fn few() -> Arc<Self> {
        Self::of(FOR_HEALTH, None, &[])
    }

    fn of(most: usize, per_network: Option<usize>, trusted: &[IpNet]) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(most)),
            most,
            per_network,
            trusted: trusted.to_vec(),
            shared: Mutex::default(),
        })
    }

    /// Waits for a free place.
    pub(super) async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        if self.free.available_permits() == 0 {
            self.say(|| tracing::warn!(most = self.most, "all places for connections are taken; further ones wait"));
        }
        self.free.clone().acquire_owned().await.ok()
    }

    /// Takes the place for an address; `None`: its network has as many as it may.
    pub(super) fn take(self: &Arc<Self>, permit: OwnedSemaphorePermit, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let network = Network::of_address(address);
        let narrow = network.address();
        let mut shared = self.shared();
        let taken = shared.taken.get(&narrow).copied().unwrap_or(0);
        let is_bounded = !network.is_shared()
            && !shared.speakers.contains(&address)
            && !self.trusted.iter().any(|trusted| trusted.contains(&address));
        if is_bounded && self.per_network.is_some_and(|most| taken >= most) {
            drop(shared);
            self.say(|| tracing::warn!(%network, taken, "a network has as many connections as it may; further ones are closed"));
            return None;
        }
        shared.taken.insert(narrow, taken + 1);
        drop(shared);
        Some(Place { places: self.clone(), narrow, address, _permit: permit })
    }

    /// Says that a connection could not be taken.
    pub(super) fn failed(&self, error: &std::io::Error) {
        self.say(|| tracing::error!(%error, "a connection could not be accepted: are there too few file descriptors?"));
    }

    fn say(&self, say: impl FnOnce()) {
        let mut shared = self.shared();
        let now = Instant::now();
        if shared.said_at.is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL) {
            shared.said_at = Some(now);
            drop(shared);
            say();
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // What a panic left behind is as good as any.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that a connection has, given back when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    narrow: IpAddr,
    address: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// Notes what a request on this connection shows: an address that speaks for others is not bounded as one network.
    pub(super) fn heard(&self, headers: &HeaderMap) {
        if speaks_for_others(self.address, headers) {
            let mut shared = self.places.shared();
            if shared.speakers.len() < MOST_SPEAKERS {
                shared.speakers.insert(self.address);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shared = self.places.shared();
        if let Some(taken) = shared.taken.get_mut(&self.narrow) {
            *taken -= 1;
            if *taken == 0 {
                shared.taken.remove(&self.narrow);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn take(places: &Arc<Places>, address: &str) -> Option<Place> {
        let permit = places.wait().await.unwrap();
        places.take(permit, address.parse().unwrap())
    }

    #[tokio::test]
    async fn a_network_has_so_many_places_and_proxies_and_this_machine_as_many_as_there_are() {
        let places = Places::of(1000, Some(3), &["198.51.100.0/24".parse().unwrap()]);
        for (one, other) in [("203.0.113.1", "203.0.113.1"), ("2001:db8:1:2::1", "2001:db8:1:2::9")] {
            let taken = [take(&places, one).await, take(&places, other).await, take(&places, one).await];
            assert!(taken.iter().all(Option::is_some), "{one}");
            assert!(take(&places, other).await.is_none(), "{other}");
            assert!(take(&places, "203.0.113.2").await.is_some());
            drop(taken);
            assert!(take(&places, one).await.is_some());
        }
        let mut kept = Vec::new();
        for address in ["198.51.100.7", "127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            for _ in 0..20 {
                kept.push(take(&places, address).await.unwrap());
            }
        }
        drop(kept);
        assert!(places.shared().taken.is_empty());
        assert_eq!(places.free.available_permits(), 1000);
    }

    #[tokio::test]
    async fn a_private_address_that_speaks_for_others_is_not_one_network() {
        let places = Places::of(1000, Some(2), &[]);
        let mut forwarded = HeaderMap::new();
        forwarded.insert("x-forwarded-for", "203.0.113.1".parse().unwrap());
        for (address, is_free) in [("10.0.0.7", true), ("203.0.113.7", false)] {
            let first = take(&places, address).await.unwrap();
            let _second = take(&places, address).await.unwrap();
            assert!(take(&places, address).await.is_none(), "{address}");
            first.heard(&HeaderMap::new());
            assert!(take(&places, address).await.is_none(), "{address}");
            first.heard(&forwarded);
            assert_eq!(take(&places, address).await.is_some(), is_free, "{address}");
        }
    }

    #[test]
    fn descriptors_are_kept_back_for_health_and_stores() {
        let most = |descriptors| Places::public(descriptors, &[]).most;
        assert_eq!([1024, 256, 64, 1, 1 << 20].map(most), [896, 128, 32, 1, MOST]);
        assert!(raise_descriptors() >= 64);
    }
}
