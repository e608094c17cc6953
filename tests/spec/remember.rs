//! Whether a sign-in outlasts the browser's closing: the session's cookie, as `HALLPASS_REMEMBER` says.

use crate::support::program::{Running, run_with};
use crate::support::provider::PASSWORD;
use crate::support::user_agent::{Cookie, SameSite};
use crate::support::{Answer, Authorization, Page, TestClient, TestProvider, UserAgent, folder};

const LIFETIME: i64 = 100_000;

async fn ready(remember: &str) -> (TestProvider, TestClient) {
    let settings = [("remember", remember), ("session_lifetime", "100000")];
    let provider = TestProvider::with(&settings).await;
    provider.alice().await;
    let client = provider.client("reports").await;
    (provider, client)
}

/// Signs in anew, with the box checked or not, whether or not the page has one.
async fn sign_in(provider: &TestProvider, client: &TestClient, browser: &UserAgent, is_checked: bool) -> Page {
    let login = Authorization::of(client).with("prompt", "login").open(provider, browser).await;
    let mut form = login.form("form");
    form.set("username", "alice").set("password", PASSWORD);
    if is_checked {
        form.fields.push(("remember".into(), "yes".into()));
    }
    let answered = browser.submit(form, Some(("action", "sign_in"))).await;
    let page = provider.settle(browser, answered).await;
    let _ = Answer::of(&page, &client.redirect_uri).code();
    login
}

fn session(browser: &UserAgent) -> Cookie {
    browser.cookies().into_iter().find(|cookie| cookie.name.contains("hallpass_session")).unwrap()
}

#[tokio::test]
async fn the_session_cookie_lasts_as_the_setting_and_the_user_say() {
    for (remember, has_box, unchecked, checked) in [
        ("never", false, None, None),
        ("always", false, Some(LIFETIME), Some(LIFETIME)),
        ("ask", true, None, Some(LIFETIME)),
    ] {
        let (provider, client) = ready(remember).await;
        let browser = UserAgent::new();
        // Each sign-in decides anew, also one that continues a session.
        for (is_checked, expected) in [(false, unchecked), (true, checked), (false, unchecked)] {
            let login = sign_in(&provider, &client, &browser, is_checked).await;
            assert_eq!(login.text().contains("Stay signed in on this device"), has_box, "{remember}");
            let cookie = session(&browser);
            assert_eq!((cookie.max_age, &cookie.expires), (expected, &None), "{remember} {is_checked}");
            assert!(cookie.http_only && cookie.host_only && cookie.same_site == Some(SameSite::Lax), "{cookie:?}");
            provider.travel(1000);
        }
    }
}

#[tokio::test]
async fn the_box_stays_as_it_was_when_the_password_was_wrong() {
    let (provider, client) = ready("ask").await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    assert_eq!(login.form("form").value("remember"), None, "nothing is kept unasked");
    let mut form = login.form("form");
    form.set("username", "alice").set("password", "not her password");
    form.fields.push(("remember".into(), "yes".into()));
    let wrong = browser.submit(form, Some(("action", "sign_in"))).await;
    assert_eq!(wrong.form("form").value("remember"), Some("yes"), "{wrong}");
}

/// The cookie is one thing and the session another: what ends it ends it.
#[tokio::test]
async fn a_sign_in_that_is_kept_ends_at_its_time_and_with_a_sign_out_all_the_same() {
    let (provider, client) = ready("always").await;
    let browser = UserAgent::new();
    sign_in(&provider, &client, &browser, false).await;
    let silently = Authorization::of(&client).with("prompt", "none");
    let kept = session(&browser);
    provider.travel(provider.provider.config.session_idle_lifetime);
    let page = silently.open(&provider, &browser).await;
    assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "login_required");
    sign_in(&provider, &client, &browser, false).await;
    let home = browser.get(&provider.url("/")).await;
    let out = browser.submit(home.form("form"), Some(("action", "sign_out"))).await;
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"), "{out}");
    let thief = UserAgent::new();
    thief.set_cookie(&provider.issuer, &format!("{}={}; Path=/", kept.name, kept.value));
    let page = silently.open(&provider, &thief).await;
    assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "login_required");
}

/// A user who was told "stay signed in" for a week is signed out after a night where sign-ins end unused after some hours.
#[test]
fn an_operator_is_told_where_a_sign_in_ends_unused_before_its_cookie_does() {
    let folder = folder();
    for (remember, idle, is_told) in
        [("ask", "43200", true), ("always", "43200", true), ("never", "43200", false), ("ask", "604800", false)]
    {
        let variables = [("HALLPASS_REMEMBER", remember), ("HALLPASS_SESSION_IDLE_LIFETIME", idle)];
        let told = run_with(folder.path(), &["doctor"], &variables, "").stdout;
        assert_eq!(told.contains("it ends when it is unused for 43200"), is_told, "{remember} {idle}: {told}");
        assert_eq!(told.contains("set HALLPASS_SESSION_IDLE_LIFETIME"), is_told, "{remember} {idle}: {told}");
    }
    let variables = [
        ("HALLPASS_REMEMBER", "ask"),
        ("HALLPASS_LISTEN", "127.0.0.1:0"),
        ("HALLPASS_MANAGEMENT_LISTEN", "127.0.0.1:0"),
    ];
    let serving = Running::start(folder.path(), &["serve"], &variables);
    serving.wait_for("it ends when it is unused for 43200");
}
