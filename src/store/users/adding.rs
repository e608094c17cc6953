//! Adding a user: the row, its event, and that neither name nor address is another's.

use super::edit::{self, Details};
use super::tombstones::{self, Tombstone};
use super::{Holder, WITH_ADDRESS, credential_digest, fold_names};
use crate::ambient::random;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::node_secrets::NameKey;
use crate::protocol::secret::{Digest, Handle};
use crate::protocol::text;
use crate::protocol::time::NumericDate;
use crate::store::db::{Db, Transaction};
use crate::store::{StoreError, audit_events};

const INSERT: &str = "INSERT INTO users (sub, username, email, email_verified_at, password_hash, created_at, updated_at, \
     credential_digest, credential_id, username_folded, email_folded, folded_of) \
     VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10, $2 || ' ' || $3)";
// Two who are given one address at once are given it one after the other. The row is gone before the transaction ends.
const HOLD_ADDRESS: &str =
    "INSERT INTO provider_values (name, value) VALUES ($1, '') ON CONFLICT (name) DO UPDATE SET value = ''";
const LEAVE_ADDRESS: &str = "DELETE FROM provider_values WHERE name = $1";

/// A user to be added.
pub struct NewUser<'a> {
    /// `sub`.
    pub sub: &'a str,
    /// `username`.
    pub username: &'a str,
    /// `email`.
    pub email: &'a str,
    /// Whether it was verified.
    pub email_verified: bool,
    /// Whether it may be another user's address, too.
    pub may_share_address: bool,
    /// The other claims.
    pub details: Details<'a>,
    /// argon2id in PHC form, of a prepared password.
    pub password_hash: &'a str,
    /// The clock.
    pub now: NumericDate,
}

/// A `sub` for a user about to be added.
#[must_use]
pub fn new_sub() -> String {
    Handle::to_be_typed(random()).text()
}

/// How adding a user ended.
#[derive(Debug)]
pub enum Added {
    /// The user is there.
    Done,
    /// Another user has the user name or the `sub`.
    Taken,
    /// A deleted user had the user name or the `sub`.
    Gone(Tombstone),
    /// Another user has the address.
    AddressTaken,
}

/// Adds a user.
///
/// # Errors
/// The database failed.
pub async fn add(db: &Db, user: &NewUser<'_>) -> Result<Added, StoreError> {
    let adding = Adding::prepare(db).await?;
    let mut transaction = db.begin().await?;
    let event = Event::new(EventKind::UserAdded, user.now).of(user.sub);
    let added = adding.write(&mut transaction, user, event).await?;
    match added {
        Added::Done => transaction.commit().await?,
        Added::Taken | Added::Gone(_) | Added::AddressTaken => transaction.rollback().await?,
    }
    Ok(added)
}

/// What is known before the transaction in which a user is added.
pub(in crate::store) struct Adding {
    names: NameKey,
}

impl Adding {
    /// Looks it up.
    ///
    /// # Errors
    /// The database failed.
    pub async fn prepare(db: &Db) -> Result<Self, StoreError> {
        // A name that its row does not have any more is free.
        fold_names(db).await?;
        Ok(Self { names: tombstones::key(db).await? })
    }

    /// Adds a user in a transaction, with the event of it. Unless it is `Done`, the transaction must be rolled back.
    ///
    /// # Errors
    /// The database failed.
    pub async fn write(
        &self,
        transaction: &mut Transaction,
        user: &NewUser<'_>,
        event: Event,
    ) -> Result<Added, StoreError> {
        if !user.may_share_address && is_address_taken(transaction, user.email, user.sub).await? {
            return Ok(Added::AddressTaken);
        }
        let added = sqlx::query(INSERT)
            .bind(user.sub)
            .bind(user.username)
            .bind(user.email)
            .bind(user.email_verified.then_some(user.now.0))
            .bind(user.password_hash)
            .bind(user.now.0)
            .bind(credential_digest(user.password_hash))
            .bind(Handle(random()).text())
            .bind(text::fold_username(user.username))
            .bind(text::fold_email(user.email))
            .execute(&mut **transaction)
            .await;
        match added {
            Ok(_) => {
                if let Some(gone) = tombstones::find_in(transaction, &self.names, user.sub, user.username).await? {
                    return Ok(Added::Gone(gone));
                }
                edit::set_details(transaction, user.sub, &user.details, user.now).await?;
                audit_events::note_change(transaction, event.personal("username", user.username), user.now).await?;
                Ok(Added::Done)
            }
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(Added::Taken),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether another user has an address, in the transaction that gives it to one: until that ends, no other that asks gets it.
pub(in crate::store) async fn is_address_taken(
    transaction: &mut Transaction,
    email: &str,
    sub: &str,
) -> Result<bool, StoreError> {
    let address = text::fold_email(email);
    hold_address(transaction, &address).await?;
    let others: Vec<Holder> = sqlx::query_as(WITH_ADDRESS).bind(address).fetch_all(&mut **transaction).await?;
    Ok(others.iter().any(|other| other.sub != sub))
}

/// Lets all others wait that hold the same address, as a sign-in compares it, until the transaction ends.
pub(in crate::store) async fn hold_address(transaction: &mut Transaction, folded: &str) -> Result<(), StoreError> {
    let name = format!("address:{}", Digest::of(&["address", folded]).as_str());
    sqlx::query(HOLD_ADDRESS).bind(&name).execute(&mut **transaction).await?;
    sqlx::query(LEAVE_ADDRESS).bind(&name).execute(&mut **transaction).await?;
    Ok(())
}
