//! What is to be done about each user of a batch: added, changed, left as they are, or named and not taken.

use super::compare::{Digests, Verdict, decide, digest};
use super::factors::{self, Change, Factors, Told};
use super::known::{Brought, Here, Holder, Known};
use super::run::{Options, Tally, called};
use super::staging::{MOST_NAMED, Other, Staged, Staging, Twin, name_as_address};
use super::{Finding, Person, SecondFactor, Weight};
use crate::ambient::random;
use crate::protocol::secret::Handle;
use crate::protocol::text;
use crate::store::StoreError;
use crate::store::user_factors::Stored;
use crate::store::users::credential_of;
use crate::store::users::edit::COLUMNS;
use std::collections::{BTreeMap, BTreeSet};

/// What the digests call the mark of the password as the import left it.
const CREDENTIAL: &str = "credential";
/// What is said of a second factor that is not brought over.
const NO_KEY: &str = "no factor key seals or opens its secret here";
const NEW_KEY: &str = "bring the keys folder of the nodes here, or make a factor key: hallpass key new --for factors";
const GROUP: &str = "group:";
const CLAIM: &str = "claim:";
/// What the digests say of a claim that came from a column of its own.
const COLUMN: &str = "column:";

/// A user who is to be added.
pub(super) struct Addition {
    /// As the source has them.
    pub person: Person,
    /// `sub`.
    pub sub: String,
    /// The groups that the roles became.
    pub groups: BTreeSet<String>,
    /// Second factors.
    pub factors: Vec<Change>,
    /// What is kept of it.
    pub digests: Digests,
}

/// What a member that may have no value becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Becomes<T> {
    /// It stays.
    #[default]
    AsItIs,
    /// It has no value any more.
    Nothing,
    /// Another value.
    This(T),
}

impl<T> From<Option<T>> for Becomes<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Self::This)
    }
}

/// A user who is here and is to be changed.
#[derive(Default)]
pub(super) struct Alteration {
    /// Where in the source.
    pub place: super::Place,
    /// What the source knows the user by.
    pub key: String,
    /// Who.
    pub sub: String,
    /// Another user name.
    pub username: Option<String>,
    /// The address.
    pub email: Becomes<String>,
    /// Whether the address is verified.
    pub email_verified: Option<bool>,
    /// Other texts.
    pub columns: Vec<(&'static str, Option<String>)>,
    /// Whether the telephone number is verified.
    pub phone_number_verified: Option<bool>,
    /// Another hash, or none any more; and the one that it replaces.
    pub password: Option<(Option<String>, Option<String>)>,
    /// The lock.
    pub locked_until: Becomes<i64>,
    /// Groups to join.
    pub join: BTreeSet<String>,
    /// Groups to leave.
    pub leave: BTreeSet<String>,
    /// Further claims, as JSON, or none any more.
    pub claims: Vec<(String, Option<String>)>,
    /// Second factors.
    pub factors: Vec<Change>,
    /// What is kept of it.
    pub digests: Digests,
}

impl Alteration {
    /// Whether it changes anything but what is kept of the source.
    pub fn changes_the_user(&self) -> bool {
        self.username.is_some()
            || self.email != Becomes::AsItIs
            || self.email_verified.is_some()
            || !self.columns.is_empty()
            || self.phone_number_verified.is_some()
            || self.password.is_some()
            || self.locked_until != Becomes::AsItIs
            || !self.join.is_empty()
            || !self.leave.is_empty()
            || !self.claims.is_empty()
            || !self.factors.is_empty()
    }
}

/// What is done about one user.
pub(super) enum Step {
    /// Added.
    Add(Box<Addition>),
    /// Changed.
    Change(Box<Alteration>),
}

/// Names that users of the source give up, by the `sub`s of those.
#[derive(Default)]
pub(super) struct Names {
    /// The source calls them something else now. A user who is to have a name of theirs waits until all others were looked at.
    pub given_up: BTreeSet<String>,
    /// All others were looked at: these have, or get, their new names.
    pub free: Option<BTreeSet<String>>,
}

impl Names {
    /// Whether the name that this user has is free for another.
    fn is_free(&self, sub: &str) -> bool {
        self.free.as_ref().is_some_and(|free| free.contains(sub))
    }
}

/// What was decided of a row.
pub(super) enum Planned {
    /// There is nothing to do, or the user is not taken.
    Nothing,
    /// What is to be done.
    Step(Step),
    /// A user of the source has the name, who gives it up: it is decided when all others were looked at.
    Later,
}

/// Says what is to be done.
pub(super) struct Planner<'a> {
    /// How to go about it.
    pub options: &'a Options,
    /// What is here.
    pub known: &'a Known,
    /// The groups that the source's roles became, by the keys of those.
    pub groups: &'a BTreeMap<String, String>,
    /// Users of this source whose names become free in this run.
    pub names: &'a Names,
    /// What is found out.
    pub findings: Vec<Finding>,
    /// What is counted.
    pub tally: &'a mut Tally,
}

impl Planner<'_> {
    /// What is to be done about a row; nothing where the user is not taken, or is here as the source has them.
    ///
    /// # Errors
    /// The database of this run failed.
    pub async fn step(&mut self, staging: &mut Staging, mut staged: Staged) -> Result<Planned, StoreError> {
        let Some(person) = staged.person.take() else { return Ok(Planned::Nothing) };
        let before = self.known.brought.get(&person.key);
        let here = before.and_then(|before| Some((before, self.known.users.get(&before.sub)?)));
        if self.must_wait(&person, here.map(|(before, _)| before.sub.as_str())) {
            return Ok(Planned::Later);
        }
        if let Some((before, here)) = here {
            let alteration = self.alteration(&staged, &person, before, here);
            self.name_shared_address(staging, &staged, &person, Some(&before.sub)).await?;
            return Ok(alteration.map_or(Planned::Nothing, |it| Planned::Step(Step::Change(Box::new(it)))));
        }
        if !self.may_be_added(staging, &staged, &person).await? {
            return Ok(Planned::Nothing);
        }
        self.name_shared_address(staging, &staged, &person, None).await?;
        Ok(self.addition(person).map_or(Planned::Nothing, |it| Planned::Step(Step::Add(Box::new(it)))))
    }

    /// Whether a user who has that word, as a name or as an address, has it after this run too.
    fn keeps(&self, holder: &Holder, word: &str) -> bool {
        let is_name_alone =
            holder.username_folded.as_deref() == Some(word) && holder.email_folded.as_deref() != Some(word);
        !(is_name_alone && self.names.is_free(&holder.sub))
    }

    /// Whether another has the name of this user, who gives it up in this run.
    fn must_wait(&self, person: &Person, sub: Option<&str>) -> bool {
        let folded = text::fold_username(&person.username);
        let holders = self.known.holders.get(&folded).map(Vec::as_slice).unwrap_or_default();
        let gives_up = |holder: &Holder| {
            let is_other = sub != Some(holder.sub.as_str()) && holder.username_folded.as_ref() == Some(&folded);
            is_other && self.names.given_up.contains(&holder.sub)
        };
        self.names.free.is_none() && holders.iter().any(gives_up)
    }

    fn find(&mut self, weight: Weight, person: &Person, member: &str, why: impl Into<String>, fix: Option<&str>) {
        let finding = Finding::new(weight, &person.place, self.options.name_of(member), why);
        self.findings.push(match fix {
            Some(fix) => finding.with_fix(fix),
            None => finding,
        });
    }

    /// Whether a user who was not brought over before can be; why not is said.
    async fn may_be_added(
        &mut self,
        staging: &mut Staging,
        staged: &Staged,
        person: &Person,
    ) -> Result<bool, StoreError> {
        let sub = person.sub.as_deref().or_else(|| Some(self.known.brought.get(&person.key)?.sub.as_str()));
        if sub.is_some_and(|sub| self.known.gone_subs.contains(sub)) {
            let weight = if self.options.is_source_named { Weight::LeftOut } else { Weight::Fault };
            let why = "the sub was that of a user who was deleted, and is not given again";
            self.find(
                weight,
                person,
                "sub",
                why,
                Some("leave sub out, or take another").filter(|_| weight == Weight::Fault),
            );
            self.tally.left_out += u64::from(weight == Weight::LeftOut);
            return Ok(false);
        }
        // Known by the name alone: it is the user whom we deleted.
        if person.sub.is_none() && self.options.is_source_named && self.known.has_gone_name(&person.username) {
            let why = name_gone(person);
            self.find(Weight::LeftOut, person, "username", why, None);
            self.tally.left_out += 1;
            return Ok(false);
        }
        if let Some(twin) = staged.twin {
            let others = staging.twins(staged, person, twin).await?;
            let (member, why) = of_twin(person, twin, &others);
            self.find(Weight::Fault, person, member, why, None);
            return Ok(false);
        }
        if let Some((member, why, fix)) = self.taken(person, sub) {
            self.find(Weight::Fault, person, member, why, fix);
            return Ok(false);
        }
        if person.left_out.is_empty() {
            return Ok(true);
        }
        for left_out in &person.left_out {
            let finding = Finding::new(Weight::LeftOut, &person.place, &left_out.member, left_out.why.as_str());
            self.findings.push(Finding { fix: left_out.fix.clone(), ..finding });
        }
        self.tally.left_out += 1;
        Ok(false)
    }

    /// What another user here has, that only one can have.
    fn taken(&self, person: &Person, sub: Option<&str>) -> Option<(&'static str, String, Option<&'static str>)> {
        let known = self.known;
        if let Some(sub) = sub {
            if known.users.contains_key(sub) {
                let why = "there is a user with that sub already, who did not come from this source".to_owned();
                return Some(("sub", why, Some("two sources may both have a user 1: no sub is given twice")));
            }
            if known.clients.contains(sub) {
                let why = "a client has that client_id: an API could not tell their tokens apart (RFC 9068 section 5)";
                return Some(("sub", why.to_owned(), None));
            }
        }
        if known.has_gone_name(&person.username) {
            let why = name_gone(person);
            return Some(("username", why, Some("take another user name")));
        }
        let folded = text::fold_username(&person.username);
        let has_name =
            |holder: &Holder| holder.username_folded.as_ref() == Some(&folded) && self.keeps(holder, &folded);
        if known.holders.get(&folded).is_some_and(|holders| holders.iter().any(has_name)) {
            return Some(("username", format!("there is a user {:?} already", person.username), None));
        }
        let as_address = name_as_address(&person.username)?;
        let is_own = person.email.as_deref().is_some_and(|email| text::fold_email(email) == as_address);
        let holders = known.holders.get(&as_address).filter(|_| !is_own)?;
        let other = holders.iter().find(|holder| self.keeps(holder, &as_address))?;
        let why = format!(
            "the user name {:?} is the e-mail address of {}, who is here already",
            person.username,
            other.username.as_ref().unwrap_or(&other.sub)
        );
        Some(("username", why, Some("give the user another name in the source")))
    }

    /// Says who else has the address.
    async fn name_shared_address(
        &mut self,
        staging: &mut Staging,
        staged: &Staged,
        person: &Person,
        sub: Option<&str>,
    ) -> Result<(), StoreError> {
        let Some(email) = person.email.as_deref() else { return Ok(()) };
        let mut others: Vec<String> = Vec::new();
        let folded = text::fold_email(email);
        for holder in self.known.holders.get(&folded).map(Vec::as_slice).unwrap_or_default() {
            let is_in_source = match holder.username_folded.as_deref() {
                // Named as one of the source already.
                Some(name) if holder.is_brought != 0 => staging.has_name(name).await?,
                _ => false,
            };
            if sub != Some(holder.sub.as_str()) && !is_in_source {
                let name = holder.username.as_ref().unwrap_or(&holder.sub);
                let state = if holder.disabled_at.is_some() { "disabled, in the database" } else { "in the database" };
                others.push(format!("{name} ({state})"));
            }
        }
        if staged.shares_address {
            let staged_others = staging.with_address(staged, email).await?;
            others.extend(staged_others.iter().map(called));
        }
        if others.is_empty() {
            return Ok(());
        }
        let further = others.len().saturating_sub(MOST_NAMED);
        let more = if further > 0 { " and others" } else { "" };
        others.truncate(MOST_NAMED);
        let why = format!(
            "the address {email} of {} is that of {}{more} too: no user can be found by it alone, and services are told that it is not verified",
            person.username,
            others.join(", ")
        );
        self.find(Weight::SharedAddress, person, "email", why, None);
        self.tally.shared += 1;
        Ok(())
    }

    /// How a user is added; `None`: not without a second factor that no key seals, which is said.
    fn addition(&mut self, person: Person) -> Option<Addition> {
        let sub = person.sub.clone().unwrap_or_else(|| Handle::to_be_typed(random()).text());
        let groups: BTreeMap<&String, &String> =
            person.roles.iter().filter_map(|role| Some((role, self.groups.get(role)?))).collect();
        let mut digests = Digests::new();
        for (member, value) in said(&person) {
            keep(&mut digests, &member, digest(&sub, &member, &value));
        }
        for (claim, value) in &person.claims {
            let member = format!("{CLAIM}{claim}");
            let kept = digest(&sub, &member, &value.to_string());
            keep(&mut digests, &member, kept);
        }
        self.note_columns(&mut digests, &person);
        for (role, group) in &groups {
            digests.insert(format!("{GROUP}{role}"), (*group).clone());
        }
        let mark = credential_of(person.password_hash.as_deref().unwrap_or_default(), None);
        digests.insert(CREDENTIAL.to_owned(), mark);
        let groups = groups.into_values().cloned().collect();
        let mut of_factors = self.factors_of(&sub, &[]);
        if let Some(wanted) = &person.second_factor {
            of_factors.compare(wanted, &mut digests);
        }
        let Factors { changes: factors, told, .. } = of_factors;
        if !told.is_empty() {
            self.find(Weight::Fault, &person, "authenticator", NO_KEY, Some(NEW_KEY));
            return None;
        }
        self.tally.added += 1;
        self.tally.without_password += u64::from(person.password_hash.is_none());
        Some(Addition { person, sub, groups, factors, digests })
    }

    fn factors_of<'a>(&'a self, sub: &'a str, here: &'a [Stored]) -> Factors<'a> {
        Factors { sealer: self.options.sealer.as_deref(), sub, here, changes: Vec::new(), told: Vec::new() }
    }

    /// Second factors of a user who is here.
    fn factors(&mut self, it: &mut Alteration, person: &Person, wanted: &SecondFactor, here: &Here) {
        let mut of_factors = self.factors_of(&it.sub, &here.factors);
        of_factors.compare(wanted, &mut it.digests);
        let Factors { changes, told, .. } = of_factors;
        it.factors = changes;
        for (kind, told) in told {
            let (weight, why) = match told {
                Told::NoKey => (Weight::Fault, NO_KEY),
                Told::SwitchedOff => (Weight::Note, "it is switched off in the source, and so it is removed here"),
                Told::StaysRemoved => (Weight::Note, "it was removed here before, and is not taken again"),
                Told::Stays(Verdict::ChangedOnBoth) => {
                    (Weight::Note, "it was changed here and in the source since; what is here stays")
                }
                Told::Stays(_) => (Weight::Note, "it was changed here since, and stays"),
            };
            let fix = Some(NEW_KEY).filter(|_| told == Told::NoKey);
            self.find(weight, person, factors::member(kind), why, fix);
            self.tally.kept += u64::from(matches!(told, Told::Stays(_) | Told::StaysRemoved));
        }
    }

    /// What is to be changed of a user who was brought over before.
    fn alteration(&mut self, staged: &Staged, person: &Person, before: &Brought, here: &Here) -> Option<Alteration> {
        let sub = &before.sub;
        if let Some(Twin::Key | Twin::Sub) = staged.twin {
            self.find(
                Weight::Fault,
                person,
                "sub",
                "the key is there more than once; the user stays as they are",
                None,
            );
            return None;
        }
        if !self.options.is_source_said && is_another_user(person, before) {
            let why = "name, address and password are others than those of the user with this key who was brought over before";
            let fix = "--source NAME tells two sources apart; where it is the same one, say its name";
            self.find(Weight::Fault, person, "sub", why, Some(fix));
            return None;
        }
        let mut it = Alteration {
            place: person.place.clone(),
            key: person.key.clone(),
            sub: sub.clone(),
            digests: before.digests.clone(),
            ..Alteration::default()
        };
        let last = |member: &str| before.digests.get(member).map(String::as_str).unwrap_or_default();
        if here.is_disabled {
            self.find(Weight::Note, person, "disabled_at", "the user is disabled here, and stays so", None);
        }
        for left_out in person.left_out.iter().filter(|_| person.password_hash.is_some()) {
            let why = format!("{}; the user is here already, and stays", left_out.why);
            self.findings.push(Finding::new(Weight::Note, &person.place, &left_out.member, why));
        }
        let is_there: BTreeMap<String, String> = of_here(here).collect();
        // What is verified is the address of the source; another one that is here is not.
        let mut is_another = BTreeSet::new();
        for (member, value) in said(person) {
            if !self.options.covers(&member) {
                continue;
            }
            if is_another.contains(member.as_str()) {
                continue;
            }
            // Who is left out as long as there is a second factor does not come by a password alone.
            if member == "password_hash" && here.password_hash.is_none() && !person.left_out.is_empty() {
                continue;
            }
            let source = digest(sub, &member, &value);
            let now_here = match member.as_str() {
                "password_hash" if last(CREDENTIAL) == here.credential => last("password_hash").to_owned(),
                "password_hash" => digest(sub, "password_hash", &here.credential),
                _ => digest(sub, &member, is_there.get(&member).map(String::as_str).unwrap_or_default()),
            };
            let verdict = match decide(last(&member), &source, &now_here) {
                // A run that was stopped while it exchanged names.
                Verdict::ChangedOnBoth if member == "username" && here.username.is_none() => Verdict::Take,
                verdict => verdict,
            };
            if verdict == Verdict::ChangedHere || verdict == Verdict::ChangedOnBoth {
                is_another.extend(verified_by(&member));
            }
            let is_free = member != "username" || self.may_be_renamed(staged, person, sub);
            match verdict {
                Verdict::Take if !is_free => {}
                Verdict::Same | Verdict::Take => {
                    keep(&mut it.digests, &member, source);
                    if verdict == Verdict::Take {
                        take(&mut it, &member, person, here);
                    }
                }
                Verdict::ChangedHere if !is_kept_and_named(&member) => {}
                Verdict::ChangedHere => {
                    self.find(Weight::Note, person, &member, "it was changed here since, and stays", None);
                    self.tally.kept += 1;
                }
                Verdict::ChangedOnBoth => {
                    let why = "it was changed here and in the source since; what is here stays";
                    self.find(Weight::Note, person, &member, why, None);
                    self.tally.kept += 1;
                }
            }
        }
        if self.options.covers("roles") {
            self.memberships(&mut it, person, before, here);
        }
        if self.options.covers("claims") || !self.options.claim_columns.is_empty() {
            self.claims(&mut it, person, before, here);
        }
        if let Some(wanted) = &person.second_factor {
            self.factors(&mut it, person, wanted, here);
        }
        // Two files of people may be of two places, which both have a user 1.
        if it.changes_the_user() && !self.options.is_source_named {
            let why =
                format!("there is a user {:?} already, of whom a file said something else before", person.username);
            let fix = "--source NAME says which source a file is of; then it brings over what was changed there";
            self.find(Weight::Fault, person, "username", why, Some(fix));
            return None;
        }
        if it.changes_the_user() {
            self.tally.changed += 1;
        } else {
            self.tally.unchanged += 1;
        }
        (it.changes_the_user() || it.digests != before.digests).then_some(it)
    }

    /// Whether the name that the source has now is free; why not is said.
    fn may_be_renamed(&mut self, staged: &Staged, person: &Person, sub: &str) -> bool {
        let folded = text::fold_username(&person.username);
        let has_it = |word: &String| {
            let holders = self.known.holders.get(word).map(Vec::as_slice).unwrap_or_default();
            holders.iter().any(|holder| holder.sub != sub && self.keeps(holder, word))
        };
        let is_taken = has_it(&folded)
            || name_as_address(&person.username).is_some_and(|address| has_it(&address))
            || matches!(staged.twin, Some(Twin::Name | Twin::Address));
        let is_same = self.known.users.get(sub).and_then(|here| here.username.as_ref()) == Some(&person.username);
        if is_same {
            return true;
        }
        let why = if self.known.has_gone_name(&person.username) {
            name_gone(person)
        } else if is_taken {
            format!("there is a user {:?} already; the name of before stays", person.username)
        } else {
            return true;
        };
        self.find(Weight::Fault, person, "username", why, None);
        false
    }

    fn memberships(&mut self, it: &mut Alteration, person: &Person, before: &Brought, here: &Here) {
        let last: BTreeMap<&str, &String> =
            before.digests.iter().filter_map(|(member, group)| Some((member.strip_prefix(GROUP)?, group))).collect();
        let now: BTreeMap<&str, &String> =
            person.roles.iter().filter_map(|role| Some((role.as_str(), self.groups.get(role)?))).collect();
        let wanted: BTreeSet<&String> = now.values().copied().collect();
        for role in last.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
            let member = format!("{GROUP}{role}");
            match (last.get(role), now.get(role)) {
                (Some(was), Some(is)) if was == is => {
                    if !here.groups.contains(*is) {
                        let why = format!("the user was taken out of {is} here since, and stays out");
                        self.find(Weight::Note, person, "roles", why, None);
                        self.tally.kept += 1;
                    }
                }
                // The role cannot be taken now, which was said: the membership stays as it is.
                (Some(_), None) if person.roles.contains(*role) => {}
                (was, is) => {
                    if let Some(was) = was.filter(|was| here.groups.contains(**was) && !wanted.contains(**was)) {
                        it.leave.insert((*was).clone());
                    }
                    if let Some(is) = is.filter(|is| !here.groups.contains(**is)) {
                        it.join.insert((*is).clone());
                    }
                    match is {
                        Some(is) => it.digests.insert(member, (*is).clone()),
                        None => it.digests.remove(&member),
                    };
                }
            }
        }
        let ours: BTreeSet<&String> = self.groups.values().collect();
        let brought: BTreeSet<&String> = last.into_values().chain(now.into_values()).collect();
        for group in here.groups.iter().filter(|group| ours.contains(group) && !brought.contains(group)) {
            let why = format!("the user was put into {group} here since, and stays in it");
            self.find(Weight::Note, person, "roles", why, None);
            self.tally.kept += 1;
        }
    }

    fn claims(&mut self, it: &mut Alteration, person: &Person, before: &Brought, here: &Here) {
        let last = before.digests.keys().filter_map(|member| member.strip_prefix(CLAIM));
        let names: BTreeSet<&str> = last.chain(person.claims.keys().map(String::as_str)).collect();
        let said: Vec<&str> = names.into_iter().filter(|name| self.is_said(person, before, name)).collect();
        for name in said {
            let member = format!("{CLAIM}{name}");
            let value = person.claims.get(name).map(ToString::to_string);
            let of = |value: Option<&str>| digest(&before.sub, &member, value.unwrap_or_default());
            let source = of(value.as_deref());
            let now_here = of(here.claims.get(name).map(String::as_str));
            let last = before.digests.get(&member).map(String::as_str).unwrap_or_default();
            match decide(last, &source, &now_here) {
                Verdict::Same => keep(&mut it.digests, &member, source),
                Verdict::Take => {
                    keep(&mut it.digests, &member, source);
                    it.claims.push((name.to_owned(), value));
                }
                Verdict::ChangedHere => {}
                Verdict::ChangedOnBoth => {
                    let why = format!("the claim {name} was changed here and in the source since; what is here stays");
                    self.find(Weight::Note, person, "claims", why, None);
                    self.tally.kept += 1;
                }
            }
        }
        self.note_columns(&mut it.digests, person);
    }

    /// Whether the source says anything of a claim: what came from a column before is said by that column alone.
    fn is_said(&self, person: &Person, before: &Brought, name: &str) -> bool {
        let is_of_column = || before.digests.contains_key(&format!("{COLUMN}{name}"));
        self.options.claim_columns.contains(name)
            || (self.options.covers("claims") && (person.claims.contains_key(name) || !is_of_column()))
    }

    /// Notes which claims have columns now.
    fn note_columns(&self, digests: &mut Digests, person: &Person) {
        for name in self.options.claim_columns.iter().chain(person.claims.keys()) {
            let is_of_column = self.options.claim_columns.contains(name);
            if is_of_column && digests.contains_key(&format!("{CLAIM}{name}")) {
                digests.insert(format!("{COLUMN}{name}"), "1".to_owned());
            } else {
                digests.remove(&format!("{COLUMN}{name}"));
            }
        }
    }
}

fn name_gone(person: &Person) -> String {
    format!("{:?} was the name of a user who was deleted, and is not given again", person.username)
}

/// Why a row cannot be taken of which another has the same: member and words.
fn of_twin(person: &Person, twin: Twin, others: &[Other]) -> (&'static str, String) {
    let named: Vec<String> = others.iter().take(MOST_NAMED).map(called).collect();
    let more = if others.len() > MOST_NAMED { " and others" } else { "" };
    let named = format!("{}{more}", named.join(", "));
    match twin {
        Twin::Key => ("sub", format!("the key is there more than once: {named} too")),
        Twin::Sub => ("sub", format!("there is a user with that sub already: {named}")),
        Twin::Name => (
            "username",
            format!(
                "there is a user {:?} already: to a sign-in the name is the same as that of {named}",
                person.username
            ),
        ),
        Twin::Address => ("username", format!("the user name {:?} is the e-mail address of {named}", person.username)),
    }
}

/// What is said of a member being verified.
fn verified_by(member: &str) -> Option<&'static str> {
    match member {
        "email" => Some("email_verified"),
        "phone_number" => Some("phone_number_verified"),
        _ => None,
    }
}

/// Whether all that tells a user from others is another than before: two applications may both have a user 1.
fn is_another_user(person: &Person, before: &Brought) -> bool {
    let members = [
        ("username", Some(person.username.as_str())),
        ("email", person.email.as_deref()),
        ("password_hash", person.password_hash.as_deref()),
    ];
    members.into_iter().all(|(member, value)| {
        let last = before.digests.get(member).map(String::as_str).unwrap_or_default();
        let now = digest(&before.sub, member, value.unwrap_or_default());
        // What neither has tells nothing.
        now != last || now.is_empty()
    })
}

/// What stays where it was changed here, and is named also where the source says what it said.
fn is_kept_and_named(member: &str) -> bool {
    matches!(member, "password_hash" | "email" | "locked_until" | "username")
}

fn keep(digests: &mut Digests, member: &str, digest: String) {
    if digest.is_empty() {
        digests.remove(member);
    } else {
        digests.insert(member.to_owned(), digest);
    }
}

const fn flag(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "" }
}

/// What the source says of each column of the user's row; the empty text of one that has no value.
fn said(person: &Person) -> Vec<(String, String)> {
    let mut members = vec![
        ("username", person.username.clone()),
        ("email", person.email.clone().unwrap_or_default()),
        ("password_hash", person.password_hash.clone().unwrap_or_default()),
        ("locked_until", person.locked_until.map(|at| at.to_string()).unwrap_or_default()),
    ];
    members.extend(COLUMNS.iter().map(|column| (*column, person.columns.get(*column).cloned().unwrap_or_default())));
    // After what they are about.
    members.push(("email_verified", flag(person.email_verified).to_owned()));
    members.push(("phone_number_verified", flag(person.phone_number_verified).to_owned()));
    members.into_iter().map(|(member, value)| (member.to_owned(), value)).collect()
}

/// The same of what is here; a password is compared by its mark.
fn of_here(here: &Here) -> impl Iterator<Item = (String, String)> {
    let members = [
        ("username", here.username.clone().unwrap_or_default()),
        ("email", here.email.clone().unwrap_or_default()),
        ("email_verified", flag(here.email_verified).to_owned()),
        ("phone_number_verified", flag(here.phone_number_verified).to_owned()),
        ("locked_until", here.locked_until.map(|at| at.to_string()).unwrap_or_default()),
    ];
    let columns = here.columns.iter().map(|(column, text)| ((*column).to_owned(), text.clone()));
    members.into_iter().map(|(member, value)| (member.to_owned(), value)).chain(columns)
}

/// Notes that a member becomes what the source has.
fn take(it: &mut Alteration, member: &str, person: &Person, here: &Here) {
    match member {
        "username" => it.username = Some(person.username.clone()),
        "email" => it.email = person.email.clone().into(),
        "email_verified" => it.email_verified = Some(person.email_verified),
        "phone_number_verified" => it.phone_number_verified = Some(person.phone_number_verified),
        "password_hash" => {
            let mark =
                credential_of(person.password_hash.as_deref().unwrap_or_default(), here.credential_digest.as_deref());
            it.digests.insert(CREDENTIAL.to_owned(), mark);
            it.password = Some((person.password_hash.clone(), here.password_hash.clone()));
        }
        "locked_until" => it.locked_until = person.locked_until.into(),
        _ => {
            if let Some(column) = COLUMNS.iter().find(|column| **column == member) {
                it.columns.push((column, person.columns.get(member).cloned()));
            }
        }
    }
}
