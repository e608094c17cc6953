//! One-time links: `hallpass user reset-link` with `/reset`, `hallpass user invite` with `/invitation`.

use crate::support::program::{Outcome, done};
use crate::support::provider::PASSWORD;
use crate::support::{Api, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent};
use serde_json::{Value, json};

const NEW: &str = "purple otter thunder shelf";

fn json_of(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

fn reset_link(provider: &TestProvider, who: &str) -> String {
    let outcome = done(provider.command(&["user", "reset-link", who], ""));
    outcome.stdout.trim().to_owned()
}

fn invited(provider: &TestProvider, arguments: &[&str]) -> String {
    let arguments: Vec<&str> = ["user", "invite"].iter().chain(arguments).copied().collect();
    done(provider.command(&arguments, "")).stdout.trim().to_owned()
}

async fn ready() -> (TestProvider, TestClient) {
    let provider = TestProvider::start().await;
    let client = provider.add(NewClient::new("reports").with("consent", "skip")).await;
    provider.alice().await;
    (provider, client)
}

/// Opens a link and types a password.
async fn set(browser: &UserAgent, link: &str, password: &str) -> Page {
    let page = browser.get(link).await;
    assert_eq!(page.status, 200, "{page}");
    let mut form = page.form("form.stack");
    form.set("new", password).set("repeated", password);
    browser.submit(form, None).await
}

async fn signs_in(provider: &TestProvider, client: &TestClient, login: &str, password: &str) -> bool {
    let browser = UserAgent::new();
    let page = Authorization::of(client).open(provider, &browser).await;
    provider.type_in(&browser, &page, login, password).await.query_parameter("code").is_some()
}

#[tokio::test]
async fn a_link_sets_a_password_once_and_everything_of_the_old_one_ends() {
    let (provider, client) = ready().await;
    let before = UserAgent::new();
    let tokens: Api = provider.tokens(&before, &client).await;
    let link = reset_link(&provider, "alice");
    assert!(link.starts_with(&format!("{}/reset?link=hp_ln_", provider.issuer)), "{link}");
    // Nothing is spent by looking, and nothing is started.
    let browser = UserAgent::new();
    for _ in 0..2 {
        let page = browser.get(&link).await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains("alice") && browser.cookies().is_empty(), "{page}");
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    }
    let answered = set(&browser, &link, NEW).await;
    let page = browser.follow(answered).await;
    assert!(page.status == 200 && page.text().contains("Your password is set"), "{page}");
    assert!(browser.cookies().is_empty(), "a link starts no session");
    assert_eq!(browser.get(&link).await.status, 410);
    let secret = link.split_once("link=").unwrap().1;
    let fields = [("link", secret), ("new", "another orange window cat"), ("repeated", "another orange window cat")];
    assert_eq!(browser.post_form(&provider.url("/reset"), &fields).await.status, 410);

    assert!(!signs_in(&provider, &client, "alice", PASSWORD).await);
    assert!(signs_in(&provider, &client, "alice", NEW).await);
    provider.travel(10);
    let silent = Authorization::of(&client).with("prompt", "none").open(&provider, &before).await;
    assert_eq!(silent.query_parameter("error").as_deref(), Some("login_required"), "{silent}");
    let answer = provider.userinfo(&tokens.text("access_token")).await;
    assert_eq!(answer.status, 401);
    // The page after it offers the sign-in.
    let page = browser.submit(page.form("form"), None).await;
    let login = provider.settle(&browser, page).await;
    assert!(login.url.path().ends_with("/login"), "{login}");
}

#[tokio::test]
async fn of_two_who_use_a_link_at_once_one_sets_the_password() {
    let (provider, client) = ready().await;
    for _ in 0..4 {
        let link = reset_link(&provider, "alice");
        let passwords = ["purple otter thunder one", "purple otter thunder two"];
        let browsers = [UserAgent::new(), UserAgent::new()];
        let (one, two) = tokio::join!(set(&browsers[0], &link, passwords[0]), set(&browsers[1], &link, passwords[1]));
        let mut statuses = [one.status.as_u16(), two.status.as_u16()];
        let winner = usize::from(statuses[0] != 303);
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 410]);
        assert!(signs_in(&provider, &client, "alice", passwords[winner]).await);
        assert!(!signs_in(&provider, &client, "alice", passwords[1 - winner]).await);
    }
}

#[tokio::test]
async fn a_link_ends_with_its_time_with_a_second_one_with_another_password_and_with_its_user() {
    let (provider, _client) = ready().await;
    let status = async |link: &str| UserAgent::new().get(link).await.status.as_u16();
    let first = reset_link(&provider, "alice");
    let second = reset_link(&provider, "alice");
    assert_eq!((status(&first).await, status(&second).await), (410, 200));
    done(provider.command(&["user", "reset-link", "alice", "--revoke"], ""));
    assert_eq!(status(&second).await, 410);

    let link = reset_link(&provider, "alice");
    done(provider.command(&["user", "set-password", "alice", "--password-stdin"], NEW));
    assert_eq!(status(&link).await, 410);

    let link = reset_link(&provider, "alice");
    done(provider.command(&["user", "disable", "alice", "--yes"], ""));
    assert_eq!(status(&link).await, 410);
    let refused = provider.command(&["user", "reset-link", "alice"], "");
    assert!(refused.status == 1 && refused.stderr.contains("hallpass user enable alice"), "{refused:?}");
    done(provider.command(&["user", "enable", "alice"], ""));

    let link = reset_link(&provider, "alice");
    provider.travel(1799);
    assert_eq!(status(&link).await, 200);
    provider.travel(2);
    assert_eq!(status(&link).await, 410);

    let link = reset_link(&provider, "alice");
    done(provider.command(&["user", "delete", "alice", "--yes"], ""));
    assert_eq!(status(&link).await, 410);
    for guess in ["", "?link=", "?link=hp_ln_x", &format!("?link=hp_ln_{}", "A".repeat(43)), "?link=a&link=b"] {
        let page = UserAgent::new().get(&provider.url(&format!("/reset{guess}"))).await;
        assert!(page.status.is_client_error(), "{guess}: {page}");
    }
}

#[tokio::test]
async fn a_password_that_is_not_taken_and_a_form_of_another_site_spend_nothing() {
    let (provider, client) = ready().await;
    let link = reset_link(&provider, "alice");
    let browser = UserAgent::new();
    for (password, told) in
        [("tiny-9", "at least 10 characters"), ("password1234", "tried first"), ("alice@example.com", "your name")]
    {
        let page = set(&browser, &link, password).await;
        assert_eq!(page.status, 422, "{password}");
        assert!(page.text().contains(told), "{page}");
        assert!(!page.body.contains(password) || password == "alice@example.com", "{page}");
    }
    let mut form = browser.get(&link).await.form("form.stack");
    form.set("new", NEW).set("repeated", "purple otter thunder shelves");
    let page = browser.submit(form.clone(), None).await;
    assert!(page.status == 422 && page.text().contains("not the same"), "{page}");
    let page = browser.submit(form, Some(("action", "check"))).await;
    assert!(page.status == 200 && page.text().contains("would need"), "{page}");
    let secret = link.split_once("link=").unwrap().1;
    let fields = [("link", secret), ("new", NEW), ("repeated", NEW)];
    assert_eq!(UserAgent::new().cross_site_post(&provider.url("/reset"), &fields).await.status, 403);
    // A preview of the link asks with HEAD.
    let head = reqwest::Client::new().head(&link).send().await.unwrap();
    assert_eq!(head.status(), 400);
    assert!(signs_in(&provider, &client, "alice", PASSWORD).await);
    let answered = set(&browser, &link, NEW).await;
    assert_eq!(answered.status, 303);
}

#[tokio::test]
async fn a_link_is_at_the_issuer_whatever_a_proxy_says_and_nothing_of_it_rests() {
    let (provider, _client) = ready().await;
    let link = reset_link(&provider, "alice");
    let browser = UserAgent::new().with_header("x-forwarded-host", "evil.example");
    let answered = set(&browser, &link, NEW).await;
    assert_eq!(answered.header("location"), Some(&*provider.url("/reset?done=1")));
    let link = reset_link(&provider, "alice");
    let secret = link.split_once("link=").unwrap().1;
    let rows = provider.rows("SELECT digest, purpose, sub, detail, email_folded, made_by FROM user_links").await;
    let kept = format!("{rows:?}{:?}", provider.rows("SELECT detail, personal FROM audit_events").await);
    assert!(!kept.contains(secret) && !kept.contains(&secret[6..]), "{kept}");
    let told = done(provider.command(&["audit", "list", "--json"], "")).stdout;
    assert!(
        told.contains("user_password_reset") && told.contains("user_link_made") && !told.contains(secret),
        "{told}"
    );
}

#[tokio::test]
async fn one_who_is_invited_has_no_account_before_and_chooses_name_and_password() {
    let (provider, client) = ready().await;
    done(provider.command(&["group", "new", "staff"], ""));
    let link = invited(&provider, &["bob@example.com", "--group", "staff"]);
    assert!(link.starts_with(&format!("{}/invitation?link=hp_ln_", provider.issuer)), "{link}");
    assert_eq!(provider.rows("SELECT sub FROM users WHERE email = 'bob@example.com'").await.len(), 0);
    let browser = UserAgent::new();
    let accept = async |username: &str, name: &str| {
        let mut form = browser.get(&link).await.form("form.stack");
        form.set("username", username).set("name", name).set("new", NEW).set("repeated", NEW);
        browser.submit(form, None).await
    };
    // What is wrong spends nothing, and what was typed is there still.
    for (username, told) in [
        ("ALICE", "is taken"),
        ("alice@example.com", "your own address"),
        ("a\u{202e}b", "cannot be a user name"),
        (" ", "cannot be a user name"),
    ] {
        let page = accept(username, "Bob Example").await;
        assert_eq!(page.status, 422, "{username}: {page}");
        assert!(page.text().contains(told) && page.body.contains("Bob Example"), "{username}: {page}");
    }
    let answered = accept("bob", "Bob Example").await;
    let page = browser.follow(answered).await;
    assert!(page.text().contains("Your account is ready") && browser.cookies().is_empty(), "{page}");
    assert_eq!(browser.get(&link).await.status, 410);
    assert!(signs_in(&provider, &client, "bob", NEW).await);
    let shown = json_of(&done(provider.command(&["user", "show", "bob", "--json"], "")));
    assert_eq!(
        (&shown["claims"]["name"], &shown["claims"]["email_verified"], &shown["groups"]),
        (&json!("Bob Example"), &json!(true), &json!(["staff"]))
    );
}

#[tokio::test]
async fn what_an_operator_said_of_one_who_is_invited_cannot_be_changed_by_the_form() {
    let (provider, client) = ready().await;
    let arguments = ["carol@example.com", "--username", "carol", "--name", "Carol Example", "--email-unverified"];
    let link = invited(&provider, &arguments);
    let secret = link.split_once("link=").unwrap().1;
    let page = UserAgent::new().get(&link).await;
    assert!(page.text().contains("carol@example.com"), "{page}");
    let fields = [
        ("link", secret),
        ("username", "root"),
        ("name", "Root"),
        ("email", "root@example.com"),
        ("groups", "admin"),
        ("new", NEW),
        ("repeated", NEW),
    ];
    assert_eq!(UserAgent::new().post_form(&provider.url("/invitation"), &fields).await.status, 303);
    assert!(signs_in(&provider, &client, "carol", NEW).await);
    let shown = json_of(&done(provider.command(&["user", "show", "carol", "--json"], "")));
    assert_eq!(
        (&shown["claims"]["name"], &shown["claims"]["email"], &shown["claims"]["email_verified"], &shown["groups"]),
        (&json!("Carol Example"), &json!("carol@example.com"), &json!(false), &json!([]))
    );
}

#[tokio::test]
async fn an_invitation_is_listed_replaced_ended_and_used_once() {
    let (provider, _client) = ready().await;
    let first = invited(&provider, &["bob@example.com"]);
    let second = invited(&provider, &["BOB@example.com", "--days", "1"]);
    let status = async |link: &str| UserAgent::new().get(link).await.status.as_u16();
    assert_eq!((status(&first).await, status(&second).await), (410, 200));
    let listed = json_of(&done(provider.command(&["user", "invitations", "--json"], "")));
    assert_eq!(listed["invitations"].as_array().unwrap().len(), 1, "{listed}");
    assert!(!listed.to_string().contains("hp_ln_"));
    provider.travel(86_401);
    assert_eq!(status(&second).await, 410);
    let third = invited(&provider, &["bob@example.com"]);
    done(provider.command(&["user", "invitations", "--revoke", "bob@example.com"], ""));
    assert_eq!(status(&third).await, 410);
    let again = provider.command(&["user", "invitations", "--revoke", "bob@example.com"], "");
    assert_eq!(again.status, 1, "{again:?}");

    let link = invited(&provider, &["bob@example.com", "--username", "bob"]);
    let browsers = [UserAgent::new(), UserAgent::new()];
    let (one, two) = tokio::join!(set(&browsers[0], &link, NEW), set(&browsers[1], &link, NEW));
    assert!([one.status.as_u16(), two.status.as_u16()].iter().filter(|status| **status == 303).count() == 1);
    assert_eq!(provider.rows("SELECT sub FROM users WHERE username = 'bob'").await.len(), 1);
    // The address is that of a user by now.
    let refused = provider.command(&["user", "invite", "bob@example.com"], "");
    assert!(refused.status == 1 && refused.stderr.contains("reset-link"), "{refused:?}");
}

#[tokio::test]
async fn an_address_that_a_user_has_got_meanwhile_is_not_given_twice() {
    let (provider, _client) = ready().await;
    let link = invited(&provider, &["bob@example.com", "--username", "robert"]);
    provider.add_user(NewUser::named("bob")).await;
    let page = set(&UserAgent::new(), &link, NEW).await;
    assert!(page.status == 422 && page.text().contains("an account with this address"), "{page}");
}

#[tokio::test]
async fn all_of_a_csv_file_are_invited_and_lines_that_cannot_be_are_named() {
    let (provider, client) = ready().await;
    done(provider.command(&["group", "new", "staff"], ""));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.csv");
    let text = "email,username,groups,given_name\n\
        ben@example.com,ben,staff,Ben\nalice@example.com,,,\nno address,,,\ncleo@example.com,,,Cleo\n\
        dora@example.com,,nobodies,\nBEN@example.com,,,\nemil@example.com,ALICE,,\nfred@example.com\n";
    std::fs::write(&file, text).unwrap();
    let outcome = provider.command(&["user", "invite", "--csv", file.to_str().unwrap(), "--json"], "");
    assert_eq!(outcome.status, 1, "{outcome:?}");
    let document = json_of(&outcome);
    let lines: Vec<i64> =
        document["faults"].as_array().unwrap().iter().map(|fault| fault["line"].as_i64().unwrap()).collect();
    assert_eq!(lines, [3, 4, 6, 7, 8, 9], "{document}");
    let made = document["invitations"].as_array().unwrap();
    assert_eq!(made.len(), 2, "{document}");
    assert_eq!(set(&UserAgent::new(), made[0]["link"].as_str().unwrap(), NEW).await.status, 303);
    assert!(signs_in(&provider, &client, "ben", NEW).await);
    let shown = json_of(&done(provider.command(&["user", "show", "ben", "--json"], "")));
    assert_eq!((&shown["claims"]["given_name"], &shown["groups"]), (&json!("Ben"), &json!(["staff"])));
    std::fs::write(&file, "email\ngina@example.com\nhugo@example.com\n").unwrap();
    let outcome = done(provider.command(&["user", "invite", "--csv", file.to_str().unwrap()], ""));
    let rows: Vec<&str> = outcome.stdout.lines().collect();
    assert!(rows.len() == 3 && rows[0] == "email,link" && rows[2].starts_with("hugo@example.com,http"), "{rows:?}");
    std::fs::write(&file, "mail\ngina@example.com\n").unwrap();
    let outcome = provider.command(&["user", "invite", "--csv", file.to_str().unwrap()], "");
    assert!(outcome.status == 1 && outcome.stderr.contains("did you mean email?"), "{outcome:?}");
}
