//! Sign-outs that a service asked for by POST: from another site it brings no cookies, so they wait for the GET that does.
//! Any site can start one, so they have the share of the store that started sign-ins have.
//!
//! Key: `started`, by id a `LogoutRequest`, beside the sign-ins of `interactions.rs`.

use crate::protocol::logout::LogoutRequest;
use crate::protocol::secret::InteractionId;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::ephemeral::{Ephemeral, STARTED_SHARE, Start};
use crate::store::interactions::KEPT;

/// How long one may wait, in seconds.
pub const LIFETIME: i64 = 1800;

/// Remembers one, on the budget of a network.
///
/// # Errors
/// The store failed.
pub async fn start(
    ephemeral: &Ephemeral,
    id: &InteractionId,
    request: &LogoutRequest,
    network: &str,
    network_budget: i64,
) -> Result<(), StoreError> {
    let digest = id.digest();
    // All of the share live equally long; this one says itself when it ends.
    let start = Start { id: digest.as_str(), network, network_budget, share: STARTED_SHARE, ttl: KEPT };
    ephemeral.start(&start, request).await
}

/// Reads one that has not expired.
///
/// # Errors
/// The store failed.
pub async fn find(
    ephemeral: &Ephemeral,
    id: &InteractionId,
    now: NumericDate,
) -> Result<Option<LogoutRequest>, StoreError> {
    let found: Option<LogoutRequest> = ephemeral.started(id.digest().as_str()).await?;
    Ok(found.filter(|request| !request.expires_at.is_past(now)))
}
