//! Logout messages on their way: written with the sign-out, leased to one node at a time, tried until they arrive.

use crate::protocol::secret::{Digest, Handle};
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::row::row;

const ADD: &str = "INSERT INTO logout_outbox (message_id, client_id, sub, session, created_at, due_at) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (message_id) DO NOTHING";
const REPEAT: &str = "UPDATE logout_outbox SET created_at = $2, due_at = $3, tries = 0, delivered_at = NULL, given_up_at = NULL \
     WHERE message_id = $1 AND (delivered_at IS NOT NULL OR given_up_at IS NOT NULL)";
const IS_DELIVERED: &str = "SELECT COUNT(*) FROM logout_outbox WHERE message_id = $1 AND delivered_at IS NOT NULL";
const DUE: &str = "SELECT message_id FROM logout_outbox WHERE due_at <= $1 AND delivered_at IS NULL AND given_up_at IS NULL \
     ORDER BY due_at LIMIT 64";
const LEASE: &str = "UPDATE logout_outbox SET due_at = $3, tries = tries + 1 \
     WHERE message_id = $1 AND due_at <= $2 AND delivered_at IS NULL AND given_up_at IS NULL \
     RETURNING message_id, client_id, sub, session, created_at, tries";
const DELIVERED: &str = "UPDATE logout_outbox SET delivered_at = $2, last_result = $3 WHERE message_id = $1";
const FAILED: &str = "UPDATE logout_outbox SET due_at = $2, last_result = $3 WHERE message_id = $1";
const GIVEN_UP: &str = "UPDATE logout_outbox SET given_up_at = $2, last_result = $3 WHERE message_id = $1";
const OF_USER: &str = "SELECT client_id, created_at, tries, last_result, delivered_at, given_up_at FROM logout_outbox \
     WHERE sub = $1 ORDER BY created_at, message_id";
const SWEEP: &str = "DELETE FROM logout_outbox WHERE created_at <= $1";

/// How long a message may take before another node tries it, in seconds.
const LEASE_SECONDS: i64 = 30;
/// How long a message is left to the request that wrote it, before any node tries it, in seconds.
const FIRST_TRY: i64 = 5;
/// How long messages are kept, in seconds.
const KEPT: i64 = 30 * 86_400;

/// A message that this node delivers now.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its name.
    pub id: String,
    /// Whom it is for.
    pub client_id: String,
    /// Who was signed out: the local `sub`.
    pub sub: String,
    /// The session that ended.
    pub session: Handle,
    /// When it ended.
    pub created_at: NumericDate,
    /// How often it was tried, this time included.
    pub tries: i64,
}

row! {
    struct Row {
        message_id: String,
        client_id: String,
        sub: String,
        session: String,
        created_at: i64,
        tries: i64,
    }
}

row! {
    /// A message as an operator is shown it.
    pub struct Listed {
        /// `client_id`.
        pub client_id: String,
        /// `created_at`.
        pub created_at: i64,
        /// `tries`.
        pub tries: i64,
        /// `last_result`.
        pub last_result: Option<String>,
        /// `delivered_at`.
        pub delivered_at: Option<i64>,
        /// `given_up_at`.
        pub given_up_at: Option<i64>,
    }
}

/// The messages that tell of a user's sign-outs, the oldest first.
///
/// # Errors
/// The database failed.
pub async fn of_user(db: &Db, sub: &str) -> Result<Vec<Listed>, StoreError> {
    Ok(sqlx::query_as(OF_USER).bind(sub).fetch_all(db.statement()).await?)
}

/// The name of the message that tells a client of the end of a session: there is one, whichever node writes it.
fn name_of(session: Handle, client_id: &str) -> Handle {
    Handle::of_digest(&Digest::of(&["logout message", &session.text(), client_id]))
}

/// A message that is written.
pub struct Written {
    /// Its name.
    pub id: String,
    /// Whether it was there before.
    pub is_known: bool,
}

/// Writes the message that tells a client of the end of a session, if it is not there.
///
/// # Errors
/// The database failed.
pub async fn add(
    db: &Db,
    client_id: &str,
    sub: &str,
    session: Handle,
    now: NumericDate,
) -> Result<Written, StoreError> {
    let id = name_of(session, client_id).text();
    let added = sqlx::query(ADD)
        .bind(&id)
        .bind(client_id)
        .bind(sub)
        .bind(session.text())
        .bind(now.0)
        .bind(now.plus(FIRST_TRY).0)
        .execute(&mut *db.writing().await?)
        .await?;
    Ok(Written { id, is_known: added.rows_affected() == 0 })
}

/// Lets a message be sent once more that has arrived or was given up: the session that it told of has ended again.
///
/// # Errors
/// The database failed.
pub async fn repeat(db: &Db, id: &str, now: NumericDate) -> Result<(), StoreError> {
    sqlx::query(REPEAT).bind(id).bind(now.0).bind(now.plus(FIRST_TRY).0).execute(&mut *db.writing().await?).await?;
    Ok(())
}

/// Whether a message has arrived.
///
/// # Errors
/// The database failed.
pub async fn is_delivered(db: &Db, id: &str) -> Result<bool, StoreError> {
    let count: i64 = sqlx::query_scalar(IS_DELIVERED).bind(id).fetch_one(db.statement()).await?;
    Ok(count > 0)
}

/// The names of messages that are due.
///
/// # Errors
/// The database failed.
pub async fn due(db: &Db, now: NumericDate) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(DUE).bind(now.0).fetch_all(db.statement()).await?)
}

/// Who wants to send a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The request that wrote it, for which it is due at once.
    Writer,
    /// Whichever node finds it due.
    Round,
}

/// Takes a message for this node, if no other has it.
///
/// # Errors
/// The database failed.
pub async fn lease(db: &Db, id: &str, sender: Sender, now: NumericDate) -> Result<Option<Message>, StoreError> {
    let due = match sender {
        Sender::Writer => now.plus(FIRST_TRY),
        Sender::Round => now,
    };
    let leased = sqlx::query_as(LEASE).bind(id).bind(due.0).bind(now.plus(LEASE_SECONDS).0);
    let leased: Vec<Row> = leased.fetch_all(&mut *db.writing().await?).await?;
    Ok(leased.into_iter().next().and_then(|row| {
        Some(Message {
            id: row.message_id,
            client_id: row.client_id,
            sub: row.sub,
            session: Handle::parse(&row.session)?,
            created_at: NumericDate(row.created_at),
            tries: row.tries,
        })
    }))
}

/// Notes that a message arrived.
///
/// # Errors
/// The database failed.
pub async fn delivered(db: &Db, id: &str, result: &str, now: NumericDate) -> Result<(), StoreError> {
    sqlx::query(DELIVERED).bind(id).bind(now.0).bind(result).execute(&mut *db.writing().await?).await?;
    Ok(())
}

/// Notes that it did not, and when it is tried again.
///
/// # Errors
/// The database failed.
pub async fn failed(db: &Db, id: &str, result: &str, again_at: NumericDate) -> Result<(), StoreError> {
    sqlx::query(FAILED).bind(id).bind(again_at.0).bind(result).execute(&mut *db.writing().await?).await?;
    Ok(())
}

/// Notes that it is not tried again.
///
/// # Errors
/// The database failed.
pub async fn given_up(db: &Db, id: &str, result: &str, now: NumericDate) -> Result<(), StoreError> {
    sqlx::query(GIVEN_UP).bind(id).bind(now.0).bind(result).execute(&mut *db.writing().await?).await?;
    Ok(())
}

/// Forgets messages of long ago.
///
/// # Errors
/// The database failed.
pub async fn sweep(db: &Db, now: NumericDate) -> Result<(), StoreError> {
    sqlx::query(SWEEP).bind(now.plus(-KEPT).0).execute(&mut *db.writing().await?).await?;
    Ok(())
}
