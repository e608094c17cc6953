//! Proof Key for Code Exchange: RFC 7636, S256 only. The choice `plain` has no variant.

use crate::protocol::error::Refusal;
use crate::protocol::params::Params;
use crate::protocol::reason::Reason;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The methods that discovery publishes and `CodeChallenge::of` reads.
pub const METHODS_SUPPORTED: &[&str] = &["S256"];

/// A `code_challenge` made by S256: 43 characters of base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// Reads `code_challenge` and `code_challenge_method`; neither sent is `None`.
    ///
    /// # Errors
    /// `invalid_request`: method other than S256 (a missing one means `plain`), or not 43 characters
    /// of base64url ([RFC 7636 section 4.3](https://www.rfc-editor.org/rfc/rfc7636#section-4.3), 4.4.1).
    pub fn of(params: &Params) -> Result<Option<Self>, Refusal> {
        let Some(challenge) = params.get("code_challenge") else {
            return match params.get("code_challenge_method") {
                Some(method) => Err(Refusal::new(Reason::CodeChallengeMethodAlone)
                    .expecting(&format!("code_challenge_method={method} and no code_challenge"), ["both, or none"])),
                None => Ok(None),
            };
        };
        match params.get("code_challenge_method") {
            Some("S256") => {}
            None => {
                return Err(
                    Refusal::new(Reason::CodeChallengePlain).expecting("no code_challenge_method", METHODS_SUPPORTED)
                );
            }
            Some("plain") => return Err(Refusal::new(Reason::CodeChallengePlain).expecting("plain", METHODS_SUPPORTED)),
            Some(method) => {
                return Err(Refusal::new(Reason::CodeChallengeMethodUnknown).expecting(method, METHODS_SUPPORTED));
            }
        }
        if URL_SAFE_NO_PAD.decode(challenge).is_ok_and(|bytes| bytes.len() == 32) {
            Ok(Some(Self(challenge.to_owned())))
        } else {
            Err(Refusal::new(Reason::CodeChallengeMalformed)
                .expecting(&described(challenge), ["43 characters of base64url, without padding"]))
        }
    }

    /// Whether `verifier` made this challenge ([RFC 7636 section 4.6](https://www.rfc-editor.org/rfc/rfc7636#section-4.6)).
    #[must_use]
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let length_fits = (43..=128).contains(&verifier.len());
        let characters_fit =
            verifier.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'));
        let made = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        length_fits && characters_fit && crate::protocol::secret::same_text(&made, &self.0)
    }
}

/// Checks the verifier against what the authorization request brought: the stored challenge decides.
///
/// # Errors
/// `invalid_grant`: a verifier is missing, does not match, or came although there was no challenge
/// (RFC 9700 section 4.8.2, the downgrade).
pub fn check_verifier(challenge: Option<&CodeChallenge>, verifier: Option<&str>) -> Result<(), Refusal> {
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (Some(challenge), Some(verifier)) if challenge.is_met_by(verifier) => Ok(()),
        (Some(challenge), Some(verifier)) => {
            // The verifier itself is a secret; what S256 makes of it is not.
            let made = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
            Err(Refusal::new(Reason::CodeVerifierWrong).expecting(
                &format!("a verifier of {} characters whose S256 challenge begins with {}", verifier.len(), &made[..8]),
                [format!("one whose challenge begins with {}", challenge.0.get(..8).unwrap_or_default())],
            ))
        }
        (Some(_), None) => {
            Err(Refusal::new(Reason::CodeVerifierMissing)
                .expecting("no code_verifier", ["the one of the code_challenge"]))
        }
        (None, Some(_)) => Err(Refusal::new(Reason::CodeVerifierUnexpected)
            .expecting("a code_verifier", ["none, as /authorize got no code_challenge"])),
    }
}

/// What a challenge that is none looks like, without telling it: it may be the verifier.
fn described(challenge: &str) -> String {
    let kind = if challenge.contains(['+', '/', '=']) {
        "base64 with + / or ="
    } else if challenge.bytes().all(|b| b.is_ascii_hexdigit()) {
        "hexadecimal"
    } else if challenge.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_') {
        "not base64url"
    } else {
        "no digest of SHA-256"
    };
    format!("{} characters, {kind}", challenge.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::error::ErrorCode;

    // RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn of(query: &str) -> Result<Option<CodeChallenge>, Refusal> {
        CodeChallenge::of(&Params::parse(query).unwrap())
    }

    #[test]
    fn the_example_of_appendix_b_matches() {
        let challenge = of(&format!("code_challenge={CHALLENGE}&code_challenge_method=S256")).unwrap().unwrap();
        assert!(challenge.is_met_by(VERIFIER));
        assert!(!challenge.is_met_by(&VERIFIER.replace('d', "e")));
    }

    #[test]
    fn plain_and_missing_methods_are_refused() {
        for query in [
            format!("code_challenge={VERIFIER}&code_challenge_method=plain"),
            format!("code_challenge={CHALLENGE}"),
            format!("code_challenge={CHALLENGE}&code_challenge_method=s256"),
            "code_challenge_method=S256".to_owned(),
            "code_challenge=short&code_challenge_method=S256".to_owned(),
        ] {
            assert_eq!(of(&query).unwrap_err().code(), ErrorCode::InvalidRequest, "{query}");
        }
    }

    #[test]
    fn the_stored_challenge_decides() {
        let challenge = of(&format!("code_challenge={CHALLENGE}&code_challenge_method=S256")).unwrap();
        assert!(check_verifier(challenge.as_ref(), Some(VERIFIER)).is_ok());
        assert!(check_verifier(None, None).is_ok());
        for (challenge, verifier) in
            [(challenge.as_ref(), None), (challenge.as_ref(), Some("x")), (None, Some(VERIFIER))]
        {
            assert_eq!(check_verifier(challenge, verifier).unwrap_err().code(), ErrorCode::InvalidGrant);
        }
    }
}
