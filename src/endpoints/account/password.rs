//! `/account/password`: the user changes the password. The old one is asked for as at the login page (`own_password`); one statement
//! on the row decides; this sign-in continues under a new id, and everything else that the old password started ends.

use super::{Done, Here, Purpose, Visit};
use crate::ambient::random;
use crate::caller::BrowserRequest;
use crate::endpoints::flow;
use crate::endpoints::login::password;
use crate::endpoints::new_password::{self, Judged, Typed, signs_in_as};
use crate::endpoints::own_password::{self, Said};
use crate::passwords::Strength;
use crate::protocol::claims::User;
use crate::protocol::factor::{Factor, acr_of, amr_of};
use crate::protocol::grant::{Session, SignIn};
use crate::protocol::own_page::{OwnPage, is_fresh};
use crate::protocol::secret::{Password, SessionId, same_text};
use crate::protocol::text::prepare;
use crate::provider::Provider;
use crate::store::users::password::{Change, Changed, change, new_credential};
use crate::store::{sessions, timely};
use crate::texts::text;
use crate::web::answer::PageError;
use crate::web::cookies;
use crate::web::fault::Fault;
use crate::web::pages::Chrome;
use crate::web::pages::account::PasswordPage;
use crate::web::problems::Problem;
use axum::extract::State;
use axum::http::header;
use axum::response::Response;
use std::sync::Arc;

/// The page. It wants a fresh sign-in.
///
/// # Errors
/// A page: a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    match Visit::open(&provider, &asked, OwnPage::Password, true).await? {
        Visit::Here(here) => Ok(page(&provider, &asked, &here, Said::default(), None)),
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
        return Ok(page(&provider, &asked, &here, Said::default(), None));
    }
    let typed = Typed::of(&asked.params, text("password-missing"));
    let (said, strength) = match new_password::judge(&provider, new_password::names_of(&here.user), typed).await? {
        Judged::Said(new_password::Said { error, strength, .. }) => (Said { error, ..Said::default() }, strength),
        Judged::Taken(prepared) => {
            let old = Password::received(asked.params.get("old").unwrap_or_default());
            match set(&provider, &asked, &here, old, prepared).await? {
                Ok(response) => return Ok(response),
                Err(said) => (said, None),
            }
        }
    };
    Ok(page(&provider, &asked, &here, said, strength))
}

/// Proves the old password and sets the new one; or what the page says where that comes to nothing.
async fn set(
    provider: &Arc<Provider>,
    asked: &BrowserRequest,
    here: &Here,
    old: Password,
    new: Password,
) -> Result<Result<Response, Said>, PageError> {
    if old.expose().is_empty() {
        return Ok(Err(Said::error(text("password-missing"))));
    }
    let is_same = prepare(&old).is_ok_and(|old| same_text(old.expose(), new.expose()));
    match own_password::ask(provider, asked, &here.user, old).await? {
        // Another node has added a second factor to the account since this one looked: the session is not of all of them.
        Ok(user) if !is_fresh(&here.session, &user, here.now) => {
            let network = asked.network;
            let again = flow::start_at_home(provider, &asked.browser, network, Some(OwnPage::Password), here.now);
            Ok(Ok(again.await?))
        }
        Ok(_) if is_same => Ok(Err(Said::error(text("password-same")))),
        Ok(user) => replace(provider, asked, here, user, new).await,
        Err(said) => Ok(Err(said)),
    }
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
        credential_before: &proven.credential,
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

fn page(provider: &Provider, asked: &BrowserRequest, here: &Here, said: Said, strength: Option<Strength>) -> Response {
    let (status, wait) = (said.status(), said.wait(here.now));
    let Said { error, later, note } = said;
    let page = PasswordPage {
        page: Chrome::new(&provider.config, &text("password-heading")),
        tabs: here.tabs(provider, asked),
        username: signs_in_as(&here.user).unwrap_or_default().to_owned(),
        has_password: here.user.password_hash.is_some(),
        csrf: here.csrf(provider, Purpose::ChangePassword),
        error,
        wait,
        strength: strength.map(new_password::told),
        advice: strength.map(new_password::advice),
    };
    own_password::finished(here.render(provider, status, &page), later, note)
}
