//! OpenID Connect RP-Initiated Logout 1.0.

use crate::support::provider::PASSWORD;
use crate::support::verbs::{http, send};
use crate::support::{Answer, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent};
use hallpass::ambient::random;
use hallpass::protocol::client::Client;
use hallpass::protocol::factor::Factor;
use hallpass::protocol::grant::{Session, SignIn};
use hallpass::protocol::response::SigningAlgorithm;
use hallpass::protocol::secret::{Handle, SessionId};
use hallpass::store::sessions;
use hallpass::web::cookies;
use serde_json::json;
use url::form_urlencoded;

const OUT: &str = "https://reports.example/signed-out";

async fn ready() -> (TestProvider, TestClient, UserAgent, String) {
    let provider = TestProvider::start().await;
    let client =
        NewClient::new("reports").with("consent", "skip").leaving_to(OUT).leaving_to("https://reports.example/o?x=1");
    let client = provider.add(client.with("client_uri", "https://reports.example/")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let hint = provider.tokens(&browser, &client).await.text("id_token");
    (provider, client, browser, hint)
}

fn url(provider: &TestProvider, parameters: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("{}?{query}", provider.url("/logout"))
}

/// Whether the browser is still signed in, as the client can see it.
async fn is_signed_in(provider: &TestProvider, client: &TestClient, browser: &UserAgent) -> bool {
    let page = Authorization::of(client).with("prompt", "none").open(provider, browser).await;
    let answer = Answer::of(&page, &client.redirect_uri);
    if answer.get("code").is_some() {
        return true;
    }
    assert_eq!(answer.error(), "login_required");
    false
}

async fn confirm(browser: &UserAgent, page: &Page) -> Page {
    assert!(page.text().contains("Do you want to sign out?"), "{page}");
    browser.submit(page.form("form"), Some(("action", "sign_out"))).await
}

/// Section 2.1.
#[tokio::test]
async fn discovery_names_the_endpoint() {
    let (provider, ..) = ready().await;
    let metadata = provider.get("/.well-known/openid-configuration", &[]).await.ok().json();
    assert_eq!(metadata["end_session_endpoint"], provider.url("/logout"));
}

/// Section 2, 3: by GET and by POST from the service's own site, with `state` back, and the session is over.
#[tokio::test]
async fn a_service_with_a_token_of_the_session_signs_out_at_once() {
    for by_post in [false, true] {
        let (provider, client, browser, hint) = ready().await;
        let token = provider.tokens(&browser, &client).await.text("access_token");
        let parameters = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", OUT), ("state", "a b&c")];
        let page = if by_post {
            browser.cross_site_post(&provider.url("/logout"), &parameters).await
        } else {
            browser.cross_site_get(&url(&provider, &parameters)).await
        };
        let page = provider.settle(&browser, page).await;
        assert_eq!(page.status, 303, "{page}");
        assert_eq!(page.location().unwrap().as_str(), format!("{OUT}?state=a+b%26c"));
        assert!(!is_signed_in(&provider, &client, &browser).await);
        // What the session issued is dead.
        assert_eq!(provider.userinfo(&token).await.error(), (401, "invalid_token".into()));
        assert!(browser.cookies().iter().all(|cookie| !cookie.name.contains("session")));
    }
}

/// Section 2: an expired hint is a hint.
#[tokio::test]
async fn an_expired_hint_is_accepted() {
    let (provider, client, browser, hint) = ready().await;
    provider.travel(7200);
    let parameters = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", OUT), ("client_id", "reports")];
    let page = browser.cross_site_get(&url(&provider, &parameters)).await;
    assert_eq!(page.location().unwrap().as_str(), OUT);
    assert!(!is_signed_in(&provider, &client, &browser).await);
}

/// Section 3: only to an address registered byte for byte; a query of its own stays.
#[tokio::test]
async fn no_browser_is_sent_to_an_address_that_is_not_registered() {
    for bad in [
        "https://evil.example/",
        "https://reports.example/signed-out/",
        "https://reports.example/signed-out?foo=bar",
        "https://reports.example/callback",
        "https://reports.example@evil.example/signed-out",
    ] {
        let (provider, client, browser, hint) = ready().await;
        let parameters = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", bad), ("state", "s")];
        let page = browser.cross_site_get(&url(&provider, &parameters)).await;
        assert_eq!(page.status, 200, "{page}");
        assert!(page.text().contains("You are signed out") && page.text().contains("not registered"), "{page}");
        assert!(!page.body.contains("evil.example"), "{}", page.body);
        assert!(!is_signed_in(&provider, &client, &browser).await);
    }
    let (provider, _, browser, hint) = ready().await;
    let parameters = [
        ("id_token_hint", hint.as_str()),
        ("post_logout_redirect_uri", "https://reports.example/o?x=1"),
        ("state", "s"),
    ];
    let page = browser.cross_site_get(&url(&provider, &parameters)).await;
    assert_eq!(page.location().unwrap().as_str(), "https://reports.example/o?x=1&state=s");
}

/// Section 2, 3: with a hint that is not good, or without any word of who sends them, the person is asked, and stays here.
#[tokio::test]
async fn with_a_bad_hint_or_without_any_the_person_is_asked_and_stays_here() {
    let (provider, client, browser, hint) = ready().await;
    let other = provider.client("other").await;
    let others_hint = provider.tokens(&browser, &other).await.text("id_token");
    let (head, signature) = hint.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    let none = format!("eyJhbGciOiJub25lIn0.{}.", hint.split('.').nth(1).unwrap());
    let requests: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![("post_logout_redirect_uri", OUT)],
        vec![("post_logout_redirect_uri", OUT), ("state", "s")],
        vec![("client_id", "nobody"), ("post_logout_redirect_uri", OUT)],
        vec![("id_token_hint", "x"), ("post_logout_redirect_uri", OUT)],
        vec![("id_token_hint", "x"), ("client_id", "reports"), ("post_logout_redirect_uri", OUT)],
        vec![("id_token_hint", &forged), ("client_id", "reports"), ("post_logout_redirect_uri", OUT)],
        vec![("id_token_hint", &forged), ("post_logout_redirect_uri", OUT)],
        vec![("id_token_hint", &none), ("post_logout_redirect_uri", OUT)],
        vec![("id_token_hint", &others_hint), ("client_id", "reports"), ("post_logout_redirect_uri", OUT)],
        vec![("logout_hint", "alice"), ("ui_locales", "fr en"), ("unknown", "x")],
    ];
    for parameters in requests {
        let _ = provider.sign_in(&browser, &client).await;
        let page = browser.cross_site_get(&url(&provider, &parameters)).await;
        assert_eq!(page.status, 200, "{parameters:?}: {page}");
        assert!(page.text().contains("Alice Example"), "{page}");
        assert!(is_signed_in(&provider, &client, &browser).await, "nothing happens before the word is given");
        let page = confirm(&browser, &page).await;
        assert_eq!(page.status, 200, "{parameters:?}: {page}");
        assert!(page.text().contains("You are signed out"), "{page}");
        assert!(!page.body.contains(OUT), "{}", page.body);
        assert!(!is_signed_in(&provider, &client, &browser).await);
    }
}

/// The hint of an earlier session, or of another person, is no word for this one.
#[tokio::test]
async fn a_hint_of_another_session_asks_first() {
    let (provider, client, browser, hint) = ready().await;
    provider.add_user(NewUser::named("bob")).await;
    let other = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &other).await;
    let _ = provider.type_in(&other, &page, "bob", PASSWORD).await;
    let same_person = UserAgent::new();
    let _ = provider.sign_in(&same_person, &client).await;
    for browser in [&other, &same_person] {
        let parameters = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", OUT)];
        let page = browser.cross_site_get(&url(&provider, &parameters)).await;
        assert!(is_signed_in(&provider, &client, browser).await);
        let page = confirm(browser, &page).await;
        // The service is proven and the person agreed: the way back is open.
        assert_eq!(page.location().unwrap().as_str(), OUT);
        assert!(!is_signed_in(&provider, &client, browser).await);
    }
    assert!(is_signed_in(&provider, &client, &browser).await, "the hint's own session continues");
}

/// Section 2: the person may say no.
#[tokio::test]
async fn the_person_may_stay() {
    let (provider, client, browser, _) = ready().await;
    let page = browser.get(&provider.url("/logout")).await;
    let page = browser.submit(page.form("form"), Some(("action", "stay"))).await;
    assert!(page.text().contains("still signed in"), "{page}");
    assert!(is_signed_in(&provider, &client, &browser).await);
}

/// The form is our own, in this browser, once.
#[tokio::test]
async fn a_forged_form_signs_no_user_out() {
    let (provider, client, browser, _) = ready().await;
    let page = browser.get(&provider.url("/logout")).await;
    let form = page.form("form");
    let (logout, csrf) = (form.value("logout").unwrap(), form.value("csrf").unwrap());
    let stranger = UserAgent::new();
    for (agent, fields) in [
        (&browser, vec![("logout", logout), ("csrf", "x"), ("action", "sign_out")]),
        (&browser, vec![("logout", logout), ("action", "sign_out")]),
        // The form is bound to the request that the person was asked about.
        (&browser, vec![("logout", logout), ("csrf", csrf), ("request", "client_id=other"), ("action", "sign_out")]),
        (&stranger, vec![("logout", logout), ("csrf", csrf), ("action", "sign_out")]),
    ] {
        let refused = agent.post_form(&provider.url("/logout"), &fields).await;
        assert_eq!(refused.status, 403, "{refused}");
    }
    let foreign = browser
        .cross_site_post(&provider.url("/logout"), &[("logout", logout), ("csrf", csrf), ("action", "sign_out")])
        .await;
    assert_eq!(foreign.status, 403, "{foreign}");
    assert!(is_signed_in(&provider, &client, &browser).await);
    let done = browser.submit(form.clone(), Some(("action", "sign_out"))).await;
    assert!(done.text().contains("You are signed out"), "{done}");
    // Pressed twice, there is nothing left to end.
    let again = browser.submit(form, Some(("action", "sign_out"))).await;
    assert_claims_nothing(&again);
}

/// A page that does not say that a user was signed out.
#[track_caller]
fn assert_claims_nothing(page: &Page) {
    assert_eq!(page.status, 200, "{page}");
    assert!(!page.body.to_lowercase().contains("signed out"), "{}", page.body);
    assert!(page.text().contains("nothing was ended") || page.text().contains("nothing left to end"), "{page}");
    assert!(!page.title().is_empty() && page.forms().is_empty(), "{page}");
}

/// No user is signed in: there is nothing to ask, and a proven service gets its browser back.
#[tokio::test]
async fn with_no_user_signed_in_there_is_nothing_to_ask() {
    let (provider, client, browser, hint) = ready().await;
    let stranger = UserAgent::new();
    let page = stranger.get(&provider.url("/logout")).await;
    assert_claims_nothing(&page);
    let page =
        stranger.cross_site_get(&url(&provider, &[("id_token_hint", &hint), ("post_logout_redirect_uri", OUT)])).await;
    assert_eq!(page.location().unwrap().as_str(), OUT);
    let page = stranger.cross_site_get(&url(&provider, &[("post_logout_redirect_uri", OUT)])).await;
    assert_claims_nothing(&page);
    assert!(!page.body.contains(OUT), "{}", page.body);
    assert!(is_signed_in(&provider, &client, &browser).await, "no other session ends");
}

/// A preview of a link, or another HEAD request, signs no user out.
#[tokio::test]
async fn a_link_preview_signs_no_user_out() {
    let (provider, client, browser, hint) = ready().await;
    let cookies: Vec<String> =
        browser.cookies().iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
    let parameters = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", OUT)];
    let answer = send(http().head(url(&provider, &parameters)).header("cookie", cookies.join("; "))).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (400, None));
    assert!(is_signed_in(&provider, &client, &browser).await);
}

/// Doubled parameters, too long ones, and other methods.
#[tokio::test]
async fn broken_requests_are_pages() {
    let (provider, client, browser, hint) = ready().await;
    let doubled = [("id_token_hint", hint.as_str()), ("id_token_hint", hint.as_str())];
    let page = browser.cross_site_get(&url(&provider, &doubled)).await;
    assert_eq!(page.status, 400, "{page}");
    assert!(is_signed_in(&provider, &client, &browser).await);
    let answer = send(http().put(provider.url("/logout"))).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("GET,HEAD,POST")));
    let page = browser.get(&format!("{}?logout=hp_in_unknown", provider.url("/logout"))).await;
    assert_eq!(page.status, 200);
}

/// The back button shows nothing private: no page is kept.
#[tokio::test]
async fn no_page_is_kept() {
    let (provider, client, browser, _) = ready().await;
    let asking = browser.get(&provider.url("/logout")).await;
    assert_eq!(asking.header("cache-control"), Some("no-store"));
    let done = confirm(&browser, &asking).await;
    assert_eq!(done.header("cache-control"), Some("no-store"));
    let login = Authorization::of(&client).open(&provider, &browser).await;
    assert!(login.url.path().ends_with("/login"));
    assert_eq!(login.form("form").value("username"), Some(""));
}

/// A refresh token for `offline_access` outlives the session; everything else of it does not.
#[tokio::test]
async fn offline_access_outlives_the_session() {
    let (provider, ..) = ready().await;
    let long = NewClient::new("long").with("consent", "skip").with("scope", "openid offline_access");
    let long = provider
        .add(long.with("grant_types", "authorization_code refresh_token").leaving_to("https://long.example/"))
        .await;
    let browser = UserAgent::new();
    let answer = Authorization::of(&long).with("scope", "openid offline_access").complete(&provider, &browser).await;
    let tokens = provider.redeem(&long, answer.code()).await.ok();
    let hint = tokens.text("id_token");
    let _ = browser.cross_site_get(&url(&provider, &[("id_token_hint", &hint)])).await;
    assert!(!is_signed_in(&provider, &long, &browser).await);
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.error().0, 401);
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &tokens.text("refresh_token"))];
    let refreshed = provider.post("/token", long.auth(), &fields).await.ok();
    let _ = provider.userinfo(&refreshed.text("access_token")).await.ok();
}

/// A code that was issued before and is redeemed after the end signs no user in, not even for `offline_access`: the service
/// was told of the sign-out already, and would not be told again.
#[tokio::test]
async fn a_code_of_an_ended_session_is_worth_nothing() {
    let (provider, _, browser, hint) = ready().await;
    let long = NewClient::new("long").with("consent", "skip").with("scope", "openid offline_access");
    let long = provider.add(long.with("grant_types", "authorization_code refresh_token")).await;
    for scope in ["openid", "openid offline_access"] {
        let answer = Authorization::of(&long).with("scope", scope).complete(&provider, &browser).await;
        let page = browser.cross_site_get(&url(&provider, &[("id_token_hint", &hint)])).await;
        if page.text().contains("Do you want to sign out?") {
            let _ = confirm(&browser, &page).await;
        }
        let refused = provider.redeem(&long, answer.code()).await;
        assert_eq!(refused.error(), (400, "invalid_grant".into()), "{scope}");
    }
    let alive = provider.rows("SELECT COUNT(*) FROM refresh_families WHERE revoked_at IS NULL").await;
    assert_eq!(alive, [[Some("0".to_owned())]], "the family that was started is dead");
}

// ---- Every combination of who is signed in, hint, client_id, address and method.

/// What the browser has of a session.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Signed {
    /// That of the hint.
    In,
    /// Another one of the same person.
    Anew,
    /// Another person's.
    AsAnother,
    /// A cookie whose session has ended.
    Before,
    /// Nothing.
    Out,
}

/// A provider with the clients of the table, and what makes sessions and hints for it.
struct Table {
    provider: TestProvider,
    browser: UserAgent,
    reports: Client,
}

impl Table {
    async fn new() -> Self {
        let provider = TestProvider::start().await;
        for id in ["reports", "other", "disabled"] {
            let client = NewClient::new(id).with("consent", "skip").leaving_to(OUT);
            let client = if id == "disabled" { client.with("disabled_at", "1") } else { client };
            provider.add(client.with("client_uri", &format!("https://{id}.example/home"))).await;
        }
        provider.alice().await;
        provider.add_user(NewUser::named("bob")).await;
        Self { provider, browser: UserAgent::new(), reports: Client::new("reports") }
    }

    /// Gives the browser what it has of a session; the session's cookie and name.
    async fn sign(&self, signed: Signed) -> (SessionId, Handle) {
        let provider = &self.provider.provider;
        let (id, handle) = (SessionId::from_random(&random::<32>()), Handle(random()));
        let now = provider.now();
        let sub = if signed == Signed::AsAnother { "bob-sub" } else { "alice-sub" };
        let user = provider.directory.user(sub, now).await.unwrap().unwrap();
        let session = Session {
            sign_in: SignIn::of(&user, &[Factor::Password], handle, now),
            clients: vec!["reports".into(), "other".into()],
            seen_at: now,
            expires_at: now.plus(3600),
            is_remembered: false,
        };
        let header = match signed {
            Signed::Out => cookies::end_session(&provider.config),
            _ => cookies::set_session(&provider.config, &id, None),
        };
        if matches!(signed, Signed::In | Signed::Anew | Signed::AsAnother) {
            sessions::start(&provider.ephemeral, &id, &session, now).await.unwrap();
        }
        self.browser.set_cookie(&self.provider.url("/logout"), header.to_str().unwrap());
        (id, handle)
    }

    /// An `id_token` of alice's for `reports`, of the session of that name.
    fn hint(&self, kind: &str, session: Handle) -> Option<String> {
        let provider = &self.provider.provider;
        let now = provider.now();
        let (issued_at, issuer) = match kind {
            "expired" => (now.plus(-30 * 86_400), provider.config.issuer.as_str()),
            "of another issuer" => (now, "https://id.example"),
            _ => (now, provider.config.issuer.as_str()),
        };
        let claims = json!({
            "iss": issuer,
            "sub": provider.secrets.subject_for(&self.reports, "alice-sub"),
            "aud": "reports",
            "sid": provider.secrets.session_for(&self.reports, session),
            "iat": issued_at,
            "exp": issued_at.plus(600),
        });
        let claims = claims.as_object().unwrap();
        let of_type = |typ: &str| provider.keys.sign(SigningAlgorithm::Rs256, typ, claims, now).unwrap();
        match kind {
            "none" => None,
            "garbage" => Some("not.a.token".to_owned()),
            "of another type" => Some(of_type("at+jwt")),
            "altered" => {
                let good = of_type("JWT");
                let (head, signature) = good.rsplit_once('.').unwrap();
                Some(format!("{head}.{}", signature.chars().rev().collect::<String>()))
            }
            _ => Some(of_type("JWT")),
        }
    }

    async fn lives(&self, session: &SessionId) -> bool {
        sessions::find(&self.provider.provider.ephemeral, session).await.unwrap().is_some()
    }
}

/// A case of the table.
#[derive(Clone, Copy, Debug)]
struct Case {
    signed: Signed,
    hint: &'static str,
    client_id: Option<&'static str>,
    address: Option<&'static str>,
    by_post: bool,
}

impl Case {
    fn has_good_hint(self) -> bool {
        matches!(self.hint, "good" | "expired") && matches!(self.client_id, None | Some("reports"))
    }

    /// A service that is registered here has said who it is, and nothing that it said is wrong.
    fn is_from_a_service(self) -> bool {
        self.has_good_hint() || self.hint == "none" && self.client_id == Some("reports")
    }

    fn may_leave(self) -> bool {
        self.is_from_a_service() && self.address == Some(OUT)
    }

    async fn send(self, table: &Table, session: Handle) -> Page {
        let hint = table.hint(self.hint, session);
        let mut parameters = vec![("state", "a&b")];
        parameters.extend(hint.as_deref().map(|hint| ("id_token_hint", hint)));
        parameters.extend(self.client_id.map(|id| ("client_id", id)));
        parameters.extend(self.address.map(|address| ("post_logout_redirect_uri", address)));
        let page = if self.by_post {
            table.browser.cross_site_post(&table.provider.url("/logout"), &parameters).await
        } else {
            table.browser.cross_site_get(&url(&table.provider, &parameters)).await
        };
        table.provider.settle(&table.browser, page).await
    }

    /// Nothing of the page leads to an address that was asked for.
    #[track_caller]
    fn stays(self, page: &Page) {
        assert_eq!(page.status, 200, "{self:?}: {page}");
        for address in [OUT, UNREGISTERED] {
            assert!(!page.body.contains(address), "{self:?}: {}", page.body);
        }
    }

    #[track_caller]
    fn leaves(self, page: &Page) {
        assert_eq!(page.status, 303, "{self:?}: {page}");
        assert_eq!(page.location().unwrap().as_str(), BACK, "{self:?}");
    }

    async fn check(self, table: &Table) {
        let (id, handle) = table.sign(self.signed).await;
        let page = self.send(table, if self.signed == Signed::In { handle } else { Handle(random()) }).await;
        if self.signed == Signed::In && self.has_good_hint() {
            // A token of this very session: at once.
            assert!(!table.lives(&id).await, "{self:?}");
            return self.is_signed_out(&page);
        }
        if matches!(self.signed, Signed::Anew | Signed::In | Signed::AsAnother) {
            self.stays(&page);
            assert!(table.lives(&id).await, "{self:?}: nothing happens before the word is given");
            let back = "After that you go back to The reports service";
            assert_eq!(page.text().contains(back), self.may_leave(), "{self:?}: {page}");
            let page = confirm(&table.browser, &page).await;
            assert!(!table.lives(&id).await, "{self:?}");
            return self.is_signed_out(&page);
        }
        match (self.may_leave(), self.has_good_hint()) {
            (true, true) => self.leaves(&page),
            (true, false) => {
                assert_claims_nothing(&page);
                let link = format!("<a class=\"button primary\" href=\"{}\">", BACK.replace('&', "&#38;"));
                assert!(page.body.contains(&link), "{self:?}: {}", page.body);
                assert!(!page.body.contains("http-equiv") && !page.body.contains("<script"), "{}", page.body);
                assert_eq!(page.texts("a.button"), ["Go back to The reports service"]);
            }
            (false, _) => {
                assert_claims_nothing(&page);
                self.stays(&page);
            }
        }
    }

    #[track_caller]
    fn is_signed_out(self, page: &Page) {
        if self.may_leave() {
            return self.leaves(page);
        }
        self.stays(page);
        assert_eq!(
            (page.title().as_str(), page.texts("h1")),
            ("You are signed out", vec!["You are signed out".into()])
        );
        // A bad hint leads nowhere at all; a service that is known may be gone to by its registered page.
        let ways = if self.is_from_a_service() { vec!["Go to The reports service".to_owned()] } else { Vec::new() };
        assert_eq!(page.texts("a.button"), ways, "{self:?}: {page}");
        // What was wrong is said.
        let is_doubted = self.address.is_some() || self.hint != "none" && !self.has_good_hint();
        assert_eq!(page.texts(".notice").len(), usize::from(is_doubted), "{self:?}: {page}");
    }
}

const UNREGISTERED: &str = "https://reports.example/elsewhere";
const BACK: &str = "https://reports.example/signed-out?state=a%26b";

/// Section 2, 3 and 4, as a table: the address is gone to where a registered service said who it is by a good hint, or by its
/// `client_id` alone and the person agreed; a hint that is not good is never taken for none.
#[tokio::test]
async fn where_a_sign_out_ends_follows_from_session_hint_client_address_and_method() {
    let table = Table::new().await;
    let mut cases = 0;
    for signed in [Signed::In, Signed::Anew, Signed::AsAnother, Signed::Before, Signed::Out] {
        for hint in ["good", "expired", "garbage", "altered", "of another issuer", "of another type", "none"] {
            for client_id in [None, Some("reports"), Some("other"), Some("disabled"), Some("nobody")] {
                for address in [Some(OUT), Some(UNREGISTERED), None] {
                    // "other" has the address as well: without a hint it may leave, as itself.
                    if hint == "none" && client_id == Some("other") {
                        continue;
                    }
                    for by_post in [false, true] {
                        Case { signed, hint, client_id, address, by_post }.check(&table).await;
                        cases += 1;
                    }
                }
            }
        }
    }
    assert_eq!(cases, 5 * (7 * 5 - 1) * 3 * 2);
}

/// A hint whose client was disabled or deleted since proves no service that could be gone back to.
#[tokio::test]
async fn the_hint_of_a_client_that_is_gone_ends_nothing_by_itself() {
    let table = Table::new().await;
    let (id, handle) = table.sign(Signed::In).await;
    let hint = table.hint("good", handle).unwrap();
    for end in [
        "UPDATE clients SET disabled_at = 1 WHERE client_id = 'reports'",
        "DELETE FROM clients WHERE client_id = 'reports'",
    ] {
        table.provider.sql(end).await;
        table.provider.travel(10);
        for client_id in [None, Some(("client_id", "reports"))] {
            let parameters: Vec<(&str, &str)> = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", OUT)]
                .into_iter()
                .chain(client_id)
                .collect();
            let page = table.browser.cross_site_get(&url(&table.provider, &parameters)).await;
            assert!(page.text().contains("not registered here"), "{end}: {page}");
            assert!(page.text().contains("Do you want to sign out?") && !page.body.contains(OUT), "{end}: {page}");
            assert!(table.lives(&id).await);
        }
    }
    let page = table.browser.cross_site_get(&url(&table.provider, &[("id_token_hint", &hint)])).await;
    let page = confirm(&table.browser, &page).await;
    assert!(page.text().contains("You are signed out") && page.texts("a.button").is_empty(), "{page}");
}

/// Section 2: products with a fixed sign-out address send `client_id` and a registered address, as a link or a form.
#[tokio::test]
async fn a_service_that_only_names_itself_gets_the_browser_back_after_the_persons_word() {
    let (provider, client, browser, _) = ready().await;
    let parameters = [("client_id", "reports"), ("post_logout_redirect_uri", OUT), ("state", "s")];
    for by_post in [false, true] {
        let _ = provider.sign_in(&browser, &client).await;
        let page = if by_post {
            browser.cross_site_post(&provider.url("/logout"), &parameters).await
        } else {
            browser.cross_site_get(&url(&provider, &parameters)).await
        };
        let page = provider.settle(&browser, page).await;
        assert!(is_signed_in(&provider, &client, &browser).await);
        let stays = browser.submit(page.form("form"), Some(("action", "stay"))).await;
        assert!(stays.status == 200 && !stays.body.contains(OUT), "{stays}");
        assert!(is_signed_in(&provider, &client, &browser).await);

        let page = browser.cross_site_get(&url(&provider, &parameters)).await;
        let page = confirm(&browser, &page).await;
        assert_eq!((page.status.as_u16(), page.location().unwrap().as_str()), (303, &*format!("{OUT}?state=s")));
        assert!(!is_signed_in(&provider, &client, &browser).await);
    }
}

/// RFC 8252 section 7.3: a native app listens on the port of the day, at the sign-out as at the sign-in; a web client does not.
#[tokio::test]
async fn a_native_app_on_loopback_may_be_returned_to_at_any_port() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let browser = UserAgent::new();
    for (id, kind, is_free) in [("app", "native", true), ("web", "web", false)] {
        let client = NewClient::new(id).with("consent", "skip").with("application_type", kind);
        let client = ["http://127.0.0.1/out", "http://[::1]:80/out?x=1", "http://localhost:3000/out"]
            .iter()
            .fold(client, |client, uri| client.leaving_to(uri));
        let client = provider.add(client).await;
        for (address, fits) in [
            ("http://127.0.0.1:51004/out", true),
            ("http://[::1]:61023/out?x=1", true),
            ("http://localhost:51004/out", true),
            ("http://localhost:51004/", false),
            ("http://localhost:51004/out/", false),
            ("https://localhost:51004/out", false),
            ("http://localhost:51004@evil.example/out", false),
            ("http://localhost.evil.example:51004/out", false),
        ] {
            for with_hint in [true, false] {
                let hint = provider.tokens(&browser, &client).await.text("id_token");
                let word = if with_hint { ("id_token_hint", hint.as_str()) } else { ("client_id", id) };
                let parameters = [word, ("post_logout_redirect_uri", address), ("state", "s")];
                let mut page = browser.cross_site_get(&url(&provider, &parameters)).await;
                if !with_hint {
                    page = confirm(&browser, &page).await;
                }
                if fits && is_free {
                    let separator = if address.contains('?') { '&' } else { '?' };
                    assert_eq!(page.location().unwrap().as_str(), format!("{address}{separator}state=s"));
                } else {
                    assert!(page.text().contains("not registered for it") && !page.body.contains(address), "{page}");
                }
            }
        }
    }
}

// ---- What is said is true.

/// A session that ended by itself, by another password, or in another tab: nothing is claimed about this request.
#[tokio::test]
async fn a_session_that_had_ended_before_is_not_claimed_to_be_ended_now() {
    for end in ["idle", "lifetime", "password", "disabled", "another tab", "lost"] {
        let (provider, client, browser, hint) = ready().await;
        let asking = browser.get(&provider.url("/logout")).await;
        let cookies = browser.cookies();
        match end {
            "idle" => provider.travel(43_201),
            "lifetime" => provider.travel(604_801),
            "password" => {
                provider
                    .sql("UPDATE users SET password_hash = password_hash || 'x', tokens_valid_after = 1999999999")
                    .await;
                provider.travel(10);
            }
            "disabled" => {
                provider.sql("UPDATE users SET disabled_at = 1").await;
                provider.travel(10);
            }
            "another tab" => {
                let _ = confirm(&browser, &browser.get(&provider.url("/logout")).await).await;
            }
            _ => {
                let session = cookies.iter().find(|cookie| cookie.name.contains("session")).unwrap();
                let id = SessionId::received(session.value.as_str());
                sessions::forget(&provider.provider.ephemeral, &id).await.unwrap();
            }
        }
        // As a tab that was sent before it got to know of that.
        for cookie in cookies {
            browser.set_cookie(&provider.url("/logout"), &format!("{}={}; Path=/", cookie.name, cookie.value));
        }
        let page = browser.get(&provider.url("/logout")).await;
        assert_claims_nothing(&page);
        assert!(page.text().contains("had ended before"), "{end}: {page}");
        if !["idle", "lifetime"].contains(&end) {
            let page = browser.submit(asking.form("form"), Some(("action", "sign_out"))).await;
            assert_claims_nothing(&page);
        }
        let named = [("client_id", "reports"), ("post_logout_redirect_uri", OUT)];
        let page = browser.cross_site_get(&url(&provider, &named)).await;
        assert_claims_nothing(&page);
        assert!(page.body.contains(OUT), "{end}: a link to where the service wants the browser back: {}", page.body);
        // A service that proves itself gets the browser back, and nothing is said.
        let proven = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", OUT)];
        assert_eq!(browser.cross_site_get(&url(&provider, &proven)).await.location().unwrap().as_str(), OUT);
        let _ = client;
    }
}

/// A person who wants to stay is told so only while they are signed in.
#[tokio::test]
async fn a_person_who_wants_to_stay_is_told_when_the_session_has_ended_meanwhile() {
    let (provider, client, browser, hint) = ready().await;
    let url = url(&provider, &[("client_id", "reports"), ("post_logout_redirect_uri", OUT)]);
    let (first, second) = (browser.cross_site_get(&url).await, browser.cross_site_get(&url).await);
    let stays = browser.submit(first.form("form"), Some(("action", "stay"))).await;
    assert_eq!(stays.title(), "You are still signed in");
    assert!(is_signed_in(&provider, &client, &browser).await);
    let _ = browser.get(&format!("{}?id_token_hint={hint}", provider.url("/logout"))).await;
    let stays = browser.submit(second.form("form"), Some(("action", "stay"))).await;
    assert!(!stays.text().contains("still signed in"), "{stays}");
    assert_claims_nothing(&stays);
}

/// Many tabs answer at once: one of them ends the session and says so, the others claim nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_tabs_that_sign_out_at_once_one_says_so() {
    let (provider, ..) = ready().await;
    let table = Table { provider, browser: UserAgent::new(), reports: Client::new("reports") };
    let (id, _) = table.sign(Signed::In).await;
    let mut forms = Vec::new();
    for _ in 0..8 {
        forms.push(table.browser.get(&table.provider.url("/logout")).await.form("form"));
    }
    let tabs = forms.into_iter().map(|form| table.browser.submit(form, Some(("action", "sign_out"))));
    let pages = futures_util::future::join_all(tabs).await;
    let (claiming, silent): (Vec<&Page>, Vec<&Page>) =
        pages.iter().partition(|page| page.title() == "You are signed out");
    assert_eq!(claiming.len(), 1, "{:?}", pages.iter().map(Page::title).collect::<Vec<_>>());
    silent.into_iter().for_each(assert_claims_nothing);
    assert!(!table.lives(&id).await);
}

/// A store that does not answer: nothing is claimed, and the person can try again.
#[tokio::test]
async fn a_store_that_fails_signs_no_user_out_in_words() {
    let (provider, client, browser, hint) = ready().await;
    let asking = browser.get(&provider.url("/logout")).await;
    provider.sql("ALTER TABLE clients RENAME TO hidden").await;
    provider.travel(7200);
    for page in [
        browser.cross_site_get(&url(&provider, &[("id_token_hint", &hint)])).await,
        browser.cross_site_get(&url(&provider, &[("client_id", "reports"), ("post_logout_redirect_uri", OUT)])).await,
    ] {
        assert!(page.status.is_server_error(), "{page}");
        assert!(!page.body.to_lowercase().contains("signed out") && !page.body.contains(OUT), "{}", page.body);
    }
    provider.sql("ALTER TABLE hidden RENAME TO clients").await;
    provider.travel(60);
    assert!(is_signed_in(&provider, &client, &browser).await);
    let _ = asking;
}
