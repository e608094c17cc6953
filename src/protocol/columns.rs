//! Which words the columns of a client's row may hold, and in which form: the one table that the reader of a row
//! (`store/clients.rs`) and `hallpass client lint` share. The words themselves are the types of `response.rs`.
//!
//! The schema has no CHECK on them, so a row may hold a word of a later version. Such a row is refused as a whole and
//! by name: a client that is understood in part may be given more than its operator meant.

use crate::protocol::response::{
    AccessTokenFormat, ApplicationType, ClientAuthMethod, ConsentPolicy, GrantType, Origin, PkcePolicy, ResponseType,
    RotationPolicy, SigningAlgorithm, SubjectType, Word, YesNo,
};
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
enum Form {
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
    const fn new(name: &'static str, form: Form) -> Self {
        Self { name, form, words: PhantomData }
    }

    /// Reads the text as one word, to the letter.
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

macro_rules! columns {
    ($($constant:ident = $name:literal, $form:ident of $words:ident;)+) => {
        $(
            #[doc = concat!("`clients.", $name, "`.")]
            pub const $constant: WordColumn<$words> = WordColumn::new($name, Form::$form);
        )+

        /// Every column of `clients` that holds words.
        pub const ALL: &[&dyn Column] = &[$(&$constant),+];
    };
}

columns! {
    APPLICATION_TYPE = "application_type", One of ApplicationType;
    TOKEN_ENDPOINT_AUTH_METHOD = "token_endpoint_auth_method", One of ClientAuthMethod;
    GRANT_TYPES = "grant_types", Spaces of GrantType;
    RESPONSE_TYPES = "response_types", Commas of ResponseType;
    ID_TOKEN_SIGNED_RESPONSE_ALG = "id_token_signed_response_alg", One of SigningAlgorithm;
    PKCE = "pkce", One of PkcePolicy;
    CONSENT = "consent", One of ConsentPolicy;
    ACCESS_TOKEN_FORMAT = "access_token_format", One of AccessTokenFormat;
    CLAIMS_IN_ID_TOKEN = "claims_in_id_token", One of YesNo;
    SUBJECT_TYPE = "subject_type", One of SubjectType;
    REFRESH_TOKEN_ROTATION = "refresh_token_rotation", One of RotationPolicy;
    ORIGIN = "origin", One of Origin;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_types_are_separated_by_commas_and_the_other_lists_by_spaces() {
        for one in ["code", " code ", "code,", "code , code"] {
            assert!(RESPONSE_TYPES.read_list(one).unwrap().iter().all(|kind| *kind == ResponseType::Code), "{one:?}");
        }
        for none in ["", " ", ",", " , "] {
            assert!(RESPONSE_TYPES.read_list(none).unwrap().is_empty(), "{none:?}");
        }
        let fault = RESPONSE_TYPES.fault("code, code id_token").unwrap();
        assert_eq!(fault.why, "response_types has the unknown word \"code id_token\"");
        assert_eq!(fault.fix, "this version knows code, separated by commas");
        assert_eq!(
            GRANT_TYPES.read_list("authorization_code  refresh_token").unwrap(),
            [GrantType::AuthorizationCode, GrantType::RefreshToken]
        );
        assert!(GRANT_TYPES.fault("authorization_code,refresh_token").is_some());
    }

    #[test]
    fn an_unknown_word_is_named_with_what_may_stand_there() {
        let fault = PKCE.read("Optonal").unwrap_err();
        assert_eq!(fault.why, "pkce has the unknown word \"Optonal\"");
        assert_eq!(fault.fix, "did you mean optional? this version knows one of required, optional");
        let fault = CLAIMS_IN_ID_TOKEN.read(&format!("\n{}", "x".repeat(10_000))).unwrap_err();
        assert!(fault.why.len() < 150 && fault.why.contains("\"\\nxxx") && fault.why.ends_with('…'), "{fault:?}");
        assert!(PKCE.read("").is_err() && PKCE.read(" required").is_err());
    }

    #[test]
    fn every_column_takes_each_of_its_words_and_no_other() {
        for column in ALL {
            for word in column.words() {
                assert_eq!(column.fault(word), None, "{}", column.name());
                assert!(column.fault(&format!("{word}x")).is_some(), "{}", column.name());
            }
        }
    }
}
