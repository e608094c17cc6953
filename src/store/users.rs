//! People by their `sub`, or by what they type at sign-in.
//!
//! Names and addresses are compared as `protocol::text` folds them, in columns that are written here: what a database takes
//! for lower case differs. A row that was written by hand is folded when any user is looked for next;
//! until then it would be found as it is written.

mod adding;
pub mod deletion;
pub mod edit;
pub mod export;
pub mod password;
pub mod record;
pub mod tombstones;

pub use adding::{Added, NewUser, add, new_sub};
pub(super) use adding::{Adding, hold_address, is_address_taken};

use crate::ambient::random;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::claims::{Demand, User};
use crate::protocol::secret::{Digest, Handle};
use crate::protocol::text;
use crate::protocol::time::NumericDate;
use crate::store::db::{Db, Transaction};
use crate::store::row::row;
use crate::store::{StoreError, audit_events, user_links, user_sessions};
use serde_json::{Map, Value, json};
use sqlx::AnyConnection;

/// Whether a row was inserted or renamed by hand since it was folded: the condition of the index `users_unfolded`, word by
/// word, or that index is of no use.
macro_rules! is_unfolded {
    () => {
        "COALESCE(folded_of, '') <> COALESCE(username, '') || ' ' || COALESCE(email, '')"
    };
}

/// 1 where another user has the address of `users` too, as theirs or as a user name: compared as a sign-in compares it.
macro_rules! shares_address {
    () => {
        "CASE WHEN EXISTS (SELECT 1 FROM users AS others WHERE others.email_folded = users.email_folded \
         AND others.sub <> users.sub) OR EXISTS (SELECT 1 FROM users AS others \
         WHERE others.username_folded = users.email_folded AND others.sub <> users.sub) THEN 1 ELSE 0 END AS shares_address"
    };
}

/// What is known of a user's second factor, and what is demanded of them.
macro_rules! second_factor {
    () => {
        concat!(
            "second_factor_asked_at, browsers_untrusted_at, passkey_offered_at, ",
            // Whatever is added, replaced or taken away; a secret that is only sealed anew is the same.
            "(SELECT STRING_AGG(factor_id || ' ' || CAST(created_at AS TEXT), ',') FROM user_factors ",
            "WHERE user_factors.sub = users.sub AND kind = 'totp') AS factors, ",
            "(SELECT STRING_AGG(passkey_id, ',') FROM user_passkeys WHERE user_passkeys.sub = users.sub) AS passkeys, ",
            // Days and end of each membership that demands one, as memberships end by themselves.
            "(SELECT STRING_AGG(CAST(second_factor_within AS TEXT) || ' ' || CAST(COALESCE(until, 0) AS TEXT), ',') ",
            "FROM group_members JOIN groups ON groups.name = group_members.group_name ",
            "WHERE group_members.sub = users.sub AND second_factor_within IS NOT NULL) AS second_factor_demands, "
        )
    };
}

macro_rules! columns {
    () => {
        concat!(
            "sub, username, email, email_verified_at, name, given_name, family_name, middle_name, nickname, ",
            "preferred_username, profile, picture, website, gender, birthdate, zoneinfo, locale, phone_number, ",
            "phone_number_verified_at, address_formatted, address_street_address, address_locality, address_region, ",
            "address_postal_code, address_country, password_hash, credential_digest, credential_id, updated_at, ",
            "tokens_valid_after, disabled_at, locked_until, (SELECT COUNT(*) FROM clients WHERE clients.client_id = users.sub) AS clients_of_that_name, ",
            second_factor!(),
            shares_address!(),
            // In the order of `users_unfolded`: PostgreSQL believes that most rows are, and would read them all.
            ", CASE WHEN EXISTS (SELECT sub FROM (SELECT sub FROM users WHERE ",
            is_unfolded!(),
            " ORDER BY sub LIMIT 1) AS unfolded) THEN 1 ELSE 0 END AS are_unfolded"
        )
    };
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM users WHERE sub = $1");
// Three with an address are enough to know that it is not unique; whose user name it is must be among them. There is always
// a row, so that it tells of unfolded ones also where no user is found, in the same time.
const FIND_BY_LOGIN: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM (SELECT 1 AS one) AS always LEFT JOIN users \
     ON username_folded = $1 OR email_folded = $2 OR username = $3 OR email = $3 \
     ORDER BY CASE WHEN username = $3 THEN 0 WHEN username_folded = $1 THEN 1 ELSE 2 END LIMIT 4"
);
// A user who was renamed by hand leaves the old name to the user whose row has it now.
const FREE: &str = concat!(
    "UPDATE users SET username_folded = NULL WHERE username_folded = CAST($1 AS TEXT) AND sub <> $2 AND ",
    is_unfolded!()
);
const UNFOLDED: &str = concat!(
    "SELECT sub, username, email, COALESCE(username, '') || ' ' || COALESCE(email, '') AS folded_of FROM users WHERE ",
    is_unfolded!(),
    " ORDER BY sub LIMIT 200"
);
/// As many as `UNFOLDED` gives.
const FOLDED_AT_ONCE: usize = 200;
// Unless the row was changed since it was read: what that wrote is right, or is found unfolded once more.
const FOLD: &str = "UPDATE users SET username_folded = CASE WHEN EXISTS (SELECT 1 FROM users AS others \
     WHERE others.username_folded = CAST($2 AS TEXT) AND others.sub <> $1) THEN NULL ELSE CAST($2 AS TEXT) END, \
     email_folded = CAST($3 AS TEXT), folded_of = CAST($4 AS TEXT) \
     WHERE sub = $1 AND COALESCE(username, '') || ' ' || COALESCE(email, '') = CAST($4 AS TEXT)";
const LIST: &str = concat!(
    "SELECT sub, username, email, email_verified_at, name, created_at, disabled_at, locked_until, deletion_requested_at, ",
    "CASE WHEN password_hash IS NULL THEN 0 ELSE 1 END AS has_password, ",
    shares_address!(),
    " FROM users ORDER BY COALESCE(username_folded, username, sub), sub"
);
// A handful of names is enough to know what to do.
const WITH_ADDRESS: &str = "SELECT sub, username, disabled_at FROM users WHERE email_folded = $1 OR username_folded = $1 \
     ORDER BY COALESCE(username_folded, username, sub), sub LIMIT 5";
const HOLD: &str = "UPDATE users SET folded_of = folded_of WHERE sub = $1";
const HOLD_ENABLED: &str = "UPDATE users SET folded_of = folded_of WHERE sub = $1 AND disabled_at IS NULL";
const SET_PASSWORD: &str =
    "UPDATE users SET password_hash = $2, credential_digest = $3, credential_id = $4 WHERE sub = $1";
// Another writer of a hash meanwhile, of this password or another, was first.
const RENEW_HASH: &str = "UPDATE users SET password_hash = $3, credential_digest = $4, credential_id = $5 \
     WHERE sub = $1 AND password_hash = $2";
const END_FAMILIES: &str =
    "UPDATE refresh_families SET revoked_at = $2, salt = NULL WHERE sub = $1 AND revoked_at IS NULL";
const ASKED: &str = "UPDATE users SET second_factor_asked_at = $2 WHERE sub = $1 AND second_factor_asked_at IS NULL";
const NOT_ASKED: &str = "UPDATE users SET second_factor_asked_at = NULL WHERE sub = $1";
const DISABLE: &str = "UPDATE users SET disabled_at = $2 WHERE sub = $1 AND disabled_at IS NULL";
const ENABLE: &str = "UPDATE users SET disabled_at = NULL WHERE sub = $1 AND disabled_at IS NOT NULL";

row! {
    struct Row {
        sub: Option<String>,
        username: Option<String>,
        email: Option<String>,
        email_verified_at: Option<i64>,
        name: Option<String>,
        given_name: Option<String>,
        family_name: Option<String>,
        middle_name: Option<String>,
        nickname: Option<String>,
        preferred_username: Option<String>,
        profile: Option<String>,
        picture: Option<String>,
        website: Option<String>,
        gender: Option<String>,
        birthdate: Option<String>,
        zoneinfo: Option<String>,
        locale: Option<String>,
        phone_number: Option<String>,
        phone_number_verified_at: Option<i64>,
        address_formatted: Option<String>,
        address_street_address: Option<String>,
        address_locality: Option<String>,
        address_region: Option<String>,
        address_postal_code: Option<String>,
        address_country: Option<String>,
        password_hash: Option<String>,
        credential_digest: Option<String>,
        credential_id: Option<String>,
        updated_at: Option<i64>,
        tokens_valid_after: Option<i64>,
        disabled_at: Option<i64>,
        locked_until: Option<i64>,
        clients_of_that_name: i64,
        second_factor_asked_at: Option<i64>,
        browsers_untrusted_at: Option<i64>,
        factors: Option<String>,
        passkeys: Option<String>,
        passkey_offered_at: Option<i64>,
        second_factor_demands: Option<String>,
        shares_address: i64,
        are_unfolded: i64,
    }
}

impl Row {
    /// The user, where there is one.
    fn user(self) -> Option<User> {
        let row = self;
        let sub = row.sub?;
        let mut claims = Map::new();
        let texts = [
            ("name", &row.name),
            ("given_name", &row.given_name),
            ("family_name", &row.family_name),
            ("middle_name", &row.middle_name),
            ("nickname", &row.nickname),
            ("preferred_username", &row.preferred_username),
            ("profile", &row.profile),
            ("picture", &row.picture),
            ("website", &row.website),
            ("gender", &row.gender),
            ("birthdate", &row.birthdate),
            ("zoneinfo", &row.zoneinfo),
            ("locale", &row.locale),
            ("email", &row.email),
            ("phone_number", &row.phone_number),
        ];
        for (claim, text) in texts {
            if let Some(text) = text {
                claims.insert(claim.into(), json!(text));
            }
        }
        // The user name is what the user wishes to be called by, unless the record says otherwise.
        if let (None, Some(username)) = (&row.preferred_username, &row.username) {
            claims.insert("preferred_username".into(), json!(username));
        }
        if row.email.is_some() {
            // Services link accounts by a verified address, so one that two users have proves nothing.
            let is_verified = row.email_verified_at.is_some() && row.shares_address == 0;
            claims.insert("email_verified".into(), json!(is_verified));
        }
        if row.phone_number.is_some() {
            claims.insert("phone_number_verified".into(), json!(row.phone_number_verified_at.is_some()));
        }
        if let Some(updated_at) = row.updated_at {
            claims.insert("updated_at".into(), json!(updated_at));
        }
        let address: Map<String, Value> = [
            ("formatted", row.address_formatted),
            ("street_address", row.address_street_address),
            ("locality", row.address_locality),
            ("region", row.address_region),
            ("postal_code", row.address_postal_code),
            ("country", row.address_country),
        ]
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), json!(text?))))
        .collect();
        if !address.is_empty() {
            claims.insert("address".into(), Value::Object(address));
        }
        let password_hash = row.password_hash.as_deref();
        let password_is_prepared =
            password_hash.is_some_and(|hash| row.credential_digest == Some(credential_digest(hash)));
        let credential = credential(password_hash, row.credential_digest.as_deref(), row.credential_id);
        Some(User {
            sub,
            username: row.username,
            claims,
            password_hash: row.password_hash,
            password_is_prepared,
            credential,
            tokens_valid_after: row.tokens_valid_after.map(NumericDate),
            disabled_at: row.disabled_at.map(NumericDate),
            locked_until: row.locked_until.map(NumericDate),
            is_ambiguous: row.clients_of_that_name > 0,
            has_authenticator: row.factors.is_some(),
            passkeys: row.passkeys.as_deref().map_or(0, |ids| ids.split(',').count()),
            passkey_offered_at: row.passkey_offered_at.map(NumericDate),
            factors: mark_of_factors(row.factors.as_deref(), row.passkeys.as_deref()),
            second_factor_demands: demands(row.second_factor_demands.as_deref().unwrap_or_default()),
            second_factor_asked_at: row.second_factor_asked_at.map(NumericDate),
            browsers_untrusted_at: row.browsers_untrusted_at.map(NumericDate),
        })
    }
}

/// Whether a user is as they were when they proved all that the account has: enabled, with that password, and with no second factor where
/// there was none. The caller holds the row.
///
/// # Errors
/// The database failed.
pub(in crate::store) async fn is_still(connection: &mut AnyConnection, proven: &User) -> Result<bool, StoreError> {
    let row: Option<Row> = sqlx::query_as(FIND).bind(&proven.sub).fetch_optional(connection).await?;
    let now = row.and_then(Row::user);
    Ok(now.is_some_and(|now| {
        let has_more = now.has_second_factor() && !proven.has_second_factor();
        now.counts() && now.credential == proven.credential && !has_more
    }))
}

/// The mark of a user's authenticators and passkeys, in whatever order the statement has them; empty: there is none.
fn mark_of_factors(authenticators: Option<&str>, passkeys: Option<&str>) -> String {
    let mut factors: Vec<&str> =
        [authenticators, passkeys].into_iter().flatten().flat_map(|of| of.split(',')).collect();
    if factors.is_empty() {
        return String::new();
    }
    factors.sort_unstable();
    Digest::of(&[&["factors"], factors.as_slice()].concat()).as_str()[..22].to_owned()
}

/// The demands for a second factor, as the statement writes them: days and the end of the membership, 0 for none.
fn demands(text: &str) -> Vec<Demand> {
    let read = |pair: &str| {
        let (days, until) = pair.split_once(' ')?;
        let until = until.parse().ok().filter(|until| *until != 0).map(NumericDate);
        Some(Demand { days: days.parse().ok()?, until })
    };
    text.split(',').filter_map(read).collect()
}

/// The mark of a row's password as it is now.
pub(in crate::store) fn credential(
    password_hash: Option<&str>,
    written: Option<&str>,
    credential_id: Option<String>,
) -> String {
    let is_ours = password_hash.is_some_and(|hash| written == Some(credential_digest(hash).as_str()));
    match credential_id {
        Some(id) if is_ours => id,
        _ => credential_of(password_hash.unwrap_or_default(), written),
    }
}

/// What a row keeps of a hash that we wrote ourselves, to tell it from one that came by another hand.
fn credential_digest(password_hash: &str) -> String {
    Digest::of(&["credential digest", password_hash]).as_str().to_owned()
}

/// The mark of a hash that came by another hand: of itself, and of what we wrote before it, so that one that was there once
/// does not bring the mark of then back.
pub(in crate::store) fn credential_of(password_hash: &str, written: Option<&str>) -> String {
    let parts = ["credential", password_hash, written.unwrap_or_default()];
    Digest::of(&parts).as_str()[..22].to_owned()
}

row! {
    /// A row that was inserted or renamed by hand.
    struct Unfolded {
        sub: String,
        username: Option<String>,
        email: Option<String>,
        folded_of: String,
    }
}

/// Folds the names of the next rows that came by hand, `FOLDED_AT_ONCE` at most; gives whether that was all. A name that another
/// has in other letters is left alone: it is found as it is written and no other way.
async fn fold_some(mut transaction: Transaction) -> Result<bool, StoreError> {
    let rows: Vec<Unfolded> = sqlx::query_as(UNFOLDED).fetch_all(&mut *transaction).await?;
    for row in &rows {
        let username = row.username.as_deref().map(text::fold_username);
        if let Some(username) = &username {
            sqlx::query(FREE).bind(username).bind(&row.sub).execute(&mut *transaction).await?;
        }
        let folded = sqlx::query(FOLD)
            .bind(&row.sub)
            .bind(username)
            .bind(row.email.as_deref().map(text::fold_email))
            .bind(&row.folded_of)
            .execute(&mut *transaction)
            .await;
        match folded {
            Ok(_) => {}
            // Another node folds the same rows, and was first.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                transaction.rollback().await?;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
    }
    transaction.commit().await?;
    Ok(rows.len() < FOLDED_AT_ONCE)
}

/// Folds the names of every row that came by hand, for a task in the background and for commands.
///
/// # Errors
/// The database failed.
pub async fn fold_names(db: &Db) -> Result<(), StoreError> {
    while are_unfolded(db).await? && !fold_some(db.begin_in_background().await?).await? {}
    Ok(())
}

/// Whether there are rows that came by hand.
async fn are_unfolded(db: &Db) -> Result<bool, StoreError> {
    const ONE: &str = concat!("SELECT sub FROM users WHERE ", is_unfolded!(), " ORDER BY sub LIMIT 1");
    let found: Option<String> = sqlx::query_scalar(ONE).fetch_optional(db.statement_in_background()).await?;
    Ok(found.is_some())
}

/// Folds what a request found unfolded, as far as it may wait for it. Where that fails no user is kept out by it: the names
/// are found as they are written, and the next one tries again.
async fn fold_for_request(db: &Db) {
    let folded = async { fold_some(db.begin().await?).await };
    if let Err(error) = folded.await {
        tracing::warn!(%error, "names of users that were written by hand could not be folded");
    }
}

/// Finds a user, disabled or not.
///
/// # Errors
/// The database failed.
pub async fn find(db: &Db, sub: &str) -> Result<Option<User>, StoreError> {
    let row = async || sqlx::query_as::<_, Row>(FIND).bind(sub).fetch_optional(db.statement()).await;
    let mut found = row().await?;
    // Another user may have been given this one's address.
    if found.as_ref().is_some_and(|row| row.are_unfolded > 0) {
        fold_for_request(db).await;
        found = row().await?;
    }
    Ok(found.and_then(Row::user))
}

/// Who is meant by what is typed at a sign-in.
pub enum ByLogin {
    /// This user, disabled or not.
    One(Box<User>),
    /// Several users have that address, so it names none of them.
    Several,
    /// No user has that name or address.
    NoUser,
}

impl ByLogin {
    /// The user, where it is one.
    #[must_use]
    pub fn one(self) -> Option<User> {
        match self {
            Self::One(user) => Some(*user),
            Self::Several | Self::NoUser => None,
        }
    }
}

/// Finds whom a user name or an e-mail address means, in whatever letters. The very user name comes first, then the user name
/// in other letters, then the address; one that several records share means no user.
///
/// # Errors
/// The database failed.
pub async fn find_by_login(db: &Db, login: &str) -> Result<ByLogin, StoreError> {
    let (name, address) = (text::fold_username(login), text::fold_email(login));
    let rows = async || {
        let query = sqlx::query_as::<_, Row>(FIND_BY_LOGIN).bind(&name).bind(&address).bind(login);
        query.fetch_all(db.statement()).await
    };
    let mut found = rows().await?;
    if found.iter().any(|row| row.are_unfolded > 0) {
        fold_for_request(db).await;
        found = rows().await?;
    }
    // What a row was folded of may have changed since; the row itself decides.
    let is_very_name = |row: &Row| row.username.as_deref() == Some(login);
    let is_name = |row: &Row| row.username.as_deref().is_some_and(|username| text::fold_username(username) == name);
    let by_name = found.iter().position(is_very_name).or_else(|| found.iter().position(is_name));
    let of = |row: Row| row.user().map_or(ByLogin::NoUser, |user| ByLogin::One(Box::new(user)));
    if let Some(at) = by_name {
        return Ok(of(found.swap_remove(at)));
    }
    found.retain(|row| row.email.as_deref().is_some_and(|email| text::fold_email(email) == address));
    Ok(match (found.pop(), found.is_empty()) {
        (Some(only), true) => of(only),
        (Some(_), false) => ByLogin::Several,
        (None, _) => ByLogin::NoUser,
    })
}

row! {
    /// A user as a list has them; never the hash.
    pub struct Listed {
        /// `sub`.
        pub sub: String,
        /// `username`.
        pub username: Option<String>,
        /// `email`.
        pub email: Option<String>,
        /// `email_verified_at`.
        pub email_verified_at: Option<i64>,
        /// `name`.
        pub name: Option<String>,
        /// `created_at`.
        pub created_at: Option<i64>,
        /// `disabled_at`.
        pub disabled_at: Option<i64>,
        /// `locked_until`.
        pub locked_until: Option<i64>,
        /// `deletion_requested_at`.
        pub deletion_requested_at: Option<i64>,
        /// 0: this user cannot sign in with a password.
        pub has_password: i64,
        /// 1: another user has the address too, so that it is told as unverified and no user can sign in by it.
        pub shares_address: i64,
    }
}

row! {
    /// A user who has an address, as theirs or as a user name.
    pub struct Holder {
        /// `sub`.
        pub sub: String,
        /// `username`.
        pub username: Option<String>,
        /// `disabled_at`.
        pub disabled_at: Option<i64>,
    }
}

impl Holder {
    /// How a message calls the user.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.username.as_deref().unwrap_or(&self.sub);
        if self.disabled_at.is_some() { format!("{name} (disabled)") } else { name.to_owned() }
    }
}

/// Who has that address, disabled users among them, compared as a sign-in compares it; five at most.
///
/// # Errors
/// The database failed.
pub async fn with_address(db: &Db, email: &str) -> Result<Vec<Holder>, StoreError> {
    fold_names(db).await?;
    Ok(sqlx::query_as(WITH_ADDRESS).bind(text::fold_email(email)).fetch_all(db.statement()).await?)
}

/// All users, disabled or not.
///
/// # Errors
/// The database failed.
pub async fn list(db: &Db) -> Result<Vec<Listed>, StoreError> {
    fold_names(db).await?;
    Ok(sqlx::query_as(LIST).fetch_all(db.statement()).await?)
}

/// Gives a user another password, which was prepared before it was hashed. Sign-ins and access tokens carry a mark of the old
/// one and end with it; the refresh families are ended here as well, so that they stay dead should the old hash ever come
/// back. Gives how many did.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn set_password(db: &Db, sub: &str, password_hash: &str, now: NumericDate) -> Result<u64, StoreError> {
    let mut transaction = db.begin().await?;
    write_password(&mut transaction, sub, password_hash).await?;
    // One that was sent before would set yet another.
    user_links::end_of_user(&mut transaction, sub).await?;
    let ended = end_all(&mut transaction, sub, now).await?;
    audit_events::note_change(&mut transaction, Event::new(EventKind::UserPasswordSet, now).of(sub), now).await?;
    transaction.commit().await?;
    Ok(ended)
}

/// Writes a user's password, with a new mark.
pub(super) async fn write_password(
    transaction: &mut Transaction,
    sub: &str,
    password_hash: &str,
) -> Result<(), StoreError> {
    sqlx::query(SET_PASSWORD)
        .bind(sub)
        .bind(password_hash)
        .bind(credential_digest(password_hash))
        .bind(Handle(random()).text())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Ends every sign-in and every family of refresh tokens of a user; gives how many of the latter.
pub(in crate::store) async fn end_all(
    transaction: &mut Transaction,
    sub: &str,
    now: NumericDate,
) -> Result<u64, StoreError> {
    user_sessions::end_all(transaction, sub, now).await?;
    end_families(transaction, sub, now).await
}

/// Ends every family of refresh tokens of a user; gives how many.
async fn end_families(transaction: &mut Transaction, sub: &str, now: NumericDate) -> Result<u64, StoreError> {
    Ok(sqlx::query(END_FAMILIES).bind(sub).bind(now.0).execute(&mut **transaction).await?.rows_affected())
}

/// Writes another hash of the same, prepared password, where the row still has that of before: `credential` is the mark of
/// that, and stays, so nothing ends. `false`: another writer was first, and nothing was changed. On no request's budget.
///
/// # Errors
/// The database failed.
pub async fn renew_hash(
    db: &Db,
    sub: &str,
    before: &str,
    password_hash: &str,
    credential: &str,
) -> Result<bool, StoreError> {
    let renewed = sqlx::query(RENEW_HASH)
        .bind(sub)
        .bind(before)
        .bind(password_hash)
        .bind(credential_digest(password_hash))
        .bind(credential)
        .execute(&mut *db.writing_in_background().await?)
        .await?;
    Ok(renewed.rows_affected() == 1)
}

/// Notes the first sign-in of a user under a demand for a second factor, from which the days count; `None`: there is no demand any
/// more.
///
/// # Errors
/// The database failed.
pub async fn note_asked_for_factor(db: &Db, sub: &str, at: Option<NumericDate>) -> Result<(), StoreError> {
    match at {
        Some(at) => sqlx::query(ASKED).bind(sub).bind(at.0).execute(&mut *db.writing().await?).await?,
        None => sqlx::query(NOT_ASKED).bind(sub).execute(&mut *db.writing().await?).await?,
    };
    Ok(())
}

/// Holds the row of a user until the transaction ends, disabled or not.
pub(super) async fn hold(transaction: &mut Transaction, sub: &str) -> Result<(), StoreError> {
    sqlx::query(HOLD).bind(sub).execute(&mut **transaction).await?;
    Ok(())
}

/// Holds the row of a user until the transaction ends; `false`: there is no such user, or they are disabled.
pub(super) async fn hold_enabled(transaction: &mut Transaction, sub: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query(HOLD_ENABLED).bind(sub).execute(&mut **transaction).await?.rows_affected() == 1)
}

/// Disables a user from now on; nothing is deleted. `false`: there is no such user, or they were disabled before.
///
/// # Errors
/// The database failed.
pub async fn disable(db: &Db, sub: &str, now: NumericDate) -> Result<bool, StoreError> {
    let mut transaction = db.begin().await?;
    let is_disabled = disable_in(&mut transaction, sub, now).await?;
    if is_disabled {
        audit_events::note_change(&mut transaction, Event::new(EventKind::UserDisabled, now).of(sub), now).await?;
    }
    transaction.commit().await?;
    Ok(is_disabled)
}

/// The same within a transaction, without the event.
pub(in crate::store) async fn disable_in(
    transaction: &mut Transaction,
    sub: &str,
    now: NumericDate,
) -> Result<bool, StoreError> {
    let is_disabled =
        sqlx::query(DISABLE).bind(sub).bind(now.0).execute(&mut **transaction).await?.rows_affected() == 1;
    // What ended stays ended when the user is enabled again. The user's row is held first, as everywhere.
    user_links::end_of_user(transaction, sub).await?;
    Ok(is_disabled)
}

/// Enables a user again, who signs in anew. `false`: there is no such user, or they were enabled.
///
/// # Errors
/// The database failed.
pub async fn enable(db: &Db, sub: &str, now: NumericDate) -> Result<bool, StoreError> {
    let mut transaction = db.begin().await?;
    let is_enabled = sqlx::query(ENABLE).bind(sub).execute(&mut *transaction).await?.rows_affected() == 1;
    if is_enabled {
        // Those of a user who was disabled by SQL.
        user_links::end_of_user(&mut transaction, sub).await?;
        audit_events::note_change(&mut transaction, Event::new(EventKind::UserEnabled, now).of(sub), now).await?;
    }
    transaction.commit().await?;
    Ok(is_enabled)
}
