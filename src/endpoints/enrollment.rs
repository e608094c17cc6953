//! `/account/enrollment`: a user who has no second factor sets up the first one by a one-time link, where a password alone does not sign
//! them in any more. It takes both, the link and the password: neither does anything by itself.
//!
//! No session starts. GET shows a form and spends nothing; the password is asked for first, and what an authenticator app reads is
//! shown after that; the first code of the app spends the link. As at `/reset`, the link's secret is what the forms are proven by.

use crate::caller::{BrowserRequest, check_origin};
use crate::endpoints::account::factors::{form_of, learn, no_key};
use crate::endpoints::one_time_link::{self, PasswordForm, account};
use crate::endpoints::own_password::{self, Said};
use crate::endpoints::path;
use crate::protocol::claims::User;
use crate::protocol::secret::{LinkSecret, Password};
use crate::provider::Provider;
use crate::second_factor::enrolment::{
    Completed, Completion, Enrolment, Made, begin_enrolment, complete_enrolment, new_recovery_codes,
};
use crate::store::user_links::Purpose;
use crate::store::user_sessions::By;
use crate::texts::text;
use crate::web::answer::PageError;
use crate::web::pages::links::{EnrollmentAuthenticatorPage, EnrollmentCodesPage};
use crate::web::pages::{self, Chrome};
use crate::web::problems::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// A link, and whose it is.
struct Open {
    link: LinkSecret,
    user: User,
}

/// The form behind a link.
///
/// # Errors
/// A page: the link was used or has ended, or the user has a second factor; a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    asked.params.refuse_duplicates().map_err(PageError::bad_request)?;
    let open = open(&provider, &asked).await?;
    Ok(page(&provider, &asked, &open, Said::default()))
}

/// Asks for the password, or adds the authenticator with its first code.
///
/// # Errors
/// A page: the form is another site's, the link was used or has ended, or the user has a second factor; a doubled parameter, no
/// cookie, too much to do, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    asked.params.refuse_duplicates().map_err(PageError::bad_request)?;
    check_origin(&provider, &asked)?;
    let open = open(&provider, &asked).await?;
    if asked.params.get("action") == Some("complete") {
        return complete(&provider, &asked, &open).await;
    }
    let password = Password::received(asked.params.get("password").unwrap_or_default());
    let user = match own_password::ask(&provider, &asked, &open.user, password).await? {
        Ok(user) => user,
        Err(said) => return Ok(page(&provider, &asked, &open, said)),
    };
    match begin_enrolment(&provider, &user, Some(&open.link), asked.now) {
        Ok(enrolment) => Ok(show(&provider, &open, &enrolment, None)),
        Err(failure) => {
            let note = no_key(&failure, &user.sub);
            let said = Said { note: Some(note), ..Said::error(text("factors-unavailable")) };
            Ok(page(&provider, &asked, &open, said))
        }
    }
}

/// The link of a request, and its user, who has no second factor.
async fn open(provider: &Provider, asked: &BrowserRequest) -> Result<Open, PageError> {
    let (link, user) = one_time_link::open(provider, asked, Purpose::Factor).await?;
    // A further one is added by who signs in with the first.
    if user.has_second_factor() {
        return Err(Problem::LinkOver.into());
    }
    Ok(Open { link, user })
}

/// Adds the authenticator with its first code, and makes recovery codes. The token of the form was given to who had typed the password.
async fn complete(provider: &Provider, asked: &BrowserRequest, open: &Open) -> Result<Response, PageError> {
    let Open { link, user } = open;
    let typed = |name: &str| asked.params.get(name).unwrap_or_default();
    let network = asked.network.to_string();
    let completion = Completion { token: typed("token"), typed: typed("code"), name: typed("name"), link: Some(link) };
    let by = By::Person(&network);
    if user.is_locked(asked.now) && Enrolment::again(provider, user, completion, asked.now).is_some() {
        return Ok(page(provider, asked, open, Said::error(text("login-locked"))));
    }
    match complete_enrolment(provider, user, completion, by, asked.now).await? {
        Completed::Done { .. } => {}
        // The same secret is shown again: the app has it already.
        Completed::WrongCode => {
            return Ok(match Enrolment::again(provider, user, completion, asked.now) {
                Some(enrolment) => show(provider, open, &enrolment, Some(completion.name)),
                None => page(provider, asked, open, Said::error(text("factors-expired"))),
            });
        }
        Completed::Expired => return Ok(page(provider, asked, open, Said::error(text("factors-expired")))),
        Completed::TooMany | Completed::LinkGone => return Err(Problem::LinkOver.into()),
    }
    learn(provider, &user.sub, asked.now).await?;
    // Without them the user has the authenticator all the same, and makes them at the account page.
    let codes = match new_recovery_codes(provider, &user.sub, by, asked.now).await? {
        Made::Codes(codes) => codes.iter().map(|code| code.expose().to_owned()).collect(),
        Made::NoKey(_) | Made::NoUser => Vec::new(),
    };
    let heading = if codes.is_empty() { text("enrollment-done-heading") } else { text("codes-heading") };
    let page = EnrollmentCodesPage { page: Chrome::new(&provider.config, &heading), heading, codes };
    Ok(pages::render(StatusCode::OK, &page, None))
}

fn page(provider: &Provider, asked: &BrowserRequest, open: &Open, said: Said) -> Response {
    let form = PasswordForm {
        heading: text("enrollment-heading"),
        lede: text("enrollment-lede"),
        action: path::ENROLLMENT,
        submit: text("second-factor-continue"),
        link: &open.link,
        user: &open.user,
    };
    one_time_link::ask_for_password(provider, asked, form, said)
}

/// The page with the secret of the authenticator; `wrong` has the name that was typed beside a code that was none.
fn show(provider: &Provider, open: &Open, enrolment: &Enrolment, wrong: Option<&str>) -> Response {
    let (status, form) = form_of(enrolment, wrong);
    let page = EnrollmentAuthenticatorPage {
        page: Chrome::new(&provider.config, &text("authenticator-heading")),
        link: open.link.expose().to_owned(),
        account: account(&open.user),
        form,
    };
    pages::render(status, &page, None)
}
