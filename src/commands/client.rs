//! `hallpass client …`: services as migrations that are written, reviewed, linted, looked at and ended.

mod disable;
mod draft;
mod lint;
mod new;
mod products;
mod questions;
mod rotate;
mod settings;
mod show;
mod written;

use crate::commands::{Outcome, with_runtime};
use crate::config::Config;

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
    #[command(after_help = "Examples:\n  hallpass client list\n  hallpass client list --json | jq -r '.[].client_id'")]
    List(show::List),
    /// Show one client: its columns, addresses, and when each of its secrets ends
    #[command(after_help = "Examples:\n  hallpass client show reports\n  hallpass client show reports --json\n  \
            hallpass client show reports --settings spring")]
    Show(show::Show),
    /// Write the migration that gives a client a second secret and dates the end of the first
    #[command(after_help = rotate::HELP)]
    RotateSecret(rotate::Rotate),
    /// Refuse a client from now on, also where Hallpass runs already
    #[command(after_help = disable::HELP)]
    Disable(disable::Disable),
}

pub(super) fn run(config: Config, command: ClientCommand) -> Outcome {
    match command {
        ClientCommand::New(new) => new::run(&config, *new),
        ClientCommand::Lint(lint) => with_runtime(lint::run(config, lint)),
        ClientCommand::Products(products) => products::run(&products),
        ClientCommand::List(list) => with_runtime(show::list(config, list)),
        ClientCommand::Show(show) => with_runtime(show::show(config, show)),
        ClientCommand::RotateSecret(rotate) => rotate::run(&config, &rotate),
        ClientCommand::Disable(disable) => disable::run(config, disable),
    }
}
