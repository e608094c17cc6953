//! Any provider from outside: its discovery document and its keys. OIDC Discovery 3 and 4, RFC 8414, RFC 7517, RFC 9700.

use super::report::{Report, check_certificate, check_date, is_open_on_the_way};
use crate::endpoints::path::{OAUTH_AUTHORIZATION_SERVER, OPENID_CONFIGURATION};
use crate::failure::Failure;
use crate::protocol::time::NumericDate;
use crate::web::outbound::{Fetched, Outbound};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use url::Url;

/// Longer than this, a change of keys takes services by surprise.
const LONGEST_CACHE: i64 = 86_400;

/// The issuer of an address, and the address of its discovery document
/// ([OIDC Discovery 4.1](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationRequest)).
fn names(address: &str) -> (String, String) {
    let issuer = address.strip_suffix(OPENID_CONFIGURATION).unwrap_or(address);
    // A URL without a path is written with a slash by the library, and without one by most operators.
    let issuer = match Url::parse(issuer) {
        Ok(url) if url.path() == "/" => issuer.trim_end_matches('/'),
        _ => issuer,
    };
    (issuer.to_owned(), format!("{}{OPENID_CONFIGURATION}", issuer.trim_end_matches('/')))
}

/// Whether the address is a provider's; a service has no discovery document.
pub(super) async fn is_provider(outbound: &Outbound, url: &Url) -> bool {
    if url.path().ends_with(OPENID_CONFIGURATION) {
        return true;
    }
    let (_, discovery) = names(url.as_str());
    let answer = outbound.get(&discovery, &[]).await;
    answer.is_ok_and(|answer| document(&answer).is_some_and(|document| document.contains_key("issuer")))
}

fn document(answer: &Fetched) -> Option<Map<String, Value>> {
    match serde_json::from_str(&answer.body) {
        Ok(Value::Object(document)) if answer.status == 200 => Some(document),
        _ => None,
    }
}

fn text<'a>(document: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    document.get(name).and_then(Value::as_str)
}

fn words<'a>(document: &'a Map<String, Value>, name: &str) -> Option<Vec<&'a str>> {
    Some(document.get(name)?.as_array()?.iter().filter_map(Value::as_str).collect())
}

fn answers(url: &str, what: &str) -> Failure {
    Failure::new(format!("{url} answers {what}"))
}

/// A provider's document and the JWK Set it names, for checking a token.
pub(super) async fn read(outbound: &Outbound, address: &str) -> Result<(Map<String, Value>, String), Failure> {
    let (_, discovery) = names(address);
    let answer = outbound.get(&discovery, &[]).await.map_err(|why| Failure::at(&discovery, why))?;
    let document = document(&answer)
        .ok_or_else(|| answers(&discovery, &format!("{} and no discovery document", answer.status)))?;
    let jwks_uri = text(&document, "jwks_uri");
    let jwks_uri = jwks_uri.ok_or_else(|| Failure::new(format!("{discovery} names no jwks_uri")))?.to_owned();
    let jwks = outbound.get(&jwks_uri, &[]).await.map_err(|why| Failure::at(&jwks_uri, why))?;
    if jwks.status == 200 { Ok((document, jwks.body)) } else { Err(answers(&jwks_uri, &jwks.status.to_string())) }
}

pub(super) async fn check(report: &mut Report, outbound: &Outbound, address: &str, now: NumericDate) {
    let (asked, url) = names(address);
    let answer = match outbound.get(&url, &[]).await {
        Ok(answer) => answer,
        Err(why) => {
            return report.fault(
                "discovery",
                format!("{url}: {why}"),
                "start it, or look at DNS, proxy and certificate",
            );
        }
    };
    let Some(found) = document(&answer) else {
        let to = answer.header("location").map(|to| format!(" and leads to {to}")).unwrap_or_default();
        return report.fault(
            "discovery",
            format!("{url} answers {}{to}, and no JSON object", answer.status),
            "it must answer 200 with the document itself (OpenID Connect Discovery 4.2)",
        );
    };
    match answer.header("content-type") {
        Some(kind) if kind.starts_with("application/json") => report.ok("discovery", format!("{url} answers")),
        kind => report.warning(
            "discovery",
            format!("{url} answers with the type {:?}", kind.unwrap_or("none")),
            "some libraries refuse anything but application/json",
        ),
    }
    check_certificate(report, &answer, now);
    check_date(report, &answer, now);
    issuer(report, &found, &asked, address);
    members(report, &found);
    endpoints(report, &found);
    algorithms(report, &found);
    capabilities(report, &found);
    defaults(report, &found);
    authorization_server(report, outbound, &found).await;
    if let Some(jwks_uri) = text(&found, "jwks_uri") {
        jwks(report, outbound, jwks_uri, &words(&found, "id_token_signing_alg_values_supported").unwrap_or_default())
            .await;
    }
}

/// The issuer is compared byte for byte by every client (OIDC Discovery 4.3).
fn issuer(report: &mut Report, found: &Map<String, Value>, asked: &str, address: &str) {
    let issuer = text(found, "issuer").unwrap_or_default();
    if issuer == asked {
        report.ok("issuer", format!("{issuer}, as it was asked for"));
    } else if issuer.trim_end_matches('/') == asked.trim_end_matches('/') {
        if address.ends_with(OPENID_CONFIGURATION) {
            report.ok("issuer", format!("{issuer}; services must have the slash exactly as here"));
        } else {
            report.fault(
                "issuer",
                format!(
                    "it calls itself {issuer:?}, and you call it {asked:?}: the slash at the end is part of the name"
                ),
                format!("give services the issuer {issuer}"),
            );
        }
    } else {
        report.fault(
            "issuer",
            format!("it calls itself {issuer:?}, and was asked as {asked:?}; clients refuse that"),
            "set the provider's issuer to the address that services use; behind a proxy it often takes the inner one",
        );
    }
    if issuer.contains(['?', '#']) {
        report.fault("issuer", "it has a query or a fragment", "use an address without (OpenID Connect Discovery 3)");
    }
    if Url::parse(issuer).is_ok_and(|url| is_open_on_the_way(&url)) {
        report.fault("issuer", "it is plain http: codes and tokens can be read on the way", "use https");
    }
}

fn members(report: &mut Report, found: &Map<String, Value>) {
    const REQUIRED: [&str; 7] = [
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "response_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
    ];
    let missing: Vec<&str> = REQUIRED.into_iter().filter(|name| !found.contains_key(*name)).collect();
    if missing.is_empty() {
        report.ok("members", "every required member is there");
    } else {
        report.fault("members", format!("missing: {}", missing.join(", ")), "OpenID Connect Discovery 3 requires them");
    }
    if !found.contains_key("userinfo_endpoint") {
        report.warning(
            "members",
            "there is no userinfo_endpoint",
            "services must read every claim from the id_token then",
        );
    }
    if words(found, "scopes_supported").is_some_and(|scopes| !scopes.contains(&"openid")) {
        report.fault("members", "scopes_supported lacks openid", "OpenID Connect Discovery 3 requires it there");
    }
}

fn endpoints(report: &mut Report, found: &Map<String, Value>) {
    let mut sound = 0;
    let host = text(found, "issuer").and_then(|issuer| Url::parse(issuer).ok()?.host_str().map(str::to_owned));
    let mut elsewhere: BTreeSet<String> = BTreeSet::new();
    for (name, value) in found.iter().filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri") {
        let Some(url) = value.as_str().and_then(|text| Url::parse(text).ok()) else {
            report.fault("endpoints", format!("{name} is no absolute URL"), "write it in full");
            continue;
        };
        if is_open_on_the_way(&url) {
            report.fault(
                "endpoints",
                format!("{name} is plain http ({url})"),
                "use https; behind a proxy, tell the provider its public address",
            );
        } else if url.fragment().is_some() {
            report.fault("endpoints", format!("{name} has a fragment"), "leave it out (RFC 6749 section 3.1)");
        } else {
            sound += 1;
        }
        if url.host_str().map(str::to_owned) != host {
            elsewhere.extend(url.host_str().map(str::to_owned));
        }
    }
    if sound > 0 {
        report.ok("endpoints", format!("{sound} are https, or on this machine"));
    }
    if !elsewhere.is_empty() {
        let hosts: Vec<String> = elsewhere.into_iter().collect();
        report.warning(
            "endpoints",
            format!("some are on other hosts than the issuer: {}", hosts.join(", ")),
            "that is allowed, but firewalls and Content-Security-Policies must know them",
        );
    }
}

fn algorithms(report: &mut Report, found: &Map<String, Value>) {
    let Some(words) = words(found, "id_token_signing_alg_values_supported") else { return };
    if words.contains(&"RS256") {
        report.ok("algorithms", words.join(", "));
    } else {
        report.fault(
            "algorithms",
            format!("RS256 is not among {}", words.join(", ")),
            "OpenID Connect Core 15.1 requires it",
        );
    }
    if words.contains(&"none") {
        report.fault("algorithms", "id_tokens without a signature are on offer", "take none out of the list");
    }
}

fn capabilities(report: &mut Report, found: &Map<String, Value>) {
    match words(found, "code_challenge_methods_supported") {
        Some(methods) if methods.contains(&"S256") => report.ok("pkce", "S256 is supported, and services can see it"),
        Some(methods) => report.fault(
            "pkce",
            format!("S256 is not among {}", methods.join(", ")),
            "support it: plain protects nothing (RFC 9700 section 2.1.1)",
        ),
        None => report.warning(
            "pkce",
            "code_challenge_methods_supported is missing: libraries that look for it send no PKCE",
            "publish S256 (RFC 8414 section 2)",
        ),
    }
    match words(found, "response_types_supported") {
        Some(types) if types.contains(&"code") => report.ok("flows", format!("response types {}", types.join(", "))),
        Some(types) => {
            report.fault("flows", format!("code is not among {}", types.join(", ")), "support the code flow");
        }
        None => {}
    }
    if found.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)) {
        report.ok("flows", "its answers say who they are from (iss)");
    } else {
        report.warning(
            "flows",
            "its answers do not say who they are from",
            "services of several providers need iss against mix-up (RFC 9207)",
        );
    }
}

/// What is left out means something, and often not what the provider does (OIDC Discovery 3).
fn defaults(report: &mut Report, found: &Map<String, Value>) {
    const BITE: [(&str, &str); 4] = [
        ("token_endpoint_auth_methods_supported", "client_secret_basic only"),
        ("grant_types_supported", "authorization_code and implicit"),
        ("response_modes_supported", "query and fragment, no form_post"),
        ("request_uri_parameter_supported", "yes, request_uri is supported"),
    ];
    let missing: Vec<String> = BITE
        .into_iter()
        .filter(|(name, _)| !found.contains_key(*name))
        .map(|(name, meaning)| format!("{name} (means: {meaning})"))
        .collect();
    if missing.is_empty() {
        report.ok("defaults", "nothing is left out whose default bites");
    } else {
        report.warning("defaults", format!("left out: {}", missing.join("; ")), "write out what is meant");
    }
}

/// The same document for plain OAuth clients, its path inserted before the issuer's (RFC 8414 section 3.1).
async fn authorization_server(report: &mut Report, outbound: &Outbound, found: &Map<String, Value>) {
    let Some(issuer) = text(found, "issuer") else { return };
    let Ok(url) = Url::parse(issuer) else { return };
    let origin = url.origin().ascii_serialization();
    let address = format!("{origin}{OAUTH_AUTHORIZATION_SERVER}{}", url.path().trim_end_matches('/'));
    match outbound.get(&address, &[]).await {
        Ok(answer) => match document(&answer) {
            Some(other) if text(&other, "issuer") == Some(issuer) => report.ok("rfc8414", format!("{address} agrees")),
            Some(_) => report.fault(
                "rfc8414",
                format!("{address} names another issuer"),
                "both documents must have the same issuer (RFC 8414 section 3.3)",
            ),
            None => report.ok("rfc8414", format!("not offered at {address} (it need not be)")),
        },
        Err(why) => report.warning("rfc8414", format!("{address}: {why}"), "look at the proxy"),
    }
}

/// The key type an algorithm of RFC 7518 and RFC 8037 needs.
fn kty_of(algorithm: &str) -> Option<&'static str> {
    match algorithm {
        "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" => Some("RSA"),
        "ES256" | "ES384" | "ES512" | "ES256K" => Some("EC"),
        "EdDSA" | "Ed25519" | "Ed448" => Some("OKP"),
        _ => None,
    }
}

async fn jwks(report: &mut Report, outbound: &Outbound, url: &str, algorithms: &[&str]) {
    let answer = match outbound.get(url, &[]).await {
        Ok(answer) => answer,
        Err(why) => return report.fault("jwks", format!("{url}: {why}"), "let services reach it"),
    };
    let keys = document(&answer).and_then(|jwks| jwks.get("keys").and_then(Value::as_array).cloned());
    let Some(keys) = keys.filter(|keys| !keys.is_empty()) else {
        return report.fault(
            "jwks",
            format!("{url} answers {} and no JWK Set with keys", answer.status),
            "it must answer 200 with {\"keys\":[…]} (RFC 7517 section 5)",
        );
    };
    let faults_before = report.checks.len();
    let mut kids = BTreeSet::new();
    for (index, key) in keys.iter().enumerate() {
        let member = |name: &str| key.get(name).and_then(Value::as_str);
        let name = member("kid").map_or_else(|| format!("key {}", index + 1), str::to_owned);
        match member("kid") {
            Some(kid) if !kids.insert(kid) => {
                report.fault("jwks", format!("the kid {kid} is there twice"), "each key needs a kid of its own");
            }
            None if keys.len() > 1 => {
                report.fault(
                    "jwks",
                    format!("{name} has no kid"),
                    "with several keys, each needs one (OpenID Connect Core 10.1)",
                );
            }
            _ => {}
        }
        let private: Vec<&str> =
            ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].into_iter().filter(|part| key.get(part).is_some()).collect();
        if !private.is_empty() {
            report.fault(
                "jwks",
                format!("{name} is published with its private members {}", private.join(", ")),
                "any reader can sign as this provider: replace the key now, and publish public members only",
            );
        }
        let bits = member("n").and_then(|n| URL_SAFE_NO_PAD.decode(n).ok()).map(|n| bits_of(&n));
        if bits.is_some_and(|bits| bits < 2048) {
            report.fault(
                "jwks",
                format!("{name} has {} bits", bits.unwrap_or(0)),
                "use 2048 or more (RFC 7518 section 3.3)",
            );
        }
        if let (Some(alg), Some(kty)) = (member("alg"), member("kty"))
            && kty_of(alg).is_some_and(|expected| expected != kty)
        {
            report.fault("jwks", format!("{name} is of the type {kty} and says alg {alg}"), "correct one of the two");
        }
    }
    for algorithm in algorithms {
        let kty = kty_of(algorithm);
        if kty.is_some() && !keys.iter().any(|key| key.get("kty").and_then(Value::as_str) == kty) {
            report.fault(
                "jwks",
                format!("{algorithm} is on offer, but there is no key for it"),
                "publish one, or take the algorithm out of the list",
            );
        }
    }
    if report.checks.len() == faults_before {
        report.ok("jwks", format!("{} public, each with a kid of its own, none too small", count(keys.len(), "key")));
    }
    cache(report, &answer);
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The length of a number without its leading zeros.
fn bits_of(bytes: &[u8]) -> usize {
    let rest: &[u8] = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    rest.first().map_or(0, |first| rest.len() * 8 - first.leading_zeros() as usize)
}

fn cache(report: &mut Report, answer: &Fetched) {
    let control = answer.header("cache-control").unwrap_or_default();
    let max_age = control
        .split(',')
        .find_map(|part| part.trim().strip_prefix("max-age="))
        .and_then(|seconds| seconds.parse::<i64>().ok());
    match max_age {
        Some(seconds) if seconds > LONGEST_CACHE => report.warning(
            "jwks",
            format!("services may keep it for {seconds} seconds, and meet unknown keys until then"),
            "an hour is enough",
        ),
        Some(seconds) => report.ok("jwks", format!("services may keep it for {seconds} seconds")),
        None => report.warning(
            "jwks",
            "it does not say how long it may be kept, so every library guesses",
            "send Cache-Control: max-age, and publish new keys for longer than that before they sign",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_means_an_issuer() {
        let names = |address: &str| {
            let (issuer, url) = names(address);
            format!("{issuer} {url}")
        };
        let at = |issuer: &str, base: &str| format!("{issuer} {base}{OPENID_CONFIGURATION}");
        assert_eq!(names("https://a.example/"), at("https://a.example", "https://a.example"));
        assert_eq!(names("https://a.example/auth"), at("https://a.example/auth", "https://a.example/auth"));
        assert_eq!(names("https://a.example/auth/"), at("https://a.example/auth/", "https://a.example/auth"));
        let discovery = format!("https://a.example/auth{OPENID_CONFIGURATION}");
        assert_eq!(names(&discovery), at("https://a.example/auth", "https://a.example/auth"));
    }

    #[test]
    fn the_bits_of_a_modulus_are_counted_without_leading_zeros() {
        assert_eq!(bits_of(&[0, 0, 0x80, 0]), 16);
        assert_eq!(bits_of(&[0x01]), 1);
        assert_eq!(bits_of(&[]), 0);
    }
}
