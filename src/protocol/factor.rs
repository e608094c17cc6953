//! How a user proves who they are, and what that is worth: `amr` (RFC 8176) and `acr` (OIDC Core 2).
//!
//! A sign-in is made of factors (`SignIn::of`); what it is called in tokens follows from them here.

use crate::protocol::claims::User;
use crate::protocol::time::NumericDate;
use crate::protocol::worded::worded;

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

worded! {
    /// Why a user name and a password came to nothing, by its key in the log, in `hallpass explain --json` and in the audit. The user is
    /// told only whether to try again, the operator all of it.
    SignInFailure {
        /// Nothing was typed, or more than any name has.
        NameImplausible = "name_implausible",
        /// No user has that name or address.
        UserUnknown = "user_unknown",
        /// Several users have that address.
        AddressShared = "address_shared",
        /// The user may not sign in any more.
        UserDisabled = "user_disabled",
        /// The user is locked.
        UserLocked = "user_locked",
        /// The user's `sub` is the `client_id` of a client.
        SubIsClientId = "sub_is_client_id",
        /// The user has no password.
        PasswordMissing = "password_missing",
        /// The user has a hash that cannot be checked.
        PasswordUnusable = "password_unusable",
        /// It is another password.
        PasswordWrong = "password_wrong",
        /// Many failures before, so that it was not looked at.
        Throttled = "sign_in_throttled",
    }
}

impl SignInFailure {
    /// What keeps a user out, whatever they type; `is_usable` says whether the hash of a password can be checked.
    #[must_use]
    pub fn obstacles(user: &User, now: NumericDate, is_usable: impl Fn(&str) -> bool) -> Vec<Self> {
        let hash = user.password_hash.as_deref();
        [
            (user.disabled_at.is_some(), Self::UserDisabled),
            (user.is_locked(now), Self::UserLocked),
            (user.is_ambiguous, Self::SubIsClientId),
            (hash.is_none(), Self::PasswordMissing),
            (hash.is_some_and(|hash| !is_usable(hash)), Self::PasswordUnusable),
        ]
        .into_iter()
        .filter_map(|(is_so, obstacle)| is_so.then_some(obstacle))
        .collect()
    }

    /// What happened, for the operator.
    #[must_use]
    pub const fn cause(self) -> &'static str {
        match self {
            Self::NameImplausible => "no user name was typed, or one that is longer than any",
            Self::UserUnknown => "no user has the name or e-mail address that was typed",
            Self::AddressShared => "several users have the e-mail address that was typed, so it names none of them",
            Self::UserDisabled => "the user is disabled",
            Self::UserLocked => "the user is locked",
            Self::SubIsClientId => {
                "the user's sub is the client_id of a client, so their tokens could be taken for its own"
            }
            Self::PasswordMissing => "the user has no password",
            Self::PasswordUnusable => "the hash of the user's password cannot be checked",
            Self::PasswordWrong => "the user exists, and it is another password",
            Self::Throttled => "there were too many failures before, so the password was not looked at",
        }
    }
}
