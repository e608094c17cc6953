//! A token that was pasted, claim by claim, with the reasons. RFC 7515, RFC 7519, OIDC Core 3.1.3.7, RFC 9068 section 4,
//! Back-Channel Logout 2.6. Neither the token nor its signature is printed.

use super::provider;
use super::report::Report;
use crate::failure::Failure;
use crate::keys::plan::shown;
use crate::protocol::claims::at_hash;
use crate::protocol::response::SigningAlgorithm;
use crate::protocol::secret::{AccessToken, RefreshToken, same_text};
use crate::protocol::time::NumericDate;
use crate::web::outbound::Outbound;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openidconnect::JsonWebKey as _;
use openidconnect::core::{CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use serde_json::{Map, Value};

/// What libraries forgive clocks, mostly, in seconds.
const LEEWAY: i64 = 60;

/// What the token must have.
pub(super) struct Wanted<'a> {
    pub audience: Option<&'a str>,
    pub nonce: Option<&'a str>,
}

/// A compact JWS, taken apart.
struct Jws<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

pub(super) async fn check(
    report: &mut Report,
    outbound: &Outbound,
    issuer: &str,
    input: &str,
    wanted: &Wanted<'_>,
    now: NumericDate,
) -> Result<(), Failure> {
    let mut lines = input.lines().map(str::trim).filter(|line| !line.is_empty());
    let token = lines.next().ok_or_else(|| Failure::new("standard input holds no token"))?;
    let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
    let access_token = lines.next();
    let Some(jws) = take_apart(report, token) else { return Ok(()) };
    let text = |members: &Map<String, Value>, name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
    let alg = text(&jws.header, "alg").unwrap_or_default();
    let read = provider::read(outbound, issuer).await;
    let document = match read {
        Ok((document, keys)) => {
            algorithm(report, &alg, &document);
            signature(report, &jws, &alg, &keys);
            Some(document)
        }
        Err(why) => {
            report.fault(
                "signature",
                format!("not checked: {why}"),
                "name the provider: hallpass doctor ISSUER --token -",
            );
            None
        }
    };
    kind(report, &jws);
    let expected = document.as_ref().and_then(|document| text(document, "issuer"));
    match (text(&jws.claims, "iss"), expected) {
        (None, _) => report.fault("iss", "there is none", "the provider must say who it is"),
        (Some(iss), Some(expected)) if iss == expected => report.ok("iss", iss),
        (Some(iss), Some(expected)) => report.fault(
            "iss",
            format!("{iss:?} is not the provider's {expected:?}{}", where_differs(&iss, &expected)),
            "clients compare it byte for byte: correct HALLPASS_ISSUER, or the client's setting",
        ),
        (Some(iss), None) => report.warning("iss", format!("{iss}, not compared"), "make the provider reachable"),
    }
    audience(report, &jws.claims, wanted.audience);
    times(report, &jws.claims, now);
    nonce(report, &jws, wanted.nonce);
    hash_of_access_token(report, &jws.claims, &alg, access_token);
    match text(&jws.claims, "sub") {
        Some(sub) if sub.len() <= 255 => report.ok("sub", "there is one"),
        Some(_) => report.fault("sub", "it is longer than 255 characters", "OpenID Connect Core 2 allows no more"),
        None if jws.claims.contains_key("sid") => report.ok("sub", "there is none; sid takes its place"),
        None => report.fault("sub", "there is none", "the token is about no user"),
    }
    Ok(())
}

/// `None`: it is no JWS, and the report says what it is instead.
fn take_apart<'a>(report: &mut Report, token: &'a str) -> Option<Jws<'a>> {
    if token.starts_with(AccessToken::PREFIX) || token.starts_with(RefreshToken::PREFIX) {
        report.fault(
            "form",
            "it is an opaque token of a Hallpass: it says nothing to others",
            "ask /introspect about it, as the client that it was issued to; or give its client access_token_format 'jwt'",
        );
        return None;
    }
    let parts: Vec<&str> = token.split('.').collect();
    if parts.len() == 5 {
        report.fault("form", "it is encrypted (five parts): only its recipient can read it", "decrypt it first");
        return None;
    }
    let [header, claims, signature] = parts.as_slice() else {
        report.fault(
            "form",
            format!("it is no JWT: {} instead of three parts between dots", parts.len()),
            "paste all of it and nothing else; an opaque access token is no JWT",
        );
        return None;
    };
    let object = |part: &str| -> Option<Map<String, Value>> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?).ok()
    };
    let found = (object(header), object(claims), URL_SAFE_NO_PAD.decode(signature.trim_end_matches('=')));
    let (Some(header), Some(claims), Ok(bytes)) = found else {
        report.fault("form", "a part of it is not base64url of a JSON object", "paste all of it, without line breaks");
        return None;
    };
    report.ok("form", "a signed JWT");
    Some(Jws { signed: &token[..token.len() - signature.len() - 1], signature: bytes, header, claims })
}

fn algorithm(report: &mut Report, alg: &str, document: &Map<String, Value>) {
    let offered: Vec<&str> = document
        .get("id_token_signing_alg_values_supported")
        .and_then(Value::as_array)
        .map(|words| words.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    if alg.eq_ignore_ascii_case("none") {
        report.fault("alg", "none: it is not signed", "a service that accepts it accepts any forgery; refuse it");
    } else if alg.starts_with("HS") {
        report.fault(
            "alg",
            format!("{alg}: it is signed with the client's secret, which cannot be checked here"),
            "use an algorithm with a public key, such as RS256",
        );
    } else if offered.contains(&alg) {
        report.ok("alg", format!("{alg} is one of the provider's"));
    } else {
        report.fault(
            "alg",
            format!("{alg:?} is not one of the provider's: {}", offered.join(", ")),
            "it is another provider's token",
        );
    }
}

fn signature(report: &mut Report, jws: &Jws<'_>, alg: &str, keys: &str) {
    let Ok(algorithm) = serde_json::from_value::<CoreJwsSigningAlgorithm>(alg.into()) else { return };
    let keys: CoreJsonWebKeySet = match serde_json::from_str(keys) {
        Ok(keys) => keys,
        Err(error) => {
            return report.fault(
                "signature",
                format!("the provider's keys cannot be read: {error}"),
                "hallpass doctor ISSUER",
            );
        }
    };
    let kid = jws.header.get("kid").and_then(Value::as_str);
    let known: Vec<&str> = keys.keys().iter().filter_map(|key| key.key_id().map(|kid| kid.as_str())).collect();
    let candidates: Vec<_> = keys
        .keys()
        .iter()
        .filter(|key| kid.is_none_or(|kid| key.key_id().is_some_and(|known| known.as_str() == kid)))
        .collect();
    if let Some(kid) = kid {
        if candidates.is_empty() {
            return report.fault(
                "kid",
                format!("{kid:?} is not among the provider's keys: {}", known.join(", ")),
                "the key was retired or taken out, or the token is from another provider; a service with an old key list fetches it again",
            );
        }
        report.ok("kid", format!("{kid} is one of the provider's keys"));
    } else {
        report.warning(
            "kid",
            "there is none; every key is tried",
            "with several keys, a token must name its own (OpenID Connect Core 10.1)",
        );
    }
    let is_good =
        candidates.iter().any(|key| key.verify_signature(&algorithm, jws.signed.as_bytes(), &jws.signature).is_ok());
    if is_good {
        report.ok("signature", "it is the provider's");
    } else {
        report.fault(
            "signature",
            "it does not fit the key and the text",
            "the token was changed or cut off, or another provider has a key of that name",
        );
    }
}

fn kind(report: &mut Report, jws: &Jws<'_>) {
    match jws.header.get("typ").and_then(Value::as_str) {
        None => report.ok("typ", "none: taken for an id_token"),
        Some(typ) if typ.eq_ignore_ascii_case("jwt") => report.ok("typ", format!("{typ}: an id_token")),
        Some(typ) if typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt") => {
            report.ok("typ", format!("{typ}: an access token for an API (RFC 9068), not for the client to read"));
        }
        Some(typ) if typ.eq_ignore_ascii_case("logout+jwt") => {
            let names_event = jws.claims.get("events").is_some_and(|events| {
                events.get("http://schemas.openid.net/event/backchannel-logout").is_some_and(Value::is_object)
            });
            if names_event {
                report.ok("typ", format!("{typ}: a logout token"));
            } else {
                report.fault(
                    "typ",
                    format!("{typ}, but events does not say logout"),
                    "Back-Channel Logout 2.4 requires it",
                );
            }
        }
        Some(typ) => {
            report.warning("typ", format!("{typ:?} is none we know"), "JWT, at+jwt and logout+jwt are what is usual");
        }
    }
}

fn audience(report: &mut Report, claims: &Map<String, Value>, wanted: Option<&str>) {
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => return report.fault("aud", "there is none", "the token is for no audience"),
    };
    let all = audiences.join(", ");
    match wanted {
        Some(wanted) if audiences.contains(&wanted) => report.ok("aud", format!("{wanted} is among {all}")),
        Some(wanted) => report.fault(
            "aud",
            format!("it is for {all}, and not for {wanted}"),
            "an id_token is for its client_id, an access token for its API: has the one been taken for the other?",
        ),
        None => report.warning("aud", format!("it is for {all}, which is not compared"), "say --audience"),
    }
    match claims.get("azp").and_then(Value::as_str) {
        Some(azp) => report.ok("azp", format!("issued to {azp}")),
        None if audiences.len() > 1 && !claims.contains_key("client_id") => {
            report.warning("azp", "there are several audiences and no azp", "OpenID Connect Core 2 wants one then");
        }
        None => {}
    }
}

fn times(report: &mut Report, claims: &Map<String, Value>, now: NumericDate) {
    let instant = |name: &str| claims.get(name).and_then(Value::as_f64);
    #[expect(clippy::cast_possible_truncation, reason = "a time as far away as that is shown as the farthest")]
    let whole = |seconds: f64| NumericDate(seconds as i64);
    let clocks = "compare the clocks: `hallpass doctor ISSUER`";
    match instant("exp").map(whole) {
        None => report.fault("exp", "there is none, or it is no number", "a token must end (RFC 7519 section 4.1.4)"),
        Some(exp) if exp.is_past(now) => report.fault(
            "exp",
            format!("it ended {} seconds ago, at {}", now.since(exp), shown(exp)),
            "get a new one; if it is new, compare the clocks",
        ),
        Some(exp) => report.ok("exp", format!("good for another {} seconds, until {}", exp.since(now), shown(exp))),
    }
    match instant("iat").map(whole) {
        None => report.fault("iat", "there is none, or it is no number", "OpenID Connect Core 2 requires it"),
        Some(iat) if iat.since(now) > LEEWAY => {
            report.fault("iat", format!("it was issued {} seconds in the future", iat.since(now)), clocks);
        }
        Some(iat) if iat > now => {
            report.warning("iat", format!("it was issued {} seconds in the future", iat.since(now)), clocks);
        }
        Some(iat) => report.ok("iat", format!("issued {} seconds ago", now.since(iat))),
    }
    if let Some(nbf) = instant("nbf").map(whole) {
        if nbf > now {
            report.fault("nbf", format!("it is not good for another {} seconds", nbf.since(now)), clocks);
        } else {
            report.ok("nbf", "its time has come");
        }
    }
}

fn nonce(report: &mut Report, jws: &Jws<'_>, wanted: Option<&str>) {
    let is_logout = jws.claims.contains_key("events");
    match (jws.claims.get("nonce").and_then(Value::as_str), wanted) {
        (Some(_), _) if is_logout => {
            report.fault(
                "nonce",
                "a logout token must not have one",
                "Back-Channel Logout 2.4: it could pass for an id_token",
            );
        }
        (Some(found), Some(wanted)) if same_text(found, wanted) => report.ok("nonce", "it is the request's"),
        (Some(_), Some(_)) => report.fault(
            "nonce",
            "it is another one than the request's",
            "the answer belongs to another sign-in: two tabs, a lost session, or a replay",
        ),
        (None, Some(_)) => report.fault("nonce", "there is none", "a refreshed id_token has none; the first one must"),
        (Some(_), None) => report.warning("nonce", "there is one, which is not compared", "say --nonce"),
        (None, None) => {}
    }
}

fn hash_of_access_token(report: &mut Report, claims: &Map<String, Value>, alg: &str, access_token: Option<&str>) {
    let Some(found) = claims.get("at_hash").and_then(Value::as_str) else {
        if access_token.is_some() {
            report.warning(
                "at_hash",
                "there is none, so the access token is not bound to it",
                "the code flow allows that",
            );
        }
        return;
    };
    let Some(access_token) = access_token else {
        return report.ok("at_hash", "there is one; a second line on standard input, the access token, has it checked");
    };
    match SigningAlgorithm::parse(alg) {
        Some(algorithm) if same_text(found, &at_hash(access_token, algorithm)) => {
            report.ok("at_hash", "the access token is the one issued beside it");
        }
        Some(_) => report.fault(
            "at_hash",
            "the access token is another one",
            "it was issued beside another id_token, or changed",
        ),
        None => report.warning(
            "at_hash",
            format!("not checked for {alg}"),
            "compare it by hand (OpenID Connect Core 3.1.3.6)",
        ),
    }
}

/// Where two texts differ, for a reader.
fn where_differs(one: &str, other: &str) -> String {
    if one.trim_end_matches('/') == other.trim_end_matches('/') {
        return ": only the slash at the end differs".to_owned();
    }
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    format!(": they differ from character {} on", same + 1)
}
