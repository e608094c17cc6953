//! What a source says, put aside in a SQLite database of this run alone: so the source is read once and let go, a million users
//! take no memory, and who has the same name or address is a question for an index.
//!
//! Its file has no name as soon as it is open: it holds hashes of passwords and secrets of authenticators, and goes with the process.

use super::{Person, Place, Role};
use crate::protocol::text;
use crate::store::StoreError;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _};
use std::collections::BTreeMap;

/// How many others are named who have the same.
pub const MOST_NAMED: usize = 5;

// Nothing of it has to outlive the process, and nothing else reads it.
const SET_UP: &str = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; \
     PRAGMA temp_store = FILE; PRAGMA cache_size = -16384; \
     CREATE TABLE people (number INTEGER PRIMARY KEY, source_key TEXT NOT NULL, sub TEXT, username TEXT, name_folded TEXT, \
     name_as_email TEXT, email_folded TEXT, place TEXT NOT NULL, document TEXT, \
     is_out INTEGER NOT NULL DEFAULT 0, twin TEXT, shares INTEGER NOT NULL DEFAULT 0); \
     CREATE TABLE roles (source_key TEXT PRIMARY KEY, document TEXT NOT NULL)";
const ADD: &str = "INSERT INTO people (source_key, sub, username, name_folded, name_as_email, email_folded, place, document, is_out) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const ADD_ROLE: &str = "INSERT INTO roles (source_key, document) VALUES ($1, $2) ON CONFLICT (source_key) DO NOTHING";
// Those who are the same in what only one can have; and who has an address that another has, or types as a name.
const INDEX: &str = "CREATE INDEX people_key ON people (source_key); CREATE INDEX people_sub ON people (sub) WHERE sub IS NOT NULL; \
     CREATE INDEX people_name ON people (name_folded) WHERE name_folded IS NOT NULL; \
     CREATE INDEX people_email ON people (email_folded) WHERE email_folded IS NOT NULL; \
     CREATE INDEX people_name_as_email ON people (name_as_email) WHERE name_as_email IS NOT NULL; \
     UPDATE people SET twin = 'address' WHERE name_as_email IS NOT NULL AND name_as_email IS NOT email_folded AND EXISTS \
     (SELECT 1 FROM people AS others WHERE others.email_folded = people.name_as_email AND others.number <> people.number); \
     UPDATE people SET twin = 'sub' WHERE sub IN \
     (SELECT sub FROM people WHERE sub IS NOT NULL GROUP BY sub HAVING COUNT(*) > 1); \
     UPDATE people SET twin = 'key' WHERE source_key IN \
     (SELECT source_key FROM people GROUP BY source_key HAVING COUNT(*) > 1); \
     UPDATE people SET twin = 'name' WHERE name_folded IN \
     (SELECT name_folded FROM people WHERE name_folded IS NOT NULL GROUP BY name_folded HAVING COUNT(*) > 1); \
     UPDATE people SET shares = 1 WHERE email_folded IS NOT NULL AND (EXISTS \
     (SELECT 1 FROM people AS others WHERE others.email_folded = people.email_folded AND others.number <> people.number AND others.is_out = 0) OR EXISTS \
     (SELECT 1 FROM people AS others WHERE others.name_as_email = people.email_folded AND others.number <> people.number AND others.is_out = 0))";
const PAGE: &str =
    "SELECT number, twin, shares, source_key, document FROM people WHERE number > $1 ORDER BY number LIMIT $2";
const ROW: &str = "SELECT number, twin, shares, source_key, document FROM people WHERE number = $1";
const ROLES: &str = "SELECT document FROM roles ORDER BY source_key";
const HAS_KEY: &str = "SELECT 1 FROM people WHERE source_key = $1 LIMIT 1";
const HAS_NAME: &str = "SELECT 1 FROM people WHERE name_folded = $1 LIMIT 1";
const WITH_NAME: &str =
    "SELECT username, place FROM people WHERE name_folded = $1 AND number <> $2 ORDER BY number LIMIT $3";
const WITH_SUB: &str = "SELECT username, place FROM people WHERE sub = $1 AND number <> $2 ORDER BY number LIMIT $3";
const WITH_KEY: &str =
    "SELECT username, place FROM people WHERE source_key = $1 AND number <> $2 ORDER BY number LIMIT $3";
const WITH_ADDRESS: &str = "SELECT username, place FROM people WHERE (email_folded = $1 OR name_as_email = $1) AND number <> $2 AND is_out = 0 \
     ORDER BY number LIMIT $3";

/// What only one user can have, and another of the source has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twin {
    /// The key of the row.
    Key,
    /// `sub`.
    Sub,
    /// The user name, as a sign-in compares it.
    Name,
    /// The user name is the address of another.
    Address,
}

impl Twin {
    fn of(word: Option<&str>) -> Option<Self> {
        match word? {
            "key" => Some(Self::Key),
            "sub" => Some(Self::Sub),
            "name" => Some(Self::Name),
            _ => Some(Self::Address),
        }
    }
}

/// A row as it was put aside.
pub(super) struct Staged {
    /// Its number here.
    pub number: i64,
    /// What the source knows the user by.
    pub key: String,
    /// What another of the source has too.
    pub twin: Option<Twin>,
    /// Another of the source has the address.
    pub shares_address: bool,
    /// The user; `None`: the row cannot be taken, which was said.
    pub person: Option<Person>,
}

/// Another row of the source.
pub(super) struct Other {
    /// The user name.
    pub username: String,
    /// Where.
    pub place: Place,
}

/// The database.
pub struct Staging {
    connection: SqliteConnection,
    people: u64,
    has_unknown: bool,
}

impl Staging {
    /// Makes it, in the folder for temporary files.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn new() -> Result<Self, StoreError> {
        let file = tempfile::Builder::new()
            .prefix("hallpass-import-")
            .tempfile()
            .map_err(|error| crate::failure::Failure::at("a temporary file", error))?;
        let options = SqliteConnectOptions::new().filename(file.path()).disable_statement_logging();
        let mut connection = options.connect().await?;
        connection.execute(SET_UP).await?;
        // Taken off the folder while it is open: nothing is left of it, however the process ends.
        drop(file);
        Ok(Self { connection, people: 0, has_unknown: false })
    }

    /// The connection, for tables of a reader's own.
    pub const fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// How many users were put aside.
    #[must_use]
    pub const fn people(&self) -> u64 {
        self.people
    }

    /// Puts a user aside.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn add_person(&mut self, person: &Person) -> Result<(), StoreError> {
        sqlx::query(ADD)
            .bind(&person.key)
            .bind(&person.sub)
            .bind(&person.username)
            .bind(text::fold_username(&person.username))
            .bind(name_as_address(&person.username))
            .bind(person.email.as_deref().map(text::fold_email))
            .bind(serde_json::to_string(&person.place)?)
            .bind(serde_json::to_string(person)?)
            .bind(i64::from(!person.left_out.is_empty()))
            .execute(&mut self.connection)
            .await?;
        self.people += 1;
        Ok(())
    }

    /// Remembers a row that cannot be taken: who is here already is not gone from the source, and the name is no other's.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn add_unusable(&mut self, key: &str, username: Option<&str>, place: &Place) -> Result<(), StoreError> {
        self.has_unknown |= key.is_empty();
        sqlx::query(ADD)
            .bind(key)
            .bind(None::<String>)
            .bind(username)
            .bind(username.map(text::fold_username))
            .bind(username.and_then(name_as_address))
            .bind(None::<String>)
            .bind(serde_json::to_string(place)?)
            .bind(None::<String>)
            .bind(1_i64)
            .execute(&mut self.connection)
            .await?;
        self.people += 1;
        Ok(())
    }

    /// Remembers that there was a row of which not even the key could be read.
    pub const fn add_unknown(&mut self) {
        self.has_unknown = true;
    }

    /// Whether there was such a row.
    #[must_use]
    pub const fn has_unknown(&self) -> bool {
        self.has_unknown
    }

    /// Puts a role aside; of two with one key the first counts.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn add_role(&mut self, role: &Role) -> Result<(), StoreError> {
        let document = serde_json::to_string(role)?;
        sqlx::query(ADD_ROLE).bind(&role.key).bind(document).execute(&mut self.connection).await?;
        Ok(())
    }

    /// All is there: finds those who are the same in what only one can have.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn finish(&mut self) -> Result<(), StoreError> {
        self.connection.execute(INDEX).await?;
        Ok(())
    }

    /// The roles, by their keys.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn roles(&mut self) -> Result<Vec<Role>, StoreError> {
        let documents: Vec<String> = sqlx::query_scalar(ROLES).fetch_all(&mut self.connection).await?;
        Ok(documents.iter().map(|document| serde_json::from_str(document)).collect::<Result<_, _>>()?)
    }

    /// The next rows after that number.
    ///
    /// # Errors
    /// SQLite failed.
    pub(super) async fn page(&mut self, after: i64, most: i64) -> Result<Vec<Staged>, StoreError> {
        let rows = sqlx::query(PAGE).bind(after).bind(most).fetch_all(&mut self.connection).await?;
        rows.iter().map(staged).collect()
    }

    /// The row of that number.
    ///
    /// # Errors
    /// SQLite failed.
    pub(super) async fn row(&mut self, number: i64) -> Result<Vec<Staged>, StoreError> {
        let rows = sqlx::query(ROW).bind(number).fetch_all(&mut self.connection).await?;
        rows.iter().map(staged).collect()
    }

    /// Whether the source has that key still.
    ///
    /// # Errors
    /// SQLite failed.
    pub(super) async fn has_key(&mut self, key: &str) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(HAS_KEY).bind(key).fetch_optional(&mut self.connection).await?;
        Ok(found.is_some())
    }

    /// Whether a user of the source has that user name, as a sign-in compares it.
    ///
    /// # Errors
    /// SQLite failed.
    pub(super) async fn has_name(&mut self, folded: &str) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(HAS_NAME).bind(folded).fetch_optional(&mut self.connection).await?;
        Ok(found.is_some())
    }

    /// The others of the source that have the same, one more than are named.
    ///
    /// # Errors
    /// SQLite failed.
    pub(super) async fn twins(
        &mut self,
        staged: &Staged,
        person: &Person,
        twin: Twin,
    ) -> Result<Vec<Other>, StoreError> {
        let (statement, value) = match twin {
            Twin::Key => (WITH_KEY, person.key.clone()),
            Twin::Sub => (WITH_SUB, person.sub.clone().unwrap_or_default()),
            Twin::Name => (WITH_NAME, text::fold_username(&person.username)),
            Twin::Address => (WITH_ADDRESS, name_as_address(&person.username).unwrap_or_default()),
        };
        self.others(statement, &value, staged.number).await
    }

    /// The others of the source that have the address, as theirs or as a user name, one more than are named.
    ///
    /// # Errors
    /// SQLite failed.
    pub(super) async fn with_address(&mut self, staged: &Staged, email: &str) -> Result<Vec<Other>, StoreError> {
        self.others(WITH_ADDRESS, &text::fold_email(email), staged.number).await
    }

    async fn others(&mut self, statement: &'static str, value: &str, not: i64) -> Result<Vec<Other>, StoreError> {
        let most = i64::try_from(MOST_NAMED + 1).unwrap_or(i64::MAX);
        let rows = sqlx::query(statement).bind(value).bind(not).bind(most).fetch_all(&mut self.connection).await?;
        rows.iter()
            .map(|row| {
                let place: String = row.try_get("place")?;
                let username: Option<String> = row.try_get("username")?;
                Ok(Other { username: username.unwrap_or_default(), place: serde_json::from_str(&place)? })
            })
            .collect()
    }

    /// Ends it.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn close(self) -> Result<(), StoreError> {
        Ok(self.connection.close().await?)
    }
}

fn staged(row: &SqliteRow) -> Result<Staged, StoreError> {
    let document: Option<String> = row.try_get("document")?;
    let twin: Option<String> = row.try_get("twin")?;
    Ok(Staged {
        number: row.try_get("number")?,
        key: row.try_get("source_key")?,
        twin: Twin::of(twin.as_deref()),
        shares_address: row.try_get::<i64, _>("shares")? != 0,
        person: document.map(|document| serde_json::from_str(&document)).transpose()?,
    })
}

/// The address that a user name is, as a sign-in compares it; `None`: it is none.
pub(super) fn name_as_address(username: &str) -> Option<String> {
    let folded = text::fold_username(username);
    folded.contains('@').then(|| text::fold_email(&folded))
}

/// Several values under one name, as a claim of one user: a list of all that differ, or the one.
#[must_use]
pub fn claims_of(values: Vec<(String, Value)>) -> BTreeMap<String, Value> {
    let mut claims: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (name, value) in values {
        let known = claims.entry(name).or_default();
        if !known.contains(&value) {
            known.push(value);
        }
    }
    let one = |mut values: Vec<Value>| if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
    claims.into_iter().map(|(name, values)| (name, one(values))).collect()
}
