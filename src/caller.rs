//! Who is asking: the client at the API endpoints, the token at userinfo. The extractors that look things up.

use crate::ambient::context;
use crate::protocol::claims::User;
use crate::protocol::client::Client;
use crate::protocol::error::{ErrorCode, Refusal};
use crate::protocol::grant::{AccessGrant, Authorization};
use crate::protocol::params::Params;
use crate::protocol::response::ClientAuthMethod;
use crate::protocol::secret::{AccessToken, AccessTokenParts, ClientSecret, Digest};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::StoreError;
use crate::store::access_tokens;
use crate::throttle;
use crate::tokens::{self, ACCESS_TOKEN_TYPE};
use crate::web::answer::ApiError;
use crate::web::request::{self, Credentials, Request};
use std::sync::Arc;

/// Authenticates the client of a request ([OIDC Core 9](https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication)).
///
/// A secret may come by Basic or in the body, whichever of the two is registered; a public client names itself.
///
/// # Errors
/// `invalid_client`: unknown, disabled, or not proven; `invalid_request`: two methods at once; 429 after too many
/// failures.
pub async fn authenticate(
    provider: &Provider,
    request: &Request,
    params: &Params,
    now: NumericDate,
) -> Result<Arc<Client>, ApiError> {
    let (client_id, candidates) = match request::credentials(&request.headers, params)? {
        Credentials::Basic { decoded, raw } => {
            let client_id = decoded.0.clone();
            (client_id, std::iter::once(decoded).chain(raw).collect())
        }
        Credentials::Post { client_id, secret } => (client_id.clone(), vec![(client_id, secret)]),
        Credentials::Name { client_id } => return named(provider, request, &client_id, now).await,
    };
    let mut found: Vec<(Arc<Client>, ClientSecret)> = Vec::new();
    for (id, secret) in candidates {
        if let Some(client) = provider.directory.client(&id, now).await? {
            found.push((client, secret));
        }
    }
    let Some((first, _)) = found.first() else {
        refuse_as_slowly(provider, request, &client_id).await?;
        return Err(unknown(&client_id).into());
    };
    context(|context| context.set_client(&first.client_id));
    if found.iter().all(|(client, _)| client.is_public()) {
        return Err(unproven("a public client (token_endpoint_auth_method none) sent a secret")
            .expecting("a secret", ["no secret"])
            .with_fix(
                "Take the secret out of the service's settings. If the service can keep one, register it with \
                 token_endpoint_auth_method 'client_secret_basic' and a row in client_secrets.",
            )
            .into());
    }
    found.retain(|(client, _)| !client.is_public());
    // What was proven before is neither counted nor slowed: a stranger's failures do not stop a working service.
    if let Some((client, _)) = found.iter().find(|(client, secret)| provider.passwords.is_proven(client, secret, now)) {
        return Ok(client.clone());
    }
    let mut turn = Some(provider.passwords.turn_for_client().await?);
    let attempt = throttle::client(&provider.ephemeral, &found[0].0.client_id, request.network).await?;
    let wrong = found.first().map(|(client, secret)| wrong_secret(client, secret, now));
    for (client, secret) in found {
        let turn = match turn.take() {
            Some(turn) => turn,
            None => provider.passwords.turn_for_client().await?,
        };
        if provider.passwords.verify_client(turn, &client, &secret, now).await? {
            attempt.succeeded(&provider.ephemeral).await?;
            return Ok(client);
        }
    }
    Err(wrong.unwrap_or_else(|| unproven("none of its unexpired secrets matches")).into())
}

/// The client of a request that names it and sends no secret: a public one.
async fn named(
    provider: &Provider,
    request: &Request,
    client_id: &str,
    now: NumericDate,
) -> Result<Arc<Client>, ApiError> {
    let client = provider.directory.client(client_id, now).await?;
    if let Some(client) = &client {
        context(|context| context.set_client(&client.client_id));
        if client.token_endpoint_auth_method == ClientAuthMethod::None {
            return Ok(client.clone());
        }
    }
    refuse_as_slowly(provider, request, client_id).await?;
    Err(match client {
        None => unknown(client_id),
        Some(_) => unproven("the client must authenticate with its secret and sent none")
            .expecting("no secret", ["a secret by Basic or in the body"])
            .with_fix(
                "Is the secret set in the service's settings, and does its library send it? A client that cannot keep a \
                 secret is registered with token_endpoint_auth_method 'none'.",
            ),
    }
    .into())
}

/// Counts a failure and computes a hash that nothing depends on, as for a registered client with a wrong secret: neither the
/// time of the answer nor when it is throttled tells which clients there are.
async fn refuse_as_slowly(provider: &Provider, request: &Request, client_id: &str) -> Result<(), ApiError> {
    let turn = provider.passwords.turn_for_client().await?;
    let _counted = throttle::client(&provider.ephemeral, client_id, request.network).await?;
    Ok(provider.passwords.verify_nobody(turn).await?)
}

/// A client nobody knows.
fn unknown(client_id: &str) -> Refusal {
    let shown: String = client_id.chars().take(100).collect();
    unproven(&format!("client_id {shown:?} is unknown or disabled")).expecting(&shown, [] as [&str; 0]).with_fix(
        "Was its migration applied (`hallpass migrate --check`), to this database, and is it not disabled (`hallpass client list`)? A \
         client_id is compared letter by letter.",
    )
}

/// A secret that is none of the client's. What was sent is described, never told.
fn wrong_secret(client: &Client, secret: &ClientSecret, now: NumericDate) -> Refusal {
    let ended = client.secrets.iter().filter_map(|secret| secret.expires_at).filter(|at| at.is_past(now));
    let (ended, unexpired) = (ended.clone().max(), client.secrets.len() - ended.count());
    let text = secret.expose();
    let odd = if text.trim() != text {
        ", with white space around it"
    } else if text.contains('%') {
        ", with a percent sign: is it encoded twice?"
    } else if text.starts_with('"') || text.starts_with('\'') {
        ", in quotation marks"
    } else if text.starts_with("$argon2") {
        ", which looks like the hash of one"
    } else {
        ""
    };
    let expected = match (unexpired, ended) {
        (0, None) => "the client has no row in client_secrets".to_owned(),
        (0, Some(at)) => format!("its last secret ended {} seconds ago", now.since(at)),
        (count, _) => format!("one of {count} that it has"),
    };
    unproven("none of its unexpired secrets matches")
        .expecting(&format!("a secret of {} bytes{odd}", text.len()), [expected])
        .with_fix(format!(
            "Set the secret that `hallpass client new` or `client rotate-secret` printed. If nobody has it any more: \
             `hallpass client rotate-secret {}`, then `hallpass migrate`.",
            client.client_id
        ))
}

/// The same words for every cause, so that nobody learns which clients there are; the log has the cause.
fn unproven(detail: &str) -> Refusal {
    Refusal::new(ErrorCode::InvalidClient, "client authentication failed").with_detail(detail)
}

/// An access token somebody shows, as far as it can be read without asking anybody.
pub struct Presented {
    /// Under which it rests.
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

/// Who an authorization is about, as they are now.
pub struct Parties {
    /// Who it was issued to.
    pub client: Arc<Client>,
    /// Whose it is; `None`: the client's own.
    pub user: Option<Arc<User>>,
}

/// Client and user of an authorization, if it still holds: the one place that asks, for codes, refresh tokens and access
/// tokens alike.
///
/// # Errors
/// A store failed.
pub async fn parties(
    provider: &Provider,
    authorization: &Authorization,
    now: NumericDate,
) -> Result<Option<Parties>, StoreError> {
    let client = async { provider.directory.client(&authorization.client_id, now).await };
    let user = async {
        match authorization.sub() {
            Some(sub) => provider.directory.user(sub, now).await,
            None => Ok(None),
        }
    };
    let (Some(client), user) = tokio::try_join!(client, user)? else { return Ok(None) };
    Ok(authorization.holds(&client, user.as_deref()).then_some(Parties { client, user }))
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
    let parties = parties(provider, &grant.authorization, now).await?;
    Ok(parties.map(|parties| (grant, parties)))
}
