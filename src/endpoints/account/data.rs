//! `/account/data`: the user's data as a file, and the request to delete the account, which an operator carries out.

use super::{Done, Purpose, Visit};
use crate::caller::BrowserRequest;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::own_page::OwnPage;
use crate::provider::Provider;
use crate::store::StoreError;
use crate::store::timely;
use crate::store::users::deletion;
use crate::store::users::export::{self, Asked};
use crate::texts::text;
use crate::web::answer::PageError;
use crate::web::headers;
use crate::web::pages::Chrome;
use crate::web::pages::account::{DataPage, Moment};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;

/// How many events of the audit the file has at most, the newest; `hallpass user export` has all.
const MOST_EVENTS: i64 = 10_000;
/// The version of the document, as the command has it.
const VERSION: u32 = 1;

/// The page.
///
/// # Errors
/// A page: a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let here = match Visit::open(&provider, &asked, OwnPage::Data, false).await? {
        Visit::Here(here) => here,
        Visit::SignIn(response) => return Ok(response),
    };
    let requested = timely(deletion::requested_at(&provider.db, &here.user.sub)).await?;
    let page = DataPage {
        page: Chrome::new(&provider.config, &text("data-heading")),
        tabs: here.tabs(&provider, &asked),
        csrf_file: here.csrf(&provider, Purpose::GetFile),
        csrf_deletion: here.csrf(&provider, Purpose::Deletion),
        requested: requested.map(Moment::of),
    };
    Ok(here.render(&provider, StatusCode::OK, &page))
}

/// Notes that the user asks for the deletion, or takes that back. It wants a fresh sign-in.
///
/// # Errors
/// A page: the form is not ours, a doubled parameter, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let here = match Visit::by_form(&provider, &asked, OwnPage::Data, Purpose::Deletion, true).await? {
        Visit::Here(here) => here,
        Visit::SignIn(response) => return Ok(response),
    };
    let (is_asked_for, done) = match asked.params.get("action") {
        Some("withdraw") => (false, Done::DeletionWithdrawn),
        _ => (true, Done::DeletionNoted),
    };
    let network = asked.network.to_string();
    timely(deletion::request(&provider.db, &here.user.sub, is_asked_for, &network, here.now)).await?;
    here.done(&provider, done)
}

/// The file: what is kept of this user. It wants a fresh sign-in.
///
/// # Errors
/// A page: the form is not ours, a doubled parameter, or a store failed.
pub async fn file(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let here = match Visit::by_form(&provider, &asked, OwnPage::Data, Purpose::GetFile, true).await? {
        Visit::Here(here) => here,
        Visit::SignIn(response) => return Ok(response),
    };
    let wanted = Asked {
        sub: &here.user.sub,
        family_idle_lifetime: provider.config.refresh_token_idle_lifetime,
        most_events: MOST_EVENTS,
        now: here.now,
    };
    let mut document = timely(export::document_of(&provider.db, wanted)).await?;
    document["version"] = VERSION.into();
    let body = serde_json::to_string_pretty(&document).map_err(StoreError::from)?;
    provider.audit.record(Event::new(EventKind::UserExported, here.now).of(&here.user.sub).from(&asked.network));
    let head = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"account.json\"")),
    ];
    let mut response = (StatusCode::OK, head, body).into_response();
    headers::page(response.headers_mut(), None);
    Ok(response)
}
