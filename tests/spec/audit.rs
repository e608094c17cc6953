//! What happened is kept, in an order that cannot be changed unseen.

use crate::support::provider::{CLIENT_SECRET, PASSWORD, fresh_stores};
use crate::support::{Authorization, NewClient, Receiver, TestClient, TestProvider, UserAgent, folder};
use hallpass::protocol::audit::{Event, EventKind};
use serde_json::Value;
use std::fs;

/// Every event, as `audit export` gives them.
pub async fn events(provider: &TestProvider) -> Vec<Value> {
    provider.provider.audit.flush().await;
    let export = provider.command(&["audit", "export"], "");
    assert_eq!(export.status, 0, "{export:?}");
    export.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

#[track_caller]
pub fn only<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    let found = of_kind(events, kind);
    assert_eq!(found.len(), 1, "{kind}: {events:#?}");
    found[0]
}

pub fn detail(event: &Value) -> Value {
    serde_json::from_str(event["detail"].as_str().unwrap_or("null")).unwrap()
}

#[tokio::test]
async fn a_life_from_sign_in_to_sign_out_is_told_event_by_event() {
    let provider = TestProvider::start().await;
    let receiver = Receiver::start().await;
    let client = NewClient::new("reports")
        .with("grant_types", "authorization_code refresh_token")
        .with("scope", "openid profile email offline_access")
        .with("backchannel_logout_uri", &receiver.redirect_uri);
    let client = provider.add(client).await;
    provider.alice().await;
    let browser = UserAgent::new();

    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", "not her password").await;
    let page = provider.type_in(&browser, &page, "nobody", "some password").await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    let refused = browser.submit(page.form("form"), Some(("decision", "deny"))).await;
    assert!(refused.status.is_redirection(), "{refused}");
    let request = Authorization::of(&client).with("scope", "openid offline_access");
    let code = request.complete(&provider, &browser).await.code().to_owned();
    let tokens = provider.redeem(&client, &code).await.ok();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", &tokens.text("refresh_token"))];
    let refreshed = provider.post("/token", client.auth(), &refresh).await.ok();
    let _ = provider.post("/revoke", client.auth(), &[("token", &refreshed.text("access_token"))]).await;
    assert_eq!(provider.redeem(&client, &code).await.error().1, "invalid_grant");
    let page = browser.get(&format!("{}?id_token_hint={}", provider.url("/logout"), tokens.text("id_token"))).await;
    assert!(page.text().contains("You are signed out"), "{page}");

    let events = events(&provider).await;
    let failed = of_kind(&events, "sign_in_failed");
    assert_eq!(failed.iter().map(|event| event["sub"].clone()).collect::<Vec<_>>(), ["alice-sub".into(), Value::Null]);
    let sign_in = only(&events, "sign_in");
    assert_eq!((&sign_in["sub"], &sign_in["client_id"]), (&"alice-sub".into(), &"reports".into()));
    assert_eq!(sign_in["network"], "127.0.0.1");
    assert!(sign_in["reference"].as_str().is_some_and(|reference| reference.len() == 11), "{sign_in}");
    assert_eq!(only(&events, "consent_denied")["sub"], "alice-sub");
    assert_eq!(detail(only(&events, "consent_given"))["scope"], "openid offline_access");
    let issued = of_kind(&events, "tokens_issued");
    let grants: Vec<Value> = issued.iter().map(|event| detail(event)["grant_type"].clone()).collect();
    assert_eq!(grants, ["authorization_code", "refresh_token"]);
    assert_eq!(only(&events, "token_revoked")["client_id"], "reports");
    assert_eq!(only(&events, "code_replayed")["client_id"], "reports");
    assert_eq!(detail(only(&events, "sign_out"))["clients"], "reports");
    // The receiver answers 200, so the first try arrived.
    assert_eq!(detail(only(&events, "logout_delivered"))["tries"], 1);
    // Refusals are for `hallpass explain`, and the person's own word is not even that.
    assert!(of_kind(&events, "refusal").is_empty(), "{events:#?}");
    let refusals = provider.rows("SELECT code FROM refusals ORDER BY at").await.concat();
    let mut codes: Vec<&str> = refusals.iter().flatten().map(String::as_str).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["invalid_grant", "sign_in_failed", "sign_in_failed"]);
    assert!(of_kind(&events, "migration_applied").len() >= 6, "{events:#?}");

    let told = serde_json::to_string(&events).unwrap();
    for secret in [
        CLIENT_SECRET,
        PASSWORD,
        "not her password",
        &code,
        &tokens.text("access_token"),
        &tokens.text("refresh_token"),
    ] {
        assert!(!told.contains(secret), "a secret is in the audit");
    }
    let verified = provider.command(&["audit", "verify"], "");
    assert_eq!(verified.status, 0, "{verified:?}");
}

#[tokio::test]
async fn machines_and_commands_are_told_of_too() {
    let provider = TestProvider::start().await;
    let machine =
        provider.add(NewClient::new("machine").with("grant_types", "client_credentials").with("scope", "read")).await;
    let _ = provider.post("/token", machine.auth(), &[("grant_type", "client_credentials")]).await.ok();
    let add = ["user", "add", "bob", "--email", "bob@example.com", "--password-stdin"];
    let added = provider.command(&add, "a good password\n");
    assert_eq!(added.status, 0, "{added:?}");
    for (change, input) in [
        (&["user", "set-password", "bob", "--password-stdin"][..], "another password\n"),
        (&["user", "disable", "bob", "--yes"], ""),
        (&["client", "disable", "machine", "--yes"], ""),
    ] {
        let changed = provider.command(change, input);
        assert_eq!(changed.status, 0, "{changed:?}");
    }
    let events = events(&provider).await;
    for kind in ["user_password_set", "user_disabled"] {
        assert_eq!(only(&events, kind)["sub"], added.stdout.trim());
    }
    assert_eq!(only(&events, "client_disabled")["client_id"], "machine");
    let issued = only(&events, "tokens_issued");
    assert_eq!((&issued["client_id"], &issued["sub"]), (&"machine".into(), &Value::Null));
    let added_user = only(&events, "user_added");
    assert_eq!(added_user["sub"], added.stdout.trim());
    // A name is what can be erased, and the chain holds without it.
    assert_eq!((&added_user["personal"]["username"], &added_user["detail"]), (&"bob".into(), &Value::Null));
}

#[tokio::test]
async fn several_nodes_and_commands_write_chains_that_hold_one_another() {
    let one = TestProvider::start().await;
    one.alice().await;
    let client = one.client("reports").await;
    let other = one.second_node().await;
    for _ in 0..2 {
        let _ = one.sign_in(&UserAgent::new(), &client).await;
        one.provider.audit.flush().await;
        other.provider.audit.record(Event::new(EventKind::NodeStarted, other.provider.now()));
        other.provider.audit.flush().await;
    }
    let events = events(&one).await;
    assert_eq!((of_kind(&events, "sign_in").len(), of_kind(&events, "node_started").len()), (2, 2));
    let heads = one.command(&["audit", "verify", "--json"], "");
    assert_eq!(heads.status, 0, "{heads:?}");
    let document: Value = serde_json::from_str(&heads.stdout).unwrap();
    let chains = document["heads"].as_array().unwrap();
    assert!(chains.len() >= 3, "migrations, one, other: {chains:?}");
}

async fn with_sign_ins() -> (TestProvider, TestClient) {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let client = provider.client("reports").await;
    for _ in 0..2 {
        let _ = provider.tokens(&UserAgent::new(), &client).await;
    }
    provider.provider.audit.flush().await;
    (provider, client)
}

#[tokio::test]
async fn what_was_changed_taken_out_put_in_or_cut_off_is_found() {
    let (provider, _) = with_sign_ins().await;
    let heads = provider.folder.path().join("heads.json");
    let kept = provider.command(&["audit", "verify", "--json"], "");
    fs::write(&heads, &kept.stdout).unwrap();
    let heads = heads.to_str().unwrap();
    let verify = || provider.command(&["audit", "verify", "--heads", heads], "");
    assert_eq!(verify().status, 0);

    let one = "(chain, sequence) = (SELECT chain, sequence FROM audit_events WHERE event = 'sign_in' ORDER BY sequence LIMIT 1)";
    let copy = "CREATE TABLE kept_events AS SELECT * FROM audit_events";
    provider.sql(copy).await;
    let last = "SELECT chain, MAX(sequence) FROM audit_events GROUP BY chain ORDER BY MAX(sequence) DESC LIMIT 1";
    for (change, found) in [
        (format!("UPDATE audit_events SET sub = 'mallory' WHERE {one}"), "this event was changed"),
        (format!("UPDATE audit_events SET detail = NULL WHERE {one}"), "this event was changed"),
        (format!("DELETE FROM audit_events WHERE {one}"), "this event is missing"),
        ("DELETE FROM audit_events WHERE sequence = 1".to_owned(), "this event is missing"),
        (format!("DELETE FROM audit_events WHERE (chain, sequence) = ({last})"), "the end was cut off"),
    ] {
        provider.sql(&change).await;
        let outcome = verify();
        assert_eq!(outcome.status, 1, "{change}: {outcome:?}");
        assert!(outcome.stderr.contains(found) && outcome.stdout.is_empty(), "{change}: {outcome:?}");
        provider.sql("DELETE FROM audit_events; INSERT INTO audit_events SELECT * FROM kept_events").await;
        assert_eq!(verify().status, 0, "as it was");
    }
}

#[tokio::test]
async fn an_export_is_one_file_that_is_checked_without_the_database() {
    let (provider, _) = with_sign_ins().await;
    let export = provider.command(&["audit", "export"], "").stdout;
    let elsewhere = folder();
    let verify = |text: &str| {
        crate::support::program::run_with(elsewhere.path(), &["audit", "verify", "--file", "-"], &[], text)
    };
    let whole = verify(&export);
    assert_eq!(whole.status, 0, "{whole:?}");
    assert!(whole.stderr.contains("whole"), "{whole:?}");
    let forged = verify(&export.replacen("alice-sub", "mallory", 1));
    assert!(forged.status == 1 && forged.stderr.contains("was changed"), "{forged:?}");
    let broken = verify("no JSON\n");
    assert!(broken.status == 1 && broken.stderr.contains("line 1"), "{broken:?}");
}

#[tokio::test]
async fn the_list_is_narrowed_by_what_is_wanted() {
    let (provider, client) = with_sign_ins().await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "nobody", "guess").await;
    let reference = page.header("x-request-id").unwrap().to_owned();
    provider.provider.audit.flush().await;
    let list = |arguments: &[&str]| {
        let outcome = provider.command(&[&["audit", "list"], arguments].concat(), "");
        assert_eq!(outcome.status, 0, "{outcome:?}");
        outcome.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(list(&["--event", "sign_in"]).len(), 2);
    assert_eq!(list(&["--event", "sign_in", "--limit", "1"]).len(), 1);
    assert_eq!(list(&["--user", "alice-sub"]).len(), 4, "two sign-ins, tokens for each");
    assert!(list(&["--client", "nobody"]).is_empty());
    let [failed] = &list(&["--reference", &reference])[..] else { panic!() };
    assert!(failed.contains("Z  sign_in_failed") && failed.contains(&client.client_id), "{failed}");
    let json: Value = serde_json::from_str(&list(&["--event", "sign_in", "--json"])[0]).unwrap();
    assert_eq!(json["sub"], "alice-sub");
    provider.travel(7200);
    assert!(!list(&["--since", "1h"]).is_empty(), "it is the clock of the operator who asks");
    let wrong = provider.command(&["audit", "list", "--since", "yesterday"], "");
    assert_eq!(wrong.status, 2, "{wrong:?}");
}

#[test]
fn without_a_database_there_is_nothing_to_read_and_none_is_made() {
    let folder = folder();
    let _ = fresh_stores(folder.path());
    for command in [&["audit", "list"][..], &["audit", "verify"], &["explain", "--latest"]] {
        let outcome = crate::support::program::run(folder.path(), command);
        assert!(outcome.status == 1 && outcome.stderr.contains("there is no database"), "{outcome:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Every request is answered, whatever the audit does: what cannot be kept is counted.
#[tokio::test]
async fn a_database_that_is_away_holds_no_request_up_and_what_waited_is_written_when_it_is_back() {
    let (provider, client) = with_sign_ins().await;
    provider.sql("ALTER TABLE audit_events RENAME TO away").await;
    let browser = UserAgent::new();
    let _ = provider.tokens(&browser, &client).await;
    provider.provider.audit.flush().await;
    provider.sql("ALTER TABLE away RENAME TO audit_events").await;
    let _ = provider.tokens(&browser, &client).await;
    let events = events(&provider).await;
    // The batch that could not be written is lost, as the table was gone for good; the next begins a chain of its own.
    assert_eq!(of_kind(&events, "tokens_issued").len(), 3);
    // But it is not lost in silence: her sign-in and her tokens are counted.
    assert_eq!(detail(only(&events, "events_lost"))["count"], 2);
    assert_eq!(provider.command(&["audit", "verify"], "").status, 0);
}

/// Far more than a node issues in a while of its own, and nothing is lost: what is written lags behind, bounded.
#[tokio::test]
async fn a_burst_of_events_is_written_whole() {
    let provider = TestProvider::start().await;
    for number in 0..5000_i64 {
        let event = Event::new(EventKind::TokensIssued, provider.provider.now());
        provider.provider.audit.record(event.by("machine").with("number", number));
    }
    let events = events(&provider).await;
    assert_eq!((of_kind(&events, "tokens_issued").len(), of_kind(&events, "events_lost").len()), (5000, 0));
    assert_eq!(provider.command(&["audit", "verify"], "").status, 0);
}

/// What is too much for the queue is not kept, but counted.
#[tokio::test]
async fn what_cannot_be_kept_is_counted() {
    let provider = TestProvider::start().await;
    for _ in 0..3000 {
        provider.provider.audit.record(Event::new(EventKind::SignInFailed, provider.provider.now()));
    }
    let events = events(&provider).await;
    let kept = of_kind(&events, "sign_in_failed").len();
    let lost: i64 = of_kind(&events, "events_lost").iter().map(|event| detail(event)["count"].as_i64().unwrap()).sum();
    assert!((2000..2100).contains(&kept), "{kept}");
    assert_eq!(kept + usize::try_from(lost).unwrap(), 3000);
}
