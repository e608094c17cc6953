//! RFC 6750: bearer tokens at userinfo.

use crate::support::verbs::{Auth, http, send};
use crate::support::{Authorization, TestClient, TestProvider, UserAgent};

async fn ready() -> (TestProvider, TestClient, String) {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let token = provider.tokens(&UserAgent::new(), &client).await.text("access_token");
    (provider, client, token)
}

/// Section 3.1: without any token, a bare challenge and no error code.
#[tokio::test]
async fn no_token_gets_a_bare_challenge() {
    let (provider, ..) = ready().await;
    let answer = provider.get("/userinfo", &[]).await;
    assert_eq!(answer.status, 401);
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer") && !challenge.contains("error"), "{challenge}");
    assert_eq!(answer.body, "");
}

/// Section 3.1, `invalid_token`: unknown, malformed, expired.
#[tokio::test]
async fn a_token_that_is_not_good_is_invalid_token() {
    let (provider, _, token) = ready().await;
    let cut = &token[..token.len() - 1];
    let other = format!("{cut}{}", if token.ends_with('A') { 'B' } else { 'A' });
    for bad in ["nonsense", "hp_at_", cut, &other, "eyJhbGciOiJub25lIn0.e30."] {
        let answer = provider.userinfo(bad).await;
        assert_eq!(answer.error(), (401, "invalid_token".into()), "{bad}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
    let _ = provider.userinfo(&token).await.ok();
    provider.travel(600);
    assert_eq!(provider.userinfo(&token).await.error(), (401, "invalid_token".into()));
}

/// Section 3.1, `insufficient_scope`.
#[tokio::test]
async fn a_token_without_openid_is_insufficient() {
    let (provider, client, _) = ready().await;
    let answer = Authorization::of(&client).with("scope", "email").complete(&provider, &UserAgent::new()).await;
    let token = provider.redeem(&client, answer.code()).await.ok().text("access_token");
    let refused = provider.userinfo(&token).await;
    assert_eq!(refused.error(), (403, "insufficient_scope".into()));
    assert!(refused.header("www-authenticate").unwrap().contains("error=\"insufficient_scope\""));
}

/// Section 2: one method at a time; RFC 9700 section 4.3.2: never in the query.
#[tokio::test]
async fn two_places_or_the_query_are_invalid_request() {
    let (provider, _, token) = ready().await;
    let both = provider.post("/userinfo", Auth::Bearer(&token), &[("access_token", &token)]).await;
    assert_eq!(both.error(), (400, "invalid_request".into()));
    let in_query = provider.get(&format!("/userinfo?access_token={token}"), &[]).await;
    assert_eq!(in_query.error(), (400, "invalid_request".into()));
    let twice = provider.post("/userinfo", Auth::Nothing, &[("access_token", &token), ("access_token", &token)]).await;
    assert_eq!(twice.error(), (400, "invalid_request".into()));
    for bad in ["Bearer", "bearer  "] {
        let answer = provider.get("/userinfo", &[("authorization", bad)]).await;
        assert_eq!(answer.error(), (400, "invalid_request".into()), "{bad}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer "));
    }
}

/// Section 3.1: who "attempted using an unsupported authentication method" is told what is supported, and of no error.
#[tokio::test]
async fn another_scheme_gets_a_bare_challenge() {
    let (provider, _, token) = ready().await;
    for other in ["Basic YTpi", "Token abc", "Digest", &format!("DPoP {token}"), ""] {
        let answer = provider.get("/userinfo", &[("authorization", other)]).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (401, ""), "{other}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"hallpass\""), "{other}");
    }
}

/// RFC 9110 section 11.1: the scheme's case is free.
#[tokio::test]
async fn the_scheme_may_have_any_case() {
    let (provider, _, token) = ready().await;
    for scheme in ["bearer", "BEARER"] {
        let _ = provider.get("/userinfo", &[("authorization", &format!("{scheme} {token}"))]).await.ok();
    }
}

/// Section 5.2: what a disabled client or person was given is dead.
#[tokio::test]
async fn a_token_ends_with_its_client_or_person() {
    for sql in [
        "UPDATE clients SET disabled_at = 1",
        "UPDATE users SET disabled_at = 1",
        "UPDATE users SET tokens_valid_after = 4000000000",
        "UPDATE clients SET tokens_valid_after = 4000000000",
        "DELETE FROM users",
    ] {
        let (provider, _, token) = ready().await;
        provider.sql(sql).await;
        provider.travel(10);
        assert_eq!(provider.userinfo(&token).await.error(), (401, "invalid_token".into()), "{sql}");
    }
}

/// Other methods.
#[tokio::test]
async fn other_methods_are_not_allowed() {
    let (provider, ..) = ready().await;
    let answer = send(http().put(provider.url("/userinfo"))).await;
    assert_eq!(answer.status, 405);
    let allow = answer.header("allow").unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
}
