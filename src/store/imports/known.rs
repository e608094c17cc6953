//! What is here of a batch of users about to be brought over: read in a handful of statements, whatever the batch says.

use super::compare::Digests;
use super::staging::{Staged, name_as_address};
use crate::protocol::node_secrets::NameKey;
use crate::protocol::text;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::row::row;
use crate::store::user_factors::Stored;
use crate::store::users::edit::COLUMNS;
use crate::store::users::{self, tombstones};
use sqlx::{AssertSqlSafe, Row as _};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

/// How many users are compared at once, and the most that one transaction writes.
pub const BATCH: usize = 500;
/// How many words (user names and addresses) a batch has at the most.
const WORDS: usize = 2 * BATCH;

/// `($2, $3, …)`, of that many places from that one on.
fn places(first: usize, number: usize) -> String {
    let mut text = String::from("(");
    for at in first..first + number {
        let _ = write!(text, "{}${at}", if at == first { "" } else { ", " });
    }
    text.push(')');
    text
}

static SOURCES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT source_key, sub, digests FROM user_sources WHERE source = $1 AND source_key IN {}",
        places(2, BATCH)
    )
});
static USERS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT sub, username, email, email_verified_at, phone_number_verified_at, password_hash, credential_digest, \
         credential_id, locked_until, disabled_at, {} FROM users WHERE sub IN {}",
        COLUMNS.join(", "),
        places(1, BATCH)
    )
});
static HOLDERS: LazyLock<String> = LazyLock::new(|| {
    const COLUMNS: &str = "sub, username, username_folded, email_folded, disabled_at, \
         CASE WHEN EXISTS (SELECT 1 FROM user_sources WHERE user_sources.sub = users.sub AND source = $1) \
         THEN 1 ELSE 0 END AS is_brought";
    format!(
        "SELECT {COLUMNS} FROM users WHERE username_folded IN {0} UNION SELECT {COLUMNS} FROM users WHERE email_folded IN {0}",
        places(2, WORDS)
    )
});
static CLIENTS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT client_id FROM clients WHERE client_id IN {}", places(1, BATCH)));
static GONE_SUBS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT sub FROM user_tombstones WHERE sub IN {}", places(1, BATCH)));
static GONE_NAMES: LazyLock<String> =
    LazyLock::new(|| format!("SELECT name_digest FROM user_tombstones WHERE name_digest IN {}", places(1, BATCH)));
static MEMBERSHIPS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT sub, group_name, until FROM group_members WHERE sub IN {}", places(1, BATCH)));
static CLAIMS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT sub, claim, value FROM user_claims WHERE sub IN {}", places(1, BATCH)));
static FACTORS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT factor_id, sub, kind, name, secret, key_id, created_at, used_at, last_step FROM user_factors WHERE sub IN {}",
        places(1, BATCH)
    )
});

/// What was brought over of a user before.
#[derive(Clone, Debug, Default)]
pub(super) struct Brought {
    /// Who it is here.
    pub sub: String,
    /// What the source said then.
    pub digests: Digests,
}

/// A user who is here.
#[derive(Clone, Default)]
pub(super) struct Here {
    /// `username`.
    pub username: Option<String>,
    /// `email`.
    pub email: Option<String>,
    /// Whether the address is verified.
    pub email_verified: bool,
    /// The other columns that have a text.
    pub columns: BTreeMap<&'static str, String>,
    /// Whether the telephone number is verified.
    pub phone_number_verified: bool,
    /// `password_hash`.
    pub password_hash: Option<String>,
    /// What was written of a hash of ours before; part of the mark of another.
    pub credential_digest: Option<String>,
    /// The mark of the password as it is now.
    pub credential: String,
    /// `locked_until`.
    pub locked_until: Option<i64>,
    /// Disabled here.
    pub is_disabled: bool,
    /// The groups that the user is in.
    pub groups: BTreeSet<String>,
    /// Further claims, as JSON.
    pub claims: BTreeMap<String, String>,
    /// Second factors.
    pub factors: Vec<Stored>,
}

row! {
    /// A user who has a name or an address.
    #[derive(Clone, Debug)]
    pub(super) struct Holder {
        pub sub: String,
        pub username: Option<String>,
        pub username_folded: Option<String>,
        pub email_folded: Option<String>,
        pub disabled_at: Option<i64>,
        pub is_brought: i64,
    }
}

/// What is here of a batch.
#[derive(Default)]
pub(super) struct Known {
    /// By the source's key.
    pub brought: BTreeMap<String, Brought>,
    /// By `sub`.
    pub users: BTreeMap<String, Here>,
    /// By a folded name or address.
    pub holders: BTreeMap<String, Vec<Holder>>,
    /// Of the `sub`s, those that are a client's id.
    pub clients: BTreeSet<String>,
    /// Of the `sub`s, those of deleted users.
    pub gone_subs: BTreeSet<String>,
    /// Digests of the names of deleted users.
    gone_names: BTreeSet<String>,
    name_key: Option<NameKey>,
}

impl Known {
    /// Whether that user name was a deleted user's.
    pub fn has_gone_name(&self, username: &str) -> bool {
        self.name_key.as_ref().is_some_and(|key| self.gone_names.contains(&key.digest(username)))
    }

    /// Reads what is here of the rows, `BATCH` at most.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read(db: &Db, source: &str, rows: &[Staged], now: NumericDate) -> Result<Self, StoreError> {
        let mut known = Self { name_key: tombstones::known_key(db).await?, ..Self::default() };
        if rows.is_empty() {
            return Ok(known);
        }
        let people = || rows.iter().filter_map(|row| row.person.as_ref());
        known.brought = brought(db, source, rows).await?;
        // Who was brought over before is the user of then, whatever the source calls them now.
        let subs: BTreeSet<String> = people()
            .filter_map(|person| match known.brought.get(&person.key) {
                Some(brought) => Some(brought.sub.clone()),
                None => person.sub.clone(),
            })
            .collect();
        known.read_users(db, &subs, now).await?;
        known.clients = texts(db, &CLIENTS, subs.iter().cloned(), BATCH).await?;
        known.gone_subs = texts(db, &GONE_SUBS, subs.into_iter(), BATCH).await?;
        if let Some(key) = &known.name_key {
            let digests: BTreeSet<String> = people().map(|person| key.digest(&person.username)).collect();
            known.gone_names = texts(db, &GONE_NAMES, digests.into_iter(), BATCH).await?;
        }
        let words: BTreeSet<String> = people()
            .flat_map(|person| {
                let name = Some(text::fold_username(&person.username));
                [name, name_as_address(&person.username), person.email.as_deref().map(text::fold_email)]
                    .into_iter()
                    .flatten()
            })
            .collect();
        known.read_holders(db, source, &words.into_iter().collect::<Vec<_>>()).await?;
        Ok(known)
    }

    async fn read_users(&mut self, db: &Db, subs: &BTreeSet<String>, now: NumericDate) -> Result<(), StoreError> {
        if subs.is_empty() {
            return Ok(());
        }
        let mut query = sqlx::query(AssertSqlSafe(USERS.as_str()));
        for sub in filled(subs.iter().cloned(), BATCH) {
            query = query.bind(sub);
        }
        for row in query.fetch_all(db.statement()).await? {
            let instant = |column: &str| row.try_get::<Option<i64>, _>(column);
            let (password_hash, credential_digest): (Option<String>, Option<String>) =
                (row.try_get("password_hash")?, row.try_get("credential_digest")?);
            let credential_id: Option<String> = row.try_get("credential_id")?;
            let mut columns = BTreeMap::new();
            for column in COLUMNS {
                if let Some(text) = row.try_get::<Option<String>, _>(*column)? {
                    columns.insert(*column, text);
                }
            }
            let here = Here {
                username: row.try_get("username")?,
                email: row.try_get("email")?,
                email_verified: instant("email_verified_at")?.is_some(),
                columns,
                phone_number_verified: instant("phone_number_verified_at")?.is_some(),
                credential: users::credential(password_hash.as_deref(), credential_digest.as_deref(), credential_id),
                password_hash,
                credential_digest,
                locked_until: instant("locked_until")?,
                is_disabled: instant("disabled_at")?.is_some(),
                ..Here::default()
            };
            self.users.insert(row.try_get("sub")?, here);
        }
        if self.users.is_empty() {
            return Ok(());
        }
        for (statement, is_claim) in [(&MEMBERSHIPS, false), (&CLAIMS, true)] {
            let mut query = sqlx::query(AssertSqlSafe(statement.as_str()));
            for sub in filled(self.users.keys().cloned(), BATCH) {
                query = query.bind(sub);
            }
            for row in query.fetch_all(db.statement()).await? {
                let sub: String = row.try_get("sub")?;
                let Some(here) = self.users.get_mut(&sub) else { continue };
                if is_claim {
                    here.claims.insert(row.try_get("claim")?, row.try_get("value")?);
                } else if row.try_get::<Option<i64>, _>("until")?.is_none_or(|until| until > now.0) {
                    here.groups.insert(row.try_get("group_name")?);
                }
            }
        }
        let mut query = sqlx::query_as::<_, Stored>(AssertSqlSafe(FACTORS.as_str()));
        for sub in filled(self.users.keys().cloned(), BATCH) {
            query = query.bind(sub);
        }
        for factor in query.fetch_all(db.statement()).await? {
            if let Some(here) = self.users.get_mut(&factor.sub) {
                here.factors.push(factor);
            }
        }
        Ok(())
    }

    async fn read_holders(&mut self, db: &Db, source: &str, words: &[String]) -> Result<(), StoreError> {
        for words in words.chunks(WORDS) {
            let mut query = sqlx::query_as::<_, Holder>(AssertSqlSafe(HOLDERS.as_str())).bind(source);
            for word in filled(words.iter().cloned(), WORDS) {
                query = query.bind(word);
            }
            for holder in query.fetch_all(db.statement()).await? {
                let of: BTreeSet<String> =
                    [&holder.username_folded, &holder.email_folded].into_iter().flatten().cloned().collect();
                for word in of {
                    self.holders.entry(word).or_default().push(holder.clone());
                }
            }
        }
        for holders in self.holders.values_mut() {
            holders.sort_by(|one, other| one.sub.cmp(&other.sub));
            holders.dedup_by(|one, other| one.sub == other.sub);
        }
        Ok(())
    }
}

/// Of the rows, those that were brought over before, by the source's key.
///
/// # Errors
/// The database failed.
pub(super) async fn brought(db: &Db, source: &str, rows: &[Staged]) -> Result<BTreeMap<String, Brought>, StoreError> {
    let mut query = sqlx::query(AssertSqlSafe(SOURCES.as_str())).bind(source);
    for key in filled(rows.iter().map(|row| row.key.clone()), BATCH) {
        query = query.bind(key);
    }
    let mut brought = BTreeMap::new();
    for row in query.fetch_all(db.statement()).await? {
        let digests: String = row.try_get("digests")?;
        // What was written by hand and is none is as if nothing had been brought over: then all differs, and stays.
        let digests = serde_json::from_str(&digests).unwrap_or_default();
        brought.insert(row.try_get("source_key")?, Brought { sub: row.try_get("sub")?, digests });
    }
    Ok(brought)
}

/// The values, the last of them again until there are so many: a statement has as many places whatever the batch.
fn filled(values: impl Iterator<Item = String>, number: usize) -> Vec<String> {
    let mut values: Vec<String> = values.collect();
    let last = values.last().cloned().unwrap_or_default();
    values.resize(number, last);
    values
}

async fn texts(
    db: &Db,
    statement: &'static LazyLock<String>,
    values: impl Iterator<Item = String>,
    number: usize,
) -> Result<BTreeSet<String>, StoreError> {
    let values = filled(values, number);
    // Nothing is asked for.
    if values.first().is_none_or(String::is_empty) && values.last().is_none_or(String::is_empty) {
        return Ok(BTreeSet::new());
    }
    let mut query = sqlx::query_scalar(AssertSqlSafe(statement.as_str()));
    for value in values {
        query = query.bind(value);
    }
    Ok(query.fetch_all(db.statement()).await?.into_iter().collect())
}
