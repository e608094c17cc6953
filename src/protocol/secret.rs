//! Values that grant access: codes, tokens, secrets, session ids.
//!
//! Each is a type that cannot be printed, is stored as a SHA-256 digest, and is compared in constant time.
//! The prefixes let secret scanners find a leaked one. Where the random bytes come from is the
//! caller's affair (`Provider::random`).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A SHA-256 digest as base64url (43 characters): what is stored instead of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of `parts`, each preceded by its length so that no two lists collide.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        Self::of_all(parts.iter().map(|part| part.as_bytes()))
    }

    /// The same of parts that are not text.
    #[must_use]
    pub fn of_bytes(parts: &[&[u8]]) -> Self {
        Self::of_all(parts.iter().copied())
    }

    fn of_all<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(URL_SAFE_NO_PAD.encode(hash.finalize()))
    }

    /// One that a store gives back.
    #[must_use]
    pub const fn stored(text: String) -> Self {
        Self(text)
    }

    /// The base64url text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares without revealing by its duration where the two differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

/// Compares two texts in time that depends on their lengths only.
#[must_use]
pub fn same_text(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

macro_rules! secret {
    // Those whose digest is stored instead of them, or that are told from others by their beginning, say so.
    ($(#[$documentation:meta])* $name:ident, $prefix:literal, digest $($more:tt)*) => {
        secret!($(#[$documentation])* $name, $prefix $($more)*);

        impl $name {
            /// What is stored instead of it.
            #[must_use]
            pub fn digest(&self) -> Digest {
                Digest::of(&[stringify!($name), &self.0])
            }
        }
    };
    ($(#[$documentation:meta])* $name:ident, $prefix:literal, prefix) => {
        secret!($(#[$documentation])* $name, $prefix);

        impl $name {
            /// What each of these begins with.
            pub const PREFIX: &str = $prefix;
        }
    };
    ($(#[$documentation:meta])* $name:ident, $prefix:literal) => {
        $(#[$documentation])*
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// A new one from random bytes: the prefix and their base64url.
            #[must_use]
            pub fn from_random(bytes: &[u8]) -> Self {
                let mut text = String::with_capacity($prefix.len() + bytes.len() * 4 / 3 + 1);
                text.push_str($prefix);
                URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
                Self(Zeroizing::new(text))
            }

            /// One that a caller presents; nothing is checked yet.
            #[must_use]
            pub fn received(text: impl Into<String>) -> Self {
                Self(Zeroizing::new(text.into()))
            }

            /// The secret itself. Leaking it compromises what it opens: hand it to its owner only.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    };
}

secret!(
    /// An authorization code: 256 random bits.
    ///
    /// [RFC 6749 section 1.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-1.3.1), section 10.5.
    AuthorizationCode,
    "hp_ac_"
);
secret!(
    /// An opaque access token, [RFC 6749 section 1.4](https://www.rfc-editor.org/rfc/rfc6749#section-1.4).
    ///
    /// It carries the handles of its grant and its session in front of 256 random bits (`AccessTokenParts`),
    /// so that the record and both markers that could end it are read in one trip.
    AccessToken,
    "hp_at_",
    digest,
    prefix
);
secret!(
    /// A refresh token, [RFC 6749 section 1.5](https://www.rfc-editor.org/rfc/rfc6749#section-1.5): the handle of its
    /// family in front of 256 bits (`RefreshTokenParts`).
    RefreshToken,
    "hp_rt_",
    prefix
);
secret!(
    /// A client's secret: 256 random bits when we make it.
    ClientSecret,
    "hp_cs_"
);
secret!(
    /// The value of the session cookie: 256 random bits.
    SessionId,
    "hp_si_",
    digest,
    prefix
);
secret!(
    /// The value of the cookie that binds interactions to one browser: 256 random bits.
    BrowserId,
    "hp_br_",
    digest,
    prefix
);
secret!(
    /// The id of one authorization request in progress, as it is in the URL of the login page.
    ///
    /// Knowing it opens nothing without the browser's cookie.
    InteractionId,
    "hp_in_",
    digest
);
secret!(
    /// A one-time link: 256 random bits, which set a password or accept an invitation.
    LinkSecret,
    "hp_ln_",
    digest,
    prefix
);
secret!(
    /// A person's password as typed.
    Password,
    ""
);

impl AuthorizationCode {
    /// The key of the code in the store, which is also the name of its grant.
    ///
    /// The client is part of it, so a stranger who shows the code finds nothing and burns nothing.
    #[must_use]
    pub fn digest_for(&self, client_id: &str) -> Digest {
        Digest::of(&["AuthorizationCode", self.expose(), client_id])
    }
}

/// A random handle of 128 bits that names a grant or a session inside the stores; not a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(pub [u8; 16]);

impl Handle {
    /// Random bytes as a name that operators type: its text never begins with a hyphen, which a command line would take for a
    /// flag.
    #[must_use]
    pub const fn to_be_typed(mut bytes: [u8; 16]) -> Self {
        // The first six bits make the first character, and 62 is the hyphen.
        if bytes[0] >> 2 == 62 {
            bytes[0] &= 0x7f;
        }
        Self(bytes)
    }

    /// The handle's base64url text (22 characters).
    #[must_use]
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads the base64url text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?))
    }

    /// The first half of a digest's bits as a handle: how a code names its grant.
    #[must_use]
    pub fn of_digest(digest: &Digest) -> Self {
        let mut handle = [0; 16];
        if let Ok(bytes) = URL_SAFE_NO_PAD.decode(&digest.0)
            && let Some(half) = bytes.get(..16)
        {
            handle.copy_from_slice(half);
        }
        Self(handle)
    }
}

impl Serialize for Handle {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a handle of 16 bytes in base64url"))
    }
}

/// What an opaque access token is made of: grant, masked session, secret.
///
/// `NodeSecrets::seal` makes the token, `NodeSecrets::open` reads it.
#[derive(Clone, Copy)]
pub struct AccessTokenParts {
    /// The grant that the token was issued under.
    pub grant: Handle,
    /// The session that the grant came from.
    pub session: Handle,
}

/// What a refresh token is made of. The family's row holds a digest of the secret only.
pub struct RefreshTokenParts {
    /// The family, which is also the grant.
    pub family: Handle,
    /// The secret of this generation.
    pub secret: Zeroizing<[u8; 32]>,
}

impl RefreshTokenParts {
    /// The token for these parts.
    #[must_use]
    pub fn seal(&self) -> RefreshToken {
        let mut bytes = Zeroizing::new([0_u8; 48]);
        bytes[..16].copy_from_slice(&self.family.0);
        bytes[16..].copy_from_slice(self.secret.as_slice());
        RefreshToken::from_random(bytes.as_slice())
    }

    /// Reads a token that a caller shows. `None` for anything that is not bit for bit one of ours.
    #[must_use]
    pub fn open(token: &RefreshToken) -> Option<Self> {
        let text = token.expose().strip_prefix(RefreshToken::PREFIX)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        if bytes.len() != 48 {
            return None;
        }
        Some(Self {
            family: Handle(bytes[..16].try_into().ok()?),
            secret: Zeroizing::new(bytes[16..].try_into().ok()?),
        })
    }

    /// What is stored instead of the secret.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&["RefreshToken", &self.family.text(), &URL_SAFE_NO_PAD.encode(self.secret.as_slice())])
    }

    /// The next generation: HKDF ([RFC 5869](https://www.rfc-editor.org/rfc/rfc5869)) of this secret and the family's
    /// salt, so that the same predecessor gives the same successor while the salt is there, and it cannot be derived without
    /// it.
    #[must_use]
    pub fn successor(&self, salt: &[u8]) -> Self {
        let mut secret = Zeroizing::new([0_u8; 32]);
        let hkdf = Hkdf::<Sha256>::new(Some(salt), self.secret.as_slice());
        // 32 bytes are far below what HKDF can give, so this cannot fail.
        let _ = hkdf.expand_multi_info(&[b"hallpass refresh token", &self.family.0], secret.as_mut_slice());
        Self { family: self.family, secret }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_cannot_be_printed() {
        let code = AuthorizationCode::from_random(&[7; 32]);
        assert_eq!(format!("{code:?}"), "AuthorizationCode([redacted])");
        assert!(code.expose().starts_with("hp_ac_"));
    }

    #[test]
    fn the_key_of_a_code_depends_on_the_client() {
        let code = AuthorizationCode::from_random(&[7; 32]);
        assert_ne!(code.digest_for("a"), code.digest_for("b"));
    }

    #[test]
    fn digests_of_different_splits_differ() {
        assert_ne!(Digest::of(&["ab", "c"]), Digest::of(&["a", "bc"]));
    }

    #[test]
    fn no_name_that_is_typed_begins_with_a_hyphen() {
        for first in 0..=u8::MAX {
            let text = Handle::to_be_typed([first; 16]).text();
            assert!(!text.starts_with('-'), "{text}");
            assert_eq!(Handle::parse(&text).map(|handle| handle.text()), Some(text));
        }
    }

    #[test]
    fn the_same_predecessor_and_salt_give_the_same_successor() {
        let parts = |secret| RefreshTokenParts { family: Handle([1; 16]), secret: Zeroizing::new([secret; 32]) };
        let token = |parts: &RefreshTokenParts| parts.seal().expose().to_owned();
        let one = parts(1).successor(b"salt");
        assert_eq!(token(&one), token(&parts(1).successor(b"salt")));
        for other in [parts(2).successor(b"salt"), parts(1).successor(b"tlas"), parts(1), one.successor(b"salt")] {
            assert_ne!(token(&one), token(&other));
        }
        let opened = RefreshTokenParts::open(&one.seal()).unwrap();
        assert!(opened.digest().matches(&one.digest()));
        let text = token(&one);
        assert!(RefreshTokenParts::open(&RefreshToken::received(&text[..text.len() - 1])).is_none());
        assert!(RefreshTokenParts::open(&RefreshToken::received(format!("{text}A"))).is_none());
    }
}
