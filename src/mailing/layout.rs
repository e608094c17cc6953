//! How an operator lays mails out: `mail.html` and `mail.txt` of `HALLPASS_TEXTS`, in the language of
//! [Jinja](https://jinja.palletsprojects.com/en/stable/templates/), by minijinja. What they say is `letters`, as with ours.
//!
//! A layout is tried at the start with every mail in every language, so that one with a fault is seen by who made it. Where one
//! fails all the same, the mail goes out as ours is: a link that is waited for is worth more than its looks.

use super::letters::{Fact, MailLink, MailPage, sample};
use crate::config::{Config, MailLayout};
use crate::failure::Failure;
use crate::protocol::mail::MailKind;
use crate::texts::Catalog;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, escape_formatter};
use serde::Serialize;
use std::path::Path;

/// How many steps one mail may take: ours would take a few hundred.
const MOST_STEPS: u64 = 100_000;
/// The most that a mail says, in bytes.
const MOST_BYTES: usize = 256 * 1024;
/// How minijinja writes a slash in markup.
const SLASH: &str = "&#x2f;";

/// What a layout is given.
#[derive(Serialize)]
struct Given<'a> {
    kind: &'a str,
    language: &'a str,
    direction: &'a str,
    subject: &'a str,
    words: &'a [String],
    link: Option<&'a MailLink>,
    facts: &'a [Fact],
    advice: &'a str,
    sender: &'a str,
    organization: Option<&'a str>,
    issuer: &'a str,
    help: Option<&'a str>,
    color: &'a str,
}

/// A mail as the operator's layout has it; `None`: there is no such layout, or it fails, which is logged.
pub(super) fn laid_out(config: &Config, layout: Option<&MailLayout>, page: &MailPage) -> Option<String> {
    let laid_out = render(config, layout?, page);
    if let Err(failure) = &laid_out {
        tracing::error!(kind = page.kind.as_str(), "a mail is sent in the layout of Hallpass: {failure}");
    }
    laid_out.ok()
}

/// Tries the layouts with every mail in every language, each with and without what need not be there.
///
/// # Errors
/// One fails, or leaves the link out of a mail that is about it.
pub fn check(config: &Config) -> Result<(), Failure> {
    for layout in config.texts.mail_html.iter().chain(&config.texts.mail_plain) {
        for texts in config.languages.catalogs() {
            for kind in MailKind::ALL {
                for facts in [(true, true), (true, false), (false, true), (false, false)] {
                    render(config, layout, &sample(config, texts, *kind, facts))?;
                }
            }
        }
    }
    Ok(())
}

/// A mail as it would be sent, about something that is made up.
pub struct Example {
    /// Its subject.
    pub subject: String,
    /// For programs that show markup.
    pub html: String,
    /// Without markup.
    pub plain: String,
}

/// A mail of that kind, to look at.
///
/// # Errors
/// A layout fails.
pub fn example(config: &Config, texts: &Catalog, kind: MailKind) -> Result<Example, Failure> {
    let page = sample(config, texts, kind, (true, true));
    let laid_out =
        |layout: &Option<MailLayout>| layout.as_ref().map(|layout| render(config, layout, &page)).transpose();
    let html = laid_out(&config.texts.mail_html)?.unwrap_or_else(|| page.html());
    let plain = laid_out(&config.texts.mail_plain)?.unwrap_or_else(|| page.plain());
    Ok(Example { subject: page.subject, html, plain })
}

fn render(config: &Config, layout: &MailLayout, page: &MailPage) -> Result<String, Failure> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(MOST_STEPS));
    // So that what is not there is told by its name. The rest of what is gathered then has values, such as a link, and is not told.
    environment.set_debug(true);
    environment.set_formatter(|output, state, value| {
        if value.is_none() {
            return Err(Error::new(ErrorKind::UndefinedError, "it is not set, or not in each mail"));
        }
        escape_formatter(output, state, value)
    });
    environment.set_auto_escape_callback(|name| {
        if Path::new(name).extension().is_some_and(|it| it == "html") { AutoEscape::Html } else { AutoEscape::None }
    });
    let file = layout.file.display().to_string();
    let given = Given {
        kind: page.kind.as_str(),
        language: &page.language,
        direction: page.direction,
        subject: &page.subject,
        words: &page.words,
        link: page.link.as_ref(),
        facts: &page.facts,
        advice: &page.advice,
        sender: &page.sender,
        organization: config.organization.name.as_deref(),
        issuer: &page.issuer,
        help: page.help.as_deref(),
        color: &page.color,
    };
    let about = |what: String, fix: &str| {
        Failure::new(format!("{file}{what} (a mail of the kind {}, in {})", page.kind.as_str(), page.language))
            .with_fix(fix)
    };
    let text = environment.render_named_str(&file, &layout.source, Serde(given)).map_err(|error| {
        let line = error.line().map(|line| format!(", line {line}")).unwrap_or_default();
        let why = match (error.kind(), error.detail()) {
            (ErrorKind::OutOfFuel, _) => "it takes too long".to_owned(),
            (kind, Some(detail)) => format!("{kind}: {detail}"),
            (kind, None) => kind.to_string(),
        };
        about(format!("{line}: {why}"), "docs/languages.md says what a layout is given")
    })?;
    if text.len() > MOST_BYTES {
        return Err(about(format!(": more than {MOST_BYTES} bytes"), "make it shorter"));
    }
    if text.trim().is_empty() {
        return Err(about(": nothing is in it".to_owned(), "write what the mail says, words and advice"));
    }
    let is_there = |link: &MailLink| text.replace(SLASH, "/").contains(&link.address);
    if !page.link.as_ref().is_none_or(is_there) {
        return Err(about(": the link is not in it".to_owned(), "write {{ link.address }} where link is there"));
    }
    Ok(text)
}
