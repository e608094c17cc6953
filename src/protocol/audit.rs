//! What is kept of what happened: events in hash-chained order, and refusals under their reference.
//!
//! A chain belongs to one run of a node or of a command. Each event names the hash of the one before it, and the first
//! event of a chain the hash of the newest event that was there when it began, so that nothing can be changed, taken out
//! or put in between without being seen; what is cut off at the end is seen by whoever kept a later head.

use crate::protocol::error::Explanation;
use crate::protocol::time::NumericDate;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap};

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A chain begins.
    ChainBegun,
    /// So many events could not be kept: more came than could be written.
    EventsLost,
    /// A node serves.
    NodeStarted,
    /// The set of published keys is another one.
    KeysChanged,
    /// Somebody signed in.
    SignIn,
    /// User name and password did not match.
    SignInFailed,
    /// Too many failures.
    SignInThrottled,
    /// A person allowed a client what it asked for.
    ConsentGiven,
    /// A person did not.
    ConsentDenied,
    /// Tokens were issued.
    TokensIssued,
    /// A code was shown again: what it issued is revoked.
    CodeReplayed,
    /// A replaced refresh token was shown again: its family is revoked.
    RefreshTokenReused,
    /// A client gave a token back.
    TokenRevoked,
    /// A session was ended.
    SignOut,
    /// A service was told of a sign-out.
    LogoutDelivered,
    /// A service could not be told; it is tried again.
    LogoutFailed,
    /// A service could not be told, and is not tried again.
    LogoutGivenUp,
    /// A migration was applied.
    MigrationApplied,
    /// A person was added.
    UserAdded,
    /// A person was given another password.
    UserPasswordSet,
    /// A person was disabled.
    UserDisabled,
    /// Sign-ins of a person were ended by an operator.
    UserSessionsEnded,
    /// A client was disabled.
    ClientDisabled,
}

impl EventKind {
    /// The word in `audit_events.event`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChainBegun => "chain_begun",
            Self::EventsLost => "events_lost",
            Self::NodeStarted => "node_started",
            Self::KeysChanged => "keys_changed",
            Self::SignIn => "sign_in",
            Self::SignInFailed => "sign_in_failed",
            Self::SignInThrottled => "sign_in_throttled",
            Self::ConsentGiven => "consent_given",
            Self::ConsentDenied => "consent_denied",
            Self::TokensIssued => "tokens_issued",
            Self::CodeReplayed => "code_replayed",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::TokenRevoked => "token_revoked",
            Self::SignOut => "sign_out",
            Self::LogoutDelivered => "logout_delivered",
            Self::LogoutFailed => "logout_failed",
            Self::LogoutGivenUp => "logout_given_up",
            Self::MigrationApplied => "migration_applied",
            Self::UserAdded => "user_added",
            Self::UserPasswordSet => "user_password_set",
            Self::UserDisabled => "user_disabled",
            Self::UserSessionsEnded => "user_sessions_ended",
            Self::ClientDisabled => "client_disabled",
        }
    }
}

/// Something that happened, before it has its place in a chain.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: NumericDate,
    /// What.
    pub kind: EventKind,
    /// To whom: the local `sub`.
    pub sub: Option<String>,
    /// By way of which client.
    pub client_id: Option<String>,
    /// From where.
    pub network: Option<String>,
    /// The request it happened in.
    pub reference: Option<String>,
    /// Whatever else there is to say, by name.
    pub detail: Map<String, Value>,
}

impl Event {
    /// Something that happened at that instant.
    #[must_use]
    pub fn new(kind: EventKind, at: NumericDate) -> Self {
        Self { at, kind, sub: None, client_id: None, network: None, reference: None, detail: Map::new() }
    }

    /// To that person.
    #[must_use]
    pub fn of(mut self, sub: &str) -> Self {
        self.sub = Some(sub.to_owned());
        self
    }

    /// By way of that client.
    #[must_use]
    pub fn by(mut self, client_id: &str) -> Self {
        self.client_id = Some(client_id.to_owned());
        self
    }

    /// From there.
    #[must_use]
    pub fn from(mut self, network: &impl ToString) -> Self {
        self.network = Some(network.to_string());
        self
    }

    /// With a further member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }
}

/// An event in its place, as it rests in `audit_events` and as it is exported: one JSON object a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The run it belongs to.
    pub chain: String,
    /// Its place in the chain, from 1.
    pub sequence: i64,
    /// When, Unix seconds.
    pub at: i64,
    /// What: a word of `EventKind`.
    pub event: String,
    /// To whom.
    pub sub: Option<String>,
    /// By way of which client.
    pub client_id: Option<String>,
    /// From where.
    pub network: Option<String>,
    /// The request it happened in.
    pub reference: Option<String>,
    /// Whatever else there is to say: a JSON object, as text, so that it is hashed as it was written.
    pub detail: Option<String>,
    /// The hash of the event before.
    pub previous_hash: String,
    /// Of all of the above: SHA-256, base64url.
    pub hash: String,
}

impl Record {
    /// The hash that this record should have: over the JSON array of its members in their order.
    #[must_use]
    pub fn computed_hash(&self) -> String {
        let members = json!([
            self.chain,
            self.sequence,
            self.at,
            self.event,
            self.sub,
            self.client_id,
            self.network,
            self.reference,
            self.detail,
            self.previous_hash
        ]);
        URL_SAFE_NO_PAD.encode(Sha256::digest(members.to_string()))
    }
}

/// The end of a chain, to which the next event is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    name: String,
    sequence: i64,
    hash: String,
}

impl Chain {
    /// Begins a chain of that name after the newest event there is; gives its first record.
    #[must_use]
    pub fn begin(name: String, newest: Option<&Record>, at: NumericDate) -> (Self, Record) {
        let mut chain = Self { name, sequence: 0, hash: newest.map(|record| record.hash.clone()).unwrap_or_default() };
        let mut event = Event::new(EventKind::ChainBegun, at).with("version", env!("CARGO_PKG_VERSION"));
        if let Some(newest) = newest {
            event = event.with("after_chain", newest.chain.as_str()).with("after_sequence", newest.sequence);
        }
        let record = chain.add(event);
        (chain, record)
    }

    /// Gives an event its place.
    #[must_use]
    pub fn add(&mut self, event: Event) -> Record {
        self.sequence += 1;
        let mut record = Record {
            chain: self.name.clone(),
            sequence: self.sequence,
            at: event.at.0,
            event: event.kind.as_str().to_owned(),
            sub: event.sub,
            client_id: event.client_id,
            network: event.network,
            reference: event.reference,
            detail: (!event.detail.is_empty()).then(|| Value::Object(event.detail).to_string()),
            previous_hash: std::mem::take(&mut self.hash),
            hash: String::new(),
        };
        record.hash = record.computed_hash();
        self.hash.clone_from(&record.hash);
        record
    }
}

/// The last event of a chain, for whoever keeps it elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The chain.
    pub chain: String,
    /// How many events it has.
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

/// Checks all events of all chains, in any order, and that every head that was kept before is still there. Gives the
/// heads they have now.
///
/// # Errors
/// Every flaw that was found.
pub fn verify(records: &[Record], kept: &[Head]) -> Result<Vec<Head>, Vec<Flaw>> {
    let mut chains: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records {
        chains.entry(&record.chain).or_default().push(record);
    }
    let known: HashMap<(&str, i64), &str> =
        records.iter().map(|record| ((record.chain.as_str(), record.sequence), record.hash.as_str())).collect();
    let mut flaws = Vec::new();
    let mut flaw = |chain: &str, sequence: i64, why: &str| {
        flaws.push(Flaw { chain: chain.to_owned(), sequence, why: why.to_owned() });
    };
    let mut heads = Vec::new();
    for (name, mut chain) in chains {
        chain.sort_by_key(|record| record.sequence);
        let mut before: Option<&Record> = None;
        for (place, record) in (1..).zip(&chain) {
            if record.sequence != place {
                flaw(name, place, "this event is missing, or there are two of it");
                break;
            }
            if record.computed_hash() != record.hash {
                flaw(name, place, "this event was changed: its hash is another one");
            }
            match before {
                Some(before) if before.hash != record.previous_hash => {
                    flaw(name, place, "this event does not follow the one before it");
                }
                Some(_) => {}
                None => {
                    if let Some(why) = first_fault(record, &known) {
                        flaw(name, place, why);
                    }
                }
            }
            before = Some(record);
        }
        if let Some(last) = chain.last() {
            heads.push(Head { chain: name.to_owned(), sequence: last.sequence, hash: last.hash.clone() });
        }
    }
    for head in kept {
        match known.get(&(head.chain.as_str(), head.sequence)) {
            Some(hash) if *hash == head.hash => {}
            Some(_) => flaw(&head.chain, head.sequence, "the head that was kept has another hash"),
            None => {
                flaw(&head.chain, head.sequence, "the head that was kept is not there any more: the end was cut off");
            }
        }
    }
    if flaws.is_empty() { Ok(heads) } else { Err(flaws) }
}

/// What is wrong with the first event of a chain: it must follow the event that it names.
fn first_fault(record: &Record, known: &HashMap<(&str, i64), &str>) -> Option<&'static str> {
    if record.event != EventKind::ChainBegun.as_str() {
        return Some("the beginning of this chain is missing");
    }
    let detail: Value = record.detail.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    match (detail["after_chain"].as_str(), detail["after_sequence"].as_i64()) {
        (None, _) if record.previous_hash.is_empty() => None,
        (Some(chain), Some(sequence)) => match known.get(&(chain, sequence)) {
            Some(hash) if *hash == record.previous_hash => None,
            Some(_) => Some("this chain began after an event that was another one then"),
            None => Some("the event that was there when this chain began is missing"),
        },
        _ => Some("the beginning of this chain does not say what was there before it"),
    }
}

/// A refusal as it rests in `refusals`, for `hallpass explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalRecord {
    /// What the page and the log carry.
    pub reference: String,
    /// When, Unix seconds.
    pub at: i64,
    /// The HTTP status.
    pub status: i64,
    /// The OAuth code, or the kind of page.
    pub code: String,
    /// `GET` or `POST`.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// Which client, if that is known.
    pub client_id: Option<String>,
    /// What the client or the person was told.
    pub description: String,
    /// What only the operator is told.
    pub detail: Option<String>,
    /// What was sent, expected, and the fix.
    #[serde(flatten)]
    pub explanation: Explanation,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: NumericDate = NumericDate(1_790_000_000);

    /// Two chains, the second begun after the third event of the first.
    fn two_chains() -> Vec<Record> {
        let (mut one, first) = Chain::begin("one".into(), None, NOW);
        let mut records = vec![first];
        records.push(one.add(Event::new(EventKind::SignIn, NOW).of("alice").by("reports").from(&"192.0.2.1")));
        records.push(one.add(Event::new(EventKind::TokensIssued, NOW.plus(1)).with("scope", "openid")));
        let (mut other, first) = Chain::begin("other".into(), records.last(), NOW.plus(2));
        records.push(first);
        records.push(one.add(Event::new(EventKind::SignOut, NOW.plus(3))));
        records.push(other.add(Event::new(EventKind::SignIn, NOW.plus(4))));
        records
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
        let heads = verify(&records, &[]).unwrap();
        assert_eq!(
            heads.iter().map(|head| (head.chain.as_str(), head.sequence)).collect::<Vec<_>>(),
            [("one", 4), ("other", 2)]
        );
        records.reverse();
        assert_eq!(verify(&records, &heads).unwrap(), heads);
        assert!(verify(&[], &[]).unwrap().is_empty());
    }

    #[test]
    fn every_member_is_under_the_hash() {
        let records = two_chains();
        let changes: [fn(&mut Record); 9] = [
            |record| record.at += 1,
            |record| record.event = "sign_out".into(),
            |record| record.sub = None,
            |record| record.client_id = Some("another".into()),
            |record| record.network = None,
            |record| record.reference = Some("X".into()),
            |record| record.detail = Some("{}".into()),
            |record| record.previous_hash = "x".into(),
            |record| record.hash = "x".into(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut records = records.clone();
            change(&mut records[1]);
            assert!(why(&records).contains("one 2"), "{number}");
        }
    }

    #[test]
    fn an_event_that_is_forged_with_its_hash_does_not_fit_the_next() {
        let mut records = two_chains();
        records[1].sub = Some("mallory".into());
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
        // The end of a chain is missed only by whoever kept its head.
        let heads = verify(&records, &[]).unwrap();
        let mut fewer = records;
        fewer.pop();
        assert!(verify(&fewer, &[]).is_ok());
        assert!(verify(&fewer, &heads).unwrap_err()[0].why.contains("cut off"));
    }

    #[test]
    fn a_chain_that_was_put_in_must_follow_what_was_there() {
        let mut records = two_chains();
        let forged = Record { hash: "x".into(), ..records[2].clone() };
        let (_, begun) = Chain::begin("forged".into(), Some(&forged), NOW);
        records.push(begun);
        assert!(why(&records).contains("forged 1"));
    }
}
