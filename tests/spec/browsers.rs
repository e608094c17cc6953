//! The same way through Hallpass in three engines: Chromium, Firefox and `WebKitGTK`. The provider and two services are on
//! three sites, over TLS, so that cookies, forms and frames cross sites by each engine's own rules. What a user can do
//! besides is tried in Chromium (`browser.rs`).

use crate::support::provider::PASSWORD;
use crate::support::remote::Remote;
use crate::support::tls_front::TlsFront;
use crate::support::webdriver::{AnyBrowser, Engine};
use crate::support::{Answer, Authorization, NewClient, Receiver, TestClient, TestProvider, claims_of};
use reqwest::Method;
use serde_json::json;
use url::Url;

/// A service on a site of its own, and what browsers bring it.
struct Service {
    redirect_uri: String,
    receiver: Receiver,
}

impl Service {
    async fn on(host: &str) -> Self {
        let (front, receiver) = (TlsFront::on(host).await, Receiver::start().await);
        let redirect_uri = format!("{}/callback", front.origin);
        let port = Url::parse(&receiver.redirect_uri).unwrap().port().unwrap();
        front.lead_to(([127, 0, 0, 1], port).into());
        Self { redirect_uri, receiver }
    }

    /// Opens a page of it, to leave from.
    async fn open(&self, browser: &AnyBrowser) {
        browser.goto(&self.redirect_uri).await;
        assert_eq!(browser.text("#arrived").await, "Arrived");
        let _ = self.receiver.next().await;
    }

    async fn arrival(&self, browser: &AnyBrowser) -> (Method, Answer) {
        browser.wait_for_url_containing(&self.redirect_uri).await;
        assert_eq!(browser.text("#arrived").await, "Arrived");
        self.receiver.next().await
    }
}

/// The provider behind TLS, two services and a user.
struct Sites {
    provider: TestProvider,
    reports: Service,
    wiki: Service,
    clients: [TestClient; 2],
}

impl Sites {
    async fn start() -> Self {
        let (reports, wiki) = (Service::on("reports.localhost").await, Service::on("wiki.localhost").await);
        let front = TlsFront::on("id.localhost").await;
        let provider = TestProvider::with(&[("issuer", &front.origin)]).await;
        front.lead_to(provider.address);
        provider.alice().await;
        let client = NewClient::new("reports").with("client_name", "Reports").at(&[&reports.redirect_uri]);
        let client = client.with("frontchannel_logout_uri", &format!("{}?front=1", reports.redirect_uri));
        let first = provider.add(client).await;
        let client = NewClient::new("wiki").with("client_name", "Wiki").at(&[&wiki.redirect_uri]);
        let second = provider.add(client.leaving_to(&wiki.redirect_uri)).await;
        Self { provider, reports, wiki, clients: [first, second] }
    }

    /// What a service gets for an answer. Its own requests go to the provider directly, without TLS.
    async fn id_token(&self, client: &TestClient, answer: &Answer) -> String {
        let inside = Remote::new(&format!("http://{}", self.provider.address));
        let id_token = inside.redeem(client, answer.code()).await.ok().text("id_token");
        assert_eq!(claims_of(&id_token)["sub"], "alice-sub");
        assert_eq!(claims_of(&id_token)["iss"], self.provider.issuer.as_str());
        id_token
    }

    async fn a_user_signs_in_and_allows_it(&self, browser: &AnyBrowser) {
        let [client, _] = &self.clients;
        self.reports.open(browser).await;
        browser.leave_for(&Authorization::of(client).url(&self.provider)).await;
        assert_eq!(browser.text("h1").await, "Sign in to continue to Reports");
        // The policy stops neither style nor script of the page.
        let shown = "return [getComputedStyle(document.body).backgroundColor !== 'rgba(0, 0, 0, 0)',
                             getComputedStyle(document.getElementById('reveal')).display !== 'none']";
        assert_eq!(browser.ask(shown).await, json!([true, true]));
        // Firefox gives the focus with the first picture of a page, which may come after the page is loaded.
        browser.wait("the first field has the focus", "return document.activeElement.id === 'username'").await;
        browser.fill("#username", "alice").await;
        browser.fill("#password", "not her password").await;
        browser.click("button[value=sign_in]").await;
        assert!(browser.text("[role=alert]").await.contains("do not match"));
        browser.fill("#password", PASSWORD).await;
        browser.click("button[value=sign_in]").await;
        assert!(browser.text("h1").await.contains("Reports"));
        browser.wait_for_url_containing("/consent").await;
        let cookies = browser.cookies().await;
        assert!(cookies.iter().any(|cookie| cookie.name.starts_with("__Host-hallpass_session_")), "{cookies:?}");
        for cookie in cookies {
            let is_kept = cookie.is_secure && cookie.is_http_only && cookie.same_site.eq_ignore_ascii_case("lax");
            assert!(is_kept, "{cookie:?}");
        }
        browser.click("button[value=allow]").await;
        let (method, answer) = self.reports.arrival(browser).await;
        assert_eq!((method, answer.get("state")), (Method::GET, Some("the state")));
        self.id_token(client, &answer).await;
    }

    /// At another site, by the session that is there; the answer is posted across sites by itself. Gives the `id_token`.
    async fn a_second_service_gets_its_answer_by_form_post(&self, browser: &AnyBrowser) -> String {
        let [_, client] = &self.clients;
        self.wiki.open(browser).await;
        browser.leave_for(&Authorization::of(client).with("response_mode", "form_post").url(&self.provider)).await;
        browser.wait_for_url_containing("/consent").await;
        assert!(browser.text("h1").await.contains("Wiki"));
        browser.click("button[value=allow]").await;
        let (method, answer) = self.wiki.arrival(browser).await;
        assert_eq!((method, answer.get("state")), (Method::POST, Some("the state")));
        self.id_token(client, &answer).await
    }

    /// Also at the first service, which a frame on the way tells (Front-Channel Logout 2).
    async fn a_sign_out_reaches_both_services_and_ends_the_session(&self, browser: &AnyBrowser, id_token: &str) {
        let mut out = Url::parse(&self.provider.url("/logout")).unwrap();
        out.query_pairs_mut()
            .append_pair("id_token_hint", id_token)
            .append_pair("post_logout_redirect_uri", &self.wiki.redirect_uri)
            .append_pair("state", "gone");
        browser.leave_for(out.as_str()).await;
        browser.wait_for_url_containing("/callback?state=gone").await;
        let (_, answer) = self.wiki.arrival(browser).await;
        assert_eq!(answer.get("state"), Some("gone"));
        let (method, notice) = self.reports.receiver.next().await;
        assert_eq!((method, notice.get("front")), (Method::GET, Some("1")));
        assert_eq!(notice.get("iss"), Some(self.provider.issuer.as_str()));
        assert!(notice.get("sid").is_some());

        let silent = Authorization::of(&self.clients[1]).with("prompt", "none").url(&self.provider);
        browser.leave_for(&silent).await;
        assert_eq!(self.wiki.arrival(browser).await.1.error(), "login_required");
        browser.leave_for(&Authorization::of(&self.clients[0]).url(&self.provider)).await;
        assert_eq!(browser.text("h1").await, "Sign in to continue to Reports");
    }
}

async fn a_user_goes_the_whole_way_in(engine: Engine) {
    let sites = Sites::start().await;
    let browser = AnyBrowser::open(engine).await;
    sites.a_user_signs_in_and_allows_it(&browser).await;
    let id_token = sites.a_second_service_gets_its_answer_by_form_post(&browser).await;
    sites.a_sign_out_reaches_both_services_and_ends_the_session(&browser, &id_token).await;
    assert!(sites.reports.receiver.is_empty() && sites.wiki.receiver.is_empty());
    browser.close().await;
}

#[tokio::test]
async fn chromium_signs_a_user_in_asks_for_consent_posts_the_answer_and_signs_out_across_sites() {
    a_user_goes_the_whole_way_in(Engine::Chromium).await;
}

#[tokio::test]
async fn firefox_signs_a_user_in_asks_for_consent_posts_the_answer_and_signs_out_across_sites() {
    a_user_goes_the_whole_way_in(Engine::Firefox).await;
}

#[tokio::test]
async fn webkit_signs_a_user_in_asks_for_consent_posts_the_answer_and_signs_out_across_sites() {
    a_user_goes_the_whole_way_in(Engine::WebKit).await;
}
