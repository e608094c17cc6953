//! `/jwks`: the public keys. RFC 7517.

use crate::keys::{JWKS_MAX_AGE, LONGEST_TOKEN};
use crate::provider::Provider;
use crate::web::accept::asks_for;
use crate::web::answer::json_body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use std::sync::Arc;

/// What [RFC 7517 section 8.5.1](https://www.rfc-editor.org/rfc/rfc7517#section-8.5.1) calls a set of keys.
const JWK_SET: &str = "application/jwk-set+json";

/// Every key that will sign, signs, or signed what may still be good. It may be kept for less time than a new
/// key is published before it signs.
///
/// It is `application/json`, which every library reads, unless the request asks for `application/jwk-set+json` by name.
pub async fn get(State(provider): State<Arc<Provider>>, headers: HeaderMap) -> Response {
    let jwks = provider.keys.current().jwks(provider.now(), LONGEST_TOKEN);
    let mut response = json_body(StatusCode::OK, &jwks);
    if asks_for(&headers, JWK_SET, "application/json") {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JWK_SET));
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    if let Ok(value) = HeaderValue::try_from(format!("public, max-age={JWKS_MAX_AGE}")) {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}
