//! Groups and who is in them, as commands read and change them. What a request needs of it is in `facts`.

use crate::protocol::audit::{Event, EventKind, Impersonal};
use crate::protocol::time::NumericDate;
use crate::store::db::{Db, Kind, Transaction};
use crate::store::row::row;
use crate::store::{StoreError, audit_events};
use std::collections::BTreeSet;

const FIND: &str = "SELECT name, description, created_at, second_factor_within, \
     (SELECT COUNT(*) FROM group_members WHERE group_members.group_name = groups.name \
     AND (until IS NULL OR until > $2)) AS members, \
     (SELECT COUNT(*) FROM client_groups WHERE client_groups.group_name = groups.name) AS clients \
     FROM groups WHERE name = $1";
const LIST: &str = "SELECT name, description, created_at, second_factor_within, \
     (SELECT COUNT(*) FROM group_members WHERE group_members.group_name = groups.name \
     AND (until IS NULL OR until > $1)) AS members, \
     (SELECT COUNT(*) FROM client_groups WHERE client_groups.group_name = groups.name) AS clients \
     FROM groups ORDER BY name";
const MEMBERS: &str = "SELECT users.sub, username, until, added_at FROM group_members \
     JOIN users ON users.sub = group_members.sub WHERE group_name = $1 ORDER BY COALESCE(username_folded, username, users.sub)";
const OF_USER: &str = "SELECT group_name, until, added_at FROM group_members WHERE sub = $1 ORDER BY group_name";
const CLIENTS: &str = "SELECT client_id FROM client_groups WHERE group_name = $1 ORDER BY client_id";
const ROLES: &str = "SELECT DISTINCT client_id FROM client_roles WHERE group_name = $1 ORDER BY client_id";
const ONLY_GROUP_OF: &str = "SELECT client_id FROM client_groups WHERE group_name = $1 AND NOT EXISTS \
     (SELECT 1 FROM client_groups AS others WHERE others.client_id = client_groups.client_id AND others.group_name <> $1) \
     ORDER BY client_id";
const INSERT: &str =
    "INSERT INTO groups (name, description, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING";
const DESCRIBE: &str = "UPDATE groups SET description = $2 WHERE name = $1 AND description <> $2";
const DEMAND: &str = "UPDATE groups SET second_factor_within = CAST($2 AS BIGINT) \
     WHERE name = $1 AND second_factor_within IS DISTINCT FROM CAST($2 AS BIGINT)";
const DELETE: &str = "DELETE FROM groups WHERE name = $1";
// It waits for a transaction that has named the group and has not ended, and keeps others from naming it.
const LOCK: &str = "SELECT name FROM groups WHERE name = $1 FOR UPDATE";
// A membership that is there gets another end only where one is said; one that has ended begins anew.
const ADD: &str = "INSERT INTO group_members (group_name, sub, until, added_at) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (group_name, sub) DO UPDATE SET until = excluded.until \
     WHERE COALESCE(group_members.until, -1) <> COALESCE(excluded.until, -1) \
     AND ($5 = 1 OR group_members.until <= $4)";
const REMOVE: &str = "DELETE FROM group_members WHERE group_name = $1 AND sub = $2";

row! {
    /// A group.
    pub struct Group {
        /// `name`.
        pub name: String,
        /// `description`.
        pub description: String,
        /// `created_at`; of a group that was written by hand perhaps nothing.
        pub created_at: Option<i64>,
        /// The days that members have for a second factor; 0: a password alone does not let them in; `None`: none is demanded.
        pub second_factor_within: Option<i64>,
        /// How many users are in it now.
        pub members: i64,
        /// How many clients let it in.
        pub clients: i64,
    }
}

row! {
    /// A member, also one whose membership has ended.
    pub struct Member {
        /// `sub`.
        pub sub: String,
        /// `username`.
        pub username: Option<String>,
        /// `until`.
        pub until: Option<i64>,
        /// `added_at`.
        pub added_at: Option<i64>,
    }
}

/// How a membership ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As it does already; a new one does not by itself.
    AsItIs,
    /// Not by itself.
    Never,
    /// At that instant.
    At(NumericDate),
}

impl End {
    /// The instant, where there is one.
    #[must_use]
    pub const fn instant(self) -> Option<NumericDate> {
        match self {
            Self::At(until) => Some(until),
            Self::AsItIs | Self::Never => None,
        }
    }
}

row! {
    /// A membership of one user, also one that has ended.
    pub struct MemberOf {
        /// `group_name`.
        pub group_name: String,
        /// `until`.
        pub until: Option<i64>,
        /// `added_at`.
        pub added_at: Option<i64>,
    }
}

/// A change of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is made, with that description.
    New(String),
    /// It is described in other words.
    Describe(String),
    /// It demands a second factor of its members within so many days, or none any more.
    Demand(Option<i64>),
    /// A user becomes a member, or the membership gets another end.
    Add {
        /// Who.
        sub: String,
        /// How it ends.
        until: End,
    },
    /// A user is no member any more.
    Remove {
        /// Who.
        sub: String,
    },
}

/// The clients that lose something with a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// They let it in.
    pub let_in: Vec<String>,
    /// They let no other group in: without it no user enters there.
    pub closed: Vec<String>,
    /// It has roles there.
    pub roles: Vec<String>,
}

impl Naming {
    /// The clients that lose more than `known` has it, each once.
    fn beyond(&self, known: &Self) -> Vec<String> {
        let lists = [(&self.let_in, &known.let_in), (&self.closed, &known.closed), (&self.roles, &known.roles)];
        let more = lists.into_iter().flat_map(|(now, then)| now.iter().filter(|client| !then.contains(client)));
        more.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// What became of a group that was to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It is deleted, with its memberships, claims and roles.
    Done,
    /// It was gone already.
    Gone,
    /// Nothing has changed: these clients would lose what was not known of.
    NamedSince(Vec<String>),
}

/// A group by its name.
///
/// # Errors
/// The database failed.
pub async fn find(db: &Db, name: &str, now: NumericDate) -> Result<Option<Group>, StoreError> {
    Ok(sqlx::query_as(FIND).bind(name).bind(now.0).fetch_optional(db.statement()).await?)
}

/// All groups.
///
/// # Errors
/// The database failed.
pub async fn list(db: &Db, now: NumericDate) -> Result<Vec<Group>, StoreError> {
    Ok(sqlx::query_as(LIST).bind(now.0).fetch_all(db.statement()).await?)
}

/// The members of a group, by their user names.
///
/// # Errors
/// The database failed.
pub async fn members(db: &Db, name: &str) -> Result<Vec<Member>, StoreError> {
    Ok(sqlx::query_as(MEMBERS).bind(name).fetch_all(db.statement()).await?)
}

/// The memberships of a user, by the groups' names.
///
/// # Errors
/// The database failed.
pub async fn of_user(db: &Db, sub: &str) -> Result<Vec<MemberOf>, StoreError> {
    Ok(sqlx::query_as(OF_USER).bind(sub).fetch_all(db.statement()).await?)
}

/// The clients that let a group in.
///
/// # Errors
/// The database failed.
pub async fn clients(db: &Db, name: &str) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(CLIENTS).bind(name).fetch_all(db.statement()).await?)
}

/// The clients that would lose something with a group.
///
/// # Errors
/// The database failed.
pub async fn naming(db: &Db, name: &str) -> Result<Naming, StoreError> {
    let mut transaction = db.begin_snapshot().await?;
    let naming = read_naming(&mut transaction, name).await?;
    transaction.commit().await?;
    Ok(naming)
}

async fn read_naming(transaction: &mut Transaction, name: &str) -> Result<Naming, StoreError> {
    let mut lists = [CLIENTS, ONLY_GROUP_OF, ROLES].map(|sql| (sql, Vec::new()));
    for (sql, found) in &mut lists {
        *found = sqlx::query_scalar(*sql).bind(name).fetch_all(&mut **transaction).await?;
    }
    let [let_in, closed, roles] = lists.map(|(_, found)| found);
    Ok(Naming { let_in, closed, roles })
}

/// Deletes a group, unless a client would lose by it what `known` does not have: whether it may be is decided with the deletion,
/// and no client can name it in between.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn delete(db: &Db, name: &str, known: &Naming, now: NumericDate) -> Result<Deletion, StoreError> {
    let mut transaction = db.begin().await?;
    // A transaction of SQLite that may write is the only one; what PostgreSQL reads next is as of the lock.
    if db.kind() == &Kind::Postgres {
        sqlx::query(LOCK).bind(name).execute(&mut *transaction).await?;
    }
    let since = read_naming(&mut transaction, name).await?.beyond(known);
    if !since.is_empty() {
        transaction.rollback().await?;
        return Ok(Deletion::NamedSince(since));
    }
    if sqlx::query(DELETE).bind(name).execute(&mut *transaction).await?.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(Deletion::Gone);
    }
    let event = Event::new(EventKind::GroupDeleted, now).with("group", Impersonal::configured(name));
    audit_events::note_change(&mut transaction, event, now).await?;
    transaction.commit().await?;
    Ok(Deletion::Done)
}

/// Carries changes out, all or none, each with its event; gives those that changed anything.
///
/// # Errors
/// The database failed, and then nothing has changed.
pub async fn apply(
    db: &Db,
    changes: &[(String, Change)],
    now: NumericDate,
) -> Result<Vec<(String, Change)>, StoreError> {
    let mut transaction = db.begin().await?;
    let mut carried_out = Vec::new();
    for (group, change) in changes {
        if carry_out(&mut transaction, group, change, now).await? {
            let event = event(group, change, now);
            audit_events::note_change(&mut transaction, event, now).await?;
            carried_out.push((group.clone(), change.clone()));
        }
    }
    transaction.commit().await?;
    Ok(carried_out)
}

/// Carries one change out within a transaction, without its event; gives whether it changed anything.
pub(super) async fn carry_out(
    transaction: &mut Transaction,
    group: &str,
    change: &Change,
    now: NumericDate,
) -> Result<bool, StoreError> {
    let statement = match change {
        Change::New(description) => sqlx::query(INSERT).bind(group).bind(description).bind(now.0),
        Change::Describe(description) => sqlx::query(DESCRIBE).bind(group).bind(description),
        Change::Demand(days) => sqlx::query(DEMAND).bind(group).bind(*days),
        Change::Add { sub, until } => {
            let is_said = i64::from(*until != End::AsItIs);
            sqlx::query(ADD).bind(group).bind(sub).bind(until.instant().map(|at| at.0)).bind(now.0).bind(is_said)
        }
        Change::Remove { sub } => sqlx::query(REMOVE).bind(group).bind(sub),
    };
    Ok(statement.execute(&mut **transaction).await?.rows_affected() > 0)
}

/// The event of a change.
pub(super) fn event(group: &str, change: &Change, now: NumericDate) -> Event {
    let (kind, sub) = match change {
        Change::New(_) => (EventKind::GroupAdded, None),
        Change::Describe(_) | Change::Demand(_) => (EventKind::GroupEdited, None),
        Change::Add { sub, .. } => (EventKind::MembershipAdded, Some(sub.as_str())),
        Change::Remove { sub } => (EventKind::MembershipRemoved, Some(sub.as_str())),
    };
    let event = Event::new(kind, now).of_subject(sub).with("group", Impersonal::configured(group));
    match change {
        Change::Add { until: End::At(until), .. } => event.with("until", until.0),
        Change::Demand(Some(days)) => event.with("second_factor_within", *days),
        Change::Demand(None) => event.with("second_factor_within", "none"),
        _ => event,
    }
}
