//! The languages that people can read, and which of them is for whom.
//!
//! Where a language has no text of its own for a key, the more general one of the same script has it (`de` for `de-CH`, not `zh` for
//! `zh-Hant`), else the default language, else English, which has all.

use super::own::OwnTexts;
use super::{BUILT_IN, Catalog, Layer, SOURCES};
use fluent_langneg::{NegotiationStrategy, negotiate_languages};
use std::sync::Arc;
use unic_langid::LanguageIdentifier;

/// How many languages that a person asks for are looked at, and how long one may be, in bytes.
const MOST_WISHES: usize = 20;
const MOST_WISH: usize = 35;
/// How many languages there may be: what is told of them is part of the metadata.
const MOST_LANGUAGES: usize = 100;

/// The languages that people can read here, the first of which is the default.
#[derive(Clone, Debug)]
pub struct Languages {
    catalogs: Vec<Arc<Catalog>>,
    offered: Vec<LanguageIdentifier>,
}

/// Why a list of languages cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LanguagesFault {
    /// None of them.
    #[error("must be one language or more, with commas between them, such as en,de")]
    Empty,
    /// More than anyone has texts for.
    #[error("has more than {MOST_LANGUAGES} languages")]
    TooMany,
    /// One that there are no texts in.
    #[error("there are no texts in {language:?}; there are some in {known}")]
    Unknown {
        /// It.
        language: String,
        /// Those that there are texts in.
        known: String,
    },
    /// One twice.
    #[error("{language} is in the list twice")]
    Twice {
        /// It.
        language: String,
    },
}

impl Languages {
    /// Reads a list with commas, in the order in which they are wanted where a person asks for none of them. An operator's own
    /// texts come before those that are part of the binary.
    ///
    /// # Errors
    /// There is none, there are too many, one without texts, or one twice.
    pub fn of(list: &str, own: &OwnTexts) -> Result<Self, LanguagesFault> {
        let mut named: Vec<(LanguageIdentifier, Vec<Arc<Layer>>)> = Vec::new();
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let language = name.parse::<LanguageIdentifier>().ok();
            let layers = language.as_ref().map(|language| layers_of(language, own)).unwrap_or_default();
            let Some(language) = language.filter(|_| !layers.is_empty()) else {
                return Err(LanguagesFault::Unknown { language: name.to_owned(), known: known(own) });
            };
            if named.iter().any(|(other, _)| *other == language) {
                return Err(LanguagesFault::Twice { language: language.to_string() });
            }
            if named.len() == MOST_LANGUAGES {
                return Err(LanguagesFault::TooMany);
            }
            named.push((language, layers));
        }
        let Some((_, default)) = named.first() else { return Err(LanguagesFault::Empty) };
        let instead: Vec<Arc<Layer>> = default.iter().cloned().chain(layers_of(&BUILT_IN[0].language, own)).collect();
        let catalogs = named.iter().map(|(language, layers)| {
            let mut layers = layers.clone();
            for layer in &instead {
                if !layers.iter().any(|known| Arc::ptr_eq(known, layer)) {
                    layers.push(layer.clone());
                }
            }
            Arc::new(Catalog::of(language, layers))
        });
        Ok(Self { catalogs: catalogs.collect(), offered: named.iter().map(|(language, _)| language.clone()).collect() })
    }

    /// The first of the wishes that can be met, else the default. A wish is a language range
    /// ([RFC 4647 section 2](https://www.rfc-editor.org/rfc/rfc4647#section-2)), which a more general or a more special language
    /// meets as well, of several the one that is most like it; what is none is passed over.
    #[must_use]
    pub fn best<'a>(&self, wishes: impl Iterator<Item = &'a str>) -> Arc<Catalog> {
        let met = wishes.take(MOST_WISHES).filter_map(identifier).find_map(|wish| self.most_like(&wish));
        self.catalogs[met.unwrap_or(0)].clone()
    }

    /// Where the one is that meets a wish, and is most like it.
    fn most_like(&self, wish: &LanguageIdentifier) -> Option<usize> {
        let met = negotiate_languages(&[wish], &self.offered, None, NegotiationStrategy::Filtering);
        let wished = likely(wish);
        let likeness = |offered: &LanguageIdentifier| {
            let likely = likely(offered);
            let (script, region) = (likely.script == wished.script, likely.region == wished.region);
            (script, offered == wish, region)
        };
        // Of several that are as much like it, the first.
        let best = met.into_iter().rev().max_by_key(|offered| likeness(offered))?;
        self.offered.iter().position(|offered| offered == best)
    }

    /// The texts of each, the default first.
    pub fn catalogs(&self) -> impl Iterator<Item = &Catalog> {
        self.catalogs.iter().map(|catalog| &**catalog)
    }

    /// Each, as BCP 47 writes it, the default first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.catalogs.iter().map(|catalog| catalog.language())
    }

    /// What an operator's own texts have to be told of, beside what is wrong in each of them: files for no language that people
    /// can read, and languages that lack texts.
    pub(super) fn compared(&self, own: &OwnTexts) -> Vec<super::Remark> {
        let is_read =
            |language: &LanguageIdentifier| self.offered.iter().any(|it| general(it).any(|it| it == *language));
        let unread = own.files().filter(|(_, language)| !is_read(language));
        let unread = unread.map(|(file, _)| super::Remark::NotOffered { file: file.to_owned() });
        let lacking = self.offered.iter().filter_map(|language| own.lacking(language, &layers_of(language, own)));
        unread.chain(lacking).collect()
    }
}

/// The language, and those that are more general and written in the same script.
fn general(language: &LanguageIdentifier) -> impl Iterator<Item = LanguageIdentifier> {
    let (name, script) = (language.to_string(), likely(language).script);
    let ends: Vec<usize> = name.match_indices('-').map(|(at, _)| at).chain([name.len()]).collect();
    let named = ends.into_iter().rev().filter_map(move |end| name[..end].parse().ok());
    named.filter(move |general| likely(general).script == script)
}

/// With the script and the region that the language has where none are said.
fn likely(language: &LanguageIdentifier) -> LanguageIdentifier {
    let mut likely = language.clone();
    likely.maximize();
    likely
}

/// The texts of a language, the most special and an operator's own first.
fn layers_of(language: &LanguageIdentifier, own: &OwnTexts) -> Vec<Arc<Layer>> {
    let of_both = |language: LanguageIdentifier| {
        let built_in = BUILT_IN.iter().find(|layer| layer.language == language).cloned();
        own.layer(&language).into_iter().chain(built_in)
    };
    general(language).flat_map(of_both).collect()
}

fn known(own: &OwnTexts) -> String {
    let mut names: Vec<String> = SOURCES.iter().map(|(name, _)| (*name).to_owned()).collect();
    for (_, language) in own.files() {
        if !names.contains(&language.to_string()) {
            names.push(language.to_string());
        }
    }
    let last = names.pop().unwrap_or_default();
    format!("{} and {last}", names.join(", "))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &str) -> Languages {
        Languages::of(list, &OwnTexts::default()).unwrap()
    }

    #[test]
    fn a_person_reads_the_first_language_asked_for_that_there_is() {
        let languages = of("en,de");
        let best = |wishes: &[&str]| languages.best(wishes.iter().copied()).language().to_owned();
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
        assert_eq!(of("de").best(["en"].into_iter()).language(), "de");
    }

    #[test]
    fn of_several_that_meet_a_wish_the_one_is_read_that_is_most_like_it() {
        let own = own(&[
            ("zh.ftl", ""),
            ("zh-Hant.ftl", ""),
            ("sr.ftl", ""),
            ("sr-Latn.ftl", ""),
            ("pt.ftl", ""),
            ("pt-PT.ftl", ""),
        ]);
        for list in ["en,zh,zh-Hant,sr,sr-Latn,pt,pt-PT,de", "en,pt-PT,pt,sr-Latn,sr,zh-Hant,zh,de"] {
            let languages = Languages::of(list, &own).unwrap();
            for (wish, read) in [
                ("zh-TW", "zh-Hant"),
                ("zh-Hant-HK", "zh-Hant"),
                ("zh-HK", "zh-Hant"),
                ("zh-CN", "zh"),
                ("zh", "zh"),
                ("sr-Latn-RS", "sr-Latn"),
                ("sr-RS", "sr"),
                ("pt-BR", "pt"),
                ("pt-PT", "pt-PT"),
                ("pt", "pt"),
                ("de-CH", "de"),
                ("en-AU", "en"),
            ] {
                assert_eq!(languages.best([wish].into_iter()).language(), read, "{wish} of {list}");
            }
        }
    }

    #[test]
    fn another_script_is_no_more_general_language() {
        let own =
            own(&[("zh.ftl", "login-cancel = A\n"), ("zh-Hant.ftl", ""), ("zh-Hant-TW.ftl", "login-sign-in = B\n")]);
        let languages = Languages::of("en,zh-Hant-TW,zh-CN", &own).unwrap();
        let said = |wish: &str| languages.best([wish].into_iter()).text("login-cancel").to_string();
        assert_eq!((said("zh-TW"), said("zh-CN")), ("Cancel".to_owned(), "A".to_owned()));
    }

    #[test]
    fn a_list_of_languages_has_each_once_and_texts_for_each() {
        let names = |list: &str| {
            let languages = Languages::of(list, &OwnTexts::default()).map_err(|fault| fault.to_string());
            languages.map(|languages| languages.names().map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(names("de, EN"), Ok(vec!["de".to_owned(), "en".to_owned()]));
        // One that is more special has the texts of the other.
        assert_eq!(names("de-ch,en"), Ok(vec!["de-CH".to_owned(), "en".to_owned()]));
        for (list, why) in [
            ("", "one language or more"),
            (" , ", "one language or more"),
            ("en,xx", "no texts in \"xx\"; there are some in en and de"),
            ("en,d\u{e9}", "no texts in"),
            ("de,DE", "twice"),
        ] {
            assert!(names(list).unwrap_err().contains(why), "{list}: {:?}", names(list));
        }
    }

    fn own(files: &[(&str, &str)]) -> OwnTexts {
        let files = files.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned()));
        OwnTexts::of(files.collect(), |_| None).unwrap()
    }

    #[test]
    fn a_text_comes_from_the_most_special_language_that_has_it() {
        let own = own(&[
            ("de-CH.ftl", "login-sign-in = Aamälde\n"),
            ("de.ftl", "login-sign-in = Einloggen\nlogin-cancel = Zurück\n"),
            ("fr.ftl", "login-sign-in = Se connecter\n"),
        ]);
        let said = |list: &str, wish: &str| {
            let catalog = Languages::of(list, &own).unwrap().best([wish].into_iter());
            ["login-sign-in", "login-cancel", "login-password"].map(|key| catalog.text(key).to_string())
        };
        assert_eq!(said("en,de-CH", "de-CH"), ["Aamälde", "Zurück", "Passwort"]);
        assert_eq!(said("en,de", "de-CH"), ["Einloggen", "Zurück", "Passwort"]);
        // What it has not, the default language says, and what that has not, English.
        assert_eq!(said("de,fr", "fr"), ["Se connecter", "Zurück", "Passwort"]);
        assert_eq!(said("en,fr", "fr"), ["Se connecter", "Cancel", "Password"]);
        assert_eq!(said("fr", "fr"), ["Se connecter", "Cancel", "Password"]);
        let own_english = self::own(&[("en.ftl", "login-cancel = Leave\n"), ("fr.ftl", "")]);
        let french = Languages::of("fr", &own_english).unwrap().best(std::iter::empty());
        assert_eq!(french.text("login-cancel").to_string(), "Leave");
        assert_eq!(said("en,de,fr", "it"), ["Sign in", "Cancel", "Password"]);
    }

    #[test]
    fn a_language_of_an_operator_has_its_own_plurals() {
        let own = own(&[(
            "pl.ftl",
            "login-wait-seconds =\n    { $seconds ->\n        [one] jedna\n        [few] kilka\n       *[many] wiele\n    }\n",
        )]);
        let polish = Languages::of("en,pl", &own).unwrap().best(["pl"].into_iter());
        let said = |seconds| polish.text("login-wait-seconds").counting("seconds", seconds).to_string();
        assert_eq!([1, 2, 5, 22].map(said), ["jedna", "kilka", "wiele", "kilka"]);
    }

    #[test]
    fn a_language_says_in_which_direction_it_is_written() {
        use super::super::Direction;
        let own = own(&[("ar.ftl", ""), ("he-IL.ftl", ""), ("az.ftl", ""), ("az-Arab.ftl", ""), ("ja.ftl", "")]);
        let all = Languages::of("en,de-CH,ar,he-IL,az,az-Arab,ja", &own).unwrap();
        let left: Vec<&str> = all
            .catalogs
            .iter()
            .filter(|catalog| catalog.direction() == Direction::RightToLeft)
            .map(|catalog| catalog.language())
            .collect();
        assert_eq!(left, ["ar", "he-IL", "az-Arab"]);
    }
}
