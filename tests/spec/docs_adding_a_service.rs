//! `docs/adding-a-service.md`, run from its own text: each `sh` block beside a provider that serves, with the output that the
//! block behind it promises (`…` is what differs from run to run). So the page cannot rot.

use crate::support::documents::fits;
use crate::support::{TestClient, TestProvider};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A fenced block: its word, its text, and the line that it begins on.
struct Block {
    word: String,
    text: String,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (at, line) in page.lines().enumerate() {
        if let Some(word) = line.strip_prefix("```") {
            if !is_open {
                found.push(Block { word: word.to_owned(), text: String::new(), line: at + 1 });
            }
            is_open = !is_open;
        } else if is_open {
            let block = found.last_mut().unwrap();
            block.text.push_str(line);
            block.text.push('\n');
        }
    }
    assert!(!is_open, "the last block never ends");
    found
}

/// Whether all lines are as promised; a line of `…` alone means any number.
fn all_fit(promised: &[&str], lines: &[&str]) -> bool {
    match promised {
        [] => lines.is_empty(),
        ["…", rest @ ..] => (0..=lines.len()).any(|at| all_fit(rest, &lines[at..])),
        [first, rest @ ..] => lines.split_first().is_some_and(|(line, more)| fits(first, line) && all_fit(rest, more)),
    }
}

/// What a reader's shell would say, on either output.
fn shell(provider: &TestProvider, text: &str) -> (bool, String) {
    let folder = Path::new(env!("CARGO_BIN_EXE_hallpass")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut variables = provider.variables();
    variables.retain(|(name, _)| !matches!(*name, "HALLPASS_ISSUER" | "HALLPASS_MIGRATIONS"));
    let output = Command::new("sh")
        .args(["-eu", "-c", &format!("exec 2>&1\n{text}")])
        .current_dir(provider.folder.path())
        .env_remove("RUST_LOG")
        .env("PATH", path)
        .envs(variables)
        .env("HALLPASS_ISSUER", "https://id.example.com")
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn every_command_of_the_page_does_what_the_page_says() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/adding-a-service.md")).unwrap();
    let provider = TestProvider::start().await;
    let blocks = blocks(&page);
    let mut secrets = Vec::new();
    let mut last: Option<(String, usize)> = None;
    let mut checked = 0;
    for block in &blocks {
        if block.word == "sh" {
            let (is_done, said) = shell(&provider, &block.text);
            assert!(is_done, "line {}: {}\n{said}", block.line, block.text);
            let found = said.lines().find_map(|line| line.strip_prefix("OIDC_CLIENT_SECRET="));
            secrets.extend(found.filter(|secret| secret.starts_with("hp_cs_")).map(str::to_owned));
            last = Some((said, block.line));
            // What the page says of secrets holds at each step.
            let works = async |secret: &String| {
                let client = TestClient {
                    client_id: "reports".into(),
                    secret: Some(secret.clone()),
                    redirect_uri: "https://reports.example.com/signin-oidc".into(),
                };
                provider.redeem(&client, "hp_ac_x").await.text("error") == "invalid_grant"
            };
            if block.text.contains("hallpass migrate\n") || block.text.contains("client disable reports --yes") {
                provider.travel(10);
                let is_disabled = block.text.contains("client disable");
                for secret in &secrets {
                    assert_eq!(works(secret).await, !is_disabled, "line {}", block.line);
                }
            }
        } else {
            let (said, line) = last.take().unwrap_or_else(|| panic!("line {}: no command is before it", block.line));
            let promised: Vec<&str> = block.text.lines().collect();
            let lines: Vec<&str> = said.lines().collect();
            assert!(
                all_fit(&promised, &lines),
                "line {}: promised\n{}\nand line {line} said\n{said}",
                block.line,
                block.text
            );
            checked += 1;
        }
    }
    assert!(checked >= 10 && secrets.len() == 2, "{checked} {}", secrets.len());
    // Everything that a page for admins has to name.
    for part in [
        "client new",
        "client lint",
        "migrate --check",
        "rotate-secret",
        "client disable",
        "AddOpenIdConnect",
        "oauth.register",
        "application.yml",
        "oauth2-proxy.cfg",
        "--secret-hash",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn dots_stand_for_what_differs_and_for_nothing_else() {
    assert!(fits("a … c", "a b c") && fits("…", "") && fits("a", "a") && fits("1 … 2 … 3", "1 x 2 y 3"));
    assert!(!fits("a … c", "a b d") && !fits("a", "ab") && !fits("1 … 2 … 3", "1 x y 3"));
    assert!(all_fit(&["a", "…", "d"], &["a", "b", "c", "d"]) && all_fit(&["…"], &[]));
    assert!(!all_fit(&["a", "…", "d"], &["a", "b", "c"]) && !all_fit(&["a"], &["a", "b"]));
}
