//! The admin's files as they lie in their folder: those that are migrations, by their numbers, and what is wrong with the
//! others. A file that cannot be taken for a migration is told of and does not hold up the others, unless it has a place in
//! the order.

use super::{FIRST_ADMIN_VERSION, Fault, File, Plan};
use crate::failure::Failure;
use sqlx::migrate::{Migration, MigrationType};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

/// A file with a number.
struct Numbered {
    name: String,
    /// `Err`: why it cannot be read.
    migration: Result<Migration, Failure>,
}

/// The files of one number: one, unless an operator was careless.
#[derive(Default)]
pub(super) struct Candidates(Vec<Numbered>);

/// The folder, read.
#[derive(Default)]
pub(super) struct Folder {
    /// By their numbers, which are the order.
    pub(super) files: BTreeMap<i64, Candidates>,
    /// What has no place in the order.
    pub(super) faults: Vec<Fault>,
}

const EXAMPLE: &str = "20261201090000_add_client_reports.sql";

impl Folder {
    /// Reads all of it. Files that a checkout of Hallpass has there, with the checksums of `ours`, are ours.
    pub(super) fn read(folder: &Path, ours: &BTreeMap<i64, Vec<u8>>) -> Self {
        let mut read = Self::default();
        let entries = match std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(entries) => entries,
            Err(error) => {
                let fix = "let the user that runs Hallpass read it, or set HALLPASS_MIGRATIONS to the right folder";
                let why = format!("the folder of migrations cannot be read: {error}");
                read.faults.push(Fault::new(folder.display().to_string(), why, fix));
                return read;
            }
        };
        let mut names: Vec<_> = entries.into_iter().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            read.take(folder, &name, ours);
        }
        read
    }

    fn take(&mut self, folder: &Path, file_name: &OsStr, ours: &BTreeMap<i64, Vec<u8>>) {
        let path = folder.join(file_name);
        let name = file_name.to_string_lossy().into_owned();
        // What editors and systems leave behind is no file of the admin's, and neither is a folder.
        if name.starts_with('.') || !name.to_lowercase().ends_with(".sql") || path.is_dir() {
            return;
        }
        let kind = MigrationType::from_filename(&name);
        if kind.is_down_migration() {
            // Nothing ever goes back.
            return;
        }
        let Some((version, description)) = parse_name(&name, kind) else {
            let why = "its name does not begin with a number and _, and end in .sql, so it is never applied";
            let fix = format!("name it by its date, such as {EXAMPLE}, or move it elsewhere");
            return self.faults.push(Fault::new(name, why, fix));
        };
        let migration =
            std::fs::read(&path).map_err(|error| Failure::at("it cannot be read", error)).and_then(|bytes| {
                let text = String::from_utf8(bytes).map_err(|_| Failure::new("it is not UTF-8"))?;
                let is_without_transaction = text.starts_with("-- no-transaction");
                let sql = AssertSqlSafe(text).into_sql_str();
                Ok(Migration::new(version, description.into(), kind, sql, is_without_transaction))
            });
        if version < FIRST_ADMIN_VERSION {
            let checksum = migration.as_ref().ok().map(|migration| &*migration.checksum);
            return match ours.get(&version) {
                Some(own) if checksum == Some(own.as_slice()) => {}
                Some(_) => self.faults.push(Fault::new(
                    name,
                    format!("the number {version} is used twice, by Hallpass itself and by this file, which is another one; it is never applied"),
                    format!("begin its name with a date, such as {EXAMPLE}"),
                )),
                None => self.faults.push(Fault::new(
                    name,
                    "numbers below a million are Hallpass's own, so it is never applied",
                    format!("begin its name with a date, such as {EXAMPLE}"),
                )),
            };
        }
        let candidates = &mut self.files.entry(version).or_default().0;
        let is_copy = migration.as_ref().is_ok_and(|new| {
            candidates.iter().any(|old| old.migration.as_ref().is_ok_and(|old| old.checksum == new.checksum))
        });
        if !is_copy {
            candidates.push(Numbered { name, migration });
        }
    }

    /// The file of a number, where it is the only one and can be read.
    pub(super) fn migration(&self, version: i64) -> Option<&Migration> {
        match self.files.get(&version)?.0.as_slice() {
            [only] => only.migration.as_ref().ok(),
            _ => None,
        }
    }
}

/// Number and words of a file `20261201090000_add_client_reports.sql`.
fn parse_name(name: &str, kind: MigrationType) -> Option<(i64, String)> {
    let (number, rest) = name.split_once('_')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let words = rest.strip_suffix(kind.suffix())?;
    Some((number.parse().ok().filter(|_| is_number)?, words.replace('_', " ")))
}

impl Numbered {
    fn file(&self, version: i64) -> File {
        let described = match &self.migration {
            Ok(migration) => migration.description.clone().into_owned(),
            Err(_) => parse_name(&self.name, MigrationType::from_filename(&self.name))
                .map(|(_, words)| words)
                .unwrap_or_default(),
        };
        File { version, description: described, name: self.name.clone() }
    }

    fn version(&self) -> i64 {
        parse_name(&self.name, MigrationType::from_filename(&self.name)).map_or(0, |(version, _)| version)
    }
}

impl Candidates {
    /// Adds what the files of one number are to a plan; `applied`: the checksum that the database has of it.
    pub(super) fn plan(&self, applied: Option<&[u8]>, plan: &mut Plan) {
        let Some(first) = self.0.first() else { return };
        let version = first.version();
        let is_applied = |file: &Numbered| {
            let checksum = file.migration.as_ref().ok().map(|migration| &*migration.checksum);
            checksum.is_some() && checksum == applied
        };
        for file in &self.0 {
            if let Err(why) = &file.migration {
                plan.faults.push(Fault::new(
                    &file.name,
                    why.to_string(),
                    "write it anew, as plain text that we may read",
                ));
            }
        }
        let names: Vec<&str> = self.0.iter().map(|file| file.name.as_str()).collect();
        if let [_, _, ..] = names.as_slice() {
            let others: Vec<&str> =
                self.0.iter().filter(|file| !is_applied(file)).map(|file| file.name.as_str()).collect();
            let why = if others.len() < names.len() {
                "another file of the same number is applied, so this one never is".to_owned()
            } else {
                "several files have the same number, so that none of them is applied".to_owned()
            };
            let fix = "give it a number of its own: another second of its date will do";
            plan.faults.push(Fault::new(others.join(" and "), why, fix));
        }
        let (chosen, into) = match self.0.iter().find(|file| is_applied(file)) {
            Some(file) => (file, &mut plan.applied),
            None if applied.is_none() => (first, &mut plan.pending),
            // It cannot be compared.
            None if first.migration.is_err() => (first, &mut plan.applied),
            None => (first, &mut plan.edited),
        };
        into.push(chosen.file(version));
        let is_whole = self.0.len() == 1 && first.migration.is_ok();
        if applied.is_none() && !is_whole {
            plan.blocked_at = plan.blocked_at.or(Some(version));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_number_and_words() {
        let parsed = |name: &str| parse_name(name, MigrationType::from_filename(name));
        assert_eq!(parsed(EXAMPLE), Some((20_261_201_090_000, "add client reports".to_owned())));
        assert_eq!(parsed("20261201090000_a.up.sql"), Some((20_261_201_090_000, "a".to_owned())));
        for none in [
            "draft.sql",
            "20261201.sql",
            "_a.sql",
            "-5_a.sql",
            "+5_a.sql",
            "12a_b.sql",
            "99999999999999999999_a.sql",
            "1_a.SQL",
        ] {
            assert_eq!(parsed(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_no_migration_is_told_of_and_has_no_place_in_the_order() {
        let folder = tempfile::TempDir::new().unwrap();
        for (name, text) in [
            ("README.md", "notes"),
            (".20261201090000_a.sql.swp", "editor"),
            ("20261201090000_a.down.sql", "DROP TABLE clients"),
            ("20261201090000_a.sql~", "editor"),
            ("20261201090000_good.sql", "SELECT 1"),
            ("20261201090000_copy.sql", "SELECT 1"),
            ("draft.sql", "SELECT 1"),
            ("20261202090000_loud.SQL", "SELECT 1"),
            ("0042_low.sql", "SELECT 1"),
            ("0001_ours.sql", "ours"),
            ("0002_ours.sql", "not ours"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        std::fs::create_dir(folder.path().join("20261203090000_folder.sql")).unwrap();
        let checksum = |text: &'static str| {
            Migration::new(1, "".into(), MigrationType::Simple, text.into_sql_str(), false).checksum.into_owned()
        };
        let ours = BTreeMap::from([(1, checksum("ours")), (2, checksum("ours too"))]);
        let read = Folder::read(folder.path(), &ours);
        assert_eq!(read.files.keys().copied().collect::<Vec<_>>(), [20_261_201_090_000]);
        let told: Vec<&str> = read.faults.iter().map(|fault| fault.file.as_str()).collect();
        assert_eq!(told, ["0002_ours.sql", "0042_low.sql", "20261202090000_loud.SQL", "draft.sql"]);
        let nowhere = Folder::read(&folder.path().join("nowhere"), &ours);
        assert!(nowhere.faults[0].why.contains("cannot be read") && nowhere.files.is_empty());
    }
}
