//! argon2, and the only file that names it: our own hashes, and those of others in PHC form.

use argon2::password_hash::{PasswordHash, PasswordHasher as _, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::sync::{Mutex, PoisonError};

/// Why a hash could not be made.
pub type HashError = argon2::password_hash::Error;
/// Memory, passes and lanes.
pub(super) type Parameters = Params;

/// argon2id with 19 MiB, two passes, one lane: the first choice of the OWASP password storage cheat sheet.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const SALT_BYTES: usize = 16;

/// How every hash begins that is made here.
pub(super) const OUR_FORM: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// The most a stored hash may cost, wherever it came from: at a sign-in it takes memory and time of all. 128 MiB, 16
/// passes and lanes, and about half a second: as much as 1 GiB once. More than libraries and cheat sheets recommend.
const MOST_MEMORY_KIB: u32 = 128 * 1024;
const MOST_PASSES: u32 = 16;
const MOST_LANES: u32 = 16;
const MOST_WORK: u64 = 1024 * 1024;

/// By which algorithm and at which cost a hash is made.
pub(super) struct Scheme {
    algorithm: Algorithm,
    version: Version,
    params: Params,
}

impl Scheme {
    /// Of a text in PHC form, with or without salt and hash. Nothing is allocated by its word before it was bounded here.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let parsed =
            PasswordHash::new(text).map_err(|_| "it is not a PHC string ($argon2id$v=19$m=…,t=…,p=…$salt$hash)")?;
        Self::of(&parsed)
    }

    fn of(parsed: &PasswordHash<'_>) -> Result<Self, &'static str> {
        let algorithm = Algorithm::try_from(parsed.algorithm).map_err(|_| "it is not argon2id")?;
        let version = match parsed.version {
            Some(version) => Version::try_from(version).map_err(|_| "its version is not one of argon2")?,
            None => Version::default(),
        };
        let params = Params::try_from(parsed).map_err(|_| "its parameters are not those of argon2")?;
        let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
        let is_bounded = params.m_cost() <= MOST_MEMORY_KIB
            && params.t_cost() <= MOST_PASSES
            && params.p_cost() <= MOST_LANES
            && work <= MOST_WORK;
        if is_bounded {
            Ok(Self { algorithm, version, params })
        } else {
            Err(
                "its cost is so high that checking it would stop the server; at most m=131072 (128 MiB), t=16, p=16, and m times t 1048576",
            )
        }
    }

    /// Fills `made` with the hash of `text`; `None` where argon2 refuses that.
    pub(super) fn compute(&self, text: &str, salt: &[u8], made: &mut [u8]) -> Option<()> {
        let argon2 = Argon2::new(self.algorithm, self.version, self.params.clone());
        with_memory(argon2.params().block_count(), |memory| {
            argon2.hash_password_into_with_memory(text.as_bytes(), salt, made, memory).ok()
        })
    }
}

/// A stored hash, taken apart.
pub(super) struct Stored {
    pub(super) scheme: Scheme,
    pub(super) salt: Vec<u8>,
    pub(super) hash: Vec<u8>,
    /// It tells its version.
    has_version: bool,
}

impl Stored {
    /// Of a text in PHC form.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const MISSING: &str = "its salt or its hash is missing";
        let parsed =
            PasswordHash::new(text).map_err(|_| "it is not a PHC string ($argon2id$v=19$m=…,t=…,p=…$salt$hash)")?;
        Algorithm::try_from(parsed.algorithm).map_err(|_| "it is not argon2id")?;
        let (salt, hash) = (parsed.salt.ok_or(MISSING)?, parsed.hash.ok_or(MISSING)?);
        let scheme = Scheme::of(&parsed)?;
        let mut decoded = [0; 64];
        let salt = salt.decode_b64(&mut decoded).map_err(|_| "its salt is not in base64")?;
        Ok(Self { scheme, salt: salt.to_vec(), hash: hash.as_bytes().to_vec(), has_version: parsed.version.is_some() })
    }

    /// By which parameters to hash the password of a hash again; `None` where the hash is good as it is. What costs more memory or
    /// more work than ours do, an operator chose so: it is not made cheaper.
    pub(super) fn renewed(&self, is_as_typed: bool) -> Option<Params> {
        let (params, ours) = (&self.scheme.params, our_parameters().ok()?);
        let cost = |params: &Params| (params.m_cost(), u64::from(params.m_cost()) * u64::from(params.t_cost()));
        let ((memory, work), (our_memory, our_work)) = (cost(params), cost(&ours));
        let costs_more = memory > our_memory || work > our_work;
        let is_our_form = self.scheme.algorithm == Algorithm::Argon2id
            && self.has_version
            && self.scheme.version == Version::V0x13
            && params.keyid().is_empty()
            && params.data().is_empty()
            && self.salt.len() >= SALT_BYTES
            && self.hash.len() >= Params::DEFAULT_OUTPUT_LEN;
        let is_ours = memory == our_memory && work == our_work && params.p_cost() == ours.p_cost();
        if is_our_form && !is_as_typed && (is_ours || costs_more) {
            return None;
        }
        if costs_more { Params::new(memory, params.t_cost(), params.p_cost(), None).ok() } else { Some(ours) }
    }

    /// Why it is too cheap to protect what it was made of; `None` when it is not. The least is the cheapest choice of the OWASP
    /// password storage cheat sheet: 7 MiB with five passes, or what costs as much.
    pub(super) fn weakness(&self) -> Option<&'static str> {
        const LEAST_MEMORY_KIB: u32 = 7 * 1024;
        const LEAST_WORK: u64 = 7 * 1024 * 5;
        let params = &self.scheme.params;
        let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
        if params.m_cost() < LEAST_MEMORY_KIB || work < LEAST_WORK {
            return Some("its cost is so low that it can be guessed quickly; at least m=19456,t=2,p=1");
        }
        if self.salt.len() < 8 || self.hash.len() < 16 {
            return Some("its salt or its hash is too short; at least 8 and 16 bytes");
        }
        None
    }

    /// Whether it is argon2id, and neither of its siblings.
    pub(super) fn is_argon2id(&self) -> bool {
        self.scheme.algorithm == Algorithm::Argon2id
    }
}

/// The parameters of what is hashed here.
pub(super) fn our_parameters() -> Result<Params, HashError> {
    Ok(Params::new(MEMORY_KIB, PASSES, 1, None)?)
}

/// Hashes with a salt of 128 random bits.
pub(super) fn hash_with(text: &str, params: Params) -> Result<String, HashError> {
    let salt = SaltString::encode_b64(&crate::ambient::random::<SALT_BYTES>())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Ok(argon2.hash_password(text.as_bytes(), &salt)?.to_string())
}

/// Memory that hashes have used and will use again: to be given 19 MiB by the system each time, and to have them cleared, costs
/// half as much again as the hash. argon2 overwrites all of it before it reads any; what a hash leaves in it is what it
/// would leave in memory that is given back.
static MEMORY: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());
/// How many pieces of it are kept.
const MOST_KEPT: usize = 8;

/// Computes with blocks that were used before, if there are any.
fn with_memory<T>(blocks: usize, compute: impl FnOnce(&mut [Block]) -> T) -> T {
    let usual = MEMORY_KIB as usize;
    let kept = || MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let reused = if blocks == usual { kept().pop() } else { None };
    let mut memory = reused.unwrap_or_else(|| vec![Block::new(); blocks]);
    let outcome = compute(&mut memory);
    let mut kept = kept();
    if blocks == usual && kept.len() < MOST_KEPT {
        kept.push(memory);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passwords::{hash, hash_fault, hash_weakness, unusable, unusable_secret, verify};

    fn with(parameters: &str) -> String {
        format!("$argon2id$v=19${parameters}$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g")
    }

    /// Memory that other hashes were computed in changes nothing, whatever those were.
    #[test]
    fn memory_is_used_again_without_a_trace() {
        use argon2::password_hash::PasswordVerifier as _;
        let cheaper = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 3, 1, Some(24)).unwrap());
        let salt = SaltString::encode_b64(b"salt of tests").unwrap();
        let foreign = cheaper.hash_password(b"foreign", &salt).unwrap().to_string();
        let hashes = [("one", hash("one").unwrap()), ("two", hash("two").unwrap()), ("foreign", foreign)];
        for _ in 0..2 {
            for (text, _) in &hashes {
                for (owner, stored) in &hashes {
                    let parsed = PasswordHash::new(stored).unwrap();
                    let by_the_library = Argon2::default().verify_password(text.as_bytes(), &parsed).is_ok();
                    assert_eq!(verify(text, stored), by_the_library);
                    assert_eq!(by_the_library, text == owner);
                }
            }
        }
        assert!((1..=MOST_KEPT).contains(&MEMORY.lock().unwrap().len()));
    }

    /// In memory and in work; what is dearer stays.
    #[test]
    fn a_hash_is_made_anew_by_our_parameters_and_never_cheaper() {
        let made = hash("x").unwrap();
        assert!(made.starts_with(OUR_FORM));
        let (salt, long) = ("c2FsdHNhbHRzYWx0c2FsdA", "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g");
        let of = |start: &str| format!("${start}${salt}${long}");
        let cost = |stored: &str, is_as_typed| {
            let params = Stored::parse(stored).ok()?.renewed(is_as_typed)?;
            Some((params.m_cost(), params.t_cost(), params.p_cost()))
        };
        let ours = Some((MEMORY_KIB, PASSES, 1));
        for (stored, as_prepared, as_typed) in [
            (made, None, ours),
            (of("argon2id$v=19$m=19456,t=2,p=1"), None, ours),
            (of("argon2id$v=19$m=19456,t=1,p=1"), ours, ours),
            (of("argon2id$v=19$m=7168,t=5,p=1"), ours, ours),
            (of("argon2id$v=19$m=19456,t=2,p=4"), ours, ours),
            (of("argon2i$v=19$m=19456,t=2,p=1"), ours, ours),
            (of("argon2id$v=16$m=19456,t=2,p=1"), ours, ours),
            (of("argon2id$m=19456,t=2,p=1"), ours, ours),
            (with("m=19456,t=2,p=1"), ours, ours),
            (of("argon2id$v=19$m=65536,t=3,p=4"), None, Some((65536, 3, 4))),
            (of("argon2id$v=19$m=47104,t=1,p=1"), None, Some((47104, 1, 1))),
            (of("argon2id$v=19$m=12288,t=4,p=1"), None, Some((12288, 4, 1))),
            (of("argon2d$v=19$m=65536,t=3,p=4"), Some((65536, 3, 4)), Some((65536, 3, 4))),
            (of("argon2id$v=19$m=1048576,t=16,p=1"), None, None),
        ] {
            assert_eq!((cost(&stored, false), cost(&stored, true)), (as_prepared, as_typed), "{stored}");
        }
    }

    #[test]
    fn only_argon2id_can_be_registered_for_a_client() {
        assert_eq!(hash_fault(&hash("x").unwrap()), None);
        for bad in [
            "secret",
            "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
            "$2b$10$abcdefghijklmnopqrstuv",
            "$pbkdf2-sha256$i=600000,l=32$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
            "$argon2id$v=19$m=19456,t=2,p=1",
        ] {
            assert!(hash_fault(bad).is_some(), "{bad}");
        }
    }

    /// Such a hash comes with a row or an import, and all would wait for it, or the process would end.
    #[test]
    fn a_hash_that_costs_more_than_the_most_is_never_computed() {
        for good in ["m=19456,t=2,p=1", "m=65536,t=4,p=1", "m=102400,t=2,p=8", "m=131072,t=8,p=16", "m=65536,t=16,p=4"]
        {
            assert_eq!((hash_fault(&with(good)), unusable(&with(good))), (None, None), "{good}");
        }
        for costly in [
            "m=4294967295,t=1,p=1",
            "m=1048576,t=16,p=1",
            "m=131073,t=1,p=1",
            "m=131072,t=9,p=1",
            "m=19456,t=17,p=1",
            "m=8192,t=4294967295,p=1",
            "m=19456,t=2,p=17",
            "m=131072,t=1,p=16777215",
        ] {
            for kind in ["argon2id", "argon2i", "argon2d"] {
                let hash = with(costly).replace("argon2id", kind);
                assert!(hash_fault(&hash).is_some() && unusable(&hash).is_some(), "{hash}");
                assert!(unusable_secret(&hash).is_some() && !verify("x", &hash), "{hash}");
            }
        }
    }

    #[test]
    fn a_hash_that_costs_less_than_the_least_is_weak() {
        assert_eq!(hash_weakness(&hash("x").unwrap()), None);
        for good in ["m=19456,t=2,p=1", "m=47104,t=1,p=1", "m=7168,t=5,p=1", "m=65536,t=3,p=4"] {
            assert_eq!(hash_weakness(&with(good)), None, "{good}");
        }
        for weak in ["m=8,t=1,p=1", "m=4096,t=3,p=1", "m=4096,t=16,p=1", "m=19456,t=1,p=1"] {
            assert!(hash_weakness(&with(weak)).is_some(), "{weak}");
        }
        assert!(hash_weakness("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2g").is_some());
        assert!(hash_weakness("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo").is_some());
    }
}
