//! Access tokens, and the markers that end them.
//!
//! A token is live if its record is there and neither its grant nor its session carries a marker. Markers beat
//! a winner that is still minting: its record appears, but it is dead. A JWT has a record too, under its `jti`: it is
//! checked by those who can reach us, and revoked like any other.
//!
//! Key: `at:{digest of token}`, an `AccessGrant` for the token's lifetime.
//!
//! Key: `revoked:{grant}`, a marker for as long as the longest access token: what this grant issued is dead.
//!
//! Key: `ended:{session}`, a marker for as long as the longest access token: what this session issued is dead.

use crate::protocol::grant::AccessGrant;
use crate::protocol::secret::{AccessTokenParts, Digest, Handle};
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::ephemeral::Ephemeral;

fn key(token: &Digest) -> String {
    format!("at:{}", token.as_str())
}

fn revoked_key(grant: Handle) -> String {
    format!("revoked:{}", grant.text())
}

pub(super) fn ended_key(session: Handle) -> String {
    format!("ended:{}", session.text())
}

/// Remembers a token for `ttl` seconds.
///
/// # Errors
/// The store failed.
pub async fn issue(ephemeral: &Ephemeral, token: &Digest, grant: &AccessGrant, ttl: i64) -> Result<(), StoreError> {
    ephemeral.put(&key(token), grant, ttl).await
}

/// Finds a live token: one trip of three reads.
///
/// # Errors
/// The store failed.
pub async fn find(
    ephemeral: &Ephemeral,
    token: &Digest,
    parts: &AccessTokenParts,
    now: NumericDate,
) -> Result<Option<AccessGrant>, StoreError> {
    let (record_key, grant_key, session_key) = (key(token), revoked_key(parts.grant), ended_key(parts.session));
    let (record, revoked, ended) = tokio::try_join!(
        ephemeral.get::<AccessGrant>(&record_key),
        ephemeral.get::<u8>(&grant_key),
        ephemeral.get::<u8>(&session_key),
    )?;
    Ok(record.filter(|grant| revoked.is_none() && ended.is_none() && !grant.expires_at.is_past(now)))
}

/// Ends one token.
///
/// # Errors
/// The store failed.
pub async fn revoke(ephemeral: &Ephemeral, token: &Digest) -> Result<(), StoreError> {
    ephemeral.delete(&key(token)).await
}

/// Ends everything that was issued under a grant; `ttl` seconds must outlast the longest of it. `false`: it had ended before.
///
/// # Errors
/// The store failed.
pub async fn revoke_grant(ephemeral: &Ephemeral, grant: Handle, ttl: i64) -> Result<bool, StoreError> {
    ephemeral.mark(&revoked_key(grant), ttl).await
}
