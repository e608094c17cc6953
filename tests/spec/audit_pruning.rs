//! Old events can be removed, with a checkpoint for each chain by which all the rest is still known to be whole.

use crate::audit::{detail, events, of_kind, only};
use crate::support::TestProvider;
use crate::support::program::{Outcome, run_with};
use hallpass::protocol::audit::{Event, EventKind};
use hallpass::startup;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

const DAY: i64 = 86_400;

/// Writes so many sign-ins of Alice.
async fn write(provider: &TestProvider, number: usize) {
    for _ in 0..number {
        let event = Event::new(EventKind::SignIn, provider.provider.now());
        provider.provider.audit.record(event.of("alice-sub").from(&"192.0.2.1"));
    }
    provider.provider.audit.flush().await;
}

/// A provider with so many events of ten days ago and so many of now in one chain; its first event is old too.
async fn with_old_and_new(settings: &[(&str, &str)], old: usize, new: usize) -> TestProvider {
    let provider = TestProvider::with(settings).await;
    provider.travel(-10 * DAY);
    write(&provider, old).await;
    provider.travel(10 * DAY);
    write(&provider, new).await;
    provider
}

fn prune(provider: &TestProvider, older_than: &str) -> Outcome {
    provider.command(&["audit", "prune", "--older-than", older_than, "--yes", "--json"], "")
}

/// How many events of how many chains were removed.
#[track_caller]
fn pruned(provider: &TestProvider, older_than: &str) -> (i64, i64) {
    let outcome = prune(provider, older_than);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
    (told["events"].as_i64().unwrap(), told["chains"].as_i64().unwrap())
}

#[track_caller]
fn whole(provider: &TestProvider, arguments: &[&str]) -> String {
    let verified = provider.command(&[&["audit", "verify"], arguments].concat(), "");
    assert_eq!(verified.status, 0, "{verified:?}");
    verified.stderr
}

/// Keeps the heads as an operator would; gives the file.
fn keep_heads(provider: &TestProvider) -> String {
    let file = provider.folder.path().join("heads.json");
    let heads = provider.command(&["audit", "verify", "--json"], "");
    assert_eq!(heads.status, 0, "{heads:?}");
    fs::write(&file, heads.stdout).unwrap();
    file.to_str().unwrap().to_owned()
}

/// The newest checkpoint of each chain among some events.
fn checkpoints(events: &[Value]) -> BTreeMap<String, Value> {
    let told = of_kind(events, "audit_pruned").into_iter().map(detail);
    told.map(|told| (told["chain"].as_str().unwrap().to_owned(), told)).collect()
}

#[tokio::test]
async fn pruning_removes_what_is_old_and_leaves_one_checkpoint_a_chain() {
    let provider = with_old_and_new(&[], 3, 2).await;
    let other = provider.second_node().await;
    provider.travel(-10 * DAY);
    write(&other, 2).await;
    provider.travel(10 * DAY);
    let before = events(&provider).await;
    let heads = keep_heads(&provider);
    assert_eq!(pruned(&provider, "5d"), (7, 2), "each started with an event of its own");

    let after = events(&provider).await;
    assert_eq!(of_kind(&after, "sign_in").len(), 2, "a cut in the middle of a chain");
    let told = of_kind(&after, "audit_pruned");
    let checkpoints = checkpoints(&after);
    assert_eq!((told.len(), checkpoints.len()), (2, 2));
    for checkpoint in checkpoints.values() {
        let number = |event: &Value, member: &str| event[member].as_i64().unwrap();
        let removed = before.iter().filter(|event| {
            event["chain"] == checkpoint["chain"] && number(event, "sequence") <= number(checkpoint, "sequence")
        });
        let removed: Vec<&Value> = removed.collect();
        assert_eq!(number(checkpoint, "until"), removed.iter().map(|event| number(event, "at")).max().unwrap());
        let last = removed.iter().max_by_key(|event| number(event, "sequence")).unwrap();
        assert_eq!(checkpoint["hash"], last["hash"]);
        assert_eq!(checkpoint["events"], checkpoint["sequence"]);
    }
    let said = whole(&provider, &["--heads", &heads]);
    assert!(said.contains("7 events of 2 chains were pruned before"), "{said}");
    // A node continues in a chain that was pruned to its end.
    write(&other, 1).await;
    whole(&provider, &["--heads", &heads]);
    assert_eq!(pruned(&provider, "5d"), (0, 0));
    assert_eq!(of_kind(&events(&provider).await, "audit_pruned").len(), 2, "nothing was removed, and nothing told");
}

#[tokio::test]
async fn a_second_pruning_takes_the_first_ones_place() {
    let provider = with_old_and_new(&[], 3, 2).await;
    let heads = keep_heads(&provider);
    assert_eq!(pruned(&provider, "5d"), (4, 1));
    // Everything so far, among it what told of the first checkpoint.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(pruned(&provider, "1s").1, 3, "the node, the migrations, the first command");
    let events = events(&provider).await;
    assert!(of_kind(&events, "sign_in").is_empty());
    let checkpoints = checkpoints(&events);
    // The first checkpoint may have been told again, before the node's chain had its turn.
    assert!(checkpoints.len() == 3 && of_kind(&events, "audit_pruned").len() <= 4, "{events:#?}");
    assert!(checkpoints.values().any(|checkpoint| checkpoint["events"] == 6), "both together: {checkpoints:?}");
    whole(&provider, &["--heads", &heads]);
    // What is told of chains that are long gone is told again, when what told of it goes itself.
    let first = keep_heads(&provider);
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(2100)).await;
        assert_eq!(pruned(&provider, "1s").1, 1);
        whole(&provider, &["--heads", &first]);
    }
    assert_eq!(self::checkpoints(&self::events(&provider).await).len(), 5);
    let rows = provider.rows("SELECT chain FROM audit_checkpoints").await;
    assert_eq!(rows.len(), 5, "one a chain");
}

#[tokio::test]
async fn a_chain_longer_than_a_transaction_is_removed_in_several() {
    let provider = with_old_and_new(&[], 1200, 1).await;
    assert_eq!(pruned(&provider, "5d"), (1201, 1));
    let events = events(&provider).await;
    assert_eq!(of_kind(&events, "audit_pruned").len(), 3);
    let [(_, newest)] = &checkpoints(&events).into_iter().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((&newest["events"], &newest["sequence"]), (&1201.into(), &1201.into()));
    whole(&provider, &[]);
}

#[tokio::test]
async fn what_is_taken_out_after_a_pruning_is_found() {
    let provider = with_old_and_new(&[], 3, 3).await;
    assert_eq!(pruned(&provider, "5d"), (4, 1));
    let heads = keep_heads(&provider);
    provider.sql("CREATE TABLE kept_events AS SELECT * FROM audit_events").await;
    let next =
        "(chain, sequence) IN (SELECT chain, MIN(sequence) FROM audit_events WHERE event = 'sign_in' GROUP BY chain)";
    let last =
        "(chain, sequence) IN (SELECT chain, MAX(sequence) FROM audit_events WHERE event = 'sign_in' GROUP BY chain)";
    let told = "event = 'audit_pruned'";
    for (change, found) in [
        (format!("DELETE FROM audit_events WHERE {next}"), "this event is missing"),
        (format!("DELETE FROM audit_events WHERE {last}"), "the end was cut off"),
        ("DELETE FROM audit_events WHERE event = 'sign_in'".to_owned(), "the end was cut off"),
        (format!("DELETE FROM audit_events WHERE {told}"), "this event is missing"),
        (
            format!(
                "UPDATE audit_events SET detail = REPLACE(detail, '\"sequence\":4', '\"sequence\":5') WHERE {told}"
            ),
            "this event was changed",
        ),
        (format!("UPDATE audit_events SET detail = NULL WHERE {told}"), "this event tells of no checkpoint"),
    ] {
        provider.sql(&change).await;
        let outcome = provider.command(&["audit", "verify", "--heads", &heads], "");
        assert!(outcome.status == 1 && outcome.stderr.contains(found), "{change}: {outcome:?}");
        provider.sql("DELETE FROM audit_events; INSERT INTO audit_events SELECT * FROM kept_events").await;
    }
    whole(&provider, &["--heads", &heads]);
}

#[tokio::test]
async fn what_is_not_whole_is_not_pruned_away() {
    let provider = with_old_and_new(&[], 3, 0).await;
    let other = provider.second_node().await;
    provider.travel(-10 * DAY);
    write(&other, 1).await;
    provider.travel(10 * DAY);
    provider.sql("UPDATE audit_events SET sub = 'mallory' WHERE event = 'sign_in' AND sequence = 3").await;
    let outcome = prune(&provider, "5d");
    assert!(
        outcome.status == 1 && outcome.stderr.contains("chains that are not whole were left as they are"),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains("2 events of 1 chains were removed"), "the other chain is: {outcome:?}");
    let verified = provider.command(&["audit", "verify"], "");
    assert!(verified.status == 1 && verified.stderr.contains("event 3: this event was changed"), "{verified:?}");
    // Nor is a chain whose checkpoint is gone.
    provider.sql("UPDATE audit_events SET sub = 'alice-sub' WHERE sub = 'mallory'").await;
    assert_eq!(pruned(&provider, "5d"), (4, 1));
    provider.travel(-10 * DAY);
    write(&provider, 1).await;
    provider.travel(10 * DAY);
    provider.sql("UPDATE audit_events SET detail = REPLACE(detail, '\"events\":4', '\"events\":5')").await;
    let outcome = prune(&provider, "5d");
    assert!(outcome.status == 1 && outcome.stderr.contains("the checkpoint"), "{outcome:?}");
}

#[tokio::test]
async fn an_export_after_erasing_and_pruning_is_whole_by_itself() {
    let provider = with_old_and_new(&[], 3, 2).await;
    provider.travel(-10 * DAY);
    write(&provider.second_node().await, 2).await;
    provider.travel(10 * DAY);
    let erased = provider.command(&["audit", "erase", "--sub", "alice-sub", "--yes"], "");
    assert_eq!(erased.status, 0, "{erased:?}");
    assert_eq!(pruned(&provider, "5d"), (7, 2));
    // The next erasure is pruned later than some of what it erased, and the numbers still agree.
    write(&provider, 1).await;
    assert_eq!(provider.command(&["audit", "erase", "--sub", "alice-sub", "--yes"], "").status, 0);
    let check = || {
        let export = provider.command(&["audit", "export"], "").stdout;
        let checked = run_with(provider.folder.path(), &["audit", "verify", "--file", "-"], &[], &export);
        assert_eq!(checked.status, 0, "{checked:?}");
        let export: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (export, checked.stderr)
    };
    let (export, said) = check();
    assert!(said.contains("6 personal members were erased") && said.contains("7 events of 2 chains"), "{said}");
    assert_eq!(checkpoints(&export).len(), 2);
    let checkpoint_erased: i64 = checkpoints(&export).values().map(|told| told["erased"].as_i64().unwrap()).sum();
    assert_eq!(checkpoint_erased, 10);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let _ = pruned(&provider, "1s");
    let (export, said) = check();
    assert!(!said.contains("were erased"), "{said}");
    let of_erasures: i64 = checkpoints(&export).values().map(|told| told["erasures"].as_i64().unwrap()).sum();
    assert_eq!(of_erasures, 16);
    // What is then taken out by hand is still told from what was erased.
    write(&provider, 1).await;
    provider.sql("UPDATE audit_events SET sub = NULL, network = NULL, salts = NULL WHERE event = 'sign_in'").await;
    let verified = provider.command(&["audit", "verify"], "");
    assert!(verified.status == 1 && verified.stderr.contains("18 personal members are gone"), "{verified:?}");
}

/// Runs what a node does once a minute, once.
async fn sweep_expired(provider: &TestProvider) {
    let house = startup::sweep_expired(provider.provider.clone());
    assert!(tokio::time::timeout(Duration::from_secs(3), house).await.is_err(), "it runs for ever");
}

#[tokio::test]
async fn nothing_is_removed_unless_an_operator_says_so() {
    let provider = with_old_and_new(&[], 3, 1).await;
    let before = events(&provider).await;
    provider.travel(4000 * DAY);
    sweep_expired(&provider).await;
    assert_eq!(events(&provider).await, before);
    // Nor without a word to the command, or without one about how much.
    for arguments in [&["--older-than", "1s"][..], &["--yes"], &["--yes", "--older-than", "soon"]] {
        let outcome = provider.command(&[&["audit", "prune"], arguments].concat(), "");
        assert_eq!(outcome.status, 2, "{outcome:?}");
    }
    assert_eq!(events(&provider).await, before);
}

#[tokio::test]
async fn a_node_with_a_retention_removes_what_is_past_it() {
    let provider = with_old_and_new(&[("audit_retention", "8")], 700, 2).await;
    let heads = keep_heads(&provider);
    sweep_expired(&provider).await;
    let after = events(&provider).await;
    assert_eq!(of_kind(&after, "sign_in").len(), 2);
    assert_eq!(checkpoints(&after).len(), 1);
    assert!(whole(&provider, &["--heads", &heads]).contains("701 events of 1 chains were pruned"));
    // As time goes by, also what told of it; and its own chain continues.
    provider.travel(10 * DAY);
    sweep_expired(&provider).await;
    let after = events(&provider).await;
    assert!(of_kind(&after, "sign_in").is_empty());
    assert!(whole(&provider, &["--heads", &heads]).contains("of 3 chains"), "the node, its pruning, the migrations");
    assert_eq!(checkpoints(&after).len(), 3);
}

#[tokio::test]
async fn the_command_knows_the_retention_of_the_nodes() {
    let provider = with_old_and_new(&[], 3, 1).await;
    let mut variables = provider.variables();
    variables.push(("HALLPASS_AUDIT_RETENTION", "8".to_owned()));
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let outcome = run_with(provider.folder.path(), &["audit", "prune", "--yes"], &variables, "");
    assert!(outcome.status == 0 && outcome.stderr.contains("4 events of 1 chains were removed"), "{outcome:?}");
    let until = only(&events(&provider).await, "audit_pruned").clone();
    assert!(detail(&until)["until"].as_i64().unwrap() < provider.now() - 8 * DAY);
}

/// Two prune, a node writes, and an operator who verifies meanwhile sees something whole.
#[tokio::test(flavor = "multi_thread")]
async fn pruning_while_nodes_write_and_others_prune_keeps_everything_whole() {
    let provider = with_old_and_new(&[], 2600, 1).await;
    let heads = keep_heads(&provider);
    let (removed, written) = std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| prune(&provider, "5d")));
        let mut written = 1;
        let verifying = scope.spawn(|| {
            for _ in 0..3 {
                whole(&provider, &["--heads", &heads]);
            }
        });
        while !both.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            let event = Event::new(EventKind::SignIn, provider.provider.now());
            provider.provider.audit.record(event.of("alice-sub").from(&"192.0.2.1"));
            written += 1;
            std::thread::sleep(Duration::from_millis(5));
        }
        verifying.join().unwrap();
        let removed = both.map(|one| {
            let outcome = one.join().unwrap();
            assert_eq!(outcome.status, 0, "{outcome:?}");
            serde_json::from_str::<Value>(&outcome.stdout).unwrap()["events"].as_i64().unwrap()
        });
        (removed, written)
    });
    assert_eq!(removed[0] + removed[1], 2601, "each once: {removed:?}");
    let events = events(&provider).await;
    assert_eq!(of_kind(&events, "sign_in").len(), written);
    assert!(of_kind(&events, "events_lost").is_empty());
    assert!(whole(&provider, &["--heads", &heads]).contains("2601 events of 1 chains were pruned"));
}
