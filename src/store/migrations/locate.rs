//! The line of a file that a database refuses, where it does not say one: its statements are tried one by one, in a
//! transaction that is undone.

use crate::store::db::{self, Kind};
use crate::store::statements::{self, Statement};
use sqlx::{AnyConnection, AssertSqlSafe, Executor as _};

/// The line of the statement that failed, from 1; `None`: it does not fail in the same way by itself, or it may work later.
/// `before` are the files that come before it and are not applied.
pub(super) async fn line(
    connection: &mut AnyConnection,
    kind: &Kind,
    before: &[&str],
    sql: &str,
    error: &sqlx::Error,
) -> Option<usize> {
    let message = error.as_database_error()?.message().to_owned();
    if db::may_pass(error) {
        return None;
    }
    let script = statements::read(sql);
    // Whatever was left open.
    let _ = connection.execute("ROLLBACK").await;
    connection.execute(if matches!(kind, Kind::Sqlite(_)) { "BEGIN IMMEDIATE" } else { "BEGIN" }).await.ok()?;
    for sql in before {
        connection.execute(AssertSqlSafe((*sql).to_owned())).await.ok()?;
    }
    let mut found = None;
    for statement in &script.statements {
        if let Err(again) = connection.execute(AssertSqlSafe(statement.text().to_owned())).await {
            let is_same = again.as_database_error().is_some_and(|again| again.message() == message);
            found = is_same.then(|| line_within(statement, &message));
            break;
        }
    }
    let _ = connection.execute("ROLLBACK").await;
    let unfinished = script.fault.filter(|_| matches!(kind, Kind::Sqlite(_))).map(|(line, _)| line);
    found.or(unfinished)
}

/// The line of the word that SQLite names in `near "…"`, or else that of the statement.
fn line_within(statement: &Statement, message: &str) -> usize {
    let word = message.split_once("near \"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default();
    let lines = statement.lines_of_word(word);
    // A statement that begins with it is understood up to there.
    let is_first = statement.text().get(..word.len()).is_some_and(|first| first.eq_ignore_ascii_case(word));
    let line = if is_first { lines.get(1) } else { lines.first() };
    line.copied().unwrap_or(statement.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_that_of_the_word_where_sqlite_gives_up() {
        let line = |sql: &str, message: &str| line_within(&statements::read(sql).statements[0], message);
        let joined = "INSERT INTO a\nVALUES (1)\nINSERT INTO b\nVALUES (2)";
        assert_eq!(line(joined, "near \"INSERT\": syntax error"), 3);
        assert_eq!(line("-- c\nSELECT a,\nb FRM c", "near \"c\": syntax error"), 3);
        assert_eq!(line("\n\nSELECT 1", "UNIQUE constraint failed: clients.client_id"), 3);
    }
}
