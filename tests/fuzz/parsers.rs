//! Every parser that reads what strangers send, fed with the same bytes; what must hold for any input is asserted.
//!
//! `tests/spec/properties.rs` runs it with bytes that resemble the real thing, `tests/fuzz` with a fuzzer's.

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hallpass::config::{Config, RawConfig};
use hallpass::keys::KeySet;
use hallpass::protocol::authorization::{AuthorizationRequest, ReturnAddress};
use hallpass::protocol::client::{Client, redirect_uri_fault};
use hallpass::protocol::params::Params;
use hallpass::protocol::pkce::{self, CodeChallenge};
use hallpass::protocol::response::{ApplicationType, PromptSet};
use hallpass::protocol::scope::Scope;
use hallpass::protocol::secret::{AccessToken, AccessTokenParts, RefreshToken, RefreshTokenParts};
use hallpass::web::cookies::Browser;
use hallpass::web::network::Network;
use hallpass::web::request::{bearer_token, credentials};
use std::net::SocketAddr;

/// The registered addresses of the client that all of it is tried against.
const REGISTERED: [&str; 3] = ["https://a.example/cb", "http://127.0.0.1/cb", "com.example.app:/cb"];

fn settings() -> Config {
    RawConfig::gather(|_| None, std::iter::empty(), None).and_then(|raw| raw.check()).expect("the defaults are sound")
}

fn native() -> Client {
    Client {
        redirect_uris: REGISTERED.iter().map(|&uri| uri.to_owned()).collect(),
        application_type: ApplicationType::Native,
        ..Client::new("fuzz")
    }
}

/// Feeds one input to all of them.
pub fn all(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    parameters(&text);
    words(&text);
    tokens(&text);
    headers(data, &text);
    setting(&text);
}

fn parameters(text: &str) {
    let Ok(params) = Params::parse(text) else { return };
    let mut encoded = url::form_urlencoded::Serializer::new(String::new());
    encoded.extend_pairs(params.pairs());
    assert_eq!(
        Params::parse(&encoded.finish()).ok().as_ref(),
        Some(&params),
        "what was read is read again as the same"
    );
    let client = native();
    if let Ok(address) = ReturnAddress::of(&client, &params) {
        let sent = address.sent_redirect_uri();
        let is_own = sent.is_none_or(|uri| {
            REGISTERED.contains(&uri.as_str())
                || uri.strip_prefix("http://127.0.0.1:").is_some_and(|rest| rest.ends_with("/cb"))
        });
        assert!(is_own, "an address that is not registered was proven");
    }
    if let Ok(request) = AuthorizationRequest::parse(&client, &params) {
        assert!(request.scope.is_within(&client.scope) && !request.scope.is_empty());
        assert!(request.code_challenge.is_some(), "this client must use PKCE");
    }
    if let Ok(challenge) = CodeChallenge::of(&params) {
        let _ = pkce::check_verifier(challenge.as_ref(), params.get("code_verifier"));
    }
    let _ = credentials(&HeaderMap::new(), &params);
    let _ = bearer_token(&HeaderMap::new(), Some(&params), &params);
}

fn words(text: &str) {
    if let Ok(scope) = Scope::parse(text) {
        assert_eq!(Scope::parse(&scope.to_string()).as_ref(), Ok(&scope));
    }
    if let Ok(prompts) = PromptSet::parse(text) {
        assert_eq!(PromptSet::parse(&prompts.to_string()).as_ref(), Ok(&prompts));
    }
    let _ = redirect_uri_fault(text, ApplicationType::Web);
    let owned = native().owns_redirect_uri(text);
    assert!(!owned || text.ends_with("/cb"), "{text:?}");
}

fn tokens(text: &str) {
    let token = AccessToken::received(text);
    if let Some(parts) = AccessTokenParts::open(&token, &[7; 32]) {
        // Only one text opens to these parts with that secret, so a truncated or altered one cannot.
        assert_eq!(text.len(), AccessToken::PREFIX.len() + 86);
        let _ = parts.grant;
    }
    if let Some(parts) = RefreshTokenParts::open(&RefreshToken::received(text)) {
        assert_eq!(parts.seal().expose(), text, "the encoding is canonical");
    }
    assert!(KeySet::default().verify(text, "JWT").is_none(), "no key, no token");
}

fn headers(data: &[u8], text: &str) {
    let config = settings();
    let none = Params::default();
    for value in [HeaderValue::from_bytes(data), HeaderValue::try_from(format!("Basic {}", STANDARD.encode(data)))] {
        let Ok(value) = value else { continue };
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.clone());
        let _ = credentials(&headers, &none);
        let _ = bearer_token(&headers, None, &none);
        headers.insert(header::COOKIE, value.clone());
        let browser = Browser::of(&headers, &config);
        assert!(browser.session.is_none_or(|session| text.contains(session.expose())));
        let mut request = Request::new(axum::body::Body::empty());
        request.headers_mut().insert("x-forwarded-for", value);
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([203, 0, 113, 9], 1))));
        assert_eq!(Network::of(&request, &config).to_string(), "203.0.113.9", "nobody is a trusted proxy here");
    }
}

fn setting(text: &str) {
    let toml = std::path::Path::new("hallpass.toml");
    if let Ok(raw) = RawConfig::gather(|_| None, std::iter::empty(), Some((toml, text))) {
        let _ = raw.check();
    }
    let issuer = |name: &str| (name == "issuer").then(|| text.to_owned());
    if let Ok(config) =
        RawConfig::gather(|setting| issuer(setting.name), std::iter::empty(), None).and_then(|raw| raw.check())
    {
        assert_eq!(config.issuer, text, "an issuer is kept to the letter");
        assert_eq!(format!("{}{}", config.origin(), config.base_path()), text);
        assert!(config.is_https() || text.starts_with("http://"));
    }
}
