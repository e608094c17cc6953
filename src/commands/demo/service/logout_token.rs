//! The logout token, as a relying party checks it
//! ([Back-Channel Logout 1.0 section 2.6](https://openid.net/specs/openid-connect-backchannel-1_0.html#Validation)).

use crate::failure::Failure;
use crate::protocol::time::NumericDate;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openidconnect::core::CoreJwsSigningAlgorithm;
use openidconnect::{JsonWebKey as _, ProviderMetadataWithLogout};
use serde_json::Value;

/// The event that a logout token tells of.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How far two clocks may differ, in seconds.
const LEEWAY: i64 = 60;

/// What a good one says.
pub(super) struct Told {
    /// The session that ended.
    pub(super) sid: String,
    /// The token's own name.
    pub(super) jti: String,
}

/// Reads a token.
pub(super) fn read(
    metadata: &ProviderMetadataWithLogout,
    client_id: &str,
    token: &str,
    now: NumericDate,
) -> Result<Told, Failure> {
    let unreadable = || Failure::new("the logout token cannot be read");
    let (signed, signature) = token.rsplit_once('.').ok_or_else(unreadable)?;
    let (header, payload) = signed.split_once('.').ok_or_else(unreadable)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| unreadable());
    let json = |part: &str| serde_json::from_slice::<Value>(&decode(part)?).map_err(|_| unreadable());
    let (header, claims) = (json(header)?, json(payload)?);
    let algorithm: CoreJwsSigningAlgorithm = serde_json::from_value(header["alg"].clone()).map_err(|_| unreadable())?;
    let keys = metadata.jwks().keys();
    let key = keys.iter().find(|key| key.key_id().map(|kid| kid.as_str()) == header["kid"].as_str());
    let key = key.ok_or_else(|| Failure::new("no published key has signed the logout token"))?;
    key.verify_signature(&algorithm, signed.as_bytes(), &decode(signature)?)
        .map_err(|error| Failure::new("the signature of the logout token is wrong").with_source(error))?;
    let text = |name: &str| claims[name].as_str().map(str::to_owned);
    let is_for_us = match &claims["aud"] {
        Value::Array(all) => all.iter().any(|aud| aud == client_id),
        one => one == client_id,
    };
    let is_fresh = claims["exp"].as_i64().is_some_and(|exp| exp + LEEWAY > now.0)
        && claims["iat"].as_i64().is_some_and(|iat| iat <= now.0 + LEEWAY);
    let is_of_issuer = text("iss").as_deref() == Some(metadata.issuer().as_str());
    if !is_of_issuer || !is_for_us || !is_fresh || !claims["events"][EVENT].is_object() || !claims["nonce"].is_null() {
        return Err(Failure::new("the logout token is of another issuer, client, time or event"));
    }
    Ok(Told { sid: text("sid").ok_or_else(unreadable)?, jti: text("jti").ok_or_else(unreadable)? })
}
