//! `/consent`: what a client wants to know, in plain words, and the person's answer. OIDC Core 3.1.2.4.

use crate::caller::{BrowserRequest, check_form};
use crate::endpoints::flow::Continued;
use crate::protocol::audit::{Event, EventKind, Impersonal};
use crate::protocol::authorization::{AuthorizationRequest, Consented, Step};
use crate::protocol::claims::User;
use crate::protocol::client::web_address;
use crate::protocol::error::Refusal;
use crate::protocol::reason::Reason;
use crate::protocol::response::ConsentPolicy;
use crate::protocol::scope::Scope;
use crate::provider::Provider;
use crate::texts::text;
use crate::web::answer::PageError;
use crate::web::pages::{self, Chrome, ClaimLine, ConsentPage, ScopeLine};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// The consent page.
///
/// # Errors
/// A page: the interaction is unknown, expired, or of another browser.
pub async fn get(State(provider): State<Arc<Provider>>, mut asked: BrowserRequest) -> Result<Response, PageError> {
    let flow = Continued::of(&provider, &mut asked).await?;
    let (Step::Consent, Some(browser_id), Some((_, user))) = (flow.step(&provider), &asked.browser.id, &flow.signed_in)
    else {
        return flow.redirect_to_authorize(&provider);
    };
    let web = |uri: &Option<String>| uri.as_deref().and_then(web_address).map(str::to_owned);
    let asked = flow.request.scope_to_consent();
    let before = flow.allowed_before().filter(|scope| !scope.is_empty());
    let scopes: Vec<ScopeLine> = asked
        .tokens()
        .filter(|token| *token != "openid")
        .map(|token| ScopeLine {
            is_new: before.is_some_and(|before| !before.has(token)),
            claims: claims(&flow.request, user, token),
            ..ScopeLine::of(token)
        })
        .collect();
    let page = ConsentPage {
        page: Chrome::new(&provider.config, &text("consent-heading").with("client", flow.client().display_name())),
        client_name: flow.client().display_name().to_owned(),
        client_id: flow.client().client_id.clone(),
        client_uri: flow.client().home_page().map(str::to_owned),
        policy_uri: web(&flow.client().policy_uri),
        tos_uri: web(&flow.client().tos_uri),
        user_name: user.display_name().to_owned(),
        account: user.account().map(str::to_owned),
        interaction: flow.id.expose().to_owned(),
        csrf: provider.secrets.form_token(browser_id, &flow.id),
        has_more_than_before: scopes.iter().any(|scope| scope.is_new) && !scopes.iter().all(|scope| scope.is_new),
        scopes,
        return_host: flow.recipient.destination.host(),
        returns_to_app: flow.recipient.destination.is_app(),
    };
    Ok(pages::render(StatusCode::OK, &page, page.returns_to_app.then_some(&*page.page.scripts)))
}

/// What of the user's record a scope sends: all that it opens, or where the `claims` parameter asks for single ones, those.
fn claims(request: &AuthorizationRequest, user: &User, token: &str) -> Vec<ClaimLine> {
    let opened = user.claims_for(&Scope::from(token.to_owned()));
    let is_sent = |name: &str| request.scope.has(token) || request.claims.names(name);
    opened.iter().filter(|(name, _)| is_sent(name)).filter_map(|(name, value)| ClaimLine::of(name, value)).collect()
}

/// What the person decided.
///
/// # Errors
/// A page: the form is not ours, or the interaction has ended.
pub async fn post(State(provider): State<Arc<Provider>>, mut asked: BrowserRequest) -> Result<Response, PageError> {
    let flow = Continued::of(&provider, &mut asked).await?;
    check_form(&provider, &asked, &flow.id)?;
    let BrowserRequest { params, now, .. } = asked;
    let decided = |kind| {
        let event = Event::new(kind, now)
            .by(&flow.client().client_id)
            .with("scope", Impersonal::configured(&flow.request.scope_to_consent().to_string()));
        let sub = flow.signed_in.as_ref().map(|(session, _)| session.sign_in.sub.as_str());
        provider.audit.record(event.of_subject(sub));
    };
    if params.get("decision") == Some("deny") {
        decided(EventKind::ConsentDenied);
        let refusal = Refusal::new(Reason::ConsentDenied);
        return flow.refuse(&provider, refusal).await;
    }
    let (Step::Consent, Some((session, _)), Some("allow")) =
        (flow.step(&provider), &flow.signed_in, params.get("decision"))
    else {
        return flow.redirect_to_authorize(&provider);
    };
    let consented = Consented { sub: session.sign_in.sub.clone(), scope: flow.request.scope_to_consent() };
    if flow.client().consent == ConsentPolicy::Ask && !flow.client().always_asks() {
        // Of what single claims ask for, the page showed no more than those: that holds for this interaction, and opens no scope.
        provider
            .directory
            .remember_consent(&session.sign_in.sub, &flow.client().client_id, &flow.request.scope, now)
            .await?;
    }
    decided(EventKind::ConsentGiven);
    flow.note(&provider, |interaction| interaction.consented = Some(consented)).await?;
    flow.redirect_to_authorize(&provider)
}
