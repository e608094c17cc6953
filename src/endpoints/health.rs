//! `/health/live` and `/health/ready`, on the management listener only.

use crate::provider::Provider;
use crate::web::answer::json_body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// How long a dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process runs.
pub async fn live() -> Response {
    json_body(StatusCode::OK, &json!({"status": "live"}))
}

/// The process can serve; if not, which dependency is missing.
pub async fn ready(State(provider): State<Arc<Provider>>) -> Response {
    let (database, redis) = tokio::join!(
        tokio::time::timeout(PATIENCE, provider.db.ping()),
        tokio::time::timeout(PATIENCE, provider.ephemeral.ping()),
    );
    let mut missing = Vec::new();
    if !matches!(database, Ok(Ok(()))) {
        missing.push("database");
    }
    if !matches!(redis, Ok(Ok(()))) {
        missing.push("redis");
    }
    if missing.is_empty() {
        json_body(StatusCode::OK, &json!({"status": "ready"}))
    } else {
        json_body(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "unavailable", "missing": missing}))
    }
}
