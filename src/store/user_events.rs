//! The events of the audit that a user is told of: of that user alone, the newest first, a page at a time.

use crate::protocol::audit::EventKind;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::row::row;
use sqlx::AssertSqlSafe;
use std::sync::LazyLock;

/// How many events a page has.
const PAGE: usize = 25;

/// One more than a page, which tells whether there are older ones.
static EVENTS: LazyLock<String> = LazyLock::new(|| {
    let told: Vec<String> =
        EventKind::ALL.iter().filter(|kind| kind.is_told()).map(|kind| format!("'{}'", kind.as_str())).collect();
    format!(
        "SELECT chain, sequence, at, event, client_id, network, detail, \
         (SELECT client_name FROM clients WHERE clients.client_id = audit_events.client_id) AS client_name \
         FROM audit_events WHERE sub = $1 AND at >= $2 AND event IN ({}) \
         AND (at < $3 OR (at = $3 AND (chain < $4 OR (chain = $4 AND sequence < $5)))) \
         ORDER BY at DESC, chain DESC, sequence DESC LIMIT {}",
        told.join(", "),
        PAGE + 1
    )
});

row! {
    /// An event as it is told.
    pub struct Told {
        chain: String,
        sequence: i64,
        /// When.
        pub at: i64,
        /// What: a word of `EventKind`.
        pub event: String,
        /// By way of which client.
        pub client_id: Option<String>,
        /// Its name, while it is registered.
        pub client_name: Option<String>,
        /// From where.
        pub network: Option<String>,
        /// Further members, a JSON object.
        pub detail: Option<String>,
    }
}

/// A place between two events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    at: i64,
    sequence: i64,
    chain: String,
}

impl Place {
    /// Behind the newest.
    fn end() -> Self {
        Self { at: i64::MAX, sequence: 0, chain: String::new() }
    }

    /// As an address has it.
    #[must_use]
    pub fn as_text(&self) -> String {
        format!("{}.{}.{}", self.at, self.sequence, self.chain)
    }

    /// Reads what an address has; `None`: that is no place.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (at, sequence) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let chain = parts.next().filter(|chain| chain.len() <= 64)?.to_owned();
        Some(Self { at, sequence, chain })
    }
}

/// The events of a user since an instant, before a place, and the place before which there are older ones.
///
/// # Errors
/// The database failed.
pub async fn page(
    db: &Db,
    sub: &str,
    since: NumericDate,
    before: Option<Place>,
) -> Result<(Vec<Told>, Option<Place>), StoreError> {
    let Place { at, sequence, chain } = before.unwrap_or_else(Place::end);
    let mut found: Vec<Told> = sqlx::query_as(AssertSqlSafe(EVENTS.as_str()))
        .bind(sub)
        .bind(since.0)
        .bind(at)
        .bind(chain)
        .bind(sequence)
        .fetch_all(db.statement())
        .await?;
    let is_more = found.len() > PAGE;
    found.truncate(PAGE);
    let last = found.last().filter(|_| is_more);
    let older = last.map(|last| Place { at: last.at, sequence: last.sequence, chain: last.chain.clone() });
    Ok((found, older))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written_and_nothing_else_is_one() {
        let place = Place { at: 12, sequence: 3, chain: "a-b_c".to_owned() };
        assert_eq!(Place::parse(&place.as_text()), Some(place));
        let long = format!("1.2.{}", "a".repeat(65));
        for bad in ["", "1", "1.2", "x.2.c", "1.x.c", "99999999999999999999.1.c", &long] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
