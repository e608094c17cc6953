//! The lasting store: one pool over SQLite or PostgreSQL, and the few places where the two differ.
//!
//! All SQL is portable text (`$n`, TEXT, BIGINT, INTEGER) beside the function that uses it.

use crate::config::DatabaseUrl;
use crate::store::StoreError;
use secrecy::ExposeSecret;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyPool, ConnectOptions as _, Executor as _, Transaction};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Which of the two databases it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file, one node.
    Sqlite(PathBuf),
    /// A server, any number of nodes.
    Postgres,
}

/// The lasting store; a cheap handle.
#[derive(Clone)]
pub struct Db {
    pool: AnyPool,
    options: AnyConnectOptions,
    kind: Kind,
    statements: Arc<AtomicU64>,
}

/// A lock that ends with this value: one `serve` at a time on a SQLite file.
pub struct ServeLock {
    _file: File,
}

impl Db {
    /// Opens the database; a SQLite file is made, mode 0600, if it is not there.
    ///
    /// # Errors
    /// The file cannot be made, or the server does not answer within five seconds.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (options, kind, connections) = match url {
            DatabaseUrl::Sqlite(path) => {
                let path = create_private(path)?;
                let file = url::Url::from_file_path(&path)
                    .map_err(|()| StoreError::File(format!("{}: not a path that can be opened", path.display())))?;
                let options = AnyConnectOptions::from_str(&file.as_str().replacen("file://", "sqlite://", 1))?;
                (options, Kind::Sqlite(path), 4)
            }
            DatabaseUrl::Postgres(url) => (AnyConnectOptions::from_str(url.expose_secret())?, Kind::Postgres, 10),
        };
        // Statements carry no values, but whoever turns logging up should read ours and not theirs.
        let options = options.disable_statement_logging();
        let is_sqlite = matches!(kind, Kind::Sqlite(_));
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(5))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if is_sqlite {
                        // Readers do not wait for the writer, and what was acknowledged survives a power cut.
                        connection.execute("PRAGMA journal_mode = WAL").await?;
                        connection.execute("PRAGMA synchronous = FULL").await?;
                    }
                    Ok(())
                })
            })
            .connect_with(options.clone())
            .await?;
        Ok(Self { pool, options, kind, statements: Arc::new(AtomicU64::new(0)) })
    }

    /// Which database it is.
    #[must_use]
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The pool, for one statement.
    pub(in crate::store) fn statement(&self) -> &AnyPool {
        self.statements.fetch_add(1, Ordering::Relaxed);
        &self.pool
    }

    /// How many statements were sent; budgets are asserted on it.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// A transaction of a task in the background, which is on nobody's budget.
    pub(crate) async fn begin_in_background(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(match self.kind {
            Kind::Sqlite(_) => self.pool.begin_with("BEGIN IMMEDIATE").await?,
            Kind::Postgres => self.pool.begin().await?,
        })
    }

    /// A transaction that may write. SQLite must take its lock at the beginning, or two that read first
    /// and write later refuse each other.
    pub(in crate::store) async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.begin_in_background().await
    }

    /// A connection of its own, outside the pool: what it holds ends with it.
    pub(in crate::store) async fn connect(&self) -> Result<sqlx::AnyConnection, StoreError> {
        Ok(self.options.connect().await?)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Makes sure that no other `serve` runs on the same SQLite file.
    ///
    /// # Errors
    /// Another one does.
    pub fn lock_for_serving(&self) -> Result<Option<ServeLock>, StoreError> {
        let Kind::Sqlite(path) = &self.kind else { return Ok(None) };
        let file = lock_file(path, "serving")?;
        match file.try_lock() {
            Ok(()) => Ok(Some(ServeLock { _file: file })),
            Err(_) => Err(StoreError::File(format!(
                "{}: another `hallpass serve` runs on this file.\n  Mend: end it, or use PostgreSQL and Redis for several nodes",
                path.display()
            ))),
        }
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Reads a value that all nodes share, making it once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn shared_value(&self, name: &str, candidate: &str) -> Result<String, StoreError> {
        const INSERT: &str = "INSERT INTO provider_values (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        const SELECT: &str = "SELECT value FROM provider_values WHERE name = $1";
        sqlx::query(INSERT).bind(name).bind(candidate).execute(self.statement()).await?;
        Ok(sqlx::query_scalar(SELECT).bind(name).fetch_one(self.statement()).await?)
    }

    /// Reads a value that all nodes share, if a node has made it.
    ///
    /// # Errors
    /// The database failed, or has no such table yet.
    pub async fn known_value(&self, name: &str) -> Result<Option<String>, StoreError> {
        const SELECT: &str = "SELECT value FROM provider_values WHERE name = $1";
        Ok(sqlx::query_scalar(SELECT).bind(name).fetch_optional(self.statement()).await?)
    }
}

/// The file beside a SQLite database that serves as a lock of that name.
pub(in crate::store) fn lock_file(database: &Path, name: &str) -> Result<File, StoreError> {
    let mut path = database.as_os_str().to_owned();
    path.push(format!(".{name}"));
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| StoreError::File(format!("{}: {error}", Path::new(&path).display())))
}

fn create_private(path: &Path) -> Result<PathBuf, StoreError> {
    let fault = |error: std::io::Error| StoreError::File(format!("{}: {error}", path.display()));
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(fault(error)),
    }
    path.canonicalize().map_err(fault)
}
