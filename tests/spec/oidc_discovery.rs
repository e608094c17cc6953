//! OIDC Discovery 3 and 4, RFC 8414: the provider's metadata.

use crate::support::verbs::{http, send};
use crate::support::{Authorization, NewClient, TestProvider, UserAgent};
use serde_json::{Value, json};

fn words(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

/// Section 3: the required members, and every default that bites written out.
#[tokio::test]
async fn the_document_has_every_member_that_matters() {
    let provider = TestProvider::start().await;
    let answer = provider.get("/.well-known/openid-configuration", &[]).await.ok();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let metadata = answer.json();
    for (member, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("userinfo_endpoint", "/userinfo"),
        ("introspection_endpoint", "/introspect"),
        ("revocation_endpoint", "/revoke"),
        ("jwks_uri", "/jwks"),
    ] {
        assert_eq!(metadata[member], provider.url(path));
    }
    assert_eq!(metadata["issuer"], provider.issuer);
    for (member, expected) in [
        ("response_types_supported", json!(["code"])),
        ("response_modes_supported", json!(["query", "form_post"])),
        ("grant_types_supported", json!(["authorization_code", "refresh_token", "client_credentials"])),
        ("subject_types_supported", json!(["public", "pairwise"])),
        ("code_challenge_methods_supported", json!(["S256"])),
        ("token_endpoint_auth_methods_supported", json!(["client_secret_basic", "client_secret_post", "none"])),
        ("introspection_endpoint_auth_methods_supported", json!(["client_secret_basic", "client_secret_post"])),
        ("revocation_endpoint_auth_methods_supported", json!(["client_secret_basic", "client_secret_post", "none"])),
        ("claim_types_supported", json!(["normal", "distributed"])),
        ("claims_parameter_supported", json!(true)),
        ("acr_values_supported", json!(["1", "2"])),
        ("request_parameter_supported", json!(false)),
        ("request_uri_parameter_supported", json!(false)),
        ("require_request_uri_registration", json!(false)),
        ("authorization_response_iss_parameter_supported", json!(true)),
    ] {
        assert_eq!(metadata[member], expected, "{member}");
    }
    // "RS256 MUST be included".
    assert!(words(&metadata["id_token_signing_alg_values_supported"]).contains(&"RS256"));
    assert!(words(&metadata["scopes_supported"]).contains(&"openid"));
    assert!(metadata.as_object().unwrap().values().all(|value| !value.is_null() && *value != json!([])));
}

/// Section 4.1; RFC 8414 section 3: for issuers with and without a path.
#[tokio::test]
async fn both_well_known_addresses_say_the_same() {
    for path in ["", "/auth", "/a/b"] {
        let settings: Vec<(&str, &str)> = if path.is_empty() { vec![] } else { vec![("issuer", path)] };
        let provider = TestProvider::with(&settings).await;
        let host = provider.issuer.strip_suffix(path).unwrap();
        let appended = send(http().get(format!("{}/.well-known/openid-configuration", provider.issuer))).await.ok();
        let inserted = send(http().get(format!("{host}/.well-known/oauth-authorization-server{path}"))).await.ok();
        assert_eq!(appended.json(), inserted.json());
        assert_eq!(appended.json()["issuer"], provider.issuer);
        if !path.is_empty() {
            let elsewhere = send(http().get(format!("{host}/.well-known/openid-configuration"))).await;
            assert_eq!(elsewhere.status, 404);
            assert_eq!(send(http().get(format!("{host}/token"))).await.status, 404);
        }
    }
}

/// Everything works under an issuer with a path: pages, assets, cookies, tokens.
#[tokio::test]
async fn an_issuer_with_a_path_signs_in() {
    let provider = TestProvider::with(&[("issuer", "/auth")]).await;
    let client = provider.add(NewClient::new("reports")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    assert_eq!(page.url.path(), "/auth/login");
    let style = page.body.split("href=\"").find_map(|rest| rest.split('"').next().filter(|link| link.contains(".css")));
    let style = browser.get(page.url.join(style.unwrap()).unwrap().as_str()).await;
    assert_eq!(style.status, 200);
    let token = provider.tokens(&browser, &client).await.text("access_token");
    let _ = provider.userinfo(&token).await.ok();
}

/// Nothing is derived from what a request says about the host.
#[tokio::test]
async fn the_host_of_a_request_changes_nothing() {
    let provider = TestProvider::start().await;
    let plain = provider.get("/.well-known/openid-configuration", &[]).await.ok().json();
    let headers = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "host=evil.example;proto=https"),
        ("x-original-url", "/evil"),
    ];
    assert_eq!(provider.get("/.well-known/openid-configuration", &headers).await.ok().json(), plain);
}

/// A browser client reads it, from any origin, without credentials; `/authorize` never.
#[tokio::test]
async fn cors_is_for_machine_doors_only() {
    let provider = TestProvider::start().await;
    let origin = [("origin", "https://spa.example")];
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks"] {
        let answer = provider.get(path, &origin).await.ok();
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        assert!(answer.header("access-control-allow-credentials").is_none());
    }
    for path in ["/token", "/userinfo"] {
        let request =
            http().request(reqwest::Method::OPTIONS, provider.url(path)).header("origin", "https://spa.example");
        let request = request.header("access-control-request-method", "POST");
        let answer = send(request.header("access-control-request-headers", "authorization,content-type")).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"));
        assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
        assert!(answer.header("access-control-allow-credentials").is_none());
    }
    let refused = send(http().post(provider.url("/token")).header("origin", "https://spa.example")).await;
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"), "a refusal must be readable too");
    for path in ["/authorize", "/login", "/consent"] {
        let answer = provider.get(path, &origin).await;
        assert!(answer.header("access-control-allow-origin").is_none(), "{path}");
    }
}

/// What it lists as algorithms is what there are keys for, now.
#[tokio::test]
async fn algorithms_are_those_of_the_keys() {
    let provider = TestProvider::start().await;
    let metadata = provider.get("/.well-known/openid-configuration", &[]).await.ok().json();
    let mut listed = words(&metadata["id_token_signing_alg_values_supported"]);
    listed.sort_unstable();
    assert_eq!(listed, ["ES256", "EdDSA", "PS256", "RS256"]);
    for entry in std::fs::read_dir(provider.folder.path().join("keys")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("eddsa") {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert!(provider.provider.keys.refresh(provider.provider.now()).unwrap());
    let metadata = provider.get("/.well-known/openid-configuration", &[]).await.ok().json();
    assert!(!words(&metadata["id_token_signing_alg_values_supported"]).contains(&"EdDSA"));
}

/// It can be kept for a while, and is small enough to be read often.
#[tokio::test]
async fn it_may_be_kept_for_a_while() {
    let provider = TestProvider::start().await;
    let answer = provider.get("/.well-known/openid-configuration", &[]).await.ok();
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert!(answer.body.len() < 16 * 1024);
}
