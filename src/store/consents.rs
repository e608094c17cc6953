//! What a user allowed a client, remembered per client and scope.

use crate::protocol::authorization::Allowed;
use crate::protocol::scope::Scope;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::row::row;

const FIND: &str = "SELECT scope, claims FROM consents WHERE sub = $1 AND client_id = $2";
// Also where nothing changes it is an update, which holds the row until the transaction ends: what another tab adds
// meanwhile waits, and is not lost.
const HOLD: &str = "INSERT INTO consents (sub, client_id, scope, granted_at) VALUES ($1, $2, '', $3) \
     ON CONFLICT (sub, client_id) DO UPDATE SET granted_at = excluded.granted_at RETURNING scope, claims";
const WIDEN: &str = "UPDATE consents SET scope = $3, claims = $4 WHERE sub = $1 AND client_id = $2";

const OF_USER: &str = "SELECT client_id, scope, claims, granted_at FROM consents WHERE sub = $1 ORDER BY client_id";

row! {
    /// What a user allowed one client.
    pub struct Given {
        /// `client_id`.
        pub client_id: String,
        /// `scope`.
        pub scope: String,
        /// `claims`: what was shown beside the scopes, names separated by spaces.
        pub claims: Option<String>,
        /// `granted_at`.
        pub granted_at: i64,
    }
}

/// What a user allowed, client by client.
///
/// # Errors
/// The database failed.
pub async fn of_user(db: &Db, sub: &str) -> Result<Vec<Given>, StoreError> {
    Ok(sqlx::query_as(OF_USER).bind(sub).fetch_all(db.statement()).await?)
}

row! {
    struct Row {
        scope: String,
        claims: Option<String>,
    }
}

impl From<Row> for Allowed {
    fn from(row: Row) -> Self {
        let claims = row.claims.unwrap_or_default();
        Self { scope: Scope::from(row.scope), claims: claims.split_whitespace().map(str::to_owned).collect() }
    }
}

/// What `sub` allowed `client_id` so far.
///
/// # Errors
/// The database failed.
pub async fn find(db: &Db, sub: &str, client_id: &str) -> Result<Option<Allowed>, StoreError> {
    let row: Option<Row> = sqlx::query_as(FIND).bind(sub).bind(client_id).fetch_optional(db.statement()).await?;
    Ok(row.map(Allowed::from))
}

/// Adds to what was allowed before.
///
/// # Errors
/// The database failed.
pub async fn remember(
    db: &Db,
    sub: &str,
    client_id: &str,
    allowed: &Allowed,
    now: NumericDate,
) -> Result<(), StoreError> {
    let mut transaction = db.begin().await?;
    let before: Row = sqlx::query_as(HOLD).bind(sub).bind(client_id).bind(now.0).fetch_one(&mut *transaction).await?;
    let all = Allowed::from(before).union(allowed);
    sqlx::query(WIDEN)
        .bind(sub)
        .bind(client_id)
        .bind(all.scope.to_string())
        .bind((!all.claims.is_empty()).then(|| all.claims.join(" ")))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}
