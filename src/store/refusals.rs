//! Refusals under their reference, as the log has them too: for `hallpass explain`.

use crate::protocol::audit::RefusalRecord;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::db::{Db, Transaction};
use crate::store::row::row;

const INSERT: &str = "INSERT INTO refusals (reference, at, status, code, method, path, client_id, description, detail, explanation) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (reference) DO NOTHING";
const FIND: &str = "SELECT reference, at, status, code, method, path, client_id, description, detail, explanation \
     FROM refusals WHERE reference = $1";
const LATEST: &str = "SELECT reference, at, status, code, method, path, client_id, description, detail, explanation \
     FROM refusals ORDER BY at DESC LIMIT $1";
const OF_USER: &str = "SELECT reference, at, status, code, method, path, client_id, description, detail, explanation \
     FROM refusals WHERE explanation LIKE $1 ESCAPE '!' ORDER BY at DESC LIMIT $2";
const FORGET: &str = "DELETE FROM refusals WHERE reference = $1";
const SWEEP_OLD: &str = "DELETE FROM refusals WHERE at <= $1";
const SWEEP_MANY: &str =
    "DELETE FROM refusals WHERE at < (SELECT at FROM refusals ORDER BY at DESC LIMIT 1 OFFSET 50000)";

/// How long they are kept, in seconds: a month.
const KEPT: i64 = 30 * 86_400;

row! {
    struct Row {
        reference: String,
        at: i64,
        status: i64,
        code: String,
        method: String,
        path: String,
        client_id: Option<String>,
        description: String,
        detail: Option<String>,
        explanation: String,
    }
}

impl From<Row> for RefusalRecord {
    fn from(row: Row) -> Self {
        Self {
            reference: row.reference,
            at: row.at,
            status: row.status,
            code: row.code,
            method: row.method,
            path: row.path,
            client_id: row.client_id,
            description: row.description,
            detail: row.detail,
            explanation: serde_json::from_str(&row.explanation).unwrap_or_default(),
        }
    }
}

/// Writes refusals down.
///
/// # Errors
/// The database failed.
pub async fn add(transaction: &mut Transaction, refusals: &[RefusalRecord]) -> Result<(), StoreError> {
    for refusal in refusals {
        sqlx::query(INSERT)
            .bind(&refusal.reference)
            .bind(refusal.at)
            .bind(refusal.status)
            .bind(&refusal.code)
            .bind(&refusal.method)
            .bind(&refusal.path)
            .bind(refusal.client_id.as_ref())
            .bind(&refusal.description)
            .bind(refusal.detail.as_ref())
            .bind(serde_json::to_string(&refusal.explanation)?)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

/// The refusal of that reference.
///
/// # Errors
/// The database failed.
pub async fn find(db: &Db, reference: &str) -> Result<Option<RefusalRecord>, StoreError> {
    let row: Option<Row> = sqlx::query_as(FIND).bind(reference).fetch_optional(db.statement()).await?;
    Ok(row.map(RefusalRecord::from))
}

/// The newest refusals, newest first.
///
/// # Errors
/// The database failed.
pub async fn latest(db: &Db, most: i64) -> Result<Vec<RefusalRecord>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(LATEST).bind(most).fetch_all(db.statement()).await?;
    Ok(rows.into_iter().map(RefusalRecord::from).collect())
}

/// The newest refusals of a user's sign-ins, newest first.
///
/// # Errors
/// The database failed.
pub async fn of_user(db: &Db, sub: &str, most: i64) -> Result<Vec<RefusalRecord>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(OF_USER).bind(about(sub)).bind(most).fetch_all(db.statement()).await?;
    Ok(rows
        .into_iter()
        .map(RefusalRecord::from)
        .filter(|refusal| refusal.explanation.sub.as_deref() == Some(sub))
        .collect())
}

/// Forgets what is about a user; gives how many there were.
///
/// # Errors
/// The database failed.
pub async fn forget_user(db: &Db, sub: &str) -> Result<usize, StoreError> {
    let mut forgotten = 0;
    loop {
        // LIKE takes capital and small letters for the same on SQLite, so each is looked at.
        let found = of_user(db, sub, 500).await?;
        if found.is_empty() {
            return Ok(forgotten);
        }
        for refusal in &found {
            sqlx::query(FORGET).bind(&refusal.reference).execute(&mut *db.writing().await?).await?;
        }
        forgotten += found.len();
    }
}

/// The pattern of an explanation with that `sub`, as it is written: no text in it has a quotation mark without a backslash.
fn about(sub: &str) -> String {
    let member = format!("\"sub\":{}", serde_json::Value::from(sub));
    let mut pattern = String::from("%");
    for c in member.chars() {
        if matches!(c, '!' | '%' | '_') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Forgets the old ones, and the oldest where there are too many.
///
/// # Errors
/// The database failed.
pub async fn sweep(db: &Db, now: NumericDate) -> Result<(), StoreError> {
    sqlx::query(SWEEP_OLD).bind(now.plus(-KEPT).0).execute(&mut *db.writing().await?).await?;
    sqlx::query(SWEEP_MANY).execute(&mut *db.writing().await?).await?;
    Ok(())
}
