//! What a person agreed to: the record behind a code, and later behind the tokens it became.

use crate::protocol::claims_request::{Asked, ClaimsRequest};
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::scope::Scope;
use crate::protocol::secret::Handle;
use crate::protocol::time::NumericDate;
use serde::{Deserialize, Serialize};

/// The authorization behind one code ([RFC 6749 section 4.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2)).
///
/// It rests under the digest of code and `client_id`, whose first 128 bits are also its name
/// (`Handle::of_digest`): what is issued under it is revoked by that name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// Who it was issued to.
    pub client_id: String,
    /// Whose it is: the local `sub`, before any pairwise form.
    pub sub: String,
    /// What was granted.
    pub scope: Scope,
    /// `redirect_uri` as it was sent; `None` when it was left out, which plain OAuth allows.
    pub redirect_uri: Option<String>,
    /// `nonce`, unchanged.
    pub nonce: Option<String>,
    /// What the verifier must match.
    pub code_challenge: Option<CodeChallenge>,
    /// When the person signed in.
    pub auth_time: NumericDate,
    /// How the person signed in (RFC 8176).
    pub amr: Vec<String>,
    /// The password that was proven, as `User::credential` marks it.
    pub credential: String,
    /// The session it came from.
    pub session: Handle,
    /// The APIs that were asked for (RFC 8707); none: all of the client's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The single claims that were asked for.
    #[serde(default, skip_serializing_if = "ClaimsRequest::is_empty")]
    pub claims: ClaimsRequest,
    /// When it was agreed to.
    pub issued_at: NumericDate,
    /// Until when the code can be redeemed.
    pub expires_at: NumericDate,
}

/// The person behind a token, as they signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bearer {
    /// Who: the local `sub`, before any pairwise form.
    pub sub: String,
    /// When the person signed in.
    pub auth_time: NumericDate,
    /// The password that was proven, as `User::credential` marks it.
    pub credential: String,
}

/// A live access token, opaque or JWT.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessGrant {
    /// Who it was issued to.
    pub client_id: String,
    /// Whose it is; `None`: the client's own (`client_credentials`).
    pub bearer: Option<Bearer>,
    /// What it allows.
    pub scope: Scope,
    /// The APIs it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// The single claims that userinfo gives for it beyond those of its scope.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Asked>,
    /// When it was issued.
    pub issued_at: NumericDate,
    /// Until when it is good.
    pub expires_at: NumericDate,
}

/// A person's sign-in at this provider, shared by all clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Who is signed in.
    pub sub: String,
    /// The session's own name; `sid` is made of it, the cookie is not.
    pub handle: Handle,
    /// When the person signed in last.
    pub auth_time: NumericDate,
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// The password that was proven, as `User::credential` marks it.
    pub credential: String,
    /// The clients it was used for, in their order: whom to tell when it ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// When the session was last used, to within 5 % of its idle lifetime.
    pub seen_at: NumericDate,
    /// Its absolute end.
    pub expires_at: NumericDate,
}

impl Session {
    /// Whether it can still be used: neither idle for `idle_lifetime` seconds nor at its absolute end.
    #[must_use]
    pub fn is_live(&self, now: NumericDate, idle_lifetime: i64) -> bool {
        !self.expires_at.is_past(now) && !self.seen_at.plus(idle_lifetime).is_past(now)
    }
}
