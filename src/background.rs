//! The tasks behind the requests, each under a name, and who starts one again that has died.
//!
//! None of them is meant to end: one that panics or returns is told in the log, counted, started again after a pause that
//! grows, and named in the readiness until it has run for a while without dying.

use futures_util::FutureExt as _;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a task that died waits until it is started again: twice as long each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How long a task has to run until it counts as well again.
const WELL_AFTER: Duration = Duration::from_mins(5);
/// How much of a panic's text is told, in characters.
const MOST_TEXT: usize = 300;

/// What became of one task.
#[derive(Clone, Copy)]
struct Record {
    /// How often it died since the node started.
    died: u64,
    /// How often it died without having been well in between.
    in_a_row: u32,
    /// Since when it runs; `None`: it waits to be started again.
    runs_since: Option<Instant>,
}

impl Record {
    fn is_well(&self) -> bool {
        self.in_a_row == 0 || self.runs_since.is_some_and(|since| since.elapsed() >= WELL_AFTER)
    }
}

/// What became of all tasks; cheap to clone.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<BTreeMap<&'static str, Record>>>);

impl Records {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Record>> {
        // Counts are as good as any, whatever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn started(&self, name: &'static str) {
        let fresh = Record { died: 0, in_a_row: 0, runs_since: None };
        self.lock().entry(name).or_insert(fresh).runs_since = Some(Instant::now());
    }

    /// Counts a death; gives how long to wait.
    fn died(&self, name: &'static str) -> Duration {
        let mut records = self.lock();
        let Some(record) = records.get_mut(name) else { return FIRST_PAUSE };
        if record.is_well() {
            record.in_a_row = 0;
        }
        record.died += 1;
        record.in_a_row = record.in_a_row.saturating_add(1);
        record.runs_since = None;
        // The sixth doubling is beyond the longest.
        FIRST_PAUSE.saturating_mul(1 << (record.in_a_row - 1).min(6)).min(LONGEST_PAUSE)
    }
}

/// The tasks of a node.
#[derive(Default)]
pub struct Background {
    records: Records,
    tasks: Mutex<JoinSet<()>>,
}

impl Background {
    /// Keeps a task running until [`Self::stop`]; `start` makes it, now and each time that it has died.
    pub fn keep<F>(&self, name: &'static str, start: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let run = move || start().map(ControlFlow::Continue);
        self.records.started(name);
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(supervise(self.records.clone(), name, run));
    }

    /// Keeps a task running that ends by itself, with `Break`, when nothing is left to do for it; [`Self::stop`] leaves it
    /// alone.
    pub fn keep_to_its_end<F>(&self, name: &'static str, start: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ControlFlow<()>> + Send + 'static,
    {
        self.records.started(name);
        tokio::spawn(supervise(self.records.clone(), name, start));
    }

    /// Ends all tasks and waits until they have: each at the point where it waits for something.
    pub async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }

    /// How often each task has died since the node started.
    #[must_use]
    pub fn deaths(&self) -> BTreeMap<&'static str, u64> {
        self.records.lock().iter().map(|(name, record)| (*name, record.died)).collect()
    }

    /// Which tasks died and have not been well for long enough since, as one sentence.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let mut sentence = String::new();
        for (name, record) in self.records.lock().iter().filter(|(_, record)| !record.is_well()) {
            let separator = if sentence.is_empty() { "" } else { "; " };
            let times = if record.in_a_row == 1 { "once".to_owned() } else { format!("{} times", record.in_a_row) };
            let then = if record.runs_since.is_some() { "started again" } else { "is started again in a moment" };
            let _ = write!(sentence, "{separator}{name} died {times}, {then}");
        }
        (!sentence.is_empty()).then_some(sentence)
    }
}

async fn supervise<F>(records: Records, name: &'static str, start: impl Fn() -> F + Send + Sync + 'static)
where
    F: Future<Output = ControlFlow<()>> + Send + 'static,
{
    loop {
        // Called inside, so that a panic before the first wait is caught as well. What a task shares with others is behind
        // locks that forgive a panic.
        let run = AssertUnwindSafe(async { start().await }).catch_unwind().await;
        let why = match run {
            Ok(ControlFlow::Break(())) => return,
            Ok(ControlFlow::Continue(())) => "it returned".to_owned(),
            Err(panic) => format!("panic: {}", text_of(&*panic)),
        };
        let pause = records.died(name);
        tracing::error!(
            task = name,
            why,
            pause = pause.as_secs(),
            "a task in the background died; it is started again"
        );
        tokio::time::sleep(pause).await;
        records.started(name);
    }
}

/// What a panic said, without what may be a secret: a token or hash of ours, a JWT, or the address of a store with its password.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let is_secret = |word: &str| {
        ["hp_", "eyJ", "$argon2", "$pbkdf2", "$scrypt$", "$2"].iter().any(|mark| word.contains(mark))
            || (word.contains("://") && word.contains('@'))
    };
    let words = text.unwrap_or("no text").split_whitespace();
    let told: Vec<&str> = words.map(|word| if is_secret(word) { "[redacted]" } else { word }).collect();
    told.join(" ").chars().filter(|c| !c.is_control()).take(MOST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Runs, and panics as long as there is something left to.
    fn dying(
        left: &Arc<AtomicU64>,
        starts: &Arc<AtomicU64>,
    ) -> impl Fn() -> futures_util::future::BoxFuture<'static, ()> + use<> {
        let (left, starts) = (left.clone(), starts.clone());
        move || {
            let (left, starts) = (left.clone(), starts.clone());
            async move {
                starts.fetch_add(1, Ordering::SeqCst);
                let is_last =
                    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err();
                assert!(is_last, "a test's own");
                std::future::pending::<()>().await;
            }
            .boxed()
        }
    }

    async fn seconds(number: u64) {
        tokio::time::sleep(Duration::from_secs(number)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_dies_is_counted_and_started_again_after_pauses_that_grow() {
        let background = Background::default();
        let (left, starts) = (Arc::new(AtomicU64::new(9)), Arc::new(AtomicU64::new(0)));
        background.keep("dying", dying(&left, &starts));
        background.keep("living", std::future::pending);
        tokio::time::sleep(Duration::from_millis(500)).await;
        for (died, pause) in [1, 2, 4, 8, 16, 32, 60, 60, 60].into_iter().enumerate() {
            let died = u64::try_from(died).unwrap() + 1;
            assert_eq!(background.deaths(), BTreeMap::from([("dying", died), ("living", 0)]));
            assert_eq!(starts.load(Ordering::SeqCst), died);
            let sentence = background.sentence().unwrap();
            let times = if died == 1 { "once".to_owned() } else { format!("{died} times") };
            assert_eq!(sentence, format!("dying died {times}, is started again in a moment"));
            seconds(pause - 1).await;
            assert_eq!(starts.load(Ordering::SeqCst), died, "not before its pause is over");
            seconds(1).await;
        }
        assert_eq!(starts.load(Ordering::SeqCst), 10);
        assert_eq!(background.sentence().unwrap(), "dying died 9 times, started again");
        seconds(298).await;
        assert!(background.sentence().is_some(), "it has not run for five minutes yet");
        seconds(2).await;
        assert_eq!(background.sentence(), None);
        assert_eq!(background.deaths()["dying"], 9, "the count stays");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_well_for_five_minutes_begins_with_the_shortest_pause_again() {
        let background = Background::default();
        let starts = Arc::new(AtomicU64::new(0));
        let counted = starts.clone();
        // Returns, which none of them should, at once for the first three times and then every ten minutes.
        background.keep("returning", move || {
            let starts = counted.fetch_add(1, Ordering::SeqCst);
            async move { seconds(if starts < 3 { 0 } else { 600 }).await }
        });
        // Pauses of 1, 2 and 4 seconds.
        seconds(8).await;
        assert_eq!(starts.load(Ordering::SeqCst), 4);
        seconds(602).await;
        assert_eq!((starts.load(Ordering::SeqCst), background.deaths()["returning"]), (5, 4));
        assert_eq!(background.sentence().unwrap(), "returning died once, started again");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_ends_all_of_them_and_waits_for_it() {
        struct Held(Arc<AtomicU64>);
        impl Drop for Held {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let background = Background::default();
        let ended = Arc::new(AtomicU64::new(0));
        for name in ["one", "two", "three"] {
            let ended = ended.clone();
            background.keep(name, move || {
                let held = Held(ended.clone());
                async move {
                    let _held = held;
                    std::future::pending::<()>().await;
                }
            });
        }
        let (left, starts) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(0)));
        background.keep("waits to be started", dying(&left, &starts));
        tokio::time::sleep(Duration::from_millis(500)).await;
        background.stop().await;
        assert_eq!(ended.load(Ordering::SeqCst), 3);
        seconds(3600).await;
        assert_eq!(starts.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_may_end_ends_and_is_started_again_if_it_died_before() {
        let background = Background::default();
        let starts = Arc::new(AtomicU64::new(0));
        let counted = starts.clone();
        background.keep_to_its_end("ending", move || {
            let is_first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                assert!(!is_first, "a test's own");
                ControlFlow::Break(())
            }
        });
        seconds(600).await;
        assert_eq!((background.deaths()["ending"], starts.load(Ordering::SeqCst)), (1, 2));
    }

    #[test]
    fn what_a_panic_said_is_told_without_secrets() {
        for (said, told) in [
            ("index 3 is\nout of bounds", "index 3 is out of bounds"),
            ("no hp_at_0123 and no \"hp_cs_x\"", "no [redacted] and no [redacted]"),
            ("cannot reach postgres://user:password@host/db now", "cannot reach [redacted] now"),
            ("eyJhbGciOiJub25lIn0.e30. $argon2id$v=19$x", "[redacted] [redacted]"),
        ] {
            assert_eq!(text_of(&said), told);
            assert_eq!(text_of(&said.to_owned()), told);
        }
        assert_eq!(text_of(&7), "no text");
        assert_eq!(text_of(&"x".repeat(1000)).len(), MOST_TEXT);
    }
}
