//! A sign-out that a service asks for from its own server, without a browser: the session that its token names ends at once.
//!
//! RP-Initiated Logout 1.0 knows the browser's way alone; many services call the `end_session_endpoint` from their back end
//! and take the answer for a sign-out. Theirs is a POST with `id_token_hint` and without anything that a browser sends.

use super::Asked;
use crate::caller::BrowserRequest;
use crate::logout::{self, Cause};
use crate::protocol::grant::Session;
use crate::protocol::logout::Sender;
use crate::protocol::params::Params;
use crate::protocol::secret::Digest;
use crate::protocol::time::NumericDate;
use crate::provider::Provider;
use crate::store::stored::Stored;
use crate::store::{sessions, timely, user_sessions};
use crate::throttle;
use crate::web::answer::{ApiError, PageError};
use crate::web::headers;
use crate::web::network::Network;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;

/// Whether a POST comes from a server: a token, no cookie of ours, and neither `Origin` nor `Sec-Fetch-Site`, of which every
/// browser sends one.
pub(super) fn is_asking(request: &BrowserRequest) -> bool {
    request.params.get("id_token_hint").is_some()
        && request.browser.is_bare()
        && !request.headers.contains_key(header::ORIGIN)
        && !request.headers.contains_key("sec-fetch-site")
}

/// Ends the session that a good token names, if it is a live one of that client, and tells its services. The answer is the
/// same whether or not there was one. A token that is not good counts as a failure of the client that it or the request names.
///
/// # Errors
/// A store failed; 429 after too many tokens that are not good.
pub(super) async fn end(
    provider: &Arc<Provider>,
    params: Params,
    network: Network,
    now: NumericDate,
) -> Result<Response, PageError> {
    let asked = Asked::of(provider, params);
    if asked.sender != Sender::Proven {
        let client_id = asked.client_id.as_deref().unwrap_or_default();
        if let Err(stopped) = throttle::client(&provider.throttle, &provider.ephemeral, client_id, network).await {
            return Ok(ApiError::from(stopped).into_response());
        }
    } else if let Some((record, session)) = named(provider, &asked, now).await?
        && let Some(ended) = logout::end_session(provider, &record, &session, Cause::Service, now).await?
    {
        ended.in_background(provider);
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    headers::no_store(response.headers_mut());
    Ok(response)
}

/// The live session that the token names by `sid`, if the client has been entered in it.
async fn named(
    provider: &Provider,
    asked: &Asked,
    now: NumericDate,
) -> Result<Option<(Digest, Stored<Session>)>, PageError> {
    let Some(hint) = &asked.hint else { return Ok(None) };
    let Some(client) = provider.directory.client(&hint.client_id, now).await? else { return Ok(None) };
    let Some(handle) = hint.sid.as_ref().and_then(|sid| provider.secrets.session_of(&client, sid)) else {
        return Ok(None);
    };
    let Some(record) = timely(user_sessions::record_of(&provider.db, handle)).await? else { return Ok(None) };
    let session = sessions::find_record(&provider.ephemeral, &record).await?.filter(|session| {
        session.sign_in.session == handle
            && session.clients.contains(&client.client_id)
            && session.is_live(now, provider.config.session_idle_lifetime)
    });
    Ok(session.map(|session| (record, session)))
}
