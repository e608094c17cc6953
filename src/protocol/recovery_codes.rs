//! Recovery codes: how they look, how a typed one is read, and what is kept of them.
//!
//! A code is twelve characters of an alphabet without look-alikes, in groups of four: 56 random bits. Of each a SHA-256 digest of
//! user and code is kept, and the list of them is sealed like the secret of an authenticator, so that a copy of the database alone
//! is nothing to guess at.

use crate::protocol::factor_secret::FactorSecret;
use crate::protocol::secret::Digest;
use crate::protocol::totp::Shown;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// How many codes a user is given.
pub const CODES: usize = 10;
/// Digits and letters of which none looks like another, and none makes a word.
const ALPHABET: &[u8; 26] = b"23456789BCDFGHJKMNPQRTVWXY";
/// How many characters a code has, and a group of it.
const CHARACTERS: usize = 12;
const GROUP: usize = 4;
/// How long a code may be that another program made, in characters.
const MOST_CHARACTERS: usize = 64;
/// The least, of those: `Identity` made eight.
const LEAST_CHARACTERS: usize = 8;
/// How many codes of another program are taken, and how many that are used up are remembered.
pub const MOST_CODES: usize = 100;

/// A code of random bytes, as its owner is shown it.
#[must_use]
pub fn code_of(random: [u8; 16]) -> Shown {
    let mut number = u128::from_be_bytes(random);
    let mut text = Zeroizing::new(String::with_capacity(CHARACTERS + CHARACTERS / GROUP));
    for at in 0..CHARACTERS {
        if at > 0 && at % GROUP == 0 {
            text.push('-');
        }
        // Of 128 bits the remainder is even to within 2^-71.
        let place = usize::try_from(number % ALPHABET.len() as u128).unwrap_or_default();
        text.push(char::from(ALPHABET[place]));
        number /= ALPHABET.len() as u128;
    }
    Shown::new(text)
}

/// A code as it is compared: without spaces and hyphens, letters in capitals.
#[must_use]
pub fn plain(typed: &str) -> Zeroizing<String> {
    let kept = typed.chars().filter(|c| !c.is_whitespace() && *c != '-');
    Zeroizing::new(kept.map(|c| c.to_ascii_uppercase()).collect())
}

/// A code that another program made, as it is compared; `None`: it is too short to be one, too long, or nothing that is typed.
#[must_use]
pub fn foreign(text: &str) -> Option<FactorSecret> {
    let plain = plain(text);
    let is_sound = (LEAST_CHARACTERS..=MOST_CHARACTERS).contains(&plain.len())
        && plain.bytes().all(|byte| byte.is_ascii_graphic());
    is_sound.then(|| FactorSecret::new(plain.as_bytes()))
}

/// What is kept of the codes of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    left: Vec<Digest>,
    /// Those that were used, so that no import brings them again.
    #[serde(default)]
    spent: Vec<Digest>,
}

/// What a typed code came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It is one of them; this is what is kept from now on.
    Now(Kept),
    /// It was one of them.
    Before,
    /// It is none.
    Never,
}

impl Kept {
    /// What is kept of these codes of a user.
    #[must_use]
    pub fn of<'a>(sub: &str, codes: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut left: Vec<Digest> = Vec::new();
        for code in codes {
            let digest = digest(sub, code);
            if !left.contains(&digest) {
                left.push(digest);
            }
        }
        Self { left, spent: Vec::new() }
    }

    /// Reads what was sealed.
    #[must_use]
    pub fn read(secret: &FactorSecret) -> Option<Self> {
        serde_json::from_slice(secret.expose()).ok()
    }

    /// What is sealed.
    #[must_use]
    pub fn secret(&self) -> FactorSecret {
        FactorSecret::new(serde_json::to_vec(self).unwrap_or_default())
    }

    /// How many are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left.len()
    }

    /// Looks for a code as it was typed.
    #[must_use]
    pub fn spend(&self, sub: &str, typed: &str) -> Spent {
        let wanted = digest(sub, plain(typed).as_bytes());
        // Every one is compared, whichever it is.
        let place = self.left.iter().enumerate().fold(
            None,
            |found, (at, digest)| {
                if digest.matches(&wanted) { Some(at) } else { found }
            },
        );
        let was_one = self.spent.iter().fold(false, |found, digest| digest.matches(&wanted) | found);
        match place {
            Some(at) => {
                let mut kept = self.clone();
                let digest = kept.left.remove(at);
                kept.spent.push(digest);
                let further = kept.spent.len().saturating_sub(MOST_CODES);
                kept.spent.drain(..further);
                Spent::Now(kept)
            }
            None if was_one => Spent::Before,
            None => Spent::Never,
        }
    }

    /// Whether any was used.
    #[must_use]
    pub fn has_used(&self) -> bool {
        !self.spent.is_empty()
    }

    /// Whether the same codes are left, in whatever order.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.left.len() == other.left.len() && self.left.iter().all(|digest| other.left.contains(digest))
    }

    /// The codes that a source has now instead of those it had; what was used here stays so.
    #[must_use]
    pub fn replaced_by(&self, other: Self) -> Self {
        let left = other.left.into_iter().filter(|digest| !self.spent.contains(digest)).collect();
        Self { left, spent: self.spent.clone() }
    }
}

fn digest(sub: &str, code: &[u8]) -> Digest {
    Digest::of_bytes(&[b"recovery code", sub.as_bytes(), code])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_three_groups_of_an_alphabet_without_look_alikes() {
        for random in [[0; 16], [255; 16], [7; 16]] {
            let code = code_of(random);
            let groups: Vec<&str> = code.expose().split('-').collect();
            assert!(groups.len() == 3 && groups.iter().all(|group| group.len() == 4), "{groups:?}");
            assert!(code.expose().bytes().all(|byte| byte == b'-' || ALPHABET.contains(&byte)));
        }
        for look_alike in b"01AEILOSUZ" {
            assert!(!ALPHABET.contains(look_alike));
        }
        // At least 50 bits.
        assert!(26_u128.pow(12) > 1 << 50);
        assert_ne!(code_of([1; 16]).expose(), code_of([2; 16]).expose());
    }

    #[test]
    fn a_code_is_spent_once_however_it_is_typed_and_of_its_user_alone() {
        let codes = [code_of([1; 16]), code_of([2; 16])];
        let plain: Vec<_> = codes.iter().map(|code| plain(code.expose())).collect();
        let kept = Kept::of("alice", plain.iter().map(|code| code.as_bytes()));
        let typed = format!(" {} ", codes[0].expose().to_lowercase().replace('-', " "));
        let Spent::Now(after) = kept.spend("alice", &typed) else { panic!("it is one of them") };
        assert_eq!((kept.left(), after.left()), (2, 1));
        assert_eq!(after.spend("alice", &typed), Spent::Before);
        assert_eq!(kept.spend("bob", &typed), Spent::Never);
        assert_eq!(after.spend("alice", "2222-2222-2222"), Spent::Never);
        assert_eq!(Kept::read(&after.secret()), Some(after.clone()));
        assert!(!String::from_utf8(after.secret().expose().to_vec()).unwrap().contains(&*plain[1]));
        // A source that has it still does not bring it again.
        let again = Kept::of("alice", plain.iter().map(|code| code.as_bytes()));
        assert_eq!(after.replaced_by(again).left(), 1);
    }

    #[test]
    fn codes_of_other_programs_are_taken_where_they_could_be_typed() {
        assert_eq!(foreign("rc3mv-HY86X").unwrap().expose(), b"RC3MVHY86X");
        assert_eq!(foreign("1f2e3d4c").unwrap().expose(), b"1F2E3D4C");
        for bad in ["", "short", "üüüüüüüüü", &"x".repeat(65)] {
            assert!(foreign(bad).is_none(), "{bad}");
        }
    }
}
