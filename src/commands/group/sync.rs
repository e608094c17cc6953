//! `hallpass group sync FILE`: groups and members as a file has them, all of it or nothing.

use super::{Change, change_of, name_fault, report};
use crate::ambient::Clock;
use crate::commands::terminal::{self, one_line};
use crate::commands::{Outcome, user};
use crate::config::Config;
use crate::failure::Failure;
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::groups::{self, End, Group};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub(super) const HELP: &str = "The file is TOML, a table for each group; a group that it does not name stays as it is:

  [finance]
  description = \"People of the finance department\"
  members = [\"alice\", \"bob@example.com\", { user = \"carol\", until = \"2027-01-01T00:00:00Z\" }]

Each group gets these members and no others. It says what it would change and asks first; where a user is not known, nothing
is changed at all.

Examples:
  hallpass group sync groups.toml
  hallpass group sync groups.toml --yes --json
  make-groups | hallpass group sync - --yes";

#[derive(clap::Args)]
pub(in crate::commands) struct Sync {
    /// The file, or - for standard input
    file: PathBuf,
    /// Do not ask; a script must say so
    #[arg(long)]
    yes: bool,
    /// Print what was done as a JSON object
    #[arg(long)]
    json: bool,
}

/// A group of the file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    description: Option<String>,
    #[serde(default)]
    members: Vec<Listed>,
}

/// A member of the file.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Listed {
    Name(String),
    Until { user: String, until: String },
}

pub(super) async fn run(config: Config, sync: Sync) -> Outcome {
    const PATH: &[&str] = &["group", "sync"];
    if !sync.yes && !terminal::is_there() {
        terminal::confirm(PATH, "", false)?;
    }
    let entries = read(&sync.file)?;
    let db = terminal::open_database(&config).await?;
    let now = Clock::System.now();
    let changes = changes(&db, &sync.file, &entries, now).await?;
    if changes.is_empty() {
        db.close().await;
        return report(sync.json, &[], "the groups are as the file has them; nothing was changed");
    }
    let lines: Vec<String> = changes.iter().map(|(group, change)| one_line(&line_of(group, change))).collect();
    terminal::confirm(PATH, &format!("Change this?\n  {}\n", lines.join("\n  ")), sync.yes)?;
    let done = groups::apply(&db, &changes, now).await?;
    db.close().await;
    report(sync.json, &done, &format!("{} changes; every node knows within ten seconds", done.len()))
}

fn line_of(group: &str, change: &Change) -> String {
    let document = change_of(group, change);
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    format!("{} {group} {} {}", text("change"), text("sub"), text("until")).trim_end().to_owned()
}

fn read(file: &Path) -> Result<BTreeMap<String, Entry>, Failure> {
    let text = terminal::read_text(file)?;
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let at = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        Failure::new(format!("{}:{at}: {}", file.display(), one_line(error.message())))
            .with_fix("write a table for each group: [finance] and members = [\"alice\"]")
    })
}

/// What is to be changed, in an order that works.
async fn changes(
    db: &Db,
    file: &Path,
    entries: &BTreeMap<String, Entry>,
    now: NumericDate,
) -> Result<Vec<(String, Change)>, Failure> {
    let mut changes = Vec::new();
    let mut faults = Vec::new();
    for (name, entry) in entries {
        if let Some(fault) = name_fault(name) {
            faults.push(format!("[{}]: {}", one_line(name), fault.told()));
            continue;
        }
        let known = groups::find(db, name, now).await?;
        changes.extend(of_group(entry, known.as_ref()).map(|change| (name.clone(), change)));
        let before = groups::members(db, name).await?;
        let mut wanted = BTreeSet::new();
        for listed in &entry.members {
            match member(db, listed).await {
                Ok((sub, until)) => {
                    let is_so = before.iter().any(|it| it.sub == sub && it.until == until.map(|until| until.0));
                    if wanted.insert(sub.clone()) && !is_so {
                        let until = until.map_or(End::Never, End::At);
                        changes.push((name.clone(), Change::Add { sub, until }));
                    }
                }
                Err(failure) => faults.push(format!("[{}] members: {}", one_line(name), failure.told())),
            }
        }
        let gone = before.into_iter().filter(|member| !wanted.contains(&member.sub));
        changes.extend(gone.map(|member| (name.clone(), Change::Remove { sub: member.sub })));
    }
    if faults.is_empty() {
        return Ok(changes);
    }
    for fault in &faults {
        eprintln!("{}: {fault}", file.display());
    }
    Err(Failure::new(format!("{} entries of the file cannot be taken; nothing was changed", faults.len())))
}

fn of_group(entry: &Entry, known: Option<&Group>) -> Option<Change> {
    match (known, &entry.description) {
        (None, description) => Some(Change::New(description.clone().unwrap_or_default())),
        (Some(group), Some(text)) if group.description != *text => Some(Change::Describe(text.clone())),
        _ => None,
    }
}

async fn member(db: &Db, listed: &Listed) -> Result<(String, Option<NumericDate>), Failure> {
    let (name, until) = match listed {
        Listed::Name(name) => (name, None),
        Listed::Until { user, until } => (user, Some(until)),
    };
    let until = until.map(|text| {
        let why = |why: String| Failure::new(format!("until {text:?} is no instant")).with_fix(why);
        terminal::parse_instant(text).map_err(why)
    });
    Ok((user::find(db, name).await?.sub, until.transpose()?))
}
