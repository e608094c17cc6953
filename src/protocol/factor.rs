//! How a user proves who they are, and what that is worth: `amr` (RFC 8176) and `acr` (OIDC Core 2).
//!
//! A sign-in is made of factors (`SignIn::of`); what it is called in tokens follows from them here.

/// The `acr` values that a sign-in here can have, the least first. `1` is a single factor, level 1 of
/// [ISO/IEC 29115](https://openid.net/specs/openid-connect-core-1_0.html#IDToken). They are told where they are asked for.
pub const ACR_VALUES: &[&str] = &["1"];

/// Something that a person has proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// That they know their password.
    Password,
}

impl Factor {
    /// Its word in `amr`, [RFC 8176 section 2](https://www.rfc-editor.org/rfc/rfc8176#section-2).
    #[must_use]
    pub const fn amr(self) -> &'static str {
        match self {
            Self::Password => "pwd",
        }
    }
}

/// What factors that were proven together are worth.
#[must_use]
pub const fn acr_of(_proven: &[Factor]) -> &'static str {
    ACR_VALUES[0]
}
