//! Why a request is refused: one table with a key that stays, the specification's code, and what the client is told.
//!
//! What an operator can do about each is in `web/remedies.rs`; `docs/refusals.md` lists both. Several reasons tell a client the
//! same where it must not learn more.

use crate::protocol::error::ErrorCode;

macro_rules! reasons {
    ($($(#[$documentation:meta])* $reason:ident = $key:literal, $code:ident, $description:literal;)+) => {
        /// Why a request is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$documentation])* $reason,)+
        }

        impl Reason {
            /// Each of them.
            pub const ALL: &[Self] = &[$(Self::$reason),+];

            /// Its key in the log and in `hallpass explain --json`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $key,)+
                }
            }

            /// The specification's word.
            #[must_use]
            pub const fn code(self) -> ErrorCode {
                match self {
                    $(Self::$reason => ErrorCode::$code,)+
                }
            }

            /// A sentence for the client's developer; `{}` is what the refusal names.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$reason => $description,)+
                }
            }
        }
    };
}

reasons! {
    // How a request is written.
    /// More than `MAX_PARAMETERS`.
    ParametersTooMany = "parameters_too_many", InvalidRequest, "the request has too many parameters";
    /// Longer than `MAX_VALUE_BYTES`.
    ParameterTooLong = "parameter_too_long", InvalidRequest, "the parameter {} is too long";
    /// [RFC 6749 section 3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1).
    ParameterDoubled = "parameter_doubled", InvalidRequest, "the parameter {} was sent more than once";
    /// A percent sign alone.
    EncodingBroken = "encoding_broken", InvalidRequest, "a percent sign is not followed by two hex digits";
    /// Latin-1, for instance.
    ParameterNotUtf8 = "parameter_not_utf8", InvalidRequest, "a parameter is not valid UTF-8";
    /// What no database keeps.
    ParameterWithNul = "parameter_with_nul", InvalidRequest, "a parameter contains a NUL character";
    /// JSON, for instance.
    ContentTypeWrong = "content_type_wrong", InvalidRequest, "the content type must be application/x-www-form-urlencoded";
    /// By gzip, for instance.
    BodyCompressed = "body_compressed", InvalidRequest, "the body must not be compressed";
    /// It says that it is longer than `MAX_BODY_BYTES`.
    BodyTooLarge = "body_too_large", InvalidRequest, "the body is too large";
    /// It did not come to its end.
    BodyBrokeOff = "body_broke_off", InvalidRequest, "the body is too large or broke off";
    /// It came too slowly.
    BodyLate = "body_late", InvalidRequest, "the body did not arrive in time";
    /// Neither form nor text.
    BodyNotUtf8 = "body_not_utf8", InvalidRequest, "the body is not valid UTF-8";
    /// A request that waits for a page, too large to be kept.
    RequestTooLarge = "request_too_large", InvalidRequest, "the request is too large: stored, it would have more than {} bytes";
    /// A request to sign out, too large to be carried on.
    SignOutTooLarge = "sign_out_too_large", InvalidRequest, "the request has more than {} bytes";
    /// HEAD, by which link previews come.
    OnlyGetOrPost = "only_get_or_post", InvalidRequest, "this is asked for by GET or POST";
    /// A path that has no such method.
    MethodWrong = "method_wrong", InvalidRequest, "this path does not have that method, see the Allow header";

    // Who asks, at the authorization endpoint.
    /// No `client_id`.
    ClientIdMissing = "client_id_missing", InvalidRequest, "client_id is missing";
    /// No such client.
    ClientUnknown = "client_unknown", InvalidClient, "client_id is not registered here, or is disabled";
    /// A client that may not ask any more.
    ClientDisabled = "client_disabled", InvalidClient, "client_id is not registered here, or is disabled";
    /// [OIDC Core 3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest).
    RedirectUriMissing = "redirect_uri_missing", InvalidRequest, "redirect_uri is missing";
    /// [RFC 9700 section 2.1](https://www.rfc-editor.org/rfc/rfc9700#section-2.1).
    RedirectUriUnregistered = "redirect_uri_unregistered", InvalidRequest, "redirect_uri is not registered for this client";

    // What is asked, at the authorization endpoint.
    /// `request`.
    RequestUnsupported = "request_unsupported", RequestNotSupported, "the parameter request is not supported";
    /// `request_uri`.
    RequestUriUnsupported = "request_uri_unsupported", RequestUriNotSupported, "the parameter request_uri is not supported";
    /// `registration`.
    RegistrationUnsupported = "registration_unsupported", RegistrationNotSupported, "the parameter registration is not supported";
    /// No `response_type`.
    ResponseTypeMissing = "response_type_missing", InvalidRequest, "response_type is missing";
    /// `id_token`, for instance.
    ResponseTypeUnsupported = "response_type_unsupported", UnsupportedResponseType, "response_type is not supported, use code";
    /// Not in `response_types` of the client.
    ResponseTypeNotAllowed = "response_type_not_allowed", UnauthorizedClient, "this client may not use this response_type";
    /// `fragment`, for instance.
    ResponseModeUnsupported = "response_mode_unsupported", InvalidRequest, "response_mode is not supported, use query or form_post";
    /// [RFC 7636 section 4.4.1](https://www.rfc-editor.org/rfc/rfc7636#section-4.4.1).
    CodeChallengeMissing = "code_challenge_missing", InvalidRequest, "code_challenge is missing; this client must use PKCE with S256";
    /// A method of nothing.
    CodeChallengeMethodAlone = "code_challenge_method_alone", InvalidRequest, "code_challenge_method came without code_challenge";
    /// `plain`, said or meant by saying nothing.
    CodeChallengePlain = "code_challenge_plain", InvalidRequest, "code_challenge_method must be S256, plain is refused";
    /// Another method.
    CodeChallengeMethodUnknown = "code_challenge_method_unknown", InvalidRequest, "code_challenge_method is unknown, use S256";
    /// Not what S256 makes.
    CodeChallengeMalformed = "code_challenge_malformed", InvalidRequest, "code_challenge must be the base64url of a SHA-256 digest, 43 characters";
    /// No `scope`.
    ScopeMissing = "scope_missing", InvalidScope, "scope is missing, ask for openid";
    /// [RFC 6749 section 3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3).
    ScopeMalformed = "scope_malformed", InvalidScope, "scope has a character that RFC 6749 section 3.3 does not allow";
    /// Nothing of it is in the client's `scope`.
    ScopeNotAllowed = "scope_not_allowed", InvalidScope, "none of the scopes may be given to this client";
    /// [RFC 8707 section 2](https://www.rfc-editor.org/rfc/rfc8707#section-2).
    ResourceNotAllowed = "resource_not_allowed", InvalidTarget, "resource is not one that this client has access to";
    /// [OIDC Core 3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest).
    PromptNoneBesideOthers = "prompt_none_beside_others", InvalidRequest, "prompt=none cannot be combined with another value";
    /// None of the four.
    DisplayUnknown = "display_unknown", InvalidRequest, "display has an unknown value";
    /// No number.
    MaxAgeMalformed = "max_age_malformed", InvalidRequest, "max_age must be a whole number of seconds";
    /// [OIDC Core 5.5](https://openid.net/specs/openid-connect-core-1_0.html#ClaimsParameter).
    ClaimsMalformed = "claims_malformed", InvalidRequest, "claims is not the JSON object of OpenID Connect Core 5.5";
    /// An essential `acr` that no sign-in here has.
    AcrUnmet = "acr_unmet", UnmetAuthenticationRequirements, "none of the acr values can be met here";
    /// `id_token_hint` of another issuer or client, or no token.
    HintNotOurs = "hint_not_ours", InvalidRequest, "id_token_hint is not an id_token of this issuer for this client";

    // What comes of it.
    /// `prompt=none` without a session.
    NotSignedIn = "not_signed_in", LoginRequired, "no user is signed in";
    /// `prompt=none` and a session older than `max_age`.
    SignInTooOld = "sign_in_too_old", LoginRequired, "the sign-in is older than max_age";
    /// `prompt=none`, and a second factor that was not proven.
    FactorNotProven = "factor_not_proven", LoginRequired, "the sign-in lacks the second factor, which has to be asked for";
    /// A second factor is demanded of a user who has none.
    FactorMissing = "factor_missing", UnmetAuthenticationRequirements, "the person has no second factor, and one is demanded";
    /// `id_token_hint`, or `sub` in `claims`, names another.
    AnotherUserSignedIn = "another_user_signed_in", LoginRequired, "another person is signed in than the request names";
    /// `prompt=none` without consent.
    NotConsented = "not_consented", ConsentRequired, "the person has to be asked first";
    /// The user is in no group that may enter.
    NoEntry = "no_entry", AccessDenied, "the person may not enter this service";
    /// *Deny* on the consent page.
    ConsentDenied = "consent_denied", AccessDenied, "the person did not allow it";
    /// *Cancel* on the login page.
    SignInCanceled = "sign_in_canceled", AccessDenied, "the person canceled the sign-in";
    /// What one user's sign-ins may keep is used up.
    CodesTooMany = "codes_too_many", TemporarilyUnavailable, "too many codes were issued for this person";

    // Who asks, at the token endpoint and its like. The client learns nothing but the first words.
    /// Neither header nor `client_id`.
    ClientAuthenticationMissing = "client_authentication_missing", InvalidClient, "client authentication is missing";
    /// Two `Authorization` headers.
    AuthorizationDoubled = "authorization_doubled", InvalidRequest, "the Authorization header was sent more than once";
    /// [RFC 6749 section 2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3).
    TwoAuthenticationMethods = "two_authentication_methods", InvalidRequest, "the client authenticated in the header and in the body; use one";
    /// No base64, or no colon in it.
    BasicUnreadable = "basic_unreadable", InvalidClient, "the Authorization header is not readable as Basic";
    /// Bearer, for instance.
    AuthorizationSchemeWrong = "authorization_scheme_wrong", InvalidClient, "the Authorization scheme must be Basic";
    /// The body names another client than the header.
    ClientIdContradicted = "client_id_contradicted", InvalidRequest, "client_id differs from the one in the Authorization header";
    /// No such client.
    CallerUnknown = "caller_unknown", InvalidClient, "client authentication failed";
    /// A client that may not ask any more.
    CallerDisabled = "caller_disabled", InvalidClient, "client authentication failed";
    /// The secret stood where the id belongs.
    IdAndSecretSwapped = "id_and_secret_swapped", InvalidClient, "client authentication failed";
    /// A public client sent a secret.
    SecretOfPublicClient = "secret_of_public_client", InvalidClient, "client authentication failed";
    /// A confidential client sent none.
    SecretMissing = "secret_missing", InvalidClient, "client authentication failed";
    /// The client has no row in `client_secrets`.
    SecretNeverSet = "secret_never_set", InvalidClient, "client authentication failed";
    /// It was good, and has ended.
    SecretEnded = "secret_ended", InvalidClient, "client authentication failed";
    /// It is none of the client's.
    SecretWrong = "secret_wrong", InvalidClient, "client authentication failed";
    /// Many failures before.
    AttemptsTooMany = "attempts_too_many", TemporarilyUnavailable, "too many failed attempts, wait before the next";

    // What is asked, at the token endpoint.
    /// No `grant_type`.
    GrantTypeMissing = "grant_type_missing", InvalidRequest, "grant_type is missing";
    /// `password`, for instance.
    GrantTypeUnsupported = "grant_type_unsupported", UnsupportedGrantType, "grant_type is not supported";
    /// Not in `grant_types` of the client.
    GrantTypeNotAllowed = "grant_type_not_allowed", UnauthorizedClient, "this client may not use this grant_type";
    /// No `code`.
    CodeMissing = "code_missing", InvalidRequest, "code is missing";
    /// Not kept, or another client's.
    CodeUnknown = "code_unknown", InvalidGrant, "the code is unknown, expired or was issued to another client";
    /// Kept, and too old.
    CodeExpired = "code_expired", InvalidGrant, "the code is unknown, expired or was issued to another client";
    /// [RFC 6749 section 4.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2).
    CodeUsed = "code_used", InvalidGrant, "the code was used before; what it issued is revoked";
    /// Two at one moment.
    CodeUsedTwiceAtOnce = "code_used_twice_at_once", InvalidGrant, "the code was used twice at once; what it issued is revoked";
    /// [RFC 6749 section 4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3).
    RedirectUriDiffers = "redirect_uri_differs", InvalidGrant, "redirect_uri differs from the one of the authorization request";
    /// [RFC 7636 section 4.6](https://www.rfc-editor.org/rfc/rfc7636#section-4.6).
    CodeVerifierWrong = "code_verifier_wrong", InvalidGrant, "code_verifier does not match the code_challenge";
    /// The challenge was there.
    CodeVerifierMissing = "code_verifier_missing", InvalidGrant, "code_verifier is missing";
    /// The challenge was not: [RFC 9700 section 4.8.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.8.2).
    CodeVerifierUnexpected = "code_verifier_unexpected", InvalidGrant, "code_verifier came, but the authorization request had no code_challenge";
    /// [RFC 8707 section 2.2](https://www.rfc-editor.org/rfc/rfc8707#section-2.2).
    ResourceNotAuthorized = "resource_not_authorized", InvalidTarget, "resource is not among those of the authorization request";
    /// Disabled, another password, or consent taken back.
    AuthorizationEnded = "authorization_ended", InvalidGrant, "the account has ended, or what was agreed to was revoked";
    /// `clients.access` keeps the user out now; when it no longer does, the same token is good again.
    NoEntryAnyMore = "no_entry_any_more", InvalidGrant, "the person may not enter this service at present";
    /// Between code and tokens.
    SignedOutMeanwhile = "signed_out_meanwhile", InvalidGrant, "the person has signed out since it was authorized";
    /// No `refresh_token`.
    RefreshTokenMissing = "refresh_token_missing", InvalidRequest, "refresh_token is missing";
    /// Nothing that can be refreshed with.
    RefreshTokenInvalid = "refresh_token_invalid", InvalidGrant, "the refresh token is unknown, expired, revoked or was issued to another client";
    /// [RFC 9700 section 4.14.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2).
    RefreshTokenUsed = "refresh_token_used", InvalidGrant, "the refresh token was used before; everything of it is revoked";
    /// [RFC 6749 section 6](https://www.rfc-editor.org/rfc/rfc6749#section-6).
    ScopeWiderThanGranted = "scope_wider_than_granted", InvalidScope, "scope is more than was granted";
    /// The same for APIs.
    ResourceNotGranted = "resource_not_granted", InvalidTarget, "resource is not among those that were granted";
    /// [RFC 6749 section 4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4).
    PublicClientForItself = "public_client_for_itself", UnauthorizedClient, "a public client cannot act for itself";
    /// Only users' scopes, or none of the client's.
    ScopeNotForMachines = "scope_not_for_machines", InvalidScope, "none of the scopes may be given to this client for itself";

    // Introspection and revocation.
    /// No `token`.
    TokenMissing = "token_missing", InvalidRequest, "token is missing";
    /// [RFC 7009 section 2.1](https://www.rfc-editor.org/rfc/rfc7009#section-2.1).
    TokenOfAnotherClient = "token_of_another_client", InvalidGrant, "the token was issued to another client";
    /// [RFC 7662 section 2.1](https://www.rfc-editor.org/rfc/rfc7662#section-2.1).
    PublicClientIntrospects = "public_client_introspects", InvalidClient, "a public client cannot introspect";

    // What is asked with a token.
    /// [RFC 9700 section 4.3.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.3.2).
    AccessTokenInQuery = "access_token_in_query", InvalidRequest, "an access token must not be sent in the query";
    /// `Bearer` and nothing.
    BearerMalformed = "bearer_malformed", InvalidRequest, "the Authorization header must be Bearer and a token";
    /// [RFC 6750 section 2](https://www.rfc-editor.org/rfc/rfc6750#section-2).
    AccessTokenTwice = "access_token_twice", InvalidRequest, "the access token was sent in the header and in the body; use one";
    /// Nothing that is good.
    AccessTokenInvalid = "access_token_invalid", InvalidToken, "the access token is unknown, expired or revoked";
    /// No `openid`.
    AccessTokenWithoutOpenid = "access_token_without_openid", InsufficientScope, "the access token does not have the scope openid";
    /// Of `client_credentials`.
    AccessTokenOfNoUser = "access_token_of_no_user", InsufficientScope, "the access token is not about a person";

    // Not the caller's fault.
    /// More password checks than can be done now.
    Busy = "busy", TemporarilyUnavailable, "the server is busy, try again in a moment";
    /// The database has rows that only a newer version understands.
    NodeOutdated = "node_outdated", TemporarilyUnavailable, "this node is being updated, try again in a moment";
    /// A store does not answer.
    StoreUnreachable = "store_unreachable", TemporarilyUnavailable, "the server cannot reach its store, try again in a moment";
    /// Any other fault of ours.
    Failed = "failed", ServerError, "the server failed, its log says why";
}

impl Reason {
    /// Whether it is an answer that a sound client expects, or what a person chose.
    #[must_use]
    pub const fn is_expected(self) -> bool {
        matches!(
            self,
            Self::NotSignedIn
                | Self::SignInTooOld
                | Self::FactorNotProven
                | Self::NotConsented
                | Self::ConsentDenied
                | Self::SignInCanceled
                | Self::OnlyGetOrPost
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_reason_has_a_key_of_its_own_and_a_description_that_rfc_6749_5_2_allows() {
        let keys: HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(keys.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let (key, description) = (reason.as_str(), reason.description());
            assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{key}");
            assert!(description.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\'), "{description}");
        }
    }
}
