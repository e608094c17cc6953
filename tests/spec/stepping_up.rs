//! Step-up: `acr` and what asks for it, in a running session too. OIDC Core 3.1.2.1, 3.1.2.6, 5.5.1.1; RFC 9470.

use crate::support::factors::{Authenticator, WRONG};
use crate::support::provider::PASSWORD;
use crate::support::verbs::CHALLENGE;
use crate::support::{Answer, Authorization, NewClient, Page, TestClient, TestProvider, UserAgent, claims_of};
use serde_json::{Value, json};

/// A provider, and alice signed in by her password alone before she has a second factor, which she then has.
async fn signed_in_before() -> (TestProvider, TestClient, UserAgent, Authenticator) {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &client).await;
    let authenticator = provider.enroll("alice-sub").await;
    provider.travel(100);
    (provider, client, browser, authenticator)
}

/// The events of a kind, as the operator lists them.
async fn events(provider: &TestProvider, kind: &str) -> String {
    provider.provider.audit.flush().await;
    provider.command(&["audit", "list", "--event", kind, "--json"], "").stdout
}

fn essential(client: &TestClient, values: &Value) -> Authorization {
    let claims = json!({"id_token": {"acr": {"essential": true, "values": values}}});
    Authorization::of(client).with("claims", &claims.to_string())
}

fn is_at(page: &Page, path: &str) -> bool {
    page.url.path().ends_with(path) && !page.status.is_redirection()
}

async fn claims(provider: &TestProvider, client: &TestClient, page: &Page) -> Value {
    let answer = Answer::of(page, &client.redirect_uri);
    claims_of(&provider.redeem(client, answer.code()).await.ok().text("id_token"))
}

fn error(client: &TestClient, page: &Page) -> String {
    Answer::of(page, &client.redirect_uri).error().to_owned()
}

/// The missing factor is asked for, and the password is not; the session continues, no younger than before.
#[tokio::test]
async fn a_running_session_is_asked_for_the_missing_factor_alone() {
    let (provider, client, browser, authenticator) = signed_in_before().await;
    let plain = Authorization::of(&client).open(&provider, &browser).await;
    let before = claims(&provider, &client, &plain).await;
    let cookie = |browser: &UserAgent| {
        let found = browser.cookies().into_iter().find(|cookie| cookie.name.contains("hallpass_session"));
        found.unwrap().value
    };
    let old = cookie(&browser);
    let request = Authorization::of(&client).with("acr_values", "2");
    let page = request.open(&provider, &browser).await;
    assert!(is_at(&page, "/second-factor") && page.forms().iter().all(|form| form.value("password").is_none()));
    assert!(page.text().contains("The reports service asks for your second factor"), "{page}");
    let page = provider.type_code(&browser, &page, WRONG).await;
    assert_eq!(page.status, 422);
    let done = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    let after = claims(&provider, &client, &done).await;
    assert_eq!((&after["acr"], &after["amr"]), (&json!("2"), &json!(["pwd", "otp", "mfa"])));
    for same in ["sub", "sid", "auth_time"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_ne!(cookie(&browser), old, "the session has a new id");
    let fixed = UserAgent::new();
    let name = browser.cookies().into_iter().find(|cookie| cookie.name.contains("hallpass_session")).unwrap().name;
    fixed.set_cookie(&provider.url("/"), &format!("{name}={old}; Path=/; HttpOnly; SameSite=Lax"));
    let page = Authorization::of(&client).open(&provider, &fixed).await;
    assert!(is_at(&page, "/login"), "the old one opens nothing: {page}");
    // It is satisfied from now on.
    let again = request.with("prompt", "none").open(&provider, &browser).await;
    assert_eq!(claims(&provider, &client, &again).await["acr"], "2");
    let events = events(&provider, "step_up").await;
    assert!(events.contains("alice-sub") && events.contains("otp"), "{events}");
    let sessions = provider.rows("SELECT COUNT(*), MIN(auth_time) FROM user_sessions").await;
    assert_eq!(sessions[0][0].as_deref(), Some("1"));
    assert_eq!(sessions[0][1], after["auth_time"].as_i64().map(|at| at.to_string()));
}

#[tokio::test]
async fn acr_values_are_met_in_their_order_where_they_can_be() {
    let (provider, client, browser, authenticator) = signed_in_before().await;
    for (values, is_asked) in
        [("1", false), ("1 2", false), ("urn:x", false), ("2 1", true), ("urn:x 2", true), ("2", true)]
    {
        let page = Authorization::of(&client).with("acr_values", values).open(&provider, &browser).await;
        assert_eq!(is_at(&page, "/second-factor"), is_asked, "{values}: {page}");
        if !is_asked {
            assert_eq!(claims(&provider, &client, &page).await["acr"], "1", "{values}");
        }
    }
    let claim = json!({"id_token": {"acr": {"values": ["2"]}}}).to_string();
    let page = Authorization::of(&client).with("claims", &claim).open(&provider, &browser).await;
    let done = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert_eq!(claims(&provider, &client, &done).await["acr"], "2");
    // Two factors are one as well: who demands exactly that is told so.
    for (request, told) in [(essential(&client, &json!(["1"])), "1"), (essential(&client, &json!(["1", "2"])), "2")] {
        let page = request.open(&provider, &browser).await;
        assert_eq!(claims(&provider, &client, &page).await["acr"], told);
    }
}

/// Where the person has no second factor, a voluntary wish continues, and `acr` says what was done.
#[tokio::test]
async fn who_has_no_second_factor_goes_on_unless_it_is_demanded() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let answer = Authorization::of(&client).with("acr_values", "2").complete(&provider, &browser).await;
    let claims = claims_of(&provider.redeem(&client, answer.code()).await.ok().text("id_token"));
    assert_eq!((&claims["acr"], &claims["amr"]), (&json!("1"), &json!(["pwd"])));
}

#[tokio::test]
async fn an_essential_acr_is_enforced() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let page = essential(&client, &json!(["2"])).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert_eq!(error(&client, &page), "unmet_authentication_requirements");
    let reference = page.header("x-request-id").unwrap().to_owned();
    provider.provider.audit.flush().await;
    let text = provider.command(&["explain", &reference], "").stdout;
    assert!(text.contains("factor_missing") || text.contains("sets up a second factor"), "{text}");
    let silent = essential(&client, &json!(["2"])).with("prompt", "none").open(&provider, &browser).await;
    assert_eq!(error(&client, &silent), "unmet_authentication_requirements");
    // Only what is unknown here can be met by no sign-in.
    let page = essential(&client, &json!(["urn:x"])).open(&provider, &browser).await;
    assert_eq!(error(&client, &page), "unmet_authentication_requirements");
    let page = essential(&client, &json!(["urn:x", "1"])).open(&provider, &browser).await;
    assert_eq!(Answer::of(&page, &client.redirect_uri).get("error"), None);
    // Who has one is asked for it.
    let authenticator = provider.enroll("alice-sub").await;
    provider.travel(10);
    let page = essential(&client, &json!(["2"])).open(&provider, &browser).await;
    let done = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert_eq!(
        claims_of(
            &provider.redeem(&client, Answer::of(&done, &client.redirect_uri).code()).await.ok().text("id_token")
        )["acr"],
        "2"
    );
}

/// 3.1.2.6: what is missing is authentication, so `login_required`.
#[tokio::test]
async fn a_silent_request_is_told_that_a_factor_is_missing() {
    let (provider, client, browser, _) = signed_in_before().await;
    for request in [Authorization::of(&client).with("acr_values", "2"), essential(&client, &json!(["2"]))] {
        let page = request.with("prompt", "none").open(&provider, &browser).await;
        assert_eq!(error(&client, &page), "login_required");
    }
    let page = Authorization::of(&client).with("prompt", "none").open(&provider, &browser).await;
    assert_eq!(claims(&provider, &client, &page).await["amr"], json!(["pwd"]));
}

/// `max_age` and `prompt=login` ask for everything that the account has; the code alone makes nothing younger.
#[tokio::test]
async fn what_is_proven_anew_is_all_of_it() {
    let (provider, client, browser, authenticator) = signed_in_before().await;
    for request in [
        Authorization::of(&client).with("prompt", "login"),
        Authorization::of(&client).with("max_age", "50"),
        Authorization::of(&client).with("max_age", "50").with("acr_values", "2"),
    ] {
        let page = request.open(&provider, &browser).await;
        assert!(is_at(&page, "/login"), "the password first: {page}");
        let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
        assert!(is_at(&page, "/second-factor"), "{page}");
        let done = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
        let told = claims(&provider, &client, &done).await;
        assert_eq!(told["amr"], json!(["pwd", "otp", "mfa"]));
        assert!(provider.now() - told["auth_time"].as_i64().unwrap() <= 5);
        provider.travel(60);
    }
}

/// The password is older than `max_age` by the time that the code comes: it is asked for, and the code is not enough.
#[tokio::test]
async fn a_step_up_never_makes_a_sign_in_younger() {
    let (provider, client, browser, authenticator) = signed_in_before().await;
    let page = Authorization::of(&client).with("max_age", "120").open(&provider, &browser).await;
    assert!(is_at(&page, "/second-factor"), "{page}");
    provider.travel(60);
    let page = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert!(is_at(&page, "/login"), "{page}");
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    provider.travel(30);
    let done = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert!(provider.now() - claims(&provider, &client, &done).await["auth_time"].as_i64().unwrap() <= 35);
}

/// A step-up in a session that was signed out meanwhile brings nothing back.
#[tokio::test]
async fn a_session_that_has_ended_is_not_brought_back_by_a_code() {
    let (provider, client, browser, authenticator) = signed_in_before().await;
    let page = Authorization::of(&client).with("acr_values", "2").open(&provider, &browser).await;
    assert_eq!(provider.command(&["user", "sessions", "end", "alice", "--all", "--yes"], "").status, 0);
    let late = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert!(!late.status.is_redirection(), "{late}");
}

// ---- The client's row.

#[tokio::test]
async fn a_client_s_row_demands_it_of_each_sign_in() {
    let (provider, _, browser, authenticator) = signed_in_before().await;
    let safe = provider.add(NewClient::new("safe").with("consent", "skip").with("require_acr", "2")).await;
    let request = Authorization::of(&safe);
    let silent = request.clone().with("prompt", "none").open(&provider, &browser).await;
    assert_eq!(error(&safe, &silent), "login_required");
    // Whatever the request itself asks for.
    let page = request.clone().with("acr_values", "1").open(&provider, &browser).await;
    let done = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert!(Answer::of(&done, &safe.redirect_uri).get("code").is_some());
    provider.travel(30);
    // Who has none is told so on a page, and the service by its button.
    provider.sql("DELETE FROM user_factors").await;
    let other = UserAgent::new();
    let page = request.open(&provider, &other).await;
    let page = provider.type_in(&other, &page, "alice", PASSWORD).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (403, "/second-factor"), "{page}");
    assert!(page.text().contains("The safe service asks for a second factor") && page.text().contains("account page"));
    let reference = page.header("x-request-id").unwrap().to_owned();
    provider.provider.audit.flush().await;
    let text = provider.command(&["explain", &reference], "").stdout;
    assert!(text.contains("clients.require_acr"), "{text}");
    let back = other.submit(page.form("form"), Some(("action", "back"))).await;
    assert_eq!(error(&safe, &back), "unmet_authentication_requirements");
    let silent = request.with("prompt", "none").open(&provider, &other).await;
    assert_eq!(error(&safe, &silent), "unmet_authentication_requirements");
}

/// Nothing but a form of our own page leads on from there.
#[tokio::test]
async fn a_demand_of_a_row_is_not_left_out_by_another_page() {
    let provider = TestProvider::start().await;
    let safe = provider.add(NewClient::new("safe").with("consent", "skip").with("require_acr", "2")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let page = Authorization::of(&safe).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    let form = page.form("form");
    let (interaction, csrf) = (form.value("interaction").unwrap(), form.value("csrf").unwrap());
    for (path, action) in [("/consent", ("decision", "allow")), ("/second-factor", ("action", "continue"))] {
        let fields = [("interaction", interaction), ("csrf", csrf), action];
        let there = browser.post_form(&provider.url(path), &fields).await;
        let there = provider.settle(&browser, there).await;
        assert_eq!((there.status.as_u16(), there.url.path()), (403, "/second-factor"), "{path}");
    }
    let url = format!("{}&client_id=safe&response_type=code&code_challenge={CHALLENGE}", page.url);
    assert!(!browser.get(&url.replace("/second-factor", "/consent")).await.status.is_success());
}

/// By `client new`, `client edit` and an operator's own migration.
#[tokio::test]
async fn commands_and_migrations_write_the_demand_of_a_client() {
    let provider = TestProvider::start().await;
    let run = |arguments: &[&str]| {
        let outcome = provider.command(arguments, "");
        assert_eq!(outcome.status, 0, "{arguments:?}: {outcome:?}");
        outcome.stdout
    };
    let new = ["client", "new", "payroll", "--name", "Payroll", "--redirect-uri", "https://payroll.example/callback"];
    run(&[&new[..], &["--require-acr", "2"]].concat());
    run(&["migrate"]);
    let demanded = async |id: &str| {
        let sql = format!("SELECT require_acr FROM clients WHERE client_id = '{id}'");
        provider.rows(&sql).await[0][0].clone()
    };
    assert_eq!(demanded("payroll").await.as_deref(), Some("2"));
    assert!(run(&["client", "show", "payroll"]).contains("require_acr"));
    run(&["client", "edit", "payroll", "--unset", "require_acr", "--yes"]);
    assert_eq!(demanded("payroll").await, None);
    run(&["client", "edit", "payroll", "--set", "require_acr=2", "--yes"]);
    assert_eq!(demanded("payroll").await.as_deref(), Some("2"));
    for (arguments, told) in [
        (&["client", "edit", "payroll", "--set", "require_acr=3", "--yes"][..], "require_acr"),
        (&[&new[..], &["--require-acr", "gold"]].concat()[..], "--require-acr"),
    ] {
        let outcome = provider.command(arguments, "");
        assert!(outcome.status != 0 && outcome.stderr.contains(told), "{outcome:?}");
    }
    let file = provider.folder.path().join("migrations/20300101000000_payroll.sql");
    std::fs::write(file, "UPDATE clients SET require_acr = NULL WHERE client_id = 'payroll';").unwrap();
    run(&["migrate"]);
    assert_eq!(demanded("payroll").await, None);
}

#[tokio::test]
async fn an_older_node_lets_no_user_in_where_a_factor_is_needed() {
    let provider = TestProvider::start().await;
    let least = async || hallpass::store::migrations::least_version(&provider.provider.db).await.unwrap();
    provider.alice().await;
    assert_eq!(least().await, 0);
    let _ = provider.enroll("alice-sub").await;
    assert_eq!(least().await, 13);
    provider.add(NewClient::new("safe").with("require_acr", "2")).await;
    assert_eq!(least().await, 14);
}

/// A wish for `acr` that names no values has those of `acr_values`.
#[tokio::test]
async fn acr_values_count_beside_a_wish_for_acr_without_values() {
    let (provider, client, browser, authenticator) = signed_in_before().await;
    for acr in [Value::Null, json!({"essential": true})] {
        let claims = json!({"id_token": {"acr": acr}}).to_string();
        let request = Authorization::of(&client).with("acr_values", "2").with("claims", &claims);
        let page = request.open(&provider, &browser).await;
        assert!(is_at(&page, "/second-factor"), "{claims}: {page}");
    }
    let request = Authorization::of(&client).with("acr_values", "2");
    let page = request.open(&provider, &browser).await;
    let _ = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    // What was done is told, unless exactly less is demanded.
    let page = Authorization::of(&client).with("acr_values", "1").open(&provider, &browser).await;
    assert_eq!(claims(&provider, &client, &page).await["acr"], "2");
    assert!(events_page(&provider, &browser).await.contains("You confirmed by your second factor that it is you"));
}

async fn events_page(provider: &TestProvider, browser: &UserAgent) -> String {
    provider.provider.audit.flush().await;
    browser.get(&provider.url("/account/events")).await.text()
}

/// A code that would be typed for nothing is not asked for.
#[tokio::test]
async fn a_proven_password_waits_for_the_code_no_longer_than_max_age() {
    let (provider, client, browser, authenticator) = signed_in_before().await;
    for (max_age, waits, path) in [("90", 91, "/login"), ("90", 80, "/second-factor"), ("0", 300, "/second-factor")] {
        let request = Authorization::of(&client).with("max_age", max_age).with("prompt", "login");
        let page = request.open(&provider, &browser).await;
        let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
        provider.travel(waits);
        let again = browser.get(page.url.as_str()).await;
        let again = provider.settle(&browser, again).await;
        assert!(is_at(&again, path), "{max_age} {waits}: {again}");
        if path == "/second-factor" {
            let done = provider.type_code(&browser, &again, authenticator.code(provider.now())).await;
            assert!(done.status.is_redirection(), "{done}");
        }
        provider.travel(30);
    }
}
