//! `hallpass audit`: what happened, as a list, as one file, and whether it is whole; and the two ways in which it gets less.

use crate::ambient::Clock;
use crate::audit::pruning::{self, Pruner};
use crate::commands::terminal::parse_span;
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::failure::Failure;
use crate::logging;
use crate::protocol::audit::{EventKind, Flaw, Head, Pruned, Record, verify};
use crate::protocol::difference::most_like;
use crate::protocol::factor::SignInFailure;
use crate::protocol::shown::harmless;
use crate::protocol::time::NumericDate;
use crate::store::audit_events::{self, Wanted};
use crate::store::db::Db;
use crate::store::refusals;
use crate::store::users::{self, ByLogin};
use serde::Serialize;
use serde_json::json;
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
        What is cut off at the end of a chain is seen only with a later end of it that was kept elsewhere. What was pruned or \
        erased is counted, and is not a fault.")]
    Verify(Verify),
    /// Remove the oldest events of each chain, for good
    #[command(
        after_help = "A checkpoint replaces the removed events of a chain, so that `audit verify` still says whether the \
        rest is whole. Nothing is removed from a chain that is not whole. With HALLPASS_AUDIT_RETENTION, running nodes do \
        this by themselves.\n\n\
        Examples:\n  hallpass audit prune --older-than 365d        asks first\n  \
        hallpass audit prune --older-than 365d --yes  in a script"
    )]
    Prune(Prune),
    /// Erase the personal data of a user in every event about that user: sub, network, names
    #[command(
        after_help = "The events stay, without the user they were about, and `audit verify` says how many members were erased. \
        Earlier exports and backups are copies: erase there yourself.\n\n\
        Examples:\n  hallpass audit erase --sub SUB                       asks first\n  \
        hallpass audit erase --sub SUB --name alice --yes    in a script"
    )]
    Erase(Erase),
}

#[derive(clap::Args)]
pub(super) struct List {
    /// Only events of that kind, such as `sign_in`
    #[arg(long)]
    event: Option<String>,
    /// Only those of that user, by user name, e-mail address or `sub`
    #[arg(long, value_name = "NAME")]
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

#[derive(clap::Args)]
pub(super) struct Prune {
    /// Events older than that: 365d, 24h, 15m, 90s; without it, older than the configured retention
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    older_than: Option<i64>,
    /// Do not ask; a script must say so
    #[arg(long)]
    yes: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct Erase {
    /// The user, by `sub`, user name or e-mail address
    #[arg(long)]
    sub: String,
    /// A further name to look for in events without a sub, beside the user name and e-mail address of the user
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// Do not ask; a script must say so
    #[arg(long)]
    yes: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// How long a name can be that is looked for, in bytes: no member of an event is longer.
pub(super) const LONGEST_NAME: usize = 1024;

/// An event as it is printed: with the names of the members that were erased, which its digests tell too.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    record: &'a Record,
    erased: Vec<&'a str>,
}

pub(super) async fn run(config: Config, command: AuditCommand) -> Outcome {
    logging::start("warn");
    if let AuditCommand::List(List { event: Some(event), .. }) = &command {
        must_be_known(event)?;
    }
    if let AuditCommand::Verify(Verify { file: Some(file), heads, json }) = &command {
        return report(&read_export(file)?, heads.as_deref(), *json);
    }
    let now = Clock::System.now();
    let cut = match &command {
        AuditCommand::Prune(prune) => cut(&config, prune, now),
        _ => now,
    };
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
        AuditCommand::Prune(arguments) => prune(&db, &arguments, cut, now).await,
        AuditCommand::Erase(arguments) => erase(&db, &arguments, now).await,
    };
    db.close().await;
    outcome
}

/// A kind of event that there is.
fn must_be_known(event: &str) -> Outcome {
    let words = EventKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>();
    if words.contains(&event) {
        return Ok(());
    }
    let (sent, most_like) = (event.to_lowercase(), most_like(event, words.iter().copied(), |word| word, 4));
    let shares_a_part = |word: &str| {
        word.split('_').any(|part| part.len() > 3 && sent.split(['_', '-', ' ']).any(|other| other == part))
    };
    let mut near: Vec<&str> = most_like.into_iter().collect();
    near.extend(words.iter().copied().filter(|word| Some(*word) != most_like && shares_a_part(word)));
    let fix = if near.is_empty() {
        format!("one of {}", words.join(", "))
    } else {
        format!("did you mean {}?", near.join(", "))
    };
    Err(Failure::new(format!("--event: there is no kind of event {:?}", terminal::one_line(event))).with_fix(fix))
}

async fn print_list(db: &Db, list: List) -> Outcome {
    let since = list.since.map_or(NumericDate(0), |span| Clock::System.now().plus(-span));
    let sub = match &list.user {
        Some(user) => Some(sub_of(db, user).await?),
        None => None,
    };
    let wanted = Wanted { event: list.event, sub, client_id: list.client, reference: list.reference };
    let records = audit_events::latest(db, &wanted, since, list.limit.into()).await?;
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

fn line(record: &Record) -> Result<String, Failure> {
    terminal::json_line(&Printed { record, erased: record.erased() })
}

fn in_columns(record: &Record) -> String {
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let erased = record.erased();
    let personal = |name: &str, text: &Option<String>| {
        if erased.contains(&name) { "(erased)".to_owned() } else { word(text) }
    };
    let mut text = format!(
        "{}  {:<20} {:<24} {:<16} {:<15}",
        terminal::instant(NumericDate(record.at)),
        record.event,
        personal("sub", &record.sub),
        word(&record.client_id),
        personal("network", &record.network)
    );
    let more = if record.personal.is_empty() { None } else { Some(json!(record.personal).to_string()) };
    for part in [&record.reference, &record.detail, &more].into_iter().flatten() {
        let _ = write!(text, " {part}");
    }
    format!("{}\n", harmless(text.trim_end()))
}

async fn each_page(db: &Db, mut take: impl FnMut(Vec<Record>) -> Outcome) -> Outcome {
    let mut after: Option<Record> = None;
    let mut snapshot = audit_events::snapshot(db).await?;
    loop {
        let page = audit_events::page(&mut snapshot, after.as_ref()).await?;
        let Some(last) = page.last().cloned() else {
            return Ok(snapshot.rollback().await?);
        };
        take(page)?;
        after = Some(last);
    }
}

async fn export(db: &Db) -> Outcome {
    let mut count = 0;
    each_page(db, |page| {
        count += page.len();
        print!("{}", page.iter().map(line).collect::<Result<String, Failure>>()?);
        Ok(())
    })
    .await?;
    eprintln!("{count} events");
    Ok(())
}

fn read_export(file: &Path) -> Result<Vec<Record>, Failure> {
    let fault = |error: std::io::Error| Failure::at(file.display(), error);
    let reader: Box<dyn std::io::Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(file).map_err(fault)?)
    };
    let mut records = Vec::new();
    for (number, text) in (1..).zip(std::io::BufReader::new(reader).lines()) {
        let text = text.map_err(fault)?;
        let record = terminal::read_line(&text).ok_or_else(|| {
            let what = format!("line {number} is not an event as this version of `hallpass audit export` prints it");
            Failure::new(what).about(file.display()).with_fix("export it anew, with `hallpass audit export`")
        })?;
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
                .map_err(|error| Failure::at(file.display(), error))?;
            let heads =
                terminal::read_json(&text).and_then(|mut kept| serde_json::from_value(kept["heads"].take()).ok());
            heads.ok_or_else(|| {
                Failure::new("not what this version of `hallpass audit verify --json` prints")
                    .about(file.display())
                    .with_fix("name a file that `hallpass audit verify --json` has printed")
            })?
        }
    };
    match verify(records, &kept) {
        Ok(verified) => {
            if json {
                terminal::print_json(&json!({ "heads": verified.heads }))?;
            } else {
                let lines =
                    verified.heads.iter().map(|head| format!("{}  {:>8}  {}\n", head.chain, head.sequence, head.hash));
                print!("{}", lines.collect::<String>());
            }
            eprintln!("{} events in {} chains: whole", records.len(), verified.heads.len());
            if verified.erased > 0 {
                eprintln!("{} personal members were erased", verified.erased);
            }
            if verified.pruned.events > 0 {
                eprintln!("{}", in_words(&verified.pruned, "were pruned before"));
            }
            if verified.kept_and_pruned > 0 {
                eprintln!("{} of the heads that were kept are among them", verified.kept_and_pruned);
            }
            Ok(())
        }
        Err(flaws) => Err(Failure::new(format!("the audit is not whole:\n  {}", listed(&flaws)))),
    }
}

fn listed(flaws: &[Flaw]) -> String {
    let lines = flaws.iter().map(|Flaw { chain, sequence, why }| format!("chain {chain}, event {sequence}: {why}"));
    lines.map(|line| terminal::one_line(&line)).collect::<Vec<_>>().join("\n  ")
}

fn in_words(pruned: &Pruned, what: &str) -> String {
    let until =
        pruned.until.map_or_else(String::new, |at| format!(", the newest from {}", terminal::instant(NumericDate(at))));
    format!("{} events of {} chains {what}{until}", pruned.events, pruned.chains)
}

/// What is kept: everything since then.
fn cut(config: &Config, arguments: &Prune, now: NumericDate) -> NumericDate {
    match (arguments.older_than, config.audit_retention) {
        (Some(span), _) => now.plus(-span),
        (None, Some(days)) => pruning::cut(days, now),
        (None, None) => terminal::wrong_usage(
            &["audit", "prune"],
            "--older-than TIME is missing, and HALLPASS_AUDIT_RETENTION is not set",
        ),
    }
}

async fn prune(db: &Db, arguments: &Prune, cut: NumericDate, now: NumericDate) -> Outcome {
    let question = format!("Remove every event from before {}, for good?", terminal::instant(cut));
    terminal::confirm(&["audit", "prune"], &question, arguments.yes)?;
    let mut pruner = Pruner::default();
    let removed = pruner.prune(db, cut, usize::MAX, now).await?;
    if arguments.json {
        terminal::print_json(&json!({"events": removed.events, "chains": removed.chains, "until": removed.until}))?;
    }
    eprintln!("{}", in_words(&removed, "were removed"));
    match &pruner.take_flaws()[..] {
        [] => Ok(()),
        flaws => Err(Failure::new(format!("chains that are not whole were left as they are:\n  {}", listed(flaws)))),
    }
}

/// Whom a name, an address or a `sub` means. A user who is deleted has events under their `sub` all the same, which comes before
/// another user's name.
pub(super) async fn sub_of(db: &Db, user: &str) -> Result<String, Failure> {
    let of_sub = Wanted { sub: Some(user.to_owned()), ..Wanted::default() };
    let is_sub = users::find(db, user).await?.is_some()
        || !audit_events::latest(db, &of_sub, NumericDate(0), 1).await?.is_empty()
        || !refusals::of_user(db, user, 1).await?.is_empty();
    if is_sub {
        return Ok(user.to_owned());
    }
    users::fold_names(db).await?;
    match users::find_by_login(db, user).await? {
        ByLogin::One(found) => Ok(found.sub),
        ByLogin::NoUser => Err(Failure::new(format!(
            "no user has the name, the address or the sub {:?}, and no event is about one",
            terminal::one_line(user)
        ))
        .with_fix("`hallpass user list` names them")),
        ByLogin::Several => Err(Failure::new(SignInFailure::AddressShared.cause()).with_fix("say user name or sub")),
    }
}

async fn erase(db: &Db, arguments: &Erase, now: NumericDate) -> Outcome {
    let Erase { sub, name, yes, json } = arguments;
    let sub = &match sub_of(db, sub).await {
        Ok(found) => found,
        // No event has it, but names were given to look for.
        Err(_) if !name.is_empty() => sub.clone(),
        Err(failure) => return Err(failure),
    };
    let person = users::find(db, sub).await?;
    let who = person.as_ref().and_then(|user| user.username.as_deref()).unwrap_or("a user who is gone");
    let question = format!(
        "Erase the personal data of {} ({}) in the audit, for good?",
        terminal::one_line(sub),
        terminal::one_line(who)
    );
    terminal::confirm(&["audit", "erase"], &question, *yes)?;
    let is_name = |name: &&str| (1..=LONGEST_NAME).contains(&name.len());
    if !name.iter().all(|name| is_name(&name.as_str())) {
        return Err(Failure::new(format!("a name has 1 to {LONGEST_NAME} bytes; nothing was changed")));
    }
    let own = person.iter().flat_map(|user| [user.username.as_deref(), user.email()]);
    let names: Vec<&str> = own.flatten().filter(is_name).chain(name.iter().map(String::as_str)).collect();
    let erased = audit_events::erase(db, sub, &names, now).await?;
    let refusals = refusals::forget_user(db, sub).await?;
    if *json {
        terminal::print_json(&json!({"events": erased.events, "members": erased.members, "refusals": refusals}))?;
    }
    eprintln!("{} personal members of {} events were erased, and {refusals} refusals", erased.members, erased.events);
    Ok(())
}
