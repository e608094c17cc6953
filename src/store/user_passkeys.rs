//! Passkeys of users: what authenticators proved by them is checked above this floor (`crate::passkeys`). That a proof counts once is
//! decided here, by one statement. They are removed with the other factors (`user_factors`).

use crate::protocol::audit::{Event, EventKind};
use crate::protocol::claims::User;
use crate::protocol::secret::Digest;
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::row::row;
use crate::store::user_factors::{self, Added};
use crate::store::user_sessions::By;
use crate::store::{StoreError, audit_events, migrations, user_links, users};
use sqlx::AnyConnection;

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT passkey_id, sub, user_handle, credential_id, rp_id, name, passkey, backup_eligible, credential, ",
            "created_at, used_at, ceremony FROM user_passkeys WHERE ",
            $condition
        )
    };
}

const FIND: &str = select!("credential_id = $1");
const OF_USER: &str = select!("sub = $1 ORDER BY created_at, passkey_id");
const ADD: &str = "INSERT INTO user_passkeys (passkey_id, sub, user_handle, credential_id, rp_id, name, passkey, backup_eligible, credential, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
// Unless another proof of it was noted since it was read, whose counter may be another one, or this very one.
const USED: &str = "UPDATE user_passkeys SET passkey = $3, credential = $4, used_at = $5, ceremony = $6 \
     WHERE passkey_id = $1 AND passkey = $2 AND credential = $7 AND COALESCE(ceremony, '') <> CAST($6 AS TEXT)";
const KEEP: &str = "UPDATE user_passkeys SET credential = $3 WHERE sub = $1 AND credential = $2";
const REMOVE: &str = "DELETE FROM user_passkeys WHERE sub = $1 AND passkey_id = $2";
const REMOVE_ALL: &str = "DELETE FROM user_passkeys WHERE sub = $1";
const OFFERED: &str = "UPDATE users SET passkey_offered_at = $2 WHERE sub = $1 AND passkey_offered_at IS NULL";
const ELSEWHERE: &str = "SELECT COUNT(*) FROM user_passkeys WHERE rp_id <> $1";

/// The word of passkeys where they are told of among other factors.
pub const KIND: &str = "passkey";

row! {
    /// A passkey as it is stored.
    #[derive(Clone, Debug)]
    pub struct Stored {
        /// `passkey_id`.
        pub passkey_id: String,
        /// `sub`.
        pub sub: String,
        /// `user_handle`.
        pub user_handle: String,
        /// `credential_id`.
        pub credential_id: String,
        /// `rp_id`.
        pub rp_id: String,
        /// `name`.
        pub name: String,
        /// `passkey`.
        pub passkey: String,
        /// `backup_eligible`.
        pub backup_eligible: i64,
        /// `credential`.
        pub credential: String,
        /// `created_at`.
        pub created_at: i64,
        /// `used_at`.
        pub used_at: Option<i64>,
        /// `ceremony`.
        pub ceremony: Option<String>,
    }
}

/// A passkey that is about to be stored.
pub struct New<'a> {
    /// `passkey_id`.
    pub passkey_id: &'a str,
    /// Whose, as the user was when they had proven all that the account has.
    pub user: &'a User,
    /// `user_handle`.
    pub user_handle: &'a str,
    /// `credential_id`.
    pub credential_id: &'a str,
    /// `rp_id`.
    pub rp_id: &'a str,
    /// `name`.
    pub name: &'a str,
    /// `passkey`.
    pub passkey: &'a str,
    /// `backup_eligible`.
    pub is_backup_eligible: bool,
}

/// The passkey of that id, base64url.
///
/// # Errors
/// The database failed.
pub async fn find(db: &Db, credential_id: &str) -> Result<Option<Stored>, StoreError> {
    Ok(sqlx::query_as(FIND).bind(credential_id).fetch_optional(db.statement()).await?)
}

/// Every passkey of a user, the oldest first.
///
/// # Errors
/// The database failed.
pub async fn of_user(db: &Db, sub: &str) -> Result<Vec<Stored>, StoreError> {
    Ok(sqlx::query_as(OF_USER).bind(sub).fetch_all(db.statement()).await?)
}

/// The same in the transaction that changes factors.
///
/// # Errors
/// The database failed.
pub(super) async fn of_user_in(connection: &mut AnyConnection, sub: &str) -> Result<Vec<Stored>, StoreError> {
    Ok(sqlx::query_as(OF_USER).bind(sub).fetch_all(connection).await?)
}

/// Stores a passkey, where the user has fewer than `most`, with its event.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn add(db: &Db, new: &New<'_>, most: usize, by: By<'_>, now: NumericDate) -> Result<Added, StoreError> {
    let mut transaction = db.begin().await?;
    let sub = new.user.sub.as_str();
    if !user_factors::hold_in(&mut transaction, sub).await? || !users::is_still(&mut transaction, new.user).await? {
        transaction.rollback().await?;
        return Ok(Added::NoUser);
    }
    let held = of_user_in(&mut transaction, sub).await?;
    // Another tab was first: the authenticator has another handle than the next one would be asked for.
    if held.iter().any(|row| row.user_handle != new.user_handle) {
        transaction.rollback().await?;
        return Ok(Added::Before);
    }
    if held.len() >= most {
        transaction.rollback().await?;
        return Ok(Added::TooMany);
    }
    // They would be good once more should it be removed.
    user_links::end_for_factor(&mut transaction, sub).await?;
    let added = sqlx::query(ADD)
        .bind(new.passkey_id)
        .bind(sub)
        .bind(new.user_handle)
        .bind(new.credential_id)
        .bind(new.rp_id)
        .bind(new.name)
        .bind(new.passkey)
        .bind(i64::from(new.is_backup_eligible))
        .bind(&new.user.credential)
        .bind(now.0)
        .execute(&mut *transaction)
        .await?;
    if added.rows_affected() != 1 {
        transaction.rollback().await?;
        return Ok(Added::Before);
    }
    sqlx::query(OFFERED).bind(sub).bind(now.0).execute(&mut *transaction).await?;
    // A node of an older version would let the user in by the password alone.
    migrations::least_version_in(&mut transaction).await?;
    let event = Event::new(EventKind::FactorAdded, now).of(sub).with("kind", KIND);
    audit_events::note_change(&mut transaction, user_factors::told(event, by), now).await?;
    transaction.commit().await?;
    Ok(Added::Done)
}

/// A proof that holds.
pub struct Used<'a> {
    /// The passkey as it was read.
    pub before: &'a Stored,
    /// `passkey` from now on.
    pub passkey: &'a str,
    /// `credential` from now on.
    pub credential: &'a str,
    /// `ceremony` from now on.
    pub ceremony: &'a Digest,
}

/// Notes a proof. `false`: another one, or this one, was noted since the passkey was read, or it was removed. Of two at once one is first.
///
/// # Errors
/// The database failed, and it is not known whether it was noted.
pub async fn used(db: &Db, used: &Used<'_>, now: NumericDate) -> Result<bool, StoreError> {
    let Used { before, passkey, credential, ceremony } = *used;
    let noted = sqlx::query(USED).bind(&before.passkey_id).bind(&before.passkey).bind(passkey).bind(credential);
    let noted = noted.bind(now.0).bind(ceremony.as_str()).bind(&before.credential);
    Ok(noted.execute(&mut *db.writing().await?).await?.rows_affected() == 1)
}

/// Lets the passkeys that signed in beside one password do so beside the next, which their user chose.
///
/// # Errors
/// The database failed.
pub(super) async fn keep_in(
    connection: &mut AnyConnection,
    sub: &str,
    before: &str,
    after: &str,
) -> Result<(), StoreError> {
    sqlx::query(KEEP).bind(sub).bind(before).bind(after).execute(connection).await?;
    Ok(())
}

/// Removes a passkey. `false`: the user has none of that id.
///
/// # Errors
/// The database failed.
pub(super) async fn remove_in(connection: &mut AnyConnection, sub: &str, passkey_id: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query(REMOVE).bind(sub).bind(passkey_id).execute(connection).await?.rows_affected() == 1)
}

/// Removes every passkey of a user; gives how many there were.
///
/// # Errors
/// The database failed.
pub(super) async fn remove_all_in(connection: &mut AnyConnection, sub: &str) -> Result<u64, StoreError> {
    Ok(sqlx::query(REMOVE_ALL).bind(sub).execute(connection).await?.rows_affected())
}

/// Notes that a user was offered to add one, and answered: they are not asked again.
///
/// # Errors
/// The database failed.
pub async fn offered(db: &Db, sub: &str, now: NumericDate) -> Result<(), StoreError> {
    sqlx::query(OFFERED).bind(sub).bind(now.0).execute(&mut *db.writing().await?).await?;
    Ok(())
}

/// How many there are for another relying party than that, which may be none: no browser finds them here.
///
/// # Errors
/// The database failed.
pub async fn elsewhere(db: &Db, rp_id: Option<&str>) -> Result<u64, StoreError> {
    let count: i64 =
        sqlx::query_scalar(ELSEWHERE).bind(rp_id.unwrap_or_default()).fetch_one(db.statement_in_background()).await?;
    Ok(count.unsigned_abs())
}
