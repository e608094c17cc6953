//! A public client in a real browser: oidc-client-ts, with PKCE, by the CORS headers of the API endpoints, renewed by a
//! refresh token or in a frame, and signed out.

use crate::support::chromium::{Browser, Options, Tab};
use crate::support::party::{Party, Place, node_modules, source};
use crate::support::provider::{NewClient, PASSWORD};
use crate::support::{TestProvider, apache};
use axum::Router;
use axum::http::header;
use axum::response::Html;
use axum::routing::get;
use fantoccini::Locator;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;
use tokio::net::TcpListener;

/// The page, served to Chromium.
struct Page {
    origin: String,
}

impl Page {
    /// Serves it on a host's name of this machine, for a client that is registered as a page is.
    async fn start(provider: &TestProvider, id: &str, host: &str, client: NewClient, settings: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{host}:{}", listener.local_addr().unwrap().port());
        let client = client.public().with("consent", "skip").leaving_to(&format!("{origin}/signed-out"));
        let client = client.leaving_to(&format!("{origin}/popup-signed-out"));
        let client = client
            .at(&["callback", "silent", "popup"].map(|path| format!("{origin}/{path}")).each_ref().map(String::as_str));
        provider.add(client).await;
        let mut told = json!({"authority": provider.issuer, "client_id": id, "scope": "openid profile email"});
        told.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());

        let read = |file| fs::read_to_string(file).unwrap();
        let page = read(source("browser/index.html"));
        let script = read(source("browser/party.js"));
        let library = read(node_modules().join("oidc-client-ts/dist/browser/oidc-client-ts.min.js"));
        let serve = |kind: &'static str, text: String| get(async move || ([(header::CONTENT_TYPE, kind)], text));
        let router = Router::new()
            .route("/party.js", serve("text/javascript", script))
            .route("/oidc-client-ts.js", serve("text/javascript", library))
            .route("/settings.json", serve("application/json", told.to_string()))
            .fallback(async move || Html(page.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin }
    }

    async fn open(&self, browser: &Browser) {
        browser.goto(&format!("{}/", self.origin)).await;
        self.is_ready(browser).await;
    }

    /// Waits until the page has done what it does at its start; gives `signed in` or `signed out`.
    async fn is_ready(&self, browser: &Browser) -> String {
        browser.text("body[data-done]").await;
        assert!(browser.url().await.as_str().starts_with(&self.origin), "{}", browser.url().await);
        let failed = browser.text("#error").await;
        assert!(browser.ask("return document.body.dataset.ready").await == "yes", "{failed}");
        browser.text("#state").await
    }

    /// Presses a button that changes this very page; gives what came of it.
    async fn press(&self, browser: &Browser, button: &str) -> String {
        browser.ask(&format!("document.getElementById('{button}').click()")).await;
        self.outcome(browser, button).await
    }

    /// Clicks as a person does: browsers open windows for nothing else.
    async fn click(browser: &Browser, css: &str) {
        browser.client().find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    /// Takes the window in hand that was opened beside this one; gives this one, to come back to.
    async fn take_popup(&self, browser: &Browser) -> Tab {
        let (page, this) = (browser.tab().await, browser.client().window().await.unwrap());
        for _ in 0..400 {
            let windows = browser.client().windows().await.unwrap();
            if let Some(popup) = windows.into_iter().find(|window| *window != this) {
                browser.client().switch_to_window(popup).await.unwrap();
                return page;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("no window opens: {}", browser.text("#error").await);
    }

    async fn outcome(&self, browser: &Browser, button: &str) -> String {
        for _ in 0..400 {
            let said = browser.text("#error").await;
            if !said.is_empty() {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("nothing came of {button}");
    }
}

async fn ready() -> TestProvider {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider
}

async fn type_in(browser: &Browser) {
    browser.fill("#username", "alice").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("button[value=sign_in]").await;
}

fn refreshing(id: &str) -> NewClient {
    NewClient::new(id)
        .with("grant_types", "authorization_code refresh_token")
        .with("scope", "openid profile email offline_access")
}

#[tokio::test]
async fn oidc_client_ts_signs_in_renews_by_refresh_token_and_signs_out() {
    let provider = ready().await;
    // On another site than the provider, so that nothing depends on cookies that cross sites.
    let settings = json!({"scope": "openid profile email offline_access", "loadUserInfo": true});
    let page = Page::start(&provider, "spa", "spa.localhost", refreshing("spa"), settings).await;
    // A second party, with a server behind it, which shares the sign-in and is told of the end.
    let place = Place::of("node");
    provider.add(place.client()).await;
    let node = Party::node(place, &provider, &[]).await;

    let browser = Browser::open(Options::default()).await;
    page.open(&browser).await;
    assert_eq!(browser.text("#state").await, "signed out");
    browser.click("#login").await;
    assert_eq!(browser.text("h1").await, "Sign in to continue to The spa service");
    type_in(&browser).await;
    assert_eq!(page.is_ready(&browser).await, "signed in");
    assert_eq!(browser.text("#claim-sub").await, "alice-sub");
    assert_eq!(browser.text("#claim-name").await, "Alice Example");
    assert_eq!(browser.text("#claim-email").await, "alice@example.com");
    assert_eq!(page.press(&browser, "userinfo").await, "userinfo: alice@example.com");

    // Twice: the second time with what the first one gave.
    for _ in 0..2 {
        assert_eq!(page.press(&browser, "renew").await, "renewed: access_token, refresh_token");
        assert_eq!(page.press(&browser, "userinfo").await, "userinfo: alice@example.com");
    }

    let _ = browser.visited().await;
    browser.goto(&node.at("/login")).await;
    let known: Value = serde_json::from_str(&browser.text("body").await).unwrap();
    assert_eq!(known["sub"], "alice-sub", "{known}");
    let visited = browser.visited().await;
    let at_provider: Vec<_> = visited.iter().filter(|url| url.as_str().starts_with(&provider.issuer)).collect();
    assert_eq!(at_provider.len(), 1, "no page is shown: {visited:?}");

    page.open(&browser).await;
    browser.click("#logout").await;
    assert_eq!(page.is_ready(&browser).await, "signed out");
    assert_eq!(browser.text("#error").await, "back with the state");
    browser.goto(&node.at("/")).await;
    assert_eq!(browser.text("body").await, r#"{"signed_in":false}"#, "{}", node.log());
    // Nothing was refused by CORS or by a policy, and no script failed; only the other party has no icon.
    let errors = browser.console_errors().await;
    let errors: Vec<_> = errors.iter().filter(|line| !line.contains(&node.at("/favicon.ico"))).collect();
    assert_eq!(errors, Vec::<&String>::new());

    page.open(&browser).await;
    browser.click("#login").await;
    assert_eq!(browser.text("h1").await, "Sign in to continue to The spa service");
    browser.close().await;
}

/// Without a refresh token the library asks in a hidden frame, with `prompt=none`: possible where the page is on the
/// provider's own site, since browsers send no `Lax` cookie into a frame of another one.
#[tokio::test]
async fn oidc_client_ts_renews_in_a_frame_on_the_providers_own_site() {
    let provider = ready().await;
    let same_site = Page::start(&provider, "same", "127.0.0.1", NewClient::new("same"), json!({})).await;
    let elsewhere = Page::start(&provider, "elsewhere", "spa.localhost", NewClient::new("elsewhere"), json!({})).await;
    let browser = Browser::open(Options::default()).await;
    same_site.open(&browser).await;
    browser.click("#login").await;
    type_in(&browser).await;
    assert_eq!(same_site.is_ready(&browser).await, "signed in");
    assert_eq!(same_site.press(&browser, "renew").await, "renewed: access_token");

    elsewhere.open(&browser).await;
    browser.click("#login").await;
    assert_eq!(elsewhere.is_ready(&browser).await, "signed in");
    assert_eq!(elsewhere.press(&browser, "renew").await, "login_required");

    same_site.open(&browser).await;
    browser.click("#logout").await;
    assert_eq!(same_site.is_ready(&browser).await, "signed out");
    // The page is not told, but neither does anything it holds open anything.
    elsewhere.open(&browser).await;
    assert_eq!(elsewhere.press(&browser, "userinfo").await, "userinfo: 401");
    browser.close().await;
}

/// By default it asks no userinfo and sends no `nonce`: what is not in the `id_token` it does not know.
#[tokio::test]
async fn oidc_client_ts_as_it_comes_finds_name_and_email_unless_its_row_keeps_claims_out_of_the_id_token() {
    let provider = ready().await;
    let full = Page::start(&provider, "full", "full.localhost", NewClient::new("full"), json!({})).await;
    let bare = NewClient::new("bare").with("claims_in_id_token", "no");
    let bare = Page::start(&provider, "bare", "bare.localhost", bare, json!({})).await;
    let browser = Browser::open(Options::default()).await;
    full.open(&browser).await;
    let _ = browser.visited().await;
    browser.click("#login").await;
    let visited = browser.visited().await;
    let request = visited.iter().find(|url| url.path() == "/authorize").unwrap();
    assert!(request.query_pairs().any(|(name, value)| name == "code_challenge_method" && value == "S256"));
    assert!(request.query_pairs().all(|(name, _)| name != "nonce"), "{request}");
    type_in(&browser).await;
    assert_eq!(full.is_ready(&browser).await, "signed in");
    assert_eq!(browser.text("#claim-name").await, "Alice Example");
    assert_eq!(browser.text("#claim-email").await, "alice@example.com");

    bare.open(&browser).await;
    browser.click("#login").await;
    assert_eq!(bare.is_ready(&browser).await, "signed in");
    assert_eq!(browser.text("#claim-sub").await, "alice-sub");
    assert!(browser.ask("return document.getElementById('claim-name')").await.is_null());
    browser.close().await;
}

/// Front-Channel Logout: the provider's page loads a frame of the party, which goes by `iss` and `sid`, since browsers
/// send no cookie of its own along.
#[tokio::test]
async fn mod_auth_openidc_is_told_by_a_frame() {
    let provider = ready().await;
    let place = Place::of("apache");
    let frame = format!("{}/callback?logout=get", place.base_url);
    let client = NewClient::new("apache").with("consent", "skip").with("frontchannel_logout_uri", &frame);
    provider.add(client.at(&[&format!("{}/callback", place.base_url)])).await;
    let party = apache::start(place, &provider, &[], &["PKCE"]).await;
    let browser = Browser::open(Options::default()).await;
    browser.goto(&party.at("/login")).await;
    type_in(&browser).await;
    let known: Value = serde_json::from_str(&browser.text("body").await).unwrap();
    assert_eq!((&known["signed_in"], &known["sub"]), (&json!(true), &json!("alice-sub")), "{}", party.log());

    browser.goto(&provider.url("/logout")).await;
    browser.click("button[value=sign_out]").await;
    assert_eq!(browser.text("h1").await, "You are signed out");
    browser.goto(&party.at("/")).await;
    assert_eq!(browser.text("body").await, r#"{"signed_in":false}"#, "{}", party.log());
    browser.close().await;
}

/// A page that may not be left behind, such as a form half filled in, has the sign-in in a window of its own.
#[tokio::test]
async fn oidc_client_ts_signs_in_and_out_in_a_popup() {
    let provider = ready().await;
    let page = Page::start(&provider, "popup", "spa.localhost", NewClient::new("popup"), json!({})).await;
    let browser = Browser::open(Options::default()).await;
    page.open(&browser).await;
    Page::click(&browser, "#popup").await;
    let opener = page.take_popup(&browser).await;
    browser.fill("#username", "alice").await;
    browser.fill("#password", PASSWORD).await;
    // Other libraries, and older versions of this one, know no other way back than the window that opened this one.
    assert_eq!(browser.ask("return window.opener !== null").await, true);
    // The window closes when it is done.
    Page::click(&browser, "button[value=sign_in]").await;
    browser.switch(&opener).await;
    assert_eq!(page.outcome(&browser, "popup").await, "by popup");
    assert_eq!(browser.text("#state").await, "signed in");
    assert_eq!(browser.text("#claim-name").await, "Alice Example");

    // No user is asked, so this one is gone before it could be taken in hand.
    Page::click(&browser, "#popup-logout").await;
    assert_eq!(page.outcome(&browser, "popup-logout").await, "by popup");
    assert_eq!(browser.text("#state").await, "signed out");
    browser.close().await;
}
