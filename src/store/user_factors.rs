//! Second factors of users: authenticators and recovery codes, whose secrets are sealed above this floor
//! (`crate::second_factor`). That a code is taken once is decided here, by one statement.

use crate::protocol::audit::{Event, EventKind};
use crate::protocol::claims::User;
use crate::protocol::factor_secret::{FactorKind, Owner, Sealed};
use crate::protocol::secret::LinkSecret;
use crate::protocol::time::NumericDate;
use crate::store::db::{Db, Transaction};
use crate::store::row::row;
use crate::store::user_sessions::{self, By};
use crate::store::{StoreError, audit_events, migrations, user_links, user_passkeys, users};
use sqlx::AnyConnection;
use std::collections::BTreeMap;

const OF_USER: &str = "SELECT factor_id, sub, kind, name, secret, key_id, created_at, used_at, last_step FROM user_factors \
     WHERE sub = $1 ORDER BY created_at, factor_id";
// It holds the user's row until the transaction ends, so that two who add a factor at once are counted one after the other.
const HOLD: &str = "UPDATE users SET folded_of = folded_of WHERE sub = $1";
const COUNT: &str = "SELECT COUNT(*) FROM user_factors WHERE sub = $1 AND kind = $2";
const ADD: &str = "INSERT INTO user_factors (factor_id, sub, kind, name, secret, key_id, created_at, last_step) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
const SPEND_STEP: &str = "UPDATE user_factors SET last_step = $2, used_at = $3 WHERE factor_id = $1 AND last_step < $2";
const SPEND_CODE: &str =
    "UPDATE user_factors SET secret = $3, key_id = $4, used_at = $5 WHERE factor_id = $1 AND secret = $2";
const RESEAL: &str = "UPDATE user_factors SET secret = $3, key_id = $4 WHERE factor_id = $1 AND secret = $2";
const REPLACE: &str = "UPDATE user_factors SET secret = $3, key_id = $4, last_step = 0, created_at = $5 WHERE factor_id = $1 AND secret = $2";
const REMOVE: &str = "DELETE FROM user_factors WHERE sub = $1 AND factor_id = $2";
const REMOVE_AS_READ: &str = "DELETE FROM user_factors WHERE factor_id = $1 AND secret = $2";
const HAS_CODES: &str = "SELECT COUNT(*) FROM user_factors WHERE sub = $1 AND kind = 'recovery_codes'";
const REMOVE_KIND: &str = "DELETE FROM user_factors WHERE sub = $1 AND kind = $2";
const BY_KEY: &str = "SELECT key_id, COUNT(*) FROM user_factors GROUP BY key_id";
const OF_KEY: &str = "SELECT factor_id, sub, kind, name, secret, key_id, created_at, used_at, last_step FROM user_factors \
     WHERE key_id = $1 AND factor_id > $2 ORDER BY factor_id LIMIT 100";

row! {
    /// A factor as it is stored; its secret is sealed.
    #[derive(Clone)]
    pub struct Stored {
        /// `factor_id`.
        pub factor_id: String,
        /// `sub`.
        pub sub: String,
        /// `kind`.
        pub kind: String,
        /// `name`.
        pub name: String,
        /// `secret`.
        pub secret: String,
        /// `key_id`.
        pub key_id: String,
        /// `created_at`.
        pub created_at: i64,
        /// `used_at`.
        pub used_at: Option<i64>,
        /// `last_step`.
        pub last_step: i64,
    }
}

impl Stored {
    /// Which kind it is; `None`: one of a newer version.
    #[must_use]
    pub fn kind(&self) -> Option<FactorKind> {
        FactorKind::parse(&self.kind)
    }

    /// Whose the secret is.
    #[must_use]
    pub fn owner(&self) -> Owner<'_> {
        Owner { sub: &self.sub, kind: &self.kind, factor_id: &self.factor_id }
    }

    /// The secret.
    #[must_use]
    pub fn sealed(&self) -> Sealed {
        Sealed { text: self.secret.clone(), key_id: self.key_id.clone() }
    }
}

/// A factor that is about to be stored.
pub struct New<'a> {
    /// `factor_id`, `sub` and `kind`, which its secret is bound to.
    pub owner: Owner<'a>,
    /// `name`.
    pub name: &'a str,
    /// The secret.
    pub sealed: &'a Sealed,
    /// The step of the code that it was proven by; 0: none was.
    pub last_step: i64,
}

/// What an addition came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is stored.
    Done,
    /// The user has as many as a user may have.
    TooMany,
    /// It was stored before.
    Before,
    /// There is no such user, or what they had proven is not all any more.
    NoUser,
    /// The link that allowed it was used, or has ended.
    LinkGone,
}

/// Every factor of a user, the oldest first.
///
/// # Errors
/// The database failed.
pub async fn of_user(db: &Db, sub: &str) -> Result<Vec<Stored>, StoreError> {
    Ok(sqlx::query_as(OF_USER).bind(sub).fetch_all(db.statement()).await?)
}

/// An event with who did it.
pub(super) fn told(event: Event, by: By<'_>) -> Event {
    match by {
        By::Person(network) => event.with("by", "person").from(&network),
        By::Operator => event.with("by", "operator"),
    }
}

/// Stores an authenticator of a user, as they were when they had proven all that the account has, where they have fewer than `most`, with
/// its event. A link that allows it is spent with it.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn add_authenticator(
    db: &Db,
    user: &User,
    new: &New<'_>,
    most: i64,
    link: Option<&LinkSecret>,
    by: By<'_>,
    now: NumericDate,
) -> Result<Added, StoreError> {
    let mut transaction = db.begin().await?;
    let sub = new.owner.sub;
    if !hold_in(&mut transaction, sub).await? {
        transaction.rollback().await?;
        return Ok(Added::NoUser);
    }
    let count: i64 = sqlx::query_scalar(COUNT).bind(sub).bind(new.owner.kind).fetch_one(&mut *transaction).await?;
    if count >= most {
        transaction.rollback().await?;
        return Ok(Added::TooMany);
    }
    if let Some(link) = link
        && !user_links::spend_for_factor(&mut transaction, link, now).await?
    {
        transaction.rollback().await?;
        return Ok(Added::LinkGone);
    }
    if !users::is_still(&mut transaction, user).await? {
        transaction.rollback().await?;
        return Ok(Added::NoUser);
    }
    if !insert_in(&mut transaction, new, now).await? {
        transaction.rollback().await?;
        return Ok(Added::Before);
    }
    // A node of an older version would let the user in by the password alone.
    migrations::least_version_in(&mut transaction).await?;
    audit_events::note_change(&mut transaction, told(added(sub, now), by), now).await?;
    transaction.commit().await?;
    Ok(Added::Done)
}

/// The event of an authenticator more.
pub(super) fn added(sub: &str, now: NumericDate) -> Event {
    Event::new(EventKind::FactorAdded, now).of(sub).with("kind", FactorKind::Totp.as_str())
}

/// The event of factors that are removed.
pub(super) fn removed(sub: &str, kind: &'static str, now: NumericDate) -> Event {
    Event::new(EventKind::FactorRemoved, now).of(sub).with("kind", kind)
}

/// Holds a user until the transaction ends. Every transaction that changes factors does it before it touches one of them.
///
/// # Errors
/// The database failed.
pub(super) async fn hold_in(connection: &mut AnyConnection, sub: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query(HOLD).bind(sub).execute(connection).await?.rows_affected() == 1)
}

/// Stores a factor; `false`: there is one of that id, or the user has recovery codes already.
///
/// # Errors
/// The database failed.
pub(super) async fn insert_in(
    connection: &mut AnyConnection,
    new: &New<'_>,
    now: NumericDate,
) -> Result<bool, StoreError> {
    if new.owner.kind == FactorKind::Totp.as_str() {
        // They would be good once more should it be removed.
        user_links::end_for_factor(connection, new.owner.sub).await?;
    }
    let added = sqlx::query(ADD)
        .bind(new.owner.factor_id)
        .bind(new.owner.sub)
        .bind(new.owner.kind)
        .bind(new.name)
        .bind(&new.sealed.text)
        .bind(&new.sealed.key_id)
        .bind(now.0)
        .bind(new.last_step)
        .execute(connection)
        .await?;
    Ok(added.rows_affected() == 1)
}

/// Gives a factor another secret, unless it is not that one any more. It is another factor from now on, by `created_at`.
///
/// # Errors
/// The database failed.
pub(super) async fn replace_in(
    connection: &mut AnyConnection,
    factor_id: &str,
    before: &str,
    sealed: &Sealed,
    now: NumericDate,
) -> Result<bool, StoreError> {
    let replaced =
        sqlx::query(REPLACE).bind(factor_id).bind(before).bind(&sealed.text).bind(&sealed.key_id).bind(now.0);
    Ok(replaced.execute(connection).await?.rows_affected() == 1)
}

/// Removes a factor.
///
/// # Errors
/// The database failed.
pub(super) async fn remove_in(connection: &mut AnyConnection, sub: &str, factor_id: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query(REMOVE).bind(sub).bind(factor_id).execute(connection).await?.rows_affected() == 1)
}

/// Removes a factor, unless its secret is not that one any more.
///
/// # Errors
/// The database failed.
pub(super) async fn remove_as_read_in(
    connection: &mut AnyConnection,
    factor_id: &str,
    before: &str,
) -> Result<bool, StoreError> {
    let removed = sqlx::query(REMOVE_AS_READ).bind(factor_id).bind(before);
    Ok(removed.execute(connection).await?.rows_affected() == 1)
}

/// Notes that a code of a step was taken. `false`: a code of that step or of a later one was taken before. Of two at once one is
/// first.
///
/// # Errors
/// The database failed, and it is not known whether the code was taken.
pub async fn spend_step(db: &Db, factor_id: &str, step: i64, now: NumericDate) -> Result<bool, StoreError> {
    let spend = sqlx::query(SPEND_STEP).bind(factor_id).bind(step).bind(now.0);
    Ok(spend.execute(&mut *db.writing().await?).await?.rows_affected() == 1)
}

/// Stores what is left of a user's recovery codes, unless it is not what it was `before`: then another was used meanwhile.
///
/// # Errors
/// The database failed, and it is not known whether the code was taken.
pub async fn spend_code(
    db: &Db,
    factor_id: &str,
    before: &str,
    sealed: &Sealed,
    now: NumericDate,
) -> Result<bool, StoreError> {
    let spend =
        sqlx::query(SPEND_CODE).bind(factor_id).bind(before).bind(&sealed.text).bind(&sealed.key_id).bind(now.0);
    Ok(spend.execute(&mut *db.writing().await?).await?.rows_affected() == 1)
}

/// Stores a secret as it is sealed now, unless it is not what it was `before`.
///
/// # Errors
/// The database failed.
pub async fn reseal(db: &Db, factor_id: &str, before: &str, sealed: &Sealed) -> Result<bool, StoreError> {
    let reseal = sqlx::query(RESEAL).bind(factor_id).bind(before).bind(&sealed.text).bind(&sealed.key_id);
    Ok(reseal.execute(&mut *db.writing_in_background().await?).await?.rows_affected() == 1)
}

/// Stores recovery codes instead of those there are, with the event. `false`: there is no such user, or not as they were when they
/// proved all that the account had.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn put_recovery_codes(
    db: &Db,
    new: &New<'_>,
    proven: Option<&User>,
    by: By<'_>,
    now: NumericDate,
) -> Result<bool, StoreError> {
    let mut transaction = db.begin().await?;
    let sub = new.owner.sub;
    if !hold_in(&mut transaction, sub).await? || !is_as_proven(&mut transaction, proven).await? {
        transaction.rollback().await?;
        return Ok(false);
    }
    sqlx::query(REMOVE_KIND).bind(sub).bind(new.owner.kind).execute(&mut *transaction).await?;
    if !insert_in(&mut transaction, new, now).await? {
        return Err(StoreError::Late);
    }
    let event = Event::new(EventKind::RecoveryCodesMade, now).of(sub);
    audit_events::note_change(&mut transaction, told(event, by), now).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Whether a user has recovery codes, used up or not.
///
/// # Errors
/// The database failed.
pub async fn has_recovery_codes(db: &Db, sub: &str) -> Result<bool, StoreError> {
    let lists: i64 = sqlx::query_scalar(HAS_CODES).bind(sub).fetch_one(db.statement()).await?;
    Ok(lists > 0)
}

/// What a removal came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many authenticators were removed.
    pub authenticators: u64,
    /// How many passkeys were.
    pub passkeys: u64,
    /// Whether recovery codes were.
    pub recovery_codes: bool,
    /// How many sign-ins were ended.
    pub sessions: u64,
    /// Whether nothing was, as the user has to have a second factor and this is the last one.
    pub is_last: bool,
}

impl Removed {
    /// Whether there was anything.
    #[must_use]
    pub const fn is_change(&self) -> bool {
        self.authenticators > 0 || self.passkeys > 0 || self.recovery_codes
    }
}

/// Removes a factor of a user, a passkey also. With the last one the recovery codes go as well, which replace nothing then.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn remove(db: &Db, sub: &str, factor_id: &str, by: By<'_>, now: NumericDate) -> Result<Removed, StoreError> {
    remove_in_turn(db, (sub, None), factor_id, (by, false), now).await
}

/// The same for a user who proved all that the account had then: nothing is removed where it has more by now. With `keeps_last` the last
/// authenticator or passkey is not either.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn remove_unless_last(
    db: &Db,
    proven: &User,
    factor_id: &str,
    by: (By<'_>, bool),
    now: NumericDate,
) -> Result<Removed, StoreError> {
    remove_in_turn(db, (&proven.sub, Some(proven)), factor_id, by, now).await
}

/// Whether a user is as they were when they proved all that the account had, where someone did. The caller holds the row.
async fn is_as_proven(transaction: &mut Transaction, proven: Option<&User>) -> Result<bool, StoreError> {
    match proven {
        Some(proven) => users::is_still(transaction, proven).await,
        None => Ok(true),
    }
}

async fn remove_in_turn(
    db: &Db,
    (sub, proven): (&str, Option<&User>),
    factor_id: &str,
    (by, keeps_last): (By<'_>, bool),
    now: NumericDate,
) -> Result<Removed, StoreError> {
    let mut transaction = db.begin().await?;
    hold_in(&mut transaction, sub).await?;
    if !is_as_proven(&mut transaction, proven).await? {
        transaction.rollback().await?;
        return Ok(Removed::default());
    }
    let held: Vec<Stored> = sqlx::query_as(OF_USER).bind(sub).fetch_all(&mut *transaction).await?;
    let passkeys = user_passkeys::of_user_in(&mut transaction, sub).await?;
    let mut done = Removed::default();
    let word = if user_passkeys::remove_in(&mut transaction, sub, factor_id).await? {
        done.passkeys = 1;
        user_passkeys::KIND
    } else {
        let Some(kind) = held.iter().find(|row| row.factor_id == factor_id).map(Stored::kind) else {
            transaction.rollback().await?;
            return Ok(Removed::default());
        };
        remove_in(&mut transaction, sub, factor_id).await?;
        if kind == Some(FactorKind::RecoveryCodes) {
            done.recovery_codes = true;
        } else {
            done.authenticators = 1;
        }
        kind.map_or("unknown", FactorKind::as_str)
    };
    let is_left = passkeys.iter().any(|row| row.passkey_id != factor_id)
        || held.iter().any(|row| row.factor_id != factor_id && row.kind() == Some(FactorKind::Totp));
    let are_codes = done.recovery_codes;
    if keeps_last && !are_codes && !is_left {
        transaction.rollback().await?;
        return Ok(Removed { is_last: true, ..Removed::default() });
    }
    if !are_codes && !is_left {
        let codes = sqlx::query(REMOVE_KIND).bind(sub).bind(FactorKind::RecoveryCodes.as_str());
        done.recovery_codes = codes.execute(&mut *transaction).await?.rows_affected() > 0;
    }
    audit_events::note_change(&mut transaction, told(removed(sub, word, now), by), now).await?;
    if done.recovery_codes && !are_codes {
        let with_it = removed(sub, FactorKind::RecoveryCodes.as_str(), now);
        audit_events::note_change(&mut transaction, told(with_it, by), now).await?;
    }
    transaction.commit().await?;
    Ok(done)
}

/// Removes every factor of a user, and ends what was opened by one: sign-ins, and what `end_marks` knows.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn reset(db: &Db, sub: &str, by: By<'_>, now: NumericDate) -> Result<Removed, StoreError> {
    let mut transaction = db.begin().await?;
    hold_in(&mut transaction, sub).await?;
    let mut done = Removed::default();
    for kind in FactorKind::ALL {
        let gone = sqlx::query(REMOVE_KIND).bind(sub).bind(kind.as_str()).execute(&mut *transaction).await?;
        match kind {
            FactorKind::Totp => done.authenticators = gone.rows_affected(),
            FactorKind::RecoveryCodes => done.recovery_codes = gone.rows_affected() > 0,
        }
    }
    done.passkeys = user_passkeys::remove_all_in(&mut transaction, sub).await?;
    if !done.is_change() {
        transaction.rollback().await?;
        return Ok(done);
    }
    done.sessions = user_sessions::end_all(&mut transaction, sub, now).await?;
    end_marks(&mut transaction, sub, now).await?;
    let event = removed(sub, "all", now).with("sessions", done.sessions);
    audit_events::note_change(&mut transaction, told(event, by), now).await?;
    transaction.commit().await?;
    Ok(done)
}

/// Ends what else was opened by a user's second factor, in the transaction that removes it. There is nothing yet beside sign-ins.
///
/// # Errors
/// The database failed.
#[expect(clippy::unused_async, reason = "what it ends lies in the database")]
async fn end_marks(_transaction: &mut Transaction, _sub: &str, _now: NumericDate) -> Result<(), StoreError> {
    Ok(())
}

/// How many rows each key seals, by its id.
///
/// # Errors
/// The database failed.
pub async fn by_key(db: &Db) -> Result<BTreeMap<String, u64>, StoreError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(BY_KEY).fetch_all(db.statement_in_background()).await?;
    Ok(rows.into_iter().map(|(key_id, rows)| (key_id, rows.unsigned_abs())).collect())
}

/// Rows that a key seals, after that id: a hundred at most.
///
/// # Errors
/// The database failed.
pub async fn of_key(db: &Db, key_id: &str, after: &str) -> Result<Vec<Stored>, StoreError> {
    Ok(sqlx::query_as(OF_KEY).bind(key_id).bind(after).fetch_all(db.statement_in_background()).await?)
}
