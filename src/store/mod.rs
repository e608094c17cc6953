//! What is remembered, and the only place that names sqlx and redis. Functions take and return the
//! protocol's types.
//!
//! `db` is the lasting store (SQLite or PostgreSQL), `ephemeral` the short-lived one (in process or Redis);
//! the other files are typed verbs over one of the two.

pub mod access_tokens;
pub mod audit_events;
pub mod audit_pruning;
pub mod cache;
pub mod checkup;
pub mod clients;
pub mod codes;
pub mod consents;
pub mod db;
pub mod ephemeral;
pub mod facts;
pub mod further_claims;
pub mod groups;
pub mod identity_source;
pub mod imports;
pub mod interactions;
pub mod logout_outbox;
pub mod logout_requests;
pub mod mail_outbox;
mod memory;
pub mod migrations;
pub mod password_forms;
mod reach;
mod redis;
pub mod refresh_families;
pub mod refusals;
mod row;
pub mod scopes;
pub mod scratch;
pub mod sessions;
pub mod statements;
pub mod stored;
pub mod unthrottled;
pub mod user_events;
pub mod user_factors;
pub mod user_grants;
pub mod user_links;
pub mod user_passkeys;
pub mod user_sessions;
pub mod users;

use sqlx::migrate::MigrateError;

use crate::ambient::{Context, DATABASE_PATIENCE, context};
use crate::failure::Failure;
use std::sync::Arc;
use std::time::Duration;

/// The answer of the lasting store, if it comes in time: a request waits for it. All statements of one request share what it
/// may wait altogether.
///
/// # Errors
/// `Late`, or what the store says.
pub async fn timely<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let started = tokio::time::Instant::now();
    let patience = context(Context::database_patience).unwrap_or(Duration::from_millis(DATABASE_PATIENCE));
    let answer = tokio::time::timeout(patience, work).await.unwrap_or(Err(StoreError::Late));
    context(|context| context.has_waited(started.elapsed()));
    answer
}

/// Why a store could not answer. No client is told; it is logged once at the edge.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The lasting store failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The short-lived store failed.
    #[error("redis: {0}")]
    Redis(#[source] ::redis::RedisError),
    /// A migration could not be applied.
    #[error("migration: {0}")]
    Migration(#[from] MigrateError),
    /// A row says something the provider cannot act on.
    #[error("table {table}, {key:?}: {why}; {fix}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
        /// What is wrong with it.
        why: String,
        /// What to write instead.
        fix: String,
    },
    /// A record cannot be read back.
    #[error("a record in the short-lived store is not readable: {0}")]
    Record(#[from] serde_json::Error),
    /// The short-lived store is full; what is live is never evicted.
    #[error("the store of what is short-lived is full")]
    Full,
    /// The lasting store did not answer in time.
    #[error("the database did not answer in time")]
    Late,
    /// A file, a folder or a server is not as the store needs it.
    #[error(transparent)]
    Setup(#[from] Failure),
    /// A store cannot be reached, or refuses, which is told in plain words.
    #[error("{failure}")]
    Unusable {
        /// Why, and what to do.
        failure: Failure,
        /// Whether it may pass by itself.
        may_pass: bool,
    },
    /// Another process applies migrations, and has for as long as we wait for it.
    #[error("another process has held the lock of the migrations for 5 seconds and applied nothing")]
    MigrationsLocked,
    /// What several were told who waited for the same.
    #[error(transparent)]
    Shared(Arc<Self>),
}

impl From<::redis::RedisError> for StoreError {
    fn from(error: ::redis::RedisError) -> Self {
        // With noeviction it refuses what would need more memory.
        if error.code() == Some("OOM") { Self::Full } else { Self::Redis(error) }
    }
}

/// What to do about a lock that another process holds.
const LOCKED_FIX: &str = "wait until the other `hallpass` is done, or end it, and try again";

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Setup(failure) | StoreError::Unusable { failure, .. } => failure,
            StoreError::Inconsistent { table, key, why, fix } => {
                Self::new(format!("table {table}, {key:?}: {why}")).with_fix(fix)
            }
            StoreError::MigrationsLocked => Self::new(error.to_string()).with_fix(LOCKED_FIX),
            StoreError::Database(source)
            | StoreError::Migration(MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _)) => {
                reach::statement_failed(source)
            }
            StoreError::Redis(source) => reach::command_failed(source),
            StoreError::Migration(source) => Self::at("migration", source),
            StoreError::Record(source) => Self::at("a record in the short-lived store is not readable", source),
            StoreError::Full => Self::new(error.to_string()).with_fix("give Redis more memory (maxmemory)"),
            StoreError::Late => Self::new(error.to_string()).with_fix("look whether it runs and what holds it up"),
            StoreError::Shared(source) => Self::at("an answer that several waited for", source),
        }
    }
}

impl From<Arc<Self>> for StoreError {
    fn from(error: Arc<Self>) -> Self {
        match &*error {
            // Those that a caller tells apart stay what they are.
            Self::Inconsistent { table, key, why, fix } => {
                Self::Inconsistent { table, key: key.clone(), why: why.clone(), fix: fix.clone() }
            }
            Self::Late => Self::Late,
            Self::Full => Self::Full,
            _ => Self::Shared(error),
        }
    }
}

impl StoreError {
    /// Whether a store does not answer, answers too late or is full, so that the same request may work in a moment; not what
    /// is in it, and not how it is set up.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Redis(_) | Self::Full | Self::Late => true,
            Self::Shared(error) => error.is_outage(),
            _ => self.may_pass(),
        }
    }

    /// Whether the database did answer, with a row that cannot be acted on: what was known of it before is not what it says now.
    #[must_use]
    pub fn is_about_the_row(&self) -> bool {
        match self {
            Self::Inconsistent { .. } => true,
            Self::Database(error) => matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)),
            Self::Shared(error) => error.is_about_the_row(),
            _ => false,
        }
    }

    /// Whether the fault may pass by itself, so that the same is worth another try: no server listens, the server is still
    /// starting or has just failed over, a disk is full, another process writes.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Late => true,
            Self::Unusable { may_pass, .. } => *may_pass,
            Self::Shared(error) => error.may_pass(),
            Self::Database(error)
            | Self::Migration(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                db::may_pass(error)
            }
            Self::Redis(error) => {
                error.is_io_error()
                    || error.is_connection_refusal()
                    || error.is_timeout()
                    || matches!(error.code(), Some("LOADING" | "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN"))
            }
            _ => false,
        }
    }
}
