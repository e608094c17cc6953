//! `hallpass client lint`: reviews migration files without a database, so that CI can refuse what a reviewer would overlook.
//!
//! The files are applied to a scratch database in memory, statement by statement and in the order of `hallpass migrate`, and
//! what they come to in the end is read as the provider reads it and judged by `judge`. `rows` remembers who wrote what,
//! `refused` says why a statement was not carried out. What is not applied is said, never passed over.

mod accepted;
mod files;
mod refused;
mod rows;
mod secrets;

use crate::commands::judge::{Fault, Level};
use crate::commands::{Outcome, terminal};
use crate::config::{Config, SETTINGS};
use crate::failure::Failure;
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

pub(super) const HELP: &str =
    "Each finding is a line FILE:LINE: CODE: WHY; FIX, and the status is 1 if any is an error.

With HALLPASS_ISSUER set, it also says which frames of front-channel logout cannot work.

Examples:
  hallpass client lint
  hallpass client lint deploy/migrations --strict
  hallpass client lint --json | jq -r '.findings[].code'

A comment accepts a finding of a statement, before the statement or at its end, and says why:
  -- hallpass: accept plain-http: the printer cannot do TLS
What can be accepted are warnings, and of the errors plain-http and private-scheme.

Codes:
  unreadable                                                what cannot be read at all
  file-name, file-date, number-is-ours, number-twice        how files are named
  syntax, not-understood, acceptance, transaction, unknown-table, unknown-column, wrong-type, missing-value
  unknown-word, out-of-range, every-row, duplicate-client, duplicate-row, unknown-client, client-later
  secret-plain, secret-weak, secret-in-comment, secret-in-file, no-secret, public-with-secret
  redirect-uri, logout-uri, other-uri, no-redirect-uri, no-logout-uri
  plain-http, private-scheme, client-id, audience
  public-without-pkce, public-machine, scope, sector, refresh-token, consent-ignored
  access-closed, access-open, scope-undescribed, scope-standard, claim-untold, claim-name, claim-value";

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

/// The code of a file that cannot be read.
const UNREADABLE: &str = "unreadable";

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    file: String,
    /// From 1.
    line: usize,
    /// The statement, counted through all files from 1; 0: outside of them.
    statement: usize,
}

impl Place {
    /// The beginning of a file.
    fn of_file(file: &str) -> Self {
        Self { file: file.to_owned(), line: 1, statement: 0 }
    }

    /// Another line of the same statement.
    fn at_line(&self, line: usize) -> Self {
        Self { line, ..self.clone() }
    }
}

/// One finding.
#[derive(Debug)]
struct Finding {
    place: Place,
    level: Level,
    code: &'static str,
    why: String,
    fix: String,
    /// Whether a comment may accept it.
    is_acceptable: bool,
}

impl Finding {
    fn new(place: Place, fault: Fault) -> Self {
        let Fault { level, code, why, mut fix, is_own_risk, .. } = fault;
        if is_own_risk {
            let _ = write!(fix, ", or write -- hallpass: accept {code}: REASON before the statement");
        }
        Self { place, level, code, why, fix, is_acceptable: is_own_risk || level == Level::Warning }
    }
}

/// The issuer that users will see, if it is known here: a CI without the provider's settings has the default, and nothing can
/// be said about sites then.
fn known_issuer(config: &Config) -> Option<&str> {
    let is_default = SETTINGS.iter().any(|setting| setting.name == "issuer" && setting.default == config.issuer);
    (!is_default).then_some(config.issuer.as_str())
}

pub(super) async fn run(config: Config, lint: Lint) -> Outcome {
    let place = lint.place.clone().unwrap_or_else(|| config.migrations_or_default());
    let Review { files, findings, accepted } = review(&place, known_issuer(&config)).await?;
    let is_error = |finding: &Finding| finding.level == Level::Error || lint.strict;
    let errors = findings.iter().filter(|finding| is_error(finding)).count();
    let warnings = findings.len() - errors;
    if lint.json {
        let documents = findings.iter().map(|finding| {
            json!({
                "file": finding.place.file,
                "line": finding.place.line,
                "level": if is_error(finding) { "error" } else { "warning" },
                "code": finding.code,
                "why": finding.why,
                "fix": finding.fix,
            })
        });
        let documents: serde_json::Value = documents.collect();
        let accepted = accepted.iter().map(|(finding, reason)| {
            json!({
                "file": finding.place.file,
                "line": finding.place.line,
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
            let Finding { place: Place { file, line, .. }, code, why, fix, .. } = finding;
            let level = if is_error(finding) { "" } else { " (warning)" };
            println!("{file}:{line}: {code}{level}: {}; {fix}", terminal::one_line(why));
        }
    }
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    let mut summary = format!("{}: {}, {}", count(files, "file"), count(errors, "error"), count(warnings, "warning"));
    if !accepted.is_empty() {
        let _ = write!(summary, ", {} accepted", accepted.len());
    }
    if errors > 0 {
        return Err(Failure::new(summary));
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
async fn review(place: &std::path::Path, issuer: Option<&str>) -> Result<Review, Failure> {
    let (files, mut findings) = files::read(place)?;
    let mut reviewed = rows::Rows::new().await?;
    let unread = findings.iter().filter(|finding| finding.code == UNREADABLE).count();
    if unread > 0 {
        reviewed.note_unread();
    }
    let judged = async {
        for file in &files {
            reviewed.take(file).await?;
        }
        reviewed.judge(issuer).await
    };
    let (judged, orders) = judged.await?;
    reviewed.close().await;
    findings.extend(judged);
    // Each text is told of once, by the rule that knows it best.
    let plain: Vec<Place> =
        findings.iter().filter(|finding| finding.code == "secret-plain").map(|finding| finding.place.clone()).collect();
    findings.retain(|Finding { code, place, .. }| {
        *code != "secret-in-file" || !plain.iter().any(|other| other.file == place.file && other.line == place.line)
    });
    // What a statement was refused for may hold in the end, too.
    let mut told = BTreeSet::new();
    findings.retain(|Finding { place, code, why, .. }| {
        told.insert((place.file.clone(), place.line, place.statement, *code, why.clone()))
    });
    let (mut findings, accepted) = accepted::sort_out(findings, &orders);
    findings.sort_by(|one, other| (&one.place.file, one.place.line).cmp(&(&other.place.file, other.place.line)));
    Ok(Review { files: files.len() + unread, findings, accepted })
}

/// Whether a file of the migrations folder registers that client; `None` where there is no folder to look at.
pub(super) fn registers(config: &Config, client_id: &str) -> Option<bool> {
    let folder = config.migrations_or_default();
    if !folder.is_dir() {
        return None;
    }
    let (files, _) = files::read(&folder).ok()?;
    let registers = async {
        let mut reviewed = rows::Rows::new().await.ok()?;
        for file in &files {
            reviewed.take(file).await.ok()?;
        }
        let registers = reviewed.registers(client_id).await;
        reviewed.close().await;
        registers
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?.block_on(registers)
}
