//! OIDC Core 2, 3.1.3.3, 3.1.3.6, 3.1.3.7 and 8: what an `id_token` says and how it is signed.

use crate::support::provider::PASSWORD;
use crate::support::{Answer, Authorization, NewClient, NewUser, TestProvider, UserAgent, claims_of, header_of};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Verifier};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};

fn bytes(jwk: &Value, member: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(jwk[member].as_str().unwrap()).unwrap()
}

/// Checks a signature by OpenSSL alone, without the library that made it.
fn is_signed_by(token: &str, jwk: &Value) -> bool {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let number = |member: &str| BigNum::from_slice(&bytes(jwk, member)).unwrap();
    let with = |key: PKey<Public>, padding: Padding, signature: &[u8]| {
        let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
        if key.id() == Id::RSA {
            verifier.set_rsa_padding(padding).unwrap();
            if padding == Padding::PKCS1_PSS {
                verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
            }
        }
        verifier.update(signed.as_bytes()).unwrap();
        verifier.verify(signature).unwrap_or(false)
    };
    let rsa = || PKey::from_rsa(Rsa::from_public_components(number("n"), number("e")).unwrap()).unwrap();
    match header_of(token)["alg"].as_str().unwrap() {
        "RS256" => with(rsa(), Padding::PKCS1, &signature),
        "PS256" => with(rsa(), Padding::PKCS1_PSS, &signature),
        "ES256" => {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
            let key = EcKey::from_public_key_affine_coordinates(&group, &number("x"), &number("y")).unwrap();
            let half = |part: &[u8]| BigNum::from_slice(part).unwrap();
            let der = EcdsaSig::from_private_components(half(&signature[..32]), half(&signature[32..])).unwrap();
            with(PKey::from_ec_key(key).unwrap(), Padding::NONE, &der.to_der().unwrap())
        }
        "EdDSA" => {
            let key = PKey::public_key_from_raw_bytes(&bytes(jwk, "x"), Id::ED25519).unwrap();
            Verifier::new_without_digest(&key).unwrap().verify_oneshot(&signature, signed.as_bytes()).unwrap()
        }
        other => panic!("{other}"),
    }
}

/// Section 2, 3.1.3.7.
#[tokio::test]
async fn it_carries_the_required_claims() {
    let provider = TestProvider::start().await;
    // The required claims and no other: a row with exactly Core 5.4.
    let client = NewClient::new("reports").with("consent", "skip").with("claims_in_id_token", "no");
    let client = provider.add(client).await;
    provider.alice().await;
    let before = provider.now();
    let tokens = provider.tokens(&UserAgent::new(), &client).await;
    let claims = claims_of(&tokens.text("id_token"));
    assert_eq!(claims["iss"], provider.issuer);
    assert_eq!(claims["sub"], "alice-sub");
    assert_eq!(claims["aud"], "reports");
    assert_eq!(claims["nonce"], "the nonce");
    assert_eq!(claims["amr"], json!(["pwd"]));
    let issued_at = claims["iat"].as_i64().unwrap();
    assert!((before..=provider.now()).contains(&issued_at));
    assert_eq!(claims["exp"].as_i64().unwrap() - issued_at, 600);
    assert!((before..=issued_at).contains(&claims["auth_time"].as_i64().unwrap()));
    assert_eq!(claims["sid"].as_str().unwrap().len(), 43);
    // With an access token beside it, the claims of the scopes are userinfo's (section 5.4).
    for absent in ["name", "email", "nbf", "azp"] {
        assert!(claims.get(absent).is_none(), "{absent}");
    }
}

/// Section 3.1.3.6, and the signature of each algorithm, checked by the key that `/jwks` has under its `kid`.
#[tokio::test]
async fn each_algorithm_signs_and_at_hash_fits() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let jwks = provider.get("/jwks", &[]).await.ok().json();
    let browser = UserAgent::new();
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let id = algorithm.to_lowercase();
        let client = NewClient::new(&id).with("consent", "skip").with("id_token_signed_response_alg", algorithm);
        let client = provider.add(client).await;
        let tokens = provider.tokens(&browser, &client).await;
        let id_token = tokens.text("id_token");
        let header = header_of(&id_token);
        assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some(algorithm), Some("JWT")));
        let mut named = jwks["keys"].as_array().unwrap().iter().filter(|key| key["kid"] == header["kid"]);
        let key = named.next().unwrap();
        assert!(named.next().is_none());
        assert!(is_signed_by(&id_token, key), "{algorithm}");
        let (head, rest) = id_token.split_once('.').unwrap();
        let (_, signature) = rest.split_once('.').unwrap();
        let other = URL_SAFE_NO_PAD.encode(claims_of(&id_token).to_string().replace("alice-sub", "bob-sub"));
        assert!(!is_signed_by(&format!("{head}.{other}.{signature}"), key), "{algorithm}");
        let token = tokens.text("access_token");
        let half = match algorithm {
            "EdDSA" => Sha512::digest(&token)[..32].to_vec(),
            _ => Sha256::digest(&token)[..16].to_vec(),
        };
        assert_eq!(claims_of(&id_token)["at_hash"], URL_SAFE_NO_PAD.encode(half), "{algorithm}");
    }
}

/// For the many libraries that never call userinfo, unless the client's row says otherwise.
#[tokio::test]
async fn the_claims_of_the_scopes_stand_in_the_id_token_by_default() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    // A row with nothing but its name, as an operator writes it by hand.
    let client = provider.client("plain").await;
    let claims = claims_of(&provider.tokens(&UserAgent::new(), &client).await.text("id_token"));
    assert_eq!((claims["name"].as_str(), claims["email"].as_str()), (Some("Alice Example"), Some("alice@example.com")));
    assert_eq!(claims["email_verified"], true);
    // Of the scopes that were granted, and of no other.
    let narrow = provider.add(NewClient::new("narrow").with("consent", "skip").with("scope", "openid email")).await;
    let claims = claims_of(&provider.tokens(&UserAgent::new(), &narrow).await.text("id_token"));
    assert!(claims.get("name").is_none() && claims["email"] == "alice@example.com", "{claims}");
}

/// Exactly 5.4: with an access token beside it, the claims are for userinfo.
#[tokio::test]
async fn a_row_can_keep_the_claims_out_of_the_id_token() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let client = NewClient::new("strict").with("consent", "skip").with("claims_in_id_token", "no");
    let client = provider.add(client).await;
    let tokens = provider.tokens(&UserAgent::new(), &client).await;
    let claims = claims_of(&tokens.text("id_token"));
    for claim in ["name", "given_name", "preferred_username", "updated_at", "email", "email_verified"] {
        assert!(claims.get(claim).is_none(), "{claim}: {claims}");
    }
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.ok().text("name"), "Alice Example");
}

/// Section 8.1.
#[tokio::test]
async fn a_pairwise_subject_is_another_for_each_sector() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let browser = UserAgent::new();
    let mut subjects = Vec::new();
    let mut sids = Vec::new();
    for (id, address) in [("a1", "https://a.example/1"), ("a2", "https://a.example/2"), ("b", "https://b.example/")] {
        let client = NewClient::new(id).with("consent", "skip").with("subject_type", "pairwise").at(&[address]);
        let client = provider.add(client).await;
        let tokens = provider.tokens(&browser, &client).await;
        let claims = claims_of(&tokens.text("id_token"));
        let userinfo = provider.userinfo(&tokens.text("access_token")).await.ok();
        assert_eq!(userinfo.json()["sub"], claims["sub"]);
        subjects.push(claims["sub"].as_str().unwrap().to_owned());
        sids.push(claims["sid"].as_str().unwrap().to_owned());
    }
    assert_eq!(subjects[0], subjects[1]);
    assert_ne!(subjects[0], subjects[2]);
    assert_ne!(sids[0], sids[2]);
    assert!(subjects.iter().all(|sub| sub != "alice-sub" && sub.len() <= 255));
}

/// The session's name is the same for all clients of one sign-in, and another after another sign-in.
#[tokio::test]
async fn sid_names_the_session() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let (one, two) = (provider.client("one").await, provider.client("two").await);
    let browser = UserAgent::new();
    let sid = async |browser: &UserAgent, client| {
        claims_of(&provider.tokens(browser, client).await.text("id_token"))["sid"].clone()
    };
    let first = sid(&browser, &one).await;
    assert_eq!(sid(&browser, &two).await, first);
    assert_ne!(sid(&UserAgent::new(), &one).await, first);
}

/// Lifetimes of the settings, and of the client's row.
#[tokio::test]
async fn lifetimes_are_the_settings_or_the_rows() {
    let provider = TestProvider::with(&[("id_token_lifetime", "90"), ("access_token_lifetime", "120")]).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let plain = provider.client("plain").await;
    let own = NewClient::new("own")
        .with("consent", "skip")
        .with("id_token_lifetime", "45")
        .with("access_token_lifetime", "50");
    let own = provider.add(own).await;
    for (client, id_token, access_token) in [(&plain, 90, 120), (&own, 45, 50)] {
        let tokens = provider.tokens(&browser, client).await.json();
        let claims = claims_of(tokens["id_token"].as_str().unwrap());
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), id_token);
        assert_eq!(tokens["expires_in"], access_token);
    }
}

/// An algorithm for which the provider has no key: a fault of ours, told as `server_error`, and the code is spent.
#[tokio::test]
async fn an_algorithm_without_a_key_is_a_server_error() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    let browser = UserAgent::new();
    let client = NewClient::new("es").with("consent", "skip").with("id_token_signed_response_alg", "ES256");
    let client = provider.add(client).await;
    let keys = provider.folder.path().join("keys");
    for entry in std::fs::read_dir(&keys).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("es256") {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert!(provider.provider.keys.refresh(provider.provider.now()).unwrap());
    let answer = provider.sign_in(&browser, &client).await;
    let failed = provider.redeem(&client, answer.code()).await;
    assert_eq!(failed.error(), (500, "server_error".into()));
    assert!(!failed.body.contains("ES256") && !failed.body.contains("key"), "{}", failed.body);
}

/// Another user signs in with the same browser: another person, another session.
#[tokio::test]
async fn another_person_in_the_same_browser_has_another_session() {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider.add_user(NewUser::named("bob")).await;
    let client = provider.client("reports").await;
    let browser = UserAgent::new();
    let alice = claims_of(&provider.tokens(&browser, &client).await.text("id_token"));
    let page = Authorization::of(&client).with("prompt", "login").open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "bob", PASSWORD).await;
    let answer = Answer::of(&page, &client.redirect_uri);
    let bob = claims_of(&provider.redeem(&client, answer.code()).await.ok().text("id_token"));
    assert_eq!(bob["sub"], "bob-sub");
    assert_ne!(bob["sid"], alice["sid"]);
}
