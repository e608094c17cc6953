//! `hallpass migrate`: applies pending migrations, also to a database in use.

use crate::ambient::Clock;
use crate::audit;
use crate::commands::{Outcome, terminal};
use crate::config::{Config, DatabaseUrl};
use crate::logging;
use crate::startup::LOCKED_FIX;
use crate::store::StoreError;
use crate::store::clients;
use crate::store::db::Db;
use crate::store::migrations::{self, Applied, Fault, File, Migrations, Plan};
use crate::store::users;
use serde_json::{Value, json};

pub(super) const HELP: &str = "Each file is applied once, in the order of the numbers, each in a transaction of its own. Lines on standard output \
say what is done with a file: apply, failed, or pending: it waits, or would run; edited: it was applied and is different \
now; missing: it was applied and is not among the files.

A file that fails is undone, and those after it wait. --check tries what is pending in a transaction that is never committed, \
for ten seconds at most, and names the first file that would fail.

Examples:
  hallpass migrate
  hallpass migrate --check          against a live database, before a deployment
  hallpass migrate --check --json";

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Only say what would run and whether it would fail; status 1 if anything would run, or if a file was edited, is missing
    /// or is no migration
    #[arg(long)]
    check: bool,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Outcome {
    logging::start("warn");
    let text = |error: StoreError| error.to_string();
    let migrations = Migrations::read(config.migrations.as_deref()).await.map_err(text)?;
    if let (true, DatabaseUrl::Sqlite(path)) = (arguments.check, &config.database_url)
        && !path.exists()
    {
        return Err(format!(
            "{}: there is no database yet; everything is pending.\n  Fix: `hallpass migrate` makes it, or set HALLPASS_DATABASE_URL to the one that serves",
            path.display()
        ));
    }
    let db = Db::open(&config.database_url).await.map_err(text)?;
    let plan = migrations.plan(&db).await.map_err(text)?;
    if let Some(why) = plan.unreleased() {
        return Err(why);
    }
    let outcome = if !plan.edited.is_empty() {
        print(&arguments, &plan, None, &lines(&plan, "pending", &plan.pending))?;
        Err(refused(&plan))
    } else if arguments.check {
        let trial = migrations::trial(&migrations, &db).await.map_err(text)?;
        print(&arguments, &plan, trial.as_ref(), &lines(&plan, "pending", &plan.pending))?;
        checked(&plan, trial.as_ref(), &config)
    } else {
        apply(&migrations, &db, &plan, &arguments).await
    };
    db.close().await;
    outcome
}

fn print(arguments: &Arguments, plan: &Plan, fault: Option<&Fault>, lines: &str) -> Outcome {
    if arguments.json {
        return terminal::print_json(&document(plan, fault));
    }
    print!("{lines}");
    Ok(())
}

/// Applies what is pending, and says what became of it.
async fn apply(migrations: &Migrations, db: &Db, plan: &Plan, arguments: &Arguments) -> Outcome {
    let applied = match migrations.apply(db).await {
        Ok(applied) => applied,
        Err(error @ StoreError::MigrationsLocked) => return Err(format!("{error}.\n  Fix: {LOCKED_FIX}")),
        Err(error) => return Err(error.to_string()),
    };
    let Applied { files, failed, waiting } = applied;
    audit::note_migrations(db, &files, Clock::System.now()).await.map_err(|error| error.to_string())?;
    // So that the first sign-ins after many people were added need not wait for it; a node does it as well.
    if let Err(error) = users::fold_names(db).await {
        tracing::debug!(%error, "names of people could not be folded");
    }
    let fault = failed.as_ref().map(|failed| &failed.fault);
    let failed: Vec<File> = failed.iter().map(|failed| failed.file.clone()).collect();
    let became = [("apply", &files), ("failed", &failed), ("pending", &waiting)];
    let rest: String = became.iter().map(|(word, files)| lines(&Plan::default(), word, files)).collect();
    print(arguments, plan, fault, &(lines(plan, "", &[]) + &rest))?;
    eprintln!("{} applied, {} were before", files.len(), plan.applied.len());
    // The schema takes any word, so nothing before this has looked at the rows.
    if !files.is_empty() {
        for (client_id, fault) in clients::faults(db).await.map_err(|error| error.to_string())? {
            eprintln!("{} is not served: {}; {}", terminal::one_line(&client_id), fault.why, fault.fix);
        }
    }
    let mut message: Vec<String> = plan.warnings().iter().chain(fault).map(told).collect();
    if message.is_empty() {
        return Ok(());
    }
    if !waiting.is_empty() {
        let names: Vec<&str> = waiting.iter().map(|file| file.name.as_str()).collect();
        message.push(format!("  Not applied until then: {}", names.join(", ")));
    }
    Err(message.join("\n"))
}

/// What is wrong with a file, and the fix.
fn told(fault: &Fault) -> String {
    format!("{}.\n  Fix: {}", fault.sentence(), fault.fix)
}

/// Somebody is there who can put it right first.
fn refused(plan: &Plan) -> String {
    let names: Vec<&str> = plan.edited.iter().map(|file| file.name.as_str()).collect();
    let edited = format!(
        "{}: an applied file was edited since, so nothing is applied.\n  Fix: restore it, and put the change into a new file",
        names.join(", ")
    );
    std::iter::once(edited).chain(plan.faults.iter().map(told)).collect::<Vec<_>>().join("\n")
}

/// What `--check` comes to.
fn checked(plan: &Plan, trial: Option<&Fault>, config: &Config) -> Outcome {
    let mut told: Vec<String> = plan.faults.iter().chain(trial).map(told).collect();
    let mut found = Vec::new();
    let mut fixes = Vec::new();
    if !plan.pending.is_empty() {
        found.push(format!("{} pending", plan.pending.len()));
        fixes.push("`hallpass migrate` applies what is pending".to_owned());
    }
    if !plan.missing.is_empty() {
        let names: Vec<&str> = plan.missing.iter().map(|file| file.name.as_str()).collect();
        found.push(format!("{} missing among the files ({})", names.len(), names.join(", ")));
        let folder = config
            .migrations
            .as_ref()
            .map_or_else(|| "the migrations folder".to_owned(), |folder| folder.display().to_string());
        fixes.push(format!("put what is missing back into {folder}, or use the version of Hallpass that has it"));
    }
    if !found.is_empty() {
        told.push(format!("{}.\n  Fix: {}", found.join(", "), fixes.join("; ")));
    }
    if told.is_empty() {
        eprintln!("{} applied, nothing pending", plan.applied.len());
        return Ok(());
    }
    Err(told.join("\n"))
}

/// What is edited or missing, and files under a word.
fn lines(plan: &Plan, word: &str, files: &[File]) -> String {
    let edited = plan.edited.iter().map(|file| format!("edited   {} {}\n", file.version, file.description));
    let missing = plan.missing.iter().map(|file| format!("missing  {}\n", file.version));
    let files = files.iter().map(|file| format!("{word:<8} {} {}\n", file.version, file.description));
    edited.chain(missing).chain(files).collect()
}

fn document(plan: &Plan, trial: Option<&Fault>) -> Value {
    let files = |files: &[File]| -> Value {
        files.iter().map(|file| json!({ "version": file.version, "description": file.description })).collect()
    };
    let fault = |fault: &Fault| json!({ "file": fault.file, "line": fault.line, "why": fault.why, "fix": fault.fix });
    json!({
        "pending": files(&plan.pending),
        "edited": files(&plan.edited),
        "missing": plan.missing.iter().map(|file| json!({ "version": file.version })).collect::<Vec<_>>(),
        "applied": plan.applied.len(),
        "faults": plan.faults.iter().chain(trial).map(fault).collect::<Vec<_>>(),
    })
}
