//! The client at an API endpoint, by its secret or, where it has none, by its name.

use crate::ambient::context;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::client::Client;
use crate::protocol::error::Refusal;
use crate::protocol::params::Params;
use crate::protocol::reason::Reason;
use crate::protocol::remedy::Remedy;
use crate::protocol::response::ClientAuthMethod;
use crate::protocol::secret::ClientSecret;
use crate::protocol::shown::{looks_hashed, looks_secret};
use crate::protocol::text::MAX_NAME_BYTES;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::cache::Registered;
use crate::store::{clients, timely};
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
    let mut strange = Strange::default();
    for (id, secret) in candidates {
        match provider.directory.registered(&id, now).await? {
            Registered::Enabled(client) => found.push((client, secret)),
            Registered::Disabled(client) => strange.disabled = Some(client),
            Registered::Nowhere => strange.secret = Some(secret),
        }
    }
    let Some((first, _)) = found.first() else {
        refuse_as_slowly(provider, request, &client_id).await?;
        return Err(strange.refusal(provider, &client_id).await?.into());
    };
    context(|context| context.set_client(&first.client_id));
    if found.iter().all(|(client, _)| client.is_public()) {
        return Err(Refusal::new(Reason::SecretOfPublicClient).expecting("a secret", ["no secret"]).into());
    }
    found.retain(|(client, _)| !client.is_public());
    // What was proven before is neither counted nor slowed: a stranger's failures do not stop a working service.
    if let Some((client, _)) = found.iter().find(|(client, secret)| provider.passwords.is_proven(client, secret, now)) {
        return Ok(client.clone());
    }
    let mut turn = Some(provider.passwords.turn_for_client().await?);
    let attempt = count(provider, request, &found[0].0, now).await?;
    for (client, secret) in &found {
        let turn = match turn.take() {
            Some(turn) => turn,
            None => provider.passwords.turn_for_client().await?,
        };
        if provider.passwords.verify_client(turn, client, secret, now).await? {
            attempt.succeeded(&provider.ephemeral).await?;
            return Ok(client.clone());
        }
    }
    // The first is as the specification has it.
    let (client, secret) = found.swap_remove(0);
    Err(not_proven(provider, &client, &secret, now).await.into())
}

/// The client of a request that names it and sends no secret: a public one.
async fn named(
    provider: &Provider,
    request: &Request,
    client_id: &str,
    now: NumericDate,
) -> Result<Arc<Client>, ApiError> {
    let registered = provider.directory.registered(client_id, now).await?;
    if let Registered::Enabled(client) = &registered {
        context(|context| context.set_client(&client.client_id));
        if client.token_endpoint_auth_method == ClientAuthMethod::None {
            return Ok(client.clone());
        }
    }
    refuse_as_slowly(provider, request, client_id).await?;
    Err(match registered {
        Registered::Enabled(_) => {
            Refusal::new(Reason::SecretMissing).expecting("no secret", ["a secret by Basic or in the body"])
        }
        Registered::Disabled(client) => {
            Strange { disabled: Some(client), secret: None }.refusal(provider, client_id).await?
        }
        Registered::Nowhere => Strange::default().refusal(provider, client_id).await?,
    }
    .into())
}

/// Counts a failure and computes a hash that nothing depends on, as for a registered client with a wrong secret: neither the
/// time of the answer nor when it is throttled tells which clients there are, but for those of which a secret has ended.
async fn refuse_as_slowly(provider: &Provider, request: &Request, client_id: &str) -> Result<(), ApiError> {
    let turn = provider.passwords.turn_for_client().await?;
    let _counted = throttle::client(&provider.throttle, &provider.ephemeral, client_id, request.network).await?;
    Ok(provider.passwords.verify_dummy(turn).await?)
}

/// Counts an authentication of a registered client; one that is refused for the number of those before it is an event. An id
/// that is not registered may be a secret that stands in the wrong place: it is no event, and the refusal hides it.
async fn count(
    provider: &Provider,
    request: &Request,
    client: &Client,
    now: NumericDate,
) -> Result<ClientAttempt, Stopped> {
    let id = &client.client_id;
    let counted = throttle::client(&provider.throttle, &provider.ephemeral, id, request.network).await;
    if let Err(Stopped::Later(later)) = &counted {
        let event = Event::new(EventKind::ClientThrottled, now).by(id).from(&request.network);
        provider.audit.record(event.with("budget", later.budget.as_str()));
    }
    counted
}

/// A caller that is no client, or not any more.
#[derive(Default)]
struct Strange {
    /// The client that it was.
    disabled: Option<Arc<Client>>,
    /// What it sent as its secret.
    secret: Option<ClientSecret>,
}

impl Strange {
    /// The same words for every cause, so that no caller learns which clients there are; the log has the cause.
    async fn refusal(self, provider: &Provider, client_id: &str) -> Result<Refusal, ApiError> {
        if let Some(client) = self.disabled {
            return Ok(of_disabled(Reason::CallerDisabled, &client));
        }
        // What looks like a secret is one, and is not sent to the database, which may log it.
        let is_name = |secret: &ClientSecret| secret.expose().len() <= MAX_NAME_BYTES && !looks_secret(secret.expose());
        if let Some(secret) = self.secret.filter(is_name)
            && timely(clients::name_and_end(&provider.db, secret.expose())).await?.is_some()
        {
            // What stands in the place of the id is a secret, and is not told.
            context(|context| context.set_client(secret.expose()));
            return Ok(Refusal::new(Reason::IdAndSecretSwapped)
                .expecting("the client_id as the secret", [format!("{} as the client_id", secret.expose())]));
        }
        Ok(Refusal::new(Reason::CallerUnknown).expecting(client_id, [] as [&str; 0]))
    }
}

/// The refusal of a client that was disabled, which log and `explain` name.
#[must_use]
pub fn of_disabled(reason: Reason, client: &Client) -> Refusal {
    context(|context| context.set_client(&client.client_id));
    let at = client.disabled_at.map_or(0, |at| at.0);
    Refusal::new(reason)
        .with_detail(&format!("{} was disabled at {at} (Unix seconds)", client.client_id))
        .expecting(&client.client_id, [] as [&str; 0])
        .with_remedy(Remedy::EnableClient { client_id: client.client_id.clone() })
}

/// A secret that is none of the client's. What was sent is described, never told.
async fn not_proven(provider: &Provider, client: &Client, secret: &ClientSecret, now: NumericDate) -> Refusal {
    let text = secret.expose();
    let odd = if text.trim() != text {
        ", with white space around it"
    } else if text.contains('%') {
        ", with a percent sign: is it encoded twice?"
    } else if text.starts_with('"') || text.starts_with('\'') {
        ", in quotation marks"
    } else if looks_hashed(text) {
        ", which looks like the hash of one"
    } else {
        ""
    };
    let sent = format!("a secret of {} bytes{odd}", text.len());
    let good = client.secrets.iter().filter(|secret| secret.expires_at.is_none_or(|at| !at.is_past(now))).count();
    let (reason, expected) = if client.secrets.is_empty() {
        (Reason::SecretNeverSet, "a row in client_secrets; there is none".to_owned())
    } else if let Some(at) = provider.passwords.ended_secret(client, secret, now).await {
        let ago = now.since(at);
        (
            Reason::SecretEnded,
            format!("one that has not ended; this one ended {ago} seconds ago, {good} others are good"),
        )
    } else if good == 0 {
        (Reason::SecretWrong, "one of its secrets, of which none is good any more".to_owned())
    } else {
        (Reason::SecretWrong, format!("one of {good} that it has"))
    };
    Refusal::new(reason)
        .expecting(&sent, [expected])
        .with_remedy(Remedy::SetSecret { client_id: client.client_id.clone() })
}
