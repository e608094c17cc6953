//! `hallpass client rotate-secret`: a second secret, and an end for the first, so that nothing stops meanwhile.

use super::lint;
use super::settings::{Registration, Stack};
use super::written::{SecretArguments, is_standard_output, write_migration};
use crate::ambient::Clock;
use crate::commands::Outcome;
use crate::commands::acceptance::client_id_fault;
use crate::commands::terminal::{self, instant, parse_instant, parse_span};
use crate::config::Config;
use crate::failure::Failure;
use crate::protocol::response::ClientAuthMethod;
use crate::protocol::secret::ClientSecret;
use crate::protocol::time::NumericDate;
use crate::web::remedies::quoted;
use serde_json::json;
use std::path::PathBuf;

pub(super) const HELP: &str = "Both secrets are good until the old one ends, so the service can be changed in between.

Examples:
  hallpass client rotate-secret reports                  the old one ends in 7 days
  hallpass client rotate-secret reports --ends-in 24h
  hallpass client rotate-secret reports --ends-in 0      it leaked: the old one ends at once
  hallpass client rotate-secret reports --ends-at 2026-12-01T00:00:00Z
  hallpass client rotate-secret reports --secret-stdin < secret.txt

Then: hallpass client lint && hallpass migrate, and the new secret into the service's settings.";

#[derive(clap::Args)]
pub(in crate::commands) struct Rotate {
    /// The client's `client_id`
    id: String,
    /// How long the secrets from before stay good: 0, or a number with s, m, h or d
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = parse_span)]
    ends_in: i64,
    /// Until when, such as 2026-12-01T00:00:00Z
    #[arg(long, value_name = "INSTANT", conflicts_with = "ends_in", value_parser = parse_instant)]
    ends_at: Option<NumericDate>,
    /// What the new secret is called in `client show`
    #[arg(long)]
    label: Option<String>,
    #[command(flatten)]
    secret: SecretArguments,
    /// The file to write, or - for standard output [default: a dated one in the migrations folder]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: &Config, rotate: &Rotate) -> Outcome {
    let to_standard_output = is_standard_output(rotate.output.as_deref());
    if rotate.json && to_standard_output {
        terminal::wrong_usage(&["client", "rotate-secret"], "--json and --output -: standard output cannot hold both");
    }
    // One that was accepted with a reason when it was registered is as good as any other here.
    if let Some(fault) = client_id_fault(&rotate.id).filter(|fault| fault.code.is_none()) {
        return Err(Failure::new(fault.why));
    }
    let now = Clock::System.now();
    let ends_at = rotate.ends_at.unwrap_or(now.plus(rotate.ends_in));
    if ends_at < now {
        return Err(Failure::new("--ends-at lies in the past").with_fix("--ends-in 0 ends the old secrets at once"));
    }
    let secret = rotate.secret.secret()?;
    let Some(hash) = secret.hash() else { return Ok(()) };
    let id = quoted(&rotate.id);
    let label = rotate.label.as_deref().map_or_else(|| "NULL".to_owned(), |label| quoted(&terminal::one_line(label)));
    let sql = format!(
        "-- A new secret for the client {}, made {}.\n--\n\
         -- The secrets from before end {}; one that ends sooner keeps its end. Until then all are good, so that\n\
         -- the service can be changed in between. Should the review take longer, move both numbers of that instant.\n\n\
         UPDATE client_secrets SET client_secret_expires_at = {ends_at} -- {}\n\
         WHERE client_id = {id} AND (client_secret_expires_at = 0 OR client_secret_expires_at > {ends_at});\n\n\
         -- argon2id; the secret itself is nowhere in this file.\n\
         INSERT INTO client_secrets (client_id, secret_hash, label, created_at)\nVALUES ({id}, {}, {label}, {now});\n",
        rotate.id,
        instant(now),
        instant(ends_at),
        instant(ends_at),
        quoted(hash),
    );
    let words = format!("rotate_secret_{}", rotate.id);
    let file = write_migration(config, rotate.output.as_deref(), &words, &sql)?;
    eprintln!("The secrets from before end {}.", instant(ends_at));
    // Only what can be known without a database: a client registered by hand is in no file.
    if lint::registers(config, &rotate.id) == Some(false) {
        eprintln!(
            "hallpass: no file of {} registers {}; the migration fails where it is not registered",
            config.migrations_or_default().display(),
            rotate.id
        );
    }
    if secret.shown().is_some() {
        eprintln!("The new secret is shown this once; it is not in the file.");
    }
    let registration = Registration {
        issuer: &config.issuer,
        client_id: &rotate.id,
        client_secret: secret.shown().map(ClientSecret::expose),
        is_public: false,
        scope: "",
        redirect_uris: &[],
        post_logout_redirect_uris: &[],
        auth_method: ClientAuthMethod::ClientSecretBasic,
        client_uri: None,
    };
    if rotate.json {
        return terminal::print_json(&json!({
            "client_id": rotate.id,
            "client_secret": registration.client_secret,
            "others_end_at": instant(ends_at),
            "file": file.map(|file| file.display().to_string()),
        }));
    }
    let settings = registration.settings(Stack::Env)?;
    if to_standard_output {
        eprint!("{settings}");
    } else {
        print!("{settings}");
    }
    Ok(())
}
