//! `hallpass user claim …`: claims of one user beyond the standard ones.

use super::{document_of, find, named};
use crate::commands::further_claims::{self, Whose};
use crate::commands::terminal::Report;
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::protocol::claims::User;
use crate::store::further_claims::Holder;
use serde_json::json;

pub(super) const HELP: &str =
    "Examples:\n  hallpass user claim set alice department Sales\n  hallpass user claim list alice";

#[derive(clap::Subcommand)]
pub(in crate::commands) enum ClaimCommand {
    /// Give a user a claim, at once and on every node within ten seconds
    #[command(
        after_help = "Standard claims, such as name, have columns of their own, and groups their own table. What is no JSON is taken as a \
            text. Which services are told, `hallpass client claim` says.\n\n\
            Examples:\n  hallpass user claim set alice department Sales\n  hallpass user claim set alice level 5\n  \
            hallpass user claim set alice entitlements '[\"read\", \"write\"]'"
    )]
    Set {
        /// User name or e-mail address
        username: String,
        /// The claim's name
        claim: String,
        /// Its value: JSON, or a text
        #[arg(allow_hyphen_values = true)]
        value: String,
        #[command(flatten)]
        report: Report,
    },
    /// Take a claim from a user
    #[command(after_help = "Those of a user's groups stay.\n\nExamples:\n  hallpass user claim unset alice department")]
    Unset {
        /// User name or e-mail address
        username: String,
        /// The claim's name
        claim: String,
        #[command(flatten)]
        report: Report,
    },
    /// List the claims of a user, with where each comes from
    #[command(
        after_help = "Where one claim comes several times with unlike values, services are told a list of them.\n\n\
            Examples:\n  hallpass user claim list alice\n  hallpass user claim list alice --json | jq '.claims[]'"
    )]
    List {
        /// User name or e-mail address
        username: String,
        /// Print a JSON object instead
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(config: Config, command: ClaimCommand) -> Outcome {
    // What cannot be is refused before a database is asked.
    let typed = match &command {
        ClaimCommand::Set { claim, value, .. } => Some(further_claims::read(claim, value)?),
        ClaimCommand::Unset { .. } | ClaimCommand::List { .. } => None,
    };
    let db = terminal::open_database(&config).await?;
    match command {
        ClaimCommand::Set { username, claim, report, .. } | ClaimCommand::Unset { username, claim, report } => {
            let user = find(&db, &username).await?;
            further_claims::change(&db, &whose(&user), &claim, typed.as_ref(), report).await?;
        }
        ClaimCommand::List { username, json } => {
            let user = find(&db, &username).await?;
            further_claims::list(&db, &whose(&user), json).await?;
        }
    }
    db.close().await;
    Ok(())
}

fn whose(user: &User) -> Whose<'_> {
    Whose { holder: Holder::User(&user.sub), name: named(user), document: document_of(user, json!({})) }
}
