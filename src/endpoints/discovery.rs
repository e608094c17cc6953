//! Discovery at both well-known paths: OIDC Discovery 3 and 4, RFC 8414, RFC 9207.
//!
//! Computed from what is served: the path table, the lists of the parsers, the keys that sign now. Every default
//! that bites when it is left out is written out.

use crate::config::SignUp;
use crate::endpoints::path;
use crate::protocol::claim_names::{CLAIMS_OF_SCOPES, ID_TOKEN_CLAIMS, RESERVED};
use crate::protocol::factor::ACR_VALUES;
use crate::protocol::pkce;
use crate::protocol::response::{
    ClientAuthMethod, Display, GrantType, Prompt, ResponseMode, ResponseType, SubjectType,
};
use crate::protocol::scope::SCOPES_SUPPORTED;
use crate::provider::Provider;
use crate::store::clients::Offered;
use crate::web::answer::json_body;
use crate::web::probe;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// The metadata of this provider.
#[must_use]
pub fn metadata(provider: &Provider, offered: &Offered) -> Value {
    let url = |path: &str| provider.url(path);
    let algorithms: Vec<&str> =
        provider.keys.current().algorithms(provider.now()).iter().map(|algorithm| algorithm.as_str()).collect();
    let mut claims: Vec<&str> = ID_TOKEN_CLAIMS.to_vec();
    claims.extend(CLAIMS_OF_SCOPES.iter().flat_map(|(_, claims)| claims.iter()));
    for claim in offered.scopes.iter().flat_map(|own| &own.claims).chain(&offered.claims) {
        if !claims.contains(&claim.as_str()) && !RESERVED.contains(&claim.as_str()) {
            claims.push(claim);
        }
    }
    let mut scopes: Vec<&str> = SCOPES_SUPPORTED.to_vec();
    scopes.extend(offered.scopes.iter().map(|own| own.scope.as_str()));
    let has_sign_up = provider.config.sign_up != SignUp::Off;
    let prompts = Prompt::SUPPORTED.iter().filter(|prompt| has_sign_up || **prompt != Prompt::Create);
    let prompts: Vec<&str> = prompts.map(|prompt| prompt.as_str()).collect();
    json!({
        "issuer": provider.config.issuer,
        "authorization_endpoint": url(path::AUTHORIZE),
        "token_endpoint": url(path::TOKEN),
        "userinfo_endpoint": url(path::USERINFO),
        "introspection_endpoint": url(path::INTROSPECT),
        "revocation_endpoint": url(path::REVOKE),
        "end_session_endpoint": url(path::LOGOUT),
        "jwks_uri": url(path::JWKS),
        "scopes_supported": scopes,
        "response_types_supported": words(ResponseType::SUPPORTED, ResponseType::as_str),
        "response_modes_supported": words(ResponseMode::SUPPORTED, ResponseMode::as_str),
        "grant_types_supported": words(GrantType::SUPPORTED, GrantType::as_str),
        "subject_types_supported": words(SubjectType::SUPPORTED, SubjectType::as_str),
        "id_token_signing_alg_values_supported": algorithms,
        "token_endpoint_auth_methods_supported": words(ClientAuthMethod::SUPPORTED, ClientAuthMethod::as_str),
        // An introspecting party must prove who it is; a public client may give its tokens back.
        "introspection_endpoint_auth_methods_supported":
            words(&[ClientAuthMethod::ClientSecretBasic, ClientAuthMethod::ClientSecretPost], ClientAuthMethod::as_str),
        "revocation_endpoint_auth_methods_supported": words(ClientAuthMethod::SUPPORTED, ClientAuthMethod::as_str),
        "display_values_supported": words(Display::SUPPORTED, Display::as_str),
        "prompt_values_supported": prompts,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "frontchannel_logout_supported": true,
        "frontchannel_logout_session_supported": true,
        // Where groups are too many for an id_token, it says where they are.
        "claim_types_supported": ["normal", "distributed"],
        "claims_supported": claims,
        "code_challenge_methods_supported": pkce::METHODS_SUPPORTED,
        "ui_locales_supported": provider.config.languages.names().collect::<Vec<_>>(),
        "acr_values_supported": ACR_VALUES,
        "claims_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "require_request_uri_registration": false,
        "authorization_response_iss_parameter_supported": true,
    })
}

fn words<T: Copy>(values: &[T], word: impl Fn(T) -> &'static str) -> Vec<&'static str> {
    values.iter().map(|value| word(*value)).collect()
}

/// The metadata document.
pub async fn get(State(provider): State<Arc<Provider>>, request: Request) -> Response {
    // The rest of it is good without the database.
    let offered = provider.directory.offered(provider.now()).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the scopes of the organization's own are not known, and not in the metadata");
        Arc::default()
    });
    let mut response = json_body(StatusCode::OK, &metadata(&provider, &offered));
    if let Some(arrived) = probe::answer(&request, &provider.config, &provider.secrets.probe) {
        response.headers_mut().insert(probe::HEADER, arrived);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}
