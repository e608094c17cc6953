//! Audit events that are removed: the oldest of a chain, a batch in a transaction, with the checkpoint that replaces them.
//!
//! The checkpoint is an event itself, in the chain of the process that removes. `audit_checkpoints` only says where the
//! newest one of each chain is, so that the next pruning continues from it; and its row is the lock of all who prune the same
//! chain.

use crate::protocol::audit::{Chain, Checkpoint, Event, Flaw, Pruned, Record, check_prefix};
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::audit_events::{Row, append, columns};
use crate::store::db::{Db, Transaction};
use crate::store::row::row;

/// How many events a transaction removes at most: SQLite has one writer, and no request waits long for this one.
const BATCH: i64 = 500;

const IS_ANY: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM audit_events WHERE at < $1 LIMIT 1) AS expired";
const NEXT: &str = "SELECT chain, sequence, at FROM audit_events WHERE chain > $1 ORDER BY chain, sequence LIMIT 1";
const FIRST: &str = "SELECT chain, sequence, at FROM audit_events WHERE chain = $1 ORDER BY sequence LIMIT $2";
// The second one waits here for the first, and then sees what that one has written.
const LOCK: &str = "INSERT INTO audit_checkpoints (chain, told_chain, told_sequence) VALUES ($1, '', 0) \
     ON CONFLICT (chain) DO UPDATE SET chain = excluded.chain RETURNING told_chain, told_sequence";
const TOLD: &str = "SELECT told_chain, told_sequence FROM audit_checkpoints WHERE chain = $1";
const MOVE: &str = "INSERT INTO audit_checkpoints (chain, told_chain, told_sequence) VALUES ($1, $2, $3) \
     ON CONFLICT (chain) DO UPDATE SET told_chain = excluded.told_chain, told_sequence = excluded.told_sequence \
     WHERE audit_checkpoints.told_chain = $4 AND audit_checkpoints.told_sequence = $5";
const FIND: &str = concat!("SELECT ", columns!(), " FROM audit_events WHERE chain = $1 AND sequence = $2");
const REMOVE: &str = concat!("DELETE FROM audit_events WHERE chain = $1 AND sequence <= $2 RETURNING ", columns!());

row! {
    /// The place of an event.
    pub struct Place {
        /// Its chain.
        pub chain: String,
        sequence: i64,
        /// When it happened, Unix seconds.
        pub at: i64,
    }
}

row! {
    /// Where a checkpoint is told of; `told_chain` is empty where none was told of yet.
    #[derive(Clone)]
    struct Pointer {
        told_chain: String,
        told_sequence: i64,
    }
}

/// Whether anything happened before that instant.
///
/// # Errors
/// The database failed.
pub async fn is_any(db: &Db, cut: NumericDate) -> Result<bool, StoreError> {
    let count: i64 = sqlx::query_scalar(IS_ANY).bind(cut.0).fetch_one(db.statement_in_background()).await?;
    Ok(count > 0)
}

/// The first event of the chain whose name comes next; from the beginning after the empty one.
///
/// # Errors
/// The database failed.
pub async fn next_chain(db: &Db, after: &str) -> Result<Option<Place>, StoreError> {
    Ok(sqlx::query_as(NEXT).bind(after).fetch_optional(db.statement_in_background()).await?)
}

/// Removes the oldest events of a chain, those before the first that is not older than the cut, as many as one transaction
/// may; their checkpoint goes to the end of `own`, the chain of the process that removes. Gives what was removed.
///
/// # Errors
/// The database failed. Inside: the events are not whole, so that none of them was removed.
pub async fn prune(
    db: &Db,
    chain: &str,
    cut: NumericDate,
    own: &mut Option<Chain>,
    now: NumericDate,
) -> Result<Result<Pruned, Flaw>, StoreError> {
    // Whether a commit that failed was carried out cannot be known: then the next begins a chain of its own.
    let mut goes_on = own.take();
    let mut transaction = db.begin_in_background().await?;
    let removed = match remove(&mut transaction, chain, cut).await? {
        Ok(Some(removed)) => removed,
        other => {
            transaction.rollback().await?;
            *own = goes_on;
            return Ok(other.map(|_| Pruned::default()));
        }
    };
    tell(&mut transaction, &removed, &mut goes_on, now).await?;
    transaction.commit().await?;
    *own = goes_on;
    let mut pruned = Pruned::default();
    pruned.add(removed.records.len().try_into().unwrap_or(i64::MAX), removed.checkpoint.until);
    Ok(Ok(pruned))
}

/// What was removed.
struct Removed {
    records: Vec<Record>,
    /// What replaces it and all that was removed before.
    checkpoint: Checkpoint,
    /// Where the checkpoint before it was told of.
    told: Pointer,
}

async fn remove(
    transaction: &mut Transaction,
    chain: &str,
    cut: NumericDate,
) -> Result<Result<Option<Removed>, Flaw>, StoreError> {
    let told: Pointer = sqlx::query_as(LOCK).bind(chain).fetch_one(&mut **transaction).await?;
    let before = if told.told_chain.is_empty() {
        None
    } else {
        let found: Option<Row> = sqlx::query_as(FIND)
            .bind(&told.told_chain)
            .bind(told.told_sequence)
            .fetch_optional(&mut **transaction)
            .await?;
        let told_by = found.map(Record::from).filter(|record| record.fault().is_none());
        let checkpoint = told_by.and_then(|record| record.checkpoint()).and_then(Result::ok);
        let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.chain == chain) else {
            let why = "the checkpoint of what was pruned before is missing, or was changed";
            return Ok(Err(Flaw::at(chain, 1, why)));
        };
        Some(checkpoint)
    };
    let first: Vec<Place> = sqlx::query_as(FIRST).bind(chain).bind(BATCH).fetch_all(&mut **transaction).await?;
    let Some(last) = first.iter().take_while(|place| place.at < cut.0).last() else { return Ok(Ok(None)) };
    // What is checked and counted is what was deleted, whatever others did a moment before.
    let rows: Vec<Row> = sqlx::query_as(REMOVE).bind(chain).bind(last.sequence).fetch_all(&mut **transaction).await?;
    let mut records: Vec<Record> = rows.into_iter().map(Record::from).collect();
    records.sort_by_key(|record| record.sequence);
    if let Err(flaw) = check_prefix(before.as_ref(), &records) {
        return Ok(Err(flaw));
    }
    let checkpoint = records.iter().fold(before.unwrap_or_else(|| Checkpoint::nothing(chain)), Checkpoint::beyond);
    Ok(Ok(Some(Removed { records, checkpoint, told })))
}

/// Tells of the new checkpoint, and again of those that were told of by what was just removed.
async fn tell(
    transaction: &mut Transaction,
    removed: &Removed,
    own: &mut Option<Chain>,
    now: NumericDate,
) -> Result<(), StoreError> {
    let mut told = vec![(removed.checkpoint.clone(), removed.told.clone())];
    for record in &removed.records {
        let Some(Ok(other)) = record.checkpoint() else { continue };
        let here = Pointer { told_chain: record.chain.clone(), told_sequence: record.sequence };
        let newest: Option<Pointer> =
            sqlx::query_as(TOLD).bind(&other.chain).fetch_optional(&mut **transaction).await?;
        // Only the newest counts; one that nothing points to is told again rather than lost.
        let is_newest = newest
            .is_none_or(|newest| newest.told_chain == here.told_chain && newest.told_sequence == here.told_sequence);
        if other.chain != removed.checkpoint.chain && is_newest {
            told.push((other, here));
        }
    }
    let events: Vec<Event> = told.iter().map(|(checkpoint, _)| checkpoint.event(now)).collect();
    let (own, last) = append(transaction, own, events, now).await?;
    let before_them = last - i64::try_from(told.len()).unwrap_or(i64::MAX);
    for (at, (checkpoint, before)) in (before_them + 1..).zip(&told) {
        sqlx::query(MOVE)
            .bind(&checkpoint.chain)
            .bind(&own)
            .bind(at)
            .bind(&before.told_chain)
            .bind(before.told_sequence)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}
