//! What the audit tells of a person can be erased, and is told from what was changed.

use crate::audit::{detail, events, of_kind, only};
use crate::support::TestProvider;
use hallpass::protocol::audit::{Event, EventKind};
use serde_json::{Value, json};

/// A provider with two events of Alice and one of Bob, and one of no user from another network.
async fn with_people() -> TestProvider {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let now = provider.provider.now();
    let record = |event| provider.provider.audit.record(event);
    let sign_in = |sub, network: &str| Event::new(EventKind::SignIn, now).of(sub).by("reports").from(&network);
    record(sign_in("alice-sub", "192.0.2.1").personal("browser", "Alice's browser"));
    record(sign_in("bob-sub", "192.0.2.2"));
    record(sign_in("alice-sub", "192.0.2.1").with("amr", "pwd"));
    record(Event::new(EventKind::NodeStarted, now));
    provider.provider.audit.flush().await;
    provider
}

/// Erases; gives how many members of how many events.
fn erase(provider: &TestProvider, arguments: &[&str]) -> (i64, i64) {
    let outcome = provider.command(&[&["audit", "erase", "--yes", "--json"], arguments].concat(), "");
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
    (told["members"].as_i64().unwrap(), told["events"].as_i64().unwrap())
}

#[track_caller]
fn whole(provider: &TestProvider) -> String {
    let verified = provider.command(&["audit", "verify"], "");
    assert_eq!(verified.status, 0, "{verified:?}");
    verified.stderr
}

#[tokio::test]
async fn what_was_erased_is_gone_and_verify_says_so_and_that_the_rest_is_whole() {
    let provider = with_people().await;
    assert!(!whole(&provider).contains("erased"));
    let before = events(&provider).await;
    assert_eq!(erase(&provider, &["--sub", "alice-sub"]), (5, 2));
    assert!(whole(&provider).contains("\n5 personal members were erased\n"));

    let table = provider.rows("SELECT sub, network, detail, personal, salts, digests FROM audit_events").await;
    let table = format!("{table:?}");
    assert!(!table.contains("lice") && !table.contains("192.0.2.1"), "{table}");
    assert!(table.contains("bob-sub") && table.contains("192.0.2.2"), "{table}");

    let after = events(&provider).await;
    let sign_ins = of_kind(&after, "sign_in");
    let names: Vec<Value> = sign_ins.iter().map(|event| event["erased"].clone()).collect();
    assert_eq!(names, [json!(["browser", "network", "sub"]), json!([]), json!(["network", "sub"])]);
    // What identifies no user stays, and so do place and hash.
    assert_eq!(detail(sign_ins[2])["amr"], "pwd");
    for before in &before {
        let is_same = |event: &&Value| event["chain"] == before["chain"] && event["sequence"] == before["sequence"];
        let after = after.iter().find(is_same).unwrap();
        for member in ["at", "event", "client_id", "detail", "digests", "hash"] {
            assert_eq!(before[member], after[member], "{member}");
        }
    }
    let list = provider.command(&["audit", "list", "--event", "sign_in"], "").stdout;
    assert_eq!(list.matches("(erased)").count(), 4, "{list}");
    // An erasure is an event, which does not say of whom.
    let told = only(&after, "personal_erased");
    assert_eq!(detail(told), json!({"events": 2, "members": 5}));
    assert_eq!((&told["sub"], &told["personal"]), (&Value::Null, &json!({})));

    assert_eq!(erase(&provider, &["--sub", "alice-sub"]), (0, 0), "there is no more");
    only(&events(&provider).await, "personal_erased");
}

#[tokio::test]
async fn the_digests_of_equal_values_tell_nothing_of_one_another() {
    let provider = with_people().await;
    let events = events(&provider).await;
    let of_alice: Vec<&Value> = events.iter().filter(|event| event["sub"] == "alice-sub").collect();
    assert_eq!(of_alice.len(), 2);
    for member in ["sub", "network"] {
        assert_ne!(of_alice[0]["digests"][member], of_alice[1]["digests"][member]);
        let salts = [0, 1].map(|at| of_alice[at]["salts"][member].as_str().unwrap());
        assert!(salts[0] != salts[1] && salts[0].len() == 22, "128 bits: {salts:?}");
    }
}

#[tokio::test]
async fn what_was_changed_by_hand_is_no_erasure() {
    let provider = with_people().await;
    assert_eq!(erase(&provider, &["--sub", "alice-sub"]), (5, 2));
    provider.sql("CREATE TABLE kept_events AS SELECT * FROM audit_events").await;
    let erased = "WHERE event = 'sign_in' AND sub IS NULL";
    let of_bob = "WHERE sub = 'bob-sub'";
    for (change, found) in [
        (format!("digests = REPLACE(digests, '\"sub\":\"', '\"sub\":\"A') {erased}"), "its hash is another one"),
        (format!("digests = NULL {erased}"), "its hash is another one"),
        (format!("sub = 'alice-sub' {erased}"), "its member \"sub\" has no salt"),
        (format!("personal = '{{\"browser\":\"Lynx\"}}' {erased}"), "its member \"browser\" has no salt"),
        (format!("personal = '{{\"note\":\"a word\"}}' {of_bob}"), "its member \"note\" is not covered by its hash"),
        (format!("sub = 'mallory' {of_bob}"), "its member \"sub\" or the salt of it is another one"),
        (format!("sub = NULL {of_bob}"), "its member \"sub\" was taken out, but not erased"),
        (format!("salts = NULL {of_bob}"), "has no salt"),
        (format!("salts = 'no JSON' {of_bob}"), "has no salt"),
        (format!("salts = REPLACE(salts, '\"sub\":\"', '\"sub\":\"A') {of_bob}"), "or the salt of it is another one"),
        // Value and salt together, but no event says so.
        (format!("sub = NULL, network = NULL, salts = NULL {of_bob}"), "events tell only of 5 erased"),
    ] {
        provider.sql(&format!("UPDATE audit_events SET {change}")).await;
        let outcome = provider.command(&["audit", "verify"], "");
        assert!(outcome.status == 1 && outcome.stderr.contains(found), "{change}: {outcome:?}");
        provider.sql("DELETE FROM audit_events; INSERT INTO audit_events SELECT * FROM kept_events").await;
    }
    whole(&provider);
}

#[tokio::test]
async fn what_was_typed_for_a_user_in_events_of_no_user_is_erased_by_name() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let now = provider.provider.now();
    for typed in ["ALICE", "alice@example.com", "al_ce", "malice", "a\"l%i!ce\\", "alice\",\"x\":\"y"] {
        let event = Event::new(EventKind::SignInFailed, now).from(&"192.0.2.7");
        provider.provider.audit.record(event.personal("username", typed));
    }
    // About Bob, though another had the name before.
    let event = Event::new(EventKind::UserAdded, now).of("bob-sub").personal("username", "alice");
    provider.provider.audit.record(event);
    provider.provider.audit.flush().await;
    assert_eq!(erase(&provider, &["--sub", "alice-sub"]), (4, 2), "her user name and her address");
    assert_eq!(erase(&provider, &["--sub", "nobody-sub", "--name", "al_ce"]), (2, 1), "no pattern");
    assert_eq!(erase(&provider, &["--sub", "nobody-sub", "--name", "a\"l%i!ce\\"]), (2, 1), "every character");
    let events = events(&provider).await;
    let left: Vec<&Value> =
        of_kind(&events, "sign_in_failed").iter().map(|event| &event["personal"]["username"]).collect();
    let left: Vec<&str> = left.into_iter().filter_map(Value::as_str).collect();
    assert_eq!(left, ["malice", "alice\",\"x\":\"y"]);
    assert_eq!(only(&events, "user_added")["personal"]["username"], "alice");
    whole(&provider);
}

/// More than one transaction erases, while a node writes and another command erases the same.
#[tokio::test(flavor = "multi_thread")]
async fn many_events_are_erased_while_others_are_written() {
    let provider = TestProvider::start().await;
    let write = async |number| {
        for _ in 0..number {
            let event = Event::new(EventKind::SignIn, provider.provider.now());
            provider.provider.audit.record(event.of("alice-sub").from(&"192.0.2.1"));
        }
        provider.provider.audit.flush().await;
    };
    write(1700).await;
    let erased = std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| erase(&provider, &["--sub", "alice-sub"])));
        provider.provider.audit.record(Event::new(EventKind::NodeStarted, provider.provider.now()));
        both.map(|one| one.join().unwrap())
    });
    assert_eq!((erased[0].0 + erased[1].0, erased[0].1 + erased[1].1), (3400, 1700), "each once: {erased:?}");
    write(3).await;
    let events = events(&provider).await;
    let told: i64 =
        of_kind(&events, "personal_erased").iter().map(|event| detail(event)["members"].as_i64().unwrap()).sum();
    assert!(told == 3400 && of_kind(&events, "personal_erased").len() >= 4, "{told}");
    assert!(whole(&provider).contains("3400 personal members were erased"));
}

#[tokio::test]
async fn nothing_is_erased_without_a_person_and_a_word() {
    let provider = with_people().await;
    for arguments in [&["--yes"][..], &["--sub", "alice-sub"]] {
        let outcome = provider.command(&[&["audit", "erase"], arguments].concat(), "");
        assert_eq!(outcome.status, 2, "{outcome:?}");
    }
    let outcome = provider.command(&["audit", "erase", "--yes", "--sub", "alice-sub", "--name", ""], "");
    assert!(outcome.status == 1 && outcome.stderr.contains("nothing was changed"), "{outcome:?}");
    assert!(!whole(&provider).contains("erased"));
}
