//! The timetable as a whole: what each key does now, and what is wrong with the plan.
//!
//! A pure function of names, file times and the clock. `hallpass key plan`, `key retire` and `doctor` read it.

use super::timetable::{Entry, Hints, Timetable, out_of_use, signing};
use super::{JWKS_MAX_AGE, PUBLISH_LEAD, instant_text};
use crate::protocol::response::SigningAlgorithm;
use crate::protocol::time::NumericDate;

/// What a key does at some instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Published, and will sign.
    Next,
    /// Signs.
    Signs,
    /// Published; a later one signs.
    Superseded,
    /// Stopped; published until its last token has ended, and kept until nothing that it signed can be brought as a hint.
    Retired,
    /// Of no use any more.
    Done,
    /// Dead.
    Leaked,
}

impl State {
    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Signs => "signs",
            Self::Superseded => "superseded",
            Self::Retired => "retired",
            Self::Done => "done",
            Self::Leaked => "leaked",
        }
    }
}

/// Something to be said about the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether sign-ins fail by it, now or later.
    pub is_fault: bool,
    /// The algorithm it is about.
    pub algorithm: SigningAlgorithm,
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub fix: String,
}

/// The whole.
#[derive(Debug)]
pub struct Plan {
    /// Every key with what it does now: by algorithm, and in the order in which they sign.
    pub keys: Vec<(Entry, State)>,
    /// What is to be said.
    pub findings: Vec<Finding>,
}

/// What a key does now among its fellows.
fn state(entry: &Entry, all: &[Entry], now: NumericDate, hints: &Hints) -> State {
    let timetable = &entry.timetable;
    if timetable.is_leaked() {
        return State::Leaked;
    }
    if timetable.is_retired_at(now) {
        let is_done = entry.deletable_at(hints).is_some_and(|at| at.is_past(now));
        return if is_done { State::Done } else { State::Retired };
    }
    if !timetable.has_started_at(now) {
        return State::Next;
    }
    let signs = signing(all, timetable.algorithm, now).is_some_and(|signing| signing.kid == entry.kid);
    if signs { State::Signs } else { State::Superseded }
}

/// From when until when, counted from `now`, nothing signs with an algorithm; without an end: for good.
#[must_use]
pub fn uncovered(
    entries: &[Entry],
    algorithm: SigningAlgorithm,
    now: NumericDate,
) -> Vec<(NumericDate, Option<NumericDate>)> {
    let own: Vec<&Timetable> =
        entries.iter().map(|entry| &entry.timetable).filter(|timetable| timetable.algorithm == algorithm).collect();
    let times = own.iter().map(|timetable| (timetable.signs_from, timetable.retired_at));
    out_of_use(now, times, |at| own.iter().any(|timetable| timetable.may_sign_at(at)))
}

/// The plan at an instant.
#[must_use]
pub fn plan(entries: &[Entry], now: NumericDate, hints: &Hints) -> Plan {
    let mut keys: Vec<(Entry, State)> =
        entries.iter().map(|entry| (entry.clone(), state(entry, entries, now, hints))).collect();
    let place = |algorithm| SigningAlgorithm::SUPPORTED.iter().position(|known| *known == algorithm);
    keys.sort_by(|(one, _), (other, _)| {
        let place_of = |entry: &Entry| place(entry.timetable.algorithm);
        (place_of(one), one.order()).cmp(&(place_of(other), other.order()))
    });
    let mut findings = Vec::new();
    for algorithm in SigningAlgorithm::SUPPORTED.iter().copied() {
        let own: Vec<&(Entry, State)> =
            keys.iter().filter(|(entry, _)| entry.timetable.algorithm == algorithm).collect();
        if own.is_empty() && algorithm != SigningAlgorithm::Rs256 {
            continue;
        }
        findings.extend(gaps(entries, algorithm, now));
        findings.extend(own.iter().filter_map(|(entry, state)| of_one(entry, *state, &own, now)));
    }
    Plan { keys, findings }
}

/// What is to be said of the times in which an algorithm has no key.
fn gaps(entries: &[Entry], algorithm: SigningAlgorithm, now: NumericDate) -> Vec<Finding> {
    let is_fault = algorithm == SigningAlgorithm::Rs256;
    let cost = if is_fault {
        "every client may rely on RS256 (OpenID Connect Core 15.1), and `serve` does not start without it"
    } else {
        "clients with this algorithm in their row cannot be signed in"
    };
    uncovered(entries, algorithm, now)
        .into_iter()
        .map(|(from, until)| {
            let why = match (from == now, until) {
                (true, None) => format!("no {algorithm} key signs now; {cost}"),
                (true, Some(until)) => format!("no {algorithm} key signs until {}; {cost}", shown(until)),
                (false, None) => format!("no {algorithm} key signs from {} on; {cost}", shown(from)),
                (false, Some(until)) => {
                    format!("no {algorithm} key signs from {} to {}; {cost}", shown(from), shown(until))
                }
            };
            let never_signed = from == now
                && !entries.iter().any(|entry| {
                    entry.timetable.algorithm == algorithm && entry.timetable.signs_from <= now
                });
            let fix = match until {
                Some(_) if never_signed => {
                    format!("is this machine's clock right? If it is: wait, or hallpass key new --alg {algorithm} --signs-from {}", shown(now))
                }
                _ => format!("hallpass key new --alg {algorithm}"),
            };
            Finding { is_fault, algorithm, why, fix }
        })
        .collect()
}

/// What is to be said of one key among those of its algorithm.
fn of_one(entry: &Entry, state: State, own: &[&(Entry, State)], now: NumericDate) -> Option<Finding> {
    let Timetable { algorithm, signs_from, retired_at, .. } = entry.timetable;
    let kid = short(&entry.kid);
    let warning = |why: String, fix: String| Some(Finding { is_fault: false, algorithm, why, fix });
    match state {
        State::Next | State::Signs => {
            let known_at = entry.appeared_at?.plus(JWKS_MAX_AGE);
            let has_elder =
                own.iter().any(|(other, _)| other.kid != entry.kid && other.timetable.signs_from < signs_from);
            if signs_from >= known_at || known_at.is_past(now) || !has_elder {
                return None;
            }
            warning(
                format!(
                    "{kid} signs from {}, but services may keep the key list without it until {} and refuse its tokens until then",
                    shown(signs_from),
                    shown(known_at)
                ),
                if state == State::Next {
                    format!(
                        "rename it, so that it signs from {} or later",
                        instant_text(entry.appeared_at?.plus(PUBLISH_LEAD))
                    )
                } else {
                    "wait, or let the services read the key list again (most do at a restart)".to_owned()
                },
            )
        }
        State::Superseded => {
            if retired_at.is_some() {
                return None;
            }
            warning(format!("{kid} is superseded, but published for good"), format!("hallpass key retire {kid}"))
        }
        State::Done => warning(
            format!("{kid} is retired, and its last token has ended: its file may be deleted"),
            format!("delete {}", entry.file),
        ),
        State::Leaked => warning(
            format!("{kid} has leaked and is dead: its file may be deleted"),
            format!("delete {}, when nothing needs to be found out about it any more", entry.file),
        ),
        State::Retired => None,
    }
}

/// As many characters of a kid as people need to tell it from others; commands take them for the whole.
#[must_use]
pub fn short(kid: &str) -> &str {
    kid.get(..12).unwrap_or(kid)
}

/// An instant as people write it; commands take it in this form.
#[must_use]
pub fn shown(instant: NumericDate) -> String {
    let text = instant_text(instant);
    match (text.get(..13), text.get(13..15), text.get(15..)) {
        (Some(hour), Some(minute), Some(rest)) => format!("{hour}:{minute}:{rest}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const NOW: NumericDate = NumericDate(1_796_083_200);
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    fn entry(kid: &str, algorithm: SigningAlgorithm, signs_from: i64, retired_at: Option<i64>) -> Entry {
        Entry {
            kid: kid.into(),
            file: format!("{kid}.pem"),
            appeared_at: Some(NOW.plus(-30 * DAY)),
            timetable: Timetable {
                algorithm,
                signs_from: NOW.plus(signs_from),
                retired_at: retired_at.map(|at| NOW.plus(at)),
                leaked_at: None,
            },
        }
    }

    fn rs256(kid: &str, signs_from: i64, retired_at: Option<i64>) -> Entry {
        entry(kid, SigningAlgorithm::Rs256, signs_from, retired_at)
    }

    fn hints(longest: i64) -> Hints {
        Hints { longest: Some(longest), ..Hints::default() }
    }

    fn states(entries: &[Entry], at: i64) -> Vec<(String, &'static str)> {
        let plan = plan(entries, NOW.plus(at), &hints(DAY));
        plan.keys.iter().map(|(entry, state)| (entry.kid.clone(), state.as_str())).collect()
    }

    fn said(entries: &[Entry], at: i64) -> Vec<(bool, String)> {
        plan(entries, NOW.plus(at), &hints(DAY))
            .findings
            .into_iter()
            .map(|finding| (finding.is_fault, finding.why))
            .collect()
    }

    #[test]
    fn a_key_goes_from_next_to_done() {
        let entries = [rs256("old", -DAY, Some(DAY)), rs256("new", DAY, None)];
        let of_both = |at: i64| states(&entries, at).into_iter().map(|(_, state)| state).collect::<Vec<_>>();
        assert_eq!(of_both(0), ["signs", "next"]);
        assert_eq!(of_both(DAY - 1), ["signs", "next"]);
        assert_eq!(of_both(DAY), ["retired", "signs"]);
        assert_eq!(of_both(2 * DAY - 1), ["retired", "signs"]);
        assert_eq!(of_both(2 * DAY), ["done", "signs"]);
        assert_eq!(said(&entries, 0), []);
        assert_eq!(said(&entries, DAY), []);
        assert!(said(&entries, 2 * DAY)[0].1.contains("may be deleted"));
    }

    #[test]
    fn a_retired_key_is_kept_until_nothing_that_it_signed_can_be_brought_as_a_hint() {
        let entries = [rs256("old", -DAY, Some(0)), rs256("new", 0, None)];
        let state_at = |at: i64, hints: &Hints| plan(&entries, NOW.plus(at), hints).keys[0].1;
        let week = hints(7 * DAY);
        assert_eq!(state_at(7 * DAY - 1, &week), State::Retired);
        assert_eq!(state_at(7 * DAY, &week), State::Done);
        // A family that started under a longer lifetime than the rows have now.
        let families =
            |end: i64| BTreeMap::from([("old".to_owned(), NOW.plus(end)), ("new".to_owned(), NOW.plus(DAY))]);
        let later = Hints { families: families(30 * DAY), ..week };
        assert_eq!(state_at(30 * DAY - 1, &later), State::Retired);
        assert_eq!(state_at(30 * DAY, &later), State::Done);
        // Where it is not known, nothing is given up.
        assert_eq!(state_at(1000 * DAY, &Hints::default()), State::Retired);
    }

    #[test]
    fn a_leaked_key_is_dead_whatever_the_clock() {
        let mut leaked = rs256("leaked", -DAY, None);
        leaked.timetable.leaked_at = Some(NOW.plus(5 * DAY));
        let entries = [leaked, rs256("next", 0, None)];
        assert_eq!(states(&entries, 0)[0].1, "leaked");
        assert!(said(&entries, 0).iter().any(|(is_fault, why)| !is_fault && why.contains("leaked")));
    }

    #[test]
    fn times_without_a_key_are_found() {
        let of = |entries: &[Entry]| {
            uncovered(entries, SigningAlgorithm::Rs256, NOW)
                .into_iter()
                .map(|(from, until)| (from.since(NOW), until.map(|at| at.since(NOW))))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&[rs256("a", -DAY, None)]), []);
        assert_eq!(of(&[rs256("a", -DAY, Some(DAY)), rs256("b", DAY, None)]), []);
        assert_eq!(of(&[rs256("a", -DAY, Some(DAY)), rs256("b", 2 * DAY, None)]), [(DAY, Some(2 * DAY))]);
        assert_eq!(of(&[rs256("a", -DAY, Some(DAY))]), [(DAY, None)]);
        assert_eq!(of(&[rs256("a", DAY, None)]), [(0, Some(DAY))]);
        assert_eq!(of(&[rs256("a", -DAY, Some(-1)), rs256("b", -DAY, Some(DAY))]), [(DAY, None)]);
        assert_eq!(of(&[]), [(0, None)]);
    }

    #[test]
    fn what_is_wrong_with_a_plan_is_said() {
        assert!(said(&[], 0)[0].1.contains("no RS256 key signs now"));
        let ends = said(&[rs256("a", -DAY, Some(DAY))], 0);
        assert!(ends[0].0 && ends[0].1.contains("from 2026-12-02T00:00:00Z on"), "{ends:?}");
        // Another algorithm may end; that is a warning only, and of one that was not started nothing is said.
        let other = said(&[rs256("a", -DAY, None), entry("b", SigningAlgorithm::Es256, -DAY, Some(DAY))], 0);
        assert_eq!((other.len(), other[0].0), (1, false), "{other:?}");
        let superseded = said(&[rs256("a", -DAY, None), rs256("b", 0, None)], 0);
        assert!(superseded[0].1.contains("superseded"), "{superseded:?}");

        let mut early = rs256("early", HOUR / 2, None);
        early.appeared_at = Some(NOW);
        let entries = [rs256("a", -DAY, None), early.clone()];
        assert!(said(&entries, 0)[0].1.contains("until 2026-12-01T01:00:00Z"), "{:?}", said(&entries, 0));
        assert!(said(&entries, HOUR).iter().all(|(_, why)| !why.contains("refuse")), "by then every cache knows it");
        assert_eq!(said(&[early], HOUR / 2), [], "no cache knows a key before the first");
    }

    #[test]
    fn an_instant_is_shown_as_it_is_taken() {
        assert_eq!(shown(NOW), "2026-12-01T00:00:00Z");
        assert_eq!(super::super::parse_instant(&shown(NOW).replace(':', "")), Some(NOW));
    }
}
