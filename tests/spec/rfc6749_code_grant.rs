//! RFC 6749 section 4.1.3 and 5, OIDC Core 3.1.3: redeeming a code at the token endpoint.

use crate::support::verbs::{Auth, http, send};
use crate::support::{Authorization, NewClient, TestClient, TestProvider, UserAgent, VERIFIER, claims_of};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashSet;

async fn ready() -> (TestProvider, TestClient, UserAgent) {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    (provider, client, UserAgent::new())
}

fn error(code: &str) -> (u16, String) {
    (if code == "invalid_client" { 401 } else { 400 }, code.to_owned())
}

/// RFC 6749 section 5.1; OIDC Core 3.1.3.3.
#[tokio::test]
async fn a_success_has_the_members_and_is_never_kept() {
    let (provider, client, browser) = ready().await;
    let tokens = provider.tokens(&browser, &client).await;
    let json = tokens.json();
    assert_eq!(json["token_type"], "Bearer");
    assert_eq!(json["expires_in"], 600);
    assert_eq!(json["scope"], "openid profile email");
    assert!(json["access_token"].as_str().unwrap().starts_with("hp_at_"));
    assert!(json.get("refresh_token").is_none());
    assert_eq!(tokens.header("content-type"), Some("application/json"));
    assert_eq!(tokens.header("cache-control"), Some("no-store"));
    assert_eq!(tokens.header("pragma"), Some("no-cache"));
}

/// RFC 6749 section 4.1.2: "MUST NOT be used more than once"; what it issued is revoked.
#[tokio::test]
async fn a_code_shown_twice_revokes_what_it_issued() {
    let (provider, client, browser) = ready().await;
    let answer = provider.sign_in(&browser, &client).await;
    let token = provider.redeem(&client, answer.code()).await.ok().text("access_token");
    let _ = provider.userinfo(&token).await.ok();
    let other = provider.tokens(&browser, &client).await.text("access_token");
    assert_eq!(provider.redeem(&client, answer.code()).await.error(), error("invalid_grant"));
    assert_eq!(provider.userinfo(&token).await.error(), (401, "invalid_token".into()));
    // A grant of the same person and client that has nothing to do with it stays.
    let _ = provider.userinfo(&other).await.ok();
}

/// The same after the code has expired: the tombstone outlasts the longest token.
#[tokio::test]
async fn a_code_shown_again_much_later_still_revokes() {
    let provider = TestProvider::with(&[("access_token_lifetime", "7200")]).await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let answer = provider.sign_in(&UserAgent::new(), &client).await;
    let token = provider.redeem(&client, answer.code()).await.ok().text("access_token");
    provider.travel(3600);
    let _ = provider.userinfo(&token).await.ok();
    assert_eq!(provider.redeem(&client, answer.code()).await.error(), error("invalid_grant"));
    assert_eq!(provider.userinfo(&token).await.error(), (401, "invalid_token".into()));
}

/// RFC 6749 section 10.5; RFC 9700 section 4.5: many at once, one wins, and its tokens are dead in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_who_show_one_code_at_once_one_wins_at_most_and_keeps_nothing() {
    let (provider, client, browser) = ready().await;
    let answer = provider.sign_in(&browser, &client).await;
    // The secret is proven once, so that the racers meet at the code and not at argon2.
    let _ = provider.tokens(&browser, &client).await;
    let racers = (0..64).map(|_| provider.redeem(&client, answer.code()));
    let answers = futures_util::future::join_all(racers).await;
    let winners: Vec<String> =
        answers.iter().filter(|answer| answer.status == 200).map(|answer| answer.text("access_token")).collect();
    assert_eq!(winners.len(), 1);
    assert!(
        answers.iter().filter(|answer| answer.status != 200).all(|answer| answer.error() == error("invalid_grant"))
    );
    assert_eq!(provider.userinfo(&winners[0]).await.error(), (401, "invalid_token".into()));
}

/// RFC 6749 section 4.1.2: "MUST expire shortly after it is issued".
#[tokio::test]
async fn a_code_expires() {
    let (provider, client, browser) = ready().await;
    let short = NewClient::new("short").with("consent", "skip").with("code_lifetime", "5");
    let short = provider.add(short).await;
    let (long_code, short_code) = (provider.sign_in(&browser, &client).await, provider.sign_in(&browser, &short).await);
    provider.travel(5);
    assert_eq!(provider.redeem(&short, short_code.code()).await.error(), error("invalid_grant"));
    provider.travel(50);
    let _ = provider.redeem(&client, long_code.code()).await.ok();
    let code = provider.sign_in(&browser, &client).await;
    provider.travel(60);
    assert_eq!(provider.redeem(&client, code.code()).await.error(), error("invalid_grant"));
}

/// RFC 6749 section 4.1.3: the code is bound to its client; a stranger finds nothing and burns nothing.
#[tokio::test]
async fn a_stranger_with_a_code_finds_nothing_and_burns_nothing() {
    let (provider, client, browser) = ready().await;
    let stranger = provider.client("stranger").await;
    let answer = provider.sign_in(&browser, &client).await;
    assert_eq!(provider.redeem(&stranger, answer.code()).await.error(), error("invalid_grant"));
    let _ = provider.redeem(&client, answer.code()).await.ok();
}

/// RFC 6749 section 4.1.3: `redirect_uri` must be the one of the request, and the failed attempt spends the code.
#[tokio::test]
async fn redirect_uri_must_be_repeated_exactly() {
    let (provider, _, browser) = ready().await;
    let uris = ["https://both.example/a", "https://both.example/b"];
    let client = provider.add(NewClient::new("both").with("consent", "skip").at(&uris)).await;
    for sent in [Some(uris[1]), Some("https://both.example/a/"), None] {
        let answer = provider.sign_in(&browser, &client).await;
        let mut fields =
            vec![("grant_type", "authorization_code"), ("code", answer.code()), ("code_verifier", VERIFIER)];
        fields.extend(sent.map(|uri| ("redirect_uri", uri)));
        assert_eq!(provider.post("/token", client.auth(), &fields).await.error(), error("invalid_grant"), "{sent:?}");
        assert_eq!(provider.redeem(&client, answer.code()).await.error(), error("invalid_grant"));
    }
}

/// RFC 6749 section 4.1.3: where the request had none, none is needed.
#[tokio::test]
async fn redirect_uri_may_be_left_out_where_the_request_had_none() {
    let (provider, client, browser) = ready().await;
    let request = Authorization::of(&client).without("redirect_uri").with("scope", "email");
    let answer = request.complete(&provider, &browser).await;
    let fields = [("grant_type", "authorization_code"), ("code", answer.code()), ("code_verifier", VERIFIER)];
    let _ = provider.post("/token", client.auth(), &fields).await.ok();
}

/// RFC 6749 section 5.2.
#[tokio::test]
async fn each_fault_has_its_error() {
    let (provider, client, _) = ready().await;
    for (fields, expected) in [
        (vec![], "invalid_request"),
        (vec![("grant_type", "password"), ("username", "alice"), ("password", "x")], "unsupported_grant_type"),
        (vec![("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")], "unsupported_grant_type"),
        (vec![("grant_type", "authorization_code")], "invalid_request"),
        (vec![("grant_type", "authorization_code"), ("code", "nonsense")], "invalid_grant"),
        (vec![("grant_type", "authorization_code"), ("code", "a"), ("code", "b")], "invalid_request"),
        (
            vec![("grant_type", "authorization_code"), ("grant_type", "authorization_code"), ("code", "b")],
            "invalid_request",
        ),
    ] {
        let refused = provider.post("/token", client.auth(), &fields).await;
        assert_eq!(refused.error(), error(expected), "{fields:?}");
        assert_eq!(refused.header("cache-control"), Some("no-store"));
        let json = refused.json();
        // RFC 6749 section 5.2 leaves out the quote and the backslash.
        let fits = |c: char| c.is_ascii() && !c.is_ascii_control() && c != '"' && c != '\\';
        assert!(json["error_description"].as_str().unwrap().chars().all(fits), "{json}");
    }
    let idle = provider.add(NewClient::new("idle").with("grant_types", "")).await;
    assert_eq!(provider.redeem(&idle, "x").await.error(), error("unauthorized_client"));
}

/// OIDC Core 9; RFC 6749 section 2.3.1, 5.2.
#[tokio::test]
async fn client_authentication_by_basic_post_or_not_at_all() {
    let (provider, client, browser) = ready().await;
    let secret = client.secret.clone().unwrap();
    let attempt = async |auth: Auth<'_>| {
        let answer = provider.sign_in(&browser, &client).await;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", answer.code()),
            ("redirect_uri", &client.redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        provider.post("/token", auth, &fields).await
    };
    let _ = attempt(Auth::Basic("reports", &secret)).await.ok();
    let _ = attempt(Auth::Post("reports", &secret)).await.ok();
    for bad in [
        Auth::Basic("reports", "wrong"),
        Auth::Post("reports", "wrong"),
        Auth::Basic("reports", ""),
        Auth::Basic("nobody", &secret),
        Auth::Post("nobody", &secret),
        Auth::Name("reports"),
        Auth::Name("nobody"),
        Auth::Bearer("token"),
        Auth::Nothing,
    ] {
        let refused = attempt(bad).await;
        assert_eq!(refused.error(), error("invalid_client"), "{bad:?}");
        assert!(refused.header("www-authenticate").unwrap().starts_with("Basic "), "{bad:?}");
    }
    let public = provider.add(NewClient::new("public").with("consent", "skip").public()).await;
    let answer = provider.sign_in(&browser, &public).await;
    let _ = provider.redeem(&public, answer.code()).await.ok();
    let answer = provider.sign_in(&browser, &public).await;
    let fields = [("grant_type", "authorization_code"), ("code", answer.code())];
    assert_eq!(provider.post("/token", Auth::Post("public", "x"), &fields).await.error(), error("invalid_client"));
}

/// RFC 6749 section 2.3: "MUST NOT use more than one authentication method in each request".
#[tokio::test]
async fn two_methods_at_once_are_refused() {
    let (provider, client, _) = ready().await;
    let secret = client.secret.clone().unwrap();
    for fields in [[("client_id", "reports"), ("client_secret", secret.as_str())], [("client_id", "other"), ("x", "y")]]
    {
        let refused = provider.post("/token", client.auth(), &fields).await;
        assert_eq!(refused.error(), error("invalid_request"));
    }
    // The id alone, the same as in the header, is what some libraries add.
    let fields = [("client_id", "reports"), ("grant_type", "authorization_code"), ("code", "x")];
    assert_eq!(provider.post("/token", client.auth(), &fields).await.error(), error("invalid_grant"));
}

/// RFC 6749 section 2.3.1: both parts are form-encoded; many libraries send them raw.
#[tokio::test]
async fn basic_is_read_as_the_rfc_says_and_raw_too() {
    let (provider, _, browser) = ready().await;
    let secret = "p%20e+r c:ent&ä/\"0123456789abcdef-0123456789";
    let client = provider.add(NewClient::new("odd").with("consent", "skip").secret(secret)).await;
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    for pair in [format!("odd:{encoded}"), format!("odd:{secret}")] {
        let answer = provider.sign_in(&browser, &client).await;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code").append_pair("code", answer.code());
        form.append_pair("redirect_uri", &client.redirect_uri).append_pair("code_verifier", VERIFIER);
        let request = http()
            .post(provider.url("/token"))
            .header("authorization", format!("basic {}", STANDARD.encode(&pair)))
            .header("content-type", "application/x-www-form-urlencoded; charset=UTF-8");
        let _ = send(request.body(form.finish())).await.ok();
    }
}

/// RFC 6749 section 2.3.1: raw, the first colon would end the `client_id`.
#[tokio::test]
async fn a_client_id_with_a_colon_comes_encoded_by_basic_or_in_the_body() {
    let (provider, _, browser) = ready().await;
    let id = "urn:example:app";
    let client = NewClient::new(id).with("consent", "skip").at(&["https://app.example/callback"]);
    let client = provider.add(client).await;
    let secret = client.secret.as_deref().unwrap();
    let encoded: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    assert_eq!(encoded, "urn%3Aexample%3Aapp");
    let redeem = async |basic: Option<String>, in_body: &[(&str, &str)]| {
        let answer = provider.sign_in(&browser, &client).await;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code").append_pair("code", answer.code());
        form.append_pair("redirect_uri", &client.redirect_uri).append_pair("code_verifier", VERIFIER);
        form.extend_pairs(in_body);
        let mut request = http().post(provider.url("/token"));
        if let Some(pair) = basic {
            request = request.header("authorization", format!("Basic {}", STANDARD.encode(pair)));
        }
        send(request.header("content-type", "application/x-www-form-urlencoded").body(form.finish())).await
    };
    let by_basic = redeem(Some(format!("{encoded}:{secret}")), &[]).await.ok();
    assert_eq!(claims_of(&by_basic.text("id_token"))["aud"], id);
    let _ = redeem(Some(format!("{encoded}:{secret}")), &[("client_id", id)]).await.ok();
    let by_post = redeem(None, &[("client_id", id), ("client_secret", secret)]).await.ok();
    assert_eq!(claims_of(&by_post.text("id_token"))["aud"], id);
    let raw = redeem(Some(format!("{id}:{secret}")), &[]).await;
    assert_eq!(raw.error(), (401, "invalid_client".into()));
    // The other API endpoints read it alike.
    let token = by_post.text("access_token");
    for path in ["/introspect", "/revoke"] {
        let request = http().post(provider.url(path)).form(&[("token", token.as_str())]);
        let request =
            request.header("authorization", format!("Basic {}", STANDARD.encode(format!("{encoded}:{secret}"))));
        let _ = send(request).await.ok();
    }
}

/// A proven secret costs no hash again; a wrong one always does.
#[tokio::test]
async fn a_secret_is_hashed_once() {
    let (provider, client, _) = ready().await;
    let before = provider.provider.passwords.computed();
    for _ in 0..3 {
        let _ = provider.redeem(&client, "x").await;
    }
    assert_eq!(provider.provider.passwords.computed(), before + 1);
    for _ in 0..2 {
        let fields = [("grant_type", "authorization_code"), ("code", "x")];
        let _ = provider.post("/token", Auth::Basic("reports", "wrong"), &fields).await;
    }
    assert_eq!(provider.provider.passwords.computed(), before + 3);
}

/// RFC 6749 section 3.2: POST with a form, nothing in the query, nothing else.
#[tokio::test]
async fn only_a_posted_form_is_read() {
    let (provider, _, _) = ready().await;
    let get = send(http().get(provider.url("/token"))).await;
    assert_eq!((get.status.as_u16(), get.header("allow")), (405, Some("POST")));
    let json = http().post(provider.url("/token")).header("content-type", "application/json").body("{}");
    assert_eq!(send(json).await.error(), error("invalid_request"));
    let huge = http().post(provider.url("/token")).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(send(huge.body("a=".to_owned() + &"b".repeat(200_000))).await.error(), error("invalid_request"));
    let broken = http().post(provider.url("/token")).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(send(broken.body("grant_type=%ff")).await.error(), error("invalid_request"));
}

/// OIDC Core 3.1.3.2 and RFC 6819 5.1.5.2: nothing for an account that ended meanwhile.
#[tokio::test]
async fn a_disabled_person_gets_no_tokens_for_a_code() {
    let (provider, client, browser) = ready().await;
    let answer = provider.sign_in(&browser, &client).await;
    provider.sql("UPDATE users SET disabled_at = 1").await;
    provider.travel(10);
    assert_eq!(provider.redeem(&client, answer.code()).await.error(), error("invalid_grant"));
}

/// RFC 6749 section 10.10: nothing is issued twice.
#[tokio::test]
async fn every_code_and_token_is_another() {
    let (provider, client, browser) = ready().await;
    let mut seen = HashSet::new();
    for _ in 0..5 {
        let answer = provider.sign_in(&browser, &client).await;
        assert!(seen.insert(answer.code().to_owned()));
        let tokens = provider.redeem(&client, answer.code()).await.ok();
        assert!(seen.insert(tokens.text("access_token")));
        assert!(seen.insert(tokens.text("id_token")));
    }
}

/// A token issued at one node is good at another, and one code is spent for both.
#[tokio::test]
async fn two_nodes_share_what_they_issue() {
    if crate::support::stores() == crate::support::Stores::Embedded {
        // One process is all that the in-process store can serve; the run on servers has this case.
        return;
    }
    let (provider, client, browser) = ready().await;
    let second = provider.second_node().await;
    let answer = provider.sign_in(&browser, &client).await;
    let direct = |node: &TestProvider| format!("http://{}", node.address);
    let redeem = async |node: &TestProvider| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code").append_pair("code", answer.code());
        form.append_pair("redirect_uri", &client.redirect_uri).append_pair("code_verifier", VERIFIER);
        form.append_pair("client_id", "reports").append_pair("client_secret", client.secret.as_deref().unwrap());
        let request = http().post(format!("{}/token", direct(node)));
        send(request.header("content-type", "application/x-www-form-urlencoded").body(form.finish())).await
    };
    let token = redeem(&second).await.ok().text("access_token");
    let _ = provider.userinfo(&token).await.ok();
    assert_eq!(redeem(&provider).await.error(), error("invalid_grant"));
    let at_second =
        http().get(format!("{}/userinfo", direct(&second))).header("authorization", format!("Bearer {token}"));
    assert_eq!(send(at_second).await.error(), (401, "invalid_token".into()));
}
