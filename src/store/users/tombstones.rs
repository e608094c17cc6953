//! Users who were deleted: their `sub`, and a keyed digest of their user name, so that neither is ever given to another user.

use crate::ambient::random;
use crate::protocol::node_secrets::NameKey;
use crate::protocol::secret::Password;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::row::row;
use std::collections::BTreeSet;

/// The name in `provider_values` of the key of the digests.
const KEY: &str = "tombstone_key";

const ADD: &str = "INSERT INTO user_tombstones (sub, name_digest, deleted_at) VALUES ($1, $2, $3) \
     ON CONFLICT (sub, name_digest) DO NOTHING";
const FIND: &str = "SELECT sub, deleted_at FROM user_tombstones WHERE sub = $1 OR name_digest = $2 \
     ORDER BY CASE WHEN sub = $1 THEN 0 ELSE 1 END, deleted_at DESC LIMIT 1";
const LIST: &str = "SELECT sub, name_digest FROM user_tombstones";

row! {
    /// A user who was deleted.
    #[derive(Clone, Debug)]
    pub struct Tombstone {
        /// `sub`.
        pub sub: String,
        /// `deleted_at`.
        pub deleted_at: i64,
    }
}

/// The key of the digests, made by the first who needs it. Not inside a transaction: SQLite has one writer.
pub(in crate::store) async fn key(db: &Db) -> Result<NameKey, StoreError> {
    let candidate = Password::from_random(&random::<32>());
    Ok(NameKey::new(&db.shared_value(KEY, candidate.expose()).await?))
}

/// The key of the digests, where a user was deleted.
pub(in crate::store) async fn known_key(db: &Db) -> Result<Option<NameKey>, StoreError> {
    Ok(db.known_value(KEY).await?.map(|stored| NameKey::new(&stored)))
}

/// Keeps `sub` and name of a user who is deleted.
pub(super) async fn add(
    connection: &mut sqlx::AnyConnection,
    key: &NameKey,
    sub: &str,
    username: Option<&str>,
    now: NumericDate,
) -> Result<(), StoreError> {
    let digest = username.map(|username| key.digest(username)).unwrap_or_default();
    sqlx::query(ADD).bind(sub).bind(digest).bind(now.0).execute(connection).await?;
    Ok(())
}

/// Whether that `sub` or that user name was a deleted user's. What is about to write it asks after it has: a deletion that was
/// committed while the row was waited for is seen then.
pub(in crate::store) async fn find_in(
    connection: &mut sqlx::AnyConnection,
    key: &NameKey,
    sub: &str,
    username: &str,
) -> Result<Option<Tombstone>, StoreError> {
    Ok(sqlx::query_as(FIND).bind(sub).bind(key.digest(username)).fetch_optional(connection).await?)
}

/// The deleted user who had that `sub` or, in whatever letters, that user name.
///
/// # Errors
/// The database failed.
pub async fn find(db: &Db, sub: &str, username: &str) -> Result<Option<Tombstone>, StoreError> {
    // Without a key no user was deleted.
    let Some(stored) = db.known_value(KEY).await? else { return Ok(None) };
    let digest = NameKey::new(&stored).digest(username);
    Ok(sqlx::query_as(FIND).bind(sub).bind(digest).fetch_optional(db.statement()).await?)
}

/// All that may not be given again, for an import that asks for many.
pub struct Tombstones {
    key: Option<NameKey>,
    subs: BTreeSet<String>,
    digests: BTreeSet<String>,
}

impl Tombstones {
    /// Reads them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read(db: &Db) -> Result<Self, StoreError> {
        let key = known_key(db).await?;
        let rows: Vec<(String, String)> = sqlx::query_as(LIST).fetch_all(db.statement()).await?;
        let (subs, digests) = rows.into_iter().unzip();
        Ok(Self { key, subs, digests })
    }

    /// Whether that `sub` was a deleted user's.
    #[must_use]
    pub fn has_sub(&self, sub: &str) -> bool {
        self.subs.contains(sub)
    }

    /// Whether that user name was a deleted user's.
    #[must_use]
    pub fn has_name(&self, username: &str) -> bool {
        self.key.as_ref().is_some_and(|key| self.digests.contains(&key.digest(username)))
    }
}
