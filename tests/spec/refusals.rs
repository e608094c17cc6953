//! Every reason for which a request is refused, provoked once: it is kept under its reference with what was sent, what was
//! expected and a fix, and none of it has a secret. A new reason does not compile until the table says how to provoke it.

use crate::support::provider::{CLIENT_SECRET, PASSWORD};
use crate::support::verbs::{Auth, CHALLENGE, VERIFIER, http, send};
use crate::support::{Authorization, NewClient, TestClient, TestProvider, UserAgent};
use hallpass::protocol::factor::SignInFailure;
use hallpass::protocol::reason::Reason;
use hallpass::web::problems::Problem;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::collections::BTreeSet;

const FORM: &str = "application/x-www-form-urlencoded";

/// A provider with clients of every kind.
struct Stage {
    provider: TestProvider,
    browser: UserAgent,
    /// Confidential, with refresh tokens and one API.
    reports: TestClient,
    /// Public.
    app: TestClient,
    /// For itself alone.
    job: TestClient,
}

/// How a reason comes about.
enum Provoked {
    /// Just now: the answer's headers.
    Answered(HeaderMap),
    /// It needs more than a request: by the test of that name.
    By(&'static str),
}

fn reference(headers: &HeaderMap) -> String {
    headers.get("x-request-id").expect("every answer has a reference").to_str().unwrap().to_owned()
}

impl Stage {
    async fn set() -> Self {
        let provider = TestProvider::start().await;
        provider.alice().await;
        let reports = NewClient::new("reports")
            .with("scope", "openid email offline_access")
            .with("grant_types", "authorization_code refresh_token")
            .with("consent", "skip");
        let reports = provider.add(reports).await;
        provider.sql("INSERT INTO client_audiences (client_id, audience) VALUES ('reports', 'https://api.example/'), ('reports', 'https://other.example/')").await;
        let app = provider.add(NewClient::new("app").public().with("consent", "skip")).await;
        let job = provider
            .add(NewClient::new("job").with("grant_types", "client_credentials").with("scope", "openid work"))
            .await;
        provider.add(NewClient::new("gone").with("disabled_at", "1")).await;
        provider.add(NewClient::new("bare").with("scope", "openid")).await;
        provider.sql("DELETE FROM client_secrets WHERE client_id = 'bare'").await;
        provider.add(NewClient::new("late")).await;
        provider.sql("UPDATE client_secrets SET client_secret_expires_at = 1 WHERE client_id = 'late'").await;
        Self { provider, browser: UserAgent::new(), reports, app, job }
    }

    /// An authorization request of reports in which some parameters are others; an empty one is left out.
    async fn authorize(&self, changes: &[(&str, &str)]) -> HeaderMap {
        let mut request = Authorization::of(&self.reports).with("scope", "openid email");
        for (name, value) in changes {
            request = if value.is_empty() { request.without(name) } else { request.with(name, value) };
        }
        request.open(&self.provider, &UserAgent::new()).await.headers
    }

    async fn post(&self, path: &str, auth: Auth<'_>, fields: &[(&str, &str)]) -> HeaderMap {
        self.provider.post(path, auth, fields).await.headers
    }

    async fn token(&self, fields: &[(&str, &str)]) -> HeaderMap {
        self.post("/token", self.reports.auth(), fields).await
    }

    /// A POST to the token endpoint, byte for byte.
    async fn raw(&self, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> HeaderMap {
        let mut request = http().post(self.provider.url("/token")).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(request).await.headers
    }

    async fn code(&self) -> String {
        let request = Authorization::of(&self.reports).with("scope", "openid email offline_access");
        request.complete(&self.provider, &self.browser).await.code().to_owned()
    }

    async fn redeem(&self, changes: &[(&str, &str)]) -> HeaderMap {
        let code = self.code().await;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &self.reports.redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        for (name, value) in changes {
            fields.retain(|(known, _)| known != name);
            if !value.is_empty() {
                fields.push((name, value));
            }
        }
        self.token(&fields).await
    }

    async fn refresh_token(&self) -> String {
        let code = self.code().await;
        self.provider.redeem(&self.reports, &code).await.ok().text("refresh_token")
    }

    async fn refresh(&self, token: &str, more: &[(&str, &str)]) -> HeaderMap {
        let fields = [&[("grant_type", "refresh_token"), ("refresh_token", token)], more].concat();
        self.token(&fields).await
    }

    async fn own_token(&self) -> String {
        let fields = [("grant_type", "client_credentials"), ("scope", "work")];
        self.provider.post("/token", self.job.auth(), &fields).await.ok().text("access_token")
    }

    async fn userinfo(&self, headers: &[(&str, &str)]) -> HeaderMap {
        self.provider.get("/userinfo", headers).await.headers
    }

    /// A sign-in that a refused password ends.
    async fn try_password(&self, client: &TestClient, username: &str, password: &str) -> crate::support::Page {
        let browser = UserAgent::new();
        let page = Authorization::of(client).open(&self.provider, &browser).await;
        self.provider.type_in(&browser, &page, username, password).await
    }

    /// Provokes a reason. An exhaustive match, so that a new one asks for its line.
    #[expect(clippy::too_many_lines, reason = "a table, which is read row by row")]
    async fn provoke(&self, reason: Reason) -> Provoked {
        use Provoked::By;
        let code_grant = ("grant_type", "authorization_code");
        let headers = match reason {
            Reason::ParametersTooMany => {
                let many = (0..200).map(|number| format!("p{number}=x")).collect::<Vec<_>>().join("&");
                self.raw(&[("content-type", FORM)], many).await
            }
            Reason::ParameterTooLong => self.token(&[("code", &"x".repeat(17_000))]).await,
            Reason::ParameterDoubled => self.token(&[("code", "one"), ("code", "two")]).await,
            Reason::EncodingBroken => self.raw(&[("content-type", FORM)], "grant_type=100%zz").await,
            Reason::ParameterNotUtf8 => self.raw(&[("content-type", FORM)], "grant_type=%ff").await,
            Reason::ParameterWithNul => self.raw(&[("content-type", FORM)], "grant_type=%00").await,
            Reason::ContentTypeWrong => self.raw(&[("content-type", "application/json")], "{}").await,
            Reason::BodyCompressed => {
                self.raw(&[("content-type", FORM), ("content-encoding", "gzip")], "grant_type=x").await
            }
            Reason::BodyTooLarge => self.raw(&[("content-type", FORM)], "x=y&".repeat(40_000)).await,
            Reason::BodyBrokeOff => return By("bad_input::huge_heads_and_bodies_are_refused"),
            Reason::BodyLate => return By("bad_input::a_body_that_does_not_come_is_given_up"),
            Reason::BodyNotUtf8 => self.raw(&[("content-type", FORM)], b"grant_type=\xff".to_vec()).await,
            Reason::RequestTooLarge => self.authorize(&[("state", &"\u{1}".repeat(3_000))]).await,
            Reason::SignOutTooLarge => self.post("/logout", Auth::Nothing, &[("state", &"x".repeat(13_000))]).await,
            Reason::OnlyGetOrPost => send(http().head(self.provider.url("/authorize"))).await.headers,
            Reason::MethodWrong => self.provider.get("/token", &[]).await.headers,

            Reason::ClientIdMissing => self.authorize(&[("client_id", "")]).await,
            Reason::ClientUnknown => self.authorize(&[("client_id", "reprots")]).await,
            Reason::ClientDisabled => self.authorize(&[("client_id", "gone")]).await,
            Reason::RedirectUriMissing => self.authorize(&[("redirect_uri", "")]).await,
            Reason::RedirectUriUnregistered => self.authorize(&[("redirect_uri", "https://x.example/")]).await,

            Reason::RequestUnsupported => self.authorize(&[("request", "eyJ")]).await,
            Reason::RequestUriUnsupported => self.authorize(&[("request_uri", "https://x.example/")]).await,
            Reason::RegistrationUnsupported => self.authorize(&[("registration", "{}")]).await,
            Reason::ResponseTypeMissing => self.authorize(&[("response_type", "")]).await,
            Reason::ResponseTypeUnsupported => self.authorize(&[("response_type", "id_token")]).await,
            Reason::ResponseTypeNotAllowed => {
                let client =
                    NewClient::new("mute").with("response_types", "").with("grant_types", "client_credentials");
                let client = self.provider.add(client).await;
                Authorization::of(&client).open(&self.provider, &UserAgent::new()).await.headers
            }
            Reason::ResponseModeUnsupported => self.authorize(&[("response_mode", "fragment")]).await,
            Reason::CodeChallengeMissing => {
                self.authorize(&[("code_challenge", ""), ("code_challenge_method", "")]).await
            }
            Reason::CodeChallengeMethodAlone => self.authorize(&[("code_challenge", "")]).await,
            Reason::CodeChallengePlain => self.authorize(&[("code_challenge_method", "plain")]).await,
            Reason::CodeChallengeMethodUnknown => self.authorize(&[("code_challenge_method", "S512")]).await,
            Reason::CodeChallengeMalformed => self.authorize(&[("code_challenge", &format!("{CHALLENGE}="))]).await,
            Reason::ScopeMissing => self.authorize(&[("scope", "")]).await,
            Reason::ScopeMalformed => self.authorize(&[("scope", "openid \"email\"")]).await,
            Reason::ScopeNotAllowed => self.authorize(&[("scope", "admin")]).await,
            Reason::ResourceNotAllowed => self.authorize(&[("resource", "https://x.example/")]).await,
            Reason::PromptNoneBesideOthers => self.authorize(&[("prompt", "none login")]).await,
            Reason::DisplayUnknown => self.authorize(&[("display", "wall")]).await,
            Reason::MaxAgeMalformed => self.authorize(&[("max_age", "1h")]).await,
            Reason::ClaimsMalformed => self.authorize(&[("claims", "email")]).await,
            Reason::AcrUnmet => {
                let claims = r#"{"id_token": {"acr": {"essential": true, "value": "phr"}}}"#;
                self.authorize(&[("claims", claims)]).await
            }
            Reason::HintNotOurs => self.authorize(&[("id_token_hint", "x.eyJpc3MiOiJodHRwczovL290aGVyIn0.y")]).await,

            Reason::NotSignedIn => self.authorize(&[("prompt", "none")]).await,
            Reason::SignInTooOld => {
                self.code().await;
                self.provider.travel(30);
                let request = Authorization::of(&self.reports).with("prompt", "none").with("max_age", "5");
                request.open(&self.provider, &self.browser).await.headers
            }
            Reason::FactorNotProven => return By("stepping_up::a_silent_request_is_told_that_a_factor_is_missing"),
            Reason::FactorMissing => return By("stepping_up::an_essential_acr_is_enforced"),
            Reason::AnotherUserSignedIn => {
                self.code().await;
                let claims = r#"{"id_token": {"sub": {"essential": true, "value": "another"}}}"#;
                let request = Authorization::of(&self.reports).with("claims", claims).with("scope", "openid");
                let page = request.open(&self.provider, &self.browser).await;
                let page = self.provider.type_in(&self.browser, &page, "alice", PASSWORD).await;
                // Told at the service's address, after the sign-in.
                self.provider.settle(&self.browser, page).await.headers
            }
            Reason::NotConsented => {
                self.code().await;
                let asking = self.provider.add(NewClient::new("asking")).await;
                let request = Authorization::of(&asking).with("prompt", "none");
                request.open(&self.provider, &self.browser).await.headers
            }
            Reason::NoEntry => return By("groups_and_access::a_user_outside_is_told_so_and_taken_back_by_one_button"),
            Reason::ConsentDenied => return By("pages::a_denial_reaches_the_client_and_is_not_remembered"),
            Reason::SignInCanceled => return By("pages::a_sign_in_can_be_canceled"),
            Reason::CodesTooMany => return By("floods::one_person_has_a_bound_of_their_own"),

            Reason::ClientAuthenticationMissing => self.post("/token", Auth::Nothing, &[code_grant]).await,
            Reason::AuthorizationDoubled => {
                let basic = ("authorization", "Basic YTpi");
                self.raw(&[("content-type", FORM), basic, basic], "grant_type=x").await
            }
            Reason::TwoAuthenticationMethods => {
                let basic = ("authorization", "Basic YTpi");
                self.raw(&[("content-type", FORM), basic], "client_id=a&client_secret=b").await
            }
            Reason::BasicUnreadable => {
                self.raw(&[("content-type", FORM), ("authorization", "Basic !!")], "grant_type=x").await
            }
            Reason::AuthorizationSchemeWrong => self.post("/token", Auth::Bearer("x"), &[code_grant]).await,
            Reason::ClientIdContradicted => self.token(&[code_grant, ("client_id", "job")]).await,
            Reason::CallerUnknown => self.post("/token", Auth::Post("reprots", CLIENT_SECRET), &[code_grant]).await,
            Reason::CallerDisabled => self.post("/token", Auth::Post("gone", CLIENT_SECRET), &[code_grant]).await,
            Reason::IdAndSecretSwapped => {
                self.post("/token", Auth::Basic(CLIENT_SECRET, "reports"), &[code_grant]).await
            }
            Reason::SecretOfPublicClient => self.post("/token", Auth::Post("app", CLIENT_SECRET), &[code_grant]).await,
            Reason::SecretMissing => self.post("/token", Auth::Name("reports"), &[code_grant]).await,
            Reason::SecretNeverSet => self.post("/token", Auth::Post("bare", CLIENT_SECRET), &[code_grant]).await,
            Reason::SecretEnded => self.post("/token", Auth::Post("late", CLIENT_SECRET), &[code_grant]).await,
            Reason::SecretWrong => self.post("/token", Auth::Post("reports", "another"), &[code_grant]).await,
            Reason::AttemptsTooMany => {
                return By("throttling::guessing_a_clients_secret_is_stopped_and_stops_no_other_client");
            }

            Reason::GrantTypeMissing => self.token(&[("code", "x")]).await,
            Reason::GrantTypeUnsupported => self.token(&[("grant_type", "password")]).await,
            Reason::GrantTypeNotAllowed => self.token(&[("grant_type", "client_credentials")]).await,
            Reason::CodeMissing => self.token(&[code_grant]).await,
            Reason::CodeUnknown => self.token(&[code_grant, ("code", "hp_ac_without_a_row")]).await,
            Reason::CodeExpired => {
                let code = self.code().await;
                self.provider.travel(120);
                self.provider.redeem(&self.reports, &code).await.headers
            }
            Reason::CodeUsed => {
                let code = self.code().await;
                let _tokens = self.provider.redeem(&self.reports, &code).await.ok();
                self.provider.redeem(&self.reports, &code).await.headers
            }
            Reason::CodeUsedTwiceAtOnce => {
                return By("rfc6749_code_grant::of_64_who_show_one_code_at_once_one_wins_at_most_and_keeps_nothing");
            }
            Reason::RedirectUriDiffers => self.redeem(&[("redirect_uri", "https://reports.example/")]).await,
            Reason::CodeVerifierWrong => self.redeem(&[("code_verifier", &VERIFIER.replace('d', "e"))]).await,
            Reason::CodeVerifierMissing => self.redeem(&[("code_verifier", "")]).await,
            Reason::CodeVerifierUnexpected => return By("rfc7636_pkce::a_verifier_without_a_challenge_is_refused"),
            Reason::ResourceNotAuthorized => {
                let request =
                    Authorization::of(&self.reports).with("scope", "openid").with("resource", "https://api.example/");
                let answer = request.complete(&self.provider, &self.browser).await;
                let fields = [
                    code_grant,
                    ("code", answer.code()),
                    ("redirect_uri", &self.reports.redirect_uri),
                    ("code_verifier", VERIFIER),
                    ("resource", "https://other.example/"),
                ];
                self.token(&fields).await
            }
            Reason::AuthorizationEnded => {
                let token = self.refresh_token().await;
                let after = self.provider.now() + 1;
                self.provider.sql(&format!("UPDATE users SET tokens_valid_after = {after}")).await;
                self.provider.travel(20);
                self.refresh(&token, &[]).await
            }
            Reason::NoEntryAnyMore => {
                return By(
                    "groups_and_access::what_was_issued_holds_while_the_membership_does_and_again_when_it_is_back",
                );
            }
            Reason::SignedOutMeanwhile => {
                return By("oidc_rp_initiated_logout::a_code_of_an_ended_session_is_worth_nothing");
            }
            Reason::RefreshTokenMissing => self.token(&[("grant_type", "refresh_token")]).await,
            Reason::RefreshTokenInvalid => self.refresh("hp_rt_without_a_row", &[]).await,
            Reason::RefreshTokenUsed => {
                let token = self.refresh_token().await;
                self.refresh(&token, &[]).await;
                self.provider.travel(60);
                self.refresh(&token, &[]).await
            }
            Reason::ScopeWiderThanGranted => {
                let token = self.refresh_token().await;
                self.refresh(&token, &[("scope", "openid email phone")]).await
            }
            Reason::ResourceNotGranted => {
                return By("rfc9068_machines::a_token_request_can_narrow_the_resources_and_not_widen_them");
            }
            Reason::PublicClientForItself => {
                let client =
                    NewClient::new("toy").public().with("grant_types", "authorization_code client_credentials");
                self.provider.add(client).await;
                self.post("/token", Auth::Name("toy"), &[("grant_type", "client_credentials")]).await
            }
            Reason::ScopeNotForMachines => {
                let fields = [("grant_type", "client_credentials"), ("scope", "admin")];
                self.post("/token", self.job.auth(), &fields).await
            }

            Reason::TokenMissing => self.post("/introspect", self.reports.auth(), &[]).await,
            Reason::TokenOfAnotherClient => {
                let token = self.own_token().await;
                self.post("/revoke", self.reports.auth(), &[("token", &token)]).await
            }
            Reason::PublicClientIntrospects => {
                self.post("/introspect", Auth::Name(&self.app.client_id), &[("token", "x")]).await
            }

            Reason::AccessTokenInQuery => self.provider.get("/userinfo?access_token=x", &[]).await.headers,
            Reason::BearerMalformed => self.userinfo(&[("authorization", "Bearer ")]).await,
            Reason::AccessTokenTwice => self.post("/userinfo", Auth::Bearer("x"), &[("access_token", "x")]).await,
            Reason::AccessTokenInvalid => self.userinfo(&[("authorization", "Bearer hp_at_without_a_row")]).await,
            Reason::AccessTokenWithoutOpenid => {
                let token = self.own_token().await;
                self.userinfo(&[("authorization", &format!("Bearer {token}"))]).await
            }
            Reason::AccessTokenOfNoUser => {
                return By("rfc9068_machines::a_machine_is_given_scopes_of_apis_only");
            }

            Reason::Busy => return By("gate::a_full_queue_turns_newcomers_away"),
            Reason::NodeOutdated => {
                return By("versions::a_node_that_is_older_than_a_row_lets_no_user_in_and_readiness_says_why");
            }
            Reason::StoreUnreachable => {
                return By("outages::a_database_that_does_not_answer_is_told_in_time");
            }
            Reason::Failed => return By("explain::a_fault_of_ours_is_explained_by_its_cause"),
        };
        Provoked::Answered(headers)
    }

    /// What is kept under a reference: the code and the explanation.
    async fn kept(&self, reference: &str) -> Option<(String, Value)> {
        self.provider.provider.audit.flush().await;
        let sql = format!("SELECT code, explanation FROM refusals WHERE reference = '{reference}'");
        let row = self.provider.rows(&sql).await.into_iter().next()?;
        let [code, explanation] = row.try_into().unwrap();
        Some((code.unwrap(), serde_json::from_str(&explanation.unwrap()).unwrap()))
    }
}

/// The names of all tests, as `module::name`: of these and of the units.
fn tests_there_are() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["tests/spec", "src", "src/passwords"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let Some(module) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".rs")) else { continue };
            let text = std::fs::read_to_string(&path).unwrap();
            let functions =
                text.lines().filter_map(|line| Some(line.split_once("fn ")?.1.split_once('(')?.0.to_owned()));
            names.extend(functions.map(|name| format!("{module}::{name}")));
        }
    }
    names
}

#[tokio::test]
async fn every_reason_is_kept_with_what_was_sent_and_expected_and_with_a_fix() {
    let tests = tests_there_are();
    let mut wrong = Vec::new();
    let mut stage = Stage::set().await;
    for &reason in Reason::ALL {
        if MOVED.contains(&reason) {
            stage = Stage::set().await;
        }
        let headers = match stage.provoke(reason).await {
            Provoked::Answered(headers) => headers,
            Provoked::By(test) => {
                if !tests.contains(test) {
                    wrong.push(format!("{reason:?}: there is no test {test}"));
                }
                continue;
            }
        };
        let kept = stage.kept(&reference(&headers)).await;
        if reason.is_expected() {
            assert_eq!(kept, None, "{reason:?} is expected and needs no explanation");
            continue;
        }
        let Some((code, explanation)) = kept else {
            wrong.push(format!("{reason:?}: nothing is kept"));
            continue;
        };
        let text = |member: &str| explanation[member].as_str().unwrap_or_default().to_owned();
        let is_right = text("reason") == reason.as_str() && code == reason.code().as_str() && text("fix").len() > 30;
        let told = explanation.to_string();
        if !is_right || told.contains(CLIENT_SECRET) || told.contains(PASSWORD) || told.contains(VERIFIER) {
            wrong.push(format!("{reason:?}: {code} {told}"));
        } else if !TOLD_BY_THEMSELVES.contains(&reason)
            && (text("sent").is_empty() || explanation["expected"].is_null())
        {
            wrong.push(format!("{reason:?}: neither sent nor expected: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What comes after a reason that moves the clock or ends what others need gets a stage of its own.
const MOVED: &[Reason] = &[
    Reason::AnotherUserSignedIn,
    Reason::CallerUnknown,
    Reason::CodeUsed,
    Reason::RefreshTokenMissing,
    Reason::ScopeWiderThanGranted,
];

/// Where there is nothing to tell beside the description, or what was sent may be a secret whole.
const TOLD_BY_THEMSELVES: &[Reason] = &[
    Reason::ParameterNotUtf8,
    Reason::ParameterWithNul,
    Reason::BodyNotUtf8,
    Reason::MethodWrong,
    Reason::ClientIdMissing,
    Reason::ClientUnknown,
    Reason::ClientDisabled,
    Reason::CallerUnknown,
    Reason::CallerDisabled,
    Reason::BasicUnreadable,
    Reason::AnotherUserSignedIn,
    Reason::CodeMissing,
    Reason::AuthorizationEnded,
    Reason::NoEntryAnyMore,
    Reason::RefreshTokenMissing,
    Reason::RefreshTokenInvalid,
    Reason::RefreshTokenUsed,
    Reason::TokenMissing,
    Reason::AccessTokenInQuery,
    Reason::BearerMalformed,
    Reason::AccessTokenTwice,
];

/// What a service sends wrongly, and what its operator is told to do: the advice fits the mistake.
#[tokio::test]
async fn the_fix_fits_the_mistake() {
    let stage = Stage::set().await;
    let native = NewClient::new("desk").public().with("application_type", "native").at(&["http://127.0.0.1/cb"]);
    let query = NewClient::new("query").at(&["https://q.example/cb?a=1&b=2", "https://q.example/c+d"]);
    let (desk, query) = (stage.provider.add(native).await, stage.provider.add(query).await);
    let at = |client: &TestClient, address: &str| Authorization::of(client).with("redirect_uri", address);
    let registered = "INSERT INTO client_redirect_uris";
    for (request, told, not_told) in [
        // The port of the day is not registered.
        (at(&stage.reports, "http://127.0.0.1:51234/cb"), "application_type = 'native'", "127.0.0.1:51234'"),
        (at(&desk, "http://127.0.0.1:51234/other"), "'http://127.0.0.1/other'", "51234'"),
        (at(&stage.reports, "http://localhost:5000/cb"), "VALUES ('reports', 'http://localhost:5000/cb')", "native"),
        // What the service did not encode.
        (at(&query, "https://q.example/cb?a=1").and("b", "2"), "does not percent-encode", registered),
        (at(&query, "https://q.example/c d"), "does not percent-encode", registered),
        (at(&query, "https%3A%2F%2Fq.example%2Fcb%3Fa%3D1%26b%3D2"), "does not percent-encode", registered),
        (at(&query, "https://q.example/cb?a=1"), registered, "percent-encode"),
        // What changes each time.
        (
            at(&stage.reports, "https://reports.example/callback?t=s6BhdRkqt3gX1fBAT3bV7mJ2q"),
            "goes into state",
            registered,
        ),
        // One scope that no client has.
        (Authorization::of(&stage.reports).with("scope", "openid,email"), "openid email", "UPDATE clients"),
        (
            Authorization::of(&stage.reports).with("scope", "admin"),
            "SET scope = 'openid email offline_access admin'",
            "spaces",
        ),
        (
            Authorization::of(&stage.reports).with("response_type", "id_token"),
            "options.ResponseType",
            "clients.response_types",
        ),
    ] {
        let page = request.open(&stage.provider, &UserAgent::new()).await;
        let (_, explanation) = stage.kept(&reference(&page.headers)).await.unwrap();
        let fix = explanation["fix"].as_str().unwrap();
        assert!(fix.contains(told) && !fix.contains(not_told), "{}\n{explanation}", request.url(&stage.provider));
    }
    for (auth, told, not_told) in [
        (Auth::Post("late", CLIENT_SECRET), "secret_ended", "secret_wrong"),
        (Auth::Post("late", "another"), "secret_wrong", "secret_ended"),
        (Auth::Post("gone", CLIENT_SECRET), "hallpass client enable gone", "migrate --check"),
        (Auth::Name("gone"), "hallpass client enable gone", "migrate --check"),
        (Auth::Post("nowhere", CLIENT_SECRET), "migrate --check", "client enable"),
        (Auth::Basic(CLIENT_SECRET, "reports"), "have changed places", "migrate --check"),
        (Auth::Post("hp_cs_Zm9vYmFyYmF6cXV4cXV1eGNvcmdl", "s3cret"), "hidden", "Zm9vYmFyYmF6"),
    ] {
        let answer = stage.provider.post("/token", auth, &[("grant_type", "authorization_code")]).await;
        assert_eq!(answer.text("error_description"), "client authentication failed", "the caller learns nothing");
        let (_, explanation) = stage.kept(&reference(&answer.headers)).await.unwrap();
        let text = explanation.to_string();
        assert!(text.contains(told) && !text.contains(not_told), "{auth:?}: {text}");
        assert!(!text.contains(CLIENT_SECRET), "{text}");
    }
}

/// An address that is nearly ours leads nowhere, and log and `explain` say which one is meant.
#[tokio::test]
async fn an_address_that_is_nearly_ours_is_named_and_leads_nowhere() {
    let stage = Stage::set().await;
    for (path, meant) in [
        ("//authorize", "/authorize"),
        ("/token/", "/token"),
        ("/connect/token", "/token"),
        ("/protocol/openid-connect/auth", "/authorize"),
        ("/.well-known/jwks.json", "/jwks"),
    ] {
        let answer = stage.provider.get(path, &[]).await;
        assert_eq!(answer.error(), (404, "not_found".to_owned()), "{path}");
        let (code, explanation) = stage.kept(&reference(&answer.headers)).await.unwrap();
        assert_eq!((code.as_str(), explanation["reason"].as_str()), ("not_found", Some("nearly_ours")), "{path}");
        assert_eq!(explanation["expected"][0], stage.provider.url(meant), "{path}");
        assert!(explanation["fix"].as_str().unwrap().contains("openid-configuration"), "{explanation}");
    }
    for path in ["/wp-login.php", "/.env"] {
        let answer = stage.provider.get(path, &[]).await;
        assert_eq!(stage.kept(&reference(&answer.headers)).await, None, "{path} is the noise of the world");
    }
}

/// What strangers send is shown so that a terminal does not obey it, and without what looks like a secret.
#[tokio::test]
async fn a_terminal_obeys_nothing_that_was_sent() {
    let stage = Stage::set().await;
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}x\u{9b}31m\nFix       rm -rf /";
    for changes in
        [("client_id", evil), ("redirect_uri", evil), ("response_mode", evil), ("scope", evil), ("claims", evil)]
    {
        let headers = stage.authorize(&[changes]).await;
        let reference = reference(&headers);
        stage.provider.provider.audit.flush().await;
        for arguments in
            [vec!["explain", &reference], vec!["explain", &reference, "--json"], vec!["explain", "--latest", "9"]]
        {
            let outcome = stage.provider.command(&arguments, "");
            assert_eq!(outcome.status, 0, "{outcome:?}");
            let harmful = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!outcome.stdout.contains(harmful), "{outcome:?}");
            assert!(!outcome.stdout.lines().any(|line| line.starts_with("Fix       rm")), "{outcome:?}");
        }
    }
}

/// Why a user could not sign in: the operator is told which it was, the page tells nothing, and *disabled* only to who proved
/// the password.
#[tokio::test]
async fn the_operator_is_told_why_a_user_could_not_sign_in_and_no_other() {
    let stage = Stage::set().await;
    let hash = crate::support::provider::hash_of(PASSWORD);
    stage.provider.sql(&format!("INSERT INTO users (sub, username, email, password_hash, disabled_at) VALUES ('s-off', 'off', 'off@a.example', '{hash}', 1)")).await;
    stage.provider.sql("INSERT INTO users (sub, username, email) VALUES ('s-none', 'none', 'none@a.example')").await;
    stage
        .provider
        .sql("INSERT INTO users (sub, username, email, password_hash) VALUES ('s-bad', 'bad', 'bad@a.example', '$argon2id$v=19$m=4194304,t=9,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo')")
        .await;
    for name in ["one", "two"] {
        stage.provider.sql(&format!("INSERT INTO users (sub, username, email, password_hash) VALUES ('s-{name}', '{name}', 'both@a.example', '{hash}')")).await;
    }
    stage
        .provider
        .sql(&format!("INSERT INTO users (sub, username, password_hash) VALUES ('job', 'worker', '{hash}')"))
        .await;
    let wrong = stage.try_password(&stage.reports, "alice", "not this").await;
    let wrong_text = wrong.texts("[role=alert]").join(" ");
    for (username, password, why) in [
        ("alice", "not this", SignInFailure::PasswordWrong),
        ("unknown-name", PASSWORD, SignInFailure::UserUnknown),
        ("off", "not this", SignInFailure::UserDisabled),
        ("none", PASSWORD, SignInFailure::PasswordMissing),
        ("bad", PASSWORD, SignInFailure::PasswordUnusable),
        ("both@a.example", PASSWORD, SignInFailure::AddressShared),
        ("worker", PASSWORD, SignInFailure::SubIsClientId),
        (" ", PASSWORD, SignInFailure::NameImplausible),
    ] {
        let page = stage.try_password(&stage.reports, username, password).await;
        assert_eq!(page.status.as_u16(), 422, "{username}");
        assert_eq!(page.texts("[role=alert]").join(" "), wrong_text, "the page tells nothing: {username}");
        let (code, explanation) = stage.kept(&reference(&page.headers)).await.unwrap();
        assert_eq!(
            (code.as_str(), explanation["reason"].as_str()),
            ("sign_in_failed", Some(why.as_str())),
            "{username}"
        );
        assert!(explanation["fix"].as_str().is_some_and(|fix| fix.len() > 20), "{explanation}");
        assert!(!explanation.to_string().contains(password), "{explanation}");
    }
    // Who has the password is told.
    let page = stage.try_password(&stage.reports, "off", PASSWORD).await;
    assert_eq!(page.status.as_u16(), 403);
    assert!(page.text().contains("Your account is disabled"), "{page}");
    // The same in the audit, and by the user's name.
    stage.provider.provider.audit.flush().await;
    let events = stage.provider.command(&["audit", "list", "--event", "sign_in_failed", "--json"], "").stdout;
    assert!(events.contains("user_disabled") && events.contains("password_wrong"), "{events}");
    for (name, told) in [
        ("off", "the user is disabled"),
        ("off@a.example", "the user is disabled"),
        ("none", "the user has no password"),
        ("bad", "cannot be checked"),
        ("alice", "it is another password"),
    ] {
        let outcome = stage.provider.command(&["explain", "--user", name], "");
        assert!(outcome.status == 0 && outcome.stdout.contains(told), "{outcome:?}");
    }
    let json = stage.provider.command(&["explain", "--user", "off", "--json"], "").stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["can_sign_in"], &json["obstacles"][0]["reason"]), (&false.into(), &"user_disabled".into()));
    assert_eq!(json["refusals"].as_array().map(Vec::len), Some(2));
    for (name, told) in
        [("both@a.example", "several users"), ("alcie", "a user is called alice"), ("zzzzzzzz", "user list")]
    {
        let outcome = stage.provider.command(&["explain", "--user", name], "");
        assert!(outcome.status == 1 && outcome.stderr.contains(told), "{outcome:?}");
    }
    // What is erased of a user is erased here too.
    let erased = stage.provider.command(&["audit", "erase", "--sub", "s-off", "--yes", "--json"], "").stdout;
    assert_eq!(serde_json::from_str::<Value>(&erased).unwrap()["refusals"], 2);
    assert_eq!(stage.provider.rows("SELECT reference FROM refusals WHERE explanation LIKE '%s-off%'").await.len(), 0);
}

/// The page of refusals has every reason with its words, and no other: it is written from the table.
#[test]
fn the_page_of_refusals_is_the_table() {
    use std::fmt::Write as _;
    let mut text = String::from(HEAD);
    for &reason in Reason::ALL {
        let told = reason.description().replace("{}", "…");
        writeln!(text, "| `{}` | `{}` | {told} | {} |", reason.as_str(), reason.code().as_str(), cell(reason.fix()))
            .unwrap();
    }
    text.push_str(BETWEEN);
    for &failure in SignInFailure::ALL {
        writeln!(text, "| `{}` | {} | {} |", failure.as_str(), failure.cause(), cell(failure.fix())).unwrap();
    }
    text.push_str(PAGES);
    let mut rows: Vec<String> = Problem::ALL
        .iter()
        .map(|problem| problem.row())
        // Those that a refusal or a fault completes are above.
        .filter(|row| !["invalid_request", "temporarily_unavailable", "server_error"].contains(&row.code))
        .map(|row| format!("| `{}` | {} |", row.code, cell(row.fix)))
        .collect();
    rows.dedup();
    for row in rows {
        writeln!(text, "{row}").unwrap();
    }
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/refusals.md");
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        std::fs::write(&page, &text).unwrap();
    }
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(written == text, "docs/refusals.md is not what the tables say; write it with UPDATE_DOCUMENTS=1");
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

const HEAD: &str = "# Refusals

Every reason for which a request is refused, with what can be done about it. The reason is `reason` in the log and in `hallpass
explain REFERENCE --json`, which also says what was sent and what was expected, and often has a fix for the very case, with the
SQL to write. Clients are told the code and the description; several reasons tell them the same, so that strangers learn nothing.

This page is written from the tables in the source; a test holds it.

| reason | code | what the client is told | what to do |
| --- | --- | --- | --- |
";

const BETWEEN: &str = "
## Sign-ins that failed

Users are told that user name and password do not match, whatever was wrong; that their account is disabled is told to those
alone who have typed its right password. `hallpass explain --user NAME` says it to the operator.

| reason | what happened | what to do |
| --- | --- | --- |
";

const PAGES: &str = "
## Pages that lead no further

| reason | what to do |
| --- | --- |
";
