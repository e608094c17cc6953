//! The forms that a user's password hash may have: argon2, and what other programs wrote before their users came here. All but
//! argon2 are made anew at the first sign-in.
//!
//! PHC strings of argon2, scrypt and PBKDF2, also as passlib writes them; bcrypt; PBKDF2 as Django writes it. A text is
//! parsed once, with bounds on what it costs, and nothing is computed or allocated by its word before.

use super::argon2id;
use super::foreign::{Bcrypt, LEAST_KEY_BYTES, MOST_BYTES, Pbkdf2, Prf, Scrypt};
use super::identity::identity_hash;
use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig as Configuration};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const UNKNOWN: &str = "it is in no form that can be checked: argon2, scrypt or PBKDF2 as a PHC string ($argon2id$v=19$m=…,t=…,p=…$salt$hash), bcrypt ($2b$…), or PBKDF2 of Django";
/// How the base64 of ASP.NET Core Identity begins in both versions, and how long it is at least.
const IDENTITY_START: char = 'A';
const LEAST_IDENTITY: usize = 60;
const NO_BASE64: &str = "its salt or its hash is not in base64";
const LENGTHS: &str = "its salt or its hash has not the bytes that its form demands";

/// Some implementations of bcrypt leave bits of the last letter set.
const BCRYPT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    Configuration::new().with_decode_padding_mode(DecodePaddingMode::RequireNone).with_decode_allow_trailing_bits(true),
);

/// By which function and at which cost a hash is made: all that its time depends on.
pub(super) enum Scheme {
    Argon2(argon2id::Scheme),
    Pbkdf2(Pbkdf2),
    Scrypt(Scrypt),
    Bcrypt(Bcrypt),
}

impl Scheme {
    /// Of a text without its salt and its hash: `$scrypt$ln=17,r=8,p=1$`.
    pub(super) fn parse(form: &str) -> Result<Self, &'static str> {
        let words: Vec<&str> = form.trim_end_matches('$').split('$').collect();
        match words.as_slice() {
            ["", "2a" | "2b" | "2y", cost] => Bcrypt::parse(cost).map(Self::Bcrypt),
            ["", "scrypt", words] => Scrypt::parse(words).map(Self::Scrypt),
            ["", "pbkdf2" | "pbkdf2-sha1", words] | ["pbkdf2_sha1", words] => {
                Pbkdf2::parse(Prf::Sha1, words).map(Self::Pbkdf2)
            }
            ["", "pbkdf2-sha256", words] | ["pbkdf2_sha256", words] => {
                Pbkdf2::parse(Prf::Sha256, words).map(Self::Pbkdf2)
            }
            ["", "pbkdf2-sha512", words] => Pbkdf2::parse(Prf::Sha512, words).map(Self::Pbkdf2),
            ["", "argon2id" | "argon2i" | "argon2d", ..] => {
                argon2id::Scheme::parse(form.trim_end_matches('$')).map(Self::Argon2)
            }
            _ => Err(UNKNOWN),
        }
    }

    /// Fills `made` with the hash of `text`; `None` where nothing can be one.
    fn compute(&self, text: &str, salt: &[u8], made: &mut [u8]) -> Option<()> {
        match self {
            Self::Argon2(scheme) => scheme.compute(text, salt, made),
            Self::Pbkdf2(scheme) => scheme.compute(text, salt, made),
            Self::Scrypt(scheme) => scheme.compute(text, salt, made),
            Self::Bcrypt(scheme) => scheme.compute(text, salt, made),
        }
    }

    /// Computes a hash that is of no use, for the time that it takes.
    pub(super) fn compute_dummy(&self) {
        const USUAL_BYTES: usize = 32;
        let bytes = match self {
            Self::Pbkdf2(scheme) => scheme.usual_bytes(),
            Self::Bcrypt(_) => Bcrypt::HASH_BYTES,
            Self::Argon2(_) | Self::Scrypt(_) => USUAL_BYTES,
        };
        let _ = self.compute("", &[0; Bcrypt::SALT_BYTES], &mut vec![0; bytes]);
    }

    /// Whether salt and hash have as many bytes as this scheme takes.
    fn takes(&self, salt: &[u8], hash: &[u8]) -> bool {
        let is_usual = (1..=MOST_BYTES).contains(&salt.len()) && (LEAST_KEY_BYTES..=MOST_BYTES).contains(&hash.len());
        match self {
            // Its own parser bounded them.
            Self::Argon2(_) => true,
            Self::Pbkdf2(scheme) => is_usual && scheme.takes(hash.len()),
            Self::Scrypt(_) => is_usual,
            Self::Bcrypt(_) => salt.len() == Bcrypt::SALT_BYTES && hash.len() == Bcrypt::HASH_BYTES,
        }
    }
}

/// A hash at rest, taken apart.
pub(super) enum StoredForm {
    Argon2(argon2id::Stored),
    /// Of another program.
    Foreign {
        scheme: Scheme,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
}

impl StoredForm {
    /// Of a text in one of the forms.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const MOST_TEXT: usize = 512;
        if text.len() > MOST_TEXT {
            return Err(UNKNOWN);
        }
        if text.starts_with(IDENTITY_START) && identity_hash(text).is_ok() {
            return Err(
                "it is in the base64 of ASP.NET Core Identity, which a row does not hold; `hallpass user import` stores it in PHC form",
            );
        }
        if text.starts_with("$argon2") {
            return argon2id::Stored::parse(text).map(Self::Argon2);
        }
        let (form, salt, hash) =
            if text.starts_with("$2") { split_bcrypt(text) } else { split(text) }.ok_or(UNKNOWN)?;
        let scheme = Scheme::parse(form)?;
        let (salt, hash) = match &scheme {
            Scheme::Bcrypt(_) => (BCRYPT_BASE64.decode(salt).ok(), BCRYPT_BASE64.decode(hash).ok()),
            // The salt of Django is the text itself, and its base64 is padded.
            _ if !text.starts_with('$') => (Some(salt.as_bytes().to_vec()), decode(hash.trim_end_matches('='))),
            _ => (decode(salt), decode(hash)),
        };
        let (salt, hash) = salt.zip(hash).ok_or(NO_BASE64)?;
        if !scheme.takes(&salt, &hash) {
            return Err(LENGTHS);
        }
        Ok(Self::Foreign { scheme, salt, hash })
    }

    /// Whether it was made of `text`; compared in constant time.
    pub(super) fn matches(&self, text: &str) -> bool {
        let (scheme, salt, hash) = match self {
            Self::Argon2(stored) => {
                let mut made = Zeroizing::new(vec![0; stored.hash.len()]);
                let computed = stored.scheme.compute(text, &stored.salt, &mut made);
                return computed.is_some() && bool::from(made.ct_eq(&stored.hash));
            }
            Self::Foreign { scheme, salt, hash } => (scheme, salt, hash),
        };
        let mut made = Zeroizing::new(vec![0; hash.len()]);
        scheme.compute(text, salt, &mut made).is_some() && bool::from(made.ct_eq(hash))
    }

    /// By which parameters to hash its password again; `None` where the hash is good as it is.
    pub(super) fn renewed(&self, is_as_typed: bool) -> Option<argon2id::Parameters> {
        match self {
            Self::Argon2(stored) => stored.renewed(is_as_typed),
            Self::Foreign { .. } => argon2id::our_parameters().ok(),
        }
    }
}

/// Form, salt and hash, where dollars part them.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let (rest, hash) = text.rsplit_once('$')?;
    let (form, salt) = rest.rsplit_once('$')?;
    Some((form, salt, hash))
}

/// Form, salt and hash of bcrypt: `$2b$10$`, 22 letters and 31.
fn split_bcrypt(text: &str) -> Option<(&str, &str, &str)> {
    let (form, rest) = text.split_at_checked("$2b$10$".len())?;
    let (salt, hash) = rest.split_at_checked(22)?;
    form.ends_with('$').then_some((form, salt, hash))
}

/// Base64 without padding; passlib writes a dot where others write a plus.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text.replace('.', "+")).ok()
}

/// Why the stored hash of a user's password cannot be checked, so that nothing ever proves it; `None` when it can.
#[must_use]
pub fn unusable(text: &str) -> Option<&'static str> {
    StoredForm::parse(text).err()
}

/// Why a text is not a hash that a user can be registered with; `None` when it is. One of another program may be weak: it is
/// made anew at the first sign-in.
#[must_use]
pub fn user_hash_fault(text: &str) -> Option<&'static str> {
    match StoredForm::parse(text) {
        Ok(StoredForm::Argon2(stored)) => stored.weakness(),
        Ok(StoredForm::Foreign { .. }) => None,
        Err(why) => Some(why),
    }
}

/// What `users.password_hash` holds for a hash as another program has it: one of the forms as it is, or the base64 of ASP.NET
/// Core Identity in PHC form.
///
/// # Errors
/// Why it cannot be stored.
pub fn registered_form(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.starts_with('$') || text.starts_with("pbkdf2_") {
        return user_hash_fault(text).map_or_else(|| Ok(text.to_owned()), Err);
    }
    let is_likely = text.starts_with(IDENTITY_START) && text.len() >= LEAST_IDENTITY;
    if is_likely { identity_hash(text) } else { Err(UNKNOWN) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passwords::{Passwords, StoredHash, Typed, Verdict};
    use crate::protocol::secret::Password;
    use std::collections::BTreeMap;

    /// Form, password and hash, made by other implementations.
    fn vectors() -> Vec<(&'static str, String, &'static str)> {
        let lines = include_str!("../../tests/vectors/passwords.tsv").lines();
        let vectors = lines.map(|line| {
            let mut columns = line.split('\t');
            let mut next = || columns.next().unwrap();
            let (form, password) = (next(), serde_json::from_str(next()).unwrap());
            (form, password, next())
        });
        vectors.collect()
    }

    /// What a row holds for a hash, whatever it costs.
    fn stored(hash: &str) -> String {
        if hash.starts_with('A') { identity_hash(hash).unwrap() } else { hash.to_owned() }
    }

    #[test]
    fn hashes_of_other_implementations_verify_their_password_and_no_other() {
        let vectors = vectors();
        let mut forms: BTreeMap<&str, u32> = BTreeMap::new();
        for (form, password, hash) in &vectors {
            *forms.entry(form).or_default() += 1;
            let parsed = StoredForm::parse(&stored(hash)).unwrap_or_else(|why| panic!("{form}: {why}: {hash}"));
            assert!(parsed.matches(password), "{form} {password:?} {hash}");
            // What is not read of a password is another matter, below.
            let wrong = format!("x{password}");
            let is_cut = form.starts_with("bcrypt") && password.starts_with("xxx");
            assert_eq!(parsed.matches(&wrong), is_cut, "{form} {password:?} {hash}");
            if !matches!(form.split('2').next(), Some("argon")) {
                assert_eq!(registered_form(hash).as_deref(), Ok(stored(hash).as_str()), "{form}");
            }
        }
        assert!(forms.len() >= 20 && forms.values().sum::<u32>() > 200, "{forms:?}");
    }

    #[test]
    fn bcrypt_reads_72_bytes_and_a_nul_in_a_password_matches_nothing() {
        for (form, password, hash) in vectors().into_iter().filter(|(form, ..)| form.starts_with("bcrypt")) {
            let parsed = StoredForm::parse(hash).unwrap();
            let is_long = password.len() >= 72;
            assert_eq!(parsed.matches(&format!("{password}!")), is_long, "{form} {password:?}");
            for with_nul in [format!("{password}\0"), format!("{password}\0more"), format!("\0{password}")] {
                assert!(!parsed.matches(&with_nul), "{form} {with_nul:?}");
            }
        }
        let faulty = "$2x$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e";
        assert!(unusable(faulty).is_some(), "it marks what a faulty implementation made");
    }

    const SALT: &str = "c2FsdHNhbHRzYWx0c2FsdA";
    const KEY: &str = "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";

    fn of(form: &str) -> String {
        match form.strip_prefix("$2") {
            Some(_) => format!("{form}VM9/fM5UTS7qkLKRAQo0oOfO4IZo66col4rwsbTB30Xz5vBK29dka"),
            None => format!("{form}{SALT}${KEY}"),
        }
    }

    #[test]
    fn what_is_recommended_today_passes_and_what_is_dearer_than_the_most_is_refused() {
        for good in [
            "$pbkdf2-sha1$i=700000,l=32$",
            "$pbkdf2-sha256$i=600000,l=32$",
            "$pbkdf2-sha256$i=1200000$",
            "$pbkdf2-sha512$i=220000,l=32$",
            "$pbkdf2-sha512$i=220000$",
            "pbkdf2_sha256$1200000$",
            "$scrypt$ln=17,r=8,p=1$",
            "$scrypt$ln=16,r=8,p=2$",
            "$scrypt$ln=15,r=8,p=3$",
            "$scrypt$ln=14,r=8,p=5$",
            "$scrypt$ln=13,r=8,p=10$",
            "$2b$10$",
            "$2y$12$",
            "$2a$13$",
        ] {
            assert_eq!((unusable(&of(good)), user_hash_fault(&of(good))), (None, None), "{good}");
            assert!(Scheme::parse(good).is_ok(), "{good}");
        }
        let owasp_sha1 = format!("$pbkdf2-sha1$i=1400000,l=20${SALT}$aGFzaGhhc2hoYXNoaGFzaGhhc2g");
        assert_eq!(unusable(&owasp_sha1), None);
        for costly in [
            "$pbkdf2-sha1$i=750001,l=32$",
            "$pbkdf2-sha256$i=1500001,l=32$",
            "$pbkdf2-sha256$4294967295$",
            "$pbkdf2-sha512$i=600001$",
            "pbkdf2_sha256$1500001$",
            "$scrypt$ln=18,r=8,p=1$",
            "$scrypt$ln=17,r=9,p=1$",
            "$scrypt$ln=17,r=8,p=2$",
            "$scrypt$ln=4294967295,r=4294967295,p=4294967295$",
            "$scrypt$ln=63,r=8,p=1$",
            "$scrypt$ln=4,r=1,p=17$",
            "$scrypt$ln=1,r=65,p=1$",
            "$2b$14$",
            "$2b$31$",
        ] {
            for why in [unusable(&of(costly)), user_hash_fault(&of(costly)), Scheme::parse(costly).err()] {
                assert!(why.is_some_and(|why| why.contains("its cost is so high")), "{costly}: {why:?}");
            }
            assert!(registered_form(&of(costly)).is_err());
        }
    }

    #[test]
    fn what_is_no_hash_is_none() {
        let bad = [
            "",
            "$",
            "$$",
            "secret",
            "$2b$",
            "$2b$10$",
            "$2b$10",
            "$1$salt$hash",
            "$6$salt$hash",
            "$scrypt$",
            "$pbkdf2-sha256$",
            "$pbkdf2-md5$i=1000$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaA",
            "\u{2603}",
            "$2b$1\u{2603}",
            "pbkdf2_sha256$1000$salt$",
            "pbkdf2_sha512$1000$salt$aGFzaGhhc2hoYXNoaGFzaA",
            "$argon2id$v=19$m=19456,t=2,p=1$",
        ];
        for bad in bad {
            assert!(unusable(bad).is_some() && registered_form(bad).is_err(), "{bad:?}");
        }
        for form in [
            "$pbkdf2-sha256$i=0,l=32$",
            "$pbkdf2-sha256$i=1000,l=31$",
            "$pbkdf2-sha256$i=1000,l=65$",
            "$pbkdf2-sha256$i=1000,l=0$",
            "$pbkdf2-sha256$i=+1000$",
            "$pbkdf2-sha256$i=$",
            "$pbkdf2-sha256$l=32,i=1000$",
            // A key of two blocks says so.
            "$pbkdf2-sha1$i=1000$",
            "$pbkdf2-sha1$1000$",
            "$scrypt$ln=0,r=8,p=1$",
            "$scrypt$ln=10,r=0,p=1$",
            "$scrypt$ln=10,r=8,p=0$",
            "$scrypt$ln=10,r=8$",
            "$scrypt$ln=10,r=8,p=1,x=1$",
            "$scrypt$r=8,ln=10,p=1$",
            "$scrypt$ln=16,r=1,p=1$",
            "$2c$10$",
            "$2$10$",
            "$2b$03$",
            "$2b$1$",
            "$2b$+9$",
        ] {
            assert!(unusable(&of(form)).is_some(), "{form}");
        }
        // Too short to mean anything, and too long to be one.
        assert!(unusable(&format!("$scrypt$ln=10,r=8,p=1${SALT}$aGFzaGhhc2g")).is_some());
        assert!(unusable(&format!("$scrypt$ln=10,r=8,p=1${SALT}${}", "aGFz".repeat(22))).is_some());
        assert!(unusable(&format!("$scrypt$ln=10,r=8,p=1$${KEY}")).is_some());
        assert!(unusable(&format!("$scrypt$ln=10,r=8,p=1${}${KEY}", SALT.repeat(6))).is_some());
        // As a database of Identity has it: an import reads it, a row does not hold it.
        let (_, _, identity) = vectors().into_iter().find(|(form, ..)| form.ends_with("real")).unwrap();
        assert!(unusable(identity).is_some_and(|why| why.contains("Identity")), "{identity}");
        assert!(registered_form(identity).is_ok());
    }

    /// RFC 8265 for us, and as it was typed for who hashed it elsewhere.
    #[tokio::test]
    async fn a_hash_of_another_program_is_verified_by_what_was_typed_and_made_anew() {
        let passwords = Passwords::new().unwrap();
        let is_new = |form: &str| !form.starts_with("argon2") && !form.ends_with("real");
        for (form, password, hash) in vectors().into_iter().filter(|(form, ..)| is_new(form)) {
            let hash = &stored(hash);
            let turn = passwords.turn_for_person().await.unwrap();
            let typed = Typed::new(Password::received(password.as_str()));
            let stored = StoredHash { hash, is_prepared: false };
            let Verdict::Right(renewal) = passwords.verify_person(turn, typed, Some(stored)).await.unwrap() else {
                panic!("{form} {password:?}");
            };
            // What may not be set any more stays as it is.
            let may_be_set = !password.is_empty() && !password.contains('\0');
            assert_eq!(renewal.is_some(), may_be_set, "{form} {password:?}");
        }
        let renewed = StoredForm::parse(&of("$scrypt$ln=17,r=8,p=1$")).unwrap().renewed(false).unwrap();
        assert_eq!((renewed.m_cost(), renewed.t_cost(), renewed.p_cost()), (19456, 2, 1));
    }

    /// What is learned of the rows is parsed as what they hold.
    #[test]
    fn the_beginning_of_a_hash_is_its_scheme() {
        for (form, _, hash) in vectors() {
            let hash = stored(hash);
            let beginning = if hash.starts_with("$2") { &hash[..7] } else { &hash[..=hash.rfind('$').unwrap()] };
            let beginning = match beginning.strip_suffix('$').and_then(|rest| rest.rfind('$')) {
                Some(at) if !hash.starts_with("$2") => &beginning[..=at],
                _ => beginning,
            };
            let scheme = Scheme::parse(beginning).unwrap_or_else(|why| panic!("{form}: {why}: {beginning}"));
            scheme.compute_dummy();
        }
    }
}
