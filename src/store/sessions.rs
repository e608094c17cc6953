//! Sign-ins: one session a browser, found by the digest of its cookie.

use crate::protocol::grant::Session;
use crate::protocol::secret::{Handle, SessionId};
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::access_tokens::ended_key;
use crate::store::ephemeral::Ephemeral;
use crate::store::stored::Stored;

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
pub async fn find(ephemeral: &Ephemeral, id: &SessionId) -> Result<Option<Stored<Session>>, StoreError> {
    ephemeral.get(&key(id)).await
}

/// Puts a session back as it was read.
///
/// # Errors
/// The store failed.
pub async fn restore(
    ephemeral: &Ephemeral,
    id: &SessionId,
    session: &Stored<Session>,
    now: NumericDate,
) -> Result<(), StoreError> {
    ephemeral.put(&key(id), session, session.expires_at.since(now).max(1)).await
}

/// The most clients that one session remembers.
const MOST_CLIENTS: usize = 256;

/// How often a change is tried that others overtake.
const TRIES: usize = 16;

/// Notes that a session was used for a client: the client if it is new to it, the time if 5 % of its idle lifetime
/// went by since the last note. A session that ended meanwhile is not brought back.
///
/// # Errors
/// The store failed.
pub async fn used(
    ephemeral: &Ephemeral,
    id: &SessionId,
    session: &Stored<Session>,
    client_id: &str,
    idle_lifetime: i64,
    now: NumericDate,
) -> Result<(), StoreError> {
    let mut before = session.clone();
    // Another tab may note something at the same moment; after a few tries it is not that any more.
    for _ in 0..TRIES {
        let is_known = before.clients.iter().any(|known| known == client_id) || before.clients.len() >= MOST_CLIENTS;
        if is_known && now.since(before.seen_at) * 20 < idle_lifetime {
            return Ok(());
        }
        let mut after = Session { seen_at: now.max(before.seen_at), ..Session::clone(&before) };
        if !is_known {
            after.clients.push(client_id.to_owned());
        }
        if ephemeral.replace(&key(id), &before, &after, before.expires_at.since(now).max(1)).await? {
            return Ok(());
        }
        match find(ephemeral, id).await? {
            Some(current) => before = current,
            None => return Ok(()),
        }
    }
    // The person goes on; what is lost is that this service is told when the session ends.
    ephemeral.note_unsettled();
    tracing::error!(client_id, "others changed a session at each of {TRIES} tries; this client is not noted in it");
    Ok(())
}

/// Takes a session, once: the request that gets it tells its clients. It works where nothing can be put any more.
///
/// # Errors
/// The store failed.
pub async fn take(ephemeral: &Ephemeral, id: &SessionId) -> Result<Option<Session>, StoreError> {
    ephemeral.remove(&key(id)).await
}

/// Forgets a cookie whose session goes on under another, as it does at a sign-in.
///
/// # Errors
/// The store failed.
pub async fn forget(ephemeral: &Ephemeral, id: &SessionId) -> Result<(), StoreError> {
    ephemeral.delete(&key(id)).await
}

/// Whether a session of that name was ended, by a sign-out or by another person's sign-in.
///
/// # Errors
/// The store failed.
pub async fn has_ended(ephemeral: &Ephemeral, session: Handle) -> Result<bool, StoreError> {
    Ok(ephemeral.get::<u8>(&ended_key(session)).await?.is_some())
}

/// Ends everything that was issued in a session; `ttl` seconds must outlast the longest of it.
///
/// # Errors
/// The store failed.
pub async fn end(ephemeral: &Ephemeral, session: Handle, ttl: i64) -> Result<(), StoreError> {
    ephemeral.mark(&ended_key(session), ttl).await.map(drop)
}
