//! Mails: links that users ask for, and notices of what happened, read from a mail server that takes them.

use crate::account::{form_with, open};
use crate::support::postgres::free_port;
use crate::support::program::{Serve, done, json_of};
use crate::support::provider::{PASSWORD, copy_keys, fresh_stores, run_sql};
use crate::support::smtp::{Mail, MailServer, Way};
use crate::support::{Authorization, NewUser, Page, TestClient, TestProvider, UserAgent, folder};
use scraper::{Html, Selector};
use std::collections::BTreeSet;

const NEW: &str = "purple otter thunder shelf";
const DAY: i64 = 86_400;

// ---- Verbs of this file.

async fn ready() -> (MailServer, TestProvider, TestClient) {
    let server = MailServer::start();
    let provider = TestProvider::mailing(&server, &[]).await;
    let client = provider.client("reports").await;
    provider.alice().await;
    (server, provider, client)
}

/// Asks for a link at the page for that.
async fn forgot(provider: &TestProvider, typed: &str) -> Page {
    forgot_with(&UserAgent::new(), provider, typed).await
}

pub async fn forgot_with(browser: &UserAgent, provider: &TestProvider, typed: &str) -> Page {
    let page = browser.get(&provider.url("/reset")).await;
    assert_eq!(page.status, 200, "{page}");
    let mut form = page.form("form.stack");
    form.set("username", typed);
    browser.submit(form, None).await
}

async fn set(link: &str, password: &str) -> Page {
    let browser = UserAgent::new();
    let page = browser.get(link).await;
    assert_eq!(page.status, 200, "{page}");
    let mut form = page.form("form.stack");
    form.set("new", password).set("repeated", password);
    browser.submit(form, None).await
}

async fn signs_in(provider: &TestProvider, client: &TestClient, browser: &UserAgent, password: &str) -> bool {
    let page = Authorization::of(client).open(provider, browser).await;
    provider.type_in(browser, &page, "alice", password).await.query_parameter("code").is_some()
}

async fn status(link: &str) -> u16 {
    UserAgent::new().get(link).await.status.as_u16()
}

fn subjects(mails: &[Mail]) -> Vec<String> {
    mails.iter().map(|mail| mail.subject().to_owned()).collect()
}

fn last_link(server: &MailServer) -> String {
    let mails = server.mails().into_iter().rev().find(|mail| mail.plain().contains("?link="));
    mails.unwrap().link().to_owned()
}

async fn reasons(provider: &TestProvider) -> Vec<String> {
    provider.provider.audit.flush().await;
    let rows = provider.rows("SELECT detail FROM audit_events WHERE event = 'link_not_mailed' ORDER BY sequence").await;
    rows.iter().map(|row| row[0].clone().unwrap()).collect()
}

/// Asks at the account page for an address.
async fn ask_for_address(provider: &TestProvider, browser: &UserAgent, who: &str, email: &str) -> Page {
    let page = open(provider, browser, "/account/email", who).await;
    let mut form = page.form("form.stack");
    form.set("email", email);
    let answer = browser.submit(form, None).await;
    provider.settle(browser, answer).await
}

async fn confirm(link: &str, password: &str) -> Page {
    let browser = UserAgent::new();
    let page = browser.get(link).await;
    assert_eq!(page.status, 200, "{page}");
    let mut form = page.form("form.stack");
    form.set("password", password);
    browser.submit(form, None).await
}

async fn address(provider: &TestProvider, sub: &str) -> Vec<Option<String>> {
    let sql = format!("SELECT email, email_verified_at FROM users WHERE sub = '{sub}'");
    provider.rows(&sql).await.remove(0)
}

// ---- A forgotten password.

#[tokio::test]
async fn a_forgotten_password_is_set_anew_by_a_mailed_link_and_its_owner_is_told() {
    let (server, provider, client) = ready().await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    // From the login page and back to it, with the service that waits.
    let document = Html::parse_document(&login.body);
    let links = Selector::parse("a[href*='/reset']").unwrap();
    let href = document.select(&links).next().expect("the way is on the page").attr("href").unwrap();
    let page = browser.get(&format!("{}{href}", provider.issuer)).await;
    let mut form = page.form("form.stack");
    form.set("username", " ALICE@Example.com ");
    let answer = browser.submit(form, None).await;
    assert!(answer.status == 200 && answer.text().contains("Look into your mail"), "{answer}");
    let document = Html::parse_document(&answer.body);
    let back = Selector::parse("main a").unwrap();
    let back = document.select(&back).next().unwrap().attr("href").unwrap();
    let back = browser.get(&format!("{}{back}", provider.issuer)).await;
    assert!(back.text().contains("Sign in to continue to"), "{back}");

    provider.send_mails().await;
    let mails = server.mails();
    assert_eq!(subjects(&mails), ["Set a new password"]);
    let mail = &mails[0];
    assert_eq!((mail.to(), mail.header("from")), ("alice@example.com", "Hallpass <id@example.com>"));
    assert_eq!(mail.header("auto-submitted"), "auto-generated");
    assert!(mail.header("message-id").ends_with("@127.0.0.1>") && !mail.header("date").is_empty(), "{mail:?}");
    assert_eq!(mail.0["hello"], "[127.0.0.1]");
    assert_eq!(mail.0["defects"], serde_json::json!([]));
    let link = mail.link();
    assert!(link.starts_with(&format!("{}/reset?link=hp_ln_", provider.issuer)), "{link}");
    // Both parts say the same, and load nothing.
    assert!(mail.html().contains(link) && mail.plain().contains("30 minutes") && mail.plain().contains("alice"));
    for forbidden in ["<img", "<script", "src=", "@import", "url("] {
        assert!(!mail.html().contains(forbidden), "{forbidden}");
    }

    // Looking spends nothing; no session starts; the second factor and all else is as with an operator's link.
    assert_eq!((status(link).await, status(link).await), (200, 200));
    let page = set(link, NEW).await;
    assert!(page.status == 200 && page.text().contains("Your password is set"), "{page}");
    assert_eq!(status(link).await, 410);
    assert!(!signs_in(&provider, &client, &UserAgent::new(), PASSWORD).await);
    assert!(signs_in(&provider, &client, &browser, NEW).await);
    provider.send_mails().await;
    let mails = server.mails();
    let told = mails.iter().find(|mail| mail.subject() == "Your password was changed").expect("they are told");
    assert_eq!(told.to(), "alice@example.com");
    assert!(told.plain().contains("From: 127.0.0.1") && told.plain().contains("by a one-time link"), "{told:?}");
    assert!(!told.plain().contains("hp_ln_") && told.plain().contains(&provider.url("/reset")), "{told:?}");
}

#[tokio::test]
async fn every_name_is_answered_alike_and_only_an_address_of_ones_own_gets_a_link() {
    let (server, provider, _client) = ready().await;
    let user = |name: &str| NewUser::named(name);
    provider.add_user(user("disabled").with("disabled_at", "1700000002")).await;
    provider.add_user(user("unverified").with("email_verified_at", "NULL")).await;
    provider.add_user(user("one").with("email", "shared@example.com")).await;
    provider.add_user(user("two").with("email", "Shared@example.com")).await;
    // Another has this one's address as a user name.
    provider.add_user(user("named@example.com").with("email", "other@example.com")).await;
    provider.add_user(user("named")).await;
    provider.sql("UPDATE users SET locked_until = 9000000000 WHERE username = 'one'").await;
    let mut answers = BTreeSet::new();
    let all =
        ["alice", "stranger", "stranger@example.com", "disabled", "unverified", "one", "shared@example.com", "named"];
    for typed in all {
        let page = forgot(&provider, typed).await;
        assert!(page.header("set-cookie").is_none(), "{page}");
        answers.insert((page.status.as_u16(), page.body.clone()));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    provider.send_mails().await;
    let to: Vec<String> = server.mails().iter().map(|mail| mail.to().to_owned()).collect();
    assert_eq!(to, ["alice@example.com"]);
    // The operator finds why.
    let reasons = reasons(&provider).await;
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert!(reasons.iter().any(|why| why.contains("disabled")), "{reasons:?}");
    assert_eq!(reasons.iter().filter(|why| why.contains("no verified address of their own")).count(), 3, "{reasons:?}");
    // What cannot be a name is the user's own mistake, which says nothing of others.
    assert_eq!(forgot(&provider, " ").await.status, 422);
    assert_eq!(forgot(&provider, &"x".repeat(3000)).await.status, 422);
}

/// Whose name it is, or whether there is such a user, is looked at after the answer, so that its time tells nothing.
#[tokio::test]
async fn nothing_of_a_user_is_read_before_the_answer_at_reset() {
    let (_server, provider, _client) = ready().await;
    let db = &provider.provider.db;
    provider.add_user(NewUser::named("gone").with("disabled_at", "1700000002")).await;
    let mut before = Vec::new();
    for typed in ["alice", "alice@example.com", "gone", "stranger", "stranger@example.com"] {
        // What comes after the answer waits for a place.
        let places = provider.provider.outgoing.places.clone();
        let all = u32::try_from(places.available_permits()).unwrap();
        let _held = places.acquire_many_owned(all).await.unwrap();
        let read = db.statements();
        assert_eq!(forgot(&provider, typed).await.status, 200, "{typed}");
        before.push(db.statements() - read);
    }
    assert_eq!(before, [0; 5]);
}

#[tokio::test]
async fn three_mailed_links_are_open_beside_one_of_the_operators_and_using_one_ends_all() {
    let (server, provider, client) = ready().await;
    let operators = done(provider.command(&["user", "reset-link", "alice"], "")).stdout.trim().to_owned();
    for _ in 0..2 {
        forgot(&provider, "alice").await;
    }
    provider.send_mails().await;
    // One that waits counts as well.
    for _ in 0..4 {
        forgot(&provider, "alice").await;
        provider.mails_are_queued().await;
    }
    provider.send_mails().await;
    let links: Vec<String> = server.mails().iter().map(|mail| mail.link().to_owned()).collect();
    assert_eq!(links.len(), 3);
    assert_eq!(links.iter().collect::<BTreeSet<_>>().len(), 3);
    for link in links.iter().chain([&operators]) {
        assert_eq!(status(link).await, 200);
    }
    assert_eq!(reasons(&provider).await.len(), 3);
    assert_eq!(set(&links[1], NEW).await.status, 200);
    for link in links.iter().chain([&operators]) {
        assert_eq!(status(link).await, 410);
    }
    assert!(signs_in(&provider, &client, &UserAgent::new(), NEW).await);
    // There is room again, also after the time of those that were not used.
    forgot(&provider, "alice").await;
    provider.send_mails().await;
    let last = last_link(&server);
    assert_eq!(status(&last).await, 200);
    provider.travel(1801);
    assert_eq!(status(&last).await, 410);
    // An operator ends what is open, mailed or not.
    forgot(&provider, "alice").await;
    provider.send_mails().await;
    let last = last_link(&server);
    done(provider.command(&["user", "reset-link", "alice", "--revoke"], ""));
    assert_eq!(status(&last).await, 410);
}

#[tokio::test]
async fn many_who_ask_at_once_open_no_more_than_three() {
    let (server, provider, _client) = ready().await;
    let asking = (0..12).map(|_| forgot(&provider, "alice"));
    futures_util::future::join_all(asking).await;
    let other = provider.second_mailing_node(&server, &[("issuer", &provider.issuer)]).await;
    tokio::join!(provider.send_mails(), provider.send_mails(), other.send_mails());
    assert_eq!(server.mails().len(), 3, "each mail once, by whichever node");
}

#[tokio::test]
async fn one_network_asks_for_so_many_and_no_more_and_is_answered_alike() {
    let server = MailServer::start();
    let provider = TestProvider::mailing(&server, &[("trusted_proxies", "127.0.0.1")]).await;
    provider.alice().await;
    for number in 0..25 {
        provider.add_user(NewUser::named(&format!("user{number}"))).await;
    }
    let mut answers = BTreeSet::new();
    for number in 0..25 {
        let browser = UserAgent::new().with_header("x-forwarded-for", "198.51.100.7");
        answers.insert(forgot_with(&browser, &provider, &format!("user{number}")).await.body);
        provider.mails_are_queued().await;
    }
    assert_eq!(answers.len(), 1);
    provider.send_mails().await;
    assert_eq!(server.mails().len(), 20);
    // Another network is not kept from it.
    let elsewhere = UserAgent::new().with_header("x-forwarded-for", "203.0.113.9");
    forgot_with(&elsewhere, &provider, "alice").await;
    provider.send_mails().await;
    let mails = server.mails();
    assert_eq!((mails.len(), mails[20].to()), (21, "alice@example.com"));
    assert!(mails[20].plain().contains("From: 203.0.113.9"), "{:?}", mails[20]);
    provider.travel(3601);
    let browser = UserAgent::new().with_header("x-forwarded-for", "198.51.100.7");
    forgot_with(&browser, &provider, "alice").await;
    provider.send_mails().await;
    assert_eq!(server.mails().len(), 22);
}

#[tokio::test]
async fn a_link_leads_to_the_issuer_whatever_a_request_says_of_the_host() {
    let (server, provider, _client) = ready().await;
    let browser =
        UserAgent::new().with_header("x-forwarded-host", "evil.example").with_header("forwarded", "host=evil.example");
    let page = browser.get(&provider.url("/reset")).await;
    let mut form = page.form("form.stack");
    form.set("username", "alice");
    browser.submit(form, None).await;
    // The host of the request itself.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let sent = http.post(provider.url("/reset")).header("host", "evil.example").header("origin", &provider.issuer);
    assert_eq!(sent.form(&[("username", "alice")]).send().await.unwrap().status(), 200);
    // A page that hides where it is from.
    for hidden in [None, Some("null")] {
        let sent = http.post(provider.url("/reset")).form(&[("username", "alice")]);
        let sent = hidden.into_iter().fold(sent, |sent, origin| sent.header("origin", origin));
        assert_eq!(sent.send().await.unwrap().status(), 403);
    }
    provider.send_mails().await;
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    for mail in mails {
        assert!(mail.link().starts_with(&provider.issuer) && !mail.plain().contains("evil"), "{mail:?}");
        assert!(!mail.html().contains("evil"), "{mail:?}");
    }
    // Another site's form is refused.
    let evil = UserAgent::new();
    let refused = evil.cross_site_post(&provider.url("/reset"), &[("username", "alice")]).await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn without_a_mail_server_the_page_says_whom_to_ask() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    assert!(!login.body.contains("/reset"), "{login}");
    let page = browser.get(&provider.url("/reset")).await;
    assert!(page.status == 200 && page.text().contains("Ask the people"), "{page}");
    assert!(page.forms().is_empty());
    let sent = browser.post_form(&provider.url("/reset"), &[("username", "alice")]).await;
    assert!(sent.text().contains("Ask the people"), "{sent}");
    let page = open(&provider, &browser, "/account", "alice").await;
    assert!(!page.body.contains("/account/email"), "{page}");
    let page = open(&provider, &browser, "/account/email", "alice").await;
    assert!(page.text().contains("ask the people") && page.forms().is_empty(), "{page}");
    // Nothing piles up where no node sends mails.
    done(provider.command(&["user", "set-password", "alice", "--password-stdin"], NEW));
    assert_eq!(provider.rows("SELECT mail_id FROM mail_outbox").await.len(), 0);
}

// ---- The way out.

#[tokio::test]
async fn the_queue_holds_no_link_and_one_whose_mail_is_refused_is_forgotten() {
    let (server, provider, _client) = ready().await;
    server.answers_to_sender("451 4.3.2 come again");
    forgot(&provider, "alice").await;
    provider.mails_are_queued().await;
    let all = provider.rows("SELECT mail_id, kind, sub, address, detail, last_result FROM mail_outbox").await;
    assert_eq!(all.len(), 1);
    assert!(!format!("{all:?}").contains("hp_ln_"), "{all:?}");
    let links = async || provider.rows("SELECT digest FROM user_links").await.len();
    assert_eq!(links().await, 0, "it is made when the mail is handed over");
    provider.send_mails().await;
    assert_eq!((links().await, server.mails().len()), (0, 0));
    let why = provider.rows("SELECT last_result, tries FROM mail_outbox").await.remove(0);
    assert!(why[0].as_deref().unwrap().contains("takes no mail (451)") && why[1].as_deref() == Some("1"), "{why:?}");
    let degraded = provider.provider.degraded.members();
    assert!(degraded["mail"].contains("takes no mail"), "{degraded:?}");
    // Not before its time, and then again.
    provider.send_mails().await;
    assert_eq!(provider.rows("SELECT tries FROM mail_outbox").await[0][0].as_deref(), Some("1"));
    server.answers_to_sender("");
    provider.travel(6);
    provider.send_mails().await;
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(status(mails[0].link()).await, 200);
    assert!(!provider.provider.degraded.members().contains_key("mail"));
    assert_eq!(provider.rows("SELECT mail_id FROM mail_outbox").await.len(), 0);
}

#[tokio::test]
async fn an_address_that_the_server_refuses_for_good_is_given_up_at_once_and_one_that_waits_in_the_end() {
    let (server, provider, _client) = ready().await;
    server.answers("550 5.1.1 no such mailbox");
    forgot(&provider, "alice").await;
    provider.send_mails().await;
    assert_eq!(provider.rows("SELECT mail_id FROM mail_outbox").await.len(), 0);
    assert!(!provider.provider.degraded.members().contains_key("mail"), "the server is well");
    let given_up = provider.rows("SELECT detail, personal FROM audit_events WHERE event = 'mail_given_up'").await;
    assert!(given_up[0][0].as_deref().unwrap().contains("password_link"), "{given_up:?}");
    assert!(given_up[0][1].as_deref().unwrap().contains("no such mailbox"), "{given_up:?}");
    // A server that lets us send nothing refuses no single mail: all of them wait.
    server.answers("");
    server.answers_to_sender("553 5.7.1 not your address");
    forgot(&provider, "alice").await;
    provider.send_mails().await;
    assert_eq!(provider.rows("SELECT mail_id FROM mail_outbox").await.len(), 1);
    let degraded = provider.provider.degraded.members();
    assert!(degraded["mail"].contains("(553)") && !degraded["mail"].contains("not your address"), "{degraded:?}");
    server.answers_to_sender("");
    // Many say so only where the recipient is named.
    server.answers("554 5.7.1 relay access denied");
    provider.travel(6);
    provider.send_mails().await;
    assert_eq!(provider.rows("SELECT mail_id FROM mail_outbox").await.len(), 1);
    assert!(provider.provider.degraded.members()["mail"].contains("(554)"));
    server.answers("");
    provider.travel(16);
    provider.send_mails().await;
    assert_eq!((server.mails().len(), provider.provider.degraded.members().contains_key("mail")), (1, false));
    // One address that is put off says nothing of the server.
    server.answers("451 4.7.1 greylisted");
    forgot(&provider, "alice").await;
    provider.send_mails().await;
    assert!(!provider.provider.degraded.members().contains_key("mail"));
    provider.sql("DELETE FROM mail_outbox").await;
    // A link that is an hour late is of no use; a notice is, for two days.
    server.answers("421 4.3.2 busy");
    forgot(&provider, "alice").await;
    done(provider.command(&["user", "set-password", "alice", "--password-stdin"], NEW));
    for _ in 0..12 {
        provider.send_mails().await;
        provider.travel(600);
    }
    let waiting = provider.rows("SELECT kind FROM mail_outbox").await;
    assert_eq!(waiting, [[Some("password_set".to_owned())]]);
    provider.travel(2 * DAY);
    provider.send_mails().await;
    assert_eq!(provider.rows("SELECT kind FROM mail_outbox").await.len(), 0);
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_link_goes_only_where_the_address_is_the_users_own_when_it_is_handed_over() {
    let (server, provider, _client) = ready().await;
    let waiting = async || provider.rows("SELECT mail_id FROM mail_outbox").await.len();
    for sql in [
        "UPDATE users SET email = 'elsewhere@example.com' WHERE sub = 'alice-sub'",
        "UPDATE users SET disabled_at = 1 WHERE sub = 'alice-sub'",
        "UPDATE users SET email_verified_at = NULL WHERE sub = 'alice-sub'",
        "UPDATE users SET email = NULL WHERE sub = 'alice-sub'",
    ] {
        forgot(&provider, "alice").await;
        provider.mails_are_queued().await;
        assert_eq!(waiting().await, 1, "{sql}");
        provider.sql(sql).await;
        provider.send_mails().await;
        assert_eq!(waiting().await, 0, "{sql}");
        let back = "UPDATE users SET email = 'alice@example.com', email_verified_at = 1, disabled_at = NULL WHERE sub = 'alice-sub'";
        provider.sql(back).await;
        provider.travel(10);
    }
    forgot(&provider, "alice").await;
    provider.mails_are_queued().await;
    provider.add_user(NewUser::named("twin").with("email", "Alice@example.com")).await;
    // Rows by hand are folded when any is looked for.
    forgot(&provider, "stranger").await;
    provider.mails_are_queued().await;
    assert_eq!(waiting().await, 1);
    provider.send_mails().await;
    assert_eq!(server.mails().len(), 0, "{:?}", server.mails());
    assert_eq!(provider.rows("SELECT digest FROM user_links").await.len(), 0);
    assert_eq!(waiting().await, 0);
    provider.sql("DELETE FROM users WHERE sub = 'twin-sub'").await;
    forgot(&provider, "alice").await;
    provider.mails_are_queued().await;
    assert_eq!(waiting().await, 1);
    provider.sql("DELETE FROM users WHERE sub = 'alice-sub'").await;
    assert_eq!(waiting().await, 0, "mails of a user who is gone are gone");
}

#[tokio::test]
async fn what_ends_links_ends_those_that_wait_to_be_mailed() {
    let (server, provider, _client) = ready().await;
    let waiting = async || provider.rows("SELECT mail_id FROM mail_outbox WHERE kind = 'password_link'").await.len();
    let ask = async || {
        forgot(&provider, "alice").await;
        provider.mails_are_queued().await;
        assert_eq!(waiting().await, 1);
    };
    ask().await;
    let link = done(provider.command(&["user", "reset-link", "alice"], "")).stdout.trim().to_owned();
    assert_eq!(waiting().await, 1, "one of the operator's takes nothing away");
    assert_eq!(set(&link, NEW).await.status, 200);
    assert_eq!(waiting().await, 0);
    for command in [
        &["user", "reset-link", "alice", "--revoke"][..],
        &["user", "set-password", "alice", "--password-stdin"],
        &["user", "edit", "alice", "--email", "other@example.com"],
        &["user", "disable", "alice", "--yes"],
    ] {
        ask().await;
        done(provider.command(command, PASSWORD));
        assert_eq!(waiting().await, 0, "{command:?}");
        provider.sql("UPDATE users SET email_verified_at = 1 WHERE sub = 'alice-sub'").await;
        provider.travel(10);
    }
    provider.send_mails().await;
    assert!(server.mails().iter().all(|mail| !mail.plain().contains("?link=")), "{:?}", server.mails());
}

#[tokio::test]
async fn a_link_that_was_asked_for_long_ago_is_not_mailed_and_a_notice_is() {
    let (server, provider, _client) = ready().await;
    forgot(&provider, "alice").await;
    done(provider.command(&["user", "set-password", "alice", "--password-stdin"], NEW));
    forgot(&provider, "alice").await;
    provider.mails_are_queued().await;
    provider.travel(3601);
    provider.send_mails().await;
    assert_eq!(subjects(&server.mails()), ["Your password was changed"]);
    let given_up = provider.rows("SELECT personal FROM audit_events WHERE event = 'mail_given_up'").await;
    assert!(given_up.len() == 1 && given_up[0][0].as_deref().unwrap().contains("too long"), "{given_up:?}");
}

#[tokio::test]
async fn mails_travel_encrypted_with_a_password_and_not_at_all_otherwise() {
    for way in [Way::StartTls, Way::Tls] {
        let server = MailServer::of(way, true);
        let settings = [("outbound_ca", server.certificate())];
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let provider = TestProvider::mailing(&server, &settings).await;
        provider.alice().await;
        forgot(&provider, "alice").await;
        provider.send_mails().await;
        assert_eq!(server.mails().len(), 1, "{:?}", provider.provider.degraded.members());
        assert_eq!(server.mails()[0].0["is_encrypted"], true);
        // A certificate that is not known.
        let provider = TestProvider::mailing(&server, &[]).await;
        provider.alice().await;
        forgot(&provider, "alice").await;
        provider.send_mails().await;
        assert!(provider.provider.degraded.members().contains_key("mail"));
        assert_eq!(server.mails().len(), 1);
        // Another password.
        let wrong = server.url().replace("word@", "wort@");
        let all = [settings[0], ("smtp_url", wrong.as_str())];
        let provider = TestProvider::mailing(&server, &all).await;
        provider.alice().await;
        forgot(&provider, "alice").await;
        provider.send_mails().await;
        let degraded = provider.provider.degraded.members();
        assert!(degraded["mail"].contains("(535)") && !degraded["mail"].contains("wort"), "{degraded:?}");
        assert_eq!(server.mails().len(), 1);
    }
    // A server, or an attacker in between, that offers no STARTTLS.
    let server = MailServer::start();
    let url = server.url().replace("tls=none", "tls=required");
    let provider = TestProvider::mailing(&server, &[("smtp_url", &url)]).await;
    provider.alice().await;
    forgot(&provider, "alice").await;
    provider.send_mails().await;
    assert!(provider.provider.degraded.members().contains_key("mail"));
    assert_eq!(server.mails().len(), 0);
}

#[tokio::test]
async fn what_is_queued_survives_a_restart_and_the_node_sends_it_by_itself() {
    let folder = folder();
    let (database_url, redis_url) = fresh_stores(folder.path());
    copy_keys(&folder.path().join("keys"));
    let port = free_port();
    let (listen, management) = (free_port(), free_port());
    let variables: Vec<(String, String)> = [
        ("HALLPASS_ISSUER", format!("http://localhost:{listen}")),
        ("HALLPASS_LISTEN", format!("127.0.0.1:{listen}")),
        ("HALLPASS_MANAGEMENT_LISTEN", format!("127.0.0.1:{management}")),
        ("HALLPASS_DATABASE_URL", database_url),
        ("HALLPASS_REDIS_URL", redis_url),
        ("HALLPASS_SMTP_URL", format!("smtp://127.0.0.1:{port}?tls=none")),
        ("HALLPASS_MAIL_FROM", "id@example.com".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    // No mail server is there yet.
    let serve = Serve::again(folder.path(), variables.clone());
    let add = ["user", "add", "alice", "--email", "alice@example.com", "--password-stdin"];
    let command = |arguments: &[&str], input: &str| {
        done(crate::support::program::run_with(folder.path(), arguments, &serve.variables(), input))
    };
    command(&add, PASSWORD);
    let browser = UserAgent::new();
    let browser = browser.with_header("origin", &serve.issuer);
    let sent = browser.post_form(&format!("{}/reset", serve.issuer), &[("username", "alice")]).await;
    assert_eq!(sent.status, 200, "{sent}");
    serve.running.wait_for("a mail waits");
    let (issuer, ready) = (serve.issuer.clone(), format!("http://127.0.0.1:{management}/health/ready"));
    let readiness = reqwest::get(&ready).await.unwrap();
    assert_eq!(readiness.status(), 200);
    assert!(readiness.text().await.unwrap().contains("takes no mail"));
    let doctor = crate::support::program::run_with(folder.path(), &["doctor", "--json"], &serve.variables(), "");
    let report = json_of(&doctor);
    let told = report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "mail");
    assert!(format!("{told:?}").contains("takes no mail"), "{report}");
    drop(serve);
    // Whenever the node that was ended would have tried it again.
    run_sql(
        &variables.iter().find(|(name, _)| name == "HALLPASS_DATABASE_URL").unwrap().1,
        "UPDATE mail_outbox SET due_at = 0",
    )
    .await
    .unwrap();
    let server = MailServer::at(port, Way::Plain, false);
    let serve = Serve::again(folder.path(), variables);
    let mails = server.wait_for(1).await;
    assert!(mails[0].link().starts_with(&issuer), "{mails:?}");
    // Asked for while it runs, it is on its way at once, and so is a notice of a command within a few seconds.
    browser.post_form(&format!("{issuer}/reset"), &[("username", "alice")]).await;
    assert_eq!(server.wait_for(2).await.len(), 2);
    let another = ["user", "set-password", "alice", "--password-stdin"];
    done(crate::support::program::run_with(folder.path(), &another, &serve.variables(), NEW));
    let mails = server.wait_for(3).await;
    assert_eq!(mails[2].subject(), "Your password was changed");
    let doctor = crate::support::program::run_with(folder.path(), &["doctor", "--json"], &serve.variables(), "");
    assert!(doctor.stdout.contains(&format!("127.0.0.1:{port} takes mails")), "{doctor:?}");
}

// ---- Notices.

#[tokio::test]
async fn each_change_of_what_an_account_is_opened_by_is_told_to_its_owner() {
    let (server, provider, client) = ready().await;
    let browser = UserAgent::new();
    let page = open(&provider, &browser, "/account/password", "alice").await;
    let mut form = page.form("form.stack");
    form.set("old", PASSWORD).set("new", NEW).set("repeated", NEW);
    browser.submit(form, Some(("action", "change"))).await;
    provider.send_mails().await;
    // The first sign-in of all is told as well: the browser had not been seen.
    let told = subjects(&server.mails());
    assert_eq!(told.iter().filter(|subject| *subject == "Your password was changed").count(), 1, "{told:?}");
    done(provider.command(&["user", "set-password", "alice", "--password-stdin"], PASSWORD));
    provider.send_mails().await;
    let last = server.mails().pop().unwrap();
    assert!(last.plain().contains("An administrator gave your account alice"), "{last:?}");
    let before = server.mails().len();
    provider.enroll("alice-sub").await;
    provider.send_mails().await;
    let told: BTreeSet<String> = subjects(&server.mails()[before..]).into_iter().collect();
    assert_eq!(told, ["A second factor was added", "New recovery codes"].map(str::to_owned).into());
    let before = server.mails().len();
    done(provider.command(&["user", "factor", "remove", "alice", "--all", "--yes"], ""));
    provider.send_mails().await;
    assert_eq!(subjects(&server.mails()[before..]), ["A second factor was removed"]);
    // To an address that is not verified nothing is told: it may be another person's.
    provider.sql("UPDATE users SET email_verified_at = NULL WHERE sub = 'alice-sub'").await;
    let before = server.mails().len();
    done(provider.command(&["user", "set-password", "alice", "--password-stdin"], NEW));
    provider.send_mails().await;
    assert_eq!(server.mails().len(), before);
    let _ = client;
}

#[tokio::test]
async fn a_sign_in_from_a_browser_that_was_not_seen_before_is_told_and_one_from_a_known_one_is_not() {
    let (server, provider, client) = ready().await;
    let known = UserAgent::new();
    // Within an hour after the account was made each browser is a new one.
    provider.sql(&format!("UPDATE users SET created_at = {}", provider.now())).await;
    assert!(signs_in(&provider, &client, &known, PASSWORD).await);
    provider.send_mails().await;
    assert_eq!(server.mails().len(), 0);
    provider.travel(2 * 3600);
    for _ in 0..2 {
        let page = Authorization::of(&client).with("prompt", "login").open(&provider, &known).await;
        let page = provider.type_in(&known, &page, "alice", PASSWORD).await;
        assert!(page.query_parameter("code").is_some(), "{page}");
    }
    provider.send_mails().await;
    assert_eq!(server.mails().len(), 0);
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let other = UserAgent::new().with_header("user-agent", firefox);
    assert!(signs_in(&provider, &client, &other, PASSWORD).await);
    provider.send_mails().await;
    let mails = server.mails();
    assert_eq!(subjects(&mails), ["A sign-in from a new browser"]);
    let plain = mails[0].plain();
    assert!(plain.contains("Browser: Firefox on Linux") && plain.contains("From: 127.0.0.1"), "{plain}");
    // Many at once are one mail, and a wrong password none.
    for _ in 0..3 {
        assert!(signs_in(&provider, &client, &UserAgent::new(), PASSWORD).await);
    }
    assert!(!signs_in(&provider, &client, &UserAgent::new(), "wrong").await);
    provider.send_mails().await;
    assert_eq!(server.mails().len(), 2);
    // With a second factor, only once both are proven.
    let authenticator = provider.enroll("alice-sub").await;
    provider.send_mails().await;
    let before = server.mails().len();
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    provider.send_mails().await;
    assert_eq!(server.mails().len(), before);
    let page = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
    assert!(page.query_parameter("code").is_some(), "{page}");
    provider.send_mails().await;
    assert_eq!(subjects(&server.mails()[before..]), ["A sign-in from a new browser"]);
}

#[tokio::test]
async fn a_name_with_markup_and_lines_is_a_name_in_a_mail() {
    let server = MailServer::start();
    let provider =
        TestProvider::mailing(&server, &[("name", "A <b>&\"' Ltd."), ("help_url", "https://example.com/help")]).await;
    provider.add_user(NewUser::named("<b>x").with("email", "x@example.com")).await;
    forgot(&provider, "<b>x").await;
    provider.send_mails().await;
    let mail = server.mails().remove(0);
    assert!(!mail.html().contains("<b>") && mail.html().contains("&#60;b&#62;x"), "{mail:?}");
    assert!(mail.plain().contains("<b>x") && mail.plain().contains("https://example.com/help"), "{mail:?}");
    assert!(mail.header("from").contains("A <b>&") && mail.header("from").ends_with("<id@example.com>"), "{mail:?}");
    assert_eq!((mail.to(), mail.0["from"].as_str()), ("x@example.com", Some("id@example.com")));
    // Addresses in another script travel in ASCII.
    provider.add_user(NewUser::named("b").with("email", "b@b\u{fc}cher.example")).await;
    forgot(&provider, "b").await;
    provider.send_mails().await;
    assert_eq!(server.mails()[1].to(), "b@xn--bcher-kva.example");
}

// ---- Another address.

#[tokio::test]
async fn an_address_becomes_the_users_by_the_mailed_link_and_the_password_and_the_old_one_is_told() {
    let (server, provider, client) = ready().await;
    let browser = UserAgent::new();
    let page = ask_for_address(&provider, &browser, "alice", "new@example.com").await;
    assert!(page.text().contains("a link is on its way there"), "{page}");
    let open_link = done(provider.command(&["user", "reset-link", "alice"], "")).stdout.trim().to_owned();
    provider.send_mails().await;
    let mail = server.mails().into_iter().find(|mail| mail.to() == "new@example.com").unwrap();
    assert_eq!(mail.subject(), "Confirm your e-mail address");
    let link = mail.link().to_owned();
    assert!(link.starts_with(&provider.url("/account/email/confirmation?link=hp_ln_")), "{link}");
    let old = address(&provider, "alice-sub").await;
    assert_eq!(old[0].as_deref(), Some("alice@example.com"));
    // The link alone does nothing: a stranger may have the address that was typed.
    let page = UserAgent::new().get(&link).await;
    assert_eq!(page.header("referrer-policy"), Some("strict-origin"));
    let wrong = confirm(&link, "not the password").await;
    assert_eq!(wrong.status, 422, "{wrong}");
    assert_eq!(address(&provider, "alice-sub").await, old);
    let right = confirm(&link, PASSWORD).await;
    assert!(right.status == 200 && right.text().contains("new@example.com"), "{right}");
    let new = address(&provider, "alice-sub").await;
    assert!(new[0].as_deref() == Some("new@example.com") && new[1].is_some(), "{new:?}");
    // It and all other links have ended.
    assert_eq!((status(&link).await, status(&open_link).await), (410, 410));
    provider.send_mails().await;
    let told: Vec<Mail> = server.mails().into_iter().filter(|mail| mail.subject().contains("was changed")).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].to(), told[0].subject()), ("alice@example.com", "Your e-mail address was changed"));
    assert!(!told[0].plain().contains("new@example.com"), "the old address is not told the new one");
    // Services are told of it, and the user signs in with it.
    let tokens = provider.tokens(&UserAgent::new(), &client).await;
    provider.travel(10);
    let userinfo = provider.userinfo(&tokens.text("access_token")).await.json();
    assert_eq!(
        (userinfo["email"].as_str(), userinfo["email_verified"].as_bool()),
        (Some("new@example.com"), Some(true))
    );
    // An operator's change is told to the old address, too.
    let before = server.mails().len();
    done(provider.command(&["user", "edit", "alice", "--email", "third@example.com"], ""));
    provider.send_mails().await;
    let told: Vec<String> = server.mails()[before..].iter().map(|mail| mail.to().to_owned()).collect();
    assert!(told.contains(&"new@example.com".to_owned()), "{told:?}");
}

#[tokio::test]
async fn the_address_of_another_is_answered_alike_and_never_taken() {
    let (server, provider, _client) = ready().await;
    provider.add_user(NewUser::named("bob")).await;
    provider.add_user(NewUser::named("carol@example.com").with("email", "c@example.com")).await;
    let browser = UserAgent::new();
    // All that the user sees of it, then and later.
    let mut seen = BTreeSet::new();
    for email in ["free@example.com", "BOB@example.com", "carol@example.com"] {
        provider.sql("DELETE FROM audit_events").await;
        let page = ask_for_address(&provider, &browser, "alice", "mine@example.com").await;
        assert_eq!(page.status, 200);
        provider.send_mails().await;
        let own = last_link(&server);
        let answer = ask_for_address(&provider, &browser, "alice", email).await;
        provider.send_mails().await;
        let events = browser.get(&provider.url("/account/events")).await;
        let data = open(&provider, &browser, "/account/data", "alice").await;
        let file = browser.submit(form_with(&data, ""), None).await;
        let file: serde_json::Value = serde_json::from_str(&file.body).unwrap();
        // But for the sign-in of this test and the mail of that.
        let own_kinds = ["sign_in", "user_exported", "new_browser"];
        let kinds = file["events"].as_array().unwrap().iter();
        let kinds = kinds.map(|it| format!("{} {}", it["event"], it["detail"]["kind"]));
        let mut kinds: Vec<String> = kinds.filter(|kind| !own_kinds.iter().any(|own| kind.contains(own))).collect();
        kinds.sort_unstable();
        let told = format!("{} {:?} {} {}", status(&own).await, kinds, file["links"], file["mails"]);
        let asked = events.text().matches("You asked for a link").count();
        let what = (asked, events.text().contains("mailed to you"));
        seen.insert((answer.status.as_u16(), answer.text().replace(email, ""), told, what));
        provider.travel(3601);
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
    assert!(format!("{seen:?}").contains("410 [") && format!("{seen:?}").contains("user_link_made"), "{seen:#?}");
    let mut to: Vec<String> =
        server.mails().iter().filter(|mail| mail.plain().contains("?link=")).map(|mail| mail.to().to_owned()).collect();
    to.retain(|to| to != "mine@example.com");
    assert_eq!(to, ["free@example.com"]);
    // Another user has it by the time the link is used.
    ask_for_address(&provider, &browser, "alice", "free@example.com").await;
    provider.send_mails().await;
    let link = last_link(&server);
    provider.add_user(NewUser::named("dave").with("email", "free@example.com")).await;
    assert_eq!(confirm(&link, PASSWORD).await.status, 410);
    assert_eq!(address(&provider, "alice-sub").await[0].as_deref(), Some("alice@example.com"));
}

#[tokio::test]
async fn addresses_that_users_type_have_a_budget_by_user_and_by_address() {
    let (server, provider, _client) = ready().await;
    let browser = UserAgent::new();
    // What is no address is refused, and five an hour are enough.
    assert_eq!(ask_for_address(&provider, &browser, "alice", "a@b@c").await.status, 422);
    for _ in 0..5 {
        assert_eq!(ask_for_address(&provider, &browser, "alice", "free@example.com").await.status, 200);
        provider.send_mails().await;
    }
    let page = ask_for_address(&provider, &browser, "alice", "free@example.com").await;
    assert!(page.status == 429 && page.header("retry-after").is_some(), "{page}");
    let to_it = || server.mails().iter().filter(|mail| mail.to() == "free@example.com").count();
    assert_eq!(to_it(), 5);
    // An address gets five a day, and others who type it are answered alike.
    provider.add_user(NewUser::named("bob")).await;
    let other = UserAgent::new();
    ask_for_address(&provider, &other, "bob", "bobs@example.com").await;
    provider.send_mails().await;
    let own = last_link(&server);
    let page = ask_for_address(&provider, &other, "bob", "FREE@example.com").await;
    assert!(page.status == 200 && page.text().contains("a link is on its way there"), "{page}");
    provider.send_mails().await;
    assert_eq!(to_it(), 5);
    // Nor does anything else tell that others have typed it.
    assert_eq!(status(&own).await, 410);
    let events = other.get(&provider.url("/account/events")).await;
    assert_eq!(events.text().matches("You asked for a link").count(), 2, "{events}");
}

#[tokio::test]
async fn an_address_that_is_there_is_verified_alike_and_a_newer_link_takes_the_place_of_the_older() {
    let (server, provider, _client) = ready().await;
    provider.sql("UPDATE users SET email_verified_at = NULL WHERE sub = 'alice-sub'").await;
    let browser = UserAgent::new();
    let page = open(&provider, &browser, "/account/email", "alice").await;
    assert_eq!(page.form("form.stack").value("email"), Some("alice@example.com"), "the address is typed in already");
    browser.submit(page.form("form.stack"), None).await;
    provider.send_mails().await;
    let first = last_link(&server);
    ask_for_address(&provider, &browser, "alice", "alice@example.com").await;
    provider.send_mails().await;
    let second = last_link(&server);
    assert_eq!((status(&first).await, status(&second).await), (410, 200));
    // A link for one thing does no other.
    let secret = second.split_once("link=").unwrap().1;
    for page in ["/reset", "/account/enrollment", "/invitation"] {
        assert_eq!(status(&provider.url(&format!("{page}?link={secret}"))).await, 410, "{page}");
    }
    // Two at once: one of them is answered that it is done.
    let (one, two) = tokio::join!(confirm(&second, PASSWORD), confirm(&second, PASSWORD));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410]);
    assert!(address(&provider, "alice-sub").await[1].is_some());
    provider.send_mails().await;
    assert!(!subjects(&server.mails()).contains(&"Your e-mail address was changed".to_owned()));
    // It wants a fresh sign-in.
    provider.travel(301);
    let page = browser.get(&provider.url("/account/email")).await;
    assert!(provider.settle(&browser, page).await.url.path().ends_with("/login"));
}

// ---- A second factor that is demanded.

#[tokio::test]
async fn whose_days_for_a_second_factor_are_over_is_mailed_a_link_that_wants_the_password() {
    let (server, provider, client) = ready().await;
    for arguments in [
        &["group", "new", "staff"][..],
        &["group", "add", "staff", "alice"],
        &["group", "edit", "staff", "--second-factor", "1"],
    ] {
        done(provider.command(arguments, ""));
    }
    provider.sql("UPDATE users SET second_factor_asked_at = 1700000000 WHERE sub = 'alice-sub'").await;
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    assert!(page.status == 403 && page.text().contains("is on its way to your e-mail address"), "{page}");
    provider.send_mails().await;
    let mail = server.mails().remove(0);
    assert_eq!(mail.subject(), "Set up your second factor");
    assert!(mail.link().starts_with(&provider.url("/account/enrollment?link=hp_ln_")), "{mail:?}");
    assert_eq!(status(mail.link()).await, 200);
    // Who does not know the password is told and mailed nothing.
    for _ in 0..3 {
        let browser = UserAgent::new();
        let login = Authorization::of(&client).open(&provider, &browser).await;
        let page = provider.type_in(&browser, &login, "alice", "wrong").await;
        assert!(!page.text().contains("on its way"), "{page}");
    }
    provider.send_mails().await;
    assert_eq!(server.mails().len(), 1);
    // Where there is no address of their own, the operator is asked.
    provider.sql("UPDATE users SET email_verified_at = NULL WHERE sub = 'alice-sub'").await;
    provider.travel(10);
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    assert!(page.text().contains("Ask those who run this sign-in"), "{page}");
    // `by-link` is the operator's own hand: the mailbox alone would be enough otherwise.
    provider.sql("UPDATE users SET email_verified_at = 1 WHERE sub = 'alice-sub'").await;
    done(provider.command(&["group", "edit", "staff", "--second-factor", "by-link"], ""));
    provider.travel(10);
    let browser = UserAgent::new();
    let login = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &login, "alice", PASSWORD).await;
    assert!(page.text().contains("Ask those who run this sign-in"), "{page}");
    provider.send_mails().await;
    assert_eq!(server.mails().len(), 1);
}
