//! `hallpass migrate`: applies pending migrations, also to a database in use.

use crate::ambient::Clock;
use crate::audit;
use crate::commands::{Outcome, terminal};
use crate::config::{Config, DatabaseUrl};
use crate::failure::Failure;
use crate::logging;
use crate::store::clients;
use crate::store::db::Db;
use crate::store::migrations::{self, Applied, Fault, File, Migrations, Plan, least_version};
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
    let migrations = Migrations::read(config.migrations.as_deref()).await?;
    if let (true, DatabaseUrl::Sqlite(path)) = (arguments.check, &config.database_url)
        && !path.exists()
    {
        let what = format!("{}: there is no database yet; everything is pending", path.display());
        return Err(Failure::new(what)
            .with_fix("`hallpass migrate` makes it, or set HALLPASS_DATABASE_URL to the one that serves"));
    }
    let db = Db::open(&config.database_url).await?;
    let plan = migrations.plan(&db).await?;
    if let Some(failure) = plan.unreleased() {
        return Err(failure);
    }
    let outcome = if !plan.edited.is_empty() {
        print(&arguments, &document(&plan, &[], None), &lines(&plan, "pending", &plan.pending))?;
        refused(&plan)
    } else if arguments.check {
        let trial = migrations::trial(&migrations, &db).await?;
        print(&arguments, &document(&plan, &[], trial.as_ref()), &lines(&plan, "pending", &plan.pending))?;
        checked(&plan, trial.as_ref(), &config)
    } else {
        apply(&migrations, &db, &plan, &arguments).await
    };
    db.close().await;
    outcome
}

fn print(arguments: &Arguments, document: &Value, lines: &str) -> Outcome {
    if arguments.json {
        return terminal::print_json(document);
    }
    print!("{lines}");
    Ok(())
}

/// Applies what is pending, and says what became of it.
async fn apply(migrations: &Migrations, db: &Db, plan: &Plan, arguments: &Arguments) -> Outcome {
    let Applied { files, failed, waiting } = migrations.apply(db).await?;
    least_version(db).await?;
    audit::note_migrations(db, &files, Clock::System.now()).await?;
    // So that the first sign-ins after many users were added need not wait for it; a node does it as well.
    if let Err(error) = users::fold_names(db).await {
        tracing::debug!(%error, "names of users could not be folded");
    }
    let fault = failed.as_ref().map(|failed| &failed.fault);
    let failed: Vec<File> = failed.iter().map(|failed| failed.file.clone()).collect();
    let became = [("apply", &files), ("failed", &failed), ("pending", &waiting)];
    let rest: String = became.iter().map(|(word, files)| lines(&Plan::default(), word, files)).collect();
    print(arguments, &document(plan, &files, fault), &(lines(plan, "", &[]) + &rest))?;
    eprintln!("{} applied, {} were before", files.len(), plan.applied.len());
    // The schema takes any word, so nothing before this has looked at the rows.
    if !files.is_empty() {
        for (client_id, fault) in clients::faults(db).await? {
            eprintln!("{} is not served: {}; {}", terminal::one_line(&client_id), fault.why, fault.fix);
        }
    }
    let mut failures: Vec<Failure> = plan.warnings().iter().chain(fault).map(Failure::from).collect();
    if let Some(last) = failures.pop() {
        let names: Vec<&str> = waiting.iter().map(|file| file.name.as_str()).collect();
        let is_waited = !names.is_empty();
        failures.push(if is_waited { last.with_note("Not applied until then", names.join(", ")) } else { last });
    }
    outcome_of(failures)
}

/// Done, where nothing is wrong.
fn outcome_of(failures: impl IntoIterator<Item = Failure>) -> Outcome {
    Failure::all(failures).map_or(Ok(()), Err)
}

/// An operator is there who can fix it first.
fn refused(plan: &Plan) -> Outcome {
    let names: Vec<&str> = plan.edited.iter().map(|file| file.name.as_str()).collect();
    let edited = Failure::new(format!("{}: an applied file was edited since, so nothing is applied", names.join(", ")))
        .with_fix("restore it, and put the change into a new file");
    outcome_of(std::iter::once(edited).chain(plan.faults.iter().map(Failure::from)))
}

/// What `--check` comes to.
fn checked(plan: &Plan, trial: Option<&Fault>, config: &Config) -> Outcome {
    let mut failures: Vec<Failure> = plan.faults.iter().chain(trial).map(Failure::from).collect();
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
        failures.push(Failure::new(found.join(", ")).with_fix(fixes.join("; ")));
    }
    if failures.is_empty() {
        eprintln!("{} applied, nothing pending", plan.applied.len());
    }
    outcome_of(failures)
}

/// What is edited or missing, and files under a word.
fn lines(plan: &Plan, word: &str, files: &[File]) -> String {
    let edited = plan.edited.iter().map(|file| format!("edited   {} {}\n", file.version, file.description));
    let missing = plan.missing.iter().map(|file| format!("missing  {}\n", file.version));
    let files = files.iter().map(|file| format!("{word:<8} {} {}\n", file.version, file.description));
    edited.chain(missing).chain(files).collect()
}

/// What `--json` prints; the files `done` are those of the plan that were applied now.
fn document(plan: &Plan, done: &[File], trial: Option<&Fault>) -> Value {
    let is_done = |file: &File| done.iter().any(|done| done.version == file.version);
    let pending: Vec<&File> = plan.pending.iter().filter(|file| !is_done(file)).collect();
    let files = |files: &mut dyn Iterator<Item = &File>| -> Value {
        files.map(|file| json!({ "version": file.version, "description": file.description })).collect()
    };
    let fault = |fault: &Fault| json!({ "file": fault.file, "line": fault.line, "why": fault.why, "fix": fault.fix });
    json!({
        "applied_now": files(&mut done.iter()),
        "pending": files(&mut pending.into_iter()),
        "edited": files(&mut plan.edited.iter()),
        "missing": plan.missing.iter().map(|file| json!({ "version": file.version })).collect::<Vec<_>>(),
        "applied": plan.applied.len() + done.len(),
        "faults": plan.faults.iter().chain(trial).map(fault).collect::<Vec<_>>(),
    })
}
