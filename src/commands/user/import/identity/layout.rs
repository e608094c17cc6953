//! Which table and which column of a source is which of Identity's: by the options, or by their names in whatever letters, with
//! or without `_` between the words, and with another prefix where only one can be meant.

use super::{Brought, CLAIM, Renamed, Target};
use crate::commands::terminal::one_line;
use crate::failure::Failure;
use crate::protocol::difference::most_like;
use crate::store::identity_source::{Found, Member, Selection, Table, USER_MEMBERS};
use crate::store::imports::{Finding, Place, Weight};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// How many names of tables and columns are told.
const MOST_NAMED: usize = 40;
const PREFIX: &str = "AspNet";
const USERS: &str = "users";

/// What the options say of names.
pub(super) struct Names<'a> {
    /// Names of tables.
    pub tables: &'a [(Table, String)],
    /// What they begin with.
    pub prefix: Option<&'a str>,
    /// Names of columns.
    pub columns: &'a [Renamed],
    /// Columns of the application's own.
    pub brought: &'a [Brought],
    /// Tables are files.
    pub is_folder: bool,
}

/// What is read, and what its columns are.
pub(super) struct Layout {
    selections: Vec<Selection>,
    /// What the columns of users after those of Identity become.
    extras: Vec<(String, Target)>,
}

/// A name without what differs between conventions.
pub(super) fn fold(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// The name that is meant: exactly it, or else the only one that is the same when it is folded.
fn pick<'a, T>(all: &'a [T], name: impl Fn(&T) -> &str, wanted: &str) -> Result<Option<&'a T>, [&'a T; 2]> {
    if let Some(exact) = all.iter().find(|one| name(one) == wanted) {
        return Ok(Some(exact));
    }
    let folded = fold(wanted);
    let mut alike = all.iter().filter(|one| fold(name(one)) == folded);
    match (alike.next(), alike.next()) {
        (Some(one), Some(other)) => Err([one, other]),
        (one, _) => Ok(one),
    }
}

fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(one_line).collect();
    let more = if names.len() > MOST_NAMED { " and more" } else { "" };
    format!("{}{more}", names.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", "))
}

impl Layout {
    /// Finds all; what is not there and not needed is told.
    ///
    /// # Errors
    /// What is not there and needed, with what there is and the option that says it.
    pub(super) fn find(found: &[Found], names: &Names<'_>, intake: &mut impl FnMut(Finding)) -> Result<Self, Failure> {
        let here: Vec<Found> = found.iter().filter(|table| table.is_visible).cloned().collect();
        let users = names.users(&here, found)?;
        let prefix = names.prefix_of(users);
        let mut layout = Self { selections: Vec::new(), extras: Vec::new() };
        layout.selections.push(names.selection(Table::Users, users)?);
        for brought in names.brought {
            let column = own_column(users, &brought.column)?;
            layout.selections[0].columns.push(Some(column.clone()));
            layout.extras.push((column, brought.claim.clone()));
        }
        for table in Table::ALL.into_iter().skip(1) {
            match names.table(table, &here, &prefix)? {
                Some(found) => layout.selections.push(names.selection(table, found)?),
                None if layout.is_expected(table) => {
                    let name =
                        names.called(table).map_or_else(|| format!("{prefix}{}", table.short_name()), str::to_owned);
                    let place = Place { table: Some(name), ..Place::default() };
                    let what = if names.is_folder { "there is no such file" } else { "there is no such table" };
                    let why = format!("{what}; the others are read");
                    let fix = format!("where it has another name, --table {}=NAME", table.name());
                    intake(Finding::new(Weight::Note, &place, "", why).with_fix(fix));
                }
                None => {}
            }
        }
        for (at, member) in USER_MEMBERS.iter().enumerate() {
            if layout.selections[0].columns[at].is_none() && !names.columns.iter().any(|it| it.is(Table::Users, at)) {
                let place = Place { table: Some(layout.name_of(Table::Users)), ..Place::default() };
                intake(Finding::new(Weight::Note, &place, member.name, "there is no such column"));
            }
        }
        Ok(layout)
    }

    /// Whether a table that is not there is worth a word: some came with later versions.
    fn is_expected(&self, table: Table) -> bool {
        let is_of_framework =
            self.column(Table::Users, LOCKOUT_END).is_some_and(|name| fold(name).ends_with("dateutc"));
        match table {
            Table::UserPasskeys => false,
            Table::UserTokens | Table::RoleClaims => !is_of_framework,
            _ => true,
        }
    }

    /// What is read, the users first.
    pub(super) fn selections(&self) -> &[Selection] {
        &self.selections
    }

    /// What the columns of users after those of Identity become, with their names.
    pub(super) fn extras(&self) -> &[(String, Target)] {
        &self.extras
    }

    fn selection(&self, table: Table) -> Option<&Selection> {
        self.selections.iter().find(|selection| selection.table == table)
    }

    /// What a table is called.
    pub(super) fn name_of(&self, table: Table) -> String {
        self.selection(table).map_or_else(|| table.name(), |selection| selection.name.clone())
    }

    /// What a column is called; `None`: it is not there.
    pub(super) fn column(&self, table: Table, at: usize) -> Option<&str> {
        self.selection(table)?.columns.get(at)?.as_deref()
    }

    /// The members of a user that the source says something of.
    pub(super) fn covered(&self) -> BTreeSet<String> {
        let mut covered: BTreeSet<&str> = BTreeSet::new();
        for (at, member) in [
            (EMAIL_CONFIRMED, "email_verified"),
            (PASSWORD_HASH, "password_hash"),
            (LOCKOUT_END, "locked_until"),
            (PHONE_NUMBER, "phone_number"),
            (PHONE_NUMBER_CONFIRMED, "phone_number_verified"),
        ] {
            covered.extend(self.column(Table::Users, at).map(|_| member));
        }
        for (_, target) in &self.extras {
            if let Target::Column(name) = target {
                covered.insert(name);
            }
        }
        let of_columns = self.extras.iter().filter_map(|(_, target)| match target {
            Target::Claim(name) => Some(format!("{CLAIM}{name}")),
            Target::Column(_) => None,
        });
        if self.selection(Table::Roles).is_some() && self.selection(Table::UserRoles).is_some() {
            covered.insert("roles");
        }
        if self.selection(Table::RoleClaims).is_some() {
            covered.insert("role_claims");
        }
        if self.selection(Table::UserClaims).is_some() {
            covered.insert("claims");
        }
        covered.into_iter().map(str::to_owned).chain(of_columns).collect()
    }
}

/// Where the columns of users are, in the order of `USER_MEMBERS`.
pub(super) const USER_NAME: usize = 1;
pub(super) const EMAIL: usize = 2;
pub(super) const EMAIL_CONFIRMED: usize = 3;
pub(super) const PASSWORD_HASH: usize = 4;
pub(super) const TWO_FACTOR_ENABLED: usize = 5;
pub(super) const LOCKOUT_END: usize = 6;
pub(super) const LOCKOUT_ENABLED: usize = 7;
pub(super) const PHONE_NUMBER: usize = 8;
pub(super) const PHONE_NUMBER_CONFIRMED: usize = 9;

impl Names<'_> {
    fn called(&self, table: Table) -> Option<&str> {
        self.tables.iter().rev().find(|(of, _)| *of == table).map(|(_, name)| name.as_str())
    }

    /// The table of the users.
    fn users<'a>(&self, here: &'a [Found], all: &'a [Found]) -> Result<&'a Found, Failure> {
        if let Some(users) = self.table(Table::Users, here, self.prefix.unwrap_or(PREFIX))? {
            return Ok(users);
        }
        let could_be: Vec<&Found> = here.iter().filter(|table| is_of_users(table)).collect();
        if let ([one], None, None) = (could_be.as_slice(), self.called(Table::Users), self.prefix) {
            return Ok(one);
        }
        let wanted = self
            .called(Table::Users)
            .map_or_else(|| format!("{}{}", self.prefix.unwrap_or(PREFIX), Table::Users.short_name()), str::to_owned);
        let (a_table, tables) = if self.is_folder { ("file", "files") } else { ("table", "tables") };
        let suffix = if self.is_folder { ".csv" } else { "" };
        let mut what = format!("there is no {a_table} {}{suffix} with the users", one_line(&wanted));
        let elsewhere =
            all.iter().find(|table| !table.is_visible && (fold(&table.name) == fold(&wanted) || is_of_users(table)));
        if let Some(schema) = elsewhere.and_then(|table| table.schema.as_deref()) {
            let fix = format!("it is in the schema {}: --schema {0}", one_line(schema));
            return Err(Failure::new(what).with_fix(fix));
        }
        if here.is_empty() {
            let _ = write!(what, "; there are no {tables} at all");
            return Err(Failure::new(what).with_fix("name the right source"));
        }
        let _ = write!(what, "; there are {}", listed(here.iter().map(|table| table.name.as_str())));
        Err(Failure::new(what).with_fix(format!(
            "--table {}=NAME says which it is, --table-prefix what all begin with",
            Table::Users.name()
        )))
    }

    /// What the tables begin with, by the name of that of the users.
    fn prefix_of(&self, users: &Found) -> String {
        if let Some(prefix) = self.prefix {
            return prefix.to_owned();
        }
        let is_named = self.called(Table::Users).is_some();
        let cut = users.name.len().checked_sub(USERS.len()).and_then(|at| users.name.split_at_checked(at));
        match cut {
            Some((prefix, word)) if !is_named && fold(word) == USERS => prefix.to_owned(),
            _ => PREFIX.to_owned(),
        }
    }

    fn table<'a>(&self, table: Table, here: &'a [Found], prefix: &str) -> Result<Option<&'a Found>, Failure> {
        let called = self.called(table);
        let wanted = called.map_or_else(|| format!("{prefix}{}", table.short_name()), str::to_owned);
        match pick(here, |found| &found.name, &wanted) {
            Ok(None) if called.is_some() && table != Table::Users => {
                let what = format!(
                    "there is no table {}; there are {}",
                    one_line(&wanted),
                    listed(here.iter().map(|it| it.name.as_str()))
                );
                Err(Failure::new(what).with_fix(format!("correct --table {}=…", table.name())))
            }
            Ok(found) => Ok(found),
            Err([one, other]) => {
                let what =
                    format!("both {} and {} could be {}", one_line(&one.name), one_line(&other.name), table.name());
                Err(Failure::new(what).with_fix(format!("--table {}=NAME says which it is", table.name())))
            }
        }
    }

    fn selection(&self, table: Table, found: &Found) -> Result<Selection, Failure> {
        let (mut columns, mut missing) = (Vec::new(), Vec::new());
        for (at, member) in table.members().iter().enumerate() {
            let renamed = self.columns.iter().rev().find(|it| it.is(table, at));
            let column = match renamed {
                Some(Renamed { name: None, .. }) => None,
                Some(Renamed { name: Some(name), .. }) => {
                    let column = column_named(found, name)?;
                    if column.is_none() {
                        return Err(without(table, found, name));
                    }
                    column
                }
                None => {
                    let column = column_named(found, member.name)?;
                    match (column, member.other) {
                        (None, Some(other)) => column_named(found, other)?,
                        (column, _) => column,
                    }
                }
            };
            if column.is_none() && member.is_needed && renamed.is_none() {
                missing.push(*member);
            }
            columns.push(column);
        }
        if let Some(first) = missing.first() {
            return Err(self.incomplete(table, found, *first, &missing));
        }
        Ok(Selection { table, schema: found.schema.clone(), name: found.name.clone(), columns })
    }

    fn incomplete(&self, table: Table, found: &Found, first: Member, missing: &[Member]) -> Failure {
        let names: Vec<&str> = missing.iter().map(|member| member.name).collect();
        if self.is_folder && missing.len() >= table.members().iter().filter(|member| member.is_needed).count() {
            // The first line is a row: nothing of it is repeated.
            let what = format!("the first line of {}.csv names no column of {}", one_line(&found.name), table.name());
            return Failure::new(what).with_fix("export it with a header line, as UTF-8");
        }
        let is_several = if missing.len() == 1 { "column" } else { "columns" };
        let what = format!(
            "{} has no {is_several} {}; it has {}",
            one_line(&found.name),
            names.join(", "),
            listed(found.columns.iter().map(String::as_str))
        );
        let prefix = if table == Table::Users { String::new() } else { format!("{}.", table.name()) };
        let name = first.name;
        let mut fix = format!("--identity-column {prefix}{name}=NAME says what it is called");
        if table == Table::Users && !matches!(name, "Id" | "UserName") {
            let _ = write!(fix, "; --identity-column {name}= that there is none");
        }
        Failure::new(what).with_fix(fix)
    }
}

impl Renamed {
    fn is(&self, table: Table, at: usize) -> bool {
        self.table == table && self.at == at
    }
}

fn is_of_users(table: &Found) -> bool {
    let columns: BTreeSet<String> = table.columns.iter().map(|column| fold(column)).collect();
    let has = |name: &str| columns.contains(&fold(name));
    fold(&table.name).ends_with(USERS)
        && USER_MEMBERS
            .iter()
            .filter(|member| member.is_needed)
            .all(|member| has(member.name) || member.other.is_some_and(has))
}

fn column_named(found: &Found, name: &str) -> Result<Option<String>, Failure> {
    match pick(&found.columns, |column| column, name) {
        Ok(column) => Ok(column.cloned()),
        Err([one, other]) => {
            let what =
                format!("{}: both {} and {} could be {name}", one_line(&found.name), one_line(one), one_line(other));
            Err(Failure::new(what).with_fix(format!("--identity-column {name}=NAME says which it is")))
        }
    }
}

fn without(table: Table, found: &Found, name: &str) -> Failure {
    let what = format!(
        "{} has no column {}; it has {}",
        one_line(&found.name),
        one_line(name),
        listed(found.columns.iter().map(String::as_str))
    );
    Failure::new(what).with_fix(format!("correct --identity-column for {}", table.name()))
}

/// A column of the application's own.
fn own_column(users: &Found, name: &str) -> Result<String, Failure> {
    if let Some(column) = column_named(users, name)? {
        return Ok(column);
    }
    let near = most_like(name, users.columns.iter().map(String::as_str), |known| known, 3);
    let fix = near.map_or_else(
        || format!("it has {}", listed(users.columns.iter().map(String::as_str))),
        |near| format!("did you mean {}?", one_line(near)),
    );
    let what = format!("--column: {} has no column {}", one_line(&users.name), one_line(name));
    Err(Failure::new(what).with_fix(fix))
}
