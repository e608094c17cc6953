//! Listening: connections with bounds on headers, time and number, and an end that lets requests finish.

mod places;
mod watched;
mod write_timeout;

pub use places::{Places, raise_descriptors};
use write_timeout::WriteTimeout;

use crate::failure::Failure;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::Service as _;

/// How long a client may take to send its request's head, also the next one on an idle connection.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// The largest head, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How long a client may take no byte of its answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// How long requests in flight may take to finish at the end.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(15);

/// Says when to stop; cheap to clone.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

/// Tells all holders of a `Stop`.
pub struct Stopper(watch::Sender<bool>);

/// A stop sign and who raises it.
#[must_use]
pub fn stop_sign() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Raises it.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits for it; also when no `Stopper` is left to raise it.
    pub async fn wait(&mut self) {
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

/// Binds an address.
///
/// # Errors
/// The address with the reason, and what to set instead.
pub async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    use std::io::ErrorKind;
    TcpListener::bind(address).await.map_err(|error| {
        let port = address.port();
        let (why, fix) = match error.kind() {
            ErrorKind::AddrInUse => {
                ("another process listens there", format!("end it, or set {setting} to another address"))
            }
            ErrorKind::AddrNotAvailable => (
                "it is no address of this machine",
                format!("set {setting} to one that it has, or to 0.0.0.0:{port} or [::]:{port} for all of them"),
            ),
            ErrorKind::PermissionDenied => (
                "this user may not use a port below 1024",
                format!(
                    "set {setting} to a port from 1024 on, with a proxy in front of it, or give the process the \
                     capability CAP_NET_BIND_SERVICE"
                ),
            ),
            _ => {
                let failure = Failure::at(format!("{setting}: cannot listen on {address}"), error);
                return failure.with_fix(format!("set {setting} to another address"));
            }
        };
        Failure::new(format!("{setting}: cannot listen on {address}: {why}")).with_fix(fix).behind(error)
    })
}

/// Serves until told to stop, then lets requests in flight finish, bounded.
pub async fn serve(listener: TcpListener, router: Router, places: Arc<Places>, mut stop: Stop) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = async {
                let permit = places.wait().await;
                (listener.accept().await, permit)
            } => accepted,
            () = stop.wait() => break,
        };
        let (stream, remote, permit) = match accepted {
            (Ok((stream, remote)), Some(permit)) => (stream, remote, permit),
            (Err(error), _) => {
                places.failed(&error);
                // Out of file descriptors, most likely: give others time to end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            (Ok(_), None) => break,
        };
        // A network that has its share already is closed without a word: reading and answering is what it wants to cost.
        let Some(place) = places.take(permit, remote.ip()) else { continue };
        let place = Arc::new(place);
        let _ = stream.set_nodelay(true);
        let (router, of_requests) = (router.clone(), place.clone());
        let is_quiet = Arc::new(AtomicBool::new(true));
        let of_connection = is_quiet.clone();
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            of_requests.heard(request.headers());
            let names_one_host = names_one_host(&request);
            let (parts, body) = request.into_parts();
            let (body, is_read) = watched::watch(body, is_quiet.clone());
            let mut request = hyper::Request::from_parts(parts, Body::new(body));
            request.extensions_mut().insert(ConnectInfo(remote));
            let mut router = router.clone();
            async move {
                let mut answer = if names_one_host { router.call(request).await } else { Ok(bad_request()) };
                if let Ok(answer) = &mut answer
                    && !is_read.load(Ordering::Relaxed)
                {
                    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                answer
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(WriteTimeout::new(stream, WRITE_PATIENCE, of_connection)), service);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // A connection that breaks off is the client's affair.
            let _ = watched.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown()).await;
}

/// Whether a request names one host, which a proxy in front may have gone by
/// ([RFC 9112 section 3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2)); before HTTP/1.1 it need not.
fn names_one_host<T>(request: &hyper::Request<T>) -> bool {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11)
}

fn bad_request() -> Response {
    let close = [(header::CONNECTION, "close"), (header::CONTENT_TYPE, "text/plain")];
    (StatusCode::BAD_REQUEST, close, "a request must have one Host header (RFC 9112 section 3.2)\n").into_response()
}

/// Waits for SIGTERM or SIGINT. SIGHUP, which ends a process that does not hear it, is heard and does nothing: there is
/// nothing to read again that is not read again by itself.
pub async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let heard = |kind| signal(kind).ok();
    let (Some(mut terminate), Some(mut interrupt), Some(mut hangup)) =
        (heard(SignalKind::terminate()), heard(SignalKind::interrupt()), heard(SignalKind::hangup()))
    else {
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => return,
            _ = hangup.recv() => tracing::info!(
                "SIGHUP changes nothing: keys, clients and migrations are read again by themselves, settings at the start"
            ),
        }
    }
}
