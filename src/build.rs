//! The build script. It lists the built-in migrations, so that a new file is all there is to add, and finds the commit that
//! `hallpass --version` tells.
//!
//! `src/store/migrations.rs` includes the list: number, words and text of each file, in the order of the numbers. A file with a
//! date in its name is an operator's, who may try things in a checkout, and no part of the program.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Below this, numbers are Hallpass's own.
const FIRST_ADMIN_VERSION: i64 = 1_000_000;

/// Number and words of a file of ours: `0001_some_words.sql`.
fn parsed(file: &str) -> Option<(i64, String)> {
    let (number, words) = file.strip_suffix(".sql")?.split_once('_')?;
    let number = number.parse().ok().filter(|number| (1..FIRST_ADMIN_VERSION).contains(number))?;
    Some((number, words.replace('_', " ")))
}

/// The commit that a release is made of: what `BUILD_COMMIT` says, or git; `None` where neither knows. A debug build has
/// none, so that it need not be made again after each.
fn commit() -> Option<String> {
    println!("cargo:rerun-if-env-changed=BUILD_COMMIT");
    if let Ok(commit) = env::var("BUILD_COMMIT") {
        return Some(commit).filter(|commit| !commit.is_empty());
    }
    if env::var("PROFILE").as_deref() != Ok("release") {
        return None;
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    // It changes with every commit, merge and checkout.
    println!("cargo:rerun-if-changed={}", git(&["rev-parse", "--git-path", "logs/HEAD"])?);
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn main() -> Result<(), Box<dyn Error>> {
    let version = env::var("CARGO_PKG_VERSION")?;
    let version = commit().map_or(version.clone(), |commit| format!("{version} ({commit})"));
    println!("cargo:rustc-env=BUILD_VERSION={version}");
    println!("cargo:rerun-if-changed=migrations");
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("migrations");
    let mut ours: BTreeMap<i64, (String, String)> = BTreeMap::new();
    for entry in fs::read_dir(&folder)? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        let Some((number, words)) = parsed(&file) else { continue };
        if let Some((other, _)) = ours.insert(number, (file.clone(), words)) {
            return Err(format!("migrations/{file} and migrations/{other} have one number").into());
        }
    }
    let mut list = String::from("&[\n");
    for (number, (file, words)) in ours {
        let path = folder.join(file);
        let path = path.to_str().ok_or("the path of the migrations is not UTF-8")?;
        writeln!(list, "    ({number}, {words:?}, include_str!({path:?})),")?;
    }
    list.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("migrations.rs"), list)?;
    Ok(())
}
