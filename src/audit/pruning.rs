//! Pruning: old events are removed chain by chain and batch by batch, by a command or, with `HALLPASS_AUDIT_RETENTION`, by
//! running nodes.

use crate::protocol::audit::{Chain, Flaw, Pruned};
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::audit_pruning;
use crate::store::db::Db;
use std::time::Duration;

/// A day, in seconds.
const DAY: i64 = 86_400;
/// How long the database is left to others after each batch.
const PAUSE: Duration = Duration::from_millis(10);

/// What is kept for so many days: everything since the beginning of a day, in UTC. So a node prunes once a day; if it did
/// as events get old, it would write as many checkpoints as it removes events.
#[must_use]
pub const fn cut(days: i64, now: NumericDate) -> NumericDate {
    NumericDate(now.plus(days.saturating_mul(-DAY)).0.div_euclid(DAY) * DAY)
}

/// One that prunes: where it is, and the chain its checkpoints go to.
#[derive(Debug, Default)]
pub struct Pruner {
    own: Option<Chain>,
    /// The chain it has looked at last.
    after: String,
    /// The cut up to which every chain was looked at.
    done: Option<NumericDate>,
    /// Chains that are not whole and are left as they are.
    flaws: Vec<Flaw>,
}

impl Pruner {
    /// Removes events that happened before the cut, in so many steps at most; a step is a batch or a look at a chain. Gives
    /// what was removed. The next call continues from there.
    ///
    /// # Errors
    /// The database failed; what was removed until then stays removed.
    pub async fn prune(
        &mut self,
        db: &Db,
        cut: NumericDate,
        most: usize,
        now: NumericDate,
    ) -> Result<Pruned, StoreError> {
        let (mut removed, mut last) = (Pruned::default(), None);
        if self.done.is_some_and(|done| done >= cut) {
            return Ok(removed);
        }
        if !audit_pruning::is_any(db, cut).await? {
            self.done = Some(cut);
            return Ok(removed);
        }
        let mut steps = 0;
        while steps < most {
            steps += 1;
            let Some(next) = audit_pruning::next_chain(db, &self.after).await? else {
                self.after.clear();
                self.done = Some(cut);
                break;
            };
            if next.at < cut.0 {
                match audit_pruning::prune(db, &next.chain, cut, &mut self.own, now).await? {
                    Ok(Pruned { events, until: Some(until), .. }) => {
                        removed.add(events, until);
                        removed.chains += usize::from(last.as_ref() != Some(&next.chain));
                        last = Some(next.chain);
                        tokio::time::sleep(PAUSE).await;
                        // There may be more of it.
                        continue;
                    }
                    Ok(_) => {}
                    Err(flaw) => self.flaws.push(flaw),
                }
            }
            self.after = next.chain;
        }
        Ok(removed)
    }

    /// What keeps chains from being pruned, as found since it was last asked.
    pub fn take_flaws(&mut self) -> Vec<Flaw> {
        std::mem::take(&mut self.flaws)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_begins_with_a_day() {
        let noon = NumericDate(1_790_000_000 / DAY * DAY + DAY / 2);
        assert_eq!(cut(1, noon), noon.plus(-DAY / 2 - DAY));
        assert_eq!(cut(1, noon.plus(DAY / 2 - 1)), cut(1, noon));
        assert_eq!(cut(1, noon.plus(DAY / 2)), cut(1, noon).plus(DAY));
        assert_eq!(cut(36_500, NumericDate(0)).0, -36_500 * DAY);
    }
}
