//! OIDC Core 5.1, 5.3 and 5.4: userinfo and the standard claims.

use crate::support::verbs::Auth;
use crate::support::{Authorization, NewClient, NewUser, TestClient, TestProvider, UserAgent};
use serde_json::json;

const ALL: &str = "openid profile email address phone";

async fn full() -> (TestProvider, TestClient) {
    let provider = TestProvider::start().await;
    let client = provider.add(NewClient::new("reports").with("consent", "skip").with("scope", ALL)).await;
    let mut user = NewUser::alice();
    for (column, value) in [
        ("middle_name", "M."),
        ("nickname", "Al"),
        ("preferred_username", "ally"),
        ("profile", "https://alice.example/"),
        ("picture", "https://alice.example/p.png"),
        ("website", "https://alice.example/w"),
        ("gender", "female"),
        ("birthdate", "1980-01-02"),
        ("zoneinfo", "Europe/Berlin"),
        ("locale", "de-DE"),
        ("phone_number", "+49 30 1"),
        ("phone_number_verified_at", "1700000002"),
        ("address_formatted", "Unter den Linden 1\nBerlin"),
        ("address_street_address", "Unter den Linden 1"),
        ("address_locality", "Berlin"),
        ("address_region", "BE"),
        ("address_postal_code", "10117"),
        ("address_country", "DE"),
    ] {
        user = user.with(column, value);
    }
    provider.add_user(user).await;
    (provider, client)
}

async fn token(provider: &TestProvider, client: &TestClient, scope: &str) -> String {
    let answer = Authorization::of(client).with("scope", scope).complete(provider, &UserAgent::new()).await;
    provider.redeem(client, answer.code()).await.ok().text("access_token")
}

/// Section 5.1: every standard claim with its own type.
#[tokio::test]
async fn every_standard_claim_has_its_type() {
    let (provider, client) = full().await;
    let token = token(&provider, &client, ALL).await;
    let claims = provider.userinfo(&token).await.ok().json();
    assert_eq!(
        claims,
        json!({
            "sub": "alice-sub", "name": "Alice Example", "given_name": "Alice", "family_name": "Example", "middle_name": "M.",
            "nickname": "Al", "preferred_username": "ally", "profile": "https://alice.example/",
            "picture": "https://alice.example/p.png", "website": "https://alice.example/w", "gender": "female",
            "birthdate": "1980-01-02", "zoneinfo": "Europe/Berlin", "locale": "de-DE", "updated_at": 1_700_000_001,
            "email": "alice@example.com", "email_verified": true, "phone_number": "+49 30 1", "phone_number_verified": true,
            "address": {"formatted": "Unter den Linden 1\nBerlin", "street_address": "Unter den Linden 1",
                "locality": "Berlin", "region": "BE", "postal_code": "10117", "country": "DE"},
        })
    );
}

/// Section 5.4: a scope opens its claims and no others.
#[tokio::test]
async fn a_scope_opens_its_claims_only() {
    let (provider, client) = full().await;
    for (scope, expected) in [
        ("openid", json!({"sub": "alice-sub"})),
        ("openid email", json!({"sub": "alice-sub", "email": "alice@example.com", "email_verified": true})),
        ("openid phone", json!({"sub": "alice-sub", "phone_number": "+49 30 1", "phone_number_verified": true})),
    ] {
        let token = token(&provider, &client, scope).await;
        assert_eq!(provider.userinfo(&token).await.ok().json(), expected);
    }
    let address = token(&provider, &client, "openid address").await;
    assert_eq!(provider.userinfo(&address).await.ok().json()["address"]["country"], "DE");
}

/// Section 5.3.2: what is not known is left out, never null or empty.
#[tokio::test]
async fn what_is_not_known_is_left_out() {
    let provider = TestProvider::start().await;
    let client = provider.add(NewClient::new("reports").with("consent", "skip").with("scope", ALL)).await;
    provider.add_user(NewUser::named("alice")).await;
    let token = token(&provider, &client, ALL).await;
    let claims = provider.userinfo(&token).await.ok().json();
    let names: Vec<&String> = claims.as_object().unwrap().keys().collect();
    assert!(
        !names.iter().any(|name| ["address", "phone_number", "name", "phone_number_verified"].contains(&name.as_str()))
    );
    assert_eq!(claims["preferred_username"], "alice");
}

/// Section 5.3.1: GET, POST with the header, POST with the token in the body.
#[tokio::test]
async fn get_and_post_are_both_served() {
    let (provider, client) = full().await;
    let token = token(&provider, &client, "openid").await;
    let expected = json!({"sub": "alice-sub"});
    let get = provider.userinfo(&token).await.ok();
    assert_eq!(get.json(), expected);
    assert_eq!(get.header("content-type"), Some("application/json"));
    assert_eq!(get.header("cache-control"), Some("no-store"));
    assert_eq!(provider.post("/userinfo", Auth::Bearer(&token), &[]).await.ok().json(), expected);
    let in_body = provider.post("/userinfo", Auth::Nothing, &[("access_token", &token)]).await.ok();
    assert_eq!(in_body.json(), expected);
}

/// Changed by SQL, seen within ten seconds.
#[tokio::test]
async fn claims_are_those_of_now() {
    let (provider, client) = full().await;
    let token = token(&provider, &client, "openid email").await;
    provider.sql("UPDATE users SET email = 'new@example.com', email_verified_at = NULL").await;
    provider.travel(10);
    let claims = provider.userinfo(&token).await.ok().json();
    assert_eq!(claims, json!({"sub": "alice-sub", "email": "new@example.com", "email_verified": false}));
}

/// A single-page application reads it from its own origin, never with cookies.
#[tokio::test]
async fn a_browser_client_may_read_it() {
    let (provider, client) = full().await;
    let token = token(&provider, &client, "openid").await;
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("origin", "https://spa.example")];
    let answer = provider.get("/userinfo", &headers).await.ok();
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(answer.header("access-control-allow-credentials").is_none());
}
