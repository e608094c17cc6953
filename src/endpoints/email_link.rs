//! `/account/email/confirmation`: an address becomes a user's by the link that was mailed there and the password. The link alone does
//! nothing: an address that was mistyped is a stranger's, and the stranger would have the account by it.
//!
//! GET shows the form and spends nothing; POST spends the link. As at `/reset`, its secret is what the form is proven by.

use crate::caller::{BrowserRequest, check_origin};
use crate::endpoints::account::factors::learn;
use crate::endpoints::one_time_link::{self, PasswordForm};
use crate::endpoints::own_password::{self, Said};
use crate::endpoints::path;
use crate::protocol::claims::User;
use crate::protocol::secret::{LinkSecret, Password};
use crate::provider::Provider;
use crate::store::timely;
use crate::store::user_links::{self, Confirmation};
use crate::texts::text;
use crate::web::answer::PageError;
use crate::web::pages::links::LinkUsedPage;
use crate::web::pages::{self, Chrome};
use crate::web::problems::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// A link, whose it is, and the address that it is for.
struct Open {
    link: LinkSecret,
    user: User,
    email: String,
}

impl Open {
    async fn of(provider: &Provider, asked: &BrowserRequest) -> Result<Self, PageError> {
        asked.params.refuse_duplicates().map_err(PageError::bad_request)?;
        let link = one_time_link::secret_of(asked)?;
        let found = timely(user_links::find_email(&provider.db, &link, asked.now)).await?;
        let (user, email) = found.ok_or(Problem::LinkOver)?;
        Ok(Self { link, user, email })
    }
}

/// The form behind a link.
///
/// # Errors
/// A page: the link was used or has ended, a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let open = Open::of(&provider, &asked).await?;
    Ok(page(&provider, &asked, &open, Said::default()))
}

/// Asks for the password, and makes the address the user's.
///
/// # Errors
/// A page: the form is another site's, the link was used or has ended, or the address is another user's by now; a doubled parameter, no
/// cookie, too much to do, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    check_origin(&provider, &asked)?;
    let open = Open::of(&provider, &asked).await?;
    let password = Password::received(asked.params.get("password").unwrap_or_default());
    let user = match own_password::ask(&provider, &asked, &open.user, password).await? {
        Ok(user) => user,
        Err(said) => return Ok(page(&provider, &asked, &open, said)),
    };
    let network = asked.network.to_string();
    let (sub, email, now) = (user.sub.as_str(), open.email.as_str(), asked.now);
    let confirmation = Confirmation { link: &open.link, sub, email, network: &network, now };
    if !timely(user_links::confirm_email(&provider.db, &confirmation)).await? {
        return Err(Problem::LinkOver.into());
    }
    learn(&provider, sub, now).await?;
    let heading = text("email-confirmed-heading");
    let page = Chrome::new(&provider.config, &heading);
    let done = LinkUsedPage { page, heading, message: text("email-confirmed").with("address", email) };
    Ok(pages::render(StatusCode::OK, &done, None))
}

fn page(provider: &Provider, asked: &BrowserRequest, open: &Open, said: Said) -> Response {
    let form = PasswordForm {
        heading: text("email-confirm-heading"),
        lede: text("email-confirm-lede").with("address", &open.email),
        action: path::EMAIL_LINK,
        submit: text("email-confirm"),
        link: &open.link,
        user: &open.user,
    };
    one_time_link::ask_for_password(provider, asked, form, said)
}
