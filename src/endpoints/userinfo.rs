//! `/userinfo`: who the token's owner is. OIDC Core 5.3, RFC 6750.

use crate::caller;
use crate::protocol::error::{ErrorCode, Refusal};
use crate::protocol::params::Params;
use crate::provider::Provider;
use crate::tokens::{self, Terms};
use crate::web::answer::{ApiError, Challenge, json_body};
use crate::web::{headers, request};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use std::sync::Arc;

/// UserInfo by GET.
///
/// # Errors
/// `invalid_token`, `insufficient_scope`, `invalid_request`, as RFC 6750 section 3.1.
pub async fn get(State(provider): State<Arc<Provider>>, request: Request) -> Result<Response, ApiError> {
    let query = request::query(&request).map_err(bearer)?;
    answer(&provider, request.headers(), None, &query).await
}

/// UserInfo by POST, the token in the header or in the form.
///
/// # Errors
/// As `get`.
pub async fn post(State(provider): State<Arc<Provider>>, request: Request) -> Result<Response, ApiError> {
    let query = request::query(&request).map_err(bearer)?;
    let headers = request.headers().clone();
    // A POST without a body has no content type either.
    let form = if headers.contains_key(header::CONTENT_TYPE) {
        Some(request::form(request).await.map_err(bearer)?)
    } else {
        None
    };
    if let Some(form) = &form {
        form.refuse_duplicates().map_err(bearer)?;
    }
    answer(&provider, &headers, form.as_ref(), &query).await
}

fn bearer(refusal: Refusal) -> ApiError {
    ApiError::Refusal(refusal, Challenge::Bearer)
}

async fn answer(
    provider: &Provider,
    headers: &HeaderMap,
    form: Option<&Params>,
    query: &Params,
) -> Result<Response, ApiError> {
    let now = provider.now();
    let token = request::bearer_token(headers, form, query).map_err(bearer)?.ok_or(ApiError::NoToken)?;
    let unknown = const { Refusal::new(ErrorCode::InvalidToken, "the access token is unknown, expired or revoked") };
    let (grant, parties) = caller::access_grant(provider, &token, now).await?.ok_or(unknown).map_err(bearer)?;
    if !grant.authorization.scope.has("openid") {
        return Err(bearer(Refusal::new(
            ErrorCode::InsufficientScope,
            "the access token does not have the scope openid",
        )));
    }
    let Some(user) = &parties.user else {
        return Err(bearer(Refusal::new(ErrorCode::InsufficientScope, "the access token is not about a person")));
    };
    let claims = tokens::userinfo(Terms::of(provider), &parties.client, user, &grant);
    let mut response = json_body(StatusCode::OK, &Value::Object(claims));
    headers::no_store(response.headers_mut());
    Ok(response)
}
