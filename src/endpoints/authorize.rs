//! `/authorize`: where every sign-in starts and ends. RFC 6749 section 4.1.1-2, OIDC Core 3.1.2, RFC 9207.

use crate::caller::BrowserRequest;
use crate::endpoints::flow::{self, Continued, Flow, Started};
use crate::endpoints::intake::Intake;
use crate::provider::Provider;
use crate::web::answer::PageError;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// An authorization request by GET, or the continuation of one by `?interaction=…`.
///
/// # Errors
/// A page before the recipient is proven; an answer there, with the OAuth error, from then on.
pub async fn get(State(provider): State<Arc<Provider>>, mut asked: BrowserRequest) -> Result<Response, PageError> {
    if asked.params.get("interaction").is_some() && asked.params.get("client_id").is_none() {
        let flow = Continued::of(&provider, &mut asked).await?;
        return Box::pin(flow.advance(&provider, &asked.browser)).await;
    }
    let flow = Flow::open(&provider, &mut asked).await?;
    Box::pin(flow.advance(&provider, &asked.browser)).await
}

/// An authorization request by POST. From another site it brings no cookies (`SameSite=Lax`), so nothing about
/// the session can be decided here: it is kept, and the browser sent to continue it by GET.
///
/// # Errors
/// As `get`.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let BrowserRequest { params, browser, network, now, .. } = asked;
    let Intake { recipient, params, .. } =
        Intake::read(&provider, params, now).await.map_err(|not| not.in_browser(&provider))?;
    let started = Started { recipient: &recipient, params, network, browser: browser.id.as_ref(), returns_to: None };
    let id = flow::start(&provider, started, now).await.map_err(|error| recipient.tell(&provider, error))?;
    flow::to_authorize(&provider, &id)
}
