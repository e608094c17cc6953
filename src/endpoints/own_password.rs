//! A user who is known already types their password: by the same gate, throttle and floor as at the login page, and told to audit
//! and log alike.

use crate::caller::BrowserRequest;
use crate::endpoints::login::password::{self, Proof};
use crate::endpoints::new_password::signs_in_as;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::claims::User;
use crate::protocol::factor::SignInFailure;
use crate::protocol::secret::Password;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::texts::{Text, text};
use crate::throttle::{Attempt, Later};
use crate::web::answer::{Note, PageError};
use crate::web::pages::Wait;
use axum::http::{StatusCode, header};
use axum::response::Response;

/// What a page says beside the form that asks for it.
#[derive(Default)]
pub struct Said {
    /// What is wrong with what was sent.
    pub error: Option<Text<'static>>,
    /// When to come again, where it was not even looked at.
    pub later: Option<Later>,
    /// What the log says.
    pub note: Option<Note>,
}

impl Said {
    /// Something is wrong.
    #[must_use]
    pub fn error(error: Text<'static>) -> Self {
        Self { error: Some(error), ..Self::default() }
    }

    /// The status of the page.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match (&self.error, self.later) {
            (_, Some(_)) => StatusCode::TOO_MANY_REQUESTS,
            (Some(_), None) => StatusCode::UNPROCESSABLE_ENTITY,
            (None, None) => StatusCode::OK,
        }
    }

    /// The instant to come again, as the page shows it.
    #[must_use]
    pub fn wait(&self, now: NumericDate) -> Option<Wait> {
        self.later.map(|later| Wait::until(now, later.seconds))
    }
}

/// The rendered page, with what programs and the log are told.
#[must_use]
pub fn finished(mut response: Response, later: Option<Later>, note: Option<Note>) -> Response {
    if let Some(later) = later {
        response.headers_mut().insert(header::RETRY_AFTER, later.seconds.into());
    }
    if let Some(note) = note {
        response.extensions_mut().insert(note);
    }
    response
}

/// Asks a user for the password; gives the user as the row is now.
///
/// # Errors
/// A page: no cookie, too much to do, or a store failed.
pub async fn ask(
    provider: &Provider,
    asked: &BrowserRequest,
    user: &User,
    password: Password,
) -> Result<Result<User, Said>, PageError> {
    let name = signs_in_as(user).unwrap_or_default();
    match password::prove(provider, asked, None, name, password).await? {
        Proof::Proven(proven) if proven.user.sub == user.sub => {
            proven.attempt.succeeded(&provider.ephemeral).await?;
            Ok(Ok(proven.user))
        }
        // The name that was this user's a moment ago is another's now.
        Proof::Proven(proven) => {
            failed(provider, asked, user, SignInFailure::UserUnknown, proven.attempt).await.map(Err)
        }
        Proof::Wrong { why, attempt, .. } => failed(provider, asked, user, why, attempt).await.map(Err),
        // Only who has typed the right one is told of a lock.
        Proof::Barred { why, attempt, .. } => {
            let refused = failed(provider, asked, user, why, attempt).await?;
            let is_lock = why == SignInFailure::UserLocked;
            Ok(Err(if is_lock { Said { error: Some(text("login-locked")), ..refused } } else { refused }))
        }
        Proof::Later { later, .. } => {
            let event = Event::new(EventKind::SignInThrottled, asked.now).from(&asked.network);
            let event = event.of(&user.sub).with("budget", later.budget.as_str());
            provider.audit.record(event.with("reason", SignInFailure::Throttled.as_str()));
            let note = note(SignInFailure::Throttled, "sign_in_throttled", "too many failed attempts", user);
            Ok(Err(Said { later: Some(later), note: Some(note), ..Said::default() }))
        }
    }
}

/// A wrong password is a failed sign-in: counted, and told to audit and log.
async fn failed(
    provider: &Provider,
    asked: &BrowserRequest,
    user: &User,
    why: SignInFailure,
    attempt: Attempt,
) -> Result<Said, PageError> {
    let event = Event::new(EventKind::SignInFailed, asked.now).from(&asked.network).of(&user.sub);
    provider.audit.record(event.with("reason", why.as_str()));
    attempt.failed(&provider.ephemeral).await?;
    let note = note(why, "sign_in_failed", "the current password does not match", user);
    Ok(Said { note: Some(note), ..Said::error(text("password-wrong")) })
}

fn note(why: SignInFailure, code: &'static str, description: &str, user: &User) -> Note {
    let note = Note::of(code, description, why.fix()).because(why.as_str(), why.cause());
    note.of_user(Some(&user.sub))
}
