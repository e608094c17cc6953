//! Relying parties that none of us wrote, through whole flows: the openidconnect crate, Authlib in the FastAPI example,
//! and the demo's services against a provider on PostgreSQL and Redis.

use crate::support::installation::Installation;
use crate::support::party::{Arrival, arrive};
use crate::support::program::{Demo, demo_ports};
use crate::support::provider::PASSWORD;
use crate::support::python::FastApi;
use crate::support::{Answer, Authorization, NewClient, Page, TestClient, TestProvider, UserAgent, VERIFIER};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{
    AccessTokenHash, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, LogoutRequest, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl, ProviderMetadataWithLogout,
    RedirectUrl, Scope, SubjectIdentifier, TokenResponse as _, reqwest as party_http,
};
use std::collections::HashMap;
use std::fmt::Write as _;
use url::Url;

// ---- The openidconnect crate.

/// What a party does differently from the first.
struct Party<'a> {
    client: &'a TestClient,
    algorithm: CoreJwsSigningAlgorithm,
    auth_type: AuthType,
}

impl<'a> Party<'a> {
    fn of(client: &'a TestClient) -> Self {
        Self { client, algorithm: CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, auth_type: AuthType::BasicAuth }
    }

    fn http() -> party_http::Client {
        party_http::Client::builder().redirect(party_http::redirect::Policy::none()).no_proxy().build().unwrap()
    }

    /// Signs alice in, in this browser, checking all that a relying party can check; gives what userinfo said.
    async fn sign_in(&self, provider: &TestProvider, browser: &UserAgent) -> CoreUserInfoClaims {
        let http = Self::http();
        // All it knows is the issuer.
        let issuer = IssuerUrl::new(provider.issuer.clone()).unwrap();
        let metadata = CoreProviderMetadata::discover_async(issuer, &http).await.unwrap();
        let secret = self.client.secret.clone().map(ClientSecret::new);
        let client = CoreClient::from_provider_metadata(metadata, ClientId::new(self.client.client_id.clone()), secret)
            .set_redirect_uri(RedirectUrl::new(self.client.redirect_uri.clone()).unwrap())
            .set_auth_type(self.auth_type.clone());
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
            .add_scope(Scope::new("profile".into()))
            .add_scope(Scope::new("email".into()))
            .set_pkce_challenge(challenge)
            .url();
        let page = browser.cross_site_get(url.as_str()).await;
        let mut page = provider.settle(browser, page).await;
        if page.location().is_none() {
            page = provider.type_in(browser, &page, "alice", PASSWORD).await;
        }
        let location = page.location().unwrap_or_else(|| panic!("no answer, but {page}"));
        let answer: HashMap<String, String> = location.query_pairs().into_owned().collect();
        assert_eq!((&answer["state"], &answer["iss"]), (state.secret(), &provider.issuer));

        let exchange = |verifier: PkceCodeVerifier| {
            client
                .exchange_code(AuthorizationCode::new(answer["code"].clone()))
                .unwrap()
                .set_pkce_verifier(verifier)
                .request_async(&http)
        };
        let tokens = exchange(verifier).await.unwrap();
        let id_token = tokens.id_token().unwrap();
        let id_token_verifier = client.id_token_verifier().set_allowed_algs([self.algorithm.clone()]);
        let claims = id_token.claims(&id_token_verifier, &nonce).unwrap();
        assert!(
            id_token.claims(&id_token_verifier, &Nonce::new("another".into())).is_err(),
            "a nonce that is not ours"
        );
        let other_algorithm = client.id_token_verifier().set_allowed_algs([CoreJwsSigningAlgorithm::HmacSha256]);
        assert!(id_token.claims(&other_algorithm, &nonce).is_err());

        let key = id_token.signing_key(&id_token_verifier).unwrap();
        let algorithm = id_token.signing_alg().unwrap();
        let expected = AccessTokenHash::from_token(tokens.access_token(), algorithm, key).unwrap();
        assert_eq!(claims.access_token_hash(), Some(&expected));

        let userinfo = |subject: SubjectIdentifier| {
            client.user_info(tokens.access_token().clone(), Some(subject)).unwrap().request_async(&http)
        };
        let stranger: Result<CoreUserInfoClaims, _> = userinfo(SubjectIdentifier::new("bob-sub".into())).await;
        assert!(stranger.is_err(), "the party compares sub");
        let known: CoreUserInfoClaims = userinfo(claims.subject().clone()).await.unwrap();

        // A second use of the code is refused, in words that the party can read.
        let refused = exchange(PkceCodeVerifier::new("v".repeat(43))).await.unwrap_err();
        assert!(format!("{refused:?}").contains("invalid_grant"), "{refused:?}");
        known
    }
}

fn assert_alice(known: &CoreUserInfoClaims) {
    assert_eq!(known.subject().as_str(), "alice-sub");
    assert_eq!(known.name().unwrap().get(None).unwrap().as_str(), "Alice Example");
    assert_eq!(known.email().unwrap().as_str(), "alice@example.com");
    assert_eq!(known.email_verified(), Some(true));
}

#[tokio::test]
async fn openidconnect_signs_in_with_each_algorithm() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let browser = UserAgent::new();
    for (name, algorithm) in [
        ("RS256", CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256),
        ("PS256", CoreJwsSigningAlgorithm::RsaSsaPssSha256),
        ("ES256", CoreJwsSigningAlgorithm::EcdsaP256Sha256),
        ("EdDSA", CoreJwsSigningAlgorithm::EdDsa),
    ] {
        let client = NewClient::new(name).with("consent", "skip").with("id_token_signed_response_alg", name);
        let client = provider.add(client).await;
        let party = Party { algorithm, ..Party::of(&client) };
        assert_alice(&party.sign_in(&provider, &browser).await);
    }
}

#[tokio::test]
async fn openidconnect_signs_in_with_each_way_to_authenticate() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let browser = UserAgent::new();
    // A secret made by hand, with characters that are encoded in one way or another.
    let awkward = "100% sure: a+b&c=d/é";
    for (client, auth_type) in [
        (NewClient::new("basic"), AuthType::BasicAuth),
        (NewClient::new("basic-awkward").secret(awkward), AuthType::BasicAuth),
        (NewClient::new("post").with("token_endpoint_auth_method", "client_secret_post"), AuthType::RequestBody),
        (
            NewClient::new("post-awkward").secret(awkward).with("token_endpoint_auth_method", "client_secret_post"),
            AuthType::RequestBody,
        ),
        (NewClient::new("public").public(), AuthType::RequestBody),
    ] {
        let client = provider.add(client.with("consent", "skip")).await;
        let party = Party { auth_type, ..Party::of(&client) };
        assert_alice(&party.sign_in(&provider, &browser).await);
    }
}

#[tokio::test]
async fn openidconnect_signs_in_where_the_issuer_has_a_path() {
    let provider = TestProvider::with(&[("issuer", "/auth")]).await;
    let client = provider.client("reports").await;
    provider.alice().await;
    assert_alice(&Party::of(&client).sign_in(&provider, &UserAgent::new()).await);
}

/// RP-Initiated Logout with the crate's own request, after a single sign-on; the session is over for both parties.
#[tokio::test]
async fn openidconnect_enters_by_single_sign_on_and_signs_out() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let out = "https://reports.example/signed-out";
    let reports = provider.add(NewClient::new("reports").with("consent", "skip").leaving_to(out)).await;
    let monolith = provider.client("monolith").await;
    let browser = UserAgent::new();
    assert_alice(&Party::of(&monolith).sign_in(&provider, &browser).await);

    let http = Party::http();
    let issuer = IssuerUrl::new(provider.issuer.clone()).unwrap();
    let metadata = ProviderMetadataWithLogout::discover_async(issuer, &http).await.unwrap();
    let end_session = metadata.additional_metadata().end_session_endpoint.clone().unwrap();
    let client_id = ClientId::new(reports.client_id.clone());
    let client = CoreClient::from_provider_metadata(metadata, client_id, reports.secret.clone().map(ClientSecret::new))
        .set_redirect_uri(RedirectUrl::new(reports.redirect_uri.clone()).unwrap());
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let flow = CoreAuthenticationFlow::AuthorizationCode;
    let request = client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random).set_pkce_challenge(challenge);
    let (url, ..) = request.url();
    // The second party: no page in between.
    let page = browser.cross_site_get(url.as_str()).await;
    let code = page.query_parameter("code").unwrap_or_else(|| panic!("{page}"));
    let exchange = client.exchange_code(AuthorizationCode::new(code)).unwrap().set_pkce_verifier(verifier);
    let tokens = exchange.request_async(&http).await.unwrap();

    let request = LogoutRequest::from(end_session)
        .set_id_token_hint(tokens.id_token().unwrap())
        .set_client_id(ClientId::new(reports.client_id.clone()))
        .set_post_logout_redirect_uri(PostLogoutRedirectUrl::new(out.into()).unwrap())
        .set_state(CsrfToken::new("the state".into()));
    let page = browser.cross_site_get(request.http_get_url().as_str()).await;
    assert_eq!(page.location().unwrap().as_str(), format!("{out}?state=the+state"), "{page}");
    for client in [&monolith, &reports] {
        let page = Authorization::of(client).with("prompt", "none").open(&provider, &browser).await;
        assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "login_required");
    }
    let userinfo = client.user_info(tokens.access_token().clone(), None).unwrap();
    let refused: Result<CoreUserInfoClaims, _> = userinfo.request_async(&http).await;
    assert!(format!("{:?}", refused.unwrap_err()).contains("401"));
}

/// OIDC Core 12: the same person by a new `id_token`, and every refresh token leads to the next.
#[tokio::test]
async fn openidconnect_refreshes() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let client = NewClient::new("reports").with("consent", "skip").with("scope", "openid email offline_access");
    let client = provider.add(client.with("grant_types", "authorization_code refresh_token")).await;
    let request = Authorization::of(&client).with("scope", "openid email offline_access");
    let answer = request.complete(&provider, &UserAgent::new()).await;
    let http = Party::http();
    let issuer = IssuerUrl::new(provider.issuer.clone()).unwrap();
    let metadata = CoreProviderMetadata::discover_async(issuer, &http).await.unwrap();
    let secret = client.secret.clone().map(ClientSecret::new);
    let party = CoreClient::from_provider_metadata(metadata, ClientId::new(client.client_id.clone()), secret)
        .set_redirect_uri(RedirectUrl::new(client.redirect_uri.clone()).unwrap());
    let exchange = party.exchange_code(AuthorizationCode::new(answer.code().to_owned())).unwrap();
    let verifier = PkceCodeVerifier::new(VERIFIER.into());
    let mut tokens = exchange.set_pkce_verifier(verifier).request_async(&http).await.unwrap();
    for _ in 0..2 {
        let before = tokens.refresh_token().unwrap().clone();
        tokens = party.exchange_refresh_token(&before).unwrap().request_async(&http).await.unwrap();
        assert_ne!(tokens.refresh_token().unwrap().secret(), before.secret());
        // There is no nonce to compare: the token is not the answer to a request of the browser's.
        let no_nonce = |nonce: Option<&Nonce>| nonce.map_or(Ok(()), |_| Err("a nonce".to_owned()));
        let claims = tokens.id_token().unwrap().claims(&party.id_token_verifier(), no_nonce).unwrap();
        assert_eq!(claims.subject().as_str(), "alice-sub");
        let userinfo = party.user_info(tokens.access_token().clone(), Some(claims.subject().clone())).unwrap();
        let known: CoreUserInfoClaims = userinfo.request_async(&http).await.unwrap();
        assert_eq!(known.email().unwrap().as_str(), "alice@example.com");
    }
}

// ---- Services as processes of their own, against `hallpass serve` on PostgreSQL and Redis, whatever the suite runs on.

async fn open(browser: &UserAgent, url: &str) -> (Page, Vec<Url>) {
    let Arrival { page, visited } = arrive(browser, browser.get(url).await).await;
    (page, visited)
}

/// Fills the provider's login page in and continues.
async fn sign_in(browser: &UserAgent, page: &Page) -> Page {
    assert!(page.url.path().ends_with("/login"), "{page}");
    let mut form = page.form("form");
    form.set("username", "alice").set("password", PASSWORD);
    arrive(browser, browser.submit(form, Some(("action", "sign_in"))).await).await.page
}

async fn decide(browser: &UserAgent, page: &Page, decision: &str) -> Page {
    assert!(page.url.path().ends_with("/consent"), "{page}");
    arrive(browser, browser.submit(page.form("form"), Some(("decision", decision))).await).await.page
}

/// Opens what needs a sign-in, and must be in at once: by way of the provider, without any page of it.
async fn enter(browser: &UserAgent, issuer: &str, url: &str) -> Page {
    let (page, visited) = open(browser, url).await;
    let at_provider: Vec<&str> = visited.iter().filter(|url| url.as_str().starts_with(issuer)).map(Url::path).collect();
    assert_eq!(at_provider, ["/authorize"], "{page}");
    page
}

#[tokio::test]
async fn the_fastapi_example_signs_users_in() {
    let provider = Installation::start();
    let base_url = FastApi::base_url();
    let redirect_uri = format!("{base_url}/auth/callback");
    let home = format!("{base_url}/");
    let arguments =
        ["--redirect-uri", &redirect_uri, "--post-logout-redirect-uri", &home, "--name", "FastAPI & friends"];
    let (_, settings) = provider.register("fastapi", &arguments);
    assert!(settings.contains(&format!("OIDC_DISCOVERY_URL={}/.well-known/", provider.serve.issuer)), "{settings}");
    let service = FastApi::start(&base_url, &settings);
    let browser = UserAgent::new();
    let at = |path: &str| format!("{base_url}{path}");

    let (home, _) = open(&browser, &at("/")).await;
    assert!(home.text().contains("You are not signed in."), "{home}");

    // A user who refuses is told so, and stays out.
    let (login, _) = open(&browser, &at("/reports")).await;
    assert_eq!(login.title(), "Sign in to continue to FastAPI & friends");
    let consent = sign_in(&browser, &login).await;
    let refused = decide(&browser, &consent, "deny").await;
    assert_eq!((refused.status.as_u16(), refused.texts("h1")), (403, vec!["The sign-in was refused.".to_owned()]));
    assert!(refused.text().contains("access_denied"), "{refused}");
    let (home, _) = open(&browser, &at("/")).await;
    assert!(home.text().contains("You are not signed in."), "{home}");

    // A user who allows it comes back to where they wanted to go.
    let (consent, _) = open(&browser, &at("/reports")).await;
    let reports = decide(&browser, &consent, "allow").await;
    assert_eq!((reports.url.as_str(), reports.texts("h1")), (at("/reports").as_str(), vec!["Your reports".to_owned()]));
    assert_eq!(reports.texts("dt"), ["sub", "name", "email"]);
    let told = reports.texts("dd");
    assert_eq!(told[1..], ["Alice Example", "alice@example.com"]);
    assert!(told[0].len() >= 16, "{told:?}");

    // It has a session of its own: another look needs no provider. Signing out ends it there and at the provider.
    let (again, visited) = open(&browser, &at("/reports")).await;
    assert_eq!((again.texts("dd"), visited.len()), (told.clone(), 1));
    let out = arrive(&browser, browser.submit(again.form("form"), None).await).await.page;
    assert_eq!((out.url.path(), out.texts("h1")), ("/", vec!["You are signed out".to_owned()]), "{out}");
    let (login, _) = open(&browser, &at("/reports")).await;
    let back = sign_in(&browser, &login).await;
    assert_eq!(back.texts("dd"), told);

    // A code that is shown again is invalid.
    let stranger = UserAgent::new();
    let replayed = stranger.get(&at("/auth/callback?code=x&state=y")).await;
    assert_eq!(replayed.status.as_u16(), 400, "{replayed}");

    // With the provider gone in the middle of a sign-in, a page says what is the matter.
    let mut page = browser.get(&at("/login?next=/reports")).await;
    while !page.location().unwrap().as_str().starts_with(&base_url) {
        page = browser.follow(page).await;
    }
    let mut serve = provider.serve;
    serve.running.signal("TERM");
    assert_eq!(serve.running.wait(), 0);
    let page = browser.follow(page).await;
    let title = "The provider cannot be reached.".to_owned();
    assert_eq!((page.status.as_u16(), page.texts("h1")), (503, vec![title]), "{}", service.log());
    // Those who are in stay in.
    let (reports, _) = open(&browser, &at("/reports")).await;
    assert_eq!(reports.texts("dd"), told);
    assert!(!service.log().contains("Traceback"), "{}", service.log());
}

#[tokio::test]
async fn the_fastapi_example_says_when_there_is_no_provider() {
    let base_url = FastApi::base_url();
    let nowhere = FastApi::base_url();
    let settings = format!(
        "OIDC_DISCOVERY_URL={nowhere}/.well-known/openid-configuration\nOIDC_CLIENT_ID=x\nOIDC_CLIENT_SECRET=y\n"
    );
    let service = FastApi::start(&base_url, &settings);
    let (page, _) = open(&UserAgent::new(), &format!("{base_url}/reports")).await;
    let title = "The provider cannot be reached.".to_owned();
    assert_eq!((page.status.as_u16(), page.texts("h1")), (503, vec![title]), "{}", service.log());
}

#[tokio::test]
async fn the_demos_services_and_the_fastapi_example_share_one_sign_in_at_a_provider_on_postgresql_and_redis() {
    let _ports = demo_ports().await;
    let provider = Installation::start();
    let issuer = provider.serve.issuer.clone();
    let mut secrets = String::new();
    for (id, name, port) in [("monolith", "Monolith", 9001), ("reports", "Reports", 9002)] {
        let [callback, signed_out, backchannel] =
            ["callback", "signed-out", "backchannel-logout"].map(|path| format!("http://127.0.0.1:{port}/{path}"));
        let arguments = ["--redirect-uri", &callback, "--name", name, "--consent", "skip"];
        let sign_out = ["--post-logout-redirect-uri", &signed_out, "--backchannel-logout-uri", &backchannel];
        let (_, settings) = provider.register(id, &[&arguments[..], &sign_out].concat());
        let secret = settings.lines().find_map(|line| line.strip_prefix("OIDC_CLIENT_SECRET=")).unwrap();
        writeln!(secrets, "{id}={secret}").unwrap();
    }
    let file = provider.folder.path().join("secrets");
    std::fs::write(&file, secrets).unwrap();
    let arguments = ["--against", &issuer, "--secrets", file.to_str().unwrap()];
    let mut demo = Demo::start(provider.folder.path(), &arguments);
    assert_eq!((&demo.provider, &demo.credentials), (&issuer, &None));
    let base_url = FastApi::base_url();
    let redirect_uri = format!("{base_url}/auth/callback");
    let (home, backchannel) = (format!("{base_url}/"), format!("{base_url}/backchannel-logout"));
    let arguments = ["--redirect-uri", &redirect_uri, "--consent", "skip"];
    let sign_out = ["--post-logout-redirect-uri", &home, "--backchannel-logout-uri", &backchannel];
    let (_, settings) = provider.register("fastapi", &[&arguments[..], &sign_out].concat());
    let service = FastApi::start(&base_url, &settings);

    let browser = UserAgent::new();
    let (welcome, _) = open(&browser, &demo.monolith).await;
    assert_eq!(welcome.texts("h1"), ["Welcome to Monolith"]);
    let (login, _) = open(&browser, &format!("{}/login", demo.monolith)).await;
    assert_eq!(login.title(), "Sign in to continue to Monolith");
    let monolith = sign_in(&browser, &login).await;
    assert_eq!(monolith.texts("h1"), ["Hello, Alice Example"], "{monolith}");
    assert!(monolith.text().contains(&format!("\"iss\": \"{issuer}\"")), "{monolith}");

    let reports = enter(&browser, &issuer, &format!("{}/login", demo.reports)).await;
    assert_eq!(reports.texts("h1"), ["Hello, Alice Example"], "{reports}");
    let fastapi = enter(&browser, &issuer, &format!("{base_url}/reports")).await;
    assert_eq!(fastapi.texts("h1"), ["Your reports"], "{}", service.log());
    // All were told of the same user.
    let sub = &fastapi.texts("dd")[0];
    assert!(monolith.text().contains(sub) && reports.text().contains(sub), "{sub}: {monolith}");

    // A sign-out at the one reaches all, in either direction; and each is opened by its printed address alone.
    let out = arrive(&browser, browser.submit(fastapi.form("form"), None).await).await.page;
    assert_eq!(out.texts("h1"), ["You are signed out"], "{out}");
    let (monolith, visited) = open(&browser, &demo.monolith).await;
    assert!(monolith.text().contains("back-channel logout"), "{monolith}");
    assert_eq!(visited.len(), 1, "it was told before the user came");
    let another = UserAgent::new();
    let (login, _) = open(&another, &format!("{}/login", demo.monolith)).await;
    let monolith = sign_in(&another, &login).await;
    let fastapi = enter(&another, &issuer, &home).await;
    assert_eq!(fastapi.texts("h1"), ["Hello, Alice Example"], "{}", service.log());
    let _ = arrive(&another, another.submit(monolith.form("form"), None).await).await;
    let (fastapi, _) = open(&another, &format!("{base_url}/reports")).await;
    assert_eq!(fastapi.title(), "Sign in to continue to fastapi", "{}", service.log());

    demo.running.signal("INT");
    assert_eq!(demo.running.wait(), 0);
}
