//! OIDC Core 5.5: the `claims` parameter, and `acr` (5.5.1.1).

use crate::support::provider::PASSWORD;
use crate::support::{Answer, Authorization, NewClient, NewUser, TestClient, TestProvider, UserAgent, claims_of};
use serde_json::{Value, json};

async fn ready() -> (TestProvider, TestClient, UserAgent) {
    let provider = TestProvider::start().await;
    let client = NewClient::new("reports").with("consent", "skip").with("scope", "openid profile email phone");
    let client = provider.add(client).await;
    provider.add_user(NewUser::alice().with("phone_number", "+49 30 1").with("nickname", "Al")).await;
    (provider, client, UserAgent::new())
}

async fn both(provider: &TestProvider, client: &TestClient, browser: &UserAgent, claims: &Value) -> (Value, Value) {
    let request = Authorization::of(client).with("scope", "openid").with("claims", &claims.to_string());
    let answer = request.complete(provider, browser).await;
    let tokens = provider.redeem(client, answer.code()).await.ok();
    let userinfo = provider.userinfo(&tokens.text("access_token")).await.ok().json();
    (claims_of(&tokens.text("id_token")), userinfo)
}

/// 5.5: `null`, `essential`, in the place that was asked for and nowhere else.
#[tokio::test]
async fn a_claim_is_given_where_it_is_asked_for() {
    let (provider, client, browser) = ready().await;
    let wish = json!({"userinfo": {"name": {"essential": true}, "nickname": null}, "id_token": {"email": {"essential": true}}});
    let (id_token, userinfo) = both(&provider, &client, &browser, &wish).await;
    assert_eq!(userinfo, json!({"sub": "alice-sub", "name": "Alice Example", "nickname": "Al"}));
    assert_eq!(id_token["email"], "alice@example.com");
    assert!(id_token.get("name").is_none());
}

/// 5.5.1: a claim that is not known is left out, essential or not, and unknown members are ignored.
#[tokio::test]
async fn what_is_not_known_is_left_out() {
    let (provider, client, browser) = ready().await;
    let wish = json!({"userinfo": {"website": {"essential": true}, "http://x.example/groups": null, "name": {"value": "Bob", "other": 1}}, "elsewhere": {"x": 1}});
    let (_, userinfo) = both(&provider, &client, &browser, &wish).await;
    assert_eq!(userinfo, json!({"sub": "alice-sub", "name": "Alice Example"}));
}

/// The client's row is the most it can be given, however it asks.
#[tokio::test]
async fn a_claim_beyond_the_clients_scope_is_not_given() {
    let (provider, _, browser) = ready().await;
    let narrow = provider.add(NewClient::new("narrow").with("consent", "skip").with("scope", "openid email")).await;
    let wish = json!({"userinfo": {"phone_number": {"essential": true}, "email": null}});
    let (_, userinfo) = both(&provider, &narrow, &browser, &wish).await;
    assert_eq!(userinfo, json!({"sub": "alice-sub", "email": "alice@example.com"}));
}

/// What the claims tell is named on the consent page. It holds for that request: what is remembered are scopes, and none of
/// which no more than a claim was shown.
#[tokio::test]
async fn the_person_is_asked_about_single_claims_too() {
    let (provider, _, browser) = ready().await;
    let asking = provider.add(NewClient::new("asking").with("scope", "openid phone email")).await;
    let plain = Authorization::of(&asking).with("scope", "openid");
    let _ = plain.complete(&provider, &browser).await;
    let wish = json!({"userinfo": {"phone_number": null}}).to_string();
    let page = plain.clone().with("claims", &wish).open(&provider, &browser).await;
    assert!(page.url.path().ends_with("/consent") && page.text().contains("Your phone number"), "{page}");
    let _ = plain.clone().with("claims", &wish).complete(&provider, &browser).await;
    let page = plain.with("claims", &wish).open(&provider, &browser).await;
    assert!(page.url.path().ends_with("/consent") && page.text().contains("Your phone number"), "{page}");
}

/// 5.5: not JSON, or not of that shape.
#[tokio::test]
async fn a_malformed_parameter_is_invalid_request() {
    let (provider, client, browser) = ready().await;
    let deep = "{\"userinfo\":".repeat(400);
    for bad in ["x", "[]", "{\"userinfo\": 1}", "{\"id_token\": {\"acr\": {\"values\": \"1\"}}}", &deep] {
        let page = Authorization::of(&client).with("claims", bad).open(&provider, &browser).await;
        assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "invalid_request", "{bad:.40}");
    }
}

/// 5.5.1: `sub` with a value is answered for that person only.
#[tokio::test]
async fn a_subject_that_is_asked_for_is_the_one_answered_for() {
    let (provider, client, browser) = ready().await;
    provider.add_user(NewUser::named("bob")).await;
    let _ = provider.sign_in(&browser, &client).await;
    let of = |sub: &str| {
        Authorization::of(&client).with("claims", &json!({"id_token": {"sub": {"value": sub}}}).to_string())
    };
    assert!(of("alice-sub").open(&provider, &browser).await.status.is_redirection());
    let page = of("bob-sub").with("prompt", "none").open(&provider, &browser).await;
    assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "login_required");
    let page = of("bob-sub").open(&provider, &browser).await;
    assert!(page.url.path().ends_with("/login"), "{page}");
    let wrong = provider.type_in(&browser, &page, "alice", PASSWORD).await;
    assert_eq!(Answer::of(&wrong, &client.redirect_uri).error(), "login_required");
}

/// 3.1.2.1 `acr_values`, 5.5.1.1: what was asked for voluntarily gets what there is; essential and unmet is refused.
#[tokio::test]
async fn acr_is_told_where_it_is_asked_for() {
    let (provider, client, browser) = ready().await;
    let acr = async |request: Authorization| {
        let answer = request.complete(&provider, &browser).await;
        claims_of(&provider.redeem(&client, answer.code()).await.ok().text("id_token"))["acr"].clone()
    };
    let request = || Authorization::of(&client);
    let supported =
        provider.get("/.well-known/openid-configuration", &[]).await.ok().json()["acr_values_supported"].clone();
    assert_eq!(supported, json!(["1", "2"]));
    assert_eq!(acr(request()).await, Value::Null);
    for values in ["1", "1 2", "2 1", "urn:mace:incommon:iap:silver"] {
        assert_eq!(acr(request().with("acr_values", values)).await, "1", "{values}");
    }
    let wish = |acr: Value| request().with("claims", &json!({"id_token": {"acr": acr}}).to_string());
    for asked in [
        Value::Null,
        json!({"essential": true}),
        json!({"essential": true, "values": ["2", "1"]}),
        json!({"values": ["2"]}),
    ] {
        assert_eq!(acr(wish(asked.clone())).await, "1", "{asked}");
    }
    let page = wish(json!({"essential": true, "values": ["2"]})).open(&provider, &browser).await;
    assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "unmet_authentication_requirements");
}

/// 12.2: refreshed tokens keep what was asked for.
#[tokio::test]
async fn a_refresh_keeps_the_claims() {
    let (provider, _, browser) = ready().await;
    let client = NewClient::new("long").with("consent", "skip").with("scope", "openid profile offline_access");
    let client = provider.add(client.with("grant_types", "authorization_code refresh_token")).await;
    let wish = json!({"userinfo": {"nickname": null}, "id_token": {"name": null, "acr": null}}).to_string();
    let request = Authorization::of(&client).with("scope", "openid offline_access").with("claims", &wish);
    let answer = request.complete(&provider, &browser).await;
    let first = provider.redeem(&client, answer.code()).await.ok().text("refresh_token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", first.as_str())];
    let tokens = provider.post("/token", client.auth(), &fields).await.ok();
    let claims = claims_of(&tokens.text("id_token"));
    assert_eq!((claims["name"].as_str(), claims["acr"].as_str()), (Some("Alice Example"), Some("1")));
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.ok().json()["nickname"], "Al");
}
