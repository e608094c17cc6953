//! `/passkey`: a user who has just signed in by the password is offered a passkey, once. Web Authentication Level 3, section 7.1.
//!
//! Whatever they answer, the sign-in continues, and they are not asked again; `/account/passkeys` stays.

use crate::caller::{BrowserRequest, check_form};
use crate::endpoints::account::factors::learn;
use crate::endpoints::account::passkeys::{may_add, not_added};
use crate::endpoints::flow::Continued;
use crate::endpoints::login::passkey::{bound_to, sent};
use crate::passkeys::{self, Bound, Purpose};
use crate::protocol::authorization::Step;
use crate::protocol::claims::User;
use crate::protocol::own_page::{fresh_for, is_fresh};
use crate::protocol::secret::BrowserId;
use crate::provider::Provider;
use crate::second_factor::enrolment::{Made, first_recovery_codes};
use crate::store::timely;
use crate::store::user_passkeys;
use crate::store::user_sessions::By;
use crate::texts::{Text, text};
use crate::web::answer::PageError;
use crate::web::pages::passkeys::{PasskeyCodesPage, PasskeyForm, PasskeyOfferPage};
use crate::web::pages::{self, Chrome};
use crate::web::user_agent::as_name;
use crate::webauthn;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use std::sync::Arc;

/// The offer.
///
/// # Errors
/// A page: the interaction is unknown, expired, or of another browser.
pub async fn get(State(provider): State<Arc<Provider>>, mut asked: BrowserRequest) -> Result<Response, PageError> {
    let flow = Continued::of(&provider, &mut asked).await?;
    match whom(&provider, &asked, &flow) {
        Some((browser, user)) => page(&provider, &asked, &flow, (browser, user), None).await,
        None => flow.redirect_to_authorize(&provider),
    }
}

/// What the user decided.
///
/// # Errors
/// A page: the form is not ours, or the interaction has ended.
pub async fn post(State(provider): State<Arc<Provider>>, mut asked: BrowserRequest) -> Result<Response, PageError> {
    let flow = Continued::of(&provider, &mut asked).await?;
    check_form(&provider, &asked, &flow.id)?;
    let Some((browser, user)) = whom(&provider, &asked, &flow) else {
        return flow.redirect_to_authorize(&provider);
    };
    if asked.params.get("action") == Some("add") {
        return add(&provider, &asked, &flow, (browser, user)).await;
    }
    timely(user_passkeys::offered(&provider.db, &user.sub, asked.now)).await?;
    learn(&provider, &user.sub, asked.now).await?;
    answered(&provider, &flow).await
}

/// Who is offered one, in which browser.
fn whom<'a>(
    provider: &Provider,
    asked: &'a BrowserRequest,
    flow: &'a Continued,
) -> Option<(&'a BrowserId, &'a Arc<User>)> {
    let (_, user) = flow.signed_in.as_ref().filter(|_| matches!(flow.step(provider), Step::PasskeyOffer))?;
    Some((asked.browser.id.as_ref()?, user))
}

async fn add(
    provider: &Provider,
    asked: &BrowserRequest,
    flow: &Continued,
    whom: (&BrowserId, &Arc<User>),
) -> Result<Response, PageError> {
    let (browser, user) = whom;
    let is_fresh = flow.signed_in.as_ref().is_some_and(|(session, user)| is_fresh(session, user, asked.now));
    if !is_fresh || may_add(provider, user, asked.now).is_err() {
        return page(provider, asked, flow, whom, Some(text("passkey-offer-late"))).await;
    }
    let network = asked.network.to_string();
    let name = asked.params.get("name").unwrap_or_default();
    let (bound, by) = (bound(browser, flow, user), (By::Person(&network), asked.now));
    let added = passkeys::add(provider, user, sent(asked), name, &bound, by).await?;
    if let Some(error) = not_added(added) {
        return page(provider, asked, flow, whom, Some(error)).await;
    }
    learn(provider, &user.sub, asked.now).await?;
    let made = first_recovery_codes(provider, &user.sub, By::Person(&network), asked.now).await?;
    // What can be lost comes first: the codes are shown whatever comes of the interaction.
    let next = match (answered(provider, flow).await, &made) {
        (Err(_), Some(_)) => flow.redirect_to_authorize(provider)?,
        (next, _) => next?,
    };
    let Some(Made::Codes(codes)) = made else { return Ok(next) };
    let location = next.headers().get(header::LOCATION).and_then(|address| address.to_str().ok());
    let page = PasskeyCodesPage {
        page: Chrome::new(&provider.config, &text("codes-heading")),
        codes: codes.iter().map(|code| code.expose().to_owned()).collect(),
        next: location.unwrap_or_default().to_owned(),
    };
    Ok(pages::render(StatusCode::OK, &page, None))
}

/// Continues the sign-in, in which the offer is over.
async fn answered(provider: &Provider, flow: &Continued) -> Result<Response, PageError> {
    flow.note(provider, |interaction| interaction.offers_passkey = false).await?;
    flow.redirect_to_authorize(provider)
}

/// What the token of the form is bound to beside the interaction: whose it is, and their password.
fn bound<'a>(browser: &'a BrowserId, flow: &'a Continued, user: &User) -> Bound<'a> {
    bound_to(browser, flow, Purpose::Adding, &format!("{} {}", user.credential, user.sub))
}

async fn page(
    provider: &Provider,
    asked: &BrowserRequest,
    flow: &Continued,
    (browser, user): (&BrowserId, &Arc<User>),
    error: Option<Text<'static>>,
) -> Result<Response, PageError> {
    let held = timely(user_passkeys::of_user(&provider.db, &user.sub)).await?;
    let left = flow.signed_in.as_ref().map_or(0, |(session, _)| fresh_for(session, asked.now));
    let mut form = None;
    if left > 0 && may_add(provider, user, asked.now).is_ok() {
        form = passkeys::ask_to_add(provider, user, &bound(browser, flow, user), &held, (left, asked.now));
    }
    if form.is_none() && error.is_none() {
        // There is nothing to offer, and nothing was answered.
        return answered(provider, flow).await;
    }
    let unknown = asked.params.get("credential").and_then(webauthn::id_in);
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = Chrome::new(&provider.config, &text("passkey-offer-heading"));
    let shown = PasskeyOfferPage {
        name: as_name(&asked.browser.agent, &page.texts),
        page,
        user_name: user.display_name().to_owned(),
        account: user.account().map(str::to_owned),
        client_id: flow.client().client_id.clone(),
        interaction: flow.id.expose().to_owned(),
        csrf: provider.secrets.form_token(browser, &flow.id),
        form: form.map(|form| PasskeyForm { unknown, ..form }),
        is_first_factor: !user.has_second_factor(),
        error,
    };
    Ok(pages::render(status, &shown, Some(&shown.page.scripts)))
}
