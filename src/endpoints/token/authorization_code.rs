//! The grant `authorization_code`: a code for tokens. RFC 6749 section 4.1.3, RFC 7636 section 4.5-6, OIDC Core 3.1.3.

use crate::allowance::{self, Kept, Owner};
use crate::ambient::random;
use crate::caller;
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::client::{Client, REFRESH_FAMILY_LIFETIME};
use crate::protocol::difference;
use crate::protocol::error::{ErrorCode, Refusal};
use crate::protocol::grant::Grant;
use crate::protocol::params::Params;
use crate::protocol::pkce;
use crate::protocol::remedy::Remedy;
use crate::protocol::response::GrantType;
use crate::protocol::secret::{AuthorizationCode, Handle, RefreshToken, RefreshTokenParts};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::ephemeral::Taken;
use crate::store::refresh_families::{self, Family};
use crate::store::{access_tokens, codes, sessions, timely};
use crate::tokens::{self, LONGEST_ACCESS_TOKEN, Order};
use crate::web::answer::ApiError;
use serde_json::Value;
use zeroize::Zeroizing;

fn invalid(description: &'static str) -> Refusal {
    Refusal::new(ErrorCode::InvalidGrant, description)
}

/// Redeems a code, once. It is spent by being shown, not by being accepted; shown again, it revokes what it
/// issued ([RFC 6749 section 4.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2)).
///
/// # Errors
/// `invalid_grant`: unknown, expired, already shown, or bound to another client, `redirect_uri` or verifier;
/// `invalid_target`.
pub(super) async fn redeem(
    provider: &Provider,
    client: &Client,
    params: &Params,
    now: NumericDate,
) -> Result<Value, ApiError> {
    let code = params.get("code").ok_or(const { Refusal::new(ErrorCode::InvalidRequest, "code is missing") })?;
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
            return Err(invalid("the code is unknown, expired or was issued to another client")
                .with_remedy(Remedy::SendOwnCode)
                .into());
        }
    };
    let redeemed = issue(provider, client, params, &grant, handle, lifetime + MARGIN, now).await;
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
    client: &Client,
    params: &Params,
    grant: &Grant,
    handle: Handle,
    tombstone: i64,
    now: NumericDate,
) -> Result<Value, ApiError> {
    check(grant, client, params, now)?;
    let resources = narrowed(client, grant, params)?;
    let parties = caller::parties(provider, &grant.authorization, now).await?;
    let (Some(parties), Some(sign_in)) = (parties, &grant.authorization.sign_in) else {
        return Err(invalid("the account has ended, or what was agreed to was revoked").into());
    };
    let authorization = grant.authorization.narrowed_to(grant.authorization.scope.clone(), resources);
    let order = Order {
        client,
        user: parties.user.as_deref(),
        authorization: &authorization,
        grant: handle,
        session: sign_in.session,
        nonce: grant.nonce.as_deref(),
    };
    let refreshes = client.may_refresh() && authorization.scope.has("offline_access");
    let mut kept = vec![kept_code(grant).given_back(), Kept::tombstone(tombstone)];
    kept.extend(refreshes.then(Kept::family));
    // In the trip of the record itself: whoever signs out before the code is redeemed is not signed in by it.
    let (minted, has_ended) = tokio::join!(
        tokens::mint(provider, &order, kept, now),
        sessions::has_ended(&provider.ephemeral, sign_in.session)
    );
    let minted = minted?;
    let begun = match has_ended {
        Ok(true) => Err(invalid("the person has signed out since the code was issued").into()),
        Ok(false) if refreshes => begin_family(provider, client, grant, handle, now).await.map(Some),
        Ok(false) => Ok(None),
        Err(error) => Err(error.into()),
    };
    match begun {
        Ok(first) => Ok(minted.issue(provider, GrantType::AuthorizationCode, &order, first.as_ref(), now)),
        Err(error) => {
            minted.discard(provider, &order).await;
            Err(error)
        }
    }
}

/// How much longer than what was issued its end is remembered, in seconds.
const MARGIN: i64 = 60;

/// A code that is shown again: what it issued ends. That is an event the first time only, as whoever has a code can show it
/// for ever.
async fn replayed(provider: &Provider, client: &Client, handle: Handle, now: NumericDate) -> Result<Refusal, ApiError> {
    // The marker last: where it fails, all of it is done again at the next try, and noted then.
    if client.may_refresh() {
        // The winner may not have written its family yet; it finds this row then.
        timely(refresh_families::revoke_before_begin(&provider.db, handle, &client.client_id, now)).await?;
    }
    let is_new = access_tokens::revoke_grant(&provider.ephemeral, handle, LONGEST_ACCESS_TOKEN).await?;
    if is_new {
        provider.audit.record(Event::new(EventKind::CodeReplayed, now).by(&client.client_id));
    }
    Ok(invalid("the code was used before; what it issued is revoked").with_remedy(Remedy::RedeemCodeOnce))
}

/// Everything the code is bound to.
fn check(grant: &Grant, client: &Client, params: &Params, now: NumericDate) -> Result<(), Refusal> {
    let issued_at = grant.authorization.authorized_at;
    if grant.expires_at.is_past(now) {
        return Err(invalid("the code is unknown, expired or was issued to another client")
            .with_detail(format!("it expired {} seconds ago", now.since(grant.expires_at)))
            .expecting(
                &format!("a code that is {} seconds old", now.since(issued_at)),
                [format!("one that is younger than {} seconds", grant.expires_at.since(issued_at))],
            )
            .with_remedy(Remedy::RedeemCodeSooner));
    }
    let redirect_uri = params.get("redirect_uri");
    let same_address = match &grant.redirect_uri {
        Some(sent) => redirect_uri == Some(sent),
        None => redirect_uri.is_none_or(|uri| client.owns_redirect_uri(uri)),
    };
    if !same_address {
        return Err(invalid("redirect_uri differs from the one of the authorization request")
            .with_detail(difference::in_one_line(
                redirect_uri.unwrap_or_default(),
                grant.redirect_uri.as_deref().unwrap_or_default(),
            ))
            .expecting(redirect_uri.unwrap_or("nothing"), grant.redirect_uri.as_deref().or(Some("nothing")))
            .with_remedy(Remedy::RepeatRedirectUri));
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
    Err(Refusal::new(ErrorCode::InvalidTarget, "resource is not among those of the authorization request"))
}

/// Begins the family of a grant with its first token.
async fn begin_family(
    provider: &Provider,
    client: &Client,
    grant: &Grant,
    handle: Handle,
    now: NumericDate,
) -> Result<RefreshToken, ApiError> {
    let first = RefreshTokenParts { family: handle, secret: Zeroizing::new(random()) };
    let family = Family {
        family: handle,
        authorization: grant.authorization.clone(),
        used_at: now,
        expires_at: now.plus(client.lifetimes.refresh_token.unwrap_or(REFRESH_FAMILY_LIFETIME)),
    };
    if timely(refresh_families::begin(&provider.db, &family, &first.digest())).await? {
        provider.directory.know_family(family, now);
        Ok(first.seal())
    } else {
        Err(invalid("the code was used twice at once; what it issued is revoked").into())
    }
}
