//! The gates that hashes wait at: so many at once, a bounded queue behind them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many may wait at a gate before newcomers are turned away.
const QUEUE: usize = 128;

/// Too many hashes are waiting already: answer 503 and let the caller come again.
#[derive(Debug, thiserror::Error)]
#[error("too many password checks are waiting")]
pub struct Busy;

/// A gate that lets so many through at once and so many wait.
pub(super) struct Gate {
    running: Arc<Semaphore>,
    width: usize,
    waiting: AtomicUsize,
    /// The most that ever ran at once.
    most: AtomicUsize,
}

impl Gate {
    pub(super) fn new(width: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(width)),
            width,
            waiting: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }
    }

    /// Waits for its turn.
    pub(super) async fn enter(&self) -> Result<Turn, Busy> {
        let place = Place::take(&self.waiting)?;
        let permit = self.running.clone().acquire_owned().await.map_err(|_| Busy)?;
        drop(place);
        self.most.fetch_max(self.width - self.running.available_permits(), Ordering::SeqCst);
        Ok(Turn(permit))
    }

    /// How many it lets through at once.
    pub(super) const fn width(&self) -> usize {
        self.width
    }

    /// The most that ever ran at once.
    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// A turn at a gate: one hash, or none if it is dropped.
pub struct Turn(OwnedSemaphorePermit);

impl Turn {
    pub(super) async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        // The permit goes along: a caller who hangs up does not make the hash end earlier.
        tokio::task::spawn_blocking(move || {
            let Self(_permit) = self;
            work()
        })
        .await
        .map_err(|_| Busy)
    }
}

/// A place in a gate's queue, given back when it is dropped, also by a caller who goes away.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self, Busy> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::SeqCst) < QUEUE { Ok(place) } else { Err(Busy) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_turns_newcomers_away() {
        let gate = Gate::new(1);
        gate.waiting.store(QUEUE, Ordering::SeqCst);
        assert!(gate.enter().await.is_err());
        assert_eq!(gate.waiting.load(Ordering::SeqCst), QUEUE);
        gate.waiting.store(0, Ordering::SeqCst);
        assert!(gate.enter().await.unwrap().run(|| ()).await.is_ok());
        assert_eq!(gate.waiting.load(Ordering::SeqCst), 0);
    }
}
