//! Databases of ASP.NET Core Identity as a source of users: which tables it has and what is read of them, opened so that the
//! application that owns them can go on, and read once, in one transaction.
//!
//! `sqlite` and `postgres` read the rows, as texts; `tables` holds them in the database of an import. What a column means is
//! said in `commands::user::import::identity`.

mod keys;
mod postgres;
mod sqlite;
mod tables;

pub use keys::{Keys, guid};
#[cfg(test)]
pub use tables::put_aside;
pub use tables::{Reference, Row, TOKEN_VALUE, Tables, User};

use crate::failure::Failure;
use crate::store::StoreError;
use std::path::Path;

/// A table of Identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// The users.
    Users,
    /// The roles.
    Roles,
    /// Who has which role.
    UserRoles,
    /// Claims of users.
    UserClaims,
    /// Claims of roles.
    RoleClaims,
    /// Accounts elsewhere that users sign in with.
    UserLogins,
    /// Keys of authenticators, among others.
    UserTokens,
    /// Passkeys.
    UserPasskeys,
}

/// A column of Identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Its name in another version.
    pub other: Option<&'static str>,
    /// Without it the table cannot be read.
    pub is_needed: bool,
}

const fn needed(name: &'static str) -> Member {
    Member { name, other: None, is_needed: true }
}

const fn wanted(name: &'static str) -> Member {
    Member { name, other: None, is_needed: false }
}

/// The columns of the users, in the order in which they are read; the application's own follow.
pub const USER_MEMBERS: &[Member] = &[
    needed("Id"),
    needed("UserName"),
    needed("Email"),
    needed("EmailConfirmed"),
    needed("PasswordHash"),
    needed("TwoFactorEnabled"),
    // Of .NET Framework, in UTC.
    Member { name: "LockoutEnd", other: Some("LockoutEndDateUtc"), is_needed: true },
    needed("LockoutEnabled"),
    wanted("PhoneNumber"),
    wanted("PhoneNumberConfirmed"),
];
const ROLE_MEMBERS: &[Member] = &[needed("Id"), needed("Name")];
const USER_ROLE_MEMBERS: &[Member] = &[needed("UserId"), needed("RoleId")];
const USER_CLAIM_MEMBERS: &[Member] = &[needed("UserId"), wanted("Id"), needed("ClaimType"), needed("ClaimValue")];
const ROLE_CLAIM_MEMBERS: &[Member] = &[needed("RoleId"), wanted("Id"), needed("ClaimType"), needed("ClaimValue")];
const LOGIN_MEMBERS: &[Member] = &[needed("UserId"), needed("LoginProvider")];
const TOKEN_MEMBERS: &[Member] = &[needed("UserId"), needed("LoginProvider"), needed("Name"), needed("Value")];
const PASSKEY_MEMBERS: &[Member] = &[needed("UserId")];

impl Table {
    /// All of them, in the order in which they are read.
    pub const ALL: [Self; 8] = [
        Self::Users,
        Self::Roles,
        Self::UserRoles,
        Self::UserClaims,
        Self::RoleClaims,
        Self::UserLogins,
        Self::UserTokens,
        Self::UserPasskeys,
    ];

    /// Its name without what comes before it.
    #[must_use]
    pub const fn short_name(self) -> &'static str {
        match self {
            Self::Users => "Users",
            Self::Roles => "Roles",
            Self::UserRoles => "UserRoles",
            Self::UserClaims => "UserClaims",
            Self::RoleClaims => "RoleClaims",
            Self::UserLogins => "UserLogins",
            Self::UserTokens => "UserTokens",
            Self::UserPasskeys => "UserPasskeys",
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> String {
        format!("AspNet{}", self.short_name())
    }

    /// Its columns, the key of the row or of its owner first.
    #[must_use]
    pub const fn members(self) -> &'static [Member] {
        match self {
            Self::Users => USER_MEMBERS,
            Self::Roles => ROLE_MEMBERS,
            Self::UserRoles => USER_ROLE_MEMBERS,
            Self::UserClaims => USER_CLAIM_MEMBERS,
            Self::RoleClaims => ROLE_CLAIM_MEMBERS,
            Self::UserLogins => LOGIN_MEMBERS,
            Self::UserTokens => TOKEN_MEMBERS,
            Self::UserPasskeys => PASSKEY_MEMBERS,
        }
    }

    /// How many columns at the beginning are keys of users or roles.
    const fn keys(self) -> usize {
        match self {
            Self::UserRoles => 2,
            _ => 1,
        }
    }
}

/// A table that a source has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its schema; SQLite and files have none.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// It is found without its schema.
    pub is_visible: bool,
}

/// What is read of a table.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Which table of Identity it is.
    pub table: Table,
    /// Its schema.
    pub schema: Option<String>,
    /// Its name in the source.
    pub name: String,
    /// The name of each of its columns in the source, in their order; `None`: it has none, and all rows have nothing there.
    pub columns: Vec<Option<String>>,
}

impl Selection {
    /// The statement that reads it; a cell for each column. `cell` writes how one is read.
    fn statement(&self, cell: impl Fn(&str) -> String) -> String {
        let cells: Vec<String> = self
            .columns
            .iter()
            .map(|column| column.as_deref().map_or_else(|| "NULL".to_owned(), |column| cell(&quoted(column))))
            .collect();
        let schema = self.schema.as_deref().map_or_else(String::new, |schema| format!("{}.", quoted(schema)));
        format!("SELECT {} FROM {schema}{}", cells.join(", "), quoted(&self.name))
    }
}

/// A name in SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A database that is open, in its transaction.
pub enum Database {
    /// A file.
    Sqlite(sqlite::Source),
    /// A server.
    Postgres(postgres::Source),
}

impl Database {
    /// Opens a SQLite file.
    ///
    /// # Errors
    /// Why it cannot be read, and what to do.
    pub async fn open_sqlite(path: &Path) -> Result<Self, Failure> {
        Ok(Self::Sqlite(sqlite::Source::open(path).await?))
    }

    /// Opens a database of PostgreSQL.
    ///
    /// # Errors
    /// Why it cannot be read, and what to do. Its password is never told.
    pub async fn open_postgres(url: &str, setting: &'static str) -> Result<Self, Failure> {
        Ok(Self::Postgres(postgres::Source::open(url, setting).await?))
    }

    /// Its tables; those of a schema, where one is named.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn tables(&mut self, schema: Option<&str>) -> Result<Vec<Found>, Failure> {
        match self {
            Self::Sqlite(source) => source.tables().await,
            Self::Postgres(source) => source.tables(schema).await,
        }
    }

    /// Copies a table.
    ///
    /// # Errors
    /// It cannot be read, or the database of the import failed.
    pub async fn copy(&mut self, selection: &Selection, into: &mut Tables<'_>) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(source) => source.copy(selection, into).await,
            Self::Postgres(source) => source.copy(selection, into).await,
        }
    }

    /// What is known of the keys.
    #[must_use]
    pub const fn keys(&self) -> Keys {
        match self {
            Self::Sqlite(_) => Keys::Unknown,
            // A uuid is shown as .NET shows it.
            Self::Postgres(_) => Keys::Texts,
        }
    }

    /// Ends the transaction and the connection.
    ///
    /// # Errors
    /// It broke off.
    pub async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Sqlite(source) => source.close().await,
            Self::Postgres(source) => source.close().await,
        }
    }
}
