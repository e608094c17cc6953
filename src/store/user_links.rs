//! One-time links: one sets another password, one allows to set up the first second factor, one makes an address the user's, one
//! accepts an invitation and one ends a sign-up, whose users are not there before (`entries`).
//!
//! A row has the digest of the link's secret; it is deleted when the link is used, in the transaction of what it does. Of a user
//! one link of a purpose that an operator made is open at once, and of an address one invitation: another takes its place. Of those
//! that are mailed a few are, and none takes the place of another (`mailed`).

mod entries;
mod mailed;

pub(super) use entries::open_sign_ups;
pub use entries::{
    Accepted, Entry, Invitation, Invited, accept, find_entry, invitations, invite, make_sign_up, revoke_invitation,
};
pub use mailed::{Confirmation, Wanted, confirm_email, find_email, make_mailed, withdraw};

use crate::protocol::audit::{Event, EventKind};
use crate::protocol::claims::User;
use crate::protocol::mail::MailKind;
use crate::protocol::secret::LinkSecret;
use crate::protocol::time::NumericDate;
use crate::store::db::{Db, Transaction};
use crate::store::row::row;
use crate::store::{StoreError, audit_events, mail_outbox, users};
use sqlx::AnyConnection;

const INSERT: &str = "INSERT INTO user_links (digest, purpose, sub, credential, made_by, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, 'operator', $5, $6)";
const END_OF_PURPOSE: &str = "DELETE FROM user_links WHERE sub = $1 AND purpose = $2 AND made_by = 'operator'";
const END_WITH_MAILED: &str = "DELETE FROM user_links WHERE sub = $1 AND purpose = $2";
const FIND: &str = "SELECT user_links.sub, credential FROM user_links JOIN users ON users.sub = user_links.sub \
     WHERE digest = $1 AND purpose = $2 AND expires_at > $3 AND disabled_at IS NULL";
const SPEND: &str = "DELETE FROM user_links WHERE digest = $1 AND purpose = $2 AND expires_at > $3";
// Who asked for another address then need not have proven what the account has now.
const END_FOR_FACTOR: &str = "DELETE FROM user_links WHERE sub = $1 AND purpose IN ('factor', 'email')";
const END_OF_USER: &str = "DELETE FROM user_links WHERE sub = $1";
const OF_USER: &str = "SELECT purpose, made_by, created_at, expires_at FROM user_links WHERE sub = $1 AND purpose <> 'email' ORDER BY created_at";
const SWEEP: &str = "DELETE FROM user_links WHERE expires_at <= $1";

/// How long a link of a user is good for, in seconds.
pub const LIFETIME: i64 = 1800;

/// What a link of a user is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To set another password.
    Password,
    /// To set up a second factor, where there is none.
    Factor,
    /// To make an address the user's, and verified.
    Email,
}

impl Purpose {
    /// Its word in a row.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Factor => "factor",
            Self::Email => "email",
        }
    }

    /// What the link of a mail is for, where it has one.
    #[must_use]
    pub fn of_mail(kind: MailKind) -> Option<Self> {
        [Self::Password, Self::Factor, Self::Email].into_iter().find(|purpose| purpose.mail() == kind)
    }

    /// The mail that brings it.
    #[must_use]
    pub const fn mail(self) -> MailKind {
        match self {
            Self::Password => MailKind::PasswordLink,
            Self::Factor => MailKind::FactorLink,
            Self::Email => MailKind::EmailLink,
        }
    }
}

/// A link that an operator makes for a user.
pub struct NewLink<'a> {
    /// The link.
    pub link: &'a LinkSecret,
    /// For whom.
    pub sub: &'a str,
    /// The mark of the user's password, as it was read.
    pub credential: &'a str,
    /// What for.
    pub purpose: Purpose,
    /// The clock.
    pub now: NumericDate,
}

/// Makes a link, in place of one for the same that an operator made before; gives whether there was one. `None`: the user is
/// disabled, or gone.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn make(db: &Db, new: &NewLink<'_>) -> Result<Option<bool>, StoreError> {
    let NewLink { link, sub, credential, purpose, now } = *new;
    let mut transaction = db.begin().await?;
    if !users::hold_enabled(&mut transaction, sub).await? {
        transaction.rollback().await?;
        return Ok(None);
    }
    let replaced = end_of_purpose(&mut transaction, sub, purpose).await? > 0;
    sqlx::query(INSERT)
        .bind(link.digest().as_str())
        .bind(purpose.as_str())
        .bind(sub)
        .bind(credential)
        .bind(now.0)
        .bind(now.plus(LIFETIME).0)
        .execute(&mut *transaction)
        .await?;
    let event = Event::new(EventKind::UserLinkMade, now).of(sub).with("purpose", purpose.as_str());
    audit_events::note_change(&mut transaction, event, now).await?;
    transaction.commit().await?;
    Ok(Some(replaced))
}

/// Ends the links of a user for that, also those that were mailed; gives how many there were.
///
/// # Errors
/// The database failed.
pub async fn revoke(db: &Db, sub: &str, purpose: Purpose, now: NumericDate) -> Result<u64, StoreError> {
    let mut transaction = db.begin().await?;
    users::hold(&mut transaction, sub).await?;
    let ended = sqlx::query(END_WITH_MAILED).bind(sub).bind(purpose.as_str());
    let ended = ended.execute(&mut *transaction).await?.rows_affected();
    let ended = ended + mail_outbox::forget_links(&mut transaction, sub, Some(purpose.mail())).await?;
    if ended > 0 {
        let event =
            Event::new(EventKind::UserLinksEnded, now).of(sub).with("purpose", purpose.as_str()).with("count", ended);
        audit_events::note_change(&mut transaction, event, now).await?;
    }
    transaction.commit().await?;
    Ok(ended)
}

async fn end_of_purpose(transaction: &mut Transaction, sub: &str, purpose: Purpose) -> Result<u64, StoreError> {
    let ended = sqlx::query(END_OF_PURPOSE).bind(sub).bind(purpose.as_str());
    Ok(ended.execute(&mut **transaction).await?.rows_affected())
}

/// Ends the links of a user in the transaction of what ends them, another password, say; those that are about to be mailed, too.
///
/// # Errors
/// The database failed.
pub(super) async fn end_of_user(transaction: &mut Transaction, sub: &str) -> Result<u64, StoreError> {
    mail_outbox::forget_links(transaction, sub, None).await?;
    Ok(sqlx::query(END_OF_USER).bind(sub).execute(&mut **transaction).await?.rows_affected())
}

row! {
    struct Found {
        sub: Option<String>,
        credential: Option<String>,
    }
}

/// Whose link for that it is; `None`: it was used, has ended, or never was. Nothing is spent.
///
/// # Errors
/// The database failed.
pub async fn find(db: &Db, link: &LinkSecret, purpose: Purpose, now: NumericDate) -> Result<Option<User>, StoreError> {
    let digest = link.digest();
    let found = sqlx::query_as(FIND).bind(digest.as_str()).bind(purpose.as_str()).bind(now.0);
    let found: Option<Found> = found.fetch_optional(db.statement()).await?;
    let Some(Found { sub: Some(sub), credential }) = found else { return Ok(None) };
    // With another password than the row had when it was made, it is over.
    Ok(users::find(db, &sub).await?.filter(|user| credential.as_deref() == Some(&user.credential)))
}

/// A password that a link sets.
pub struct Reset<'a> {
    /// The link.
    pub link: &'a LinkSecret,
    /// Whose it is.
    pub sub: &'a str,
    /// argon2id in PHC form, of a prepared password.
    pub password_hash: &'a str,
    /// From where.
    pub network: &'a str,
    /// The clock.
    pub now: NumericDate,
}

/// Uses a link: it and every other link of the user end, and so do all sign-ins and families of refresh tokens. `false`: another
/// request was first, or the link has ended; nothing has changed.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn reset(db: &Db, reset: &Reset<'_>) -> Result<bool, StoreError> {
    let Reset { link, sub, password_hash, network, now } = *reset;
    let mut transaction = db.begin().await?;
    // The user's row first, as everywhere: two that change one user wait for each other in one order.
    let is_enabled = users::hold_enabled(&mut transaction, sub).await?;
    if !is_enabled || !spend(&mut transaction, link, Purpose::Password.as_str(), now).await? {
        transaction.rollback().await?;
        return Ok(false);
    }
    end_of_user(&mut transaction, sub).await?;
    users::write_password(&mut transaction, sub, password_hash).await?;
    let families = users::end_all(&mut transaction, sub, now).await?;
    let event = Event::new(EventKind::UserPasswordReset, now).of(sub).from(&network);
    audit_events::note_change(&mut transaction, event.with("refresh_families", families), now).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Ends the links by which a user could set up a second factor, since there is one, and those to another address: by one that a stolen
/// password asked for before, the notices would go to the thief.
///
/// # Errors
/// The database failed.
pub(super) async fn end_for_factor(connection: &mut AnyConnection, sub: &str) -> Result<(), StoreError> {
    sqlx::query(END_FOR_FACTOR).bind(sub).execute(&mut *connection).await?;
    for kind in [MailKind::FactorLink, MailKind::EmailLink] {
        mail_outbox::forget_links(connection, sub, Some(kind)).await?;
    }
    Ok(())
}

/// Spends a link that allows to set up a second factor, in the transaction that stores it. `false`: it was used, or has ended.
///
/// # Errors
/// The database failed.
pub(super) async fn spend_for_factor(
    transaction: &mut Transaction,
    link: &LinkSecret,
    now: NumericDate,
) -> Result<bool, StoreError> {
    spend(transaction, link, Purpose::Factor.as_str(), now).await
}

/// Spends a link once: one statement decides.
async fn spend(
    transaction: &mut Transaction,
    link: &LinkSecret,
    purpose: &str,
    now: NumericDate,
) -> Result<bool, StoreError> {
    let digest = link.digest();
    let spent = sqlx::query(SPEND).bind(digest.as_str()).bind(purpose).bind(now.0);
    Ok(spent.execute(&mut **transaction).await?.rows_affected() == 1)
}

row! {
    /// A link of a user, without what opens it.
    pub struct LinkOfUser {
        /// `purpose`.
        pub purpose: String,
        /// `made_by`.
        pub made_by: String,
        /// `created_at`.
        pub created_at: i64,
        /// `expires_at`.
        pub expires_at: i64,
    }
}

/// The links of a user that were not used; none for an address, as whether there is one says whether the address is another's.
///
/// # Errors
/// The database failed.
pub async fn of_user(db: &Db, sub: &str) -> Result<Vec<LinkOfUser>, StoreError> {
    Ok(sqlx::query_as(OF_USER).bind(sub).fetch_all(db.statement()).await?)
}

/// Deletes links that have ended.
///
/// # Errors
/// The database failed.
pub async fn sweep(db: &Db, now: NumericDate) -> Result<(), StoreError> {
    sqlx::query(SWEEP).bind(now.0).execute(&mut *db.writing().await?).await?;
    Ok(())
}

/// What a browser shows as a link, if it has the form of one: nothing else is looked up.
#[must_use]
pub fn received(text: &str) -> Option<LinkSecret> {
    const LENGTH: usize = LinkSecret::PREFIX.len() + 43;
    (text.len() == LENGTH && text.starts_with(LinkSecret::PREFIX)).then(|| LinkSecret::received(text))
}
