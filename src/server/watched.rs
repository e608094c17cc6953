//! A request's body that tells whether it was read to its end: where it was not, the connection cannot be used again.

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

/// The body, as its handler has it.
pub(super) struct Watched {
    body: Incoming,
    flags: [Arc<AtomicBool>; 2],
}

/// Watches a body; the flag that is given, and the one of the connection, are set once all of it was read.
pub(super) fn watch(body: Incoming, is_quiet: Arc<AtomicBool>) -> (Watched, Arc<AtomicBool>) {
    let is_read = Arc::new(AtomicBool::new(false));
    let watched = Watched { body, flags: [is_read.clone(), is_quiet] };
    if watched.body.is_end_stream() {
        watched.has_ended();
    }
    (watched, is_read)
}

impl Watched {
    fn has_ended(&self) {
        for flag in &self.flags {
            flag.store(true, Ordering::Relaxed);
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.has_ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
