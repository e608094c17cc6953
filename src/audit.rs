//! The audit: events and refusals on their way to the database, off the request's path.
//!
//! A bounded queue and one task that empties it in batches, each one transaction. What cannot be kept, since more comes
//! than can be written, is counted, and the count is an event itself, once a minute at most. Commands write their events
//! with the change itself.
//!
//! An event is what changed something, or a sign-in that failed or was slowed. What any client can provoke has budgets, so
//! that no attacker fills the disk and no flood hides anything else: refusals, which are kept for `hallpass explain` and are
//! no events, have one, and of it each network; each account has one; and so have the names that no account has.

pub mod pruning;

use crate::ambient::{Clock, context, wishes_of_mail};
use crate::background::Background;
use crate::protocol::audit::{Chain, Event, EventKind, Impersonal, RefusalRecord};
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::migrations::File;
use crate::store::{StoreError, audit_events, mail_outbox, refusals};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How many may wait to be written.
const QUEUE: usize = 8192;
/// How many are written in one transaction.
const BATCH: usize = 1024;
/// How long the first of a batch waits for others, while there are few.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a batch that could not be written waits at most until it is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long the end of a run waits for the last batch.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How many refusals, and how many failures at names that no user has, may come at once, and how many a second in the long
/// run.
const STRANGERS: Rate = Rate { burst: 2000, earned: 5, every: 1 };
/// The same for what one account is tried with.
const ACCOUNT: Rate = Rate { burst: 60, earned: 1, every: 60 };
/// The same for the refusals of one network.
const NETWORK: Rate = Rate { burst: 200, earned: 1, every: 10 };
/// How many accounts or networks are remembered; those that have all of their budget need not be.
const MOST_REMEMBERED: usize = 20_000;
/// How often lost events are counted in an event, in seconds.
const LOST_INTERVAL: i64 = 60;

enum Item {
    Event(Box<Event>),
    Refusal(Box<RefusalRecord>),
    Flush(oneshot::Sender<()>),
}

/// How many may come at once, and how many are earned every so many seconds.
#[derive(Clone, Copy)]
struct Rate {
    burst: i64,
    earned: i64,
    every: i64,
}

/// How many may still be kept.
struct Budget {
    rate: Rate,
    left: i64,
    counted_at: NumericDate,
}

impl Budget {
    const fn new(rate: Rate, now: NumericDate) -> Self {
        Self { rate, left: rate.burst, counted_at: now }
    }

    fn earn(&mut self, now: NumericDate) {
        let Rate { burst, earned, every } = self.rate;
        let times = now.since(self.counted_at).max(0) / every;
        self.left = times.saturating_mul(earned).saturating_add(self.left).min(burst);
        // What is not a whole interval continues to count; a clock that goes back starts anew.
        self.counted_at = if now < self.counted_at { now } else { self.counted_at.plus(times * every) };
    }

    fn take(&mut self, now: NumericDate) -> bool {
        self.earn(now);
        let is_left = self.left > 0;
        self.left -= i64::from(is_left);
        is_left
    }
}

/// A budget for each of many.
struct Each {
    rate: Rate,
    budgets: HashMap<String, Budget>,
}

impl Each {
    fn new(rate: Rate) -> Self {
        Self { rate, budgets: HashMap::new() }
    }

    /// `None`: there are too many to remember one more.
    fn take(&mut self, name: &str, now: NumericDate) -> Option<bool> {
        if !self.budgets.contains_key(name) && self.budgets.len() >= MOST_REMEMBERED {
            self.budgets.retain(|_, budget| {
                budget.earn(now);
                budget.left < budget.rate.burst
            });
            if self.budgets.len() >= MOST_REMEMBERED {
                return None;
            }
        }
        let rate = self.rate;
        Some(self.budgets.entry(name.to_owned()).or_insert_with(|| Budget::new(rate, now)).take(now))
    }
}

/// The budgets of what any client can provoke.
struct Budgets {
    refusals: Budget,
    networks: Each,
    /// Failures at names that no user has.
    unknown: Budget,
    accounts: Each,
}

impl Budgets {
    fn new(now: NumericDate) -> Self {
        let strangers = || Budget::new(STRANGERS, now);
        Self { refusals: strangers(), networks: Each::new(NETWORK), unknown: strangers(), accounts: Each::new(ACCOUNT) }
    }

    /// Whether a failure at an account may be kept, or at a name that no user has.
    fn take_failure(&mut self, sub: Option<&str>, now: NumericDate) -> bool {
        let of_account = sub.and_then(|sub| self.accounts.take(sub, now));
        of_account.unwrap_or_else(|| self.unknown.take(now))
    }

    /// Whether a refusal may be kept, of a network or of one that many share.
    fn take_refusal(&mut self, network: Option<&str>, now: NumericDate) -> bool {
        network.and_then(|network| self.networks.take(network, now)).unwrap_or(true) && self.refusals.take(now)
    }
}

/// Where handlers leave what happened; cheap, and never waits.
pub struct Audit {
    sender: mpsc::Sender<Item>,
    lost: Arc<AtomicU64>,
    budgets: Mutex<Budgets>,
}

impl Audit {
    /// Starts the task that writes; it ends when this value does, and is started again if it dies before.
    #[must_use]
    pub fn start(db: Db, clock: Clock, background: &Background) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let budgets = Mutex::new(Budgets::new(clock.now()));
        let writer = Writer { db, clock, receiver: Arc::new(tokio::sync::Mutex::new(receiver)), lost: lost.clone() };
        background.keep_to_its_end("audit writer", move || write(writer.clone()));
        Self { sender, lost, budgets }
    }

    /// Leaves an event; the reference of the request that is being answered is added, and for a notice of it the languages that
    /// the request wishes for.
    pub fn record(&self, event: Event) {
        let is_provoked = matches!(
            event.kind,
            EventKind::SignInFailed
                | EventKind::SignInThrottled
                | EventKind::PasskeyCloned
                | EventKind::ClientThrottled
                | EventKind::ConsentDenied
                | EventKind::EntryRefused
                | EventKind::LinkNotMailed
        );
        if is_provoked && !self.budgets().take_failure(event.whose(), event.at) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let event = if mail_outbox::is_told(&event) { event.wished_in(wishes_of_mail()) } else { event };
        let event = event.in_request(context(|context| context.reference.clone()));
        self.leave(Item::Event(Box::new(event)));
    }

    /// Leaves a refusal for `hallpass explain`, with the network that was refused; `None`: one that many share.
    pub fn refused(&self, refusal: RefusalRecord, network: Option<&str>) {
        if self.budgets().take_refusal(network, NumericDate(refusal.at)) {
            self.leave(Item::Refusal(Box::new(refusal)));
        }
    }

    fn budgets(&self) -> MutexGuard<'_, Budgets> {
        // A poisoned lock holds numbers that are as good as any.
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, item: Item) {
        let is_event = matches!(item, Item::Event(_));
        if self.sender.try_send(item).is_err() && is_event {
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
        let _ = tokio::time::timeout(SHUTDOWN_GRACE, flushed).await;
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
        event.with("version", file.version).with("description", Impersonal::configured(&file.description))
    });
    note(db, events.collect(), now).await
}

/// What the task that writes needs, also once it is started again: then it continues with what waits, in a chain of its own.
#[derive(Clone)]
struct Writer {
    db: Db,
    clock: Clock,
    receiver: Arc<tokio::sync::Mutex<mpsc::Receiver<Item>>>,
    lost: Arc<AtomicU64>,
}

/// Events that were taken out of the queue: unless they are written, they are counted as lost, whatever ends their way.
struct Taken<'a> {
    lost: &'a AtomicU64,
    count: u64,
}

impl Taken<'_> {
    fn are_written(mut self) {
        self.count = 0;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.lost.fetch_add(self.count, Ordering::Relaxed);
    }
}

async fn write(Writer { db, clock, receiver, lost }: Writer) -> ControlFlow<()> {
    let mut receiver = receiver.lock().await;
    let mut chain = None;
    let mut counted_lost_at: Option<NumericDate> = None;
    while let Some(first) = receiver.recv().await {
        if !matches!(first, Item::Flush(_)) && receiver.len() < BATCH {
            tokio::time::sleep(PAUSE).await;
        }
        let (mut events, mut refused, mut flushed) = (Vec::new(), Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Event(event) => events.push(*event),
                Item::Refusal(refusal) => refused.push(*refusal),
                Item::Flush(done) => flushed.push(done),
            }
            next = if events.len() + refused.len() < BATCH && flushed.is_empty() {
                receiver.try_recv().ok()
            } else {
                None
            };
        }
        let now = clock.now();
        let is_time = counted_lost_at.is_none_or(|at| now.since(at) >= LOST_INTERVAL) || !flushed.is_empty();
        let missed = if is_time { lost.swap(0, Ordering::Relaxed) } else { 0 };
        if missed > 0 {
            counted_lost_at = Some(now);
            tracing::warn!(missed, "more happened than the audit can keep; so many events are not in it");
            events.push(Event::new(EventKind::EventsLost, now).with("count", missed));
        }
        let happened = u64::try_from(events.len()).unwrap_or(u64::MAX);
        // The event that counts those before is lost itself, and its count with it.
        let taken = Taken { lost: &lost, count: happened - u64::from(missed > 0) + missed };
        if keep(&db, &mut chain, events, &refused, now).await {
            taken.are_written();
        }
        // Those who wait for it wait no longer, whatever the outcome.
        drop(flushed);
    }
    ControlFlow::Break(())
}

/// Writes a batch, again and again while the database is away, busy or full: meanwhile the queue fills, and what is too
/// much is lost. `false`: it cannot be written, now or later.
async fn keep(
    db: &Db,
    chain: &mut Option<Chain>,
    events: Vec<Event>,
    refused: &[RefusalRecord],
    now: NumericDate,
) -> bool {
    if events.is_empty() && refused.is_empty() {
        return true;
    }
    let mut pause = Duration::from_secs(1);
    loop {
        match write_batch(db, chain, events.clone(), refused, now).await {
            Ok(()) => {
                queue_notices(db, &events, now).await;
                return true;
            }
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, "the audit waits for the database");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => {
                tracing::error!(%error, events = events.len(), "events could not be written to the audit and are lost");
                return false;
            }
        }
    }
}

/// Queues the mails that tell users of what was just written, each by itself: one that fails keeps no other back.
async fn queue_notices(db: &Db, events: &[Event], now: NumericDate) {
    for event in events.iter().filter(|event| mail_outbox::is_told(event)) {
        let mut queued = mail_outbox::note_alone(db, event, now).await;
        if queued.as_ref().is_err_and(StoreError::may_pass) {
            tokio::time::sleep(PAUSE).await;
            queued = mail_outbox::note_alone(db, event, now).await;
        }
        if let Err(error) = queued {
            let sub = event.sub.as_deref();
            tracing::warn!(%error, sub, "a user is not told of a sign-in by mail");
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

    const NOW: NumericDate = NumericDate(1_790_000_000);

    #[test]
    fn what_was_taken_to_be_written_and_was_not_is_counted() {
        let lost = AtomicU64::new(0);
        Taken { lost: &lost, count: 5 }.are_written();
        assert_eq!(lost.load(Ordering::Relaxed), 0);
        let writer = std::panic::AssertUnwindSafe(|| {
            let _taken = Taken { lost: &lost, count: 3 };
            panic!("a test's own");
        });
        assert!(std::panic::catch_unwind(writer).is_err());
        assert_eq!(lost.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn what_any_client_can_provoke_has_a_budget() {
        let mut budget = Budget::new(STRANGERS, NOW);
        let kept = |budget: &mut Budget, now| (0..10_000).filter(|_| budget.take(now)).count();
        assert_eq!(kept(&mut budget, NOW), 2000);
        assert_eq!(kept(&mut budget, NOW.plus(10)), 50);
        assert_eq!(kept(&mut budget, NOW.plus(5)), 0, "a clock that goes back earns nothing");
        assert_eq!(kept(&mut budget, NOW.plus(1_000_000)), 2000);
        let mut budget = Budget::new(ACCOUNT, NOW);
        assert_eq!(kept(&mut budget, NOW), 60);
        assert_eq!([30, 59, 61, 119, 121].map(|later| kept(&mut budget, NOW.plus(later))), [0, 0, 1, 0, 1]);
    }

    #[test]
    fn a_flood_hides_only_events_of_its_own_target() {
        let mut budgets = Budgets::new(NOW);
        for _ in 0..10_000 {
            let _ = budgets.take_failure(Some("alice"), NOW);
            let _ = budgets.take_failure(None, NOW);
            let _ = budgets.take_refusal(Some("198.51.100.1"), NOW);
        }
        assert!(!budgets.take_failure(Some("alice"), NOW) && !budgets.take_failure(None, NOW));
        assert_eq!((0..8).filter(|_| budgets.take_failure(Some("bob"), NOW)).count(), 8);
        assert!(!budgets.take_refusal(Some("198.51.100.1"), NOW));
        assert!(budgets.take_refusal(Some("198.51.100.2"), NOW) && budgets.take_refusal(None, NOW));
    }

    #[test]
    fn those_who_were_left_alone_are_forgotten() {
        let mut each = Each::new(ACCOUNT);
        for number in 0..MOST_REMEMBERED {
            assert_eq!(each.take(&number.to_string(), NOW), Some(true));
        }
        assert_eq!(each.take("one more", NOW), None);
        assert_eq!(each.take("one more", NOW.plus(120)), Some(true));
        assert_eq!(each.budgets.len(), 1);
    }
}
