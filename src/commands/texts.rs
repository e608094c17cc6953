//! `hallpass texts …`: the texts of pages and mails as a catalog, for who writes their own (`HALLPASS_TEXTS`).

use crate::commands::{Outcome, terminal};
use crate::config::Config;
use crate::failure::Failure;
use crate::mailing::layout;
use crate::protocol::mail::MailKind;
use crate::texts::{Catalog, Remark, SourceText, sources};
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

pub(super) const HELP: &str = "Examples:\n  hallpass texts show en > texts/fr.ftl\n  \
    HALLPASS_TEXTS=texts HALLPASS_LANGUAGES=en,fr hallpass texts missing fr\n\n\
    docs/languages.md says how your own texts come to be read.";

#[derive(clap::Subcommand)]
pub(super) enum TextsCommand {
    /// Print the texts of a language that is part of the program
    #[command(
        after_help = "Examples:\n  hallpass texts show en > texts/fr.ftl        to be translated, text by text\n  \
            hallpass texts show de | grep -A3 '^login-'"
    )]
    Show {
        /// The language: en or de
        language: String,
        /// Print a JSON object instead
        #[arg(long)]
        json: bool,
    },
    /// Check your own texts and the layouts of mails, and say what of them is not used
    #[command(
        after_help = "What stops a start is told as there. The status is 1 where anything is not used or missing.\n\n\
            Examples:\n  HALLPASS_TEXTS=texts hallpass texts check\n  hallpass texts check --json | jq -r '.remarks[].says'"
    )]
    Check {
        /// Print a JSON object instead
        #[arg(long)]
        json: bool,
    },
    /// Print a mail as it would be sent, about something that is made up
    #[command(after_help = "Examples:\n  hallpass texts mail password_link > sample.html\n  \
            hallpass texts mail new_browser --language de --plain\n\n\
            With --json the object has subject, html and plain.")]
    Mail {
        /// What it is about
        #[arg(value_parser = kinds())]
        kind: String,
        /// In which language, one of `HALLPASS_LANGUAGES`; the first of them
        #[arg(long)]
        language: Option<String>,
        /// Print what programs show that know no markup
        #[arg(long, conflicts_with = "json")]
        plain: bool,
        /// Print a JSON object instead
        #[arg(long)]
        json: bool,
    },
    /// Print the texts that a language of your own lacks, in English
    #[command(
        after_help = "People read another language instead of them: a more general one, the first of HALLPASS_LANGUAGES, or English. A text of which a \
            part is there is printed as a whole, and said to be taken out of the file first.\n\n\
            Examples:\n  hallpass texts missing fr\n  hallpass texts missing fr --json | jq '.texts | length'"
    )]
    Missing {
        /// The language, one of `HALLPASS_LANGUAGES`
        language: String,
        /// Print a JSON object instead
        #[arg(long)]
        json: bool,
    },
}

/// Shows what is part of the program without looking at any setting, which may be what is to be put right with it.
pub(super) fn run(settings: impl FnOnce() -> Result<Config, Failure>, command: &TextsCommand) -> Outcome {
    match command {
        TextsCommand::Show { language, json } => {
            let Some(texts) = sources().find(|source| source.language.eq_ignore_ascii_case(language)) else {
                let known: Vec<&str> = sources().map(|source| source.language).collect();
                let failure = Failure::new(format!("no texts in {language:?} are part of the program"));
                return Err(failure.with_fix(format!("they are there in {}", known.join(" and "))));
            };
            print(texts.language, &texts.texts(), *json, texts.whole)
        }
        TextsCommand::Check { json } => check(&settings()?, *json),
        TextsCommand::Mail { kind, language, plain, json } => {
            mail(&settings()?, kind, language.as_deref(), *plain, *json)
        }
        TextsCommand::Missing { language, json } => missing(&settings()?, language, *json),
    }
}

/// Prints what can be put at the end of the file of a language.
fn missing(config: &Config, language: &str, json: bool) -> Outcome {
    let name = catalog(config, Some(language))?.language();
    let lacking = config.texts.remarks.iter().find_map(|remark| match remark {
        Remark::Lacking { language, keys, in_part } if language == name => Some((keys, in_part)),
        _ => None,
    });
    let is_missing =
        |key: &str| lacking.is_some_and(|(keys, _)| keys.iter().any(|it| it.split('.').next() == Some(key)));
    let english = sources().next().map(|source| source.texts()).unwrap_or_default();
    let texts: Vec<SourceText> = english.into_iter().filter(|text| is_missing(text.key)).collect();
    match lacking {
        None => eprintln!("{name} lacks no text"),
        Some((_, in_part)) if !in_part.is_empty() => {
            eprintln!("take out of the file first what it has of {}: each is here as a whole", in_part.join(", "));
        }
        Some(_) => {}
    }
    // The last line of that file may have no end.
    print(name, &texts, json, &texts.iter().fold(String::new(), |whole, text| whole + "\n" + text.source + "\n"))
}

/// The kinds of mails, as `mail_outbox.kind` has them.
fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(MailKind::ALL.iter().map(|kind| kind.as_str()))
}

/// The texts of a language, by default of the first.
fn catalog<'a>(config: &'a Config, language: Option<&str>) -> Result<&'a Catalog, Failure> {
    let mut catalogs = config.languages.catalogs();
    let found = catalogs.find(|catalog| language.is_none_or(|name| catalog.language().eq_ignore_ascii_case(name)));
    found.ok_or_else(|| {
        let known: Vec<&str> = config.languages.names().collect();
        Failure::new(format!("people cannot choose the language {:?}", language.unwrap_or_default()))
            .with_fix(format!("HALLPASS_LANGUAGES has {}; name it there", known.join(", ")))
    })
}

fn mail(config: &Config, kind: &str, language: Option<&str>, plain: bool, json: bool) -> Outcome {
    let texts = catalog(config, language)?;
    let kind = MailKind::of_word(kind).ok_or_else(|| Failure::new(format!("there is no mail {kind:?}")))?;
    let example = layout::example(config, texts, kind)?;
    if json {
        return terminal::print_json(&json!({
            "kind": kind.as_str(),
            "language": texts.language(),
            "subject": example.subject,
            "html": example.html,
            "plain": example.plain,
        }));
    }
    eprintln!("Subject: {}", example.subject);
    println!("{}", if plain { example.plain } else { example.html });
    Ok(())
}

fn check(config: &Config, json: bool) -> Outcome {
    layout::check(config)?;
    let remarks = &config.texts.remarks;
    let languages: Vec<&str> = config.languages.names().collect();
    if json {
        let mut told = Vec::new();
        for remark in remarks {
            let mut document = serde_json::to_value(remark).map_err(terminal::not_json)?;
            document["says"] = remark.to_string().into();
            told.push(document);
        }
        terminal::print_json(&json!({"languages": languages, "remarks": told}))?;
    } else {
        println!("people read {}", languages.join(", "));
        for remark in remarks {
            println!("{remark}");
        }
    }
    let count = remarks.len();
    if count == 0 {
        return Ok(());
    }
    let what = if count == 1 { "one thing is".to_owned() } else { format!("{count} things are") };
    Err(Failure::new(format!("{what} not used, or missing")))
}

fn print(language: &str, texts: &[SourceText], json: bool, whole: &str) -> Outcome {
    if json {
        let texts: Vec<Value> = texts.iter().map(|text| json!({"key": text.key, "source": text.source})).collect();
        return terminal::print_json(&json!({"language": language, "texts": texts}));
    }
    print!("{whole}");
    Ok(())
}
