//! Sign-ins as rows: listed, ended and told, whichever process has the live record.

use crate::account::open;
use crate::support::listener::LogoutListener;
use crate::support::passkeys::{SoftAuthenticator, options_of};
use crate::support::program::{Serve, done, run_with};
use crate::support::provider::{PASSWORD, Stores, copy_keys, fresh_stores, run_sql, stores};
use crate::support::remote::Remote;
use crate::support::verbs::{http, origin_of, send};
use crate::support::{
    Api, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent, claims_of, folder,
};
use hallpass::logout;
use hallpass::protocol::secret::SessionId;
use hallpass::sign_ins::settle;
use hallpass::store::sessions;
use serde_json::Value;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

async fn service(provider: &TestProvider, id: &str, listener: &LogoutListener) -> TestClient {
    provider.add(NewClient::new(id).with("consent", "skip").with("backchannel_logout_uri", &listener.uri)).await
}

async fn ready() -> (TestProvider, TestClient, LogoutListener) {
    let (provider, listener) = (TestProvider::start().await, LogoutListener::start().await);
    let client = service(&provider, "reports", &listener).await;
    provider.alice().await;
    (provider, client, listener)
}

fn listed(provider: &TestProvider, who: &str) -> Vec<Value> {
    let list = done(provider.command(&["user", "sessions", "list", who, "--json"], ""));
    let document: Value = serde_json::from_str(&list.stdout).unwrap();
    document["sessions"].as_array().unwrap().clone()
}

/// What the browser's cookie of a session says.
fn session_of(browser: &UserAgent) -> SessionId {
    let cookie = browser.cookies().into_iter().find(|cookie| cookie.name.contains("session")).unwrap();
    SessionId::received(cookie.value)
}

/// Whether a browser is signed in without a form.
async fn is_signed_in(provider: &TestProvider, browser: &UserAgent, client: &TestClient) -> bool {
    let page = Authorization::of(client).with("prompt", "none").open(provider, browser).await;
    page.query_parameter("code").is_some()
}

#[tokio::test]
async fn a_sign_in_is_listed_with_browser_and_network_and_when_it_was_used() {
    let (provider, client, _listener) = ready().await;
    assert_eq!(listed(&provider, "alice"), Vec::<Value>::new());
    let browser = UserAgent::new().with_header("user-agent", FIREFOX);
    let _ = provider.tokens(&browser, &client).await;
    let rows = listed(&provider, "alice@example.com");
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0]["browser"].as_str(), rows[0]["network"].as_str()),
        (Some("Firefox on Linux"), Some("127.0.0.1"))
    );
    assert_eq!(rows[0]["started_at"], rows[0]["last_used_at"]);
    // Typed again it continues, under the same name; in another browser it is another.
    let page = Authorization::of(&client).with("prompt", "login").open(&provider, &browser).await;
    let _ = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    let _ = provider.tokens(&UserAgent::new(), &client).await;
    let again = listed(&provider, "alice");
    assert_eq!(again.len(), 2);
    assert!(again.iter().any(|row| row["session"] == rows[0]["session"] && row["started_at"] == rows[0]["started_at"]));
    let table = done(provider.command(&["user", "sessions", "list", "alice"], "")).stdout;
    assert!(table.starts_with("SESSION") && table.contains("Firefox on Linux"), "{table}");
    // Neither the cookie nor what services know it by.
    let sid = claims_of(&provider.tokens(&browser, &client).await.text("id_token"))["sid"].clone();
    let cookie = browser.cookies().into_iter().find(|cookie| cookie.name.contains("session")).unwrap().value;
    let all = format!("{table}{}", serde_json::to_string(&again).unwrap());
    assert!(!all.contains(&cookie) && !all.contains(sid.as_str().unwrap()));
}

#[tokio::test]
async fn when_it_was_used_last_is_known_to_within_an_hour() {
    let (provider, client, _listener) = ready().await;
    let browser = UserAgent::new();
    let _ = provider.tokens(&browser, &client).await;
    let seen = async || provider.rows("SELECT seen_at, started_at FROM user_sessions").await[0].clone();
    let row = seen().await;
    assert_eq!(row[0], row[1]);
    for _ in 0..4 {
        provider.travel(1900);
        let _ = Authorization::of(&client).complete(&provider, &browser).await;
        provider.provider.seen.write(&provider.provider.db).await;
        let at: i64 = seen().await[0].as_ref().unwrap().parse().unwrap();
        assert!(provider.now() - at <= 3600, "{}", provider.now() - at);
    }
    let row = seen().await;
    assert_ne!(row[0], row[1]);
}

/// Every way in which a sign-in ends: the services are told once, what was issued is dead, the browser is
/// not signed in any more, and the row is settled.
#[tokio::test]
async fn what_ends_a_sign_in_ends_it_everywhere_and_tells_its_services_once() {
    let by_command = |arguments: &'static [&'static str], input: &'static str| Ending::Command(arguments, input);
    let mut ways = vec![
        by_command(&["user", "sessions", "end", "alice", "--all", "--yes"], ""),
        by_command(&["user", "disable", "alice", "--yes"], ""),
        by_command(&["user", "set-password", "alice", "--password-stdin"], "another long password"),
        Ending::Sql("UPDATE user_sessions SET ended_at = 1"),
        Ending::Sql("UPDATE users SET disabled_at = 1"),
        Ending::Sql("UPDATE users SET tokens_valid_after = 4000000000"),
        Ending::Sql("DELETE FROM users"),
    ];
    if stores() == Stores::Embedded {
        // As a shell does it: it does not know of foreign keys.
        ways.push(Ending::Sql("PRAGMA foreign_keys = OFF; DELETE FROM users"));
    }
    for way in ways {
        let (provider, client, listener) = ready().await;
        let browser = UserAgent::new();
        let tokens = provider.tokens(&browser, &client).await;
        let sid = claims_of(&tokens.text("id_token"))["sid"].clone();
        settle(&provider.provider).await;
        assert!(listener.tokens().is_empty() && is_signed_in(&provider, &browser, &client).await, "{way:?}");
        match &way {
            Ending::Command(arguments, input) => drop(done(provider.command(arguments, input))),
            Ending::Sql(sql) => provider.sql(sql).await,
        }
        // What keeps the house does once a minute.
        hallpass::store::user_sessions::sweep(&provider.provider.db, provider.provider.now()).await.unwrap();
        settle(&provider.provider).await;
        let sent = listener.wait_for(1).await;
        assert_eq!(claims_of(&sent[0])["sid"], sid, "{way:?}");
        settle(&provider.provider).await;
        assert_eq!(listener.tokens().len(), 1, "{way:?}");
        assert!(!is_signed_in(&provider, &browser, &client).await, "{way:?}");
        assert_eq!(provider.userinfo(&tokens.text("access_token")).await.error().0, 401, "{way:?}");
        let open =
            provider.rows("SELECT session FROM user_sessions WHERE ended_at IS NULL OR settled_at IS NULL").await;
        assert!(open.is_empty(), "{way:?}");
    }
}

#[derive(Debug)]
enum Ending {
    Command(&'static [&'static str], &'static str),
    Sql(&'static str),
}

#[tokio::test]
async fn one_sign_in_of_several_is_ended_and_the_others_go_on() {
    let (provider, client, listener) = ready().await;
    let (one, other) = (UserAgent::new().with_header("user-agent", FIREFOX), UserAgent::new());
    let _ = provider.tokens(&one, &client).await;
    let _ = provider.tokens(&other, &client).await;
    let rows = listed(&provider, "alice");
    let session = rows.iter().find(|row| row["browser"] == "Firefox on Linux").unwrap()["session"].as_str().unwrap();
    let ended = done(provider.command(&["user", "sessions", "end", "alice", session, "--yes"], ""));
    assert!(ended.stderr.contains("ended 1 sign-in of alice"), "{ended:?}");
    // Ended is ended: it is listed no more, also before any node has seen it.
    assert_eq!(listed(&provider, "alice").len(), 1);
    settle(&provider.provider).await;
    let _ = listener.wait_for(1).await;
    assert!(!is_signed_in(&provider, &one, &client).await);
    assert!(is_signed_in(&provider, &other, &client).await);
    // It was the person's own sign-in, not another's, and it is not ended twice.
    provider.add_user(NewUser::named("bob")).await;
    for (who, session) in [("alice", session), ("bob", rows[1]["session"].as_str().unwrap()), ("alice", "nothing")] {
        let refused = provider.command(&["user", "sessions", "end", who, session, "--yes"], "");
        assert_eq!(refused.status, 1, "{refused:?}");
        assert!(refused.stderr.contains("user sessions list"), "{refused:?}");
    }
    assert!(is_signed_in(&provider, &other, &client).await);
    let events = done(provider.command(&["audit", "list", "--json"], "")).stdout;
    assert!(events.contains("user_sessions_ended"), "{events}");
    let detail = provider.rows("SELECT detail FROM audit_events WHERE event = 'user_sessions_ended'").await.concat();
    assert!(detail[0].as_deref().is_some_and(|detail| detail.contains("\"operator\"")), "{detail:?}");
}

/// Nodes share the work: each looks, one tells.
#[tokio::test]
async fn of_two_nodes_that_see_it_one_tells() {
    if stores() == Stores::Embedded {
        return; // One process, one store: there is no second node.
    }
    let (provider, client, listener) = ready().await;
    let second = provider.second_node().await;
    for _ in 0..8 {
        let _ = provider.tokens(&UserAgent::new(), &client).await;
    }
    provider.sql("UPDATE user_sessions SET ended_at = 1").await;
    tokio::join!(settle(&provider.provider), settle(&second.provider));
    assert_eq!(listener.wait_for(8).await.len(), 8);
    settle(&second.provider).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(listener.tokens().len(), 8);
}

/// A node judges no sign-in by what it read of the person before it.
#[tokio::test]
async fn a_node_that_knows_the_old_password_lets_the_new_one_s_sign_in_go_on() {
    if stores() == Stores::Embedded {
        return; // One process, one store: there is no second node.
    }
    let (provider, listener) = (TestProvider::start().await, LogoutListener::start().await);
    let client = NewClient::new("reports").with("consent", "skip").with("backchannel_logout_uri", &listener.uri);
    let client = client.with("grant_types", "authorization_code refresh_token");
    let client = provider.add(client.with("scope", "openid offline_access")).await;
    provider.alice().await;
    let mut second = provider.second_node().await;
    // Asked by its own address, whatever it is called.
    second.issuer = format!("http://{}", second.address);
    // The second node has read the person's row just now.
    let before = provider.tokens(&UserAgent::new(), &client).await;
    let _ = second.userinfo(&before.text("access_token")).await.ok();
    let changed = provider.command(&["user", "set-password", "alice", "--password-stdin"], "another passphrase 1\n");
    let _ = done(changed);
    // The first lets the person in, the second does the rest.
    let browser = UserAgent::new();
    let asked = Authorization::of(&client).with("scope", "openid offline_access").with("prompt", "consent");
    let page = asked.open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", "another passphrase 1").await;
    let page = browser.submit(page.form("form"), Some(("decision", "allow"))).await;
    let page = provider.settle(&browser, page).await;
    let code = page.query_parameter("code").unwrap_or_else(|| panic!("{page}"));
    let tokens = second.redeem(&client, &code).await.ok();
    let _ = second.userinfo(&tokens.text("access_token")).await.ok();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &tokens.text("refresh_token"))];
    let _ = second.post("/token", client.auth(), &fields).await.ok();
    // What the old password had let in stays dead.
    assert_eq!(second.userinfo(&before.text("access_token")).await.error().0, 401);
}

/// The messages come before the record, which nothing else could tell of once it is taken.
#[tokio::test]
async fn a_sign_out_that_breaks_off_half_way_has_written_what_services_are_told() {
    let (provider, client, listener) = ready().await;
    let browser = UserAgent::new();
    let _ = provider.tokens(&browser, &client).await;
    let id = session_of(&browser);
    let here = &provider.provider;
    let session = sessions::find(&here.ephemeral, &id).await.unwrap().unwrap();
    // The record cannot be taken any more: what breaks off there is the same as a crash there.
    let key = format!("session:{}", id.digest().as_str());
    here.ephemeral.put(&key, &"not a session", 60).await.unwrap();
    let end = async || logout::end_session(here, &id.digest(), &session, logout::Cause::Person, here.now()).await;
    assert!(end().await.is_err());
    logout::deliver_due(here).await;
    assert!(listener.tokens().is_empty(), "for some seconds it is left to the request that wrote it");
    provider.travel(5);
    logout::deliver_due(here).await;
    assert_eq!(listener.wait_for(1).await.len(), 1);
    // The session that is there after all ends in full, and the service is told once more: it may have let the person in again.
    sessions::restore(&here.ephemeral, &id, &session, here.now()).await.unwrap();
    let ended = end().await.unwrap().unwrap().told(here).await;
    let outcomes: Vec<_> = ended.iter().map(|told| (told.client.client_id.as_str(), told.outcome)).collect();
    assert_eq!(outcomes, [("reports", logout::Outcome::Reached)]);
    assert!(end().await.unwrap().is_none());
    provider.travel(60);
    logout::deliver_due(here).await;
    assert_eq!(listener.tokens().len(), 2);
    assert_eq!(provider.rows("SELECT message_id FROM logout_outbox").await.len(), 1);
}

/// A sign-out that broke off after its marker is brought to its end by the next sign-in in the same browser.
#[tokio::test]
async fn a_sign_in_over_a_session_whose_end_broke_off_tells_its_services() {
    let (provider, client, listener) = ready().await;
    let browser = UserAgent::new();
    let _ = provider.tokens(&browser, &client).await;
    let id = session_of(&browser);
    let here = &provider.provider;
    let session = sessions::find(&here.ephemeral, &id).await.unwrap().unwrap().sign_in.session;
    sessions::end(&here.ephemeral, session, 600).await.unwrap();
    let page = Authorization::of(&client).with("prompt", "login").open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert!(page.query_parameter("code").is_some(), "{page}");
    assert_eq!(listener.wait_for(1).await.len(), 1);
    assert_eq!(listed(&provider, "alice").len(), 1, "the one that continues, under another name");
}

/// The same with a code or a passkey, whichever session the form says that its page was shown beside: what it says is looked up
/// early, and counts for nothing where another session is there.
#[tokio::test]
async fn so_does_one_by_a_code_or_a_passkey_whatever_session_its_form_names() {
    let (provider, listener) = (TestProvider::with(&[("issuer", "//localhost")]).await, LogoutListener::start().await);
    let client = service(&provider, "reports", &listener).await;
    provider.alice().await;
    let first = UserAgent::new();
    let page = open(&provider, &first, "/account/passkeys", "alice").await;
    let mut passkey = SoftAuthenticator::synced();
    let _ = provider.add_passkey(&first, &page, &mut passkey).await;
    let app = provider.enroll("alice-sub").await;
    let here = &provider.provider;
    for (by, named, ends) in [
        ("code", None, true),
        ("code", Some(""), true),
        ("code", Some("AAAAAAAAAAAAAAAAAAAAAA"), true),
        ("code", None, false),
        ("passkey", None, true),
        ("passkey", Some("AAAAAAAAAAAAAAAAAAAAAA"), true),
        ("passkey", None, false),
        ("passkey after the password", None, true),
        ("passkey after the password", Some("AAAAAAAAAAAAAAAAAAAAAA"), true),
        ("passkey after the password", None, false),
    ] {
        provider.travel(60);
        let told = listener.tokens().len();
        let browser = UserAgent::new();
        let request = Authorization::of(&client).with("prompt", "login");
        let second = async |browser: &UserAgent, page: &Page, named: Option<&str>| {
            let mut form = page.form(if by == "code" { "form:has(#code)" } else { "form#passkey" });
            if let Some(named) = named {
                form.set("session", named);
            }
            if by == "code" {
                form.set("code", app.code(provider.now()));
                let done = browser.submit(form, Some(("action", "continue"))).await;
                return provider.settle(browser, done).await;
            }
            let answer = passkey.clone().get(&origin_of(&provider.issuer), &options_of(page)).unwrap();
            form.set("credential", &answer.to_string());
            let done = browser.submit(form, Some(("action", "passkey"))).await;
            provider.settle(browser, done).await
        };
        let page = request.open(&provider, &browser).await;
        let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
        let page = second(&browser, &page, None).await;
        assert!(page.query_parameter("code").is_some(), "{by}: {page}");
        provider.travel(60);
        let before = sessions::find(&here.ephemeral, &session_of(&browser)).await.unwrap().unwrap().sign_in.session;
        let page = request.open(&provider, &browser).await;
        let page = if by == "passkey" { page } else { provider.type_in(&browser, &page, "alice", PASSWORD).await };
        if ends {
            sessions::end(&here.ephemeral, before, 600).await.unwrap();
        }
        let page = second(&browser, &page, named).await;
        assert!(page.query_parameter("code").is_some(), "{by} {named:?}: {page}");
        let after = sessions::find(&here.ephemeral, &session_of(&browser)).await.unwrap().unwrap().sign_in.session;
        assert_eq!(after != before, ends, "{by} {named:?}");
        if ends {
            assert_eq!(listener.wait_for(told + 1).await.len(), told + 1);
        }
    }
}

#[tokio::test]
async fn a_sign_out_settles_the_row_and_another_person_s_sign_in_does_too() {
    let (provider, client, listener) = ready().await;
    provider.add_user(NewUser::named("bob")).await;
    let browser = UserAgent::new();
    let _ = provider.tokens(&browser, &client).await;
    let page = browser.get(&provider.url("/logout")).await;
    let _ = browser.submit(page.form("form"), Some(("action", "sign_out"))).await;
    assert_eq!(listed(&provider, "alice").len(), 0);
    let _ = provider.tokens(&browser, &client).await;
    let page = Authorization::of(&client).with("prompt", "login").open(&provider, &browser).await;
    let _ = provider.type_in(&browser, &page, "bob", PASSWORD).await;
    assert_eq!((listed(&provider, "alice").len(), listed(&provider, "bob").len()), (0, 1));
    assert_eq!(listener.wait_for(2).await.len(), 2);
    settle(&provider.provider).await;
    assert_eq!(listener.tokens().len(), 2);
    assert!(is_signed_in(&provider, &browser, &client).await);
}

/// A store that lost the record has not lost what it issued: the marker ends that.
#[tokio::test]
async fn what_a_sign_in_issued_ends_with_its_row_although_its_record_is_gone() {
    let (provider, client, _listener) = ready().await;
    let browser = UserAgent::new();
    let tokens = provider.tokens(&browser, &client).await;
    let id = session_of(&browser);
    hallpass::store::sessions::forget(&provider.provider.ephemeral, &id).await.unwrap();
    let _ = provider.userinfo(&tokens.text("access_token")).await.ok();
    provider.sql("UPDATE user_sessions SET ended_at = 1").await;
    settle(&provider.provider).await;
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.error().0, 401);
    let open = provider.rows("SELECT session FROM user_sessions WHERE settled_at IS NULL").await;
    assert!(open.is_empty());
}

/// A sign-in that could not be listed or ended is none.
#[tokio::test]
async fn a_sign_in_whose_row_cannot_be_written_is_refused_and_leaves_nothing() {
    let (provider, client, _listener) = ready().await;
    provider.sql("ALTER TABLE user_sessions RENAME TO away").await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let refused = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert!(refused.status.is_server_error(), "{refused}");
    assert!(!browser.cookies().iter().any(|cookie| cookie.name.contains("session")));
    provider.sql("ALTER TABLE away RENAME TO user_sessions").await;
    // The same page works a moment later.
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert!(page.query_parameter("code").is_some(), "{page}");
    assert_eq!(listed(&provider, "alice").len(), 1);
}

#[tokio::test]
async fn rows_of_sign_ins_that_are_long_over_are_forgotten() {
    let (provider, client, _listener) = ready().await;
    let _ = provider.tokens(&UserAgent::new(), &client).await;
    let _ = provider.tokens(&UserAgent::new(), &client).await;
    let first = listed(&provider, "alice")[0]["session"].as_str().unwrap().to_owned();
    let _ = done(provider.command(&["user", "sessions", "end", "alice", &first, "--yes"], ""));
    settle(&provider.provider).await;
    let count = async |seconds: i64| {
        provider.travel(seconds);
        let provider = &provider.provider;
        hallpass::store::user_sessions::sweep(&provider.db, provider.now()).await.unwrap();
    };
    let rows = async || provider.rows("SELECT session FROM user_sessions").await.len();
    count(80_000).await;
    assert_eq!(rows().await, 2);
    count(10_000).await;
    assert_eq!(rows().await, 1, "the one that ended a day ago is forgotten");
    count(604_800).await;
    assert_eq!(rows().await, 0, "and so is the one whose time is over");
}

/// Idle for longer than a session may be, it is not listed: the person would be asked for the password there.
#[tokio::test]
async fn a_sign_in_that_was_not_used_for_long_is_not_listed() {
    let (provider, client, _listener) = ready().await;
    let _ = provider.tokens(&UserAgent::new(), &client).await;
    // Commands have the machine's clock.
    provider.sql(&format!("UPDATE user_sessions SET seen_at = {}", provider.now() - 43_200 - 3500)).await;
    assert_eq!(listed(&provider, "alice").len(), 1);
    provider.sql(&format!("UPDATE user_sessions SET seen_at = {}", provider.now() - 43_200 - 3700)).await;
    assert_eq!(listed(&provider, "alice").len(), 0);
}

async fn from_a_server(provider: &TestProvider, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Api {
    let mut request = http().post(provider.url("/logout")).form(fields);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request).await
}

#[tokio::test]
async fn a_service_s_own_server_ends_the_session_that_its_token_names() {
    let (provider, client, listener) = ready().await;
    let second = LogoutListener::start().await;
    let other = service(&provider, "other", &second).await;
    let browser = UserAgent::new();
    let tokens = provider.tokens(&browser, &client).await;
    let _ = provider.tokens(&browser, &other).await;
    let bystander = UserAgent::new();
    let _ = provider.tokens(&bystander, &client).await;
    let hint = tokens.text("id_token");
    let answer = from_a_server(&provider, &[("id_token_hint", &hint)], &[]).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
    assert_eq!(claims_of(&listener.wait_for(1).await[0])["sid"], claims_of(&hint)["sid"]);
    let _ = second.wait_for(1).await;
    assert!(!is_signed_in(&provider, &browser, &client).await);
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.error().0, 401);
    // Another browser of the same person is another sign-in.
    assert!(is_signed_in(&provider, &bystander, &client).await);
    provider.provider.audit.flush().await;
    let events = done(provider.command(&["audit", "list", "--json"], "")).stdout;
    assert!(events.contains(r#"{\"by\":\"service\""#), "{events}");

    // The same answer where there is nothing to end: ended before, another client's, no token, an old one.
    for hint in [hint.as_str(), "garbage", "a.b.c"] {
        let again = from_a_server(&provider, &[("id_token_hint", hint)], &[]).await;
        assert_eq!((again.status.as_u16(), again.body.as_str(), again.header("location")), (204, "", None), "{hint}");
        assert_eq!(again.header("cache-control"), answer.header("cache-control"));
    }
    assert_eq!(listener.tokens().len(), 1);
}

#[tokio::test]
async fn a_token_of_another_client_or_for_another_client_id_ends_nothing() {
    let (provider, client, listener) = ready().await;
    let stranger = provider.client("stranger").await;
    let (browser, elsewhere) = (UserAgent::new(), UserAgent::new());
    let hint = provider.tokens(&browser, &client).await.text("id_token");
    let strangers = provider.tokens(&elsewhere, &stranger).await.text("id_token");
    for fields in [
        vec![("id_token_hint", hint.as_str()), ("client_id", "stranger")],
        vec![("id_token_hint", strangers.as_str()), ("client_id", "reports")],
    ] {
        assert_eq!(from_a_server(&provider, &fields, &[]).await.status, 204);
    }
    assert!(is_signed_in(&provider, &browser, &client).await);
    assert!(is_signed_in(&provider, &elsewhere, &stranger).await);
    assert!(listener.tokens().is_empty());
}

/// A browser sends `Origin` or `Sec-Fetch-Site` with a POST, or a cookie of ours; without a token nothing can be meant.
#[tokio::test]
async fn a_browser_s_post_continues_by_303_as_before() {
    let (provider, client, listener) = ready().await;
    let browser = UserAgent::new();
    let hint = provider.tokens(&browser, &client).await.text("id_token");
    let cookie = browser.cookies().into_iter().find(|cookie| cookie.name.contains("session")).unwrap();
    let cookie = format!("{}={}", cookie.name, cookie.value);
    let with_hint = vec![("id_token_hint", hint.as_str())];
    for (fields, headers) in [
        (with_hint.clone(), vec![("origin", "https://reports.example")]),
        (with_hint.clone(), vec![("origin", "null")]),
        (with_hint.clone(), vec![("sec-fetch-site", "cross-site")]),
        (with_hint.clone(), vec![("cookie", cookie.as_str())]),
        (vec![("client_id", "reports")], vec![]),
    ] {
        let answer = from_a_server(&provider, &fields, &headers).await;
        assert_eq!(answer.status, 303, "{headers:?}");
        assert!(answer.header("location").unwrap().contains("/logout?logout="), "{headers:?}");
    }
    assert!(is_signed_in(&provider, &browser, &client).await && listener.tokens().is_empty());
}

#[tokio::test]
async fn tokens_that_are_not_good_are_throttled_and_good_ones_are_not() {
    let (provider, client, listener) = ready().await;
    let mut hints = Vec::new();
    for _ in 0..25 {
        hints.push(provider.tokens(&UserAgent::new(), &client).await.text("id_token"));
    }
    for hint in &hints {
        assert_eq!(from_a_server(&provider, &[("id_token_hint", hint)], &[]).await.status, 204);
    }
    assert_eq!(listener.wait_for(25).await.len(), 25);
    let mut last = 204;
    for _ in 0..25 {
        let answer = from_a_server(&provider, &[("id_token_hint", "garbage"), ("client_id", "reports")], &[]).await;
        last = answer.status.as_u16();
    }
    assert_eq!(last, 429);
    // A good one is still heard.
    let hint = provider.tokens(&UserAgent::new(), &client).await.text("id_token");
    assert_eq!(from_a_server(&provider, &[("id_token_hint", &hint)], &[]).await.status, 204);
    let _ = listener.wait_for(26).await;
}

/// The pairwise `sid` opens for its own sector alone.
#[tokio::test]
async fn a_pairwise_client_s_server_ends_the_session_by_its_own_sid() {
    let (provider, client, listener) = ready().await;
    let second = LogoutListener::start().await;
    let pairwise = NewClient::new("private").with("consent", "skip").with("subject_type", "pairwise");
    let pairwise = pairwise.with("sector_identifier", "private.example").with("backchannel_logout_uri", &second.uri);
    let pairwise = provider.add(pairwise).await;
    let browser = UserAgent::new();
    let public = provider.tokens(&browser, &client).await.text("id_token");
    let private = provider.tokens(&browser, &pairwise).await.text("id_token");
    assert_ne!(claims_of(&public)["sid"], claims_of(&private)["sid"]);
    assert_eq!(from_a_server(&provider, &[("id_token_hint", &private)], &[]).await.status, 204);
    assert_eq!(claims_of(&listener.wait_for(1).await[0])["sid"], claims_of(&public)["sid"]);
    assert_eq!(claims_of(&second.wait_for(1).await[0])["sid"], claims_of(&private)["sid"]);
}

/// The whole, across processes: a command beside a running `serve`, and ten seconds.
#[tokio::test]
async fn a_running_serve_sees_what_a_command_ended_and_tells_the_services() {
    let folder = folder();
    let (database_url, redis_url) = fresh_stores(folder.path());
    copy_keys(&folder.path().join("keys"));
    let serve = Serve::start(folder.path(), &database_url, &redis_url);
    let listener = LogoutListener::start().await;
    let client = NewClient::new("reports").with("consent", "skip").with("backchannel_logout_uri", &listener.uri);
    let (sql, client) = client.sql();
    run_sql(&database_url, &format!("{sql}{}", NewUser::alice().sql())).await.unwrap();
    let (provider, browser) = (Remote::new(&serve.issuer), UserAgent::new());
    let _ = provider.sign_in(&browser, &client, "alice", PASSWORD).await.code();
    let variables = serve.variables();
    let _ = done(run_with(folder.path(), &["user", "sessions", "end", "alice", "--all", "--yes"], &variables, ""));
    let asked = tokio::time::Instant::now();
    let _ = listener.wait_for(1).await;
    assert!(asked.elapsed() < std::time::Duration::from_secs(10), "{:?}", asked.elapsed());
    let _ = provider.sign_in(&UserAgent::new(), &client, "alice", PASSWORD).await.code();
    let _ = done(run_with(folder.path(), &["user", "disable", "alice", "--yes"], &variables, ""));
    assert_eq!(listener.wait_for(2).await.len(), 2);
}
