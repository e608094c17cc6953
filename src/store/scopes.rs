//! Scopes of the organization's own, as commands read and change them. What a client is given of them is in `clients`.

use crate::protocol::audit::{Event, EventKind, Impersonal};
use crate::protocol::claim_map::OwnScope;
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::{StoreError, audit_events};

const SET: &str = "INSERT INTO scopes (scope, description, claims) VALUES ($1, $2, $3) \
     ON CONFLICT (scope) DO UPDATE SET description = excluded.description, claims = excluded.claims \
     WHERE scopes.description <> excluded.description OR scopes.claims <> excluded.claims";
const DELETE: &str = "DELETE FROM scopes WHERE scope = $1";
const ASKING: &str = "SELECT client_id, scope FROM clients ORDER BY client_id";

/// A change of one scope.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// It is that.
    Set(&'a OwnScope),
    /// It is deleted.
    Delete(&'a str),
}

/// Carries a change out, with its event; gives whether it changed anything.
///
/// # Errors
/// The database failed.
pub async fn change(db: &Db, change: Change<'_>, now: NumericDate) -> Result<bool, StoreError> {
    let (scope, statement) = match change {
        Change::Set(own) => {
            (own.scope.as_str(), sqlx::query(SET).bind(&own.scope).bind(&own.description).bind(own.claims.join(" ")))
        }
        Change::Delete(scope) => (scope, sqlx::query(DELETE).bind(scope)),
    };
    let mut transaction = db.begin().await?;
    let is_changed = statement.execute(&mut *transaction).await?.rows_affected() > 0;
    if is_changed {
        let is_deleted = matches!(change, Change::Delete(_));
        let event = Event::new(EventKind::ScopeEdited, now).with("scope", Impersonal::configured(scope));
        audit_events::note_change(&mut transaction, event.with("is_deleted", is_deleted), now).await?;
        transaction.commit().await?;
    }
    Ok(is_changed)
}

/// The clients that may ask for a scope.
///
/// # Errors
/// The database failed.
pub async fn clients(db: &Db, scope: &str) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as(ASKING).fetch_all(db.statement()).await?;
    let asking = rows.into_iter().filter(|(_, scopes)| scopes.split(' ').any(|token| token == scope));
    Ok(asking.map(|(client_id, _)| client_id).collect())
}
