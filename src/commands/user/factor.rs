//! `hallpass user factor …`: authenticators, passkeys and recovery codes of a user, listed and removed. Added they are by the user, who may need a
//! link for that.

use super::{confirmed, counted, document_of, find, links, named};
use crate::ambient::Clock;
use crate::commands::terminal::Report;
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::failure::Failure;
use crate::keys::factors::FactorKeySet;
use crate::protocol::time::NumericDate;
use crate::second_factor::{self, Listed, Removed};
use crate::store::db::Db;
use crate::store::user_sessions::By;
use crate::store::{timely, user_passkeys};
use serde_json::{Value, json};

pub(super) const HELP: &str = "Examples:\n  hallpass user factor list alice\n  hallpass user factor link alice\n  hallpass user factor remove alice --all";

#[derive(clap::Subcommand)]
pub(in crate::commands) enum FactorCommand {
    /// List the authenticators and passkeys of a user, and how many recovery codes are left
    #[command(
        after_help = "No secret is shown. Where LEFT is empty for recovery codes, or a row is said to be sealed, its factor key is \
            not in the keys folder of this machine.\n\n\
            Examples:\n  hallpass user factor list alice\n  hallpass user factor list alice --json | jq -r '.factors[].factor'"
    )]
    List {
        /// User name or e-mail address
        username: String,
        /// Print JSON instead
        #[arg(long)]
        json: bool,
    },
    /// Make a one-time link by which a user who has no second factor sets one up
    #[command(after_help = links::FACTOR_HELP)]
    Link(links::UserLink),
    /// Remove an authenticator or passkey of a user, or all factors: then the user signs in by the password alone, and sign-ins end
    #[command(
        after_help = "Make sure who asks you for it: a telephone call is how second factors are stolen. With the last \
            one the recovery codes go as well.\n\n\
            Examples:\n  hallpass user factor remove alice 3q2-7wAAAAAAAAAAAAAAAA\n  hallpass user factor remove alice --all --yes"
    )]
    Remove {
        /// User name or e-mail address
        username: String,
        /// The factor, as the list names it
        #[arg(required_unless_present = "all", conflicts_with = "all", allow_hyphen_values = true)]
        factor: Option<String>,
        /// All of them, with the user's sign-ins
        #[arg(long)]
        all: bool,
        /// Do not ask; a script must say so
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        report: Report,
    },
}

pub(super) async fn run(config: Config, command: FactorCommand) -> Outcome {
    match command {
        FactorCommand::List { username, json } => list(config, &username, json).await,
        FactorCommand::Link(link) => links::factor_link(config, &link).await,
        FactorCommand::Remove { username, factor, yes, report, .. } => {
            remove(config, &username, factor.as_deref(), yes, report).await
        }
    }
}

/// The factors of a user, with what the keys of this machine open of them.
pub(super) async fn of_user(config: &Config, db: &Db, sub: &str, now: NumericDate) -> Result<Vec<Listed>, Failure> {
    // A faulty file is told where keys are looked at; here it opens nothing.
    let keys = FactorKeySet::load(&config.keys).unwrap_or_default();
    let mut factors = second_factor::list(db, &keys, sub, now).await?;
    factors.extend(timely(user_passkeys::of_user(db, sub)).await?.into_iter().map(passkey));
    Ok(factors)
}

/// A passkey as the other factors are told.
fn passkey(row: user_passkeys::Stored) -> Listed {
    Listed {
        factor_id: row.passkey_id,
        kind: user_passkeys::KIND.to_owned(),
        name: row.name,
        created_at: NumericDate(row.created_at),
        used_at: row.used_at.map(NumericDate),
        left: None,
        is_readable: true,
    }
}

/// Factors as a document tells them.
pub(super) fn told(factors: &[Listed]) -> Vec<Value> {
    let factor = |factor: &Listed| {
        json!({
            "factor": factor.factor_id,
            "kind": factor.kind,
            "name": factor.name,
            "created_at": terminal::instant(factor.created_at),
            "used_at": factor.used_at.map(terminal::instant),
            "left": factor.left,
            "is_readable": factor.is_readable,
        })
    };
    factors.iter().map(factor).collect()
}

/// The same as a table.
pub(super) const HEADINGS: &[&str] = &["FACTOR", "KIND", "ADDED", "LAST USED", "LEFT", "NAME"];

pub(super) fn cells(factor: &Listed) -> Vec<String> {
    let used = factor.used_at.map(terminal::instant).unwrap_or_default();
    let left = match factor.left {
        Some(left) => left.to_string(),
        None if factor.is_readable => String::new(),
        None => "sealed".to_owned(),
    };
    let name = terminal::one_line(&factor.name);
    vec![
        factor.factor_id.clone(),
        terminal::one_line(&factor.kind),
        terminal::instant(factor.created_at),
        used,
        left,
        name,
    ]
}

async fn list(config: Config, username: &str, json: bool) -> Outcome {
    let db = terminal::open_database(&config).await?;
    let user = find(&db, username).await?;
    let found = of_user(&config, &db, &user.sub, Clock::System.now()).await?;
    db.close().await;
    if json {
        return terminal::print_json(&json!({ "factors": told(&found) }));
    }
    print!("{}", terminal::table(HEADINGS, &found.iter().map(cells).collect::<Vec<_>>()));
    if found.is_empty() {
        eprintln!("{} has no second factor.", named(&user));
    }
    Ok(())
}

async fn remove(config: Config, username: &str, factor: Option<&str>, yes: bool, report: Report) -> Outcome {
    const PATH: &[&str] = &["user", "factor", "remove"];
    let which = if factor.is_some() { "this factor" } else { "every second factor" };
    let (db, user) = confirmed(&config, PATH, username, yes, |named| format!("Remove {which} of {named}?")).await?;
    let now = Clock::System.now();
    let removed = match factor {
        Some(factor) => second_factor::remove(&db, &user.sub, factor, By::Operator, now).await?,
        None => second_factor::reset(&db, &user.sub, By::Operator, now).await?,
    };
    db.close().await;
    if let Some(factor) = factor.filter(|_| !removed.is_change()) {
        return Err(Failure::new(format!("{} has no factor {factor:?}", named(&user)))
            .with_fix(format!("`hallpass user factor list {username}` names them")));
    }
    let Removed { authenticators, passkeys, recovery_codes, sessions, .. } = removed;
    let own = json!({
        "change": "remove",
        "is_changed": removed.is_change(),
        "authenticators_removed": authenticators,
        "passkeys_removed": passkeys,
        "recovery_codes_removed": recovery_codes,
        "sessions_ended": sessions,
    });
    report.print(&document_of(&user, own), None)?;
    if !removed.is_change() {
        eprintln!("{} has no second factor; nothing was changed", named(&user));
        return Ok(());
    }
    let kinds = [(authenticators, "authenticator"), (passkeys, "passkey")];
    let gone = kinds.iter().filter(|(number, _)| *number > 0).map(|(number, kind)| counted(*number, kind));
    let gone = gone.chain(recovery_codes.then(|| "the recovery codes".to_owned())).collect::<Vec<_>>().join(" and ");
    let ended = if factor.is_none() { format!("; {sessions} sign-ins end within ten seconds") } else { String::new() };
    eprintln!("removed {gone} of {}{ended}", named(&user));
    match user.demanded_days(now) {
        Some(0) => eprintln!(
            "A group demands a second factor of them, and a password alone does not sign them in: \
             `hallpass user factor link {}` makes a link by which they set one up.",
            terminal::shell(username)
        ),
        Some(days) => eprintln!(
            "A group demands a second factor of them, within {days} days of the first sign-in under the demand; after those they \
             cannot sign in. `hallpass user edit {username} --restart-second-factor-days` starts the days anew."
        ),
        None => {}
    }
    Ok(())
}
