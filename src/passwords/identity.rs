//! Hashes of ASP.NET Core Identity, as its databases have them: base64 of bytes that begin with a version.

use super::foreign::{LEAST_KEY_BYTES, MOST_BYTES};
use super::forms;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// The version of Identity 1 and 2: PBKDF2 with HMAC-SHA1, 1,000 iterations, 16 bytes of salt and 32 of key.
const V2: u8 = 0;
const V2_SALT_BYTES: usize = 16;
const V2_KEY_BYTES: usize = 32;
/// The version since: it tells function, iterations and salt.
const V3: u8 = 1;
/// The least bytes of salt and key that Identity itself takes.
const LEAST_BYTES: usize = LEAST_KEY_BYTES;

/// What `users.password_hash` holds for a hash of ASP.NET Core Identity, version 2 or 3: the same in PHC form. Identity hashes
/// what is typed as it is.
///
/// # Errors
/// Why it is none, or what it would cost to check it.
pub fn identity_hash(base64: &str) -> Result<String, &'static str> {
    // Longer than any with the longest salt and key.
    const MOST_TEXT: usize = 256;
    let text = base64.trim();
    if text.len() > MOST_TEXT {
        return Err("it is longer than any hash of ASP.NET Core Identity");
    }
    let bytes = STANDARD.decode(text).map_err(|_| "it is not the base64 of a hash of ASP.NET Core Identity")?;
    let (&version, rest) = bytes.split_first().ok_or("it is empty")?;
    let Parts { name, iterations, salt, key } = match version {
        V2 => {
            if rest.len() != V2_SALT_BYTES + V2_KEY_BYTES {
                return Err("it is not as long as a hash of ASP.NET Core Identity 2 (49 bytes)");
            }
            let (salt, key) = rest.split_at(V2_SALT_BYTES);
            Parts { name: "sha1", iterations: 1000, salt, key }
        }
        V3 => v3(rest)?,
        _ => return Err("its first byte is of no version of ASP.NET Core Identity"),
    };
    let (length, salt, key) = (key.len(), STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(key));
    let made = format!("$pbkdf2-{name}$i={iterations},l={length}${salt}${key}");
    match forms::unusable(&made) {
        Some(why) => Err(why),
        None => Ok(made),
    }
}

/// What either version comes to.
struct Parts<'a> {
    /// The digest of HMAC.
    name: &'static str,
    iterations: u32,
    salt: &'a [u8],
    key: &'a [u8],
}

/// Version 3: three numbers of four bytes, the greatest byte first, salt and key.
fn v3(rest: &[u8]) -> Result<Parts<'_>, &'static str> {
    const SHORT: &str = "it ends before it says what a hash of ASP.NET Core Identity 3 says";
    let mut rest = rest;
    let mut number = || {
        let (first, after) = rest.split_first_chunk().ok_or(SHORT)?;
        rest = after;
        Ok::<u32, &'static str>(u32::from_be_bytes(*first))
    };
    let (function, iterations, salt_length) = (number()?, number()?, number()?);
    let name = match function {
        0 => "sha1",
        1 => "sha256",
        2 => "sha512",
        _ => return Err("its function is none of ASP.NET Core Identity: HMAC with SHA-1, SHA-256 or SHA-512"),
    };
    let (salt, key) =
        usize::try_from(salt_length).ok().and_then(|length| rest.split_at_checked(length)).ok_or(SHORT)?;
    if [salt, key].iter().any(|part| !(LEAST_BYTES..=MOST_BYTES).contains(&part.len())) {
        return Err("its salt or its key has not 16 to 64 bytes");
    }
    Ok(Parts { name, iterations, salt, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Result<String, &'static str> {
        identity_hash(&STANDARD.encode(bytes))
    }

    /// A hash of version 3 with these numbers and lengths.
    fn third(function: u32, iterations: u32, told: u32, salt: usize, key: usize) -> Vec<u8> {
        let mut bytes = vec![V3];
        for number in [function, iterations, told] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(vec![7; salt + key]);
        bytes
    }

    #[test]
    fn a_hash_of_identity_becomes_a_text_that_a_row_holds() {
        let second = of(&[&[V2][..], &[1; 16], &[2; 32]].concat()).unwrap();
        assert_eq!(
            second,
            "$pbkdf2-sha1$i=1000,l=32$AQEBAQEBAQEBAQEBAQEBAQ$AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"
        );
        for (name, function) in [("sha1", 0), ("sha256", 1), ("sha512", 2)] {
            let made = of(&third(function, 10_000, 16, 16, 32)).unwrap();
            assert!(made.starts_with(&format!("$pbkdf2-{name}$i=10000,l=32$")), "{made}");
            assert_eq!(forms::unusable(&made), None);
            assert!(of(&third(function, 100_000, 64, 64, 64)).is_ok());
        }
        // As a CSV may have it.
        assert!(identity_hash(&format!(" {}\r\n", STANDARD.encode(third(1, 10_000, 16, 16, 32)))).is_ok());
    }

    #[test]
    fn what_is_no_hash_of_identity_or_costs_too_much_is_refused_with_the_reason() {
        let whole = third(2, 100_000, 16, 16, 32);
        for length in 0..=32 {
            assert!(of(&whole[..length]).is_err(), "{length}");
        }
        for bad in [
            vec![V2; 48],
            vec![V2; 50],
            vec![2; 49],
            third(3, 10_000, 16, 16, 32),
            third(1, 0, 16, 16, 32),
            third(1, 10_000, 15, 15, 32),
            third(1, 10_000, 65, 65, 32),
            third(1, 10_000, 49, 16, 32),
            third(1, 10_000, u32::MAX, 16, 32),
            third(1, 10_000, 16, 16, 15),
            third(1, 10_000, 16, 16, 65),
            third(1, 1_500_001, 16, 16, 32),
            // Two blocks of SHA-256, two of SHA-1.
            third(1, 750_001, 16, 16, 33),
            third(0, 750_001, 16, 16, 32),
            third(2, u32::MAX, 16, 16, 32),
        ] {
            assert!(of(&bad).is_err(), "{bad:?}");
        }
        for good in [third(1, 1_500_000, 16, 16, 32), third(1, 750_000, 16, 16, 33), third(0, 750_000, 16, 16, 32)] {
            assert!(of(&good).is_ok(), "{good:?}");
        }
        for text in ["", "secret", "AQAA====", &"A".repeat(10_000), "$argon2id$"] {
            assert!(identity_hash(text).is_err(), "{text}");
        }
    }
}
