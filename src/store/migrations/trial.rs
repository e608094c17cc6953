//! Pending files tried without lasting effect: in one transaction that is never committed, so that a review finds what
//! would fail before a service depends on it.

use super::{Fault, Migrations, cause, locate};
use crate::store::StoreError;
use crate::store::db::{Db, Kind};
use sqlx::Executor as _;
use std::time::Duration;

/// A trial holds what it changes until it is undone, so it may not take long. What takes longer is not tried.
const PATIENCE: Duration = Duration::from_secs(10);
/// No command waits for a trial that waits for another transaction.
const LIMITS: &str = "SET lock_timeout = '1s'; SET statement_timeout = '10s'";

/// The first pending file that would fail, and why. `None`: none would, or what there is cannot be tried: a file that is to
/// run outside of a transaction, or that ends the one it runs in, and what comes after it.
///
/// # Errors
/// The database failed.
pub async fn trial(migrations: &Migrations, db: &Db) -> Result<Option<Fault>, StoreError> {
    // It ends with its connection, and what was done on that is undone.
    tokio::time::timeout(PATIENCE, try_pending(migrations, db)).await.unwrap_or(Ok(None))
}

async fn try_pending(migrations: &Migrations, db: &Db) -> Result<Option<Fault>, StoreError> {
    let plan = migrations.plan(db).await?;
    if plan.unreleased().is_some() {
        return Ok(None);
    }
    let mut connection = db.connect().await?;
    let begin = match db.kind() {
        Kind::Sqlite(_) => "BEGIN IMMEDIATE",
        Kind::Postgres => {
            connection.execute(LIMITS).await?;
            "BEGIN"
        }
    };
    connection.execute(begin).await?;
    let mut before: Vec<&str> = Vec::new();
    for file in &plan.pending {
        if plan.blocked_at.is_some_and(|blocked| blocked <= file.version) {
            break;
        }
        let own = migrations.built_in.iter().find(|own| own.version == file.version);
        let Some(migration) = own.or_else(|| migrations.folder.migration(file.version)) else { continue };
        if migration.no_tx || ends_its_transaction(migration.sql.as_str()) {
            break;
        }
        if let Err(error) = connection.execute(migration.sql.clone()).await {
            let is_told = !crate::store::db::may_pass(&error) && !is_timeout(&error);
            if !is_told {
                return Ok(None);
            }
            let sql = migration.sql.as_str();
            let mut fault = cause::of_statement(&file.name, sql, &error);
            if fault.line.is_none() {
                fault.line = locate::line(&mut connection, db.kind(), &before, sql, &error).await;
            }
            return Ok(Some(fault));
        }
        before.push(migration.sql.as_str());
    }
    connection.execute("ROLLBACK").await?;
    Ok(None)
}

/// Whether it was our own limit that ended it.
fn is_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "57014")
}

/// Whether a statement of it may end the transaction that it runs in. Where that is unclear, it may.
pub(super) fn ends_its_transaction(sql: &str) -> bool {
    const WORDS: [&str; 8] = ["abort", "begin", "commit", "end", "prepare", "release", "rollback", "start"];
    // PostgreSQL has texts in which a quote does not end them; both have none where there is no backslash.
    sql.contains('\\') || first_words(sql).iter().any(|word| WORDS.contains(&word.as_str()))
}

/// The first word of each statement, in lower case; comments and quoted texts hold none.
fn first_words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = sql;
    let mut begins = true;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            '\'' | '"' => rest[1..].find(c).map_or(rest.len(), |at| at + 2),
            '$' => dollar_quoted(rest).unwrap_or(1),
            _ => 0,
        };
        if skipped > 0 {
            rest = &rest[skipped..];
            continue;
        }
        if begins && c.is_alphabetic() {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            words.push(rest[..length].to_lowercase());
            rest = &rest[length..];
            begins = false;
            continue;
        }
        begins = c == ';' || (begins && c.is_whitespace());
        rest = &rest[c.len_utf8()..];
    }
    words
}

/// How long a text `$tag$…$tag$` of PostgreSQL is that begins here.
fn dollar_quoted(rest: &str) -> Option<usize> {
    let tag_end = rest[1..].find('$')? + 2;
    let tag = &rest[..tag_end];
    let is_tag = tag[1..tag_end - 1].chars().all(|c| c.is_alphanumeric() || c == '_');
    let inside = &rest[tag_end..];
    is_tag.then(|| inside.find(tag).map_or(rest.len(), |at| tag_end + at + tag_end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_ends_its_transaction_is_told_from_one_that_only_speaks_of_it() {
        for harmless in [
            "INSERT INTO clients (client_id) VALUES ('commit; COMMIT');",
            "-- COMMIT;\nSELECT 1; /* ROLLBACK; */ SELECT 2",
            "CREATE FUNCTION f() RETURNS int AS $$ BEGIN; COMMIT; END $$ LANGUAGE plpgsql; SELECT 1",
            "CREATE FUNCTION f() RETURNS int AS $body$ SELECT 1; COMMIT; $body$ LANGUAGE sql",
            "SELECT '$argon2id$v=19$m=1$'; SELECT \"end\"",
            "UPDATE a SET b = 'it''s; END'",
        ] {
            assert!(!ends_its_transaction(harmless), "{harmless}");
        }
        for ending in [
            "COMMIT",
            "BEGIN; SELECT 1; COMMIT;",
            "SELECT 1;commit",
            "SELECT 1; -- now\n END TRANSACTION;",
            "SELECT '$a';COMMIT;SELECT '$a'",
            "SELECT 1 /* a */;/* b */ROLLBACK",
            "SELECT E'it\\'s'",
        ] {
            assert!(ends_its_transaction(ending), "{ending}");
        }
    }
}
