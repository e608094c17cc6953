//! `hallpass explain`: why a request was refused, by the reference that its page and its log record carry.

mod user;

use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::failure::Failure;
use crate::logging;
use crate::protocol::audit::RefusalRecord;
use crate::protocol::difference;
use crate::protocol::reason::Reason;
use crate::protocol::shown::harmless_lines;
use crate::protocol::time::NumericDate;
use crate::store::audit_events::{self, Wanted};
use crate::store::db::Db;
use crate::store::{clients, refusals};
use std::fmt::Write as _;

/// How wide text is written.
const WIDTH: usize = 100;
/// How far it is indented behind its label.
const INDENT: usize = 10;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  hallpass explain 7K3QX-M2VAB\n  hallpass explain --latest 5\n  hallpass explain --user alice\n\n\
    Refusals are kept for a month. What is said here is for operators: users and services are told less."
)]
pub(super) struct Arguments {
    /// The reference, as it is on the page, in X-Request-Id and in the log
    #[arg(required_unless_present_any = ["latest", "user"])]
    reference: Option<String>,
    /// Say whether a user can sign in, and why their last tries came to nothing; by user name or e-mail address
    #[arg(long, value_name = "NAME", conflicts_with_all = ["reference", "latest"])]
    user: Option<String>,
    /// List the latest refusals instead
    #[arg(long, value_name = "NUMBER", num_args = 0..=1, default_missing_value = "20", conflicts_with = "reference")]
    latest: Option<u16>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Outcome {
    logging::start("warn");
    let db = terminal::open_database(&config).await?;
    let outcome = match (arguments.reference.as_deref(), arguments.user.as_deref()) {
        (Some(reference), _) => explain(&db, reference, arguments.json).await,
        (None, Some(name)) => user::explain(&db, name, arguments.json).await,
        (None, None) => latest(&db, arguments.latest.unwrap_or(20), arguments.json).await,
    };
    db.close().await;
    outcome
}

/// A reference as it is kept, whatever became of it on the telephone: the alphabet has no I, L, O and U.
fn canonical(reference: &str) -> Option<String> {
    let mut text: String = reference
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            'U' => 'V',
            other => other,
        })
        .collect();
    if text.len() != 10 {
        return None;
    }
    text.insert(5, '-');
    Some(text)
}

async fn explain(db: &Db, reference: &str, json: bool) -> Outcome {
    let Some(reference) = canonical(reference) else {
        return Err(Failure::new(format!("{reference:?} is no reference")).with_fix(
            "it has ten letters and digits, such as 7K3QX-M2VAB; `hallpass explain --latest` lists what was refused",
        ));
    };
    let Some(refusal) = refusals::find(db, &reference).await? else {
        return not_refused(db, &reference).await;
    };
    if json {
        return terminal::print_json(&serde_json::to_value(&refusal).map_err(terminal::not_json)?);
    }
    let reason = refusal.explanation.reason.as_deref().unwrap_or_default();
    let is_of_unknown_client = [Reason::ClientUnknown, Reason::CallerUnknown].map(Reason::as_str).contains(&reason);
    let similar = match &refusal.explanation.sent {
        Some(sent) if is_of_unknown_client => similar_client(db, sent).await?,
        _ => None,
    };
    print!("{}", harmless_lines(&told(&refusal, similar.as_deref())));
    Ok(())
}

/// What else is known of a request that was not refused, or that is unknown.
async fn not_refused(db: &Db, reference: &str) -> Outcome {
    let wanted = Wanted { reference: Some(reference.to_owned()), ..Wanted::default() };
    let events = audit_events::latest(db, &wanted, NumericDate(0), 20).await?;
    if events.is_empty() {
        return Err(Failure::new(format!("no refusal has the reference {reference}")).with_fix(
            "`hallpass explain --latest` lists what was refused. It is kept for a month from about a second after the answer,\n  \
             in the database of HALLPASS_DATABASE_URL; requests to unknown paths are in the log only",
        ));
    }
    let mut text = format!("{reference} was not refused. What happened in it:\n");
    for event in events {
        let _ = writeln!(
            text,
            "  {}  {}  {}  {}",
            terminal::instant(NumericDate(event.at)),
            event.event,
            event.client_id.as_deref().unwrap_or("-"),
            event.sub.as_deref().unwrap_or("-")
        );
    }
    print!("{}", harmless_lines(&text));
    Ok(())
}

/// The registered client whose name is most like an unknown one.
async fn similar_client(db: &Db, sent: &str) -> Result<Option<String>, Failure> {
    let ids = clients::ids(db).await?;
    Ok(difference::most_like(sent, ids, |id| id, 3))
}

/// The refusal in words.
fn told(refusal: &RefusalRecord, similar: Option<&str>) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:<INDENT$}{}", wrapped(value));
    };
    line("Reference", &refusal.reference);
    line("When", &terminal::instant(NumericDate(refusal.at)));
    let reason = refusal.explanation.reason.as_deref().filter(|reason| *reason != refusal.code);
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    line("What", &format!("{} ({}) at {} {}{reason}", refusal.code, refusal.status, refusal.method, refusal.path));
    if let Some(client_id) = &refusal.client_id {
        line("Client", client_id);
    }
    if let Some(sub) = &refusal.explanation.sub {
        line("User", &format!("sub {sub}; hallpass user list has the name"));
    }
    line("Told", &refusal.description);
    if let Some(detail) = &refusal.detail {
        line("Cause", detail);
    }
    let explanation = &refusal.explanation;
    if let Some(sent) = &explanation.sent {
        text.push('\n');
        let expected = difference::nearest(sent, explanation.expected.iter().map(String::as_str));
        text.push_str(&beside(sent, expected, compares_addresses(explanation.reason.as_deref())));
        for other in explanation.expected.iter().filter(|other| Some(other.as_str()) != expected) {
            let _ = writeln!(text, "{:<INDENT$}{other}", "or");
        }
        if let Some(similar) = similar {
            let _ = writeln!(text, "{:<INDENT$}{similar}", "Like");
        }
    }
    if let Some(fix) = &explanation.fix {
        let _ = writeln!(text, "\n{:<INDENT$}{}", "Fix", wrapped(fix));
    }
    text
}

/// Whether what was sent and what was expected are two addresses, whose difference is worth marks.
fn compares_addresses(reason: Option<&str>) -> bool {
    let reasons = [Reason::RedirectUriUnregistered, Reason::RedirectUriDiffers].map(Reason::as_str);
    reason.is_some_and(|reason| reasons.contains(&reason))
}

/// What was sent above what was expected, and marks under the difference where the two are texts of one kind.
fn beside(sent: &str, expected: Option<&str>, are_addresses: bool) -> String {
    let Some(expected) = expected else { return format!("{:<INDENT$}{sent}\n", "Sent") };
    if !are_addresses {
        return format!("{:<INDENT$}{}\n{:<INDENT$}{}\n", "Sent", wrapped(sent), "Expected", wrapped(expected));
    }
    let [sent_line, expected_line, marks] = difference::marked(sent, expected);
    let mut text =
        format!("{:<INDENT$}{sent_line}\n{:<INDENT$}{expected_line}\n{:<INDENT$}{marks}\n", "Sent", "Expected", "");
    if let Some(mistake) = difference::usual_mistake(sent, expected) {
        let _ = writeln!(text, "{:<INDENT$}{}", "", wrapped(mistake));
    }
    text
}

/// Breaks a text at spaces; further lines are under the first.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let is_full = lines.last().is_some_and(|line| !line.is_empty() && line.len() + 1 + word.len() > WIDTH - INDENT);
        if is_full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join(&format!("\n{:INDENT$}", ""))
}

async fn latest(db: &Db, most: u16, json: bool) -> Outcome {
    let refused = refusals::latest(db, most.into()).await?;
    let mut text = String::new();
    for refusal in &refused {
        if json {
            text.push_str(&terminal::json_line(refusal)?);
        } else {
            let _ = writeln!(
                text,
                "{}  {}  {:<24} {:<16} {}",
                refusal.reference,
                terminal::instant(NumericDate(refusal.at)),
                refusal.code,
                refusal.client_id.as_deref().unwrap_or("-"),
                refusal.description
            );
        }
    }
    if refused.is_empty() {
        eprintln!("nothing was refused in the last month");
    }
    print!("{}", harmless_lines(&text));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::error::Explanation;

    #[test]
    fn a_reference_survives_the_telephone() {
        for text in ["7K3QX-M2VA0", "7k3qx m2vao", "7K3QXM2VAO", " 7k3qx-m2va0\n"] {
            assert_eq!(canonical(text).as_deref(), Some("7K3QX-M2VA0"), "{text}");
        }
        for bad in ["", "7K3QX", "7K3QX-M2VA01", "../../etc"] {
            assert_eq!(canonical(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_address_is_over_the_registered_one_with_the_difference_marked() {
        let refusal = RefusalRecord {
            reference: "7K3QX-M2VA0".into(),
            at: 1_790_000_000,
            status: 400,
            code: "invalid_request".into(),
            method: "GET".into(),
            path: "/authorize".into(),
            client_id: Some("reports".into()),
            description: "redirect_uri is not registered for this client".into(),
            detail: None,
            explanation: Explanation {
                reason: Some("redirect_uri_unregistered".into()),
                sub: None,
                sent: Some("https://a.example/cb/".into()),
                expected: vec!["https://b.example/cb".into(), "https://a.example/cb".into()],
                fix: Some("Register it.".into()),
            },
        };
        insta::assert_snapshot!(told(&refusal, None), @r"
        Reference 7K3QX-M2VA0
        When      2026-09-21T14:13:20Z
        What      invalid_request (400) at GET /authorize: redirect_uri_unregistered
        Client    reports
        Told      redirect_uri is not registered for this client

        Sent      https://a.example/cb/
        Expected  https://a.example/cb
                                      ^
                  a slash at the end is too much
        or        https://b.example/cb

        Fix       Register it.
        ");
    }
}
