//! Keys of users and roles as services know them: what .NET's `ToString` makes of them, whatever the column shows.

use std::fmt::Write as _;

/// What the keys of a source are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// It shows in the rows.
    Unknown,
    /// Texts or numbers, which are as they are shown.
    Texts,
    /// GUIDs, which .NET prints in small letters with hyphens.
    Guids,
}

impl Keys {
    /// What keys were taken for that users came with before.
    #[must_use]
    pub fn of_before(keys: &[String]) -> Self {
        let is_guid = |key: &String| guid(key).as_ref() == Some(key);
        match keys {
            [] => Self::Unknown,
            keys if keys.iter().all(is_guid) => Self::Guids,
            _ => Self::Texts,
        }
    }
}

/// Of so many others at most, one may be no GUID where the keys are GUIDs: such a row is broken.
const LEAST_SHARE: u64 = 10;

/// What the keys that were read look like.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    /// In capital letters with hyphens, as SQLite and SQL Server show a GUID.
    capital: u64,
    /// The same in small letters, or in both: a text that was a GUID once.
    small: u64,
    /// Anything else.
    other: u64,
}

impl Look {
    pub(super) fn at(&mut self, key: &str) {
        let has = |is: fn(&char) -> bool| key.chars().any(|c| is(&c));
        let inner = key.strip_prefix('{').and_then(|key| key.strip_suffix('}'));
        if let Some(inner) = inner.filter(|inner| has_hyphens(inner) && guid(inner).is_some()) {
            // So .NET keeps no text; with digits alone it is one all the same.
            self.capital += u64::from(!inner.is_empty());
        } else if !has_hyphens(key) || guid(key).is_none() {
            self.other += 1;
        } else if has(char::is_ascii_lowercase) {
            self.small += 1;
        } else if has(char::is_ascii_uppercase) {
            self.capital += 1;
        }
    }

    /// What they are, where they were taken for that before; `Unknown`: a mixture, which could be either. It decides by what users are
    /// known to services for good, so one odd row must not.
    pub(super) const fn keys(self, before: Keys) -> Keys {
        match before {
            Keys::Texts => Keys::Texts,
            _ if self.capital == 0 => Keys::Texts,
            Keys::Guids => Keys::Guids,
            // A text key of .NET is a GUID in small letters.
            Keys::Unknown if self.small == 0 && self.other * LEAST_SHARE <= self.capital => Keys::Guids,
            Keys::Unknown => Keys::Unknown,
        }
    }
}

fn has_hyphens(key: &str) -> bool {
    let places = [8, 13, 18, 23];
    key.len() == 36 && key.bytes().enumerate().all(|(at, byte)| (byte == b'-') == places.contains(&at))
}

/// A GUID in any of the forms of .NET (`N`, `D`, `B`, `P`), as .NET prints it; `None`: it is none.
#[must_use]
pub fn guid(text: &str) -> Option<String> {
    let text = text.trim();
    let inner = [('{', '}'), ('(', ')')]
        .into_iter()
        .find_map(|(open, close)| text.strip_prefix(open)?.strip_suffix(close))
        .unwrap_or(text);
    let digits = match inner.len() {
        36 if has_hyphens(inner) => inner.replace('-', ""),
        32 if inner.len() == text.len() => inner.to_owned(),
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let digits = digits.to_ascii_lowercase();
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Some(parts.join("-"))
}

/// A GUID as .NET keeps it in 16 bytes, its first three parts with the least byte first. It is in capital letters, as a column
/// of texts shows it.
pub(super) fn of_bytes(bytes: &[u8]) -> Option<String> {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let bytes: &[u8; 16] = bytes.try_into().ok()?;
    let mut digits = String::new();
    for at in ORDER {
        let _ = write!(digits, "{:02x}", bytes[at]);
    }
    guid(&digits).map(|guid| guid.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_printed_in_small_letters_with_hyphens_whatever_its_form() {
        let small = "e10d8110-f2b7-4094-a949-2dac652ee303";
        for text in [
            "E10D8110-F2B7-4094-A949-2DAC652EE303",
            small,
            "{E10D8110-F2B7-4094-A949-2DAC652EE303}",
            "(e10d8110-f2b7-4094-a949-2dac652ee303)",
            "E10D8110F2B74094A9492DAC652EE303",
        ] {
            assert_eq!(guid(text).as_deref(), Some(small), "{text}");
        }
        for text in ["", "1", "E10D8110-F2B7-4094-A949-2DAC652EE30", "E10D8110-F2B7-4094-A949-2DAC652EE30G", "{}", "é"]
        {
            assert_eq!(guid(text), None, "{text}");
        }
    }

    #[test]
    fn sixteen_bytes_are_in_the_order_of_dotnet() {
        let bytes = [0x10, 0x81, 0x0d, 0xe1, 0xb7, 0xf2, 0x94, 0x40, 0xa9, 0x49, 0x2d, 0xac, 0x65, 0x2e, 0xe3, 0x03];
        assert_eq!(of_bytes(&bytes).as_deref(), Some("E10D8110-F2B7-4094-A949-2DAC652EE303"));
        assert_eq!(of_bytes(&bytes[1..]), None);
    }

    #[test]
    fn keys_are_guids_where_they_are_shown_in_capital_letters() {
        let look = |keys: &[&str]| {
            let mut look = Look::default();
            for key in keys {
                look.at(key);
            }
            (look.keys(Keys::Unknown), look.keys(Keys::Guids), look.keys(Keys::Texts))
        };
        let is_guid = |keys: &[&str]| look(keys).0 == Keys::Guids;
        let (capital, small) = ("E10D8110-F2B7-4094-A949-2DAC652EE303", "e10d8110-f2b7-4094-a949-2dac652ee303");
        assert!(is_guid(&[capital]) && is_guid(&[capital, "10000000-0000-0000-0000-000000000000"]));
        assert!(is_guid(&["{E10D8110-F2B7-4094-A949-2DAC652EE303}"]));
        // Texts stay as they are: services know the users by them.
        for texts in [&[][..], &[small], &["1", "2"], &["E10D8110F2B74094A9492DAC652EE303"]] {
            assert_eq!(look(texts), (Keys::Texts, Keys::Texts, Keys::Texts), "{texts:?}");
        }
        // A mixture could be either; what they were taken for once, they are.
        for mixed in [[capital, small], [capital, "admin"]] {
            assert_eq!(look(&mixed), (Keys::Unknown, Keys::Guids, Keys::Texts), "{mixed:?}");
        }
        // One broken row is no reason to take all others for another user.
        let mut many = vec![capital; 20];
        many.push("");
        assert!(is_guid(&many));
    }
}
