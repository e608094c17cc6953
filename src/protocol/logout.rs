//! The request of a service to sign a user out: [RP-Initiated Logout 1.0](https://openid.net/specs/openid-connect-rpinitiated-1_0.html),
//! and the token that tells the other services: [Back-Channel Logout 1.0](https://openid.net/specs/openid-connect-backchannel-1_0.html).

use crate::protocol::client::{Client, with_query};
use crate::protocol::params::Params;
use crate::protocol::time::NumericDate;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The event of a logout token, [Back-Channel Logout 2.4](https://openid.net/specs/openid-connect-backchannel-1_0.html#LogoutToken).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The `typ` of a logout token.
pub const LOGOUT_TOKEN_TYPE: &str = "logout+jwt";
/// How long a logout token is good, in seconds: two minutes at most, says section 2.4.
const LOGOUT_TOKEN_LIFETIME: i64 = 120;

/// What is read of a request to sign out.
pub const PARAMETERS: &[&str] =
    &["id_token_hint", "logout_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"];

/// What a verified `id_token_hint` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// `aud`: whose token it was.
    pub client_id: String,
    /// `sub` as that client sees it.
    pub subject: String,
    /// `sid` as that client sees it.
    pub sid: Option<String>,
}

impl Hint {
    /// Reads the claims of an `id_token` of ours.
    #[must_use]
    pub fn of(claims: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self { client_id: text("aud")?, subject: text("sub")?, sid: text("sid") })
    }
}

/// How a request says which service it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// By an `id_token` of ours for it, and by no other `client_id` beside that.
    Proven,
    /// By its `client_id` alone, which any site can write.
    Named,
    /// Not at all.
    Silent,
    /// By a hint that is not good. It never counts as one that was not sent.
    BadHint,
    /// By the hint of another client than `client_id` names, which
    /// [section 2](https://openid.net/specs/openid-connect-rpinitiated-1_0.html#RPLogout) does not take.
    OthersHint,
}

impl Sender {
    const ALL: [(Self, &str); 5] = [
        (Self::Proven, "proven"),
        (Self::Named, "named"),
        (Self::Silent, "silent"),
        (Self::BadHint, "bad_hint"),
        (Self::OthersHint, "others_hint"),
    ];

    /// As our own form carries it on.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(sender, _)| *sender == self).map_or("silent", |(_, word)| word)
    }

    /// Reads what `as_str` wrote.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(sender, _)| *sender)
    }

    /// Of a request with or without a hint, with what that says if it is good, and with `client_id`.
    #[must_use]
    pub fn of(sent_a_hint: bool, good: Option<&Hint>, client_id: Option<&str>) -> Self {
        match (good, client_id) {
            (None, _) if sent_a_hint => Self::BadHint,
            (Some(hint), Some(client_id)) if hint.client_id != client_id => Self::OthersHint,
            (Some(_), _) => Self::Proven,
            (None, Some(_)) => Self::Named,
            (None, None) => Self::Silent,
        }
    }
}

/// What is not quite in order in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The hint is not good.
    BadHint,
    /// The hint is of another client.
    OthersHint,
    /// The service did not say which one it is.
    Silent,
    /// The address is not registered for the service.
    OtherAddress,
    /// The service is not registered, or disabled.
    UnknownService,
}

impl Warning {
    /// Of a request. `is_known`: the service is registered and not disabled; `stays`: it asked for an address that the browser
    /// is not sent to.
    #[must_use]
    pub const fn about(sender: Sender, is_known: bool, stays: bool) -> Option<Self> {
        match sender {
            Sender::BadHint => Some(Self::BadHint),
            Sender::OthersHint => Some(Self::OthersHint),
            _ if !stays => None,
            Sender::Silent => Some(Self::Silent),
            Sender::Proven | Sender::Named if is_known => Some(Self::OtherAddress),
            Sender::Proven | Sender::Named => Some(Self::UnknownService),
        }
    }
}

/// What became of the browser's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// This request ended it.
    Now,
    /// It had ended before: in another tab, by time, or by an administrator.
    Before,
    /// The browser brought none.
    NoSession,
}

impl Ending {
    /// Whether the browser goes to a registered address by itself. A service that proved itself gets its browser back. One
    /// that is only named does when the user agreed to the sign-out; otherwise any site's link would lead there.
    #[must_use]
    pub const fn redirects_by_itself(self, sender: Sender) -> bool {
        match sender {
            Sender::Proven => true,
            Sender::Named => matches!(self, Self::Now),
            Sender::Silent | Sender::BadHint | Sender::OthersHint => false,
        }
    }
}

/// Where a browser may go after a sign-out: an address that is registered for the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveAddress {
    uri: String,
    state: Option<String>,
}

impl LeaveAddress {
    /// The address of a request, if it is registered for that client exactly, but for the port of a native app on
    /// loopback ([section 3](https://openid.net/specs/openid-connect-rpinitiated-1_0.html#RedirectionAfterLogout)).
    #[must_use]
    pub fn of(client: &Client, params: &Params) -> Option<Self> {
        let uri = params.get("post_logout_redirect_uri")?;
        let is_registered = client.owns_post_logout_redirect_uri(uri);
        is_registered.then(|| Self { uri: uri.to_owned(), state: params.get("state").map(str::to_owned) })
    }

    /// The address with `state`.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.state {
            None => self.uri.clone(),
            Some(state) => with_query(&self.uri, &[("state", state)]),
        }
    }
}

/// A sign-out that a service asked for by POST and that waits for a GET, which brings the cookies along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogoutRequest {
    /// The request as it came.
    pub params: Params,
    /// Until when it can be continued.
    pub expires_at: NumericDate,
}

/// The claims of a logout token. There is no `nonce`, so that it is never taken for an `id_token`.
#[must_use]
pub fn logout_token(
    issuer: &str,
    client: &Client,
    subject: &str,
    sid: &str,
    jti: &str,
    now: NumericDate,
) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("iss".into(), json!(issuer));
    claims.insert("aud".into(), json!(client.client_id));
    claims.insert("iat".into(), json!(now));
    claims.insert("exp".into(), json!(now.plus(LOGOUT_TOKEN_LIFETIME)));
    claims.insert("jti".into(), json!(jti));
    claims.insert("sub".into(), json!(subject));
    claims.insert("sid".into(), json!(sid));
    claims.insert("events".into(), json!({ EVENT: {} }));
    claims
}

/// The address of a client's front-channel logout page with `iss` and `sid`
/// ([Front-Channel Logout 2](https://openid.net/specs/openid-connect-frontchannel-1_0.html#RPLogout)).
#[must_use]
pub fn frontchannel_url(uri: &str, issuer: &str, sid: &str) -> String {
    with_query(uri, &[("iss", issuer), ("sid", sid)])
}

/// The origin of a client's front-channel logout page, as a Content-Security-Policy names it. `None`: not an address that
/// a frame may show, or one whose name would end the policy's directive.
#[must_use]
pub fn frame_origin(uri: &str) -> Option<String> {
    let url = url::Url::parse(uri).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    let origin = url.origin().ascii_serialization();
    (!origin.contains([';', ',', '\''])).then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client {
            post_logout_redirect_uris: vec!["https://a.example/out?x=1".into(), "https://a.example/out".into()],
            ..Client::new("a")
        }
    }

    #[test]
    fn only_a_registered_address_can_be_gone_to() {
        let of = |query: &str| LeaveAddress::of(&client(), &Params::parse(query).unwrap()).map(|address| address.url());
        assert_eq!(of("post_logout_redirect_uri=https://a.example/out").as_deref(), Some("https://a.example/out"));
        let with_state = of("post_logout_redirect_uri=https://a.example/out?x%3D1&state=a%26b");
        assert_eq!(with_state.as_deref(), Some("https://a.example/out?x=1&state=a%26b"));
        for bad in [
            "https://a.example/out/",
            "https://a.example/out?foo=bar",
            "https://evil.example/",
            "https://a.example/out%23",
        ] {
            assert_eq!(of(&format!("post_logout_redirect_uri={bad}")), None, "{bad}");
        }
        assert_eq!(of("state=x"), None);
    }

    #[test]
    fn a_hint_that_is_not_good_is_never_taken_for_none() {
        let hint = Hint { client_id: "a".into(), subject: "s".into(), sid: None };
        for (sent, good, client_id, sender) in [
            (false, None, None, Sender::Silent),
            (false, None, Some("a"), Sender::Named),
            (true, None, None, Sender::BadHint),
            (true, None, Some("a"), Sender::BadHint),
            (true, Some(&hint), None, Sender::Proven),
            (true, Some(&hint), Some("a"), Sender::Proven),
            (true, Some(&hint), Some("A"), Sender::OthersHint),
            (true, Some(&hint), Some("b"), Sender::OthersHint),
        ] {
            assert_eq!(Sender::of(sent, good, client_id), sender, "{sent} {client_id:?}");
        }
    }

    #[test]
    fn the_browser_leaves_by_itself_for_a_proven_service_or_after_a_sign_out() {
        for ending in [Ending::Now, Ending::Before, Ending::NoSession] {
            assert!(ending.redirects_by_itself(Sender::Proven));
            assert_eq!(ending.redirects_by_itself(Sender::Named), ending == Ending::Now);
            for unproven in [Sender::Silent, Sender::BadHint, Sender::OthersHint] {
                assert!(!ending.redirects_by_itself(unproven));
            }
        }
    }

    #[test]
    fn a_frame_shows_web_pages_only_and_cannot_change_the_policy() {
        assert_eq!(frame_origin("https://a.example:8443/out?x=1").as_deref(), Some("https://a.example:8443"));
        assert_eq!(frame_origin("http://[::1]:5000/out").as_deref(), Some("http://[::1]:5000"));
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "com.example.app:/out",
            "/out",
            "https://a;script-src/out",
            "https://a,b.example/out",
        ] {
            assert_eq!(frame_origin(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_logout_token_has_an_event_and_no_nonce() {
        let claims = logout_token("https://id.example", &client(), "u", "s", "j", NumericDate(100));
        assert_eq!(claims["events"], json!({EVENT: {}}));
        assert_eq!((claims["exp"].as_i64(), claims.contains_key("nonce")), (Some(220), false));
    }
}
