//! Sign-outs that wait for a person's word.

use crate::protocol::logout::Farewell;
use crate::protocol::secret::InteractionId;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::ephemeral::{Ephemeral, Taken};

/// How long one may wait, in seconds.
pub const LIFETIME: i64 = 1800;

fn key(id: &InteractionId) -> String {
    format!("farewell:{}", id.digest().as_str())
}

/// Remembers one.
///
/// # Errors
/// The store failed.
pub async fn start(ephemeral: &Ephemeral, id: &InteractionId, farewell: &Farewell) -> Result<(), StoreError> {
    ephemeral.put(&key(id), farewell, LIFETIME).await
}

/// Reads one that has not expired.
///
/// # Errors
/// The store failed.
pub async fn find(ephemeral: &Ephemeral, id: &InteractionId, now: NumericDate) -> Result<Option<Farewell>, StoreError> {
    let found: Option<Farewell> = ephemeral.get(&key(id)).await?;
    Ok(found.filter(|farewell| !farewell.expires_at.is_past(now)))
}

/// Binds one to a browser, unless it changed since it was read.
///
/// # Errors
/// The store failed.
pub async fn bind(
    ephemeral: &Ephemeral,
    id: &InteractionId,
    before: &Farewell,
    after: &Farewell,
) -> Result<bool, StoreError> {
    ephemeral.replace(&key(id), before, after, LIFETIME).await
}

/// Takes one, once.
///
/// # Errors
/// The store failed.
pub async fn take(ephemeral: &Ephemeral, id: &InteractionId) -> Result<Taken<Farewell>, StoreError> {
    ephemeral.take(&key(id)).await
}
