//! `/account`: who the user is, and what services can be told.

use super::Visit;
use crate::caller::BrowserRequest;
use crate::protocol::own_page::OwnPage;
use crate::provider::Provider;
use crate::store::{facts, timely};
use crate::texts::text;
use crate::web::answer::PageError;
use crate::web::pages::account::{AccountPage, listed};
use crate::web::pages::{Chrome, ClaimLine};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What has a line of its own.
const SHOWN_ABOVE: [&str; 3] = ["name", "email", "preferred_username"];

/// The page.
///
/// # Errors
/// A page: a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let here = match Visit::open(&provider, &asked, OwnPage::Account, false).await? {
        Visit::Here(here) => here,
        Visit::SignIn(response) => return Ok(response),
    };
    let user = &here.user;
    let facts = timely(facts::find(&provider.db, &user.sub)).await?;
    let claim = |name: &str| user.claims.get(name);
    let standard = user.claims.iter().filter(|(name, _)| !SHOWN_ABOVE.contains(&name.as_str()));
    let page = Chrome::new(&provider.config, &text("account-heading"));
    let texts = &page.texts;
    let mut claims: Vec<ClaimLine> = standard.filter_map(|(name, value)| ClaimLine::of(name, value, texts)).collect();
    let called = claim("preferred_username").filter(|name| name.as_str() != user.username.as_deref());
    claims.extend(called.and_then(|name| ClaimLine::of("nickname", name, texts)));
    let further: BTreeSet<&str> = facts.claims.iter().map(|fact| fact.claim.as_str()).collect();
    let further =
        further.into_iter().filter_map(|name| Some(ClaimLine::own(name, &facts.claim(name, here.now)?, texts)));
    claims.extend(further);
    let page = AccountPage {
        page,
        tabs: here.tabs(&provider, &asked),
        user_name: user.display_name().to_owned(),
        username: user.username.clone(),
        email: user.email().map(str::to_owned),
        has_mail: provider.outgoing.mailer.is_some(),
        email_is_verified: user.email_is_verified(),
        groups: listed(facts.groups(here.now)),
        claims,
        sub: user.sub.clone(),
    };
    Ok(here.render(&provider, StatusCode::OK, &page))
}
