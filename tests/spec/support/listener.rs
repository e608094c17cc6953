//! A service's back-channel address: it writes down the logout tokens it is sent, and answers as it is told.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use url::form_urlencoded;

#[derive(Default)]
struct Shared {
    tokens: Mutex<Vec<String>>,
    status: AtomicU16,
}

/// The address.
pub struct LogoutListener {
    pub uri: String,
    shared: Arc<Shared>,
}

impl LogoutListener {
    /// Starts one that answers 200.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/backchannel?x=1", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        shared.status.store(200, Ordering::SeqCst);
        let router = Router::new().route("/backchannel", post(take)).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { uri, shared }
    }

    /// What it answers from now on; 0: nothing, for ten seconds.
    pub fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// The logout tokens it was sent.
    pub fn tokens(&self) -> Vec<String> {
        self.shared.tokens.lock().unwrap().clone()
    }

    /// Waits until it was sent so many.
    pub async fn wait_for(&self, count: usize) -> Vec<String> {
        for _ in 0..400 {
            if self.tokens().len() >= count {
                return self.tokens();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("only {} of {count} logout tokens arrived", self.tokens().len());
    }
}

async fn take(State(shared): State<Arc<Shared>>, body: String) -> StatusCode {
    let fields: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    assert_eq!(fields.len(), 1, "nothing but the token is sent: {body}");
    assert_eq!(fields[0].0, "logout_token");
    let status = shared.status.load(Ordering::SeqCst);
    if status == 0 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        return StatusCode::OK;
    }
    shared.tokens.lock().unwrap().push(fields[0].1.clone());
    StatusCode::from_u16(status).unwrap()
}
