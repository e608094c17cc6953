//! Sign-ins: one session a browser, found by the digest of its cookie.
//!
//! Key: `session:{digest of cookie}`, a `Session` until its absolute end.

use crate::protocol::grant::Session;
use crate::protocol::secret::{Digest, Handle, SessionId};
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::access_tokens::ended_key;
use crate::store::ephemeral::Ephemeral;
use crate::store::stored::Stored;

fn key(record: &Digest) -> String {
    format!("session:{}", record.as_str())
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
    ephemeral.put(&key(&id.digest()), session, session.expires_at.since(now).max(1)).await
}

/// Reads a session, live or not.
///
/// # Errors
/// The store failed.
pub async fn find(ephemeral: &Ephemeral, id: &SessionId) -> Result<Option<Stored<Session>>, StoreError> {
    find_record(ephemeral, &id.digest()).await
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
    ephemeral.put(&key(&id.digest()), session, session.expires_at.since(now).max(1)).await
}

/// Reads the session of a row.
///
/// # Errors
/// The store failed.
pub async fn find_record(ephemeral: &Ephemeral, record: &Digest) -> Result<Option<Stored<Session>>, StoreError> {
    ephemeral.get(&key(record)).await
}

/// The most clients that one session remembers.
const MOST_CLIENTS: usize = 256;

/// How often a change is tried that others overtake.
const TRIES: usize = 16;

/// Seconds after which the time is noted at the latest: rows tell it to within an hour.
const NOTED_WITHIN: i64 = 1800;

/// Notes that a session was used for a client: the client if it is new to it, the time if 5 % of its idle lifetime or half
/// an hour went by since the last note. A session that ended meanwhile is not brought back. Says whether the time was noted.
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
) -> Result<bool, StoreError> {
    let mut before = session.clone();
    // Another tab may note something at the same moment; after a few tries it is not that any more.
    for _ in 0..TRIES {
        let is_known = before.clients.iter().any(|known| known == client_id) || before.clients.len() >= MOST_CLIENTS;
        let unseen = now.since(before.seen_at);
        let is_due = unseen * 20 >= idle_lifetime || unseen >= NOTED_WITHIN;
        if is_known && !is_due {
            return Ok(false);
        }
        let mut after = Session { seen_at: now.max(before.seen_at), ..Session::clone(&before) };
        if !is_known {
            after.clients.push(client_id.to_owned());
        }
        if ephemeral.replace(&key(&id.digest()), &before, &after, before.expires_at.since(now).max(1)).await? {
            return Ok(is_due);
        }
        match find(ephemeral, id).await? {
            Some(current) => before = current,
            None => return Ok(false),
        }
    }
    // The sign-in continues; what is lost is that this service is told when the session ends.
    ephemeral.note_unsettled();
    tracing::error!(client_id, "others changed a session at each of {TRIES} tries; this client is not noted in it");
    Ok(false)
}

/// Takes a session, once: the request that gets it tells its clients. It works where nothing can be put any more.
///
/// # Errors
/// The store failed.
pub async fn take(ephemeral: &Ephemeral, record: &Digest) -> Result<Option<Session>, StoreError> {
    ephemeral.remove(&key(record)).await
}

/// Forgets a cookie whose session continues under another, as it does at a sign-in.
///
/// # Errors
/// The store failed.
pub async fn forget(ephemeral: &Ephemeral, id: &SessionId) -> Result<(), StoreError> {
    ephemeral.delete(&key(&id.digest())).await
}

/// Whether a session of that name was ended, by a sign-out or by another user's sign-in.
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
