//! What `hallpass doctor` and `hallpass key plan` ask the lasting store: its version and clock, whether it lets us do what we
//! must, and how long refresh families live.
//!
//! Rights are tried in a transaction that is rolled back; no row is changed.

use crate::protocol::client::Client;
use crate::protocol::time::NumericDate;
use crate::store::db::{Db, Kind};
use crate::store::row::row;
use crate::store::{StoreError, clients};

/// What a database says of itself.
#[derive(Debug)]
pub struct Facts {
    /// Its version in words.
    pub version: String,
    /// The first number of it.
    pub major: i64,
    /// Its clock; a file has none of its own.
    pub clock: Option<NumericDate>,
}

/// Asks for version and clock.
///
/// # Errors
/// The database failed.
pub async fn facts(db: &Db) -> Result<Facts, StoreError> {
    let (version_sql, clock_sql) = match db.kind() {
        Kind::Sqlite(_) => ("SELECT sqlite_version()", None),
        Kind::Postgres => (
            "SELECT current_setting('server_version')",
            Some("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)"),
        ),
    };
    let version: String = sqlx::query_scalar(version_sql).fetch_one(db.statement()).await?;
    let clock = match clock_sql {
        Some(sql) => Some(NumericDate(sqlx::query_scalar(sql).fetch_one(db.statement()).await?)),
        None => None,
    };
    let major = version.split(|c: char| !c.is_ascii_digit()).next().and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Facts { version, major, clock })
}

/// Whether a migration can make a table.
///
/// # Errors
/// What the database says against it.
pub async fn may_migrate(db: &Db) -> Result<(), StoreError> {
    let mut transaction = db.begin().await?;
    sqlx::query("CREATE TABLE hallpass_doctor (number INTEGER)").execute(&mut *transaction).await?;
    sqlx::query("INSERT INTO hallpass_doctor (number) VALUES (1)").execute(&mut *transaction).await?;
    transaction.rollback().await
}

/// Whether the tables that a node writes can be written: each statement is about no row at all.
///
/// # Errors
/// What the database says against it.
pub async fn may_write(db: &Db) -> Result<(), StoreError> {
    const TRIALS: &[&str] = &[
        "INSERT INTO provider_values SELECT * FROM provider_values WHERE 1 = 0",
        "INSERT INTO consents SELECT * FROM consents WHERE 1 = 0",
        "INSERT INTO refresh_families SELECT * FROM refresh_families WHERE 1 = 0",
        "DELETE FROM refresh_families WHERE 1 = 0",
        "INSERT INTO logout_outbox SELECT * FROM logout_outbox WHERE 1 = 0",
        "DELETE FROM logout_outbox WHERE 1 = 0",
        "SELECT client_id FROM clients WHERE 1 = 0",
        "UPDATE users SET folded_of = folded_of WHERE 1 = 0",
    ];
    let mut transaction = db.begin().await?;
    for trial in TRIALS.iter().copied() {
        sqlx::query(trial).execute(&mut *transaction).await?;
    }
    transaction.rollback().await
}

/// The clients that are not disabled, by their id.
///
/// # Errors
/// The database failed; a row that cannot be read says so itself.
pub async fn clients(db: &Db) -> Result<Vec<Result<Client, StoreError>>, StoreError> {
    const IDS: &str = "SELECT client_id FROM clients WHERE disabled_at IS NULL ORDER BY client_id";
    let ids: Vec<String> = sqlx::query_scalar(IDS).fetch_all(db.statement()).await?;
    let mut found = Vec::new();
    for id in ids {
        match clients::find(db, &id).await {
            Ok(client) => found.extend(client.map(Ok)),
            Err(error) => found.push(Err(error)),
        }
    }
    Ok(found)
}

/// The longest that a refresh family of any client can live, in seconds: by its row, or `default`. Disabled clients count, as
/// that can be undone. `None`: no client gets refresh tokens.
///
/// # Errors
/// The database failed.
pub async fn longest_family(db: &Db, default: i64) -> Result<Option<i64>, StoreError> {
    const LONGEST: &str = "SELECT MAX(COALESCE(refresh_token_lifetime, CAST($1 AS BIGINT))) FROM clients \
         WHERE ' ' || grant_types || ' ' LIKE '% refresh_token %'";
    Ok(sqlx::query_scalar(LONGEST).bind(default).fetch_one(db.statement()).await?)
}

/// The end of the last refresh family that was started by an instant and is not revoked.
///
/// # Errors
/// The database failed.
pub async fn last_end_of_families(db: &Db, started_by: NumericDate) -> Result<Option<NumericDate>, StoreError> {
    const LAST: &str = "SELECT MAX(expires_at) FROM refresh_families WHERE issued_at <= $1 AND revoked_at IS NULL";
    let end: Option<i64> = sqlx::query_scalar(LAST).bind(started_by.0).fetch_one(db.statement()).await?;
    Ok(end.map(NumericDate))
}

row! {
    /// A hash and whose it is, for a look at its cost.
    pub struct OwnedHash {
        /// `sub` or `client_id`.
        pub owner: String,
        /// `username`, or the `client_id` again.
        pub name: String,
        /// In one of the forms that can be checked, or what should have been.
        pub hash: String,
    }
}

/// The hashes of users who are not disabled, after that of an owner: a thousand at most, by their owners.
///
/// # Errors
/// The database failed.
pub async fn password_hashes(db: &Db, after: &str) -> Result<Vec<OwnedHash>, StoreError> {
    const PAGE: &str = "SELECT sub AS owner, COALESCE(username, sub) AS name, password_hash AS hash FROM users \
         WHERE sub > $1 AND password_hash IS NOT NULL AND disabled_at IS NULL ORDER BY sub LIMIT 1000";
    Ok(sqlx::query_as(PAGE).bind(after).fetch_all(db.statement()).await?)
}

/// When each secret of a client ends that is not disabled and authenticates by one; `None`: never.
///
/// # Errors
/// The database failed.
pub async fn secret_ends(db: &Db) -> Result<Vec<(String, Option<NumericDate>)>, StoreError> {
    const ALL: &str = "SELECT client_secrets.client_id, client_secret_expires_at FROM client_secrets \
         JOIN clients ON clients.client_id = client_secrets.client_id \
         WHERE clients.disabled_at IS NULL AND token_endpoint_auth_method <> 'none' ORDER BY client_secrets.client_id";
    let rows: Vec<(String, i64)> = sqlx::query_as(ALL).fetch_all(db.statement()).await?;
    Ok(rows.into_iter().map(|(client_id, at)| (client_id, (at != 0).then_some(NumericDate(at)))).collect())
}

/// The hashes of the secrets of clients that are not disabled.
///
/// # Errors
/// The database failed.
pub async fn secret_hashes(db: &Db) -> Result<Vec<OwnedHash>, StoreError> {
    const ALL: &str = "SELECT client_secrets.client_id AS owner, client_secrets.client_id AS name, secret_hash AS hash \
         FROM client_secrets JOIN clients ON clients.client_id = client_secrets.client_id \
         WHERE clients.disabled_at IS NULL ORDER BY client_secrets.client_id, secret_hash";
    Ok(sqlx::query_as(ALL).fetch_all(db.statement()).await?)
}
