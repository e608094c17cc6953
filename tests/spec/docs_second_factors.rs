//! `docs/second-factors.md`, run from its own text beside a provider; the user adds an authenticator where the page says that the
//! first key is there.

use crate::support::TestProvider;
use crate::support::documents::{Block, blocks, fits, is_within, read, root, shell};
use crate::support::program::files_in;
use serde_json::Value;
use std::fs;

#[tokio::test]
async fn the_page_is_followed_word_for_word() {
    let page = read("docs/second-factors.md");
    let provider = TestProvider::start().await;
    provider.alice().await;
    // As an operator of PostgreSQL and Redis begins.
    let keys = provider.folder.path().join("keys");
    for file in files_in(&keys).iter().filter(|file| file.starts_with("factors.")) {
        fs::remove_file(keys.join(file)).unwrap();
    }
    let monolith = root().join("tests/identity/sqlite-text-keys/identity.db");
    fs::write(provider.folder.path().join("app.db"), fs::read(monolith).unwrap()).unwrap();
    let variables: Vec<(String, String)> =
        provider.variables().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let (mut said, mut checked) = (String::new(), 0);
    for Block { heading, kind, text } in blocks(&page) {
        match kind.as_str() {
            "sh" => {
                if heading.starts_with("Another") {
                    assert!(provider.provider.factor_keys.refresh().unwrap());
                    let _ = crate::second_factors::enrolled(&provider, "alice-sub").await;
                    let _ = crate::second_factors::recovery_codes(&provider, "alice-sub").await;
                }
                said = shell(provider.folder.path(), &variables, &format!("exec 2>&1\n{text}"));
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
                let found: Value = serde_json::from_str(&said[said.find("\n{").unwrap() + 1..]).unwrap();
                let (promised, found) = (promised["factors"].as_array().unwrap(), found["factors"].as_array().unwrap());
                assert_eq!(promised.len(), found.len(), "{heading}: {found:?}");
                let is_there = |promised: &Value| found.iter().any(|found| is_within(promised, found));
                assert!(promised.iter().all(is_there), "{heading}: {promised:?} is not in {found:?}");
                checked += 1;
            }
            other => panic!("{heading}: what is to be done with {other:?}?"),
        }
    }
    assert_eq!(checked, 6);
    assert!(read("README.md").contains("docs/second-factors.md"));
}
