//! What surrounds every piece of work: the clock, chance, and the request that is being answered.
//!
//! The clock is read once per request and handed down; randomness comes from here only, so that tests can move the one
//! and nothing random is made in passing. Everything may use this file, and it uses the protocol's words alone.

use crate::protocol::time::NumericDate;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Where the time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// The machine's clock moved by so many seconds; tests move it.
    Moved(Arc<AtomicI64>),
}

impl Clock {
    /// The current second.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn now(&self) -> NumericDate {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
        match self {
            Self::System => NumericDate(seconds),
            Self::Moved(by) => NumericDate(seconds.saturating_add(by.load(Ordering::SeqCst))),
        }
    }
}

/// Random bytes of the operating system.
///
/// # Panics
/// When the operating system has none, which leaves nothing safe to do.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "the one place that makes randomness; without it nothing may continue"
)]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// How long a request waits for the lasting store, in milliseconds.
pub const DATABASE_PATIENCE: u64 = 1500;

/// What becomes known of a request while it is answered, for its log record and for the audit; nothing is decided by it.
#[derive(Debug)]
pub struct Context {
    /// The request's reference.
    pub reference: String,
    client_id: OnceLock<String>,
    /// How long it may still wait for the lasting store, in milliseconds: all its statements together.
    database_patience: AtomicU64,
}

impl Context {
    /// Of a request with that reference.
    #[must_use]
    pub const fn new(reference: String) -> Self {
        Self { reference, client_id: OnceLock::new(), database_patience: AtomicU64::new(DATABASE_PATIENCE) }
    }

    /// How long it may still wait for the lasting store.
    #[must_use]
    pub fn database_patience(&self) -> Duration {
        Duration::from_millis(self.database_patience.load(Ordering::Relaxed))
    }

    /// Notes that it has waited so long.
    pub fn has_waited(&self, waited: Duration) {
        let waited = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        let _ = self
            .database_patience
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(waited)));
    }

    /// Notes which client it is about; the first word holds.
    pub fn set_client(&self, client_id: &str) {
        let _ = self.client_id.set(client_id.to_owned());
    }

    /// Which client it is about, if that is known.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.get().map(String::as_str)
    }
}

tokio::task_local! {
    /// Of the request that this task answers.
    pub static CONTEXT: Arc<Context>;
}

/// Asks the context of the request that is being answered; `None` outside of any.
pub fn context<T>(ask: impl FnOnce(&Context) -> T) -> Option<T> {
    CONTEXT.try_with(|context| ask(context)).ok()
}

/// Does something to its end, also when its caller goes away, in the context of the request that is being answered.
/// `None`: it panicked, or the process is ending.
pub async fn uncanceled<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let task = match CONTEXT.try_with(Arc::clone) {
        Ok(context) => tokio::spawn(CONTEXT.scope(context, work)),
        Err(_) => tokio::spawn(work),
    };
    task.await.ok()
}
