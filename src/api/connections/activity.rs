//! What goes on on a connection, noted where it happens: as bytes pass, and as requests begin and end.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::patience::Seen;

/// Of one connection, which is served by one task at a time: the numbers need not agree to the last.
#[derive(Debug, Default)]
pub struct Activity {
    read: AtomicU64,
    written: AtomicU64,
    blocked: AtomicBool,
    requests: AtomicU64,
    in_hand: AtomicU32,
    /// Bytes that had been read when the last request ended.
    read_before: AtomicU64,
}

impl Activity {
    pub fn now(&self) -> Seen {
        Seen {
            written: self.written.load(Relaxed),
            blocked: self.blocked.load(Relaxed),
            requests: self.requests.load(Relaxed),
            in_hand: self.in_hand.load(Relaxed) > 0,
            in_a_head: self.read.load(Relaxed) > self.read_before.load(Relaxed),
        }
    }

    fn wrote(&self, outcome: &Poll<Result<usize>>) {
        self.blocked.store(outcome.is_pending(), Relaxed);
        if let Poll::Ready(Ok(bytes)) = outcome {
            self.written.fetch_add(*bytes as u64, Relaxed);
        }
    }
}

/// A request from its head to the end of its answer.
#[derive(Debug)]
pub struct InHand(Arc<Activity>);

impl InHand {
    pub fn of(activity: &Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Relaxed);
        activity.in_hand.fetch_add(1, Relaxed);
        Self(Arc::clone(activity))
    }

    /// The answer's body.
    pub fn until_sent(self, body: Body) -> Answer {
        Answer {
            body,
            _in_hand: self,
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let Self(activity) = self;
        activity.in_hand.fetch_sub(1, Relaxed);
        let read = activity.read.load(Relaxed);
        activity.read_before.store(read, Relaxed);
    }
}

/// A body that says when it has ended.
#[derive(Debug)]
pub struct Answer {
    body: Body,
    _in_hand: InHand,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose bytes are counted.
#[derive(Debug)]
pub struct Noted<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Noted<S> {
    pub fn of(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        let bytes = buffer.filled().len() - before;
        self.activity.read.fetch_add(bytes as u64, Relaxed);
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.activity.wrote(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.activity.wrote(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
