//! Where an answer may be sent: a client's own address, proven before anything else of the request is looked at.

use crate::protocol::address::risk_of;
use crate::protocol::client::{Client, redirect_uri_fault, without_loopback_port};
use crate::protocol::difference;
use crate::protocol::error::Refusal;
use crate::protocol::params::{Params, doubled};
use crate::protocol::reason::Reason;
use crate::protocol::remedy::{Registrable, Remedy};
use crate::protocol::response::{ApplicationType, ResponseMode};
use crate::protocol::secret::AuthorizationCode;
use crate::protocol::shown::without_secrets;

/// An address that is proven to be the client's: the only thing that can be redirected to.
#[derive(Clone, Debug)]
pub struct ReturnAddress {
    redirect_uri: String,
    redirect_uri_was_sent: bool,
    response_mode: ResponseMode,
    state: Option<String>,
}

/// An answer on its way to a client's address.
#[derive(Clone, Debug)]
pub struct AuthorizationResponse {
    /// The client's own address.
    pub redirect_uri: String,
    /// How it travels.
    pub response_mode: ResponseMode,
    /// Its parameters, `state` and `iss` included.
    pub parameters: Vec<(&'static str, String)>,
    /// Why it is a refusal, for the log.
    pub refusal: Option<Refusal>,
}

impl AuthorizationResponse {
    /// A way back to an address of our own, which takes no parameters.
    #[must_use]
    pub const fn bare(address: String, refusal: Option<Refusal>) -> Self {
        Self { redirect_uri: address, response_mode: ResponseMode::Query, parameters: Vec::new(), refusal }
    }
}

impl ReturnAddress {
    /// Proves the address of a request, before anything else of it is looked at.
    ///
    /// `redirect_uri` may be left out only without `openid` and with a single registered address
    /// ([RFC 6749 section 3.1.2.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2.3); OIDC Core 3.1.2.1 requires it).
    ///
    /// # Errors
    /// `invalid_request`, which must be shown as a page: there is nowhere to send it.
    pub(super) fn of(client: &Client, params: &Params) -> Result<Self, Refusal> {
        for name in ["client_id", "redirect_uri"] {
            if params.is_doubled(name) {
                return Err(doubled(name));
            }
        }
        let is_openid = params.get("scope").is_some_and(|scope| scope.split(' ').any(|token| token == "openid"));
        let (redirect_uri, redirect_uri_was_sent) = match (params.get("redirect_uri"), client.redirect_uris.as_slice())
        {
            (Some(sent), _) if client.owns_redirect_uri(sent) => (sent.to_owned(), true),
            (Some(sent), _) => return Err(unregistered(client, sent, params)),
            (None, [only]) if !is_openid => (only.clone(), false),
            (None, registered) => {
                return Err(Refusal::new(Reason::RedirectUriMissing).expecting("nothing", registered));
            }
        };
        Ok(Self {
            redirect_uri,
            redirect_uri_was_sent,
            response_mode: params.get("response_mode").and_then(ResponseMode::parse).unwrap_or(ResponseMode::Query),
            state: if params.is_doubled("state") { None } else { params.get("state").map(str::to_owned) },
        })
    }

    /// The answer that refuses, with the OAuth error, `state` and `iss`.
    #[must_use]
    pub fn refuse(&self, refusal: Refusal, issuer: &str) -> AuthorizationResponse {
        let parameters = vec![
            ("error", refusal.code().as_str().to_owned()),
            ("error_description", refusal.description().into_owned()),
        ];
        self.respond(parameters, issuer, Some(refusal))
    }

    /// The answer that carries a code, `state` and `iss`.
    #[must_use]
    pub fn issue(&self, code: &AuthorizationCode, issuer: &str) -> AuthorizationResponse {
        self.respond(vec![("code", code.expose().to_owned())], issuer, None)
    }

    /// Where the answer goes, for the page that tells a person so.
    #[must_use]
    pub fn host(&self) -> String {
        url::Url::parse(&self.redirect_uri)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_else(|| self.redirect_uri.split(':').next().unwrap_or_default().to_owned())
    }

    /// Whether it has a scheme of an app's own.
    #[must_use]
    pub fn is_app(&self) -> bool {
        !["https:", "http:"].iter().any(|scheme| self.redirect_uri.starts_with(scheme))
    }

    /// `redirect_uri` as the request brought it, which the token request must repeat.
    #[must_use]
    pub fn sent_redirect_uri(&self) -> Option<String> {
        self.redirect_uri_was_sent.then(|| self.redirect_uri.clone())
    }

    fn respond(
        &self,
        mut parameters: Vec<(&'static str, String)>,
        issuer: &str,
        refusal: Option<Refusal>,
    ) -> AuthorizationResponse {
        if let Some(state) = &self.state {
            parameters.push(("state", state.clone()));
        }
        // RFC 9207: a client of several providers can tell which one answers.
        parameters.push(("iss", issuer.to_owned()));
        AuthorizationResponse {
            redirect_uri: self.redirect_uri.clone(),
            response_mode: self.response_mode,
            parameters,
            refusal,
        }
    }
}

/// The refusal of an address, with what the operator needs to fix it.
fn unregistered(client: &Client, sent: &str, params: &Params) -> Refusal {
    let refusal = Refusal::new(Reason::RedirectUriUnregistered).expecting(sent, &client.redirect_uris);
    if let Some(meant) = cut_off(client, sent, params) {
        return refusal
            .with_detail("redirect_uri was not percent-encoded")
            .with_remedy(Remedy::EncodeRedirectUri { meant: meant.to_owned() });
    }
    let nearest = difference::nearest(sent, client.redirect_uris.iter().map(String::as_str));
    let detail = match nearest {
        Some(nearest) => {
            let mistake = difference::usual_mistake(sent, nearest).map(|mistake| format!("; {mistake}"));
            format!("{}{}", difference::in_one_line(sent, nearest), mistake.unwrap_or_default())
        }
        None => "the client has no redirect_uri".to_owned(),
    };
    refusal.with_detail(&detail).with_remedy(Remedy::RegisterRedirectUri {
        client_id: client.client_id.clone(),
        sent: sent.to_owned(),
        registrable: registrable(client, sent),
        nearest: nearest.map(str::to_owned),
    })
}

/// The registered address of which `sent` is what is left where the service does not encode it: `&` begins the next parameter,
/// `#` ends the request, and `+` is read as a space. Encoded twice, it is still encoded.
fn cut_off<'a>(client: &'a Client, sent: &str, params: &Params) -> Option<&'a str> {
    let is_meant = |registered: &&String| {
        let rest = registered.strip_prefix(sent);
        let continues = rest.and_then(|rest| rest.strip_prefix('&')).is_some_and(|rest| {
            let name = rest.split(['=', '&']).next().unwrap_or_default();
            params.get(name).is_some()
        });
        let is_encoded_twice = || {
            sent.contains('%') && !sent.contains("://") && {
                let decoded = Params::parse(&format!("x={sent}")).ok();
                decoded.is_some_and(|decoded| decoded.get("x") == Some(registered.as_str()))
            }
        };
        continues || (sent.contains(' ') && sent.replace(' ', "+") == **registered) || is_encoded_twice()
    };
    client.redirect_uris.iter().find(is_meant).map(String::as_str)
}

/// The least port that systems give to programs that ask for any ([RFC 6335 section 6](https://www.rfc-editor.org/rfc/rfc6335#section-6)
/// says 49152, Linux begins at 32768).
const FIRST_EPHEMERAL_PORT: u16 = 32768;

/// Whether what the service sends can be registered.
fn registrable(client: &Client, sent: &str) -> Registrable {
    if without_secrets(sent) != sent || sent.chars().any(char::is_control) {
        return Registrable::Changing;
    }
    let application_type = client.application_type;
    if let (Some((origin, behind)), Ok(url)) = (without_loopback_port(sent), url::Url::parse(sent)) {
        let without_port = format!("{origin}{behind}");
        let is_of_the_day = url.port().is_some_and(|port| port >= FIRST_EPHEMERAL_PORT);
        if is_of_the_day && redirect_uri_fault(&without_port, ApplicationType::Native).is_none() {
            return Registrable::WithAnyPort { without_port };
        }
    }
    match redirect_uri_fault(sent, application_type) {
        None => Registrable::AsItIs,
        Some(why) if risk_of(sent, application_type).is_some() => Registrable::WithAReason(why),
        Some(why) => Registrable::Never(why),
    }
}
