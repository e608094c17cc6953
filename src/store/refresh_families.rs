//! Refresh tokens: a family is one row, and its current token is one digest in it.
//!
//! A rotation is one `UPDATE` that names the digest it replaces, so of many who show the same token one rotates; the
//! others find the salt and derive the very same successor from what they hold. What must never happen twice is stored
//! here and not in the short-lived store. RFC 6749 section 6, RFC 9700 section 4.14.

use crate::protocol::grant::Authorization;
use crate::protocol::secret::{Digest, Handle, RefreshTokenParts};
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::row::row;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

const START: &str = "INSERT INTO refresh_families (family_id, client_id, sub, authorized, used_at, expires_at, current_digest, issued_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $5) ON CONFLICT (family_id) DO NOTHING";
// Of a family for which nothing was handed out: its code was put back after a fault, and the first row may be there.
const START_AGAIN: &str = "UPDATE refresh_families SET current_digest = $2 \
     WHERE family_id = $1 AND revoked_at IS NULL AND previous_digest IS NULL";
const REVOKE_BEFORE_START: &str = "INSERT INTO refresh_families (family_id, client_id, issued_at, used_at, expires_at, revoked_at) \
     VALUES ($1, $2, $3, $3, $4, $3) ON CONFLICT (family_id) DO UPDATE SET revoked_at = excluded.revoked_at, salt = NULL \
     WHERE refresh_families.revoked_at IS NULL";
const ROTATE: &str = "UPDATE refresh_families SET previous_digest = current_digest, current_digest = $4, salt = $5, used_at = $6 \
     WHERE family_id = $1 AND client_id = $2 AND current_digest = $3 AND revoked_at IS NULL AND expires_at > $6 AND used_at > $7";
const USE: &str = "UPDATE refresh_families SET used_at = $4 \
     WHERE family_id = $1 AND client_id = $2 AND current_digest = $3 AND revoked_at IS NULL AND expires_at > $4 AND used_at > $5";
const FIND: &str = "SELECT family_id, client_id, sub, authorized, used_at, expires_at, current_digest, previous_digest, salt, revoked_at \
     FROM refresh_families WHERE family_id = $1";
// Those in use first. A client's own idle lifetime counts before the setting's.
const OF_USER: &str = "SELECT refresh_families.client_id AS client_id, authorized, issued_at, used_at, expires_at, revoked_at, \
     CASE WHEN revoked_at IS NULL AND expires_at > CAST($2 AS BIGINT) \
     AND used_at > CAST($2 AS BIGINT) - COALESCE(refresh_token_idle_lifetime, CAST($3 AS BIGINT)) THEN 1 ELSE 0 END AS is_live \
     FROM refresh_families JOIN clients ON clients.client_id = refresh_families.client_id \
     WHERE sub = $1 ORDER BY is_live DESC, used_at DESC, family_id";
const REVOKE: &str =
    "UPDATE refresh_families SET revoked_at = $2, salt = NULL WHERE family_id = $1 AND revoked_at IS NULL";
const FORGET_SALTS: &str = "UPDATE refresh_families SET salt = NULL WHERE used_at <= $1 AND salt IS NOT NULL";
const SWEEP: &str = "DELETE FROM refresh_families WHERE expires_at <= $1";

/// How long a family that ended is remembered, in seconds: a token of it that is shown is known for what it is.
const TOMBSTONE_TTL: i64 = 30 * 86_400;

/// A family, and what it grants.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its name, which is the grant's.
    pub family: Handle,
    /// What was authorized; a refresh can narrow it for its access token only.
    pub authorization: Authorization,
    /// When it was last used.
    pub used_at: NumericDate,
    /// Its absolute end.
    pub expires_at: NumericDate,
}

/// What showing a refresh token came to.
pub enum Shown {
    /// It was the current one and is now the previous one.
    Rotated(RefreshTokenParts),
    /// It is the previous one and within the window: the same successor again.
    Repeated(RefreshTokenParts),
    /// It stays the current one, as this client's tokens do not rotate.
    Kept,
    /// It was replaced before: its family is to be revoked.
    Reused,
    /// Unknown, ended, revoked, or of another client.
    Invalid,
}

row! {
    struct Row {
        family_id: String,
        client_id: String,
        sub: Option<String>,
        authorized: Option<String>,
        used_at: i64,
        expires_at: i64,
        current_digest: String,
        previous_digest: Option<String>,
        salt: Option<String>,
        revoked_at: Option<i64>,
    }
}

row! {
    /// A family as an operator is shown it: neither its name nor any digest.
    pub struct Listed {
        /// `client_id`.
        pub client_id: String,
        authorized: Option<String>,
        /// `issued_at`.
        pub issued_at: i64,
        /// `used_at`.
        pub used_at: i64,
        /// `expires_at`.
        pub expires_at: i64,
        /// `revoked_at`.
        pub revoked_at: Option<i64>,
        /// 1: it can be used.
        pub is_live: i64,
    }
}

impl Listed {
    /// The scope that it grants; empty where the row cannot be read.
    #[must_use]
    pub fn scope(&self) -> String {
        let authorized = self.authorized.as_deref().and_then(|text| serde_json::from_str::<Authorization>(text).ok());
        authorized.map(|authorized| authorized.scope.to_string()).unwrap_or_default()
    }
}

/// The families of a user, those that can be used first; `idle_lifetime` is the setting's, in seconds.
///
/// # Errors
/// The database failed.
pub async fn of_user(db: &Db, sub: &str, idle_lifetime: i64, now: NumericDate) -> Result<Vec<Listed>, StoreError> {
    Ok(sqlx::query_as(OF_USER).bind(sub).bind(now.0).bind(idle_lifetime).fetch_all(db.statement()).await?)
}

impl Row {
    /// What the row grants; `None`: nothing, as its code was replayed before the family was written.
    fn family(&self) -> Result<Option<Family>, StoreError> {
        let (Some(sub), Some(text)) = (&self.sub, &self.authorized) else { return Ok(None) };
        let inconsistent = |why: String| StoreError::Inconsistent {
            table: "refresh_families",
            key: self.family_id.clone(),
            why,
            fix: "delete the row; the user signs in again".to_owned(),
        };
        let authorization: Authorization =
            serde_json::from_str(text).map_err(|error| inconsistent(format!("authorized cannot be read: {error}")))?;
        if authorization.client_id != self.client_id || authorization.sub() != Some(sub) {
            return Err(inconsistent("authorized is another client's or user's than the row".to_owned()));
        }
        let family = Handle::parse(&self.family_id).ok_or_else(|| inconsistent("family_id is no name".to_owned()))?;
        let (used_at, expires_at) = (NumericDate(self.used_at), NumericDate(self.expires_at));
        Ok(Some(Family { family, authorization, used_at, expires_at }))
    }
}

/// Starts a family with its first token. `false`: its code was replayed meanwhile, and the family is dead.
///
/// # Errors
/// The database failed.
pub async fn start(db: &Db, family: &Family, digest: &Digest) -> Result<bool, StoreError> {
    let started = sqlx::query(START)
        .bind(family.family.text())
        .bind(&family.authorization.client_id)
        .bind(family.authorization.sub())
        .bind(serde_json::to_string(&family.authorization)?)
        .bind(family.used_at.0)
        .bind(family.expires_at.0)
        .bind(digest.as_str())
        .execute(&mut *db.writing().await?)
        .await?;
    if started.rows_affected() == 1 {
        return Ok(true);
    }
    let again = sqlx::query(START_AGAIN)
        .bind(family.family.text())
        .bind(digest.as_str())
        .execute(&mut *db.writing().await?)
        .await?;
    Ok(again.rows_affected() == 1)
}

/// Revokes the family of a code that was replayed, also one that is not written yet.
///
/// # Errors
/// The database failed.
pub async fn revoke_before_start(db: &Db, family: Handle, client_id: &str, now: NumericDate) -> Result<(), StoreError> {
    sqlx::query(REVOKE_BEFORE_START)
        .bind(family.text())
        .bind(client_id)
        .bind(now.0)
        .bind(now.plus(TOMBSTONE_TTL).0)
        .execute(&mut *db.writing().await?)
        .await?;
    Ok(())
}

/// Under which terms a token is shown.
pub struct Terms<'a> {
    /// The client that shows it.
    pub client_id: &'a str,
    /// Whether it rotates.
    pub rotates: bool,
    /// 256 random bits for the successor.
    pub salt: [u8; 32],
    /// Seconds an unused family lives.
    pub idle_lifetime: i64,
    /// Seconds in which a repetition gets the same answer.
    pub reuse_window: i64,
    /// When the client asked: a repetition is in time or too late by that, however long we take.
    pub asked_at: NumericDate,
    /// The clock: the window of the next repetition begins here, close to the answer.
    pub now: NumericDate,
}

/// Shows a refresh token: one statement where it is the current one.
///
/// # Errors
/// The database failed.
pub async fn show(db: &Db, shown: &RefreshTokenParts, terms: &Terms<'_>) -> Result<Shown, StoreError> {
    let (family_id, digest) = (shown.family.text(), shown.digest());
    let Terms { client_id, now, .. } = *terms;
    let least_used_at = now.plus(-terms.idle_lifetime).0;
    let successor = shown.successor(&terms.salt);
    let update = if terms.rotates {
        sqlx::query(ROTATE)
            .bind(&family_id)
            .bind(client_id)
            .bind(digest.as_str())
            .bind(successor.digest().as_str().to_owned())
            .bind(URL_SAFE_NO_PAD.encode(terms.salt))
            .bind(now.0)
            .bind(least_used_at)
    } else {
        sqlx::query(USE).bind(&family_id).bind(client_id).bind(digest.as_str()).bind(now.0).bind(least_used_at)
    };
    if update.execute(&mut *db.writing().await?).await?.rows_affected() == 1 {
        return Ok(if terms.rotates { Shown::Rotated(successor) } else { Shown::Kept });
    }
    let Some(row) = find_row(db, shown.family).await? else { return Ok(Shown::Invalid) };
    let is_live = row.revoked_at.is_none() && row.expires_at > now.0 && row.used_at > least_used_at;
    if row.client_id != client_id || !is_live {
        return Ok(Shown::Invalid);
    }
    if row.current_digest == digest.as_str() {
        // It became the current one between the two statements: only a client that ends rotation sees this.
        return Ok(Shown::Invalid);
    }
    let is_previous = row.previous_digest.as_deref() == Some(digest.as_str());
    let salt = row.salt.as_deref().and_then(|salt| URL_SAFE_NO_PAD.decode(salt).ok());
    if let (true, Some(salt)) =
        (is_previous && terms.asked_at.since(NumericDate(row.used_at)) < terms.reuse_window, salt)
    {
        let successor = shown.successor(&salt);
        if successor.digest().as_str() == row.current_digest {
            return Ok(Shown::Repeated(successor));
        }
    }
    Ok(Shown::Reused)
}

/// Whether there is a family of that name, live or not.
///
/// # Errors
/// The database failed.
pub async fn exists(db: &Db, family: Handle) -> Result<bool, StoreError> {
    Ok(find_row(db, family).await?.is_some())
}

/// What a family grants, live or not.
///
/// # Errors
/// The database failed.
pub async fn grant_of(db: &Db, family: Handle) -> Result<Option<Family>, StoreError> {
    find_row(db, family).await?.map_or(Ok(None), |row| row.family())
}

async fn find_row(db: &Db, family: Handle) -> Result<Option<Row>, StoreError> {
    Ok(sqlx::query_as(FIND).bind(family.text()).fetch_optional(db.statement()).await?)
}

/// The family of a token that is its current one, live or not, and whether it is not revoked.
///
/// # Errors
/// The database failed.
pub async fn find(db: &Db, shown: &RefreshTokenParts) -> Result<Option<(Family, bool)>, StoreError> {
    let found = find_row(db, shown.family).await?.filter(|row| row.current_digest == shown.digest().as_str());
    let Some(row) = found else { return Ok(None) };
    Ok(row.family()?.map(|family| (family, row.revoked_at.is_none())))
}

/// Whether a token is or was one of this client's, for revocation: any generation that is still known.
///
/// # Errors
/// The database failed.
pub async fn owner(db: &Db, shown: &RefreshTokenParts) -> Result<Option<String>, StoreError> {
    let digest = shown.digest();
    let found = find_row(db, shown.family)
        .await?
        .filter(|row| row.current_digest == digest.as_str() || row.previous_digest.as_deref() == Some(digest.as_str()));
    Ok(found.map(|row| row.client_id))
}

/// Ends a family. `false`: there is none, or it had ended before.
///
/// # Errors
/// The database failed.
pub async fn revoke(db: &Db, family: Handle, now: NumericDate) -> Result<bool, StoreError> {
    let revoked = sqlx::query(REVOKE).bind(family.text()).bind(now.0).execute(&mut *db.writing().await?).await?;
    Ok(revoked.rows_affected() == 1)
}

/// Forgets the salts whose window is over, and families that ended long ago.
///
/// # Errors
/// The database failed.
pub async fn sweep(db: &Db, reuse_window: i64, now: NumericDate) -> Result<(), StoreError> {
    sqlx::query(FORGET_SALTS).bind(now.plus(-reuse_window).0).execute(&mut *db.writing().await?).await?;
    sqlx::query(SWEEP).bind(now.plus(-TOMBSTONE_TTL).0).execute(&mut *db.writing().await?).await?;
    Ok(())
}
