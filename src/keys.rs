//! The signing keys: load, sign, verify, publish. Nothing outside of this module names josekit and OpenSSL. `factors` has the keys
//! that seal the secrets of second factors.
//!
//! A key is a file in the keys folder, and its name is its timetable:
//! `rs256.2026-12-01T000000Z.pem` signs from that instant and is published from the moment it is there;
//! `rs256.2026-12-01T000000Z.retired-2027-03-01T000000Z.pem` stops signing at the second instant and stays
//! published until the longest token has ended; `….leaked-2026-12-24T180000Z.pem` is neither published nor believed
//! from the moment it is there (`file.rs`). The state is a pure function of files and clock (`timetable.rs`), so nodes
//! that share the files never disagree. RFC 7515, 7517, 7518, 7638, 8037.

mod certificate;
pub mod factors;
mod file;
pub mod plan;
pub mod timetable;

pub use certificate::certificate_ends_at;
pub use file::{Ending, create, end, instant_text, parse_instant};

use crate::failure::{Failure, Source};
use crate::protocol::response::SigningAlgorithm;
use crate::protocol::time::NumericDate;
use file::{fingerprint, key_files, load_file};
use josekit::jws::{JwsContext, JwsHeader, JwsSigner, JwsVerifier};
use serde_json::{Map, Value, json};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use timetable::Entry;

/// How long relying parties may keep `/jwks`, in seconds; new keys are published longer than that before they sign.
pub const JWKS_MAX_AGE: i64 = 3600;

/// How long a further key is published before it signs, in seconds.
pub const PUBLISH_LEAD: i64 = 24 * 3600;

/// The longest any signed token lives, in seconds: the bound of the settings and of the clients' columns. A retired key
/// is published that long.
pub const LONGEST_TOKEN: i64 = 86_400;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// One file is not good enough.
    #[error("{}: {failure}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and what to do.
        failure: Failure,
    },
    /// No key signs with RS256 now, which every client may rely on.
    #[error(
        "{}: no RS256 key signs now, and every client may rely on one (OpenID Connect Core 15.1)",
        folder.display()
    )]
    NoRs256 {
        /// The folder of the keys.
        folder: PathBuf,
        /// The one that will.
        next: Option<Next>,
    },
    /// No key signs with an algorithm now.
    #[error("no key signs with {algorithm} now")]
    Missing {
        /// The algorithm.
        algorithm: SigningAlgorithm,
        /// The one that will.
        next: Option<Next>,
    },
    /// The folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// OpenSSL or josekit failed.
    #[error("signing failed: {0}")]
    Crypto(#[source] Source),
}

/// A key that does not sign yet, by this machine's clock.
#[derive(Debug)]
pub struct Next {
    /// Its file, whose name says from when on it signs.
    file: String,
    /// What the clock says.
    now: NumericDate,
}

impl Next {
    /// What can be done.
    const FIX: &str =
        "is this machine's clock right? If it is, wait until then, or rename the file to an instant that has passed";
}

impl fmt::Display for Next {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the first, {}, signs from the instant in its name on, and here it is {}",
            self.file,
            plan::shown(self.now)
        )
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        let what = error.to_string();
        match error {
            KeyError::File { file, failure } => failure.about(file.display()),
            KeyError::NoRs256 { next: Some(next), .. } | KeyError::Missing { next: Some(next), .. } => {
                Self::new(format!("{what}; {next}")).with_fix(Next::FIX)
            }
            KeyError::NoRs256 { folder, next: None } => {
                Self::new(what).with_fix(format!("hallpass key new --alg RS256 --keys {}", folder.display()))
            }
            KeyError::Missing { algorithm, next: None } => {
                Self::new(what).with_fix(format!("hallpass key new --alg {algorithm}"))
            }
            KeyError::Io { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
                let fix =
                    format!("`hallpass key new --alg RS256 --keys {}` makes it, or set HALLPASS_KEYS", path.display());
                Self::at(path.display(), source).with_fix(fix)
            }
            KeyError::Io { path, source } => Self::at(path.display(), source),
            KeyError::Crypto(source) => Self::at("signing failed", source),
        }
    }
}

/// One key.
pub struct Key {
    /// Its name, file and timetable.
    pub entry: Entry,
    public: Map<String, Value>,
    signer: Box<dyn JwsSigner>,
    verifier: Box<dyn JwsVerifier>,
}

impl AsRef<Entry> for Key {
    fn as_ref(&self) -> &Entry {
        &self.entry
    }
}

/// The keys as one look at the folder found them.
#[derive(Default)]
pub struct KeySet {
    keys: Vec<Key>,
    /// Names, sizes and times of the files, to notice a change.
    fingerprint: String,
}

impl KeySet {
    /// Reads every key of a folder: `*.pem` and `*.jwk`; other files are not ours.
    ///
    /// # Errors
    /// The first file that is broken, too weak or readable by all, with its name and the fix.
    pub fn load(folder: &Path) -> Result<Self, KeyError> {
        let mut set = Self { keys: Vec::new(), fingerprint: fingerprint(&key_files(folder)?)? };
        for path in key_files(folder)? {
            let key = load_file(&path)?;
            if let Some(twin) = set.keys.iter().find(|other| other.entry.kid == key.entry.kid) {
                let failure = Failure::new(format!("is the same key as {}", twin.entry.file))
                    .with_fix("remove one of the two; a key has one timetable");
                return Err(KeyError::File { file: path, failure });
            }
            set.keys.push(key);
        }
        Ok(set)
    }

    /// The key that signs with `algorithm` now (`timetable::signing`).
    #[must_use]
    pub fn signing(&self, algorithm: SigningAlgorithm, now: NumericDate) -> Option<&Key> {
        timetable::signing(&self.keys, algorithm, now)
    }

    /// The algorithms that can be signed with now; discovery publishes them.
    #[must_use]
    pub fn algorithms(&self, now: NumericDate) -> Vec<SigningAlgorithm> {
        SigningAlgorithm::SUPPORTED
            .iter()
            .copied()
            .filter(|&algorithm| self.signing(algorithm, now).is_some())
            .collect()
    }

    /// Every client may rely on RS256 ([OIDC Core 15.1](https://openid.net/specs/openid-connect-core-1_0.html#ServerMTI)).
    fn must_sign_rs256(&self, folder: &Path, now: NumericDate) -> Result<(), KeyError> {
        if self.signing(SigningAlgorithm::Rs256, now).is_some() {
            return Ok(());
        }
        Err(KeyError::NoRs256 { folder: folder.to_owned(), next: self.next(SigningAlgorithm::Rs256, now) })
    }

    /// The key of an algorithm that signs next, where none has signed before: then the clock may be what is wrong.
    fn next(&self, algorithm: SigningAlgorithm, now: NumericDate) -> Option<Next> {
        let mut own: Vec<&Entry> = self
            .keys
            .iter()
            .map(|key| &key.entry)
            .filter(|entry| entry.timetable.algorithm == algorithm && !entry.timetable.is_leaked())
            .collect();
        own.sort_by_key(|entry| entry.timetable.signs_from);
        let first = own.first().filter(|entry| entry.timetable.signs_from > now)?;
        Some(Next { file: first.file.clone(), now })
    }

    /// The `kid` of every key.
    #[must_use]
    pub fn kids(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.entry.kid.clone()).collect()
    }

    /// Every key there is.
    #[must_use]
    pub fn all(&self) -> &[Key] {
        &self.keys
    }

    /// The public keys as a JWK Set, [RFC 7517 section 5](https://www.rfc-editor.org/rfc/rfc7517#section-5): those that
    /// will sign, sign, or signed what may still be good. `longest_token` in seconds.
    #[must_use]
    pub fn jwks(&self, now: NumericDate, longest_token: i64) -> Value {
        let published = self.keys.iter().filter(|key| key.entry.timetable.is_published_at(now, longest_token));
        let keys: Vec<&Map<String, Value>> = published.map(|key| &key.public).collect();
        json!({ "keys": keys })
    }

    /// Signs a claims set as a compact JWS with `kid` and `typ`.
    ///
    /// # Errors
    /// No key signs with that algorithm now, or OpenSSL failed.
    pub fn sign(
        &self,
        algorithm: SigningAlgorithm,
        typ: &str,
        claims: &Map<String, Value>,
        now: NumericDate,
    ) -> Result<String, KeyError> {
        let key = self
            .signing(algorithm, now)
            .ok_or_else(|| KeyError::Missing { algorithm, next: self.next(algorithm, now) })?;
        let mut header = JwsHeader::new();
        header.set_token_type(typ);
        let payload = serde_json::to_vec(claims).map_err(|error| KeyError::Crypto(error.into()))?;
        JwsContext::new()
            .serialize_compact(&payload, &header, key.signer.as_ref())
            .map_err(|error| KeyError::Crypto(error.into()))
    }

    /// The claims of a token of that `typ` that one of these keys signed, whatever its `exp` says; `None` for any other,
    /// and for whatever a leaked key signed.
    #[must_use]
    pub fn verify(&self, token: &str, typ: &str) -> Option<Map<String, Value>> {
        let selector = |header: &JwsHeader| {
            Ok(self
                .keys
                .iter()
                .find(|key| {
                    let Entry { kid, timetable, .. } = &key.entry;
                    !timetable.is_leaked()
                        && header.key_id() == Some(kid.as_str())
                        && header.algorithm() == Some(timetable.algorithm.as_str())
                })
                .map(|key| key.verifier.as_ref()))
        };
        let (payload, header) = JwsContext::new().deserialize_compact_with_selector(token, selector).ok()?;
        if header.token_type() != Some(typ) {
            return None;
        }
        serde_json::from_slice(&payload).ok()
    }
}

/// The keys of a running provider; a new file is picked up without a restart.
pub struct Keys {
    folder: PathBuf,
    current: RwLock<Arc<KeySet>>,
    signatures: AtomicU64,
}

impl Keys {
    /// Loads the folder. With `make_missing` (the embedded default) an empty one gets an RS256 and an ES256 key.
    ///
    /// # Errors
    /// As `KeySet::load`; no RS256 key signs, which every client must be able to rely on (OIDC Core 15.1).
    pub fn open(folder: &Path, make_missing: bool, now: NumericDate) -> Result<Self, KeyError> {
        let mut set = if folder.is_dir() { KeySet::load(folder)? } else { KeySet::default() };
        if set.keys.is_empty() && make_missing {
            for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256] {
                create(folder, algorithm, now)?;
            }
            set = KeySet::load(folder)?;
        }
        set.must_sign_rs256(folder, now)?;
        Ok(Self { folder: folder.to_owned(), current: RwLock::new(Arc::new(set)), signatures: AtomicU64::new(0) })
    }

    /// The keys as last read.
    #[must_use]
    pub fn current(&self) -> Arc<KeySet> {
        self.current.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Looks at the folder again; on a fault the keys stay as they are, also while a deployment has emptied it for a moment.
    ///
    /// # Errors
    /// As `KeySet::load`, or no RS256 key signs any more. `Ok(true)` when something changed.
    pub fn refresh(&self, now: NumericDate) -> Result<bool, KeyError> {
        if fingerprint(&key_files(&self.folder)?)? == self.current().fingerprint {
            return Ok(false);
        }
        let set = Arc::new(KeySet::load(&self.folder)?);
        set.must_sign_rs256(&self.folder, now)?;
        *self.current.write().unwrap_or_else(std::sync::PoisonError::into_inner) = set;
        Ok(true)
    }

    /// `KeySet::sign` with the current keys, counted.
    ///
    /// # Errors
    /// As `KeySet::sign`.
    pub fn sign(
        &self,
        algorithm: SigningAlgorithm,
        typ: &str,
        claims: &Map<String, Value>,
        now: NumericDate,
    ) -> Result<String, KeyError> {
        self.signatures.fetch_add(1, Ordering::Relaxed);
        self.current().sign(algorithm, typ, claims, now)
    }

    /// How many signatures were made; budgets are asserted on it.
    #[must_use]
    pub fn signatures(&self) -> u64 {
        self.signatures.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: NumericDate = NumericDate(1_790_000_000);

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn every_algorithm_signs_and_verifies_and_publishes_no_private_member() {
        let folder = folder();
        for algorithm in SigningAlgorithm::SUPPORTED {
            create(folder.path(), *algorithm, NOW).unwrap();
        }
        let set = KeySet::load(folder.path()).unwrap();
        let claims = json!({"sub": "alice"}).as_object().unwrap().clone();
        for algorithm in SigningAlgorithm::SUPPORTED {
            let token = set.sign(*algorithm, "JWT", &claims, NOW).unwrap();
            assert_eq!(set.verify(&token, "JWT").unwrap(), claims, "{algorithm}");
            let (head, signature) = token.rsplit_once('.').unwrap();
            assert!(
                set.verify(&format!("{head}.{}", signature.replace(&signature[..4], "AAAA")), "JWT").is_none(),
                "{algorithm}"
            );
        }
        let jwks = set.jwks(NOW, 600);
        for key in jwks["keys"].as_array().unwrap() {
            for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
                assert!(key.get(private).is_none(), "{private}");
            }
            assert_eq!(key["use"], "sig");
        }
        assert_eq!(jwks["keys"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn a_token_without_a_signature_is_not_ours() {
        let folder = folder();
        create(folder.path(), SigningAlgorithm::Rs256, NOW).unwrap();
        let set = KeySet::load(folder.path()).unwrap();
        let payload = URL_SAFE_NO_PAD.encode(r#"{"sub":"alice"}"#);
        for header in
            [r#"{"alg":"none"}"#.to_owned(), format!(r#"{{"alg":"HS256","kid":"{}"}}"#, set.keys[0].entry.kid)]
        {
            assert!(set.verify(&format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(header)), "JWT").is_none());
        }
    }

    #[test]
    fn the_latest_key_whose_time_has_come_signs_and_a_retired_one_stays_published() {
        let folder = folder();
        let first = create(folder.path(), SigningAlgorithm::Es256, NOW).unwrap();
        create(folder.path(), SigningAlgorithm::Es256, NOW.plus(100)).unwrap();
        let retired =
            folder.path().join(format!("es256.{}.retired-{}.pem", instant_text(NOW), instant_text(NOW.plus(200))));
        std::fs::rename(first, retired).unwrap();
        let set = KeySet::load(folder.path()).unwrap();
        let signs_from =
            |now: NumericDate| set.signing(SigningAlgorithm::Es256, now).map(|key| key.entry.timetable.signs_from);
        assert_eq!(signs_from(NOW.plus(-1)), None);
        assert_eq!(signs_from(NOW), Some(NOW));
        assert_eq!(signs_from(NOW.plus(99)), Some(NOW));
        assert_eq!(signs_from(NOW.plus(100)), Some(NOW.plus(100)));
        let published = |now: NumericDate| set.jwks(now, 600)["keys"].as_array().unwrap().len();
        assert_eq!((published(NOW), published(NOW.plus(799)), published(NOW.plus(800))), (2, 2, 1));
    }

    #[test]
    fn an_ending_is_written_into_the_name_and_overwrites_nothing() {
        let folder = folder();
        let first = create(folder.path(), SigningAlgorithm::Es256, NOW).unwrap();
        let names = |folder: &Path| -> Vec<String> {
            KeySet::load(folder).unwrap().keys.iter().map(|key| key.entry.file.clone()).collect()
        };
        let end_first = |ending: Ending| end(folder.path(), &KeySet::load(folder.path()).unwrap().keys[0], ending);
        let begins = instant_text(NOW);
        let (one, two) = (instant_text(NOW.plus(1)), instant_text(NOW.plus(2)));
        end_first(Ending::Retired(NOW.plus(1))).unwrap();
        assert_eq!(names(folder.path()), [format!("es256.{begins}.retired-{one}.pem")]);
        end_first(Ending::Retired(NOW.plus(2))).unwrap();
        assert_eq!(names(folder.path()), [format!("es256.{begins}.retired-{two}.pem")]);
        let taken = folder.path().join(format!("es256.{begins}.retired-{one}.pem"));
        std::fs::write(&taken, "another's").unwrap();
        let key = load_file(&folder.path().join(format!("es256.{begins}.retired-{two}.pem"))).unwrap();
        let refused = Failure::from(end(folder.path(), &key, Ending::Retired(NOW.plus(1))).unwrap_err());
        assert!(refused.what().ends_with("there already") && refused.fix().is_some(), "{refused}");
        assert_eq!(std::fs::read_to_string(&taken).unwrap(), "another's");
        std::fs::remove_file(taken).unwrap();
        end_first(Ending::Leaked(NOW)).unwrap();
        assert_eq!(names(folder.path()), [format!("es256.{begins}.retired-{two}.leaked-{begins}.pem")]);
        assert!(!first.exists());
    }

    #[test]
    fn a_leaked_key_is_neither_published_nor_believed() {
        let folder = folder();
        create(folder.path(), SigningAlgorithm::Es256, NOW).unwrap();
        let before = KeySet::load(folder.path()).unwrap();
        let claims = json!({"sub": "alice"}).as_object().unwrap().clone();
        let token = before.sign(SigningAlgorithm::Es256, "JWT", &claims, NOW).unwrap();
        // Its instant is for the record: a node whose clock is behind must not believe it a second longer.
        end(folder.path(), &before.keys[0], Ending::Leaked(NOW.plus(1000))).unwrap();
        let after = KeySet::load(folder.path()).unwrap();
        assert!(before.verify(&token, "JWT").is_some() && after.verify(&token, "JWT").is_none());
        assert!(after.signing(SigningAlgorithm::Es256, NOW).is_none());
        assert_eq!(after.jwks(NOW, 600), json!({"keys": []}));
    }

    #[test]
    fn a_file_that_is_not_good_enough_is_named_with_its_fix() {
        let write = |name: &str, content: &[u8], mode: u32| {
            let folder = folder();
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let Err(error) = KeySet::load(folder.path()) else { panic!("{name} was accepted") };
            let failure = Failure::from(error);
            assert!(failure.what().contains(name) && failure.fix().is_some(), "{failure}");
            failure.told()
        };
        let good = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap().private_key_to_pem_pkcs8().unwrap();
        let weak = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap().private_key_to_pem_pkcs8().unwrap();
        let locked = PKey::from_rsa(Rsa::generate(2048).unwrap())
            .unwrap()
            .private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_128_cbc(), b"x")
            .unwrap();
        assert!(write("rs256.2026-01-01T000000Z.pem", b"not a key", 0o600).contains("not a PEM private key"));
        assert!(write("rs256.2026-01-01T000000Z.pem", &weak, 0o600).contains("1024 bits"));
        assert!(write("rs256.2026-01-01T000000Z.pem", &good, 0o644).contains("chmod 600"));
        assert!(write("rs256.2026-01-01T000000Z.pem", &locked, 0o600).contains("passphrase"));
        assert!(write("es256.2026-01-01T000000Z.pem", &good, 0o600).contains("another kind of key"));
        assert!(write("mine.pem", &good, 0o600).contains("timetable"));
        assert!(write("rs256.jwk", br#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, 0o600).contains("no private part"));
    }

    #[test]
    fn a_group_may_read_a_mounted_secret() {
        let folder = folder();
        let path = create(folder.path(), SigningAlgorithm::Rs256, NOW).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(KeySet::load(folder.path()).is_ok());
    }

    #[test]
    fn keys_are_made_only_in_the_embedded_default() {
        let folder = folder();
        let keys = folder.path().join("keys");
        let Err(error) = Keys::open(&keys, false, NOW) else { panic!("started without a key") };
        assert!(Failure::from(error).fix().is_some_and(|fix| fix.contains("hallpass key new")));
        // A key that signs later than it is here: the clock is asked about, not another key made.
        let ahead = self::folder();
        create(ahead.path(), SigningAlgorithm::Rs256, NOW.plus(3600)).unwrap();
        let Err(error) = Keys::open(ahead.path(), false, NOW) else { panic!("started without a key") };
        let failure = Failure::from(error);
        assert!(failure.fix().is_some_and(|fix| fix.contains("clock") && !fix.contains("key new")), "{failure:?}");
        assert!(failure.to_string().contains(&plan::shown(NOW)), "{failure}");
        let opened = Keys::open(&keys, true, NOW).unwrap();
        assert_eq!(opened.current().algorithms(NOW), [SigningAlgorithm::Rs256, SigningAlgorithm::Es256]);
        create(&keys, SigningAlgorithm::EdDsa, NOW).unwrap();
        assert!(opened.refresh(NOW).unwrap());
        assert!(!opened.refresh(NOW).unwrap());
        let rs256 = opened.current().signing(SigningAlgorithm::Rs256, NOW).unwrap().entry.file.clone();
        std::fs::rename(keys.join(&rs256), folder.path().join("away.pem")).unwrap();
        assert!(opened.refresh(NOW).unwrap_err().to_string().contains("no RS256 key"), "what was there stays in use");
        assert!(opened.current().signing(SigningAlgorithm::Rs256, NOW).is_some());
        std::fs::rename(folder.path().join("away.pem"), keys.join(&rs256)).unwrap();
        assert_eq!(opened.current().algorithms(NOW).len(), 3);
    }
}
