//! `/`, our own start page, and what leads there: who is signed in, the services to open, the ways to sign out, and the way on
//! from a page where there is nothing to continue.

use crate::support::provider::PASSWORD;
use crate::support::verbs::send;
use crate::support::{Answer, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent, verbs};
use hallpass::protocol::secret::SessionId;
use hallpass::sign_ins;
use hallpass::store::sessions;
use reqwest::StatusCode;
use scraper::{Html, Selector};

// ---- Verbs of this file.

/// The links of a page, as they are written.
pub fn links(page: &Page) -> Vec<String> {
    let html = Html::parse_document(&page.body);
    let selector = Selector::parse("a[href]").unwrap();
    html.select(&selector).filter_map(|link| link.attr("href")).map(str::to_owned).collect()
}

/// Signs in at the start page itself, and is there again.
async fn sign_in_at_home(provider: &TestProvider, browser: &UserAgent, username: &str) -> Page {
    let home = browser.get(&provider.url("/")).await;
    let started = browser.submit(home.form("form"), Some(("action", "sign_in"))).await;
    let login = provider.settle(browser, started).await;
    assert_eq!((login.title().as_str(), login.texts("h1")), ("Sign in", vec!["Sign in".to_owned()]));
    provider.type_in(browser, &login, username, PASSWORD).await
}

#[track_caller]
fn assert_home(provider: &TestProvider, page: &Page, heading: &str) {
    assert_eq!((page.status, page.url.as_str()), (StatusCode::OK, provider.url("/").as_str()), "{page}");
    assert_eq!((page.title().as_str(), page.texts("h1")), (heading, vec![heading.to_owned()]), "{page}");
}

/// Refresh tokens of `offline_access` outlast a sign-out.
const STAYS: &str = "Apps that you allowed to work while you are away stay connected.";

async fn is_signed_in(provider: &TestProvider, client: &TestClient, browser: &UserAgent) -> bool {
    let page = Authorization::of(client).with("prompt", "none").open(provider, browser).await;
    Answer::of(&page, &client.redirect_uri).get("code").is_some()
}

// ---- Who is signed in.

#[tokio::test]
async fn a_user_signs_in_at_the_start_page_without_a_service_and_can_cancel_that() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let browser = UserAgent::new();
    let home = browser.get(&provider.url("/")).await;
    assert_home(&provider, &home, "You are not signed in");
    assert!(!home.text().contains("Alice"));

    let started = browser.submit(home.form("form"), Some(("action", "sign_in"))).await;
    let login = provider.settle(&browser, started).await;
    let canceled = browser.submit(login.form("form"), Some(("action", "cancel"))).await;
    assert_eq!(canceled.location().unwrap().as_str(), provider.url("/"), "an address without parameters");
    assert_home(&provider, &browser.follow(canceled).await, "You are not signed in");

    let home = sign_in_at_home(&provider, &browser, "alice").await;
    assert_home(&provider, &home, "You are signed in");
    assert!(home.text().contains("Signed in as Alice Example alice"), "{home}");
    // It is a sign-in like any other: a service is entered without a form.
    let client = provider.client("reports").await;
    assert!(is_signed_in(&provider, &client, &browser).await);
    // A user who is signed in already is not asked again.
    let again = browser.post_form(&provider.url("/"), &[("action", "sign_in")]).await;
    assert_home(&provider, &provider.settle(&browser, again).await, "You are signed in");
    // Nor has one in a sign-in that fails there.
    let stranger = UserAgent::new();
    let started = stranger.post_form(&provider.url("/"), &[("action", "sign_in")]).await;
    let login = provider.settle(&stranger, started).await;
    assert_eq!(provider.type_in(&stranger, &login, "alice", "not her password").await.status, 422);
    provider.provider.audit.flush().await;
    let events = provider.rows("SELECT client_id FROM audit_events WHERE event LIKE 'sign_in%'").await;
    assert_eq!(events, [[None], [None]], "no service had a part in it");
}

#[tokio::test]
async fn the_start_page_lists_the_services_that_can_be_opened_by_name() {
    let provider = TestProvider::start().await;
    let client = |id: &str, name: &str| NewClient::new(id).with("client_name", name);
    let uri = |id: &str| format!("https://{id}.example/");
    for (id, name) in [("z", "zeta"), ("b", "Beta"), ("a", "alpha"), ("n", "")] {
        provider.add(client(id, name).with("client_uri", &uri(id))).await;
    }
    provider.add(client("gone", "Gone").with("client_uri", &uri("gone")).with("disabled_at", "1700000000")).await;
    provider.add(client("bare", "Bare")).await;
    provider.add(client("script", "Script").with("client_uri", "javascript:alert(1)")).await;
    let machine = client("machine", "Machine").with("client_uri", &uri("machine"));
    provider.add(machine.with("grant_types", "client_credentials")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    assert_eq!(links(&browser.get(&provider.url("/")).await), [""; 0], "a stranger is told of none");
    let home = sign_in_at_home(&provider, &browser, "alice").await;
    assert_eq!(home.texts("ul li"), ["alpha", "Beta", "n", "zeta"]);
    let services: Vec<String> = links(&home).into_iter().filter(|link| link != "/account").collect();
    assert_eq!(services, ["a", "b", "n", "z"].map(uri));
}

/// What a stranger sends as `Host` is nowhere on the page.
#[tokio::test]
async fn the_start_page_is_under_the_issuers_path_with_and_without_a_slash() {
    let provider = TestProvider::with(&[("issuer", "/auth")]).await;
    provider.alice().await;
    for path in ["", "/"] {
        let page = UserAgent::new().with_header("host", "evil.example").get(&provider.url(path)).await;
        assert_eq!((page.status, page.title().as_str()), (StatusCode::OK, "You are not signed in"), "{page}");
        assert!(!page.body.contains("evil.example"), "{}", page.body);
        assert_eq!(page.header("cache-control"), Some("no-store"));
    }
    let home = sign_in_at_home(&provider, &UserAgent::new(), "alice").await;
    assert_home(&provider, &home, "You are signed in");
}

/// Another site's form brings no cookies of ours, and must not fill the browser with new ones.
#[tokio::test]
async fn a_site_that_posts_to_the_start_page_leaves_few_cookies() {
    let provider = TestProvider::start().await;
    let browser = UserAgent::new();
    for _ in 0..20 {
        let started = browser.cross_site_post(&provider.url("/"), &[("action", "sign_in")]).await;
        assert!(started.header("set-cookie").is_none(), "{started}");
        let login = provider.settle(&browser, started).await;
        assert_eq!(login.title(), "Sign in", "{login}");
    }
    let cookies = browser.cookies();
    assert!((1..=8).contains(&cookies.len()), "{cookies:?}");
}

// ---- Signing out there.

/// Where the database cannot be written, what can be ended is, and the page says no more than that.
#[tokio::test]
async fn sign_out_everywhere_ends_this_sign_in_first_and_can_be_tried_again_for_the_others() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    provider.add_user(NewUser::named("bob")).await;
    let (here, there) = (UserAgent::new(), UserAgent::new());
    for browser in [&here, &there] {
        let _ = provider.sign_in(browser, &client).await;
    }
    let home = here.get(&provider.url("/")).await;
    provider.sql("ALTER TABLE user_sessions RENAME TO away").await;
    let page = here.submit(home.form("form"), Some(("action", "sign_out_everywhere"))).await;
    assert_eq!(page.title(), "You are signed out in this browser only", "{page}");
    assert!(!here.cookies().iter().any(|cookie| cookie.name.contains("session")), "{:?}", here.cookies());
    let again = here.submit(page.form("form"), Some(("action", "sign_out_everywhere"))).await;
    assert_eq!(again.title(), "You are signed out in this browser only", "{again}");
    provider.sql("ALTER TABLE away RENAME TO user_sessions").await;
    assert!(!is_signed_in(&provider, &client, &here).await);
    assert!(is_signed_in(&provider, &client, &there).await);

    // The form is of this browser, and for these sign-ins alone.
    let form = again.form("form");
    for (browser, request) in [(&there, None), (&here, Some(form.value("request").unwrap().replace("alice", "bob")))] {
        let mut forged = form.clone();
        if let Some(request) = &request {
            forged.set("request", request);
        }
        let page = browser.submit(forged, Some(("action", "sign_out_everywhere"))).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{page}");
    }
    // Another user who has signed in here meanwhile stays signed in.
    let _ = sign_in_at_home(&provider, &here, "bob").await;
    let page = here.submit(form.clone(), Some(("action", "sign_out_everywhere"))).await;
    assert_eq!(page.title(), "You are signed out everywhere", "{page}");
    sign_ins::settle(&provider.provider).await;
    assert!(!is_signed_in(&provider, &client, &there).await);
    assert!(is_signed_in(&provider, &client, &here).await, "bob");
    // It is not good for long.
    let _ = provider.sign_in(&there, &client).await;
    provider.travel(3601);
    let page = here.submit(form, Some(("action", "sign_out_everywhere"))).await;
    assert!(is_signed_in(&provider, &client, &there).await, "{page}");
}

/// By whom and from where; sign-ins that are over do not count.
#[tokio::test]
async fn the_audit_says_who_signed_out_everywhere_and_of_how_many_sign_ins() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let _ = provider.sign_in(&UserAgent::new(), &client).await;
    provider.travel(43_200 + 3601);
    let (here, there) = (UserAgent::new(), UserAgent::new());
    for browser in [&here, &there] {
        let _ = provider.sign_in(browser, &client).await;
    }
    let home = here.get(&provider.url("/")).await;
    let _ = here.submit(home.form("form"), Some(("action", "sign_out_everywhere"))).await;
    let events = "SELECT network, detail FROM audit_events WHERE event = 'user_sessions_ended'";
    let found = provider.rows(events).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0][0].as_deref(), Some("127.0.0.1"));
    let detail: serde_json::Value = serde_json::from_str(found[0][1].as_deref().unwrap()).unwrap();
    assert_eq!((&detail["by"], detail["count"].to_string().trim_matches('"')), (&"person".into(), "1"), "{detail}");
}

/// It would be sent along for as long as the browser is open, and its record would stay until the end of its lifetime.
#[tokio::test]
async fn what_is_left_of_a_sign_in_that_is_over_is_taken_away_where_a_user_sees_that_it_is() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    for path in ["/", "/logout"] {
        let browser = UserAgent::new();
        let _ = provider.sign_in(&browser, &client).await;
        let session =
            |browser: &UserAgent| browser.cookies().into_iter().find(|it| it.name.contains("hallpass_session"));
        let id = SessionId::received(session(&browser).unwrap().value);
        let record = async || sessions::find(&provider.provider.ephemeral, &id).await.unwrap();
        provider.travel(43_201);
        assert!(record().await.is_some());
        let page = browser.get(&provider.url(path)).await;
        assert!(!page.text().contains("Alice"), "{page}");
        assert!(session(&browser).is_none() && record().await.is_none(), "{path}");
    }
}

#[tokio::test]
async fn a_user_signs_out_at_the_start_page_by_its_own_form_alone() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &client).await;
    let home = browser.get(&provider.url("/")).await;
    let form = home.form("form");
    assert!(form.action.path().ends_with("/logout"));
    for button in ["sign_out", "sign_out_everywhere"] {
        let mut forged = form.clone();
        forged.set("csrf", "made up");
        assert_eq!(browser.submit(forged, Some(("action", button))).await.status, StatusCode::FORBIDDEN);
        let mut fields: Vec<(&str, &str)> = form.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        fields.push(("action", button));
        let foreign = browser.cross_site_post(form.action.as_str(), &fields).await;
        assert_eq!(foreign.status, StatusCode::FORBIDDEN, "{foreign}");
        assert!(is_signed_in(&provider, &client, &browser).await);
    }
    let page = browser.submit(form, Some(("action", "sign_out"))).await;
    assert_eq!(page.title(), "You are signed out", "{page}");
    assert_eq!(links(&page), ["/"]);
    assert!(!is_signed_in(&provider, &client, &browser).await);
    assert_home(&provider, &browser.get(&provider.url("/")).await, "You are not signed in");
}

#[tokio::test]
async fn sign_out_everywhere_ends_every_sign_in_of_the_user_and_no_one_elses() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    provider.add_user(NewUser::named("bob")).await;
    let (here, there, one_of_bob) = (UserAgent::new(), UserAgent::new(), UserAgent::new());
    for browser in [&here, &there] {
        let _ = provider.sign_in(browser, &client).await;
    }
    let _ = sign_in_at_home(&provider, &one_of_bob, "bob").await;
    let elsewhere = provider.tokens(&there, &client).await.text("access_token");

    let home = here.get(&provider.url("/")).await;
    assert!(home.text().contains(STAYS), "{home}");
    let page = here.submit(home.form("form"), Some(("action", "sign_out_everywhere"))).await;
    assert_eq!(page.title(), "You are signed out everywhere", "{page}");
    assert!(page.text().contains(STAYS), "{page}");
    assert!(!is_signed_in(&provider, &client, &here).await, "here at once");
    let open = "SELECT COUNT(*) FROM user_sessions WHERE sub = 'alice-sub' AND ended_at IS NULL";
    assert_eq!(provider.rows(open).await, [[Some("0".to_owned())]]);
    // What every node does every few seconds.
    sign_ins::settle(&provider.provider).await;
    assert!(!is_signed_in(&provider, &client, &there).await);
    assert_eq!(provider.userinfo(&elsewhere).await.status, StatusCode::UNAUTHORIZED);
    assert!(is_signed_in(&provider, &client, &one_of_bob).await);
    // The form once more, in a browser where that user is not signed in any more, ends nothing of the others.
    let page = here.submit(home.form("form"), Some(("action", "sign_out_everywhere"))).await;
    assert_ne!(page.title(), "You are signed out everywhere", "{page}");
    assert!(is_signed_in(&provider, &client, &one_of_bob).await);
}

// ---- Where there is nothing to continue.

#[tokio::test]
async fn an_unknown_path_leads_to_the_start_page() {
    for (issuer, home) in [("", "/"), ("/auth", "/auth/")] {
        let settings: &[(&str, &str)] = if issuer.is_empty() { &[] } else { &[("issuer", issuer)] };
        let provider = TestProvider::with(settings).await;
        let page = UserAgent::new().with_header("host", "evil.example").get(&provider.url("/nowhere")).await;
        assert_eq!((page.status, links(&page)), (StatusCode::NOT_FOUND, vec![home.to_owned()]), "{page}");
        assert!(!page.body.contains("evil.example"), "{}", page.body);
        let found = send(verbs::http().get(page.url.join(home).unwrap())).await;
        assert_eq!(found.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_sign_in_that_is_over_leads_on_to_its_service_or_to_the_start_page() {
    let provider = TestProvider::start().await;
    let with_home = NewClient::new("reports").with("client_uri", "https://reports.example/");
    let (with_home, without) = (provider.add(with_home).await, provider.add(NewClient::new("other")).await);
    provider.alice().await;
    for (client, expected) in [(&with_home, "https://reports.example/"), (&without, "/")] {
        let browser = UserAgent::new();
        let login = Authorization::of(client).open(&provider, &browser).await;
        let consent = provider.type_in(&browser, &login, "alice", PASSWORD).await;
        let form = consent.form("form");
        let once = browser.submit(form.clone(), Some(("decision", "allow"))).await;
        let twice = browser.submit(form, Some(("decision", "allow"))).await;
        let _ = Answer::of(&provider.settle(&browser, once).await, &client.redirect_uri).code();
        let mut typed_again = login.form("form");
        typed_again.set("username", "alice").set("password", PASSWORD);
        for page in [
            provider.settle(&browser, twice).await,
            browser.get(login.url.as_str()).await,
            browser.get(consent.url.as_str()).await,
            browser.submit(typed_again, Some(("action", "sign_in"))).await,
            browser.submit(consent.form("form"), Some(("decision", "deny"))).await,
        ] {
            assert_eq!((page.status, links(&page)), (StatusCode::BAD_REQUEST, vec![expected.to_owned()]), "{page}");
        }
        let late = Authorization::of(client).with("prompt", "login").open(&provider, &browser).await;
        provider.travel(1801);
        let page = browser.get(late.url.as_str()).await;
        assert!(page.text().contains("expired"), "{page}");
        assert_eq!(links(&page), [expected]);
    }
}

/// The address names a service by its id: what is linked to is in its row.
#[tokio::test]
async fn no_page_that_is_over_links_to_what_its_address_says() {
    let provider = TestProvider::start().await;
    let disabled = NewClient::new("gone").with("client_uri", "https://gone.example/");
    provider.add(disabled.with("disabled_at", "1700000000")).await;
    provider.add(NewClient::new("app").with("client_uri", "com.example.app:/start")).await;
    for named in ["gone", "app", "unknown", "https://evil.example/", "//evil.example", "%00", ""] {
        for path in ["/login", "/consent", "/authorize"] {
            let page = UserAgent::new().get(&provider.url(&format!("{path}?interaction=x&client={named}"))).await;
            assert!(page.status == StatusCode::BAD_REQUEST && page.location().is_none(), "{named}: {page}");
            assert!(links(&page).iter().all(|link| link == "/"), "{named}: {}", page.body);
        }
    }
}
