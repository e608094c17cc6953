//! The directory: clients, users, what is known of them, and consents as they were at most ten seconds ago.
//!
//! An entry is served as it is while it is fresh, refreshed in the background when it grows old, and read
//! again before it is served once it is too old. Absence is never cached, so a client works the moment its
//! row is committed, by hand or by a command. On a database error what is known is served on, for an hour; one request
//! at a time finds out whether the database is back, and the others do not wait for that. What many want at once is read
//! once (`shelf`), and what is kept is bounded by its bytes (`weight`).

mod shelf;
mod weight;

use crate::protocol::authorization::Allowed;
use crate::protocol::claims::User;
use crate::protocol::client::Client;
use crate::protocol::facts::Facts;
use crate::protocol::grant::SignIn;
use crate::protocol::secret::Handle;
use crate::protocol::time::NumericDate;
use crate::store::clients::Offered;
use crate::store::db::Db;
use crate::store::refresh_families::{self, Family};
use crate::store::{StoreError, clients, consents, facts, timely, users};
use moka::Equivalent;
use shelf::{Asked, Believed, Entry, Shelf};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Seconds after which an entry is refreshed in the background.
const FRESH: i64 = 4;
/// Seconds after which it is not served without being read again: every node has seen a change within ten.
const STALE: i64 = 9;
/// Seconds for which it is served on while the database does not answer.
const MAX_STALE: i64 = 3600;
/// Seconds for which a database that did not answer is left alone where something is known: finding out takes
/// as long as a connection may.
const RETRY_AFTER: i64 = 10;
/// How far the clocks of two nodes may be apart, in seconds: beyond that `doctor` calls it a fault.
const CLOCKS: i64 = 60;
/// What `Directory::away_since` says of a database that answers.
const ANSWERS: i64 = i64::MIN;

/// How many bytes the caches hold at most, 32 MiB together: users are the most and the largest of what is kept.
const CLIENT_BYTES: u64 = 8 << 20;
const USER_BYTES: u64 = 12 << 20;
const FACT_BYTES: u64 = 3 << 20;
const OFFERED_BYTES: u64 = 1 << 20;
const CONSENT_BYTES: u64 = 4 << 20;
const FAMILY_BYTES: u64 = 4 << 20;

/// Whose consent to what.
#[derive(Clone, PartialEq, Eq)]
struct Pair {
    sub: String,
    client_id: String,
}

/// The same, as it is asked for.
struct PairAsked<'a> {
    sub: &'a str,
    client_id: &'a str,
}

impl Hash for Pair {
    fn hash<H: Hasher>(&self, state: &mut H) {
        PairAsked { sub: &self.sub, client_id: &self.client_id }.hash(state);
    }
}

impl Hash for PairAsked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.sub, self.client_id).hash(state);
    }
}

impl Equivalent<Pair> for PairAsked<'_> {
    fn equivalent(&self, pair: &Pair) -> bool {
        self.sub == pair.sub && self.client_id == pair.client_id
    }
}

impl Asked<Pair> for PairAsked<'_> {
    fn key(&self) -> Pair {
        Pair { sub: self.sub.to_owned(), client_id: self.client_id.to_owned() }
    }
}

impl Asked<Self> for Handle {
    fn key(&self) -> Self {
        *self
    }
}

/// What a cache holds, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Of what: `clients`, `users`, `facts`, `offered`, `consents` or `families`.
    pub name: &'static str,
    /// How much it is, estimated by texts and containers.
    pub bytes: u64,
    /// How much it may be.
    pub most: u64,
}

/// What is known of a `client_id`.
pub enum Registered {
    /// It may ask.
    Enabled(Arc<Client>),
    /// It was disabled.
    Disabled(Arc<Client>),
    /// There is none.
    Nowhere,
}

/// What the provider knows of clients, users and consents.
pub struct Directory {
    db: Db,
    clients: Arc<Shelf<String, Client>>,
    users: Arc<Shelf<String, User>>,
    /// Groups and further claims of users, by `sub`.
    facts: Arc<Shelf<String, Facts>>,
    /// Scopes and claims beside the standard ones, all under one name.
    offered: Arc<Shelf<Handle, Offered>>,
    consents: Arc<Shelf<Pair, Allowed>>,
    /// What families of refresh tokens grant, which never changes; whether one is still valid, only its row says.
    families: Arc<Shelf<Handle, Family>>,
    nothing: Arc<Facts>,
    /// Since when the database is known not to answer.
    away_since: AtomicI64,
    /// Since when each question for readiness has found it so.
    silent_since: AtomicI64,
}

impl Directory {
    /// An empty directory over a database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self {
            db,
            clients: Shelf::new(CLIENT_BYTES, |id, client| id.len() + weight::client(client)),
            users: Shelf::new(USER_BYTES, |sub, user| sub.len() + weight::user(user)),
            facts: Shelf::new(FACT_BYTES, |sub, facts| sub.len() + weight::facts(facts)),
            offered: Shelf::new(OFFERED_BYTES, |_, offered| weight::offered(offered)),
            consents: Shelf::new(CONSENT_BYTES, |pair, allowed| {
                size_of::<Pair>() + pair.sub.len() + pair.client_id.len() + weight::allowed(allowed)
            }),
            families: Shelf::new(FAMILY_BYTES, |_, family| size_of::<Handle>() + weight::family(family)),
            nothing: Arc::default(),
            away_since: AtomicI64::new(ANSWERS),
            silent_since: AtomicI64::new(ANSWERS),
        }
    }

    /// What each cache holds, and may hold.
    #[must_use]
    pub fn held(&self) -> [Held; 6] {
        let held = |name, (bytes, most)| Held { name, bytes, most };
        [
            held("clients", self.clients.weight()),
            held("users", self.users.weight()),
            held("facts", self.facts.weight()),
            held("offered", self.offered.weight()),
            held("consents", self.consents.weight()),
            held("families", self.families.weight()),
        ]
    }

    /// A client by its id, unless it is disabled.
    ///
    /// # Errors
    /// The database failed and the client is not known.
    pub async fn client(&self, client_id: &str, now: NumericDate) -> Result<Option<Arc<Client>>, StoreError> {
        Ok(match self.registered(client_id, now).await? {
            Registered::Enabled(client) => Some(client),
            Registered::Disabled(_) | Registered::Nowhere => None,
        })
    }

    /// A client by its id, disabled or not: who it was matters to the operator alone.
    ///
    /// # Errors
    /// As `client`.
    pub async fn registered(&self, client_id: &str, now: NumericDate) -> Result<Registered, StoreError> {
        let read = || {
            let (db, id) = (self.db.clone(), client_id.to_owned());
            async move { clients::find(&db, &id).await }
        };
        Ok(match self.find(&self.clients, client_id, now, read).await? {
            Some(client) if client.disabled_at.is_some_and(|at| at <= now) => Registered::Disabled(client),
            Some(client) => Registered::Enabled(client),
            None => Registered::Nowhere,
        })
    }

    /// A user by their `sub`, disabled or not.
    ///
    /// # Errors
    /// The database failed and the user is not known.
    pub async fn user(&self, sub: &str, now: NumericDate) -> Result<Option<Arc<User>>, StoreError> {
        self.find(&self.users, sub, now, || self.read_user(sub)).await
    }

    /// The user of a sign-in, if it is still valid. What was read before the sign-in says nothing about it: another node may
    /// have let the user in with a password that was changed since then.
    ///
    /// # Errors
    /// As `user`.
    pub async fn person_of(&self, sign_in: &SignIn, now: NumericDate) -> Result<Option<Arc<User>>, StoreError> {
        let sub = &sign_in.sub;
        let Some(known) = self.user(sub, now).await? else { return Ok(None) };
        if sign_in.holds(&known) {
            return Ok(Some(known));
        }
        let is_newer = |entry: Arc<Entry<User>>| entry.read_at > sign_in.auth_time.plus(CLOCKS);
        if self.users.get(sub.as_str()).is_some_and(is_newer) || self.is_unreachable(now) {
            return Ok(None);
        }
        let found = timely(self.users.read(sub.as_str(), Believed::Nothing, now, &|| self.read_user(sub))).await?;
        Ok(found.filter(|user| sign_in.holds(user)))
    }

    /// Scopes and claims beside the standard ones.
    ///
    /// # Errors
    /// The database failed and nothing is known.
    pub async fn offered(&self, now: NumericDate) -> Result<Arc<Offered>, StoreError> {
        let read = || {
            let db = self.db.clone();
            async move { clients::offered(&db).await.map(Some) }
        };
        Ok(self.find(&self.offered, &Handle([0; 16]), now, read).await?.unwrap_or_default())
    }

    /// Groups and further claims of a user, where that client is told of them or decides by them; otherwise nothing is read.
    ///
    /// # Errors
    /// The database failed and nothing is known.
    pub async fn facts(&self, sub: &str, client: &Client, now: NumericDate) -> Result<Arc<Facts>, StoreError> {
        if !client.depends_on_facts() {
            return Ok(Arc::clone(&self.nothing));
        }
        let read = || {
            let (db, sub) = (self.db.clone(), sub.to_owned());
            async move { facts::find(&db, &sub).await.map(Some) }
        };
        Ok(self.find(&self.facts, sub, now, read).await?.unwrap_or_else(|| Arc::clone(&self.nothing)))
    }

    fn read_user(&self, sub: &str) -> impl Future<Output = Result<Option<User>, StoreError>> + Send + use<> {
        let (db, sub) = (self.db.clone(), sub.to_owned());
        async move { users::find(&db, &sub).await }
    }

    /// What a user allowed a client so far.
    ///
    /// # Errors
    /// The database failed and nothing is known.
    pub async fn consent(
        &self,
        sub: &str,
        client_id: &str,
        now: NumericDate,
    ) -> Result<Option<Arc<Allowed>>, StoreError> {
        let asked = PairAsked { sub, client_id };
        let read = || {
            let (db, pair) = (self.db.clone(), asked.key());
            async move { consents::find(&db, &pair.sub, &pair.client_id).await }
        };
        self.find(&self.consents, &asked, now, read).await
    }

    /// Remembers a consent and forgets what was known before.
    ///
    /// # Errors
    /// The database failed.
    pub async fn remember_consent(
        &self,
        sub: &str,
        client_id: &str,
        allowed: &Allowed,
        now: NumericDate,
    ) -> Result<(), StoreError> {
        timely(consents::remember(&self.db, sub, client_id, allowed, now)).await?;
        self.consents.forget(&PairAsked { sub, client_id }.key());
        Ok(())
    }

    /// Forgets what was known of a consent: it was taken back.
    pub fn forget_consent(&self, sub: &str, client_id: &str) {
        self.consents.forget(&PairAsked { sub, client_id }.key());
    }

    /// What a family of refresh tokens grants, whether or not it is still valid.
    ///
    /// # Errors
    /// The database failed.
    pub async fn family(&self, family: Handle, now: NumericDate) -> Result<Option<Arc<Family>>, StoreError> {
        if let Some(known) = self.families.get(&family) {
            return Ok(Some(known.value.clone()));
        }
        let read = || {
            let db = self.db.clone();
            async move { refresh_families::grant_of(&db, family).await }
        };
        timely(self.families.read(&family, Believed::Presence, now, &read)).await
    }

    /// Puts a family that was just started where its first refresh finds it.
    pub fn know_family(&self, family: Family, now: NumericDate) {
        self.families.put(family.family, family, now);
    }

    /// Puts a user who was just read for a sign-in where the following requests find them.
    pub fn know_user(&self, user: User, now: NumericDate) {
        self.users.put(user.sub.clone(), user, now);
    }

    /// What is known, or what `read` gives; it is called only where something is to be read.
    async fn find<K, Q, T, F>(
        &self,
        cache: &Arc<Shelf<K, T>>,
        asked: &Q,
        now: NumericDate,
        read: impl Fn() -> F,
    ) -> Result<Option<Arc<T>>, StoreError>
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        Q: Asked<K> + ?Sized,
        T: Send + Sync + 'static,
        F: Future<Output = Result<Option<T>, StoreError>> + Send + 'static,
    {
        let known = cache.get(asked);
        if let Some(entry) = &known {
            let age = now.since(entry.read_at);
            if (0..STALE).contains(&age) {
                if age >= FRESH {
                    cache.refresh(entry, asked, now, &read);
                }
                return Ok(Some(entry.value.clone()));
            }
            if (0..MAX_STALE).contains(&age) && self.is_unreachable(now) {
                return Ok(Some(entry.value.clone()));
            }
        }
        let result = timely(cache.read(asked, Believed::Presence, now, &read)).await;
        match &result {
            Ok(_) => self.away_since.store(ANSWERS, Ordering::SeqCst),
            Err(error) if error.may_pass() => self.away_since.store(now.0, Ordering::SeqCst),
            // A row that cannot be read says nothing about the database.
            Err(_) => {}
        }
        match (result, known) {
            (Err(error), _) if error.is_about_the_row() => Err(error),
            (Err(error), Some(entry)) if now.since(entry.read_at) < MAX_STALE => {
                tracing::warn!(%error, "the database does not answer; serving what is known");
                Ok(Some(entry.value.clone()))
            }
            (result, _) => result,
        }
    }

    /// Whether anything can still be served, as the database does or does not answer a look at it: what is known is served
    /// for an hour.
    #[must_use]
    pub fn can_serve(&self, database_answers: bool, now: NumericDate) -> bool {
        if database_answers {
            self.silent_since.store(ANSWERS, Ordering::SeqCst);
            return true;
        }
        let _ = self.silent_since.compare_exchange(ANSWERS, now.0, Ordering::SeqCst, Ordering::SeqCst);
        now.since(NumericDate(self.silent_since.load(Ordering::SeqCst))) < MAX_STALE
    }

    /// Whether to serve what is known without asking: the database did not answer a moment ago, or a request is
    /// asking it again right now.
    fn is_unreachable(&self, now: NumericDate) -> bool {
        let since = self.away_since.load(Ordering::SeqCst);
        since != ANSWERS
            && ((0..RETRY_AFTER).contains(&now.since(NumericDate(since)))
                || self.away_since.compare_exchange(since, now.0, Ordering::SeqCst, Ordering::SeqCst).is_err())
    }
}
