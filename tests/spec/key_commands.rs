//! `hallpass key plan` and `key retire`, as a person and as a script use them; and the page about it, run as it is.
//! `key new` is in `commands.rs`, the clients' view in `key_rotation.rs`.

use crate::support::program::{Running, done, files_in, refused, run, run_with};
use crate::support::provider::copy_keys;
use crate::support::remote::until;
use crate::support::{NewClient, TestProvider, folder};
use hallpass::ambient::Clock;
use hallpass::keys::{JWKS_MAX_AGE, KeySet, LONGEST_TOKEN, PUBLISH_LEAD, instant_text, parse_instant};
use hallpass::protocol::response::SigningAlgorithm;
use hallpass::protocol::time::NumericDate;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the setting says by default: a session may bring an `id_token` as a hint for so long.
const SESSION_LIFETIME: i64 = 604_800;
const DAY: i64 = 86_400;

/// Makes a key and gives its kid.
fn new_key(folder: &Path, arguments: &[&str]) -> String {
    let arguments: Vec<&str> = ["key", "new"].iter().chain(arguments).copied().collect();
    let made = done(run(folder, &arguments)).stdout;
    let file = Path::new(made.trim()).file_name().unwrap().to_str().unwrap().to_owned();
    plan(folder)["keys"].as_array().unwrap().iter().find(|key| key["file"] == file).unwrap()["kid"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn plan(folder: &Path) -> Value {
    serde_json::from_str(&run(folder, &["key", "plan", "--json"]).stdout).unwrap()
}

/// State by kid.
fn state(folder: &Path, kid: &str) -> String {
    let plan = plan(folder);
    let key = plan["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap().clone();
    key["state"].as_str().unwrap().to_owned()
}

/// Runs a command on a terminal of its own, where a person types `input`; what they saw and the status.
fn on_a_terminal(folder: &Path, arguments: &str, input: &str) -> (String, i32) {
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_hallpass"));
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("script, of util-linux, is installed");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (String::from_utf8(output.stdout).unwrap().replace('\r', ""), output.status.code().unwrap())
}

/// Replaces what differs between runs: kids by letters, in the order in which they come.
fn without_kids(text: &str, kids: &[&str]) -> String {
    let mut text = text.to_owned();
    for (letter, kid) in ('A'..).zip(kids) {
        text = text.replace(*kid, &letter.to_string().repeat(43)).replace(&kid[..12], &letter.to_string().repeat(12));
    }
    text
}

/// Sets the time a file was written, which is since when its key is published.
fn written_at(path: &Path, instant: &str) {
    let seconds = u64::try_from(parse_instant(instant).unwrap().0).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn key_plan_shows_every_key_with_its_timetable() {
    let folder = folder();
    let old = new_key(folder.path(), &["--signs-from", "2025-01-01T00:00:00Z"]);
    let next = new_key(folder.path(), &["--signs-from", "2099-01-01T00:00:00Z"]);
    let ended = new_key(folder.path(), &["--alg", "ES256", "--signs-from", "2025-01-01T00:00:00Z"]);
    let keys = folder.path().join("keys");
    fs::rename(
        keys.join("es256.2025-01-01T000000Z.pem"),
        keys.join("es256.2025-01-01T000000Z.retired-2025-06-01T000000Z.pem"),
    )
    .unwrap();
    for file in files_in(&keys) {
        written_at(&keys.join(file), "2024-12-24T180000Z");
    }
    let shown = done(run(folder.path(), &["key", "plan"]));
    insta::assert_snapshot!(without_kids(&shown.stdout, &[&old, &next, &ended]), @r"
    ALGORITHM  STATE       KID           PUBLISHED             SIGNS FROM            RETIRES               MAY BE DELETED
    RS256      signs       AAAAAAAAAAAA  2024-12-24T18:00:00Z  2025-01-01T00:00:00Z  -                     -
    RS256      next        BBBBBBBBBBBB  2024-12-24T18:00:00Z  2099-01-01T00:00:00Z  -                     -
    ES256      done        CCCCCCCCCCCC  2024-12-24T18:00:00Z  2025-01-01T00:00:00Z  2025-06-01T00:00:00Z  2025-06-08T00:00:00Z

    warning: ES256: no ES256 key signs now; clients with this algorithm in their row cannot be signed in
      Fix: hallpass key new --alg ES256

    warning: ES256: CCCCCCCCCCCC is retired, and its last token has ended: its file may be deleted
      Fix: delete es256.2025-01-01T000000Z.retired-2025-06-01T000000Z.pem
    ");
    assert_eq!(shown.stderr, "");

    let plan = plan(folder.path());
    assert_eq!(
        (plan["jwks_max_age"].as_i64(), plan["longest_token"].as_i64()),
        (Some(JWKS_MAX_AGE), Some(LONGEST_TOKEN))
    );
    assert_eq!(plan["longest_hint"].as_i64(), Some(SESSION_LIFETIME));
    assert!((plan["now"].as_i64().unwrap() - Clock::System.now().0).abs() < 60, "{plan}");
    assert_eq!(
        plan["keys"][2],
        serde_json::json!({
            "kid": ended,
            "alg": "ES256",
            "state": "done",
            "file": "es256.2025-01-01T000000Z.retired-2025-06-01T000000Z.pem",
            "published_at": parse_instant("2024-12-24T180000Z").unwrap().0,
            "signs_from": parse_instant("2025-01-01T000000Z").unwrap().0,
            "retired_at": parse_instant("2025-06-01T000000Z").unwrap().0,
            "leaked_at": null,
            "deletable_at": parse_instant("2025-06-08T000000Z").unwrap().0,
        })
    );
    assert_eq!(plan["findings"][0]["verdict"], "warning");
    assert_eq!(plan["findings"][0]["fix"], "hallpass key new --alg ES256");
}

/// A script that reads the plan in a pipe gets the same words in the same columns.
#[test]
fn key_plan_is_made_for_pipes_too() {
    let folder = folder();
    let kid = new_key(folder.path(), &[]);
    let shown = done(run_with(folder.path(), &["key", "plan"], &[("NO_COLOR", "1")], "")).stdout;
    let fields: Vec<&str> = shown.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(fields[..3], ["RS256", "signs", &kid[..12]]);
    let (seen, status) = on_a_terminal(folder.path(), "key plan", "");
    assert_eq!((seen, status), (shown, 0));
}

#[test]
fn key_plan_ends_with_status_1_when_rs256_has_no_key() {
    let folder = folder();
    new_key(folder.path(), &["--alg", "ES256"]);
    let outcome = run(folder.path(), &["key", "plan"]);
    assert_eq!(outcome.status, 1);
    assert!(outcome.stdout.contains("fault: RS256: no RS256 key signs now"), "{outcome:?}");
    assert!(outcome.stdout.contains("Fix: hallpass key new --alg RS256"), "{outcome:?}");
    refused(&run(folder.path(), &["key", "plan", "--keys", "elsewhere"]), &["elsewhere", "Fix: hallpass key new"]);
}

#[test]
fn key_retire_lets_a_key_stop_when_its_successor_begins() {
    let folder = folder();
    let old = new_key(folder.path(), &[]);
    let new = new_key(folder.path(), &[]);
    let successor = plan(folder.path())["keys"][1].clone();
    assert_eq!(successor["kid"], new);
    let outcome = done(run(folder.path(), &["key", "retire", &old[..8], "--yes"]));
    let begins = successor["signs_from"].as_i64().unwrap();
    let file = outcome.stdout.trim();
    assert!(file.ends_with(&format!(".retired-{}.pem", instant_text(NumericDate(begins)))), "{file}");
    assert!(folder.path().join(file).exists());
    assert_eq!(files_in(&folder.path().join("keys")).len(), 2);
    assert_eq!(fs::metadata(folder.path().join(file)).unwrap().permissions().mode() & 0o777, 0o600);
    let key = plan(folder.path())["keys"][0].clone();
    assert_eq!(key["state"], "signs", "until then it continues");
    assert_eq!(
        (key["retired_at"].as_i64(), key["deletable_at"].as_i64()),
        (Some(begins), Some(begins + SESSION_LIFETIME))
    );
    let deletable = instant_text(NumericDate(begins + SESSION_LIFETIME));
    let said = outcome.stderr.replace(':', "");
    assert!(said.contains(&format!("Keep the file until {deletable}")), "{deletable}: {outcome:?}");
    // The instant can be put off, also by the file's name.
    let later = instant_text(NumericDate(begins + 3600));
    let outcome = done(run(folder.path(), &["key", "retire", file, "--at", &later, "--yes"]));
    assert!(outcome.stdout.contains(&later) && outcome.stdout.matches("retired").count() == 1, "{outcome:?}");
}

/// A provider with an RS256 key that stopped so many seconds ago; gives its kid.
async fn provider_with_a_retired_key(seconds_ago: i64) -> (TestProvider, String) {
    let provider = TestProvider::start().await;
    let folder = provider.folder.path().join("keys");
    let now = Clock::System.now();
    let retired_at = now.plus(-seconds_ago);
    let made = hallpass::keys::create(&folder, SigningAlgorithm::Rs256, retired_at.plus(-DAY)).unwrap();
    let name = format!("rs256.{}.retired-{}.pem", instant_text(retired_at.plus(-DAY)), instant_text(retired_at));
    fs::rename(&made, folder.join(&name)).unwrap();
    let kid = KeySet::load(&folder).unwrap().all().iter().find(|key| key.entry.file == name).unwrap().entry.kid.clone();
    (provider, kid)
}

/// State, and seconds from the key's end until its file may be deleted; and what the plan says about the longest hint.
fn end_of(provider: &TestProvider, kid: &str, more: &[(&str, &str)]) -> (String, Option<i64>, Option<i64>) {
    let variables = provider.variables();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).chain(more.iter().copied()).collect();
    let outcome = run_with(provider.folder.path(), &["key", "plan", "--json"], &variables, "");
    let plan: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    let key = plan["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap().clone();
    let until = key["deletable_at"].as_i64().map(|at| at - key["retired_at"].as_i64().unwrap());
    (key["state"].as_str().unwrap().to_owned(), until, plan["longest_hint"].as_i64())
}

/// RP-Initiated Logout 2: an expired `id_token` is a hint, so what signed it is needed for as long as one can be brought.
#[tokio::test]
async fn a_keys_file_may_be_deleted_when_no_session_and_no_refresh_family_can_bring_a_hint_of_it() {
    let (provider, kid) = provider_with_a_retired_key(8 * DAY).await;
    let is = |found: (String, Option<i64>, Option<i64>), state: &str, days: i64| {
        assert_eq!(found, (state.to_owned(), Some(days * DAY), Some(days * DAY)));
    };
    // No client gets refresh tokens: the settings decide.
    let _ = provider.client("plain").await;
    is(end_of(&provider, &kid, &[]), "done", 7);
    is(end_of(&provider, &kid, &[("HALLPASS_SESSION_LIFETIME", "864000")]), "retired", 10);
    is(end_of(&provider, &kid, &[("HALLPASS_SESSION_LIFETIME", "3600")]), "done", 1);
    // A client's row, which has half a year by default; one that is disabled may come back.
    let refreshing = |id: &str| NewClient::new(id).with("grant_types", "authorization_code refresh_token");
    provider.add(refreshing("short").with("refresh_token_lifetime", "3600")).await;
    is(end_of(&provider, &kid, &[]), "done", 7);
    provider.add(refreshing("long").with("refresh_token_lifetime", "2592000").with("disabled_at", "1")).await;
    is(end_of(&provider, &kid, &[]), "retired", 30);
    provider.add(refreshing("default")).await;
    is(end_of(&provider, &kid, &[]), "retired", 180);
    // A lifetime alone gives no refresh tokens.
    provider.add(NewClient::new("other").with("refresh_token_lifetime", "31536000")).await;
    is(end_of(&provider, &kid, &[]), "retired", 180);
    let table = done(provider.command(&["key", "plan"], "")).stdout;
    assert!(!table.contains("may be deleted"), "{table}");
}

/// Rows that were changed since do not shorten what started before.
#[tokio::test]
async fn a_refresh_family_that_started_before_a_key_stopped_keeps_its_file() {
    let (provider, kid) = provider_with_a_retired_key(8 * DAY).await;
    let _ = provider.client("reports").await;
    let retired_at = Clock::System.now().0 - 8 * DAY;
    let family = async |id: &str, started: i64, ends: i64, revoked: &str| {
        let (started, ends) = (retired_at + started, retired_at + ends);
        provider
            .sql(&format!(
                "INSERT INTO refresh_families (family_id, client_id, issued_at, used_at, expires_at, revoked_at) \
                 VALUES ('{id}', 'reports', {started}, {started}, {ends}, {revoked})"
            ))
            .await;
    };
    family("revoked", -DAY, 50 * DAY, "1").await;
    family("later", DAY, 60 * DAY, "NULL").await;
    family("ended", -DAY, DAY, "NULL").await;
    assert_eq!(end_of(&provider, &kid, &[]).0, "done");
    family("alive", -DAY, 40 * DAY, "NULL").await;
    let (state, until, _) = end_of(&provider, &kid, &[]);
    assert_eq!(state, "retired");
    assert!((until.unwrap() - 40 * DAY).abs() < 60, "{until:?}");
}

/// Where the database cannot be asked, no file is given up, and the plan is shown all the same.
#[tokio::test]
async fn without_the_clients_rows_no_file_is_given_up() {
    let (provider, kid) = provider_with_a_retired_key(1000 * DAY).await;
    assert_eq!(end_of(&provider, &kid, &[]).0, "done");
    let nowhere = format!("postgres://hallpass@127.0.0.1:{}/hallpass", crate::support::postgres::free_port());
    let away = [("HALLPASS_DATABASE_URL", nowhere.as_str())];
    assert_eq!(end_of(&provider, &kid, &away), ("retired".to_owned(), None, None));
    let keys = provider.folder.path().join("keys").display().to_string();
    let told = done(run_with(provider.folder.path(), &["key", "plan", "--keys", &keys], &away, ""));
    assert!(told.stderr.contains("when files may be deleted is not known"), "{told:?}");
    assert!(told.stdout.contains(&kid[..12]), "{told:?}");
}

#[test]
fn key_retire_refuses_to_leave_an_algorithm_without_a_key() {
    let folder = folder();
    let rs256 = new_key(folder.path(), &[]);
    let es256 = new_key(folder.path(), &["--alg", "ES256"]);
    refused(
        &run(folder.path(), &["key", "retire", &es256, "--yes"]),
        &["nothing would sign with ES256", "Fix: hallpass key new --alg ES256", "--without-successor"],
    );
    refused(&run(folder.path(), &["key", "retire", &rs256, "--yes"]), &["Fix: hallpass key new --alg RS256"]);
    // Too early is as bad as never.
    new_key(folder.path(), &["--alg", "ES256", "--signs-from", "2099-01-01T00:00:00Z"]);
    refused(
        &run(folder.path(), &["key", "retire", &es256, "--at", "2098-12-31T00:00:00Z", "--yes"]),
        &["nothing would sign with ES256 then"],
    );
    done(run(folder.path(), &["key", "retire", &es256, "--at", "2099-01-01T00:00:00Z", "--yes"]));
    refused(
        &run(folder.path(), &["key", "retire", &rs256, "--without-successor", "--yes"]),
        &["RS256 must always have a key"],
    );
    done(run(
        folder.path(),
        &["key", "retire", &es256, "--at", "2031-01-01T00:00:00Z", "--without-successor", "--yes"],
    ));
    assert_eq!(state(folder.path(), &rs256), "signs");
}

#[test]
fn key_retire_says_what_it_does_not_understand() {
    let folder = folder();
    let kid = new_key(folder.path(), &[]);
    new_key(folder.path(), &[]);
    let before = files_in(&folder.path().join("keys"));
    refused(&run(folder.path(), &["key", "retire", "nobody", "--yes"]), &["no key \"nobody\"", "hallpass key plan"]);
    refused(&run(folder.path(), &["key", "retire", &kid[..3], "--yes"]), &["four characters"]);
    refused(
        &run(folder.path(), &["key", "retire", &kid, "--at", "2020-01-01T00:00:00Z", "--yes"]),
        &["in the past", "--leaked"],
    );
    // A script that did not think of the question is told, and nothing happened.
    for usage in [
        &["key", "retire"][..],
        &["key", "retire", &kid],
        &["key", "retire", "--leaked", &kid],
        &["key", "retire", &kid, "--at", "soon"],
        &["key", "retire", &kid, "--leaked", "--at", "2099-01-01T00:00:00Z"],
    ] {
        assert_eq!(run(folder.path(), usage).status, 2, "{usage:?}");
    }
    assert_eq!(files_in(&folder.path().join("keys")), before);
}

#[test]
fn a_person_is_asked_before_a_key_is_retired() {
    let folder = folder();
    let kid = new_key(folder.path(), &[]);
    new_key(folder.path(), &[]);
    let before = files_in(&folder.path().join("keys"));
    for no in ["n\n", "\n", "x\nno\n"] {
        let (seen, status) = on_a_terminal(folder.path(), &format!("key retire -- {kid}"), no);
        assert!(seen.contains("Retire it? (yes, no) [no]") && seen.contains("nothing was changed"), "{seen}");
        assert_eq!((status, files_in(&folder.path().join("keys"))), (1, before.clone()));
    }
    let (seen, status) = on_a_terminal(folder.path(), &format!("key retire -- {kid}"), "y\n");
    assert_eq!(status, 0, "{seen}");
    assert_ne!(files_in(&folder.path().join("keys")), before);
}

/// The emergency path, and what it says: the file is kept, the key is dead, and another one signs at once.
#[test]
fn a_leaked_key_is_dead_at_once_and_another_one_signs() {
    let folder = folder();
    let leaked = new_key(folder.path(), &["--signs-from", "2025-01-01T00:00:00Z"]);
    let other = new_key(folder.path(), &["--alg", "ES256", "--signs-from", "2025-01-01T00:00:00Z"]);
    let keys = folder.path().join("keys");
    let outcome = done(run(folder.path(), &["key", "retire", "--leaked", &leaked, "--yes"]));
    assert_eq!(state(folder.path(), &leaked), "leaked");
    assert_eq!(files_in(&keys).len(), 3, "nothing is deleted");
    assert!(outcome.stdout.trim().contains(".leaked-"), "{outcome:?}");
    let now = Clock::System.now();
    let set = KeySet::load(&keys).unwrap();
    let signing = set.signing(SigningAlgorithm::Rs256, now).unwrap();
    assert_ne!(signing.entry.kid, leaked);
    assert!(set.jwks(now, LONGEST_TOKEN)["keys"].as_array().unwrap().iter().all(|key| key["kid"] != leaked));

    let said = without_kids(&outcome.stderr, &[&leaked, &other]);
    let made = format!("made keys/{}, which", signing.entry.file);
    assert!(said.contains(&made), "{said}");
    insta::assert_snapshot!(said.replace(&made, "made keys/NEW, which"), @r"
    RS256 AAAAAAAAAAAA (rs256.2025-01-01T000000Z.pem) is taken out at once. What that costs:

      - A key that not every service knows signs at once. A service that keeps the key list (we say for
        3600 seconds, some keep it longer) and does not fetch it again for a kid it does not know refuses sign-ins
        until then. Restart it, and it does not.
      - What the leaked key signed fails from now on: id_tokens, also as id_token_hint (settings: 600 seconds), and
        JWT access tokens (settings: 600 seconds). Clients get new ones; opaque access tokens, refresh tokens and
        sign-ins here were not signed with it and continue.
      - A thief can sign tokens that a service believes until it fetches the key list again. We say that it
        should after 3600 seconds; services that cache longer must be restarted: ASP.NET Core keeps it for 12 hours
        or until it meets a kid it does not know, mod_oauth2 for 24 hours, some until they are restarted
        (docs/rotating-keys.md has a list). Then end the sessions that services themselves keep.
      - If the whole folder leaked, do the same with BBBBBBBBBBBB.

    made keys/NEW, which signs at once
    Every node sees it within five seconds, if they share the folder; copy both files to those that do not.
    ");

    refused(&run(folder.path(), &["key", "retire", "--leaked", &leaked, "--yes"]), &["known to have leaked since"]);
    // Where another one signs already, none is made, and nothing is out.
    let second = signing.entry.kid.clone();
    let third = new_key(folder.path(), &["--signs-from", "2025-01-01T00:00:00Z"]);
    written_at(&keys.join("rs256.2025-01-01T000000Z.pem"), "2025-01-01T000000Z");
    let outcome = done(run(folder.path(), &["key", "retire", "--leaked", &second, "--yes"]));
    assert!(outcome.stderr.contains("No outage") && !outcome.stderr.contains("made"), "{outcome:?}");
    assert_eq!(state(folder.path(), &third), "signs");
}

/// No output of any key command holds a line of a private key.
#[test]
fn private_keys_are_never_printed() {
    let folder = folder();
    let kid = new_key(folder.path(), &[]);
    let keys = folder.path().join("keys");
    let secret = fs::read_to_string(keys.join(&files_in(&keys)[0])).unwrap();
    let secret: Vec<&str> = secret.lines().filter(|line| !line.starts_with("---")).collect();
    for arguments in [
        &["key", "plan"][..],
        &["key", "plan", "--json"],
        &["key", "new"],
        &["key", "retire", &kid, "--yes"],
        &["key", "retire", "--leaked", &kid, "--yes"],
    ] {
        let outcome = done(run(folder.path(), arguments));
        for line in &secret {
            assert!(!outcome.stdout.contains(line) && !outcome.stderr.contains(line), "{arguments:?}: {outcome:?}");
        }
    }
}

/// The state is a pure function of names and clock: two nodes with the same names say the same at every instant.
#[test]
fn two_nodes_with_the_same_files_never_disagree() {
    let (one, other) = (folder(), folder());
    let names = [
        "2026-01-01T000000Z.pem",
        "2026-02-01T000000Z.retired-2026-04-01T000000Z.pem",
        "2026-03-01T000000Z.retired-2026-03-15T000000Z.pem",
        "2026-03-10T000000Z.leaked-2026-03-12T000000Z.pem",
        "2026-05-01T000000Z.pem",
    ];
    let start = parse_instant("2025-12-31T000000Z").unwrap();
    for (index, name) in names.iter().enumerate() {
        let made =
            hallpass::keys::create(one.path(), SigningAlgorithm::Es256, start.plus(i64::try_from(index).unwrap()));
        let file = one.path().join(format!("es256.{name}"));
        fs::rename(made.unwrap(), &file).unwrap();
        // Another time of writing, and another order in the folder.
        let copy = other.path().join(format!("es256.{}", names[index]));
        fs::copy(&file, &copy).unwrap();
        written_at(&copy, "2020-01-01T000000Z");
    }
    let (one, other) = (KeySet::load(one.path()).unwrap(), KeySet::load(other.path()).unwrap());
    let mut signed = std::collections::HashSet::new();
    for hour in 0..24 * 200 {
        let now = start.plus(hour * 3600);
        let kid = |set: &KeySet| set.signing(SigningAlgorithm::Es256, now).map(|key| key.entry.kid.clone());
        assert_eq!(kid(&one), kid(&other), "{now}");
        assert_eq!(one.jwks(now, LONGEST_TOKEN), other.jwks(now, LONGEST_TOKEN), "{now}");
        signed.extend(kid(&one));
    }
    assert_eq!(signed.len(), 4, "the leaked one never signs");
}

/// A running node takes a leaked key out of the published set, and believes nothing it signed, without a restart.
#[tokio::test]
async fn a_running_node_drops_a_leaked_key_within_seconds() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let watching = tokio::spawn(hallpass::startup::watch_keys(provider.provider.clone()));
    let browser = crate::support::UserAgent::new();
    let tokens = provider.tokens(&browser, &client).await;
    let hint = tokens.text("id_token");
    let kid = crate::support::header_of(&hint)["kid"].as_str().unwrap().to_owned();
    let published = async || {
        let answer = provider.get("/jwks", &[]).await.ok().json();
        answer["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(published().await.contains(&kid));
    assert!(provider.provider.keys.current().verify(&hint, "JWT").is_some());
    let variables = provider.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    done(run_with(provider.folder.path(), &["key", "retire", "--leaked", &kid, "--yes"], &variables, ""));
    until("the leaked key is not published any more", async || !published().await.contains(&kid)).await;
    watching.abort();
    assert!(provider.provider.keys.current().verify(&hint, "JWT").is_none());
    // The person is still signed in, and what is issued now is signed by another key.
    let again = provider.tokens(&browser, &client).await;
    let new_kid = crate::support::header_of(&again.text("id_token"))["kid"].as_str().unwrap().to_owned();
    assert!(new_kid != kid && published().await.contains(&new_kid));
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.ok().json()["sub"], "alice-sub");
}

/// The blocks of a page between ```sh and ```, in their order.
fn shell_blocks(page: &str) -> Vec<String> {
    page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// docs/rotating-keys.md, run as it is by a shell that stops at the first failure, beside a running node; what
/// the page promises behind each block is checked.
#[tokio::test]
async fn the_page_about_rotating_keys_works_as_it_is() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rotating-keys.md")).unwrap();
    let blocks = shell_blocks(&page);
    assert_eq!(blocks.len(), 6, "say here what a new block promises");
    let folder = folder();
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hallpass"), bin.join("hallpass")).unwrap();
    copy_keys(&folder.path().join("seed"));
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let shell = |script: &str| {
        let output = Command::new("sh")
            .args(["-euc", script])
            .current_dir(folder.path())
            .env("PATH", &path)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(output.status.success(), "{script}\n{stdout}\n{stderr}");
        (stdout, stderr)
    };
    let states = || -> Vec<(String, String)> {
        let plan = plan(folder.path());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        plan["keys"].as_array().unwrap().iter().map(|key| (text(&key["alg"]), text(&key["state"]))).collect()
    };
    let is = |expected: &[(&str, &str)]| {
        let expected: Vec<(String, String)> =
            expected.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect();
        assert_eq!(states(), expected);
    };

    shell(&blocks[0]);
    is(&[("RS256", "signs"), ("ES256", "signs")]);
    // What follows happens beside a running node.
    let (port, management) = (crate::support::postgres::free_port(), crate::support::postgres::free_port());
    let issuer = format!("http://localhost:{port}");
    let variables = [
        ("HALLPASS_ISSUER", issuer.clone()),
        ("HALLPASS_LISTEN", format!("127.0.0.1:{port}")),
        ("HALLPASS_MANAGEMENT_LISTEN", format!("127.0.0.1:{management}")),
    ];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let serve = Running::start(folder.path(), &["serve"], &variables);
    serve.wait_for("serving");
    let published = async || {
        let jwks = crate::support::verbs::send(crate::support::verbs::http().get(format!("{issuer}/jwks"))).await.ok();
        jwks.json()["keys"].as_array().unwrap().len()
    };
    assert_eq!(published().await, 2);
    // Keys of long ago, as they are where an operator reads this page.
    for file in files_in(&folder.path().join("keys")) {
        written_at(&folder.path().join("keys").join(file), "2025-01-01T000000Z");
    }

    shell(&blocks[1]);
    is(&[("RS256", "signs"), ("RS256", "next"), ("ES256", "signs")]);
    until("the further key is published", async || published().await == 3).await;

    let (stdout, _) = shell(&blocks[2]);
    assert!(stdout.contains(".retired-"), "{stdout}");
    is(&[("RS256", "signs"), ("RS256", "next"), ("ES256", "signs")]);
    let plan_now = plan(folder.path());
    assert_eq!(plan_now["keys"][0]["retired_at"], plan_now["keys"][1]["signs_from"]);
    assert_eq!(plan_now["findings"].as_array().unwrap().len(), 0, "{plan_now:#}");
    let lead =
        plan_now["keys"][1]["signs_from"].as_i64().unwrap() - plan_now["keys"][1]["published_at"].as_i64().unwrap();
    assert!(lead > JWKS_MAX_AGE && (lead - PUBLISH_LEAD).abs() < 60, "{lead}");

    let (stdout, _) = shell(&blocks[3]);
    assert!(stdout.contains("es256.") && stdout.contains(".retired-"), "{stdout}");
    is(&[("RS256", "signs"), ("RS256", "next"), ("ES256", "retired")]);
    until("it stays published", async || published().await == 3).await;

    let (_, stderr) = shell(&blocks[4]);
    assert!(stderr.contains("What that costs"), "{stderr}");
    is(&[("RS256", "leaked"), ("RS256", "signs"), ("RS256", "next"), ("ES256", "retired")]);
    until("the leaked one is out, and its successor in", async || published().await == 3).await;

    shell(&blocks[5]);
    is(&[("RS256", "signs"), ("RS256", "next"), ("ES256", "retired")]);
}
