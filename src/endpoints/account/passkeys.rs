//! `/account/passkeys`: a user adds passkeys, sees when they were used, and removes them. Web Authentication Level 3, section 7.1.
//!
//! All of it wants a fresh sign-in by every factor that the account has. With the first factor of an account recovery codes are made.

use super::factors::{Gone, Said, codes_page, learn, no_key, removed};
use super::{Done, Here, Purpose, Visit};
use crate::caller::{BrowserRequest, own_form};
use crate::endpoints::login::passkey::sent;
use crate::endpoints::path;
use crate::failure::Failure;
use crate::passkeys::{self, Addition, Bound, MOST_PASSKEYS};
use crate::protocol::claims::User;
use crate::protocol::own_page::{OwnPage, fresh_for};
use crate::protocol::secret::InteractionId;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::second_factor::enrolment::{Made, first_recovery_codes, may_seal};
use crate::store::timely;
use crate::store::user_passkeys::{self, Stored};
use crate::store::user_sessions::By;
use crate::texts::{Text, text};
use crate::web::answer::{PageError, json_body};
use crate::web::pages::Chrome;
use crate::web::pages::account::Moment;
use crate::web::pages::passkeys::{PasskeyForm, PasskeyLine, PasskeysPage};
use crate::web::user_agent::as_name;
use crate::webauthn::{self, Refused};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// Where programs that keep passwords find the page
/// ([Passkey Endpoints Well-Known URL](https://w3c.github.io/webappsec-passkey-endpoints/passkey-endpoints.html)).
pub async fn endpoints(State(provider): State<Arc<Provider>>) -> Response {
    let page = provider.url(path::ACCOUNT_PASSKEYS);
    let told = match provider.relying_party {
        Some(_) => serde_json::json!({ "enroll": page, "manage": page }),
        None => serde_json::json!({}),
    };
    json_body(StatusCode::OK, &told)
}

/// The page. It wants a fresh sign-in.
///
/// # Errors
/// A page: a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    match Visit::open(&provider, &asked, OwnPage::Passkeys, true).await? {
        Visit::Here(here) => page(&provider, &asked, &here, Said::default()).await,
        Visit::SignIn(response) => Ok(response),
    }
}

/// Adds a passkey, or removes one. It wants a fresh sign-in.
///
/// # Errors
/// A page: the form is not ours, a doubled parameter, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let removes = asked.params.get("action") == Some("remove");
    let purpose = if removes { Purpose::RemovePasskey } else { Purpose::AddPasskey };
    let here = match Visit::by_form(&provider, &asked, OwnPage::Passkeys, purpose, true).await? {
        Visit::Here(here) => here,
        Visit::SignIn(response) => return Ok(response),
    };
    if removes { remove(&provider, &asked, &here).await } else { add(&provider, &asked, &here).await }
}

/// The name of the form that adds one.
fn form_of(here: &Here) -> InteractionId {
    own_form(Purpose::AddPasskey.as_str(), here.session.sign_in.session)
}

fn bound<'a>(here: &'a Here, form: &'a InteractionId) -> Bound<'a> {
    Bound { purpose: passkeys::Purpose::Adding, browser: &here.browser, form, state: here.user.credential.clone() }
}

async fn add(provider: &Provider, asked: &BrowserRequest, here: &Here) -> Result<Response, PageError> {
    if let Err(failure) = may_add(provider, &here.user, here.now) {
        let note = no_key(&failure, &here.user.sub);
        return page(provider, asked, here, Said { error: Some(text("factors-unavailable")), note: Some(note) }).await;
    }
    let name = asked.params.get("name").unwrap_or_default();
    let network = asked.network.to_string();
    let (form, by) = (form_of(here), (By::Person(&network), here.now));
    let added = passkeys::add(provider, &here.user, sent(asked), name, &bound(here, &form), by).await?;
    if let Some(error) = not_added(added) {
        return page(provider, asked, here, Said::error(error)).await;
    }
    learn(provider, &here.user.sub, here.now).await?;
    match first_recovery_codes(provider, &here.user.sub, By::Person(&network), here.now).await? {
        Some(Made::Codes(codes)) => Ok(codes_page(provider, asked, here, &codes, text("passkeys-added-first"))),
        Some(Made::NoKey(_) | Made::NoUser) | None => here.done(provider, Done::PasskeyAdded),
    }
}

/// Whether a passkey may be added: the first factor of an account comes with recovery codes, which a key seals.
///
/// # Errors
/// No factor key seals now; what the operator can do.
pub(in crate::endpoints) fn may_add(provider: &Provider, user: &User, now: NumericDate) -> Result<(), Failure> {
    if user.has_second_factor() { Ok(()) } else { may_seal(provider, now) }
}

/// What a page says of a passkey that was not added; `None`: it was.
pub(in crate::endpoints) fn not_added(addition: Addition) -> Option<Text<'static>> {
    match addition {
        Addition::Done => None,
        Addition::TooMany => {
            let most = i64::try_from(MOST_PASSKEYS).unwrap_or(i64::MAX);
            Some(text("passkeys-too-many").counting("most", most))
        }
        Addition::Refused(Refused::Unverified) => Some(text("passkey-unverified")),
        Addition::Refused(Refused::NotKept) => Some(text("passkeys-not-kept")),
        Addition::Refused(Refused::NotGrown | Refused::Invalid) => Some(text("passkeys-invalid")),
        Addition::Outdated => Some(text("passkeys-outdated")),
    }
}

/// Removes a passkey of this user; another's is answered like one that was never there.
async fn remove(provider: &Provider, asked: &BrowserRequest, here: &Here) -> Result<Response, PageError> {
    let named = asked.params.get("passkey").filter(|named| named.len() < 100).unwrap_or_default();
    match removed(provider, asked, here, named).await? {
        Gone::Last => page(provider, asked, here, Said::error(text("factors-demanded"))).await,
        Gone::Now => here.done(provider, Done::PasskeyRemoved),
        Gone::Before => here.done(provider, Done::FactorGone),
    }
}

async fn page(provider: &Provider, asked: &BrowserRequest, here: &Here, said: Said) -> Result<Response, PageError> {
    let held = timely(user_passkeys::of_user(&provider.db, &here.user.sub)).await?;
    let has_room = held.len() < MOST_PASSKEYS;
    let form = form_of(here);
    let left = (fresh_for(&here.session, here.now), here.now);
    let form = has_room.then(|| passkeys::ask_to_add(provider, &here.user, &bound(here, &form), &held, left));
    let status = if said.error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    // What the browser made for nothing it may forget.
    let sent = asked.params.get("credential").filter(|_| said.error.is_some()).and_then(webauthn::id_in);
    let unknown = sent.filter(|id| !held.iter().any(|row| row.credential_id == *id));
    let page = Chrome::new(&provider.config, &text("passkeys-heading"));
    let shown = PasskeysPage {
        name: as_name(&asked.browser.agent, &page.texts),
        page,
        tabs: here.tabs(provider, asked),
        passkeys: held.iter().map(|row| line(provider, here, row)).collect(),
        form: form.flatten().map(|form| PasskeyForm { unknown, ..form }),
        is_full: !has_room,
        is_offered: provider.relying_party.is_some(),
        is_first_factor: !here.user.has_second_factor(),
        error: said.error,
        csrf_add: here.csrf(provider, Purpose::AddPasskey),
        csrf_remove: here.csrf(provider, Purpose::RemovePasskey),
    };
    let scripts = shown.page.scripts.clone();
    let mut response = here.render_with(provider, status, &shown, Some(&scripts));
    if let Some(note) = said.note {
        response.extensions_mut().insert(note);
    }
    Ok(response)
}

fn line(provider: &Provider, here: &Here, row: &Stored) -> PasskeyLine {
    let is_for_us = provider.relying_party.as_ref().is_some_and(|ours| ours.id() == row.rp_id);
    let note = match (is_for_us, row.credential == here.user.credential) {
        (false, _) => Some(text("passkeys-elsewhere")),
        (true, false) => Some(text("passkeys-held-back")),
        (true, true) => None,
    };
    PasskeyLine {
        passkey_id: row.passkey_id.clone(),
        name: Some(row.name.clone()).filter(|name| !name.is_empty()),
        is_synced: row.backup_eligible != 0,
        since: Moment::of(NumericDate(row.created_at)),
        used: row.used_at.map(NumericDate).map(Moment::of),
        note,
    }
}
