//! `/logout`: RP-Initiated Logout 1.0, with Back-Channel and Front-Channel Logout 1.0 behind it.
//!
//! A service's request with a token of this very session ends it at once. Anything else asks the person first, and
//! no browser is sent to an address that is not registered. What is said afterwards is what happened.
//!
//! `service` is for services that ask from their own servers.

mod service;

use crate::ambient::random;
use crate::caller::{BrowserRequest, check_form, session_of, speak, user_of};
use crate::endpoints::path;
use crate::logout::{self, Cause, LogoutResult, Outcome};
use crate::protocol::authorization::MAX_KEPT_BYTES;
use crate::protocol::claims::User;
use crate::protocol::client::Client;
use crate::protocol::error::Refusal;
use crate::protocol::grant::Session;
use crate::protocol::logout::{
    Ending, Hint, LeaveAddress, LogoutRequest, PARAMETERS, Sender, Warning, frame_origin, frontchannel_url,
};
use crate::protocol::params::Params;
use crate::protocol::reason::Reason;
use crate::protocol::secret::{BrowserId, Digest, InteractionId, SessionId};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::stored::Stored;
use crate::store::user_sessions::{self, By, Which};
use crate::store::{logout_requests, timely};
use crate::texts::{Text, text};
use crate::throttle;
use crate::tokens;
use crate::web::answer::{PageError, see_other};
use crate::web::cookies::{self, Browser};
use crate::web::headers;
use crate::web::network::Network;
use crate::web::pages::{self, Again, Chrome, Frame, Link, LogoutPage, Service, SignedOutPage};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use std::sync::Arc;

/// A request to sign out, read.
struct SignOut {
    /// How the service says who it is.
    sender: Sender,
    /// The service, if it is registered and not disabled; never by a hint that is not good.
    client: Option<Arc<Client>>,
    /// A token of ours for that service.
    hint: Option<Hint>,
    /// Where the browser may go.
    leave: Option<LeaveAddress>,
    /// What was not quite in order in it.
    warning: Option<Warning>,
    /// The browser's session.
    signed_in: Option<(SessionId, Stored<Session>, Arc<User>)>,
    /// Whether the browser named a session, live or not.
    named_a_session: bool,
    /// What is left of a session that is over.
    over: Option<(SessionId, Stored<Session>)>,
    /// Where every other sign-in of a user ends too.
    everywhere: Option<Everywhere>,
    /// Whether it is asked for at our own start page, which the user then gets back to.
    comes_from_home: bool,
}

/// A sign-out of all sign-ins.
struct Everywhere {
    /// Whose.
    sub: String,
    /// Whose the forms of this browser are.
    browser: BrowserId,
    /// From where, for the audit.
    network: Network,
}

/// What of a request is kept as it was sent.
const CARRIED: &[&str] = &["post_logout_redirect_uri", "state", "ui_locales"];

/// A request as far as it can be read without a look-up.
struct Asked {
    sender: Sender,
    /// The service, as its token says or it itself.
    client_id: Option<String>,
    hint: Option<Hint>,
    /// Where the browser is to go, with `state`, and in which languages its user is spoken to.
    params: Params,
}

impl Asked {
    /// Reads what a service sent. What fails a check is not used for anything
    /// ([section 4](https://openid.net/specs/openid-connect-rpinitiated-1_0.html#ValidationFailure)).
    fn of(provider: &Provider, params: Params) -> Self {
        speak(&params);
        let (sent, named) = (params.get("id_token_hint"), params.get("client_id"));
        let hint = sent.and_then(|hint| Hint::of(&tokens::read_id_token(provider, hint)?));
        let sender = Sender::of(sent.is_some(), hint.as_ref(), named);
        let hint = hint.filter(|_| sender == Sender::Proven);
        let client_id = match (sender, &hint) {
            (Sender::Proven, Some(hint)) => Some(hint.client_id.clone()),
            (Sender::Named, _) => named.map(str::to_owned),
            _ => None,
        };
        Self { sender, client_id, hint, params: params.only(CARRIED) }
    }

    /// What our own form carries on: what the request came to, and no token.
    fn to_text(&self) -> String {
        let mut text = form_urlencoded::Serializer::new(self.params.encoded());
        text.append_pair("sender", self.sender.as_str());
        if let Some(client_id) = &self.client_id {
            text.append_pair("client_id", client_id);
        }
        text.finish()
    }

    /// Reads what our own form brings back.
    fn of_text(text: &str) -> Result<Self, Refusal> {
        let params = Params::parse(text)?;
        speak(&params);
        Ok(Self {
            sender: params.get("sender").and_then(Sender::parse).unwrap_or(Sender::Silent),
            client_id: params.get("client_id").map(str::to_owned),
            hint: None,
            params: params.only(CARRIED),
        })
    }
}

/// Looks up what a request is about.
async fn read(provider: &Provider, browser: &Browser, asked: Asked, now: NumericDate) -> Result<SignOut, PageError> {
    let Asked { sender, client_id, hint, params } = asked;
    let session = session_of(provider, browser).await?;
    let user = user_of(provider, session.as_deref(), now).await?;
    let (signed_in, over) = match (browser.session.clone().zip(session), user) {
        (Some((id, session)), Some(user)) => (Some((id, session, user)), None),
        (over, _) => (None, over),
    };
    let client = match client_id {
        Some(client_id) => provider.directory.client(&client_id, now).await?,
        None => None,
    };
    let leave = client.as_ref().and_then(|client| LeaveAddress::of(client, &params));
    let asked_to_leave = params.get("post_logout_redirect_uri").is_some();
    let warning = Warning::about(sender, client.is_some(), asked_to_leave && leave.is_none());
    let named_a_session = browser.session.is_some();
    Ok(SignOut {
        sender,
        client,
        hint,
        leave,
        warning,
        signed_in,
        named_a_session,
        over,
        everywhere: None,
        comes_from_home: false,
    })
}

impl SignOut {
    /// Whether the service showed a token of this very session.
    fn is_about_this_session(&self, provider: &Provider) -> bool {
        let (Some(hint), Some(client), Some((_, session, _))) = (&self.hint, &self.client, &self.signed_in) else {
            return false;
        };
        let secrets = &provider.secrets;
        match &hint.sid {
            Some(sid) => secrets.session_of(client, sid) == Some(session.sign_in.session),
            None => hint.subject == secrets.subject_for(client, &session.sign_in.sub),
        }
    }

    /// What became of the browser's session where nothing was ended now.
    const fn without_ending(&self) -> Ending {
        if self.named_a_session { Ending::Before } else { Ending::NoSession }
    }

    /// A way back to the service for those who stay on our page.
    fn way_back(&self) -> Option<Link> {
        let client = self.client.as_ref()?;
        Some(Link::to(client, client.home_page()?))
    }

    /// A link to the address that the service asked for.
    fn way_on(&self) -> Option<Link> {
        let (leave, client) = (self.leave.as_ref()?, self.client.as_ref()?);
        Some(Link::back_to(client.display_name(), &leave.url()))
    }
}

/// A service's request by GET, a link, or our own page again.
///
/// # Errors
/// A page: a doubled parameter, or a store failed.
pub async fn get(State(provider): State<Arc<Provider>>, request: BrowserRequest) -> Result<Response, PageError> {
    let BrowserRequest { params, browser, now, .. } = request;
    params.refuse_duplicates().map_err(PageError::bad_request)?;
    let params = match params.get("logout") {
        Some(id) if id.len() < 100 => {
            let waiting = logout_requests::find(&provider.ephemeral, &InteractionId::received(id), now).await?;
            waiting.map(|request| request.params).unwrap_or_default()
        }
        _ => params,
    };
    answer(&provider, &browser, Asked::of(&provider, params), now).await
}

/// A service's request by POST, which brings no cookies from another site, or the person's word on our own page.
///
/// # Errors
/// A page: the form is not ours, a doubled parameter, or a store failed.
pub async fn post(State(provider): State<Arc<Provider>>, request: BrowserRequest) -> Result<Response, PageError> {
    request.params.refuse_duplicates().map_err(PageError::bad_request)?;
    if request.params.get("logout").is_none() {
        let is_a_service = service::is_asking(&request);
        let BrowserRequest { params, network, now, .. } = request;
        let params = params.only(PARAMETERS);
        return if is_a_service {
            service::end(&provider, params, network, now).await
        } else {
            wait_for_the_cookies(&provider, params, network, now).await
        };
    }
    let sent = request.params.get("request").unwrap_or_default();
    check_form(&provider, &request, &name_of(sent))?;
    let BrowserRequest { params, browser, network, now, .. } = &request;
    let now = *now;
    let asked = Asked::of_text(sent).map_err(PageError::bad_request)?;
    let mut sign_out = read(&provider, browser, asked, now).await?;
    sign_out.comes_from_home = sent.starts_with(FROM_HOME);
    match params.get("action") {
        Some("stay") => return Ok(stay(&provider, &sign_out)),
        Some("sign_out_everywhere") => {
            let here = sign_out.signed_in.as_ref().map(|(_, session, _)| session.sign_in.sub.clone());
            let again = tried_again(sent, now);
            if again.is_some() && again != here {
                // Another user's sign-in here is none of those.
                (sign_out.signed_in, sign_out.over, sign_out.named_a_session) = (None, None, false);
            }
            let of = again.or(here).zip(browser.id.clone());
            sign_out.everywhere = of.map(|(sub, browser)| Everywhere { sub, browser, network: *network });
        }
        _ => {}
    }
    end(&provider, sign_out, now).await
}

/// Instead of a service's request, in the form of our own start page.
const FROM_HOME: &str = "sender=silent&from=home";

/// How long a form that tries once more to sign out everywhere is good for, in seconds: it needs no sign-in.
const AGAIN_LIFETIME: i64 = 3600;

/// The form that tries once more to sign out everywhere. Only we make its token, so whose sign-ins it ends is our own word.
fn again(provider: &Provider, everywhere: &Everywhere, now: NumericDate) -> Again {
    let mut request = form_urlencoded::Serializer::for_suffix(format!("{FROM_HOME}&"), FROM_HOME.len() + 1);
    request.append_pair("again", &everywhere.sub).append_pair("until", &now.plus(AGAIN_LIFETIME).0.to_string());
    let request = request.finish();
    let csrf = provider.secrets.form_token(&everywhere.browser, &name_of(&request));
    Again { request, csrf }
}

/// Whose sign-ins such a form ends, while it is good.
fn tried_again(request: &str, now: NumericDate) -> Option<String> {
    let params = Params::parse(request).ok()?;
    let until = NumericDate(params.get("until")?.parse().ok()?);
    params.get("again").filter(|_| !until.is_past(now)).map(str::to_owned)
}

/// What a form of ours sends that no service asked for: the request that stands in for one, and the form's token.
#[must_use]
pub fn own_form(provider: &Provider, browser_id: &BrowserId) -> (String, String) {
    let request = FROM_HOME.to_owned();
    let csrf = provider.secrets.form_token(browser_id, &name_of(&request));
    (request, csrf)
}

/// The longest request that may be carried in an address, in bytes: proxies read so much.
const MAX_QUERY_BYTES: usize = 6000;

/// Sends the browser on by GET, which brings the cookies along: the request waits meanwhile in the store, or where nothing
/// can be kept any more, in the address. A sign-out works when nothing else does.
async fn wait_for_the_cookies(
    provider: &Provider,
    params: Params,
    network: Network,
    now: NumericDate,
) -> Result<Response, PageError> {
    let encoded = bounded(params.encoded())?;
    let id = InteractionId::from_random(&random::<16>());
    let request = LogoutRequest { params, expires_at: now.plus(logout_requests::LIFETIME) };
    let budget = throttle::started_budget(network);
    let kept = logout_requests::start(&provider.ephemeral, &id, &request, &network.to_string(), budget).await;
    let query = match kept {
        Ok(()) => format!("logout={}", id.expose()),
        Err(error) if encoded.len() <= MAX_QUERY_BYTES => {
            tracing::warn!(%error, "a request to sign out cannot be kept; it is carried in the address");
            encoded
        }
        Err(error) => return Err(error.into()),
    };
    Ok(see_other(&format!("{}?{query}", provider.url(path::LOGOUT)))?)
}

/// A request as text, if it is not too long to be carried on.
fn bounded(encoded: String) -> Result<String, PageError> {
    if encoded.len() <= MAX_KEPT_BYTES {
        return Ok(encoded);
    }
    let refusal = Refusal::naming(Reason::SignOutTooLarge, &MAX_KEPT_BYTES.to_string())
        .expecting(&format!("{} bytes", encoded.len()), [format!("{MAX_KEPT_BYTES} bytes at most")]);
    Err(PageError::bad_request(refusal))
}

/// What the form of a request is bound to: the request itself, so that nothing need be remembered of it.
fn name_of(request: &str) -> InteractionId {
    InteractionId::received(Digest::of(&["sign-out", request]).as_str())
}

/// Ends the session, asks, or says that there is nothing to end.
async fn answer(
    provider: &Arc<Provider>,
    browser: &Browser,
    asked: Asked,
    now: NumericDate,
) -> Result<Response, PageError> {
    let request = bounded(asked.to_text())?;
    let sign_out = read(provider, browser, asked, now).await?;
    if sign_out.signed_in.is_none() || sign_out.is_about_this_session(provider) {
        return end(provider, sign_out, now).await;
    }
    let (browser_id, is_new) = match &browser.id {
        Some(id) => (id.clone(), false),
        None => (BrowserId::from_random(&random::<32>()), true),
    };
    let mut response = ask(provider, &sign_out, &browser_id, request, now).await?;
    if is_new {
        response.headers_mut().append(header::SET_COOKIE, cookies::set_browser(&provider.config, &browser_id));
    }
    Ok(response)
}

/// The page that asks.
async fn ask(
    provider: &Provider,
    sign_out: &SignOut,
    browser_id: &BrowserId,
    request: String,
    now: NumericDate,
) -> Result<Response, PageError> {
    let mut services = Vec::new();
    let (mut user_name, mut account) = (String::new(), None);
    if let Some((_, session, user)) = &sign_out.signed_in {
        user.display_name().clone_into(&mut user_name);
        account = user.account().map(str::to_owned);
        for client_id in &session.clients {
            // The list is there to be looked at: a row that cannot be read keeps no user from signing out.
            if let Ok(Some(client)) = provider.directory.client(client_id, now).await {
                services.push(client.display_name().to_owned());
            }
        }
    }
    let page = LogoutPage {
        page: Chrome::new(&provider.config, &text("logout-heading")),
        user_name,
        account,
        warning: sign_out.warning.map(about),
        goes_back_to: sign_out.leave.as_ref().and(sign_out.client.as_ref()).map(|it| it.display_name().to_owned()),
        services,
        csrf: provider.secrets.form_token(browser_id, &name_of(&request)),
        request,
    };
    Ok(pages::render(StatusCode::OK, &page, None))
}

/// The page for a person who changed their mind; while they thought about it, the session may have ended.
fn stay(provider: &Provider, sign_out: &SignOut) -> Response {
    let ending = sign_out.without_ending();
    let (heading, explanation) = match sign_out.signed_in {
        Some(_) => (text("signed-out-stayed"), None),
        None => (heading(ending), explanation(ending)),
    };
    let saying = SignedOutPage::saying(&provider.config, heading);
    let page = SignedOutPage { text: explanation, leave: sign_out.way_back(), ..saying };
    pages::render(StatusCode::OK, &page, None)
}

/// Ends the session if there is one, tells the services, and lets the browser go where it may.
async fn end(provider: &Arc<Provider>, sign_out: SignOut, now: NumericDate) -> Result<Response, PageError> {
    let mut told: Vec<LogoutResult> = Vec::new();
    let (mut frames, mut origins) = (Vec::new(), Vec::new());
    let mut ending = sign_out.without_ending();
    // This one first, which needs no database; then the others by their rows, which every node looks at.
    if let Some((id, session, _)) = &sign_out.signed_in
        && let Some(ended) = logout::end_session(provider, &id.digest(), session, Cause::Person, now).await?
    {
        (ending, told) = (Ending::Now, ended.told(provider).await);
        for LogoutResult { client, outcome } in &told {
            let shown = client.frontchannel_logout_uri.as_deref().and_then(|uri| Some((uri, frame_origin(uri)?)));
            if let Some((uri, origin)) = shown {
                if *outcome == Outcome::ByFrameElsewhere {
                    warn_of_another_site(provider, client, &origin);
                }
                origins.push(origin);
                let sid = provider.secrets.session_for(client, session.sign_in.session);
                let url = frontchannel_url(uri, &provider.config.issuer, &sid);
                frames.push(Frame { url, service: client.display_name().to_owned() });
            }
        }
    }
    if let Some((id, session)) = &sign_out.over {
        logout::clear(provider, &id.digest(), session, now).await?;
    }
    let others = match &sign_out.everywhere {
        Some(everywhere) => end_others(provider, everywhere, now).await,
        None => Others::NotAsked,
    };
    let leaves = sign_out.leave.as_ref().filter(|_| ending.redirects_by_itself(sign_out.sender));
    let mut response = match leaves {
        Some(leave) if frames.is_empty() => see_other(&leave.url())?,
        _ => {
            let happened = Happened { ending, others, told: &told };
            signed_out(provider, &sign_out, happened, frames, &origins)
        }
    };
    if sign_out.named_a_session {
        response.headers_mut().append(header::SET_COOKIE, cookies::end_session(&provider.config));
    }
    Ok(response)
}

/// What became of the user's other sign-ins.
enum Others {
    /// They stay.
    NotAsked,
    /// They end.
    End,
    /// They could not be ended, and the user may try again.
    Stay(Again),
}

/// Ends the other sign-ins of a user by their rows.
async fn end_others(provider: &Provider, everywhere: &Everywhere, now: NumericDate) -> Others {
    let network = everywhere.network.to_string();
    let (by, idle_lifetime) = (By::Person(&network), provider.config.session_idle_lifetime);
    match timely(user_sessions::end(&provider.db, &everywhere.sub, Which::All, by, idle_lifetime, now)).await {
        Ok(_) => Others::End,
        Err(error) => {
            tracing::error!(%error, sub = everywhere.sub, "a user signed out everywhere, and only the sign-in of that browser ended");
            Others::Stay(again(provider, everywhere, now))
        }
    }
}

/// What a sign-out came to.
struct Happened<'a> {
    ending: Ending,
    others: Others,
    told: &'a [LogoutResult],
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
    sign_out: &SignOut,
    happened: Happened<'_>,
    frames: Vec<Frame>,
    origins: &[String],
) -> Response {
    let Happened { ending, others, told } = happened;
    let sender = sign_out.client.as_ref().map(|client| client.client_id.as_str());
    let services = |wanted: &[Outcome], besides: Option<&str>| -> Vec<Service> {
        let fitting = told.iter().filter(|told| wanted.contains(&told.outcome));
        fitting
            .filter(|told| Some(told.client.client_id.as_str()) != besides)
            .map(|told| service(&told.client))
            .collect()
    };
    let way_on = sign_out.way_on();
    let home = sign_out.comes_from_home.then(|| Link::home(&provider.config));
    let ((heading, text), again) = match others {
        Others::NotAsked => ((heading(ending), explanation(ending)), None),
        Others::End => {
            let explanation = text("signed-out-everywhere").attribute("explanation");
            ((text("signed-out-everywhere"), Some(explanation)), None)
        }
        Others::Stay(again) => {
            let explanation = text("signed-out-not-everywhere").attribute("explanation");
            ((text("signed-out-not-everywhere"), Some(explanation)), Some(again))
        }
    };
    let page = SignedOutPage {
        text,
        warning: sign_out.warning.map(about),
        reached: services(&[Outcome::Reached, Outcome::ByFrame], None),
        // The service that sent the person has ended its own session.
        not_reached: services(&[Outcome::NotReached], sender),
        cannot_be_told: services(&[Outcome::CannotBeTold, Outcome::ByFrameElsewhere], sender),
        goes_by_itself: way_on.is_some() && ending.redirects_by_itself(sign_out.sender),
        leave: way_on.or_else(|| sign_out.way_back()).or(home),
        frames,
        again,
        ..SignedOutPage::saying(&provider.config, heading)
    };
    let mut response = pages::render(StatusCode::OK, &page, page.goes_by_itself.then_some(&*page.page.scripts));
    headers::allow_frames(response.headers_mut(), origins);
    response
}

/// What the page says of a request that was not quite in order.
fn about(warning: Warning) -> Text<'static> {
    match warning {
        Warning::BadHint => text("logout-bad-hint"),
        Warning::OthersHint => text("logout-others-hint"),
        Warning::Silent => text("logout-silent"),
        Warning::OtherAddress => text("logout-other-address"),
        Warning::UnknownService => text("logout-unknown-service"),
    }
}

/// What became of the session, and no more than is known.
fn heading(ending: Ending) -> Text<'static> {
    match ending {
        Ending::Now => text("signed-out"),
        Ending::Before => text("signed-out-before"),
        Ending::NoSession => text("signed-out-nothing"),
    }
}

/// The same in a sentence or two, where the heading does not say it all.
fn explanation(ending: Ending) -> Option<Text<'static>> {
    (ending != Ending::Now).then(|| heading(ending).attribute("explanation"))
}

/// A service as the page names it.
fn service(client: &Client) -> Service {
    Service { name: client.display_name().to_owned(), url: client.home_page().map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_that_a_user_is_signed_out_only_where_this_request_did_it() {
        for ending in [Ending::Now, Ending::Before, Ending::NoSession] {
            let explained =
                explanation(ending).map(|text| text.of(crate::texts::english()).to_string()).unwrap_or_default();
            let claims = format!("{} {explained}", heading(ending).of(crate::texts::english())).contains("signed out");
            assert_eq!(claims, ending == Ending::Now);
        }
    }
}
