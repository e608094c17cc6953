//! Who is asking: the client at the machine doors, the token at userinfo. The extractors that look things up.

use crate::protocol::client::Client;
use crate::protocol::error::{ErrorCode, Refusal};
use crate::protocol::grant::AccessGrant;
use crate::protocol::params::Params;
use crate::protocol::response::ClientAuthMethod;
use crate::protocol::secret::{AccessToken, AccessTokenParts};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::StoreError;
use crate::store::access_tokens;
use crate::web::answer::ApiError;
use crate::web::request::{self, Credentials};
use axum::http::HeaderMap;
use std::sync::Arc;

/// Authenticates the client of a request ([OIDC Core 9](https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication)).
///
/// A secret may come by Basic or in the body, whichever of the two is registered; a public client names itself.
///
/// # Errors
/// `invalid_client`: unknown, disabled, or not proven; `invalid_request`: two methods at once.
pub async fn authenticate(
    provider: &Provider,
    headers: &HeaderMap,
    params: &Params,
    now: NumericDate,
) -> Result<Arc<Client>, ApiError> {
    match request::credentials(headers, params)? {
        Credentials::Basic { decoded, raw } => {
            for (client_id, secret) in std::iter::once(decoded).chain(raw) {
                let Some(client) = provider.directory.client(&client_id, now).await? else { continue };
                if !client.is_public() && provider.passwords.verify_client(&client, &secret, now).await? {
                    return Ok(client);
                }
            }
            Err(unproven("client_id unknown or disabled, or none of its unexpired secrets matches").into())
        }
        Credentials::Post { client_id, secret } => {
            let client = provider
                .directory
                .client(&client_id, now)
                .await?
                .ok_or_else(|| unproven("client_id unknown or disabled"))?;
            if client.is_public() {
                return Err(unproven("a public client (token_endpoint_auth_method none) sent a secret").into());
            }
            if provider.passwords.verify_client(&client, &secret, now).await? {
                Ok(client)
            } else {
                Err(unproven("none of its unexpired secrets matches").into())
            }
        }
        Credentials::Name { client_id } => {
            let client = provider
                .directory
                .client(&client_id, now)
                .await?
                .ok_or_else(|| unproven("client_id unknown or disabled"))?;
            if client.token_endpoint_auth_method == ClientAuthMethod::None {
                Ok(client)
            } else {
                Err(unproven("the client must authenticate with its secret and sent none").into())
            }
        }
    }
}

/// The same words for every cause, so that nobody learns which clients there are; the log has the cause.
fn unproven(detail: &str) -> Refusal {
    Refusal::new(ErrorCode::InvalidClient, "client authentication failed").with_detail(detail)
}

/// Finds what a live opaque access token allows. `None`: unknown, expired, revoked, or its session, user or
/// client has ended.
///
/// # Errors
/// A store failed.
pub async fn access_grant(
    provider: &Provider,
    token: &AccessToken,
    now: NumericDate,
) -> Result<Option<AccessGrant>, StoreError> {
    let Some(parts) = AccessTokenParts::open(token, &provider.shared.mask_key) else { return Ok(None) };
    let Some(grant) = access_tokens::find(&provider.ephemeral, token, &parts, now).await? else { return Ok(None) };
    let client = provider.directory.client(&grant.client_id, now).await?;
    let user = provider.directory.user(&grant.sub, now).await?;
    let client_stands =
        client.is_some_and(|client| client.tokens_valid_after.is_none_or(|after| grant.issued_at >= after));
    let user_stands = user.is_some_and(|user| user.stands(grant.auth_time));
    Ok((client_stands && user_stands).then_some(grant))
}
