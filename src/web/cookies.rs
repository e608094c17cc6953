//! The cookies of the provider: who is signed in, which browser this is, and which accounts it is known to.
//!
//! On https they carry the `__Host-` prefix. Cookies ignore ports, so the names end with a short hash of the
//! issuer and two providers on one host do not mix. They hold random handles only.

use crate::config::Config;
use crate::protocol::authorization::REMEMBERED_FOR;
use crate::protocol::secret::{BrowserId, Digest, InteractionId, SessionId};
use crate::web::user_agent;
use axum::http::{HeaderMap, HeaderValue, header};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};

/// What the cookies of a request say; nothing is looked up yet.
#[derive(Debug, Default)]
pub struct Browser {
    /// The browser, for the interaction at hand.
    pub id: Option<BrowserId>,
    /// The name that it keeps, once a user has signed in with it.
    pub kept: Option<BrowserId>,
    /// The cookies of sign-ins that were started before, and the browser's name in each. Tabs that are opened at once each
    /// get one: with a single cookie, the last answer would take the others' away.
    started: Vec<(String, BrowserId)>,
    /// The session.
    pub session: Option<SessionId>,
    /// Proofs that a user signed in with this browser before, `NodeSecrets::known_browser`.
    pub known: Vec<String>,
    /// Proofs that a user trusts this browser: the instant and `NodeSecrets::trusted_browser`, with a `~` between them.
    pub trusted: Vec<String>,
    /// What it is, as people are shown it.
    pub agent: String,
}

/// The longest value that is read, in bytes.
const MAX_VALUE: usize = 300;
/// To a browser that brings so many cookies of started sign-ins no further one is given: one that never completes any would
/// in the end send more than servers read.
const MAX_STARTED: usize = 8;
/// To how many accounts a browser can be known, and by how many it can be trusted.
const MOST_KNOWN: usize = 8;

enum Name {
    Browser,
    Session,
    Known,
    Trusted,
}

fn name(config: &Config, which: &Name) -> String {
    let prefix = if config.is_https() { "__Host-" } else { "" };
    let word = match which {
        Name::Browser => "browser",
        Name::Session => "session",
        Name::Known => "known",
        Name::Trusted => "trusted",
    };
    format!("{prefix}hallpass_{word}_{}", &Digest::of(&["cookie", &config.issuer]).as_str()[..8])
}

impl Browser {
    /// Reads the cookies. A name that comes twice says nothing: another site's cookie may be among them.
    #[must_use]
    pub fn of(headers: &HeaderMap, config: &Config) -> Self {
        let cookies: Vec<Cookie<'_>> = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(Cookie::split_parse)
            .filter_map(Result::ok)
            .collect();
        let named = |wanted: &str, prefix: &str| {
            let mut found = cookies.iter().filter(|cookie| cookie.name() == wanted).map(Cookie::value);
            let first = found.next()?;
            let is_plausible = found.next().is_none() && first.starts_with(prefix) && first.len() < MAX_VALUE;
            is_plausible.then(|| first.to_owned())
        };
        let value = |which: Name, prefix: &str| named(&name(config, &which), prefix);
        let kept = value(Name::Browser, BrowserId::PREFIX).map(BrowserId::received);
        let of_started = format!("{}_", name(config, &Name::Browser));
        let started: Vec<(String, BrowserId)> = cookies
            .iter()
            .filter(|cookie| cookie.name().starts_with(&of_started))
            .filter_map(|cookie| {
                let id = named(cookie.name(), BrowserId::PREFIX)?;
                Some((cookie.name().to_owned(), BrowserId::received(id)))
            })
            .collect();
        Self {
            id: kept.clone().or_else(|| started.first().map(|(_, id)| id.clone())),
            kept,
            started,
            session: value(Name::Session, SessionId::PREFIX).map(SessionId::received),
            known: list(value(Name::Known, "")),
            trusted: list(value(Name::Trusted, "")),
            agent: user_agent::described(headers),
        }
    }

    /// Whether it brought no cookie of ours.
    #[must_use]
    pub const fn is_bare(&self) -> bool {
        self.kept.is_none() && self.started.is_empty() && self.session.is_none() && self.known.is_empty()
    }

    /// Whether a sign-in that starts here needs a cookie of its own.
    #[must_use]
    pub const fn needs_a_name(&self) -> bool {
        self.kept.is_none() && self.started.len() < MAX_STARTED
    }

    /// Every name that it has.
    pub fn names(&self) -> impl Iterator<Item = &BrowserId> {
        self.kept.iter().chain(self.started.iter().map(|(_, id)| id))
    }

    /// Whether it is the one that an interaction was bound to; it goes by that name from here on.
    pub fn is_bound_to(&mut self, bound: &Digest) -> bool {
        let found = self.names().find(|id| bound.matches(&id.digest())).cloned();
        let is_bound = found.is_some();
        if is_bound {
            self.id = found;
        }
        is_bound
    }

    /// The headers that end the cookies which say no more than the name that is kept does.
    #[must_use]
    pub fn forget_started(&self, config: &Config, kept: &BrowserId) -> Vec<HeaderValue> {
        let same = self.started.iter().filter(|(_, id)| id.digest().matches(&kept.digest()));
        same.map(|(name, _)| set(config, name.clone(), "", Some(Duration::ZERO))).collect()
    }
}

fn list(value: Option<String>) -> Vec<String> {
    value.map(|items| items.split('.').map(str::to_owned).collect()).unwrap_or_default()
}

/// How long a browser that a user signed in with is remembered, in days.
const BROWSER_DAYS: i64 = 90;

fn set(config: &Config, name: String, value: &str, max_age: Option<Duration>) -> HeaderValue {
    let mut cookie = Cookie::build((name, value.to_owned()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(config.is_https());
    if let Some(max_age) = max_age {
        cookie = cookie.max_age(max_age);
    }
    // Names and values are ours and ASCII.
    HeaderValue::try_from(cookie.build().to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The header that names the browser until it is closed.
#[must_use]
pub fn set_browser(config: &Config, id: &BrowserId) -> HeaderValue {
    set(config, name(config, &Name::Browser), id.expose(), None)
}

/// The header that names the browser for one interaction, as long as that is remembered, while it has no name to keep.
#[must_use]
pub fn set_started(config: &Config, id: &BrowserId, interaction: &InteractionId) -> HeaderValue {
    let name = format!("{}_{}", name(config, &Name::Browser), &interaction.digest().as_str()[..8]);
    set(config, name, id.expose(), Some(Duration::seconds(REMEMBERED_FOR)))
}

/// The header that names the browser for longer, as a user has signed in with it.
#[must_use]
pub fn keep_browser(config: &Config, id: &BrowserId) -> HeaderValue {
    let days = BROWSER_DAYS.max(config.trusted_browser);
    set(config, name(config, &Name::Browser), id.expose(), Some(Duration::days(days)))
}

/// The header that remembers that the browser is known to one more account.
#[must_use]
pub fn set_known(config: &Config, known: &[String], tag: &str) -> HeaderValue {
    let others = known.iter().map(String::as_str).filter(|other| *other != tag && other.len() == tag.len());
    let tags: Vec<&str> = std::iter::once(tag).chain(others).take(MOST_KNOWN).collect();
    set(config, name(config, &Name::Known), &tags.join("."), Some(Duration::days(BROWSER_DAYS)))
}

/// The header that remembers that one more user trusts the browser.
#[must_use]
pub fn set_trusted(config: &Config, trusted: &[String], item: &str) -> HeaderValue {
    let others = trusted.iter().map(String::as_str).filter(|other| other.len() == item.len());
    let items: Vec<&str> = std::iter::once(item).chain(others).take(MOST_KNOWN).collect();
    set(config, name(config, &Name::Trusted), &items.join("."), Some(Duration::days(config.trusted_browser)))
}

/// The header that signs out.
#[must_use]
pub fn end_session(config: &Config) -> HeaderValue {
    set(config, name(config, &Name::Session), "", Some(Duration::ZERO))
}

/// The header that signs in: until the browser is closed, or for so many seconds.
#[must_use]
pub fn set_session(config: &Config, id: &SessionId, seconds: Option<i64>) -> HeaderValue {
    set(config, name(config, &Name::Session), id.expose(), seconds.map(Duration::seconds))
}
