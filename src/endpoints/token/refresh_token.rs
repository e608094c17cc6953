//! The grant `refresh_token`: new tokens for old ones. RFC 6749 section 6, OIDC Core 12, RFC 9700 section 4.14.

use crate::ambient::random;
use crate::caller::{self, ClientRequest, Standing};
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::client::Client;
use crate::protocol::error::Refusal;
use crate::protocol::grant::Authorization;
use crate::protocol::params::Params;
use crate::protocol::reason::Reason;
use crate::protocol::response::GrantType;
use crate::protocol::scope::Scope;
use crate::protocol::secret::{RefreshToken, RefreshTokenParts};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::refresh_families::{self, Shown, Terms};
use crate::store::{access_tokens, timely};
use crate::tokens::{self, LONGEST_ACCESS_TOKEN, Order};
use crate::web::answer::ApiError;
use serde_json::Value;

const fn dead() -> Refusal {
    Refusal::new(Reason::RefreshTokenInvalid)
}

/// Refreshes: one write, one signature, one trip; and one read where this node has not met the family before.
///
/// What can fail comes first: the new access token is stored under a name that no client knows, then one statement decides
/// whether the refresh token is good, then the answer is made. A store that is unreachable costs no client its family.
///
/// # Errors
/// `invalid_grant`: the user may not enter the service now, which ends nothing; unknown, ended, revoked, of another client, or shown again too late, which ends the family;
/// `invalid_scope`, `invalid_target`: more than was granted.
pub(super) async fn refresh(provider: &Provider, request: &ClientRequest) -> Result<Value, ApiError> {
    let ClientRequest { holder, params, now } = request;
    let (client, now) = (&holder.client, *now);
    let token = params.get("refresh_token").ok_or(const { Refusal::new(Reason::RefreshTokenMissing) })?;
    let parts = RefreshTokenParts::open(&RefreshToken::received(token)).ok_or(const { dead() })?;
    let family = provider.directory.family(parts.family, now).await?;
    let family = family.filter(|family| family.authorization.client_id == client.client_id).ok_or(const { dead() })?;
    let authorization = narrowed(client, &family.authorization, params)?;
    let parties = match caller::parties(provider, &family.authorization, now).await? {
        Standing::Holds(parties) => parties,
        Standing::Outside => return Err(Refusal::new(Reason::NoEntryAnyMore).into()),
        Standing::Ended => {
            timely(refresh_families::revoke(&provider.db, parts.family, now)).await?;
            return Err(Refusal::new(Reason::AuthorizationEnded).into());
        }
    };
    let order = Order {
        holder,
        user: parties.user.as_deref(),
        facts: &parties.facts,
        authorization: &authorization,
        grant: family.family,
        // What is refreshed outlives the session it came from.
        session: family.family,
        nonce: None,
    };
    let minted = tokens::mint(provider, &order, Vec::new(), now).await?;
    match show(provider, client, &parts, now).await {
        Ok(successor) => Ok(minted.issue(provider, GrantType::RefreshToken, &order, successor.as_ref(), now)),
        Err(error) => {
            minted.discard(provider, &order).await;
            Err(error)
        }
    }
}

/// Shows the token to its family, which decides; gives the next one, where it rotates.
async fn show(
    provider: &Provider,
    client: &Client,
    parts: &RefreshTokenParts,
    asked_at: NumericDate,
) -> Result<Option<RefreshToken>, ApiError> {
    // The clock anew: the window in which the same token may come again begins with the answer, not with the request.
    let now = provider.now();
    let terms = Terms {
        client_id: &client.client_id,
        rotates: client.rotates(),
        salt: random(),
        idle_lifetime: client.lifetimes.refresh_token_idle.unwrap_or(provider.config.refresh_token_idle_lifetime),
        reuse_window: provider.config.refresh_reuse_window,
        asked_at,
        now,
    };
    match timely(refresh_families::show(&provider.db, parts, &terms)).await? {
        Shown::Rotated(successor) | Shown::Repeated(successor) => Ok(Some(successor.seal())),
        Shown::Kept => Ok(None),
        Shown::Invalid => Err(const { dead() }.into()),
        Shown::Reused => {
            // The marker first: once the family is revoked, its tokens are not looked at any more.
            access_tokens::revoke_grant(&provider.ephemeral, parts.family, LONGEST_ACCESS_TOKEN).await?;
            timely(refresh_families::revoke(&provider.db, parts.family, now)).await?;
            provider.audit.record(Event::new(EventKind::RefreshTokenReused, now).by(&client.client_id));
            Err(Refusal::new(Reason::RefreshTokenUsed)
                .with_detail("a replaced refresh token was shown after the reuse window: it may have been stolen")
                .into())
        }
    }
}

/// The scope and the APIs of this refresh: as granted, or fewer ([RFC 6749 section 6](https://www.rfc-editor.org/rfc/rfc6749#section-6)).
fn narrowed(client: &Client, authorization: &Authorization, params: &Params) -> Result<Authorization, Refusal> {
    // What the client's row no longer allows is not handed out again either.
    let granted = authorization.scope.within(&client.scope.union(&Scope::from("offline_access".to_owned())));
    let scope = match params.get("scope") {
        None => granted,
        Some(text) => {
            let asked = Scope::asked(text)?;
            if !asked.is_within(&granted) {
                return Err(
                    Refusal::new(Reason::ScopeWiderThanGranted).expecting(&asked.to_string(), [granted.to_string()])
                );
            }
            asked
        }
    };
    let asked = client.targets(params.all("resource"))?;
    let fits =
        authorization.resources.is_empty() || asked.iter().all(|target| authorization.resources.contains(target));
    if !fits {
        return Err(Refusal::new(Reason::ResourceNotGranted).expecting(&asked.join(" "), &authorization.resources));
    }
    let resources = if asked.is_empty() { authorization.resources.clone() } else { asked };
    Ok(authorization.narrowed_to(scope, resources))
}
