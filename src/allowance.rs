//! Allowances: how much one person can have us keep. Whoever is signed in can ask for codes and tokens without end, and a
//! store that one person fills is full for everybody.
//!
//! What is kept is weighed as it is stored, by what it is and by how long it rests; sessions, codes and tokens of one
//! person have a limit each, far above what people and their services need.

use crate::protocol::secret::Digest;
use crate::provider::Provider;
use crate::store::StoreError;
use crate::store::ephemeral::{Start, Tallied, Tally};
use crate::throttle::{Later, Stopped};
use serde::Serialize;

/// The most bytes of each kind: codes, tokens of one lifetime, sessions.
pub const PER_PERSON: i64 = 16 * 1024 * 1024;
/// The most families of refresh tokens that one person begins in a day; each is a row for months.
pub const FAMILIES_PER_DAY: i64 = 5000;
const DAY: i64 = 86_400;

/// Something that is kept for a person, or not any more.
pub struct Kept {
    field: String,
    window: i64,
    most: i64,
    amount: i64,
}

impl Kept {
    /// A code, which rests so many seconds.
    #[must_use]
    pub fn code(grant: &impl Serialize, seconds: i64) -> Self {
        Self { field: "codes".to_owned(), window: seconds, most: PER_PERSON, amount: weight(grant) }
    }

    /// A code that was redeemed: what is left of it is a tombstone.
    #[must_use]
    pub fn spent_code(grant: &impl Serialize, seconds: i64) -> Self {
        Self { amount: Start::weight("") - weight(grant), ..Self::code(grant, seconds) }
    }

    /// An access token, which rests so many seconds.
    #[must_use]
    pub fn token(record: &impl Serialize, seconds: i64) -> Self {
        Self { field: format!("tokens {seconds}"), window: seconds, most: PER_PERSON, amount: weight(record) }
    }

    /// A sign-in, which rests so many seconds.
    #[must_use]
    pub fn session(session: &impl Serialize, seconds: i64) -> Self {
        Self { field: "sessions".to_owned(), window: seconds, most: PER_PERSON, amount: weight(session) }
    }

    /// A family of refresh tokens.
    #[must_use]
    pub fn family() -> Self {
        Self { field: "families".to_owned(), window: DAY, most: FAMILIES_PER_DAY, amount: 1 }
    }
}

fn weight(value: &impl Serialize) -> i64 {
    Start::weight(&serde_json::to_string(value).unwrap_or_default())
}

/// Notes what is kept for a person: all of it or, where one is too much, nothing.
///
/// # Errors
/// `Later`: it is too much; the store failed.
pub async fn keep(provider: &Provider, sub: &str, kept: &[Kept]) -> Result<(), Stopped> {
    let key = format!("kept:{}", &Digest::of(&["kept", sub]).as_str()[..22]);
    let tallies: Vec<Tally<'_>> = kept
        .iter()
        .map(|kept| Tally { field: &kept.field, window: kept.window, most: kept.most, amount: kept.amount })
        .collect();
    match provider.ephemeral.tally(&key, &tallies).await {
        // Counters that strangers have filled up stop nobody who is signed in.
        Ok(Tallied::Counted(_)) | Err(StoreError::Full) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(Tallied::Over { index, ends_in }) => {
            let what = kept.get(index).map_or("", |kept| kept.field.as_str());
            tracing::warn!(sub, what, "one person has more kept for them than anybody needs; further ones are refused");
            Err(Stopped::Later(Later { seconds: ends_in }))
        }
    }
}
