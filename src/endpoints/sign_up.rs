//! `/sign-up`: one who has no account makes one, where `HALLPASS_SIGN_UP` lets them. Without a link the page asks for an address in one
//! of the domains, and mails a link there; with the link it is the page of an invitation. No account is there before its link was used.
//!
//! `prompt=create` leads here: [Initiating User Registration 1.0](https://openid.net/specs/openid-connect-prompt-create-1_0.html).

use crate::caller::BrowserRequest;
use crate::config::SignUp;
use crate::endpoints::link_request::{self, Shown};
use crate::endpoints::{invitation, path};
use crate::mailing;
use crate::protocol::text::{fold_email, is_typed_mailbox};
use crate::provider::Provider;
use crate::store::user_links::Entry;
use crate::texts::{Text, text};
use crate::throttle::MailBudget;
use crate::web::answer::PageError;
use crate::web::pages::links::LinkRequestForm;
use crate::web::problems::Problem;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

/// What is between the domains, where a page lists them.
pub const BETWEEN: &str = ", ";

/// The page: the form for an address, or behind a link the one for the account.
///
/// # Errors
/// A page: no one signs up here, the link was used or has ended, a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    asked.params.refuse_duplicates().map_err(PageError::bad_request)?;
    match &provider.config.sign_up {
        SignUp::Off => Err(Problem::NothingHere.into()),
        SignUp::Domains(_) if asked.params.get("link").is_some() => {
            invitation::show(&provider, &asked, Entry::SignUp).await
        }
        SignUp::Domains(domains) => {
            // The service may know it.
            let hint = asked.params.get("login_hint").filter(|hint| is_typed_mailbox(hint)).unwrap_or_default();
            Ok(link_request::page(&provider, &asked, form(&domains.join(BETWEEN), hint, None)))
        }
        SignUp::Invitation => Ok(link_request::page(&provider, &asked, invited_only())),
    }
}

/// Queues the mail with the link; or behind a link, looks at a password, or adds the user.
///
/// # Errors
/// A page: the form is another site's, no one signs up here, the link was used or has ended, a doubled parameter, too much to do, or a
/// store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    asked.params.refuse_duplicates().map_err(PageError::bad_request)?;
    match &provider.config.sign_up {
        SignUp::Off => Err(Problem::NothingHere.into()),
        SignUp::Domains(_) if asked.params.get("link").is_some() => {
            invitation::take(&provider, &asked, Entry::SignUp).await
        }
        SignUp::Domains(domains) => ask(&provider, &asked, domains).await,
        SignUp::Invitation => Ok(link_request::page(&provider, &asked, invited_only())),
    }
}

/// An account is asked for. Whether there is one already, or as many links are open as may be, is answered alike, and as fast.
async fn ask(provider: &Arc<Provider>, asked: &BrowserRequest, domains: &[String]) -> Result<Response, PageError> {
    link_request::check_is_ours(provider, asked)?;
    let typed = asked.params.get("email").unwrap_or_default().trim();
    let domains = domains.join(BETWEEN);
    let odd = if !is_typed_mailbox(typed) {
        Some(text("sign-up-odd"))
    } else if !provider.config.sign_up.admits(typed) {
        Some(elsewhere(&domains))
    } else {
        None
    };
    if odd.is_some() {
        return Ok(link_request::page(provider, asked, form(&domains, typed, odd)));
    }
    if link_request::may_be_mailed(provider, asked, MailBudget::SignUp).await? {
        mailing::account_was_asked_for(provider, fold_email(typed), asked.circumstances());
    }
    Ok(link_request::page(provider, asked, sent(typed)))
}

/// What is said to an address that is in none of the domains.
#[must_use]
pub fn elsewhere(domains: &str) -> Text<'_> {
    text("sign-up-elsewhere").with("domains", domains)
}

/// The form, and what is wrong with what was sent.
#[must_use]
pub fn form<'a>(domains: &'a str, typed: &str, error: Option<Text<'a>>) -> Shown<'a> {
    let form = LinkRequestForm {
        action: path::SIGN_UP,
        name: "email",
        label: text("sign-up-address"),
        is_address: true,
        typed: typed.to_owned(),
        error,
        submit: text("sign-up-submit"),
    };
    Shown {
        heading: text("sign-up-heading"),
        lede: text("sign-up-lede").with("domains", domains),
        hint: None,
        form: Some(form),
    }
}

/// The same answer to everyone.
#[must_use]
pub fn sent(typed: &str) -> Shown<'_> {
    Shown {
        heading: text("reset-asked-heading"),
        lede: text("sign-up-asked").with("address", typed),
        hint: Some(text("link-request-hint")),
        form: None,
    }
}

/// To who needs an invitation.
#[must_use]
pub fn invited_only() -> Shown<'static> {
    Shown {
        heading: text("sign-up-invitation-heading"),
        lede: text("sign-up-invitation"),
        hint: Some(text("sign-up-invitation-hint")),
        form: None,
    }
}
