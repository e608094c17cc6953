//! Parties that none of us wrote, through sign-in, single sign-on, refresh and logout: openid-client, Authlib with
//! joserfc, and Apache's `mod_auth_openidc`. `tests/parties/README.md` says what each is.

use crate::support::party::{Party, Place, arrive};
use crate::support::provider::{CLIENT_SECRET, PASSWORD};
use crate::support::{Answer, Authorization, NewClient, TestClient, TestProvider, UserAgent, apache};
use serde_json::{Value, json};

async fn ready() -> TestProvider {
    let provider = TestProvider::start().await;
    provider.alice().await;
    provider
}

/// A client that may refresh.
fn refreshing(client: NewClient) -> NewClient {
    client.with("grant_types", "authorization_code refresh_token").with("scope", "openid profile email offline_access")
}

const REFRESHING: (&str, &str) = ("OIDC_SCOPE", "openid profile email offline_access");

async fn node(provider: &TestProvider) -> Party {
    let place = Place::of("node");
    provider.add(refreshing(place.client())).await;
    Party::node(place, provider, &[REFRESHING]).await
}

async fn python(provider: &TestProvider) -> Party {
    let place = Place::of("python");
    provider.add(refreshing(place.client())).await;
    Party::python(place, provider, &[REFRESHING]).await
}

async fn behind_apache(provider: &TestProvider) -> Party {
    let place = Place::of("apache");
    let client = place.client().with("backchannel_logout_uri", &apache::backchannel_logout_uri(&place));
    provider.add(refreshing(client)).await;
    apache::start(place, provider, &[REFRESHING], &["PKCE"]).await
}

#[track_caller]
fn assert_alice(known: &Value) {
    let told = [&known["sub"], &known["name"], &known["email"]];
    assert_eq!(told, ["alice-sub", "Alice Example", "alice@example.com"], "{known}");
}

/// What the provider says to a client that asks without showing a page.
async fn is_signed_in(provider: &TestProvider, probe: &TestClient, browser: &UserAgent) -> bool {
    let page = Authorization::of(probe).with("prompt", "none").open(provider, browser).await;
    let answer = Answer::of(&page, &probe.redirect_uri);
    match answer.get("code") {
        Some(_) => true,
        None if answer.error() == "login_required" => false,
        None => panic!("{answer:?}"),
    }
}

#[tokio::test]
async fn one_sign_in_opens_every_party_and_one_logout_closes_them_all() {
    let provider = ready().await;
    let probe = provider.client("probe").await;
    let parties = [node(&provider).await, python(&provider).await, behind_apache(&provider).await];
    for first in 0..parties.len() {
        let browser = UserAgent::new();
        for party in &parties {
            assert!(!party.is_in(&browser).await, "{}", party.id);
        }
        assert_alice(&parties[first].sign_in(&provider, &browser).await);
        for other in parties.iter().filter(|party| party.id != parties[first].id) {
            assert_alice(&other.enter(&provider, &browser).await);
        }
        for party in &parties {
            assert!(party.is_in(&browser).await, "{}", party.id);
        }

        // By way of the provider and back, without a question: the party shows a token of this very session.
        let arrival = parties[first].open(&browser, "/logout").await;
        assert_eq!(arrival.at(&provider.issuer), ["/logout"], "{}\n{}", arrival.page, parties[first].log());
        assert_eq!(parties[first].told(&arrival), json!({"signed_in": false, "by": "this service"}));
        assert!(!is_signed_in(&provider, &probe, &browser).await);
        // The others were told before the redirect, by the back channel.
        for party in &parties {
            assert!(!party.is_in(&browser).await, "{} was not told\n{}", party.id, party.log());
        }
    }
    let sql = "SELECT client_id, last_result FROM logout_outbox WHERE delivered_at IS NULL OR tries <> 1";
    assert_eq!(provider.rows(sql).await, Vec::<Vec<Option<String>>>::new());
}

/// Discovery, redirects and logout where the issuer is not the root of its host.
#[tokio::test]
async fn the_same_where_the_issuer_has_a_path() {
    let provider = TestProvider::with(&[("issuer", "/auth")]).await;
    provider.alice().await;
    let parties = [node(&provider).await, python(&provider).await, behind_apache(&provider).await];
    let browser = UserAgent::new();
    assert_alice(&parties[0].sign_in(&provider, &browser).await);
    for party in &parties[1..] {
        let arrival = party.open(&browser, "/login").await;
        assert_eq!(arrival.at(&provider.issuer), ["/auth/authorize"]);
        assert_alice(&party.told(&arrival));
    }
    let _ = parties[2].told(&parties[2].open(&browser, "/logout").await);
    for party in &parties {
        assert!(!party.is_in(&browser).await, "{} was not told\n{}", party.id, party.log());
    }
}

// ---- What each does besides.

#[tokio::test]
async fn openid_client_and_authlib_refresh_introspect_and_revoke() {
    let provider = ready().await;
    for party in [node(&provider).await, python(&provider).await] {
        let browser = UserAgent::new();
        assert_alice(&party.sign_in(&provider, &browser).await);
        let ask = async |path: &str| party.told(&party.open(&browser, path).await);
        let refreshed = json!({"sub": "alice-sub", "another_access_token": true, "another_refresh_token": true});
        assert_eq!(ask("/refresh").await, refreshed);
        // With the refresh token that the one before led to.
        assert_eq!(ask("/refresh").await, refreshed);
        assert_eq!(ask("/introspect").await, json!({"active": true, "sub": "alice-sub"}));
        // A refresh token given back takes everything of its grant along.
        assert_eq!(ask("/revoke").await, json!({"active": false}));
        let arrival = party.open(&browser, "/refresh").await;
        assert_eq!(arrival.page.status, 400, "{}", arrival.page);
        assert_eq!(arrival.page.body.replace(' ', ""), r#"{"error":"invalid_grant"}"#, "{}", party.log());
    }
}

#[tokio::test]
async fn mod_auth_openidc_refreshes() {
    let provider = ready().await;
    let party = behind_apache(&provider).await;
    let browser = UserAgent::new();
    assert_alice(&party.sign_in(&provider, &browser).await);
    let access_token = async || {
        let info = party.told(&party.open(&browser, "/callback?info=json").await);
        assert_eq!(info["userinfo"]["sub"], "alice-sub", "{info}");
        info["access_token"].as_str().unwrap().to_owned()
    };
    let before = access_token().await;
    let back: String = url::form_urlencoded::byte_serialize(party.at("/").as_bytes()).collect();
    // A service behind it would send people here when its access token is too old.
    let arrival = party.open(&browser, &format!("/callback?refresh={back}&access_token={before}")).await;
    assert_eq!(arrival.at(&provider.issuer), [""; 0]);
    assert_eq!(arrival.page.url.as_str(), party.at("/"), "{}", party.log());
    assert_alice(&party.told(&arrival));
    let after = access_token().await;
    assert_ne!(after, before);
    assert_eq!(provider.userinfo(&after).await.ok().json()["sub"], "alice-sub");
}

/// The row says which algorithm signs, and each library checks it by the published keys.
#[tokio::test]
async fn each_party_takes_each_algorithm_it_knows() {
    let provider = ready().await;
    for (id, algorithms) in [
        ("node", &["PS256", "ES256", "EdDSA"][..]),
        ("python", &["PS256", "ES256", "EdDSA"]),
        // cjose, which checks for it, does not know EdDSA.
        ("apache", &["PS256", "ES256"]),
    ] {
        for algorithm in algorithms {
            let place = Place::of(&format!("{id}-{}", algorithm.to_lowercase()));
            let client = place.client().with("id_token_signed_response_alg", algorithm);
            let client = if id == "apache" {
                client.with("backchannel_logout_uri", &apache::backchannel_logout_uri(&place))
            } else {
                client
            };
            provider.add(client).await;
            let settings = [("OIDC_ALGORITHM", *algorithm)];
            let party = match id {
                "node" => Party::node(place, &provider, &settings).await,
                "python" => Party::python(place, &provider, &settings).await,
                _ => apache::start(place, &provider, &settings, &["PKCE"]).await,
            };
            let browser = UserAgent::new();
            assert_alice(&party.sign_in(&provider, &browser).await);
            // The logout token is signed by the same algorithm; here the person signs out at the provider itself.
            let page = browser.get(&provider.url("/logout")).await;
            let page = browser.submit(page.form("form"), Some(("action", "sign_out"))).await;
            assert!(page.text().contains("You were signed out of these services too"), "{page}\n{}", party.log());
            assert!(!party.is_in(&browser).await, "{algorithm}: {}", party.log());
        }
    }
}

/// Whatever the row says, and with PKCE in any case.
#[tokio::test]
async fn each_party_may_send_its_secret_in_the_header_or_in_the_body() {
    let provider = ready().await;
    for registered in ["client_secret_basic", "client_secret_post"] {
        for sent in ["client_secret_basic", "client_secret_post"] {
            let settings = [("OIDC_AUTH_METHOD", sent)];
            let end = format!("{}-{}", &registered[14..], &sent[14..]);
            let places = ["node", "python", "apache"].map(|id| Place::of(&format!("{id}-{end}")));
            for place in &places {
                provider.add(place.client().with("token_endpoint_auth_method", registered)).await;
            }
            let [one, two, three] = places;
            let parties = [
                Party::node(one, &provider, &settings).await,
                Party::python(two, &provider, &settings).await,
                apache::start(three, &provider, &settings, &["PKCE"]).await,
            ];
            let browser = UserAgent::new();
            assert_alice(&parties[0].sign_in(&provider, &browser).await);
            for party in &parties[1..] {
                assert_alice(&party.enter(&provider, &browser).await);
            }
        }
    }
}

/// A refusal reaches the party as the error that it is.
#[tokio::test]
async fn a_party_is_told_when_the_person_refuses() {
    let provider = ready().await;
    let places = [Place::of("node"), Place::of("python")];
    for place in &places {
        provider.add(place.client().with("consent", "ask")).await;
    }
    let [one, two] = places;
    for party in [Party::node(one, &provider, &[]).await, Party::python(two, &provider, &[]).await] {
        let browser = UserAgent::new();
        let page = party.open(&browser, "/login").await.page;
        let page = provider.type_in(&browser, &page, "alice", PASSWORD).await;
        assert!(page.url.path().ends_with("/consent"), "{page}");
        let refused = arrive(&browser, browser.submit(page.form("form"), Some(("decision", "deny"))).await).await;
        assert_eq!(refused.page.status, 400, "{}", refused.page);
        assert_eq!(refused.page.body.replace(' ', ""), r#"{"error":"access_denied"}"#, "{}", party.log());
        assert!(!party.is_in(&browser).await);
    }
}

/// Tokens of one kind are never taken for another: `typ` tells them apart, and a logout token has no `nonce`.
#[tokio::test]
async fn an_id_token_signs_no_user_out() {
    let provider = ready().await;
    let parties = [node(&provider).await, python(&provider).await, behind_apache(&provider).await];
    let browser = UserAgent::new();
    assert_alice(&parties[0].sign_in(&provider, &browser).await);
    for party in &parties[1..] {
        assert_alice(&party.enter(&provider, &browser).await);
    }
    for party in &parties {
        // Another browser's sign-in, so that the party's own session is not touched.
        let client = TestClient {
            client_id: party.id.clone(),
            secret: Some(CLIENT_SECRET.into()),
            redirect_uri: party.at("/callback"),
        };
        let id_token = provider.tokens(&browser, &client).await.text("id_token");
        let path = if party.id == "apache" { "/callback?logout=backchannel" } else { "/backchannel" };
        let answer = UserAgent::new().post_form(&party.at(path), &[("logout_token", &id_token)]).await;
        assert_eq!(answer.status, 400, "{answer}\n{}", party.log());
        assert!(party.is_in(&browser).await, "{}", party.id);
    }
}
