//! Authorization codes: issued once, redeemed once.

use crate::protocol::grant::Grant;
use crate::protocol::secret::{AuthorizationCode, Digest, Handle};
use crate::store::StoreError;
use crate::store::ephemeral::{Ephemeral, Taken};

fn key(digest: &Digest) -> String {
    format!("code:{}", digest.as_str())
}

/// Remembers the grant behind `code` for `ttl` seconds, which outlast the code: the rest is for the tombstone.
///
/// # Errors
/// The store failed.
pub async fn issue(ephemeral: &Ephemeral, code: &AuthorizationCode, grant: &Grant, ttl: i64) -> Result<(), StoreError> {
    ephemeral.put(&key(&code.digest_for(&grant.client_id)), grant, ttl).await
}

/// Redeems a code, once, and names its grant. [RFC 6749 section 10.5](https://www.rfc-editor.org/rfc/rfc6749#section-10.5).
///
/// The client is part of the key: whoever shows another's code finds nothing and burns nothing.
///
/// # Errors
/// The store failed.
pub async fn redeem(
    ephemeral: &Ephemeral,
    code: &AuthorizationCode,
    client_id: &str,
) -> Result<(Handle, Taken<Grant>), StoreError> {
    let digest = code.digest_for(client_id);
    Ok((Handle::of_digest(&digest), ephemeral.take(&key(&digest)).await?))
}
