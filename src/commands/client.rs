//! `hallpass client …`: services as migrations that are written, reviewed, linted, looked at and ended.

mod change;
mod draft;
mod edit;
mod lint;
mod new;
mod products;
mod questions;
mod rotate;
mod settings;
mod show;
mod told;
mod written;

pub(super) use written::{is_standard_output, no_client, write_migration};

use crate::commands::{Outcome, with_runtime};
use crate::config::Config;
use crate::failure::Failure;
use change::Change;
use clap::{Args as _, FromArgMatches as _};

#[derive(clap::Subcommand)]
pub(super) enum ClientCommand {
    /// Write the migration file of a new client and print its secret once
    #[command(after_help = new::HELP)]
    New(Box<new::New>),
    /// Check migration files without a database, in CI
    #[command(after_help = lint::HELP)]
    Lint(lint::Lint),
    /// List the products that `client new --for` knows, with what each does and where that is written
    #[command(after_help = products::HELP)]
    Products(products::Products),
    /// List the clients
    #[command(
        after_help = "Examples:\n  hallpass client list\n  hallpass client list --matching report --state disabled\n  \
            hallpass client list --limit 100 --after CLIENT_ID\n  hallpass client list --json | jq -r '.clients[].client_id'"
    )]
    List(show::List),
    /// Show one client: its columns, addresses, and when each of its secrets ends
    #[command(after_help = "Examples:\n  hallpass client show reports\n  hallpass client show reports --json\n  \
            hallpass client show reports --settings spring")]
    Show(show::Show),
    /// Write the migration that gives a client a second secret and dates the end of the first
    #[command(after_help = rotate::HELP)]
    RotateSecret(rotate::Rotate),
    /// Refuse a client from now on, also where Hallpass runs already
    #[command(after_help = change::DISABLE_HELP)]
    Disable(change::Target),
    /// Serve a disabled client again
    #[command(after_help = change::ENABLE_HELP)]
    Enable(change::Target),
    /// Change columns, addresses and APIs of a client
    #[command(after_help = edit::HELP)]
    Edit(Box<Edit>),
    /// Say what a client is told beyond its scopes: groups, roles, other claims, constants
    #[command(subcommand, after_help = told::CLAIM_HELP)]
    Claim(told::ClaimCommand),
    /// Say which roles the members of groups have at a client
    #[command(subcommand, after_help = told::ROLE_HELP)]
    Role(told::RoleCommand),
    /// Delete a client, with all that hangs on it
    #[command(after_help = change::DELETE_HELP)]
    Delete(change::Target),
}

#[derive(clap::Args)]
pub(super) struct Edit {
    #[command(flatten)]
    target: change::Target,
    #[command(flatten)]
    flags: edit::Flags,
}

pub(super) fn run(config: Config, command: ClientCommand) -> Outcome {
    match command {
        ClientCommand::New(new) => new::run(&config, *new),
        ClientCommand::Lint(lint) => with_runtime(lint::run(config, lint)),
        ClientCommand::Products(products) => products::run(&products),
        ClientCommand::List(list) => with_runtime(show::list(config, list)),
        ClientCommand::Show(show) => with_runtime(show::show(config, show)),
        ClientCommand::RotateSecret(rotate) => rotate::run(&config, &rotate),
        ClientCommand::Disable(target) => change::run(config, target, Change::Disable),
        ClientCommand::Enable(target) => change::run(config, target, Change::Enable),
        ClientCommand::Edit(edit) => change::run(config, edit.target, Change::Edit(edit::Edits::of(edit.flags)?)),
        ClientCommand::Claim(command) => told::claim(config, command),
        ClientCommand::Role(command) => told::role(config, command),
        ClientCommand::Delete(target) => change::run(config, target, Change::Delete),
    }
}

/// Writes the migration of a first client, as `client new` does; gives what its `--json` prints, or prints its settings.
pub(super) fn first(
    config: &Config,
    id: String,
    redirect_uris: Vec<String>,
    as_json: bool,
) -> Result<Option<serde_json::Value>, Failure> {
    let mut words = vec!["new".to_owned(), id, "--no-questions".to_owned()];
    words.extend(as_json.then(|| "--json".to_owned()));
    words.extend(redirect_uris.into_iter().flat_map(|uri| ["--redirect-uri".to_owned(), uri]));
    let command = new::New::augment_args(clap::Command::new("new"));
    let matches = command.try_get_matches_from(words);
    let read = matches.and_then(|matches| new::New::from_arg_matches(&matches));
    new::written(config, read.map_err(|error| Failure::new("the first client cannot be read").with_source(error))?)
}
