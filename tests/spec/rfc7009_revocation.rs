//! RFC 7009: token revocation.

use crate::support::verbs::{Auth, http, send};
use crate::support::{Authorization, NewClient, TestClient, TestProvider, UserAgent};

async fn ready() -> (TestProvider, TestClient, serde_json::Value) {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports").with("consent", "skip").with("scope", "openid offline_access");
    let client = provider.add(client.with("grant_types", "authorization_code refresh_token")).await;
    provider.alice().await;
    let tokens = start(&provider, &client).await;
    (provider, client, tokens)
}

async fn start(provider: &TestProvider, client: &TestClient) -> serde_json::Value {
    let request = Authorization::of(client).with("scope", "openid offline_access");
    let answer = request.complete(provider, &UserAgent::new()).await;
    provider.redeem(client, answer.code()).await.ok().json()
}

fn text<'a>(tokens: &'a serde_json::Value, member: &str) -> &'a str {
    tokens[member].as_str().unwrap()
}

/// Section 2.1: a refresh token takes the whole grant with it.
#[tokio::test]
async fn a_revoked_refresh_token_takes_the_whole_grant_with_it() {
    let (provider, client, tokens) = ready().await;
    let other = start(&provider, &client).await;
    let fields = [("token", text(&tokens, "refresh_token")), ("token_type_hint", "refresh_token")];
    let answer = provider.post("/revoke", client.auth(), &fields).await.ok();
    assert_eq!((answer.body.as_str(), answer.header("cache-control")), ("", Some("no-store")));
    assert_eq!(provider.userinfo(text(&tokens, "access_token")).await.error().0, 401);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
    assert_eq!(provider.post("/token", client.auth(), &refresh).await.error(), (400, "invalid_grant".into()));
    let _ = provider.userinfo(text(&other, "access_token")).await.ok();
}

/// Section 2.1: an access token goes alone.
#[tokio::test]
async fn a_revoked_access_token_goes_alone() {
    for format in ["opaque", "jwt"] {
        let (provider, client, _) = ready().await;
        provider.sql(&format!("UPDATE clients SET access_token_format = '{format}'")).await;
        provider.travel(10);
        let tokens = start(&provider, &client).await;
        let _ = provider.userinfo(text(&tokens, "access_token")).await.ok();
        // A wrong hint does not mislead.
        let fields = [("token", text(&tokens, "access_token")), ("token_type_hint", "refresh_token")];
        let _ = provider.post("/revoke", client.auth(), &fields).await.ok();
        assert_eq!(provider.userinfo(text(&tokens, "access_token")).await.error().0, 401, "{format}");
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
        let _ = provider.post("/token", client.auth(), &refresh).await.ok();
    }
}

/// Section 2.2: what is not known is answered like what was revoked.
#[tokio::test]
async fn an_unknown_token_is_a_success() {
    let (provider, client, tokens) = ready().await;
    let known = text(&tokens, "access_token");
    for token in ["x", "hp_at_x", "hp_rt_x", "a.b.c", &known[..known.len() - 1]] {
        let _ = provider.post("/revoke", client.auth(), &[("token", token), ("token_type_hint", "unknown")]).await.ok();
    }
    for _ in 0..2 {
        let _ = provider.post("/revoke", client.auth(), &[("token", known)]).await.ok();
    }
}

/// Section 2.1: another client's token is refused and lives on.
#[tokio::test]
async fn another_clients_token_is_refused_and_lives_on() {
    let (provider, client, tokens) = ready().await;
    let stranger = provider.client("stranger").await;
    for member in ["access_token", "refresh_token"] {
        let refused = provider.post("/revoke", stranger.auth(), &[("token", text(&tokens, member))]).await;
        assert_eq!(refused.error(), (400, "invalid_grant".into()));
    }
    let _ = provider.userinfo(text(&tokens, "access_token")).await.ok();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
    let _ = provider.post("/token", client.auth(), &refresh).await.ok();
}

/// Section 2.1, 2.2.1: the client proves itself, a public one by its name; and the other faults.
#[tokio::test]
async fn the_client_authenticates_and_faults_are_those_of_rfc_6749() {
    let (provider, client, tokens) = ready().await;
    for auth in [Auth::Nothing, Auth::Basic("reports", "wrong"), Auth::Name("reports")] {
        let refused = provider.post("/revoke", auth, &[("token", text(&tokens, "access_token"))]).await;
        assert_eq!(refused.error(), (401, "invalid_client".into()));
    }
    assert_eq!(provider.post("/revoke", client.auth(), &[]).await.error(), (400, "invalid_request".into()));
    let twice = [("token", "a"), ("token", "b")];
    assert_eq!(provider.post("/revoke", client.auth(), &twice).await.error(), (400, "invalid_request".into()));
    assert_eq!(send(http().get(provider.url("/revoke"))).await.status, 405);
    let public = provider.add(NewClient::new("public").with("consent", "skip").public()).await;
    let token = provider.tokens(&UserAgent::new(), &public).await.text("access_token");
    let _ = provider.post("/revoke", public.auth(), &[("token", &token)]).await.ok();
    assert_eq!(provider.userinfo(&token).await.error().0, 401);
}

/// A single-page application signs out from its own origin.
#[tokio::test]
async fn a_browser_client_may_revoke() {
    let (provider, ..) = ready().await;
    let request =
        http().request(reqwest::Method::OPTIONS, provider.url("/revoke")).header("origin", "https://spa.example");
    let answer = send(request.header("access-control-request-method", "POST")).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let refused = send(http().post(provider.url("/introspect")).header("origin", "https://spa.example")).await;
    assert!(refused.header("access-control-allow-origin").is_none(), "an API has no browser");
}
