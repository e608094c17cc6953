//! The factor keys: what seals the secrets of second factors in the database, AES-256-GCM by OpenSSL.
//!
//! A key is a file in the keys folder beside the signing keys, and its name is its timetable as theirs is:
//! `factors.2026-12-01T000000Z.key` seals from that instant and opens from the moment it is there;
//! `factors.2026-12-01T000000Z.retired-2027-03-01T000000Z.key` seals no more from the second instant on, and opens for as long as
//! the file is there. Of several the latest seals, and what older ones sealed is sealed anew by it
//! (`crate::second_factor::resealing`). The file holds 256 random bits as base64url.

use super::KeyError;
use super::PUBLISH_LEAD;
use super::file::{self, Ending, instant_text, io, parse_instant};
use super::plan::shown;
use super::timetable::out_of_use;
use crate::ambient::random;
use crate::failure::Failure;
use crate::protocol::factor_secret::{FactorSealer, FactorSecret, Owner, Sealed};
use crate::protocol::secret::Digest;
use crate::protocol::time::NumericDate;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

/// How the names of these files begin and end.
const WORD: &str = "factors";
const EXTENSION: &str = "key";
/// How a key is made, as a fix says it.
pub const NEW: &str = "hallpass key new --for factors";
const BYTES: usize = 32;
/// Bytes of nonce and tag, [NIST SP 800-38D](https://csrc.nist.gov/pubs/sp/800/38/d/final). A random nonce is good for 2^32 seals
/// of one key, more than there are users.
const NONCE: usize = 12;
const TAG: usize = 16;
/// Characters of a key's id.
const ID: usize = 16;
/// The most bytes that such a file has; one that is larger is none.
const MOST_BYTES: u64 = 1024;

/// One key.
pub struct FactorKey {
    /// Its id: of a digest of the key, so that it stays when the file is renamed.
    pub id: String,
    /// Its file's name.
    pub file: String,
    /// When its file was written, as far as the folder knows.
    pub appeared_at: Option<NumericDate>,
    /// From when it seals.
    pub seals_from: NumericDate,
    /// When it stops sealing, if that is decided.
    pub retired_at: Option<NumericDate>,
    key: Zeroizing<[u8; BYTES]>,
}

impl FactorKey {
    /// Whether it may seal; of several that may the latest does.
    #[must_use]
    pub fn may_seal_at(&self, now: NumericDate) -> bool {
        self.seals_from.is_past(now) && !self.retired_at.is_some_and(|end| end.is_past(now))
    }

    /// Its place among the others. Of those that start at once the id decides, alike on every node.
    fn order(&self) -> (NumericDate, &str) {
        (self.seals_from, &self.id)
    }

    fn load(path: &Path) -> Result<Self, KeyError> {
        let of_file = |failure: Failure| KeyError::File { file: path.to_owned(), failure };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let (seals_from, retired_at) =
            timetable(name).ok_or_else(|| {
                of_file(Failure::new("its name is not a timetable").with_fix(
                    "name it factors.INSTANT.key, such as factors.2026-12-01T000000Z.key, or move it elsewhere",
                ))
            })?;
        let data = std::fs::metadata(path).map_err(io(path))?;
        if let Some(failure) = file::open_to_all(path, &data) {
            return Err(of_file(failure));
        }
        let key =
            if data.len() > MOST_BYTES { None } else { parse(&Zeroizing::new(std::fs::read(path).map_err(io(path))?)) };
        let key = key.ok_or_else(|| {
            of_file(Failure::new("it holds no factor key: 256 bits as base64url").with_fix(format!(
                "bring the file back from where keys are kept: what it sealed opens with no other. Where it is lost, move this one elsewhere first; then `{NEW}` makes one for new secrets"
            )))
        })?;
        let id = Digest::of_bytes(&[b"factor key", key.as_slice()]).as_str()[..ID].to_owned();
        let appeared_at = file::written_at(&data);
        Ok(Self { id, file: name.to_owned(), appeared_at, seals_from, retired_at, key })
    }

    fn seal(&self, secret: &FactorSecret, owner: &Owner<'_>) -> Option<Sealed> {
        let nonce = random::<NONCE>();
        let mut tag = [0; TAG];
        let (cipher, bound) = (Cipher::aes_256_gcm(), owner.bytes());
        let covered =
            encrypt_aead(cipher, self.key.as_slice(), Some(&nonce), &bound, secret.expose(), &mut tag).ok()?;
        let bytes = [&nonce[..], &covered, &tag].concat();
        Some(Sealed { text: URL_SAFE_NO_PAD.encode(bytes), key_id: self.id.clone() })
    }

    fn open(&self, text: &str, owner: &Owner<'_>) -> Option<FactorSecret> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, rest) = bytes.split_at_checked(NONCE)?;
        let (covered, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
        let cipher = Cipher::aes_256_gcm();
        let secret = decrypt_aead(cipher, self.key.as_slice(), Some(nonce), &owner.bytes(), covered, tag).ok()?;
        Some(FactorSecret::new(secret))
    }
}

fn parse(content: &[u8]) -> Option<Zeroizing<[u8; BYTES]>> {
    let text = std::str::from_utf8(content).ok()?.trim();
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}

/// Reads a name: from when the key seals, and when it stops.
fn timetable(name: &str) -> Option<(NumericDate, Option<NumericDate>)> {
    let parts: Vec<&str> = name.split('.').collect();
    let (from, retired) = match parts.as_slice() {
        [WORD, from, EXTENSION] => (from, None),
        [WORD, from, retired, EXTENSION] => (from, Some(retired.strip_prefix("retired-")?)),
        _ => return None,
    };
    let retired_at = match retired {
        Some(text) => Some(parse_instant(text)?),
        None => None,
    };
    Some((parse_instant(from)?, retired_at))
}

/// The files of factor keys in a folder; where there is no folder, there are none. Others that end with `.key`, such as that of a
/// TLS certificate, are none of ours.
fn files(folder: &Path) -> Result<Vec<PathBuf>, KeyError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let is_ours = |path: &PathBuf| {
        let rest = path.file_name().and_then(|name| name.as_encoded_bytes().strip_prefix(WORD.as_bytes()));
        rest.is_some_and(|rest| rest.starts_with(b"."))
    };
    Ok(file::files(folder, &[EXTENSION])?.into_iter().filter(is_ours).collect())
}

/// The keys as one look at the folder found them.
#[derive(Default)]
pub struct FactorKeySet {
    /// The later it seals, the further behind.
    keys: Vec<FactorKey>,
    fingerprint: String,
}

impl FactorKeySet {
    /// Reads every factor key of a folder; where there is no folder, there are none.
    ///
    /// # Errors
    /// The first file that is broken or readable by all, with its name and the fix.
    pub fn load(folder: &Path) -> Result<Self, KeyError> {
        let files = files(folder)?;
        let mut set = Self { keys: Vec::new(), fingerprint: file::fingerprint(&files)? };
        for path in files {
            let key = FactorKey::load(&path)?;
            if let Some(twin) = set.keys.iter().find(|other| other.id == key.id) {
                let failure = Failure::new(format!("is the same key as {}", twin.file))
                    .with_fix("remove one of the two; a key has one timetable");
                return Err(KeyError::File { file: path, failure });
            }
            set.keys.push(key);
        }
        set.keys.sort_by(|one, other| one.order().cmp(&other.order()));
        Ok(set)
    }

    /// Every key there is, in the order in which they seal.
    #[must_use]
    pub fn all(&self) -> &[FactorKey] {
        &self.keys
    }

    /// The key that seals now: of those that may, the latest.
    #[must_use]
    pub fn sealing(&self, now: NumericDate) -> Option<&FactorKey> {
        self.keys.iter().rfind(|key| key.may_seal_at(now))
    }

    /// The key of that id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&FactorKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// The ids of the keys whose seals are to be made anew by the one that seals now: those before it, so that two nodes of
    /// which one has not seen a new file yet never undo each other's work, and those that are retired.
    #[must_use]
    pub fn outdated(&self, now: NumericDate) -> Vec<String> {
        let Some(sealing) = self.sealing(now) else { return Vec::new() };
        let is_outdated = |key: &&FactorKey| {
            let is_retired = key.retired_at.is_some_and(|end| end.is_past(now));
            key.id != sealing.id && (key.order() < sealing.order() || is_retired)
        };
        self.keys.iter().filter(is_outdated).map(|key| key.id.clone()).collect()
    }

    /// When a key stops sealing, by its own name or as a later one starts. For a day more it may be what another node seals by
    /// that has not seen the change yet, and what the token of an enrolment is sealed by.
    fn stopped_at(&self, key: &FactorKey) -> Option<NumericDate> {
        let later = self.keys.iter().filter(|other| other.order() > key.order()).map(|other| other.seals_from);
        later.chain(key.retired_at).min()
    }

    /// From when until when, counted from `now`, nothing seals; without an end: for good. `changed` is a key of which the end is
    /// another than its name says.
    #[must_use]
    pub fn uncovered(
        &self,
        now: NumericDate,
        changed: Option<(&FactorKey, NumericDate)>,
    ) -> Vec<(NumericDate, Option<NumericDate>)> {
        let times = self.keys.iter().map(|key| match changed {
            Some((other, end)) if other.id == key.id => (key.seals_from, Some(end)),
            _ => (key.seals_from, key.retired_at),
        });
        let times: Vec<(NumericDate, Option<NumericDate>)> = times.collect();
        out_of_use(now, times.iter().copied(), |at| {
            times.iter().any(|(from, end)| from.is_past(at) && !end.is_some_and(|end| end.is_past(at)))
        })
    }

    /// These keys at an instant, as what seals and opens.
    #[must_use]
    pub const fn at(&self, now: NumericDate) -> Sealer<'_> {
        Sealer { set: self, now }
    }

    /// The fault of a set in which nothing seals.
    #[must_use]
    pub fn missing(&self, now: NumericDate) -> Failure {
        match self.keys.iter().find(|key| key.seals_from > now) {
            Some(next) => Failure::new(format!(
                "no factor key seals now; the first, {}, does from the instant in its name on, and here it is {}",
                next.file,
                shown(now)
            ))
            .with_fix("is this machine's clock right? If it is, wait until then, or rename the file to an instant that has passed"),
            None => Failure::new("there is no factor key that seals the secrets of authenticators").with_fix(NEW),
        }
    }
}

/// Factor keys at an instant.
#[derive(Clone, Copy)]
pub struct Sealer<'a> {
    set: &'a FactorKeySet,
    now: NumericDate,
}

impl FactorSealer for Sealer<'_> {
    fn seal(&self, secret: &FactorSecret, owner: &Owner<'_>) -> Option<Sealed> {
        self.set.sealing(self.now)?.seal(secret, owner)
    }

    fn seal_anew(&self, before: &Sealed, secret: &FactorSecret, owner: &Owner<'_>) -> Option<Sealed> {
        self.set.sealing(self.now).or_else(|| self.set.find(&before.key_id))?.seal(secret, owner)
    }

    fn open(&self, sealed: &Sealed, owner: &Owner<'_>) -> Option<FactorSecret> {
        self.set.find(&sealed.key_id)?.open(&sealed.text, owner)
    }
}

/// The same, with keys of its own.
pub struct OwnSealer {
    set: FactorKeySet,
    now: NumericDate,
}

impl OwnSealer {
    /// These keys at an instant; `None`: none of them seals then.
    #[must_use]
    pub fn new(set: FactorKeySet, now: NumericDate) -> Option<Self> {
        set.sealing(now).is_some().then_some(Self { set, now })
    }
}

impl FactorSealer for OwnSealer {
    fn seal(&self, secret: &FactorSecret, owner: &Owner<'_>) -> Option<Sealed> {
        self.set.at(self.now).seal(secret, owner)
    }

    fn seal_anew(&self, before: &Sealed, secret: &FactorSecret, owner: &Owner<'_>) -> Option<Sealed> {
        self.set.at(self.now).seal_anew(before, secret, owner)
    }

    fn open(&self, sealed: &Sealed, owner: &Owner<'_>) -> Option<FactorSecret> {
        self.set.at(self.now).open(sealed, owner)
    }
}

/// Makes a key that seals from that instant and writes it, mode 0600, to a file of that name.
///
/// # Errors
/// The folder cannot be written, or a file of that name is there already.
pub fn create(folder: &Path, seals_from: NumericDate) -> Result<PathBuf, KeyError> {
    let key = Zeroizing::new(random::<BYTES>());
    let text = Zeroizing::new(format!("{}\n", URL_SAFE_NO_PAD.encode(key.as_slice())));
    file::write_private(folder, &format!("{WORD}.{}.{EXTENSION}", instant_text(seals_from)), text.as_bytes())
}

/// Writes into a key's name when it stops sealing; running nodes see it within seconds.
///
/// # Errors
/// A file of the new name is there already, or the folder cannot be written.
pub fn retire(folder: &Path, key: &FactorKey, at: NumericDate) -> Result<PathBuf, KeyError> {
    file::end_file(folder, &key.file, Ending::Retired(at))
}

/// What a key does now, as `key plan` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It will seal.
    Next,
    /// It seals.
    Seals,
    /// It opens what it sealed; a later one seals, or it was retired.
    Opens,
    /// Nothing is sealed by it any more, and a day has passed since it stopped: its file may be deleted.
    Done,
}

impl State {
    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Seals => "seals",
            Self::Opens => "opens",
            Self::Done => "done",
        }
    }
}

/// What each key does now, and how many rows it seals where that is known; and how many are sealed by keys that are not there.
pub struct Plan<'a> {
    /// The keys, in the order in which they seal.
    pub keys: Vec<(&'a FactorKey, State, Option<u64>)>,
    /// Ids of keys that are not there, and how many rows they seal.
    pub lost: Vec<(String, u64)>,
}

/// The plan at an instant; `rows` are the sealed rows by the ids of their keys, or `None` where the database was not asked.
#[must_use]
pub fn plan<'a>(set: &'a FactorKeySet, rows: Option<&BTreeMap<String, u64>>, now: NumericDate) -> Plan<'a> {
    let sealing = set.sealing(now).map(|key| key.id.as_str());
    let state = |key: &FactorKey, sealed: Option<u64>| {
        if sealing == Some(key.id.as_str()) {
            State::Seals
        } else if !key.seals_from.is_past(now) {
            State::Next
        } else if sealed == Some(0) && set.stopped_at(key).is_some_and(|at| at.plus(PUBLISH_LEAD).is_past(now)) {
            State::Done
        } else {
            State::Opens
        }
    };
    let keys = set.keys.iter().map(|key| {
        let sealed = rows.map(|rows| rows.get(&key.id).copied().unwrap_or_default());
        (key, state(key, sealed), sealed)
    });
    let lost = rows.into_iter().flatten().filter(|(id, _)| set.find(id).is_none());
    Plan { keys: keys.collect(), lost: lost.map(|(id, rows)| (id.clone(), *rows)).collect() }
}

/// The factor keys of a running provider; a new file is picked up without a restart.
pub struct FactorKeys {
    folder: PathBuf,
    current: RwLock<Arc<FactorKeySet>>,
}

impl FactorKeys {
    /// Loads the folder. With `make_missing` (the embedded default, where nothing is sealed yet) one without a factor key gets
    /// one, where it can be written.
    ///
    /// # Errors
    /// As `FactorKeySet::load`.
    pub fn open(folder: &Path, make_missing: bool, now: NumericDate) -> Result<Self, KeyError> {
        let mut set = FactorKeySet::load(folder)?;
        if set.keys.is_empty() && make_missing {
            match create(folder, now) {
                Ok(file) => {
                    set = FactorKeySet::load(folder)?;
                    let file = file.display();
                    tracing::info!(%file, "a factor key was made: keep a copy of the file, as what it seals opens by it alone");
                }
                // Who adds an authenticator is told; sign-ins by a password alone need no key.
                Err(error) => tracing::warn!(%error, fix = NEW, "no factor key could be made"),
            }
        }
        Ok(Self { folder: folder.to_owned(), current: RwLock::new(Arc::new(set)) })
    }

    /// The keys as last read.
    #[must_use]
    pub fn current(&self) -> Arc<FactorKeySet> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the folder again; on a fault the keys stay as they are. `Ok(true)` when something changed. A folder that has none
    /// any more, while a deployment empties it, changes nothing.
    ///
    /// # Errors
    /// As `FactorKeySet::load`.
    pub fn refresh(&self) -> Result<bool, KeyError> {
        let files = files(&self.folder)?;
        if files.is_empty() || file::fingerprint(&files)? == self.current().fingerprint {
            return Ok(false);
        }
        let set = Arc::new(FactorKeySet::load(&self.folder)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = set;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: NumericDate = NumericDate(1_796_083_200);
    const ALICE: Owner<'_> = Owner { sub: "alice", kind: "totp", factor_id: "one" };

    fn secret() -> FactorSecret {
        FactorSecret::new(*b"a secret of twenty b")
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_secret_opens_for_its_owner_alone_and_no_bit_can_be_changed() {
        let folder = folder();
        create(folder.path(), NOW).unwrap();
        let set = FactorKeySet::load(folder.path()).unwrap();
        let keys = set.at(NOW);
        let sealed = keys.seal(&secret(), &ALICE).unwrap();
        assert_eq!(keys.open(&sealed, &ALICE), Some(secret()));
        for owner in [
            Owner { sub: "bob", ..ALICE },
            Owner { kind: "recovery_codes", ..ALICE },
            Owner { factor_id: "two", ..ALICE },
        ] {
            assert_eq!(keys.open(&sealed, &owner), None, "{owner:?}");
        }
        assert_ne!(keys.seal(&secret(), &ALICE).unwrap(), sealed, "no two seals are alike");
        let bytes = URL_SAFE_NO_PAD.decode(&sealed.text).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = Sealed { text: URL_SAFE_NO_PAD.encode(changed), ..sealed.clone() };
            assert_eq!(keys.open(&changed, &ALICE), None, "{at}");
        }
        for text in ["", "A", "!", &sealed.text[..20], &format!("{}A", sealed.text)] {
            assert_eq!(keys.open(&Sealed { text: text.to_owned(), ..sealed.clone() }, &ALICE), None, "{text}");
        }
        assert_eq!(keys.open(&Sealed { key_id: "another".to_owned(), ..sealed }, &ALICE), None);
    }

    /// Test case 16 of the specification of GCM.
    #[test]
    fn the_seal_is_aes_256_gcm() {
        let bytes = |hex: &str| -> Vec<u8> {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        };
        let mut tag = [0; TAG];
        let covered = encrypt_aead(
            Cipher::aes_256_gcm(),
            &bytes("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
            Some(&bytes("cafebabefacedbaddecaf888")),
            &bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
            &bytes("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"),
            &mut tag,
        )
        .unwrap();
        assert_eq!(
            covered,
            bytes(
                "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
            )
        );
        assert_eq!(tag.to_vec(), bytes("76fc6ece0f4e1768cddf8853bb2d551b"));
    }

    #[test]
    fn of_several_the_latest_whose_time_has_come_seals_and_all_open() {
        let folder = folder();
        create(folder.path(), NOW).unwrap();
        create(folder.path(), NOW.plus(100)).unwrap();
        let set = FactorKeySet::load(folder.path()).unwrap();
        let ids: Vec<&str> = set.all().iter().map(|key| key.id.as_str()).collect();
        let sealing = |set: &FactorKeySet, at: i64| set.sealing(NOW.plus(at)).map(|key| key.id.clone());
        assert_eq!(sealing(&set, -1), None);
        assert_eq!((sealing(&set, 0).unwrap(), sealing(&set, 100).unwrap()), (ids[0].to_owned(), ids[1].to_owned()));
        let sealed = set.at(NOW).seal(&secret(), &ALICE).unwrap();
        assert_eq!(set.at(NOW.plus(100)).open(&sealed, &ALICE), Some(secret()));
        assert_eq!((set.outdated(NOW), set.outdated(NOW.plus(100))), (Vec::new(), vec![ids[0].to_owned()]));
        // A rename changes no id; what a retired one sealed opens still.
        retire(folder.path(), &set.all()[1], NOW.plus(200)).unwrap();
        let later = FactorKeySet::load(folder.path()).unwrap();
        assert_eq!(
            (sealing(&later, 199).unwrap(), sealing(&later, 200).unwrap()),
            (ids[1].to_owned(), ids[0].to_owned())
        );
        assert_eq!(later.outdated(NOW.plus(200)), [ids[1].to_owned()]);
        assert!(later.all()[1].file.ends_with(".retired-2026-12-01T000320Z.key"), "{}", later.all()[1].file);
    }

    #[test]
    fn a_plan_counts_what_each_key_seals_and_names_keys_that_are_lost() {
        let folder = folder();
        for at in [0, 100, 500] {
            create(folder.path(), NOW.plus(at)).unwrap();
        }
        let set = FactorKeySet::load(folder.path()).unwrap();
        let rows = BTreeMap::from([(set.all()[0].id.clone(), 3), ("lost".to_owned(), 2)]);
        let states = |rows: Option<&BTreeMap<String, u64>>| -> Vec<(&str, Option<u64>)> {
            plan(&set, rows, NOW.plus(200)).keys.iter().map(|(_, state, rows)| (state.as_str(), *rows)).collect()
        };
        assert_eq!(states(Some(&rows)), [("opens", Some(3)), ("seals", Some(0)), ("next", Some(0))]);
        assert_eq!(states(Some(&BTreeMap::new()))[0], ("opens", Some(0)), "another node may seal by it still");
        let a_day_later = NOW.plus(100 + PUBLISH_LEAD);
        let [sooner, then] =
            [a_day_later.plus(-1), a_day_later].map(|at| plan(&set, Some(&BTreeMap::new()), at).keys[0].1);
        assert_eq!((sooner, then), (State::Opens, State::Done));
        assert_eq!(states(None)[0], ("opens", None), "what is not known is not given up");
        assert_eq!(plan(&set, Some(&rows), NOW).lost, [("lost".to_owned(), 2)]);
    }

    #[test]
    fn a_file_that_is_not_good_enough_is_named_with_its_fix() {
        let refused = |name: &str, content: &str, mode: u32| {
            let folder = folder();
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let Err(error) = FactorKeySet::load(folder.path()) else { panic!("{name} was accepted") };
            let failure = Failure::from(error);
            assert!(failure.what().contains(name) && failure.fix().is_some(), "{failure}");
            failure.told()
        };
        let good = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let name = "factors.2026-12-01T000000Z.key";
        assert!(refused(name, good, 0o644).contains("chmod 600"));
        assert!(refused(name, "geheim", 0o600).contains("no factor key"));
        assert!(!refused(name, "geheim", 0o600).contains("geheim"));
        assert!(refused(name, &"A".repeat(2000), 0o600).contains("no factor key"));
        for bad in ["factors.key", "factors.soon.key", "factors.2026-12-01T000000Z.leaked-2026-12-01T000000Z.key"] {
            assert!(refused(bad, good, 0o600).contains("timetable"), "{bad}");
        }
        assert!(refused(name, "geheim", 0o600).contains("move this one elsewhere first"));
    }

    #[test]
    fn a_key_of_another_kind_is_none_of_ours() {
        let folder = folder();
        for foreign in ["tls.key", "mine.key", "factorsx.key", "factors.pem"] {
            std::fs::write(folder.path().join(foreign), "-----BEGIN PRIVATE KEY-----").unwrap();
        }
        assert!(FactorKeySet::load(folder.path()).unwrap().all().is_empty());
        assert_eq!(FactorKeys::open(folder.path(), true, NOW).unwrap().current().all().len(), 1);
    }

    #[test]
    fn it_is_known_from_when_until_when_nothing_seals() {
        let folder = folder();
        create(folder.path(), NOW).unwrap();
        create(folder.path(), NOW.plus(100)).unwrap();
        let set = FactorKeySet::load(folder.path()).unwrap();
        let of = |changed: Option<(usize, i64)>| -> Vec<(i64, Option<i64>)> {
            let changed = changed.map(|(key, end)| (&set.all()[key], NOW.plus(end)));
            let gaps = set.uncovered(NOW, changed);
            gaps.into_iter().map(|(from, until)| (from.0 - NOW.0, until.map(|at| at.0 - NOW.0))).collect()
        };
        assert_eq!(of(None), []);
        assert_eq!(of(Some((0, 100))), []);
        assert_eq!(of(Some((0, 40))), [(40, Some(100))]);
        assert_eq!(of(Some((1, 0))), []);
        retire(folder.path(), &set.all()[0], NOW.plus(100)).unwrap();
        let set = FactorKeySet::load(folder.path()).unwrap();
        assert_eq!(set.uncovered(NOW, Some((&set.all()[1], NOW))), [(NOW.plus(100), None)]);
    }

    #[test]
    fn a_key_is_made_in_the_embedded_default_alone_for_its_owner_and_once() {
        let folder = folder();
        let keys = folder.path().join("keys");
        assert!(FactorKeys::open(&keys, false, NOW).unwrap().current().all().is_empty());
        assert!(!keys.exists());
        let opened = FactorKeys::open(&keys, true, NOW).unwrap();
        assert_eq!(opened.current().all().len(), 1);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = keys.join(&opened.current().all()[0].file);
        assert_eq!((mode(&keys), mode(&file)), (0o700, 0o600));
        assert_eq!(FactorKeys::open(&keys, true, NOW.plus(1)).unwrap().current().all().len(), 1);
        assert!(create(&keys, NOW).is_err(), "nothing is overwritten");
        create(&keys, NOW.plus(9)).unwrap();
        assert!(opened.refresh().unwrap() && !opened.refresh().unwrap());
        assert_eq!(opened.current().all().len(), 2);
        std::fs::write(keys.join("factors.2026-12-02T000000Z.key"), "broken").unwrap();
        assert!(opened.refresh().is_err());
        assert_eq!(opened.current().all().len(), 2, "what was there stays in use");
    }
}
