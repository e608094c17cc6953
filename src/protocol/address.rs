//! Addresses that the rules of redirect URIs refuse and that an operator may accept all the same, with a reason: what is
//! safe enough in a home or wanted by a product, and nothing else. `client.rs` has the rules themselves.

use crate::protocol::client::{is_loopback_host, redirect_uri_fault};
use crate::protocol::response::ApplicationType;
use url::{Host, Url};

/// Why an address is refused that may be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Risk {
    /// Plain http to a private host: every machine in that network can read and change what is sent. A deviation from
    /// [RFC 9700 section 2.6](https://www.rfc-editor.org/rfc/rfc9700#section-2.6).
    PlainHttp,
    /// A native client's private-use scheme without a dot: another application on the machine may have the same one. A
    /// deviation from [RFC 8252 section 7.1](https://www.rfc-editor.org/rfc/rfc8252#section-7.1).
    PrivateScheme,
}

/// The risk that is the one thing against an address; `None`: there is nothing against it, or something else.
#[must_use]
pub fn risk_of(uri: &str, application_type: ApplicationType) -> Option<Risk> {
    let url = Url::parse(uri).ok()?;
    let (risk, sound_scheme) = match url.scheme() {
        "http" if is_private_host(&url) => (Risk::PlainHttp, "https"),
        scheme if application_type == ApplicationType::Native && is_for_applications(scheme) => {
            (Risk::PrivateScheme, "com.example")
        }
        _ => return None,
    };
    // With another scheme nothing must be left to say.
    let (_, behind) = uri.split_once(':')?;
    redirect_uri_fault(&format!("{sound_scheme}:{behind}"), application_type).is_none().then_some(risk)
}

/// Whether an address is plain http to another machine, so that others can read what is sent there.
#[must_use]
pub fn is_plain_http(uri: &str) -> bool {
    let begins = uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"));
    begins && Url::parse(uri).is_ok_and(|url| !is_loopback_host(&url))
}

/// Whether a scheme without a dot can be an application's own. What browsers and systems give a meaning is not.
fn is_for_applications(scheme: &str) -> bool {
    const TAKEN: &[&str] = &[
        "about",
        "blob",
        "chrome",
        "content",
        "data",
        "file",
        "filesystem",
        "ftp",
        "http",
        "https",
        "intent",
        "javascript",
        "mailto",
        "sms",
        "tel",
        "urn",
        "vbscript",
        "view-source",
        "ws",
        "wss",
    ];
    !scheme.contains('.') && !TAKEN.contains(&scheme)
}

/// Whether a host can only be one of a home or an organization's own network: a private or link-local address
/// ([RFC 1918](https://www.rfc-editor.org/rfc/rfc1918), [RFC 4193](https://www.rfc-editor.org/rfc/rfc4193)), a name that no
/// public domain has (`.local`, `.home.arpa`, `.internal`, `.lan`), or one without a dot. Loopback is none of these.
#[must_use]
pub fn is_private_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_private() || address.is_link_local(),
        Some(Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) => mapped.is_private() || mapped.is_link_local(),
            None => address.is_unique_local() || address.is_unicast_link_local(),
        },
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            let is_below =
                |suffix: &&str| name.strip_suffix(*suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'));
            let has_no_dot = !name.is_empty() && !name.contains('.') && name != "localhost";
            has_no_dot || ["local", "home.arpa", "internal", "lan"].iter().any(is_below)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_private(host: &str) -> bool {
        is_private_host(&Url::parse(&format!("http://{host}/")).unwrap())
    }

    #[test]
    fn private_hosts_are_those_that_no_public_host_can_be() {
        for host in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.20",
            "169.254.1.1",
            "[fd12:3456::1]",
            "[fe80::1]",
            "[::ffff:192.168.1.20]",
            "printer",
            "printer:8080",
            "printer.local",
            "PRINTER.LAN",
            "a.b.home.arpa",
            "nas.internal",
            "nas.lan.",
            "0xc0a80114",
        ] {
            assert!(is_private(host), "{host}");
        }
        for host in [
            "172.32.0.1",
            "192.169.0.1",
            "11.0.0.1",
            "8.8.8.8",
            "100.64.0.1",
            "127.0.0.1",
            "localhost",
            "a.localhost",
            "[::1]",
            "[2001:db8::1]",
            "[::ffff:8.8.8.8]",
            "example.com",
            "printer.local.example.com",
            "evillan.com",
            "notlocal.example",
            "lan.example",
            "home.arpa.example",
        ] {
            assert!(!is_private(host), "{host}");
        }
        assert!(!is_private_host(&Url::parse("myapp:/callback").unwrap()));
    }

    #[test]
    fn a_risk_is_the_one_thing_against_an_address() {
        let (web, native) = (ApplicationType::Web, ApplicationType::Native);
        assert_eq!(risk_of("http://printer.lan/cb", web), Some(Risk::PlainHttp));
        assert_eq!(risk_of("HTTP://192.168.1.20:8080/cb?x=1", native), Some(Risk::PlainHttp));
        assert_eq!(risk_of("myapp:/callback", native), Some(Risk::PrivateScheme));
        assert_eq!(risk_of("myapp://callback", native), Some(Risk::PrivateScheme));
        for (uri, application_type) in [
            ("https://printer.lan/cb", web),
            ("http://127.0.0.1/cb", web),
            ("http://printer.example.com/cb", web),
            ("http://printer.lan/cb#part", web),
            ("http://*.lan/cb", web),
            ("http://a:b@printer.lan/cb", web),
            ("http://printer.lan/c b", web),
            ("myapp:/callback", web),
            ("com.example.app:/callback", native),
            ("myapp:/callback#part", native),
            ("javascript:alert(1)", native),
            ("intent://x", native),
            ("/cb", native),
        ] {
            assert_eq!(risk_of(uri, application_type), None, "{uri}");
        }
    }

    #[test]
    fn plain_http_is_what_others_can_read() {
        assert!(is_plain_http("http://printer.lan/cb") && is_plain_http("HTTP://example.com/"));
        assert!(!is_plain_http("http://127.0.0.1:8080/cb") && !is_plain_http("http://localhost/"));
        assert!(!is_plain_http("https://example.com/") && !is_plain_http("myapp:/cb") && !is_plain_http("é"));
    }
}
