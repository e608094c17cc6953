//! `/token`: what a grant is traded for, a file per grant. RFC 6749 section 3.2, 5; OIDC Core 3.1.3.

mod authorization_code;
mod client_credentials;
mod first_tokens;
mod refresh_token;

use crate::caller::ClientRequest;
use crate::protocol::error::Refusal;
use crate::protocol::reason::Reason;
use crate::protocol::remedy::Remedy;
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
    let client = &request.holder.client;
    let words =
        |grant_types: &[GrantType]| grant_types.iter().map(|grant_type| grant_type.as_str()).collect::<Vec<_>>();
    let sent = request
        .params
        .get("grant_type")
        .ok_or_else(|| Refusal::new(Reason::GrantTypeMissing).expecting("no grant_type", words(&client.grant_types)))?;
    let grant_type = GrantType::parse(sent)
        .ok_or_else(|| Refusal::new(Reason::GrantTypeUnsupported).expecting(sent, words(GrantType::SUPPORTED)))?;
    if !client.grant_types.contains(&grant_type) {
        let grant_types = [words(&client.grant_types).as_slice(), &[sent]].concat().join(" ");
        let remedy = Remedy::AllowGrantType { client_id: client.client_id.clone(), grant_types };
        let refusal = Refusal::new(Reason::GrantTypeNotAllowed).expecting(sent, words(&client.grant_types));
        return Err(refusal.with_remedy(remedy).into());
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
