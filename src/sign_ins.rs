//! The rows of sign-ins, kept in step with their live records: what a row ends is ended everywhere, and what is used is
//! noted in its row.

use crate::logout::{self, Cause};
use crate::protocol::secret::Handle;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::db::Db;
use crate::store::user_sessions::{self, ToSettle};
use crate::store::{StoreError, sessions, timely};
use crate::tokens::LONGEST_ACCESS_TOKEN;
use futures_util::StreamExt as _;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often rows that are to end are looked for.
const ROUND: Duration = Duration::from_secs(4);
/// How many are ended at once.
const AT_ONCE: usize = 16;
/// The most sign-ins whose use waits to be written.
const MOST_SEEN: usize = 100_000;
/// How many of them are written in one go.
const WRITTEN_AT_ONCE: usize = 1000;
/// How long a row that could not be written is tried again, by pauses in seconds.
const PAUSES: [u64; 6] = [1, 5, 15, 60, 300, 900];

/// When sign-ins were used, until it is written. It may be lost with the process: a row is then an hour behind.
#[derive(Default)]
pub struct Seen(Mutex<HashMap<Handle, NumericDate>>);

impl Seen {
    /// Notes that a sign-in was used.
    pub fn note(&self, session: Handle, at: NumericDate) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MOST_SEEN || seen.contains_key(&session) {
            seen.insert(session, at);
        }
    }

    /// Writes what was noted, a thousand at most.
    pub async fn write(&self, db: &Db) {
        let due: Vec<(Handle, NumericDate)> = {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let due: Vec<_> = seen.iter().take(WRITTEN_AT_ONCE).map(|(session, at)| (*session, *at)).collect();
            for (session, _) in &due {
                seen.remove(session);
            }
            due
        };
        for (session, at) in due {
            if let Err(error) = user_sessions::seen(db, session, at).await {
                self.note(session, at);
                tracing::debug!(%error, "when a sign-in was used could not be written; it is tried again");
            }
        }
    }
}

/// Notes in its row that a sign-in is over. Signing out works without the database: what cannot be written now is tried
/// again in the background, and until then the sign-in is listed although it has ended.
pub async fn settle_row(provider: &Arc<Provider>, session: Handle, now: NumericDate) {
    if timely(user_sessions::settled(&provider.db, session, now)).await.is_ok() {
        return;
    }
    let provider = provider.clone();
    tokio::spawn(async move {
        for pause in PAUSES {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            if user_sessions::settled(&provider.db, session, now).await.is_ok() {
                return;
            }
        }
        tracing::error!(session = session.text(), "a sign-in that ended is still listed: its row could not be written");
    });
}

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
        let found = match user_sessions::to_settle(&provider.db).await {
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
    let ended = async {
        let live = sessions::find_record(&provider.ephemeral, &row.record).await?;
        match live.filter(|session| session.sign_in.session == row.session) {
            Some(session) => logout::end_session(provider, &row.record, &session, Cause::Row, now).await,
            // What it issued may be live although its record is gone.
            None => sessions::end(&provider.ephemeral, row.session, LONGEST_ACCESS_TOKEN).await.map(|()| None),
        }
    }
    .await;
    match ended {
        Ok(ended) => {
            if let Some(ended) = ended {
                ended.in_background(provider);
            }
            user_sessions::settled(&provider.db, row.session, now).await
        }
        Err(error) => {
            tracing::warn!(%error, session = row.session.text(), "a sign-in could not be ended; it is tried again");
            Err(error)
        }
    }
}
