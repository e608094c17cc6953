//! Deleting a user: the row and what hangs on it go, a tombstone stays. The sign-ins lose their user, and the first node that
//! sees that ends them and tells the services (`sign_ins`). A user who asks for it is noted, and an operator decides.

use super::tombstones;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::row::row;
use crate::store::{StoreError, audit_events, refresh_families, user_factors, user_sessions};

const COUNT: &str = "SELECT (SELECT COUNT(*) FROM consents WHERE sub = $1) AS consents, \
     (SELECT COUNT(*) FROM group_members WHERE sub = $1) AS memberships";
// What says where a user was signed in is no use without the user; the row itself is what the sign-in is ended by.
const FORGET_PLACES: &str = "UPDATE user_sessions SET browser = '', network = '' WHERE sub = $1";
const DELETE_FAMILIES: &str = "DELETE FROM refresh_families WHERE sub = $1";
// Consents, memberships and claims go with it.
const DELETE: &str = "DELETE FROM users WHERE sub = $1";
// A sign-in whose user is gone has no sub, also that of another user who was deleted: nodes end all of them in one round.
const PENDING: &str = "SELECT (SELECT COUNT(*) FROM user_sessions WHERE sub IS NULL AND settled_at IS NULL) AS sessions, \
     (SELECT COUNT(*) FROM logout_outbox WHERE sub = $1 AND delivered_at IS NULL AND given_up_at IS NULL) AS messages";

const REQUESTED: &str = "SELECT deletion_requested_at FROM users WHERE sub = $1";
const ALL_REQUESTED: &str = "SELECT sub, username, deletion_requested_at FROM users WHERE deletion_requested_at IS NOT NULL \
     ORDER BY deletion_requested_at, sub LIMIT 200";
const REQUEST: &str = "UPDATE users SET deletion_requested_at = $2 WHERE sub = $1 AND deletion_requested_at IS NULL AND disabled_at IS NULL";
const WITHDRAW: &str =
    "UPDATE users SET deletion_requested_at = NULL WHERE sub = $1 AND deletion_requested_at IS NOT NULL";

row! {
    /// A user who asked for the account to be deleted.
    pub struct Requested {
        /// `sub`.
        pub sub: String,
        /// `username`.
        pub username: Option<String>,
        /// `deletion_requested_at`.
        pub deletion_requested_at: i64,
    }
}

/// When a user asked for the account to be deleted; `None`: there is no such request.
///
/// # Errors
/// The database failed.
pub async fn requested_at(db: &Db, sub: &str) -> Result<Option<NumericDate>, StoreError> {
    let at: Option<Option<i64>> = sqlx::query_scalar(REQUESTED).bind(sub).fetch_optional(db.statement()).await?;
    Ok(at.flatten().map(NumericDate))
}

/// Who asked for that, the oldest request first; 200 at most.
///
/// # Errors
/// The database failed.
pub async fn all_requested(db: &Db) -> Result<Vec<Requested>, StoreError> {
    Ok(sqlx::query_as(ALL_REQUESTED).fetch_all(db.statement()).await?)
}

/// Notes that a user asks for the account to be deleted, or takes that back. Nothing else happens. `false`: it was so before.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn request(
    db: &Db,
    sub: &str,
    is_asked_for: bool,
    network: &str,
    now: NumericDate,
) -> Result<bool, StoreError> {
    let mut transaction = db.begin().await?;
    let (statement, kind) = if is_asked_for {
        (sqlx::query(REQUEST).bind(sub).bind(now.0), EventKind::DeletionRequested)
    } else {
        (sqlx::query(WITHDRAW).bind(sub), EventKind::DeletionWithdrawn)
    };
    if statement.execute(&mut *transaction).await?.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    audit_events::note_change(&mut transaction, Event::new(kind, now).of(sub).from(&network), now).await?;
    transaction.commit().await?;
    Ok(true)
}

row! {
    /// What nodes have to do yet for users who were deleted, and write events of.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Pending {
        /// Sign-ins of any deleted user that have not ended at the nodes.
        pub sessions: i64,
        /// Services that have not been told of the end of a sign-in of this user.
        pub messages: i64,
    }
}

row! {
    struct Counted {
        consents: i64,
        memberships: i64,
    }
}

/// What ends with a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Sign-ins that are not over; a thousand at most.
    pub sessions: u64,
    /// Families of refresh tokens that could be used.
    pub refresh_families: u64,
    /// Clients that the user allowed something.
    pub consents: u64,
    /// Groups, also where the membership has ended.
    pub memberships: u64,
}

/// How long what is not used lasts, in seconds, as the settings have it.
#[derive(Clone, Copy, Debug)]
pub struct IdleLifetimes {
    /// Of a sign-in.
    pub session: i64,
    /// Of a family of refresh tokens, where the client's row says nothing else.
    pub refresh_family: i64,
}

/// What would end if a user were deleted or disabled now.
///
/// # Errors
/// The database failed.
pub async fn ends(db: &Db, sub: &str, idle: IdleLifetimes, now: NumericDate) -> Result<Ends, StoreError> {
    let sessions = user_sessions::list(db, sub, idle.session, now).await?.len();
    let families = refresh_families::of_user(db, sub, idle.refresh_family, now).await?;
    let counted: Counted = sqlx::query_as(COUNT).bind(sub).fetch_one(db.statement()).await?;
    Ok(Ends {
        sessions: sessions as u64,
        refresh_families: families.iter().filter(|family| family.is_live != 0).count() as u64,
        consents: counted.consents.unsigned_abs(),
        memberships: counted.memberships.unsigned_abs(),
    })
}

/// What is to be done yet for a user who was deleted.
///
/// # Errors
/// The database failed.
pub async fn pending(db: &Db, sub: &str) -> Result<Pending, StoreError> {
    Ok(sqlx::query_as(PENDING).bind(sub).fetch_one(db.statement()).await?)
}

/// Deletes a user for good; `username` is theirs. `false`: there was none.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn delete(
    db: &Db,
    sub: &str,
    username: Option<&str>,
    ends: Ends,
    now: NumericDate,
) -> Result<bool, StoreError> {
    let key = tombstones::key(db).await?;
    let mut transaction = db.begin().await?;
    // The user's row first, as everywhere.
    user_factors::hold_in(&mut transaction, sub).await?;
    sqlx::query(FORGET_PLACES).bind(sub).execute(&mut *transaction).await?;
    sqlx::query(DELETE_FAMILIES).bind(sub).execute(&mut *transaction).await?;
    tombstones::add(&mut transaction, &key, sub, username, now).await?;
    if sqlx::query(DELETE).bind(sub).execute(&mut *transaction).await?.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    let event = Event::new(EventKind::UserDeleted, now)
        .of(sub)
        .with("sessions", ends.sessions)
        .with("refresh_families", ends.refresh_families)
        .with("consents", ends.consents)
        .with("memberships", ends.memberships);
    audit_events::note_change(&mut transaction, event, now).await?;
    transaction.commit().await?;
    Ok(true)
}
