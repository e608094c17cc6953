//! RFC 7517, 7518 and 7638: the published keys.

use crate::support::TestProvider;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hallpass::keys;
use hallpass::protocol::response::SigningAlgorithm;
use hallpass::protocol::time::NumericDate;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;

async fn published(provider: &TestProvider) -> Vec<Value> {
    provider.get("/jwks", &[]).await.ok().json()["keys"].as_array().unwrap().clone()
}

/// RFC 7517 section 4 and 5, RFC 7518 section 6: the public members, and never a private one.
#[tokio::test]
async fn keys_have_their_public_members_and_no_private_one() {
    let provider = TestProvider::start().await;
    let answer = provider.get("/jwks", &[]).await.ok();
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 4);
    for key in &keys {
        let members: HashSet<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        let own: &[&str] = match key["kty"].as_str().unwrap() {
            "RSA" => &["n", "e"],
            "EC" => &["crv", "x", "y"],
            "OKP" => &["crv", "x"],
            other => panic!("{other}"),
        };
        let expected: HashSet<&str> = own.iter().copied().chain(["kty", "kid", "use", "alg"]).collect();
        assert_eq!(members, expected);
        assert_eq!(key["use"], "sig");
        if key["kty"] == "RSA" {
            assert!(URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap().len() >= 256);
        }
    }
}

/// RFC 7517 section 8.5.1, RFC 9110 section 12: libraries that know JSON only must not fail, and a cache keeps the two apart.
#[tokio::test]
async fn the_key_set_is_json_unless_its_own_media_type_is_asked_for() {
    let provider = TestProvider::start().await;
    let (json, jwk_set) = ("application/json", "application/jwk-set+json");
    let mut bodies = HashSet::new();
    for (accept, content_type) in [
        (None, json),
        (Some("*/*"), json),
        (Some("application/*"), json),
        (Some(json), json),
        (Some("text/html,application/xhtml+xml,*/*;q=0.8"), json),
        (Some("application/jwk-set+json;q=0, */*"), json),
        (Some("application/jwk-set+json;q=0.4, application/json;q=0.5"), json),
        (Some("application/jwk-set+json;q=0.4, application/*;q=0.5"), json),
        (Some("text/html"), json),
        (Some(jwk_set), jwk_set),
        (Some("application/json, application/jwk-set+json"), jwk_set),
        (Some("APPLICATION/JWK-SET+JSON; q=0.9, application/json;q=0.8"), jwk_set),
        (Some("application/jwk-set+json;q=0.2, */*;q=0.1"), jwk_set),
    ] {
        let headers: Vec<(&str, &str)> = accept.iter().map(|accept| ("accept", *accept)).collect();
        let answer = provider.get("/jwks", &headers).await.ok();
        assert_eq!(answer.header("content-type"), Some(content_type), "{accept:?}");
        let vary = answer.headers.get_all("vary").iter().filter_map(|value| value.to_str().ok());
        let mut vary = vary.flat_map(|value| value.split(',')).map(str::trim);
        assert!(vary.any(|name| name.eq_ignore_ascii_case("accept")), "{accept:?}: {:?}", answer.headers);
        bodies.insert(answer.body);
    }
    assert_eq!(bodies.len(), 1, "the keys are the same");
}

/// RFC 7638 section 3.
#[tokio::test]
async fn kid_is_the_thumbprint_and_unique() {
    let provider = TestProvider::start().await;
    let mut seen = HashSet::new();
    for key in published(&provider).await {
        let text = |member: &str| key[member].as_str().unwrap().to_owned();
        let canonical = match key["kty"].as_str().unwrap() {
            "RSA" => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text("e"), text("n")),
            "EC" => format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text("x"), text("y")),
            _ => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text("x")),
        };
        assert_eq!(text("kid"), URL_SAFE_NO_PAD.encode(Sha256::digest(canonical)));
        assert!(seen.insert(text("kid")));
    }
}

/// A new key is published at once, signs later, and running nodes pick it up without a restart.
#[tokio::test]
async fn a_further_key_is_published_before_it_signs() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = crate::support::UserAgent::new();
    let kid = async || {
        let tokens = provider.tokens(&browser, &client).await;
        crate::support::header_of(&tokens.text("id_token"))["kid"].clone()
    };
    let before = kid().await;
    let folder = provider.folder.path().join("keys");
    keys::create(&folder, SigningAlgorithm::Rs256, NumericDate(provider.now() + 86_400)).unwrap();
    assert!(provider.provider.keys.refresh(provider.provider.now()).unwrap());
    assert_eq!(published(&provider).await.len(), 5);
    assert_eq!(kid().await, before);
    provider.travel(86_400);
    let after = kid().await;
    assert_ne!(after, before);
    let kids: Vec<Value> = published(&provider).await.iter().map(|key| key["kid"].clone()).collect();
    assert!(kids.contains(&after) && kids.contains(&before));
}

/// The cache time fits the timetable: a key is published longer than that before it signs.
#[tokio::test]
async fn the_cache_time_is_shorter_than_the_lead() {
    let provider = TestProvider::start().await;
    let answer = provider.get("/jwks", &[]).await.ok();
    let seconds: i64 =
        answer.header("cache-control").unwrap().strip_prefix("public, max-age=").unwrap().parse().unwrap();
    assert!(seconds > 0 && seconds < keys::PUBLISH_LEAD);
    assert_eq!(seconds, keys::JWKS_MAX_AGE);
}

/// A faulty file that appears later changes nothing.
#[tokio::test]
async fn a_faulty_file_that_appears_later_changes_nothing() {
    let provider = TestProvider::start().await;
    std::fs::write(provider.folder.path().join("keys/rs256.pem"), "not a key").unwrap();
    assert!(provider.provider.keys.refresh(provider.provider.now()).is_err());
    assert_eq!(published(&provider).await.len(), 4);
}
