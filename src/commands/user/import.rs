//! `hallpass user import`: users from elsewhere, with the hashes of their passwords; all of a file or nothing of it.

use super::{is_email, username_fault};
use crate::ambient::{Clock, random};
use crate::commands::terminal::Report;
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::failure::Failure;
use crate::passwords;
use crate::protocol::difference::most_like;
use crate::protocol::secret::Handle;
use crate::protocol::text;
use crate::startup;
use crate::store::users::tombstones::Tombstones;
use crate::store::users::{self, Imported, Listed};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

pub(super) const HELP: &str =
    "A line is a JSON object with username and email, and at will sub, name, given_name, family_name, email_verified \
(true or false) and password_hash (argon2id in PHC form). Who has no hash cannot sign in until `hallpass user \
set-password`.

An address that several users have is taken and reported: no user can sign in by it, and services, which link accounts by
verified addresses, are told that it is not verified.

Without --apply it only reports what would be added and what is wrong; with it, the whole file is added or nothing.

Examples:
  hallpass user import people.jsonl
  hallpass user import people.jsonl --apply
  export-people | hallpass user import - --apply";

#[derive(clap::Args)]
pub(in crate::commands) struct Import {
    /// The file, or - for standard input
    file: PathBuf,
    /// Add them, where nothing is wrong
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    report: Report,
}

/// A line of the file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sub: Option<String>,
    username: String,
    email: String,
    #[serde(default)]
    email_verified: bool,
    name: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    password_hash: Option<String>,
}

impl Line {
    fn fault(&self) -> Option<Failure> {
        if let Some(why) = username_fault(&self.username, &self.email) {
            return Some(why);
        }
        if !is_email(&self.email) {
            return Some(Failure::new("email is not an e-mail address"));
        }
        if self.sub.as_ref().is_some_and(|sub| sub.is_empty() || sub.len() > 255 || !sub.is_ascii()) {
            return Some(Failure::new("sub must have 1 to 255 ASCII characters (OIDC Core 2)"));
        }
        let hash = self.password_hash.as_ref()?;
        passwords::hash_fault(hash)
            .or_else(|| passwords::hash_weakness(hash))
            .map(|why| Failure::new(format!("password_hash: {why}")))
    }
}

pub(super) async fn run(config: Config, import: Import) -> Outcome {
    let text = terminal::read_text(&import.file)?;
    let db =
        if import.apply { startup::open_database(&config).await? } else { terminal::open_database(&config).await? };
    let (mut names, mut subs) = (BTreeSet::new(), BTreeSet::new());
    let existing = users::list(&db).await?;
    for user in &existing {
        names.extend(user.username.as_deref().map(text::fold_username));
        subs.insert(user.sub.clone());
    }
    let gone = Tombstones::read(&db).await?;
    let mut addresses = Addresses::of(&existing);
    let mut people = Vec::new();
    let mut faults: Vec<Finding> = Vec::new();
    let mut without_password = 0_usize;
    for (number, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let line = read_line(text);
        let found = line.and_then(|line| match line.fault() {
            Some(why) => Err(why),
            None if !names.insert(text::fold_username(&line.username)) => {
                Err(Failure::new(format!("there is a user {:?} already", line.username)))
            }
            None if line.sub.as_ref().is_some_and(|sub| !subs.insert(sub.clone())) => {
                Err(Failure::new("there is a user with that sub already"))
            }
            None if gone.has_name(&line.username) => Err(name_gone(&line.username)),
            None if line.sub.as_ref().is_some_and(|sub| gone.has_sub(sub)) => Err(sub_gone()),
            None => Ok(line),
        });
        match found {
            Ok(line) => {
                without_password += usize::from(line.password_hash.is_none());
                addresses.add(&line, number + 1);
                people.push(line);
            }
            Err(failure) => {
                let (why, fix) = (failure.to_string(), failure.fix().map(str::to_owned));
                faults.push(Finding { line: number + 1, why, fix });
            }
        }
    }
    let shared = addresses.shared();
    let mut summary =
        format!("{} to add, {without_password} of them without a password; {} with faults", people.len(), faults.len());
    if !shared.is_empty() {
        let _ = write!(summary, "; {} with an address that another user has too", shared.len());
    }
    let is_added = faults.is_empty() && import.apply;
    let document = json!({
        "users": people.len(),
        "without_password": without_password,
        "is_changed": is_added && !people.is_empty(),
        "faults": faults,
        "shared_addresses": shared,
    });
    if !import.report.is_json() {
        let file = import.file.display();
        for Finding { line, why, fix } in faults.iter().chain(&shared) {
            println!("{file}:{line}: {why}{}", fix.as_ref().map_or_else(String::new, |fix| format!("; {fix}")));
        }
    }
    if !is_added {
        import.report.print(&document, None)?;
    }
    if !faults.is_empty() {
        return Err(Failure::new(summary).with_fix("correct the lines above; nothing was added"));
    }
    if !import.apply {
        eprintln!("{summary}. Nothing was added yet: --apply does it.");
        return Ok(());
    }
    let now = Clock::System.now();
    let people: Vec<Imported> = people
        .into_iter()
        .map(|line| Imported {
            sub: line.sub.unwrap_or_else(|| Handle::to_be_typed(random()).text()),
            username: line.username,
            email: line.email,
            email_verified: line.email_verified,
            name: line.name,
            given_name: line.given_name,
            family_name: line.family_name,
            password_hash: line.password_hash,
        })
        .collect();
    let refused = users::import(&db, &people, now).await?;
    db.close().await;
    if let Some(person) = refused {
        return Err(name_gone(&person.username).about("a user was deleted meanwhile"));
    }
    import.report.print(&document, None)?;
    eprintln!("added {} users", people.len());
    Ok(())
}

fn name_gone(username: &str) -> Failure {
    let what = format!("{username:?} was the name of a user who was deleted, and is not given again");
    Failure::new(what).with_fix("take another user name")
}

fn sub_gone() -> Failure {
    Failure::new("the sub was that of a user who was deleted, and is not given again")
        .with_fix("leave sub out, or take another")
}

/// What is found out about a line of the file.
#[derive(serde::Serialize)]
struct Finding {
    line: usize,
    why: String,
    fix: Option<String>,
}

/// How many others a line of the report names.
const MOST_NAMES: usize = 5;

/// Who has which address, compared as a sign-in compares it: in whatever letters, and user names among them.
struct Addresses {
    holders: BTreeMap<String, Vec<Holder>>,
    /// The lines of the file: their number, the address, the user name.
    lines: Vec<(usize, String, String)>,
}

/// Who has an address: a line of the file, or a user in the database.
struct Holder {
    line: Option<usize>,
    name: String,
}

impl Addresses {
    fn of(existing: &[Listed]) -> Self {
        let mut holders: BTreeMap<String, Vec<Holder>> = BTreeMap::new();
        for user in existing {
            let name = user.username.as_ref().unwrap_or(&user.sub);
            let state = if user.disabled_at.is_some() { "disabled, in the database" } else { "in the database" };
            let email = user.email.as_deref().map(text::fold_email);
            let words: BTreeSet<String> =
                email.into_iter().chain(user.username.as_deref().map(text::fold_username)).collect();
            for word in words {
                holders.entry(word).or_default().push(Holder { line: None, name: format!("{name} ({state})") });
            }
        }
        Self { holders, lines: Vec::new() }
    }

    fn add(&mut self, line: &Line, number: usize) {
        // A user name with @ is the address itself.
        let holder = Holder { line: Some(number), name: format!("{} (line {number})", line.username) };
        self.holders.entry(text::fold_email(&line.email)).or_default().push(holder);
        self.lines.push((number, line.email.clone(), line.username.clone()));
    }

    /// Names both, for each line whose address is not its user's alone.
    fn shared(&self) -> Vec<Finding> {
        let mut shared = Vec::new();
        for (number, email, username) in &self.lines {
            let holders = self.holders.get(&text::fold_email(email)).map(Vec::as_slice).unwrap_or_default();
            let others: Vec<&str> = holders
                .iter()
                .filter(|holder| holder.line != Some(*number))
                .map(|holder| holder.name.as_str())
                .collect();
            if others.is_empty() {
                continue;
            }
            let further = others.len().saturating_sub(MOST_NAMES);
            let mut names = others[..others.len() - further].join(", ");
            if further > 0 {
                let _ = write!(names, " and {further} more");
            }
            let text = format!(
                "the address {email} of {username} is that of {names} too: no user can be found by it alone, and services are told that it is not verified"
            );
            shared.push(Finding { line: *number, why: terminal::one_line(&text), fix: None });
        }
        shared
    }
}

/// The members that a line may have; of these, `email_verified` is true or false, and the others are texts.
const MEMBERS: [&str; 8] =
    ["sub", "username", "email", "email_verified", "name", "given_name", "family_name", "password_hash"];

/// A line, or which member of it is wrong. Of what it says nothing is repeated but names of members: it may hold a hash.
fn read_line(text: &str) -> Result<Line, Failure> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Failure::new(format!("it is no JSON, from column {} on", error.column())).behind(error))?;
    let object = value.as_object().ok_or_else(|| Failure::new("it is no object { … }"))?;
    for (name, value) in object {
        if !MEMBERS.contains(&name.as_str()) {
            let near = most_like(name, MEMBERS, |member| member, 3);
            let fix = near.map_or_else(|| MEMBERS.join(", "), |near| format!("did you mean {near}?"));
            let shown = terminal::one_line(&name.chars().take(LONGEST_MEMBER).collect::<String>());
            return Err(Failure::new(format!("{shown:?} is no member of a user")).with_fix(fix));
        }
        let (is_good, kind) = match name.as_str() {
            "email_verified" => (value.is_boolean(), "true or false"),
            "username" | "email" => (value.is_string(), "a text"),
            _ => (value.is_string() || value.is_null(), "a text"),
        };
        if !is_good {
            return Err(Failure::new(format!("{name} must be {kind}")));
        }
    }
    if let Some(missing) = ["username", "email"].into_iter().find(|name| !object.contains_key(*name)) {
        return Err(Failure::new(format!("{missing} is missing")));
    }
    serde_json::from_str(text).map_err(|error| Failure::new("a member is there twice").behind(error))
}

/// How much of a member's name is repeated, in characters.
const LONGEST_MEMBER: usize = 40;
