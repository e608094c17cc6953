//! OpenID Connect RP-Initiated Logout 1.0.

use crate::support::provider::PASSWORD;
use crate::support::verbs::{http, send};
use crate::support::{Answer, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent};
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

/// Section 3: only to an address registered to the letter; a query of its own stays.
#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_registered() {
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

/// Section 2, 3: without a hint, or with one that is not good, the person is asked, and nobody is redirected.
#[tokio::test]
async fn without_a_good_hint_the_person_is_asked_and_stays_here() {
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
        vec![("client_id", "reports"), ("post_logout_redirect_uri", OUT)],
        vec![("client_id", "nobody"), ("post_logout_redirect_uri", OUT)],
        vec![("id_token_hint", "x"), ("post_logout_redirect_uri", OUT)],
        vec![("id_token_hint", &forged), ("post_logout_redirect_uri", OUT)],
        vec![("id_token_hint", &none), ("post_logout_redirect_uri", OUT)],
        vec![("id_token_hint", &others_hint), ("client_id", "reports"), ("post_logout_redirect_uri", OUT)],
        vec![("logout_hint", "alice"), ("ui_locales", "de en"), ("unknown", "x")],
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
    assert!(is_signed_in(&provider, &client, &browser).await, "the hint's own session goes on");
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
async fn a_forged_form_signs_nobody_out() {
    let (provider, client, browser, _) = ready().await;
    let page = browser.get(&provider.url("/logout")).await;
    let form = page.form("form");
    let (logout, csrf) = (form.value("logout").unwrap(), form.value("csrf").unwrap());
    let stranger = UserAgent::new();
    for (agent, fields) in [
        (&browser, vec![("logout", logout), ("csrf", "x"), ("action", "sign_out")]),
        (&browser, vec![("logout", logout), ("action", "sign_out")]),
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
    // Pressed twice, it says the same.
    let again = browser.submit(form, Some(("action", "sign_out"))).await;
    assert!(again.text().contains("You are signed out"), "{again}");
}

/// Nobody is signed in: there is nothing to ask, and a proven service gets its browser back.
#[tokio::test]
async fn with_nobody_signed_in_there_is_nothing_to_ask() {
    let (provider, _, _, hint) = ready().await;
    let stranger = UserAgent::new();
    let page = stranger.get(&provider.url("/logout")).await;
    assert!(page.text().contains("You are signed out"), "{page}");
    let page =
        stranger.cross_site_get(&url(&provider, &[("id_token_hint", &hint), ("post_logout_redirect_uri", OUT)])).await;
    assert_eq!(page.location().unwrap().as_str(), OUT);
    let page = stranger.cross_site_get(&url(&provider, &[("post_logout_redirect_uri", OUT)])).await;
    assert_eq!(page.status, 200);
}

/// A preview of a link, or whoever else asks by HEAD, signs nobody out.
#[tokio::test]
async fn a_link_preview_signs_nobody_out() {
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

/// A code that was issued before and is redeemed after the end signs nobody in, not even for `offline_access`: the service
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
    assert_eq!(alive, [[Some("0".to_owned())]], "the family that was begun is dead");
}
