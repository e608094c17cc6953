//! The endpoints: one file each, and the table of their paths, which the router and discovery both read.

pub mod account;
pub mod assets;
pub mod authorize;
pub mod consent;
pub mod discovery;
pub mod edge;
pub mod email_link;
pub mod enrollment;
pub mod flow;
pub mod health;
pub mod home;
pub mod intake;
pub mod introspect;
pub mod invitation;
pub mod jwks;
pub mod link_request;
pub mod login;
pub mod logout;
pub mod nearly;
pub mod new_password;
pub mod one_time_link;
pub mod own_password;
pub mod passkey;
pub mod reset;
pub mod revoke;
pub mod second_factor;
pub mod sign_up;
pub mod token;
pub mod userinfo;

use crate::protocol::error::Refusal;
use crate::protocol::reason::Reason;
use crate::protocol::remedy::Remedy;
use crate::provider::{Outdated, Provider};
use crate::web::answer::{ApiError, Note, PageError};
use crate::web::fault::Fault;
use crate::web::headers;
use crate::web::problems::Problem;
use crate::web::request;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

/// The paths under the issuer's own, as they are served and published, each with the file that serves it and its specification.
pub mod path {
    /// [`super::home`], GET and POST: our own.
    pub const HOME: &str = "/";
    /// [`super::authorize`], GET and POST: RFC 6749 section 4.1.1-2; OIDC Core 3.1.2; RFC 9207.
    pub const AUTHORIZE: &str = "/authorize";
    /// [`super::token`], POST: RFC 6749 section 4.1.3, 4.4, 5, 6; RFC 7636 section 4.5-6; RFC 8707; OIDC Core 3.1.3, 12.
    pub const TOKEN: &str = "/token";
    /// [`super::userinfo`], GET and POST: OIDC Core 5.3; RFC 6750.
    pub const USERINFO: &str = crate::tokens::USERINFO_PATH;
    /// [`super::logout`], GET and POST: RP-Initiated, Back-Channel and Front-Channel Logout 1.0.
    pub const LOGOUT: &str = "/logout";
    /// [`super::introspect`], POST: RFC 7662.
    pub const INTROSPECT: &str = "/introspect";
    /// [`super::revoke`], POST: RFC 7009.
    pub const REVOKE: &str = "/revoke";
    /// [`super::jwks`], GET: RFC 7517.
    pub const JWKS: &str = "/jwks";
    /// [`super::login`], GET and POST: OIDC Core 3.1.2.3.
    pub const LOGIN: &str = "/login";
    /// [`super::second_factor`], GET and POST: OIDC Core 3.1.2.3; RFC 9470.
    pub const SECOND_FACTOR: &str = "/second-factor";
    /// [`super::passkey`], GET and POST: Web Authentication Level 3, section 7.1.
    pub const PASSKEY: &str = "/passkey";
    /// [`super::consent`], GET and POST: OIDC Core 3.1.2.4.
    pub const CONSENT: &str = "/consent";
    /// [`super::account::overview`], GET: our own.
    pub const ACCOUNT: &str = "/account";
    /// [`super::account::password`], GET and POST: our own.
    pub const ACCOUNT_PASSWORD: &str = "/account/password";
    /// [`super::account::sessions`], GET and POST: our own.
    pub const ACCOUNT_SESSIONS: &str = "/account/sessions";
    /// [`super::account::email`], GET and POST: our own.
    pub const ACCOUNT_EMAIL: &str = "/account/email";
    /// [`super::account::factors`], GET and POST: our own.
    pub const ACCOUNT_SECOND_FACTOR: &str = "/account/second-factor";
    /// [`super::account::passkeys`], GET and POST: Web Authentication Level 3, section 7.1.
    pub const ACCOUNT_PASSKEYS: &str = crate::mailing::letters::PASSKEYS_PAGE;
    /// [`super::account::services`], GET and POST: our own.
    pub const ACCOUNT_SERVICES: &str = "/account/services";
    /// [`super::account::events`], GET: our own.
    pub const ACCOUNT_EVENTS: &str = "/account/events";
    /// [`super::account::data`], GET and POST: our own.
    pub const ACCOUNT_DATA: &str = "/account/data";
    /// [`super::account::data`], POST: our own.
    pub const ACCOUNT_FILE: &str = "/account/data/file";
    /// [`super::account::change_password`], GET: at the root of the host, whatever the issuer's path
    /// ([Well-Known URL for Changing Passwords](https://www.w3.org/TR/change-password-url/)).
    pub const CHANGE_PASSWORD: &str = "/.well-known/change-password";
    /// [`super::account::passkeys`], GET: at the root of the host, whatever the issuer's path
    /// ([Passkey Endpoints Well-Known URL](https://w3c.github.io/webappsec-passkey-endpoints/passkey-endpoints.html)).
    pub const PASSKEY_ENDPOINTS: &str = "/.well-known/passkey-endpoints";
    /// [`super::enrollment`], GET and POST: our own.
    pub const ENROLLMENT: &str = crate::mailing::letters::ENROLLMENT_PAGE;
    /// [`super::email_link`], GET and POST: our own.
    pub const EMAIL_LINK: &str = crate::mailing::letters::EMAIL_LINK_PAGE;
    /// [`super::reset`], GET and POST: our own.
    pub const RESET: &str = crate::mailing::letters::RESET_PAGE;
    /// [`super::sign_up`], GET and POST: Initiating User Registration 1.0.
    pub const SIGN_UP: &str = crate::mailing::letters::SIGN_UP_PAGE;
    /// [`super::invitation`], GET and POST: our own.
    pub const INVITATION: &str = "/invitation";
    /// [`super::discovery`], GET: OIDC Discovery 3-4.
    pub const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";
    /// [`super::discovery`], GET: RFC 8414 section 3, inserted before the issuer's path.
    pub const OAUTH_AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
}

/// The public router: every endpoint under the issuer's path.
pub fn public(provider: Arc<Provider>) -> Router {
    let metadata = headers::cors(&[Method::GET]);
    let start_page = get(home::get).post(home::post);
    let flows = Router::new()
        .route(path::HOME, start_page.clone())
        .route(path::AUTHORIZE, get(authorize::get).post(authorize::post))
        .route(path::LOGIN, get(login::get).post(login::post))
        .route(path::SECOND_FACTOR, get(second_factor::get).post(second_factor::post))
        .route(path::PASSKEY, get(passkey::get).post(passkey::post))
        .route(path::CONSENT, get(consent::get).post(consent::post))
        .route(path::TOKEN, post(token::post).layer(headers::cors(&[Method::POST])))
        .route(
            path::USERINFO,
            get(userinfo::answer).post(userinfo::answer).layer(headers::cors(&[Method::GET, Method::POST])),
        )
        .route(path::INTROSPECT, post(introspect::post))
        .route(path::REVOKE, post(revoke::post).layer(headers::cors(&[Method::POST])))
        .merge(account_pages())
        .merge(link_pages())
        .route_layer(axum::middleware::from_fn_with_state(provider.clone(), up_to_date));
    let inside = Router::new()
        .merge(flows)
        .route(path::LOGOUT, get(logout::get).post(logout::post))
        .route(path::JWKS, get(jwks::get).layer(metadata.clone()))
        .route(path::OPENID_CONFIGURATION, get(discovery::get).layer(metadata.clone()))
        // Some clients strip no slash from the issuer, some add one to what they derive from it.
        .route(&format!("{}/", path::OPENID_CONFIGURATION), get(discovery::get).layer(metadata.clone()))
        .merge(assets::routes(&provider.config));

    let base = provider.config.base_path().to_owned();
    let authorization_server = format!("{}{base}", path::OAUTH_AUTHORIZATION_SERVER);
    let mut outside = Router::new()
        .route(&authorization_server, get(discovery::get).layer(metadata))
        .route(path::CHANGE_PASSWORD, get(account::change_password))
        .route(path::PASSKEY_ENDPOINTS, get(account::passkeys::endpoints))
        // Browsers ask for it where a page is left before its own link to the icon was read.
        .route("/favicon.ico", get(async || assets::icon()));
    if !base.is_empty() {
        // `/auth` is in the nest, and `/auth/` is not.
        let start_page = start_page.route_layer(axum::middleware::from_fn_with_state(provider.clone(), up_to_date));
        outside = outside.route(&format!("{base}{}", path::HOME), start_page);
    }
    let routes = if base.is_empty() { outside.merge(inside) } else { outside.nest(&base, inside) };
    routes
        .fallback(not_found)
        .layer(CatchPanicLayer::custom(|panic: Box<dyn std::any::Any + Send>| {
            let cause = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            PageError::Fault(Fault::panic(cause.unwrap_or_default())).into_response()
        }))
        .layer(axum::middleware::from_fn_with_state(provider.clone(), edge::edge))
        .with_state(provider)
}

/// What users look after themselves.
fn account_pages() -> Router<Arc<Provider>> {
    Router::new()
        .route(path::ACCOUNT, get(account::overview::get))
        .route(path::ACCOUNT_PASSWORD, get(account::password::get).post(account::password::post))
        .route(path::ACCOUNT_EMAIL, get(account::email::get).post(account::email::post))
        .route(path::ACCOUNT_SECOND_FACTOR, get(account::factors::get).post(account::factors::post))
        .route(path::ACCOUNT_PASSKEYS, get(account::passkeys::get).post(account::passkeys::post))
        .route(path::ACCOUNT_SESSIONS, get(account::sessions::get).post(account::sessions::post))
        .route(path::ACCOUNT_SERVICES, get(account::services::get).post(account::services::post))
        .route(path::ACCOUNT_EVENTS, get(account::events::get))
        .route(path::ACCOUNT_DATA, get(account::data::get).post(account::data::post))
        .route(path::ACCOUNT_FILE, post(account::data::file))
}

/// What one-time links open, which are in their queries.
fn link_pages() -> Router<Arc<Provider>> {
    let hide_query = async |mut response: Response| {
        headers::hide_query(response.headers_mut());
        response
    };
    Router::new()
        .route(path::ENROLLMENT, get(enrollment::get).post(enrollment::post))
        .route(path::EMAIL_LINK, get(email_link::get).post(email_link::post))
        .route(path::RESET, get(reset::get).post(reset::post))
        .route(path::SIGN_UP, get(sign_up::get).post(sign_up::post))
        .route(path::INVITATION, get(invitation::get).post(invitation::post))
        .route_layer(axum::middleware::map_response(hide_query))
}

/// Lets a request pass unless the database has rows that only a newer version understands.
async fn up_to_date(State(provider): State<Arc<Provider>>, request: Request, next: Next) -> Response {
    if !provider.outdated.is_so() {
        return next.run(request).await;
    }
    if request::wants_a_page(&request) {
        return PageError::from(Problem::NodeOutdated).into_response();
    }
    let refusal = Refusal::new(Reason::NodeOutdated).with_detail(Outdated::WHY);
    let mut response = ApiError::from(refusal).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// The router of the management listener.
pub fn management(provider: Arc<Provider>) -> Router {
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        // Few connections are kept back for it; none is to be held between two questions.
        .layer(axum::middleware::map_response(async |mut response: Response| {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }))
        .with_state(provider)
}

/// An unknown path: a page for people, JSON for machines. Where it is nearly one of ours, the operator is told which.
async fn not_found(State(provider): State<Arc<Provider>>, request: Request) -> Response {
    let requested = request.uri().path();
    let note = match nearly::meant(requested, provider.config.base_path()) {
        Some(endpoint @ path::OAUTH_AUTHORIZATION_SERVER) => {
            Some(format!("{}{endpoint}{}", provider.config.origin(), provider.config.base_path()))
        }
        Some(endpoint) => Some(provider.url(endpoint)),
        None => None,
    }
    .map(|meant| {
        let note = Note::from(Problem::NothingHere).because("nearly_ours", format!("{meant} is probably meant"));
        let discovery = provider.url(path::OPENID_CONFIGURATION);
        note.expecting(requested, &meant).with_remedy(&Remedy::UseAddress { meant, discovery })
    });
    let mut response = if request::wants_a_page(&request) {
        PageError::from(Problem::NothingHere).into_response()
    } else {
        let body = serde_json::json!({"error": "not_found", "error_description": "there is nothing at this path"});
        let mut response = crate::web::answer::json_body(StatusCode::NOT_FOUND, &body);
        response.extensions_mut().insert(Note::from(Problem::NothingHere));
        response
    };
    if let Some(note) = note {
        response.extensions_mut().insert(note);
    }
    response
}
