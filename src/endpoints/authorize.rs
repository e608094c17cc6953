//! `/authorize`: where every sign-in begins and ends. RFC 6749 section 4.1.1-2, OIDC Core 3.1.2, RFC 9207.

use crate::endpoints::flow::{self, Asked, Flow, Started};
use crate::endpoints::path;
use crate::protocol::authorization::{AuthorizationRequest, ReturnAddress};
use crate::protocol::error::{ErrorCode, Refusal};
use crate::provider::Provider;
use crate::web::answer::{PageError, see_other};
use crate::web::cookies::Browser;
use crate::web::network::Network;
use crate::web::request;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::Response;
use std::sync::Arc;

/// An authorization request by GET, or the continuation of one by `?interaction=…`.
///
/// # Errors
/// A page before client and address are proven; a redirect with the OAuth error from then on.
pub async fn get(State(provider): State<Arc<Provider>>, request: Request) -> Result<Response, PageError> {
    let now = provider.now();
    let mut browser = Browser::of(request.headers(), &provider.config);
    let network = Network::of(&request, &provider.config);
    if request.method() == Method::HEAD {
        // A link preview must not spend anything.
        let refusal = Refusal::new(ErrorCode::InvalidRequest, "authorization requests are made by GET or POST");
        return Err(PageError::bad_request(refusal));
    }
    let params = request::query(&request).map_err(PageError::bad_request)?;
    let flow = if params.get("interaction").is_some() && params.get("client_id").is_none() {
        Flow::continue_in(&provider, &mut browser, params.get("interaction"), network, now).await?
    } else {
        let session = flow::session_of(&provider, &browser).await;
        Flow::open(&provider, Asked { params, interaction: None, session, network }, now).await?
    };
    Box::pin(flow.advance(&provider, &browser)).await
}

/// An authorization request by POST. From another site it brings no cookies (`SameSite=Lax`), so nothing about
/// the session can be decided here: it is kept, and the browser sent to continue it by GET.
///
/// # Errors
/// As `get`.
pub async fn post(State(provider): State<Arc<Provider>>, request: Request) -> Result<Response, PageError> {
    let now = provider.now();
    let browser = Browser::of(request.headers(), &provider.config);
    let network = Network::of(&request, &provider.config);
    let params = request::form(request).await.map_err(PageError::bad_request)?;
    let client = flow::client_of(&provider, &params, now).await?;
    let address = ReturnAddress::of(&client, &params).map_err(PageError::bad_request)?;
    if let Err(refusal) = AuthorizationRequest::parse(&client, &params) {
        return Err(flow::redirect(&provider, &client, &address, refusal));
    }
    let request = Started { params, client: &client, address: &address, network };
    let id = flow::start(&provider, request, browser.id.as_ref(), now).await;
    let id = id.map_err(|error| error.or_at(|refusal| flow::redirect(&provider, &client, &address, refusal)))?;
    Ok(see_other(&format!("{}?interaction={}", provider.url(path::AUTHORIZE), id.expose()))?)
}
