//! The ASP.NET Core example: its client, registered from its own migration, and the wire behavior of its handler
//! (`OpenIdConnectHandler`), replayed as its documentation and its source state it.
//!
//! .NET is not needed for this: what the handler sends is written here word by word, with what the example's own files
//! say, and what it checks is checked here. Where it is found, the example itself is built and driven in Chromium, too.

use crate::support::chromium::{Browser, Options};
use crate::support::documents::{blocks, read, root, shell};
use crate::support::dotnet::{self, Project};
use crate::support::postgres::free_port;
use crate::support::program::{Outcome, run_with};
use crate::support::provider::{CLIENT_SECRET, PASSWORD, hash_of};
use crate::support::verbs::{http, send};
use crate::support::{Answer, Api, Page, TestProvider, UserAgent, claims_of, header_of};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hallpass::ambient::random;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use url::form_urlencoded;

const MIGRATION: &str = "20261125024000_add_client_monolith.sql";
const PLACEHOLDER: &str = "the line that hallpass hash-secret prints";
/// What `OpenIdConnectMessage` adds to a redirect unless `DisableTelemetry` is set.
const TELEMETRY: [(&str, &str); 2] = [("x-client-SKU", "ID_NET8_0"), ("x-client-ver", "7.1.2.0")];

// ---- What the example's own files say.

fn file(path: &str) -> String {
    read(&format!("examples/aspnetcore/{path}"))
}

fn json_of(path: &str) -> Value {
    serde_json::from_str(&file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text in quotes that a line of C# assigns.
fn assigned(source: &str, name: &str) -> String {
    let start = format!("{name} = \"");
    let at = source.find(&start).unwrap_or_else(|| panic!("nothing assigns {name}")) + start.len();
    source[at..].split('"').next().unwrap().to_owned()
}

/// Every text in quotes that follows `before`.
fn quoted_after(source: &str, before: &str) -> Vec<String> {
    source.split(before).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// The settings of the app, each from the file that has it.
struct Settings {
    client_id: String,
    scope: String,
    base_url: String,
    callback_path: String,
    signed_out_callback_path: String,
    backchannel_path: String,
}

impl Settings {
    fn read() -> Self {
        let provider = json_of("appsettings.json")["Provider"].clone();
        let options = file("SignIn/ProviderOptions.cs");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let receiver = file("SignIn/BackChannelLogoutController.cs");
        Self {
            client_id: text(&provider["ClientId"]),
            scope: text(&provider["Scope"]),
            base_url: text(&json_of("Properties/launchSettings.json")["profiles"]["https"]["applicationUrl"]),
            callback_path: assigned(&options, "options.CallbackPath"),
            signed_out_callback_path: assigned(&options, "options.SignedOutCallbackPath"),
            backchannel_path: quoted_after(&receiver, "[HttpPost(\"").remove(0),
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }
}

// ---- The app's address: it writes down what arrives.

struct Arrival {
    method: Method,
    path: String,
    headers: HeaderMap,
    /// Of the form or the query.
    fields: Vec<(String, String)>,
}

impl Arrival {
    fn get(&self, name: &str) -> Option<&str> {
        let found: Vec<&str> = self.fields.iter().filter(|(known, _)| known == name).map(|(_, v)| &**v).collect();
        assert!(found.len() < 2, "{name} is there twice");
        found.first().copied()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn has_cookie(&self, name: &str) -> bool {
        self.header("cookie").split("; ").any(|pair| pair.split_once('=') == Some((name, "N")))
    }
}

struct App {
    address: SocketAddr,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl App {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let arrivals = Arc::<Mutex<Vec<Arrival>>>::default();
        let router = Router::new().fallback(take).with_state(arrivals.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, arrivals }
    }

    /// Takes all that arrived.
    fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut self.arrivals.lock().unwrap())
    }

    /// Takes the only thing that arrived.
    #[track_caller]
    fn only(&self) -> Arrival {
        let mut arrived = self.take();
        assert_eq!(arrived.len(), 1, "{:?}", arrived.iter().map(|arrival| &arrival.path).collect::<Vec<_>>());
        arrived.remove(0)
    }
}

async fn take(State(arrivals): State<Arc<Mutex<Vec<Arrival>>>>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 * 1024).await.unwrap();
    let sent = if parts.method == Method::POST { &body[..] } else { parts.uri.query().unwrap_or_default().as_bytes() };
    let fields = form_urlencoded::parse(sent).into_owned().collect();
    let path = parts.uri.path().to_owned();
    arrivals.lock().unwrap().push(Arrival { method: parts.method, path, headers: parts.headers, fields });
    StatusCode::OK
}

// ---- The handler.

/// `Uri.EscapeDataString`: everything but unreserved characters, a space as `%20`.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// `OpenIdConnectMessage.BuildRedirectUrl`: the parameters in the order in which they were set.
fn redirect_url(address: &str, parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    format!("{address}?{}", pairs.join("&"))
}

/// `ISecureDataFormat.Protect`: long, base64url, and always beginning like this.
fn protected(bytes: usize) -> String {
    let noise: Vec<u8> = (0..bytes.div_ceil(32)).flat_map(|_| random::<32>()).take(bytes).collect();
    format!("CfDJ8{}", URL_SAFE_NO_PAD.encode(noise))
}

/// `OpenIdConnectProtocolValidator.GenerateNonce`: ticks, a dot, and two GUIDs in base64.
fn generate_nonce() -> String {
    let guid = |bytes: [u8; 16]| {
        let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    };
    format!("638996544000000000.{}", STANDARD.encode(guid(random()) + &guid(random())))
}

/// What the handler keeps of a challenge, in `state` and in two cookies.
struct Challenge {
    url: String,
    state: String,
    nonce: String,
    code_verifier: String,
    correlation_cookie: String,
    nonce_cookie: String,
}

struct Ready {
    provider: TestProvider,
    app: App,
    browser: UserAgent,
    settings: Settings,
    /// The discovery document, `OpenIdConnectConfiguration`.
    configuration: Value,
}

impl Ready {
    async fn start() -> Self {
        let provider = TestProvider::start().await;
        let sql = file(&format!("migrations/{MIGRATION}"));
        assert_eq!(sql.matches(PLACEHOLDER).count(), 1);
        migrate(&provider, &sql.replace(PLACEHOLDER, &hash_of(CLIENT_SECRET))).succeeded();
        provider.alice().await;
        let app = App::start().await;
        let settings = Settings::read();
        // The development certificate is not here; everything else of the address stays.
        let address = format!("http://{}{}", app.address, settings.backchannel_path);
        provider.sql(&format!("UPDATE clients SET backchannel_logout_uri = '{address}'")).await;
        let browser = UserAgent::new().through_tls_proxy(app.address);
        let configuration = provider.get("/.well-known/openid-configuration", &[]).await.ok().json();
        Self { provider, app, browser, settings, configuration }
    }

    fn endpoint(&self, member: &str) -> &str {
        self.configuration[member].as_str().unwrap_or_else(|| panic!("discovery does not name {member}"))
    }

    /// `HandleChallengeAsync`.
    fn challenge(&self, prompt: Option<&str>) -> Challenge {
        let settings = &self.settings;
        let code_verifier = URL_SAFE_NO_PAD.encode(random::<32>());
        let code_challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&code_verifier));
        let (state, nonce) = (protected(420), generate_nonce());
        let redirect_uri = settings.at(&settings.callback_path);
        let mut parameters = vec![
            ("client_id", settings.client_id.as_str()),
            ("redirect_uri", &redirect_uri),
            ("response_type", "code"),
        ];
        parameters.extend(prompt.map(|prompt| ("prompt", prompt)));
        parameters.extend([
            ("scope", settings.scope.as_str()),
            ("code_challenge", &code_challenge),
            ("code_challenge_method", "S256"),
            ("response_mode", "form_post"),
            ("nonce", &nonce),
            ("state", &state),
        ]);
        parameters.extend(TELEMETRY);
        let url = redirect_url(self.endpoint("authorization_endpoint"), &parameters);
        let correlation_cookie = format!(".AspNetCore.Correlation.{}", URL_SAFE_NO_PAD.encode(random::<32>()));
        let nonce_cookie = format!(".AspNetCore.OpenIdConnect.Nonce.{}", protected(150));
        for name in [&nonce_cookie, &correlation_cookie] {
            let path = &settings.callback_path;
            let cookie = format!(
                "{name}=N; expires=Wed, 25 Nov 2099 02:41:00 GMT; path={path}; secure; samesite=none; httponly"
            );
            self.browser.set_cookie(&settings.at("/profile"), &cookie);
        }
        Challenge { url, state, nonce, code_verifier, correlation_cookie, nonce_cookie }
    }

    /// Follows a challenge, as alice where a user is asked for, to the page that posts the answer.
    async fn authorize(&self, challenge: &Challenge) -> Page {
        let page = self.browser.cross_site_get(&challenge.url).await;
        let mut page = self.provider.settle(&self.browser, page).await;
        if page.url.path().ends_with("/login") {
            page = self.provider.type_in(&self.browser, &page, "alice", PASSWORD).await;
        }
        page
    }

    /// Lets the page post the answer, and checks what `HandleRemoteAuthenticateAsync` checks about it.
    async fn receive(&self, challenge: &Challenge, page: &Page) -> Arrival {
        let form = page.form("form#form_post");
        assert_eq!(form.action.as_str(), self.settings.at(&self.settings.callback_path));
        let _ = self.browser.submit(form, None).await;
        let arrival = self.app.only();
        assert_eq!((&arrival.method, arrival.path.as_str()), (&Method::POST, self.settings.callback_path.as_str()));
        assert!(arrival.header("content-type").starts_with("application/x-www-form-urlencoded"));
        assert_eq!(arrival.get("state"), Some(challenge.state.as_str()), "state comes back byte for byte");
        assert!(arrival.has_cookie(&challenge.correlation_cookie), "Correlation failed: {}", arrival.header("cookie"));
        arrival
    }

    /// A form as `FormUrlEncodedContent` writes it.
    async fn post(&self, fields: &[(&str, &str)]) -> Api {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = http().post(self.endpoint("token_endpoint"));
        send(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
    }

    /// `RedeemAuthorizationCodeAsync`.
    async fn redeem(&self, challenge: &Challenge, code: &str) -> Api {
        let redirect_uri = self.settings.at(&self.settings.callback_path);
        self.post(&[
            ("client_id", &self.settings.client_id),
            ("client_secret", CLIENT_SECRET),
            ("code", code),
            ("grant_type", "authorization_code"),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", &challenge.code_verifier),
        ])
        .await
    }

    /// `GetUserInformationAsync`, with `ValidateUserInfoResponse`.
    async fn userinfo(&self, access_token: &str, sub: &Value) -> Value {
        let answer = send(http().get(self.endpoint("userinfo_endpoint")).bearer_auth(access_token)).await.ok();
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.json()["sub"], *sub);
        answer.json()
    }

    /// `ValidateTokenAsync` for an `id_token`, with what the options say.
    fn validate_id_token(&self, id_token: &str) -> Value {
        let claims = claims_of(id_token);
        assert_eq!(header_of(id_token)["alg"], "RS256", "ValidAlgorithms");
        assert_eq!(claims["iss"], self.configuration["issuer"]);
        assert_eq!(claims["aud"], json!(self.settings.client_id));
        assert!(claims["exp"].as_i64().unwrap() > self.provider.now());
        assert!(self.provider.provider.keys.current().verify(id_token, "JWT").is_some(), "its signature");
        // The session store finds a session by these.
        assert!(claims["sub"].is_string() && claims["sid"].is_string(), "{claims}");
        claims
    }

    /// A whole sign-in; gives the token response.
    async fn sign_in(&self) -> Value {
        let challenge = self.challenge(None);
        let page = self.authorize(&challenge).await;
        let arrival = self.receive(&challenge, &page).await;
        self.redeem(&challenge, arrival.get("code").unwrap()).await.ok().json()
    }

    /// `SignOutAsync`: where it redirects to.
    fn sign_out_url(&self, id_token: &str, state: &str) -> String {
        let back = self.settings.at(&self.settings.signed_out_callback_path);
        let parameters = [("post_logout_redirect_uri", back.as_str()), ("id_token_hint", id_token), ("state", state)];
        redirect_url(self.endpoint("end_session_endpoint"), &[&parameters[..], &TELEMETRY].concat())
    }
}

impl Outcome {
    #[track_caller]
    fn succeeded(&self) {
        assert_eq!(self.status, 0, "{}", self.stderr);
    }
}

/// Puts the migration into the folder of the provider and applies it.
fn migrate(provider: &TestProvider, sql: &str) -> Outcome {
    let folder = provider.folder.path();
    fs::write(folder.join("migrations").join(MIGRATION), sql).unwrap();
    let variables = provider.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    run_with(folder, &["migrate"], &variables, "")
}

/// The handler's configuration, from discovery.
#[tokio::test]
async fn discovery_names_what_the_handler_needs() {
    let ready = Ready::start().await;
    assert_eq!(ready.configuration["issuer"], json!(ready.provider.issuer));
    for member in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"]
    {
        assert!(ready.endpoint(member).starts_with(&ready.provider.issuer), "{member}");
    }
    for (member, value) in [
        ("response_modes_supported", "form_post"),
        ("response_types_supported", "code"),
        ("code_challenge_methods_supported", "S256"),
        ("id_token_signing_alg_values_supported", "RS256"),
        ("token_endpoint_auth_methods_supported", "client_secret_post"),
        ("grant_types_supported", "refresh_token"),
    ] {
        assert!(ready.configuration[member].as_array().unwrap().contains(&json!(value)), "{member}");
    }
    for scope in ready.settings.scope.split(' ') {
        assert!(ready.configuration["scopes_supported"].as_array().unwrap().contains(&json!(scope)), "{scope}");
    }
    assert_ne!(ready.configuration["require_pushed_authorization_requests"], true, "a handler may be told not to push");
}

/// Challenge, answer by `form_post`, code for tokens, `id_token`, userinfo.
#[tokio::test]
async fn a_sign_in_as_the_handler_makes_it() {
    let ready = Ready::start().await;
    // The app's own session cookie, from an earlier visit, is Lax.
    ready.browser.set_cookie(&ready.settings.at("/"), "__Host-monolith=N; path=/; secure; samesite=lax; httponly");
    let challenge = ready.challenge(None);
    assert!(challenge.state.len() > 500 && challenge.nonce.split_once('.').unwrap().1.len() == 96);
    let page = ready.authorize(&challenge).await;
    let arrival = ready.receive(&challenge, &page).await;
    let names: Vec<&str> = arrival.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["code", "state", "iss"], "and nothing that the handler does not know");
    assert_eq!(arrival.get("iss"), Some(ready.provider.issuer.as_str()));
    // It comes from another site: only cookies with SameSite=None came along, and the nonce's is one.
    assert!(arrival.has_cookie(&challenge.nonce_cookie));
    assert!(!arrival.has_cookie("__Host-monolith"), "{}", arrival.header("cookie"));
    assert!(ready.browser.refused_cookies().is_empty(), "{:?}", ready.browser.refused_cookies());

    let answer = ready.redeem(&challenge, arrival.get("code").unwrap()).await.ok();
    assert!(answer.header("content-type").unwrap().starts_with("application/json"));
    let tokens = answer.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert!(tokens["expires_in"].is_i64() && tokens["refresh_token"].is_string(), "{tokens}");
    let (id_token, access_token) = (tokens["id_token"].as_str().unwrap(), tokens["access_token"].as_str().unwrap());
    let claims = ready.validate_id_token(id_token);
    assert_eq!(claims["nonce"], json!(challenge.nonce), "ValidateNonce");
    let half = &Sha256::digest(access_token)[..16];
    assert_eq!(claims["at_hash"], json!(URL_SAFE_NO_PAD.encode(half)), "ValidateAtHash");
    let known = ready.userinfo(access_token, &claims["sub"]).await;
    assert_eq!((&known["name"], &known["email"]), (&json!("Alice Example"), &json!("alice@example.com")));
    assert_eq!(claims["sub"], "alice-sub", "the id that the app knows people by");
}

/// After 15 minutes the handler's state is too old for it (`RemoteAuthenticationOptions.RemoteAuthenticationTimeout`), and "Correlation
/// failed" is what it would say. The app's own address starts anew, and compares `iss`.
#[tokio::test]
async fn a_login_page_that_lay_open_leads_to_where_the_app_starts_anew() {
    let ready = Ready::start().await;
    let challenge = ready.challenge(None);
    let page = ready.browser.cross_site_get(&challenge.url).await;
    let page = ready.provider.settle(&ready.browser, page).await;
    ready.provider.travel(16 * 60);
    let led = ready.provider.type_in(&ready.browser, &page, "alice", PASSWORD).await;
    let controller = file("Controllers/AccountController.cs");
    let path = quoted_after(&controller, "AcceptVerbs(\"GET\", \"POST\", Route = \"").remove(0);
    let to = led.location().unwrap_or_else(|| panic!("{led}"));
    assert_eq!(to.as_str().split('?').next(), Some(ready.settings.at(&path).as_str()));
    let sent: Vec<(String, String)> = to.query_pairs().into_owned().collect();
    assert_eq!(sent, [("iss".to_owned(), ready.configuration["issuer"].as_str().unwrap().to_owned())]);
    assert!(controller.contains("iss is not null && iss == configuration.Issuer ? Login(\"/\") : Failed()"));
    assert!(file("README.md").contains(&ready.settings.at(&path)));
    // The challenge that the app makes there is answered at once.
    let again = ready.challenge(None);
    let page = ready.authorize(&again).await;
    let _ = ready.receive(&again, &page).await;
}

/// `[Authorize(Roles = …)]`, which asks `ClaimsIdentity.HasClaim(RoleClaimType, role)`: the handler makes a claim of each item of a
/// list in the `id_token`, and of what userinfo has beside it.
#[tokio::test]
async fn a_page_for_a_role_opens_while_the_user_has_it() {
    let ready = Ready::start().await;
    let role = quoted_after(&file("Controllers/HomeController.cs"), "[Authorize(Roles = \"").remove(0);
    let role_claim = assigned(&file("SignIn/ProviderOptions.cs"), "RoleClaimType");
    let readme = file("README.md");
    let sql = blocks(&readme).into_iter().find(|block| block.kind == "sql").expect("SQL in the README").text;
    ready.provider.sql(&sql).await;
    let has_role = async || {
        ready.provider.travel(10);
        let tokens = ready.sign_in().await;
        let claims = ready.validate_id_token(tokens["id_token"].as_str().unwrap());
        let known = ready.userinfo(tokens["access_token"].as_str().unwrap(), &claims["sub"]).await;
        let is_in = |claims: &Value| match &claims[&role_claim] {
            Value::Array(items) => items.contains(&json!(role)),
            one => *one == json!(role),
        };
        assert_eq!(is_in(&claims), is_in(&known), "{claims} {known}");
        is_in(&claims)
    };
    assert!(!has_role().await);
    assert_eq!(ready.provider.command(&["group", "add", "finance", "alice"], "").status, 0);
    assert!(has_role().await);
    assert_eq!(ready.provider.command(&["group", "remove", "finance", "alice"], "").status, 0);
    assert!(!has_role().await);
}

/// Signed in already: no page between the challenge and the answer. A second tab does not disturb the first.
#[tokio::test]
async fn two_tabs_each_get_their_own_answer() {
    let ready = Ready::start().await;
    let _ = ready.sign_in().await;
    let (one, two) = (ready.challenge(None), ready.challenge(None));
    let (page_of_one, page_of_two) = (ready.authorize(&one).await, ready.authorize(&two).await);
    for (challenge, page) in [(&two, &page_of_two), (&one, &page_of_one)] {
        let arrival = ready.receive(challenge, page).await;
        let tokens = ready.redeem(challenge, arrival.get("code").unwrap()).await.ok();
        assert_eq!(claims_of(&tokens.text("id_token"))["nonce"], json!(challenge.nonce));
    }
}

/// An error is posted to the same address, with the state that the handler needs to understand it.
#[tokio::test]
async fn an_error_is_posted_too() {
    let ready = Ready::start().await;
    let challenge = ready.challenge(Some("none"));
    let page = ready.authorize(&challenge).await;
    let arrival = ready.receive(&challenge, &page).await;
    assert_eq!((arrival.get("error"), arrival.get("code")), (Some("login_required"), None));
}

/// A wrong verifier, secret or address: JSON with `error`, which `CreateOpenIdConnectProtocolException` reads.
#[tokio::test]
async fn a_failed_redemption_is_json_with_an_error() {
    let ready = Ready::start().await;
    let challenge = ready.challenge(None);
    let page = ready.authorize(&challenge).await;
    let arrival = ready.receive(&challenge, &page).await;
    let other = Challenge { code_verifier: URL_SAFE_NO_PAD.encode(random::<32>()), ..ready.challenge(None) };
    let refused = ready.redeem(&other, arrival.get("code").unwrap()).await;
    assert_eq!(refused.error(), (400, "invalid_grant".into()));
    assert!(refused.header("content-type").unwrap().starts_with("application/json"));
    assert!(refused.json()["error_description"].is_string());
}

/// What `TokenRefresh.cs` sends and checks.
#[tokio::test]
async fn a_refresh_as_the_example_makes_it() {
    let ready = Ready::start().await;
    let source = file("SignIn/TokenRefresh.cs");
    let sent = quoted_after(&source.replace("] =", "\" ="), "[OpenIdConnectParameterNames.");
    assert_eq!(sent, ["GrantType", "ClientId", "ClientSecret", "RefreshToken"]);
    let first = ready.sign_in().await;
    let before = claims_of(first["id_token"].as_str().unwrap());
    ready.provider.travel(540);
    let refresh = async |token: &Value| {
        ready
            .post(&[
                ("grant_type", "refresh_token"),
                ("client_id", &ready.settings.client_id),
                ("client_secret", CLIENT_SECRET),
                ("refresh_token", token.as_str().unwrap()),
            ])
            .await
    };
    let next = refresh(&first["refresh_token"]).await.ok().json();
    let claims = ready.validate_id_token(next["id_token"].as_str().unwrap());
    assert_eq!((&claims["sub"], &claims["sid"]), (&before["sub"], &before["sid"]));
    assert!(claims.get("nonce").is_none(), "there is no nonce cookie any more");
    let _ = ready.userinfo(next["access_token"].as_str().unwrap(), &claims["sub"]).await;
    // Two requests at once: both are given the same successor.
    let again = refresh(&first["refresh_token"]).await.ok().json();
    assert_eq!(again["refresh_token"], next["refresh_token"]);
    // The person's password changed: the answer that ends the session.
    ready.provider.sql("UPDATE users SET tokens_valid_after = 4000000000 WHERE sub = 'alice-sub'").await;
    crate::support::remote::until("the change is seen", async || {
        let refused = refresh(&next["refresh_token"]).await;
        refused.status == 400 && refused.text("error") == assigned_comparison(&source)
    })
    .await;
}

/// The word to which `TokenRefresh.cs` compares the error.
fn assigned_comparison(source: &str) -> String {
    quoted_after(source, "answer.Error == \"").remove(0)
}

/// `SignOut` of both schemes: the redirect, the back-channel message that comes before, and the way back.
#[tokio::test]
async fn a_sign_out_as_the_handler_makes_it() {
    let ready = Ready::start().await;
    let tokens = ready.sign_in().await;
    let id_token = tokens["id_token"].as_str().unwrap();
    // The id_token may have expired since.
    ready.provider.travel(3600);
    let state = protected(200);
    let page = ready.browser.cross_site_get(&ready.sign_out_url(id_token, &state)).await;
    let back = page.location().unwrap_or_else(|| panic!("no way back, but {page}"));
    assert_eq!(back.as_str(), format!("{}?state={state}", ready.settings.at("/signout-callback-oidc")));
    let message = ready.app.only();
    assert_eq!(message.path, ready.settings.backchannel_path);
    let _ = ready.browser.follow(page).await;
    let arrival = ready.app.only();
    assert_eq!((&arrival.method, arrival.path.as_str()), (&Method::GET, "/signout-callback-oidc"));
    assert_eq!(arrival.fields, [("state".to_owned(), state)], "HandleSignOutCallbackAsync unprotects it");
    // It is over at the provider as well.
    let challenge = ready.challenge(Some("none"));
    let page = ready.authorize(&challenge).await;
    let redirect_uri = ready.settings.at(&ready.settings.callback_path);
    assert_eq!(Answer::of(&page, &redirect_uri).error(), "login_required");
}

/// The person signs out elsewhere: each check of `LogoutTokenValidator.cs`, on the token that its receiver gets.
#[tokio::test]
async fn the_back_channel_message_passes_each_check_of_the_receiver() {
    let ready = Ready::start().await;
    let id_token = claims_of(ready.sign_in().await["id_token"].as_str().unwrap());
    let page = ready.browser.get(&ready.provider.url("/logout")).await;
    let page = ready.browser.submit(page.form("form"), Some(("action", "sign_out"))).await;
    assert!(page.text().contains("Monolith"), "{page}");

    let message = ready.app.only();
    assert_eq!((&message.method, message.path.as_str()), (&Method::POST, ready.settings.backchannel_path.as_str()));
    assert!(message.header("content-type").starts_with("application/x-www-form-urlencoded"));
    let field = quoted_after(&file("SignIn/BackChannelLogoutController.cs"), "[FromForm(Name = \"").remove(0);
    assert_eq!(message.fields.len(), 1);
    let token = message.get(&field).unwrap();
    assert!(message.header("cookie").is_empty(), "IgnoreAntiforgeryToken: there is nothing to forge with");

    let source = file("SignIn/LogoutTokenValidator.cs");
    for check in ["ValidIssuer = configuration.Issuer", "ValidAudience = provider.ClientId", "IssuerSigningKeys ="] {
        assert!(source.contains(check), "the receiver does not have {check}");
    }
    assert_eq!(header_of(token)["typ"], json!(quoted_after(&source, "ValidTypes = new[] { \"").remove(0)));
    assert!(source.contains("ValidAlgorithms = new[] { SecurityAlgorithms.RsaSha256 }"));
    assert_eq!(header_of(token)["alg"], "RS256");
    assert!(ready.provider.provider.keys.current().verify(token, "logout+jwt").is_some());
    let claims = claims_of(token);
    assert_eq!(claims["iss"], ready.configuration["issuer"]);
    assert_eq!(claims["aud"], json!(ready.settings.client_id));

    // The members that it reads by itself, and no other: each has its line below.
    let mut read = quoted_after(&source, "claims.TryGetProperty(\"");
    read.extend(quoted_after(&source, "Text(claims, \""));
    read.sort();
    assert_eq!(read, ["events", "iat", "jti", "nonce", "sid", "sub"]);
    assert!((claims["iat"].as_i64().unwrap() - ready.provider.now()).abs() <= 60);
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!((1..=300).contains(&life), "MaxAge of the receiver: {life}");
    assert_eq!(claims["events"][assigned(&source, "private const string Event")], json!({}));
    assert!(claims.get("nonce").is_none());
    assert!(!claims["jti"].as_str().unwrap().is_empty());
    // The session that is ended is the one that the id_token named.
    assert_eq!((&claims["sid"], &claims["sub"]), (&id_token["sid"], &id_token["sub"]));
    let store = file("SignIn/SessionStore.cs");
    assert_eq!(quoted_after(&store, "ticket.Principal.FindFirstValue(\""), ["sid", "sub"]);

    // An id_token is not taken for one, nor the other way round.
    assert_ne!(header_of(token)["typ"], "JWT");
}

/// Addresses, name and scope are in several files, and all of them say the same.
#[tokio::test]
async fn the_files_of_the_example_agree_with_its_migration() {
    let ready = Ready::start().await;
    let Settings { client_id, scope, callback_path, signed_out_callback_path, backchannel_path, .. } = &ready.settings;
    // The handler's own defaults, so that no developer is surprised who leaves the line out.
    assert_eq!((callback_path.as_str(), signed_out_callback_path.as_str()), ("/signin-oidc", "/signout-callback-oidc"));
    let text = |rows: Vec<Vec<Option<String>>>| rows[0].clone().into_iter().map(Option::unwrap).collect::<Vec<_>>();
    let row = text(
        ready
            .provider
            .rows("SELECT client_id, scope, grant_types, token_endpoint_auth_method, pkce, id_token_signed_response_alg FROM clients")
            .await,
    );
    assert_eq!(row, [client_id, scope, "authorization_code refresh_token", "client_secret_post", "required", "RS256"]);
    assert!(scope.contains("offline_access"), "or there is no refresh token");
    let redirect_uris = text(ready.provider.rows("SELECT redirect_uri FROM client_redirect_uris").await);
    assert_eq!(redirect_uris, [ready.settings.at(callback_path)]);
    let leaving = "SELECT post_logout_redirect_uri FROM client_post_logout_redirect_uris";
    assert_eq!(text(ready.provider.rows(leaving).await), [ready.settings.at(signed_out_callback_path)]);
    let sql = file(&format!("migrations/{MIGRATION}"));
    assert!(sql.contains(&format!("'{}'", ready.settings.at(backchannel_path))));

    // The rest of the options that the replay replaces.
    let options = file("SignIn/ProviderOptions.cs");
    for line in [
        "options.ResponseType = OpenIdConnectResponseType.Code;",
        "options.ResponseMode = OpenIdConnectResponseMode.FormPost;",
        "options.UsePkce = true;",
        "options.SaveTokens = true;",
        "options.GetClaimsFromUserInfoEndpoint = true;",
        "options.MapInboundClaims = false;",
        "options.Scope.Clear();",
    ] {
        assert!(options.contains(line), "{line}");
    }
    let sign_out = file("Controllers/AccountController.cs");
    let schemes =
        ["CookieAuthenticationDefaults.AuthenticationScheme,", "OpenIdConnectDefaults.AuthenticationScheme);"];
    assert!(schemes.iter().all(|scheme| sign_out.contains(scheme)));
    let readme = file("README.md");
    for path in [callback_path, signed_out_callback_path, backchannel_path] {
        assert!(readme.contains(&ready.settings.at(path)), "README.md does not name {path}");
    }
}

/// As it is checked in it registers no client: the database refuses the text where a hash belongs.
#[tokio::test]
async fn the_migration_without_a_hash_is_refused() {
    let provider = TestProvider::start().await;
    let outcome = migrate(&provider, &file(&format!("migrations/{MIGRATION}")));
    assert_eq!(outcome.status, 1, "{}", outcome.stderr);
    let number = MIGRATION.split('_').next().unwrap();
    assert!(outcome.stderr.contains(number) && outcome.stderr.contains("secret_hash"), "{}", outcome.stderr);
    assert!(provider.rows("SELECT client_id FROM clients").await.is_empty());
}

/// The command of the README registers the same client as the file.
#[tokio::test]
async fn the_migration_is_what_the_command_of_the_readme_writes() {
    let by_file = Ready::start().await.provider;
    let by_command = TestProvider::start().await;
    let readme = file("README.md");
    let command = blocks(&readme).into_iter().find(|block| block.text.contains("client new")).unwrap();
    assert_eq!(command.kind, "sh");
    let variables: Vec<(String, String)> =
        by_command.variables().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    shell(by_command.folder.path(), &variables, &format!("{}hallpass migrate", command.text));
    let columns = "client_id, client_name, application_type, token_endpoint_auth_method, grant_types, response_types, \
                   scope, id_token_signed_response_alg, pkce, consent, access_token_format, claims_in_id_token, \
                   subject_type, default_max_age, resource, frontchannel_logout_uri, initiate_login_uri, stale_after";
    for query in [
        &format!("SELECT {columns} FROM clients"),
        "SELECT * FROM client_redirect_uris",
        "SELECT * FROM client_post_logout_redirect_uris",
        "SELECT * FROM client_audiences",
        "SELECT client_id, client_secret_expires_at FROM client_secrets",
    ] {
        assert_eq!(by_file.rows(query).await, by_command.rows(query).await, "{query}");
    }
    let written = by_command.rows("SELECT backchannel_logout_uri FROM clients").await;
    let expected = Settings::read();
    assert_eq!(written, [[Some(expected.at(&expected.backchannel_path))]]);
}

// ---- The example itself, where .NET is found.

/// A copy of the example's sources, to be built in.
fn copy_of_the_example(to: &Path) {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            match (path.is_dir(), name.to_str().unwrap()) {
                (true, "bin" | "obj") => {}
                (true, _) => copy(&path, &to.join(name)),
                (false, _) => drop(fs::copy(&path, to.join(name)).unwrap()),
            }
        }
    }
    copy(&root().join("examples/aspnetcore"), to);
}

async fn type_in_at(browser: &Browser) {
    browser.fill("#username", "alice").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("button[value=sign_in]").await;
}

/// Sign-in, single sign-on, refresh, sign-out, and a sign-out elsewhere, by the back channel.
#[tokio::test]
async fn the_example_builds_and_does_in_chromium_what_its_readme_says() {
    let Some(dotnet) = dotnet::found("example_aspnetcore::the_example_builds_and_does_in_chromium") else { return };
    let folder = tempfile::TempDir::with_prefix("hallpass-test-").unwrap();
    let (certificate, key) = dotnet::certificate(folder.path());
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    // As step 2 of the README: logout tokens are delivered by https, to a certificate of this machine's own. The access
    // token ends within the example's minute, so that the second page is a refresh.
    let provider = TestProvider::with(&[("outbound_ca", certificate), ("access_token_lifetime", "45")]).await;
    provider.alice().await;
    let settings = Settings::read();
    let base_url = format!("https://localhost:{}", free_port());
    let sql = file(&format!("migrations/{MIGRATION}")).replace(PLACEHOLDER, &hash_of(CLIENT_SECRET));
    migrate(&provider, &sql.replace(&settings.base_url, &base_url)).succeeded();

    let project = folder.path().join("monolith");
    copy_of_the_example(&project);
    dotnet::run(&dotnet, &project, &["build", "-warnaserror"]);
    let app = Project::start(
        &dotnet,
        &project,
        &base_url,
        &[
            ("ASPNETCORE_ENVIRONMENT", "Development"),
            ("Provider__Authority", &provider.issuer),
            ("Provider__ClientSecret", CLIENT_SECRET),
            ("Kestrel__Certificates__Default__Path", certificate),
            ("Kestrel__Certificates__Default__KeyPath", key),
        ],
    );
    let at = |path: &str| format!("{base_url}{path}");
    let browser = Browser::open(Options::default()).await;
    browser.goto(&at("/profile")).await;
    type_in_at(&browser).await;
    assert_eq!(browser.text("h1").await, "Your profile", "{}", app.log());
    let profile = browser.text("dl").await;
    assert!(profile.contains("alice-sub") && profile.contains("alice@example.com"), "{profile}");

    // The next page brings the next access token; the family's row says that it was used.
    let uses = async || provider.rows("SELECT previous_digest FROM refresh_families").await;
    browser.goto(&at("/profile")).await;
    assert_eq!(browser.text("h1").await, "Your profile", "{}", app.log());
    assert!(uses().await.iter().any(|row| row[0].is_some()), "{:?}", uses().await);

    // Sign-out at both ends, and back.
    browser.goto(&at("/")).await;
    browser.click("button[type=submit]").await;
    browser.wait_for_url_containing(&base_url).await;
    assert!(browser.text("main").await.contains("You are not signed in."), "{}", app.log());
    browser.goto(&at("/profile")).await;
    browser.wait_for_url_containing("/login").await;

    // Single sign-on: signed in at the provider by now, the user is not asked; then a sign-out elsewhere ends it here.
    type_in_at(&browser).await;
    browser.goto(&at("/account/login")).await;
    assert_eq!(browser.text("h1").await, "Hello, Alice Example", "{}", app.log());
    browser.goto(&provider.url("/logout")).await;
    browser.click("button[value=sign_out]").await;
    crate::support::remote::until("the back channel ended the session", async || {
        app.log().contains("the provider ended 1 sessions")
    })
    .await;
    browser.goto(&at("/")).await;
    assert!(browser.text("main").await.contains("You are not signed in."), "{}", app.log());
    browser.close().await;
}
