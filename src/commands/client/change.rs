//! `hallpass client disable`, `enable`, `edit` and `delete`: at once, through the database, on every running node within ten
//! seconds; or as a migration for review. The statements are the same either way.

use super::edit;
use super::told;
use super::written::{is_standard_output, no_client, write_migration};
use crate::ambient::Clock;
use crate::commands::acceptance::client_id_fault;
use crate::commands::group;
use crate::commands::judge::{self, Fault, Level};
use crate::commands::terminal::{self, instant, one_line};
use crate::commands::{Outcome, with_runtime};
use crate::config::Config;
use crate::failure::Failure;
use crate::logging;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::client::Client;
use crate::protocol::columns::RowFault;
use crate::protocol::time::NumericDate;
use crate::store::clients::{self, changes};
use crate::store::db::Db;
use crate::store::migrations::least_version;
use crate::web::remedies::quoted;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(super) const DISABLE_HELP: &str =
    "It acts at once, through the database: every running node refuses the client within ten seconds, its sign-ins, \
its tokens and its secret. Nothing is deleted; `hallpass client enable` brings it back.

Examples:
  hallpass client disable reports                 asks first
  hallpass client disable reports --yes           in a script
  hallpass client disable reports --migration     writes a dated migration for review instead";

pub(super) const ENABLE_HELP: &str = "Its secrets, refresh tokens and consents are as they were when it was disabled.

Examples:
  hallpass client enable reports                 asks first
  hallpass client enable reports --yes           in a script
  hallpass client enable reports --migration     writes a dated migration for review instead";

pub(super) const DELETE_HELP: &str =
    "Its addresses, secrets, refresh tokens and consents go with it, for good; it says how many before it \
asks. `hallpass client disable` is what can be undone.

Examples:
  hallpass client delete reports                 asks first
  hallpass client delete reports --yes           in a script
  hallpass client delete reports --migration     writes a dated migration for review instead";

/// Whose, and how it is done.
#[derive(clap::Args)]
pub(in crate::commands) struct Target {
    /// The client's `client_id`
    pub(super) id: String,
    /// Do not ask; a script must say so
    #[arg(long)]
    pub(super) yes: bool,
    /// Change nothing now: write a dated migration into the migrations folder
    #[arg(long, conflicts_with = "yes")]
    migration: bool,
    /// Change nothing now: write the migration into this file, or - for standard output
    #[arg(long, value_name = "FILE", conflicts_with = "yes")]
    output: Option<PathBuf>,
    /// Print what was done as a JSON object
    #[arg(long)]
    json: bool,
}

/// What is done to a client.
pub(in crate::commands) enum Change {
    Disable,
    Enable,
    Delete,
    Edit(edit::Edits),
    Told(told::Step),
}

impl Change {
    /// The words of the command after `client`.
    const fn words(&self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Delete => "delete",
            Self::Edit(_) => "edit",
            Self::Told(step) => step.words(),
        }
    }

    fn path(&self) -> Vec<&'static str> {
        std::iter::once("client").chain(self.words().split(' ')).collect()
    }

    /// The groups that have to be there.
    fn groups(&self) -> Vec<&str> {
        match self {
            Self::Edit(edits) => edits.groups(),
            Self::Told(step) => step.group().into_iter().collect(),
            Self::Disable | Self::Enable | Self::Delete => Vec::new(),
        }
    }

    const fn deletes(&self) -> bool {
        matches!(self, Self::Delete)
    }

    const fn event(&self) -> EventKind {
        match self {
            Self::Disable => EventKind::ClientDisabled,
            Self::Enable => EventKind::ClientEnabled,
            Self::Delete => EventKind::ClientDeleted,
            Self::Edit(_) | Self::Told(_) => EventKind::ClientEdited,
        }
    }

    /// What a migration says at its head.
    fn comment(&self, id: &str) -> String {
        match self {
            Self::Disable => format!(
                "-- Disables the client {id}: no user can sign in there, and its tokens and secrets are refused.\n\
                 -- To bring it back: hallpass client enable {id} --migration\n"
            ),
            Self::Enable => {
                format!("-- Enables the client {id} again, with the secrets, refresh tokens and consents it had.\n")
            }
            Self::Delete => format!(
                "-- Deletes the client {id}, and with it its addresses, secrets, refresh tokens and consents, for good.\n"
            ),
            Self::Edit(edits) => format!("-- Changes the client {id}.\n{}", edits.acceptances()),
            Self::Told(step) => step.comment(id),
        }
    }

    fn statements(&self, id: &str, now: NumericDate) -> Vec<String> {
        let id = quoted(id);
        match self {
            Self::Disable => vec![format!(
                "UPDATE clients SET disabled_at = {now} -- {}\nWHERE client_id = {id} AND disabled_at IS NULL;",
                instant(now)
            )],
            Self::Enable => vec![format!("UPDATE clients SET disabled_at = NULL WHERE client_id = {id};")],
            Self::Delete => vec![format!("DELETE FROM clients WHERE client_id = {id};")],
            Self::Edit(edits) => edits.statements(&id),
            Self::Told(step) => vec![step.statement(&id)],
        }
    }

    /// What is asked before it is done.
    async fn question(&self, db: &Db, found: &Found, now: NumericDate) -> Result<Asked, Failure> {
        let Found { id, name, disabled_at } = found;
        Ok(match (self, disabled_at) {
            (Self::Disable, Some(since)) => Asked::Nothing(format!("{id} is disabled since {}", instant(*since))),
            (Self::Disable, None) => Asked::Question(format!(
                "Disable {id} ({name})? No user can sign in there any more, and its tokens end."
            )),
            (Self::Enable, None) => Asked::Nothing(format!("{id} is enabled")),
            (Self::Enable, Some(since)) => {
                Asked::Question(format!("Enable {id} ({name}), disabled since {}?", instant(*since)))
            }
            (Self::Delete, _) => {
                let held = changes::holdings(db, id, now).await?;
                Asked::Question(format!(
                    "Delete {id} ({name}) for good, with {} secrets, {} addresses, {} good refresh tokens and the consents of {} users?",
                    held.secrets, held.redirect_uris, held.families, held.consents
                ))
            }
            (Self::Edit(edits), _) => asked(found, &edits.differences(db, id).await?),
            (Self::Told(step), _) => asked(found, &step.differences(db, id).await?),
        })
    }

    fn done(&self, id: &str) -> String {
        match self {
            Self::Disable => format!(
                "disabled {id}; every node refuses it within ten seconds. `hallpass client enable {id}` brings it back"
            ),
            Self::Enable => format!("enabled {id}; every node serves it within ten seconds"),
            Self::Delete => format!(
                "deleted {id}; every node refuses it within ten seconds. Should the id be registered anew within a day, give its row \
                 tokens_valid_after, or what the old one still holds is good again"
            ),
            Self::Edit(_) | Self::Told(_) => format!("changed {id}; every node knows within ten seconds"),
        }
    }
}

/// What is asked before something becomes something else.
fn asked(Found { id, name, .. }: &Found, differences: &[String]) -> Asked {
    match differences {
        [] => Asked::Nothing(format!("{id} is like that")),
        differences => Asked::Question(format!("Change {id} ({name})?\n  {}\n", differences.join("\n  "))),
    }
}

/// What is asked before a change.
enum Asked {
    /// Whether it is meant.
    Question(String),
    /// There is nothing to do, and why.
    Nothing(String),
}

/// A client that is there, whatever words its row has.
struct Found {
    id: String,
    name: String,
    disabled_at: Option<NumericDate>,
}

pub(super) fn run(config: Config, target: Target, change: Change) -> Outcome {
    // One that was accepted with a reason when it was registered is as good as any other here.
    if let Some(fault) = client_id_fault(&target.id).filter(|fault| fault.code.is_none()) {
        return Err(Failure::new(fault.why));
    }
    if target.migration || target.output.is_some() {
        if target.json && is_standard_output(target.output.as_deref()) {
            let what = "--json and --output -: standard output cannot hold both";
            terminal::wrong_usage(&change.path(), what);
        }
        let statements = change.statements(&target.id, Clock::System.now()).join("\n");
        let sql = format!("{}\n{statements}\n", change.comment(&target.id));
        let words = format!("{}_client_{}", change.words(), target.id);
        let file = write_migration(&config, target.output.as_deref(), &words, &sql)?;
        if target.json {
            return terminal::print_json(&document(&target, &change, false, file.as_deref()));
        }
        if is_standard_output(target.output.as_deref()) {
            eprintln!("Nothing is changed yet: that SQL is for the database.");
        }
        return Ok(());
    }
    with_runtime(at_once(config, target, change))
}

async fn at_once(config: Config, target: Target, change: Change) -> Outcome {
    logging::start("warn");
    let (path, id, now) = (change.path(), &target.id, Clock::System.now());
    if !target.yes && !terminal::is_there() {
        terminal::confirm(&path, "", false)?;
    }
    let db = terminal::open_database(&config).await?;
    // Also a client whose row cannot be served.
    let Some((name, disabled_at)) = clients::name_and_end(&db, id).await? else {
        return Err(no_client(id));
    };
    let name = one_line(if name.is_empty() { id } else { &name });
    for name in change.groups() {
        group::find(&db, name, now).await?;
    }
    let question = match change.question(&db, &Found { id: id.clone(), name, disabled_at }, now).await? {
        Asked::Question(question) => question,
        Asked::Nothing(why) => {
            db.close().await;
            return report(&target, &change, false, &format!("{why}; nothing was changed"));
        }
    };
    terminal::confirm(&path, &question, target.yes)?;
    let statements = change.statements(id, now);
    let event = Event::new(change.event(), now).by(id);
    // A row that cannot be served had faults of its own.
    let before = clients::find(&db, id).await.ok().flatten();
    let judge = |became| judged(before.as_ref(), became, &change, &config);
    let applied = changes::apply(&db, id, &statements, event, judge).await;
    let warnings = applied??;
    least_version(&db).await?;
    db.close().await;
    for warning in warnings {
        eprintln!("hallpass: {warning}");
    }
    report(&target, &change, true, &change.done(id))
}

/// What the client has become may be refused: what could not be served, or would not be safe, is not written at once.
fn judged(
    before: Option<&Client>,
    became: Option<Result<Client, RowFault>>,
    change: &Change,
    config: &Config,
) -> Result<Vec<String>, Failure> {
    if became.is_none() && !change.deletes() {
        return Err(Failure::new("the client was deleted meanwhile; nothing was changed"));
    }
    let accepts = |fault: &Fault| matches!(change, Change::Edit(edits) if edits.accepts(fault));
    let Some(became) = became.filter(|_| matches!(change, Change::Edit(_) | Change::Told(_))) else {
        return Ok(Vec::new());
    };
    let client = became.map_err(|RowFault { why, fix }| {
        Failure::new(format!("the client could not be served any more: {why}; nothing was changed")).with_fix(fix)
    })?;
    let faults_of = |client: &Client| {
        let mut found = judge::of_values(client);
        found.extend(judge::of_client(client, Some(&config.issuer), true));
        found
    };
    // What was there before is not the doing of this change.
    let before: Vec<String> = before.map(faults_of).unwrap_or_default().into_iter().map(|fault| fault.why).collect();
    let found: Vec<Fault> = faults_of(&client).into_iter().filter(|fault| !before.contains(&fault.why)).collect();
    if let Some(fault) = found.iter().find(|fault| fault.level == Level::Error && !accepts(fault)) {
        let fix = if fault.is_own_risk {
            format!("{}, or accept it with the reason: --accept '{}: REASON'", fault.fix, fault.code)
        } else {
            fault.fix.clone()
        };
        return Err(Failure::new(format!("{}; nothing was changed", fault.why)).with_fix(fix));
    }
    let warnings = found.into_iter().filter(|fault| !accepts(fault));
    Ok(warnings.map(|fault| format!("{}; {}", fault.why, fault.fix)).collect())
}

fn report(target: &Target, change: &Change, is_changed: bool, words: &str) -> Outcome {
    if target.json {
        return terminal::print_json(&document(target, change, is_changed, None));
    }
    eprintln!("{words}");
    Ok(())
}

fn document(target: &Target, change: &Change, is_changed: bool, file: Option<&Path>) -> Value {
    let file = file.map(|file| file.display().to_string());
    json!({"client_id": target.id, "change": change.words(), "is_changed": is_changed, "file": file})
}
