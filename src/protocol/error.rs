//! How a request is refused: the codes of the specifications, and who is told what.
//!
//! A `Refusal` is for the client (code, description) with a `detail` for the operator's log only.
//! Which answer it becomes (JSON, redirect, page) is decided in `web/answer.rs`.

use crate::protocol::reason::Reason;
use crate::protocol::remedy::Remedy;
use crate::protocol::shown::shown;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The error codes of the specifications we serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// [RFC 6749 section 4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1) and 5.2; RFC 6750 section 3.1.
    InvalidRequest,
    /// [RFC 6749 section 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2).
    InvalidClient,
    /// [RFC 6749 section 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2).
    InvalidGrant,
    /// [RFC 6749 section 4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1) and 5.2.
    UnauthorizedClient,
    /// [RFC 6749 section 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2).
    UnsupportedGrantType,
    /// [RFC 6749 section 4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1).
    UnsupportedResponseType,
    /// [RFC 6749 section 4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1).
    AccessDenied,
    /// [RFC 6749 section 4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1) and 5.2.
    InvalidScope,
    /// [RFC 6749 section 4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1).
    ServerError,
    /// [RFC 6749 section 4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1).
    TemporarilyUnavailable,
    /// [OIDC Core 3.1.2.6](https://openid.net/specs/openid-connect-core-1_0.html#AuthError).
    LoginRequired,
    /// [OIDC Core 3.1.2.6](https://openid.net/specs/openid-connect-core-1_0.html#AuthError).
    ConsentRequired,
    /// [OIDC Core 3.1.2.6](https://openid.net/specs/openid-connect-core-1_0.html#AuthError).
    RequestNotSupported,
    /// [OIDC Core 3.1.2.6](https://openid.net/specs/openid-connect-core-1_0.html#AuthError).
    RequestUriNotSupported,
    /// [OIDC Core 3.1.2.6](https://openid.net/specs/openid-connect-core-1_0.html#AuthError).
    RegistrationNotSupported,
    /// [OpenID Connect Core Error Code unmet_authentication_requirements 2](https://openid.net/specs/openid-connect-unmet-authentication-requirements-1_0.html).
    UnmetAuthenticationRequirements,
    /// [RFC 8707 section 2](https://www.rfc-editor.org/rfc/rfc8707#section-2).
    InvalidTarget,
    /// [RFC 6750 section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1).
    InvalidToken,
    /// [RFC 6750 section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1).
    InsufficientScope,
}

impl ErrorCode {
    /// The registered word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::AccessDenied => "access_denied",
            Self::InvalidScope => "invalid_scope",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }

    /// The HTTP status of the code in an answer that is not a redirect.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidClient | Self::InvalidToken => 401,
            Self::InsufficientScope => 403,
            Self::ServerError => 500,
            Self::TemporarilyUnavailable => 503,
            _ => 400,
        }
    }
}

/// What the operator needs to fix a refusal, as it is stored for `hallpass explain`: its reason, what was sent, what was expected,
/// and the fix in words. No secret in any of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The key of the reason: of `Reason`, of a page, of a fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The user whom it was about, as far as that is known; personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// What came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
    /// What would have been right: any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// The most texts that are told as expected.
const MOST_EXPECTED: usize = 20;

/// A request refused for a reason the client is told.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Why: with the code, and with what the client is told.
    pub reason: Reason,
    /// What the description names.
    named: Option<Box<str>>,
    /// What the operator's log says beyond that: what was sent, what was expected. No secret either.
    pub detail: Option<Box<str>>,
    /// What came and what would have been right.
    pub explanation: Option<Box<Explanation>>,
    /// What can be done about it, where that depends on what was sent. `web/remedies.rs` has what can be done about the reason.
    pub remedy: Option<Box<Remedy>>,
    /// Whether it is an answer that a sound client expects, such as `login_required` to `prompt=none`: no operator has to
    /// look into it.
    pub is_expected: bool,
}

impl Refusal {
    /// A refusal for that reason.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason, named: None, detail: None, explanation: None, remedy: None, is_expected: reason.is_expected() }
    }

    /// A refusal whose description names something; characters the RFC forbids there are replaced.
    #[must_use]
    pub fn naming(reason: Reason, name: &str) -> Self {
        let safe: String = shown(name)
            .chars()
            .map(|c| match c {
                '"' | '\\' => '\'',
                ' '..='~' => c,
                _ => '?',
            })
            .take(100)
            .collect();
        Self { named: Some(safe.into()), ..Self::new(reason) }
    }

    /// The specification's word.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.reason.code()
    }

    /// A sentence for the client's developer: ASCII without `"` and `\` (RFC 6749 section 5.2), and no secret.
    #[must_use]
    pub fn description(&self) -> Cow<'static, str> {
        match &self.named {
            Some(name) => self.reason.description().replace("{}", name).into(),
            None => self.reason.description().into(),
        }
    }

    /// The same refusal as an answer that is part of the protocol and not an error.
    #[must_use]
    pub const fn as_expected(mut self) -> Self {
        self.is_expected = true;
        self
    }

    /// The same refusal with a detail for the log.
    #[must_use]
    pub fn with_detail(mut self, detail: &str) -> Self {
        self.detail = Some(shown(detail).into());
        self
    }

    /// The same refusal with what came and what would have been right.
    #[must_use]
    pub fn expecting<T: AsRef<str>>(mut self, sent: &str, expected: impl IntoIterator<Item = T>) -> Self {
        let explanation = self.explanation.get_or_insert_default();
        explanation.sent = Some(shown(sent));
        explanation.expected = expected.into_iter().take(MOST_EXPECTED).map(|text| shown(text.as_ref())).collect();
        self
    }

    /// The same refusal with what to do about it.
    #[must_use]
    pub fn with_remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = Some(Box::new(remedy));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_keeps_to_the_characters_rfc_6749_5_2_allows() {
        let refusal = Refusal::naming(Reason::ParameterDoubled, "a \"quoted\\\r\n\u{e9}\" name");
        let description = refusal.description();
        assert!(description.contains("name") && description.is_ascii(), "{description}");
        assert!(description.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\'));
    }
}
