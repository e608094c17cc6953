//! Sign-ups (`HALLPASS_SIGN_UP`): who reads the mail of an address in a domain has an account by a mailed link, and `prompt=create` leads
//! there. [Initiating User Registration 1.0](https://openid.net/specs/openid-connect-prompt-create-1_0.html).

use crate::account::open;
use crate::support::postgres::temporary_folder;
use crate::support::program::{done, json_of, refused, run_with};
use crate::support::provider::PASSWORD as ALICES;
use crate::support::smtp::{Mail, MailServer};
use crate::support::verbs::origin_of;
use crate::support::{Authorization, NewUser, Page, TestClient, TestProvider, UserAgent, again_while_busy, claims_of};
use hallpass::ambient::random;
use hallpass::protocol::secret::LinkSecret;
use hallpass::store::mail_outbox::{self, MOST_SIGN_UPS};
use hallpass::store::user_links::{self, Accepted, Entry, Invited};
use hallpass::store::users;
use hallpass::throttle::SIGN_UPS_PER_NETWORK;
use scraper::{Html, Selector};
use serde_json::json;
use std::collections::BTreeSet;

const PASSWORD: &str = "purple otter thunder shelf";
const DOMAINS: (&str, &str) = ("sign_up", "domain:example.com, example.org");

// ---- Verbs of this file.

async fn ready_with(settings: &[(&str, &str)]) -> (MailServer, TestProvider, TestClient) {
    let server = MailServer::start();
    let settings: Vec<_> = settings.iter().copied().chain([DOMAINS]).collect();
    let provider = TestProvider::mailing(&server, &settings).await;
    let client = provider.client("reports").await;
    (server, provider, client)
}

async fn ready() -> (MailServer, TestProvider, TestClient) {
    ready_with(&[]).await
}

/// Asks for an account at the page for that.
async fn ask_with(browser: &UserAgent, provider: &TestProvider, email: &str) -> Page {
    let page = browser.get(&provider.url("/sign-up")).await;
    assert_eq!(page.status, 200, "{page}");
    let mut form = page.form("form.stack");
    form.set("email", email);
    browser.submit(form, None).await
}

async fn ask(provider: &TestProvider, email: &str) -> Page {
    ask_with(&UserAgent::new(), provider, email).await
}

/// The mails that come of asking.
async fn mailed(server: &MailServer, provider: &TestProvider, email: &str) -> Vec<Mail> {
    let before = server.mails().len();
    assert_eq!(ask(provider, email).await.status, 200);
    provider.send_mails().await;
    server.mails().split_off(before)
}

async fn link_for(server: &MailServer, provider: &TestProvider, email: &str) -> String {
    let mails = mailed(server, provider, email).await;
    assert_eq!(mails.len(), 1, "{mails:?}");
    mails[0].link().to_owned()
}

async fn make(link: &str, username: &str, password: &str) -> Page {
    let browser = UserAgent::new();
    let page = browser.get(link).await;
    assert_eq!(page.status, 200, "{page}");
    let mut form = page.form("form.stack");
    if form.value("username").is_some_and(str::is_empty) {
        form.set("username", username);
    }
    form.set("new", password).set("repeated", password);
    browser.submit(form, None).await
}

/// A browser whose forms are from a page of ours.
fn from_ours(provider: &TestProvider) -> UserAgent {
    UserAgent::new().with_header("origin", &origin_of(&provider.issuer))
}

async fn status(link: &str) -> u16 {
    UserAgent::new().get(link).await.status.as_u16()
}

fn first_link(page: &Page, css: &str) -> String {
    let (document, links) = (Html::parse_document(&page.body), Selector::parse(css).unwrap());
    let found = document.select(&links).next().unwrap_or_else(|| panic!("no {css} in {page}"));
    found.attr("href").unwrap().to_owned()
}

async fn count(provider: &TestProvider, sql: &str) -> usize {
    provider.rows(sql).await.len()
}

// ---- An account.

#[tokio::test]
async fn one_who_reads_the_mail_of_an_address_has_an_account_by_the_link_and_returns_to_the_service() {
    let (server, provider, client) = ready().await;
    let browser = UserAgent::new();
    let asking = Authorization::of(&client).with("prompt", "create").with("login_hint", "Bob.Smith@Example.com");
    let page = asking.open(&provider, &browser).await;
    assert!(page.url.path().ends_with("/sign-up"), "{page}");
    let form = page.form("form.stack");
    assert_eq!(form.value("email"), Some("Bob.Smith@Example.com"), "the service said it");
    let answer = browser.submit(form, None).await;
    assert!(answer.status == 200 && answer.text().contains("Bob.Smith@Example.com"), "{answer}");
    provider.send_mails().await;
    let mails = server.mails();
    assert_eq!((mails.len(), mails[0].to(), mails[0].subject()), (1, "bob.smith@example.com", "Create your account"));
    let link = mails[0].link().to_owned();
    assert!(link.starts_with(&provider.url("/sign-up?link=hp_ln_")), "{link}");

    // Nothing is there before, and looking spends nothing.
    assert_eq!(count(&provider, "SELECT sub FROM users").await, 0);
    assert_eq!((status(&link).await, status(&link).await), (200, 200));
    assert_eq!(status(&link.replace("/sign-up", "/invitation")).await, 410, "a link is good where it was made for");
    let page = UserAgent::new().get(&link).await;
    assert!(page.text().contains("bob.smith@example.com") && page.text().contains("Create your account"), "{page}");
    let page = make(&link, "bob", PASSWORD).await;
    assert!(page.status == 200 && page.text().contains("Your account is ready"), "{page}");
    assert!(page.header("set-cookie").is_none_or(|cookie| !cookie.contains("session")), "no session starts");
    assert_eq!(status(&link).await, 410);
    let rows = provider.rows("SELECT username, email, email_verified_at FROM users").await;
    assert_eq!(rows[0][..2], [Some("bob".to_owned()), Some("bob.smith@example.com".to_owned())]);
    assert!(rows[0][2].is_some());

    // In the tab that waits, the way back leads to the service.
    let login = browser.get(&format!("{}{}", provider.issuer, first_link(&answer, "main a"))).await;
    assert!(login.text().contains("Sign in to continue to"), "{login}");
    let landed = provider.type_in(&browser, &login, "bob", PASSWORD).await;
    let landed = match landed.query_parameter("code") {
        Some(_) => landed,
        None => browser.submit(landed.form("form"), Some(("action", "allow"))).await,
    };
    let landed = provider.settle(&browser, landed).await;
    let tokens = provider.redeem(&client, &landed.query_parameter("code").expect("a code")).await.ok();
    assert_eq!(claims_of(&tokens.text("id_token"))["email_verified"], json!(true));
    provider.provider.audit.flush().await;
    let events = provider.rows("SELECT detail FROM audit_events WHERE event = 'user_added'").await;
    assert!(events[0][0].as_ref().unwrap().contains("signed_up"), "{events:?}");
    let told = provider.rows("SELECT event, detail FROM audit_events WHERE sub IS NULL").await;
    assert!(!format!("{told:?}").contains("bob"), "who has no account cannot have it erased: {told:?}");
}

#[tokio::test]
async fn the_login_page_leads_to_the_sign_up_and_back() {
    let (_server, provider, client) = ready().await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    let page = browser.get(&format!("{}{}", provider.issuer, first_link(&login, "a[href*='/sign-up']"))).await;
    assert!(page.text().contains("example.com, example.org"), "{page}");
    let back = browser.get(&format!("{}{}", provider.issuer, first_link(&page, "main a"))).await;
    assert!(back.text().contains("Sign in to continue to"), "{back}");
}

// ---- Who asks learns nothing.

#[tokio::test]
async fn known_unknown_disabled_and_throttled_addresses_are_answered_alike() {
    let (server, provider, _client) = ready_with(&[("trusted_proxies", "127.0.0.1")]).await;
    provider.alice().await;
    provider.add_user(NewUser::named("carol").with("email", "carol@example.com").with("disabled_at", "1")).await;
    provider.add_user(NewUser::named("dave@example.com").with("email", "other@elsewhere.example")).await;
    let mut answers = BTreeSet::new();
    let shown = |page: Page, email: &str| {
        (page.status.as_u16(), page.header("set-cookie").map(str::to_owned), page.body.replace(email, "ADDRESS"))
    };
    for email in ["new@example.com", "alice@example.com", "ALICE@EXAMPLE.com", "carol@example.com", "dave@example.com"]
    {
        answers.insert(shown(ask(&provider, email).await, email));
        provider.mails_are_queued().await;
    }
    // More than a network may.
    let browser = UserAgent::new().with_header("x-forwarded-for", "198.51.100.7");
    for number in 0..SIGN_UPS_PER_NETWORK + 2 {
        let email = format!("n{number}@example.org");
        answers.insert(shown(ask_with(&browser, &provider, &email).await, &email));
        provider.mails_are_queued().await;
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    // One who forgot a password there is not kept from it.
    let page = browser.get(&provider.url("/reset")).await;
    let mut form = page.form("form.stack");
    form.set("username", "alice");
    browser.submit(form, None).await;
    provider.mails_are_queued().await;
    // Users come first, however many strangers asked before.
    let due = mail_outbox::due(&provider.provider.db, provider.provider.now()).await.unwrap();
    assert_eq!(count(&provider, "SELECT mail_id FROM mail_outbox WHERE sub IS NOT NULL").await, 2);
    for id in &due[..2] {
        let sub = provider.rows(&format!("SELECT sub FROM mail_outbox WHERE mail_id = '{id}'")).await;
        assert_eq!(sub, [[Some("alice-sub".to_owned())]]);
    }
    while count(&provider, "SELECT mail_id FROM mail_outbox").await > 0 {
        provider.send_mails().await;
    }
    let mails = server.mails();
    let to = |address: &str| mails.iter().filter(|mail| mail.to() == address).map(Mail::subject).collect::<Vec<_>>();
    assert_eq!(to("new@example.com"), ["Create your account"]);
    // One of each, in whichever order they were taken.
    let mut to_alice = to("alice@example.com");
    to_alice.sort_unstable();
    assert_eq!(to_alice, ["Set a new password", "You have an account already"]);
    assert!(to("carol@example.com").is_empty() && to("dave@example.com").is_empty());
    let of_network = mails.iter().filter(|mail| mail.to().ends_with("@example.org")).count();
    assert_eq!(of_network, usize::try_from(SIGN_UPS_PER_NETWORK).unwrap());
    let hint = mails.iter().find(|mail| mail.subject() == "You have an account already").unwrap();
    assert!(hint.plain().contains("alice") && hint.plain().contains(&provider.url("/reset")), "{hint:?}");
    assert!(!hint.plain().contains("?link="), "who asked could not use it, and neither may who reads it by chance");
    // What strangers did is not told to the user as theirs.
    provider.provider.audit.flush().await;
    let told = provider.rows("SELECT detail FROM audit_events WHERE sub = 'alice-sub'").await;
    assert!(!format!("{told:?}").contains("has_account"), "{told:?}");
}

#[tokio::test]
async fn nothing_of_a_user_is_read_before_the_answer() {
    let (_server, provider, _client) = ready().await;
    let db = &provider.provider.db;
    provider.alice().await;
    let mut before = Vec::new();
    for email in ["alice@example.com", "new@example.com"] {
        // What comes after the answer waits for a place.
        let places = provider.provider.outgoing.places.clone();
        let all = u32::try_from(places.available_permits()).unwrap();
        let _held = places.acquire_many_owned(all).await.unwrap();
        let read = db.statements();
        assert_eq!(from_ours(&provider).post_form(&provider.url("/sign-up"), &[("email", email)]).await.status, 200);
        before.push(db.statements() - read);
    }
    assert_eq!(before, [0, 0]);
}

#[tokio::test]
async fn a_user_is_told_of_the_account_five_times_a_day_at_most() {
    let (server, provider, _client) = ready().await;
    provider.alice().await;
    for _ in 0..8 {
        mailed(&server, &provider, "alice@example.com").await;
    }
    assert_eq!(server.mails().len(), 5);
}

#[tokio::test]
async fn three_links_are_open_at_once_whatever_the_case_and_using_one_ends_all() {
    let (server, provider, _client) = ready().await;
    let mut links = Vec::new();
    for email in ["bob@example.com", "BOB@example.com", "bob@EXAMPLE.COM", "bob@example.com", "Bob@example.com"] {
        links.extend(mailed(&server, &provider, email).await.iter().map(|mail| mail.link().to_owned()));
    }
    assert_eq!(links.len(), 3, "a stranger can neither end one nor use the mails up");
    for link in &links {
        assert_eq!(status(link).await, 200);
    }
    // A name that is taken spends nothing.
    provider.add_user(NewUser::named("taken")).await;
    let page = make(&links[0], "taken", PASSWORD).await;
    assert!(page.text().contains("That user name is taken"), "{page}");
    assert_eq!(make(&links[1], "bob", PASSWORD).await.status, 200);
    for link in &links {
        assert_eq!(status(link).await, 410);
    }
    // Those of another address are not touched, and end by themselves.
    let other = link_for(&server, &provider, "ben@example.com").await;
    provider.travel(1790);
    assert_eq!(status(&other).await, 200);
    provider.travel(11);
    assert_eq!(status(&other).await, 410);
    assert_eq!(mailed(&server, &provider, "ben@example.com").await.len(), 1);
}

#[tokio::test]
async fn many_who_ask_at_once_open_no_more_than_three() {
    let (server, provider, _client) = ready().await;
    futures_util::future::join_all((0..12).map(|_| ask(&provider, "bob@example.com"))).await;
    let other = provider.second_mailing_node(&server, &[("issuer", &provider.issuer), DOMAINS]).await;
    tokio::join!(provider.send_mails(), other.send_mails());
    assert_eq!(server.mails().len(), 3);
}

#[tokio::test]
async fn tags_of_one_mailbox_are_bounded_and_do_not_keep_its_owner_out() {
    let (server, provider, _client) = ready().await;
    for tag in 0..12 {
        mailed(&server, &provider, &format!("bob+{tag}@example.com")).await;
    }
    assert_eq!(server.mails().len(), 5);
    assert_eq!(mailed(&server, &provider, "bob@example.com").await.len(), 1);
    // One who has an account under a tag has it under that alone.
    let link = server.mails()[0].link().to_owned();
    assert_eq!(make(&link, "bob", PASSWORD).await.status, 200);
    assert_eq!(provider.rows("SELECT email FROM users").await, [[Some("bob+0@example.com".to_owned())]]);
}

#[tokio::test]
async fn an_address_elsewhere_or_none_at_all_is_refused_and_nothing_is_sent() {
    let (server, provider, _client) = ready().await;
    for email in [
        "bob@sub.example.com",
        "bob@notexample.com",
        "bob@example.com.attacker.example",
        "bob@example.net",
        "bob@attacker.example@example.com",
        "\"bob@attacker.example\"@example.com",
        "bob@example.com,eve@attacker.example",
        "bob@example.com\r\nBcc: eve@attacker.example",
        "<bob@example.com>",
        // A mail server that trusts us would hand these on.
        "eve%attacker.example@example.com",
        "attacker.example!eve@example.com",
        "example.com",
        "@example.com",
        "",
        &format!("{}@example.com", "b".repeat(250)),
    ] {
        let page = from_ours(&provider).post_form(&provider.url("/sign-up"), &[("email", email)]).await;
        assert_eq!(page.status, 422, "{email:?}: {page}");
    }
    provider.send_mails().await;
    assert_eq!(server.mails().len(), 0);
    assert_eq!(count(&provider, "SELECT mail_id FROM mail_outbox").await, 0);
}

#[tokio::test]
async fn what_strangers_can_have_written_is_bounded() {
    let (server, provider, _client) = ready().await;
    let (now, most) = (provider.now(), MOST_SIGN_UPS - 1);
    provider
        .sql(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})
             INSERT INTO user_links (digest, purpose, email_folded, made_by, created_at, expires_at)
             SELECT 'digest' || i, 'sign_up', 'n' || i || '@example.com', 'mail', {now}, {now} + 100 FROM n"
        ))
        .await;
    assert_eq!(mailed(&server, &provider, "last@example.com").await.len(), 1);
    assert_eq!(mailed(&server, &provider, "bob@example.com").await.len(), 0);
    provider.travel(101);
    assert_eq!(mailed(&server, &provider, "bob@example.com").await.len(), 1, "what has ended does not count");
}

// ---- Links.

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_links_of_one_address_that_are_used_at_once_one_makes_an_account() {
    let (server, provider, _client) = ready().await;
    for round in 0..4 {
        let email = format!("bob{round}@example.com");
        let mut secrets = Vec::new();
        for _ in 0..3 {
            let link = link_for(&server, &provider, &email).await;
            secrets.push(user_links::received(link.split_once("link=").unwrap().1).unwrap());
        }
        let (db, now) = (&provider.provider.db, provider.provider.now());
        let invitation = LinkSecret::from_random(&random::<32>());
        let copy = LinkSecret::received(invitation.expose());
        let invited = Invited { email: email.clone(), ..Invited::default() };
        user_links::invite(db, &[(copy, invited.clone())], 600, now).await.unwrap();
        // An invitation ends the sign-ups from before.
        for secret in &secrets {
            assert!(user_links::find_entry(db, secret, Entry::SignUp, now).await.unwrap().is_none());
        }
        let mut links: Vec<(LinkSecret, Entry)> = vec![(invitation, Entry::Invitation)];
        for _ in 0..3 {
            let link = link_for(&server, &provider, &email).await;
            links.push((user_links::received(link.split_once("link=").unwrap().1).unwrap(), Entry::SignUp));
        }
        let (provider, email) = (&provider, &email);
        let using = links.iter().enumerate().map(|(at, (link, entry))| async move {
            let name = format!("bob{round}-{at}");
            let user = users::NewUser {
                sub: &name,
                username: &name,
                email,
                email_verified: true,
                may_share_address: false,
                details: users::edit::Details::default(),
                password_hash: "$argon2id$",
                now,
            };
            again_while_busy(async || user_links::accept(db, (link, *entry), &user, &[], "192.0.2.7").await).await
        });
        let again = async || {
            let other = [(LinkSecret::from_random(&random::<32>()), invited.clone())];
            again_while_busy(async || user_links::invite(db, &other, 600, now).await).await;
        };
        let (used, ()) = tokio::join!(futures_util::future::join_all(using), again());
        let made = used.iter().filter(|used| matches!(used, Accepted::Done)).count();
        // Either one was used, or the other invitation ended them all first.
        let left = provider.rows(&format!("SELECT purpose FROM user_links WHERE email_folded = '{email}'")).await;
        assert!(made <= 1 && (made == 1 || left.len() == 1), "{used:?} {left:?}");
        assert_eq!(count(provider, &format!("SELECT sub FROM users WHERE email = '{email}'")).await, made);
    }
}

#[tokio::test]
async fn an_address_that_a_user_got_meanwhile_is_not_given_twice() {
    let (server, provider, _client) = ready().await;
    let link = link_for(&server, &provider, "bob@example.com").await;
    ask(&provider, "ben@example.com").await;
    provider.mails_are_queued().await;
    for name in ["bob", "ben"] {
        let email = format!("{name}@example.com");
        provider.add_user(NewUser::named(&format!("{name}-too")).with("email", &email)).await;
    }
    let page = make(&link, "bob", PASSWORD).await;
    assert!(page.text().contains("There is an account with this address already"), "{page}");
    // And one that was about to be mailed is not made.
    provider.send_mails().await;
    assert_eq!(server.mails().len(), 1);
    assert_eq!(count(&provider, "SELECT mail_id FROM mail_outbox").await, 0);
}

#[tokio::test]
async fn a_recipient_that_is_refused_leaves_no_link_and_is_no_fault_of_the_server() {
    let (server, provider, _client) = ready().await;
    for answer in ["550 5.1.1 no such mailbox", "550 5.4.1 Recipient address rejected: Access denied", "554 5.7.1 no"] {
        server.answers(answer);
        assert_eq!(mailed(&server, &provider, "gone@example.com").await.len(), 0);
        assert_eq!(count(&provider, "SELECT digest FROM user_links").await, 0, "{answer}");
        assert_eq!(count(&provider, "SELECT mail_id FROM mail_outbox").await, 0, "{answer}");
        assert!(provider.provider.degraded.members().is_empty(), "{answer}");
    }
    server.answers("450 4.2.1 later");
    assert_eq!(mailed(&server, &provider, "gone@example.com").await.len(), 0);
    assert_eq!(count(&provider, "SELECT digest FROM user_links").await, 0);
    assert_eq!(count(&provider, "SELECT mail_id FROM mail_outbox").await, 1, "it is tried again");
    server.answers("");
    provider.travel(61);
    provider.send_mails().await;
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_user_who_is_disabled_is_not_let_in_by_a_tag() {
    let (server, provider, _client) = ready().await;
    provider.add_user(NewUser::named("bob").with("email", "bob@example.com").with("disabled_at", "1")).await;
    for email in ["bob@example.com", "bob+2@example.com", "BOB+3@example.com"] {
        assert_eq!(mailed(&server, &provider, email).await.len(), 0, "{email}");
    }
}

#[tokio::test]
async fn what_strangers_asked_for_keeps_no_user_from_an_address_of_theirs() {
    let (server, provider, _client) = ready().await;
    provider.add_user(NewUser::alice().with("email", "old@elsewhere.example")).await;
    for tag in 0..6 {
        mailed(&server, &provider, &format!("alice+{tag}@example.com")).await;
    }
    let before = server.mails().len();
    let browser = UserAgent::new();
    let page = open(&provider, &browser, "/account/email", "alice").await;
    let mut form = page.form("form.stack");
    form.set("email", "alice@example.com");
    browser.submit(form, None).await;
    provider.send_mails().await;
    let mails = server.mails().split_off(before);
    assert!(mails.iter().any(|mail| mail.subject() == "Confirm your e-mail address"), "{mails:?}");
}

#[tokio::test]
async fn a_hint_that_is_not_true_any_more_is_not_mailed() {
    let (server, provider, _client) = ready().await;
    provider.alice().await;
    let waits = async || {
        ask(&provider, "alice@example.com").await;
        provider.mails_are_queued().await;
        assert_eq!(count(&provider, "SELECT mail_id FROM mail_outbox").await, 1);
    };
    waits().await;
    provider.sql("UPDATE users SET email_verified_at = NULL").await;
    provider.send_mails().await;
    provider.sql("UPDATE users SET email_verified_at = 1").await;
    waits().await;
    provider.travel(3601);
    provider.send_mails().await;
    waits().await;
    done(provider.command(&["user", "disable", "alice", "--yes"], ""));
    provider.send_mails().await;
    assert_eq!(server.mails().len(), 0);
    assert_eq!(count(&provider, "SELECT mail_id FROM mail_outbox").await, 0);
}

#[tokio::test]
async fn the_groups_and_names_of_an_open_invitation_come_with_a_sign_up_and_end_with_it() {
    let (server, provider, _client) = ready().await;
    done(provider.command(&["group", "new", "staff"], ""));
    let invite =
        ["user", "invite", "bob@example.com", "--group", "staff", "--name", "Bob Example", "--username", "bob"];
    let invitation = done(provider.command(&invite, "")).stdout.trim().to_owned();
    let link = link_for(&server, &provider, "bob@example.com").await;
    assert_eq!(make(&link, "", PASSWORD).await.status, 200);
    let rows = provider.rows("SELECT username, name, email_verified_at FROM users").await;
    assert_eq!(rows[0][..2], [Some("bob".to_owned()), Some("Bob Example".to_owned())]);
    assert_eq!(count(&provider, "SELECT sub FROM group_members WHERE group_name = 'staff'").await, 1);
    assert_eq!(status(&invitation).await, 410);

    // What an operator takes back, a sign-up does not give.
    let invite = ["user", "invite", "ben@example.com", "--group", "staff"];
    done(provider.command(&invite, ""));
    let link = link_for(&server, &provider, "ben@example.com").await;
    done(provider.command(&["user", "invitations", "--revoke", "ben@example.com"], ""));
    assert_eq!(status(&link).await, 410);
    let link = link_for(&server, &provider, "ben@example.com").await;
    assert_eq!(make(&link, "ben", PASSWORD).await.status, 200);
    assert_eq!(count(&provider, "SELECT sub FROM group_members WHERE group_name = 'staff'").await, 1);

    // A sign-up does not outlive the invitation whose groups it gives.
    done(provider.command(&["user", "invite", "cleo@example.com", "--group", "staff", "--days", "1"], ""));
    provider.travel(86_400 - 600);
    let link = link_for(&server, &provider, "cleo@example.com").await;
    provider.travel(580);
    assert_eq!(status(&link).await, 200);
    provider.travel(30);
    assert_eq!(status(&link).await, 410);
    // One without an invitation can be ended as well.
    let link = link_for(&server, &provider, "dora@example.com").await;
    done(provider.command(&["user", "invitations", "--revoke", "dora@example.com"], ""));
    assert_eq!(status(&link).await, 410);
}

// ---- Settings.

#[tokio::test]
async fn where_no_one_signs_up_there_is_no_page_and_the_prompt_is_one_that_is_not_known() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    assert_eq!(status(&provider.url("/sign-up")).await, 404);
    assert_eq!(
        from_ours(&provider).post_form(&provider.url("/sign-up"), &[("email", "bob@example.com")]).await.status,
        404
    );
    let metadata = provider.get("/.well-known/openid-configuration", &[]).await.json();
    assert!(!metadata["prompt_values_supported"].as_array().unwrap().contains(&json!("create")), "{metadata}");
    let browser = UserAgent::new();
    let page = Authorization::of(&client).with("prompt", "create").open(&provider, &browser).await;
    assert!(page.url.path().ends_with("/login") && !page.body.contains("/sign-up"), "{page}");
}

#[tokio::test]
async fn where_accounts_are_by_invitation_the_page_says_so() {
    let provider = TestProvider::with(&[("sign_up", "invitation")]).await;
    let client = provider.client("reports").await;
    let metadata = provider.get("/.well-known/openid-configuration", &[]).await.json();
    assert!(metadata["prompt_values_supported"].as_array().unwrap().contains(&json!("create")), "{metadata}");
    let browser = UserAgent::new();
    let page = Authorization::of(&client).with("prompt", "create").open(&provider, &browser).await;
    assert!(page.url.path().ends_with("/sign-up") && page.text().contains("You need an invitation"), "{page}");
    assert!(page.forms().is_empty(), "{page}");
    let login = browser.get(&format!("{}{}", provider.issuer, first_link(&page, "main a"))).await;
    assert!(login.text().contains("Sign in to continue to") && !login.body.contains("/sign-up"), "{login}");
    // A sign-up by hand does nothing.
    let page = from_ours(&provider).post_form(&provider.url("/sign-up"), &[("email", "bob@example.com")]).await;
    assert!(page.status == 200 && page.text().contains("You need an invitation"), "{page}");
    assert_eq!(count(&provider, "SELECT mail_id FROM mail_outbox").await, 0);
    let invited = done(provider.command(&["user", "invite", "bob@example.com"], "")).stdout.trim().to_owned();
    assert_eq!(make(&invited, "bob", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_domain_that_is_taken_off_the_list_ends_links_and_mails_on_their_way() {
    let (server, provider, _client) = ready().await;
    let link = link_for(&server, &provider, "bob@example.org").await;
    ask(&provider, "ben@example.org").await;
    provider.mails_are_queued().await;
    let other = provider.second_mailing_node(&server, &[("sign_up", "domain:example.com")]).await;
    assert_eq!(status(&link.replace(&provider.issuer, &other.issuer)).await, 410);
    other.send_mails().await;
    assert_eq!(server.mails().len(), 1);
    // A node that has the setting still sends it, as where the setting goes from node to node.
    provider.travel(61);
    provider.send_mails().await;
    assert_eq!(server.mails().len(), 2);
}

#[test]
fn a_domain_needs_a_mail_server_and_must_be_one() {
    let folder = temporary_folder("hallpass-sign-up-", None);
    let run = |value: &str, texts: &[&str]| {
        refused(&run_with(folder.path(), &["migrate"], &[("HALLPASS_SIGN_UP", value)], ""), texts);
    };
    run("domain:example.com", &["HALLPASS_SIGN_UP", "HALLPASS_SMTP_URL"]);
    run("domain:*.example.com", &["HALLPASS_SIGN_UP", "written out"]);
    run("on", &["must be off, invitation, or domain:example.com"]);
}

// ---- `prompt=create`.

#[tokio::test]
async fn prompt_create_asks_a_user_who_is_signed_in_for_an_account_and_goes_with_no_none() {
    let (_server, provider, client) = ready().await;
    provider.alice().await;
    let metadata = provider.get("/.well-known/openid-configuration", &[]).await.json();
    assert!(metadata["prompt_values_supported"].as_array().unwrap().contains(&json!("create")), "{metadata}");
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &client).await;
    let page = Authorization::of(&client).with("prompt", "create").open(&provider, &browser).await;
    assert!(page.url.path().ends_with("/sign-up"), "{page}");
    // Who has an account after all continues with it.
    let login = browser.get(&format!("{}{}", provider.issuer, first_link(&page, "main a"))).await;
    let form = login.forms().into_iter().next().unwrap();
    let continued = browser.submit(form, Some(("action", "continue"))).await;
    let landed = provider.settle(&browser, continued).await;
    assert!(landed.query_parameter("code").is_some(), "{landed}");
    // Where everything is to be proven anew, that is not enough.
    let page = Authorization::of(&client).with("prompt", "create login").open(&provider, &browser).await;
    let login = browser.get(&format!("{}{}", provider.issuer, first_link(&page, "main a"))).await;
    assert!(!login.body.contains("value=\"continue\""), "{login}");
    // Who has to sign in again after a while at the second factor is not asked for an account once more.
    provider.enroll("alice-sub").await;
    let browser = UserAgent::new();
    let page =
        Authorization::of(&client).with("prompt", "create").with("acr_values", "2").open(&provider, &browser).await;
    let login = browser.get(&format!("{}{}", provider.issuer, first_link(&page, "main a"))).await;
    let asked = provider.type_in(&browser, &login, "alice", ALICES).await;
    assert!(asked.url.path().ends_with("/second-factor"), "{asked}");
    provider.travel(660);
    let mut form = asked.form("form.stack");
    form.set("code", "123456");
    let answer = browser.submit(form, None).await;
    let again = provider.settle(&browser, answer).await;
    assert!(again.url.path().ends_with("/login"), "{again}");
    let page = Authorization::of(&client).with("prompt", "none create").open(&provider, &browser).await;
    assert_eq!(page.query_parameter("error").as_deref(), Some("invalid_request"));
}

// ---- Attackers.

#[tokio::test]
async fn another_sites_form_asks_for_nothing_and_makes_nothing() {
    let (server, provider, _client) = ready().await;
    let browser = UserAgent::new();
    let refused = browser.cross_site_post(&provider.url("/sign-up"), &[("email", "bob@example.com")]).await;
    assert_eq!(refused.status, 403);
    let link = link_for(&server, &provider, "bob@example.com").await;
    let secret = link.split_once("link=").unwrap().1;
    let fields = [("link", secret), ("username", "eve"), ("new", PASSWORD), ("repeated", PASSWORD)];
    assert_eq!(browser.cross_site_post(&provider.url("/sign-up"), &fields).await.status, 403);
    assert_eq!(count(&provider, "SELECT sub FROM users").await, 0);
    // Nothing that the form brings changes the address, or what it counts as.
    let page = browser.get(&link).await;
    assert_eq!(page.header("referrer-policy"), Some("strict-origin"));
    let fields: Vec<_> = fields.into_iter().chain([("email", "eve@attacker.example"), ("groups", "staff")]).collect();
    assert_eq!(from_ours(&provider).post_form(&provider.url("/sign-up"), &fields).await.status, 200);
    assert_eq!(provider.rows("SELECT email FROM users").await, [[Some("bob@example.com".to_owned())]]);
    assert_eq!(status(&provider.url("/sign-up?link=hp_ln_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")).await, 410);
    let document = json_of(&provider.command(&["user", "list", "--json"], ""));
    assert_eq!(document["users"].as_array().unwrap().len(), 1, "{document}");
}
