//! The authorization request: whom an answer may be sent to, what is asked, and what comes next.
//!
//! RFC 6749 section 4.1.1-2, OIDC Core 3.1.2, RFC 9207, RFC 9700 section 4. Three thresholds, each a type and a file:
//! `Destination` (client and address are proven), `AuthorizationRequest` (the request is sound), `Step` (what this browser
//! has to do next). `next_step` is asked again whenever the browser comes back.

mod request;
mod return_address;
mod step;

pub use request::{AuthorizationRequest, claims_asked, not_allowed};
pub use return_address::{AuthorizationResponse, ReturnAddress};
pub use step::{
    Allowed, Consented, Interaction, PendingAttempt, ProvenPassword, SignedIn, Situation, Step, factor_missing,
    next_step,
};

use crate::protocol::client::Client;
use crate::protocol::error::Refusal;
use crate::protocol::params::Params;

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

/// How long a request that has to wait for a person is remembered, in seconds: what is shown for it is good as long.
pub const REMEMBERED_FOR: i64 = 5400;

/// The most bytes that a request which has to wait for a person may have as it is stored, and what a code stands for.
pub const MAX_KEPT_BYTES: usize = 12 * 1024;

/// Where what comes of a request goes.
#[derive(Clone, Debug)]
pub enum Destination {
    /// An address of the client, through the browser.
    Address(ReturnAddress),
    /// Our own start page: a user signs in without a service, and no code is issued.
    Home,
}

impl Destination {
    /// Proves where the answer to a request may go.
    ///
    /// # Errors
    /// `invalid_request`, which must be shown as a page: there is nowhere to send it.
    pub fn of(client: &Client, params: &Params) -> Result<Self, Refusal> {
        ReturnAddress::of(client, params).map(Self::Address)
    }

    /// Its name for the page that tells a person where they go.
    #[must_use]
    pub fn host(&self) -> String {
        match self {
            Self::Address(address) => address.host(),
            Self::Home => String::new(),
        }
    }

    /// Whether it is an app of the user's own machine, reached by a scheme of its own
    /// ([RFC 8252 section 7.1](https://www.rfc-editor.org/rfc/rfc8252#section-7.1)).
    #[must_use]
    pub fn is_app(&self) -> bool {
        match self {
            Self::Address(address) => address.is_app(),
            Self::Home => false,
        }
    }

    /// `redirect_uri` as the request brought it, which the token request must repeat.
    #[must_use]
    pub fn sent_redirect_uri(&self) -> Option<String> {
        match self {
            Self::Address(address) => address.sent_redirect_uri(),
            Self::Home => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::claims::{Demand, User};
    use crate::protocol::client::tests::client;
    use crate::protocol::factor::ACR_VALUES;
    use crate::protocol::grant::{Session, SignIn};
    use crate::protocol::reason::Reason;
    use crate::protocol::response::{ApplicationType, ClientAuthMethod, ConsentPolicy, RequiredAcr};
    use crate::protocol::scope::Scope;
    use crate::protocol::secret::{AuthorizationCode, Digest, Handle};
    use crate::protocol::time::NumericDate;

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
            AuthorizationRequest::parse(&client, &Params::parse(query).unwrap()).unwrap_err().code().as_str()
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
            address.refuse(Refusal::new(Reason::ConsentDenied), "https://id.example"),
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
                acr: ACR_VALUES[0].into(),
                credential: String::new(),
            },
            clients: Vec::new(),
            seen_at: NOW,
            expires_at: NOW.plus(1000),
            is_remembered: false,
        }
    }

    fn interaction(signed_in: bool, consented: Option<&str>) -> Interaction {
        Interaction {
            returns_to: None,
            params: Params::default(),
            client_id: "reports".into(),
            browser: Some(Digest::of(&["b"])),
            expires_at: NOW.plus(100),
            signed_in: signed_in.then(|| SignedIn { sub: "u".into(), session: Handle([1; 16]) }),
            consented: consented.map(|scope| Consented {
                sub: "u".into(),
                scope: Scope::parse(scope).unwrap(),
                claims: Vec::new(),
            }),
            proven: None,
            ceremony: None,
            offers_passkey: false,
            told_of_demand: false,
            proved_at: None,
        }
    }

    fn allowed(scope: &str) -> Allowed {
        Allowed { scope: Scope::parse(scope).unwrap(), claims: Vec::new() }
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
        let remembered = remembered.map(allowed);
        word(next_step(Situation {
            client: &client,
            request: &request,
            session,
            user: None,
            awaits_factor: false,
            subject: session.map(|_| "u"),
            hinted_subject: None,
            interaction: here,
            remembered: remembered.as_ref(),
            may_enter: true,
            is_stale: false,
            now: NOW,
        }))
    }

    fn word(step: Step) -> String {
        match step {
            Step::SignIn => "sign in".into(),
            Step::SecondFactor => "second factor".into(),
            Step::FactorMissing => "factor missing".into(),
            Step::FactorDue(_) => "factor due".into(),
            Step::PasskeyOffer => "passkey offer".into(),
            Step::NoEntry => "no entry".into(),
            Step::StartAnew => "start anew".into(),
            Step::Consent => "consent".into(),
            Step::Issue => "issue".into(),
            Step::Refuse(refusal) => refusal.code().as_str().into(),
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

    /// After what proves and offers, before consent, and never where no page may be shown.
    #[test]
    fn what_is_stale_is_started_anew_before_consent_and_after_everything_else() {
        let (client, session) = (client(&["https://a.example/cb"]), session(NOW.0));
        let (plain, silent) = (request("").unwrap(), request("prompt=none").unwrap());
        let here = interaction(true, Some("openid"));
        let stale = |request, session, interaction, may_enter, awaits_factor| {
            word(next_step(Situation {
                client: &client,
                request,
                session,
                user: None,
                awaits_factor,
                subject: Some("u"),
                hinted_subject: None,
                interaction,
                remembered: None,
                may_enter,
                is_stale: true,
                now: NOW,
            }))
        };
        assert_eq!(stale(&plain, Some(&session), Some(&here), true, false), "start anew");
        assert_eq!(stale(&plain, Some(&session), None, true, false), "start anew");
        assert_eq!(stale(&plain, Some(&session), Some(&here), false, false), "no entry");
        assert_eq!(stale(&plain, Some(&session), Some(&here), true, true), "second factor");
        assert_eq!(stale(&plain, None, None, true, false), "sign in");
        assert_eq!(stale(&silent, Some(&session), None, true, false), "consent_required");
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
                user: None,
                awaits_factor: false,
                subject: Some("u"),
                hinted_subject: Some("another"),
                interaction: here.as_ref(),
                remembered: None,
                may_enter: true,
                is_stale: false,
                now: NOW,
            };
            assert_eq!(word(next_step(situation)), expected, "{query}");
        }
    }

    /// By what is asked for, what the session is worth, and whether the user has a second factor.
    #[test]
    fn a_further_factor_is_asked_for_where_it_is_wanted_and_there() {
        let essential =
            |values: &str| format!("claims={{\"id_token\":{{\"acr\":{{\"essential\":true,\"values\":[{values}]}}}}}}");
        let (two, either, one) = (essential("\"2\""), essential("\"x\",\"2\",\"1\""), essential("\"1\""));
        let table = [
            // request, row, acr of the session, has a factor, step
            ("", false, "1", true, "issue"),
            ("acr_values=2", false, "1", true, "second factor"),
            ("acr_values=x+2+1", false, "1", true, "second factor"),
            ("acr_values=1+2", false, "1", true, "issue"),
            ("acr_values=x", false, "1", true, "issue"),
            ("acr_values=2", false, "1", false, "issue"),
            ("acr_values=2", false, "2", true, "issue"),
            ("acr_values=2&prompt=none", false, "1", true, "login_required"),
            ("acr_values=2&prompt=none", false, "1", false, "issue"),
            ("max_age=100", false, "1", true, "second factor"),
            ("max_age=100", false, "1", false, "issue"),
            ("max_age=100", false, "2", true, "issue"),
            (&two, false, "1", true, "second factor"),
            (&two, false, "2", true, "issue"),
            (&two, false, "1", false, "unmet_authentication_requirements"),
            (&format!("{two}&prompt=none"), false, "1", true, "login_required"),
            (&format!("{two}&prompt=none"), false, "1", false, "unmet_authentication_requirements"),
            (&either, false, "1", false, "issue"),
            (&one, false, "1", true, "issue"),
            (&one, false, "2", true, "issue"),
            ("", true, "1", true, "second factor"),
            ("", true, "2", true, "issue"),
            ("", true, "1", false, "factor missing"),
            ("prompt=none", true, "1", true, "login_required"),
            ("prompt=none", true, "1", false, "unmet_authentication_requirements"),
        ];
        for (query, row, acr, has_second_factor, expected) in table {
            let mut client = client(&["https://a.example/cb"]);
            client.consent = ConsentPolicy::Skip;
            client.require_acr = row.then_some(RequiredAcr::Two);
            let mut session = session(NOW.0 - 10);
            session.sign_in.acr = acr.to_owned();
            let user = User { has_authenticator: has_second_factor, ..User::default() };
            let request = request(query).unwrap();
            let situation = |interaction, awaits_factor| Situation {
                client: &client,
                request: &request,
                session: Some(&session),
                user: Some(&user),
                awaits_factor,
                subject: Some("u"),
                hinted_subject: None,
                interaction,
                remembered: None,
                may_enter: true,
                is_stale: false,
                now: NOW,
            };
            assert_eq!(word(next_step(situation(None, false))), expected, "{query} {row} {acr} {has_second_factor}");
            // A sign-in in the interaction makes no difference: what counts is what was proven.
            let here = interaction(true, None);
            assert_eq!(word(next_step(situation(Some(&here), false))), expected, "{query} {row} {acr}");
            let shown = if query.contains("prompt=none") { expected } else { "second factor" };
            assert_eq!(word(next_step(situation(Some(&here), true))), shown, "{query} {row} {acr}");
        }
    }

    #[test]
    fn a_demand_with_days_left_is_told_once_at_a_sign_in() {
        let client = Client { consent: ConsentPolicy::Skip, ..client(&["https://a.example/cb"]) };
        let (session, request) = (session(NOW.0), request("").unwrap());
        let user = User { second_factor_demands: vec![Demand { days: 1, until: None }], ..User::default() };
        let step = |interaction| {
            word(next_step(Situation {
                client: &client,
                request: &request,
                session: Some(&session),
                user: Some(&user),
                awaits_factor: false,
                subject: Some("u"),
                hinted_subject: None,
                interaction,
                remembered: None,
                may_enter: true,
                is_stale: false,
                now: NOW,
            }))
        };
        let signed_in = interaction(true, None);
        let told = Interaction { told_of_demand: true, ..interaction(true, None) };
        assert_eq!(step(None), "issue");
        assert_eq!(step(Some(&signed_in)), "factor due");
        assert_eq!(step(Some(&told)), "issue");
    }

    #[test]
    fn a_passkey_is_offered_once_at_a_sign_in_by_all_that_the_account_has() {
        let client = Client { consent: ConsentPolicy::Skip, ..client(&["https://a.example/cb"]) };
        let request = request("").unwrap();
        let step = |user: &User, session: &Session, interaction: &Interaction| {
            word(next_step(Situation {
                client: &client,
                request: &request,
                session: Some(session),
                user: Some(user),
                awaits_factor: false,
                subject: Some("u"),
                hinted_subject: None,
                interaction: Some(interaction),
                remembered: None,
                may_enter: true,
                is_stale: false,
                now: NOW,
            }))
        };
        let (plain, session) = (User::default(), session(NOW.0));
        let offers = Interaction { offers_passkey: true, ..interaction(true, None) };
        assert_eq!(step(&plain, &session, &offers), "passkey offer");
        assert_eq!(step(&plain, &session, &interaction(true, None)), "issue");
        assert_eq!(step(&plain, &session, &Interaction { offers_passkey: true, ..interaction(false, None) }), "issue");
        for user in [
            User { passkeys: 1, ..User::default() },
            User { passkey_offered_at: Some(NOW), ..User::default() },
            // The browser is trusted: the authenticator was not asked for.
            User { has_authenticator: true, ..User::default() },
        ] {
            assert_eq!(step(&user, &session, &offers), "issue");
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
        let remembered = allowed("openid");
        let situation = Situation {
            client: &client,
            request: &request,
            session: Some(&session),
            user: None,
            awaits_factor: false,
            subject: Some("u"),
            hinted_subject: None,
            interaction: None,
            remembered: Some(&remembered),
            may_enter: true,
            is_stale: false,
            now: NOW,
        };
        assert_eq!(word(next_step(situation)), "consent");
    }
}
