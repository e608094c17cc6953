//! Where a request comes from: the peer's address, or what a trusted proxy says of it.
//!
//! Used for throttling and audit only; nothing else may depend on it. A header that anything but a trusted
//! proxy sends says nothing.

use crate::config::Config;
use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderMap;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The network a request comes from: one IPv4 address, or a /64 of IPv6, which is what one household or machine is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    is_shared: bool,
}

impl Network {
    /// The network of an address.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address: masked(address, 32, 64), is_shared: address.is_loopback() || address.is_unspecified() }
    }

    /// Whether many users share it: this machine itself, or a private address that speaks for others without being
    /// named a trusted proxy. Budgets of a single network do not fit it.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Its first address, by which it is told apart.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The wider network it belongs to, a /24 of IPv4 or a /48 of IPv6: what one customer can be given whole.
    #[must_use]
    pub fn wide(&self) -> IpAddr {
        masked(self.address, 24, 48)
    }

    /// The network a request comes from.
    #[must_use]
    pub fn of(request: &Request, config: &Config) -> Self {
        let peer = request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip().to_canonical());
        let client = client_of(peer, request.headers(), &config.trusted_proxies);
        let network = Self::of_address(client);
        Self {
            is_shared: network.is_shared || (client == peer && speaks_for_others(peer, request.headers())),
            ..network
        }
    }
}

/// Whether a peer forwards what others ask: a private address with a header that proxies write. A public address may write
/// such a header as well, but then it proves nothing.
#[must_use]
pub fn speaks_for_others(peer: IpAddr, headers: &HeaderMap) -> bool {
    is_private(peer) && is_forwarded(headers)
}

/// Whether a request has a header by which proxies say that they forward another's request.
#[must_use]
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    ["x-forwarded-for", "forwarded", "via"].iter().any(|name| headers.contains_key(*name))
}

/// Whether an address is of a network that the internet does not reach (RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291).
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            address.is_private() || address.is_link_local() || address.is_loopback() || is_shared
        }
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local() || address.is_loopback(),
    }
}

fn masked(address: IpAddr, v4: u32, v6: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << (32 - v4)))),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - v6)))),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(formatter)
    }
}

/// Walks `X-Forwarded-For` from the right as long as trusted proxies wrote it; what is to the left of the first untrusted
/// address is that address's own claim.
fn client_of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut client = peer.to_canonical();
    let hops = headers
        .get_all("x-forwarded-for")
        .iter()
        .rev()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.rsplit(','))
        .map(str::trim);
    for hop in hops.take(32) {
        if !is_trusted(client) {
            break;
        }
        match address_of(hop) {
            Some(address) => client = address,
            None => break,
        }
    }
    client
}

/// An address, also with a port behind it, as some proxies write it.
fn address_of(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        client_of(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(client("203.0.113.9", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["198.51.100.1"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(client("::ffff:10.0.0.1", &["198.51.100.1"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1:4711"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &[], &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn what_is_to_the_left_of_an_untrusted_address_is_its_own_claim() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 198.51.100.1"], &trusted), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "198.51.100.1, 10.0.0.7"], &trusted), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, nonsense"], &trusted), "10.0.0.1");
    }

    fn network_of(peer: &str, headers: &[(&'static str, &str)], trusted: &str) -> Network {
        let settings = [("HALLPASS_TRUSTED_PROXIES".to_owned(), trusted.to_owned())];
        let config = RawConfig::gather(|_| None, settings.into_iter(), None).and_then(|raw| raw.check()).unwrap();
        let mut request = Request::new(axum::body::Body::empty());
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        Network::of(&request, &config)
    }

    #[test]
    fn this_machine_and_a_private_proxy_that_is_not_named_are_shared() {
        let forwarded = ("x-forwarded-for", "198.51.100.1");
        for (peer, headers, trusted, is_shared) in [
            ("127.0.0.1", &[][..], "", true),
            ("::1", &[], "", true),
            ("::ffff:127.0.0.1", &[forwarded], "", true),
            ("10.0.0.7", &[], "", false),
            ("10.0.0.7", &[forwarded], "", true),
            ("10.0.0.7", &[("forwarded", "for=198.51.100.1")], "", true),
            ("192.168.1.1", &[("via", "1.1 proxy")], "", true),
            ("100.64.0.1", &[forwarded], "", true),
            ("fd00::1", &[forwarded], "", true),
            ("fe80::1", &[forwarded], "", true),
            // Any host on the internet can write a header.
            ("203.0.113.9", &[forwarded], "", false),
            ("2001:db8::9", &[("via", "1.1 x")], "", false),
            // A proxy that is named and says who asks speaks for that one; one that says nothing we read, for all.
            ("10.0.0.7", &[forwarded], "10.0.0.0/8", false),
            ("127.0.0.1", &[forwarded], "127.0.0.1", false),
            ("10.0.0.7", &[("forwarded", "for=198.51.100.1")], "10.0.0.0/8", true),
        ] {
            assert_eq!(network_of(peer, headers, trusted).is_shared(), is_shared, "{peer} {headers:?} {trusted}");
        }
        assert_eq!(network_of("127.0.0.1", &[forwarded], "127.0.0.1").to_string(), "198.51.100.1");
    }

    #[test]
    fn what_one_customer_can_be_given_whole_is_one_wide_network() {
        let wide = |text: &str| Network::of_address(text.parse().unwrap()).wide().to_string();
        assert_eq!(wide("198.51.100.7"), "198.51.100.0");
        assert_eq!(wide("::ffff:198.51.100.7"), "198.51.100.0");
        assert_eq!(
            (wide("2001:db8:1:2::1"), wide("2001:db8:1:ffff::9")),
            ("2001:db8:1::".into(), "2001:db8:1::".into())
        );
        assert_ne!(wide("2001:db8:1::1"), wide("2001:db8:2::1"));
    }

    #[test]
    fn a_household_of_ipv6_is_one_network() {
        let network = |text: &str| Network::of_address(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2:3::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:198.51.100.1"), network("198.51.100.1"));
    }
}
