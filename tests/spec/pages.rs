//! What a person meets between a service and its answer: signing in, consent, error pages, and what keeps them safe.

use crate::support::provider::PASSWORD;
use crate::support::user_agent::{Cookie, Form, SameSite};
use crate::support::verbs::{Auth, http, origin_of, send};
use crate::support::{Answer, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent, claims_of};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use scraper::{Html, Selector};
use url::Url;

// ---- Verbs of this file.

/// A client that asks people for consent.
async fn asking_client(provider: &TestProvider, id: &str) -> TestClient {
    provider.add(NewClient::new(id)).await
}

async fn bob(provider: &TestProvider) {
    provider.add_user(NewUser::named("bob").with("name", "Bob Example").password("the password of bob")).await;
}

/// Answers the consent page; gives what follows.
async fn decide(provider: &TestProvider, browser: &UserAgent, page: &Page, decision: &str) -> Page {
    let answered = browser.submit(page.form("form"), Some(("decision", decision))).await;
    provider.settle(browser, answered).await
}

/// Asks without any page: who is signed in here?
async fn silently(provider: &TestProvider, client: &TestClient, browser: &UserAgent) -> Answer {
    let page = Authorization::of(client).with("prompt", "none").open(provider, browser).await;
    Answer::of(&page, &client.redirect_uri)
}

/// Who the code is about.
async fn subject(provider: &TestProvider, client: &TestClient, answer: &Answer) -> String {
    let id_token = provider.redeem(client, answer.code()).await.ok().text("id_token");
    claims_of(&id_token)["sub"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_at(page: &Page, path: &str) {
    assert!(page.status == StatusCode::OK && page.url.path().ends_with(path), "not at {path}, but {page}");
}

fn session_cookie(browser: &UserAgent) -> Option<Cookie> {
    browser.cookies().into_iter().find(|cookie| cookie.name.contains("hallpass_session"))
}

fn without(mut form: Form, name: &str) -> Form {
    form.fields.retain(|(known, _)| known != name);
    form
}

fn with(mut form: Form, name: &str, value: &str) -> Form {
    form.set(name, value);
    form
}

fn filled_in(page: &Page, username: &str, password: &str) -> Form {
    with(with(page.form("form"), "username", username), "password", password)
}

fn elements<'a>(html: &'a Html, css: &str) -> Vec<scraper::ElementRef<'a>> {
    html.select(&Selector::parse(css).unwrap()).collect()
}

fn links(page: &Page) -> Vec<String> {
    let html = Html::parse_document(&page.body);
    elements(&html, "a[href]").iter().filter_map(|link| link.attr("href")).map(str::to_owned).collect()
}

// ---- Signing in.

#[tokio::test]
async fn a_person_signs_in_and_consents_without_script() {
    let provider = TestProvider::start().await;
    let client = asking_client(&provider, "reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    assert_at(&login, "/login");
    assert_eq!(login.title(), "Sign in to continue to The reports service");
    let consent = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    assert_at(&consent, "/consent");
    let answer = Answer::of(&decide(&provider, &browser, &consent, "allow").await, &client.redirect_uri);
    assert_eq!((answer.get("state"), answer.get("iss")), (Some("the state"), Some(provider.issuer.as_str())));
    assert_eq!(subject(&provider, &client, &answer).await, "alice-sub");
}

#[tokio::test]
async fn a_user_who_cannot_sign_in_is_told_the_same_words_after_the_same_work() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    provider.add_user(NewUser::named("without-password")).await;
    provider.sql("UPDATE users SET password_hash = NULL WHERE username = 'without-password'").await;
    provider.add_user(NewUser::named("disabled").with("disabled_at", "1700000000")).await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    let (too_long, endless) = ("x".repeat(2000), "y".repeat(4000));
    let mut pages = Vec::new();
    for (username, password) in [
        ("alice", "not her password"),
        ("nobody", PASSWORD),
        ("without-password", PASSWORD),
        ("without-password", ""),
        ("disabled", "not their password"),
        ("alice", ""),
        ("alice", &too_long),
        (&endless, PASSWORD),
        ("alice' OR '1'='1", PASSWORD),
        ("%", PASSWORD),
    ] {
        let before = provider.provider.passwords.computed();
        let page = provider.type_in(&browser, &login, username, password).await;
        let hashes = provider.provider.passwords.computed() - before;
        assert_eq!((page.status, hashes), (StatusCode::UNPROCESSABLE_ENTITY, 1), "{username:.40} {password:.40}");
        assert_eq!(page.form("form").value("username"), Some(username), "what was typed stays");
        assert_eq!(page.form("form").value("password"), Some(""), "but not the password");
        assert_eq!(session_cookie(&browser), None);
        // Of the whole page, only the name in the field differs.
        let typed = username.replace('%', "&#37;").replace('\'', "&#39;");
        pages.push(page.body.replace(&typed, "…").replace(username, "…"));
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:#?}");
    // And the form still works.
    let page = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    let _ = Answer::of(&page, &client.redirect_uri).code();
}

#[tokio::test]
async fn a_user_name_or_an_e_mail_address_in_any_case_signs_in() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    for typed in ["alice", "ALICE", "  alice ", "alice@example.com", "Alice@Example.COM"] {
        let browser = UserAgent::new();
        let login = Authorization::of(&client).open(&provider, &browser).await;
        let page = provider.type_in(&browser, &login, typed, PASSWORD).await;
        let answer = Answer::of(&page, &client.redirect_uri);
        assert_eq!(subject(&provider, &client, &answer).await, "alice-sub", "{typed:?}");
    }
}

#[tokio::test]
async fn an_e_mail_address_that_two_users_share_signs_in_neither() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let bob = NewUser::named("bob").with("email", "Alice@example.com").password("the password of bob");
    provider.add_user(bob).await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    for password in [PASSWORD, "the password of bob"] {
        let page = provider.type_in(&browser, &login, "alice@example.com", password).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    }
    let page = provider.type_in(&browser, &login, "bob", "the password of bob").await;
    assert_eq!(subject(&provider, &client, &Answer::of(&page, &client.redirect_uri)).await, "bob-sub");
}

#[tokio::test]
async fn a_sign_in_can_be_canceled() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    let page = browser.submit(login.form("form"), Some(("action", "cancel"))).await;
    let answer = Answer::of(&page, &client.redirect_uri);
    assert_eq!((answer.error(), answer.get("state")), ("access_denied", Some("the state")));
    assert_eq!(answer.get("iss"), Some(provider.issuer.as_str()));
}

#[tokio::test]
async fn a_second_client_is_entered_without_a_form() {
    let provider = TestProvider::start().await;
    let (monolith, reports) = (provider.client("monolith").await, provider.client("reports").await);
    provider.alice().await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &monolith).await;
    let before = provider.provider.passwords.computed();
    // The very first answer leads to the client.
    let page = browser.cross_site_get(&Authorization::of(&reports).url(&provider)).await;
    let answer = Answer::of(&page, &reports.redirect_uri);
    assert_eq!(provider.provider.passwords.computed(), before);
    assert_eq!(subject(&provider, &reports, &answer).await, "alice-sub");
}

#[tokio::test]
async fn an_account_is_chosen_or_another_one_used() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    bob(&provider).await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &client).await;
    let choice = Authorization::of(&client).with("prompt", "select_account");
    let page = choice.open(&provider, &browser).await;
    assert!(page.text().contains("Continue as Alice Example"), "{page}");
    let page = browser.submit(page.form("form"), Some(("action", "continue"))).await;
    let page = provider.settle(&browser, page).await;
    assert_eq!(subject(&provider, &client, &Answer::of(&page, &client.redirect_uri)).await, "alice-sub");
    let page = choice.open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "bob", "the password of bob").await;
    assert_eq!(subject(&provider, &client, &Answer::of(&page, &client.redirect_uri)).await, "bob-sub");
}

// ---- Forms that are not ours.

#[tokio::test]
async fn a_form_that_is_not_this_pages_own_is_refused_and_changes_nothing() {
    let provider = TestProvider::start().await;
    let client = asking_client(&provider, "reports").await;
    provider.alice().await;
    let home = origin_of(&provider.issuer);
    let mut browser = UserAgent::new();
    let stranger = UserAgent::new();
    let request = Authorization::of(&client);
    let token = |page: &Page| page.form("form").value("csrf").unwrap().to_owned();

    let of_stranger = token(&request.open(&provider, &stranger).await);
    let of_other_tab = token(&request.open(&provider, &browser).await);
    let login = request.open(&provider, &browser).await;
    let mut page = login;
    // First on the login page, then on the consent page.
    for button in [("action", "sign_in"), ("decision", "allow")] {
        let form = if button.0 == "action" { filled_in(&page, "alice", PASSWORD) } else { page.form("form") };
        let (cookies, hashes) = (browser.cookies(), provider.provider.passwords.computed());
        let own = token(&page);
        for bad in [
            without(form.clone(), "csrf"),
            with(form.clone(), "csrf", ""),
            with(form.clone(), "csrf", &of_other_tab),
            with(form.clone(), "csrf", &of_stranger),
            with(form.clone(), "csrf", &own.to_lowercase()),
        ] {
            let refused = browser.submit(bad, Some(button)).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused}");
        }
        for origin in ["https://elsewhere.example", "http://localhost", &format!("{home}.example"), "file://", ""] {
            browser = browser.with_header("origin", origin);
            let refused = browser.submit(form.clone(), Some(button)).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{origin:?}: {refused}");
        }
        browser = browser.with_header("origin", &home);
        assert_eq!(browser.cookies(), cookies);
        assert_eq!(provider.provider.passwords.computed(), hashes);
        // What was refused has used nothing up.
        let answered = browser.submit(form, Some(button)).await;
        page = provider.settle(&browser, answered).await;
    }
    let answer = Answer::of(&page, &client.redirect_uri);
    assert_eq!(subject(&provider, &client, &answer).await, "alice-sub");
}

/// A privacy extension may hide the origin; the token, bound to the cookie, is proof enough.
#[tokio::test]
async fn a_form_of_ours_with_a_hidden_origin_is_accepted() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new().with_header("origin", "null");
    let _ = provider.sign_in(&browser, &client).await.code();
}

#[tokio::test]
async fn no_user_is_signed_in_by_anothers_form() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let (attacker, victim) = (UserAgent::new(), UserAgent::new());
    let form = Authorization::of(&client).open(&provider, &attacker).await.form("form");
    let fields: Vec<(&str, &str)> = form
        .fields
        .iter()
        .map(|(name, value)| {
            let value = match name.as_str() {
                "username" => "alice",
                "password" => PASSWORD,
                _ => value,
            };
            (name.as_str(), value)
        })
        .chain([("action", "sign_in")])
        .collect();
    // A browser that was never here, one that was, and one on our own site (a hole elsewhere in it).
    for round in 0..3 {
        if round > 0 {
            let _ = Authorization::of(&client).open(&provider, &victim).await;
        }
        let page = match round {
            2 => victim.post_form(&provider.url("/login"), &fields).await,
            _ => victim.cross_site_post(&provider.url("/login"), &fields).await,
        };
        assert!(page.status.is_client_error(), "{page}");
        assert_eq!(session_cookie(&victim), None, "{page}");
    }
    assert_eq!(silently(&provider, &client, &victim).await.error(), "login_required");
}

// ---- Cookies and sessions.

#[tokio::test]
async fn a_sign_in_gives_a_new_session_id_and_the_old_one_is_dead() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &client).await;
    let first = session_cookie(&browser).unwrap();
    let _ = Authorization::of(&client).with("prompt", "login").complete(&provider, &browser).await.code();
    let second = session_cookie(&browser).unwrap();
    assert_eq!(first.name, second.name);
    assert_ne!(first.value, second.value);
    for (cookie, is_live) in [(&first, false), (&second, true)] {
        let thief = UserAgent::new();
        thief.set_cookie(&provider.issuer, &format!("{}={}; Path=/", cookie.name, cookie.value));
        assert_eq!(silently(&provider, &client, &thief).await.get("code").is_some(), is_live);
    }
}

#[tokio::test]
async fn a_planted_session_cookie_is_not_adopted() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    bob(&provider).await;
    let attacker = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &attacker).await;
    let _ = provider.type_in(&attacker, &login, "bob", "the password of bob").await;
    let live = session_cookie(&attacker).unwrap();
    let made_up = format!("{}x", &live.value[..live.value.len() - 1]);
    for planted in [live.value.as_str(), &made_up] {
        let plant = format!("{}={planted}; Path=/", live.name);
        let (victim, thief) = (UserAgent::new(), UserAgent::new());
        victim.set_cookie(&provider.issuer, &plant);
        let answer = Authorization::of(&client).with("prompt", "login").complete(&provider, &victim).await;
        assert_eq!(subject(&provider, &client, &answer).await, "alice-sub");
        assert_ne!(session_cookie(&victim).unwrap().value, planted);
        thief.set_cookie(&provider.issuer, &plant);
        assert_eq!(silently(&provider, &client, &thief).await.error(), "login_required");
    }
}

#[tokio::test]
async fn cookies_stay_on_this_host_and_away_from_scripts() {
    let over_http = TestProvider::start().await;
    let over_https = TestProvider::with(&[("issuer", "https://id.example.com")]).await;
    for (provider, is_https) in [(&over_http, false), (&over_https, true)] {
        let client = provider.client("reports").await;
        provider.alice().await;
        let browser = UserAgent::new().through_tls_proxy(provider.address);
        let _ = provider.sign_in(&browser, &client).await.code();
        let cookies = browser.cookies();
        assert_eq!(cookies.len(), 3, "the browser's, the session's, and what the browser is known to: {cookies:?}");
        assert_eq!(browser.refused_cookies(), Vec::<String>::new());
        for cookie in cookies {
            assert!(cookie.http_only && cookie.host_only, "{cookie:?}");
            assert_eq!((cookie.same_site, cookie.path.as_str()), (Some(SameSite::Lax), "/"));
            // The session ends with the browser; the others keep its owner from being slowed by strangers.
            let days = (!cookie.name.contains("session")).then_some(90 * 86_400);
            assert_eq!((cookie.max_age, &cookie.expires), (days, &None), "{cookie:?}");
            assert_eq!((cookie.secure, cookie.name.starts_with("__Host-")), (is_https, is_https), "{cookie:?}");
        }
    }
}

/// Cookies ignore ports.
#[tokio::test]
async fn two_providers_on_one_host_do_not_share_cookies() {
    let (one, other) = (TestProvider::start().await, TestProvider::start().await);
    let browser = UserAgent::new();
    for provider in [&one, &other] {
        let client = provider.client("reports").await;
        provider.alice().await;
        assert_at(&Authorization::of(&client).open(provider, &browser).await, "/login");
        let _ = provider.sign_in(&browser, &client).await.code();
    }
    assert_eq!(browser.cookies().len(), 6);
    let page = browser.cross_site_get(&Authorization::of(&one.client("third").await).url(&one)).await;
    let _ = Answer::of(&page, "https://third.example/callback").code();
}

#[tokio::test]
async fn a_session_ends_when_it_was_idle_for_too_long() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &client).await;
    let idle = provider.provider.config.session_idle_lifetime;
    for _ in 0..2 {
        // Each use starts the time anew.
        provider.travel(idle - 60);
        let _ = silently(&provider, &client, &browser).await.code();
    }
    provider.travel(idle);
    assert_eq!(silently(&provider, &client, &browser).await.error(), "login_required");
    assert_at(&Authorization::of(&client).open(&provider, &browser).await, "/login");
}

#[tokio::test]
async fn a_session_ends_at_its_absolute_end_however_busy_it_was() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &client).await;
    let (length, step) = (provider.provider.config.session_lifetime, 40_000);
    for _ in 0..length / step {
        provider.travel(step);
        let _ = silently(&provider, &client, &browser).await.code();
    }
    provider.travel(length % step);
    assert_eq!(silently(&provider, &client, &browser).await.error(), "login_required");
}

#[tokio::test]
async fn a_changed_password_or_a_disabled_user_ends_the_session_within_ten_seconds() {
    for change in ["tokens_valid_after", "disabled_at"] {
        let provider = TestProvider::start().await;
        let client = provider.client("reports").await;
        provider.alice().await;
        let browser = UserAgent::new();
        let _ = provider.sign_in(&browser, &client).await;
        provider.travel(5);
        let _ = silently(&provider, &client, &browser).await.code();
        provider.sql(&format!("UPDATE users SET {change} = {} WHERE sub = 'alice-sub'", provider.now())).await;
        provider.travel(10);
        assert_eq!(silently(&provider, &client, &browser).await.error(), "login_required", "{change}");
        let login = Authorization::of(&client).open(&provider, &browser).await;
        let page = provider.type_in(&browser, &login, "alice", PASSWORD).await;
        // A new password is a new beginning; a disabled user stays out.
        assert_eq!(page.status == StatusCode::FORBIDDEN, change == "disabled_at", "{page}");
    }
}

// ---- Interactions.

#[tokio::test]
async fn a_sign_in_continues_only_in_the_browser_it_was_started_in() {
    let provider = TestProvider::start().await;
    let client = asking_client(&provider, "reports").await;
    provider.alice().await;
    let (browser, other) = (UserAgent::new(), UserAgent::new());
    let login = Authorization::of(&client).open(&provider, &browser).await;
    let addresses = [
        login.url.to_string(),
        login.url.as_str().replace("/login?", "/consent?"),
        login.url.as_str().replace("/login?", "/authorize?"),
    ];
    for address in &addresses {
        let page = other.get(address).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{page}");
        assert!(page.text().contains("Your browser did not send our cookie"), "{page}");
    }
    let _ = Authorization::of(&client).open(&provider, &other).await;
    for address in &addresses {
        let page = other.get(address).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{page}");
        assert!(page.text().contains("started in another browser"), "{page}");
        assert!(page.forms().is_empty());
    }
    let consent = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    assert_at(&consent, "/consent");
}

#[tokio::test]
async fn a_completed_sign_in_says_that_it_is_complete() {
    let provider = TestProvider::start().await;
    let client = asking_client(&provider, "reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    let consent = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    let _ = Answer::of(&decide(&provider, &browser, &consent, "allow").await, &client.redirect_uri).code();
    let resumed = login.url.as_str().replace("/login?", "/authorize?");
    let replays = [
        browser.get(login.url.as_str()).await,
        browser.get(consent.url.as_str()).await,
        browser.get(&resumed).await,
        browser.submit(filled_in(&login, "alice", PASSWORD), Some(("action", "sign_in"))).await,
        browser.submit(consent.form("form"), Some(("decision", "allow"))).await,
        browser.submit(consent.form("form"), Some(("decision", "deny"))).await,
    ];
    for page in replays {
        assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, None), "{page}");
        assert!(page.text().contains("complete"), "{page}");
    }
}

#[tokio::test]
async fn a_sign_in_expires_after_half_an_hour() {
    let provider = TestProvider::start().await;
    let client = provider.add(NewClient::new("reports").with("client_uri", "https://reports.example/")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    provider.travel(1795);
    let consent = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    assert_at(&consent, "/consent");
    provider.travel(6);
    for page in [
        browser.get(login.url.as_str()).await,
        browser.submit(filled_in(&login, "alice", PASSWORD), Some(("action", "sign_in"))).await,
        browser.submit(consent.form("form"), Some(("decision", "allow"))).await,
    ] {
        assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, None), "{page}");
        assert!(page.text().contains("This sign-in has expired"), "{page}");
        assert_eq!(links(&page), ["https://reports.example/"], "a way to begin again");
    }
}

#[tokio::test]
async fn of_64_tabs_that_answer_at_once_one_gets_the_code() {
    let provider = TestProvider::start().await;
    let client = asking_client(&provider, "reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    let consent = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    let answers = join_all((0..64).map(|_| decide(&provider, &browser, &consent, "allow"))).await;
    let (codes, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(|page| page.status.is_redirection());
    assert_eq!(codes.len(), 1, "{codes:?}");
    for page in others {
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{page}");
        assert!(page.text().contains("complete"), "{page}");
    }
    assert_eq!(subject(&provider, &client, &Answer::of(&codes[0], &client.redirect_uri)).await, "alice-sub");
}

/// A user who opens several services at once, in a browser that has none of our cookies, starts several sign-ins at once: the
/// answer to one takes nothing away from the others.
#[tokio::test]
async fn tabs_that_are_opened_at_once_in_a_new_browser_all_complete() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let mut clients = Vec::new();
    for id in ["one", "two", "three", "four", "five"] {
        clients.push(provider.client(id).await);
    }
    let browser = UserAgent::new();
    let opened =
        clients.iter().map(async |client| browser.cross_site_get(&Authorization::of(client).url(&provider)).await);
    let opened = futures_util::future::join_all(opened).await;
    for page in &opened {
        assert!(page.header("set-cookie").unwrap().contains("Max-Age=5400"), "no request had a cookie yet: {page}");
    }
    let mut logins = Vec::new();
    for page in opened {
        let page = provider.settle(&browser, page).await;
        assert_at(&page, "/login");
        logins.push(page);
    }
    for (client, login) in clients.iter().zip(logins) {
        let page = provider.type_in(&browser, &login, "alice", PASSWORD).await;
        let answer = Answer::of(&page, &client.redirect_uri);
        let _ = provider.redeem(client, answer.code()).await.ok();
    }
    // Who never completes any is not given ever more cookies.
    let undecided = UserAgent::new();
    for _ in 0..20 {
        assert_at(&Authorization::of(&clients[0]).open(&provider, &undecided).await, "/login");
    }
    assert!(undecided.cookies().len() < 10, "{:?}", undecided.cookies());
    assert!(!provider.sign_in(&undecided, &clients[1]).await.code().is_empty());
    // The others' links of that browser are of no use to a stranger.
    let stranger = UserAgent::new();
    let login = Authorization::of(&clients[0]).with("prompt", "login").open(&provider, &browser).await;
    let _ = Authorization::of(&clients[1]).open(&provider, &stranger).await;
    let page = stranger.get(login.url.as_str()).await;
    assert!(page.text().contains("started in another browser"), "{page}");
}

#[tokio::test]
async fn two_sign_ins_in_one_browser_complete_independently() {
    let provider = TestProvider::start().await;
    let (one, other) = (asking_client(&provider, "one").await, asking_client(&provider, "other").await);
    provider.alice().await;
    let browser = UserAgent::new();
    let first = Authorization::of(&one).with("state", "first").open(&provider, &browser).await;
    let second = Authorization::of(&other).with("state", "second").open(&provider, &browser).await;
    let consent = provider.type_in(&browser, &second, "alice", PASSWORD).await;
    let answer = Answer::of(&decide(&provider, &browser, &consent, "allow").await, &other.redirect_uri);
    assert_eq!(answer.get("state"), Some("second"));
    // The first tab still shows its form; reloaded, it need not be filled in any more.
    let reloaded = browser.get(first.url.as_str()).await;
    let consent = provider.settle(&browser, reloaded).await;
    assert_at(&consent, "/consent");
    let answer = Answer::of(&decide(&provider, &browser, &consent, "allow").await, &one.redirect_uri);
    assert_eq!(answer.get("state"), Some("first"));
    assert_eq!(subject(&provider, &one, &answer).await, "alice-sub");
}

// ---- Consent.

#[tokio::test]
async fn consent_names_the_client_and_what_it_asks_for_in_plain_words() {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports")
        .with("scope", "openid profile email address phone reports:read")
        .with("client_uri", "https://reports.example/about")
        .with("policy_uri", "https://reports.example/privacy")
        .with("tos_uri", "javascript:alert(1)");
    let client = provider.add(client).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let request = Authorization::of(&client).with("scope", "openid profile email address phone reports:read");
    let login = request.open(&provider, &browser).await;
    let page = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    assert_at(&page, "/consent");
    let text = page.text();
    for words in [
        "Allow The reports service to use your account?",
        "Signed in as Alice Example",
        "Your profile",
        "Your e-mail address",
        "Your postal address",
        "Your phone number",
        "reports:read",
        "sent back to reports.example",
    ] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    assert!(!text.contains("openid"), "no jargon: {text}");
    assert_eq!(page.texts("ul.scopes li").len(), 5);
    let links = links(&page);
    assert!(links.contains(&"https://reports.example/about".to_owned()), "{links:?}");
    assert!(links.contains(&"https://reports.example/privacy".to_owned()), "{links:?}");
    assert!(!page.body.contains("javascript:"), "{links:?}");
}

/// An address is read, not told by how it begins.
#[tokio::test]
async fn every_page_links_to_web_addresses_only() {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports")
        .with("client_uri", "HTTPS://reports.example/about")
        .with("policy_uri", "https://")
        .with("tos_uri", "HTTP://reports.example/terms")
        .with("initiate_login_uri", "com.example.reports:/start");
    let client = provider.add(client).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    let consent = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    assert_at(&consent, "/consent");
    let addresses: Vec<String> = links(&consent).into_iter().filter(|link| !link.ends_with("switch=1")).collect();
    assert_eq!(addresses, ["HTTPS://reports.example/about", "HTTP://reports.example/terms"]);
    // Where a sign-in cannot be started at its own address, the home page is the way back.
    provider.travel(1801);
    let expired = browser.get(consent.url.as_str()).await;
    assert_eq!(links(&expired), ["HTTPS://reports.example/about"], "{expired}");
}

#[tokio::test]
async fn consent_is_remembered_per_client_and_scope() {
    let provider = TestProvider::start().await;
    let client = asking_client(&provider, "reports").await;
    let other = asking_client(&provider, "other").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let narrow = Authorization::of(&client).with("scope", "openid email");
    let _ = narrow.complete(&provider, &browser).await.code();
    // The same and less are not asked about again, not even in another browser.
    let again = UserAgent::new();
    let login = narrow.open(&provider, &again).await;
    let _ = Answer::of(&provider.type_in(&again, &login, "alice", PASSWORD).await, &client.redirect_uri).code();
    let less = Authorization::of(&client).with("scope", "openid").open(&provider, &browser).await;
    let _ = Answer::of(&less, &client.redirect_uri).code();
    // More is, and another client, and a client that insists.
    let wider = Authorization::of(&client).open(&provider, &browser).await;
    assert_at(&wider, "/consent");
    let _ = Answer::of(&decide(&provider, &browser, &wider, "allow").await, &client.redirect_uri).code();
    assert_at(&Authorization::of(&other).open(&provider, &browser).await, "/consent");
    let insisting = Authorization::of(&client).with("prompt", "consent").open(&provider, &browser).await;
    assert_at(&insisting, "/consent");
    let _ = Answer::of(&decide(&provider, &browser, &insisting, "allow").await, &client.redirect_uri).code();
    // Both answers add up.
    let _ = silently(&provider, &client, &browser).await.code();
}

#[tokio::test]
async fn a_clients_row_can_skip_consent_but_not_when_it_asks_for_it() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    let _ = Answer::of(&page, &client.redirect_uri).code();
    assert_at(&Authorization::of(&client).with("prompt", "consent").open(&provider, &browser).await, "/consent");
}

#[tokio::test]
async fn a_denial_reaches_the_client_and_is_not_remembered() {
    let provider = TestProvider::start().await;
    let client = asking_client(&provider, "reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    let mut consent = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    for _ in 0..2 {
        assert_at(&consent, "/consent");
        let answer = Answer::of(&decide(&provider, &browser, &consent, "deny").await, &client.redirect_uri);
        assert_eq!((answer.error(), answer.get("state")), ("access_denied", Some("the state")));
        assert_eq!(answer.get("iss"), Some(provider.issuer.as_str()));
        consent = Authorization::of(&client).open(&provider, &browser).await;
    }
    assert_eq!(silently(&provider, &client, &browser).await.error(), "consent_required");
}

#[tokio::test]
async fn who_is_not_the_person_signed_in_uses_another_account() {
    let provider = TestProvider::start().await;
    let client = asking_client(&provider, "reports").await;
    provider.alice().await;
    bob(&provider).await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    let consent = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    let link = links(&consent).into_iter().find(|link| link.ends_with("switch=1")).unwrap();
    let login = browser.get(provider_url(&provider, &link).as_str()).await;
    assert_at(&login, "/login");
    let consent = provider.type_in(&browser, &login, "bob", "the password of bob").await;
    assert_at(&consent, "/consent");
    assert!(consent.text().contains("Signed in as Bob Example"), "{consent}");
    let answer = Answer::of(&decide(&provider, &browser, &consent, "allow").await, &client.redirect_uri);
    assert_eq!(subject(&provider, &client, &answer).await, "bob-sub");
}

fn provider_url(provider: &TestProvider, link: &str) -> Url {
    Url::parse(&provider.issuer).unwrap().join(link).unwrap()
}

// ---- What every page is like.

/// One of each kind, by way of this browser, and which of them may run our script.
async fn pages(provider: &TestProvider, browser: &UserAgent) -> Vec<(Page, bool)> {
    let client = asking_client(provider, "reports").await;
    provider.alice().await;
    let request = Authorization::of(&client).with("response_mode", "form_post");
    let login = request.open(provider, browser).await;
    let wrong = provider.type_in(browser, &login, "alice", "not her password").await;
    let foreign = browser.submit(without(filled_in(&login, "alice", PASSWORD), "csrf"), None).await;
    let consent = provider.type_in(browser, &login, "alice", PASSWORD).await;
    let code = decide(provider, browser, &consent, "allow").await;
    let refused = request.with("response_type", "token").open(provider, browser).await;
    let complete = browser.get(login.url.as_str()).await;
    let unknown_client = browser.get(&provider.url("/authorize?client_id=nobody")).await;
    let unknown_path = browser.get(&provider.url("/nowhere")).await;
    vec![
        (login, true),
        (wrong, true),
        (foreign, false),
        (consent, false),
        (code, true),
        (refused, true),
        (complete, false),
        (unknown_client, false),
        (unknown_path, false),
    ]
}

#[tokio::test]
async fn every_page_carries_the_headers_that_keep_it_safe() {
    let over_http = TestProvider::start().await;
    let over_https = TestProvider::with(&[("issuer", "https://id.example.com/auth")]).await;
    for (provider, is_https) in [(&over_http, false), (&over_https, true)] {
        let browser = UserAgent::new().through_tls_proxy(provider.address);
        for (page, has_script) in pages(provider, &browser).await {
            let policy = page.header("content-security-policy").unwrap_or_else(|| panic!("no policy: {page}"));
            let directives: Vec<&str> = policy.split(';').map(str::trim).collect();
            for needed in ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"] {
                assert!(directives.contains(&needed), "{needed} is not in {policy}: {page}");
            }
            // A directive that is not there is `default-src`; what is there names our own origin and nothing else, and for
            // scripts no more of it than our own.
            let scripts = format!("{}/assets/", provider.issuer);
            for (directive, source) in directives.iter().filter_map(|directive| directive.split_once(' ')) {
                let ours = if directive == "script-src" { scripts.as_str() } else { "'self'" };
                assert!(source == "'none'" || source == ours, "{policy}: {page}");
            }
            assert_eq!(policy.contains("script-src"), has_script, "{page}");
            assert!(!policy.contains("form-action"), "browsers apply it to every hop of the redirects: {page}");
            assert_eq!(page.header("x-frame-options"), Some("DENY"), "{page}");
            assert_eq!(page.header("cache-control"), Some("no-store"), "{page}");
            assert_eq!(page.header("referrer-policy"), Some("same-origin"), "{page}");
            assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{page}");
            assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{page}");
            assert_eq!(page.header("strict-transport-security").is_some(), is_https, "{page}");
            assert!(page.header("x-request-id").is_some(), "{page}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_kept_and_tells_no_other_site_where_it_came_from() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &client).await;
    let page = browser.cross_site_get(&Authorization::of(&client).url(&provider)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "307 would send a password on");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("referrer-policy"), Some("same-origin"));
}

#[tokio::test]
async fn no_page_has_a_script_or_a_style_in_it() {
    let provider = TestProvider::start().await;
    for (page, has_script) in pages(&provider, &UserAgent::new()).await {
        let html = Html::parse_document(&page.body);
        assert!(elements(&html, "style, [style], base, iframe, object, embed").is_empty(), "{page}");
        let scripts = elements(&html, "script");
        assert_eq!(scripts.len(), usize::from(has_script), "{page}");
        assert!(scripts.iter().all(|script| script.attr("src").is_some() && script.inner_html().is_empty()), "{page}");
        for element in elements(&html, "*") {
            for (name, value) in element.value().attrs() {
                assert!(!name.starts_with("on"), "{name} in {page}");
                assert!(!value.trim_start().to_lowercase().starts_with("javascript:"), "{value} in {page}");
            }
        }
        // Whatever a page needs is there, and may be kept for long.
        for asset in elements(&html, "link[href], script[src], img[src]") {
            let address = asset.attr("href").or_else(|| asset.attr("src")).unwrap();
            let found = send(http().get(page.url.join(address).unwrap())).await;
            assert_eq!(found.status, StatusCode::OK, "{address} of {page}");
            assert!(found.header("cache-control").unwrap().contains("immutable"), "{address}");
        }
    }
}

/// Markup that would leave an attribute and a text, each by either kind of quote.
const HOSTILE: &str = "\"'></title></p><x-evil onload=alert(1)>&amp;<!--";

/// The same as a scope token, in which there can be no quote and no space.
const HOSTILE_SCOPE: &str = "</span><x-evil>&amp;<!--";

#[track_caller]
fn assert_harmless(page: &Page) {
    let html = Html::parse_document(&page.body);
    assert!(elements(&html, "x-evil, [onload]").is_empty(), "markup got into {page}");
    assert!(!page.body.contains("<x-evil") && !page.body.contains("<!--"), "markup got into {page}");
}

#[tokio::test]
async fn markup_is_shown_and_not_obeyed() {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports")
        .with("client_name", HOSTILE)
        .with("client_uri", &format!("https://reports.example/{HOSTILE}"))
        .with("policy_uri", &format!("https://reports.example/{HOSTILE}"))
        .with("scope", &format!("openid {HOSTILE_SCOPE}"));
    let client = provider.add(client).await;
    provider.add_user(NewUser::alice().with("name", HOSTILE)).await;
    let browser = UserAgent::new();
    let request = Authorization::of(&client)
        .with("scope", &format!("openid {HOSTILE_SCOPE}"))
        .with("state", HOSTILE)
        .with("nonce", HOSTILE)
        .with("login_hint", HOSTILE)
        .with("response_mode", "form_post");

    let login = request.open(&provider, &browser).await;
    assert_harmless(&login);
    assert!(login.text().contains(HOSTILE) && login.title().contains(HOSTILE), "the client's name: {login}");
    assert_eq!(login.form("form").value("username"), Some(HOSTILE), "the hint");
    let typed = format!("a user {HOSTILE}");
    let wrong = provider.type_in(&browser, &login, &typed, "wrong").await;
    assert_harmless(&wrong);
    assert_eq!(wrong.form("form").value("username"), Some(typed.as_str()), "the user name");

    let consent = provider.type_in(&browser, &wrong, "alice", PASSWORD).await;
    assert_at(&consent, "/consent");
    assert_harmless(&consent);
    assert!(consent.text().contains(&format!("Signed in as {HOSTILE}")), "the person's name: {consent}");
    assert_eq!(consent.texts("ul.scopes li .strong"), [HOSTILE_SCOPE]);

    let page = decide(&provider, &browser, &consent, "allow").await;
    assert_harmless(&page);
    let answer = Answer::of(&page, &client.redirect_uri);
    assert_eq!(answer.get("state"), Some(HOSTILE));
    let id_token = provider.redeem(&client, answer.code()).await.ok().text("id_token");
    assert_eq!(claims_of(&id_token)["nonce"], HOSTILE);

    for request in [
        request.clone().with("prompt", "login"),
        request.clone().with("prompt", "select_account"),
        request.clone().with("response_type", HOSTILE),
        request.clone().with(HOSTILE, HOSTILE).and(HOSTILE, "twice"),
        request.clone().with("client_id", HOSTILE),
        request.with("redirect_uri", HOSTILE),
    ] {
        assert_harmless(&request.open(&provider, &browser).await);
    }
    let mut page = Url::parse(&provider.url("/login")).unwrap();
    page.query_pairs_mut().append_pair("interaction", HOSTILE).append_pair("error", HOSTILE);
    assert_harmless(&browser.get(page.as_str()).await);
    page.set_path(&format!("/{HOSTILE}"));
    assert_harmless(&browser.get(page.as_str()).await);
}

/// In the query of a redirect, nothing but an escaped value can be there.
#[tokio::test]
async fn a_state_of_any_kind_comes_back_unchanged() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &client).await;
    for state in [HOSTILE, "a b+c%20d&e=f#g", "ěščř 漢字 🙂", "\r\nSet-Cookie: a=b", &"s".repeat(2000)] {
        let answer = Authorization::of(&client).with("state", state).complete(&provider, &browser).await;
        assert_eq!(answer.get("state"), Some(state));
        let _ = answer.code();
    }
}

// ---- Errors.

#[tokio::test]
async fn an_error_page_shows_the_reference_under_which_the_log_has_it() {
    let provider = TestProvider::start().await;
    let browser = UserAgent::new();
    let mut seen = Vec::new();
    for path in ["/authorize", "/authorize?client_id=nobody", "/login", "/consent?interaction=unknown", "/nowhere"] {
        let page = browser.get(&provider.url(path)).await;
        assert!(page.status.is_client_error(), "{page}");
        let reference = page.header("x-request-id").unwrap().to_owned();
        assert_eq!(page.texts("code"), [reference.as_str()], "{page}");
        assert!(!seen.contains(&reference), "each has its own");
        seen.push(reference);
    }
}

/// PostgreSQL takes no such character in a text.
#[tokio::test]
async fn a_null_character_is_a_mistake_of_the_sender_and_no_fault_of_ours() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    let request = Authorization::of(&client);
    for page in [
        provider.type_in(&browser, &login, "alice\0", PASSWORD).await,
        provider.type_in(&browser, &login, "alice", "\0").await,
        request.clone().with("client_id", "reports\0").open(&provider, &browser).await,
        request.clone().with("state", "\0").open(&provider, &browser).await,
        request.with("login_hint", "\0").open(&provider, &browser).await,
        browser.get(&provider.url("/login?interaction=%00")).await,
        browser.get(&provider.url("/%00")).await,
    ] {
        assert!(page.status.is_client_error(), "{page}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_a_page_to_people_and_json_to_machines() {
    let provider = TestProvider::with(&[("issuer", "/auth")]).await;
    let root = origin_of(&provider.issuer);
    for path in ["/nowhere", "/auth/nowhere", "/auth/token/more", "/"] {
        let address = format!("{root}{path}");
        let page = UserAgent::new().get(&address).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{page}");
        assert!(page.text().contains("There is nothing here"), "{page}");
        for accept in ["application/json", "*/*"] {
            let answer = send(http().get(&address).header("accept", accept)).await;
            assert_eq!((answer.status, answer.text("error").as_str()), (StatusCode::NOT_FOUND, "not_found"));
            assert_eq!(answer.header("content-type"), Some("application/json"));
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let provider = TestProvider::start().await;
    for (path, method, allowed) in [
        ("/login", Method::PUT, "GET,HEAD,POST"),
        ("/consent", Method::DELETE, "GET,HEAD,POST"),
        ("/authorize", Method::PATCH, "GET,HEAD,POST"),
        ("/token", Method::GET, "POST"),
        ("/token", Method::PUT, "POST"),
        ("/jwks", Method::POST, "GET,HEAD"),
        ("/.well-known/openid-configuration", Method::POST, "GET,HEAD"),
        ("/userinfo", Method::DELETE, "GET,HEAD,POST"),
    ] {
        let answer = send(http().request(method.clone(), provider.url(path))).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        let mut named: Vec<&str> = answer.header("allow").unwrap_or_default().split(',').map(str::trim).collect();
        named.sort_unstable();
        assert_eq!(named.join(","), allowed, "{method} {path}");
    }
}

/// A page is for people: no other site's script may read it, whatever it calls itself.
#[tokio::test]
async fn no_page_is_readable_from_another_origin() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    for path in [Authorization::of(&client).url(&provider), provider.url("/login"), provider.url("/consent")] {
        let answer = send(http().get(&path).header("origin", "https://elsewhere.example")).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    let answer = provider.post("/login", Auth::Nothing, &[]).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
}
