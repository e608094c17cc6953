//! What is asked: the checks of an authorization request whose address is proven, in their order.

use crate::protocol::authorization::Destination;
use crate::protocol::claims_request::{Asked, ClaimsRequest};
use crate::protocol::client::Client;
use crate::protocol::error::{ErrorCode, Refusal};
use crate::protocol::factor;
use crate::protocol::grant::{Authorization, Grant, SignIn};
use crate::protocol::params::Params;
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::remedy::{Relaxable, Remedy};
use crate::protocol::response::{Display, PkcePolicy, PromptSet, ResponseMode, ResponseType};
use crate::protocol::scope::Scope;
use crate::protocol::time::NumericDate;

/// A sound authorization request, [OIDC Core 3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest).
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// The scopes asked for that the client may have.
    pub scope: Scope,
    /// `nonce`, unchanged.
    pub nonce: Option<String>,
    /// `code_challenge` by S256.
    pub code_challenge: Option<CodeChallenge>,
    /// `prompt`.
    pub prompt: PromptSet,
    /// `max_age` in seconds, or the client's `default_max_age`.
    pub max_age: Option<i64>,
    /// `login_hint`.
    pub login_hint: Option<String>,
    /// `id_token_hint`, not yet verified.
    pub id_token_hint: Option<String>,
    /// `resource` (RFC 8707): the APIs that are asked for.
    pub resources: Vec<String>,
    /// `claims`, with `acr_values` in it as a wish for `acr`.
    pub claims: ClaimsRequest,
}

impl AuthorizationRequest {
    /// What a sign-in without a service asks for: that the user is signed in, and nothing else.
    #[must_use]
    pub fn at_home() -> Self {
        Self {
            scope: Scope::default(),
            nonce: None,
            code_challenge: None,
            prompt: PromptSet::default(),
            max_age: None,
            login_hint: None,
            id_token_hint: None,
            resources: Vec::new(),
            claims: ClaimsRequest::default(),
        }
    }

    /// What the person is asked about: the scope, and the scopes of the single claims.
    #[must_use]
    pub fn scope_to_consent(&self) -> Scope {
        self.scope.union(&self.claims.scopes_beyond(&self.scope))
    }

    /// Whether an answer about `subject` is one that the `claims` parameter wants
    /// ([OIDC Core 5.5.1](https://openid.net/specs/openid-connect-core-1_0.html#IndividualClaimsRequests)).
    pub(super) fn wants(&self, subject: Option<&str>) -> bool {
        let asked = self.claims.of_id_token("sub").map(|asked| asked.values.as_slice()).unwrap_or_default();
        asked.is_empty() || asked.iter().any(|value| value.as_str() == subject)
    }

    /// What a code of this request stands for: what is authorized, and what the code is bound to.
    #[must_use]
    pub fn grant(
        &self,
        to: &Client,
        destination: &Destination,
        sign_in: SignIn,
        lifetime: i64,
        now: NumericDate,
    ) -> Grant {
        Grant {
            authorization: Authorization {
                client_id: to.client_id.clone(),
                scope: self.scope.clone(),
                resources: self.resources.clone(),
                claims: self.claims.clone(),
                sign_in: Some(sign_in),
                authorized_at: now,
                confirmation: None,
            },
            redirect_uri: destination.sent_redirect_uri(),
            nonce: self.nonce.clone(),
            code_challenge: self.code_challenge.clone(),
            expires_at: now.plus(lifetime),
        }
    }

    /// Reads a request whose address is proven. The order of the checks is the order in which faults are told.
    ///
    /// # Errors
    /// `invalid_request`, `unsupported_response_type`, `unauthorized_client`, `invalid_scope`, `invalid_target`,
    /// `unmet_authentication_requirements`, `request_not_supported`, `request_uri_not_supported`,
    /// `registration_not_supported`: each to be sent to the address.
    pub fn parse(client: &Client, params: &Params) -> Result<Self, Refusal> {
        params.refuse_duplicates()?; //                         RFC 6749 section 3.1
        refuse_unsupported(params)?; //                         OIDC Core 6, 7.2.1
        check_response_type(client, params)?; //                RFC 6749 section 3.1.1
        check_response_mode(params)?; //                        OAuth 2.0 Multiple Response Types 2.1, Form Post 2
        let code_challenge = code_challenge(client, params)?; // RFC 7636 section 4.3, 4.4.1
        let scope = scope(client, params)?; //                  RFC 6749 section 3.3
        let resources = client.targets(params.all("resource"))?; // RFC 8707 section 2.1
        let prompt = prompt(params)?; //                        OIDC Core 3.1.2.1
        check_display(params)?; //                              OIDC Core 3.1.2.1
        let max_age = max_age(client, params)?; //              OIDC Core 3.1.2.1
        let claims = claims(client, params)?; //                OIDC Core 5.5, 5.5.1.1
        let text = |name| params.get(name).map(str::to_owned);
        Ok(Self {
            scope,
            nonce: text("nonce"),
            code_challenge,
            prompt,
            max_age,
            login_hint: text("login_hint"),
            id_token_hint: text("id_token_hint"),
            resources,
            claims,
        })
    }
}

/// What some providers take and this one does not.
fn refuse_unsupported(params: &Params) -> Result<(), Refusal> {
    for (name, code) in [
        ("request", ErrorCode::RequestNotSupported),
        ("request_uri", ErrorCode::RequestUriNotSupported),
        ("registration", ErrorCode::RegistrationNotSupported),
    ] {
        if params.get(name).is_some() {
            return Err(Refusal::naming(code, &format!("the parameter {name} is not supported")));
        }
    }
    Ok(())
}

fn check_response_type(client: &Client, params: &Params) -> Result<(), Refusal> {
    let sent = params
        .get("response_type")
        .ok_or(const { Refusal::new(ErrorCode::InvalidRequest, "response_type is missing") })?;
    let response_type = ResponseType::parse(sent).ok_or(
        const { Refusal::new(ErrorCode::UnsupportedResponseType, "response_type is not supported, use code") },
    )?;
    if client.response_types.contains(&response_type) {
        Ok(())
    } else {
        Err(Refusal::new(ErrorCode::UnauthorizedClient, "this client may not use this response_type"))
    }
}

fn check_response_mode(params: &Params) -> Result<(), Refusal> {
    if params.get("response_mode").is_some_and(|mode| ResponseMode::parse(mode).is_none()) {
        return Err(Refusal::new(ErrorCode::InvalidRequest, "response_mode is not supported, use query or form_post"));
    }
    Ok(())
}

fn code_challenge(client: &Client, params: &Params) -> Result<Option<CodeChallenge>, Refusal> {
    let code_challenge = CodeChallenge::of(params)?;
    if code_challenge.is_none() && client.must_use_pkce() {
        let relaxable = match client.pkce {
            _ if client.is_public() => Relaxable::NeverForPublicClients,
            PkcePolicy::Optional => Relaxable::NeverOverPlainHttp,
            PkcePolicy::Required => Relaxable::ByTheRow,
        };
        return Err(Refusal::new(
            ErrorCode::InvalidRequest,
            "code_challenge is missing; this client must use PKCE with S256",
        )
        .with_detail(
            "pkce is required, the client is public (RFC 9700 section 2.1.1), or it has an address by plain http",
        )
        .expecting("no code_challenge", ["code_challenge with code_challenge_method=S256"])
        .with_remedy(Remedy::UsePkce { client_id: client.client_id.clone(), relaxable }));
    }
    Ok(code_challenge)
}

fn scope(client: &Client, params: &Params) -> Result<Scope, Refusal> {
    let sent = params
        .get("scope")
        .ok_or(const { Refusal::new(ErrorCode::InvalidScope, "scope is missing, ask for openid") })?;
    let asked = Scope::parse(sent).map_err(|reason| Refusal::new(ErrorCode::InvalidScope, reason))?;
    let scope = client.granted_of(&asked);
    if scope.is_empty() {
        return Err(Refusal::new(ErrorCode::InvalidScope, "none of the scopes may be given to this client")
            .expecting(&asked.to_string(), [client.scope.to_string()])
            .with_remedy(Remedy::WidenScope));
    }
    Ok(scope)
}

fn prompt(params: &Params) -> Result<PromptSet, Refusal> {
    PromptSet::parse(params.get("prompt").unwrap_or_default())
        .map_err(|reason| Refusal::new(ErrorCode::InvalidRequest, reason))
}

fn check_display(params: &Params) -> Result<(), Refusal> {
    if params.get("display").is_some_and(|display| Display::parse(display).is_none()) {
        return Err(Refusal::new(ErrorCode::InvalidRequest, "display has an unknown value"));
    }
    Ok(())
}

/// `max_age` in seconds; without it, what the client's row says.
fn max_age(client: &Client, params: &Params) -> Result<Option<i64>, Refusal> {
    let Some(sent) = params.get("max_age") else { return Ok(client.default_max_age) };
    // A sign is no digit, although the parser would take it.
    let seconds = Some(sent).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = seconds.and_then(|text| text.parse::<u32>().ok()).map(i64::from);
    seconds
        .map(Some)
        .ok_or(const { Refusal::new(ErrorCode::InvalidRequest, "max_age must be a whole number of seconds") })
}

/// The `claims` parameter and `acr_values` ([OIDC Core 5.5.1.1](https://openid.net/specs/openid-connect-core-1_0.html#acrSemantics)):
/// an essential `acr` that no sign-in here can reach is refused, a voluntary one gets what there is.
fn claims(client: &Client, params: &Params) -> Result<ClaimsRequest, Refusal> {
    let mut claims = match params.get("claims") {
        Some(text) => ClaimsRequest::parse(text)?.within(&client.scope),
        None => ClaimsRequest::default(),
    };
    match claims.of_id_token("acr") {
        Some(acr) => {
            let fits = acr.values.is_empty()
                || acr.values.iter().any(|value| factor::ACR_VALUES.iter().any(|met| value == met));
            if acr.essential && !fits {
                return Err(Refusal::new(
                    ErrorCode::UnmetAuthenticationRequirements,
                    "none of the acr values can be met here",
                ));
            }
        }
        None if params.get("acr_values").is_some() => {
            claims.id_token.push(Asked { name: "acr".to_owned(), ..Asked::default() });
        }
        None => {}
    }
    Ok(claims)
}
