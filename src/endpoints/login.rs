//! `/login`: user name and password, or a passkey. OIDC Core 3.1.2.3.
//!
//! `password` proves a factor, `passkey` two in one, and `start` starts the session once everything that is needed is proven; `/second-factor` asks for the
//! rest.

pub(in crate::endpoints) mod beside;
pub(in crate::endpoints) mod passkey;
pub(in crate::endpoints) mod password;
pub(super) mod start;
pub(in crate::endpoints) mod trust;

use crate::ambient::random;
use crate::caller::{BrowserRequest, check_form};
use crate::config::{Remember, SignUp};
use crate::endpoints::flow::{Continued, Flow};
use crate::mailing;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::authorization::{Interaction, ProvenPassword, SignedIn, Step};
use crate::protocol::claims::{SecondFactorDemand, User};
use crate::protocol::client::web_address;
use crate::protocol::error::Refusal;
use crate::protocol::factor::{Factor, SignInFailure};
use crate::protocol::reason::Reason;
use crate::protocol::response::Prompt;
use crate::protocol::secret::{Handle, Password};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::{StoreError, interactions, timely, users};
use crate::texts::{Text, text};
use crate::throttle::{self, Attempt, Later};
use crate::web::answer::{Note, PageError};
use crate::web::pages::passkeys::PasskeyForm;
use crate::web::pages::{self, Chrome, LoginPage, Wait};
use crate::webauthn;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use beside::Beside;
use passkey::is_of_passkey;
use password::Proof;
use std::sync::Arc;

/// What the page says above the form.
enum LoginError {
    /// The same for an unknown user and for a wrong password.
    Wrong,
    /// Told to who has proven the password, and to no other.
    Disabled,
    /// The same.
    Locked,
    /// The same.
    FactorOverdue,
    /// The same, and a link to set one up is on its way by mail.
    FactorLinkMailed,
    /// A passkey came to nothing.
    Passkey(SignInFailure),
    /// The throttle has the word.
    TooMany(Later),
}

impl Failed {
    const fn is_of_passkey(&self) -> bool {
        matches!(self.told, LoginError::Passkey(_))
    }
}

/// The passkey that a form brought, where it is no user's: the browser may forget it.
pub(super) fn sent_unknown(asked: &BrowserRequest, why: Option<SignInFailure>) -> Option<String> {
    let is_unknown = why == Some(SignInFailure::PasskeyUnknown);
    asked.params.get("credential").filter(|_| is_unknown).and_then(webauthn::id_in)
}

/// What a page says of a passkey that came to nothing.
pub(super) fn passkey_told(why: SignInFailure) -> Option<Text<'static>> {
    Some(match why {
        SignInFailure::PasskeyUnknown => text("passkey-unknown"),
        SignInFailure::PasskeyUnverified => text("passkey-unverified"),
        SignInFailure::PasskeyCloned => text("passkey-cloned"),
        SignInFailure::PasskeyHeldBack => text("passkey-held-back"),
        SignInFailure::PasskeyInvalid | SignInFailure::SubIsClientId => text("passkey-invalid"),
        _ => return None,
    })
}

/// A sign-in that came to nothing.
struct Failed {
    /// What the page says.
    told: LoginError,
    /// Why.
    why: SignInFailure,
    /// Whose name was typed.
    sub: Option<String>,
    /// Whether it was slowed down.
    slowed: bool,
}

impl LoginError {
    /// What the page says; a wait has words of its own.
    fn shown(&self) -> Option<Text<'static>> {
        match self {
            Self::Wrong => Some(text("login-wrong")),
            Self::Disabled => Some(text("login-disabled")),
            Self::Locked => Some(text("login-locked")),
            Self::FactorOverdue => Some(text("login-factor-overdue")),
            Self::FactorLinkMailed => Some(text("login-factor-link-mailed")),
            Self::Passkey(why) => passkey_told(*why),
            Self::TooMany(_) => None,
        }
    }

    const fn wait(&self) -> Option<Later> {
        match self {
            Self::TooMany(later) => Some(*later),
            _ => None,
        }
    }
}

/// The login page.
///
/// # Errors
/// A page: the interaction is unknown, expired, or of another browser.
pub async fn get(State(provider): State<Arc<Provider>>, mut asked: BrowserRequest) -> Result<Response, PageError> {
    let flow = Continued::of(&provider, &mut asked).await?;
    // A user who signed in meanwhile, perhaps in another tab, need not do it again.
    if asked.params.get("switch").is_none() && !matches!(flow.step(&provider), Step::SignIn) {
        return flow.redirect_to_authorize(&provider);
    }
    page(&provider, &asked, &flow, None, None)
}

/// What the person decided on the login page.
///
/// # Errors
/// A page: the form is not ours, or the interaction has ended.
pub async fn post(State(provider): State<Arc<Provider>>, mut asked: BrowserRequest) -> Result<Response, PageError> {
    let (is_passkey, network) = (is_of_passkey(&asked), asked.network);
    // A passkey is counted while what it is for is read.
    let counting = async {
        if is_passkey { Some(throttle::passkey(&provider.throttle, &provider.ephemeral, network).await) } else { None }
    };
    let named = beside::named(&asked).filter(|_| is_passkey);
    let (flow, counted, beside) =
        tokio::join!(Continued::of(&provider, &mut asked), counting, Beside::of(&provider, named));
    let checked = flow.and_then(|flow| check_form(&provider, &asked, &flow.id).map(|()| flow));
    let flow = match (checked, counted) {
        (Ok(flow), Some(counted)) => {
            return Box::pin(passkey::sign_in(&provider, &asked, &flow, counted, beside)).await;
        }
        (Err(error), Some(Ok(attempt))) => {
            attempt.succeeded(&provider.ephemeral).await?;
            return Err(error);
        }
        (checked, _) => checked?,
    };
    match asked.params.get("action") {
        Some("cancel") => flow.refuse(&provider, canceled()).await,
        Some("continue") if flow.request.asks_for_account() && !must_prove(&flow) => {
            let Some((session, _)) = &flow.signed_in else {
                return page(&provider, &asked, &flow, None, None);
            };
            let here = SignedIn { sub: session.sign_in.sub.clone(), session: session.sign_in.session };
            let continued = |interaction: &mut Interaction| {
                interaction.proven = None;
                interaction.signed_in = Some(here);
            };
            flow.note(&provider, continued).await?;
            flow.redirect_to_authorize(&provider)
        }
        _ => sign_in(&provider, &asked, &flow).await,
    }
}

/// Name and password were typed: a factor, and with it the sign-in.
async fn sign_in(provider: &Arc<Provider>, asked: &BrowserRequest, flow: &Continued) -> Result<Response, PageError> {
    let typed = asked.params.get("username").unwrap_or_default().trim().to_owned();
    let password = Password::received(asked.params.get("password").unwrap_or_default());
    let session = flow.signed_in.as_ref().map(|(session, _)| session.sign_in.session);
    match password::prove(provider, asked, session, &typed, password).await? {
        Proof::Proven(proven) => after_password(provider, asked, flow, &typed, *proven).await,
        Proof::Wrong { why, sub, attempt } => {
            let failed = Failed { told: LoginError::Wrong, why, sub, slowed: attempt.is_slowed() };
            fail(provider, asked, flow, Some(&typed), failed, Tried::Password(attempt)).await
        }
        Proof::Barred { why, sub, attempt } => {
            let told = if why == SignInFailure::UserLocked { LoginError::Locked } else { LoginError::Disabled };
            let failed = Failed { told, why, sub: Some(sub), slowed: attempt.is_slowed() };
            fail(provider, asked, flow, Some(&typed), failed, Tried::Password(attempt)).await
        }
        Proof::Later { sub, later } => {
            let failed = Failed { told: LoginError::TooMany(later), why: SignInFailure::Throttled, sub, slowed: false };
            fail(provider, asked, flow, Some(&typed), failed, Tried::Nothing).await
        }
    }
}

/// The password is right: the session starts, unless something else is to be proven first.
async fn after_password(
    provider: &Arc<Provider>,
    asked: &BrowserRequest,
    flow: &Continued,
    typed: &str,
    proven: password::Proven,
) -> Result<Response, PageError> {
    let password::Proven { mut user, attempt, session_has_ended, renewal } = proven;
    if user.second_factor_demand(asked.now) == SecondFactorDemand::Overdue {
        let is_mailed = mailing::factor_is_overdue(provider, &user, &asked.circumstances()).await?;
        let told = if is_mailed { LoginError::FactorLinkMailed } else { LoginError::FactorOverdue };
        let why = SignInFailure::SecondFactorOverdue;
        let failed = Failed { told, why, sub: Some(user.sub), slowed: attempt.is_slowed() };
        return fail(provider, asked, flow, Some(typed), failed, Tried::Password(attempt)).await;
    }
    note_days(provider, &mut user, asked.now).await?;
    let renewing =
        renewal.map(|renewal| password::renew(provider.clone(), user.sub.clone(), user.credential.clone(), renewal));
    let is_remembered = start::is_remembered(provider, asked);
    let is_spared =
        user.has_second_factor() && trust::is_plain(flow) && trust::lasts_until(provider, asked, &user).is_some();
    let response = if user.has_second_factor() && !is_spared {
        await_factor(provider, asked, flow, user, attempt, is_remembered).await?
    } else {
        let event = signed_in(provider, asked, flow, &user).with("amr", Factor::Password.amr());
        let event = if is_spared { event.with("trusted_browser", true) } else { event };
        let proven = start::Proven {
            user,
            factors: vec![Factor::Password],
            since: asked.now,
            attempt: Some(attempt),
            further: None,
            noted: start::Noted { ceremony: None, offers_passkey: offers_passkey(provider, asked, flow) },
            is_remembered,
            start: start::Start::SignIn,
            trusts: false,
            session_has_ended,
        };
        let response = Box::pin(start::start_session(provider, asked, flow, proven)).await?;
        provider.audit.record(event);
        response
    };
    // The answer does not wait for it.
    renewing.map(tokio::spawn);
    Ok(response)
}

/// Notes the first sign-in under a demand for a second factor, also of a user who has one: the days are over should it be taken away
/// later. Without a demand there are no days.
async fn note_days(provider: &Provider, user: &mut User, now: NumericDate) -> Result<(), StoreError> {
    let asked_at = match (user.demanded_days(now), user.second_factor_asked_at) {
        (Some(_), None) => Some(now),
        (None, Some(_)) => None,
        _ => return Ok(()),
    };
    timely(users::note_asked_for_factor(&provider.db, &user.sub, asked_at)).await?;
    user.second_factor_asked_at = asked_at;
    Ok(())
}

/// Whether the user may be offered a passkey after this sign-in: the script of the page says that the browser makes some, and the
/// sign-in is for no page of the account, which has the offer itself.
fn offers_passkey(provider: &Provider, asked: &BrowserRequest, flow: &Continued) -> bool {
    let can = provider.relying_party.is_some() && asked.params.get("makes_passkeys") == Some("yes");
    can && flow.interaction.returns_to.is_none()
}

/// Keeps in the interaction that the password was proven, and continues to what is to be proven beside it. There is no session yet,
/// and what was counted for the attempt stays counted.
async fn await_factor(
    provider: &Provider,
    asked: &BrowserRequest,
    flow: &Continued,
    user: User,
    attempt: Attempt,
    is_remembered: bool,
) -> Result<Response, PageError> {
    let proven = ProvenPassword {
        id: Handle(random()),
        sub: user.sub.clone(),
        credential: user.credential.clone(),
        at: asked.now,
        is_remembered,
        attempt: attempt.pending(),
    };
    provider.directory.know_user(user, asked.now);
    let offers_passkey = offers_passkey(provider, asked, flow);
    let noted = |interaction: &mut Interaction| {
        interaction.proven = Some(proven);
        interaction.offers_passkey |= offers_passkey;
    };
    flow.note(provider, noted).await?;
    flow.redirect_to_authorize(provider)
}

/// What happened at this page, by way of the service that is signed in to; our own start page is none.
pub(super) fn event(kind: EventKind, asked: &BrowserRequest, flow: &Flow) -> Event {
    let event = Event::new(kind, asked.now).from(&asked.network);
    match flow.service() {
        Some(client) => event.by(&client.client_id),
        None => event,
    }
}

/// A sign-in of that user, whom a mail tells of it where the browser was not known to the account.
pub(super) fn signed_in(provider: &Provider, asked: &BrowserRequest, flow: &Flow, user: &User) -> Event {
    let event = event(EventKind::SignIn, asked, flow).of(&user.sub);
    let browser = &asked.browser;
    let is_known = browser.names().any(|name| password::is_known(provider, &browser.known, name, user));
    if is_known { event } else { event.in_new_browser(&browser.agent) }
}

/// What a sign-in was tried by.
enum Tried {
    /// A name and a password, which are counted.
    Password(Attempt),
    /// A passkey, perhaps one that is known.
    Passkey(Option<String>),
    /// It was not looked at.
    Nothing,
}

/// Notes a sign-in that came to nothing, and shows the page again.
async fn fail(
    provider: &Provider,
    asked: &BrowserRequest,
    flow: &Continued,
    typed: Option<&str>,
    failed: Failed,
    tried: Tried,
) -> Result<Response, PageError> {
    let kind = match (&failed.told, &tried) {
        (LoginError::TooMany(_), _) => EventKind::SignInThrottled,
        (_, Tried::Passkey(passkey)) => passkey::kind_of(provider, failed.why, passkey.as_deref()).await?,
        _ => EventKind::SignInFailed,
    };
    let mut event = event(kind, asked, flow);
    if let LoginError::TooMany(later) = &failed.told {
        event = event.with("budget", later.budget.as_str());
    }
    if let Tried::Passkey(Some(passkey)) = &tried {
        event = event.personal("passkey", passkey);
    }
    provider.audit.record(event.of_subject(failed.sub.as_deref()).with("reason", failed.why.as_str()));
    // Once a user has tried, it gives way only when no other can.
    let (id, interaction) = (&flow.id, &flow.interaction);
    let typed_into = interactions::update(&provider.ephemeral, id, interaction, interaction, true);
    match tried {
        Tried::Password(attempt) => drop(tokio::try_join!(attempt.failed(&provider.ephemeral), typed_into)?),
        Tried::Passkey(_) => drop(typed_into.await?),
        Tried::Nothing => {}
    }
    page(provider, asked, flow, typed.map(str::to_owned), Some(&failed))
}

/// The user's own decision: nothing for an operator to look into.
pub(super) const fn canceled() -> Refusal {
    Refusal::new(Reason::SignInCanceled)
}

/// Whether choosing the account is not enough: the request wants a fresh sign-in.
fn must_prove(flow: &Flow) -> bool {
    flow.request.prompt.has(Prompt::Login) || flow.request.max_age.is_some()
}

/// What is signed in to.
fn heading(flow: &Flow) -> Text<'_> {
    match flow.service() {
        Some(client) => text("login-heading").with("client", client.display_name()),
        None => text("login-heading-home"),
    }
}

fn page(
    provider: &Provider,
    asked: &BrowserRequest,
    flow: &Continued,
    typed: Option<String>,
    failed: Option<&Failed>,
) -> Result<Response, PageError> {
    let Some(browser_id) = &asked.browser.id else {
        // An interaction that no browser has started yet is started at `/authorize`.
        return flow.redirect_to_authorize(provider);
    };
    // A user who wants another account is offered nothing of the one that is there.
    let switches = asked.params.get("switch").is_some();
    let signed_in = flow.signed_in.as_ref().map(|(_, user)| user).filter(|_| !switches);
    let hint = flow.request.login_hint.clone().filter(|_| !switches);
    let chooses = flow.request.asks_for_account() && !must_prove(flow) && failed.is_none();
    let shown = LoginPage {
        page: Chrome::new(&provider.config, &heading(flow)),
        client_name: flow.service().map(|client| client.display_name().to_owned()),
        client_id: flow.client().client_id.clone(),
        interaction: flow.id.expose().to_owned(),
        csrf: provider.secrets.form_token(browser_id, &flow.id),
        session: beside::field(flow),
        username: typed
            .or(hint)
            .or_else(|| signed_in.filter(|_| !chooses).and_then(|user| user.username.clone()))
            .unwrap_or_default(),
        error: failed.filter(|failed| !failed.is_of_passkey()).and_then(|failed| failed.told.shown()),
        wait: failed.and_then(|failed| failed.told.wait()).map(|later| Wait::until(asked.now, later.seconds)),
        continue_as: signed_in.filter(|_| chooses).map(|user| user.display_name().to_owned()),
        signed_in_as: signed_in.filter(|_| !chooses && failed.is_none()).map(|user| user.display_name().to_owned()),
        host: provider.config.host().to_owned(),
        policy_uri: flow.client().policy_uri.as_deref().and_then(web_address).map(str::to_owned),
        tos_uri: flow.client().tos_uri.as_deref().and_then(web_address).map(str::to_owned),
        has_mail: provider.outgoing.mailer.is_some(),
        has_sign_up: matches!(provider.config.sign_up, SignUp::Domains(_)),
        remember: (provider.config.remember == Remember::Ask).then(|| asked.params.get(start::REMEMBER).is_some()),
        account: signed_in.filter(|_| failed.is_none()).and_then(|user| user.account().map(str::to_owned)),
        passkey: passkey::form(provider, asked, flow)
            .map(|form| PasskeyForm { unknown: sent_unknown(asked, failed.map(|failed| failed.why)), ..form }),
        passkey_error: failed.filter(|failed| failed.is_of_passkey()).and_then(|failed| failed.told.shown()),
    };
    let scripts = Some(&*shown.page.scripts);
    let Some(Failed { told, why, sub, slowed }) = failed else {
        return Ok(pages::render(StatusCode::OK, &shown, scripts));
    };
    let (status, code, description) = match told {
        LoginError::Wrong => {
            (StatusCode::UNPROCESSABLE_ENTITY, "sign_in_failed", "user name and password do not match")
        }
        LoginError::Disabled => (StatusCode::FORBIDDEN, "sign_in_failed", "the account is disabled"),
        LoginError::Locked => (StatusCode::FORBIDDEN, "sign_in_failed", "the account is locked"),
        LoginError::FactorOverdue | LoginError::FactorLinkMailed => {
            (StatusCode::FORBIDDEN, "sign_in_failed", "the account needs a second factor")
        }
        LoginError::Passkey(_) => (StatusCode::UNPROCESSABLE_ENTITY, "sign_in_failed", "the passkey does not hold"),
        LoginError::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "sign_in_throttled", "too many failed attempts"),
    };
    let mut response = pages::render(status, &shown, scripts);
    if let LoginError::TooMany(later) = told {
        response.headers_mut().insert(header::RETRY_AFTER, later.seconds.into());
    }
    let cause = match (told, slowed) {
        (LoginError::TooMany(later), _) => format!("{}: by the limit {}", why.cause(), later.budget.as_str()),
        (_, true) => {
            format!("{}; the try was slowed down first, as there were many failures at this account", why.cause())
        }
        _ => why.cause().to_owned(),
    };
    let note = Note::of(code, description, why.fix()).because(why.as_str(), cause).of_user(sub.as_deref());
    response.extensions_mut().insert(note);
    Ok(response)
}
