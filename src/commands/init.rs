//! `hallpass init`: a production set-up to begin with, in the current folder. It overwrites nothing.

use crate::ambient::Clock;
use crate::commands::key::factors::rows;
use crate::commands::terminal::Report;
use crate::commands::{Outcome, client};
use crate::config::{Config, RawConfig, SETTINGS, Setting};
use crate::failure::Failure;
use crate::keys::{self, factors};
use crate::protocol::response::SigningAlgorithm;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

pub(super) const HELP: &str = "Settings given as flags or variables are what is written; the rest has its default. What is there already stays as it is, \
and is named.

Examples:
  hallpass init --issuer https://id.example.com
  hallpass init --issuer https://id.example.com --database-url postgres://hallpass@db.example.com/hallpass \\
      --redis-url redis://cache.example.com
  hallpass init --issuer https://id.example.com --client reports --redirect-uri https://reports.example.com/signin-oidc

Then: hallpass migrate, hallpass user add NAME --email ADDRESS, hallpass doctor, hallpass serve";

#[derive(clap::Args)]
pub(super) struct Init {
    /// Also write the migration of a first client with this id
    #[arg(long, value_name = "ID", requires = "redirect_uri")]
    client: Option<String>,
    /// Where the first client's answers are sent
    #[arg(long, value_name = "URI", requires = "client")]
    redirect_uri: Vec<String>,
    #[command(flatten)]
    report: Report,
}

/// The factor keys by which the database has secrets already, if it has any: another would hide that they are not here.
fn sealed_by(config: &Config) -> Option<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let ids: Vec<String> = runtime.block_on(rows(config))?.into_keys().collect();
    Some(ids).filter(|ids| !ids.is_empty())
}

/// The file of settings.
const FILE: &str = "hallpass.toml";

pub(super) fn run(config: &Config, given: &[(&'static Setting, String)], init: Init) -> Outcome {
    if config.issuer.starts_with("http://") {
        eprintln!(
            "hallpass: {} is for trying; users of other machines need https: --issuer https://id.example.com",
            config.issuer
        );
    }
    let mut written = Vec::new();
    if Path::new(FILE).exists() {
        eprintln!("{FILE} is there, and stays as it is");
    } else {
        write_settings(given)?;
        written.push(FILE.to_owned());
        eprintln!("Wrote {FILE}, which only its owner can read");
    }
    for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256] {
        let now = Clock::System.now();
        let there = if config.keys.is_dir() { keys::KeySet::load(&config.keys)?.algorithms(now) } else { Vec::new() };
        if there.contains(&algorithm) {
            eprintln!("{}: a key signs with {algorithm}, and stays as it is", config.keys.display());
        } else {
            let file = keys::create(&config.keys, algorithm, now)?.display().to_string();
            eprintln!("Wrote {file}");
            written.push(file);
        }
    }
    if !factors::FactorKeySet::load(&config.keys)?.all().is_empty() {
        eprintln!("{}: there is a factor key, and it stays as it is", config.keys.display());
    } else if let Some(ids) = sealed_by(config) {
        eprintln!(
            "{}: no factor key was made, as the database has secrets that others sealed ({}): bring their files here, or say \
             `{}`",
            config.keys.display(),
            ids.join(", "),
            factors::NEW
        );
    } else {
        let file = factors::create(&config.keys, Clock::System.now())?.display().to_string();
        eprintln!(
            "Wrote {file}, which seals the secrets of authenticators: keep a copy, as what it seals opens by it alone"
        );
        written.push(file);
    }
    let migrations = config.migrations_or_default();
    std::fs::create_dir_all(&migrations).map_err(|error| Failure::at(migrations.display(), error))?;
    let client = match init.client {
        Some(id) => client::first(config, id, init.redirect_uri, init.report.is_json())?,
        None => None,
    };
    written.extend(client.as_ref().and_then(|client| client["file"].as_str()).map(str::to_owned));
    init.report.print(&json!({ "files": written, "client": client }), None)?;
    eprintln!(
        "\nNext:\n  hallpass migrate\n  hallpass user add NAME --email ADDRESS\n  hallpass doctor\n  hallpass serve\n\
         Keep {} and {} in a safe place: who has a key can sign as this provider.",
        config.keys.display(),
        FILE
    );
    Ok(())
}

/// What was said of each setting, by flag or variable.
pub(super) fn given(raw: &RawConfig) -> Vec<(&'static Setting, String)> {
    SETTINGS.iter().filter_map(|setting| Some((setting, raw.given(setting)?.0.to_owned()))).collect()
}

/// Writes the settings; one that may hold a password is for the owner alone.
fn write_settings(given: &[(&'static Setting, String)]) -> Result<(), Failure> {
    let fault = |error: std::io::Error| Failure::at(FILE, error);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(FILE).map_err(fault)?;
    file.write_all(text(given).as_bytes()).map_err(fault)
}

/// Every setting with its meaning: as it was given, or as a comment with its default.
fn text(given: &[(&'static Setting, String)]) -> String {
    let mut text = String::from(
        "# `hallpass serve --help` says more of each. A flag or a HALLPASS_… variable comes before this file.\n",
    );
    for setting in SETTINGS {
        let value = given.iter().find(|(of, _)| of.name == setting.name).map(|(_, value)| value.as_str());
        let example = if setting.default.is_empty() { setting.example } else { setting.default };
        let (mark, value) = value.map_or(("# ", example), |value| ("", value));
        let value = toml::Value::from(value);
        let _ = writeln!(text, "\n# {}\n{mark}{} = {value}", setting.meaning, setting.name);
    }
    text
}
