//! RFC 6749 section 4.4, RFC 8707 and RFC 9068: machines, their APIs, and access tokens as JWT.

use crate::support::verbs::Auth;
use crate::support::{
    Answer, Api, Authorization, NewClient, NewUser, TestClient, TestProvider, UserAgent, claims_of, header_of,
};
use serde_json::json;

const ONE: &str = "https://one.example/";
const TWO: &str = "https://two.example/api?x=1";

async fn ready() -> (TestProvider, TestClient) {
    let provider = TestProvider::start().await;
    let machine = NewClient::new("robot").with("grant_types", "client_credentials authorization_code refresh_token");
    let machine = machine.with("scope", "openid email offline_access jobs:run jobs:read").with("consent", "skip");
    let machine = provider.add(machine.with("access_token_format", "jwt")).await;
    for audience in [ONE, TWO] {
        provider.sql(&format!("INSERT INTO client_audiences VALUES ('robot', '{audience}')")).await;
    }
    provider.alice().await;
    (provider, machine)
}

async fn own(provider: &TestProvider, client: &TestClient, more: &[(&str, &str)]) -> Api {
    let mut fields = vec![("grant_type", "client_credentials")];
    fields.extend(more);
    provider.post("/token", client.auth(), &fields).await
}

/// RFC 6749 section 4.4.3: no refresh token; and about no person there is no `id_token`.
#[tokio::test]
async fn a_machine_gets_an_access_token_and_nothing_else() {
    let (provider, robot) = ready().await;
    let answer = own(&provider, &robot, &[]).await.ok().json();
    let members: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(members.len(), 4, "{members:?}");
    assert_eq!((answer["token_type"].as_str(), answer["scope"].as_str()), (Some("Bearer"), Some("jobs:run jobs:read")));
    // It opens no user's claims.
    let refused = provider.userinfo(answer["access_token"].as_str().unwrap()).await;
    assert_eq!(refused.error(), (403, "insufficient_scope".into()));
}

/// RFC 6749 section 3.3: scopes about people are nothing a machine can have.
#[tokio::test]
async fn a_machine_is_given_scopes_of_apis_only() {
    let (provider, robot) = ready().await;
    let scope = |answer: Api| answer.ok().text("scope");
    assert_eq!(scope(own(&provider, &robot, &[("scope", "jobs:read openid email admin")]).await), "jobs:read");
    for scope in ["admin", "openid admin", "offline_access jobs:write", "OPENID", " ", "openid \"x\""] {
        assert_eq!(own(&provider, &robot, &[("scope", scope)]).await.error(), (400, "invalid_scope".into()), "{scope}");
    }
    let bare = provider.add(NewClient::new("bare").with("grant_types", "client_credentials")).await;
    assert!(own(&provider, &bare, &[]).await.ok().json().get("scope").is_none());
}

/// RFC 6749 section 3.3: libraries that ask for `openid` whatever the grant get a token that is about no user, whether the
/// scope is in the row or not.
#[tokio::test]
async fn a_machine_that_asks_for_scopes_about_users_only_gets_a_token_without_scope() {
    let (provider, robot) = ready().await;
    let bare = NewClient::new("bare").with("grant_types", "client_credentials").with("scope", "");
    let bare = provider.add(bare).await;
    for (client, is_jwt) in [(&robot, true), (&bare, false)] {
        for scope in ["openid", "profile", "email", "address", "phone", "offline_access", "openid profile email"] {
            let answer = own(&provider, client, &[("scope", scope)]).await.ok();
            let members = answer.json();
            assert!(members.get("scope").is_none(), "{scope}: {members}");
            assert!(members.get("id_token").is_none() && members.get("refresh_token").is_none(), "{scope}: {members}");
            let token = answer.text("access_token");
            if is_jwt {
                assert!(claims_of(&token).get("scope").is_none(), "{scope}");
            }
            let told = provider.post("/introspect", client.auth(), &[("token", &token)]).await.ok().json();
            assert_eq!((&told["active"], told.get("scope")), (&json!(true), None), "{scope}: {told}");
            assert_eq!(provider.userinfo(&token).await.error(), (403, "insufficient_scope".into()), "{scope}");
        }
    }
}

/// RFC 6749 section 4.4: confidential clients only, with the grant in their row.
#[tokio::test]
async fn only_a_confidential_client_with_the_grant_may() {
    let (provider, _) = ready().await;
    let public = provider.add(NewClient::new("public").with("grant_types", "client_credentials").public()).await;
    assert_eq!(own(&provider, &public, &[]).await.error(), (400, "unauthorized_client".into()));
    let plain = provider.client("plain").await;
    assert_eq!(own(&provider, &plain, &[]).await.error(), (400, "unauthorized_client".into()));
    let fields = [("grant_type", "client_credentials")];
    assert_eq!(provider.post("/token", Auth::Basic("robot", "wrong"), &fields).await.error().0, 401);
}

/// RFC 9068 section 2: header and claims.
#[tokio::test]
async fn a_jwt_access_token_has_the_claims_of_rfc_9068() {
    let (provider, robot) = ready().await;
    let token = own(&provider, &robot, &[("resource", ONE)]).await.ok().text("access_token");
    assert_eq!(header_of(&token)["typ"], "at+jwt");
    assert_eq!(header_of(&token)["alg"], "RS256");
    let claims = claims_of(&token);
    for (member, expected) in [
        ("iss", json!(provider.issuer)),
        ("aud", json!(ONE)),
        ("sub", json!("robot")),
        ("client_id", json!("robot")),
        ("scope", json!("jobs:run jobs:read")),
    ] {
        assert_eq!(claims[member], expected, "{member}");
    }
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    assert!(claims["jti"].as_str().unwrap().len() > 20);
    assert!(claims.get("auth_time").is_none() && claims.get("nbf").is_none());
    let other = own(&provider, &robot, &[("resource", ONE)]).await.ok().text("access_token");
    assert_ne!(claims_of(&other)["jti"], claims["jti"]);

    let answer =
        Authorization::of(&robot).with("scope", "openid email jobs:run").complete(&provider, &UserAgent::new()).await;
    let tokens = provider.redeem(&robot, answer.code()).await.ok();
    let claims = claims_of(&tokens.text("access_token"));
    assert_eq!((claims["sub"].as_str(), claims["amr"].clone()), (Some("alice-sub"), json!(["pwd"])));
    assert!(claims["auth_time"].is_i64());
    assert!(claims.get("email").is_none() && claims.get("nonce").is_none());
    assert_eq!(claims["aud"], json!([ONE, TWO]));
    // It still opens userinfo, as the scope openid says.
    assert_eq!(provider.userinfo(&tokens.text("access_token")).await.ok().json()["sub"], "alice-sub");
}

/// RFC 9068 section 4, 5: an `id_token` is no access token, and the other way round; `jti` alone is none either.
#[tokio::test]
async fn kinds_of_tokens_are_not_mixed_up() {
    let (provider, robot) = ready().await;
    let browser = UserAgent::new();
    let tokens = provider.tokens(&browser, &robot).await;
    let (access_token, id_token) = (tokens.text("access_token"), tokens.text("id_token"));
    assert_eq!(provider.userinfo(&id_token).await.error(), (401, "invalid_token".into()));
    let jti = claims_of(&access_token)["jti"].as_str().unwrap().to_owned();
    for forged in [jti.clone(), format!("hp_at_{jti}")] {
        assert_eq!(provider.userinfo(&forged).await.error(), (401, "invalid_token".into()));
    }
    let page = Authorization::of(&robot).with("id_token_hint", &access_token).open(&provider, &browser).await;
    assert_eq!(Answer::of(&page, &robot.redirect_uri).error(), "invalid_request");
}

/// A JWT is checked against its record: forged, altered and expired ones are not good.
#[tokio::test]
async fn a_forged_or_expired_jwt_is_refused() {
    let (provider, robot) = ready().await;
    let token = provider.tokens(&UserAgent::new(), &robot).await.text("access_token");
    let (head, signature) = token.rsplit_once('.').unwrap();
    let reversed: String = signature.chars().rev().collect();
    for forged in [format!("{head}."), format!("{head}.{reversed}"), head.to_owned()] {
        assert_eq!(provider.userinfo(&forged).await.error(), (401, "invalid_token".into()));
    }
    let _ = provider.userinfo(&token).await.ok();
    provider.travel(600);
    assert_eq!(provider.userinfo(&token).await.error(), (401, "invalid_token".into()));
}

/// RFC 8707 section 2: only what the client has access to; `resource` may be repeated.
#[tokio::test]
async fn resource_is_one_of_the_clients_or_invalid_target() {
    let (provider, robot) = ready().await;
    let both = own(&provider, &robot, &[("resource", TWO), ("resource", ONE)]).await.ok().text("access_token");
    assert_eq!(claims_of(&both)["aud"], json!([TWO, ONE]));
    for bad in ["https://evil.example/", "https://one.example", "one", "https://one.example/#f"] {
        let refused = own(&provider, &robot, &[("resource", bad)]).await;
        assert_eq!(refused.error(), (400, "invalid_target".into()), "{bad}");
    }
    let page =
        Authorization::of(&robot).with("resource", "https://evil.example/").open(&provider, &UserAgent::new()).await;
    assert_eq!(Answer::of(&page, &robot.redirect_uri).error(), "invalid_target");
}

/// RFC 8707 section 2.2: a code's and a family's tokens stay within what was agreed to.
#[tokio::test]
async fn a_token_request_can_narrow_the_resources_and_not_widen_them() {
    let (provider, robot) = ready().await;
    let browser = UserAgent::new();
    let request = Authorization::of(&robot).with("resource", ONE).with("scope", "openid offline_access");
    let answer = request.complete(&provider, &browser).await;
    let first = provider.redeem(&robot, answer.code()).await.ok();
    assert_eq!(claims_of(&first.text("access_token"))["aud"], ONE);
    let refresh = async |more: &[(&str, &str)], token: &str| {
        let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
        fields.extend(more);
        provider.post("/token", robot.auth(), &fields).await
    };
    let token = first.text("refresh_token");
    assert_eq!(refresh(&[("resource", TWO)], &token).await.error(), (400, "invalid_target".into()));
    let next = refresh(&[("resource", ONE)], &token).await.ok();
    assert_eq!(claims_of(&next.text("access_token"))["aud"], ONE);

    let answer =
        Authorization::of(&robot).with("resource", ONE).and("resource", TWO).complete(&provider, &browser).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", answer.code()),
        ("redirect_uri", &robot.redirect_uri),
        ("code_verifier", crate::support::VERIFIER),
        ("resource", TWO),
    ];
    let narrow = provider.post("/token", robot.auth(), &fields).await.ok();
    assert_eq!(claims_of(&narrow.text("access_token"))["aud"], TWO);
}

/// RFC 9068 section 5: a person whose `sub` is a client's id could be taken for it, and cannot sign in.
#[tokio::test]
async fn a_person_is_never_taken_for_a_client() {
    let (provider, _) = ready().await;
    let client = provider.client("bob-sub").await;
    provider.add_user(NewUser::named("bob")).await;
    let browser = UserAgent::new();
    let page = Authorization::of(&client).open(&provider, &browser).await;
    let page = provider.type_in(&browser, &page, "bob", crate::support::provider::PASSWORD).await;
    assert_eq!(page.status, 422, "{page}");
}

/// The APIs check it by the published keys alone.
#[tokio::test]
async fn its_key_is_published() {
    let (provider, robot) = ready().await;
    let token = own(&provider, &robot, &[]).await.ok().text("access_token");
    let jwks = provider.get("/jwks", &[]).await.ok().json();
    assert!(jwks["keys"].as_array().unwrap().iter().any(|key| key["kid"] == header_of(&token)["kid"]));
}

/// As `RabbitMQ` wants it. RFC 8707 section 2: `resource` in a request is an absolute URI.
#[tokio::test]
async fn an_audience_that_is_no_uri_is_told_and_cannot_be_asked_for() {
    let (provider, _) = ready().await;
    let row = NewClient::new("producer").with("grant_types", "client_credentials").with("access_token_format", "jwt");
    let producer = provider.add(row.with("scope", "queue:write")).await;
    provider.sql("INSERT INTO client_audiences VALUES ('producer', 'rabbitmq')").await;
    let token = own(&provider, &producer, &[]).await.ok().text("access_token");
    assert_eq!(claims_of(&token)["aud"], "rabbitmq");
    for asked in ["rabbitmq", "RABBITMQ", "rabbitmq:", ""] {
        let answer = own(&provider, &producer, &[("resource", asked)]).await;
        if asked.is_empty() {
            // RFC 6749 section 3.2: without a value it was not sent.
            assert_eq!(claims_of(&answer.ok().text("access_token"))["aud"], "rabbitmq");
        } else {
            assert_eq!(answer.error(), (400, "invalid_target".into()), "{asked}");
        }
    }
    // The API itself may ask about it, under the name that it has.
    let api = NewClient::new("broker").with("resource", "rabbitmq");
    let api = provider.add(api).await;
    let told = provider.post("/introspect", api.auth(), &[("token", &token)]).await.ok().json();
    assert_eq!((&told["active"], &told["aud"]), (&json!(true), &json!("rabbitmq")));
}
