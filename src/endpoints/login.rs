//! `/login`: user name and password. OIDC Core 3.1.2.3.

use crate::endpoints::flow::{self, Flow};
use crate::protocol::authorization::{Interaction, SignedIn, Step};
use crate::protocol::claims::User;
use crate::protocol::error::{ErrorCode, Refusal};
use crate::protocol::grant::Session;
use crate::protocol::response::Prompt;
use crate::protocol::secret::{Handle, Password};
use crate::protocol::time::NumericDate;
use crate::provider::{Provider, random};
use crate::store::{interactions, sessions, users};
use crate::web::answer::{Note, PageError};
use crate::web::cookies::{self, Browser};
use crate::web::pages::{self, Chrome, LoginPage};
use crate::web::request;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use std::sync::Arc;

/// The longest user name that is looked up, in bytes.
const MAX_USERNAME_BYTES: usize = 320;
/// The longest password that is hashed, in bytes.
const MAX_PASSWORD_BYTES: usize = 1024;

/// The same words for an unknown user and for a wrong password.
const WRONG: &str = "That user name and password do not match. Check both and try again.";

/// The login page.
///
/// # Errors
/// A page: the interaction is unknown, expired, or of another browser.
pub async fn get(State(provider): State<Arc<Provider>>, request: Request) -> Result<Response, PageError> {
    let now = provider.now();
    let browser = Browser::of(request.headers(), &provider.config);
    let params = request::query(&request).map_err(|refusal| PageError::bad_request(&refusal, None))?;
    let flow = Flow::continue_in(&provider, &browser, params.get("interaction"), now).await?;
    // Somebody who signed in meanwhile, perhaps in another tab, need not do it again.
    if params.get("switch").is_none() && !matches!(flow.step(&provider), Step::SignIn) {
        return flow.go_on(&provider);
    }
    page(&provider, &browser, &flow, None, None)
}

/// What the person decided on the login page.
///
/// # Errors
/// A page: the form is not ours, or the interaction has ended.
pub async fn post(State(provider): State<Arc<Provider>>, request: Request) -> Result<Response, PageError> {
    let now = provider.now();
    let headers = request.headers().clone();
    let browser = Browser::of(&headers, &provider.config);
    let params = request::form(request).await.map_err(|refusal| PageError::bad_request(&refusal, None))?;
    params.refuse_duplicates().map_err(|refusal| PageError::bad_request(&refusal, None))?;
    let flow = Flow::continue_in(&provider, &browser, params.get("interaction"), now).await?;
    let Some((id, interaction)) = flow.interaction.clone() else {
        return Err(PageError::Fault("a login page without an interaction".to_owned().into()));
    };
    flow::check_form(&provider, &browser, &headers, &id, params.get("csrf"))?;
    match params.get("action") {
        Some("cancel") => {
            flow.refuse(&provider, Refusal::new(ErrorCode::AccessDenied, "the person canceled the sign-in")).await
        }
        Some("continue") if flow.request.prompt.has(Prompt::SelectAccount) && !must_prove(&flow) => {
            let Some((session, _)) = &flow.signed_in else { return page(&provider, &browser, &flow, None, None) };
            let here = SignedIn { sub: session.sub.clone(), session: session.handle };
            record(&provider, &flow, &interaction, here).await?;
            flow.go_on(&provider)
        }
        _ => {
            let typed = params.get("username").unwrap_or_default().trim().to_owned();
            let password = Password::received(params.get("password").unwrap_or_default());
            match prove(&provider, &typed, password).await? {
                Some(user) => sign_in(&provider, &browser, &flow, &interaction, user, now).await,
                None => page(&provider, &browser, &flow, Some(typed), Some(WRONG)),
            }
        }
    }
}

/// Whether choosing the account is not enough: the request wants a fresh sign-in.
fn must_prove(flow: &Flow) -> bool {
    flow.request.prompt.has(Prompt::Login) || flow.request.max_age.is_some()
}

/// Finds the person whose password it is. Whether the name or the password was wrong can be told neither by
/// the answer nor by its time.
async fn prove(provider: &Provider, typed: &str, password: Password) -> Result<Option<User>, PageError> {
    let is_plausible = !typed.is_empty() && typed.len() <= MAX_USERNAME_BYTES;
    let found = if is_plausible { users::find_by_login(&provider.db, typed).await? } else { None };
    let user = found.filter(|user| user.disabled_at.is_none());
    let password = if password.expose().len() > MAX_PASSWORD_BYTES { Password::received("") } else { password };
    let stored = user.as_ref().and_then(|user| user.password_hash.as_deref());
    let proven = provider.passwords.verify_person(password, stored).await.map_err(|_| PageError::busy())?;
    Ok(user.filter(|_| proven))
}

/// Starts a session under a new id and goes on. The person who was signed in already keeps the session's
/// name, so that its clients still know it.
async fn sign_in(
    provider: &Provider,
    browser: &Browser,
    flow: &Flow,
    interaction: &Interaction,
    user: User,
    now: NumericDate,
) -> Result<Response, PageError> {
    let handle = match &flow.signed_in {
        Some((session, _)) if session.sub == user.sub => session.handle,
        _ => Handle(random()),
    };
    let session = Session {
        sub: user.sub.clone(),
        handle,
        auth_time: now,
        amr: vec!["pwd".into()],
        seen_at: now,
        expires_at: now.plus(provider.config.session_lifetime),
    };
    let session_id = flow::new_session_id();
    let here = SignedIn { sub: user.sub.clone(), session: handle };
    provider.directory.know_user(user, now);
    tokio::try_join!(
        async { Ok(sessions::start(&provider.ephemeral, &session_id, &session, now).await?) },
        record(provider, flow, interaction, here),
        async {
            match &browser.session {
                Some(old) => Ok(sessions::forget(&provider.ephemeral, old).await?),
                None => Ok(()),
            }
        },
    )?;
    let mut response = flow.go_on(provider)?;
    response.headers_mut().append(header::SET_COOKIE, cookies::set_session(&provider.config, &session_id));
    Ok(response)
}

async fn record(provider: &Provider, flow: &Flow, before: &Interaction, here: SignedIn) -> Result<(), PageError> {
    let Some((id, _)) = &flow.interaction else { return Ok(()) };
    let after = Interaction { signed_in: Some(here), ..before.clone() };
    if interactions::update(&provider.ephemeral, id, before, &after).await? {
        Ok(())
    } else {
        Err(flow::already_answered(Some(&flow.client)))
    }
}

fn page(
    provider: &Provider,
    browser: &Browser,
    flow: &Flow,
    typed: Option<String>,
    error: Option<&str>,
) -> Result<Response, PageError> {
    let (Some((id, _)), Some(browser_id)) = (&flow.interaction, &browser.id) else {
        // An interaction that no browser has begun yet is begun at `/authorize`.
        return flow.go_on(provider);
    };
    let somebody = flow.signed_in.as_ref().map(|(_, user)| user);
    let chooses = flow.request.prompt.has(Prompt::SelectAccount) && !must_prove(flow) && error.is_none();
    let shown = LoginPage {
        page: Chrome::new(&provider.config, format!("Sign in to continue to {}", flow.client.display_name())),
        client_name: flow.client.display_name().to_owned(),
        interaction: id.expose().to_owned(),
        csrf: browser_id.form_token(id),
        username: typed
            .or_else(|| flow.request.login_hint.clone())
            .or_else(|| somebody.filter(|_| !chooses).and_then(|user| user.username.clone()))
            .unwrap_or_default(),
        error: error.map(str::to_owned),
        continue_as: somebody.filter(|_| chooses).map(|user| user.display_name().to_owned()),
        signed_in_as: somebody.filter(|_| !chooses && error.is_none()).map(|user| user.display_name().to_owned()),
    };
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = pages::render(status, &shown, false);
    if error.is_some() {
        response.extensions_mut().insert(Note {
            code: "sign_in_failed",
            description: "user name and password do not match".into(),
            detail: None,
            is_fault: false,
        });
    }
    Ok(response)
}
