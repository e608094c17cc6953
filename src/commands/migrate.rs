//! `hallpass migrate`: applies pending migrations, also to a database in use.

use crate::audit;
use crate::commands::Outcome;
use crate::config::{Config, DatabaseUrl};
use crate::logging;
use crate::provider::Clock;
use crate::store::db::Db;
use crate::store::migrations::Migrations;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Only say what would run; status 1 if anything would, or if a file was edited or is missing
    #[arg(long)]
    check: bool,
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Outcome {
    logging::start("warn");
    let migrations = Migrations::read(config.migrations.as_deref()).await.map_err(|error| error.to_string())?;
    if let (true, DatabaseUrl::Sqlite(path)) = (arguments.check, &config.database_url)
        && !path.exists()
    {
        return Err(format!("{}: there is no database yet; everything is pending", path.display()));
    }
    let db = Db::open(&config.database_url).await.map_err(|error| error.to_string())?;
    let plan = migrations.plan(&db).await.map_err(|error| error.to_string())?;
    for file in &plan.edited {
        println!("edited   {} {}", file.version, file.description);
    }
    for version in &plan.missing {
        println!("missing  {version}");
    }
    let word = if arguments.check { "pending" } else { "apply" };
    for file in &plan.pending {
        println!("{word:<8} {} {}", file.version, file.description);
    }
    if !plan.edited.is_empty() {
        return Err("an applied file was edited since.\n  Mend: restore it, and put the change into a new file".into());
    }
    if arguments.check {
        let wanting = [(plan.pending.len(), "pending"), (plan.missing.len(), "missing among the files")];
        let found: Vec<String> =
            wanting.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        return if found.is_empty() {
            eprintln!("{} applied, nothing pending", plan.applied.len());
            Ok(())
        } else {
            Err(found.join(", "))
        };
    }
    let applied = migrations.apply(&db).await.map_err(|error| error.to_string())?;
    audit::note_migrations(&db, &applied, Clock::System.now()).await.map_err(|error| error.to_string())?;
    eprintln!("{} applied, {} were before", applied.len(), plan.applied.len());
    db.close().await;
    Ok(())
}
