//! The lasting store: one pool over SQLite or PostgreSQL, and the few places where the two differ.
//!
//! All SQL is portable text (`$n`, TEXT, BIGINT, INTEGER) beside the function that uses it. Transactions are our own: what
//! sqlx believes of a transaction is wrong for good once SQLite has ended it by itself, as it does on a full disk.

use crate::config::DatabaseUrl;
use crate::failure::Failure;
use crate::store::StoreError;
use crate::store::reach::{self, Postgres};
use secrecy::ExposeSecret;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use std::fs::{File, TryLockError};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

/// How long a command waits for a connection, and for another process that writes to the SQLite file.
const PATIENCE_OF_COMMANDS: Duration = Duration::from_secs(5);
/// How long a request does: a little less than it waits for all of an answer, so that the cause is known.
const PATIENCE_OF_REQUESTS: Duration = Duration::from_millis(1300);
/// How soon a SQLite file that another process writes to is tried again, where SQLite does not wait by itself.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Which of the two databases it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file, one node.
    Sqlite(PathBuf),
    /// A server, any number of nodes.
    Postgres,
}

/// Whose turn it is to write to a SQLite file.
type Turn = OwnedMutexGuard<()>;

/// The lasting store; a handle that costs a count to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    pool: AnyPool,
    options: AnyConnectOptions,
    kind: Kind,
    server: Option<Postgres>,
    patience: Duration,
    statements: AtomicU64,
    /// Whose turn it is to write to the SQLite file, in the order of asking. SQLite itself lets those who wait for it sleep and
    /// try: on a slow disk some never get there, and they hold the connections that readers need meanwhile.
    turns: Arc<Mutex<()>>,
}

/// A connection for one statement that writes.
pub struct Writing {
    connection: PoolConnection<Any>,
    // After the connection, which is back in the pool when the next one's turn comes.
    _turn: Option<Turn>,
}

impl Deref for Writing {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.connection
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }
}

/// A transaction. Unless it is committed or rolled back without a fault, its connection is closed: which state it was left
/// in (a full disk, a server that broke off, a request whose client has gone) cannot be known.
pub struct Transaction {
    // Where its connection is closed, that may take until after the next one's turn has come, which SQLite then lets wait.
    writing: Writing,
    has_ended: bool,
}

impl Transaction {
    async fn begin(writing: Writing, statement: &'static str, give_up: Instant) -> Result<Self, StoreError> {
        // Before the statement is sent: a request that ends while it is on its way leaves no transaction open.
        let mut transaction = Self { writing, has_ended: false };
        once_free(&mut transaction, statement, give_up).await?;
        Ok(transaction)
    }

    /// Makes it last.
    ///
    /// # Errors
    /// The database failed. Whether it was carried out is unknown only where the connection broke.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        self.execute("COMMIT").await?;
        self.has_ended = true;
        Ok(())
    }

    /// Undoes it; to drop it does so as well.
    ///
    /// # Errors
    /// The database failed, and then it is undone all the same.
    pub async fn rollback(mut self) -> Result<(), StoreError> {
        self.execute("ROLLBACK").await?;
        self.has_ended = true;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.writing
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.writing
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.has_ended {
            self.writing.connection.close_on_drop();
        }
    }
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
        Self::open_with(url, PATIENCE_OF_COMMANDS).await
    }

    /// Opens it for a node, whose requests wait for it for a second and a half.
    ///
    /// # Errors
    /// As `open`, but sooner.
    pub async fn open_for_requests(url: &DatabaseUrl) -> Result<Self, StoreError> {
        Self::open_with(url, PATIENCE_OF_REQUESTS).await
    }

    async fn open_with(url: &DatabaseUrl, patience: Duration) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (options, kind, server, connections) = match url {
            DatabaseUrl::Sqlite(path) => {
                let path = create_private(path)?;
                let file = url::Url::from_file_path(&path)
                    .map_err(|()| Failure::new(format!("{}: not a path that can be opened", path.display())))?;
                let options = AnyConnectOptions::from_str(&file.as_str().replacen("file://", "sqlite://", 1))?;
                (options, Kind::Sqlite(path), None, 4)
            }
            DatabaseUrl::Postgres(url) => {
                let url = url.expose_secret();
                let server = Postgres::named_by(url, reach::DATABASE)?;
                (AnyConnectOptions::from_str(url)?, Kind::Postgres, Some(server), 10)
            }
        };
        Self::connected(options, (kind, server), connections, patience).await
    }

    /// Opens a database in memory that a connection of this process holds under that address.
    pub(in crate::store) async fn open_memory(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let kind = Kind::Sqlite(PathBuf::from(":memory:"));
        Self::connected(AnyConnectOptions::from_str(url)?, (kind, None), 1, PATIENCE_OF_COMMANDS).await
    }

    async fn connected(
        options: AnyConnectOptions,
        (kind, server): (Kind, Option<Postgres>),
        connections: u32,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        // Statements carry no values, but an operator who turns logging up should read ours and not theirs.
        let options = options.disable_statement_logging();
        let is_sqlite = matches!(kind, Kind::Sqlite(_));
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(patience)
            .after_connect(move |connection, _| Box::pin(set_up(connection, is_sqlite, patience)))
            .connect_lazy_with(options.clone());
        let inner =
            Inner { pool, options, kind, server, patience, statements: AtomicU64::new(0), turns: Arc::default() };
        let db = Self(Arc::new(inner));
        // The pool would try for as long as it may, and then say that this was too long: one connection says why.
        let tried = async {
            let mut connection = db.0.options.connect().await?;
            set_up(&mut connection, is_sqlite, patience).await?;
            connection.close().await
        };
        let tried = tokio::time::timeout(patience, tried).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        tried.map_err(|error| db.refused(error, patience))?;
        Ok(db)
    }

    /// Why no connection is made.
    fn refused(&self, error: sqlx::Error, patience: Duration) -> StoreError {
        match (&self.0.kind, &self.0.server) {
            (_, Some(server)) => server.refused(error, patience),
            (Kind::Sqlite(path), None) => reach::sqlite_refused(path, error),
            (Kind::Postgres, None) => error.into(),
        }
    }

    /// Which database it is.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// The pool, for one statement that reads.
    pub(in crate::store) fn statement(&self) -> &AnyPool {
        self.0.statements.fetch_add(1, Ordering::Relaxed);
        &self.0.pool
    }

    /// How many statements were sent; budgets are asserted on it.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.0.statements.load(Ordering::Relaxed)
    }

    /// The pool, for a statement of a task in the background, which is on no request's budget.
    pub(in crate::store) fn statement_in_background(&self) -> &AnyPool {
        &self.0.pool
    }

    /// A transaction of a task in the background, which is on no request's budget.
    pub(crate) async fn begin_in_background(&self) -> Result<Transaction, StoreError> {
        let statement = match self.0.kind {
            Kind::Sqlite(_) => "BEGIN IMMEDIATE",
            Kind::Postgres => "BEGIN",
        };
        let give_up = Instant::now() + self.0.patience;
        Transaction::begin(self.turn_until(give_up).await?, statement, give_up).await
    }

    /// A transaction that may write. SQLite must take its lock at the beginning, or two that read first
    /// and write later refuse each other.
    pub(in crate::store) async fn begin(&self) -> Result<Transaction, StoreError> {
        self.0.statements.fetch_add(1, Ordering::Relaxed);
        self.begin_in_background().await
    }

    /// A transaction that only reads, and sees the database as it is at its first statement until it ends.
    pub(in crate::store) async fn begin_snapshot(&self) -> Result<Transaction, StoreError> {
        self.0.statements.fetch_add(1, Ordering::Relaxed);
        let statement = match self.0.kind {
            Kind::Sqlite(_) => "BEGIN",
            Kind::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        let give_up = Instant::now() + self.0.patience;
        let connection = self.connection_until(give_up).await?;
        Transaction::begin(Writing { connection, _turn: None }, statement, give_up).await
    }

    /// A connection for one statement that writes, when it is its turn.
    pub(in crate::store) async fn writing(&self) -> Result<Writing, StoreError> {
        self.0.statements.fetch_add(1, Ordering::Relaxed);
        self.writing_in_background().await
    }

    /// The same for a task in the background, which is on no request's budget.
    pub(in crate::store) async fn writing_in_background(&self) -> Result<Writing, StoreError> {
        self.turn_until(Instant::now() + self.0.patience).await
    }

    /// A connection that may write.
    async fn turn_until(&self, give_up: Instant) -> Result<Writing, StoreError> {
        let turn = match self.0.kind {
            Kind::Sqlite(_) => {
                let turn = tokio::time::timeout_at(give_up, Arc::clone(&self.0.turns).lock_owned()).await;
                Some(turn.map_err(|_| StoreError::Late)?)
            }
            Kind::Postgres => None,
        };
        Ok(Writing { connection: self.connection_until(give_up).await?, _turn: turn })
    }

    async fn connection_until(&self, give_up: Instant) -> Result<PoolConnection<Any>, StoreError> {
        let connection = tokio::time::timeout_at(give_up, self.0.pool.acquire()).await;
        Ok(connection.unwrap_or(Err(sqlx::Error::PoolTimedOut))?)
    }

    /// A connection of its own, outside the pool: what it holds ends with it.
    pub(in crate::store) async fn connect(&self) -> Result<AnyConnection, StoreError> {
        let connected = tokio::time::timeout(PATIENCE_OF_COMMANDS, self.0.options.connect()).await;
        let connected = connected.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        connected.map_err(|error| self.refused(error, PATIENCE_OF_COMMANDS))
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.0.pool).await?;
        Ok(())
    }

    /// Makes sure that no other `serve` runs on the same SQLite file.
    ///
    /// # Errors
    /// Another one does.
    pub fn lock_for_serving(&self) -> Result<Option<ServeLock>, StoreError> {
        let Kind::Sqlite(path) = &self.0.kind else { return Ok(None) };
        let file = lock_file(path, "serving")?;
        match file.try_lock() {
            Ok(()) => Ok(Some(ServeLock { _file: file })),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::new(format!("{}: another `hallpass serve` runs on this file", path.display()))
                    .with_fix("end it, or use PostgreSQL and Redis for several nodes")
                    .into())
            }
            Err(TryLockError::Error(error)) => Err(Failure::at(path.display(), error).into()),
        }
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.0.pool.close().await;
    }

    /// Reads a value that all nodes share, making it once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn shared_value(&self, name: &str, candidate: &str) -> Result<String, StoreError> {
        const INSERT: &str = "INSERT INTO provider_values (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        const SELECT: &str = "SELECT value FROM provider_values WHERE name = $1";
        if let Some(known) = self.known_value(name).await? {
            return Ok(known);
        }
        sqlx::query(INSERT).bind(name).bind(candidate).execute(&mut *self.writing().await?).await?;
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

/// Makes a connection ready: how long it waits for others, and what survives a power cut.
async fn set_up(connection: &mut AnyConnection, is_sqlite: bool, patience: Duration) -> Result<(), sqlx::Error> {
    if is_sqlite {
        let busy_timeout = format!("PRAGMA busy_timeout = {}", patience.as_millis());
        connection.execute(AssertSqlSafe(busy_timeout)).await?;
        // Readers do not wait for the writer, and what was acknowledged survives a power cut. The first to open a new file
        // changes it, and SQLite refuses at once who would do the same meanwhile.
        once_free(connection, "PRAGMA journal_mode = WAL", Instant::now() + patience).await?;
        connection.execute("PRAGMA synchronous = FULL").await?;
    } else {
        // A statement whose request has ended must not be carried out later: the client was told that it was not.
        let lock_timeout = format!("SET lock_timeout = {}", patience.as_millis());
        connection.execute(AssertSqlSafe(lock_timeout)).await?;
    }
    Ok(())
}

/// Carries a statement out as soon as no other process is in its way, where SQLite does not wait by itself.
async fn once_free(
    connection: &mut AnyConnection,
    statement: &'static str,
    give_up: Instant,
) -> Result<(), sqlx::Error> {
    while let Err(error) = connection.execute(statement).await {
        if !is_busy(&error) || Instant::now() >= give_up {
            return Err(error);
        }
        tokio::time::sleep(BUSY_PAUSE).await;
    }
    Ok(())
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
        .map_err(|error| Failure::at(Path::new(&path).display(), error).into())
}

/// The primary result code of SQLite, <https://sqlite.org/rescode.html>; the extended ones have it in their low byte.
pub(in crate::store) fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let sqlx::Error::Database(error) = error else { return None };
    let error: &SqliteError = error.try_downcast_ref()?;
    let code: u32 = sqlx::error::DatabaseError::code(error)?.parse().ok()?;
    Some(code & 0xff)
}

/// Whether another process writes to the SQLite file: `SQLITE_BUSY`, `SQLITE_LOCKED`.
fn is_busy(error: &sqlx::Error) -> bool {
    matches!(sqlite_code(error), Some(5 | 6))
}

/// Whether the same may work later, without a change of what was asked.
pub(in crate::store) fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => may_pass_at_postgres(error.code()),
            // SQLITE_BUSY, LOCKED, IOERR, FULL, and PROTOCOL: the locks of the write-ahead log were taken for too long.
            None => matches!(sqlite_code(error), Some(5 | 6 | 10 | 13 | 15)),
        },
        _ => false,
    }
}

/// By [the error codes of PostgreSQL](https://www.postgresql.org/docs/current/errcodes-appendix.html).
fn may_pass_at_postgres(code: &str) -> bool {
    // Serialization failure, deadlock, lock timeout; read-only: a standby that is not promoted yet; shut down by an operator,
    // after a crash, or still starting.
    const CODES: [&str; 7] = ["40001", "40P01", "55P03", "25006", "57P01", "57P02", "57P03"];
    // Connections; resources, a full disk among them; the system below.
    const CLASSES: [&str; 3] = ["08", "53", "58"];
    CODES.contains(&code) || CLASSES.iter().any(|class| code.starts_with(class))
}

fn create_private(path: &Path) -> Result<PathBuf, StoreError> {
    let fault = |error: std::io::Error| {
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        let failure = Failure::at(format!("HALLPASS_DATABASE_URL: {}", path.display()), error);
        let fix = "make its folder, or name another place";
        StoreError::from(if is_missing { failure.with_fix(fix) } else { failure })
    };
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(fault(error)),
    }
    path.canonicalize().map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_that_open_a_new_file_at_once_all_get_it() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let url = DatabaseUrl::Sqlite(folder.path().join("hallpass.db"));
            let opened = (0..20).map(|_| {
                let url = url.clone();
                tokio::spawn(async move { Db::open(&url).await.map(|_| ()) })
            });
            for opened in opened.collect::<Vec<_>>() {
                opened.await.unwrap().unwrap();
            }
        }
    }

    /// Were a connection held by all who wait, the reader would not get one.
    #[tokio::test]
    async fn who_waits_to_write_to_a_file_holds_no_connection_and_gets_there_in_the_order_of_asking() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&DatabaseUrl::Sqlite(folder.path().join("hallpass.db"))).await.unwrap();
        let first = db.begin().await.unwrap();
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut others = Vec::new();
        for at in 0..12 {
            let (db, order) = (db.clone(), Arc::clone(&order));
            others.push(tokio::spawn(async move {
                // A single statement and a transaction wait alike.
                if at % 2 == 0 {
                    let mut writing = db.writing().await.unwrap();
                    order.lock().unwrap().push(at);
                    writing.execute("CREATE TABLE IF NOT EXISTS t (x)").await.unwrap();
                } else {
                    let transaction = db.begin().await.unwrap();
                    order.lock().unwrap().push(at);
                    transaction.commit().await.unwrap();
                }
            }));
            tokio::task::yield_now().await;
        }
        db.ping().await.unwrap();
        assert!(order.lock().unwrap().is_empty());
        first.commit().await.unwrap();
        for other in others {
            other.await.unwrap();
        }
        // One that breaks off lets the next one write, when its connection is closed.
        drop(db.begin().await.unwrap());
        db.begin().await.unwrap().commit().await.unwrap();
        assert_eq!(*order.lock().unwrap(), (0..12).collect::<Vec<_>>());
    }

    #[test]
    fn what_passes_by_itself_at_postgresql_is_told_from_what_does_not() {
        for passing in
            ["53100", "53200", "53300", "57P01", "57P02", "57P03", "08000", "08006", "40001", "40P01", "25006"]
        {
            assert!(may_pass_at_postgres(passing), "{passing}");
        }
        // A row that is there already, a table that is not, no right to it, no SQL, a transaction that failed before.
        for lasting in ["23505", "42P01", "42501", "42601", "25P02", "3D000", "28P01"] {
            assert!(!may_pass_at_postgres(lasting), "{lasting}");
        }
    }
}
