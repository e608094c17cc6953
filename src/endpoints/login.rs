//! `/login`: user name and password. OIDC Core 3.1.2.3.

use crate::allowance::{self, Kept, Owner};
use crate::ambient::random;
use crate::endpoints::flow::{self, Flow};
use crate::logout::{self, Cause};
use crate::passwords::{Renewal, StoredHash, Typed, Verdict};
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::authorization::{Interaction, SignedIn, Step};
use crate::protocol::claims::User;
use crate::protocol::error::{ErrorCode, Refusal};
use crate::protocol::grant::{Session, SignIn};
use crate::protocol::response::Prompt;
use crate::protocol::secret::{BrowserId, Handle, Password, SessionId};
use crate::protocol::text::MAX_NAME_BYTES;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::stored::Stored;
use crate::store::{interactions, sessions, timely, user_sessions, users};
use crate::throttle::{self, Attempt, Later, Stopped};
use crate::web::answer::{Note, PageError};
use crate::web::cookies::{self, Browser};
use crate::web::fault::Fault;
use crate::web::network::Network;
use crate::web::pages::{self, Chrome, LoginPage};
use crate::web::problems::Problem;
use crate::web::request;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use std::sync::Arc;

/// What the page says above the form.
enum LoginError {
    /// The same for an unknown user and for a wrong password.
    Wrong,
    /// The throttle has the word.
    TooMany(Later),
}

impl LoginError {
    fn text(&self) -> String {
        match self {
            Self::Wrong => "That user name and password do not match. Check both and try again.".to_owned(),
            Self::TooMany(later) if later.seconds <= 90 => {
                format!("There were too many failed attempts. Please wait {} seconds and try again.", later.seconds)
            }
            Self::TooMany(later) => format!(
                "There were too many failed attempts. Please wait {} minutes and try again.",
                (later.seconds + 59) / 60
            ),
        }
    }
}

/// The login page.
///
/// # Errors
/// A page: the interaction is unknown, expired, or of another browser.
pub async fn get(State(provider): State<Arc<Provider>>, request: Request) -> Result<Response, PageError> {
    let now = provider.now();
    let mut browser = Browser::of(request.headers(), &provider.config);
    let network = Network::of(&request, &provider.config);
    let params = request::query(&request).map_err(PageError::bad_request)?;
    let flow = Flow::continue_in(&provider, &mut browser, params.get("interaction"), network, now).await?;
    // Somebody who signed in meanwhile, perhaps in another tab, need not do it again.
    if params.get("switch").is_none() && !matches!(flow.step(&provider), Step::SignIn) {
        return flow.redirect_to_authorize(&provider);
    }
    page(&provider, &browser, &flow, None, None)
}

/// What the person decided on the login page.
///
/// # Errors
/// A page: the form is not ours, or the interaction has ended.
pub async fn post(State(provider): State<Arc<Provider>>, request: Request) -> Result<Response, PageError> {
    let now = provider.now();
    let posted = request::posted(request, &provider.config).await;
    let (request, params) = posted.map_err(PageError::bad_request)?;
    let mut browser = Browser::of(&request.headers, &provider.config);
    let flow = Flow::continue_in(&provider, &mut browser, params.get("interaction"), request.network, now).await?;
    let Some((id, interaction)) = flow.interaction.clone() else {
        return Err(Fault::bug("a login page without an interaction").into());
    };
    flow::check_form(&provider, &browser, &request.headers, &id, params.get("csrf"))?;
    match params.get("action") {
        Some("cancel") => flow.refuse(&provider, canceled()).await,
        Some("continue") if flow.request.prompt.has(Prompt::SelectAccount) && !must_prove(&flow) => {
            let Some((session, _)) = &flow.signed_in else { return page(&provider, &browser, &flow, None, None) };
            let here = SignedIn { sub: session.sign_in.sub.clone(), session: session.sign_in.session };
            record(&provider, &flow, &interaction, here).await?;
            flow.redirect_to_authorize(&provider)
        }
        _ => {
            let typed = params.get("username").unwrap_or_default().trim().to_owned();
            let password = Password::received(params.get("password").unwrap_or_default());
            let by = |kind| Event::new(kind, now).by(&flow.client.client_id).from(&request.network);
            match prove(&provider, &browser, &flow, request.network, &typed, password).await? {
                Proof::Proven(mut proven) => {
                    let renewing = proven.renewal.take().map(|renewal| {
                        renew(provider.clone(), proven.user.sub.clone(), proven.user.credential.clone(), renewal)
                    });
                    let event = by(EventKind::SignIn).of(&proven.user.sub).with("amr", "pwd");
                    let response = Box::pin(sign_in(&provider, &browser, &flow, &interaction, *proven, now)).await?;
                    provider.audit.record(event);
                    // Nobody waits for it.
                    renewing.map(tokio::spawn);
                    Ok(response)
                }
                Proof::Wrong { sub, attempt } => {
                    provider.audit.record(by(EventKind::SignInFailed).of_whoever(sub.as_deref()));
                    if let Some(attempt) = attempt {
                        // Once somebody has tried, it gives way only when no other can.
                        tokio::try_join!(
                            attempt.failed(&provider.ephemeral),
                            interactions::update(&provider.ephemeral, &id, &interaction, &interaction, true)
                        )?;
                    }
                    page(&provider, &browser, &flow, Some(typed), Some(&LoginError::Wrong))
                }
                Proof::Later { sub, later } => {
                    provider.audit.record(by(EventKind::SignInThrottled).of_whoever(sub.as_deref()));
                    page(&provider, &browser, &flow, Some(typed), Some(&LoginError::TooMany(later)))
                }
            }
        }
    }
}

/// The person's own word: nothing that anybody has to look into.
const fn canceled() -> Refusal {
    Refusal::new(ErrorCode::AccessDenied, "the person canceled the sign-in").as_expected()
}

/// Whether choosing the account is not enough: the request wants a fresh sign-in.
fn must_prove(flow: &Flow) -> bool {
    flow.request.prompt.has(Prompt::Login) || flow.request.max_age.is_some()
}

/// What shows that this browser is known to that person.
fn known_tag(provider: &Provider, browser_id: &BrowserId, user: &User) -> String {
    provider.secrets.known_browser(browser_id, &user.sub, &user.credential)
}

/// What typing a name and a password came to.
enum Proof {
    /// It is this person.
    Proven(Box<Proven>),
    /// It is not, whichever of the two was wrong.
    Wrong {
        /// The person whose name was typed, for the audit alone.
        sub: Option<String>,
        /// The attempt, if it was counted.
        attempt: Option<Attempt>,
    },
    /// It was not even looked at.
    Later {
        /// The person whose name was typed, for the audit alone.
        sub: Option<String>,
        /// When to come again.
        later: Later,
    },
}

/// A person who has proven who they are.
struct Proven {
    user: User,
    attempt: Attempt,
    /// The session that was there before has been ended in another tab: its name cannot be used again.
    session_has_ended: bool,
    /// The hash in the row is not as we would make it now.
    renewal: Option<Renewal>,
}

/// Finds the person whose password it is. Whether the name or the password was wrong can be told neither by
/// the answer nor by its time, nor by when it is throttled.
async fn prove(
    provider: &Provider,
    browser: &Browser,
    flow: &Flow,
    network: Network,
    typed: &str,
    password: Password,
) -> Result<Proof, PageError> {
    let Some(browser_id) = &browser.id else { return Ok(Proof::Wrong { sub: None, attempt: None }) };
    let is_plausible = !typed.is_empty() && typed.len() <= MAX_NAME_BYTES;
    let found = if is_plausible { timely(users::find_by_login(&provider.db, typed)).await? } else { None };
    let sub = found.as_ref().map(|user| user.sub.clone());
    let account = provider.secrets.account(sub.as_deref(), typed);
    let mut turn = provider.passwords.turn_for_person().await.map_err(|_| Problem::Busy)?;
    // It is counted on the very browser that is known: another name of the same browser would be a new counter.
    let name = browser.kept.as_ref().unwrap_or(browser_id);
    let is_known = found.as_ref().is_some_and(|user| browser.known.contains(&known_tag(provider, name, user)));
    let has_ended = async {
        match &flow.signed_in {
            Some((session, _)) => sessions::has_ended(&provider.ephemeral, session.sign_in.session).await,
            None => Ok(false),
        }
    };
    let (attempt, session_has_ended) =
        tokio::join!(throttle::sign_in(&provider.ephemeral, &account, network, is_known.then_some(name)), has_ended);
    let attempt = match attempt {
        Ok(attempt) => attempt,
        Err(Stopped::Later(later)) => return Ok(Proof::Later { sub, later }),
        Err(Stopped::Fault(error)) => return Err(error.into()),
    };
    if attempt.is_slowed() {
        drop(turn);
        if let Err(later) = provider.throttle.slow(&attempt).await {
            return Ok(Proof::Later { sub, later });
        }
        turn = provider.passwords.turn_for_person().await.map_err(|_| Problem::Busy)?;
    }
    if let Some(user) = found.as_ref().filter(|user| user.is_ambiguous) {
        tracing::warn!(sub = user.sub, "this person cannot sign in: a client has their sub as its client_id");
    }
    let user = found.filter(User::may_sign_in);
    let stored = user.as_ref().and_then(|user| {
        let hash = user.password_hash.as_deref()?;
        provider.passwords.tell_of("users", &user.sub, hash);
        Some(StoredHash { hash, is_prepared: user.password_is_prepared })
    });
    let typed = Typed::new(password);
    let verdict = provider.passwords.verify_person(turn, typed, stored).await.map_err(|_| Problem::Busy)?;
    Ok(match (user, verdict) {
        (Some(user), Verdict::Right(renewal)) => {
            Proof::Proven(Box::new(Proven { user, attempt, session_has_ended: session_has_ended?, renewal }))
        }
        _ => Proof::Wrong { sub, attempt: Some(attempt) },
    })
}

/// Hashes a proven password as we would now, and writes that where the row has not changed meanwhile. Sign-ins and tokens keep
/// their mark. Where it fails, the next sign-in tries again.
async fn renew(provider: Arc<Provider>, sub: String, credential: String, renewal: Renewal) {
    let before = renewal.before().to_owned();
    let Ok(Some(hash)) = provider.passwords.renew(renewal).await else { return };
    match users::renew_hash(&provider.db, &sub, &before, &hash, &credential).await {
        Ok(renewed) => tracing::debug!(sub, renewed, "the hash of a password was made anew"),
        Err(error) => {
            tracing::warn!(sub, %error, "the hash of a password could not be made anew; the next sign-in tries again");
        }
    }
}

/// Starts a session under a new id and goes on. The person who was signed in already keeps the session's
/// name, so that its clients still know it.
async fn sign_in(
    provider: &Arc<Provider>,
    browser: &Browser,
    flow: &Flow,
    interaction: &Stored<Interaction>,
    proven: Proven,
    now: NumericDate,
) -> Result<Response, PageError> {
    let Proven { user, attempt, session_has_ended, .. } = proven;
    // Somebody else's session ends here, for every service that holds it.
    if let (Some((old, _)), Some(id)) = (&flow.signed_in, &browser.session)
        && old.sign_in.sub != user.sub
        && let Some(ended) = logout::end_session(provider, &id.digest(), old, Cause::AnotherPerson, now).await?
    {
        ended.told(provider).await;
    }
    let before = flow.signed_in.as_ref().map(|(session, _)| session).filter(|_| !session_has_ended);
    let same_person = before.filter(|session| session.sign_in.sub == user.sub);
    let handle = same_person.map_or_else(|| Handle(random()), |session| session.sign_in.session);
    let session = Session {
        sign_in: SignIn::by_password(&user, handle, now),
        clients: same_person.map(|session| session.clients.clone()).unwrap_or_default(),
        seen_at: now,
        expires_at: now.plus(provider.config.session_lifetime),
    };
    let session_id = flow::new_session_id();
    let here = SignedIn { sub: user.sub.clone(), session: handle };
    let name = browser.kept.as_ref().or(browser.id.as_ref());
    let known = name.map(|id| known_tag(provider, id, &user)).unwrap_or_default();
    provider.directory.know_user(user, now);
    let lifetime = provider.config.session_lifetime;
    let mut kept = vec![Kept::session(&session, lifetime)];
    kept.extend(same_person.map(|before| Kept::session(before, lifetime).given_back()));
    let signed_in = tokio::try_join!(
        async { Ok(sessions::start(&provider.ephemeral, &session_id, &session, now).await?) },
        record(provider, flow, interaction, here),
        async { Ok(attempt.succeeded(&provider.ephemeral).await?) },
        async { Ok::<_, PageError>(allowance::keep(provider, Owner::Person(&session.sign_in.sub), &kept).await) },
        async {
            match &browser.session {
                Some(old) => Ok(sessions::forget(&provider.ephemeral, old).await?),
                None => Ok(()),
            }
        },
    );
    let is_answered = matches!(signed_in, Err(PageError::Page { .. }));
    let refused = match signed_in {
        // The row last: whoever lists sign-ins finds none that came to nothing.
        Ok((.., Ok(()), ())) => write_row(provider, browser, flow, &session_id, &session, now).await.err(),
        Ok((.., Err(Stopped::Later(_)), ())) => Some(Problem::Busy.into()),
        Ok((.., Err(Stopped::Fault(error)), ())) => Some(error.into()),
        Err(error) => Some(error),
    };
    if let Some(error) = refused {
        // Nothing came of it: the session from before is what it was, should it be gone already. What was ended meanwhile stays
        // ended, and what another tab has completed goes on there.
        let _ = sessions::forget(&provider.ephemeral, &session_id).await;
        let has_ended = sessions::has_ended(&provider.ephemeral, session.sign_in.session).await.unwrap_or(true);
        if let (Some(id), Some(before), false) = (&browser.session, same_person, is_answered || has_ended) {
            let _ = sessions::restore(&provider.ephemeral, id, before, now).await;
        }
        return Err(error);
    }
    let mut response = flow.redirect_to_authorize(provider)?;
    response.headers_mut().append(header::SET_COOKIE, cookies::set_session(&provider.config, &session_id));
    if let Some(name) = name {
        // It stays, so that nobody else's failures slow this person down here.
        response.headers_mut().append(header::SET_COOKIE, cookies::keep_browser(&provider.config, name));
        for forgotten in browser.forget_begun(&provider.config, name) {
            response.headers_mut().append(header::SET_COOKIE, forgotten);
        }
        let known = cookies::set_known(&provider.config, &browser.known, &known);
        response.headers_mut().append(header::SET_COOKIE, known);
    }
    Ok(response)
}

/// Writes the row by which the sign-in is listed and ended.
async fn write_row(
    provider: &Provider,
    browser: &Browser,
    flow: &Flow,
    id: &SessionId,
    session: &Session,
    now: NumericDate,
) -> Result<(), PageError> {
    let network = flow.network().to_string();
    let start = user_sessions::Start {
        session: session.sign_in.session,
        sub: &session.sign_in.sub,
        record: &id.digest(),
        browser: &browser.agent,
        network: &network,
        now,
        expires_at: session.expires_at,
    };
    if timely(user_sessions::start(&provider.db, &start)).await? {
        return Ok(());
    }
    // Ended by somebody else this very moment; the next try begins anew.
    Err(Problem::Busy.into())
}

async fn record(
    provider: &Provider,
    flow: &Flow,
    before: &Stored<Interaction>,
    here: SignedIn,
) -> Result<(), PageError> {
    let Some((id, _)) = &flow.interaction else { return Ok(()) };
    let after = Interaction { signed_in: Some(here), ..Interaction::clone(before) };
    if interactions::update(&provider.ephemeral, id, before, &after, true).await? {
        Ok(())
    } else {
        Err(PageError::from(Problem::AlreadyAnswered).back_to(Some(&flow.client)))
    }
}

fn page(
    provider: &Provider,
    browser: &Browser,
    flow: &Flow,
    typed: Option<String>,
    error: Option<&LoginError>,
) -> Result<Response, PageError> {
    let (Some((id, _)), Some(browser_id)) = (&flow.interaction, &browser.id) else {
        // An interaction that no browser has begun yet is begun at `/authorize`.
        return flow.redirect_to_authorize(provider);
    };
    let somebody = flow.signed_in.as_ref().map(|(_, user)| user);
    let chooses = flow.request.prompt.has(Prompt::SelectAccount) && !must_prove(flow) && error.is_none();
    let shown = LoginPage {
        page: Chrome::new(&provider.config, format!("Sign in to continue to {}", flow.client.display_name())),
        client_name: flow.client.display_name().to_owned(),
        interaction: id.expose().to_owned(),
        csrf: provider.secrets.form_token(browser_id, id),
        username: typed
            .or_else(|| flow.request.login_hint.clone())
            .or_else(|| somebody.filter(|_| !chooses).and_then(|user| user.username.clone()))
            .unwrap_or_default(),
        error: error.map(LoginError::text),
        continue_as: somebody.filter(|_| chooses).map(|user| user.display_name().to_owned()),
        signed_in_as: somebody.filter(|_| !chooses && error.is_none()).map(|user| user.display_name().to_owned()),
    };
    let (status, code, description) = match error {
        None => return Ok(pages::render(StatusCode::OK, &shown, false)),
        Some(LoginError::Wrong) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "sign_in_failed", "user name and password do not match")
        }
        Some(LoginError::TooMany(_)) => {
            (StatusCode::TOO_MANY_REQUESTS, "sign_in_throttled", "too many failed attempts")
        }
    };
    let mut response = pages::render(status, &shown, false);
    if let Some(LoginError::TooMany(later)) = error {
        response.headers_mut().insert(header::RETRY_AFTER, later.seconds.into());
    }
    let fix = match error {
        Some(LoginError::TooMany(_)) => {
            "Too many failures from one network. If people share it behind a proxy, name the proxy in \
             HALLPASS_TRUSTED_PROXIES; a browser that signed in before is not concerned."
        }
        _ => {
            "The person types them again. Is the user there, not disabled, and with a password? `hallpass user list` tells; \
             `hallpass user set-password NAME` gives another one."
        }
    };
    response.extensions_mut().insert(Note::of(code, description).with_fix(fix));
    Ok(response)
}
