//! Registration by SQL: what an admin writes by hand or as a migration file works without a restart, and what cannot
//! be right is refused by the database or by `hallpass migrate`.

use crate::support::program::{Outcome, Running, Serve, run_with};
use crate::support::provider::{CLIENT_SECRET, PASSWORD, copy_keys, fresh_stores, hash_of, number_of, run_sql};
use crate::support::remote::until;
use crate::support::verbs::{Auth, http, send};
use crate::support::{Authorization, NewClient, Stores, TestClient, TestProvider, UserAgent, folder, stores};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// How many migrations the binary carries.
const BUILT_IN: i64 = 19;

/// A client in the fewest words, with the secret of the tests.
fn example(secret_hash: &str) -> String {
    format!(
        "INSERT INTO clients (client_id, client_name) VALUES ('reports', 'Reports');
         INSERT INTO client_secrets (client_id, secret_hash) VALUES ('reports', '{secret_hash}');
         INSERT INTO client_redirect_uris (client_id, redirect_uri)
         VALUES ('reports', 'https://reports.example.com/signin-oidc');"
    )
}

fn reports() -> TestClient {
    TestClient {
        client_id: "reports".into(),
        secret: Some(CLIENT_SECRET.into()),
        redirect_uri: "https://reports.example.com/signin-oidc".into(),
    }
}

/// What the client is told at the token endpoint: `invalid_grant` once it is known and its secret is right.
async fn word_at_token(provider: &TestProvider, client: &TestClient) -> String {
    provider.redeem(client, "hp_ac_unknown").await.text("error")
}

/// An empty database and an empty folder of the admin's, for commands.
struct Place {
    folder: TempDir,
    database_url: String,
}

impl Place {
    fn new() -> Self {
        let folder = folder();
        let (database_url, _) = fresh_stores(folder.path());
        fs::create_dir(folder.path().join("migrations")).unwrap();
        Self { folder, database_url }
    }

    fn write(&self, name: &str, sql: &str) {
        fs::write(self.folder.path().join("migrations").join(name), sql).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.folder.path().join("migrations").join(name)).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        run_with(self.folder.path(), arguments, &[("HALLPASS_DATABASE_URL", &self.database_url)], "")
    }

    async fn sql(&self, sql: &str) {
        run_sql(&self.database_url, sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    async fn number(&self, sql: &str) -> i64 {
        number_of(&self.database_url, sql).await
    }

    /// How many files the database has, and how many different ones.
    async fn applied(&self) -> (i64, i64) {
        let all = self.number("SELECT COUNT(*) FROM _sqlx_migrations").await;
        (all, self.number("SELECT COUNT(DISTINCT version) FROM _sqlx_migrations").await)
    }
}

const FILE: &str = "20261201090000_add_client_reports.sql";

#[tokio::test]
async fn a_client_inserted_by_hand_works_the_moment_it_is_committed_on_every_node() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    // The second node has the issuer of the first, as behind a load balancer, so its own directory is asked.
    let second = provider.second_node().await;
    let known_to_second = async || second.provider.directory.client("reports", second.provider.now()).await.unwrap();
    // Asked before it is there, so that a node which remembered that it is not would be found out.
    let refused = Authorization::of(&reports()).open(&provider, &UserAgent::new()).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused}");
    assert_eq!(word_at_token(&provider, &reports()).await, "invalid_client");
    assert!(known_to_second().await.is_none());

    provider.sql(&example(&hash_of(CLIENT_SECRET))).await;
    assert!(known_to_second().await.is_some());
    let tokens = provider.tokens(&UserAgent::new(), &reports()).await;
    let claims = provider.userinfo(&tokens.text("access_token")).await.ok();
    assert_eq!(claims.text("sub"), "alice-sub");
}

#[tokio::test]
async fn a_client_disabled_by_hand_is_refused_within_ten_seconds_and_back_as_soon() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let client = provider.client("reports").await;
    let browser = UserAgent::new();
    let _ = provider.tokens(&browser, &client).await;

    provider.sql("UPDATE clients SET disabled_at = 1 WHERE client_id = 'reports'").await;
    provider.travel(10);
    let refused = Authorization::of(&client).open(&provider, &browser).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused}");
    assert_eq!(word_at_token(&provider, &client).await, "invalid_client");

    provider.sql("UPDATE clients SET disabled_at = NULL WHERE client_id = 'reports'").await;
    provider.travel(10);
    let _ = provider.tokens(&browser, &client).await;
}

#[tokio::test]
async fn a_person_disabled_by_hand_is_refused_within_ten_seconds() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let client = provider.client("reports").await;
    let browser = UserAgent::new();
    let tokens = provider.tokens(&browser, &client).await;
    provider.sql("UPDATE users SET disabled_at = 1").await;
    provider.travel(10);
    // Neither the sign-in of before counts, nor the password, nor the token.
    let page = Authorization::of(&client).open(&provider, &browser).await;
    assert!(page.location().is_none() && page.url.path().ends_with("/login"), "{page}");
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert!(page.location().is_none() && page.url.path().ends_with("/login"), "{page}");
    let refused = provider.userinfo(&tokens.text("access_token")).await;
    assert_eq!(refused.error(), (401, "invalid_token".to_owned()));
}

#[tokio::test]
async fn a_change_by_hand_is_seen_within_ten_seconds() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let client = provider.client("reports").await;
    let browser = UserAgent::new();
    let _ = provider.sign_in(&browser, &client).await;

    provider
        .sql(
            "UPDATE client_redirect_uris SET redirect_uri = 'https://new.example/callback';
             UPDATE clients SET scope = 'openid email', id_token_signed_response_alg = 'ES256'",
        )
        .await;
    provider.travel(10);
    let refused = Authorization::of(&client).open(&provider, &browser).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused}");
    let moved = TestClient { redirect_uri: "https://new.example/callback".into(), ..client };
    let tokens = provider.tokens(&browser, &moved).await;
    assert_eq!(tokens.text("scope"), "openid email");
    assert_eq!(crate::support::header_of(&tokens.text("id_token"))["alg"], "ES256");
}

/// `client_secret_expires_at` of RFC 7591 section 3.2.1; several secrets, so that one is changed without an outage.
#[tokio::test]
async fn a_second_secret_works_beside_the_first_and_an_expired_or_removed_one_does_not() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    let with = |secret: &str| TestClient { secret: Some(secret.to_owned()), ..client.clone() };
    let (second, third) = (with("hp_cs_the-second"), with("hp_cs_the-third"));
    assert_eq!(word_at_token(&provider, &client).await, "invalid_grant");
    assert_eq!(word_at_token(&provider, &second).await, "invalid_client");

    let add = |secret: &str, expires_at: i64| {
        let hash = hash_of(secret);
        format!(
            "INSERT INTO client_secrets (client_id, secret_hash, client_secret_expires_at)
             VALUES ('reports', '{hash}', {expires_at});"
        )
    };
    let now = provider.now();
    provider.sql(&format!("{}{}", add("hp_cs_the-second", 0), add("hp_cs_the-third", now + 60))).await;
    provider.travel(10);
    for known in [&client, &second, &third] {
        assert_eq!(word_at_token(&provider, known).await, "invalid_grant", "{known:?}");
    }
    provider.travel(50);
    assert_eq!(word_at_token(&provider, &third).await, "invalid_client", "it was proven before, and has expired since");
    assert_eq!(word_at_token(&provider, &client).await, "invalid_grant");

    let old = hash_of(CLIENT_SECRET);
    provider.sql(&format!("DELETE FROM client_secrets WHERE secret_hash = '{old}'")).await;
    provider.travel(10);
    assert_eq!(word_at_token(&provider, &client).await, "invalid_client", "it was proven before, and is gone");
    assert_eq!(word_at_token(&provider, &second).await, "invalid_grant");
    let refused = provider.post("/token", Auth::Post("reports", ""), &[("grant_type", "authorization_code")]).await;
    assert_ne!(refused.status, StatusCode::OK);
}

#[tokio::test]
async fn the_database_itself_refuses_what_cannot_be_right() {
    let provider = TestProvider::start().await;
    provider.sql("INSERT INTO clients (client_id) VALUES ('c')").await;
    let hash = hash_of(CLIENT_SECRET);
    let mut wrong = vec![
        "INSERT INTO clients (client_id) VALUES ('')".to_owned(),
        "INSERT INTO clients (client_id) VALUES ('c')".to_owned(),
        format!("INSERT INTO clients (client_id) VALUES ('{}')", "x".repeat(256)),
        "INSERT INTO users (sub) VALUES ('')".to_owned(),
        "INSERT INTO client_secrets (client_id, secret_hash) VALUES ('c', 'hp_cs_plain-text')".to_owned(),
        "INSERT INTO client_secrets (client_id, secret_hash) VALUES ('c', '$argon2i$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA')".to_owned(),
        "INSERT INTO client_secrets (client_id, secret_hash) VALUES ('c', '$2b$10$abcdefghijklmnopqrstuv')".to_owned(),
        "INSERT INTO client_redirect_uris VALUES ('c', 'https://c.example/cb#part')".to_owned(),
        "INSERT INTO client_redirect_uris VALUES ('c', 'https://*.example/cb')".to_owned(),
        format!("INSERT INTO client_secrets (client_id, secret_hash) VALUES ('unknown', '{hash}')"),
        "INSERT INTO client_redirect_uris VALUES ('unknown', 'https://c.example/cb')".to_owned(),
    ];
    for (column, number) in [
        ("code_lifetime", 601),
        ("code_lifetime", 0),
        ("access_token_lifetime", 86_401),
        ("id_token_lifetime", 1),
        ("default_max_age", -1),
    ] {
        wrong.push(format!("UPDATE clients SET {column} = {number}"));
    }
    for statement in wrong {
        assert!(run_sql(&provider.database_url, &statement).await.is_err(), "{statement}");
    }
    // The same statements with what is right, so that nothing above is refused for another reason.
    provider.sql(&format!("INSERT INTO client_secrets (client_id, secret_hash) VALUES ('c', '{hash}')")).await;
    provider.sql("INSERT INTO client_redirect_uris VALUES ('c', 'https://c.example/cb')").await;
    provider
        .sql(
            "UPDATE clients SET application_type = 'native', token_endpoint_auth_method = 'none',
             id_token_signed_response_alg = 'EdDSA', pkce = 'optional', consent = 'skip', access_token_format = 'jwt',
             claims_in_id_token = 'yes', subject_type = 'pairwise', code_lifetime = 600, access_token_lifetime = 86400,
             id_token_lifetime = 30, default_max_age = 0",
        )
        .await;
    provider.sql("INSERT INTO users (sub, username) VALUES ('1', 'alice')").await;
    let twice = "INSERT INTO users (sub, username) VALUES ('2', 'alice')";
    assert!(run_sql(&provider.database_url, twice).await.is_err());
}

#[tokio::test]
async fn a_client_of_a_migration_file_works_without_a_restart() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let file = provider.folder.path().join("migrations").join(FILE);
    fs::write(&file, example(&hash_of(CLIENT_SECRET))).unwrap();
    let variables = provider.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let outcome = run_with(provider.folder.path(), &["migrate"], &variables, "");
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(outcome.stdout.contains("20261201090000 add client reports"), "{outcome:?}");
    let _ = provider.tokens(&UserAgent::new(), &reports()).await;

    let again = run_with(provider.folder.path(), &["migrate"], &variables, "");
    assert_eq!((again.status, again.stdout.as_str()), (0, ""), "{again:?}");
}

#[tokio::test]
async fn processes_that_migrate_an_empty_database_at_once_apply_each_file_once() {
    let place = Place::new();
    place.write(FILE, &example(&hash_of(CLIENT_SECRET)));
    let variables = [("HALLPASS_DATABASE_URL", place.database_url.as_str())];
    let mut nodes: Vec<Running> =
        (0..5).map(|_| Running::start(place.folder.path(), &["migrate"], &variables)).collect();
    for node in &mut nodes {
        assert_eq!(node.wait(), 0, "{:?}", node.output());
    }
    assert_eq!(place.applied().await, (BUILT_IN + 1, BUILT_IN + 1));
    assert_eq!(place.number("SELECT COUNT(*) FROM clients").await, 1);
}

#[tokio::test]
async fn several_nodes_that_start_on_an_empty_database_all_serve() {
    let place = Place::new();
    copy_keys(&place.folder.path().join("keys"));
    place.write(FILE, &example(&hash_of(CLIENT_SECRET)));
    // A second node on one SQLite file is refused later on, after the migrations: there, commands start beside it.
    let count = if stores() == Stores::Servers { 4 } else { 1 };
    let (_, redis_url) = fresh_stores(place.folder.path());
    let nodes: Vec<Running> = (0..count)
        .map(|_| {
            let port = crate::support::postgres::free_port();
            let management = crate::support::postgres::free_port();
            let variables = [
                ("HALLPASS_DATABASE_URL", place.database_url.clone()),
                ("HALLPASS_REDIS_URL", redis_url.clone()),
                ("HALLPASS_LISTEN", format!("127.0.0.1:{port}")),
                ("HALLPASS_MANAGEMENT_LISTEN", format!("127.0.0.1:{management}")),
            ];
            let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Running::start(place.folder.path(), &["serve"], &variables)
        })
        .collect();
    let mut commands: Vec<Running> = (0..2)
        .map(|_| Running::start(place.folder.path(), &["migrate"], &[("HALLPASS_DATABASE_URL", &place.database_url)]))
        .collect();
    for command in &mut commands {
        assert_eq!(command.wait(), 0, "{:?}", command.output());
    }
    for node in &nodes {
        node.wait_for("\"serving\"");
    }
    assert_eq!(place.applied().await, (BUILT_IN + 1, BUILT_IN + 1));
}

#[tokio::test]
async fn migrate_check_says_what_is_pending_edited_or_missing_and_changes_nothing() {
    let place = Place::new();
    place.write(FILE, "INSERT INTO clients (client_id) VALUES ('reports');");
    let check = || place.run(&["migrate", "--check"]);

    let fresh = check();
    assert_eq!(fresh.status, 1, "{fresh:?}");
    assert!(fresh.stderr.contains("pending"), "{fresh:?}");
    let still = check();
    assert_eq!(still.status, 1, "the check itself has applied something: {still:?}");

    assert_eq!(place.run(&["migrate"]).status, 0);
    let clean = check();
    assert_eq!((clean.status, clean.stdout.as_str()), (0, ""), "{clean:?}");

    place.write("20261202090000_more.sql", "INSERT INTO clients (client_id) VALUES ('more');");
    let pending = check();
    assert_eq!(pending.status, 1, "{pending:?}");
    assert!(pending.stdout.contains("pending  20261202090000 more"), "{pending:?}");
    assert!(!pending.stdout.contains("20261201090000"), "{pending:?}");
    assert_eq!(place.number("SELECT COUNT(*) FROM clients").await, 1);
    place.remove("20261202090000_more.sql");

    place.write(FILE, "INSERT INTO clients (client_id) VALUES ('reports'); -- edited");
    let edited = check();
    assert_eq!(edited.status, 1, "{edited:?}");
    assert!(edited.stdout.contains("edited   20261201090000"), "{edited:?}");

    place.remove(FILE);
    let missing = check();
    assert_eq!(missing.status, 1, "{missing:?}");
    assert!(missing.stdout.contains("missing  20261201090000"), "{missing:?}");
    // Another node may have it, so that it stops no other command.
    assert_eq!(place.run(&["migrate"]).status, 0);
}

/// The node of a place, which must have come up; its readiness.
struct Node(Serve);

impl Node {
    fn start(place: &Place) -> Self {
        copy_keys(&place.folder.path().join("keys"));
        let (_, redis_url) = fresh_stores(place.folder.path());
        Self(Serve::start(place.folder.path(), &place.database_url, &redis_url))
    }

    async fn ready(&self) -> (u16, Value) {
        let answer = send(http().get(format!("http://{}/health/ready", self.0.management))).await;
        (answer.status.as_u16(), answer.json())
    }

    /// What the readiness says of the migrations, which never takes the node out of service.
    async fn degraded(&self) -> String {
        let (status, body) = self.ready().await;
        assert_eq!((status, &body["status"]), (200, &json!("ready")), "{body}");
        body["degraded"]["migrations"].as_str().unwrap_or_default().to_owned()
    }

    async fn becomes_well(&self) {
        until("nothing is degraded", async || self.ready().await == (200, json!({"status": "ready"}))).await;
    }

    fn log(&self) -> String {
        self.0.running.output().1
    }
}

/// A `serve` that must end by itself.
fn refused_serve(place: &Place) -> Outcome {
    copy_keys(&place.folder.path().join("keys"));
    place.run(&["serve", "--listen", "127.0.0.1:0", "--management-listen", "127.0.0.1:0"])
}

#[tokio::test]
async fn an_applied_file_that_was_edited_is_refused_by_migrate_and_stops_nothing_at_serve() {
    let place = Place::new();
    let good = "INSERT INTO clients (client_id) VALUES ('reports');";
    place.write(FILE, good);
    assert_eq!(place.run(&["migrate"]).status, 0);
    place.write(FILE, "INSERT INTO clients (client_id) VALUES ('another');");
    place.write("20261202090000_more.sql", "INSERT INTO clients (client_id) VALUES ('more');");

    let refused = place.run(&["migrate"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stdout.contains("edited   20261201090000"), "{refused:?}");
    assert!(refused.stderr.contains(FILE) && refused.stderr.contains("Fix: "), "{refused:?}");
    assert_eq!(place.number("SELECT COUNT(*) FROM clients").await, 1, "an operator is there who can fix it first");

    let node = Node::start(&place);
    assert_eq!(place.number("SELECT COUNT(*) FROM clients WHERE client_id = 'more'").await, 1);
    assert_eq!(place.number("SELECT COUNT(*) FROM clients WHERE client_id = 'another'").await, 0);
    let told = node.degraded().await;
    assert!(told.contains(FILE) && told.contains("edited"), "{told}");
    assert!(node.log().contains(FILE), "{}", node.log());
    let doctor = place.run(&["doctor"]);
    assert!(doctor.stdout.contains(&format!("{FILE}: it was edited since it was applied")), "{doctor:?}");

    place.write(FILE, good);
    node.becomes_well().await;
    assert_eq!(place.run(&["migrate", "--check"]).status, 0);
}

#[tokio::test]
async fn a_file_that_is_edited_beside_a_running_node_is_told_of_while_it_is() {
    let place = Place::new();
    let good = "INSERT INTO clients (client_id) VALUES ('reports');";
    place.write(FILE, good);
    let node = Node::start(&place);
    node.becomes_well().await;
    place.write(FILE, "INSERT INTO clients (client_id) VALUES ('another one');");
    until("it is told of", async || node.degraded().await.contains(FILE)).await;
    place.write(FILE, good);
    node.becomes_well().await;
}

/// One service's file must not stop all.
#[tokio::test]
async fn a_pending_file_that_fails_stops_those_after_it_and_not_serve_and_is_well_again_without_a_restart() {
    for (sql, line, cause) in [
        (
            "INSERT INTO clients (client_id)\nVALUES ('x');\nINSERT INTO clientz (client_id) VALUES ('y');",
            3,
            "table that is not there",
        ),
        ("\nSELEC 1;", 2, "no SQL"),
        ("UPDATE clients SET colour = 'red';", 1, "column that is not there"),
        ("INSERT INTO clients (client_id) VALUES ('before');", 1, "there already"),
        (
            "INSERT INTO client_redirect_uris VALUES ('nobody', 'https://a.example/');",
            1,
            "names a row that is not there",
        ),
        ("UPDATE clients SET code_lifetime = 1;", 1, "does not allow"),
        ("SELECT 1;\nINSERT INTO clients (client_id, client_name) VALUES ('z', NULL);", 2, "gets none"),
        ("CREATE TABLE clients (x TEXT);", 1, "makes what is there already"),
    ] {
        let place = Place::new();
        place.write("20261201080000_before.sql", "INSERT INTO clients (client_id) VALUES ('before');");
        place.write(FILE, sql);
        place.write("20261202090000_after.sql", "INSERT INTO clients (client_id) VALUES ('after');");
        let node = Node::start(&place);
        let clients = async || place.number("SELECT COUNT(*) FROM clients").await;
        assert_eq!(clients().await, 1, "{sql}");

        let told = node.degraded().await;
        assert!(told.starts_with(FILE) && told.contains(cause) && told.contains("1 more wait"), "{sql}: {told}");
        assert!(told.starts_with(&format!("{FILE}, line {line}: ")), "{sql}: {told}");
        assert!(node.log().contains(FILE) && node.log().contains(cause), "{}", node.log());
        for command in [&["migrate", "--check"][..], &["migrate"]] {
            let refused = place.run(command);
            assert_eq!(refused.status, 1, "{sql}: {refused:?}");
            assert!(refused.stderr.contains(FILE) && refused.stderr.contains(cause), "{sql}: {refused:?}");
        }
        let doctor = run_with(place.folder.path(), &["doctor"], &node.0.variables(), "");
        assert_eq!(doctor.status, 1, "{doctor:?}");
        assert!(doctor.stdout.contains(FILE) && doctor.stdout.contains(cause), "{sql}: {doctor:?}");
        assert!(doctor.stdout.contains("the node is degraded, migrations"), "{doctor:?}");
        assert_eq!(clients().await, 1, "nothing of it is left: {sql}");

        place.write(FILE, "INSERT INTO clients (client_id) VALUES ('fixed');");
        until("the change is seen", async || node.degraded().await.contains("was changed since")).await;
        let fixed = place.run(&["migrate"]);
        assert_eq!(fixed.status, 0, "{fixed:?}");
        node.becomes_well().await;
        assert_eq!(clients().await, 3, "{sql}");
    }
}

/// Neither hashes nor what should have been one.
#[tokio::test]
async fn what_is_told_of_a_file_that_fails_quotes_nothing_secret() {
    let secret = "hp_cs_0123456789abcdefghijklmnopqrstuvwxyz0123456";
    for sql in [
        format!("INSERT INTO client_secrets (client_id, secret_hash) VALUES ('before', '{secret}');"),
        format!("INSERT INTO client_secrets (client_id, secret_hash) VALUES ('before', {secret});"),
        format!("INSERT INTO client_secrets (client_id, secret_hash) VALUES ('before', \"{secret}\");"),
        format!("INSERT INTO client_secrets (client_id, secret_hash) VALUES ('before', '{secret});"),
        format!(
            "INSERT INTO client_secrets (client_id, secret_hash) VALUES ('before', '{0}'), ('before', '{0}');",
            hash_of(CLIENT_SECRET)
        ),
        format!("UPDATE clients SET code_lifetime = '{secret}';"),
        format!("{secret};"),
    ] {
        let place = Place::new();
        place.write("20261201080000_before.sql", "INSERT INTO clients (client_id) VALUES ('before');");
        assert_eq!(place.run(&["migrate"]).status, 0);
        place.write(FILE, &sql);
        let told = [&["migrate", "--check"][..], &["migrate"], &["doctor"]].map(|command| place.run(command));
        for outcome in told {
            assert_eq!(outcome.status, 1, "{sql}: {outcome:?}");
            let text = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(text.contains(FILE), "{sql}: {text}");
            assert!(!text.contains("hp_cs_") && !text.contains("$argon2"), "{sql}: {text}");
        }
    }
}

#[tokio::test]
async fn what_is_no_migration_is_reported_and_stops_no_other() {
    let place = Place::new();
    place.write(FILE, "INSERT INTO clients (client_id) VALUES ('reports');");
    place.write("README.md", "Clients of our organization.");
    for (name, text) in [
        ("draft.sql", "INSERT INTO clients (client_id) VALUES ('draft');"),
        ("0042_low.sql", "INSERT INTO clients (client_id) VALUES ('low');"),
        ("0001_clients.sql", "CREATE TABLE mine (x TEXT);"),
        ("99999999999999999999_high.sql", "INSERT INTO clients (client_id) VALUES ('high');"),
        ("20261130090000.sql", "INSERT INTO clients (client_id) VALUES ('without words');"),
    ] {
        place.write(name, text);
        let told = place.run(&["migrate"]);
        assert_eq!(told.status, 1, "{name}: {told:?}");
        assert!(told.stderr.contains(name) && told.stderr.contains("Fix: "), "{name}: {told:?}");
        let check = place.run(&["migrate", "--check"]);
        assert!(check.status == 1 && check.stderr.contains(name), "{name}: {check:?}");
        let doctor = place.run(&["doctor"]);
        assert!(doctor.status == 1 && doctor.stdout.contains(name), "{name}: {doctor:?}");
        let node = Node::start(&place);
        assert!(node.degraded().await.contains(name), "{name}");
        assert!(node.log().contains(name), "{name}");
        place.remove(name);
        node.becomes_well().await;
        assert_eq!(place.number("SELECT COUNT(*) FROM clients").await, 1, "{name}");
    }
}

#[tokio::test]
async fn of_two_files_of_one_number_none_is_applied_and_those_after_them_wait() {
    let place = Place::new();
    place.write("20261201080000_before.sql", "INSERT INTO clients (client_id) VALUES ('before');");
    place.write("20261201090000_one.sql", "INSERT INTO clients (client_id) VALUES ('one');");
    place.write("20261201090000_two.sql", "INSERT INTO clients (client_id) VALUES ('two');");
    place.write("20261202090000_after.sql", "INSERT INTO clients (client_id) VALUES ('after');");
    let node = Node::start(&place);
    let told = node.degraded().await;
    assert!(told.contains("20261201090000_one.sql and 20261201090000_two.sql"), "{told}");
    assert_eq!(place.number("SELECT COUNT(*) FROM clients").await, 1);
    let refused = place.run(&["migrate"]);
    assert!(refused.status == 1 && refused.stderr.contains("Not applied until then"), "{refused:?}");
    assert_eq!(place.number("SELECT COUNT(*) FROM clients").await, 1);

    place.remove("20261201090000_two.sql");
    assert_eq!(place.run(&["migrate"]).status, 0);
    node.becomes_well().await;
    // The one that comes later is the one that must go elsewhere.
    place.write("20261201090000_two.sql", "INSERT INTO clients (client_id) VALUES ('two');");
    let refused = place.run(&["migrate"]);
    assert!(refused.status == 1 && refused.stderr.contains("20261201090000_two.sql: another file"), "{refused:?}");
    assert_eq!(place.number("SELECT COUNT(*) FROM clients").await, 3);
    // A copy of the same file under another name is the same file.
    place.write("20261201090000_two.sql", "INSERT INTO clients (client_id) VALUES ('one');");
    assert_eq!(place.run(&["migrate", "--check"]).status, 0);
}

#[tokio::test]
async fn a_folder_that_goes_away_is_told_of_and_stops_nothing() {
    let place = Place::new();
    place.write(FILE, "INSERT INTO clients (client_id) VALUES ('reports');");
    let node = Node::start(&place);
    node.becomes_well().await;
    let (folder, away) = (place.folder.path().join("migrations"), place.folder.path().join("away"));
    fs::rename(&folder, &away).unwrap();
    until("it is told of", async || node.degraded().await.contains("cannot be read")).await;
    fs::rename(&away, &folder).unwrap();
    node.becomes_well().await;
}

#[tokio::test]
async fn a_database_of_an_unreleased_version_is_told_so_with_what_to_do() {
    let place = Place::new();
    assert_eq!(place.run(&["migrate"]).status, 0);
    place.sql("UPDATE _sqlx_migrations SET checksum = (SELECT checksum FROM _sqlx_migrations WHERE version = 1) WHERE version = 4").await;
    for refused in [
        refused_serve(&place),
        place.run(&["migrate"]),
        place.run(&["migrate", "--check"]),
        place.run(&["user", "list"]),
    ] {
        assert_eq!((refused.status, refused.stdout.as_str()), (1, ""), "{refused:?}");
        for words in ["0004_refresh_families.sql", "unreleased version", "Fix: name a new database"] {
            assert!(refused.stderr.contains(words), "{words}: {refused:?}");
        }
    }
    let doctor = place.run(&["doctor"]);
    assert!(doctor.status == 1 && doctor.stdout.contains("unreleased version"), "{doctor:?}");
}

/// Nothing works without ours, so they run first and do stop it.
#[tokio::test]
async fn a_built_in_file_that_fails_stops_serve_and_is_named() {
    let place = Place::new();
    if let Some(path) = place.database_url.strip_prefix("sqlite:") {
        fs::write(path, "").unwrap();
    }
    place.sql("CREATE TABLE users (mine TEXT)").await;
    for refused in [refused_serve(&place), place.run(&["migrate"])] {
        assert_eq!(refused.status, 1, "{refused:?}");
        for words in ["0002_users.sql", "makes what is there already", "Fix: "] {
            assert!(refused.stderr.contains(words), "{words}: {refused:?}");
        }
    }
}

/// Holds the lock that `migrate` and `serve` take, as another process does.
async fn hold_lock(place: &Place) -> Box<dyn std::any::Any> {
    if let Some(path) = place.database_url.strip_prefix("sqlite:") {
        let file =
            fs::File::options().create(true).truncate(false).write(true).open(format!("{path}.migrating")).unwrap();
        file.lock().unwrap();
        return Box::new(file);
    }
    let mut connection = sqlx::AnyConnection::connect(&place.database_url).await.unwrap();
    sqlx::query("SELECT CAST(pg_advisory_lock(4711001) AS TEXT)").execute(&mut connection).await.unwrap();
    Box::new(connection)
}

#[tokio::test]
async fn a_lock_that_another_process_holds_is_waited_for_for_five_seconds() {
    let place = Place::new();
    sqlx::any::install_default_drivers();
    let held = hold_lock(&place).await;
    for refused in [refused_serve(&place), place.run(&["migrate"])] {
        assert_eq!(refused.status, 1, "{refused:?}");
        assert!(refused.stderr.contains("lock of the migrations") && refused.stderr.contains("Fix: "), "{refused:?}");
    }
    drop(held);
    assert_eq!(place.run(&["migrate"]).status, 0);

    // With ours applied it continues, and says what it has not done.
    place.write(FILE, "INSERT INTO clients (client_id) VALUES ('reports');");
    let held = hold_lock(&place).await;
    let started = Instant::now();
    let node = Node::start(&place);
    assert!(started.elapsed() > Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(node.degraded().await.contains(FILE));
    assert_eq!(place.number("SELECT COUNT(*) FROM clients").await, 0);
    drop(held);
    assert_eq!(place.run(&["migrate"]).status, 0);
    node.becomes_well().await;
    assert_eq!(place.number("SELECT COUNT(*) FROM clients").await, 1);
}

/// As on a slow disk, where several nodes start on a new database at once.
#[tokio::test]
async fn a_process_that_applies_file_after_file_is_waited_for_for_as_long_as_it_does() {
    let place = Place::new();
    assert_eq!(place.run(&["migrate"]).status, 0);
    place.write(FILE, "INSERT INTO clients (client_id) VALUES ('reports');");
    sqlx::any::install_default_drivers();
    let held = hold_lock(&place).await;
    let mut waits =
        Running::start(place.folder.path(), &["migrate"], &[("HALLPASS_DATABASE_URL", place.database_url.as_str())]);
    for version in 1..=3 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        place
            .sql(&format!(
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 SELECT 20200101000000 + {version}, 'of another', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1"
            ))
            .await;
    }
    assert!(waits.is_running(), "{:?}", waits.output());
    drop(held);
    assert_eq!(waits.wait(), 0, "{:?}", waits.output());
    assert_eq!(place.number("SELECT COUNT(*) FROM clients").await, 1);
}

/// An operator forgot a transaction in a shell.
#[tokio::test]
async fn a_file_that_waits_for_another_transaction_does_not_hold_up_serve() {
    let place = Place::new();
    assert_eq!(place.run(&["migrate"]).status, 0);
    let is_postgres = stores() == Stores::Servers;
    place.write(
        FILE,
        if is_postgres { "ALTER TABLE clients ADD COLUMN mine TEXT;" } else { "CREATE TABLE mine (x TEXT);" },
    );
    sqlx::any::install_default_drivers();
    let mut shell = sqlx::AnyConnection::connect(&place.database_url).await.unwrap();
    let begin = if is_postgres { "BEGIN; LOCK TABLE clients IN ACCESS SHARE MODE" } else { "BEGIN IMMEDIATE" };
    shell.execute(begin).await.unwrap();
    if is_postgres {
        let node = Node::start(&place);
        let told = node.degraded().await;
        assert!(told.contains(FILE) && told.contains("could not take it now"), "{told}");
        drop(shell);
        assert_eq!(place.run(&["migrate"]).status, 0);
        node.becomes_well().await;
    } else {
        // There one transaction holds up everything that writes; the command says so.
        let refused = place.run(&["migrate"]);
        assert!(refused.status == 1 && refused.stderr.contains("could not take it now"), "{refused:?}");
        drop(shell);
        assert_eq!(place.run(&["migrate"]).status, 0);
    }
}

/// What is tried must not last, whatever is in the file.
#[tokio::test]
async fn migrate_check_and_doctor_try_what_is_pending_and_leave_nothing_of_it() {
    let place = Place::new();
    assert_eq!(place.run(&["migrate"]).status, 0);
    for (sql, ends_well) in [
        ("INSERT INTO clients (client_id) VALUES ('a'); CREATE TABLE mine (x TEXT);", true),
        ("INSERT INTO clients (client_id) VALUES ('a'); COMMIT; SELECT nothing FROM nowhere;", true),
        ("INSERT INTO clients (client_id) VALUES ('a'); /* now */ commit;", true),
        ("-- no-transaction\nINSERT INTO clients (client_id) VALUES ('a');", true),
        ("INSERT INTO clients (client_id) VALUES ('a'); INSERT INTO clients (client_id) VALUES ('a');", false),
    ] {
        place.write(FILE, sql);
        for command in [&["migrate", "--check"][..], &["doctor"]] {
            let outcome = place.run(command);
            assert_eq!(outcome.status, 1, "it is pending, and no node answers: {outcome:?}");
            let text = outcome.stdout + &outcome.stderr;
            assert_eq!(text.contains("there already"), !ends_well, "{sql}: {text}");
        }
        assert_eq!(place.number("SELECT COUNT(*) FROM clients").await, 0, "{sql}");
    }
    place.sql("CREATE TABLE mine (x TEXT)").await;
}

/// In a checkout the folder of the built-in files is found as the admin's.
#[tokio::test]
async fn a_built_in_file_in_the_admins_folder_counts_once_and_may_not_differ() {
    let place = Place::new();
    let mut names = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        place.write(&name, &fs::read_to_string(&path).unwrap());
        names.push(name);
    }
    let outcome = place.run(&["migrate"]);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert_eq!(place.applied().await, (BUILT_IN, BUILT_IN));
    assert_eq!(place.run(&["migrate", "--check"]).status, 0);

    names.sort();
    place.write(&names[0], "CREATE TABLE mine (x TEXT);");
    let refused = place.run(&["migrate"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stderr.contains("used twice") && refused.stderr.contains("Fix: "), "{refused:?}");
}

#[tokio::test]
async fn a_file_of_the_admin_with_a_number_below_a_million_is_refused() {
    let place = Place::new();
    place.write("0042_add_client_reports.sql", "INSERT INTO clients (client_id) VALUES ('reports');");
    let refused = place.run(&["migrate"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(refused.stderr.contains("42_add_client_reports.sql"), "{refused:?}");
    assert!(refused.stderr.contains("Fix: "), "{refused:?}");
}

#[tokio::test]
async fn a_file_that_fails_is_rolled_back_whole_and_named() {
    let place = Place::new();
    let good = "INSERT INTO clients (client_id, client_name) VALUES ('reports', 'Reports');";
    place.write("20261201080000_before.sql", "INSERT INTO clients (client_id) VALUES ('before');");
    place.write(FILE, &format!("{good}\nINSERT INTO client_redirect_uris VALUES ('reports', 'https://*.example/');"));
    place.write("20261202090000_after.sql", "INSERT INTO clients (client_id) VALUES ('after');");
    let failed = place.run(&["migrate"]);
    assert_eq!(failed.status, 1, "{failed:?}");
    assert!(failed.stderr.contains(FILE) && failed.stderr.contains("does not allow"), "{failed:?}");
    assert_eq!(
        failed.stdout.lines().filter(|line| line.contains(" 2026")).collect::<Vec<_>>(),
        [
            "apply    20261201080000 before",
            "failed   20261201090000 add client reports",
            "pending  20261202090000 after"
        ]
    );
    // What came before it stays; of it nothing does, and nothing after it was tried.
    assert_eq!(place.number("SELECT COUNT(*) FROM clients").await, 1);
    assert_eq!(place.number("SELECT COUNT(*) FROM clients WHERE client_id = 'before'").await, 1);
    assert_eq!(place.applied().await, (BUILT_IN + 1, BUILT_IN + 1));

    // The fixed file is applied as if nothing had been.
    place.write(FILE, good);
    let fixed = place.run(&["migrate"]);
    assert_eq!(fixed.status, 0, "{fixed:?}");
    assert_eq!(place.number("SELECT COUNT(*) FROM clients").await, 3);
}

#[tokio::test]
async fn a_file_without_a_number_is_named_or_left_alone_but_never_half_applied() {
    let place = Place::new();
    place.write("README.md", "Clients of our organization.");
    place.write("draft.sql", "INSERT INTO clients (client_id) VALUES ('draft');");
    let outcome = place.run(&["migrate"]);
    if outcome.status == 0 {
        assert_eq!(place.number("SELECT COUNT(*) FROM clients").await, 0);
    } else {
        assert!(outcome.stderr.contains("draft"), "{outcome:?}");
    }
}

/// An admin copies an example and writes the fewest columns; those that are left out are safe.
#[tokio::test]
async fn a_row_of_the_fewest_columns_asks_for_consent_and_wants_pkce() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider.sql(&example(&hash_of(CLIENT_SECRET))).await;
    let browser = UserAgent::new();
    let page = Authorization::of(&reports()).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert!(page.url.path().ends_with("/consent"), "{page}");
    assert!(page.text().contains("Reports"), "{page}");
    let without = Authorization::of(&reports()).without("code_challenge").without("code_challenge_method");
    let answer = without.complete(&provider, &browser).await;
    assert_eq!(answer.error(), "invalid_request");
    // `NewClient` of the harness writes the same three statements, and so replaces them everywhere.
    let (sql, _) = NewClient::new("other").sql();
    assert_eq!(sql.matches("INSERT INTO").count(), 3);
}
