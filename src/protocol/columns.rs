//! Columns that hold words: how they are read, and how a fault in one is told. `store/clients.rs` has the table of them, the words
//! themselves are the types of `response.rs`.
//!
//! The schema has no CHECK on them, so a row may hold a word of a later version. Such a row is refused as a whole and
//! by name: a client that is understood in part may be given more than its operator meant.

use crate::protocol::response::Word;
use crate::protocol::scope::Scope;
use std::marker::PhantomData;

/// The longest part of a foreign word that is repeated, in characters.
const SHOWN: usize = 60;

/// Why a row cannot be served, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// What is wrong, with the column.
    pub why: String,
    /// What to write.
    pub fix: String,
}

/// How a column holds its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One of them.
    One,
    /// A list separated by white space.
    Spaces,
    /// A list separated by commas; its items may have spaces in them.
    Commas,
}

impl Form {
    fn items(self, text: &str) -> Vec<&str> {
        match self {
            Self::One => vec![text],
            Self::Spaces => text.split_whitespace().collect(),
            Self::Commas => text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
        }
    }

    /// What follows the list of the words in a fix.
    const fn separated(self) -> &'static str {
        match self {
            Self::One => "",
            Self::Spaces => ", separated by spaces",
            Self::Commas => ", separated by commas",
        }
    }
}

/// A column of words, whatever their type.
pub trait Column {
    /// Its name in `clients`.
    fn name(&self) -> &'static str;

    /// The words that this version knows.
    fn words(&self) -> &'static [&'static str];

    /// What is wrong with the text of a row, if anything is.
    fn fault(&self, text: &str) -> Option<RowFault>;
}

/// A column whose words are the values of `W`.
#[derive(Debug)]
pub struct WordColumn<W> {
    name: &'static str,
    form: Form,
    words: PhantomData<W>,
}

impl<W: Word> WordColumn<W> {
    /// That column.
    #[must_use]
    pub const fn new(name: &'static str, form: Form) -> Self {
        Self { name, form, words: PhantomData }
    }

    /// Reads the text as one word, compared exactly.
    ///
    /// # Errors
    /// The word is not one that this version knows.
    pub fn read(&self, text: &str) -> Result<W, RowFault> {
        W::of_word(text).ok_or_else(|| unknown(self, self.form, text))
    }

    /// Reads the text as a list, which may be empty.
    ///
    /// # Errors
    /// One of its words is not one that this version knows.
    pub fn read_list(&self, text: &str) -> Result<Vec<W>, RowFault> {
        self.form.items(text).into_iter().map(|word| self.read(word)).collect()
    }
}

impl<W: Word> Column for WordColumn<W> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn words(&self) -> &'static [&'static str] {
        W::WORDS
    }

    fn fault(&self, text: &str) -> Option<RowFault> {
        self.read_list(text).err()
    }
}

fn unknown(column: &impl Column, form: Form, found: &str) -> RowFault {
    let (name, words) = (column.name(), column.words());
    let shown: String = found.chars().take(SHOWN).collect();
    let more = if shown.len() < found.len() { "…" } else { "" };
    let lower = shown.to_lowercase();
    // Two slips of the pen, or another case.
    let near = words.iter().find(|word| strsim::levenshtein(&lower, &word.to_lowercase()) <= 2);
    let near = near.map(|word| format!("did you mean {word}? ")).unwrap_or_default();
    let one_of = if words.len() > 1 { "one of " } else { "" };
    RowFault {
        why: format!("{name} has the unknown word {shown:?}{more}"),
        fix: format!("{near}this version knows {one_of}{}{}", words.join(", "), form.separated()),
    }
}

/// Reads `clients.scope`.
///
/// # Errors
/// A character outside [RFC 6749 section 3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3).
pub fn scope(text: &str) -> Result<Scope, RowFault> {
    Scope::parse(text).map_err(|why| RowFault {
        why: why.to_owned(),
        fix: "separate the scopes by spaces, such as openid profile email".to_owned(),
    })
}
