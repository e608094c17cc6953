//! A SQLite file that may be in use. Nothing is written to it, to its WAL or to their folder.
//!
//! Where it is in WAL mode and open elsewhere, `-wal` and `-shm` are there and serve us too; a connection that may not write
//! makes no checkpoint, also as the last that closes. Where one of them is missing SQLite would make it, for the user that runs
//! this: then a private copy is read, and so it is where the folder does not let SQLite read in place.
//! <https://www.sqlite.org/wal.html#read_only_databases>

use super::keys::of_bytes;
use super::{Found, Selection, Tables};
use crate::failure::Failure;
use crate::store::StoreError;
use crate::store::db::sqlite_code;
use crate::store::migrations::quoting_little;
use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _, TypeInfo as _, ValueRef as _,
};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long it waits for another process that has locked the file.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a copy is tried of a file that changes meanwhile, and how long it waits between.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// What each file of SQLite begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where the header says that the file is in WAL mode, and with what.
const VERSIONS: [usize; 2] = [18, 19];
const WAL_VERSION: u8 = 2;
/// How much of a WAL says which one it is: each restart of it changes its salts.
const WAL_HEADER: u64 = 32;

const COLUMNS: &str = "SELECT tables.name AS table_name, columns.name AS column_name FROM sqlite_master AS tables \
     JOIN pragma_table_xinfo(tables.name) AS columns WHERE tables.type IN ('table', 'view') \
     AND tables.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY tables.name, columns.cid";

/// A file that is open, in its transaction.
pub struct Source {
    connection: SqliteConnection,
    path: PathBuf,
}

impl Source {
    /// Opens it, and starts the transaction.
    pub(super) async fn open(path: &Path) -> Result<Self, Failure> {
        let named = |error| Failure::at(path.display(), error);
        // SQLite names what is beside a file by where it is, not by a link to it; and an absolute path is no URI.
        let real = fs::canonicalize(path).map_err(named)?;
        let is_wal = look(&real).map_err(named)?.ok_or_else(|| {
            Failure::new(format!("{}: it is no SQLite database, or an encrypted one", path.display()))
                .with_fix("name the file that the application's connection string names")
        })?;
        let is_shared = beside(&real, "-wal").exists() && beside(&real, "-shm").exists();
        if is_wal && !is_shared {
            return Self::copied(path, &real).await;
        }
        match Self::begin(path, &real, true).await {
            // A folder, or a file beside it, that SQLite cannot use as it needs to; or a writer was killed, and what it left
            // must be rolled back first.
            Err(error) if matches!(sqlite_code(&error), Some(8 | 14)) => Self::copied(path, &real).await,
            Err(error) => Err(refused(path, error)),
            Ok(source) => Ok(source),
        }
    }

    /// Opens a private copy, which has no name as soon as it is open.
    async fn copied(path: &Path, real: &Path) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("hallpass-import-")
            .tempdir()
            .map_err(|error| Failure::at("a temporary folder", error))?;
        let copy = folder.path().join("identity.db");
        copy_whole(path, real, &copy).await?;
        Self::begin(path, &copy, false).await.map_err(|error| refused(path, error))
    }

    async fn begin(path: &Path, file: &Path, read_only: bool) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .read_only(read_only)
            .create_if_missing(false)
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let mut connection = options.connect().await?;
        let started = async {
            connection.execute("PRAGMA query_only = ON").await?;
            connection.execute("BEGIN").await?;
            // From here on it is as it was at this instant.
            connection.fetch_one("SELECT COUNT(*) FROM sqlite_master").await
        };
        if let Err(error) = started.await {
            // What it says of the end tells no more.
            drop(connection.close().await);
            return Err(error);
        }
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Its tables and views.
    pub(super) async fn tables(&mut self) -> Result<Vec<Found>, Failure> {
        let rows = self.connection.fetch_all(COLUMNS).await.map_err(|error| refused(&self.path, error))?;
        let mut tables: Vec<Found> = Vec::new();
        for row in rows {
            let read = || Ok((row.try_get("table_name")?, row.try_get("column_name")?));
            let (name, column): (String, String) = read().map_err(|error| refused(&self.path, error))?;
            match tables.last_mut().filter(|table| table.name == name) {
                Some(table) => table.columns.push(column),
                None => tables.push(Found { schema: None, name, columns: vec![column], is_visible: true }),
            }
        }
        Ok(tables)
    }

    /// Copies a table.
    pub(super) async fn copy(&mut self, selection: &Selection, into: &mut Tables<'_>) -> Result<(), StoreError> {
        into.begin(selection).await?;
        let path = self.path.clone();
        let broken = |error| StoreError::from(refused(&path, error));
        let statement = selection.statement(str::to_owned);
        let mut rows = sqlx::query(AssertSqlSafe(statement)).persistent(false).fetch(&mut self.connection);
        let keys = selection.table.keys();
        while let Some(row) = rows.try_next().await.map_err(broken)? {
            let cells = (0..selection.columns.len()).map(|at| cell(&row, at, at < keys)).collect::<Result<_, _>>();
            into.put(None, cells.map_err(broken)?).await?;
        }
        Ok(())
    }

    /// Ends the transaction and the connection.
    pub(super) async fn close(mut self) -> Result<(), Failure> {
        let ended = async {
            self.connection.execute("COMMIT").await?;
            self.connection.close().await
        };
        ended.await.map_err(|error| refused(&self.path, error))
    }
}

/// A cell as a text, whatever it is kept as. Bytes are a key where a key is wanted.
fn cell(row: &SqliteRow, at: usize, is_key: bool) -> Result<Option<String>, sqlx::Error> {
    let (is_null, is_blob) = {
        let value = row.try_get_raw(at)?;
        (value.is_null(), value.type_info().name() == "BLOB")
    };
    if is_null {
        return Ok(None);
    }
    // SQLite makes a text of a number by itself.
    let bytes: Vec<u8> = row.try_get_unchecked(at)?;
    if is_key
        && is_blob
        && let Some(guid) = of_bytes(&bytes)
    {
        return Ok(Some(guid));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether it is in WAL mode; `None`: it is none of SQLite's.
fn look(path: &Path) -> io::Result<Option<bool>> {
    let mut header = [0; 100];
    match File::open(path)?.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    Ok(header.starts_with(MAGIC).then(|| VERSIONS.iter().any(|at| header[*at] == WAL_VERSION)))
}

/// What changes with a file: which one it is, its length, when it was written; of a WAL, its header.
type State = Option<(u64, u64, i64, i64, Vec<u8>)>;

fn state(path: &Path, is_log: bool) -> io::Result<State> {
    let opened = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = opened.metadata()?;
    if is_log {
        // More may be added to it: what was there stays.
        let mut header = Vec::new();
        opened.take(WAL_HEADER).read_to_end(&mut header)?;
        return Ok(Some((metadata.ino(), 0, 0, 0, header)));
    }
    Ok(Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec(), Vec::new())))
}

/// The file itself; a rollback journal, which must be the same to the end; and a WAL.
fn states(real: &Path) -> io::Result<[State; 3]> {
    Ok([state(real, false)?, state(&beside(real, "-journal"), false)?, state(&beside(real, "-wal"), true)?])
}

/// Copies a file with what is beside it, so that they belong together: what is in the file does not change meanwhile, and the
/// WAL is the same one.
async fn copy_whole(path: &Path, real: &Path, copy: &Path) -> Result<(), Failure> {
    let named = |error| {
        let failure = Failure::at(format!("{}: a private copy of it in {}", path.display(), copy.display()), error);
        failure.with_fix("make room for it, or set TMPDIR to a folder with more")
    };
    for _ in 0..TRIES {
        let before = states(real).map_err(named)?;
        for suffix in ["", "-journal", "-wal"] {
            copy_file(&beside(real, suffix), &beside(copy, suffix)).map_err(named)?;
        }
        if states(real).map_err(named)? == before {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Failure::new(format!("{}: it is written to without a pause, and cannot be read in place", path.display()))
        .with_fix("let the user that runs `hallpass` write to the folder, or name a backup (VACUUM INTO) of it"))
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = match File::open(from) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return if to.exists() { fs::remove_file(to) } else { Ok(()) };
        }
        Err(error) => return Err(error),
    };
    // It holds hashes of passwords.
    let mut copy = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    io::copy(&mut source, &mut copy)?;
    Ok(())
}

/// Why a file is not read, by [the result codes of SQLite](https://sqlite.org/rescode.html).
fn refused(path: &Path, error: sqlx::Error) -> Failure {
    let (why, fix) = match sqlite_code(&error) {
        Some(5 | 6) => ("another process has locked it".to_owned(), "wait until that is done, and try again"),
        Some(8 | 14) => ("it cannot be read in place".to_owned(), "name a backup (VACUUM INTO) of it"),
        Some(10) => ("the disk does not read it".to_owned(), "look at the disk and its log"),
        Some(11) => ("the file is damaged".to_owned(), "restore it from a backup"),
        Some(13) => ("the disk is full".to_owned(), "make room on it, or set TMPDIR to a folder with more"),
        Some(26) => {
            ("it is no SQLite database".to_owned(), "name the file that the application's connection string names")
        }
        _ => (
            format!("SQLite cannot read it ({})", quoting_little(&error.to_string())),
            "look whether the application can",
        ),
    };
    Failure::new(format!("{}: {why}", path.display())).with_fix(fix).behind(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::sqlite::SqliteJournalMode;

    async fn writer(path: &Path, mode: SqliteJournalMode) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).journal_mode(mode);
        let mut connection = options.connect().await.unwrap();
        connection.execute("PRAGMA wal_autocheckpoint = 0").await.unwrap();
        connection.execute("CREATE TABLE IF NOT EXISTS things (name TEXT)").await.unwrap();
        connection.execute("INSERT INTO things VALUES ('one')").await.unwrap();
        connection
    }

    fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
            // It is the index of the WAL, and no part of what is kept.
            .filter(|(name, _)| !name.ends_with("-shm"))
            .collect();
        files.sort();
        files
    }

    async fn things(source: &mut Source) -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM things").fetch_one(&mut source.connection).await.unwrap()
    }

    #[tokio::test]
    async fn a_wal_of_a_running_writer_is_read_as_of_one_instant_and_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a ?%41b.db");
        let mut running = writer(&path, SqliteJournalMode::Wal).await;
        let mut source = Source::open(&path).await.unwrap();
        assert_eq!(source.tables().await.unwrap()[0].name, "things");
        running.execute("INSERT INTO things VALUES ('two')").await.unwrap();
        assert_eq!(things(&mut source).await, 1, "one transaction sees one instant");
        let before = files(folder.path());
        assert_eq!(before.len(), 2);
        source.close().await.unwrap();
        assert_eq!(files(folder.path()), before);
        let mut source = Source::open(&path).await.unwrap();
        assert_eq!(things(&mut source).await, 2);
        // The writer is gone first: the last that closes makes no checkpoint.
        let mut keep = files(folder.path());
        let copies = tempfile::tempdir().unwrap();
        for name in ["", "-wal", "-shm"] {
            fs::copy(beside(&path, name), beside(&copies.path().join("kept.db"), name)).unwrap();
        }
        source.close().await.unwrap();
        keep.sort();
        assert_eq!(files(folder.path()), keep);
        // Left behind by a writer that was killed, with and without its index.
        for is_indexed in [true, false] {
            let kept = copies.path().join("kept.db");
            if !is_indexed {
                fs::remove_file(beside(&kept, "-shm")).unwrap();
            }
            let before = files(copies.path());
            let mut source = Source::open(&kept).await.unwrap();
            assert_eq!(things(&mut source).await, 2);
            source.close().await.unwrap();
            assert_eq!(files(copies.path()), before);
            assert_eq!(beside(&kept, "-shm").exists(), is_indexed, "nothing is made beside it");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_open_nowhere_is_read_and_nothing_is_made_beside_it() {
        for mode in [SqliteJournalMode::Wal, SqliteJournalMode::Delete] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("identity.db");
            writer(&path, mode).await.close().await.unwrap();
            let before = files(folder.path());
            assert_eq!(before.len(), 1);
            let mut source = Source::open(&path).await.unwrap();
            assert_eq!(things(&mut source).await, 1);
            source.close().await.unwrap();
            assert_eq!(files(folder.path()), before);
            assert!(!beside(&path, "-shm").exists());
        }
    }

    #[tokio::test]
    async fn a_rollback_journal_in_use_is_waited_for_and_what_is_written_is_not_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.db");
        let mut running = writer(&path, SqliteJournalMode::Delete).await;
        running.execute("BEGIN IMMEDIATE; INSERT INTO things VALUES ('two')").await.unwrap();
        let mut source = Source::open(&path).await.unwrap();
        assert_eq!(things(&mut source).await, 1);
        source.close().await.unwrap();
        running.execute("COMMIT").await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_database_is_said_to_be_none_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        for text in ["", "short", &"long ".repeat(100)] {
            fs::write(&path, text).unwrap();
            let failure = Source::open(&path).await.err().unwrap();
            assert!(failure.to_string().contains("it is no SQLite database"), "{failure}");
        }
        let missing = folder.path().join("missing.db");
        let failure = Source::open(&missing).await.err().unwrap();
        assert!(failure.to_string().contains("there is no such file"), "{failure}");
        assert_eq!(files(folder.path()).len(), 1);
    }
}
