//! `hallpass user import`: users from elsewhere, with the hashes of their passwords. `lines` reads files of people (`csv_file` those
//! with a row for each), `report` says
//! what was found out, `identity` reads databases of ASP.NET Core Identity; what is done with them is decided in `store::imports`.

pub(super) mod csv_file;
mod identity;
mod lines;
mod report;

use crate::ambient::Clock;
use crate::commands::terminal::{self, Report, one_line, wrong_usage};
use crate::commands::{Outcome, group};
use crate::config::Config;
use crate::failure::Failure;
use crate::keys::factors::{FactorKeySet, OwnSealer};
use crate::protocol::difference::most_like;
use crate::protocol::factor_secret::FactorSealer;
use crate::protocol::time::NumericDate;
use crate::startup;
use crate::store::identity_source::Keys;
use crate::store::imports::run::{Options, Tally, Writing, run as import};
use crate::store::imports::staging::Staging;
use crate::store::imports::{self, FOR_GOOD, Finding};
use crate::store::migrations::least_version;
use report::Told;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const PATH: &[&str] = &["user", "import"];

const HELP: &str =
    "A line is a JSON object with username and email, and at will sub, email_verified, name, given_name, family_name and every \
other standard claim that has a column, phone_number_verified, groups (a list), claims (an object), locked_until \
(2027-01-01T00:00:00Z, or forever) and password_hash (PHC: argon2, scrypt, pbkdf2; bcrypt; ASP.NET Core Identity). CSV has the same names in its first line; there groups \
are separated by |, and a claim has a column claim:NAME. Who has no hash cannot sign in until `hallpass user set-password`.

An address that several users have is taken and reported: no user can sign in by it, and services, which link accounts by
verified addresses, are told that it is not verified.

Without --apply it only reports what would be done and what is wrong. What cannot be taken is named, and the rest is taken; the
status is 1 then. Made again, it changes nothing; of a file that was changed meanwhile it brings what was changed in the file, and
what was changed here since stays.

Examples:
  hallpass user import people.jsonl
  hallpass user import people.csv --apply
  export-people | hallpass user import - --source hr --apply --all-or-nothing";

/// What is said below the options.
pub(super) fn help() -> String {
    format!("{HELP}\n\n{}", identity::HELP)
}

/// What a column is called, in a file of people or by `--column`, that is a further claim.
const CLAIM: &str = "claim:";

/// What a file is called as a source where none is said, and a database of Identity.
const SOURCE_OF_FILES: &str = "file";
const SOURCE_OF_IDENTITY: &str = "aspnet-identity";

#[derive(clap::Args)]
pub(in crate::commands) struct Import {
    /// The file, or - for standard input
    #[arg(required_unless_present = "aspnet_identity", conflicts_with = "aspnet_identity")]
    file: Option<PathBuf>,
    #[command(flatten)]
    identity: identity::Arguments,
    /// Do it
    #[arg(long)]
    apply: bool,
    /// The name of the source, by which the same import is known again; where none is said, file or aspnet-identity
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Take nothing where anything is wrong: all is one transaction, and SQLite lets no other write meanwhile
    #[arg(long)]
    all_or_nothing: bool,
    /// Disable users who came from this source and are gone from it
    #[arg(long)]
    disable_missing: bool,
    /// The group that a role becomes, also one that is here already; may be repeated
    #[arg(long = "role", value_name = "ROLE=GROUP", value_parser = parse_role)]
    roles: Vec<(String, String)>,
    #[command(flatten)]
    report: Report,
}

fn parse_role(text: &str) -> Result<(String, String), String> {
    let (role, group) = text.rsplit_once('=').ok_or("write it as ROLE=GROUP")?;
    if role.is_empty() {
        return Err("write it as ROLE=GROUP".to_owned());
    }
    match group::name_fault(group) {
        Some(fault) => Err(fault.to_string()),
        None => Ok((role.to_owned(), group.to_owned())),
    }
}

/// Reads until when a user is locked.
pub(super) fn parse_lock(text: &str) -> Result<NumericDate, String> {
    const FOREVER: &str = "forever";
    if text == FOREVER {
        return Ok(NumericDate(FOR_GOOD));
    }
    let until = terminal::parse_instant(text).map_err(|why| format!("{why}, or as {FOREVER}"))?;
    Ok(NumericDate(until.0.min(FOR_GOOD)))
}

/// Why a source cannot have that name.
fn source_fault(name: &str) -> Option<&'static str> {
    let is_short = (1..=100).contains(&name.len());
    (!is_short || name.trim() != name || name.chars().any(char::is_control))
        .then_some("--source: a name has 1 to 100 bytes, no space at its ends and no control character")
}

pub(super) async fn run(config: Config, arguments: Import) -> Outcome {
    let is_identity = arguments.identity.is_given();
    let of_kind = if is_identity { SOURCE_OF_IDENTITY } else { SOURCE_OF_FILES };
    let source = arguments.source.as_deref().unwrap_or(of_kind);
    if let Some(fault) = source_fault(source) {
        wrong_usage(PATH, fault);
    }
    if arguments.disable_missing && !is_identity && arguments.source.is_none() {
        wrong_usage(PATH, "--disable-missing needs --source: it is about users who came from that source");
    }
    if is_identity && !arguments.apply {
        // Before a million users are read in vain.
        terminal::must_exist(&config)?;
    }
    let file = arguments.file.as_deref().unwrap_or(Path::new(""));
    let mut told = Told::new(file, arguments.report);
    let mut staging = Staging::new().await?;
    let now = Clock::System.now();
    // Other sources bring no second factor.
    let factor_keys = if is_identity { FactorKeySet::load(&config.keys)? } else { FactorKeySet::default() };
    let sealer = OwnSealer::new(factor_keys, now).map(|sealer| Box::new(sealer) as Box<dyn FactorSealer>);
    let seen = if is_identity {
        let before = keys_of_before(&config, source).await;
        let circumstances = identity::Circumstances { before, may_seal: sealer.is_some() };
        let mut intake = |finding: Finding| told.found_by_reader(&finding);
        identity::read(&arguments.identity, &mut staging, circumstances, &mut intake).await?
    } else {
        lines::read(file, &mut staging, &mut told).await?
    };
    staging.finish().await?;
    let roles: Vec<String> = staging.roles().await?.into_iter().map(|role| role.name).collect();
    if let Some((unknown, _)) = arguments.roles.iter().find(|(name, _)| !roles.contains(name)) {
        let near = most_like(unknown, &roles, |name| name, 3);
        let fix = near.map_or_else(|| roles.join(", "), |near| format!("did you mean {near}?"));
        return Err(
            Failure::new(format!("--role: the source has no role {:?}", one_line(unknown))).with_fix(one_line(&fix))
        );
    }
    let db =
        if arguments.apply { startup::open_database(&config).await? } else { terminal::open_database(&config).await? };
    let mut options = Options {
        source: source.to_owned(),
        is_source_named: is_identity || arguments.source.is_some(),
        is_source_said: arguments.source.is_some(),
        writing: Writing::Nothing,
        disable_missing: arguments.disable_missing,
        roles: arguments.roles.iter().cloned().collect::<BTreeMap<_, _>>(),
        names: if is_identity { BTreeMap::from(identity::NAMES) } else { BTreeMap::new() },
        uncovered: uncovered(&seen),
        claim_columns: seen.iter().filter_map(|name| name.strip_prefix(CLAIM)).map(str::to_owned).collect(),
        sealer,
        now,
    };
    if options.disable_missing && staging.people() == 0 {
        let what = "the source has no users, and --disable-missing would disable all who came from it";
        return Err(Failure::new(what).with_fix("look whether it is the right source"));
    }
    let is_tried_first = !arguments.apply || arguments.all_or_nothing;
    let mut tally = Tally::default();
    if is_tried_first {
        tally = import(&db, &mut staging, &options, &mut told).await?;
    }
    let may_apply = arguments.apply && !(arguments.all_or_nothing && tally.faults + told.faults() > 0);
    if may_apply {
        options.writing = if arguments.all_or_nothing { Writing::AllOrNothing } else { Writing::InParts };
        if arguments.all_or_nothing {
            told.hush();
            eprintln!("All of it is one transaction: until it is done nothing else can write to a SQLite database.");
        }
        tally = import(&db, &mut staging, &options, &mut told).await?;
        least_version(&db).await?;
    }
    db.close().await;
    staging.close().await?;
    tally.faults += told.faults();
    let is_applied = may_apply && !(arguments.all_or_nothing && tally.faults > 0);
    told.finish(&options, &tally, is_applied)?;
    conclude(&arguments, &tally, is_applied)
}

/// What the keys of the source were taken for before, where that is known.
async fn keys_of_before(config: &Config, source: &str) -> Keys {
    let Ok(db) = terminal::open_database(config).await else { return Keys::Unknown };
    let keys = imports::keys(&db, source).await.unwrap_or_default();
    db.close().await;
    Keys::of_before(&keys)
}

/// Says how it ended, and what there is to do.
fn conclude(arguments: &Import, tally: &Tally, is_applied: bool) -> Outcome {
    let summary = report::summary(tally);
    if !is_applied {
        if tally.faults > 0 {
            let fix = if arguments.all_or_nothing {
                "correct the rows above; nothing was added"
            } else {
                "correct the rows above, or say --apply to bring over the others; nothing was added yet"
            };
            return Err(Failure::new(summary).with_fix(fix));
        }
        eprintln!("{summary}. Nothing was added yet: --apply does it.");
        return Ok(());
    }
    let done = report::done(tally);
    if tally.faults > 0 {
        return Err(Failure::new(format!("{done}; {} with faults", tally.faults))
            .with_fix("correct the rows above and make the import again: it takes what is left"));
    }
    eprintln!("{done}");
    Ok(())
}

/// What the source says nothing of, of all that it could.
fn uncovered(seen: &BTreeSet<String>) -> BTreeSet<String> {
    let members = crate::store::users::edit::COLUMNS.iter().copied().chain([
        "email_verified",
        "phone_number_verified",
        "password_hash",
        "locked_until",
        "roles",
        "role_claims",
        "claims",
    ]);
    members.filter(|member| !seen.contains(*member)).map(str::to_owned).collect()
}
