//! The API of the FastAPI example: JWT access tokens checked by the published keys (RFC 9068), any others by
//! introspection (RFC 7662), refusals as RFC 6750 wants them; against a provider on PostgreSQL and Redis.

use crate::support::installation::Installation;
use crate::support::provider::{CLIENT_SECRET, NewClient, PASSWORD, TestClient, TestProvider};
use crate::support::python::FastApi;
use crate::support::remote::{Remote, until};
use crate::support::verbs::{http, send};
use crate::support::{Api, Authorization, UserAgent, claims_of};
use hallpass::ambient::Clock;
use hallpass::keys::{self, KeySet};
use hallpass::protocol::response::SigningAlgorithm;
use hallpass::protocol::time::NumericDate;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::ops::Deref;
use tempfile::TempDir;

const READ: (Method, &str, &str) = (Method::GET, "/api/reports", "reports:read");
const PUBLISH: (Method, &str, &str) = (Method::POST, "/api/reports/publish", "reports:publish");
const SCOPE: &str = "reports:read reports:publish";

/// The running service.
struct Service {
    process: FastApi,
    base_url: String,
}

impl Service {
    fn start(base_url: String, settings: &str) -> Self {
        Self { process: FastApi::start(&base_url, settings), base_url }
    }

    fn log(&self) -> String {
        self.process.log()
    }

    fn audience(&self) -> String {
        format!("{}/api", self.base_url)
    }

    async fn call(&self, (method, path, _): &(Method, &str, &str), headers: &[(&str, &str)]) -> Api {
        let mut request = http().request(method.clone(), format!("{}{path}", self.base_url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = send(request).await;
        assert!(answer.status.as_u16() != 500, "{}", self.log());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer
    }

    async fn call_with(&self, route: &(Method, &str, &str), token: &str) -> Api {
        self.call(route, &[("authorization", &format!("Bearer {token}"))]).await
    }

    /// The refusal of a token: status, challenge and body say the same.
    async fn assert_refused(&self, route: &(Method, &str, &str), token: &str, status: u16, error: &str) {
        let answer = self.call_with(route, token).await;
        assert_eq!(answer.error(), (status, error.to_owned()), "{}: {token}", self.log());
        let challenge = answer.header("www-authenticate").unwrap();
        let description = answer.text("error_description");
        let start = format!("Bearer realm=\"reports\", error=\"{error}\", error_description=\"{description}\"");
        let scope = if status == 403 { format!(", scope=\"{}\"", route.2) } else { String::new() };
        assert_eq!(challenge, start + &scope);
        assert!(!challenge.contains(token), "a token is not repeated");
    }
}

/// The service with its API, and a provider where it is registered as its README says.
struct Ready {
    provider: Installation,
    service: Service,
    reports: TestClient,
}

impl Ready {
    fn start() -> Self {
        let provider = Installation::start();
        let base_url = FastApi::base_url();
        let (callback, resource) = (format!("{base_url}/auth/callback"), format!("{base_url}/api"));
        let (reports, settings) = provider.register(
            "reports",
            &["--redirect-uri", &callback, "--resource", &resource, "--name", "Reports", "--consent", "skip"],
        );
        Self { provider, service: Service::start(base_url, &settings), reports }
    }

    /// A machine whose tokens have this form, scope and audience.
    fn machine(&self, id: &str, format: &str, scope: &str, audience: &str) -> TestClient {
        let arguments = ["--grant", "client_credentials", "--access-token-format", format];
        self.provider.register(id, &[&arguments[..], &["--scope", scope, "--audience", audience]].concat()).0
    }

    async fn own_token(&self, machine: &TestClient) -> String {
        let issuer = &self.provider.serve.issuer;
        let request = http().post(format!("{issuer}/token")).basic_auth(&machine.client_id, machine.secret.as_ref());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        send(request.body("grant_type=client_credentials")).await.ok().text("access_token")
    }

    async fn revoke(&self, client: &TestClient, token: &str) {
        let request = http().post(format!("{}/revoke", self.provider.serve.issuer));
        let request = request.basic_auth(&client.client_id, client.secret.as_ref());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let _ = send(request.body(format!("token={token}"))).await.ok();
    }
}

impl Deref for Ready {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

fn now() -> i64 {
    Clock::System.now().0
}

/// Signs with the provider's own key, so that nothing but the claims is wrong.
fn sign(keys: &KeySet, typ: &str, claims: &Map<String, Value>, at: i64) -> String {
    keys.sign(SigningAlgorithm::Rs256, typ, claims, NumericDate(at)).unwrap()
}

/// RFC 6750 section 3.1: no token, no error code; and what is not a token at all is a mistake in the request.
#[tokio::test]
async fn without_a_token_the_challenge_is_bare() {
    let ready = Ready::start();
    for route in [READ, PUBLISH] {
        for headers in [&[][..], &[("authorization", "Basic cmVwb3J0czp4")], &[("cookie", "access_token=x")]] {
            let answer = ready.call(&route, headers).await;
            assert_eq!(answer.status.as_u16(), 401);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"reports\""));
            assert!(answer.json().get("error").is_none(), "{}", answer.body);
        }
        for bad in ["Bearer", "Bearer ", "Bearer a b", "Bearer \"x\"", "bearer x,y"] {
            let answer = ready.call(&route, &[("authorization", bad)]).await;
            assert_eq!(answer.error(), (400, "invalid_request".into()), "{bad}");
        }
        let twice = [("authorization", "Bearer x"), ("authorization", "Bearer y")];
        assert_eq!(ready.call(&route, &twice).await.error(), (400, "invalid_request".into()));
    }
    // What is not there is said in the same language.
    let answer = ready.call(&(Method::GET, "/api/nothing", ""), &[]).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (404, json!({"error_description": "Not Found"})));
    let answer = ready.call(&(Method::DELETE, "/api/reports", ""), &[]).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("GET")));
}

/// RFC 9068 section 4: each check, with a token that is good but for one thing.
#[tokio::test]
async fn a_jwt_access_token_is_checked_by_the_published_keys() {
    let ready = Ready::start();
    let machine = ready.machine("nightly", "jwt", SCOPE, &ready.audience());
    let good = ready.own_token(&machine).await;
    let answer = ready.call_with(&READ, &good).await.ok().json();
    assert_eq!(answer["caller"], json!({"sub": "nightly", "client_id": "nightly", "is_machine": true}));
    assert_eq!(answer["reports"].as_array().unwrap().len(), 2);
    let _ = ready.call(&READ, &[("authorization", &format!("bearer {good}"))]).await.ok();

    let elsewhere = ready.machine("elsewhere", "jwt", SCOPE, "https://elsewhere.example/api");
    ready.assert_refused(&READ, &ready.own_token(&elsewhere).await, 401, "invalid_token").await;
    let writer = ready.machine("writer", "jwt", "reports:publish", &ready.audience());
    ready.assert_refused(&READ, &ready.own_token(&writer).await, 403, "insufficient_scope").await;
    let opaque = ready.machine("opaque", "opaque", SCOPE, &ready.audience());
    ready.assert_refused(&READ, &ready.own_token(&opaque).await, 401, "invalid_token").await;

    // Tampered: another signature, other claims, none, or the algorithm that needs no key.
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("{good}") };
    let reversed: String = signature.chars().rev().collect();
    let encode = |value: &Value| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let mut richer = claims_of(&good);
    richer["scope"] = json!("reports:read reports:publish admin");
    for forged in [
        format!("{header}.{payload}.{reversed}"),
        format!("{header}.{}.{signature}", encode(&richer)),
        format!("{header}.{payload}."),
        format!("{}.{payload}.", encode(&json!({"alg": "none", "typ": "at+jwt"}))),
        format!("{}.{payload}.{signature}", encode(&json!({"alg": "HS256", "typ": "at+jwt", "kid": "x"}))),
        format!("{}.{payload}.{signature}", encode(&json!({"alg": "RS256", "typ": "at+jwt", "kid": ["x"]}))),
        format!("{}.{payload}.{signature}", encode(&json!({"alg": "RS256", "typ": "at+jwt"}))),
        "x".repeat(9000),
        "a.b.c".to_owned(),
    ] {
        ready.assert_refused(&READ, &forged, 401, "invalid_token").await;
    }

    // Signed by the very key of the provider, and still not good.
    let keys = KeySet::load(&ready.provider.folder.path().join("keys")).unwrap();
    let claims = claims_of(&good).as_object().unwrap().clone();
    let _ = ready.call_with(&READ, &sign(&keys, "at+jwt", &claims, now())).await.ok();
    let _ = ready.call_with(&READ, &sign(&keys, "application/AT+JWT", &claims, now())).await.ok();
    for typ in ["JWT", "logout+jwt", "at"] {
        ready.assert_refused(&READ, &sign(&keys, typ, &claims, now()), 401, "invalid_token").await;
    }
    let audience = ready.audience();
    for (member, value) in [
        ("exp", json!(now() - 60)),
        ("exp", json!("tomorrow")),
        ("iat", json!(now() + 3600)),
        ("nbf", json!(now() + 3600)),
        ("iss", json!(format!("{}/", ready.provider.serve.issuer))),
        ("aud", json!(format!("{audience}/"))),
        ("aud", json!(["https://elsewhere.example/api"])),
    ] {
        let mut bad = claims.clone();
        bad.insert(member.to_owned(), value);
        ready.assert_refused(&READ, &sign(&keys, "at+jwt", &bad, now()), 401, "invalid_token").await;
    }
    for member in ["exp", "iss", "aud", "sub", "client_id", "iat", "jti"] {
        let mut bad = claims.clone();
        bad.remove(member);
        ready.assert_refused(&READ, &sign(&keys, "at+jwt", &bad, now()), 401, "invalid_token").await;
    }
    let mut several = claims.clone();
    several.insert("aud".into(), json!(["https://elsewhere.example/api", audience]));
    let _ = ready.call_with(&READ, &sign(&keys, "at+jwt", &several, now())).await.ok();
    let mut poor = claims;
    poor.remove("scope");
    ready.assert_refused(&READ, &sign(&keys, "at+jwt", &poor, now()), 403, "insufficient_scope").await;
    assert!(!ready.log().contains("Traceback"), "{}", ready.log());
}

/// RFC 9068 section 5: a person's token by way of another service; an `id_token` is none.
#[tokio::test]
async fn a_persons_access_token_is_accepted_and_their_id_token_is_not() {
    let ready = Ready::start();
    let scope = format!("openid profile {SCOPE}");
    let monolith = "https://monolith.example/callback";
    let (monolith, _) = ready.provider.register(
        "monolith",
        &[
            "--redirect-uri",
            monolith,
            "--scope",
            &scope,
            "--audience",
            &ready.audience(),
            "--access-token-format",
            "jwt",
            "--consent",
            "skip",
        ],
    );
    let remote = Remote::new(&ready.provider.serve.issuer);
    let browser = UserAgent::new();
    let _ = remote.sign_in(&browser, &ready.reports, "alice", PASSWORD).await;
    let page = remote.open(&Authorization::of(&monolith).with("scope", &scope), &browser).await;
    let answer = crate::support::Answer::of(&page, &monolith.redirect_uri);
    let tokens = remote.redeem(&monolith, answer.code()).await.ok();
    let sub = claims_of(&tokens.text("id_token"))["sub"].clone();
    for route in [READ, PUBLISH] {
        let answer = ready.call_with(&route, &tokens.text("access_token")).await.ok().json();
        assert_eq!(answer["caller"], json!({"sub": sub, "client_id": "monolith", "is_machine": false}));
        ready.assert_refused(&route, &tokens.text("id_token"), 401, "invalid_token").await;
    }
}

/// RFC 7662: what the provider says now, and only about tokens that are meant for this API.
#[tokio::test]
async fn an_opaque_access_token_is_checked_by_asking_the_provider() {
    let ready = Ready::start();
    let machine = ready.machine("publisher", "opaque", SCOPE, &ready.audience());
    let good = ready.own_token(&machine).await;
    assert!(good.starts_with("hp_at_"), "it is opaque: {good}");
    let answer = ready.call_with(&PUBLISH, &good).await.ok().json();
    assert_eq!(answer["caller"], json!({"sub": "publisher", "client_id": "publisher", "is_machine": true}));

    let elsewhere = ready.machine("elsewhere", "opaque", SCOPE, "https://elsewhere.example/api");
    ready.assert_refused(&PUBLISH, &ready.own_token(&elsewhere).await, 401, "invalid_token").await;
    let reader = ready.machine("reader", "opaque", "reports:read", &ready.audience());
    ready.assert_refused(&PUBLISH, &ready.own_token(&reader).await, 403, "insufficient_scope").await;
    for forged in [&good[..good.len() - 1], "hp_at_x", "no-token", "hp_rt_x"] {
        ready.assert_refused(&PUBLISH, forged, 401, "invalid_token").await;
    }

    // The provider tells Reports of its own tokens too: a person's sign-in is no permission to publish.
    let remote = Remote::new(&ready.provider.serve.issuer);
    let answer = remote.sign_in(&UserAgent::new(), &ready.reports, "alice", PASSWORD).await;
    let tokens = remote.redeem(&ready.reports, answer.code()).await.ok();
    ready.assert_refused(&PUBLISH, &tokens.text("access_token"), 401, "invalid_token").await;
    ready.assert_refused(&PUBLISH, &tokens.text("id_token"), 401, "invalid_token").await;

    // What is withdrawn is out at once, and a JWT as well, where it is asked about.
    ready.revoke(&machine, &good).await;
    ready.assert_refused(&PUBLISH, &good, 401, "invalid_token").await;
    let jwt = ready.machine("jwt", "jwt", SCOPE, &ready.audience());
    let good = ready.own_token(&jwt).await;
    let _ = ready.call_with(&PUBLISH, &good).await.ok();
    ready.revoke(&jwt, &good).await;
    ready.assert_refused(&PUBLISH, &good, 401, "invalid_token").await;
    let _ = ready.call_with(&READ, &good).await.ok();
}

/// RFC 9470 sections 3 to 5: the API says what is missing, the client asks for it, the user proves it, and the next token does.
#[tokio::test]
async fn an_api_that_wants_a_second_factor_is_satisfied_by_a_step_up() {
    let provider = TestProvider::start().await;
    let base_url = FastApi::base_url();
    let resource = format!("{base_url}/api");
    provider.add(NewClient::new("reports").with("resource", &resource)).await;
    let scope = format!("openid {SCOPE}");
    let monolith = NewClient::new("monolith").with("consent", "skip").with("scope", &scope);
    let monolith = provider.add(monolith).await;
    provider.sql(&format!("INSERT INTO client_audiences VALUES ('monolith', '{resource}')")).await;
    provider.alice().await;
    let discovery = provider.url("/.well-known/openid-configuration");
    let settings =
        format!("OIDC_DISCOVERY_URL={discovery}\nOIDC_CLIENT_ID=reports\nOIDC_CLIENT_SECRET={CLIENT_SECRET}\n");
    let service = Service::start(base_url, &settings);
    let retract = (Method::POST, "/api/reports/retract", "reports:publish");
    let browser = UserAgent::new();
    let request = || Authorization::of(&monolith).with("scope", &scope);
    let answer = request().complete(&provider, &browser).await;
    let token = provider.redeem(&monolith, answer.code()).await.ok().text("access_token");
    let _ = service.call_with(&PUBLISH, &token).await.ok();
    let refused = service.call_with(&retract, &token).await;
    assert_eq!(refused.error(), (401, "insufficient_user_authentication".into()), "{}", service.log());
    let challenge = refused.header("www-authenticate").unwrap().to_owned();
    let parameter = |name: &str| {
        let rest = challenge.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in {challenge}")).1;
        rest.split('"').next().unwrap().to_owned()
    };
    assert_eq!((parameter("acr_values").as_str(), parameter("max_age").as_str()), ("2", "600"));

    let wanted = || request().with("acr_values", &parameter("acr_values")).with("max_age", &parameter("max_age"));
    // Who has no second factor goes round once, and not for ever: the token says what was done.
    let page = wanted().open(&provider, &browser).await;
    let answer = crate::support::Answer::of(&page, &monolith.redirect_uri);
    let tokens = provider.redeem(&monolith, answer.code()).await.ok();
    assert_eq!(claims_of(&tokens.text("id_token"))["acr"], "1");
    // Who has one is asked for the code alone.
    let authenticator = provider.enroll("alice-sub").await;
    provider.travel(10);
    let page = wanted().open(&provider, &browser).await;
    let page = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    let answer = crate::support::Answer::of(&page, &monolith.redirect_uri);
    let token = provider.redeem(&monolith, answer.code()).await.ok().text("access_token");
    let answer = service.call_with(&retract, &token).await.ok().json();
    assert_eq!(answer["caller"], json!({"sub": "alice-sub", "client_id": "monolith", "is_machine": false}));
    let machine = NewClient::new("job").with("grant_types", "client_credentials").with("scope", SCOPE);
    let machine = provider.add(machine).await;
    provider.sql(&format!("INSERT INTO client_audiences VALUES ('job', '{resource}')")).await;
    let own = provider.post("/token", machine.auth(), &[("grant_type", "client_credentials")]).await.ok();
    let refused = service.call_with(&retract, &own.text("access_token")).await;
    assert_eq!(refused.error(), (401, "insufficient_user_authentication".into()));
}

/// With a provider whose clock moves: what has expired; and a registration that is not in order is not the caller's fault.
#[tokio::test]
async fn an_opaque_access_token_expires_and_a_wrong_secret_of_ours_is_not_the_callers_fault() {
    let provider = TestProvider::start().await;
    let base_url = FastApi::base_url();
    let resource = format!("{base_url}/api");
    provider.add(NewClient::new("reports").with("resource", &resource)).await;
    let machine = NewClient::new("publisher").with("grant_types", "client_credentials").with("scope", SCOPE);
    let machine = provider.add(machine).await;
    provider.sql(&format!("INSERT INTO client_audiences VALUES ('publisher', '{resource}')")).await;
    let settings = |secret: &str| {
        let discovery = provider.url("/.well-known/openid-configuration");
        format!("OIDC_DISCOVERY_URL={discovery}\nOIDC_CLIENT_ID=reports\nOIDC_CLIENT_SECRET={secret}\n")
    };
    let fields = [("grant_type", "client_credentials")];
    let token = provider.post("/token", machine.auth(), &fields).await.ok().text("access_token");

    let service = Service::start(base_url.clone(), &settings(CLIENT_SECRET));
    let _ = service.call_with(&PUBLISH, &token).await.ok();
    provider.travel(500);
    let _ = service.call_with(&PUBLISH, &token).await.ok();
    provider.travel(100);
    service.assert_refused(&PUBLISH, &token, 401, "invalid_token").await;

    drop(service);
    let service = Service::start(base_url, &settings("hp_cs_not-the-secret-of-this-client-0123456789"));
    let answer = service.call_with(&PUBLISH, &token).await;
    assert_eq!(answer.error(), (503, "temporarily_unavailable".into()), "{}", service.log());
    assert!(service.log().contains("401"), "the operator is told: {}", service.log());
    assert!(!service.log().contains(&token), "{}", service.log());
}

/// Keys are kept, and fetched again for an unknown `kid`, but not for every caller who makes one up.
#[tokio::test]
async fn a_new_key_is_learned_and_made_up_ones_do_not_reach_the_provider() {
    let mut ready = Ready::start();
    let machine = ready.machine("nightly", "jwt", SCOPE, &ready.audience());
    let good = ready.own_token(&machine).await;
    let started = now();
    let _ = ready.call_with(&READ, &good).await.ok();
    let folder = ready.provider.folder.path().join("keys");
    let tomorrow = now() + 86_400;
    keys::create(&folder, SigningAlgorithm::Rs256, NumericDate(tomorrow)).unwrap();
    let keys = KeySet::load(&folder).unwrap();
    let claims = claims_of(&good).as_object().unwrap().clone();
    // The latest key signs, once its time has come.
    let by_new_key = sign(&keys, "at+jwt", &claims, tomorrow);
    until("the API knows the new key", async || ready.call_with(&READ, &by_new_key).await.status.is_success()).await;

    // That took many tokens with an unknown `kid`, and so do these; the keys are asked for every ten seconds at most.
    let stranger = TempDir::new().unwrap();
    keys::create(stranger.path(), SigningAlgorithm::Rs256, NumericDate(0)).unwrap();
    let forged = sign(&KeySet::load(stranger.path()).unwrap(), "at+jwt", &claims, now());
    for _ in 0..100 {
        ready.assert_refused(&READ, &forged, 401, "invalid_token").await;
    }
    let asked = ready.provider.log().lines().filter(|line| line.contains("/jwks")).count();
    let most = usize::try_from((now() - started) / 10 + 2).unwrap();
    assert!((2..=most).contains(&asked), "{asked}, not {most}: {}", ready.provider.log());

    // With the provider gone, what is known continues to work; what must be asked about is our fault, not the caller's.
    ready.provider.serve.running.signal("TERM");
    assert_eq!(ready.provider.serve.running.wait(), 0);
    let _ = ready.call_with(&READ, &good).await.ok();
    let unknown = ready.call_with(&PUBLISH, &good).await;
    assert_eq!((unknown.error(), unknown.header("retry-after")), ((503, "temporarily_unavailable".into()), Some("5")));
    assert!(unknown.header("www-authenticate").is_none());
    assert!(!ready.log().contains("Traceback"), "{}", ready.log());
    assert!(!ready.log().contains(&good), "{}", ready.log());
}
