//! What rows and accounts end is ended everywhere: the live records are taken, and the services are told.

use crate::logout::{self, Cause};
use crate::provider::Provider;
use crate::store::user_sessions::{self, ToSettle};
use crate::store::{StoreError, sessions, timely};
use crate::tokens::LONGEST_ACCESS_TOKEN;
use futures_util::StreamExt as _;
use std::sync::Arc;
use std::time::Duration;

/// How often rows that are to end are looked for.
const ROUND: Duration = Duration::from_secs(4);
/// How many are ended at once.
const AT_ONCE: usize = 16;

/// Ends what rows and accounts have ended, for as long as the provider runs.
pub async fn keep_settling(provider: Arc<Provider>) {
    let mut interval = tokio::time::interval(ROUND);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        settle(&provider).await;
    }
}

/// One round of it: all that there is now.
pub async fn settle(provider: &Arc<Provider>) {
    loop {
        let found = match timely(user_sessions::to_settle(&provider.db)).await {
            Ok(found) if found.is_empty() => return,
            Ok(found) => found,
            Err(error) => return tracing::warn!(%error, "ended sign-ins could not be looked for; it is tried again"),
        };
        let settled = futures_util::stream::iter(found)
            .map(|row| async move { settle_one(provider, &row).await })
            .buffer_unordered(AT_ONCE)
            .fold(true, async |all, one| all && one.is_ok())
            .await;
        if !settled {
            return;
        }
    }
}

async fn settle_one(provider: &Arc<Provider>, row: &ToSettle) -> Result<(), StoreError> {
    let now = provider.now();
    let settled = async {
        if !timely(user_sessions::claim(&provider.db, row, now)).await? {
            return Ok(());
        }
        let live = match sessions::find_record(&provider.ephemeral, &row.record).await {
            // One that cannot be read says of no service that is to be told.
            Err(StoreError::Record(_)) => None,
            found => found?,
        };
        let ended = match live.filter(|session| session.sign_in.session == row.session) {
            Some(session) => logout::end_session(provider, &row.record, &session, Cause::Row, now).await?,
            // What it issued may be live although its record is gone.
            None => sessions::end(&provider.ephemeral, row.session, LONGEST_ACCESS_TOKEN).await.map(|()| None)?,
        };
        let Some(ended) = ended else {
            return timely(user_sessions::settled(&provider.db, row.session, &row.record, now)).await;
        };
        // Its row is settled with it.
        ended.in_background(provider);
        Ok(())
    }
    .await;
    settled.inspect_err(|error| {
        tracing::warn!(%error, session = row.session.text(), "a sign-in could not be ended; it is tried again");
    })
}
