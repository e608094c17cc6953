//! `/revoke`: a client gives a token back. RFC 7009.

use crate::caller::{self, ClientRequest};
use crate::protocol::audit::{Event, EventKind};
use crate::protocol::error::Refusal;
use crate::protocol::reason::Reason;
use crate::protocol::secret::{AccessToken, RefreshToken, RefreshTokenParts};
use crate::provider::Provider;
use crate::store::{access_tokens, refresh_families, timely};
use crate::tokens::{Holder, LONGEST_ACCESS_TOKEN};
use crate::web::answer::ApiError;
use crate::web::headers;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;

/// Revokes a token: an access token alone, a refresh token with everything of its grant
/// ([RFC 7009 section 2.1](https://www.rfc-editor.org/rfc/rfc7009#section-2.1)). What is not known is answered like what was revoked
/// ([section 2.2](https://www.rfc-editor.org/rfc/rfc7009#section-2.2)).
///
/// # Errors
/// `invalid_client`; `invalid_request`: no token; `invalid_grant`: a token of another client.
pub async fn post(State(provider): State<Arc<Provider>>, request: ClientRequest) -> Result<Response, ApiError> {
    let ClientRequest { holder: Holder { client }, params, now } = request;
    let token = params.get("token").ok_or(const { Refusal::new(Reason::TokenMissing) })?;
    let foreign = |owner: &str| {
        Refusal::new(Reason::TokenOfAnotherClient)
            .expecting(&format!("a token of {owner}"), [format!("one of {}", client.client_id)])
    };
    let mut is_revoked = false;
    if token.starts_with(RefreshToken::PREFIX) {
        if let Some(parts) = RefreshTokenParts::open(&RefreshToken::received(token))
            && let Some(owner) = timely(refresh_families::owner(&provider.db, &parts)).await?
        {
            if owner != client.client_id {
                return Err(foreign(&owner).into());
            }
            // The family stays in SQL for good; the marker ends the access tokens that are out. Asked again after a fault
            // between the two, both are done again.
            let is_new = timely(refresh_families::revoke(&provider.db, parts.family, now)).await?;
            is_revoked =
                access_tokens::revoke_grant(&provider.ephemeral, parts.family, LONGEST_ACCESS_TOKEN).await? || is_new;
        }
    } else if let Some(presented) = caller::read_access_token(&provider, &AccessToken::received(token)) {
        let found = access_tokens::find(&provider.ephemeral, &presented.digest, &presented.parts, now).await?;
        if let Some(grant) = found {
            if grant.authorization.client_id != client.client_id {
                return Err(foreign(&grant.authorization.client_id).into());
            }
            access_tokens::revoke(&provider.ephemeral, &presented.digest).await?;
            is_revoked = true;
        }
    }
    // What was no token, or had ended, is answered alike, but nothing happened.
    if is_revoked {
        provider.audit.record(Event::new(EventKind::TokenRevoked, now).by(&client.client_id));
    }
    let mut response = StatusCode::OK.into_response();
    headers::no_store(response.headers_mut());
    Ok(response)
}
