//! Migrations: ours, carried in the binary and numbered below a million, and the admin's, read from a folder
//! at run time and dated. Both go through one `Migrator`; a file that is in both counts once.

use crate::store::StoreError;
use crate::store::db::{Db, Kind, lock_file};
use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migrate as _, Migration, MigrationType, Migrator};
use std::collections::BTreeMap;
use std::path::Path;

/// Below this, numbers are Hallpass's own.
pub const FIRST_ADMIN_VERSION: i64 = 1_000_000;

const BUILT_IN: &[(i64, &str, &str)] = &[
    (1, "clients", include_str!("../../migrations/0001_clients.sql")),
    (2, "users", include_str!("../../migrations/0002_users.sql")),
    (3, "consents", include_str!("../../migrations/0003_consents.sql")),
    (4, "refresh families", include_str!("../../migrations/0004_refresh_families.sql")),
    (5, "logout outbox", include_str!("../../migrations/0005_logout_outbox.sql")),
    (6, "audit", include_str!("../../migrations/0006_audit.sql")),
    (7, "logout sessions", include_str!("../../migrations/0007_logout_sessions.sql")),
];

/// The built-in files: number, words and text.
pub fn built_in() -> impl Iterator<Item = (i64, &'static str, &'static str)> {
    BUILT_IN.iter().copied()
}

const TABLE: &str = "_sqlx_migrations";

/// Held until its connection ends. Beside the migrator's own lock, so that what is pending is known for sure.
const LOCK: &str = "SELECT CAST(pg_advisory_lock(4711001) AS TEXT)";

/// One file, as an operator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its number.
    pub version: i64,
    /// Its words.
    pub description: String,
}

/// What a database has and what the files would change.
#[derive(Debug, Default)]
pub struct Plan {
    /// Files that are applied.
    pub applied: Vec<File>,
    /// Files that would run.
    pub pending: Vec<File>,
    /// Applied, but different now.
    pub edited: Vec<File>,
    /// Applied, but not among the files: another node or a newer version may have them.
    pub missing: Vec<i64>,
}

/// All files, ours and the folder's.
pub struct Migrations(Vec<Migration>);

impl Migrations {
    /// Reads the admin's folder, if there is one, beside the built-in files.
    ///
    /// # Errors
    /// A file of the folder that is not readable, has no number, or takes a number of ours.
    pub async fn read(folder: Option<&Path>) -> Result<Self, StoreError> {
        let mut all: BTreeMap<i64, Migration> = BUILT_IN
            .iter()
            .map(|&(version, description, sql)| {
                (version, Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false))
            })
            .collect();
        if let Some(folder) = folder {
            for migration in Migrator::new(folder).await?.iter() {
                match all.get(&migration.version) {
                    Some(known) if known.checksum == migration.checksum => {}
                    Some(known) => {
                        return Err(StoreError::File(format!(
                            "{}: the number {} is used twice, by {:?} and {:?}, with different content.\n  Mend: give yours another date",
                            folder.display(),
                            migration.version,
                            known.description,
                            migration.description
                        )));
                    }
                    None if migration.version < FIRST_ADMIN_VERSION => {
                        return Err(StoreError::File(format!(
                            "{}: {}_{}.sql: numbers below a million are Hallpass's own.\n  Mend: begin its name with a date, such as 20261201090000_add_client_reports.sql",
                            folder.display(),
                            migration.version,
                            migration.description.replace(' ', "_")
                        )));
                    }
                    None => {
                        all.insert(migration.version, migration.clone());
                    }
                }
            }
        }
        Ok(Self(all.into_values().collect()))
    }

    /// Compares the files with what the database says was applied; changes nothing.
    ///
    /// # Errors
    /// The database failed.
    pub async fn plan(&self, db: &Db) -> Result<Plan, StoreError> {
        let mut connection = db.connect().await?;
        let applied: BTreeMap<i64, _> = if has_table(db).await? {
            connection
                .list_applied_migrations(TABLE)
                .await?
                .into_iter()
                .map(|done| (done.version, done.checksum))
                .collect()
        } else {
            BTreeMap::new()
        };
        let mut plan = Plan::default();
        for migration in &self.0 {
            let file = File { version: migration.version, description: migration.description.clone().into_owned() };
            match applied.get(&migration.version) {
                None => plan.pending.push(file),
                Some(checksum) if *checksum == migration.checksum => plan.applied.push(file),
                Some(_) => plan.edited.push(file),
            }
        }
        plan.missing =
            applied.keys().copied().filter(|version| !self.0.iter().any(|m| m.version == *version)).collect();
        Ok(plan)
    }

    /// Applies what is pending and says what that was, under a lock that several nodes respect: a file beside SQLite, an advisory
    /// lock of PostgreSQL on a connection of its own, so that it ends with the connection whatever happens.
    ///
    /// Files that were applied elsewhere and are missing here do not stop it.
    ///
    /// # Errors
    /// An applied file was edited; a statement failed, and then its whole file is rolled back.
    pub async fn apply(&self, db: &Db) -> Result<Vec<File>, StoreError> {
        let mut connection = db.connect().await?;
        let _lock = match db.kind() {
            Kind::Sqlite(path) => {
                let file = lock_file(path, "migrating")?;
                let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
                Some(
                    locked
                        .map_err(|error| StoreError::File(error.to_string()))?
                        .map_err(|error| StoreError::File(error.to_string()))?,
                )
            }
            Kind::Postgres => {
                sqlx::query(LOCK).execute(&mut connection).await?;
                None
            }
        };
        let pending = self.plan(db).await?.pending;
        let mut migrator = Migrator::with_migrations(self.0.clone());
        migrator.set_ignore_missing(true);
        migrator.run_direct(None, &mut connection, false).await?;
        Ok(pending)
    }
}

async fn has_table(db: &Db) -> Result<bool, StoreError> {
    let sql = match db.kind() {
        Kind::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table' AND name = $1",
        Kind::Postgres => {
            "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1"
        }
    };
    let found: Option<String> = sqlx::query_scalar(sql).bind(TABLE).fetch_optional(db.statement()).await?;
    Ok(found.is_some())
}
