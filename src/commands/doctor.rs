//! `hallpass doctor`: our own set-up, any provider, any service, or a token, checked; one line for each check.
//!
//! `ours` looks at settings, files and at ourselves from outside, `stores` at database and Redis, `lately` at who was
//! throttled and which secrets end, `mail` at the mail server, `factors` at the keys that seal second factors; `provider` at a provider, `party` at a
//! service, `token` at what was pasted; `report` has what they found. Nothing is followed blindly, and nothing lasting is
//! changed.

mod factors;
mod lately;
mod mail;
mod ours;
mod party;
mod passkeys;
mod provider;
mod report;
mod stores;
mod token;

use crate::ambient::Clock;
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::failure::Failure;
use crate::logging;
use crate::web::outbound::Outbound;
use report::{Report, Verdict};
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

pub(super) async fn run(config: Config, file: Option<PathBuf>, arguments: Arguments) -> Outcome {
    logging::start("error");
    let now = Clock::System.now();
    let outbound = Outbound::new(config.outbound_ca.as_deref())?;
    let mut report = Report::default();
    let target = arguments.url.as_deref().map(address).transpose()?;
    if arguments.token.is_some() {
        let mut input = zeroize::Zeroizing::new(String::new());
        std::io::stdin().lock().read_to_string(&mut input).map_err(|error| Failure::at("standard input", error))?;
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
        Err(Failure::new(summary))
    }
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// An address that was typed.
fn address(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| {
        Failure::new(format!("{text:?} is no http or https address")).with_fix("write it as https://id.example.com")
    })
}
