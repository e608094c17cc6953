//! Changes that an operator makes to a client at once, through the database: all of one or nothing, judged before it counts,
//! with its event.

use super::{FIND, OTHERS, Other, Row, client_of, lists_of};
use crate::protocol::audit::Event;
use crate::protocol::client::Client;
use crate::protocol::columns::RowFault;
use crate::protocol::time::NumericDate;
use crate::store::db::{Db, Transaction};
use crate::store::row::row;
use crate::store::{StoreError, audit_events};
use sqlx::AssertSqlSafe;

const HOLDINGS: &str = "SELECT \
     (SELECT COUNT(*) FROM client_secrets WHERE client_id = $1) AS secrets, \
     (SELECT COUNT(*) FROM client_redirect_uris WHERE client_id = $1) AS redirect_uris, \
     (SELECT COUNT(*) FROM consents WHERE client_id = $1) AS consents, \
     (SELECT COUNT(*) FROM refresh_families WHERE client_id = $1 AND revoked_at IS NULL AND expires_at > $2) AS families";

row! {
    /// What hangs on a client, and goes with it.
    pub struct Holdings {
        /// Secrets, good or ended.
        pub secrets: i64,
        /// Addresses.
        pub redirect_uris: i64,
        /// Users who allowed it something.
        pub consents: i64,
        /// Refresh tokens that are good.
        pub families: i64,
    }
}

/// What hangs on a client.
///
/// # Errors
/// The database failed.
pub async fn holdings(db: &Db, client_id: &str, now: NumericDate) -> Result<Holdings, StoreError> {
    Ok(sqlx::query_as(HOLDINGS).bind(client_id).bind(now.0).fetch_one(db.statement()).await?)
}

/// Runs the statements of a change, whose texts are literals that the caller has quoted; `judge` is asked about what the client
/// has become, `None` where it is gone, and what it refuses is undone. Gives the judge's word.
///
/// # Errors
/// The database failed, or refuses a statement.
pub async fn apply<T, E>(
    db: &Db,
    client_id: &str,
    statements: &[String],
    event: Event,
    judge: impl FnOnce(Option<Result<Client, RowFault>>) -> Result<T, E>,
) -> Result<Result<T, E>, StoreError> {
    let at = event.at;
    let mut transaction = db.begin().await?;
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement.as_str())).execute(&mut *transaction).await?;
    }
    let judged = judge(find(&mut transaction, client_id).await?);
    if judged.is_err() {
        transaction.rollback().await?;
        return Ok(judged);
    }
    audit_events::note_change(&mut transaction, event, at).await?;
    transaction.commit().await?;
    Ok(judged)
}

/// The client as it is within a transaction.
async fn find(transaction: &mut Transaction, client_id: &str) -> Result<Option<Result<Client, RowFault>>, StoreError> {
    let row: Option<Row> = sqlx::query_as(FIND).bind(client_id).fetch_optional(&mut **transaction).await?;
    let Some(row) = row else { return Ok(None) };
    let rows: Vec<Other> = sqlx::query_as(OTHERS).bind(client_id).fetch_all(&mut **transaction).await?;
    Ok(Some(client_of(row, lists_of(rows))))
}
