//! `/account/sessions`: where the user is signed in, and ending it there, or everywhere else. Everywhere is the form of `/logout`.

use super::{Done, Purpose, Visit};
use crate::caller::BrowserRequest;
use crate::endpoints::logout;
use crate::protocol::own_page::OwnPage;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::timely;
use crate::store::user_sessions::{self, By, Which};
use crate::texts::text;
use crate::web::answer::PageError;
use crate::web::pages::Chrome;
use crate::web::pages::account::{Moment, SessionLine, SessionsPage};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// How many are shown.
const SHOWN: usize = 50;

/// The page.
///
/// # Errors
/// A page: a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let here = match Visit::open(&provider, &asked, OwnPage::Sessions, false).await? {
        Visit::Here(here) => here,
        Visit::SignIn(response) => return Ok(response),
    };
    let idle_lifetime = provider.config.session_idle_lifetime;
    let found = timely(user_sessions::list(&provider.db, &here.user.sub, idle_lifetime, here.now)).await?;
    let this = user_sessions::name_of(here.session.sign_in.session);
    let mut sessions: Vec<SessionLine> = found
        .into_iter()
        .map(|row| (row.session == this, row))
        .map(|(is_here, row)| SessionLine {
            is_here,
            session: row.session,
            browser: row.browser,
            network: row.network,
            since: Moment::of(NumericDate(row.started_at)),
            // Of the others it is known to within an hour.
            last_used: Moment::of(if is_here { here.now } else { NumericDate(row.seen_at) }),
        })
        .collect();
    sessions.sort_by_key(|session| !session.is_here);
    let more = sessions.len().saturating_sub(SHOWN);
    sessions.truncate(SHOWN);
    let (request, csrf_everywhere) = logout::own_form(&provider, &here.browser);
    let page = SessionsPage {
        page: Chrome::new(&provider.config, &text("sessions-heading")),
        tabs: here.tabs(&provider, &asked),
        sessions,
        more: more.try_into().unwrap_or(i64::MAX),
        csrf: here.csrf(&provider, Purpose::EndSession),
        csrf_others: here.csrf(&provider, Purpose::EndOthers),
        request,
        csrf_everywhere,
    };
    Ok(here.render(&provider, StatusCode::OK, &page))
}

/// Ends a sign-in of this user, or all but this one. Every node sees it within ten seconds, and services are told.
///
/// # Errors
/// A page: the form is not ours, a doubled parameter, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let ends_others = asked.params.get("action") == Some("end_others");
    let purpose = if ends_others { Purpose::EndOthers } else { Purpose::EndSession };
    let here = match Visit::by_form(&provider, &asked, OwnPage::Sessions, purpose, false).await? {
        Visit::Here(here) => here,
        Visit::SignIn(response) => return Ok(response),
    };
    let this = user_sessions::name_of(here.session.sign_in.session);
    // This one ends by `/logout`, which tells the services and the user at once.
    let named = asked.params.get("session").filter(|session| *session != this && session.len() < 100);
    let which = if ends_others { Which::Others(&this) } else { Which::One(named.unwrap_or_default()) };
    let network = asked.network.to_string();
    let (by, idle_lifetime) = (By::Person(&network), provider.config.session_idle_lifetime);
    let ended = timely(user_sessions::end(&provider.db, &here.user.sub, which, by, idle_lifetime, here.now)).await?;
    let done = match (ends_others, ended) {
        (true, _) => Done::OthersEnded,
        // Another user's is answered like one that was never there.
        (false, 0) => Done::SessionOver,
        (false, _) => Done::SessionEnded,
    };
    here.done(&provider, done)
}
