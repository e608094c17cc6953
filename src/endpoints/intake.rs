//! The intake: how an authorization request is read, wherever it came from. `/authorize` by GET and by POST, a request that
//! waited for a page, and whatever else brings one go through `Intake::read`, which has the order of the checks.

use crate::ambient::context;
use crate::caller::of_disabled;
use crate::config::SignUp;
use crate::protocol::authorization::{AuthorizationRequest, Destination};
use crate::protocol::client::Client;
use crate::protocol::error::Refusal;
use crate::protocol::own_page::OwnPage;
use crate::protocol::params::{Params, doubled};
use crate::protocol::reason::Reason;
use crate::protocol::response::Prompt;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::StoreError;
use crate::store::cache::Registered;
use crate::tokens;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use std::sync::Arc;

/// A request that is sound, and for whom.
pub struct Intake {
    /// Who is answered.
    pub recipient: Recipient,
    /// What was sent.
    pub params: Params,
    /// What is asked.
    pub request: AuthorizationRequest,
    /// Whom `id_token_hint` names, as the client sees them.
    pub hinted_subject: Option<String>,
}

/// Who gets the answer, and where: proven before anything else is looked at.
#[derive(Clone)]
pub struct Recipient {
    /// The client.
    pub client: Arc<Client>,
    /// Where the answer goes.
    pub destination: Destination,
}

/// A request that was not taken in.
pub enum NotTaken {
    /// Client or destination is not proven: only the person at the browser can be told, and for which client it is, where that
    /// is registered.
    Unproven(Refusal, Option<Arc<Client>>),
    /// The recipient is told.
    Refused(Box<Recipient>, Refusal),
    /// The client could not be looked up.
    Fault(StoreError),
}

impl Recipient {
    /// Our own start page.
    #[must_use]
    pub fn at_home() -> Self {
        Self { client: Arc::new(Client::at_home()), destination: Destination::Home }
    }

    /// The service, if it is one.
    #[must_use]
    pub fn service(&self) -> Option<&Client> {
        match self.destination {
            Destination::Address(_) => Some(&self.client),
            Destination::Home => None,
        }
    }
}

impl Intake {
    /// A sign-in at our own start page, or for another page of ours, which says how old it may be.
    #[must_use]
    pub fn at_home(returns_to: Option<OwnPage>) -> Self {
        Self {
            recipient: Recipient::at_home(),
            params: Params::default(),
            request: AuthorizationRequest {
                max_age: returns_to.and_then(OwnPage::max_age),
                ..AuthorizationRequest::at_home()
            },
            hinted_subject: None,
        }
    }

    /// Reads a request.
    ///
    /// # Errors
    /// `Unproven`: `invalid_request`, `invalid_client`. `Refused`: as `AuthorizationRequest::parse`, and `invalid_request` for
    /// a hint that is not ours.
    pub async fn read(provider: &Provider, params: Params, now: NumericDate) -> Result<Self, NotTaken> {
        // Until the recipient is proven, nothing is sent anywhere (RFC 6749 section 4.1.2.1).
        let client = client(provider, &params, now).await?; //                           RFC 6749 section 2.2
        let destination = match Destination::of(&client, &params) {
            Ok(destination) => destination, //                                           RFC 6749 section 3.1.2
            Err(refusal) => return Err(NotTaken::Unproven(refusal, Some(client))),
        };
        let recipient = Recipient { client, destination };
        // From here on the recipient is told.
        let read = || {
            let mut request = AuthorizationRequest::parse(&recipient.client, &params)?; //  OIDC Core 3.1.2.2
            if provider.config.sign_up == SignUp::Off {
                request.prompt = request.prompt.without(Prompt::Create); //                 as it is published
            }
            let hinted_subject = hinted_subject(provider, &recipient.client, &request)?; // OIDC Core 3.1.2.1
            Ok((request, hinted_subject))
        };
        match read() {
            Ok((request, hinted_subject)) => Ok(Self { recipient, params, request, hinted_subject }),
            Err(refusal) => Err(NotTaken::Refused(Box::new(recipient), refusal)),
        }
    }
}

/// Finds the client of a request.
async fn client(provider: &Provider, params: &Params, now: NumericDate) -> Result<Arc<Client>, NotTaken> {
    if params.is_doubled("client_id") {
        return Err(NotTaken::Unproven(doubled("client_id"), None));
    }
    let client_id =
        params.get("client_id").ok_or(const { NotTaken::Unproven(Refusal::new(Reason::ClientIdMissing), None) })?;
    match provider.directory.registered(client_id, now).await.map_err(NotTaken::Fault)? {
        Registered::Enabled(client) => {
            context(|context| context.set_client(&client.client_id));
            Ok(client)
        }
        Registered::Disabled(client) => Err(NotTaken::Unproven(of_disabled(Reason::ClientDisabled, &client), None)),
        Registered::Nowhere => {
            Err(NotTaken::Unproven(Refusal::new(Reason::ClientUnknown).expecting(client_id, [] as [&str; 0]), None))
        }
    }
}

/// What a hint that is not ours says of itself; nothing of it is verified.
fn described(hint: &str) -> String {
    let payload = hint.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    match payload.and_then(|payload| serde_json::from_slice::<Value>(&payload).ok()) {
        Some(claims) => {
            let text = |name: &str| match claims.get(name) {
                None => "nothing".to_owned(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            format!("a token of iss {} for aud {}", text("iss"), text("aud"))
        }
        None => format!("no token, but {} characters", hint.chars().count()),
    }
}

/// Whom an `id_token_hint` names, as the client sees them. It must be ours and this client's; it may have expired.
fn hinted_subject(
    provider: &Provider,
    client: &Client,
    request: &AuthorizationRequest,
) -> Result<Option<String>, Refusal> {
    let Some(hint) = &request.id_token_hint else { return Ok(None) };
    tokens::read_id_token(provider, hint)
        .filter(|claims| claims.get("aud").and_then(Value::as_str) == Some(&client.client_id))
        .and_then(|claims| claims.get("sub").and_then(Value::as_str).map(str::to_owned))
        .map(Some)
        .ok_or_else(|| {
            Refusal::new(Reason::HintNotOurs)
                .expecting(&described(hint), ["an id_token of this issuer for this client"])
        })
}
