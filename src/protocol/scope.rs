//! Scopes: what a client asks to do or to know, RFC 6749 section 3.3 and OIDC Core 5.4.

use crate::protocol::error::Refusal;
use crate::protocol::reason::Reason;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The scopes that discovery publishes. `offline_access` is granted where a refresh token can follow.
pub const SCOPES_SUPPORTED: &[&str] = &["openid", "profile", "email", "address", "phone", "groups", "offline_access"];

/// A list of scope tokens without repetition, in the order they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Scope(Vec<String>);

impl Scope {
    /// Reads a space-separated list.
    ///
    /// # Errors
    /// Why not: a character outside [RFC 6749 section 3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3).
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let legal = |b: u8| b == 0x21 || (0x23..=0x5b).contains(&b) || (0x5d..=0x7e).contains(&b) || b == b' ';
        if text.bytes().all(legal) {
            Ok(Self::from(text.to_owned()))
        } else {
            Err("scope has a character that RFC 6749 section 3.3 does not allow")
        }
    }

    /// Reads what a request asks for.
    ///
    /// # Errors
    /// `invalid_scope`, as `parse`.
    pub fn asked(text: &str) -> Result<Self, Refusal> {
        Self::parse(text).map_err(|_| Refusal::new(Reason::ScopeMalformed).expecting(text, ["openid profile email"]))
    }

    /// Whether `token` is in the list.
    #[must_use]
    pub fn has(&self, token: &str) -> bool {
        self.0.iter().any(|t| t == token)
    }

    /// The tokens in their order.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// True when no token is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens that are to be kept.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|token| keep(token)).cloned().collect())
    }

    /// The tokens that are in `allowed` too.
    #[must_use]
    pub fn within(&self, allowed: &Self) -> Self {
        self.only(|token| allowed.has(token))
    }

    /// The tokens that are about an API and not about a person: what a client can have for itself.
    #[must_use]
    pub fn for_machines(&self) -> Self {
        self.only(|token| !SCOPES_SUPPORTED.contains(&token))
    }

    /// The tokens that are about a person.
    #[must_use]
    pub fn for_users(&self) -> Self {
        self.only(|token| SCOPES_SUPPORTED.contains(&token))
    }

    /// The list without `token`.
    #[must_use]
    pub fn without(&self, token: &str) -> Self {
        self.only(|other| other != token)
    }

    /// This list and what `other` has beyond it.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut tokens = self.0.clone();
        tokens.extend(other.0.iter().filter(|token| !self.has(token)).cloned());
        Self(tokens)
    }

    /// Whether every token of this list is in `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|token| other.has(token))
    }
}

impl From<String> for Scope {
    fn from(text: String) -> Self {
        let mut tokens: Vec<String> = Vec::new();
        for token in text.split(' ').filter(|token| !token.is_empty()) {
            if !tokens.iter().any(|t| t == token) {
                tokens.push(token.to_owned());
            }
        }
        Self(tokens)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_scope_counts_once_and_the_order_is_kept() {
        assert_eq!(Scope::parse("openid  email openid").unwrap().to_string(), "openid email");
    }

    #[test]
    fn quotes_and_controls_are_refused() {
        for bad in ["a\"b", "a\\b", "a\nb", "ä"] {
            assert!(Scope::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_scope_is_about_users_or_about_an_api() {
        let scope = Scope::parse("jobs:run openid profile email address phone groups offline_access OpenID").unwrap();
        assert_eq!(scope.for_machines().to_string(), "jobs:run OpenID");
        assert_eq!(scope.for_users().to_string(), "openid profile email address phone groups offline_access");
    }

    #[test]
    fn within_narrows_and_union_widens() {
        let asked = Scope::parse("openid email admin").unwrap();
        let allowed = Scope::parse("openid profile email").unwrap();
        assert_eq!(asked.within(&allowed).to_string(), "openid email");
        assert!(asked.within(&allowed).is_within(&allowed));
        assert_eq!(allowed.union(&asked).to_string(), "openid profile email admin");
    }
}
