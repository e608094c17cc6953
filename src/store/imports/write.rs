//! Carries out what was planned: users in transactions of `BATCH` at most and a few hundredths of a second, each with its
//! events, so that a running node's writes do not wait for long; or all in one.

use super::known::BATCH;
use super::plan::{Addition, Alteration, Becomes, Step};
use super::{Finding, Place, Weight, factors};
use crate::protocol::audit::{Chain, Event, EventKind, Impersonal};
use crate::protocol::node_secrets::NameKey;
use crate::protocol::text;
use crate::protocol::time::NumericDate;
use crate::store::db::{Db, Kind, Transaction};
use crate::store::further_claims::Holder;
use crate::store::groups::{self, Change, End};
use crate::store::user_links;
use crate::store::users::edit::{self, COLUMNS, Details, Edit, Lock};
use crate::store::users::{self, tombstones};
use crate::store::{StoreError, audit_events, further_claims, migrations, user_factors};
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::time::Instant;

/// How long a transaction may last before it is committed, and how long others are let in then: SQLite has one writer, and those
/// who wait ask again after 25 thousandths of a second at the most while they have waited for less than a tenth.
const LONGEST: Duration = Duration::from_millis(15);
const PAUSE: Duration = Duration::from_millis(30);

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let places: Vec<String> = (13..13 + COLUMNS.len()).map(|at| format!("${at}")).collect();
    format!(
        "INSERT INTO users (sub, username, email, email_verified_at, phone_number_verified_at, password_hash, locked_until, \
         created_at, updated_at, username_folded, email_folded, folded_of, {}) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, {})",
        COLUMNS.join(", "),
        places.join(", ")
    )
});
// A row of a user who was deleted by hand may have stayed.
const INSERT_SOURCE: &str = "INSERT INTO user_sources (source, source_key, sub, digests, imported_at) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (source, source_key) DO UPDATE SET sub = excluded.sub, digests = excluded.digests, imported_at = excluded.imported_at";
const UPDATE_SOURCE: &str =
    "UPDATE user_sources SET digests = $3, imported_at = $4 WHERE source = $1 AND source_key = $2";
const FORGET_EMAIL: &str = "UPDATE users SET email = NULL, email_verified_at = NULL, email_folded = NULL, \
     folded_of = COALESCE(username, '') || ' ' WHERE sub = $1";
// Where it was changed here in the moment before, that stays.
const SET_PASSWORD: &str = "UPDATE users SET password_hash = CAST($2 AS TEXT) WHERE sub = $1 AND password_hash IS NOT DISTINCT FROM CAST($3 AS TEXT)";
// Another gets the name in the same transaction, and this user theirs there or in the next one.
const GIVE_UP_NAME: &str = "UPDATE users SET username = NULL, username_folded = NULL, folded_of = ' ' || COALESCE(email, '') \
     WHERE username_folded = $1 AND sub <> $2 RETURNING sub";
const TOUCH: &str = "UPDATE users SET updated_at = $2 WHERE sub = $1";

/// Why a step was not carried out.
enum Undone {
    /// The database failed.
    Store(StoreError),
    /// Another user has the name or the `sub` since a moment.
    Taken,
    /// A user of that name or `sub` was deleted since a moment.
    Gone,
    /// The password was changed, or hashed anew, or a factor was used or changed, since a moment.
    Changed,
}

impl<E: Into<StoreError>> From<E> for Undone {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

/// What has the name of the source, and the instant of the run.
pub(super) struct Writer<'a> {
    db: &'a Db,
    source: &'a str,
    key: Arc<NameKey>,
    now: NumericDate,
    /// All in one transaction, which is committed at the end.
    is_whole: bool,
    transaction: Option<Transaction>,
    opened_at: Instant,
    events: Vec<Event>,
    chain: Option<Chain>,
    /// The transaction may have a row that keeps a user out whom an older version would let in.
    keeps_out: bool,
    /// Users whose names others get: all that is done about them is in one transaction.
    exchanged: Option<BTreeSet<String>>,
    /// What the transaction has done so far, to be done again one by one where one of it cannot be done.
    done: Vec<Step>,
}

impl<'a> Writer<'a> {
    /// Begins; nothing is locked yet.
    ///
    /// # Errors
    /// The database failed.
    pub async fn new(db: &'a Db, source: &'a str, is_whole: bool, now: NumericDate) -> Result<Self, StoreError> {
        let key = Arc::new(tombstones::key(db).await?);
        Ok(Self {
            db,
            source,
            key,
            now,
            is_whole,
            transaction: None,
            opened_at: Instant::now(),
            events: Vec::new(),
            chain: None,
            keeps_out: false,
            exchanged: None,
            done: Vec::new(),
        })
    }

    /// The transaction that is open, for what goes before the users.
    ///
    /// # Errors
    /// The database failed.
    pub async fn transaction(&mut self) -> Result<&mut Transaction, StoreError> {
        let transaction = if let Some(transaction) = self.transaction.take() {
            transaction
        } else {
            let transaction = self.db.begin().await?;
            self.opened_at = Instant::now();
            transaction
        };
        Ok(self.transaction.insert(transaction))
    }

    /// An event of what is in the transaction.
    pub fn note(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Carries a step out; gives what was found out by it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn carry_out(&mut self, step: Step) -> Result<Vec<Finding>, StoreError> {
        match self.try_step(&step).await {
            Ok(()) => {
                if self.is_whole {
                    return self.write_events(BATCH).await.map(|()| Vec::new());
                }
                self.done.push(step);
                let is_held = self.exchanged.is_some();
                if !is_held && (self.done.len() >= BATCH || self.opened_at.elapsed() >= LONGEST) {
                    self.commit().await?;
                    self.let_others_in().await;
                }
                Ok(Vec::new())
            }
            Err(Undone::Store(error)) => Err(error),
            Err(Undone::Taken | Undone::Gone | Undone::Changed) => {
                let mut steps = std::mem::take(&mut self.done);
                steps.push(step);
                self.rollback().await?;
                if self.is_whole {
                    let place = Place::default();
                    let why = "another process gave a name or a sub meanwhile that this import was about to give";
                    return Ok(vec![Finding::new(Weight::Fault, &place, "username", why)]);
                }
                self.one_by_one(steps).await
            }
        }
    }

    /// Another process wrote between the comparison and now: each by itself, and who cannot be taken is named.
    async fn one_by_one(&mut self, steps: Vec<Step>) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        for step in steps {
            match self.try_step(&step).await {
                Ok(()) => self.commit().await?,
                Err(Undone::Store(error)) => return Err(error),
                Err(undone) => {
                    self.rollback().await?;
                    let place = match &step {
                        Step::Add(addition) => &addition.person.place,
                        Step::Change(alteration) => &alteration.place,
                    };
                    let why = match undone {
                        Undone::Gone => "a user of that name or sub was deleted meanwhile; neither is given again",
                        Undone::Changed => {
                            "the password or a second factor was changed or used meanwhile; import again"
                        }
                        _ => "another user was given the name or the sub meanwhile",
                    };
                    findings.push(Finding::new(Weight::Fault, place, "username", why));
                }
            }
        }
        Ok(findings)
    }

    /// From here on names that these users have are given to others; `commit_part` ends it.
    pub fn exchange(&mut self, users: &BTreeSet<String>) {
        self.exchanged = Some(users.clone());
    }

    /// Commits what was done; where all is one transaction, that stays open.
    ///
    /// # Errors
    /// The database failed, and then none of it was done.
    pub async fn commit_part(&mut self) -> Result<(), StoreError> {
        self.exchanged = None;
        if self.is_whole {
            return Ok(());
        }
        self.commit().await?;
        self.let_others_in().await;
        Ok(())
    }

    async fn give_up_name(&mut self, step: &Step) -> Result<(), Undone> {
        let (sub, username) = match step {
            Step::Add(addition) => ("", addition.person.username.as_str()),
            Step::Change(it) => match &it.username {
                Some(username) => (it.sub.as_str(), username.as_str()),
                None => return Ok(()),
            },
        };
        let transaction = self.transaction().await?;
        let statement = sqlx::query_scalar(GIVE_UP_NAME).bind(text::fold_username(username)).bind(sub);
        let gave_up: Vec<String> = statement.fetch_all(&mut **transaction).await?;
        let is_expected = |sub: &String| self.exchanged.as_ref().is_some_and(|users| users.contains(sub));
        if gave_up.iter().all(is_expected) { Ok(()) } else { Err(Undone::Taken) }
    }

    async fn try_step(&mut self, step: &Step) -> Result<(), Undone> {
        if self.exchanged.is_some() {
            self.give_up_name(step).await?;
        }
        match step {
            Step::Add(it) => {
                self.keeps_out |=
                    it.person.locked_until.is_some() || it.factors.iter().any(factors::Change::adds_authenticator);
                self.add(it).await
            }
            Step::Change(it) => {
                let is_locked = matches!(it.locked_until, Becomes::This(_));
                self.keeps_out |= is_locked || it.factors.iter().any(factors::Change::adds_authenticator);
                self.change(it).await
            }
        }
    }

    async fn add(&mut self, addition: &Addition) -> Result<(), Undone> {
        let (source, now) = (self.source, self.now);
        let Addition { person, sub, groups: joined, factors: brought, digests } = addition;
        let digests = serde_json::to_string(digests).map_err(StoreError::from)?;
        let email = person.email.as_deref();
        let transaction = self.transaction().await?;
        let mut insert = sqlx::query(AssertSqlSafe(INSERT.as_str()))
            .bind(sub)
            .bind(&person.username)
            .bind(email)
            .bind(person.email_verified.then_some(now.0))
            .bind(person.phone_number_verified.then_some(now.0))
            .bind(&person.password_hash)
            .bind(person.locked_until)
            .bind(now.0)
            .bind(now.0)
            .bind(text::fold_username(&person.username))
            .bind(email.map(text::fold_email))
            .bind(format!("{} {}", person.username, email.unwrap_or_default()));
        for column in COLUMNS {
            insert = insert.bind(person.columns.get(*column));
        }
        or_taken(insert.execute(&mut **transaction).await)?;
        let source_row = sqlx::query(INSERT_SOURCE).bind(source).bind(&person.key).bind(sub).bind(digests).bind(now.0);
        or_taken(source_row.execute(&mut **transaction).await)?;
        for group in joined {
            groups::carry_out(transaction, group, &joins(sub), now).await?;
        }
        for (claim, value) in &person.claims {
            let value = value.to_string();
            further_claims::change_in(transaction, Holder::User(sub), claim, Some(&value)).await?;
        }
        for change in brought {
            if !factors::write(transaction, sub, change, now).await? {
                return Err(Undone::Changed);
            }
        }
        self.ask_tombstones(sub, &person.username).await?;
        let groups: Vec<String> = joined.iter().cloned().collect();
        let event = Event::new(EventKind::UserAdded, now)
            .of(sub)
            .personal("username", &person.username)
            .with("imported", true)
            .with("source", Impersonal::configured(source));
        let event = if brought.is_empty() { event } else { event.with("second_factor", true) };
        self.note(if groups.is_empty() { event } else { event.with("groups", Impersonal::configured_list(&groups)) });
        Ok(())
    }

    /// A deletion that was committed since the comparison is seen now.
    async fn ask_tombstones(&mut self, sub: &str, username: &str) -> Result<(), Undone> {
        let key = self.key.clone();
        let transaction = self.transaction().await?;
        match tombstones::find_in(transaction, &key, sub, username).await? {
            Some(_) => Err(Undone::Gone),
            None => Ok(()),
        }
    }

    async fn change(&mut self, it: &Alteration) -> Result<(), Undone> {
        let (source, now) = (self.source, self.now);
        let digests = serde_json::to_string(&it.digests).map_err(StoreError::from)?;
        if let Some(username) = &it.username {
            self.ask_tombstones("", username).await?;
        }
        let mut events = Vec::new();
        let transaction = self.transaction().await?;
        if it.changes_the_user() {
            if !it.factors.is_empty() {
                // As every other change of factors does: in another order two would wait for each other.
                user_factors::hold_in(transaction, &it.sub).await?;
            }
            let changed = change_row(transaction, it, now, &mut events).await?;
            let leaves = Change::Remove { sub: it.sub.clone() };
            let joined = it.join.iter().map(|group| (group, joins(&it.sub)));
            for (group, change) in joined.chain(it.leave.iter().map(|group| (group, leaves.clone()))) {
                groups::carry_out(transaction, group, &change, now).await?;
                events.push(groups::event(group, &change, now));
            }
            let holder = Holder::User(&it.sub);
            for (claim, value) in &it.claims {
                further_claims::change_in(transaction, holder, claim, value.as_deref()).await?;
                events.push(further_claims::event(holder, claim, value.is_some(), now));
            }
            for change in &it.factors {
                if !factors::write(transaction, &it.sub, change, now).await? {
                    return Err(Undone::Changed);
                }
                events.extend(factors::events(&it.sub, change, now));
            }
            sqlx::query(TOUCH).bind(&it.sub).bind(now.0).execute(&mut **transaction).await?;
            if !changed.is_empty() {
                let event = Event::new(EventKind::UserEdited, now).of(&it.sub);
                events.push(event.with("changed", Impersonal::configured_list(&changed)));
            }
        }
        let kept = sqlx::query(UPDATE_SOURCE).bind(source).bind(&it.key).bind(digests).bind(now.0);
        kept.execute(&mut **transaction).await?;
        for event in events {
            self.note(event.with("source", Impersonal::configured(source)));
        }
        Ok(())
    }

    /// Commits what was done, with its events.
    ///
    /// # Errors
    /// The database failed, and then none of it was done.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        self.done.clear();
        let Some(mut transaction) = self.transaction.take() else { return Ok(()) };
        if std::mem::take(&mut self.keeps_out) {
            // With the rows themselves: an import may be stopped after this part of it.
            migrations::least_version_in(&mut transaction).await?;
        }
        let events = std::mem::take(&mut self.events);
        if !events.is_empty() {
            let mut chain = self.chain.take();
            audit_events::append(&mut transaction, &mut chain, events, self.now).await?;
            self.chain = chain;
        }
        transaction.commit().await
    }

    /// Writes events of what is in the transaction, where there are so many: they take memory.
    async fn write_events(&mut self, least: usize) -> Result<(), StoreError> {
        if self.events.len() >= least {
            let events = std::mem::take(&mut self.events);
            let (mut chain, now) = (self.chain.take(), self.now);
            audit_events::append(self.transaction().await?, &mut chain, events, now).await?;
            self.chain = chain;
        }
        Ok(())
    }

    /// Undoes what was not committed.
    ///
    /// # Errors
    /// The database failed, and it is undone all the same.
    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        self.done.clear();
        self.events.clear();
        self.keeps_out = false;
        match self.transaction.take() {
            Some(transaction) => transaction.rollback().await,
            None => Ok(()),
        }
    }

    /// Lets those in who wait to write.
    async fn let_others_in(&self) {
        if matches!(self.db.kind(), Kind::Sqlite(_)) {
            tokio::time::sleep(PAUSE.max(self.opened_at.elapsed() / 2)).await;
        }
    }
}

/// A membership that does not end by itself, and begins anew where it has ended.
fn joins(sub: &str) -> Change {
    Change::Add { sub: sub.to_owned(), until: End::AsItIs }
}

/// Writes what the row becomes; gives the columns, and the event of a password.
async fn change_row(
    transaction: &mut Transaction,
    it: &Alteration,
    now: NumericDate,
    events: &mut Vec<Event>,
) -> Result<Vec<String>, Undone> {
    let sub = it.sub.as_str();
    let mut changed = BTreeSet::new();
    let edit = Edit {
        may_share_address: true,
        username: it.username.as_deref(),
        email: match &it.email {
            Becomes::This(email) => Some(email),
            Becomes::AsItIs | Becomes::Nothing => None,
        },
        email_verified: it.email_verified.filter(|_| it.email != Becomes::Nothing),
        details: Details {
            columns: it.columns.iter().map(|(column, text)| (*column, text.as_deref())).collect(),
            phone_number_verified: it.phone_number_verified,
        },
        restarts_factor_days: false,
        lock: match it.locked_until {
            Becomes::AsItIs => Lock::AsItIs,
            Becomes::Nothing => Lock::Lifted,
            Becomes::This(until) => Lock::Until(NumericDate(until)),
        },
    };
    match edit::write(transaction, sub, &edit, now).await {
        Ok(columns) => changed.extend(columns.into_iter().map(str::to_owned)),
        Err(StoreError::Database(error)) => return or_taken::<()>(Err(error)).map(|()| Vec::new()),
        Err(error) => return Err(error.into()),
    }
    if it.email == Becomes::Nothing {
        sqlx::query(FORGET_EMAIL).bind(sub).execute(&mut **transaction).await?;
        user_links::end_of_user(transaction, sub).await?;
        changed.insert("email".to_owned());
    }
    if let Some((hash, before)) = &it.password {
        let set = sqlx::query(SET_PASSWORD).bind(sub).bind(hash).bind(before);
        // It is another since a moment: all of it is compared anew the next time.
        if set.execute(&mut **transaction).await?.rows_affected() == 0 {
            return Err(Undone::Changed);
        }
        user_links::end_of_user(transaction, sub).await?;
        users::end_all(transaction, sub, now).await?;
        events.push(Event::new(EventKind::UserPasswordSet, now).of(sub));
    }
    Ok(changed.into_iter().collect())
}

/// What another has already is no fault of the database.
fn or_taken<T>(result: Result<T, sqlx::Error>) -> Result<(), Undone> {
    match result {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Err(Undone::Taken),
        Err(error) => Err(error.into()),
    }
}
