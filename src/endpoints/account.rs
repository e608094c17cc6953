//! `/account`: what users look after themselves. A page each: who they are (`overview`), the password, where they are signed in
//! (`sessions`), services, what happened (`events`), and their data.
//!
//! Every page wants a sign-in and comes back to itself after one. What a stolen session must not be enough for wants a fresh one,
//! by every factor that the account has (`own_page::is_fresh`). Forms are bound to browser, sign-in and purpose; what was done is
//! told after a redirect.

pub mod data;
pub mod email;
pub mod events;
pub mod factors;
pub mod overview;
pub mod passkeys;
pub mod password;
pub mod services;
pub mod sessions;

use crate::ambient::random;
use crate::caller::{BrowserRequest, check_form, own_form, session_of, user_of};
use crate::endpoints::{flow, path};
use crate::protocol::claims::User;
use crate::protocol::grant::Session;
use crate::protocol::own_page::{OwnPage, is_fresh};
use crate::protocol::secret::{BrowserId, SessionId, same_text};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::stored::Stored;
use crate::texts::{Text, text};
use crate::web::answer::{PageError, see_other};
use crate::web::cookies::{self, Browser};
use crate::web::pages::account::Tabs;
use crate::web::pages::{self, Link};
use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use std::sync::Arc;

/// The path of a page of ours.
#[must_use]
pub const fn path_of(page: OwnPage) -> &'static str {
    match page {
        OwnPage::Account => path::ACCOUNT,
        OwnPage::Email => path::ACCOUNT_EMAIL,
        OwnPage::Password => path::ACCOUNT_PASSWORD,
        OwnPage::SecondFactor => path::ACCOUNT_SECOND_FACTOR,
        OwnPage::Passkeys => path::ACCOUNT_PASSKEYS,
        OwnPage::Sessions => path::ACCOUNT_SESSIONS,
        OwnPage::Services => path::ACCOUNT_SERVICES,
        OwnPage::Events => path::ACCOUNT_EVENTS,
        OwnPage::Data => path::ACCOUNT_DATA,
    }
}

/// `/.well-known/change-password`, by which programs that keep passwords find the page
/// ([Well-Known URL for Changing Passwords](https://www.w3.org/TR/change-password-url/)).
///
/// # Errors
/// The address cannot be a header.
pub async fn change_password(State(provider): State<Arc<Provider>>) -> Result<Response, PageError> {
    Ok(see_other(&provider.url(path::ACCOUNT_PASSWORD))?)
}

/// What a form is for, and so what its token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    AskForAddress,
    ChangePassword,
    EndSession,
    EndOthers,
    Untrust,
    TakeBack,
    GetFile,
    Deletion,
    BeginAuthenticator,
    AddAuthenticator,
    RemoveFactor,
    MakeCodes,
    AddPasskey,
    RemovePasskey,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::AskForAddress => "ask for address",
            Self::ChangePassword => "change password",
            Self::EndSession => "end session",
            Self::EndOthers => "end other sessions",
            Self::Untrust => "trust no browser",
            Self::TakeBack => "take back",
            Self::GetFile => "get file",
            Self::Deletion => "deletion",
            Self::BeginAuthenticator => "begin authenticator",
            Self::AddAuthenticator => "add authenticator",
            Self::RemoveFactor => "remove factor",
            Self::MakeCodes => "make recovery codes",
            Self::AddPasskey => "add passkey",
            Self::RemovePasskey => "remove passkey",
        }
    }
}

/// What has been done, as the page says it after the redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    LinkMailed,
    PasswordChanged,
    SessionEnded,
    SessionOver,
    OthersEnded,
    Untrusted,
    TakenBack,
    NothingToTakeBack,
    DeletionNoted,
    DeletionWithdrawn,
    AuthenticatorAdded,
    FactorRemoved,
    FactorGone,
    PasskeyAdded,
    PasskeyRemoved,
}

impl Done {
    const ALL: [Self; 15] = [
        Self::LinkMailed,
        Self::PasswordChanged,
        Self::SessionEnded,
        Self::SessionOver,
        Self::OthersEnded,
        Self::Untrusted,
        Self::TakenBack,
        Self::NothingToTakeBack,
        Self::DeletionNoted,
        Self::DeletionWithdrawn,
        Self::AuthenticatorAdded,
        Self::FactorRemoved,
        Self::FactorGone,
        Self::PasskeyAdded,
        Self::PasskeyRemoved,
    ];

    /// Its word in the address.
    const fn as_str(self) -> &'static str {
        match self {
            Self::LinkMailed => "link-mailed",
            Self::PasswordChanged => "password-changed",
            Self::SessionEnded => "session-ended",
            Self::SessionOver => "session-over",
            Self::OthersEnded => "others-ended",
            Self::Untrusted => "untrusted",
            Self::TakenBack => "taken-back",
            Self::NothingToTakeBack => "nothing-to-take-back",
            Self::DeletionNoted => "deletion-noted",
            Self::DeletionWithdrawn => "deletion-withdrawn",
            Self::AuthenticatorAdded => "authenticator-added",
            Self::FactorRemoved => "factor-removed",
            Self::FactorGone => "factor-gone",
            Self::PasskeyAdded => "passkey-added",
            Self::PasskeyRemoved => "passkey-removed",
        }
    }

    fn told(self) -> Text<'static> {
        match self {
            Self::LinkMailed => text("email-link-mailed"),
            Self::PasswordChanged => text("password-changed"),
            Self::SessionEnded => text("sessions-ended"),
            Self::SessionOver => text("sessions-over"),
            Self::OthersEnded => text("sessions-others-ended"),
            Self::Untrusted => text("trust-ended"),
            Self::TakenBack => text("services-taken-back"),
            Self::NothingToTakeBack => text("services-nothing-to-take-back"),
            Self::DeletionNoted => text("data-deletion-noted"),
            Self::DeletionWithdrawn => text("data-deletion-withdrawn"),
            Self::AuthenticatorAdded => text("factors-authenticator-added"),
            Self::FactorRemoved => text("factors-removed"),
            Self::FactorGone => text("factors-gone"),
            Self::PasskeyAdded => text("passkeys-added"),
            Self::PasskeyRemoved => text("passkeys-removed"),
        }
    }

    /// What its token is bound to, so that no link can make a page say what was not done.
    fn purpose(self) -> String {
        format!("done: {}", self.as_str())
    }
}

/// A user who is signed in, at a page of the account.
struct Here {
    page: OwnPage,
    id: SessionId,
    session: Stored<Session>,
    user: Arc<User>,
    browser: BrowserId,
    /// The browser had no name, and is given one.
    is_new: bool,
    now: NumericDate,
}

/// Where a request to a page of the account leads.
enum Visit {
    /// To the page.
    Here(Box<Here>),
    /// To a sign-in, which returns to the page.
    SignIn(Response),
}

impl Visit {
    /// Looks who is signed in. A page that shows or does what a stolen session must not be enough for wants a fresh sign-in.
    async fn open(
        provider: &Provider,
        asked: &BrowserRequest,
        page: OwnPage,
        wants_fresh: bool,
    ) -> Result<Self, PageError> {
        asked.params.refuse_duplicates().map_err(PageError::bad_request)?;
        let session = session_of(provider, &asked.browser).await?;
        Self::in_session(provider, asked, session, page, wants_fresh).await
    }

    async fn in_session(
        provider: &Provider,
        asked: &BrowserRequest,
        session: Option<Stored<Session>>,
        page: OwnPage,
        wants_fresh: bool,
    ) -> Result<Self, PageError> {
        let BrowserRequest { browser, network, now, .. } = asked;
        let user = user_of(provider, session.as_deref(), *now).await?;
        if let (Some(id), Some(session), Some(user)) = (&browser.session, session, user)
            && (!wants_fresh || is_fresh(&session, &user, *now))
        {
            let (name, is_new) = name_of(browser);
            let here = Here { page, id: id.clone(), session, user, browser: name, is_new, now: *now };
            return Ok(Self::Here(Box::new(here)));
        }
        Ok(Self::SignIn(flow::start_at_home(provider, browser, *network, Some(page), *now).await?))
    }

    /// The same for a form, which must be ours, of this browser, this sign-in and this purpose. Where it is not, nothing is done.
    async fn by_form(
        provider: &Provider,
        asked: &BrowserRequest,
        page: OwnPage,
        purpose: Purpose,
        wants_fresh: bool,
    ) -> Result<Self, PageError> {
        asked.params.refuse_duplicates().map_err(PageError::bad_request)?;
        let session = session_of(provider, &asked.browser).await?;
        if let (true, Some(session)) = (wants_fresh, &session) {
            // What counts is what the account has now: another node may have added a factor that this one has not heard of.
            factors::learn(provider, &session.sign_in.sub, asked.now).await?;
        }
        let visit = Self::in_session(provider, asked, session, page, wants_fresh).await?;
        if let Self::Here(here) = &visit {
            let name = own_form(purpose.as_str(), here.session.sign_in.session);
            check_form(provider, asked, &name).map_err(|error| error.of_own_form(Link::account(&provider.config)))?;
        }
        Ok(visit)
    }
}

fn name_of(browser: &Browser) -> (BrowserId, bool) {
    match &browser.id {
        Some(id) => (id.clone(), false),
        None => (BrowserId::from_random(&random::<32>()), true),
    }
}

impl Here {
    /// The token of a form of this page.
    fn csrf(&self, provider: &Provider, purpose: Purpose) -> String {
        self.token(provider, purpose.as_str())
    }

    fn token(&self, provider: &Provider, purpose: &str) -> String {
        provider.secrets.form_token(&self.browser, &own_form(purpose, self.session.sign_in.session))
    }

    /// The links of the page, and what has just been done, where the address proves that.
    fn tabs(&self, provider: &Provider, asked: &BrowserRequest) -> Tabs {
        let (said, proof) = (asked.params.get("done"), asked.params.get("proof").unwrap_or_default());
        let done = Done::ALL.into_iter().find(|done| Some(done.as_str()) == said);
        let done = done.filter(|done| same_text(&self.token(provider, &done.purpose()), proof));
        Tabs { here: self.page, done: done.map(Done::told) }
    }

    /// Shows the page.
    fn render(&self, provider: &Provider, status: StatusCode, page: &impl Template) -> Response {
        self.render_with(provider, status, page, None)
    }

    /// The same for one that has a script.
    fn render_with(
        &self,
        provider: &Provider,
        status: StatusCode,
        page: &impl Template,
        scripts: Option<&str>,
    ) -> Response {
        let mut response = pages::render(status, page, scripts);
        if self.is_new {
            let named = cookies::set_browser(&provider.config, &self.browser);
            response.headers_mut().append(header::SET_COOKIE, named);
        }
        response
    }

    /// Leads back to the page by GET, which says what has been done.
    fn done(&self, provider: &Provider, done: Done) -> Result<Response, PageError> {
        self.done_at(self.page, provider, done)
    }

    /// The same at another page.
    fn done_at(&self, page: OwnPage, provider: &Provider, done: Done) -> Result<Response, PageError> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("done", done.as_str()).append_pair("proof", &self.token(provider, &done.purpose()));
        Ok(see_other(&format!("{}?{}", provider.url(path_of(page)), query.finish()))?)
    }
}
