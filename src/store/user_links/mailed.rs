//! Links that go by mail: made when the mail is handed over, while the address is the user's and no one else's still, and forgotten
//! where the mail server does not take it. The one for another address makes it the user's when it is used.

use super::{NewLink, Purpose, end_of_user, spend};
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::claims::User;
use crate::protocol::secret::LinkSecret;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::mail_outbox::{self, MOST_LINKS};
use crate::store::row::row;
use crate::store::users::edit::{self, Edit};
use crate::store::users::{self, is_address_taken};
use serde::{Deserialize, Serialize};

const INSERT: &str = "INSERT INTO user_links (digest, purpose, sub, credential, detail, made_by, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, 'mail', $6, $7)";
// Verified to be theirs, and of no other user, be it as a user name.
const IS_THEIRS: &str = "SELECT COUNT(*) FROM users WHERE sub = $1 AND email = $2 AND email_verified_at IS NOT NULL \
     AND NOT EXISTS (SELECT 1 FROM users AS others WHERE others.sub <> $1 \
     AND (others.email_folded = users.email_folded OR others.username_folded = users.email_folded))";
const HAS_FACTOR: &str = "SELECT (SELECT COUNT(*) FROM user_factors WHERE sub = $1 AND kind = 'totp') \
     + (SELECT COUNT(*) FROM user_passkeys WHERE sub = $1)";
const OPEN: &str =
    "SELECT COUNT(*) FROM user_links WHERE sub = $1 AND purpose = $2 AND made_by = 'mail' AND expires_at > $3";
const WITHDRAW: &str = "DELETE FROM user_links WHERE digest = $1";
const FIND: &str = "SELECT user_links.sub, credential, detail FROM user_links JOIN users ON users.sub = user_links.sub \
     WHERE digest = $1 AND purpose = 'email' AND expires_at > $2 AND disabled_at IS NULL";

/// What a link for an address says of it.
#[derive(Serialize, Deserialize)]
struct Detail {
    email: String,
}

/// A link that is about to be mailed.
pub struct Wanted<'a> {
    /// The link.
    pub new: NewLink<'a>,
    /// The mail, which what ends links may have ended as well.
    pub mail_id: &'a str,
    /// Where the mail goes; of a link for an address: that address.
    pub address: &'a str,
}

/// Makes a link to be mailed. `false`: the address is not, or not only, the user's any more, or of a link for an address: it is
/// another's; as many are open as may be; the user is disabled, or gone, or has the second factor that it is for; the mail was ended.
/// Nothing has changed then.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn make_mailed(db: &Db, wanted: &Wanted<'_>) -> Result<bool, StoreError> {
    let Wanted { new: NewLink { link, sub, credential, purpose, now }, mail_id, address } = *wanted;
    let mut transaction = db.begin().await?;
    if !users::hold_enabled(&mut transaction, sub).await? {
        transaction.rollback().await?;
        return Ok(false);
    }
    let is_wanted = if !mail_outbox::is_queued(&mut transaction, mail_id).await? {
        false
    } else if purpose == Purpose::Email {
        !is_address_taken(&mut transaction, address, sub).await?
    } else {
        let theirs: i64 = sqlx::query_scalar(IS_THEIRS).bind(sub).bind(address).fetch_one(&mut *transaction).await?;
        let open = sqlx::query_scalar(OPEN).bind(sub).bind(purpose.as_str()).bind(now.0);
        let open: i64 = open.fetch_one(&mut *transaction).await?;
        let factors: i64 = match purpose {
            Purpose::Factor => sqlx::query_scalar(HAS_FACTOR).bind(sub).fetch_one(&mut *transaction).await?,
            Purpose::Password | Purpose::Email => 0,
        };
        theirs > 0 && open < MOST_LINKS && factors == 0
    };
    if !is_wanted {
        transaction.rollback().await?;
        return Ok(false);
    }
    let mut detail = None;
    if purpose == Purpose::Email {
        detail = Some(serde_json::to_string(&Detail { email: address.to_owned() })?);
    }
    sqlx::query(INSERT)
        .bind(link.digest().as_str())
        .bind(purpose.as_str())
        .bind(sub)
        .bind(credential)
        .bind(detail)
        .bind(now.0)
        .bind(now.plus(super::LIFETIME).0)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

/// Forgets a link whose mail was not taken.
///
/// # Errors
/// The database failed.
pub async fn withdraw(db: &Db, link: &LinkSecret) -> Result<(), StoreError> {
    let digest = link.digest();
    sqlx::query(WITHDRAW).bind(digest.as_str()).execute(&mut *db.writing_in_background().await?).await?;
    Ok(())
}

row! {
    struct Found {
        sub: Option<String>,
        credential: Option<String>,
        detail: Option<String>,
    }
}

/// Whose link it is, and the address that it is for; `None`: it was used, has ended, or never was. Nothing is spent.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn find_email(db: &Db, link: &LinkSecret, now: NumericDate) -> Result<Option<(User, String)>, StoreError> {
    let digest = link.digest();
    let found = sqlx::query_as(FIND).bind(digest.as_str()).bind(now.0);
    let found: Option<Found> = found.fetch_optional(db.statement()).await?;
    let Some(Found { sub: Some(sub), credential, detail: Some(detail) }) = found else { return Ok(None) };
    let Detail { email } = serde_json::from_str(&detail)?;
    let user = users::find(db, &sub).await?.filter(|user| credential.as_deref() == Some(&user.credential));
    Ok(user.map(|user| (user, email)))
}

/// An address that becomes a user's.
pub struct Confirmation<'a> {
    /// The link.
    pub link: &'a LinkSecret,
    /// Whose it is.
    pub sub: &'a str,
    /// The address.
    pub email: &'a str,
    /// From where.
    pub network: &'a str,
    /// The clock.
    pub now: NumericDate,
}

/// Uses a link for an address: it is the user's and verified, the one before is told, and every other link of the user ends. `false`:
/// another request was first, the link has ended, or the address is another's by now; nothing has changed.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn confirm_email(db: &Db, confirmation: &Confirmation<'_>) -> Result<bool, StoreError> {
    let Confirmation { link, sub, email, network, now } = *confirmation;
    let mut transaction = db.begin().await?;
    let is_open = users::hold_enabled(&mut transaction, sub).await?
        && spend(&mut transaction, link, Purpose::Email.as_str(), now).await?
        && !is_address_taken(&mut transaction, email, sub).await?;
    if !is_open {
        transaction.rollback().await?;
        return Ok(false);
    }
    mail_outbox::note_other_address(&mut transaction, sub, email, Some(network), now).await?;
    let change = Edit { email: Some(email), email_verified: Some(true), ..Edit::default() };
    let changed = edit::write(&mut transaction, sub, &change, now).await?;
    // Also where it is the address that was there.
    end_of_user(&mut transaction, sub).await?;
    let event = Event::new(EventKind::UserEdited, now).of(sub).from(&network);
    edit::note_edited(&mut transaction, event, &changed, sub, now).await?;
    transaction.commit().await?;
    Ok(true)
}
