//! What the texts of a file name: variables, each other, terms. Whatever is named has to be there, so that no one ever reads a placeholder.

use super::Wrong;
use fluent_bundle::FluentResource;
use fluent_syntax::ast::{CallArguments, Entry, Expression, Identifier, InlineExpression, Pattern, PatternElement};
use fluent_syntax::unicode::unescape_unicode_to_string;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How deep texts of a file may name each other.
const DEEPEST: usize = 20;
/// How much may be put into one text in all its variants, by the texts that it names as well: where it is shown, Fluent stops at as many.
const MOST_PLACEABLES: usize = 90;

/// A text, a term or an attribute of one, as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part<'a> {
    pub is_term: bool,
    pub name: &'a str,
    pub attribute: Option<&'a str>,
}

impl<'a> Part<'a> {
    /// What of it is told the line of.
    pub fn place(&self) -> &'a str {
        self.attribute.unwrap_or(self.name)
    }
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_term, name, attribute } = self;
        write!(formatter, "{}{name}", if *is_term { "-" } else { "" })?;
        attribute.map_or(Ok(()), |attribute| write!(formatter, ".{attribute}"))
    }
}

/// What is wrong, and which part of the file it is about.
pub(super) type Fault<'a> = (&'a str, Wrong);

/// All parts of a file, and what each says.
pub(super) type Parts<'a, 'b> = BTreeMap<Part<'a>, &'b Pattern<&'a str>>;

/// The parts of a file, each of which is there once. Texts and terms share their names: Fluent keeps one of each.
///
/// # Errors
/// A name is there twice.
pub(super) fn parts(resource: &FluentResource) -> Result<Parts<'_, '_>, Fault<'_>> {
    let mut parts = BTreeMap::new();
    let mut names: BTreeMap<&str, bool> = BTreeMap::new();
    for entry in resource.entries() {
        let (is_term, name, value, attributes) = match entry {
            Entry::Message(it) => (false, it.id.name, it.value.as_ref(), &it.attributes),
            Entry::Term(it) => (true, it.id.name, Some(&it.value), &it.attributes),
            _ => continue,
        };
        let part = |attribute| Part { is_term, name, attribute };
        match names.insert(name, is_term) {
            None => {}
            Some(before) if before == is_term => return Err((name, Wrong::Twice { key: part(None).to_string() })),
            Some(_) => return Err((name, Wrong::TextAndTerm { name: name.to_owned() })),
        }
        parts.extend(value.map(|value| (part(None), value)));
        for attribute in attributes {
            let part = part(Some(attribute.id.name));
            if parts.insert(part, &attribute.value).is_some() {
                return Err((part.place(), Wrong::Twice { key: part.to_string() }));
            }
        }
    }
    Ok(parts)
}

/// What is put into a part, with what is put into those that it names.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents<'a> {
    /// Variables that are shown.
    pub shown: BTreeSet<&'a str>,
    /// Variables by which a variant is chosen.
    pub chosen_by: BTreeSet<&'a str>,
    count: usize,
}

/// The contents of the parts of a file, as far as they are known.
pub(super) type Known<'a> = BTreeMap<Part<'a>, Contents<'a>>;

/// Finds the contents of a part and of those that it names. A term has variables of its own.
///
/// # Errors
/// It names what the file has not, or itself; calls a function; shows a variable that a term is not given; is put together of too much.
pub(super) fn find<'a>(
    part: Part<'a>,
    parts: &Parts<'a, '_>,
    above: &mut Vec<Part<'a>>,
    known: &mut Known<'a>,
) -> Result<(), Fault<'a>> {
    if known.contains_key(&part) {
        return Ok(());
    }
    let mut named = Named::default();
    if let Some(pattern) = parts.get(&part) {
        named.of_pattern(pattern);
    }
    let (key, place) = (part.to_string(), part.place());
    if let Some(name) = named.functions.first() {
        return Err((place, Wrong::Function { key, name: (*name).to_owned() }));
    }
    if let Some(code) = named.private {
        return Err((place, Wrong::Character { code }));
    }
    above.push(part);
    let mut contents = named.contents;
    for (other, given) in named.parts {
        let name = other.to_string();
        // As it is where it is written, not where it is named: its line is told.
        let Some((&other, _)) = parts.get_key_value(&other) else {
            return Err((place, Wrong::Nowhere { key, name }));
        };
        if above.contains(&other) || above.len() == DEEPEST {
            return Err((place, Wrong::Itself { key, name }));
        }
        find(other, parts, above, known)?;
        let Some(theirs) = known.get(&other) else { continue };
        contents.count += theirs.count;
        if !other.is_term {
            contents.shown.extend(&theirs.shown);
            contents.chosen_by.extend(&theirs.chosen_by);
        } else if let Some(variable) = theirs.shown.iter().find(|variable| !given.contains(**variable)) {
            return Err((place, Wrong::NotGiven { key, name, variable: (*variable).to_owned() }));
        }
    }
    above.pop();
    if contents.count > MOST_PLACEABLES {
        return Err((place, Wrong::TooMuch { key }));
    }
    known.insert(part, contents);
    Ok(())
}

/// What a text names, in whichever of its variants.
#[derive(Default)]
pub(super) struct Named<'a> {
    pub contents: Contents<'a>,
    /// Texts and terms, with the arguments that a term is given.
    parts: Vec<(Part<'a>, BTreeSet<&'a str>)>,
    functions: BTreeSet<&'a str>,
    /// A character of private use, written as an escape.
    private: Option<u32>,
}

impl<'a> Named<'a> {
    pub fn of_pattern(&mut self, pattern: &Pattern<&'a str>) {
        for element in &pattern.elements {
            if let PatternElement::Placeable { expression } = element {
                self.of_expression(expression);
            }
        }
    }

    fn of_expression(&mut self, expression: &Expression<&'a str>) {
        self.contents.count += 1;
        match expression {
            Expression::Inline(inline) => self.of_inline(inline),
            Expression::Select { selector: InlineExpression::VariableReference { id }, variants } => {
                self.contents.chosen_by.insert(id.name);
                for variant in variants {
                    self.of_pattern(&variant.value);
                }
            }
            Expression::Select { selector, variants } => {
                self.of_inline(selector);
                for variant in variants {
                    self.of_pattern(&variant.value);
                }
            }
        }
    }

    fn of_inline(&mut self, inline: &InlineExpression<&'a str>) {
        match inline {
            InlineExpression::NumberLiteral { .. } => {}
            InlineExpression::StringLiteral { value } => {
                let character = unescape_unicode_to_string(value).chars().find(|c| super::is_private(*c));
                self.private = self.private.or(character.map(u32::from));
            }
            InlineExpression::VariableReference { id } => drop(self.contents.shown.insert(id.name)),
            InlineExpression::MessageReference { id, attribute } => self.of_part(false, id, attribute.as_ref(), None),
            InlineExpression::TermReference { id, attribute, arguments } => {
                self.of_part(true, id, attribute.as_ref(), arguments.as_ref());
            }
            InlineExpression::FunctionReference { id, .. } => drop(self.functions.insert(id.name)),
            InlineExpression::Placeable { expression } => self.of_expression(expression),
        }
    }

    fn of_part(
        &mut self,
        is_term: bool,
        id: &Identifier<&'a str>,
        attribute: Option<&Identifier<&'a str>>,
        arguments: Option<&CallArguments<&'a str>>,
    ) {
        let attribute = attribute.map(|attribute| attribute.name);
        let mut given = BTreeSet::new();
        for argument in arguments.into_iter().flat_map(|arguments| &arguments.named) {
            given.insert(argument.name.name);
            self.of_inline(&argument.value);
        }
        self.parts.push((Part { is_term, name: id.name, attribute }, given));
    }
}
