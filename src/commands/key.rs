//! `hallpass key new`: a signing key, whose file's name is its timetable.

use crate::commands::Outcome;
use crate::config::Config;
use crate::keys::{self, KeySet, PUBLISH_LEAD};
use crate::protocol::response::SigningAlgorithm;
use crate::protocol::time::NumericDate;
use crate::provider::Clock;

#[derive(clap::Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key; the first of its algorithm signs at once, a further one a day later
    New {
        /// RS256, PS256, ES256 or `EdDSA`
        #[arg(long, default_value = "RS256", value_parser = parse_algorithm)]
        alg: SigningAlgorithm,
        /// From when it signs, such as 2026-12-01T00:00:00Z
        #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
        signs_from: Option<NumericDate>,
    },
}

fn parse_algorithm(text: &str) -> Result<SigningAlgorithm, String> {
    SigningAlgorithm::SUPPORTED
        .iter()
        .copied()
        .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| "use RS256, PS256, ES256 or EdDSA".to_owned())
}

fn parse_instant(text: &str) -> Result<NumericDate, String> {
    keys::parse_instant(&text.replace(':', "")).ok_or_else(|| "write it as 2026-12-01T00:00:00Z".to_owned())
}

pub(super) fn run(config: &Config, command: &KeyCommand) -> Outcome {
    let KeyCommand::New { alg, signs_from } = command;
    let now = Clock::System.now();
    let set = if config.keys.is_dir() {
        KeySet::load(&config.keys).map_err(|error| error.to_string())?
    } else {
        KeySet::default()
    };
    let is_first = set.signing(*alg, now).is_none();
    let signs_from = signs_from.unwrap_or(if is_first { now } else { now.plus(PUBLISH_LEAD) });
    let path = keys::create(&config.keys, *alg, signs_from).map_err(|error| error.to_string())?;
    println!("{}", path.display());
    eprintln!("{alg}: published from now on, signs from {}", keys::instant_text(signs_from));
    if !is_first && signs_from < now.plus(keys::JWKS_MAX_AGE) {
        eprintln!("hallpass: services may keep the old key list for an hour and refuse this key's tokens until then");
    }
    Ok(())
}
