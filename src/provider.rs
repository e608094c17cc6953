//! The one state of the server: settings, stores, keys, clock and chance.
//!
//! Every handler holds an `Arc<Provider>`. The clock is read once per request (`now`), randomness comes from
//! here only (`random`), so that tests can move the one and nobody throws dice in passing.

use crate::audit::Audit;
use crate::config::Config;
use crate::keys::Keys;
use crate::passwords::Passwords;
use crate::protocol::node_secrets::NodeSecrets;
use crate::protocol::time::NumericDate;
use crate::store::cache::Directory;
use crate::store::db::Db;
use crate::store::ephemeral::Ephemeral;
use crate::store::migrations::{SCHEMA_VERSION, Watch};
use crate::store::user_sessions::Seen;
use crate::throttle::Throttle;
use crate::web::outbound::Outbound;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
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
    reason = "the one place that throws dice; without randomness nothing may go on"
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
    pub fn is_about(&self, client_id: &str) {
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

/// What is not as it should be although requests are answered: a sentence under a short name each, for the readiness.
#[derive(Debug, Default)]
pub struct Degraded(Mutex<BTreeMap<&'static str, String>>);

impl Degraded {
    /// Says what there is to say under a name, or with `None` that there is nothing any more. Gives whether that is news.
    pub fn set(&self, name: &'static str, sentence: Option<String>) -> bool {
        let mut members = self.lock();
        if members.get(name) == sentence.as_ref() {
            return false;
        }
        match sentence {
            Some(sentence) => members.insert(name, sentence),
            None => members.remove(name),
        };
        true
    }

    /// Everything that is said now.
    #[must_use]
    pub fn members(&self) -> BTreeMap<&'static str, String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this node may serve on its database: one that is older than a row there would let in whom that row refuses.
#[derive(Debug, Default)]
pub struct Outdated(AtomicI64);

impl Outdated {
    /// Notes the least schema version that may serve.
    pub fn note(&self, least: i64) {
        if self.0.swap(least, Ordering::SeqCst) != least && least > SCHEMA_VERSION {
            tracing::error!(least, ours = SCHEMA_VERSION, fix = Self::FIX, "{}", Self::WHY);
        }
    }

    /// Why nobody is let in.
    pub const WHY: &'static str = "this version of Hallpass is older than rows in the database, and lets nobody in";
    /// What to do about it.
    pub const FIX: &'static str =
        "run the newest version that has run on this database (`hallpass --version` tells which this is)";

    /// Whether it may not.
    #[must_use]
    pub fn is_so(&self) -> bool {
        self.0.load(Ordering::SeqCst) > SCHEMA_VERSION
    }
}

/// The server's state.
pub struct Provider {
    /// The settings.
    pub config: Config,
    /// The clock.
    pub clock: Clock,
    /// The lasting store.
    pub db: Db,
    /// The short-lived store.
    pub ephemeral: Ephemeral,
    /// Clients, users and consents, cached.
    pub directory: Directory,
    /// The signing keys.
    pub keys: Keys,
    /// argon2 behind its gates.
    pub passwords: Passwords,
    /// Requests of our own to services.
    pub outbound: Outbound,
    /// When sign-ins were used, on its way to their rows.
    pub seen: Seen,
    /// How often somebody may be wrong.
    pub throttle: Throttle,
    /// What happened, on its way to the database.
    pub audit: Audit,
    /// What all nodes share and nobody else knows.
    pub secrets: NodeSecrets,
    /// What is not as it should be.
    pub degraded: Degraded,
    /// Whether the database has rows that only a newer version understands.
    pub outdated: Outdated,
    /// The migration files, of which some may be left undone.
    pub migrations: Watch,
}

impl Provider {
    /// The current second; read once at the top of a request and handed down.
    #[must_use]
    pub fn now(&self) -> NumericDate {
        self.clock.now()
    }

    /// The absolute URL of one of our paths.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.config.issuer)
    }
}
