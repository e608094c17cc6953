//! `/account/sessions`: where the user is signed in, and ending it there, or everywhere else; everywhere is the form of `/logout`.
//! And whether this browser is trusted, and ending that in all.

use super::factors::learn;
use super::{Done, Purpose, Visit};
use crate::caller::BrowserRequest;
use crate::endpoints::login::trust;
use crate::endpoints::logout;
use crate::protocol::own_page::OwnPage;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::timely;
use crate::store::user_sessions::{self, By, Which};
use crate::texts::text;
use crate::web::answer::PageError;
use crate::web::pages::Chrome;
use crate::web::pages::account::{Moment, SessionLine, SessionsPage, TrustLine};
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
    // Without a second factor nothing is spared.
    let can_trust = provider.config.trusted_browser > 0 && here.user.has_second_factor();
    let trust = can_trust.then(|| TrustLine {
        until: trust::lasts_until(&provider, &asked, &here.user).map(Moment::of),
        csrf: here.csrf(&provider, Purpose::Untrust),
    });
    let page = SessionsPage {
        page: Chrome::new(&provider.config, &text("sessions-heading")),
        tabs: here.tabs(&provider, &asked),
        sessions,
        more: more.try_into().unwrap_or(i64::MAX),
        csrf: here.csrf(&provider, Purpose::EndSession),
        csrf_others: here.csrf(&provider, Purpose::EndOthers),
        request,
        csrf_everywhere,
        trust,
    };
    Ok(here.render(&provider, StatusCode::OK, &page))
}

/// What a form of the page does.
#[derive(Clone, Copy)]
enum Action {
    EndOne,
    EndOthers,
    Untrust,
}

impl Action {
    fn of(asked: &BrowserRequest) -> Self {
        match asked.params.get("action") {
            Some("end_others") => Self::EndOthers,
            Some("untrust") => Self::Untrust,
            _ => Self::EndOne,
        }
    }

    const fn purpose(self) -> Purpose {
        match self {
            Self::EndOne => Purpose::EndSession,
            Self::EndOthers => Purpose::EndOthers,
            Self::Untrust => Purpose::Untrust,
        }
    }
}

/// Ends a sign-in of this user, or all but this one, of which services are told; or the trust in all browsers. Every node sees it
/// within ten seconds.
///
/// # Errors
/// A page: the form is not ours, a doubled parameter, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let action = Action::of(&asked);
    let here = match Visit::by_form(&provider, &asked, OwnPage::Sessions, action.purpose(), false).await? {
        Visit::Here(here) => here,
        Visit::SignIn(response) => return Ok(response),
    };
    let network = asked.network.to_string();
    let this = user_sessions::name_of(here.session.sign_in.session);
    // This one ends by `/logout`, which tells the services and the user at once.
    let named = asked.params.get("session").filter(|session| *session != this && session.len() < 100);
    let which = match action {
        Action::EndOne => Which::One(named.unwrap_or_default()),
        Action::EndOthers => Which::Others(&this),
        Action::Untrust => {
            timely(user_sessions::untrust(&provider.db, &here.user.sub, &network, here.now)).await?;
            learn(&provider, &here.user.sub, here.now).await?;
            return here.done(&provider, Done::Untrusted);
        }
    };
    let (by, idle_lifetime) = (By::Person(&network), provider.config.session_idle_lifetime);
    let ended = timely(user_sessions::end(&provider.db, &here.user.sub, which, by, idle_lifetime, here.now)).await?;
    let done = match (which, ended) {
        (Which::Others(_) | Which::All, _) => Done::OthersEnded,
        // Another user's is answered like one that was never there.
        (Which::One(_), 0) => Done::SessionOver,
        (Which::One(_), _) => Done::SessionEnded,
    };
    here.done(&provider, done)
}
