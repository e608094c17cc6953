//! What reaches a node of a request that its operator sent through the proxy: `hallpass doctor` asks, the discovery
//! document's answer tells, and no other request learns it.
//!
//! The question carries a proof made with a secret that is stored in the database, so only who can read that is told. The
//! answer is a header of the same response: nothing is remembered, and any node can give it.

use crate::config::Config;
use crate::protocol::node_secrets::MacKey;
use crate::web::network::is_forwarded;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The header of the question and of the answer.
pub const HEADER: &str = "hallpass-doctor";

/// What arrived.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Arrived {
    /// Who connected to the node.
    pub peer: Option<IpAddr>,
    /// Whether that address is among the trusted proxies.
    pub is_trusted: bool,
    /// `Host`.
    pub host: Option<String>,
    /// Whether it came with a header by which proxies say that they forward another's request.
    #[serde(default)]
    pub is_forwarded: bool,
    /// `X-Forwarded-For`.
    pub forwarded_for: Option<String>,
    /// `X-Forwarded-Host`.
    pub forwarded_host: Option<String>,
    /// `X-Forwarded-Proto`.
    pub forwarded_proto: Option<String>,
    /// Whether `Cookie` came as it was sent; nodes before this version do not say.
    #[serde(default)]
    pub has_cookie: Option<bool>,
    /// Whether `Authorization` did.
    #[serde(default)]
    pub has_authorization: Option<bool>,
}

/// `Cookie` and `Authorization`, which are sent with a question to see whether they arrive. They prove nothing.
#[must_use]
pub fn companions(nonce: &str) -> [(&'static str, String); 2] {
    [("cookie", format!("{HEADER}={nonce}")), ("authorization", format!("Bearer {nonce}"))]
}

/// The header's value for a question; `nonce` is base64url.
#[must_use]
pub fn question(key: &MacKey, nonce: &str) -> String {
    format!("{nonce}.{}", key.text(&[nonce.as_bytes()]))
}

/// The header's value for the answer; `None`: the request may not ask.
#[must_use]
pub fn answer(request: &Request, config: &Config, key: &MacKey) -> Option<HeaderValue> {
    let question = request.headers().get(HEADER)?.to_str().ok()?;
    let (nonce, _) = question.split_once('.')?;
    if !crate::protocol::secret::same_text(&self::question(key, nonce), question) {
        return None;
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical());
    // A proxy may join cookies of its own to ours.
    let [has_cookie, has_authorization] = companions(nonce).map(|(name, sent)| {
        let values = request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
        Some(values.flat_map(|value| value.split(';')).any(|value| value.trim() == sent))
    });
    let arrived = Arrived {
        peer,
        is_trusted: peer.is_some_and(|peer| config.trusted_proxies.iter().any(|network| network.contains(&peer))),
        host: text(request.headers(), "host"),
        is_forwarded: is_forwarded(request.headers()),
        forwarded_for: text(request.headers(), "x-forwarded-for"),
        forwarded_host: text(request.headers(), "x-forwarded-host"),
        forwarded_proto: text(request.headers(), "x-forwarded-proto"),
        has_cookie,
        has_authorization,
    };
    HeaderValue::try_from(serde_json::to_string(&arrived).ok()?).ok()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(|value| value.chars().take(200).collect())
}
