//! Where a request comes from: the peer's address, or what a trusted proxy says of it.
//!
//! Used for throttling and audit only; nothing else may depend on it. A header that somebody else than a trusted
//! proxy sends says nothing.

use crate::config::Config;
use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderMap;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The network somebody sits in: one IPv4 address, or a /64 of IPv6, which is what one household or machine is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpAddr);

impl Network {
    /// The network of an address.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(address)),
            IpAddr::V6(address) => {
                let bits = address.to_bits() & (u128::MAX << 64);
                Self(IpAddr::V6(Ipv6Addr::from_bits(bits)))
            }
        }
    }

    /// Whether it is the machine that this runs on, or nobody knows where.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        self.0.is_loopback() || self.0.is_unspecified()
    }

    /// The network a request comes from.
    #[must_use]
    pub fn of(request: &Request, config: &Config) -> Self {
        let peer = request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
        Self::of_address(client_of(peer, request.headers(), &config.trusted_proxies))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Walks `X-Forwarded-For` from the right as long as trusted proxies wrote it; what stands left of the first untrusted
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
    fn what_stands_left_of_an_untrusted_address_is_its_own_claim() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 198.51.100.1"], &trusted), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "198.51.100.1, 10.0.0.7"], &trusted), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, nonsense"], &trusted), "10.0.0.1");
    }

    #[test]
    fn this_machine_is_known_by_either_address() {
        for (text, is_here) in [("127.0.0.1", true), ("::1", true), ("10.0.0.1", false), ("2001:db8::1", false)] {
            assert_eq!(Network::of_address(text.parse().unwrap()).is_this_machine(), is_here, "{text}");
        }
    }

    #[test]
    fn a_household_of_ipv6_is_one_network() {
        let network = |text: &str| Network::of_address(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2:3::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:198.51.100.1"), network("198.51.100.1"));
    }
}
