//! What `hallpass user claim` and `hallpass group claim` have in common: how a value is read and bounded, and what is said of it.

use crate::ambient::Clock;
use crate::commands::Outcome;
use crate::commands::terminal::{self, Report, instant, one_line};
use crate::failure::Failure;
use crate::protocol::claim_names::{UntoldRow, told_of_row, user_claim_fault};
use crate::protocol::time::NumericDate;
use crate::store::db::Db;
use crate::store::further_claims::{self, Holder, Row};
use serde_json::{Value, json};

/// The longest value, in bytes of JSON.
const LONGEST: usize = 8 * 1024;

/// A value that was typed.
pub(super) struct Typed {
    /// It as JSON.
    json: String,
    /// Whether it is no JSON, and was taken as a text.
    is_taken_as_text: bool,
}

impl Typed {
    /// The JSON; what was taken as a text is said.
    pub(super) fn told(&self) -> &str {
        if self.is_taken_as_text {
            eprintln!("It is no JSON, and was taken as the text {}", one_line(&self.json));
        }
        &self.json
    }
}

/// Reads a claim that was typed, before a database is asked.
pub(super) fn read(claim: &str, typed: &str) -> Result<Typed, Failure> {
    match user_claim_fault(claim) {
        Some(why) => Err(Failure::new(why).with_fix("give the claim another name, such as department")),
        None => value(typed),
    }
}

/// Reads the value of a claim: JSON, or a bare word.
pub(super) fn value(typed: &str) -> Result<Typed, Failure> {
    let (value, is_taken_as_text) = match serde_json::from_str::<Value>(typed) {
        Ok(value) => (value, false),
        // What begins like JSON was meant as such.
        Err(error) if typed.trim_start().starts_with(['{', '[', '"']) => {
            return Err(Failure::new(format!("the value is no JSON: {error}"))
                .with_fix("write it as '\"a text\"', '[\"several\", \"texts\"]', 5, true or '{\"an\": \"object\"}'"));
        }
        Err(_) => (Value::String(typed.to_owned()), true),
    };
    if value.is_null() {
        return Err(Failure::new("a claim with the value null is none (OpenID Connect Core 5.3.2)")
            .with_fix("`claim unset` takes it away"));
    }
    let json = value.to_string();
    if json.len() > LONGEST {
        return Err(Failure::new(format!("the value has {} bytes; {LONGEST} are the most", json.len()))
            .with_fix("services want short claims: tokens are sent along with requests"));
    }
    Ok(Typed { json, is_taken_as_text })
}

/// Whose claims they are, as a database and an operator have it.
pub(super) struct Whose<'a> {
    pub(super) holder: Holder<'a>,
    /// As a line names it.
    pub(super) name: String,
    /// The members of a document that name it.
    pub(super) document: Value,
}

/// Gives a claim a value, or takes it away; says what was done.
pub(super) async fn change(db: &Db, whose: &Whose<'_>, claim: &str, value: Option<&Typed>, report: Report) -> Outcome {
    let json = value.map(|value| value.json.as_str());
    let is_changed = further_claims::change(db, whose.holder, claim, json, Clock::System.now()).await?;
    let mut document = whose.document.clone();
    document["claim"] = claim.into();
    document["change"] = if value.is_some() { "set" } else { "unset" }.into();
    document["is_changed"] = is_changed.into();
    document["value"] = json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    report.print(&document, None)?;
    let json = value.map(Typed::told);
    let (claim, name) = (one_line(claim), &whose.name);
    match (is_changed, json) {
        (true, Some(json)) => eprintln!(
            "set {claim} of {name} to {}; every node knows within ten seconds. Services are told where a row of client_claims \
             or of scopes opens it",
            one_line(json)
        ),
        (true, None) => eprintln!("took {claim} from {name}; every node knows within ten seconds"),
        (false, Some(_)) => eprintln!("{claim} of {name} is like that; nothing was changed"),
        (false, None) => eprintln!("{name} has no {claim}; nothing was changed"),
    }
    Ok(())
}

/// Lists claims, with where each comes from.
pub(super) async fn list(db: &Db, whose: &Whose<'_>, json: bool) -> Outcome {
    let rows = further_claims::list(db, whose.holder).await?;
    let now = Clock::System.now();
    let value = |row: &Row| serde_json::from_str::<Value>(&row.value).ok();
    let until = |row: &Row| row.until.map(NumericDate);
    if json {
        let listed = rows.iter().map(|row| {
            json!({
                "claim": row.claim,
                "value": value(row),
                "group": row.group_name,
                "until": until(row).map(instant),
                "fault": fault(row),
            })
        });
        let mut document = whose.document.clone();
        document["claims"] = listed.collect();
        return terminal::print_json(&document);
    }
    let is_group = matches!(whose.holder, Holder::Group(_));
    let cells = |row: &Row| {
        let from = match (&row.group_name, until(row)) {
            _ if is_group => "its own".to_owned(),
            (None, _) => "their own".to_owned(),
            (Some(group), Some(until)) if until.is_past(now) => format!("group {group}, ended {}", instant(until)),
            (Some(group), Some(until)) => format!("group {group}, until {}", instant(until)),
            (Some(group), None) => format!("group {group}"),
        };
        vec![one_line(&row.claim), one_line(&from), one_line(&row.value)]
    };
    let listed: Vec<Vec<String>> = rows.iter().map(cells).collect();
    print!("{}", terminal::table(&["CLAIM", "FROM", "VALUE"], &listed));
    for (row, fault) in rows.iter().filter_map(|row| Some((row, fault(row)?))) {
        eprintln!("hallpass: {} is told to no service: {}", one_line(&row.claim), one_line(&fault));
    }
    if rows.is_empty() {
        eprintln!("{} has no claims beyond the standard ones.", whose.name);
    }
    Ok(())
}

/// Why a row that was written by hand is told to no service.
fn fault(row: &Row) -> Option<String> {
    told_of_row(&row.claim, &row.value).err().map(|UntoldRow(why)| why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_json_or_a_bare_word() {
        let read = |typed: &str| value(typed).ok().map(|typed| (typed.json, typed.is_taken_as_text));
        for (typed, json, is_text) in [
            ("\"Sales\"", "\"Sales\"", false),
            ("Sales", "\"Sales\"", true),
            ("two words", "\"two words\"", true),
            ("007", "\"007\"", true),
            ("7", "7", false),
            ("true", "true", false),
            (" [\"a\", \"b\"] ", "[\"a\",\"b\"]", false),
            ("{\"a\": 1}", "{\"a\":1}", false),
            ("", "\"\"", true),
        ] {
            assert_eq!(read(typed), Some((json.to_owned(), is_text)), "{typed}");
        }
        for bad in ["{a: 1}", "[\"a\"", "\"a", "null"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(value(&"x".repeat(LONGEST - 2)).is_ok() && value(&"x".repeat(LONGEST - 1)).is_err());
    }
}
