//! The folder of a test, where its settings, keys and SQLite file are.
//!
//! It is in memory where the system has such a place: a sign-in is refused when the database is late, and how long a busy disk
//! takes for a commit says nothing of the program. PostgreSQL of the tests does not wait for the disk either.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, fs};
use tempfile::TempDir;

/// Where Linux keeps files in memory. A container often has 64 MiB of it alone, which is too little.
const MEMORY: &str = "/dev/shm";
/// What there must be free of it, in KiB.
const ENOUGH: u64 = 1_048_576;
const PREFIX: &str = "hallpass-test-";
/// After that long it was left by a run that was killed.
const LEFT: Duration = Duration::from_hours(24);

/// A new folder of one test, removed when dropped.
pub fn folder() -> TempDir {
    TempDir::with_prefix_in(PREFIX, place()).unwrap()
}

fn place() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let memory = PathBuf::from(MEMORY);
        if free(&memory) < ENOUGH {
            return env::temp_dir();
        }
        sweep(&memory);
        memory
    })
}

/// How much is free there, in KiB: 0 where it is not there.
fn free(place: &Path) -> u64 {
    let output = Command::new("df").args(["--output=avail", "-k"]).arg(place).output();
    let told = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    told.lines().nth(1).and_then(|line| line.trim().parse().ok()).unwrap_or(0)
}

fn sweep(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let changed = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        if is_ours && changed.and_then(|changed| changed.elapsed().ok()).is_some_and(|age| age > LEFT) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
