//! What several commands about clients write: a secret, a migration file, texts as SQL has them.

use crate::ambient::{Clock, random};
use crate::commands::read_secret;
use crate::commands::terminal::not_hashed;
use crate::config::Config;
use crate::failure::Failure;
use crate::keys;
use crate::passwords;
use crate::protocol::secret::ClientSecret;
use crate::protocol::time::NumericDate;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Where a secret comes from, for the commands that register one.
#[derive(Default, clap::Args)]
pub(in crate::commands) struct SecretArguments {
    /// Read the secret from standard input instead of making one
    #[arg(long, conflicts_with = "secret_hash")]
    pub(super) secret_stdin: bool,
    /// Take this argon2id hash instead of making a secret
    #[arg(long, value_name = "PHC")]
    secret_hash: Option<String>,
}

/// A client's secret, as far as it is known here.
pub(super) enum Secret {
    /// There is none.
    Public,
    /// Made here, so it can be shown.
    Known(ClientSecret, String),
    /// Only the hash is to be shown.
    Hash(String),
}

impl Secret {
    pub(super) fn hash(&self) -> Option<&str> {
        match self {
            Self::Public => None,
            Self::Known(_, hash) | Self::Hash(hash) => Some(hash),
        }
    }

    pub(super) fn shown(&self) -> Option<&ClientSecret> {
        match self {
            Self::Known(secret, _) => Some(secret),
            Self::Public | Self::Hash(_) => None,
        }
    }
}

impl SecretArguments {
    /// Whether the operator has one already.
    pub(super) fn is_given(&self) -> bool {
        self.secret_stdin || self.secret_hash.is_some()
    }

    pub(super) fn secret(&self) -> Result<Secret, Failure> {
        if let Some(hash) = &self.secret_hash {
            let fault = passwords::hash_fault(hash).or_else(|| passwords::hash_weakness(hash));
            return match fault {
                None => Ok(Secret::Hash(hash.clone())),
                Some(why) => {
                    Err(Failure::new(format!("--secret-hash: {why}"))
                        .with_fix("`hallpass hash-secret` prints a good one"))
                }
            };
        }
        let secret = if self.secret_stdin {
            let text = read_secret("Secret", false)?;
            if text.len() < 32 {
                return Err(Failure::new("the secret must have at least 32 characters")
                    .with_fix("leave --secret-stdin out, and a good one is made"));
            }
            ClientSecret::received(text.as_str())
        } else {
            ClientSecret::from_random(&random::<32>())
        };
        let hash = passwords::hash(secret.expose()).map_err(not_hashed)?;
        Ok(if self.secret_stdin { Secret::Hash(hash) } else { Secret::Known(secret, hash) })
    }
}

/// A client that was named and is not there.
pub(in crate::commands) fn no_client(id: &str) -> Failure {
    Failure::new(format!("there is no client {id}")).with_fix("`hallpass client list` names them")
}

/// Whether the SQL goes to standard output.
pub(in crate::commands) fn is_standard_output(output: Option<&Path>) -> bool {
    output.is_some_and(|file| file.as_os_str() == "-")
}

/// Writes a migration where it is wanted: standard output, a file that must not be there yet, or a dated one in the
/// folder. Gives the file's name.
pub(in crate::commands) fn write_migration(
    config: &Config,
    output: Option<&Path>,
    words: &str,
    sql: &str,
) -> Result<Option<PathBuf>, Failure> {
    let file = match output {
        _ if is_standard_output(output) => {
            print!("{sql}");
            return Ok(None);
        }
        Some(file) => file.to_owned(),
        None => {
            let folder = config.migrations_or_default();
            std::fs::create_dir_all(&folder).map_err(|error| Failure::at(folder.display(), error))?;
            dated(&folder, words)?
        }
    };
    let fault = |error: std::io::Error| Failure::at(file.display(), error);
    let mut handle = std::fs::OpenOptions::new().write(true).create_new(true).open(&file).map_err(fault)?;
    handle.write_all(sql.as_bytes()).map_err(fault)?;
    eprintln!(
        "Wrote {}. Review it, commit it, and apply it with `hallpass migrate`; no restart is needed.",
        file.display()
    );
    Ok(Some(file))
}

/// A file name with today's date and a number behind all that the folder has: what it changes is there by then.
fn dated(folder: &Path, words: &str) -> Result<PathBuf, Failure> {
    let last = std::fs::read_dir(folder)
        .map_err(|error| Failure::at(folder.display(), error))?
        .filter_map(|entry| instant_of(entry.ok()?.file_name().to_str()?))
        .max();
    let now = Clock::System.now();
    let instant = last.map_or(now, |last| now.max(last.plus(1)));
    let number: String = keys::instant_text(instant).chars().filter(char::is_ascii_digit).collect();
    let words: String =
        words.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    Ok(folder.join(format!("{number}_{words}.sql")))
}

/// The instant that a file's number is: `20261201090000_…`.
fn instant_of(name: &str) -> Option<NumericDate> {
    let (digits, _) = name.split_once('_').filter(|(digits, _)| digits.len() == 14)?;
    let (date, time) = digits.split_at_checked(8)?;
    keys::parse_instant(&format!("{}-{}-{}T{time}Z", date.get(..4)?, date.get(4..6)?, date.get(6..)?))
}
