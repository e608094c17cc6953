//! `/account/email`: the user asks for another address, or for the verification of the one there is. It becomes theirs when the link that
//! is mailed there is used (`endpoints::email_link`); an address that another user has is answered alike.

use super::{Done, Here, Purpose, Visit};
use crate::caller::BrowserRequest;
use crate::mailing;
use crate::protocol::own_page::OwnPage;
use crate::protocol::text::{fold_email, is_typed_mailbox};
use crate::provider::Provider;
use crate::texts::text;
use crate::throttle::{self, Stopped};
use crate::web::answer::PageError;
use crate::web::pages::account::EmailPage;
use crate::web::pages::{Chrome, Wait};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use std::sync::Arc;

/// The page. It wants a fresh sign-in.
///
/// # Errors
/// A page: a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    match Visit::open(&provider, &asked, OwnPage::Email, true).await? {
        Visit::Here(here) => Ok(page(&provider, &asked, &here, None, None)),
        Visit::SignIn(response) => Ok(response),
    }
}

/// Queues the mail with the link. It wants a fresh sign-in.
///
/// # Errors
/// A page: the form is not ours, a doubled parameter, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let here = match Visit::by_form(&provider, &asked, OwnPage::Email, Purpose::AskForAddress, true).await? {
        Visit::Here(here) => here,
        Visit::SignIn(response) => return Ok(response),
    };
    if provider.outgoing.mailer.is_none() {
        return Ok(page(&provider, &asked, &here, None, None));
    }
    let typed = asked.params.get("email").unwrap_or_default().trim();
    if !is_typed_mailbox(typed) {
        return Ok(page(&provider, &asked, &here, Some(typed), None));
    }
    let account = provider.secrets.account(Some(&here.user.sub), "");
    match throttle::mail_by(&provider.throttle, &provider.ephemeral, &account).await {
        Ok(()) => {}
        Err(Stopped::Later(later)) => return Ok(page(&provider, &asked, &here, Some(typed), Some(later.seconds))),
        Err(Stopped::Fault(error)) => return Err(error.into()),
    }
    // Answered alike: others may have typed it. Whose address it is already is not kept from it by them.
    let own = here.user.email().map(fold_email);
    let address = fold_email(typed);
    let is_over = own.as_ref() != Some(&address) && !throttle::mail_to(&provider.ephemeral, &address).await?;
    mailing::address_was_typed(&provider, &here.user, typed, &asked.circumstances(), is_over).await?;
    here.done(&provider, Done::LinkMailed)
}

/// `typed` is what cannot be taken, or with `seconds` what would be in so many of them.
fn page(
    provider: &Provider,
    asked: &BrowserRequest,
    here: &Here,
    typed: Option<&str>,
    seconds: Option<i64>,
) -> Response {
    let (email, is_verified) = (here.user.email(), here.user.email_is_verified());
    let status = match (typed, seconds) {
        (_, Some(_)) => StatusCode::TOO_MANY_REQUESTS,
        (Some(_), None) => StatusCode::UNPROCESSABLE_ENTITY,
        (None, None) => StatusCode::OK,
    };
    let page = EmailPage {
        page: Chrome::new(&provider.config, &text("email-heading")),
        tabs: here.tabs(provider, asked),
        email: email.map(str::to_owned),
        is_verified,
        // Who has a verified address types another one.
        typed: typed.or_else(|| email.filter(|_| !is_verified)).unwrap_or_default().to_owned(),
        has_mail: provider.outgoing.mailer.is_some(),
        error: (typed.is_some() && seconds.is_none()).then(|| text("email-odd")),
        wait: seconds.map(|seconds| Wait::until(here.now, seconds)),
        csrf: here.csrf(provider, Purpose::AskForAddress),
    };
    let mut response = here.render(provider, status, &page);
    if let Some(seconds) = seconds {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
