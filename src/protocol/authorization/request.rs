//! What is asked: the checks of an authorization request whose address is proven, in their order.

use crate::protocol::authorization::{Allowed, Destination};
use crate::protocol::claims_request::{Asked, ClaimsRequest};
use crate::protocol::client::Client;
use crate::protocol::error::Refusal;
use crate::protocol::factor;
use crate::protocol::grant::{Authorization, Grant, SignIn};
use crate::protocol::params::Params;
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::reason::Reason;
use crate::protocol::release::opened_beyond_scopes;
use crate::protocol::remedy::{Relaxable, Remedy};
use crate::protocol::response::{Display, PkcePolicy, Prompt, PromptSet, ResponseMode, ResponseType};
use crate::protocol::scope::Scope;
use crate::protocol::time::NumericDate;
use serde_json::Value;

/// How long a sign-in has to be good at least, in seconds, for one that was just made to answer the next request.
const LEAST_LASTING: i64 = 60;

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

    /// What the person is asked about: that scope, and what this client is told beyond the claims of scopes.
    #[must_use]
    pub fn to_consent(&self, client: &Client) -> Allowed {
        Allowed { scope: self.scope_to_consent(), claims: opened_beyond_scopes(client, &self.scope, &self.claims) }
    }

    /// Whether the sign-in is to be of more than one factor where the person has a second one: by the first value of the wish
    /// for `acr` that is one of ours, or because everything is to be proven anew.
    #[must_use]
    pub fn prefers_second_factor(&self) -> bool {
        let values = self.claims.of_id_token("acr").map(|asked| asked.values.as_slice()).unwrap_or_default();
        let preferred = values.iter().filter_map(Value::as_str).find(|value| factor::rank(value).is_some());
        preferred.is_some_and(|value| !factor::meets(factor::ACR_VALUES[0], value))
            || self.max_age.is_some()
            || self.prompt.has(Prompt::Login)
    }

    /// Whether the user is to say which account it is for, also where one is signed in: another of theirs, or one that is made now.
    #[must_use]
    pub fn asks_for_account(&self) -> bool {
        self.prompt.has(Prompt::SelectAccount) || self.prompt.has(Prompt::Create)
    }

    /// Whether a sign-in of that `acr` is not to be answered with: none of the values of an essential wish is met
    /// ([OIDC Core 5.5.1.1](https://openid.net/specs/openid-connect-core-1_0.html#acrSemantics)).
    #[must_use]
    pub fn refuses_acr(&self, acr: &str) -> bool {
        let asked = self.claims.of_id_token("acr").filter(|asked| asked.essential && !asked.values.is_empty());
        asked.is_some_and(|asked| !asked.values.iter().filter_map(Value::as_str).any(|value| factor::meets(acr, value)))
    }

    /// Whether a sign-in that is started over in place of this one asks for no less: the request has no wish about who signs in, how,
    /// or when, that the service may not repeat. A row's `default_max_age` holds for every request, and so is none, unless it is so short that
    /// the sign-in just made would not do.
    #[must_use]
    pub fn can_be_started_over(&self, params: &Params) -> bool {
        let acr = self.claims.of_id_token("acr").is_some_and(|asked| asked.essential);
        let sent = ["prompt", "max_age", "id_token_hint"].into_iter().any(|name| params.get(name).is_some());
        let lasts = self.max_age.is_none_or(|seconds| seconds >= LEAST_LASTING);
        !acr && !sent && lasts && self.claims.of_id_token("sub").is_none_or(|asked| asked.values.is_empty())
    }

    /// What a code of this request stands for: what is authorized, and what the code is bound to.
    #[must_use]
    pub fn grant(
        &self,
        to: &Client,
        destination: &Destination,
        sign_in: SignIn,
        shown: Vec<String>,
        lifetime: i64,
        now: NumericDate,
    ) -> Grant {
        Grant {
            authorization: Authorization {
                client_id: to.client_id.clone(),
                scope: self.scope.clone(),
                resources: self.resources.clone(),
                claims: self.claims.clone(),
                shown,
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
    for (name, reason) in [
        ("request", Reason::RequestUnsupported),
        ("request_uri", Reason::RequestUriUnsupported),
        ("registration", Reason::RegistrationUnsupported),
    ] {
        if params.get(name).is_some() {
            return Err(Refusal::new(reason).expecting(name, [format!("no {name}")]));
        }
    }
    Ok(())
}

fn check_response_type(client: &Client, params: &Params) -> Result<(), Refusal> {
    let supported = ResponseType::SUPPORTED.iter().map(|response_type| response_type.as_str());
    let sent = params
        .get("response_type")
        .ok_or_else(|| Refusal::new(Reason::ResponseTypeMissing).expecting("no response_type", supported.clone()))?;
    let response_type = ResponseType::parse(sent)
        .ok_or_else(|| Refusal::new(Reason::ResponseTypeUnsupported).expecting(sent, supported))?;
    if client.response_types.contains(&response_type) {
        Ok(())
    } else {
        let allowed: Vec<&str> = client.response_types.iter().map(|response_type| response_type.as_str()).collect();
        let expected = if allowed.is_empty() { vec!["nothing: it may use none"] } else { allowed };
        Err(Refusal::new(Reason::ResponseTypeNotAllowed).expecting(sent, expected))
    }
}

fn check_response_mode(params: &Params) -> Result<(), Refusal> {
    match params.get("response_mode") {
        Some(sent) if ResponseMode::parse(sent).is_none() => {
            let supported = ResponseMode::SUPPORTED.iter().map(|mode| mode.as_str());
            Err(Refusal::new(Reason::ResponseModeUnsupported).expecting(sent, supported))
        }
        _ => Ok(()),
    }
}

fn code_challenge(client: &Client, params: &Params) -> Result<Option<CodeChallenge>, Refusal> {
    let code_challenge = CodeChallenge::of(params)?;
    if code_challenge.is_none() && client.must_use_pkce() {
        let relaxable = match client.pkce {
            _ if client.is_public() => Relaxable::NeverForPublicClients,
            PkcePolicy::Optional => Relaxable::NeverOverPlainHttp,
            PkcePolicy::Required => Relaxable::ByTheRow,
        };
        return Err(Refusal::new(Reason::CodeChallengeMissing)
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
        .ok_or_else(|| Refusal::new(Reason::ScopeMissing).expecting("no scope", [client.scope.to_string()]))?;
    let asked = Scope::asked(sent)?;
    let scope = client.granted_of(&asked);
    if scope.is_empty() {
        return Err(not_allowed(Reason::ScopeNotAllowed, client, &asked, &client.scope));
    }
    Ok(scope)
}

/// The refusal of scopes of which the client may have none, `allowed` being what it may have.
#[must_use]
pub fn not_allowed(reason: Reason, client: &Client, asked: &Scope, allowed: &Scope) -> Refusal {
    let refusal = Refusal::new(reason).expecting(&asked.to_string(), [allowed.to_string()]);
    // `openid,profile` is one scope, which no client has.
    let separated = Scope::from(asked.to_string().replace([',', ';', '+'], " "));
    let remedy = if separated.tokens().count() > asked.tokens().count() && !separated.within(allowed).is_empty() {
        Remedy::SeparateScopes { meant: separated.to_string() }
    } else {
        Remedy::WidenScope { client_id: client.client_id.clone(), scope: client.scope.union(asked).to_string() }
    };
    refusal.with_remedy(remedy)
}

fn prompt(params: &Params) -> Result<PromptSet, Refusal> {
    let sent = params.get("prompt").unwrap_or_default();
    PromptSet::parse(sent)
        .ok_or_else(|| Refusal::new(Reason::PromptNoneBesideOthers).expecting(sent, ["none alone, or without none"]))
}

fn check_display(params: &Params) -> Result<(), Refusal> {
    match params.get("display") {
        Some(sent) if Display::parse(sent).is_none() => {
            let supported = Display::SUPPORTED.iter().map(|display| display.as_str());
            Err(Refusal::new(Reason::DisplayUnknown).expecting(sent, supported))
        }
        _ => Ok(()),
    }
}

/// `max_age` in seconds; without it, what the client's row says.
fn max_age(client: &Client, params: &Params) -> Result<Option<i64>, Refusal> {
    let Some(sent) = params.get("max_age") else { return Ok(client.default_max_age) };
    // A sign is no digit, although the parser would take it.
    let seconds = Some(sent).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = seconds.and_then(|text| text.parse::<u32>().ok()).map(i64::from);
    seconds
        .map(Some)
        .ok_or_else(|| Refusal::new(Reason::MaxAgeMalformed).expecting(sent, ["a whole number of seconds"]))
}

/// The `claims` parameter and `acr_values`, which is a voluntary wish for `acr` with these values, or has the values of a wish
/// without any.
fn claims(client: &Client, params: &Params) -> Result<ClaimsRequest, Refusal> {
    let mut claims = claims_asked(client, params.get("claims"))?;
    let has_values = claims.of_id_token("acr").is_some_and(|asked| !asked.values.is_empty());
    if let (false, Some(sent)) = (has_values, params.get("acr_values")) {
        // What is unknown is ignored, and so is what no request needs so much of.
        let known = sent.split(' ').filter(|value| factor::rank(value).is_some()).take(factor::ACR_VALUES.len());
        let values = known.map(Value::from).collect();
        match claims.id_token.iter_mut().find(|asked| asked.name == "acr") {
            Some(asked) => asked.values = values,
            None => claims.id_token.push(Asked { name: "acr".to_owned(), values, essential: false }),
        }
    }
    Ok(claims)
}

/// What a `claims` parameter asks for that this client may be told. An essential `acr` that no sign-in here can reach is refused
/// ([OIDC Core 5.5.1.1](https://openid.net/specs/openid-connect-core-1_0.html#acrSemantics)).
///
/// # Errors
/// `invalid_request`, `unmet_authentication_requirements`.
pub fn claims_asked(client: &Client, sent: Option<&str>) -> Result<ClaimsRequest, Refusal> {
    let Some(text) = sent else { return Ok(ClaimsRequest::default()) };
    let claims = ClaimsRequest::parse(text)?.within(&client.scope);
    if let Some(acr) = claims.of_id_token("acr") {
        let is_met = |value: &Value| factor::ACR_VALUES.iter().any(|met| value == met);
        if acr.essential && !acr.values.is_empty() && !acr.values.iter().any(is_met) {
            let sent: Vec<String> = acr.values.iter().map(ToString::to_string).collect();
            return Err(Refusal::new(Reason::AcrUnmet).expecting(&sent.join(" "), factor::ACR_VALUES));
        }
    }
    Ok(claims)
}
