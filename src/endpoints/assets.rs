//! `/assets`: what pages link to. All of it may be kept for long: a link changes with what it leads to.

use crate::config::{Config, Organization};
use crate::web::pages;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

/// For who opens the logo alone: nothing in it runs, and nothing is fetched for it.
const POLICY_OF_LOGO: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The routes, for a router with any state.
pub fn routes<S: Clone + Send + Sync + 'static>(config: &Config) -> Router<S> {
    let (of_logo, of_style) = (config.organization.clone(), config.organization.clone());
    Router::new()
        .route("/assets/hallpass.css", get(async || asset(STYLE, pages::STYLESHEET)))
        .route("/assets/icon.svg", get(async || icon()))
        .route("/assets/form_post.js", get(async || asset(SCRIPT, pages::FORM_POST_SCRIPT)))
        .route("/assets/signed_out.js", get(async || asset(SCRIPT, pages::SIGNED_OUT_SCRIPT)))
        .route("/assets/pages.js", get(async || asset(SCRIPT, pages::PAGES_SCRIPT)))
        .route("/assets/passkeys.js", get(async || asset(SCRIPT, pages::PASSKEYS_SCRIPT)))
        .route("/assets/logo", get(async move || logo(&of_logo)))
        .route("/assets/organization.css", get(async move || style(&of_style)))
}

/// Our icon.
#[must_use]
pub fn icon() -> Response {
    asset("image/svg+xml", pages::ICON)
}

fn asset(content_type: &'static str, content: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, content).into_response()
}

fn logo(organization: &Arc<Organization>) -> Response {
    const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    let Some(logo) = &organization.logo else { return StatusCode::NOT_FOUND.into_response() };
    let mut response = asset(logo.content_type, logo.content.clone());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY_OF_LOGO));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    response
}

fn style(organization: &Arc<Organization>) -> Response {
    match organization.accent {
        Some(accent) => asset(STYLE, accent.stylesheet()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
