//! The start of a session: what a sign-in comes to once everything that it needs is proven.

use super::password::known_tag;
use super::trust;
use crate::allowance::{self, Kept, Owner};
use crate::ambient::random;
use crate::caller::BrowserRequest;
use crate::config::Remember;
use crate::endpoints::flow::{Continued, Flow};
use crate::logout::{self, Cause};
use crate::protocol::authorization::SignedIn;
use crate::protocol::claims::User;
use crate::protocol::factor::Factor;
use crate::protocol::grant::{Session, SignIn};
use crate::protocol::secret::{Digest, Handle, SessionId};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::stored::Stored;
use crate::store::{StoreError, sessions, timely, user_sessions};
use crate::throttle::{Attempt, FactorAttempt, Stopped};
use crate::web::answer::PageError;
use crate::web::cookies;
use crate::web::problems::Problem;
use axum::http::header;
use axum::response::Response;
use std::sync::Arc;

/// What is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::endpoints) enum Start {
    /// A session, or the same anew.
    SignIn,
    /// A running session continues with a further factor: no younger, no longer, and no sign-in of this interaction.
    StepUp,
}

/// A person who has proven all that is asked of them.
pub(in crate::endpoints) struct Proven {
    /// Who.
    pub user: User,
    /// By what.
    pub factors: Vec<Factor>,
    /// When the oldest of it was proven.
    pub since: NumericDate,
    /// The attempt with the password, which is taken back.
    pub attempt: Option<Attempt>,
    /// The attempt with a code or a passkey, which is taken back.
    pub further: Option<FactorAttempt>,
    /// What the interaction keeps of it.
    pub noted: Noted,
    /// Whether the browser keeps the session when it is closed.
    pub is_remembered: bool,
    /// What it comes to.
    pub start: Start,
    /// Whether the user wants no code to be asked for in this browser from now on.
    pub trusts: bool,
    /// The session that was there before has been ended in another tab: its name cannot be used again.
    pub session_has_ended: bool,
}

/// What an interaction keeps of a sign-in in it, beside whose it is.
#[derive(Default)]
pub(in crate::endpoints) struct Noted {
    /// What a passkey was proven by.
    pub ceremony: Option<Digest>,
    /// Whether the user may be offered a passkey now: the browser can make one.
    pub offers_passkey: bool,
}

/// Starts a session under a new id and continues. A user who was signed in already keeps the session's
/// name, so that its clients still know it.
pub(in crate::endpoints) async fn start_session(
    provider: &Arc<Provider>,
    asked: &BrowserRequest,
    flow: &Continued,
    proven: Proven,
) -> Result<Response, PageError> {
    let (browser, now) = (&asked.browser, asked.now);
    let Proven { user, factors, since, attempt, further, noted: kept, is_remembered, start, trusts, session_has_ended } =
        proven;
    let Noted { ceremony, offers_passkey } = kept;
    let before = Before::of(flow, &user, session_has_ended);
    if let (Before::Ends(session, cause), Some(id)) = (&before, &browser.session)
        && let Some(ended) = logout::end_session(provider, &id.digest(), session, *cause, now).await?
    {
        ended.told(provider).await;
    }
    let same_person = match before {
        Before::Continues(session) => Some(session),
        Before::Ends(..) | Before::Nothing => None,
    };
    let handle = same_person.map_or_else(|| Handle::to_be_typed(random()), |session| session.sign_in.session);
    let session = Session {
        sign_in: SignIn::of(&user, &factors, handle, since),
        clients: same_person.map(|session| session.clients.clone()).unwrap_or_default(),
        seen_at: now,
        expires_at: match same_person {
            Some(before) if start == Start::StepUp => before.expires_at,
            _ => now.plus(provider.config.session_lifetime),
        },
        is_remembered,
    };
    let session_id = SessionId::from_random(&random::<32>());
    let name = browser.kept.as_ref().or(browser.id.as_ref());
    let known = name.map(|id| known_tag(provider, id, &user)).unwrap_or_default();
    let trusted = name
        .filter(|_| trusts)
        .map(|id| (trust::of_others(provider, &browser.trusted, id, &user), trust::item(provider, id, &user, now)));
    provider.directory.know_user(user, now);
    let lifetime = provider.config.session_lifetime;
    let mut kept = vec![Kept::session(&session, lifetime)];
    kept.extend(same_person.map(|before| Kept::session(before, lifetime).given_back()));
    let here = SignedIn { sub: session.sign_in.sub.clone(), session: handle };
    let owner = Owner::Person(&session.sign_in.sub);
    // All to their end, also where one fails: what came of each decides what is taken back.
    let (started, noted, succeeded, counted, forgotten) = tokio::join!(
        sessions::start(&provider.ephemeral, &session_id, &session, now),
        flow.note(provider, |interaction| {
            interaction.proven = None;
            interaction.proved_at = Some(now);
            interaction.offers_passkey |= offers_passkey;
            // What was answered before is void with it.
            interaction.ceremony = ceremony.or_else(|| interaction.ceremony.take());
            if start == Start::SignIn {
                interaction.signed_in = Some(here);
            }
        }),
        taken_back(provider, attempt, further),
        allowance::keep(provider, owner, &kept),
        async {
            match &browser.session {
                Some(old) => sessions::forget(&provider.ephemeral, old).await,
                None => Ok(()),
            }
        },
    );
    let is_counted = counted.is_ok();
    let is_answered = matches!(noted, Err(PageError::Page { .. }));
    let refused = match (noted, started.and(succeeded).and(forgotten), counted) {
        // The row last: an operator who lists sign-ins finds none that came to nothing.
        (Ok(()), Ok(()), Ok(())) => write_row(provider, asked, &session_id, &session).await.err(),
        (Err(error), ..) => Some(error),
        (_, Err(error), _) | (.., Err(Stopped::Fault(error))) => Some(error.into()),
        (.., Err(Stopped::Later(_))) => Some(Problem::Busy.into()),
    };
    if let Some(error) = refused {
        // Nothing came of it: the session from before is what it was, should it be gone already. What was ended meanwhile stays
        // ended, and what another tab has completed continues there.
        let _ = sessions::forget(&provider.ephemeral, &session_id).await;
        if is_counted {
            allowance::give_back(provider, owner, kept).await;
        }
        let has_ended = sessions::has_ended(&provider.ephemeral, session.sign_in.session).await.unwrap_or(true);
        if let (Some(id), Some(before), false) = (&browser.session, same_person, is_answered || has_ended) {
            let _ = sessions::restore(&provider.ephemeral, id, before, now).await;
        }
        return Err(error);
    }
    let mut response = flow.redirect_to_authorize(provider)?;
    let left = is_remembered.then(|| session.expires_at.since(now));
    response.headers_mut().append(header::SET_COOKIE, cookies::set_session(&provider.config, &session_id, left));
    if let Some(name) = name {
        // It stays, so that others' failures do not slow this user down here.
        response.headers_mut().append(header::SET_COOKIE, cookies::keep_browser(&provider.config, name));
        for forgotten in browser.forget_started(&provider.config, name) {
            response.headers_mut().append(header::SET_COOKIE, forgotten);
        }
        let known = cookies::set_known(&provider.config, &browser.known, &known);
        response.headers_mut().append(header::SET_COOKIE, known);
        if let Some((others, item)) = trusted {
            let trusted = cookies::set_trusted(&provider.config, &others, &item);
            response.headers_mut().append(header::SET_COOKIE, trusted);
        }
    }
    Ok(response)
}

/// Takes back what was counted: it was no failure.
async fn taken_back(
    provider: &Provider,
    attempt: Option<Attempt>,
    further: Option<FactorAttempt>,
) -> Result<(), StoreError> {
    let attempt = async {
        match attempt {
            Some(attempt) => attempt.succeeded(&provider.ephemeral).await,
            None => Ok(()),
        }
    };
    let further = async {
        match further {
            Some(further) => further.succeeded(&provider.ephemeral).await,
            None => Ok(()),
        }
    };
    let (attempt, further) = tokio::join!(attempt, further);
    attempt.and(further)
}

/// Whether the browser is to keep a sign-in when it is closed, by the form with the password.
pub(super) fn is_remembered(provider: &Provider, asked: &BrowserRequest) -> bool {
    match provider.config.remember {
        Remember::Never => false,
        Remember::Always => true,
        Remember::Ask => asked.params.get(REMEMBER).is_some(),
    }
}

/// The checkbox of a user who wants to stay signed in when the browser is closed.
pub(super) const REMEMBER: &str = "remember";

/// What happens to the session that this browser had.
enum Before<'a> {
    /// It is the same person's, whose sign-in keeps its name.
    Continues(&'a Stored<Session>),
    /// It ends, for every service that holds it.
    Ends(&'a Stored<Session>, Cause),
    /// There is none.
    Nothing,
}

impl<'a> Before<'a> {
    fn of(flow: &'a Flow, user: &User, has_ended: bool) -> Self {
        match (&flow.signed_in, &flow.ended) {
            (Some((session, _)), _) if session.sign_in.sub != user.sub => Self::Ends(session, Cause::AnotherPerson),
            // Where that end did not come to its end, its services have not been told.
            (Some((session, _)), _) if has_ended => Self::Ends(session, Cause::Before),
            (Some((session, _)), _) => Self::Continues(session),
            (None, Some(session)) => Self::Ends(session, Cause::Row),
            (None, None) => Self::Nothing,
        }
    }
}

/// Writes the row by which the sign-in is listed and ended.
async fn write_row(
    provider: &Provider,
    asked: &BrowserRequest,
    id: &SessionId,
    session: &Session,
) -> Result<(), PageError> {
    let network = asked.network.to_string();
    let start = user_sessions::Start {
        session: session.sign_in.session,
        sub: &session.sign_in.sub,
        record: &id.digest(),
        browser: &asked.browser.agent,
        network: &network,
        auth_time: session.sign_in.auth_time,
        now: asked.now,
        expires_at: session.expires_at,
    };
    if timely(user_sessions::start(&provider.db, &start)).await? {
        return Ok(());
    }
    // Ended elsewhere this very moment; the next try starts anew.
    Err(Problem::Busy.into())
}
