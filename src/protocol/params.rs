//! The parameters of a request, read once: decoded strictly, duplicates noticed, empty ones absent.
//!
//! RFC 6749 section 3.1 and 3.2: parameters sent without a value are treated as omitted, and none may be
//! sent twice. `resource` (RFC 8707) is the one that may.

use crate::protocol::error::Refusal;
use crate::protocol::reason::Reason;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The most parameters a request may have; far above any real one.
pub const MAX_PARAMETERS: usize = 128;
/// The longest value of a parameter in bytes.
pub const MAX_VALUE_BYTES: usize = 16 * 1024;

/// The pairs of an `application/x-www-form-urlencoded` text in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query or a form body.
    ///
    /// # Errors
    /// `invalid_request`: a broken percent sign, text that is not UTF-8, a control character NUL,
    /// too many parameters or one that is too long.
    pub fn parse(encoded: &str) -> Result<Self, Refusal> {
        let mut pairs = Vec::new();
        for piece in encoded.split('&').filter(|piece| !piece.is_empty()) {
            if pairs.len() == MAX_PARAMETERS {
                return Err(Refusal::new(Reason::ParametersTooMany).expecting(
                    &format!("more than {MAX_PARAMETERS} parameters"),
                    [format!("{MAX_PARAMETERS} at most")],
                ));
            }
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let name = decode(name)?;
            let value = decode(value)?;
            if value.len() > MAX_VALUE_BYTES {
                return Err(Refusal::naming(Reason::ParameterTooLong, shortened(&name))
                    .expecting(&format!("{} bytes", value.len()), [format!("{MAX_VALUE_BYTES} bytes at most")]));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The value of `name`, if it was sent once or more and is not empty; the first when it was doubled,
    /// which `refuse_duplicates` has turned away before anything relies on it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Every value of `name` that is not empty: for `resource`, which may be sent more than once.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, value)| value.as_str())
    }

    /// True when `name` was sent more than once.
    #[must_use]
    pub fn is_doubled(&self, name: &str) -> bool {
        self.0.iter().filter(|(n, _)| n == name).nth(1).is_some()
    }

    /// Those of `names` alone: what is remembered for longer than its request.
    #[must_use]
    pub fn only(mut self, names: &[&str]) -> Self {
        self.0.retain(|(name, _)| names.contains(&name.as_str()));
        self
    }

    /// As they would be sent.
    #[must_use]
    pub fn encoded(&self) -> String {
        let mut encoded = form_urlencoded::Serializer::new(String::new());
        encoded.extend_pairs(&self.0);
        encoded.finish()
    }

    /// Refuses a parameter sent twice, known or unknown.
    ///
    /// # Errors
    /// `invalid_request`, naming the parameter ([RFC 6749 section 3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1)).
    pub fn refuse_duplicates(&self) -> Result<(), Refusal> {
        let mut seen = HashSet::with_capacity(self.0.len());
        for (name, _) in &self.0 {
            if name != "resource" && !seen.insert(name.as_str()) {
                return Err(doubled(name));
            }
        }
        Ok(())
    }
}

/// The refusal of a parameter that was sent more than once. Its values may be secrets.
#[must_use]
pub fn doubled(name: &str) -> Refusal {
    let name = shortened(name);
    Refusal::naming(Reason::ParameterDoubled, name)
        .expecting(&format!("{name} more than once"), [format!("{name} once")])
}

fn shortened(name: &str) -> &str {
    name.char_indices().nth(40).map_or(name, |(end, _)| &name[..end])
}

fn decode(encoded: &str) -> Result<String, Refusal> {
    let bytes = encoded.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.and_then(|&d| (d as char).to_digit(16)));
                let [Some(high), Some(low)] = digits else {
                    return Err(Refusal::new(Reason::EncodingBroken)
                        .expecting(&where_in(encoded, rest.as_slice().len()), ["% and two hexadecimal digits"]));
                };
                decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
            }
            0 => return Err(Refusal::new(Reason::ParameterWithNul)),
            other => decoded.push(other),
        }
    }
    if decoded.contains(&0) {
        return Err(Refusal::new(Reason::ParameterWithNul));
    }
    String::from_utf8(decoded).map_err(|_| Refusal::new(Reason::ParameterNotUtf8))
}

/// What is around a percent sign, of which `left` bytes are left: a few characters, no secret.
fn where_in(encoded: &str, left: usize) -> String {
    let end = encoded.len() - left;
    let percent = encoded.get(..end).and_then(|before| before.rfind('%')).unwrap_or_default();
    encoded.get(percent..end).unwrap_or("%").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_once() {
        let params = Params::parse("a=1%2B1+2&b=%25zz&c").unwrap();
        assert_eq!(params.get("a"), Some("1+1 2"));
        assert_eq!(params.get("b"), Some("%zz"));
        assert_eq!(params.get("c"), None);
    }

    #[test]
    fn an_empty_value_is_absent() {
        assert_eq!(Params::parse("scope=").unwrap().get("scope"), None);
    }

    #[test]
    fn a_doubled_parameter_is_refused_except_resource() {
        assert!(Params::parse("state=a&state=b").unwrap().refuse_duplicates().is_err());
        assert!(Params::parse("x=&x=").unwrap().refuse_duplicates().is_err());
        assert!(Params::parse("resource=a&resource=b").unwrap().refuse_duplicates().is_ok());
    }

    #[test]
    fn only_what_is_known_is_kept_and_weighed() {
        let params = Params::parse("state=abc&unknown=xyz&resource=a&resource=b").unwrap().only(&["state", "resource"]);
        assert_eq!((params.get("state"), params.get("unknown")), (Some("abc"), None));
        assert_eq!(params.all("resource").count(), 2);
        assert_eq!(Params::parse(&params.encoded()).unwrap(), params);
    }

    #[test]
    fn broken_encodings_are_refused() {
        for bad in ["a=%", "a=%4", "a=%zz", "a=%ff", "a=%00", "a=\0", "%c3=x"] {
            assert!(Params::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn too_many_and_too_long_are_refused() {
        let many = (0..=MAX_PARAMETERS).map(|i| format!("p{i}=x")).collect::<Vec<_>>().join("&");
        assert!(Params::parse(&many).is_err());
        assert!(Params::parse(&format!("state={}", "s".repeat(MAX_VALUE_BYTES + 1))).is_err());
        assert!(Params::parse(&format!("state={}", "s".repeat(2000))).is_ok());
    }
}
