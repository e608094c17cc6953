//! One authorization request in one browser: what `/authorize`, `/login` and `/consent` all have to know.
//!
//! The pages never link to one another: each sends the browser back to `/authorize?interaction=…`, which asks
//! `next_step` again.

use crate::allowance::{self, Kept, Owner};
use crate::ambient::{context, random};
use crate::endpoints::path;
use crate::protocol::authorization::{
    AuthorizationRequest, Interaction, MAX_KEPT_BYTES, PARAMETERS, ReturnAddress, Situation, Step, next_step,
};
use crate::protocol::claims::User;
use crate::protocol::client::Client;
use crate::protocol::error::{ErrorCode, Refusal};
use crate::protocol::grant::{Authorization, Grant, Session};
use crate::protocol::params::Params;
use crate::protocol::response::ConsentPolicy;
use crate::protocol::scope::Scope;
use crate::protocol::secret::{AuthorizationCode, BrowserId, InteractionId, SessionId, same_text};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::ephemeral::Taken;
use crate::store::stored::Stored;
use crate::store::{StoreError, codes, interactions, sessions};
use crate::throttle::{self, Stopped};
use crate::tokens;
use crate::web::answer::{PageError, authorization_response, see_other};
use crate::web::cookies::{self, Browser};
use crate::web::fault::Fault;
use crate::web::network::Network;
use crate::web::pages::Chrome;
use crate::web::problems::Problem;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use std::sync::Arc;

/// A request whose client and address are proven, with everything the next step depends on.
pub struct Flow {
    /// Who asks.
    pub client: Arc<Client>,
    /// What was sent.
    pub params: Params,
    /// Where the answer goes.
    pub address: ReturnAddress,
    /// What is asked.
    pub request: AuthorizationRequest,
    /// The live session, with its user.
    pub signed_in: Option<(Stored<Session>, Arc<User>)>,
    hinted_subject: Option<String>,
    remembered: Option<Arc<Scope>>,
    /// What happened so far, if a page was needed.
    pub interaction: Option<(InteractionId, Stored<Interaction>)>,
    network: Network,
    now: NumericDate,
}

/// What a browser asks, and with what in hand.
pub struct Asked {
    /// The request.
    pub params: Params,
    /// What happened in it so far, if a page was needed.
    pub interaction: Option<(InteractionId, Stored<Interaction>)>,
    /// The session that the cookie names, live or not. A store that failed is told to the client, at its address.
    pub session: Result<Option<Stored<Session>>, PageError>,
    /// Where it comes from.
    pub network: Network,
}

/// Finds the client of a request.
///
/// # Errors
/// A page: without a client there is nobody to redirect to.
pub async fn client_of(provider: &Provider, params: &Params, now: NumericDate) -> Result<Arc<Client>, PageError> {
    if params.is_doubled("client_id") {
        let refusal = Refusal::new(ErrorCode::InvalidRequest, "the parameter client_id was sent more than once");
        return Err(PageError::bad_request(refusal));
    }
    let Some(client_id) = params.get("client_id") else {
        return Err(PageError::bad_request(Refusal::new(ErrorCode::InvalidRequest, "client_id is missing")));
    };
    if let Some(client) = provider.directory.client(client_id, now).await? {
        context(|context| context.set_client(&client.client_id));
        return Ok(client);
    }
    let shown: String = client_id.chars().take(100).collect();
    let refusal = Refusal::new(ErrorCode::InvalidClient, "client_id is not registered here, or is disabled")
        .with_detail(format!("client_id {shown:?} has no row in clients, or disabled_at is set"))
        .expecting(&shown, [] as [&str; 0])
        .with_fix(
            "Was its migration applied (`hallpass migrate --check`), to this database, and is it not disabled \
             (`hallpass client list`)? A client_id is compared letter by letter.",
        );
    Err(PageError::bad_request(refusal))
}

/// The live session of a browser and its user.
///
/// # Errors
/// A store failed.
pub async fn signed_in(
    provider: &Provider,
    session: Option<Stored<Session>>,
    now: NumericDate,
) -> Result<Option<(Stored<Session>, Arc<User>)>, PageError> {
    let Some(session) = session.filter(|session| session.is_live(now, provider.config.session_idle_lifetime)) else {
        return Ok(None);
    };
    let user = provider.directory.user(&session.sign_in.sub, now).await?;
    Ok(user.filter(|user| session.sign_in.holds(user)).map(|user| (session, user)))
}

/// The session that a browser's cookie names, live or not.
///
/// # Errors
/// The store failed.
pub async fn session_of(provider: &Provider, browser: &Browser) -> Result<Option<Stored<Session>>, PageError> {
    match &browser.session {
        Some(id) => Ok(sessions::find(&provider.ephemeral, id).await?),
        None => Ok(None),
    }
}

impl Flow {
    /// Proves client and address, reads the request, and gathers what the next step depends on.
    ///
    /// # Errors
    /// A page before the address is proven, a redirect to it from then on.
    pub async fn open(provider: &Provider, asked: Asked, now: NumericDate) -> Result<Self, PageError> {
        let client = client_of(provider, &asked.params, now).await?;
        let address = ReturnAddress::of(&client, &asked.params).map_err(PageError::bad_request)?;
        let opened = Self::open_at(provider, asked, client.clone(), address.clone(), now).await;
        opened.map_err(|error| error.or_at(|refusal| redirect(provider, &client, &address, refusal)))
    }

    async fn open_at(
        provider: &Provider,
        asked: Asked,
        client: Arc<Client>,
        address: ReturnAddress,
        now: NumericDate,
    ) -> Result<Self, PageError> {
        let Asked { params, interaction, session, network } = asked;
        let session = session?;
        let refuse = |refusal| redirect(provider, &client, &address, refusal);
        let request = AuthorizationRequest::parse(&client, &params).map_err(refuse)?;
        let hinted_subject = match &request.id_token_hint {
            Some(hint) => Some(hinted_subject(provider, &client, hint).map_err(refuse)?),
            None => None,
        };
        let signed_in = signed_in(provider, session, now).await?;
        let remembered = match &signed_in {
            Some((session, _)) if client.consent == ConsentPolicy::Ask && !client.always_asks() => {
                provider.directory.consent(&session.sign_in.sub, &client.client_id, now).await?
            }
            _ => None,
        };
        Ok(Self { client, params, address, request, signed_in, hinted_subject, remembered, interaction, network, now })
    }

    /// The flow of an interaction that this browser may continue.
    ///
    /// # Errors
    /// As `continued` and `open`.
    pub async fn continue_in(
        provider: &Provider,
        browser: &mut Browser,
        id: Option<&str>,
        network: Network,
        now: NumericDate,
    ) -> Result<Self, PageError> {
        let Continued { id, interaction, session } = continued(provider, browser, id, now).await?;
        let params = interaction.params.clone();
        let asked = Asked { params, interaction: Some((id, interaction)), session: Ok(session), network };
        Self::open(provider, asked, now).await
    }

    /// Where the request comes from.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.network
    }

    /// Sends the browser back to `/authorize`, where the next step is decided.
    ///
    /// # Errors
    /// The address cannot stand in a header.
    pub fn redirect_to_authorize(&self, provider: &Provider) -> Result<Response, PageError> {
        let id = self.interaction.as_ref().map_or("", |(id, _)| id.expose());
        Ok(see_other(&format!("{}?interaction={id}", provider.url(path::AUTHORIZE)))?)
    }

    /// What this browser has to do next.
    #[must_use]
    pub fn step(&self, provider: &Provider) -> Step {
        let subject = self
            .signed_in
            .as_ref()
            .map(|(session, _)| provider.secrets.subject_for(&self.client, &session.sign_in.sub));
        next_step(Situation {
            client: &self.client,
            request: &self.request,
            session: self.signed_in.as_ref().map(|(session, _)| &**session),
            subject: subject.as_deref(),
            hinted_subject: self.hinted_subject.as_deref(),
            interaction: self.interaction.as_ref().map(|(_, interaction)| &**interaction),
            remembered: self.remembered.as_deref(),
            now: self.now,
        })
    }

    /// Carries out the next step: a page, a code, or a refusal.
    ///
    /// # Errors
    /// A store failed, or the interaction was answered already.
    pub async fn advance(self, provider: &Provider, browser: &Browser) -> Result<Response, PageError> {
        let (client, address) = (self.client.clone(), self.address.clone());
        let advanced = match self.step(provider) {
            Step::SignIn => self.show(provider, browser, path::LOGIN).await,
            Step::Consent => self.show(provider, browser, path::CONSENT).await,
            Step::Refuse(refusal) => self.refuse(provider, refusal).await,
            Step::Issue => Box::pin(self.issue(provider, browser)).await,
        };
        advanced.map_err(|error| error.or_at(|refusal| redirect(provider, &client, &address, refusal)))
    }

    /// Sends the browser to a page, remembering the request if that has not been done.
    async fn show(self, provider: &Provider, browser: &Browser, page: &str) -> Result<Response, PageError> {
        let browser_id = browser.id.clone().unwrap_or_else(|| BrowserId::from_random(&random::<32>()));
        let (id, binds) = match self.interaction {
            Some((id, interaction)) if interaction.browser.is_some() => (id, false),
            Some((id, interaction)) => {
                let bound = Interaction { browser: Some(browser_id.digest()), ..Interaction::clone(&interaction) };
                if !interactions::update(&provider.ephemeral, &id, &interaction, &bound, false).await? {
                    return Err(Problem::AnotherBrowser.into());
                }
                (id, true)
            }
            None => {
                let Self { params, client, address, network, now, .. } = self;
                let request = Started { params, client: &client, address: &address, network };
                (start(provider, request, Some(&browser_id), now).await?, true)
            }
        };
        let mut response = see_other(&format!("{}?interaction={}", provider.url(page), id.expose()))?;
        if binds && browser.needs_a_name() {
            response.headers_mut().append(header::SET_COOKIE, cookies::set_begun(&provider.config, &browser_id, &id));
        }
        Ok(response)
    }

    /// Refuses at the client's address.
    ///
    /// # Errors
    /// A store failed, or the interaction was answered already.
    pub async fn refuse(self, provider: &Provider, refusal: Refusal) -> Result<Response, PageError> {
        self.finish(provider).await?;
        Err(redirect(provider, &self.client, &self.address, refusal))
    }

    async fn finish(&self, provider: &Provider) -> Result<(), PageError> {
        if let Some((id, _)) = &self.interaction {
            match interactions::finish(&provider.ephemeral, id).await? {
                Taken::Fresh(_) => {}
                Taken::Spent | Taken::Missing => {
                    return Err(PageError::from(Problem::AlreadyAnswered).back_to(Some(&self.client)));
                }
            }
        }
        Ok(())
    }

    /// Issues a code: whoever ends the interaction does it, nobody else.
    async fn issue(mut self, provider: &Provider, browser: &Browser) -> Result<Response, PageError> {
        let (Some((session, _)), Some(session_id)) = (&self.signed_in, &browser.session) else {
            return Err(Fault::bug("a code was to be issued without a session").into());
        };
        let lifetime = self.client.lifetimes.code.unwrap_or(provider.config.code_lifetime);
        let grant = self.grant(session, lifetime);
        if serde_json::to_string(&grant).map_err(StoreError::from)?.len() > MAX_KEPT_BYTES {
            return self.refuse(provider, too_large()).await;
        }
        self.finish(provider).await?;
        let code = AuthorizationCode::from_random(&random::<32>());
        let (ephemeral, idle_lifetime) = (&provider.ephemeral, provider.config.session_idle_lifetime);
        let kept = [Kept::code(&grant, lifetime + codes::TOMBSTONE_TTL)];
        let (is_issued, is_noted, has_ended, is_kept) = tokio::join!(
            codes::issue(ephemeral, &code, &grant, lifetime),
            sessions::used(ephemeral, session_id, session, &self.client.client_id, idle_lifetime, self.now),
            sessions::has_ended(ephemeral, session.sign_in.session),
            allowance::keep(provider, Owner::Person(&session.sign_in.sub), &kept),
        );
        is_issued?;
        let withdraw = async || codes::withdraw(ephemeral, &code, &self.client.client_id).await;
        if has_ended? {
            // A sign-out in another tab overtook the sign-in: its name is dead, and so would be all that it issues.
            withdraw().await?;
            sessions::forget(ephemeral, session_id).await?;
            if is_kept.is_ok() {
                allowance::give_back(provider, Owner::Person(&session.sign_in.sub), kept.to_vec()).await;
            }
            (self.signed_in, self.interaction) = (None, None);
            return Box::pin(self.advance(provider, browser)).await;
        }
        match is_kept {
            Ok(()) => {}
            Err(Stopped::Later(_)) => {
                withdraw().await?;
                let refusal =
                    Refusal::new(ErrorCode::TemporarilyUnavailable, "too many codes were issued for this person");
                return Err(redirect(provider, &self.client, &self.address, refusal));
            }
            Err(Stopped::Fault(error)) => return Err(error.into()),
        }
        if is_noted? {
            provider.seen.note(session.sign_in.session, self.now);
        }
        let response = self.address.issue(&code, &provider.config.issuer);
        Ok(authorization_response(response, chrome_for(provider, &self.client), self.client.display_name().to_owned()))
    }

    /// What a code of this request stands for.
    fn grant(&self, session: &Session, lifetime: i64) -> Grant {
        Grant {
            authorization: Authorization {
                client_id: self.client.client_id.clone(),
                scope: self.request.scope.clone(),
                resources: self.request.resources.clone(),
                claims: self.request.claims.clone(),
                sign_in: Some(session.sign_in.clone()),
                authorized_at: self.now,
                confirmation: None,
            },
            redirect_uri: self.address.sent_redirect_uri(),
            nonce: self.request.nonce.clone(),
            code_challenge: self.request.code_challenge.clone(),
            expires_at: self.now.plus(lifetime),
        }
    }
}

/// A request that is about to be remembered, although nobody has proven anything yet.
pub struct Started<'a> {
    /// What was sent.
    pub params: Params,
    /// Who asks.
    pub client: &'a Client,
    /// Where a refusal goes.
    pub address: &'a ReturnAddress,
    /// Whose budget it takes from.
    pub network: Network,
}

/// Remembers a request under a new id. Without a browser it is bound to the first that continues it, which is
/// how a POST from another site has to begin.
///
/// # Errors
/// `invalid_request`: more than can be kept for everybody; the store failed.
pub async fn start(
    provider: &Provider,
    request: Started<'_>,
    browser: Option<&BrowserId>,
    now: NumericDate,
) -> Result<InteractionId, PageError> {
    let Started { params, client, address, network } = request;
    let id = InteractionId::from_random(&random::<16>());
    let interaction = Interaction {
        params: params.only(PARAMETERS),
        client_id: client.client_id.clone(),
        browser: browser.map(BrowserId::digest),
        expires_at: now.plus(interactions::LIFETIME),
        signed_in: None,
        consented: None,
    };
    // As it is stored: a character that JSON has to escape weighs six bytes.
    if serde_json::to_string(&interaction).map_err(StoreError::from)?.len() > MAX_KEPT_BYTES {
        return Err(redirect(provider, client, address, too_large()));
    }
    let budget = throttle::started_budget(network);
    interactions::start(&provider.ephemeral, &id, &interaction, &network.to_string(), budget).await?;
    Ok(id)
}

fn too_large() -> Refusal {
    Refusal::naming(
        ErrorCode::InvalidRequest,
        &format!("the request is too large: stored, it would have more than {MAX_KEPT_BYTES} bytes"),
    )
}

fn chrome_for(provider: &Provider, client: &Client) -> Chrome {
    Chrome::new(&provider.config, format!("Continue to {}", client.display_name()))
}

/// The refusal at a proven address.
#[must_use]
pub fn redirect(provider: &Provider, client: &Client, address: &ReturnAddress, refusal: Refusal) -> PageError {
    PageError::Redirect {
        response: Box::new(address.refuse(refusal, &provider.config.issuer)),
        chrome: Box::new(chrome_for(provider, client)),
        client_name: client.display_name().to_owned(),
        fault: None,
    }
}

/// Whom an `id_token_hint` names, as the client sees them. It must be ours and this client's; it may have expired.
fn hinted_subject(provider: &Provider, client: &Client, hint: &str) -> Result<String, Refusal> {
    tokens::read_id_token(provider, hint)
        .filter(|claims| claims.get("aud").and_then(serde_json::Value::as_str) == Some(&client.client_id))
        .and_then(|claims| claims.get("sub").and_then(serde_json::Value::as_str).map(str::to_owned))
        .ok_or(
            const {
                Refusal::new(
                    ErrorCode::InvalidRequest,
                    "id_token_hint is not an id_token of this issuer for this client",
                )
            },
        )
}

/// An interaction that this browser may continue, with the session read in the same trip.
struct Continued {
    id: InteractionId,
    interaction: Stored<Interaction>,
    session: Option<Stored<Session>>,
}

/// Finds the interaction of a page.
///
/// # Errors
/// A page: unknown or expired, answered already, started in another browser, or the cookie is missing.
async fn continued(
    provider: &Provider,
    browser: &mut Browser,
    id: Option<&str>,
    now: NumericDate,
) -> Result<Continued, PageError> {
    let Some(id) = id.filter(|id| id.len() < 100) else { return Err(Problem::NothingToContinue.into()) };
    let id = InteractionId::received(id);
    let (interaction, session) = tokio::try_join!(
        async { Ok(interactions::find(&provider.ephemeral, &id).await?) },
        session_of(provider, browser)
    )?;
    let Some(interaction) = interaction else { return Err(Problem::NothingToContinue.into()) };
    match &interaction.browser {
        None => {}
        Some(_) if browser.id.is_none() => return Err(Problem::NoCookie.into()),
        Some(bound) if browser.is_bound_to(bound) => {}
        Some(_) => return Err(Problem::AnotherBrowser.into()),
    }
    if interaction.expires_at.is_past(now) {
        let client = provider.directory.client(&interaction.client_id, now).await?;
        return Err(PageError::from(Problem::Expired).back_to(client.as_deref()));
    }
    Ok(Continued { id, interaction, session })
}

/// Checks that a form was sent by our own page in this browser.
///
/// # Errors
/// A page: the form's token or its origin is not ours.
pub fn check_form(
    provider: &Provider,
    browser: &Browser,
    headers: &HeaderMap,
    id: &InteractionId,
    token: Option<&str>,
) -> Result<(), PageError> {
    // A privacy extension may make an origin "null"; the token, bound to the cookie, decides then.
    let origin_fits = headers
        .get(header::ORIGIN)
        .is_none_or(|origin| origin.as_bytes() == provider.config.origin().as_bytes() || origin.as_bytes() == b"null");
    let token_fits = match (&browser.id, token) {
        (Some(browser_id), Some(token)) => same_text(&provider.secrets.form_token(browser_id, id), token),
        _ => false,
    };
    if !origin_fits {
        let sent = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
        return Err(PageError::from(Problem::FormOfAnotherOrigin).with_fix(format!(
            "The form came from the origin {sent:?}, and ours is {:?}: does a proxy change the host name, or is HALLPASS_ISSUER not the \
             address that browsers use?",
            provider.config.origin()
        )));
    }
    if token_fits {
        Ok(())
    } else if browser.id.is_some() {
        Err(Problem::FormOfAnotherBrowser.into())
    } else {
        Err(Problem::FormWithoutCookie.into())
    }
}

/// Starts a session for somebody who just proved who they are.
#[must_use]
pub fn new_session_id() -> SessionId {
    SessionId::from_random(&random::<32>())
}
