//! `/account/password`: the user changes the password. The old one is proven as at the login page, by the same gate, throttle and
//! floor; one statement on the row decides; this sign-in continues under a new id, and everything else that the old password
//! started ends.

use super::{Done, Here, Purpose, Visit};
use crate::ambient::random;
use crate::caller::BrowserRequest;
use crate::endpoints::login::password::{self, Proof};
use crate::passwords::{Strength, Weakness};
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::claims::User;
use crate::protocol::factor::{Factor, SignInFailure, acr_of, amr_of};
use crate::protocol::grant::{Session, SignIn};
use crate::protocol::own_page::OwnPage;
use crate::protocol::secret::{Password, SessionId, same_text};
use crate::protocol::text::prepare;
use crate::provider::Provider;
use crate::store::users::password::{Change, Changed, change, new_credential};
use crate::store::{sessions, timely};
use crate::texts::{Text, text};
use crate::throttle::{Attempt, Later};
use crate::web::answer::{Note, PageError};
use crate::web::cookies;
use crate::web::fault::Fault;
use crate::web::pages::account::PasswordPage;
use crate::web::pages::{Chrome, Wait};
use crate::web::problems::Problem;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use std::sync::Arc;

/// What the page says beside its form.
#[derive(Default)]
struct Said {
    error: Option<Text<'static>>,
    later: Option<Later>,
    strength: Option<Strength>,
    note: Option<Note>,
}

impl Said {
    fn error(error: Text<'static>) -> Self {
        Self { error: Some(error), ..Self::default() }
    }
}

/// The page. It wants a fresh sign-in.
///
/// # Errors
/// A page: a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    match Visit::open(&provider, &asked, OwnPage::Password, true).await? {
        Visit::Here(here) => Ok(page(&provider, &asked, &here, Said::default())),
        Visit::SignIn(response) => Ok(response),
    }
}

/// Looks at a new password, or takes it. It wants a fresh sign-in.
///
/// # Errors
/// A page: the form is not ours, a doubled parameter, too much to do, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let here = match Visit::by_form(&provider, &asked, OwnPage::Password, Purpose::ChangePassword, true).await? {
        Visit::Here(here) => here,
        Visit::SignIn(response) => return Ok(response),
    };
    if here.user.password_hash.is_none() {
        return Ok(page(&provider, &asked, &here, Said::default()));
    }
    let typed = |name: &str| Password::received(asked.params.get(name).unwrap_or_default());
    let (old, new, repeated) = (typed("old"), typed("new"), typed("repeated"));
    let checks = asked.params.get("action") == Some("check");
    let judged = judge(&provider, &here.user, &new).await?;
    let said = match judged {
        Err(error) => Said::error(error),
        Ok((_, strength)) if checks => Said { strength: Some(strength), ..Said::default() },
        Ok(_) if old.expose().is_empty() || repeated.expose().is_empty() => Said::error(text("password-missing")),
        Ok(_) if !same_text(new.expose(), repeated.expose()) => Said::error(text("password-differs")),
        Ok((prepared, _)) => match set(&provider, &asked, &here, old, prepared).await? {
            Ok(response) => return Ok(response),
            Err(said) => said,
        },
    };
    Ok(page(&provider, &asked, &here, said))
}

/// A new password as it is hashed, and what it is worth; or why it is not taken.
async fn judge(
    provider: &Provider,
    user: &User,
    new: &Password,
) -> Result<Result<(Password, Strength), Text<'static>>, PageError> {
    if new.expose().is_empty() {
        return Ok(Err(text("password-missing")));
    }
    let Ok(prepared) = prepare(new) else { return Ok(Err(text("password-odd"))) };
    let strength = provider.passwords.strength(prepared.clone(), names_of(provider, user)).await;
    let strength = strength.map_err(|_| Problem::Busy)?;
    Ok(match strength.weakness {
        None => Ok((prepared, strength)),
        Some(Weakness::Short) => Err(text("password-short")),
        Some(Weakness::Common) => Err(text("password-common")),
        Some(Weakness::Personal) => Err(text("password-personal")),
    })
}

/// What a password must not be: the names of the user and of the organization.
fn names_of(provider: &Provider, user: &User) -> Vec<String> {
    let claim = |name: &str| user.claims.get(name).and_then(Value::as_str);
    let email = claim("email");
    let own = [user.username.as_deref(), email, email.and_then(|it| it.split('@').next())];
    let claims = ["name", "given_name", "family_name", "nickname", "preferred_username"].map(claim);
    let organization = [provider.config.organization.name.as_deref(), Some(provider.config.host())];
    let ours = [Some(provider.config.issuer.as_str()), Some("hallpass")];
    let all = own.into_iter().chain(claims).chain(organization).chain(ours);
    all.flatten().filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Proves the old password and sets the new one; or what the page says where that comes to nothing.
async fn set(
    provider: &Arc<Provider>,
    asked: &BrowserRequest,
    here: &Here,
    old: Password,
    new: Password,
) -> Result<Result<Response, Said>, PageError> {
    let user = &here.user;
    let email = user.claims.get("email").and_then(Value::as_str);
    let name = user.username.as_deref().or(email).unwrap_or_default().to_owned();
    let is_same = prepare(&old).is_ok_and(|old| same_text(old.expose(), new.expose()));
    match password::prove(provider, asked, None, &name, old).await? {
        Proof::Proven(proven) if proven.user.sub == user.sub => {
            let password::Proven { user, attempt, .. } = *proven;
            attempt.succeeded(&provider.ephemeral).await?;
            if is_same {
                return Ok(Err(Said::error(text("password-same"))));
            }
            replace(provider, asked, here, user, new).await
        }
        // The name that was this user's a moment ago is another's now.
        Proof::Proven(proven) => {
            failed(provider, asked, here, SignInFailure::UserUnknown, proven.attempt).await.map(Err)
        }
        Proof::Wrong { why, attempt, .. } | Proof::Barred { why, attempt, .. } => {
            failed(provider, asked, here, why, attempt).await.map(Err)
        }
        Proof::Later { later, .. } => {
            let event = Event::new(EventKind::SignInThrottled, asked.now).from(&asked.network);
            let event = event.of(&user.sub).with("budget", later.budget.as_str());
            provider.audit.record(event.with("reason", SignInFailure::Throttled.as_str()));
            let note = note(SignInFailure::Throttled, "sign_in_throttled", "too many failed attempts", here);
            Ok(Err(Said { later: Some(later), note: Some(note), ..Said::default() }))
        }
    }
}

/// A wrong old password is a failed sign-in: counted, and told to audit and log.
async fn failed(
    provider: &Provider,
    asked: &BrowserRequest,
    here: &Here,
    why: SignInFailure,
    attempt: Attempt,
) -> Result<Said, PageError> {
    let event = Event::new(EventKind::SignInFailed, asked.now).from(&asked.network).of(&here.user.sub);
    provider.audit.record(event.with("reason", why.as_str()));
    attempt.failed(&provider.ephemeral).await?;
    let note = note(why, "sign_in_failed", "the current password does not match", here);
    Ok(Said { note: Some(note), ..Said::error(text("password-wrong")) })
}

fn note(why: SignInFailure, code: &'static str, description: &str, here: &Here) -> Note {
    let note = Note::of(code, description, why.fix()).because(why.as_str(), why.cause());
    note.of_user(Some(&here.user.sub))
}

/// Writes the new password, where the row still has the one that was proven.
async fn replace(
    provider: &Arc<Provider>,
    asked: &BrowserRequest,
    here: &Here,
    proven: User,
    new: Password,
) -> Result<Result<Response, Said>, PageError> {
    let now = here.now;
    let Some(before) = proven.password_hash.clone() else {
        return Err(Fault::bug("a password was proven that is not there").into());
    };
    let made = provider.passwords.make(new).await.map_err(|_| Problem::Busy)?;
    let Some(password_hash) = made else { return Ok(Err(Said::error(text("password-odd")))) };
    let credential = new_credential();
    // It continues with the password typed now: what a node knew of the user before says nothing about it.
    // A code that was typed before would be as fresh as the password is now.
    let (amr, acr) = (amr_of(&[Factor::Password]), acr_of(&[Factor::Password]).to_owned());
    let sign_in = SignIn { auth_time: now, amr, acr, credential: credential.clone(), ..here.session.sign_in.clone() };
    let session = Session { sign_in, seen_at: now, ..Session::clone(&here.session) };
    let id = SessionId::from_random(&random::<32>());
    // Under a name that no one knows yet; then the one statement decides. It weighs what the record before does.
    sessions::start(&provider.ephemeral, &id, &session, now).await?;
    let network = asked.network.to_string();
    let changing = Change {
        sub: &proven.sub,
        before: &before,
        password_hash: &password_hash,
        credential: &credential,
        session: session.sign_in.session,
        record: &id.digest(),
        network: &network,
        now,
    };
    let changed = timely(change(&provider.db, &changing)).await;
    if !matches!(changed, Ok(Changed::Done(_))) {
        sessions::forget(&provider.ephemeral, &id).await?;
    }
    match changed? {
        Changed::Done(_) => {}
        Changed::AnotherPassword => return Ok(Err(Said::error(text("password-elsewhere")))),
        Changed::SessionEnded => return Err(Problem::FormOutdated.into()),
    }
    let user = User { password_hash: Some(password_hash), password_is_prepared: true, credential, ..proven };
    let known = password::known_tag(provider, &here.browser, &user);
    provider.directory.know_user(user, now);
    // The record before carries the mark of the old password, and does not hold any more.
    if let Err(error) = sessions::forget(&provider.ephemeral, &here.id).await {
        tracing::warn!(%error, "the record of a sign-in from before a change of password stays until its end");
    }
    // The page of the password would ask for a code first, where there is a second factor.
    let mut response = here.done_at(OwnPage::Account, provider, Done::PasswordChanged)?;
    let left = session.is_remembered.then(|| session.expires_at.since(now));
    response.headers_mut().append(header::SET_COOKIE, cookies::set_session(&provider.config, &id, left));
    let known = cookies::set_known(&provider.config, &asked.browser.known, &known);
    response.headers_mut().append(header::SET_COOKIE, known);
    Ok(Ok(response))
}

fn page(provider: &Provider, asked: &BrowserRequest, here: &Here, said: Said) -> Response {
    let Said { error, later, strength, note } = said;
    let user = &here.user;
    let status = match (&error, later) {
        (_, Some(_)) => StatusCode::TOO_MANY_REQUESTS,
        (Some(_), None) => StatusCode::UNPROCESSABLE_ENTITY,
        (None, None) => StatusCode::OK,
    };
    let email = user.claims.get("email").and_then(Value::as_str);
    let page = PasswordPage {
        page: Chrome::new(&provider.config, &text("password-heading")),
        tabs: here.tabs(provider, asked),
        username: user.username.as_deref().or(email).unwrap_or_default().to_owned(),
        has_password: user.password_hash.is_some(),
        csrf: here.csrf(provider, Purpose::ChangePassword),
        error,
        wait: later.map(|later| Wait::until(here.now, later.seconds)),
        strength: strength.map(|strength| told(strength.seconds)),
        advice: strength.map(|strength| {
            if strength.seconds < 100 * YEAR { text("strength-advice") } else { text("strength-good") }
        }),
    };
    let mut response = here.render(provider, status, &page);
    if let Some(later) = later {
        response.headers_mut().insert(header::RETRY_AFTER, later.seconds.into());
    }
    if let Some(note) = note {
        response.extensions_mut().insert(note);
    }
    response
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const MONTH: u64 = 30 * DAY;
const YEAR: u64 = 365 * DAY;

/// How long it would take to find a password.
fn told(seconds: u64) -> Text<'static> {
    let number = |unit: u64| i64::try_from(seconds / unit).unwrap_or(i64::MAX);
    match seconds {
        ..MINUTE => text("strength-at-once"),
        MINUTE..HOUR => text("strength-minutes").counting("number", number(MINUTE)),
        HOUR..DAY => text("strength-hours").counting("number", number(HOUR)),
        DAY..MONTH => text("strength-days").counting("number", number(DAY)),
        MONTH..YEAR => text("strength-months").counting("number", number(MONTH)),
        _ if seconds < 100 * YEAR => text("strength-years").counting("number", number(YEAR)),
        _ => text("strength-centuries"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_password_holds_is_told_in_the_unit_that_people_would_use() {
        for (seconds, words) in [
            (0, "at once"),
            (61, "1 minute "),
            (7200, "2 hours "),
            (DAY, "1 day "),
            (65 * DAY, "2 months "),
            (3 * YEAR, "3 years "),
            (100 * YEAR, "centuries"),
            (u64::MAX, "centuries"),
        ] {
            let told = told(seconds).to_string();
            assert!(told.contains(words), "{seconds}: {told}");
        }
    }
}
