//! A sample service: an independent relying party on the openidconnect crate, configured by the issuer alone.
//!
//! It keeps what it learned in memory, checks everything a relying party must, and shows how.

mod logout_token;

use crate::ambient::{Clock, random};
use crate::failure::Failure;
use crate::protocol::secret::{ClientSecret, SessionId, same_text};
use crate::web::pages;
use askama::Template;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use cookie::{Cookie, SameSite};
use openidconnect::core::{CoreAuthPrompt, CoreAuthenticationFlow, CoreClient, CoreUserInfoClaims};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, CsrfToken, IssuerUrl, LogoutRequest, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl, ProviderMetadataWithLogout, RedirectUrl, Scope,
    TokenResponse as _, reqwest,
};
use std::collections::{HashMap, HashSet};
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
    pub other: OtherService,
}

struct Pending {
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    /// The user did not ask for it: one who is not signed in at the provider sees no page of it.
    is_silent: bool,
}

/// What became of a sign-in.
enum Finished {
    /// The user is in.
    SignedIn(Box<SignedIn>),
    /// A silent one found no user who is signed in.
    NotSignedIn,
}

/// The service beside this one.
#[derive(Clone)]
pub struct OtherService {
    /// Where it is.
    pub url: String,
    /// What it is called.
    pub name: &'static str,
}

#[derive(Clone)]
struct SignedIn {
    /// The session at the provider, by which it tells of its end.
    sid: Option<String>,
    /// The token as it came, which a sign-out shows the provider.
    id_token: String,
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
    other: Option<OtherService>,
    signed_in: Option<SignedIn>,
    error: Option<String>,
    /// How the sign-in here ended.
    ended: Option<&'static str>,
}

/// A user who opens the service while the provider has ended the sign-in.
const ENDED_BY_THE_PROVIDER: &str = "You were signed out at the other service, or at the provider, which told this service so \
    behind the scenes (back-channel logout).";
/// A user who signed out here and was sent back.
const ENDED_HERE: &str = "You are signed out, here and at the provider, which tells every other service.";

pub(super) struct Service {
    registration: Registration,
    http: reqwest::Client,
    pending: Mutex<HashMap<String, Pending>>,
    signed_in: Mutex<HashMap<String, SignedIn>>,
    /// The sign-ins that the provider ended, by the session's name here, until their user has been told.
    ended: Mutex<HashSet<String>>,
    /// The logout tokens that came, each of which counts once.
    seen: Mutex<HashSet<String>>,
}

impl Service {
    pub(super) fn new(registration: Registration) -> Result<Self, Failure> {
        let http = reqwest::ClientBuilder::new()
            // A relying party that follows redirects can be sent anywhere.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()
            .map_err(|error| Failure::new("requests cannot be sent from this machine").with_source(error))?;
        Ok(Self {
            registration,
            http,
            pending: Mutex::default(),
            signed_in: Mutex::default(),
            ended: Mutex::default(),
            seen: Mutex::default(),
        })
    }

    pub(super) async fn discover(&self) -> Result<ProviderMetadataWithLogout, Failure> {
        let issuer = IssuerUrl::new(self.registration.issuer.clone())
            .map_err(|error| Failure::at(&self.registration.issuer, error))?;
        ProviderMetadataWithLogout::discover_async(issuer, &self.http)
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
        self.set_cookie_for(response, what, value, None);
    }

    fn set_cookie_for(&self, response: &mut Response, what: &str, value: &str, seconds: Option<i64>) {
        let mut cookie = Cookie::build((self.cookie_name(what), value.to_owned()))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .build();
        cookie.set_max_age(seconds.map(cookie::time::Duration::seconds));
        if let Ok(value) = HeaderValue::try_from(cookie.to_string()) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }

    fn page(&self, status: StatusCode, signed_in: Option<SignedIn>, error: Option<String>) -> Response {
        pages::render(status, &DemoPage { signed_in, error, ..self.blank() }, None)
    }

    fn page_of_an_end(&self, ended: &'static str) -> Response {
        pages::render(StatusCode::OK, &DemoPage { ended: Some(ended), ..self.blank() }, None)
    }

    fn blank(&self) -> DemoPage {
        DemoPage {
            service: self.registration.name.to_owned(),
            other: Some(self.registration.other.clone()),
            signed_in: None,
            error: None,
            ended: None,
        }
    }

    fn session(&self, headers: &HeaderMap) -> Option<SignedIn> {
        let id = self.cookie(headers, "session")?;
        self.signed_in.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Everything between the button and the redirect.
    async fn start(&self, is_silent: bool) -> Result<(String, String), Failure> {
        let client = CoreClient::from_provider_metadata(
            self.discover().await?,
            ClientId::new(self.registration.client_id.clone()),
            Some(openidconnect::ClientSecret::new(self.registration.client_secret.expose().to_owned())),
        )
        .set_redirect_uri(self.redirect_url()?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
            .add_scope(Scope::new("profile".into()))
            .add_scope(Scope::new("email".into()))
            .set_pkce_challenge(challenge);
        if is_silent {
            request = request.add_prompt(CoreAuthPrompt::None);
        }
        let (url, state, nonce) = request.url();
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.len() >= MOST {
            pending.clear();
        }
        pending.insert(state.secret().clone(), Pending { nonce, verifier, is_silent });
        Ok((url.to_string(), state.secret().clone()))
    }

    fn redirect_url(&self) -> Result<RedirectUrl, Failure> {
        RedirectUrl::new(format!("{}/callback", self.registration.address))
            .map_err(|error| Failure::at(&self.registration.address, error))
    }

    /// Everything between the answer and the greeting.
    async fn finish(&self, headers: &HeaderMap, query: &str) -> Result<Finished, Failure> {
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
        if pending.is_silent && answer.contains_key("error") {
            return Ok(Finished::NotSignedIn);
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
        Ok(Finished::SignedIn(Box::new(SignedIn {
            sid: token_payload["sid"].as_str().map(str::to_owned),
            id_token: encoded,
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
        })))
    }

    /// Where a sign-out continues: at the provider, which ends the session there and tells every service
    /// ([RP-Initiated Logout 1.0 section 2](https://openid.net/specs/openid-connect-rpinitiated-1_0.html#RPLogout)).
    async fn end_session_url(&self, id_token: &str) -> Result<String, Failure> {
        let metadata = self.discover().await?;
        let endpoint = metadata.additional_metadata().end_session_endpoint.clone();
        let endpoint = endpoint.ok_or_else(|| Failure::new("Discovery names no end_session_endpoint"))?;
        let back = PostLogoutRedirectUrl::new(format!("{}/signed-out", self.registration.address))
            .map_err(|error| Failure::at(&self.registration.address, error))?;
        let mut url = LogoutRequest::from(endpoint)
            .set_client_id(ClientId::new(self.registration.client_id.clone()))
            .set_post_logout_redirect_uri(back)
            .http_get_url();
        url.query_pairs_mut().append_pair("id_token_hint", id_token);
        Ok(url.to_string())
    }

    /// Ends the sign-ins that a logout token names.
    async fn told_of_an_end(&self, token: &str) -> Result<(), Failure> {
        let told =
            logout_token::read(&self.discover().await?, &self.registration.client_id, token, Clock::System.now())?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST {
            seen.clear();
        }
        if !seen.insert(told.jti) {
            return Err(Failure::new("this logout token came before"));
        }
        let mut sessions = self.signed_in.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|id, session| {
            let stays = session.sid.as_ref() != Some(&told.sid);
            if !stays && ended.len() < MOST {
                ended.insert(id.clone());
            }
            stays
        });
        Ok(())
    }

    /// Whether the provider ended the sign-in of this browser since it was here last.
    fn was_ended(&self, headers: &HeaderMap) -> bool {
        let id = self.cookie(headers, "session");
        id.is_some_and(|id| self.ended.lock().unwrap_or_else(PoisonError::into_inner).remove(&id))
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
        .route("/signed-out", get(signed_out))
        .route("/backchannel-logout", post(backchannel_logout))
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

/// For how many seconds a silent sign-in is not tried again in a browser where it came to nothing, so that it does not go round
/// in circles.
const PAUSE: i64 = 5;

/// Greets a signed-in user. One who is not is asked for at the provider without a page: who signed in at another service is in
/// without a click, which is the point of the whole thing.
async fn home(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    match service.session(&headers) {
        Some(signed_in) => service.page(StatusCode::OK, Some(signed_in), None),
        None if service.was_ended(&headers) => service.page_of_an_end(ENDED_BY_THE_PROVIDER),
        None if service.cookie(&headers, "tried").is_none() => go_to_the_provider(&service, true).await,
        None => service.page(StatusCode::OK, None, None),
    }
}

async fn login(State(service): State<Arc<Service>>) -> Response {
    go_to_the_provider(&service, false).await
}

async fn go_to_the_provider(service: &Service, is_silent: bool) -> Response {
    match service.start(is_silent).await {
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
        Ok(Finished::SignedIn(signed_in)) => {
            let id = SessionId::from_random(&random::<32>()).expose().to_owned();
            {
                let mut sessions = service.signed_in.lock().unwrap_or_else(PoisonError::into_inner);
                if sessions.len() >= MOST {
                    sessions.clear();
                }
                sessions.insert(id.clone(), *signed_in);
            }
            let mut response = to("/");
            service.set_cookie(&mut response, "session", &id);
            response
        }
        Ok(Finished::NotSignedIn) => {
            let mut response = to("/");
            service.set_cookie_for(&mut response, "tried", "yes", Some(PAUSE));
            response
        }
        Err(error) => service.page(StatusCode::BAD_REQUEST, None, Some(error.to_string())),
    }
}

/// Signs out here, and continues at the provider.
async fn logout(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    let id = service.cookie(&headers, "session");
    let session = id.and_then(|id| service.signed_in.lock().unwrap_or_else(PoisonError::into_inner).remove(&id));
    let Some(session) = session else { return to("/signed-out") };
    match service.end_session_url(&session.id_token).await {
        Ok(url) => to(&url),
        Err(error) => service.page(StatusCode::BAD_GATEWAY, None, Some(error.to_string())),
    }
}

async fn signed_out(State(service): State<Arc<Service>>) -> Response {
    service.page_of_an_end(ENDED_HERE)
}

/// [Back-Channel Logout 1.0 section 2.5](https://openid.net/specs/openid-connect-backchannel-1_0.html#BCRequest): the provider
/// posts a logout token.
async fn backchannel_logout(State(service): State<Arc<Service>>, body: String) -> Response {
    let token = form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "logout_token");
    let status = match token {
        Some((_, token)) => match service.told_of_an_end(&token).await {
            Ok(()) => StatusCode::OK,
            Err(error) => {
                tracing::warn!(%error, "a logout token was not accepted");
                StatusCode::BAD_REQUEST
            }
        },
        None => StatusCode::BAD_REQUEST,
    };
    (status, [(header::CACHE_CONTROL, "no-store")]).into_response()
}
