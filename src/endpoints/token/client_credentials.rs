//! The grant `client_credentials`: a machine's own token. RFC 6749 section 4.4, RFC 8707, RFC 9068.

use crate::ambient::random;
use crate::caller::ClientRequest;
use crate::protocol::authorization::not_allowed;
use crate::protocol::claims_request::ClaimsRequest;
use crate::protocol::error::Refusal;
use crate::protocol::facts::NO_FACTS;
use crate::protocol::grant::Authorization;
use crate::protocol::reason::Reason;
use crate::protocol::response::GrantType;
use crate::protocol::scope::Scope;
use crate::protocol::secret::Handle;
use crate::provider::Provider;
use crate::tokens::{self, Order};
use crate::web::answer::ApiError;
use serde_json::Value;

/// Issues an access token to the client itself: no person, no `id_token`, no refresh token. Scopes that are only about
/// users are left out without a word, as many libraries ask for `openid` whatever the grant.
///
/// # Errors
/// `unauthorized_client`: a public client; `invalid_scope`: nothing of what is asked for beside users' scopes may be
/// given; `invalid_target`.
pub(super) async fn issue(provider: &Provider, request: &ClientRequest) -> Result<Value, ApiError> {
    let ClientRequest { holder, params, now } = request;
    let (client, now) = (&holder.client, *now);
    if client.is_public() {
        // RFC 6749 section 4.4: "MUST only be used by confidential clients".
        return Err(Refusal::new(Reason::PublicClientForItself)
            .expecting("client_credentials of a public client", ["a client with a secret"])
            .into());
    }
    // What opens claims of users opens nothing for a machine.
    let is_about_users = |token: &str| client.own_scopes.iter().any(|own| own.scope == token && !own.claims.is_empty());
    let allowed = client.scope.for_machines().only(|token| !is_about_users(token));
    let scope = match params.get("scope") {
        None => allowed,
        Some(text) => {
            let asked = Scope::asked(text)?;
            let of_apis = asked.for_machines();
            let granted = of_apis.within(&allowed);
            let is_about_people_only = of_apis.is_empty() && !asked.is_empty();
            if granted.is_empty() && !is_about_people_only {
                return Err(not_allowed(Reason::ScopeNotForMachines, client, &asked, &allowed).into());
            }
            granted
        }
    };
    let resources = client.targets(params.all("resource"))?;
    let grant = Handle(random());
    let authorization = Authorization {
        client_id: client.client_id.clone(),
        scope,
        resources,
        claims: ClaimsRequest::default(),
        shown: Vec::new(),
        sign_in: None,
        authorized_at: now,
        confirmation: None,
    };
    let order = Order {
        holder,
        user: None,
        facts: &NO_FACTS,
        authorization: &authorization,
        grant,
        session: grant,
        nonce: None,
    };
    let minted = tokens::mint(provider, &order, Vec::new(), now).await?;
    Ok(minted.issue(provider, GrantType::ClientCredentials, &order, None, now))
}
