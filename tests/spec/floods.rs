//! What strangers and single people can make a provider keep, write or wait for: everything has a budget, and a flood ends
//! when it ends.

use crate::support::provider::run_sql;
use crate::support::verbs::Auth;
use crate::support::{Answer, Authorization, NewClient, TestProvider, UserAgent};
use crate::throttling::{from, ready};
use hallpass::allowance::PER_PERSON;
use hallpass::ambient::random;
use hallpass::endpoints;
use hallpass::protocol::secret::{Digest, Handle};
use hallpass::server::{self, Places};
use hallpass::store::StoreError;
use hallpass::store::ephemeral::{STARTED_SHARE, Start, Tally};
use hallpass::throttle::STARTED_PER_NETWORK;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Takes so many bytes of the share as a network would that starts sign-ins.
async fn start(provider: &TestProvider, network: &str, bytes: i64, budget: i64) {
    let text = "x".repeat(1024 * 1024);
    let weight = Start::weight(&serde_json::to_string(&text).unwrap());
    for _ in 0..bytes / weight {
        let id = Handle(random()).text();
        let start = Start { id: &id, network, network_budget: budget, share: STARTED_SHARE, ttl: 5400 };
        provider.provider.ephemeral.start(&start, &text).await.unwrap();
    }
}

/// What the readiness says.
pub async fn health(provider: &TestProvider) -> (u16, Value) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stopper, stop) = server::stop_sign();
    let router = endpoints::management(provider.provider.clone());
    let serving = tokio::spawn(server::serve(listener, router, Places::few(), stop));
    let answer = crate::support::verbs::http().get(format!("http://{address}/health/ready")).send().await.unwrap();
    let status = answer.status().as_u16();
    let body = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    stopper.stop();
    serving.abort();
    (status, body)
}

/// A network that starts sign-ins and completes none fills its own budget and no other's; its own oldest give way, so
/// that it is never shut out for as long as they are kept.
#[tokio::test]
async fn a_network_that_starts_sign_ins_takes_nothing_from_others_and_is_not_shut_out() {
    let (provider, client) = ready().await;
    let (other, attacker) = (from("203.0.113.1"), from("198.51.100.1"));
    let request = Authorization::of(&client);
    let page = request.open(&provider, &other).await;
    start(&provider, "198.51.100.1", 4 * STARTED_PER_NETWORK, STARTED_PER_NETWORK).await;
    let stored = provider.provider.ephemeral.fill_of_started(STARTED_SHARE).await.unwrap().stored;
    assert!(stored <= STARTED_PER_NETWORK + 10_000, "{stored}");
    assert_eq!(request.open(&provider, &attacker).await.status, 200);
    assert!(!provider.sign_in(&attacker, &client).await.code().is_empty());
    let page = provider.type_in(&other, &page, "alice", crate::support::provider::PASSWORD).await;
    assert!(!Answer::of(&page, &client.redirect_uri).code().is_empty(), "the other's sign-in was still there");
}

/// Without a named proxy all users share this machine's address: it has the whole share and no more, tokens and sessions have
/// theirs, and what was typed into stays.
#[tokio::test]
async fn a_full_share_takes_nothing_from_tokens_and_makes_room_for_the_next() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let request = Authorization::of(&client);
    let (typing, looking) = (UserAgent::new(), UserAgent::new());
    let typed = request.open(&provider, &typing).await;
    let typed = provider.type_in(&typing, &typed, "alice", "a typing error").await;
    assert_eq!(typed.status, 422);
    let looked_at = request.open(&provider, &looking).await;
    start(&provider, "127.0.0.1", 2 * STARTED_SHARE, STARTED_SHARE).await;
    let (status, body) = health(&provider).await;
    assert_eq!((status, &body["status"]), (200, &Value::from("ready")), "{body}");
    assert!(body["degraded"]["started_sign_ins"].as_str().unwrap().contains("give way"), "{body}");
    let page = provider.type_in(&typing, &typed, "alice", crate::support::provider::PASSWORD).await;
    let code = Answer::of(&page, &client.redirect_uri).code().to_owned();
    let _ = provider.redeem(&client, &code).await.ok();
    let page = provider.type_in(&looking, &looked_at, "alice", crate::support::provider::PASSWORD).await;
    assert_eq!(page.status, 400, "it had no input yet");
    assert!(!provider.sign_in(&UserAgent::new(), &client).await.code().is_empty(), "the next finds room at once");
}

/// What is kept is weighed as it is stored: a control character takes six bytes there.
#[tokio::test]
async fn what_is_kept_is_weighed_as_it_is_stored() {
    let (provider, client) = ready().await;
    let request = Authorization::of(&client);
    for text in ["\u{1}".repeat(2500), "\"".repeat(7000), "x".repeat(12_500)] {
        for name in ["state", "nonce", "login_hint"] {
            let large = request.clone().with(name, &text);
            let url = provider.url("/authorize");
            let page = UserAgent::new().cross_site_post(&url, &large.fields()).await;
            assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "invalid_request", "{name}");
            let page = large.open(&provider, &UserAgent::new()).await;
            assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "invalid_request", "{name}");
        }
    }
    // A code stands for what was asked, so a person who is signed in has the same bound.
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &client).await;
    let claims =
        |length: usize| format!(r#"{{"id_token":{{"name":{{"value":"{}"}}}}}}"#, "\u{7f}\u{80}".repeat(length));
    for (name, text) in [("nonce", "\u{1}".repeat(2500)), ("nonce", "x".repeat(12_500)), ("claims", claims(5000))] {
        let page = request.clone().with(name, &text).open(&provider, &browser).await;
        let answer = Answer::of(&page, &client.redirect_uri);
        assert_eq!((answer.error(), answer.get("state")), ("invalid_request", Some("the state")), "{name}");
    }
    let long = request.with("nonce", &"n".repeat(4000));
    assert!(!long.complete(&provider, &browser).await.code().is_empty());
}

/// One person who is signed in cannot fill the store with codes, tokens or sign-ins: there is a bound for each person.
#[tokio::test]
async fn one_person_has_a_bound_of_their_own() {
    let provider = TestProvider::start().await;
    let client = provider
        .add(
            NewClient::new("reports")
                .with("consent", "skip")
                .with("scope", "openid offline_access")
                .with("grant_types", "authorization_code refresh_token"),
        )
        .await;
    provider.alice().await;
    provider.add_user(crate::support::NewUser::named("bob")).await;
    let (browser, bobs) = (UserAgent::new(), UserAgent::new());
    let request = Authorization::of(&client).with("scope", "openid offline_access");
    let code = request.complete(&provider, &browser).await.code().to_owned();
    let refresh_token = provider.redeem(&client, &code).await.ok().text("refresh_token");
    let page = request.open(&provider, &bobs).await;
    let _ = provider.type_in(&bobs, &page, "bob", crate::support::provider::PASSWORD).await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(request.complete(&provider, &browser).await.code().to_owned());
    }
    let key = format!("kept:{}", &Digest::of(&["kept", "alice-sub"]).as_str()[..22]);
    let fill = async |field: &str, window| {
        let so_far = provider.provider.ephemeral.tallied(&key, field).await.unwrap();
        assert!(so_far > 0, "{field}");
        let tally = Tally { field, window, most: i64::MAX, amount: PER_PERSON - so_far };
        provider.provider.ephemeral.tally(&key, &[tally]).await.unwrap();
    };
    fill("codes", 660).await;
    let answer = Answer::of(&request.open(&provider, &browser).await, &client.redirect_uri);
    assert_eq!((answer.error(), answer.get("state")), ("temporarily_unavailable", Some("the state")));
    // Codes that are redeemed make room again: all that is left of them is a tombstone.
    for code in codes {
        let _ = provider.redeem(&client, &code).await.ok();
    }
    assert!(!request.open(&provider, &browser).await.location().unwrap().as_str().contains("error="));
    fill("tokens 600", 600).await;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
    let stopped = provider.post("/token", client.auth(), &fields).await;
    assert_eq!(stopped.error(), (429, "temporarily_unavailable".into()));
    assert!(stopped.header("retry-after").unwrap().parse::<i64>().unwrap() > 0);
    assert!(!request.open(&provider, &bobs).await.location().unwrap().as_str().contains("error="), "another person");
    // Nothing was lost by it: the token was not replaced.
    provider.travel(600);
    let _ = provider.post("/token", client.auth(), &fields).await.ok();
    fill("sessions", 604_800).await;
    let page = Authorization::of(&client).with("prompt", "login").open(&provider, &UserAgent::new()).await;
    let page = provider.type_in(&UserAgent::new(), &page, "bob", "x").await;
    assert_ne!(page.status, 303);
    let stranger = UserAgent::new();
    let page = request.open(&provider, &stranger).await;
    let page = provider.type_in(&stranger, &page, "alice", crate::support::provider::PASSWORD).await;
    assert_eq!(page.status, 503, "{page}");
    assert!(stranger.cookies().iter().all(|cookie| !cookie.name.contains("session")));
}

/// A sign-in that came to nothing takes nothing from what its person may have kept, however it was refused.
#[tokio::test]
async fn a_refused_sign_in_leaves_nothing_counted() {
    let provider = TestProvider::start().await;
    let client = provider.add(NewClient::new("reports").with("consent", "skip")).await;
    provider.alice().await;
    let key = format!("kept:{}", &Digest::of(&["kept", "alice-sub"]).as_str()[..22]);
    let counted = async || provider.provider.ephemeral.tallied(&key, "sessions").await.unwrap();
    let again = Authorization::of(&client).with("prompt", "login");
    let sign_in = async |browser: &UserAgent| {
        let page = again.open(&provider, browser).await;
        provider.type_in(browser, &page, "alice", crate::support::provider::PASSWORD).await
    };
    let browser = UserAgent::new();
    assert!(sign_in(&browser).await.query_parameter("code").is_some());
    let one = counted().await;
    assert!(one > 0);
    provider.sql("ALTER TABLE user_sessions RENAME TO away").await;
    // In another browser, and over the session of this one, which is there still.
    assert!(sign_in(&UserAgent::new()).await.status.is_server_error());
    assert_eq!(counted().await, one);
    assert!(sign_in(&browser).await.status.is_server_error());
    assert_eq!(counted().await, one);
    provider.sql("ALTER TABLE away RENAME TO user_sessions").await;
    assert!(
        Authorization::of(&client)
            .with("prompt", "none")
            .open(&provider, &browser)
            .await
            .query_parameter("code")
            .is_some()
    );
    assert_eq!(counted().await, one);
    assert!(sign_in(&browser).await.query_parameter("code").is_some());
    assert_eq!(counted().await, one, "the same person's session takes the place of the one before");
}

/// The memory of a spent code lasts as long as what it can have issued; a family is ended by its code even after that.
#[tokio::test]
async fn a_spent_code_is_remembered_as_long_as_what_it_issued() {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports").with("consent", "skip").with("scope", "openid offline_access");
    let client = provider.add(client.with("grant_types", "authorization_code refresh_token")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let request = Authorization::of(&client).with("scope", "openid offline_access");
    let code = request.complete(&provider, &browser).await.code().to_owned();
    let refresh_token = provider.redeem(&client, &code).await.ok().text("refresh_token");
    let mut without = Vec::new();
    for _ in 0..2 {
        let answer = Authorization::of(&client).with("scope", "openid").complete(&provider, &browser).await;
        let _ = provider.redeem(&client, answer.code()).await.ok();
        without.push(answer.code().to_owned());
    }
    let description = async |code: &str| provider.redeem(&client, code).await.text("error_description");
    assert!(description(&without[0]).await.contains("used before"));
    provider.travel(3600);
    if crate::support::stores() == crate::support::Stores::Embedded {
        // Redis forgets by its own clock.
        assert!(description(&without[1]).await.contains("unknown"));
    }
    assert!(description(&code).await.contains("used before"));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
    assert_eq!(provider.post("/token", client.auth(), &fields).await.error(), (400, "invalid_grant".into()));
}

/// Sends a request by hand and reads all of the answer; an error where the connection was reset instead.
fn by_hand(address: SocketAddr, head: &str, body: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(head.as_bytes())?;
    for piece in body.chunks(16 * 1024) {
        stream.write_all(piece)?;
    }
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece)? {
            0 => break,
            read => answer.extend_from_slice(&piece[..read]),
        }
        if String::from_utf8_lossy(&answer).contains("\r\n\r\n") && !head.contains("close") {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A body that is refused is read and dropped before the answer: who is still sending gets the answer and no reset, which a
/// proxy would take for a dead node.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_refused_does_not_reset_the_connection() {
    let (provider, _) = ready().await;
    let (address, form) = (provider.address, "application/x-www-form-urlencoded");
    let body = vec![b'x'; 700_000];
    for (method, path, content_type, status) in [
        ("POST", "/token", form, 400),
        ("POST", "/token", "application/json", 400),
        ("POST", "/authorize", form, 400),
        ("POST", "/login", form, 400),
        ("POST", "/userinfo", form, 400),
        ("POST", "/introspect", form, 400),
        ("POST", "/revoke", form, 400),
        ("POST", "/logout", form, 400),
        ("POST", "/jwks", form, 405),
        ("POST", "/nothing", form, 404),
        ("PUT", "/token", form, 405),
        ("GET", "/jwks", form, 200),
    ] {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let body = body.clone();
        let answer = tokio::task::spawn_blocking(move || by_hand(address, &head, &body)).await.unwrap();
        let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {answer}");
    }
    // A client that asks first is told no, and sends nothing.
    let head = format!(
        "POST /token HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = tokio::task::spawn_blocking(move || by_hand(address, &head, &[])).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

/// Events are what changed something: garbage at `/revoke` is answered like a token and leaves nothing.
#[tokio::test]
async fn garbage_at_revoke_leaves_no_event() {
    let (provider, _) = ready().await;
    let public = provider.add(NewClient::new("app").public().with("consent", "skip")).await;
    let browser = UserAgent::new();
    let token = provider.tokens(&browser, &public).await.text("access_token");
    for garbage in ["garbage", "hp_at_x", "hp_rt_x", "a.b.c", &format!("{token}x")] {
        let _ = provider.post("/revoke", Auth::Name("app"), &[("token", garbage)]).await.ok();
    }
    for _ in 0..3 {
        let _ = provider.post("/revoke", Auth::Name("app"), &[("token", &token)]).await.ok();
    }
    provider.provider.audit.flush().await;
    let events = provider.rows("SELECT event FROM audit_events WHERE event = 'token_revoked'").await;
    assert_eq!(events.len(), 1);
}

/// A code that is shown again and again ends what it issued once.
#[tokio::test]
async fn a_code_that_is_shown_for_ever_leaves_one_event() {
    let (provider, client) = ready().await;
    let code = provider.sign_in(&UserAgent::new(), &client).await.code().to_owned();
    let _ = provider.redeem(&client, &code).await.ok();
    for _ in 0..5 {
        assert_eq!(provider.redeem(&client, &code).await.error(), (400, "invalid_grant".into()));
    }
    provider.provider.audit.flush().await;
    let events = provider.rows("SELECT event FROM audit_events WHERE event = 'code_replayed'").await;
    assert_eq!(events.len(), 1);
}

/// Refusals are for `hallpass explain` and no events; however many there are, failed sign-ins are in the audit.
#[tokio::test]
async fn refused_requests_hide_no_failed_sign_in() {
    let (provider, client) = ready().await;
    let unknown = Authorization::of(&client).with("client_id", "nobody");
    for _ in 0..2100 {
        let record = hallpass::protocol::audit::RefusalRecord {
            reference: Handle(random()).text(),
            at: provider.now(),
            status: 400,
            code: "invalid_client".into(),
            method: "GET".into(),
            path: "/authorize".into(),
            client_id: None,
            description: "x".into(),
            detail: None,
            explanation: hallpass::protocol::error::Explanation::default(),
        };
        provider.provider.audit.refused(record, None);
    }
    assert_eq!(unknown.open(&provider, &UserAgent::new()).await.status, 400);
    for name in ["alice", "nobody"] {
        let browser = UserAgent::new();
        let page = Authorization::of(&client).open(&provider, &browser).await;
        assert_eq!(provider.type_in(&browser, &page, name, "guess").await.status, 422);
    }
    provider.provider.audit.flush().await;
    let events = provider.rows("SELECT event, sub FROM audit_events ORDER BY sequence").await;
    let failed: Vec<_> = events.iter().filter(|row| row[0].as_deref() == Some("sign_in_failed")).collect();
    assert_eq!(failed.iter().map(|row| row[1].as_deref()).collect::<Vec<_>>(), [Some("alice-sub"), None]);
    assert!(events.iter().all(|row| !matches!(row[0].as_deref(), Some("refusal" | "fault"))), "{events:?}");
    let refusals = provider.rows("SELECT COUNT(*) FROM refusals").await;
    let count: i64 = refusals[0][0].as_deref().unwrap().parse().unwrap();
    assert!((2000..=2005).contains(&count), "{count}");
}

/// Ordinary answers to `prompt=none` and a person's own word are neither kept nor warned about.
#[tokio::test]
async fn expected_answers_push_no_refusal_out() {
    let (provider, client) = ready().await;
    let asking = provider.add(NewClient::new("asking")).await;
    let (stranger, browser) = (UserAgent::new(), UserAgent::new());
    let _ = provider.sign_in(&browser, &client).await;
    let silent = Authorization::of(&client).with("prompt", "none");
    for (request, browser, error) in [
        (silent.clone(), &stranger, "login_required"),
        (silent.with("max_age", "0"), &browser, "login_required"),
        (Authorization::of(&asking).with("prompt", "none"), &browser, "consent_required"),
    ] {
        let page = request.open(&provider, browser).await;
        let to = if error == "consent_required" { &asking.redirect_uri } else { &client.redirect_uri };
        assert_eq!(Answer::of(&page, to).error(), error);
    }
    let page = Authorization::of(&asking).open(&provider, &browser).await;
    let page = browser.submit(page.form("form"), Some(("decision", "deny"))).await;
    assert_eq!(Answer::of(&page, &asking.redirect_uri).error(), "access_denied");
    let page = Authorization::of(&client).open(&provider, &stranger).await;
    let page = stranger.submit(page.form("form"), Some(("action", "cancel"))).await;
    assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "access_denied");
    provider.provider.audit.flush().await;
    assert_eq!(provider.rows("SELECT code FROM refusals").await, Vec::<Vec<Option<String>>>::new());
    // What a client does wrong is.
    let _ = Authorization::of(&client).with("prompt", "none login").open(&provider, &stranger).await;
    provider.provider.audit.flush().await;
    assert_eq!(provider.rows("SELECT code FROM refusals").await, [[Some("invalid_request".to_owned())]]);
}

/// Ready means that `/token` can be answered; what else is wrong is told beside it.
#[tokio::test]
async fn readiness_says_whether_tokens_can_be_had() {
    let (provider, _) = ready().await;
    assert_eq!(health(&provider).await, (200, serde_json::json!({"status": "ready"})));
    if crate::support::stores() == crate::support::Stores::Embedded {
        for size in [1024 * 1024, 16 * 1024] {
            let text = "x".repeat(size);
            let mut number = 0;
            let put = async |number| {
                let key = format!("{size}:{number}");
                provider.provider.ephemeral.put(&key, &text, 100).await
            };
            while !matches!(put(number).await, Err(StoreError::Full)) {
                number += 1;
            }
        }
        let (status, body) = health(&provider).await;
        assert_eq!((status, &body["status"], &body["missing"][0]), (503, &"unavailable".into(), &"redis".into()));
        assert!(body["degraded"]["short_lived_store"].as_str().unwrap().contains("full"), "{body}");
        provider.travel(100);
        assert_eq!(health(&provider).await.0, 200);
    }
    let _ = run_sql(&provider.database_url, "SELECT 1").await;
}
