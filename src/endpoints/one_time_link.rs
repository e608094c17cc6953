//! The one-time link of a request: its secret, whose it is, and the page that asks for the password beside it.

use crate::ambient::random;
use crate::caller::BrowserRequest;
use crate::endpoints::new_password::signs_in_as;
use crate::endpoints::own_password::{self, Said};
use crate::protocol::claims::User;
use crate::protocol::secret::{BrowserId, LinkSecret};
use crate::provider::Provider;
use crate::store::timely;
use crate::store::user_links::{self, Purpose};
use crate::texts::Text;
use crate::web::answer::PageError;
use crate::web::cookies;
use crate::web::pages::links::LinkPasswordPage;
use crate::web::pages::{self, Chrome};
use crate::web::problems::Problem;
use axum::http::header;
use axum::response::Response;

/// The secret, if the request has something of its form.
///
/// # Errors
/// A page: it has not.
pub fn secret_of(asked: &BrowserRequest) -> Result<LinkSecret, PageError> {
    let link = asked.params.get("link").and_then(user_links::received);
    link.ok_or_else(|| Problem::LinkOver.into())
}

/// The secret, and the user whose link for that it is.
///
/// # Errors
/// A page: the link was used, has ended, or never was; or the store failed.
pub async fn open(
    provider: &Provider,
    asked: &BrowserRequest,
    purpose: Purpose,
) -> Result<(LinkSecret, User), PageError> {
    let link = secret_of(asked)?;
    let found = timely(user_links::find(&provider.db, &link, purpose, asked.now)).await?;
    Ok((link, found.ok_or(Problem::LinkOver)?))
}

/// The page behind a link that does nothing without the password.
#[derive(Clone, Copy)]
pub struct PasswordForm<'a> {
    /// What it is about.
    pub heading: Text<'static>,
    /// In a sentence.
    pub lede: Text<'a>,
    /// Where the form goes, below the issuer.
    pub action: &'static str,
    /// What the button says.
    pub submit: Text<'static>,
    /// The link.
    pub link: &'a LinkSecret,
    /// Whose it is.
    pub user: &'a User,
}

/// Shows it. A browser without a name is given one, as wrong passwords are counted by browser as well.
pub fn ask_for_password(provider: &Provider, asked: &BrowserRequest, form: PasswordForm<'_>, said: Said) -> Response {
    let (status, wait) = (said.status(), said.wait(asked.now));
    let Said { error, later, note } = said;
    let PasswordForm { heading, lede, action, submit, link, user } = form;
    let page = LinkPasswordPage {
        page: Chrome::new(&provider.config, &heading),
        heading,
        lede,
        action,
        submit,
        link: link.expose().to_owned(),
        account: account(user),
        username: signs_in_as(user).unwrap_or_default().to_owned(),
        error,
        wait,
    };
    let mut response = own_password::finished(pages::render(status, &page, None), later, note);
    if asked.browser.id.is_none() {
        let named = cookies::set_browser(&provider.config, &BrowserId::from_random(&random::<32>()));
        response.headers_mut().append(header::SET_COOKIE, named);
    }
    response
}

/// Who it is, as the pages show it.
#[must_use]
pub fn account(user: &User) -> String {
    signs_in_as(user).unwrap_or_else(|| user.display_name()).to_owned()
}
