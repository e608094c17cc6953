//! A sample service: an independent relying party on the openidconnect crate, configured by the issuer alone.
//!
//! It keeps what it learned in memory, checks everything a relying party must, and shows how.

use crate::ambient::random;
use crate::failure::Failure;
use crate::protocol::secret::{ClientSecret, SessionId, same_text};
use crate::web::pages::{self, Link};
use askama::Template;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use cookie::{Cookie, SameSite};
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, CsrfToken, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse as _, reqwest,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The most sign-ins that are remembered, finished or in progress.
const MOST: usize = 1000;

/// How the service is registered.
pub(super) struct Registration {
    pub name: &'static str,
    pub client_id: String,
    pub client_secret: ClientSecret,
    pub issuer: String,
    pub address: String,
    pub other: Link,
}

struct Pending {
    nonce: Nonce,
    verifier: PkceCodeVerifier,
}

#[derive(Clone)]
struct SignedIn {
    name: String,
    claims: Vec<(String, String)>,
    checks: Vec<(String, String)>,
    token_header: String,
    token_payload: String,
}

#[derive(Template)]
#[template(path = "demo.html")]
struct DemoPage {
    service: String,
    other: Option<Link>,
    signed_in: Option<SignedIn>,
    error: Option<String>,
}

pub(super) struct Service {
    registration: Registration,
    http: reqwest::Client,
    pending: Mutex<HashMap<String, Pending>>,
    signed_in: Mutex<HashMap<String, SignedIn>>,
}

impl Service {
    pub(super) fn new(registration: Registration) -> Result<Self, Failure> {
        let http = reqwest::ClientBuilder::new()
            // A relying party that follows redirects can be sent anywhere.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()
            .map_err(|error| Failure::new("requests cannot be sent from this machine").with_source(error))?;
        Ok(Self { registration, http, pending: Mutex::default(), signed_in: Mutex::default() })
    }

    async fn discover(&self) -> Result<CoreProviderMetadata, Failure> {
        let issuer = IssuerUrl::new(self.registration.issuer.clone())
            .map_err(|error| Failure::at(&self.registration.issuer, error))?;
        CoreProviderMetadata::discover_async(issuer, &self.http)
            .await
            .map_err(|error| Failure::new("Discovery failed").with_source(error))
    }

    fn cookie_name(&self, what: &str) -> String {
        // Both services are on 127.0.0.1, and cookies ignore ports.
        format!("demo_{}_{what}", self.registration.client_id)
    }

    fn cookie(&self, headers: &HeaderMap, what: &str) -> Option<String> {
        let wanted = self.cookie_name(what);
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(Cookie::split_parse)
            .filter_map(Result::ok)
            .find(|cookie| cookie.name() == wanted)
            .map(|cookie| cookie.value().to_owned())
    }

    fn set_cookie(&self, response: &mut Response, what: &str, value: &str) {
        let cookie = Cookie::build((self.cookie_name(what), value.to_owned()))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .build();
        if let Ok(value) = HeaderValue::try_from(cookie.to_string()) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }

    fn page(&self, status: StatusCode, signed_in: Option<SignedIn>, error: Option<String>) -> Response {
        let page = DemoPage {
            service: self.registration.name.to_owned(),
            other: Some(self.registration.other.clone()),
            signed_in,
            error,
        };
        pages::render(status, &page, false)
    }

    fn session(&self, headers: &HeaderMap) -> Option<SignedIn> {
        let id = self.cookie(headers, "session")?;
        self.signed_in.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Everything between the button and the redirect.
    async fn start(&self) -> Result<(String, String), Failure> {
        let client = CoreClient::from_provider_metadata(
            self.discover().await?,
            ClientId::new(self.registration.client_id.clone()),
            Some(openidconnect::ClientSecret::new(self.registration.client_secret.expose().to_owned())),
        )
        .set_redirect_uri(self.redirect_url()?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
            .add_scope(Scope::new("profile".into()))
            .add_scope(Scope::new("email".into()))
            .set_pkce_challenge(challenge)
            .url();
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.len() >= MOST {
            pending.clear();
        }
        pending.insert(state.secret().clone(), Pending { nonce, verifier });
        Ok((url.to_string(), state.secret().clone()))
    }

    fn redirect_url(&self) -> Result<RedirectUrl, Failure> {
        RedirectUrl::new(format!("{}/callback", self.registration.address))
            .map_err(|error| Failure::at(&self.registration.address, error))
    }

    /// Everything between the answer and the greeting.
    async fn finish(&self, headers: &HeaderMap, query: &str) -> Result<SignedIn, Failure> {
        let answer: HashMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let state = answer.get("state").ok_or_else(|| Failure::new("The answer has no state."))?;
        let expected =
            self.cookie(headers, "state").ok_or_else(|| Failure::new("This browser did not start a sign-in here."))?;
        if !same_text(state, &expected) {
            return Err(Failure::new("The answer's state is not the one this browser was given."));
        }
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(state);
        let pending =
            pending.ok_or_else(|| Failure::new("This sign-in is not known here any more. Please try again."))?;
        if answer.get("iss") != Some(&self.registration.issuer) {
            return Err(Failure::new("The answer came from another issuer."));
        }
        if let Some(error) = answer.get("error") {
            let description = answer.get("error_description").map_or("", String::as_str);
            return Err(Failure::new(format!("The sign-in was refused: {error}. {description}")));
        }
        let code = answer.get("code").ok_or_else(|| Failure::new("The answer has no code."))?;

        let metadata = self.discover().await?;
        let client = CoreClient::from_provider_metadata(
            metadata,
            ClientId::new(self.registration.client_id.clone()),
            Some(openidconnect::ClientSecret::new(self.registration.client_secret.expose().to_owned())),
        )
        .set_redirect_uri(self.redirect_url()?);
        let tokens = client
            .exchange_code(AuthorizationCode::new(code.clone()))
            .map_err(|error| Failure::new("Discovery names no token endpoint").with_source(error))?
            .set_pkce_verifier(pending.verifier)
            .request_async(&self.http)
            .await
            .map_err(|error| Failure::new("The code was not accepted").with_source(error))?;
        let id_token = tokens.id_token().ok_or_else(|| Failure::new("There is no id_token."))?;
        let verifier = client.id_token_verifier();
        let claims = id_token
            .claims(&verifier, &pending.nonce)
            .map_err(|error| Failure::new("The id_token was not accepted").with_source(error))?;
        let expected_hash = claims.access_token_hash().ok_or_else(|| Failure::new("The id_token has no at_hash."))?;
        let unsigned = |error| Failure::new("The signature of the id_token cannot be checked").with_source(error);
        let algorithm = id_token.signing_alg().map_err(unsigned)?;
        let key = id_token.signing_key(&verifier).map_err(unsigned)?;
        let actual_hash = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)
            .map_err(|error| Failure::new("The at_hash cannot be computed").with_source(error))?;
        if actual_hash != *expected_hash {
            return Err(Failure::new("The access token is not the one the id_token names."));
        }
        let info: CoreUserInfoClaims = client
            .user_info(tokens.access_token().clone(), Some(claims.subject().clone()))
            .map_err(|error| Failure::new("Discovery names no userinfo endpoint").with_source(error))?
            .request_async(&self.http)
            .await
            .map_err(|error| Failure::new("Userinfo was not accepted").with_source(error))?;

        let encoded = id_token.to_string();
        let part = |index: usize| {
            let bytes =
                encoded.split('.').nth(index).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).unwrap_or_default();
            serde_json::from_slice::<serde_json::Value>(&bytes).unwrap_or_default()
        };
        let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap_or_default();
        let (token_header, token_payload) = (part(0), part(1));
        let known = serde_json::to_value(&info).unwrap_or_default();
        let shown = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let name = ["name", "preferred_username", "sub"]
            .iter()
            .find_map(|claim| known.get(*claim))
            .map_or_else(String::new, shown);
        let check = |what: &str, result: String| (what.to_owned(), result);
        Ok(SignedIn {
            name,
            claims: known
                .as_object()
                .map(|known| known.iter().map(|(claim, value)| (claim.clone(), shown(value))).collect())
                .unwrap_or_default(),
            checks: vec![
                check("state", "is the one this browser was given".into()),
                check("iss of the answer", format!("is {}", self.registration.issuer)),
                check("PKCE", "the provider accepted the verifier".into()),
                check(
                    "Signature",
                    format!("{} by the key {} of the JWKS", shown(&token_header["alg"]), shown(&token_header["kid"])),
                ),
                check("iss", "is the issuer that discovery names".into()),
                check("aud", format!("is {}", self.registration.client_id)),
                check("exp", "has not passed".into()),
                check("nonce", "is the one of this sign-in".into()),
                check("at_hash", "fits the access token".into()),
                check("sub of userinfo", "is the one of the id_token".into()),
            ],
            token_header: pretty(&token_header),
            token_payload: pretty(&token_payload),
        })
    }
}

/// The same marks as in the masthead: a standing slab and three bars.
const MONOLITH_ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" fill="#232327"/><path fill="#f4f1e8" d="M12 5h8v22h-8z"/></svg>"##;
const REPORTS_ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1d43b5"/><path fill="#fff" d="M6 17h5v9H6zM13.5 12h5v14h-5zM21 6h5v20h-5z"/></svg>"##;

async fn icon(State(service): State<Arc<Service>>) -> Response {
    let icon = if service.registration.name == "Monolith" { MONOLITH_ICON } else { REPORTS_ICON };
    ([(header::CONTENT_TYPE, "image/svg+xml")], icon).into_response()
}

pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/login", get(login))
        .route("/callback", get(callback))
        .route("/logout", post(logout))
        .route("/icon.svg", get(icon))
        .route("/hallpass.css", get(async || ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], pages::STYLESHEET)))
        .with_state(service)
}

fn to(location: &str) -> Response {
    match HeaderValue::try_from(location) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Greets a signed-in user. One who is not, and comes from the other service, is sent to the provider
/// without a click: that is the point of the whole thing.
async fn home(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    match service.session(&headers) {
        Some(signed_in) => service.page(StatusCode::OK, Some(signed_in), None),
        None if headers
            .get(header::REFERER)
            .is_some_and(|referer| came_from(referer, &service.registration.other.url)) =>
        {
            to("/login")
        }
        None => service.page(StatusCode::OK, None, None),
    }
}

fn came_from(referer: &HeaderValue, address: &str) -> bool {
    referer.to_str().is_ok_and(|referer| referer.trim_end_matches('/') == address)
}

async fn login(State(service): State<Arc<Service>>) -> Response {
    match service.start().await {
        Ok((url, state)) => {
            let mut response = to(&url);
            service.set_cookie(&mut response, "state", &state);
            response
        }
        Err(error) => service.page(StatusCode::BAD_GATEWAY, None, Some(error.to_string())),
    }
}

async fn callback(State(service): State<Arc<Service>>, request: Request) -> Response {
    let headers = request.headers().clone();
    match service.finish(&headers, request.uri().query().unwrap_or_default()).await {
        Ok(signed_in) => {
            let id = SessionId::from_random(&random::<32>()).expose().to_owned();
            {
                let mut sessions = service.signed_in.lock().unwrap_or_else(PoisonError::into_inner);
                if sessions.len() >= MOST {
                    sessions.clear();
                }
                sessions.insert(id.clone(), signed_in);
            }
            let mut response = to("/");
            service.set_cookie(&mut response, "session", &id);
            response
        }
        Err(error) => service.page(StatusCode::BAD_REQUEST, None, Some(error.to_string())),
    }
}

async fn logout(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    if let Some(id) = service.cookie(&headers, "session") {
        service.signed_in.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
    to("/")
}
