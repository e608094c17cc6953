//! `/account`: who the user is, where they are signed in, which services have access, what happened, their data; and that each
//! form is theirs alone. `account_password.rs` has the change of the password.

use crate::support::listener::LogoutListener;
use crate::support::program::done;
use crate::support::provider::PASSWORD;
use crate::support::user_agent::Form;
use crate::support::{Answer, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent};
use hallpass::sign_ins;
use reqwest::StatusCode;
use scraper::{Html, Selector};
use serde_json::Value;

/// The pages, each with a heading of its own.
const PAGES: [(&str, &str); 7] = [
    ("/account", "Your account"),
    ("/account/password", "Change your password"),
    ("/account/second-factor", "Second factor"),
    ("/account/sessions", "Where you are signed in"),
    ("/account/services", "Services with access"),
    ("/account/events", "Recent activity"),
    ("/account/data", "Your data"),
];

// ---- Verbs of this file.

/// Opens a page of the account, signing in where that is asked for.
pub(crate) async fn open(provider: &TestProvider, browser: &UserAgent, path: &str, username: &str) -> Page {
    let page = browser.get(&provider.url(path)).await;
    let page = provider.settle(browser, page).await;
    if page.url.path().ends_with("/login") {
        return provider.type_in(browser, &page, username, PASSWORD).await;
    }
    page
}

/// The form with that button.
pub(crate) fn form_with(page: &Page, button: &str) -> Form {
    let has = |form: &Form| form.buttons.iter().any(|(_, value)| value == button);
    page.forms().into_iter().find(has).unwrap_or_else(|| panic!("no {button} in {page}"))
}

/// Presses a button; gives the page that comes in the end.
pub(crate) async fn press(provider: &TestProvider, browser: &UserAgent, form: Form, button: &str) -> Page {
    let name = form.buttons.iter().find(|(_, value)| value == button).unwrap().0.clone();
    let pressed = browser.submit(form, Some((&name, button))).await;
    provider.settle(browser, pressed).await
}

async fn is_signed_in(provider: &TestProvider, client: &TestClient, browser: &UserAgent) -> bool {
    let page = Authorization::of(client).with("prompt", "none").open(provider, browser).await;
    Answer::of(&page, &client.redirect_uri).get("code").is_some()
}

fn links(page: &Page) -> Vec<String> {
    let html = Html::parse_document(&page.body);
    let selector = Selector::parse("main .pane a[href]").unwrap();
    html.select(&selector).filter_map(|link| link.attr("href")).map(str::to_owned).collect()
}

async fn events_of(provider: &TestProvider, event: &str) -> Vec<Vec<Option<String>>> {
    provider.provider.audit.flush().await;
    provider.rows(&format!("SELECT sub, client_id, network FROM audit_events WHERE event = '{event}'")).await
}

// ---- Getting there.

#[tokio::test]
async fn a_page_of_the_account_asks_for_a_sign_in_and_comes_back_to_itself_also_under_a_path() {
    for settings in [&[][..], &[("issuer", "/auth")]] {
        let provider = TestProvider::with(settings).await;
        provider.alice().await;
        for (path, heading) in PAGES {
            let browser = UserAgent::new();
            let page = open(&provider, &browser, path, "alice").await;
            assert_eq!((page.status, page.url.as_str()), (StatusCode::OK, provider.url(path).as_str()), "{page}");
            assert_eq!(page.texts("h1"), [heading]);
            assert_eq!(page.header("cache-control"), Some("no-store"));
            let policy = page.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(!policy.contains("script-src"), "{policy}");
            // It is there at once from then on.
            assert_eq!(browser.get(&provider.url(path)).await.status, StatusCode::OK);
        }
    }
}

/// What another site sends the browser to changes nothing, and does not lead in circles.
#[tokio::test]
async fn a_link_from_another_site_leads_to_the_page_and_a_canceled_sign_in_to_the_start_page() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let browser = UserAgent::new();
    let page = browser.cross_site_get(&provider.url("/account/data")).await;
    let login = provider.settle(&browser, page).await;
    let canceled = browser.submit(login.form("form"), Some(("action", "cancel"))).await;
    let home = provider.settle(&browser, canceled).await;
    assert_eq!((home.url.as_str(), home.title().as_str()), (provider.url("/").as_str(), "You are not signed in"));
    let _ = open(&provider, &browser, "/account", "alice").await;
    let page = browser.cross_site_get(&provider.url("/account/data")).await;
    assert_eq!((page.status, page.texts("h1")), (StatusCode::OK, vec!["Your data".to_owned()]), "{page}");
}

#[tokio::test]
async fn the_start_page_leads_to_the_account() {
    let provider = TestProvider::with(&[("issuer", "/auth")]).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let _ = open(&provider, &browser, "/account", "alice").await;
    let home = browser.get(&provider.url("/")).await;
    assert!(home.body.contains("href=\"/auth/account\""), "{}", home.body);
}

#[tokio::test]
async fn a_user_who_was_disabled_gets_no_page_and_changes_nothing() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let browser = UserAgent::new();
    let page = open(&provider, &browser, "/account/data", "alice").await;
    provider.sql("UPDATE users SET disabled_at = 1").await;
    provider.travel(10);
    let refused = press(&provider, &browser, form_with(&page, "request"), "request").await;
    assert!(refused.url.path().ends_with("/login"), "{refused}");
    for (path, _) in PAGES {
        let page = browser.get(&provider.url(path)).await;
        let page = provider.settle(&browser, page).await;
        assert!(page.url.path().ends_with("/login") && !page.text().contains("Alice"), "{page}");
    }
    assert_eq!(provider.rows("SELECT deletion_requested_at FROM users").await, [[None]]);
}

/// It is at the root of the host, whatever the issuer's path.
#[tokio::test]
async fn programs_that_keep_passwords_find_the_page_that_changes_one() {
    for settings in [&[][..], &[("issuer", "/auth")]] {
        let provider = TestProvider::with(settings).await;
        let root = provider.issuer.trim_end_matches("/auth").to_owned();
        let found = UserAgent::new().get(&format!("{root}/.well-known/change-password")).await;
        assert_eq!(found.status, StatusCode::SEE_OTHER);
        assert_eq!(found.location().unwrap().as_str(), provider.url("/account/password"));
        let other = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200";
        assert_eq!(UserAgent::new().get(&format!("{root}{other}")).await.status, StatusCode::NOT_FOUND);
    }
}

// ---- Forms.

/// Each form of the account: on which page it is, and its button.
const FORMS: [(&str, &str); 6] = [
    ("/account/password", "change"),
    ("/account/sessions", "end"),
    ("/account/sessions", "end_others"),
    ("/account/services", "take_back"),
    ("/account/data", "request"),
    ("/account/data", ""),
];

/// Alice in two browsers, with a service that has something of hers.
async fn with_everything() -> (TestProvider, TestClient, UserAgent, UserAgent) {
    let provider = TestProvider::start().await;
    let client = provider.add(NewClient::new("reports")).await;
    provider.alice().await;
    provider.add_user(NewUser::named("bob")).await;
    let (here, there) = (UserAgent::new(), UserAgent::new());
    for browser in [&here, &there] {
        let _ = provider.sign_in(browser, &client).await;
    }
    (provider, client, here, there)
}

/// What the forms of the account change.
async fn state(provider: &TestProvider) -> Vec<Vec<Vec<Option<String>>>> {
    let mut found = Vec::new();
    for sql in [
        "SELECT password_hash, deletion_requested_at FROM users ORDER BY sub",
        "SELECT session, ended_at FROM user_sessions ORDER BY session",
        "SELECT sub, client_id, scope FROM consents ORDER BY client_id",
        "SELECT event FROM audit_events WHERE event = 'user_exported'",
    ] {
        provider.provider.audit.flush().await;
        found.push(provider.rows(sql).await);
    }
    found
}

fn fields(form: &Form, button: &str) -> Vec<(String, String)> {
    let mut fields = form.fields.clone();
    fields.extend(form.buttons.iter().find(|(_, value)| value == button).filter(|(name, _)| !name.is_empty()).cloned());
    for (name, value) in &mut fields {
        match name.as_str() {
            "old" => PASSWORD.clone_into(value),
            "new" | "repeated" => "another long enough one".clone_into(value),
            _ => {}
        }
    }
    fields
}

#[tokio::test]
async fn no_form_works_without_its_token_from_another_origin_or_in_another_browser() {
    let (provider, _, here, there) = with_everything().await;
    for (path, button) in FORMS {
        let form = form_with(&open(&provider, &here, path, "alice").await, button);
        let before = state(&provider).await;
        let sent = fields(&form, button);
        let mut forged: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (&**name, &**value)).collect();
        let at = forged.iter().position(|(name, _)| *name == "csrf").unwrap();
        let url = form.action.as_str();
        // From another origin, with the right token.
        let foreign = here.cross_site_post(url, &forged).await;
        // Lax cookies do not go along, so that it is a stranger's.
        assert!(foreign.status.is_redirection() || foreign.status == StatusCode::FORBIDDEN, "{foreign}");
        // The same in the other browser of the same user.
        let elsewhere = there.post_form(url, &forged).await;
        assert_eq!(elsewhere.status, StatusCode::FORBIDDEN, "{path} {button}: {elsewhere}");
        let token = forged[at].1.to_owned();
        for wrong in ["", "made up", &token[1..]] {
            forged[at].1 = wrong;
            let refused = here.post_form(url, &forged).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path} {button}: {refused}");
            assert_eq!(refused.title(), "This form is not up to date", "{refused}");
            assert!(refused.text().contains("Open your account again") && refused.body.contains("href=\"/account\""));
        }
        forged.remove(at);
        assert_eq!(here.post_form(url, &forged).await.status, StatusCode::FORBIDDEN);
        // With the cookie, and an origin that is not ours.
        let forged: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (&**name, &**value)).collect();
        let evil = UserAgent::new().with_header("origin", "https://evil.example");
        for cookie in here.cookies() {
            evil.set_cookie(url, &format!("{}={}; Path=/; HttpOnly; SameSite=Lax", cookie.name, cookie.value));
        }
        assert_eq!(evil.post_form(url, &forged).await.status, StatusCode::FORBIDDEN, "{path} {button}");
        assert_eq!(state(&provider).await, before, "{path} {button}");
    }
}

/// A token that one form has is of no use to another.
#[tokio::test]
async fn the_token_of_a_form_is_good_for_that_purpose_alone() {
    let (provider, _, here, _) = with_everything().await;
    let mut forms = Vec::new();
    for (path, button) in FORMS {
        forms.push((form_with(&open(&provider, &here, path, "alice").await, button), button));
    }
    let before = state(&provider).await;
    for (form, button) in &forms {
        for (other, _) in forms.iter().filter(|(other, _)| other.value("csrf") != form.value("csrf")) {
            let mut sent = fields(form, button);
            for (name, value) in &mut sent {
                if name == "csrf" {
                    other.value("csrf").unwrap().clone_into(value);
                }
            }
            let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(here.post_form(form.action.as_str(), &sent).await.status, StatusCode::FORBIDDEN, "{button}");
        }
    }
    assert_eq!(state(&provider).await, before);
}

/// A link cannot make a page say what was not done.
#[tokio::test]
async fn a_page_says_what_was_done_only_to_who_did_it() {
    let (provider, _, here, there) = with_everything().await;
    let page = open(&provider, &here, "/account/sessions", "alice").await;
    let done = press(&provider, &here, form_with(&page, "end_others"), "end_others").await;
    assert!(done.text().contains("You are signed out everywhere else"), "{done}");
    let address = done.url.clone();
    let again = here.get(address.as_str()).await;
    assert!(again.text().contains("signed out everywhere else within"), "{again}");
    for forged in [
        provider.url("/account/sessions?done=others-ended"),
        provider.url("/account/password?done=password-changed&proof=x"),
        address.as_str().replace("others-ended", "session-ended"),
    ] {
        let page = open_address(&provider, &here, &forged).await;
        assert_eq!(page.texts(".notice"), [""; 0], "{page}");
    }
    let _ = there;
}

async fn open_address(provider: &TestProvider, browser: &UserAgent, address: &str) -> Page {
    let page = browser.get(address).await;
    provider.settle(browser, page).await
}

/// A stolen session must not be enough.
#[tokio::test]
async fn password_deletion_and_data_ask_for_a_sign_in_of_the_last_five_minutes() {
    let (provider, _, here, _) = with_everything().await;
    for (path, button) in [("/account/password", "change"), ("/account/data", "request"), ("/account/data", "")] {
        let page = open(&provider, &here, path, "alice").await;
        let form = form_with(&page, button);
        let before = state(&provider).await;
        provider.travel(301);
        let sent = fields(&form, button);
        let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (&**name, &**value)).collect();
        let refused = here.post_form(form.action.as_str(), &sent).await;
        let login = provider.settle(&here, refused).await;
        assert!(login.url.path().ends_with("/login"), "{button}: {login}");
        assert!(login.text().contains("Please confirm it is you, Alice Example"), "{login}");
        assert_eq!(state(&provider).await, before, "{button}");
        // Going back to the page is not enough either.
        if path == "/account/password" {
            let page = here.get(&provider.url(path)).await;
            assert!(page.status.is_redirection(), "{page}");
        }
        let back = provider.type_in(&here, &login, "alice", PASSWORD).await;
        assert_eq!((back.status, back.url.as_str()), (StatusCode::OK, provider.url(path).as_str()), "{back}");
    }
    // The others do without.
    provider.travel(301);
    for path in ["/account", "/account/sessions", "/account/services", "/account/events", "/account/data"] {
        assert_eq!(here.get(&provider.url(path)).await.status, StatusCode::OK, "{path}");
    }
}

// ---- Who the user is.

#[tokio::test]
async fn the_first_page_says_who_the_user_is_and_what_services_can_be_told() {
    let provider = TestProvider::start().await;
    provider.add_user(NewUser::alice().with("locale", "de-DE").with("phone_number", "+49 30 1234")).await;
    provider.add_user(NewUser::named("bob").with("email_verified_at", "NULL")).await;
    provider
        .sql(
            "INSERT INTO groups (name) VALUES ('staff'); INSERT INTO groups (name) VALUES ('gone');
             INSERT INTO group_members (group_name, sub) VALUES ('staff', 'alice-sub');
             INSERT INTO group_members (group_name, sub, until) VALUES ('gone', 'alice-sub', 1);
             INSERT INTO user_claims VALUES ('alice-sub', 'cost_center', '\"4711\"');",
        )
        .await;
    let page = open(&provider, &UserAgent::new(), "/account", "alice").await;
    let facts = page.texts(".facts > div");
    for fact in [
        "Name Alice Example",
        "User name alice",
        "E-mail alice@example.com (verified)",
        "Groups staff",
        "Language de-DE",
        "Number +49 30 1234",
        "cost_center 4711",
    ] {
        assert!(facts.iter().any(|it| it == fact), "{fact}: {facts:?}");
    }
    assert!(!page.texts("dl")[0].contains("alice-sub") && page.texts(".fine")[0].contains("alice-sub"), "{page}");
    let page = open(&provider, &UserAgent::new(), "/account", "bob").await;
    assert!(page.text().contains("bob@example.com (not verified)") && !page.text().contains("alice"), "{page}");
}

// ---- Where the user is signed in.

#[tokio::test]
async fn a_user_sees_where_they_are_signed_in_and_signs_out_there() {
    let (provider, listener) = (TestProvider::start().await, LogoutListener::start().await);
    let client = NewClient::new("reports").with("consent", "skip").with("backchannel_logout_uri", &listener.uri);
    let client = provider.add(client).await;
    provider.alice().await;
    let here = UserAgent::new();
    let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile Safari/604";
    let there = UserAgent::new().with_header("user-agent", phone);
    for browser in [&here, &there] {
        let _ = provider.sign_in(browser, &client).await;
    }
    let page = open(&provider, &here, "/account/sessions", "alice").await;
    let lines = page.texts(".entries li");
    assert_eq!(lines.len(), 2, "{page}");
    assert!(lines[0].contains("this browser") && !lines[0].contains("Sign out there"), "{lines:?}");
    assert!(
        lines[1].starts_with("Safari on iPhone Network : 127.0.0.1") || lines[1].contains("127.0.0.1"),
        "{lines:?}"
    );
    assert!(lines[1].contains("Sign out there") && lines[1].contains("Since") && lines[1].contains("UTC"), "{lines:?}");
    let page = press(&provider, &here, form_with(&page, "end"), "end").await;
    assert!(page.text().contains("You are signed out there"), "{page}");
    assert_eq!(page.texts(".entries li").len(), 1);
    sign_ins::settle(&provider.provider).await;
    assert!(!is_signed_in(&provider, &client, &there).await && is_signed_in(&provider, &client, &here).await);
    assert_eq!(listener.wait_for(1).await.len(), 1);
    let events = events_of(&provider, "user_sessions_ended").await;
    assert_eq!(events, [[Some("alice-sub".to_owned()), None, Some("127.0.0.1".to_owned())]]);
}

#[tokio::test]
async fn sign_out_everywhere_else_leaves_this_browser_signed_in_and_everywhere_does_not() {
    let (provider, client, here, there) = with_everything().await;
    let bob = UserAgent::new();
    let _ = open(&provider, &bob, "/account", "bob").await;
    let page = open(&provider, &here, "/account/sessions", "alice").await;
    let page = press(&provider, &here, form_with(&page, "end_others"), "end_others").await;
    assert!(page.text().contains("You are signed out everywhere else"), "{page}");
    sign_ins::settle(&provider.provider).await;
    assert!(is_signed_in(&provider, &client, &here).await && !is_signed_in(&provider, &client, &there).await);
    let _ = provider.sign_in(&there, &client).await;
    let page = open(&provider, &here, "/account/sessions", "alice").await;
    let page = press(&provider, &here, form_with(&page, "sign_out_everywhere"), "sign_out_everywhere").await;
    assert_eq!(page.title(), "You are signed out everywhere", "{page}");
    sign_ins::settle(&provider.provider).await;
    for browser in [&here, &there] {
        assert!(!is_signed_in(&provider, &client, browser).await);
    }
    assert_eq!(bob.get(&provider.url("/account")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_sign_in_of_another_user_cannot_be_ended_and_is_answered_like_one_that_never_was() {
    let (provider, _, here, _) = with_everything().await;
    let bob = UserAgent::new();
    let _ = open(&provider, &bob, "/account", "bob").await;
    let of_bob = provider.rows("SELECT session FROM user_sessions WHERE sub = 'bob-sub'").await[0][0].clone().unwrap();
    let page = open(&provider, &here, "/account/sessions", "alice").await;
    let mut answers = Vec::new();
    for session in [of_bob.as_str(), "AAAAAAAAAAAAAAAAAAAAAA", "", &"x".repeat(500), "' OR 1=1 --"] {
        let mut form = form_with(&page, "end");
        form.set("session", session);
        let answer = press(&provider, &here, form, "end").await;
        assert!(answer.text().contains("That sign-in had ended before."), "{answer}");
        answers.push(answer.texts(".notice"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(bob.get(&provider.url("/account")).await.status, StatusCode::OK);
    assert_eq!(provider.rows("SELECT session FROM user_sessions WHERE ended_at IS NOT NULL").await.len(), 0);
}

// ---- Services.

/// A client that users are asked about, with refresh tokens.
fn asking(id: &str) -> NewClient {
    let client = NewClient::new(id).with("scope", "openid profile email offline_access");
    client.with("grant_types", "authorization_code refresh_token").with("client_uri", &format!("https://{id}.example/"))
}

async fn refreshed(provider: &TestProvider, client: &TestClient, token: &str) -> u16 {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    provider.post("/token", client.auth(), &fields).await.status.as_u16()
}

#[tokio::test]
async fn what_a_service_has_is_listed_and_taken_back_with_its_tokens_and_it_asks_anew() {
    let provider = TestProvider::start().await;
    let (client, other) = (provider.add(asking("reports")).await, provider.add(asking("other")).await);
    let trusted = provider.add(asking("trusted").with("consent", "skip")).await;
    let plain = provider.client("plain").await;
    provider.alice().await;
    let here = UserAgent::new();
    let mut tokens = Vec::new();
    for client in [&client, &other, &trusted] {
        let asked = Authorization::of(client).with("scope", "openid profile email offline_access");
        let answer = asked.complete(&provider, &here).await;
        tokens.push(provider.redeem(client, answer.code()).await.ok());
    }
    let _ = provider.sign_in(&here, &plain).await;
    let page = open(&provider, &here, "/account/services", "alice").await;
    assert_eq!(page.texts(".entries .strong"), ["The other service", "The reports service", "The trusted service"]);
    assert_eq!(links(&page).first().map(String::as_str), Some("https://other.example/"));
    let lines = page.texts(".entries li");
    assert!(
        lines[1].contains("Your profile, Your e-mail address") && lines[1].contains("stays connected"),
        "{lines:?}"
    );
    assert!(lines[2].contains("Your organization lets this service in") && !lines[1].contains("organization"));

    let mut form = form_with(&page, "take_back");
    form.set("client", "reports");
    let page = press(&provider, &here, form, "take_back").await;
    assert!(page.text().contains("It is taken back. You may still be signed in at that service"), "{page}");
    assert_eq!(page.texts(".entries .strong"), ["The other service", "The trusted service"]);
    assert_eq!(provider.userinfo(&tokens[0].text("access_token")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refreshed(&provider, &client, &tokens[0].text("refresh_token")).await, 400);
    for (client, tokens) in [(&other, &tokens[1]), (&trusted, &tokens[2])] {
        let _ = provider.userinfo(&tokens.text("access_token")).await.ok();
        assert_eq!(refreshed(&provider, client, &tokens.text("refresh_token")).await, 200);
    }
    // It asks anew; the others do not.
    let asked = Authorization::of(&client).open(&provider, &here).await;
    assert!(asked.url.path().ends_with("/consent"), "{asked}");
    assert!(is_signed_in(&provider, &other, &here).await);
    let events = events_of(&provider, "consent_withdrawn").await;
    let who = [Some("alice-sub"), Some("reports"), Some("127.0.0.1")].map(|text| text.map(str::to_owned));
    assert_eq!(events, [who]);
    // One whose consent is skipped has its refresh tokens taken.
    let mut form = form_with(&page, "take_back");
    form.set("client", "trusted");
    let _ = press(&provider, &here, form, "take_back").await;
    assert_eq!(refreshed(&provider, &trusted, &tokens[2].text("refresh_token")).await, 400);
}

#[tokio::test]
async fn taking_back_from_a_service_that_has_nothing_or_of_another_user_changes_nothing() {
    let (provider, client, here, _) = with_everything().await;
    let bob = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &bob).await;
    let consent = provider.type_in(&bob, &login, "bob", PASSWORD).await;
    let _ = press(&provider, &bob, consent.form("form"), "allow").await;
    let form = form_with(&open(&provider, &here, "/account/services", "alice").await, "take_back");
    for id in ["unknown", "", &"x".repeat(3000), "reports"] {
        let mut form = form.clone();
        form.set("client", id);
        let page = press(&provider, &here, form, "take_back").await;
        let expected = if id == "reports" { "It is taken back." } else { "That service had no access any more." };
        assert!(page.text().contains(expected), "{id}: {page}");
    }
    let left = provider.rows("SELECT sub FROM consents").await;
    assert_eq!(left, [[Some("bob-sub".to_owned())]]);
    let page = open(&provider, &here, "/account/services", "alice").await;
    assert!(page.text().contains("No service has access to your account"), "{page}");
}

// ---- What happened.

#[tokio::test]
async fn a_user_is_told_what_happened_at_their_account_in_plain_words_and_of_no_one_else() {
    let (provider, client, here, _) = with_everything().await;
    let stranger = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &stranger).await;
    let _ = provider.type_in(&stranger, &login, "alice", "not her password").await;
    let _ = open(&provider, &UserAgent::new(), "/account", "bob").await;
    let _ = provider.tokens(&here, &client).await;
    provider.provider.audit.flush().await;
    let page = open(&provider, &here, "/account/events", "alice").await;
    let lines = page.texts(".entries li");
    let has = |words: &str| lines.iter().filter(|line| line.starts_with(words)).count();
    assert_eq!((has("You signed in"), has("A sign-in with your name failed")), (2, 1), "{lines:?}");
    assert!(has("You allowed a service to use your account") >= 1, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("UTC")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("The reports service") && line.contains("127.0.0.1")), "{lines:?}");
    for operators in ["password_wrong", "sign_in", "tokens_issued", "sub", "bob"] {
        assert!(!page.texts("main")[0].contains(operators), "{operators}: {page}");
    }
    assert!(page.text().contains("in the last 90 days"), "{page}");
}

#[tokio::test]
async fn what_happened_comes_in_pages_of_which_each_leads_to_the_older_one() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let browser = UserAgent::new();
    let _ = open(&provider, &browser, "/account", "alice").await;
    provider.provider.audit.flush().await;
    let now = provider.now();
    for (name, at, sub) in [("old", now - 91 * 86_400, "alice-sub"), ("bob", now - 50, "bob-sub")] {
        provider.sql(&event_sql(name, at, sub)).await;
    }
    for i in 0..60 {
        // Several within one second.
        provider.sql(&event_sql(&format!("c{i}"), now - 100 - i / 4, "alice-sub")).await;
    }
    let mut page = browser.get(&provider.url("/account/events")).await;
    let mut counts = Vec::new();
    let mut times: Vec<String> = Vec::new();
    loop {
        let lines = page.texts(".entries li");
        counts.push(lines.len());
        times.extend(page.texts(".entries time"));
        match links(&page).into_iter().find(|link| link.contains("before=")) {
            Some(older) => page = browser.get(page.url.join(&older).unwrap().as_str()).await,
            None => break,
        }
    }
    assert_eq!(counts.iter().sum::<usize>(), 61, "{counts:?}");
    assert!(counts.iter().all(|count| *count <= 25), "{counts:?}");
    assert!(times.is_sorted_by(|one, other| one >= other), "{times:?}");
    for bad in ["", "x", "1.2", "9999999999999999999999.1.x", "0.0.'"] {
        let page = browser.get(&provider.url(&format!("/account/events?before={bad}"))).await;
        assert_eq!(page.status, StatusCode::OK, "{bad}");
        assert!(!page.text().contains("bob"));
    }
}

fn event_sql(chain: &str, at: i64, sub: &str) -> String {
    format!(
        "INSERT INTO audit_events (chain, sequence, at, event, sub, previous_hash, hash) \
         VALUES ('{chain}', 1, {at}, 'sign_in', '{sub}', '', '')"
    )
}

#[tokio::test]
async fn events_are_told_for_no_longer_than_they_are_kept() {
    let provider = TestProvider::with(&[("audit_retention", "30")]).await;
    provider.alice().await;
    let page = open(&provider, &UserAgent::new(), "/account/events", "alice").await;
    assert!(page.text().contains("in the last 30 days"), "{page}");
}

// ---- Data and deletion.

#[tokio::test]
async fn a_user_takes_along_what_is_kept_of_them_as_the_command_gives_it() {
    let (provider, _, here, _) = with_everything().await;
    let page = open(&provider, &here, "/account/data", "alice").await;
    let form = form_with(&page, "");
    let file = here.submit(form, None).await;
    assert_eq!(file.status, StatusCode::OK, "{file}");
    assert_eq!(file.header("content-type"), Some("application/json"));
    assert_eq!(file.header("content-disposition"), Some("attachment; filename=\"account.json\""));
    assert_eq!(file.header("cache-control"), Some("no-store"));
    let document: Value = serde_json::from_str(&file.body).unwrap();
    assert_eq!(events_of(&provider, "user_exported").await.len(), 1);
    let by_command = done(provider.command(&["user", "export", "alice"], "")).stdout;
    let mut by_command: Value = serde_json::from_str(&by_command).unwrap();
    for document in [&mut by_command, &mut document.clone()] {
        document["events"].take();
    }
    let mut own = document.clone();
    own["events"].take();
    by_command["events"].take();
    assert_eq!(own, by_command);
    assert_eq!((&document["sub"], &document["user"]["email"]), (&"alice-sub".into(), &"alice@example.com".into()));
    assert_eq!(document["sessions"].as_array().unwrap().len(), 2);
    assert!(!file.body.contains("argon2") && !file.body.contains("bob"), "{}", file.body);
}

#[tokio::test]
async fn a_request_to_delete_the_account_is_noted_told_to_the_operator_and_can_be_taken_back() {
    let (provider, client, here, _) = with_everything().await;
    let show = |member: &str| {
        let shown = done(provider.command(&["user", "show", "alice", "--json"], "")).stdout;
        serde_json::from_str::<Value>(&shown).unwrap()[member].clone()
    };
    assert_eq!(show("deletion_requested_at"), Value::Null);
    let page = open(&provider, &here, "/account/data", "alice").await;
    let page = press(&provider, &here, form_with(&page, "request"), "request").await;
    assert!(page.text().contains("Your request is noted."), "{page}");
    assert!(page.text().contains("You asked for your account to be deleted on"), "{page}");
    assert!(show("deletion_requested_at").as_str().unwrap().ends_with('Z'));
    let listed = done(provider.command(&["user", "list", "--json"], "")).stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let of = |name: &str| {
        let users = listed["users"].as_array().unwrap();
        users.iter().find(|user| user["username"] == name).unwrap()["deletion_requested_at"].clone()
    };
    assert!(of("alice").is_string() && of("bob").is_null(), "{listed}");
    assert!(done(provider.command(&["user", "list"], "")).stdout.contains("active, asks to be deleted"));
    let doctor = provider.command(&["doctor", "--json"], "").stdout;
    assert!(doctor.contains("alice asked") && doctor.contains("hallpass user delete alice"), "{doctor}");
    // Nothing happens by itself.
    assert!(is_signed_in(&provider, &client, &here).await);
    // A second request changes nothing.
    let at = show("deletion_requested_at");
    provider.travel(60);
    let mut again = form_with(&page, "withdraw").clone();
    again.buttons.push(("action".to_owned(), "request".to_owned()));
    let page = press(&provider, &here, again, "request").await;
    assert_eq!(show("deletion_requested_at"), at);
    let page = press(&provider, &here, form_with(&page, "withdraw"), "withdraw").await;
    assert!(page.text().contains("Your request is taken back."), "{page}");
    assert_eq!(show("deletion_requested_at"), Value::Null);
    let doctor = provider.command(&["doctor", "--json"], "").stdout;
    assert!(!doctor.contains("alice asked"), "{doctor}");
    for event in ["deletion_requested", "deletion_withdrawn"] {
        assert_eq!(events_of(&provider, event).await.len(), 1, "{event}");
    }
}
