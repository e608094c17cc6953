//! `/account/second-factor`: authenticators are added with their first code and removed, recovery codes are made and shown once.
//!
//! All of it wants a fresh sign-in by every factor that the account has: a stolen password alone adds nothing to an account that has
//! a second factor, and takes nothing away.

use super::{Done, Here, Purpose, Visit};
use crate::caller::BrowserRequest;
use crate::failure::Failure;
use crate::protocol::factor_secret::FactorKind;
use crate::protocol::own_page::OwnPage;
use crate::protocol::time::NumericDate;
use crate::protocol::totp::Shown;
use crate::provider::Provider;
use crate::second_factor::enrolment::{
    Completed, Completion, Enrolment, MOST_AUTHENTICATORS, Made, begin_enrolment, complete_enrolment,
    first_recovery_codes, other_recovery_codes,
};
use crate::second_factor::{self, Listed};
use crate::store::user_sessions::By;
use crate::store::{timely, users};
use crate::texts::{Text, text};
use crate::web::answer::{Note, PageError};
use crate::web::pages::Chrome;
use crate::web::pages::account::Moment;
use crate::web::pages::factors::{AppForm, AuthenticatorPage, FactorLine, FactorsPage, Picture, RecoveryCodesPage};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// What the page says beside its lists.
#[derive(Default)]
pub(super) struct Said {
    pub error: Option<Text<'static>>,
    pub note: Option<Note>,
}

impl Said {
    pub fn error(error: Text<'static>) -> Self {
        Self { error: Some(error), note: None }
    }
}

/// The page. It wants a fresh sign-in.
///
/// # Errors
/// A page: a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    match Visit::open(&provider, &asked, OwnPage::SecondFactor, true).await? {
        Visit::Here(here) => page(&provider, &asked, &here, Said::default()).await,
        Visit::SignIn(response) => Ok(response),
    }
}

/// What a form of the page does.
#[derive(Clone, Copy)]
enum Action {
    Begin,
    Complete,
    Remove,
    MakeCodes,
}

impl Action {
    fn of(asked: &BrowserRequest) -> Option<Self> {
        Some(match asked.params.get("action")? {
            "begin" => Self::Begin,
            "complete" => Self::Complete,
            "remove" => Self::Remove,
            "make_codes" => Self::MakeCodes,
            _ => return None,
        })
    }

    const fn purpose(self) -> Purpose {
        match self {
            Self::Begin => Purpose::BeginAuthenticator,
            Self::Complete => Purpose::AddAuthenticator,
            Self::Remove => Purpose::RemoveFactor,
            Self::MakeCodes => Purpose::MakeCodes,
        }
    }
}

/// Begins to add an authenticator, adds it, removes one, or makes recovery codes. It wants a fresh sign-in.
///
/// # Errors
/// A page: the form is not ours, a doubled parameter, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let action = Action::of(&asked).unwrap_or(Action::Begin);
    let here = match Visit::by_form(&provider, &asked, OwnPage::SecondFactor, action.purpose(), true).await? {
        Visit::Here(here) => here,
        Visit::SignIn(response) => return Ok(response),
    };
    match action {
        Action::Begin => begin(&provider, &asked, &here).await,
        Action::Complete => complete(&provider, &asked, &here).await,
        Action::Remove => remove(&provider, &asked, &here).await,
        Action::MakeCodes => make_codes(&provider, &asked, &here, text("factors-codes-made")).await,
    }
}

/// Shows what an authenticator app reads. Nothing is stored.
async fn begin(provider: &Provider, asked: &BrowserRequest, here: &Here) -> Result<Response, PageError> {
    let held = listed(provider, here).await?;
    if !may_add(&held) {
        return page(provider, asked, here, Said::error(too_many())).await;
    }
    match begin_enrolment(provider, &here.user, None, here.now) {
        Ok(enrolment) => Ok(show(provider, asked, here, &enrolment, None)),
        Err(failure) => {
            let note = no_key(&failure, &here.user.sub);
            page(provider, asked, here, Said { error: Some(text("factors-unavailable")), note: Some(note) }).await
        }
    }
}

/// Adds the authenticator with its first code. With the first one, recovery codes are made.
async fn complete(provider: &Provider, asked: &BrowserRequest, here: &Here) -> Result<Response, PageError> {
    let typed = |name: &str| asked.params.get(name).unwrap_or_default();
    let network = asked.network.to_string();
    let completion = Completion { token: typed("token"), typed: typed("code"), name: typed("name"), link: None };
    let completed = complete_enrolment(provider, &here.user, completion, By::Person(&network), here.now).await?;
    match completed {
        Completed::Done { .. } => {
            learn(provider, &here.user.sub, here.now).await?;
            match first_recovery_codes(provider, &here.user.sub, By::Person(&network), here.now).await? {
                None => here.done(provider, Done::AuthenticatorAdded),
                Some(made) => codes_or_not(provider, asked, here, made, text("factors-added")).await,
            }
        }
        // The same secret is shown again: the app has it already.
        Completed::WrongCode => match Enrolment::again(provider, &here.user, completion, here.now) {
            Some(enrolment) => Ok(show(provider, asked, here, &enrolment, Some(completion.name))),
            None => page(provider, asked, here, Said::error(text("factors-expired"))).await,
        },
        Completed::Expired | Completed::LinkGone => {
            page(provider, asked, here, Said::error(text("factors-expired"))).await
        }
        Completed::TooMany => page(provider, asked, here, Said::error(too_many())).await,
    }
}

/// Removes a factor of this user; another's is answered like one that was never there.
async fn remove(provider: &Provider, asked: &BrowserRequest, here: &Here) -> Result<Response, PageError> {
    let named = asked.params.get("factor").filter(|factor| factor.len() < 100).unwrap_or_default();
    match removed(provider, asked, here, named).await? {
        Gone::Last => page(provider, asked, here, Said::error(text("factors-demanded"))).await,
        Gone::Now => here.done(provider, Done::FactorRemoved),
        Gone::Before => here.done(provider, Done::FactorGone),
    }
}

/// How the removal of a factor ended.
pub(super) enum Gone {
    /// It is removed.
    Now,
    /// It was not there.
    Before,
    /// It stays: the user has to have a second factor, and has no other.
    Last,
}

/// Removes a factor or passkey of this user.
pub(super) async fn removed(
    provider: &Provider,
    asked: &BrowserRequest,
    here: &Here,
    named: &str,
) -> Result<Gone, PageError> {
    let network = asked.network.to_string();
    let by = (By::Person(&network), here.user.demanded_days(here.now).is_some());
    let removing = second_factor::remove_unless_last(&provider.db, &here.user, named, by, here.now);
    let removed = timely(removing).await?;
    learn(provider, &here.user.sub, here.now).await?;
    Ok(match removed {
        removed if removed.is_last => Gone::Last,
        removed if removed.is_change() => Gone::Now,
        _ => Gone::Before,
    })
}

/// Makes recovery codes, which replace those there are, and shows them once.
async fn make_codes(
    provider: &Provider,
    asked: &BrowserRequest,
    here: &Here,
    message: Text<'static>,
) -> Result<Response, PageError> {
    let network = asked.network.to_string();
    let made = other_recovery_codes(provider, &here.user, By::Person(&network), here.now).await?;
    codes_or_not(provider, asked, here, made, message).await
}

/// Shows recovery codes that were made, or that none were.
async fn codes_or_not(
    provider: &Provider,
    asked: &BrowserRequest,
    here: &Here,
    made: Made,
    message: Text<'static>,
) -> Result<Response, PageError> {
    match made {
        Made::Codes(codes) => Ok(codes_page(provider, asked, here, &codes, message)),
        Made::NoKey(_) | Made::NoUser => page(provider, asked, here, Said::error(text("factors-unavailable"))).await,
    }
}

/// Shows recovery codes, once.
pub(super) fn codes_page(
    provider: &Provider,
    asked: &BrowserRequest,
    here: &Here,
    codes: &[Shown],
    message: Text<'static>,
) -> Response {
    let page = RecoveryCodesPage {
        page: Chrome::new(&provider.config, &text("codes-heading")),
        tabs: here.tabs(provider, asked),
        codes: codes.iter().map(|code| code.expose().to_owned()).collect(),
        message,
    };
    here.render(provider, StatusCode::OK, &page)
}

/// What the log says where no factor key seals.
pub(in crate::endpoints) fn no_key(failure: &Failure, sub: &str) -> Note {
    Note::of("factor_key_missing", "no second factor can be added now", failure.fix().unwrap_or_default())
        .because("factor_key_missing", failure.to_string())
        .of_user(Some(sub))
}

/// This node knows the user as they are now; others do within ten seconds.
pub(in crate::endpoints) async fn learn(provider: &Provider, sub: &str, now: NumericDate) -> Result<(), PageError> {
    if let Some(user) = timely(users::find(&provider.db, sub)).await? {
        provider.directory.know_user(user, now);
    }
    Ok(())
}

/// What an app reads, and the form; `wrong` has the name that was typed beside a code that was none.
pub(in crate::endpoints) fn form_of(enrolment: &Enrolment, wrong: Option<&str>) -> (StatusCode, AppForm) {
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let form = AppForm {
        picture: enrolment.picture().map(|(size, path)| Picture { size, path: path.expose().to_owned() }),
        uri: enrolment.uri().expose().to_owned(),
        typed: enrolment.typed().expose().to_owned(),
        token: enrolment.token().to_owned(),
        name: wrong.unwrap_or_default().to_owned(),
        error: wrong.map(|_| text("authenticator-wrong")),
    };
    (status, form)
}

async fn listed(provider: &Provider, here: &Here) -> Result<Vec<Listed>, PageError> {
    let keys = provider.factor_keys.current();
    Ok(second_factor::list(&provider.db, &keys, &here.user.sub, here.now).await?)
}

fn is_of(held: &Listed, kind: FactorKind) -> bool {
    held.kind == kind.as_str()
}

fn may_add(held: &[Listed]) -> bool {
    let most = usize::try_from(MOST_AUTHENTICATORS).unwrap_or(usize::MAX);
    held.iter().filter(|held| is_of(held, FactorKind::Totp)).count() < most
}

fn too_many() -> Text<'static> {
    text("factors-too-many").counting("most", MOST_AUTHENTICATORS)
}

async fn page(provider: &Provider, asked: &BrowserRequest, here: &Here, said: Said) -> Result<Response, PageError> {
    let held = listed(provider, here).await?;
    let codes = held.iter().find(|held| is_of(held, FactorKind::RecoveryCodes));
    let line = |held: &Listed| FactorLine {
        factor_id: held.factor_id.clone(),
        name: Some(held.name.clone()).filter(|name| !name.is_empty()),
        since: Moment::of(held.created_at),
        used: held.used_at.map(Moment::of),
    };
    let status = if said.error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let shown = FactorsPage {
        page: Chrome::new(&provider.config, &text("factors-heading")),
        tabs: here.tabs(provider, asked),
        can_add: may_add(&held),
        has_codes: codes.is_some(),
        codes_left: codes.and_then(|codes| codes.left).and_then(|left| i64::try_from(left).ok()),
        authenticators: held.iter().filter(|held| is_of(held, FactorKind::Totp)).map(line).collect(),
        passkeys: here.user.passkeys,
        is_demanded: here.user.demanded_days(here.now).is_some(),
        error: said.error,
        csrf_begin: here.csrf(provider, Purpose::BeginAuthenticator),
        csrf_remove: here.csrf(provider, Purpose::RemoveFactor),
        csrf_codes: here.csrf(provider, Purpose::MakeCodes),
    };
    let mut response = here.render(provider, status, &shown);
    if let Some(note) = said.note {
        response.extensions_mut().insert(note);
    }
    Ok(response)
}

/// The page with the secret of an authenticator; `wrong` has the name that was typed beside a code that was none.
fn show(
    provider: &Provider,
    asked: &BrowserRequest,
    here: &Here,
    enrolment: &Enrolment,
    wrong: Option<&str>,
) -> Response {
    let (status, form) = form_of(enrolment, wrong);
    let shown = AuthenticatorPage {
        page: Chrome::new(&provider.config, &text("authenticator-heading")),
        tabs: here.tabs(provider, asked),
        form,
        csrf: here.csrf(provider, Purpose::AddAuthenticator),
    };
    here.render(provider, status, &shown)
}
