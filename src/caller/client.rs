//! The client at an API endpoint, by its secret or, where it has none, by its name.

use crate::ambient::context;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::client::Client;
use crate::protocol::error::{ErrorCode, Refusal};
use crate::protocol::params::Params;
use crate::protocol::remedy::Remedy;
use crate::protocol::response::ClientAuthMethod;
use crate::protocol::secret::ClientSecret;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::throttle::{self, ClientAttempt, Stopped};
use crate::tokens::Holder;
use crate::web::answer::ApiError;
use crate::web::request::{self, Credentials, Request};
use axum::extract::FromRequest;
use std::sync::Arc;

/// What an authenticated client asks by a form, in which nothing but `resource` is doubled.
pub struct ClientRequest {
    /// Who asks, and will hold what is issued.
    pub holder: Holder,
    /// What is asked.
    pub params: Params,
    /// When.
    pub now: NumericDate,
}

impl FromRequest<Arc<Provider>> for ClientRequest {
    type Rejection = ApiError;

    /// # Errors
    /// As `posted` and `authenticate`.
    async fn from_request(request: axum::extract::Request, provider: &Arc<Provider>) -> Result<Self, ApiError> {
        let now = provider.now();
        let (request, params) = request::posted(request, &provider.config).await?;
        let client = authenticate(provider, &request, &params, now).await?;
        Ok(Self { holder: Holder { client }, params, now })
    }
}

/// Authenticates the client of a request ([OIDC Core 9](https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication)).
///
/// A secret may come by Basic or in the body, whichever of the two is registered; a public client names itself.
///
/// # Errors
/// `invalid_client`: unknown, disabled, or not proven; `invalid_request`: two methods at once; 429 after too many
/// failures.
async fn authenticate(
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
            .with_remedy(Remedy::LeaveSecretOut)
            .into());
    }
    found.retain(|(client, _)| !client.is_public());
    // What was proven before is neither counted nor slowed: a stranger's failures do not stop a working service.
    if let Some((client, _)) = found.iter().find(|(client, secret)| provider.passwords.is_proven(client, secret, now)) {
        return Ok(client.clone());
    }
    let mut turn = Some(provider.passwords.turn_for_client().await?);
    let attempt = count(provider, request, &found[0].0.client_id, now).await?;
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
            .with_remedy(Remedy::SendSecret),
    }
    .into())
}

/// Counts a failure and computes a hash that nothing depends on, as for a registered client with a wrong secret: neither the
/// time of the answer nor when it is throttled tells which clients there are.
async fn refuse_as_slowly(provider: &Provider, request: &Request, client_id: &str) -> Result<(), ApiError> {
    let turn = provider.passwords.turn_for_client().await?;
    let _counted = count(provider, request, client_id, provider.now()).await?;
    Ok(provider.passwords.verify_dummy(turn).await?)
}

/// Counts an authentication; one that is refused for the number of those before it is an event.
async fn count(
    provider: &Provider,
    request: &Request,
    client_id: &str,
    now: NumericDate,
) -> Result<ClientAttempt, Stopped> {
    let counted = throttle::client(&provider.throttle, &provider.ephemeral, client_id, request.network).await;
    if let Err(Stopped::Later(later)) = &counted {
        let event = Event::new(EventKind::ClientThrottled, now).from(&request.network);
        let event = event.personal("client", client_id).with("budget", later.budget.as_str());
        provider.audit.record(event);
    }
    counted
}

/// A client that is not known.
fn unknown(client_id: &str) -> Refusal {
    REFUSED.of_unknown_client(client_id)
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
        .with_remedy(Remedy::SetSecret { client_id: client.client_id.clone() })
}

/// The same words for every cause, so that no caller learns which clients there are; the log has the cause.
const REFUSED: Refusal = Refusal::new(ErrorCode::InvalidClient, "client authentication failed");

fn unproven(detail: &str) -> Refusal {
    REFUSED.with_detail(detail)
}
