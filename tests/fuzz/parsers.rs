//! Every parser that reads what strangers send, fed with the same bytes; what must hold for any input is asserted.
//!
//! `tests/spec/properties.rs` runs it with bytes that resemble the real thing, `tests/fuzz` with a fuzzer's.

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hallpass::config::{Config, RawConfig};
use hallpass::keys::{KeySet, instant_text, parse_instant};
use hallpass::passwords::{hash_fault, registered_form, unusable};
use hallpass::protocol::authorization::{self, AuthorizationRequest, Destination};
use hallpass::protocol::claims::User;
use hallpass::protocol::claims_request::ClaimsRequest;
use hallpass::protocol::client::{Client, redirect_uri_fault};
use hallpass::protocol::error::Refusal;
use hallpass::protocol::factor_secret::FactorKind;
use hallpass::protocol::facts::NO_FACTS;
use hallpass::protocol::grant::Authorization as Authorized;
use hallpass::protocol::logout::{LeaveAddress, Sender, frame_origin};
use hallpass::protocol::node_secrets::NodeSecrets;
use hallpass::protocol::params::Params;
use hallpass::protocol::pkce::{self, CodeChallenge};
use hallpass::protocol::reason::Reason;
use hallpass::protocol::release::{About, Room};
use hallpass::protocol::response::{ApplicationType, Place, PromptSet};
use hallpass::protocol::scope::Scope;
use hallpass::protocol::secret::{AccessToken, Handle, RefreshToken, RefreshTokenParts};
use hallpass::protocol::shown;
use hallpass::protocol::site::FrontChannel;
use hallpass::protocol::time::NumericDate;
use hallpass::web::accept::asks_for;
use hallpass::web::cookies::Browser;
use hallpass::web::network::Network;
use hallpass::web::request::{bearer_token, credentials};
use std::net::SocketAddr;

/// The registered addresses of the client that all of it is tried against.
const REGISTERED: [&str; 4] =
    ["https://a.example/cb", "http://127.0.0.1/cb", "http://localhost/cb", "com.example.app:/cb"];

/// Where a browser may go after a sign-out.
const LEAVING: &str = "https://a.example/out";

fn settings() -> Config {
    RawConfig::gather(|_| None, std::iter::empty(), None).and_then(|raw| raw.check()).expect("the defaults are sound")
}

fn native() -> Client {
    Client {
        redirect_uris: REGISTERED.iter().map(|&uri| uri.to_owned()).collect(),
        post_logout_redirect_uris: vec![LEAVING.to_owned()],
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
    claims(&text);
    headers(data, &text);
    forwarded(&text);
    setting(&text);
    files_and_hashes(&text);
}

fn parameters(text: &str) {
    let Ok(params) = Params::parse(text) else { return };
    let again = Params::parse(&params.encoded());
    assert_eq!(again.ok().as_ref(), Some(&params), "what was read is read again as the same");
    let client = native();
    if let Ok(Destination::Address(address)) = Destination::of(&client, &params) {
        let sent = address.sent_redirect_uri();
        let is_own = sent.is_none_or(|uri| {
            REGISTERED.contains(&uri.as_str())
                || ["http://127.0.0.1:", "http://localhost:"].iter().any(|origin| {
                    uri.strip_prefix(origin).is_some_and(|port| port.trim_end_matches("/cb").parse::<u16>().is_ok())
                })
        });
        assert!(is_own, "an address that is not registered was proven");
        let answer = address.refuse(Refusal::naming(Reason::ParameterDoubled, text), "https://id.example");
        let of =
            |wanted: &str| answer.parameters.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
        let state = if params.is_doubled("state") { None } else { params.get("state") };
        assert_eq!((of("state"), of("iss")), (state, Some("https://id.example")), "state comes back as it was sent");
        let description = of("error_description").expect("a refusal says why");
        assert!(description.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\'));
    }
    if let Some(address) = LeaveAddress::of(&client, &params) {
        assert!(address.url().starts_with(LEAVING), "no browser leaves to an address that is not registered");
    }
    let kept = params.clone().only(authorization::PARAMETERS);
    assert!(kept.encoded().len() <= params.encoded().len() && kept.get("state") == params.get("state"));
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
    if let Some(prompts) = PromptSet::parse(text) {
        assert_eq!(PromptSet::parse(&prompts.to_string()).as_ref(), Some(&prompts));
    }
    if let Some(kind) = FactorKind::parse(text) {
        assert_eq!(kind.as_str(), text);
    }
    let shown = shown::shown(text);
    assert!(!shown.contains(shown::is_harmful) && shown.len() <= 6 * text.len() + 100, "{text:?}");
    let _ = redirect_uri_fault(text, ApplicationType::Web);
    let framed =
        Client { frontchannel_logout_uri: Some(text.to_owned()), client_uri: Some(text.to_owned()), ..native() };
    let works = FrontChannel::of(&framed, "https://id.example") == FrontChannel::Works;
    assert!(!works || frame_origin(text).is_some_and(|origin| origin.starts_with("https://")), "{text:?}");
    assert!(
        framed.home_page().is_none_or(|uri| frame_origin(uri).is_some() || uri.contains([';', ',', '\''])),
        "{text:?}"
    );
    let owned = native().owns_redirect_uri(text);
    assert!(!owned || text.ends_with("/cb"), "{text:?}");
}

fn tokens(text: &str) {
    let token = AccessToken::received(text);
    if let Some(parts) = NodeSecrets::new("root", "salt").open(&token) {
        // Only one text opens to these parts with that secret, so a truncated or altered one cannot.
        assert_eq!(text.len(), AccessToken::PREFIX.len() + 86);
        let _ = parts.grant;
    }
    if let Some(parts) = RefreshTokenParts::open(&RefreshToken::received(text)) {
        assert_eq!(parts.seal().expose(), text, "the encoding is canonical");
    }
    assert!(KeySet::default().verify(text, "JWT").is_none(), "no key, no token");
}

fn claims(text: &str) {
    let Ok(request) = ClaimsRequest::parse(text) else { return };
    let allowed = Scope::from("openid email".to_owned());
    let narrowed = request.clone().within(&allowed);
    assert!(narrowed.userinfo.len() <= request.userinfo.len() && narrowed.id_token.len() <= request.id_token.len());
    assert!(narrowed.scopes_beyond(&Scope::default()).is_within(&allowed), "a claim beyond the client's scope is left");
    let user = User {
        claims: serde_json::Map::from_iter([("email".to_owned(), serde_json::Value::from("a@a.example"))]),
        ..User::default()
    };
    let client = Client { scope: allowed, ..Client::new("reports") };
    let about = About { client: &client, user: &user, facts: &NO_FACTS, now: NumericDate(0) };
    let authorization = Authorized {
        client_id: "reports".to_owned(),
        scope: Scope::default(),
        resources: Vec::new(),
        claims: narrowed,
        shown: Vec::new(),
        sign_in: None,
        authorized_at: NumericDate(0),
        confirmation: None,
    };
    let told = about.claims(&authorization, Place::Userinfo, Room::Enough, String::new);
    assert!(told.keys().all(|name| name == "email"), "no claims but the user's own");
    let kept = serde_json::to_string(&request).expect("it is kept with the code");
    assert_eq!(serde_json::from_str::<ClaimsRequest>(&kept).ok().as_ref(), Some(&request));
}

/// What trusted proxies say of where a request comes from: an address that is there, or the proxy itself.
fn forwarded(text: &str) {
    let trusted = |name: &str| (name == "trusted_proxies").then(|| "203.0.113.0/24".to_owned());
    let config = RawConfig::gather(|setting| trusted(setting.name), std::iter::empty(), None)
        .and_then(|raw| raw.check())
        .expect("the setting is sound");
    let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) else { return };
    let mut request = Request::new(axum::body::Body::empty());
    request.headers_mut().insert("x-forwarded-for", value);
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([203, 0, 113, 9], 1))));
    let network = Network::of(&request, &config);
    let is_there = text.split(',').map(str::trim).any(|hop| {
        let address = hop.parse().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
        address.is_ok_and(|address| Network::of_address(address) == network)
    });
    assert!(is_there || network.to_string() == "203.0.113.9", "{network} is not in {text:?}");
}

/// Names of key files, instants in them, hashes that an admin's migration brings, addresses of frames.
fn files_and_hashes(text: &str) {
    if let Some(instant) = parse_instant(text) {
        assert_eq!(parse_instant(&instant_text(instant)), Some(instant));
    }
    let is_name = !text.is_empty() && text.len() < 200 && !text.contains(['/', '\0']);
    if is_name && [".pem", ".jwk"].iter().any(|ending| text.ends_with(ending)) && !text.starts_with('.') {
        let place = std::thread::current().id();
        let folder = std::env::temp_dir().join(format!("hallpass-fuzz-{}-{place:?}", std::process::id()));
        let file = folder.join(text);
        std::fs::create_dir_all(&folder).expect("there is a temporary folder");
        std::fs::write(&file, "no key").expect("the name is one");
        let loaded = KeySet::load(&folder);
        std::fs::remove_dir_all(&folder).expect("it is ours");
        assert!(loaded.is_err(), "a file without a key stops the start");
    }
    if hash_fault(text).is_none() {
        assert!(text.starts_with("$argon2id$"), "{text:?}");
    }
    // Nothing is computed here, whatever cost the text tells; what is registered can be verified.
    if let Ok(form) = registered_form(text) {
        assert_eq!(unusable(&form), None, "{text:?}");
    }
    if let Some(handle) = Handle::parse(text) {
        assert_eq!(handle.text(), text, "the encoding is canonical");
    }
    if let Some(sender) = Sender::parse(text) {
        assert_eq!(sender.as_str(), text);
    }
    if let Some(origin) = frame_origin(text) {
        assert!(origin.starts_with("http") && !origin.contains([';', ',', ' ', '\'']), "{origin:?}");
    }
    assert_eq!(NodeSecrets::new("root", "salt").account(None, text).len(), 22);
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
        headers.insert(header::ACCEPT, value.clone());
        let asks = asks_for(&headers, "application/jwk-set+json", "application/json");
        assert!(!asks || text.to_ascii_lowercase().contains("application/jwk-set+json"), "{text:?}");
        headers.insert(header::COOKIE, value.clone());
        let browser = Browser::of(&headers, &config);
        assert!(browser.session.is_none_or(|session| text.contains(session.expose())));
        assert!(browser.known.iter().all(|tag| text.contains(tag.as_str())));
        let mut request = Request::new(axum::body::Body::empty());
        request.headers_mut().insert("x-forwarded-for", value);
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([203, 0, 113, 9], 1))));
        assert_eq!(Network::of(&request, &config).to_string(), "203.0.113.9", "no proxy is trusted here");
    }
}

fn setting(text: &str) {
    let toml = std::path::Path::new("hallpass.toml");
    if let Ok(raw) = RawConfig::gather(|_| None, std::iter::empty(), Some((toml, text))) {
        let _ = raw.check();
    }
    if let Some((name, value)) = text.split_once('=') {
        let variables = [(format!("HALLPASS_{name}"), value.to_owned())].into_iter();
        if let Ok(raw) = RawConfig::gather(|_| None, variables, None) {
            let _ = raw.check();
        }
    }
    let issuer = |name: &str| (name == "issuer").then(|| text.to_owned());
    if let Ok(config) =
        RawConfig::gather(|setting| issuer(setting.name), std::iter::empty(), None).and_then(|raw| raw.check())
    {
        assert_eq!(config.issuer, text, "an issuer is kept byte for byte");
        assert_eq!(format!("{}{}", config.origin(), config.base_path()), text);
        assert!(config.is_https() || text.starts_with("http://"));
    }
}
