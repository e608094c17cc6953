//! `hallpass hash-secret`: the PHC string of a secret, for a migration file.

use crate::commands::terminal::{Report, not_hashed};
use crate::commands::{Outcome, read_secret};
use crate::passwords;
use serde_json::json;

pub(super) fn run(report: Report) -> Outcome {
    let secret = read_secret("Secret", true)?;
    if secret.len() < 16 {
        eprintln!("hallpass: a secret this short can be guessed; `hallpass client new` makes good ones");
    }
    let hash = passwords::hash(&secret).map_err(not_hashed)?;
    report.print(&json!({ "secret_hash": hash }), Some(&hash))
}
