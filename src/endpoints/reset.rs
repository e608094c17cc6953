//! `/reset`: a user sets a password by a one-time link. GET shows the form and spends nothing; POST spends the link and sets the
//! password, and then the user signs in as always.
//!
//! Without a link the page asks who has forgotten the password, and answers everyone alike: what comes of it is looked into after the
//! answer (`mailing`).
//!
//! The link's secret is what the form is proven by: who has it may set the password in any browser, so no cookie is asked for.

use crate::caller::{BrowserRequest, check_origin};
use crate::config::Config;
use crate::endpoints::link_request::{self, Shown};
use crate::endpoints::new_password::{self, Judged, Typed};
use crate::endpoints::{one_time_link, path};
use crate::mailing;
use crate::protocol::claims::User;
use crate::protocol::secret::LinkSecret;
use crate::protocol::text::MAX_NAME_BYTES;
use crate::provider::Provider;
use crate::store::timely;
use crate::store::user_links::{self, Purpose, Reset};
use crate::texts::{Text, text};
use crate::throttle::MailBudget;
use crate::web::answer::PageError;
use crate::web::fault::Fault;
use crate::web::pages::links::{LinkRequestForm, LinkUsedPage, NewPasswordPage};
use crate::web::pages::{self, Chrome};
use crate::web::problems::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// The form behind a link.
///
/// # Errors
/// A page: the link was used or has ended, a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    asked.params.refuse_duplicates().map_err(PageError::bad_request)?;
    if asked.params.get("link").is_none() {
        return Ok(request(&provider, &asked, "", None));
    }
    let (link, user) = one_time_link::open(&provider, &asked, Purpose::Password).await?;
    Ok(page(&provider, &link, &user, new_password::Said::default()))
}

/// Looks at a password, or sets it.
///
/// # Errors
/// A page: the form is another site's, the link was used or has ended, a doubled parameter, too much to do, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    asked.params.refuse_duplicates().map_err(PageError::bad_request)?;
    check_origin(&provider, &asked)?;
    if asked.params.get("link").is_none() {
        return ask(&provider, &asked).await;
    }
    let (link, user) = one_time_link::open(&provider, &asked, Purpose::Password).await?;
    let typed = Typed::of(&asked.params, text("link-password-missing"));
    let prepared = match new_password::judge(&provider, new_password::names_of(&user), typed).await? {
        Judged::Taken(prepared) => prepared,
        Judged::Said(said) => return Ok(page(&provider, &link, &user, said)),
    };
    // Before anything is spent.
    let made = provider.passwords.make(prepared).await.map_err(|_| Problem::Busy)?;
    let Some(password_hash) = made else { return Err(Fault::bug("a prepared password was not hashed").into()) };
    let network = asked.network.to_string();
    let (sub, now) = (user.sub.as_str(), asked.now);
    let reset = Reset { link: &link, sub, password_hash: &password_hash, network: &network, now };
    if !timely(user_links::reset(&provider.db, &reset)).await? {
        return Err(Problem::LinkOver.into());
    }
    // Not by an address of its own, which would say so to all who open it.
    Ok(pages::render(StatusCode::OK, &used(&provider), None))
}

/// Who has forgotten the password asks for a link. Known, unknown, disabled and throttled ones are answered alike, and as fast.
async fn ask(provider: &Arc<Provider>, asked: &BrowserRequest) -> Result<Response, PageError> {
    link_request::check_is_ours(provider, asked)?;
    let typed = asked.params.get("username").unwrap_or_default().trim();
    if provider.outgoing.mailer.is_none() {
        return Ok(request(provider, asked, typed, None));
    }
    if typed.is_empty() || typed.len() > MAX_NAME_BYTES {
        return Ok(request(provider, asked, typed, Some(text("reset-request-missing"))));
    }
    if link_request::may_be_mailed(provider, asked, MailBudget::Reset).await? {
        mailing::password_was_forgotten(provider, typed, asked.circumstances());
    }
    Ok(link_request::page(provider, asked, sent()))
}

/// The form without a link, and what is wrong with what was sent.
fn request(provider: &Provider, asked: &BrowserRequest, typed: &str, error: Option<Text<'static>>) -> Response {
    link_request::page(provider, asked, form(&provider.config, typed, error))
}

/// What the page without a link shows.
#[must_use]
pub fn form<'a>(config: &Config, typed: &str, error: Option<Text<'a>>) -> Shown<'a> {
    let has_mail = config.smtp_url.is_some();
    let form = LinkRequestForm {
        action: path::RESET,
        name: "username",
        label: text("login-username"),
        is_address: false,
        typed: typed.to_owned(),
        error,
        submit: text("reset-request-submit"),
    };
    Shown {
        heading: text("reset-request-heading"),
        lede: if has_mail { text("reset-request-lede") } else { text("reset-no-mail") },
        hint: None,
        form: has_mail.then_some(form),
    }
}

/// The same answer to everyone.
#[must_use]
pub fn sent() -> Shown<'static> {
    let (heading, lede) = (text("reset-asked-heading"), text("reset-asked"));
    Shown { heading, lede, hint: Some(text("link-request-hint")), form: None }
}

fn page(provider: &Provider, link: &LinkSecret, user: &User, said: new_password::Said) -> Response {
    let heading = text("reset-heading");
    let status = said.status();
    let page = NewPasswordPage {
        page: Chrome::new(&provider.config, &heading),
        heading,
        lede: Some(text("reset-lede")),
        action: path::RESET,
        link: link.expose().to_owned(),
        username: new_password::signs_in_as(user).unwrap_or_default().to_owned(),
        chooses_username: false,
        full_name: None,
        account: Some(user.username.clone().unwrap_or_else(|| user.display_name().to_owned())),
        error: said.error,
        field: said.field,
        strength: said.strength.map(new_password::told),
        advice: said.strength.map(new_password::advice),
        submit: text("reset-submit"),
    };
    pages::render(status, &page, None)
}

fn used(provider: &Provider) -> LinkUsedPage<'static> {
    let heading = text("reset-done-heading");
    LinkUsedPage { page: Chrome::new(&provider.config, &heading), heading, message: text("reset-done") }
}
