//! `/token`: what a grant is traded for, a file per grant. RFC 6749 section 3.2, 5; OIDC Core 3.1.3.

mod authorization_code;
mod client_credentials;
mod first_tokens;
mod refresh_token;

use crate::caller::ClientRequest;
use crate::protocol::error::{ErrorCode, Refusal};
use crate::protocol::response::GrantType;
use crate::provider::Provider;
use crate::web::answer::{ApiError, json_body};
use crate::web::headers;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// The token endpoint.
///
/// # Errors
/// `invalid_request`, `invalid_client`, `invalid_grant`, `invalid_scope`, `invalid_target`, `unauthorized_client`,
/// `unsupported_grant_type`.
pub async fn post(State(provider): State<Arc<Provider>>, request: ClientRequest) -> Result<Response, ApiError> {
    let grant_type = request
        .params
        .get("grant_type")
        .ok_or(const { Refusal::new(ErrorCode::InvalidRequest, "grant_type is missing") })?;
    let grant_type = GrantType::parse(grant_type)
        .ok_or(const { Refusal::new(ErrorCode::UnsupportedGrantType, "grant_type is not supported") })?;
    if !request.holder.client.grant_types.contains(&grant_type) {
        return Err(Refusal::new(ErrorCode::UnauthorizedClient, "this client may not use this grant_type").into());
    }
    let answer = match grant_type {
        GrantType::AuthorizationCode => authorization_code::redeem(&provider, &request).await?,
        GrantType::RefreshToken => refresh_token::refresh(&provider, &request).await?,
        GrantType::ClientCredentials => client_credentials::issue(&provider, &request).await?,
    };
    let mut response = json_body(StatusCode::OK, &answer);
    headers::no_store(response.headers_mut());
    Ok(response)
}
