//! What is refused at first and may be accepted with a reason: by `--accept` of `hallpass client new`, and by a comment
//! that the lint reads. The runtime does all of it; what no operator should do in silence is written beside the row.
//!
//! `-- hallpass: accept CODE: REASON` is before a statement or at its end. The code is that of the finding.

use crate::failure::Failure;
use crate::protocol::address::{Risk, risk_of};
use crate::protocol::client::redirect_uri_fault;
use crate::protocol::response::ApplicationType;

/// An address by plain http, inside a home.
pub(super) const PLAIN_HTTP: &str = "plain-http";
/// A scheme of an application's own without a dot.
pub(super) const PRIVATE_SCHEME: &str = "private-scheme";
/// A `client_id` that must be encoded in headers and addresses.
pub(super) const CLIENT_ID: &str = "client-id";
/// An audience that is not a URI.
pub(super) const AUDIENCE: &str = "audience";

/// A finding's code, and why it is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Acceptance {
    pub(super) code: String,
    pub(super) reason: String,
}

impl Acceptance {
    /// Reads `CODE: REASON`.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (code, reason) = text.split_once(':').unwrap_or((text, ""));
        let (code, reason) = (code.trim(), reason.trim());
        if reason.is_empty() {
            return Err("an acceptance says why: write CODE: REASON");
        }
        if code.is_empty() || !code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
            return Err("an acceptance begins with the code of what is accepted: write CODE: REASON");
        }
        if reason.chars().any(char::is_control) {
            return Err("the reason of an acceptance is one line");
        }
        Ok(Self { code: code.to_owned(), reason: reason.to_owned() })
    }

    /// As the value of `--accept`: only what can be accepted there is good.
    pub(super) fn flag(text: &str) -> Result<Self, String> {
        let acceptance = Self::parse(text)?;
        let known = [PLAIN_HTTP, PRIVATE_SCHEME, CLIENT_ID, AUDIENCE];
        if known.contains(&acceptance.code.as_str()) {
            Ok(acceptance)
        } else {
            Err(format!("{} cannot be accepted here; use one of: {}", acceptance.code, known.join(", ")))
        }
    }

    /// The comment that the lint reads.
    pub(super) fn comment(&self) -> String {
        format!("-- hallpass: accept {}: {}\n", self.code, self.reason)
    }

    /// Reads a line of a comment; `None`: it is meant for readers alone.
    pub(super) fn read(line: &str) -> Option<Result<Self, &'static str>> {
        let order = line.trim_start_matches(['-', '/', '*', ' ', '\t']).strip_prefix("hallpass:")?;
        let order = order.trim_end().strip_suffix("*/").unwrap_or(order).trim();
        Some(match order.strip_prefix("accept") {
            Some(rest) if rest.is_empty() || rest.starts_with([' ', '\t']) => Self::parse(rest),
            _ => Err("the only order for Hallpass in a comment is accept"),
        })
    }
}

/// What is wrong with a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ValueFault {
    pub(super) why: &'static str,
    /// By which code it may be accepted; `None`: not at all.
    pub(super) code: Option<&'static str>,
}

impl ValueFault {
    const fn refused(why: &'static str) -> Self {
        Self { why, code: None }
    }

    /// Why the value is refused, with the way to accept it where there is one.
    pub(super) fn failure(&self) -> Failure {
        let failure = Failure::new(self.why);
        match self.code {
            None => failure,
            Some(code) => {
                failure.with_fix(format!("change it, or accept it with the reason: --accept '{code}: REASON'"))
            }
        }
    }

    /// Whether it is one of those accepted.
    pub(super) fn is_accepted_by(&self, accepted: &[Acceptance]) -> bool {
        self.code.is_some_and(|code| accepted.iter().any(|acceptance| acceptance.code == code))
    }
}

/// What is wrong with an address.
pub(super) fn address_fault(uri: &str, application_type: ApplicationType) -> Option<ValueFault> {
    let why = redirect_uri_fault(uri, application_type)?;
    Some(match risk_of(uri, application_type) {
        Some(Risk::PlainHttp) => ValueFault {
            why: "it is plain http in a network of your own, where any machine in it can read and change what is sent (RFC 9700 section 2.6)",
            code: Some(PLAIN_HTTP),
        },
        Some(Risk::PrivateScheme) => ValueFault { why, code: Some(PRIVATE_SCHEME) },
        None => ValueFault::refused(why),
    })
}

/// Why a text cannot be a `client_id` of ours.
pub(super) fn id_fault(id: &str) -> Option<&'static str> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let is_sound = !id.is_empty() && id.len() <= 255 && id.bytes().all(fits);
    (!is_sound).then_some("the client_id may have letters, digits and - . _ ~, at most 255 of them")
}

/// What is wrong with a `client_id`.
pub(super) fn client_id_fault(id: &str) -> Option<ValueFault> {
    let why = id_fault(id)?;
    // RFC 6749 appendix A.1, without the space.
    let can_be_sent = !id.is_empty() && id.len() <= 255 && id.bytes().all(|b| b.is_ascii_graphic());
    Some(ValueFault { why, code: can_be_sent.then_some(CLIENT_ID) })
}

/// What is wrong with the name of an API ([RFC 8707 section 2](https://www.rfc-editor.org/rfc/rfc8707#section-2)). A product
/// may fix another one, as far as `aud` can hold it
/// ([RFC 7519 section 2](https://www.rfc-editor.org/rfc/rfc7519#section-2): what has a colon is a URI).
pub(super) fn audience_fault(audience: &str) -> Option<ValueFault> {
    // The parser passes over line breaks and blanks, which compare as they are.
    let is_uri = audience.bytes().all(|b| b.is_ascii_graphic()) && url::Url::parse(audience).is_ok();
    if is_uri && !audience.contains('#') {
        return None;
    }
    let can_be_told = !audience.is_empty()
        && audience.trim() == audience
        && !audience.chars().any(char::is_control)
        && (is_uri || !audience.contains(':'));
    Some(ValueFault {
        why: "an API is named by an absolute URI without a fragment (RFC 8707 section 2); a request cannot ask for another one by resource",
        code: can_be_told.then_some(AUDIENCE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acceptance_has_a_code_and_a_reason() {
        let acceptance = Acceptance::parse("plain-http: the printer's scanner: no TLS").unwrap();
        assert_eq!(
            (acceptance.code.as_str(), acceptance.reason.as_str()),
            (PLAIN_HTTP, "the printer's scanner: no TLS")
        );
        assert_eq!(Acceptance::read(acceptance.comment().trim_end()), Some(Ok(acceptance.clone())));
        for same in [
            "--hallpass: accept plain-http:the printer's scanner: no TLS ",
            "/* hallpass: accept plain-http: the printer's scanner: no TLS */",
            "  -- hallpass:  accept  plain-http : the printer's scanner: no TLS",
        ] {
            assert_eq!(Acceptance::read(same), Some(Ok(acceptance.clone())), "{same}");
        }
        for bad in
            ["plain-http", "plain-http:", "plain-http:  ", ": why", "plain http: why", "Plain-HTTP: why", "a: b\nc"]
        {
            assert!(Acceptance::parse(bad).is_err(), "{bad}");
        }
        for nothing in ["-- accept plain-http: why", "-- Hallpass: accept it", "-- see hallpass: accept", ""] {
            assert_eq!(Acceptance::read(nothing), None, "{nothing}");
        }
        for wrong in ["-- hallpass: accept", "-- hallpass: acept plain-http: why", "-- hallpass: accepted: why"] {
            assert!(Acceptance::read(wrong).unwrap().is_err(), "{wrong}");
        }
        assert!(Acceptance::flag("no-secret: why").is_err());
    }

    #[test]
    fn what_no_header_or_token_could_hold_cannot_be_accepted() {
        for (id, code) in [
            ("urn:example:app", Some(CLIENT_ID)),
            ("https://app.example/", Some(CLIENT_ID)),
            ("a b", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(client_id_fault(id).unwrap().code, code, "{id}");
        }
        assert_eq!(client_id_fault("reports-2.x_y~z"), None);
        for (audience, code) in [
            ("rabbitmq", Some(AUDIENCE)),
            ("My API", Some(AUDIENCE)),
            ("https://api.example/#v1", Some(AUDIENCE)),
            ("", None),
            (" rabbitmq", None),
            ("a\nb", None),
            ("1:2", None),
            ("a:b c", None),
        ] {
            assert_eq!(audience_fault(audience).unwrap().code, code, "{audience:?}");
        }
        assert_eq!(audience_fault("https://api.example/"), None);
        assert_eq!(audience_fault("urn:example:api"), None);
    }
}
