//! What people read: the texts of pages and mails, from one catalog for each language (`templates/texts`,
//! [Fluent](https://projectfluent.org/fluent/guide/)). Nothing that programs or operators read comes from here: error codes and
//! their descriptions, the log, and the command line are English in the code.
//!
//! A template says `{{ page.text("login-heading").with("client", client_name) }}` and gets `Words`, in the language of the page.
//! Rust says `text("login-heading")` and gets a `Text`, which is in no language yet: a template shows it by `page.say(…)`, so that
//! whatever a page says is in one language. `tests/spec/texts.rs` compares every such place with each catalog.
//!
//! Fluent can put each variable between the characters U+2068 and U+2069, which keep a name in Hebrew from reordering an
//! English sentence. It is not told to: in the content of a page `<bdi>` does the same (`templates/marks.html`), and in a title
//! or an attribute some would show the characters as boxes. What is left are titles of English words around a name, where no
//! more than the punctuation beside that can move. A language that is written from right to left has to decide anew, and so
//! has a mail without markup.

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use fluent_langneg::{NegotiationStrategy, negotiate_languages};
use std::fmt;
use std::sync::{Arc, LazyLock};
use unic_langid::LanguageIdentifier;

/// The catalogs that are part of the binary, by their languages.
const SOURCES: [(&str, &str); 2] =
    [("en", include_str!("../templates/texts/en.ftl")), ("de", include_str!("../templates/texts/de.ftl"))];

static BUILT_IN: LazyLock<Vec<Arc<Catalog>>> =
    LazyLock::new(|| SOURCES.iter().map(|(language, source)| Arc::new(Catalog::read(language, source).0)).collect());

/// Each stands for one variable while a text is taken apart. No catalog has such characters: they are for private use.
const PLACEHOLDERS: [&str; 4] = ["\u{e000}", "\u{e001}", "\u{e002}", "\u{e003}"];

/// How many languages that a person asks for are looked at, and how long one may be, in bytes.
const MOST_WISHES: usize = 20;
const MOST_WISH: usize = 35;

/// The catalog in English, which the log is written from.
#[must_use]
pub fn english() -> &'static Catalog {
    &BUILT_IN[0]
}

/// A text, by its key, in no language yet.
#[must_use]
pub const fn text(key: &str) -> Text<'_> {
    Text { key, attribute: None, variables: [None; PLACEHOLDERS.len()] }
}

/// The languages that people can read here, the first of which is the default.
#[derive(Clone, Debug)]
pub struct Languages(Vec<Arc<Catalog>>);

/// Why a list of languages cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LanguagesFault {
    /// None of them.
    #[error("must be one language or more, with commas between them, such as en,de")]
    Empty,
    /// One that there are no texts in.
    #[error("there are no texts in {language:?}; there are some in {offered}", offered = built_in())]
    Unknown {
        /// It.
        language: String,
    },
    /// One twice.
    #[error("{language} is in the list twice")]
    Twice {
        /// It.
        language: &'static str,
    },
}

fn built_in() -> String {
    SOURCES.map(|(language, _)| language).join(" and ")
}

impl Languages {
    /// Reads a list with commas, in the order in which they are wanted where a person asks for none of them.
    ///
    /// # Errors
    /// There is none, one without texts, or one twice.
    pub fn of(list: &str) -> Result<Self, LanguagesFault> {
        let mut catalogs: Vec<Arc<Catalog>> = Vec::new();
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let known = BUILT_IN.iter().find(|catalog| catalog.language.eq_ignore_ascii_case(name));
            let known = known.ok_or_else(|| LanguagesFault::Unknown { language: name.to_owned() })?;
            if catalogs.iter().any(|catalog| catalog.language == known.language) {
                return Err(LanguagesFault::Twice { language: known.language });
            }
            catalogs.push(known.clone());
        }
        if catalogs.is_empty() { Err(LanguagesFault::Empty) } else { Ok(Self(catalogs)) }
    }

    /// The first of the wishes that can be met, else the default. A wish is a language range
    /// ([RFC 4647 section 2](https://www.rfc-editor.org/rfc/rfc4647#section-2)), which a more general or a more special language
    /// meets as well; what is none is passed over.
    #[must_use]
    pub fn best<'a>(&self, wishes: impl Iterator<Item = &'a str>) -> Arc<Catalog> {
        let asked: Vec<LanguageIdentifier> = wishes.take(MOST_WISHES).filter_map(identifier).collect();
        let offered: Vec<&LanguageIdentifier> = self.0.iter().filter_map(|it| it.bundle.locales.first()).collect();
        let met = negotiate_languages(&asked, &offered, None, NegotiationStrategy::Filtering);
        let met = met.first().and_then(|met| self.0.iter().find(|it| it.bundle.locales.first() == Some(**met)));
        met.unwrap_or(&self.0[0]).clone()
    }

    /// Each, as BCP 47 writes it, the default first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|catalog| catalog.language)
    }
}

/// The language that a range is about, without extensions; `None`: it is about any, or is none.
fn identifier(range: &str) -> Option<LanguageIdentifier> {
    let mut range = range[..range.floor_char_boundary(MOST_WISH)].trim();
    loop {
        match range.parse::<LanguageIdentifier>() {
            Ok(language) => return (!language.language.is_empty()).then_some(language),
            Err(_) => range = &range[..range.rfind(['-', '_'])?],
        }
    }
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

    /// The text of that key, in this language.
    #[must_use]
    pub const fn text<'a>(&'a self, key: &'a str) -> Words<'a> {
        Words { catalog: self, text: text(key) }
    }
}

/// A text that is not in a language yet: which it is, and what is put in. Where a page or a mail is made, its catalog turns it
/// into words.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    key: &'a str,
    attribute: Option<&'a str>,
    variables: [Option<(&'static str, Value<'a>)>; PLACEHOLDERS.len()],
}

/// What is put in.
#[derive(Clone, Copy)]
enum Value<'a> {
    /// A name, or whatever else is shown as it is.
    Name(&'a str),
    /// A number, which decides the plural.
    Number(i64),
}

impl<'a> Text<'a> {
    /// Another text under the same key, such as the description of a scope.
    #[must_use]
    pub const fn attribute(mut self, name: &'a str) -> Self {
        self.attribute = Some(name);
        self
    }

    /// With a name, or whatever else is shown as it is.
    #[must_use]
    pub fn with<T: AsRef<str> + ?Sized>(self, variable: &'static str, value: &'a T) -> Self {
        self.having(variable, Value::Name(value.as_ref()))
    }

    /// With a number, which decides the plural.
    #[must_use]
    pub fn counting(self, variable: &'static str, number: i64) -> Self {
        self.having(variable, Value::Number(number))
    }

    /// A test sees to it that no text has more variables than there are places.
    fn having(mut self, variable: &'static str, value: Value<'a>) -> Self {
        if let Some(place) = self.variables.iter_mut().find(|place| place.is_none()) {
            *place = Some((variable, value));
        }
        self
    }

    fn given(&self) -> impl Iterator<Item = (&'static str, Value<'a>)> {
        self.variables.into_iter().flatten()
    }

    /// In the language of a catalog.
    #[must_use]
    pub fn of<'b>(&self, catalog: &'b Catalog) -> Words<'b>
    where
        'a: 'b,
    {
        Words { catalog, text: *self }
    }
}

/// A text, or a reference to one of any depth: templates have either.
pub trait AsText<'a> {
    /// The text.
    fn as_text(&self) -> Text<'a>;
}

impl<'a> AsText<'a> for Text<'a> {
    fn as_text(&self) -> Self {
        *self
    }
}

impl<'a, T: AsText<'a>> AsText<'a> for &T {
    fn as_text(&self) -> Text<'a> {
        (*self).as_text()
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Text").field(&self.key).field(&self.attribute).finish()
    }
}

/// A text in a language, about to be shown. It is made where it is written, by `Display`, and escaped there like anything else:
/// there is no markup in a catalog, and none in a name.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    catalog: &'a Catalog,
    text: Text<'a>,
}

impl<'a> Words<'a> {
    /// As [`Text::attribute`].
    #[must_use]
    pub fn attribute(mut self, name: &'a str) -> Self {
        self.text = self.text.attribute(name);
        self
    }

    /// As [`Text::with`].
    #[must_use]
    pub fn with<T: AsRef<str> + ?Sized>(mut self, variable: &'static str, value: &'a T) -> Self {
        self.text = self.text.with(variable, value);
        self
    }

    /// As [`Text::counting`].
    #[must_use]
    pub fn counting(mut self, variable: &'static str, number: i64) -> Self {
        self.text = self.text.counting(variable, number);
        self
    }

    /// The text in parts, so that a template can mark what `with` put in: `templates/marks.html` does.
    #[must_use]
    pub fn parts(&self) -> Parts<'a> {
        let mut whole = String::with_capacity(128);
        // Writing into a string does not fail.
        let _ = self.write(&mut whole, |_, placeholder| placeholder);
        Parts { whole, text: self.text }
    }

    /// A text that is missing is shown as its key: a test keeps that from being landed.
    fn write(&self, to: &mut impl fmt::Write, name: impl for<'n> Fn(&'n str, &'static str) -> &'n str) -> fmt::Result {
        let mut variables = FluentArgs::new();
        for ((variable, value), placeholder) in self.text.given().zip(PLACEHOLDERS) {
            match value {
                Value::Name(value) => variables.set(variable, name(value, placeholder)),
                Value::Number(number) => variables.set(variable, number),
            }
        }
        let (bundle, key) = (&self.catalog.bundle, self.text.key);
        let message = bundle.get_message(key);
        let pattern = message.and_then(|message| match self.text.attribute {
            Some(name) => message.get_attribute(name).map(|attribute| attribute.value()),
            None => message.value(),
        });
        match pattern {
            Some(pattern) => bundle.write_pattern(to, pattern, Some(&variables), &mut Vec::new()),
            None => to.write_str(key),
        }
    }
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(formatter, |name, _| name)
    }
}

/// A text in parts.
pub struct Parts<'a> {
    /// With placeholders. Values come in behind, so that nothing in them is taken for one.
    whole: String,
    text: Text<'a>,
}

impl Parts<'_> {
    /// One after the other.
    pub fn each(&self) -> impl Iterator<Item = Part<'_>> {
        let is_placeholder = |c: char| PLACEHOLDERS.iter().any(|placeholder| placeholder.starts_with(c));
        self.whole.split_inclusive(is_placeholder).flat_map(|piece| {
            let found = PLACEHOLDERS.iter().zip(self.text.given()).find_map(|(placeholder, (_, value))| {
                let Value::Name(value) = value else { return None };
                Some((piece.strip_suffix(placeholder)?, value))
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
        for (language, source) in SOURCES {
            assert_eq!(Catalog::read(language, source).1, [""; 0]);
            assert!(!PLACEHOLDERS.iter().any(|placeholder| source.contains(placeholder)));
        }
        let all = Languages::of("en,de").unwrap();
        let said: Vec<_> = all.0.iter().map(|it| (it.language(), it.text("login-sign-in").to_string())).collect();
        assert_eq!(said, [("en", "Sign in".to_owned()), ("de", "Anmelden".to_owned())]);
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
        let minutes =
            |number| english().text("login-wait").counting("minutes", number).with("time", "1:00").to_string();
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
            let title = english().text("login-heading").with("client", name);
            assert_eq!(title.to_string(), format!("Sign in to continue to {name}"));
        }
    }

    #[test]
    fn a_text_in_parts_tells_names_from_words() {
        let catalog =
            catalog("a = Hello { $name }, { $name } and { $other }: { $count }\nb = { $name }\n    .c = No name\n");
        let parts = |text: &Words<'_>| -> Vec<(String, bool)> {
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
            assert_eq!(text.to_string(), text.text.key);
        }
    }

    #[test]
    fn a_person_reads_the_first_language_asked_for_that_there_is() {
        let languages = Languages::of("en,de").unwrap();
        let best = |wishes: &[&str]| languages.best(wishes.iter().copied()).language();
        for wishes in
            [&["de"][..], &["de-CH"], &["DE_at"], &["fr", "de", "en"], &["de-Latn-DE-1996"], &["de-u-co-phonebk"]]
        {
            assert_eq!(best(wishes), "de", "{wishes:?}");
        }
        for wishes in
            [&[][..], &["en-GB", "de"], &["fr"], &["*", "und"], &["", "-", "x", "d\u{e9}", "deutsch-und-mehr"]]
        {
            assert_eq!(best(wishes), "en", "{wishes:?}");
        }
        let many: Vec<&str> = std::iter::repeat_n("fr", MOST_WISHES).chain(["de"]).collect();
        assert_eq!(best(&many), "en");
        let german = Languages::of("de").unwrap();
        assert_eq!(german.best(["en"].into_iter()).language(), "de");
    }

    #[test]
    fn a_list_of_languages_has_each_once_and_texts_for_each() {
        let names =
            |list: &str| Languages::of(list).map(|it| it.names().collect::<Vec<_>>()).map_err(|it| it.to_string());
        assert_eq!(names("de, EN"), Ok(vec!["de", "en"]));
        for (list, why) in [
            ("", "one language or more"),
            (" , ", "one language or more"),
            ("en,xx", "no texts in \"xx\""),
            ("de,DE", "twice"),
        ] {
            assert!(names(list).unwrap_err().contains(why), "{list}: {:?}", names(list));
        }
    }
}
