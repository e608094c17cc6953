//! One authorization request in one browser: what `/authorize`, `/login` and `/consent` all have to know.
//!
//! A `Flow` is answered at once or starts an interaction; a `Continued` flow has one, which `/login` and `/consent` take.
//! The pages never link to one another: each sends the browser back to `/authorize?interaction=…`, which asks `next_step`
//! again.

use crate::allowance::{self, Kept, Owner};
use crate::ambient::{context, random};
use crate::caller::{BrowserRequest, session_of, speak, speak_to, user_of};
use crate::endpoints::intake::{Intake, NotTaken, Recipient};
use crate::endpoints::{account, path};
use crate::logout::{self, Cause};
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::authorization::{
    Allowed, AuthorizationRequest, AuthorizationResponse, Destination, Interaction, MAX_KEPT_BYTES, PARAMETERS,
    REMEMBERED_FOR, Situation, Step, next_step,
};
use crate::protocol::claims::User;
use crate::protocol::client::Client;
use crate::protocol::error::Refusal;
use crate::protocol::facts::Facts;
use crate::protocol::grant::{Grant, Session};
use crate::protocol::own_page::OwnPage;
use crate::protocol::params::Params;
use crate::protocol::reason::Reason;
use crate::protocol::response::{ConsentPolicy, Prompt, ResponseMode};
use crate::protocol::secret::{AuthorizationCode, BrowserId, InteractionId};
use crate::protocol::text::is_typed_mailbox;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::ephemeral::Taken;
use crate::store::stored::Stored;
use crate::store::{StoreError, codes, interactions, sessions};
use crate::texts::text;
use crate::throttle::{self, Stopped};
use crate::web::answer::{Carrier, PageError, authorization_response, see_other};
use crate::web::cookies::{self, Browser};
use crate::web::fault::Fault;
use crate::web::network::Network;
use crate::web::pages::Chrome;
use crate::web::problems::Problem;
use axum::http::header;
use axum::response::Response;
use std::ops::Deref;
use std::sync::Arc;

/// A request that is sound, with everything the next step depends on.
pub struct Flow {
    /// Who asks, and where the answer goes.
    pub recipient: Recipient,
    /// What is asked.
    pub request: AuthorizationRequest,
    /// The live session, with its user.
    pub signed_in: Option<(Stored<Session>, Arc<User>)>,
    /// The live session that the browser brought, where it no longer holds: its person's account or password has changed.
    pub ended: Option<Stored<Session>>,
    network: Network,
    params: Params,
    hinted_subject: Option<String>,
    remembered: Option<Arc<Allowed>>,
    facts: Arc<Facts>,
    now: NumericDate,
}

/// A flow with an interaction that this browser may continue.
pub struct Continued {
    /// The flow.
    pub flow: Flow,
    /// The interaction's name.
    pub id: InteractionId,
    /// What happened in it so far.
    pub interaction: Stored<Interaction>,
    /// Who has proven their password in it, and not yet their second factor.
    pub awaited: Option<Arc<User>>,
    /// Whether it is older than an answer may be: it leads to a sign-in that the service starts over, and nowhere else.
    is_late: bool,
}

impl Deref for Continued {
    type Target = Flow;

    fn deref(&self) -> &Flow {
        &self.flow
    }
}

impl Flow {
    /// Takes a request in, and gathers what the next step depends on.
    ///
    /// # Errors
    /// A page before the recipient is proven, an answer there from then on.
    pub async fn open(provider: &Provider, asked: &mut BrowserRequest) -> Result<Self, PageError> {
        let BrowserRequest { params, browser, network, now, .. } = asked;
        let params = std::mem::take(params);
        let intake = Intake::read(provider, params, *now).await.map_err(|not| not.in_browser(provider))?;
        Self::of(provider, intake, session_of(provider, browser), *network, *now).await
    }

    /// Adds the session of the browser to a request.
    async fn of(
        provider: &Provider,
        intake: Intake,
        session: impl Future<Output = Result<Option<Stored<Session>>, PageError>>,
        network: Network,
        now: NumericDate,
    ) -> Result<Self, PageError> {
        let recipient = intake.recipient.clone();
        let read = async { Self::gather(provider, intake, session.await?, network, now).await };
        read.await.map_err(|error| recipient.tell(provider, error))
    }

    async fn gather(
        provider: &Provider,
        intake: Intake,
        session: Option<Stored<Session>>,
        network: Network,
        now: NumericDate,
    ) -> Result<Self, PageError> {
        let Intake { recipient, params, request, hinted_subject } = intake;
        let (client, sub) = (&recipient.client, session.as_ref().map(|session| session.sign_in.sub.clone()));
        // Side by side: whose session has ended is rare.
        let (user, facts) = tokio::try_join!(user_of(provider, session.as_deref(), now), async {
            Ok(match &sub {
                Some(sub) => provider.directory.facts(sub, client, now).await?,
                None => Arc::default(),
            })
        })?;
        let (signed_in, ended) = match (session, user) {
            (Some(session), Some(user)) => (Some((session, user)), None),
            (session, _) => (None, session.filter(|it| it.is_live(now, provider.config.session_idle_lifetime))),
        };
        let remembered = match &signed_in {
            Some((session, _)) if client.consent == ConsentPolicy::Ask && !client.always_asks() => {
                provider.directory.consent(&session.sign_in.sub, &client.client_id, now).await?
            }
            _ => None,
        };
        Ok(Self { recipient, request, signed_in, ended, network, params, hinted_subject, remembered, facts, now })
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.recipient.client
    }

    /// What the user has allowed this client before.
    #[must_use]
    pub fn allowed_before(&self) -> Option<&Allowed> {
        self.remembered.as_deref()
    }

    /// What is known of the user beside their row.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The clock, as this request read it.
    #[must_use]
    pub const fn now(&self) -> NumericDate {
        self.now
    }

    /// Whether no page may be shown.
    fn is_silent(&self) -> bool {
        self.request.prompt.has(Prompt::None)
    }

    /// Notes that a user may not enter, and gives the refusal.
    pub fn keep_out(&self, provider: &Provider) -> Refusal {
        let event = Event::new(EventKind::EntryRefused, self.now).by(&self.client().client_id);
        let sub = self.signed_in.as_ref().map(|(_, user)| user.sub.as_str());
        provider.audit.record(event.of_subject(sub));
        self.no_entry()
    }

    /// The refusal of a user who may not enter: what they are in, and what would do.
    #[must_use]
    pub fn no_entry(&self) -> Refusal {
        let groups: Vec<&str> = self.facts.groups(self.now).collect();
        let sent = if groups.is_empty() { "a member of no group".to_owned() } else { groups.join(", ") };
        let expected: Vec<&str> = match self.client().only_for() {
            Some(groups) if !groups.is_empty() => groups.iter().map(String::as_str).collect(),
            _ => vec!["no group: client_groups names none"],
        };
        Refusal::new(Reason::NoEntry).expecting(&sent, expected)
    }

    /// The service that is signed in to; `None`: it is our own start page.
    #[must_use]
    pub fn service(&self) -> Option<&Client> {
        self.recipient.service()
    }

    /// What this browser has to do next, by what happened in its interaction.
    fn next(&self, provider: &Provider, interaction: Option<&Interaction>, awaits_factor: bool) -> Step {
        let session = self.signed_in.as_ref().map(|(session, _)| &**session);
        let subject = session.map(|session| provider.secrets.subject_for(self.client(), &session.sign_in.sub));
        next_step(Situation {
            client: self.client(),
            request: &self.request,
            session,
            user: self.signed_in.as_ref().map(|(_, user)| &**user),
            awaits_factor,
            subject: subject.as_deref(),
            hinted_subject: self.hinted_subject.as_deref(),
            interaction,
            remembered: self.remembered.as_deref(),
            may_enter: self.client().admits(&self.facts, self.now),
            is_stale: interaction.is_some_and(|interaction| self.is_stale(provider, interaction)),
            now: self.now,
        })
    }

    /// Where the service starts anew by itself, if this request can be started over. An admin's migration named that address: no
    /// other row has one.
    fn initiation(&self, provider: &Provider) -> Option<String> {
        let client = self.service().filter(|_| self.request.can_be_started_over(&self.params))?;
        client.initiation(&provider.config.issuer)
    }

    /// Whether the person proved who they are, here or in another tab, when the service had forgotten what it asked for.
    fn is_stale(&self, provider: &Provider, interaction: &Interaction) -> bool {
        let Some((session, _)) = self.signed_in.as_ref().filter(|_| self.initiation(provider).is_some()) else {
            return false;
        };
        let proved_at = interaction.proved_at.map_or(session.sign_in.auth_time, |at| at.max(session.sign_in.auth_time));
        proved_at.since(interactions::started_at(interaction)) > self.client().stale_after
    }

    /// Carries out the next step: a page, a code, or a refusal.
    ///
    /// # Errors
    /// A refusal at the recipient's; a store failed, which is told there too.
    pub async fn advance(self, provider: &Arc<Provider>, browser: &Browser) -> Result<Response, PageError> {
        let recipient = self.recipient.clone();
        let advanced = match self.next(provider, None, false) {
            Step::SignIn => {
                let page = self.first_page();
                self.start(provider, browser, page).await
            }
            Step::PasskeyOffer => self.start(provider, browser, path::PASSKEY).await,
            Step::SecondFactor | Step::FactorMissing | Step::FactorDue(_) => {
                self.start(provider, browser, path::SECOND_FACTOR).await
            }
            Step::NoEntry if self.is_silent() => Err(self.recipient.refuse(provider, self.keep_out(provider))),
            // A page that says so, in place of the one that asks.
            Step::Consent | Step::NoEntry => self.start(provider, browser, path::CONSENT).await,
            Step::StartAnew => Err(Fault::bug("a request that has just come was to be started over").into()),
            Step::Refuse(refusal) => Err(self.recipient.refuse(provider, refusal)),
            Step::Issue => match self.grant(provider) {
                Ok(grant) => Box::pin(self.issue(provider, browser, grant)).await,
                Err(error) => Err(error),
            },
        };
        advanced.map_err(|error| recipient.tell(provider, error))
    }

    /// Where one who is not signed in begins: from the one page a link leads to the other.
    fn first_page(&self) -> &'static str {
        if self.request.prompt.has(Prompt::Create) { path::SIGN_UP } else { path::LOGIN }
    }

    /// Starts an interaction and sends the browser to its first page.
    async fn start(self, provider: &Provider, browser: &Browser, page: &str) -> Result<Response, PageError> {
        let browser_id = name_of(browser);
        let Self { recipient, params, network, now, request, .. } = self;
        let browser_of = Some(&browser_id);
        let started = Started { recipient: &recipient, params, network, browser: browser_of, returns_to: None };
        let id = start(provider, started, now).await?;
        to_page(provider, browser, &page_of(page, &recipient, &request, &id), Some((&id, &browser_id)))
    }

    /// What a code of this request stands for.
    fn grant(&self, provider: &Provider) -> Result<Grant, PageError> {
        let Some((session, _)) = &self.signed_in else {
            return Err(Fault::bug("a code was to be issued without a session").into());
        };
        let lifetime = self.client().lifetimes.code.unwrap_or(provider.config.code_lifetime);
        let (to, destination) = (self.client(), &self.recipient.destination);
        // Nothing comes here that was not shown, or whose client is spared the question.
        let shown = if to.spares_the_question() { Vec::new() } else { self.request.to_consent(to).claims };
        let grant = self.request.grant(to, destination, session.sign_in.clone(), shown, lifetime, self.now);
        let bytes = serde_json::to_string(&grant).map_err(StoreError::from)?.len();
        if bytes > MAX_KEPT_BYTES {
            return Err(self.recipient.refuse(provider, too_large(bytes)));
        }
        Ok(grant)
    }

    /// Issues a code.
    async fn issue(mut self, provider: &Arc<Provider>, browser: &Browser, grant: Grant) -> Result<Response, PageError> {
        let (Some((session, _)), Some(session_id)) = (&self.signed_in, &browser.session) else {
            return Err(Fault::bug("a code was to be issued without a session").into());
        };
        let code = AuthorizationCode::from_random(&random::<32>());
        let (ephemeral, idle_lifetime) = (&provider.ephemeral, provider.config.session_idle_lifetime);
        let lifetime = grant.expires_at.since(self.now);
        let kept = [Kept::code(&grant, lifetime + codes::TOMBSTONE_TTL)];
        let client_id = &self.client().client_id;
        let (is_issued, is_noted, has_ended, is_kept) = tokio::join!(
            codes::issue(ephemeral, &code, &grant, lifetime),
            sessions::used(ephemeral, session_id, session, client_id, idle_lifetime, self.now),
            sessions::has_ended(ephemeral, session.sign_in.session),
            allowance::keep(provider, Owner::Person(&session.sign_in.sub), &kept),
        );
        is_issued?;
        let withdraw = async || codes::withdraw(ephemeral, &code, client_id).await;
        if has_ended? {
            // A sign-out in another tab overtook the sign-in: its name is dead, and so would be all that it issues.
            withdraw().await?;
            if is_kept.is_ok() {
                allowance::give_back(provider, Owner::Person(&session.sign_in.sub), kept.to_vec()).await;
            }
            // Where that sign-out did not come to its end, its services have not been told.
            let ended = logout::end_session(provider, &session_id.digest(), session, Cause::Before, self.now).await?;
            if let Some(ended) = ended {
                ended.in_background(provider);
            }
            (self.signed_in, self.ended) = (None, None);
            return Box::pin(self.advance(provider, browser)).await;
        }
        match is_kept {
            Ok(()) => {}
            Err(Stopped::Later(_)) => {
                withdraw().await?;
                let refusal = Refusal::new(Reason::CodesTooMany);
                return Err(self.recipient.refuse(provider, refusal));
            }
            Err(Stopped::Fault(error)) => return Err(error.into()),
        }
        if is_noted? {
            provider.seen.note(session.sign_in.session, self.now);
        }
        Ok(self.recipient.issue(provider, &code))
    }
}

impl Continued {
    /// The flow of the interaction that a request names by `interaction`.
    ///
    /// # Errors
    /// A page: a parameter twice, or the interaction is unknown, expired, answered already, or of another browser. From then
    /// on as `Flow::open`.
    pub async fn of(provider: &Provider, asked: &mut BrowserRequest) -> Result<Self, PageError> {
        let BrowserRequest { params, browser, network, now, .. } = asked;
        params.refuse_duplicates().map_err(PageError::bad_request)?;
        let Some(id) = params.get("interaction").filter(|id| id.len() < 100) else {
            return Err(Problem::NothingToContinue.into());
        };
        let id = InteractionId::received(id);
        let (interaction, session) = tokio::try_join!(
            async { Ok(interactions::find(&provider.ephemeral, &id).await?) },
            session_of(provider, browser)
        )?;
        let Some(interaction) = interaction else {
            let client = named_service(provider, params, *now).await;
            let page = PageError::from(Problem::NothingToContinue);
            return Err(page.back_to(client.as_deref(), &provider.config.issuer));
        };
        speak(&interaction.params);
        match &interaction.browser {
            None => {}
            Some(_) if browser.id.is_none() => return Err(Problem::NoCookie.into()),
            Some(bound) if browser.is_bound_to(bound) => {}
            Some(_) => return Err(Problem::AnotherBrowser.into()),
        }
        let (issuer, now) = (&provider.config.issuer, *now);
        if !interaction.expires_at.is_past(now) {
            return Self::read(provider, (id, interaction), session, *network, now).await;
        }
        let client = if interaction.is_at_home() {
            None
        } else {
            provider.directory.client(&interaction.client_id, now).await?
        };
        let expired = || PageError::from(Problem::Expired).back_to(client.as_deref(), issuer);
        // Where a page could not be answered any more in any case, nothing else is read.
        if client.as_deref().and_then(|client| client.initiation(issuer)).is_none() {
            return Err(expired());
        }
        match Self::read(provider, (id, interaction), session, *network, now).await {
            Ok(flow) if flow.leads_to_another_start(provider) => Ok(Self { is_late: true, ..flow }),
            Err(PageError::Fault(fault) | PageError::Redirect { fault: Some(fault), .. }) => Err(fault.into()),
            Ok(_) | Err(_) => Err(expired()),
        }
    }

    /// Reads the request anew: what the client's row allows may have changed meanwhile.
    async fn read(
        provider: &Provider,
        (id, interaction): (InteractionId, Stored<Interaction>),
        session: Option<Stored<Session>>,
        network: Network,
        now: NumericDate,
    ) -> Result<Self, PageError> {
        let intake = if interaction.is_at_home() {
            Intake::at_home(interaction.returns_to)
        } else {
            let params = interaction.params.clone();
            Intake::read(provider, params, now).await.map_err(|not| not.in_browser(provider))?
        };
        let flow = Flow::of(provider, intake, async { Ok(session) }, network, now).await?;
        let awaited = match &interaction.proven {
            Some(proven) => {
                let user = provider.directory.user(&proven.sub, now).await?;
                // Void once the password is another one, or the person may not sign in any more.
                user.filter(|user| proven.holds(user, flow.request.max_age, now)).inspect(|user| speak_to(user))
            }
            None => None,
        };
        Ok(Self { flow, id, interaction, awaited, is_late: false })
    }

    /// Whether what is left of one that is late is to prove who the person is, after which the service starts anew, or that is proven.
    fn leads_to_another_start(&self, provider: &Provider) -> bool {
        let age = self.now.since(interactions::started_at(&self.interaction));
        let is_open = on_the_way(&self.step(provider)) && age > self.client().stale_after;
        // A store may forget it later than it was told to.
        let is_remembered = age <= REMEMBERED_FOR;
        is_remembered && (is_open || self.is_stale(provider, &self.interaction)) && self.initiation(provider).is_some()
    }

    /// Whether it is older than an answer may be.
    #[must_use]
    pub const fn is_late(&self) -> bool {
        self.is_late
    }

    /// What this browser has to do next.
    #[must_use]
    pub fn step(&self, provider: &Provider) -> Step {
        let step = self.next(provider, Some(&self.interaction), self.awaited.is_some());
        // What else there is to say, the service is told when it asks anew.
        if self.is_late && !on_the_way(&step) { Step::StartAnew } else { step }
    }

    /// Carries out the next step: a page, a code, or a refusal.
    ///
    /// # Errors
    /// As `Flow::advance`, and a page where the interaction was answered already or is of another browser.
    pub async fn advance(self, provider: &Arc<Provider>, browser: &Browser) -> Result<Response, PageError> {
        let (recipient, is_late) = (self.recipient.clone(), self.is_late);
        let advanced = match self.step(provider) {
            Step::SignIn => {
                // Who was on a page before and has to sign in again has an account.
                let page = if self.interaction.browser.is_none() { self.first_page() } else { path::LOGIN };
                self.show(provider, browser, page).await
            }
            Step::PasskeyOffer => self.show(provider, browser, path::PASSKEY).await,
            Step::SecondFactor | Step::FactorMissing | Step::FactorDue(_) => {
                self.show(provider, browser, path::SECOND_FACTOR).await
            }
            Step::NoEntry if self.is_silent() => {
                let refusal = self.keep_out(provider);
                self.refuse(provider, refusal).await
            }
            Step::Consent | Step::NoEntry => self.show(provider, browser, path::CONSENT).await,
            Step::StartAnew => self.start_anew(provider).await,
            Step::Refuse(refusal) => self.refuse(provider, refusal).await,
            Step::Issue => Box::pin(self.issue(provider, browser)).await,
        };
        advanced.map_err(|error| if is_late { error } else { recipient.tell(provider, error) })
    }

    /// Sends the browser to a page; the first that comes is the one that continues.
    async fn show(self, provider: &Provider, browser: &Browser, page: &str) -> Result<Response, PageError> {
        let page = page_of(page, &self.recipient, &self.request, &self.id);
        if self.interaction.browser.is_some() {
            return to_page(provider, browser, &page, None);
        }
        let browser_id = name_of(browser);
        let bound = Interaction { browser: Some(browser_id.digest()), ..Interaction::clone(&self.interaction) };
        if !interactions::update(&provider.ephemeral, &self.id, &self.interaction, &bound, false).await? {
            return Err(Problem::AnotherBrowser.into());
        }
        to_page(provider, browser, &page, Some((&self.id, &browser_id)))
    }

    /// Notes what happened in it.
    ///
    /// # Errors
    /// A store failed, or the interaction was answered already.
    pub async fn note(&self, provider: &Provider, happened: impl FnOnce(&mut Interaction)) -> Result<(), PageError> {
        let mut after = Interaction::clone(&self.interaction);
        happened(&mut after);
        if interactions::update(&provider.ephemeral, &self.id, &self.interaction, &after, true).await? {
            Ok(())
        } else {
            Err(self.answered_already(provider))
        }
    }

    /// Sends the browser back to `/authorize`, where the next step is decided.
    ///
    /// # Errors
    /// The address cannot be a header.
    pub fn redirect_to_authorize(&self, provider: &Provider) -> Result<Response, PageError> {
        Ok(see_other(&provider.url(&page_of(path::AUTHORIZE, &self.recipient, &self.request, &self.id)))?)
    }

    /// Refuses at the recipient's.
    ///
    /// # Errors
    /// A store failed, or the interaction was answered already.
    pub async fn refuse(self, provider: &Provider, refusal: Refusal) -> Result<Response, PageError> {
        if self.is_late {
            // The service has forgotten what it asked for, and would not know what is refused.
            return Err(PageError::from(Problem::Expired).back_to(self.service(), &provider.config.issuer));
        }
        self.finish(provider).await?;
        Err(self.recipient.refuse(provider, refusal))
    }

    /// Issues a code: only the request that ends the interaction does.
    async fn issue(self, provider: &Arc<Provider>, browser: &Browser) -> Result<Response, PageError> {
        if self.service().is_none() {
            self.finish(provider).await?;
            return Ok(see_other(&provider.url(self.interaction.returns_to.map_or(path::HOME, account::path_of)))?);
        }
        let grant = self.grant(provider);
        self.finish(provider).await?;
        self.flow.issue(provider, browser, grant?).await
    }

    async fn finish(&self, provider: &Provider) -> Result<(), PageError> {
        match interactions::finish(&provider.ephemeral, &self.id).await? {
            Taken::Fresh(_) => Ok(()),
            Taken::Spent | Taken::Missing => Err(self.answered_already(provider)),
        }
    }

    /// Leads to where the service starts anew. It is told our issuer and nothing of this request: what it asked for it has forgotten,
    /// and no code waits for it.
    async fn start_anew(self, provider: &Provider) -> Result<Response, PageError> {
        let Some(initiation) = self.initiation(provider) else {
            return Err(Fault::bug("a sign-in was to be started over at no address").into());
        };
        self.finish(provider).await?;
        let (client_id, age) = (&self.client().client_id, self.now.since(interactions::started_at(&self.interaction)));
        tracing::info!(client_id, age, "the login page lay open: the service starts anew at its initiate_login_uri");
        Ok(see_other(&initiation)?)
    }

    fn answered_already(&self, provider: &Provider) -> PageError {
        PageError::from(Problem::AlreadyAnswered).back_to(self.service(), &provider.config.issuer)
    }
}

impl NotTaken {
    /// As a browser is answered: on a page, or at the recipient's.
    #[must_use]
    pub fn in_browser(self, provider: &Provider) -> PageError {
        match self {
            Self::Unproven(refusal, client) => {
                PageError::bad_request(refusal).meant_for(client.as_deref(), &provider.config.issuer)
            }
            Self::Refused(recipient, refusal) => recipient.refuse(provider, refusal),
            Self::Fault(error) => error.into(),
        }
    }
}

impl Recipient {
    /// Refuses.
    #[must_use]
    pub fn refuse(&self, provider: &Provider, refusal: Refusal) -> PageError {
        let response = match &self.destination {
            Destination::Address(address) => address.refuse(refusal, &provider.config.issuer),
            Destination::Home => AuthorizationResponse::bare(provider.url(path::HOME), Some(refusal)),
        };
        let carrier = self.carrier(provider, &response).map(Box::new);
        PageError::Redirect { response: Box::new(response), carrier, fault: None }
    }

    /// Tells a fault of ours, once the recipient is proven; anything else as it is.
    #[must_use]
    pub fn tell(&self, provider: &Provider, error: PageError) -> PageError {
        match self.destination {
            Destination::Address(_) => error.or_at(|refusal| self.refuse(provider, refusal)),
            // The user is the only one to be told.
            Destination::Home => error,
        }
    }

    /// Hands a code over.
    #[must_use]
    pub fn issue(&self, provider: &Provider, code: &AuthorizationCode) -> Response {
        let response = match &self.destination {
            Destination::Address(address) => address.issue(code, &provider.config.issuer),
            Destination::Home => AuthorizationResponse::bare(provider.url(path::HOME), None),
        };
        let carrier = self.carrier(provider, &response);
        authorization_response(response, carrier)
    }

    /// The page that carries an answer, where it needs one.
    fn carrier(&self, provider: &Provider, response: &AuthorizationResponse) -> Option<Carrier> {
        let client_name = self.client.display_name();
        (response.response_mode == ResponseMode::FormPost).then(|| Carrier {
            page: Chrome::new(&provider.config, &text("form-post-heading").with("client", client_name)),
            client_name: client_name.to_owned(),
        })
    }
}

/// Whether a step still proves who the person is, or offers what comes right after that.
const fn on_the_way(step: &Step) -> bool {
    matches!(step, Step::SignIn | Step::SecondFactor | Step::FactorDue(_) | Step::PasskeyOffer | Step::StartAnew)
}

/// The name of a browser, or one that it is given now.
fn name_of(browser: &Browser) -> BrowserId {
    browser.id.clone().unwrap_or_else(|| BrowserId::from_random(&random::<32>()))
}

/// Sends the browser back to `/authorize`, to continue an interaction.
///
/// # Errors
/// The address cannot be a header.
pub fn to_authorize(provider: &Provider, id: &InteractionId) -> Result<Response, PageError> {
    Ok(see_other(&format!("{}?interaction={}", provider.url(path::AUTHORIZE), id.expose()))?)
}

/// The address of a page of an interaction, which says for whom it is: when the interaction is over, that still leads on.
fn page_of(page: &str, recipient: &Recipient, request: &AuthorizationRequest, id: &InteractionId) -> String {
    let begins = format!("{page}?");
    let at = begins.len();
    let mut query = form_urlencoded::Serializer::for_suffix(begins, at);
    query.append_pair("interaction", id.expose());
    if let Some(client) = recipient.service() {
        query.append_pair("client", &client.client_id);
    }
    // The other pages know it by the interaction.
    if let (path::SIGN_UP, Some(hint)) = (page, &request.login_hint)
        && is_typed_mailbox(hint)
    {
        query.append_pair("login_hint", hint);
    }
    if let (path::SIGN_UP, Some(ui_locales)) = (page, context(|it| it.ui_locales().map(str::to_owned)).flatten()) {
        query.append_pair("ui_locales", &ui_locales);
    }
    query.finish()
}

/// The service that the address of a page names. It is only ever linked to, at the address that its row has.
async fn named_service(provider: &Provider, params: &Params, now: NumericDate) -> Option<Arc<Client>> {
    let client_id = params.get("client")?;
    provider.directory.client(client_id, now).await.ok().flatten()
}

/// Sends the browser to a page of ours, and names it, if the interaction was bound to it just now.
fn to_page(
    provider: &Provider,
    browser: &Browser,
    page: &str,
    bound: Option<(&InteractionId, &BrowserId)>,
) -> Result<Response, PageError> {
    let mut response = see_other(&provider.url(page))?;
    if let Some((id, name)) = bound.filter(|_| browser.needs_a_name()) {
        response.headers_mut().append(header::SET_COOKIE, cookies::set_started(&provider.config, name, id));
    }
    Ok(response)
}

/// Starts a sign-in without a service: the browser comes back to our own start page, or to `returns_to`. As with a request by POST, cookies that
/// another site's form does not bring are not missed: the browser is sent to continue by GET, and named there.
///
/// # Errors
/// The store failed.
pub async fn start_at_home(
    provider: &Provider,
    browser: &Browser,
    network: Network,
    returns_to: Option<OwnPage>,
    now: NumericDate,
) -> Result<Response, PageError> {
    let recipient = Recipient::at_home();
    let (params, browser) = (Params::default(), browser.id.as_ref());
    let started = Started { recipient: &recipient, params, network, browser, returns_to };
    let id = start(provider, started, now).await?;
    to_authorize(provider, &id)
}

/// A request that is about to be remembered, although no user has proven anything yet.
pub struct Started<'a> {
    /// Where a refusal goes.
    pub recipient: &'a Recipient,
    /// What was sent.
    pub params: Params,
    /// Whose budget it takes from.
    pub network: Network,
    /// Who may continue it; `None`: the first browser that does, which is how a POST from another site has to start.
    pub browser: Option<&'a BrowserId>,
    /// The page of ours that it is for, where it is for one.
    pub returns_to: Option<OwnPage>,
}

/// Remembers a request under a new id.
///
/// # Errors
/// `invalid_request`: more than can be kept for all; the store failed.
pub async fn start(provider: &Provider, started: Started<'_>, now: NumericDate) -> Result<InteractionId, PageError> {
    let Started { recipient, params, network, browser, returns_to } = started;
    let id = InteractionId::from_random(&random::<16>());
    let interaction = Interaction {
        params: params.only(PARAMETERS),
        client_id: recipient.client.client_id.clone(),
        browser: browser.map(BrowserId::digest),
        expires_at: now.plus(interactions::LIFETIME),
        returns_to,
        signed_in: None,
        consented: None,
        proven: None,
        ceremony: None,
        offers_passkey: false,
        told_of_demand: false,
        proved_at: None,
    };
    // As it is stored: a character that JSON has to escape weighs six bytes.
    let bytes = serde_json::to_string(&interaction).map_err(StoreError::from)?.len();
    if bytes > MAX_KEPT_BYTES {
        return Err(recipient.refuse(provider, too_large(bytes)));
    }
    let budget = throttle::started_budget(network);
    interactions::start(&provider.ephemeral, &id, &interaction, &network.to_string(), budget).await?;
    Ok(id)
}

fn too_large(bytes: usize) -> Refusal {
    Refusal::naming(Reason::RequestTooLarge, &MAX_KEPT_BYTES.to_string())
        .expecting(&format!("{bytes} bytes"), [format!("{MAX_KEPT_BYTES} bytes at most")])
}
