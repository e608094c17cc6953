//! `/health/live` and `/health/ready`, on the management listener only.
//!
//! Ready means that `/token` can be answered: a balancer takes nodes out that are not, so nothing that a stranger can bring
//! about may make one unready. What else is not as it should be is in `degraded`.

use crate::provider::{Outdated, Provider};
use crate::store::StoreError;
use crate::store::ephemeral::STARTED_SHARE;
use crate::web::answer::json_body;
use crate::web::remedies;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long a dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process runs.
pub async fn live() -> Response {
    json_body(StatusCode::OK, &json!({"status": "live"}))
}

/// Whether `/token` can be answered (200, else 503 with what is missing), and in `degraded` a sentence for each store or
/// budget that is not well.
pub async fn ready(State(provider): State<Arc<Provider>>) -> Response {
    let (database, short_lived, started) = tokio::join!(
        tokio::time::timeout(PATIENCE, provider.db.ping()),
        tokio::time::timeout(PATIENCE, provider.ephemeral.probe()),
        tokio::time::timeout(PATIENCE, provider.ephemeral.fill_of_started(STARTED_SHARE)),
    );
    let (mut degraded, mut missing) = (Map::new(), Vec::new());
    for (name, sentence) in provider.degraded.members() {
        degraded.insert(name.into(), sentence.into());
    }
    if let Some(sentence) = provider.background.sentence() {
        degraded.insert("background".into(), sentence.into());
    }
    if provider.outdated.is_so() {
        degraded.insert("version".into(), format!("{}; {}", Outdated::WHY, remedies::UPDATE_NODE).into());
        missing.push("version");
    }
    let database_answers = matches!(database, Ok(Ok(())));
    if !provider.directory.can_serve(database_answers, provider.now()) {
        missing.push("database");
    }
    if !database_answers {
        let sentence = "the database does not answer: clients and users that are known are served for an hour, refresh tokens, \
                        passwords and changes are not";
        degraded.insert("database".into(), sentence.into());
    }
    if let Ok(Ok(fill)) = started
        && fill.stored * 10 >= fill.most * 9
    {
        let sentence = "the share of started sign-ins is full: the oldest without any input give way";
        degraded.insert("started_sign_ins".into(), sentence.into());
    }
    if !matches!(short_lived, Ok(Ok(()))) {
        let sentence = match short_lived {
            Ok(Err(StoreError::Full)) => "the store of codes, tokens and sessions is full",
            Ok(Err(_)) => "Redis refuses or does not answer",
            _ => "Redis does not answer in time",
        };
        degraded.insert("short_lived_store".into(), sentence.into());
        missing.push("redis");
    }
    let mut answer = json!({"status": if missing.is_empty() { "ready" } else { "unavailable" }});
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if !missing.is_empty() {
        answer["missing"] = json!(missing);
    }
    if !degraded.is_empty() {
        answer["degraded"] = Value::Object(degraded);
    }
    json_body(status, &answer)
}
