//! `hallpass client disable`: acts through the database, on every running node within ten seconds; or writes a migration.

use super::written::{is_standard_output, no_client, write_migration};
use crate::ambient::Clock;
use crate::commands::acceptance::client_id_fault;
use crate::commands::terminal::{self, instant, one_line};
use crate::commands::{Outcome, with_runtime};
use crate::config::Config;
use crate::failure::Failure;
use crate::logging;
use crate::store::clients;
use crate::web::remedies::quoted;
use std::path::PathBuf;

pub(super) const HELP: &str =
    "It acts at once, through the database: every running node refuses the client within ten seconds, its sign-ins, \
its tokens and its secret. Nothing is deleted; UPDATE clients SET disabled_at = NULL brings it back.

Examples:
  hallpass client disable reports                 asks first
  hallpass client disable reports --yes           in a script
  hallpass client disable reports --migration     writes a dated migration for review instead";

#[derive(clap::Args)]
pub(in crate::commands) struct Disable {
    /// The client's `client_id`
    id: String,
    /// Do not ask; a script must say so
    #[arg(long)]
    yes: bool,
    /// Change nothing now: write a dated migration into the migrations folder
    #[arg(long, conflicts_with = "yes")]
    migration: bool,
    /// Change nothing now: write the migration into this file, or - for standard output
    #[arg(long, value_name = "FILE", conflicts_with = "yes")]
    output: Option<PathBuf>,
}

pub(super) fn run(config: Config, disable: Disable) -> Outcome {
    // One that was accepted with a reason when it was registered is as good as any other here.
    if let Some(fault) = client_id_fault(&disable.id).filter(|fault| fault.code.is_none()) {
        return Err(Failure::new(fault.why));
    }
    if disable.migration || disable.output.is_some() {
        let now = Clock::System.now();
        let sql = format!(
            "-- Disables the client {}: no user can sign in there, and its tokens and secrets are refused.\n\
             -- To bring it back: UPDATE clients SET disabled_at = NULL WHERE client_id = {};\n\n\
             UPDATE clients SET disabled_at = {now} -- {}\nWHERE client_id = {} AND disabled_at IS NULL;\n",
            disable.id,
            quoted(&disable.id),
            instant(now),
            quoted(&disable.id),
        );
        write_migration(&config, disable.output.as_deref(), &format!("disable_client_{}", disable.id), &sql)?;
        if is_standard_output(disable.output.as_deref()) {
            eprintln!("Nothing is changed yet: that SQL is for the database.");
        }
        return Ok(());
    }
    with_runtime(at_once(config, disable))
}

async fn at_once(config: Config, disable: Disable) -> Outcome {
    logging::start("warn");
    if !disable.yes && !terminal::is_there() {
        terminal::confirm(&["client", "disable"], "", false)?;
    }
    let db = terminal::open_database(&config).await?;
    // Also a client whose row cannot be served.
    let found = clients::name_and_end(&db, &disable.id).await?;
    let Some((name, disabled_at)) = found else {
        return Err(no_client(&disable.id));
    };
    if let Some(since) = disabled_at {
        eprintln!("{} is disabled since {}; nothing was changed", disable.id, instant(since));
        return Ok(());
    }
    let what = format!(
        "Disable {} ({})? No user can sign in there any more, and its tokens end.",
        disable.id,
        one_line(if name.is_empty() { &disable.id } else { &name })
    );
    terminal::confirm(&["client", "disable"], &what, disable.yes)?;
    clients::disable(&db, &disable.id, Clock::System.now()).await?;
    db.close().await;
    eprintln!(
        "disabled {}; every node refuses it within ten seconds.\n\
         To bring it back: UPDATE clients SET disabled_at = NULL WHERE client_id = {};",
        disable.id,
        quoted(&disable.id)
    );
    Ok(())
}
