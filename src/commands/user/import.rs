//! `hallpass user import`: people from elsewhere, with the hashes of their passwords; all of a file or nothing of it.

use super::{is_email, username_fault};
use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::passwords;
use crate::protocol::secret::Handle;
use crate::provider::{Clock, random};
use crate::startup;
use crate::store::users::{self, Imported};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::PathBuf;

pub(super) const HELP: &str =
    "A line is a JSON object with username and email, and at will sub, name, given_name, family_name, email_verified \
(true or false) and password_hash (argon2id in PHC form). Who has no hash cannot sign in until `hallpass user \
set-password`.

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
    fn fault(&self) -> Option<String> {
        if let Some(why) = username_fault(&self.username, &self.email) {
            return Some(why.into());
        }
        if !is_email(&self.email) {
            return Some("email is not an e-mail address".into());
        }
        if self.sub.as_ref().is_some_and(|sub| sub.is_empty() || sub.len() > 255 || !sub.is_ascii()) {
            return Some("sub must have 1 to 255 ASCII characters (OIDC Core 2)".into());
        }
        let hash = self.password_hash.as_ref()?;
        passwords::hash_fault(hash)
            .or_else(|| passwords::hash_weakness(hash))
            .map(|why| format!("password_hash: {why}"))
    }
}

pub(super) async fn run(config: Config, import: Import) -> Outcome {
    let text = if import.file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
        text
    } else {
        std::fs::read_to_string(&import.file).map_err(|error| format!("{}: {error}", import.file.display()))?
    };
    let db = if import.apply {
        startup::open_database(&config).await.map_err(|error| error.to_string())?
    } else {
        terminal::open_database(&config).await?
    };
    let (mut names, mut subs) = (BTreeSet::new(), BTreeSet::new());
    let existing = users::list(&db).await.map_err(|error| error.to_string())?;
    for user in &existing {
        names.extend(user.username.as_ref().map(|name| name.to_lowercase()));
        subs.insert(user.sub.clone());
    }
    let mut people = Vec::new();
    let mut faults = 0_usize;
    let mut without_password = 0_usize;
    for (number, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let line: Result<Line, String> = serde_json::from_str(text).map_err(|error| {
            // The message of the parser may quote the line, and with it a hash.
            format!("it is not an object of the known members ({} at column {})", kind_of(&error), error.column())
        });
        let found = line.and_then(|line| match line.fault() {
            Some(why) => Err(why),
            None if !names.insert(line.username.to_lowercase()) => {
                Err(format!("there is a user {:?} already", line.username))
            }
            None if line.sub.as_ref().is_some_and(|sub| !subs.insert(sub.clone())) => {
                Err("there is somebody with that sub already".to_owned())
            }
            None => Ok(line),
        });
        match found {
            Ok(line) => {
                without_password += usize::from(line.password_hash.is_none());
                people.push(line);
            }
            Err(why) => {
                faults += 1;
                println!("{}:{}: {why}", import.file.display(), number + 1);
            }
        }
    }
    let summary =
        format!("{} to add, {without_password} of them without a password; {faults} with faults", people.len());
    if faults > 0 {
        return Err(format!("{summary}.\n  Mend: correct the lines above; nothing was added"));
    }
    if !import.apply {
        eprintln!("{summary}. Nothing was added yet: --apply does it.");
        return Ok(());
    }
    let now = Clock::System.now();
    let people: Vec<Imported> = people
        .into_iter()
        .map(|line| Imported {
            sub: line.sub.unwrap_or_else(|| Handle(random()).text()),
            username: line.username,
            email: line.email,
            email_verified: line.email_verified,
            name: line.name,
            given_name: line.given_name,
            family_name: line.family_name,
            password_hash: line.password_hash,
        })
        .collect();
    users::import(&db, &people, now).await.map_err(|error| error.to_string())?;
    db.close().await;
    eprintln!("added {} people", people.len());
    Ok(())
}

fn kind_of(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Data => "a member is unknown, missing or of another type",
        _ => "it is no JSON",
    }
}
