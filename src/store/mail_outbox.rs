//! Mails on their way: queued with what they tell of, leased to one node at a time, tried until the mail server takes them.
//!
//! A row says whom and what, never a link. Notices are queued only while a node that sends mails was seen lately, so that where there is
//! none they do not pile up; few of a kind wait for one address at a time, so that the table cannot be filled with them.

use crate::ambient::{random, wishes_of_mail};
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::mail::{Circumstances, MailKind};
use crate::protocol::secret::Handle;
use crate::protocol::text;
use crate::protocol::time::NumericDate;
use crate::store::db::{Db, Transaction};
use crate::store::row::row;
use crate::store::user_links::{self, Purpose};
use crate::store::{StoreError, audit_events, users};
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection};

/// The name in `provider_values` of the instant at which a node that sends mails was seen.
const SENDER: &str = "mail";
const SEEN: &str =
    "INSERT INTO provider_values (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// Whether a node that sends mails was seen after `$6`. Another value need not be a number.
macro_rules! is_sent {
    () => {
        "EXISTS (SELECT 1 FROM provider_values WHERE name = 'mail' \
         AND CASE WHEN name = 'mail' THEN CAST(value AS BIGINT) ELSE 0 END > $6)"
    };
}

macro_rules! notice {
    ($most:literal, $condition:literal) => {
        concat!(
            "INSERT INTO mail_outbox (mail_id, kind, sub, address, detail, created_at, due_at) \
             SELECT $1, CAST($2 AS TEXT), sub, email, $4, $5, $5 FROM users WHERE sub = $3 AND email IS NOT NULL \
             AND email_verified_at IS NOT NULL AND disabled_at IS NULL AND ",
            is_sent!(),
            " AND (SELECT COUNT(*) FROM mail_outbox AS queued WHERE queued.sub = $3 AND queued.kind = CAST($2 AS TEXT) \
             AND queued.address = users.email) < ",
            $most,
            " AND ",
            $condition
        )
    };
}

const NOTICE: &str = notice!("3", "1 = 1");
// To a user who was just added each browser is a new one.
const NOTICE_OF_BROWSER: &str = notice!("1", "COALESCE(created_at, 0) < $5 - 3600");
const NOTICE_TO_OLD_ADDRESS: &str = notice!("3", "email_folded IS DISTINCT FROM CAST($7 AS TEXT)");
// Links that were mailed and can be used still, and those that are about to be made.
const OPEN_LINKS: &str = "SELECT (SELECT COUNT(*) FROM user_links WHERE sub = $1 AND purpose = $2 AND made_by = 'mail' AND expires_at > $4) \
     + (SELECT COUNT(*) FROM mail_outbox WHERE sub = $1 AND kind = $3)";
const QUEUE: &str = "INSERT INTO mail_outbox (mail_id, kind, sub, address, detail, created_at, due_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $6)";
const IS_QUEUED: &str = "SELECT COUNT(*) FROM mail_outbox WHERE mail_id = $1";
const QUEUED_TO: &str = "SELECT COUNT(*) FROM mail_outbox WHERE sub IS NULL AND kind = $1 AND address = $2";
// Those that wait, and those whose links are open.
const ALL_SIGN_UPS: &str = "SELECT (SELECT COUNT(*) FROM mail_outbox WHERE sub IS NULL AND kind = $1) \
     + (SELECT COUNT(*) FROM user_links WHERE purpose = 'sign_up' AND expires_at > $2)";
const QUEUED_OF: &str = "SELECT COUNT(*) FROM mail_outbox WHERE sub = $1 AND kind = $2";
const FORGET_KIND: &str = "DELETE FROM mail_outbox WHERE sub = $1 AND kind = $2";
const FORGET_LINKS: &str =
    "DELETE FROM mail_outbox WHERE sub = $1 AND kind IN ('password_link', 'factor_link', 'email_link', 'has_account')";
const END_FOR_ADDRESS: &str = "DELETE FROM user_links WHERE sub = $1 AND purpose = 'email'";
// Users come first: strangers can ask for many.
const DUE: &str = "SELECT mail_id FROM mail_outbox WHERE due_at <= $1 \
     ORDER BY CASE WHEN sub IS NULL THEN 1 ELSE 0 END, due_at LIMIT 64";
const LEASE: &str = "UPDATE mail_outbox SET due_at = $3, tries = tries + 1 WHERE mail_id = $1 AND due_at <= $2 \
     RETURNING mail_id, kind, sub, address, detail, created_at, tries";
const DONE: &str = "DELETE FROM mail_outbox WHERE mail_id = $1";
const FAILED: &str = "UPDATE mail_outbox SET due_at = $2, last_result = $3 WHERE mail_id = $1";
const WAITING: &str = "SELECT COUNT(*) AS count, MIN(created_at) AS oldest, \
     (SELECT last_result FROM mail_outbox WHERE last_result IS NOT NULL ORDER BY due_at DESC LIMIT 1) AS last_result FROM mail_outbox";
const OF_USER: &str = "SELECT kind, address, detail, created_at, due_at, tries, last_result FROM mail_outbox WHERE sub = $1 \
     AND kind <> 'email_link' ORDER BY created_at, mail_id";
const SWEEP: &str = "DELETE FROM mail_outbox WHERE created_at <= $1";

/// How long after a node that sends mails was seen notices are queued, in seconds.
const SEEN_FOR: i64 = 2 * 86_400;
/// How long handing a mail over may take before another node tries it, in seconds.
const LEASE_SECONDS: i64 = 300;
/// How long a mail is kept that no node sends, in seconds.
const KEPT: i64 = 3 * 86_400;
/// How many mailed links of a purpose are open at once.
pub const MOST_LINKS: i64 = 3;
/// How many sign-ups are open at once, of whatever addresses: strangers can make up as many as they like.
pub const MOST_SIGN_UPS: i64 = 5000;

/// Notes that a node that sends mails is here.
///
/// # Errors
/// The database failed.
pub async fn sender_is_here(db: &Db, now: NumericDate) -> Result<(), StoreError> {
    sqlx::query(SEEN).bind(SENDER).bind(now.0.to_string()).execute(&mut *db.writing_in_background().await?).await?;
    Ok(())
}

fn new_id() -> String {
    Handle(random()).text()
}

/// One of the statements of `notice!`, with what all of them are given.
fn notice(
    statement: &'static str,
    kind: MailKind,
    sub: &str,
    circumstances: &Circumstances,
    now: NumericDate,
) -> Result<Query<'static, Any, AnyArguments>, StoreError> {
    let detail = serde_json::to_string(circumstances)?;
    let query = sqlx::query(statement).bind(new_id()).bind(kind.as_str()).bind(sub.to_owned());
    Ok(query.bind(detail).bind(now.0).bind(now.0 - SEEN_FOR))
}

/// Queues the notice of an event, if it is worth one, in the transaction that writes the event.
///
/// # Errors
/// The database failed.
pub(in crate::store) async fn note(
    transaction: &mut Transaction,
    event: &Event,
    now: NumericDate,
) -> Result<(), StoreError> {
    let (Some(kind), Some(sub)) = (MailKind::of_event(event.kind, event.is_of_new_browser()), &event.sub) else {
        return Ok(());
    };
    let statement = if kind == MailKind::NewBrowser { NOTICE_OF_BROWSER } else { NOTICE };
    let mut circumstances = event.circumstances();
    // The audit writes behind the answer what it was told within.
    if circumstances.languages.is_empty() {
        circumstances.languages = wishes_of_mail();
    }
    notice(statement, kind, sub, &circumstances, now)?.execute(&mut **transaction).await?;
    Ok(())
}

/// The same for an event that was written before, in a transaction of its own: no mail may keep an event from being written.
///
/// # Errors
/// The database failed.
pub async fn note_alone(db: &Db, event: &Event, now: NumericDate) -> Result<(), StoreError> {
    let mut transaction = db.begin_in_background().await?;
    note(&mut transaction, event, now).await?;
    transaction.commit().await
}

/// Whether an event is worth a notice.
#[must_use]
pub fn is_told(event: &Event) -> bool {
    event.sub.is_some() && MailKind::of_event(event.kind, event.is_of_new_browser()).is_some()
}

/// Queues the notice that a user has another address from now on, to the one that the row has still.
///
/// # Errors
/// The database failed.
pub(in crate::store) async fn note_other_address(
    transaction: &mut Transaction,
    sub: &str,
    email: &str,
    network: Option<&str>,
    now: NumericDate,
) -> Result<(), StoreError> {
    let circumstances =
        Circumstances { at: now.0, network: network.map(str::to_owned), browser: None, languages: wishes_of_mail() };
    notice(NOTICE_TO_OLD_ADDRESS, MailKind::EmailChanged, sub, &circumstances, now)?
        .bind(text::fold_email(email))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// A mail with a link that is asked for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// What the link is for.
    pub purpose: Purpose,
    /// For whom.
    pub sub: &'a str,
    /// Where it goes.
    pub address: &'a str,
    /// When, from where and by which browser.
    pub circumstances: &'a Circumstances,
    /// The clock.
    pub now: NumericDate,
}

impl<'a> Asked<'a> {
    const fn queued(&self) -> Queued<'a> {
        let Self { purpose, sub, address, circumstances, now } = *self;
        Queued { kind: purpose.mail(), sub: Some(sub), address, circumstances, now }
    }
}

/// A mail that is queued.
struct Queued<'a> {
    kind: MailKind,
    sub: Option<&'a str>,
    address: &'a str,
    circumstances: &'a Circumstances,
    now: NumericDate,
}

/// Queues a mail with a link, unless as many are open. `false`: they are, or the user is disabled or gone; nothing has changed.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn ask_for_link(db: &Db, asked: &Asked<'_>) -> Result<bool, StoreError> {
    let mut transaction = db.begin().await?;
    if !users::hold_enabled(&mut transaction, asked.sub).await? {
        transaction.rollback().await?;
        return Ok(false);
    }
    let open: i64 = sqlx::query_scalar(OPEN_LINKS)
        .bind(asked.sub)
        .bind(asked.purpose.as_str())
        .bind(asked.purpose.mail().as_str())
        .bind(asked.now.0)
        .fetch_one(&mut *transaction)
        .await?;
    if open >= MOST_LINKS {
        transaction.rollback().await?;
        return Ok(false);
    }
    queue(&mut transaction, &asked.queued()).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Why nothing is mailed to who asks for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// As many links of the address are open as may be.
    Address,
    /// As many sign-ups of all addresses are.
    All,
}

/// Queues the mail with the link by which one who has no account yet has one; the address is folded.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn ask_to_sign_up(
    db: &Db,
    address: &str,
    circumstances: &Circumstances,
    now: NumericDate,
) -> Result<Result<(), Full>, StoreError> {
    let kind = MailKind::SignUpLink;
    let mut transaction = db.begin().await?;
    users::hold_address(&mut transaction, address).await?;
    let waiting = sqlx::query_scalar(QUEUED_TO).bind(kind.as_str()).bind(address);
    let waiting: i64 = waiting.fetch_one(&mut *transaction).await?;
    let open = user_links::open_sign_ups(&mut transaction, address, now).await?;
    let all = sqlx::query_scalar(ALL_SIGN_UPS).bind(kind.as_str()).bind(now.0);
    let all: i64 = all.fetch_one(&mut *transaction).await?;
    let full =
        if waiting + open >= MOST_LINKS { Some(Full::Address) } else { (all >= MOST_SIGN_UPS).then_some(Full::All) };
    if let Some(full) = full {
        transaction.rollback().await?;
        return Ok(Err(full));
    }
    queue(&mut transaction, &Queued { kind, sub: None, address, circumstances, now }).await?;
    transaction.commit().await?;
    Ok(Ok(()))
}

/// Queues the mail that says to who asks for an account that there is one, unless one waits.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn tell_of_account(
    db: &Db,
    sub: &str,
    address: &str,
    circumstances: &Circumstances,
    now: NumericDate,
) -> Result<(), StoreError> {
    let kind = MailKind::HasAccount;
    let mut transaction = db.begin().await?;
    let is_enabled = users::hold_enabled(&mut transaction, sub).await?;
    let waiting = sqlx::query_scalar(QUEUED_OF).bind(sub).bind(kind.as_str());
    let waiting: i64 = waiting.fetch_one(&mut *transaction).await?;
    if !is_enabled || waiting > 0 {
        return transaction.rollback().await;
    }
    queue(&mut transaction, &Queued { kind, sub: Some(sub), address, circumstances, now }).await?;
    transaction.commit().await
}

/// Whether a mail waits still: what ends links may have ended it.
pub(in crate::store) async fn is_queued(transaction: &mut Transaction, id: &str) -> Result<bool, StoreError> {
    let queued: i64 = sqlx::query_scalar(IS_QUEUED).bind(id).fetch_one(&mut **transaction).await?;
    Ok(queued > 0)
}

/// Queues the mail with the link for another address, in place of one that waits or was mailed, with the event that it was asked for:
/// all that the user is told of it, as what comes of it says whether the address is another's. Where `is_over`, there were too many mails to
/// it, and none is queued; all else is the same. Where the user is disabled or gone nothing happens.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn ask_for_address(db: &Db, asked: &Asked<'_>, is_over: bool) -> Result<(), StoreError> {
    let mut transaction = db.begin().await?;
    if !users::hold_enabled(&mut transaction, asked.sub).await? {
        return transaction.rollback().await;
    }
    forget_links(&mut transaction, asked.sub, Some(asked.purpose.mail())).await?;
    sqlx::query(END_FOR_ADDRESS).bind(asked.sub).execute(&mut *transaction).await?;
    if !is_over {
        queue(&mut transaction, &asked.queued()).await?;
    }
    let event = Event::new(EventKind::UserLinkMade, asked.now).of(asked.sub).with("purpose", asked.purpose.as_str());
    audit_events::note_change(&mut transaction, event.with("mailed", true), asked.now).await?;
    transaction.commit().await
}

/// Ends mails with a link that wait, of one kind or of each, and what is told of the address; gives how many.
///
/// # Errors
/// The database failed.
pub(in crate::store) async fn forget_links(
    connection: &mut AnyConnection,
    sub: &str,
    kind: Option<MailKind>,
) -> Result<u64, StoreError> {
    let forgotten = match kind {
        Some(kind) => sqlx::query(FORGET_KIND).bind(sub).bind(kind.as_str()).execute(connection).await?,
        None => sqlx::query(FORGET_LINKS).bind(sub).execute(connection).await?,
    };
    Ok(forgotten.rows_affected())
}

async fn queue(transaction: &mut Transaction, queued: &Queued<'_>) -> Result<(), StoreError> {
    sqlx::query(QUEUE)
        .bind(new_id())
        .bind(queued.kind.as_str())
        .bind(queued.sub)
        .bind(queued.address)
        .bind(serde_json::to_string(queued.circumstances)?)
        .bind(queued.now.0)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

row! {
    struct Row {
        mail_id: String,
        kind: String,
        sub: Option<String>,
        address: String,
        detail: String,
        created_at: i64,
        tries: i64,
    }
}

/// A mail that this node hands over now.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Its name.
    pub id: String,
    /// What it is about; `None`: a later version knows.
    pub kind: Option<MailKind>,
    /// Whom it is about; `None`: who has no account yet.
    pub sub: Option<String>,
    /// Where it goes.
    pub address: String,
    /// When, from where and by which browser it happened.
    pub circumstances: Circumstances,
    /// When it was queued.
    pub created_at: NumericDate,
    /// How often it was tried, this time included.
    pub tries: i64,
}

/// The names of mails that are due.
///
/// # Errors
/// The database failed.
pub async fn due(db: &Db, now: NumericDate) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(DUE).bind(now.0).fetch_all(db.statement_in_background()).await?)
}

/// Takes a mail for this node, if no other has it.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn lease(db: &Db, id: &str, now: NumericDate) -> Result<Option<Mail>, StoreError> {
    let leased = sqlx::query_as(LEASE).bind(id).bind(now.0).bind(now.plus(LEASE_SECONDS).0);
    let leased: Option<Row> = leased.fetch_optional(&mut *db.writing_in_background().await?).await?;
    let Some(row) = leased else { return Ok(None) };
    Ok(Some(Mail {
        id: row.mail_id,
        kind: MailKind::of_word(&row.kind),
        sub: row.sub,
        address: row.address,
        circumstances: serde_json::from_str(&row.detail)?,
        created_at: NumericDate(row.created_at),
        tries: row.tries,
    }))
}

/// Forgets a mail: it was taken, or is given up.
///
/// # Errors
/// The database failed.
pub async fn done(db: &Db, id: &str) -> Result<(), StoreError> {
    sqlx::query(DONE).bind(id).execute(&mut *db.writing_in_background().await?).await?;
    Ok(())
}

/// Notes that a mail was not taken, and when it is tried again.
///
/// # Errors
/// The database failed.
pub async fn failed(db: &Db, id: &str, result: &str, again_at: NumericDate) -> Result<(), StoreError> {
    sqlx::query(FAILED).bind(id).bind(again_at.0).bind(result).execute(&mut *db.writing_in_background().await?).await?;
    Ok(())
}

row! {
    /// What waits.
    pub struct Waiting {
        /// How many.
        pub count: i64,
        /// Since when the oldest does.
        pub oldest: Option<i64>,
        /// Why one was not taken the last time.
        pub last_result: Option<String>,
    }
}

/// What waits.
///
/// # Errors
/// The database failed.
pub async fn waiting(db: &Db) -> Result<Waiting, StoreError> {
    Ok(sqlx::query_as(WAITING).fetch_one(db.statement()).await?)
}

row! {
    /// A mail to a user, as an export has it.
    pub struct Listed {
        /// `kind`.
        pub kind: String,
        /// `address`.
        pub address: String,
        /// `detail`.
        pub detail: String,
        /// `created_at`.
        pub created_at: i64,
        /// `due_at`.
        pub due_at: i64,
        /// `tries`.
        pub tries: i64,
        /// `last_result`.
        pub last_result: Option<String>,
    }
}

/// The mails that are on their way to a user; none for another address, as with `user_links::of_user`.
///
/// # Errors
/// The database failed.
pub async fn of_user(db: &Db, sub: &str) -> Result<Vec<Listed>, StoreError> {
    Ok(sqlx::query_as(OF_USER).bind(sub).fetch_all(db.statement()).await?)
}

/// Forgets mails of long ago, also where no node sends any.
///
/// # Errors
/// The database failed.
pub async fn sweep(db: &Db, now: NumericDate) -> Result<(), StoreError> {
    sqlx::query(SWEEP).bind(now.0 - KEPT).execute(&mut *db.writing().await?).await?;
    Ok(())
}
