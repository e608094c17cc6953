//! `/second-factor`: the code of an authenticator, a recovery code or a passkey, after the password or in a running session that a
//! service wants more of. OIDC Core 3.1.2.3; [RFC 9470](https://www.rfc-editor.org/rfc/rfc9470).
//!
//! Who has proven the password has no session yet, and gets here alone: the interaction knows it. What a right code comes to is
//! `login::start`, what is a code is `second_factor`.

mod passkey;

use crate::ambient::context;
use crate::caller::{BrowserRequest, check_form};
use crate::endpoints::flow::{Continued, Flow};
use crate::endpoints::login::beside::{self, Beside};
use crate::endpoints::login::passkey::{is_of_passkey, kind_of};
use crate::endpoints::login::password::known_tag;
use crate::endpoints::login::start::{self, Noted, Start, start_session};
use crate::endpoints::login::{canceled, event, passkey_told, signed_in};
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::authorization::{ProvenPassword, Step, factor_missing};
use crate::protocol::claims::User;
use crate::protocol::factor::{Factor, SignInFailure};
use crate::protocol::grant::Session;
use crate::protocol::secret::{BrowserId, Digest, InteractionId, same_text};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::second_factor::{self, Checked, RightCode};
use crate::store::StoreError;
use crate::store::stored::Stored;
use crate::texts::{Text, text};
use crate::throttle::{self, Attempt, FactorAttempt, Later, Stopped};
use crate::web::answer::{Note, PageError};
use crate::web::cookies::Browser;
use crate::web::network::Network;
use crate::web::pages::account::Moment;
use crate::web::pages::{self, Chrome, FactorNeededPage, SecondFactorPage, Wait};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use std::sync::Arc;

/// What was proven before the code.
enum Before<'a> {
    /// The password, in this interaction.
    Password(&'a ProvenPassword),
    /// Whatever the running session is of.
    Session(&'a Stored<Session>),
}

/// Who is asked for a code.
struct Candidate<'a> {
    user: &'a Arc<User>,
    before: Before<'a>,
}

impl<'a> Candidate<'a> {
    fn of(flow: &'a Continued) -> Option<Self> {
        if let (Some(user), Some(proven)) = (&flow.awaited, &flow.interaction.proven) {
            return Some(Self { user, before: Before::Password(proven) });
        }
        let (session, user) = flow.signed_in.as_ref()?;
        Some(Self { user, before: Before::Session(session) })
    }

    /// The one whom the form that was sent continues: not what another tab has put in its place since.
    fn of_form(flow: &'a Continued, asked: &BrowserRequest) -> Option<Self> {
        let sent = asked.params.get("proven").unwrap_or_default();
        Self::of(flow).filter(|candidate| same_text(&candidate.name(), sent))
    }

    /// Whether the session that the browser had before the password was ended in another tab. A running session that a code is
    /// for is looked up as every request does, and its row decides whether it may continue.
    async fn session_has_ended(&self, provider: &Provider, flow: &Flow, beside: Beside) -> Result<bool, StoreError> {
        match self.before {
            Before::Password(_) => beside.has_ended(provider, flow).await,
            Before::Session(_) => Ok(false),
        }
    }

    /// The name of what was proven, by which a form says what it continues: not what another tab has put in its place since.
    fn name(&self) -> String {
        match self.before {
            Before::Password(proven) => proven.name(),
            Before::Session(_) => String::new(),
        }
    }
}

/// A code or passkey that came to nothing.
struct Failed {
    why: SignInFailure,
    later: Option<Later>,
    /// The passkey that it was.
    passkey: Option<String>,
}

/// The page that asks, or that says what is missing.
///
/// # Errors
/// A page: the interaction is unknown, expired, or of another browser.
pub async fn get(State(provider): State<Arc<Provider>>, mut asked: BrowserRequest) -> Result<Response, PageError> {
    let flow = Continued::of(&provider, &mut asked).await?;
    let Some(browser_id) = &asked.browser.id else { return flow.redirect_to_authorize(&provider) };
    match (flow.step(&provider), Candidate::of(&flow)) {
        (Step::SecondFactor, Some(candidate)) => page(&provider, &asked, &flow, &candidate, None).await,
        (Step::FactorMissing, Some(candidate)) => Ok(missing(&provider, &flow, browser_id, &candidate)),
        (Step::FactorDue(until), Some(candidate)) => Ok(due(&provider, &flow, browser_id, &candidate, until)),
        _ => flow.redirect_to_authorize(&provider),
    }
}

/// The code, or what the person decided.
///
/// # Errors
/// A page: the form is not ours, or the interaction has ended.
pub async fn post(State(provider): State<Arc<Provider>>, mut asked: BrowserRequest) -> Result<Response, PageError> {
    let is_passkey = is_of_passkey(&asked);
    let place = Counter::of_form(&provider, &asked);
    let network = asked.network;
    let count = async {
        if is_passkey {
            return throttle::passkey(&provider.throttle, &provider.ephemeral, network).await.map(Some);
        }
        count(&provider, place.as_ref(), network).await
    };
    let named = beside::named(&asked);
    let (flow, counted, beside) =
        tokio::join!(Continued::of(&provider, &mut asked), count, Beside::of(&provider, named));
    let checked = flow.and_then(|flow| check_form(&provider, &asked, &flow.id).map(|()| flow));
    let is_of_code = |flow: &Continued| {
        matches!(flow.step(&provider), Step::SecondFactor) && asked.params.get("action") == Some("continue")
    };
    if let (true, Ok(flow)) = (is_passkey, &checked)
        && matches!(flow.step(&provider), Step::SecondFactor)
    {
        return Box::pin(passkey::proven(&provider, &asked, flow, counted, beside)).await;
    }
    if let (Ok(flow), Some(place)) = (&checked, &place)
        && is_of_code(flow)
    {
        return Box::pin(code(&provider, &asked, flow, place, counted, beside)).await;
    }
    give_back(&provider, counted).await?;
    decided(&provider, &asked, checked?).await
}

/// What the person decided who typed no code.
async fn decided(provider: &Provider, asked: &BrowserRequest, flow: Continued) -> Result<Response, PageError> {
    match (flow.step(provider), asked.params.get("action")) {
        (Step::SecondFactor, Some("cancel")) => flow.refuse(provider, canceled()).await,
        (Step::FactorMissing, Some("back")) => match &flow.signed_in {
            // The page has told of it already.
            Some((session, _)) => {
                let refusal = factor_missing(flow.client(), session).as_expected();
                flow.refuse(provider, refusal).await
            }
            None => flow.redirect_to_authorize(provider),
        },
        (Step::FactorDue(_), Some("continue")) => {
            flow.note(provider, |interaction| interaction.told_of_demand = true).await?;
            flow.redirect_to_authorize(provider)
        }
        _ => flow.redirect_to_authorize(provider),
    }
}

/// Where the codes of a form are counted: at the user, or at the browser where that is known to them. The form carries it under a
/// token of ours, so that counting need not wait for what says whose sign-in it is.
#[derive(Debug, PartialEq, Eq)]
struct Counter {
    account: String,
    known: Option<String>,
}

impl Counter {
    /// Of that user in this browser, which is known by a sign-in with this very second factor: who had the password alone before
    /// it was set up has no counters of their own.
    fn of(provider: &Provider, browser: &Browser, user: &User) -> Self {
        let known = browser.kept.as_ref().filter(|name| browser.known.contains(&known_tag(provider, name, user)));
        Self {
            account: provider.secrets.account(Some(&user.sub), ""),
            known: known.map(|name| name.digest().as_str()[..22].to_owned()),
        }
    }

    /// Of the form that was sent, where it asks for a code and is ours.
    fn of_form(provider: &Provider, asked: &BrowserRequest) -> Option<Self> {
        let field = |name| asked.params.get(name).filter(|text: &&str| text.len() < 100);
        let (text, token, id) = (field("counter")?, field("counted")?, InteractionId::received(field("interaction")?));
        let is_ours = |name| same_text(&provider.secrets.counter_token(name, &id, text), token);
        let (account, known) = text.split_once('.')?;
        let known = Some(known).filter(|known| !known.is_empty()).map(str::to_owned);
        asked.browser.names().any(is_ours).then(|| Self { account: account.to_owned(), known })
    }

    fn as_field(&self) -> String {
        format!("{}.{}", self.account, self.known.as_deref().unwrap_or_default())
    }
}

/// Counts a code that is about to be checked.
async fn count(
    provider: &Provider,
    place: Option<&Counter>,
    network: Network,
) -> Result<Option<FactorAttempt>, Stopped> {
    let Some(Counter { account, known }) = place else { return Ok(None) };
    let counted = throttle::code(&provider.throttle, &provider.ephemeral, account, network, known.as_deref());
    counted.await.map(Some)
}

/// Nothing was looked at.
async fn give_back(provider: &Provider, counted: Result<Option<FactorAttempt>, Stopped>) -> Result<(), PageError> {
    if let Ok(Some(attempt)) = counted {
        attempt.succeeded(&provider.ephemeral).await?;
    }
    Ok(())
}

/// A code was typed, and counted: it is looked at and spent, and with it the sign-in is complete.
async fn code(
    provider: &Arc<Provider>,
    asked: &BrowserRequest,
    flow: &Continued,
    place: &Counter,
    counted: Result<Option<FactorAttempt>, Stopped>,
    beside: Beside,
) -> Result<Response, PageError> {
    let candidate = Candidate::of_form(flow, asked)
        .filter(|candidate| Counter::of(provider, &asked.browser, candidate.user) == *place);
    let Some(candidate) = candidate else {
        give_back(provider, counted).await?;
        return flow.redirect_to_authorize(provider);
    };
    let attempt = match attempted(provider, asked, flow, &candidate, counted, SignInFailure::CodesThrottled).await? {
        Ok(attempt) => attempt,
        Err(response) => return Ok(response),
    };
    let session_has_ended = candidate.session_has_ended(provider, flow, beside).await?;
    let typed = asked.params.get("code").unwrap_or_default();
    let why = match second_factor::check(provider, &candidate.user.sub, typed, asked.now).await? {
        Checked::Right(by) => {
            let right = Right { by: Proof::Code(by), attempt, session_has_ended };
            return complete(provider, asked, flow, &candidate, right).await;
        }
        Checked::Wrong => SignInFailure::CodeWrong,
        Checked::Used => SignInFailure::CodeUsed,
        Checked::Unreadable => {
            // It was compared with nothing, and so is no guess.
            attempt.succeeded(&provider.ephemeral).await?;
            SignInFailure::CodeUnreadable
        }
    };
    fail(provider, asked, flow, &candidate, &Failed { why, later: None, passkey: None }).await
}

/// What was counted for what is about to be looked at, or the answer where it is not; `why` is told of too many.
async fn attempted(
    provider: &Provider,
    asked: &BrowserRequest,
    flow: &Continued,
    candidate: &Candidate<'_>,
    counted: Result<Option<FactorAttempt>, Stopped>,
    why: SignInFailure,
) -> Result<Result<FactorAttempt, Response>, PageError> {
    match counted {
        Ok(Some(attempt)) => Ok(Ok(attempt)),
        Ok(None) => flow.redirect_to_authorize(provider).map(Err),
        Err(Stopped::Later(later)) => {
            let failed = Failed { why, later: Some(later), passkey: None };
            fail(provider, asked, flow, candidate, &failed).await.map(Err)
        }
        Err(Stopped::Fault(error)) => Err(error.into()),
    }
}

/// What was right.
enum Proof {
    Code(RightCode),
    /// A passkey, and the ceremony that it was proven by.
    Passkey(Factor, Digest),
}

impl Proof {
    const fn factor(&self) -> Factor {
        match self {
            Self::Code(_) => Factor::Otp,
            Self::Passkey(factor, _) => *factor,
        }
    }
}

/// A code or passkey that was right.
struct Right {
    by: Proof,
    attempt: FactorAttempt,
    session_has_ended: bool,
}

/// Starts the session, or lets the running one go on under a new id, with what is proven now.
async fn complete(
    provider: &Arc<Provider>,
    asked: &BrowserRequest,
    flow: &Continued,
    candidate: &Candidate<'_>,
    right: Right,
) -> Result<Response, PageError> {
    let user = User::clone(candidate.user);
    let factor = right.by.factor();
    let ceremony = match &right.by {
        Proof::Passkey(_, ceremony) => Some(ceremony.clone()),
        Proof::Code(_) => None,
    };
    let proven = match candidate.before {
        Before::Password(password) => start::Proven {
            user,
            factors: vec![Factor::Password, factor],
            since: password.at,
            attempt: Some(Attempt::resumed(password.attempt.clone())),
            further: Some(right.attempt),
            noted: Noted { ceremony, ..Noted::default() },
            is_remembered: password.is_remembered,
            start: Start::SignIn,
            trusts: provider.config.trusted_browser > 0 && asked.params.get("trust").is_some(),
            session_has_ended: right.session_has_ended,
        },
        Before::Session(session) => start::Proven {
            user,
            factors: with(Factor::of_amr(&session.sign_in.amr), factor),
            since: session.sign_in.auth_time,
            attempt: None,
            further: Some(right.attempt),
            noted: Noted { ceremony, ..Noted::default() },
            is_remembered: session.is_remembered,
            start: Start::StepUp,
            trusts: false,
            session_has_ended: false,
        },
    };
    let event = match candidate.before {
        Before::Password(_) => signed_in(provider, asked, flow, candidate.user).with("amr", &proven.factors[..]),
        Before::Session(_) => event(EventKind::StepUp, asked, flow).of(&candidate.user.sub).with("amr", factor.amr()),
    };
    let event = if proven.trusts { event.with("trusts_browser", true) } else { event };
    let event = match right.by {
        Proof::Code(RightCode::Authenticator) | Proof::Passkey(..) => event,
        Proof::Code(RightCode::RecoveryCode { left }) => event.with("recovery_codes_left", left as u64),
    };
    let response = Box::pin(start_session(provider, asked, flow, proven)).await?;
    provider.audit.record(event);
    Ok(response)
}

fn with(mut factors: Vec<Factor>, further: Factor) -> Vec<Factor> {
    if !factors.contains(&further) {
        factors.push(further);
    }
    factors
}

/// Notes what came to nothing, and shows the page again.
async fn fail(
    provider: &Provider,
    asked: &BrowserRequest,
    flow: &Continued,
    candidate: &Candidate<'_>,
    failed: &Failed,
) -> Result<Response, PageError> {
    let kind = match failed.later {
        Some(_) => EventKind::SignInThrottled,
        None => kind_of(provider, failed.why, failed.passkey.as_deref()).await?,
    };
    let mut event: Event = event(kind, asked, flow).of(&candidate.user.sub).with("reason", failed.why.as_str());
    if let Some(later) = failed.later {
        event = event.with("budget", later.budget.as_str());
    }
    if failed.why.is_of_passkey() {
        // So that the user is told that their password was right.
        event = event.with("after_password", true);
    }
    if let Some(passkey) = &failed.passkey {
        event = event.personal("passkey", passkey);
    }
    provider.audit.record(event);
    page(provider, asked, flow, candidate, Some(failed)).await
}

impl Failed {
    /// What the page says; a wait has words of its own.
    fn shown(&self) -> Option<Text<'static>> {
        match self.why {
            SignInFailure::CodeWrong => Some(text("second-factor-wrong")),
            SignInFailure::CodeUsed => Some(text("second-factor-used")),
            SignInFailure::CodeUnreadable => Some(text("second-factor-unreadable")),
            SignInFailure::PasskeyUnknown => Some(text("second-factor-passkey-unknown")),
            SignInFailure::PasskeyCloned => Some(text("second-factor-passkey-cloned")),
            why => passkey_told(why),
        }
    }

    /// How it is answered: status, code and description.
    const fn answered(&self) -> (StatusCode, &'static str, &'static str) {
        match self.why {
            SignInFailure::CodesThrottled => {
                (StatusCode::TOO_MANY_REQUESTS, "sign_in_throttled", "too many wrong codes")
            }
            SignInFailure::PasskeysThrottled => {
                (StatusCode::TOO_MANY_REQUESTS, "sign_in_throttled", "too many failed attempts")
            }
            SignInFailure::CodeUnreadable => {
                (StatusCode::SERVICE_UNAVAILABLE, "sign_in_failed", "the second factor cannot be checked")
            }
            SignInFailure::CodeUsed => (StatusCode::UNPROCESSABLE_ENTITY, "sign_in_failed", "the code has been used"),
            SignInFailure::CodeWrong => (StatusCode::UNPROCESSABLE_ENTITY, "sign_in_failed", "the code is wrong"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "sign_in_failed", "the passkey does not hold"),
        }
    }
}

async fn page(
    provider: &Provider,
    asked: &BrowserRequest,
    flow: &Continued,
    candidate: &Candidate<'_>,
    failed: Option<&Failed>,
) -> Result<Response, PageError> {
    let passkey = passkey::form(provider, asked, flow, candidate).await?;
    let is_recovery = asked.params.get("recovery").is_some();
    let by_browser = |token: &dyn Fn(&BrowserId) -> String| asked.browser.id.as_ref().map(token).unwrap_or_default();
    let place = Counter::of(provider, &asked.browser, candidate.user).as_field();
    let csrf = by_browser(&|id| provider.secrets.form_token(id, &flow.id));
    let counted = by_browser(&|id| provider.secrets.counter_token(id, &flow.id, &place));
    let is_step_up = matches!(candidate.before, Before::Session(_));
    let is_unreadable = failed.is_some_and(|failed| failed.why == SignInFailure::CodeUnreadable);
    let shown = SecondFactorPage {
        page: Chrome::new(&provider.config, &text("second-factor-heading")),
        asking_client: flow.service().filter(|_| is_step_up).map(|client| client.display_name().to_owned()),
        client_id: flow.client().client_id.clone(),
        user_name: candidate.user.display_name().to_owned(),
        account: candidate.user.account().map(str::to_owned),
        interaction: flow.id.expose().to_owned(),
        csrf,
        counter: place,
        counted,
        proven: candidate.name(),
        session: beside::field(flow),
        is_recovery,
        asks_for_code: is_recovery || candidate.user.has_authenticator,
        has_authenticator: candidate.user.has_authenticator,
        passkey: passkey.filter(|_| !is_recovery),
        passkey_error: failed.filter(|failed| failed.why.is_of_passkey()).and_then(Failed::shown),
        error: failed.filter(|failed| !failed.why.is_of_passkey()).and_then(Failed::shown),
        wait: failed.and_then(|failed| failed.later).map(|later| Wait::until(asked.now, later.seconds)),
        trust: Some(provider.config.trusted_browser)
            .filter(|days| *days > 0 && !is_step_up)
            .map(|days| text("second-factor-trust").counting("days", days)),
        reference: reference().filter(|_| is_unreadable),
    };
    let scripts = Some(&*shown.page.scripts);
    let Some(failed) = failed else { return Ok(pages::render(StatusCode::OK, &shown, scripts)) };
    let (status, code, description) = failed.answered();
    let mut response = pages::render(status, &shown, scripts);
    let cause = match failed.later {
        Some(later) => {
            response.headers_mut().insert(header::RETRY_AFTER, later.seconds.into());
            format!("{}: by the limit {}", failed.why.cause(), later.budget.as_str())
        }
        None => failed.why.cause().to_owned(),
    };
    let note = Note::of(code, description, failed.why.fix()).because(failed.why.as_str(), cause);
    response.extensions_mut().insert(note.of_user(Some(&candidate.user.sub)));
    Ok(response)
}

fn reference() -> Option<String> {
    context(|context| context.reference.clone())
}

/// The page for a user without a second factor, at a client whose row demands one. It is noted like an error page.
fn missing(provider: &Provider, flow: &Continued, browser_id: &BrowserId, candidate: &Candidate<'_>) -> Response {
    let client = flow.client().display_name();
    let heading = || text("factor-missing-heading").with("client", client);
    let page = FactorNeededPage {
        page: Chrome::new(&provider.config, &heading()),
        heading: heading(),
        message: text("factor-missing-message").with("client", client),
        action: "back",
        label: text("factor-missing-back").with("client", client),
        client_id: flow.client().client_id.clone(),
        user_name: candidate.user.display_name().to_owned(),
        account: candidate.user.account().map(str::to_owned),
        interaction: flow.id.expose().to_owned(),
        csrf: provider.secrets.form_token(browser_id, &flow.id),
        reference: reference(),
    };
    let mut response = pages::render(StatusCode::FORBIDDEN, &page, None);
    if let Before::Session(session) = candidate.before {
        let note = Note::from(factor_missing(flow.client(), session)).of_user(Some(&candidate.user.sub));
        response.extensions_mut().insert(note);
    }
    response
}

/// The page that says until when a second factor has to be set up.
fn due(
    provider: &Provider,
    flow: &Continued,
    browser_id: &BrowserId,
    candidate: &Candidate<'_>,
    until: NumericDate,
) -> Response {
    let day = Moment::of(until).shown;
    let page = FactorNeededPage {
        page: Chrome::new(&provider.config, &text("factor-due-heading")),
        heading: text("factor-due-heading"),
        message: text("factor-due-message").with("date", &day),
        action: "continue",
        label: text("factor-due-continue"),
        client_id: flow.client().client_id.clone(),
        user_name: candidate.user.display_name().to_owned(),
        account: candidate.user.account().map(str::to_owned),
        interaction: flow.id.expose().to_owned(),
        csrf: provider.secrets.form_token(browser_id, &flow.id),
        reference: None,
    };
    pages::render(StatusCode::OK, &page, None)
}
