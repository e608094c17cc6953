//! One cache of the directory: entries bounded by bytes, and reads that all requests for the same key share.
//!
//! A read belongs to all who wait for it: it continues while one of them is left, ends with the last, and what it comes to,
//! an error included, is told to all. Errors and absence are told and not kept. Those who joined a read that had started
//! before they asked, and that finds nothing, read once more together: the row may have been committed in between.

use crate::ambient::DATABASE_PATIENCE;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use moka::Equivalent;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is kept of one key.
pub(super) struct Entry<T> {
    pub value: Arc<T>,
    /// When its read was started.
    pub read_at: NumericDate,
    is_refreshed: AtomicBool,
}

/// What a cache costs besides what its entries hold, in bytes each: the key's and the entry's counts, the places in moka's
/// table and queues.
const OVERHEAD: usize = 256;

/// How a key is asked for without owning it: a hit allocates nothing.
pub(super) trait Asked<K>: Equivalent<K> + Hash {
    /// The key itself, for what is read.
    fn key(&self) -> K;
}

impl Asked<String> for str {
    fn key(&self) -> String {
        self.to_owned()
    }
}

type Landed<T> = Result<Option<Arc<T>>, Arc<StoreError>>;
type Read<T> = BoxFuture<'static, Landed<T>>;

/// The read that all share for whom the one before came too early.
type Again<T> = Arc<Mutex<Option<Shared<Read<T>>>>>;

/// A read in progress, which ends when no request waits for it any more.
struct Flight<T> {
    number: u64,
    read: WeakShared<Read<T>>,
    again: Again<T>,
}

/// A seat in one.
struct Seat<T> {
    read: Shared<Read<T>>,
    again: Again<T>,
    /// Whether it was started for this request.
    is_first: bool,
}

struct Flights<K, T> {
    started: u64,
    by_key: HashMap<K, Flight<T>>,
}

/// What is believed of a read that had started before it was asked for. What is not, is read once more, together with all who
/// wait for that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Believed {
    /// What it found; the row that it did not find may have been committed since.
    Presence,
    /// Nothing: the row may have been changed since.
    Nothing,
}

/// One cache.
pub(super) struct Shelf<K, T> {
    entries: moka::sync::Cache<K, Arc<Entry<T>>>,
    flights: Mutex<Flights<K, T>>,
}

/// A flight's place, which it leaves however it ends.
struct Place<K: Eq + Hash, T> {
    shelf: Arc<Shelf<K, T>>,
    key: K,
    number: u64,
}

impl<K: Eq + Hash, T> Drop for Place<K, T> {
    fn drop(&mut self) {
        let mut flights = self.shelf.flights();
        if flights.by_key.get(&self.key).is_some_and(|flight| flight.number == self.number) {
            flights.by_key.remove(&self.key);
        }
    }
}

impl<K, T> Shelf<K, T> {
    fn flights(&self) -> MutexGuard<'_, Flights<K, T>> {
        // No step under the lock leaves anything half done.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, T> Shelf<K, T>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    /// An empty one that holds so many bytes at most; `weigh` says how many a key and its value hold on the heap and in themselves.
    pub fn new(most_bytes: u64, weigh: fn(&K, &T) -> usize) -> Arc<Self> {
        let weigher = move |key: &K, entry: &Arc<Entry<T>>| {
            let bytes = OVERHEAD + size_of::<Entry<T>>() + weigh(key, &entry.value);
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let entries = moka::sync::Cache::builder().max_capacity(most_bytes).weigher(weigher).build();
        Arc::new(Self { entries, flights: Mutex::new(Flights { started: 0, by_key: HashMap::new() }) })
    }

    /// What is known of a key, however old.
    pub fn get<Q: Asked<K> + ?Sized>(&self, key: &Q) -> Option<Arc<Entry<T>>> {
        self.entries.get(key)
    }

    /// Puts a value where the next request finds it; what is being read meanwhile is not kept.
    pub fn put(&self, key: K, value: T, read_at: NumericDate) {
        let mut flights = self.flights();
        flights.by_key.remove(&key);
        self.keep(key, Arc::new(value), read_at);
    }

    /// Forgets a key; what is being read meanwhile is not kept, and no request joins it any more.
    pub fn forget(&self, key: &K) {
        let mut flights = self.flights();
        flights.by_key.remove(key);
        self.entries.invalidate(key);
    }

    fn keep(&self, key: K, value: Arc<T>, read_at: NumericDate) {
        self.entries.insert(key, Arc::new(Entry { value, read_at, is_refreshed: AtomicBool::new(false) }));
    }

    /// Reads a key, or waits for a read in progress, as far as that is believed.
    ///
    /// # Errors
    /// What the read came to.
    pub async fn read<Q, F>(
        self: &Arc<Self>,
        asked: &Q,
        believed: Believed,
        now: NumericDate,
        read: &impl Fn() -> F,
    ) -> Result<Option<Arc<T>>, StoreError>
    where
        Q: Asked<K> + ?Sized,
        F: Future<Output = Result<Option<T>, StoreError>> + Send + 'static,
    {
        let seat = self.board(asked.key(), now, read);
        let mut landed = seat.read.await;
        if !seat.is_first && (believed == Believed::Nothing || matches!(landed, Ok(None))) {
            // A read that is in progress now was started after all of these requests came.
            let next = {
                let mut again = seat.again.lock().unwrap_or_else(PoisonError::into_inner);
                again.get_or_insert_with(|| self.board(asked.key(), now, read).read).clone()
            };
            landed = next.await;
        }
        landed.map_err(StoreError::from)
    }

    /// Reads a key again in the background, unless it is being read.
    pub fn refresh<Q, F>(self: &Arc<Self>, entry: &Arc<Entry<T>>, asked: &Q, now: NumericDate, read: &impl Fn() -> F)
    where
        Q: Asked<K> + ?Sized,
        F: Future<Output = Result<Option<T>, StoreError>> + Send + 'static,
    {
        if entry.is_refreshed.swap(true, Ordering::SeqCst) {
            return;
        }
        let (seat, entry) = (self.board(asked.key(), now, read), entry.clone());
        tokio::spawn(async move {
            if let Err(error) = seat.read.await {
                entry.is_refreshed.store(false, Ordering::SeqCst);
                tracing::warn!(%error, "a background refresh failed");
            }
        });
    }

    /// The read of a key that is in progress, or one that is started now.
    fn board<F>(self: &Arc<Self>, key: K, now: NumericDate, read: &impl Fn() -> F) -> Seat<T>
    where
        F: Future<Output = Result<Option<T>, StoreError>> + Send + 'static,
    {
        let mut flights = self.flights();
        if let Some(flight) = flights.by_key.get(&key)
            && let Some(read) = flight.read.upgrade()
        {
            return Seat { read, again: flight.again.clone(), is_first: false };
        }
        flights.started += 1;
        let number = flights.started;
        let (place, work) = (Place { shelf: self.clone(), key: key.clone(), number }, read());
        let read = async move {
            // A request that joins must not wait for a server that was silent before it came.
            let result = tokio::time::timeout(Duration::from_millis(DATABASE_PATIENCE), work).await;
            place.land(result.unwrap_or(Err(StoreError::Late)), now)
        };
        let (read, again) = (read.boxed().shared(), Again::default());
        if let Some(weak) = read.downgrade() {
            flights.by_key.insert(key, Flight { number, read: weak, again: again.clone() });
        }
        Seat { read, again, is_first: true }
    }

    /// How many bytes are held, and how many may be.
    pub fn weight(&self) -> (u64, u64) {
        self.entries.run_pending_tasks();
        (self.entries.weighted_size(), self.entries.policy().max_capacity().unwrap_or(u64::MAX))
    }
}

impl<K, T> Place<K, T>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    /// Keeps what was read, unless something newer is known by now.
    fn land(&self, result: Result<Option<T>, StoreError>, now: NumericDate) -> Landed<T> {
        let result = result.map(|value| value.map(Arc::new));
        let flights = self.shelf.flights();
        if flights.by_key.get(&self.key).is_some_and(|flight| flight.number == self.number) {
            match &result {
                Ok(Some(value)) => self.shelf.keep(self.key.clone(), value.clone(), now),
                // The database did answer: what the row was before is not what it says now.
                Ok(None) => self.shelf.entries.invalidate(&self.key),
                Err(error) if error.is_about_the_row() => self.shelf.entries.invalidate(&self.key),
                Err(_) => {}
            }
        }
        result.map_err(Arc::new)
    }
}
