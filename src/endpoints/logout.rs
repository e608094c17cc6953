//! `/logout`: RP-Initiated Logout 1.0, with Back-Channel and Front-Channel Logout 1.0 behind it.
//!
//! A service's request with a token of this very session ends it at once. Anything else asks the person first, and
//! nobody is sent to an address that is not registered. What is said afterwards is what happened.

use crate::endpoints::{flow, path};
use crate::logout::{self, Outcome, Told};
use crate::protocol::authorization::MAX_KEPT_BYTES;
use crate::protocol::claims::{User, session_for, subject_for};
use crate::protocol::client::Client;
use crate::protocol::error::{ErrorCode, Refusal};
use crate::protocol::grant::Session;
use crate::protocol::logout::{
    Ending, Farewell, Hint, LeaveAddress, PARAMETERS, Sender, doubt_about, frame_origin, frontchannel_url,
};
use crate::protocol::params::Params;
use crate::protocol::secret::{BrowserId, InteractionId, SessionId};
use crate::protocol::time::NumericDate;
use crate::provider::{Provider, random};
use crate::store::ephemeral::Taken;
use crate::store::farewells;
use crate::tokens::ID_TOKEN_TYPE;
use crate::web::answer::{PageError, see_other};
use crate::web::cookies::{self, Browser};
use crate::web::pages::{self, Chrome, Frame, Link, LogoutPage, Service, SignedOutPage};
use crate::web::{headers, request};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use std::sync::Arc;

/// A request to sign out, read.
struct Goodbye {
    /// How the service says who it is.
    sender: Sender,
    /// The service, if it is registered and not disabled; never by a hint that is not good.
    client: Option<Arc<Client>>,
    /// A token of ours for that service.
    hint: Option<Hint>,
    /// Where the browser may go.
    leave: Option<LeaveAddress>,
    /// What the page says about a request that was not quite in order.
    doubt: Option<&'static str>,
    /// The browser's session.
    signed_in: Option<(SessionId, Session, Arc<User>)>,
    /// Whether the browser named a session, live or not.
    named_a_session: bool,
}

/// Reads the request. What fails a check is not used for anything
/// ([section 4](https://openid.net/specs/openid-connect-rpinitiated-1_0.html#ValidationFailure)).
async fn read(provider: &Provider, browser: &Browser, params: &Params, now: NumericDate) -> Result<Goodbye, PageError> {
    let session = flow::session_of(provider, browser).await?;
    let signed_in = flow::signed_in(provider, session, now).await?;
    let signed_in = signed_in.zip(browser.session.clone()).map(|((session, user), id)| (id, session, user));
    let (sent, named) = (params.get("id_token_hint"), params.get("client_id"));
    let hint = sent.and_then(|hint| {
        let claims = provider.keys.current().verify(hint, ID_TOKEN_TYPE)?;
        let issued_here = claims.get("iss").and_then(serde_json::Value::as_str) == Some(&provider.config.issuer);
        Hint::of(&claims).filter(|_| issued_here)
    });
    let sender = Sender::of(sent.is_some(), hint.as_ref(), named);
    let hint = hint.filter(|_| sender == Sender::Proven);
    let client = match (sender, &hint, named) {
        (Sender::Proven, Some(hint), _) => provider.directory.client(&hint.client_id, now).await?,
        (Sender::Named, _, Some(named)) => provider.directory.client(named, now).await?,
        _ => None,
    };
    let leave = client.as_ref().and_then(|client| LeaveAddress::of(client, params));
    let asked_to_leave = params.get("post_logout_redirect_uri").is_some();
    let doubt = doubt_about(sender, client.is_some(), asked_to_leave && leave.is_none());
    Ok(Goodbye { sender, client, hint, leave, doubt, signed_in, named_a_session: browser.session.is_some() })
}

impl Goodbye {
    /// Whether the service showed a token of this very session.
    fn is_about_this_session(&self, provider: &Provider) -> bool {
        let (Some(hint), Some(client), Some((_, session, _))) = (&self.hint, &self.client, &self.signed_in) else {
            return false;
        };
        let salt = &provider.shared.pairwise_salt;
        match &hint.sid {
            Some(sid) => *sid == session_for(client, session.handle, salt),
            None => hint.subject == subject_for(client, &session.sub, salt),
        }
    }

    /// A way back to the service for those who stay on our page.
    fn way_back(&self) -> Option<Link> {
        let client = self.client.as_ref()?;
        Some(Link { url: client.home_page()?.to_owned(), label: format!("Go to {}", client.display_name()) })
    }

    /// A link to the address that the service asked for.
    fn way_on(&self) -> Option<Link> {
        let (leave, client) = (self.leave.as_ref()?, self.client.as_ref()?);
        Some(Link { url: leave.url(), label: format!("Go back to {}", client.display_name()) })
    }
}

/// A service's request by GET, a link, or our own page again.
///
/// # Errors
/// A page: a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, request: Request) -> Result<Response, PageError> {
    let now = provider.now();
    let browser = Browser::of(request.headers(), &provider.config);
    if request.method() == Method::HEAD {
        // A link preview must not sign anybody out.
        let refusal = Refusal::new(ErrorCode::InvalidRequest, "a sign-out is asked for by GET or POST");
        return Err(PageError::bad_request(&refusal, None));
    }
    let params = request::query(&request).map_err(|refusal| PageError::bad_request(&refusal, None))?;
    params.refuse_duplicates().map_err(|refusal| PageError::bad_request(&refusal, None))?;
    match params.get("logout") {
        Some(id) if id.len() < 100 => {
            let id = InteractionId::received(id);
            let Some(farewell) = farewells::find(&provider.ephemeral, &id, now).await? else {
                return answer(&provider, &browser, &Params::default(), None, now).await;
            };
            let is_ours = match (&farewell.browser, &browser.id) {
                (None, _) => true,
                (Some(bound), Some(this)) => bound.matches(&this.digest()),
                (Some(_), None) => false,
            };
            let params = if is_ours { farewell.params.clone() } else { Params::default() };
            answer(&provider, &browser, &params, is_ours.then_some((id, farewell)), now).await
        }
        _ => answer(&provider, &browser, &params, None, now).await,
    }
}

/// A service's request by POST, which brings no cookies from another site, or the person's word on our own page.
///
/// # Errors
/// A page: the form is not ours, a doubled parameter, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, request: Request) -> Result<Response, PageError> {
    let now = provider.now();
    let posted = request::posted(request, &provider.config).await;
    let (request, params) = posted.map_err(|refusal| PageError::bad_request(&refusal, None))?;
    let browser = Browser::of(&request.headers, &provider.config);
    let Some(id) = params.get("logout").filter(|id| id.len() < 100) else {
        let id = start(&provider, params, None, now).await?;
        return Ok(see_other(&format!("{}?logout={}", provider.url(path::LOGOUT), id.expose()))?);
    };
    let id = InteractionId::received(id);
    flow::check_form(&provider, &browser, &request.headers, &id, params.get("csrf"))?;
    let farewell = match farewells::take(&provider.ephemeral, &id).await? {
        Taken::Fresh(farewell) => farewell,
        Taken::Spent | Taken::Missing => {
            return answer(&provider, &browser, &Params::default(), None, now).await;
        }
    };
    let goodbye = read(&provider, &browser, &farewell.params, now).await?;
    if params.get("action") == Some("stay") {
        return Ok(stay(&provider, &goodbye));
    }
    end(&provider, goodbye, now).await
}

/// Ends the session, asks, or says that there is nothing to end.
async fn answer(
    provider: &Arc<Provider>,
    browser: &Browser,
    params: &Params,
    waiting: Option<(InteractionId, Farewell)>,
    now: NumericDate,
) -> Result<Response, PageError> {
    let goodbye = read(provider, browser, params, now).await?;
    if goodbye.signed_in.is_none() || goodbye.is_about_this_session(provider) {
        return end(provider, goodbye, now).await;
    }
    let (browser_id, is_new) = match &browser.id {
        Some(id) => (id.clone(), false),
        None => (BrowserId::from_random(&random::<32>()), true),
    };
    let bound = Some(browser_id.digest());
    let id = match waiting {
        Some((id, farewell)) if farewell.browser == bound => id,
        Some((id, farewell)) => {
            let mine = Farewell { browser: bound, ..farewell.clone() };
            if farewells::bind(&provider.ephemeral, &id, &farewell, &mine).await? {
                id
            } else {
                start(provider, Params::default(), Some(&browser_id), now).await?
            }
        }
        None => start(provider, params.clone(), Some(&browser_id), now).await?,
    };
    let mut response = ask(provider, &goodbye, &browser_id, &id, now).await?;
    if is_new {
        response.headers_mut().append(header::SET_COOKIE, cookies::set_browser(&provider.config, &browser_id));
    }
    Ok(response)
}

async fn start(
    provider: &Provider,
    params: Params,
    browser: Option<&BrowserId>,
    now: NumericDate,
) -> Result<InteractionId, PageError> {
    let params = params.only(PARAMETERS);
    if params.weight() > MAX_KEPT_BYTES {
        let refusal = Refusal::new(ErrorCode::InvalidRequest, "the request has more than 12288 bytes");
        return Err(PageError::bad_request(&refusal, None));
    }
    let id = InteractionId::from_random(&random::<16>());
    let farewell =
        Farewell { params, browser: browser.map(BrowserId::digest), expires_at: now.plus(farewells::LIFETIME) };
    farewells::start(&provider.ephemeral, &id, &farewell).await?;
    Ok(id)
}

/// The page that asks.
async fn ask(
    provider: &Provider,
    goodbye: &Goodbye,
    browser_id: &BrowserId,
    id: &InteractionId,
    now: NumericDate,
) -> Result<Response, PageError> {
    let mut services = Vec::new();
    let mut user_name = String::new();
    if let Some((_, session, user)) = &goodbye.signed_in {
        user.display_name().clone_into(&mut user_name);
        for client_id in &session.clients {
            if let Some(client) = provider.directory.client(client_id, now).await? {
                services.push(client.display_name().to_owned());
            }
        }
    }
    let page = LogoutPage {
        page: Chrome::new(&provider.config, "Sign out?"),
        user_name,
        doubt: goodbye.doubt.map(str::to_owned),
        goes_back_to: goodbye.leave.as_ref().and(goodbye.client.as_ref()).map(|it| it.display_name().to_owned()),
        services,
        logout: id.expose().to_owned(),
        csrf: browser_id.form_token(id),
    };
    Ok(pages::render(StatusCode::OK, &page, false))
}

/// The page for a person who changed their mind.
fn stay(provider: &Provider, goodbye: &Goodbye) -> Response {
    let heading = "You are still signed in";
    let page = SignedOutPage { leave: goodbye.way_back(), ..SignedOutPage::saying(&provider.config, heading) };
    pages::render(StatusCode::OK, &page, false)
}

/// Ends the session if there is one, tells the services, and lets the browser go where it may.
async fn end(provider: &Arc<Provider>, goodbye: Goodbye, now: NumericDate) -> Result<Response, PageError> {
    let mut told: Vec<Told> = Vec::new();
    let (mut frames, mut origins) = (Vec::new(), Vec::new());
    let mut ending = if goodbye.named_a_session { Ending::Before } else { Ending::NoSession };
    if let Some((id, session, _)) = &goodbye.signed_in
        && let Some(ended) = logout::end_session(provider, id, session, now).await?
    {
        (ending, told) = (Ending::Now, ended);
        for Told { client, outcome } in &told {
            let shown = client.frontchannel_logout_uri.as_deref().and_then(|uri| Some((uri, frame_origin(uri)?)));
            if let Some((uri, origin)) = shown {
                if *outcome == Outcome::ByFrameElsewhere {
                    warn_of_another_site(provider, client, &origin);
                }
                origins.push(origin);
                let sid = session_for(client, session.handle, &provider.shared.pairwise_salt);
                let url = frontchannel_url(uri, &provider.config.issuer, &sid);
                frames.push(Frame { url, title: format!("Signing out of {}", client.display_name()) });
            }
        }
    }
    let leaves = goodbye.leave.as_ref().filter(|_| ending.leads_on(goodbye.sender));
    let mut response = match leaves {
        Some(leave) if frames.is_empty() => see_other(&leave.url())?,
        _ => signed_out(provider, &goodbye, ending, &told, frames, &origins),
    };
    if goodbye.signed_in.is_some() {
        response.headers_mut().append(header::SET_COOKIE, cookies::end_session(&provider.config));
    }
    Ok(response)
}

/// Tells the operator of a service that nothing but a frame tells, and that one is of another site.
fn warn_of_another_site(provider: &Provider, client: &Client, origin: &str) {
    tracing::warn!(
        client_id = client.client_id,
        frontchannel_logout_uri = origin,
        issuer = provider.config.issuer,
        fix = "register a backchannel_logout_uri for it, or move it to the site of the issuer",
        "this sign-out cannot be seen to work: the service's frontchannel_logout_uri is on another site, where browsers keep its \
         cookies back"
    );
}

/// The page that says what happened.
fn signed_out(
    provider: &Provider,
    goodbye: &Goodbye,
    ending: Ending,
    told: &[Told],
    frames: Vec<Frame>,
    origins: &[String],
) -> Response {
    let sender = goodbye.client.as_ref().map(|client| client.client_id.as_str());
    let services = |wanted: &[Outcome], besides: Option<&str>| -> Vec<Service> {
        let fitting = told.iter().filter(|told| wanted.contains(&told.outcome));
        fitting
            .filter(|told| Some(told.client.client_id.as_str()) != besides)
            .map(|told| service(&told.client))
            .collect()
    };
    let way_on = goodbye.way_on();
    let page = SignedOutPage {
        text: ending.text(),
        doubt: goodbye.doubt.map(str::to_owned),
        reached: services(&[Outcome::Reached, Outcome::ByFrame], None),
        // The service that sent the person has ended its own session.
        not_reached: services(&[Outcome::NotReached], sender),
        cannot_be_told: services(&[Outcome::CannotBeTold, Outcome::ByFrameElsewhere], sender),
        goes_by_itself: way_on.is_some() && ending.leads_on(goodbye.sender),
        leave: way_on.or_else(|| goodbye.way_back()),
        frames,
        ..SignedOutPage::saying(&provider.config, ending.heading())
    };
    let mut response = pages::render(StatusCode::OK, &page, page.goes_by_itself);
    headers::allow_frames(response.headers_mut(), origins);
    response
}

/// A service as the page names it.
fn service(client: &Client) -> Service {
    Service { name: client.display_name().to_owned(), url: client.home_page().map(str::to_owned) }
}
