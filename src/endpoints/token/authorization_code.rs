//! The grant `authorization_code`: a code for tokens. RFC 6749 section 4.1.3, RFC 7636 section 4.5-6, OIDC Core 3.1.3.

use super::first_tokens::{self, FirstTokens};
use crate::allowance::{self, Kept, Owner};
use crate::caller::ClientRequest;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::client::Client;
use crate::protocol::difference;
use crate::protocol::error::Refusal;
use crate::protocol::grant::Grant;
use crate::protocol::params::Params;
use crate::protocol::pkce;
use crate::protocol::reason::Reason;
use crate::protocol::response::GrantType;
use crate::protocol::secret::{AuthorizationCode, Handle};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::ephemeral::Taken;
use crate::store::{access_tokens, codes, refresh_families, timely};
use crate::tokens::LONGEST_ACCESS_TOKEN;
use crate::web::answer::ApiError;
use serde_json::Value;

/// Redeems a code, once. It is spent by being shown, not by being accepted; shown again, it revokes what it
/// issued ([RFC 6749 section 4.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2)).
///
/// # Errors
/// `invalid_grant`: unknown, expired, already shown, or bound to another client, `redirect_uri` or verifier;
/// `invalid_target`.
pub(super) async fn redeem(provider: &Provider, request: &ClientRequest) -> Result<Value, ApiError> {
    let ClientRequest { holder, params, now } = request;
    let (client, now) = (&holder.client, *now);
    let code = params.get("code").ok_or(const { Refusal::new(Reason::CodeMissing) })?;
    let code = AuthorizationCode::received(code);
    // As long as what it can issue now: who shows it again after that finds nothing left to revoke but the family.
    let lifetime = client.lifetimes.access_token.unwrap_or(provider.config.access_token_lifetime);
    let (handle, taken) = codes::redeem(&provider.ephemeral, &code, &client.client_id, lifetime + MARGIN).await?;
    let grant = match taken {
        Taken::Fresh(grant) => grant,
        Taken::Spent => return Err(replayed(provider, client, handle, now).await?.into()),
        Taken::Missing => {
            // A family outlives the memory of its code, and only the code's own family has this name.
            if client.may_refresh() && timely(refresh_families::exists(&provider.db, handle)).await? {
                return Err(replayed(provider, client, handle, now).await?.into());
            }
            let sent = format!("a code of {} characters", code.expose().len());
            return Err(Refusal::new(Reason::CodeUnknown)
                .expecting(&sent, ["a whole code, fresh and of this client"])
                .into());
        }
    };
    let redeemed = issue(provider, request, &grant, handle, lifetime + MARGIN).await;
    match &redeemed {
        // Nothing was handed out, and the client is told to come again: it must find its code.
        Err(ApiError::Fault(_) | ApiError::Busy | ApiError::TooMany(_)) => {
            if let Err(error) = codes::put_back(&provider.ephemeral, &code, &grant, now).await {
                tracing::warn!(%error, "a code for which nothing was issued could not be put back");
            }
        }
        Err(_) => {
            let kept = [kept_code(&grant).given_back(), Kept::tombstone(lifetime + MARGIN)];
            // What is left of the code is counted as well as it can be; it is refused in any case.
            let owner = Owner::Person(grant.authorization.sub().unwrap_or_default());
            let _ = allowance::keep(provider, owner, &kept).await;
        }
        Ok(_) => {}
    }
    redeemed
}

/// The code, as it was counted when it was issued.
fn kept_code(grant: &Grant) -> Kept {
    Kept::code(grant, grant.expires_at.since(grant.authorization.authorized_at) + codes::TOMBSTONE_TTL)
}

/// Issues what a code stands for that was just spent; its tombstone stays for `tombstone` seconds.
async fn issue(
    provider: &Provider,
    request: &ClientRequest,
    grant: &Grant,
    handle: Handle,
    tombstone: i64,
) -> Result<Value, ApiError> {
    let (client, params) = (&request.holder.client, &request.params);
    check(grant, client, params, request.now)?;
    let resources = narrowed(client, grant, params)?;
    let first = FirstTokens {
        grant_type: GrantType::AuthorizationCode,
        granted: &grant.authorization,
        resources,
        handle,
        nonce: grant.nonce.as_deref(),
        kept: vec![kept_code(grant).given_back(), Kept::tombstone(tombstone)],
    };
    first_tokens::issue(provider, &request.holder, first, request.now).await
}

/// How much longer than what was issued its end is remembered, in seconds.
const MARGIN: i64 = 60;

/// A code that is shown again: what it issued ends. That is an event the first time only, as a client that has a code can
/// show it for ever.
async fn replayed(provider: &Provider, client: &Client, handle: Handle, now: NumericDate) -> Result<Refusal, ApiError> {
    // The marker last: where it fails, all of it is done again at the next try, and noted then.
    if client.may_refresh() {
        // The winner may not have written its family yet; it finds this row then.
        timely(refresh_families::revoke_before_start(&provider.db, handle, &client.client_id, now)).await?;
    }
    let is_new = access_tokens::revoke_grant(&provider.ephemeral, handle, LONGEST_ACCESS_TOKEN).await?;
    if is_new {
        provider.audit.record(Event::new(EventKind::CodeReplayed, now).by(&client.client_id));
    }
    Ok(Refusal::new(Reason::CodeUsed).expecting("a code for the second time", ["each code once"]))
}

/// Everything the code is bound to.
fn check(grant: &Grant, client: &Client, params: &Params, now: NumericDate) -> Result<(), Refusal> {
    let issued_at = grant.authorization.authorized_at;
    if grant.expires_at.is_past(now) {
        return Err(Refusal::new(Reason::CodeExpired)
            .with_detail(&format!("it expired {} seconds ago", now.since(grant.expires_at)))
            .expecting(
                &format!("a code that is {} seconds old", now.since(issued_at)),
                [format!("one that is younger than {} seconds", grant.expires_at.since(issued_at))],
            ));
    }
    let redirect_uri = params.get("redirect_uri");
    let same_address = match &grant.redirect_uri {
        Some(sent) => redirect_uri == Some(sent),
        None => redirect_uri.is_none_or(|uri| client.owns_redirect_uri(uri)),
    };
    if !same_address {
        return Err(Refusal::new(Reason::RedirectUriDiffers)
            .with_detail(&difference::in_one_line(
                redirect_uri.unwrap_or_default(),
                grant.redirect_uri.as_deref().unwrap_or_default(),
            ))
            .expecting(redirect_uri.unwrap_or("nothing"), grant.redirect_uri.as_deref().or(Some("nothing"))));
    }
    pkce::check_verifier(grant.code_challenge.as_ref(), params.get("code_verifier"))
}

/// The APIs of this token: those of the request among those that were agreed to
/// ([RFC 8707 section 2.2](https://www.rfc-editor.org/rfc/rfc8707#section-2.2)).
fn narrowed(client: &Client, grant: &Grant, params: &Params) -> Result<Vec<String>, Refusal> {
    let (granted, asked) = (&grant.authorization.resources, client.targets(params.all("resource"))?);
    if asked.is_empty() {
        return Ok(granted.clone());
    }
    if granted.is_empty() || asked.iter().all(|target| granted.contains(target)) {
        return Ok(asked);
    }
    Err(Refusal::new(Reason::ResourceNotAuthorized).expecting(&asked.join(" "), granted))
}
