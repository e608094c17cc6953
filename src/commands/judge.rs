//! The one judge of clients: what their values must be, and what each must come to. `client lint` asks it about the rows that
//! files make, and `doctor` about those of the database.

mod telling;

pub(super) use telling::of_claim_row;

use crate::commands::acceptance::{self, address_fault, audience_fault, client_id_fault};
use crate::passwords;
use crate::protocol::address::is_plain_http;
use crate::protocol::claim_names::{LONGEST_VALUE, RESERVED, user_claim_fault};
use crate::protocol::client::Client;
use crate::protocol::columns::{self, RowFault};
use crate::protocol::response::{ApplicationType, ConsentPolicy, PkcePolicy};
use crate::protocol::scope::SCOPES_SUPPORTED;
use crate::protocol::shown::looks_hashed;
use crate::protocol::site::FrontChannel;
use crate::store::clients;

/// What native public clients are told whose `consent = skip` would be ignored.
pub(super) const ALWAYS_ASKS: &str = "a native client without a secret always asks for consent, since any application may take its place (RFC 8252 section 8.6)";

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// It would not work, or not be safe.
    Error,
    /// It may be meant so.
    Warning,
}

/// What is wrong.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) level: Level,
    pub(super) code: &'static str,
    /// The column that it is about; empty: the whole row.
    pub(super) column: &'static str,
    pub(super) why: String,
    pub(super) fix: String,
    /// Whether it is an operator's own risk, which may be accepted whatever its level.
    pub(super) is_own_risk: bool,
}

impl Fault {
    pub(super) fn error(code: &'static str, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Error, code, column: "", why: why.into(), fix: fix.into(), is_own_risk: false }
    }

    pub(super) fn warning(code: &'static str, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(code, why, fix) }
    }

    pub(super) fn in_column(self, column: &'static str) -> Self {
        Self { column, ..self }
    }

    /// What may be accepted by that code, where it may.
    fn by_risk(level: Level, code: (Option<&'static str>, &'static str), why: impl Into<String>, fix: &str) -> Self {
        match code {
            (Some(code), _) => Self { level, is_own_risk: true, ..Self::error(code, why, fix) },
            (None, code) => Self::error(code, why, fix),
        }
    }
}

/// Which columns hold addresses, and the code of what is wrong with one.
const ADDRESSES: &[(&str, &str, &str)] = &[
    ("client_redirect_uris", "redirect_uri", "redirect-uri"),
    ("client_post_logout_redirect_uris", "post_logout_redirect_uri", "logout-uri"),
    ("clients", "backchannel_logout_uri", "logout-uri"),
    ("clients", "frontchannel_logout_uri", "logout-uri"),
    ("clients", "initiate_login_uri", "other-uri"),
    ("clients", "client_uri", "other-uri"),
    ("clients", "policy_uri", "other-uri"),
    ("clients", "tos_uri", "other-uri"),
];

/// What is wrong with a text, as far as its column alone decides; `kind`: the `application_type` of its client.
pub(super) fn of_value(table: &str, column: &str, text: &str, kind: ApplicationType) -> Option<Fault> {
    if let Some((.., code)) = ADDRESSES.iter().find(|(of, name, _)| *of == table && *name == column) {
        // Only what the browser is sent back to may be an application on the user's own machine.
        return of_address(text, code, if table == "clients" { ApplicationType::Web } else { kind });
    }
    match (table, column) {
        ("client_secrets", "secret_hash") => {
            let why = passwords::hash_fault(text).or_else(|| passwords::hash_weakness(text))?;
            Some(of_hash(column, text, why, "`hallpass client rotate-secret` makes a new one"))
        }
        ("users", "password_hash") => {
            let why = passwords::user_hash_fault(text)?;
            Some(of_hash(column, text, why, "`hallpass hash-secret` prints a good one"))
        }
        ("clients", "client_id") => {
            let found = client_id_fault(text)?;
            let why = match found.code {
                Some(_) => {
                    "a client_id with other characters than letters, digits and - . _ ~ must be encoded in headers and addresses (RFC 6749 section 2.3.1)"
                }
                None => found.why,
            };
            let code = (found.code, acceptance::CLIENT_ID);
            Some(Fault::by_risk(Level::Warning, code, why, "choose another before it is in use"))
        }
        ("client_audiences", "audience") | ("clients", "resource") => {
            let found = audience_fault(text)?;
            let why = format!("{text}: {}", found.why);
            Some(Fault::by_risk(Level::Warning, (found.code, acceptance::AUDIENCE), why, "name it by its URI"))
        }
        ("user_claims" | "group_claims", "claim") => {
            let why = user_claim_fault(text)?;
            Some(Fault::error("claim-name", format!("{table}: {why}"), "give the claim another name"))
        }
        ("scopes", "scope") if SCOPES_SUPPORTED.contains(&text) => {
            let why =
                format!("scopes has a row for {text}, which is a standard scope with claims and words of its own");
            Some(Fault::error("scope-standard", why, "give the scope another name"))
        }
        ("scopes", "claims") => {
            let reserved = text.split_whitespace().find(|name| RESERVED.contains(name))?;
            let why = format!("scopes: {reserved} is set by the protocol itself");
            Some(Fault::error("claim-name", why, "take the name from the list"))
        }
        ("user_claims" | "group_claims", "value") if text.len() > LONGEST_VALUE => {
            let why = format!("{table}: a value of {} bytes is passed over; {LONGEST_VALUE} are the most", text.len());
            Some(Fault::error("claim-value", why, "shorten it"))
        }
        ("user_claims" | "group_claims", "value") => {
            serde_json::from_str::<serde_json::Value>(text).err()?;
            let fix = "write JSON; a text is in double quotes, such as '\"Sales\"'";
            Some(Fault::error("claim-value", format!("{table}: the value {text:?} is no JSON"), fix))
        }
        ("clients", "scope") => columns::scope(text).err().map(|RowFault { why, fix }| Fault::error("scope", why, fix)),
        ("clients", _) => {
            let words = clients::WORDS.iter().find(|known| known.name() == column)?;
            words.fault(text).map(|RowFault { why, fix }| Fault::error("unknown-word", why, fix))
        }
        _ => None,
    }
}

fn of_address(uri: &str, code: &'static str, kind: ApplicationType) -> Option<Fault> {
    let found = address_fault(uri, kind)?;
    let fix = match found.code {
        Some(acceptance::PLAIN_HTTP) => "use https",
        Some(_) => "use a reversed domain name",
        None => "write the https address exactly as the service sends it (http only on a loopback address)",
    };
    Some(Fault::by_risk(Level::Error, (found.code, code), format!("{uri}: {}", found.why), fix))
}

fn of_hash(column: &str, hash: &str, why: &str, what: &str) -> Fault {
    // What looks like a hash of another kind is no leak; anything else is the secret itself.
    if hash.starts_with('$') || looks_hashed(hash) || passwords::identity_hash(hash).is_ok() {
        Fault::error("secret-weak", format!("{column}: {why}"), what)
    } else {
        let fix = format!("{what}; this one is in the history now");
        Fault::error("secret-plain", format!("{column} holds a plain text: {why}"), fix)
    }
}

/// What is wrong with the values of a client that a node reads, but for its hashes.
pub(super) fn of_values(client: &Client) -> Vec<Fault> {
    let kind = client.application_type;
    let of_row = [
        ("client_id", Some(client.client_id.as_str())),
        ("resource", client.resource.as_deref()),
        ("backchannel_logout_uri", client.backchannel_logout_uri.as_deref()),
        ("frontchannel_logout_uri", client.frontchannel_logout_uri.as_deref()),
        ("initiate_login_uri", client.initiate_login_uri.as_deref()),
        ("client_uri", client.client_uri.as_deref()),
        ("policy_uri", client.policy_uri.as_deref()),
        ("tos_uri", client.tos_uri.as_deref()),
    ];
    let of_row = of_row.into_iter().filter_map(|(column, text)| of_value("clients", column, text?, kind));
    let of_list = |table: &'static str, column: &'static str, texts: &[String]| -> Vec<Fault> {
        texts.iter().filter_map(|text| of_value(table, column, text, kind)).collect()
    };
    let lists = [
        of_list("client_redirect_uris", "redirect_uri", &client.redirect_uris),
        of_list("client_post_logout_redirect_uris", "post_logout_redirect_uri", &client.post_logout_redirect_uris),
        of_list("client_audiences", "audience", &client.audiences),
    ];
    of_row.chain(lists.into_iter().flatten()).collect()
}

/// What is wrong with a client as a whole. `issuer`: as users will see it, if that is known. `is_whole`: whether all of its
/// rows are known, so that what is not there is missing.
pub(super) fn of_client(client: &Client, issuer: Option<&str>, is_whole: bool) -> Vec<Fault> {
    let mut found = of_public(client);
    if client.disabled_at.is_none() {
        if is_whole {
            found.extend(of_missing(client));
        }
        found.extend(of_refreshing(client));
        found.extend(telling::of_access(client, is_whole));
        found.extend(telling::of_scopes(client, is_whole));
        found.extend(telling::of_maps(client, is_whole));
        found.extend(issuer.and_then(|issuer| of_front_channel(client, issuer)));
    }
    if is_whole && let Some(sector) = client.missing_sector() {
        let why = format!(
            "{} has pairwise subjects and no sector_identifier, so that another host among its addresses would change every sub \
             (OpenID Connect Core 8.1)",
            client.client_id
        );
        found
            .push(Fault::error("sector", why, format!("write sector_identifier '{sector}'")).in_column("subject_type"));
    }
    found
}

/// What a client without a secret may not have or do, and what PKCE protects.
fn of_public(client: &Client) -> Vec<Fault> {
    let id = &client.client_id;
    let mut found = Vec::new();
    let is_optional = client.pkce == PkcePolicy::Optional;
    if !client.is_public() {
        if is_optional && client.redirect_uris.iter().any(|uri| is_plain_http(uri)) {
            let why = format!(
                "{id} has an address by plain http, where a code can be read on the way, and PKCE is what protects it"
            );
            found.push(Fault::error(acceptance::PLAIN_HTTP, why, "leave pkce at required").in_column("pkce"));
        }
        return found;
    }
    if is_optional {
        let why = format!(
            "{id} is public and may leave PKCE out, so that a code can be stolen on the way (RFC 9700 section 2.1.1)"
        );
        found.push(Fault::error("public-without-pkce", why, "leave pkce at required").in_column("pkce"));
    }
    if client.always_asks() && client.consent == ConsentPolicy::Skip {
        let why = format!("{id} has consent 'skip', which is ignored: {ALWAYS_ASKS}");
        let fix = "write consent 'ask', or give it a secret";
        found.push(Fault::warning("consent-ignored", why, fix).in_column("consent"));
    }
    if let Some(machine) = client.grant_types.iter().find(|grant| grant.is_of_machines()) {
        let why =
            format!("{id} is public and cannot prove who it is, so it cannot act for itself (RFC 6749 section 4.4)");
        let fix = format!("give it a secret, or take {machine} away");
        found.push(Fault::error("public-machine", why, fix).in_column("grant_types"));
    }
    if !client.secrets.is_empty() {
        let why = format!("{id} is public, and its secret is never asked for");
        let fix = "make it client_secret_basic, or take the secret away";
        found.push(Fault::warning("public-with-secret", why, fix).in_column("token_endpoint_auth_method"));
    }
    found
}

/// What a client needs and has not.
fn of_missing(client: &Client) -> Vec<Fault> {
    let id = &client.client_id;
    let mut found = Vec::new();
    if !client.is_public() && client.secrets.is_empty() {
        let fix = format!(
            "`hallpass client rotate-secret {id}` writes one; a public client has token_endpoint_auth_method none"
        );
        found.push(Fault::warning(
            "no-secret",
            format!("{id} has no secret, and cannot redeem a code without one"),
            fix,
        ));
    }
    let Some(grant) = client.grant_types.iter().find(|grant| grant.needs_redirect_uri()) else { return found };
    if client.resource.is_some() {
        return found;
    }
    if client.redirect_uris.is_empty() {
        let why =
            format!("{id} has the grant {grant} and no redirect URI, so that no user can come back from signing in");
        found.push(Fault::error("no-redirect-uri", why, "add a row to client_redirect_uris"));
    }
    let mut missing = Vec::new();
    if client.backchannel_logout_uri.is_none() && client.frontchannel_logout_uri.is_none() {
        missing.push("is not told when a user signs out elsewhere (backchannel_logout_uri, frontchannel_logout_uri)");
    }
    if client.post_logout_redirect_uris.is_empty() {
        missing.push("cannot send users through our sign-out and get them back (client_post_logout_redirect_uris)");
    }
    if !missing.is_empty() {
        let why = format!("{id} {}", missing.join(", and "));
        found.push(Fault::warning("no-logout-uri", why, "register them where it can use them"));
    }
    found
}

/// The grant `refresh_token` and the scope `offline_access`, which are nothing without each other.
fn of_refreshing(client: &Client) -> Option<Fault> {
    let id = &client.client_id;
    match (client.scope.has("offline_access"), client.may_refresh()) {
        (true, false) => {
            let why = format!("{id} may ask for offline_access and gets no refresh token for it");
            Some(Fault::warning("refresh-token", why, "add refresh_token to grant_types").in_column("scope"))
        }
        (false, true) => {
            let why = format!("{id} has the grant refresh_token and may not ask for offline_access, which brings one");
            Some(Fault::warning("refresh-token", why, "add offline_access to scope").in_column("grant_types"))
        }
        _ => None,
    }
}

/// A client that is told of a sign-out by a frame alone, which lies on another site than the issuer.
fn of_front_channel(client: &Client, issuer: &str) -> Option<Fault> {
    let uri = client.frontchannel_logout_uri.as_deref().filter(|_| client.backchannel_logout_uri.is_none())?;
    let warning = FrontChannel::warning(uri, issuer)?;
    let why = format!("{}: frontchannel_logout_uri {warning}", client.client_id);
    let fix = "register a backchannel_logout_uri, which needs no cookie";
    Some(Fault::warning("logout-uri", why, fix).in_column("frontchannel_logout_uri"))
}
