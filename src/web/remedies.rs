//! What an operator is told to do about a refusal, in words: the one place that knows them, with tables, files and commands.
//! The log, `hallpass explain` and `docs/refusals.md` show the same text.

use crate::protocol::factor::SignInFailure;
use crate::protocol::reason::Reason;
use crate::protocol::remedy::{Registrable, Relaxable, Remedy};
use crate::protocol::shown::shown;

/// A text as an SQL literal.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What to do about a node that is older than its database.
pub const UPDATE_NODE: &str =
    "run the newest version that has run on this database (`hallpass --version` tells which this is)";

/// What to do about passkeys that are for another host.
pub const PASSKEYS_ELSEWHERE: &str = "bring the host of HALLPASS_ISSUER back, to which passkeys are bound for good; else their users sign in by password and \
     recovery code, or after `hallpass user factor remove NAME --all`, and add new ones";

/// One text for several.
const KEEP_IT_SHORT: &str = "No real request is like that. If a service of yours makes it, what it puts into state, nonce or an address grows \
     with each try: it keeps the old with the new.";
const ENCODE: &str = "Let the service percent-encode what it puts into an address or a form, as UTF-8, with its library's function and not by hand.";
const READ_DISCOVERY: &str =
    "Let the service use the endpoint for what it is for: its library finds each in the discovery document.";

impl Reason {
    /// What can be done about it, whatever the request was. A `Remedy` of the refusal says it better.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table, which is read row by row")]
    pub const fn fix(self) -> &'static str {
        match self {
            Self::ParametersTooMany | Self::ParameterTooLong | Self::RequestTooLarge | Self::SignOutTooLarge => {
                KEEP_IT_SHORT
            }
            Self::ParameterDoubled => {
                "Let the service send it once. Usual causes: it is set in the library's options and again among additional parameters, or it is \
                 already in the address that the request is added to."
            }
            Self::EncodingBroken | Self::ParameterNotUtf8 | Self::ParameterWithNul | Self::BodyNotUtf8 => ENCODE,
            Self::ContentTypeWrong => {
                "Let the service send a form: RFC 6749 does not know JSON here. In JavaScript the body is a URLSearchParams, with curl it comes by -d."
            }
            Self::BodyCompressed => "Let the service, or the proxy between, send the form as it is: it is short.",
            Self::BodyTooLarge => "The most that is read is 64 KiB. Is it the right address, and a form?",
            Self::BodyBrokeOff => {
                "The most that is read is 64 KiB. If it was less, the connection broke: proxy, network, or the service gave up."
            }
            Self::BodyLate => {
                "The form took more than 10 seconds to arrive. Does a proxy in front pass it on piece by piece (nginx: proxy_request_buffering), \
                 or announce a longer body than it sends?"
            }
            Self::OnlyGetOrPost => "Nothing: programs that look at links ask like this, and must change nothing.",
            Self::MethodWrong => READ_DISCOVERY,
            Self::ClientIdMissing => "Let the service send client_id, as it is registered (`hallpass client list`).",
            Self::ClientUnknown | Self::CallerUnknown => {
                "Is it in `hallpass client list`? If not: was its migration applied (`hallpass migrate --check`), and to this database? A client_id is \
                 compared byte for byte."
            }
            Self::ClientDisabled | Self::CallerDisabled => {
                "It is registered and was disabled (`hallpass client list`); `hallpass client enable` brings it back."
            }
            Self::RedirectUriMissing => {
                "Let the service send redirect_uri; with the scope openid it must (OpenID Connect Core 3.1.2.1)."
            }
            Self::RedirectUriUnregistered => {
                "Register what the service sends in client_redirect_uris, or let it send what is registered."
            }
            Self::RequestUnsupported | Self::RequestUriUnsupported | Self::RegistrationUnsupported => {
                "Turn it off in the service's library: it may use what discovery offers, and discovery says that this is not offered."
            }
            Self::ResponseTypeMissing => "Let the service send response_type=code.",
            Self::ResponseTypeUnsupported => {
                "Let the service use the authorization code flow: response_type=code. ASP.NET Core asks for id_token until options.ResponseType is \
                 \"code\"; tokens in the address of a page are not served (RFC 9700 section 2.1.2)."
            }
            Self::ResponseTypeNotAllowed => {
                "Let the service ask for one that it may use, or change clients.response_types in a new migration file."
            }
            Self::ResponseModeUnsupported => {
                "Let the service leave response_mode out, or send query or form_post. fragment is for tokens in the address of a page, which are not served."
            }
            Self::CodeChallengeMissing => "Turn PKCE with S256 on in the service's library.",
            Self::CodeChallengeMethodAlone => {
                "Let the service send both or none. If it sends both, code_challenge was taken out on the way, or is empty."
            }
            Self::CodeChallengePlain | Self::CodeChallengeMethodUnknown => {
                "Let the service send code_challenge_method=S256; without the parameter it means plain (RFC 7636 section 4.3)."
            }
            Self::CodeChallengeMalformed => {
                "code_challenge is base64url without padding of the SHA-256 of code_verifier, 43 characters: not base64 with + / =, not hexadecimal, \
                 not the verifier itself."
            }
            Self::ScopeMissing => "Let the service ask for openid, and what else it needs: scope=openid profile email.",
            Self::ScopeMalformed => {
                "Scopes are separated by one space, without quotation marks, commas in between, or line breaks."
            }
            Self::ScopeNotAllowed | Self::ScopeNotForMachines => {
                "Let the service ask for less, or widen clients.scope in a new migration file. What is about users (openid, profile, email …) is not for \
                 a client that acts for itself."
            }
            Self::ResourceNotAllowed => {
                "Let the service ask for one of those, or add a row to client_audiences in a new migration file."
            }
            Self::PromptNoneBesideOthers => {
                "Let the service send prompt=none alone: it means that no page may be shown, and the others ask for one."
            }
            Self::DisplayUnknown => "Let the service leave display out, or send page, popup, touch or wap.",
            Self::MaxAgeMalformed => {
                "Let the service send max_age in whole seconds, or leave it out: 3600, and neither 1h nor 3600.0."
            }
            Self::ClaimsMalformed => {
                "claims is a JSON object with the members userinfo and id_token, each an object of names: {\"userinfo\": {\"email\": null}}. Is it percent-encoded?"
            }
            Self::AcrUnmet => {
                "Let the service ask for an acr that discovery lists in acr_values_supported, or for the one that it wants without \"essential\"."
            }
            Self::HintNotOurs => {
                "id_token_hint is the id_token of an earlier sign-in at this issuer, of this client, whole and unchanged. One of another environment, \
                 or made before its key was removed, is none; let the service leave it out then."
            }
            Self::NotSignedIn | Self::SignInTooOld | Self::FactorNotProven | Self::NotConsented => {
                "Nothing: the service asked for an answer without a page, and this is it. It shows the login page by asking again without prompt=none."
            }
            Self::FactorMissing => {
                "The user sets up a second factor at /account and signs in anew. If this service does without: `hallpass client edit ID --unset require_acr`, \
                 or let it ask for acr \"2\" without \"essential\"."
            }
            Self::AnotherUserSignedIn => {
                "The service wants another user than the one who signed in: that user signs out, or the service asks without id_token_hint."
            }
            Self::NoEntry => {
                "Add the user to a group of client_groups with `hallpass group add GROUP USER`, or open the service with clients.access = 'everybody'. \
                 `hallpass access CLIENT USER` says who may enter and why."
            }
            Self::ConsentDenied | Self::SignInCanceled => "Nothing: it was the user's own decision.",
            Self::CodesTooMany => {
                "This user's browser or service starts sign-ins in a loop: does the service fail after its callback and start again?"
            }
            Self::ClientAuthenticationMissing => {
                "Let the service send its client_id and secret in the Authorization header (Basic) or in the form; a public client sends client_id in the form. \
                 If it does, a proxy dropped the header, or the body is not a form."
            }
            Self::AuthorizationDoubled => {
                "Let the service send one Authorization header; perhaps a proxy in between adds its own."
            }
            Self::TwoAuthenticationMethods => {
                "Let the service send its secret in one place: token_endpoint_auth_method of its library is client_secret_basic or client_secret_post, not both."
            }
            Self::BasicUnreadable => {
                "The header is Basic, a space, and the base64 of client_id:secret, each form-encoded before (RFC 6749 section 2.3.1)."
            }
            Self::AuthorizationSchemeWrong => {
                "This endpoint asks which client it is: Basic, or client_id and client_secret in the form. An access token is for userinfo and for APIs."
            }
            Self::ClientIdContradicted => {
                "Let the service send the same client_id in header and body, or none in the body."
            }
            Self::IdAndSecretSwapped => {
                "In the service's settings client_id and secret have changed places: put each where it belongs. The secret was sent as a name, which systems \
                 in between may have logged: consider `hallpass client rotate-secret`."
            }
            Self::SecretOfPublicClient => {
                "Take the secret out of the service's settings. If the service can keep one, register it with \
                 token_endpoint_auth_method 'client_secret_basic' and a row in client_secrets."
            }
            Self::SecretMissing => {
                "Is the secret set in the service's settings, and does its library send it? A client that cannot keep a \
                 secret is registered with token_endpoint_auth_method 'none'."
            }
            Self::SecretNeverSet | Self::SecretEnded | Self::SecretWrong => {
                "Set the secret that `hallpass client new` or `hallpass client rotate-secret` printed; `rotate-secret` makes a new one."
            }
            Self::AttemptsTooMany => {
                "Is a secret wrong in one of the service's processes, which tries again and again? The refusals before this one say what was wrong \
                 (`hallpass explain --latest`). `hallpass unthrottle client ID` frees it once that is corrected."
            }
            Self::GrantTypeMissing => "Let the service send grant_type in the form of a POST, not in the query.",
            Self::GrantTypeUnsupported => {
                "Served are authorization_code, refresh_token and client_credentials. password is not (RFC 9700 section 2.4): let the service send users to \
                 the login page by the authorization code flow."
            }
            Self::GrantTypeNotAllowed => {
                "Let the service use another, or add it to clients.grant_types in a new migration file."
            }
            Self::CodeMissing => {
                "Let the service send the code that came to its redirect_uri. Was it an error instead, which the service did not look at?"
            }
            Self::CodeUnknown => {
                "Is the code whole, is it this client's own, and is it redeemed at the issuer that it came from (iss)? Codes that \
                 are not known any more are long past their lifetime, or Redis lost them."
            }
            Self::CodeExpired => {
                "Redeem the code as soon as it arrives. If the service is slow, lengthen clients.code_lifetime (at most 600); if the nodes' \
                 clocks differ, `hallpass doctor` tells by how much."
            }
            Self::CodeUsed | Self::CodeUsedTwiceAtOnce => {
                "A code is good once. A page that is reloaded or a request that is sent again shows it twice: redirect away from the \
                 callback after redeeming it, and do not retry. If the service did not, the code was stolen."
            }
            Self::RedirectUriDiffers => {
                "The token request must repeat redirect_uri exactly as the authorization request had it (RFC 6749 section 4.1.3)."
            }
            Self::CodeVerifierWrong => {
                "The service must send the verifier of this very sign-in, 43 to 128 characters, unchanged. Two sign-ins at once in \
                 one browser that share one place for the verifier are the usual cause, or a challenge in base64 with padding."
            }
            Self::CodeVerifierMissing => {
                "The authorization request had a code_challenge, so the token request must bring its code_verifier: was the sign-in's \
                 state lost between the two (another node, a cookie that did not come back)?"
            }
            Self::CodeVerifierUnexpected => {
                "Send code_challenge with code_challenge_method=S256 to /authorize as well. If the service does, it was taken out \
                 on the way (RFC 9700 section 4.8.2)."
            }
            Self::ResourceNotAuthorized | Self::ResourceNotGranted => {
                "Let the service name the same resource at /authorize, or leave it out here: then the token is for all that was granted."
            }
            Self::ScopeWiderThanGranted => {
                "Let the service leave scope out: then it stays as it was granted. For more the user signs in again, with the wider scope at /authorize."
            }
            Self::NoEntryAnyMore => {
                "The user has left the groups that may enter the service since they signed in there: `hallpass access CLIENT USER` says which, and \
                 `hallpass group add GROUP USER` lets them in again. Nothing was ended by it."
            }
            Self::AuthorizationEnded => {
                "The user was disabled, has another password, or was signed out of everything since; or clients.tokens_valid_after was set. \
                 Signing in again is enough, if they still may and that instant has passed (`hallpass user list`, `hallpass audit list`)."
            }
            Self::SignedOutMeanwhile => {
                "The user signs in again. They, another tab, or an operator ended the session before the service redeemed its code."
            }
            Self::RefreshTokenMissing => {
                "Let the service send refresh_token. It is given one only with the scope offline_access, and where its grant_types have refresh_token."
            }
            Self::RefreshTokenInvalid => {
                "The user signs in again. The token is not whole, of another client, issuer or database, or its life has ended: unused for too long, \
                 revoked, or the user signed out of everything."
            }
            Self::RefreshTokenUsed => {
                "The user signs in again. Is the service to blame, it must keep the new refresh token of each answer, in one place \
                 for all its processes; HALLPASS_REFRESH_REUSE_WINDOW forgives a repetition within seconds."
            }
            Self::PublicClientForItself => {
                "Register the service with a secret (token_endpoint_auth_method 'client_secret_basic'): what can be read in a browser or an app \
                 proves nothing (RFC 6749 section 4.4)."
            }
            Self::TokenMissing => "Let the service send token in the form of a POST.",
            Self::TokenOfAnotherClient => {
                "Let the client revoke it that it was issued to: its client_id is in the token's introspection."
            }
            Self::PublicClientIntrospects => {
                "Let a service introspect that has a secret: the API, which is registered with clients.resource. Any caller can name a public client."
            }
            Self::AccessTokenInQuery => {
                "Let the service send it in the header, Authorization: Bearer …: addresses are written to logs and histories."
            }
            Self::BearerMalformed => {
                "The header is Bearer, a space, and the token. Does the service send an empty one, because its own sign-in has failed?"
            }
            Self::AccessTokenTwice => "Let the service send it in the header alone.",
            Self::AccessTokenInvalid => {
                "Let the service refresh, or the user sign in again. Is it an access token, and not an id_token? Of this issuer? An access token lives \
                 for minutes (expires_in), and ends with its user, session or client."
            }
            Self::AccessTokenWithoutOpenid => {
                "Let the service ask for the scope openid at /authorize; its clients.scope must have it."
            }
            Self::AccessTokenOfNoUser => {
                "The token is the client's own (client_credentials), and userinfo is about users: let a user sign in for it, or do without userinfo."
            }
            Self::Busy => {
                "More passwords and secrets are to be checked than this machine can. If it is not an attack, give it more cores or nodes; services that \
                 ask often keep their token until it ends instead of asking for each call."
            }
            Self::NodeOutdated => UPDATE_NODE,
            Self::StoreUnreachable | Self::Failed => {
                "The cause is in the log, and with this reference in `hallpass explain`."
            }
        }
    }
}

impl SignInFailure {
    /// What the operator can do about it.
    #[must_use]
    pub const fn fix(self) -> &'static str {
        match self {
            Self::NameImplausible => "Nothing: the user types user name or e-mail address again.",
            Self::UserUnknown => {
                "Is the user in `hallpass user list`, in this database, and by that name? `hallpass user add` adds one."
            }
            Self::AddressShared => {
                "The user signs in by user name, or each gets an address of their own; `hallpass doctor` names the users who share one."
            }
            Self::UserDisabled => {
                "The user was disabled on purpose (`hallpass audit list --event user_disabled`); `hallpass user enable NAME` lets them in again."
            }
            Self::UserLocked => {
                "`hallpass user show NAME` says until when; `hallpass user edit NAME --unlock` lets them in again."
            }
            Self::SubIsClientId => {
                "Give the client another client_id, or the user another sub; `hallpass doctor` names them."
            }
            Self::PasswordMissing => "`hallpass user set-password NAME` gives the user one.",
            Self::PasswordUnusable => {
                "`hallpass user set-password NAME` gives the user another one; the log says what is wrong with the hash."
            }
            Self::PasswordWrong => "The user types it again; `hallpass user set-password NAME` gives them another one.",
            Self::CodeWrong => {
                "The user types the code that is shown now. Is the clock of their device right, and that of this machine (`hallpass doctor`)? A recovery code \
                 does as well."
            }
            Self::CodeUsed => "The user waits for the next code, which their authenticator shows within 30 seconds.",
            Self::CodeUnreadable => {
                "Put the factor key that the row names (user_factors.key_id) into the folder of keys of every node; `hallpass key plan` lists those that are there."
            }
            Self::CodesThrottled => {
                "It passes by itself, within a day at the latest. If it was the user, `hallpass unthrottle user NAME` does it at once. If it was not, their \
                 password is known to another: `hallpass user set-password NAME`."
            }
            Self::PasskeyUnknown => {
                "It was removed, here or by the user, or belongs to another account: the user signs in by the password and adds it anew at the account page."
            }
            Self::PasskeyInvalid => {
                "The user tries it again on a page that was just opened. Is HALLPASS_ISSUER the address that browsers show (`hallpass doctor`)?"
            }
            Self::PasskeyUnverified => {
                "The user sets a PIN, a finger or a face up at the device or security key, and uses it then."
            }
            Self::PasskeyCloned => {
                "Ask the user whether there is a copy of the key; if that cannot be told, `hallpass user factor remove NAME ID` removes it (the event has its id), and \
                 the user adds another."
            }
            Self::PasskeyHeldBack => {
                "The user signs in by the new password and proves the passkey after it, once; one that is not theirs they remove at the account page."
            }
            Self::PasskeysThrottled => {
                "It passes by itself, within an hour; `hallpass unthrottle network ADDRESS` does it at once. If users share one address behind a proxy, name the \
                 proxy in HALLPASS_TRUSTED_PROXIES."
            }
            Self::SecondFactorOverdue => {
                "Hand the user the link that `hallpass user factor link NAME` makes: with it and their password they set one up. Unless the group demands it \
                 by-link, `hallpass user edit NAME --restart-second-factor-days` gives more days."
            }
            Self::Throttled => {
                "It passes by itself: after a quarter of an hour for a user or a browser, an hour for a network. `hallpass unthrottle user NAME` or `network \
                 ADDRESS` does it at once. If users share one address behind a proxy, name the proxy in HALLPASS_TRUSTED_PROXIES."
            }
        }
    }
}

impl Remedy {
    /// Whether the words can be told: what a stranger sent is in them as it came, so it must be short and hide nothing.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        let text: &str = match self {
            Self::RegisterRedirectUri { sent, registrable: Registrable::AsItIs, .. }
            | Self::KeepOrigin { sent, .. } => sent,
            Self::RegisterRedirectUri { registrable: Registrable::WithAnyPort { without_port }, .. } => without_port,
            Self::WidenScope { scope, .. } => scope,
            Self::SeparateScopes { meant } => meant,
            Self::WidenAudience { resource: Some(resource), .. } => resource,
            _ => "",
        };
        shown(text) == text
    }

    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::RegisterRedirectUri { client_id, sent, registrable, nearest } => {
                redirect_uri(client_id, sent, registrable, nearest.as_deref())
            }
            Self::EncodeRedirectUri { meant } => format!(
                "The service does not percent-encode redirect_uri, so that what follows & or + or # in it was read as something else. It probably means \
                 {meant}, which is registered: let it encode the value, with its library's function."
            ),
            Self::EnableClient { client_id } => format!(
                "It is registered and was disabled. If that was a mistake: `hallpass client enable {client_id}`."
            ),
            Self::WidenScope { client_id, scope } => format!(
                "Let the service ask for less. If it may have more, in a new migration file: UPDATE clients SET scope = {} WHERE client_id = {};",
                quoted(scope),
                quoted(client_id)
            ),
            Self::SeparateScopes { meant } => {
                format!(
                    "Let the service separate scopes by spaces, and nothing else (RFC 6749 section 3.3). It probably means: {meant}"
                )
            }
            Self::WidenAudience { client_id, resource: Some(resource) } => format!(
                "Let the service ask for one of those. If it may call this API, in a new migration file: \
                 INSERT INTO client_audiences (client_id, audience) VALUES ({}, {});",
                quoted(client_id),
                quoted(resource)
            ),
            Self::WidenAudience { resource: None, .. } => {
                "resource is an absolute address without a fragment (RFC 8707 section 2), as client_audiences has it."
                    .to_owned()
            }
            Self::AllowGrantType { client_id, grant_types } => format!(
                "Let the service use another. If it may have this one, in a new migration file: UPDATE clients SET grant_types = {} WHERE client_id = {};",
                quoted(grant_types),
                quoted(client_id)
            ),
            Self::UsePkce { client_id, relaxable } => use_pkce(client_id, *relaxable),
            Self::SetSecret { client_id } => format!(
                "Set the secret that `hallpass client new` or `client rotate-secret` printed. If it is lost: \
                 `hallpass client rotate-secret {client_id}`, then `hallpass migrate`."
            ),
            Self::KeepOrigin { sent, ours } => format!(
                "The form came from the origin {sent:?}, and ours is {ours:?}: does a proxy change the host name, or is HALLPASS_ISSUER \
                 not the address that browsers use?"
            ),
            Self::UseAddress { meant, discovery } => {
                format!(
                    "Probably {meant} is meant. Let the service find the addresses by {discovery} instead of having them in its settings."
                )
            }
        }
    }
}

fn redirect_uri(client_id: &str, sent: &str, registrable: &Registrable, nearest: Option<&str>) -> String {
    let send_nearest =
        |word: &str| nearest.map(|nearest| format!(" {word} the service send {nearest}")).unwrap_or_default();
    match registrable {
        Registrable::AsItIs => format!(
            "If the service is right, register what it sends, in a new migration file: \
             INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ({}, {});{}",
            quoted(client_id),
            quoted(sent),
            send_nearest("Otherwise let")
        ),
        Registrable::WithAReason(why) => format!(
            "What the service sends can be registered only with a reason (`hallpass client new --accept`): {why}.{}",
            send_nearest("Otherwise let")
        ),
        Registrable::Never(why) => {
            format!("What the service sends cannot be registered: {why}.{}", send_nearest("Let"))
        }
        Registrable::WithAnyPort { without_port } => format!(
            "The port is another one at each start of the application, so do not register it. An application on the user's own machine may have any port \
             (RFC 8252 section 7.3) once its row says that it is one, in a new migration file: UPDATE clients SET application_type = 'native' WHERE client_id \
             = {0}; INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ({0}, {1});",
            quoted(client_id),
            quoted(without_port)
        ),
        Registrable::Changing => format!(
            "Do not register it: a part of it is a secret or another one each time. What belongs to one sign-in goes into state.{}",
            send_nearest("Let")
        ),
    }
}

fn use_pkce(client_id: &str, relaxable: Relaxable) -> String {
    let turn_on = "Turn PKCE with S256 on in the service's library";
    match relaxable {
        Relaxable::NeverForPublicClients => format!("{turn_on}; a public client cannot do without."),
        Relaxable::NeverOverPlainHttp => {
            format!("{turn_on}; a client with an address by plain http, where a code can be read, cannot do without.")
        }
        Relaxable::ByTheRow => format!(
            "{turn_on}. If it cannot do PKCE, in a new migration file: UPDATE clients SET pkce = 'optional' WHERE client_id = {}; \
             and let it use nonce, which then is what binds a code to its browser.",
            quoted(client_id)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_fix_in_whole_sentences() {
        for reason in Reason::ALL {
            let fix = reason.fix();
            assert!(fix.len() > 30, "{reason:?}: {fix}");
            assert!(fix.ends_with(['.', '?', ')']) || fix.ends_with("email"), "{reason:?}: {fix}");
            assert!(!fix.contains("  ") && !fix.contains('\n'), "{reason:?}: {fix}");
        }
    }

    #[test]
    fn every_failure_of_a_sign_in_has_a_cause_and_a_fix() {
        for failure in SignInFailure::ALL {
            assert!(failure.fix().ends_with(['.', '?']) && failure.fix().len() > 30, "{failure:?}");
            assert!(!failure.cause().ends_with('.') && !failure.as_str().is_empty(), "{failure:?}");
        }
    }
}
