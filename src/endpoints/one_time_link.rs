//! The one-time link of a request: its secret, and whose it is.

use crate::caller::BrowserRequest;
use crate::protocol::claims::User;
use crate::protocol::secret::LinkSecret;
use crate::provider::Provider;
use crate::store::timely;
use crate::store::user_links::{self, Purpose};
use crate::web::answer::PageError;
use crate::web::problems::Problem;

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
