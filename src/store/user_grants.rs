//! What services have of a user: consents, and families of refresh tokens that can be used; and taking both back.

use crate::protocol::audit::{Event, EventKind};
use crate::protocol::grant::Authorization;
use crate::protocol::secret::Handle;
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::row::row;
use crate::store::{StoreError, audit_events};

const CONSENTS: &str = "SELECT consents.client_id AS client_id, client_name, client_uri, consent, scope_given, claims, granted_at \
     FROM (SELECT client_id, scope AS scope_given, claims, granted_at FROM consents WHERE sub = $1) AS consents \
     JOIN clients ON clients.client_id = consents.client_id ORDER BY granted_at DESC, consents.client_id LIMIT 200";
// A client's own idle lifetime counts before the setting's.
const FAMILIES: &str = "SELECT refresh_families.client_id AS client_id, client_name, client_uri, consent, authorized, issued_at \
     FROM refresh_families JOIN clients ON clients.client_id = refresh_families.client_id \
     WHERE sub = $1 AND revoked_at IS NULL AND expires_at > CAST($2 AS BIGINT) AND authorized IS NOT NULL \
     AND used_at > CAST($2 AS BIGINT) - COALESCE(refresh_token_idle_lifetime, CAST($3 AS BIGINT)) \
     ORDER BY used_at DESC, family_id LIMIT 500";
const FORGET_CONSENT: &str = "DELETE FROM consents WHERE sub = $1 AND client_id = $2";
const REVOKE: &str = "UPDATE refresh_families SET revoked_at = $3, salt = NULL \
     WHERE sub = $1 AND client_id = $2 AND revoked_at IS NULL RETURNING family_id";

row! {
    /// What a user allowed one client.
    pub struct Consent {
        /// `client_id`.
        pub client_id: String,
        /// `client_name`.
        pub client_name: String,
        /// `client_uri`.
        pub client_uri: Option<String>,
        /// `consent`: whether users are asked.
        pub consent: String,
        /// The scope.
        pub scope_given: String,
        /// What was shown beside the scopes, names separated by spaces.
        pub claims: Option<String>,
        /// `granted_at`.
        pub granted_at: i64,
    }
}

row! {
    struct FamilyRow {
        client_id: String,
        client_name: String,
        client_uri: Option<String>,
        consent: String,
        authorized: String,
        issued_at: i64,
    }
}

/// A family of refresh tokens that its row does not keep from being used.
pub struct Family {
    /// `client_id`.
    pub client_id: String,
    /// `client_name`.
    pub client_name: String,
    /// `client_uri`.
    pub client_uri: Option<String>,
    /// `consent`: whether users are asked.
    pub consent: String,
    /// What it grants.
    pub authorization: Authorization,
    /// `issued_at`.
    pub issued_at: i64,
}

/// What a user allowed, the newest first; 200 at most.
///
/// # Errors
/// The database failed.
pub async fn consents(db: &Db, sub: &str) -> Result<Vec<Consent>, StoreError> {
    Ok(sqlx::query_as(CONSENTS).bind(sub).fetch_all(db.statement()).await?)
}

/// The families of a user that can be used, the one used last first, 500 at most; `idle_lifetime` is the setting's, in seconds. One
/// whose authorization cannot be read is left out: no client can use it either.
///
/// # Errors
/// The database failed.
pub async fn families(db: &Db, sub: &str, idle_lifetime: i64, now: NumericDate) -> Result<Vec<Family>, StoreError> {
    let query = sqlx::query_as(FAMILIES).bind(sub).bind(now.0).bind(idle_lifetime);
    let rows: Vec<FamilyRow> = query.fetch_all(db.statement()).await?;
    let read = |row: FamilyRow| {
        Some(Family {
            authorization: serde_json::from_str(&row.authorized).ok()?,
            client_id: row.client_id,
            client_name: row.client_name,
            client_uri: row.client_uri,
            consent: row.consent,
            issued_at: row.issued_at,
        })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// Takes back what a user allowed a client, and its refresh tokens. Gives the families that ended, of which access tokens may be
/// out; `None`: there was nothing to take back.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn take_back(
    db: &Db,
    sub: &str,
    client_id: &str,
    network: &str,
    now: NumericDate,
) -> Result<Option<Vec<Handle>>, StoreError> {
    let mut transaction = db.begin().await?;
    let forgotten = sqlx::query(FORGET_CONSENT).bind(sub).bind(client_id).execute(&mut *transaction).await?;
    let revoke = sqlx::query_scalar(REVOKE).bind(sub).bind(client_id).bind(now.0);
    let families: Vec<String> = revoke.fetch_all(&mut *transaction).await?;
    if forgotten.rows_affected() == 0 && families.is_empty() {
        transaction.rollback().await?;
        return Ok(None);
    }
    let event = Event::new(EventKind::ConsentWithdrawn, now).of(sub).by(client_id).from(&network);
    let event = event.with("refresh_families", families.len() as u64);
    audit_events::note_change(&mut transaction, event, now).await?;
    transaction.commit().await?;
    Ok(Some(families.iter().filter_map(|family| Handle::parse(family)).collect()))
}
