//! OpenID Connect Core 4 from the provider's side: a sign-in page that lay open leads to `initiate_login_uri`, where the service starts
//! anew, instead of back to what it has forgotten; and what leads nowhere but where it always does.

use crate::support::factors::{Authenticator, WRONG};
use crate::support::passkeys::SoftAuthenticator;
use crate::support::program::done;
use crate::support::provider::PASSWORD;
use crate::support::{Answer, Authorization, NewClient, Page, TestClient, TestProvider, UserAgent};
use serde_json::json;

const STARTS: &str = "https://reports.example/start";

/// A service that can start a sign-in by itself.
fn starting(id: &str) -> NewClient {
    NewClient::new(id).with("initiate_login_uri", STARTS)
}

async fn ready() -> (TestProvider, TestClient) {
    let provider = TestProvider::start().await;
    let client = provider.add(starting("reports").with("consent", "skip")).await;
    provider.alice().await;
    (provider, client)
}

/// The login page of a request.
async fn login(provider: &TestProvider, request: &Authorization, browser: &UserAgent) -> Page {
    let page = request.open(provider, browser).await;
    assert!(page.url.path().ends_with("/login"), "{page}");
    page
}

async fn sign_in(provider: &TestProvider, browser: &UserAgent, page: &Page) -> Page {
    provider.type_in(browser, page, "alice", PASSWORD).await
}

/// Where the service starts anew: told who asks, and nothing else.
fn started_anew(provider: &TestProvider) -> String {
    format!("{STARTS}?iss={}", url::form_urlencoded::byte_serialize(provider.issuer.as_bytes()).collect::<String>())
}

#[track_caller]
fn assert_starts_anew(provider: &TestProvider, page: &Page) {
    assert_eq!(page.status, 303, "{page}");
    assert_eq!(page.header("location"), Some(started_anew(provider).as_str()), "{page}");
}

#[track_caller]
fn assert_has_code(client: &TestClient, page: &Page) {
    let _ = Answer::of(page, &client.redirect_uri).code();
}

fn link_of(page: &Page) -> Vec<String> {
    let html = scraper::Html::parse_document(&page.body);
    let links = scraper::Selector::parse("main a[href^=http]").unwrap();
    html.select(&links).filter_map(|link| link.value().attr("href")).map(str::to_owned).collect()
}

/// Ten minutes are a service's patience with room to spare: ASP.NET Core's handler forgets after fifteen.
#[tokio::test]
async fn who_signs_in_later_than_ten_minutes_is_led_to_where_the_service_starts_anew() {
    let (provider, client) = ready().await;
    let browser = UserAgent::new();
    let page = login(&provider, &Authorization::of(&client), &browser).await;
    provider.travel(615);
    let led = sign_in(&provider, &browser, &page).await;
    assert_starts_anew(&provider, &led);
    assert_eq!(provider.rows("SELECT sub FROM user_sessions").await.len(), 1, "the user is signed in");
    // The service starts anew, and single sign-on answers.
    let again = Authorization::of(&client).open(&provider, &browser).await;
    assert_has_code(&client, &again);
    // What was asked for first is over.
    let over = browser.get(page.url.as_str()).await;
    let over = provider.settle(&browser, over).await;
    assert!(over.status.is_client_error() && link_of(&over) == [started_anew(&provider)], "{over}");
}

#[tokio::test]
async fn who_signs_in_earlier_is_answered_as_always() {
    let (provider, client) = ready().await;
    let browser = UserAgent::new();
    let page = login(&provider, &Authorization::of(&client), &browser).await;
    provider.travel(580);
    assert_has_code(&client, &sign_in(&provider, &browser, &page).await);
}

/// The half hour after which no answer is given to a service does not count for who is led elsewhere.
#[tokio::test]
async fn after_the_half_hour_the_page_still_signs_in_and_leads_there() {
    let (provider, client) = ready().await;
    let authenticator = provider.enroll("alice-sub").await;
    let browser = UserAgent::new();
    let page = login(&provider, &Authorization::of(&client), &browser).await;
    provider.travel(4000);
    // Loaded again it is there, a wrong password is told, and the code is asked for.
    let page = browser.get(page.url.as_str()).await;
    assert_eq!((page.status.as_u16(), page.forms().is_empty()), (200, false), "{page}");
    let page = provider.type_in(&browser, &page, "alice", "wrong").await;
    assert_eq!(page.status, 422, "{page}");
    let page = sign_in(&provider, &browser, &page).await;
    assert!(page.url.path().ends_with("/second-factor"), "{page}");
    let page = provider.type_code(&browser, &page, WRONG).await;
    assert_eq!(page.status, 422, "{page}");
    // Canceled it is told to no service.
    let canceled = browser.submit(page.form("form"), Some(("action", "cancel"))).await;
    assert_eq!((canceled.status.as_u16(), link_of(&canceled)), (400, vec![started_anew(&provider)]), "{canceled}");
    let led = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert_starts_anew(&provider, &led);
}

#[tokio::test]
async fn what_is_not_remembered_any_more_signs_no_user_in_and_has_the_link() {
    let (provider, client) = ready().await;
    let browser = UserAgent::new();
    let page = login(&provider, &Authorization::of(&client), &browser).await;
    provider.travel(5500);
    let late = sign_in(&provider, &browser, &page).await;
    assert_eq!(late.status, 400, "{late}");
    assert_eq!(link_of(&late), [started_anew(&provider)], "{late}");
    assert_eq!(provider.rows("SELECT sub FROM user_sessions").await.len(), 0);
}

/// Each of these is a wish that the service may not repeat when it starts by itself.
#[tokio::test]
async fn a_request_that_says_who_how_or_when_is_never_started_over() {
    let (provider, client) = ready().await;
    let hint = {
        let tokens = provider.tokens(&UserAgent::new(), &client).await;
        tokens.text("id_token")
    };
    let claims = |claim: serde_json::Value| json!({ "id_token": claim }).to_string();
    let essential = claims(json!({"acr": {"essential": true, "value": "1"}}));
    let person = claims(json!({"sub": {"value": "alice-sub"}}));
    for (name, value) in [
        ("prompt", "login"),
        ("prompt", "consent"),
        ("prompt", "of_a_later_specification"),
        ("max_age", "100000"),
        ("id_token_hint", hint.as_str()),
        ("claims", &essential),
        ("claims", &person),
    ] {
        let request = Authorization::of(&client).with(name, value);
        let browser = UserAgent::new();
        let page = login(&provider, &request, &browser).await;
        provider.travel(700);
        let page = sign_in(&provider, &browser, &page).await;
        if value == "consent" {
            assert!(page.url.path().ends_with("/consent"), "{page}");
        } else {
            assert_has_code(&client, &page);
        }
        // After the half hour it is over as it always was, with the link.
        let browser = UserAgent::new();
        let page = login(&provider, &request, &browser).await;
        provider.travel(1900);
        let late = sign_in(&provider, &browser, &page).await;
        assert_eq!(
            (late.status.as_u16(), link_of(&late)),
            (400, vec![started_anew(&provider)]),
            "{name}={value}: {late}"
        );
    }
    // A wish that is not essential is met by the session that the service finds.
    for (name, value) in [("acr_values", "2 1"), ("login_hint", "alice"), ("ui_locales", "de")] {
        let browser = UserAgent::new();
        let page = login(&provider, &Authorization::of(&client).with(name, value), &browser).await;
        provider.travel(700);
        assert_starts_anew(&provider, &sign_in(&provider, &browser, &page).await);
    }
}

#[tokio::test]
async fn a_service_that_cannot_start_by_itself_is_answered_for_half_an_hour() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    for (id, uri) in [("none", None), ("script", Some("javascript:alert(1)")), ("app", Some("com.example.app:/start"))]
    {
        let client = NewClient::new(id).with("consent", "skip");
        let client = match uri {
            Some(uri) => client.with("initiate_login_uri", uri),
            None => client,
        };
        let client = provider.add(client).await;
        let browser = UserAgent::new();
        let page = login(&provider, &Authorization::of(&client), &browser).await;
        provider.travel(1700);
        assert_has_code(&client, &sign_in(&provider, &browser, &page).await);
        let browser = UserAgent::new();
        let page = login(&provider, &Authorization::of(&client), &browser).await;
        provider.travel(1900);
        let late = sign_in(&provider, &browser, &page).await;
        assert_eq!((late.status.as_u16(), link_of(&late).len()), (400, 0), "{id}: {late}");
    }
}

/// It comes before consent; a consent page that lay open is for who signed in in time, and goes where it always did.
#[tokio::test]
async fn it_comes_before_consent_and_an_answer_to_that_goes_where_it_always_goes() {
    let provider = TestProvider::start().await;
    let client = provider.add(starting("reports").with("consent", "ask")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let page = login(&provider, &Authorization::of(&client), &browser).await;
    provider.travel(700);
    assert_starts_anew(&provider, &sign_in(&provider, &browser, &page).await);
    for (decision, error) in [("deny", Some("access_denied")), ("allow", None)] {
        let browser = UserAgent::new();
        let page = login(&provider, &Authorization::of(&client), &browser).await;
        let page = sign_in(&provider, &browser, &page).await;
        assert!(page.url.path().ends_with("/consent"), "{page}");
        provider.travel(900);
        let done = browser.submit(page.form("form"), Some(("decision", decision))).await;
        let answer = Answer::of(&provider.settle(&browser, done).await, &client.redirect_uri);
        assert_eq!(answer.get("error"), error, "{decision}");
    }
    // Asked by who signed in in time and answered after the half hour, it is over.
    let insisting = Authorization::of(&client).with("scope", "openid profile email");
    provider.sql("DELETE FROM consents").await;
    provider.travel(10);
    let browser = UserAgent::new();
    let page = login(&provider, &insisting, &browser).await;
    let page = sign_in(&provider, &browser, &page).await;
    assert!(page.url.path().ends_with("/consent"), "{page}");
    provider.travel(1900);
    let late = browser.submit(page.form("form"), Some(("decision", "allow"))).await;
    assert_eq!((late.status.as_u16(), link_of(&late)), (400, vec![started_anew(&provider)]), "{late}");
    assert_eq!(provider.rows("SELECT sub FROM consents").await.len(), 0, "nothing was allowed");
}

/// What was refused is told to the service while it can know what it asked for.
#[tokio::test]
async fn cancel_goes_where_it_always_goes_and_after_the_half_hour_nowhere() {
    let (provider, client) = ready().await;
    for (seconds, is_told) in [(700, true), (1900, false)] {
        let browser = UserAgent::new();
        let page = login(&provider, &Authorization::of(&client), &browser).await;
        provider.travel(seconds);
        let form = page.forms().into_iter().find(|form| form.value("password").is_some()).unwrap();
        let canceled = browser.submit(form, Some(("action", "cancel"))).await;
        if is_told {
            assert_eq!(Answer::of(&canceled, &client.redirect_uri).error(), "access_denied");
        } else {
            assert_eq!((canceled.status.as_u16(), link_of(&canceled)), (400, vec![started_anew(&provider)]));
        }
    }
}

/// A user whom the service does not let in is told so, and starts nothing anew.
#[tokio::test]
async fn who_may_not_enter_is_told_so() {
    let provider = TestProvider::start().await;
    let client = provider.add(starting("reports").with("consent", "skip").with("access", "groups")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let page = login(&provider, &Authorization::of(&client), &browser).await;
    provider.travel(700);
    let page = sign_in(&provider, &browser, &page).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (403, "/consent"), "{page}");
    // When nothing can be answered to the service any more, it is told when it asks anew.
    let browser = UserAgent::new();
    let page = login(&provider, &Authorization::of(&client), &browser).await;
    provider.travel(1900);
    assert_starts_anew(&provider, &sign_in(&provider, &browser, &page).await);
    let page = Authorization::of(&client).open(&provider, &browser).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (403, "/consent"), "{page}");
}

/// A browser without a name to keep finds its sign-in for as long as that is remembered.
#[tokio::test]
async fn the_cookie_of_a_sign_in_lasts_as_long_as_it_is_remembered() {
    let (provider, client) = ready().await;
    let browser = UserAgent::new();
    let page = browser.get(&Authorization::of(&client).url(&provider)).await;
    assert!(page.header("set-cookie").unwrap().contains("Max-Age=5400"), "{page}");
}

/// However the request came, and however its answer would have gone.
#[tokio::test]
async fn a_request_by_post_and_one_whose_answer_is_a_form_lead_there_too() {
    let (provider, client) = ready().await;
    let browser = UserAgent::new();
    let page = login(&provider, &Authorization::of(&client).with("response_mode", "form_post"), &browser).await;
    provider.travel(700);
    assert_starts_anew(&provider, &sign_in(&provider, &browser, &page).await);
    let browser = UserAgent::new();
    let url = url::Url::parse(&Authorization::of(&client).url(&provider)).unwrap();
    let sent: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let started = browser.cross_site_post(&provider.url("/authorize"), &sent).await;
    let page = provider.settle(&browser, started).await;
    assert!(page.url.path().ends_with("/login"), "{page}");
    provider.travel(700);
    assert_starts_anew(&provider, &sign_in(&provider, &browser, &page).await);
}

#[tokio::test]
async fn a_passkey_on_a_page_that_lay_open_leads_there_too() {
    let provider = TestProvider::with(&[("issuer", "//localhost")]).await;
    let client = provider.add(starting("reports").with("consent", "skip")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let page = crate::account::open(&provider, &browser, "/account/passkeys", "alice").await;
    let mut passkey = SoftAuthenticator::synced();
    let _ = provider.add_passkey(&browser, &page, &mut passkey).await;
    for seconds in [700, 4000] {
        let browser = UserAgent::new();
        let page = login(&provider, &Authorization::of(&client), &browser).await;
        provider.travel(seconds);
        assert_starts_anew(&provider, &provider.use_passkey(&browser, &page, &mut passkey).await);
    }
}

/// A consent page of a session that has ended since: its *Deny* is told to no service after the half hour, and to no audit.
#[tokio::test]
async fn what_is_denied_too_late_is_not_told_as_denied() {
    let provider = TestProvider::start().await;
    let client = provider.add(starting("reports").with("consent", "ask")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let page = login(&provider, &Authorization::of(&client), &browser).await;
    let page = sign_in(&provider, &browser, &page).await;
    provider.travel(1900);
    provider.sql(&format!("UPDATE users SET tokens_valid_after = {}", provider.now() - 5)).await;
    provider.travel(10);
    let late = browser.submit(page.form("form"), Some(("decision", "deny"))).await;
    let late = provider.settle(&browser, late).await;
    assert!(late.url.path().ends_with("/login"), "{late}");
    provider.provider.audit.flush().await;
    let denied = provider.rows("SELECT sub FROM audit_events WHERE event = 'consent_denied'").await;
    assert_eq!(denied.len(), 0, "{denied:?}");
    assert_starts_anew(&provider, &sign_in(&provider, &browser, &late).await);
}

/// The row of a product that has such an address has it, unless the callback is one of the operator's own.
#[tokio::test]
async fn a_client_of_a_product_that_is_known_to_start_by_itself_has_its_address() {
    let provider = TestProvider::start().await;
    let grafana =
        ["client", "new", "grafana", "--for", "grafana", "--url", "https://grafana.example", "--consent", "skip"];
    let outcome = done(provider.command(&[&grafana[..], &["--output", "-"]].concat(), ""));
    assert!(outcome.stdout.contains("'https://grafana.example/login/generic_oauth'"), "{outcome:?}");
    assert!(outcome.stdout.contains("initiate_login_uri"), "{outcome:?}");
    let own = ["client", "new", "own", "--for", "gitea", "--url", "https://git.example", "--consent", "skip"];
    let own =
        [&own[..], &["--redirect-uri", "https://git.example/user/oauth2/other/callback", "--output", "-"]].concat();
    let outcome = done(provider.command(&own, ""));
    assert!(!outcome.stdout.contains("initiate_login_uri"), "{outcome:?}");
}

/// In another tab, by way of another service.
#[tokio::test]
async fn a_tab_that_lay_open_goes_on_there_when_its_user_signed_in_in_another() {
    let (provider, client) = ready().await;
    let other = provider.client("other").await;
    let browser = UserAgent::new();
    let page = login(&provider, &Authorization::of(&client), &browser).await;
    provider.travel(1000);
    let _ = provider.sign_in(&browser, &other).await;
    let again = browser.get(page.url.as_str()).await;
    assert_starts_anew(&provider, &provider.settle(&browser, again).await);
    // Signed in there within ten minutes, this one is answered.
    let browser = UserAgent::new();
    let page = login(&provider, &Authorization::of(&client), &browser).await;
    provider.travel(500);
    let _ = provider.sign_in(&browser, &other).await;
    provider.travel(400);
    let again = browser.get(page.url.as_str()).await;
    assert_has_code(&client, &provider.settle(&browser, again).await);
}

/// What is proven last counts: a password in time and a code that is late, in a sign-in and in a running session.
#[tokio::test]
async fn a_second_factor_that_comes_late_leads_there_too() {
    let (provider, client) = ready().await;
    let authenticator: Authenticator = provider.enroll("alice-sub").await;
    let browser = UserAgent::new();
    let page = login(&provider, &Authorization::of(&client), &browser).await;
    provider.travel(400);
    let page = sign_in(&provider, &browser, &page).await;
    provider.travel(300);
    let led = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert_starts_anew(&provider, &led);
    let other = UserAgent::new();
    // A session of one factor, from before there was a second one, that a service asks more of.
    provider.add_user(crate::support::NewUser::named("bob")).await;
    let page = login(&provider, &Authorization::of(&client), &other).await;
    let _ = provider.type_in(&other, &page, "bob", PASSWORD).await;
    let of_bob = provider.enroll("bob-sub").await;
    provider.travel(15);
    let page = Authorization::of(&client).with("acr_values", "2").open(&provider, &other).await;
    assert!(page.url.path().ends_with("/second-factor"), "{page}");
    provider.travel(2000);
    let led = provider.type_code(&other, &page, of_bob.code(provider.now())).await;
    assert_starts_anew(&provider, &led);
    assert_has_code(&client, &Authorization::of(&client).with("acr_values", "2").open(&provider, &other).await);
}

/// A row says how long, and its own `default_max_age` is no wish of a request.
#[tokio::test]
async fn the_row_says_after_how_long() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    for (id, after, seconds, is_led) in [
        ("hasty", "30", 45, true),
        ("slow", "1500", 1400, false),
        ("slow", "1500", 1600, true),
        ("never", "5400", 1700, false),
        // Answered until it is expired, and not signed in to in vain after that.
        ("never", "5400", 1900, false),
        ("never", "5400", 4000, false),
        // What is beyond the bounds counts as the nearest.
        ("at_once", "0", 15, false),
        ("at_once", "-5", 45, true),
        ("for_ever", "1000000", 1700, false),
    ] {
        let client = starting(&format!("{id}-{seconds}")).with("consent", "skip").with("default_max_age", "100000");
        let client = provider.add(client.with("stale_after", after)).await;
        let browser = UserAgent::new();
        let page = login(&provider, &Authorization::of(&client), &browser).await;
        provider.travel(seconds);
        if !is_led && seconds > 1800 {
            let page = browser.get(page.url.as_str()).await;
            assert_eq!((page.status.as_u16(), link_of(&page)), (400, vec![started_anew(&provider)]), "{id}: {page}");
            continue;
        }
        let page = sign_in(&provider, &browser, &page).await;
        if is_led { assert_starts_anew(&provider, &page) } else { assert_has_code(&client, &page) }
    }
}

/// A row that wants a sign-in anew each time would not be answered by the one just made.
#[tokio::test]
async fn a_row_whose_sign_ins_do_not_last_is_answered_as_always() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    for (id, most, is_led) in [("each-time", "0", false), ("soon", "30", false), ("hour", "3600", true)] {
        let client = starting(id).with("consent", "skip").with("default_max_age", most);
        let client = provider.add(client).await;
        let browser = UserAgent::new();
        let page = login(&provider, &Authorization::of(&client), &browser).await;
        provider.travel(700);
        let page = sign_in(&provider, &browser, &page).await;
        if is_led { assert_starts_anew(&provider, &page) } else { assert_has_code(&client, &page) }
    }
}

#[tokio::test]
async fn an_address_with_a_query_keeps_it() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let client = NewClient::new("reports").with("consent", "skip");
    let client = provider.add(client.with("initiate_login_uri", "https://reports.example/s?tenant=a%26b")).await;
    let browser = UserAgent::new();
    let page = login(&provider, &Authorization::of(&client), &browser).await;
    provider.travel(700);
    let led = sign_in(&provider, &browser, &page).await;
    let location = led.location().unwrap();
    assert_eq!(led.query_parameter("iss").as_deref(), Some(provider.issuer.as_str()));
    assert!(location.as_str().starts_with("https://reports.example/s?tenant=a%26b&iss="), "{location}");
}
