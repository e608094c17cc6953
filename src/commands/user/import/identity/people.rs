//! What the rows of Identity mean: a user, a role, or why not. Strict where a mistake would let in a user who is to be kept out,
//! and lenient where it would only annoy.

use super::layout::{
    EMAIL, EMAIL_CONFIRMED, LOCKOUT_ENABLED, LOCKOUT_END, Layout, PASSWORD_HASH, PHONE_NUMBER, PHONE_NUMBER_CONFIRMED,
    TWO_FACTOR_ENABLED, USER_NAME,
};
use super::{Arguments, Target, values};
use crate::commands::group;
use crate::commands::terminal::one_line;
use crate::commands::user::{details, import_name_fault};
use crate::passwords;
use crate::protocol::claim_names::{LONGEST_VALUE, user_claim_fault};
use crate::protocol::{recovery_codes, text, totp};
use crate::store::identity_source::{Keys, Reference, Row, TOKEN_VALUE, Table, User, guid};
use crate::store::imports::staging::claims_of;
use crate::store::imports::{Finding, LeftOut, Person, Place, Role, SecondFactor, Weight};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What is done about users whose second factor cannot come over.
const BY_ANOTHER: &str =
    "who has codes by mail or SMS sets up an authenticator in the application, or switches the second factor off there";
/// The longest `sub`, in bytes, [OIDC Core 2](https://openid.net/specs/openid-connect-core-1_0.html#IDToken).
const LONGEST_SUB: usize = 255;
/// How many providers are named.
const MOST_NAMED: usize = 5;
/// Where a row of claims has the type and the value, and one of roles the name.
const CLAIM_TYPE: usize = 2;
const CLAIM_VALUE: usize = 3;
const ROLE_NAME: usize = 1;

/// How rows are read.
pub(super) struct Assembly<'a> {
    /// What the options say.
    pub arguments: &'a Arguments,
    /// What the columns are.
    pub layout: &'a Layout,
    /// What the keys are.
    pub keys: Keys,
    /// A factor key seals, so that authenticators can be taken.
    pub may_seal: bool,
}

/// Why a row cannot be taken: the place of the column, and the reason.
struct Fault(usize, String, Option<String>);

impl Fault {
    fn new(at: usize, why: impl Into<String>) -> Self {
        Self(at, why.into(), None)
    }

    fn with_fix(self, fix: impl Into<String>) -> Self {
        Self(self.0, self.1, Some(fix.into()))
    }
}

fn field(row: &Row, at: usize) -> Option<&str> {
    row.fields.get(at).and_then(Option::as_deref)
}

/// A cell that says something.
pub(super) fn text(row: &Row, at: usize) -> Option<&str> {
    field(row, at).filter(|text| !text.trim().is_empty())
}

impl Assembly<'_> {
    /// Where a row is.
    pub(super) fn place(&self, table: Table, row: &Row) -> Place {
        Place { table: Some(self.layout.name_of(table)), key: one_line(&row.shown), line: row.line }
    }

    /// What a column is called.
    fn member(&self, table: Table, at: usize) -> &str {
        self.layout.column(table, at).unwrap_or_else(|| table.members().get(at).map_or("", |member| member.name))
    }

    fn finding(&self, table: Table, row: &Row, at: usize, why: impl Into<String>) -> Finding {
        Finding::new(Weight::Fault, &self.place(table, row), self.member(table, at), why)
    }

    /// A row that refers to what is not there.
    pub(super) fn orphan(&self, reference: Reference, row: &Row) -> Finding {
        let what = if reference.to == Table::Users { "user" } else { "role" };
        self.finding(reference.from, row, reference.column(), format!("it refers to a {what} that is not there"))
    }

    /// The key of a row, as services know it.
    fn key(&self, row: &Row) -> Result<String, Fault> {
        let key = row.key.as_deref().filter(|key| !key.is_empty()).ok_or_else(|| Fault::new(0, "it has no key"))?;
        if self.keys == Keys::Guids && guid(key).is_none() {
            return Err(Fault::new(0, "it is no GUID, and the other keys are")
                .with_fix("--identity-keys text takes all as they are"));
        }
        Ok(key.to_owned())
    }

    /// A user, with the roles that can be taken; `None`: the row cannot be, which is said.
    pub(super) fn person(
        &self,
        user: &User,
        roles: &BTreeSet<String>,
        intake: &mut impl FnMut(Finding),
    ) -> Option<Person> {
        // It could not be read, which was said.
        if user.row.fields.is_empty() {
            return None;
        }
        let mut person = match self.account(user) {
            Ok(person) => person,
            Err(Fault(at, why, fix)) => {
                intake(Finding { fix, ..self.finding(Table::Users, &user.row, at, why) });
                return None;
            }
        };
        person.second_factor = match self.second_factor(user) {
            Ok((second_factor, faults)) => {
                faults.into_iter().for_each(&mut *intake);
                second_factor
            }
            Err(finding) => {
                intake(*finding);
                return None;
            }
        };
        self.contact(&user.row, &mut person, intake);
        person.roles = user.roles.iter().filter(|role| roles.contains(*role)).cloned().collect();
        let mut claims = self.own_columns(&user.row, &mut person, intake);
        claims.extend(self.claims(Table::UserClaims, &user.claims, intake));
        person.claims = self.short_claims(Table::UserClaims, user.claims.first(), claims, intake);
        Some(person)
    }

    /// What decides who signs in.
    fn account(&self, user: &User) -> Result<Person, Fault> {
        let row = &user.row;
        let key = self.key(row)?;
        if key.len() > LONGEST_SUB || !key.is_ascii() || key.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(Fault::new(0, format!("sub must have 1 to {LONGEST_SUB} ASCII characters (OIDC Core 2)")));
        }
        let username = text(row, USER_NAME).ok_or_else(|| Fault::new(USER_NAME, "the user has no user name"))?;
        if let Some(fault) = import_name_fault(username) {
            let fix = fault.fix().map(str::to_owned);
            return Err(Fault(USER_NAME, fault.to_string(), fix));
        }
        let password_hash =
            text(row, PASSWORD_HASH).map(|hash| passwords::registered_form(hash.trim())).transpose().map_err(
                |why| Fault::new(PASSWORD_HASH, why).with_fix("give the user another password in the application"),
            )?;
        let mut person = Person {
            place: self.place(Table::Users, row),
            sub: Some(key.clone()),
            key,
            username: username.to_owned(),
            password_hash,
            locked_until: self.lock(row)?,
            ..Person::default()
        };
        person.left_out.extend(self.without_password(user, &person));
        if self.truth(row, TWO_FACTOR_ENABLED)?.unwrap_or(false) {
            let left_out = self.without_second_factor(user, &one_line(&person.username));
            person.left_out.extend(left_out);
        }
        Ok(person)
    }

    /// True or false; `None`: there is no such column.
    fn truth(&self, row: &Row, at: usize) -> Result<Option<bool>, Fault> {
        if self.layout.column(Table::Users, at).is_none() {
            return Ok(None);
        }
        let truth = field(row, at).and_then(values::truth);
        truth.map(Some).ok_or_else(|| Fault::new(at, "it is neither true nor false"))
    }

    /// Until when the user is locked.
    fn lock(&self, row: &Row) -> Result<Option<i64>, Fault> {
        // Where nothing says that a date does not lock, it does.
        if self.truth(row, LOCKOUT_ENABLED)? == Some(false) {
            return Ok(None);
        }
        let Some(end) = text(row, LOCKOUT_END) else { return Ok(None) };
        let end = values::instant(end).ok_or_else(|| {
            Fault::new(LOCKOUT_END, "it is no instant, so that it is not known whether the user is locked")
        })?;
        // Also one that has passed: when it does is no change of the source.
        Ok(Some(end))
    }

    fn without_password(&self, user: &User, person: &Person) -> Option<LeftOut> {
        if person.password_hash.is_some() || self.arguments.without_password {
            return None;
        }
        let why = if user.providers.is_empty() {
            format!("{} has no password", one_line(&person.username))
        } else {
            let names: BTreeSet<String> = user.providers.iter().map(|name| one_line(name)).collect();
            let more = if names.len() > MOST_NAMED { " and others" } else { "" };
            let names: Vec<String> = names.into_iter().take(MOST_NAMED).collect();
            format!("{} has no password and signs in with {}{more}", one_line(&person.username), names.join(", "))
        };
        Some(LeftOut {
            member: self.member(Table::Users, PASSWORD_HASH).to_owned(),
            why,
            fix: Some(
                "--without-password takes users without one, for whom `hallpass user set-password` sets one".to_owned(),
            ),
        })
    }

    fn without_second_factor(&self, user: &User, name: &str) -> Option<LeftOut> {
        let (why, fix) = if user.authenticator.is_none() && self.layout.column(Table::UserTokens, 0).is_none() {
            let why = "with a second factor: codes by mail or SMS, which Hallpass does not send, or an authenticator, \
                       which the table of tokens would tell";
            (why, Some(format!("bring {} too; {BY_ANOTHER}", Table::UserTokens.name())))
        } else if user.authenticator.is_none() {
            ("with codes by mail or SMS too, which Hallpass does not send", Some(BY_ANOTHER.to_owned()))
        } else if self.arguments.without_second_factor || self.may_seal {
            return None;
        } else {
            let fix = "`hallpass key new --for factors` makes one, or bring the keys folder of the nodes here; \
                       --without-second-factor takes such users, who then sign in with the password alone until a later import \
                       brings the authenticator";
            ("with an authenticator too, and no factor key here seals its secret", Some(fix.to_owned()))
        };
        let member = self.member(Table::Users, TWO_FACTOR_ENABLED).to_owned();
        Some(LeftOut { member, why: format!("{name} signs in {why}"), fix })
    }

    /// The second factor, and what is wrong with a part of it; `None`: the source says nothing of it, or it is not to be taken.
    ///
    /// # Errors
    /// It is one that cannot be taken, so that the user cannot be either: they would come by the password alone.
    fn second_factor(&self, user: &User) -> Result<(Option<SecondFactor>, Vec<Finding>), Box<Finding>> {
        let nothing = Ok((None, Vec::new()));
        if self.layout.column(Table::UserTokens, 0).is_none() || self.arguments.without_second_factor {
            return nothing;
        }
        // That it is neither true nor false was said with the row.
        match self.truth(&user.row, TWO_FACTOR_ENABLED) {
            Ok(Some(true)) => {}
            // An authenticator that is switched off stays in the table, and is none.
            Ok(Some(false)) => return Ok((Some(SecondFactor::default()), Vec::new())),
            Ok(None) | Err(_) => return nothing,
        }
        let Some(row) = user.authenticator.as_ref().filter(|_| self.may_seal) else { return nothing };
        let secret = totp::parse_secret(field(row, TOKEN_VALUE).unwrap_or_default()).ok_or_else(|| {
            let why = "it is no key of an authenticator (base32); the user is not taken, who would sign in with the password alone";
            let fix = "let the user set the authenticator up anew in the application";
            Box::new(self.finding(Table::UserTokens, row, TOKEN_VALUE, why).with_fix(fix))
        })?;
        let (mut codes, mut broken) = (Vec::new(), 0_usize);
        let row = user.recovery_codes.as_ref();
        let texts = row.and_then(|row| field(row, TOKEN_VALUE)).unwrap_or_default();
        for text in texts.split(';').filter(|text| !text.trim().is_empty()) {
            match recovery_codes::foreign(text) {
                Some(code) if codes.len() < recovery_codes::MOST_CODES => codes.push(code),
                _ => broken += 1,
            }
        }
        let finding = row.filter(|_| broken > 0).map(|row| {
            let why = format!(
                "{broken} of the recovery codes cannot be typed, or are too many; a user who is not here yet is taken without them, and what is here of others stays"
            );
            self.finding(Table::UserTokens, row, TOKEN_VALUE, why)
        });
        // Of a row that could not be read, which was said, it is not known what it holds.
        let has_broken_codes = broken > 0 || row.is_some_and(|row| row.fields.is_empty());
        let second_factor = SecondFactor { authenticator: Some(secret), recovery_codes: codes, has_broken_codes };
        Ok((Some(second_factor), finding.into_iter().collect()))
    }

    /// Address and telephone number. One that is none is named, and the user is taken without it.
    fn contact(&self, row: &Row, person: &mut Person, intake: &mut impl FnMut(Finding)) {
        let mut confirmed = |at: usize| {
            self.layout.column(Table::Users, at)?;
            let cell = text(row, at)?;
            let truth = values::truth(cell);
            if truth.is_none() {
                let why = "it is neither true nor false; it counts as not confirmed";
                intake(self.finding(Table::Users, row, at, why));
            }
            truth
        };
        person.email_verified = confirmed(EMAIL_CONFIRMED).unwrap_or(false);
        person.phone_number_verified = confirmed(PHONE_NUMBER_CONFIRMED).unwrap_or(false);
        match text(row, EMAIL) {
            Some(email) if text::is_known_email(email) => person.email = Some(email.to_owned()),
            Some(_) => {
                let why = "it is no e-mail address; the user is taken without one";
                intake(self.finding(Table::Users, row, EMAIL, why));
            }
            None => {}
        }
        person.email_verified &= person.email.is_some();
        if let Some(number) = text(row, PHONE_NUMBER) {
            self.column(row, (PHONE_NUMBER, "phone_number"), number, person, intake);
        }
        person.phone_number_verified &= person.columns.contains_key("phone_number");
    }

    /// A standard claim. A text that can be none is named, and the user is taken without it.
    fn column(
        &self,
        row: &Row,
        (at, column): (usize, &str),
        value: &str,
        person: &mut Person,
        intake: &mut impl FnMut(Finding),
    ) {
        match details::fault(column, value) {
            Some(fault) => {
                let why = format!("{column}: {}; the user is taken without it", fault.what());
                intake(self.finding(Table::Users, row, at, why));
            }
            None => {
                person.columns.insert(column.to_owned(), value.to_owned());
            }
        }
    }

    /// The application's own columns; gives those that are further claims.
    fn own_columns(&self, row: &Row, person: &mut Person, intake: &mut impl FnMut(Finding)) -> Vec<(String, Value)> {
        let first = Table::Users.members().len();
        let mut claims = Vec::new();
        for (at, (_, target)) in self.layout.extras().iter().enumerate() {
            let Some(value) = text(row, first + at) else { continue };
            match target {
                Target::Column("birthdate") => {
                    self.column(row, (first + at, "birthdate"), day_of(value), person, intake);
                }
                Target::Column(column) => self.column(row, (first + at, column), value, person, intake),
                Target::Claim(name) => claims.push((name.clone(), Value::from(value))),
            }
        }
        claims
    }

    /// The rows of claims as types and values. One that can be none is named.
    fn claims(&self, table: Table, rows: &[Row], intake: &mut impl FnMut(Finding)) -> Vec<(String, Value)> {
        let mut claims = Vec::new();
        for row in rows {
            if row.fields.is_empty() {
                continue;
            }
            let name = field(row, CLAIM_TYPE).unwrap_or_default();
            if let Some(why) = user_claim_fault(name) {
                intake(self.finding(table, row, CLAIM_TYPE, why));
            } else if let Some(value) = field(row, CLAIM_VALUE) {
                claims.push((name.to_owned(), Value::from(value)));
            } else {
                intake(self.finding(table, row, CLAIM_VALUE, "the claim has no value"));
            }
        }
        claims
    }

    /// Several values of one type as one claim. One that is too long is named, with the first row of all.
    fn short_claims(
        &self,
        table: Table,
        first: Option<&Row>,
        claims: Vec<(String, Value)>,
        intake: &mut impl FnMut(Finding),
    ) -> BTreeMap<String, Value> {
        let mut claims = claims_of(claims);
        claims.retain(|name, value| {
            let bytes = value.to_string().len();
            if bytes > LONGEST_VALUE {
                let place = first.cloned().unwrap_or_default();
                let why =
                    format!("all values of {name:?} together have {bytes} bytes, and {LONGEST_VALUE} are the most");
                intake(self.finding(table, &place, CLAIM_VALUE, why));
            }
            bytes <= LONGEST_VALUE
        });
        claims
    }

    /// A role, with the claims of all who have it; `None`: it cannot be taken, which is said.
    pub(super) fn role(&self, row: &Row, claims: &[Row], intake: &mut impl FnMut(Finding)) -> Option<Role> {
        if row.fields.is_empty() {
            return None;
        }
        let named = || -> Result<(String, String), Fault> {
            let key = self.key(row)?;
            let name = text(row, ROLE_NAME).ok_or_else(|| Fault::new(ROLE_NAME, "the role has no name"))?;
            match group::name_fault(name) {
                Some(fault) => Err(Fault::new(ROLE_NAME, format!("{:?}: {}", one_line(name), fault.what()))),
                None => Ok((key, name.to_owned())),
            }
        };
        match named() {
            Ok((key, name)) => {
                let held = self.claims(Table::RoleClaims, claims, intake);
                let claims = self.short_claims(Table::RoleClaims, claims.first(), held, intake);
                Some(Role { place: self.place(Table::Roles, row), key, name, claims })
            }
            Err(Fault(at, why, fix)) => {
                intake(Finding { fix, ..self.finding(Table::Roles, row, at, why) });
                None
            }
        }
    }
}

/// A day that is kept as the instant at which it starts.
fn day_of(text: &str) -> &str {
    match text.split_once([' ', 'T']) {
        Some((day, time)) if time.bytes().all(|byte| b"0:.+Z ".contains(&byte)) => day,
        _ => text,
    }
}
