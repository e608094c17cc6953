//! Migrations: ours, carried in the binary and numbered below a million, and the admin's, read from a folder
//! at run time and dated.
//!
//! Ours run first, by a `Migrator` of their own, and nothing works without them. The admin's follow one by one: a file that
//! fails stops those after it and nothing else. `folder` reads the admin's files, `cause` says why one failed and `locate` on
//! which line, `trial` tries them without lasting effect, `watch` remembers what a node left undone.

mod cause;
mod folder;
mod locate;
mod trial;
mod watch;

pub use trial::trial;
pub use watch::Watch;

pub(in crate::store) use cause::{in_words as in_plain_words, quoting_little};

use crate::failure::Failure;
use crate::store::StoreError;
use crate::store::db::{Db, Kind, lock_file};
use crate::store::row::row;
use folder::Folder;
use sqlx::migrate::{Migrate as _, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, Executor as _, SqlSafeStr as _};
use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Below this, numbers are Hallpass's own.
pub const FIRST_ADMIN_VERSION: i64 = 1_000_000;

/// Number, words and text of each file of `migrations/`, as the build script found them.
const BUILT_IN: &[(i64, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// The schema that this version knows: the number of its last built-in file.
pub const SCHEMA_VERSION: i64 = BUILT_IN[BUILT_IN.len() - 1].0;

/// The name in `provider_values` of the least schema version that may serve. A feature that can refuse a user raises it
/// with its first such row, so that an older node, which does not know the row, lets no such user in.
const LEAST_VERSION: &str = "least_schema_version";

/// The schemas from which on a version knows what is named below, and a row that an older one would not
/// know: it would let in whom the row keeps out. The newest is first.
const KEPT_OUT: [(i64, &str); 6] = [
    (18, "SELECT sub FROM user_passkeys LIMIT 1"),
    (14, "SELECT client_id FROM clients WHERE require_acr IS NOT NULL LIMIT 1"),
    (14, "SELECT name FROM groups WHERE second_factor_within IS NOT NULL LIMIT 1"),
    (13, "SELECT sub FROM user_factors WHERE kind = 'totp' LIMIT 1"),
    (10, "SELECT sub FROM users WHERE locked_until IS NOT NULL LIMIT 1"),
    (8, "SELECT client_id FROM clients WHERE access <> 'everybody' LIMIT 1"),
];

/// The least schema version that may serve on this database, raised first where a row keeps users out whom an older version would
/// let in. Commands that may have written such a row ask for it, and every node now and then, as rows are written by hand as
/// well. What cannot be read as a number is newer than everything.
///
/// # Errors
/// The database failed.
pub async fn least_version(db: &Db) -> Result<i64, StoreError> {
    let mut connection = db.statement().acquire().await?;
    least_version_in(&mut connection).await
}

/// The same in the transaction that may have written such a row, so that there is no moment in which one is without the other.
///
/// # Errors
/// The database failed.
pub(in crate::store) async fn least_version_in(connection: &mut AnyConnection) -> Result<i64, StoreError> {
    const READ: &str = "SELECT value FROM provider_values WHERE name = $1";
    const FIRST: &str = "INSERT INTO provider_values (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    const RAISE: &str = "UPDATE provider_values SET value = $2 WHERE name = $1 AND value = $3";
    let text: Option<String> = sqlx::query_scalar(READ).bind(LEAST_VERSION).fetch_optional(&mut *connection).await?;
    let least = text.as_deref().map_or(0, |text| text.trim().parse().unwrap_or(i64::MAX));
    let mut needed = least;
    for (version, statement) in KEPT_OUT.into_iter().take_while(|(version, _)| *version > least) {
        let found: Option<String> = sqlx::query_scalar(statement).fetch_optional(&mut *connection).await?;
        if found.is_some() {
            needed = version;
            break;
        }
    }
    if needed == least {
        return Ok(least);
    }
    let raised = needed.to_string();
    let raise = match text {
        // Another node that was first wrote the same, or more.
        None => sqlx::query(FIRST).bind(LEAST_VERSION).bind(raised),
        Some(before) => sqlx::query(RAISE).bind(LEAST_VERSION).bind(raised).bind(before),
    };
    raise.execute(connection).await?;
    Ok(needed)
}

/// The built-in files: number, words and text.
pub fn built_in() -> impl Iterator<Item = (i64, &'static str, &'static str)> {
    BUILT_IN.iter().copied()
}

const TABLE: &str = "_sqlx_migrations";
const LIST: &str = "SELECT version, description, checksum FROM _sqlx_migrations ORDER BY version";

/// How long another process that applies migrations is waited for since it applied the last file.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Held until its connection ends.
const LOCK: &str = "SELECT CAST(pg_try_advisory_lock(4711001) AS TEXT)";
/// A table that another's transaction holds must not hold up a start for ever.
const WAIT_FOR_TABLES: &str = "SET lock_timeout = '5s'";

/// One file, as an operator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its number.
    pub version: i64,
    /// Its words.
    pub description: String,
    /// Its name; of one that is not there, the name that it probably has.
    pub name: String,
}

impl File {
    fn named_by(version: i64, description: &str) -> Self {
        let name = format!("{version:04}_{}.sql", description.replace(' ', "_"));
        Self { version, description: description.to_owned(), name }
    }

    /// Whether it comes with the binary.
    #[must_use]
    pub const fn is_built_in(&self) -> bool {
        self.version < FIRST_ADMIN_VERSION
    }
}

/// What is wrong with one of the admin's files, or with their folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file's name, or the folder.
    pub file: String,
    /// The line that the database complains of, where it says one.
    pub line: Option<usize>,
    /// What is wrong, in plain words. It holds nothing of what the file says but names of tables and columns.
    pub why: String,
    /// What to do about it.
    pub fix: String,
}

impl Fault {
    fn new(file: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, why: why.into(), fix: fix.into() }
    }

    /// File, line and what is wrong, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self.line {
            Some(line) => format!("{}, line {line}: {}", self.file, self.why),
            None => format!("{}: {}", self.file, self.why),
        }
    }
}

impl From<&Fault> for Failure {
    fn from(fault: &Fault) -> Self {
        Self::new(fault.sentence()).with_fix(&fault.fix)
    }
}

/// What a database has and what the files would change.
#[derive(Debug, Default)]
pub struct Plan {
    /// Files that are applied.
    pub applied: Vec<File>,
    /// Files that would run, or would if none before them kept them waiting.
    pub pending: Vec<File>,
    /// Applied, but different now.
    pub edited: Vec<File>,
    /// Applied, but not among the files: another node or a newer version may have them.
    pub missing: Vec<File>,
    /// Files that cannot be taken for a migration, and what is wrong with their folder.
    pub faults: Vec<Fault>,
    /// The first number that cannot be applied as its file is; what comes after it waits.
    blocked_at: Option<i64>,
}

impl Plan {
    /// Whether a table of ours may be missing.
    #[must_use]
    pub fn lacks_built_in(&self) -> bool {
        self.pending.iter().any(File::is_built_in)
    }

    /// Why this version cannot work on that database at all: it was made by one that was never released.
    #[must_use]
    pub fn unreleased(&self) -> Option<Failure> {
        let file = self.edited.iter().find(|file| file.is_built_in())?;
        let what =
            format!("the database was made by an unreleased version of Hallpass, whose {} was another one", file.name);
        Some(Failure::new(what).with_fix(
            "name a new database in HALLPASS_DATABASE_URL and let `hallpass migrate` make its tables, or run the version \
             that made this one",
        ))
    }

    /// What the admin should know: files that were edited, and whatever cannot be taken for a migration.
    #[must_use]
    pub fn warnings(&self) -> Vec<Fault> {
        let edited = self.edited.iter().filter(|file| !file.is_built_in()).map(|file| {
            Fault::new(
                &file.name,
                "it was edited since it was applied",
                "restore it, and put the change into a new file",
            )
        });
        edited.chain(self.faults.iter().cloned()).collect()
    }
}

/// What applying came to.
#[derive(Debug, Default)]
pub struct Applied {
    /// The files that were applied, in their order.
    pub files: Vec<File>,
    /// The file of the admin's that failed; its statements are undone.
    pub failed: Option<Failed>,
    /// The files that wait for it.
    pub waiting: Vec<File>,
}

/// A file of the admin's that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Which.
    pub file: File,
    /// Why.
    pub fault: Fault,
    checksum: Vec<u8>,
}

row! {
    struct AppliedRow {
        version: i64,
        description: String,
        checksum: Vec<u8>,
    }
}

/// All files, ours and the folder's.
pub struct Migrations {
    built_in: Vec<Migration>,
    folder: Folder,
}

impl Migrations {
    /// Reads the admin's folder, if there is one, beside the built-in files. What is wrong with it is told by the plan.
    ///
    /// # Errors
    /// The process is ending.
    pub async fn read(folder: Option<&Path>) -> Result<Self, StoreError> {
        let built_in: Vec<Migration> = BUILT_IN
            .iter()
            .map(|&(version, description, sql)| {
                Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
            })
            .collect();
        let Some(folder) = folder.map(Path::to_owned) else { return Ok(Self { built_in, folder: Folder::default() }) };
        let ours: BTreeMap<i64, Vec<u8>> = built_in.iter().map(|own| (own.version, own.checksum.to_vec())).collect();
        let folder = tokio::task::spawn_blocking(move || Folder::read(&folder, &ours))
            .await
            .map_err(|error| Failure::new("the migrations could not be read").with_source(error))?;
        Ok(Self { built_in, folder })
    }

    /// Compares the files with what the database says was applied; changes nothing.
    ///
    /// # Errors
    /// The database failed.
    pub async fn plan(&self, db: &Db) -> Result<Plan, StoreError> {
        let rows: Vec<AppliedRow> = if has_table(db).await? {
            sqlx::query_as(LIST).fetch_all(db.statement_in_background()).await?
        } else {
            Vec::new()
        };
        let applied: BTreeMap<i64, &AppliedRow> = rows.iter().map(|row| (row.version, row)).collect();
        let mut plan = Plan { faults: self.folder.faults.clone(), ..Plan::default() };
        for own in &self.built_in {
            let file = File::named_by(own.version, &own.description);
            match applied.get(&own.version) {
                None => plan.pending.push(file),
                Some(row) if row.checksum == *own.checksum => plan.applied.push(file),
                Some(_) => plan.edited.push(file),
            }
        }
        for (version, candidates) in &self.folder.files {
            let is_taken = |version: i64| self.folder.files.contains_key(&version);
            candidates.plan(applied.get(version).map(|row| row.checksum.as_slice()), is_taken, &mut plan);
        }
        let is_here = |version: i64| {
            self.built_in.iter().any(|own| own.version == version) || self.folder.files.contains_key(&version)
        };
        plan.missing = rows
            .iter()
            .filter(|row| !is_here(row.version))
            .map(|row| File::named_by(row.version, &row.description))
            .collect();
        Ok(plan)
    }

    /// Applies what is pending, under a lock that several nodes respect: a file beside SQLite, an advisory lock of PostgreSQL
    /// on a connection of its own, so that it ends with the connection whatever happens. Who holds it is waited for for five
    /// seconds, and for five more after each file that it applies meanwhile.
    ///
    /// Files that were applied elsewhere and are missing here do not stop it, nor do files of the admin's that were edited.
    ///
    /// # Errors
    /// The lock is held; a built-in file failed, or was another one when it was applied.
    pub async fn apply(&self, db: &Db) -> Result<Applied, StoreError> {
        let mut connection = db.connect().await?;
        let _lock = lock(db, &mut connection).await?;
        let plan = self.plan(db).await?;
        if let Some(failure) = plan.unreleased() {
            return Err(failure.into());
        }
        if db.kind() == &Kind::Postgres {
            connection.execute(WAIT_FOR_TABLES).await?;
        }
        if plan.lacks_built_in() {
            self.apply_built_in(&mut connection).await?;
        }
        let mut applied = Applied::default();
        let mut pending = plan.pending.into_iter();
        for file in pending.by_ref() {
            if file.is_built_in() {
                applied.files.push(file);
                continue;
            }
            if plan.blocked_at.is_some_and(|blocked| blocked <= file.version) {
                applied.waiting.push(file);
                break;
            }
            let Some(migration) = self.folder.migration(file.version) else { continue };
            match connection.apply(TABLE, migration).await {
                Ok(_) => applied.files.push(file),
                Err(error) => {
                    let sql = migration.sql.as_str();
                    let mut fault = cause::of(&file.name, sql, &error);
                    // What may end the transaction that is undone is not run a second time for the sake of a line.
                    let runs_alone = migration.no_tx || trial::ends_its_transaction(sql);
                    if let (None, false, MigrateError::ExecuteMigration(error, _)) = (fault.line, runs_alone, &error) {
                        fault.line = locate::line(&mut connection, db.kind(), &[], sql, error).await;
                    }
                    applied.failed = Some(Failed { file, fault, checksum: migration.checksum.to_vec() });
                    break;
                }
            }
        }
        applied.waiting.extend(pending);
        Ok(applied)
    }

    /// Applies ours. The lock is held, so the migrator needs none of its own.
    async fn apply_built_in(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        let mut migrator = Migrator::with_migrations(self.built_in.clone());
        migrator.set_ignore_missing(true).set_locking(false);
        let Err(error) = migrator.run_direct(None, connection, false).await else { return Ok(()) };
        let version = match &error {
            MigrateError::ExecuteMigration(_, version) => *version,
            _ => return Err(error.into()),
        };
        let error = StoreError::from(error);
        if error.may_pass() {
            return Err(error);
        }
        let own = self.built_in.iter().find(|own| own.version == version);
        let (StoreError::Migration(error), Some(own)) = (&error, own) else { return Err(error) };
        let file = File::named_by(own.version, &own.description);
        let fault = cause::of(&file.name, own.sql.as_str(), error);
        let what = format!("{}, which comes with Hallpass and nothing works without", fault.sentence());
        Err(Failure::new(what).with_fix(cause::FIX_OF_BUILT_IN).into())
    }
}

/// Holds the lock of SQLite for as long as it is kept; PostgreSQL's is held by the connection.
async fn lock(db: &Db, connection: &mut AnyConnection) -> Result<Option<std::fs::File>, StoreError> {
    let mut give_up = Instant::now() + LOCK_PATIENCE;
    let mut applied = None;
    let file = match db.kind() {
        Kind::Sqlite(path) => Some(lock_file(path, "migrating")?),
        Kind::Postgres => None,
    };
    loop {
        let is_held = match &file {
            Some(file) => match file.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(error)) => {
                    return Err(Failure::new("the lock of the migrations cannot be taken").with_source(error).into());
                }
            },
            None => sqlx::query_scalar::<_, String>(LOCK).fetch_one(&mut *connection).await? == "true",
        };
        if is_held {
            return Ok(file);
        }
        match applied {
            None => applied = Some(number_of_applied(db).await?),
            Some(_) if Instant::now() < give_up => {}
            Some(before) => {
                let now = number_of_applied(db).await?;
                if now <= before {
                    return Err(StoreError::MigrationsLocked);
                }
                applied = Some(now);
                give_up = Instant::now() + LOCK_PATIENCE;
            }
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

async fn number_of_applied(db: &Db) -> Result<i64, StoreError> {
    const COUNT: &str = "SELECT COUNT(*) FROM _sqlx_migrations";
    if !has_table(db).await? {
        return Ok(0);
    }
    Ok(sqlx::query_scalar(COUNT).fetch_one(db.statement_in_background()).await?)
}

async fn has_table(db: &Db) -> Result<bool, StoreError> {
    let sql = match db.kind() {
        Kind::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table' AND name = $1",
        Kind::Postgres => {
            "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1"
        }
    };
    let found: Option<String> =
        sqlx::query_scalar(sql).bind(TABLE).fetch_optional(db.statement_in_background()).await?;
    Ok(found.is_some())
}
