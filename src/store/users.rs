//! People by their `sub`, or by what they type at sign-in.

use crate::protocol::audit::{Event, EventKind};
use crate::protocol::claims::User;
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::row::row;
use crate::store::{StoreError, audit_events, user_sessions};
use serde_json::{Map, Value, json};

/// 1 where another person has the address of `users` too, as theirs or as a user name: compared as a sign-in compares it.
macro_rules! shares_address {
    () => {
        "CASE WHEN EXISTS (SELECT 1 FROM users AS others WHERE LOWER(others.email) = LOWER(users.email) \
         AND others.sub <> users.sub) OR EXISTS (SELECT 1 FROM users AS others \
         WHERE LOWER(others.username) = LOWER(users.email) AND others.sub <> users.sub) THEN 1 ELSE 0 END AS shares_address"
    };
}

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT sub, username, email, email_verified_at, name, given_name, family_name, middle_name, nickname, ",
            "preferred_username, profile, picture, website, gender, birthdate, zoneinfo, locale, phone_number, ",
            "phone_number_verified_at, address_formatted, address_street_address, address_locality, address_region, ",
            "address_postal_code, address_country, password_hash, updated_at, tokens_valid_after, disabled_at, ",
            "(SELECT COUNT(*) FROM clients WHERE clients.client_id = users.sub) AS clients_of_that_name, ",
            shares_address!(),
            " FROM users WHERE ",
            $condition
        )
    };
}

const FIND: &str = select!("sub = $1");
// Three are enough to know that an e-mail address is not unique; whose user name it is must be among them.
const FIND_BY_LOGIN: &str = select!(
    "LOWER(username) = LOWER($1) OR LOWER(email) = LOWER($1) \
     ORDER BY CASE WHEN LOWER(username) = LOWER($1) THEN 0 ELSE 1 END LIMIT 3"
);
const INSERT: &str = "INSERT INTO users (sub, username, email, email_verified_at, name, password_hash, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $7)";
const LIST: &str = concat!(
    "SELECT sub, username, email, email_verified_at, name, created_at, disabled_at, ",
    "CASE WHEN password_hash IS NULL THEN 0 ELSE 1 END AS has_password, ",
    shares_address!(),
    " FROM users ORDER BY LOWER(COALESCE(username, sub)), sub"
);
// A handful of names is enough to know what to do.
const WITH_ADDRESS: &str = "SELECT sub, username, disabled_at FROM users WHERE LOWER(email) = LOWER($1) OR LOWER(username) = LOWER($1) \
     ORDER BY LOWER(COALESCE(username, sub)), sub LIMIT 5";
const SET_PASSWORD: &str = "UPDATE users SET password_hash = $2 WHERE sub = $1";
const END_FAMILIES: &str =
    "UPDATE refresh_families SET revoked_at = $2, salt = NULL WHERE sub = $1 AND revoked_at IS NULL";
const DISABLE: &str = "UPDATE users SET disabled_at = $2 WHERE sub = $1 AND disabled_at IS NULL";
const IMPORT: &str = "INSERT INTO users (sub, username, email, email_verified_at, name, given_name, family_name, password_hash, \
     created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)";

row! {
    struct Row {
        sub: String,
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
        updated_at: Option<i64>,
        tokens_valid_after: Option<i64>,
        disabled_at: Option<i64>,
        clients_of_that_name: i64,
        shares_address: i64,
    }
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
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
        // The user name is what the person wishes to be called by, unless the record says otherwise.
        if let (None, Some(username)) = (&row.preferred_username, &row.username) {
            claims.insert("preferred_username".into(), json!(username));
        }
        if row.email.is_some() {
            // Services link accounts by a verified address, so one that two people have is nobody's proof.
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
        Self {
            sub: row.sub,
            username: row.username,
            claims,
            password_hash: row.password_hash,
            tokens_valid_after: row.tokens_valid_after.map(NumericDate),
            disabled_at: row.disabled_at.map(NumericDate),
            is_ambiguous: row.clients_of_that_name > 0,
        }
    }
}

/// Finds a person, disabled or not.
///
/// # Errors
/// The database failed.
pub async fn find(db: &Db, sub: &str) -> Result<Option<User>, StoreError> {
    Ok(sqlx::query_as::<_, Row>(FIND).bind(sub).fetch_optional(db.statement()).await?.map(User::from))
}

/// Finds whom a user name or an e-mail address means, whatever its case. An address that several records
/// share means nobody.
///
/// # Errors
/// The database failed.
pub async fn find_by_login(db: &Db, login: &str) -> Result<Option<User>, StoreError> {
    let mut found: Vec<User> = sqlx::query_as::<_, Row>(FIND_BY_LOGIN)
        .bind(login)
        .fetch_all(db.statement())
        .await?
        .into_iter()
        .map(User::from)
        .collect();
    let wanted = login.to_lowercase();
    let by_name =
        found.iter().position(|user| user.username.as_ref().is_some_and(|name| name.to_lowercase() == wanted));
    Ok(match by_name {
        Some(at) => Some(found.swap_remove(at)),
        None if found.len() == 1 => found.pop(),
        None => None,
    })
}

/// A person to be added.
pub struct NewUser<'a> {
    /// `sub`.
    pub sub: &'a str,
    /// `username`.
    pub username: &'a str,
    /// `email`.
    pub email: &'a str,
    /// Whether somebody has verified it.
    pub email_verified: bool,
    /// `name`.
    pub name: Option<&'a str>,
    /// argon2id in PHC form.
    pub password_hash: &'a str,
    /// The clock.
    pub now: NumericDate,
}

/// Adds a person. `Ok(false)`: the user name is taken.
///
/// # Errors
/// The database failed.
pub async fn add(db: &Db, user: &NewUser<'_>) -> Result<bool, StoreError> {
    let mut transaction = db.begin().await?;
    let added = sqlx::query(INSERT)
        .bind(user.sub)
        .bind(user.username)
        .bind(user.email)
        .bind(user.email_verified.then_some(user.now.0))
        .bind(user.name)
        .bind(user.password_hash)
        .bind(user.now.0)
        .execute(&mut *transaction)
        .await;
    match added {
        Ok(_) => {
            let event = Event::new(EventKind::UserAdded, user.now).of(user.sub);
            audit_events::note_change(&mut transaction, event.personal("username", user.username), user.now).await?;
            transaction.commit().await?;
            Ok(true)
        }
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            transaction.rollback().await?;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

row! {
    /// A person as a list has them; never the hash.
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
        /// 0: this person cannot sign in with a password.
        pub has_password: i64,
        /// 1: another person has the address too, so that it is told as unverified and nobody can sign in by it.
        pub shares_address: i64,
    }
}

row! {
    /// A person who has an address, as theirs or as a user name.
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
    /// How a message calls the person.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.username.as_deref().unwrap_or(&self.sub);
        if self.disabled_at.is_some() { format!("{name} (disabled)") } else { name.to_owned() }
    }
}

/// Who has that address, disabled people among them, compared as a sign-in compares it; five at most.
///
/// # Errors
/// The database failed.
pub async fn with_address(db: &Db, email: &str) -> Result<Vec<Holder>, StoreError> {
    Ok(sqlx::query_as(WITH_ADDRESS).bind(email).fetch_all(db.statement()).await?)
}

/// Everybody, disabled or not.
///
/// # Errors
/// The database failed.
pub async fn list(db: &Db) -> Result<Vec<Listed>, StoreError> {
    Ok(sqlx::query_as(LIST).fetch_all(db.statement()).await?)
}

/// Gives a person another password. Sign-ins and access tokens carry a mark of the old one and end with it; the refresh
/// families are ended here as well, so that they stay dead should the old hash ever come back. Gives how many did.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn set_password(db: &Db, sub: &str, password_hash: &str, now: NumericDate) -> Result<u64, StoreError> {
    let mut transaction = db.begin().await?;
    sqlx::query(SET_PASSWORD).bind(sub).bind(password_hash).execute(&mut *transaction).await?;
    user_sessions::end_all(&mut transaction, sub, now).await?;
    let ended = sqlx::query(END_FAMILIES).bind(sub).bind(now.0).execute(&mut *transaction).await?.rows_affected();
    audit_events::note_change(&mut transaction, Event::new(EventKind::UserPasswordSet, now).of(sub), now).await?;
    transaction.commit().await?;
    Ok(ended)
}

/// Disables a person from now on; nothing is deleted. `false`: there is nobody, or they were disabled before.
///
/// # Errors
/// The database failed.
pub async fn disable(db: &Db, sub: &str, now: NumericDate) -> Result<bool, StoreError> {
    let mut transaction = db.begin().await?;
    let is_disabled = sqlx::query(DISABLE).bind(sub).bind(now.0).execute(&mut *transaction).await?.rows_affected() == 1;
    if is_disabled {
        audit_events::note_change(&mut transaction, Event::new(EventKind::UserDisabled, now).of(sub), now).await?;
    }
    transaction.commit().await?;
    Ok(is_disabled)
}

/// A person from elsewhere.
pub struct Imported {
    /// `sub`.
    pub sub: String,
    /// `username`.
    pub username: String,
    /// `email`.
    pub email: String,
    /// Whether somebody has verified it.
    pub email_verified: bool,
    /// `name`.
    pub name: Option<String>,
    /// `given_name`.
    pub given_name: Option<String>,
    /// `family_name`.
    pub family_name: Option<String>,
    /// argon2id in PHC form.
    pub password_hash: Option<String>,
}

/// Adds people, all of them or nobody.
///
/// # Errors
/// The database failed, or a user name or `sub` is taken.
pub async fn import(db: &Db, people: &[Imported], now: NumericDate) -> Result<(), StoreError> {
    let mut transaction = db.begin().await?;
    let events = people.iter().map(|person| {
        let event = Event::new(EventKind::UserAdded, now).of(&person.sub);
        event.personal("username", &person.username).with("imported", true)
    });
    audit_events::append(&mut transaction, &mut None, events.collect(), now).await?;
    for person in people {
        sqlx::query(IMPORT)
            .bind(&person.sub)
            .bind(&person.username)
            .bind(&person.email)
            .bind(person.email_verified.then_some(now.0))
            .bind(&person.name)
            .bind(&person.given_name)
            .bind(&person.family_name)
            .bind(&person.password_hash)
            .bind(now.0)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}
