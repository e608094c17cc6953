//! `/token`: what a grant is traded for. RFC 6749 section 4.1.3 and 5, RFC 7636 section 4.5, OIDC Core 3.1.3.

use crate::caller;
use crate::protocol::client::Client;
use crate::protocol::error::{ErrorCode, Refusal};
use crate::protocol::params::Params;
use crate::protocol::pkce;
use crate::protocol::response::GrantType;
use crate::protocol::secret::AuthorizationCode;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::ephemeral::Taken;
use crate::store::{access_tokens, codes};
use crate::tokens::{self, LONGEST_ACCESS_TOKEN};
use crate::web::answer::{ApiError, json_body};
use crate::web::{headers, request};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use std::sync::Arc;

/// The token endpoint.
///
/// # Errors
/// `invalid_request`, `invalid_client`, `invalid_grant`, `unauthorized_client`, `unsupported_grant_type`.
pub async fn post(State(provider): State<Arc<Provider>>, request: Request) -> Result<Response, ApiError> {
    let now = provider.now();
    let headers = request.headers().clone();
    let params = request::form(request).await?;
    params.refuse_duplicates()?;
    let client = caller::authenticate(&provider, &headers, &params, now).await?;
    let grant_type =
        params.get("grant_type").ok_or(const { Refusal::new(ErrorCode::InvalidRequest, "grant_type is missing") })?;
    let grant_type = GrantType::parse(grant_type)
        .ok_or(const { Refusal::new(ErrorCode::UnsupportedGrantType, "grant_type is not supported") })?;
    if !client.grant_types.contains(&grant_type) {
        return Err(Refusal::new(ErrorCode::UnauthorizedClient, "this client may not use this grant_type").into());
    }
    let answer = match grant_type {
        GrantType::AuthorizationCode => authorization_code(&provider, &client, &params, now).await?,
    };
    let mut response = json_body(StatusCode::OK, &answer);
    headers::no_store(response.headers_mut());
    Ok(response)
}

/// Redeems a code, once. It is spent by being shown, not by being accepted; shown again, it revokes what it
/// issued ([RFC 6749 section 4.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2)).
///
/// # Errors
/// `invalid_grant`: unknown, expired, already shown, or bound to another client, `redirect_uri` or verifier.
async fn authorization_code(
    provider: &Provider,
    client: &Client,
    params: &Params,
    now: NumericDate,
) -> Result<Value, ApiError> {
    let invalid = |description: &'static str| Refusal::new(ErrorCode::InvalidGrant, description);
    let code = params.get("code").ok_or(const { Refusal::new(ErrorCode::InvalidRequest, "code is missing") })?;
    let code = AuthorizationCode::received(code);
    let (handle, taken) = codes::redeem(&provider.ephemeral, &code, &client.client_id).await?;
    let grant = match taken {
        Taken::Fresh(grant) => grant,
        Taken::Spent => {
            access_tokens::revoke_grant(&provider.ephemeral, handle, LONGEST_ACCESS_TOKEN).await?;
            return Err(invalid("the code was used before; what it issued is revoked").into());
        }
        Taken::Missing => {
            return Err(invalid("the code is unknown, expired or was issued to another client").into());
        }
    };
    if grant.expires_at.is_past(now) {
        return Err(invalid("the code is unknown, expired or was issued to another client")
            .with_detail(format!("it expired {} seconds ago", now.since(grant.expires_at)))
            .into());
    }
    let redirect_uri = params.get("redirect_uri");
    let same_address = match &grant.redirect_uri {
        Some(sent) => redirect_uri == Some(sent),
        None => redirect_uri.is_none_or(|uri| client.owns_redirect_uri(uri)),
    };
    if !same_address {
        return Err(invalid("redirect_uri differs from the one of the authorization request")
            .with_detail(format!("sent {redirect_uri:?}, expected {:?}", grant.redirect_uri))
            .into());
    }
    pkce::check_verifier(grant.code_challenge.as_ref(), params.get("code_verifier"))?;
    let user = provider.directory.user(&grant.sub, now).await?.filter(|user| user.stands(grant.auth_time));
    let user = user.ok_or_else(|| invalid("the account has ended or its sign-ins were revoked"))?;
    Ok(tokens::mint(provider, client, &user, &grant, handle, now).await?)
}
