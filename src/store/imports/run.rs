//! The whole of an import: first the roles, then the users a batch at a time, then those who are gone from the source.

use super::compare::{Digests, Verdict, decide, digest};
use super::known::{self, BATCH, Known};
use super::plan::{Names, Planned, Planner, Step};
use super::staging::{Other, Staged, Staging};
use super::write::Writer;
use super::{Finding, Place, Role, Weight};
use crate::failure::Failure;
use crate::protocol::audit::{Event, EventKind, Impersonal};
use crate::protocol::factor_secret::FactorSealer;
use crate::protocol::time::NumericDate;
use crate::store::StoreError;
use crate::store::db::Db;
use crate::store::further_claims::{self, Holder};
use crate::store::imports;
use crate::store::row::row;
use crate::store::users;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const GROUPS: &str = "SELECT name, COALESCE(source, '') FROM groups";
const ROLES: &str = "SELECT source_key, group_name, digests, said_at FROM group_sources WHERE source = $1";
const CLAIMS_OF_GROUP: &str = "SELECT claim, value FROM group_claims WHERE group_name = $1";
const ADD_GROUP: &str =
    "INSERT INTO groups (name, description, created_at, source) VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO NOTHING";
const KEEP_ROLE: &str = "INSERT INTO group_sources (source, source_key, group_name, digests, said_at) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (source, source_key) DO UPDATE SET group_name = excluded.group_name, digests = excluded.digests, \
     said_at = excluded.said_at";
// As many as a batch has.
const BROUGHT: &str = "SELECT source_key, users.sub, username, disabled_at FROM user_sources \
     JOIN users ON users.sub = user_sources.sub WHERE source = $1 AND source_key > $2 ORDER BY source_key LIMIT 500";
/// How many users who give up their names are known at once; those beyond have given them up when the import is made again.
const MOST_GIVEN_UP: usize = 10_000;
/// How often it is looked who of those who wait for a name cannot have it; then they get theirs when the import is made again.
const MOST_TRIALS: usize = 16;
/// How many users get each other's names in one transaction.
const EXCHANGED_AT_ONCE: usize = 100;
/// How many users are disabled in one transaction.
const DISABLED_AT_ONCE: usize = 100;

/// What an import writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Nothing: it says what it would do.
    Nothing,
    /// What can be taken, in transactions that others do not wait long for.
    InParts,
    /// All of it or nothing, in one transaction.
    AllOrNothing,
}

/// How an import goes about it.
pub struct Options {
    /// The name of the source.
    pub source: String,
    /// It was said, or is that of a kind of source: then users who are gone from it are named.
    pub is_source_named: bool,
    /// It was said: then a user who is another one in every way is the same all the same.
    pub is_source_said: bool,
    /// What is written.
    pub writing: Writing,
    /// Whether users who are gone from the source are disabled.
    pub disable_missing: bool,
    /// The groups that roles become, by the roles' names, where an operator said so.
    pub roles: BTreeMap<String, String>,
    /// What the source calls our members.
    pub names: BTreeMap<&'static str, &'static str>,
    /// Members that the source says nothing of: what is here of them stays.
    pub uncovered: BTreeSet<String>,
    /// Claims that have a column of their own: of another that came from one before, the source says nothing now.
    pub claim_columns: BTreeSet<String>,
    /// What seals the secrets of second factors; `None`: no key does.
    pub sealer: Option<Box<dyn FactorSealer>>,
    /// The instant of the run.
    pub now: NumericDate,
}

impl Options {
    /// What the source calls a member.
    #[must_use]
    pub fn name_of<'a>(&self, member: &'a str) -> &'a str {
        self.names.get(member).copied().unwrap_or(member)
    }

    /// Whether the source says anything of a member.
    #[must_use]
    pub fn covers(&self, member: &str) -> bool {
        !self.uncovered.contains(member)
    }
}

/// What another row of the source is called in a message.
pub(super) fn called(other: &Other) -> String {
    match other.place.line {
        Some(line) if other.place.table.is_none() => format!("{} (line {line})", other.username),
        _ => format!("{} ({})", other.username, other.place.key),
    }
}

/// What is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Users added, or to be added.
    pub added: u64,
    /// Of these, without a password.
    pub without_password: u64,
    /// Users changed, or to be changed.
    pub changed: u64,
    /// Users who are here as the source has them.
    pub unchanged: u64,
    /// Users who are left out by the rules.
    pub left_out: u64,
    /// Rows or members that could not be taken.
    pub faults: u64,
    /// Users with an address that another has too.
    pub shared: u64,
    /// Members that were changed here since, and stay.
    pub kept: u64,
    /// Groups made, or to be made.
    pub groups: u64,
    /// Claims of groups set, changed or taken away, or to be.
    pub group_claims: u64,
    /// Users who are gone from the source.
    pub missing: u64,
    /// Of these, disabled now.
    pub disabled: u64,
}

impl Tally {
    /// Whether anything is changed, or would be.
    #[must_use]
    pub const fn is_change(&self) -> bool {
        self.added + self.changed + self.groups + self.group_claims + self.disabled > 0
    }
}

/// What hears of an import while it runs.
pub trait Listener {
    /// Something was found out.
    fn found(&mut self, finding: Finding);
    /// So many of so many users were looked at.
    fn reached(&mut self, number: u64, of: u64);
}

row! {
    struct Kept {
        source_key: String,
        group_name: String,
        digests: String,
        said_at: Option<i64>,
    }
}

row! {
    struct Brought {
        source_key: String,
        sub: String,
        username: Option<String>,
        disabled_at: Option<i64>,
    }
}

/// Compares what was put aside with what is here, and writes it as `Options::writing` says. Before `AllOrNothing` the
/// caller looks for faults with `Nothing` first.
///
/// # Errors
/// The database failed. What was written until then stays, and the same import made again continues from there.
pub async fn run(
    db: &Db,
    staging: &mut Staging,
    options: &Options,
    listener: &mut impl Listener,
) -> Result<Tally, StoreError> {
    users::fold_names(db).await?;
    let mut tally = Tally::default();
    let is_whole = options.writing == Writing::AllOrNothing;
    let mut writer = if options.writing == Writing::Nothing {
        None
    } else {
        Some(Writer::new(db, &options.source, is_whole, options.now).await?)
    };
    let has_come = !imports::keys(db, &options.source).await?.is_empty();
    let (mut names, is_another) = if has_come { renamed(db, staging, options).await? } else { Default::default() };
    // Of a file that is not named, each user who is another is a fault by themselves.
    if is_another && options.is_source_named && !options.is_source_said {
        let what = format!("most users of {} have other names than those who came from it before", options.source);
        let fix = "--source NAME tells two sources apart; where it is the same one, say its name";
        return Err(Failure::new(what).with_fix(fix).into());
    }
    let groups = roles(db, staging, options, (&mut writer, &mut tally, &mut *listener)).await?;
    let mut pass = Pass { db, staging, options, groups: &groups, writer: &mut writer, tally: &mut tally, listener };
    let (mut after, mut reached, mut later) = (0, 0, Vec::new());
    let mut free = BTreeSet::new();
    loop {
        let rows = pass.staging.page(after, BATCH.try_into().unwrap_or(i64::MAX)).await?;
        let Some(last) = rows.last() else { break };
        after = last.number;
        reached += rows.len() as u64;
        let done = pass.rows(rows, &names).await?;
        free.extend(done.renamed);
        later.extend(done.later);
        pass.listener.reached(reached, pass.staging.people());
    }
    if !later.is_empty() {
        pass.exchange(later, &mut names, free).await?;
    }
    if let Some(writer) = &mut writer {
        if !is_whole {
            writer.commit().await?;
        } else if tally.faults > 0 {
            writer.rollback().await?;
            return Ok(tally);
        }
    }
    if options.is_source_named {
        missing(db, staging, options, (&mut writer, &mut tally, &mut *listener)).await?;
    }
    if let Some(writer) = &mut writer {
        writer.commit().await?;
    }
    Ok(tally)
}

/// What a batch came to.
#[derive(Default)]
struct Done {
    /// Users who have, or would have, another name.
    renamed: Vec<String>,
    /// Rows that are decided when all others were looked at.
    later: Vec<Later>,
}

/// A row that is decided when all others were looked at.
struct Later {
    /// Its number.
    number: i64,
    /// Who is here already of it.
    sub: Option<String>,
}

/// What goes over the users.
struct Pass<'a, 'b, L> {
    db: &'a Db,
    staging: &'a mut Staging,
    options: &'a Options,
    groups: &'a BTreeMap<String, String>,
    writer: &'a mut Option<Writer<'b>>,
    tally: &'a mut Tally,
    listener: &'a mut L,
}

impl<L: Listener> Pass<'_, '_, L> {
    /// Looks at the rows of a batch, and does what is to be done about them.
    async fn rows(&mut self, rows: Vec<Staged>, names: &Names) -> Result<Done, StoreError> {
        let known = Known::read(self.db, &self.options.source, &rows, self.options.now).await?;
        let mut planner = Planner {
            options: self.options,
            known: &known,
            groups: self.groups,
            names,
            findings: Vec::new(),
            tally: self.tally,
        };
        let mut done = Done::default();
        for row in rows {
            let (number, key) = (row.number, row.key.clone());
            let decided = planner.step(self.staging, row).await?;
            let mut findings = std::mem::take(&mut planner.findings);
            match decided {
                Planned::Nothing => {}
                Planned::Later => {
                    let sub = known.brought.get(&key).map(|brought| brought.sub.clone());
                    done.later.push(Later { number, sub });
                }
                Planned::Step(step) => {
                    if let Step::Change(it) = &step
                        && it.username.is_some()
                    {
                        done.renamed.push(it.sub.clone());
                    }
                    if let Some(writer) = self.writer {
                        findings.extend(writer.carry_out(step).await?);
                    }
                }
            }
            for finding in findings {
                planner.tally.faults += u64::from(finding.weight == Weight::Fault);
                self.listener.found(finding);
            }
        }
        Ok(done)
    }

    /// Gives names that other users of the source have given up, or give up here: two who exchange theirs, say. `have_theirs` are
    /// users who have their new ones already.
    async fn exchange(
        &mut self,
        mut later: Vec<Later>,
        names: &mut Names,
        have_theirs: BTreeSet<String>,
    ) -> Result<(), StoreError> {
        if let Some(writer) = self.writer {
            writer.commit_part().await?;
        }
        let before = self.tally.clone();
        names.free = Some(have_theirs.iter().cloned().chain(later.iter().filter_map(|row| row.sub.clone())).collect());
        let mut is_settled = false;
        for _ in 0..MOST_TRIALS {
            is_settled = self.trial(&later, names).await?;
            *self.tally = before.clone();
            if is_settled {
                break;
            }
            // Who waits for whom is as often in the one order as in the other.
            later.reverse();
        }
        later.sort_unstable_by_key(|row| row.number);
        if !is_settled {
            names.free = Some(have_theirs);
        }
        let free = names.free.clone().unwrap_or_default();
        for part in later.chunks(EXCHANGED_AT_ONCE) {
            if let Some(writer) = self.writer {
                writer.exchange(&free);
            }
            for Later { number, .. } in part {
                let rows = self.staging.row(*number).await?;
                self.rows(rows, names).await?;
            }
            if let Some(writer) = self.writer {
                writer.commit_part().await?;
            }
        }
        Ok(())
    }

    /// Looks who of those cannot have their new name: they keep the one they have, and who waits for that one cannot have it
    /// either. Whether there is none any more.
    async fn trial(&mut self, later: &[Later], names: &mut Names) -> Result<bool, StoreError> {
        let (mut silent, mut unwritten) = (Silent, None);
        let mut trial = Pass {
            db: self.db,
            staging: self.staging,
            options: self.options,
            groups: self.groups,
            writer: &mut unwritten,
            tally: self.tally,
            listener: &mut silent,
        };
        let mut is_settled = true;
        for Later { number, sub } in later {
            let rows = trial.staging.row(*number).await?;
            let done = trial.rows(rows, names).await?;
            if let Some(sub) = sub.as_ref().filter(|sub| !done.renamed.contains(sub))
                && names.free.as_mut().is_some_and(|free| free.remove(sub))
            {
                is_settled = false;
            }
        }
        Ok(is_settled)
    }
}

/// What is found out will be said.
struct Silent;

impl Listener for Silent {
    fn found(&mut self, _finding: Finding) {}
    fn reached(&mut self, _number: u64, _of: u64) {}
}

/// The users whose names the source has changed; and whether the users are others than those who came from a source of that name
/// before: two applications may both have a user 1.
async fn renamed(db: &Db, staging: &mut Staging, options: &Options) -> Result<(Names, bool), StoreError> {
    let (mut same, mut other, mut after) = (0_u64, 0_u64, 0);
    let mut names = Names::default();
    loop {
        let rows = staging.page(after, BATCH.try_into().unwrap_or(i64::MAX)).await?;
        let Some(last) = rows.last() else { return Ok((names, other > same)) };
        after = last.number;
        let brought = known::brought(db, &options.source, &rows).await?;
        for person in rows.iter().filter_map(|row| row.person.as_ref()) {
            let Some(before) = brought.get(&person.key) else { continue };
            let is_same = before.digests.get("username") == Some(&digest(&before.sub, "username", &person.username));
            same += u64::from(is_same);
            other += u64::from(!is_same);
            if !is_same && names.given_up.len() < MOST_GIVEN_UP {
                names.given_up.insert(before.sub.clone());
            }
        }
    }
}

type Output<'a, 'b, L> = (&'a mut Option<Writer<'b>>, &'a mut Tally, &'a mut L);

/// The groups that roles become, by the roles' keys; they are made where there are none.
async fn roles<L: Listener>(
    db: &Db,
    staging: &mut Staging,
    options: &Options,
    (writer, tally, listener): Output<'_, '_, L>,
) -> Result<BTreeMap<String, String>, StoreError> {
    let there: Vec<(String, String)> = sqlx::query_as(GROUPS).fetch_all(db.statement()).await?;
    // By name, and whether this source made it.
    let mut there: BTreeMap<String, bool> =
        there.into_iter().map(|(name, source)| (name, source == options.source)).collect();
    let kept: Vec<Kept> = sqlx::query_as(ROLES).bind(&options.source).fetch_all(db.statement()).await?;
    let kept: BTreeMap<String, Kept> = kept.into_iter().map(|kept| (kept.source_key.clone(), kept)).collect();
    let mut groups = BTreeMap::new();
    for role in staging.roles().await? {
        let before = kept.get(&role.key);
        let group = match group_of(&role, options, before, &there) {
            Ok(group) => group,
            Err(finding) => {
                tally.faults += 1;
                listener.found(*finding);
                continue;
            }
        };
        let is_new = !there.contains_key(&group);
        if is_new {
            there.insert(group.clone(), true);
            tally.groups += 1;
            if let Some(writer) = writer {
                let description = format!("role {} of {}", role.name, options.source);
                let add =
                    sqlx::query(ADD_GROUP).bind(&group).bind(description).bind(options.now.0).bind(&options.source);
                add.execute(&mut **writer.transaction().await?).await?;
                let event = Event::new(EventKind::GroupAdded, options.now);
                writer.note(event.with("group", Impersonal::configured(&group)));
            }
        }
        claims(db, options, (&role, &group, before), (&mut *writer, &mut *tally, &mut *listener)).await?;
        groups.insert(role.key, group);
    }
    if let Some(writer) = writer.as_mut().filter(|_| options.writing != Writing::AllOrNothing) {
        writer.commit().await?;
    }
    Ok(groups)
}

/// The group that a role becomes.
fn group_of(
    role: &Role,
    options: &Options,
    before: Option<&Kept>,
    there: &BTreeMap<String, bool>,
) -> Result<String, Box<Finding>> {
    if let Some(group) = options.roles.get(&role.name) {
        return Ok(group.clone());
    }
    let name = quoted(&role.name);
    let finding = |why: String, fix: String| {
        Err(Box::new(Finding::new(Weight::Fault, &role.place, options.name_of("role"), why).with_fix(fix)))
    };
    match before {
        Some(kept) if there.get(&kept.group_name).is_some_and(|is_ours| *is_ours || kept.said_at.is_some()) => {
            Ok(kept.group_name.clone())
        }
        Some(kept) if !there.contains_key(&kept.group_name) => finding(
            format!(
                "the role {} became the group {}, which was deleted here; no user joins it",
                role.name, kept.group_name
            ),
            format!("--role {name}=GROUP says which group it is; one that is not there is made"),
        ),
        _ if there.get(&role.name) == Some(&false) => finding(
            format!("there is a group {} already, which this source did not make; no user joins it", role.name),
            format!("--role {name}=GROUP says which group the role is: {name} itself, another, or one that is made"),
        ),
        // It is not there, or is that of another role of this source: one that was made again over there, say.
        _ => Ok(role.name.clone()),
    }
}

/// A role as a shell takes it.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if name.chars().all(is_plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

/// Gives a group the claims of its role.
async fn claims<L: Listener>(
    db: &Db,
    options: &Options,
    (role, group, before): (&Role, &str, Option<&Kept>),
    (writer, tally, listener): Output<'_, '_, L>,
) -> Result<(), StoreError> {
    let last: Digests = before
        .filter(|kept| kept.group_name == group)
        .and_then(|kept| serde_json::from_str(&kept.digests).ok())
        .unwrap_or_default();
    let here: Vec<(String, String)> = sqlx::query_as(CLAIMS_OF_GROUP).bind(group).fetch_all(db.statement()).await?;
    let here: BTreeMap<String, String> = here.into_iter().collect();
    let mut digests = last.clone();
    let covers = options.covers("role_claims");
    for name in last.keys().chain(role.claims.keys()).filter(|_| covers).collect::<BTreeSet<_>>() {
        let value = role.claims.get(name).map(Value::to_string);
        let of = |value: Option<&str>| digest(group, name, value.unwrap_or_default());
        let source = of(value.as_deref());
        let before = last.get(name).map(String::as_str).unwrap_or_default();
        match decide(before, &source, &of(here.get(name).map(String::as_str))) {
            verdict @ (Verdict::Same | Verdict::Take) => {
                if source.is_empty() {
                    digests.remove(name);
                } else {
                    digests.insert(name.clone(), source);
                }
                if verdict == Verdict::Same {
                    continue;
                }
                tally.group_claims += 1;
                if let Some(writer) = writer.as_mut() {
                    let (holder, value) = (Holder::Group(group), value.as_deref());
                    further_claims::change_in(writer.transaction().await?, holder, name, value).await?;
                    writer.note(further_claims::event(holder, name, value.is_some(), options.now));
                }
            }
            Verdict::ChangedHere | Verdict::ChangedOnBoth => {
                let why = format!("the group {group} has another value of the claim {name} here, which stays");
                listener.found(Finding::new(Weight::Note, &role.place, "claims", why));
                tally.kept += 1;
            }
        }
    }
    let said_at = match before {
        _ if options.roles.contains_key(&role.name) => Some(options.now.0),
        Some(kept) if kept.group_name == group => kept.said_at,
        _ => None,
    };
    let is_same = |kept: &Kept| kept.group_name == group && kept.said_at.is_some() == said_at.is_some();
    let is_kept = before.is_some_and(is_same) && digests == last;
    if let Some(writer) = writer.as_mut().filter(|_| !is_kept) {
        let keep = sqlx::query(KEEP_ROLE)
            .bind(&options.source)
            .bind(&role.key)
            .bind(group)
            .bind(serde_json::to_string(&digests)?)
            .bind(said_at);
        keep.execute(&mut **writer.transaction().await?).await?;
    }
    Ok(())
}

/// Names those who came from the source and are not in it any more, and with `Options::disable_missing` disables them.
async fn missing<L: Listener>(
    db: &Db,
    staging: &mut Staging,
    options: &Options,
    (writer, tally, listener): Output<'_, '_, L>,
) -> Result<(), StoreError> {
    // Whose row could not be read at all may be one of them.
    let disables = options.disable_missing && !staging.has_unknown();
    if options.disable_missing && !disables {
        let why = "rows could not be read, so that it is not known who is gone; no user is disabled";
        listener.found(Finding::new(Weight::Fault, &Place::default(), "", why));
        tally.faults += 1;
    }
    let mut after = String::new();
    loop {
        let page: Vec<Brought> =
            sqlx::query_as(BROUGHT).bind(&options.source).bind(&after).fetch_all(db.statement()).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.source_key);
        for brought in page {
            if staging.has_key(&brought.source_key).await? {
                continue;
            }
            tally.missing += 1;
            let place = Place { table: None, key: brought.source_key, line: None };
            let name = brought.username.unwrap_or_else(|| brought.sub.clone());
            let is_enabled = brought.disabled_at.is_none();
            let state = match (is_enabled, disables) {
                (false, _) => "; the user is disabled here",
                (true, true) => "; the user is disabled now",
                (true, false) => "",
            };
            let finding = Finding::new(
                Weight::Note,
                &place,
                options.name_of("sub"),
                format!("{name} is gone from the source{state}"),
            );
            let fix = "--disable-missing disables those who are gone";
            listener.found(if is_enabled && !options.disable_missing { finding.with_fix(fix) } else { finding });
            if is_enabled && disables {
                tally.disabled += 1;
                if let Some(writer) = writer.as_mut() {
                    users::disable_in(writer.transaction().await?, &brought.sub, options.now).await?;
                    writer.note(Event::new(EventKind::UserDisabled, options.now).of(&brought.sub));
                    if options.writing != Writing::AllOrNothing
                        && tally.disabled.is_multiple_of(DISABLED_AT_ONCE as u64)
                    {
                        writer.commit().await?;
                    }
                }
            }
        }
    }
}
