//! The signing keys, and the only file that names josekit and OpenSSL: load, name, sign, verify, publish.
//!
//! A key is a file in the keys folder, and its name is its timetable:
//! `rs256.2026-12-01T000000Z.pem` signs from that instant and is published from the moment it is there;
//! `rs256.2026-12-01T000000Z.retired-2027-03-01T000000Z.pem` stops signing at the second instant and stays
//! published until the longest token has ended. The state is a pure function of files and clock, so nodes
//! that share the files never disagree. RFC 7515, 7517, 7518, 7638, 8037.

use crate::protocol::response::SigningAlgorithm;
use crate::protocol::time::NumericDate;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use josekit::jwk::Jwk;
use josekit::jws::alg::ecdsa::EcdsaJwsAlgorithm;
use josekit::jws::alg::eddsa::EddsaJwsAlgorithm;
use josekit::jws::alg::rsassa::RsassaJwsAlgorithm;
use josekit::jws::alg::rsassa_pss::RsassaPssJwsAlgorithm;
use josekit::jws::{JwsContext, JwsHeader, JwsSigner, JwsVerifier};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use zeroize::Zeroizing;

/// The least RSA modulus that is accepted, in bits (RFC 7518 section 3.3).
const RSA_BITS: u32 = 2048;

/// How long relying parties may keep `/jwks`, in seconds; new keys are published longer than that before they sign.
pub const JWKS_MAX_AGE: i64 = 3600;

/// How long a further key is published before it signs, in seconds.
pub const PUBLISH_LEAD: i64 = 24 * 3600;

const INSTANT_FORMAT: &str = "%Y-%m-%dT%H%M%SZ";

/// Why the keys cannot be used: the file, what is wrong and the mend.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// One file is not good enough.
    #[error("{}: {why}\n  Mend: {mend}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        mend: String,
    },
    /// There is no key at all, or none for an algorithm.
    #[error("{0}")]
    Missing(String),
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
    Crypto(String),
}

/// One key with its timetable.
pub struct Key {
    /// The RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// From when it signs.
    pub signs_from: NumericDate,
    /// When it stops signing, if that is decided.
    pub retired_at: Option<NumericDate>,
    /// Its file's name.
    pub file: String,
    public: Map<String, Value>,
    signer: Box<dyn JwsSigner>,
    verifier: Box<dyn JwsVerifier>,
}

impl Key {
    fn signs_at(&self, now: NumericDate) -> bool {
        self.signs_from.is_past(now) && self.retired_at.is_none_or(|end| !end.is_past(now))
    }

    fn is_published_at(&self, now: NumericDate, longest_token: i64) -> bool {
        self.retired_at.is_none_or(|end| !end.plus(longest_token).is_past(now))
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
    /// The first file that is broken, too weak or readable by everybody, with its name and the mend.
    pub fn load(folder: &Path) -> Result<Self, KeyError> {
        let mut set = Self { keys: Vec::new(), fingerprint: fingerprint(folder)? };
        for path in key_files(folder)? {
            let key = load_file(&path)?;
            if let Some(twin) = set.keys.iter().find(|other| other.kid == key.kid) {
                return Err(KeyError::File {
                    why: format!("is the same key as {}", twin.file),
                    mend: "remove one of the two; a key has one timetable".into(),
                    file: path,
                });
            }
            set.keys.push(key);
        }
        Ok(set)
    }

    /// The key that signs with `algorithm` now: of those whose time has come, the latest.
    #[must_use]
    pub fn signing(&self, algorithm: SigningAlgorithm, now: NumericDate) -> Option<&Key> {
        self.keys
            .iter()
            .filter(|key| key.algorithm == algorithm && key.signs_at(now))
            .max_by(|one, other| (one.signs_from, &one.kid).cmp(&(other.signs_from, &other.kid)))
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

    /// The `kid` of every key.
    #[must_use]
    pub fn kids(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.kid.clone()).collect()
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
        let keys: Vec<&Map<String, Value>> =
            self.keys.iter().filter(|key| key.is_published_at(now, longest_token)).map(|key| &key.public).collect();
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
        let key = self.signing(algorithm, now).ok_or_else(|| {
            KeyError::Missing(format!(
                "no key signs with {algorithm} now; `hallpass key new --alg {algorithm}` makes one"
            ))
        })?;
        let mut header = JwsHeader::new();
        header.set_token_type(typ);
        let payload = serde_json::to_vec(claims).map_err(|error| KeyError::Crypto(error.to_string()))?;
        JwsContext::new()
            .serialize_compact(&payload, &header, key.signer.as_ref())
            .map_err(|error| KeyError::Crypto(error.to_string()))
    }

    /// The claims of a token of that `typ` that one of these keys signed, whatever its `exp` says; `None` for any other.
    #[must_use]
    pub fn verify(&self, token: &str, typ: &str) -> Option<Map<String, Value>> {
        let selector = |header: &JwsHeader| {
            Ok(self
                .keys
                .iter()
                .find(|key| {
                    header.key_id() == Some(key.kid.as_str()) && header.algorithm() == Some(key.algorithm.as_str())
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
        if set.signing(SigningAlgorithm::Rs256, now).is_none() {
            return Err(KeyError::Missing(format!(
                "{}: no RS256 key signs now, and every client may rely on one (OpenID Connect Core 15.1)\n  Mend: hallpass key new --alg RS256 --keys {}",
                folder.display(),
                folder.display()
            )));
        }
        Ok(Self { folder: folder.to_owned(), current: RwLock::new(Arc::new(set)), signatures: AtomicU64::new(0) })
    }

    /// The keys as last read.
    #[must_use]
    pub fn current(&self) -> Arc<KeySet> {
        self.current.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Looks at the folder again; on a fault the keys stay as they are.
    ///
    /// # Errors
    /// As `KeySet::load`. `Ok(true)` when something changed.
    pub fn refresh(&self) -> Result<bool, KeyError> {
        if fingerprint(&self.folder)? == self.current().fingerprint {
            return Ok(false);
        }
        let set = Arc::new(KeySet::load(&self.folder)?);
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

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> KeyError + '_ {
    move |source| KeyError::Io { path: path.to_owned(), source }
}

fn key_files(folder: &Path) -> Result<Vec<PathBuf>, KeyError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        let is_key = path.extension().is_some_and(|extension| extension == "pem" || extension == "jwk");
        if is_key && !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn fingerprint(folder: &Path) -> Result<String, KeyError> {
    use std::fmt::Write as _;
    let mut text = String::new();
    for path in key_files(folder)? {
        let data = std::fs::metadata(&path).map_err(io(&path))?;
        let modified =
            data.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
        let _ = writeln!(text, "{} {} {}", path.display(), data.len(), modified.as_nanos());
    }
    Ok(text)
}

/// Writes an instant as file names have it.
#[must_use]
pub fn instant_text(instant: NumericDate) -> String {
    jiff::Timestamp::from_second(instant.0)
        .map(|timestamp| timestamp.to_zoned_datetime(TimeZone::UTC).strftime(INSTANT_FORMAT).to_string())
        .unwrap_or_default()
}

/// Reads an instant of a file's name.
#[must_use]
pub fn parse_instant(text: &str) -> Option<NumericDate> {
    let civil = DateTime::strptime(INSTANT_FORMAT, text).ok()?;
    let zoned = civil.to_zoned_datetime(TimeZone::UTC).ok()?;
    Some(NumericDate(zoned.timestamp().as_second()))
}

struct Timetable {
    algorithm: SigningAlgorithm,
    signs_from: NumericDate,
    retired_at: Option<NumericDate>,
}

/// Reads `rs256.INSTANT[.retired-INSTANT].pem`; without an instant the key has always signed.
fn timetable(name: &str) -> Option<Timetable> {
    let mut parts = name.split('.');
    let word = parts.next()?;
    let algorithm =
        SigningAlgorithm::SUPPORTED.iter().copied().find(|algorithm| algorithm.as_str().to_lowercase() == word)?;
    let mut rest: Vec<&str> = parts.collect();
    rest.pop()?;
    let retired_at = match rest.last().and_then(|part| part.strip_prefix("retired-")) {
        Some(instant) => {
            rest.pop();
            Some(parse_instant(instant)?)
        }
        None => None,
    };
    let signs_from = match rest.as_slice() {
        [] => NumericDate(0),
        [instant] => parse_instant(instant)?,
        _ => return None,
    };
    Some(Timetable { algorithm, signs_from, retired_at })
}

fn load_file(path: &Path) -> Result<Key, KeyError> {
    let fault = |why: String, mend: &str| KeyError::File { file: path.to_owned(), why, mend: mend.to_owned() };
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let timetable = timetable(name).ok_or_else(|| {
        fault(
            "its name is not a timetable".into(),
            "name it ALGORITHM.INSTANT.pem, such as rs256.2026-12-01T000000Z.pem, or move it elsewhere",
        )
    })?;
    let mode = std::fs::metadata(path).map_err(io(path))?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(fault(
            format!("everybody on this machine may read it (mode {:o})", mode & 0o777),
            &format!("chmod 600 {}", path.display()),
        ));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(io(path))?);
    let private = if path.extension().is_some_and(|extension| extension == "jwk") {
        jwk_of_json(&text)
            .map_err(|why| fault(why, "it must hold one private JWK (RFC 7517), or be a PEM file named .pem"))?
    } else {
        jwk_of_pem(&text).map_err(|why| fault(why, "make a new one with `hallpass key new`, and remove this file"))?
    };
    let wrong_type = || {
        fault(
            format!("its name says {}, but it holds another kind of key", timetable.algorithm),
            "RS256 and PS256 take an RSA key, ES256 one on P-256, EdDSA one on Ed25519; rename it or replace it",
        )
    };
    let member = |name: &str| private.get(name).and_then(Value::as_str).unwrap_or_default();
    let thumbprint_members: &[&str] = match (timetable.algorithm, member("kty"), member("crv")) {
        (SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256, "RSA", _) => &["e", "kty", "n"],
        (SigningAlgorithm::Es256, "EC", "P-256") => &["crv", "kty", "x", "y"],
        (SigningAlgorithm::EdDsa, "OKP", "Ed25519") => &["crv", "kty", "x"],
        _ => return Err(wrong_type()),
    };
    if member("kty") == "RSA" {
        let bits = URL_SAFE_NO_PAD
            .decode(member("n"))
            .ok()
            .and_then(|n| BigNum::from_slice(&n).ok())
            .map_or(0, |n| n.num_bits());
        if u32::try_from(bits).unwrap_or(0) < RSA_BITS {
            return Err(fault(
                format!("its modulus has {bits} bits; the least is {RSA_BITS} (RFC 7518 section 3.3)"),
                "make a new one with `hallpass key new`, and remove this file",
            ));
        }
    }
    let mut public: Map<String, Value> =
        thumbprint_members.iter().map(|name| ((*name).to_owned(), Value::from(member(name)))).collect();
    let kid = thumbprint(&public);
    public.insert("kid".into(), kid.clone().into());
    public.insert("use".into(), "sig".into());
    public.insert("alg".into(), timetable.algorithm.as_str().into());

    let broken = |error: josekit::JoseError| {
        fault(
            format!("the key cannot be used: {error}"),
            "make a new one with `hallpass key new`, and remove this file",
        )
    };
    let mut private = private;
    private.retain(|name, _| !matches!(name.as_str(), "use" | "key_ops" | "alg" | "x5c" | "x5t" | "x5t#S256" | "x5u"));
    private.insert("kid".into(), kid.clone().into());
    let private = Jwk::from_map(private).map_err(broken)?;
    let published = Jwk::from_map(public.clone()).map_err(broken)?;
    let (signer, verifier) = signer_and_verifier(timetable.algorithm, &private, &published).map_err(broken)?;
    let proof = signer.sign(b"hallpass").and_then(|signature| verifier.verify(b"hallpass", &signature));
    proof.map_err(|_| {
        fault(
            "its private and public parts do not belong together".into(),
            "make a new one with `hallpass key new`, and remove this file",
        )
    })?;
    Ok(Key {
        kid,
        algorithm: timetable.algorithm,
        signs_from: timetable.signs_from,
        retired_at: timetable.retired_at,
        file: name.to_owned(),
        public,
        signer,
        verifier,
    })
}

type SignerAndVerifier = (Box<dyn JwsSigner>, Box<dyn JwsVerifier>);

fn signer_and_verifier(
    algorithm: SigningAlgorithm,
    private: &Jwk,
    public: &Jwk,
) -> Result<SignerAndVerifier, josekit::JoseError> {
    macro_rules! pair {
        ($algorithm:expr) => {
            (Box::new($algorithm.signer_from_jwk(private)?), Box::new($algorithm.verifier_from_jwk(public)?))
        };
    }
    Ok(match algorithm {
        SigningAlgorithm::Rs256 => pair!(RsassaJwsAlgorithm::Rs256),
        SigningAlgorithm::Ps256 => pair!(RsassaPssJwsAlgorithm::Ps256),
        SigningAlgorithm::Es256 => pair!(EcdsaJwsAlgorithm::Es256),
        SigningAlgorithm::EdDsa => pair!(EddsaJwsAlgorithm::Eddsa),
    })
}

/// SHA-256 over the required members in lexicographic order, [RFC 7638 section 3](https://www.rfc-editor.org/rfc/rfc7638#section-3).
fn thumbprint(required: &Map<String, Value>) -> String {
    let sorted: BTreeMap<&String, &Value> = required.iter().collect();
    URL_SAFE_NO_PAD.encode(Sha256::digest(serde_json::to_vec(&sorted).unwrap_or_default()))
}

fn jwk_of_json(text: &str) -> Result<Map<String, Value>, String> {
    let jwk: Map<String, Value> = serde_json::from_str(text).map_err(|_| "it is not a JSON object".to_owned())?;
    if jwk.contains_key("keys") {
        return Err("it is a JWK Set; one file holds one key".into());
    }
    if jwk.get("d").is_none() {
        return Err("it has no private part".into());
    }
    Ok(jwk)
}

fn jwk_of_pem(text: &str) -> Result<Map<String, Value>, String> {
    // An empty passphrase instead of OpenSSL's default, which would ask on the terminal.
    let key = PKey::private_key_from_pem_callback(text.as_bytes(), |_| Ok(0))
        .map_err(|_| "it is not a PEM private key, or it is protected by a passphrase".to_owned())?;
    jwk_of_key(&key)
        .map_err(|error| error.to_string())?
        .ok_or_else(|| "it is not an RSA, P-256 or Ed25519 key".to_owned())
}

fn jwk_of_key(key: &PKey<Private>) -> Result<Option<Map<String, Value>>, openssl::error::ErrorStack> {
    let text = |bytes: &[u8]| Value::from(URL_SAFE_NO_PAD.encode(bytes));
    let mut jwk = Map::new();
    match key.id() {
        Id::RSA => {
            let rsa = key.rsa()?;
            jwk.insert("kty".into(), "RSA".into());
            let parts = [
                ("n", Some(rsa.n())),
                ("e", Some(rsa.e())),
                ("d", Some(rsa.d())),
                ("p", rsa.p()),
                ("q", rsa.q()),
                ("dp", rsa.dmp1()),
                ("dq", rsa.dmq1()),
                ("qi", rsa.iqmp()),
            ];
            for (name, part) in parts {
                if let Some(part) = part {
                    jwk.insert(name.into(), text(&part.to_vec()));
                }
            }
        }
        Id::EC => {
            let ec = key.ec_key()?;
            if ec.group().curve_name() != Some(Nid::X9_62_PRIME256V1) {
                return Ok(None);
            }
            let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
            ec.public_key().affine_coordinates(ec.group(), &mut x, &mut y, &mut *BigNumContext::new()?)?;
            jwk.insert("kty".into(), "EC".into());
            jwk.insert("crv".into(), "P-256".into());
            for (name, part) in
                [("x", x.to_vec_padded(32)?), ("y", y.to_vec_padded(32)?), ("d", ec.private_key().to_vec_padded(32)?)]
            {
                jwk.insert(name.into(), text(&part));
            }
        }
        Id::ED25519 => {
            jwk.insert("kty".into(), "OKP".into());
            jwk.insert("crv".into(), "Ed25519".into());
            jwk.insert("x".into(), text(&key.raw_public_key()?));
            jwk.insert("d".into(), text(&key.raw_private_key()?));
        }
        _ => return Ok(None),
    }
    Ok(Some(jwk))
}

/// Makes a key that signs from `signs_from` and writes it, mode 0600, to a file of that name.
///
/// # Errors
/// The folder cannot be written, or a file of that name is there already.
pub fn create(folder: &Path, algorithm: SigningAlgorithm, signs_from: NumericDate) -> Result<PathBuf, KeyError> {
    let crypto = |error: openssl::error::ErrorStack| KeyError::Crypto(error.to_string());
    if !folder.is_dir() {
        std::fs::create_dir_all(folder).map_err(io(folder))?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(io(folder))?;
    }
    let key = match algorithm {
        SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => PKey::from_rsa(Rsa::generate(RSA_BITS).map_err(crypto)?),
        SigningAlgorithm::Es256 => EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)
            .and_then(|group| EcKey::generate(&group))
            .and_then(PKey::from_ec_key),
        SigningAlgorithm::EdDsa => PKey::generate_ed25519(),
    }
    .map_err(crypto)?;
    let pem = Zeroizing::new(key.private_key_to_pem_pkcs8().map_err(crypto)?);
    let path = folder.join(format!("{}.{}.pem", algorithm.as_str().to_lowercase(), instant_text(signs_from)));
    // Written under another name and linked into place, so that a running node never reads half a key.
    let unfinished = folder.join(format!(".{}.{}", std::process::id(), algorithm.as_str()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(io(&unfinished))?;
    let written =
        file.write_all(&pem).and_then(|()| file.sync_all()).and_then(|()| std::fs::hard_link(&unfinished, &path));
    std::fs::remove_file(&unfinished).map_err(io(&unfinished))?;
    written.map_err(io(&path))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: NumericDate = NumericDate(1_790_000_000);

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn an_instant_reads_as_it_is_written() {
        assert_eq!(instant_text(NumericDate(1_796_083_200)), "2026-12-01T000000Z");
        assert_eq!(parse_instant("2026-12-01T000000Z"), Some(NumericDate(1_796_083_200)));
        for bad in ["2026-12-01", "2026-13-01T000000Z", "soon", ""] {
            assert_eq!(parse_instant(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_name_is_the_timetable() {
        let table = timetable("es256.2026-12-01T000000Z.retired-2027-03-01T000000Z.pem").unwrap();
        assert_eq!(table.algorithm, SigningAlgorithm::Es256);
        assert_eq!((table.signs_from.0, table.retired_at.unwrap().0), (1_796_083_200, 1_803_859_200));
        assert_eq!(timetable("eddsa.jwk").unwrap().signs_from, NumericDate(0));
        for bad in ["key.pem", "rs256.tomorrow.pem", "rs256.2026-12-01T000000Z.x.pem", "hs256.2026-12-01T000000Z.pem"] {
            assert!(timetable(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_thumbprint_is_the_example_of_rfc_7638() {
        let key = json!({"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB"});
        assert_eq!(thumbprint(key.as_object().unwrap()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
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
        for header in [r#"{"alg":"none"}"#.to_owned(), format!(r#"{{"alg":"HS256","kid":"{}"}}"#, set.keys[0].kid)] {
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
        let signs_from = |now: NumericDate| set.signing(SigningAlgorithm::Es256, now).map(|key| key.signs_from);
        assert_eq!(signs_from(NOW.plus(-1)), None);
        assert_eq!(signs_from(NOW), Some(NOW));
        assert_eq!(signs_from(NOW.plus(99)), Some(NOW));
        assert_eq!(signs_from(NOW.plus(100)), Some(NOW.plus(100)));
        let published = |now: NumericDate| set.jwks(now, 600)["keys"].as_array().unwrap().len();
        assert_eq!((published(NOW), published(NOW.plus(799)), published(NOW.plus(800))), (2, 2, 1));
    }

    #[test]
    fn a_file_that_is_not_good_enough_is_named_with_its_mend() {
        let write = |name: &str, content: &[u8], mode: u32| {
            let folder = folder();
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let Err(error) = KeySet::load(folder.path()) else { panic!("{name} was accepted") };
            let message = error.to_string();
            assert!(message.contains(name) && message.contains("Mend: "), "{message}");
            message
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
        assert!(error.to_string().contains("hallpass key new"));
        let opened = Keys::open(&keys, true, NOW).unwrap();
        assert_eq!(opened.current().algorithms(NOW), [SigningAlgorithm::Rs256, SigningAlgorithm::Es256]);
        create(&keys, SigningAlgorithm::EdDsa, NOW).unwrap();
        assert!(opened.refresh().unwrap());
        assert!(!opened.refresh().unwrap());
        assert_eq!(opened.current().algorithms(NOW).len(), 3);
    }
}
