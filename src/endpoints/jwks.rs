//! `/jwks`: the public keys. RFC 7517.

use crate::keys::{JWKS_MAX_AGE, LONGEST_TOKEN};
use crate::provider::Provider;
use crate::web::answer::json_body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use std::sync::Arc;

/// Every key that will sign, signs, or signed what may still be good. It may be kept for less time than a new
/// key is published before it signs.
pub async fn get(State(provider): State<Arc<Provider>>) -> Response {
    let jwks = provider.keys.current().jwks(provider.now(), LONGEST_TOKEN);
    let mut response = json_body(StatusCode::OK, &jwks);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    if let Ok(value) = HeaderValue::try_from(format!("public, max-age={JWKS_MAX_AGE}")) {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}
