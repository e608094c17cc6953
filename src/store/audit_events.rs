//! Audit events as rows: appended many at once in the background, or with the change that they tell of, read back in their
//! order, and what tells of one user erased. `audit_pruning` removes them.

use crate::ambient::random;
use crate::protocol::audit::{Chain, Event, EventKind, Record};
use crate::protocol::time::NumericDate;
use crate::store::db::{Db, Transaction};
use crate::store::row::row;
use crate::store::{StoreError, mail_outbox};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

macro_rules! columns {
    () => {
        "chain, sequence, at, event, sub, client_id, network, reference, detail, personal, salts, digests, \
         previous_hash, hash"
    };
}
pub(super) use columns;

/// How many columns that are.
const COLUMNS: usize = 14;
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
// All personal members of an event at once: what is left of it would tell of the user still. Their digests stay.
const ERASE_BY_SUB: &str = "UPDATE audit_events SET sub = NULL, network = NULL, personal = NULL, salts = NULL WHERE sub = $1 \
     AND (chain, sequence) IN (SELECT chain, sequence FROM audit_events WHERE sub = $1 ORDER BY chain, sequence LIMIT 500) \
     RETURNING digests";
// An event of no user that says a name; one of another user is about that user. There is no index of it: the table is
// read.
const ERASE_BY_NAME: &str = "UPDATE audit_events SET network = NULL, personal = NULL, salts = NULL WHERE personal IS NOT NULL \
     AND (chain, sequence) IN (SELECT chain, sequence FROM audit_events WHERE sub IS NULL AND personal IS NOT NULL \
     AND LOWER(personal) LIKE LOWER($1) ESCAPE '!' ORDER BY chain, sequence LIMIT 500) RETURNING digests";

/// How often a failure that may pass is tried again while a user is erased.
const MOST_FAILURES: usize = 5;
const PAUSE: Duration = Duration::from_millis(100);

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
    pub(super) struct Row {
        chain: String,
        sequence: i64,
        at: i64,
        event: String,
        sub: Option<String>,
        client_id: Option<String>,
        network: Option<String>,
        reference: Option<String>,
        detail: Option<String>,
        personal: Option<String>,
        salts: Option<String>,
        digests: Option<String>,
        previous_hash: String,
        hash: String,
    }
}

/// Members by name. What is none reads as none at all, and is then found by `verify`, as it does not fit the digests or the hash.
fn members(json: Option<&str>) -> BTreeMap<String, String> {
    json.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn json(members: &BTreeMap<String, String>) -> Result<Option<String>, StoreError> {
    Ok(if members.is_empty() { None } else { Some(serde_json::to_string(members)?) })
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
            personal: members(row.personal.as_deref()),
            salts: members(row.salts.as_deref()),
            digests: members(row.digests.as_deref()),
            previous_hash: row.previous_hash,
            hash: row.hash,
        }
    }
}

/// Adds events to a chain, which is started if there is none yet. Gives the place of the last. On an error the chain is as it
/// was.
///
/// # Errors
/// The database failed.
pub async fn append(
    transaction: &mut Transaction,
    chain: &mut Option<Chain>,
    events: Vec<Event>,
    now: NumericDate,
) -> Result<(String, i64), StoreError> {
    let mut records = Vec::with_capacity(events.len() + 1);
    let mut goes_on = if let Some(chain) = chain {
        chain.clone()
    } else {
        let newest: Option<Row> = sqlx::query_as(NEWEST).fetch_optional(&mut **transaction).await?;
        let (chain, first) = Chain::begin(chain_name(), newest.map(Record::from).as_ref(), now);
        records.push(first);
        chain
    };
    records.extend(events.into_iter().map(|event| goes_on.add(event, random)));
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
                .bind(json(&record.personal)?)
                .bind(json(&record.salts)?)
                .bind(json(&record.digests)?)
                .bind(&record.previous_hash)
                .bind(&record.hash);
        }
        insert.execute(&mut **transaction).await?;
        rest = later;
    }
    let (name, sequence) = goes_on.end();
    let end = (name.to_owned(), sequence);
    *chain = Some(goes_on);
    Ok(end)
}

/// Writes the event of a change with the change itself, in a chain of its own, and queues the mail that tells the user of it.
///
/// # Errors
/// The database failed.
pub async fn note_change(transaction: &mut Transaction, event: Event, now: NumericDate) -> Result<(), StoreError> {
    mail_outbox::note(transaction, &event, now).await?;
    append(transaction, &mut None, vec![event], now).await?;
    Ok(())
}

/// The name of a chain: of this run alone.
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

/// What reads all events as they are at one moment, so that what is written, erased or pruned meanwhile makes no difference.
///
/// # Errors
/// The database failed.
pub async fn snapshot(db: &Db) -> Result<Transaction, StoreError> {
    db.begin_snapshot().await
}

/// The events after one that was read before, oldest first, a thousand at most; from the beginning after none.
///
/// # Errors
/// The database failed.
pub async fn page(snapshot: &mut Transaction, after: Option<&Record>) -> Result<Vec<Record>, StoreError> {
    let (at, chain, sequence) =
        after.map_or((i64::MIN, "", 0), |record| (record.at, record.chain.as_str(), record.sequence));
    let rows: Vec<Row> = sqlx::query_as(PAGE).bind(at).bind(chain).bind(sequence).fetch_all(&mut **snapshot).await?;
    Ok(rows.into_iter().map(Record::from).collect())
}

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Of how many events.
    pub events: i64,
    /// How many members.
    pub members: i64,
}

/// Erases what identifies a user: every personal member of the events of that `sub`, and of events of no user that say one of
/// the names, upper and lower case alike. What a node has not written yet, a second later, is not among it. Each transaction
/// erases those of 500 events, and writes an event that says how many members they were, but not whose.
///
/// # Errors
/// The database failed. What was erased until then stays erased; the rest can be erased again.
pub async fn erase(db: &Db, sub: &str, names: &[&str], now: NumericDate) -> Result<Erased, StoreError> {
    let mut erased = Erased::default();
    let (mut chain, mut failures) = (None, 0);
    let by_name = names.iter().map(|name| (ERASE_BY_NAME, says(name)));
    for (statement, whose) in std::iter::once((ERASE_BY_SUB, sub.to_owned())).chain(by_name) {
        loop {
            match erase_batch(db, statement, &whose, &mut chain, now).await {
                Ok(Erased { events: 0, .. }) => break,
                Ok(batch) => {
                    erased.events += batch.events;
                    erased.members += batch.members;
                }
                // Another pruning or erasing of the same may have locked the same rows in another order.
                Err(error) if error.may_pass() && failures < MOST_FAILURES => {
                    failures += 1;
                    chain = None;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(erased)
}

async fn erase_batch(
    db: &Db,
    statement: &'static str,
    whose: &str,
    chain: &mut Option<Chain>,
    now: NumericDate,
) -> Result<Erased, StoreError> {
    let mut transaction = db.begin().await?;
    let digests: Vec<Option<String>> = sqlx::query_scalar(statement).bind(whose).fetch_all(&mut *transaction).await?;
    if digests.is_empty() {
        transaction.rollback().await?;
        return Ok(Erased::default());
    }
    let events = digests.len().try_into().unwrap_or(i64::MAX);
    let number: usize = digests.iter().map(|digests| members(digests.as_deref()).len()).sum();
    let erased = Erased { events, members: number.try_into().unwrap_or(i64::MAX) };
    let event = Event::new(EventKind::PersonalErased, now).with("events", events).with("members", erased.members);
    append(&mut transaction, chain, vec![event], now).await?;
    transaction.commit().await?;
    Ok(erased)
}

/// The pattern of members of which one is that text: as JSON has it, between the colon after its name and its last quotation
/// mark. Inside a text, JSON writes no quotation mark without a backslash before it.
fn says(text: &str) -> String {
    let mut pattern = String::from("%:");
    for c in serde_json::Value::from(text).to_string().chars() {
        if matches!(c, '!' | '%' | '_') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
