//! RFC 7636: Proof Key for Code Exchange.

use crate::support::{Answer, Authorization, NewClient, TestClient, TestProvider, UserAgent, VERIFIER};

async fn redeem_with(
    provider: &TestProvider,
    client: &TestClient,
    code: &str,
    verifier: Option<&str>,
) -> (u16, String) {
    let mut fields = vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", &client.redirect_uri)];
    fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
    let answer = provider.post("/token", client.auth(), &fields).await;
    if answer.status == 200 { (200, String::new()) } else { answer.error() }
}

async fn ready() -> (TestProvider, TestClient, UserAgent) {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    (provider, client, UserAgent::new())
}

/// Section 4.6.
#[tokio::test]
async fn a_code_is_redeemed_with_its_verifier_only() {
    let (provider, client, browser) = ready().await;
    let upper = VERIFIER.to_uppercase();
    for verifier in [Some("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXx"), Some(upper.as_str()), None] {
        let code = provider.sign_in(&browser, &client).await;
        let refused = redeem_with(&provider, &client, code.code(), verifier).await;
        assert_eq!(refused, (400, "invalid_grant".into()), "{verifier:?}");
        // The attempt has spent the code (RFC 9700 section 4.5).
        assert_eq!(redeem_with(&provider, &client, code.code(), Some(VERIFIER)).await.0, 400);
    }
    let code = provider.sign_in(&browser, &client).await;
    assert_eq!(redeem_with(&provider, &client, code.code(), Some(VERIFIER)).await.0, 200);
}

/// Section 4.1: 43 to 128 characters of the unreserved ones.
#[tokio::test]
async fn a_malformed_verifier_is_refused() {
    let (provider, client, browser) = ready().await;
    let long = "a".repeat(129);
    for verifier in ["short", long.as_str(), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjX "] {
        let code = provider.sign_in(&browser, &client).await;
        let (status, error) = redeem_with(&provider, &client, code.code(), Some(verifier)).await;
        assert_eq!(status, 400);
        assert!(["invalid_grant", "invalid_request"].contains(&error.as_str()), "{error}");
    }
}

/// Section 4.4.1: the error of a request whose challenge is missing or not one of ours.
#[tokio::test]
async fn a_missing_plain_or_malformed_challenge_is_refused() {
    let (provider, client, browser) = ready().await;
    let request = || Authorization::of(&client);
    for bad in [
        request().without("code_challenge").without("code_challenge_method"),
        request().without("code_challenge_method"),
        request().with("code_challenge_method", "plain"),
        request().with("code_challenge_method", "s256"),
        request().without("code_challenge"),
        request().with("code_challenge", "short"),
        request().with("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c!"),
        request().and("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
    ] {
        let page = bad.open(&provider, &browser).await;
        assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "invalid_request");
    }
}

/// RFC 9700 section 2.1.1: optional only by the row of a confidential client; a public one must always.
#[tokio::test]
async fn a_row_can_make_pkce_optional_for_a_confidential_client_only() {
    let (provider, _, browser) = ready().await;
    let old = provider.add(NewClient::new("old").with("consent", "skip").with("pkce", "optional")).await;
    let plain = Authorization::of(&old).without("code_challenge").without("code_challenge_method");
    let answer = plain.complete(&provider, &browser).await;
    assert_eq!(redeem_with(&provider, &old, answer.code(), None).await.0, 200);
    let public = NewClient::new("public").with("consent", "skip").with("pkce", "optional").public();
    let public = provider.add(public).await;
    let plain = Authorization::of(&public).without("code_challenge").without("code_challenge_method");
    let page = plain.open(&provider, &browser).await;
    assert_eq!(Answer::of(&page, &public.redirect_uri).error(), "invalid_request");
}

/// RFC 9700 section 4.8.2: a verifier where there was no challenge is a stolen code.
#[tokio::test]
async fn a_verifier_without_a_challenge_is_refused() {
    let (provider, _, browser) = ready().await;
    let old = provider.add(NewClient::new("old").with("consent", "skip").with("pkce", "optional")).await;
    let plain = Authorization::of(&old).without("code_challenge").without("code_challenge_method");
    let answer = plain.complete(&provider, &browser).await;
    assert_eq!(redeem_with(&provider, &old, answer.code(), Some(VERIFIER)).await, (400, "invalid_grant".into()));
}

/// RFC 9700 section 2.6: a code that can be read on the way is worth nothing without its verifier.
#[tokio::test]
async fn an_address_by_plain_http_demands_pkce_whatever_the_row_says() {
    let (provider, _, browser) = ready().await;
    let optional = |id: &str, uri: &str| NewClient::new(id).with("consent", "skip").with("pkce", "optional").at(&[uri]);
    for (id, uri, is_demanded) in [
        ("printer", "http://printer.lan/cb", true),
        ("nas", "http://192.168.1.20:8080/cb", true),
        ("loopback", "http://127.0.0.1:8080/cb", false),
        ("https", "https://printer.lan/cb", false),
    ] {
        let client = provider.add(optional(id, uri)).await;
        let request = Authorization::of(&client);
        let with = request.clone().complete(&provider, &browser).await;
        assert_eq!(redeem_with(&provider, &client, with.code(), Some(VERIFIER)).await.0, 200, "{id}");
        let page = request.without("code_challenge").without("code_challenge_method").open(&provider, &browser).await;
        let answer = Answer::of(&page, uri);
        assert_eq!(answer.get("error"), is_demanded.then_some("invalid_request"), "{id}");
    }
    // One such address among others is enough: which one is taken is the requester's choice.
    let both =
        provider.add(optional("both", "https://a.example/cb").at(&["https://a.example/cb", "http://a.lan/cb"])).await;
    let request = Authorization::of(&both).without("code_challenge").without("code_challenge_method");
    let page = request.open(&provider, &browser).await;
    assert_eq!(Answer::of(&page, "https://a.example/cb").error(), "invalid_request");
}
