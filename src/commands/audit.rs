//! `hallpass audit`: what happened, as a list, as one file, and whether it is whole.

use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::logging;
use crate::protocol::audit::{Head, Record, verify};
use crate::protocol::time::NumericDate;
use crate::provider::Clock;
use crate::store::audit_events::{self, Wanted};
use crate::store::db::Db;
use std::fmt::Write as _;
use std::io::{BufRead as _, Read as _};
use std::path::{Path, PathBuf};

#[derive(clap::Subcommand)]
pub(super) enum AuditCommand {
    /// The latest events, newest first
    #[command(after_help = "Examples:\n  hallpass audit list --event sign_in_failed --since 1h\n  \
        hallpass audit list --client reports --json | jq .")]
    List(List),
    /// Every event, oldest first, one JSON object a line
    #[command(
        after_help = "Example:\n  hallpass audit export > audit.jsonl && hallpass audit verify --file audit.jsonl"
    )]
    Export,
    /// Whether no event was changed, taken out or put in; prints the end of each chain
    #[command(after_help = "Examples:\n  hallpass audit verify --json > heads.json     # keep it somewhere else\n  \
        hallpass audit verify --heads heads.json      # later: is all of that still there?\n\n\
        What is cut off at the end of a chain is seen only by whoever kept a later end of it elsewhere.")]
    Verify(Verify),
}

#[derive(clap::Args)]
pub(super) struct List {
    /// Only events of that kind, such as `sign_in`
    #[arg(long)]
    event: Option<String>,
    /// Only those of that person, by `sub`
    #[arg(long, value_name = "SUB")]
    user: Option<String>,
    /// Only those by way of that client
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    /// Only those of that request
    #[arg(long)]
    reference: Option<String>,
    /// Only those of the last so many seconds, minutes, hours or days: 90s, 15m, 24h, 7d
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    since: Option<i64>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_name = "NUMBER")]
    limit: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct Verify {
    /// A file that `audit export` wrote, or - for standard input, instead of the database
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What `audit verify --json` printed before
    #[arg(long, value_name = "FILE")]
    heads: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A span such as `24h`, in seconds.
fn parse_span(text: &str) -> Result<i64, String> {
    let fault = || "write it as 90s, 15m, 24h or 7d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(fault)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(fault()),
    };
    let number: i64 = number.parse::<u32>().map_err(|_| fault())?.into();
    Ok(number * seconds)
}

pub(super) async fn run(config: Config, command: AuditCommand) -> Outcome {
    logging::start("warn");
    if let AuditCommand::Verify(Verify { file: Some(file), heads, json }) = &command {
        return report(&read_export(file)?, heads.as_deref(), *json);
    }
    let db = terminal::open_database(&config).await?;
    let outcome = match command {
        AuditCommand::List(list) => print_list(&db, list).await,
        AuditCommand::Export => export(&db).await,
        AuditCommand::Verify(arguments) => {
            let mut records = Vec::new();
            each_page(&db, |page| {
                records.extend(page);
                Ok(())
            })
            .await?;
            report(&records, arguments.heads.as_deref(), arguments.json)
        }
    };
    db.close().await;
    outcome
}

async fn print_list(db: &Db, list: List) -> Outcome {
    let since = list.since.map_or(NumericDate(0), |span| Clock::System.now().plus(-span));
    let wanted = Wanted { event: list.event, sub: list.user, client_id: list.client, reference: list.reference };
    let records =
        audit_events::latest(db, &wanted, since, list.limit.into()).await.map_err(|error| error.to_string())?;
    let mut text = String::new();
    for record in &records {
        if list.json {
            text.push_str(&line(record)?);
        } else {
            text.push_str(&in_columns(record));
        }
    }
    if records.is_empty() {
        eprintln!("there is no such event");
    }
    print!("{text}");
    Ok(())
}

fn line(record: &Record) -> Result<String, String> {
    serde_json::to_string(record).map(|text| text + "\n").map_err(|error| error.to_string())
}

fn in_columns(record: &Record) -> String {
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut text = format!(
        "{}  {:<20} {:<24} {:<16} {:<15}",
        terminal::instant(NumericDate(record.at)),
        record.event,
        word(&record.sub),
        word(&record.client_id),
        word(&record.network)
    );
    for part in [&record.reference, &record.detail].into_iter().flatten() {
        let _ = write!(text, " {part}");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

async fn each_page(db: &Db, mut take: impl FnMut(Vec<Record>) -> Outcome) -> Outcome {
    let mut after: Option<Record> = None;
    loop {
        let page = audit_events::page(db, after.as_ref()).await.map_err(|error| error.to_string())?;
        let Some(last) = page.last().cloned() else { return Ok(()) };
        take(page)?;
        after = Some(last);
    }
}

async fn export(db: &Db) -> Outcome {
    let mut count = 0;
    each_page(db, |page| {
        count += page.len();
        print!("{}", page.iter().map(line).collect::<Result<String, String>>()?);
        Ok(())
    })
    .await?;
    eprintln!("{count} events");
    Ok(())
}

fn read_export(file: &Path) -> Result<Vec<Record>, String> {
    let fault = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let reader: Box<dyn std::io::Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(file).map_err(|error| fault(&error))?)
    };
    let mut records = Vec::new();
    for (number, text) in (1..).zip(std::io::BufReader::new(reader).lines()) {
        let text = text.map_err(|error| fault(&error))?;
        let record = serde_json::from_str(&text)
            .map_err(|error| fault(&format!("line {number} is not an event of `hallpass audit export`: {error}")))?;
        records.push(record);
    }
    Ok(records)
}

fn report(records: &[Record], kept: Option<&Path>, json: bool) -> Outcome {
    let kept: Vec<Head> = match kept {
        None => Vec::new(),
        Some(file) => {
            let mut text = String::new();
            std::fs::File::open(file)
                .and_then(|mut file| file.read_to_string(&mut text))
                .map_err(|error| format!("{}: {error}", file.display()))?;
            serde_json::from_str(&text).map_err(|error| {
                format!("{}: not what `hallpass audit verify --json` prints: {error}", file.display())
            })?
        }
    };
    match verify(records, &kept) {
        Ok(heads) => {
            if json {
                let text = serde_json::to_string_pretty(&heads).map_err(|error| error.to_string())?;
                println!("{text}");
            } else {
                let lines = heads.iter().map(|head| format!("{}  {:>8}  {}\n", head.chain, head.sequence, head.hash));
                print!("{}", lines.collect::<String>());
            }
            eprintln!("{} events in {} chains: whole", records.len(), heads.len());
            Ok(())
        }
        Err(flaws) => {
            let lines: Vec<String> = flaws
                .iter()
                .map(|flaw| format!("chain {}, event {}: {}", flaw.chain, flaw.sequence, flaw.why))
                .collect();
            Err(format!("the audit is not whole:\n  {}", lines.join("\n  ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        assert_eq!(parse_span("90s"), Ok(90));
        assert_eq!(parse_span("15m"), Ok(900));
        assert_eq!(parse_span("24h"), Ok(86_400));
        assert_eq!(parse_span("7d"), Ok(604_800));
        for bad in ["", "s", "7", "-1d", "7w", "d7", "é"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }
}
