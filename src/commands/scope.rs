//! `hallpass scope …`: scopes of the organization's own, with what users read where they are asked and the claims that each
//! opens; at once, or as a migration for review.

use crate::ambient::Clock;
use crate::commands::client::{is_standard_output, write_migration};
use crate::commands::page::Page;
use crate::commands::terminal::{self, one_line, wrong_usage};
use crate::commands::{Outcome, with_runtime};
use crate::config::Config;
use crate::failure::Failure;
use crate::logging;
use crate::protocol::claim_map::OwnScope;
use crate::protocol::claim_names::{scope_of, user_claim_fault};
use crate::protocol::scope::{SCOPES_SUPPORTED, Scope};
use crate::store::scopes::{self, Change};
use crate::store::{clients, db::Db};
use crate::web::remedies::quoted;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(super) const HELP: &str = "Examples:\n  hallpass scope new crm --description \"Your customers\" --claim department\n  \
    hallpass scope list\n  hallpass scope delete crm --yes";

/// The longest scope and the longest description, in bytes.
const LONGEST: usize = 255;

#[derive(clap::Subcommand)]
pub(super) enum ScopeCommand {
    /// Describe a scope of your own, and say which claims it opens
    #[command(
        after_help = "One that is there becomes what is said. Without --claim it is about an API, and opens no claim. A client may ask for it \
            when its row says so: `hallpass client edit ID --set scope=…`.\n\n\
            Examples:\n  hallpass scope new jobs:run --description \"Start jobs for you\"\n  \
            hallpass scope new crm --description \"Your department\" --claim department --claim level\n  \
            hallpass scope new crm --description \"Your department\" --claim department --migration"
    )]
    New {
        /// The scope, as clients ask for it
        scope: String,
        /// What users read where they are asked whether a service may have it
        #[arg(long, value_name = "TEXT")]
        description: String,
        /// A claim that it opens; may be repeated
        #[arg(long, value_name = "NAME")]
        claim: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// List the scopes of your own
    #[command(after_help = "Examples:\n  hallpass scope list\n  hallpass scope list --json | jq -r '.scopes[].scope'")]
    List {
        #[command(flatten)]
        page: Page,
        /// Print a JSON object instead
        #[arg(long)]
        json: bool,
    },
    /// Delete a scope of your own
    #[command(after_help = "Clients may ask for it as before, and nothing tells users what it is any more.\n\n\
            Examples:\n  hallpass scope delete crm                asks first\n  hallpass scope delete crm --yes          in a script\n  \
            hallpass scope delete crm --migration    writes a dated migration for review instead")]
    Delete {
        /// The scope
        scope: String,
        /// Do not ask; a script must say so
        #[arg(long, conflicts_with_all = ["migration", "output"])]
        yes: bool,
        #[command(flatten)]
        how: How,
    },
}

/// How it is done, and told.
#[derive(clap::Args)]
pub(super) struct How {
    /// Change nothing now: write a dated migration into the migrations folder
    #[arg(long)]
    migration: bool,
    /// Change nothing now: write the migration into this file, or - for standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print what was done as a JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: Config, command: ScopeCommand) -> Outcome {
    match command {
        ScopeCommand::New { scope, description, claim, how } => {
            let own = own_scope(scope, &description, claim)?;
            if how.migration || how.output.is_some() {
                let sql = format!("-- Describes the scope {} to users.\n\n{}\n", own.scope, statement(&own));
                return write(&config, &how, ("new", &own.scope), &sql);
            }
            with_runtime(new(config, own, how))
        }
        ScopeCommand::List { page, json } => with_runtime(list(config, page, json)),
        ScopeCommand::Delete { scope, yes, how } => {
            if let Some(fault) = fault(&scope) {
                return Err(fault);
            }
            if how.migration || how.output.is_some() {
                let sql = format!(
                    "-- Deletes the scope {scope}: nothing tells users any more what it is.\n\nDELETE FROM scopes WHERE scope = {};\n",
                    quoted(&scope)
                );
                return write(&config, &how, ("delete", &scope), &sql);
            }
            with_runtime(delete(config, scope, yes, how))
        }
    }
}

/// Why a text can be no scope of the organization's own.
fn fault(scope: &str) -> Option<Failure> {
    if SCOPES_SUPPORTED.contains(&scope) {
        let what = format!("{scope} is a standard scope, which the pages describe and whose claims are fixed");
        return Some(Failure::new(what).with_fix("choose another name"));
    }
    let is_one = Scope::parse(scope).is_ok_and(|scopes| scopes.tokens().eq([scope]));
    (!is_one || scope.len() > LONGEST).then(|| {
        let what = format!("{:?} is not one scope (RFC 6749 section 3.3) of at most {LONGEST} bytes", one_line(scope));
        Failure::new(what).with_fix("take a name such as jobs:run")
    })
}

/// A scope that can be, from what was typed.
pub(super) fn own_scope(scope: String, description: &str, claims: Vec<String>) -> Result<OwnScope, Failure> {
    if let Some(fault) = fault(&scope) {
        return Err(fault);
    }
    let description = description.trim().to_owned();
    if description.is_empty() || description.len() > LONGEST || description.chars().any(char::is_control) {
        return Err(Failure::new(format!("what users read of {scope} must have 1 to {LONGEST} bytes in one line"))
            .with_fix("write it as the end of: This service wants to know …"));
    }
    for claim in &claims {
        // What a standard scope opens may be opened by another one as well.
        if let Some(why) = user_claim_fault(claim).filter(|_| scope_of(claim).is_none()) {
            return Err(Failure::new(format!("--claim: {why}")).with_fix("name claims that users have"));
        }
    }
    Ok(OwnScope { scope, description, claims })
}

/// The statement that makes it, or makes it what it is to be.
fn statement(own: &OwnScope) -> String {
    format!(
        "INSERT INTO scopes (scope, description, claims) VALUES ({}, {}, {})\n\
         ON CONFLICT (scope) DO UPDATE SET description = excluded.description, claims = excluded.claims;",
        quoted(&own.scope),
        quoted(&own.description),
        quoted(&own.claims.join(" "))
    )
}

fn write(config: &Config, how: &How, (word, scope): (&str, &str), sql: &str) -> Outcome {
    let is_standard = is_standard_output(how.output.as_deref());
    if how.json && is_standard {
        wrong_usage(&["scope", word], "--json and --output -: standard output cannot hold both");
    }
    let file = write_migration(config, how.output.as_deref(), &format!("{word}_scope_{scope}"), sql)?;
    if how.json {
        return terminal::print_json(&document(scope, word, false, file.as_deref()));
    }
    if is_standard {
        eprintln!("Nothing is changed yet: that SQL is for the database.");
    }
    Ok(())
}

fn document(scope: &str, change: &str, is_changed: bool, file: Option<&Path>) -> Value {
    let file = file.map(|file| file.display().to_string());
    json!({ "scope": scope, "change": change, "is_changed": is_changed, "file": file })
}

async fn carried_out(db: &Db, change: Change<'_>, how: &How, (word, scope, done): (&str, &str, String)) -> Outcome {
    let is_changed = scopes::change(db, change, Clock::System.now()).await?;
    if how.json {
        terminal::print_json(&document(scope, word, is_changed, None))?;
    }
    if is_changed {
        eprintln!("{done}; every node knows within ten seconds");
    } else {
        eprintln!("nothing was changed");
    }
    Ok(())
}

async fn new(config: Config, own: OwnScope, how: How) -> Outcome {
    logging::start("warn");
    let db = terminal::open_database(&config).await?;
    let done = match own.claims.as_slice() {
        [] => format!("described the scope {}, which opens no claim", own.scope),
        claims => format!("described the scope {}, which opens {}", own.scope, one_line(&claims.join(", "))),
    };
    carried_out(&db, Change::Set(&own), &how, ("new", &own.scope, done)).await?;
    db.close().await;
    Ok(())
}

async fn delete(config: Config, scope: String, yes: bool, how: How) -> Outcome {
    const PATH: &[&str] = &["scope", "delete"];
    logging::start("warn");
    if !yes && !terminal::is_there() {
        terminal::confirm(PATH, "", false)?;
    }
    let db = terminal::open_database(&config).await?;
    let asking = match scopes::clients(&db, &scope).await?.as_slice() {
        [] => String::new(),
        clients => format!(" {} may ask for it.", one_line(&clients.join(", "))),
    };
    terminal::confirm(PATH, &format!("Delete the scope {scope}?{asking}"), yes)?;
    let done = format!("deleted the scope {scope}.{asking} Nothing tells users what it is any more");
    carried_out(&db, Change::Delete(&scope), &how, ("delete", &scope, done)).await?;
    db.close().await;
    Ok(())
}

async fn list(config: Config, page: Page, json: bool) -> Outcome {
    logging::start("warn");
    let db = terminal::open_database(&config).await?;
    let found = clients::own_scopes(&db).await?;
    let there_are_none = found.is_empty();
    let words = |own: &OwnScope| std::iter::once(&own.description).chain(&own.claims).cloned().collect();
    let (found, next) = page.of(found, |own| &own.scope, words)?;
    let mut rows = Vec::new();
    for own in found {
        let asking = scopes::clients(&db, &own.scope).await?;
        rows.push((own, asking));
    }
    db.close().await;
    if json {
        let listed = rows.iter().map(|(own, asking)| {
            json!({ "scope": own.scope, "description": own.description, "claims": own.claims, "clients": asking })
        });
        return terminal::print_json(&json!({ "scopes": listed.collect::<Vec<_>>(), "next": next }));
    }
    let cells = |(own, asking): &(OwnScope, Vec<String>)| {
        [&own.scope, &own.claims.join(" "), &asking.join(" "), &own.description].map(|text| one_line(text)).to_vec()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    print!("{}", terminal::table(&["SCOPE", "CLAIMS", "CLIENTS", "DESCRIPTION"], &rows));
    terminal::say_next(next.as_deref());
    if there_are_none {
        eprintln!("There are no scopes of your own. `hallpass scope new SCOPE --description TEXT` describes one.");
    }
    Ok(())
}
