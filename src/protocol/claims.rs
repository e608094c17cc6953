//! Claims: what a person's record says, and what an `id_token` carries.
//!
//! OIDC Core 5.1 (standard claims), 2 (`id_token`), 3.1.3.6 (`at_hash`).

use crate::protocol::claim_names::CLAIMS_OF_SCOPES;
use crate::protocol::client::Client;
use crate::protocol::response::SigningAlgorithm;
use crate::protocol::scope::Scope;
use crate::protocol::time::NumericDate;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256, Sha512};

/// A person as the claims know them.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// `sub`: never changed, never given to another.
    pub sub: String,
    /// What the person types at sign-in.
    pub username: Option<String>,
    /// The standard claims that are set, under their names (`address` as an object).
    pub claims: Map<String, Value>,
    /// In one of the forms that a sign-in checks; absent: this person cannot sign in with a password.
    pub password_hash: Option<String>,
    /// The hash was made by us, of a password prepared as RFC 8265 has it; others may be of what was typed.
    pub password_is_prepared: bool,
    /// A mark of the password as it is now (22 characters): it changes whenever the password does, however it is changed,
    /// stays where the same password is hashed anew, and opens nothing.
    pub credential: String,
    /// What was issued before is dead.
    pub tokens_valid_after: Option<NumericDate>,
    /// Since when the person cannot sign in.
    pub disabled_at: Option<NumericDate>,
    /// The instant until which the person cannot sign in; what was issued before the lock was set has ended with it.
    pub locked_until: Option<NumericDate>,
    /// A client has this `sub` as its `client_id`: in an access token an API could not tell the two apart
    /// ([RFC 9068 section 5](https://www.rfc-editor.org/rfc/rfc9068#section-5)), so the person cannot sign in.
    pub is_ambiguous: bool,
    /// The person has an authenticator, which a sign-in asks for after the password.
    pub has_authenticator: bool,
    /// How many passkeys they have: each does as well after the password, and signs in alone.
    pub passkeys: usize,
    /// When they were asked whether they want one, and answered.
    pub passkey_offered_at: Option<NumericDate>,
    /// A mark of their factors as they are now: another one when one is added, replaced or taken away; empty: there is none.
    pub factors: String,
    /// What groups demand of the person.
    pub second_factor_demands: Vec<Demand>,
    /// Their first sign-in under that demand.
    pub second_factor_asked_at: Option<NumericDate>,
    /// Browsers that were trusted until then are not trusted any more.
    pub browsers_untrusted_at: Option<NumericDate>,
}

/// A membership that demands a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The days that the person has for it; 0: a password alone does not let them in.
    pub days: i64,
    /// The instant the membership ends; `None`: not by itself.
    pub until: Option<NumericDate>,
}

/// What is demanded of a person who has no second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactorDemand {
    /// Nothing, or they have one.
    Met,
    /// They have until then.
    Until(NumericDate),
    /// Their time is over.
    Overdue,
}

impl User {
    /// How pages call the person: name, user name or e-mail, whichever is known first.
    #[must_use]
    pub fn display_name(&self) -> &str {
        ["name", "preferred_username", "email"]
            .iter()
            .find_map(|claim| self.claims.get(*claim).and_then(Value::as_str))
            .or(self.username.as_deref())
            .unwrap_or(&self.sub)
    }

    /// What tells this person from others of the same name: the user name or the e-mail address, whichever is known first
    /// and is not the display name itself.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        let shown = self.display_name();
        self.username.as_deref().into_iter().chain(self.email()).find(|account| *account != shown)
    }

    /// Whether what was issued to the person counts.
    #[must_use]
    pub const fn counts(&self) -> bool {
        self.disabled_at.is_none() && !self.is_ambiguous
    }

    /// Whether the person is locked.
    #[must_use]
    pub fn is_locked(&self, now: NumericDate) -> bool {
        self.locked_until.is_some_and(|until| until > now)
    }

    /// Whether the person may sign in at all.
    #[must_use]
    pub fn may_sign_in(&self, now: NumericDate) -> bool {
        self.counts() && !self.is_locked(now)
    }

    /// The e-mail address.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.claims.get("email").and_then(Value::as_str)
    }

    /// The language (`locale`), as BCP 47 writes it, or with `_` instead of `-`.
    #[must_use]
    pub fn locale(&self) -> Option<&str> {
        self.claims.get("locale").and_then(Value::as_str)
    }

    /// Whether the password alone is not enough.
    #[must_use]
    pub const fn has_second_factor(&self) -> bool {
        self.has_authenticator || self.has_passkey()
    }

    /// Whether they have a passkey.
    #[must_use]
    pub const fn has_passkey(&self) -> bool {
        self.passkeys > 0
    }

    /// Whether it is verified, and no other user has it.
    #[must_use]
    pub fn email_is_verified(&self) -> bool {
        self.claims.get("email_verified") == Some(&Value::Bool(true))
    }

    /// Within how many days a second factor is demanded of them, whether they have one or not; 0: a password alone never does.
    #[must_use]
    pub fn demanded_days(&self, now: NumericDate) -> Option<i64> {
        let live = self.second_factor_demands.iter().filter(|demand| demand.until.is_none_or(|until| now < until));
        live.map(|demand| demand.days).min()
    }

    /// What is demanded of them, of several groups by the one that gives the fewest days. They count from the first sign-in
    /// under the demand, which may be this one.
    #[must_use]
    pub fn second_factor_demand(&self, now: NumericDate) -> SecondFactorDemand {
        const DAY: i64 = 86_400;
        match self.demanded_days(now) {
            Some(days) if !self.has_second_factor() => {
                let until = self.second_factor_asked_at.unwrap_or(now).plus(days.clamp(0, 36_500) * DAY);
                if until > now { SecondFactorDemand::Until(until) } else { SecondFactorDemand::Overdue }
            }
            _ => SecondFactorDemand::Met,
        }
    }

    /// The claims that `scope` opens, without `sub`.
    #[must_use]
    pub fn claims_for(&self, scope: &Scope) -> Map<String, Value> {
        let mut claims = Map::new();
        for (_, names) in CLAIMS_OF_SCOPES.iter().filter(|(token, _)| scope.has(token)) {
            for name in *names {
                if let Some(value) = self.claims.get(*name) {
                    claims.insert((*name).to_owned(), value.clone());
                }
            }
        }
        claims
    }
}

/// `at_hash`: the left half of the access token's hash, [OIDC Core 3.1.3.6](https://openid.net/specs/openid-connect-core-1_0.html#CodeIDToken).
///
/// Ed25519 hashes with SHA-512 inside, and so does its `at_hash`.
#[must_use]
pub fn at_hash(access_token: &str, algorithm: SigningAlgorithm) -> String {
    match algorithm {
        SigningAlgorithm::EdDsa => URL_SAFE_NO_PAD.encode(&Sha512::digest(access_token.as_bytes())[..32]),
        SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 | SigningAlgorithm::Es256 => {
            URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token.as_bytes())[..16])
        }
    }
}

/// What an `id_token` is made of.
pub struct IdTokenContent<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// The client it is for: `aud`.
    pub client: &'a Client,
    /// `sub` as this client sees it.
    pub subject: &'a str,
    /// `sid` as this client sees it.
    pub sid: Option<&'a str>,
    /// `auth_time`.
    pub auth_time: NumericDate,
    /// `amr`.
    pub amr: &'a [String],
    /// `acr`, where it is asked for.
    pub acr: Option<&'a str>,
    /// `nonce`, unchanged.
    pub nonce: Option<&'a str>,
    /// The access token issued beside it, for `at_hash`.
    pub access_token: Option<&'a str>,
    /// Claims of the scopes, when the client's row wants them here too.
    pub further: Map<String, Value>,
    /// `iat`.
    pub issued_at: NumericDate,
    /// `exp`.
    pub expires_at: NumericDate,
}

impl IdTokenContent<'_> {
    /// The claims set, [OIDC Core 2](https://openid.net/specs/openid-connect-core-1_0.html#IDToken). There is no
    /// `nbf`: it only makes clocks that differ by a second refuse the token.
    #[must_use]
    pub fn claims(&self) -> Map<String, Value> {
        let mut claims = self.further.clone();
        claims.insert("iss".into(), json!(self.issuer));
        claims.insert("sub".into(), json!(self.subject));
        claims.insert("aud".into(), json!(self.client.client_id));
        claims.insert("exp".into(), json!(self.expires_at));
        claims.insert("iat".into(), json!(self.issued_at));
        claims.insert("auth_time".into(), json!(self.auth_time));
        claims.insert("amr".into(), json!(self.amr));
        if let Some(acr) = self.acr {
            claims.insert("acr".into(), json!(acr));
        }
        if let Some(nonce) = self.nonce {
            claims.insert("nonce".into(), json!(nonce));
        }
        if let Some(sid) = self.sid {
            claims.insert("sid".into(), json!(sid));
        }
        if let Some(token) = self.access_token {
            claims.insert("at_hash".into(), json!(at_hash(token, self.client.id_token_signed_response_alg)));
        }
        claims
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_opens_its_claims_and_no_others() {
        let user = User {
            claims: serde_json::from_value(
                json!({"name": "Alice", "email": "a@example.com", "email_verified": true, "updated_at": 5}),
            )
            .unwrap(),
            ..User::default()
        };
        let names = |scope: &str| user.claims_for(&Scope::parse(scope).unwrap()).keys().cloned().collect::<Vec<_>>();
        assert_eq!(names("openid"), Vec::<String>::new());
        assert_eq!(names("openid email"), ["email", "email_verified"]);
        assert_eq!(names("openid profile"), ["name", "updated_at"]);
    }

    #[test]
    fn at_hash_is_the_example_of_the_specification() {
        // OIDC Core appendix A.4 gives an id_token and its access token.
        assert_eq!(
            at_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", SigningAlgorithm::Rs256),
            "77QmUPtjPfzWtF2AnpK9RQ"
        );
    }
}
