//! A database of PostgreSQL: all tables are read in one transaction that cannot write, so many rows at a time.

use super::{Found, Selection, Tables};
use crate::failure::Failure;
use crate::store::StoreError;
use crate::store::migrations::quoting_little;
use crate::store::reach::Postgres;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _};
use std::str::FromStr as _;
use std::time::Duration;

/// How long it waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
// What is shown depends on no setting of the server; and reading a great table may take as long as it takes.
const SET_UP: [&str; 5] = [
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL bytea_output = 'hex'",
];
const COLUMNS: &str = "SELECT spaces.nspname::text AS schema_name, tables.relname::text AS table_name, \
     columns.attname::text AS column_name, pg_table_is_visible(tables.oid) AS is_visible \
     FROM pg_class AS tables JOIN pg_namespace AS spaces ON spaces.oid = tables.relnamespace \
     JOIN pg_attribute AS columns ON columns.attrelid = tables.oid AND columns.attnum > 0 AND NOT columns.attisdropped \
     WHERE tables.relkind IN ('r', 'p', 'v', 'm', 'f') AND spaces.nspname NOT IN ('pg_catalog', 'information_schema') \
     AND spaces.nspname NOT LIKE 'pg!_t%' ESCAPE '!' \
     ORDER BY spaces.nspname, tables.relname, columns.attnum";
const FETCH: &str = "FETCH FORWARD 1000 FROM identity_rows";

/// A database that is open, in its transaction.
pub struct Source {
    connection: PgConnection,
    setting: &'static str,
}

impl Source {
    /// Connects, and starts the transaction.
    pub(super) async fn open(url: &str, setting: &'static str) -> Result<Self, Failure> {
        let server = Postgres::named_by(url, setting)?;
        let refused = |error| Failure::from(server.refused(error, PATIENCE));
        let options = PgConnectOptions::from_str(url).map_err(refused)?.disable_statement_logging();
        let connected = tokio::time::timeout(PATIENCE, options.connect()).await;
        let mut connection = connected.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(refused)?;
        connection.execute(BEGIN).await.map_err(refused)?;
        for statement in SET_UP {
            connection.execute(statement).await.map_err(refused)?;
        }
        Ok(Self { connection, setting })
    }

    /// Its tables and views; those of a schema, where one is named.
    pub(super) async fn tables(&mut self, schema: Option<&str>) -> Result<Vec<Found>, Failure> {
        let setting = self.setting;
        let broken = |error| refused(setting, "its tables", error);
        let rows = self.connection.fetch_all(COLUMNS).await.map_err(broken)?;
        let mut tables: Vec<Found> = Vec::new();
        for row in rows {
            let (space, name, column, is_visible) = named(&row).map_err(broken)?;
            let is_wanted = schema.map_or(is_visible, |schema| schema == space);
            let space = Some(space);
            match tables.last_mut().filter(|table| table.name == name && table.schema == space) {
                Some(table) => table.columns.push(column),
                None => tables.push(Found { schema: space, name, columns: vec![column], is_visible: is_wanted }),
            }
        }
        Ok(tables)
    }

    /// Copies a table.
    pub(super) async fn copy(&mut self, selection: &Selection, into: &mut Tables<'_>) -> Result<(), StoreError> {
        into.begin(selection).await?;
        let setting = self.setting;
        let broken = |error| StoreError::from(refused(setting, &selection.name, error));
        let rows = selection.statement(|column| format!("{column}::text"));
        let declare = format!("DECLARE identity_rows NO SCROLL CURSOR FOR {rows}");
        self.connection.execute(AssertSqlSafe(declare)).await.map_err(broken)?;
        loop {
            let rows = self.connection.fetch_all(FETCH).await.map_err(broken)?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let cells = (0..selection.columns.len()).map(|at| row.try_get(at)).collect::<Result<_, _>>();
                into.put(None, cells.map_err(broken)?).await?;
            }
        }
        self.connection.execute("CLOSE identity_rows").await.map_err(broken)?;
        Ok(())
    }

    /// Ends the transaction and the connection.
    pub(super) async fn close(mut self) -> Result<(), Failure> {
        let setting = self.setting;
        let ended = async {
            self.connection.execute("COMMIT").await?;
            self.connection.close().await
        };
        ended.await.map_err(|error| refused(setting, "its end", error))
    }
}

fn named(row: &PgRow) -> Result<(String, String, String, bool), sqlx::Error> {
    Ok((
        row.try_get("schema_name")?,
        row.try_get("table_name")?,
        row.try_get("column_name")?,
        row.try_get("is_visible")?,
    ))
}

/// Why a table is not read, by [the error codes of PostgreSQL](https://www.postgresql.org/docs/current/errcodes-appendix.html).
fn refused(setting: &str, what: &str, error: sqlx::Error) -> Failure {
    let code = match &error {
        sqlx::Error::Database(error) => error.code().unwrap_or_default().into_owned(),
        _ => String::new(),
    };
    let (why, fix) = if code == "42501" {
        ("its user may not read it".to_owned(), "GRANT USAGE on its schema and SELECT on its tables to that user")
    } else {
        (
            format!("it cannot be read ({})", quoting_little(&error.to_string())),
            "look at the log of PostgreSQL, and try again",
        )
    };
    Failure::new(format!("{setting}: {what}: {why}")).with_fix(fix).behind(error)
}
