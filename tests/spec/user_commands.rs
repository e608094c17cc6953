//! `hallpass user …` as a person at a terminal and as a script uses it.
//!
//! `commands.rs` has the rest of `user add`.

use crate::support::program::{Outcome, done, run, run_at_terminal};
use crate::support::provider::{PASSWORD, hash_of};
use crate::support::{Api, Authorization, NewClient, NewUser, TestClient, TestProvider, UserAgent, claims_of, folder};
use serde_json::{Value, json};
use std::fs;

fn with_input(provider: &TestProvider, arguments: &[&str], input: &str) -> Outcome {
    provider.command(arguments, input)
}

fn at_terminal(provider: &TestProvider, arguments: &[&str], typed: &str) -> Outcome {
    let variables = provider.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    run_at_terminal(provider.folder.path(), arguments, &variables, typed)
}

#[track_caller]
fn refused(outcome: &Outcome, parts: &[&str]) {
    assert_eq!(outcome.status, 1, "{outcome:?}");
    for part in parts {
        assert!(outcome.stderr.contains(part) || outcome.stdout.contains(part), "{part}: {outcome:?}");
    }
}

async fn refresh(provider: &TestProvider, client: &TestClient, token: &str) -> Api {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    provider.post("/token", client.auth(), &fields).await
}

/// Whether the login page lets a user in.
async fn can_sign_in(provider: &TestProvider, login: &str, password: &str) -> bool {
    let client = NewClient::new("reports").sql().1;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(provider, &browser).await;
    let page = provider.type_in(&browser, &page, login, password).await;
    page.query_parameter("code").is_some()
}

/// What `user list --json` has.
fn users(provider: &TestProvider) -> Value {
    let list = done(with_input(provider, &["user", "list", "--json"], ""));
    serde_json::from_str::<Value>(&list.stdout).unwrap()["users"].take()
}

#[tokio::test]
async fn the_list_has_all_users_and_no_hash() {
    let provider = TestProvider::start().await;
    assert_eq!(users(&provider), json!([]));
    assert!(done(with_input(&provider, &["user", "list"], "")).stderr.contains("user add"));
    provider.alice().await;
    provider.add_user(NewUser::named("bob").with("created_at", "1700000000").with("disabled_at", "1700000000")).await;
    provider.sql("INSERT INTO users (sub) VALUES ('from-elsewhere')").await;
    let list = done(with_input(&provider, &["user", "list"], ""));
    insta::assert_snapshot!(list.stdout, @r##"
USERNAME  EMAIL              NAME           SUB             STATE
alice     alice@example.com  Alice Example  alice-sub       active
bob       bob@example.com    -              bob-sub         disabled 2023-11-14T22:13:20Z
-         -                  -              from-elsewhere  without a password
"##);
    let list = done(with_input(&provider, &["user", "list", "--json"], ""));
    assert!(!list.stdout.contains("argon2"), "{list:?}");
    let people = users(&provider);
    assert_eq!(people.as_array().unwrap().len(), 3);
    assert_eq!(people[0]["username"], "alice");
    assert_eq!(people[0]["email_verified"], true);
    assert_eq!((&people[1]["disabled_at"], &people[1]["has_password"]), (&json!("2023-11-14T22:13:20Z"), &json!(true)));
    assert_eq!((&people[2]["sub"], &people[2]["has_password"]), (&json!("from-elsewhere"), &json!(false)));
}

#[tokio::test]
async fn another_password_ends_every_sign_in_and_token_of_the_person_within_ten_seconds() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider.add_user(NewUser::named("bob")).await;
    let client = provider
        .add(
            NewClient::new("reports")
                .with("consent", "skip")
                .with("grant_types", "authorization_code refresh_token")
                .with("scope", "openid offline_access"),
        )
        .await;
    let sign_in = async |login: &str| {
        let browser = UserAgent::new();
        let request = Authorization::of(&client).with("scope", "openid offline_access");
        let page = request.open(&provider, &browser).await;
        let page = provider.type_in(&browser, &page, login, PASSWORD).await;
        let tokens =
            provider.redeem(&client, &page.query_parameter("code").unwrap_or_else(|| panic!("{page}"))).await.ok();
        (browser, tokens.text("access_token"), tokens.text("refresh_token"))
    };
    let (browser, access_token, refresh_token) = sign_in("alice").await;
    let (_, other_access_token, other_refresh_token) = sign_in("bob").await;

    let new = "another password, as good";
    let outcome = done(with_input(
        &provider,
        &["user", "set-password", "ALICE@example.com", "--password-stdin"],
        &format!("{new}\n"),
    ));
    assert!(outcome.stdout.is_empty() && outcome.stderr.contains("1 refresh token family"), "{outcome:?}");
    assert!(!outcome.stderr.contains(new));
    provider.travel(10);
    let page = Authorization::of(&client).open(&provider, &browser).await;
    assert!(page.url.path().ends_with("/login") && page.location().is_none(), "the session of before: {page}");
    assert_eq!(provider.userinfo(&access_token).await.status, 401);
    assert_eq!(refresh(&provider, &client, &refresh_token).await.text("error"), "invalid_grant");
    assert!(!can_sign_in(&provider, "alice", PASSWORD).await);
    assert!(can_sign_in(&provider, "alice", new).await);
    // No other user is touched.
    let _ = provider.userinfo(&other_access_token).await.ok();
    let _ = refresh(&provider, &client, &other_refresh_token).await.ok();
    // The old hash, brought back by a restored backup, does not bring the refresh token back.
    provider.sql(&format!("UPDATE users SET password_hash = '{}' WHERE username = 'alice'", hash_of(PASSWORD))).await;
    provider.travel(10);
    assert_eq!(refresh(&provider, &client, &refresh_token).await.text("error"), "invalid_grant");
}

#[tokio::test]
async fn a_password_is_asked_for_twice_at_a_terminal_and_never_shown() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let _ = provider.client("reports").await;
    let typed = "a password that is typed\n";
    let outcome = done(at_terminal(&provider, &["user", "set-password", "alice"], &typed.repeat(2)));
    assert!(outcome.stdout.contains("Password: ") && outcome.stdout.contains("Password, again: "), "{outcome:?}");
    assert!(can_sign_in(&provider, "alice", typed.trim()).await);
    refused(
        &at_terminal(&provider, &["user", "set-password", "alice"], "one password\nanother password\n"),
        &["differ", "nothing was changed"],
    );
    refused(&at_terminal(&provider, &["user", "set-password", "alice"], "short\nshort\n"), &["8 characters"]);
    refused(&with_input(&provider, &["user", "set-password", "alice"], "without the flag"), &["--password-stdin"]);
    refused(
        &with_input(&provider, &["user", "set-password", "nobody", "--password-stdin"], "good password"),
        &["nobody", "user list"],
    );
    // An address that two users share means no user.
    for name in ["carol", "dave"] {
        provider.add_user(NewUser::named(name).with("email", "both@example.com")).await;
    }
    refused(
        &with_input(&provider, &["user", "set-password", "both@example.com", "--password-stdin"], "good password"),
        &["no single user"],
    );
    assert!(can_sign_in(&provider, "alice", typed.trim()).await, "what was refused has changed nothing");
}

#[tokio::test]
async fn a_disabled_person_is_refused_within_ten_seconds_and_can_be_brought_back() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let client = provider.client("reports").await;
    let browser = UserAgent::new();
    let tokens = provider.tokens(&browser, &client).await;
    let no = at_terminal(&provider, &["user", "disable", "alice"], "no\n");
    refused(&no, &["Disable alice (Alice Example)?", "nothing was changed"]);
    provider.travel(10);
    let _ = provider.userinfo(&tokens.text("access_token")).await.ok();

    let disabled = done(with_input(&provider, &["user", "disable", "alice", "--yes"], ""));
    provider.travel(10);
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.status, 401);
    assert!(!can_sign_in(&provider, "alice", PASSWORD).await);
    let again = done(with_input(&provider, &["user", "disable", "alice", "--yes"], ""));
    assert!(again.stderr.contains("nothing was changed"), "{again:?}");
    let password = done(with_input(&provider, &["user", "set-password", "alice", "--password-stdin"], PASSWORD));
    assert!(password.stderr.contains("disabled"), "{password:?}");
    let words = disabled.stderr.split("user back: hallpass ").nth(1).unwrap();
    let back = provider.command(&words.split_whitespace().collect::<Vec<_>>(), "");
    assert_eq!(back.status, 0, "{back:?}");
    assert!(can_sign_in(&provider, "alice", PASSWORD).await);
}

#[tokio::test]
async fn users_are_imported_with_their_hashes_after_a_report() {
    let provider = TestProvider::start().await;
    let _ = provider.client("reports").await;
    let file = provider.folder.path().join("people.jsonl");
    let hash = hash_of("eve's old password");
    let lines = [
        json!({"username": "eve", "email": "eve@example.com", "email_verified": true, "name": "Eve Example", "sub": "42", "password_hash": hash}),
        json!({"username": "mallory", "email": "mallory@example.com"}),
    ];
    let text = format!("{}\n\n{}\n", lines[0], lines[1]);
    fs::write(&file, &text).unwrap();

    let report = done(with_input(&provider, &["user", "import", "people.jsonl"], ""));
    assert_eq!(
        report.stderr,
        "2 to add, 1 of them without a password; 0 with faults. Nothing was added yet: --apply does it.\n"
    );
    assert_eq!(users(&provider), json!([]));
    done(with_input(&provider, &["user", "import", "people.jsonl", "--apply"], ""));
    assert!(can_sign_in(&provider, "eve", "eve's old password").await);
    let rows = provider.rows("SELECT sub, name, email_verified_at FROM users WHERE username = 'eve'").await;
    assert_eq!(
        (rows[0][0].as_deref(), rows[0][1].as_deref(), rows[0][2].is_some()),
        (Some("42"), Some("Eve Example"), true)
    );

    // Everything that is wrong is said at once, by its line, and the rest is added.
    let wrong = [
        json!({"username": "EVE", "email": "other@example.com"}).to_string(),
        json!({"username": "a", "email": "nowhere"}).to_string(),
        json!({"username": "b", "email": "b@example.com", "password_hash": "plain-marked-password"}).to_string(),
        json!({"username": "c", "email": "c@example.com", "passwort": "plain-marked-password"}).to_string(),
        "{not JSON plain-marked-password".to_owned(),
        json!({"username": "d", "email": "d@example.com", "sub": "42"}).to_string(),
        json!({"username": "good", "email": "good@example.com"}).to_string(),
        json!({"username": "twin", "email": "twin@example.com"}).to_string(),
        json!({"username": "Twin", "email": "twin2@example.com"}).to_string(),
        json!({"username": "e", "email": "e@example.com", "password_hash": "$argon2id$v=19$m=1048576,t=16,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g"}).to_string(),
    ];
    let lines = ["-:1: ", "-:2: ", "-:3: ", "-:4: ", "-:5: ", "-:6: ", "-:8: ", "-:9: ", "-:10: ", "9 with faults"];
    for (more, told, users) in [(&["--all-or-nothing"][..], "nothing was added", 2), (&[], "added 1 users", 3)] {
        let arguments = [&["user", "import", "-", "--apply"], more].concat();
        let outcome = with_input(&provider, &arguments, &wrong.join("\n"));
        refused(&outcome, &lines);
        refused(&outcome, &[told]);
        assert!(!outcome.stdout.contains("-:7: ") && !outcome.stdout.contains("plain-marked-password"), "{outcome:?}");
        assert_eq!(provider.rows("SELECT sub FROM users").await.len(), users, "{outcome:?}");
    }
}

#[test]
fn an_import_of_nothing_readable_is_refused() {
    let folder = folder();
    refused(&run(folder.path(), &["user", "import", "nowhere.jsonl"]), &["nowhere.jsonl"]);
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}

// ---- The e-mail address: whose it is, and whether that is known (OIDC Core 5.1, `email_verified`). Services link
// accounts by a verified address, so a wrong `true` lets one person into another's account.

/// What all services are told of a user's address: `id_token`, userinfo, preview and list, which must say the same.
async fn email_verified(provider: &TestProvider, client: &TestClient, username: &str) -> bool {
    let browser = UserAgent::new();
    let page = Authorization::of(client).open(provider, &browser).await;
    let page = provider.type_in(&browser, &page, username, PASSWORD).await;
    let code = page.query_parameter("code").unwrap_or_else(|| panic!("{page}"));
    let tokens = provider.redeem(client, &code).await.ok();
    let told = claims_of(&tokens.text("id_token"))["email_verified"].clone();
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.ok().json()["email_verified"], told);
    let preview = done(with_input(provider, &["preview", &client.client_id, username, "--json"], ""));
    let preview: Value = serde_json::from_str(&preview.stdout).unwrap();
    assert_eq!(preview["userinfo"]["email_verified"], told);
    assert_eq!(preview["id_token"]["claims"]["email_verified"], told);
    let people = users(provider);
    let listed = people.as_array().unwrap().iter().find(|person| person["username"] == username).unwrap();
    assert_eq!(listed["email_verified"], told);
    told.as_bool().unwrap()
}

fn add(provider: &TestProvider, username: &str, email: &str, more: &[&str]) -> Outcome {
    let arguments = ["user", "add", username, "--email", email, "--password-stdin"];
    let arguments: Vec<&str> = arguments.iter().chain(more).copied().collect();
    with_input(provider, &arguments, PASSWORD)
}

#[tokio::test]
async fn an_address_that_an_operator_types_is_verified_unless_the_operator_says_otherwise() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    done(add(&provider, "alice", "alice@example.com", &[]));
    done(add(&provider, "bob", "bob@example.com", &["--email-unverified"]));
    assert!(email_verified(&provider, &client, "alice").await);
    assert!(!email_verified(&provider, &client, "bob").await);
}

#[tokio::test]
async fn an_address_that_another_person_has_is_refused_by_user_add_with_the_name_and_the_fix() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider.add_user(NewUser::named("bob").with("disabled_at", "1")).await;
    // Her address is another one by now; the user name is what is typed at sign-in all the same.
    provider
        .add_user(NewUser::named("carol").with("username", "carol@example.com").with("email", "c@example.org"))
        .await;
    for (address, holder) in [
        ("alice@example.com", "the address of alice already"),
        ("ALICE@Example.COM", "the address of alice already"),
        ("bob@example.com", "bob (disabled)"),
        ("carol@example.com", "carol@example.com already"),
    ] {
        let outcome = add(&provider, "new", address, &[]);
        refused(&outcome, &[holder, "--shared-email", "Fix: "]);
        assert_eq!(outcome.stdout, "");
    }
    // No operator types a password in vain.
    let at_terminal = at_terminal(&provider, &["user", "add", "new", "--email", "alice@example.com"], "");
    refused(&at_terminal, &["the address of alice already"]);
    assert!(!at_terminal.stdout.contains("Password"), "{at_terminal:?}");
    assert_eq!(provider.rows("SELECT sub FROM users").await.len(), 3);

    let shared = done(add(&provider, "new", "Alice@example.com", &["--shared-email"]));
    assert!(shared.stderr.contains("alice") && shared.stderr.contains("not verified"), "{shared:?}");
    refused(
        &with_input(&provider, &["user", "set-password", "alice@example.com", "--password-stdin"], PASSWORD),
        &["no single user", "alice, new"],
    );
}

#[tokio::test]
async fn while_two_users_have_an_address_it_is_told_as_unverified_of_either() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    assert!(email_verified(&provider, &client, "alice").await);
    // Each is another way to have it: as theirs, disabled, in other letters, as a user name.
    for other in [
        NewUser::named("other").with("email", "alice@example.com"),
        NewUser::named("other").with("email", "alice@example.com").with("disabled_at", "1"),
        NewUser::named("other").with("email", "ALICE@EXAMPLE.COM"),
        NewUser::named("other").with("username", "Alice@example.com").with("email", "o@example.com"),
    ] {
        provider.add_user(other).await;
        provider.travel(10);
        assert!(!email_verified(&provider, &client, "alice").await);
        provider.sql("DELETE FROM users WHERE sub = 'other-sub'").await;
        provider.travel(10);
        assert!(email_verified(&provider, &client, "alice").await, "it is hers alone again");
    }
    provider.add_user(NewUser::named("other").with("email", "alice@example.com")).await;
    assert!(!email_verified(&provider, &client, "other").await, "the other one's as well");
    provider.add_user(NewUser::named("third").with("email", "alice@example.com.example")).await;
    assert!(email_verified(&provider, &client, "third").await, "a longer address is another one");
}

/// A user who is signed in already, on a node that knows them.
#[tokio::test]
async fn a_running_node_tells_within_ten_seconds_that_an_address_is_shared() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let token = provider.tokens(&UserAgent::new(), &client).await.text("access_token");
    let told = async || provider.userinfo(&token).await.ok().json()["email_verified"].clone();
    assert_eq!(told().await, true);
    done(add(&provider, "other", "alice@example.com", &["--shared-email"]));
    provider.travel(10);
    assert_eq!(told().await, false);
}

#[tokio::test]
async fn an_import_takes_a_shared_address_and_names_both() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let hash = hash_of(PASSWORD);
    let person = |username: &str, email: &str| {
        json!({"username": username, "email": email, "email_verified": true, "password_hash": hash}).to_string()
    };
    let lines = [
        person("erin", "Alice@Example.com"),
        person("frank", "office@example.com"),
        person("grace", "grace@example.com"),
        person("heidi", "OFFICE@example.com"),
    ];
    for (arguments, end) in [
        (&["user", "import", "-"][..], "Nothing was added yet: --apply does it.\n"),
        (&["user", "import", "-", "--apply"], "added 4 users\n"),
    ] {
        let report = done(with_input(&provider, arguments, &lines.join("\n")));
        assert!(report.stderr.ends_with(end), "{report:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(report.stdout, @r"
            -:1: the address Alice@Example.com of erin is that of alice (in the database) too: no user can be found by it alone, and services are told that it is not verified
            -:2: the address office@example.com of frank is that of heidi (line 4) too: no user can be found by it alone, and services are told that it is not verified
            -:4: the address OFFICE@example.com of heidi is that of frank (line 2) too: no user can be found by it alone, and services are told that it is not verified
            ");
        }
        let is_counted = report.stderr.contains("3 with an address that another user has too");
        assert_eq!(is_counted, arguments.len() == 3, "{report:?}");
    }
    provider.travel(10);
    for (username, is_verified) in [("alice", false), ("erin", false), ("frank", false), ("grace", true)] {
        assert_eq!(email_verified(&provider, &client, username).await, is_verified, "{username}");
    }
}

/// A line of a file is told with its member, and nothing that it says is repeated: it may hold a hash.
#[test]
fn a_line_that_cannot_be_imported_is_told_with_its_member() {
    let folder = folder();
    let cases = [
        (r#"{"username": "a", "email": "a@example.com", "name": 5}"#, "name must be a text"),
        (
            r#"{"username": "a", "email": "a@example.com", "email_verified": "a-marked-value"}"#,
            "email_verified must be true or false",
        ),
        (r#"{"username": "a", "emial": "a-marked-value"}"#, "\"emial\" is no member of a user; did you mean email?"),
        (r#"{"username": "a"}"#, "email is missing"),
        (r#"{"username": "a", "email": null}"#, "email must be a text"),
        (r#"{"username": "a", "email": "a@example.com", "email": "b@example.com"}"#, "a member is there twice"),
        (r#"["a-marked-value"]"#, "it is no object { … }"),
        (r#"{"username": "a", "password_hash": "a-marked-value}"#, "it is no JSON, from column "),
        (r#"{"username": "a", "email": "a@example.com", "password_hash": "a-marked-value"}"#, "password_hash: "),
    ];
    let lines: Vec<&str> = cases.iter().map(|(line, _)| *line).collect();
    fs::write(folder.path().join("people.jsonl"), lines.join("\n")).unwrap();
    done(run(folder.path(), &["migrate"]));
    let outcome = run(folder.path(), &["user", "import", "people.jsonl"]);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    for (number, (line, told)) in cases.iter().enumerate() {
        let told = format!("people.jsonl:{}: {told}", number + 1);
        assert!(outcome.stdout.contains(&told), "{line}: {told:?} is not in {}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains("a-marked-value"), "{}", outcome.stdout);
}

#[test]
fn a_kind_of_event_that_there_is_not_is_told_with_the_nearest_ones() {
    let folder = folder();
    done(run(folder.path(), &["migrate"]));
    for (event, told) in [
        ("sign_in_faild", "did you mean sign_in_failed, sign_in, sign_in_throttled"),
        ("user_session_ended", "did you mean user_sessions_ended"),
        ("throttled", "sign_in_throttled, client_throttled"),
        ("x", "one of chain_begun, "),
    ] {
        let outcome = run(folder.path(), &["audit", "list", "--event", event]);
        assert_eq!(outcome.status, 1, "{outcome:?}");
        assert!(outcome.stderr.contains(&format!("no kind of event {event:?}")), "{outcome:?}");
        assert!(outcome.stderr.contains(told), "{event}: {outcome:?}");
    }
    done(run(folder.path(), &["audit", "list", "--event", "migration_applied"]));
}
