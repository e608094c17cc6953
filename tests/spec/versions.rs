//! What holds across versions: an older node lets in no user whom a newer row refuses.

use crate::support::program::Serve;
use crate::support::provider::{copy_keys, fresh_stores, run_sql};
use crate::support::remote::until;
use crate::support::verbs::{http, send};
use crate::support::{Authorization, TestProvider, UserAgent, folder};
use axum::body::to_bytes;
use axum::extract::State;
use hallpass::endpoints::health;
use hallpass::startup::watch_version;
use hallpass::store::migrations::SCHEMA_VERSION;
use serde_json::Value;

async fn readiness(provider: &TestProvider) -> (u16, Value) {
    let answer = health::ready(State(provider.provider.clone())).await;
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&to_bytes(answer.into_body(), 10_000).await.unwrap()).unwrap())
}

async fn say(provider: &TestProvider, least: &str) {
    provider.sql("DELETE FROM provider_values WHERE name = 'least_schema_version'").await;
    provider
        .sql(&format!("INSERT INTO provider_values (name, value) VALUES ('least_schema_version', '{least}')"))
        .await;
    watch_version(&provider.provider).await;
}

#[tokio::test]
async fn a_node_that_is_older_than_a_row_lets_no_user_in_and_readiness_says_why() {
    let provider = TestProvider::start().await;
    let client = provider.client("reports").await;
    provider.alice().await;
    let browser = UserAgent::new();
    let tokens = provider.tokens(&browser, &client).await;
    let bearer = format!("Bearer {}", tokens.text("access_token"));
    assert_eq!(readiness(&provider).await.0, 200);
    // A value that is no number says that something newer wrote it.
    for least in [(SCHEMA_VERSION + 1).to_string(), "8.1".to_owned()] {
        say(&provider, &least).await;
        let (status, answer) = readiness(&provider).await;
        assert_eq!((status, &answer["missing"][0]), (503, &Value::from("version")), "{answer}");
        let why = answer["degraded"]["version"].as_str().unwrap();
        assert!(why.contains("older than rows in the database") && why.contains("run the newest version"), "{why}");
        for path in ["/authorize?client_id=reports", "/login", "/consent"] {
            let page = UserAgent::new().get(&provider.url(path)).await;
            assert_eq!(page.status, 503, "{path}: {page}");
            assert!(page.header("retry-after").is_some() && page.text().contains("being updated"), "{path}: {page}");
        }
        for path in ["/token", "/introspect", "/revoke", "/userinfo", "/login"] {
            let answer = send(http().post(provider.url(path)).header("accept", "application/json")).await;
            assert_eq!(answer.status, 503, "{path}");
        }
        let answer = provider.get("/userinfo", &[("authorization", &bearer)]).await;
        assert_eq!(answer.error(), (503, "temporarily_unavailable".into()));
        // What lets no user in continues.
        for path in ["/.well-known/openid-configuration", "/jwks", "/assets/hallpass.css", "/logout"] {
            assert_eq!(provider.get(path, &[]).await.status, 200, "{path}");
        }
    }
    for least in [SCHEMA_VERSION, 1] {
        say(&provider, &least.to_string()).await;
        assert_eq!(readiness(&provider).await.0, 200);
        let page = Authorization::of(&client).open(&provider, &browser).await;
        assert!(page.query_parameter("code").is_some(), "{page}");
    }
}

/// While the database does not answer, what it said last holds.
#[tokio::test]
async fn what_was_read_last_holds_while_it_cannot_be_read() {
    let provider = TestProvider::start().await;
    say(&provider, &(SCHEMA_VERSION + 1).to_string()).await;
    provider.sql("ALTER TABLE provider_values RENAME TO away").await;
    watch_version(&provider.provider).await;
    assert!(provider.provider.outdated.is_so());
}

#[tokio::test]
async fn a_running_node_sees_within_ten_seconds_that_it_may_not_serve_and_one_that_starts_sees_it_at_once() {
    let folder = folder();
    let (database_url, redis_url) = fresh_stores(folder.path());
    copy_keys(&folder.path().join("keys"));
    let mut serve = Serve::start(folder.path(), &database_url, &redis_url);
    let status = async |serve: &Serve| http().get(format!("{}/login", serve.issuer)).send().await.unwrap().status();
    assert_eq!(status(&serve).await, 400);
    let newer = SCHEMA_VERSION + 1;
    run_sql(&database_url, &format!("INSERT INTO provider_values VALUES ('least_schema_version', '{newer}')"))
        .await
        .unwrap();
    let asked = tokio::time::Instant::now();
    until("the node serves no user", async || status(&serve).await == 503).await;
    assert!(asked.elapsed() < std::time::Duration::from_secs(10));
    serve.running.signal("TERM");
    serve.running.wait();
    let again = Serve::again(folder.path(), serve.variables);
    assert_eq!(status(&again).await, 503);
}
