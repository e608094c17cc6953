//! Listening: connections with bounds on headers, time and number, and an end that lets requests finish.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::Sleep;
use tower::Service as _;

/// How long a client may take to send its request's head, also the next one on an idle connection.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// The largest head, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How long a client may take no byte of its answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// The most connections at once; further ones wait in the listener's queue.
const MAX_CONNECTIONS: usize = 8192;
/// How long requests in flight may take to finish at the end.
const FAREWELL: Duration = Duration::from_secs(15);

/// Says when to stop; cheap to clone.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

/// Tells everybody who holds a `Stop`.
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
    /// Waits for it; also when nobody is left to raise it.
    pub async fn wait(&mut self) {
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

/// Binds an address.
///
/// # Errors
/// The address with the reason, and what to set instead.
pub async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen on {address}: {error}\n  Mend: end what uses it, or set {setting} to another address")
    })
}

/// Serves until told to stop, then lets requests in flight finish, bounded.
pub async fn serve(listener: TcpListener, router: Router, mut stop: Stop) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = async {
                let place = places.clone().acquire_owned().await;
                (listener.accept().await, place)
            } => accepted,
            () = stop.wait() => break,
        };
        let (Ok((stream, remote)), Ok(place)) = accepted else {
            // Out of file descriptors, most likely: give others time to end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let names_one_host = names_one_host(&request);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(remote));
            let mut router = router.clone();
            async move { if names_one_host { router.call(request).await } else { Ok(bad_request()) } }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(Patient::new(stream, WRITE_PATIENCE)), service);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // A connection that breaks off is the client's affair.
            let _ = watched.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(FAREWELL, graceful.shutdown()).await;
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

/// A connection that is given up when the other side takes nothing for too long: whoever asks and asks and never reads
/// would keep its place for ever.
struct Patient<T> {
    stream: T,
    patience: Duration,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<T> Patient<T> {
    const fn new(stream: T, patience: Duration) -> Self {
        Self { stream, patience, waiting: None }
    }

    /// What becomes of a write that came to `outcome`.
    fn bounded<V>(&mut self, outcome: Poll<io::Result<V>>, context: &mut Context<'_>) -> Poll<io::Result<V>> {
        if outcome.is_ready() {
            self.waiting = None;
            return outcome;
        }
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        waiting.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, into)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.bounded(outcome, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(context, pieces);
        this.bounded(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(context);
        this.bounded(outcome, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_shutdown(context);
        this.bounded(outcome, context)
    }
}

/// Waits for SIGTERM or SIGINT.
pub async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test]
    async fn who_takes_nothing_of_an_answer_is_given_up_and_who_is_slow_is_not() {
        let patience = Duration::from_millis(200);
        let (near, _far) = duplex(16);
        let refused = Patient::new(near, patience).write_all(&[7; 64]).await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::TimedOut);

        let (near, mut far) = duplex(16);
        let reading = tokio::spawn(async move {
            let mut byte = [0; 8];
            for _ in 0..8 {
                tokio::time::sleep(patience / 4).await;
                far.read_exact(&mut byte).await.unwrap();
            }
        });
        Patient::new(near, patience).write_all(&[7; 64]).await.unwrap();
        reading.await.unwrap();
    }
}
