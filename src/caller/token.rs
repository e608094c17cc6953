//! Who shows an access token: whose it is, and whether it is still valid.

use crate::protocol::claims::User;
use crate::protocol::client::Client;
use crate::protocol::error::Refusal;
use crate::protocol::facts::Facts;
use crate::protocol::grant::{AccessGrant, Authorization};
use crate::protocol::reason::Reason;
use crate::protocol::secret::{AccessToken, AccessTokenParts, Digest, RefreshToken};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::StoreError;
use crate::store::access_tokens;
use crate::tokens::{self, ACCESS_TOKEN_TYPE};
use crate::web::answer::{ApiError, Challenge};
use crate::web::request;
use axum::extract::FromRequest;
use axum::http::{Method, header};
use std::sync::Arc;

/// A request with an access token that is good: in the header, or in the form of a POST.
pub struct TokenRequest {
    /// What the token allows.
    pub grant: AccessGrant,
    /// To whom, and about whom.
    pub parties: Parties,
}

impl FromRequest<Arc<Provider>> for TokenRequest {
    type Rejection = ApiError;

    /// # Errors
    /// `invalid_request`, `invalid_token`, as [RFC 6750 section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1); a bare
    /// challenge where there is no token.
    async fn from_request(request: axum::extract::Request, provider: &Arc<Provider>) -> Result<Self, ApiError> {
        let now = provider.now();
        let (parts, body) = request.into_parts();
        let (query, headers) = (request::query(&parts.uri).map_err(bearer)?, parts.headers);
        // A POST without a body has no content type either.
        let has_form = parts.method == Method::POST && headers.contains_key(header::CONTENT_TYPE);
        let form = if has_form { Some(request::form(&headers, body).await.map_err(bearer)?) } else { None };
        if let Some(form) = &form {
            form.refuse_duplicates().map_err(bearer)?;
        }
        let token = request::bearer_token(&headers, form.as_ref(), &query).map_err(bearer)?;
        let token = token.ok_or(ApiError::NoToken)?;
        let Some((grant, parties)) = access_grant(provider, &token, now).await? else {
            let unknown = Refusal::new(Reason::AccessTokenInvalid);
            return Err(bearer(unknown.expecting(described(&token), ["an access token that is good"])));
        };
        Ok(Self { grant, parties })
    }
}

/// What a token that is not good looks like, without telling it.
fn described(token: &AccessToken) -> &'static str {
    let text = token.expose();
    match text.split_once('_') {
        _ if text.starts_with(AccessToken::PREFIX) => "an access token of this product",
        _ if text.starts_with(RefreshToken::PREFIX) => "a refresh token",
        Some(("hp", _)) => "a secret of another kind",
        _ if text.matches('.').count() == 2 => "a JWT: an id_token, or an access token of another issuer",
        _ => "no token of this product",
    }
}

/// A refusal of what was asked with a token.
#[must_use]
pub const fn bearer(refusal: Refusal) -> ApiError {
    ApiError::Refusal(refusal, Challenge::Bearer)
}

/// An access token that a caller shows, as far as it can be read without a look-up.
pub struct Presented {
    /// The digest it is stored under.
    pub digest: Digest,
    /// What could end it.
    pub parts: AccessTokenParts,
}

/// Reads an access token, opaque or JWT. `None`: not one of ours.
#[must_use]
pub fn read_access_token(provider: &Provider, token: &AccessToken) -> Option<Presented> {
    if token.expose().starts_with(AccessToken::PREFIX) {
        return Some(Presented { digest: token.digest(), parts: provider.secrets.open(token)? });
    }
    let claims = provider.keys.current().verify(token.expose(), ACCESS_TOKEN_TYPE)?;
    let text = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
    if text("iss")? != provider.config.issuer {
        return None;
    }
    let jti = text("jti")?;
    let parts = provider.secrets.open(&AccessToken::received(format!("{}{jti}", AccessToken::PREFIX)))?;
    Some(Presented { digest: tokens::digest_of_jti(jti), parts })
}

/// Whether an authorization still holds.
pub enum Standing {
    /// It does, for these.
    Holds(Parties),
    /// It would, but the user may not enter the service now: it holds again when they may.
    Outside,
    /// It does not, and never will again.
    Ended,
}

impl Standing {
    /// For whom it holds.
    #[must_use]
    pub fn holds(self) -> Option<Parties> {
        match self {
            Self::Holds(parties) => Some(parties),
            Self::Outside | Self::Ended => None,
        }
    }
}

/// Who an authorization is about, as they are now.
pub struct Parties {
    /// Who it was issued to.
    pub client: Arc<Client>,
    /// Whose it is; `None`: the client's own.
    pub user: Option<Arc<User>>,
    /// What is known of them beside their row.
    pub facts: Arc<Facts>,
}

/// Client and user of an authorization, and whether it still holds: the one place that asks, for codes, refresh tokens and access
/// tokens alike.
///
/// # Errors
/// A store failed.
pub async fn parties(
    provider: &Provider,
    authorization: &Authorization,
    now: NumericDate,
) -> Result<Standing, StoreError> {
    // What is known of the user beside their row is read beside it.
    let client = async {
        let Some(client) = provider.directory.client(&authorization.client_id, now).await? else { return Ok(None) };
        let facts = match authorization.sub() {
            Some(sub) => provider.directory.facts(sub, &client, now).await?,
            None => Arc::default(),
        };
        Ok(Some((client, facts)))
    };
    let user = async {
        match &authorization.sign_in {
            Some(sign_in) => provider.directory.person_of(sign_in, now).await,
            None => Ok(None),
        }
    };
    let (Some((client, facts)), user) = tokio::try_join!(client, user)? else { return Ok(Standing::Ended) };
    if !authorization.holds(&client, user.as_deref()) {
        return Ok(Standing::Ended);
    }
    if authorization.sub().is_some() && !client.admits(&facts, now) {
        return Ok(Standing::Outside);
    }
    Ok(Standing::Holds(Parties { client, user, facts }))
}

/// Finds what a live access token allows, and to whom. `None`: unknown, expired, revoked, or its session, user or
/// client has ended.
///
/// # Errors
/// A store failed.
pub async fn access_grant(
    provider: &Provider,
    token: &AccessToken,
    now: NumericDate,
) -> Result<Option<(AccessGrant, Parties)>, StoreError> {
    let Some(presented) = read_access_token(provider, token) else { return Ok(None) };
    let found = access_tokens::find(&provider.ephemeral, &presented.digest, &presented.parts, now).await?;
    let Some(grant) = found else { return Ok(None) };
    let standing = parties(provider, &grant.authorization, now).await?;
    Ok(standing.holds().map(|parties| (grant, parties)))
}
