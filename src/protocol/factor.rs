//! How a user proves who they are, and what that is worth: `amr` (RFC 8176) and `acr` (OIDC Core 2).
//!
//! A sign-in is made of factors (`SignIn::of`); what it is called in tokens follows from them here.

use crate::protocol::claims::{SecondFactorDemand, User};
use crate::protocol::time::NumericDate;
use crate::protocol::worded::worded;

/// The `acr` values that a sign-in here can have, the least first: `1` is a single factor, `2` two of different kinds
/// ([OIDC Core 2](https://openid.net/specs/openid-connect-core-1_0.html#IDToken)). They are told where they are asked for.
pub const ACR_VALUES: &[&str] = &["1", "2"];

/// Something that a user has proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// That they know their password.
    Password,
    /// That they have their authenticator, or one of their recovery codes.
    Otp,
    /// That they have a passkey that cannot be backed up, and that it verified them.
    HardwareKey,
    /// That they have a passkey that can be in several places, and that it verified them.
    SyncedKey,
}

/// The word in `amr` of a sign-in with factors of several kinds, [RFC 8176 section 2](https://www.rfc-editor.org/rfc/rfc8176#section-2).
const SEVERAL: &str = "mfa";
/// The word in `amr` of a user whom the authenticator itself has verified.
const VERIFIED: &str = "user";

impl Factor {
    const ALL: [Self; 4] = [Self::Password, Self::Otp, Self::HardwareKey, Self::SyncedKey];

    /// A passkey, by whether it can be backed up.
    #[must_use]
    pub const fn passkey(is_backup_eligible: bool) -> Self {
        if is_backup_eligible { Self::SyncedKey } else { Self::HardwareKey }
    }

    /// Whether it is two in one: what the user has, and by what it knows them.
    const fn is_passkey(self) -> bool {
        matches!(self, Self::HardwareKey | Self::SyncedKey)
    }

    /// Its word in `amr`, [RFC 8176 section 2](https://www.rfc-editor.org/rfc/rfc8176#section-2).
    #[must_use]
    pub const fn amr(self) -> &'static str {
        match self {
            Self::Password => "pwd",
            Self::Otp => "otp",
            Self::HardwareKey => "hwk",
            Self::SyncedKey => "swk",
        }
    }

    /// The factors that an `amr` names.
    #[must_use]
    pub fn of_amr(amr: &[String]) -> Vec<Self> {
        Self::ALL.into_iter().filter(|factor| amr.iter().any(|word| word == factor.amr())).collect()
    }
}

/// `amr` of factors that were proven together.
#[must_use]
pub fn amr_of(proven: &[Factor]) -> Vec<String> {
    let several = (acr_of(proven) == ACR_VALUES[1]).then_some(SEVERAL);
    let verified = proven.iter().any(|factor| factor.is_passkey()).then_some(VERIFIED);
    proven.iter().map(|factor| factor.amr()).chain(verified).chain(several).map(str::to_owned).collect()
}

/// What factors that were proven together are worth.
#[must_use]
pub fn acr_of(proven: &[Factor]) -> &'static str {
    let both = proven.contains(&Factor::Password) && proven.contains(&Factor::Otp);
    if both || proven.iter().any(|factor| factor.is_passkey()) { ACR_VALUES[1] } else { ACR_VALUES[0] }
}

/// The place of an `acr` among `ACR_VALUES`; `None`: it is none of ours.
#[must_use]
pub fn rank(acr: &str) -> Option<usize> {
    ACR_VALUES.iter().position(|known| *known == acr)
}

/// Whether a sign-in of that `acr` is worth as much as another one: two factors are one as well.
#[must_use]
pub fn meets(acr: &str, wanted: &str) -> bool {
    matches!((rank(acr), rank(wanted)), (Some(has), Some(wants)) if has >= wants)
}

worded! {
    /// Why a sign-in came to nothing, by its key in the log, in `hallpass explain --json` and in the audit. The user is
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
        /// The password was right, and the code of the second factor is none.
        CodeWrong = "code_wrong",
        /// The code was right, and has been used.
        CodeUsed = "code_used",
        /// No key opens what the code would be checked by.
        CodeUnreadable = "code_unreadable",
        /// Many wrong codes before, so that it was not looked at.
        CodesThrottled = "codes_throttled",
        /// A group demands a second factor, and the days to set one up have passed.
        SecondFactorOverdue = "second_factor_overdue",
        /// No user has that passkey, or not the one who proved the password.
        PasskeyUnknown = "passkey_unknown",
        /// The answer of the authenticator does not hold.
        PasskeyInvalid = "passkey_invalid",
        /// The authenticator did not verify its user.
        PasskeyUnverified = "passkey_unverified",
        /// The counter of the passkey did not grow.
        PasskeyCloned = "passkey_cloned",
        /// The user has another password since the passkey was used last.
        PasskeyHeldBack = "passkey_held_back",
        /// Many answers that did not hold before, so that it was not looked at.
        PasskeysThrottled = "passkeys_throttled",
    }
}

impl SignInFailure {
    /// What keeps a user out, whatever they type; `is_usable` says whether the hash of a password can be checked.
    #[must_use]
    pub fn obstacles(user: &User, now: NumericDate, is_usable: impl Fn(&str) -> bool) -> Vec<Self> {
        let hash = user.password_hash.as_deref();
        let of_password = [
            (hash.is_none(), Self::PasswordMissing),
            (hash.is_some_and(|hash| !is_usable(hash)), Self::PasswordUnusable),
            (user.second_factor_demand(now) == SecondFactorDemand::Overdue, Self::SecondFactorOverdue),
        ];
        let of_password = of_password.into_iter().filter_map(|(is_so, obstacle)| is_so.then_some(obstacle));
        Self::of_account(user, now).chain(of_password).collect()
    }

    /// Whether it is about a passkey.
    #[must_use]
    pub const fn is_of_passkey(self) -> bool {
        matches!(
            self,
            Self::PasskeyUnknown
                | Self::PasskeyInvalid
                | Self::PasskeyUnverified
                | Self::PasskeyCloned
                | Self::PasskeyHeldBack
                | Self::PasskeysThrottled
        )
    }

    /// What keeps a user out, whatever they prove.
    pub fn of_account(user: &User, now: NumericDate) -> impl Iterator<Item = Self> {
        [
            (user.disabled_at.is_some(), Self::UserDisabled),
            (user.is_locked(now), Self::UserLocked),
            (user.is_ambiguous, Self::SubIsClientId),
        ]
        .into_iter()
        .filter_map(|(is_so, obstacle)| is_so.then_some(obstacle))
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
            Self::CodeWrong => {
                "the password was right, and the code is none of the user's authenticators or recovery codes"
            }
            Self::CodeUsed => "the code was right and had been used before",
            Self::CodeUnreadable => {
                "this node has no factor key that opens the user's second factor, so the code could not be checked"
            }
            Self::CodesThrottled => "there were too many wrong codes before, so the code was not looked at",
            Self::SecondFactorOverdue => {
                "the password was right; a group of the user demands a second factor, they have none, and the days to set one up have passed"
            }
            Self::PasskeyUnknown => {
                "no user has the passkey that was used, or another one than who proved the password"
            }
            Self::PasskeyInvalid => {
                "what the authenticator answered does not hold: it is of another challenge, host or key, or nothing that WebAuthn knows"
            }
            Self::PasskeyUnverified => "the authenticator did not check by PIN, finger or face whose it is",
            Self::PasskeyCloned => {
                "the counter of the passkey did not grow since it was used last, so that there may be a copy of it"
            }
            Self::PasskeyHeldBack => {
                "the user has another password since the passkey was used last, and has to use it once after that password"
            }
            Self::PasskeysThrottled => "there were too many failures before, so the passkey was not looked at",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_kinds_are_worth_more_than_one_and_say_so() {
        let amr = |factors: &[Factor]| amr_of(factors).join(" ");
        assert_eq!((amr(&[Factor::Password]).as_str(), acr_of(&[Factor::Password])), ("pwd", "1"));
        assert_eq!((amr(&[Factor::Otp]).as_str(), acr_of(&[Factor::Otp])), ("otp", "1"));
        for (factors, told) in [
            (&[Factor::HardwareKey][..], "hwk user mfa"),
            (&[Factor::SyncedKey], "swk user mfa"),
            (&[Factor::Password, Factor::SyncedKey], "pwd swk user mfa"),
        ] {
            assert_eq!((amr(factors).as_str(), acr_of(factors)), (told, "2"));
            assert_eq!(Factor::of_amr(&amr_of(factors)), factors);
        }
        let both = [Factor::Password, Factor::Otp];
        assert_eq!((amr(&both).as_str(), acr_of(&both)), ("pwd otp mfa", "2"));
        assert_eq!(Factor::of_amr(&amr_of(&both)), both);
        for (acr, wanted, is_met) in [
            ("1", "1", true),
            ("1", "2", false),
            ("2", "1", true),
            ("2", "2", true),
            ("2", "3", false),
            ("x", "1", false),
        ] {
            assert_eq!(meets(acr, wanted), is_met, "{acr} {wanted}");
        }
    }
}
