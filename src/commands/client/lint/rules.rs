//! The rules: what a value must be, and what the rows of a client must come to.

use super::super::acceptance::{self, ValueFault, address_fault, audience_fault, client_id_fault};
use super::super::draft::ALWAYS_ASKS;
use super::Level;
use super::rows::{Place, Row, Rows};
use super::schema::Column;
use super::statements::Literal;
use crate::passwords;
use crate::protocol::address::is_plain_http;
use crate::protocol::client::{hosts_of, sector_fault};
use crate::protocol::columns::{self, RowFault};
use crate::protocol::response::ApplicationType;

/// What a rule finds wrong.
pub(super) struct Fault {
    pub(super) level: Level,
    pub(super) code: &'static str,
    pub(super) why: String,
    pub(super) mend: String,
    /// Whether a comment may accept it: warnings, and the errors that are an operator's own risk.
    pub(super) is_acceptable: bool,
}

impl Fault {
    pub(super) fn error(code: &'static str, why: impl Into<String>, mend: impl Into<String>) -> Self {
        fault(Level::Error, code, why, mend)
    }

    /// What may be accepted, whatever its level.
    fn at_own_risk(level: Level, code: &'static str, why: impl Into<String>, mend: &str) -> Self {
        let mend = format!("{mend}, or write -- hallpass: accept {code}: REASON before the statement");
        Self { is_acceptable: true, ..fault(level, code, why, mend) }
    }
}

fn fault(level: Level, code: &'static str, why: impl Into<String>, mend: impl Into<String>) -> Fault {
    Fault { level, code, why: why.into(), mend: mend.into(), is_acceptable: level == Level::Warning }
}

/// The beginnings of our own secrets and tokens, which secret scanners know too.
const PREFIXES: &[&str] = &["hp_cs_", "hp_at_", "hp_rt_", "hp_ac_"];

/// Whether a text holds one of our secrets or tokens.
pub(super) fn holds_secret(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| {
        text.match_indices(prefix).any(|(at, _)| {
            let behind = text[at + prefix.len()..].bytes();
            behind.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).count() >= 16
        })
    })
}

/// The secrets in a comment, by their line within it: ours by their beginning, and what is named as one.
pub(super) fn secrets_in_comment(comment: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (offset, line) in comment.lines().enumerate() {
        if holds_secret(line) {
            found.push((offset, "the comment holds a secret or token as it is"));
        } else if names_secret(line) {
            found.push((offset, "the comment says what a secret or password is"));
        }
    }
    found
}

/// `secret: …` or `password = …`, with something behind it that looks like one.
fn names_secret(line: &str) -> bool {
    let lower = line.to_lowercase();
    ["secret", "password", "passwd"].iter().any(|word| {
        lower.match_indices(word).any(|(at, _)| {
            let behind = lower[at + word.len()..].trim_start_matches(['"', '\'', '`']).trim_start();
            let Some(value) = behind.strip_prefix([':', '=']) else { return false };
            let value = value.trim_start_matches(['"', '\'', '`', ' ']);
            let value: String =
                value.chars().take_while(|c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '`')).collect();
            let has = |is: fn(char) -> bool| value.chars().any(is);
            value.chars().count() >= 8
                && !value.starts_with('$')
                && has(|c| c.is_ascii_digit())
                && has(char::is_alphabetic)
        })
    })
}

/// A value against its column, as far as the column alone decides.
pub(super) fn cell_fault(table: &str, column: &Column, literal: &Literal) -> Option<Fault> {
    let name = &column.name;
    match literal {
        Literal::Computed => Some(fault(
            Level::Warning,
            "not-understood",
            format!("the value of {name} is computed by the database and cannot be checked"),
            "write it out, or let a person review it",
        )),
        Literal::Null if column.default != Literal::Null || column.is_required => Some(fault(
            Level::Error,
            "missing-value",
            format!("{name} may not be NULL"),
            "leave the column out, or give it a value",
        )),
        Literal::Null | Literal::Default => None,
        Literal::Text(_) if column.is_number => {
            let mend =
                if name.ends_with("_at") { "write Unix seconds, without quotes" } else { "write it without quotes" };
            Some(fault(Level::Error, "wrong-type", format!("{name} is a number"), mend))
        }
        Literal::Number(_) if !column.is_number => {
            Some(fault(Level::Error, "wrong-type", format!("{name} is a text"), "write it in single quotes"))
        }
        Literal::Number(number) => {
            let is_outside =
                column.least.is_some_and(|least| *number < least) || column.most.is_some_and(|most| *number > most);
            let bounds = match (column.least, column.most) {
                (Some(least), Some(most)) => format!("{least} to {most}"),
                (Some(least), None) => format!("at least {least}"),
                (None, most) => format!("at most {}", most.unwrap_or_default()),
            };
            is_outside.then(|| {
                fault(Level::Error, "out-of-range", format!("{name} cannot be {number}"), format!("choose {bounds}"))
            })
        }
        Literal::Text(text) => text_fault(table, column, text),
    }
}

fn text_fault(table: &str, column: &Column, text: &str) -> Option<Fault> {
    match (table, column.name.as_str()) {
        ("clients", "client_id") => {
            let found = client_id_fault(text)?;
            let why = "a client_id with other characters than letters, digits and - . _ ~ must be encoded in headers and addresses (RFC 6749 section 2.3.1)";
            let mend = "choose another before it is in use";
            Some(match found.code {
                Some(code) => Fault::at_own_risk(Level::Warning, code, why, mend),
                None => fault(Level::Error, acceptance::CLIENT_ID, found.why, mend),
            })
        }
        ("client_audiences", "audience") | ("clients", "resource") => {
            let found = audience_fault(text)?;
            let why = format!("{text}: {}", found.why);
            Some(match found.code {
                Some(code) => Fault::at_own_risk(Level::Warning, code, why, "name it by its URI"),
                None => fault(Level::Error, acceptance::AUDIENCE, why, "name it by its URI"),
            })
        }
        _ => None,
    }
}

type Placed = (Place, Fault);

/// Which columns hold addresses, and as what.
const ADDRESSES: &[(&str, &str, &str)] = &[
    ("client_redirect_uris", "redirect_uri", "redirect-uri"),
    ("client_post_logout_redirect_uris", "post_logout_redirect_uri", "logout-uri"),
    ("clients", "backchannel_logout_uri", "logout-uri"),
    ("clients", "frontchannel_logout_uri", "logout-uri"),
    ("clients", "initiate_login_uri", "other-uri"),
    ("clients", "client_uri", "other-uri"),
    ("clients", "policy_uri", "other-uri"),
    ("clients", "tos_uri", "other-uri"),
];

/// The addresses of a row that cannot be registered.
pub(super) fn address_faults(row: &Row, application_type: Option<&str>) -> Vec<Placed> {
    let mut found = Vec::new();
    for (_, column, code) in ADDRESSES.iter().filter(|(table, ..)| *table == row.table) {
        let (Some(uri), Some(cell)) = (row.text(column), row.cells.get(*column)) else { continue };
        // Only what the browser is sent back to may be an application on the person's own machine.
        let application_type = match application_type.and_then(ApplicationType::parse) {
            Some(kind) if row.table != "clients" => kind,
            _ => ApplicationType::Web,
        };
        let Some(ValueFault { why, code: accepted_as }) = address_fault(uri, application_type) else { continue };
        let why = format!("{uri}: {why}");
        let found_here = if let Some(code) = accepted_as {
            let mend = if code == acceptance::PLAIN_HTTP { "use https" } else { "use a reversed domain name" };
            Fault::at_own_risk(Level::Error, code, why, mend)
        } else {
            let mend = "write the https address exactly as the service sends it (http only on a loopback address)";
            fault(Level::Error, code, why, mend)
        };
        found.push((cell.place.clone(), found_here));
    }
    found
}

/// The hashes of a row that are none, or weak ones.
pub(super) fn secret_faults(row: &Row) -> Vec<Placed> {
    let (column, what) = match row.table.as_str() {
        "client_secrets" => ("secret_hash", "`hallpass client rotate-secret` makes a new one"),
        "users" => ("password_hash", "`hallpass hash-secret` prints a good one"),
        _ => return Vec::new(),
    };
    let (Some(hash), Some(cell)) = (row.text(column), row.cells.get(column)) else { return Vec::new() };
    let found = if let Some(why) = passwords::hash_fault(hash) {
        // What looks like a hash of another kind is no leak; anything else is the secret itself.
        let is_plain = !hash.starts_with('$');
        let why = if is_plain { format!("{column} holds a plain text: {why}") } else { format!("{column}: {why}") };
        let mend = if is_plain { format!("{what}; this one is in the history now") } else { what.to_owned() };
        Some(fault(Level::Error, if is_plain { "secret-plain" } else { "secret-weak" }, why, mend))
    } else {
        passwords::hash_weakness(hash).map(|why| fault(Level::Error, "secret-weak", format!("{column}: {why}"), what))
    };
    found.into_iter().map(|found| (cell.place.clone(), found)).collect()
}

/// The words of a client's row that are not known, and a scope that is none. The database takes them, so a later file may
/// have put them right: what counts is what the row comes to.
pub(super) fn word_faults(row: &Row) -> Vec<Placed> {
    if row.table != "clients" {
        return Vec::new();
    }
    let words = columns::ALL.iter().map(|column| {
        let found = column.fault(row.text(column.name())?)?;
        Some((column.name(), "unknown-word", found))
    });
    let scope = row.text("scope").and_then(|text| Some(("scope", "scope", columns::scope(text).err()?)));
    let placed = words.flatten().chain(scope).filter_map(|(column, code, RowFault { why, fix })| {
        let cell = row.cells.get(column)?;
        Some((cell.place.clone(), fault(Level::Error, code, why, fix)))
    });
    placed.collect()
}

/// What the rows come to in the end.
pub(super) fn judge(rows: &Rows) -> Vec<Placed> {
    let mut found = Vec::new();
    for row in &rows.all {
        let application_type = row.text("client_id").and_then(|id| rows.application_type(id));
        found.extend(address_faults(row, application_type));
        found.extend(secret_faults(row));
        found.extend(word_faults(row));
        if row.table == "clients"
            && let Some(client_id) = row.text("client_id")
        {
            // Nothing can be said to be missing where something was not understood.
            let is_certain = !rows.all_uncertain && !rows.uncertain.contains(client_id);
            found.extend(client_faults(rows, row, client_id, is_certain));
            found.extend(sector_faults(rows, row, client_id, is_certain));
        }
    }
    found
}

fn client_faults(rows: &Rows, client: &Row, client_id: &str, is_certain: bool) -> Vec<Placed> {
    let mut found = Vec::new();
    let mut find = |column: &str, fault: Fault| {
        let place = client.cells.get(column).map_or(&client.place, |cell| &cell.place);
        found.push((place.clone(), fault));
    };
    let has_rows =
        |table: &str| rows.all.iter().any(|row| row.table == table && row.text("client_id") == Some(client_id));
    let is_public = client.text("token_endpoint_auth_method") == Some("none");
    let words = |column: &str| -> Vec<&str> { client.text(column).unwrap_or_default().split_whitespace().collect() };
    let (grants, scopes) = (words("grant_types"), words("scope"));
    let is_null = |column: &str| client.cells.get(column).is_none_or(|cell| cell.literal == Literal::Null);
    let signs_people_in = grants.contains(&"authorization_code") && is_null("resource");

    if is_public && client.text("pkce") == Some("optional") {
        let why = format!(
            "{client_id} is public and may leave PKCE out, so that a code can be stolen on the way (RFC 9700 section 2.1.1)"
        );
        find("pkce", fault(Level::Error, "public-without-pkce", why, "leave pkce at required"));
    }
    let is_by_plain_http = |row: &&Row| {
        row.table == "client_redirect_uris"
            && row.text("client_id") == Some(client_id)
            && row.text("redirect_uri").is_some_and(is_plain_http)
    };
    if !is_public && client.text("pkce") == Some("optional") && rows.all.iter().any(|row| is_by_plain_http(&row)) {
        let why = format!(
            "{client_id} has an address by plain http, where a code can be read on the way, and PKCE is what protects it"
        );
        find("pkce", fault(Level::Error, acceptance::PLAIN_HTTP, why, "leave pkce at required"));
    }
    if is_public && client.text("application_type") == Some("native") && client.text("consent") == Some("skip") {
        let why = format!("{client_id} has consent 'skip', which is ignored: {ALWAYS_ASKS}");
        find("consent", fault(Level::Warning, "consent-ignored", why, "write consent 'ask', or give it a secret"));
    }
    if is_public && grants.contains(&"client_credentials") {
        let why = format!(
            "{client_id} is public and cannot prove who it is, so it cannot act for itself (RFC 6749 section 4.4)"
        );
        find(
            "grant_types",
            fault(Level::Error, "public-machine", why, "give it a secret, or take client_credentials away"),
        );
    }
    if is_public && has_rows("client_secrets") {
        let why = format!("{client_id} is public, and its secret is never asked for");
        find(
            "token_endpoint_auth_method",
            fault(Level::Warning, "public-with-secret", why, "make it client_secret_basic, or take the secret away"),
        );
    }
    if !client.cells.get("disabled_at").is_none_or(|cell| cell.literal == Literal::Null) {
        return found;
    }
    if is_certain && !is_public && !has_rows("client_secrets") {
        let why = format!("{client_id} has no secret in any file, and cannot redeem a code without one");
        find(
            "",
            fault(
                Level::Warning,
                "no-secret",
                why,
                format!(
                    "`hallpass client rotate-secret {client_id}` writes one; a public client has token_endpoint_auth_method none"
                ),
            ),
        );
    }
    if is_certain && signs_people_in && !has_rows("client_redirect_uris") {
        let why = format!(
            "{client_id} has the grant authorization_code and no redirect URI, so that nobody can come back from signing in"
        );
        find("", fault(Level::Error, "no-redirect-uri", why, "add a row to client_redirect_uris"));
    }
    if is_certain && signs_people_in {
        let mut missing = Vec::new();
        if is_null("backchannel_logout_uri") && is_null("frontchannel_logout_uri") {
            missing.push(
                "is not told when somebody signs out elsewhere (backchannel_logout_uri, frontchannel_logout_uri)",
            );
        }
        if !has_rows("client_post_logout_redirect_uris") {
            missing
                .push("cannot send people through our sign-out and get them back (client_post_logout_redirect_uris)");
        }
        if !missing.is_empty() {
            let why = format!("{client_id} {}", missing.join(", and "));
            find("", fault(Level::Warning, "no-logout-uri", why, "register them where it can use them"));
        }
    }
    if scopes.contains(&"offline_access") && !grants.contains(&"refresh_token") {
        let why = format!("{client_id} may ask for offline_access and gets no refresh token for it");
        find("scope", fault(Level::Warning, "refresh-token", why, "add refresh_token to grant_types"));
    }
    if grants.contains(&"refresh_token") && !scopes.contains(&"offline_access") {
        let why =
            format!("{client_id} has the grant refresh_token and may not ask for offline_access, which brings one");
        find("grant_types", fault(Level::Warning, "refresh-token", why, "add offline_access to scope"));
    }
    found
}

/// A pairwise client whose subjects would change with its addresses.
fn sector_faults(rows: &Rows, client: &Row, client_id: &str, is_certain: bool) -> Vec<Placed> {
    if client.text("subject_type") != Some("pairwise") {
        return Vec::new();
    }
    let is_own = |row: &&Row| row.table == "client_redirect_uris" && row.text("client_id") == Some(client_id);
    let uris = || rows.all.iter().filter(is_own).filter_map(|row| row.text("redirect_uri"));
    let sector = client.text("sector_identifier");
    let found = match sector_fault(sector, uris()) {
        Some(RowFault { why, fix }) => Some((format!("{client_id}: {why}"), fix)),
        None if sector.is_none() && is_certain => {
            let sector = hosts_of(uris()).into_iter().next().unwrap_or_else(|| client_id.to_owned());
            Some((
                format!(
                    "{client_id} has pairwise subjects and no sector_identifier, so that another host among its addresses \
                     would change every sub (OpenID Connect Core 8.1)"
                ),
                format!("write sector_identifier '{sector}'"),
            ))
        }
        None => None,
    };
    let column = if sector.is_some() { "sector_identifier" } else { "subject_type" };
    let place = client.cells.get(column).map_or(&client.place, |cell| &cell.place);
    found.map(|(why, fix)| (place.clone(), fault(Level::Error, "sector", why, fix))).into_iter().collect()
}
