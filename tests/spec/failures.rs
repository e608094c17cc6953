//! Real faults, on servers and file systems of their own: a full disk, a file that another process writes to, a failover, a
//! crash. What was acknowledged is there afterwards, and all is well again without a restart. `docs/failures.md` is the
//! table; what is said while a store is away is in `outages.rs`.
//!
//! Both lasting stores, whatever `TEST_STORES` says.

use crate::support::postgres::Server;
use crate::support::program::{Serve, done, run_with};
use crate::support::provider::{PASSWORD, copy_keys, number_of, run_sql};
use crate::support::remote::{Remote, until};
use crate::support::verbs::{http, send};
use crate::support::{
    Api, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent, folder, redis,
};
use serde_json::json;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// A file system of a few megabytes, gone when dropped.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// `None`, and said so, where this process may not mount.
    fn mount(options: &str) -> Option<Self> {
        let folder = TempDir::with_prefix("hallpass-disk-").unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self { folder }),
            Ok(output) => {
                println!("skipped: a small disk cannot be mounted: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                println!("skipped: a small disk cannot be mounted: mount: {error}");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Takes the last byte there is.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.filler()).unwrap();
        for size in [64 * 1024, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// A node on a lasting store, with sign-ins in its own process, a service that asks for consent, and alice.
struct Node {
    folder: TempDir,
    serve: Serve,
    database_url: String,
    client: TestClient,
    remote: Remote,
}

impl Node {
    async fn start(database_url: &str, redis_url: &str) -> Self {
        let folder = folder();
        copy_keys(&folder.path().join("keys"));
        let serve = Serve::start(folder.path(), database_url, redis_url);
        let (sql, client) = NewClient::new("reports")
            .with("grant_types", "authorization_code refresh_token")
            .with("scope", "openid profile offline_access")
            .sql();
        run_sql(database_url, &(sql + &NewUser::alice().sql())).await.unwrap();
        let remote = Remote::new(&serve.issuer);
        Self { folder, serve, database_url: database_url.to_owned(), client, remote }
    }

    async fn number(&self, sql: &str) -> i64 {
        number_of(&self.database_url, sql).await
    }

    /// Alice types her password; the consent page.
    async fn to_consent(&self, browser: &UserAgent) -> Page {
        let request = Authorization::of(&self.client).with("scope", "openid offline_access").with("prompt", "consent");
        let page = self.remote.open(&request, browser).await;
        let page = self.remote.type_in(browser, &page, "alice", PASSWORD).await;
        assert!(page.url.path().ends_with("/consent"), "{page}");
        page
    }

    /// A sign-in whose row cannot be written: refused, and no user is signed in.
    async fn cannot_sign_in(&self) {
        let browser = UserAgent::new();
        let page = self.remote.open(&Authorization::of(&self.client), &browser).await;
        let page = self.remote.type_in(&browser, &page, "alice", PASSWORD).await;
        assert!(page.status.is_server_error(), "{page}");
        assert!(!browser.cookies().iter().any(|cookie| cookie.name.contains("session")));
    }

    async fn say_yes(&self, browser: &UserAgent, page: &Page) -> Page {
        browser.submit(page.form("form"), Some(("decision", "allow"))).await
    }

    /// A whole sign-in with consent, which must work; the tokens.
    async fn tokens(&self) -> Api {
        let browser = UserAgent::new();
        let page = self.to_consent(&browser).await;
        let mut page = self.say_yes(&browser, &page).await;
        while page.location().is_some_and(|location| location.as_str().starts_with(&self.serve.issuer)) {
            page = browser.follow(page).await;
        }
        let code = page.query_parameter("code").unwrap_or_else(|| panic!("no code: {page}"));
        self.remote.redeem(&self.client, &code).await.ok()
    }

    async fn refresh(&self, token: &str) -> Api {
        self.post("/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Api {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = http().post(format!("{}{path}", self.serve.issuer));
        let request = request.basic_auth(&self.client.client_id, self.client.secret.as_deref());
        send(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
    }

    fn add_user(&self, name: &str) -> bool {
        let email = format!("{name}@example.com");
        let arguments = ["user", "add", name, "--email", &email, "--password-stdin"];
        run_with(self.folder.path(), &arguments, &self.serve.variables(), "a good password\n").status == 0
    }

    async fn ready(&self) -> (u16, serde_json::Value) {
        let answer = send(http().get(format!("http://{}/health/ready", self.serve.management))).await;
        (answer.status.as_u16(), answer.json())
    }

    /// Every sign-in is in the audit, none of it is lost, and its chains hold.
    async fn audit_has_sign_ins(&self, count: i64) {
        let written = "SELECT COUNT(*) FROM audit_events WHERE event = 'sign_in'";
        until("the audit has every sign-in", async || self.number(written).await == count).await;
        assert_eq!(self.number("SELECT COUNT(*) FROM audit_events WHERE event = 'events_lost'").await, 0);
        done(run_with(self.folder.path(), &["audit", "verify"], &self.serve.variables(), ""));
    }
}

/// Writes to each table until the database takes no more, so that what it kept in reserve is used up.
async fn use_reserve_up(database_url: &str) {
    let nothing = "ON CONFLICT DO NOTHING";
    for number in 0..100_000 {
        let mut rows = vec![
            format!("INSERT INTO users (sub) VALUES ('filler-{number}') {nothing}"),
            format!("INSERT INTO consents VALUES ('early-{number}', 'reports', 'openid', 1) {nothing}"),
            format!(
                "INSERT INTO refresh_families (family_id, client_id, issued_at, used_at, expires_at) VALUES ('{number}', 'reports', 1, 1, 1)"
            ),
            format!(
                "INSERT INTO user_sessions (session, record, started_at, auth_time, seen_at, expires_at, settled_at) \
                 VALUES ('filler-{number}', 'filler', 1, 1, 1, 9000000000, 9000000000)"
            ),
            format!(
                "INSERT INTO audit_events VALUES ('filler', {number}, 1, 'filler', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', '')"
            ),
        ];
        if database_url.starts_with("sqlite:") {
            // One page, for which there is room where none is for more.
            rows.push("UPDATE consents SET granted_at = granted_at + 1".to_owned());
        }
        let mut is_full = true;
        for row in rows {
            is_full &= run_sql(database_url, &row).await.is_err();
        }
        if is_full {
            return;
        }
    }
    panic!("the disk does not fill up");
}

/// More tries than there are connections, so that none is left that has not failed.
const TRIES: usize = 12;

async fn a_full_disk_comes_back(disk: &SmallDisk, database_url: &str) {
    let node = Node::start(database_url, "").await;
    let token = node.tokens().await.text("refresh_token");
    assert!(node.add_user("before"));
    let families = node.number("SELECT COUNT(*) FROM refresh_families WHERE sub IS NOT NULL").await;
    // The last connection to a SQLite file tidies up when it is closed, which would make room again.
    let mut shell = AnyConnection::connect(database_url).await.unwrap();
    shell.execute("SELECT COUNT(*) FROM users").await.unwrap();
    // A consent of the same second would change nothing, and needs no room.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut sign_ins = 1;
    let mut open = Vec::new();
    for _ in 0..TRIES {
        let browser = UserAgent::new();
        let page = node.to_consent(&browser).await;
        sign_ins += 1;
        open.push((browser, page));
    }
    // Whose consents fill the pages of that table.
    let early: Vec<String> = (0..1000).map(|number| format!("('early-{number}')")).collect();
    run_sql(database_url, &format!("INSERT INTO users (sub) VALUES {}", early.join(", "))).await.unwrap();
    disk.fill();
    use_reserve_up(database_url).await;

    let mut answered = Vec::new();
    for (browser, page) in open {
        let refused = node.say_yes(&browser, &page).await;
        assert!(refused.status.is_server_error(), "nothing is acknowledged: {refused}");
        answered.push((browser, page));
        let refused = node.refresh(&token).await;
        assert!(refused.status.is_server_error(), "the token is not refused, it is good: {}", refused.body);
    }
    assert!(!node.add_user("meanwhile"));
    node.cannot_sign_in().await;
    // What only reads continues.
    assert_eq!(node.ready().await.0, 200);

    disk.free();
    run_sql(database_url, "DELETE FROM audit_events WHERE chain = 'filler'").await.unwrap();
    // Without a restart: as many consents as there were connections, in the pages that were open already.
    for (browser, page) in &answered {
        let page = node.say_yes(browser, page).await;
        assert!(page.status.is_redirection(), "{page}");
    }
    for _ in 0..TRIES {
        node.tokens().await;
        sign_ins += 1;
    }
    let refreshed = node.refresh(&token).await.ok();
    let _ = node.remote.userinfo(&refreshed.text("access_token")).await.ok();
    assert!(node.add_user("meanwhile") && !node.add_user("before"), "what was acknowledged is there, and nothing else");
    let now = node.number("SELECT COUNT(*) FROM refresh_families WHERE sub IS NOT NULL").await;
    assert_eq!(now, families + i64::try_from(TRIES).unwrap());
    node.audit_has_sign_ins(sign_ins).await;
}

#[tokio::test]
async fn a_full_disk_under_sqlite_costs_what_is_refused_meanwhile_and_comes_back_without_a_restart() {
    let Some(disk) = SmallDisk::mount("size=8m") else { return };
    let database_url = format!("sqlite:{}", disk.path().join("hallpass.db").display());
    a_full_disk_comes_back(&disk, &database_url).await;
}

#[tokio::test]
async fn a_full_disk_under_postgresql_costs_what_is_refused_meanwhile_and_comes_back_without_a_restart() {
    let Some(disk) = SmallDisk::mount("size=64m,mode=0700") else { return };
    let server = Server::start();
    let owned = Command::new("chown").arg("--reference").arg(server.folder()).arg(disk.path()).status().unwrap();
    assert!(owned.success());
    let elsewhere = server.create_database();
    let tables = format!("CREATE TABLESPACE small LOCATION '{}'", disk.path().display());
    run_sql(&elsewhere, &tables).await.unwrap();
    run_sql(&elsewhere, "CREATE DATABASE small TABLESPACE small").await.unwrap();
    let database_url = format!("{}/small", elsewhere.rsplit_once('/').unwrap().0);
    a_full_disk_comes_back(&disk, &database_url).await;
}

/// A backup, or a forgotten transaction in a shell.
#[tokio::test]
async fn a_sqlite_file_that_another_process_writes_to_is_waited_for_and_nothing_of_the_audit_is_lost() {
    let folder = folder();
    let database_url = format!("sqlite:{}", folder.path().join("hallpass.db").display());
    let node = Node::start(&database_url, "").await;
    let token = node.tokens().await.text("refresh_token");
    let (browser, another) = (UserAgent::new(), UserAgent::new());
    let page = node.to_consent(&browser).await;
    let other_page = node.to_consent(&another).await;
    let mut shell = AnyConnection::connect(&database_url).await.unwrap();
    shell.execute("BEGIN IMMEDIATE").await.unwrap();

    let started = Instant::now();
    let refused = node.say_yes(&browser, &page).await;
    assert!(refused.status.is_server_error(), "{refused}");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    let refused = node.refresh(&token).await;
    assert!(refused.status.is_server_error(), "{}", refused.body);
    node.cannot_sign_in().await;
    shell.execute("ROLLBACK").await.unwrap();

    assert!(node.say_yes(&browser, &page).await.status.is_redirection());
    let _ = node.refresh(&token).await.ok();
    node.audit_has_sign_ins(3).await;

    // Shorter than a request waits, and no client notices.
    shell.execute("BEGIN IMMEDIATE").await.unwrap();
    let (answered, ()) = tokio::join!(node.say_yes(&another, &other_page), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        shell.execute("ROLLBACK").await.unwrap();
    });
    assert!(answered.status.is_redirection(), "{answered}");
    shell.execute("BEGIN IMMEDIATE").await.unwrap();
    let browser = UserAgent::new();
    let (_, ()) = tokio::join!(node.to_consent(&browser), async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        shell.execute("ROLLBACK").await.unwrap();
    });
}

/// A standby that is not promoted yet, and a server whose operator ends its connections.
#[tokio::test]
async fn a_postgresql_that_fails_over_is_read_only_for_a_while_and_nothing_of_the_audit_is_lost() {
    let server = Server::start();
    let database_url = server.create_database();
    let node = Node::start(&database_url, "").await;
    let token = node.tokens().await.text("refresh_token");
    let name = database_url.rsplit_once('/').unwrap().1;
    let fail_over = async |is_read_only: &str| {
        let sql = format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = {is_read_only};
             SELECT CAST(COUNT(pg_terminate_backend(pid)) AS TEXT) FROM pg_stat_activity
             WHERE datname = '{name}' AND pid <> pg_backend_pid()"
        );
        let elsewhere = format!("{}/postgres", database_url.rsplit_once('/').unwrap().0);
        run_sql(&elsewhere, &sql).await.unwrap();
    };
    let browser = UserAgent::new();
    let page = node.to_consent(&browser).await;
    fail_over("on").await;
    node.cannot_sign_in().await;
    assert!(node.say_yes(&browser, &page).await.status.is_server_error());
    assert!(node.refresh(&token).await.status.is_server_error());
    assert!(!node.add_user("meanwhile"));
    fail_over("off").await;
    until("consent is taken", async || node.say_yes(&browser, &page).await.status.is_redirection()).await;
    let _ = node.refresh(&token).await.ok();
    assert!(node.add_user("meanwhile"));
    node.audit_has_sign_ins(2).await;
}

/// By the kernel, for want of memory, or with its machine.
#[tokio::test]
async fn a_node_that_is_killed_loses_nothing_that_is_stored_in_the_database() {
    let server = Server::start();
    let folder = folder();
    let sqlite = format!("sqlite:{}", folder.path().join("hallpass.db").display());
    for database_url in [sqlite, server.create_database()] {
        let mut node = Node::start(&database_url, "").await;
        let token = node.tokens().await.text("refresh_token");
        let token = node.refresh(&token).await.ok().text("refresh_token");
        assert!(node.add_user("before"));
        node.audit_has_sign_ins(1).await;
        node.serve.running.signal("KILL");
        node.serve.running.wait();
        node.serve = Serve::again(node.folder.path(), node.serve.variables.clone());

        assert!(!node.add_user("before"));
        // What was consented to is not asked again, and the family of the token continues.
        let browser = UserAgent::new();
        let request = Authorization::of(&node.client).with("scope", "openid offline_access");
        let page = node.remote.open(&request, &browser).await;
        let page = node.remote.type_in(&browser, &page, "alice", PASSWORD).await;
        assert!(page.query_parameter("code").is_some(), "{page}");
        let _ = node.refresh(&token).await.ok();
        node.audit_has_sign_ins(2).await;
    }
}

#[tokio::test]
async fn a_bad_key_file_beside_a_running_node_is_told_of_and_the_keys_from_before_go_on() {
    let folder = folder();
    let database_url = format!("sqlite:{}", folder.path().join("hallpass.db").display());
    let node = Node::start(&database_url, "").await;
    let file = node.folder.path().join("keys/rs256.2031-01-01T000000Z.pem");
    fs::write(&file, "no key").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let told = async || node.ready().await.1["degraded"]["keys"].as_str().unwrap_or_default().to_owned();
    until("it is told of", async || told().await.contains("rs256.2031-01-01T000000Z.pem")).await;
    assert_eq!(node.ready().await.0, 200);
    assert!(node.serve.running.output().1.contains("the ones from before stay in use"));
    let _ = node.tokens().await;
    fs::remove_file(&file).unwrap();
    until("all is well", async || node.ready().await == (200, json!({"status": "ready"}))).await;
}

/// An hour forward, as after a machine woke up, and back again, as when its clock is corrected.
#[tokio::test]
async fn a_clock_that_jumps_ends_what_is_over_by_it_and_nothing_works_wrongly_afterwards() {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports").with("consent", "skip").with("scope", "openid offline_access");
    let client = provider.add(client.with("grant_types", "authorization_code refresh_token")).await;
    provider.alice().await;
    let refresh = async |token: &str| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        provider.post("/token", client.auth(), &fields).await.ok()
    };
    let browser = UserAgent::new();
    let request = Authorization::of(&client).with("scope", "openid offline_access");
    let first = provider.redeem(&client, request.complete(&provider, &browser).await.code()).await.ok();
    provider.travel(3600);
    assert_eq!(provider.userinfo(&first.text("access_token")).await.status, 401, "it is over by this clock");
    let second = refresh(&first.text("refresh_token")).await;
    let _ = provider.userinfo(&second.text("access_token")).await.ok();

    provider.travel(-3600);
    let third = refresh(&second.text("refresh_token")).await;
    let _ = provider.userinfo(&third.text("access_token")).await.ok();
    // The sign-in is still valid, and new ones work.
    for browser in [browser, UserAgent::new()] {
        let tokens = provider.tokens(&browser, &client).await;
        let _ = provider.userinfo(&tokens.text("access_token")).await.ok();
    }
}

/// How a Redis keeps what it holds, and what a crash brings back with it.
#[tokio::test]
async fn a_redis_with_snapshots_brings_revoked_tokens_back_after_a_crash_and_the_start_says_so() {
    for (settings, is_doubted, is_kept, is_back) in [
        (&["--save", "3600 1"][..], true, true, true),
        (&["--save", "3600 1", "--appendonly", "yes", "--appendfsync", "always"], false, true, false),
        (&["--save", "", "--appendonly", "yes", "--appendfsync", "always"], false, true, false),
        (&["--save", ""], false, false, false),
    ] {
        let own = redis::Server::persisting(settings);
        let folder = folder();
        let database_url = format!("sqlite:{}", folder.path().join("hallpass.db").display());
        let node = Node::start(&database_url, &own.url()).await;
        node.serve.running.wait_for("one SQLite file serves one node");
        let (stays, revoked) = (node.tokens().await.text("access_token"), node.tokens().await.text("access_token"));
        if is_doubted {
            node.serve.running.wait_for("snapshots only");
            // As it does by itself from time to time.
            assert!(own.ask("SAVE").starts_with("+OK"));
        }
        assert_eq!(node.post("/revoke", &[("token", &revoked)]).await.status, 200);
        assert_eq!(node.remote.userinfo(&revoked).await.status, 401);
        own.stop();
        own.start_again();
        until("the node has its Redis again", async || node.ready().await == (200, json!({"status": "ready"}))).await;
        let status = async |token: &str| node.remote.userinfo(token).await.status.as_u16();
        assert_eq!(status(&stays).await, if is_kept { 200 } else { 401 }, "{settings:?}");
        assert_eq!(status(&revoked).await, if is_back { 200 } else { 401 }, "{settings:?}");
        assert_eq!(node.serve.running.output().1.contains("live again"), is_doubted, "{settings:?}");
    }
}

/// Such a hash comes with a row by hand or from elsewhere; it ended the process, or held all users up for half a minute.
#[tokio::test]
async fn a_hash_that_costs_too_much_is_wrong_and_named_in_the_log_and_stops_no_other_user() {
    let folder = folder();
    let database_url = format!("sqlite:{}", folder.path().join("hallpass.db").display());
    let mut node = Node::start(&database_url, "").await;
    let mut add = String::new();
    let costly = ["m=4294967295,t=1,p=1", "m=1048576,t=16,p=1", "m=131072,t=1,p=16777215"];
    for (at, parameters) in costly.iter().enumerate() {
        for kind in ["argon2id", "argon2i"] {
            let hash = format!("${kind}$v=19${parameters}$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g");
            let name = format!("{}-{at}", kind.trim_start_matches("argon"));
            let user =
                format!("INSERT INTO users (sub, username, password_hash) VALUES ('{name}-sub', '{name}', '{hash}');");
            add.push_str(&user);
            if kind == "argon2id" {
                let client = format!(
                    "INSERT INTO clients (client_id) VALUES ('{name}');
                     INSERT INTO client_secrets (client_id, secret_hash) VALUES ('{name}', '{hash}');"
                );
                add.push_str(&client);
            }
        }
    }
    run_sql(&database_url, &add).await.unwrap();
    for at in 0..costly.len() {
        for kind in ["2id", "2i"] {
            let browser = UserAgent::new();
            let page = node.remote.open(&Authorization::of(&node.client), &browser).await;
            let page = node.remote.type_in(&browser, &page, &format!("{kind}-{at}"), PASSWORD).await;
            let told = page.text().contains("That user name and password do not match");
            assert!(told && page.url.path() == "/login", "as with any wrong password: {page}");
        }
        let client = TestClient { client_id: format!("2id-{at}"), ..node.client.clone() };
        for _ in 0..2 {
            assert_eq!(node.remote.redeem(&client, "hp_ac_x").await.error(), (401, "invalid_client".to_owned()));
        }
    }
    let _ = node.tokens().await;
    assert!(node.serve.running.is_running());
    let log = node.serve.running.output().1;
    for at in 0..costly.len() {
        for row in [
            format!("\"table\":\"users\",\"owner\":\"2id-{at}-sub\""),
            format!("\"table\":\"users\",\"owner\":\"2i-{at}-sub\""),
            format!("\"table\":\"client_secrets\",\"owner\":\"2id-{at}\""),
        ] {
            assert_eq!(log.matches(&row).count(), 1, "{row}: {log}");
        }
    }
}
