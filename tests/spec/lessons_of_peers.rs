//! What went wrong at peers, published, and the lesson of each: a test here, or the one elsewhere that shows it.
//!
//! | what happened | the lesson | shown by |
//! | --- | --- | --- |
//! | Keycloak CVE-2026-1035: a refresh token checked and marked in two steps | one atomic statement spends it | `rfc6749_refresh::of_64_who_refresh_at_once_all_get_the_one_successor`, `rfc6749_refresh::of_64_without_a_window_one_wins_and_keeps_nothing` |
//! | Keycloak CVE-2026-9802: revoked refresh tokens live again after a restart | a revocation is as durable as the token | `rfc6749_refresh::a_revocation_outlives_the_short_lived_store` |
//! | Keycloak CVE-2026-9689, CVE-2026-7571: doubled parameters; the response type taken from what the client holds | duplicates are refused, the request stays on the server | `oidc_core_3_1_2_authorization::a_doubled_state_is_refused_and_not_repeated`, `lessons_of_peers::the_request_stays_on_the_server` |
//! | Keycloak CVE-2026-9793: what was encrypted counted as signed | a signature is verified, never inferred | `oidc_discovery_exercised::what_is_not_supported_says_so`, `lessons_of_peers::a_signature_is_verified_never_inferred` |
//! | Keycloak CVE-2024-4540: parameters readable in a cookie | cookies hold random handles only | `lessons_of_peers::cookies_hold_random_handles_only` |
//! | Keycloak CVE-2026-4874, CVE-2020-10770: requests to addresses of a request | nothing that a request names is fetched | `lessons_of_peers::no_address_of_a_request_is_fetched`, `architecture::a_library_is_named_in_its_own_place_only` |
//! | Keycloak CVE-2026-9798: another flow did not ask for the lockout | one function checks for every endpoint | `throttling::guessing_a_clients_secret_is_stopped_and_stops_no_other_client`, `throttling::an_account_can_be_guessed_ten_times_from_one_network` |
//! | Authelia CVE-2025-24806, CVE-2026-47203: failures counted for each spelling | counted on the account that is found | `throttling::spelling_variants_are_one_account`, `throttling::an_unknown_name_is_throttled_like_a_known_one` |
//! | authentik CVE-2023-48228: PKCE checked only if a verifier is sent | the stored challenge decides | `rfc7636_pkce::a_code_is_redeemed_with_its_verifier_only` |
//! | Pocket ID CVE-2026-28513: a code refused only if two things are wrong | each wrong condition alone is enough | `lessons_of_peers::each_single_wrong_condition_refuses_a_code` |
//! | Pocket ID CVE-2026-28512: a pattern fooled by user@host | bytes are compared, nothing is parsed | `lessons_of_peers::an_address_is_compared_and_not_understood` |
//! | Zitadel CVE-2026-55672: codes and refresh tokens of another client | the client is part of what is looked up | `rfc6749_code_grant::a_stranger_with_a_code_finds_nothing_and_burns_nothing`, `rfc6749_refresh::a_stranger_with_a_refresh_token_finds_nothing_and_ends_nothing` |
//! | Zitadel CVE-2026-27840: a truncated token is still good | every token is looked up whole | `lessons_of_peers::a_token_that_is_not_whole_is_none` |
//! | Zitadel CVE-2026-55671: a deny list beaten by redirects | no redirect is followed | `lessons_of_peers::a_receiver_that_redirects_is_not_followed` |
//! | Dex CVE-2022-39222: who knows the request's id takes the victim's code | each step is bound to the browser | `pages::a_sign_in_continues_only_in_the_browser_it_was_started_in`, `pages::no_user_is_signed_in_by_anothers_form` |
//! | Duende CVE-2024-39694: an odd address passed for a local one | the browser carries no address to return to | `lessons_of_peers::the_browser_carries_no_address_to_return_to` |
//! | Duende CVE-2024-49755: a proof not checked at one endpoint | one function reads access tokens | `lessons_of_peers::what_ended_is_dead_at_every_door` |
//! | doorkeeper-openid_connect 2019, tinyauth 2026: errors redirected before the address is checked | until then a page | `lessons_of_peers::whatever_else_is_wrong_an_unproven_address_gets_a_page` |
//! | Casdoor CVE-2026-9097: revoked tokens good for another grant | every grant reads the same state | `lessons_of_peers::what_ended_is_dead_at_every_door` |
//! | Rauthy pull request 1696: values that exist once are read, then removed | one atomic take | `store_contract::of_sixty_four_who_redeem_one_code_one_wins_on_every_store`, `store_contract::every_verb_that_decides_decides_for_one_of_sixty_four`, `pages::of_64_tabs_that_answer_at_once_one_gets_the_code` |
//! | `Origin: null` from a page without a referrer | our pages keep theirs, and a hidden origin is allowed for | `pages::a_form_of_ours_with_a_hidden_origin_is_accepted` |
//! | a client secret followed by NUL | secrets are compared whole | `bad_input::a_secret_is_compared_to_its_last_byte`, `bad_input::a_name_with_nul_in_the_header_is_a_clients_fault_and_none_of_ours` |
//! | introspection by any confidential client | for the token's client and the API in its `aud` | `rfc7662_introspection::to_any_other_client_it_is_inactive` |
//! | discovery that follows the `Host` header | nothing follows it | `oidc_discovery::the_host_of_a_request_changes_nothing`, `bad_input::claims_of_a_proxy_change_nothing_but_whose_limits_count` |
//!
//! Not ours yet: client assertions (Hydra GHSA-3p3g-vpw6-4w66: the `jti` is remembered; audience injection, January 2025: the
//! issuer is the only audience) and `DPoP`. A change that adds them adds their lines.
//! `architecture::every_test_that_a_table_names_exists` keeps this one true.

use crate::support::listener::LogoutListener;
use crate::support::provider::PASSWORD;
use crate::support::verbs::{Auth, CHALLENGE, VERIFIER, http, send};
use crate::support::{Answer, Authorization, NewClient, TestClient, TestProvider, UserAgent};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;

async fn ready() -> (TestProvider, TestClient, UserAgent) {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    (provider, client, UserAgent::new())
}

/// A client that may have everything, tokens to refresh among it.
async fn long(provider: &TestProvider) -> TestClient {
    let client = NewClient::new("long").with("consent", "skip").with("scope", "openid profile email offline_access");
    provider.add(client.with("grant_types", "authorization_code refresh_token")).await
}

/// An address that must not be called, and how often it was.
async fn tripwire() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (url, calls)
}

/// What the browser sends along with a form, or in the address of a page, changes nothing of the request that is kept.
#[tokio::test]
async fn the_request_stays_on_the_server() {
    let (provider, client, browser) = ready().await;
    let other = provider.add(NewClient::new("other").with("consent", "skip")).await;
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let interaction = page.form("form").value("interaction").unwrap().to_owned();
    let mut form = page.form("form");
    form.set("username", "alice").set("password", PASSWORD);
    for (name, value) in [
        ("client_id", other.client_id.as_str()),
        ("redirect_uri", other.redirect_uri.as_str()),
        ("response_type", "token"),
        ("response_mode", "form_post"),
        ("scope", "openid phone address"),
        ("state", "another state"),
        ("nonce", "another nonce"),
        ("code_challenge", "x"),
        ("prompt", "none"),
    ] {
        form.fields.push((name.to_owned(), value.to_owned()));
        form.action.query_pairs_mut().append_pair(name, value);
    }
    let answered = browser.submit(form, Some(("action", "sign_in"))).await;
    assert_eq!(
        answered.location().unwrap().as_str(),
        format!("{}?interaction={interaction}&client={}", provider.url("/authorize"), client.client_id)
    );
    let resumed =
        format!("{}?interaction={interaction}&redirect_uri=https://evil.example/&state=x", provider.url("/authorize"));
    let page = browser.get(&resumed).await;
    let answer = Answer::of(&page, &client.redirect_uri);
    assert_eq!(answer.get("state"), Some("the state"));
    let tokens = provider.redeem(&client, answer.code()).await.ok();
    assert_eq!(tokens.text("scope"), "openid profile email");
    assert_eq!(crate::support::claims_of(&tokens.text("id_token"))["nonce"], "the nonce");
}

/// Tokens that carry the right claims and no signature of ours, wherever a token is read.
#[tokio::test]
async fn a_signature_is_verified_never_inferred() {
    let (provider, client, browser) = ready().await;
    let jwt = provider.add(NewClient::new("jwt").with("consent", "skip").with("access_token_format", "jwt")).await;
    let access_token = provider.tokens(&browser, &jwt).await.text("access_token");
    let hint = provider.tokens(&browser, &client).await.text("id_token");
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let forged = |token: &str| {
        let [head, claims, signature] = <[&str; 3]>::try_from(token.split('.').collect::<Vec<_>>()).unwrap();
        let kid = crate::support::header_of(token)["kid"].as_str().unwrap().to_owned();
        let typ = crate::support::header_of(token)["typ"].as_str().unwrap().to_owned();
        let headed = |algorithm: &str| encode(&format!(r#"{{"alg":"{algorithm}","typ":"{typ}","kid":"{kid}"}}"#));
        // Signed with the public key as if it were a shared secret; without; with one that is empty; as JSON in base64; as JWE.
        vec![
            format!("{}.{claims}.{signature}", headed("HS256")),
            format!("{}.{claims}.", headed("none")),
            format!("{}.{claims}.{signature}", headed("none")),
            format!("{}.{claims}.{signature}", headed("RS512")),
            format!("{head}.{claims}."),
            format!("{head}.{claims}"),
            format!("{head}.{}.{signature}", encode(r#"{"sub":"alice-sub"}"#)),
            format!("{head}....{signature}"),
            format!("{}..{}.{}.{}", encode(r#"{"alg":"dir","enc":"A128GCM"}"#), encode("iv"), claims, encode("tag")),
            claims.to_owned(),
        ]
    };
    for token in forged(&access_token) {
        assert_eq!(provider.userinfo(&token).await.status, 401, "{token}");
        let answer = provider.post("/introspect", jwt.auth(), &[("token", &token)]).await.ok();
        assert_eq!(answer.json(), serde_json::json!({"active": false}), "{token}");
    }
    for token in forged(&hint) {
        let request = Authorization::of(&client).with("id_token_hint", &token).with("prompt", "none");
        let page = request.open(&provider, &browser).await;
        assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "invalid_request", "{token}");
    }
    let sound = Authorization::of(&client).with("id_token_hint", &hint).with("prompt", "none");
    assert!(!sound.complete(&provider, &browser).await.code().is_empty());
}

/// Nothing of a request, a person or a client is in a cookie, readable or encoded: each is a handle by itself.
#[tokio::test]
async fn cookies_hold_random_handles_only() {
    let (provider, client, browser) = ready().await;
    let request = Authorization::of(&client).with("state", "a-marked-state").with("login_hint", "a-marked-hint");
    let _ = request.complete(&provider, &browser).await;
    let again = UserAgent::new();
    let _ = request.complete(&provider, &again).await;
    let (first, second) = (browser.cookies(), again.cookies());
    assert_eq!(first.len(), 3, "{first:?}");
    for cookie in &first {
        let handle = cookie.value.strip_prefix("hp_si_").or_else(|| cookie.value.strip_prefix("hp_br_"));
        let length = if handle.is_some() { 43 } else { 22 };
        let handle = handle.unwrap_or(&cookie.value);
        assert_eq!(handle.len(), length, "{cookie:?}");
        // A tag is a digest cut short, so its last letters are not whole.
        let whole = URL_SAFE_NO_PAD.decode(&handle[..handle.len() / 4 * 4]).unwrap_or_else(|_| panic!("{cookie:?}"));
        let other = second.iter().find(|other| other.name == cookie.name).unwrap();
        assert_ne!(other.value, cookie.value, "the same request and person give another value");
        let read = String::from_utf8_lossy(&whole).into_owned();
        for text in ["marked", "alice", "reports", "openid", "state"] {
            assert!(!cookie.value.contains(text) && !read.contains(text), "{text} in {cookie:?}");
        }
    }
}

/// A request can name as many addresses as it likes: none is called, as none is registered.
#[tokio::test]
async fn no_address_of_a_request_is_fetched() {
    let (provider, client, browser) = ready().await;
    let (url, calls) = tripwire().await;
    for name in
        ["request_uri", "redirect_uri", "jwks_uri", "sector_identifier_uri", "logo_uri", "client_id", "resource", "iss"]
    {
        let _ = Authorization::of(&client).with(name, &url).open(&provider, &browser).await;
    }
    let registration = format!(r#"{{"redirect_uris":["{url}"],"jwks_uri":"{url}"}}"#);
    let _ = Authorization::of(&client).with("registration", &registration).open(&provider, &browser).await;
    for path in ["/token", "/introspect", "/revoke"] {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", "x"),
            ("token", "x"),
            ("redirect_uri", &url),
            ("client_assertion", &url),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ];
        let _ = provider.post(path, client.auth(), &fields).await;
        let _ = provider.post(path, Auth::Nothing, &fields).await;
    }
    let address = format!("{}?post_logout_redirect_uri={url}&id_token_hint={url}", provider.url("/logout"));
    let _ = browser.cross_site_get(&address).await;
    let head = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"RS256","jku":"{url}","x5u":"{url}","kid":"{url}"}}"#));
    let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"iss":"{url}","sub":"x"}}"#));
    let _ = provider.userinfo(&format!("{head}.{claims}.c2ln")).await;
    // A call to it is noticed.
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let _ = tokio::net::TcpStream::connect(url.trim_start_matches("http://").trim_end_matches('/')).await.unwrap();
    crate::support::remote::until("the tripwire works", async || calls.load(Ordering::SeqCst) == 1).await;
}

/// Everything is right but one.
#[tokio::test]
async fn each_single_wrong_condition_refuses_a_code() {
    let (provider, client, browser) = ready().await;
    let other = provider.client("other").await;
    let fresh = async || provider.sign_in(&browser, &client).await.code().to_owned();
    let redeem = async |client: &TestClient, code: &str, redirect_uri: &str, verifier: &str| {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        provider.post("/token", client.auth(), &fields).await
    };
    let right = client.redirect_uri.as_str();
    let refused = (400, "invalid_grant".to_owned());
    let _ = redeem(&client, &fresh().await, right, VERIFIER).await.ok();
    assert_eq!(redeem(&other, &fresh().await, right, VERIFIER).await.error(), refused, "the client");
    assert_eq!(redeem(&client, &fresh().await, &other.redirect_uri, VERIFIER).await.error(), refused, "the address");
    assert_eq!(redeem(&client, &fresh().await, right, CHALLENGE).await.error(), refused, "the verifier");
    let code = fresh().await;
    assert_eq!(redeem(&client, &code[..code.len() - 1], right, VERIFIER).await.error(), refused, "the code");
    let late = fresh().await;
    provider.travel(60);
    assert_eq!(redeem(&client, &late, right, VERIFIER).await.error(), refused, "the time");
    let code = fresh().await;
    provider.travel(40);
    let _ = redeem(&client, &code, right, VERIFIER).await.ok();
    assert_eq!(redeem(&client, &code, right, VERIFIER).await.error(), refused, "the second time");
    let code = fresh().await;
    provider.sql("UPDATE users SET disabled_at = 1").await;
    provider.travel(10);
    assert_eq!(redeem(&client, &code, right, VERIFIER).await.error(), refused, "the person");
    provider.sql("UPDATE clients SET disabled_at = 1 WHERE client_id = 'reports'").await;
    provider.travel(10);
    assert_eq!(
        redeem(&client, "hp_ac_x", right, VERIFIER).await.error(),
        (401, "invalid_client".into()),
        "the client's row"
    );
}

/// What a parser could take for a registered address, and is another one.
#[tokio::test]
async fn an_address_is_compared_and_not_understood() {
    let (provider, _, browser) = ready().await;
    let registered = ["https://app.example/callback", "http://127.0.0.1/callback", "com.example.app:/callback"];
    let native = NewClient::new("native").public().with("application_type", "native").at(&registered);
    let client = provider.add(native.leaving_to("https://app.example/out")).await;
    for address in [
        "https://app.example@evil.example/callback",
        "https://evil.example#@app.example/callback",
        "https://evil.example\\@app.example/callback",
        "https://app.example:443/callback",
        "https://app.example./callback",
        "https://APP.example/callback",
        "HTTPS://app.example/callback",
        "https:app.example/callback",
        "https:///app.example/callback",
        "https://app.example/callback/../callback",
        "https://app.example/%63allback",
        "https://app.example/callback?",
        "https://app.example/callback#",
        "https://app.example/callback ",
        " https://app.example/callback",
        "https://app.example/callback\u{200b}",
        "https://app.example/callback%00",
        "https://\u{430}pp.example/callback",
        "http://127.0.0.1:80@evil.example/callback",
        "http://127.0.0.1:1#@evil.example/callback",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1:/callback",
        "http://127.1/callback",
        "http://2130706433/callback",
        "http://[::1]/callback",
        "http://localhost/callback",
        "https://127.0.0.1:5000/callback",
        "http://127.0.0.1.evil.example/callback",
        "com.example.app://callback",
        "com.example.app:/callback/",
        "javascript:alert(1)//https://app.example/callback",
    ] {
        let page = Authorization::of(&client).with("redirect_uri", address).open(&provider, &browser).await;
        assert_eq!(page.status, 400, "{address}: {page}");
        assert!(page.location().is_none(), "{address}");
    }
}

/// A prefix, a suffix and another letter: of every kind of token, everywhere it is read, the whole of it counts.
#[tokio::test]
async fn a_token_that_is_not_whole_is_none() {
    let (provider, _, browser) = ready().await;
    let client = long(&provider).await;
    let jwt = provider.add(NewClient::new("jwt").with("consent", "skip").with("access_token_format", "jwt")).await;
    let request = Authorization::of(&client).with("scope", "openid offline_access");
    let answer = request.complete(&provider, &browser).await;
    let variants = |token: &str| {
        let last = token.len() - 1;
        let other = if token.ends_with('A') { "B" } else { "A" };
        vec![
            token[..last].to_owned(),
            token[..last - 20].to_owned(),
            format!("{token}A"),
            format!("{token}="),
            format!("{}{other}", &token[..last]),
            token[6..].to_owned(),
            token.to_lowercase(),
            format!("x{token}"),
        ]
    };
    for code in variants(answer.code()) {
        assert_eq!(provider.redeem(&client, &code).await.error(), (400, "invalid_grant".into()), "{code}");
    }
    let tokens = provider.redeem(&client, answer.code()).await.ok();
    let (access_token, refresh_token) = (tokens.text("access_token"), tokens.text("refresh_token"));
    for token in
        variants(&access_token).into_iter().chain(variants(&provider.tokens(&browser, &jwt).await.text("access_token")))
    {
        assert_eq!(provider.userinfo(&token).await.error(), (401, "invalid_token".into()), "{token}");
    }
    for token in variants(&refresh_token).into_iter().filter(|token| token.len() != refresh_token.len()) {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        assert_eq!(
            provider.post("/token", client.auth(), &fields).await.error(),
            (400, "invalid_grant".into()),
            "{token}"
        );
    }
    // None of that has ended anything.
    let _ = provider.userinfo(&access_token).await.ok();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
    let _ = provider.post("/token", client.auth(), &fields).await.ok();
    let session = browser.cookies().into_iter().find(|cookie| cookie.value.starts_with("hp_si_")).unwrap();
    for value in variants(&session.value) {
        let silent = Authorization::of(&client).with("prompt", "none").url(&provider);
        let refused = send(http().get(silent).header("cookie", format!("{}={value}", session.name))).await;
        assert!(refused.header("location").unwrap().contains("error=login_required"), "{value}");
    }
}

/// A server that may be called may not send us on: a redirect is an answer like any other, and no success.
#[tokio::test]
async fn a_receiver_that_redirects_is_not_followed() {
    let (url, calls) = tripwire().await;
    for status in [301, 302, 303, 307, 308] {
        let (address, answered) = redirecting(status, &url).await;
        let (provider, _, browser) = ready().await;
        let client = NewClient::new("told").with("consent", "skip").with("backchannel_logout_uri", &address);
        let client = provider.add(client).await;
        let _ = provider.sign_in(&browser, &client).await;
        let page = browser.get(&provider.url("/logout")).await;
        let page = browser.submit(page.form("form"), Some(("action", "sign_out"))).await;
        assert!(page.text().contains("could not be reached yet"), "{page}");
        assert_eq!(answered.load(Ordering::SeqCst), 1, "it was called");
        let rows = provider.rows("SELECT last_result, delivered_at FROM logout_outbox").await;
        assert_eq!(rows, [[Some(format!("it answered {status}")), None]]);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    // And one that does not redirect is told.
    let listener = LogoutListener::start().await;
    let (provider, _, browser) = ready().await;
    let client = NewClient::new("told").with("consent", "skip").with("backchannel_logout_uri", &listener.uri);
    let client = provider.add(client).await;
    let _ = provider.sign_in(&browser, &client).await;
    let page = browser.get(&provider.url("/logout")).await;
    let _ = browser.submit(page.form("form"), Some(("action", "sign_out"))).await;
    assert_eq!(listener.wait_for(1).await.len(), 1);
}

async fn redirecting(status: u16, to: &str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/backchannel", listener.local_addr().unwrap());
    let answered = Arc::new(AtomicUsize::new(0));
    let (counted, to) = (answered.clone(), to.to_owned());
    let answer = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::ready((axum::http::StatusCode::from_u16(status).unwrap(), [("location", to.clone())]))
    };
    let router = axum::Router::new().route("/backchannel", axum::routing::post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, answered)
}

/// There is no parameter that says where to go after a page: an interaction's id does, and it is ours.
#[tokio::test]
async fn the_browser_carries_no_address_to_return_to() {
    let (provider, client, browser) = ready().await;
    let names =
        ["return_to", "returnUrl", "ReturnUrl", "next", "redirect", "redirect_uri", "continue", "url", "target", "rd"];
    let targets =
        ["//evil.example", "/\\evil.example", "https://evil.example/", "/\t/evil.example", "javascript:alert(1)"];
    let request = Authorization::of(&client);
    let page = request.open(&provider, &browser).await;
    let interaction = page.form("form").value("interaction").unwrap().to_owned();
    for target in targets {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("interaction", &interaction);
        query.extend_pairs(names.iter().map(|name| (*name, target)));
        let query = query.finish();
        for path in ["/login", "/consent", "/logout"] {
            let page = browser.get(&format!("{}?{query}", provider.url(path))).await;
            assert!(!page.body.contains("evil.example") && !page.body.contains("javascript:"), "{}", page.body);
            let leads_home = page.location().is_none_or(|location| location.as_str().starts_with(&provider.issuer));
            assert!(leads_home, "{page}");
        }
    }
    let mut form = page.form("form");
    form.set("username", "alice").set("password", PASSWORD);
    form.fields.extend(names.iter().map(|name| ((*name).to_owned(), "https://evil.example/".to_owned())));
    let page = browser.submit(form, Some(("action", "sign_in"))).await;
    let own = format!("{}?interaction={interaction}&client={}", provider.url("/authorize"), client.client_id);
    assert_eq!(page.location().unwrap().as_str(), own);
    for bad in ["//evil.example", "https://evil.example/", "..", "hp_in_x/../../evil", "%2f%2fevil.example"] {
        let page = browser.get(&format!("{}?interaction={bad}", provider.url("/authorize"))).await;
        assert!(page.status == 400 && page.location().is_none(), "{bad}: {page}");
    }
}

/// A token whose session, grant, person or client has ended is dead wherever it is shown, and so is what refreshes it.
#[tokio::test]
async fn what_ended_is_dead_at_every_door() {
    for end in ["revoked", "password", "person", "client", "signed out"] {
        let (provider, _, browser) = ready().await;
        let client = long(&provider).await;
        let api = provider.add(NewClient::new("api").with("resource", "https://api.example/")).await;
        provider.sql("INSERT INTO client_audiences VALUES ('long', 'https://api.example/')").await;
        let request = Authorization::of(&client).with("scope", "openid offline_access");
        let answer = request.complete(&provider, &browser).await;
        let issued = provider.redeem(&client, answer.code()).await.ok();
        let (access_token, refresh_token) = (issued.text("access_token"), issued.text("refresh_token"));
        let is_active = async |token: &str| {
            let answer = provider.post("/introspect", api.auth(), &[("token", token)]).await.ok();
            answer.json()["active"] == true
        };
        assert!(is_active(&access_token).await);
        match end {
            "revoked" => {
                let _ = provider.post("/revoke", client.auth(), &[("token", &refresh_token)]).await.ok();
            }
            "password" => {
                let hash = hallpass::passwords::hash("another").unwrap();
                provider.sql(&format!("UPDATE users SET password_hash = '{hash}'")).await;
            }
            "person" => provider.sql("UPDATE users SET disabled_at = 1").await,
            "client" => provider.sql("UPDATE clients SET disabled_at = 1 WHERE client_id = 'long'").await,
            _ => {
                let page = browser.get(&provider.url("/logout")).await;
                let _ = browser.submit(page.form("form"), Some(("action", "sign_out"))).await;
            }
        }
        provider.travel(10);
        assert_eq!(provider.userinfo(&access_token).await.error(), (401, "invalid_token".into()), "{end}");
        assert!(!is_active(&access_token).await, "{end}");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
        let refreshed = provider.post("/token", client.auth(), &fields).await;
        match end {
            // offline_access is for exactly that.
            "signed out" => assert_eq!(refreshed.status, 200, "{end}: {}", refreshed.body),
            "client" => assert_eq!(refreshed.error(), (401, "invalid_client".into())),
            _ => assert_eq!(refreshed.error(), (400, "invalid_grant".into()), "{end}"),
        }
        let answer = request.with("prompt", "none").open(&provider, &browser).await;
        if end == "client" {
            assert_eq!(answer.status, 400);
        } else if end != "revoked" {
            assert_eq!(Answer::of(&answer, &client.redirect_uri).error(), "login_required", "{end}");
        }
    }
}

/// Every fault that a request can have is told to a proven address, and none of them to another.
#[tokio::test]
async fn whatever_else_is_wrong_an_unproven_address_gets_a_page() {
    let (provider, client, browser) = ready().await;
    let wrongs: [(&str, Option<&str>); 12] = [
        ("response_type", None),
        ("response_type", Some("token")),
        ("response_mode", Some("fragment")),
        ("response_mode", Some("form_post")),
        ("scope", Some("nothing")),
        ("prompt", Some("none")),
        ("prompt", Some("none login")),
        ("max_age", Some("x")),
        ("code_challenge", None),
        ("claims", Some("[")),
        ("request", Some("x")),
        ("request_uri", Some("https://a.example/")),
    ];
    for (name, value) in wrongs {
        let flawed = Authorization::of(&client).without(name);
        let flawed = value.map_or(flawed.clone(), |value| flawed.with(name, value));
        for (wrong, address) in [("client_id", "nobody"), ("redirect_uri", "https://evil.example/")] {
            let request = flawed.clone().with(wrong, address);
            for page in [
                request.open(&provider, &browser).await,
                browser.cross_site_post(&provider.url("/authorize"), &request.fields()).await,
            ] {
                assert_eq!(page.status, 400, "{name}, {wrong}: {page}");
                assert!(page.location().is_none() && !page.body.contains("evil.example"), "{name}, {wrong}: {page}");
                assert!(!page.body.contains("form_post"), "{name}, {wrong}: {page}");
            }
        }
    }
}
