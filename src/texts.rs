//! What people read: the texts of pages and mails, from one catalog for each language (`templates/texts`,
//! [Fluent](https://projectfluent.org/fluent/guide/)). Nothing that programs or operators read comes from here: error codes and
//! their descriptions, the log, and the command line are English in the code.
//!
//! A template says `{{ page.text("login-heading").with("client", client_name) }}` and gets `Words`, in the language of the page.
//! Rust says `text("login-heading")` and gets a `Text`, which is in no language yet: a template shows it by `page.say(…)`, so that
//! whatever a page says is in one language. `tests/spec/texts.rs` compares every such place with each catalog.
//!
//! In the content of a page `<bdi>` keeps a name apart from the words around it (`templates/marks.html`), so that one in Hebrew
//! reorders nothing of an English sentence. In a title, an attribute or a mail without markup the characters U+2068 and U+2069 do
//! that, in languages that are written from right to left only: there each name in Latin letters would move what is beside it.
//! Elsewhere no more than punctuation beside a name could move, and some programs show the characters as boxes. An address
//! never has them: they would be followed with it.
//!
//! `languages` has those that people can choose from, `own` what an operator has written, `sources` what that begins with.

mod languages;
mod own;
mod sources;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use fluent_syntax::ast::Pattern;
pub use languages::{Languages, LanguagesFault};
pub use own::{OwnTexts, Remark, TextsFault, keys};
pub use sources::{Source, SourceText, sources};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, LazyLock};
use unic_langid::{CharacterDirection, LanguageIdentifier};

/// The catalogs that are part of the binary, by their languages.
const SOURCES: [(&str, &str); 2] =
    [("en", include_str!("../templates/texts/en.ftl")), ("de", include_str!("../templates/texts/de.ftl"))];

static BUILT_IN: LazyLock<Vec<Arc<Layer>>> = LazyLock::new(|| {
    let named = SOURCES.iter().filter_map(|(name, source)| Some((name.parse().ok()?, source)));
    named.map(|(language, source)| Arc::new(Layer::read(language, source).0)).collect()
});
static ENGLISH: LazyLock<Catalog> = LazyLock::new(|| Catalog::of(&BUILT_IN[0].language, vec![BUILT_IN[0].clone()]));

/// Each stands for one variable while a text is taken apart. No catalog has such characters: they are for private use.
const PLACEHOLDERS: [&str; 4] = ["\u{e000}", "\u{e001}", "\u{e002}", "\u{e003}"];

/// What keeps a name apart from words of another direction where there is no markup
/// ([UAX 9, isolates](https://www.unicode.org/reports/tr9/#Explicit_Directional_Isolates)).
const ISOLATE: char = '\u{2068}';
const END_OF_ISOLATE: char = '\u{2069}';

/// The catalog in English, which the log is written from.
#[must_use]
pub fn english() -> &'static Catalog {
    &ENGLISH
}

/// A text, by its key, in no language yet.
#[must_use]
pub const fn text(key: &str) -> Text<'_> {
    Text { key, attribute: None, variables: [None; PLACEHOLDERS.len()] }
}

/// The texts of one language. Where one is missing, another language has it.
pub struct Catalog {
    language: String,
    direction: Direction,
    /// The first that has a text says it.
    layers: Vec<Arc<Layer>>,
}

/// In which direction a language is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// As English is.
    LeftToRight,
    /// As Arabic and Hebrew are.
    RightToLeft,
}

impl Direction {
    /// The value of the attribute `dir`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeftToRight => "ltr",
            Self::RightToLeft => "rtl",
        }
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Catalog").field("language", &self.language).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Of a language, with the texts of each layer that no layer before it has.
    fn of(language: &LanguageIdentifier, layers: Vec<Arc<Layer>>) -> Self {
        let direction = match language.character_direction() {
            CharacterDirection::RTL => Direction::RightToLeft,
            CharacterDirection::LTR | CharacterDirection::TTB => Direction::LeftToRight,
        };
        Self { language: language.to_string(), direction, layers }
    }

    /// Its language, as BCP 47 writes it.
    #[must_use]
    pub fn language(&self) -> &str {
        &self.language
    }

    /// In which direction it is written.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// A name or a value beside words of this language, where there is no markup: kept apart from them where that is needed.
    #[must_use]
    pub fn beside<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match self.direction {
            Direction::LeftToRight => Cow::Borrowed(name),
            Direction::RightToLeft => Cow::Owned(isolated(name)),
        }
    }

    /// The text of that key, in this language.
    #[must_use]
    pub const fn text<'a>(&'a self, key: &'a str) -> Words<'a> {
        Words { catalog: self, text: text(key) }
    }
}

/// One file of texts: part of the binary, or an operator's own.
struct Layer {
    language: LanguageIdentifier,
    bundle: FluentBundle<FluentResource>,
    /// Keys, with the attribute, of texts in it that cannot be taken.
    left_out: HashSet<(String, Option<String>)>,
}

impl Layer {
    /// Reads a file, and says what in it is not right. The rest of it is there all the same.
    fn read(language: LanguageIdentifier, source: &str) -> (Self, Vec<String>) {
        let mut faults = Vec::new();
        let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(resource, errors)| {
            faults.extend(errors.iter().map(ToString::to_string));
            resource
        });
        let (layer, more) = Self::of(language, resource, HashSet::new());
        faults.extend(more);
        (layer, faults)
    }

    /// Of what was read, but for what is left out of it; and what in it is there twice.
    fn of(
        language: LanguageIdentifier,
        resource: FluentResource,
        left_out: HashSet<(String, Option<String>)>,
    ) -> (Self, Vec<String>) {
        let mut bundle = FluentBundle::new_concurrent(vec![language.clone()]);
        bundle.set_use_isolating(false);
        let added = bundle.add_resource(resource);
        let faults = added.err().into_iter().flatten().map(|error| error.to_string()).collect();
        (Self { language, bundle, left_out }, faults)
    }

    fn pattern(&self, key: &str, attribute: Option<&str>) -> Option<&Pattern<&str>> {
        let message = self.bundle.get_message(key)?;
        let pattern = match attribute {
            Some(name) => message.get_attribute(name)?.value(),
            None => message.value()?,
        };
        let is_left_out =
            !self.left_out.is_empty() && self.left_out.contains(&(key.to_owned(), attribute.map(str::to_owned)));
        (!is_left_out).then_some(pattern)
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
    /// What can be followed.
    Address(&'a str),
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

    /// With an address that can be followed.
    #[must_use]
    pub fn leading(self, variable: &'static str, address: &'a str) -> Self {
        self.having(variable, Value::Address(address))
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
        let _ = self.write(&mut whole, |_, placeholder| Cow::Borrowed(placeholder));
        Parts { whole, text: self.text }
    }

    /// A text that is missing is shown as its key: a test keeps that from being landed.
    fn write(
        &self,
        to: &mut impl fmt::Write,
        name: impl for<'n> Fn(&'n str, &'static str) -> Cow<'n, str>,
    ) -> fmt::Result {
        let mut variables = FluentArgs::new();
        for ((variable, value), placeholder) in self.text.given().zip(PLACEHOLDERS) {
            match value {
                Value::Name(value) => variables.set(variable, name(value, placeholder)),
                Value::Address(value) => variables.set(variable, value),
                Value::Number(number) => variables.set(variable, number),
            }
        }
        let Text { key, attribute, .. } = self.text;
        let found = self.catalog.layers.iter().find_map(|layer| Some((layer, layer.pattern(key, attribute)?)));
        match found {
            Some((layer, pattern)) => layer.bundle.write_pattern(to, pattern, Some(&variables), &mut Vec::new()),
            None => to.write_str(key),
        }
    }
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(formatter, |name, _| self.catalog.beside(name))
    }
}

/// A name that moves nothing around it, whatever characters of direction it has itself.
fn isolated(name: &str) -> String {
    let is_of_direction = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut isolated = String::from(ISOLATE);
    isolated.extend(name.chars().filter(|c| !is_of_direction(*c)));
    isolated.push(END_OF_ISOLATE);
    isolated
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
    // Beyond are scripts in which a whole sentence has no space, or quotation marks.
    let is_border = |c: char| c.is_whitespace() || c >= '\u{900}';
    let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && !is_border(c));
    let (at, _) = text
        .match_indices('-')
        .find(|(at, _)| is_letter(text[..*at].chars().next_back()) && is_letter(text[at + 1..].chars().next()))?;
    let begins = text[..at].char_indices().rev().find(|(_, c)| is_border(*c)).map_or(0, |(at, c)| at + c.len_utf8());
    Some((begins, text[at..].find(is_border).map_or(text.len(), |border| at + border)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(language: &str, source: &str) -> (Catalog, Vec<String>) {
        let (layer, faults) = Layer::read(language.parse().unwrap(), source);
        (Catalog::of(&layer.language.clone(), vec![Arc::new(layer)]), faults)
    }

    fn catalog(source: &str) -> Catalog {
        let (catalog, faults) = read("en", source);
        assert_eq!(faults, [""; 0]);
        catalog
    }

    #[test]
    fn the_catalogs_that_are_part_of_the_binary_are_sound() {
        for (language, source) in SOURCES {
            assert_eq!(read(language, source).1, [""; 0]);
            assert!(!PLACEHOLDERS.iter().any(|placeholder| source.contains(placeholder)));
        }
        assert_eq!(BUILT_IN.len(), SOURCES.len());
        let all = Languages::of("en,de", &OwnTexts::default()).unwrap();
        let said = ["en", "de"].map(|wish| all.best([wish].into_iter()).text("login-sign-in").to_string());
        assert_eq!(said, ["Sign in", "Anmelden"]);
    }

    #[test]
    fn what_is_wrong_in_a_catalog_is_said_and_the_rest_is_there() {
        for (source, fault) in
            [("a = A\nb = { $\n", "Expected"), ("a = A\na = B\n", "existing"), ("a = A\nwhat\n", "=")]
        {
            let (catalog, faults) = read("en", source);
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
        assert_eq!(wholes("a\u{a0}b-c\nd"), [words("a\u{a0}"), whole("b-c"), words("\nd")]);
        // Where there are no spaces between words, only what is foreign is kept whole.
        assert_eq!(
            wholes("\u{65e5}\u{672c}e-mail\u{3092}\u{9001}\u{308b}"),
            [words("\u{65e5}\u{672c}"), whole("e-mail"), words("\u{3092}\u{9001}\u{308b}")]
        );
        for plain in ["none here", "a - b", "-", "a- b -c", "\u{65e5}-\u{672c}"] {
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
    fn where_words_go_from_right_to_left_a_name_is_kept_apart_and_an_address_is_not() {
        let (hebrew, _) = read("he", "a = \u{5d0} { $name } \u{5d1} { $address } { $count }\n");
        let all = hebrew.text("a").with("name", "Reports 2").counting("count", 3);
        let all = Words { text: all.text.leading("address", "https://id.example.com/x"), ..all };
        assert_eq!(all.to_string(), "\u{5d0} \u{2068}Reports 2\u{2069} \u{5d1} https://id.example.com/x 3");
        let forged = hebrew.text("a").with("name", "x\u{2069}\u{202e}y").to_string();
        assert!(forged.contains("\u{2068}xy\u{2069}"), "{forged:?}");
        // In parts the template does it.
        let parts: String = all.parts().each().map(|part| part.text).collect();
        assert_eq!(parts, "\u{5d0} Reports 2 \u{5d1} https://id.example.com/x 3");
    }
}
