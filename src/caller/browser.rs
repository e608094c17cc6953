//! The browser at a browser-facing endpoint: its cookies, the session that they name, and whether a form is our own.

use crate::ambient::{context, wishes_of_mail};
use crate::config::Config;
use crate::protocol::claims::{SecondFactorDemand, User};
use crate::protocol::error::Refusal;
use crate::protocol::grant::Session;
use crate::protocol::mail::Circumstances;
use crate::protocol::params::Params;
use crate::protocol::reason::Reason;
use crate::protocol::remedy::Remedy;
use crate::protocol::secret::{Digest, Handle, InteractionId, same_text};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::sessions;
use crate::store::stored::Stored;
use crate::web::answer::PageError;
use crate::web::cookies::Browser;
use crate::web::network::Network;
use crate::web::problems::Problem;
use crate::web::request;
use axum::extract::FromRequest;
use axum::http::{HeaderMap, Method, header};
use std::sync::Arc;

/// What a browser asks: by the query of a GET, by the form of a POST.
pub struct BrowserRequest {
    /// Its parameters, also those that came twice.
    pub params: Params,
    /// Its cookies.
    pub browser: Browser,
    /// Its headers.
    pub headers: HeaderMap,
    /// Where it comes from.
    pub network: Network,
    /// When.
    pub now: NumericDate,
}

impl BrowserRequest {
    /// Whether the browser says that the form is from a page of ours.
    #[must_use]
    pub fn is_from_ours(&self, config: &Config) -> bool {
        let is =
            |name: &str, value: &str| self.headers.get(name).is_some_and(|sent| sent.as_bytes() == value.as_bytes());
        is("origin", config.origin()) || is("sec-fetch-site", "same-origin")
    }

    /// When, from where and by which browser, as a mail tells it.
    #[must_use]
    pub fn circumstances(&self) -> Circumstances {
        let (network, browser) = (Some(self.network.to_string()), Some(self.browser.agent.clone()));
        Circumstances { at: self.now.0, network, browser, languages: wishes_of_mail() }
    }
}

impl FromRequest<Arc<Provider>> for BrowserRequest {
    type Rejection = PageError;

    /// # Errors
    /// `invalid_request` on a page: a broken encoding, or no form; HEAD, by which link previews come: they must not spend
    /// anything, nor sign a user out.
    async fn from_request(request: axum::extract::Request, provider: &Arc<Provider>) -> Result<Self, PageError> {
        let now = provider.now();
        let network = Network::of(&request, &provider.config);
        let (parts, body) = request.into_parts();
        let browser = Browser::of(&parts.headers, &provider.config);
        let params = match parts.method {
            Method::POST => request::form(&parts.headers, body).await,
            Method::HEAD => Err(Refusal::new(Reason::OnlyGetOrPost)),
            _ => request::query(&parts.uri),
        };
        let params = params.map_err(PageError::bad_request)?;
        speak(&params);
        Ok(Self { params, browser, headers: parts.headers, network, now })
    }
}

/// The user of a session, if there is one and it is live and still holds, and if they may go on without a second factor.
///
/// # Errors
/// A store failed.
pub async fn user_of(
    provider: &Provider,
    session: Option<&Session>,
    now: NumericDate,
) -> Result<Option<Arc<User>>, PageError> {
    let Some(session) = session else { return Ok(None) };
    if !session.is_live(now, provider.config.session_idle_lifetime) {
        return Ok(None);
    }
    let user = provider.directory.person_of(&session.sign_in, now).await?;
    // Whose time to set up a second factor is over could not sign in now, either.
    let user = user.filter(|user| user.second_factor_demand(now) != SecondFactorDemand::Overdue);
    Ok(user.inspect(|user| speak_to(user)))
}

/// Lets the page that answers the request be in the language that a service asks for: `ui_locales`,
/// [OIDC Core section 3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest).
pub fn speak(params: &Params) {
    if let Some(ui_locales) = params.get("ui_locales") {
        context(|context| context.set_ui_locales(ui_locales));
    }
}

/// Lets the page that answers the request be in the language of its user, where neither service nor browser ask for one.
pub fn speak_to(user: &User) {
    if let Some(locale) = user.locale() {
        context(|context| context.set_locale(locale));
    }
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

/// What a form of a user who is signed in is bound to, beside the browser: the sign-in, and what the form is for. Nothing need be
/// remembered of it, and a form is good for no other purpose.
#[must_use]
pub fn own_form(purpose: &str, session: Handle) -> InteractionId {
    InteractionId::received(Digest::of(&["own form", purpose, &session.text()]).as_str())
}

/// Checks that a form was sent by our own page in this browser: by `csrf`, which is bound to browser and interaction, and by
/// its origin.
///
/// # Errors
/// A page: the form's token or its origin is not ours.
pub fn check_form(provider: &Provider, asked: &BrowserRequest, id: &InteractionId) -> Result<(), PageError> {
    check_origin(provider, asked)?;
    match (&asked.browser.id, asked.params.get("csrf")) {
        (Some(name), Some(token)) if same_text(&provider.secrets.form_token(name, id), token) => Ok(()),
        (Some(_), _) => Err(Problem::FormOfAnotherBrowser.into()),
        (None, _) => Err(Problem::FormWithoutCookie.into()),
    }
}

/// Checks the origin of a form, where the browser says it.
///
/// # Errors
/// A page: its origin is not ours.
pub fn check_origin(provider: &Provider, asked: &BrowserRequest) -> Result<(), PageError> {
    // A privacy extension may make an origin "null"; the form's token, bound to the cookie, or the link's secret in it decides then.
    let ours = provider.config.origin();
    let origin = asked.headers.get(header::ORIGIN);
    if let Some(sent) = origin.filter(|origin| origin.as_bytes() != ours.as_bytes() && origin.as_bytes() != b"null") {
        let sent = sent.to_str().unwrap_or_default().to_owned();
        let remedy = Remedy::KeepOrigin { sent, ours: ours.to_owned() };
        return Err(PageError::from(Problem::FormOfAnotherOrigin).with_remedy(&remedy));
    }
    Ok(())
}
