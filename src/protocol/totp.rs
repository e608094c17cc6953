//! Time-based one-time passwords ([RFC 6238](https://www.rfc-editor.org/rfc/rfc6238)) as authenticator apps make them: HMAC-SHA1, six
//! digits, a step of 30 seconds, one step of tolerance either way. That a code is taken once is the store's affair.

use crate::protocol::factor_secret::FactorSecret;
use crate::protocol::time::NumericDate;
use std::fmt;
use totp_rs::{Builder, Secret, Totp};
use zeroize::Zeroizing;

/// The digits of a code.
pub const DIGITS: usize = 6;
/// The length of a secret that is made here, in bytes: what [RFC 4226 section 4](https://www.rfc-editor.org/rfc/rfc4226#section-4)
/// recommends.
pub const SECRET_BYTES: usize = 20;
/// The least length of a secret from elsewhere, in bytes. Identity makes 20; RFC 4226 asks for 16, and older programs made 10.
pub const LEAST_SECRET_BYTES: usize = 10;
/// The most, in bytes: a block of SHA-512.
pub const MOST_SECRET_BYTES: usize = 128;
/// How long a code is new, in seconds.
const STEP: u8 = 30;
/// How far an authenticator's clock may be off, in steps.
const SKEW: u16 = 1;

fn totp(secret: &FactorSecret) -> Builder {
    // Algorithm, digits and step are those of the library's default, which is what authenticator apps understand.
    Builder::new()
        .with_secret(Secret::from(secret.expose().to_vec()))
        .with_skew(SKEW)
        .with_step_duration(u64::from(STEP))
}

/// The step that a code is of, if it is one of the secret's about now.
#[must_use]
pub fn step_of(secret: &FactorSecret, code: &str, now: NumericDate) -> Option<i64> {
    if code.len() != DIGITS || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let step = totp(secret).build_noncompliant().check(code, u64::try_from(now.0).ok()?)?;
    i64::try_from(step).ok()
}

/// Reads a secret as people and programs write it: base32 ([RFC 4648 section 6](https://www.rfc-editor.org/rfc/rfc4648#section-6)) in
/// letters of any case, with or without padding, spaces and hyphens. `None`: it is none, or too short or too long to be one.
#[must_use]
pub fn parse_secret(text: &str) -> Option<FactorSecret> {
    let plain: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '=')).collect());
    let plain = Zeroizing::new(plain.to_ascii_uppercase());
    let secret = Secret::try_from_base32(plain.as_str()).ok()?;
    // Of a text that ends within a byte the library leaves the rest out.
    let is_whole = matches!(plain.len() % 8, 0 | 2 | 4 | 5 | 7);
    let is_sound = (LEAST_SECRET_BYTES..=MOST_SECRET_BYTES).contains(&secret.as_bytes().len());
    (is_whole && is_sound).then(|| FactorSecret::new(secret.as_bytes()))
}

/// A text that holds a secret in the clear, for its owner alone.
#[derive(Clone)]
pub struct Shown(Zeroizing<String>);

impl Shown {
    /// The text. Leaking it compromises what it opens.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Of that text.
    #[must_use]
    pub const fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Shown([redacted])")
    }
}

/// The secret as a person types it: base32 in groups of four.
#[must_use]
pub fn typed_secret(secret: &FactorSecret) -> Shown {
    let text = Zeroizing::new(Secret::from(secret.expose().to_vec()).to_base32());
    let mut grouped = Zeroizing::new(String::with_capacity(text.len() * 5 / 4 + 1));
    for (at, c) in text.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            grouped.push(' ');
        }
        grouped.push(c);
    }
    Shown(grouped)
}

/// The secret as an authenticator app reads it,
/// [`otpauth://totp/ISSUER:ACCOUNT?secret=…&issuer=…`](https://github.com/google/google-authenticator/wiki/Key-Uri-Format). A colon,
/// which would end the issuer there, is blank.
#[must_use]
pub fn uri(secret: &FactorSecret, issuer: &str, account: &str) -> Shown {
    const NAMELESS: &str = "account";
    let sound = |text: &str| text.replace(':', " ").trim().to_owned();
    let (issuer, account) = (sound(issuer), sound(account));
    let account = if account.is_empty() { NAMELESS.to_owned() } else { account };
    let issuer = Some(issuer).filter(|issuer| !issuer.is_empty());
    let totp: Totp = totp(secret).with_issuer(issuer).with_account_name(account).build_noncompliant();
    // Without a colon and with an account it cannot fail.
    Shown(Zeroizing::new(totp.to_url().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, SHA-1: its eight digits end with our six.
    #[test]
    fn the_vectors_of_rfc_6238_are_the_codes() {
        let secret = FactorSecret::new(*b"12345678901234567890");
        for (at, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(step_of(&secret, code, NumericDate(at)), Some(at / 30), "{at}");
        }
    }

    #[test]
    fn a_code_is_good_one_step_before_and_after_and_no_longer() {
        let secret = FactorSecret::new(*b"12345678901234567890");
        let code = "050471";
        let step = 1_111_111_111 / 30;
        for (off, is_good) in [(-31, false), (-30, true), (0, true), (30, true), (59, true), (60, false)] {
            let found = step_of(&secret, code, NumericDate(step * 30 + off));
            assert_eq!(found, is_good.then_some(step), "{off}");
        }
    }

    #[test]
    fn what_is_no_code_is_none() {
        let secret = FactorSecret::new(*b"12345678901234567890");
        for bad in ["", "05047", "0504711", "05047x", " 50471", "+50471", "٠٥٠٤٧١"] {
            assert_eq!(step_of(&secret, bad, NumericDate(1_111_111_111)), None, "{bad}");
        }
        assert_eq!(step_of(&secret, "050471", NumericDate(-1)), None);
    }

    #[test]
    fn a_secret_is_read_as_it_is_shown_and_as_programs_write_it() {
        let secret = FactorSecret::new(*b"12345678901234567890");
        let shown = typed_secret(&secret);
        assert_eq!(shown.expose(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        assert_eq!(format!("{shown:?}"), "Shown([redacted])");
        for text in [shown.expose(), "gezdgnbvgy3tqojqgezdgnbvgy3tqojq", "GEZDGNBVGY3TQOJQ-GEZDGNBVGY3TQOJQ="] {
            assert_eq!(parse_secret(text).as_ref(), Some(&secret), "{text}");
        }
        for bad in ["", "GEZDGNBV", "GEZDGNBVGY3TQOJ1", "GEZDGNBVGY3TQOJQG", "?", "GEZDGNBVGY3TQOJQÄ"] {
            assert!(parse_secret(bad).is_none(), "{bad}");
        }
        assert!(parse_secret(&"A".repeat(2000)).is_none());
    }

    #[test]
    fn the_uri_names_issuer_and_account() {
        let secret = FactorSecret::new(*b"12345678901234567890");
        for (issuer, account, expected) in [
            ("Example", "alice", "otpauth://totp/Example:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example"),
            (
                "Büro: A & B",
                "al:ice@example.com",
                "otpauth://totp/B%C3%BCro%20%20A%20%26%20B:al%20ice%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=B%C3%BCro%20%20A%20%26%20B",
            ),
            ("", "", "otpauth://totp/account?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
        ] {
            assert_eq!(uri(&secret, issuer, account).expose(), expected);
        }
    }
}
