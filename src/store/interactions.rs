//! Authorization requests under way.

use crate::protocol::authorization::Interaction;
use crate::protocol::secret::InteractionId;
use crate::store::StoreError;
use crate::store::ephemeral::{Ephemeral, Taken};

/// How long a person may take for one sign-in, in seconds.
pub const LIFETIME: i64 = 1800;
/// How long it is remembered beyond that, so that a late page can say what happened.
const AFTERLIFE: i64 = 3600;

fn key(id: &InteractionId) -> String {
    format!("interaction:{}", id.digest().as_str())
}

/// Remembers a new interaction.
///
/// # Errors
/// The store failed.
pub async fn start(ephemeral: &Ephemeral, id: &InteractionId, interaction: &Interaction) -> Result<(), StoreError> {
    ephemeral.put(&key(id), interaction, LIFETIME + AFTERLIFE).await
}

/// Reads an interaction, expired or not.
///
/// # Errors
/// The store failed.
pub async fn find(ephemeral: &Ephemeral, id: &InteractionId) -> Result<Option<Interaction>, StoreError> {
    ephemeral.get(&key(id)).await
}

/// Records what happened in it, unless it has changed or ended since it was read.
///
/// # Errors
/// The store failed.
pub async fn update(
    ephemeral: &Ephemeral,
    id: &InteractionId,
    before: &Interaction,
    after: &Interaction,
) -> Result<bool, StoreError> {
    ephemeral.replace(&key(id), before, after, LIFETIME + AFTERLIFE).await
}

/// Ends it: whoever takes it answers the client, and nobody else does.
///
/// # Errors
/// The store failed.
pub async fn finish(ephemeral: &Ephemeral, id: &InteractionId) -> Result<Taken<Interaction>, StoreError> {
    ephemeral.take(&key(id)).await
}
