//! Libraries with habits: each has a row of settings by which it works, and the section of that name in
//! `docs/conformance.md` has a line for it. Where a real library has the habit, that is what is run here.

use crate::support::party::{Party, Place};
use crate::support::provider::PASSWORD;
use crate::support::verbs::{CHALLENGE, http, send};
use crate::support::{
    Answer, Api, Authorization, NewClient, NewUser, TestClient, TestProvider, UserAgent, VERIFIER, apache, claims_of,
};
use serde_json::Value;
use url::form_urlencoded;

async fn ready() -> TestProvider {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider
}

fn skipping(id: &str) -> NewClient {
    NewClient::new(id).with("consent", "skip")
}

#[track_caller]
fn assert_alice(known: &Value) {
    let told = [&known["sub"], &known["name"], &known["email"]];
    assert_eq!(told, ["alice-sub", "Alice Example", "alice@example.com"], "{known}");
}

/// What a party says that did not let a user in.
async fn error_at(party: &Party, browser: &UserAgent) -> String {
    let page = party.open(browser, "/login").await.page;
    assert!(page.url.as_str().starts_with(&party.at("/callback")), "{page}\n{}", party.log());
    assert_eq!(page.status, 400, "{page}\n{}", party.log());
    serde_json::from_str::<Value>(&page.body).unwrap()["error"].as_str().unwrap().to_owned()
}

/// requests-oauthlib and `mod_auth_openidc` before 2.4.15 send no PKCE unless they are told to.
#[tokio::test]
async fn a_library_without_pkce_needs_pkce_optional_in_its_row() {
    let provider = ready().await;
    // Refused at once, in words for the operator of the library.
    let place = Place::of("strict");
    provider.add(place.client()).await;
    let strict = Party::with_habits(place, &provider, &[]).await;
    let browser = UserAgent::new();
    assert_eq!(error_at(&strict, &browser).await, "invalid_request");
    assert!(strict.log().contains("code_challenge+is+missing"), "{}", strict.log());

    let place = Place::of("python");
    provider.add(place.client().with("pkce", "optional")).await;
    let python = Party::with_habits(place, &provider, &[]).await;
    assert_alice(&python.sign_in(&provider, &browser).await);

    let place = Place::of("apache");
    let client = place.client().with("backchannel_logout_uri", &apache::backchannel_logout_uri(&place));
    provider.add(client.with("pkce", "optional")).await;
    let apache = apache::start(place, &provider, &[], &[]).await;
    assert_alice(&apache.enter(&provider, &browser).await);
}

/// oauthlib takes another scope than it asked for as an error: the row must hold all that it asks for.
#[tokio::test]
async fn a_library_that_wants_the_very_scope_it_asked_for_needs_it_in_its_row() {
    let provider = ready().await;
    let settings = [("OIDC_SCOPE", "openid profile email phone")];
    let browser = UserAgent::new();
    let place = Place::of("full");
    let client = place.client().with("pkce", "optional").with("scope", "openid profile email phone");
    provider.add(client).await;
    let full = Party::with_habits(place, &provider, &settings).await;
    assert_alice(&full.sign_in(&provider, &browser).await);

    let place = Place::of("short");
    provider.add(place.client().with("pkce", "optional")).await;
    let short = Party::with_habits(place, &provider, &settings).await;
    let error = error_at(&short, &browser).await;
    assert!(error.starts_with("Scope has changed from"), "{error}");
}

/// A secret made by hand, as libraries send it that form-encode it in the header (openid-client) and that do not
/// (Authlib, requests-oauthlib), and in the body.
#[tokio::test]
async fn a_secret_with_any_characters_arrives_however_a_library_sends_it() {
    let provider = ready().await;
    let secret = "100% sure: a+b&c=d/%41~";
    let browser = UserAgent::new();
    let mut parties = Vec::new();
    for (id, method) in [
        ("node-basic", "client_secret_basic"),
        ("node-post", "client_secret_post"),
        ("python-basic", "client_secret_basic"),
        ("python-post", "client_secret_post"),
        ("habits", "client_secret_basic"),
    ] {
        let place = Place::of(id);
        provider.add(place.client().secret(secret).with("pkce", "optional")).await;
        let settings = [("OIDC_CLIENT_SECRET", secret), ("OIDC_AUTH_METHOD", method)];
        parties.push(match id.split('-').next().unwrap() {
            "node" => Party::node(place, &provider, &settings).await,
            "python" => Party::python(place, &provider, &settings).await,
            _ => Party::with_habits(place, &provider, &settings).await,
        });
    }
    assert_alice(&parties[0].sign_in(&provider, &browser).await);
    for party in &parties[1..] {
        assert_alice(&party.enter(&provider, &browser).await);
    }
}

// ---- Habits of libraries that are played here, request by request.

/// Redeems a code with exactly these fields, the secret in the header.
async fn redeem(provider: &TestProvider, client: &TestClient, content_type: &str, fields: &[(&str, &str)]) -> Api {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = http().post(provider.url("/token")).basic_auth(&client.client_id, client.secret.as_deref());
    send(request.header("content-type", content_type).body(body)).await
}

/// As ASP.NET Core's handler does by default: `form_post`, PKCE and nonce, parameters of its own, and all that it knows
/// of the user is in the `id_token`.
#[tokio::test]
async fn a_library_that_reads_the_id_token_only_finds_name_and_email_there() {
    let provider = ready().await;
    let browser = UserAgent::new();
    for (id, setting) in [("bare", "no"), ("full", "yes")] {
        let client = provider.add(skipping(id).with("claims_in_id_token", setting)).await;
        let request = Authorization::of(&client)
            .with("response_mode", "form_post")
            .and("x-client-SKU", "ID_NET8_0")
            .and("x-client-ver", "8.0.0.0");
        let answer = request.complete(&provider, &browser).await;
        let tokens = provider.redeem(&client, answer.code()).await.ok();
        let claims = claims_of(&tokens.text("id_token"));
        assert_eq!((claims["sub"].as_str(), claims["nonce"].as_str()), (Some("alice-sub"), Some("the nonce")));
        if setting == "yes" {
            assert_alice(&claims);
            assert_eq!(claims["email_verified"], true);
        } else {
            assert!(claims.get("name").is_none() && claims.get("email").is_none(), "{claims}");
        }
        // Userinfo tells it in any case.
        assert_alice(&provider.userinfo(&tokens.text("access_token")).await.ok().json());
    }
}

/// As oauth2-proxy does by default: no PKCE, no nonce that it would check, a parameter of Google's, and an address that
/// is not verified is refused.
#[tokio::test]
async fn a_library_that_wants_a_verified_address_is_told_whether_it_is() {
    let provider = ready().await;
    provider.add_user(NewUser::named("carol")).await;
    provider.sql("UPDATE users SET email_verified_at = NULL WHERE username = 'carol'").await;
    let client = provider.add(skipping("proxy").with("pkce", "optional")).await;
    for (username, is_verified) in [("alice", true), ("carol", false)] {
        let browser = UserAgent::new();
        let request = Authorization::of(&client).without("code_challenge").without("code_challenge_method");
        let request = request.without("nonce").and("approval_prompt", "force");
        let page = request.open(&provider, &browser).await;
        let page = provider.type_in(&browser, &page, username, PASSWORD).await;
        let answer = Answer::of(&page, &client.redirect_uri);
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", answer.code()),
            ("redirect_uri", client.redirect_uri.as_str()),
        ];
        let tokens = redeem(&provider, &client, "application/x-www-form-urlencoded", &fields).await.ok();
        let claims = claims_of(&tokens.text("id_token"));
        assert_eq!(claims["email_verified"], is_verified, "{claims}");
        assert!(claims.get("nonce").is_none(), "{claims}");
    }
}

/// Things that libraries say beside what they need to, none of which changes anything.
#[tokio::test]
async fn what_libraries_say_too_much_changes_nothing() {
    let provider = ready().await;
    let client = provider.add(skipping("chatty")).await;
    let browser = UserAgent::new();
    let form = "application/x-www-form-urlencoded";
    for (content_type, more) in [
        (form, vec![("client_id", "chatty")]),
        (form, vec![("scope", "openid profile email")]),
        (form, vec![("state", "the state"), ("session_state", ""), ("client_id", "chatty")]),
        (form, vec![("access_type", "offline"), ("audience", "")]),
        ("application/x-www-form-urlencoded; charset=UTF-8", vec![]),
        ("application/x-www-form-urlencoded;charset=utf-8", vec![]),
    ] {
        let request = Authorization::of(&client)
            .and("access_type", "offline")
            .and("approval_prompt", "auto")
            .and("audience", "api")
            .and("prompt", "")
            .and("login_hint", "")
            .and("hd", "example.com");
        let answer = request.complete(&provider, &browser).await;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", answer.code()),
            ("redirect_uri", client.redirect_uri.as_str()),
            ("code_verifier", VERIFIER),
        ];
        fields.extend(more);
        let tokens = redeem(&provider, &client, content_type, &fields).await.ok();
        assert_eq!(claims_of(&tokens.text("id_token"))["sub"], "alice-sub", "{fields:?}");
    }
}

/// `offline_access` is the only way to a refresh token, and the row must allow it; a library that asks for it in vain
/// signs people in all the same.
#[tokio::test]
async fn a_library_that_expects_a_refresh_token_needs_the_grant_in_its_row_and_must_ask() {
    let provider = ready().await;
    let browser = UserAgent::new();
    for (id, grants, scope, gets_one) in [
        ("neither", "authorization_code", "openid", false),
        ("asks", "authorization_code", "openid offline_access", false),
        ("may", "authorization_code refresh_token", "openid", false),
        ("both", "authorization_code refresh_token", "openid offline_access", true),
    ] {
        let client = skipping(id).with("grant_types", grants).with("scope", "openid profile email offline_access");
        let client = provider.add(client).await;
        let answer = Authorization::of(&client).with("scope", scope).complete(&provider, &browser).await;
        let tokens = provider.redeem(&client, answer.code()).await.ok().json();
        assert_eq!(tokens["refresh_token"].is_string(), gets_one, "{id}: {tokens}");
    }
}

/// The PKCE of old libraries, which send the verifier itself, does not protect against an attacker who reads the request.
#[tokio::test]
async fn a_library_that_can_do_plain_only_is_refused_and_may_leave_it_out() {
    let provider = ready().await;
    let browser = UserAgent::new();
    let client = provider.add(skipping("plain").with("pkce", "optional")).await;
    let request = Authorization::of(&client).with("code_challenge_method", "plain").with("code_challenge", VERIFIER);
    let page = request.open(&provider, &browser).await;
    assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "invalid_request");
    // Neither is a method left out taken for it.
    let request = Authorization::of(&client).without("code_challenge_method").with("code_challenge", CHALLENGE);
    let page = request.open(&provider, &browser).await;
    assert_eq!(Answer::of(&page, &client.redirect_uri).error(), "invalid_request");
    let request = Authorization::of(&client).without("code_challenge_method").without("code_challenge");
    let answer = request.complete(&provider, &browser).await;
    let fields = [("grant_type", "authorization_code"), ("code", answer.code())];
    let fields = [&fields[..], &[("redirect_uri", client.redirect_uri.as_str())]].concat();
    let _ = redeem(&provider, &client, "application/x-www-form-urlencoded", &fields).await.ok();
}
