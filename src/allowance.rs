//! Allowances: how much one user can have us keep. A signed-in user can ask for codes and tokens without end, and a
//! store that one user fills is full for all.
//!
//! What is kept is weighed as it is stored, by what it is and by how long it stays; sessions, codes and tokens of one
//! person have a limit each, far above what people and their services need. Machines have one in process.
//!
//! Key: `kept:{person}` and `kept-for-client:{client_id}`, both as digests: bytes of sessions, codes and tokens for as long as these are kept.

use crate::protocol::grant::Session;
use crate::protocol::secret::Digest;
use crate::provider::Provider;
use crate::store::StoreError;
use crate::store::ephemeral::{Start, Tallied, Tally};
use crate::throttle::{Budget, Later, Stopped};
use serde::Serialize;

/// The most bytes of each kind: codes, tokens of one lifetime, sessions.
pub const PER_PERSON: i64 = 16 * 1024 * 1024;
/// The most families of refresh tokens that one user starts in a day; each is a row for months.
pub const FAMILIES_PER_DAY: i64 = 5000;
const DAY: i64 = 86_400;

/// The most bytes of tokens that one machine has in this process: its operator registered it, so it may have much, and not all.
const PER_MACHINE: i64 = 96 * 1024 * 1024;

/// Who has it kept.
#[derive(Clone, Copy)]
pub enum Owner<'a> {
    /// A person, by their `sub`.
    Person(&'a str),
    /// A client that acts for itself.
    Machine(&'a str),
}

/// Something that is kept, or not any more.
#[derive(Clone)]
pub struct Kept {
    field: String,
    window: i64,
    most: i64,
    amount: i64,
}

impl Kept {
    fn of(field: String, window: i64, amount: i64) -> Self {
        Self { field, window, most: PER_PERSON, amount }
    }

    /// A code, which stays so many seconds.
    #[must_use]
    pub fn code(grant: &impl Serialize, seconds: i64) -> Self {
        Self::of("codes".to_owned(), seconds, weight(grant))
    }

    /// What is left of a code that was shown, for so many seconds.
    #[must_use]
    pub fn tombstone(seconds: i64) -> Self {
        Self::of(format!("tombstones {seconds}"), seconds, Start::weight(""))
    }

    /// An access token, which stays so many seconds.
    #[must_use]
    pub fn token(record: &impl Serialize, seconds: i64) -> Self {
        Self::of(format!("tokens {seconds}"), seconds, weight(record))
    }

    /// A sign-in, which stays so many seconds; the services that it was used for are not counted, as they come later.
    #[must_use]
    pub fn session(session: &Session, seconds: i64) -> Self {
        let started = Session { clients: Vec::new(), ..session.clone() };
        Self::of("sessions".to_owned(), seconds, weight(&started))
    }

    /// A family of refresh tokens.
    #[must_use]
    pub fn family() -> Self {
        Self { most: FAMILIES_PER_DAY, ..Self::of("families".to_owned(), DAY, 1) }
    }

    /// The same, not kept any more.
    #[must_use]
    pub fn given_back(self) -> Self {
        Self { amount: -self.amount, ..self }
    }
}

fn weight(value: &impl Serialize) -> i64 {
    Start::weight(&serde_json::to_string(value).unwrap_or_default())
}

/// Notes what is kept for a user or machine: all of it or, where one is too much, nothing.
///
/// # Errors
/// `Later`: it is too much; the store failed.
pub async fn keep(provider: &Provider, owner: Owner<'_>, kept: &[Kept]) -> Result<(), Stopped> {
    let (kind, name) = match owner {
        Owner::Person(sub) => ("kept", sub),
        // A Redis has the room that its operator gives it.
        Owner::Machine(_) if provider.ephemeral.is_shared() => return Ok(()),
        Owner::Machine(client_id) => ("kept-for-client", client_id),
    };
    let most = |kept: &Kept| if matches!(owner, Owner::Machine(_)) { PER_MACHINE } else { kept.most };
    let key = format!("{kind}:{}", &Digest::of(&[kind, name]).as_str()[..22]);
    // One number for each field: the store counts them side by side.
    let mut summed: Vec<Kept> = Vec::new();
    for one in kept {
        match summed.iter_mut().find(|other| other.field == one.field) {
            Some(other) => other.amount += one.amount,
            None => summed.push(one.clone()),
        }
    }
    let tallies: Vec<Tally<'_>> = summed
        .iter()
        .map(|kept| Tally { field: &kept.field, window: kept.window, most: most(kept), amount: kept.amount })
        .collect();
    match provider.ephemeral.tally(&key, &tallies).await {
        // Counters that strangers have filled up do not stop a signed-in user.
        Ok(Tallied::Counted(_)) | Err(StoreError::Full) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(Tallied::Over { index, ends_in }) => {
            let what = summed.get(index).map_or("", |kept| kept.field.as_str());
            tracing::warn!(kind, name, what, "more is kept for one than any service needs; further ones are refused");
            Err(Stopped::Later(Later { seconds: ends_in, budget: Budget::Kept }))
        }
    }
}

/// Notes that something is not kept any more. What cannot be noted is counted until its window ends.
pub async fn give_back(provider: &Provider, owner: Owner<'_>, kept: Vec<Kept>) {
    let back: Vec<Kept> = kept.into_iter().map(Kept::given_back).collect();
    if let Err(Stopped::Fault(error)) = keep(provider, owner, &back).await {
        tracing::warn!(%error, "what is not kept any more could not be counted");
    }
}
