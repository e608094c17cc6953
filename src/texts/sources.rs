//! The catalogs that are part of the binary, as they are written, text by text: what an operator's own begin with.

use super::SOURCES;

/// A catalog that is part of the binary, as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its language.
    pub language: &'static str,
    /// All of it.
    pub whole: &'static str,
}

/// A text as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// Its key.
    pub key: &'static str,
    /// Its lines: the comment above it, and its attributes.
    pub source: &'static str,
}

/// Each catalog that is part of the binary.
pub fn sources() -> impl Iterator<Item = Source> {
    SOURCES.iter().map(|(language, whole)| Source { language, whole })
}

impl Source {
    /// Each text of it. The catalogs are our own, and a test keeps them in the form that is read here.
    #[must_use]
    pub fn texts(&self) -> Vec<SourceText> {
        let mut texts = Vec::new();
        // Where the comment above the next text begins, and the text that is not at its end yet.
        let (mut comment, mut open): (Option<usize>, Option<(&'static str, usize)>) = (None, None);
        let mut at = 0;
        for line in self.whole.split_inclusive('\n') {
            if !line.starts_with([' ', '}', '\n'])
                && let Some((key, from)) = open.take()
            {
                texts.push(SourceText { key, source: self.whole[from..at].trim_end() });
            }
            match line.split_once(" =") {
                _ if line.starts_with("# ") => comment = comment.or(Some(at)),
                Some((key, _)) if !line.starts_with([' ', '#']) => open = Some((key, comment.take().unwrap_or(at))),
                _ if line.trim().is_empty() || line.starts_with('#') => comment = None,
                _ => {}
            }
            at += line.len();
        }
        texts.extend(open.map(|(key, from)| SourceText { key, source: self.whole[from..].trim_end() }));
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluent_syntax::ast::Entry;
    use fluent_syntax::parser::parse;

    #[test]
    fn a_catalog_is_taken_apart_into_its_texts() {
        for source in sources() {
            let texts = source.texts();
            let messages = |text: &'static str| {
                let body = parse(text).unwrap().body.into_iter();
                body.filter(|entry| matches!(entry, Entry::Message(_))).collect::<Vec<_>>()
            };
            let all = messages(source.whole);
            assert!(all.len() > 300 && texts.len() == all.len(), "{}", source.language);
            for (text, whole) in texts.iter().zip(&all) {
                // With its comment, and nothing else.
                assert_eq!(messages(text.source).as_slice(), std::slice::from_ref(whole), "{}", text.key);
                let Entry::Message(message) = whole else { panic!("{}", text.key) };
                assert_eq!(message.id.name, text.key);
            }
        }
    }
}
