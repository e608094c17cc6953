//! `hallpass user import --aspnet-identity`: databases of ASP.NET Core Identity, as they are in `tests/identity` and as they are
//! made here, read from SQLite files in use, from PostgreSQL and from folders of CSV.

use crate::support::TestProvider;
use crate::support::postgres::{programs, server};
use crate::support::program::Outcome;
use crate::support::totp::code;
use hallpass::second_factor::{self, Checked, RightCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub fn at(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/identity").join(folder)
}

pub fn import(provider: &TestProvider, source: &str, flags: &[&str]) -> Outcome {
    provider.command(&[&["user", "import", "--json", "--aspnet-identity", source], flags].concat(), "")
}

#[track_caller]
pub fn report(provider: &TestProvider, source: &str, flags: &[&str]) -> Value {
    let outcome = import(provider, source, flags);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// The keys of a list of findings, each with what it is about.
pub fn keys(report: &Value, list: &str) -> Vec<(String, String)> {
    let text = |finding: &Value, member: &str| finding[member].as_str().unwrap_or_default().to_owned();
    report[list].as_array().unwrap().iter().map(|found| (text(found, "key"), text(found, "member"))).collect()
}

/// The bytes of all files of a folder but the index of a WAL.
fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = files.map(|file| (file.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&file).unwrap()));
    named.filter(|(name, _)| !name.ends_with("-shm")).collect()
}

/// Python's sqlite3, which holds a file open after the statements, until it is killed or told to end.
struct Writer(Child);

impl Writer {
    fn start(file: &Path, statements: &str) -> Self {
        const PROGRAM: &str = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
             c.executescript(sys.argv[2])\nprint('ready', flush=True)\n\
             for line in sys.stdin:\n    c.execute(line)\n    print('done', flush=True)\n";
        let mut child = Command::new("python3")
            .args(["-c", PROGRAM, file.to_str().unwrap(), statements])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        read_line(&mut child);
        Self(child)
    }

    fn write(&mut self, statement: &str) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{statement}").unwrap();
        read_line(&mut self.0);
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

fn read_line(child: &mut Child) {
    let (mut line, mut byte) = (String::new(), [0]);
    let output = child.stdout.as_mut().unwrap();
    while output.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.push(char::from(byte[0]));
    }
    assert!(matches!(line.as_str(), "ready" | "done"), "{line}");
}

pub fn sqlite(file: &Path, statements: &str) {
    Writer::start(file, statements).end();
}

pub fn copied(folder: &str, name: &str) -> (TempDir, PathBuf) {
    let temporary = TempDir::new().unwrap();
    let file = temporary.path().join(name);
    fs::copy(at(folder).join("identity.db"), &file).unwrap();
    (temporary, file)
}

pub fn psql(url: &str, text: &str) {
    let mut child = Command::new(programs().join("psql"))
        .args(["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Brings a source over and looks at each user of its `people.csv`.
async fn brought_over(provider: &TestProvider, source: &str, folder: &str) {
    let before = report(provider, source, &[]);
    let done = report(provider, source, &["--apply"]);
    for document in [&before, &done] {
        assert_eq!((&document["users"], &document["faults"]), (&json!(22), &json!([])), "{document}");
    }
    let people = BufReader::new(fs::File::open(at(folder).join("people.csv")).unwrap());
    let mut left_out = BTreeMap::new();
    for line in people.lines().skip(1) {
        let line = line.unwrap();
        let cells: Vec<&str> = line.split(',').collect();
        let (name, sub, what) = (cells[0], cells[4], cells[6]);
        let shown = provider.command(&["user", "show", name, "--json"], "");
        if matches!(what, "nopassword" | "external") {
            assert_eq!(shown.status, 1, "{shown:?}");
            left_out.insert(sub.to_owned(), "PasswordHash".to_owned());
            continue;
        }
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
        let mut roles: Vec<&str> = cells[5].split('|').filter(|role| !role.is_empty()).collect();
        roles.sort_unstable();
        assert_eq!((&shown["sub"], &shown["groups"]), (&json!(sub), &json!(roles)), "{name}");
        assert_eq!(shown["locked"], json!(what == "locked"), "{name}");
        // The authenticator that the user has shows a code that is right here; one that is switched off is none.
        let kinds: Vec<&str> =
            shown["factors"].as_array().unwrap().iter().map(|factor| factor["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds.len(), if what == "second" { 2 } else { 0 }, "{name}: {kinds:?}");
        if !cells[3].is_empty() {
            let now = provider.provider.now();
            let typed = code(cells[3], now.0);
            let checked = second_factor::check(&provider.provider, sub, &typed, now).await.unwrap();
            let right = Checked::Right(RightCode::Authenticator);
            assert_eq!(checked, if what == "second" { right } else { Checked::Wrong }, "{name}");
        }
    }
    let named: BTreeMap<String, String> =
        keys(&done, "left_out").into_iter().map(|(key, member)| (key.to_lowercase(), member)).collect();
    assert_eq!(named, left_out);
    let again = report(provider, source, &["--apply"]);
    assert_eq!(
        (&again["users"], &again["changed"], &again["unchanged"]),
        (&json!(0), &json!(0), &json!(22)),
        "{again}"
    );
}

#[tokio::test]
async fn users_come_over_from_sqlite_in_place_where_nothing_may_be_written() {
    for folder in ["sqlite-text-keys", "sqlite-guid-keys"] {
        let before = bytes(&at(folder));
        brought_over(&TestProvider::start().await, &format!("sqlite:{}/identity.db", at(folder).display()), folder)
            .await;
        assert_eq!(bytes(&at(folder)), before);
        assert!(!at(folder).join("identity.db-shm").exists());
    }
}

#[tokio::test]
async fn users_come_over_from_the_exports_of_sql_server() {
    brought_over(&TestProvider::start().await, at("sqlserver-csv").to_str().unwrap(), "sqlserver-csv").await;
}

#[tokio::test]
async fn users_come_over_from_postgresql() {
    let url = server().create_database();
    psql(&url, &fs::read_to_string(at("postgres-int-keys").join("monolith.sql")).unwrap());
    brought_over(&TestProvider::start().await, &url, "postgres-int-keys").await;
}

#[tokio::test]
async fn a_database_that_is_written_to_is_read_and_neither_it_nor_its_wal_is_changed() {
    let provider = TestProvider::start().await;
    let (folder, file) = copied("sqlite-text-keys", "a ?b%20c.db");
    let source = format!("sqlite:{}", file.display());
    let update = |email: &str| format!("UPDATE AspNetUsers SET Email = '{email}' WHERE UserName = 'Person1'");
    let mut writer = Writer::start(&file, &format!("PRAGMA wal_autocheckpoint = 0; {}", update("nothing")));
    let before = bytes(folder.path());
    assert_eq!(before.len(), 2, "it has a WAL");
    let found = import(&provider, &source, &[]);
    let document: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!((found.status, keys(&document, "faults")[0].1.as_str()), (1, "Email"), "the WAL is read: {found:?}");
    assert_eq!(bytes(folder.path()), before);
    writer.write(&update("one@example.com"));
    let before = bytes(folder.path());
    assert_eq!(report(&provider, &source, &[])["users"], 22);
    assert_eq!(bytes(folder.path()), before);
    writer.kill();
    // What a writer leaves behind that was killed, with and without the index.
    for is_indexed in [true, false] {
        if !is_indexed {
            fs::remove_file(folder.path().join("a ?b%20c.db-shm")).unwrap();
        }
        assert_eq!(report(&provider, &source, &[])["users"], 22);
        assert_eq!(bytes(folder.path()), before);
    }
}

#[tokio::test]
async fn a_writer_without_a_wal_that_was_killed_in_a_transaction_is_rolled_back_in_a_copy() {
    let provider = TestProvider::start().await;
    let (folder, file) = copied("sqlite-text-keys", "identity.db");
    sqlite(&file, "PRAGMA journal_mode = DELETE");
    let writer = Writer::start(
        &file,
        "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; UPDATE AspNetUsers SET UserName = UserName || '!', SecurityStamp = randomblob(9000)",
    );
    writer.kill();
    let before = bytes(folder.path());
    assert_eq!(before.len(), 2, "it has a journal");
    assert_eq!(report(&provider, &format!("sqlite:{}", file.display()), &[])["users"], 22);
    assert_eq!(bytes(folder.path()), before);
}

#[tokio::test]
async fn keys_and_names_of_other_kinds_are_found_by_themselves() {
    let provider = TestProvider::start().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("framework.db");
    // Identity 2 with GUIDs in bytes, a prefix of its own and snake_case; rows that refer to no user.
    sqlite(
        &file,
        "CREATE TABLE app_users (id BLOB, user_name TEXT, email TEXT, email_confirmed INTEGER, password_hash TEXT, \
         two_factor_enabled INTEGER, lockout_end_date_utc TEXT, lockout_enabled INTEGER, phone_number TEXT, \
         phone_number_confirmed INTEGER);\
         CREATE TABLE app_roles (id BLOB, name TEXT); CREATE TABLE app_user_roles (user_id BLOB, role_id BLOB);\
         CREATE TABLE app_user_claims (id INTEGER, user_id BLOB, claim_type TEXT, claim_value TEXT);\
         CREATE TABLE app_user_logins (user_id BLOB, login_provider TEXT, provider_key TEXT);\
         INSERT INTO app_users VALUES (x'10810de1b7f29440a9492dac652ee303', 'anna', 'anna@example.com', 1, NULL, 0, \
         '9999-12-31 23:59:59', 1, NULL, 0);\
         INSERT INTO app_roles VALUES (x'20810de1b7f29440a9492dac652ee303', 'editor');\
         INSERT INTO app_user_roles VALUES (x'10810de1b7f29440a9492dac652ee303', x'20810de1b7f29440a9492dac652ee303'), \
         (x'30810de1b7f29440a9492dac652ee303', x'20810de1b7f29440a9492dac652ee303');",
    );
    let source = format!("sqlite:{}", file.display());
    let outcome = import(&provider, &source, &["--without-password", "--apply"]);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let fault = &document["faults"][0];
    assert_eq!(
        (&fault["table"], &fault["member"], &document["users"], &document["notes"]),
        (&json!("app_user_roles"), &json!("user_id"), &json!(1), &json!([])),
        "{document}"
    );
    let shown: Value = serde_json::from_str(&provider.command(&["user", "show", "anna", "--json"], "").stdout).unwrap();
    assert_eq!(
        (&shown["sub"], &shown["groups"], &shown["locked"], &shown["locked_until"]),
        (&json!("e10d8110-f2b7-4094-a949-2dac652ee303"), &json!(["editor"]), &json!(true), &Value::Null)
    );
}

#[tokio::test]
async fn postgresql_is_read_with_uuids_and_in_another_schema_and_its_password_is_not_told() {
    let provider = TestProvider::start().await;
    let url = server().create_database();
    psql(
        &url,
        "CREATE SCHEMA identity; CREATE TABLE identity.asp_net_users (id uuid, user_name text, email text, email_confirmed bool, \
         password_hash text, two_factor_enabled bool, lockout_end timestamptz, lockout_enabled bool, born timestamp);\
         INSERT INTO identity.asp_net_users VALUES ('E10D8110-F2B7-4094-A949-2DAC652EE303', 'anna', 'anna@example.com', true, \
         NULL, false, '-infinity', true, '1990-12-31');\
         INSERT INTO identity.asp_net_users VALUES ('A10D8110-F2B7-4094-A949-2DAC652EE303', 'bert', NULL, true, \
         NULL, false, '2031-05-06 07:08:09.5+02', true, NULL);\
         SET TimeZone = 'Asia/Tokyo'; INSERT INTO identity.asp_net_users SELECT gen_random_uuid(), 'user' || number, NULL, false, \
         NULL, false, NULL, true, NULL FROM generate_series(1, 2500) AS number;",
    );
    let outcome = import(&provider, &url, &[]);
    assert_eq!(outcome.status, 1);
    assert!(outcome.stderr.contains("--schema identity"), "{outcome:?}");
    let flags = ["--schema", "identity", "--without-password", "--column", "born=birthdate", "--apply"];
    assert_eq!(report(&provider, &url, &flags)["users"], 2502);
    let shown = |name: &str| -> Value {
        serde_json::from_str(&provider.command(&["user", "show", name, "--json"], "").stdout).unwrap()
    };
    let (anna, bert) = (shown("anna"), shown("bert"));
    assert_eq!((&anna["sub"], &anna["locked"]), (&json!("e10d8110-f2b7-4094-a949-2dac652ee303"), &json!(false)));
    assert_eq!(anna["claims"]["birthdate"], "1990-12-31");
    assert_eq!((&bert["locked"], &bert["locked_until"]), (&json!(true), &json!("2031-05-06T05:08:10Z")));
    let wrong = url.replace("postgres@", "postgres:hunter2@").replace("127.0.0.1:", "127.0.0.1:1");
    for source in [wrong.as_str(), "postgres://u:hunter2@127.0.0.1:1/none", "Server=x;Password=hunter2"] {
        let outcome = import(&provider, source, &[]);
        assert!(outcome.status == 1 && !format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
        assert!(outcome.stderr.contains("--aspnet-identity"), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_table_that_is_not_there_is_named_and_the_users_must_be() {
    let provider = TestProvider::start().await;
    let folder = TempDir::new().unwrap();
    for entry in fs::read_dir(at("sqlserver-csv")).unwrap() {
        let file = entry.unwrap();
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    fs::remove_file(folder.path().join("AspNetUserClaims.csv")).unwrap();
    let source = folder.path().to_str().unwrap().to_owned();
    let document = report(&provider, &source, &[]);
    assert_eq!(
        (&document["users"], &document["notes"][0]["table"]),
        (&json!(22), &json!("AspNetUserClaims")),
        "{document}"
    );
    fs::remove_file(folder.path().join("AspNetUsers.csv")).unwrap();
    let outcome = import(&provider, &source, &["--apply"]);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (1, ""));
    assert!(outcome.stderr.contains("there is no file AspNetUsers.csv"), "{outcome:?}");
    let outcome = provider.command(&["user", "import", "--aspnet-identity", &source, "people.jsonl"], "");
    assert_eq!(outcome.status, 2, "{outcome:?}");
}

/// Two applications may both have a user 1: without --source the second is not taken for the first.
#[tokio::test]
async fn another_application_is_not_taken_for_the_one_that_came_before() {
    let provider = TestProvider::start().await;
    let (_first, file) = copied("sqlite-text-keys", "app.db");
    sqlite(&file, "UPDATE AspNetUsers SET Email = NULL, NormalizedEmail = NULL WHERE UserName = 'Person0'");
    let source = format!("sqlite:{}", file.display());
    report(&provider, &source, &["--apply"]);
    let users = provider.rows("SELECT sub, username, password_hash FROM users ORDER BY sub").await;
    // Another user under one key.
    let (_second, other) = copied("sqlite-text-keys", "app.db");
    sqlite(
        &other,
        "UPDATE AspNetUsers SET Email = NULL, NormalizedEmail = NULL, UserName = 'mallory', NormalizedUserName = 'MALLORY', \
         PasswordHash = (SELECT PasswordHash FROM AspNetUsers WHERE UserName = 'Person1') WHERE UserName = 'Person0'",
    );
    let outcome = import(&provider, &format!("sqlite:{}", other.display()), &["--apply"]);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    // Others under most keys.
    sqlite(&other, "UPDATE AspNetUsers SET UserName = 'x' || UserName, NormalizedUserName = 'X' || NormalizedUserName");
    let outcome = import(&provider, &format!("sqlite:{}", other.display()), &["--apply"]);
    assert!(outcome.status == 1 && outcome.stderr.contains("--source"), "{outcome:?}");
    assert_eq!(provider.rows("SELECT sub, username, password_hash FROM users ORDER BY sub").await, users);
}

/// What services know users by is decided once.
#[tokio::test]
async fn one_odd_key_changes_no_sub_and_a_mixture_is_asked_about() {
    let provider = TestProvider::start().await;
    let (_folder, file) = copied("sqlite-guid-keys", "app.db");
    let source = format!("sqlite:{}", file.display());
    let odd = |key: &str, name: &str| {
        format!(
            "INSERT INTO AspNetUsers SELECT '{key}', FullName, '{name}', upper('{name}'), '{name}@example.com', \
             upper('{name}@example.com'), EmailConfirmed, PasswordHash, SecurityStamp, ConcurrencyStamp, PhoneNumber, \
             PhoneNumberConfirmed, TwoFactorEnabled, LockoutEnd, LockoutEnabled, AccessFailedCount FROM AspNetUsers \
             WHERE UserName = 'Person1'"
        )
    };
    report(&provider, &source, &["--apply"]);
    let subs = provider.rows("SELECT sub FROM users ORDER BY sub").await;
    sqlite(&file, &odd("0d0ff5d6-3a3f-4d53-9f5e-1f6f1d5f0a11", "later"));
    let outcome = import(&provider, &source, &["--apply", "--disable-missing"]);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let now =
        provider.rows("SELECT sub FROM users WHERE disabled_at IS NULL AND username <> 'later' ORDER BY sub").await;
    assert_eq!(now, subs);

    let fresh = TestProvider::start().await;
    let outcome = import(&fresh, &source, &["--apply"]);
    assert!(outcome.status == 1 && outcome.stderr.contains("--identity-keys"), "{outcome:?}");
    report(&fresh, &source, &["--apply", "--identity-keys", "guid"]);
    assert_eq!(fresh.rows("SELECT sub FROM users WHERE username <> 'later' ORDER BY sub").await, subs);
}

/// A role that was made again, or that cannot be taken now, keeps its members; a password alone lets in no user with a second factor.
#[tokio::test]
async fn a_role_with_another_id_is_the_same_and_a_second_factor_is_not_passed_over() {
    let provider = TestProvider::start().await;
    let (_folder, file) = copied("sqlite-text-keys", "app.db");
    let source = format!("sqlite:{}", file.display());
    report(&provider, &source, &["--apply", "--without-password"]);
    let members =
        async || provider.rows("SELECT sub FROM group_members WHERE group_name = 'editor' ORDER BY sub").await;
    let before = members().await;
    assert!(before.len() > 5);
    sqlite(
        &file,
        "PRAGMA foreign_keys = OFF; UPDATE AspNetUserRoles SET RoleId = 'again' WHERE RoleId = (SELECT Id FROM AspNetRoles WHERE \
         Name = 'editor'); UPDATE AspNetRoles SET Id = 'again' WHERE Name = 'editor'; \
         UPDATE AspNetUsers SET TwoFactorEnabled = 1, PasswordHash = (SELECT PasswordHash FROM AspNetUsers WHERE UserName = 'Person1') \
         WHERE UserName = 'Person8'",
    );
    report(&provider, &source, &["--apply", "--without-password"]);
    assert_eq!(members().await, before);
    let of_eight = provider.rows("SELECT password_hash FROM users WHERE username = 'Person8'").await;
    assert_eq!(of_eight, [[None]]);
    sqlite(&file, "UPDATE AspNetRoles SET Name = '' WHERE Name = 'editor'");
    let outcome = import(&provider, &source, &["--apply", "--without-password"]);
    assert_eq!(outcome.status, 1, "{outcome:?}");
    assert_eq!(members().await, before);
}

/// What the tools write around the rows, and a folder that is ambiguous.
#[tokio::test]
async fn a_folder_says_what_it_is_and_the_last_line_of_sqlcmd_is_no_row() {
    let provider = TestProvider::start().await;
    let folder = TempDir::new().unwrap();
    for file in fs::read_dir(at("sqlserver-csv")).unwrap().map(|entry| entry.unwrap().path()) {
        let mut text = fs::read_to_string(&file).unwrap();
        if !file.ends_with("people.csv") {
            text.push_str("\r\n(24 rows affected)\r\n");
        }
        fs::write(folder.path().join(file.file_name().unwrap()), text).unwrap();
    }
    let source = folder.path().to_str().unwrap();
    let told = report(&provider, source, &[]);
    assert_eq!((&told["users"], &told["faults"]), (&json!(22), &json!([])), "{told}");
    assert!(told["left_out"].to_string().contains("Person8 has no password"), "{told}");
    fs::copy(at("sqlserver-csv/AspNetUsers.csv"), folder.path().join("dbo.AspNetUsers.csv")).unwrap();
    let outcome = import(&provider, source, &[]);
    assert!(outcome.status == 1 && outcome.stderr.contains("exports of one table"), "{outcome:?}");
    let outcome = import(&provider, "postgresql+x:a-marked-password", &[]);
    assert!(outcome.status == 1 && !outcome.stderr.contains("a-marked-password"), "{outcome:?}");
}

/// A table that is not there says nothing: what came of it before stays.
#[tokio::test]
async fn a_table_that_is_missing_later_takes_nothing_away() {
    let provider = TestProvider::start().await;
    let folder = TempDir::new().unwrap();
    for file in fs::read_dir(at("sqlserver-csv")).unwrap().map(|entry| entry.unwrap().path()) {
        fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    let source = folder.path().to_str().unwrap();
    report(&provider, source, &["--apply"]);
    let tables = ["group_claims", "user_claims", "group_members"];
    let rows = async || {
        let mut rows = Vec::new();
        for table in tables {
            rows.push(provider.rows(&format!("SELECT COUNT(*) FROM {table}")).await);
        }
        rows
    };
    let before = rows().await;
    assert!(before.iter().all(|count| count[0][0].as_deref() != Some("0")), "{before:?}");
    for file in ["AspNetRoleClaims.csv", "AspNetUserClaims.csv", "AspNetUserRoles.csv"] {
        fs::remove_file(folder.path().join(file)).unwrap();
        let told = report(&provider, source, &["--apply"]);
        assert_eq!(told["is_changed"], false, "{file}: {told}");
        assert_eq!(rows().await, before, "{file}");
    }
}

/// A column that is not named any more says nothing, also where the table of claims does; nor does it where that table is missing.
#[tokio::test]
async fn a_claim_of_a_column_stays_where_the_column_is_not_named_again() {
    let provider = TestProvider::start().await;
    let folder = TempDir::new().unwrap();
    for file in fs::read_dir(at("sqlserver-csv")).unwrap().map(|entry| entry.unwrap().path()) {
        fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    let source = folder.path().to_str().unwrap();
    let held = async || {
        let count = "SELECT COUNT(*) FROM user_claims WHERE claim";
        let of_column = provider.rows(&format!("{count} = 'full'")).await[0][0].clone().unwrap();
        let of_table = provider.rows(&format!("{count} <> 'full'")).await[0][0].clone().unwrap();
        (of_column, of_table)
    };
    let column = ["--apply", "--column", "FullName=claim:full"];
    report(&provider, source, &column);
    let before = held().await;
    assert!(before.0 != "0" && before.1 != "0", "{before:?}");
    for flags in [&column[..1], &column] {
        assert_eq!(report(&provider, source, flags)["is_changed"], false, "{flags:?}");
    }
    fs::remove_file(folder.path().join("AspNetUserClaims.csv")).unwrap();
    assert_eq!(report(&provider, source, &column)["is_changed"], false);
    assert_eq!(held().await, before);
}
