//! `/consent`: what a client wants to know, in plain words, and the person's answer. OIDC Core 3.1.2.4.

use crate::ambient::context;
use crate::caller::{BrowserRequest, check_form};
use crate::endpoints::flow::Continued;
use crate::protocol::audit::{Event, EventKind, Impersonal};
use crate::protocol::authorization::{Allowed, AuthorizationRequest, Consented, Step};
use crate::protocol::claim_map::{ClaimMap, key_of_claim};
use crate::protocol::claim_names::GROUPS;
use crate::protocol::claims::User;
use crate::protocol::client::web_address;
use crate::protocol::error::Refusal;
use crate::protocol::reason::Reason;
use crate::protocol::release::About;
use crate::protocol::response::ConsentPolicy;
use crate::protocol::scope::Scope;
use crate::protocol::secret::BrowserId;
use crate::provider::Provider;
use crate::texts::{Catalog, text};
use crate::web::answer::{Note, PageError};
use crate::web::pages::{self, Chrome, ClaimLine, ConsentPage, NoEntryPage, ScopeLine};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
use std::sync::Arc;

/// The consent page.
///
/// # Errors
/// A page: the interaction is unknown, expired, or of another browser.
pub async fn get(State(provider): State<Arc<Provider>>, mut asked: BrowserRequest) -> Result<Response, PageError> {
    let flow = Continued::of(&provider, &mut asked).await?;
    if let (Step::NoEntry, Some(browser_id), Some((_, user))) =
        (flow.step(&provider), &asked.browser.id, &flow.signed_in)
    {
        return Ok(no_entry(&provider, &flow, browser_id, user));
    }
    let (Step::Consent, Some(browser_id), Some((_, user))) = (flow.step(&provider), &asked.browser.id, &flow.signed_in)
    else {
        return flow.redirect_to_authorize(&provider);
    };
    let web = |uri: &Option<String>| uri.as_deref().and_then(web_address).map(str::to_owned);
    let asked = flow.request.to_consent(flow.client());
    let page = Chrome::new(&provider.config, &text("consent-heading").with("client", flow.client().display_name()));
    let scopes = lines(&flow, user, &asked, &page.texts);
    let page = ConsentPage {
        page,
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
        shown: asked.claims.join(" "),
        return_host: flow.recipient.destination.host(),
        returns_to_app: flow.recipient.destination.is_app(),
    };
    Ok(pages::render(StatusCode::OK, &page, page.returns_to_app.then_some(&*page.page.scripts)))
}

/// What the client asks for, line by line: the scopes, and behind them what it is told whatever the scope.
fn lines(flow: &Continued, user: &User, asked: &Allowed, texts: &Catalog) -> Vec<ScopeLine> {
    let (client, before) = (flow.client(), flow.allowed_before().filter(|before| !before.scope.is_empty()));
    let about = About { client, user, facts: flow.facts(), now: flow.now() };
    // Of a scope that was not asked for whole, single claims may have been.
    let singly = client.own_scopes.iter().filter(|own| {
        !asked.scope.has(&own.scope) && own.claims.iter().any(|name| asked.claims.contains(&key_of_claim(name)))
    });
    let mut lines: Vec<ScopeLine> = asked
        .scope
        .tokens()
        .filter(|token| *token != "openid")
        .chain(singly.map(|own| own.scope.as_str()))
        .map(|token| {
            let own = client.own_scopes.iter().find(|own| own.scope == token);
            let is_new = |name: &String| {
                let key = key_of_claim(name);
                asked.claims.contains(&key) && before.is_some_and(|before| !before.claims.contains(&key))
            };
            let opens_more = own.is_some_and(|own| own.claims.iter().any(is_new));
            let is_asked_whole = asked.scope.has(token);
            ScopeLine {
                is_new: before.is_some_and(|before| is_asked_whole && !before.scope.has(token)) || opens_more,
                claims: claims(&about, &flow.request, token, texts),
                ..own.map_or_else(|| ScopeLine::of(token, texts), |own| ScopeLine::of_own(own, texts))
            }
        })
        .collect();
    let maps = client.claim_maps.iter().filter(|map| asked.claims.contains(&map.key()));
    let maps: Vec<(&ClaimMap, Option<Value>)> =
        maps.map(|map| (map, map.value(&user.claims, flow.facts(), &client.roles, flow.now()))).collect();
    if !maps.is_empty() {
        let is_new = |map: &ClaimMap| before.is_some_and(|before| !before.claims.contains(&map.key()));
        let shown = |(map, value): &(&ClaimMap, Option<Value>)| {
            ClaimLine::own(&map.path.join("/"), value.as_ref().unwrap_or(&Value::Null), texts)
        };
        lines.push(ScopeLine {
            is_new: maps.iter().any(|(map, _)| is_new(map)),
            claims: maps.iter().map(shown).collect(),
            ..ScopeLine::beyond_scopes(texts)
        });
    }
    lines
}

/// What of the user's record a scope sends: all that it opens, or where the `claims` parameter asks for single ones, those.
fn claims(about: &About<'_>, request: &AuthorizationRequest, token: &str, texts: &Catalog) -> Vec<ClaimLine> {
    let is_sent = |name: &str| request.scope.has(token) || request.claims.names(name);
    if token == GROUPS {
        return ClaimLine::of(GROUPS, &about.groups(), texts).into_iter().collect();
    }
    if let Some(own) = about.client.own_scopes.iter().find(|own| own.scope == token) {
        let named = |name: &&String| is_sent(name);
        let value = |name: &String| about.value(name).unwrap_or_default();
        return own.claims.iter().filter(named).map(|name| ClaimLine::own(name, &value(name), texts)).collect();
    }
    let opened = about.user.claims_for(&Scope::from(token.to_owned()));
    opened
        .iter()
        .filter(|(name, _)| is_sent(name))
        .filter_map(|(name, value)| ClaimLine::of(name, value, texts))
        .collect()
}

/// The page for a user who may not enter. It is noted like an error page, so that its reference leads to what was missing.
fn no_entry(provider: &Provider, flow: &Continued, browser_id: &BrowserId, user: &User) -> Response {
    let client_name = flow.client().display_name();
    let page = NoEntryPage {
        page: Chrome::new(&provider.config, &text("no-entry-heading").with("client", client_name)),
        client_name: client_name.to_owned(),
        client_id: flow.client().client_id.clone(),
        user_name: user.display_name().to_owned(),
        account: user.account().map(str::to_owned),
        interaction: flow.id.expose().to_owned(),
        csrf: provider.secrets.form_token(browser_id, &flow.id),
        reference: context(|context| context.reference.clone()).unwrap_or_default(),
    };
    let mut response = pages::render(StatusCode::FORBIDDEN, &page, None);
    let note = Note::from(flow.keep_out(provider)).of_user(Some(&user.sub));
    response.extensions_mut().insert(note);
    response
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
    if matches!(flow.step(&provider), Step::NoEntry) {
        // The page has told of it already.
        let refusal = flow.no_entry().as_expected();
        return flow.refuse(&provider, refusal).await;
    }
    // What is late is told to no service, and so is not denied either.
    if params.get("decision") == Some("deny") && !flow.is_late() {
        decided(EventKind::ConsentDenied);
        let refusal = Refusal::new(Reason::ConsentDenied);
        return flow.refuse(&provider, refusal).await;
    }
    let (Step::Consent, Some((session, _)), Some("allow")) =
        (flow.step(&provider), &flow.signed_in, params.get("decision"))
    else {
        return flow.redirect_to_authorize(&provider);
    };
    let asked = flow.request.to_consent(flow.client());
    // What the row opened since the page was made was not on it.
    let was_shown = |claim: &String| params.get("shown").unwrap_or_default().split(' ').any(|shown| shown == claim);
    let claims: Vec<String> = asked.claims.into_iter().filter(was_shown).collect();
    let consented = Consented { sub: session.sign_in.sub.clone(), scope: asked.scope, claims: claims.clone() };
    if flow.client().consent == ConsentPolicy::Ask && !flow.client().always_asks() {
        // Of what single claims ask for, the page showed no more than those: that holds for this interaction, and opens no scope.
        let allowed = Allowed { scope: flow.request.scope.clone(), claims };
        provider.directory.remember_consent(&session.sign_in.sub, &flow.client().client_id, &allowed, now).await?;
    }
    decided(EventKind::ConsentGiven);
    flow.note(&provider, |interaction| interaction.consented = Some(consented)).await?;
    flow.redirect_to_authorize(&provider)
}
