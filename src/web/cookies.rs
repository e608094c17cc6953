//! The cookies of the provider: who is signed in, which browser this is, and which accounts it is known to.
//!
//! On https they carry the `__Host-` prefix. Cookies ignore ports, so the names end with a short hash of the
//! issuer and two providers on one host do not mix. They hold random handles only.

use crate::config::Config;
use crate::protocol::secret::{BrowserId, Digest, SessionId};
use axum::http::{HeaderMap, HeaderValue, header};
use cookie::{Cookie, SameSite};

/// What the cookies of a request say; nothing is looked up yet.
#[derive(Debug, Default)]
pub struct Browser {
    /// The browser, for its interactions.
    pub id: Option<BrowserId>,
    /// The session.
    pub session: Option<SessionId>,
    /// Proofs that somebody signed in with this browser before, `BrowserId::known_to`.
    pub known: Vec<String>,
}

/// The longest value that is read, in bytes.
const MAX_VALUE: usize = 200;
/// To how many accounts a browser can be known.
const MOST_KNOWN: usize = 8;

enum Name {
    Browser,
    Session,
    Known,
}

fn name(config: &Config, which: &Name) -> String {
    let prefix = if config.is_https() { "__Host-" } else { "" };
    let word = match which {
        Name::Browser => "browser",
        Name::Session => "session",
        Name::Known => "known",
    };
    format!("{prefix}hallpass_{word}_{}", &Digest::of(&["cookie", &config.issuer]).as_str()[..8])
}

impl Browser {
    /// Reads the cookies. A name that comes twice says nothing: another site's cookie may be among them.
    #[must_use]
    pub fn of(headers: &HeaderMap, config: &Config) -> Self {
        let value = |which: Name, prefix: &str| {
            let wanted = name(config, &which);
            let mut found = headers
                .get_all(header::COOKIE)
                .iter()
                .filter_map(|header| header.to_str().ok())
                .flat_map(Cookie::split_parse)
                .filter_map(Result::ok)
                .filter(|cookie| cookie.name() == wanted)
                .map(|cookie| cookie.value().to_owned());
            let first = found.next()?;
            (found.next().is_none() && first.starts_with(prefix) && first.len() < MAX_VALUE).then_some(first)
        };
        Self {
            id: value(Name::Browser, BrowserId::PREFIX).map(BrowserId::received),
            session: value(Name::Session, SessionId::PREFIX).map(SessionId::received),
            known: value(Name::Known, "").map(|tags| tags.split('.').map(str::to_owned).collect()).unwrap_or_default(),
        }
    }
}

/// How long a browser that somebody signed in with is remembered, in days.
const BROWSER_DAYS: i64 = 90;

fn set(config: &Config, which: &Name, value: &str, days: Option<i64>) -> HeaderValue {
    let mut cookie = Cookie::build((name(config, which), value.to_owned()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(config.is_https());
    if let Some(days) = days {
        cookie = cookie.max_age(cookie::time::Duration::days(days));
    }
    // Names and values are ours and ASCII.
    HeaderValue::try_from(cookie.build().to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The header that names the browser until it is closed.
#[must_use]
pub fn set_browser(config: &Config, id: &BrowserId) -> HeaderValue {
    set(config, &Name::Browser, id.expose(), None)
}

/// The header that names the browser for longer, as somebody has signed in with it.
#[must_use]
pub fn keep_browser(config: &Config, id: &BrowserId) -> HeaderValue {
    set(config, &Name::Browser, id.expose(), Some(BROWSER_DAYS))
}

/// The header that remembers that the browser is known to one more account.
#[must_use]
pub fn set_known(config: &Config, known: &[String], tag: &str) -> HeaderValue {
    let others = known.iter().map(String::as_str).filter(|other| *other != tag && other.len() == tag.len());
    let tags: Vec<&str> = std::iter::once(tag).chain(others).take(MOST_KNOWN).collect();
    set(config, &Name::Known, &tags.join("."), Some(BROWSER_DAYS))
}

/// The header that signs out.
#[must_use]
pub fn end_session(config: &Config) -> HeaderValue {
    set(config, &Name::Session, "", Some(0))
}

/// The header that signs in.
#[must_use]
pub fn set_session(config: &Config, id: &SessionId) -> HeaderValue {
    set(config, &Name::Session, id.expose(), None)
}
