//! The judge of what a client is told and of who may enter: rows that would have no effect, or another one than was meant.

use super::Fault;
use crate::protocol::claim_map::{ClaimMap, Source};
use crate::protocol::client::Client;
use crate::protocol::columns::RowFault;
use crate::protocol::response::{AccessPolicy, AccessTokenFormat, GrantType, Place};
use crate::protocol::scope::SCOPES_SUPPORTED;
use crate::store::clients::ClaimRow;
use crate::web::remedies::quoted;

/// What is wrong with a row of `client_claims`.
pub(in crate::commands) fn of_claim_row(row: &ClaimRow) -> Option<Fault> {
    let RowFault { why, fix } = row.read().err()?;
    let (code, column) = if let Some(column) =
        ["source", "shape", "places"].into_iter().find(|column| why.starts_with(&format!("client_claims.{column} ")))
    {
        ("unknown-word", column)
    } else if why.contains("no JSON") {
        ("claim-value", "value")
    } else {
        ("claim-name", "claim")
    };
    Some(Fault::error(code, why, fix).in_column(column))
}

/// Who may enter.
pub(super) fn of_access(client: &Client, is_whole: bool) -> Option<Fault> {
    let id = &client.client_id;
    match client.access {
        AccessPolicy::Groups if client.groups.is_empty() && is_whole => {
            let why = format!("{id} is only for groups, and client_groups names none: no user can enter");
            let fix = "add a row to client_groups, or write access 'everybody'";
            Some(Fault::warning("access-closed", why, fix).in_column("access"))
        }
        AccessPolicy::Everybody if !client.groups.is_empty() => {
            let why = format!(
                "{id} names groups in client_groups and is open to all users all the same, as its access is 'everybody'"
            );
            let fix = "write access 'groups', or take the rows away";
            Some(Fault::warning("access-open", why, fix).in_column("access"))
        }
        AccessPolicy::Groups | AccessPolicy::Everybody => None,
    }
}

/// Scopes of the organization's own: what people are asked has to be said in words.
pub(super) fn of_scopes(client: &Client, is_whole: bool) -> Vec<Fault> {
    if !is_whole || !client.grant_types.contains(&GrantType::AuthorizationCode) {
        return Vec::new();
    }
    let is_described =
        |token: &str| client.own_scopes.iter().any(|own| own.scope == token && !own.description.trim().is_empty());
    let own = client.scope.tokens().filter(|token| !SCOPES_SUPPORTED.contains(token));
    own.filter(|token| !is_described(token))
        .map(|token| {
            let why = format!(
                "{} may ask for the scope {token}, and no row of scopes says to users what that is",
                client.client_id
            );
            let fix = format!(
                "INSERT INTO scopes (scope, description) VALUES ({}, 'What users read'); with claims, what it opens. `hallpass scope new` does the same",
                quoted(token)
            );
            Fault::error("scope-undescribed", why, fix).in_column("scope")
        })
        .collect()
}

/// Rows of `client_claims` that tell nothing.
pub(super) fn of_maps(client: &Client, is_whole: bool) -> Vec<Fault> {
    let id = &client.client_id;
    let of_map = |map: &ClaimMap| {
        let name = map.path.join("/");
        let mut found: Vec<(String, &str)> = Vec::new();
        if let Some(scope) = map.scope.as_ref().filter(|scope| !client.scope.has(scope)) {
            let why =
                format!("{id}: the claim {name} is opened by the scope {scope}, which the client may not ask for");
            found.push((why, "add the scope to clients.scope, or take it from the row"));
        }
        if map.source == Source::Roles && client.roles.is_empty() && is_whole {
            let why = format!("{id}: the claim {name} is made of roles, and client_roles has none of this client");
            found.push((why, "add rows to client_roles"));
        }
        if map.places == [Place::AccessToken] && client.access_token_format == AccessTokenFormat::Opaque {
            let why = format!("{id}: the claim {name} is for access tokens alone, and those of this client are opaque");
            found.push((why, "write access_token_format 'jwt', or introspection among its places"));
        }
        if map.places.is_empty() {
            found.push((format!("{id}: the claim {name} has no place"), "write id_token userinfo"));
        }
        let is_below = |other: &ClaimMap| other.path.len() < map.path.len() && map.path.starts_with(&other.path);
        if client.claim_maps.iter().any(is_below) {
            let why = format!("{id}: the claim {name} lies in another one, which is no object");
            found.push((why, "give one of the two another name"));
        }
        found
    };
    let found = client.claim_maps.iter().flat_map(of_map);
    found.map(|(why, fix)| Fault::warning("claim-untold", why, fix)).collect()
}
