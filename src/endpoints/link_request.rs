//! A link that one asks for by mail, at `/reset` and `/sign-up`: whether the request may, and the page. Everyone is answered alike, and
//! what comes of it is looked into after the answer (`mailing`).

use crate::caller::BrowserRequest;
use crate::provider::Provider;
use crate::texts::Text;
use crate::throttle::{self, MailBudget};
use crate::web::answer::PageError;
use crate::web::pages::links::{LinkRequestForm, LinkRequestPage};
use crate::web::pages::{self, Chrome};
use crate::web::problems::Problem;
use axum::http::StatusCode;
use axum::response::Response;

/// The longest parameter that the page hands on, in bytes.
const MOST_BROUGHT: usize = 200;

/// Whether a form is from a page of ours. There is no secret in it: a page that hides where it is from could use up the budget of its
/// visitors' network.
///
/// # Errors
/// A page: it is not.
pub fn check_is_ours(provider: &Provider, asked: &BrowserRequest) -> Result<(), PageError> {
    if asked.is_from_ours(&provider.config) { Ok(()) } else { Err(Problem::FormOfAnotherOrigin.into()) }
}

/// Counts a mail that is asked for; `false`: there were more than a network may, which the answer does not tell.
///
/// # Errors
/// A page: a store failed.
pub async fn may_be_mailed(provider: &Provider, asked: &BrowserRequest, budget: MailBudget) -> Result<bool, PageError> {
    let may = throttle::mail_from(&provider.throttle, &provider.ephemeral, asked.network, budget).await?;
    if !may {
        tracing::warn!(network = %asked.network, "more links by mail are asked for than one network may; none is sent");
    }
    Ok(may)
}

/// What the page says.
pub struct Shown<'a> {
    /// What it is about.
    pub heading: Text<'static>,
    /// In a sentence.
    pub lede: Text<'a>,
    /// In small print.
    pub hint: Option<Text<'static>>,
    /// What is typed.
    pub form: Option<LinkRequestForm<'a>>,
}

/// The page, from which one returns to the sign-in that waits.
pub fn page(provider: &Provider, asked: &BrowserRequest, shown: Shown<'_>) -> Response {
    let Shown { heading, lede, hint, form } = shown;
    let is_odd = form.as_ref().is_some_and(|form| form.error.is_some());
    let brought =
        |name: &str| asked.params.get(name).filter(|text| text.len() <= MOST_BROUGHT).unwrap_or_default().to_owned();
    let page = LinkRequestPage {
        page: Chrome::new(&provider.config, &heading),
        heading,
        lede,
        hint,
        form,
        interaction: brought("interaction"),
        client_id: brought("client"),
    };
    let status = if is_odd { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    pages::render(status, &page, None)
}
