//! OIDC Core 3.1.2 and RFC 6749 section 4.1.1-2: the authorization endpoint.

use crate::support::{Answer, Authorization, NewClient, NewUser, Page, TestClient, TestProvider, UserAgent, claims_of};

/// A refusal that has nowhere to go: a page with a reference, never a redirect.
#[track_caller]
fn assert_page(page: &Page, status: u16) {
    assert_eq!(page.status.as_u16(), status, "{page}");
    assert!(page.location().is_none(), "{page}");
    assert!(page.text().contains(page.header("x-request-id").unwrap()), "{page}");
}

async fn ready() -> (TestProvider, crate::support::TestClient, UserAgent) {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    (provider, client, UserAgent::new())
}

/// OIDC Core 3.1.2.1: "the OpenID Provider MUST support the use of the HTTP GET and POST methods".
#[tokio::test]
async fn get_and_post_are_both_served() {
    let (provider, client, browser) = ready().await;
    let _ = provider.sign_in(&browser, &client).await.code();
    let request = Authorization::of(&client);
    let page = browser.cross_site_post(&provider.url("/authorize"), &request.fields()).await;
    // Another site's POST brings no cookie, and yet the person who is signed in sees no form.
    let page = provider.settle(&browser, page).await;
    assert!(!Answer::of(&page, &client.redirect_uri).code().is_empty());
}

/// A POST by a user who is not signed in, and has no cookie at all.
#[tokio::test]
async fn a_post_from_another_site_starts_a_sign_in() {
    let (provider, client, browser) = ready().await;
    let page = browser.cross_site_post(&provider.url("/authorize"), &Authorization::of(&client).fields()).await;
    let page = provider.settle(&browser, page).await;
    let page = provider.type_in(&browser, &page, "alice", crate::support::provider::PASSWORD).await;
    assert_eq!(Answer::of(&page, &client.redirect_uri).get("state"), Some("the state"));
}

/// RFC 6749 section 4.1.2: `state` unchanged; OIDC Core 3.1.2.1: `nonce` unchanged.
#[tokio::test]
async fn state_and_nonce_come_back_intact() {
    let (provider, client, browser) = ready().await;
    for text in ["", "a b+c%20&d=e#f", "äöü \u{1F600}", &"x".repeat(2000), "<script>alert(1)</script>\"'"] {
        let request = Authorization::of(&client).with("state", text).with("nonce", text);
        let answer = request.complete(&provider, &browser).await;
        // An empty parameter counts as left out (RFC 6749 section 3.1).
        let expected = (!text.is_empty()).then_some(text);
        assert_eq!(answer.get("state"), expected);
        let tokens = provider.redeem(&client, answer.code()).await.ok();
        assert_eq!(claims_of(&tokens.text("id_token"))["nonce"].as_str(), expected);
    }
}

/// OIDC Core 3.1.2.1: "nonce … OPTIONAL" in the code flow.
#[tokio::test]
async fn a_request_without_nonce_or_state_is_answered_without() {
    let (provider, client, browser) = ready().await;
    let answer = Authorization::of(&client).without("nonce").without("state").complete(&provider, &browser).await;
    assert_eq!(answer.get("state"), None);
    let tokens = provider.redeem(&client, answer.code()).await.ok();
    assert!(claims_of(&tokens.text("id_token")).get("nonce").is_none());
}

/// RFC 6749 section 4.1.2.1: never redirect to an address that is not proven.
#[tokio::test]
async fn an_unknown_client_or_address_is_answered_by_a_page() {
    let (provider, client, browser) = ready().await;
    let request = || Authorization::of(&client);
    for bad in [
        request().with("client_id", "nobody"),
        request().without("client_id"),
        request().and("client_id", "reports"),
        request().without("redirect_uri"),
        request().with("redirect_uri", "https://evil.example/"),
        request().with("redirect_uri", "https://reports.example/callback/"),
        request().with("redirect_uri", "https://reports.example/callback?x=1"),
        request().with("redirect_uri", "https://reports.example/callback#x"),
        request().with("redirect_uri", "https://REPORTS.example/callback"),
        request().with("redirect_uri", "https://reports.example:443/callback"),
        request().with("redirect_uri", "https://reports.example/../callback"),
        request().with("redirect_uri", "https://reports.example@evil.example/callback"),
        request().with("redirect_uri", "javascript:alert(1)"),
        request().with("redirect_uri", "https://reports.example/callback\r\nX: y"),
        request().and("redirect_uri", "https://reports.example/callback"),
    ] {
        assert_page(&browser.cross_site_get(&bad.url(&provider)).await, 400);
        let posted = browser.cross_site_post(&provider.url("/authorize"), &bad.fields()).await;
        assert_page(&posted, 400);
    }
}

/// A disabled client is unknown.
#[tokio::test]
async fn a_disabled_client_is_answered_by_a_page() {
    let (provider, _, browser) = ready().await;
    let client = provider.add(NewClient::new("gone").with("disabled_at", "1")).await;
    assert_page(&Authorization::of(&client).open(&provider, &browser).await, 400);
}

/// RFC 6749 section 3.1.2.3: with several addresses registered, one must be sent.
#[tokio::test]
async fn with_two_addresses_and_none_sent_there_is_a_page() {
    let (provider, _, browser) = ready().await;
    let client = provider.add(NewClient::new("two").at(&["https://two.example/a", "https://two.example/b"])).await;
    assert_page(&Authorization::of(&client).without("redirect_uri").open(&provider, &browser).await, 400);
    let request = Authorization::of(&client).without("redirect_uri").with("scope", "email");
    assert_page(&request.open(&provider, &browser).await, 400);
}

/// A registered address keeps its query, and the answer is added to it.
#[tokio::test]
async fn a_redirect_uri_with_a_query_is_kept_exactly() {
    let (provider, _, browser) = ready().await;
    let client = NewClient::new("query").with("consent", "skip").at(&["https://query.example/cb?a=%20b&c"]);
    let client = provider.add(client).await;
    let answer = Authorization::of(&client).complete(&provider, &browser).await;
    let _ = provider.redeem(&client, answer.code()).await.ok();
}

/// RFC 8252 section 7.3, RFC 9700 section 4.1.3: the port of a native client's loopback address is free; nothing else is.
#[tokio::test]
async fn a_native_client_may_choose_its_loopback_port() {
    let (provider, _, browser) = ready().await;
    let native = NewClient::new("native").with("application_type", "native").public();
    let registered = ["http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost:3000/callback"];
    let native = provider.add(native.at(&registered)).await;
    for address in ["http://127.0.0.1:51004/callback", "http://[::1]:61023/callback", "http://localhost:51004/callback"]
    {
        let request = Authorization::of(&native).with("redirect_uri", address);
        let answer = request.complete(&provider, &browser).await;
        let sent = TestClient { redirect_uri: address.to_owned(), ..native.clone() };
        let _ = provider.redeem(&sent, answer.code()).await.ok();
    }
    for address in [
        "http://127.0.0.1:51004/other",
        "http://localhost:51004/other",
        "http://localhost:1@evil.example/callback",
        "http://127.0.0.1:1@evil.example/callback",
        "https://localhost:51004/callback",
    ] {
        assert_page(&Authorization::of(&native).with("redirect_uri", address).open(&provider, &browser).await, 400);
    }
    let web = provider.add(NewClient::new("web").at(&["http://127.0.0.1/callback", "http://localhost/callback"])).await;
    for address in ["http://127.0.0.1:51004/callback", "http://localhost:51004/callback"] {
        let request = Authorization::of(&web).with("redirect_uri", address);
        assert_page(&request.open(&provider, &browser).await, 400);
    }
}

/// RFC 6749 section 4.1.2.1, OIDC Core 3.1.2.6, 6: each fault has its own error, at the client's address.
#[tokio::test]
async fn from_the_proven_address_on_errors_are_redirected() {
    let (provider, client, browser) = ready().await;
    let request = || Authorization::of(&client);
    for (bad, error) in [
        (request().without("response_type"), "invalid_request"),
        (request().with("response_type", "token"), "unsupported_response_type"),
        (request().with("response_type", "code id_token"), "unsupported_response_type"),
        (request().with("response_mode", "fragment"), "invalid_request"),
        (request().without("scope"), "invalid_scope"),
        (request().with("scope", "nothing-we-know"), "invalid_scope"),
        (request().with("scope", "openid \"x\""), "invalid_scope"),
        (request().with("prompt", "none login"), "invalid_request"),
        (request().with("prompt", "create none"), "invalid_request"),
        (request().with("prompt", "none NONE"), "invalid_request"),
        (request().with("display", "hologram"), "invalid_request"),
        (request().with("max_age", "soon"), "invalid_request"),
        (request().with("max_age", "-1"), "invalid_request"),
        (request().with("request", "eyJhbGciOiJub25lIn0.e30."), "request_not_supported"),
        (request().with("request_uri", "https://reports.example/r"), "request_uri_not_supported"),
        (request().with("registration", "{}"), "registration_not_supported"),
        (request().and("nonce", "again"), "invalid_request"),
        (request().and("scope", "openid"), "invalid_request"),
        (request().with("prompt", "none"), "login_required"),
        (request().with("id_token_hint", "not.a.token"), "invalid_request"),
    ] {
        for page in [
            browser.cross_site_get(&bad.url(&provider)).await,
            provider.settle(&browser, browser.cross_site_post(&provider.url("/authorize"), &bad.fields()).await).await,
        ] {
            assert_eq!(page.status.as_u16(), 303, "{error}: {page}");
            let answer = Answer::of(&page, &client.redirect_uri);
            assert_eq!(answer.error(), error, "{answer:?}");
            assert_eq!(answer.get("state"), Some("the state"));
            assert_eq!(answer.get("iss"), Some(provider.issuer.as_str()));
            assert!(answer.get("error_description").is_some_and(str::is_ascii), "{answer:?}");
        }
    }
}

/// A doubled `state` cannot come back: neither value is the client's.
#[tokio::test]
async fn a_doubled_state_is_refused_and_not_repeated() {
    let (provider, client, browser) = ready().await;
    let page = Authorization::of(&client).and("state", "another").open(&provider, &browser).await;
    let answer = Answer::of(&page, &client.redirect_uri);
    assert_eq!((answer.error(), answer.get("state")), ("invalid_request", None));
}

/// A response type that the client's row does not have.
#[tokio::test]
async fn a_response_type_the_client_has_not_is_unauthorized() {
    let (provider, _, browser) = ready().await;
    let client = provider.add(NewClient::new("machine").with("response_types", "")).await;
    let page = Authorization::of(&client).open(&provider, &browser).await;
    assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "unauthorized_client");
}

/// OIDC Core 3.1.2.1: "Other parameters … MUST be ignored"; OIDC Core 15.1: these must not be errors.
#[tokio::test]
async fn unknown_and_merely_tolerated_parameters_change_nothing() {
    let (provider, client, browser) = ready().await;
    for (name, value) in [
        ("extra", "foobar"),
        ("ui_locales", "se fr-CA"),
        ("claims_locales", "de"),
        ("acr_values", "1 2 urn:mace:incommon:iap:silver"),
        ("display", "page"),
        ("display", "popup"),
        ("display", "touch"),
        ("display", "wap"),
        ("login_hint", "alice"),
        ("max_age", "10000"),
    ] {
        let answer = Authorization::of(&client).with(name, value).complete(&provider, &browser).await;
        assert!(!answer.code().is_empty(), "{name}");
    }
}

/// OIDC Core 3.1.2.1: without `openid` it is plain OAuth, and there is no `id_token`.
#[tokio::test]
async fn without_openid_there_is_no_id_token() {
    let (provider, client, browser) = ready().await;
    let answer = Authorization::of(&client).with("scope", "email").complete(&provider, &browser).await;
    let tokens = provider.redeem(&client, answer.code()).await.ok().json();
    assert!(tokens.get("id_token").is_none());
    assert_eq!(tokens["scope"], "email");
}

/// RFC 6749 section 3.3: what is granted may be less than what is asked for, and is said.
#[tokio::test]
async fn a_scope_the_client_may_not_have_is_left_out() {
    let (provider, client, browser) = ready().await;
    let request = Authorization::of(&client).with("scope", "openid email phone admin offline_access");
    let answer = request.complete(&provider, &browser).await;
    assert_eq!(provider.redeem(&client, answer.code()).await.ok().text("scope"), "openid email");
}

/// OIDC Core 3.1.2.1, `prompt=none`: no page is ever shown.
#[tokio::test]
async fn prompt_none_succeeds_signed_in_and_shows_nothing_otherwise() {
    let (provider, client, browser) = ready().await;
    let silent = Authorization::of(&client).with("prompt", "none");
    let page = browser.cross_site_get(&silent.url(&provider)).await;
    assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "login_required");
    let _ = provider.sign_in(&browser, &client).await;
    let page = browser.cross_site_get(&silent.url(&provider)).await;
    assert!(!Answer::of(&page, &client.redirect_uri).code().is_empty());

    let asking = provider.add(NewClient::new("asking")).await;
    let silent = Authorization::of(&asking).with("prompt", "none");
    let page = browser.cross_site_get(&silent.url(&provider)).await;
    assert_eq!(Answer::of(&page, &asking.redirect_uri).error(), "consent_required");
}

/// OIDC Core 3.1.2.1, `prompt`: a value that is not understood may be ignored, and the others beside it still count.
#[tokio::test]
async fn unknown_prompts_are_ignored_one_by_one() {
    let (provider, client, browser) = ready().await;
    let _ = provider.sign_in(&browser, &client).await;
    for (prompt, page) in [
        ("create", None),
        ("urn:example:nothing other", None),
        ("NONE", None),
        ("Login", None),
        ("create login", Some("/login")),
        ("login create", Some("/login")),
        ("create consent other", Some("/consent")),
        ("other select_account create", Some("/login")),
    ] {
        let shown = Authorization::of(&client).with("prompt", prompt).open(&provider, &browser).await;
        match page {
            None => assert!(!Answer::of(&shown, &client.redirect_uri).code().is_empty(), "{prompt}"),
            Some(path) => assert!(shown.url.path().ends_with(path), "{prompt}: {shown}"),
        }
    }
    for prompt in ["none create", "create none", "none login", "none consent create"] {
        let page = Authorization::of(&client).with("prompt", prompt).open(&provider, &browser).await;
        assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "invalid_request", "{prompt}");
    }
}

/// OIDC Core 3.1.2.1, `prompt=login`: asked again although signed in, and `auth_time` is later.
#[tokio::test]
async fn prompt_login_signs_in_again_and_auth_time_is_later() {
    let (provider, client, browser) = ready().await;
    let auth_time = async |request: Authorization| {
        let answer = request.complete(&provider, &browser).await;
        let tokens = provider.redeem(&client, answer.code()).await.ok();
        claims_of(&tokens.text("id_token"))["auth_time"].as_i64().unwrap()
    };
    let first = auth_time(Authorization::of(&client)).await;
    provider.travel(5);
    assert_eq!(auth_time(Authorization::of(&client)).await, first);
    let page = Authorization::of(&client).with("prompt", "login").open(&provider, &browser).await;
    assert!(page.url.path().ends_with("/login"), "{page}");
    assert!(auth_time(Authorization::of(&client).with("prompt", "login")).await >= first + 5);
}

/// OIDC Core 3.1.2.1, `max_age`.
#[tokio::test]
async fn max_age_signs_in_again_when_the_sign_in_is_older() {
    let (provider, client, browser) = ready().await;
    let _ = provider.sign_in(&browser, &client).await;
    provider.travel(20);
    let with = |max_age: &str| Authorization::of(&client).with("max_age", max_age);
    assert!(with("10000").open(&provider, &browser).await.status.is_redirection());
    assert!(with("1").open(&provider, &browser).await.url.path().ends_with("/login"));
    assert!(with("0").open(&provider, &browser).await.url.path().ends_with("/login"));
    let answer = with("1").complete(&provider, &browser).await;
    let tokens = provider.redeem(&client, answer.code()).await.ok();
    let claims = claims_of(&tokens.text("id_token"));
    assert!(provider.now() - claims["auth_time"].as_i64().unwrap() <= 2);
    provider.travel(20);
    let page = with("1").with("prompt", "none").open(&provider, &browser).await;
    assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "login_required");
}

/// OIDC Registration 2, `default_max_age`.
#[tokio::test]
async fn default_max_age_holds_where_max_age_is_not_sent() {
    let (provider, _, browser) = ready().await;
    let client = NewClient::new("strict").with("consent", "skip").with("default_max_age", "10");
    let client = provider.add(client).await;
    let _ = provider.sign_in(&browser, &client).await;
    assert!(Authorization::of(&client).open(&provider, &browser).await.status.is_redirection());
    provider.travel(20);
    assert!(Authorization::of(&client).open(&provider, &browser).await.url.path().ends_with("/login"));
}

/// OIDC Core 3.1.2.1, `prompt=select_account`: the person chooses, and needs no password to stay.
#[tokio::test]
async fn prompt_select_account_lets_the_person_stay_or_change() {
    let (provider, client, browser) = ready().await;
    provider.add_user(NewUser::named("bob")).await;
    let _ = provider.sign_in(&browser, &client).await;
    let request = Authorization::of(&client).with("prompt", "select_account");
    let page = request.open(&provider, &browser).await;
    let stay = page.forms().into_iter().find(|form| form.value("password").is_none()).unwrap();
    let page = provider.settle(&browser, browser.submit(stay, Some(("action", "continue"))).await).await;
    let answer = Answer::of(&page, &client.redirect_uri);
    let tokens = provider.redeem(&client, answer.code()).await.ok();
    assert_eq!(claims_of(&tokens.text("id_token"))["sub"], "alice-sub");

    let page = request.open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "bob", crate::support::provider::PASSWORD).await;
    let answer = Answer::of(&page, &client.redirect_uri);
    let tokens = provider.redeem(&client, answer.code()).await.ok();
    assert_eq!(claims_of(&tokens.text("id_token"))["sub"], "bob-sub");
}

/// OIDC Core 3.1.2.1, `id_token_hint`: a success for the person it names only; an expired one still names.
#[tokio::test]
async fn id_token_hint_is_answered_for_that_person_only() {
    let (provider, client, browser) = ready().await;
    provider.add_user(NewUser::named("bob")).await;
    let hint = provider.tokens(&browser, &client).await.text("id_token");
    provider.travel(3600);
    let silent = Authorization::of(&client).with("prompt", "none").with("id_token_hint", &hint);
    let page = silent.open(&provider, &browser).await;
    assert!(!Answer::of(&page, &client.redirect_uri).code().is_empty());

    let others = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &others).await;
    let _ = provider.type_in(&others, &page, "bob", crate::support::provider::PASSWORD).await;
    let page = silent.open(&provider, &others).await;
    assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "login_required");
    let page = Authorization::of(&client).with("id_token_hint", &hint).open(&provider, &others).await;
    assert!(page.url.path().ends_with("/login"), "{page}");
}

/// A hint must be ours, and this client's.
#[tokio::test]
async fn a_foreign_id_token_hint_is_refused() {
    let (provider, client, browser) = ready().await;
    let other = provider.client("other").await;
    let others = provider.tokens(&browser, &other).await.text("id_token");
    let own = provider.tokens(&browser, &client).await.text("id_token");
    let (head, signature) = own.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    for hint in [others, forged, "x".into()] {
        let page = Authorization::of(&client).with("id_token_hint", &hint).open(&provider, &browser).await;
        assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "invalid_request");
    }
}

/// OIDC Core 3.1.2.1, `login_hint`: the form is filled with it.
#[tokio::test]
async fn login_hint_fills_the_form() {
    let (provider, client, browser) = ready().await;
    let page = Authorization::of(&client).with("login_hint", "alice@example.com").open(&provider, &browser).await;
    assert_eq!(page.form("form").value("username"), Some("alice@example.com"));
}

/// RFC 9700 section 4.12: after a form the browser must not repeat it at the client.
#[tokio::test]
async fn redirects_are_303_and_never_kept() {
    let (provider, client, browser) = ready().await;
    let page = browser.cross_site_get(&Authorization::of(&client).url(&provider)).await;
    assert_eq!((page.status.as_u16(), page.header("cache-control")), (303, Some("no-store")));
    let _ = provider.sign_in(&browser, &client).await;
    let page = browser.cross_site_get(&Authorization::of(&client).url(&provider)).await;
    assert_eq!((page.status.as_u16(), page.header("cache-control")), (303, Some("no-store")));
    assert!(page.header("referrer-policy").is_some());
    assert!(page.header("access-control-allow-origin").is_none());
}
