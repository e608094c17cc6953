//! Factor keys, as `key new`, `key plan` and `key retire` treat them: what seals the secrets of second factors.

use super::Retire;
use crate::commands::Outcome;
use crate::commands::terminal::{self, Report};
use crate::config::{Config, DatabaseUrl};
use crate::failure::Failure;
use crate::keys::factors::{self, FactorKey, FactorKeySet, NEW, Plan, State};
use crate::keys::plan::shown;
use crate::keys::{PUBLISH_LEAD, instant_text};
use crate::protocol::time::NumericDate;
use crate::second_factor::resealing;
use crate::store::user_factors;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// The word for these keys where others have an algorithm.
pub(super) const WORD: &str = "factors";

/// Makes a key. The first seals at once; a further one a day later, so that every node has its file by then.
pub(super) fn new(folder: &Path, seals_from: Option<NumericDate>, report: Report, now: NumericDate) -> Outcome {
    let is_first = FactorKeySet::load(folder)?.sealing(now).is_none();
    let seals_from = seals_from.unwrap_or(if is_first { now } else { now.plus(PUBLISH_LEAD) });
    let path = factors::create(folder, seals_from)?;
    let file = path.display().to_string();
    let of_file = |key: &&FactorKey| path.file_name().is_some_and(|name| name == key.file.as_str());
    let key_id = FactorKeySet::load(folder)?.all().iter().find(of_file).map(|key| key.id.clone());
    report.print(&json!({ "key_id": key_id, "file": file, "seals_from": seals_from }), Some(&file))?;
    eprintln!(
        "It seals secrets of authenticators from {} on, at every node that has the file. What it sealed opens by it alone: \
         keep a copy in a safe place.",
        instant_text(seals_from)
    );
    Ok(())
}

/// How many rows each key seals; `None` where the database cannot be asked. A file that is not there is no empty database: the
/// path may be a wrong one.
pub(in crate::commands) async fn rows(config: &Config) -> Option<BTreeMap<String, u64>> {
    if let DatabaseUrl::Sqlite(path) = &config.database_url
        && !path.exists()
    {
        return None;
    }
    let db = terminal::open_database(config).await.ok()?;
    let rows = user_factors::by_key(&db).await.ok();
    db.close().await;
    rows
}

/// The same; says so where that is not known.
pub(super) async fn known_rows(config: &Config, set: &FactorKeySet) -> Option<BTreeMap<String, u64>> {
    let rows = rows(config).await;
    if rows.is_none() && !set.all().is_empty() {
        eprintln!(
            "hallpass: how many secrets each factor key seals is not known, as the database (HALLPASS_DATABASE_URL) cannot be \
             asked: delete no file of one"
        );
    }
    rows
}

/// Something to be said about factor keys.
pub(in crate::commands) struct Finding {
    /// Whether users cannot sign in by it.
    pub is_fault: bool,
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub fix: String,
}

/// What is to be said of a plan.
pub(in crate::commands) fn findings(set: &FactorKeySet, plan: &Plan<'_>, now: NumericDate) -> Vec<Finding> {
    let finding = |is_fault: bool, failure: &Failure| Finding {
        is_fault,
        why: failure.to_string(),
        fix: failure.fix().unwrap_or(NEW).to_owned(),
    };
    let mut findings = Vec::new();
    if let Some(lost) = resealing::lost(set, &plan.lost) {
        findings.push(finding(true, &lost));
    }
    if set.sealing(now).is_none() && !(set.all().is_empty() && plan.lost.is_empty()) {
        findings.push(finding(false, &set.missing(now)));
    }
    findings.extend(set.uncovered(now, None).into_iter().filter(|(from, _)| *from > now).map(|(from, until)| {
        let until = until.map(|until| format!(" to {}", shown(until))).unwrap_or_default();
        let why = format!("no factor key seals from {}{until}, and no user can add an authenticator then", shown(from));
        Finding { is_fault: false, why, fix: NEW.to_owned() }
    }));
    let done = plan.keys.iter().filter(|(_, state, _)| *state == State::Done);
    findings.extend(done.map(|(key, ..)| Finding {
        is_fault: false,
        why: format!("nothing is sealed by {} any more: its file may be deleted", key.id),
        fix: format!(
            "delete {}; keep a copy for as long as there are backups of the database from before {}",
            key.file,
            set.sealing(now).map_or_else(|| shown(now), |sealing| shown(sealing.seals_from)),
        ),
    }));
    findings
}

/// The lines of the plan; none where there is neither a key nor a row.
pub(super) fn table_of(plan: &Plan<'_>) -> String {
    if plan.keys.is_empty() {
        return String::new();
    }
    let instant = |at: Option<NumericDate>| at.map_or_else(|| "-".to_owned(), shown);
    let mut text = String::from("\n");
    let mut line = |columns: [&str; 7]| {
        let [word, state, id, since, seals, retires, rows] = columns;
        let _ = writeln!(text, "{word:<9}  {state:<10}  {id:<16}  {since:<20}  {seals:<20}  {retires:<20}  {rows}");
    };
    line(["PURPOSE", "STATE", "KEY", "HERE SINCE", "SEALS FROM", "RETIRES", "SECRETS"]);
    for (key, state, rows) in &plan.keys {
        line([
            WORD,
            state.as_str(),
            &key.id,
            &instant(key.appeared_at),
            &instant(Some(key.seals_from)),
            &instant(key.retired_at),
            &rows.map_or_else(|| "-".to_owned(), |rows| rows.to_string()),
        ]);
    }
    text
}

/// The members of the plan's document.
pub(super) fn json_of(plan: &Plan<'_>) -> (Value, Value) {
    let keys = plan.keys.iter().map(|(key, state, rows)| {
        json!({
            "key_id": key.id,
            "state": state.as_str(),
            "file": key.file,
            "appeared_at": key.appeared_at,
            "seals_from": key.seals_from,
            "retired_at": key.retired_at,
            "secrets": rows,
        })
    });
    let lost = plan.lost.iter().map(|(key_id, rows)| json!({ "key_id": key_id, "secrets": rows }));
    (keys.collect(), lost.collect())
}

/// The key that an operator means, if it is one of these.
pub(super) fn find<'a>(set: &'a FactorKeySet, wanted: &str) -> Result<Option<&'a FactorKey>, Failure> {
    let file = Path::new(wanted).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_meant = |key: &&FactorKey| key.file == file || (wanted.len() >= 4 && key.id.starts_with(wanted));
    let found: Vec<&FactorKey> = set.all().iter().filter(is_meant).collect();
    match found.as_slice() {
        [] => Ok(None),
        [key] => Ok(Some(key)),
        _ => Err(Failure::new(format!("{wanted:?} means {} keys", found.len())).with_fix("give more of its id")),
    }
}

/// Says when a key stops sealing.
pub(super) fn retire(
    folder: &Path,
    set: &FactorKeySet,
    key: &FactorKey,
    arguments: &Retire,
    now: NumericDate,
) -> Outcome {
    if arguments.leaked && key.seals_from > now {
        let what = "this key has sealed nothing yet, and nothing will need it";
        return Err(
            Failure::new(what).with_fix(format!("delete {} at every node, and `{NEW}` makes another", key.file))
        );
    }
    if arguments.leaked {
        let what = "a factor key that was stolen opens what it sealed, whatever its file is called";
        return Err(Failure::new(what).with_fix(format!(
            "{NEW} --signs-from {}; delete the stolen one when `hallpass key plan` says that nothing is sealed by it. Whose \
             secrets the thief may have had too, `hallpass user factor remove NAME --all` lets begin anew",
            shown(now)
        )));
    }
    if let Some(at) = key.retired_at.filter(|at| at.is_past(now)) {
        return Err(Failure::new(format!("{}: it is retired since {}", key.id, shown(at))));
    }
    if arguments.at.is_some_and(|at| at < now) {
        return Err(Failure::new("--at: that is in the past")
            .with_fix("leave --at out: it stops at once, or when another begins"));
    }
    let before = set.uncovered(now, None);
    // When nothing seals then, nothing did before either.
    let is_sound = |at: NumericDate| {
        set.uncovered(now, Some((key, at))).iter().all(|(from, until)| {
            before.iter().any(|(known_from, known_until)| {
                known_from <= from && known_until.is_none_or(|known| until.is_some_and(|until| until <= known))
            })
        })
    };
    let starts = set.all().iter().map(|other| other.seals_from).filter(|at| *at > now);
    let mut candidates: Vec<NumericDate> = arguments.at.map_or_else(|| starts.chain([now]).collect(), |at| vec![at]);
    candidates.sort_unstable();
    let at = match candidates.into_iter().find(|at| is_sound(*at)) {
        Some(at) => at,
        None if arguments.without_successor => arguments.at.unwrap_or(now),
        None => {
            let what = "nothing would seal then, and no user could add an authenticator";
            return Err(
                Failure::new(what).with_fix(format!("{NEW}, and then retire this one; or say --without-successor"))
            );
        }
    };
    eprintln!(
        "{} ({}) stops sealing at {}. It opens what it sealed for as long as its file is there: nodes seal all of it anew, and \
         `hallpass key plan` says when nothing is left.",
        key.id,
        key.file,
        shown(at)
    );
    terminal::confirm(&["key", "retire"], "Retire it?", arguments.yes)?;
    let file = factors::retire(folder, key, at)?.display().to_string();
    let document = json!({
        "kid": key.id, "alg": WORD, "file": file, "retired_at": at, "leaked_at": null, "successor": null,
    });
    arguments.report.print(&document, Some(&file))
}
