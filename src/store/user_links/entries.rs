//! Links of those who have no account yet: an operator invited their address, or they asked for one themselves and were mailed the link
//! there. The account is added when the link is used.
//!
//! What a sign-up link gives is what an invitation of the same address gives, if there is one; they end together.

use super::spend;
use crate::protocol::audit::{Event, EventKind, Impersonal};
use crate::protocol::secret::LinkSecret;
use crate::protocol::text;
use crate::protocol::time::NumericDate;
use crate::store::db::{Db, Transaction};
use crate::store::groups::{self, Change, End};
use crate::store::mail_outbox::{self, MOST_LINKS};
use crate::store::row::row;
use crate::store::users::{self, Added, NewUser, hold_address, is_address_taken};
use crate::store::{StoreError, audit_events};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

// Of two invitations of one address that are made at once the later one takes the place of the other.
const INVITE: &str = "INSERT INTO user_links (digest, purpose, detail, email_folded, made_by, created_at, expires_at) \
     VALUES ($1, 'invitation', $2, $3, 'operator', $4, $5) \
     ON CONFLICT (email_folded) WHERE purpose = 'invitation' DO UPDATE SET digest = excluded.digest, detail = excluded.detail, \
     created_at = excluded.created_at, expires_at = excluded.expires_at";
const SIGN_UP: &str = "INSERT INTO user_links (digest, purpose, detail, email_folded, made_by, created_at, expires_at) \
     VALUES ($1, 'sign_up', $2, $3, 'mail', $4, $5)";
const OPEN_SIGN_UPS: &str =
    "SELECT COUNT(*) FROM user_links WHERE purpose = 'sign_up' AND email_folded = $1 AND expires_at > $2";
const INVITATION_OF: &str = "SELECT detail, created_at, expires_at FROM user_links WHERE purpose = 'invitation' AND email_folded = $1 AND expires_at > $2";
const END_INVITATION: &str = "DELETE FROM user_links WHERE email_folded = $1 AND purpose = 'invitation'";
const END_SIGN_UPS: &str = "DELETE FROM user_links WHERE email_folded = $1 AND purpose = 'sign_up'";
const FIND: &str = "SELECT detail FROM user_links WHERE digest = $1 AND purpose = $2 AND expires_at > $3";
const IS_GROUP: &str = "SELECT COUNT(*) FROM groups WHERE name = $1";
const INVITATIONS: &str = "SELECT detail, created_at, expires_at FROM user_links \
     WHERE purpose = 'invitation' AND expires_at > $1 ORDER BY created_at, email_folded LIMIT 10000";

/// How one comes to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An operator invited the address.
    Invitation,
    /// Who reads its mail asked for one.
    SignUp,
}

impl Entry {
    /// Its word in a row.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::SignUp => "sign_up",
        }
    }

    /// The member of the event of a user who was added by it.
    const fn member(self) -> &'static str {
        match self {
            Self::Invitation => "invited",
            Self::SignUp => "signed_up",
        }
    }
}

/// Who is invited, as an operator said it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// The address.
    pub email: String,
    /// Whether it is verified to be theirs.
    pub email_verified: bool,
    /// The user name; `None`: they choose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Whether the telephone number is verified to be theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number_verified: Option<bool>,
    /// Texts of `users::edit::COLUMNS`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
    /// The groups to be in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// Makes invitations, each in place of one that the same address has; all or none.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn invite(
    db: &Db,
    invitations: &[(LinkSecret, Invited)],
    lifetime: i64,
    now: NumericDate,
) -> Result<(), StoreError> {
    // Two who invite the same people at once go through them in one order.
    let mut in_order: Vec<(String, &(LinkSecret, Invited))> =
        invitations.iter().map(|one| (text::fold_email(&one.1.email), one)).collect();
    in_order.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let mut transaction = db.begin().await?;
    for (folded, (link, invited)) in in_order {
        end_sign_ups(&mut transaction, &folded).await?;
        sqlx::query(INVITE)
            .bind(link.digest().as_str())
            .bind(serde_json::to_string(invited)?)
            .bind(folded)
            .bind(now.0)
            .bind(now.plus(lifetime).0)
            .execute(&mut *transaction)
            .await?;
    }
    // Who is invited is no user yet, and nothing of them could be erased.
    let event = Event::new(EventKind::UsersInvited, now).with("count", invitations.len() as u64);
    audit_events::note_change(&mut transaction, event, now).await?;
    transaction.commit().await
}

/// Ends the sign-ups of an address, which would give what another invitation does not. What is done to one address at once waits for
/// the other, in one order.
async fn end_sign_ups(transaction: &mut Transaction, folded: &str) -> Result<(), StoreError> {
    hold_address(transaction, folded).await?;
    sqlx::query(END_SIGN_UPS).bind(folded).execute(&mut **transaction).await?;
    Ok(())
}

/// Makes a link by which one who asked for it has an account, where the mail is about to be handed over. `false`: the address is a
/// user's by now, as many are open as may be, or the mail was ended; nothing has changed then.
///
/// # Errors
/// The database failed, and then nothing has changed; or the invitation of the address cannot be read.
pub async fn make_sign_up(
    db: &Db,
    link: &LinkSecret,
    (mail_id, address): (&str, &str),
    now: NumericDate,
) -> Result<bool, StoreError> {
    let mut transaction = db.begin().await?;
    let folded = text::fold_email(address);
    let is_wanted = !is_address_taken(&mut transaction, address, "").await?
        && mail_outbox::is_queued(&mut transaction, mail_id).await?
        && open_sign_ups(&mut transaction, &folded, now).await? < MOST_LINKS;
    if !is_wanted {
        transaction.rollback().await?;
        return Ok(false);
    }
    let open = sqlx::query_as(INVITATION_OF).bind(&folded).bind(now.0);
    let open: Option<InvitationRow> = open.fetch_optional(&mut *transaction).await?;
    let good_until = now.plus(super::LIFETIME).0;
    let (invited, good_until) = match open {
        // It does not outlive what it gives.
        Some(open) => (serde_json::from_str(&open.detail.unwrap_or_default())?, good_until.min(open.expires_at)),
        None => (Invited { email: address.to_owned(), ..Invited::default() }, good_until),
    };
    // Who has the link reads the mail of the address.
    let invited = Invited { email_verified: true, ..invited };
    sqlx::query(SIGN_UP)
        .bind(link.digest().as_str())
        .bind(serde_json::to_string(&invited)?)
        .bind(folded)
        .bind(now.0)
        .bind(good_until)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

/// How many sign-ups of an address are open.
pub(in crate::store) async fn open_sign_ups(
    transaction: &mut Transaction,
    folded: &str,
    now: NumericDate,
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(OPEN_SIGN_UPS).bind(folded).bind(now.0).fetch_one(&mut **transaction).await?)
}

/// Ends the invitation of an address, and its sign-ups, which may give the same; whether there was one.
///
/// # Errors
/// The database failed.
pub async fn revoke_invitation(db: &Db, email: &str, now: NumericDate) -> Result<bool, StoreError> {
    let folded = text::fold_email(email);
    let mut transaction = db.begin().await?;
    hold_address(&mut transaction, &folded).await?;
    let mut ended = 0;
    for statement in [END_INVITATION, END_SIGN_UPS] {
        ended += sqlx::query(statement).bind(&folded).execute(&mut *transaction).await?.rows_affected();
    }
    if ended == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    let event = Event::new(EventKind::UserLinksEnded, now).with("purpose", Entry::Invitation.as_str());
    audit_events::note_change(&mut transaction, event.with("count", ended), now).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Whose account a link adds; `None`: it was used, has ended, or never was. Nothing is spent.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn find_entry(
    db: &Db,
    link: &LinkSecret,
    entry: Entry,
    now: NumericDate,
) -> Result<Option<Invited>, StoreError> {
    let digest = link.digest();
    let found = sqlx::query_scalar(FIND).bind(digest.as_str()).bind(entry.as_str()).bind(now.0);
    let found: Option<String> = found.fetch_optional(db.statement()).await?;
    Ok(found.map(|invited| serde_json::from_str(&invited)).transpose()?)
}

/// How a link was used.
#[derive(Debug)]
pub enum Accepted {
    /// The user is there.
    Done,
    /// Another request was first, or the link has ended.
    LinkGone,
    /// The user name is another user's, or was a deleted user's. The link is as good as before.
    NameTaken,
    /// The address is another user's by now. The link is as good as before.
    AddressTaken,
}

/// Uses a link: the user is added, in the groups that are there still, and all other links of the address end.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn accept(
    db: &Db,
    (link, entry): (&LinkSecret, Entry),
    user: &NewUser<'_>,
    joined: &[String],
    network: &str,
) -> Result<Accepted, StoreError> {
    let now = user.now;
    let adding = users::Adding::prepare(db).await?;
    let folded = text::fold_email(user.email);
    let mut transaction = db.begin().await?;
    hold_address(&mut transaction, &folded).await?;
    if !spend(&mut transaction, link, entry.as_str(), now).await? {
        transaction.rollback().await?;
        return Ok(Accepted::LinkGone);
    }
    for others in [END_INVITATION, END_SIGN_UPS] {
        sqlx::query(others).bind(&folded).execute(&mut *transaction).await?;
    }
    let event = Event::new(EventKind::UserAdded, now).of(user.sub).from(&network).with(entry.member(), true);
    match adding.write(&mut transaction, user, event).await? {
        Added::Done => {}
        Added::Taken | Added::Gone(_) => {
            transaction.rollback().await?;
            return Ok(Accepted::NameTaken);
        }
        Added::AddressTaken => {
            transaction.rollback().await?;
            return Ok(Accepted::AddressTaken);
        }
    }
    for group in joined {
        let is_there: i64 = sqlx::query_scalar(IS_GROUP).bind(group).fetch_one(&mut *transaction).await?;
        let change = Change::Add { sub: user.sub.to_owned(), until: End::AsItIs };
        if is_there > 0 && groups::carry_out(&mut transaction, group, &change, now).await? {
            let event = Event::new(EventKind::MembershipAdded, now).of(user.sub);
            let event = event.with("group", Impersonal::configured(group));
            audit_events::note_change(&mut transaction, event, now).await?;
        }
    }
    transaction.commit().await?;
    Ok(Accepted::Done)
}

row! {
    struct InvitationRow {
        detail: Option<String>,
        created_at: i64,
        expires_at: i64,
    }
}

/// An invitation that was not used yet.
pub struct Invitation {
    /// Who is invited.
    pub invited: Invited,
    /// `created_at`.
    pub created_at: i64,
    /// `expires_at`.
    pub expires_at: i64,
}

/// The invitations that are open, the oldest first; ten thousand at most.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn invitations(db: &Db, now: NumericDate) -> Result<Vec<Invitation>, StoreError> {
    let rows: Vec<InvitationRow> = sqlx::query_as(INVITATIONS).bind(now.0).fetch_all(db.statement()).await?;
    rows.into_iter()
        .map(|row| {
            let invited = serde_json::from_str(&row.detail.unwrap_or_default())?;
            Ok(Invitation { invited, created_at: row.created_at, expires_at: row.expires_at })
        })
        .collect()
}
