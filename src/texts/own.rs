//! An operator's own texts: a catalog for a language, read and compared with the English one. Who reads the files is `config`.
//!
//! What is wrong by itself stops the start: it is no Fluent, or names what is not in the file (`parts`). What does not fit this version
//! does not, as a version may know other texts than the one before: such a text is left out, and told.

mod parts;

use super::{Layer, PLACEHOLDERS, SOURCES};
use fluent_bundle::FluentResource;
use fluent_syntax::parser::ErrorKind;
use parts::{Fault, Known, find, parts};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::{Arc, LazyLock};
use unic_langid::LanguageIdentifier;

/// What a file of texts ends with.
const EXTENSION: &str = ".ftl";
/// How deep braces may be within each other.
const DEEPEST_BRACES: usize = 20;
/// How many of a list are named.
const MOST_NAMED: usize = 5;

/// What finds the key that was probably meant.
type Nearest = fn(&str) -> Option<&'static str>;

/// A key, with the attribute.
type Place = (String, Option<String>);

/// What is put into a text that there is.
struct Variables {
    all: BTreeSet<String>,
    /// Those that decide a plural.
    numbers: BTreeSet<String>,
}

/// Each text that there is.
static KNOWN: LazyLock<BTreeMap<Place, Variables>> = LazyLock::new(|| {
    let resource = FluentResource::try_new(SOURCES[0].1.to_owned()).unwrap_or_else(|(resource, _)| resource);
    let owned = |names: &BTreeSet<&str>| names.iter().map(|name| (*name).to_owned()).collect();
    let texts = parts(&resource).unwrap_or_default().into_iter().map(|(part, pattern)| {
        let mut named = parts::Named::default();
        named.of_pattern(pattern);
        let parts::Contents { shown, chosen_by, .. } = named.contents;
        let all = shown.union(&chosen_by).copied().collect();
        let place = (part.name.to_owned(), part.attribute.map(str::to_owned));
        (place, Variables { all: owned(&all), numbers: owned(&chosen_by) })
    });
    texts.collect()
});
static KEYS: LazyLock<Vec<String>> = LazyLock::new(|| KNOWN.keys().map(in_words).collect());

/// The key of each text that there is, with the attribute.
pub fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(String::as_str)
}

/// An operator's own texts; by default none.
#[derive(Clone, Default)]
pub struct OwnTexts {
    files: Vec<OwnFile>,
    remarks: Vec<Remark>,
}

#[derive(Clone)]
struct OwnFile {
    name: String,
    layer: Arc<Layer>,
    /// What it says of what there is.
    has: Arc<BTreeSet<Place>>,
    /// The keys of all that is in it.
    keys: Arc<BTreeSet<String>>,
}

impl fmt::Debug for OwnTexts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.files.iter().map(|file| &file.name)).finish()
    }
}

/// Why a file of texts cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum TextsFault {
    /// Its name is no language.
    #[error("{file} is named after no language; name it as BCP 47 writes one, such as fr.ftl or pt-BR.ftl")]
    NoLanguage {
        /// Its name.
        file: String,
    },
    /// Two files are of one language.
    #[error("{file} and {other} are of one language")]
    Twice {
        /// One of them.
        file: String,
        /// The other.
        other: String,
    },
    /// Something in it.
    #[error("{file}, line {line}: {why}")]
    Wrong {
        /// Its name.
        file: String,
        /// From 1.
        line: usize,
        /// What.
        why: Wrong,
    },
}

/// What is wrong in a file of texts.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// It is no Fluent.
    #[error("not Fluent: {cause}")]
    Syntax {
        /// What the parser says.
        cause: ErrorKind,
    },
    /// Braces are too deep within each other.
    #[error("braces are more than {DEEPEST_BRACES} deep within each other")]
    TooDeep,
    /// A text and a term have one name.
    #[error("{name} is the name of a text and of a term; give the term another one")]
    TextAndTerm {
        /// It.
        name: String,
    },
    /// A term shows what it is not given.
    #[error(
        "{key} names {name} without its ${variable}; write {name}({variable}: …), as a term has none of the text's own"
    )]
    NotGiven {
        /// Its key.
        key: String,
        /// The term.
        name: String,
        /// The variable.
        variable: String,
    },
    /// It is put together of too much.
    #[error("{key} is put together of too many parts")]
    TooMuch {
        /// Its key.
        key: String,
    },
    /// One text is there twice.
    #[error("{key} is there twice")]
    Twice {
        /// Its key.
        key: String,
    },
    /// It names a text or a term that the file has not.
    #[error("{key} names {name}, which is not in this file")]
    Nowhere {
        /// Its key.
        key: String,
        /// What it names.
        name: String,
    },
    /// It names itself, over others or not.
    #[error("{key} names {name}, and that names it again")]
    Itself {
        /// Its key.
        key: String,
        /// What it names.
        name: String,
    },
    /// There are no functions.
    #[error("{key} calls {name}; there are no functions")]
    Function {
        /// Its key.
        key: String,
        /// What it calls.
        name: String,
    },
    /// A character that no text has.
    #[error("the character U+{code:04X} is for private use, and no text may have it")]
    Character {
        /// Its number.
        code: u32,
    },
}

/// What an operator is told of their texts, which are used all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Remark {
    /// There is no such text.
    UnknownText {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// The key, with the attribute.
        key: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// A text has a variable that is not put into it, and is left out.
    UnknownVariable {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// The key, with the attribute.
        key: String,
        /// The variable.
        variable: String,
        /// Those that are put in.
        known: Vec<String>,
    },
    /// A text chooses a variant by a name, which is not always put in as it is.
    ChosenByName {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// The key, with the attribute.
        key: String,
        /// The variable.
        variable: String,
    },
    /// A language has not all texts.
    Lacking {
        /// The language.
        language: String,
        /// Their keys, with the attribute.
        keys: Vec<String>,
        /// The keys of those of which its file has a part, or one that is left out.
        in_part: Vec<String>,
    },
    /// A file is of a language that people cannot read.
    NotOffered {
        /// The file.
        file: String,
    },
    /// A file is nothing that is read.
    NotRead {
        /// The file.
        file: String,
    },
}

impl fmt::Display for Remark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownText { file, line, key, nearest } => {
                write!(formatter, "{file}, line {line}: no page and no mail has a text {key}")?;
                nearest.map_or(Ok(()), |nearest| write!(formatter, ". Did you mean {nearest}?"))
            }
            Self::UnknownVariable { file, line, key, variable, known } => {
                write!(formatter, "{file}, line {line}: {key} has a variable ${variable}, and is left out; ")?;
                match known.as_slice() {
                    [] => formatter.write_str("nothing is put into that text"),
                    known => write!(formatter, "what is put in is ${}", known.join(", $")),
                }
            }
            Self::ChosenByName { file, line, key, variable } => {
                write!(
                    formatter,
                    "{file}, line {line}: {key} is another by ${variable}, which is a name, and is left out; numbers alone can decide that"
                )
            }
            Self::Lacking { language, keys, .. } => {
                let named = keys[..keys.len().min(MOST_NAMED)].join(", ");
                let more = keys.len().saturating_sub(MOST_NAMED);
                let count = if keys.len() == 1 { "one text".to_owned() } else { format!("{} texts", keys.len()) };
                write!(formatter, "{language} lacks {count}, for which another language is read: {named}")?;
                if more > 0 { write!(formatter, " and {more} more") } else { Ok(()) }
            }
            Self::NotOffered { file } => {
                write!(formatter, "{file} is of a language that HALLPASS_LANGUAGES does not name, and is not used")
            }
            Self::NotRead { file } => {
                write!(
                    formatter,
                    "{file} is neither a catalog (such as fr.ftl) nor mail.html nor mail.txt, and is not used"
                )
            }
        }
    }
}

impl OwnTexts {
    /// Reads catalogs by the names of their files; `nearest` gives the key that was probably meant by one that there is not.
    ///
    /// # Errors
    /// One of them cannot be taken.
    pub fn of(files: Vec<(String, String)>, nearest: Nearest) -> Result<Self, TextsFault> {
        let mut own = Self::default();
        for (name, source) in files {
            let (file, remarks) = read(name, source, nearest)?;
            if let Some(other) = own.files.iter().find(|other| other.layer.language == file.layer.language) {
                return Err(TextsFault::Twice { file: file.name, other: other.name.clone() });
            }
            own.files.push(file);
            own.remarks.extend(remarks);
        }
        Ok(own)
    }

    /// Whether a file of that name is a catalog.
    #[must_use]
    pub fn is_catalog(name: &str) -> bool {
        name.ends_with(EXTENSION)
    }

    /// What has to be told of them, where people can read these languages.
    #[must_use]
    pub fn remarks(&self, languages: &super::Languages) -> Vec<Remark> {
        self.remarks.iter().cloned().chain(languages.compared(self)).collect()
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &LanguageIdentifier)> {
        self.files.iter().map(|file| (file.name.as_str(), &file.layer.language))
    }

    pub(super) fn layer(&self, language: &LanguageIdentifier) -> Option<Arc<Layer>> {
        self.files.iter().find(|file| file.layer.language == *language).map(|file| file.layer.clone())
    }

    /// The texts that none of these layers has, of a language that an operator has written a part of.
    pub(super) fn lacking(&self, language: &LanguageIdentifier, layers: &[Arc<Layer>]) -> Option<Remark> {
        let of_own = |layer: &Arc<Layer>| self.files.iter().find(|file| Arc::ptr_eq(&file.layer, layer));
        let own: Vec<&OwnFile> = layers.iter().map(of_own).collect::<Option<_>>()?;
        let has = |place: &&Place| own.iter().any(|file| file.has.contains(*place));
        let lacking: Vec<&Place> = KNOWN.keys().filter(|place| !has(place)).collect();
        let file = self.files.iter().find(|file| file.layer.language == *language);
        let is_in_part = |key: &&String| file.is_some_and(|file| file.keys.contains(*key));
        let in_part: BTreeSet<&String> = lacking.iter().map(|(key, _)| key).filter(is_in_part).collect();
        (!lacking.is_empty()).then(|| Remark::Lacking {
            language: language.to_string(),
            in_part: in_part.into_iter().cloned().collect(),
            keys: lacking.into_iter().map(in_words).collect(),
        })
    }
}

fn in_words((key, attribute): &Place) -> String {
    attribute.as_ref().map_or_else(|| key.clone(), |attribute| format!("{key}.{attribute}"))
}

fn read(name: String, source: String, nearest: Nearest) -> Result<(OwnFile, Vec<Remark>), TextsFault> {
    let stem = name.strip_suffix(EXTENSION).unwrap_or(&name);
    let language = stem.parse::<LanguageIdentifier>().ok().filter(|language| !language.language.is_empty());
    let Some(language) = language else { return Err(TextsFault::NoLanguage { file: name }) };
    let wrong = |line: usize, why: Wrong| TextsFault::Wrong { file: name.clone(), line, why };
    for (at, line) in source.lines().enumerate() {
        if let Some(character) = line.chars().find(|c| is_private(*c)) {
            return Err(wrong(at + 1, Wrong::Character { code: character.into() }));
        }
    }
    if let Some(at) = too_deep(&source) {
        return Err(wrong(line_at(&source, at), Wrong::TooDeep));
    }
    let resource = FluentResource::try_new(source).map_err(|(resource, errors)| {
        let (source, first) = (resource.source(), errors.into_iter().next());
        // What is missing is missed behind the empty lines that follow.
        let before = first.as_ref().and_then(|error| source.get(..error.pos.start)).unwrap_or(source).trim_end();
        let cause = first.map_or(ErrorKind::MissingValue, |error| error.kind);
        wrong(line_at(source, before.len()), Wrong::Syntax { cause })
    })?;
    let source = resource.source();
    let wrong_at = |(place, why): Fault<'_>| wrong(line_of(source, place), why);
    let parts = parts(&resource).map_err(wrong_at)?;
    let mut contents = Known::new();
    for part in parts.keys() {
        find(*part, &parts, &mut Vec::new(), &mut contents).map_err(wrong_at)?;
    }
    let (mut has, mut left_out, mut remarks) = (BTreeSet::new(), HashSet::new(), Vec::new());
    for (part, contents) in contents.iter().filter(|(part, _)| !part.is_term) {
        let place: Place = (part.name.to_owned(), part.attribute.map(str::to_owned));
        let (file, line, key) = (name.clone(), line_of(source, part.place()), in_words(&place));
        let Some(known) = KNOWN.get(&place) else {
            let nearest = nearest(&key);
            remarks.push(Remark::UnknownText { file, line, key, nearest });
            continue;
        };
        let mut all = contents.shown.union(&contents.chosen_by);
        if let Some(variable) = all.find(|variable| !known.all.contains(**variable)) {
            let (variable, known) = ((*variable).to_owned(), known.all.iter().cloned().collect());
            remarks.push(Remark::UnknownVariable { file, line, key, variable, known });
            left_out.insert(place);
        } else if let Some(variable) = contents.chosen_by.iter().find(|variable| !known.numbers.contains(**variable)) {
            remarks.push(Remark::ChosenByName { file, line, key, variable: (*variable).to_owned() });
            left_out.insert(place);
        } else {
            has.insert(place);
        }
    }
    let keys = parts.keys().map(|part| part.name.to_owned()).collect();
    // Each name is there once.
    let (layer, _) = Layer::of(language, resource, left_out);
    Ok((OwnFile { name, layer: Arc::new(layer), has: Arc::new(has), keys: Arc::new(keys) }, remarks))
}

/// Whether a character stands for a variable while a text is taken apart.
fn is_private(character: char) -> bool {
    PLACEHOLDERS.iter().any(|placeholder| placeholder.starts_with(character))
}

/// Where braces are too deep within each other to be read. A line that is not indented begins anew.
fn too_deep(source: &str) -> Option<usize> {
    let (mut depth, mut is_new_line) = (0_usize, true);
    source.char_indices().find_map(|(at, character)| {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if is_new_line && !character.is_whitespace() => depth = 0,
            _ => {}
        }
        is_new_line = character == '\n';
        (depth > DEEPEST_BRACES).then_some(at)
    })
}

/// The line of a place in a text, from 1.
fn line_at(source: &str, place: usize) -> usize {
    source.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1
}

/// The line, from 1, of a part of the source.
fn line_of(source: &str, part: &str) -> usize {
    line_at(source, part.as_ptr().addr().wrapping_sub(source.as_ptr().addr()).min(source.len()))
}

#[cfg(test)]
mod tests;
