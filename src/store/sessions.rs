//! Sign-ins: one session a browser, found by the digest of its cookie.

use crate::protocol::grant::Session;
use crate::protocol::secret::{Handle, SessionId};
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::access_tokens::ended_key;
use crate::store::ephemeral::Ephemeral;

fn key(id: &SessionId) -> String {
    format!("session:{}", id.digest().as_str())
}

/// Remembers a new session until its absolute end.
///
/// # Errors
/// The store failed.
pub async fn start(
    ephemeral: &Ephemeral,
    id: &SessionId,
    session: &Session,
    now: NumericDate,
) -> Result<(), StoreError> {
    ephemeral.put(&key(id), session, session.expires_at.since(now).max(1)).await
}

/// Reads a session, live or not.
///
/// # Errors
/// The store failed.
pub async fn find(ephemeral: &Ephemeral, id: &SessionId) -> Result<Option<Session>, StoreError> {
    ephemeral.get(&key(id)).await
}

/// Notes that a session was used, if 5 % of its idle lifetime went by since the last note. A session that
/// ended meanwhile is not brought back.
///
/// # Errors
/// The store failed.
pub async fn touch(
    ephemeral: &Ephemeral,
    id: &SessionId,
    session: &Session,
    idle_lifetime: i64,
    now: NumericDate,
) -> Result<(), StoreError> {
    if now.since(session.seen_at) * 20 < idle_lifetime {
        return Ok(());
    }
    let after = Session { seen_at: now, ..session.clone() };
    ephemeral.replace(&key(id), session, &after, session.expires_at.since(now).max(1)).await?;
    Ok(())
}

/// Forgets a cookie whose session goes on under another, as it does at a sign-in.
///
/// # Errors
/// The store failed.
pub async fn forget(ephemeral: &Ephemeral, id: &SessionId) -> Result<(), StoreError> {
    ephemeral.delete(&key(id)).await
}

/// Ends everything that was issued in a session; `ttl` seconds must outlast the longest of it.
///
/// # Errors
/// The store failed.
pub async fn end(ephemeral: &Ephemeral, session: Handle, ttl: i64) -> Result<(), StoreError> {
    ephemeral.put(&ended_key(session), &1_u8, ttl).await
}
