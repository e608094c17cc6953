//! Audit events as rows: appended many at once in the background, or with the change that they tell of, and read back in
//! their order.

use crate::protocol::audit::{Chain, Event, Record};
use crate::protocol::time::NumericDate;
use crate::provider::random;
use crate::store::StoreError;
use crate::store::db::{Db, Transaction};
use crate::store::row::row;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sqlx::AssertSqlSafe;
use std::fmt::Write as _;
use std::sync::LazyLock;

macro_rules! columns {
    () => {
        "chain, sequence, at, event, sub, client_id, network, reference, detail, previous_hash, hash"
    };
}

/// How many columns that are.
const COLUMNS: usize = 11;
/// How many rows a statement inserts; of each there is one, so that a connection prepares few.
const SIZES: [usize; 4] = [128, 32, 8, 1];

const NEWEST: &str =
    concat!("SELECT ", columns!(), " FROM audit_events ORDER BY at DESC, sequence DESC, chain DESC LIMIT 1");
const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM audit_events WHERE at > $1 OR (at = $1 AND (chain > $2 OR (chain = $2 AND sequence > $3))) \
     ORDER BY at, chain, sequence LIMIT 1000"
);
const LATEST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM audit_events WHERE at >= $1 AND ($2 IS NULL OR event = $2) AND ($3 IS NULL OR sub = $3) \
     AND ($4 IS NULL OR client_id = $4) AND ($5 IS NULL OR reference = $5) ORDER BY at DESC, chain DESC, sequence DESC LIMIT $6"
);

/// `INSERT` of so many rows, for each of `SIZES`.
static INSERTS: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| {
    SIZES.map(|rows| {
        let mut sql = String::from(concat!("INSERT INTO audit_events (", columns!(), ") VALUES "));
        for row in 0..rows {
            let places: Vec<String> = (1..=COLUMNS).map(|column| format!("${}", row * COLUMNS + column)).collect();
            let _ = write!(sql, "{}({})", if row == 0 { "" } else { ", " }, places.join(", "));
        }
        sql
    })
});

row! {
    struct Row {
        chain: String,
        sequence: i64,
        at: i64,
        event: String,
        sub: Option<String>,
        client_id: Option<String>,
        network: Option<String>,
        reference: Option<String>,
        detail: Option<String>,
        previous_hash: String,
        hash: String,
    }
}

impl From<Row> for Record {
    fn from(row: Row) -> Self {
        Self {
            chain: row.chain,
            sequence: row.sequence,
            at: row.at,
            event: row.event,
            sub: row.sub,
            client_id: row.client_id,
            network: row.network,
            reference: row.reference,
            detail: row.detail,
            previous_hash: row.previous_hash,
            hash: row.hash,
        }
    }
}

/// Adds events to a chain, which is begun if there is none yet. On an error the chain is as it was.
///
/// # Errors
/// The database failed.
pub async fn append(
    transaction: &mut Transaction,
    chain: &mut Option<Chain>,
    events: Vec<Event>,
    now: NumericDate,
) -> Result<(), StoreError> {
    let mut records = Vec::with_capacity(events.len() + 1);
    let mut goes_on = if let Some(chain) = chain {
        chain.clone()
    } else {
        let newest: Option<Row> = sqlx::query_as(NEWEST).fetch_optional(&mut **transaction).await?;
        let (begun, first) = Chain::begin(chain_name(), newest.map(Record::from).as_ref(), now);
        records.push(first);
        begun
    };
    records.extend(events.into_iter().map(|event| goes_on.add(event)));
    let mut rest = records.as_slice();
    while !rest.is_empty() {
        let (at, rows) =
            SIZES.iter().copied().enumerate().find(|(_, size)| *size <= rest.len()).unwrap_or((SIZES.len() - 1, 1));
        let (now, later) = rest.split_at(rows);
        let mut insert = sqlx::query(AssertSqlSafe(INSERTS[at].as_str()));
        for record in now {
            insert = insert
                .bind(&record.chain)
                .bind(record.sequence)
                .bind(record.at)
                .bind(&record.event)
                .bind(record.sub.as_ref())
                .bind(record.client_id.as_ref())
                .bind(record.network.as_ref())
                .bind(record.reference.as_ref())
                .bind(record.detail.as_ref())
                .bind(&record.previous_hash)
                .bind(&record.hash);
        }
        insert.execute(&mut **transaction).await?;
        rest = later;
    }
    *chain = Some(goes_on);
    Ok(())
}

/// Writes the event of a change with the change itself, in a chain of its own.
///
/// # Errors
/// The database failed.
pub async fn note_change(transaction: &mut Transaction, event: Event, now: NumericDate) -> Result<(), StoreError> {
    append(transaction, &mut None, vec![event], now).await
}

/// The name of a chain: of one run, and of nobody else's.
fn chain_name() -> String {
    URL_SAFE_NO_PAD.encode(random::<9>())
}

/// What events are wanted; whatever is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// A word of `EventKind`.
    pub event: Option<String>,
    /// Whose.
    pub sub: Option<String>,
    /// By way of which client.
    pub client_id: Option<String>,
    /// The request they happened in.
    pub reference: Option<String>,
}

/// The newest events that are wanted, since an instant, newest first.
///
/// # Errors
/// The database failed.
pub async fn latest(db: &Db, wanted: &Wanted, since: NumericDate, most: i64) -> Result<Vec<Record>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(LATEST)
        .bind(since.0)
        .bind(wanted.event.as_ref())
        .bind(wanted.sub.as_ref())
        .bind(wanted.client_id.as_ref())
        .bind(wanted.reference.as_ref())
        .bind(most)
        .fetch_all(db.statement())
        .await?;
    Ok(rows.into_iter().map(Record::from).collect())
}

/// The events after one that was read before, oldest first, a thousand at most; from the beginning after none.
///
/// # Errors
/// The database failed.
pub async fn page(db: &Db, after: Option<&Record>) -> Result<Vec<Record>, StoreError> {
    let (at, chain, sequence) =
        after.map_or((i64::MIN, "", 0), |record| (record.at, record.chain.as_str(), record.sequence));
    let rows: Vec<Row> = sqlx::query_as(PAGE).bind(at).bind(chain).bind(sequence).fetch_all(db.statement()).await?;
    Ok(rows.into_iter().map(Record::from).collect())
}
