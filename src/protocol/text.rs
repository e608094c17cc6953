//! People's text: user names, e-mail addresses and passwords as they are compared, whatever keyboard they were typed on.
//!
//! [RFC 8265](https://www.rfc-editor.org/rfc/rfc8265): user names by `UsernameCaseMapped`, each part between spaces by
//! itself, and passwords by `OpaqueString`. E-mail addresses have no profile; they are put in lower case and composed.
//! Every input is bounded before a profile looks at it. What a person typed is kept and shown as it was typed.

use crate::protocol::secret::Password;
use crate::protocol::shown::is_harmful;
use precis_profiles::precis_core::profile::Rules as _;
use precis_profiles::precis_core::{DerivedPropertyValue, Error, FreeformClass, IdentifierClass, StringClass};
use precis_profiles::{OpaqueString, UsernameCaseMapped};
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};
use zeroize::Zeroizing;

/// The longest user name or e-mail address that is looked up, in bytes: an address has 64, an `@` and 255 at most.
pub const MAX_NAME_BYTES: usize = 320;
/// The longest user name that a user is given, in bytes.
pub const MAX_USERNAME_BYTES: usize = 255;
/// The longest standard claim that is a text, in bytes.
pub const MAX_CLAIM_BYTES: usize = 1000;
/// The longest password that is hashed, in bytes.
pub const MAX_PASSWORD_BYTES: usize = 1024;
/// How long what users call their own things may be, in characters.
const MAX_LABEL_CHARACTERS: usize = 64;

/// What a user calls a thing of their own, in a line; it is cut at 64 characters.
#[must_use]
pub fn label(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().chars().take(MAX_LABEL_CHARACTERS).collect()
}

/// Why a text is no user name or no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing, or too much.
    #[error("it must have 1 to {0} bytes")]
    Length(usize),
    /// Spaces around a user name.
    #[error("there are spaces around it")]
    Spaces,
    /// A character that such a text cannot have, or not there.
    #[error("it has U+{:04X}, which RFC 8265 does not allow there", u32::from(*.0))]
    Character(char),
    /// Letters of scripts that run in two directions, in an order that reads as another ([RFC 5893 section
    /// 2](https://www.rfc-editor.org/rfc/rfc5893#section-2)).
    #[error("a part of it mixes right-to-left and left-to-right letters or digits, which RFC 8265 does not allow")]
    Direction,
}

/// A user name as it is compared: width, case and composition mapped, one space between its parts.
///
/// [RFC 8265 section 3.1](https://www.rfc-editor.org/rfc/rfc8265#section-3.1) (parts and spaces), section 3.3 (the profile
/// of each part). Lower case is Unicode's `toLowerCase`, which minds the final sigma. At most `MAX_NAME_BYTES`.
///
/// # Errors
/// The profile refuses it.
pub fn username(text: &str) -> Result<String, Refused> {
    if text.is_empty() || text.len() > MAX_NAME_BYTES {
        return Err(Refused::Length(MAX_NAME_BYTES));
    }
    // The ideographic space is wide, so parts are told apart after this.
    let mapped = UsernameCaseMapped::new().width_mapping_rule(text).map_err(|error| refused(&error, text))?;
    if mapped.starts_with(' ') || mapped.ends_with(' ') {
        return Err(Refused::Spaces);
    }
    let parts: Result<Vec<String>, Refused> =
        mapped.split(' ').filter(|part| !part.is_empty()).map(username_part).collect();
    Ok(parts?.join(" "))
}

/// A `userpart`, whose width is mapped already.
fn username_part(part: &str) -> Result<String, Refused> {
    let profile = UsernameCaseMapped::new();
    let class = IdentifierClass::default();
    class.allows(in_known_letters(&class, part, is_letter_or_digit)).map_err(|error| refused(&error, part))?;
    let lower = part.to_lowercase();
    let composed = profile.normalization_rule(lower.as_str()).map_err(|error| refused(&error, part))?;
    let directed = profile.directionality_rule(composed).map_err(|_| Refused::Direction)?;
    Ok(directed.into_owned())
}

/// Why a user is not given a user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// It is longer than `MAX_USERNAME_BYTES`.
    #[error("it must have 1 to {MAX_USERNAME_BYTES} bytes")]
    Length,
    /// The profile refuses it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It would be taken for the e-mail address of another.
    #[error("a user name with @ would be taken for another user's e-mail address; it must be the user's own")]
    AnothersAddress,
}

/// Whether a user with that address can be given that name. It is looked at as it is compared: a letter of another width is the
/// same, and so is an @.
///
/// # Errors
/// Why not.
pub fn check_new_username(text: &str, email: &str) -> Result<(), NameFault> {
    check_known_username(text)?;
    let folded = fold_username(text);
    if folded.contains('@') && fold_email(&folded) != fold_email(email) {
        return Err(NameFault::AnothersAddress);
    }
    Ok(())
}

/// The same of a name that the user has elsewhere already: whose address it is, is looked at by who knows all of them.
///
/// # Errors
/// Why not.
pub fn check_known_username(text: &str) -> Result<(), NameFault> {
    if text.len() > MAX_USERNAME_BYTES {
        return Err(NameFault::Length);
    }
    Ok(username(text).map(drop)?)
}

/// Whether a user name is an address, as a sign-in compares it.
#[must_use]
pub fn is_address(username: &str) -> bool {
    fold_username(username).contains('@')
}

/// Whether a text can be an e-mail address that a user is given: something on both sides of the @, nothing that would have to be
/// quoted ([RFC 5322 section 3.4.1](https://www.rfc-editor.org/rfc/rfc5322#section-3.4.1)), nothing that is not seen, and no
/// longer than what is looked up. Whether mail arrives there is another question.
#[must_use]
pub fn is_email(text: &str) -> bool {
    let is_odd = |c: char| {
        c.is_whitespace()
            || is_harmful(c)
            || c.general_category() == GeneralCategory::Format
            || "\"(),:;<>[\\]".contains(c)
    };
    let parts = text.split_once('@');
    let has_parts =
        parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    has_parts && text.len() <= MAX_NAME_BYTES && !text.chars().any(is_odd)
}

/// Whether a link can be mailed to an address that was typed, so that who reads it is who the address says: not longer than mail carries
/// ([RFC 5321 section 4.5.3.1.3](https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1.3)), and without the old signs of a way (`%`, `!`), by which
/// a mail server that trusts us would hand the mail on to another domain.
#[must_use]
pub fn is_typed_mailbox(text: &str) -> bool {
    const MOST_BYTES: usize = 254;
    is_email(text) && text.len() <= MOST_BYTES && !text.contains(['%', '!'])
}

/// The same of an address that a user has elsewhere already: what one is there is one here.
#[must_use]
pub fn is_known_email(text: &str) -> bool {
    text.contains('@') && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Whether a text that a user types can be a claim in one line, a full name say: not empty, bounded, and nothing in it turns the words
/// around it. The marks that some scripts are written with do not.
#[must_use]
pub fn is_claim_in_a_line(text: &str) -> bool {
    let turns = |c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    !text.trim().is_empty() && text.len() <= MAX_CLAIM_BYTES && !text.chars().any(turns)
}

/// A user name as sign-ins compare it, for any text. The domain of one that is an e-mail address is compared as `email`
/// compares it. What the profile refuses is in some row by hand, and compared as an address is.
#[must_use]
pub fn fold_username(text: &str) -> String {
    match username(text) {
        Ok(name) => in_ascii_domain(name),
        Err(_) => fold_email(text),
    }
}

/// An e-mail address as sign-ins compare it, for any text: lower case, composed (NFC), an internationalized domain in ASCII
/// ([RFC 5891](https://www.rfc-editor.org/rfc/rfc5891)). What is longer than any address stays as it is.
#[must_use]
pub fn fold_email(text: &str) -> String {
    if text.len() > MAX_NAME_BYTES {
        return text.to_owned();
    }
    in_ascii_domain(text.to_lowercase().nfc().collect())
}

/// The same address with its domain as the DNS has it, where it is a domain.
fn in_ascii_domain(address: String) -> String {
    let Some((local, domain)) = address.rsplit_once('@') else { return address };
    match idna::domain_to_ascii(domain) {
        Ok(ascii) => format!("{local}@{ascii}"),
        Err(_) => address,
    }
}

/// A password as it is hashed: spaces that are none of ASCII's are, and letters are composed, so that it is the same from
/// whatever keyboard.
///
/// [RFC 8265 section 4.2](https://www.rfc-editor.org/rfc/rfc8265#section-4.2). At most `MAX_PASSWORD_BYTES`.
///
/// # Errors
/// The profile refuses it: it is empty, or has a control character or one that is not assigned.
pub fn prepare(password: &Password) -> Result<Password, Refused> {
    let text = password.expose();
    if text.is_empty() || text.len() > MAX_PASSWORD_BYTES {
        return Err(Refused::Length(MAX_PASSWORD_BYTES));
    }
    let profile = OpaqueString::new();
    let class = FreeformClass::default();
    let known = Zeroizing::new(in_known_letters(&class, text, is_graphic));
    class.allows(known.as_str()).map_err(|error| refused(&error, text))?;
    let mapped = profile.additional_mapping_rule(text).map_err(|error| refused(&error, text))?;
    let mapped = Zeroizing::new(mapped.into_owned());
    let composed = profile.normalization_rule(mapped.as_str()).map_err(|error| refused(&error, text))?;
    Ok(Password::received(composed.into_owned()))
}

/// The text with letters of after Unicode 6.3 replaced by one of before. The tables of the classes are those that IANA has,
/// of 6.3, where later letters are unassigned; by [RFC 8264 section 8](https://www.rfc-editor.org/rfc/rfc8264#section-8) they
/// are what their general category says, and people's names are written in them.
fn in_known_letters(class: &impl StringClass, text: &str, is_valid: impl Fn(char) -> bool) -> String {
    let is_later = |c| class.get_value_from_char(c) == DerivedPropertyValue::Unassigned && is_valid(c);
    text.chars().map(|c| if is_later(c) { 'x' } else { c }).collect()
}

/// `LetterDigits` and not `HasCompat` ([RFC 8264 section 9](https://www.rfc-editor.org/rfc/rfc8264#section-9)).
fn is_letter_or_digit(c: char) -> bool {
    use GeneralCategory::{
        DecimalNumber, LowercaseLetter, ModifierLetter, NonspacingMark, OtherLetter, SpacingMark, UppercaseLetter,
    };
    // The one later letter or mark that has no look of its own (`Default_Ignorable_Code_Point`).
    const MONGOLIAN_VARIATION_SELECTOR: char = '\u{180f}';
    let is_in_class = matches!(
        c.general_category(),
        LowercaseLetter | UppercaseLetter | OtherLetter | DecimalNumber | ModifierLetter | NonspacingMark | SpacingMark
    );
    is_in_class && c != MONGOLIAN_VARIATION_SELECTOR && std::iter::once(c).nfkc().eq(std::iter::once(c))
}

/// What the `FreeformClass` takes beside: symbols, punctuation, and letters of whatever kind.
fn is_graphic(c: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Surrogate, Unassigned,
    };
    !matches!(
        c.general_category(),
        Control | Format | LineSeparator | ParagraphSeparator | PrivateUse | SpaceSeparator | Surrogate | Unassigned
    ) && c != '\u{180f}'
}

/// The library's reason in our words.
fn refused(error: &Error, text: &str) -> Refused {
    match error {
        Error::BadCodepoint(at) => char::from_u32(at.cp).map_or(Refused::Direction, Refused::Character),
        _ => text.chars().find(|c| !c.is_ascii()).map_or(Refused::Direction, Refused::Character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8265 section 3.5, tables 1 and 2, by their numbers.
    #[test]
    fn a_label_is_one_line_of_64_characters_at_most() {
        assert_eq!(label("  my\nphone "), "my phone");
        assert_eq!(label(&"é".repeat(100)).chars().count(), MAX_LABEL_CHARACTERS);
        assert_eq!(label("\u{7}"), "");
    }

    #[test]
    fn user_names_are_those_of_the_specification() {
        for (number, text, folded) in [
            (1, "juliet@example.com", "juliet@example.com"),
            (2, "fussball", "fussball"),
            (3, "fu\u{df}ball", "fu\u{df}ball"),
            (4, "\u{3c0}", "\u{3c0}"),
            (5, "\u{3a3}", "\u{3c3}"),
            (6, "\u{3c3}", "\u{3c3}"),
            (7, "\u{3c2}", "\u{3c2}"),
        ] {
            assert_eq!(username(text).as_deref(), Ok(folded), "{number}");
        }
        // A space is not in a part; it is between two.
        assert_eq!(username_part("foo bar"), Err(Refused::Character(' ')), "8");
        assert_eq!(username("foo bar").as_deref(), Ok("foo bar"));
        assert_eq!(username(""), Err(Refused::Length(MAX_NAME_BYTES)), "9");
        assert_eq!(username("henry\u{2163}"), Err(Refused::Character('\u{2163}')), "10");
        assert_eq!(username("\u{221e}"), Err(Refused::Character('\u{221e}')), "11");
    }

    /// RFC 8265 section 4.3, tables 3 and 4, by their numbers.
    #[test]
    fn passwords_are_those_of_the_specification() {
        let prepared = |text: &str| prepare(&Password::received(text)).map(|password| password.expose().to_owned());
        for (number, text, as_hashed) in [
            (12, "correct horse battery staple", "correct horse battery staple"),
            (13, "Correct Horse Battery Staple", "Correct Horse Battery Staple"),
            (14, "\u{3c0}\u{df}\u{e5}", "\u{3c0}\u{df}\u{e5}"),
            (15, "Jack of \u{2666}s", "Jack of \u{2666}s"),
            (16, "foo\u{1680}bar", "foo bar"),
        ] {
            assert_eq!(prepared(text).as_deref(), Ok(as_hashed), "{number}");
        }
        assert_eq!(prepared(""), Err(Refused::Length(MAX_PASSWORD_BYTES)), "17");
        assert_eq!(prepared("my cat is a \tby"), Err(Refused::Character('\t')), "18");
    }

    #[test]
    fn one_name_is_the_same_however_it_is_typed() {
        for (one, same) in [
            ("Grüße", "GRÜßE"),
            ("Grüße", "GRÜẞE"),
            ("Özgür", "özgür"),
            ("ÖZGÜR", "o\u{308}zgu\u{308}r"),
            ("Ivan İnci", "iVAN İNCI"),
            ("Ivan İnci", "Ivan  İnci"),
            ("Ivan İnci", "Ｉｖａｎ\u{3000}İnci"),
            ("alice", "ＡＬＩＣＥ"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
            ("ｱﾘｽ", "アリス"),
            ("Nguyễn Văn", "NGUYE\u{302}\u{303}N VA\u{306}N"),
            ("O'Brien", "o'brien"),
            ("שרה", "שרה"),
            ("张伟𫢸", "张伟𫢸"),
            ("𞤀𞤣𞤤𞤢𞤥", "𞤢𞤣𞤤𞤢𞤥"),
        ] {
            let folded = username(one);
            assert!(folded.is_ok(), "{one}: {folded:?}");
            assert_eq!(folded, username(same), "{one}, {same}");
            let again = folded.unwrap();
            assert_eq!(username(&again).as_deref(), Ok(again.as_str()), "{one}: once is enough");
        }
    }

    #[test]
    fn two_names_stay_two() {
        for (one, other) in [
            ("Grüße", "Grüsse"),
            ("inci", "ınci"),
            ("İnci", "inci"),
            ("İnci", "ınci"),
            ("Özgür", "Ozgur"),
            ("IvanInci", "Ivan Inci"),
            ("Σίσυφος", "Σίσυφοσ"),
        ] {
            assert_ne!(username(one).unwrap(), username(other).unwrap(), "{one}, {other}");
        }
    }

    #[test]
    fn what_is_no_user_name_is_refused_and_compared_all_the_same() {
        for (text, why) in [
            ("Grüße™", Refused::Character('™')),
            ("O’Brien", Refused::Character('’')),
            ("a\u{a0}b", Refused::Character('\u{a0}')),
            ("a\u{200d}b", Refused::Character('\u{200d}')),
            ("a\u{202e}b", Refused::Character('\u{202e}')),
            ("a\u{180f}b", Refused::Character('\u{180f}')),
            ("a\nb", Refused::Character('\n')),
            ("🥑", Refused::Character('🥑')),
            ("a\u{378}", Refused::Character('\u{378}')),
            ("שרהabc", Refused::Direction),
            (" alice", Refused::Spaces),
            ("alice ", Refused::Spaces),
            ("alice\u{3000}", Refused::Spaces),
        ] {
            assert_eq!(username(text), Err(why), "{text:?}");
            assert_eq!(fold_username(text), fold_username(&text.to_lowercase()), "{text:?}");
        }
    }

    #[test]
    fn an_address_is_the_same_in_whatever_letters_of_its_domain() {
        for same in [
            "Jürgen@Bücher.example",
            "JÜRGEN@BÜCHER.EXAMPLE",
            "ju\u{308}rgen@bu\u{308}cher.example",
            "jürgen@xn--bcher-kva.example",
        ] {
            assert_eq!(fold_email(same), "jürgen@xn--bcher-kva.example");
            assert_eq!(fold_username(same), "jürgen@xn--bcher-kva.example", "also where it is a user name");
        }
        for kept in ["", "@", "a@", "a@[::1]", "a@xn--zzzzzz99.example", "a@b@c", "o’brien@example.com", "a@localhost"]
        {
            assert_eq!(fold_email(kept), kept);
        }
        assert_ne!(fold_email("juergen@example.com"), fold_email("jürgen@example.com"));
    }

    #[test]
    fn a_password_is_the_same_from_whatever_keyboard() {
        let prepared = |text: &str| prepare(&Password::received(text)).map(|password| password.expose().to_owned());
        for (typed, as_hashed) in [
            ("Grüße aus Ísafjörður", "Grüße aus Ísafjörður"),
            ("Gru\u{308}ße aus I\u{301}safjo\u{308}rður", "Grüße aus Ísafjörður"),
            ("no\u{a0}break", "no break"),
            ("  kept  spaces ", "  kept  spaces "),
            ("ＷＩＤＥ", "ＷＩＤＥ"),
            ("🥑 and 🫠", "🥑 and 🫠"),
        ] {
            assert_eq!(prepared(typed).as_deref(), Ok(as_hashed));
            assert_eq!(prepared(as_hashed).as_deref(), Ok(as_hashed), "once is enough");
        }
        for (refused, c) in [("bell\u{7}", '\u{7}'), ("join\u{200d}er", '\u{200d}'), ("\u{e000}", '\u{e000}')] {
            assert_eq!(prepared(refused), Err(Refused::Character(c)));
        }
    }

    /// Composition can be made slow, and what is typed is a stranger's.
    #[test]
    fn what_is_too_long_is_not_looked_at() {
        let long = "E\u{301}".repeat(MAX_NAME_BYTES);
        assert_eq!(username(&long), Err(Refused::Length(MAX_NAME_BYTES)));
        assert_eq!((fold_username(&long), fold_email(&long)), (long.clone(), long.clone()));
        let long = "E\u{301}".repeat(MAX_PASSWORD_BYTES);
        assert_eq!(prepare(&Password::received(long)).err(), Some(Refused::Length(MAX_PASSWORD_BYTES)));
    }
}
