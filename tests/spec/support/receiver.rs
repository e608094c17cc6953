//! A client's own address: a small server that writes down what browsers bring it, by GET or by POST.

use super::verbs::Answer;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Html;
use axum::routing::any;
use reqwest::Method;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use url::form_urlencoded;

/// What was brought, the oldest first.
type Arrivals = Arc<Mutex<Vec<(Method, Answer)>>>;

/// The server, on a port of its own.
pub struct Receiver {
    /// On `localhost`: another site than the provider of a test, which is on `127.0.0.1`.
    pub redirect_uri: String,
    arrivals: Arrivals,
}

impl Receiver {
    /// Starts it; it ends with the test.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let redirect_uri = format!("http://localhost:{}/callback", listener.local_addr().unwrap().port());
        let arrivals = Arrivals::default();
        let router = Router::new().route("/callback", any(take)).with_state(arrivals.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { redirect_uri, arrivals }
    }

    /// Takes the oldest arrival, which may still be on its way.
    pub async fn next(&self) -> (Method, Answer) {
        for _ in 0..400 {
            if !self.arrivals.lock().unwrap().is_empty() {
                return self.arrivals.lock().unwrap().remove(0);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("nothing arrives at {}", self.redirect_uri);
    }

    /// Whether everything that arrived was taken.
    pub fn is_empty(&self) -> bool {
        self.arrivals.lock().unwrap().is_empty()
    }
}

async fn take(State(arrivals): State<Arrivals>, request: Request) -> Html<&'static str> {
    let method = request.method().clone();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 64 * 1024).await.unwrap();
    let sent = if method == Method::POST { &body[..] } else { query.as_bytes() };
    let parameters = form_urlencoded::parse(sent).into_owned().collect();
    arrivals.lock().unwrap().push((method, Answer { parameters }));
    // The icon keeps browsers from asking for one that is not there.
    Html(
        "<!doctype html><html lang=\"en\"><title>Arrived</title><link rel=\"icon\" href=\"data:,\">\
         <h1 id=\"arrived\">Arrived</h1></html>",
    )
}
