//! The life of an account, by command: shown, edited, exported, deleted, erased; and that neither name nor `sub` of a user who was
//! deleted is ever given again.

use crate::audit::{detail, events, of_kind, only};
use crate::support::listener::LogoutListener;
use crate::support::program::{Outcome, done, refused, run_with};
use crate::support::provider::{PASSWORD, Stores, stores};
use crate::support::{Api, Authorization, NewClient, NewUser, TestClient, TestProvider, UserAgent, claims_of};
use hallpass::sign_ins::settle;
use hallpass::store::users::edit::COLUMNS;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

#[track_caller]
fn document(outcome: Outcome) -> Value {
    serde_json::from_str(&done(outcome).stdout).unwrap()
}

fn add(provider: &TestProvider, username: &str, more: &[&str]) -> Outcome {
    let email = format!("{username}@example.com");
    let arguments = ["user", "add", username, "--email", &email, "--password-stdin"];
    provider.command(&arguments.iter().chain(more).copied().collect::<Vec<_>>(), PASSWORD)
}

fn edit(provider: &TestProvider, username: &str, more: &[&str]) -> Outcome {
    let arguments = ["user", "edit", username, "--json"];
    provider.command(&arguments.iter().chain(more).copied().collect::<Vec<_>>(), "")
}

fn import(provider: &TestProvider, line: &Value, more: &[&str]) -> Outcome {
    let arguments = ["user", "import", "-"];
    provider.command(&arguments.iter().chain(more).copied().collect::<Vec<_>>(), &line.to_string())
}

/// The line is told with its fault, and nothing is added.
#[track_caller]
fn not_imported(outcome: &Outcome, fault: &str) {
    assert_eq!(outcome.status, 1, "{outcome:?}");
    assert!(outcome.stdout.starts_with("-:1: ") && outcome.stdout.contains(fault), "{outcome:?}");
}

/// Ends what was ended, and waits until the one service was told and that is written.
async fn settled(provider: &TestProvider, listener: &LogoutListener) {
    settle(&provider.provider).await;
    let _ = listener.wait_for(1).await;
    loop {
        provider.provider.audit.flush().await;
        if !provider.rows("SELECT event FROM audit_events WHERE event = 'logout_delivered'").await.is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// `reports`, which asks for consent, gets refresh tokens and is told of sign-outs.
async fn service(provider: &TestProvider, listener: &LogoutListener) -> TestClient {
    let client = NewClient::new("reports")
        .with("grant_types", "authorization_code refresh_token")
        .with("scope", "openid profile email offline_access")
        .with("backchannel_logout_uri", &listener.uri);
    provider.add(client).await
}

/// A sign-in with consent and a refresh token.
async fn enter(provider: &TestProvider, browser: &UserAgent, client: &TestClient, username: &str) -> Api {
    let asked =
        Authorization::of(client).with("scope", "openid profile email offline_access").with("prompt", "consent");
    let page = asked.open(provider, browser).await;
    let page = provider.type_in(browser, &page, username, PASSWORD).await;
    let page = browser.submit(page.form("form"), Some(("decision", "allow"))).await;
    let page = provider.settle(browser, page).await;
    let code = page.query_parameter("code").unwrap_or_else(|| panic!("{page}"));
    provider.redeem(client, &code).await.ok()
}

async fn can_sign_in(provider: &TestProvider, client: &TestClient, username: &str) -> bool {
    let browser = UserAgent::new();
    let page = Authorization::of(client).open(provider, &browser).await;
    let page = provider.type_in(&browser, &page, username, PASSWORD).await;
    !page.url.path().ends_with("/login")
}

async fn refresh(provider: &TestProvider, client: &TestClient, token: &str) -> Api {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    provider.post("/token", client.auth(), &fields).await
}

/// Each text column of each table: table, column.
async fn text_columns(provider: &TestProvider) -> Vec<(String, String)> {
    let sql = match stores() {
        Stores::Embedded => {
            "SELECT tables.name, columns.name FROM sqlite_master AS tables JOIN pragma_table_info(tables.name) AS columns \
             WHERE tables.type = 'table' AND columns.type = 'TEXT'"
        }
        Stores::Servers => {
            "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns \
             WHERE table_schema = current_schema() AND data_type = 'text'"
        }
    };
    let found = provider.rows(sql).await;
    assert!(found.len() > 100, "{found:?}");
    found.into_iter().map(|mut row| (row[0].take().unwrap(), row[1].take().unwrap())).collect()
}

/// Where a text is in the database, in whatever letters: `table.column`.
async fn traces(provider: &TestProvider, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (table, column) in text_columns(provider).await {
        let rows = provider.rows(&format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL")).await;
        if rows.iter().flatten().flatten().any(|value| value.to_lowercase().contains(&text.to_lowercase())) {
            found.push(format!("{table}.{column}"));
        }
    }
    found
}

#[tokio::test]
async fn a_user_is_shown_with_claims_groups_sign_ins_grants_and_the_last_sign_in() {
    let (provider, listener) = (TestProvider::start().await, LogoutListener::start().await);
    let client = service(&provider, &listener).await;
    provider.alice().await;
    let before = document(provider.command(&["user", "show", "alice", "--json"], ""));
    assert_eq!((&before["last_sign_in_at"], &before["sessions"]), (&Value::Null, &json!([])));
    provider
        .sql(
            "INSERT INTO groups (name) VALUES ('staff'), ('past');
             INSERT INTO group_members (group_name, sub, until) VALUES ('staff', 'alice-sub', NULL), ('past', 'alice-sub', 1);
             INSERT INTO user_claims (sub, claim, value) VALUES ('alice-sub', 'desk', '5');
             INSERT INTO group_claims (group_name, claim, value) VALUES ('staff', 'floor', '\"third\"')",
        )
        .await;
    let browser = UserAgent::new().with_header("user-agent", FIREFOX);
    let _ = enter(&provider, &browser, &client, "alice").await;
    let shown = document(provider.command(&["user", "show", "ALICE@example.com", "--json"], ""));
    assert_eq!((shown["sub"].as_str(), shown["username"].as_str()), (Some("alice-sub"), Some("alice")));
    assert_eq!((&shown["state"], &shown["disabled_at"]), (&json!("active"), &Value::Null));
    assert_eq!(shown["claims"]["given_name"], "Alice");
    assert_eq!(
        (&shown["claims"]["email"], &shown["claims"]["email_verified"]),
        (&json!("alice@example.com"), &json!(true))
    );
    assert_eq!(shown["groups"], json!(["staff"]), "a membership that has ended is none");
    let past = json!({"group": "past", "until": "1970-01-01T00:00:01Z"});
    assert_eq!(shown["memberships"], json!([past, {"group": "staff", "until": null}]));
    let further = [
        json!({"claim": "desk", "value": 5, "group": null, "until": null}),
        json!({"claim": "floor", "value": "third", "group": "staff", "until": null}),
    ];
    assert_eq!(shown["further_claims"], json!(further));
    assert_eq!(shown["sessions"][0]["browser"], "Firefox on Linux");
    assert_eq!(shown["last_sign_in_at"], shown["sessions"][0]["started_at"]);
    assert_eq!(shown["consents"][0]["client_id"], "reports");
    assert!(shown["consents"][0]["scope"].as_str().unwrap().contains("offline_access"), "{shown}");
    assert_eq!(shown["refresh_families"][0]["client_id"], "reports");
    assert!(shown["refresh_families"][0]["scope"].as_str().unwrap().contains("offline_access"), "{shown}");
    let text = done(provider.command(&["user", "show", "alice"], "")).stdout;
    for part in [
        "alice (Alice Example)",
        "alice-sub",
        "active",
        "Firefox on Linux",
        "staff",
        "(ended)",
        "reports",
        "third",
        "desk",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("argon2") && !shown.to_string().contains("argon2"));
    // A sign-in that is over and forgotten is known by the audit.
    provider.provider.audit.flush().await;
    provider.sql("DELETE FROM user_sessions").await;
    let later = document(provider.command(&["user", "show", "alice", "--json"], ""));
    assert_eq!(later["last_sign_in_at"], shown["last_sign_in_at"]);
    done(provider.command(&["user", "disable", "alice", "--yes"], ""));
    let disabled = document(provider.command(&["user", "show", "alice", "--json"], ""));
    assert!(disabled["state"] == "disabled" && disabled["disabled_at"].is_string(), "{disabled}");
    refused(&provider.command(&["user", "show", "nobody"], ""), &["user list"]);
}

fn text_for(column: &str, number: u8) -> String {
    match column {
        "profile" | "picture" | "website" => format!("https://{number}.example/{column}"),
        "birthdate" => format!("1990-12-3{number}"),
        _ => format!("{column} {number}"),
    }
}

/// OpenID Connect Core 5.1.
#[tokio::test]
async fn every_standard_claim_with_a_column_is_set_by_add_and_edit_and_emptied_by_edit() {
    let provider = TestProvider::start().await;
    let flags = |number: u8| -> Vec<String> {
        let flag = |column: &&str| [format!("--{}", column.replace('_', "-")), text_for(column, number)];
        COLUMNS.iter().flat_map(flag).collect()
    };
    let row = async || {
        let names = COLUMNS.join(", ");
        provider.rows(&format!("SELECT {names} FROM users WHERE username = 'erin'")).await.remove(0)
    };
    let texts = |number: u8| COLUMNS.iter().map(|column| Some(text_for(column, number))).collect::<Vec<_>>();
    // Of the columns of the table all but these are claims that an operator sets.
    let others = ["sub", "username", "email", "password_hash", "credential_digest", "credential_id"];
    let others: BTreeSet<String> =
        others.into_iter().chain(["username_folded", "email_folded", "folded_of"]).map(str::to_owned).collect();
    let all = text_columns(&provider).await.into_iter().filter(|(table, _)| table == "users").map(|(_, column)| column);
    let claims: BTreeSet<String> = all.filter(|column| !others.contains(column)).collect();
    assert_eq!(claims, COLUMNS.iter().map(|column| (*column).to_owned()).collect());

    let given = flags(0);
    done(add(&provider, "erin", &given.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(row().await, texts(0));
    let given = flags(1);
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let changed = document(edit(&provider, "erin", &given));
    assert_eq!(row().await, texts(1));
    let told: BTreeSet<&str> = changed["changed"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(COLUMNS.iter().all(|column| told.contains(column)), "{changed}");
    let again = document(edit(&provider, "erin", &given));
    assert_eq!((&again["is_changed"], &again["changed"]), (&json!(false), &json!([])));
    let unset: Vec<&str> = COLUMNS.iter().flat_map(|column| ["--unset", column]).collect();
    assert_eq!(document(edit(&provider, "erin", &unset))["is_changed"], true);
    assert_eq!(row().await, vec![None; COLUMNS.len()]);
    let verified = provider.rows("SELECT phone_number_verified_at FROM users").await;
    assert_eq!(verified, [[None]], "a number that is gone is not verified");
}

#[tokio::test]
async fn an_edit_is_told_to_services_and_its_event_names_members_and_no_values() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let token = provider.tokens(&UserAgent::new(), &client).await.text("access_token");
    let before = provider.userinfo(&token).await.ok().json();
    provider.travel(10);
    let edited = document(edit(&provider, "alice", &["--family-name", "Marked", "--unset", "given_name"]));
    assert_eq!((&edited["change"], &edited["changed"]), (&json!("edit"), &json!(["family_name", "given_name"])));
    provider.travel(10);
    let after = provider.userinfo(&token).await.ok().json();
    assert_eq!((&after["family_name"], &after["given_name"]), (&json!("Marked"), &Value::Null));
    assert_ne!(after["updated_at"], before["updated_at"]);
    let all = events(&provider).await;
    let event = only(&all, "user_edited");
    assert_eq!(
        (&event["sub"], detail(event)),
        (&json!("alice-sub"), json!({"changed": ["family_name", "given_name"]}))
    );
    assert!(!event.to_string().contains("Marked"), "{event}");
    // What changes nothing is no event, and services are told of no change.
    let updated_at = provider.rows("SELECT updated_at FROM users").await;
    provider.travel(100);
    let again = document(edit(&provider, "alice", &["--family-name", "Marked", "--unset", "given_name"]));
    assert_eq!(again["is_changed"], false);
    assert_eq!(provider.rows("SELECT updated_at FROM users").await, updated_at);
    only(&events(&provider).await, "user_edited");
}

#[tokio::test]
async fn a_renamed_user_has_the_sub_and_the_tokens_of_before_and_signs_in_by_the_new_name() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let tokens = provider.tokens(&UserAgent::new(), &client).await;
    let renamed = document(edit(&provider, "alice", &["--username", "Alice.Example"]));
    assert_eq!((&renamed["username"], &renamed["sub"]), (&json!("Alice.Example"), &json!("alice-sub")));
    assert_eq!(renamed["changed"], json!(["username"]));
    provider.travel(10);
    let told = provider.userinfo(&tokens.text("access_token")).await.ok().json();
    assert_eq!((&told["sub"], &told["preferred_username"]), (&json!("alice-sub"), &json!("Alice.Example")));
    assert!(can_sign_in(&provider, &client, "alice.example").await, "in other letters, too");
    assert!(!can_sign_in(&provider, &client, "alice").await);
    // The name of before is free: its user is there still, under another one.
    let email = ["user", "add", "alice", "--email", "other@example.com", "--password-stdin"];
    done(provider.command(&email, PASSWORD));
}

#[tokio::test]
async fn an_address_that_is_edited_is_verified_unless_the_operator_says_otherwise() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let verified = async || {
        let shown = document(provider.command(&["user", "show", "alice", "--json"], ""));
        (shown["claims"]["email"].as_str().unwrap().to_owned(), shown["claims"]["email_verified"] == true)
    };
    for (flags, address, is_verified, is_changed) in [
        (&["--email-verified"][..], "alice@example.com", true, false),
        (&["--email-unverified"], "alice@example.com", false, true),
        (&["--email-unverified"], "alice@example.com", false, false),
        (&["--email", "alice@example.com"], "alice@example.com", true, true),
        (&["--email", "a@example.org", "--email-unverified"], "a@example.org", false, true),
        (&["--email", "b@example.org"], "b@example.org", true, true),
        (&["--email", "b@example.org"], "b@example.org", true, false),
    ] {
        let edited = document(edit(&provider, "alice", flags));
        assert_eq!(edited["is_changed"], is_changed, "{flags:?}");
        assert_eq!(verified().await, (address.to_owned(), is_verified), "{flags:?}");
    }
    let phone = async || provider.rows("SELECT phone_number_verified_at FROM users").await[0][0].is_some();
    for (flags, is_verified) in [
        (&["--phone-number", "+49 30 1"][..], true),
        (&["--phone-number-unverified"], false),
        (&["--phone-number-verified"], true),
        (&["--phone-number", "+49 30 2", "--phone-number-unverified"], false),
    ] {
        assert_eq!(document(edit(&provider, "alice", flags))["is_changed"], true, "{flags:?}");
        assert_eq!(phone().await, is_verified, "{flags:?}");
    }
}

#[tokio::test]
async fn an_edit_refuses_what_add_refuses_and_changes_nothing_then() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider.add_user(NewUser::named("bob")).await;
    let before = provider.rows("SELECT sub, username, email, name FROM users ORDER BY sub").await;
    for (flags, parts) in [
        (&["--username", "BOB", "--name", "Other"][..], &["there is a user", "already"][..]),
        (&["--username", "two\u{7}bells"], &["the user name cannot be used"]),
        (&["--username", "other@example.com"], &["taken for another user's e-mail address"]),
        (&["--email", "nowhere"], &["not an e-mail address"]),
        (&["--email", "BOB@example.com", "--name", "Other"], &["the address of bob already", "--shared-email"]),
        (&["--website", "alice.example"], &["--website: it is no web address"]),
        (&["--birthdate", "31.12.1990"], &["--birthdate: it is no day", "1990-12-31"]),
        (&["--given-name", ""], &["--given-name: it is empty", "--unset given_name"]),
    ] {
        refused(&edit(&provider, "alice", flags), parts);
    }
    assert_eq!(provider.rows("SELECT sub, username, email, name FROM users ORDER BY sub").await, before);
    refused(&add(&provider, "carl", &["--website", "carl.example"]), &["--website"]);
    for flags in
        [&[][..], &["--unset", "sub"], &["--name", "A", "--unset", "name"], &["--email-verified", "--email-unverified"]]
    {
        assert_eq!(edit(&provider, "alice", flags).status, 2, "{flags:?}");
    }
    let shared = document(edit(&provider, "alice", &["--email", "bob@example.com", "--shared-email"]));
    assert_eq!(shared["is_changed"], true);
    assert_eq!(
        document(edit(&provider, "alice", &["--email", "bob@example.com"]))["is_changed"],
        false,
        "it is so already"
    );
    // A name that is the address has to go with it.
    provider.add_user(NewUser::named("dora").with("username", "dora@example.com")).await;
    refused(&edit(&provider, "dora@example.com", &["--email", "d@example.com"]), &["must be the user's own"]);
    let both = ["--email", "d@example.com", "--username", "d@example.com"];
    assert_eq!(document(edit(&provider, "dora@example.com", &both))["is_changed"], true);
}

#[tokio::test]
async fn what_ends_with_a_disabled_user_is_told() {
    let (provider, listener) = (TestProvider::start().await, LogoutListener::start().await);
    let client = service(&provider, &listener).await;
    provider.alice().await;
    let _ = enter(&provider, &UserAgent::new(), &client, "alice").await;
    let told = document(provider.command(&["user", "disable", "alice", "--yes", "--json"], ""));
    assert_eq!((&told["sessions_ended"], &told["refresh_families_refused"]), (&json!(1), &json!(1)));
    let again = document(provider.command(&["user", "disable", "alice", "--yes", "--json"], ""));
    assert_eq!((&again["is_changed"], &again["sessions_ended"]), (&json!(false), &json!(0)));
}

async fn alice_of_the_staff_and_bob(provider: &TestProvider) {
    provider.alice().await;
    provider.add_user(NewUser::named("bob")).await;
    provider
        .sql(
            "INSERT INTO groups (name) VALUES ('staff');
             INSERT INTO group_members (group_name, sub) VALUES ('staff', 'alice-sub');
             INSERT INTO user_claims (sub, claim, value) VALUES ('alice-sub', 'desk', '5')",
        )
        .await;
}

#[tokio::test]
async fn a_deleted_user_is_out_everywhere_and_services_are_told() {
    let (provider, listener) = (TestProvider::start().await, LogoutListener::start().await);
    let client = service(&provider, &listener).await;
    alice_of_the_staff_and_bob(&provider).await;
    let browser = UserAgent::new();
    let tokens = enter(&provider, &browser, &client, "alice").await;
    let of_bob = enter(&provider, &UserAgent::new(), &client, "bob").await;
    let sid = claims_of(&tokens.text("id_token"))["sid"].clone();

    assert_eq!(provider.command(&["user", "delete", "alice"], "").status, 2, "a script has to say --yes");
    let deleted = document(provider.command(&["user", "delete", "alice", "--yes", "--json"], ""));
    assert_eq!((&deleted["change"], &deleted["is_changed"]), (&json!("delete"), &json!(true)));
    for counted in ["sessions_ended", "refresh_families_ended", "consents_deleted", "memberships_deleted"] {
        assert_eq!(deleted[counted], 1, "{counted}: {deleted}");
    }
    provider.travel(10);
    settle(&provider.provider).await;
    let sent = listener.wait_for(1).await;
    assert_eq!(claims_of(&sent[0])["sid"], sid);
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.status, 401);
    assert_eq!(refresh(&provider, &client, &tokens.text("refresh_token")).await.text("error"), "invalid_grant");
    assert!(!can_sign_in(&provider, &client, "alice").await);
    for table in ["users", "consents", "group_members", "user_claims", "refresh_families", "user_sessions"] {
        let left = provider.rows(&format!("SELECT sub FROM {table} WHERE sub = 'alice-sub'")).await;
        assert!(left.is_empty(), "{table}");
    }
    // No other user is touched.
    let _ = provider.userinfo(&of_bob.text("access_token")).await.ok();
    let _ = refresh(&provider, &client, &of_bob.text("refresh_token")).await.ok();
    let all = events(&provider).await;
    let event = only(&all, "user_deleted");
    assert_eq!(event["sub"], "alice-sub");
    assert_eq!(detail(event), json!({"sessions": 1, "refresh_families": 1, "consents": 1, "memberships": 1}));
    // Twice is once.
    for name in ["alice", "ALICE", "alice-sub"] {
        let again = document(provider.command(&["user", "delete", name, "--yes", "--json"], ""));
        assert_eq!((&again["is_changed"], &again["sub"]), (&json!(false), &json!("alice-sub")), "{name}");
    }
    only(&events(&provider).await, "user_deleted");
    refused(&provider.command(&["user", "delete", "carol", "--yes"], ""), &["carol", "user list"]);
}

#[tokio::test]
async fn neither_name_nor_sub_of_a_deleted_user_is_given_again_by_add_edit_and_import() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider.add_user(NewUser::named("bob")).await;
    done(provider.command(&["user", "delete", "alice", "--yes"], ""));
    let key = provider.rows("SELECT value FROM provider_values WHERE name = 'tombstone_key'").await;
    for name in ["alice", "ALICE", "Alice"] {
        refused(&add(&provider, name, &[]), &["was the name of a user who was deleted", "Fix: "]);
        refused(&edit(&provider, "bob", &["--username", name]), &["was the name of a user who was deleted", "Fix: "]);
        let line = json!({"username": name, "email": "new@example.com"});
        for more in [&[][..], &["--apply"]] {
            not_imported(&import(&provider, &line, more), "was the name of a user who was deleted");
        }
    }
    let line = json!({"username": "carol", "email": "new@example.com", "sub": "alice-sub"});
    not_imported(&import(&provider, &line, &["--apply"]), "the sub was that of a user who was deleted");
    assert_eq!(provider.rows("SELECT username FROM users").await, [[Some("bob".to_owned())]]);
    // Her address may be another user's one day.
    let line = json!({"username": "carol", "email": "alice@example.com"});
    done(import(&provider, &line, &["--apply"]));
    done(edit(&provider, "bob", &["--username", "alice2"]));
    // The name itself is not kept, and what it is known by is under a key of its own that stays.
    done(provider.command(&["user", "delete", "carol", "--yes"], ""));
    let tombstones = provider.rows("SELECT sub, name_digest FROM user_tombstones ORDER BY sub").await;
    assert_eq!(tombstones.len(), 2);
    for row in tombstones {
        let digest = row[1].as_deref().unwrap();
        assert!(digest.len() == 43 && !digest.to_lowercase().contains("alice"), "{digest}");
    }
    assert_eq!(provider.rows("SELECT value FROM provider_values WHERE name = 'tombstone_key'").await, key);
    refused(&add(&provider, "carol", &[]), &["was the name of a user who was deleted"]);
    refused(&add(&provider, "alice", &[]), &["was the name of a user who was deleted"]);
}

/// A user with marks in everything that tells of a person, who has signed in and failed to. Gives the `sub`.
async fn marked(provider: &TestProvider, client: &TestClient) -> String {
    let email =
        ["--email", "marked-address@example.org", "--name", "Marked Person", "--phone-number", "+49 30 7654321"];
    let arguments = ["user", "add", "wonderland"];
    let arguments: Vec<&str> = arguments.iter().chain(&email).chain(&["--password-stdin"]).copied().collect();
    let sub = done(provider.command(&arguments, PASSWORD)).stdout.trim().to_owned();
    let browser = || UserAgent::new().with_header("user-agent", FIREFOX).with_header("x-forwarded-for", "203.0.113.77");
    let _ = enter(provider, &browser(), client, "wonderland").await;
    for typed in ["Wonderland", "MARKED-address@example.org"] {
        let browser = browser();
        let page = Authorization::of(client).open(provider, &browser).await;
        let _ = provider.type_in(&browser, &page, typed, "a wrong password").await;
    }
    provider.provider.audit.flush().await;
    sub
}

const MARKS: [&str; 6] =
    ["wonderland", "marked-address", "Marked Person", "7654321", "203.0.113.77", "Firefox on Linux"];

async fn settled_sign_ins(provider: &TestProvider) -> usize {
    provider.rows("SELECT session FROM user_sessions WHERE settled_at IS NOT NULL").await.len()
}

#[tokio::test]
async fn an_erased_user_leaves_no_trace_in_any_table_and_the_audit_is_whole() {
    for is_deleted_before in [false, true] {
        let (provider, listener) =
            (TestProvider::with(&[("trusted_proxies", "127.0.0.1")]).await, LogoutListener::start().await);
        let client = service(&provider, &listener).await;
        provider.alice().await;
        let _ = enter(&provider, &UserAgent::new(), &client, "alice").await;
        let sub = marked(&provider, &client).await;
        for mark in MARKS {
            assert!(!traces(&provider, mark).await.is_empty(), "{mark} has no trace to be erased");
        }
        let erase = |name: &str| document(provider.command(&["user", "erase", name, "--yes", "--json"], ""));
        let name = if is_deleted_before {
            done(provider.command(&["user", "delete", "wonderland", "--yes"], ""));
            settled(&provider, &listener).await;
            sub.as_str()
        } else {
            "wonderland"
        };
        // Nodes end the sign-ins while it waits for that, and what they write of it names the sub.
        let variables = provider.variables();
        let (folder, whom) = (provider.folder.path().to_owned(), name.to_owned());
        let erasing = tokio::task::spawn_blocking(move || {
            let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
            document(run_with(&folder, &["user", "erase", &whom, "--yes", "--json"], &variables, ""))
        });
        if !is_deleted_before {
            while settled_sign_ins(&provider).await == 0 {
                settle(&provider.provider).await;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
        let erased = erasing.await.unwrap();
        assert_eq!((&erased["is_changed"], &erased["sub"]), (&json!(true), &json!(sub)));
        assert_eq!(erased["is_complete"], true, "{erased}");
        assert!(erased["events"].as_i64() >= Some(3) && erased["refusals"].as_i64() >= Some(1), "{erased}");
        for mark in MARKS {
            assert_eq!(traces(&provider, mark).await, Vec::<String>::new(), "{mark}, {is_deleted_before}");
        }
        let left: BTreeSet<String> = traces(&provider, &sub).await.into_iter().collect();
        let may_stay = ["user_tombstones.sub", "logout_outbox.sub"].map(str::to_owned);
        assert!(left.iter().all(|place| may_stay.contains(place)), "{left:?}");
        let verified = done(provider.command(&["audit", "verify"], ""));
        assert!(verified.stderr.contains("whole") && verified.stderr.contains("were erased"), "{verified:?}");
        let all = events(&provider).await;
        let told = of_kind(&all, "user_erased");
        assert!(!told.is_empty() && told.iter().all(|event| event["sub"].is_null()), "{told:?}");
        // Alice is as she was.
        assert!(of_kind(&all, "sign_in").iter().any(|event| event["sub"] == "alice-sub"));
        // By tombstone it can be said as often as one likes.
        for name in [sub.as_str(), "wonderland"] {
            let again = erase(name);
            assert_eq!((&again["is_changed"], &again["sub"]), (&json!(false), &json!(sub)), "{name}");
        }
        assert_eq!(of_kind(&events(&provider).await, "user_erased").len(), told.len());
        refused(&add(&provider, "wonderland", &[]), &["was the name of a user who was deleted"]);
    }
}

/// Where no node ends the sign-ins, what is there is erased and it is said that more will come.
#[tokio::test]
async fn an_erasure_that_is_not_complete_says_so_and_the_same_again_completes_it() {
    let (provider, listener) = (TestProvider::start().await, LogoutListener::start().await);
    let client = service(&provider, &listener).await;
    provider.alice().await;
    let _ = enter(&provider, &UserAgent::new(), &client, "alice").await;
    provider.provider.audit.flush().await;
    let erase = || provider.command(&["user", "erase", "alice", "--yes", "--json"], "");
    let first = done(erase());
    assert!(first.stderr.contains("not complete: nodes have 1 sign-in to end"), "{first:?}");
    assert_eq!(document(first)["is_complete"], false);
    settled(&provider, &listener).await;
    let again = document(erase());
    assert_eq!((&again["is_changed"], &again["is_complete"]), (&json!(true), &json!(true)));
    let left = traces(&provider, "alice-sub").await;
    assert!(left.iter().all(|place| !place.starts_with("audit_events")), "{left:?}");
}

#[tokio::test]
async fn a_name_that_another_user_has_by_now_is_not_erased_with_the_user_of_before() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let sub = done(add(&provider, "carol", &[])).stdout.trim().to_owned();
    done(edit(&provider, "carol", &["--username", "caroline"]));
    done(edit(&provider, "alice", &["--username", "carol"]));
    // Typed for no user.
    let now = provider.provider.now();
    let failed = hallpass::protocol::audit::Event::new(hallpass::protocol::audit::EventKind::SignInFailed, now);
    provider.provider.audit.record(failed.personal("username", "carol"));
    provider.provider.audit.flush().await;
    done(provider.command(&["user", "erase", &sub, "--yes"], ""));
    assert!(traces(&provider, "carol").await.contains(&"audit_events.personal".to_owned()));
    assert!(can_sign_in(&provider, &client, "carol").await);
}

#[tokio::test]
async fn an_export_has_every_row_about_the_person_and_nothing_of_a_secret() {
    let (provider, listener) = (TestProvider::start().await, LogoutListener::start().await);
    let client = service(&provider, &listener).await;
    alice_of_the_staff_and_bob(&provider).await;
    provider.sql("INSERT INTO user_sources (source, source_key, sub) VALUES ('monolith', '1', 'alice-sub')").await;
    // A sign-in that is over, whose service was told, one that is not, and one that failed.
    let _ = enter(&provider, &UserAgent::new(), &client, "alice").await;
    done(provider.command(&["user", "sessions", "end", "alice", "--all", "--yes"], ""));
    settled(&provider, &listener).await;
    let tokens = enter(&provider, &UserAgent::new().with_header("user-agent", FIREFOX), &client, "alice").await;
    let _ = refresh(&provider, &client, &tokens.text("refresh_token")).await.ok();
    let _ = enter(&provider, &UserAgent::new(), &client, "bob").await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let _ = provider.type_in(&browser, &page, "alice", "a wrong password").await;
    done(provider.command(&["user", "reset-link", "alice"], ""));
    let mail = "INSERT INTO mail_outbox (mail_id, kind, sub, address, detail, created_at, due_at) \
         VALUES ('m', 'password_changed', 'alice-sub', 'alice@example.com', '{\"at\": 1}', 1, 1)";
    provider.sql(mail).await;
    let passkey = "INSERT INTO user_passkeys (passkey_id, sub, user_handle, credential_id, rp_id, passkey, backup_eligible, credential, created_at) \
         VALUES ('p', 'alice-sub', 'handle', 'id', 'id.example', '{\"key\": \"its key\"}', 1, 'mark of a password', 1)";
    provider.sql(passkey).await;
    // Last: from then on a password alone would not be all that a sign-in asks for.
    let _ = crate::second_factors::enrolled(&provider, "alice-sub").await;
    provider.provider.audit.flush().await;

    // What has a `sub` is in the export, and a table that gets one later has to be, too.
    let with_sub: BTreeSet<String> = text_columns(&provider)
        .await
        .into_iter()
        .filter(|(_, column)| column == "sub")
        .map(|(table, _)| table)
        .collect();
    let told = [
        "audit_events",
        "consents",
        "group_members",
        "logout_outbox",
        "mail_outbox",
        "refresh_families",
        "user_claims",
        "user_factors",
        "user_links",
        "user_passkeys",
        "user_sessions",
        "user_sources",
        "user_tombstones",
        "users",
    ];
    assert_eq!(with_sub.iter().map(String::as_str).collect::<Vec<_>>(), told);
    let outcome = done(provider.command(&["user", "export", "alice"], ""));
    let export: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(
        (&export["version"], &export["sub"], &export["deleted_at"]),
        (&json!(1), &json!("alice-sub"), &Value::Null)
    );
    assert_eq!(export["user"]["email"], "alice@example.com");
    assert_eq!(export["user"]["has_password"], true);
    for (member, table) in [
        ("memberships", "group_members"),
        ("claims", "user_claims"),
        ("sessions", "user_sessions"),
        ("consents", "consents"),
        ("refresh_families", "refresh_families"),
        ("logout_messages", "logout_outbox"),
        ("factors", "user_factors"),
        ("passkeys", "user_passkeys"),
        ("links", "user_links"),
        ("mails", "mail_outbox"),
        ("sources", "user_sources"),
        ("events", "audit_events"),
    ] {
        let rows = provider.rows(&format!("SELECT sub FROM {table} WHERE sub = 'alice-sub'")).await.len();
        assert!(rows > 0, "{table}");
        assert_eq!(export[member].as_array().map(Vec::len), Some(rows), "{member}");
    }
    assert_eq!(export["refusals"].as_array().map(Vec::len), Some(1), "{export}");
    assert!(export["events"].as_array().unwrap().iter().any(|event| event["event"] == "sign_in"), "{export}");
    assert!(export["sessions"].as_array().unwrap().iter().any(|row| row["browser"] == "Firefox on Linux"));

    for sql in [
        "SELECT password_hash, credential_digest, credential_id FROM users",
        "SELECT record, record FROM user_sessions",
        "SELECT current_digest, previous_digest, salt FROM refresh_families",
        "SELECT secret_hash FROM client_secrets",
        "SELECT secret, secret FROM user_factors",
        "SELECT passkey, credential FROM user_passkeys",
        "SELECT digest, digest FROM user_links",
    ] {
        for secret in provider.rows(sql).await.into_iter().flatten().flatten().filter(|text| !text.is_empty()) {
            assert!(!outcome.stdout.contains(&secret), "{sql}: {secret}");
        }
    }
    assert!(!outcome.stdout.contains("argon2") && !outcome.stdout.contains("bob"), "{}", outcome.stdout);
    // Of a user who was deleted there is what is left.
    done(provider.command(&["user", "delete", "alice", "--yes"], ""));
    let left = document(provider.command(&["user", "export", "alice-sub"], ""));
    assert!(left["user"].is_null() && left["deleted_at"].is_string() && left["sessions"] == json!([]), "{left}");
    assert!(left["events"].as_array().unwrap().iter().any(|event| event["event"] == "user_deleted"), "{left}");
}
