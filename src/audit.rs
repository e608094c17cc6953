//! The audit: events and refusals on their way to the database, off the request's path.
//!
//! A bounded queue and one task that empties it in batches, each one transaction. What cannot be kept, since more comes
//! than can be written, is counted, and the count is an event itself. What anybody can provoke (refusals, failed
//! sign-ins) has a budget, so that nobody fills the disk. Commands write their events with the change itself.

use crate::protocol::audit::{Chain, Event, EventKind, RefusalRecord};
use crate::protocol::time::NumericDate;
use crate::provider::{Clock, context};
use crate::store::db::Db;
use crate::store::migrations::File;
use crate::store::{StoreError, audit_events, refusals};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How many may wait to be written.
const QUEUE: usize = 8192;
/// How many are written in one transaction.
const BATCH: usize = 1024;
/// How long the first of a batch waits for others, while there are few.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the end of a run waits for the last batch.
const FAREWELL: Duration = Duration::from_secs(5);

/// How many provoked events may come at once, and how many a second in the long run.
const PROVOKED_BURST: i64 = 2000;
const PROVOKED_PER_SECOND: i64 = 5;

enum Item {
    Event(Event),
    Refusal(Box<RefusalRecord>),
    Flush(oneshot::Sender<()>),
}

/// How many provoked events may still be kept.
struct Budget {
    left: i64,
    counted_at: NumericDate,
}

impl Budget {
    fn take(&mut self, now: NumericDate) -> bool {
        let earned = now.since(self.counted_at).clamp(0, PROVOKED_BURST) * PROVOKED_PER_SECOND;
        self.left = (self.left + earned).min(PROVOKED_BURST);
        self.counted_at = now;
        let is_left = self.left > 0;
        self.left -= i64::from(is_left);
        is_left
    }
}

/// Where handlers leave what happened; cheap, and never waits.
pub struct Audit {
    sender: mpsc::Sender<Item>,
    lost: Arc<AtomicU64>,
    budget: Mutex<Budget>,
}

impl Audit {
    /// Starts the task that writes; it ends when this value does.
    #[must_use]
    pub fn start(db: Db, clock: Clock) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let budget = Mutex::new(Budget { left: PROVOKED_BURST, counted_at: clock.now() });
        tokio::spawn(write(db, clock, receiver, lost.clone()));
        Self { sender, lost, budget }
    }

    /// Leaves an event; the reference of the request that is being answered is added.
    pub fn record(&self, event: Event) {
        let is_provoked =
            matches!(event.kind, EventKind::Refusal | EventKind::SignInFailed | EventKind::SignInThrottled);
        if is_provoked && !self.may_be_kept(event.at) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let reference = event.reference.clone().or_else(|| context(|context| context.reference.clone()));
        self.leave(Item::Event(Event { reference, ..event }));
    }

    /// Leaves a refusal for `hallpass explain`, and its event.
    pub fn refused(&self, refusal: RefusalRecord, is_fault: bool) {
        let kind = if is_fault { EventKind::Fault } else { EventKind::Refusal };
        let event = Event {
            client_id: refusal.client_id.clone(),
            reference: Some(refusal.reference.clone()),
            ..Event::new(kind, NumericDate(refusal.at))
        };
        let event = event.with("code", refusal.code.as_str()).with("path", refusal.path.as_str());
        if !self.may_be_kept(event.at) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.leave(Item::Event(event));
        self.leave(Item::Refusal(Box::new(refusal)));
    }

    fn may_be_kept(&self, now: NumericDate) -> bool {
        // A poisoned lock holds a number that is as good as any.
        self.budget.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take(now)
    }

    fn leave(&self, item: Item) {
        if self.sender.try_send(item).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits, bounded, until what was left so far is written.
    pub async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        let flushed = async {
            if self.sender.send(Item::Flush(done)).await.is_ok() {
                let _ = is_done.await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, flushed).await;
    }
}

/// Writes events of a command or a start, which has no request to keep off the path of, in a chain of their own.
///
/// # Errors
/// The database failed.
pub async fn note(db: &Db, events: Vec<Event>, now: NumericDate) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let mut transaction = db.begin_in_background().await?;
    audit_events::append(&mut transaction, &mut None, events, now).await?;
    transaction.commit().await?;
    Ok(())
}

/// Notes which migrations were just applied.
///
/// # Errors
/// The database failed.
pub async fn note_migrations(db: &Db, applied: &[File], now: NumericDate) -> Result<(), StoreError> {
    let events = applied.iter().map(|file| {
        let event = Event::new(EventKind::MigrationApplied, now);
        event.with("version", file.version).with("description", file.description.as_str())
    });
    note(db, events.collect(), now).await
}

async fn write(db: Db, clock: Clock, mut receiver: mpsc::Receiver<Item>, lost: Arc<AtomicU64>) {
    let mut chain = None;
    while let Some(first) = receiver.recv().await {
        if !matches!(first, Item::Flush(_)) && receiver.len() < BATCH {
            tokio::time::sleep(PAUSE).await;
        }
        let (mut events, mut refused, mut flushed) = (Vec::new(), Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Event(event) => events.push(event),
                Item::Refusal(refusal) => refused.push(*refusal),
                Item::Flush(done) => flushed.push(done),
            }
            next = if events.len() < BATCH && flushed.is_empty() { receiver.try_recv().ok() } else { None };
        }
        let now = clock.now();
        let missed = lost.swap(0, Ordering::Relaxed);
        if missed > 0 {
            tracing::warn!(missed, "more happened than the audit can keep; so many events are not in it");
            events.push(Event::new(EventKind::EventsLost, now).with("count", missed));
        }
        keep(&db, &mut chain, events, &refused, now).await;
        // Whoever waits for it waits no longer, whatever became of it.
        drop(flushed);
    }
}

/// Writes a batch, again and again while the database is away: meanwhile the queue fills, and what is too much is lost.
async fn keep(db: &Db, chain: &mut Option<Chain>, events: Vec<Event>, refused: &[RefusalRecord], now: NumericDate) {
    if events.is_empty() && refused.is_empty() {
        return;
    }
    let mut pause = Duration::from_secs(1);
    loop {
        match write_batch(db, chain, events.clone(), refused, now).await {
            Ok(()) => return,
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, "the audit waits for the database");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(30));
            }
            Err(error) => {
                tracing::error!(%error, events = events.len(), "events could not be written to the audit and are lost");
                return;
            }
        }
    }
}

async fn write_batch(
    db: &Db,
    chain: &mut Option<Chain>,
    events: Vec<Event>,
    refused: &[RefusalRecord],
    now: NumericDate,
) -> Result<(), StoreError> {
    // Whether a commit that failed was carried out cannot be known, so what is written again goes to a chain of its own.
    let mut goes_on = chain.take();
    let mut transaction = db.begin_in_background().await?;
    if !events.is_empty() {
        audit_events::append(&mut transaction, &mut goes_on, events, now).await?;
    }
    refusals::add(&mut transaction, refused).await?;
    transaction.commit().await?;
    *chain = goes_on;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_can_provoke_has_a_budget() {
        let now = NumericDate(1_790_000_000);
        let mut budget = Budget { left: PROVOKED_BURST, counted_at: now };
        let kept = |budget: &mut Budget, now| (0..10_000).filter(|_| budget.take(now)).count();
        assert_eq!(kept(&mut budget, now), 2000);
        assert_eq!(kept(&mut budget, now.plus(10)), 50);
        assert_eq!(kept(&mut budget, now.plus(5)), 0, "a clock that goes back earns nothing");
        assert_eq!(kept(&mut budget, now.plus(1_000_000)), 2000);
    }
}
