//! Documents that are run: the code blocks of a Markdown file, and a shell that has the binary on its path.

use super::postgres;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A fenced block of code, and where it is.
#[derive(Clone, Debug)]
pub struct Block {
    /// The heading above it, without its marks.
    pub heading: String,
    /// What follows the fence: `sh`, `sql`, `sh rollback`.
    pub kind: String,
    /// Its lines.
    pub text: String,
}

/// A file of this repository.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The folder of this repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Every fenced block, in the document's order.
pub fn blocks(markdown: &str) -> Vec<Block> {
    let (mut found, mut heading, mut open) = (Vec::new(), String::new(), None::<Block>);
    for line in markdown.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                open = Some(Block { heading: heading.clone(), kind: kind.to_owned(), text: String::new() });
            }
            (Some(_), Some("")) => found.extend(open.take()),
            (Some(block), _) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) if line.starts_with('#') => {
                line.trim_start_matches('#').trim().clone_into(&mut heading);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed: {open:?}");
    found
}

/// Runs a script in that folder, as a reader of the document would, with the binary and PostgreSQL's programs on the
/// path; it must succeed. Gives its standard output.
#[track_caller]
pub fn shell(folder: &Path, variables: &[(String, String)], script: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_hallpass")).parent().unwrap();
    let programs = postgres::programs();
    let path = format!("{}:{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default(), programs.display());
    let output = Command::new("sh")
        .args(["-eu", "-c", script])
        .current_dir(folder)
        .env("PATH", path)
        .env_remove("RUST_LOG")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{script}\n{stdout}\n{stderr}", output.status);
    stdout.into_owned()
}

/// Whether a line is as promised.
pub fn fits(promised: &str, line: &str) -> bool {
    let parts: Vec<&str> = promised.split('…').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return promised == line };
    let Some(mut rest) = line.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// Whether everything of `promised` is in `found`.
pub fn is_within(promised: &Value, found: &Value) -> bool {
    match (promised, found) {
        (Value::Object(promised), Value::Object(found)) => {
            promised.iter().all(|(name, value)| found.get(name).is_some_and(|found| is_within(value, found)))
        }
        _ => promised == found,
    }
}
