//! The stream of a connection, with an end to its patience and to its rudeness.
//!
//! It is given up when the other side takes nothing for too long: a client that asks and asks and never reads would keep its
//! place for ever. And it is not closed while the other side is still sending: that resets it, the answer is lost with it, and a
//! proxy takes that for a dead node. What still comes is read and dropped, within bounds.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// The most that is read and dropped at the end, in bytes.
const MOST_DROPPED: usize = 2 * 1024 * 1024;
/// How long that may take.
const LINGER: Duration = Duration::from_secs(5);

/// A stream with bounds on both.
pub(super) struct WriteTimeout<T> {
    stream: T,
    patience: Duration,
    linger: Duration,
    /// Whether all that came was a whole request: nothing more is on its way then, as far as we know.
    is_quiet: Arc<AtomicBool>,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Runs at the end: until when what comes is dropped, and how much that was.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<T> WriteTimeout<T> {
    /// `is_quiet` is set by what has read a request to its end, and taken back here when more comes.
    pub(super) const fn new(stream: T, patience: Duration, is_quiet: Arc<AtomicBool>) -> Self {
        Self { stream, patience, linger: LINGER, is_quiet, waiting: None, lingering: None }
    }

    /// What to do with a write that came to `outcome`.
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

impl<T: AsyncRead + Unpin> WriteTimeout<T> {
    /// Reads and drops what the other side still sends, until it has ended or has sent too much or for too long.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger;
        let (until, dropped) = self.lingering.get_or_insert_with(|| (Box::pin(tokio::time::sleep(linger)), 0));
        let mut scratch = [0; 16 * 1024];
        while *dropped < MOST_DROPPED {
            if until.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let mut into = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut into) {
                Poll::Ready(Ok(())) if !into.filled().is_empty() => *dropped += into.filled().len(),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WriteTimeout<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let outcome = Pin::new(&mut this.stream).poll_read(context, into);
        if into.filled().len() > before {
            this.is_quiet.store(false, Ordering::Relaxed);
        }
        outcome
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WriteTimeout<T> {
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
        if this.lingering.is_none() {
            let outcome = Pin::new(&mut this.stream).poll_shutdown(context);
            match this.bounded(outcome, context) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
        }
        if this.is_quiet.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        this.poll_linger(context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    fn patient(near: DuplexStream, patience: Duration, is_quiet: bool) -> WriteTimeout<DuplexStream> {
        WriteTimeout::new(near, patience, Arc::new(AtomicBool::new(is_quiet)))
    }

    #[tokio::test]
    async fn who_takes_nothing_of_an_answer_is_given_up_and_who_is_slow_is_not() {
        let patience = Duration::from_millis(200);
        let (near, _far) = duplex(16);
        let refused = patient(near, patience, true).write_all(&[7; 64]).await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::TimedOut);

        let (near, mut far) = duplex(16);
        let reading = tokio::spawn(async move {
            let mut byte = [0; 8];
            for _ in 0..8 {
                tokio::time::sleep(patience / 4).await;
                far.read_exact(&mut byte).await.unwrap();
            }
        });
        patient(near, patience, true).write_all(&[7; 64]).await.unwrap();
        reading.await.unwrap();
    }

    #[tokio::test]
    async fn who_still_sends_at_the_end_is_heard_out_within_bounds() {
        for (sent, all_of_it) in [(MOST_DROPPED / 2, true), (MOST_DROPPED * 2, false)] {
            let (near, mut far) = duplex(1024);
            let sending = tokio::spawn(async move {
                let sent = far.write_all(&vec![7; sent]).await;
                drop(far);
                sent
            });
            let mut near = patient(near, Duration::from_secs(1), false);
            near.shutdown().await.unwrap();
            drop(near);
            assert_eq!(sending.await.unwrap().is_ok(), all_of_it, "{sent}");
        }
    }

    #[tokio::test]
    async fn who_neither_sends_nor_ends_is_left_after_a_while() {
        let (near, _far) = duplex(1024);
        let mut near = patient(near, Duration::from_secs(1), false);
        near.linger = Duration::from_millis(100);
        let started = tokio::time::Instant::now();
        near.shutdown().await.unwrap();
        assert!(started.elapsed() >= near.linger);
        // Where nothing is on its way, there is no wait.
        let (near, _far) = duplex(1024);
        let mut near = patient(near, Duration::from_secs(1), true);
        near.linger = Duration::from_hours(1);
        near.shutdown().await.unwrap();
    }
}
