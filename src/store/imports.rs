//! People brought over from elsewhere. A source is read into `staging`, a database of this run alone; `plan` compares what is
//! there with what is here, a batch at a time, and `write` carries it out.
//!
//! Of each member that was brought over a digest of the source's value stays, so that the same import made again changes only
//! what the source changed since.

mod compare;
mod factors;
mod known;
mod plan;
pub mod run;
pub mod staging;
mod write;

use crate::protocol::factor_secret::FactorSecret;
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::row::row;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const SOURCES_OF: &str = "SELECT source, source_key, imported_at FROM user_sources WHERE sub = $1 ORDER BY source";

const KEYS: &str = "SELECT source_key FROM user_sources WHERE source = $1 LIMIT 1000";

/// Keys of users who came from a source before; a thousand at most.
///
/// # Errors
/// The database failed.
pub async fn keys(db: &Db, source: &str) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(KEYS).bind(source).fetch_all(db.statement()).await?)
}

row! {
    /// Where a user was brought over from.
    pub struct BroughtFrom {
        /// `source`.
        pub source: String,
        /// `source_key`.
        pub source_key: String,
        /// `imported_at`.
        pub imported_at: Option<i64>,
    }
}

/// The sources that a user was brought over from: one as a rule, and nothing of a user who was added here.
///
/// # Errors
/// The database failed.
pub async fn sources_of(db: &Db, sub: &str) -> Result<Vec<BroughtFrom>, StoreError> {
    Ok(sqlx::query_as(SOURCES_OF).bind(sub).fetch_all(db.statement()).await?)
}

/// Locked for good: 9999-12-31T23:59:59Z, in Unix seconds.
pub const FOR_GOOD: i64 = 253_402_300_799;

/// Where in a source a row is, to be named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The table; a file of people has none.
    pub table: Option<String>,
    /// The row's key, as the source shows it.
    pub key: String,
    /// Its line in a file.
    pub line: Option<u64>,
}

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A row, or a part of it, that cannot be taken.
    Fault,
    /// A user who is left out by the rules.
    LeftOut,
    /// An address that several users have; all are taken.
    SharedAddress,
    /// Something that an operator should know; the row is taken.
    Note,
}

/// What is found out about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it means.
    pub weight: Weight,
    /// Where.
    pub place: Place,
    /// The column or member, by its name in the source.
    pub member: String,
    /// Why, without any value that could be a secret.
    pub why: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Finding {
    /// A finding about one member of a row.
    #[must_use]
    pub fn new(weight: Weight, place: &Place, member: &str, why: impl Into<String>) -> Self {
        Self { weight, place: place.clone(), member: member.to_owned(), why: why.into(), fix: None }
    }

    /// What to do about it.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// Why a user who is not here yet is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The member of the source.
    pub member: String,
    /// Why.
    pub why: String,
    /// How the user is taken all the same.
    pub fix: Option<String>,
}

/// The second factor of a user, as a source has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// The secret of the authenticator; `None`: the user has none there, or has switched it off.
    pub authenticator: Option<FactorSecret>,
    /// The recovery codes beside it, as they are compared.
    pub recovery_codes: Vec<FactorSecret>,
    /// Some of them could not be read, so that what is here of them already stays.
    #[serde(default)]
    pub has_broken_codes: bool,
}

/// A user as a source has them, in our forms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// Where.
    pub place: Place,
    /// What the source knows the user by; it does not change there.
    pub key: String,
    /// `sub`; where the source has none a new one is made.
    pub sub: Option<String>,
    /// `username`.
    pub username: String,
    /// `email`.
    pub email: Option<String>,
    /// Whether the address is verified.
    pub email_verified: bool,
    /// Columns of `users::edit::COLUMNS` that have a text.
    pub columns: BTreeMap<String, String>,
    /// Whether the telephone number is verified.
    pub phone_number_verified: bool,
    /// What `users.password_hash` is to hold.
    pub password_hash: Option<String>,
    /// The instant until which the user is locked, Unix seconds, `FOR_GOOD` at most; one that has passed is none.
    pub locked_until: Option<i64>,
    /// The second factor; `None`: the source says nothing of it, and what is here stays.
    #[serde(default)]
    pub second_factor: Option<SecondFactor>,
    /// The keys of the roles that the user has.
    pub roles: BTreeSet<String>,
    /// Further claims.
    pub claims: BTreeMap<String, Value>,
    /// Why the user is not taken unless they are here already.
    pub left_out: Vec<LeftOut>,
}

/// A role of a source, which becomes a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// Where.
    pub place: Place,
    /// What the source knows the role by.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Claims that all who have the role have.
    pub claims: BTreeMap<String, Value>,
}
