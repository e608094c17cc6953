//! What a key does when: the one rule, which `serve` signs and publishes by and `key plan` tells of.
//!
//! A pure function of the key files' names and the clock. `file.rs` reads and writes the names.

use crate::protocol::response::SigningAlgorithm;
use crate::protocol::time::NumericDate;
use std::collections::BTreeMap;

/// What the name of a key's file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    /// What the key signs with.
    pub algorithm: SigningAlgorithm,
    /// From when it signs.
    pub signs_from: NumericDate,
    /// When it stops signing, if that is decided.
    pub retired_at: Option<NumericDate>,
    /// When it was known to have leaked. It is dead from the moment its name says so, whatever the clock: a node whose
    /// clock is behind must not believe it a second longer.
    pub leaked_at: Option<NumericDate>,
}

impl Timetable {
    /// Whether the key was stolen: it neither signs nor is published, and nothing that it signed is believed.
    #[must_use]
    pub const fn is_leaked(&self) -> bool {
        self.leaked_at.is_some()
    }

    /// Whether its time to sign has come, over or not.
    #[must_use]
    pub fn has_started_at(&self, now: NumericDate) -> bool {
        self.signs_from.is_past(now)
    }

    /// Whether it has stopped signing.
    #[must_use]
    pub fn is_retired_at(&self, now: NumericDate) -> bool {
        self.retired_at.is_some_and(|end| end.is_past(now))
    }

    /// Whether it may sign; `signing` says which of several does.
    #[must_use]
    pub fn may_sign_at(&self, now: NumericDate) -> bool {
        !self.is_leaked() && self.has_started_at(now) && !self.is_retired_at(now)
    }

    /// Whether `/jwks` has it: from the moment its file is there until the last token that it signed has ended, which lives
    /// for `longest_token` seconds.
    #[must_use]
    pub fn is_published_at(&self, now: NumericDate, longest_token: i64) -> bool {
        !self.is_leaked() && self.retired_at.is_none_or(|end| !end.plus(longest_token).is_past(now))
    }
}

/// From when until when, counted from `now`, no key is in use; without an end: for good. `times` are the starts and ends of the
/// keys, between which nothing changes.
#[must_use]
pub fn out_of_use(
    now: NumericDate,
    times: impl Iterator<Item = (NumericDate, Option<NumericDate>)>,
    is_in_use: impl Fn(NumericDate) -> bool,
) -> Vec<(NumericDate, Option<NumericDate>)> {
    let mut instants: Vec<NumericDate> =
        times.flat_map(|(start, end)| [Some(start), end]).flatten().filter(|at| *at > now).collect();
    instants.push(now);
    instants.sort_unstable();
    instants.dedup();
    let mut found: Vec<(NumericDate, Option<NumericDate>)> = Vec::new();
    for (index, instant) in instants.iter().enumerate().filter(|(_, instant)| !is_in_use(**instant)) {
        let until = instants.get(index + 1).copied();
        match found.last_mut() {
            Some(last) if last.1 == Some(*instant) => last.1 = until,
            _ => found.push((*instant, until)),
        }
    }
    found
}

/// How long an `id_token` may come back to us as `id_token_hint`, which has to be verified although it has expired
/// ([RP-Initiated Logout 2](https://openid.net/specs/openid-connect-rpinitiated-1_0.html#RPLogout)): as long as a session or a family of
/// refresh tokens lives that it belongs to.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// The longest of those lifetimes, in seconds, and no less than `LONGEST_TOKEN`; `None`: not known, so nothing is given up.
    pub longest: Option<i64>,
    /// The end of the last family of refresh tokens started before a key stopped, by the key's kid.
    pub families: BTreeMap<String, NumericDate>,
}

/// A key as its file tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The RFC 7638 thumbprint.
    pub kid: String,
    /// Its file's name.
    pub file: String,
    /// When its file was written, as far as the folder knows: since when it is published.
    pub appeared_at: Option<NumericDate>,
    /// What it does when.
    pub timetable: Timetable,
}

impl AsRef<Self> for Entry {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Entry {
    /// Its place among the keys of its algorithm: the last that may sign does. Of those that start at once the kid decides,
    /// alike on every node.
    #[must_use]
    pub fn order(&self) -> (NumericDate, &str) {
        (self.timetable.signs_from, &self.kid)
    }

    /// From when its file is of no use any more: when nothing that it signed can be shown to any service, us included.
    /// `None`: that is not decided, or not known.
    #[must_use]
    pub fn deletable_at(&self, hints: &Hints) -> Option<NumericDate> {
        let of_hints = || {
            let at = self.timetable.retired_at?.plus(hints.longest?);
            Some(hints.families.get(&self.kid).map_or(at, |end| at.max(*end)))
        };
        self.timetable.leaked_at.or_else(of_hints)
    }
}

/// The key that signs with `algorithm` now: of those that may, the latest.
#[must_use]
pub fn signing<K: AsRef<Entry>>(keys: &[K], algorithm: SigningAlgorithm, now: NumericDate) -> Option<&K> {
    let may_sign = |key: &&K| {
        let timetable = &K::as_ref(key).timetable;
        timetable.algorithm == algorithm && timetable.may_sign_at(now)
    };
    keys.iter().filter(may_sign).max_by(|one, other| K::as_ref(one).order().cmp(&K::as_ref(other).order()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: NumericDate = NumericDate(1_796_083_200);
    const LONGEST_TOKEN: i64 = 100;

    fn timetable(signs_from: i64, retired_at: Option<i64>, leaked_at: Option<i64>) -> Timetable {
        let at = |seconds: i64| NOW.plus(seconds);
        Timetable {
            algorithm: SigningAlgorithm::Rs256,
            signs_from: at(signs_from),
            retired_at: retired_at.map(at),
            leaked_at: leaked_at.map(at),
        }
    }

    fn entry(kid: &str, timetable: Timetable) -> Entry {
        Entry { kid: kid.into(), file: format!("{kid}.pem"), appeared_at: None, timetable }
    }

    #[test]
    fn a_key_is_published_then_signs_then_retires_and_a_leaked_one_does_nothing() {
        // (from, retired, leaked), at: may sign, is retired, is published.
        for (of, at, expected) in [
            ((10, None, None), 9, (false, false, true)),
            ((10, None, None), 10, (true, false, true)),
            ((10, None, None), 1_000_000, (true, false, true)),
            ((10, Some(20), None), 9, (false, false, true)),
            ((10, Some(20), None), 19, (true, false, true)),
            ((10, Some(20), None), 20, (false, true, true)),
            ((10, Some(20), None), 119, (false, true, true)),
            ((10, Some(20), None), 120, (false, true, false)),
            // Retired before it ever signed.
            ((10, Some(5), None), 10, (false, true, true)),
            // Leaked, also where the clock is behind.
            ((10, None, Some(500)), 9, (false, false, false)),
            ((10, None, Some(500)), 10, (false, false, false)),
            ((10, Some(20), Some(15)), 20, (false, true, false)),
        ] {
            let (table, now) = (timetable(of.0, of.1, of.2), NOW.plus(at));
            let found = (table.may_sign_at(now), table.is_retired_at(now), table.is_published_at(now, LONGEST_TOKEN));
            assert_eq!(found, expected, "{of:?} at {at}");
        }
    }

    #[test]
    fn of_the_keys_that_may_sign_the_latest_does() {
        let first = entry("b", timetable(0, Some(100), None));
        let twin = entry("a", timetable(0, None, None));
        let second = entry("c", timetable(50, Some(80), None));
        let leaked = entry("d", timetable(60, None, Some(0)));
        let mut other = entry("e", timetable(70, None, None));
        other.timetable.algorithm = SigningAlgorithm::Es256;
        let mut keys = [first, twin, second, leaked, other];
        for _ in 0..keys.len() {
            // Whatever the order in which the folder lists them.
            keys.rotate_left(1);
            for (at, expected) in [
                (-1, None),
                (0, Some("b")),
                (49, Some("b")),
                (50, Some("c")),
                (79, Some("c")),
                (80, Some("b")),
                (100, Some("a")),
            ] {
                let found = signing(&keys, SigningAlgorithm::Rs256, NOW.plus(at));
                assert_eq!(found.map(|entry| entry.kid.as_str()), expected, "at {at}");
            }
            assert_eq!(
                signing(&keys, SigningAlgorithm::Es256, NOW.plus(70)).map(|entry| entry.kid.as_str()),
                Some("e")
            );
            assert_eq!(signing(&keys, SigningAlgorithm::Ps256, NOW.plus(70)), None);
        }
    }

    #[test]
    fn a_file_may_be_deleted_when_nothing_that_its_key_signed_can_come_back() {
        let families = |end: i64| BTreeMap::from([("a".to_owned(), NOW.plus(end))]);
        let week = |families| Hints { longest: Some(7), families };
        for (of, hints, expected) in [
            ((0, None, None), week(BTreeMap::new()), None),
            ((0, Some(10), None), week(BTreeMap::new()), Some(17)),
            ((0, Some(10), None), week(families(12)), Some(17)),
            ((0, Some(10), None), week(families(30)), Some(30)),
            // Where it is not known, nothing is given up; a leaked one is of no more use.
            ((0, Some(10), None), Hints::default(), None),
            ((0, Some(10), Some(5)), Hints::default(), Some(5)),
            ((0, None, Some(5)), week(families(30)), Some(5)),
        ] {
            let found = entry("a", timetable(of.0, of.1, of.2)).deletable_at(&hints);
            assert_eq!(found.map(|at| at.since(NOW)), expected, "{of:?} {hints:?}");
        }
    }
}
