//! Which addresses browsers count as one site: the registrable domain by the public suffix list, and the scheme.
//!
//! It decides whether a frame on our page gets a service's own cookies, without which Front-Channel Logout ends nothing.

use crate::protocol::client::Client;
use crate::protocol::logout::frame_origin;
use psl::Psl as _;
use url::{Host, Url};

/// Whether two addresses are *schemefully same site* ([HTML, sites](https://html.spec.whatwg.org/multipage/browsers.html#schemelessly-same-site)):
/// the same scheme, and the same registrable domain, or, where there is none (an IP address, `localhost`, a public suffix
/// itself), the same host. The port does not count. What is no address is on no site.
#[must_use]
pub fn is_same_site(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.scheme() == other.scheme() && site(&one).is_some_and(|it| Some(it) == site(&other)),
        _ => false,
    }
}

/// The host as far as it counts.
fn site(url: &Url) -> Option<String> {
    match url.host()? {
        Host::Domain(name) => {
            let registrable = psl::List.domain(name.as_bytes());
            let registrable = registrable.and_then(|domain| std::str::from_utf8(domain.as_bytes()).ok());
            Some(registrable.unwrap_or(name).to_owned())
        }
        address => Some(address.to_string()),
    }
}

/// What Front-Channel Logout can do for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontChannel {
    /// A frame on our page loads its address with its cookies.
    Works,
    /// A frame loads it, but on another site than ours: browsers keep the cookies back (`SameSite=Lax`, and what they do to
    /// cookies of third parties), so that it cannot be seen to end anything. A service that goes by `iss` and `sid` may.
    OnAnotherSite,
    /// It has no address that a frame can show.
    Nothing,
}

impl FrontChannel {
    /// Of a client at a provider with that issuer.
    #[must_use]
    pub fn of(client: &Client, issuer: &str) -> Self {
        client.frontchannel_logout_uri.as_deref().map_or(Self::Nothing, |uri| Self::to(uri, issuer))
    }

    /// To an address.
    #[must_use]
    pub fn to(uri: &str, issuer: &str) -> Self {
        if frame_origin(uri).is_none() {
            Self::Nothing
        } else if is_same_site(uri, issuer) {
            Self::Works
        } else {
            Self::OnAnotherSite
        }
    }

    /// What is wrong with that address for the operator, in words; `None`: nothing, as far as sites are concerned.
    #[must_use]
    pub fn warning(uri: &str, issuer: &str) -> Option<String> {
        (Self::to(uri, issuer) == Self::OnAnotherSite).then(|| {
            format!(
                "{uri} is on another site than {issuer}: in a frame there browsers keep the service's cookies back, so that nothing ends \
                 unless the service goes by iss and sid alone"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_a_scheme_and_a_registrable_domain() {
        for (one, other) in [
            ("https://id.example.com", "https://reports.example.com/out?x=1"),
            ("https://example.com", "https://a.b.example.com:8443/"),
            ("https://id.example.com", "https://ID.Example.COM/"),
            ("https://id.example.co.uk", "https://reports.example.co.uk/"),
            ("https://alice.github.io", "https://alice.github.io/out"),
            ("https://a.alice.github.io", "https://b.alice.github.io/out"),
            ("https://github.io", "https://github.io/out"),
            // Not on the list: the last label counts as the suffix.
            ("https://id.firm.internal", "https://wiki.firm.internal/"),
            ("https://a.example.xn--85x722f.xn--55qx5d.cn", "https://b.example.xn--85x722f.xn--55qx5d.cn/"),
            ("http://localhost:8080", "http://localhost:5000/out"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:5000/out"),
            ("http://[::1]:8080", "http://[::1]/out"),
            ("https://intranet", "https://intranet:8443/out"),
            ("https://a.www.ck", "https://b.www.ck"),
        ] {
            assert!(is_same_site(one, other) && is_same_site(other, one), "{one} and {other}");
        }
        for (one, other) in [
            ("https://id.example.com", "https://id.example.org"),
            ("https://id.example.com", "http://reports.example.com/out"),
            ("https://example.com", "https://notexample.com"),
            ("https://one.co.uk", "https://two.co.uk/out"),
            ("https://alice.github.io", "https://bob.github.io/out"),
            ("https://alice.github.io", "https://github.io/out"),
            ("https://one.azurewebsites.net", "https://two.azurewebsites.net"),
            ("https://id.internal", "https://wiki.internal"),
            ("https://one.xn--55qx5d.cn", "https://two.xn--55qx5d.cn"),
            ("https://one.ck.example", "https://two.ck.other"),
            ("https://a.b.ck", "https://a.c.ck"),
            ("http://localhost:8080", "http://127.0.0.1:8080"),
            ("http://localhost:8080", "https://localhost:8080"),
            ("http://app.localhost", "http://localhost"),
            ("http://one.localhost", "http://two.localhost"),
            ("http://127.0.0.1", "http://127.0.0.2"),
            ("http://10.0.0.1", "http://11.0.0.1"),
            ("http://[::1]", "http://[::2]"),
            ("https://intranet", "https://wiki"),
            ("https://example.com.", "https://example.com"),
            ("https://example.com", "/out"),
            ("not an address", "not an address"),
            ("com.example.app:/out", "com.example.app:/out"),
        ] {
            assert!(!is_same_site(one, other) && !is_same_site(other, one), "{one} and {other}");
        }
    }

    #[test]
    fn a_frame_works_on_our_own_site_only() {
        let to = |uri: &str| FrontChannel::to(uri, "https://id.example.com/auth");
        assert_eq!(to("https://reports.example.com/out"), FrontChannel::Works);
        assert_eq!(to("https://reports.example.org/out"), FrontChannel::OnAnotherSite);
        assert_eq!(to("com.example.app:/out"), FrontChannel::Nothing);
        assert_eq!(FrontChannel::of(&Client::new("a"), "https://id.example.com"), FrontChannel::Nothing);
        assert!(FrontChannel::warning("https://reports.example.com/out", "https://id.example.com").is_none());
        let warning = FrontChannel::warning("https://reports.example.org/out", "https://id.example.com").unwrap();
        assert!(warning.contains("https://reports.example.org/out is on another site than https://id.example.com"));
    }
}
