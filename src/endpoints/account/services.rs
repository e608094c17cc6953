//! `/account/services`: which services have something of the user, and taking it back.

use super::{Done, Purpose, Visit};
use crate::caller::BrowserRequest;
use crate::protocol::client::web_address;
use crate::protocol::own_page::OwnPage;
use crate::protocol::response::ConsentPolicy;
use crate::protocol::scope::Scope;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::user_grants::{self, Consent, Family};
use crate::store::{access_tokens, timely};
use crate::texts::{Catalog, text};
use crate::tokens::LONGEST_ACCESS_TOKEN;
use crate::web::answer::PageError;
use crate::web::pages::account::{GrantLine, Moment, ServicesPage};
use crate::web::pages::{Chrome, ScopeLine};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The longest `client_id` that is looked up, in bytes.
const LONGEST_CLIENT_ID: usize = 255;

/// What one service has.
struct Held {
    name: String,
    url: Option<String>,
    consent: String,
    scope: Scope,
    has_more: bool,
    since: i64,
    is_connected: bool,
}

impl Held {
    fn of_consent(given: Consent) -> (String, Self) {
        let held = Self {
            name: given.client_name,
            url: given.client_uri,
            consent: given.consent,
            scope: Scope::from(given.scope_given),
            has_more: given.claims.is_some_and(|claims| !claims.trim().is_empty()),
            since: given.granted_at,
            is_connected: false,
        };
        (given.client_id, held)
    }

    fn of_family(family: Family) -> (String, Self) {
        let held = Self {
            name: family.client_name,
            url: family.client_uri,
            consent: family.consent,
            has_more: !family.authorization.shown.is_empty(),
            scope: family.authorization.scope,
            since: family.issued_at,
            is_connected: true,
        };
        (family.client_id, held)
    }

    fn and(self, other: &Self) -> Self {
        Self {
            scope: self.scope.union(&other.scope),
            has_more: self.has_more || other.has_more,
            since: self.since.min(other.since),
            is_connected: self.is_connected || other.is_connected,
            ..self
        }
    }

    fn line(self, client_id: &str, texts: &Catalog) -> GrantLine {
        let tokens = self.scope.tokens().filter(|token| *token != "openid");
        // What it may do while the user is away is said in a sentence.
        let told = tokens.filter(|token| *token != "offline_access");
        let mut scopes: Vec<ScopeLine> = told.map(|token| ScopeLine::of(token, texts)).collect();
        scopes.extend(self.has_more.then(|| ScopeLine::beyond_scopes(texts)));
        GrantLine {
            name: if self.name.is_empty() { client_id.to_owned() } else { self.name },
            url: self.url.filter(|url| web_address(url).is_some()),
            since: Moment::of(NumericDate(self.since)),
            told: GrantLine::told(&scopes),
            is_connected: self.is_connected,
            is_given_by_organization: self.consent == ConsentPolicy::Skip.as_str(),
            client_id: client_id.to_owned(),
        }
    }
}

/// The page.
///
/// # Errors
/// A page: a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let here = match Visit::open(&provider, &asked, OwnPage::Services, false).await? {
        Visit::Here(here) => here,
        Visit::SignIn(response) => return Ok(response),
    };
    let (sub, idle_lifetime) = (&here.user.sub, provider.config.refresh_token_idle_lifetime);
    let consents = timely(user_grants::consents(&provider.db, sub)).await?;
    let families = timely(user_grants::families(&provider.db, sub, idle_lifetime, here.now)).await?;
    // One of before the password was changed is of no use to its client.
    let holds = |family: &Family| family.authorization.sign_in.as_ref().is_some_and(|it| it.holds(&here.user));
    let mut held: BTreeMap<String, Held> = BTreeMap::new();
    let all = consents.into_iter().map(Held::of_consent);
    for (client_id, one) in all.chain(families.into_iter().filter(holds).map(Held::of_family)) {
        let both = match held.remove(&client_id) {
            Some(known) => known.and(&one),
            None => one,
        };
        held.insert(client_id, both);
    }
    let page = Chrome::new(&provider.config, &text("services-heading"));
    let mut services: Vec<GrantLine> =
        held.into_iter().map(|(client_id, held)| held.line(&client_id, &page.texts)).collect();
    services.sort_by_cached_key(|service| service.name.to_lowercase());
    let page = ServicesPage {
        page,
        tabs: here.tabs(&provider, &asked),
        services,
        csrf: here.csrf(&provider, Purpose::TakeBack),
    };
    Ok(here.render(&provider, StatusCode::OK, &page))
}

/// Takes back what a service has of this user: it has to ask anew, and its refresh tokens and what was issued by them are dead.
///
/// # Errors
/// A page: the form is not ours, a doubled parameter, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, asked: BrowserRequest) -> Result<Response, PageError> {
    let here = match Visit::by_form(&provider, &asked, OwnPage::Services, Purpose::TakeBack, false).await? {
        Visit::Here(here) => here,
        Visit::SignIn(response) => return Ok(response),
    };
    let client_id = asked.params.get("client").filter(|id| id.len() <= LONGEST_CLIENT_ID).unwrap_or_default();
    let (sub, network) = (&here.user.sub, asked.network.to_string());
    let taken = timely(user_grants::take_back(&provider.db, sub, client_id, &network, here.now)).await?;
    provider.directory.forget_consent(sub, client_id);
    let Some(families) = taken else { return here.done(&provider, Done::NothingToTakeBack) };
    // The families stay dead in SQL; the markers end the access tokens that are out.
    for family in families {
        access_tokens::revoke_grant(&provider.ephemeral, family, LONGEST_ACCESS_TOKEN).await?;
    }
    here.done(&provider, Done::TakenBack)
}
