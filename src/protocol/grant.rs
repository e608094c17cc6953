//! Who signed in and what was authorized: one value each, held by session, code, family of refresh tokens and access token.

use crate::protocol::claims::User;
use crate::protocol::claims_request::{Asked, ClaimsRequest};
use crate::protocol::client::Client;
use crate::protocol::factor::{self, ACR_VALUES, Factor, acr_of, amr_of};
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::scope::Scope;
use crate::protocol::secret::Handle;
use crate::protocol::time::NumericDate;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A sign-in, as everything that comes of it carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Who: the local `sub`, before any pairwise form.
    pub sub: String,
    /// The session's own name; `sid` is made of it, the cookie is not.
    pub session: Handle,
    /// When the person proved who they are.
    pub auth_time: NumericDate,
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// What that is worth.
    pub acr: String,
    /// The password that was proven, as `User::credential` marks it.
    pub credential: String,
}

impl SignIn {
    /// A person's, by what they have proven, the oldest of it then: what is older than `max_age` is not made younger by a
    /// further factor.
    #[must_use]
    pub fn of(user: &User, proven: &[Factor], session: Handle, auth_time: NumericDate) -> Self {
        Self {
            sub: user.sub.clone(),
            session,
            auth_time,
            amr: amr_of(proven),
            acr: acr_of(proven).to_owned(),
            credential: user.credential.clone(),
        }
    }

    /// Whether it still holds, as the person's record is now.
    #[must_use]
    pub fn holds(&self, user: &User) -> bool {
        user.sub == self.sub
            && user.counts()
            && user.tokens_valid_after.is_none_or(|after| self.auth_time >= after)
            && user.credential == self.credential
    }

    /// Whether it is of every factor that the person has: one of a trusted browser, or from before they had a second one, is not.
    #[must_use]
    pub fn has_all_factors_of(&self, user: &User) -> bool {
        !user.has_second_factor() || factor::meets(&self.acr, ACR_VALUES[1])
    }

    /// The `acr` to tell for a wish: what the sign-in is, or where an essential wish names less alone, the first of its values that
    /// it is worth as well ([OIDC Core 5.5.1.1](https://openid.net/specs/openid-connect-core-1_0.html#acrSemantics)).
    #[must_use]
    pub fn acr_for(&self, asked: &Asked) -> &str {
        let values = || asked.values.iter().filter_map(Value::as_str);
        if !asked.essential || values().any(|wanted| wanted == self.acr) {
            return &self.acr;
        }
        let met = values().find(|wanted| factor::meets(&self.acr, wanted));
        met.and_then(factor::rank).map_or(&self.acr, |at| ACR_VALUES[at])
    }
}

/// What a person agreed to, or a client may do for itself: the same value behind a code, a family of refresh tokens and an
/// access token, so that one rule says whether it still holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// Who it was issued to.
    pub client_id: String,
    /// What it allows.
    pub scope: Scope,
    /// The APIs that were asked for (RFC 8707); none: all of the client's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The single claims that were asked for.
    #[serde(default, skip_serializing_if = "ClaimsRequest::is_empty")]
    pub claims: ClaimsRequest,
    /// What the person saw that the client is told beyond the claims of the scopes, as `release::opened_beyond_scopes` has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<String>,
    /// Whose it is; `None`: the client's own (`client_credentials`).
    pub sign_in: Option<SignIn>,
    /// When it was given: with the code, or with the token of a client's own.
    pub authorized_at: NumericDate,
    /// The key it is bound to (`cnf`, [RFC 7800 section 3](https://www.rfc-editor.org/rfc/rfc7800#section-3)). This version
    /// binds nothing and can check no binding, so what a newer one has bound does not hold here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Value>,
}

impl Authorization {
    /// Whether it still holds, as client and user are now; `None`: the user is gone, or it is about none.
    ///
    /// `clients.tokens_valid_after` ends what was authorized before it, whenever the person signed in;
    /// `users.tokens_valid_after` ends what comes of a sign-in before it.
    #[must_use]
    pub fn holds(&self, client: &Client, user: Option<&User>) -> bool {
        let of_this_user = match (&self.sign_in, user) {
            (None, _) => true,
            (Some(sign_in), Some(user)) => sign_in.holds(user),
            (Some(_), None) => false,
        };
        self.client_id == client.client_id
            && self.confirmation.is_none()
            && client.tokens_valid_after.is_none_or(|after| self.authorized_at >= after)
            && of_this_user
    }

    /// Whose it is: the local `sub`; `None`: the client's own.
    #[must_use]
    pub fn sub(&self) -> Option<&str> {
        self.sign_in.as_ref().map(|sign_in| sign_in.sub.as_str())
    }

    /// The same for less.
    #[must_use]
    pub fn narrowed_to(&self, scope: Scope, resources: Vec<String>) -> Self {
        Self { scope, resources, ..self.clone() }
    }
}

/// The authorization behind one code ([RFC 6749 section 4.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2)), and
/// what the code is bound to.
///
/// It is stored under the digest of code and `client_id`, whose first 128 bits are also its name
/// (`Handle::of_digest`): what is issued under it is revoked by that name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// What was authorized.
    pub authorization: Authorization,
    /// `redirect_uri` as it was sent; `None` when it was left out, which plain OAuth allows.
    pub redirect_uri: Option<String>,
    /// `nonce`, unchanged.
    pub nonce: Option<String>,
    /// What the verifier must match.
    pub code_challenge: Option<CodeChallenge>,
    /// Until when the code can be redeemed.
    pub expires_at: NumericDate,
}

/// A live access token, opaque or JWT.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessGrant {
    /// What was authorized; this token may be for less.
    pub authorization: Authorization,
    /// The APIs it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// When it was issued.
    pub issued_at: NumericDate,
    /// Until when it is good.
    pub expires_at: NumericDate,
}

/// A person's sign-in at this provider in one browser, shared by all clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Who is signed in, since when and how.
    pub sign_in: SignIn,
    /// The clients it was used for, in their order: whom to tell when it ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// When the session was last used, to within 5 % of its idle lifetime.
    pub seen_at: NumericDate,
    /// Its absolute end.
    pub expires_at: NumericDate,
    /// Whether the browser keeps it when it is closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_remembered: bool,
}

impl Session {
    /// Whether it can still be used: neither idle for `idle_lifetime` seconds nor at its absolute end.
    #[must_use]
    pub fn is_live(&self, now: NumericDate, idle_lifetime: i64) -> bool {
        !self.expires_at.is_past(now) && !self.seen_at.plus(idle_lifetime).is_past(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::client::tests::client;

    fn sign_in(user: &User, auth_time: i64) -> SignIn {
        SignIn {
            sub: user.sub.clone(),
            session: Handle([1; 16]),
            auth_time: NumericDate(auth_time),
            amr: vec!["pwd".into()],
            acr: "1".into(),
            credential: user.credential.clone(),
        }
    }

    fn authorization(client: &Client, sign_in: Option<SignIn>, authorized_at: i64) -> Authorization {
        Authorization {
            client_id: client.client_id.clone(),
            scope: Scope::default(),
            resources: Vec::new(),
            claims: ClaimsRequest::default(),
            shown: Vec::new(),
            sign_in,
            authorized_at: NumericDate(authorized_at),
            confirmation: None,
        }
    }

    #[test]
    fn what_ended_before_the_sign_in_does_not_end_it() {
        let mut user = User { tokens_valid_after: Some(NumericDate(100)), ..User::default() };
        assert!(!sign_in(&user, 99).holds(&user));
        assert!(sign_in(&user, 100).holds(&user));
        user.disabled_at = Some(NumericDate(1));
        assert!(!sign_in(&user, 100).holds(&user));
    }

    #[test]
    fn a_changed_password_ends_what_the_old_one_started() {
        let mut user = User { credential: "one".into(), ..User::default() };
        let before = sign_in(&user, 1);
        assert!(before.holds(&user));
        user.credential = "two".into();
        assert!(!before.holds(&user));
    }

    #[test]
    fn an_authorization_ends_with_its_client_s_instant_and_its_user_s_sign_ins() {
        let mut one = client(&[]);
        let mut user = User { sub: "u".into(), ..User::default() };
        let of = |user: &User, auth_time, at| authorization(&client(&[]), Some(sign_in(user, auth_time)), at);
        let own = |at| authorization(&client(&[]), None, at);
        assert!(of(&user, 10, 20).holds(&one, Some(&user)));
        // (sign-in, authorization): before, between and after.
        one.tokens_valid_after = Some(NumericDate(100));
        for (auth_time, at, holds) in
            [(10, 20, false), (10, 99, false), (10, 100, true), (10, 120, true), (110, 120, true)]
        {
            assert_eq!(of(&user, auth_time, at).holds(&one, Some(&user)), holds, "{auth_time} {at}");
            assert_eq!(own(at).holds(&one, None), holds, "{at}");
        }
        one.tokens_valid_after = None;
        user.tokens_valid_after = Some(NumericDate(100));
        for (auth_time, at, holds) in [(10, 20, false), (99, 120, false), (100, 100, true), (110, 120, true)] {
            assert_eq!(of(&user, auth_time, at).holds(&one, Some(&user)), holds, "{auth_time} {at}");
        }
    }

    #[test]
    fn an_authorization_holds_for_its_own_client_and_user_alone() {
        let (one, mut other) = (client(&[]), client(&[]));
        other.client_id = "other".into();
        let user = User { sub: "u".into(), ..User::default() };
        let another = User { sub: "v".into(), ..User::default() };
        let authorization = authorization(&one, Some(sign_in(&user, 1)), 1);
        assert!(authorization.holds(&one, Some(&user)));
        assert!(!authorization.holds(&other, Some(&user)));
        assert!(!authorization.holds(&one, Some(&another)));
        assert!(!authorization.holds(&one, None));
        // Bound to a key, which this version cannot check.
        let bound = Authorization { confirmation: Some(serde_json::json!({"jkt": "x"})), ..authorization };
        assert!(!bound.holds(&one, Some(&user)));
    }
}
