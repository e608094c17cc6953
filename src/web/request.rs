//! Reading a request: parameters from query or form, credentials from header or form. Read, not looked up.

use crate::config::Config;
use crate::protocol::error::Refusal;
use crate::protocol::params::Params;
use crate::protocol::reason::Reason;
use crate::protocol::secret::{AccessToken, ClientSecret};
use crate::web::network::Network;
use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, Uri, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::time::Duration;

/// The largest form that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// The content type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// How long a client may take to send its form.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// Whether a person is looking, or a machine.
#[must_use]
pub fn wants_a_page(request: &extract::Request) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// What is known of a request beside its parameters.
pub struct Request {
    /// Its headers.
    pub headers: HeaderMap,
    /// Where it comes from.
    pub network: Network,
}

/// Takes a POST apart: what is known of it, and its form, in which nothing but `resource` may be doubled.
///
/// # Errors
/// As `form`; `invalid_request`: a parameter twice.
pub async fn posted(request: extract::Request, config: &Config) -> Result<(Request, Params), Refusal> {
    let network = Network::of(&request, config);
    let (parts, body) = request.into_parts();
    let params = form(&parts.headers, body).await?;
    params.refuse_duplicates()?;
    Ok((Request { headers: parts.headers, network }, params))
}

/// The parameters of the query.
///
/// # Errors
/// `invalid_request`: a broken encoding.
pub fn query(uri: &Uri) -> Result<Params, Refusal> {
    Params::parse(uri.query().unwrap_or_default())
}

/// The parameters of an `application/x-www-form-urlencoded` body; a `charset` beside it is ignored.
///
/// # Errors
/// `invalid_request`: another content type than a form, a body that is too large or too slow, a broken encoding.
pub async fn form(headers: &HeaderMap, body: Body) -> Result<Params, Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(FORM) {
        let sent = if essence.is_empty() { "no content type" } else { essence };
        return Err(Refusal::new(Reason::ContentTypeWrong).expecting(sent, [FORM]));
    }
    if let Some(coding) = headers.get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        // No browser compresses a form, and what unpacks to more than it weighs is not unpacked.
        let sent = format!("Content-Encoding: {}", coding.to_str().unwrap_or("(not readable)"));
        return Err(Refusal::new(Reason::BodyCompressed).expecting(&sent, ["no Content-Encoding"]));
    }
    let claimed = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if let Some(claimed) = claimed.filter(|claimed| *claimed > MAX_BODY_BYTES as u64) {
        return Err(Refusal::new(Reason::BodyTooLarge)
            .expecting(&format!("{claimed} bytes"), [format!("{MAX_BODY_BYTES} bytes at most")]));
    }
    let read = axum::body::to_bytes(body, MAX_BODY_BYTES);
    let body = tokio::time::timeout(BODY_PATIENCE, read)
        .await
        .map_err(|_| Refusal::new(Reason::BodyLate))?
        .map_err(|_| Refusal::new(Reason::BodyBrokeOff))?;
    let text = std::str::from_utf8(&body).map_err(|_| Refusal::new(Reason::BodyNotUtf8))?;
    Params::parse(text)
}

fn authorization_doubled() -> Refusal {
    Refusal::new(Reason::AuthorizationDoubled).expecting("several Authorization headers", ["one"])
}

/// How a client says who it is.
#[derive(Debug)]
pub enum Credentials {
    /// `client_secret_basic`. Most libraries form-encode both parts as
    /// [RFC 6749 section 2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1) says, some send them raw; where the
    /// readings differ, both are here.
    Basic {
        /// Decoded as the RFC says.
        decoded: (String, ClientSecret),
        /// As they stood in the header, if that is something else.
        raw: Option<(String, ClientSecret)>,
    },
    /// `client_secret_post`.
    Post {
        /// `client_id`.
        client_id: String,
        /// `client_secret`.
        secret: ClientSecret,
    },
    /// No secret: a public client's name.
    Name {
        /// `client_id`.
        client_id: String,
    },
}

/// Reads a client's credentials.
///
/// # Errors
/// `invalid_client`: none at all, another scheme, or not readable. `invalid_request`: more than one method
/// ([RFC 6749 section 2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)), or a `client_id` that contradicts the header.
pub fn credentials(headers: &HeaderMap, params: &Params) -> Result<Credentials, Refusal> {
    let in_body = params.get("client_id");
    let secret_in_body = params.get("client_secret");
    let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
    let Some(authorization) = authorizations.next() else {
        let client_id = in_body
            .ok_or_else(|| {
                Refusal::new(Reason::ClientAuthenticationMissing)
                    .expecting("neither Authorization header nor client_id", ["one of the two"])
            })?
            .to_owned();
        return Ok(match secret_in_body {
            Some(secret) => Credentials::Post { client_id, secret: ClientSecret::received(secret) },
            None => Credentials::Name { client_id },
        });
    };
    if authorizations.next().is_some() {
        return Err(authorization_doubled());
    }
    if secret_in_body.is_some() {
        return Err(Refusal::new(Reason::TwoAuthenticationMethods)
            .expecting("an Authorization header and client_secret", ["one of the two"]));
    }
    let unreadable = || Refusal::new(Reason::BasicUnreadable);
    let text = authorization.to_str().map_err(|_| unreadable())?;
    let (scheme, encoded) = text.split_once(' ').ok_or_else(unreadable)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Refusal::new(Reason::AuthorizationSchemeWrong).expecting(scheme, ["Basic"]));
    }
    let bytes = STANDARD.decode(encoded.trim()).map_err(|_| unreadable())?;
    // A library that sends Latin-1 is read as what it meant, should the secret have such a character.
    let text =
        String::from_utf8(bytes).unwrap_or_else(|error| error.into_bytes().iter().map(|&byte| byte as char).collect());
    if text.contains('\0') {
        // No form could bring it here, and PostgreSQL does not take it.
        return Err(unreadable());
    }
    let (raw_id, raw_secret) = text.split_once(':').ok_or_else(unreadable)?;
    let decode = |part: &str| {
        Params::parse(&format!("x={}", part.replace('&', "%26"))).ok().and_then(|p| p.get("x").map(str::to_owned))
    };
    let client_id = decode(raw_id).unwrap_or_else(|| raw_id.to_owned());
    if in_body.is_some_and(|sent| sent != client_id && sent != raw_id) {
        return Err(Refusal::new(Reason::ClientIdContradicted).expecting(
            in_body.unwrap_or_default(),
            [format!("the one of the header, of {} characters", client_id.chars().count())],
        ));
    }
    if raw_secret.is_empty() {
        return Ok(Credentials::Name { client_id });
    }
    let secret = decode(raw_secret).unwrap_or_else(|| raw_secret.to_owned());
    let differs = client_id != raw_id || secret != raw_secret;
    Ok(Credentials::Basic {
        decoded: (client_id, ClientSecret::received(secret)),
        raw: differs.then(|| (raw_id.to_owned(), ClientSecret::received(raw_secret))),
    })
}

/// The bearer token of a request: in the header, or in the form of a POST, never in the query
/// ([RFC 6750 section 2](https://www.rfc-editor.org/rfc/rfc6750#section-2), RFC 9700 section 4.3.2).
///
/// # Errors
/// `invalid_request`: more than one, or a malformed header.
pub fn bearer_token(
    headers: &HeaderMap,
    form: Option<&Params>,
    query: &Params,
) -> Result<Option<AccessToken>, Refusal> {
    if query.get("access_token").is_some() {
        return Err(Refusal::new(Reason::AccessTokenInQuery));
    }
    let in_form = form.and_then(|form| form.get("access_token"));
    let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
    let in_header = match (authorizations.next(), authorizations.next()) {
        (None, _) => None,
        (Some(_), Some(_)) => {
            return Err(authorization_doubled());
        }
        (Some(value), None) => {
            let malformed = || Refusal::new(Reason::BearerMalformed);
            let text = value.to_str().map_err(|_| malformed())?;
            let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
            match token.trim() {
                // Another scheme is no token: RFC 6750 section 3.1 wants the bare challenge for it.
                _ if !scheme.eq_ignore_ascii_case("bearer") => None,
                "" => return Err(malformed()),
                token => Some(token),
            }
        }
    };
    match (in_header, in_form) {
        (Some(_), Some(_)) => Err(Refusal::new(Reason::AccessTokenTwice)),
        (Some(token), None) | (None, Some(token)) => Ok(Some(AccessToken::received(token))),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::error::ErrorCode;

    fn basic(pair: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)).parse().unwrap());
        headers
    }

    #[test]
    fn basic_credentials_are_form_decoded_and_kept_raw_where_that_differs() {
        let Ok(Credentials::Basic { decoded, raw }) = credentials(&basic(b"a%3Ab:s%2Bt"), &Params::default()) else {
            panic!()
        };
        assert_eq!((decoded.0.as_str(), decoded.1.expose()), ("a:b", "s+t"));
        assert_eq!(raw.unwrap().1.expose(), "s%2Bt");
        let Ok(Credentials::Basic { decoded, raw }) = credentials(&basic(b"a:s-t_1"), &Params::default()) else {
            panic!()
        };
        assert_eq!(decoded.1.expose(), "s-t_1");
        assert!(raw.is_none());
        let Ok(Credentials::Basic { decoded, .. }) = credentials(&basic(b"a:100%&x=1"), &Params::default()) else {
            panic!()
        };
        assert_eq!(decoded.1.expose(), "100%&x=1");
    }

    #[test]
    fn two_methods_at_once_are_refused() {
        let body = Params::parse("client_id=a&client_secret=s").unwrap();
        assert_eq!(credentials(&basic(b"a:s"), &body).unwrap_err().code(), ErrorCode::InvalidRequest);
        let mut doubled = basic(b"a:s");
        doubled.append(header::AUTHORIZATION, "Basic YTpz".parse().unwrap());
        assert_eq!(credentials(&doubled, &Params::default()).unwrap_err().code(), ErrorCode::InvalidRequest);
        assert_eq!(
            credentials(&basic(b"a:s"), &Params::parse("client_id=b").unwrap()).unwrap_err().code(),
            ErrorCode::InvalidRequest
        );
    }

    #[test]
    fn unreadable_credentials_are_invalid_client() {
        let mut headers = HeaderMap::new();
        assert_eq!(credentials(&headers, &Params::default()).unwrap_err().code(), ErrorCode::InvalidClient);
        for bad in ["Basic", "Basic !!", "Basic YQ==", "Bearer x"] {
            headers.insert(header::AUTHORIZATION, bad.parse().unwrap());
            assert_eq!(
                credentials(&headers, &Params::default()).unwrap_err().code(),
                ErrorCode::InvalidClient,
                "{bad}"
            );
        }
    }

    #[test]
    fn a_token_in_the_query_or_twice_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "bearer abc".parse().unwrap());
        let none = Params::default();
        assert_eq!(bearer_token(&headers, None, &none).unwrap().unwrap().expose(), "abc");
        let form = Params::parse("access_token=abc").unwrap();
        assert!(bearer_token(&headers, Some(&form), &none).is_err());
        assert!(bearer_token(&HeaderMap::new(), Some(&none), &form).is_err());
        assert!(bearer_token(&HeaderMap::new(), Some(&form), &none).unwrap().is_some());
    }
}
