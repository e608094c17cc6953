//! Files of people: JSON lines, or CSV with the same names. They are read a line at a time.

use super::csv_file::{self, CsvFile};
use super::report::Told;
use super::{CLAIM, parse_lock};
use crate::commands::group;
use crate::commands::terminal::one_line;
use crate::commands::user::{details, import_name_fault};
use crate::failure::Failure;
use crate::passwords;
use crate::protocol::claim_names::{LONGEST_VALUE, user_claim_fault};
use crate::protocol::difference::most_like;
use crate::protocol::text;
use crate::store::imports::staging::Staging;
use crate::store::imports::{Finding, Person, Place, Role, Weight};
use crate::store::users::edit::COLUMNS;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Members that are no text.
const FURTHER: [&str; 5] = ["email_verified", "phone_number_verified", "groups", "claims", "locked_until"];
const TEXTS: [&str; 4] = ["sub", "username", "email", "password_hash"];
/// What stands between groups in CSV.
const BETWEEN_GROUPS: char = '|';
/// A longer line is none, in bytes.
const LONGEST_LINE: u64 = 1024 * 1024;
/// How much of a member's name is repeated, in characters.
const LONGEST_MEMBER: usize = 40;

fn members() -> impl Iterator<Item = &'static str> {
    TEXTS.into_iter().chain(FURTHER).chain(COLUMNS.iter().copied())
}

/// Puts the people of a file aside; gives the members that some line says something of, and `claim:NAME` of each claim that has a
/// column.
///
/// # Errors
/// The file cannot be read, or is neither.
pub(super) async fn read(file: &Path, staging: &mut Staging, told: &mut Told) -> Result<BTreeSet<String>, Failure> {
    let input: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(file).map_err(|error| Failure::at(file.display(), error))?)
    };
    let mut input = csv_file::decoded(input).map_err(|error| Failure::at(file.display(), error))?;
    let mut reading = Reading { file, staging, told, seen: BTreeSet::new(), groups: BTreeSet::new() };
    if is_csv(file, &mut input).map_err(|error| Failure::at(file.display(), error))? {
        reading.csv(input).await?;
    } else {
        reading.json_lines(input).await?;
    }
    Ok(reading.seen)
}

/// By its name; where that says nothing, by how it starts.
fn is_csv(file: &Path, input: &mut impl BufRead) -> std::io::Result<bool> {
    let extension = file.extension().map(std::ffi::OsStr::to_ascii_lowercase);
    match extension.as_deref().and_then(|extension| extension.to_str()) {
        Some("csv") => return Ok(true),
        Some("jsonl" | "ndjson" | "json") => return Ok(false),
        _ => {}
    }
    let start = String::from_utf8_lossy(input.fill_buf()?).into_owned();
    let first = start.lines().next().unwrap_or_default();
    let separator = char::from(csv_file::separator(first.as_bytes()));
    Ok(first.split(separator).any(|name| name.trim_matches(['"', ' ']) == "username"))
}

struct Reading<'a> {
    file: &'a Path,
    staging: &'a mut Staging,
    told: &'a mut Told,
    /// The members that some line has.
    seen: BTreeSet<String>,
    /// The groups that were put aside.
    groups: BTreeSet<String>,
}

impl Reading<'_> {
    async fn json_lines(&mut self, mut input: impl BufRead) -> Result<(), Failure> {
        let mut number = 0;
        loop {
            let mut line = Vec::new();
            let read = input.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut line);
            if read.map_err(|error| Failure::at(self.file.display(), error))? == 0 {
                return Ok(());
            }
            number += 1;
            if line.len() as u64 > LONGEST_LINE {
                let what = format!("{}:{number}: a line of more than {LONGEST_LINE} bytes", self.file.display());
                return Err(Failure::new(what).with_fix("write one user into a line"));
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim();
            if !text.is_empty() {
                let read = read_line(text);
                self.take(number, read).await?;
            }
        }
    }

    async fn csv(&mut self, input: BufReader<Box<dyn Read>>) -> Result<(), Failure> {
        let mut rows = CsvFile::of(self.file, input)?;
        let headings = rows.headings().to_vec();
        for name in &headings {
            if let Some(fault) = heading_fault(name) {
                return Err(fault.about(format!("{}:1", self.file.display())));
            }
            self.seen.extend(name.starts_with(CLAIM).then(|| name.clone()));
        }
        let mut record = csv::ByteRecord::new();
        while let Some(row) = rows.next(&mut record)? {
            let read = row.fault.map_or_else(|| read_record(&headings, &record), Err);
            self.take(row.line, read).await?;
        }
        Ok(())
    }

    async fn take(&mut self, number: u64, read: Result<Map<String, Value>, Failure>) -> Result<(), Failure> {
        let place = Place { table: None, key: format!("line {number}"), line: Some(number) };
        let known = read.as_ref().ok().map(|object| {
            self.seen.extend(object.keys().cloned());
            if object.contains_key("groups") {
                self.seen.insert("roles".to_owned());
            }
            (key_of(object), object.get("username").and_then(Value::as_str).map(str::to_owned))
        });
        match read.and_then(|object| person(&object, &place)) {
            Ok((person, groups)) => {
                for group in groups {
                    if self.groups.insert(group.clone()) {
                        let role = Role { place: place.clone(), key: group.clone(), name: group, ..Role::default() };
                        self.staging.add_role(&role).await?;
                    }
                }
                self.staging.add_person(&person).await?;
            }
            Err(failure) => {
                let finding = Finding::new(Weight::Fault, &place, "", failure.to_string());
                let fix = failure.fix().map(str::to_owned);
                self.told.found_by_reader(&Finding { fix, ..finding });
                match known {
                    Some((key, username)) => self.staging.add_unusable(&key, username.as_deref(), &place).await?,
                    None => self.staging.add_unknown(),
                }
            }
        }
        Ok(())
    }
}

/// What a line is known by when it is read again.
fn key_of(object: &Map<String, Value>) -> String {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    match (text("sub"), text("username")) {
        (Some(sub), _) => format!("sub:{sub}"),
        (None, Some(username)) => format!("username:{}", text::fold_username(username)),
        (None, None) => String::new(),
    }
}

/// A line, or which member of it is wrong. Of what it says nothing is repeated but names of members: it may hold a hash.
fn read_line(text: &str) -> Result<Map<String, Value>, Failure> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Failure::new(format!("it is no JSON, from column {} on", error.column())).behind(error))?;
    let Value::Object(object) = value else { return Err(Failure::new("it is no object { … }")) };
    for (name, value) in &object {
        if !members().any(|member| member == name) {
            return Err(unknown(name));
        }
        let (is_good, kind) = match name.as_str() {
            "email_verified" | "phone_number_verified" => (value.is_boolean(), "true or false"),
            "groups" => (is_list_of_texts(value), "a list of texts"),
            "claims" => (value.is_object(), "an object"),
            "username" | "email" => (value.is_string(), "a text"),
            _ => (value.is_string() || value.is_null(), "a text"),
        };
        if !is_good {
            return Err(Failure::new(format!("{name} must be {kind}")));
        }
    }
    // serde_json takes the last of two members with one name.
    let Twice(is_twice) =
        serde_json::from_str(text).map_err(|error| Failure::new("it cannot be read").behind(error))?;
    if is_twice {
        return Err(Failure::new("a member is there twice"));
    }
    if let Some(missing) = ["username", "email"].into_iter().find(|name| !object.contains_key(*name)) {
        return Err(Failure::new(format!("{missing} is missing")));
    }
    Ok(object.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

/// Whether an object has a member twice.
struct Twice(bool);

impl<'de> serde::Deserialize<'de> for Twice {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> serde::de::Visitor<'de> for Names {
            type Value = Twice;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Twice, M::Error> {
                let (mut names, mut is_twice) = (BTreeSet::new(), false);
                while let Some(name) = map.next_key::<String>()? {
                    map.next_value::<serde::de::IgnoredAny>()?;
                    is_twice |= !names.insert(name);
                }
                Ok(Twice(is_twice))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

fn is_list_of_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|texts| texts.iter().all(Value::is_string))
}

fn unknown(name: &str) -> Failure {
    let near = most_like(name, members(), |member| member, 3);
    let fix = near.map_or_else(|| members().collect::<Vec<_>>().join(", "), |near| format!("did you mean {near}?"));
    let shown = one_line(&name.chars().take(LONGEST_MEMBER).collect::<String>());
    Failure::new(format!("{shown:?} is no member of a user")).with_fix(fix)
}

/// Why a column of CSV cannot have that heading.
fn heading_fault(name: &str) -> Option<Failure> {
    match name.strip_prefix(CLAIM) {
        Some(claim) => user_claim_fault(claim).map(Failure::new),
        None if name == "claims" => {
            Some(Failure::new("claims in CSV have a column each").with_fix("name it claim:NAME"))
        }
        None => (!members().any(|member| member == name)).then(|| unknown(name)),
    }
}

/// A record of CSV, as the object that a line would be; an empty field says nothing.
fn read_record(headings: &[String], record: &csv::ByteRecord) -> Result<Map<String, Value>, Failure> {
    let (mut object, mut claims) = (Map::new(), Map::new());
    for (name, field) in headings.iter().zip(record) {
        let text = std::str::from_utf8(field)
            .map_err(|error| Failure::new(format!("{name} is no UTF-8")).behind(error))?
            .trim();
        if let Some(claim) = name.strip_prefix(CLAIM) {
            if !text.is_empty() {
                claims.insert(claim.to_owned(), text.into());
            }
            continue;
        }
        let value = match name.as_str() {
            "email_verified" | "phone_number_verified" => match text.to_lowercase().as_str() {
                "true" | "yes" | "1" | "t" => json!(true),
                "false" | "no" | "0" | "f" | "" => json!(false),
                _ => return Err(Failure::new(format!("{name} must be true or false"))),
            },
            "groups" => text.split(BETWEEN_GROUPS).map(str::trim).filter(|name| !name.is_empty()).collect(),
            _ if text.is_empty() => continue,
            _ => text.into(),
        };
        object.insert(name.clone(), value);
    }
    if headings.iter().any(|name| name.starts_with(CLAIM)) {
        object.insert("claims".to_owned(), Value::Object(claims));
    }
    if let Some(missing) = ["username", "email"].into_iter().find(|name| !object.contains_key(*name)) {
        return Err(Failure::new(format!("{missing} is missing")));
    }
    Ok(object)
}

/// The user of an object, and their groups; or which member is wrong.
fn person(object: &Map<String, Value>, place: &Place) -> Result<(Person, Vec<String>), Failure> {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let is_so = |name: &str| object.get(name).and_then(Value::as_bool).unwrap_or_default();
    let (username, email) = (text("username").unwrap_or_default(), text("email").unwrap_or_default());
    if let Some(fault) = import_name_fault(username) {
        return Err(fault);
    }
    if !text::is_known_email(email) {
        return Err(Failure::new("email is not an e-mail address"));
    }
    if text("sub").is_some_and(|sub| sub.is_empty() || sub.len() > 255 || !sub.is_ascii()) {
        return Err(Failure::new("sub must have 1 to 255 ASCII characters (OIDC Core 2)"));
    }
    let mut person = Person {
        place: Place { key: username.to_owned(), ..place.clone() },
        key: key_of(object),
        sub: text("sub").map(str::to_owned),
        username: username.to_owned(),
        email: Some(email.to_owned()),
        email_verified: is_so("email_verified"),
        phone_number_verified: is_so("phone_number_verified"),
        password_hash: text("password_hash").map(password).transpose()?,
        locked_until: text("locked_until").map(lock).transpose()?,
        ..Person::default()
    };
    for column in COLUMNS {
        if let Some(value) = text(column).filter(|value| !value.trim().is_empty()) {
            if let Some(fault) = details::fault(column, value) {
                return Err(Failure::new(format!("{column}: {}", fault.what())));
            }
            person.columns.insert((*column).to_owned(), value.to_owned());
        }
    }
    for (claim, value) in object.get("claims").and_then(Value::as_object).into_iter().flatten() {
        let is_long = value.to_string().len() > LONGEST_VALUE;
        let fault = user_claim_fault(claim).or_else(|| value.is_null().then(|| "a claim has a value".to_owned()));
        match fault.or_else(|| is_long.then(|| format!("a claim has at most {LONGEST_VALUE} bytes"))) {
            Some(why) => return Err(Failure::new(format!("claims: {why}"))),
            None => person.claims.insert(claim.clone(), value.clone()),
        };
    }
    let groups: Vec<String> = object
        .get("groups")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|group| group.as_str().map(str::to_owned))
        .collect();
    if let Some(fault) = groups.iter().find_map(|group| group::name_fault(group)) {
        return Err(fault.about("groups"));
    }
    person.roles = groups.iter().cloned().collect();
    Ok((person, groups))
}

fn password(hash: &str) -> Result<String, Failure> {
    passwords::registered_form(hash).map_err(|why| Failure::new(format!("password_hash: {why}")))
}

fn lock(text: &str) -> Result<i64, Failure> {
    let until = parse_lock(text).map_err(|why| Failure::new(format!("locked_until: {why}")))?;
    Ok(until.0)
}
