//! `hallpass doctor`: our own set-up, any provider, any service, or a token, checked; one line for each check.
//!
//! `ours` looks at settings, files and at ourselves from outside, `stores` at database and Redis; `provider` at a provider, `party` at a
//! service, `token` at what somebody pasted. Nothing is followed blindly, and nothing lasting is changed.

mod ours;
mod party;
mod provider;
mod stores;
mod token;

use crate::ambient::Clock;
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::keys::certificate_ends_at;
use crate::logging;
use crate::protocol::client::is_loopback_host;
use crate::protocol::time::NumericDate;
use crate::web::outbound::{Fetched, Outbound};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::PathBuf;
use url::Url;

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    hallpass doctor                                          our own set-up\n  \
    hallpass doctor https://id.example.com                   any provider, by its issuer\n  \
    hallpass doctor https://reports.example.com/signin-oidc  a service's address\n  \
    hallpass doctor --client reports                         every address of a client registered here\n  \
    hallpass doctor https://id.example.com --token - --audience reports < token.txt\n\n\
    With --token, a second line on standard input may hold the access token that was issued beside an id_token; \
    then at_hash is checked too. Neither is printed. With --client, the back-channel address is sent a logout token \
    that is none. The status is 1 when there is a fault.")]
pub(super) struct Arguments {
    /// A provider's issuer or discovery URL, or any address of a service; without it: our own set-up
    url: Option<String>,
    /// Check every address of this client, as its row here has them
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Check a token, which is read from standard input
    #[arg(long, value_name = "-", value_parser = only_standard_input)]
    token: Option<String>,
    /// Who the token must be for (aud)
    #[arg(long, value_name = "AUD", requires = "token")]
    audience: Option<String>,
    /// The nonce that it must have
    #[arg(long, requires = "token")]
    nonce: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn only_standard_input(text: &str) -> Result<String, String> {
    if text == "-" {
        Ok(text.to_owned())
    } else {
        Err("a token on the command line could be read by others; say - and give it on standard input".to_owned())
    }
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
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

struct Check {
    name: String,
    verdict: Verdict,
    what: String,
    fix: Option<String>,
}

/// The checks in the order in which they were made.
#[derive(Default)]
struct Report {
    checks: Vec<Check>,
}

impl Report {
    fn ok(&mut self, name: &str, what: impl Into<String>) {
        self.checks.push(Check { name: name.to_owned(), verdict: Verdict::Ok, what: what.into(), fix: None });
    }

    fn warning(&mut self, name: &str, what: impl Into<String>, fix: impl Into<String>) {
        self.push(name, Verdict::Warning, what.into(), fix.into());
    }

    fn fault(&mut self, name: &str, what: impl Into<String>, fix: impl Into<String>) {
        self.push(name, Verdict::Fault, what.into(), fix.into());
    }

    /// An error that may carry its fix, as ours do.
    fn error(&mut self, name: &str, error: &str, fix: &str) {
        match error.split_once("\n  Fix: ") {
            Some((what, own)) => self.fault(name, what, own),
            None => self.fault(name, error, fix),
        }
    }

    fn push(&mut self, name: &str, verdict: Verdict, what: String, fix: String) {
        self.checks.push(Check { name: name.to_owned(), verdict, what, fix: Some(fix) });
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }

    fn text(&self) -> String {
        use std::fmt::Write as _;
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for Check { name, verdict, what, fix } in &self.checks {
            // Whatever somebody answered must not reach the terminal as control characters.
            let what: String = what.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let _ = writeln!(text, "{:<7}  {name:<width$}  {what}", verdict.as_str());
            if let Some(fix) = fix {
                let _ = writeln!(text, "{:<9}{:<width$}  Fix: {}", "", "", fix.replace('\n', " "));
            }
        }
        text
    }

    fn json(&self) -> Value {
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

pub(super) async fn run(config: Config, file: Option<PathBuf>, arguments: Arguments) -> Outcome {
    logging::start("error");
    let now = Clock::System.now();
    let outbound = Outbound::new(config.outbound_ca.as_deref())?;
    let mut report = Report::default();
    let target = arguments.url.as_deref().map(address).transpose()?;
    if arguments.token.is_some() {
        let mut input = zeroize::Zeroizing::new(String::new());
        std::io::stdin().lock().read_to_string(&mut input).map_err(|error| format!("standard input: {error}"))?;
        let issuer = target.as_ref().map_or(config.issuer.as_str(), Url::as_str);
        let wanted = token::Wanted { audience: arguments.audience.as_deref(), nonce: arguments.nonce.as_deref() };
        token::check(&mut report, &outbound, issuer, &input, &wanted, now).await?;
    } else if let Some(url) = &target {
        if provider::is_provider(&outbound, url).await {
            provider::check(&mut report, &outbound, url.as_str(), now).await;
        } else {
            party::check_address(&mut report, &outbound, "address", url).await;
        }
    } else if arguments.client.is_none() {
        ours::check(&mut report, &outbound, &config, file, now).await;
    }
    if let Some(client) = &arguments.client {
        party::check_client(&mut report, &outbound, &config, client, now).await?;
    }
    if arguments.json {
        terminal::print_json(&report.json())?;
    } else {
        print!("{}", report.text());
    }
    let [ok, warnings, faults] = [Verdict::Ok, Verdict::Warning, Verdict::Fault].map(|verdict| report.count(verdict));
    let summary = format!("{ok} ok, {warnings} warning{}, {faults} fault{}", plural(warnings), plural(faults));
    if faults == 0 {
        eprintln!("{summary}");
        Ok(())
    } else {
        Err(summary)
    }
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// An address that somebody typed.
fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| format!("{text:?} is no http or https address\n  Fix: write it as https://id.example.com"))
}

/// Whether others can read what is sent there.
fn is_open_on_the_way(url: &Url) -> bool {
    url.scheme() != "https" && !is_loopback_host(url)
}

/// How far clocks may differ before somebody refuses a token, in seconds.
const SKEW_WARNING: i64 = 5;
/// How far before everybody does.
const SKEW_FAULT: i64 = 60;

/// Says by how many seconds another clock is ahead of ours.
fn check_skew(report: &mut Report, name: &str, whose: &str, ahead: i64) {
    let fix = "let every machine keep its clock by NTP";
    match ahead.abs() {
        0..=SKEW_WARNING => report.ok(name, format!("{whose} agrees with this machine's")),
        seconds if seconds <= SKEW_FAULT => {
            report.warning(name, format!("{whose} differs from this machine's by {ahead} seconds"), fix);
        }
        _ => report.fault(name, format!("{whose} differs from this machine's by {ahead} seconds"), fix),
    }
}

/// The clock of whoever answered, by its `Date`.
fn check_date(report: &mut Report, answer: &Fetched, now: NumericDate) {
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
fn check_certificate(report: &mut Report, answer: &Fetched, now: NumericDate) {
    let Some(ends_at) = answer.certificate.as_deref().and_then(certificate_ends_at) else { return };
    let days = ends_at.since(now) / 86_400;
    let ends = format!("the certificate ends in {days} day{}", if days == 1 { "" } else { "s" });
    let fix = "renew it; whoever renews it by itself seems not to";
    match days {
        ..7 => report.fault("tls", ends, fix),
        7..21 => report.warning("tls", ends, fix),
        _ => report.ok("tls", format!("the certificate is good for {days} days")),
    }
}
