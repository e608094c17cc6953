//! `hallpass key new`, `plan`, `retire`: signing keys, whose files' names are their timetable, and factor keys (`factors`).
//!
//! A private key is never printed, and no file is deleted: a key ends by a new name.

pub(super) mod factors;
mod hints;

pub(super) use hints::hints;

use crate::ambient::Clock;
use crate::commands::terminal::{Report, parse_instant};
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::failure::{Failure, Warning};
use crate::keys::factors::{FactorKeySet, Plan as FactorPlan, plan as factor_plan};
use crate::keys::plan::{self, Plan, State, short, shown, uncovered};
use crate::keys::timetable::{Entry, Hints, Timetable};
use crate::keys::{self, Ending, JWKS_MAX_AGE, Key, KeySet, LONGEST_TOKEN, PUBLISH_LEAD};
use crate::protocol::response::SigningAlgorithm;
use crate::protocol::time::NumericDate;
use serde_json::{Value, json};
use std::path::Path;

#[derive(clap::Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key; the first of its algorithm signs at once, a further one a day later
    #[command(after_help = "Example: a further key, published from now on, signs when every service knows it\n  \
        hallpass key new --alg RS256\n\n\
        What seals the secrets of authenticators, made before the first of them is added\n  \
        hallpass key new --for factors")]
    New {
        /// What it is for: to sign tokens, or to seal the secrets of authenticators
        #[arg(long = "for", default_value = "signing")]
        purpose: Purpose,
        /// RS256, PS256, ES256 or `EdDSA`; where nothing is said, RS256
        #[arg(long, value_parser = parse_algorithm)]
        alg: Option<SigningAlgorithm>,
        /// From when it signs, or seals, such as 2026-12-01T00:00:00Z
        #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
        signs_from: Option<NumericDate>,
        #[command(flatten)]
        report: Report,
    },
    /// Show every key: since when it is published, when it signs, retires and may be deleted
    #[command(after_help = "Example: the RS256 key that signs now\n  \
        hallpass key plan | awk '$1 == \"RS256\" && $2 == \"signs\" { print $3 }'\n\n\
        The status is 1 when RS256, which every client may rely on, has no key now or later.")]
    Plan {
        /// As JSON, times in Unix seconds
        #[arg(long)]
        json: bool,
    },
    /// Say when a key stops signing, or that it has leaked
    #[command(after_help = "Examples: the usual change of keys; the old one stops when the new one begins\n  \
        hallpass key new --alg RS256\n  \
        hallpass key retire 6Zq1V_0dyAbC\n\n\
        The key was stolen: a successor signs at once, and what it signed is refused from now on\n  \
        hallpass key retire --leaked 6Zq1V_0dyAbC")]
    Retire(Retire),
}

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Purpose {
    /// To sign tokens
    Signing,
    /// To seal the secrets of second factors
    Factors,
}

#[derive(clap::Args)]
pub(super) struct Retire {
    /// The beginning of its kid or id, as `key plan` shows it, or its file's name
    #[arg(allow_hyphen_values = true)]
    key: String,
    /// When it stops signing, such as 2026-12-01T00:00:00Z; by default when another takes over
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant, conflicts_with = "leaked")]
    at: Option<NumericDate>,
    /// It was stolen: it is dead at once, and another one signs at once
    #[arg(long)]
    leaked: bool,
    /// Even if nothing signs with its algorithm then; never for RS256
    #[arg(long, conflicts_with = "leaked")]
    without_successor: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    report: Report,
}

fn parse_algorithm(text: &str) -> Result<SigningAlgorithm, String> {
    SigningAlgorithm::SUPPORTED
        .iter()
        .copied()
        .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| "use RS256, PS256, ES256 or EdDSA".to_owned())
}

pub(super) async fn run(config: Config, command: KeyCommand) -> Outcome {
    let now = Clock::System.now();
    match command {
        KeyCommand::New { purpose: Purpose::Signing, alg, signs_from, report } => {
            new(&config.keys, alg.unwrap_or(SigningAlgorithm::Rs256), signs_from, report, now)
        }
        KeyCommand::New { purpose: Purpose::Factors, alg: Some(_), .. } => {
            terminal::wrong_usage(&["key", "new"], "--alg is for signing keys; factor keys are all AES-256-GCM")
        }
        KeyCommand::New { purpose: Purpose::Factors, alg: None, signs_from, report } => {
            factors::new(&config.keys, signs_from, report, now)
        }
        KeyCommand::Plan { json } => {
            let set = load(&config.keys)?;
            let factor_keys = FactorKeySet::load(&config.keys)?;
            let hints = known_hints(&config, &set).await;
            let rows = factors::known_rows(&config, &factor_keys).await;
            let of_factors = factor_plan(&factor_keys, rows.as_ref(), now);
            let said = factors::findings(&factor_keys, &of_factors, now);
            show(&set, &hints, (&of_factors, &said), json, now)
        }
        KeyCommand::Retire(arguments) => {
            let set = load(&config.keys)?;
            // Only where it is no signing key: a broken factor key must not hold up that of a stolen one.
            if found(&set, &arguments.key).is_empty() {
                let factor_keys = FactorKeySet::load(&config.keys)?;
                if let Some(key) = factors::find(&factor_keys, &arguments.key)? {
                    return factors::retire(&config.keys, &factor_keys, key, &arguments, now);
                }
            }
            let hints = known_hints(&config, &set).await;
            retire(&config, &set, &hints, &arguments, now)
        }
    }
}

/// What is known of hints; says so where that is nothing.
async fn known_hints(config: &Config, set: &KeySet) -> Hints {
    let (hints, why) = hints(config, set).await;
    if let Some(why) = why {
        eprintln!(
            "hallpass: when files may be deleted is not known, as that depends on the clients' rows: {}",
            why.told()
        );
    }
    hints
}

fn load(folder: &Path) -> Result<KeySet, Failure> {
    if folder.is_dir() {
        Ok(KeySet::load(folder)?)
    } else {
        let what = format!("{}: there is no such folder", folder.display());
        Err(Failure::new(what).with_fix("hallpass key new, or set HALLPASS_KEYS"))
    }
}

fn entries(set: &KeySet) -> Vec<Entry> {
    set.all().iter().map(|key| key.entry.clone()).collect()
}

/// The plan of a folder, as `key plan` and `doctor` show it.
pub(super) fn plan_of(set: &KeySet, hints: &Hints, now: NumericDate) -> Plan {
    plan::plan(&entries(set), now, hints)
}

fn new(
    folder: &Path,
    algorithm: SigningAlgorithm,
    signs_from: Option<NumericDate>,
    report: Report,
    now: NumericDate,
) -> Outcome {
    let set = if folder.is_dir() { KeySet::load(folder)? } else { KeySet::default() };
    let is_first = set.signing(algorithm, now).is_none();
    let signs_from = signs_from.unwrap_or(if is_first { now } else { now.plus(PUBLISH_LEAD) });
    let path = keys::create(folder, algorithm, signs_from)?;
    let file = path.display().to_string();
    let of_file = |key: &&Key| path.file_name().is_some_and(|name| name == key.entry.file.as_str());
    let kid = KeySet::load(folder)?.all().iter().find(of_file).map(|key| key.entry.kid.clone());
    let document = json!({ "kid": kid, "alg": algorithm.as_str(), "file": file, "signs_from": signs_from });
    report.print(&document, Some(&file))?;
    eprintln!("{algorithm}: published from now on, signs from {}", keys::instant_text(signs_from));
    if !is_first && signs_from < now.plus(JWKS_MAX_AGE) {
        eprintln!(
            "hallpass: services may keep the old key list for an hour, some for longer, and refuse this key's tokens until then"
        );
    }
    Ok(())
}

fn show(
    set: &KeySet,
    hints: &Hints,
    (of_factors, said): (&FactorPlan<'_>, &[factors::Finding]),
    as_json: bool,
    now: NumericDate,
) -> Outcome {
    let plan = plan_of(set, hints, now);
    if as_json {
        let mut document = json_of(&plan, hints, now);
        (document["factor_keys"], document["lost_factor_keys"]) = factors::json_of(of_factors);
        if let Some(findings) = document["findings"].as_array_mut() {
            findings.extend(said.iter().map(|it| finding_of((it.is_fault, factors::WORD), &it.why, &it.fix)));
        }
        terminal::print_json(&document)?;
    } else {
        let of_keys = table_of(&plan, hints);
        let of_factors = factors::table_of(of_factors);
        let signing = plan.findings.iter().map(|it| told((it.is_fault, it.algorithm.as_str()), &it.why, &it.fix));
        let further = said.iter().map(|it| told((it.is_fault, factors::WORD), &it.why, &it.fix));
        print!("{of_keys}{of_factors}{}", signing.chain(further).collect::<String>());
    }
    let faults = plan.findings.iter().map(|finding| finding.is_fault).chain(said.iter().map(|it| it.is_fault));
    match faults.filter(|is_fault| *is_fault).count() {
        0 => Ok(()),
        _ => Err(Failure::new("the plan has a fault")),
    }
}

fn table_of(plan: &Plan, hints: &Hints) -> String {
    use std::fmt::Write as _;
    let instant = |at: Option<NumericDate>| at.map_or_else(|| "-".to_owned(), shown);
    let mut text = String::new();
    let mut line = |columns: [&str; 7]| {
        let [algorithm, state, kid, published, signs, retires, deletable] = columns;
        let _ = writeln!(
            text,
            "{algorithm:<9}  {state:<10}  {kid:<12}  {published:<20}  {signs:<20}  {retires:<20}  {deletable}"
        );
    };
    line(["ALGORITHM", "STATE", "KID", "PUBLISHED", "SIGNS FROM", "RETIRES", "MAY BE DELETED"]);
    for (entry, state) in &plan.keys {
        let Timetable { algorithm, signs_from, retired_at, leaked_at } = entry.timetable;
        line([
            algorithm.as_str(),
            state.as_str(),
            short(&entry.kid),
            &instant(entry.appeared_at),
            &instant(Some(signs_from).filter(|at| at.0 > 0)),
            &instant(leaked_at.or(retired_at)),
            &instant(entry.deletable_at(hints)),
        ]);
    }
    text
}

/// A finding as it is told at a terminal.
fn told((is_fault, of): (bool, &str), why: &str, fix: &str) -> String {
    let word = if is_fault { "fault" } else { "warning" };
    format!("\n{}\n", Warning::new(format!("{word}: {of}: {why}"), fix).told())
}

/// A finding as programs read it.
fn finding_of((is_fault, of): (bool, &str), why: &str, fix: &str) -> Value {
    json!({ "verdict": if is_fault { "fault" } else { "warning" }, "alg": of, "why": why, "fix": fix })
}

fn json_of(plan: &Plan, hints: &Hints, now: NumericDate) -> Value {
    let keys: Vec<Value> = plan
        .keys
        .iter()
        .map(|(entry, state)| {
            json!({
                "kid": entry.kid,
                "alg": entry.timetable.algorithm.as_str(),
                "state": state.as_str(),
                "file": entry.file,
                "published_at": entry.appeared_at,
                "signs_from": entry.timetable.signs_from,
                "retired_at": entry.timetable.retired_at,
                "leaked_at": entry.timetable.leaked_at,
                "deletable_at": entry.deletable_at(hints),
            })
        })
        .collect();
    let findings = plan.findings.iter().map(|it| finding_of((it.is_fault, it.algorithm.as_str()), &it.why, &it.fix));
    let findings: Vec<Value> = findings.collect();
    json!({
        "now": now,
        "jwks_max_age": JWKS_MAX_AGE,
        "longest_token": LONGEST_TOKEN,
        "longest_hint": hints.longest,
        "keys": keys,
        "findings": findings,
    })
}

/// The keys that an operator may mean.
fn found<'a>(set: &'a KeySet, wanted: &str) -> Vec<&'a Key> {
    let file = Path::new(wanted).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_meant = |key: &&Key| key.entry.file == file || (wanted.len() >= 4 && key.entry.kid.starts_with(wanted));
    set.all().iter().filter(is_meant).collect()
}

/// The key that an operator means: by its file's name, its kid or the beginning of it.
fn find<'a>(set: &'a KeySet, folder: &Path, wanted: &str) -> Result<&'a Key, Failure> {
    let found = found(set, wanted);
    match found.as_slice() {
        [key] => Ok(key),
        [] => Err(Failure::new(format!("{}: there is no key {wanted:?}", folder.display()))
            .with_fix("`hallpass key plan` shows their kids; four characters are the least")),
        _ => Err(Failure::new(format!("{wanted:?} means {} keys", found.len())).with_fix("give more of the kid")),
    }
}

fn retire(config: &Config, set: &KeySet, hints: &Hints, arguments: &Retire, now: NumericDate) -> Outcome {
    let folder = &config.keys;
    let key = find(set, folder, &arguments.key)?;
    let Entry { kid, file, timetable, .. } = &key.entry;
    let kid = short(kid);
    if let Some(at) = timetable.leaked_at {
        return Err(Failure::new(format!("{kid}: it is known to have leaked since {}", shown(at))));
    }
    if arguments.leaked {
        return take_out(config, set, hints, key, arguments, now);
    }
    if let Some(at) = timetable.retired_at.filter(|_| timetable.is_retired_at(now)) {
        return Err(Failure::new(format!("{kid}: it is retired since {}", shown(at))));
    }
    if arguments.at.is_some_and(|at| at < now) {
        let what = "--at: that is in the past; what it signed since then would have been signed with a retired key";
        return Err(
            Failure::new(what).with_fix("leave --at out, or say --leaked if the key must not be believed any more")
        );
    }
    let at = instant_of_retirement(&entries(set), &key.entry, arguments, now)?;
    let (from, until) = (shown(at), shown(at.plus(LONGEST_TOKEN)));
    eprintln!(
        "{} {kid} ({file}) stops signing at {from}, and is published until {until}, when its last token has ended.{}",
        timetable.algorithm,
        hints.longest.map(|longest| kept_until(at.plus(longest))).unwrap_or_default()
    );
    terminal::confirm(&["key", "retire"], "Retire it?", arguments.yes)?;
    let path = keys::end(folder, key, Ending::Retired(at))?;
    report_end(key, &path, None, Ending::Retired(at), arguments.report)
}

/// Prints what became of a key that ended.
fn report_end(key: &Key, path: &Path, successor: Option<&Path>, ending: Ending, report: Report) -> Outcome {
    let (retired_at, leaked_at) = match ending {
        Ending::Retired(at) => (Some(at), None),
        Ending::Leaked(at) => (None, Some(at)),
    };
    let file = path.display().to_string();
    let document = json!({
        "kid": key.entry.kid,
        "alg": key.entry.timetable.algorithm.as_str(),
        "file": file,
        "retired_at": retired_at,
        "leaked_at": leaked_at,
        "successor": successor.map(|path| path.display().to_string()),
    });
    report.print(&document, Some(&file))
}

/// What is said of the file of a key that stops.
fn kept_until(at: NumericDate) -> String {
    format!(
        "\nKeep the file until {}: until then a service may send a user to the sign-out with an id_token that it signed.",
        shown(at)
    )
}

/// When a key can stop without leaving its algorithm without one: now, or when another begins.
fn instant_of_retirement(
    entries: &[Entry],
    key: &Entry,
    arguments: &Retire,
    now: NumericDate,
) -> Result<NumericDate, Failure> {
    let algorithm = key.timetable.algorithm;
    let before = uncovered(entries, algorithm, now);
    let is_sound = |at: NumericDate| {
        let mut changed = entries.to_vec();
        for entry in changed.iter_mut().filter(|entry| entry.kid == key.kid) {
            entry.timetable.retired_at = Some(at);
        }
        // Whatever has no key then must have had none before.
        uncovered(&changed, algorithm, now).iter().all(|(from, until)| {
            before.iter().any(|(known_from, known_until)| {
                known_from <= from && known_until.is_none_or(|known| until.is_some_and(|until| until <= known))
            })
        })
    };
    let candidates = if let Some(at) = arguments.at {
        vec![at]
    } else {
        let others = entries.iter().map(|entry| &entry.timetable).filter(|other| other.algorithm == algorithm);
        let starts = others.map(|other| other.signs_from).filter(|at| *at > now);
        let mut candidates: Vec<NumericDate> = starts.chain([now]).collect();
        candidates.sort_unstable();
        candidates
    };
    let wanted = candidates.into_iter().find(|at| is_sound(*at));
    match wanted {
        Some(at) => Ok(at),
        None if arguments.without_successor && algorithm != SigningAlgorithm::Rs256 => Ok(arguments.at.unwrap_or(now)),
        None if arguments.without_successor => Err(Failure::new(
            "RS256 must always have a key: every client may rely on it (OpenID Connect Core 15.1), and `serve` does not start without",
        )
        .with_fix("hallpass key new --alg RS256, and then retire this one")),
        None => {
            let what =
                format!("nothing would sign with {algorithm} then, and clients that use it could not be signed in");
            let otherwise = if algorithm == SigningAlgorithm::Rs256 { "" } else { "; or say --without-successor" };
            let fix = format!("hallpass key new --alg {algorithm}, and then retire this one{otherwise}");
            Err(Failure::new(what).with_fix(fix))
        }
    }
}

/// The emergency path: a successor that signs at once, where no other does, and the leaked key dead at once.
fn take_out(config: &Config, set: &KeySet, hints: &Hints, key: &Key, arguments: &Retire, now: NumericDate) -> Outcome {
    let Entry { kid, file, timetable: Timetable { algorithm, .. }, .. } = &key.entry;
    let algorithm = *algorithm;
    let others: Vec<Entry> = entries(set).into_iter().filter(|entry| entry.kid != *kid).collect();
    let kid = short(kid);
    let rest = plan::plan(&others, now, hints).keys;
    let signs_now = rest.iter().find(|(entry, state)| entry.timetable.algorithm == algorithm && *state == State::Signs);
    let is_known = signs_now.is_some_and(|(entry, _)| {
        entry.appeared_at.is_some_and(|appeared_at| appeared_at.plus(JWKS_MAX_AGE).is_past(now))
    });
    eprintln!("{algorithm} {kid} ({file}) is taken out at once. What that costs:\n");
    if is_known {
        eprintln!("  - No outage: another {algorithm} key signs, which services have known for a while.");
    } else {
        eprintln!(
            "  - A key that not every service knows signs at once. A service that keeps the key list (we say for\n    \
             {JWKS_MAX_AGE} seconds, some keep it longer) and does not fetch it again for a kid it does not know refuses sign-ins\n    \
             until then. Restart it, and it does not."
        );
    }
    eprintln!(
        "  - What the leaked key signed fails from now on: id_tokens, also as id_token_hint (settings: {} seconds), and\n    \
         JWT access tokens (settings: {} seconds). Clients get new ones; opaque access tokens, refresh tokens and\n    \
         sign-ins here were not signed with it and continue.\n  \
         - A thief can sign tokens that a service believes until it fetches the key list again. We say that it\n    \
         should after {JWKS_MAX_AGE} seconds; services that cache longer must be restarted: ASP.NET Core keeps it for 12 hours\n    \
         or until it meets a kid it does not know, mod_oauth2 for 24 hours, some until they are restarted\n    \
         (docs/rotating-keys.md has a list). Then end the sessions that services themselves keep.",
        config.id_token_lifetime, config.access_token_lifetime
    );
    let alive: Vec<&str> = rest
        .iter()
        .filter(|(_, state)| !matches!(state, State::Leaked | State::Done))
        .map(|(entry, _)| short(&entry.kid))
        .collect();
    if !alive.is_empty() {
        eprintln!("  - If the whole folder leaked, do the same with {}.", alive.join(", "));
    }
    eprintln!();
    terminal::confirm(&["key", "retire"], "Take it out?", arguments.yes)?;
    let made = if signs_now.is_none() { Some(successor(&config.keys, algorithm, now)?) } else { None };
    if let Some(path) = &made {
        eprintln!("made {}, which signs at once", path.display());
    }
    let path = keys::end(&config.keys, key, Ending::Leaked(now))?;
    report_end(key, &path, made.as_deref(), Ending::Leaked(now), arguments.report)?;
    eprintln!(
        "Every node sees it within five seconds, if they share the folder; copy both files to those that do not."
    );
    Ok(())
}

/// A key that signs at once; the second of its name may be taken by one that was made just now.
fn successor(folder: &Path, algorithm: SigningAlgorithm, now: NumericDate) -> Result<std::path::PathBuf, Failure> {
    let mut made = keys::create(folder, algorithm, now);
    for seconds in 1..5 {
        if made.is_ok() {
            break;
        }
        made = keys::create(folder, algorithm, now.plus(-seconds));
    }
    Ok(made?)
}
