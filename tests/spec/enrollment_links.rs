//! `hallpass user factor link` with `/account/enrollment`: a user whom a password alone does not sign in sets up a second factor, by
//! link and password together.

use crate::account_factors::secret_of;
use crate::support::program::{done, files_in};
use crate::support::provider::PASSWORD;
use crate::support::{Answer, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent, totp};
use serde_json::Value;

/// Alice, whose group demands a second factor by link, and bob, of whom nothing is demanded.
async fn ready() -> (TestProvider, TestClient) {
    let provider = TestProvider::start().await;
    let client = provider.add(NewClient::new("reports").with("consent", "skip")).await;
    provider.alice().await;
    provider.add_user(NewUser::named("bob")).await;
    for arguments in [
        &["group", "new", "admins"][..],
        &["group", "add", "admins", "alice"],
        &["group", "edit", "admins", "--second-factor", "by-link"],
    ] {
        done(provider.command(arguments, ""));
    }
    provider.travel(10);
    (provider, client)
}

fn link_for(provider: &TestProvider, who: &str) -> String {
    done(provider.command(&["user", "factor", "link", who], "")).stdout.trim().to_owned()
}

async fn prove(browser: &UserAgent, link: &str, password: &str) -> Page {
    let page = browser.get(link).await;
    assert_eq!(page.status, 200, "{page}");
    let mut form = page.form("form.stack");
    form.set("password", password);
    browser.submit(form, Some(("action", "prove"))).await
}

async fn complete(browser: &UserAgent, shown: &Page, code: &str) -> Page {
    let mut form = shown.form("form.stack");
    form.set("code", code).set("name", "my phone");
    browser.submit(form, Some(("action", "complete"))).await
}

async fn sign_in(provider: &TestProvider, client: &TestClient, browser: &UserAgent, name: &str) -> Page {
    let page = Authorization::of(client).open(provider, browser).await;
    provider.type_in(browser, &page, name, PASSWORD).await
}

async fn factors_of(provider: &TestProvider, sub: &str) -> usize {
    provider.rows(&format!("SELECT kind FROM user_factors WHERE sub = '{sub}'")).await.len()
}

#[tokio::test]
async fn link_and_password_together_set_up_the_first_factor_once_and_start_no_session() {
    let (provider, client) = ready().await;
    let late = UserAgent::new();
    let refused = sign_in(&provider, &client, &late, "alice").await;
    assert!(refused.status == 403 && refused.text().contains("for a link to set one up"), "{refused}");
    let link = link_for(&provider, "alice");
    assert!(link.starts_with(&format!("{}/account/enrollment?link=hp_ln_", provider.issuer)), "{link}");
    let browser = UserAgent::new();
    let shown = prove(&browser, &link, PASSWORD).await;
    assert!(shown.status == 200 && shown.body.contains("<svg") && !shown.body.contains("<script"), "{shown}");
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    let secret = secret_of(&shown);
    // A wrong code shows the same secret again, and neither stores nor spends anything.
    let again = complete(&browser, &shown, "000000").await;
    assert!(again.status == 422 && secret_of(&again) == secret, "{again}");
    assert_eq!((factors_of(&provider, "alice-sub").await, browser.get(&link).await.status.as_u16()), (0, 200));
    let kept = complete(&browser, &again, &totp::code(&secret, provider.now())).await;
    assert!(kept.status == 200 && kept.texts(".codes code").len() == 10, "{kept}");
    assert_eq!(factors_of(&provider, "alice-sub").await, 2);
    assert!(browser.cookies().iter().all(|cookie| !cookie.name.contains("session")), "no session starts");
    // The link is over, and its form with it.
    assert_eq!(browser.get(&link).await.status, 410);
    assert_eq!(complete(&browser, &again, &totp::code(&secret, provider.now() + 30)).await.status, 410);
    assert_eq!(factors_of(&provider, "alice-sub").await, 2);
    // The page leads to a sign-in, by both.
    let login = browser.submit(kept.form("form"), None).await;
    assert!(provider.settle(&browser, login).await.url.path().ends_with("/login"));
    provider.travel(30);
    let page = sign_in(&provider, &client, &browser, "alice").await;
    assert!(page.url.path().ends_with("/second-factor"), "{page}");
    let signed_in = provider.type_code(&browser, &page, &totp::code(&secret, provider.now())).await;
    assert!(Answer::of(&signed_in, &client.redirect_uri).get("code").is_some(), "{signed_in}");
    provider.provider.audit.flush().await;
    let told = done(provider.command(&["audit", "list", "--json"], "")).stdout;
    assert!(told.contains("user_link_made") && told.contains("factor_added"), "{told}");
    assert!(!told.contains(&secret) && !told.contains(link.split_once("link=").unwrap().1), "{told}");
}

/// Either half alone is worth nothing.
#[tokio::test]
async fn a_stolen_password_has_no_link_and_a_stolen_link_has_no_password() {
    let (provider, _client) = ready().await;
    let link = link_for(&provider, "alice");
    let secret = link.split_once("link=").unwrap().1;
    let thief = UserAgent::new();
    for guess in ["", "wrong", "alice@example.com"] {
        let page = prove(&thief, &link, guess).await;
        assert!(page.status == 422 && page.text().contains("not your current password"), "{guess}: {page}");
        assert!(!page.body.contains("otpauth"), "{page}");
    }
    // Guesses are counted as at the login page.
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(prove(&thief, &link, "wrong").await.status.as_u16());
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    let url = provider.url("/account/enrollment");
    // A token of another user's enrolment, or none, adds nothing, even with the link.
    for token in ["", "x.y", "factors.hp"] {
        let fields = [("link", secret), ("token", token), ("code", "123456"), ("name", ""), ("action", "complete")];
        let page = thief.post_form(&url, &fields).await;
        assert!(page.status == 422 && page.text().contains("begin again"), "{token}: {page}");
    }
    // The password is worth nothing without the link.
    for link in ["", "hp_ln_x", &format!("hp_ln_{}", "A".repeat(43))] {
        let page = thief.post_form(&url, &[("link", link), ("password", PASSWORD), ("action", "prove")]).await;
        assert_eq!(page.status, 410, "{link}: {page}");
    }
    let fields = [("link", secret), ("password", PASSWORD), ("action", "prove")];
    assert_eq!(UserAgent::new().cross_site_post(&url, &fields).await.status, 403);
    assert_eq!(UserAgent::new().post_form(&url, &[fields[0], fields[0]]).await.status, 400);
    assert_eq!(factors_of(&provider, "alice-sub").await, 0);
}

#[tokio::test]
async fn the_token_of_one_user_is_worth_nothing_with_the_link_of_another() {
    let (provider, _client) = ready().await;
    let (of_alice, of_bob) = (link_for(&provider, "alice"), link_for(&provider, "bob"));
    let browser = UserAgent::new();
    let shown = prove(&browser, &of_bob, PASSWORD).await;
    let secret = secret_of(&shown);
    let mut form = shown.form("form.stack");
    form.set("link", of_alice.split_once("link=").unwrap().1).set("code", &totp::code(&secret, provider.now()));
    let page = browser.submit(form, Some(("action", "complete"))).await;
    assert!(page.status == 422 && page.text().contains("begin again"), "{page}");
    assert_eq!((factors_of(&provider, "alice-sub").await, factors_of(&provider, "bob-sub").await), (0, 0));
    // And a link of one purpose opens no page of the other.
    let reset = done(provider.command(&["user", "reset-link", "alice"], "")).stdout.trim().to_owned();
    let swapped = |link: &str, from: &str, to: &str| link.replace(from, to);
    for link in [swapped(&reset, "/reset", "/account/enrollment"), swapped(&of_alice, "/account/enrollment", "/reset")]
    {
        assert_eq!(browser.get(&link).await.status, 410, "{link}");
    }
}

#[tokio::test]
async fn of_two_who_complete_at_once_one_adds_the_authenticator() {
    let (provider, _client) = ready().await;
    for _ in 0..3 {
        let link = link_for(&provider, "alice");
        let browsers = [UserAgent::new(), UserAgent::new()];
        let (one, two) = (prove(&browsers[0], &link, PASSWORD).await, prove(&browsers[1], &link, PASSWORD).await);
        let codes = [&one, &two].map(|page| totp::code(&secret_of(page), provider.now()));
        let (one, two) = tokio::join!(complete(&browsers[0], &one, &codes[0]), complete(&browsers[1], &two, &codes[1]));
        let mut statuses = [one.status.as_u16(), two.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 410]);
        let authenticators =
            provider.rows("SELECT factor_id FROM user_factors WHERE sub = 'alice-sub' AND kind = 'totp'").await;
        assert_eq!(authenticators.len(), 1);
        done(provider.command(&["user", "factor", "remove", "alice", "--all", "--yes"], ""));
        provider.travel(10);
    }
}

#[tokio::test]
async fn a_link_ends_with_its_time_a_second_one_a_new_password_and_a_factor_that_came_otherwise() {
    let (provider, _client) = ready().await;
    let status = async |link: &str| UserAgent::new().get(link).await.status.as_u16();
    let first = link_for(&provider, "alice");
    let second = link_for(&provider, "alice");
    // A link for a password is another one, and ends neither.
    let reset = done(provider.command(&["user", "reset-link", "alice"], "")).stdout.trim().to_owned();
    assert_eq!((status(&first).await, status(&second).await, status(&reset).await), (410, 200, 200));
    let ended = done(provider.command(&["user", "factor", "link", "alice", "--revoke", "--json"], "")).stdout;
    assert_eq!(serde_json::from_str::<Value>(&ended).unwrap()["links_ended"], 1, "{ended}");
    assert_eq!((status(&second).await, status(&reset).await), (410, 200));

    let link = link_for(&provider, "alice");
    let browser = UserAgent::new();
    let mut form = browser.get(&reset).await.form("form.stack");
    form.set("new", "purple otter thunder shelf").set("repeated", "purple otter thunder shelf");
    assert_eq!(browser.submit(form, None).await.status, 200);
    assert_eq!(status(&link).await, 410, "a new password ends it");

    let link = link_for(&provider, "alice");
    let shown = prove(&browser, &link, "purple otter thunder shelf").await;
    let _ = provider.enroll("alice-sub").await;
    let code = totp::code(&secret_of(&shown), provider.now());
    assert_eq!(complete(&browser, &shown, &code).await.status, 410, "a factor is there by now");
    assert_eq!(status(&link).await, 410);
    let refused = provider.command(&["user", "factor", "link", "alice"], "");
    assert!(refused.status == 1 && refused.stderr.contains("user factor remove alice --all"), "{refused:?}");
    // Without that factor it is not good once more.
    done(provider.command(&["user", "factor", "remove", "alice", "--all", "--yes"], ""));
    assert_eq!(status(&link).await, 410);

    let link = link_for(&provider, "bob");
    done(provider.command(&["user", "disable", "bob", "--yes"], ""));
    assert_eq!(status(&link).await, 410);
    let refused = provider.command(&["user", "factor", "link", "bob"], "");
    assert!(refused.status == 1 && refused.stderr.contains("user enable bob"), "{refused:?}");
    done(provider.command(&["user", "enable", "bob"], ""));
    assert_eq!(status(&link).await, 410, "what ended stays ended");
    provider.sql("UPDATE users SET password_hash = NULL WHERE username = 'bob'").await;
    let refused = provider.command(&["user", "factor", "link", "bob"], "");
    assert!(refused.status == 1 && refused.stderr.contains("user reset-link bob"), "{refused:?}");
    provider.add_user(NewUser::named("carol")).await;
    let link = link_for(&provider, "carol");
    // The clock of commands is ten seconds behind.
    provider.travel(1780);
    assert_eq!(status(&link).await, 200);
    provider.travel(11);
    assert_eq!(status(&link).await, 410);
}

#[tokio::test]
async fn a_locked_user_is_told_so_only_with_the_right_password() {
    let (provider, _client) = ready().await;
    let link = link_for(&provider, "alice");
    done(provider.command(&["user", "edit", "alice", "--lock-until", "forever"], ""));
    let browser = UserAgent::new();
    let wrong = prove(&browser, &link, "wrong").await;
    assert!(wrong.status == 422 && !wrong.text().contains("locked"), "{wrong}");
    let right = prove(&browser, &link, PASSWORD).await;
    assert!(right.status == 422 && right.text().contains("Your account is locked"), "{right}");
    assert!(!right.body.contains("otpauth"));
    // One who was shown the secret before the lock does not complete it.
    done(provider.command(&["user", "edit", "alice", "--unlock"], ""));
    let shown = prove(&browser, &link, PASSWORD).await;
    done(provider.command(&["user", "edit", "alice", "--lock-until", "forever"], ""));
    let code = totp::code(&secret_of(&shown), provider.now());
    let locked = complete(&browser, &shown, &code).await;
    assert!(locked.status == 422 && locked.text().contains("Your account is locked"), "{locked}");
    assert_eq!(factors_of(&provider, "alice-sub").await, 0);
}

/// What was shown is bound to the password that was typed and to the link.
#[tokio::test]
async fn a_token_of_before_a_new_password_or_of_another_link_is_worth_nothing() {
    let (provider, _client) = ready().await;
    let browser = UserAgent::new();
    let shown = prove(&browser, &link_for(&provider, "alice"), PASSWORD).await;
    let code = totp::code(&secret_of(&shown), provider.now());
    let with_link = async |link: &str| {
        let mut form = shown.form("form.stack");
        form.set("link", link.split_once("link=").unwrap().1).set("code", &code);
        browser.submit(form, Some(("action", "complete"))).await
    };
    let page = with_link(&link_for(&provider, "alice")).await;
    assert!(page.status == 422 && page.text().contains("begin again"), "another link: {page}");
    done(provider.command(&["user", "set-password", "alice", "--password-stdin"], "purple otter thunder shelf"));
    let page = with_link(&link_for(&provider, "alice")).await;
    assert!(page.status == 422 && page.text().contains("begin again"), "another password: {page}");
    assert_eq!(factors_of(&provider, "alice-sub").await, 0);
}

#[tokio::test]
async fn without_a_factor_key_nothing_is_spent_and_the_operator_is_told() {
    let (provider, _client) = ready().await;
    let link = link_for(&provider, "alice");
    let keys = provider.folder.path().join("keys");
    // The only one there is seals from a later day on.
    let old = files_in(&keys).into_iter().find(|file| file.starts_with("factors.")).unwrap();
    std::fs::rename(keys.join(old), keys.join("factors.2099-01-01T000000Z.key")).unwrap();
    assert!(provider.provider.factor_keys.refresh().unwrap());
    let page = prove(&UserAgent::new(), &link, PASSWORD).await;
    assert!(page.status == 422 && page.text().contains("cannot be added at the moment"), "{page}");
    assert_eq!(UserAgent::new().get(&link).await.status, 200);
}
