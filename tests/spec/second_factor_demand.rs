//! A group that demands a second factor of its members: days to set one up, and what comes after them.

use crate::support::provider::PASSWORD;
use crate::support::{Answer, Authorization, NewUser, Page, TestClient, TestProvider, UserAgent};
use serde_json::{Value, json};

const DAY: i64 = 86_400;

/// Alice, a member of staff, and bob, who is not.
async fn ready() -> (TestProvider, TestClient) {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    provider.add_user(NewUser::named("bob")).await;
    command(&provider, &["group", "new", "staff"]);
    command(&provider, &["group", "add", "staff", "alice"]);
    (provider, client)
}

fn command(provider: &TestProvider, arguments: &[&str]) -> String {
    let outcome = provider.command(arguments, "");
    assert_eq!(outcome.status, 0, "{arguments:?}: {outcome:?}");
    outcome.stdout
}

async fn sign_in(provider: &TestProvider, client: &TestClient, browser: &UserAgent, name: &str) -> Page {
    let page = Authorization::of(client).open(provider, browser).await;
    provider.type_in(browser, &page, name, PASSWORD).await
}

fn has_code(client: &TestClient, page: &Page) -> bool {
    page.status.is_redirection() && Answer::of(page, &client.redirect_uri).get("code").is_some()
}

#[tokio::test]
async fn members_are_told_until_when_and_after_that_a_password_alone_does_not_do() {
    let (provider, client) = ready().await;
    command(&provider, &["group", "edit", "staff", "--second-factor", "14"]);
    let browser = UserAgent::new();
    let page = sign_in(&provider, &client, &browser, "alice").await;
    assert!(page.url.path().ends_with("/second-factor") && page.status == 200, "{page}");
    assert!(page.text().contains("needs a second factor") && page.text().contains("account page"), "{page}");
    let asked_at = provider.rows("SELECT second_factor_asked_at FROM users WHERE username = 'alice'").await;
    let until = asked_at[0][0].as_deref().unwrap().parse::<i64>().unwrap() + 14 * DAY;
    let day = jiff::Timestamp::from_second(until).unwrap().to_string()[..10].to_owned();
    assert!(page.text().contains(&format!("account page before {day} ")), "{page}");
    assert!(page.body.contains("href=\"/account/second-factor\""), "{}", page.body);
    let done = browser.submit(page.form("form"), Some(("action", "continue"))).await;
    let done = provider.settle(&browser, done).await;
    assert!(has_code(&client, &done), "{done}");
    // In the running session they are not told again; at the next sign-in they are, of the same day.
    let page = Authorization::of(&client).open(&provider, &browser).await;
    assert!(has_code(&client, &page), "{page}");
    let asked_at = provider.rows("SELECT second_factor_asked_at FROM users WHERE username = 'alice'").await;
    assert!(asked_at[0][0].is_some());
    provider.travel(13 * DAY);
    let other = UserAgent::new();
    let page = sign_in(&provider, &client, &other, "alice").await;
    assert!(page.url.path().ends_with("/second-factor"), "{page}");
    assert_eq!(provider.rows("SELECT second_factor_asked_at FROM users WHERE username = 'alice'").await, asked_at);
    let done = other.submit(page.form("form"), Some(("action", "continue"))).await;
    assert!(has_code(&client, &provider.settle(&other, done).await));
    // Who is in no such group is told nothing.
    assert!(has_code(&client, &sign_in(&provider, &client, &UserAgent::new(), "bob").await));

    provider.travel(DAY);
    let late = UserAgent::new();
    let page = sign_in(&provider, &client, &late, "alice").await;
    assert_eq!(page.status, 403, "{page}");
    assert!(page.text().contains("the time to set one up is over") && page.text().contains("Ask those who run"));
    assert!(late.cookies().iter().all(|cookie| !cookie.name.contains("hallpass_session")));
    let reference = page.header("x-request-id").unwrap().to_owned();
    provider.provider.audit.flush().await;
    let text = command(&provider, &["explain", &reference]);
    assert!(text.contains("demands a second factor") && text.contains("--restart-second-factor-days"), "{text}");
    // Only who has the password learns of it.
    let page = Authorization::of(&client).open(&provider, &late).await;
    let wrong = provider.type_in(&late, &page, "alice", "guess").await;
    assert_eq!(wrong.status, 422);
    assert!(!wrong.text().contains("second factor"), "{wrong}");
    // A session of before is over as well.
    let page = Authorization::of(&client).open(&provider, &other).await;
    assert!(page.url.path().ends_with("/login"), "{page}");
    let silent = Authorization::of(&client).with("prompt", "none").open(&provider, &other).await;
    assert_eq!(Answer::of(&silent, &client.redirect_uri).error(), "login_required");

    // The operator gives this user more days, or the group.
    command(&provider, &["user", "edit", "alice", "--restart-second-factor-days"]);
    let page = sign_in(&provider, &client, &UserAgent::new(), "alice").await;
    assert!(page.url.path().ends_with("/second-factor") && page.status == 200, "{page}");
    provider.travel(15 * DAY);
    assert_eq!(sign_in(&provider, &client, &UserAgent::new(), "alice").await.status, 403);
    command(&provider, &["group", "edit", "staff", "--second-factor", "30"]);
    let page = sign_in(&provider, &client, &UserAgent::new(), "alice").await;
    assert!(page.url.path().ends_with("/second-factor") && page.status == 200, "{page}");
}

#[tokio::test]
async fn by_link_a_password_alone_never_does_and_with_a_factor_all_is_as_always() {
    let (provider, client) = ready().await;
    let browser = UserAgent::new();
    assert!(has_code(&client, &sign_in(&provider, &client, &browser, "alice").await));
    let outcome = provider.command(&["group", "edit", "staff", "--second-factor", "by-link"], "");
    assert!(outcome.status == 0 && outcome.stderr.contains("cannot sign in to set one up"), "{outcome:?}");
    provider.travel(10);
    assert_eq!(sign_in(&provider, &client, &UserAgent::new(), "alice").await.status, 403);
    let page = Authorization::of(&client).open(&provider, &browser).await;
    assert!(page.url.path().ends_with("/login"), "the session of the password alone: {page}");
    let told = provider.command(&["explain", "--user", "alice"], "").stdout;
    assert!(told.contains("a group of the user demands a second factor"), "{told}");
    let authenticator = provider.enroll("alice-sub").await;
    provider.travel(10);
    let other = UserAgent::new();
    let page = sign_in(&provider, &client, &other, "alice").await;
    let done = provider.type_code(&other, &page, authenticator.code(provider.now())).await;
    assert!(has_code(&client, &done), "{done}");
}

#[tokio::test]
async fn of_several_groups_the_strictest_counts_and_an_ended_membership_does_not() {
    let (provider, client) = ready().await;
    command(&provider, &["group", "new", "admins"]);
    let until = (jiff::Timestamp::from_second(provider.now() + DAY).unwrap()).to_string();
    command(&provider, &["group", "add", "admins", "alice", "--until", &until]);
    command(&provider, &["group", "edit", "admins", "--second-factor", "by-link"]);
    command(&provider, &["group", "edit", "staff", "--second-factor", "14"]);
    assert_eq!(sign_in(&provider, &client, &UserAgent::new(), "alice").await.status, 403);
    provider.travel(2 * DAY);
    let page = sign_in(&provider, &client, &UserAgent::new(), "alice").await;
    assert!(page.url.path().ends_with("/second-factor") && page.status == 200, "{page}");
    command(&provider, &["group", "edit", "staff", "--second-factor", "no"]);
    assert!(has_code(&client, &sign_in(&provider, &client, &UserAgent::new(), "alice").await));
}

#[tokio::test]
async fn the_command_says_what_it_did_and_an_older_node_lets_no_user_in() {
    let (provider, _) = ready().await;
    let edit = |when: &str| {
        let text = command(&provider, &["group", "edit", "staff", "--second-factor", when, "--json"]);
        serde_json::from_str::<Value>(&text).unwrap()["changes"].clone()
    };
    assert_eq!(edit("14"), json!([{"group": "staff", "change": "demand_second_factor", "second_factor_within": 14}]));
    assert_eq!(edit("14"), json!([]));
    let least = "SELECT value FROM provider_values WHERE name = 'least_schema_version'";
    assert_eq!(provider.rows(least).await[0][0].as_deref(), Some("14"));
    assert!(command(&provider, &["group", "show", "staff"]).contains("demanded within 14 days"));
    let shown: Value = serde_json::from_str(&command(&provider, &["group", "show", "staff", "--json"])).unwrap();
    assert_eq!(shown["second_factor_within"], 14);
    assert_eq!(edit("by-link")[0]["second_factor_within"], 0);
    assert!(command(&provider, &["group", "show", "staff"]).contains("a password alone does not"));
    assert_eq!(edit("no")[0]["second_factor_within"], Value::Null);
    for (arguments, told) in [
        (&["group", "edit", "staff"][..], "nothing to change"),
        (&["group", "edit", "staff", "--second-factor", "0"], "days from 1 to 365"),
        (&["group", "edit", "stuff", "--second-factor", "1"], "did you mean staff"),
    ] {
        let outcome = provider.command(arguments, "");
        assert!(outcome.status != 0 && outcome.stderr.contains(told), "{outcome:?}");
    }
    let events = command(&provider, &["audit", "list", "--event", "group_edited", "--json"]);
    assert!(events.contains("second_factor_within"), "{events}");
}

/// The days count for who has a second factor as well, so that taking it away is no way around them; and the command says so.
#[tokio::test]
async fn the_days_count_also_with_a_second_factor_and_end_with_the_demand() {
    let (provider, client) = ready().await;
    command(&provider, &["group", "edit", "staff", "--second-factor", "14"]);
    let authenticator = provider.enroll("alice-sub").await;
    let with_code = async || {
        let browser = UserAgent::new();
        let page = sign_in(&provider, &client, &browser, "alice").await;
        let done = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
        assert!(has_code(&client, &done), "{done}");
        provider.travel(30);
    };
    let asked_at =
        async || provider.rows("SELECT second_factor_asked_at FROM users WHERE username = 'alice'").await[0][0].clone();
    with_code().await;
    assert!(asked_at().await.is_some());
    let shown = command(&provider, &["user", "export", "alice"]);
    assert!(shown.contains("\"second_factor_asked_at\": \"20") && shown.contains("browsers_untrusted_at"), "{shown}");
    command(&provider, &["group", "edit", "staff", "--second-factor", "no"]);
    provider.travel(10);
    with_code().await;
    assert_eq!(asked_at().await, None);
    command(&provider, &["group", "edit", "staff", "--second-factor", "14"]);
    provider.travel(10);
    with_code().await;
    provider.travel(15 * DAY);
    let outcome = provider.command(&["user", "factor", "remove", "alice", "--all", "--yes"], "");
    assert!(outcome.status == 0 && outcome.stderr.contains("--restart-second-factor-days"), "{outcome:?}");
    provider.travel(10);
    let page = sign_in(&provider, &client, &UserAgent::new(), "alice").await;
    assert!(page.status == 403 && page.text().contains("the time to set one up is over"), "{page}");
    command(&provider, &["user", "edit", "alice", "--restart-second-factor-days"]);
    let page = sign_in(&provider, &client, &UserAgent::new(), "alice").await;
    assert!(page.url.path().ends_with("/second-factor") && page.status == 200, "{page}");
}
