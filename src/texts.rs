//! What people read: the texts of pages and mails, from one catalog for each language (`templates/texts`,
//! [Fluent](https://projectfluent.org/fluent/guide/)). Nothing that programs or operators read comes from here: error codes and
//! their descriptions, the log, and the command line are English in the code.
//!
//! A template says `{{ page.text("login-heading").with("client", client_name) }}`, Rust says `text("login-heading")`. Both get a
//! `Text`, which is written where it is shown; `tests/spec/texts.rs` compares every such place with the catalog.
//!
//! Fluent can put each variable between the characters U+2068 and U+2069, which keep a name in Hebrew from reordering an
//! English sentence. It is not told to: in the content of a page `<bdi>` does the same (`templates/marks.html`), and in a title
//! or an attribute some would show the characters as boxes. What is left are titles of English words around a name, where no
//! more than the punctuation beside that can move. A language that is written from right to left has to decide anew, and so
//! has a mail without markup.

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::types::FluentValue;
use fluent_bundle::{FluentArgs, FluentResource};
use std::fmt;
use std::sync::LazyLock;

/// The catalog in English, which is part of the binary.
const ENGLISH_SOURCE: &str = include_str!("../templates/texts/en.ftl");

static ENGLISH: LazyLock<Catalog> = LazyLock::new(|| Catalog::read("en", ENGLISH_SOURCE).0);

/// Each stands for one variable while a text is taken apart. No catalog has such characters: they are for private use.
const PLACEHOLDERS: [&str; 4] = ["\u{e000}", "\u{e001}", "\u{e002}", "\u{e003}"];

/// The catalog in English, read once.
#[must_use]
pub fn english() -> &'static Catalog {
    &ENGLISH
}

/// A text of a page, in the only language so far.
#[must_use]
pub fn text(key: &str) -> Text<'_> {
    english().text(key)
}

/// The texts of one language.
pub struct Catalog {
    language: &'static str,
    bundle: FluentBundle<FluentResource>,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Catalog").field("language", &self.language).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Reads a catalog, and says what in it is not right. The rest of it is there all the same.
    fn read(language: &'static str, source: &str) -> (Self, Vec<String>) {
        let mut faults = Vec::new();
        let locale = language.parse().map_err(|error| faults.push(format!("{language}: {error}")));
        let mut bundle = FluentBundle::new_concurrent(locale.into_iter().collect());
        bundle.set_use_isolating(false);
        let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(resource, errors)| {
            faults.extend(errors.iter().map(ToString::to_string));
            resource
        });
        if let Err(errors) = bundle.add_resource(resource) {
            faults.extend(errors.iter().map(ToString::to_string));
        }
        (Self { language, bundle }, faults)
    }

    /// Its language, as BCP 47 writes it.
    #[must_use]
    pub const fn language(&self) -> &'static str {
        self.language
    }

    /// The text of that key.
    #[must_use]
    pub fn text<'a>(&'a self, key: &'a str) -> Text<'a> {
        Text { catalog: self, key, attribute: None, variables: FluentArgs::new() }
    }
}

/// A text that is about to be shown. It is made where it is written, by `Display`, and escaped there like anything else: there
/// is no markup in a catalog, and none in a name.
pub struct Text<'a> {
    catalog: &'a Catalog,
    key: &'a str,
    attribute: Option<&'a str>,
    variables: FluentArgs<'a>,
}

impl<'a> Text<'a> {
    /// Another text under the same key, such as the description of a scope.
    #[must_use]
    pub fn attribute(mut self, name: &'a str) -> Self {
        self.attribute = Some(name);
        self
    }

    /// With a name, or whatever else is shown as it is.
    #[must_use]
    pub fn with<T: AsRef<str> + ?Sized>(mut self, variable: &'static str, value: &'a T) -> Self {
        self.variables.set(variable, value.as_ref());
        self
    }

    /// With a number, which decides the plural.
    #[must_use]
    pub fn counting(mut self, variable: &'static str, number: i64) -> Self {
        self.variables.set(variable, number);
        self
    }

    /// The text in parts, so that a template can mark what `with` put in: `templates/marks.html` does.
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        let mut variables = FluentArgs::new();
        for ((name, value), placeholder) in self.variables.iter().zip(PLACEHOLDERS) {
            match value {
                FluentValue::String(_) => variables.set(name, placeholder),
                other => variables.set(name, other.clone()),
            }
        }
        let mut whole = String::with_capacity(128);
        // Writing into a string does not fail.
        let _ = self.write(&mut whole, &variables);
        Parts { whole, variables: &self.variables }
    }

    /// A text that is missing is shown as its key: a test keeps that from being landed.
    fn write(&self, to: &mut impl fmt::Write, variables: &FluentArgs<'_>) -> fmt::Result {
        let bundle = &self.catalog.bundle;
        let message = bundle.get_message(self.key);
        let pattern = message.and_then(|message| match self.attribute {
            Some(name) => message.get_attribute(name).map(|attribute| attribute.value()),
            None => message.value(),
        });
        match pattern {
            Some(pattern) => bundle.write_pattern(to, pattern, Some(variables), &mut Vec::new()),
            None => to.write_str(self.key),
        }
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(formatter, &self.variables)
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Text").field(&self.key).field(&self.attribute).finish()
    }
}

/// A text in parts.
pub struct Parts<'a> {
    /// With placeholders. Values come in behind, so that nothing in them is taken for one.
    whole: String,
    variables: &'a FluentArgs<'a>,
}

impl Parts<'_> {
    /// One after the other.
    pub fn each(&self) -> impl Iterator<Item = Part<'_>> {
        let is_placeholder = |c: char| PLACEHOLDERS.iter().any(|placeholder| placeholder.starts_with(c));
        self.whole.split_inclusive(is_placeholder).flat_map(|piece| {
            let found = PLACEHOLDERS.iter().zip(self.variables.iter()).find_map(|(placeholder, (_, value))| {
                let FluentValue::String(value) = value else { return None };
                Some((piece.strip_suffix(placeholder)?, value.as_ref()))
            });
            let (words, value) = found.map_or((piece, None), |(words, value)| (words, Some(value)));
            pieces(words).chain(value.map(|text| Part { text, is_value: true, is_whole: false }))
        })
    }
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// What it says.
    pub text: &'a str,
    /// Whether it is the value of a variable.
    pub is_value: bool,
    /// Whether it is a word of ours with a hyphen, which no line is to break within.
    pub is_whole: bool,
}

/// Words in parts, so that a template can keep those with a hyphen whole.
pub fn pieces(words: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = words;
    std::iter::from_fn(move || {
        let (begins, ends) = hyphenated(rest).unwrap_or((rest.len(), rest.len()));
        let is_whole = begins == 0 && ends > 0 && !rest.is_empty();
        let (text, behind) = rest.split_at(if is_whole { ends } else { begins });
        rest = behind;
        (!text.is_empty()).then_some(Part { text, is_value: false, is_whole })
    })
}

/// Where the first word with a hyphen in it begins, and where it ends.
fn hyphenated(text: &str) -> Option<(usize, usize)> {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let (at, _) = text
        .match_indices('-')
        .find(|(at, _)| is_letter(text[..*at].chars().next_back()) && is_letter(text[at + 1..].chars().next()))?;
    let begins = text[..at].rfind(' ').map_or(0, |space| space + 1);
    Some((begins, text[at..].find(' ').map_or(text.len(), |space| at + space)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(source: &str) -> Catalog {
        let (catalog, faults) = Catalog::read("en", source);
        assert_eq!(faults, [""; 0]);
        catalog
    }

    #[test]
    fn the_catalog_that_is_part_of_the_binary_is_sound() {
        assert_eq!(Catalog::read("en", ENGLISH_SOURCE).1, [""; 0]);
        assert!(!PLACEHOLDERS.iter().any(|placeholder| ENGLISH_SOURCE.contains(placeholder)));
        assert_eq!((english().language(), text("login-sign-in").to_string().as_str()), ("en", "Sign in"));
    }

    #[test]
    fn what_is_wrong_in_a_catalog_is_said_and_the_rest_is_there() {
        for (source, fault) in
            [("a = A\nb = { $\n", "Expected"), ("a = A\na = B\n", "existing"), ("a = A\nwhat\n", "=")]
        {
            let (catalog, faults) = Catalog::read("en", source);
            assert!(faults.len() == 1 && faults[0].contains(fault), "{source:?}: {faults:?}");
            assert_eq!(catalog.text("a").to_string(), "A", "{source:?}");
        }
    }

    #[test]
    fn a_number_decides_the_plural() {
        let minutes = |number| text("login-wait").counting("minutes", number).with("time", "1:00").to_string();
        assert_eq!(minutes(1), "There were too many failed attempts. Please wait 1 minute, until 1:00, and try again.");
        assert_eq!(
            minutes(0),
            "There were too many failed attempts. Please wait 0 minutes, until 1:00, and try again."
        );
        assert_eq!(
            minutes(9),
            "There were too many failed attempts. Please wait 9 minutes, until 1:00, and try again."
        );
    }

    #[test]
    fn a_name_is_put_in_as_it_is_without_invisible_characters() {
        for name in ["A", "<b>&\"'", "{ $client }", "\u{5d0}\u{5d1}", "1.50", ""] {
            let title = text("login-heading").with("client", name);
            assert_eq!(title.to_string(), format!("Sign in to continue to {name}"));
        }
    }

    #[test]
    fn a_text_in_parts_tells_names_from_words() {
        let catalog =
            catalog("a = Hello { $name }, { $name } and { $other }: { $count }\nb = { $name }\n    .c = No name\n");
        let parts = |text: &Text<'_>| -> Vec<(String, bool)> {
            text.parts().each().map(|part| (part.text.to_owned(), part.is_value)).collect()
        };
        let (words, value) = (|text: &str| (text.to_owned(), false), |text: &str| (text.to_owned(), true));
        // What stands for a variable may be in a name too.
        let all = catalog.text("a").with("name", "\u{e001}").with("other", "<b>").counting("count", 2);
        let expected = [
            words("Hello "),
            value("\u{e001}"),
            words(", "),
            value("\u{e001}"),
            words(" and "),
            value("<b>"),
            words(": 2"),
        ];
        assert_eq!(parts(&all), expected);
        assert_eq!(parts(&catalog.text("b").with("name", "")), [value("")]);
        assert_eq!(parts(&catalog.text("b").attribute("c")), [words("No name")]);
    }

    #[test]
    fn words_with_a_hyphen_are_parts_of_their_own() {
        let wholes = |text: &str| -> Vec<(String, bool)> {
            pieces(text).map(|part| (part.text.to_owned(), part.is_whole)).collect()
        };
        let (words, whole) = (|text: &str| (text.to_owned(), false), |text: &str| (text.to_owned(), true));
        assert_eq!(wholes("This sign-in, a b"), [words("This "), whole("sign-in,"), words(" a b")]);
        assert_eq!(wholes("sign-in e-mail"), [whole("sign-in"), words(" "), whole("e-mail")]);
        for plain in ["none here", "a - b", "-", "a- b -c"] {
            assert_eq!(wholes(plain), [words(plain)]);
        }
        assert_eq!(wholes(""), []);
    }

    #[test]
    fn a_text_that_is_missing_is_shown_as_its_key() {
        let catalog = catalog("a =\n    .b = B\n");
        for text in [catalog.text("missing"), catalog.text("a"), catalog.text("a").attribute("c")] {
            assert_eq!(text.to_string(), text.key);
        }
    }
}
