//! `hallpass user import --aspnet-identity`: the users of an ASP.NET Core Identity database, or of a folder of exports of its
//! tables. `layout` finds tables and columns, `exports` reads files, `people` says what the rows mean, `values` what a cell does.

mod exports;
mod layout;
mod people;
mod values;

use super::CLAIM;
use crate::failure::Failure;
use crate::protocol::claim_names::user_claim_fault;
use crate::protocol::difference::most_like;
use crate::store::identity_source::{Database, Keys, Reference, Table, Tables};
use crate::store::imports::staging::Staging;
use crate::store::imports::{Finding, Place, Weight};
use crate::store::users::edit::COLUMNS;
use exports::Folder;
use layout::{Layout, Names, fold};
use people::Assembly;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The flag that names the source.
const FLAG: &str = "--aspnet-identity";
/// Columns that are no claim of a user.
const SECRET: [&str; 3] = ["passwordhash", "securitystamp", "concurrencystamp"];

/// What the columns of Identity are called that our members come from.
pub(super) const NAMES: [(&str, &str); 11] = [
    ("sub", "Id"),
    ("username", "UserName"),
    ("email", "Email"),
    ("email_verified", "EmailConfirmed"),
    ("phone_number", "PhoneNumber"),
    ("phone_number_verified", "PhoneNumberConfirmed"),
    ("password_hash", "PasswordHash"),
    ("locked_until", "LockoutEnd"),
    ("roles", "AspNetUserRoles"),
    ("authenticator", "TwoFactorEnabled"),
    ("recovery_codes", "RecoveryCodes"),
];

pub(super) const HELP: &str = "ASP.NET Core Identity: --aspnet-identity reads sqlite:FILE (also while the application has it \
open: nothing is written to it), postgres://USER@HOST/DATABASE (the password may come from PGPASSWORD or ~/.pgpass), or a folder \
of CSV exports with a header, named after the tables (AspNetUsers.csv and so on). sub is what .NET makes of a user's Id: a GUID \
that a column shows in capital letters is taken in small ones, and any other key as it is. Users without a password are named and not \
taken until --without-password is said. An authenticator that is switched on comes over with its recovery codes, sealed by the factor \
key of the keys folder; --without-second-factor takes such users without it. Names of tables and columns are found in whatever letters, in snake_case, and with another prefix where only one can be meant.

  hallpass user import --aspnet-identity sqlite:/srv/app/app.db
  hallpass user import --aspnet-identity postgres://reader@db.example.com/app --schema identity --apply
  hallpass user import --aspnet-identity exports/ --column FullName=name --column Department=claim:department --apply
  hallpass user import --aspnet-identity sqlite:app.db --table AspNetUsers=members --identity-column UserName=login";

/// Flags of this kind of source.
#[derive(clap::Args)]
pub(in crate::commands) struct Arguments {
    /// Read a database of ASP.NET Core Identity: sqlite:FILE, postgres://…, or a folder of CSV exports
    // It may hold a password: nothing that reads it repeats it, so that no parser is asked here.
    #[arg(long, value_name = "SOURCE")]
    aspnet_identity: Option<SecretText>,
    /// The claim that a column of the application's own becomes: a standard one, or claim:NAME; may be repeated
    #[arg(long = "column", value_name = "COLUMN=CLAIM", requires = "aspnet_identity", value_parser = parse_brought)]
    columns: Vec<Brought>,
    /// Take users without a password too
    #[arg(long, requires = "aspnet_identity")]
    without_password: bool,
    /// Take users with an authenticator without it: they sign in with the password alone
    #[arg(long, requires = "aspnet_identity")]
    without_second_factor: bool,
    /// What a table is called here, such as AspNetUsers=members; may be repeated
    #[arg(long = "table", value_name = "TABLE=NAME", requires = "aspnet_identity", value_parser = parse_table)]
    tables: Vec<(Table, String)>,
    /// What the names of all tables begin with; may be empty
    #[arg(long, value_name = "PREFIX", requires = "aspnet_identity")]
    table_prefix: Option<String>,
    /// The schema of the tables, where the search path does not name it
    #[arg(long, requires = "aspnet_identity")]
    schema: Option<String>,
    /// What a column is called here, such as UserName=login or AspNetRoles.Name=title; nothing after = says that it has none; may be
    /// repeated
    #[arg(long = "identity-column", value_name = "COLUMN=NAME", requires = "aspnet_identity", value_parser = parse_member)]
    identity_columns: Vec<Renamed>,
    /// What the keys of users and roles are, where the rows do not show it
    #[arg(long, requires = "aspnet_identity")]
    identity_keys: Option<KeyWord>,
}

/// A text that is not printed.
#[derive(Clone)]
struct SecretText(SecretString);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum KeyWord {
    /// As they are shown
    Text,
    /// GUIDs, in small letters with hyphens
    Guid,
}

/// A column of the application's own, and what it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Brought {
    column: String,
    claim: Target,
}

/// What a column becomes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    /// A standard claim.
    Column(&'static str),
    /// A further one.
    Claim(String),
}

/// A column of Identity that has another name, or is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Renamed {
    table: Table,
    at: usize,
    name: Option<String>,
}

fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = most_like(name, known.iter().copied(), |known| known, 3);
    near.map_or_else(|| known.join(", "), |near| format!("did you mean {near}?"))
}

fn parse_brought(text: &str) -> Result<Brought, String> {
    let (column, claim) = text.split_once('=').ok_or("write it as COLUMN=CLAIM")?;
    if column.is_empty() {
        return Err("write it as COLUMN=CLAIM".to_owned());
    }
    if SECRET.contains(&fold(column).as_str()) {
        return Err(format!("{column} is a secret of the application, and no claim"));
    }
    let claim = match claim.strip_prefix(CLAIM) {
        Some(name) => match user_claim_fault(name) {
            Some(why) => return Err(why),
            None => Target::Claim(name.to_owned()),
        },
        None if claim == "phone_number" => {
            return Err("it comes from PhoneNumber; --identity-column PhoneNumber=NAME names another column".to_owned());
        }
        None => {
            let known = COLUMNS.iter().find(|known| **known == claim).ok_or_else(|| {
                let offer = did_you_mean(claim, COLUMNS.iter().copied());
                format!("{claim:?} is no standard claim of a user ({offer}); claim:{claim} is a further one")
            });
            Target::Column(known?)
        }
    };
    Ok(Brought { column: column.to_owned(), claim })
}

fn table_named(name: &str) -> Result<Table, Failure> {
    let folded = fold(name);
    let is_it = |table: &Table| folded == fold(&table.name()) || folded == fold(table.short_name());
    Table::ALL.into_iter().find(is_it).ok_or_else(|| {
        let names = Table::ALL.map(Table::name);
        let offer = did_you_mean(name, names.iter().map(String::as_str));
        Failure::new(format!("{name:?} is no table of Identity: {offer}"))
    })
}

fn parse_table(text: &str) -> Result<(Table, String), String> {
    let (table, name) = text.split_once('=').filter(|(_, name)| !name.is_empty()).ok_or("write it as TABLE=NAME")?;
    Ok((table_named(table).map_err(|failure| failure.to_string())?, name.to_owned()))
}

fn parse_member(text: &str) -> Result<Renamed, String> {
    let (member, name) = text.split_once('=').ok_or("write it as COLUMN=NAME")?;
    let (table, member) = match member.split_once('.') {
        Some((table, member)) => (table_named(table).map_err(|failure| failure.to_string())?, member),
        None => (Table::Users, member),
    };
    let folded = fold(member);
    let is_it = |known: &&str| fold(known) == folded;
    let at = table
        .members()
        .iter()
        .position(|member| is_it(&member.name) || member.other.is_some_and(|other| is_it(&other)));
    let Some(at) = at else {
        let offer = did_you_mean(member, table.members().iter().map(|member| member.name));
        return Err(format!("{member:?} is no column of {} that is read: {offer}", table.name()));
    };
    if name.is_empty() && (at == 0 || table.members()[at].name == "UserName") {
        return Err(format!("{} cannot be left out", table.members()[at].name));
    }
    Ok(Renamed { table, at, name: (!name.is_empty()).then(|| name.to_owned()) })
}

/// Where a source is.
enum Where {
    Sqlite(PathBuf),
    Postgres(SecretString),
    Folder(PathBuf),
}

/// A source that is open.
enum Opened {
    Database(Box<Database>),
    Folder(Folder),
}

impl Arguments {
    /// Whether a database of Identity is the source.
    pub(super) const fn is_given(&self) -> bool {
        self.aspnet_identity.is_some()
    }

    fn place(&self) -> Result<Where, Failure> {
        let text = self.aspnet_identity.as_ref().map(|text| text.0.expose_secret()).unwrap_or_default();
        if let Some(path) = text.strip_prefix("sqlite:") {
            // sqlite:///srv/app.db is written as well.
            let path = path.strip_prefix("//").unwrap_or(path);
            return Ok(Where::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Where::Postgres(text.to_owned().into()));
        }
        let path = Path::new(text);
        if path.is_dir() {
            return Ok(Where::Folder(path.to_owned()));
        }
        let fix = "name it as sqlite:FILE, postgres://USER:PASSWORD@HOST/DATABASE, or as the folder of the CSV exports";
        if path.is_file() {
            let what = format!("{FLAG}: {} is a file", path.display());
            return Err(Failure::new(what).with_fix(format!("sqlite:{} reads it", path.display())));
        }
        // A connection string of .NET has a password: nothing of it is repeated.
        let what = if text.contains([':', '=', '@']) {
            "it is neither sqlite: nor postgres://".to_owned()
        } else {
            format!("{text}: there is no such folder")
        };
        Err(Failure::new(format!("{FLAG}: {what}")).with_fix(fix))
    }

    fn fault(&self) -> Option<Failure> {
        let mut claims = BTreeSet::new();
        let twice = self.columns.iter().find(|brought| !claims.insert(&brought.claim))?;
        let name = match &twice.claim {
            Target::Column(name) => (*name).to_owned(),
            Target::Claim(name) => format!("{CLAIM}{name}"),
        };
        Some(Failure::new(format!("--column: two columns would become {name}")).with_fix("name one of them"))
    }
}

/// What is known here of a source that is about to be read.
pub(super) struct Circumstances {
    /// What its keys were taken for when users came from it before.
    pub before: Keys,
    /// A factor key seals, so that authenticators can be taken.
    pub may_seal: bool,
}

/// Puts the users and roles of the source aside. Gives the members that it says something of.
///
/// # Errors
/// It cannot be read, has not the tables or columns that are needed, or the database of the import failed.
pub(super) async fn read(
    arguments: &Arguments,
    staging: &mut Staging,
    Circumstances { before, may_seal }: Circumstances,
    intake: &mut impl FnMut(Finding),
) -> Result<BTreeSet<String>, Failure> {
    if let Some(fault) = arguments.fault() {
        return Err(fault);
    }
    let (mut source, found, known) = match arguments.place()? {
        Where::Sqlite(path) => opened(Database::open_sqlite(&path).await?, arguments).await?,
        Where::Postgres(url) => opened(Database::open_postgres(url.expose_secret(), FLAG).await?, arguments).await?,
        Where::Folder(path) => {
            let folder = Folder::open(&path)?;
            let found = folder.tables();
            (Opened::Folder(folder), found, Keys::Unknown)
        }
    };
    let names = Names {
        tables: &arguments.tables,
        prefix: arguments.table_prefix.as_deref(),
        columns: &arguments.identity_columns,
        brought: &arguments.columns,
        is_folder: matches!(source, Opened::Folder(_)),
    };
    let layout = Layout::find(&found, &names, intake)?;
    let keys = match arguments.identity_keys {
        Some(KeyWord::Text) => Keys::Texts,
        Some(KeyWord::Guid) => Keys::Guids,
        None => known,
    };
    let mut tables = Tables::new(staging, keys).await?;
    for selection in layout.selections() {
        match &mut source {
            Opened::Database(database) => database.copy(selection, &mut tables).await?,
            Opened::Folder(folder) => folder.copy(selection, &mut tables, intake).await?,
        }
    }
    if let Opened::Database(database) = source {
        database.close().await?;
    }
    let keys = tables.seal(before).await?.ok_or_else(|| {
        Failure::new("some keys are GUIDs in capital letters, and others are not: services may know users by either form")
            .with_fix("--identity-keys guid takes GUIDs as .NET prints a Guid, in small letters; --identity-keys text takes all as they are shown")
    })?;
    assemble(&Assembly { arguments, layout: &layout, keys, may_seal }, &mut tables, intake).await?;
    Ok(layout.covered())
}

async fn opened(
    mut database: Database,
    arguments: &Arguments,
) -> Result<(Opened, Vec<crate::store::identity_source::Found>, Keys), Failure> {
    let found = database.tables(arguments.schema.as_deref()).await?;
    let keys = database.keys();
    Ok((Opened::Database(Box::new(database)), found, keys))
}

/// Roles first, then users a page at a time, then what refers to what is not there.
async fn assemble(
    assembly: &Assembly<'_>,
    tables: &mut Tables<'_>,
    intake: &mut impl FnMut(Finding),
) -> Result<(), Failure> {
    let (mut usable, mut after) = (BTreeSet::new(), 0);
    loop {
        let roles = tables.roles(after).await?;
        let Some((last, _)) = roles.last() else { break };
        after = last.number;
        for (row, claims) in &roles {
            // Also of one that cannot be taken: who has it keeps the membership of before.
            usable.extend(row.key.clone());
            if let Some(role) = assembly.role(row, claims, intake) {
                tables.staging().add_role(&role).await?;
            }
        }
    }
    after = 0;
    loop {
        let users = tables.users(after).await?;
        let Some(last) = users.last() else { break };
        after = last.row.number;
        for user in &users {
            if let Some(person) = assembly.person(user, &usable, intake) {
                tables.staging().add_person(&person).await?;
            } else {
                let (key, place) = (user.row.key.as_deref(), assembly.place(Table::Users, &user.row));
                let username = people::text(&user.row, layout::USER_NAME);
                tables.staging().add_unusable(key.unwrap_or_default(), username, &place).await?;
            }
        }
    }
    // Of a table that is not there, all rows would be missing, which was said.
    let is_there = |reference: &Reference| assembly.layout.column(reference.to, 0).is_some();
    for reference in Reference::ALL.into_iter().filter(is_there) {
        after = 0;
        loop {
            let orphans = tables.orphans(reference, after).await?;
            let Some(last) = orphans.last() else { break };
            after = last.number;
            for row in &orphans {
                intake(assembly.orphan(reference, row));
            }
        }
    }
    let passkeys = tables.owners(Table::UserPasskeys).await?;
    if passkeys > 0 {
        let place = Place { table: Some(assembly.layout.name_of(Table::UserPasskeys)), ..Place::default() };
        let why = format!(
            "{passkeys} users have passkeys, which are bound to the host of the application and cannot be brought over"
        );
        intake(Finding::new(Weight::Note, &place, "", why));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
