//! Sign-ins as rows: listed and ended by commands and by the users themselves, whichever process has the live record.
//!
//! Ending one writes `ended_at`. A node then takes the live record, tells the services, and writes `settled_at`; the
//! same for the sign-ins of users who are disabled or deleted, or whose sign-ins were declared invalid.

use crate::protocol::audit::{Event, EventKind};
use crate::protocol::secret::{Digest, Handle};
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::row::row;
use crate::store::{StoreError, audit_events, user_factors};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

// A sign-in continues under its name when the same user types the password again, unless it has been ended meanwhile.
const START: &str = "INSERT INTO user_sessions (session, sub, record, browser, network, started_at, auth_time, seen_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $8, $6, $7) ON CONFLICT (session) DO UPDATE SET record = excluded.record, \
     browser = excluded.browser, network = excluded.network, auth_time = excluded.auth_time, seen_at = excluded.seen_at, \
     expires_at = excluded.expires_at \
     WHERE user_sessions.ended_at IS NULL AND user_sessions.settled_at IS NULL AND user_sessions.sub = excluded.sub";
// Only while the row still names the record that was taken: a sign-in that continued meanwhile is another one.
const END: &str = "UPDATE user_sessions SET ended_at = COALESCE(ended_at, $2), settled_at = $2 \
     WHERE session = $1 AND record = $3 AND settled_at IS NULL";
const CLAIM: &str = "UPDATE user_sessions SET ended_at = COALESCE(ended_at, $2) WHERE session = $1 AND record = $3 AND settled_at IS NULL";
const RECORD: &str = "SELECT record FROM user_sessions WHERE session = $1 AND settled_at IS NULL";
// What ended, the sign-ins of users who may not sign in any more, those declared invalid, those of users who are not there.
const TO_SETTLE: &str = "SELECT session, record FROM user_sessions WHERE settled_at IS NULL AND ended_at IS NOT NULL \
     UNION ALL SELECT session, record FROM users CROSS JOIN user_sessions \
     WHERE users.disabled_at IS NOT NULL AND user_sessions.sub = users.sub AND settled_at IS NULL \
     UNION ALL SELECT session, record FROM users CROSS JOIN user_sessions \
     WHERE users.tokens_valid_after IS NOT NULL AND user_sessions.sub = users.sub \
     AND users.tokens_valid_after > user_sessions.auth_time AND settled_at IS NULL \
     UNION ALL SELECT session, record FROM user_sessions WHERE sub IS NULL AND settled_at IS NULL LIMIT 256";
const LIST: &str = "SELECT session, browser, network, started_at, seen_at, expires_at FROM user_sessions \
     WHERE sub = $1 AND ended_at IS NULL AND settled_at IS NULL AND expires_at > $2 ORDER BY seen_at DESC, session LIMIT 1000";
const OF_USER: &str = "SELECT session, browser, network, started_at, auth_time, seen_at, expires_at, ended_at FROM user_sessions \
     WHERE sub = $1 ORDER BY started_at, session";
const LAST: &str = "SELECT MAX(auth_time) FROM user_sessions WHERE sub = $1";
const SEEN: &str = "UPDATE user_sessions SET seen_at = $2 WHERE session = $1 AND seen_at < $2";
const END_ONE: &str = "UPDATE user_sessions SET ended_at = $3 WHERE sub = $1 AND session = $2 AND ended_at IS NULL AND settled_at IS NULL \
     RETURNING seen_at, expires_at";
const END_ALL: &str = "UPDATE user_sessions SET ended_at = $2 WHERE sub = $1 AND ended_at IS NULL AND settled_at IS NULL \
     RETURNING seen_at, expires_at";
const END_OTHERS: &str = "UPDATE user_sessions SET ended_at = $3 WHERE sub = $1 AND session <> $2 AND ended_at IS NULL \
     AND settled_at IS NULL RETURNING seen_at, expires_at";
const CONTINUE: &str = "UPDATE user_sessions SET record = $3, auth_time = $4, seen_at = $4 \
     WHERE sub = $1 AND session = $2 AND ended_at IS NULL AND settled_at IS NULL";
// Everywhere means also where a sign-in asks for no second factor. Once a second, as that is how it is told.
const UNTRUST: &str = "UPDATE users SET browsers_untrusted_at = $2 \
     WHERE sub = $1 AND (browsers_untrusted_at IS NULL OR browsers_untrusted_at < $2)";
// A shell without foreign keys leaves the names of users behind who are not there any more.
const ORPHANS: &str = "UPDATE user_sessions SET sub = NULL WHERE settled_at IS NULL AND sub IS NOT NULL \
     AND NOT EXISTS (SELECT 1 FROM users WHERE users.sub = user_sessions.sub)";
const SWEEP: [&str; 2] =
    ["DELETE FROM user_sessions WHERE expires_at <= $1", "DELETE FROM user_sessions WHERE settled_at <= $1"];

/// How long a sign-in that is over stays, in seconds.
const KEPT: i64 = 86_400;

/// A sign-in that starts, or continues with the password typed again.
pub struct Start<'a> {
    /// Its name.
    pub session: Handle,
    /// Whose it is.
    pub sub: &'a str,
    /// The key of its live record.
    pub record: &'a Digest,
    /// The browser, as the user is shown it.
    pub browser: &'a str,
    /// The network, as the user is shown it.
    pub network: &'a str,
    /// When the oldest of what was proven was proven.
    pub auth_time: NumericDate,
    /// The clock.
    pub now: NumericDate,
    /// Its absolute end.
    pub expires_at: NumericDate,
}

/// The name of a sign-in, as rows have it.
#[must_use]
pub fn name_of(session: Handle) -> String {
    session.text()
}

/// Writes a sign-in. `false`: it has been ended meanwhile, and its name cannot be used again.
///
/// # Errors
/// The database failed.
pub async fn start(db: &Db, start: &Start<'_>) -> Result<bool, StoreError> {
    let written = sqlx::query(START)
        .bind(start.session.text())
        .bind(start.sub)
        .bind(start.record.as_str())
        .bind(start.browser)
        .bind(start.network)
        .bind(start.now.0)
        .bind(start.expires_at.0)
        .bind(start.auth_time.0)
        .execute(&mut *db.writing().await?)
        .await?;
    Ok(written.rows_affected() == 1)
}

/// Notes that a sign-in is over: its live record is taken, and its services are told.
///
/// # Errors
/// The database failed.
pub async fn settled(db: &Db, session: Handle, record: &Digest, now: NumericDate) -> Result<(), StoreError> {
    sqlx::query(END).bind(session.text()).bind(now.0).bind(record.as_str()).execute(&mut *db.writing().await?).await?;
    Ok(())
}

/// Takes a sign-in that is to end, so that it cannot continue under its name. `false`: it continued meanwhile, with another
/// record, or is settled.
///
/// # Errors
/// The database failed.
pub async fn claim(db: &Db, row: &ToSettle, now: NumericDate) -> Result<bool, StoreError> {
    let claim = sqlx::query(CLAIM).bind(row.session.text()).bind(now.0).bind(row.record.as_str());
    Ok(claim.execute(&mut *db.writing().await?).await?.rows_affected() == 1)
}

/// The key of the live record of a sign-in that is not over.
///
/// # Errors
/// The database failed.
pub async fn record_of(db: &Db, session: Handle) -> Result<Option<Digest>, StoreError> {
    let record: Option<String> = sqlx::query_scalar(RECORD).bind(session.text()).fetch_optional(db.statement()).await?;
    Ok(record.map(Digest::stored))
}

/// A sign-in that is to end.
pub struct ToSettle {
    /// Its name.
    pub session: Handle,
    /// The key of its live record.
    pub record: Digest,
}

/// The sign-ins that are to end and have not been settled; 256 at most.
///
/// # Errors
/// The database failed.
pub async fn to_settle(db: &Db) -> Result<Vec<ToSettle>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as(TO_SETTLE).fetch_all(db.statement()).await?;
    let read = |(session, record): (String, String)| {
        Some(ToSettle { session: Handle::parse(&session)?, record: Digest::stored(record) })
    };
    // One may be there for two reasons.
    let rows: BTreeSet<(String, String)> = rows.into_iter().collect();
    Ok(rows.into_iter().filter_map(read).collect())
}

row! {
    /// A sign-in as a user or an operator is shown it.
    pub struct Listed {
        /// Its name.
        pub session: String,
        /// `browser`.
        pub browser: String,
        /// `network`.
        pub network: String,
        /// `started_at`.
        pub started_at: i64,
        /// `seen_at`, to within an hour.
        pub seen_at: i64,
        /// `expires_at`.
        pub expires_at: i64,
    }
}

/// The sign-ins of a user that have neither ended nor been idle for `idle_lifetime` seconds, the one used last first; a
/// thousand at most.
///
/// # Errors
/// The database failed.
pub async fn list(db: &Db, sub: &str, idle_lifetime: i64, now: NumericDate) -> Result<Vec<Listed>, StoreError> {
    let mut found: Vec<Listed> = sqlx::query_as(LIST).bind(sub).bind(now.0).fetch_all(db.statement()).await?;
    found.retain(|row| may_be_live(row.seen_at, row.expires_at, idle_lifetime, now));
    Ok(found)
}

row! {
    /// A sign-in with all that is kept of it but the key of its live record.
    pub struct Kept {
        /// Its name.
        pub session: String,
        /// `browser`.
        pub browser: String,
        /// `network`.
        pub network: String,
        /// `started_at`.
        pub started_at: i64,
        /// `auth_time`.
        pub auth_time: i64,
        /// `seen_at`, to within an hour.
        pub seen_at: i64,
        /// `expires_at`.
        pub expires_at: i64,
        /// `ended_at`.
        pub ended_at: Option<i64>,
    }
}

/// Every sign-in of a user that is kept, also those that are over; the oldest first.
///
/// # Errors
/// The database failed.
pub async fn of_user(db: &Db, sub: &str) -> Result<Vec<Kept>, StoreError> {
    Ok(sqlx::query_as(OF_USER).bind(sub).fetch_all(db.statement()).await?)
}

/// When a user typed the password last, as far as that sign-in is kept.
///
/// # Errors
/// The database failed.
pub async fn last_sign_in(db: &Db, sub: &str) -> Result<Option<NumericDate>, StoreError> {
    let last: Option<i64> = sqlx::query_scalar(LAST).bind(sub).fetch_one(db.statement()).await?;
    Ok(last.map(NumericDate))
}

/// Whether a sign-in that has not ended is not over either. It may have been used since, for as long as that is not written.
fn may_be_live(seen_at: i64, expires_at: i64, idle_lifetime: i64, now: NumericDate) -> bool {
    NumericDate(expires_at) > now && NumericDate(seen_at).plus(idle_lifetime + SEEN_WITHIN) > now
}

/// The most sign-ins whose use waits to be written.
const MOST_SEEN: usize = 100_000;
/// How many of them are written in one go.
const WRITTEN_AT_ONCE: usize = 1000;

/// When sign-ins were used, until it is written. It may be lost with the process: a row is then an hour behind.
#[derive(Default)]
pub struct Seen(Mutex<HashMap<Handle, NumericDate>>);

impl Seen {
    /// Notes that a sign-in was used.
    pub fn note(&self, session: Handle, at: NumericDate) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MOST_SEEN || seen.contains_key(&session) {
            seen.insert(session, at);
        }
    }

    /// Writes what was noted, a thousand at most.
    pub async fn write(&self, db: &Db) {
        let due: Vec<(Handle, NumericDate)> = {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let due: Vec<_> = seen.iter().take(WRITTEN_AT_ONCE).map(|(session, at)| (*session, *at)).collect();
            for (session, _) in &due {
                seen.remove(session);
            }
            due
        };
        let mut due = due.into_iter();
        while let Some((session, at)) = due.next() {
            if let Err(error) = seen(db, session, at).await {
                tracing::debug!(%error, "when sign-ins were used could not be written; it is tried again");
                let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                for (session, at) in std::iter::once((session, at)).chain(due) {
                    let latest = seen.entry(session).or_insert(at);
                    *latest = at.max(*latest);
                }
                return;
            }
        }
    }
}

/// How far `seen_at` may be behind, in seconds.
pub const SEEN_WITHIN: i64 = 3600;

async fn seen(db: &Db, session: Handle, at: NumericDate) -> Result<(), StoreError> {
    sqlx::query(SEEN).bind(session.text()).bind(at.0).execute(&mut *db.writing().await?).await?;
    Ok(())
}

/// Who ends sign-ins of a user.
#[derive(Clone, Copy)]
pub enum By<'a> {
    /// The user, from that network.
    Person(&'a str),
    /// An operator.
    Operator,
}

/// Which sign-ins of a user end.
#[derive(Clone, Copy)]
pub enum Which<'a> {
    /// The one of that name.
    One(&'a str),
    /// All but the one of that name.
    Others(&'a str),
    /// All.
    All,
}

/// Ends sign-ins of a user. Every node sees it within ten seconds. Gives how many there were that
/// had neither ended nor been idle for `idle_lifetime` seconds.
///
/// # Errors
/// The database failed.
pub async fn end(
    db: &Db,
    sub: &str,
    which: Which<'_>,
    by: By<'_>,
    idle_lifetime: i64,
    now: NumericDate,
) -> Result<u64, StoreError> {
    let mut transaction = db.begin().await?;
    if matches!(which, Which::All) {
        // It is written below, and held first, as everywhere.
        user_factors::hold_in(&mut transaction, sub).await?;
    }
    let statement = match which {
        Which::One(session) => sqlx::query_as(END_ONE).bind(sub).bind(session).bind(now.0),
        Which::Others(session) => sqlx::query_as(END_OTHERS).bind(sub).bind(session).bind(now.0),
        Which::All => sqlx::query_as(END_ALL).bind(sub).bind(now.0),
    };
    let rows: Vec<(i64, i64)> = statement.fetch_all(&mut *transaction).await?;
    if matches!(which, Which::All) {
        sqlx::query(UNTRUST).bind(sub).bind(now.0).execute(&mut *transaction).await?;
    }
    let is_live = |(seen_at, expires_at): &&(i64, i64)| may_be_live(*seen_at, *expires_at, idle_lifetime, now);
    let ended = rows.iter().filter(is_live).count() as u64;
    if ended > 0 {
        let event = Event::new(EventKind::UserSessionsEnded, now).of(sub).with("count", ended);
        let event = match by {
            By::Person(network) => event.with("by", "person").from(&network),
            By::Operator => event.with("by", "operator"),
        };
        audit_events::note_change(&mut transaction, event, now).await?;
    }
    transaction.commit().await?;
    Ok(ended)
}

/// Ends the trust of a user in every browser: the next plain sign-in asks for the second factor there. Sign-ins stay.
///
/// # Errors
/// The database failed.
pub async fn untrust(db: &Db, sub: &str, network: &str, now: NumericDate) -> Result<(), StoreError> {
    let mut transaction = db.begin().await?;
    let ended = sqlx::query(UNTRUST).bind(sub).bind(now.0).execute(&mut *transaction).await?;
    if ended.rows_affected() == 1 {
        let event = Event::new(EventKind::BrowsersUntrusted, now).of(sub).from(&network);
        audit_events::note_change(&mut transaction, event, now).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Ends every sign-in of a user, in the transaction of what ends them; gives how many there were.
///
/// # Errors
/// The database failed.
pub(super) async fn end_all(
    connection: &mut sqlx::AnyConnection,
    sub: &str,
    now: NumericDate,
) -> Result<u64, StoreError> {
    Ok(sqlx::query(END_ALL).bind(sub).bind(now.0).fetch_all(connection).await?.len() as u64)
}

/// Ends every sign-in of a user but one, in the transaction of what ends them; gives how many.
pub(super) async fn end_others(
    connection: &mut sqlx::AnyConnection,
    sub: &str,
    session: Handle,
    now: NumericDate,
) -> Result<u64, StoreError> {
    let end = sqlx::query(END_OTHERS).bind(sub).bind(session.text()).bind(now.0);
    Ok(end.fetch_all(connection).await?.len() as u64)
}

/// Gives a sign-in that continues another live record, the password typed now. `false`: it has ended.
pub(super) async fn continue_as(
    connection: &mut sqlx::AnyConnection,
    sub: &str,
    session: Handle,
    record: &Digest,
    now: NumericDate,
) -> Result<bool, StoreError> {
    let written = sqlx::query(CONTINUE).bind(sub).bind(session.text()).bind(record.as_str()).bind(now.0);
    Ok(written.execute(connection).await?.rows_affected() == 1)
}

/// Forgets sign-ins that are long over, and finds those whose user is not there any more.
///
/// # Errors
/// The database failed.
pub async fn sweep(db: &Db, now: NumericDate) -> Result<(), StoreError> {
    sqlx::query(ORPHANS).execute(&mut *db.writing().await?).await?;
    for statement in SWEEP {
        sqlx::query(statement).bind(now.plus(-KEPT).0).execute(&mut *db.writing().await?).await?;
    }
    Ok(())
}
