//! What mails there are: those with a one-time link, which were asked for, and notices of what has happened.

use crate::protocol::audit::EventKind;
use crate::protocol::worded::worded;
use serde::{Deserialize, Serialize};

worded! {
    /// What a mail is about, by its word in `mail_outbox.kind`.
    MailKind {
        /// A link to set another password.
        PasswordLink = "password_link",
        /// A link to set up a second factor.
        FactorLink = "factor_link",
        /// A link by which an address becomes the user's, and verified.
        EmailLink = "email_link",
        /// A link by which one who has no account yet has one.
        SignUpLink = "sign_up_link",
        /// An account was asked for with the address of one that there is.
        HasAccount = "has_account",
        /// The user changed the password.
        PasswordChanged = "password_changed",
        /// The user set a password by a link.
        PasswordReset = "password_reset",
        /// An operator set a password.
        PasswordSet = "password_set",
        /// The address is another one: told to the one before.
        EmailChanged = "email_changed",
        /// There is an authenticator more.
        FactorAdded = "factor_added",
        /// There is an authenticator less, or no factor any more.
        FactorRemoved = "factor_removed",
        /// A passkey was used of which there may be a copy.
        PasskeyCloned = "passkey_cloned",
        /// There are other recovery codes.
        CodesMade = "codes_made",
        /// The user signed in with a browser that had not been seen.
        NewBrowser = "new_browser",
    }
}

/// When, from where and by which browser something happened that a mail tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstances {
    /// Unix seconds.
    pub at: i64,
    /// The network, as users are shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The browser, as users are shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
    /// The languages that were wished for where it happened, the most wanted first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
}

/// The member of a sign-in's event that says so, where the browser was not known to the account.
pub const NEW_BROWSER: &str = "new_browser";

impl MailKind {
    /// The kind of that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }

    /// The notice that an event is worth, where it comes with a change or with a sign-in.
    #[must_use]
    pub const fn of_event(kind: EventKind, is_new_browser: bool) -> Option<Self> {
        Some(match kind {
            EventKind::UserPasswordChanged => Self::PasswordChanged,
            EventKind::UserPasswordReset => Self::PasswordReset,
            EventKind::UserPasswordSet => Self::PasswordSet,
            EventKind::FactorAdded => Self::FactorAdded,
            EventKind::FactorRemoved => Self::FactorRemoved,
            EventKind::PasskeyCloned => Self::PasskeyCloned,
            EventKind::RecoveryCodesMade => Self::CodesMade,
            EventKind::SignIn if is_new_browser => Self::NewBrowser,
            _ => return None,
        })
    }

    /// Whether it has a link, which is made when it is handed over.
    #[must_use]
    pub const fn has_link(self) -> bool {
        matches!(self, Self::PasswordLink | Self::FactorLink | Self::EmailLink | Self::SignUpLink)
    }

    /// Whether the address was typed by who asked, and so may be any.
    #[must_use]
    pub const fn is_to_typed_address(self) -> bool {
        matches!(self, Self::EmailLink | Self::SignUpLink)
    }

    /// How long it is tried to hand it over, in seconds. Who asked for something and got nothing asks again.
    #[must_use]
    pub const fn patience(self) -> i64 {
        if self.has_link() || matches!(self, Self::HasAccount) { 3600 } else { 2 * 86_400 }
    }
}
