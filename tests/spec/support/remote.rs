//! A provider that runs as a process of its own, seen from outside: what a person and a client do there.

use super::provider::TestClient;
use super::user_agent::{Page, UserAgent};
use super::verbs::{Answer, Api, Authorization, VERIFIER, http, send};
use std::time::Duration;
use url::form_urlencoded;

/// A provider by its issuer.
pub struct Remote {
    pub issuer: String,
}

impl Remote {
    pub fn new(issuer: &str) -> Self {
        Self { issuer: issuer.to_owned() }
    }

    /// Opens an authorization request; gives the first page that is not one of the provider's own redirects.
    pub async fn open(&self, request: &Authorization, browser: &UserAgent) -> Page {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(request.fields());
        let page = browser.cross_site_get(&format!("{}/authorize?{}", self.issuer, query.finish())).await;
        self.settle(browser, page).await
    }

    /// Fills the login page in and continues to the next page or the client.
    pub async fn type_in(&self, browser: &UserAgent, page: &Page, username: &str, password: &str) -> Page {
        let mut form = page.form("form");
        form.set("username", username).set("password", password);
        let answered = browser.submit(form, Some(("action", "sign_in"))).await;
        self.settle(browser, answered).await
    }

    /// Signs a user in, who says yes to everything; gives the client's answer.
    pub async fn sign_in(&self, browser: &UserAgent, client: &TestClient, username: &str, password: &str) -> Answer {
        let mut page = self.open(&Authorization::of(client), browser).await;
        for _ in 0..3 {
            page = if page.url.path().ends_with("/login") && page.location().is_none() {
                self.type_in(browser, &page, username, password).await
            } else if page.url.path().ends_with("/consent") && page.location().is_none() {
                let answered = browser.submit(page.form("form"), Some(("decision", "allow"))).await;
                self.settle(browser, answered).await
            } else {
                break;
            };
        }
        Answer::of(&page, &client.redirect_uri)
    }

    /// Redeems a code with the tests' verifier.
    pub async fn redeem(&self, client: &TestClient, code: &str) -> Api {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code").append_pair("code", code);
        form.append_pair("redirect_uri", &client.redirect_uri).append_pair("code_verifier", VERIFIER);
        let request = http().post(format!("{}/token", self.issuer));
        let request = if let Some(secret) = &client.secret {
            request.basic_auth(&client.client_id, Some(secret))
        } else {
            form.append_pair("client_id", &client.client_id);
            request
        };
        send(request.header("content-type", "application/x-www-form-urlencoded").body(form.finish())).await
    }

    /// Calls userinfo with a token in the header.
    pub async fn userinfo(&self, token: &str) -> Api {
        send(http().get(format!("{}/userinfo", self.issuer)).bearer_auth(token)).await
    }

    async fn settle(&self, browser: &UserAgent, mut page: Page) -> Page {
        while page.location().is_some_and(|location| location.as_str().starts_with(&self.issuer)) {
            page = browser.follow(page).await;
        }
        page
    }
}

/// Asks over and over until it is so, for half a minute at most; the test's own runtime continues meanwhile.
pub async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    for _ in 0..1500 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain until {what}");
}
