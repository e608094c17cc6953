//! Statements that the scratch database refuses: whether they are tried in another way, so that what comes after them is
//! judged all the same, and what is said of them.

use super::Place;
use super::rows::Rows;
use crate::commands::judge::{self, Fault};
use crate::protocol::response::ApplicationType;
use crate::store::StoreError;
use crate::store::scratch::{Change, Leniency, Refusal, Scratch, What};
use crate::store::statements::{Literal, Said, Statement};
use std::collections::{BTreeMap, BTreeSet};

/// How to try it next; `None`: not at all.
pub(super) fn another_way(refusal: &Refusal, before: Leniency) -> Option<Leniency> {
    match refusal {
        Refusal::NoSuchRow | Refusal::Check(_) if !before.is_unchecked => {
            Some(Leniency { is_unchecked: true, ..before })
        }
        Refusal::Duplicate if before.otherwise.is_none() => Some(Leniency { otherwise: Some("IGNORE"), ..before }),
        Refusal::NoValue(..) if before.otherwise.is_none() => Some(Leniency { otherwise: Some("REPLACE"), ..before }),
        _ => None,
    }
}

/// Whether no database would take it.
pub(super) const fn is_certain(refusal: &Refusal) -> bool {
    !matches!(refusal, Refusal::Syntax | Refusal::Other(_) | Refusal::NoTable(_) | Refusal::NoColumn(_))
}

/// What is said of a statement that is not carried out in any way.
pub(super) fn fault(scratch: &Scratch, place: &Place, statement: &Statement, refusal: &Refusal) -> (Place, Fault) {
    let at_word = |word: &str| statement.line_of_word(word).map_or_else(|| place.clone(), |line| place.at_line(line));
    let table = statement.said.as_ref().map_or("", |said| said.table.as_str());
    match refusal {
        Refusal::NoTable(name) => {
            let near = nearest(name, scratch.tables().keys().map(String::as_str));
            (at_word(name), Fault::error("unknown-table", format!("there is no table {name}"), near))
        }
        Refusal::NoColumn(name) => {
            let columns = scratch.tables().get(table).into_iter().flatten();
            let near = nearest(name, columns.map(|column| column.name.as_str()));
            (at_word(name), Fault::error("unknown-column", format!("{table} has no column {name}"), near))
        }
        Refusal::Count(words) => {
            let said = statement.said.iter().filter_map(|said| said.rows.first()).flatten().next();
            let line = said.map_or(place.line, |value| value.line);
            (place.at_line(line), Fault::error("syntax", words.clone(), "give each column its value"))
        }
        Refusal::NoValue(table, column) => (place.clone(), no_value(table, column)),
        Refusal::Syntax if statement.is_read_by_postgres() => {
            let why = "it is not portable: SQLite does not understand it";
            (place.clone(), Fault::warning("not-understood", why, "write it for both databases"))
        }
        Refusal::Syntax => {
            let why = "this is no SQL that the databases understand";
            (place.clone(), Fault::error("syntax", why, "correct it"))
        }
        Refusal::Endless => {
            let why = "it takes too long, and was broken off";
            (place.clone(), Fault::error("not-understood", why, "write the rows out"))
        }
        Refusal::Duplicate => {
            let why = format!("it makes two rows of {table} the same");
            (place.clone(), Fault::error("duplicate-row", why, "leave one of them out"))
        }
        Refusal::Check(check) => (place.clone(), out_of_range(check)),
        Refusal::NoSuchRow => {
            let why = "it names a row that is not there";
            (place.clone(), Fault::error("not-understood", why, "correct it"))
        }
        Refusal::Other(why) => (place.clone(), Fault::error("not-understood", why.clone(), "correct it")),
    }
}

/// What is said of a statement that was refused, and then carried out in another way: which of its rows are meant.
pub(super) async fn explain(
    rows: &mut Rows,
    place: &Place,
    said: &Said,
    refusals: &[Refusal],
    changes: &[Change],
) -> Result<(), StoreError> {
    for refusal in refusals {
        match refusal {
            Refusal::Duplicate => twins(rows, place, said, changes),
            Refusal::NoSuchRow => orphans(rows, place, changes).await?,
            Refusal::Check(check) => {
                // Foreign keys are looked at after it, and were off by then.
                orphans(rows, place, changes).await?;
                failing(rows, place, said, (check, changes)).await?;
            }
            Refusal::NoValue(table, column) => {
                let line = line_of_null(rows, said, column).unwrap_or(place.line);
                let fault = no_value_in(rows, said, (table, column));
                rows.find(place.at_line(line), fault);
            }
            _ => {}
        }
    }
    Ok(())
}

fn no_value(table: &str, column: &str) -> Fault {
    Fault::error("missing-value", format!("{table} must have a {column}"), "give it one")
}

fn no_value_in(rows: &Rows, said: &Said, (table, column): (&str, &str)) -> Fault {
    if rows.columns_of(said).iter().any(|name| name == column) {
        let fix = "leave the column out, or give it a value";
        Fault::error("missing-value", format!("{column} may not be NULL"), fix)
    } else {
        no_value(table, column)
    }
}

/// The line of the first NULL for a column.
fn line_of_null(rows: &Rows, said: &Said, column: &str) -> Option<usize> {
    let at = rows.columns_of(said).iter().position(|name| name == column)?;
    let values = said.rows.iter().filter_map(|row| row.get(at));
    values.into_iter().find(|value| value.literal == Literal::Null).map(|value| value.line)
}

/// Rows whose key is taken, by whom.
fn twins(rows: &mut Rows, place: &Place, said: &Said, changes: &[Change]) {
    let mut tried = 0_usize;
    for change in changes {
        tried += usize::from(change.what == What::Tried);
        if change.what != What::Twin {
            continue;
        }
        let line = said.rows.get(tried.saturating_sub(1)).and_then(|row| row.first()).map(|value| value.line);
        let (code, what, fix) = match &change.client_id {
            Some(client_id) if change.table == "clients" => (
                "duplicate-client",
                format!("the client {client_id}"),
                "change it by an UPDATE, or choose another client_id",
            ),
            _ => ("duplicate-row", format!("this row of {}", change.table), "leave one of them out"),
        };
        let from = rows.place_of(&change.table, change.row, "");
        let from = from.map(|Place { file, line, .. }| format!(", from {file}:{line}")).unwrap_or_default();
        let fault = Fault::error(code, format!("{what} is there already{from}"), fix);
        rows.find(line.map_or_else(|| place.clone(), |line| place.at_line(line)), fault);
    }
}

/// The rows of those changes that are there.
fn written(changes: &[Change]) -> impl Iterator<Item = &Change> {
    changes.iter().filter(|change| matches!(change.what, What::Inserted | What::Updated))
}

/// Rows of clients that are not registered, or not yet.
async fn orphans(rows: &mut Rows, place: &Place, changes: &[Change]) -> Result<(), StoreError> {
    let Some(table) = written(changes).next().map(|change| change.table.clone()) else { return Ok(()) };
    let orphans: BTreeSet<i64> = rows.scratch().orphans(&table).await?.into_iter().collect();
    for change in written(changes).filter(|change| change.table == table && orphans.contains(&change.row)) {
        if let Some(client_id) = &change.client_id {
            let place = rows.place_of(&change.table, change.row, "").unwrap_or_else(|| place.clone());
            rows.mention(client_id, &place);
        }
    }
    Ok(())
}

/// Rows for which a CHECK does not hold: what the judge says of the value, or else what the schema does.
async fn failing(
    rows: &mut Rows,
    place: &Place,
    said: &Said,
    (check, changes): (&str, &[Change]),
) -> Result<(), StoreError> {
    let kinds = rows.kinds().await?;
    let numbers: BTreeSet<i64> = rows.scratch().failing(&said.table, check).await?.into_iter().collect();
    let all: BTreeMap<i64, _> = rows.scratch().rows(&said.table).await?.into_iter().collect();
    let words: Vec<&str> = check.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let Some(column) = words.iter().find(|word| rows.scratch().column(&said.table, word).is_some()) else {
        rows.find(place.clone(), out_of_range(check));
        return Ok(());
    };
    for change in written(changes).filter(|change| numbers.contains(&change.row)) {
        let kind = change.client_id.as_ref().and_then(|client_id| kinds.get(client_id)).copied();
        let value = all.get(&change.row).and_then(|row| row.get(*column)?.as_str());
        let fault =
            value.and_then(|text| judge::of_value(&said.table, column, text, kind.unwrap_or(ApplicationType::Web)));
        let place = rows.place_of(&change.table, change.row, column).unwrap_or_else(|| place.clone());
        rows.find(place, fault.unwrap_or_else(|| out_of_range(check)));
    }
    Ok(())
}

fn out_of_range(check: &str) -> Fault {
    Fault::error("out-of-range", format!("the database demands {check}"), "choose a value that it takes")
}

/// What was probably meant.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let best = known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|one, other| one.0.total_cmp(&other.0));
    match best {
        Some((score, candidate)) if score > 0.8 => format!("did you mean {candidate}?"),
        _ => "migrations/0001_clients.sql has the tables and columns".to_owned(),
    }
}
