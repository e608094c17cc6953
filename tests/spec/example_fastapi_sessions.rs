//! The sessions of the FastAPI example: silent sign-in at its home page, sign-out that continues at the provider
//! (RP-Initiated Logout 1.0), and sign-outs elsewhere that reach it (Back-Channel Logout 1.0); against a provider on PostgreSQL
//! and Redis.

use crate::support::chromium::{Browser, Options};
use crate::support::documents::root;
use crate::support::installation::Installation;
use crate::support::party::{Arrival, arrive};
use crate::support::provider::{PASSWORD, TestClient};
use crate::support::python::{FastApi, python};
use crate::support::remote::Remote;
use crate::support::verbs::{http, send};
use crate::support::{Answer, Api, Authorization, Page, UserAgent, claims_of};
use hallpass::ambient::Clock;
use hallpass::keys::{self, KeySet};
use hallpass::protocol::response::SigningAlgorithm;
use hallpass::protocol::time::NumericDate;
use serde_json::{Map, Value, json};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use url::form_urlencoded;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const ALICE: &str = "Hello, Alice Example";

/// An example that runs.
struct Example {
    process: FastApi,
    client: TestClient,
    settings: String,
    base_url: String,
    /// As the provider reaches it.
    backchannel_logout_uri: String,
}

impl Example {
    /// Registers it as its README says, and starts it; on this host, since cookies ignore ports.
    fn start(provider: &Installation, id: &str, host: &str, consent: &str) -> Self {
        let loopback = FastApi::base_url();
        let base_url = loopback.replace("127.0.0.1", host);
        let (callback, home) = (format!("{base_url}/auth/callback"), format!("{base_url}/"));
        let backchannel_logout_uri = format!("{loopback}/backchannel-logout");
        let arguments = ["--redirect-uri", &callback, "--consent", consent];
        let sign_out = ["--post-logout-redirect-uri", &home, "--backchannel-logout-uri", &backchannel_logout_uri];
        let (client, settings) = provider.register(id, &[&arguments[..], &sign_out].concat());
        Self { process: FastApi::start(&base_url, &settings), client, settings, base_url, backchannel_logout_uri }
    }

    /// Ends it and starts it once more.
    async fn again(self) -> Self {
        let Self { process, client, settings, base_url, backchannel_logout_uri } = self;
        drop(process);
        let process = FastApi::start(&base_url, &settings);
        // Browsers notice meanwhile that their connections have ended.
        tokio::time::sleep(Duration::from_millis(200)).await;
        Self { process, client, settings, base_url, backchannel_logout_uri }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    async fn open(&self, browser: &UserAgent, path: &str) -> Arrival {
        arrive(browser, browser.get(&self.at(path)).await).await
    }

    /// Signs alice in by way of the protected page.
    async fn sign_in(&self, browser: &UserAgent) -> Page {
        let page = type_in(browser, &self.open(browser, "/reports").await.page).await;
        assert_eq!(page.texts("h1"), ["Your reports"], "{page}\n{}", self.log());
        page
    }

    /// Whether the protected page opens; where it does not, it leads to the sign-in.
    async fn is_in(&self, browser: &UserAgent) -> bool {
        let page = browser.get(&self.at("/reports")).await;
        let is_in = page.status == 200;
        assert!(is_in || page.location().is_some_and(|to| to.as_str() == self.at("/login?next=/reports")), "{page}");
        is_in
    }

    /// Presses "Sign out" on a page.
    async fn sign_out(&self, browser: &UserAgent, page: &Page) -> Arrival {
        arrive(browser, browser.submit(page.form("form[action='/logout']"), None).await).await
    }

    async fn tell(&self, form: &[(&str, &str)]) -> Api {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.post(body, "application/x-www-form-urlencoded").await
    }

    async fn post(&self, body: String, content_type: &str) -> Api {
        let answer =
            send(http().post(&self.backchannel_logout_uri).header("content-type", content_type).body(body)).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("set-cookie").is_none(), "no browser is meant");
        answer
    }

    #[track_caller]
    fn assert_refused(&self, answer: &Api, why: &str) {
        assert_eq!(answer.error(), (400, "invalid_request".to_owned()), "{why}: {}", self.log());
        assert!(!answer.text("error_description").is_empty());
    }

    fn log(&self) -> String {
        self.process.log()
    }
}

async fn type_in(browser: &UserAgent, page: &Page) -> Page {
    assert!(page.url.path().ends_with("/login"), "{page}");
    let mut form = page.form("form");
    form.set("username", "alice").set("password", PASSWORD);
    arrive(browser, browser.submit(form, Some(("action", "sign_in"))).await).await.page
}

/// The cookie of an example, in a browser of its own.
fn with_the_cookie_of(browser: &UserAgent, example: &Example) -> UserAgent {
    let cookies = browser.cookies();
    let cookie = cookies.iter().find(|cookie| cookie.name == "reports_session").unwrap();
    let copy = UserAgent::new();
    copy.set_cookie(&example.at("/"), &format!("reports_session={}; path=/; samesite=lax; httponly", cookie.value));
    copy
}

fn now() -> i64 {
    Clock::System.now().0
}

// ---- What is kept, and how long.

/// What hours or thousands of users would show, with a clock and bounds of the test's own.
const BOUNDS: &str = r#"
import time
from types import SimpleNamespace
import back_channel, session, session_store
from session_store import SESSION_LIFETIME, Person, Session, SessionStore
from signed_tokens import TokenNotGood

clock = [1_000_000.0]
time.time = lambda: clock[0]
assert SESSION_LIFETIME <= 12 * 60 * 60 and session_store.MAX_SESSIONS <= 100_000 and back_channel.MAX_REMEMBERED <= 100_000

def of(sub, sid=None):
    return Session(Person(sub, None, None), sid, "secret")

store = SessionStore()
first = store.begin(of("alice", "a"))
clock[0] += SESSION_LIFETIME - 1
assert store.find(first) == of("alice", "a") and store.find("") is None and store.find(first[:-1]) is None
clock[0] += 1
assert store.find(first) is None, "its time is over"
second = store.begin(of("bob"))
assert list(store._sessions) == [second] and not store._of_sid, "what has ended takes no room"

session_store.MAX_SESSIONS = 3
store = SessionStore()
ids = [store.begin(of("alice", f"s{at}")) for at in range(5)]
assert [store.find(it) is not None for it in ids] == [False, False, True, True, True], "the oldest give way"
assert store.end_named("s0", "alice") == 0 and store.end_named("s2", "alice") == 1 and store.end_named(None, None) == 0
assert store.end_named(None, "alice") == 2 and not (store._sessions or store._of_sid or store._of_sub)
store.end(ids[0])
assert "secret" not in repr(of("alice"))

request = SimpleNamespace(session={})
assert not session.was_asked_lately(request)
session.mark_asked(request)
clock[0] += session.ASKED_LATELY - 1
assert session.was_asked_lately(request)
clock[0] += 1
assert not session.was_asked_lately(request), "after some minutes the provider is asked again"

def is_new(tokens, jti):
    try:
        tokens._use(jti)
        return True
    except TokenNotGood:
        return False

tokens = back_channel.LogoutTokens(None, None)
assert is_new(tokens, "x") and not is_new(tokens, "x")
clock[0] += back_channel.MAX_AGE
assert not is_new(tokens, "x"), "as long as a token may be good"
clock[0] += 60
assert is_new(tokens, "y") and list(tokens._used) == ["y"]
back_channel.MAX_REMEMBERED = 3
assert all(is_new(tokens, str(at)) for at in range(10)) and len(tokens._used) == 3
"#;

#[test]
fn sessions_expire_the_oldest_give_way_and_used_logout_tokens_are_remembered_while_they_would_be_good() {
    let example = root().join("examples/fastapi");
    let mut command = Command::new(python());
    let output = command.args(["-B", "-c", BOUNDS]).env("PYTHONPATH", example).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

// ---- The sign-in that the provider starts anew.

#[tokio::test]
async fn the_provider_starts_a_sign_in_there_anew_and_no_other_does() {
    let provider = Installation::start();
    let issuer = provider.serve.issuer.clone();
    let example = Example::start(&provider, "reports", "127.0.0.1", "skip");
    let browser = UserAgent::new();
    let login = example.open(&browser, "/reports").await.page;
    assert!(login.url.path().ends_with("/login"), "{login}");
    let initiated = |iss: &str| {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("iss", iss).finish();
        example.at(&format!("/login/initiate?{query}"))
    };
    for wrong in ["", "https://evil.example", &format!("{issuer}/"), &format!("{issuer}.evil.example")] {
        let refused = browser.get(&initiated(wrong)).await;
        assert_eq!(
            (refused.status.as_u16(), refused.texts("h1")),
            (400, vec!["This sign-in was not started here.".into()])
        );
    }
    // Where another site would have it go is not read.
    let elsewhere = format!("{}&target_link_uri=https%3A%2F%2Fevil.example", initiated(&issuer));
    let login = arrive(&browser, browser.get(&elsewhere).await).await.page;
    let page = type_in(&browser, &login).await;
    assert_eq!(
        (page.url.as_str(), page.texts("h1")),
        (example.at("/reports").as_str(), vec!["Your reports".to_owned()])
    );
    // By a form of the provider, which brings no cookie.
    let stranger = UserAgent::new();
    let address = example.at("/login/initiate");
    assert_eq!(stranger.cross_site_post(&address, &[("iss", "https://evil.example")]).await.status, 400);
    let led = stranger.cross_site_post(&address, &[("iss", &issuer)]).await;
    assert_eq!(led.location().map(String::from), Some(example.at("/login?next=/")), "{led}");
    assert!(led.header("set-cookie").is_none(), "it would take the place of the user's: {led}");
}

// ---- The silent sign-in.

#[tokio::test]
async fn the_home_page_has_a_user_in_at_once_who_is_signed_in_at_the_provider_already() {
    let provider = Installation::start();
    let issuer = &provider.serve.issuer;
    let example = Example::start(&provider, "reports", "127.0.0.1", "skip");
    let (monolith, _) = provider.register("monolith", &["--redirect-uri", "https://monolith.example/callback"]);
    let browser = UserAgent::new();
    let _ = Remote::new(issuer).sign_in(&browser, &monolith, "alice", PASSWORD).await;

    let home = example.open(&browser, "/").await;
    assert_eq!(home.at(issuer), ["/authorize"], "no page of the provider is shown");
    assert_eq!(home.page.texts("h1"), [ALICE], "{}\n{}", home.page, example.log());
    assert_eq!(home.page.url.as_str(), example.at("/"));
    assert!(example.is_in(&browser).await);
    assert_eq!(example.open(&browser, "/").await.visited.len(), 1, "it has a session of its own then");

    // Another sign-in takes its place.
    let old = with_the_cookie_of(&browser, &example);
    assert!(example.is_in(&old).await);
    let _ = example.open(&browser, "/login").await;
    assert!(example.is_in(&browser).await && !example.is_in(&old).await);
}

#[tokio::test]
async fn the_home_page_asks_the_provider_once_for_a_user_who_is_not_signed_in_and_does_not_go_round() {
    let provider = Installation::start();
    let issuer = &provider.serve.issuer;
    let example = Example::start(&provider, "reports", "127.0.0.1", "skip");
    let browser = UserAgent::new();
    let home = example.open(&browser, "/").await;
    assert_eq!(home.visited.iter().map(url::Url::path).collect::<Vec<_>>(), ["/", "/authorize", "/auth/callback", "/"]);
    assert_eq!((home.page.status.as_u16(), home.page.texts("h1")), (200, vec!["Reports".to_owned()]));
    assert!(home.page.text().contains("You are not signed in."), "{}", home.page);
    assert_eq!(example.open(&browser, "/").await.visited.len(), 1);

    // A sign-in that is in progress in another tab is left alone, also in a browser that has never been here.
    for browser in [browser, UserAgent::new()] {
        let login = example.open(&browser, "/reports").await.page;
        let home = example.open(&browser, "/").await;
        assert_eq!((home.visited.len(), home.page.status.as_u16()), (1, 200), "{}", home.page);
        assert_eq!(type_in(&browser, &login).await.texts("h1"), ["Your reports"]);
    }

    // A user who has not consented yet is not asked by this, either.
    let asking = Example::start(&provider, "asking", "127.0.0.1", "ask");
    let (monolith, _) = provider.register("monolith", &["--redirect-uri", "https://monolith.example/callback"]);
    let browser = UserAgent::new();
    let _ = Remote::new(issuer).sign_in(&browser, &monolith, "alice", PASSWORD).await;
    let home = asking.open(&browser, "/").await;
    assert_eq!(
        (home.at(issuer), home.page.texts("h1")),
        (vec!["/authorize"], vec!["Reports".to_owned()]),
        "{}",
        home.page
    );
    for log in [example.log(), asking.log()] {
        assert!(!log.contains("sign-in failed") && !log.contains("Traceback"), "{log}");
    }
}

/// OIDC Core 3.1.2.6: four answers mean that a user would have to be asked; they are an answer to `prompt=none` alone.
#[tokio::test]
async fn only_what_a_silent_sign_in_may_find_is_passed_over() {
    let provider = Installation::start();
    let example = Example::start(&provider, "reports", "127.0.0.1", "skip");
    let answer = async |path: &str, error: &str, issuer: &str| {
        let browser = UserAgent::new();
        let request = browser.get(&example.at(path)).await;
        let state = request.query_parameter("state").unwrap_or_else(|| panic!("{request}"));
        let mut query = form_urlencoded::Serializer::new(String::new());
        let _ = query.append_pair("error", error).append_pair("state", &state).append_pair("iss", issuer);
        arrive(&browser, browser.cross_site_get(&example.at(&format!("/auth/callback?{}", query.finish()))).await).await
    };
    let issuer = provider.serve.issuer.as_str();
    for error in ["login_required", "interaction_required", "consent_required", "account_selection_required"] {
        let silent = answer("/", error, issuer).await;
        assert_eq!((silent.page.status.as_u16(), silent.page.url.as_str()), (200, example.at("/").as_str()), "{error}");
        let of_another = answer("/", error, "https://elsewhere.example").await;
        assert_eq!(of_another.page.status, 400, "an answer of another issuer is none: {}", of_another.page);
        let asked = answer("/login", error, issuer).await;
        assert_eq!(asked.page.status, 400, "{error} after a sign-in with pages: {}", asked.page);
    }
    for (error, status) in [("access_denied", 403), ("temporarily_unavailable", 503), ("server_error", 502)] {
        assert_eq!(answer("/", error, issuer).await.page.status.as_u16(), status, "{error}");
    }
}

#[tokio::test]
async fn the_home_page_needs_no_provider() {
    let (base_url, nowhere) = (FastApi::base_url(), FastApi::base_url());
    let settings = format!(
        "OIDC_DISCOVERY_URL={nowhere}/.well-known/openid-configuration\nOIDC_CLIENT_ID=x\nOIDC_CLIENT_SECRET=y\n"
    );
    let service = FastApi::start(&base_url, &settings);
    let browser = UserAgent::new();
    for _ in 0..2 {
        let page = browser.get(&format!("{base_url}/")).await;
        assert_eq!((page.status.as_u16(), page.texts("h1")), (200, vec!["Reports".to_owned()]), "{}", service.log());
    }
    assert_eq!(service.log().matches("no silent sign-in").count(), 1, "it is tried once: {}", service.log());
}

// ---- The sign-out here.

#[tokio::test]
async fn a_sign_out_at_the_example_reaches_the_provider_and_another_service() {
    let provider = Installation::start();
    let issuer = provider.serve.issuer.clone();
    let example = Example::start(&provider, "reports", "127.0.0.1", "skip");
    let other = Example::start(&provider, "other", "localhost", "skip");
    let browser = UserAgent::new();
    let reports = example.sign_in(&browser).await;
    assert_eq!(other.open(&browser, "/").await.page.texts("h1"), [ALICE], "{}", other.log());

    // A browser follows a form's redirect to the provider only if the page allows it, and no other address.
    let policy = reports.header("content-security-policy").unwrap();
    let form_action = policy.split("; ").find(|directive| directive.starts_with("form-action"));
    assert_eq!(form_action, Some(format!("form-action 'self' {issuer}").as_str()));

    let old = with_the_cookie_of(&browser, &example);
    assert!(example.is_in(&old).await);
    let out = example.sign_out(&browser, &reports).await;
    assert_eq!(out.at(&issuer), ["/logout"], "{}", out.page);
    let request = out.visited.iter().find(|url| url.as_str().starts_with(&issuer)).unwrap();
    let sent: Vec<String> = request.query_pairs().map(|(name, _)| name.into_owned()).collect();
    for name in ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"] {
        assert!(sent.iter().any(|it| it == name), "{name}: {sent:?}");
    }
    assert_eq!(
        (out.page.url.path(), out.page.texts("h1")),
        ("/", vec!["You are signed out".to_owned()]),
        "{}",
        out.page
    );

    // It is over at the provider, here (also by a copy of the cookie), and at the other service.
    let answer = Remote::new(&issuer).open(&Authorization::of(&example.client).with("prompt", "none"), &browser).await;
    assert_eq!(Answer::of(&answer, &example.client.redirect_uri).error(), "login_required");
    assert!(!example.is_in(&browser).await && !example.is_in(&old).await, "{}", example.log());
    assert!(!other.is_in(&browser).await, "{}", other.log());
    assert!(other.log().contains("the provider ended a session: 1 here"), "{}", other.log());
    assert!(!example.log().contains("Traceback") && !other.log().contains("Traceback"));
}

/// As where the provider asks the user and they stay signed in there.
#[tokio::test]
async fn a_user_who_has_just_signed_out_is_not_signed_in_again_by_the_home_page() {
    let provider = Installation::start();
    let example = Example::start(&provider, "reports", "127.0.0.1", "skip");
    let browser = UserAgent::new();
    let reports = example.sign_in(&browser).await;
    // The browser does not follow to the provider; the session here is over all the same.
    let old = with_the_cookie_of(&browser, &example);
    let on_the_way = browser.submit(reports.form("form"), None).await;
    assert!(!example.is_in(&old).await);
    let state = on_the_way.query_parameter("state").unwrap();
    let home = example.open(&browser, "/").await;
    assert_eq!((home.visited.len(), home.page.texts("h1")), (1, vec!["Reports".to_owned()]), "{}", home.page);

    // The state that comes back is the one that was sent, and counts once.
    for (state, heading) in [("another", "Reports"), (&state, "You are signed out"), (&state, "Reports")] {
        let back = example.open(&browser, &format!("/?state={state}")).await;
        assert_eq!((back.visited.len(), back.page.texts("h1")), (1, vec![heading.to_owned()]), "{}", back.page);
    }
}

#[tokio::test]
async fn a_sign_out_needs_the_token_of_the_form_and_leaves_a_strangers_browser_alone() {
    let provider = Installation::start();
    let example = Example::start(&provider, "reports", "127.0.0.1", "skip");
    let browser = UserAgent::new();
    let reports = example.sign_in(&browser).await;
    for token in ["", "x"] {
        let refused = browser.post_form(&example.at("/logout"), &[("form_token", token)]).await;
        assert_eq!((refused.status.as_u16(), example.is_in(&browser).await), (403, true), "{refused}");
    }
    // Another site's form brings no cookie; if the answer set one, it would take the place of the user's.
    let crossed = browser.cross_site_post(&example.at("/logout"), &[]).await;
    assert_eq!((crossed.status.as_u16(), crossed.header("set-cookie")), (303, None), "{crossed}");
    assert!(example.is_in(&browser).await);
    let long = browser.post_form(&example.at("/logout"), &[("form_token", &"x".repeat(20_000))]).await;
    assert_eq!((long.status.as_u16(), example.is_in(&browser).await), (400, true), "{long}");

    // A page from before the session ended: the provider, which gets no id_token then, asks the user who is signed in there.
    let token = reports.form("form").value("form_token").unwrap().to_owned();
    let _ = example.sign_out(&browser, &reports).await;
    let again = example.sign_in(&browser).await;
    let copy = with_the_cookie_of(&browser, &example);
    let _ = example.sign_out(&copy, &again).await;
    assert!(!example.is_in(&browser).await);
    let out = arrive(&browser, browser.post_form(&example.at("/logout"), &[("form_token", &token)]).await).await;
    assert_eq!(out.at(&provider.serve.issuer), ["/logout"], "{}", out.page);
    assert!(!example.is_in(&browser).await);
}

#[tokio::test]
async fn a_restart_ends_the_sessions_and_the_home_page_has_users_in_again() {
    let mut provider = Installation::start();
    let mut example = Example::start(&provider, "reports", "127.0.0.1", "skip");
    let browser = UserAgent::new();
    let reports = example.sign_in(&browser).await;
    example = example.again().await;
    assert!(!example.is_in(&browser).await);
    assert_eq!(example.open(&browser, "/").await.page.texts("h1"), [ALICE], "{}", example.log());

    // Where the provider cannot be asked after all, a sign-out says what it is.
    example = example.again().await;
    provider.serve.running.signal("TERM");
    assert_eq!(provider.serve.running.wait(), 0);
    let out = example.sign_out(&browser, &reports).await.page;
    let title = "You are signed out here only.".to_owned();
    assert_eq!((out.status.as_u16(), out.texts("h1")), (503, vec![title]), "{}", example.log());
    assert!(!example.log().contains("Traceback"), "{}", example.log());
}

/// A browser that holds a page to its `Content-Security-Policy`.
#[tokio::test]
async fn a_sign_out_leads_to_the_provider_and_back_in_chromium() {
    let provider = Installation::start();
    let example = Example::start(&provider, "reports", "127.0.0.1", "skip");
    let browser = Browser::open(Options::default()).await;
    browser.goto(&example.at("/")).await;
    assert_eq!(browser.text("h1").await, "Reports");
    browser.click("main a").await;
    browser.fill("#username", "alice").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("button[value=sign_in]").await;
    assert_eq!(browser.text("h1").await, ALICE, "{}", example.log());
    let _ = browser.visited().await;
    browser.click("form button").await;
    assert_eq!(browser.text("h1").await, "You are signed out", "{:?}", browser.console_errors().await);
    let visited = browser.visited().await;
    assert!(visited.iter().any(|url| url.as_str().starts_with(&provider.serve.issuer)), "{visited:?}");
    // Nor is the user in again by opening it once more.
    browser.goto(&example.at("/")).await;
    assert_eq!(browser.text("h1").await, "Reports");
    browser.close().await;
}

// ---- Sign-outs elsewhere.

#[tokio::test]
async fn a_sign_out_elsewhere_ends_the_session_here_and_an_old_cookie_does_not_bring_it_back() {
    let provider = Installation::start();
    let issuer = provider.serve.issuer.clone();
    let remote = Remote::new(&issuer);
    let example = Example::start(&provider, "reports", "127.0.0.1", "skip");
    let (browser, elsewhere) = (UserAgent::new(), UserAgent::new());
    let reports = example.sign_in(&browser).await;
    let _ = example.sign_in(&elsewhere).await;
    let old = with_the_cookie_of(&browser, &example);
    assert!(example.is_in(&old).await, "a copy of the cookie is as good as the cookie");

    let page = browser.get(&format!("{issuer}/logout")).await;
    let page = arrive(&browser, browser.submit(page.form("form"), None).await).await.page;
    assert!(page.url.as_str().starts_with(&issuer), "{page}");
    let answer = remote.open(&Authorization::of(&example.client).with("prompt", "none"), &browser).await;
    assert_eq!(Answer::of(&answer, &example.client.redirect_uri).error(), "login_required");
    assert!(!example.is_in(&browser).await, "{}", example.log());
    assert!(!example.is_in(&old).await);
    assert!(example.is_in(&elsewhere).await, "the same user's session in another browser continues");

    // The page that is still open there says "Sign out": it leads to the end as well.
    let out = example.sign_out(&old, &reports).await;
    assert_eq!(out.at(&issuer), ["/logout"], "{}", out.page);
    assert!(!example.is_in(&old).await);
    let home = example.open(&browser, "/").await;
    assert_eq!(home.page.texts("h1"), ["Reports"], "{}", home.page);
}

/// Two browsers of alice, what tokens say of the first one's session, and the provider's keys.
struct SignedIn {
    provider: Installation,
    example: Example,
    browsers: [UserAgent; 2],
    keys: KeySet,
    id_token: String,
    claims: Map<String, Value>,
}

impl SignedIn {
    async fn start() -> Self {
        let provider = Installation::start();
        let example = Example::start(&provider, "reports", "127.0.0.1", "skip");
        let browsers = [UserAgent::new(), UserAgent::new()];
        for browser in &browsers {
            let _ = example.sign_in(browser).await;
        }
        // Another id_token of the same session, for the same client.
        let remote = Remote::new(&provider.serve.issuer);
        let page = remote.open(&Authorization::of(&example.client), &browsers[0]).await;
        let answer = Answer::of(&page, &example.client.redirect_uri);
        let id_token = remote.redeem(&example.client, answer.code()).await.ok().text("id_token");
        let keys = KeySet::load(&provider.folder.path().join("keys")).unwrap();
        let of = claims_of(&id_token);
        let claims = json!({
            "iss": of["iss"], "aud": of["aud"], "sub": of["sub"], "sid": of["sid"], "events": {EVENT: {}},
            "iat": now(), "exp": now() + 120, "jti": "one",
        });
        assert!(claims["sid"].is_string() && claims["sub"].is_string(), "{claims}");
        let claims = claims.as_object().unwrap().clone();
        Self { provider, example, browsers, keys, id_token, claims }
    }

    /// The token with these claims, but for what is said here; `null` takes a claim away.
    fn with(&self, changes: &[(&str, Value)]) -> String {
        let mut claims = self.claims.clone();
        for (name, value) in changes {
            claims.insert((*name).to_owned(), value.clone());
            if value.is_null() {
                claims.remove(*name);
            }
        }
        self.sign("logout+jwt", &claims)
    }

    fn sign(&self, typ: &str, claims: &Map<String, Value>) -> String {
        self.keys.sign(SigningAlgorithm::Rs256, typ, claims, NumericDate(now())).unwrap()
    }

    async fn refuses(&self, token: &str, why: &str) {
        self.example.assert_refused(&self.example.tell(&[("logout_token", token)]).await, why);
    }

    async fn are_in(&self) -> [bool; 2] {
        let [first, second] = &self.browsers;
        [self.example.is_in(first).await, self.example.is_in(second).await]
    }
}

/// Back-Channel Logout 1.0 section 2.6.
#[tokio::test]
async fn a_logout_token_that_is_forged_expired_for_another_or_of_another_kind_is_refused_and_ends_nothing() {
    let ready = SignedIn::start().await;
    let good = ready.with(&[]);
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("{good}") };
    let reversed: String = signature.chars().rev().collect();
    let encode = |value: &Value| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let other_payload = encode(&json!(ready.claims));
    for forged in [
        format!("{header}.{payload}.{reversed}"),
        format!("{header}.{payload}."),
        format!("{header}.{}.{signature}", encode(&json!({"sub": ready.claims["sub"]}))),
        format!("{}.{other_payload}.", encode(&json!({"alg": "none", "typ": "logout+jwt"}))),
        format!("{}.{payload}.{signature}", encode(&json!({"alg": "HS256", "typ": "logout+jwt", "kid": "x"}))),
        format!("{}.{payload}.{signature}", encode(&json!({"alg": "RS256", "typ": "logout+jwt"}))),
        "a.b.c".to_owned(),
        String::new(),
        "x".repeat(9000),
    ] {
        ready.refuses(&forged, &forged).await;
    }
    let stranger = TempDir::new().unwrap();
    keys::create(stranger.path(), SigningAlgorithm::Rs256, NumericDate(0)).unwrap();
    let stranger = KeySet::load(stranger.path()).unwrap();
    let forged = stranger.sign(SigningAlgorithm::Rs256, "logout+jwt", &ready.claims, NumericDate(now())).unwrap();
    ready.refuses(&forged, "signed by a stranger").await;

    // Signed by the very key of the provider, and still none.
    ready.refuses(&ready.id_token, "an id_token").await;
    for typ in ["JWT", "at+jwt", "logout"] {
        ready.refuses(&ready.sign(typ, &ready.claims), typ).await;
    }
    let mut of_id_token = claims_of(&ready.id_token).as_object().unwrap().clone();
    of_id_token.insert("jti".into(), json!("two"));
    ready.refuses(&ready.sign("logout+jwt", &of_id_token), "the claims of an id_token").await;
    for (name, value) in [
        ("nonce", json!("n")),
        ("nonce", json!("")),
        ("exp", json!(now() - 60)),
        ("exp", json!("tomorrow")),
        ("iat", json!(now() - 3600)),
        ("iat", json!(now() + 3600)),
        ("nbf", json!(now() + 3600)),
        ("aud", json!("monolith")),
        ("aud", json!(["monolith"])),
        ("iss", json!("https://elsewhere.example")),
        ("events", json!({})),
        ("events", json!(EVENT)),
        ("events", json!([EVENT])),
        ("events", json!({"http://schemas.openid.net/event/other": {}})),
        ("events", json!({EVENT: true})),
        ("sid", json!(["x"])),
        ("sub", json!(7)),
        ("sub", json!("")),
        ("jti", json!("")),
        ("jti", json!(7)),
    ] {
        ready.refuses(&ready.with(&[(name, value.clone())]), &format!("{name}: {value}")).await;
    }
    for name in ["iss", "aud", "iat", "exp", "jti", "events"] {
        ready.refuses(&ready.with(&[(name, Value::Null)]), &format!("without {name}")).await;
    }
    ready.refuses(&ready.with(&[("sid", Value::Null), ("sub", Value::Null)]), "of none").await;

    // What brings it must be a form with one of it, and a small one.
    let example = &ready.example;
    example.assert_refused(&example.tell(&[]).await, "nothing");
    example.assert_refused(&example.tell(&[("token", &good)]).await, "another name");
    example.assert_refused(&example.tell(&[("logout_token", &good), ("logout_token", &good)]).await, "twice");
    example.assert_refused(&example.tell(&[("logout_token", &good), ("x", &"x".repeat(20_000))]).await, "long");
    let fields: Vec<String> = (0..50).map(|at| format!("f{at}")).collect();
    let many: Vec<(&str, &str)> =
        fields.iter().map(|name| (name.as_str(), "x")).chain([("logout_token", &*good)]).collect();
    example.assert_refused(&example.tell(&many).await, "many");
    example.assert_refused(&example.post(json!({"logout_token": good}).to_string(), "application/json").await, "JSON");
    let asked = send(http().get(format!("{}?logout_token={good}", example.backchannel_logout_uri))).await;
    assert_eq!(asked.status, 405);

    assert_eq!(ready.are_in().await, [true, true], "none of these ended anything: {}", example.log());
    assert!(!example.log().contains("Traceback"), "{}", example.log());
    // And none of them used the `jti` of the good one up.
    let answer = example.tell(&[("logout_token", &good)]).await;
    assert_eq!((answer.status.as_u16(), ready.are_in().await), (200, [false, true]), "{}", example.log());
}

#[tokio::test]
async fn a_logout_token_ends_what_it_names_and_is_good_once() {
    let ready = SignedIn::start().await;
    let example = &ready.example;
    // A session that is not here is over: that is what was wanted.
    let answer =
        example.tell(&[("logout_token", &ready.with(&[("sid", json!("unknown")), ("jti", json!("zero"))]))]).await;
    assert_eq!((answer.status.as_u16(), ready.are_in().await), (200, [true, true]));

    let of_the_session = ready.with(&[]);
    let answer = example.tell(&[("logout_token", &of_the_session)]).await;
    assert_eq!((answer.status.as_u16(), ready.are_in().await), (200, [false, true]), "{}", example.log());
    // The session at the provider continues, so the user is in again, and the token that ended the former one ends nothing now.
    assert_eq!(example.open(&ready.browsers[0], "/reports").await.page.texts("h1"), ["Your reports"]);
    ready.refuses(&of_the_session, "used").await;
    assert_eq!(ready.are_in().await, [true, true]);

    let of_the_user = ready.with(&[("sid", Value::Null), ("jti", json!("two"))]);
    let answer = example.tell(&[("logout_token", &of_the_user)]).await;
    assert_eq!((answer.status.as_u16(), ready.are_in().await), (200, [false, false]), "{}", example.log());
    ready.refuses(&of_the_user, "used").await;
}

/// Section 2.8: whatever went wrong is a 400, and the provider tries again.
#[tokio::test]
async fn a_logout_token_that_cannot_be_checked_now_is_not_taken() {
    let mut ready = SignedIn::start().await;
    ready.provider.serve.running.signal("TERM");
    assert_eq!(ready.provider.serve.running.wait(), 0);
    let answer = ready.example.tell(&[("logout_token", &ready.with(&[]))]).await;
    assert_eq!(answer.error(), (400, "temporarily_unavailable".to_owned()), "{}", ready.example.log());
    assert_eq!(ready.are_in().await, [true, true]);
}

/// A page that demands a role opens while the user has it, and not any more when it is taken: at the next sign-in at the latest, and
/// by itself when what was told is five minutes old.
#[tokio::test]
async fn a_page_for_a_role_opens_while_the_user_has_it() {
    let provider = Installation::start();
    let example = Example::start(&provider, "reports", "127.0.0.1", "skip");
    // The SQL of its README.
    let readme = std::fs::read_to_string(root().join("examples/fastapi/README.md")).unwrap();
    let sql = readme.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    std::fs::write(provider.folder.path().join("migrations/20991231000000_roles.sql"), sql).unwrap();
    provider.run(&["migrate"], "");
    let browser = UserAgent::new();
    let _ = example.sign_in(&browser).await;
    let refused = browser.get(&example.at("/accounts")).await;
    assert_eq!(refused.status, 403, "{refused}");
    provider.run(&["group", "add", "finance", "alice"], "");
    let again = async || {
        tokio::time::sleep(Duration::from_secs(10)).await;
        example.open(&browser, "/login?next=/accounts").await.page
    };
    let page = again().await;
    assert_eq!(
        (page.status.as_u16(), page.texts("h1")),
        (200, vec!["The accounts".to_owned()]),
        "{page}\n{}",
        example.log()
    );
    provider.run(&["group", "remove", "finance", "alice"], "");
    assert_eq!(again().await.status, 403);
}
