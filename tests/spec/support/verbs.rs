//! What people and clients do, a verb each: ask for a sign-in, go through it, redeem, call.

use super::leaks;
use super::provider::{PASSWORD, TestClient, TestProvider};
use super::user_agent::{Page, UserAgent};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::header::{self, HeaderMap};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use url::Url;
use url::form_urlencoded;

/// The verifier of every request of the tests: the one of [RFC 7636 appendix B](https://www.rfc-editor.org/rfc/rfc7636#appendix-B).
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Its challenge.
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// An authorization request about to be made.
#[derive(Clone)]
pub struct Authorization {
    parameters: Vec<(String, String)>,
    redirect_uri: String,
}

impl Authorization {
    /// The request that a sound client of code flow with PKCE makes.
    pub fn of(client: &TestClient) -> Self {
        let parameters = [
            ("response_type", "code"),
            ("client_id", &client.client_id),
            ("redirect_uri", &client.redirect_uri),
            ("scope", "openid profile email"),
            ("state", "the state"),
            ("nonce", "the nonce"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        Self {
            parameters: parameters.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            redirect_uri: client.redirect_uri.clone(),
        }
    }

    /// Sets a parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if name == "redirect_uri" {
            value.clone_into(&mut self.redirect_uri);
        }
        self.parameters.retain(|(known, _)| known != name);
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a parameter beside whatever is there.
    #[must_use]
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a parameter out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.parameters.retain(|(known, _)| known != name);
        self
    }

    /// As a URL.
    pub fn url(&self, provider: &TestProvider) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.parameters);
        format!("{}?{}", provider.url("/authorize"), query.finish())
    }

    /// As the fields of a form.
    pub fn fields(&self) -> Vec<(&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Opens it in a browser; gives the first page that is not one of our own redirects, or the redirect to the client.
    pub async fn open(&self, provider: &TestProvider, browser: &UserAgent) -> Page {
        let page = browser.cross_site_get(&self.url(provider)).await;
        provider.settle(browser, page).await
    }

    /// Goes through all of it as alice, who says yes to everything; gives the client's answer.
    pub async fn complete(&self, provider: &TestProvider, browser: &UserAgent) -> Answer {
        let mut page = self.open(provider, browser).await;
        for _ in 0..4 {
            if page.status.is_redirection() {
                return Answer::of(&page, &self.redirect_uri);
            }
            page = if page.url.path().ends_with("/login") {
                provider.type_in(browser, &page, "alice", PASSWORD).await
            } else if page.url.path().ends_with("/consent") {
                // Where the service is closed to alice, the only way is back to it.
                let decision = if page.status == StatusCode::FORBIDDEN { "back" } else { "allow" };
                let answered = browser.submit(page.form("form"), Some(("decision", decision))).await;
                provider.settle(browser, answered).await
            } else {
                return Answer::of(&page, &self.redirect_uri);
            };
        }
        panic!("the sign-in does not end: {page}");
    }
}

/// What came back to the client's address.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its parameters.
    pub parameters: Vec<(String, String)>,
}

impl Answer {
    /// Reads a redirect or a `form_post` page that leads to `redirect_uri`.
    pub fn of(page: &Page, redirect_uri: &str) -> Self {
        if let Some(location) = page.location() {
            let text = location.as_str();
            let rest =
                text.strip_prefix(redirect_uri).unwrap_or_else(|| panic!("{text} does not lead to {redirect_uri}"));
            let query = rest.strip_prefix(if redirect_uri.contains('?') { '&' } else { '?' });
            let query = query.unwrap_or_else(|| panic!("the answer is not in the query: {text}"));
            let parameters = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            return Self { parameters };
        }
        assert_eq!(page.status, StatusCode::OK, "{page}");
        let form = page.form("form#form_post");
        assert_eq!(form.action.as_str(), redirect_uri);
        assert_eq!(form.method, Method::POST);
        Self { parameters: form.fields }
    }

    /// A parameter, which must not be there twice.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.parameters.iter().filter(|(known, _)| known == name);
        let value = values.next()?;
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        Some(&value.1)
    }

    /// The code.
    pub fn code(&self) -> &str {
        self.get("code").unwrap_or_else(|| panic!("there is no code: {self:?}"))
    }

    /// The OAuth error.
    pub fn error(&self) -> &str {
        assert!(self.get("code").is_none(), "a refusal with a code: {self:?}");
        self.get("error").unwrap_or_else(|| panic!("there is no error: {self:?}"))
    }
}

/// An answer of a API endpoint.
#[derive(Clone, Debug)]
pub struct Api {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Api {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A member that is a text.
    pub fn text(&self, member: &str) -> String {
        self.json()[member].as_str().unwrap_or_else(|| panic!("there is no {member}: {}", self.body)).to_owned()
    }

    /// The OAuth error with the status.
    pub fn error(&self) -> (u16, String) {
        (self.status.as_u16(), self.text("error"))
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Panics unless it is a success.
    #[must_use]
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self
    }
}

/// How a client of a test authenticates.
#[derive(Clone, Copy, Debug)]
pub enum Auth<'a> {
    Basic(&'a str, &'a str),
    Post(&'a str, &'a str),
    Name(&'a str),
    Bearer(&'a str),
    Nothing,
}

impl TestClient {
    /// As it is registered, by Basic where it has a secret.
    pub fn auth(&self) -> Auth<'_> {
        match &self.secret {
            Some(secret) => Auth::Basic(&self.client_id, secret),
            None => Auth::Name(&self.client_id),
        }
    }
}

/// One connection pool a test process would do, but each test has a runtime of its own.
pub fn http() -> Client {
    Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl TestProvider {
    /// Follows our own redirects, up to a page or up to the client's address.
    pub async fn settle(&self, browser: &UserAgent, mut page: Page) -> Page {
        while let Some(location) = page.location() {
            if !location.as_str().starts_with(&self.issuer) {
                return page;
            }
            page = browser.follow(page).await;
        }
        page
    }

    /// Fills the login page in and continues to the next page or the client.
    pub async fn type_in(&self, browser: &UserAgent, page: &Page, username: &str, password: &str) -> Page {
        // Where an account can be chosen, that offer is the first form.
        let mut form = page
            .forms()
            .into_iter()
            .find(|form| form.value("password").is_some())
            .unwrap_or_else(|| panic!("no login form in {page}"));
        form.set("username", username).set("password", password);
        let answered = browser.submit(form, Some(("action", "sign_in"))).await;
        self.settle(browser, answered).await
    }

    /// Signs alice in, in this browser, by way of this client.
    pub async fn sign_in(&self, browser: &UserAgent, client: &TestClient) -> Answer {
        Authorization::of(client).complete(self, browser).await
    }

    /// Posts a form to a API endpoint.
    pub async fn post(&self, path: &str, auth: Auth<'_>, fields: &[(&str, &str)]) -> Api {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let mut request = http().post(self.url(path)).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        match auth {
            Auth::Basic(id, secret) => {
                let pair = format!("{}:{}", encoded(id), encoded(secret));
                request = request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
            }
            Auth::Post(id, secret) => {
                form.append_pair("client_id", id).append_pair("client_secret", secret);
            }
            Auth::Name(id) => {
                form.append_pair("client_id", id);
            }
            Auth::Bearer(token) => request = request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            Auth::Nothing => {}
        }
        send(request.body(form.finish())).await
    }

    /// Gets from a API endpoint.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Api {
        let mut request = http().get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request).await
    }

    /// Redeems a code with the tests' verifier.
    pub async fn redeem(&self, client: &TestClient, code: &str) -> Api {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &client.redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        self.post("/token", client.auth(), &fields).await
    }

    /// Signs alice in by way of this client and redeems the code.
    pub async fn tokens(&self, browser: &UserAgent, client: &TestClient) -> Api {
        let answer = self.sign_in(browser, client).await;
        self.redeem(client, answer.code()).await.ok()
    }

    /// Calls userinfo with a token in the header.
    pub async fn userinfo(&self, token: &str) -> Api {
        self.get("/userinfo", &[("authorization", &format!("Bearer {token}"))]).await
    }
}

/// Sends a request and reads all of the answer.
pub async fn send(request: reqwest::RequestBuilder) -> Api {
    let response = request.send().await.unwrap();
    let (status, headers, url) = (response.status(), response.headers().clone(), response.url().clone());
    let body = response.text().await.unwrap();
    leaks::watch_answer(url.path(), &headers, &body);
    Api { status, headers, body }
}

fn part_of(jwt: &str, index: usize) -> Value {
    let part = jwt.split('.').nth(index).unwrap_or_else(|| panic!("not a JWT: {jwt}"));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The header of a JWT; nothing is checked.
pub fn header_of(jwt: &str) -> Value {
    part_of(jwt, 0)
}

/// The claims of a JWT; nothing is checked.
pub fn claims_of(jwt: &str) -> Value {
    part_of(jwt, 1)
}

/// A host and port of a URL, as `Origin` has them.
pub fn origin_of(url: &str) -> String {
    Url::parse(url).unwrap().origin().ascii_serialization()
}
