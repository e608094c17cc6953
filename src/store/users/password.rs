//! A user's own change of the password: one statement on the row decides, and what the old password started ends with it.

use super::credential_digest;
use crate::ambient::random;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::secret::{Digest, Handle};
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::{StoreError, audit_events, user_links, user_passkeys, user_sessions};

// Of two tabs that have proven the same password, one changes it.
const CHANGE: &str = "UPDATE users SET password_hash = $3, credential_digest = $4, credential_id = $5 \
     WHERE sub = $1 AND password_hash = $2 AND disabled_at IS NULL";

/// A mark for a new password, which what comes of it carries.
#[must_use]
pub fn new_credential() -> String {
    Handle(random()).text()
}

/// A password that takes the place of another.
pub struct Change<'a> {
    /// Whose.
    pub sub: &'a str,
    /// The hash of the password that was proven.
    pub before: &'a str,
    /// Its mark.
    pub credential_before: &'a str,
    /// The hash of the new one, which was prepared.
    pub password_hash: &'a str,
    /// The mark that what comes of the new one carries.
    pub credential: &'a str,
    /// The sign-in in which it happens: it continues.
    pub session: Handle,
    /// The key of its live record from now on.
    pub record: &'a Digest,
    /// From where.
    pub network: &'a str,
    /// The clock.
    pub now: NumericDate,
}

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is done; so many other sign-ins end.
    Done(u64),
    /// The row has another password than the one that was proven; nothing has changed.
    AnotherPassword,
    /// The sign-in has ended meanwhile; nothing has changed.
    SessionEnded,
}

/// Changes a password. The other sign-ins end, and all families of refresh tokens.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn change(db: &Db, change: &Change<'_>) -> Result<Changed, StoreError> {
    let Change { sub, session, record, now, .. } = *change;
    let mut transaction = db.begin().await?;
    let changed = sqlx::query(CHANGE)
        .bind(sub)
        .bind(change.before)
        .bind(change.password_hash)
        .bind(credential_digest(change.password_hash))
        .bind(change.credential)
        .execute(&mut *transaction)
        .await?;
    if changed.rows_affected() != 1 {
        transaction.rollback().await?;
        return Ok(Changed::AnotherPassword);
    }
    if !user_sessions::continue_as(&mut transaction, sub, session, record, now).await? {
        transaction.rollback().await?;
        return Ok(Changed::SessionEnded);
    }
    let others = user_sessions::end_others(&mut transaction, sub, session, now).await?;
    user_links::end_of_user(&mut transaction, sub).await?;
    // Who changes it here has proven every factor of the account.
    user_passkeys::keep_in(&mut transaction, sub, change.credential_before, change.credential).await?;
    let families = super::end_families(&mut transaction, sub, now).await?;
    let event = Event::new(EventKind::UserPasswordChanged, now)
        .of(sub)
        .from(&change.network)
        .with("sessions", others)
        .with("refresh_families", families);
    audit_events::note_change(&mut transaction, event, now).await?;
    transaction.commit().await?;
    Ok(Changed::Done(others))
}
