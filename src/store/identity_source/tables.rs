//! Rows of Identity in the database of an import: they come in as the source has them, and go out as users with all that is
//! theirs, a page at a time, so that no number of users takes more memory.

use super::keys::{Keys, Look, guid};
use super::{Selection, Table};
use crate::store::StoreError;
use crate::store::imports::staging::Staging;
#[cfg(test)]
use crate::store::imports::{Person, Role};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Executor as _, Row as _};
use std::collections::BTreeMap;
use std::fmt;

/// How many rows are written, and read, at once.
const BATCH: usize = 500;
const BATCH_ROWS: i64 = 500;
/// How many bytes of cells wait to be written at most; one row may have more.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

const MAKE: &str = "CREATE TABLE identity_rows (number INTEGER PRIMARY KEY, part INTEGER NOT NULL, line INTEGER, \
     source_key TEXT, other_key TEXT, shown TEXT, fields TEXT)";
const ADD: &str = "INSERT INTO identity_rows (part, line, source_key, other_key, shown, fields) \
     SELECT $1, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), \
     json_extract(value, '$[3]'), json_extract(value, '$[4]') FROM json_each($2) ORDER BY key";
const SMALL: &str =
    "UPDATE identity_rows SET source_key = lower(trim(source_key, '{}')), other_key = lower(trim(other_key, '{}'))";
const INDEX: &str = "CREATE INDEX identity_rows_key ON identity_rows (part, source_key)";
const PAGE: &str = "SELECT number, line, source_key, shown, fields FROM identity_rows \
     WHERE number > $1 AND number <= $2 ORDER BY number LIMIT $3";
// Those of the rows of another part that have numbers between the two.
const OF_PAGE: &str = "SELECT number, line, source_key, other_key, shown, fields FROM identity_rows \
     WHERE part = $1 AND source_key IN (SELECT source_key FROM identity_rows WHERE number > $2 AND number <= $3) ORDER BY number";
const ORPHANS: &str = "SELECT number, line, source_key, shown, fields FROM identity_rows AS held \
     WHERE number > $1 AND number <= $2 AND NOT EXISTS \
     (SELECT 1 FROM identity_rows AS owner WHERE owner.part = $3 AND owner.source_key = held.source_key) \
     ORDER BY number LIMIT $4";
const ORPHANS_BY_OTHER: &str = "SELECT number, line, source_key, shown, fields FROM identity_rows AS held \
     WHERE number > $1 AND number <= $2 AND NOT EXISTS \
     (SELECT 1 FROM identity_rows AS owner WHERE owner.part = $3 AND owner.source_key = held.other_key) \
     ORDER BY number LIMIT $4";
const OWNERS: &str = "SELECT COUNT(DISTINCT source_key) FROM identity_rows WHERE part = $1";

/// Who keeps the key of an authenticator in Identity, and what it and the recovery codes are called.
const STORE: &str = "[AspNetUserStore]";
const AUTHENTICATOR: &str = "AuthenticatorKey";
const RECOVERY_CODES: &str = "RecoveryCodes";
/// Where a token has its name.
const TOKEN_NAME: usize = 2;
/// Where a token has its value.
pub const TOKEN_VALUE: usize = 3;

/// A row. What its cells say is not printed: hashes and secrets are among them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Its number in the database of the import.
    pub number: i64,
    /// Its line in a file.
    pub line: Option<u64>,
    /// The key of the row or of its owner, as services know it.
    pub key: Option<String>,
    /// How it is named.
    pub shown: String,
    /// A cell for each column; none at all: the row could not be read, which was said.
    pub fields: Vec<Option<String>>,
}

impl fmt::Debug for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Row").field("number", &self.number).field("shown", &self.shown).finish_non_exhaustive()
    }
}

/// A user with all that is theirs.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// The row.
    pub row: Row,
    /// The keys of their roles.
    pub roles: Vec<String>,
    /// The rows of their claims.
    pub claims: Vec<Row>,
    /// The providers that they sign in with.
    pub providers: Vec<String>,
    /// The row of the key of their authenticator.
    pub authenticator: Option<Row>,
    /// The row of their recovery codes.
    pub recovery_codes: Option<Row>,
}

/// What refers to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The table that refers.
    pub from: Table,
    /// The table that it refers to.
    pub to: Table,
}

impl Reference {
    /// All that there are.
    pub const ALL: [Self; 6] = [
        Self { from: Table::UserRoles, to: Table::Users },
        Self { from: Table::UserRoles, to: Table::Roles },
        Self { from: Table::UserClaims, to: Table::Users },
        Self { from: Table::RoleClaims, to: Table::Roles },
        Self { from: Table::UserLogins, to: Table::Users },
        Self { from: Table::UserTokens, to: Table::Users },
    ];

    /// The column that refers.
    #[must_use]
    pub fn column(self) -> usize {
        usize::from(self.from == Table::UserRoles && self.to == Table::Roles)
    }
}

/// The rows, in the database of an import.
pub struct Tables<'a> {
    staging: &'a mut Staging,
    keys: Keys,
    look: Look,
    /// The part that is written.
    table: Option<Table>,
    /// Rows of it that are not written yet, and their bytes.
    batch: Vec<Value>,
    bytes: usize,
    /// The last number of each part that was written.
    ends: Vec<(Table, i64)>,
}

const fn part(table: Table) -> i64 {
    table as i64
}

impl<'a> Tables<'a> {
    /// None yet.
    ///
    /// # Errors
    /// The database of the import failed.
    pub async fn new(staging: &'a mut Staging, keys: Keys) -> Result<Self, StoreError> {
        staging.connection().execute(MAKE).await?;
        Ok(Self { staging, keys, look: Look::default(), table: None, batch: Vec::new(), bytes: 0, ends: Vec::new() })
    }

    /// The database of the import.
    pub const fn staging(&mut self) -> &mut Staging {
        self.staging
    }

    /// From now on rows of that table are put.
    ///
    /// # Errors
    /// The database of the import failed.
    pub async fn begin(&mut self, selection: &Selection) -> Result<(), StoreError> {
        self.end().await?;
        self.table = Some(selection.table);
        Ok(())
    }

    /// Puts a row of the table: its line, and a cell for each column.
    ///
    /// # Errors
    /// The database of the import failed.
    pub async fn put(&mut self, line: Option<u64>, fields: Vec<Option<String>>) -> Result<(), StoreError> {
        let Some(table) = self.table else { return Ok(()) };
        if table == Table::UserTokens {
            let text = |at: usize| fields.get(at).and_then(Option::as_deref).unwrap_or_default();
            // What is a secret, and is not needed, is not put aside.
            let is_wanted = text(1) == STORE && matches!(text(TOKEN_NAME), AUTHENTICATOR | RECOVERY_CODES);
            if !is_wanted || text(TOKEN_VALUE).is_empty() {
                return Ok(());
            }
        }
        let shown = shown(table, &fields);
        let key = |at: usize| fields.get(at).cloned().flatten().map(|key| self.in_form(key));
        let (own, other) = (key(0), if table.keys() > 1 { key(1) } else { None });
        if matches!(table, Table::Users | Table::Roles) {
            self.look.at(own.as_deref().unwrap_or_default());
        }
        self.bytes += fields.iter().flatten().map(String::len).sum::<usize>();
        self.batch.push(json!([line, own, other, shown, fields]));
        self.write_if_full().await
    }

    /// Puts a row that cannot be read, but has that key.
    ///
    /// # Errors
    /// The database of the import failed.
    pub async fn put_broken(&mut self, line: Option<u64>, key: &str) -> Result<(), StoreError> {
        let own = self.in_form(key.to_owned());
        self.batch.push(json!([line, own, Value::Null, key, Value::Null]));
        self.write_if_full().await
    }

    async fn write_if_full(&mut self) -> Result<(), StoreError> {
        if self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES { self.write().await } else { Ok(()) }
    }

    fn in_form(&self, key: String) -> String {
        if self.keys == Keys::Guids { guid(&key).unwrap_or(key) } else { key }
    }

    async fn write(&mut self) -> Result<(), StoreError> {
        let Some(table) = self.table else { return Ok(()) };
        let rows = Value::Array(std::mem::take(&mut self.batch)).to_string();
        self.bytes = 0;
        sqlx::query(ADD).bind(part(table)).bind(rows).execute(self.staging.connection()).await?;
        Ok(())
    }

    async fn end(&mut self) -> Result<(), StoreError> {
        self.write().await?;
        if let Some(table) = self.table.take() {
            let end: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) FROM identity_rows")
                .fetch_one(self.staging.connection())
                .await?;
            self.ends.push((table, end));
        }
        Ok(())
    }

    /// All is there. Gives what the keys are, which is known now.
    ///
    /// # Errors
    /// The database of the import failed.
    pub async fn seal(&mut self, before: Keys) -> Result<Option<Keys>, StoreError> {
        self.end().await?;
        if self.keys == Keys::Unknown {
            self.keys = self.look.keys(before);
            if self.keys == Keys::Guids {
                self.staging.connection().execute(SMALL).await?;
            }
        }
        self.staging.connection().execute(INDEX).await?;
        Ok(Some(self.keys).filter(|keys| *keys != Keys::Unknown))
    }

    /// After which number, and up to which, the rows of a table are.
    fn range(&self, table: Table) -> (i64, i64) {
        let at = self.ends.iter().position(|(ended, _)| *ended == table);
        let Some(at) = at else { return (0, 0) };
        let before = at.checked_sub(1).map_or(0, |at| self.ends[at].1);
        (before, self.ends[at].1)
    }

    async fn rows(&mut self, table: Table, after: i64) -> Result<Vec<Row>, StoreError> {
        let (before, end) = self.range(table);
        let rows = sqlx::query(PAGE)
            .bind(before.max(after))
            .bind(end)
            .bind(BATCH_ROWS)
            .fetch_all(self.staging.connection())
            .await?;
        rows.iter().map(read).collect()
    }

    /// What of a table is that of the rows of another with numbers after the one and up to the other.
    async fn of(
        &mut self,
        table: Table,
        (after, last): (i64, i64),
    ) -> Result<BTreeMap<String, Vec<(Row, Option<String>)>>, StoreError> {
        let rows =
            sqlx::query(OF_PAGE).bind(part(table)).bind(after).bind(last).fetch_all(self.staging.connection()).await?;
        let mut found: BTreeMap<String, Vec<(Row, Option<String>)>> = BTreeMap::new();
        for row in &rows {
            let other = row.try_get("other_key")?;
            let row = read(row)?;
            if let Some(key) = row.key.clone() {
                found.entry(key).or_default().push((row, other));
            }
        }
        Ok(found)
    }

    /// The next users after that number.
    ///
    /// # Errors
    /// The database of the import failed.
    pub async fn users(&mut self, after: i64) -> Result<Vec<User>, StoreError> {
        let rows = self.rows(Table::Users, after).await?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
        let range = (first.number - 1, last.number);
        let roles = self.of(Table::UserRoles, range).await?;
        let claims = self.of(Table::UserClaims, range).await?;
        let logins = self.of(Table::UserLogins, range).await?;
        let tokens = self.of(Table::UserTokens, range).await?;
        let users = rows.into_iter().map(|row| {
            let key = row.key.clone().unwrap_or_default();
            let all = |held: &BTreeMap<String, Vec<(Row, Option<String>)>>| held.get(&key).cloned().unwrap_or_default();
            // One that could not be read may be that of the authenticator.
            let token = |name: &str| {
                let is_it = |row: &&Row| row.fields.get(TOKEN_NAME).is_none_or(|found| found.as_deref() == Some(name));
                tokens.get(&key).into_iter().flatten().map(|(row, _)| row).find(is_it).cloned()
            };
            User {
                roles: all(&roles).into_iter().filter_map(|(_, role)| role).collect(),
                claims: in_order(all(&claims).into_iter().map(|(row, _)| row).collect()),
                providers: all(&logins)
                    .into_iter()
                    .filter_map(|(row, _)| row.fields.get(1).cloned().flatten())
                    .collect(),
                authenticator: token(AUTHENTICATOR),
                recovery_codes: token(RECOVERY_CODES),
                row,
            }
        });
        Ok(users.collect())
    }

    /// The next roles after that number, each with the rows of its claims.
    ///
    /// # Errors
    /// The database of the import failed.
    pub async fn roles(&mut self, after: i64) -> Result<Vec<(Row, Vec<Row>)>, StoreError> {
        let rows = self.rows(Table::Roles, after).await?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
        let mut claims = self.of(Table::RoleClaims, (first.number - 1, last.number)).await?;
        let roles = rows.into_iter().map(|row| {
            let held = row.key.as_ref().and_then(|key| claims.remove(key)).unwrap_or_default();
            (row, in_order(held.into_iter().map(|(row, _)| row).collect()))
        });
        Ok(roles.collect())
    }

    /// The next rows after that number that refer to what is not there.
    ///
    /// # Errors
    /// The database of the import failed.
    pub async fn orphans(&mut self, reference: Reference, after: i64) -> Result<Vec<Row>, StoreError> {
        let (before, end) = self.range(reference.from);
        let statement = if reference.column() == 0 { ORPHANS } else { ORPHANS_BY_OTHER };
        let rows = sqlx::query(statement)
            .bind(before.max(after))
            .bind(end)
            .bind(part(reference.to))
            .bind(BATCH_ROWS)
            .fetch_all(self.staging.connection())
            .await?;
        rows.iter().map(read).collect()
    }

    /// How many users have rows in a table.
    ///
    /// # Errors
    /// The database of the import failed.
    pub async fn owners(&mut self, table: Table) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar(OWNERS).bind(part(table)).fetch_one(self.staging.connection()).await?)
    }
}

/// How a row is named: by its own key, where it has one.
fn shown(table: Table, fields: &[Option<String>]) -> String {
    let text = |at: usize| fields.get(at).and_then(Option::as_deref).unwrap_or_default();
    match table {
        Table::UserClaims | Table::RoleClaims if !text(1).is_empty() => text(1).to_owned(),
        Table::Users | Table::Roles | Table::UserClaims | Table::RoleClaims | Table::UserPasskeys => text(0).to_owned(),
        Table::UserRoles | Table::UserLogins => format!("{}, {}", text(0), text(1)),
        Table::UserTokens => format!("{}, {}", text(0), text(2)),
    }
}

/// Claims in the order of their `Id`, which is a number.
fn in_order(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| {
        (row.fields.get(1).and_then(Option::as_deref).and_then(|id| id.parse::<i64>().ok()), row.number)
    });
    rows
}

fn read(row: &SqliteRow) -> Result<Row, StoreError> {
    let fields: Option<String> = row.try_get("fields")?;
    let line: Option<i64> = row.try_get("line")?;
    Ok(Row {
        number: row.try_get("number")?,
        line: line.and_then(|line| u64::try_from(line).ok()),
        key: row.try_get("source_key")?,
        shown: row.try_get::<Option<String>, _>("shown")?.unwrap_or_default(),
        fields: fields.map(|fields| serde_json::from_str(&fields)).transpose()?.unwrap_or_default(),
    })
}

/// What was put aside, to be looked at.
///
/// # Panics
/// The database of the import failed.
#[cfg(test)]
pub async fn put_aside(staging: &mut Staging) -> (Vec<Option<Person>>, Vec<Role>) {
    let people = sqlx::query_scalar("SELECT document FROM people ORDER BY number");
    let people: Vec<Option<String>> = people.fetch_all(staging.connection()).await.unwrap();
    let roles = sqlx::query_scalar("SELECT document FROM roles ORDER BY source_key");
    let roles: Vec<String> = roles.fetch_all(staging.connection()).await.unwrap();
    let people = people.iter().map(|text| text.as_ref().map(|text| serde_json::from_str(text).unwrap()));
    (people.collect(), roles.iter().map(|text| serde_json::from_str(text).unwrap()).collect())
}
