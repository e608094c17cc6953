//! `/userinfo`: who the token's owner is. OIDC Core 5.3, RFC 6750.

use crate::caller::{TokenRequest, bearer};
use crate::protocol::error::Refusal;
use crate::protocol::reason::Reason;
use crate::protocol::release::About;
use crate::provider::Provider;
use crate::tokens::{self, Terms};
use crate::web::answer::{ApiError, json_body};
use crate::web::headers;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use std::sync::Arc;

/// UserInfo, by GET and by POST.
///
/// # Errors
/// `insufficient_scope`, [RFC 6750 section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1).
pub async fn answer(State(provider): State<Arc<Provider>>, request: TokenRequest) -> Result<Response, ApiError> {
    let TokenRequest { grant, parties } = request;
    if !grant.authorization.scope.has("openid") {
        return Err(bearer(
            Refusal::new(Reason::AccessTokenWithoutOpenid)
                .expecting(&grant.authorization.scope.to_string(), ["openid"]),
        ));
    }
    let Some(user) = &parties.user else {
        return Err(bearer(Refusal::new(Reason::AccessTokenOfNoUser)));
    };
    let about = About { client: &parties.client, user, facts: &parties.facts, now: provider.now() };
    let claims = tokens::userinfo(Terms::of(&provider), &about, &grant);
    let mut response = json_body(StatusCode::OK, &Value::Object(claims));
    headers::no_store(response.headers_mut());
    Ok(response)
}
