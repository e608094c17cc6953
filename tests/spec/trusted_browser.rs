//! `HALLPASS_TRUSTED_BROWSER`: where a plain sign-in asks for no second factor, what it never spares, what ends it, and what the
//! account's page says of it.

use crate::account::{form_with, press};
use crate::support::factors::Authenticator;
use crate::support::program::run_with;
use crate::support::provider::PASSWORD;
use crate::support::{
    Answer, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent, claims_of, folder,
};
use hallpass::protocol::time::NumericDate;
use hallpass::web::pages::account::Moment;
use serde_json::json;

const DAY: i64 = 86_400;

async fn ready() -> (TestProvider, TestClient, Authenticator) {
    let provider = TestProvider::with(&[("trusted_browser", "30")]).await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let authenticator = provider.enroll("alice-sub").await;
    (provider, client, authenticator)
}

/// Signs alice in with her code, and has the browser trusted where `trust`.
async fn sign_in(
    provider: &TestProvider,
    client: &TestClient,
    browser: &UserAgent,
    authenticator: &Authenticator,
    trust: bool,
) {
    let page = password(provider, Authorization::of(client).with("prompt", "login"), browser).await;
    assert!(page.text().contains("Trust this browser for 30 days"), "{page}");
    let mut form = page.form("form");
    form.set("code", authenticator.code(provider.now()));
    if trust {
        form.fields.push(("trust".into(), "yes".into()));
    }
    let done = browser.submit(form, Some(("action", "continue"))).await;
    let settled = provider.settle(browser, done).await;
    assert!(settled.status.is_redirection(), "{settled}");
    provider.travel(30);
}

/// The page, or the answer, after alice's password.
async fn password(provider: &TestProvider, request: Authorization, browser: &UserAgent) -> Page {
    let page = request.open(provider, browser).await;
    provider.type_in(browser, &page, "alice", PASSWORD).await
}

async fn sign_out(provider: &TestProvider, browser: &UserAgent, button: &str) {
    // What ends all sign-ins is on the start page.
    let place = if button == "sign_out" { "/logout" } else { "/" };
    let page = browser.get(&provider.url(place)).await;
    let done = browser.submit(page.form("form"), Some(("action", button))).await;
    assert!(!done.status.is_client_error() && !done.status.is_server_error(), "{done}");
}

/// A plain sign-in of alice after a sign-out: whether the code is asked for.
async fn is_asked(provider: &TestProvider, client: &TestClient, browser: &UserAgent) -> bool {
    let page = password(provider, Authorization::of(client), browser).await;
    if page.url.path().ends_with("/second-factor") && !page.status.is_redirection() {
        return true;
    }
    assert!(page.status.is_redirection(), "{page}");
    sign_out(provider, browser, "sign_out").await;
    false
}

#[tokio::test]
async fn a_plain_sign_in_asks_for_no_code_there_and_says_what_it_was_of() {
    let (provider, client, authenticator) = ready().await;
    let browser = UserAgent::new();
    sign_in(&provider, &client, &browser, &authenticator, true).await;
    sign_out(&provider, &browser, "sign_out").await;
    let page = password(&provider, Authorization::of(&client), &browser).await;
    let answer = Answer::of(&page, &client.redirect_uri);
    let claims = claims_of(&provider.redeem(&client, answer.code()).await.ok().text("id_token"));
    assert_eq!(claims["amr"], json!(["pwd"]));
    // It is no factor, so a request that wants more asks for it in that session.
    let page = Authorization::of(&client).with("acr_values", "2").open(&provider, &browser).await;
    assert!(page.url.path().ends_with("/second-factor"), "{page}");
    assert!(!page.text().contains("Trust this browser"), "a running session is no sign-in: {page}");
    provider.provider.audit.flush().await;
    let events = provider.command(&["audit", "list", "--event", "sign_in", "--json"], "").stdout;
    assert!(events.contains("trusted_browser"), "{events}");
    // Another browser is asked, and so is this one without the box.
    let other = UserAgent::new();
    assert!(is_asked(&provider, &client, &other).await);
    sign_in(&provider, &client, &other, &authenticator, false).await;
    sign_out(&provider, &other, "sign_out").await;
    assert!(is_asked(&provider, &client, &other).await);
}

#[tokio::test]
async fn it_never_counts_where_more_is_asked_for() {
    let (provider, client, authenticator) = ready().await;
    let browser = UserAgent::new();
    sign_in(&provider, &client, &browser, &authenticator, true).await;
    let safe = provider.add(NewClient::new("safe").with("consent", "skip").with("require_acr", "2")).await;
    let essential = json!({"id_token": {"acr": {"essential": true, "value": "2"}}}).to_string();
    for request in [
        Authorization::of(&client).with("acr_values", "2"),
        Authorization::of(&client).with("claims", &essential),
        Authorization::of(&client).with("prompt", "login"),
        Authorization::of(&client).with("max_age", "1000"),
        Authorization::of(&safe),
    ] {
        sign_out(&provider, &browser, "sign_out").await;
        let page = password(&provider, request, &browser).await;
        assert!(page.url.path().ends_with("/second-factor"), "{page}");
        let done = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
        assert!(done.status.is_redirection(), "{done}");
        provider.travel(30);
    }
    sign_out(&provider, &browser, "sign_out").await;
    assert!(!is_asked(&provider, &client, &browser).await);
}

/// Of what ends it each alone does.
#[tokio::test]
async fn it_ends_with_the_password_the_factor_everywhere_and_its_days() {
    let (provider, client, mut authenticator) = ready().await;
    // The command has the clock of the machine, which the provider's leaves behind.
    let ends = [
        "operator",
        "password",
        "factor",
        "another factor",
        "a third factor",
        "a passkey",
        "a replaced factor",
        "everywhere",
        "tokens",
        "days",
    ];
    for end in ends {
        let browser = UserAgent::new();
        sign_in(&provider, &client, &browser, &authenticator, true).await;
        if end == "everywhere" {
            sign_out(&provider, &browser, "sign_out_everywhere").await;
        } else {
            sign_out(&provider, &browser, "sign_out").await;
            assert!(!is_asked(&provider, &client, &browser).await, "{end}");
        }
        match end {
            "password" => {
                let outcome = provider.command(&["user", "set-password", "alice", "--password-stdin"], PASSWORD);
                assert_eq!(outcome.status, 0, "{outcome:?}");
            }
            "factor" => {
                provider.sql("DELETE FROM user_factors").await;
                authenticator = provider.enroll("alice-sub").await;
            }
            // Of whatever kind.
            "a passkey" => {
                provider
                    .sql(
                        "INSERT INTO user_passkeys (passkey_id, sub, user_handle, credential_id, rp_id, passkey, backup_eligible, \
                         credential, created_at) VALUES ('p', 'alice-sub', 'h', 'c', 'elsewhere.example', '{}', 0, '', 1)",
                    )
                    .await;
                provider.travel(10);
                assert!(is_asked(&provider, &client, &browser).await, "{end}");
                provider.sql("DELETE FROM user_passkeys").await;
                provider.travel(30);
                let other = UserAgent::new();
                sign_in(&provider, &client, &other, &authenticator, false).await;
                sign_out(&provider, &other, "sign_out").await;
                continue;
            }
            "another factor" | "a third factor" => authenticator = provider.enroll("alice-sub").await,
            // Neither the first of the ids nor the last, under the id of before.
            "a replaced factor" => {
                let middle =
                    "SELECT factor_id FROM user_factors WHERE kind = 'totp' ORDER BY factor_id LIMIT 1 OFFSET 1";
                let replaced =
                    format!("UPDATE user_factors SET created_at = created_at + 1 WHERE factor_id = ({middle})");
                provider.sql(&replaced).await;
            }
            "operator" => {
                let outcome = provider.command(&["user", "sessions", "end", "alice", "--all", "--yes"], "");
                assert_eq!(outcome.status, 0, "{outcome:?}");
            }
            "tokens" => {
                provider.travel(10);
                provider.sql(&format!("UPDATE users SET tokens_valid_after = {}", provider.now() - 5)).await;
            }
            "days" => provider.travel(30 * DAY),
            _ => {}
        }
        provider.travel(10);
        assert!(is_asked(&provider, &client, &browser).await, "{end}");
        provider.travel(30);
    }
}

/// The page on which a user sees it, in a session that has proven everything.
async fn at_the_account(provider: &TestProvider, browser: &UserAgent) -> Page {
    let page = browser.get(&provider.url("/account/sessions")).await;
    assert_eq!(page.status, 200, "{page}");
    page
}

fn has_untrust(page: &Page) -> bool {
    page.body.contains("value=\"untrust\"")
}

#[tokio::test]
async fn users_see_whether_they_trust_a_browser_and_trust_none_any_more() {
    let (provider, client, authenticator) = ready().await;
    let (here, there) = (UserAgent::new(), UserAgent::new());
    for browser in [&here, &there] {
        sign_in(&provider, &client, browser, &authenticator, true).await;
    }
    let page = at_the_account(&provider, &here).await;
    let section = page.texts("section")[0].clone();
    let trusted = here.cookies().into_iter().find(|cookie| cookie.name.contains("hallpass_trusted")).unwrap();
    let since: i64 = trusted.value.split_once('~').unwrap().0.parse().unwrap();
    let shown = |at| Moment::of(NumericDate(at)).shown;
    let times = format!("Until {}", shown(since + 30 * DAY));
    assert!(section.contains("You trust this browser") && section.contains(&times), "{section}, {times}");
    // Another browser in which the box was not ticked.
    let third = UserAgent::new();
    sign_in(&provider, &client, &third, &authenticator, false).await;
    let page = at_the_account(&provider, &third).await;
    assert!(page.text().contains("You do not trust this browser"), "{page}");
    // Ended there, it is ended everywhere, and no sign-in is.
    let form = form_with(&page, "untrust");
    for _ in 0..2 {
        let page = press(&provider, &third, form.clone(), "untrust").await;
        assert!(page.text().contains("You trust no browser any more"), "{page}");
    }
    for browser in [&here, &there] {
        let page = at_the_account(&provider, browser).await;
        assert!(page.text().contains("You do not trust this browser"), "{page}");
        sign_out(&provider, browser, "sign_out").await;
        assert!(is_asked(&provider, &client, browser).await);
    }
    // A browser that is trusted afterwards is.
    provider.travel(10);
    sign_in(&provider, &client, &here, &authenticator, true).await;
    assert!(at_the_account(&provider, &here).await.text().contains("You trust this browser"));
    sign_out(&provider, &here, "sign_out").await;
    assert!(!is_asked(&provider, &client, &here).await);
    let told = "SELECT network, detail FROM audit_events WHERE event = 'browsers_untrusted'";
    let told = provider.rows(told).await;
    assert!((1..=2).contains(&told.len()), "once a second: {told:?}");
    assert_eq!(told[0], [Some("127.0.0.1".to_owned()), None]);
    provider.provider.audit.flush().await;
    let page = third.get(&provider.url("/account/events")).await;
    let text = page.text();
    assert!(text.contains("You ended the trust in all browsers"), "{page}");
    assert_eq!(text.matches("You signed in, and trusted the browser").count(), 3, "{page}");
}

#[tokio::test]
async fn where_nothing_can_be_trusted_the_account_does_not_speak_of_it() {
    let (provider, client, _) = ready().await;
    provider.add_user(NewUser::named("bob")).await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let _ = provider.type_in(&browser, &page, "bob", PASSWORD).await;
    let page = at_the_account(&provider, &browser).await;
    assert!(!has_untrust(&page) && !page.text().contains("trust"), "no second factor: {page}");
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let authenticator = provider.enroll("alice-sub").await;
    let browser = UserAgent::new();
    let page = password(&provider, Authorization::of(&client), &browser).await;
    let done = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert!(done.status.is_redirection(), "{done}");
    let page = at_the_account(&provider, &browser).await;
    assert!(!has_untrust(&page) && !page.text().contains("trust"), "by default: {page}");
}

/// The form is bound as the others of the page are.
#[tokio::test]
async fn no_trust_is_ended_without_the_token_of_that_form() {
    let (provider, client, authenticator) = ready().await;
    let (browser, other) = (UserAgent::new(), UserAgent::new());
    for browser in [&browser, &other] {
        sign_in(&provider, &client, browser, &authenticator, true).await;
    }
    let page = at_the_account(&provider, &browser).await;
    let url = provider.url("/account/sessions");
    let token = |page: &Page, button| form_with(page, button).value("csrf").unwrap().to_owned();
    let elsewhere = token(&at_the_account(&provider, &other).await, "untrust");
    for (csrf, action) in [
        (String::new(), "untrust"),
        (token(&page, "end_others"), "untrust"),
        (token(&page, "untrust"), "end_others"),
        (elsewhere, "untrust"),
    ] {
        let refused = browser.post_form(&url, &[("csrf", &csrf), ("action", action)]).await;
        assert_eq!(refused.status, 403, "{csrf} {action}: {refused}");
    }
    let cross = browser.cross_site_post(&url, &[("csrf", &token(&page, "untrust")), ("action", "untrust")]).await;
    assert!(cross.status.is_redirection() || cross.status == 403, "{cross}");
    assert!(at_the_account(&provider, &browser).await.text().contains("You trust this browser"));
    assert_eq!(provider.rows("SELECT sub FROM users WHERE browsers_untrusted_at IS NOT NULL").await.len(), 0);
}

/// The cookie of one user opens nothing for another, in another browser, or with another instant.
#[tokio::test]
async fn a_stolen_or_changed_cookie_is_worth_nothing() {
    let (provider, client, authenticator) = ready().await;
    provider.add_user(NewUser::named("bob")).await;
    let _ = provider.enroll("bob-sub").await;
    let browser = UserAgent::new();
    sign_in(&provider, &client, &browser, &authenticator, true).await;
    let trusted = browser.cookies().into_iter().find(|cookie| cookie.name.contains("hallpass_trusted")).unwrap();
    assert_eq!((trusted.max_age, trusted.http_only), (Some(30 * DAY), true));
    let set = |agent: &UserAgent, value: &str| {
        agent.set_cookie(&provider.url("/"), &format!("{}={value}; Path=/; HttpOnly; SameSite=Lax", trusted.name));
    };
    let thief = UserAgent::new();
    set(&thief, &trusted.value);
    assert!(is_asked(&provider, &client, &thief).await, "without the browser's own name");
    sign_out(&provider, &browser, "sign_out").await;
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "bob", PASSWORD).await;
    assert!(page.url.path().ends_with("/second-factor"), "another user of that browser: {page}");
    let (since, tag) = trusted.value.split_once('~').unwrap();
    let another = if tag.starts_with('A') { "B" } else { "A" };
    let later = since.parse::<i64>().unwrap() + DAY;
    for forged in [format!("{later}~{tag}"), format!("{since}~{another}{}", &tag[1..]), "~".into(), "x".repeat(290)] {
        set(&browser, &forged);
        assert!(is_asked(&provider, &client, &browser).await, "{forged}");
    }
    set(&browser, &trusted.value);
    assert!(!is_asked(&provider, &client, &browser).await);
}

#[tokio::test]
async fn by_default_no_browser_is_trusted_and_the_setting_has_bounds() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let authenticator = provider.enroll("alice-sub").await;
    let browser = UserAgent::new();
    let page = password(&provider, Authorization::of(&client), &browser).await;
    assert!(!page.text().contains("Trust this browser"), "{page}");
    let mut form = page.form("form");
    form.set("code", authenticator.code(provider.now()));
    form.fields.push(("trust".into(), "yes".into()));
    let done = browser.submit(form, Some(("action", "continue"))).await;
    let settled = provider.settle(&browser, done).await;
    assert!(settled.status.is_redirection(), "{settled}");
    assert!(browser.cookies().iter().all(|cookie| !cookie.name.contains("hallpass_trusted")));
    sign_out(&provider, &browser, "sign_out").await;
    assert!(is_asked(&provider, &client, &browser).await);
    let folder = folder();
    for bad in ["-1", "366", "30d"] {
        let outcome = run_with(folder.path(), &["migrate"], &[("HALLPASS_TRUSTED_BROWSER", bad)], "");
        assert!(outcome.status != 0 && outcome.stderr.contains("days from 0 to 365"), "{bad}: {outcome:?}");
    }
}

/// What a user said of a browser before gives way to what they say now, and not what others said.
#[tokio::test]
async fn a_user_has_one_item_in_the_cookie() {
    let (provider, client, authenticator) = ready().await;
    let browser = UserAgent::new();
    for _ in 0..3 {
        sign_in(&provider, &client, &browser, &authenticator, true).await;
        let trusted = browser.cookies().into_iter().find(|cookie| cookie.name.contains("hallpass_trusted")).unwrap();
        assert_eq!(trusted.value.matches('~').count(), 1, "{}", trusted.value);
    }
    sign_out(&provider, &browser, "sign_out").await;
    assert!(!is_asked(&provider, &client, &browser).await);
}
