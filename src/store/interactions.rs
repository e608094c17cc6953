//! Authorization requests in progress. Any client can start one, so they have a share of the store of their own
//! (`Ephemeral::start`).
//!
//! Key: `started`, by id an `Interaction`, or a tombstone once taken, for an hour and a half. It has `logout_requests.rs` in it too.

use crate::protocol::authorization::{Interaction, REMEMBERED_FOR};
use crate::protocol::secret::InteractionId;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::ephemeral::{Ephemeral, STARTED_SHARE, Start, Taken};
use crate::store::stored::Stored;

/// How long a user may take for one sign-in, in seconds.
pub const LIFETIME: i64 = 1800;
/// How long it is kept altogether, so that a late page can say what happened, or lead to where the service starts anew.
pub(super) const KEPT: i64 = REMEMBERED_FOR;

/// When one was started.
#[must_use]
pub fn started_at(interaction: &Interaction) -> NumericDate {
    interaction.expires_at.plus(-LIFETIME)
}

/// Remembers a new interaction, on the budget of a network.
///
/// # Errors
/// The store failed.
pub async fn start(
    ephemeral: &Ephemeral,
    id: &InteractionId,
    interaction: &Interaction,
    network: &str,
    network_budget: i64,
) -> Result<(), StoreError> {
    let digest = id.digest();
    let start = Start { id: digest.as_str(), network, network_budget, share: STARTED_SHARE, ttl: KEPT };
    ephemeral.start(&start, interaction).await
}

/// Reads an interaction, expired or not.
///
/// # Errors
/// The store failed.
pub async fn find(ephemeral: &Ephemeral, id: &InteractionId) -> Result<Option<Stored<Interaction>>, StoreError> {
    ephemeral.started(id.digest().as_str()).await
}

/// Records what happened in it, unless it has changed or ended since it was read. Once a user has typed into it, it
/// gives way after all others.
///
/// # Errors
/// The store failed.
pub async fn update(
    ephemeral: &Ephemeral,
    id: &InteractionId,
    before: &Stored<Interaction>,
    after: &Interaction,
    is_typed_into: bool,
) -> Result<bool, StoreError> {
    ephemeral.change_started(id.digest().as_str(), before, after, is_typed_into).await
}

/// Ends it: the request that takes it answers the client, and no other does.
///
/// # Errors
/// The store failed.
pub async fn finish(ephemeral: &Ephemeral, id: &InteractionId) -> Result<Taken<Interaction>, StoreError> {
    ephemeral.take_started(id.digest().as_str()).await
}
