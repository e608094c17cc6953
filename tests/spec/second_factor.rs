//! The second factor at a sign-in: what is asked for when, what is told, and what an attacker does not get by leaving it out.

use crate::support::factors::{Authenticator, WRONG};
use crate::support::program::done;
use crate::support::provider::PASSWORD;
use crate::support::{Answer, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent, claims_of};
use crate::throttling::{from, ready};
use hallpass::startup;
use hallpass::throttle::{CODE_WINDOWS, PER_ACCOUNT_AND_NETWORK, PER_CODE_WINDOW};
use serde_json::{Value, json};

/// The events of a kind, as the operator lists them.
async fn events(provider: &TestProvider, kind: &str) -> String {
    provider.provider.audit.flush().await;
    provider.command(&["audit", "list", "--event", kind, "--json"], "").stdout
}

/// A provider with alice, who has an authenticator.
async fn enrolled() -> (TestProvider, TestClient, Authenticator) {
    let (provider, client) = ready().await;
    let authenticator = provider.enroll("alice-sub").await;
    (provider, client, authenticator)
}

/// The page that asks for the code, after the right password.
async fn asked(provider: &TestProvider, browser: &UserAgent, request: &Authorization) -> Page {
    let page = request.open(provider, browser).await;
    let page = provider.type_in(browser, &page, "alice", PASSWORD).await;
    assert!(page.url.path().ends_with("/second-factor"), "{page}");
    page
}

/// A whole sign-in; the next code is another one.
async fn sign_in(
    provider: &TestProvider,
    browser: &UserAgent,
    request: &Authorization,
    authenticator: &Authenticator,
) -> Page {
    let page = asked(provider, browser, request).await;
    let page = provider.type_code(browser, &page, authenticator.code(provider.now())).await;
    provider.travel(30);
    page
}

async fn id_token(provider: &TestProvider, client: &TestClient, page: &Page) -> Value {
    let answer = Answer::of(page, &client.redirect_uri);
    claims_of(&provider.redeem(client, answer.code()).await.ok().text("id_token"))
}

fn session_of(browser: &UserAgent) -> Option<String> {
    let found = browser.cookies().into_iter().find(|cookie| cookie.name.contains("hallpass_session"));
    found.map(|cookie| cookie.value).filter(|value| !value.is_empty())
}

fn alert(page: &Page) -> String {
    page.texts("[role=alert]").join(" ")
}

// ---- The sign-in.

#[tokio::test]
async fn who_has_a_second_factor_is_asked_for_it_after_the_password_and_tokens_say_so() {
    let (provider, client, authenticator) = enrolled().await;
    let browser = UserAgent::new();
    let request = Authorization::of(&client).with("acr_values", "1 2");
    let page = asked(&provider, &browser, &request).await;
    assert_eq!(session_of(&browser), None, "the password alone starts no session");
    assert!(page.text().contains("Alice Example"), "{page}");
    assert!(page.body.contains("autocomplete=\"one-time-code\"") && page.body.contains("inputmode=\"numeric\""));
    let started = provider.now();
    provider.travel(20);
    let page = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    let claims = id_token(&provider, &client, &page).await;
    assert_eq!((&claims["amr"], &claims["acr"]), (&json!(["pwd", "otp", "mfa"]), &json!("2")));
    let auth_time = claims["auth_time"].as_i64().unwrap();
    assert!((started - 1..=started + 1).contains(&auth_time), "the oldest of what was proven counts");
    let events = events(&provider, "sign_in").await;
    assert!(events.contains("pwd otp mfa"), "{events}");
    // Who has none is not asked.
    provider.add_user(NewUser::named("bob")).await;
    let other = UserAgent::new();
    let page = request.open(&provider, &other).await;
    let page = provider.type_in(&other, &page, "bob", PASSWORD).await;
    assert_eq!(id_token(&provider, &client, &page).await["amr"], json!(["pwd"]));
}

#[tokio::test]
async fn acr_and_amr_are_in_every_token_and_stay_after_a_refresh() {
    let (provider, _, authenticator) = enrolled().await;
    let jwt = NewClient::new("jwt").with("access_token_format", "jwt").with("consent", "skip");
    let jwt = jwt.with("grant_types", "authorization_code refresh_token");
    let client = provider.add(jwt.with("scope", "openid profile email offline_access")).await;
    let request = Authorization::of(&client).with("scope", "openid offline_access").with("acr_values", "2");
    let page = sign_in(&provider, &UserAgent::new(), &request, &authenticator).await;
    let answer = Answer::of(&page, &client.redirect_uri);
    let mut tokens = provider.redeem(&client, answer.code()).await.ok();
    for _ in 0..2 {
        for token in ["id_token", "access_token"] {
            let claims = claims_of(&tokens.text(token));
            assert_eq!((&claims["acr"], &claims["amr"]), (&json!("2"), &json!(["pwd", "otp", "mfa"])), "{token}");
        }
        let token = tokens.text("access_token");
        let told = provider.post("/introspect", client.auth(), &[("token", &token)]).await.ok().json();
        assert_eq!((&told["acr"], &told["amr"]), (&json!("2"), &json!(["pwd", "otp", "mfa"])));
        let refresh_token = tokens.text("refresh_token");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
        tokens = provider.post("/token", client.auth(), &fields).await.ok();
    }
}

#[tokio::test]
async fn a_recovery_code_does_as_well_and_once() {
    let (provider, client, authenticator) = enrolled().await;
    let request = Authorization::of(&client);
    for (code, is_in) in [
        (authenticator.recovery(3).to_owned(), true),
        (authenticator.recovery(3).to_owned(), false),
        (authenticator.recovery(4).to_uppercase().replace('-', " "), true),
    ] {
        let browser = UserAgent::new();
        let page = asked(&provider, &browser, &request).await;
        // The way to it is a link: a numeric keyboard has no letters.
        let link = page.body.split("href=\"").find(|part| part.contains("recovery=1")).unwrap();
        let link = link.split('"').next().unwrap().replace("&amp;", "&");
        let page = browser.get(page.url.join(&link).unwrap().as_str()).await;
        assert!(!page.body.contains("inputmode") && page.text().contains("recovery codes"), "{page}");
        let page = provider.type_code(&browser, &page, &code).await;
        assert_eq!(page.status.is_redirection(), is_in, "{code}: {page}");
        if !is_in {
            assert_eq!(page.status, 422);
            assert!(page.text().contains("recovery codes"), "it is still that page: {page}");
        }
    }
    let events = events(&provider, "sign_in").await;
    assert!(events.contains("recovery_codes_left"), "{events}");
}

#[tokio::test]
async fn a_wrong_a_used_and_an_unreadable_code_are_told_apart_to_user_and_operator() {
    let (provider, client, authenticator) = enrolled().await;
    let browser = UserAgent::new();
    let request = Authorization::of(&client).with("prompt", "login");
    let page = asked(&provider, &browser, &request).await;
    let explained = async |page: &Page, told: &str, fix: &str| {
        let reference = page.header("x-request-id").unwrap().to_owned();
        provider.provider.audit.flush().await;
        let text = provider.command(&["explain", &reference], "").stdout;
        assert!(text.contains(told) && text.contains(fix) && text.contains("alice-sub"), "{text}");
    };
    let page = provider.type_code(&browser, &page, WRONG).await;
    assert_eq!(page.status, 422);
    assert!(alert(&page).contains("not right"), "{page}");
    explained(&page, "is none of the user's authenticators", "clock").await;
    let page = provider.type_code(&browser, &page, &"1".repeat(65)).await;
    assert_eq!(page.status, 422);

    let code = authenticator.code(provider.now()).to_owned();
    let done = provider.type_code(&browser, &page, &code).await;
    assert!(done.status.is_redirection(), "{done}");
    let page = asked(&provider, &browser, &request).await;
    let page = provider.type_code(&browser, &page, &code).await;
    assert_eq!(page.status, 422);
    assert!(alert(&page).contains("used already"), "{page}");
    explained(&page, "had been used before", "next code").await;

    provider.lose_factor_key("alice-sub").await;
    let page = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert_eq!(page.status, 503);
    let reference = page.texts("#reference ~ p code").concat();
    assert!(alert(&page).contains("cannot be checked") && page.header("x-request-id").unwrap().starts_with(&reference));
    explained(&page, "no factor key", "user_factors.key_id").await;
    // Nothing of it counts as a wrong code.
    let mut page = page;
    for _ in 0..PER_CODE_WINDOW[0] {
        page = provider.type_code(&browser, &page, WRONG).await;
        assert_eq!(page.status, 503, "{page}");
    }
    let failed = events(&provider, "sign_in_failed").await;
    assert!(["code_wrong", "code_used", "code_unreadable"].iter().all(|reason| failed.contains(reason)), "{failed}");
}

#[tokio::test]
async fn the_page_can_be_canceled_and_left_to_another_user() {
    let (provider, client, authenticator) = enrolled().await;
    provider.add_user(NewUser::named("bob")).await;
    let browser = UserAgent::new();
    let request = Authorization::of(&client);
    let page = asked(&provider, &browser, &request).await;
    let other = provider.settle(&browser, browser.submit(page.form("form"), Some(("action", "cancel"))).await).await;
    assert_eq!(Answer::of(&other, &client.redirect_uri).error(), "access_denied");
    // Another person at the same browser.
    let page = asked(&provider, &browser, &request).await;
    let login = page.url.as_str().replace("/second-factor?", "/login?") + "&switch=1";
    let login = browser.get(&login).await;
    assert_eq!(login.status, 200);
    let done = provider.type_in(&browser, &login, "bob", PASSWORD).await;
    assert_eq!(id_token(&provider, &client, &done).await["sub"], "bob-sub");
    // What was proven before is void, whatever code is typed into the page that is still open.
    let late = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert!(late.text().contains("answered") || late.status.is_client_error(), "{late}");
    let claims = id_token(&provider, &client, &request.open(&provider, &browser).await).await;
    assert_eq!(claims["sub"], "bob-sub");
}

/// At our own start page, where no service asks.
#[tokio::test]
async fn a_sign_in_without_a_service_asks_for_it_too() {
    let (provider, _, authenticator) = enrolled().await;
    let browser = UserAgent::new();
    let home = browser.get(&provider.url("/")).await;
    let page = browser.submit(home.form("form"), Some(("action", "sign_in"))).await;
    let page = provider.settle(&browser, page).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    let home = browser.get(&provider.url("/")).await;
    assert!(!home.text().contains("Alice Example"), "{home}");
    let done = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert_eq!((done.url.path(), done.status.as_u16()), ("/", 200), "{done}");
    assert!(done.text().contains("Alice Example"), "{done}");
}

#[tokio::test]
async fn a_checkbox_to_stay_signed_in_counts_also_with_a_second_factor() {
    let provider = TestProvider::with(&[("remember", "ask")]).await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let authenticator = provider.enroll("alice-sub").await;
    for stays in [true, false] {
        let browser = UserAgent::new();
        let page = Authorization::of(&client).open(&provider, &browser).await;
        let mut form = page.form("form");
        form.set("username", "alice").set("password", PASSWORD);
        if stays {
            form.fields.push(("remember".into(), "yes".into()));
        }
        let page = browser.submit(form, Some(("action", "sign_in"))).await;
        let page = provider.settle(&browser, page).await;
        let done = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
        assert!(done.status.is_redirection(), "{done}");
        let cookie = browser.cookies().into_iter().find(|it| it.name.contains("hallpass_session")).unwrap();
        assert_eq!(cookie.max_age.is_some(), stays);
        provider.travel(30);
    }
}

// ---- What an attacker does not get.

#[tokio::test]
async fn going_straight_to_another_page_leaves_no_factor_out() {
    let (provider, client, authenticator) = enrolled().await;
    let browser = UserAgent::new();
    let request = Authorization::of(&client);
    let page = asked(&provider, &browser, &request).await;
    let (interaction, csrf) = (page.form("form").value("interaction").unwrap().to_owned(), page.form("form"));
    let csrf = csrf.value("csrf").unwrap().to_owned();
    for path in ["/authorize", "/consent", "/login", "/second-factor"] {
        let url = provider.url(&format!("{path}?interaction={interaction}"));
        let there = provider.settle(&browser, browser.get(&url).await).await;
        assert!(there.url.path().ends_with("/second-factor"), "{path}: {there}");
    }
    let fields = |more: &[(&'static str, &'static str)]| {
        let mut fields = vec![("interaction", interaction.as_str()), ("csrf", csrf.as_str())];
        fields.extend_from_slice(more);
        fields
    };
    for (path, more) in [
        ("/consent", &[("decision", "allow")][..]),
        ("/login", &[("action", "continue")]),
        ("/second-factor", &[("action", "continue")]),
        ("/second-factor", &[("action", "continue"), ("proven", ""), ("code", "314159")]),
        ("/second-factor", &[("action", "back")]),
    ] {
        let there = provider.settle(&browser, browser.post_form(&provider.url(path), &fields(more)).await).await;
        assert!(!there.status.is_redirection(), "{path} {more:?}: {there}");
    }
    assert_eq!(session_of(&browser), None);
    // No other tab is signed in by it, and no silent request.
    let silent = request.clone().with("prompt", "none").open(&provider, &browser).await;
    assert_eq!(Answer::of(&silent, &client.redirect_uri).error(), "login_required");
    let tab = request.open(&provider, &browser).await;
    assert!(tab.url.path().ends_with("/login"), "{tab}");
    assert!(provider.get("/", &[]).await.body.contains("Sign in"));
    // And the one who has the code continues.
    let done = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert!(done.status.is_redirection(), "{done}");
}

#[tokio::test]
async fn another_browser_and_a_forged_form_get_nowhere() {
    let (provider, client, authenticator) = enrolled().await;
    let browser = UserAgent::new();
    let page = asked(&provider, &browser, &Authorization::of(&client)).await;
    let code = authenticator.code(provider.now()).to_owned();
    let thief = UserAgent::new();
    let there = thief.get(page.url.as_str()).await;
    assert_eq!(there.status, 400, "{there}");
    let form = page.form("form");
    let fields: Vec<(&str, &str)> = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let fields: Vec<(&str, &str)> = fields
        .into_iter()
        .map(|(name, value)| if name == "code" { (name, code.as_str()) } else { (name, value) })
        .collect();
    let there = thief.post_form(&provider.url("/second-factor"), &fields).await;
    assert!(there.status.is_client_error(), "{there}");
    // From another site: no cookie, and another origin.
    let there = browser.cross_site_post(&provider.url("/second-factor"), &fields).await;
    assert!(there.status.is_client_error(), "{there}");
    let without: Vec<_> = fields.iter().copied().filter(|(name, _)| *name != "csrf").collect();
    let there = browser.post_form(&provider.url("/second-factor"), &without).await;
    assert_eq!(there.status, 403, "{there}");
    assert_eq!(session_of(&browser), None);
    // A form that says where else its code is to be counted is not looked at.
    for (field, value) in [("counter", "0123456789012345678901."), ("counted", "x"), ("proven", "x")] {
        let mut forged = page.form("form");
        forged.set(field, value).set("code", &code);
        let there = browser.submit(forged, Some(("action", "continue"))).await;
        let there = provider.settle(&browser, there).await;
        assert!(there.url.path().ends_with("/second-factor") && there.status == 200, "{field}: {there}");
    }
    assert_eq!(session_of(&browser), None);
    // None of it has spent the code.
    let done = provider.type_code(&browser, &page, &code).await;
    assert!(done.status.is_redirection(), "{done}");
}

#[tokio::test]
async fn of_two_tabs_with_one_code_one_signs_in() {
    let (provider, client, authenticator) = enrolled().await;
    let browser = UserAgent::new();
    let request = Authorization::of(&client).with("prompt", "login");
    let (one, two) = (asked(&provider, &browser, &request).await, asked(&provider, &browser, &request).await);
    let code = authenticator.code(provider.now());
    let (one, two) = tokio::join!(provider.type_code(&browser, &one, code), provider.type_code(&browser, &two, code));
    let ins = [&one, &two].into_iter().filter(|page| page.status.is_redirection()).count();
    assert_eq!(ins, 1, "{one}\n{two}");
    // And one recovery code that is typed into one page twice at once.
    let page = asked(&provider, &browser, &request).await;
    let code = authenticator.recovery(0);
    let pages = futures_util::future::join_all((0..4).map(|_| provider.type_code(&browser, &page, code))).await;
    assert_eq!(pages.iter().filter(|page| page.status.is_redirection()).count(), 1, "{pages:?}");
    let listed = done(provider.command(&["user", "factor", "list", "alice", "--json"], "")).stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let left: Vec<_> = listed["factors"].as_array().unwrap().iter().filter_map(|one| one["left"].as_i64()).collect();
    assert_eq!(left, [9], "{listed}");
}

#[tokio::test]
async fn what_was_proven_is_void_when_the_password_changed_or_the_user_may_not_sign_in_any_more() {
    let (provider, client, authenticator) = enrolled().await;
    let changes = [
        // A changed password is seen on a running node within ten seconds, as everything is.
        "UPDATE users SET credential_id = 'another-mark-of-2chars', credential_digest = NULL, password_hash = password_hash || 'x'",
        "UPDATE users SET disabled_at = 1",
        "UPDATE users SET locked_until = 99999999999",
        "UPDATE users SET tokens_valid_after = 99999999999",
        "DELETE FROM user_factors",
        "",
    ];
    let undo = "UPDATE users SET disabled_at = NULL, locked_until = NULL, tokens_valid_after = NULL";
    for (at, change) in changes.iter().enumerate().rev() {
        let browser = UserAgent::new();
        let page = asked(&provider, &browser, &Authorization::of(&client)).await;
        if change.is_empty() {
            // Ten minutes later it is too late.
            provider.travel(601);
        } else {
            provider.sql(change).await;
            provider.travel(10);
        }
        let there = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
        assert!(there.url.path().ends_with("/login"), "{at} {change}: {there}");
        assert_eq!(session_of(&browser), None, "{change}");
        provider.sql(undo).await;
        if change.starts_with("DELETE") {
            let _ = provider.enroll("alice-sub").await;
        }
        provider.travel(30);
    }
}

/// Who fixed a session before the code knows nothing of the one after it.
#[tokio::test]
async fn the_session_has_a_new_name_after_the_code() {
    let (provider, client, authenticator) = enrolled().await;
    let browser = UserAgent::new();
    let (name, fixed) = ("hallpass_session", "hp_si_0123456789012345678901234567890123456789012");
    let page = sign_in(&provider, &browser, &Authorization::of(&client), &authenticator).await;
    assert!(page.status.is_redirection());
    let first = session_of(&browser).unwrap();
    let cookie = browser.cookies().into_iter().find(|cookie| cookie.name.contains(name)).unwrap();
    let other = UserAgent::new();
    other.set_cookie(&provider.url("/"), &format!("{}={fixed}; Path=/; HttpOnly; SameSite=Lax", cookie.name));
    let page = sign_in(&provider, &other, &Authorization::of(&client), &authenticator).await;
    assert!(page.status.is_redirection());
    let second = session_of(&other).unwrap();
    assert!(second != fixed && second != first);
}

// ---- The throttle.

#[tokio::test]
async fn wrong_codes_are_stopped_over_all_networks_and_an_owner_s_browser_counts_for_itself() {
    let (provider, client, authenticator) = enrolled().await;
    let owner = from("203.0.113.7");
    let done = sign_in(&provider, &owner, &Authorization::of(&client), &authenticator).await;
    assert!(done.status.is_redirection(), "{done}");
    for number in 0..PER_CODE_WINDOW[0] {
        let attacker = from(&format!("198.51.100.{number}"));
        let page = asked(&provider, &attacker, &Authorization::of(&client)).await;
        let page = provider.type_code(&attacker, &page, WRONG).await;
        assert_eq!(page.status, 422, "{number}: {page}");
    }
    let attacker = from("192.0.2.1");
    let asking = asked(&provider, &attacker, &Authorization::of(&client)).await;
    let stopped = provider.type_code(&attacker, &asking, authenticator.code(provider.now())).await;
    assert_eq!(stopped.status, 429, "{stopped}");
    let seconds: i64 = stopped.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=CODE_WINDOWS[0]).contains(&seconds) && alert(&stopped).contains("Please wait"), "{stopped}");
    // The owner goes in, and gives the attacker nothing by it.
    let done = sign_in(&provider, &owner, &Authorization::of(&client).with("prompt", "login"), &authenticator).await;
    assert!(done.status.is_redirection(), "{done}");
    let stopped = provider.type_code(&attacker, &asking, authenticator.code(provider.now())).await;
    assert_eq!(stopped.status, 429, "{stopped}");
    let events = events(&provider, "sign_in_throttled").await;
    assert!(events.contains("codes_throttled") && events.contains("budget"), "{events}");
    // An operator frees the account.
    assert_eq!(provider.command(&["unthrottle", "user", "alice"], "").status, 0);
    startup::learn_freed(&provider.provider).await;
    let done = provider.type_code(&attacker, &asking, authenticator.code(provider.now())).await;
    assert!(done.status.is_redirection(), "{done}");
}

/// Nothing could be compared with the one, and every code is compared with the other.
#[tokio::test]
async fn wrong_codes_are_stopped_also_beside_an_authenticator_that_no_key_opens() {
    let (provider, client, authenticator) = enrolled().await;
    provider.lose_factor_key("alice-sub").await;
    let readable = provider.enroll("alice-sub").await;
    let attacker = UserAgent::new();
    let mut page = asked(&provider, &attacker, &Authorization::of(&client)).await;
    for number in 0..PER_CODE_WINDOW[0] {
        page = provider.type_code(&attacker, &page, WRONG).await;
        assert_eq!(page.status, 422, "{number}: {page}");
    }
    for authenticator in [&readable, &authenticator] {
        page = provider.type_code(&attacker, &page, authenticator.code(provider.now())).await;
        assert_eq!(page.status, 429, "{page}");
    }
}

/// What was counted for the password is taken back when the sign-in is complete, and not before.
#[tokio::test]
async fn a_right_password_without_its_code_counts_as_a_failure() {
    let (provider, client, authenticator) = enrolled().await;
    let attacker = from("198.51.100.1");
    let request = Authorization::of(&client);
    let mut last = None;
    for _ in 0..PER_ACCOUNT_AND_NETWORK {
        last = Some(asked(&provider, &attacker, &request).await);
    }
    let page = request.open(&provider, &attacker).await;
    let stopped = provider.type_in(&attacker, &page, "alice", PASSWORD).await;
    assert_eq!(stopped.status, 429, "{stopped}");
    let done = provider.type_code(&attacker, &last.unwrap(), authenticator.code(provider.now())).await;
    assert!(done.status.is_redirection(), "{done}");
    // That one is free again.
    let other = from("198.51.100.1");
    let page = request.open(&provider, &other).await;
    let page = provider.type_in(&other, &page, "alice", PASSWORD).await;
    assert!(page.url.path().ends_with("/second-factor"), "{page}");
}

/// A browser answers for itself by a sign-in with the second factor that there is now, and its network answers for it as well.
#[tokio::test]
async fn who_had_the_password_before_there_was_a_second_factor_has_no_counters_of_their_own() {
    let (provider, client) = ready().await;
    let request = Authorization::of(&client).with("prompt", "login");
    let jars = ["198.51.100.1", "203.0.113.1"].map(from);
    for jar in &jars {
        let page = request.open(&provider, jar).await;
        assert!(provider.type_in(jar, &page, "alice", PASSWORD).await.status.is_redirection());
    }
    let authenticator = provider.enroll("alice-sub").await;
    provider.travel(10);
    let half = PER_CODE_WINDOW[0] / 2;
    for jar in &jars {
        let page = asked(&provider, jar, &request).await;
        for number in 0..half {
            assert_eq!(provider.type_code(jar, &page, WRONG).await.status, 422, "{number}");
        }
    }
    for jar in &jars {
        let page = asked(&provider, jar, &request).await;
        assert_eq!(provider.type_code(jar, &page, authenticator.code(provider.now())).await.status, 429);
    }
}

/// What happened at their account is told to users in words that say what was right and what was not.
#[tokio::test]
async fn a_user_is_told_that_a_password_was_right_where_a_code_was_not() {
    let (provider, client, authenticator) = enrolled().await;
    let owner = from("203.0.113.7");
    let request = Authorization::of(&client).with("prompt", "login");
    let spent = authenticator.code(provider.now());
    for expected in [302, 422] {
        let page = asked(&provider, &owner, &request).await;
        assert_eq!(provider.type_code(&owner, &page, spent).await.status.as_u16() / 100, expected / 100);
    }
    let attacker = from("198.51.100.1");
    let page = asked(&provider, &attacker, &Authorization::of(&client)).await;
    for _ in 0..=PER_CODE_WINDOW[0] {
        let _ = provider.type_code(&attacker, &page, WRONG).await;
    }
    provider.provider.audit.flush().await;
    let lines = owner.get(&provider.url("/account/events")).await.texts(".entries li");
    let has = |words: &str| lines.iter().any(|line| line.contains(words));
    for words in ["the password was right, and the code was not", "too many codes were wrong", "had been used before"] {
        assert!(has(words), "{words}: {lines:?}");
    }
}
