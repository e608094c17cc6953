//! `/`: our own start page. It says who is signed in, with the services that the user can open and the ways to sign out;
//! signed out, it offers to sign in. No service is needed for either.

use crate::ambient::random;
use crate::caller::{BrowserRequest, session_of, user_of};
use crate::endpoints::{flow, logout as logout_page};
use crate::logout;
use crate::protocol::client::web_address;
use crate::protocol::secret::BrowserId;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::{clients, timely};
use crate::texts::text;
use crate::web::answer::PageError;
use crate::web::cookies;
use crate::web::pages::{self, Chrome, HomePage, Service, SignedInHere};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use std::sync::Arc;

/// The start page.
///
/// # Errors
/// A page: a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let BrowserRequest { params, browser, now, .. } = asked;
    params.refuse_duplicates().map_err(PageError::bad_request)?;
    let session = session_of(&provider, &browser).await?;
    let Some(user) = user_of(&provider, session.as_deref(), now).await? else {
        let page = HomePage { page: Chrome::new(&provider.config, &text("home-signed-out")), signed_in: None };
        let mut response = pages::render(StatusCode::OK, &page, None);
        if let Some(id) = &browser.session {
            if let Some(session) = &session {
                logout::clear(&provider, &id.digest(), session, now).await?;
            }
            response.headers_mut().append(header::SET_COOKIE, cookies::end_session(&provider.config));
        }
        return Ok(response);
    };
    let (browser_id, is_new) = match &browser.id {
        Some(id) => (id.clone(), false),
        None => (BrowserId::from_random(&random::<32>()), true),
    };
    let (request, csrf) = logout_page::own_form(&provider, &browser_id);
    let page = HomePage {
        page: Chrome::new(&provider.config, &text("home-signed-in")),
        signed_in: Some(SignedInHere {
            user_name: user.display_name().to_owned(),
            account: user.account().map(str::to_owned),
            services: services(&provider, &user.sub, now).await?,
            request,
            csrf,
        }),
    };
    let mut response = pages::render(StatusCode::OK, &page, None);
    if is_new {
        response.headers_mut().append(header::SET_COOKIE, cookies::set_browser(&provider.config, &browser_id));
    }
    Ok(response)
}

/// The services that a user can open, as people sort names.
async fn services(provider: &Provider, sub: &str, now: NumericDate) -> Result<Vec<Service>, PageError> {
    let opened = timely(clients::opened(&provider.db, sub, now)).await?;
    let mut services: Vec<Service> = opened
        .into_iter()
        .filter(|row| web_address(&row.client_uri).is_some())
        .map(|row| Service {
            name: if row.client_name.is_empty() { row.client_id } else { row.client_name },
            url: Some(row.client_uri),
        })
        .collect();
    services.sort_by_cached_key(|service| service.name.to_lowercase());
    Ok(services)
}

/// A sign-in that no service asked for. As at `/authorize`, any site may start one: nothing comes of it without a password.
///
/// # Errors
/// A page: a doubled parameter, or the store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let BrowserRequest { params, browser, network, now, .. } = asked;
    params.refuse_duplicates().map_err(PageError::bad_request)?;
    flow::start_at_home(&provider, &browser, network, None, now).await
}
