//! `/account/second-factor`: a user adds and removes authenticators and makes recovery codes; and what a stolen password or a stolen
//! session comes to there.

use crate::account::{form_with, open, press};
use crate::support::factors::WRONG;
use crate::support::provider::PASSWORD;
use crate::support::totp;
use crate::support::{Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent};
use scraper::{Html, Selector};

const PATH: &str = "/account/second-factor";

async fn ready() -> (TestProvider, TestClient) {
    let provider = TestProvider::start().await;
    let client = provider.add(NewClient::new("reports").with("consent", "skip")).await;
    provider.alice().await;
    (provider, client)
}

/// The secret that the page of an enrolment shows.
pub(crate) fn secret_of(page: &Page) -> String {
    let link = Html::parse_document(&page.body);
    let selector = Selector::parse("a[href^='otpauth:']").unwrap();
    let uri = link.select(&selector).next().unwrap_or_else(|| panic!("no link in {page}")).attr("href").unwrap();
    let uri = url::Url::parse(uri).unwrap();
    uri.query_pairs().find(|(name, _)| name == "secret").unwrap().1.into_owned()
}

/// Adds an authenticator; gives its secret and the page that follows.
async fn add(provider: &TestProvider, browser: &UserAgent, page: &Page) -> (String, Page) {
    let shown = press(provider, browser, form_with(page, "begin"), "begin").await;
    let secret = secret_of(&shown);
    let mut form = form_with(&shown, "complete");
    form.set("code", &totp::code(&secret, provider.now())).set("name", "my phone");
    (secret, press(provider, browser, form, "complete").await)
}

fn codes(page: &Page) -> Vec<String> {
    page.texts(".codes code")
}

/// Continues past the page that asks for a code.
async fn with_code(provider: &TestProvider, browser: &UserAgent, page: Page, secret: &str) -> Page {
    assert!(page.url.path().ends_with("/second-factor") && page.url.path() != PATH, "{page}");
    provider.type_code(browser, &page, &totp::code(secret, provider.now())).await
}

#[tokio::test]
async fn an_authenticator_is_added_with_its_first_code_and_asked_for_from_then_on() {
    let (provider, client) = ready().await;
    let browser = UserAgent::new();
    let page = open(&provider, &browser, PATH, "alice").await;
    assert_eq!(page.texts("h1"), ["Second factor"]);
    let shown = press(&provider, &browser, form_with(&page, "begin"), "begin").await;
    assert!(shown.body.contains("<svg") && !shown.body.contains("<script"), "{}", shown.body);
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    let secret = secret_of(&shown);
    let typed: String = shown.texts("code").concat().replace(' ', "");
    assert_eq!(typed, secret);
    // A wrong code shows the same secret again, and nothing is stored.
    let mut form = form_with(&shown, "complete");
    form.set("code", WRONG).set("name", "my <phone>");
    let again = press(&provider, &browser, form, "complete").await;
    assert_eq!((again.status.as_u16(), secret_of(&again)), (422, secret.clone()));
    assert_eq!(provider.rows("SELECT kind FROM user_factors").await, [[]; 0]);
    let mut form = form_with(&again, "complete");
    assert_eq!(form.value("name"), Some("my <phone>"));
    form.set("code", &totp::code(&secret, provider.now()));
    let added = press(&provider, &browser, form, "complete").await;
    assert_eq!(codes(&added).len(), 10, "{added}");
    let recovery = codes(&added)[0].clone();

    provider.travel(30);
    let other = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &other).await;
    let asked = provider.type_in(&other, &login, "alice", PASSWORD).await;
    let arrived = with_code(&provider, &other, asked, &secret).await;
    assert!(arrived.query_parameter("code").is_some(), "{arrived}");
    let third = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &third).await;
    let asked = provider.type_in(&third, &login, "alice", PASSWORD).await;
    let arrived = provider.type_code(&third, &asked, &recovery).await;
    assert!(arrived.query_parameter("code").is_some(), "{arrived}");
    // The page says how many are left, once all factors are proven anew.
    let page = open(&provider, &third, PATH, "alice").await;
    assert!(page.text().contains("You have 9 recovery codes left.") && page.text().contains("my <phone>"), "{page}");
}

/// A stolen password, or a session that was opened with the password alone, adds nothing to an account that has a second factor.
#[tokio::test]
async fn a_password_alone_adds_and_removes_nothing_where_there_is_a_second_factor() {
    let (provider, _client) = ready().await;
    let before = UserAgent::new();
    let page = open(&provider, &before, PATH, "alice").await;
    let begin = form_with(&page, "begin");
    let shown = press(&provider, &before, begin.clone(), "begin").await;
    let stolen = form_with(&shown, "complete");
    let stolen_secret = secret_of(&shown);
    let owner = provider.enroll("alice-sub").await;
    provider.travel(10);
    // The session of before is fresh, and of one factor.
    let asked = press(&provider, &before, begin, "begin").await;
    assert!(asked.url.path().ends_with("/second-factor") && asked.url.path() != PATH, "{asked}");
    let mut complete = stolen;
    complete.set("code", &totp::code(&stolen_secret, provider.now()));
    let asked = press(&provider, &before, complete, "complete").await;
    assert!(asked.url.path() != PATH, "{asked}");
    // Signed in by the password alone it asks for the code, whatever page is opened.
    for path in [PATH, "/account/password", "/account/data"] {
        let thief = UserAgent::new();
        let page = open(&provider, &thief, path, "alice").await;
        assert_eq!(page.texts("h1"), ["Confirm that it is you"], "{path}: {page}");
        let page = provider.type_code(&thief, &page, WRONG).await;
        assert!(page.status == 422 || page.status == 403, "{page}");
        let page = browser_at(&provider, &thief, path).await;
        assert_ne!(page.url.path(), path, "{page}");
    }
    assert_eq!(provider.rows("SELECT factor_id FROM user_factors WHERE kind = 'totp'").await.len(), 1);
    // The owner has both.
    let browser = UserAgent::new();
    let asked = open(&provider, &browser, PATH, "alice").await;
    let page = provider.type_code(&browser, &asked, owner.code(provider.now())).await;
    assert_eq!(page.texts("h1"), ["Second factor"], "{page}");
}

async fn browser_at(provider: &TestProvider, browser: &UserAgent, path: &str) -> Page {
    let page = browser.get(&provider.url(path)).await;
    provider.settle(browser, page).await
}

#[tokio::test]
async fn an_authenticator_is_removed_by_its_user_and_the_last_one_not_where_a_group_demands_one() {
    let (provider, client) = ready().await;
    let owner = provider.enroll("alice-sub").await;
    provider.travel(40);
    let browser = UserAgent::new();
    let asked = open(&provider, &browser, PATH, "alice").await;
    let page = provider.type_code(&browser, &asked, owner.code(provider.now())).await;
    let (_, page) = add(&provider, &browser, &page).await;
    assert!(page.text().contains("Your authenticator is added."), "{page}");
    assert_eq!(page.texts(".entries .strong"), ["Authenticator", "my phone"]);
    // Another's id is answered like none.
    let mut form = form_with(&page, "remove");
    form.set("factor", "AAAAAAAAAAAAAAAAAAAAAA");
    let page = press(&provider, &browser, form, "remove").await;
    assert!(page.text().contains("not there any more"), "{page}");
    let page = press(&provider, &browser, form_with(&page, "remove"), "remove").await;
    assert!(page.text().contains("It is removed."), "{page}");
    assert_eq!(page.texts(".entries .strong"), ["my phone"]);
    crate::support::program::done(provider.command(&["group", "new", "staff"], ""));
    crate::support::program::done(provider.command(&["group", "add", "staff", "alice"], ""));
    crate::support::program::done(provider.command(&["group", "edit", "staff", "--second-factor", "7"], ""));
    provider.travel(10);
    let page = browser_at(&provider, &browser, PATH).await;
    let page = press(&provider, &browser, form_with(&page, "remove"), "remove").await;
    assert!(page.status == 422 && page.text().contains("this is your last one"), "{page}");
    crate::support::program::done(provider.command(&["group", "edit", "staff", "--second-factor", "no"], ""));
    provider.travel(10);
    let page = browser_at(&provider, &browser, PATH).await;
    let page = press(&provider, &browser, form_with(&page, "remove"), "remove").await;
    assert!(page.text().contains("It is removed."), "{page}");
    assert_eq!(provider.rows("SELECT kind FROM user_factors").await, [[]; 0]);
    let other = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &other).await;
    let arrived = provider.type_in(&other, &login, "alice", PASSWORD).await;
    assert!(arrived.query_parameter("code").is_some(), "{arrived}");
}

#[tokio::test]
async fn new_recovery_codes_end_the_old_ones_and_are_shown_once() {
    let (provider, client) = ready().await;
    let owner = provider.enroll("alice-sub").await;
    provider.travel(10);
    let browser = UserAgent::new();
    let asked = open(&provider, &browser, PATH, "alice").await;
    let page = provider.type_code(&browser, &asked, owner.code(provider.now())).await;
    let shown = press(&provider, &browser, form_with(&page, "make_codes"), "make_codes").await;
    let made = codes(&shown);
    assert_eq!(made.len(), 10);
    let page = browser_at(&provider, &browser, PATH).await;
    assert!(codes(&page).is_empty() && made.iter().all(|code| !page.body.contains(code)), "{page}");
    let other = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &other).await;
    let asked = provider.type_in(&other, &login, "alice", PASSWORD).await;
    let asked = provider.type_code(&other, &asked, owner.recovery(0)).await;
    assert!(asked.query_parameter("code").is_none(), "{asked}");
    let arrived = provider.type_code(&other, &asked, &made[3]).await;
    assert!(arrived.query_parameter("code").is_some(), "{arrived}");
    provider.provider.audit.flush().await;
    let kept = format!("{:?}", provider.rows("SELECT event, detail, personal FROM audit_events").await);
    assert!(kept.contains("recovery_codes_made") && made.iter().all(|code| !kept.contains(code)), "{kept}");
}

/// A form of another purpose, session or browser does nothing.
#[tokio::test]
async fn a_form_of_another_purpose_browser_or_site_does_nothing() {
    let (provider, _client) = ready().await;
    provider.add_user(NewUser::named("bob")).await;
    let (alice, bob) = (UserAgent::new(), UserAgent::new());
    let page = open(&provider, &alice, PATH, "alice").await;
    let of_bob = open(&provider, &bob, PATH, "bob").await;
    let begin = form_with(&page, "begin");
    let csrf = begin.value("csrf").unwrap().to_owned();
    for fields in [
        vec![("action", "make_codes"), ("csrf", csrf.as_str())],
        vec![("action", "begin"), ("csrf", form_with(&of_bob, "begin").value("csrf").unwrap())],
        vec![("action", "begin")],
    ] {
        let refused = alice.post_form(&provider.url(PATH), &fields).await;
        assert_eq!(refused.status, 403, "{fields:?}: {refused}");
    }
    let fields = [("action", "begin"), ("csrf", csrf.as_str())];
    let refused = alice.cross_site_post(&provider.url(PATH), &fields).await;
    assert!(refused.status != 200, "{refused}");
    // Another's enrolment cannot be completed.
    let shown = press(&provider, &bob, form_with(&of_bob, "begin"), "begin").await;
    let secret = secret_of(&shown);
    let of_alice = press(&provider, &alice, begin, "begin").await;
    let mut form = form_with(&of_alice, "complete");
    form.set("token", form_with(&shown, "complete").value("token").unwrap());
    form.set("code", &totp::code(&secret, provider.now()));
    let page = press(&provider, &alice, form, "complete").await;
    assert!(page.status == 422 && page.text().contains("begin again"), "{page}");
    assert_eq!(provider.rows("SELECT kind FROM user_factors").await, [[]; 0]);
}

/// From the page that says until when one is to be set up.
#[tokio::test]
async fn a_member_whose_days_are_not_over_sets_a_second_factor_up() {
    let (provider, _) = ready().await;
    for arguments in [
        &["group", "new", "staff"][..],
        &["group", "add", "staff", "alice"],
        &["group", "edit", "staff", "--second-factor", "14"],
    ] {
        assert_eq!(provider.command(arguments, "").status, 0);
    }
    let browser = UserAgent::new();
    let told = open(&provider, &browser, "/account", "alice").await;
    assert!(told.body.contains(&format!("href=\"{PATH}\"")), "{}", told.body);
    let page = browser_at(&provider, &browser, PATH).await;
    let page =
        if page.url.path() == PATH { page } else { press(&provider, &browser, page.form("form"), "continue").await };
    assert_eq!(page.url.path(), PATH, "{page}");
    let (_, added) = add(&provider, &browser, &page).await;
    assert_eq!(codes(&added).len(), 10, "{added}");
}
