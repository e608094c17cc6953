//! The pages of our own that a sign-in without a service returns to: a fixed list, so that no address comes from a request.

use crate::protocol::claims::User;
use crate::protocol::grant::Session;
use crate::protocol::time::NumericDate;
use serde::{Deserialize, Serialize};

/// How long a sign-in counts as fresh, in seconds.
pub const FRESH: i64 = 300;

/// A page of a user's account. `endpoints::account` has its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnPage {
    /// Who the user is, and what services are told.
    Account,
    /// Changing the password.
    Password,
    /// Changing the address, or having it verified.
    Email,
    /// Authenticators and recovery codes.
    SecondFactor,
    /// Passkeys.
    Passkeys,
    /// Where the user is signed in.
    Sessions,
    /// Which services have a grant.
    Services,
    /// What happened lately.
    Events,
    /// The user's data, and the request to delete the account.
    Data,
}

impl OwnPage {
    /// Each of them, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::Account,
        Self::Email,
        Self::Password,
        Self::SecondFactor,
        Self::Passkeys,
        Self::Sessions,
        Self::Services,
        Self::Events,
        Self::Data,
    ];

    /// How old the sign-in may be that a sign-in for this page ends with, in seconds; `None`: any.
    #[must_use]
    pub const fn max_age(self) -> Option<i64> {
        match self {
            Self::Email | Self::Password | Self::SecondFactor | Self::Passkeys | Self::Data => Some(FRESH),
            Self::Account | Self::Sessions | Self::Services | Self::Events => None,
        }
    }
}

/// How long a sign-in is fresh from now on, in seconds; 0: it is not any more.
#[must_use]
pub fn fresh_for(session: &Session, now: NumericDate) -> i64 {
    (FRESH - now.since(session.sign_in.auth_time)).max(0)
}

/// Whether a user has just proven all that is asked of them, as what a stolen session must not be enough for needs it.
#[must_use]
pub fn is_fresh(session: &Session, user: &User, now: NumericDate) -> bool {
    let sign_in = &session.sign_in;
    sign_in.holds(user) && sign_in.has_all_factors_of(user) && now.since(sign_in.auth_time) <= FRESH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::factor::Factor;
    use crate::protocol::grant::SignIn;
    use crate::protocol::secret::Handle;

    #[test]
    fn a_sign_in_is_fresh_for_five_minutes_and_while_it_holds() {
        let mut user = User { sub: "u".into(), credential: "one".into(), ..User::default() };
        let sign_in = SignIn::of(&user, &[Factor::Password], Handle([1; 16]), NumericDate(1000));
        let (seen_at, expires_at) = (NumericDate(9000), NumericDate(10_000));
        let session = Session { sign_in, clients: Vec::new(), seen_at, expires_at, is_remembered: false };
        assert!(is_fresh(&session, &user, NumericDate(1000)) && is_fresh(&session, &user, NumericDate(1300)));
        assert!(!is_fresh(&session, &user, NumericDate(1301)));
        user.credential = "two".into();
        assert!(!is_fresh(&session, &user, NumericDate(1000)));
    }
}
