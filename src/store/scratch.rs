//! A database in memory with our tables, in which statements of files are tried: what each of them changes, and what the
//! real constraints say against it. Nothing leaves it, and no statement runs for ever or takes all memory.
//!
//! What fails may be tried again with the constraints off, so that one fault does not hide what comes after it.

use crate::ambient::random;
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::migrations::{built_in, in_plain_words};
use crate::store::statements::{Statement, danger};
use serde_json::{Value, json};
use sqlx::error::ErrorKind;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Executor as _, Row as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// How many steps of SQLite one statement may take, and all together: a second and some seconds of a slow machine.
const STEPS_OF_ONE: i64 = 20_000_000;
const STEPS_OF_ALL: i64 = 200_000_000;
/// How often they are counted.
const STEPS_AT_ONCE: i32 = 10_000;
/// Some functions take long in one step.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bounds of memory, in bytes and in pages of 4096 bytes; and nothing is put aside in files.
const BOUNDS: &str = "PRAGMA hard_heap_limit = 268435456; PRAGMA max_page_count = 32768; PRAGMA temp_store = MEMORY; \
     PRAGMA trusted_schema = OFF";
const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name";

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Whether it holds numbers.
    pub is_number: bool,
    /// Its default, as the schema has it.
    pub default: Option<String>,
    is_key: bool,
    is_required: bool,
}

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The next row of the statement is to be inserted.
    Tried,
    /// It has the key of this row.
    Twin,
    /// It was inserted.
    Inserted,
    /// It was changed.
    Updated,
    /// It is gone.
    Deleted,
}

/// One change, in the order in which they happened.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub what: What,
    /// To a row of this table.
    pub table: String,
    /// Its number within the table.
    pub row: i64,
    /// Its `client_id`, where the table has one.
    pub client_id: Option<String>,
}

/// Why a statement was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A row has a key that is taken.
    Duplicate,
    /// A row refers to one that is not there.
    NoSuchRow,
    /// A column must have a value: table and column.
    NoValue(String, String),
    /// A CHECK that does not hold.
    Check(String),
    /// No such table.
    NoTable(String),
    /// No such column.
    NoColumn(String),
    /// Columns and values differ in number.
    Count(String),
    /// It is no SQL for SQLite.
    Syntax,
    /// It takes too long.
    Endless,
    /// Anything else, in words that repeat no value.
    Other(String),
}

/// How a statement is tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leniency {
    /// Whether foreign keys and CHECKs are off.
    pub is_unchecked: bool,
    /// What happens to a row that cannot be inserted: `IGNORE`, `REPLACE`.
    pub otherwise: Option<&'static str>,
}

/// The database.
pub struct Scratch {
    connection: SqliteConnection,
    db: Db,
    steps: Arc<AtomicI64>,
    left: i64,
    /// Whether a statement still runs although its time is over: nothing can be asked of the database any more.
    is_stuck: bool,
    /// The table that notes changes. Its name is of chance: what is tried must not write its own notes.
    notes: String,
    tables: BTreeMap<String, Vec<Column>>,
    ours: Vec<String>,
}

impl Scratch {
    /// Makes it, with our tables.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn new() -> Result<Self, StoreError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("sqlite:file:hallpass-scratch-{}?mode=memory", NUMBER.fetch_add(1, Ordering::Relaxed));
        let options: SqliteConnectOptions = name.parse()?;
        let mut connection = options.disable_statement_logging().connect().await?;
        connection.execute(BOUNDS).await?;
        let notes = format!("notes_{:032x}", u128::from_be_bytes(random()));
        let table = format!(
            "CREATE TEMP TABLE {notes} (number INTEGER PRIMARY KEY, kind TEXT, in_table TEXT, row BIGINT, client_id TEXT)"
        );
        connection.execute(AssertSqlSafe(table)).await?;
        for (_, _, sql) in built_in() {
            connection.execute(sql).await?;
        }
        let steps = Arc::new(AtomicI64::new(i64::MAX));
        let counted = steps.clone();
        connection.lock_handle().await?.set_progress_handler(STEPS_AT_ONCE, move || {
            counted.fetch_sub(i64::from(STEPS_AT_ONCE), Ordering::Relaxed) > 0
        });
        let db = Db::open_memory(&name).await?;
        let (left, tables, ours) = (STEPS_OF_ALL, BTreeMap::new(), Vec::new());
        let mut scratch = Self { connection, db, steps, left, is_stuck: false, notes, tables, ours };
        scratch.read_tables().await?;
        scratch.ours = scratch.tables.keys().cloned().collect();
        for table in scratch.ours.clone() {
            scratch.watch(&table).await?;
        }
        Ok(scratch)
    }

    /// The same database, as the provider reads it; `None`: nothing can be asked of it any more.
    #[must_use]
    pub const fn db(&self) -> Option<&Db> {
        if self.is_stuck { None } else { Some(&self.db) }
    }

    /// The tables with their columns, ours and those that were made since.
    #[must_use]
    pub const fn tables(&self) -> &BTreeMap<String, Vec<Column>> {
        &self.tables
    }

    /// A column of a table.
    #[must_use]
    pub fn column(&self, table: &str, column: &str) -> Option<&Column> {
        self.tables.get(table)?.iter().find(|known| known.name == column)
    }

    async fn read_tables(&mut self) -> Result<(), StoreError> {
        let names: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&mut self.connection).await?;
        for name in names.into_iter().filter(|name| !self.tables.contains_key(name)).collect::<Vec<_>>() {
            const COLUMNS: &str = "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info($1)";
            let columns: Vec<(String, String, i64, Option<String>, i64)> =
                sqlx::query_as(COLUMNS).bind(&name).fetch_all(&mut self.connection).await?;
            let columns = columns.into_iter().map(|(name, kind, required, default, key)| Column {
                name,
                is_number: matches!(kind.to_uppercase().as_str(), "BIGINT" | "INTEGER"),
                default,
                is_key: key > 0,
                is_required: required > 0,
            });
            let columns = columns.collect();
            self.tables.insert(name, columns);
        }
        Ok(())
    }

    /// Notes what happens to the rows of a table. SQLite lets a key of text be NULL, which PostgreSQL does not.
    async fn watch(&mut self, table: &str) -> Result<(), StoreError> {
        let columns = self.tables.get(table).cloned().unwrap_or_default();
        let notes = self.notes.clone();
        let has_client = columns.iter().any(|column| column.name == "client_id");
        let client = |row: &str| if has_client { format!("{row}.client_id") } else { "NULL".to_owned() };
        let note = |kind: &str, id: &str, client: &str| {
            format!(
                "INSERT INTO {notes} (kind, in_table, row, client_id) VALUES ('{kind}', '{table}', {id}, {client});"
            )
        };
        let keys: Vec<&Column> = columns.iter().filter(|column| column.is_key).collect();
        let refused: Vec<String> = keys
            .iter()
            .filter(|key| !key.is_required)
            .map(|Column { name, .. }| {
                format!("SELECT RAISE(ABORT, 'NOT NULL constraint failed: {table}.{name}') WHERE NEW.{name} IS NULL;")
            })
            .collect();
        let same: Vec<String> = keys.iter().map(|Column { name, .. }| format!("{name} IS NEW.{name}")).collect();
        let twin = format!(
            "INSERT INTO {notes} (kind, in_table, row, client_id) SELECT 'twin', '{table}', rowid, {} FROM main.{table} WHERE {};",
            client("NEW"),
            same.join(" AND ")
        );
        let triggers = [
            format!(
                "before_{table} BEFORE INSERT ON main.{table} BEGIN {} {} {twin} END",
                refused.join(" "),
                note("tried", "0", "NULL")
            ),
            format!(
                "new_{table} AFTER INSERT ON main.{table} BEGIN {} END",
                note("inserted", "NEW.rowid", &client("NEW"))
            ),
            format!(
                "set_{table} AFTER UPDATE ON main.{table} BEGIN {} END",
                note("updated", "NEW.rowid", &client("NEW"))
            ),
            format!(
                "old_{table} AFTER DELETE ON main.{table} BEGIN {} END",
                note("deleted", "OLD.rowid", &client("OLD"))
            ),
        ];
        for trigger in triggers {
            self.connection.execute(AssertSqlSafe(format!("CREATE TEMP TRIGGER {trigger}"))).await?;
        }
        Ok(())
    }

    /// Carries out a statement, by itself, and tells what it changed.
    ///
    /// # Errors
    /// SQLite failed in another way than by the statement. The inner one: why the statement was refused; nothing of it lasts.
    pub async fn try_out(
        &mut self,
        statement: &Statement,
        leniency: Leniency,
    ) -> Result<Result<Vec<Change>, Refusal>, StoreError> {
        // The caller has told them apart already, and this is what nothing gets past.
        if let Some(why) = danger(statement.text()) {
            return Ok(Err(Refusal::Other(why.to_owned())));
        }
        if self.left <= 0 {
            return Ok(Err(Refusal::Endless));
        }
        let mut text = statement.text().to_owned();
        if let Some(otherwise) = leniency.otherwise
            && let Some((verb, rest)) = text.split_at_checked("INSERT".len())
            && (verb.eq_ignore_ascii_case("insert") || verb.eq_ignore_ascii_case("update"))
        {
            text = format!("{verb} OR {otherwise}{rest}");
        }
        if leniency.is_unchecked {
            self.connection.execute("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON").await?;
        }
        let budget = STEPS_OF_ONE.min(self.left);
        self.steps.store(budget, Ordering::Relaxed);
        let outcome = tokio::time::timeout(PATIENCE, self.connection.execute(AssertSqlSafe(text))).await;
        let Ok(outcome) = outcome else {
            // The thread of that connection is at it still, under a lock which closing any other connection to the same memory
            // waits for: they stay open until the process ends.
            (self.left, self.is_stuck) = (0, true);
            std::mem::forget(self.db.clone());
            return Ok(Err(Refusal::Endless));
        };
        self.left -= budget - self.steps.swap(i64::MAX, Ordering::Relaxed);
        if leniency.is_unchecked {
            self.connection.execute("PRAGMA foreign_keys = ON; PRAGMA ignore_check_constraints = OFF").await?;
        }
        if let Err(error) = outcome {
            return Ok(Err(refusal(&error)));
        }
        let noted = format!("SELECT kind, in_table, row, client_id FROM {} ORDER BY number", self.notes);
        let changes = sqlx::query(AssertSqlSafe(noted)).fetch_all(&mut self.connection).await?;
        let changes = changes.iter().filter_map(change).collect();
        self.connection.execute(AssertSqlSafe(format!("DELETE FROM {}", self.notes))).await?;
        self.read_tables().await?;
        Ok(Ok(changes))
    }

    /// The rows of a table that refer to one that is not there, by their number.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn orphans(&mut self, table: &str) -> Result<Vec<i64>, StoreError> {
        const ORPHANS: &str = "SELECT rowid FROM pragma_foreign_key_check($1)";
        if self.is_stuck {
            return Ok(Vec::new());
        }
        Ok(sqlx::query_scalar(ORPHANS).bind(table).fetch_all(&mut self.connection).await?)
    }

    /// The rows of a table of ours for which a CHECK of ours, as a refusal names it, does not hold.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn failing(&mut self, table: &str, check: &str) -> Result<Vec<i64>, StoreError> {
        // A refusal tells the name of a CHECK that has one, and names are what a file says: only the text of one of ours is run.
        let is_ours = built_in().any(|(_, _, sql)| sql.contains(&format!("CHECK ({check})")));
        if self.is_stuck || !is_ours || !self.ours.iter().any(|own| own == table) {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT rowid FROM {table} WHERE NOT ({check})");
        Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await?)
    }

    /// The rows of a table of ours by their number: each column as text, number or null.
    ///
    /// # Errors
    /// SQLite failed.
    pub async fn rows(&mut self, table: &str) -> Result<Vec<(i64, BTreeMap<String, Value>)>, StoreError> {
        if self.is_stuck || !self.ours.iter().any(|own| own == table) {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT rowid AS number_of_row, * FROM {table} ORDER BY rowid");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, cells(row)))).collect()
    }

    /// Ends it.
    pub async fn close(self) {
        if !self.is_stuck {
            // What is in memory is gone either way.
            self.db.close().await;
            let _ = self.connection.close().await;
        }
    }
}

/// A row without its number. What is neither text nor number is left out.
fn cells(row: &SqliteRow) -> BTreeMap<String, Value> {
    let mut cells = BTreeMap::new();
    for column in row.columns().iter().skip(1) {
        let at = column.ordinal();
        let text = row.try_get::<Option<String>, _>(at).map(|text| json!(text));
        let value = text.or_else(|_| row.try_get::<Option<i64>, _>(at).map(|number| json!(number)));
        cells.extend(value.ok().map(|value| (column.name().to_owned(), value)));
    }
    cells
}

fn change(row: &SqliteRow) -> Option<Change> {
    let what = match row.try_get::<String, _>(0).ok()?.as_str() {
        "tried" => What::Tried,
        "twin" => What::Twin,
        "inserted" => What::Inserted,
        "updated" => What::Updated,
        _ => What::Deleted,
    };
    Some(Change { what, table: row.try_get(1).ok()?, row: row.try_get(2).ok()?, client_id: row.try_get(3).ok()? })
}

/// SQLite has one code for most faults, so its words are looked at.
fn refusal(error: &sqlx::Error) -> Refusal {
    let Some(database) = error.as_database_error() else { return Refusal::Other("SQLite broke off".to_owned()) };
    let message = database.message();
    let after = |words: &str| message.split_once(words).map(|(_, rest)| rest.trim().to_owned());
    match database.kind() {
        ErrorKind::UniqueViolation => return Refusal::Duplicate,
        ErrorKind::ForeignKeyViolation => return Refusal::NoSuchRow,
        _ => {}
    }
    if let Some(column) = after("NOT NULL constraint failed:") {
        let (table, column) = column.split_once('.').unwrap_or(("", &column));
        return Refusal::NoValue(table.to_owned(), column.to_owned());
    }
    if let Some(check) = after("CHECK constraint failed:") {
        return Refusal::Check(check);
    }
    if let Some(table) = after("no such table:") {
        return Refusal::NoTable(table.rsplit('.').next().unwrap_or_default().to_owned());
    }
    if let Some(column) = after("no such column:").or_else(|| after("has no column named")) {
        let column = column.split([' ', '-']).next().unwrap_or_default();
        return Refusal::NoColumn(column.rsplit('.').next().unwrap_or_default().trim_matches('"').to_owned());
    }
    if message.contains("values for")
        || message.contains("values were supplied")
        || message.contains("same number of terms")
    {
        return Refusal::Count(message.to_owned());
    }
    if message.contains("syntax error")
        || message.contains("incomplete input")
        || message.contains("unrecognized token")
    {
        return Refusal::Syntax;
    }
    if message.contains("interrupted") {
        return Refusal::Endless;
    }
    Refusal::Other(in_plain_words(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::clients;
    use crate::store::statements::read;

    async fn tried(scratch: &mut Scratch, sql: &str) -> Result<Vec<Change>, Refusal> {
        scratch.try_out(&read(sql).statements[0], Leniency::default()).await.unwrap()
    }

    #[tokio::test]
    async fn every_column_of_words_is_there_with_a_default_that_is_one_of_them() {
        let scratch = Scratch::new().await.unwrap();
        for column in clients::WORDS {
            let known = scratch.column("clients", column.name()).unwrap_or_else(|| panic!("{}", column.name()));
            // `require_acr` alone has none: no row demands anything unless it says so.
            let Some(default) = known.default.as_deref() else {
                assert_eq!(column.name(), "require_acr");
                continue;
            };
            assert_eq!(column.fault(default.trim_matches('\'')), None, "{}", column.name());
        }
        // SQLite cannot change a CHECK, and later versions know more words.
        for (_, name, text) in built_in() {
            assert!(!text.lines().any(|line| line.contains("CHECK") && line.contains(" IN ")), "{name}");
        }
    }

    #[tokio::test]
    async fn a_statement_that_would_never_end_or_fill_the_memory_is_broken_off() {
        let mut scratch = Scratch::new().await.unwrap();
        let endless = "INSERT INTO clients (client_id) WITH RECURSIVE n (a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n) \
                       SELECT 'x' FROM n WHERE a < 0";
        assert_eq!(tried(&mut scratch, endless).await.unwrap_err(), Refusal::Endless);
        let huge = "INSERT INTO clients (client_id, client_name) VALUES ('x', hex(zeroblob(400000000)))";
        assert!(matches!(tried(&mut scratch, huge).await.unwrap_err(), Refusal::Other(_)));
        assert_eq!(tried(&mut scratch, "INSERT INTO clients (client_id) VALUES ('x')").await.unwrap().len(), 2);
        assert!(crate::store::clients::find(scratch.db().unwrap(), "x").await.unwrap().is_some());
        scratch.close().await;
    }

    #[tokio::test]
    async fn what_a_statement_changes_is_told_with_what_goes_along() {
        let mut scratch = Scratch::new().await.unwrap();
        let two = "INSERT INTO clients (client_id) VALUES ('x'), ('y')";
        let shape = |changes: Vec<Change>| -> Vec<(What, String, Option<String>)> {
            changes.into_iter().map(|change| (change.what, change.table, change.client_id)).collect()
        };
        let changes = shape(tried(&mut scratch, two).await.unwrap());
        assert_eq!(changes[1], (What::Inserted, "clients".to_owned(), Some("x".to_owned())));
        assert_eq!((changes.len(), changes[2].0), (4, What::Tried));
        assert_eq!(tried(&mut scratch, two).await.unwrap_err(), Refusal::Duplicate);
        let _ = tried(&mut scratch, "INSERT INTO client_audiences VALUES ('x', 'https://api')").await.unwrap();
        let gone = shape(tried(&mut scratch, "DELETE FROM clients").await.unwrap());
        assert_eq!(gone.len(), 3, "the row of its API too: {gone:?}");
        let missing = "INSERT INTO client_audiences VALUES ('x', 'https://api')";
        assert_eq!(tried(&mut scratch, missing).await.unwrap_err(), Refusal::NoSuchRow);
        let nameless = "INSERT INTO clients (client_name) VALUES ('x')";
        let no_value = Refusal::NoValue("clients".to_owned(), "client_id".to_owned());
        assert_eq!(tried(&mut scratch, nameless).await.unwrap_err(), no_value);
        let check = "INSERT INTO clients (client_id, code_lifetime) VALUES ('x', 1)";
        let expected = Refusal::Check("code_lifetime BETWEEN 5 AND 600".to_owned());
        assert_eq!(tried(&mut scratch, check).await.unwrap_err(), expected);
    }
}
