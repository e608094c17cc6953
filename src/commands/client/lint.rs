//! `hallpass client lint`: reviews migration files without a database, so that CI can refuse what a person would overlook.
//!
//! The files are read in the order in which `hallpass migrate` applies them, their rows are kept as a database would keep
//! them, and what they come to in the end is judged. What cannot be read is said, never passed over.

mod accepted;
mod files;
mod lexer;
mod rows;
mod rules;
mod schema;
mod sites;
mod statements;

use crate::commands::{Outcome, terminal};
use crate::config::Config;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

pub(super) const HELP: &str =
    "Each finding is a line FILE:LINE: CODE: WHY; MEND, and the status is 1 if any is an error.

With HALLPASS_ISSUER set, it also says which frames of front-channel logout cannot work.

Examples:
  hallpass client lint
  hallpass client lint deploy/migrations --strict
  hallpass client lint --json | jq -r '.findings[].code'

A comment accepts a finding of a statement, before the statement or at its end, and says why:
  -- hallpass: accept plain-http: the printer cannot do TLS
What can be accepted are warnings, and of the errors plain-http and private-scheme.

Codes:
  file-name, file-date, number-is-ours, number-twice        how files are named
  syntax, not-understood, acceptance, transaction, unknown-table, unknown-column, wrong-type, missing-value
  unknown-word, out-of-range, every-row, duplicate-client, duplicate-row, unknown-client, client-later
  secret-plain, secret-weak, secret-in-comment, secret-in-file, no-secret, public-with-secret
  redirect-uri, logout-uri, other-uri, no-redirect-uri, no-logout-uri
  plain-http, private-scheme, client-id, audience
  public-without-pkce, public-machine, scope, sector, refresh-token, consent-ignored";

#[derive(clap::Args)]
pub(in crate::commands) struct Lint {
    /// A folder of migrations, or one file [default: `HALLPASS_MIGRATIONS`, or migrations]
    #[arg(value_name = "DIR")]
    place: Option<PathBuf>,
    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// It would not work, or not be safe.
    Error,
    /// It may be meant so.
    Warning,
}

/// One finding.
#[derive(Debug)]
struct Finding {
    file: String,
    line: usize,
    /// The statement that it is about, counted through all files; 0: none of them.
    statement: usize,
    level: Level,
    code: &'static str,
    why: String,
    mend: String,
    /// Whether a comment may accept it.
    is_acceptable: bool,
}

pub(super) fn run(config: &Config, lint: &Lint) -> Outcome {
    let place = lint.place.clone().unwrap_or_else(|| config.migrations_or_default());
    let Review { files, findings, accepted } = review(&place, sites::known_issuer(config))?;
    let is_error = |finding: &Finding| finding.level == Level::Error || lint.strict;
    let errors = findings.iter().filter(|finding| is_error(finding)).count();
    let warnings = findings.len() - errors;
    if lint.json {
        let documents = findings.iter().map(|finding| {
            json!({
                "file": finding.file,
                "line": finding.line,
                "level": if is_error(finding) { "error" } else { "warning" },
                "code": finding.code,
                "why": finding.why,
                "fix": finding.mend,
            })
        });
        let documents: serde_json::Value = documents.collect();
        let accepted = accepted.iter().map(|(finding, reason)| {
            json!({
                "file": finding.file,
                "line": finding.line,
                "code": finding.code,
                "why": finding.why,
                "reason": reason,
            })
        });
        let accepted: serde_json::Value = accepted.collect();
        terminal::print_json(&json!({
            "files": files, "errors": errors, "warnings": warnings, "findings": documents, "accepted": accepted,
        }))?;
    } else {
        for finding in &findings {
            let Finding { file, line, code, why, mend, .. } = finding;
            let level = if is_error(finding) { "" } else { " (warning)" };
            println!("{file}:{line}: {code}{level}: {}; {mend}", terminal::one_line(why));
        }
    }
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    let mut summary = format!("{}: {}, {}", count(files, "file"), count(errors, "error"), count(warnings, "warning"));
    if !accepted.is_empty() {
        let _ = write!(summary, ", {} accepted", accepted.len());
    }
    if errors > 0 {
        return Err(summary);
    }
    eprintln!("{summary}");
    Ok(())
}

/// What a review comes to.
struct Review {
    /// How many there were.
    files: usize,
    /// In the order of files and lines.
    findings: Vec<Finding>,
    /// What a comment accepts, with its reason.
    accepted: Vec<(Finding, String)>,
}

/// Reads and judges.
fn review(place: &std::path::Path, issuer: Option<&str>) -> Result<Review, String> {
    let (files, mut findings) = files::read(place)?;
    let mut reviewed = rows::Rows::new(schema::tables());
    for file in &files {
        reviewed.take(file);
    }
    findings.extend(issuer.map(|issuer| of_sites(&reviewed, issuer)).unwrap_or_default());
    let (judged, orders) = reviewed.judge();
    findings.extend(judged);
    // Each text is told of once, by the rule that knows it best.
    let plain: Vec<(String, usize)> = findings
        .iter()
        .filter(|finding| finding.code == "secret-plain")
        .map(|finding| (finding.file.clone(), finding.line))
        .collect();
    findings.retain(|finding| {
        finding.code != "secret-in-file"
            || !plain.iter().any(|(file, line)| *file == finding.file && *line == finding.line)
    });
    let (mut findings, accepted) = accepted::sort_out(findings, &orders);
    findings.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    Ok(Review { files: files.len(), findings, accepted })
}

/// What front-channel addresses come to at that issuer.
fn of_sites(reviewed: &rows::Rows, issuer: &str) -> Vec<Finding> {
    let found = sites::faults(reviewed, issuer).into_iter().map(|(place, fault)| Finding {
        statement: place.statement,
        file: place.file,
        line: place.line,
        level: fault.level,
        is_acceptable: fault.is_acceptable,
        code: fault.code,
        why: fault.why,
        mend: fault.mend,
    });
    found.collect()
}

/// Whether a file of the migrations folder registers that client; `None` where there is no folder to look at.
pub(super) fn registers(config: &Config, client_id: &str) -> Option<bool> {
    let folder = config.migrations_or_default();
    if !folder.is_dir() {
        return None;
    }
    let (files, _) = files::read(&folder).ok()?;
    let mut reviewed = rows::Rows::new(schema::tables());
    for file in &files {
        reviewed.take(file);
    }
    Some(reviewed.registers(client_id))
}
