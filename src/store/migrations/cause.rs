//! Why a migration file failed, in plain words, and on which line.
//!
//! What a database says may quote what the file says, and a file may hold hashes or what should have been one. So of its
//! message only what names tables, columns and keywords is repeated, and none of its details.

use super::Fault;
use crate::store::db;
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

/// What to do where a file of ours failed.
pub(super) const FIX_OF_BUILT_IN: &str = "make the user of HALLPASS_DATABASE_URL the owner of a database that nothing else has its tables in, and see `hallpass doctor`";

const CORRECT_IT: &str = "correct it, and run `hallpass migrate`";
const CORRECT_IT_OR_MAKE_IT: &str = "correct it, or make the group by `hallpass group new`, and run `hallpass migrate`";
const LONGEST_QUOTE: usize = 40;
const LONGEST_WORD: usize = 80;

/// What is wrong with the file, whose text is `sql`.
pub(super) fn of(name: &str, sql: &str, error: &MigrateError) -> Fault {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => of_statement(name, sql, error),
        other => Fault::new(name, quoting_little(&other.to_string()), CORRECT_IT),
    }
}

/// The same for a statement of it.
pub(super) fn of_statement(name: &str, sql: &str, error: &sqlx::Error) -> Fault {
    let sqlx::Error::Database(database) = error else {
        let fix = "see that the database answers, and run `hallpass migrate`";
        let why = match error {
            sqlx::Error::Io(error) => crate::failure::in_words(error),
            other => quoting_little(&other.to_string()),
        };
        return Fault::new(name, format!("the database broke off: {why}"), fix);
    };
    let (words, fix) = if db::may_pass(error) {
        ("the database could not take it now", "run `hallpass migrate` when it can")
    } else {
        in_plain_words(database.as_ref())
    };
    let why = format!("{words} ({})", quoting_little(database.message()));
    if sql.starts_with('\u{feff}') {
        let why = "it begins with a byte order mark, which PostgreSQL takes for a word";
        return Fault { line: Some(1), ..Fault::new(name, why, "save it as UTF-8 without one") };
    }
    Fault { line: line(sql, database.as_ref()), ..Fault::new(name, why, fix) }
}

/// Why a statement failed, in one sentence.
pub(in crate::store) fn in_words(error: &sqlx::Error) -> String {
    of_statement("", "", error).why
}

/// What it comes to, and what to do about it. SQLite has one code for most faults, so its words are looked at.
fn in_plain_words(error: &dyn DatabaseError) -> (&'static str, &'static str) {
    let code = error.code().unwrap_or_default();
    let says = |words: &str| error.message().contains(words);
    match error.kind() {
        ErrorKind::UniqueViolation => ("it adds a row that is there already", CORRECT_IT),
        ErrorKind::ForeignKeyViolation => (
            "it names a row that is not there, such as a client_id that no row of clients has, or a group that nothing has made",
            CORRECT_IT_OR_MAKE_IT,
        ),
        ErrorKind::NotNullViolation => ("a column that must have a value gets none", CORRECT_IT),
        ErrorKind::CheckViolation => ("a column gets a value that it does not allow", CORRECT_IT),
        _ if code == "42501" => (
            "the user of HALLPASS_DATABASE_URL may not do that",
            "make that user the owner of the database, and run `hallpass migrate`",
        ),
        _ if code == "57014" => ("it took too long", CORRECT_IT),
        _ if code == "42P01" || says("no such table") => ("it names a table that is not there", CORRECT_IT),
        _ if code == "42703" || says("no such column") || says("has no column named") => {
            ("it names a column that is not there", CORRECT_IT)
        }
        _ if matches!(&*code, "42P07" | "42701" | "42710") || says("already exists") || says("duplicate column") => {
            ("it makes what is there already", CORRECT_IT)
        }
        _ if says("within a transaction") || says("no transaction is active") => (
            "it begins or ends a transaction, but each file is one already",
            "take BEGIN, COMMIT and ROLLBACK out of it, and run `hallpass migrate`",
        ),
        _ if code == "42601" || says("syntax error") || says("incomplete input") || says("unrecognized token") => {
            ("this is no SQL that the database understands", CORRECT_IT)
        }
        _ => ("the database refuses it", CORRECT_IT),
    }
}

/// The line of the file, counted from 1, where the database says a position in it. Only PostgreSQL does.
fn line(sql: &str, error: &dyn DatabaseError) -> Option<usize> {
    let PgErrorPosition::Original(position) = error.try_downcast_ref::<PgDatabaseError>()?.position()? else {
        return None;
    };
    Some(line_at(sql, position))
}

/// The line of a character, counted from 1 like it.
fn line_at(sql: &str, position: usize) -> usize {
    sql.chars().take(position.saturating_sub(1)).filter(|c| *c == '\n').count() + 1
}

/// A message on one line, without what could be a secret or a value that it quotes.
pub(in crate::store) fn quoting_little(message: &str) -> String {
    let is_name = |text: &str| {
        text.len() <= LONGEST_QUOTE
            && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | ' ' | '(' | ')' | ',' | ';'))
            && !text.starts_with("hp_")
    };
    // SQLite quotes a text that never ends to the end of the file, with whatever quotes are in it.
    if let Some((before, _)) = message.split_once("unrecognized token") {
        return format!("{before}unrecognized token");
    }
    let parts: Vec<&str> = message.split('"').collect();
    let last = parts.len() - 1;
    let kept: Vec<&str> = parts
        .into_iter()
        .enumerate()
        .map(|(at, part)| {
            let is_quoted = at % 2 == 1;
            // A quote that does not end is cut off.
            if is_quoted && (!is_name(part) || at == last) { "…" } else { part }
        })
        .collect();
    // SQLite names a column that is not there without quotes, and a constraint by its text.
    let marks = ["hp_", "$argon2", "$pbkdf2", "$scrypt$", "$2a$", "$2b$", "$2y$"];
    let is_telling = |word: &str| marks.iter().any(|mark| word.contains(mark)) || word.len() > LONGEST_WORD;
    let text = kept.join("\"");
    text.split_whitespace().map(|word| if is_telling(word) { "…" } else { word }).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_counted_in_characters_as_the_database_counts() {
        let sql = "-- ä\nSELECT 1;\nSELEC 2;\n";
        for (position, line) in [(1, 1), (5, 1), (6, 2), (16, 3), (17, 3), (1000, 4)] {
            assert_eq!(line_at(sql, position), line, "{position}");
        }
    }

    #[test]
    fn a_message_names_tables_and_columns_and_quotes_no_value() {
        for (message, kept) in [
            ("syntax error at or near \"SELEC\"", "syntax error at or near \"SELEC\""),
            ("no such table: clientz", "no such table: clientz"),
            ("syntax error at or near \"hp_cs_secret\"", "syntax error at or near \"…\""),
            ("near \"$argon2id$v=19\": syntax error", "near \"…\": syntax error"),
            ("invalid input syntax for type bigint: \"a'b\"", "invalid input syntax for type bigint: \"…\""),
            ("unrecognized token: \"'a \"secret\" that\nnever ends", "unrecognized token"),
            ("no such column: hp_cs_secret", "no such column: …"),
            ("CHECK constraint failed: secret_hash LIKE '$argon2id$%'", "CHECK constraint failed: secret_hash LIKE …"),
            ("a quote \"that never ends", "a quote \"…"),
        ] {
            assert_eq!(quoting_little(message), kept, "{message}");
        }
    }
}
