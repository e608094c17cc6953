//! What a grant is turned into: access token, `id_token`, refresh token.

use crate::protocol::audit::{Event, EventKind};
use crate::protocol::claims::{ACR, IdTokenContent, User, session_for, subject_for};
use crate::protocol::claims_request::{self, ClaimsRequest};
use crate::protocol::client::Client;
use crate::protocol::grant::{AccessGrant, Bearer};
use crate::protocol::response::{AccessTokenFormat, GrantType};
use crate::protocol::scope::Scope;
use crate::protocol::secret::{AccessToken, AccessTokenParts, Digest, Handle, RefreshToken};
use crate::protocol::time::NumericDate;
use crate::provider::{Provider, random};
use crate::store::access_tokens;
use crate::web::answer::Fault;
use serde_json::{Map, Value, json};

/// The longest any access token can live, in seconds: markers and tombstones outlast it.
pub const LONGEST_ACCESS_TOKEN: i64 = 86_400 + 60;

/// The `typ` of a JWT access token, [RFC 9068 section 2.1](https://www.rfc-editor.org/rfc/rfc9068#section-2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// The person that tokens are about.
pub struct Person<'a> {
    /// Their record as it is now.
    pub user: &'a User,
    /// When they signed in.
    pub auth_time: NumericDate,
    /// How (RFC 8176).
    pub amr: &'a [String],
    /// The session they signed in to: `sid`.
    pub session: Handle,
    /// The single claims that were asked for.
    pub claims: &'a ClaimsRequest,
    /// `nonce` of the request; a refreshed `id_token` has none (OIDC Core 12.2).
    pub nonce: Option<&'a str>,
}

/// What is to be issued.
pub struct Order<'a> {
    /// To whom.
    pub client: &'a Client,
    /// About whom; `None`: the client itself.
    pub person: Option<Person<'a>>,
    /// What it allows.
    pub scope: &'a Scope,
    /// The APIs that were asked for; none: all of the client's.
    pub resources: &'a [String],
    /// The grant that ends it.
    pub grant: Handle,
    /// The session that ends it.
    pub session: Handle,
    /// The refresh token that goes with it.
    pub refresh_token: Option<&'a RefreshToken>,
}

/// Issues what a grant of that type is worth, and notes it.
///
/// # Errors
/// As `mint`.
pub async fn issue(
    provider: &Provider,
    grant_type: GrantType,
    order: &Order<'_>,
    now: NumericDate,
) -> Result<Value, Fault> {
    let response = mint(provider, order, now).await?;
    let mut event = Event::new(EventKind::TokensIssued, now)
        .by(&order.client.client_id)
        .with("grant_type", grant_type.as_str())
        .with("scope", order.scope.to_string());
    if let Some(person) = &order.person {
        event = event.of(&person.user.sub);
    }
    provider.audit.record(event);
    Ok(response)
}

/// Issues what a grant is worth: [RFC 6749 section 5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1),
/// [OIDC Core 3.1.3.3](https://openid.net/specs/openid-connect-core-1_0.html#TokenResponse). One signature, two with a JWT
/// access token; one trip.
///
/// # Errors
/// No key for the client's algorithm, or the store failed.
async fn mint(provider: &Provider, order: &Order<'_>, now: NumericDate) -> Result<Value, Fault> {
    let Order { client, person, scope, .. } = order;
    let lifetime = client.lifetimes.access_token.unwrap_or(provider.config.access_token_lifetime);
    let record = AccessGrant {
        client_id: client.client_id.clone(),
        bearer: person.as_ref().map(|person| Bearer {
            sub: person.user.sub.clone(),
            auth_time: person.auth_time,
            credential: person.user.credential(),
        }),
        scope: (*scope).clone(),
        audience: if order.resources.is_empty() { client.audiences.clone() } else { order.resources.to_vec() },
        claims: person.as_ref().map(|person| person.claims.userinfo.clone()).unwrap_or_default(),
        issued_at: now,
        expires_at: now.plus(lifetime),
    };
    let parts = AccessTokenParts { grant: order.grant, session: order.session };
    let opaque = parts.seal(&random(), &provider.shared.mask_key);
    let (access_token, digest) = match client.access_token_format {
        AccessTokenFormat::Opaque => (opaque.expose().to_owned(), opaque.digest()),
        AccessTokenFormat::Jwt => {
            let jti = jti_of(&opaque);
            let claims = access_token_claims(provider, order, &record, jti);
            let algorithm = client.id_token_signed_response_alg;
            (provider.keys.sign(algorithm, ACCESS_TOKEN_TYPE, &claims, now)?, digest_of_jti(jti))
        }
    };
    let mut response = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": lifetime,
    });
    if !scope.is_empty() {
        response["scope"] = scope.to_string().into();
    }
    if let Some(refresh_token) = order.refresh_token {
        response["refresh_token"] = refresh_token.expose().into();
    }
    if let (Some(person), true) = (person, scope.has("openid")) {
        let salt = &provider.shared.pairwise_salt;
        let mut further = if client.claims_in_id_token { person.user.claims_for(scope) } else { Map::new() };
        further.extend(claims_request::select(&person.claims.id_token, &person.user.claims));
        let content = IdTokenContent {
            issuer: &provider.config.issuer,
            client,
            subject: &subject_for(client, &person.user.sub, salt),
            sid: Some(&session_for(client, person.session, salt)),
            auth_time: person.auth_time,
            amr: person.amr,
            acr: person.claims.of_id_token("acr").map(|_| ACR),
            nonce: person.nonce,
            access_token: Some(&access_token),
            further,
            issued_at: now,
            expires_at: now.plus(client.lifetimes.id_token.unwrap_or(provider.config.id_token_lifetime)),
        };
        let id_token = provider.keys.sign(client.id_token_signed_response_alg, "JWT", &content.claims(), now)?;
        response["id_token"] = id_token.into();
    }
    access_tokens::issue(&provider.ephemeral, &digest, &record, lifetime).await?;
    Ok(response)
}

/// The claims of a JWT access token, [RFC 9068 section 2.2](https://www.rfc-editor.org/rfc/rfc9068#section-2.2).
fn access_token_claims(provider: &Provider, order: &Order<'_>, record: &AccessGrant, jti: &str) -> Map<String, Value> {
    let client = order.client;
    let mut claims = Map::new();
    claims.insert("iss".into(), json!(provider.config.issuer));
    claims.insert("aud".into(), audience(&record.audience, &provider.config.issuer));
    claims.insert("exp".into(), json!(record.expires_at));
    claims.insert("iat".into(), json!(record.issued_at));
    claims.insert("jti".into(), json!(jti));
    claims.insert("client_id".into(), json!(client.client_id));
    claims.insert("sub".into(), json!(subject_of(provider, client, record)));
    if !order.scope.is_empty() {
        claims.insert("scope".into(), json!(order.scope.to_string()));
    }
    if let Some(person) = &order.person {
        claims.insert("auth_time".into(), json!(person.auth_time));
        claims.insert("amr".into(), json!(person.amr));
    }
    claims
}

/// `aud` as a text or a list; a token for no API in particular is for us.
#[must_use]
pub fn audience(audience: &[String], issuer: &str) -> Value {
    match audience {
        [] => json!(issuer),
        [only] => json!(only),
        several => json!(several),
    }
}

/// `sub` of an access token as its client sees it: the person, or the client itself.
#[must_use]
pub fn subject_of(provider: &Provider, client: &Client, record: &AccessGrant) -> String {
    match &record.bearer {
        Some(bearer) => subject_for(client, &bearer.sub, &provider.shared.pairwise_salt),
        None => client.client_id.clone(),
    }
}

/// `jti` holds the same handles as an opaque token, but is none: it finds no record as one.
fn jti_of(opaque: &AccessToken) -> &str {
    opaque.expose().strip_prefix(AccessToken::PREFIX).unwrap_or_default()
}

/// What rests instead of a `jti`.
#[must_use]
pub fn digest_of_jti(jti: &str) -> Digest {
    Digest::of(&["jti", jti])
}
