//! `hallpass migrate`: applies pending migrations, also to a database in use.

use crate::audit;
use crate::commands::{Outcome, terminal};
use crate::config::{Config, DatabaseUrl};
use crate::logging;
use crate::provider::Clock;
use crate::store::db::Db;
use crate::store::migrations::{File, Migrations, Plan};
use serde_json::{Value, json};

pub(super) const HELP: &str = "Each file is applied once, in the order of the numbers, each in a transaction of its own. Lines on standard output \
say what is done with a file: apply, or with --check pending; edited: it was applied and is different now; missing: it \
was applied and is not among the files.

Examples:
  hallpass migrate
  hallpass migrate --check          against a live database, before a deployment
  hallpass migrate --check --json";

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Only say what would run; status 1 if anything would, or if a file was edited or is missing
    #[arg(long)]
    check: bool,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Outcome {
    logging::start("warn");
    let migrations = Migrations::read(config.migrations.as_deref()).await.map_err(|error| error.to_string())?;
    if let (true, DatabaseUrl::Sqlite(path)) = (arguments.check, &config.database_url)
        && !path.exists()
    {
        return Err(format!(
            "{}: there is no database yet; everything is pending.\n  Mend: `hallpass migrate` makes it, or set HALLPASS_DATABASE_URL to the one that serves",
            path.display()
        ));
    }
    let db = Db::open(&config.database_url).await.map_err(|error| error.to_string())?;
    let plan = migrations.plan(&db).await.map_err(|error| error.to_string())?;
    if arguments.json {
        terminal::print_json(&document(&plan))?;
    } else {
        print!("{}", lines(&plan, if arguments.check { "pending" } else { "apply" }));
    }
    if !plan.edited.is_empty() {
        let names: Vec<String> = plan.edited.iter().map(file_name).collect();
        return Err(format!(
            "{}: an applied file was edited since, so nothing is applied.\n  Mend: restore it, and put the change into a new file",
            names.join(", ")
        ));
    }
    if arguments.check {
        db.close().await;
        return checked(&plan, &config);
    }
    let applied = migrations.apply(&db).await.map_err(|error| error.to_string())?;
    audit::note_migrations(&db, &applied, Clock::System.now()).await.map_err(|error| error.to_string())?;
    eprintln!("{} applied, {} were before", applied.len(), plan.applied.len());
    db.close().await;
    Ok(())
}

/// What `--check` comes to.
fn checked(plan: &Plan, config: &Config) -> Outcome {
    let mut found = Vec::new();
    let mut mends = Vec::new();
    if !plan.pending.is_empty() {
        found.push(format!("{} pending", plan.pending.len()));
        mends.push("`hallpass migrate` applies what is pending".to_owned());
    }
    if !plan.missing.is_empty() {
        found.push(format!("{} missing among the files", plan.missing.len()));
        let folder = config
            .migrations
            .as_ref()
            .map_or_else(|| "the migrations folder".to_owned(), |folder| folder.display().to_string());
        mends.push(format!("put what is missing back into {folder}, or use the version of Hallpass that has it"));
    }
    if found.is_empty() {
        eprintln!("{} applied, nothing pending", plan.applied.len());
        return Ok(());
    }
    Err(format!("{}.\n  Mend: {}", found.join(", "), mends.join("; ")))
}

/// A file's name, as it probably is.
fn file_name(file: &File) -> String {
    format!("{:04}_{}.sql", file.version, file.description.replace(' ', "_"))
}

fn lines(plan: &Plan, word: &str) -> String {
    let edited = plan.edited.iter().map(|file| format!("edited   {} {}\n", file.version, file.description));
    let missing = plan.missing.iter().map(|version| format!("missing  {version}\n"));
    let pending = plan.pending.iter().map(|file| format!("{word:<8} {} {}\n", file.version, file.description));
    edited.chain(missing).chain(pending).collect()
}

fn document(plan: &Plan) -> Value {
    let files = |files: &[File]| -> Value {
        files.iter().map(|file| json!({ "version": file.version, "description": file.description })).collect()
    };
    json!({
        "pending": files(&plan.pending),
        "edited": files(&plan.edited),
        "missing": plan.missing.iter().map(|version| json!({ "version": version })).collect::<Vec<_>>(),
        "applied": plan.applied.len(),
    })
}
