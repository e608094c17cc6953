//! The headers that every answer, every page and every cross-origin answer carries.

use crate::config::Config;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use std::time::Duration;
use tower_http::cors::{Any, CorsLayer};

const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Marks an answer as not to be kept: pages, codes, tokens.
pub fn no_store(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
}

/// The headers of a page. There is no `form-action`: browsers apply it to every hop of the redirects that
/// follow a form, and those lead to clients. There is no `Cross-Origin-Opener-Policy` either: it would cut a
/// window that a client opened for the sign-in off from the page that waits for it.
///
/// `scripts` is where the page's own are: below it alone, as what else the host serves is not ours.
pub fn page(headers: &mut HeaderMap, scripts: Option<&str>) {
    no_store(headers);
    let policy = scripts.and_then(|scripts| {
        // A policy can name no IPv6 address (CSP 3, 2.3.1); only loopback issuers are one.
        let source = if scripts.contains('[') { "'self'" } else { scripts };
        HeaderValue::try_from(format!("{CONTENT_SECURITY_POLICY}; script-src {source}")).ok()
    });
    let policy = policy.unwrap_or(HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
}

/// Lets a page show frames of these origins, which services registered for Front-Channel Logout.
pub fn allow_frames(headers: &mut HeaderMap, origins: &[String]) {
    if origins.is_empty() {
        return;
    }
    let policy = headers.get(header::CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok());
    let policy = format!("{}; frame-src {}", policy.unwrap_or(CONTENT_SECURITY_POLICY), origins.join(" "));
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// Keeps the query of a page, which opens something, out of what the page itself fetches, and so out of the logs of proxies. The
/// origin stays, by which our own forms are known.
pub fn hide_query(headers: &mut HeaderMap) {
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
}

/// The headers of every answer. `same-origin` instead of `no-referrer`, which would make browsers send
/// `Origin: null` with our own forms.
pub fn every(headers: &mut HeaderMap, config: &Config) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    if config.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

/// What a client in a browser needs of the API endpoints: any origin, never credentials.
pub fn cors(methods: &[Method]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(methods.to_vec())
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT])
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER])
        .max_age(Duration::from_hours(1))
}
