//! The directory: clients, people and consents as they were at most ten seconds ago.
//!
//! An entry is served as it is while it is fresh, refreshed in the background when it grows old, and read
//! again before it is served once it is too old. Absence is never cached, so a client works the moment its
//! row is committed, by whichever hand. On a database error what is known is served on, for an hour; one request
//! at a time finds out whether the database is back, and the others do not wait for that.

use crate::protocol::claims::User;
use crate::protocol::client::Client;
use crate::protocol::scope::Scope;
use crate::protocol::secret::Handle;
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::refresh_families::{self, Family};
use crate::store::{StoreError, clients, consents, timely, users};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Seconds after which an entry is refreshed in the background.
const FRESH: i64 = 4;
/// Seconds after which it is not served without being read again: every node has seen a change within ten.
const STALE: i64 = 9;
/// Seconds for which it is served on while the database does not answer.
const GRACE: i64 = 3600;
/// Seconds for which a database that did not answer is left alone where something is known: finding out takes
/// as long as a connection may.
const REST: i64 = 10;
/// What `Directory::away_since` says of a database that answers.
const ANSWERS: i64 = i64::MIN;

struct Entry<T> {
    value: Arc<T>,
    read_at: NumericDate,
    refreshing: AtomicBool,
}

type Entries<T> = moka::sync::Cache<String, Arc<Entry<T>>>;

/// What the provider knows of clients, people and consents.
#[derive(Clone)]
pub struct Directory {
    db: Db,
    clients: Entries<Client>,
    users: Entries<User>,
    consents: Entries<Scope>,
    /// What families of refresh tokens grant, which never changes; whether one still stands, only its row says.
    families: moka::sync::Cache<Handle, Arc<Family>>,
    /// Since when the database is known not to answer.
    away_since: Arc<AtomicI64>,
    /// Since when whoever asks for readiness has found it so without a break.
    silent_since: Arc<AtomicI64>,
}

impl Directory {
    /// An empty directory over a database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self {
            db,
            clients: Entries::new(10_000),
            users: Entries::new(50_000),
            consents: Entries::new(100_000),
            families: moka::sync::Cache::new(10_000),
            away_since: Arc::new(AtomicI64::new(ANSWERS)),
            silent_since: Arc::new(AtomicI64::new(ANSWERS)),
        }
    }

    /// A client by its id, unless it is disabled.
    ///
    /// # Errors
    /// The database failed and the client is not known.
    pub async fn client(&self, client_id: &str, now: NumericDate) -> Result<Option<Arc<Client>>, StoreError> {
        let (db, id) = (self.db.clone(), client_id.to_owned());
        let read = async move { clients::find(&db, &id).await };
        let found = self.find(&self.clients, client_id.to_owned(), now, read).await?;
        Ok(found.filter(|client| client.disabled_at.is_none_or(|at| at > now)))
    }

    /// A person by their `sub`, disabled or not.
    ///
    /// # Errors
    /// The database failed and the person is not known.
    pub async fn user(&self, sub: &str, now: NumericDate) -> Result<Option<Arc<User>>, StoreError> {
        let (db, key) = (self.db.clone(), sub.to_owned());
        self.find(&self.users, sub.to_owned(), now, async move { users::find(&db, &key).await }).await
    }

    /// What a person allowed a client so far.
    ///
    /// # Errors
    /// The database failed and nothing is known.
    pub async fn consent(
        &self,
        sub: &str,
        client_id: &str,
        now: NumericDate,
    ) -> Result<Option<Arc<Scope>>, StoreError> {
        let (db, person, client) = (self.db.clone(), sub.to_owned(), client_id.to_owned());
        let key = format!("{sub}\n{client_id}");
        self.find(&self.consents, key, now, async move { consents::find(&db, &person, &client).await }).await
    }

    /// Remembers a consent and forgets what was known before.
    ///
    /// # Errors
    /// The database failed.
    pub async fn remember_consent(
        &self,
        sub: &str,
        client_id: &str,
        scope: &Scope,
        now: NumericDate,
    ) -> Result<(), StoreError> {
        timely(consents::remember(&self.db, sub, client_id, scope, now)).await?;
        self.consents.invalidate(&format!("{sub}\n{client_id}"));
        Ok(())
    }

    /// What a family of refresh tokens grants, whether or not it still stands.
    ///
    /// # Errors
    /// The database failed.
    pub async fn family(&self, family: Handle) -> Result<Option<Arc<Family>>, StoreError> {
        if let Some(known) = self.families.get(&family) {
            return Ok(Some(known));
        }
        let found = timely(refresh_families::grant_of(&self.db, family)).await?.map(Arc::new);
        if let Some(found) = &found {
            self.families.insert(family, found.clone());
        }
        Ok(found)
    }

    /// Puts a family that was just begun where its first refresh finds it.
    pub fn know_family(&self, family: Family) {
        self.families.insert(family.family, Arc::new(family));
    }

    /// Puts a person who was just read for a sign-in where the following requests find them.
    pub fn know_user(&self, user: User, now: NumericDate) {
        remember(&self.users, user.sub.clone(), user, now);
    }

    async fn find<T: Send + Sync + 'static>(
        &self,
        entries: &Entries<T>,
        key: String,
        now: NumericDate,
        read: impl Future<Output = Result<Option<T>, StoreError>> + Send + 'static,
    ) -> Result<Option<Arc<T>>, StoreError> {
        let known = entries.get(&key);
        if let Some(entry) = &known {
            let age = now.since(entry.read_at);
            if (0..STALE).contains(&age) {
                if age >= FRESH && !entry.refreshing.swap(true, Ordering::SeqCst) {
                    let (entries, entry) = (entries.clone(), entry.clone());
                    tokio::spawn(async move {
                        match read.await {
                            Ok(Some(value)) => {
                                remember(&entries, key, value, now);
                            }
                            Ok(None) => entries.invalidate(&key),
                            Err(error) => {
                                entry.refreshing.store(false, Ordering::SeqCst);
                                tracing::warn!(%error, "a background refresh failed");
                            }
                        }
                    });
                }
                return Ok(Some(entry.value.clone()));
            }
            if (0..GRACE).contains(&age) && self.is_away(now) {
                return Ok(Some(entry.value.clone()));
            }
        }
        let result = timely(read).await;
        match &result {
            Ok(_) => self.away_since.store(ANSWERS, Ordering::SeqCst),
            Err(error) if error.may_pass() => self.away_since.store(now.0, Ordering::SeqCst),
            // A row that cannot be read says nothing about the database.
            Err(_) => {}
        }
        match (result, known) {
            (Ok(Some(value)), _) => Ok(Some(remember(entries, key, value, now))),
            (Ok(None), _) => {
                entries.invalidate(&key);
                Ok(None)
            }
            // The database did answer: what the row was before is not what it says now.
            (Err(error @ StoreError::Inconsistent { .. }), _) => {
                entries.invalidate(&key);
                Err(error)
            }
            (Err(error), Some(entry)) if now.since(entry.read_at) < GRACE => {
                tracing::warn!(%error, "the database does not answer; serving what is known");
                Ok(Some(entry.value.clone()))
            }
            (Err(error), _) => Err(error),
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
        now.since(NumericDate(self.silent_since.load(Ordering::SeqCst))) < GRACE
    }

    /// Whether to serve what is known without asking: the database did not answer a moment ago, or somebody is
    /// asking it again right now.
    fn is_away(&self, now: NumericDate) -> bool {
        let since = self.away_since.load(Ordering::SeqCst);
        since != ANSWERS
            && ((0..REST).contains(&now.since(NumericDate(since)))
                || self.away_since.compare_exchange(since, now.0, Ordering::SeqCst, Ordering::SeqCst).is_err())
    }
}

fn remember<T: Send + Sync + 'static>(entries: &Entries<T>, key: String, value: T, now: NumericDate) -> Arc<T> {
    let value = Arc::new(value);
    entries.insert(key, Arc::new(Entry { value: value.clone(), read_at: now, refreshing: AtomicBool::new(false) }));
    value
}
