//! What the checks came to, and the checks that more than one of them makes: clocks, certificates, plain http.

use crate::commands::terminal::one_line;
use crate::failure::{Failure, Warning, fix_line};
use crate::keys::certificate_ends_at;
use crate::protocol::client::is_loopback_host;
use crate::protocol::time::NumericDate;
use crate::web::outbound::Fetched;
use serde_json::{Value, json};
use url::Url;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    Warning,
    Fault,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

pub(super) struct Check {
    name: String,
    verdict: Verdict,
    what: String,
    fix: Option<String>,
}

/// The checks in the order in which they were made.
#[derive(Default)]
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
}

impl Report {
    pub(super) fn ok(&mut self, name: &str, what: impl Into<String>) {
        self.checks.push(Check { name: name.to_owned(), verdict: Verdict::Ok, what: what.into(), fix: None });
    }

    pub(super) fn warning(&mut self, name: &str, what: impl Into<String>, fix: impl Into<String>) {
        self.push(name, Verdict::Warning, what.into(), fix.into());
    }

    pub(super) fn fault(&mut self, name: &str, what: impl Into<String>, fix: impl Into<String>) {
        self.push(name, Verdict::Fault, what.into(), fix.into());
    }

    /// Something that did not work; `fix` where the failure has none of its own.
    pub(super) fn failure(&mut self, name: &str, failure: impl Into<Failure>, fix: &str) {
        let failure = failure.into();
        self.fault(name, failure.to_string(), failure.fix().unwrap_or(fix));
    }

    pub(super) fn warned(&mut self, name: &str, Warning { what, fix }: Warning) {
        self.warning(name, what, fix);
    }

    fn push(&mut self, name: &str, verdict: Verdict, what: String, fix: String) {
        self.checks.push(Check { name: name.to_owned(), verdict, what, fix: Some(fix) });
    }

    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }

    pub(super) fn text(&self) -> String {
        use std::fmt::Write as _;
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for Check { name, verdict, what, fix } in &self.checks {
            // Whatever a server answered must not reach the terminal as control characters.
            let what = one_line(what);
            let _ = writeln!(text, "{:<7}  {name:<width$}  {what}", verdict.as_str());
            if let Some(fix) = fix {
                let _ = writeln!(text, "{:<9}{:<width$}  {}", "", "", fix_line(&one_line(fix)));
            }
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let checks: Vec<Value> = self
            .checks
            .iter()
            .map(|check| {
                json!({
                    "check": check.name,
                    "verdict": check.verdict.as_str(),
                    "what": check.what,
                    "fix": check.fix,
                })
            })
            .collect();
        json!({
            "ok": self.count(Verdict::Ok),
            "warnings": self.count(Verdict::Warning),
            "faults": self.count(Verdict::Fault),
            "checks": checks,
        })
    }
}

/// Whether others can read what is sent there.
pub(super) fn is_open_on_the_way(url: &Url) -> bool {
    url.scheme() != "https" && !is_loopback_host(url)
}

/// How far clocks may differ before some services refuse a token, in seconds.
const SKEW_WARNING: i64 = 5;
/// How far before all do.
const SKEW_FAULT: i64 = 60;

/// Says by how many seconds another clock is ahead of ours.
pub(super) fn check_skew(report: &mut Report, name: &str, whose: &str, ahead: i64) {
    let fix = "let every machine keep its clock by NTP";
    match ahead.abs() {
        0..=SKEW_WARNING => report.ok(name, format!("{whose} agrees with this machine's")),
        seconds if seconds <= SKEW_FAULT => {
            report.warning(name, format!("{whose} differs from this machine's by {ahead} seconds"), fix);
        }
        _ => report.fault(name, format!("{whose} differs from this machine's by {ahead} seconds"), fix),
    }
}

/// The clock of the server that answered, by its `Date`.
pub(super) fn check_date(report: &mut Report, answer: &Fetched, now: NumericDate) {
    let date = answer.header("date").and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    match date {
        Some(date) => check_skew(report, "clock", "its clock", date.timestamp().as_second().saturating_sub(now.0)),
        None => report.warning(
            "clock",
            "its answers have no Date, so its clock cannot be compared",
            "let the proxy pass Date on",
        ),
    }
}

/// How long the certificate is good for.
pub(super) fn check_certificate(report: &mut Report, answer: &Fetched, now: NumericDate) {
    let Some(ends_at) = answer.certificate.as_deref().and_then(certificate_ends_at) else { return };
    let days = ends_at.since(now) / 86_400;
    let ends = format!("the certificate ends in {days} day{}", if days == 1 { "" } else { "s" });
    let fix = "renew it; if it is renewed automatically, that seems to fail";
    match days {
        ..7 => report.fault("tls", ends, fix),
        7..21 => report.warning("tls", ends, fix),
        _ => report.ok("tls", format!("the certificate is good for {days} days")),
    }
}
