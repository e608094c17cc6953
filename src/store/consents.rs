//! What a user allowed a client, remembered per client and scope.

use crate::protocol::scope::Scope;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::db::Db;

const FIND: &str = "SELECT scope FROM consents WHERE sub = $1 AND client_id = $2";
// Also where nothing changes it is an update, which holds the row until the transaction ends: what another tab adds
// meanwhile waits, and is not lost.
const HOLD: &str = "INSERT INTO consents (sub, client_id, scope, granted_at) VALUES ($1, $2, '', $3) \
     ON CONFLICT (sub, client_id) DO UPDATE SET granted_at = excluded.granted_at RETURNING scope";
const WIDEN: &str = "UPDATE consents SET scope = $3 WHERE sub = $1 AND client_id = $2";

/// What `sub` allowed `client_id` so far.
///
/// # Errors
/// The database failed.
pub async fn find(db: &Db, sub: &str, client_id: &str) -> Result<Option<Scope>, StoreError> {
    let scope: Option<String> =
        sqlx::query_scalar(FIND).bind(sub).bind(client_id).fetch_optional(db.statement()).await?;
    Ok(scope.map(Scope::from))
}

/// Adds `scope` to what was allowed before.
///
/// # Errors
/// The database failed.
pub async fn remember(db: &Db, sub: &str, client_id: &str, scope: &Scope, now: NumericDate) -> Result<(), StoreError> {
    let mut transaction = db.begin().await?;
    let before: String =
        sqlx::query_scalar(HOLD).bind(sub).bind(client_id).bind(now.0).fetch_one(&mut *transaction).await?;
    let scope = Scope::from(before).union(scope);
    sqlx::query(WIDEN).bind(sub).bind(client_id).bind(scope.to_string()).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}
