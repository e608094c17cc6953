//! The admin's files as they lie in their folder: those that are migrations, by their numbers, and what is wrong with the
//! others. A file that cannot be taken for a migration is told of and does not hold up the others, unless it has a place in
//! the order.

use super::{FIRST_ADMIN_VERSION, Fault, File, Plan};
use crate::failure::{Failure, in_words};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use sqlx::migrate::{Migration, MigrationType};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;
use std::string::FromUtf8Error;
use std::time::SystemTime;

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
    /// Of those, the ones whose name is no name of a migration.
    misnamed: Vec<Misnamed>,
}

/// A file whose name must be another one.
struct Misnamed {
    /// Its fault, by its place.
    fault: usize,
    name: String,
    changed_at: Option<SystemTime>,
}

impl Folder {
    /// Reads all of it. Files that a checkout of Hallpass has there, with the checksums of `ours`, are ours.
    pub(super) fn read(folder: &Path, ours: &BTreeMap<i64, Vec<u8>>) -> Self {
        let mut read = Self::default();
        let entries = match std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(entries) => entries,
            Err(error) => {
                let fix = "let the user that runs Hallpass read it, or set HALLPASS_MIGRATIONS to the right folder";
                let why = format!("the folder of migrations cannot be read: {}", in_words(&error));
                read.faults.push(Fault::new(folder.display().to_string(), why, fix));
                return read;
            }
        };
        let mut names: Vec<_> = entries.into_iter().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            read.take(folder, &name, ours);
        }
        // Only now is it known which numbers are free.
        let mut taken: BTreeSet<i64> = read.files.keys().copied().collect();
        for Misnamed { fault, name, changed_at } in std::mem::take(&mut read.misnamed) {
            let good = good_name(&name, changed_at, &mut taken);
            read.faults[fault].fix = format!("name it {good}, or move it elsewhere");
        }
        read
    }

    /// Tells of a file whose name must be another one.
    fn misname(&mut self, path: &Path, name: String, why: impl Into<String>) {
        let changed_at = std::fs::metadata(path).and_then(|data| data.modified()).ok();
        self.misnamed.push(Misnamed { fault: self.faults.len(), name: name.clone(), changed_at });
        self.faults.push(Fault::new(name, why, ""));
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
            return self.misname(&path, name, why);
        };
        let migration =
            std::fs::read(&path).map_err(|error| Failure::at("it cannot be read", error)).and_then(|bytes| {
                let text = String::from_utf8(bytes).map_err(|error| not_utf8(&error))?;
                if let Some((before, _)) = text.split_once('\0') {
                    return Err(Failure::new(format!("it holds a NUL byte on line {}", before.split('\n').count()))
                        .with_fix("take it out; was it saved as UTF-16, or is it no text at all?"));
                }
                let is_without_transaction = text.starts_with("-- no-transaction");
                let sql = AssertSqlSafe(text).into_sql_str();
                Ok(Migration::new(version, description.into(), kind, sql, is_without_transaction))
            });
        if version < FIRST_ADMIN_VERSION {
            let checksum = migration.as_ref().ok().map(|migration| &*migration.checksum);
            return match ours.get(&version) {
                Some(own) if checksum == Some(own.as_slice()) => {}
                Some(_) => self.misname(
                    &path,
                    name,
                    format!(
                        "the number {version} is used twice, by Hallpass itself and by this file, which is another one; \
                         it is never applied"
                    ),
                ),
                None => {
                    self.misname(&path, name, "numbers below a million are Hallpass's own, so it is never applied");
                }
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

/// The first byte that is none of UTF-8 is on this line.
fn not_utf8(error: &FromUtf8Error) -> Failure {
    let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = good.split(|byte| *byte == b'\n').count();
    Failure::new(format!("it is not UTF-8, from line {line} on")).with_fix("save it as UTF-8")
}

/// A name that is taken for a migration, made of the file's own: its date where it says one, or else that of its last change,
/// moved to the next second that no file has; and its words.
fn good_name(name: &str, changed_at: Option<SystemTime>, taken: &mut BTreeSet<i64>) -> String {
    let stem = name.get(..name.len().saturating_sub(4)).unwrap_or(name);
    let begins =
        stem.find(|c: char| !c.is_ascii_digit() && !matches!(c, '-' | '_' | '.' | 'T' | ':')).unwrap_or(stem.len());
    let digits: String = stem[..begins].chars().filter(char::is_ascii_digit).collect();
    let said = digits.get(..8).and_then(|date| {
        let time = digits.get(8..14).unwrap_or("000000");
        DateTime::strptime(NUMBER_FORMAT, format!("{date}{time}")).ok()
    });
    let changed = changed_at.and_then(|at| Timestamp::try_from(at).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut date = said.unwrap_or_else(|| TimeZone::UTC.to_datetime(changed));
    let words: String =
        stem[begins..].to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    let words: Vec<&str> = words.split('_').filter(|word| !word.is_empty()).collect();
    let words = if words.is_empty() { "change".to_owned() } else { words.join("_") };
    loop {
        let number = date.strftime(NUMBER_FORMAT).to_string();
        if number.parse().is_ok_and(|number| taken.insert(number)) {
            return format!("{number}_{words}.sql");
        }
        date = date.saturating_add(1.second());
    }
}

/// How a number says a date.
const NUMBER_FORMAT: &str = "%Y%m%d%H%M%S";

/// The next number that is free.
fn free_after(version: i64, is_taken: impl Fn(i64) -> bool) -> i64 {
    let mut next = version;
    while is_taken(next) {
        let date = DateTime::strptime(NUMBER_FORMAT, next.to_string()).ok();
        let later = date.map(|date| date.saturating_add(1.second()).strftime(NUMBER_FORMAT).to_string());
        next = later.and_then(|text| text.parse().ok()).filter(|later| *later > next).unwrap_or(next + 1);
    }
    next
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
    pub(super) fn plan(&self, applied: Option<&[u8]>, is_taken: impl Fn(i64) -> bool, plan: &mut Plan) {
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
                    why.fix().unwrap_or("write it anew, as plain text"),
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
            let moved = others.last().and_then(|name| name.split_once('_')).map_or("", |(_, words)| words);
            let free = free_after(version, is_taken);
            let fix = format!("name {} {free}_{moved}", if others.len() == 1 { "it" } else { "one of them" });
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
        assert_eq!(
            parsed("20261201090000_add_client_reports.sql"),
            Some((20_261_201_090_000, "add client reports".to_owned()))
        );
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
    fn a_name_that_is_no_migrations_is_told_one_that_is() {
        let changed_at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_795_000_000);
        let mut taken = BTreeSet::from([20_261_201_000_000]);
        for (name, good) in [
            ("reports.sql", "20261118110640_reports.sql"),
            ("add client.SQL", "20261118110641_add_client.sql"),
            ("2026-12-01-reports.sql", "20261201000001_reports.sql"),
            ("20261201090000.sql", "20261201090000_change.sql"),
            ("0042_low.sql", "20261118110642_low.sql"),
            ("_a.sql", "20261118110643_a.sql"),
            ("12a_b.sql", "20261118110644_a_b.sql"),
            ("99999999999999999999_a.sql", "20261118110645_a.sql"),
            ("ä.sql", "20261118110646_ä.sql"),
        ] {
            let made = good_name(name, Some(changed_at), &mut taken);
            assert_eq!(made, good, "{name}");
            assert!(parse_name(&made, MigrationType::from_filename(&made)).is_some(), "{made}");
        }
        assert_eq!(free_after(20_261_201_235_959, |version| version == 20_261_201_235_959), 20_261_202_000_000);
        assert_eq!(free_after(5_000_000, |version| version < 5_000_002), 5_000_002);
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
