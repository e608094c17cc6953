//! One-time links: `hallpass user reset-link` with `/reset`, `hallpass user invite` with `/invitation`.

use crate::support::program::{done, json_of};
use crate::support::provider::PASSWORD;
use crate::support::{
    Api, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent, again_while_busy,
};
use hallpass::ambient::random;
use hallpass::protocol::secret::LinkSecret;
use hallpass::store::user_links::{self, Accepted, Entry, Invited, NewLink, Purpose, Reset};
use hallpass::store::user_sessions::{self, By, Which};
use hallpass::store::users::deletion::{self, Ends};
use hallpass::store::users::{self, Added, edit};
use serde_json::json;

const NEW: &str = "purple otter thunder shelf";

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
        // The style sheet is asked for without the link.
        assert_eq!(page.header("referrer-policy"), Some("strict-origin"));
    }
    let page = set(&browser, &link, NEW).await;
    assert!(page.status == 200 && page.text().contains("Your password is set"), "{page}");
    // Nothing says so to who has not done it.
    let page_without = browser.get(&provider.url("/reset?done=1")).await;
    assert!(!page_without.text().contains("is set"), "{page_without}");
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
        let winner = usize::from(statuses[0] != 200);
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 410]);
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
    assert_eq!(status(&link).await, 410, "what ended stays ended");
    // What is written by hand counts as well.
    for sql in [
        "UPDATE users SET disabled_at = 1 WHERE username = 'alice'",
        "UPDATE users SET password_hash = NULL WHERE username = 'alice'",
    ] {
        let link = reset_link(&provider, "alice");
        provider.sql(sql).await;
        assert_eq!(status(&link).await, 410, "{sql}");
        let _ = provider.command(&["user", "enable", "alice"], "");
        assert_eq!(status(&link).await, 410, "{sql}");
    }
    let link = reset_link(&provider, "alice");
    done(provider.command(&["user", "edit", "alice", "--email", "alice@elsewhere.example"], ""));
    assert_eq!(status(&link).await, 410, "who has the address of before may have it");

    let link = reset_link(&provider, "alice");
    provider.travel(1790);
    assert_eq!(status(&link).await, 200);
    provider.travel(11);
    assert_eq!(status(&link).await, 410);

    let link = reset_link(&provider, "alice");
    done(provider.command(&["user", "delete", "alice", "--yes"], ""));
    assert_eq!(status(&link).await, 410);
    for guess in ["?link=x", "?link=hp_ln_x", &format!("?link=hp_ln_{}", "A".repeat(43)), "?link=a&link=b"] {
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
    assert_eq!(set(&browser, &link, NEW).await.status, 200);
}

#[tokio::test]
async fn a_link_is_at_the_issuer_whatever_a_proxy_says_and_nothing_of_it_rests() {
    let (provider, _client) = ready().await;
    let used = reset_link(&provider, "alice");
    let browser = UserAgent::new().with_header("x-forwarded-host", "evil.example");
    let page = set(&browser, &used, NEW).await;
    assert!(page.status == 200 && !page.body.contains("evil.example"), "{}", page.body);
    // A refusal that names it, and one that is open still.
    assert_eq!(browser.get(&used).await.status, 410);
    let open = reset_link(&provider, "alice");
    let _ = browser.get(&format!("{open}&link=twice")).await;
    provider.provider.audit.flush().await;
    let told = [
        done(provider.command(&["audit", "list", "--json"], "")).stdout,
        done(provider.command(&["user", "export", "alice"], "")).stdout,
        provider.command(&["explain", "--latest", "--json"], "").stdout,
    ]
    .concat();
    assert!(told.contains("user_password_reset") && told.contains("user_link_made"), "{told}");
    let rows = provider.rows("SELECT digest, purpose, sub, detail, email_folded, made_by FROM user_links").await;
    let events = provider.rows("SELECT detail, personal FROM audit_events").await;
    let refusals = provider.rows("SELECT path, detail, explanation FROM refusals").await;
    let kept = format!("{rows:?}{events:?}{refusals:?}{told}");
    for link in [used, open] {
        let secret = link.split_once("link=").unwrap().1;
        assert!(!kept.contains(&secret["hp_ln_".len()..]), "{kept}");
    }
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
        // An @ of another width is one to a sign-in.
        ("alice\u{ff20}example.com", "your own address"),
        ("a\u{202e}b", "cannot be a user name"),
        (" ", "cannot be a user name"),
    ] {
        let page = accept(username, "Bob Example").await;
        assert_eq!(page.status, 422, "{username}: {page}");
        assert!(page.text().contains(told) && page.body.contains("Bob Example"), "{username}: {page}");
    }
    let page = accept("bob", "Bob\u{202e} Example").await;
    assert!(page.status == 422 && page.text().contains("That name cannot be used"), "{page}");
    let page = accept("bob", "Bob Example").await;
    assert!(
        page.status == 200 && page.text().contains("Your account is ready") && browser.cookies().is_empty(),
        "{page}"
    );
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
    assert_eq!(UserAgent::new().post_form(&provider.url("/invitation"), &fields).await.status, 200);
    assert!(signs_in(&provider, &client, "carol", NEW).await);
    let shown = json_of(&done(provider.command(&["user", "show", "carol", "--json"], "")));
    assert_eq!(
        (&shown["claims"]["name"], &shown["claims"]["email"], &shown["claims"]["email_verified"], &shown["groups"]),
        (&json!("Carol Example"), &json!("carol@example.com"), &json!(false), &json!([]))
    );
}

/// Of the two, where nothing else is said.
#[tokio::test]
async fn an_invitation_is_good_for_a_week_and_a_reset_for_half_an_hour() {
    let (provider, _client) = ready().await;
    let reset = done(provider.command(&["user", "reset-link", "alice"], "")).stdout.trim().to_owned();
    let reset = reset.lines().next().unwrap().to_owned();
    let week = invited(&provider, &["bob@example.com"]);
    let status = async |link: &str| UserAgent::new().get(link).await.status.as_u16();
    provider.travel(1740);
    assert_eq!((status(&reset).await, status(&week).await), (200, 200));
    provider.travel(70);
    assert_eq!((status(&reset).await, status(&week).await), (410, 200));
    provider.travel(7 * 86_400 - 1810 - 60);
    assert_eq!(status(&week).await, 200);
    provider.travel(70);
    assert_eq!(status(&week).await, 410);
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
    let told = done(provider.command(&["audit", "list", "--json"], "")).stdout;
    assert!(told.contains("user_links_ended") && !told.contains("bob@example.com"), "{told}");
    let again = provider.command(&["user", "invitations", "--revoke", "bob@example.com"], "");
    assert_eq!(again.status, 1, "{again:?}");

    let link = invited(&provider, &["bob@example.com", "--username", "bob"]);
    let browsers = [UserAgent::new(), UserAgent::new()];
    let (one, two) = tokio::join!(set(&browsers[0], &link, NEW), set(&browsers[1], &link, NEW));
    assert!([one.status.as_u16(), two.status.as_u16()].iter().filter(|status| **status == 200).count() == 1);
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
        dora@example.com,,nobodies,\nBEN@example.com,,,\nemil@example.com,ALICE,,\nfred@example.com\n\
        =1+1@example.com,,,\n";
    std::fs::write(&file, text).unwrap();
    // A spreadsheet would take it for a formula, and --json prints nothing for one.
    let formula = folder.path().join("formula.csv");
    std::fs::write(&formula, "email\n=1+1@example.com\n").unwrap();
    let outcome = provider.command(&["user", "invite", "--csv", formula.to_str().unwrap()], "");
    assert!(outcome.status == 1 && outcome.stderr.contains("formula"), "{outcome:?}");
    let outcome = provider.command(&["user", "invite", "--csv", file.to_str().unwrap(), "--json"], "");
    assert_eq!(outcome.status, 1, "{outcome:?}");
    let document = json_of(&outcome);
    let lines: Vec<i64> =
        document["faults"].as_array().unwrap().iter().map(|fault| fault["line"].as_i64().unwrap()).collect();
    assert_eq!(lines, [3, 4, 6, 7, 8, 9], "{document}");
    let made = document["invitations"].as_array().unwrap();
    assert_eq!(made.len(), 3, "{document}");
    assert_eq!(set(&UserAgent::new(), made[0]["link"].as_str().unwrap(), NEW).await.status, 200);
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
    std::fs::write(&file, "email,name,email\nx@example.com,X,gina@example.com\n").unwrap();
    let outcome = provider.command(&["user", "invite", "--csv", file.to_str().unwrap()], "");
    assert!(outcome.status == 1 && outcome.stderr.contains("email is there twice"), "{outcome:?}");
}

/// A user name is looked at as a sign-in compares it, wherever one is given.
#[tokio::test]
async fn no_user_name_is_the_address_of_another_in_any_width() {
    let (provider, _client) = ready().await;
    provider.add_user(NewUser::named("bob")).await;
    let wide = "alice\u{ff20}example.com";
    for arguments in [
        &["user", "add", wide, "--email", "mallory@example.com", "--password-stdin"][..],
        &["user", "edit", "bob", "--username", wide],
        &["user", "invite", "mallory@example.com", "--username", wide],
    ] {
        let outcome = provider.command(arguments, NEW);
        assert!(outcome.status == 1 && outcome.stderr.contains("the user's own"), "{arguments:?}: {outcome:?}");
    }
    let shown = json_of(&done(provider.command(&["user", "show", "alice@example.com", "--json"], "")));
    assert_eq!((&shown["username"], &shown["claims"]["email_verified"]), (&json!("alice"), &json!(true)));
}

#[tokio::test]
async fn what_is_no_address_is_not_invited_and_every_refusal_says_what_to_do() {
    let (provider, _client) = ready().await;
    for address in [
        "nonsense",
        "@",
        "a@",
        "@example.com",
        "a b@example.com",
        "a\u{202e}b@example.com",
        "\"a\"@example.com",
        "a,b@example.com",
        "Alice <alice@example.com>",
        "a@b@example.com",
        &format!("{}@example.com", "a".repeat(320)),
    ] {
        let outcome = provider.command(&["user", "invite", address], "");
        assert!(outcome.status == 1 && outcome.stderr.contains("Fix: "), "{address}: {outcome:?}");
        assert!(!outcome.stderr.contains("--email"), "{address}: {outcome:?}");
    }
    assert_eq!(provider.rows("SELECT digest FROM user_links").await.len(), 0);
}

#[tokio::test]
async fn a_password_that_is_the_address_in_front_of_its_host_is_not_taken_from_one_who_is_invited() {
    let (provider, _client) = ready().await;
    let link = invited(&provider, &["bartholomew9x@example.com", "--username", "bart"]);
    let page = set(&UserAgent::new(), &link, "bartholomew9x").await;
    assert!(page.status == 422 && page.text().contains("your name"), "{page}");
}

#[tokio::test]
async fn a_telephone_number_is_verified_by_the_operators_word_unless_they_say_otherwise() {
    let (provider, _client) = ready().await;
    for (name, flags, verified) in [("bea", &[][..], true), ("cem", &["--phone-number-unverified"], false)] {
        let address = format!("{name}@example.com");
        let words = [&[address.as_str(), "--username", name, "--phone-number", "+49 30 901820"], flags].concat();
        assert_eq!(set(&UserAgent::new(), &invited(&provider, &words), NEW).await.status, 200);
        let shown = json_of(&done(provider.command(&["user", "show", name, "--json"], "")));
        assert_eq!(shown["claims"]["phone_number_verified"], verified, "{shown}");
    }
}

#[tokio::test]
async fn a_user_name_that_is_promised_is_promised_once_and_says_so_where_it_is_gone() {
    let (provider, client) = ready().await;
    let link = invited(&provider, &["bob@example.com", "--username", "bob"]);
    let refused = provider.command(&["user", "invite", "other@example.com", "--username", "BOB"], "");
    assert!(refused.status == 1 && refused.stderr.contains("promised to bob@example.com"), "{refused:?}");
    let file = provider.folder.path().join("new.csv");
    std::fs::write(&file, "email,username\nother@example.com,bob\n").unwrap();
    let refused = provider.command(&["user", "invite", "--csv", file.to_str().unwrap()], "");
    assert!(refused.status == 1 && refused.stderr.contains("promised to"), "{refused:?}");
    // The same address may be invited again, with the same name.
    let link = {
        let second = invited(&provider, &["bob@example.com", "--username", "bob"]);
        assert_eq!(UserAgent::new().get(&link).await.status, 410);
        second
    };
    provider.add_user(NewUser::named("bob").with("email", "robert@example.com")).await;
    let page = set(&UserAgent::new(), &link, NEW).await;
    assert!(page.status == 422 && page.text().contains("Ask the people who invited you"), "{page}");
    // A name that a deleted user had is not given again.
    let link = invited(&provider, &["dan@example.com"]);
    done(provider.command(&["user", "delete", "bob", "--yes"], ""));
    let browser = UserAgent::new();
    let mut form = browser.get(&link).await.form("form.stack");
    form.set("username", "Bob").set("new", NEW).set("repeated", NEW);
    let page = browser.submit(form.clone(), None).await;
    assert!(page.status == 422 && page.text().contains("is taken"), "{page}");
    // A group that is gone by then is left out.
    form.set("username", "dan");
    assert_eq!(browser.submit(form, None).await.status, 200);
    assert!(signs_in(&provider, &client, "dan", NEW).await);
}

#[tokio::test]
async fn a_group_that_is_deleted_meanwhile_is_left_out() {
    let (provider, client) = ready().await;
    done(provider.command(&["group", "new", "staff"], ""));
    done(provider.command(&["group", "new", "gone"], ""));
    let link = invited(&provider, &["bob@example.com", "--username", "bob", "--group", "gone", "--group", "staff"]);
    done(provider.command(&["group", "delete", "gone", "--yes"], ""));
    assert_eq!(set(&UserAgent::new(), &link, NEW).await.status, 200);
    assert!(signs_in(&provider, &client, "bob", NEW).await);
    let shown = json_of(&done(provider.command(&["user", "show", "bob", "--json"], "")));
    assert_eq!(shown["groups"], json!(["staff"]));
}

/// Another password ends it also where a source brings one.
#[tokio::test]
async fn a_password_that_an_import_brings_ends_the_links() {
    let (provider, _client) = ready().await;
    let file = provider.folder.path().join("people.jsonl");
    let import = |hash: &str| {
        let line = json!({ "username": "bob", "email": "bob@example.com", "password_hash": hash });
        std::fs::write(&file, line.to_string()).unwrap();
        let words = ["user", "import", file.to_str().unwrap(), "--source", "old", "--apply"];
        done(provider.command(&words, ""));
    };
    import("$2y$10$abcdefghijklmnopqrstuuLW3VUaRnbKPsj1zv7Zzz6lNz3vN7mSe");
    let (reset, factor) = (
        reset_link(&provider, "bob"),
        done(provider.command(&["user", "factor", "link", "bob"], "")).stdout.trim().to_owned(),
    );
    import("$2y$10$abcdefghijklmnopqrstuuLW3VUaRnbKPsj1zv7Zzz6lNz3vN7mSf");
    for link in [reset, factor] {
        assert_eq!(UserAgent::new().get(&link).await.status, 410, "{link}");
    }
    assert_eq!(provider.rows("SELECT digest FROM user_links").await.len(), 0, "not by the mark of the password alone");
}

/// Who had the address may have the link.
#[tokio::test]
async fn an_address_that_a_source_takes_away_ends_the_links() {
    const HEADINGS: &str = "Id,UserName,Email,EmailConfirmed,PasswordHash,TwoFactorEnabled,LockoutEnd,LockoutEnabled";
    let (provider, _client) = ready().await;
    let source = provider.folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    let import = |row: &str| {
        std::fs::write(source.join("AspNetUsers.csv"), format!("{HEADINGS}\n{row}\n")).unwrap();
        let source = source.to_str().unwrap();
        // Tables that are not there are named.
        let words = ["user", "import", "--aspnet-identity", source, "--without-password", "--apply"];
        provider.command(&words, "")
    };
    import("1,bob,bob@example.com,True,,False,,False");
    let link = reset_link(&provider, "bob");
    let outcome = import("1,bob,,False,,False,,False");
    let email = provider.rows("SELECT email FROM users WHERE username = 'bob'").await;
    assert_eq!(email, [[None::<String>]], "{outcome:?}");
    assert_eq!(provider.rows("SELECT digest FROM user_links").await.len(), 0);
    assert_eq!(UserAgent::new().get(&link).await.status, 410);
}

/// Of several operators at once the last one's link is good, and no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn links_that_are_made_at_once_leave_one() {
    let (provider, _client) = ready().await;
    let (db, now) = (&provider.provider.db, provider.provider.now());
    let user = users::find(db, "alice-sub").await.unwrap().unwrap();
    for _ in 0..5 {
        let make = async || {
            let link = LinkSecret::from_random(&random::<32>());
            let (sub, credential) = (user.sub.as_str(), user.credential.as_str());
            let new = NewLink { link: &link, sub, credential, purpose: Purpose::Password, now };
            again_while_busy(async || user_links::make(db, &new).await).await.unwrap()
        };
        tokio::join!(make(), make(), make(), make());
        let invite = async || {
            let link = LinkSecret::from_random(&random::<32>());
            let invited = [(link, Invited { email: "bob@example.com".to_owned(), ..Invited::default() })];
            again_while_busy(async || user_links::invite(db, &invited, 600, now).await).await;
        };
        tokio::join!(invite(), invite(), invite(), invite());
        let kept = provider.rows("SELECT purpose FROM user_links ORDER BY purpose").await;
        assert_eq!(format!("{kept:?}"), r#"[[Some("invitation")], [Some("password")]]"#);
    }
}

/// Whatever is done to one user at once waits for the other, in one order: on PostgreSQL two orders would be a deadlock.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reset_beside_commands_is_the_one_or_the_other_and_never_a_fault() {
    let (provider, _client) = ready().await;
    let (db, now) = (&provider.provider.db, provider.provider.now());
    let end_all = async |sub: &str| {
        again_while_busy(async || user_sessions::end(db, sub, Which::All, By::Operator, 600, now).await).await
    };
    let reset = async |by_link: &Reset<'_>| again_while_busy(async || user_links::reset(db, by_link).await).await;
    for round in 0..6 {
        let (name, sub) = (format!("user{round}"), format!("user{round}-sub"));
        provider.add_user(NewUser::named(&name)).await;
        for session in 0..3 {
            provider
                .sql(&format!(
                    "INSERT INTO user_sessions (session, sub, record, started_at, auth_time, seen_at, expires_at, browser, network)
                     VALUES ('s{round}{session}', '{sub}', 'r{round}{session}', {0}, {0}, {0}, {0} + 600, '', '')",
                    now.0
                ))
                .await;
        }
        let secret = user_links::received(reset_link(&provider, &name).split_once("link=").unwrap().1).unwrap();
        // Nothing here stands in the way of the reset.
        let by_link = Reset { link: &secret, sub: &sub, password_hash: "$argon2id$r", network: "192.0.2.7", now };
        let (was_reset, _) = tokio::join!(reset(&by_link), end_all(&sub));
        assert!(was_reset, "round {round}");

        let secret = user_links::received(reset_link(&provider, &name).split_once("link=").unwrap().1).unwrap();
        let by_link = Reset { link: &secret, sub: &sub, password_hash: "$argon2id$t", network: "192.0.2.7", now };
        let (was_reset, _, disabled, _) = tokio::join!(
            reset(&by_link),
            again_while_busy(async || users::set_password(db, &sub, "$argon2id$s", now).await),
            again_while_busy(async || users::disable(db, &sub, now).await),
            end_all(&sub)
        );
        assert!(disabled, "reset: {was_reset}");
        assert_eq!(provider.rows("SELECT digest FROM user_links").await.len(), 0, "reset: {was_reset}");
        assert!(users::enable(db, &sub, now).await.unwrap());

        let secret = user_links::received(reset_link(&provider, &name).split_once("link=").unwrap().1).unwrap();
        let by_link = Reset { link: &secret, sub: &sub, password_hash: "$argon2id$u", network: "192.0.2.7", now };
        let (_, deleted, _) = tokio::join!(
            reset(&by_link),
            again_while_busy(async || deletion::delete(db, &sub, Some(&name), Ends::default(), now).await),
            end_all(&sub)
        );
        assert!(deleted);
    }
}

/// While two users have an address, neither could sign in by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_address_is_given_once_however_many_ask_for_it_at_once() {
    let (provider, _client) = ready().await;
    let (db, now) = (&provider.provider.db, provider.provider.now());
    for round in 0..5 {
        let email = format!("bob{round}@example.com");
        let secret = LinkSecret::from_random(&random::<32>());
        let invited = Invited { email: email.clone(), ..Invited::default() };
        let copy = LinkSecret::received(secret.expose());
        user_links::invite(db, &[(copy, invited)], 600, now).await.unwrap();
        let names = [0, 1, 2].map(|at| format!("bob{round}-{at}"));
        let new = |at: usize| users::NewUser {
            sub: &names[at],
            username: &names[at],
            email: &email,
            email_verified: true,
            may_share_address: false,
            details: users::edit::Details::default(),
            password_hash: "$argon2id$",
            now,
        };
        let (one, two, three) = (new(0), new(1), new(2));
        let moves = edit::Edit { email: Some(&email), ..edit::Edit::default() };
        let (one, two, three, four) = tokio::join!(
            again_while_busy(async || users::add(db, &one).await),
            again_while_busy(async || users::add(db, &two).await),
            again_while_busy(
                async || user_links::accept(db, (&secret, Entry::Invitation), &three, &[], "192.0.2.7").await
            ),
            again_while_busy(async || edit::edit(db, "alice-sub", &moves, now).await)
        );
        let done = [
            matches!(one, Added::Done),
            matches!(two, Added::Done),
            matches!(three, Accepted::Done),
            matches!(four, edit::Edited::Done(_)),
        ];
        assert_eq!(done.into_iter().filter(|done| *done).count(), 1, "{done:?}");
    }
    let held = provider.rows("SELECT name FROM provider_values WHERE name LIKE 'address:%'").await;
    assert_eq!(held.len(), 0, "{held:?}");
}
