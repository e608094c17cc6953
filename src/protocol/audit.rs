//! What is kept of what happened: events in hash-chained order, and refusals under their reference.
//!
//! A chain belongs to one run of a node or of a command. Each event names the hash of the one before it, and the first
//! event of a chain the hash of the newest event that was there when it started, so that nothing can be changed, taken out
//! or put in between without being seen; what is cut off at the end is seen by those who kept a later head.
//!
//! The hash covers members that identify no user as they are, and of personal ones a salted digest (`personal`), so that the
//! personal ones can be erased. `verification` checks all of it, and knows what was pruned by its checkpoints.

mod personal;
mod verification;

pub use personal::{Impersonal, Salt};
pub use verification::{Flaw, Head, Pruned, Verified, check_prefix, verify};

use crate::protocol::error::Explanation;
use crate::protocol::mail::{Circumstances, NEW_BROWSER};
use crate::protocol::time::NumericDate;
use crate::protocol::worded::worded;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

worded! {
    /// What can happen, by its word in `audit_events.event`.
    EventKind {
        /// A chain starts.
        ChainBegun = "chain_begun",
        /// So many events could not be kept: more came than could be written.
        EventsLost = "events_lost",
        /// A node serves.
        NodeStarted = "node_started",
        /// The set of published keys is another one.
        KeysChanged = "keys_changed",
        /// A user signed in.
        SignIn = "sign_in",
        /// A user proved a further factor in a running session.
        StepUp = "step_up",
        /// User name and password did not match, or the code of a second factor was none.
        SignInFailed = "sign_in_failed",
        /// Too many failures.
        SignInThrottled = "sign_in_throttled",
        /// A client failed to authenticate too often.
        ClientThrottled = "client_throttled",
        /// An operator freed a user, a network or a client from the throttle.
        Unthrottled = "unthrottled",
        /// A user signed in at a service that they may not enter.
        EntryRefused = "entry_refused",
        /// A person allowed a client what it asked for.
        ConsentGiven = "consent_given",
        /// A person did not.
        ConsentDenied = "consent_denied",
        /// A user took back what a client was allowed, with its refresh tokens.
        ConsentWithdrawn = "consent_withdrawn",
        /// Tokens were issued.
        TokensIssued = "tokens_issued",
        /// A code was shown again: what it issued is revoked.
        CodeReplayed = "code_replayed",
        /// A replaced refresh token was shown again: its family is revoked.
        RefreshTokenReused = "refresh_token_reused",
        /// A client gave a token back.
        TokenRevoked = "token_revoked",
        /// A session was ended.
        SignOut = "sign_out",
        /// A service was told of a sign-out.
        LogoutDelivered = "logout_delivered",
        /// A service could not be told; it is tried again.
        LogoutFailed = "logout_failed",
        /// A service could not be told, and is not tried again.
        LogoutGivenUp = "logout_given_up",
        /// A migration was applied.
        MigrationApplied = "migration_applied",
        /// A person was added.
        UserAdded = "user_added",
        /// A person was given another password.
        UserPasswordSet = "user_password_set",
        /// A user changed the password.
        UserPasswordChanged = "user_password_changed",
        /// A user set a password by a one-time link.
        UserPasswordReset = "user_password_reset",
        /// An operator made a one-time link for a user.
        UserLinkMade = "user_link_made",
        /// An operator ended the one-time links of a user.
        UserLinksEnded = "user_links_ended",
        /// The mail server took a mail.
        MailSent = "mail_sent",
        /// A mail could not be handed over, and is not tried again.
        MailGivenUp = "mail_given_up",
        /// A link was asked for and none is mailed.
        LinkNotMailed = "link_not_mailed",
        /// An operator invited so many.
        UsersInvited = "users_invited",
        /// A person was disabled.
        UserDisabled = "user_disabled",
        /// A user was enabled again.
        UserEnabled = "user_enabled",
        /// Columns of a user were changed.
        UserEdited = "user_edited",
        /// A user took along what is kept of them.
        UserExported = "user_exported",
        /// A user asked for the account to be deleted.
        DeletionRequested = "deletion_requested",
        /// A user took that back.
        DeletionWithdrawn = "deletion_withdrawn",
        /// A user was deleted: a tombstone keeps sub and name from being given again.
        UserDeleted = "user_deleted",
        /// What was kept of a user was erased.
        UserErased = "user_erased",
        /// Sign-ins of a person were ended, by an operator or by the person: all of them, or one.
        UserSessionsEnded = "user_sessions_ended",
        /// A user ended whatever trust there was in browsers.
        BrowsersUntrusted = "browsers_untrusted",
        /// A user has an authenticator more: added here, or brought over.
        FactorAdded = "factor_added",
        /// An authenticator, or all factors of a user, were removed.
        FactorRemoved = "factor_removed",
        /// A passkey was used whose counter did not grow: there may be a copy of it.
        PasskeyCloned = "passkey_cloned",
        /// A user was given recovery codes; the ones before are void.
        RecoveryCodesMade = "recovery_codes_made",
        /// A recovery code was used.
        RecoveryCodeUsed = "recovery_code_used",
        /// A group was made.
        GroupAdded = "group_added",
        /// A group was described in other words.
        GroupEdited = "group_edited",
        /// A group was deleted.
        GroupDeleted = "group_deleted",
        /// A user was put into a group, or the membership was given another end.
        MembershipAdded = "membership_added",
        /// A user was taken out of a group.
        MembershipRemoved = "membership_removed",
        /// A user was given a claim, or another value of it.
        UserClaimSet = "user_claim_set",
        /// A claim of a user was taken away.
        UserClaimUnset = "user_claim_unset",
        /// A group was given a claim, or another value of it.
        GroupClaimSet = "group_claim_set",
        /// A claim of a group was taken away.
        GroupClaimUnset = "group_claim_unset",
        /// A scope of the organization's own was described, or deleted.
        ScopeEdited = "scope_edited",
        /// A client was disabled.
        ClientDisabled = "client_disabled",
        /// A client was enabled again.
        ClientEnabled = "client_enabled",
        /// A client's row or lists were changed by a command.
        ClientEdited = "client_edited",
        /// A client was deleted.
        ClientDeleted = "client_deleted",
        /// What tells of a person was erased.
        PersonalErased = "personal_erased",
        /// The oldest events of a chain were removed: its checkpoint.
        AuditPruned = "audit_pruned",
    }
}

impl EventKind {
    /// Whether the user that it is about is told of it, at the account page.
    #[must_use]
    pub const fn is_told(self) -> bool {
        matches!(
            self,
            Self::SignIn
                | Self::StepUp
                | Self::SignInFailed
                | Self::SignInThrottled
                | Self::SignOut
                | Self::EntryRefused
                | Self::ConsentGiven
                | Self::ConsentDenied
                | Self::ConsentWithdrawn
                | Self::UserAdded
                | Self::UserPasswordSet
                | Self::UserPasswordChanged
                | Self::UserPasswordReset
                | Self::UserLinkMade
                | Self::UserLinksEnded
                | Self::UserDisabled
                | Self::UserEnabled
                | Self::UserEdited
                | Self::UserExported
                | Self::UserSessionsEnded
                | Self::BrowsersUntrusted
                | Self::DeletionRequested
                | Self::DeletionWithdrawn
                | Self::FactorAdded
                | Self::FactorRemoved
                | Self::PasskeyCloned
                | Self::RecoveryCodesMade
                | Self::RecoveryCodeUsed
                | Self::MembershipAdded
                | Self::MembershipRemoved
                | Self::UserClaimSet
                | Self::UserClaimUnset
        )
    }
}

/// The personal member that describes a browser.
const BROWSER: &str = "browser";

/// The names of the two personal members that have columns of their own.
const COLUMNS: [&str; 2] = ["sub", "network"];

/// Something that happened, before it has its place in a chain.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: NumericDate,
    /// What.
    pub kind: EventKind,
    /// To whom: the local `sub`.
    pub sub: Option<String>,
    client_id: Option<String>,
    network: Option<String>,
    reference: Option<String>,
    detail: Map<String, Value>,
    personal: BTreeMap<String, String>,
    /// Not kept.
    languages: Vec<String>,
}

impl Event {
    /// Something that happened at that instant.
    #[must_use]
    pub fn new(kind: EventKind, at: NumericDate) -> Self {
        Self {
            at,
            kind,
            sub: None,
            client_id: None,
            network: None,
            reference: None,
            detail: Map::new(),
            personal: BTreeMap::new(),
            languages: Vec::new(),
        }
    }

    /// Whose failures it counts among: the user's, or the client's where it is about none.
    #[must_use]
    pub fn whose(&self) -> Option<&str> {
        let client = || self.client_id.as_deref().filter(|_| self.kind == EventKind::ClientThrottled);
        self.sub.as_deref().or_else(client)
    }

    /// To that person.
    #[must_use]
    pub fn of(self, sub: &str) -> Self {
        self.of_subject(Some(sub))
    }

    /// To that person, if it is known who it was.
    #[must_use]
    pub fn of_subject(mut self, sub: Option<&str>) -> Self {
        self.sub = sub.map(str::to_owned);
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

    /// In the request of that reference, unless it has one.
    #[must_use]
    pub fn in_request(mut self, reference: Option<String>) -> Self {
        self.reference = self.reference.or(reference);
        self
    }

    /// Where these languages were wished for, in which the user is told of it.
    #[must_use]
    pub fn wished_in(self, languages: Vec<String>) -> Self {
        Self { languages, ..self }
    }

    /// In a browser that was not known to the account, so that the user is told of it by mail.
    #[must_use]
    pub fn in_new_browser(self, browser: &str) -> Self {
        self.with(NEW_BROWSER, true).personal(BROWSER, browser)
    }

    /// Whether it happened in such a browser.
    #[must_use]
    pub fn is_of_new_browser(&self) -> bool {
        self.detail.contains_key(NEW_BROWSER)
    }

    /// When, from where and by which browser it happened.
    #[must_use]
    pub fn circumstances(&self) -> Circumstances {
        let browser = self.personal.get(BROWSER).cloned();
        Circumstances { at: self.at.0, network: self.network.clone(), browser, languages: self.languages.clone() }
    }

    /// With a further member that identifies no user: it is kept for as long as the event is.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Impersonal>) -> Self {
        self.detail.insert(name.to_owned(), value.into().into());
        self
    }

    /// With a further member that a person or a stranger typed, chose or is, or that another server answered: it can be
    /// erased. It is cut at 1024 bytes.
    #[must_use]
    pub fn personal(mut self, name: &'static str, value: &str) -> Self {
        self.personal.insert(name.to_owned(), personal::bounded(value).to_owned());
        self
    }
}

/// Up to where a chain was pruned, as the detail of an `audit_pruned`. Another pruning makes a new one that takes the place of
/// this; one that is about to be pruned itself is told again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The chain.
    pub chain: String,
    /// The last event that was removed.
    pub sequence: i64,
    /// Its hash.
    pub hash: String,
    /// How many were removed altogether.
    pub events: i64,
    /// When the newest of them happened, Unix seconds.
    pub until: i64,
    /// How many personal members of them had been erased.
    pub erased: i64,
    /// How many erased members the `personal_erased` among them told of.
    pub erasures: i64,
}

impl Checkpoint {
    /// Of a chain that was not pruned before.
    #[must_use]
    pub fn nothing(chain: &str) -> Self {
        Self {
            chain: chain.to_owned(),
            sequence: 0,
            hash: String::new(),
            events: 0,
            until: i64::MIN,
            erased: 0,
            erasures: 0,
        }
    }

    fn read(detail: &str) -> Result<Self, &'static str> {
        let told: Self = serde_json::from_str(detail).map_err(|_| "no checkpoint")?;
        // A chain is pruned from its first event on, so place and number are the same.
        let is_possible = (1..i64::MAX).contains(&told.sequence)
            && told.events == told.sequence
            && told.erased >= 0
            && told.erasures >= 0;
        if is_possible { Ok(told) } else { Err("a checkpoint that cannot be") }
    }

    /// After the next event of the chain was removed too.
    #[must_use]
    pub fn beyond(self, record: &Record) -> Self {
        Self {
            sequence: record.sequence,
            hash: record.hash.clone(),
            events: self.events.saturating_add(1),
            until: self.until.max(record.at),
            erased: self.erased.saturating_add(record.erased().len().try_into().unwrap_or(i64::MAX)),
            erasures: self.erasures.saturating_add(record.erasures()),
            ..self
        }
    }

    /// The event that tells of it.
    #[must_use]
    pub fn event(&self, at: NumericDate) -> Event {
        Event::new(EventKind::AuditPruned, at)
            .with("chain", Impersonal::configured(&self.chain))
            .with("sequence", self.sequence)
            .with("hash", Impersonal::configured(&self.hash))
            .with("events", self.events)
            .with("until", self.until)
            .with("erased", self.erased)
            .with("erasures", self.erasures)
    }
}

/// An event in its place, as it is stored in `audit_events` and as it is exported: one JSON object a line.
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
    /// To whom; personal.
    pub sub: Option<String>,
    /// By way of which client.
    pub client_id: Option<String>,
    /// From where; personal.
    pub network: Option<String>,
    /// The request it happened in.
    pub reference: Option<String>,
    /// Further members, which identify no user: a JSON object, as text, so that it is hashed as it was written.
    pub detail: Option<String>,
    /// What else tells of a person.
    #[serde(default)]
    pub personal: BTreeMap<String, String>,
    /// The salt of each personal member that was not erased: 128 random bits, base64url.
    #[serde(default)]
    pub salts: BTreeMap<String, String>,
    /// The digest of each personal member: SHA-256, base64url.
    #[serde(default)]
    pub digests: BTreeMap<String, String>,
    /// The hash of the event before.
    pub previous_hash: String,
    /// Of all of the above but the personal members and their salts: SHA-256, base64url.
    pub hash: String,
}

impl Record {
    /// The hash that this record should have: over the JSON array of the members it covers in their order.
    #[must_use]
    pub fn computed_hash(&self) -> String {
        let members = json!([
            self.chain,
            self.sequence,
            self.at,
            self.event,
            self.client_id,
            self.reference,
            self.detail,
            self.digests,
            self.previous_hash
        ]);
        URL_SAFE_NO_PAD.encode(Sha256::digest(members.to_string()))
    }

    /// The value of a personal member.
    fn value(&self, name: &str) -> Option<&str> {
        match name {
            "sub" => self.sub.as_deref(),
            "network" => self.network.as_deref(),
            name => self.personal.get(name).map(String::as_str),
        }
    }

    /// The names of the personal members that were erased.
    #[must_use]
    pub fn erased(&self) -> Vec<&str> {
        let names = self.digests.keys().map(String::as_str);
        names.filter(|name| self.value(name).is_none() && !self.salts.contains_key(*name)).collect()
    }

    /// What is wrong with this event by itself: its hash covers everything but the values of its personal members, and these
    /// have to fit their digests or be erased with their salts.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.computed_hash() != self.hash {
            return Some("this event was changed: its hash is another one".to_owned());
        }
        if let Some(name) = COLUMNS.into_iter().find(|name| self.personal.contains_key(*name)) {
            return Some(format!("this event was changed: it has {name} twice"));
        }
        let columns = COLUMNS.into_iter().filter(|name| self.value(name).is_some());
        let of_values = self.personal.keys().map(String::as_str).chain(columns);
        let names =
            of_values.chain(self.salts.keys().map(String::as_str)).chain(self.digests.keys().map(String::as_str));
        names.collect::<std::collections::BTreeSet<_>>().into_iter().find_map(|name| {
            let why = match (self.value(name), self.salts.get(name), self.digests.get(name)) {
                (None, None, _) => return None,
                (Some(value), Some(salt), Some(digest)) if personal::fits(name, value, salt, digest) => return None,
                (_, _, None) => "is not covered by its hash",
                (Some(_), Some(_), _) => "or the salt of it is another one",
                (Some(_), None, _) => "has no salt",
                (None, Some(_), _) => "was taken out, but not erased",
            };
            Some(format!("this event was changed: its member {name:?} {why}"))
        })
    }

    /// The checkpoint that it tells of, if it is an `audit_pruned`.
    ///
    /// # Errors
    /// It is one, and tells of none or of one that cannot be.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Result<Checkpoint, &'static str>> {
        let is_one = self.event == EventKind::AuditPruned.as_str();
        is_one.then(|| Checkpoint::read(self.detail.as_deref().unwrap_or_default()))
    }

    /// How many erased members it tells of.
    fn erasures(&self) -> i64 {
        if self.event == EventKind::PersonalErased.as_str() {
            self.detail()["members"].as_i64().unwrap_or_default()
        } else {
            0
        }
    }

    fn detail(&self) -> Value {
        self.detail.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
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
            event = event
                .with("after_chain", Impersonal::configured(&newest.chain))
                .with("after_sequence", newest.sequence);
        }
        // It has no personal member to salt.
        let record = chain.add(event, || [0; 16]);
        (chain, record)
    }

    /// The name of the chain, and the place of its last event.
    #[must_use]
    pub fn end(&self) -> (&str, i64) {
        (&self.name, self.sequence)
    }

    /// Gives an event its place; each of its personal members gets a salt of its own.
    #[must_use]
    pub fn add(&mut self, event: Event, salt: impl Fn() -> Salt) -> Record {
        self.sequence += 1;
        let columns = COLUMNS.into_iter().zip([&event.sub, &event.network]);
        let columns = columns.filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let (mut salts, mut digests) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in columns.chain(event.personal.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
            let salt = salt();
            digests.insert(name.to_owned(), personal::digest(name, value, &salt));
            salts.insert(name.to_owned(), URL_SAFE_NO_PAD.encode(salt));
        }
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
            personal: event.personal,
            salts,
            digests,
            previous_hash: std::mem::take(&mut self.hash),
            hash: String::new(),
        };
        record.hash = record.computed_hash();
        self.hash.clone_from(&record.hash);
        record
    }
}

/// A refusal as it is stored in `refusals`, for `hallpass explain`.
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
