//! `/account/password`: what a new password must be, that the old one is proven as at the login page, and what ends with it.

use crate::account::open;
use crate::support::listener::LogoutListener;
use crate::support::provider::PASSWORD;
use crate::support::{Answer, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent, claims_of};
use hallpass::protocol::secret::{Digest, Handle, Password};
use hallpass::sign_ins;
use hallpass::store::users::password::{self, Change, Changed};
use reqwest::StatusCode;
use scraper::{Html, Selector};

/// One that is taken.
const NEW: &str = "seven quiet otters dancing";

// ---- Verbs of this file.

/// Fills in the form of an open page and sends it; gives the answer as it came.
async fn send(browser: &UserAgent, page: &Page, old: &str, new: &str, repeated: &str) -> Page {
    let mut form = page.form("form");
    form.set("old", old).set("new", new).set("repeated", repeated);
    browser.submit(form, Some(("action", "change"))).await
}

/// Changes the password of alice.
async fn change(provider: &TestProvider, browser: &UserAgent, old: &str, new: &str) -> Page {
    let page = open(provider, browser, "/account/password", "alice").await;
    let answer = send(browser, &page, old, new, new).await;
    provider.settle(browser, answer).await
}

async fn is_signed_in(provider: &TestProvider, client: &TestClient, browser: &UserAgent) -> bool {
    let page = Authorization::of(client).with("prompt", "none").open(provider, browser).await;
    Answer::of(&page, &client.redirect_uri).get("code").is_some()
}

/// Whether a sign-in with that password comes to something.
async fn opens(provider: &TestProvider, client: &TestClient, password: &str) -> bool {
    let browser = UserAgent::new();
    let login = Authorization::of(client).open(provider, &browser).await;
    let page = provider.type_in(&browser, &login, "alice", password).await;
    page.status.is_redirection()
}

async fn ready() -> (TestProvider, TestClient, UserAgent) {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports").with("consent", "skip").with("scope", "openid profile email offline_access");
    let client = provider.add(client.with("grant_types", "authorization_code refresh_token")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    (provider, client, browser)
}

async fn hash(provider: &TestProvider) -> String {
    provider.rows("SELECT password_hash FROM users WHERE sub = 'alice-sub'").await[0][0].clone().unwrap()
}

fn cookie(browser: &UserAgent) -> String {
    browser.cookies().into_iter().find(|cookie| cookie.name.contains("hallpass_session")).unwrap().value
}

// ---- The change.

#[tokio::test]
async fn a_changed_password_signs_in_and_ends_all_that_the_old_one_started_elsewhere() {
    let (provider, client, here) = ready().await;
    let listener = LogoutListener::start().await;
    provider.sql(&format!("UPDATE clients SET backchannel_logout_uri = '{}'", listener.uri)).await;
    let there = UserAgent::new();
    let asked = Authorization::of(&client).with("scope", "openid offline_access");
    let answer = asked.complete(&provider, &there).await;
    let tokens = provider.redeem(&client, answer.code()).await.ok();
    let page = change(&provider, &here, PASSWORD, NEW).await;
    assert!(page.text().contains("Your password is changed."), "{page}");
    assert_eq!(page.url.path(), "/account");
    // This one continues, also for services; the other has ended, and its services are told.
    assert!(is_signed_in(&provider, &client, &here).await);
    sign_ins::settle(&provider.provider).await;
    assert!(!is_signed_in(&provider, &client, &there).await);
    assert_eq!(listener.wait_for(1).await.len(), 1);
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.status, StatusCode::UNAUTHORIZED);
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &tokens.text("refresh_token"))];
    assert_eq!(provider.post("/token", client.auth(), &fields).await.status, StatusCode::BAD_REQUEST);
    let open = "SELECT family_id FROM refresh_families WHERE revoked_at IS NULL";
    assert_eq!(provider.rows(open).await.len(), 0);
    let open = "SELECT session FROM user_sessions WHERE ended_at IS NULL";
    assert_eq!(provider.rows(open).await.len(), 1);
    assert!(opens(&provider, &client, NEW).await && !opens(&provider, &client, PASSWORD).await);
    provider.provider.audit.flush().await;
    let events = provider.rows("SELECT sub, network FROM audit_events WHERE event = 'user_password_changed'").await;
    assert_eq!(events, [["alice-sub", "127.0.0.1"].map(|text| Some(text.to_owned()))]);
}

/// A thief who has the cookie of before does not stay in.
#[tokio::test]
async fn the_cookie_of_before_a_change_is_worth_nothing_after_it() {
    let (provider, client, here) = ready().await;
    let page = open(&provider, &here, "/account/password", "alice").await;
    let thief = UserAgent::new();
    for cookie in here.cookies() {
        thief.set_cookie(&provider.url("/"), &format!("{}={}; Path=/; HttpOnly", cookie.name, cookie.value));
    }
    assert!(is_signed_in(&provider, &client, &thief).await);
    let before = cookie(&here);
    let answer = send(&here, &page, PASSWORD, NEW, NEW).await;
    let changed = provider.settle(&here, answer).await;
    assert!(changed.text().contains("Your password is changed."), "{changed}");
    assert_ne!(cookie(&here), before);
    assert!(!is_signed_in(&provider, &client, &thief).await && is_signed_in(&provider, &client, &here).await);
    let refused = thief.get(&provider.url("/account")).await;
    assert!(refused.status.is_redirection(), "{refused}");
    // The sign-in keeps its name, by which it is listed and ended.
    let rows = provider.rows("SELECT session FROM user_sessions WHERE ended_at IS NULL").await;
    assert_eq!(rows.len(), 1);
    let other = UserAgent::new();
    let page = open_with(&provider, &other, NEW).await;
    let end = page.forms().into_iter().find(|form| form.value("session").is_some()).unwrap();
    let _ = other.submit(end, Some(("action", "end"))).await;
    sign_ins::settle(&provider.provider).await;
    assert!(!is_signed_in(&provider, &client, &here).await);
}

async fn open_with(provider: &TestProvider, browser: &UserAgent, password: &str) -> Page {
    let page = browser.get(&provider.url("/account/sessions")).await;
    let login = provider.settle(browser, page).await;
    provider.type_in(browser, &login, "alice", password).await
}

/// What another node knew of the user before says nothing about the new password.
#[tokio::test]
async fn another_node_knows_the_sign_in_that_continues_at_once() {
    let (provider, client, here) = ready().await;
    if crate::support::stores() == crate::support::Stores::Embedded {
        return;
    }
    let second = provider.second_node().await;
    let there = UserAgent::new();
    let _ = provider.sign_in(&there, &client).await;
    let page = open(&provider, &here, "/account/password", "alice").await;
    provider.travel(120);
    // The second node has just read the user.
    let _ = second.provider.directory.user("alice-sub", second.provider.now()).await.unwrap();
    let answer = send(&here, &page, PASSWORD, NEW, NEW).await;
    assert!(answer.status.is_redirection(), "{answer}");
    let mut sessions = here.cookies();
    sessions.retain(|cookie| cookie.name.contains("hallpass_"));
    let elsewhere = UserAgent::new();
    for cookie in &sessions {
        elsewhere
            .set_cookie(&format!("http://{}/", second.address), &format!("{}={}; Path=/", cookie.name, cookie.value));
    }
    let page = elsewhere.get(&format!("http://{}/account", second.address)).await;
    assert_eq!(page.status, StatusCode::OK, "{page}");
}

/// Both tabs prove the old password; the row decides.
#[tokio::test]
async fn of_two_tabs_that_change_the_password_at_once_one_does() {
    let (provider, client, here) = ready().await;
    let one = open(&provider, &here, "/account/password", "alice").await;
    let other = here.get(&provider.url("/account/password")).await;
    let second = "nine loud badgers marching";
    let (one, other) =
        tokio::join!(send(&here, &one, PASSWORD, NEW, NEW), send(&here, &other, PASSWORD, second, second));
    let won = [&one, &other].iter().filter(|page| page.status.is_redirection() && is_done(page)).count();
    assert_eq!(won, 1, "{one}\n{other}");
    let (winner, loser) = if is_done(&one) { (NEW, second) } else { (second, NEW) };
    assert!(opens(&provider, &client, winner).await && !opens(&provider, &client, loser).await);
    let events = provider.rows("SELECT event FROM audit_events WHERE event = 'user_password_changed'").await;
    assert_eq!(events.len(), 1);
}

fn is_done(page: &Page) -> bool {
    page.location().is_some_and(|location| location.query().is_some_and(|query| query.contains("password-changed")))
}

/// An operator sets it in the moment between.
#[tokio::test]
async fn a_password_that_was_set_elsewhere_meanwhile_is_not_overwritten() {
    let (provider, client, here) = ready().await;
    let other = provider.provider.passwords.make(Password::received(NEW)).await.unwrap();
    let changing = Change {
        sub: "alice-sub",
        before: &hash(&provider).await,
        password_hash: &other.unwrap(),
        credential_before: "y",
        credential: "x",
        session: Handle([9; 16]),
        record: &Digest::of(&["x"]),
        network: "127.0.0.1",
        now: provider.provider.now(),
    };
    // No such sign-in: nothing is changed.
    assert_eq!(password::change(&provider.provider.db, &changing).await.unwrap(), Changed::SessionEnded);
    assert!(opens(&provider, &client, PASSWORD).await);
    let _ = open(&provider, &here, "/account/password", "alice").await;
    provider.sql("UPDATE users SET password_hash = password_hash || 'x'").await;
    assert_eq!(password::change(&provider.provider.db, &changing).await.unwrap(), Changed::AnotherPassword);
}

// ---- The old password.

#[tokio::test]
async fn a_wrong_old_password_changes_nothing_and_counts_as_a_failed_sign_in() {
    let (provider, client, here) = ready().await;
    let page = open(&provider, &here, "/account/password", "alice").await;
    let before = hash(&provider).await;
    let answer = send(&here, &page, "not her password", NEW, NEW).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text().contains("That is not your current password."), "{answer}");
    assert!(!answer.body.contains("not her password") && !answer.body.contains(NEW), "what was typed is not shown");
    assert_eq!(hash(&provider).await, before);
    provider.provider.audit.flush().await;
    let events = "SELECT sub, network FROM audit_events WHERE event = 'sign_in_failed'";
    assert_eq!(provider.rows(events).await, [["alice-sub", "127.0.0.1"].map(|text| Some(text.to_owned()))]);
    // The session stays, and the right one is taken.
    assert!(is_signed_in(&provider, &client, &here).await);
    let answer = send(&here, &answer, PASSWORD, NEW, NEW).await;
    assert!(is_done(&answer), "{answer}");
}

/// A thief of a session cannot try passwords there faster than at the login page.
#[tokio::test]
async fn old_passwords_are_throttled_as_those_of_the_login_page_are() {
    let (provider, _, here) = ready().await;
    let page = open(&provider, &here, "/account/password", "alice").await;
    let mut last = page.clone();
    for _ in 0..10 {
        last = send(&here, &page, "not her password", NEW, NEW).await;
        assert_eq!(last.status, StatusCode::UNPROCESSABLE_ENTITY, "{last}");
    }
    assert!(last.texts(".notice")[0].contains("not your current password"));
    let before = hash(&provider).await;
    let stopped = send(&here, &page, PASSWORD, NEW, NEW).await;
    assert_eq!(stopped.status, StatusCode::TOO_MANY_REQUESTS, "{stopped}");
    assert!(
        stopped.text().contains("too many failed attempts") && stopped.header("retry-after").is_some(),
        "{stopped}"
    );
    assert_eq!(hash(&provider).await, before);
    // It is the same counter.
    let login = Authorization::of(&provider.client("other").await).with("prompt", "login");
    let login = login.open(&provider, &here).await;
    let refused = provider.type_in(&here, &login, "alice", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{refused}");
}

#[tokio::test]
async fn a_user_without_a_password_cannot_set_one_there() {
    let (provider, _, here) = ready().await;
    let page = open(&provider, &here, "/account/password", "alice").await;
    let form = page.form("form");
    provider.sql("UPDATE users SET password_hash = NULL").await;
    provider.travel(10);
    let answer = send(&here, &page, "", NEW, NEW).await;
    assert!(!is_done(&answer), "{answer}");
    let _ = form;
    assert_eq!(provider.rows("SELECT password_hash FROM users").await, [[None]]);
}

// ---- The new password.

#[tokio::test]
async fn a_new_password_that_is_short_common_or_a_name_is_refused_with_the_reason() {
    let provider = TestProvider::with(&[("name", "Example University")]).await;
    provider.add_user(NewUser::alice().with("email", "alice.in.wonderland@example.com")).await;
    let here = UserAgent::new();
    let page = open(&provider, &here, "/account/password", "alice").await;
    let before = hash(&provider).await;
    let hashes = provider.provider.passwords.computed();
    for (new, why) in [
        ("ninechars", "too short"),
        // Nine characters of many bytes, and ten that are one less when they are composed.
        ("äöüäöüäöü", "too short"),
        ("a\u{308}bcdefgxy", "too short"),
        ("qwertyuiop", "tried first"),
        ("b@sk3tb@ll", "tried first"),
        ("poiuytrewq", "tried first"),
        ("passwordpassword", "tried first"),
        ("alice.in.wonderland@example.com", "your name"),
        ("ALICE.IN.WONDERLAND", "your name"),
        ("Example University", "your name"),
        (PASSWORD, "is the current one"),
        ("a password \u{7} with a bell", "cannot be used"),
        (&"x".repeat(2000), "cannot be used"),
    ] {
        let answer = send(&here, &page, PASSWORD, new, new).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{new}: {answer}");
        let told = &answer.texts(".notice")[0];
        assert!(told.contains(why) && told.ends_with("Nothing was changed."), "{new}: {told}");
    }
    for (old, new, repeated, why) in [
        (PASSWORD, NEW, "another one entirely", "not the same"),
        ("", NEW, NEW, "Please type"),
        (PASSWORD, "", "", "Please type"),
        (PASSWORD, NEW, "", "Please type"),
    ] {
        let answer = send(&here, &page, old, new, repeated).await;
        assert!(answer.texts(".notice")[0].contains(why), "{answer}");
    }
    assert_eq!(hash(&provider).await, before);
    assert_eq!(
        provider.provider.passwords.computed() - hashes,
        1,
        "what cannot be taken costs no hash but where it is the same"
    );
}

#[tokio::test]
async fn a_new_password_is_looked_at_without_being_saved_or_shown() {
    let (provider, _, here) = ready().await;
    let page = open(&provider, &here, "/account/password", "alice").await;
    let before = hash(&provider).await;
    let check = async |new: &str| {
        let mut form = page.form("form");
        form.set("new", new);
        here.submit(form, Some(("action", "check"))).await
    };
    for (new, told) in [
        ("basketball-zebra", "A longer one is better"),
        ("seven quiet otters dancing in the moonlight", "would need centuries"),
    ] {
        let answer = check(new).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer}");
        assert!(answer.texts(".notice")[0].contains(told), "{answer}");
        assert!(!answer.body.contains(new));
    }
    let answer = check("qwertyuiop").await;
    assert!(answer.texts(".notice")[0].contains("tried first"), "{answer}");
    assert_eq!(hash(&provider).await, before);
    let hashes = provider.provider.passwords.computed();
    let _ = check(NEW).await;
    assert_eq!(provider.provider.passwords.computed(), hashes);
}

/// [HTML, autofill](https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#autofill) and
/// [`passwordrules`](https://github.com/whatwg/html/issues/3518).
#[tokio::test]
async fn the_form_tells_programs_that_keep_passwords_which_field_is_which() {
    let (provider, _, here) = ready().await;
    let page = open(&provider, &here, "/account/password", "alice").await;
    let html = Html::parse_document(&page.body);
    let of = |name: &str| {
        let selector = Selector::parse(&format!("input[name={name}]")).unwrap();
        let input = html.select(&selector).next().unwrap();
        (input.attr("autocomplete").unwrap_or_default().to_owned(), input.attr("type").unwrap_or_default().to_owned())
    };
    assert_eq!(of("old"), ("current-password".to_owned(), "password".to_owned()));
    for name in ["new", "repeated"] {
        assert_eq!(of(name), ("new-password".to_owned(), "password".to_owned()));
    }
    assert_eq!(of("username"), ("username".to_owned(), "text".to_owned()));
    assert_eq!(page.form("form").value("username"), Some("alice"));
    assert!(page.body.contains("passwordrules=\"minlength: 10;") && page.body.contains("minlength=\"10\""));
}

/// The sign-in continues with the password alone, and is told of the change all the same; it is kept by the browser as before.
#[tokio::test]
async fn a_change_is_told_also_to_who_has_a_second_factor_and_the_browser_keeps_the_sign_in_as_before() {
    let provider = TestProvider::with(&[("remember", "ask")]).await;
    provider.alice().await;
    let client = provider.add(NewClient::new("reports").with("consent", "skip")).await;
    let authenticator = provider.enroll("alice-sub").await;
    for (old, new, is_remembered) in [(PASSWORD, NEW, true), (NEW, PASSWORD, false)] {
        let browser = UserAgent::new();
        let login = browser.get(&provider.url("/account/password")).await;
        let login = provider.settle(&browser, login).await;
        let mut form = login.form("form");
        form.set("username", "alice").set("password", old);
        if is_remembered {
            form.fields.push(("remember".into(), "yes".into()));
        }
        let answered = browser.submit(form, Some(("action", "sign_in"))).await;
        let page = provider.settle(&browser, answered).await;
        let page = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
        // Whatever was proven before, and whether or not the factor is there still.
        if !is_remembered {
            provider.sql("DELETE FROM user_factors").await;
            provider.travel(10);
        }
        let answer = send(&browser, &page, old, new, new).await;
        let page = provider.settle(&browser, answer).await;
        assert!(page.url.path() == "/account" && page.text().contains("Your password is changed."), "{page}");
        let kept = browser.cookies().into_iter().find(|cookie| cookie.name.contains("hallpass_session")).unwrap();
        assert_eq!(kept.max_age.is_some(), is_remembered);
        let page = Authorization::of(&client).open(&provider, &browser).await;
        let code = Answer::of(&page, &client.redirect_uri).code().to_owned();
        let claims = claims_of(&provider.redeem(&client, &code).await.ok().text("id_token"));
        assert_eq!(claims["amr"], serde_json::json!(["pwd"]), "{claims}");
        provider.travel(30);
    }
}
