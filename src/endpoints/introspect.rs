//! `/introspect`: whether a token is good, and what it allows. RFC 7662.

use crate::caller::{self, ClientRequest};
use crate::protocol::client::Client;
use crate::protocol::error::Refusal;
use crate::protocol::reason::Reason;
use crate::protocol::release::About;
use crate::protocol::secret::{AccessToken, RefreshToken, RefreshTokenParts};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::{refresh_families, timely};
use crate::tokens::{self, Holder, Terms};
use crate::web::answer::{ApiError, json_body};
use crate::web::headers;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// Introspection, for the client that a token was issued to and for the API in its `aud`; to any other, and for
/// anything that is not good, the answer is `{"active": false}` and nothing more
/// ([RFC 7662 section 2.2](https://www.rfc-editor.org/rfc/rfc7662#section-2.2), section 4).
///
/// # Errors
/// `invalid_client`, also for a public client, which cannot prove who it is; `invalid_request`: no token.
pub async fn post(State(provider): State<Arc<Provider>>, request: ClientRequest) -> Result<Response, ApiError> {
    let ClientRequest { holder: Holder { client: caller }, params, now } = request;
    if caller.is_public() {
        return Err(Refusal::new(Reason::PublicClientIntrospects)
            .expecting("a public client", ["a client with a secret"])
            .into());
    }
    let token = params.get("token").ok_or(const { Refusal::new(Reason::TokenMissing) })?;
    // The token says by itself what it is, so token_type_hint is not needed.
    let found = if token.starts_with(RefreshToken::PREFIX) {
        refresh_token(&provider, &caller, &RefreshToken::received(token), now).await?
    } else {
        access_token(&provider, &caller, &AccessToken::received(token), now).await?
    };
    let mut response = json_body(StatusCode::OK, &found.unwrap_or_else(|| json!({"active": false})));
    headers::no_store(response.headers_mut());
    Ok(response)
}

async fn access_token(
    provider: &Provider,
    caller: &Client,
    token: &AccessToken,
    now: NumericDate,
) -> Result<Option<Value>, ApiError> {
    let Some((grant, parties)) = caller::access_grant(provider, token, now).await? else { return Ok(None) };
    let is_for_caller =
        caller.resource.as_ref().is_some_and(|resource| grant.audience.iter().any(|audience| audience == resource));
    if parties.client.client_id != caller.client_id && !is_for_caller {
        return Ok(None);
    }
    let client = &*parties.client;
    let about = parties.user.as_deref().map(|user| About { client, user, facts: &parties.facts, now });
    Ok(Some(tokens::introspection(Terms::of(provider), client, about.as_ref(), &grant)))
}

async fn refresh_token(
    provider: &Provider,
    caller: &Client,
    token: &RefreshToken,
    now: NumericDate,
) -> Result<Option<Value>, ApiError> {
    let Some(parts) = RefreshTokenParts::open(token) else { return Ok(None) };
    let Some((family, is_valid)) = timely(refresh_families::find(&provider.db, &parts)).await? else { return Ok(None) };
    let idle_lifetime = caller.lifetimes.refresh_token_idle.unwrap_or(provider.config.refresh_token_idle_lifetime);
    let ends_at = family.expires_at.min(family.used_at.plus(idle_lifetime));
    let authorization = &family.authorization;
    let is_due = is_valid && authorization.client_id == caller.client_id && !ends_at.is_past(now);
    if !is_due || caller::parties(provider, authorization, now).await?.holds().is_none() {
        return Ok(None);
    }
    Ok(authorization.sign_in.as_ref().map(|sign_in| {
        json!({
            "active": true,
            "client_id": authorization.client_id,
            "scope": authorization.scope.to_string(),
            "sub": provider.secrets.subject_for(caller, &sign_in.sub),
            "iss": provider.config.issuer,
            "exp": ends_at,
            "auth_time": sign_in.auth_time,
        })
    }))
}
