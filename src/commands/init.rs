//! `hallpass init`: a production set-up to begin with, in the current folder. It overwrites nothing.

use crate::ambient::Clock;
use crate::commands::{Outcome, client};
use crate::config::{Config, DatabaseUrl, EphemeralUrl};
use crate::failure::Failure;
use crate::keys;
use crate::protocol::response::SigningAlgorithm;
use secrecy::ExposeSecret as _;
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
}

/// The file of settings.
const FILE: &str = "hallpass.toml";

pub(super) fn run(config: &Config, init: Init) -> Outcome {
    if config.issuer.starts_with("http://") {
        eprintln!(
            "hallpass: {} is for trying; users of other machines need https: --issuer https://id.example.com",
            config.issuer
        );
    }
    if Path::new(FILE).exists() {
        eprintln!("{FILE} is there, and stays as it is");
    } else {
        write_settings(config)?;
        eprintln!("Wrote {FILE}, which only its owner can read");
    }
    for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256] {
        let now = Clock::System.now();
        let there = if config.keys.is_dir() { keys::KeySet::load(&config.keys)?.algorithms(now) } else { Vec::new() };
        if there.contains(&algorithm) {
            eprintln!("{}: a key signs with {algorithm}, and stays as it is", config.keys.display());
        } else {
            eprintln!("Wrote {}", keys::create(&config.keys, algorithm, now)?.display());
        }
    }
    let migrations = config.migrations_or_default();
    std::fs::create_dir_all(&migrations).map_err(|error| Failure::at(migrations.display(), error))?;
    if let Some(id) = init.client {
        client::first(config, id, init.redirect_uri)?;
    }
    eprintln!(
        "\nNext:\n  hallpass migrate\n  hallpass user add NAME --email ADDRESS\n  hallpass doctor\n  hallpass serve\n\
         Keep {} and {} in a safe place: who has a key can sign as this provider.",
        config.keys.display(),
        FILE
    );
    Ok(())
}

/// Writes the settings; one that may hold a password is for the owner alone.
fn write_settings(config: &Config) -> Result<(), Failure> {
    let fault = |error: std::io::Error| Failure::at(FILE, error);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(FILE).map_err(fault)?;
    file.write_all(text(config).as_bytes()).map_err(fault)
}

fn text(config: &Config) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let mut text = String::from(
        "# `hallpass serve --help` lists every setting. A flag or a HALLPASS_… variable comes before this file.\n\n",
    );
    let mut line = |comment: &str, name: &str, value: Option<&str>, example: &str| {
        let _ = match value {
            Some(value) => writeln!(text, "# {comment}\n{name} = {}\n", quoted(value)),
            None => writeln!(text, "# {comment}\n# {name} = {}\n", quoted(example)),
        };
    };
    line("The address that users and services use, exactly.", "issuer", Some(&config.issuer), "");
    line("Where this process listens; a proxy in front speaks https.", "listen", Some(&config.listen.to_string()), "");
    line("Health and readiness; never public.", "management_listen", Some(&config.management_listen.to_string()), "");
    let database = match &config.database_url {
        DatabaseUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
        DatabaseUrl::Postgres(url) => url.expose_secret().to_owned(),
    };
    line("Users, clients, consents, the audit.", "database_url", Some(&database), "");
    let redis = match &config.redis_url {
        EphemeralUrl::Memory => None,
        EphemeralUrl::Redis(url) => Some(url.expose_secret()),
    };
    line(
        "Sign-ins and codes; without it they are in this one process, and end with it.",
        "redis_url",
        redis,
        "redis://127.0.0.1:6379",
    );
    line("The folder of signing keys.", "keys", Some(&config.keys.display().to_string()), "");
    let migrations = config.migrations_or_default();
    line("The folder of your migration files.", "migrations", Some(&migrations.display().to_string()), "");
    let proxies: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    let proxies = proxies.join(",");
    line(
        "The proxies in front, whose X-Forwarded-For is believed: without it all users count as one network.",
        "trusted_proxies",
        (!proxies.is_empty()).then_some(proxies.as_str()),
        "10.0.0.5/32",
    );
    text
}
