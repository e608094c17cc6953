//! `docs/groups-and-access.md`, run from its own text beside a provider that serves: its SQL as migrations, its commands with the
//! output that the page promises, and of JSON at least the members that it shows.

use crate::support::documents::{Block, blocks, is_within, read, shell};
use crate::support::{NewUser, TestProvider};
use serde_json::Value;
use std::fs;

/// Whether a line is as promised; `…` is what differs from run to run.
fn fits(promised: &str, line: &str) -> bool {
    match promised.split_once('…') {
        None => promised.split_whitespace().eq(line.split_whitespace()),
        Some((before, behind)) => line.starts_with(before.trim_end()) && line.ends_with(behind.trim_start()),
    }
}

#[tokio::test]
async fn every_recipe_of_the_page_does_what_the_page_says() {
    let page = read("docs/groups-and-access.md");
    let provider = TestProvider::start().await;
    for name in ["alice", "bob", "carol"] {
        provider.add_user(if name == "alice" { NewUser::alice() } else { NewUser::named(name) }).await;
    }
    let migrations = provider.folder.path().join("migrations");
    fs::create_dir_all(&migrations).unwrap();
    let variables: Vec<(String, String)> =
        provider.variables().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let (mut said, mut checked, mut number) = (String::new(), 0, 0);
    for Block { kind, text, heading } in blocks(&page) {
        match kind.as_str() {
            "sql" => {
                number += 1;
                fs::write(migrations.join(format!("202612010900{number:02}_{number}.sql")), text).unwrap();
            }
            "sh" => said = shell(provider.folder.path(), &variables, &format!("exec 2>&1\n{text}")),
            "text" => {
                let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
                let promised: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
                let mut rest = lines.iter();
                for line in promised.iter().filter(|line| line.trim() != "…") {
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
            // Of a service, where the tests of the examples look at it.
            "csharp" | "python" => {}
            other => panic!("{heading}: what is a block of {other}?"),
        }
    }
    assert!(checked >= 10, "{checked}");
    // Its clients lack addresses and secrets, for brevity, and nothing else.
    let lint: Value = serde_json::from_str(&provider.command(&["client", "lint", "--json"], "").stdout).unwrap();
    for finding in lint["findings"].as_array().unwrap() {
        let code = finding["code"].as_str().unwrap();
        assert!(["no-logout-uri", "no-secret", "no-redirect-uri"].contains(&code), "{finding}");
    }
}
