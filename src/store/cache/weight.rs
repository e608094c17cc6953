//! What a value of the directory holds in memory, in bytes: itself, its texts and its containers, estimated from above.

use crate::protocol::authorization::Allowed;
use crate::protocol::claim_map::{ClaimMap, OwnScope, Role, Source};
use crate::protocol::claims::{Demand, User};
use crate::protocol::claims_request::{Asked, ClaimsRequest};
use crate::protocol::client::{Client, HashedSecret};
use crate::protocol::facts::{Fact, Facts};
use crate::protocol::grant::{Authorization, SignIn};
use crate::protocol::scope::Scope;
use crate::store::clients::Offered;
use crate::store::refresh_families::Family;
use serde_json::{Map, Value};

/// What the system's allocator adds to a piece, and how far it rounds up.
const PIECE: usize = 16;

fn piece(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes + PIECE }
}

fn text(text: &String) -> usize {
    piece(text.capacity())
}

fn optional(optional: Option<&String>) -> usize {
    optional.map_or(0, text)
}

/// A list, with what each of its items holds beside itself.
fn list<T>(items: &Vec<T>, of_item: impl Fn(&T) -> usize) -> usize {
    piece(items.capacity() * size_of::<T>()) + items.iter().map(of_item).sum::<usize>()
}

/// Members are kept in the order they came in, as josekit has it from `serde_json`: a list of them with their hashes, and a table
/// of places, which has room for a power of two and is full at seven eighths.
fn object(members: &Map<String, Value>) -> usize {
    const PLACE: usize = size_of::<usize>() + 1;
    if members.is_empty() {
        return 0;
    }
    let room = (members.len() * 8).div_ceil(7).next_power_of_two().max(4);
    let member = size_of::<usize>() + size_of::<String>() + size_of::<Value>();
    piece(room * member)
        + piece(room * PLACE + PIECE)
        + members.iter().map(|(name, member)| text(name) + value(member)).sum::<usize>()
}

/// What a value holds beside itself.
fn value(of: &Value) -> usize {
    match of {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(of) => text(of),
        Value::Array(items) => list(items, value),
        Value::Object(members) => object(members),
    }
}

/// What a scope holds beside itself. Its list may have grown to twice what is in it, and four items at least.
fn tokens(scope: &Scope) -> usize {
    let (count, bytes) = scope.tokens().fold((0, 0), |(count, bytes), token| (count + 1, bytes + piece(token.len())));
    if count == 0 { 0 } else { bytes + piece((2 * count).max(4) * size_of::<String>()) }
}

pub(super) fn allowed(of: &Allowed) -> usize {
    size_of::<Allowed>() + tokens(&of.scope) + list(&of.claims, text)
}

pub(super) fn client(of: &Client) -> usize {
    let texts = [&of.client_id, &of.client_name].map(text);
    let optionals = [
        &of.sector_identifier,
        &of.client_uri,
        &of.policy_uri,
        &of.tos_uri,
        &of.backchannel_logout_uri,
        &of.frontchannel_logout_uri,
        &of.initiate_login_uri,
        &of.resource,
    ]
    .map(|of| optional(of.as_ref()));
    let role = |Role { role, group, .. }: &Role| text(role) + text(group);
    let lists = [&of.redirect_uris, &of.post_logout_redirect_uris, &of.audiences, &of.groups].map(|of| list(of, text));
    size_of::<Client>()
        + texts.iter().chain(&optionals).chain(&lists).sum::<usize>()
        + list(&of.grant_types, |_| 0)
        + list(&of.response_types, |_| 0)
        + tokens(&of.scope)
        + list(&of.roles, role)
        + scopes(&of.own_scopes)
        + list(&of.claim_maps, claim_map)
        + list(&of.secrets, |HashedSecret { secret_hash, .. }| text(secret_hash))
}

fn scopes(of: &Vec<OwnScope>) -> usize {
    list(of, |OwnScope { scope, description, claims }| text(scope) + text(description) + list(claims, text))
}

pub(super) fn offered(of: &Offered) -> usize {
    size_of::<Offered>() + scopes(&of.scopes) + list(&of.claims, text)
}

fn claim_map(of: &ClaimMap) -> usize {
    let source = match &of.source {
        Source::Groups | Source::Roles => 0,
        Source::Claim(name) => text(name),
        Source::Constant(of) => value(of),
    };
    list(&of.path, text)
        + source
        + optional(of.scope.as_ref())
        + list(&of.places, |_| 0)
        + [&of.starts_with, &of.prefix].map(text).iter().sum::<usize>()
}

pub(super) fn facts(of: &Facts) -> usize {
    let fact = |Fact { claim, value: of, of: membership }: &Fact| {
        text(claim) + value(of) + membership.as_ref().map_or(0, |it| text(&it.group))
    };
    size_of::<Facts>() + list(&of.memberships, |it| text(&it.group)) + list(&of.claims, fact)
}

pub(super) fn user(of: &User) -> usize {
    size_of::<User>()
        + [&of.sub, &of.credential, &of.factors].map(text).iter().sum::<usize>()
        + [&of.username, &of.password_hash].map(|of| optional(of.as_ref())).iter().sum::<usize>()
        + object(&of.claims)
        + list(&of.second_factor_demands, |_: &Demand| 0)
}

pub(super) fn family(of: &Family) -> usize {
    size_of::<Family>() + authorization(&of.authorization)
}

fn authorization(of: &Authorization) -> usize {
    let ClaimsRequest { userinfo, id_token } = &of.claims;
    let asked = |Asked { name, values, .. }: &Asked| text(name) + list(values, value);
    text(&of.client_id)
        + tokens(&of.scope)
        + list(&of.resources, text)
        + list(userinfo, asked)
        + list(id_token, asked)
        + list(&of.shown, text)
        + of.sign_in.as_ref().map_or(0, sign_in)
        + of.confirmation.as_ref().map_or(0, value)
}

fn sign_in(of: &SignIn) -> usize {
    [&of.sub, &of.acr, &of.credential].map(text).iter().sum::<usize>() + list(&of.amr, text)
}
