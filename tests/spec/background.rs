//! The tasks behind the requests: one that dies is counted, started again and named in the readiness, and no request is
//! refused for it. The pauses are tested in `src/background.rs`.

use crate::floods::health;
use crate::support::TestProvider;
use crate::support::remote::until;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[tokio::test]
async fn a_task_that_dies_is_counted_started_again_and_named_in_the_readiness() {
    let provider = TestProvider::start().await;
    let background = &provider.provider.background;
    assert_eq!(background.deaths().get("audit writer"), Some(&0));
    let (status, body) = health(&provider).await;
    assert_eq!((status, body["degraded"].get("background")), (200, None), "{body}");

    let starts = Arc::new(AtomicU64::new(0));
    let counted = starts.clone();
    background.keep("a task of a test", move || {
        let is_first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            // The log is searched for what looks like a token.
            assert!(!is_first, "no token like hp_at_0123456789abcdef0123456789abcdef");
            std::future::pending::<()>().await;
        }
    });
    until("it has died", async || background.deaths()["a task of a test"] == 1).await;
    let (status, body) = health(&provider).await;
    let sentence = body["degraded"]["background"].as_str().unwrap();
    assert_eq!((status, body["status"].as_str()), (200, Some("ready")));
    assert!(sentence.starts_with("a task of a test died once, "), "{body}");

    until("it is started again", async || starts.load(Ordering::SeqCst) == 2).await;
    let (_, body) = health(&provider).await;
    assert_eq!(body["degraded"]["background"], "a task of a test died once, started again");
    background.stop().await;
    assert_eq!(background.deaths()["a task of a test"], 1, "the end is no death");
}
