//! Whom an operator has freed from the throttle, and when: rows that every node reads, since only the process that serves can
//! reach counters that are kept in it. A counter goes by the last instant, so it starts anew.

use crate::protocol::audit::{Event, EventKind};
use crate::protocol::secret::Digest;
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::{StoreError, audit_events};
use std::net::IpAddr;

/// How the names of these rows in `provider_values` begin.
const PREFIX: &str = "unthrottled:";
const PUT: &str =
    "INSERT INTO provider_values (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
const LIST: &str = "SELECT name, value FROM provider_values WHERE name LIKE 'unthrottled:%'";
const FORGET: &str = "DELETE FROM provider_values WHERE name LIKE 'unthrottled:%' AND CAST(value AS BIGINT) < $1";

/// How long such a row is kept, in seconds; all counters from before it have ended long since.
const KEPT: i64 = 86_400;

/// Who is freed.
pub enum Freed<'a> {
    /// A user, by what failed sign-ins are counted under, and by their `sub`.
    Account(&'a str, &'a str),
    /// All users and clients of a network: a /24 of IPv4, a /48 of IPv6, by its first address.
    Network(IpAddr),
    /// A client.
    Client(&'a str),
}

/// The name of an account in these rows.
#[must_use]
pub fn account(account: &str) -> String {
    format!("account:{account}")
}

/// The name of a wide network in these rows.
#[must_use]
pub fn network(wide: IpAddr) -> String {
    format!("network:{wide}")
}

/// The name of a client in these rows.
#[must_use]
pub fn client(client_id: &str) -> String {
    format!("client:{}", Digest::of(&["client", client_id]).as_str())
}

/// Frees one, with the event that tells of it.
///
/// # Errors
/// The database failed.
pub async fn free(db: &Db, freed: &Freed<'_>, now: NumericDate) -> Result<(), StoreError> {
    let event = Event::new(EventKind::Unthrottled, now);
    let (name, event) = match freed {
        Freed::Account(counted, sub) => (account(counted), event.of(sub).with("freed", "account")),
        Freed::Network(wide) => (network(*wide), event.from(wide).with("freed", "network")),
        Freed::Client(client_id) => (client(client_id), event.by(client_id).with("freed", "client")),
    };
    let mut transaction = db.begin().await?;
    sqlx::query(FORGET).bind(now.plus(-KEPT).0).execute(&mut *transaction).await?;
    let put = sqlx::query(PUT).bind(format!("{PREFIX}{name}")).bind(now.0.to_string());
    put.execute(&mut *transaction).await?;
    audit_events::note_change(&mut transaction, event, now).await?;
    transaction.commit().await
}

/// Who was freed in the last day, by name, with the instant.
///
/// # Errors
/// The database failed.
pub async fn list(db: &Db) -> Result<Vec<(String, String)>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as(LIST).fetch_all(db.statement_in_background()).await?;
    let named = |(name, at): (String, String)| Some((name.strip_prefix(PREFIX)?.to_owned(), at));
    Ok(rows.into_iter().filter_map(named).collect())
}
