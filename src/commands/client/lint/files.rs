//! The files of a folder in the order in which they are applied, and what is wrong with their names.

use super::{Finding, Level, Place, UNREADABLE};
use crate::failure::Failure;
use crate::store::migrations::{FIRST_ADMIN_VERSION, built_in};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One file.
pub(super) struct File {
    /// As findings name it.
    pub(super) name: String,
    pub(super) text: String,
}

const EXAMPLE: &str = "begin its name with a date, such as 20261201090000_add_client_reports.sql";

/// Reads the admin's files of a folder, or one file. Copies of our own migrations are left out.
pub(super) fn read(place: &Path) -> Result<(Vec<File>, Vec<Finding>), Failure> {
    let mut findings = Vec::new();
    if place.exists() && !place.is_dir() {
        let Some(text) = text_or_finding(place, &mut findings) else { return Ok((Vec::new(), findings)) };
        let name = place.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let _ = number_of(name, &text, &place.display().to_string(), &mut findings);
        return Ok((vec![File { name: place.display().to_string(), text }], findings));
    }
    let fault = |error: std::io::Error| {
        Failure::at(place.display(), error).with_fix("name the folder of your migrations, or set HALLPASS_MIGRATIONS")
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(place).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        // A link that leads nowhere is a file that cannot be read.
        if !path.is_dir() && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sql")) {
            paths.push(path);
        }
    }
    paths.sort();
    let mut files: BTreeMap<(i64, String), File> = BTreeMap::new();
    let mut numbers: BTreeMap<i64, String> = BTreeMap::new();
    for path in paths {
        let Some(text) = text_or_finding(&path, &mut findings) else { continue };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let shown = path.display().to_string();
        let number = match number_of(&name, &text, &shown, &mut findings) {
            Name::Ours => continue,
            Name::Number(number) => number,
            // Whatever order: it is read last, so that its rows are looked at all the same.
            Name::Faulty => i64::MAX,
        };
        if number != i64::MAX
            && let Some(other) = numbers.insert(number, name.clone())
        {
            findings.push(Finding {
                place: Place::of_file(&shown),
                level: Level::Error,
                code: "number-twice",
                why: format!("{other} has the number {number} too, and a number is applied once"),
                fix: "give one of them another second".to_owned(),
                is_acceptable: false,
            });
        }
        files.insert((number, name), File { name: shown, text });
    }
    Ok((files.into_values().collect(), findings))
}

/// The longest file that is read, in bytes; a migration of clients has a thousandth of it.
const LONGEST: u64 = 8 << 20;

/// What a file says. One that cannot be read is found, and the others are looked at all the same.
fn text_or_finding(path: &Path, findings: &mut Vec<Finding>) -> Option<String> {
    text_of(path)
        .map_err(|(line, why, fix)| {
            let place = Place { line, ..Place::of_file(&path.display().to_string()) };
            findings.push(Finding { place, level: Level::Error, code: UNREADABLE, why, fix, is_acceptable: false });
        })
        .ok()
}

/// Or else on which line, why not, and what to do.
fn text_of(path: &Path) -> Result<String, (usize, String, String)> {
    let fault = |line: usize, why: &str, fix: &str| (line, why.to_owned(), fix.to_owned());
    if std::fs::metadata(path).is_ok_and(|file| file.len() > LONGEST) {
        return Err(fault(1, "it is longer than 8 MiB", "divide it"));
    }
    let bytes = std::fs::read(path).map_err(|error| {
        let failure = Failure::at("it cannot be read", error);
        fault(1, &failure.to_string(), failure.fix().unwrap_or("let the user that runs `hallpass` read it"))
    })?;
    let line_at = |end: usize| bytes[..end].split(|byte| *byte == b'\n').count();
    match std::str::from_utf8(&bytes) {
        Err(error) => Err(fault(line_at(error.valid_up_to()), "it is not UTF-8", "save it as UTF-8")),
        Ok(text) => match text.find('\0') {
            Some(at) => Err(fault(line_at(at), "it holds a NUL byte", "take it out, or save it as UTF-8")),
            None => Ok(text.to_owned()),
        },
    }
}

enum Name {
    /// One of the built-in migrations, word for word.
    Ours,
    Number(i64),
    Faulty,
}

fn number_of(name: &str, text: &str, shown: &str, findings: &mut Vec<Finding>) -> Name {
    let mut find = |level, code, why: &str, fix: &str| {
        findings.push(Finding {
            place: Place::of_file(shown),
            level,
            code,
            why: why.to_owned(),
            fix: fix.to_owned(),
            is_acceptable: false,
        });
    };
    let Some((number, words)) = name.split_once('_') else {
        find(Level::Error, "file-name", "without NUMBER_ before its words, it is never applied", EXAMPLE);
        return Name::Faulty;
    };
    if Path::new(name).extension() != Some("sql".as_ref()) {
        find(Level::Error, "file-name", "only .sql in small letters is applied", "rename it");
        return Name::Faulty;
    }
    if words.ends_with(".down.sql") || words.ends_with(".up.sql") {
        find(
            Level::Error,
            "file-name",
            ".up.sql and .down.sql are pairs, and Hallpass never goes back",
            "call it .sql, and undo it by a new file",
        );
        return Name::Faulty;
    }
    let Ok(number) = number.parse::<i64>() else {
        find(
            Level::Error,
            "file-name",
            "what is before the first _ is no number, and every file is refused for it",
            EXAMPLE,
        );
        return Name::Faulty;
    };
    if built_in().any(|(version, _, own)| version == number && own == text) {
        return Name::Ours;
    }
    if number < FIRST_ADMIN_VERSION {
        find(Level::Error, "number-is-ours", "numbers below a million are Hallpass's own", EXAMPLE);
        return Name::Number(number);
    }
    let digits = number.to_string();
    if digits.len() != 14 || jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", &digits).is_err() {
        find(
            Level::Warning,
            "file-date",
            "its number is no date with a time, so that it is applied before or after all that are",
            EXAMPLE,
        );
    }
    Name::Number(number)
}
