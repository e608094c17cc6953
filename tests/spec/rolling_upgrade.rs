//! Two versions on one store: records that another version wrote, with a member more or without one that may be left out,
//! are read and changed, and what this version does not know stays in them. All records here are written by hand.

use crate::store_contract::{ShortLived, race, short_lived};
use crate::store_shares::start;
use crate::support::{Answer, Authorization, NewClient, TestClient, TestProvider, UserAgent};
use hallpass::ambient::random;
use hallpass::protocol::authorization::{Interaction, SignedIn};
use hallpass::protocol::grant::AccessGrant;
use hallpass::protocol::secret::{AccessToken, AccessTokenParts, AuthorizationCode, Handle, InteractionId, SessionId};
use hallpass::protocol::time::NumericDate;
use hallpass::store::ephemeral::{Ephemeral, Taken};
use hallpass::store::{access_tokens, codes, interactions, logout_requests, sessions};
use serde_json::{Value, json};

const NOW: NumericDate = NumericDate(1_790_000_000);

fn sign_in() -> Value {
    json!({
        "sub": "alice-sub", "session": Handle([7; 16]), "auth_time": NOW, "amr": ["pwd"], "acr": "1", "credential": "mark",
        "of_a_later_version": {"factors": ["totp"]},
    })
}

fn authorization() -> Value {
    // Without `resources`, `claims` and `confirmation`.
    json!({
        "client_id": "reports", "scope": "openid", "sign_in": sign_in(), "authorized_at": NOW,
        "of_a_later_version": [1, 2],
    })
}

/// What is in the store now, byte for byte.
async fn raw(store: &Ephemeral, key: &str) -> Value {
    store.get(key).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_session_of_another_version_is_used_and_keeps_what_is_not_known_here() {
    for ShortLived { name, store, .. } in short_lived().await {
        let id = SessionId::received("a session");
        let key = format!("session:{}", id.digest().as_str());
        let written = json!({
            "sign_in": sign_in(), "seen_at": NOW, "expires_at": NOW.plus(1000), "of_a_later_version": {"trusted": true},
        });
        store.put(&key, &written, 1000).await.unwrap();
        let before = store.commands();
        let session = sessions::find(&store, &id).await.unwrap().unwrap();
        sessions::used(&store, &id, &session, "reports", 1000, NOW.plus(100)).await.unwrap();
        assert_eq!(store.commands() - before, 2, "{name}: one read, one change");
        let mut expected = written.clone();
        expected["clients"] = json!(["reports"]);
        expected["seen_at"] = json!(NOW.plus(100));
        assert_eq!(raw(&store, &key).await, expected, "{name}");
        // Another node changed it meanwhile, with a member of its own: what was read is not what is there, and it is read again.
        expected["clients"] = json!(["reports", "other"]);
        expected["more"] = json!(null);
        store.put(&key, &expected, 1000).await.unwrap();
        sessions::used(&store, &id, &session, "third", 1000, NOW.plus(100)).await.unwrap();
        expected["clients"] = json!(["reports", "other", "third"]);
        assert_eq!(raw(&store, &key).await, expected, "{name}");
        assert_eq!(store.unsettled(), 0, "{name}");
    }
}

#[tokio::test]
async fn an_interaction_of_another_version_is_changed_and_keeps_what_is_not_known_here() {
    for ShortLived { name, store, .. } in short_lived().await {
        let id = InteractionId::received("an interaction");
        // Without `browser`, `signed_in` and `consented`.
        let written = json!({
            "params": [["client_id", "reports"]], "client_id": "reports", "expires_at": NOW.plus(1000),
            "second_factor": {"tries": 1},
        });
        store.start(&start(id.digest().as_str(), "one"), &written).await.unwrap();
        let read = interactions::find(&store, &id).await.unwrap().unwrap();
        let here = SignedIn { sub: "alice-sub".into(), session: Handle([7; 16]) };
        let after = Interaction { signed_in: Some(here.clone()), ..Interaction::clone(&read) };
        assert!(interactions::update(&store, &id, &read, &after, true).await.unwrap(), "{name}");
        let mut expected = written.clone();
        expected["signed_in"] = serde_json::to_value(&here).unwrap();
        assert_eq!(store.started::<Value>(id.digest().as_str()).await.unwrap(), Some(expected), "{name}");
        // What was read first is not there any more.
        assert!(!interactions::update(&store, &id, &read, &after, true).await.unwrap(), "{name}");
        assert!(matches!(interactions::finish(&store, &id).await.unwrap(), Taken::Fresh(_)), "{name}");
    }
}

#[tokio::test]
async fn a_code_of_another_version_is_redeemed_and_put_back_as_it_was() {
    for ShortLived { name, store, .. } in short_lived().await {
        let code = AuthorizationCode::from_random(&random::<32>());
        let key = format!("code:{}", code.digest_for("reports").as_str());
        // Without `redirect_uri`, `nonce` and `code_challenge`.
        let written = json!({
            "authorization": authorization(), "expires_at": NOW.plus(60), "authorization_details": [{"type": "x"}],
        });
        store.put(&key, &written, 1000).await.unwrap();
        let (_, taken) = codes::redeem(&store, &code, "reports", 1000).await.unwrap();
        let Taken::Fresh(grant) = taken else { panic!("{name}: the code is good") };
        assert_eq!(grant.authorization.sub(), Some("alice-sub"), "{name}");
        codes::put_back(&store, &code, &grant, NOW).await.unwrap();
        assert_eq!(raw(&store, &key).await, written, "{name}");
    }
}

#[tokio::test]
async fn a_token_and_a_sign_out_of_another_version_are_read() {
    for ShortLived { name, store, .. } in short_lived().await {
        let parts = AccessTokenParts { grant: Handle(random()), session: Handle(random()) };
        let digest = AccessToken::received("hp_at_x").digest();
        let key = format!("at:{}", digest.as_str());
        // Without `audience`.
        let written = json!({
            "authorization": authorization(), "issued_at": NOW, "expires_at": NOW.plus(60), "use": "x",
        });
        store.put(&key, &written, 1000).await.unwrap();
        let found: Option<AccessGrant> = access_tokens::find(&store, &digest, &parts, NOW).await.unwrap();
        assert_eq!(found.unwrap().authorization.client_id, "reports", "{name}");

        let id = InteractionId::received("a sign-out");
        let written = json!({"params": [["state", "x"]], "expires_at": NOW.plus(100), "more": 1});
        store.start(&start(id.digest().as_str(), "one"), &written).await.unwrap();
        let found = logout_requests::find(&store, &id, NOW).await.unwrap().unwrap();
        assert_eq!(found.params.get("state"), Some("x"), "{name}");
    }
}

/// A request that is overtaken at every try is counted, so that a service that is not told of a sign-out leaves a trace.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_is_noted_in_the_session_or_counted_as_not_noted() {
    const RACERS: usize = 128;
    for ShortLived { name, store, .. } in short_lived().await {
        let id = SessionId::received("a session");
        let key = format!("session:{}", id.digest().as_str());
        store
            .put(&key, &json!({"sign_in": sign_in(), "seen_at": NOW, "expires_at": NOW.plus(1000)}), 1000)
            .await
            .unwrap();
        let session = sessions::find(&store, &id).await.unwrap().unwrap();
        let _ = race(RACERS, |racer| {
            let (store, id, session) = (store.clone(), SessionId::received("a session"), session.clone());
            async move {
                sessions::used(&store, &id, &session, &format!("client {racer}"), 1000, NOW).await.unwrap();
            }
        })
        .await;
        let noted = raw(&store, &key).await["clients"].as_array().unwrap().len();
        assert_eq!(noted + usize::try_from(store.unsettled()).unwrap(), RACERS, "{name}");
    }
}

/// A token bound to a key by a newer version is not taken for one that is bound to nothing.
#[tokio::test]
async fn what_is_bound_to_a_key_is_refused_by_a_version_that_cannot_check_it() {
    let provider = TestProvider::start().await;
    let client = provider.add(NewClient::new("reports").with("consent", "skip")).await;
    provider.alice().await;
    let browser = UserAgent::new();
    let token = provider.tokens(&browser, &client).await.text("access_token");
    let _ = provider.userinfo(&token).await.ok();
    let key = format!("at:{}", AccessToken::received(token.as_str()).digest().as_str());
    let store = &provider.provider.ephemeral;
    let mut record = raw(store, &key).await;
    record["authorization"]["confirmation"] = json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"});
    store.put(&key, &record, 1000).await.unwrap();
    assert_eq!(provider.userinfo(&token).await.error(), (401, "invalid_token".into()));
    let introspected = provider.post("/introspect", client.auth(), &[("token", &token)]).await.ok();
    assert_eq!(introspected.json(), json!({"active": false}));
}

/// The whole: after a newer node has touched the session, the next service is noted in it, at the usual cost.
#[tokio::test]
async fn a_service_that_is_entered_after_a_newer_node_touched_the_session_is_noted_in_it() {
    let provider = TestProvider::start().await;
    let mut clients = Vec::new();
    for id in ["reports", "second", "third"] {
        clients.push(provider.add(NewClient::new(id).with("consent", "skip")).await);
    }
    provider.alice().await;
    let browser = UserAgent::new();
    let _ = provider.tokens(&browser, &clients[0]).await;
    let cookie = browser.cookies().into_iter().find(|cookie| cookie.name.contains("session")).unwrap().value;
    let key = format!("session:{}", SessionId::received(cookie).digest().as_str());
    let store = &provider.provider.ephemeral;
    let enter = async |client: &TestClient| {
        let before = store.commands();
        let page = Authorization::of(client).open(&provider, &browser).await;
        assert!(!Answer::of(&page, &client.redirect_uri).code().is_empty());
        store.commands() - before
    };
    let usual = enter(&clients[1]).await;
    let mut record = raw(store, &key).await;
    record["of_a_later_version"] = json!(1);
    store.put(&key, &record, 10_000).await.unwrap();
    assert_eq!(enter(&clients[2]).await, usual);
    let record = raw(store, &key).await;
    assert_eq!(
        (&record["clients"], &record["of_a_later_version"]),
        (&json!(["reports", "second", "third"]), &json!(1))
    );
}
