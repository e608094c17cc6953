//! What a user's authorization is turned into the first time: an access token, an `id_token`, and where it lasts, a family of
//! refresh tokens with its first. Whichever grant brought it: what is shown and checked before is that grant's own.

use crate::allowance::Kept;
use crate::ambient::random;
use crate::caller::{self, Standing};
use crate::protocol::client::{Client, REFRESH_FAMILY_LIFETIME};
use crate::protocol::error::Refusal;
use crate::protocol::grant::Authorization;
use crate::protocol::reason::Reason;
use crate::protocol::response::GrantType;
use crate::protocol::secret::{Handle, RefreshToken, RefreshTokenParts};
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::refresh_families::{self, Family};
use crate::store::{sessions, timely};
use crate::tokens::{self, Holder, Order};
use crate::web::answer::ApiError;
use serde_json::Value;
use zeroize::Zeroizing;

/// What is to be issued.
pub(super) struct FirstTokens<'a> {
    /// By which grant.
    pub grant_type: GrantType,
    /// What the person authorized.
    pub granted: &'a Authorization,
    /// The APIs of these tokens, of those that were authorized.
    pub resources: Vec<String>,
    /// The name that ends what is issued.
    pub handle: Handle,
    /// `nonce` of the request.
    pub nonce: Option<&'a str>,
    /// What else is kept for the person from now on, or no longer.
    pub kept: Vec<Kept>,
}

/// Issues them, if the authorization still holds.
///
/// # Errors
/// `invalid_grant`: account, client or session has ended meanwhile; a store failed; the person has too much kept already.
pub(super) async fn issue(
    provider: &Provider,
    holder: &Holder,
    first: FirstTokens<'_>,
    now: NumericDate,
) -> Result<Value, ApiError> {
    let FirstTokens { grant_type, granted, resources, handle, nonce, mut kept } = first;
    let (parties, sign_in) = match (caller::parties(provider, granted, now).await?, &granted.sign_in) {
        (Standing::Holds(parties), Some(sign_in)) => (parties, sign_in),
        (Standing::Outside, _) => return Err(Refusal::new(Reason::NoEntryAnyMore).into()),
        (Standing::Holds(_), None) | (Standing::Ended, _) => {
            return Err(Refusal::new(Reason::AuthorizationEnded).into());
        }
    };
    let authorization = granted.narrowed_to(granted.scope.clone(), resources);
    let order = Order {
        holder,
        user: parties.user.as_deref(),
        facts: &parties.facts,
        authorization: &authorization,
        grant: handle,
        session: sign_in.session,
        nonce,
    };
    let refreshes = holder.client.may_refresh() && authorization.scope.has("offline_access");
    kept.extend(refreshes.then(Kept::family));
    // In the trip of the record itself: a user who signs out before the code is redeemed is not signed in by it.
    let (minted, has_ended) = tokio::join!(
        tokens::mint(provider, &order, kept, now),
        sessions::has_ended(&provider.ephemeral, sign_in.session)
    );
    let minted = minted?;
    let started = match has_ended {
        Ok(true) => Err(Refusal::new(Reason::SignedOutMeanwhile).into()),
        Ok(false) if refreshes => start_family(provider, &holder.client, granted, handle, now).await.map(Some),
        Ok(false) => Ok(None),
        Err(error) => Err(error.into()),
    };
    match started {
        Ok(refresh_token) => Ok(minted.issue(provider, grant_type, &order, refresh_token.as_ref(), now)),
        Err(error) => {
            minted.discard(provider, &order).await;
            Err(error)
        }
    }
}

/// Starts the family of a grant with its first token.
async fn start_family(
    provider: &Provider,
    client: &Client,
    granted: &Authorization,
    handle: Handle,
    now: NumericDate,
) -> Result<RefreshToken, ApiError> {
    let first = RefreshTokenParts { family: handle, secret: Zeroizing::new(random()) };
    let family = Family {
        family: handle,
        authorization: granted.clone(),
        used_at: now,
        expires_at: now.plus(client.lifetimes.refresh_token.unwrap_or(REFRESH_FAMILY_LIFETIME)),
    };
    if timely(refresh_families::start(&provider.db, &family, &first.digest())).await? {
        provider.directory.know_family(family, now);
        Ok(first.seal())
    } else {
        Err(Refusal::new(Reason::CodeUsedTwiceAtOnce).into())
    }
}
