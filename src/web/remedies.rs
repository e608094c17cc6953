//! What an operator is told to do about a refusal, in words: the one place that knows them, with tables, files and commands.
//! The log and `hallpass explain` show the same text.

use crate::protocol::remedy::{Registrable, Relaxable, Remedy};
use std::borrow::Cow;

/// A text as an SQL literal.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Remedy {
    /// In words.
    #[must_use]
    pub fn words(&self) -> Cow<'static, str> {
        match self {
            Self::SendRedirectUri => {
                "Let the service send redirect_uri; with the scope openid it must (OpenID Connect Core 3.1.2.1).".into()
            }
            Self::RegisterRedirectUri { client_id, sent, registrable, nearest } => {
                redirect_uri(client_id, sent, registrable, nearest.as_deref()).into()
            }
            Self::RegisterClient => "Was its migration applied (`hallpass migrate --check`), to this database, and is it not disabled \
                 (`hallpass client list`)? A client_id is compared byte for byte."
                .into(),
            Self::WidenScope => {
                "Let the service ask for less, or widen clients.scope in a new migration file.".into()
            }
            Self::WidenAudience => {
                "Let the service ask for one of those, or add a row to client_audiences in a new migration file.".into()
            }
            Self::UsePkce { client_id, relaxable } => use_pkce(client_id, *relaxable).into(),
            Self::SendCodeChallenge => {
                "Send code_challenge with code_challenge_method=S256 to /authorize as well. If the service does, it was taken out \
                 on the way (RFC 9700 section 4.8.2)."
                    .into()
            }
            Self::SendCodeVerifier => {
                "The authorization request had a code_challenge, so the token request must bring its code_verifier: was the sign-in's \
                 state lost between the two (another node, a cookie that did not come back)?"
                    .into()
            }
            Self::KeepCodeVerifier => {
                "The service must send the verifier of this very sign-in, 43 to 128 characters, unchanged. Two sign-ins at once in \
                 one browser that share one place for the verifier are the usual cause, or a challenge in base64 with padding."
                    .into()
            }
            Self::SendOwnCode => {
                "Is the code whole, is it this client's own, and is it redeemed at the issuer that it came from (iss)? Codes that \
                 are not known any more are long past their lifetime, or Redis lost them."
                    .into()
            }
            Self::RedeemCodeOnce => {
                "A code is good once. A page that is reloaded or a request that is sent again shows it twice: redirect away from the \
                 callback after redeeming it, and do not retry. If the service did not, the code was stolen."
                    .into()
            }
            Self::RedeemCodeSooner => {
                "Redeem the code as soon as it arrives. If the service is slow, lengthen clients.code_lifetime (at most 600); if the nodes' \
                 clocks differ, `hallpass doctor` tells by how much."
                    .into()
            }
            Self::RepeatRedirectUri => {
                "The token request must repeat redirect_uri exactly as the authorization request had it (RFC 6749 section 4.1.3)."
                    .into()
            }
            Self::KeepNewRefreshToken => {
                "The person signs in again. Is the service to blame, it must keep the new refresh token of each answer, in one place \
                 for all its processes; HALLPASS_REFRESH_REUSE_WINDOW forgives a repetition within seconds."
                    .into()
            }
            Self::LeaveSecretOut => {
                "Take the secret out of the service's settings. If the service can keep one, register it with \
                 token_endpoint_auth_method 'client_secret_basic' and a row in client_secrets."
                    .into()
            }
            Self::SendSecret => {
                "Is the secret set in the service's settings, and does its library send it? A client that cannot keep a \
                 secret is registered with token_endpoint_auth_method 'none'."
                    .into()
            }
            Self::SetSecret { client_id } => format!(
                "Set the secret that `hallpass client new` or `client rotate-secret` printed. If it is lost: \
                 `hallpass client rotate-secret {client_id}`, then `hallpass migrate`."
            )
            .into(),
            Self::UpdateNode => {
                "run the newest version that has run on this database (`hallpass --version` tells which this is)".into()
            }
            Self::TypeAgain => {
                "The person types them again. Is the user there, not disabled, and with a password? `hallpass user list` tells; \
                 `hallpass user set-password NAME` gives another one."
                    .into()
            }
            Self::NameProxies => {
                "Too many failures from one network. If people share it behind a proxy, name the proxy in \
                 HALLPASS_TRUSTED_PROXIES; a browser that signed in before is not concerned."
                    .into()
            }
            Self::KeepOrigin { sent, ours } => format!(
                "The form came from the origin {sent:?}, and ours is {ours:?}: does a proxy change the host name, or is HALLPASS_ISSUER \
                 not the address that browsers use?"
            )
            .into(),
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
