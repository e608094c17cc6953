//! RFC 7662: token introspection.

use crate::support::verbs::{Auth, http, send};
use crate::support::{Api, Authorization, NewClient, TestClient, TestProvider, UserAgent};
use serde_json::json;

const API: &str = "https://api.example/";

async fn ready() -> (TestProvider, TestClient, TestClient) {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports").with("consent", "skip").with("scope", "openid email offline_access");
    let client = provider.add(client.with("grant_types", "authorization_code refresh_token")).await;
    provider.sql(&format!("INSERT INTO client_audiences VALUES ('reports', '{API}')")).await;
    let api = provider.add(NewClient::new("api").with("resource", API)).await;
    provider.alice().await;
    (provider, client, api)
}

async fn tokens(provider: &TestProvider, client: &TestClient) -> Api {
    let request = Authorization::of(client).with("scope", "openid email offline_access");
    let answer = request.complete(provider, &UserAgent::new()).await;
    provider.redeem(client, answer.code()).await.ok()
}

async fn introspect(provider: &TestProvider, caller: &TestClient, token: &str) -> serde_json::Value {
    let answer = provider.post("/introspect", caller.auth(), &[("token", token)]).await.ok();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()
}

/// Section 2.2: for the client that the token was issued to, and for the API in its `aud`.
#[tokio::test]
async fn the_tokens_client_and_the_api_in_its_aud_are_told() {
    for format in ["opaque", "jwt"] {
        let (provider, client, api) = ready().await;
        provider.sql(&format!("UPDATE clients SET access_token_format = '{format}'")).await;
        let token = tokens(&provider, &client).await.text("access_token");
        for caller in [&client, &api] {
            let answer = introspect(&provider, caller, &token).await;
            assert_eq!(answer["active"], true, "{format}");
            for (member, expected) in [
                ("scope", json!("openid email offline_access")),
                ("client_id", json!("reports")),
                ("token_type", json!("Bearer")),
                ("sub", json!("alice-sub")),
                ("aud", json!(API)),
                ("iss", json!(provider.issuer)),
            ] {
                assert_eq!(answer[member], expected, "{member}");
            }
            assert_eq!(answer["exp"].as_i64().unwrap() - answer["iat"].as_i64().unwrap(), 600);
        }
    }
}

/// Section 4: to any other client the token is inactive, and nothing more is said.
#[tokio::test]
async fn to_any_other_client_it_is_inactive() {
    let (provider, client, _) = ready().await;
    let token = tokens(&provider, &client).await;
    let stranger = provider.client("stranger").await;
    let other_api = provider.add(NewClient::new("other").with("resource", "https://api.example")).await;
    for caller in [&stranger, &other_api] {
        for member in ["access_token", "refresh_token"] {
            assert_eq!(introspect(&provider, caller, &token.text(member)).await, json!({"active": false}));
        }
    }
}

/// Section 2.2: unknown, expired, revoked, and what is no token at all.
#[tokio::test]
async fn what_is_not_good_is_inactive() {
    let (provider, client, _) = ready().await;
    let token = tokens(&provider, &client).await;
    let access = token.text("access_token");
    for bad in ["x", &access[..access.len() - 1], "hp_rt_x", &token.text("id_token"), "a.b.c"] {
        assert_eq!(introspect(&provider, &client, bad).await, json!({"active": false}), "{bad}");
    }
    provider.travel(600);
    assert_eq!(introspect(&provider, &client, &access).await, json!({"active": false}));
    let fresh = tokens(&provider, &client).await;
    let _ = provider.post("/revoke", client.auth(), &[("token", &fresh.text("refresh_token"))]).await.ok();
    for member in ["access_token", "refresh_token"] {
        assert_eq!(introspect(&provider, &client, &fresh.text(member)).await, json!({"active": false}));
    }
}

/// A refresh token, for its own client.
#[tokio::test]
async fn a_refresh_token_is_told_to_its_client_only() {
    let (provider, client, api) = ready().await;
    let first = tokens(&provider, &client).await.text("refresh_token");
    let answer = introspect(&provider, &client, &first).await;
    assert_eq!((answer["active"].as_bool(), answer["sub"].as_str()), (Some(true), Some("alice-sub")));
    assert!(answer.get("token_type").is_none());
    assert_eq!(introspect(&provider, &api, &first).await, json!({"active": false}));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", first.as_str())];
    let second = provider.post("/token", client.auth(), &fields).await.ok().text("refresh_token");
    assert_eq!(introspect(&provider, &client, &first).await, json!({"active": false}));
    assert_eq!(introspect(&provider, &client, &second).await["active"], true);
}

/// Section 2.1: the endpoint is protected; a public client cannot prove who it is.
#[tokio::test]
async fn the_caller_must_prove_who_it_is() {
    let (provider, client, _) = ready().await;
    let token = tokens(&provider, &client).await.text("access_token");
    let public = provider.add(NewClient::new("public").public()).await;
    for auth in [Auth::Nothing, Auth::Basic("reports", "wrong"), Auth::Bearer(&token), public.auth()] {
        let refused = provider.post("/introspect", auth, &[("token", &token)]).await;
        assert_eq!(refused.error(), (401, "invalid_client".into()));
        assert!(refused.header("www-authenticate").is_some());
    }
    assert_eq!(provider.post("/introspect", client.auth(), &[]).await.error(), (400, "invalid_request".into()));
    assert_eq!(send(http().get(provider.url("/introspect"))).await.status, 405);
}
