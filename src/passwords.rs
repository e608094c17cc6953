//! argon2id, and the only file that names it: passwords of users and secrets of clients.
//!
//! A hash costs about 20 ms and 19 MiB, so it runs off the async threads behind a gate: at most cores - 1 at
//! a time (who has a turn asks the throttle before using it, so that what waits is not yet counted), a bounded queue behind
//! them, users and clients each at a gate of their own. A client's secret that was proven once is remembered by a keyed
//! digest and costs nothing again.

use crate::protocol::client::Client;
use crate::protocol::secret::{ClientSecret, Digest, Password};
use crate::protocol::text::{self, MAX_PASSWORD_BYTES};
use crate::protocol::time::NumericDate;
use argon2::password_hash::{PasswordHash, PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

/// argon2id with 19 MiB, two passes, one lane: the first choice of the OWASP password storage cheat sheet.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const SALT_BYTES: usize = 16;

/// The most a stored hash may cost, wherever it came from: at a sign-in it takes memory and time of all. 128 MiB, 16
/// passes and lanes, and about half a second: as much as 1 GiB once. More than libraries and cheat sheets recommend.
const MOST_MEMORY_KIB: u32 = 128 * 1024;
const MOST_PASSES: u32 = 16;
const MOST_LANES: u32 = 16;
const MOST_WORK: u64 = 1024 * 1024;

/// How often the log names a row whose hash cannot be checked, and how many rows it knows of.
const TOLD_AGAIN: Duration = Duration::from_hours(1);
const TOLD: u64 = 1024;

/// How many may wait at a gate before newcomers are turned away.
const QUEUE: usize = 128;

/// How many proven secrets are remembered.
const REMEMBERED: u64 = 4096;

/// A secret longer than this is refused without being hashed; ours have 49 characters.
const MAX_SECRET_BYTES: usize = 1024;

/// Too many hashes are waiting already: answer 503 and let the caller come again.
#[derive(Debug, thiserror::Error)]
#[error("too many password checks are waiting")]
pub struct Busy;

/// A gate that lets so many through at once and so many wait.
struct Gate {
    running: Arc<Semaphore>,
    width: usize,
    waiting: AtomicUsize,
    /// The most that ever ran at once.
    most: AtomicUsize,
}

impl Gate {
    fn new(width: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(width)),
            width,
            waiting: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }
    }

    /// Waits for its turn.
    async fn enter(&self) -> Result<Turn, Busy> {
        let place = Place::take(&self.waiting)?;
        let permit = self.running.clone().acquire_owned().await.map_err(|_| Busy)?;
        drop(place);
        self.most.fetch_max(self.width - self.running.available_permits(), Ordering::SeqCst);
        Ok(Turn(permit))
    }
}

/// A turn at a gate: one hash, or none if it is dropped.
pub struct Turn(OwnedSemaphorePermit);

impl Turn {
    async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        // The permit goes along: a caller who hangs up does not make the hash end earlier.
        tokio::task::spawn_blocking(move || {
            let Self(_permit) = self;
            work()
        })
        .await
        .map_err(|_| Busy)
    }
}

/// A place in a gate's queue, given back when it is dropped, also by a caller who goes away.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self, Busy> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::SeqCst) < QUEUE { Ok(place) } else { Err(Busy) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A password as a person typed it at a sign-in: what its hash may be of.
pub struct Typed {
    /// As RFC 8265 prepares it; what it refuses is in no row that we wrote, and stays as it was typed.
    first: Password,
    /// As it was typed, where that is another text.
    second: Option<Password>,
    /// RFC 8265 refuses it.
    is_refused: bool,
}

impl Typed {
    /// Prepares what was typed. No user has a password that is too long, and it is not looked at.
    #[must_use]
    pub fn new(typed: Password) -> Self {
        let typed = if typed.expose().len() > MAX_PASSWORD_BYTES { Password::received("") } else { typed };
        match text::prepare(&typed) {
            Ok(first) if first.expose() == typed.expose() => Self { first, second: None, is_refused: false },
            Ok(first) => Self { first, second: Some(typed), is_refused: false },
            Err(_) => Self { first: typed, second: None, is_refused: true },
        }
    }
}

/// What a check of a person's password came to.
pub enum Verdict {
    /// It is not the password.
    Wrong,
    /// It is, and the hash is to be made anew where it is not as we would make it now.
    Right(Option<Renewal>),
}

/// A proven password whose hash is not as we would make it now.
pub struct Renewal {
    password: Password,
    before: String,
    params: Params,
}

impl Renewal {
    /// Where `stored` was made of `typed`, as it was prepared or as it was typed.
    fn of(typed: Typed, is_as_typed: bool, stored: &str) -> Option<Self> {
        // Such a password cannot be set any more, and what it would be prepared to another library may see otherwise.
        if typed.is_refused {
            return None;
        }
        let params = renewed_params(stored, is_as_typed)?;
        Some(Self { password: typed.first, before: stored.to_owned(), params })
    }

    /// The hash that is to be replaced.
    #[must_use]
    pub fn before(&self) -> &str {
        &self.before
    }
}

/// By which parameters to hash the password of a hash again; `None` where the hash is good as it is. What costs more memory or
/// more work than ours do, an operator chose so: it is not made cheaper.
fn renewed_params(stored: &str, is_as_typed: bool) -> Option<Params> {
    let (parsed, params) = bounded(stored).ok()?;
    let ours = Params::new(MEMORY_KIB, PASSES, 1, None).ok()?;
    let cost = |params: &Params| (params.m_cost(), u64::from(params.m_cost()) * u64::from(params.t_cost()));
    let ((memory, work), (our_memory, our_work)) = (cost(&params), cost(&ours));
    let costs_more = memory > our_memory || work > our_work;
    let mut salt = [0; 64];
    let salt_bytes = parsed.salt?.decode_b64(&mut salt).map_or(0, <[u8]>::len);
    let is_our_form = parsed.algorithm == Algorithm::Argon2id.ident()
        && parsed.version == Some(Version::V0x13.into())
        && params.keyid().is_empty()
        && params.data().is_empty()
        && salt_bytes >= SALT_BYTES
        && parsed.hash.is_some_and(|hash| hash.len() >= Params::DEFAULT_OUTPUT_LEN);
    let is_ours = memory == our_memory && work == our_work && params.p_cost() == ours.p_cost();
    if is_our_form && !is_as_typed && (is_ours || costs_more) {
        return None;
    }
    if costs_more { Params::new(memory, params.t_cost(), params.p_cost(), None).ok() } else { Some(ours) }
}

/// A user's hash as it is stored.
#[derive(Clone, Copy)]
pub struct StoredHash<'a> {
    /// argon2id in PHC form, or what should have been.
    pub hash: &'a str,
    /// It was made of a prepared password.
    pub is_prepared: bool,
}

/// The gates, and what was proven before.
pub struct Passwords {
    people: Gate,
    clients: Gate,
    /// Keyed digest of a proven secret → the hash that it proved.
    proven: moka::sync::Cache<Digest, Arc<str>>,
    /// The key of those digests, of this process only.
    proof_key: String,
    /// A hash that no password has, for names that no user has.
    dummy: Arc<str>,
    /// Hashes computed so far; budgets are asserted on it.
    computed: Arc<AtomicU64>,
    /// Hashes made anew so far.
    renewed: AtomicU64,
    /// Rows with a hash that cannot be checked, as logged a while ago.
    told: moka::sync::Cache<String, ()>,
}

impl Passwords {
    /// Gates as wide as the machine allows: cores - 1, at least one.
    ///
    /// # Errors
    /// When argon2 refuses its parameters, which would be a fault of ours.
    pub fn new() -> Result<Self, argon2::password_hash::Error> {
        let width = std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1));
        let proof_key = Password::from_random(&crate::ambient::random::<32>()).expose().to_owned();
        Ok(Self {
            people: Gate::new(width),
            clients: Gate::new(width),
            proven: moka::sync::Cache::new(REMEMBERED),
            dummy: hash(&proof_key)?.into(),
            proof_key,
            computed: Arc::new(AtomicU64::new(0)),
            renewed: AtomicU64::new(0),
            told: moka::sync::Cache::builder().max_capacity(TOLD).time_to_live(TOLD_AGAIN).build(),
        })
    }

    /// Waits for a turn to check a person's password.
    ///
    /// # Errors
    /// `Busy` when the queue is full.
    pub async fn turn_for_person(&self) -> Result<Turn, Busy> {
        self.people.enter().await
    }

    /// Waits for a turn to check a client's secret.
    ///
    /// # Errors
    /// `Busy` when the queue is full.
    pub async fn turn_for_client(&self) -> Result<Turn, Busy> {
        self.clients.enter().await
    }

    /// Whether `typed` is the password behind `stored`: as RFC 8265 prepares it, or else as it was typed where the hash may be
    /// of before passwords were prepared. What is typed in another form than it is prepared costs two hashes, whatever name
    /// it is typed for; without a stored hash (unknown user, or one without a password) or with one that cannot be checked,
    /// they are computed all the same. So the answer takes the same time.
    ///
    /// # Errors
    /// `Busy` when the process is ending.
    pub async fn verify_person(
        &self,
        turn: Turn,
        typed: Typed,
        stored: Option<StoredHash<'_>>,
    ) -> Result<Verdict, Busy> {
        let stored = stored.filter(|stored| unusable(stored.hash).is_none());
        let (is_known, is_prepared) = (stored.is_some(), stored.is_some_and(|stored| stored.is_prepared));
        let stored = stored.map_or_else(|| self.dummy.clone(), |stored| Arc::from(stored.hash));
        let counter = self.computed.clone();
        turn.run(move || {
            let verify = |password: &Password| {
                counter.fetch_add(1, Ordering::SeqCst);
                verify(password.expose(), &stored)
            };
            let is_as_prepared = verify(&typed.first);
            let is_as_typed = !is_as_prepared && typed.second.as_ref().is_some_and(verify) && !is_prepared;
            if is_known && (is_as_prepared || is_as_typed) {
                Verdict::Right(Renewal::of(typed, is_as_typed, &stored))
            } else {
                Verdict::Wrong
            }
        })
        .await
    }

    /// Hashes a proven password as we would now; one more turn at the gate of users, after those who wait there. `None`:
    /// argon2 refuses it.
    ///
    /// # Errors
    /// `Busy` when the queue is full.
    pub async fn renew(&self, renewal: Renewal) -> Result<Option<String>, Busy> {
        let turn = self.turn_for_person().await?;
        let made = turn.run(move || hash_with(renewal.password.expose(), renewal.params).ok()).await?;
        self.renewed.fetch_add(u64::from(made.is_some()), Ordering::SeqCst);
        Ok(made)
    }

    /// Whether `secret` was proven before and its hash is still registered and unexpired; costs no hash.
    #[must_use]
    pub fn is_proven(&self, client: &Client, secret: &ClientSecret, now: NumericDate) -> bool {
        self.proven.get(&self.proof(client, secret)).is_some_and(|hash| unexpired(client, now).contains(&hash))
    }

    fn proof(&self, client: &Client, secret: &ClientSecret) -> Digest {
        Digest::of(&["proof", &self.proof_key, &client.client_id, secret.expose()])
    }

    /// Whether `secret` is one of the client's unexpired ones; remembered when it is.
    ///
    /// # Errors
    /// `Busy` when the process is ending.
    pub async fn verify_client(
        &self,
        turn: Turn,
        client: &Client,
        secret: &ClientSecret,
        now: NumericDate,
    ) -> Result<bool, Busy> {
        if secret.expose().len() > MAX_SECRET_BYTES {
            // As long as any other, so that its length does not tell which clients there are.
            return self.verify_dummy(turn).await.map(|()| false);
        }
        if self.is_proven(client, secret, now) {
            return Ok(true);
        }
        let mut valid = unexpired(client, now);
        for hash in valid.extract_if(.., |hash| unusable(hash).is_some()) {
            self.tell_of("client_secrets", &client.client_id, &hash);
        }
        let candidates = if valid.is_empty() { vec![self.dummy.clone()] } else { valid.clone() };
        let text = Zeroizing::new(secret.expose().to_owned());
        let counter = self.computed.clone();
        let proven = turn
            .run(move || {
                candidates.into_iter().find(|hash| {
                    counter.fetch_add(1, Ordering::SeqCst);
                    verify(&text, hash)
                })
            })
            .await?;
        match proven {
            Some(hash) if valid.contains(&hash) => {
                self.proven.insert(self.proof(client, secret), hash);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Until when a secret was good that is not any more: it is compared with the secret that ended last. `None`: it is another,
    /// or there is too much to do to find out.
    pub async fn ended_secret(&self, client: &Client, secret: &ClientSecret, now: NumericDate) -> Option<NumericDate> {
        let past = client.secrets.iter().filter(|hashed| hashed.expires_at.is_some_and(|end| end.is_past(now)));
        let newest = past.max_by_key(|hashed| hashed.expires_at)?;
        if secret.expose().len() > MAX_SECRET_BYTES || unusable(&newest.secret_hash).is_some() {
            return None;
        }
        let turn = self.turn_for_client().await.ok()?;
        let (text, hash) = (Zeroizing::new(secret.expose().to_owned()), newest.secret_hash.clone());
        let was_good = turn.run(move || verify(&text, &hash)).await.ok()?;
        newest.expires_at.filter(|_| was_good)
    }

    /// Computes a hash that proves nothing, where no user or client could be proven.
    ///
    /// # Errors
    /// `Busy` when the process is ending.
    pub async fn verify_dummy(&self, turn: Turn) -> Result<(), Busy> {
        self.verify_person(turn, Typed::new(Password::received("")), None).await.map(drop)
    }

    /// Tells the log, once an hour, of a row whose hash cannot be checked: nothing proves it, and its owner cannot know why.
    pub fn tell_of(&self, table: &'static str, owner: &str, stored: &str) {
        let Some(why) = unusable(stored) else { return };
        let row = format!("{table} {owner}");
        if self.told.get(&row).is_none() {
            self.told.insert(row, ());
            tracing::warn!(
                table,
                owner,
                why,
                "a hash cannot be checked, so nothing proves it; a new password or secret does"
            );
        }
    }

    /// The most hashes that were ever computed at once at one of the two gates.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.people.most.load(Ordering::SeqCst).max(self.clients.most.load(Ordering::SeqCst))
    }

    /// How many hashes of proven passwords were made anew, beside those that `computed` counts.
    #[must_use]
    pub fn renewed(&self) -> u64 {
        self.renewed.load(Ordering::SeqCst)
    }

    /// How many argon2 hashes this process has computed for sign-ins and clients.
    #[must_use]
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::SeqCst)
    }
}

/// The hashes of a client that are good now.
fn unexpired(client: &Client, now: NumericDate) -> Vec<Arc<str>> {
    client
        .secrets
        .iter()
        .filter(|hashed| hashed.expires_at.is_none_or(|end| !end.is_past(now)))
        .map(|hashed| hashed.secret_hash.as_str().into())
        .collect()
}

/// Hashes a password or a secret: argon2id in PHC form, with a salt of 128 random bits.
///
/// # Errors
/// When argon2 refuses the input, such as one longer than 4 GiB.
pub fn hash(text: &str) -> Result<String, argon2::password_hash::Error> {
    hash_with(text, Params::new(MEMORY_KIB, PASSES, 1, None)?)
}

fn hash_with(text: &str, params: Params) -> Result<String, argon2::password_hash::Error> {
    let salt = SaltString::encode_b64(&crate::ambient::random::<SALT_BYTES>())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Ok(argon2.hash_password(text.as_bytes(), &salt)?.to_string())
}

/// A stored hash, taken apart: its parameters and itself. Nothing is allocated by its word before it was bounded here.
fn bounded(text: &str) -> Result<(PasswordHash<'_>, Params), &'static str> {
    let parsed =
        PasswordHash::new(text).map_err(|_| "it is not a PHC string ($argon2id$v=19$m=…,t=…,p=…$salt$hash)")?;
    Algorithm::try_from(parsed.algorithm).map_err(|_| "it is not argon2id")?;
    if parsed.salt.is_none() || parsed.hash.is_none() {
        return Err("its salt or its hash is missing");
    }
    let params = Params::try_from(&parsed).map_err(|_| "its parameters are not those of argon2")?;
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    let is_bounded = params.m_cost() <= MOST_MEMORY_KIB
        && params.t_cost() <= MOST_PASSES
        && params.p_cost() <= MOST_LANES
        && work <= MOST_WORK;
    if is_bounded {
        Ok((parsed, params))
    } else {
        Err(
            "its cost is so high that checking it would stop the server; at most m=131072 (128 MiB), t=16, p=16, and m times t 1048576",
        )
    }
}

/// Why a stored hash cannot be checked, so that nothing ever proves it; `None` when it can.
#[must_use]
pub fn unusable(text: &str) -> Option<&'static str> {
    bounded(text).err()
}

/// Why a text is not a hash that can be registered; `None` when it is.
#[must_use]
pub fn hash_fault(text: &str) -> Option<&'static str> {
    match bounded(text) {
        Ok((parsed, _)) if parsed.algorithm.as_str() != "argon2id" => Some("it is not argon2id"),
        Ok(_) => None,
        Err(why) => Some(why),
    }
}

/// Why an argon2id hash is too cheap to protect what it was made of; `None` when it is not. The least is the cheapest
/// choice of the OWASP password storage cheat sheet: 7 MiB with five passes, or what costs as much.
#[must_use]
pub fn hash_weakness(text: &str) -> Option<&'static str> {
    const LEAST_MEMORY_KIB: u32 = 7 * 1024;
    const LEAST_WORK: u64 = 7 * 1024 * 5;
    let parsed = PasswordHash::new(text).ok()?;
    let params = Params::try_from(&parsed).ok()?;
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    if params.m_cost() < LEAST_MEMORY_KIB || work < LEAST_WORK {
        return Some("its cost is so low that it can be guessed quickly; at least m=19456,t=2,p=1");
    }
    let mut salt = [0; 64];
    let salt_bytes = parsed.salt.and_then(|salt_text| salt_text.decode_b64(&mut salt).ok().map(<[u8]>::len));
    if salt_bytes.is_some_and(|bytes| bytes < 8) || parsed.hash.is_some_and(|hash| hash.len() < 16) {
        return Some("its salt or its hash is too short; at least 8 and 16 bytes");
    }
    None
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

/// Whether `stored` was made of `text`. The cost is the stored hash's own within the bounds, so hashes from elsewhere keep
/// working.
fn verify(text: &str, stored: &str) -> bool {
    let matches = || {
        let (parsed, params) = bounded(stored).ok()?;
        let algorithm = Algorithm::try_from(parsed.algorithm).ok()?;
        let version = match parsed.version {
            Some(version) => Version::try_from(version).ok()?,
            None => Version::default(),
        };
        let expected = parsed.hash?;
        let mut salt = [0; 64];
        let salt = parsed.salt?.decode_b64(&mut salt).ok()?;
        let mut made = Zeroizing::new(vec![0; expected.len()]);
        let argon2 = Argon2::new(algorithm, version, params);
        let computed = with_memory(argon2.params().block_count(), |memory| {
            argon2.hash_password_into_with_memory(text.as_bytes(), salt, &mut made, memory)
        });
        computed.ok()?;
        Some(bool::from(made.ct_eq(expected.as_bytes())))
    };
    matches().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_verifies_its_text_and_nothing_else() {
        let stored = hash("correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify("correct horse", &stored));
        for wrong in ["correct hors", "correct horse\0", "Correct horse", ""] {
            assert!(!verify(wrong, &stored), "{wrong:?}");
        }
        assert!(!verify("correct horse", "not a hash"));
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

    /// RFC 8265 section 4.2; a hash of before is found by what was typed, and the time does not tell.
    #[tokio::test]
    async fn what_is_typed_is_tried_as_it_is_prepared_and_then_as_it_is() {
        const COMPOSED: &str = "Ísafjörður";
        const DECOMPOSED: &str = "I\u{301}safjo\u{308}rður";
        let passwords = Passwords::new().unwrap();
        let (of_composed, of_decomposed) = (hash(COMPOSED).unwrap(), hash(DECOMPOSED).unwrap());
        for (typed, stored, is_right, costs) in [
            (COMPOSED, Some((&of_composed, true)), true, 1),
            (DECOMPOSED, Some((&of_composed, true)), true, 1),
            (DECOMPOSED, Some((&of_composed, false)), true, 1),
            (DECOMPOSED, Some((&of_decomposed, false)), true, 2),
            // No code writes such a row: what marks it prepares the password first.
            (DECOMPOSED, Some((&of_decomposed, true)), false, 2),
            (COMPOSED, Some((&of_decomposed, false)), false, 1),
            (COMPOSED, None, false, 1),
            (DECOMPOSED, None, false, 2),
            ("wrong", Some((&of_composed, false)), false, 1),
            ("wro\u{308}ng", Some((&of_composed, true)), false, 2),
            ("wro\u{308}ng", Some((&of_composed, false)), false, 2),
            ("not allowed: \u{7}", Some((&of_composed, false)), false, 1),
        ] {
            let before = passwords.computed();
            let turn = passwords.turn_for_person().await.unwrap();
            let stored = stored.map(|(hash, is_prepared)| StoredHash { hash, is_prepared });
            let typed_password = Typed::new(Password::received(typed));
            let verdict = passwords.verify_person(turn, typed_password, stored).await.unwrap();
            assert_eq!(matches!(verdict, Verdict::Right(_)), is_right, "{typed}");
            assert_eq!(passwords.computed() - before, costs, "{typed}");
        }
    }

    /// In memory and in work; what is dearer stays.
    #[test]
    fn a_hash_is_made_anew_by_our_parameters_and_never_cheaper() {
        let made = hash("x").unwrap();
        let (salt, long) = ("c2FsdHNhbHRzYWx0c2FsdA", "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g");
        let of = |start: &str| format!("${start}${salt}${long}");
        let cost = |stored: &str, is_as_typed| {
            renewed_params(stored, is_as_typed).map(|params| (params.m_cost(), params.t_cost(), params.p_cost()))
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
        assert!(
            Renewal::of(Typed::new(Password::received("a\tb")), false, &of("argon2id$v=19$m=8192,t=1,p=1")).is_none()
        );
    }

    #[test]
    fn only_argon2id_can_be_registered() {
        assert_eq!(hash_fault(&hash("x").unwrap()), None);
        for bad in [
            "secret",
            "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
            "$2b$10$abcdefghijklmnopqrstuv",
            "$argon2id$v=19$m=19456,t=2,p=1",
        ] {
            assert!(hash_fault(bad).is_some(), "{bad}");
        }
    }

    fn with(parameters: &str) -> String {
        format!("$argon2id$v=19${parameters}$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g")
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
                assert!(!verify("x", &hash), "{hash}");
            }
        }
    }

    /// The answer takes the same time and the same work as for any other.
    #[tokio::test]
    async fn a_hash_that_cannot_be_checked_is_wrong_after_a_hash_of_the_usual_cost() {
        let passwords = Passwords::new().unwrap();
        for stored in [with("m=4294967295,t=1,p=1"), with("m=1048576,t=16,p=1"), "no hash".to_owned(), String::new()] {
            let before = passwords.computed();
            let turn = passwords.turn_for_person().await.unwrap();
            let of_a_person = StoredHash { hash: &stored, is_prepared: false };
            let typed = Typed::new(Password::received("x"));
            let verdict = passwords.verify_person(turn, typed, Some(of_a_person)).await.unwrap();
            assert!(matches!(verdict, Verdict::Wrong));
            assert_eq!(passwords.computed(), before + 1, "{stored}");

            let mut client = crate::protocol::client::tests::client(&[]);
            let hashed = |secret_hash| crate::protocol::client::HashedSecret { secret_hash, expires_at: None };
            client.secrets = vec![hashed(stored.clone())];
            let secret = ClientSecret::received("s3cret");
            let turn = passwords.turn_for_client().await.unwrap();
            assert!(!passwords.verify_client(turn, &client, &secret, NumericDate(1)).await.unwrap());
            assert_eq!(passwords.computed(), before + 2, "{stored}");
            // A good one beside it is good.
            client.secrets.push(hashed(hash("s3cret").unwrap()));
            let turn = passwords.turn_for_client().await.unwrap();
            assert!(passwords.verify_client(turn, &client, &secret, NumericDate(1)).await.unwrap());
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

    #[tokio::test]
    async fn a_full_queue_turns_newcomers_away() {
        let gate = Gate::new(1);
        gate.waiting.store(QUEUE, Ordering::SeqCst);
        assert!(gate.enter().await.is_err());
        assert_eq!(gate.waiting.load(Ordering::SeqCst), QUEUE);
        gate.waiting.store(0, Ordering::SeqCst);
        assert!(gate.enter().await.unwrap().run(|| ()).await.is_ok());
        assert_eq!(gate.waiting.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_proven_secret_is_not_hashed_again_and_is_forgotten_with_its_row() {
        let passwords = Passwords::new().unwrap();
        let mut client = crate::protocol::client::tests::client(&[]);
        let secret = ClientSecret::received("s3cret");
        client.secrets = vec![crate::protocol::client::HashedSecret {
            secret_hash: hash("s3cret").unwrap(),
            expires_at: Some(NumericDate(10)),
        }];
        let verify = async |now| {
            let turn = passwords.turn_for_client().await.unwrap();
            passwords.verify_client(turn, &client, &secret, NumericDate(now)).await.unwrap()
        };
        assert!(verify(9).await);
        let before = passwords.computed();
        assert!(verify(9).await);
        assert_eq!(passwords.computed(), before);
        assert!(!verify(10).await);
    }
}
