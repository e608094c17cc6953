//! Whether a set of events is whole: chain by chain, and each chain's beginning by what was there when it started.
//!
//! Two things may be missing, and are told of instead: personal members that were erased, as far as events of erasures
//! account for them, and the oldest events of a chain up to its newest checkpoint.

use super::{Checkpoint, EventKind, Record};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// The last event of a chain, for an operator who keeps it elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The chain.
    pub chain: String,
    /// How many events it has had.
    pub sequence: i64,
    /// The hash of the last.
    pub hash: String,
}

/// What is wrong with a set of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The chain.
    pub chain: String,
    /// The place in it.
    pub sequence: i64,
    /// What is wrong there.
    pub why: String,
}

impl Flaw {
    /// At a place of a chain.
    #[must_use]
    pub fn at(chain: &str, sequence: i64, why: &str) -> Self {
        Self { chain: chain.to_owned(), sequence, why: why.to_owned() }
    }
}

/// What was removed before, by the checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many events.
    pub events: i64,
    /// Of how many chains.
    pub chains: usize,
    /// When the newest of them happened, Unix seconds.
    pub until: Option<i64>,
}

impl Pruned {
    /// With what a checkpoint tells of.
    pub fn add(&mut self, events: i64, until: i64) {
        self.events = self.events.saturating_add(events);
        self.until = self.until.max(Some(until));
    }
}

/// A set of events that is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The end of each chain, of those too that were pruned to the end.
    pub heads: Vec<Head>,
    /// How many of the heads that were kept before name an event that was pruned since, so that its hash is known no more.
    pub kept_and_pruned: usize,
    /// How many personal members of the events that are there were erased.
    pub erased: usize,
    /// What was removed before.
    pub pruned: Pruned,
}

/// What is known of all events: their hashes by place, and the newest checkpoint of each chain.
struct Known<'a> {
    hashes: HashMap<(&'a str, i64), &'a str>,
    checkpoints: BTreeMap<String, Checkpoint>,
}

/// What is known of the event at a place.
enum Place<'a> {
    /// Its hash.
    Hash(&'a str),
    /// That it was pruned; its hash can be known no more.
    Pruned,
    Missing,
}

impl Known<'_> {
    fn at(&self, chain: &str, sequence: i64) -> Place<'_> {
        if let Some(hash) = self.hashes.get(&(chain, sequence)) {
            return Place::Hash(hash);
        }
        match self.checkpoints.get(chain) {
            Some(checkpoint) if checkpoint.sequence == sequence => Place::Hash(&checkpoint.hash),
            Some(checkpoint) if (1..checkpoint.sequence).contains(&sequence) => Place::Pruned,
            _ => Place::Missing,
        }
    }
}

/// Checks all events of all chains, in any order, and that every head that was kept before is still there or was pruned.
///
/// # Errors
/// Every flaw that was found.
pub fn verify(records: &[Record], kept: &[Head]) -> Result<Verified, Vec<Flaw>> {
    let mut flaws = Vec::new();
    let mut chains: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records {
        chains.entry(&record.chain).or_default().push(record);
    }
    let known = Known {
        hashes: records.iter().map(|record| ((record.chain.as_str(), record.sequence), record.hash.as_str())).collect(),
        checkpoints: newest_checkpoints(records, &mut flaws),
    };
    let mut verified = Verified::default();
    for (name, chain) in &mut chains {
        chain.sort_by_key(|record| record.sequence);
        let checkpoint = known.checkpoints.get(*name);
        follow(checkpoint, chain, &mut flaws);
        if let (None, Some(why)) = (checkpoint, chain.first().and_then(|first| beginning_fault(first, &known))) {
            flaws.push(Flaw::at(name, 1, why));
        }
        if let Some(last) = chain.last() {
            let head = Head { chain: (*name).to_owned(), sequence: last.sequence, hash: last.hash.clone() };
            verified.heads.push(head);
        }
    }
    for (name, checkpoint) in &known.checkpoints {
        verified.pruned.add(checkpoint.events, checkpoint.until);
        verified.pruned.chains += 1;
        if !chains.contains_key(name.as_str()) {
            let Checkpoint { chain, sequence, hash, .. } = checkpoint.clone();
            verified.heads.push(Head { chain, sequence, hash });
        }
    }
    verified.heads.sort_by(|one, other| one.chain.cmp(&other.chain));
    verified.erased = records.iter().map(|record| record.erased().len()).sum();
    flaws.extend(unaccounted(records, &known, verified.erased));
    for head in kept {
        match known.at(&head.chain, head.sequence) {
            Place::Hash(hash) if hash == head.hash => {}
            Place::Pruned => verified.kept_and_pruned += 1,
            Place::Hash(_) => {
                flaws.push(Flaw::at(&head.chain, head.sequence, "the head that was kept has another hash"));
            }
            Place::Missing => {
                let why = "the head that was kept is not there any more: the end was cut off";
                flaws.push(Flaw::at(&head.chain, head.sequence, why));
            }
        }
    }
    if flaws.is_empty() { Ok(verified) } else { Err(flaws) }
}

/// Checks the next events of a chain after its checkpoint, before they are pruned in their turn: what is not whole is not
/// removed, so that pruning hides nothing.
///
/// # Errors
/// The first flaw.
pub fn check_prefix(checkpoint: Option<&Checkpoint>, records: &[Record]) -> Result<(), Flaw> {
    let mut flaws = Vec::new();
    follow(checkpoint, &records.iter().collect::<Vec<_>>(), &mut flaws);
    newest_checkpoints(records, &mut flaws);
    if let (None, Some(first)) = (checkpoint, records.first())
        && first.event != EventKind::ChainBegun.as_str()
    {
        flaws.push(Flaw::at(&first.chain, 1, NO_BEGINNING));
    }
    flaws.into_iter().next().map_or(Ok(()), Err)
}

const NO_BEGINNING: &str = "the beginning of this chain is missing";

/// The newest checkpoint of each chain, by the events that tell of them.
fn newest_checkpoints(records: &[Record], flaws: &mut Vec<Flaw>) -> BTreeMap<String, Checkpoint> {
    let mut newest: BTreeMap<String, Checkpoint> = BTreeMap::new();
    for record in records {
        let Some(told) = record.checkpoint() else { continue };
        let Ok(told) = told else {
            flaws.push(Flaw::at(&record.chain, record.sequence, "this event tells of no checkpoint"));
            continue;
        };
        match newest.get(&told.chain) {
            Some(other) if other.sequence > told.sequence => {}
            Some(other) if other.sequence == told.sequence && *other != told => {
                let why = "this event tells of a checkpoint that another tells otherwise";
                flaws.push(Flaw::at(&record.chain, record.sequence, why));
            }
            _ => {
                newest.insert(told.chain.clone(), told);
            }
        }
    }
    newest
}

/// Follows a chain from its checkpoint, or from its beginning.
fn follow(checkpoint: Option<&Checkpoint>, records: &[&Record], flaws: &mut Vec<Flaw>) {
    let mut before = checkpoint.map(|checkpoint| checkpoint.hash.as_str());
    let first = checkpoint.map_or(1, |checkpoint| checkpoint.sequence + 1);
    for (place, record) in (first..).zip(records) {
        let mut flaw = |why: &str| flaws.push(Flaw::at(&record.chain, place, why));
        if record.sequence < first && checkpoint.is_some() {
            flaw("an event before this was pruned, and yet is there");
            break;
        }
        if record.sequence != place {
            flaw("this event is missing, or there are two of it");
            break;
        }
        if let Some(why) = record.fault() {
            flaw(&why);
        }
        if before.is_some_and(|before| before != record.previous_hash) {
            flaw("this event does not follow the one before it");
        }
        before = Some(&record.hash);
    }
}

/// What is wrong with the first event of a chain: it must follow the event that it names.
fn beginning_fault(record: &Record, known: &Known<'_>) -> Option<&'static str> {
    if record.sequence != 1 {
        // That it is missing is said already.
        return None;
    }
    if record.event != EventKind::ChainBegun.as_str() {
        return Some(NO_BEGINNING);
    }
    let detail = record.detail();
    match (detail["after_chain"].as_str(), detail["after_sequence"].as_i64()) {
        (None, _) if record.previous_hash.is_empty() => None,
        (Some(chain), Some(sequence)) => match known.at(chain, sequence) {
            Place::Hash(hash) if hash == record.previous_hash => None,
            Place::Hash(_) => Some("this chain started after an event that was another one then"),
            Place::Pruned => None,
            Place::Missing => Some("the event that was there when this chain started is missing"),
        },
        _ => Some("the beginning of this chain does not say what was there before it"),
    }
}

/// Every erasure is an event that says how many members it erased; what was taken out by hand is told by none.
fn unaccounted(records: &[Record], known: &Known<'_>, erased: usize) -> Option<Flaw> {
    let told = |of_record: fn(&Record) -> i64, of_checkpoint: fn(&Checkpoint) -> i64| {
        let numbers = records.iter().map(of_record).chain(known.checkpoints.values().map(of_checkpoint));
        numbers.fold(0_i64, i64::saturating_add)
    };
    let erasures = told(Record::erasures, |checkpoint| checkpoint.erasures);
    let erased_before = told(|_| 0, |checkpoint| checkpoint.erased);
    let all = erased_before.saturating_add(erased.try_into().unwrap_or(i64::MAX));
    let of_record = records.iter().find(|record| !record.erased().is_empty());
    let of_record = of_record.map(|record| (&record.chain, record.sequence));
    // Those that were pruned since hide nothing by it.
    let of_checkpoint = || known.checkpoints.values().find(|checkpoint| checkpoint.erased > 0);
    let (chain, sequence) = of_record.or_else(|| of_checkpoint().map(|told| (&told.chain, told.sequence)))?;
    let why =
        format!("{all} personal members are gone, this one's among them, but events tell only of {erasures} erased");
    (all > erasures).then(|| Flaw::at(chain, sequence, &why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::audit::{Chain, Event};
    use crate::protocol::time::NumericDate;

    const NOW: NumericDate = NumericDate(1_790_000_000);

    fn salt() -> [u8; 16] {
        [7; 16]
    }

    /// Two chains, the second started after the third event of the first.
    fn two_chains() -> Vec<Record> {
        let (mut one, first) = Chain::begin("one".into(), None, NOW);
        let mut records = vec![first];
        let sign_in = Event::new(EventKind::SignIn, NOW).of("alice").by("reports").from(&"192.0.2.1");
        records.push(one.add(sign_in.personal("browser", "Firefox"), salt));
        records.push(one.add(Event::new(EventKind::TokensIssued, NOW.plus(1)).with("scope", "openid"), salt));
        let (mut other, first) = Chain::begin("other".into(), records.last(), NOW.plus(2));
        records.push(first);
        records.push(one.add(Event::new(EventKind::SignOut, NOW.plus(3)), salt));
        records.push(other.add(Event::new(EventKind::SignIn, NOW.plus(4)), salt));
        records
    }

    /// The same after the first events of the first chain were pruned, by the second one.
    fn pruned(events: usize) -> Vec<Record> {
        pruned_from(two_chains(), events)
    }

    fn pruned_from(mut records: Vec<Record>, events: usize) -> Vec<Record> {
        let (one, mut rest): (Vec<Record>, Vec<Record>) = records.drain(..).partition(|record| record.chain == "one");
        let checkpoint = one[..events].iter().fold(Checkpoint::nothing("one"), Checkpoint::beyond);
        let last = rest.last().unwrap();
        let mut chain = Chain { name: "other".into(), sequence: last.sequence, hash: last.hash.clone() };
        rest.push(chain.add(checkpoint.event(NOW.plus(9)), salt));
        rest.extend_from_slice(&one[events..]);
        rest
    }

    fn erase(record: &mut Record) {
        (record.sub, record.network) = (None, None);
        record.personal.clear();
        record.salts.clear();
    }

    fn why(records: &[Record]) -> String {
        let flaws = verify(records, &[]).unwrap_err();
        let lines: Vec<String> =
            flaws.iter().map(|flaw| format!("{} {}: {}", flaw.chain, flaw.sequence, flaw.why)).collect();
        lines.join("\n")
    }

    #[test]
    fn what_was_not_touched_is_whole_in_any_order() {
        let mut records = two_chains();
        let verified = verify(&records, &[]).unwrap();
        assert_eq!(
            verified.heads.iter().map(|head| (head.chain.as_str(), head.sequence)).collect::<Vec<_>>(),
            [("one", 4), ("other", 2)]
        );
        records.reverse();
        assert_eq!(verify(&records, &verified.heads).unwrap(), verified);
        assert_eq!(verify(&[], &[]).unwrap(), Verified::default());
    }

    #[test]
    fn every_member_is_under_the_hash() {
        let records = two_chains();
        let changes: [fn(&mut Record); 20] = [
            |record| record.at += 1,
            |record| record.event = "sign_out".into(),
            |record| record.sub = None,
            |record| record.sub = Some("mallory".into()),
            |record| record.client_id = Some("another".into()),
            |record| record.network = None,
            |record| record.reference = Some("X".into()),
            |record| record.detail = Some("{}".into()),
            |record| record.previous_hash = "x".into(),
            |record| record.hash = "x".into(),
            |record| _ = record.personal.insert("browser".into(), "Lynx".into()),
            |record| _ = record.personal.insert("more".into(), "x".into()),
            |record| _ = record.personal.insert("sub".into(), "mallory".into()),
            |record| _ = record.personal.remove("browser"),
            |record| _ = record.salts.remove("browser"),
            |record| record.salts.clear(),
            |record| _ = record.salts.insert("sub".into(), "AAAAAAAAAAAAAAAAAAAAAA".into()),
            |record| _ = record.salts.insert("more".into(), "AAAAAAAAAAAAAAAAAAAAAA".into()),
            |record| _ = record.digests.remove("sub"),
            |record| _ = record.digests.insert("sub".into(), "x".into()),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut records = records.clone();
            change(&mut records[1]);
            assert!(why(&records).contains("one 2"), "{number}");
        }
    }

    #[test]
    fn what_was_erased_is_told_and_what_an_event_does_not_account_for_is_a_flaw() {
        let mut records = two_chains();
        erase(&mut records[1]);
        assert!(why(&records).contains("one 2: 3 personal members are gone"), "{}", why(&records));
        let last = records.last().unwrap();
        let mut chain = Chain { name: "other".into(), sequence: last.sequence, hash: last.hash.clone() };
        records.push(chain.add(Event::new(EventKind::PersonalErased, NOW).with("members", 2_i64), salt));
        assert!(why(&records).contains("one 2: 3 personal members are gone"), "{}", why(&records));
        records.push(chain.add(Event::new(EventKind::PersonalErased, NOW).with("members", 1_i64), salt));
        assert_eq!(verify(&records, &[]).unwrap().erased, 3);
        records[1].digests.insert("sub".into(), "x".into());
        assert!(why(&records).contains("one 2: this event was changed"));
    }

    #[test]
    fn pruning_hides_nothing_that_was_erased_by_hand() {
        let mut records = two_chains();
        erase(&mut records[1]);
        let records = pruned_from(records, 3);
        assert!(records.iter().all(|record| record.erased().is_empty()));
        assert!(why(&records).contains("one 3: 3 personal members are gone"), "{}", why(&records));
    }

    #[test]
    fn an_event_that_is_forged_with_its_hash_does_not_fit_the_next() {
        let mut records = two_chains();
        records[1].client_id = Some("mallory".into());
        records[1].hash = records[1].computed_hash();
        assert!(why(&records).contains("one 3: this event does not follow"));
    }

    #[test]
    fn what_was_taken_out_is_missed() {
        let records = two_chains();
        for at in 0..4 {
            let mut fewer = records.clone();
            fewer.remove(at);
            assert!(verify(&fewer, &[]).is_err(), "{at}");
        }
        // The end of a chain is missed only by those who kept its head.
        let heads = verify(&records, &[]).unwrap().heads;
        let mut fewer = records;
        fewer.pop();
        assert!(verify(&fewer, &[]).is_ok());
        assert!(verify(&fewer, &heads).unwrap_err()[0].why.contains("cut off"));
    }

    #[test]
    fn what_was_pruned_is_known_by_its_checkpoint() {
        let heads = verify(&two_chains(), &[]).unwrap().heads;
        for events in 1..=4 {
            let records = pruned(events);
            let verified = verify(&records, &heads).unwrap();
            assert_eq!(verified.pruned.events, i64::try_from(events).unwrap());
            assert_eq!((verified.pruned.chains, verified.heads.len()), (1, 2));
            assert_eq!(verified.kept_and_pruned, 0, "it is the checkpoint, or there");
            let third = Head { sequence: 3, hash: two_chains()[2].hash.clone(), ..heads[0].clone() };
            assert_eq!(verify(&records, &[third]).unwrap().kept_and_pruned, usize::from(events > 3));
            // A head is known if its place was pruned, and by its hash if it is the checkpoint itself.
            let forged = Head { sequence: events.try_into().unwrap(), hash: "x".into(), ..heads[0].clone() };
            assert!(verify(&records, &[forged]).unwrap_err()[0].why.contains("another hash"));
            let later = Head { sequence: 5, ..heads[0].clone() };
            assert!(verify(&records, &[later]).unwrap_err()[0].why.contains("cut off"));
        }
    }

    #[test]
    fn a_checkpoint_covers_nothing_but_what_it_says() {
        // The event after it, the checkpoint itself, an event that was put back.
        let mut records = pruned(2);
        let next = records.iter().position(|record| record.chain == "one" && record.sequence == 3).unwrap();
        records.remove(next);
        assert!(why(&records).contains("one 3: this event is missing"));
        let mut records = pruned(2);
        records.retain(|record| record.checkpoint().is_none());
        assert!(why(&records).contains("one 1: this event is missing"));
        let mut records = pruned(2);
        records.push(two_chains()[1].clone());
        assert!(why(&records).contains("was pruned, and yet is there"));
        // Another hash in it: neither it nor the next event fits.
        let mut records = pruned(2);
        let told = records.iter_mut().find(|record| record.checkpoint().is_some()).unwrap();
        let hash = told.checkpoint().unwrap().unwrap().hash;
        told.detail = told.detail.as_ref().map(|detail| detail.replace(&hash, "x"));
        told.hash = told.computed_hash();
        assert!(why(&records).contains("one 3: this event does not follow"));
    }

    #[test]
    fn numbers_in_a_checkpoint_that_cannot_be_are_told_and_break_nothing() {
        for (number, instead) in [
            ("\"sequence\":2", format!("\"sequence\":{}", i64::MAX)),
            ("\"sequence\":2", "\"sequence\":-5".to_owned()),
            ("\"events\":2", "\"events\":1".to_owned()),
            ("\"erased\":0", "\"erased\":-1".to_owned()),
            ("\"erasures\":0", "\"erasures\":-1".to_owned()),
        ] {
            let mut records = pruned(2);
            let told = records.iter_mut().find(|record| record.checkpoint().is_some()).unwrap();
            told.detail = told.detail.as_ref().map(|detail| detail.replace(number, &instead));
            assert!(why(&records).contains("tells of no checkpoint"), "{number}");
        }
    }

    #[test]
    fn what_is_not_whole_is_not_pruned() {
        let records: Vec<Record> = two_chains().into_iter().filter(|record| record.chain == "one").collect();
        assert_eq!(check_prefix(None, &records), Ok(()));
        let checkpoint = records[..2].iter().fold(Checkpoint::nothing("one"), Checkpoint::beyond);
        assert_eq!(check_prefix(Some(&checkpoint), &records[2..]), Ok(()));
        assert!(check_prefix(None, &records[1..]).is_err());
        assert!(check_prefix(Some(&checkpoint), &records[3..]).is_err());
        let forged = Checkpoint { hash: "x".into(), ..checkpoint };
        assert!(check_prefix(Some(&forged), &records[2..]).is_err());
        let mut changed = records;
        changed[1].sub = Some("mallory".into());
        assert!(check_prefix(None, &changed).is_err());
    }

    #[test]
    fn a_chain_that_was_put_in_must_follow_what_was_there() {
        let mut records = two_chains();
        let forged = Record { hash: "x".into(), ..records[2].clone() };
        let (_, first) = Chain::begin("forged".into(), Some(&forged), NOW);
        records.push(first);
        assert!(why(&records).contains("forged 1"));
    }
}
