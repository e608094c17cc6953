//! `hallpass group claim …`: claims that every member of a group has.

use super::find;
use crate::ambient::Clock;
use crate::commands::further_claims::{self, Whose};
use crate::commands::terminal::Report;
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::store::further_claims::Holder;
use crate::store::groups::Group;
use serde_json::json;

pub(super) const HELP: &str =
    "Examples:\n  hallpass group claim set finance cost_center 4711\n  hallpass group claim list finance";

#[derive(clap::Subcommand)]
pub(in crate::commands) enum ClaimCommand {
    /// Give every member of a group a claim, for as long as the membership lasts
    #[command(after_help = "What is no JSON is taken as a text.\n\n\
            Examples:\n  hallpass group claim set finance cost_center 4711\n  \
            hallpass group claim set editors entitlements '[\"read\", \"write\"]'")]
    Set {
        /// The group
        group: String,
        /// The claim's name
        claim: String,
        /// Its value: JSON, or a text
        #[arg(allow_hyphen_values = true)]
        value: String,
        #[command(flatten)]
        report: Report,
    },
    /// Take a claim from a group
    #[command(after_help = "Examples:\n  hallpass group claim unset finance cost_center")]
    Unset {
        /// The group
        group: String,
        /// The claim's name
        claim: String,
        #[command(flatten)]
        report: Report,
    },
    /// List the claims of a group
    #[command(
        after_help = "Examples:\n  hallpass group claim list finance\n  hallpass group claim list finance --json | jq '.claims[]'"
    )]
    List {
        /// The group
        group: String,
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
    let now = Clock::System.now();
    match command {
        ClaimCommand::Set { group, claim, report, .. } | ClaimCommand::Unset { group, claim, report } => {
            let group = find(&db, &group, now).await?;
            further_claims::change(&db, &whose(&group), &claim, typed.as_ref(), report).await?;
        }
        ClaimCommand::List { group, json } => {
            let group = find(&db, &group, now).await?;
            further_claims::list(&db, &whose(&group), json).await?;
        }
    }
    db.close().await;
    Ok(())
}

fn whose(group: &Group) -> Whose<'_> {
    Whose {
        holder: Holder::Group(&group.name),
        name: format!("the group {}", terminal::one_line(&group.name)),
        document: json!({ "group": group.name }),
    }
}
