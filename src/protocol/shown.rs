//! Texts of strangers as an operator is shown them, in logs and on a terminal: nothing in them that a terminal obeys or that
//! hides what they say, and nothing that looks like a secret.

use std::borrow::Cow;
use std::fmt::Write as _;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// The longest text that is shown, in characters.
const LONGEST: usize = 600;

/// What was sent, as it may be shown: bounded, harmless, and without what looks like a secret.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(LONGEST).collect();
    let is_cut = short.len() < text.len();
    // Before anything is escaped, and after the cut: half a secret is one.
    if let Cow::Owned(hidden) = without_secrets(&short) {
        short = hidden;
    }
    let mut short = harmless(&short).into_owned();
    if is_cut {
        short.push('…');
    }
    short
}

/// Whether a character moves the cursor, changes the order in which a line is read, or cannot be seen. The joiners that some
/// scripts are written with are none.
#[must_use]
pub fn is_harmful(c: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, Surrogate, Unassigned};
    !matches!(c, ' '..='~' | '\u{200c}' | '\u{200d}')
        && matches!(
            c.general_category(),
            Control | Format | LineSeparator | ParagraphSeparator | PrivateUse | Surrogate | Unassigned
        )
}

/// A text with `\u001b` and its like in the place of what a terminal obeys: as JSON writes them, so that JSON stays what it is.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

/// The same for several lines, which stay lines.
#[must_use]
pub fn harmless_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_harmful(c) && c != '\n')
}

fn escaped(text: &str, is_harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_harmful) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_harmful(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe.into()
}

/// Hides what looks like a token, a secret, or a password in an address.
#[must_use]
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    if looks_secret(text.trim()) {
        return hidden(text.trim()).into();
    }
    let without_password = without_named(&without_password(text)).into_owned();
    let without_password = if without_password == text { Cow::Borrowed(text) } else { Cow::Owned(without_password) };
    let mut safe = String::with_capacity(text.len());
    let mut changed = false;
    let mut rest = without_password.as_ref();
    while !rest.is_empty() {
        let word = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(word);
        if looks_secret(piece) {
            safe.push_str(&hidden(piece));
            changed = true;
        } else {
            safe.push_str(piece);
        }
        let next = after.chars().next().map_or(0, char::len_utf8);
        safe.push_str(&after[..next]);
        rest = &after[next..];
    }
    if changed { safe.into() } else { without_password }
}

/// What a word in a longer text consists of: base64url and what our own tokens have.
fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '~' | '$')
}

/// Without `user:password@` in front of a host, in any address of the text.
fn without_password(text: &str) -> String {
    let mut pieces = text.split("://");
    let mut safe = pieces.next().unwrap_or_default().to_owned();
    for behind in pieces {
        safe.push_str("://");
        let authority = behind.find(['/', '?', '#', ' ']).unwrap_or(behind.len());
        let at = behind[..authority].rfind('@');
        let colon = at.and_then(|at| behind[..at].find(':'));
        match (at, colon) {
            (Some(at), Some(colon)) => {
                safe.push_str(&behind[..=colon]);
                safe.push('…');
                safe.push_str(&behind[at..]);
            }
            _ => safe.push_str(behind),
        }
    }
    safe
}

/// Names of parameters whose values are secrets.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "secret",
    "client_secret",
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "api_key",
    "apikey",
    "key",
    "code",
    "sig",
    "signature",
    "auth",
];

/// Without the values of parameters that are called so.
fn without_named(text: &str) -> Cow<'_, str> {
    if !text.contains('=') {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('=') {
        let name = rest[..at].rsplit(['?', '&', ';', '#', ' ']).next().unwrap_or_default().to_ascii_lowercase();
        safe.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        let end = rest.find(['&', ';', '#', ' ']).unwrap_or(rest.len());
        if end > 0 && SECRET_NAMES.contains(&name.as_str()) {
            safe.push('…');
            rest = &rest[end..];
        }
    }
    safe.push_str(rest);
    safe.into()
}

fn hidden(secret: &str) -> String {
    let start: String = secret.chars().take(4).collect();
    format!("{start}… ({} characters, hidden as they look like a secret)", secret.chars().count())
}

/// The shortest text that can be taken for a random one, in characters.
const SHORTEST_RANDOM: usize = 20;

/// How hashes of passwords and secrets begin, our own and those of other programs.
const HASHES: [&str; 7] = ["$argon2", "$pbkdf2", "$scrypt$", "$2a$", "$2b$", "$2y$", "pbkdf2_"];

/// Whether a text begins as the hash of a password or a secret does.
#[must_use]
pub fn looks_hashed(text: &str) -> bool {
    HASHES.iter().any(|start| text.starts_with(start))
}

/// Whether a text is one of our own tokens, a hash, the beginning of a JWT, or looks as if it had been drawn at random.
#[must_use]
pub fn looks_secret(text: &str) -> bool {
    let is_ours = text
        .strip_prefix("hp_")
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(kind, secret)| !kind.is_empty() && kind.len() <= 3 && secret.len() >= SHORTEST_RANDOM);
    is_ours || looks_hashed(text) || (text.len() >= SHORTEST_RANDOM && (text.starts_with("eyJ") || is_random(text)))
}

/// Words have few changes between small letters, capitals, digits and signs; what is drawn at random changes at nearly every
/// second character. A UUID is a name, not a secret.
fn is_random(text: &str) -> bool {
    let is_encoded = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_' | b'~' | b'.');
    if !text.bytes().all(is_encoded) || is_uuid(text) {
        return false;
    }
    let class = |b: u8| match b {
        b'a'..=b'z' => 0_u8,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let classes: Vec<u8> = text.bytes().map(class).collect();
    let has = |class: u8| classes.contains(&class);
    let changes = classes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let is_mixed = has(0) && has(1) && has(2) && changes * 100 >= 40 * text.len();
    // Base32, or small letters and digits: without a sign in it, as names have.
    let is_plain = has(2) && !has(3) && has(0) != has(1) && changes * 100 >= 20 * text.len();
    let is_hex = text.len() >= 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) && changes * 100 >= 25 * text.len();
    is_mixed || is_plain || is_hex
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_in_it() {
        for (text, safe) in [
            ("plain Grüße 名前", "plain Grüße 名前"),
            ("\u{1b}[31mred", "\\u001b[31mred"),
            ("a\nb\r\tc", "a\\u000ab\\u000d\\u0009c"),
            ("\u{9b}31m \u{7f}", "\\u009b31m \\u007f"),
            ("user\u{202e}gpj.exe", "user\\u202egpj.exe"),
            ("zero\u{200b}width\u{feff}", "zero\\u200bwidth\\ufeff"),
            ("\u{2028}\u{e0041}", "\\u2028\\udb40\\udc41"),
        ] {
            assert_eq!(shown(text), safe, "{text:?}");
        }
        assert_eq!(harmless_lines("a\nb\u{1b}c"), "a\nb\\u001bc");
        let json = serde_json::to_string("a\u{9b}b").unwrap();
        assert_eq!(serde_json::from_str::<String>(&harmless(&json)).unwrap(), "a\u{9b}b", "JSON stays JSON");
    }

    #[test]
    fn what_looks_like_a_secret_is_hidden() {
        for secret in [
            "hp_cs_Zm9vYmFyYmF6cXV4cXV1eGNvcmdl",
            "hp_rt_0000000000000000000000000",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
            "$2b$12$abc",
            "pbkdf2_sha256$1$a$b",
            "eyJhbGciOiJSUzI1NiJ9",
            "s6BhdRkqt3gX1fBAT3bV7mJ2q",
            "7Fjfp0ZBr1KtDRbnfVdmIw",
            "kX8+3/vQ9zL2mN5pR7tW1yB4cD6fG0hJ",
            "9f86d081884c7d659a2feaa0c55ad015",
            "3n4b5urk1ft4fl3mg5e62d9ado1q",
            "GEZDGNBVGY3TQOJQGEZDGNBV2X7Y",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ] {
            assert!(looks_secret(secret), "{secret}");
            let text = shown(secret);
            assert!(!text.contains(&secret[5..]) && text.starts_with(&secret[..4]), "{text}");
            let within = shown(&format!("https://a.example/cb?x={}", secret.replace(['+', '/'], "_")));
            assert!(within.starts_with("https://a.example/cb?x=") && within.contains("hidden"), "{within}");
        }
        assert_eq!(shown("https://joe:s3cret@a.example/cb"), "https://joe:…@a.example/cb");
        assert_eq!(shown("https://joe@a.example/cb"), "https://joe@a.example/cb");
        assert_eq!(shown("https://a.example/?next=https://joe:pw@b/"), "https://a.example/?next=https://joe:…@b/");
        assert_eq!(
            shown("https://a.example/cb?Password=x&a=1&token=y#z"),
            "https://a.example/cb?Password=…&a=1&token=…#z"
        );
        assert_eq!(shown("code=abc"), "code=…");
    }

    #[test]
    fn names_and_addresses_are_not_taken_for_secrets() {
        for name in [
            "reports",
            "reports-service-of-the-sales-department",
            "https://reports.example.com/signin-oidc",
            "https://id.example.com/realms/main/protocol/openid-connect/auth",
            "com.example.reports.android:/oauth2redirect",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "1234567890-reports.apps.example.com",
            "openid profile email offline_access",
            "Reports-Production-2024",
            "urn:ietf:params:oauth:grant-type:device_code",
            "application/x-www-form-urlencoded",
            "00000000000000000000000000000000",
        ] {
            assert_eq!(shown(name), name);
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = shown(&"ab ".repeat(1000));
        assert!(text.chars().count() == LONGEST + 1 && text.ends_with('…'));
    }
}
