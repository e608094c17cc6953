//! `docs/moving-from-aspnet-identity.md`, run from its own text on a real database of Identity, in which the monolith changes
//! something between the headings; and what the page promises of those who come over: each signs in, by each kind of source, and
//! one of them opens a page for their role in the FastAPI example, in a browser.

use crate::identity_source::psql;
use crate::support::chromium::{Browser, Options};
use crate::support::documents::{Block, blocks, fits, is_within, read, root, shell};
use crate::support::installation::Installation;
use crate::support::postgres;
use crate::support::python::FastApi;
use crate::support::{Authorization, TestProvider, UserAgent};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn at(folder: &str) -> PathBuf {
    root().join("tests/identity").join(folder)
}

/// What the monolith does meanwhile.
fn monolith(file: &std::path::Path, statements: &str) {
    let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.executescript(sys.argv[2])\nc.commit()";
    let status = Command::new("python3").args(["-c", script]).arg(file).arg(statements).status().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn the_page_is_followed_word_for_word() {
    let page = read("docs/moving-from-aspnet-identity.md");
    let provider = TestProvider::start().await;
    let file = provider.folder.path().join("app.db");
    fs::write(&file, fs::read(at("sqlite-text-keys").join("identity.db")).unwrap()).unwrap();
    let variables: Vec<(String, String)> =
        provider.variables().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let (mut said, mut checked) = (String::new(), 0);
    for Block { heading, kind, text } in blocks(&page) {
        if heading.starts_with("4.") && kind == "sh" {
            monolith(
                &file,
                "UPDATE AspNetUsers SET Email = 'moved@example.com' WHERE UserName = 'Person1'; \
                 INSERT INTO AspNetUsers SELECT 'new-one', FullName, 'Newcomer', 'NEWCOMER', 'new@example.com', 'NEW@EXAMPLE.COM', \
                 EmailConfirmed, PasswordHash, SecurityStamp, ConcurrencyStamp, PhoneNumber, PhoneNumberConfirmed, TwoFactorEnabled, \
                 LockoutEnd, LockoutEnabled, AccessFailedCount FROM AspNetUsers WHERE UserName = 'Person1';",
            );
        }
        match kind.as_str() {
            "sh" => said = shell(provider.folder.path(), &variables, &format!("exec 2>&1\n{text}")),
            "sql" => {
                let left = provider.rows(text.trim_end_matches(";\n")).await;
                assert!(!left.is_empty(), "no user has signed in yet");
            }
            "text" => {
                let mut rest = said.lines();
                for line in text.lines() {
                    assert!(rest.any(|found| fits(line, found)), "{heading}: {line:?} is not in\n{said}");
                }
                checked += 1;
            }
            "json" => {
                let promised: Value = serde_json::from_str(&text).unwrap();
                let document = &said[said.find("\n{").map_or(0, |at| at + 1)..];
                let found: Value =
                    serde_json::from_str(document).unwrap_or_else(|error| panic!("{heading}: {error}: {said}"));
                assert!(is_within(&promised, &found), "{heading}: {promised} is not in {found}");
                checked += 1;
            }
            other => panic!("{heading}: what is to be done with {other:?}?"),
        }
    }
    assert_eq!(checked, 5);
    assert!(read("README.md").contains("docs/moving-from-aspnet-identity.md"));
}

/// Everybody of `people.csv` does what it says: the first sign-in verifies Identity's hash, the second ours.
async fn all_sign_in(folder: &str, source: &str) {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    let outcome = provider.command(&["user", "import", "--aspnet-identity", source, "--apply"], "");
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let mut came = 0;
    for line in fs::read_to_string(at(folder).join("people.csv")).unwrap().lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let (name, password, what) = (cells[0], cells[2], cells[6]);
        // What the password comes to of those with an authenticator is told by the tests of the second factor.
        if what == "second" {
            continue;
        }
        for number in 0..if what == "in" { 2 } else { 1 } {
            let browser = UserAgent::new();
            let page = Authorization::of(&client).open(&provider, &browser).await;
            let page = provider.type_in(&browser, &page, name, password).await;
            assert_eq!(
                page.query_parameter("code").is_some(),
                what == "in",
                "{name} ({what}), sign-in {number}: {page}"
            );
            came += usize::from(what == "in");
        }
    }
    assert!(came > 20, "{came}");
    // The answer does not wait for the hash that is made anew.
    for _ in 0..50 {
        let foreign = "SELECT username FROM users WHERE password_hash NOT LIKE '$argon2id$%' AND locked_until IS NULL \
             AND NOT EXISTS (SELECT 1 FROM user_factors WHERE user_factors.sub = users.sub)";
        if provider.rows(foreign).await.is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("hashes of Identity are left");
}

#[tokio::test]
async fn those_of_sqlite_with_text_keys_sign_in_as_they_did() {
    all_sign_in("sqlite-text-keys", &format!("sqlite:{}", at("sqlite-text-keys/identity.db").display())).await;
}

#[tokio::test]
async fn those_of_sqlite_with_guid_keys_sign_in_as_they_did() {
    all_sign_in("sqlite-guid-keys", &format!("sqlite:{}", at("sqlite-guid-keys/identity.db").display())).await;
}

#[tokio::test]
async fn those_of_sql_server_sign_in_as_they_did() {
    all_sign_in("sqlserver-csv", at("sqlserver-csv").to_str().unwrap()).await;
}

#[tokio::test]
async fn those_of_postgresql_sign_in_as_they_did() {
    let url = postgres::server().create_database();
    psql(&url, &fs::read_to_string(at("postgres-int-keys/monolith.sql")).unwrap());
    all_sign_in("postgres-int-keys", &url).await;
}

/// With the password of the monolith, in Chromium, to the page that only a role opens.
#[tokio::test]
async fn a_user_of_the_monolith_opens_a_page_for_their_role_in_a_browser() {
    let provider = Installation::start();
    let base_url = FastApi::base_url();
    let callback = format!("{base_url}/auth/callback");
    let (_, settings) = provider.register("reports", &["--redirect-uri", &callback, "--consent", "skip"]);
    let _example = FastApi::start(&base_url, &settings);
    let source = format!("sqlite:{}", at("sqlite-guid-keys/identity.db").display());
    let readme = read("examples/fastapi/README.md");
    let sql = readme.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    fs::write(provider.folder.path().join("migrations/20991231000000_roles.sql"), sql).unwrap();
    provider.run(&["migrate"], "");
    provider.run(&["user", "import", "--aspnet-identity", &source, "--role", "editor=finance", "--apply"], "");
    for (name, password, opens) in [("Person2", "Passw0rd!2ä", true), ("Person1", "Passw0rd!1ä", false)] {
        let browser = Browser::open(Options::default()).await;
        browser.goto(&format!("{base_url}/login?next=/accounts")).await;
        browser.fill("#username", name).await;
        browser.fill("#password", password).await;
        browser.click("button[value=sign_in]").await;
        browser.wait_for_url_containing("/accounts").await;
        let text = browser.text("body").await;
        browser.close().await;
        assert_eq!(text.contains("The accounts"), opens, "{name}: {text}");
    }
}
