//! What identifies a user and what does not: the digest that replaces the former under the hash, and the type that keeps the
//! former from being written as the latter.

use crate::protocol::factor::{Factor, amr_of};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What makes equal values have unlike digests, and an erased one impossible to guess. Random, and of one value.
pub type Salt = [u8; 16];

/// How long a personal member may be, in bytes; `sub` and the network are shorter by themselves.
const MOST_BYTES: usize = 1024;

/// As much of a value as is kept.
pub(super) fn bounded(value: &str) -> &str {
    &value[..value.floor_char_boundary(MOST_BYTES)]
}

/// The digest of a personal member, base64url: SHA-256 over the salt and then name and value, each after its length, so that
/// no two pairs are the same bytes.
pub(super) fn digest(name: &str, value: &str, salt: &Salt) -> String {
    let mut digest = Sha256::new_with_prefix(salt);
    for part in [name, value] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

/// Whether a value and its salt, as text, have that digest.
pub(super) fn fits(name: &str, value: &str, salt: &str, expected: &str) -> bool {
    let salt: Option<Salt> = URL_SAFE_NO_PAD.decode(salt).ok().and_then(|salt| salt.try_into().ok());
    salt.is_some_and(|salt| digest(name, value, &salt) == expected)
}

/// A value that identifies no user: a number, a word of the code, or by `configured` a text that an operator set. No other
/// text becomes one.
#[derive(Clone, Debug)]
pub struct Impersonal(Value);

impl Impersonal {
    /// A text that an operator set or that Hallpass made: a client's name, a scope that a client may have, a key's name. Never
    /// what a user typed, what a browser sent or what another server answered.
    #[must_use]
    pub fn configured(text: &str) -> Self {
        Self(text.into())
    }

    /// The same of several.
    #[must_use]
    pub fn configured_list(texts: &[String]) -> Self {
        Self(texts.into())
    }
}

impl From<Impersonal> for Value {
    fn from(value: Impersonal) -> Self {
        value.0
    }
}

impl From<i64> for Impersonal {
    fn from(number: i64) -> Self {
        Self(number.into())
    }
}

impl From<u64> for Impersonal {
    fn from(number: u64) -> Self {
        Self(number.into())
    }
}

impl From<bool> for Impersonal {
    fn from(word: bool) -> Self {
        Self(word.into())
    }
}

/// `amr` of factors that were proven together, in one text.
impl From<&[Factor]> for Impersonal {
    fn from(proven: &[Factor]) -> Self {
        Self(amr_of(proven).join(" ").into())
    }
}

impl From<&'static str> for Impersonal {
    fn from(word: &'static str) -> Self {
        Self(word.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_tells_names_values_and_salts_apart() {
        let salt = [1; 16];
        let all = [
            digest("sub", "alice", &salt),
            digest("sub", "alice", &[2; 16]),
            digest("network", "alice", &salt),
            digest("suba", "lice", &salt),
            digest("sub", "", &salt),
            digest("", "sub", &salt),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one), "{at}");
        }
        assert!(fits("sub", "alice", &URL_SAFE_NO_PAD.encode(salt), &all[0]));
        assert!(!fits("sub", "alice", &URL_SAFE_NO_PAD.encode([1; 15]), &all[0]), "a shorter salt");
        assert!(!fits("sub", "alice", "no base64!", &all[0]));
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(bounded(&"é".repeat(1000)), "é".repeat(512));
        assert_eq!(bounded(&format!("x{}", "é".repeat(1000))).len(), 1023);
        assert_eq!(bounded("short"), "short");
    }
}
