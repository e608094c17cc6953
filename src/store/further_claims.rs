//! Claims beyond the standard ones, of users and of groups, as commands read and change them. What a request needs of it is in
//! `facts`.

use crate::protocol::audit::{Event, EventKind, Impersonal};
use crate::protocol::time::NumericDate;
use crate::store::db::{Db, Transaction};
use crate::store::row::row;
use crate::store::{StoreError, audit_events};

const SET_OF_USER: &str = "INSERT INTO user_claims (sub, claim, value) VALUES ($1, $2, $3) \
     ON CONFLICT (sub, claim) DO UPDATE SET value = excluded.value WHERE user_claims.value <> excluded.value";
const SET_OF_GROUP: &str = "INSERT INTO group_claims (group_name, claim, value) VALUES ($1, $2, $3) \
     ON CONFLICT (group_name, claim) DO UPDATE SET value = excluded.value WHERE group_claims.value <> excluded.value";
const UNSET_OF_USER: &str = "DELETE FROM user_claims WHERE sub = $1 AND claim = $2";
const UNSET_OF_GROUP: &str = "DELETE FROM group_claims WHERE group_name = $1 AND claim = $2";
const OF_USER: &str = "SELECT claim, value, CAST(NULL AS TEXT) AS group_name, CAST(NULL AS BIGINT) AS until FROM user_claims \
     WHERE sub = $1 UNION ALL SELECT claim, value, group_members.group_name, until FROM group_members \
     JOIN group_claims ON group_claims.group_name = group_members.group_name WHERE sub = $1";
const OF_GROUP: &str =
    "SELECT claim, value, group_name, CAST(NULL AS BIGINT) AS until FROM group_claims WHERE group_name = $1";

/// Whose claim it is.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    /// A user, by `sub`.
    User(&'a str),
    /// A group, by name.
    Group(&'a str),
}

row! {
    /// A claim as its row has it.
    pub struct Row {
        /// `claim`.
        pub claim: String,
        /// `value`: JSON, unless it was written by hand and is none.
        pub value: String,
        /// The group whose claim it is; `None`: the user's own.
        pub group_name: Option<String>,
        /// The instant at which the membership ends that brings it.
        pub until: Option<i64>,
    }
}

/// Every claim of a user, of their own and of their groups, or of a group, in the order of names; also what cannot be told.
///
/// # Errors
/// The database failed.
pub async fn list(db: &Db, holder: Holder<'_>) -> Result<Vec<Row>, StoreError> {
    let statement = match holder {
        Holder::User(sub) => sqlx::query_as(OF_USER).bind(sub),
        Holder::Group(name) => sqlx::query_as(OF_GROUP).bind(name),
    };
    let mut rows: Vec<Row> = statement.fetch_all(db.statement()).await?;
    // Databases differ in the order of texts.
    rows.sort_by(|one, other| (&one.claim, &one.group_name).cmp(&(&other.claim, &other.group_name)));
    Ok(rows)
}

/// Gives a claim its value, JSON, or with `None` takes it away; gives whether that changed anything.
///
/// # Errors
/// The database failed.
pub async fn change(
    db: &Db,
    holder: Holder<'_>,
    claim: &str,
    value: Option<&str>,
    now: NumericDate,
) -> Result<bool, StoreError> {
    let mut transaction = db.begin().await?;
    let is_changed = change_in(&mut transaction, holder, claim, value).await?;
    if is_changed {
        audit_events::note_change(&mut transaction, event(holder, claim, value.is_some(), now), now).await?;
        transaction.commit().await?;
    }
    Ok(is_changed)
}

/// The same within a transaction, without the event.
pub(super) async fn change_in(
    transaction: &mut Transaction,
    holder: Holder<'_>,
    claim: &str,
    value: Option<&str>,
) -> Result<bool, StoreError> {
    let (set, unset, whose) = match holder {
        Holder::User(sub) => (SET_OF_USER, UNSET_OF_USER, sub),
        Holder::Group(name) => (SET_OF_GROUP, UNSET_OF_GROUP, name),
    };
    let statement = match value {
        Some(value) => sqlx::query(set).bind(whose).bind(claim).bind(value),
        None => sqlx::query(unset).bind(whose).bind(claim),
    };
    Ok(statement.execute(&mut **transaction).await?.rows_affected() > 0)
}

/// With the claim's name alone: its value may tell of a person.
pub(super) fn event(holder: Holder<'_>, claim: &str, is_set: bool, now: NumericDate) -> Event {
    let event = match (holder, is_set) {
        (Holder::User(sub), true) => Event::new(EventKind::UserClaimSet, now).of(sub),
        (Holder::User(sub), false) => Event::new(EventKind::UserClaimUnset, now).of(sub),
        (Holder::Group(name), is_set) => {
            let kind = if is_set { EventKind::GroupClaimSet } else { EventKind::GroupClaimUnset };
            Event::new(kind, now).with("group", Impersonal::configured(name))
        }
    };
    event.with("claim", Impersonal::configured(claim))
}
