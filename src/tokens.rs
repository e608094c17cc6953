//! What a grant is turned into: access token, `id_token`, refresh token.

use crate::allowance::{self, Kept, Owner};
use crate::ambient::random;
use crate::config::Config;
use crate::protocol::audit::{Event, EventKind, Impersonal};
use crate::protocol::claims::{IdTokenContent, User};
use crate::protocol::client::Client;
use crate::protocol::facts::Facts;
use crate::protocol::grant::{AccessGrant, Authorization};
use crate::protocol::node_secrets::NodeSecrets;
use crate::protocol::release::{About, Room};
use crate::protocol::response::{AccessTokenFormat, GrantType, Place, SigningAlgorithm};
use crate::protocol::secret::{AccessToken, AccessTokenParts, Digest, Handle, RefreshToken};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::access_tokens;
use crate::web::answer::ApiError;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The longest any access token can live, in seconds: markers and tombstones outlast it.
pub const LONGEST_ACCESS_TOKEN: i64 = 86_400 + 60;

/// The `typ` of a JWT access token, [RFC 9068 section 2.1](https://www.rfc-editor.org/rfc/rfc9068#section-2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// The path of userinfo, to which an `id_token` refers where groups are too many for it.
pub const USERINFO_PATH: &str = "/userinfo";

/// The `typ` of an `id_token`.
pub const ID_TOKEN_TYPE: &str = "JWT";

/// The claims of an `id_token` that comes back as an `id_token_hint`, if it is ours; it may have expired
/// ([OIDC Core 3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest)).
#[must_use]
pub fn read_id_token(provider: &Provider, token: &str) -> Option<Map<String, Value>> {
    let claims = provider.keys.current().verify(token, ID_TOKEN_TYPE)?;
    let is_ours = claims.get("iss").and_then(Value::as_str) == Some(&provider.config.issuer);
    is_ours.then_some(claims)
}

/// Who holds what is issued: whatever binds a token to its holder is proven when the client is.
pub struct Holder {
    /// The client.
    pub client: Arc<Client>,
}

/// What is to be issued.
pub struct Order<'a> {
    /// To whom.
    pub holder: &'a Holder,
    /// About whom, as their record is now; `None`: the client itself.
    pub user: Option<&'a User>,
    /// What is known of them beside it.
    pub facts: &'a Facts,
    /// What was authorized, or as much of it as is asked for now.
    pub authorization: &'a Authorization,
    /// The grant that ends it.
    pub grant: Handle,
    /// The session that ends it.
    pub session: Handle,
    /// `nonce` of the request; a refreshed `id_token` has none (OIDC Core 12.2).
    pub nonce: Option<&'a str>,
}

impl Order<'_> {
    /// The client it is issued to.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.holder.client
    }

    /// Whose allowance it takes from.
    fn owner(&self) -> Owner<'_> {
        match self.authorization.sub() {
            Some(sub) => Owner::Person(sub),
            None => Owner::Machine(&self.client().client_id),
        }
    }
}

/// What claims are made of beside an order: the settings and the secrets that all nodes share. It needs neither stores
/// nor keys, so `hallpass preview` makes the same claims as `mint`.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// The settings.
    pub config: &'a Config,
    /// The secrets.
    pub secrets: &'a NodeSecrets,
}

impl<'a> Terms<'a> {
    fn userinfo_endpoint(&self) -> String {
        format!("{}{USERINFO_PATH}", self.config.issuer)
    }

    /// Those of a running provider.
    #[must_use]
    pub fn of(provider: &'a Provider) -> Self {
        Self { config: &provider.config, secrets: &provider.secrets }
    }
}

/// What is ready to be handed out: the token's record is stored under a name that no client knows yet, so that whatever
/// decides about it can come last.
pub struct Minted {
    response: Value,
    digest: Digest,
    kept: Kept,
}

impl Minted {
    /// Hands it out, and notes it.
    #[must_use]
    pub fn issue(
        self,
        provider: &Provider,
        grant_type: GrantType,
        order: &Order<'_>,
        refresh_token: Option<&RefreshToken>,
        now: NumericDate,
    ) -> Value {
        let mut response = self.response;
        if let Some(refresh_token) = refresh_token {
            response["refresh_token"] = refresh_token.expose().into();
        }
        let mut event = Event::new(EventKind::TokensIssued, now)
            .by(&order.client().client_id)
            .with("grant_type", grant_type.as_str())
            .with("scope", Impersonal::configured(&order.authorization.scope.to_string()));
        if let Some(sub) = order.authorization.sub() {
            event = event.of(sub);
        }
        provider.audit.record(event);
        response
    }

    /// Forgets it: it is not handed out. What cannot be forgotten now ends by itself, and no client knows its name.
    pub async fn discard(self, provider: &Provider, order: &Order<'_>) {
        allowance::give_back(provider, order.owner(), vec![self.kept]).await;
        if let Err(error) = access_tokens::revoke(&provider.ephemeral, &self.digest).await {
            tracing::warn!(%error, "a token that was not handed out could not be forgotten; it ends by itself");
        }
    }
}

/// Makes what a grant is worth: [RFC 6749 section 5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1),
/// [OIDC Core 3.1.3.3](https://openid.net/specs/openid-connect-core-1_0.html#TokenResponse). One signature, two with a JWT
/// access token; one trip. `kept` is what else is kept for the person from now on.
///
/// # Errors
/// No key for the client's algorithm; the store failed; the person has too much kept already.
pub async fn mint(
    provider: &Provider,
    order: &Order<'_>,
    kept: Vec<Kept>,
    now: NumericDate,
) -> Result<Minted, ApiError> {
    let terms = Terms::of(provider);
    let record = access_grant(terms, order, now);
    let algorithm = order.client().id_token_signed_response_alg;
    let opaque = seal(order, &provider.secrets);
    let (access_token, digest) = match order.client().access_token_format {
        AccessTokenFormat::Opaque => (opaque.expose().to_owned(), opaque.digest()),
        AccessTokenFormat::Jwt => {
            let jti = jti_of(&opaque);
            let claims = access_token_claims(terms, order, &record, jti);
            (provider.keys.sign(algorithm, ACCESS_TOKEN_TYPE, &claims, now)?, digest_of_jti(jti))
        }
    };
    let mut response = response(order, &record);
    response["access_token"] = access_token.as_str().into();
    if let Some(claims) = id_token_claims(terms, order, &access_token, now) {
        response["id_token"] = provider.keys.sign(algorithm, ID_TOKEN_TYPE, &claims, now)?.into();
    }
    let lifetime = record.expires_at.since(now);
    let token = Kept::token(&record, lifetime);
    let mut kept = kept;
    kept.push(token.clone());
    let (is_stored, is_kept) = tokio::join!(
        access_tokens::issue(&provider.ephemeral, &digest, &record, lifetime),
        allowance::keep(provider, order.owner(), &kept)
    );
    if let Err(stopped) = is_kept {
        // Nothing was counted, so nothing is given back.
        let _ = access_tokens::revoke(&provider.ephemeral, &digest).await;
        return Err(stopped.into());
    }
    let minted = Minted { response, digest, kept: token };
    if let Err(error) = is_stored {
        minted.discard(provider, order).await;
        return Err(error.into());
    }
    Ok(minted)
}

/// A fresh opaque access token; a JWT has what follows its prefix as `jti`.
#[must_use]
pub fn seal(order: &Order<'_>, secrets: &NodeSecrets) -> AccessToken {
    secrets.seal(AccessTokenParts { grant: order.grant, session: order.session }, &random())
}

/// What an access token allows, as it is stored.
#[must_use]
pub fn access_grant(terms: Terms<'_>, order: &Order<'_>, now: NumericDate) -> AccessGrant {
    let Order { holder: Holder { client }, authorization, .. } = order;
    let lifetime = client.lifetimes.access_token.unwrap_or(terms.config.access_token_lifetime);
    AccessGrant {
        authorization: (*authorization).clone(),
        audience: match authorization.resources.as_slice() {
            [] => client.audiences.clone(),
            asked => asked.to_vec(),
        },
        issued_at: now,
        expires_at: now.plus(lifetime),
    }
}

/// What the token response says beside the tokens themselves.
#[must_use]
pub fn response(order: &Order<'_>, record: &AccessGrant) -> Value {
    let mut response = json!({ "token_type": "Bearer", "expires_in": record.expires_at.since(record.issued_at) });
    let scope = &order.authorization.scope;
    if !scope.is_empty() {
        response["scope"] = scope.to_string().into();
    }
    response
}

/// The claims of the `id_token` beside that access token; `None`: the order is not about a person, or not with `openid`.
#[must_use]
pub fn id_token_claims(
    terms: Terms<'_>,
    order: &Order<'_>,
    access_token: &str,
    now: NumericDate,
) -> Option<Map<String, Value>> {
    let Order { holder: Holder { client }, user: Some(user), authorization, .. } = order else { return None };
    let Authorization { scope, claims, sign_in: Some(sign_in), .. } = authorization else { return None };
    if !scope.has("openid") {
        return None;
    }
    let about = About { client, user, facts: order.facts, now };
    let (subject, sid) =
        (terms.secrets.subject_for(client, &user.sub), terms.secrets.session_for(client, sign_in.session));
    let with_room = |room| {
        let content = IdTokenContent {
            issuer: &terms.config.issuer,
            client,
            subject: &subject,
            sid: Some(&sid),
            auth_time: sign_in.auth_time,
            amr: &sign_in.amr,
            acr: claims.of_id_token("acr").map(|asked| sign_in.acr_for(asked)),
            nonce: order.nonce,
            access_token: Some(access_token),
            further: about.claims(authorization, Place::IdToken, room, || terms.userinfo_endpoint()),
            issued_at: now,
            expires_at: now.plus(client.lifetimes.id_token.unwrap_or(terms.config.id_token_lifetime)),
        };
        content.claims()
    };
    Some(fitting(about.may_be_much(Place::IdToken), client, with_room))
}

/// The claims of a token with as much of what `may_be_much` as there is room for.
fn fitting(may_be_much: bool, client: &Client, with_room: impl Fn(Room) -> Map<String, Value>) -> Map<String, Value> {
    let mut claims = with_room(Room::Enough);
    for room in [Room::NotForGroups, Room::NotForClaims] {
        if may_be_much && is_too_large(&claims, client.id_token_signed_response_alg) {
            claims = with_room(room);
        }
    }
    claims
}

/// The largest token that is made with the groups of a user in it, in bytes: what proxies and cookies take.
pub const LARGEST_WITH_GROUPS: usize = 8192;

/// Whether a JWT of these claims would be larger than that: header and signature as its algorithm has them, and a key of 2048 bits.
fn is_too_large(claims: &Map<String, Value>, algorithm: SigningAlgorithm) -> bool {
    const HEADER: usize = 140;
    let signature = match algorithm {
        SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => 342,
        SigningAlgorithm::Es256 | SigningAlgorithm::EdDsa => 86,
    };
    let bytes = serde_json::to_string(claims).map_or(usize::MAX / 8, |text| text.len());
    HEADER + (bytes * 4).div_ceil(3) + signature + 2 > LARGEST_WITH_GROUPS
}

/// The claims of a JWT access token, [RFC 9068 section 2.2](https://www.rfc-editor.org/rfc/rfc9068#section-2.2).
#[must_use]
pub fn access_token_claims(terms: Terms<'_>, order: &Order<'_>, record: &AccessGrant, jti: &str) -> Map<String, Value> {
    let client = order.client();
    let about = order.user.map(|user| About { client, user, facts: order.facts, now: record.issued_at });
    let with_room = |room| {
        let further = about.map_or_else(Map::new, |about| {
            about.claims(&record.authorization, Place::AccessToken, room, || terms.userinfo_endpoint())
        });
        with_token_claims(terms, client, record, jti, further)
    };
    fitting(about.is_some_and(|about| about.may_be_much(Place::AccessToken)), client, with_room)
}

fn with_token_claims(
    terms: Terms<'_>,
    client: &Client,
    record: &AccessGrant,
    jti: &str,
    further: Map<String, Value>,
) -> Map<String, Value> {
    let mut claims = further;
    claims.insert("iss".into(), json!(terms.config.issuer));
    claims.insert("aud".into(), audience(&record.audience, &terms.config.issuer));
    claims.insert("exp".into(), json!(record.expires_at));
    claims.insert("iat".into(), json!(record.issued_at));
    claims.insert("jti".into(), json!(jti));
    claims.insert("client_id".into(), json!(client.client_id));
    claims.insert("sub".into(), json!(subject_of(terms, client, record)));
    let Authorization { scope, sign_in, .. } = &record.authorization;
    if !scope.is_empty() {
        claims.insert("scope".into(), json!(scope.to_string()));
    }
    if let Some(sign_in) = sign_in {
        claims.insert("auth_time".into(), json!(sign_in.auth_time));
        claims.insert("amr".into(), json!(sign_in.amr));
        // RFC 9068 section 2.2.1: an API that wants more sends its client back by it (RFC 9470).
        claims.insert("acr".into(), json!(sign_in.acr));
    }
    claims
}

/// What introspection says of a live access token, [RFC 7662 section 2.2](https://www.rfc-editor.org/rfc/rfc7662#section-2.2).
///
/// Of a user it has the claims that the client's row puts there, and for the API that the token is for: `username` with the scope
/// `profile`, unless the client is to know the user by a subject of its own; `email` with the scope `email` where it is verified.
#[must_use]
pub fn introspection(terms: Terms<'_>, client: &Client, about: Option<&About<'_>>, grant: &AccessGrant) -> Value {
    let mut answer = json!({
        "active": true,
        "token_type": "Bearer",
        "client_id": grant.authorization.client_id,
        "sub": subject_of(terms, client, grant),
        "aud": audience(&grant.audience, &terms.config.issuer),
        "iss": terms.config.issuer,
        "iat": grant.issued_at,
        "exp": grant.expires_at,
    });
    let Authorization { scope, sign_in, .. } = &grant.authorization;
    if !scope.is_empty() {
        answer["scope"] = scope.to_string().into();
    }
    if let Some(sign_in) = sign_in {
        answer["auth_time"] = json!(sign_in.auth_time);
        answer["acr"] = json!(sign_in.acr);
        answer["amr"] = json!(sign_in.amr);
    }
    let Some(about) = about else { return answer };
    for (name, value) in about.claims(&grant.authorization, Place::Introspection, Room::Enough, String::new) {
        answer[name] = value;
    }
    let User { username, claims, .. } = about.user;
    if let Some(username) = username.as_ref().filter(|_| scope.has("profile") && !client.is_pairwise()) {
        answer["username"] = json!(username);
    }
    let is_verified = claims.get("email_verified") == Some(&json!(true));
    if let Some(email) = claims.get("email").filter(|_| scope.has("email") && is_verified) {
        answer["email"] = email.clone();
    }
    answer
}

/// What userinfo says for an access token, [OIDC Core 5.3.2](https://openid.net/specs/openid-connect-core-1_0.html#UserInfoResponse).
#[must_use]
pub fn userinfo(terms: Terms<'_>, about: &About<'_>, grant: &AccessGrant) -> Map<String, Value> {
    let mut claims = about.claims(&grant.authorization, Place::Userinfo, Room::Enough, String::new);
    claims.insert("sub".into(), terms.secrets.subject_for(about.client, &about.user.sub).into());
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
pub fn subject_of(terms: Terms<'_>, client: &Client, record: &AccessGrant) -> String {
    match record.authorization.sub() {
        Some(sub) => terms.secrets.subject_for(client, sub),
        None => client.client_id.clone(),
    }
}

/// `jti` holds the same handles as an opaque token, but is none: it finds no record as one.
#[must_use]
pub fn jti_of(opaque: &AccessToken) -> &str {
    opaque.expose().strip_prefix(AccessToken::PREFIX).unwrap_or_default()
}

/// What is stored instead of a `jti`.
#[must_use]
pub fn digest_of_jti(jti: &str) -> Digest {
    Digest::of(&["jti", jti])
}
