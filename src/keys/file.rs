//! Key files: their names, which are their timetables, and the reading, making and renaming of them.
//!
//! `rs256.INSTANT[.retired-INSTANT][.leaked-INSTANT].pem`, or `.jwk`; without an instant a key has always signed. A
//! leaked key is dead from the moment its name says so, whatever the clock: the instant is for the record.

use super::timetable::{Entry, Timetable};
use super::{Key, KeyError};
use crate::failure::Failure;
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
use josekit::jws::{JwsSigner, JwsVerifier};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The least RSA modulus that is accepted, in bits (RFC 7518 section 3.3).
pub const RSA_BITS: u32 = 2048;

/// What to do where a key is of no use.
const MAKE_ANOTHER: &str = "make a new one with `hallpass key new`, and remove this file";

const INSTANT_FORMAT: &str = "%Y-%m-%dT%H%M%SZ";

pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> KeyError + '_ {
    move |source| KeyError::Io { path: path.to_owned(), source }
}

pub(super) fn key_files(folder: &Path) -> Result<Vec<PathBuf>, KeyError> {
    files(folder, &["pem", "jwk"])
}

/// The files of a folder that end with one of these, but those that are hidden, in order.
pub(super) fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, KeyError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        let is_key = path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known));
        if is_key && !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Names, sizes and times of files, to notice a change.
pub(super) fn fingerprint(files: &[PathBuf]) -> Result<String, KeyError> {
    use std::fmt::Write as _;
    let mut text = String::new();
    for path in files {
        let data = std::fs::metadata(path).map_err(io(path))?;
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

/// Reads a name; `None`: it is not a timetable.
fn timetable(name: &str) -> Option<Timetable> {
    let mut parts = name.split('.');
    let word = parts.next()?;
    let algorithm =
        SigningAlgorithm::SUPPORTED.iter().copied().find(|algorithm| algorithm.as_str().to_lowercase() == word)?;
    let mut rest: Vec<&str> = parts.collect();
    rest.pop()?;
    let mut ending = |word: &str| match rest.last().and_then(|part| part.strip_prefix(word)) {
        Some(instant) => {
            rest.pop();
            parse_instant(instant).map(Some)
        }
        None => Some(None),
    };
    let leaked_at = ending("leaked-")?;
    let retired_at = ending("retired-")?;
    let signs_from = match rest.as_slice() {
        [] => NumericDate(0),
        [instant] => parse_instant(instant)?,
        _ => return None,
    };
    Some(Timetable { algorithm, signs_from, retired_at, leaked_at })
}

/// How a key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It stops signing at that instant, and stays published until its last token has ended.
    Retired(NumericDate),
    /// It was stolen: it is dead at once.
    Leaked(NumericDate),
}

/// Writes an ending into a key's name; running nodes see it within seconds. An earlier retirement is replaced.
///
/// # Errors
/// A file of the new name is there already, or the folder cannot be written.
pub fn end(folder: &Path, key: &Key, ending: Ending) -> Result<PathBuf, KeyError> {
    end_file(folder, &key.entry.file, ending)
}

/// The same of any key file.
pub(super) fn end_file(folder: &Path, file: &str, ending: Ending) -> Result<PathBuf, KeyError> {
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, "pem"));
    let stem = match ending {
        Ending::Retired(at) => {
            let stem = stem.split(".retired-").next().unwrap_or(stem);
            format!("{stem}.retired-{}", instant_text(at))
        }
        Ending::Leaked(at) => format!("{stem}.leaked-{}", instant_text(at)),
    };
    let (from, to) = (folder.join(file), folder.join(format!("{stem}.{extension}")));
    if from != to && to.exists() {
        let failure = Failure::new("a file of that name is there already").with_fix("choose another instant");
        return Err(KeyError::File { file: to, failure });
    }
    std::fs::rename(&from, &to).map_err(io(&from))?;
    Ok(to)
}

/// Why a file's key is no secret: every user of this machine may read it.
pub(super) fn open_to_all(path: &Path, data: &std::fs::Metadata) -> Option<Failure> {
    let mode = data.permissions().mode();
    (mode & 0o007 != 0).then(|| {
        Failure::new(format!("every user of this machine may read it (mode {:o})", mode & 0o777))
            .with_fix(format!("chmod 600 {}", path.display()))
    })
}

/// When a file was written, as far as the folder knows.
pub(super) fn written_at(data: &std::fs::Metadata) -> Option<NumericDate> {
    let since = data.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok().map(NumericDate)
}

pub(super) fn load_file(path: &Path) -> Result<Key, KeyError> {
    let of_file = |failure: Failure| KeyError::File { file: path.to_owned(), failure };
    let fault = |why: &str, fix: &str| of_file(Failure::new(why).with_fix(fix));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let timetable = timetable(name).ok_or_else(|| {
        fault(
            "its name is not a timetable",
            "name it ALGORITHM.INSTANT.pem, such as rs256.2026-12-01T000000Z.pem, or move it elsewhere",
        )
    })?;
    let data = std::fs::metadata(path).map_err(io(path))?;
    if let Some(failure) = open_to_all(path, &data) {
        return Err(of_file(failure));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(io(path))?);
    let private = if path.extension().is_some_and(|extension| extension == "jwk") {
        jwk_of_json(&text).map_err(|why| {
            of_file(why.with_fix("it must hold one private JWK (RFC 7517), or be a PEM file named .pem"))
        })?
    } else {
        jwk_of_pem(&text).map_err(|why| of_file(why.with_fix(MAKE_ANOTHER)))?
    };
    let wrong_type = || {
        fault(
            &format!("its name says {}, but it holds another kind of key", timetable.algorithm),
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
                &format!("its modulus has {bits} bits; the least is {RSA_BITS} (RFC 7518 section 3.3)"),
                MAKE_ANOTHER,
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
        of_file(Failure::new("the key cannot be used").with_fix(MAKE_ANOTHER).with_source(error))
    };
    let mut private = private;
    private.retain(|name, _| !matches!(name.as_str(), "use" | "key_ops" | "alg" | "x5c" | "x5t" | "x5t#S256" | "x5u"));
    private.insert("kid".into(), kid.clone().into());
    let private = Jwk::from_map(private).map_err(broken)?;
    let published = Jwk::from_map(public.clone()).map_err(broken)?;
    let (signer, verifier) = signer_and_verifier(timetable.algorithm, &private, &published).map_err(broken)?;
    let proof = signer.sign(b"hallpass").and_then(|signature| verifier.verify(b"hallpass", &signature));
    proof.map_err(|_| fault("its private and public parts do not belong together", MAKE_ANOTHER))?;
    let appeared_at = written_at(&data);
    Ok(Key { entry: Entry { kid, file: name.to_owned(), appeared_at, timetable }, public, signer, verifier })
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

fn jwk_of_json(text: &str) -> Result<Map<String, Value>, Failure> {
    // What the parser says may quote the file.
    let jwk: Map<String, Value> = serde_json::from_str(text).map_err(|_| Failure::new("it is not a JSON object"))?;
    if jwk.contains_key("keys") {
        return Err(Failure::new("it is a JWK Set; one file holds one key"));
    }
    if jwk.get("d").is_none() {
        return Err(Failure::new("it has no private part"));
    }
    Ok(jwk)
}

fn jwk_of_pem(text: &str) -> Result<Map<String, Value>, Failure> {
    // An empty passphrase instead of OpenSSL's default, which would ask on the terminal.
    let key = PKey::private_key_from_pem_callback(text.as_bytes(), |_| Ok(0))
        .map_err(|_| Failure::new("it is not a PEM private key, or it is protected by a passphrase"))?;
    jwk_of_key(&key)
        .map_err(|error| Failure::new("its numbers cannot be read").with_source(error))?
        .ok_or_else(|| Failure::new("it is not an RSA, P-256 or Ed25519 key"))
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
    let crypto = |error: openssl::error::ErrorStack| KeyError::Crypto(error.into());
    make_folder(folder)?;
    let key = match algorithm {
        SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => PKey::from_rsa(Rsa::generate(RSA_BITS).map_err(crypto)?),
        SigningAlgorithm::Es256 => EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)
            .and_then(|group| EcKey::generate(&group))
            .and_then(PKey::from_ec_key),
        SigningAlgorithm::EdDsa => PKey::generate_ed25519(),
    }
    .map_err(crypto)?;
    let pem = Zeroizing::new(key.private_key_to_pem_pkcs8().map_err(crypto)?);
    write_private(folder, &format!("{}.{}.pem", algorithm.as_str().to_lowercase(), instant_text(signs_from)), &pem)
}

/// Makes the folder of the keys, mode 0700, where there is none.
fn make_folder(folder: &Path) -> Result<(), KeyError> {
    if folder.exists() && !folder.is_dir() {
        return Err(io(folder)(std::io::ErrorKind::NotADirectory.into()));
    }
    if !folder.is_dir() {
        std::fs::create_dir_all(folder).map_err(io(folder))?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(io(folder))?;
    }
    Ok(())
}

/// Writes a file of a key, mode 0600, whole or not at all, and over none.
pub(super) fn write_private(folder: &Path, name: &str, content: &[u8]) -> Result<PathBuf, KeyError> {
    make_folder(folder)?;
    let path = folder.join(name);
    // Written under another name and linked into place, so that a running node never reads half a key.
    let unfinished = folder.join(format!(".{}.{name}", std::process::id()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(io(&unfinished))?;
    let written =
        file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| std::fs::hard_link(&unfinished, &path));
    std::fs::remove_file(&unfinished).map_err(io(&unfinished))?;
    written.map_err(io(&path))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        let leaked =
            timetable("rs256.2026-12-01T000000Z.retired-2027-03-01T000000Z.leaked-2026-12-24T180000Z.pem").unwrap();
        assert_eq!(leaked.leaked_at, parse_instant("2026-12-24T180000Z"));
        assert_eq!(leaked.retired_at, parse_instant("2027-03-01T000000Z"));
        assert!(timetable("es256.leaked-2026-12-24T180000Z.jwk").unwrap().leaked_at.is_some());
        for bad in [
            "key.pem",
            "rs256.tomorrow.pem",
            "rs256.2026-12-01T000000Z.x.pem",
            "hs256.2026-12-01T000000Z.pem",
            "rs256.2026-12-01T000000Z.leaked-today.pem",
            "rs256.leaked-2026-12-24T180000Z.retired-2027-03-01T000000Z.pem",
        ] {
            assert!(timetable(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_thumbprint_is_the_example_of_rfc_7638() {
        let key = json!({"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB"});
        assert_eq!(thumbprint(key.as_object().unwrap()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
