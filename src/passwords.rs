//! Passwords of users and secrets of clients: who has proven one.
//!
//! A hash costs about 20 ms and 19 MiB, so it runs off the async threads behind a gate (`gate`): at most cores - 1 at
//! a time (who has a turn asks the throttle before using it, so that what waits is not yet counted), a bounded queue behind
//! them, users and clients each at a gate of their own. A client's secret that was proven once is remembered by a keyed
//! digest and costs nothing again.
//!
//! `strength` says what a new password is worth. `argon2id` makes hashes; `forms` parses what a row may hold, by `foreign` and `identity` that of other programs; `floor` keeps
//! the time of a failure from telling which of them it is.

mod argon2id;
mod floor;
mod foreign;
mod forms;
mod gate;
mod identity;
mod strength;

pub use argon2id::HashError;
pub use forms::{registered_form, unusable, user_hash_fault};
pub use gate::{Busy, Turn};
pub use identity::identity_hash;
pub use strength::{SHORTEST, Strength, Weakness};

use crate::protocol::client::Client;
use crate::protocol::secret::{ClientSecret, Digest, Password};
use crate::protocol::text::{self, MAX_PASSWORD_BYTES};
use crate::protocol::time::NumericDate;
use argon2id::OUR_FORM;
use floor::Floor;
use forms::{Scheme, StoredForm};
use gate::Gate;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// How often the log names a row whose hash cannot be checked, and how many rows it knows of.
const TOLD_AGAIN: Duration = Duration::from_hours(1);
const TOLD: u64 = 1024;

/// How many proven secrets are remembered.
const REMEMBERED: u64 = 4096;

/// A secret longer than this is refused without being hashed; ours have 49 characters.
const MAX_SECRET_BYTES: usize = 1024;

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

    /// How many hashes a failure costs, whatever name it is typed for.
    const fn hashes(&self) -> u32 {
        if self.second.is_some() { 2 } else { 1 }
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
    params: argon2id::Parameters,
}

impl Renewal {
    /// Where `form`, parsed of `before`, was made of `typed`, as it was prepared or as it was typed.
    fn of(typed: Typed, is_as_typed: bool, form: &StoredForm, before: String) -> Option<Self> {
        // Such a password cannot be set any more, and what it would be prepared to another library may see otherwise.
        if typed.is_refused {
            return None;
        }
        let params = form.renewed(is_as_typed)?;
        Some(Self { password: typed.first, before, params })
    }

    /// The hash that is to be replaced.
    #[must_use]
    pub fn before(&self) -> &str {
        &self.before
    }
}

/// A user's hash as it is stored.
#[derive(Clone, Copy)]
pub struct StoredHash<'a> {
    /// In one of the forms that can be checked, or what should have been.
    pub hash: &'a str,
    /// It was made of a prepared password.
    pub is_prepared: bool,
}

/// The gates, and what was proven before.
pub struct Passwords {
    people: Gate,
    clients: Gate,
    /// Where new passwords are looked at, one at a time.
    judges: Gate,
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
    /// How long a failed sign-in takes at least.
    floor: Floor,
}

impl Passwords {
    /// Gates as wide as the machine allows: cores - 1, at least one.
    ///
    /// # Errors
    /// When argon2 refuses its parameters, which would be a fault of ours.
    pub fn new() -> Result<Self, HashError> {
        let width = std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1));
        let proof_key = Password::from_random(&crate::ambient::random::<32>()).expose().to_owned();
        Ok(Self {
            people: Gate::new(width),
            clients: Gate::new(width),
            judges: Gate::new(1),
            proven: moka::sync::Cache::new(REMEMBERED),
            dummy: hash(&proof_key)?.into(),
            proof_key,
            computed: Arc::new(AtomicU64::new(0)),
            renewed: AtomicU64::new(0),
            told: moka::sync::Cache::builder().max_capacity(TOLD).time_to_live(TOLD_AGAIN).build(),
            floor: Floor::default(),
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
        let is_prepared = stored.is_some_and(|stored| stored.is_prepared);
        let known = stored.and_then(|stored| Some((StoredForm::parse(stored.hash).ok()?, stored.hash.to_owned())));
        let (dummy, counter) = (self.dummy.clone(), self.computed.clone());
        turn.run(move || {
            let verify = |password: &Password| {
                counter.fetch_add(1, Ordering::SeqCst);
                match &known {
                    Some((form, _)) => form.matches(password.expose()),
                    None => verify(password.expose(), &dummy),
                }
            };
            let is_as_prepared = verify(&typed.first);
            let is_as_typed = !is_as_prepared && typed.second.as_ref().is_some_and(verify) && !is_prepared;
            match known {
                Some((form, before)) if is_as_prepared || is_as_typed => {
                    Verdict::Right(Renewal::of(typed, is_as_typed, &form, before))
                }
                _ => Verdict::Wrong,
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
        let made = turn.run(move || argon2id::hash_with(renewal.password.expose(), renewal.params).ok()).await?;
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
        for hash in valid.extract_if(.., |hash| unusable_secret(hash).is_some()) {
            self.tell_of("client_secrets", &client.client_id, unusable_secret(&hash));
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
        if secret.expose().len() > MAX_SECRET_BYTES || unusable_secret(&newest.secret_hash).is_some() {
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

    /// Learns which forms of hashes other than our own users have, each by how it begins; the time of a form that is new is
    /// measured by computing one, a turn each. Failed sign-ins are answered no earlier than the dearest of them needs.
    ///
    /// # Errors
    /// `Busy` when the queue is full; what was known before holds.
    pub async fn learn_forms(&self, found: Vec<String>) -> Result<(), Busy> {
        let mut times = BTreeMap::new();
        for form in found {
            // Nothing is computed by one that cannot be checked.
            let Ok(scheme) = Scheme::parse(&form) else { continue };
            times.insert(form.clone(), self.time_of(&form, scheme).await?);
        }
        // The dummy of a name that no user has is of ours.
        if let (false, Ok(ours)) = (times.is_empty(), Scheme::parse(OUR_FORM)) {
            times.insert(OUR_FORM.to_owned(), self.time_of(OUR_FORM, ours).await?);
        }
        let forms = times.len();
        if let Some(floor) = self.floor.set(times) {
            let milliseconds = floor.as_millis();
            tracing::info!(
                milliseconds,
                forms,
                "failed sign-ins are answered no earlier than the dearest form of password hashes needs"
            );
        }
        Ok(())
    }

    /// The time of one hash of a form, measured where it is not known.
    async fn time_of(&self, form: &str, scheme: Scheme) -> Result<Duration, Busy> {
        if let Some(time) = self.floor.time_of(form) {
            return Ok(time);
        }
        let turn = self.turn_for_person().await?;
        turn.run(move || {
            let started = Instant::now();
            scheme.compute_dummy();
            started.elapsed()
        })
        .await
    }

    /// From when on a failure may be answered of what is checked from now on: the floor, for each of its hashes. `None`: at once,
    /// as all hashes are of our form.
    #[must_use]
    pub fn answer_from(&self, typed: &Typed) -> Option<Instant> {
        self.floor.answer_from(typed.hashes())
    }

    /// Waits until a failure may be answered. The turn is given back before, and no connection is held.
    pub async fn hold_back(&self, until: Option<Instant>) {
        self.floor.wait(until).await;
    }

    /// How long a failed sign-in takes at least, for each hash that is computed for it.
    #[must_use]
    pub fn floor(&self) -> Duration {
        self.floor.current()
    }

    /// How many failures had to wait for the floor, and how many waited for it at once at most.
    #[must_use]
    pub fn held_back(&self) -> (usize, usize) {
        self.floor.waited()
    }

    /// How many hashes are computed at once for users at most.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.people.width()
    }

    /// Tells the log, once an hour, of a row whose hash cannot be checked, and why: nothing proves it, and its owner cannot
    /// know.
    pub fn tell_of(&self, table: &'static str, owner: &str, why: Option<&'static str>) {
        let Some(why) = why else { return };
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
        self.people.most().max(self.clients.most())
    }

    /// How many hashes of proven passwords were made anew, beside those that `computed` counts.
    #[must_use]
    pub fn renewed(&self) -> u64 {
        self.renewed.load(Ordering::SeqCst)
    }

    /// How many hashes this process has computed for sign-ins and clients.
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
pub fn hash(text: &str) -> Result<String, HashError> {
    argon2id::hash_with(text, argon2id::our_parameters()?)
}

/// Why the stored hash of a client's secret cannot be checked, so that nothing ever proves it; `None` when it can.
#[must_use]
pub fn unusable_secret(text: &str) -> Option<&'static str> {
    argon2id::Stored::parse(text).err()
}

/// Why a text is not a hash that a client's secret can be registered by; `None` when it is.
#[must_use]
pub fn hash_fault(text: &str) -> Option<&'static str> {
    match argon2id::Stored::parse(text) {
        Ok(stored) if !stored.is_argon2id() => Some("it is not argon2id"),
        Ok(_) => None,
        Err(why) => Some(why),
    }
}

/// Why an argon2 hash is too cheap to protect what it was made of; `None` when it is not.
#[must_use]
pub fn hash_weakness(text: &str) -> Option<&'static str> {
    argon2id::Stored::parse(text).ok()?.weakness()
}

/// Whether `stored` was made of `text`. The cost is the stored hash's own within the bounds, so hashes from elsewhere keep
/// working.
fn verify(text: &str, stored: &str) -> bool {
    StoredForm::parse(stored).is_ok_and(|stored| stored.matches(text))
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

    fn with(parameters: &str) -> String {
        format!("$argon2id$v=19${parameters}$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g")
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

    /// A client's secret is of ours or of an argon2id library: nothing makes its hash anew.
    #[tokio::test]
    async fn the_hash_of_a_clients_secret_is_argon2_and_nothing_else() {
        let passwords = Passwords::new().unwrap();
        let hashes =
            include_str!("../tests/vectors/passwords.tsv").lines().filter(|line| line.contains("\"correct horse\""));
        for line in hashes.filter(|line| !line.starts_with("argon2") && !line.starts_with("identity")) {
            let secret_hash = line.rsplit('\t').next().unwrap().to_owned();
            assert!(verify("correct horse", &secret_hash) && unusable_secret(&secret_hash).is_some(), "{line}");
            let mut client = crate::protocol::client::tests::client(&[]);
            client.secrets = vec![crate::protocol::client::HashedSecret { secret_hash, expires_at: None }];
            let (turn, secret) = (passwords.turn_for_client().await.unwrap(), ClientSecret::received("correct horse"));
            assert!(!passwords.verify_client(turn, &client, &secret, NumericDate(1)).await.unwrap(), "{line}");
        }
    }

    /// One that cannot be checked is not measured, and a form is measured once.
    #[tokio::test]
    async fn the_forms_that_are_stored_set_how_long_a_failure_takes() {
        let passwords = Passwords::new().unwrap();
        let typed = Typed::new(Password::received("wro\u{308}ng"));
        let learn = async |forms: &[&str]| {
            passwords.learn_forms(forms.iter().map(|form| (*form).to_owned()).collect()).await.unwrap();
            passwords.floor()
        };
        assert_eq!(learn(&["$argon2id$v=19$m=4294967295,t=1,p=1$", "$2b$31$", "rubbish", ""]).await, Duration::ZERO);
        assert_eq!(passwords.answer_from(&typed), None);
        // Not even what is cheaper than ours is answered earlier than the dummy of ours.
        let of_cheap = learn(&["$pbkdf2-sha1$i=1000,l=32$"]).await;
        let ours = passwords.floor.time_of(OUR_FORM).unwrap();
        assert!(of_cheap >= ours && ours > passwords.floor.time_of("$pbkdf2-sha1$i=1000,l=32$").unwrap());
        let of_dear = learn(&["$pbkdf2-sha1$i=1000,l=32$", "$argon2id$v=19$m=131072,t=4,p=1$"]).await;
        assert!(of_dear > of_cheap && of_dear <= Duration::from_secs(1), "{of_dear:?}");
        assert_eq!(passwords.floor.time_of(OUR_FORM), Some(ours), "it was measured again");
        let before = Instant::now();
        assert!(passwords.answer_from(&typed).unwrap() >= before + of_dear * 2, "two hashes, whatever the name");
        assert_eq!(learn(&[]).await, Duration::ZERO);
        assert_eq!(passwords.computed(), 0, "budgets count what requests cost");
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
