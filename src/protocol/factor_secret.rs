//! The secrets of second factors: what they are, whose they are, and what is stored instead of them.
//!
//! A stored secret is bound to its owner: user, kind and row. What seals it is a key of `crate::keys::factors`, which the stores do
//! not know; they are handed a [`FactorSealer`].

use crate::protocol::worded::worded;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

worded! {
    /// What kind of factor a row of `user_factors` is, by its word there.
    FactorKind {
        /// An authenticator, RFC 6238.
        Totp = "totp",
        /// The recovery codes of a user.
        RecoveryCodes = "recovery_codes",
    }
}

impl FactorKind {
    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

/// A secret in the clear: the shared secret of an authenticator, or what is kept of recovery codes. It cannot be printed, and is
/// overwritten when it is dropped. Serialized it is base64, for what is as secret itself.
#[derive(Clone)]
pub struct FactorSecret(Zeroizing<Vec<u8>>);

impl FactorSecret {
    /// The secret of these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes. Leaking them compromises the factor.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for FactorSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for FactorSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FactorSecret([redacted])")
    }
}

impl Serialize for FactorSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(STANDARD.encode(&*self.0)))
    }
}

impl<'de> Deserialize<'de> for FactorSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        STANDARD.decode(&*text).map(Self::new).map_err(|_| serde::de::Error::custom("a secret in base64"))
    }
}

/// Whose a sealed secret is.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The user.
    pub sub: &'a str,
    /// The kind of factor, or what else the secret is for.
    pub kind: &'a str,
    /// The row.
    pub factor_id: &'a str,
}

impl Owner<'_> {
    /// The additional authenticated data of the seal: each part after its length, so that no two owners are the same bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"hallpass factor".to_vec();
        for part in [self.sub, self.kind, self.factor_id] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }
}

/// What is stored of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// `user_factors.secret`: base64url of nonce, ciphertext and tag.
    pub text: String,
    /// `user_factors.key_id`.
    pub key_id: String,
}

/// What seals secrets and opens them.
pub trait FactorSealer: Send + Sync {
    /// Seals by the key that seals now; `None`: there is none.
    fn seal(&self, secret: &FactorSecret, owner: &Owner<'_>) -> Option<Sealed>;

    /// Seals what was sealed before: by the key that seals now, and where there is none by the one that it was sealed by.
    fn seal_anew(&self, before: &Sealed, secret: &FactorSecret, owner: &Owner<'_>) -> Option<Sealed>;

    /// Opens what one of the keys sealed for that owner; `None`: the key is not there, or it is another's.
    fn open(&self, sealed: &Sealed, owner: &Owner<'_>) -> Option<FactorSecret>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_cannot_be_printed_and_survives_its_text() {
        let secret = FactorSecret::new(*b"geheim");
        assert_eq!(format!("{secret:?}"), "FactorSecret([redacted])");
        let text = serde_json::to_string(&secret).unwrap();
        assert_eq!(serde_json::from_str::<FactorSecret>(&text).unwrap(), secret);
        assert_ne!(secret, FactorSecret::new(*b"anders"));
    }

    #[test]
    fn no_two_owners_are_the_same_bytes() {
        let of = |sub, kind, factor_id| Owner { sub, kind, factor_id }.bytes();
        assert_ne!(of("ab", "c", "d"), of("a", "bc", "d"));
        assert_ne!(of("a", "b", "cd"), of("a", "bc", "d"));
    }

    #[test]
    fn a_kind_reads_as_it_is_written() {
        for kind in FactorKind::ALL {
            assert_eq!(FactorKind::parse(kind.as_str()), Some(*kind));
        }
        assert_eq!(FactorKind::parse("TOTP"), None);
    }
}
