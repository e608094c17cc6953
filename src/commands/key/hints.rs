//! How long an `id_token` can come back as a hint, by the settings, the clients' rows and the refresh families: until then a
//! retired key is still needed to verify it.

use crate::commands::terminal;
use crate::config::{Config, DatabaseUrl};
use crate::failure::Failure;
use crate::keys::timetable::Hints;
use crate::keys::{KeySet, LONGEST_TOKEN};
use crate::protocol::client::REFRESH_FAMILY_LIFETIME;
use crate::store::StoreError;
use crate::store::checkup;
use crate::store::db::Db;

/// What is known of hints; with the reason where the database cannot be asked, so that no file is given up then.
pub(in crate::commands) async fn hints(config: &Config, set: &KeySet) -> (Hints, Option<Failure>) {
    let of_settings = config.session_lifetime.max(LONGEST_TOKEN);
    if let DatabaseUrl::Sqlite(path) = &config.database_url
        && !path.exists()
    {
        // No database, no client: no refresh token was issued.
        return (Hints { longest: Some(of_settings), ..Hints::default() }, None);
    }
    let db = match terminal::open_database(config).await {
        Ok(db) => db,
        Err(why) => return (Hints::default(), Some(why)),
    };
    let asked = of_database(&db, set, of_settings).await;
    db.close().await;
    match asked {
        Ok(hints) => (hints, None),
        Err(error) => (Hints::default(), Some(error.into())),
    }
}

async fn of_database(db: &Db, set: &KeySet, of_settings: i64) -> Result<Hints, StoreError> {
    let of_rows = checkup::longest_family(db, REFRESH_FAMILY_LIFETIME).await?;
    let mut hints = Hints { longest: Some(of_rows.unwrap_or(0).max(of_settings)), ..Hints::default() };
    for key in set.all() {
        let Some(retired_at) = key.entry.timetable.retired_at else { continue };
        // Rows may have been changed since those families started.
        if let Some(end) = checkup::last_end_of_families(db, retired_at).await? {
            hints.families.insert(key.entry.kid.clone(), end);
        }
    }
    Ok(hints)
}
