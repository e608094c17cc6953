//! Authorization codes: issued once, redeemed once.
//!
//! Key: `code:{digest of code and client_id}`, a `Grant` for the code's lifetime and ten minutes; once taken, a tombstone for as
//! long as what it can issue.

use crate::protocol::grant::Grant;
use crate::protocol::secret::{AuthorizationCode, Digest, Handle};
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::ephemeral::{Ephemeral, Taken};
use crate::store::stored::Stored;

fn key(digest: &Digest) -> String {
    format!("code:{}", digest.as_str())
}

/// How long a code that is not redeemed is known beyond its lifetime, in seconds: a client that is late is told so.
pub const TOMBSTONE_TTL: i64 = 600;

/// Remembers the grant behind `code`, which can be redeemed for `lifetime` seconds.
///
/// # Errors
/// The store failed.
pub async fn issue(
    ephemeral: &Ephemeral,
    code: &AuthorizationCode,
    grant: &Grant,
    lifetime: i64,
) -> Result<(), StoreError> {
    ephemeral.put(&key(&code.digest_for(&grant.authorization.client_id)), grant, lifetime + TOMBSTONE_TTL).await
}

/// Puts a code back that was spent and for which nothing was handed out: a fault of ours is no replay of the client's.
///
/// # Errors
/// The store failed.
pub async fn put_back(
    ephemeral: &Ephemeral,
    code: &AuthorizationCode,
    grant: &Stored<Grant>,
    now: NumericDate,
) -> Result<(), StoreError> {
    let ttl = grant.expires_at.since(now).max(1) + TOMBSTONE_TTL;
    ephemeral.put_back(&key(&code.digest_for(&grant.authorization.client_id)), grant, ttl).await
}

/// Takes a code back that was not handed out.
///
/// # Errors
/// The store failed.
pub async fn withdraw(ephemeral: &Ephemeral, code: &AuthorizationCode, client_id: &str) -> Result<(), StoreError> {
    ephemeral.delete(&key(&code.digest_for(client_id))).await
}

/// Redeems a code, once, and names its grant. [RFC 6749 section 10.5](https://www.rfc-editor.org/rfc/rfc6749#section-10.5).
///
/// The client is part of the key: a client that shows another's code finds nothing and burns nothing. That it was shown is
/// remembered for `tombstone` seconds, which outlast what the code issued.
///
/// # Errors
/// The store failed.
pub async fn redeem(
    ephemeral: &Ephemeral,
    code: &AuthorizationCode,
    client_id: &str,
    tombstone: i64,
) -> Result<(Handle, Taken<Stored<Grant>>), StoreError> {
    let digest = code.digest_for(client_id);
    Ok((Handle::of_digest(&digest), ephemeral.spend(&key(&digest), tombstone).await?))
}
