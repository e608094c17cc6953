//! Who may enter which service: `clients.access` and `client_groups`, at the sign-in, at the token endpoint and for what was
//! issued.

use crate::audit::{events, of_kind, only};
use crate::store_contract::lasting;
use crate::support::provider::PASSWORD;
use crate::support::{Authorization, NewClient, NewUser, TestClient, TestProvider, UserAgent};
use hallpass::protocol::time::NumericDate;
use hallpass::store::groups::{self, Deletion, Naming};
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _, Executor as _};
use std::time::Duration;

/// `reports` is for the group `finance`; alice is not in it.
async fn stage() -> (TestProvider, TestClient) {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let client = NewClient::new("reports")
        .with("access", "groups")
        .with("client_uri", "https://reports.example.com/")
        .with("scope", "openid profile offline_access")
        .with("grant_types", "authorization_code refresh_token");
    let client = provider.add(client).await;
    provider
        .sql(
            "INSERT INTO groups (name) VALUES ('finance');
             INSERT INTO client_groups VALUES ('reports', 'finance')",
        )
        .await;
    (provider, client)
}

async fn let_in(provider: &TestProvider) {
    provider.sql("INSERT INTO group_members (group_name, sub) VALUES ('finance', 'alice-sub')").await;
    provider.travel(10);
}

async fn keep_out(provider: &TestProvider) {
    provider.sql("DELETE FROM group_members").await;
    provider.travel(10);
}

#[tokio::test]
async fn a_user_outside_is_told_so_and_taken_back_by_one_button() {
    let (provider, client) = stage().await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    assert!(page.url.path().ends_with("/login"), "who it is comes first: {page}");
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert_eq!(page.status.as_u16(), 403);
    let text = page.text();
    assert!(text.contains("You cannot open The reports service") && text.contains("Alice"), "{text}");
    let forms = page.forms();
    assert_eq!(forms.len(), 1, "{page}");
    // To let her in now would be to ask for consent next; nothing of that is offered here.
    let back = browser.submit(page.form("form"), Some(("decision", "back"))).await;
    assert_eq!(back.query_parameter("error").as_deref(), Some("access_denied"), "{back}");
    assert_eq!(back.query_parameter("state").as_deref(), Some("the state"));
    assert!(back.location().unwrap().as_str().starts_with(&client.redirect_uri));
    let events = events(&provider).await;
    assert_eq!(only(&events, "entry_refused")["sub"], json!("alice-sub"));
    assert!(of_kind(&events, "consent_given").is_empty());
}

#[tokio::test]
async fn the_operator_reads_why_a_user_could_not_enter_and_what_would_let_them_in() {
    let (provider, client) = stage().await;
    provider.sql("INSERT INTO groups (name) VALUES ('staff'); INSERT INTO group_members (group_name, sub) VALUES ('staff', 'alice-sub')").await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    let reference = page.texts(".reference code").concat();
    provider.provider.audit.flush().await;
    let explained = provider.command(&["explain", &reference], "").stdout;
    for word in ["no_entry", "staff", "finance", "hallpass group add"] {
        assert!(explained.contains(word), "{word}: {explained}");
    }
    let of_alice = provider.command(&["explain", "--user", "alice"], "").stdout;
    assert!(of_alice.contains("no_entry") || of_alice.contains("may not enter"), "{of_alice}");
}

#[tokio::test]
async fn an_answer_on_the_page_for_users_outside_gives_no_code_whatever_it_says() {
    let (provider, client) = stage().await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    let form = page.form("form");
    let mut fields: Vec<(&str, &str)> = form.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    fields.extend([("decision", "allow"), ("shown", "")]);
    let answered = browser.post_form(form.action.as_str(), &fields).await;
    assert_eq!(answered.query_parameter("error").as_deref(), Some("access_denied"), "{answered}");
}

#[tokio::test]
async fn without_a_page_the_service_is_told_at_once() {
    let (provider, client) = stage().await;
    let other = provider.add(NewClient::new("other").with("consent", "skip")).await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &other).await.code();
    let silent = Authorization::of(&client).with("prompt", "none");
    let refused = silent.complete(&provider, &browser).await;
    assert_eq!(refused.error(), "access_denied");
    let events = events(&provider).await;
    assert_eq!(only(&events, "entry_refused")["sub"], json!("alice-sub"));
    let reference = refused.get("error_description").unwrap().rsplit_once("reference ").unwrap().1;
    let explained = provider.command(&["explain", reference.trim_end_matches(')')], "").stdout;
    assert!(explained.contains("finance") && explained.contains("a member of no group"), "{explained}");
    let_in(&provider).await;
    assert_eq!(silent.complete(&provider, &browser).await.error(), "consent_required");
}

#[tokio::test]
async fn a_member_of_one_of_the_groups_enters_until_the_membership_ends() {
    let (provider, client) = stage().await;
    let until = provider.now() + 1000;
    provider
        .sql(&format!(
            "INSERT INTO groups (name) VALUES ('audit'); INSERT INTO client_groups VALUES ('reports', 'audit');
             INSERT INTO group_members (group_name, sub, until) VALUES ('audit', 'alice-sub', {until})"
        ))
        .await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &client).await.code();
    provider.travel(1000);
    assert_eq!(provider.sign_in(&browser, &client).await.error(), "access_denied");
}

#[tokio::test]
async fn with_groups_and_no_row_no_user_enters_and_a_deleted_group_leaves_its_clients_closed() {
    let (provider, client) = stage().await;
    let_in(&provider).await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &client).await.code();
    provider.sql("DELETE FROM groups").await;
    provider.travel(10);
    assert_eq!(provider.sign_in(&browser, &client).await.error(), "access_denied");
    // Another group of that name is not the one that was let in.
    provider.sql("INSERT INTO groups (name) VALUES ('finance')").await;
    let_in(&provider).await;
    assert_eq!(provider.sign_in(&browser, &client).await.error(), "access_denied");
}

#[tokio::test]
async fn an_unknown_word_for_access_closes_the_service_by_name() {
    let (provider, client) = stage().await;
    provider.sql("UPDATE clients SET access = 'friends'").await;
    provider.travel(10);
    let page = Authorization::of(&client).open(&provider, &UserAgent::new()).await;
    assert_eq!(page.status.as_u16(), 500);
    let listed = provider.command(&["client", "list"], "");
    assert!(format!("{listed:?}").contains("friends"), "{listed:?}");
}

#[tokio::test]
async fn what_was_issued_holds_while_the_membership_does_and_again_when_it_is_back() {
    let (provider, client) = stage().await;
    let_in(&provider).await;
    let browser = UserAgent::new();
    let request = Authorization::of(&client).with("scope", "openid offline_access");
    let code = request.complete(&provider, &browser).await.code().to_owned();
    let tokens = provider.redeem(&client, &code).await.ok();
    let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let late_code = request.complete(&provider, &browser).await.code().to_owned();
    keep_out(&provider).await;

    assert_eq!(provider.redeem(&client, &late_code).await.error(), (400, "invalid_grant".to_owned()));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &*refresh)];
    assert_eq!(provider.post("/token", client.auth(), &fields).await.error(), (400, "invalid_grant".to_owned()));
    assert_eq!(provider.userinfo(&access).await.status.as_u16(), 401);
    for token in [&access, &refresh] {
        let answer = provider.post("/introspect", client.auth(), &[("token", token)]).await.ok();
        assert_eq!(answer.json(), json!({"active": false}));
    }
    // The family was not ended: back in the group, the same token is good.
    let_in(&provider).await;
    let refreshed = provider.post("/token", client.auth(), &fields).await.ok();
    assert!(refreshed.json()["access_token"].is_string());
    assert_eq!(provider.userinfo(&access).await.ok().json()["sub"], json!("alice-sub"));
}

#[tokio::test]
async fn the_start_page_lists_the_services_that_the_user_may_enter() {
    let (provider, _client) = stage().await;
    provider.add(NewClient::new("wiki").with("client_uri", "https://wiki.example.com/").with("consent", "skip")).await;
    let wiki = provider.client("open").await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &wiki).await.code();
    let home = async || browser.get(&provider.url("/")).await.text();
    let before = home().await;
    assert!(before.contains("wiki") && !before.contains("reports"), "{before}");
    let_in(&provider).await;
    assert!(home().await.contains("reports"));
    let until = provider.now() + 5;
    provider.sql(&format!("UPDATE group_members SET until = {until}")).await;
    provider.travel(5);
    assert!(!home().await.contains("reports"));
}

/// A version that does not know the column would let in whom it keeps out.
#[tokio::test]
async fn the_first_row_that_keeps_users_out_raises_the_least_version_that_may_serve() {
    let provider = TestProvider::start().await;
    let least = "SELECT value FROM provider_values WHERE name = 'least_schema_version'";
    hallpass::startup::watch_version(&provider.provider).await;
    assert!(provider.rows(least).await.is_empty(), "not before");
    provider.add(NewClient::new("reports").with("access", "groups")).await;
    hallpass::startup::watch_version(&provider.provider).await;
    assert_eq!(provider.rows(least).await[0][0].as_deref(), Some("8"));
    // A later feature may have raised it further.
    provider.sql("UPDATE provider_values SET value = '10' WHERE name = 'least_schema_version'").await;
    hallpass::startup::watch_version(&provider.provider).await;
    assert_eq!(provider.rows(least).await[0][0].as_deref(), Some("10"));
}

/// Who may not enter is asked nothing, and another account is one link away.
#[tokio::test]
async fn a_user_outside_can_use_another_account() {
    let (provider, client) = stage().await;
    provider.add_user(NewUser::named("bob")).await;
    provider.sql("INSERT INTO group_members (group_name, sub) VALUES ('finance', 'bob-sub')").await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    let interaction = page.url.query_pairs().find(|(name, _)| name == "interaction").unwrap().1.into_owned();
    assert!(page.body.contains("switch=1"), "{page}");
    let login = browser.get(&provider.url(&format!("/login?interaction={interaction}&switch=1"))).await;
    let consent = provider.type_in(&browser, &login, "bob", PASSWORD).await;
    assert!(consent.url.path().ends_with("/consent") && consent.text().contains("Allow"), "{consent}");
}

fn json(provider: &TestProvider, arguments: &[&str]) -> Value {
    let outcome = provider.command(&[arguments, &["--json"]].concat(), "");
    assert_eq!(outcome.status, 0, "{arguments:?}: {outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[tokio::test]
async fn groups_are_looked_after_by_command_and_a_second_time_changes_nothing() {
    let (provider, client) = stage().await;
    let changes = |arguments: &[&str]| json(&provider, arguments)["changes"].clone();
    assert_eq!(
        changes(&["group", "new", "finance", "--description", "Finance"]),
        json!([{"group": "finance", "change": "describe"}])
    );
    assert_eq!(changes(&["group", "new", "finance", "--description", "Finance"]), json!([]));
    let added = json!([{"group": "finance", "change": "add", "sub": "alice-sub", "until": null}]);
    assert_eq!(changes(&["group", "add", "finance", "ALICE@example.com"]), added);
    assert_eq!(changes(&["group", "add", "finance", "alice"]), json!([]));
    provider.travel(10);
    let _ = provider.sign_in(&UserAgent::new(), &client).await.code();
    let until = changes(&["group", "add", "finance", "alice", "--until", "2099-01-01T00:00:00Z"]);
    assert_eq!(until[0]["until"], json!("2099-01-01T00:00:00Z"));
    assert_eq!(changes(&["group", "add", "finance", "alice"]), json!([]), "its end stays");
    assert_eq!(changes(&["group", "add", "finance", "alice", "--until", "never"]), added);
    let shown = json(&provider, &["group", "show", "finance"]);
    assert_eq!((&shown["members"][0]["username"], &shown["clients"]), (&json!("alice"), &json!(["reports"])));
    assert!(shown["members"][0]["added_at"].is_string(), "{shown}");
    let listed = json(&provider, &["group", "list", "--matching", "FIN"]);
    assert_eq!((&listed["groups"][0]["members"], &listed["groups"][0]["clients"]), (&json!(1), &json!(1)));
    assert_eq!(changes(&["group", "remove", "finance", "alice"]).as_array().unwrap().len(), 1);
    assert_eq!(changes(&["group", "remove", "finance", "alice"]), json!([]));
    for wrong in [
        vec!["group", "add", "finanze", "alice"],
        vec!["group", "add", "finance", "mallory"],
        vec!["group", "show", "nothing"],
        vec!["group", "new", " x"],
        vec!["group", "new", ""],
    ] {
        let outcome = provider.command(&wrong, "");
        assert_eq!((outcome.status, outcome.stdout.as_str()), (1, ""), "{wrong:?}: {outcome:?}");
    }
    assert!(provider.command(&["group", "add", "finanze", "alice"], "").stderr.contains("did you mean finance"));
    let events = events(&provider).await;
    for (kind, count) in [("group_edited", 1), ("membership_added", 3), ("membership_removed", 1)] {
        assert_eq!(of_kind(&events, kind).len(), count, "{kind}");
    }
}

#[tokio::test]
async fn a_group_that_a_client_names_is_deleted_by_force_alone_and_leaves_the_client_closed() {
    let (provider, client) = stage().await;
    let_in(&provider).await;
    let refused = provider.command(&["group", "delete", "finance", "--yes"], "");
    assert!(
        refused.status == 1 && refused.stderr.contains("reports") && refused.stderr.contains("--force"),
        "{refused:?}"
    );
    let _ = provider.sign_in(&UserAgent::new(), &client).await.code();
    let deleted = json(&provider, &["group", "delete", "finance", "--yes", "--force"]);
    assert_eq!(deleted["changes"], json!([{"group": "finance", "change": "delete"}]));
    provider.travel(10);
    assert_eq!(provider.sign_in(&UserAgent::new(), &client).await.error(), "access_denied");
    let doctor = provider.command(&["doctor"], "");
    assert!(doctor.stdout.contains("client_groups names none"), "{doctor:?}");
    provider.sql("INSERT INTO groups (name) VALUES ('idle')").await;
    assert_eq!(provider.command(&["group", "delete", "idle", "--yes"], "").status, 0);
    assert_eq!(provider.command(&["group", "delete", "idle"], "").status, 2, "a script must say --yes");
}

/// A client may name the group after it was looked at, also in a transaction that has not ended when the deletion starts.
#[tokio::test]
async fn a_group_that_a_client_names_meanwhile_is_not_deleted() {
    for lasting in lasting().await {
        let (name, db) = (lasting.name, &lasting.db);
        let (sql, _) = NewClient::new("reports").with("access", "groups").sql();
        lasting.sql(&sql).await;
        lasting.sql("INSERT INTO groups (name) VALUES ('finance'); INSERT INTO groups (name) VALUES ('staff')").await;
        let delete = async |known: &Naming| groups::delete(db, "finance", known, NumericDate(5)).await.unwrap();
        let since = Deletion::NamedSince(vec!["reports".to_owned()]);
        let mut known = groups::naming(db, "finance").await.unwrap();
        assert_eq!(known, Naming::default(), "{name}");

        for (table, values) in
            [("client_groups", "'reports', 'finance'"), ("client_roles", "'reports', 'Viewer', 'finance', 0")]
        {
            let mut other = AnyConnection::connect(lasting.url()).await.unwrap();
            // SQLite takes its lock here; PostgreSQL that of the group's row.
            other.execute("BEGIN").await.unwrap();
            other.execute(sqlx::AssertSqlSafe(format!("INSERT INTO {table} VALUES ({values})"))).await.unwrap();
            let commit = async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                other.execute("COMMIT").await.unwrap();
            };
            let (deletion, ()) = tokio::join!(delete(&known), commit);
            assert_eq!(deletion, since, "{name}: {table}");
            assert_eq!(delete(&known).await, since, "{name}: {table}, committed");
            known = groups::naming(db, "finance").await.unwrap();
        }
        // It was known that the group is let in, but not that no other is any more.
        lasting.sql("INSERT INTO client_groups VALUES ('reports', 'staff')").await;
        let beside = groups::naming(db, "finance").await.unwrap();
        assert_eq!((beside.let_in.len(), beside.closed.len()), (1, 0), "{name}");
        lasting.sql("DELETE FROM client_groups WHERE group_name = 'staff'").await;
        assert_eq!(delete(&beside).await, since, "{name}");
        assert!(groups::find(db, "finance", NumericDate(5)).await.unwrap().is_some(), "{name}");
        assert_eq!(delete(&known).await, Deletion::Done, "{name}");
        assert_eq!(delete(&known).await, Deletion::Gone, "{name}");
    }
}

#[tokio::test]
async fn a_file_makes_groups_and_members_what_it_says_or_changes_nothing() {
    let (provider, _client) = stage().await;
    provider.add_user(NewUser::named("bob")).await;
    let_in(&provider).await;
    provider.sql("INSERT INTO groups (name) VALUES ('other')").await;
    let sync = |text: &str| {
        std::fs::write(provider.folder.path().join("groups.toml"), text).unwrap();
        provider.command(&["group", "sync", "groups.toml", "--yes", "--json"], "")
    };
    let file = "[finance]\ndescription = \"Finance\"\nmembers = [\"bob@example.com\", { user = \"bob\", until = \"2099-01-01T00:00:00Z\" }]\n\
        [\"new ones\"]\nmembers = [{ user = \"alice\", until = \"2099-01-01T00:00:00Z\" }]\n";
    let first = sync(file);
    assert_eq!(first.status, 0, "{first:?}");
    let of = |group: &str| {
        let shown = json(&provider, &["group", "show", group]);
        shown["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["username"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (of("finance"), of("new ones"), of("other")),
        (vec!["bob".to_owned()], vec!["alice".to_owned()], vec![])
    );
    let again: Value = serde_json::from_str(&sync(file).stdout).unwrap();
    assert_eq!(again["changes"], json!([]), "a second time changes nothing");
    for (wrong, word) in [
        ("[finance]\nmembers = [\"alice\", \"mallory\"]\n", "mallory"),
        ("[finance]\nmembers = [{ user = \"alice\", until = \"tomorrow\" }]\n", "tomorrow"),
        ("[finance]\nmember = [\"alice\"]\n", "groups.toml:2"),
        ("[\" finance\"]\nmembers = [\"alice\"]\n", "space"),
        ("[finance\n", "groups.toml:1"),
    ] {
        let refused = sync(wrong);
        assert!(refused.status == 1 && refused.stderr.contains(word), "{word}: {refused:?}");
        assert_eq!(of("finance"), ["bob"], "{word}");
    }
    assert_eq!(provider.command(&["group", "sync", "groups.toml"], "").status, 2, "a script must say --yes");
    let missing = provider.command(&["group", "sync", "nowhere.toml", "--yes"], "");
    assert!(missing.status == 1 && missing.stderr.contains("nowhere.toml"), "{missing:?}");
}

#[tokio::test]
async fn access_says_who_may_enter_which_service_and_why() {
    let (provider, _client) = stage().await;
    provider.client("open").await;
    let access = |arguments: &[&str]| provider.command(&[&["access"], arguments].concat(), "");
    let refused = access(&["reports", "alice"]);
    assert!(refused.status == 1 && refused.stderr.contains("in none of its groups: finance"), "{refused:?}");
    assert!(refused.stderr.contains("hallpass group add finance alice"), "{refused:?}");
    let_in(&provider).await;
    let may = access(&["reports", "alice-sub"]);
    assert!(may.status == 0 && may.stdout.contains("a member of finance"), "{may:?}");
    let who = json(&provider, &["access", "reports"]);
    assert_eq!(who["users"], json!([{"sub": "alice-sub", "username": "alice", "why": ["a member of finance"]}]));
    let what = json(&provider, &["access", "--user", "alice"]);
    let ids: Vec<&str> =
        what["clients"].as_array().unwrap().iter().map(|it| it["client_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["open", "reports"]);
    provider.sql("UPDATE group_members SET until = 1700000000").await;
    let ended = access(&["reports", "alice"]);
    assert!(ended.stderr.contains("ended 2023-11-14"), "{ended:?}");
    provider.sql("UPDATE users SET disabled_at = 1").await;
    assert!(access(&["open", "alice"]).stderr.contains("disabled"));
    assert_eq!(access(&[]).status, 2);
    assert!(access(&["nowhere", "alice"]).stderr.contains("nowhere"));
}
