//! The one state of the server: settings, stores, keys, and everything else that requests share. Every handler holds an
//! `Arc<Provider>`.

use crate::ambient::Clock;
use crate::audit::Audit;
use crate::background::Background;
use crate::config::Config;
use crate::keys::Keys;
use crate::keys::factors::FactorKeys;
use crate::mail::Outgoing;
use crate::passwords::Passwords;
use crate::protocol::node_secrets::NodeSecrets;
use crate::protocol::time::NumericDate;
use crate::store::cache::Directory;
use crate::store::db::Db;
use crate::store::ephemeral::Ephemeral;
use crate::store::migrations::{SCHEMA_VERSION, Watch};
use crate::store::user_sessions::Seen;
use crate::throttle::Throttle;
use crate::web::fault::FaultCounts;
use crate::web::outbound::Outbound;
use crate::web::remedies;
use crate::webauthn::RelyingParty;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
            let fix = remedies::UPDATE_NODE;
            tracing::error!(least, ours = SCHEMA_VERSION, %fix, "{}", Self::WHY);
        }
    }

    /// Why no user is let in.
    pub const WHY: &'static str = "this version of Hallpass is older than rows in the database, and lets no user in";

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
    /// The keys that seal the secrets of second factors.
    pub factor_keys: FactorKeys,
    /// What passkeys are for; `None`: the issuer's host is an address.
    pub relying_party: Option<RelyingParty>,
    /// Hashes of passwords and secrets behind their gates.
    pub passwords: Passwords,
    /// Requests of our own to services.
    pub outbound: Outbound,
    /// Mails on their way out.
    pub outgoing: Outgoing,
    /// When sign-ins were used, on its way to their rows.
    pub seen: Seen,
    /// How often a user or client may be wrong.
    pub throttle: Throttle,
    /// The tasks behind the requests, and how often each has died.
    pub background: Background,
    /// What happened, on its way to the database.
    pub audit: Audit,
    /// What all nodes share and no other party knows.
    pub secrets: NodeSecrets,
    /// How often which kind of thing broke.
    pub faults: FaultCounts,
    /// What is not as it should be.
    pub degraded: Degraded,
    /// Whether the database has rows that only a newer version understands.
    pub outdated: Outdated,
    /// The migration files; some may be left undone.
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
