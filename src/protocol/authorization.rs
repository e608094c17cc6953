//! The authorization request: whom an answer may be sent to, what is asked, and what comes next.
//!
//! RFC 6749 section 4.1.1-2, OIDC Core 3.1.2, RFC 9207, RFC 9700 section 4. Three thresholds, each a type:
//! `ReturnAddress` (client and address are proven), `AuthorizationRequest` (the request is sound), `Step`
//! (what this browser has to do next). `next_step` is asked again whenever the browser comes back.

use crate::protocol::address::risk_of;
use crate::protocol::claims::ACR;
use crate::protocol::claims_request::{Asked, ClaimsRequest};
use crate::protocol::client::{Client, redirect_uri_fault};
use crate::protocol::difference;
use crate::protocol::error::{ErrorCode, Refusal};
use crate::protocol::grant::Session;
use crate::protocol::params::Params;
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::response::{ConsentPolicy, Display, PkcePolicy, Prompt, PromptSet, ResponseMode, ResponseType};
use crate::protocol::scope::Scope;
use crate::protocol::secret::{AuthorizationCode, Digest, Handle};
use crate::protocol::time::NumericDate;
use serde::{Deserialize, Serialize};

/// What is read of an authorization request; anything else is ignored, and not remembered either.
pub const PARAMETERS: &[&str] = &[
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "display",
    "prompt",
    "max_age",
    "ui_locales",
    "claims_locales",
    "id_token_hint",
    "login_hint",
    "acr_values",
    "claims",
    "code_challenge",
    "code_challenge_method",
    "resource",
];

/// The most bytes that a request which has to wait for a person may have as it is stored, and what a code stands for.
pub const MAX_KEPT_BYTES: usize = 12 * 1024;

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

impl ReturnAddress {
    /// Proves the address of a request, before anything else of it is looked at.
    ///
    /// `redirect_uri` may be left out only without `openid` and with a single registered address
    /// ([RFC 6749 section 3.1.2.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2.3); OIDC Core 3.1.2.1 requires it).
    ///
    /// # Errors
    /// `invalid_request`, which must be shown as a page: there is nowhere to send it.
    pub fn of(client: &Client, params: &Params) -> Result<Self, Refusal> {
        for name in ["client_id", "redirect_uri"] {
            if params.is_doubled(name) {
                return Err(Refusal::naming(
                    ErrorCode::InvalidRequest,
                    &format!("the parameter {name} was sent more than once"),
                ));
            }
        }
        let is_openid = params.get("scope").is_some_and(|scope| scope.split(' ').any(|token| token == "openid"));
        let (redirect_uri, redirect_uri_was_sent) = match (params.get("redirect_uri"), client.redirect_uris.as_slice())
        {
            (Some(sent), _) if client.owns_redirect_uri(sent) => (sent.to_owned(), true),
            (Some(sent), _) => return Err(unregistered(client, sent)),
            (None, [only]) if !is_openid => (only.clone(), false),
            (None, registered) => {
                return Err(Refusal::new(ErrorCode::InvalidRequest, "redirect_uri is missing")
                    .expecting("nothing", registered)
                    .with_fix("Let the service send redirect_uri; with the scope openid it must (OpenID Connect Core 3.1.2.1)."));
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
            ("error", refusal.code.as_str().to_owned()),
            ("error_description", refusal.description.clone().into_owned()),
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
        // RFC 9207: whoever talks to several providers can tell which one answers.
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
fn unregistered(client: &Client, sent: &str) -> Refusal {
    let refusal = Refusal::new(ErrorCode::InvalidRequest, "redirect_uri is not registered for this client")
        .expecting(sent, &client.redirect_uris);
    let nearest = difference::nearest(sent, client.redirect_uris.iter().map(String::as_str));
    let detail = match nearest {
        Some(nearest) => {
            let mistake = difference::usual_mistake(sent, nearest).map(|mistake| format!("; {mistake}"));
            format!("{}{}", difference::in_one_line(sent, nearest), mistake.unwrap_or_default())
        }
        None => "the client has no row in client_redirect_uris".to_owned(),
    };
    let or_the_registered = nearest.map(|nearest| format!(" Otherwise let the service send {nearest}"));
    let fix = match redirect_uri_fault(sent, client.application_type) {
        None => format!(
            "If the service is right, register what it sends, in a new migration file: \
             INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('{}', '{}');{}",
            client.client_id.replace('\'', "''"),
            sent.replace('\'', "''"),
            or_the_registered.unwrap_or_default()
        ),
        Some(why) if risk_of(sent, client.application_type).is_some() => format!(
            "What the service sends can be registered only with a reason (`hallpass client new --accept`): {why}.{}",
            or_the_registered.unwrap_or_default()
        ),
        Some(why) => format!(
            "What the service sends cannot be registered: {why}.{}",
            or_the_registered.unwrap_or_default().replace(" Otherwise let", " Let")
        ),
    };
    refusal.with_detail(detail).with_fix(fix)
}

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
    /// What the person is asked about: the scope, and the scopes of the single claims.
    #[must_use]
    pub fn scope_to_consent(&self) -> Scope {
        self.scope.union(&self.claims.scopes_beyond(&self.scope))
    }

    /// Whether an answer about `subject` is one that the `claims` parameter wants
    /// ([OIDC Core 5.5.1](https://openid.net/specs/openid-connect-core-1_0.html#IndividualClaimsRequests)).
    fn wants(&self, subject: Option<&str>) -> bool {
        let asked = self.claims.of_id_token("sub").map(|asked| asked.values.as_slice()).unwrap_or_default();
        asked.is_empty() || asked.iter().any(|value| value.as_str() == subject)
    }

    /// Reads a request whose address is proven.
    ///
    /// # Errors
    /// `invalid_request`, `unsupported_response_type`, `unauthorized_client`, `invalid_scope`,
    /// `invalid_target`, `unmet_authentication_requirements`, `request_not_supported`, `request_uri_not_supported`, `registration_not_supported`: each to be
    /// sent to the address.
    pub fn parse(client: &Client, params: &Params) -> Result<Self, Refusal> {
        use ErrorCode::{
            InvalidRequest, InvalidScope, RegistrationNotSupported, RequestNotSupported, RequestUriNotSupported,
            UnauthorizedClient, UnsupportedResponseType,
        };
        params.refuse_duplicates()?;
        for (name, code) in [
            ("request", RequestNotSupported),
            ("request_uri", RequestUriNotSupported),
            ("registration", RegistrationNotSupported),
        ] {
            if params.get(name).is_some() {
                return Err(Refusal::naming(code, &format!("the parameter {name} is not supported")));
            }
        }
        let response_type =
            params.get("response_type").ok_or(const { Refusal::new(InvalidRequest, "response_type is missing") })?;
        let response_type = ResponseType::parse(response_type)
            .ok_or(const { Refusal::new(UnsupportedResponseType, "response_type is not supported, use code") })?;
        if !client.response_types.contains(&response_type) {
            return Err(Refusal::new(UnauthorizedClient, "this client may not use this response_type"));
        }
        if params.get("response_mode").is_some_and(|mode| ResponseMode::parse(mode).is_none()) {
            return Err(Refusal::new(InvalidRequest, "response_mode is not supported, use query or form_post"));
        }
        let code_challenge = CodeChallenge::of(params)?;
        if code_challenge.is_none() && client.must_use_pkce() {
            return Err(Refusal::new(InvalidRequest, "code_challenge is missing; this client must use PKCE with S256")
                .with_detail("clients.pkce is 'required', the client is public (RFC 9700 section 2.1.1), or it has an address by plain http")
                .expecting("no code_challenge", ["code_challenge with code_challenge_method=S256"])
                .with_fix(no_pkce(client)));
        }
        let asked =
            params.get("scope").ok_or(const { Refusal::new(InvalidScope, "scope is missing, ask for openid") })?;
        let asked = Scope::parse(asked).map_err(|reason| Refusal::new(InvalidScope, reason))?;
        let scope = client.granted_of(&asked);
        if scope.is_empty() {
            return Err(Refusal::new(InvalidScope, "none of the scopes may be given to this client")
                .expecting(&asked.to_string(), [client.scope.to_string()])
                .with_fix("Let the service ask for less, or widen clients.scope in a new migration file."));
        }
        let resources = client.targets(params.all("resource"))?;
        let prompt = PromptSet::parse(params.get("prompt").unwrap_or_default())
            .map_err(|reason| Refusal::new(InvalidRequest, reason))?;
        if params.get("display").is_some_and(|display| Display::parse(display).is_none()) {
            return Err(Refusal::new(InvalidRequest, "display has an unknown value"));
        }
        let max_age = match params.get("max_age") {
            Some(text) => Some(
                Some(text)
                    // A sign is no digit, although the parser would take it.
                    .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
                    .and_then(|text| text.parse::<u32>().ok())
                    .map(i64::from)
                    .ok_or(const { Refusal::new(InvalidRequest, "max_age must be a whole number of seconds") })?,
            ),
            None => client.default_max_age,
        };
        let claims = claims(client, params)?;
        Ok(Self {
            scope,
            nonce: params.get("nonce").map(str::to_owned),
            code_challenge,
            prompt,
            max_age,
            login_hint: params.get("login_hint").map(str::to_owned),
            id_token_hint: params.get("id_token_hint").map(str::to_owned),
            resources,
            claims,
        })
    }
}

/// What to do about a client that sends no challenge.
fn no_pkce(client: &Client) -> String {
    let turn_on = "Turn PKCE with S256 on in the service's library";
    if client.is_public() {
        return format!("{turn_on}; a public client cannot do without.");
    }
    if client.pkce == PkcePolicy::Optional {
        return format!(
            "{turn_on}; a client with an address by plain http, where a code can be read, cannot do without."
        );
    }
    format!(
        "{turn_on}. If it cannot do PKCE, in a new migration file: UPDATE clients SET pkce = 'optional' WHERE client_id = '{}'; \
         and let it use nonce, which then is what binds a code to its browser.",
        client.client_id.replace('\'', "''")
    )
}

/// The `claims` parameter and `acr_values` ([OIDC Core 5.5.1.1](https://openid.net/specs/openid-connect-core-1_0.html#acrSemantics)):
/// an essential `acr` that nobody here can stand for is refused, a voluntary one gets what there is.
fn claims(client: &Client, params: &Params) -> Result<ClaimsRequest, Refusal> {
    let mut claims = match params.get("claims") {
        Some(text) => ClaimsRequest::parse(text)?.within(&client.scope),
        None => ClaimsRequest::default(),
    };
    match claims.of_id_token("acr") {
        Some(acr) => {
            let fits = acr.values.is_empty() || acr.values.iter().any(|value| value == ACR);
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

/// One authorization request in progress in one browser, on the server: nothing of it is re-read from the browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interaction {
    /// The request as it came, as far as it is read.
    pub params: Params,
    /// Whose it is.
    pub client_id: String,
    /// The digest of the browser's cookie: without it the interaction cannot be continued. A POST from another
    /// site brings no cookie; it is bound to the first browser that continues it.
    pub browser: Option<Digest>,
    /// Until when it can be continued.
    pub expires_at: NumericDate,
    /// The sign-in that happened in it.
    pub signed_in: Option<SignedIn>,
    /// The consent that was given in it.
    pub consented: Option<Consented>,
}

/// A sign-in that happened inside an interaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// Who.
    pub sub: String,
    /// In which session.
    pub session: Handle,
}

/// A consent that was given inside an interaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consented {
    /// By whom.
    pub sub: String,
    /// To what.
    pub scope: Scope,
}

/// What is known when the next step is decided.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// The client.
    pub client: &'a Client,
    /// Its request.
    pub request: &'a AuthorizationRequest,
    /// The session, if it is live and its user may sign in.
    pub session: Option<&'a Session>,
    /// The session's user as the client sees them.
    pub subject: Option<&'a str>,
    /// Whom a verified `id_token_hint` names, as the client sees them.
    pub hinted_subject: Option<&'a str>,
    /// What happened in this interaction so far.
    pub interaction: Option<&'a Interaction>,
    /// What this user allowed this client before.
    pub remembered: Option<&'a Scope>,
    /// The clock.
    pub now: NumericDate,
}

/// What the browser has to do next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Show the login page.
    SignIn,
    /// Show the consent page.
    Consent,
    /// Issue a code for the request's scope.
    Issue,
    /// Send this refusal to the client.
    Refuse(Refusal),
}

/// Decides what comes next. Pure and total: asked again after every page.
///
/// `prompt=login`, `prompt=consent`, `prompt=select_account` and `max_age` are satisfied by what happened in
/// this interaction, never by comparing seconds, so that the loop ends by itself.
#[must_use]
pub fn next_step(situation: Situation<'_>) -> Step {
    let Situation { client, request, session, subject, hinted_subject, interaction, remembered, now } = situation;
    let silent = request.prompt.has(Prompt::None);
    let signed_in_here = session.is_some_and(|session| {
        interaction
            .and_then(|interaction| interaction.signed_in.as_ref())
            .is_some_and(|here| here.sub == session.sign_in.sub && here.session == session.sign_in.session)
    });

    let Some(session) = session else {
        return if silent {
            Step::Refuse(Refusal::new(ErrorCode::LoginRequired, "nobody is signed in").as_expected())
        } else {
            Step::SignIn
        };
    };
    let too_old = request.max_age.is_some_and(|max_age| now.since(session.sign_in.auth_time) > max_age || max_age == 0);
    let must_sign_in = too_old || request.prompt.has(Prompt::Login) || request.prompt.has(Prompt::SelectAccount);
    if must_sign_in && !signed_in_here {
        return if silent {
            Step::Refuse(Refusal::new(ErrorCode::LoginRequired, "the sign-in is older than max_age").as_expected())
        } else {
            Step::SignIn
        };
    }
    if (hinted_subject.is_some() && hinted_subject != subject) || !request.wants(subject) {
        return if silent || signed_in_here {
            let refusal = Refusal::new(ErrorCode::LoginRequired, "another person is signed in than the request names");
            Step::Refuse(if silent { refusal.as_expected() } else { refusal })
        } else {
            Step::SignIn
        };
    }

    let scope = request.scope_to_consent();
    let consented_here = interaction
        .and_then(|interaction| interaction.consented.as_ref())
        .is_some_and(|here| here.sub == session.sign_in.sub && scope.is_within(&here.scope));
    if consented_here {
        return Step::Issue;
    }
    let asked_for = request.prompt.has(Prompt::Consent);
    let allowed_before = match client.consent {
        ConsentPolicy::Skip => !client.always_asks(),
        ConsentPolicy::Ask => !client.always_asks() && remembered.is_some_and(|allowed| scope.is_within(allowed)),
    };
    if allowed_before && !asked_for {
        Step::Issue
    } else if silent {
        Step::Refuse(Refusal::new(ErrorCode::ConsentRequired, "the person has to be asked first").as_expected())
    } else {
        Step::Consent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::client::tests::client;
    use crate::protocol::grant::SignIn;
    use crate::protocol::response::{ApplicationType, ClientAuthMethod};

    const CHALLENGE: &str = "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

    fn request(query: &str) -> Result<AuthorizationRequest, Refusal> {
        AuthorizationRequest::parse(
            &client(&["https://a.example/cb"]),
            &Params::parse(&format!("response_type=code&scope=openid&{CHALLENGE}&{query}")).unwrap(),
        )
    }

    #[test]
    fn each_fault_of_a_request_has_its_code() {
        let client = client(&["https://a.example/cb"]);
        let code = |query: &str| {
            AuthorizationRequest::parse(&client, &Params::parse(query).unwrap()).unwrap_err().code.as_str()
        };
        assert_eq!(code(&format!("scope=openid&{CHALLENGE}")), "invalid_request");
        assert_eq!(code(&format!("response_type=token&scope=openid&{CHALLENGE}")), "unsupported_response_type");
        assert_eq!(code("response_type=code&scope=openid"), "invalid_request");
        assert_eq!(code(&format!("response_type=code&{CHALLENGE}")), "invalid_scope");
        assert_eq!(code(&format!("response_type=code&scope=admin&{CHALLENGE}")), "invalid_scope");
        let sound = format!("response_type=code&scope=openid&{CHALLENGE}");
        for (query, expected) in [
            ("request=x", "request_not_supported"),
            ("request_uri=x", "request_uri_not_supported"),
            ("registration=x", "registration_not_supported"),
            ("response_mode=fragment", "invalid_request"),
            ("prompt=none+login", "invalid_request"),
            ("prompt=unknown+none", "invalid_request"),
            ("display=hologram", "invalid_request"),
            ("max_age=-1", "invalid_request"),
            ("max_age=soon", "invalid_request"),
            ("nonce=a&nonce=b", "invalid_request"),
        ] {
            assert_eq!(code(&format!("{sound}&{query}")), expected, "{query}");
        }
    }

    #[test]
    fn only_a_registered_address_becomes_a_return_address() {
        let client = client(&["https://a.example/cb"]);
        let of = |query: &str| ReturnAddress::of(&client, &Params::parse(query).unwrap());
        assert!(of("redirect_uri=https://a.example/cb").is_ok());
        assert!(of("redirect_uri=https://evil.example/cb").is_err());
        assert!(of("scope=openid").is_err());
        assert!(of("scope=email").is_ok());
        assert!(of("redirect_uri=https://a.example/cb&redirect_uri=https://evil.example/").is_err());
    }

    #[test]
    fn every_answer_carries_state_and_iss() {
        let client = client(&["https://a.example/cb"]);
        let address =
            ReturnAddress::of(&client, &Params::parse("redirect_uri=https://a.example/cb&state=%26x").unwrap())
                .unwrap();
        for answer in [
            address.refuse(Refusal::new(ErrorCode::AccessDenied, "no"), "https://id.example"),
            address.issue(&AuthorizationCode::from_random(&[1; 32]), "https://id.example"),
        ] {
            assert!(answer.parameters.contains(&("state", "&x".to_owned())));
            assert!(answer.parameters.contains(&("iss", "https://id.example".to_owned())));
        }
    }

    const NOW: NumericDate = NumericDate(1_000_000);

    fn session(auth_time: i64) -> Session {
        Session {
            sign_in: SignIn {
                sub: "u".into(),
                session: Handle([1; 16]),
                auth_time: NumericDate(auth_time),
                amr: vec!["pwd".into()],
                acr: ACR.into(),
                credential: String::new(),
            },
            clients: Vec::new(),
            seen_at: NOW,
            expires_at: NOW.plus(1000),
        }
    }

    fn interaction(signed_in: bool, consented: Option<&str>) -> Interaction {
        Interaction {
            params: Params::default(),
            client_id: "reports".into(),
            browser: Some(Digest::of(&["b"])),
            expires_at: NOW.plus(100),
            signed_in: signed_in.then(|| SignedIn { sub: "u".into(), session: Handle([1; 16]) }),
            consented: consented.map(|scope| Consented { sub: "u".into(), scope: Scope::parse(scope).unwrap() }),
        }
    }

    /// The step as a word, for a table.
    fn step(
        query: &str,
        policy: ConsentPolicy,
        session: Option<&Session>,
        here: Option<&Interaction>,
        remembered: Option<&str>,
    ) -> String {
        let mut client = client(&["https://a.example/cb"]);
        client.consent = policy;
        let request = request(query).unwrap();
        let remembered = remembered.map(|scope| Scope::parse(scope).unwrap());
        word(next_step(Situation {
            client: &client,
            request: &request,
            session,
            subject: session.map(|_| "u"),
            hinted_subject: None,
            interaction: here,
            remembered: remembered.as_ref(),
            now: NOW,
        }))
    }

    fn word(step: Step) -> String {
        match step {
            Step::SignIn => "sign in".into(),
            Step::Consent => "consent".into(),
            Step::Issue => "issue".into(),
            Step::Refuse(refusal) => refusal.code.as_str().into(),
        }
    }

    #[test]
    fn what_comes_next() {
        use ConsentPolicy::{Ask, Skip};
        let fresh = session(NOW.0 - 10);
        let some = Some(&fresh);
        let here = interaction(true, None);
        let agreed = interaction(true, Some("openid"));
        let only_agreed = interaction(false, Some("openid"));
        assert_eq!(step("", Skip, None, None, None), "sign in");
        assert_eq!(step("", Skip, some, None, None), "issue");
        assert_eq!(step("", Ask, some, None, None), "consent");
        assert_eq!(step("", Ask, some, None, Some("openid")), "issue");
        assert_eq!(step("", Ask, some, None, Some("email")), "consent");
        assert_eq!(step("", Ask, some, Some(&agreed), None), "issue");
        assert_eq!(step("prompt=none", Skip, None, None, None), "login_required");
        assert_eq!(step("prompt=none", Skip, some, None, None), "issue");
        assert_eq!(step("prompt=none", Ask, some, None, None), "consent_required");
        assert_eq!(step("prompt=none&max_age=5", Skip, some, None, None), "login_required");
        assert_eq!(step("prompt=login", Skip, some, None, None), "sign in");
        assert_eq!(step("prompt=login", Skip, some, Some(&here), None), "issue");
        assert_eq!(step("prompt=login", Skip, some, Some(&only_agreed), None), "sign in");
        assert_eq!(step("prompt=select_account", Skip, some, None, None), "sign in");
        assert_eq!(step("prompt=consent", Skip, some, None, None), "consent");
        assert_eq!(step("prompt=consent", Ask, some, None, Some("openid")), "consent");
        assert_eq!(step("prompt=consent", Ask, some, Some(&agreed), None), "issue");
        assert_eq!(step("max_age=5", Skip, some, None, None), "sign in");
        assert_eq!(step("max_age=5", Skip, some, Some(&here), None), "issue");
        assert_eq!(step("max_age=10", Skip, some, None, None), "issue");
        assert_eq!(step("max_age=0", Skip, some, None, None), "sign in");
        assert_eq!(step("max_age=0", Skip, some, Some(&here), None), "issue");
    }

    #[test]
    fn a_hint_of_another_person_is_never_answered_with_this_one() {
        let client = client(&["https://a.example/cb"]);
        let session = session(NOW.0);
        for (query, here, expected) in [
            ("", None, "sign in"),
            ("prompt=none", None, "login_required"),
            ("", Some(interaction(true, Some("openid"))), "login_required"),
        ] {
            let request = request(query).unwrap();
            let situation = Situation {
                client: &client,
                request: &request,
                session: Some(&session),
                subject: Some("u"),
                hinted_subject: Some("somebody else"),
                interaction: here.as_ref(),
                remembered: None,
                now: NOW,
            };
            assert_eq!(word(next_step(situation)), expected, "{query}");
        }
    }

    #[test]
    fn a_native_public_client_always_asks() {
        let mut client = client(&["http://127.0.0.1/cb"]);
        client.application_type = ApplicationType::Native;
        client.token_endpoint_auth_method = ClientAuthMethod::None;
        client.consent = ConsentPolicy::Skip;
        let request = request("").unwrap();
        let session = session(NOW.0);
        let remembered = Scope::parse("openid").unwrap();
        let situation = Situation {
            client: &client,
            request: &request,
            session: Some(&session),
            subject: Some("u"),
            hinted_subject: None,
            interaction: None,
            remembered: Some(&remembered),
            now: NOW,
        };
        assert_eq!(word(next_step(situation)), "consent");
    }
}
