//! How long a failed sign-in takes at least. Forms of hashes differ in cost by a thousand, so the time of an answer would tell
//! whose name was typed; where other forms than our own are stored, it comes no earlier than the dearest of them needs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Bounds on cost keep every form below it on any machine of these days; slower ones are not made slower still.
const LONGEST: Duration = Duration::from_secs(1);

/// What is known of the stored forms.
#[derive(Default)]
struct Known {
    /// The time of one hash of each form.
    times: BTreeMap<String, Duration>,
    /// How long an answer takes at least, for each hash that is computed for it.
    floor: Duration,
}

/// The floor, and who waits for it.
#[derive(Default)]
pub(super) struct Floor {
    known: Mutex<Known>,
    waiting: AtomicUsize,
    most: AtomicUsize,
    answered: AtomicUsize,
}

impl Floor {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of one hash of a form, if it was measured.
    pub(super) fn time_of(&self, form: &str) -> Option<Duration> {
        self.lock().times.get(form).copied()
    }

    /// Sets what is stored now; gives the floor where it is another than before.
    pub(super) fn set(&self, times: BTreeMap<String, Duration>) -> Option<Duration> {
        // A quarter on top: the machine has more to do than when it was measured.
        let floor = times.values().max().map_or(Duration::ZERO, |dearest| (*dearest * 5 / 4).min(LONGEST));
        let mut known = self.lock();
        let is_news = known.floor != floor;
        *known = Known { times, floor };
        is_news.then_some(floor)
    }

    /// How long an answer takes at least, for each hash that is computed for it.
    pub(super) fn current(&self) -> Duration {
        self.lock().floor
    }

    /// From when on a failure of what starts now may be answered, where that takes so many hashes; `None`: at once.
    pub(super) fn answer_from(&self, hashes: u32) -> Option<Instant> {
        let floor = self.current();
        (!floor.is_zero()).then(|| Instant::now() + floor * hashes)
    }

    /// Waits until it may be answered; nothing is held meanwhile.
    pub(super) async fn wait(&self, until: Option<Instant>) {
        let Some(until) = until else { return };
        let _waiter = Waiter::new(self);
        tokio::time::sleep_until(until).await;
        self.answered.fetch_add(1, Ordering::SeqCst);
    }

    /// How many answers had to wait for it, and how many waited at once at most.
    pub(super) fn waited(&self) -> (usize, usize) {
        (self.answered.load(Ordering::SeqCst), self.most.load(Ordering::SeqCst))
    }
}

/// One who waits, until it is dropped.
struct Waiter<'a>(&'a Floor);

impl<'a> Waiter<'a> {
    fn new(floor: &'a Floor) -> Self {
        let waiting = floor.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        floor.most.fetch_max(waiting, Ordering::SeqCst);
        Self(floor)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dearest_form_sets_the_floor_and_none_sets_none() {
        let floor = Floor::default();
        assert_eq!(floor.current(), Duration::ZERO);
        let of = |times: &[(&str, u64)]| {
            floor.set(times.iter().map(|(form, time)| ((*form).to_owned(), Duration::from_millis(*time))).collect())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("cheap", 1), ("dear", 400), ("ours", 20)]), Some(Duration::from_millis(500)));
        assert_eq!((of(&[("dear", 400)]), floor.time_of("cheap")), (None, None));
        assert_eq!(of(&[("dearest", 5000)]), Some(LONGEST));
        assert_eq!(of(&[]), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_waits_until_its_time_and_no_longer() {
        let floor = Floor::default();
        let start = Instant::now();
        floor.wait(floor.answer_from(2)).await;
        assert_eq!((start.elapsed(), floor.waited()), (Duration::ZERO, (0, 0)));
        floor.set(BTreeMap::from([("dear".to_owned(), Duration::from_millis(280))]));
        let until = floor.answer_from(2);
        assert_eq!(until, Some(start + Duration::from_millis(700)), "for each hash");
        tokio::join!(floor.wait(until), floor.wait(until));
        assert!(start.elapsed() >= Duration::from_millis(700) && start.elapsed() < Duration::from_millis(710));
        assert_eq!(floor.waited(), (2, 2));
        // Who hangs up does not wait any more.
        let later = tokio::time::timeout(Duration::from_millis(1), floor.wait(floor.answer_from(1))).await;
        assert!(later.is_err() && floor.waiting.load(Ordering::SeqCst) == 0);
    }
}
