//! Nothing is advertised that does not work: every value of every list of discovery is taken and used.

use crate::support::provider::CLIENT_SECRET;
use crate::support::verbs::Auth;
use crate::support::{
    Answer, Api, Authorization, NewClient, NewUser, TestClient, TestProvider, UserAgent, VERIFIER, claims_of, header_of,
};
use serde_json::{Value, json};
use std::collections::HashSet;

/// A provider with a person of whom everything is known.
async fn ready() -> (TestProvider, Value) {
    let provider = TestProvider::start().await;
    let mut user = NewUser::alice().with("phone_number_verified_at", "1700000000");
    for column in [
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "phone_number",
        "address_formatted",
    ] {
        user = user.with(column, column);
    }
    provider.add_user(user).await;
    let metadata = provider.get("/.well-known/openid-configuration", &[]).await.ok().json();
    (provider, metadata)
}

fn list<'a>(metadata: &'a Value, member: &str) -> Vec<&'a str> {
    metadata[member]
        .as_array()
        .unwrap_or_else(|| panic!("no {member}"))
        .iter()
        .map(|value| value.as_str().unwrap())
        .collect()
}

fn everything(id: &str) -> NewClient {
    NewClient::new(id)
        .with("consent", "skip")
        .with("scope", "openid profile email address phone groups offline_access api")
        .with("grant_types", "authorization_code refresh_token client_credentials")
}

async fn code_for(provider: &TestProvider, client: &TestClient, auth: Auth<'_>, code: &str) -> Api {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", client.redirect_uri.as_str()),
        ("code_verifier", VERIFIER),
    ];
    provider.post("/token", auth, &fields).await
}

/// Every member is one that a test here knows, so that a new one cannot be forgotten.
#[tokio::test]
async fn every_member_is_known_here() {
    let (_provider, metadata) = ready().await;
    let known: HashSet<&str> = [
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "introspection_endpoint",
        "revocation_endpoint",
        "end_session_endpoint",
        "jwks_uri",
        "scopes_supported",
        "response_types_supported",
        "response_modes_supported",
        "grant_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
        "token_endpoint_auth_methods_supported",
        "introspection_endpoint_auth_methods_supported",
        "revocation_endpoint_auth_methods_supported",
        "display_values_supported",
        "prompt_values_supported",
        "claim_types_supported",
        "claims_supported",
        "code_challenge_methods_supported",
        "ui_locales_supported",
        "acr_values_supported",
        "claims_parameter_supported",
        "request_parameter_supported",
        "request_uri_parameter_supported",
        "require_request_uri_registration",
        "authorization_response_iss_parameter_supported",
        "backchannel_logout_supported",
        "backchannel_logout_session_supported",
        "frontchannel_logout_supported",
        "frontchannel_logout_session_supported",
    ]
    .into();
    let listed: HashSet<&str> = metadata.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(listed, known);
    for (member, value) in metadata.as_object().unwrap() {
        if let Some(url) = value.as_str().filter(|_| member.ends_with("_endpoint") || member.ends_with("_uri")) {
            assert!(url.starts_with(metadata["issuer"].as_str().unwrap()), "{member}: {url}");
        }
    }
}

#[tokio::test]
async fn every_endpoint_answers() {
    let (provider, metadata) = ready().await;
    for (member, value) in metadata.as_object().unwrap() {
        if !member.ends_with("_endpoint") && member != "jwks_uri" {
            continue;
        }
        let path = value.as_str().unwrap().strip_prefix(&provider.issuer).unwrap();
        let answer = provider.get(path, &[]).await;
        assert_ne!(answer.status, 404, "{member}");
        assert!(answer.status.as_u16() < 500, "{member}");
    }
}

#[tokio::test]
async fn every_response_type_and_mode_prompt_display_locale_and_challenge_method() {
    let (provider, metadata) = ready().await;
    let client = provider.add(everything("all")).await;
    let browser = UserAgent::new();
    let request = || Authorization::of(&client);
    let mut requests = Vec::new();
    for response_type in list(&metadata, "response_types_supported") {
        for mode in list(&metadata, "response_modes_supported") {
            requests.push(request().with("response_type", response_type).with("response_mode", mode));
        }
    }
    for display in list(&metadata, "display_values_supported") {
        requests.push(request().with("display", display));
    }
    for locale in list(&metadata, "ui_locales_supported") {
        requests.push(request().with("ui_locales", locale));
    }
    for method in list(&metadata, "code_challenge_methods_supported") {
        requests.push(request().with("code_challenge_method", method));
    }
    for prompt in list(&metadata, "prompt_values_supported") {
        requests.push(request().with("prompt", prompt));
    }
    let _ = provider.sign_in(&browser, &client).await;
    for request in requests {
        let answer = request.complete(&provider, &browser).await;
        let _ = code_for(&provider, &client, client.auth(), answer.code()).await.ok();
    }
}

#[tokio::test]
async fn every_scope_and_claim() {
    let (provider, metadata) = ready().await;
    let client = provider.add(everything("all")).await;
    let browser = UserAgent::new();
    let scopes = list(&metadata, "scopes_supported").join(" ");
    let answer =
        Authorization::of(&client).with("scope", &scopes).with("acr_values", "1").complete(&provider, &browser).await;
    let tokens = provider.redeem(&client, answer.code()).await.ok();
    assert_eq!(tokens.text("scope"), scopes);
    let userinfo = provider.userinfo(&tokens.text("access_token")).await.ok().json();
    let id_token = claims_of(&tokens.text("id_token"));
    for claim in list(&metadata, "claims_supported") {
        assert!(userinfo.get(claim).is_some() || id_token.get(claim).is_some(), "{claim} is nowhere");
    }
    // And one by one, by the claims parameter, in both places.
    for claim in list(&metadata, "claims_supported").into_iter().filter(|claim| userinfo.get(*claim).is_some()) {
        let wish = json!({"userinfo": {claim: {"essential": true}}, "id_token": {claim: null}}).to_string();
        let answer = Authorization::of(&client)
            .with("scope", "openid")
            .with("claims", &wish)
            .complete(&provider, &browser)
            .await;
        let tokens = provider.redeem(&client, answer.code()).await.ok();
        assert_eq!(
            provider.userinfo(&tokens.text("access_token")).await.ok().json()[claim],
            userinfo[claim],
            "{claim}"
        );
        assert_eq!(claims_of(&tokens.text("id_token"))[claim], userinfo[claim], "{claim}");
    }
}

#[tokio::test]
async fn every_signing_algorithm_and_subject_type() {
    let (provider, metadata) = ready().await;
    let browser = UserAgent::new();
    for algorithm in list(&metadata, "id_token_signing_alg_values_supported") {
        for subject in list(&metadata, "subject_types_supported") {
            let id = format!("{}-{subject}", algorithm.to_lowercase());
            let client = everything(&id).with("id_token_signed_response_alg", algorithm).with("subject_type", subject);
            let client = provider.add(client).await;
            let tokens = provider.tokens(&browser, &client).await;
            assert_eq!(header_of(&tokens.text("id_token"))["alg"], algorithm);
            assert_eq!(claims_of(&tokens.text("id_token"))["sub"] == "alice-sub", subject == "public");
        }
    }
    for acr in list(&metadata, "acr_values_supported") {
        let client = provider.add(everything(&format!("acr-{acr}"))).await;
        if acr == "2" {
            let authenticator = provider.enroll("alice-sub").await;
            provider.travel(10);
            let page = Authorization::of(&client).with("acr_values", acr).open(&provider, &browser).await;
            let _consent = provider.type_code(&browser, &page, authenticator.code(provider.now())).await;
        }
        let answer = Authorization::of(&client).with("acr_values", acr).complete(&provider, &browser).await;
        let tokens = provider.redeem(&client, answer.code()).await.ok();
        assert_eq!(claims_of(&tokens.text("id_token"))["acr"], acr);
    }
}

#[tokio::test]
async fn every_grant_and_authentication_method() {
    let (provider, metadata) = ready().await;
    let browser = UserAgent::new();
    let mut seen = HashSet::new();
    for method in list(&metadata, "token_endpoint_auth_methods_supported") {
        let client = match method {
            "none" => everything("public").public(),
            other => everything(other).with("token_endpoint_auth_method", other),
        };
        let client = provider.add(client).await;
        let auth = match method {
            "client_secret_basic" => Auth::Basic(&client.client_id, CLIENT_SECRET),
            "client_secret_post" => Auth::Post(&client.client_id, CLIENT_SECRET),
            "none" => Auth::Name(&client.client_id),
            other => panic!("{other} is new: say here how it is done"),
        };
        let request = Authorization::of(&client).with("scope", "openid offline_access");
        let answer = request.complete(&provider, &browser).await;
        let tokens = code_for(&provider, &client, auth, answer.code()).await.ok();
        seen.insert("authorization_code");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &tokens.text("refresh_token"))];
        let tokens = provider.post("/token", auth, &fields).await.ok();
        seen.insert("refresh_token");
        if method != "none" {
            let _ = provider.post("/token", auth, &[("grant_type", "client_credentials")]).await.ok();
            seen.insert("client_credentials");
        }
        let token = tokens.text("access_token");
        if list(&metadata, "introspection_endpoint_auth_methods_supported").contains(&method) {
            assert_eq!(provider.post("/introspect", auth, &[("token", &token)]).await.ok().json()["active"], true);
        }
        assert!(list(&metadata, "revocation_endpoint_auth_methods_supported").contains(&method));
        let _ = provider.post("/revoke", auth, &[("token", &token)]).await.ok();
    }
    assert_eq!(seen, list(&metadata, "grant_types_supported").into_iter().collect());
}

/// What is said not to be supported is answered with its own error.
#[tokio::test]
async fn what_is_not_supported_says_so() {
    let (provider, metadata) = ready().await;
    let client = provider.add(everything("all")).await;
    for (member, parameter, error) in [
        ("request_parameter_supported", "request", "request_not_supported"),
        ("request_uri_parameter_supported", "request_uri", "request_uri_not_supported"),
    ] {
        assert_eq!(metadata[member], false);
        let page = Authorization::of(&client).with(parameter, "x").open(&provider, &UserAgent::new()).await;
        assert_eq!(Answer::of(&page, &client.redirect_uri).error(), error);
    }
}
