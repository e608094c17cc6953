//! From settings to a running provider: stores opened and waited for, migrations applied, keys loaded.

use crate::audit::{self, Audit};
use crate::config::{Config, EphemeralUrl};
use crate::keys::{KeyError, Keys};
use crate::passwords::Passwords;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::secret::Password;
use crate::provider::{Clock, Provider, SharedValues, random};
use crate::store::StoreError;
use crate::store::cache::Directory;
use crate::store::db::{Db, Kind};
use crate::store::ephemeral::Ephemeral;
use crate::store::migrations::Migrations;
use crate::store::{logout_outbox, refresh_families, refusals};
use crate::throttle::Throttle;
use crate::web::outbound::Outbound;
use std::sync::Arc;
use std::time::Duration;

/// How long a database or Redis that is not there yet is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the keys folder is looked at.
const KEYS_INTERVAL: Duration = Duration::from_secs(5);

/// How often what has ended is forgotten.
const HOUSE_INTERVAL: Duration = Duration::from_mins(1);

/// Why a start failed: one message for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The keys.
    #[error("{0}")]
    Keys(#[from] KeyError),
    /// A store that did not come up in time.
    #[error("{what} did not answer for {} seconds: {cause}", PATIENCE.as_secs())]
    Unreachable {
        /// Which.
        what: &'static str,
        /// The last answer.
        cause: StoreError,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Opens the lasting store and applies what is pending.
///
/// # Errors
/// It cannot be reached, or a migration fails or was edited.
pub async fn open_database(config: &Config) -> Result<Db, StartError> {
    let db = patiently("the database (HALLPASS_DATABASE_URL)", || Db::open(&config.database_url)).await?;
    let migrations = Migrations::read(config.migrations.as_deref()).await?;
    let plan = migrations.plan(&db).await?;
    for version in &plan.missing {
        tracing::warn!(
            version,
            "a migration that the database has is not among this node's files; another node or a newer version may have it"
        );
    }
    if !plan.pending.is_empty() || !plan.edited.is_empty() {
        let applied = migrations.apply(&db).await?;
        audit::note_migrations(&db, &applied, Clock::System.now()).await?;
    }
    Ok(db)
}

/// Opens everything.
///
/// # Errors
/// Whatever keeps the provider from serving, with the mend where we know one.
pub async fn open(config: Config, clock: Clock) -> Result<Arc<Provider>, StartError> {
    let now = clock.now();
    let db = open_database(&config).await?;
    let ephemeral =
        patiently("Redis (HALLPASS_REDIS_URL)", || Ephemeral::open(&config.redis_url, &config.issuer, clock.clone()))
            .await?;
    // Several nodes that each made keys of their own would refuse one another's tokens.
    let is_embedded = matches!(db.kind(), Kind::Sqlite(_)) && matches!(config.redis_url, EphemeralUrl::Memory);
    let keys = Keys::open(&config.keys, is_embedded, now)?;
    let candidate = || Password::from_random(&random::<32>());
    let pairwise_salt = db.shared_value("pairwise_salt", candidate().expose()).await?;
    let mask_secret = db.shared_value("mask_key", candidate().expose()).await?;
    let shared = SharedValues::new(pairwise_salt, &mask_secret);
    let passwords = Passwords::new().map_err(|error| StartError::Other(error.to_string()))?;
    let outbound = Outbound::new(config.outbound_ca.as_deref()).map_err(StartError::Other)?;
    let directory = Directory::new(db.clone());
    let audit = Audit::start(db.clone(), clock.clone());
    Ok(Arc::new(Provider {
        config,
        clock,
        db,
        ephemeral,
        directory,
        keys,
        passwords,
        outbound,
        throttle: Throttle::default(),
        audit,
        shared,
    }))
}

/// Looks at the keys folder every few seconds, so that a new file works without a restart. A faulty one is
/// reported and changes nothing.
pub async fn watch_keys(provider: Arc<Provider>) {
    let mut interval = tokio::time::interval(KEYS_INTERVAL);
    let mut last_fault = String::new();
    loop {
        interval.tick().await;
        let watched = provider.clone();
        match tokio::task::spawn_blocking({
            let watched = watched.clone();
            move || watched.keys.refresh(watched.now())
        })
        .await
        {
            Ok(Ok(changed)) => {
                last_fault.clear();
                if changed {
                    tracing::info!("the signing keys were read again");
                    let kids = watched.keys.current().kids();
                    watched.audit.record(Event::new(EventKind::KeysChanged, watched.now()).with("keys", kids));
                }
            }
            Ok(Err(error)) => {
                let fault = error.to_string();
                if fault != last_fault {
                    tracing::error!(fault, "the signing keys could not be read again; the ones from before go on");
                    last_fault = fault;
                }
            }
            Err(_) => return,
        }
    }
}

/// Forgets from time to time what has ended: salts whose window is over, families of long ago.
pub async fn keep_house(provider: Arc<Provider>) {
    let mut interval = tokio::time::interval(HOUSE_INTERVAL);
    loop {
        interval.tick().await;
        let (db, now) = (&provider.db, provider.now());
        let families = refresh_families::sweep(db, provider.config.refresh_reuse_window, now).await;
        let swept = families.and(logout_outbox::sweep(db, now).await).and(refusals::sweep(db, now).await);
        if let Err(error) = swept {
            tracing::warn!(%error, "what has ended could not be forgotten; it is tried again");
        }
    }
}

/// Tries until it works, or until waiting is pointless.
async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(
    what: &'static str,
    open: impl Fn() -> F,
) -> Result<T, StartError> {
    let give_up = tokio::time::Instant::now() + PATIENCE;
    let mut waited = false;
    loop {
        match open().await {
            Ok(value) => return Ok(value),
            Err(error) if !error.may_pass() => return Err(error.into()),
            Err(cause) if tokio::time::Instant::now() >= give_up => {
                return Err(StartError::Unreachable { what, cause });
            }
            Err(cause) => {
                if !waited {
                    tracing::warn!(%cause, "{what} does not answer; waiting for it, {} seconds at most", PATIENCE.as_secs());
                    waited = true;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
