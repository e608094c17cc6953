//! What an operator does day by day: clients edited, enabled and deleted, lists looked through, a set-up written, users by their
//! names.

use crate::support::program::{Outcome, done, json_of, run, run_at_terminal};
use crate::support::{Authorization, NewClient, NewUser, TestClient, TestProvider, UserAgent};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

const URI: &str = "https://reports.example.com/signin-oidc";

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Runs commands on the stores of a provider that runs.
fn beside(provider: &TestProvider) -> impl Fn(&[&str]) -> Outcome {
    |arguments| provider.command(arguments, "")
}

#[tokio::test]
async fn how_old_a_request_may_be_has_bounds_and_is_never_nothing() {
    let provider = TestProvider::start().await;
    let _ = provider.client("reports").await;
    let hallpass = beside(&provider);
    let shown = || json_of(&done(hallpass(&["client", "show", "reports", "--json"])));
    let edit = |more: &[&str]| hallpass(&[&["client", "edit", "reports"], more].concat());
    assert_eq!(shown()["stale_after"], 600);
    done(edit(&["--set", "stale_after=240", "--yes"]));
    assert_eq!(shown()["stale_after"], 240);
    for wrong in ["29", "5401", "soon", "2026-01-01T00:00:00Z"] {
        let refused = edit(&["--set", &format!("stale_after={wrong}"), "--yes"]);
        assert!(refused.status != 0 && refused.stderr.contains("stale_after"), "{wrong}: {refused:?}");
    }
    assert_ne!(edit(&["--unset", "stale_after", "--yes"]).status, 0);
    assert_eq!(shown()["stale_after"], 240);
}

/// What is changed at once is judged first, shown as what becomes what, and known to a running provider within ten seconds; as a
/// migration it is the same.
#[tokio::test]
async fn a_client_is_edited_at_once_or_by_a_migration_and_never_into_one_that_cannot_be_served() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let _ = provider.client("reports").await;
    let hallpass = beside(&provider);
    let shown = || json_of(&done(hallpass(&["client", "show", "reports", "--json"])));
    let edit = |more: &[&str]| hallpass(&[&["client", "edit", "reports"], more].concat());

    let address = "https://new.example/cb";
    let many = [
        ("--set", "client_name=Bob's \"reports\""),
        ("--set", "default_max_age=3600"),
        ("--set", "tokens_valid_after=2026-01-01T00:00:00Z"),
        ("--add-redirect-uri", address),
        ("--remove-redirect-uri", "https://reports.example/callback"),
        ("--add-audience", "https://api.example/"),
    ];
    let flags: Vec<&str> = many.iter().flat_map(|(flag, value)| [*flag, *value]).collect();
    done(edit(&[flags.as_slice(), &["--yes"]].concat()));
    let document = shown();
    assert_eq!(document["client_name"], "Bob's \"reports\"");
    assert_eq!((&document["default_max_age"], &document["redirect_uris"]), (&json!(3600), &json!([address])));
    assert_eq!(document["tokens_valid_after"], "2026-01-01T00:00:00Z");
    assert_eq!(document["audiences"], json!(["https://api.example/"]));
    provider.travel(10);
    let browser = UserAgent::new();
    let request =
        Authorization::of(&TestClient { client_id: "reports".into(), secret: None, redirect_uri: address.into() });
    let page = request.open(&provider, &browser).await;
    assert!(page.text().contains("Sign in to continue"), "the new address is known: {page}");
    done(edit(&["--unset", "default_max_age", "--yes"]));
    assert_eq!(shown()["default_max_age"], Value::Null);
    let again = done(edit(&["--unset", "default_max_age", "--yes"]));
    assert!(again.stderr.contains("is like that; nothing was changed"), "{again:?}");
    let events = provider.rows("SELECT client_id FROM audit_events WHERE event = 'client_edited'").await;
    assert_eq!(events.len(), 2, "only what changed something");

    // What would not be served, or not be safe, is undone; so is a misspelt column.
    let before = shown();
    for (wrong, told) in [
        (vec!["--set", "pkce=sometimes"], "pkce"),
        (vec!["--set", "token_endpoint_auth_method=none", "--set", "pkce=optional"], "public"),
        (vec!["--set", "client_nmae=x"], "did you mean client_name?"),
        (vec!["--set", "client_id=x"], "keeps its id"),
        (vec!["--set", "disabled_at=1"], "client disable"),
        (vec!["--set", "code_lifetime=soon"], "not a number of seconds"),
        (vec!["--set", "code_lifetime=100000"], "code_lifetime"),
        (vec!["--set", "scope"], "COLUMN=VALUE"),
        (vec!["--unset", "scope"], "cannot be empty"),
        (vec!["--set", "scope=a", "--set", "scope=b"], "two things"),
        (vec!["--add-redirect-uri", "https://*.example/"], "wildcard"),
        (vec!["--remove-redirect-uri", address], "no redirect URI"),
        (vec!["--remove-redirect-uri", "https://nowhere.example/"], "has no redirect_uri"),
        (vec!["--set", "client_uri=javascript:alert(1)"], "client_uri"),
        (vec!["--set", "tokens_valid_after=2099-01-01T00:00:00Z"], "lies ahead"),
        (vec!["--add-redirect-uri", "http://printer.lan/cb"], "--accept 'plain-http: REASON'"),
    ] {
        let outcome = edit(&[wrong.as_slice(), &["--yes"]].concat());
        assert_eq!(outcome.status, 1, "{wrong:?}: {outcome:?}");
        assert!(outcome.stderr.contains(told), "{wrong:?}: {outcome:?}");
        assert_eq!(shown(), before, "{wrong:?}");
    }
    let accepted = ["--add-redirect-uri", "http://printer.lan/cb", "--accept", "plain-http: no TLS there"];
    done(edit(&[&accepted[..], &["--set", "pkce=required", "--yes"]].concat()));
    let again = done(edit(&["--set", "client_name=Old risk", "--yes"]));
    assert!(!again.stderr.contains("plain http"), "what was there before is not told again: {again:?}");
    let file = done(edit(&[&accepted[..], &["--output", "-"]].concat())).stdout;
    assert!(file.contains("-- hallpass: accept plain-http: no TLS there"), "{file}");
    done(edit(&["--remove-redirect-uri", "http://printer.lan/cb", "--yes"]));
    done(edit(&["--set", "client_name=Bob's \"reports\"", "--yes"]));
    assert_eq!(edit(&["--yes"]).status, 2, "nothing to change is wrong usage");
    assert_eq!(edit(&["--set", "scope=openid"]).status, 2, "a script must say --yes");

    // As a migration, for review: nothing changes before it is applied.
    done(edit(&["--set", "scope=openid", "--add-redirect-uri", "https://reports.example/callback", "--migration"]));
    assert_eq!(shown(), before);
    done(hallpass(&["client", "lint"]));
    done(hallpass(&["migrate"]));
    let document = shown();
    assert_eq!(document["scope"], "openid");
    assert_eq!(document["redirect_uris"], json!([address, "https://reports.example/callback"]));
}

/// Long lists are looked through: by text, by state, and part by part.
#[tokio::test]
async fn lists_are_filtered_and_read_in_parts() {
    let provider = TestProvider::start().await;
    for id in ["a1", "b1", "b2", "b3"] {
        let _ = provider.client(id).await;
    }
    provider.sql("UPDATE clients SET disabled_at = 1 WHERE client_id = 'b2'").await;
    provider.sql("UPDATE clients SET pkce = 'sometimes' WHERE client_id = 'b3'").await;
    provider.alice().await;
    provider.add_user(NewUser::named("bob").with("disabled_at", "1")).await;
    provider.add_user(NewUser::named("carol")).await;
    provider.sql("UPDATE users SET password_hash = NULL WHERE username = 'carol'").await;
    let hallpass = beside(&provider);
    let ids = |list: &str, id: &str, more: &[&str]| {
        let document = json_of(&done(hallpass(&[&[&list[..list.len() - 1], "list", "--json"], more].concat())));
        let texts = document[list].as_array().unwrap().iter().map(|item| item[id].as_str().unwrap().to_owned());
        (texts.collect::<Vec<_>>().join(" "), document["next"].clone())
    };
    let clients = |more: &[&str]| ids("clients", "client_id", more);
    assert_eq!(clients(&[]), ("a1 b1 b2 b3".into(), Value::Null));
    assert_eq!(clients(&["--matching", "B"]).0, "b1 b2 b3");
    assert_eq!(clients(&["--matching", "the a1 SERVICE"]).0, "a1");
    assert_eq!(clients(&["--state", "disabled"]).0, "b2");
    assert_eq!(clients(&["--state", "faulty"]).0, "b3");
    assert_eq!(clients(&["--state", "active", "--limit", "1"]), ("a1".into(), json!("a1")));
    assert_eq!(clients(&["--state", "active", "--limit", "1", "--after", "a1"]), ("b1".into(), Value::Null));
    let users = |more: &[&str]| ids("users", "username", more);
    assert_eq!(users(&["--state", "disabled"]).0, "bob");
    assert_eq!(users(&["--state", "without-password"]).0, "carol");
    assert_eq!(users(&["--matching", "ALICE@"]).0, "alice");
    let part = done(hallpass(&["user", "list", "--limit", "1"]));
    assert!(part.stdout.contains("alice") && part.stderr.contains("There are more: --after alice-sub"), "{part:?}");
    let lost = hallpass(&["client", "list", "--after", "zz"]);
    assert!(lost.status == 1 && lost.stderr.contains("none of that id"), "{lost:?}");
    for wrong in [vec!["--limit", "0"], vec!["--state", "asleep"]] {
        assert_eq!(hallpass(&[&["client", "list"], wrong.as_slice()].concat()).status, 2, "{wrong:?}");
    }
}

/// Where a `sub` is wanted, a name does.
#[tokio::test]
async fn a_user_is_enabled_again_and_found_in_the_audit_by_name() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let hallpass = beside(&provider);
    let client = provider.client("reports").await;
    done(hallpass(&["user", "disable", "alice", "--yes"]));
    let enabled = done(hallpass(&["user", "enable", "ALICE@example.com"]));
    assert!(enabled.stderr.contains("enabled alice"), "{enabled:?}");
    let again = done(hallpass(&["user", "enable", "alice"]));
    assert!(again.stderr.contains("nothing was changed"), "{again:?}");
    provider.travel(10);
    let _ = provider.tokens(&UserAgent::new(), &client).await;
    // What still waits to be written would come after the erasure below.
    provider.provider.audit.flush().await;
    for name in ["alice", "alice@example.com", "alice-sub"] {
        let listed = done(hallpass(&["audit", "list", "--user", name, "--event", "user_enabled"]));
        assert!(listed.stdout.contains("user_enabled") && listed.stdout.lines().count() == 1, "{name}: {listed:?}");
    }
    for lost in [&["audit", "list", "--user", "alcie"][..], &["audit", "erase", "--sub", "alcie", "--yes"]] {
        let lost = hallpass(lost);
        assert!(lost.status == 1 && lost.stderr.contains("no user has the name"), "{lost:?}");
    }
    done(hallpass(&["audit", "erase", "--sub", "alice", "--yes"]));
    let left = "SELECT COUNT(*) FROM audit_events WHERE sub = 'alice-sub'";
    assert_eq!(provider.rows(left).await[0][0].as_deref(), Some("0"));
}

/// A whole set-up in an empty folder: what it writes serves, and a second time it overwrites nothing.
#[test]
fn init_writes_a_set_up_that_serves_and_overwrites_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let issuer = "https://id.example.com/sso";
    let arguments = [
        "init",
        "--issuer",
        issuer,
        "--redis-url",
        "redis://:pass@cache.example.com",
        "--trusted-proxies",
        "10.1.0.0/24",
        "--session-lifetime",
        "3600",
        "--session-idle-lifetime",
        "600",
        "--client",
        "reports",
        "--redirect-uri",
        URI,
    ];
    let made = done(run(folder.path(), &arguments));
    assert!(made.stdout.contains("hp_cs_"), "the first client's settings: {made:?}");
    let file = folder.path().join("hallpass.toml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "it may hold a password");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("redis_url = \"redis://:pass@cache.example.com\""), "{text}");
    assert!(text.contains("session_lifetime = \"3600\"") && text.contains("\n# code_lifetime = "), "{text}");
    // The settings read as they were given.
    let show = done(run(folder.path(), &["client", "lint"]));
    assert!(show.stdout.contains("0 errors") || show.stderr.contains("0 errors"), "{show:?}");
    let plan = done(run(folder.path(), &["key", "plan"]));
    assert!(plan.stdout.contains("RS256") && plan.stdout.contains("ES256"), "{plan:?}");
    done(run(folder.path(), &["migrate"]));
    let listed = done(run(folder.path(), &["client", "show", "reports", "--settings", "env"]));
    assert!(listed.stdout.contains(issuer), "{listed:?}");
    let (keys, before) = (fs::read_dir(folder.path().join("keys")).unwrap().count(), text);
    let again = done(run(folder.path(), &["init"]));
    assert!(again.stderr.contains("hallpass.toml is there, and stays as it is"), "{again:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path().join("keys")).unwrap().count(), keys);
    // The defaults are for trying, and say so.
    let other = self::folder();
    let made = done(run(other.path(), &["init"]));
    assert!(made.stderr.contains("need https"), "{made:?}");
    assert_eq!(run(other.path(), &["init", "--client", "x"]).status, 2, "a client needs an address");
}

/// A setting that a command does not read would be believed.
#[test]
fn a_setting_of_a_command_that_reads_none_is_refused() {
    let folder = folder();
    for arguments in
        [["demo", "--issuer", "https://id.example.com"], ["demo", "--config", "x.toml"], ["hash-secret", "--keys", "k"]]
    {
        let outcome = run(folder.path(), &arguments);
        assert_eq!(outcome.status, 1, "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains(arguments[1]) && outcome.stderr.contains("would do nothing"), "{outcome:?}");
    }
}

/// A client is deleted with all that hangs on it, after it was said how much that is.
#[tokio::test]
async fn deleting_a_client_says_what_goes_with_it_and_asks() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let hallpass = beside(&provider);
    let client = NewClient::new("reports")
        .with("grant_types", "authorization_code refresh_token")
        .with("scope", "openid offline_access");
    let client = provider.add(client).await;
    let browser = UserAgent::new();
    let answer = Authorization::of(&client)
        .with("scope", "openid offline_access")
        .with("prompt", "consent")
        .complete(&provider, &browser)
        .await;
    let tokens = provider.redeem(&client, answer.code()).await.ok();
    let variables = provider.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let asked = run_at_terminal(provider.folder.path(), &["client", "delete", "reports"], &variables, "no\n");
    assert_eq!(asked.status, 1, "{asked:?}");
    let question = "for good, with 1 secrets, 1 addresses, 1 good refresh tokens and the consents of 1 users?";
    assert!(asked.stdout.contains(question), "{asked:?}");
    done(hallpass(&["client", "delete", "reports", "--yes"]));
    for table in ["clients", "client_secrets", "client_redirect_uris", "consents", "refresh_families"] {
        assert_eq!(provider.rows(&format!("SELECT client_id FROM {table}")).await.len(), 0, "{table}");
    }
    let events = provider.rows("SELECT client_id FROM audit_events WHERE event = 'client_deleted'").await;
    assert_eq!(events, [[Some("reports".to_owned())]]);
    provider.travel(10);
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.status, 401);
    let refused = hallpass(&["client", "delete", "reports", "--yes"]);
    assert!(refused.status == 1 && refused.stderr.contains("there is no client reports"), "{refused:?}");
    done(hallpass(&["client", "delete", "another", "--output", "-"]));
}

// ---- What a script reads.

/// Standard output is one document, whatever is said beside it, and it tells whether anything was changed.
#[tokio::test]
async fn a_script_reads_from_a_command_what_it_did_and_whether_it_changed_anything() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    let hallpass =
        |arguments: &[&str], input: &str| json_of(&done(provider.command(&[arguments, &["--json"]].concat(), input)));
    let added =
        hallpass(&["user", "add", "erin", "--email", "erin@example.com", "--password-stdin"], "a long password\n");
    assert_eq!(added["email_verified"], true);
    let sub = added["sub"].as_str().unwrap().to_owned();
    provider.alice().await;
    let _ = provider.tokens(&UserAgent::new(), &client).await;
    for (command, is_changed) in [("disable", true), ("disable", false), ("enable", true), ("enable", false)] {
        let words = ["user", command, "erin", "--yes"];
        let told = hallpass(&words[..words.len() - usize::from(command == "enable")], "");
        let mut expected =
            json!({"sub": sub, "username": "erin", "change": command, "is_changed": is_changed, "version": 1});
        if command == "disable" {
            // She is signed in nowhere.
            expected["sessions_ended"] = 0.into();
            expected["refresh_families_refused"] = 0.into();
        }
        assert_eq!(told, expected);
    }
    assert_eq!(hallpass(&["user", "sessions", "end", "alice", "--all", "--yes"], "")["sessions_ended"], 1);
    assert_eq!(hallpass(&["user", "sessions", "end", "alice", "--all", "--yes"], "")["sessions_ended"], 0);

    let line = "{\"username\": \"carl\", \"email\": \"carl@example.com\"}\n";
    for (words, is_changed) in [(&["user", "import", "-"][..], false), (&["user", "import", "-", "--apply"], true)] {
        let told = hallpass(words, line);
        assert_eq!((&told["users"], &told["is_changed"]), (&json!(1), &json!(is_changed)), "{told}");
    }
    let again = hallpass(&["user", "import", "-", "--apply"], line);
    assert_eq!((&again["users"], &again["unchanged"], &again["is_changed"]), (&json!(0), &json!(1), &json!(false)));
    let other = line.replace("carl@example.com", "other@example.com");
    let refused = provider.command(&["user", "import", "-", "--apply", "--json"], &other);
    let told = json_of(&refused);
    assert_eq!((refused.status, &told["is_changed"], &told["faults"][0]["line"]), (1, &json!(false), &json!(1)));

    let planned = hallpass(&["client", "disable", "reports", "--migration"], "");
    assert_eq!(planned["is_changed"], false, "it is only written");
    let file = provider.folder.path().join(planned["file"].as_str().unwrap());
    assert!(fs::read_to_string(&file).unwrap().contains("disabled_at"));
    let both = provider.command(&["client", "disable", "reports", "--output", "-", "--json"], "");
    assert!(both.status == 2 && both.stderr.contains("cannot hold both"), "{both:?}");
    let before = hallpass(&["migrate"], "");
    let version = file.file_name().unwrap().to_str().unwrap().split('_').next().unwrap().parse::<i64>().unwrap();
    assert_eq!((&before["applied_now"][0]["version"], &before["pending"]), (&json!(version), &json!([])));
    let after = hallpass(&["migrate"], "");
    assert_eq!((&after["applied_now"], &after["applied"]), (&json!([]), &before["applied"]));
}

#[test]
fn a_script_reads_which_files_were_written_and_which_key_stopped() {
    let folder = folder();
    let hallpass = |arguments: &[&str]| {
        json_of(&done(run(folder.path(), &[arguments, &["--issuer", "https://id.example.com", "--json"]].concat())))
    };
    let made = hallpass(&["init", "--client", "reports", "--redirect-uri", URI]);
    let files: Vec<&str> = made["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    assert!(files.len() == 5 && files.iter().all(|file| folder.path().join(file).is_file()), "{made}");
    assert_eq!(made["client"]["file"], files[4]);
    assert!(made["client"]["client_secret"].as_str().unwrap().starts_with("hp_cs_"));
    let again = hallpass(&["init"]);
    assert_eq!((&again["files"], &again["client"]), (&json!([]), &Value::Null));

    let new = hallpass(&["key", "new", "--alg", "EdDSA"]);
    let planned = hallpass(&["key", "plan"]);
    let of_plan = planned["keys"].as_array().unwrap().iter().find(|key| key["alg"] == "EdDSA").unwrap();
    assert_eq!((&new["kid"], &new["signs_from"]), (&of_plan["kid"], &of_plan["signs_from"]));
    let kid = new["kid"].as_str().unwrap();
    let ended = hallpass(&["key", "retire", "--leaked", kid, "--yes"]);
    assert_eq!((&ended["kid"], &ended["retired_at"]), (&new["kid"], &Value::Null));
    assert!(ended["leaked_at"].is_i64(), "{ended}");
    for file in ["file", "successor"] {
        assert!(folder.path().join(ended[file].as_str().unwrap()).is_file(), "{ended}");
    }
}
