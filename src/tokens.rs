//! What a grant is turned into: access token and `id_token`.

use crate::protocol::claims::{IdTokenContent, User, session_for, subject_for};
use crate::protocol::client::Client;
use crate::protocol::grant::{AccessGrant, Grant};
use crate::protocol::secret::{AccessTokenParts, Handle};
use crate::protocol::time::NumericDate;
use crate::provider::{Provider, random};
use crate::store::access_tokens;
use crate::web::answer::Fault;
use serde_json::{Map, Value, json};

/// The longest any access token can live, in seconds: markers and tombstones outlast it.
pub const LONGEST_ACCESS_TOKEN: i64 = 86_400 + 60;

/// Issues what a grant is worth: [RFC 6749 section 5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1),
/// [OIDC Core 3.1.3.3](https://openid.net/specs/openid-connect-core-1_0.html#TokenResponse). One signature, one trip.
///
/// # Errors
/// No key for the client's algorithm, or the store failed.
pub async fn mint(
    provider: &Provider,
    client: &Client,
    user: &User,
    grant: &Grant,
    handle: Handle,
    now: NumericDate,
) -> Result<Value, Fault> {
    let lifetime = client.lifetimes.access_token.unwrap_or(provider.config.access_token_lifetime);
    let access_token =
        AccessTokenParts { grant: handle, session: grant.session }.seal(&random(), &provider.shared.mask_key);
    let mut response = json!({
        "access_token": access_token.expose(),
        "token_type": "Bearer",
        "expires_in": lifetime,
        "scope": grant.scope.to_string(),
    });
    if grant.scope.has("openid") {
        let salt = &provider.shared.pairwise_salt;
        let content = IdTokenContent {
            issuer: &provider.config.issuer,
            client,
            subject: &subject_for(client, &grant.sub, salt),
            sid: Some(&session_for(client, grant.session, salt)),
            auth_time: grant.auth_time,
            amr: &grant.amr,
            nonce: grant.nonce.as_deref(),
            access_token: Some(access_token.expose()),
            further: if client.claims_in_id_token { user.claims_for(&grant.scope) } else { Map::new() },
            issued_at: now,
            expires_at: now.plus(client.lifetimes.id_token.unwrap_or(provider.config.id_token_lifetime)),
        };
        let id_token = provider.keys.sign(client.id_token_signed_response_alg, "JWT", &content.claims(), now)?;
        response["id_token"] = id_token.into();
    }
    let record = AccessGrant {
        client_id: client.client_id.clone(),
        sub: grant.sub.clone(),
        scope: grant.scope.clone(),
        auth_time: grant.auth_time,
        issued_at: now,
        expires_at: now.plus(lifetime),
    };
    access_tokens::issue(&provider.ephemeral, &access_token, &record, lifetime).await?;
    Ok(response)
}
