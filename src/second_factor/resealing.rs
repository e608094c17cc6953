//! What an older factor key sealed is sealed anew by the one that seals now, so that the older one can be deleted; and what no key
//! here opens is told.
//!
//! Every node does it: a row is written only while it is as it was read, so that no two undo each other's work. It is looked for once
//! a minute while there is anything to do or to be told, and else every tenth: all rows are counted for it.

use crate::failure::Failure;
use crate::keys::factors::{self, FactorKeySet};
use crate::protocol::factor_secret::{FactorSealer as _, FactorSecret};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::user_factors::{self, Stored};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked for while there is an older key, or a row without one.
const ROUND: Duration = Duration::from_mins(1);
/// In which of these rounds it is looked for otherwise.
const IDLE_ROUNDS: u64 = 10;
/// How many pages of a hundred rows are sealed anew at once, so that no node is busy with it for long.
const MOST_PAGES: usize = 100;
/// Under which name the readiness tells of rows that no key opens, and of those that do not open by their key.
const DEGRADED: &str = "factor_keys";
const DEGRADED_ROWS: &str = "factor_rows";

/// Does it for as long as the provider runs.
pub async fn keep_resealing(provider: Arc<Provider>) {
    let mut interval = tokio::time::interval(ROUND);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for number in 0_u64.. {
        interval.tick().await;
        let has_work = !provider.factor_keys.current().outdated(provider.now()).is_empty()
            || provider.degraded.members().contains_key(DEGRADED);
        if !has_work && !number.is_multiple_of(IDLE_ROUNDS) {
            continue;
        }
        match round(&provider).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "secrets of second factors were sealed anew by the newest factor key"),
            Err(error) => tracing::debug!(%error, "sealed secrets could not be looked at; it is tried again"),
        }
    }
}

/// One round of it; gives how many rows were sealed anew.
///
/// # Errors
/// The database failed; what is left is done the next time.
pub async fn round(provider: &Provider) -> Result<u64, StoreError> {
    let (db, now) = (&provider.db, provider.now());
    let keys = provider.factor_keys.current();
    let rows = user_factors::by_key(db).await?;
    tell(provider, lost(&keys, &factors::plan(&keys, Some(&rows), now).lost));
    let (mut resealed, mut unopened) = (0, Unopened::default());
    for key_id in keys.outdated(now).into_iter().filter(|key_id| rows.contains_key(key_id)) {
        let mut after = String::new();
        for _ in 0..MOST_PAGES {
            let page = user_factors::of_key(db, &key_id, &after).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.factor_id);
            for row in &page {
                if let Some(secret) = keys.at(now).open(&row.sealed(), &row.owner()) {
                    resealed += u64::from(reseal(db, &keys, row, &secret, now).await);
                } else {
                    unopened.note(row);
                }
            }
        }
    }
    if provider.degraded.set(DEGRADED_ROWS, unopened.sentence())
        && let Some(why) = unopened.sentence()
    {
        tracing::warn!(fix = Unopened::FIX, "{why}");
    }
    Ok(resealed)
}

/// Seals a row anew, where it is as it was read. A failure is none of who asks: it is done the next time.
pub(super) async fn reseal(
    db: &Db,
    keys: &FactorKeySet,
    row: &Stored,
    secret: &FactorSecret,
    now: NumericDate,
) -> bool {
    let Some(sealed) = keys.at(now).seal(secret, &row.owner()) else { return false };
    match user_factors::reseal(db, &row.factor_id, &row.secret, &sealed).await {
        Ok(is_done) => is_done,
        Err(error) => {
            tracing::debug!(%error, "a factor could not be sealed anew; it is tried again");
            false
        }
    }
}

/// Rows that do not open although their key is there.
#[derive(Debug, Default)]
pub struct Unopened {
    rows: u64,
    first: Option<String>,
}

impl Unopened {
    /// How many rows a command looks at.
    pub const MOST_LOOKED_AT: usize = 10_000;
    /// What is done about them.
    pub const FIX: &'static str = "the row was changed by SQL, or is another's: bring it back from a backup of the database, or let the user \
         start anew with `hallpass user factor remove NAME --all`";

    fn note(&mut self, row: &Stored) {
        self.rows += 1;
        self.first.get_or_insert_with(|| row.factor_id.clone());
    }

    /// What there is to say of them, if there are any.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        let secrets = if self.rows == 1 { "secret of a second factor does" } else { "secrets of second factors do" };
        Some(format!("{} {secrets} not open by the factor key (user_factors.factor_id {first})", self.rows))
    }

    /// Looks at the rows of the keys that are there, at [`Self::MOST_LOOKED_AT`] of each.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(db: &Db, keys: &FactorKeySet, now: NumericDate) -> Result<Self, StoreError> {
        let mut unopened = Self::default();
        for key in keys.all() {
            let (mut after, mut looked_at) = (String::new(), 0);
            while looked_at < Self::MOST_LOOKED_AT {
                let page = user_factors::of_key(db, &key.id, &after).await?;
                let Some(last) = page.last() else { break };
                after.clone_from(&last.factor_id);
                looked_at += page.len();
                let is_unopened = |row: &&Stored| keys.at(now).open(&row.sealed(), &row.owner()).is_none();
                page.iter().filter(is_unopened).for_each(|row| unopened.note(row));
            }
        }
        Ok(unopened)
    }
}

/// What is to be said of rows whose keys are not there: `lost` has the ids and how many rows each sealed.
#[must_use]
pub fn lost(keys: &FactorKeySet, lost: &[(String, u64)]) -> Option<Failure> {
    const NAMED: usize = 5;
    let rows: u64 = lost.iter().map(|(_, rows)| rows).sum();
    if rows == 0 {
        return None;
    }
    let mut ids: Vec<&str> = lost.iter().take(NAMED).map(|(id, _)| id.as_str()).collect();
    if lost.len() > NAMED {
        ids.push("others");
    }
    let state = if keys.all().is_empty() { "there is no factor key" } else { "the factor key is not here" };
    let what = format!(
        "{state} that sealed {rows} {} of users ({}): their second factor cannot be checked, and they cannot sign in",
        if rows == 1 { "secret" } else { "secrets" },
        ids.join(", ")
    );
    Some(Failure::new(what).with_fix(
        "bring the file factors.….key back into HALLPASS_KEYS from another node or a backup; where it is lost for good, \
         `hallpass user factor remove NAME --all` lets a user begin anew",
    ))
}

/// Tells what is new of it, in the log and for the readiness.
fn tell(provider: &Provider, failure: Option<Failure>) {
    let sentence = failure.as_ref().map(Failure::to_string);
    if !provider.degraded.set(DEGRADED, sentence) {
        return;
    }
    if let Some(failure) = failure {
        let fix = failure.fix();
        tracing::error!(why = %failure, fix, "second factors cannot be checked; every other user signs in");
    } else {
        tracing::info!("every secret of a second factor has its key again");
    }
}
