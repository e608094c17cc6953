//! Where mails are handed over, and which address they come from. As with the stores, what is not known in the URL stops: a misspelt `tls` would
//! send mails in the open.

use crate::protocol::text::is_email;
use secrecy::SecretString;
use url::{Host, Url};

/// How the way to the server is kept from being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte: `smtps://`.
    Always,
    /// After STARTTLS, without which no mail is handed over: `smtp://…?tls=required`.
    Required,
    /// It is not: `smtp://…?tls=none`.
    None,
}

/// Where mails are handed over.
#[derive(Clone, Debug)]
pub struct MailServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way there is kept from being read.
    pub tls: Tls,
    /// User and password, where it asks for them.
    pub credentials: Option<(String, SecretString)>,
}

impl MailServer {
    /// Whether it is on this machine, so that nothing leaves it on the way there.
    #[must_use]
    pub fn is_here(&self) -> bool {
        is_here(&self.host)
    }
}

/// A password in a URL is in no message: nothing of the URL is repeated.
pub(super) fn smtp_url(text: &str) -> Result<MailServer, String> {
    let url = Url::parse(text).map_err(|_| {
        "is not a valid URL; special characters in a password must be percent-encoded (%40, %2F, %3A)".to_owned()
    })?;
    if url.fragment().is_some() || url.query().is_some_and(|query| query.contains('@')) {
        return Err(
            "has a ? or a # in the middle; in a password they are written percent-encoded (%3F, %23)".to_owned()
        );
    }
    let tls = tls_of(&url)?;
    // Of a scheme that is none of the web's, the host is read as it is written.
    let host = match url.host() {
        Some(Host::Domain(host)) if !host.is_empty() => {
            idna::domain_to_ascii(&decoded(host)?).map_err(|_| "names no host".to_owned())?
        }
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(Host::Ipv4(address)) => address.to_string(),
        _ => return Err("names no host".to_owned()),
    };
    if !matches!(url.path(), "" | "/") {
        return Err("must end with the host or its port: a server has no path".to_owned());
    }
    let user = decoded(url.username())?;
    let password = url.password().map(decoded).transpose()?;
    let credentials = match (user.as_str(), password) {
        ("", None) => None,
        ("", Some(_)) => return Err("has a password and no user".to_owned()),
        (_, None) => return Err("has a user and no password".to_owned()),
        (_, Some(password)) => Some((user, SecretString::from(password))),
    };
    let default = match tls {
        Tls::Always => 465,
        Tls::Required => 587,
        Tls::None => 25,
    };
    if tls == Tls::None && credentials.is_some() && !is_here(&host) {
        return Err("would send the password in the open; write smtps:// or ?tls=required".to_owned());
    }
    Ok(MailServer { host, port: url.port().unwrap_or(default), tls, credentials })
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    Ok(decoded.map_err(|_| "has what is no text in UTF-8".to_owned())?.into_owned())
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn tls_of(url: &Url) -> Result<Tls, String> {
    const CHOOSE: &str = "must say how the way to the server is protected: ?tls=required (STARTTLS) or, on a network of your own, ?tls=none";
    let parameters: Vec<_> = url.query_pairs().collect();
    let word = match parameters.as_slice() {
        [] => None,
        [(name, word)] if name == "tls" => Some(word.as_ref()),
        _ => return Err("may have one parameter, tls".to_owned()),
    };
    match (url.scheme(), word) {
        ("smtps", None) => Ok(Tls::Always),
        ("smtps", Some(_)) => Err("is smtps already; leave ?tls= out".to_owned()),
        ("smtp", Some("required")) => Ok(Tls::Required),
        ("smtp", Some("none")) => Ok(Tls::None),
        ("smtp", _) => Err(CHOOSE.to_owned()),
        _ => Err("must begin with smtps:// or smtp://".to_owned()),
    }
}

/// Reads the address that mails come from; empty: none.
pub(super) fn from(text: &str) -> Result<Option<String>, String> {
    let text = text.trim();
    match text {
        "" => Ok(None),
        _ if is_email(text) && text.is_ascii() => Ok(Some(text.to_owned())),
        _ => Err("must be an address alone, in ASCII; HALLPASS_NAME is the name beside it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn the_forms_of_a_server_are_read() {
        for (text, host, port, tls) in [
            ("smtps://smtp.example.com", "smtp.example.com", 465, Tls::Always),
            ("smtps://smtp.example.com:2465/", "smtp.example.com", 2465, Tls::Always),
            ("smtp://smtp.example.com?tls=required", "smtp.example.com", 587, Tls::Required),
            ("smtp://relay.internal?tls=none", "relay.internal", 25, Tls::None),
            ("smtp://b\u{fc}cher.example?tls=none", "xn--bcher-kva.example", 25, Tls::None),
            ("smtp://10.0.0.1:1025?tls=none", "10.0.0.1", 1025, Tls::None),
            ("smtp://[::1]:1025?tls=none", "::1", 1025, Tls::None),
        ] {
            let server = smtp_url(text).unwrap();
            assert_eq!((server.host.as_str(), server.port, server.tls), (host, port, tls), "{text}");
            assert!(server.credentials.is_none());
        }
        let server = smtp_url("smtps://id%40example.com:p%40ss%2Fw%3Ard%3F%23@smtp.example.com").unwrap();
        let (user, password) = server.credentials.unwrap();
        assert_eq!((user.as_str(), password.expose_secret()), ("id@example.com", "p@ss/w:rd?#"));
    }

    #[test]
    fn what_would_send_mails_another_way_than_was_meant_stops_and_no_password_is_told() {
        for text in [
            "smtp.example.com:465",
            "smtp://smtp.example.com",
            "smtp://smtp.example.com?tls=require",
            "smtp://smtp.example.com?TLS=required",
            "smtp://smtp.example.com?tls=required&tls=none",
            "smtp://smtp.example.com?tls=required&x=1",
            "smtps://smtp.example.com?tls=none",
            "smtps://",
            "smtps:///x",
            "smtps://smtp.example.com/path",
            "smtps://user@smtp.example.com",
            "smtps://:hunter2@smtp.example.com",
            "smtps://user:hunt?er2@smtp.example.com",
            "smtps://user:hunt#er2@smtp.example.com",
            "smtps://user:hunter2@smtp.example.com:99999",
            "smtp://user:hunter2@smtp.example.com?tls=none",
            "https://smtp.example.com",
        ] {
            let why = smtp_url(text).unwrap_err();
            assert!(!why.contains("hunt"), "{text}: {why}");
        }
        assert!(smtp_url("smtp://user:hunter2@127.0.0.1:25?tls=none").is_ok(), "nothing leaves this machine");
    }

    #[test]
    fn mails_come_from_an_address_alone() {
        assert_eq!(from(" id@example.com "), Ok(Some("id@example.com".to_owned())));
        assert_eq!(from(""), Ok(None));
        for text in
            ["id", "Hallpass <id@example.com>", "a@b@c", "id@example.com, x@example.com", "id@b\u{fc}cher.example"]
        {
            assert!(from(text).is_err(), "{text}");
        }
    }
}
