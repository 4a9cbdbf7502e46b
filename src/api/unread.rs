//! What a client still sends when its request has been answered already.
//!
//! A connection that is closed with unread bytes is reset, and a reset can reach the client before the
//! answer that says what was wrong. So the rest is read and thrown away first, within bounds.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use futures_util::future::poll_fn;
use http_body::{Frame, SizeHint};

/// Beyond these the client is cut off after all.
const MOST_BYTES: usize = 64 << 20;
const LONGEST: Duration = Duration::from_secs(5);

/// The part of a request's body that its handler leaves.
pub struct Unread(Option<Shared>);

/// The request, and a second hold on its body.
pub fn keep(request: Request) -> (Request, Unread) {
    // Who waits for `100 Continue` sends nothing once it is refused.
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return (request, Unread(None));
    }
    let (parts, body) = request.into_parts();
    let shared = Shared(Arc::new(Mutex::new(body)));
    let body = Body::new(Shared(Arc::clone(&shared.0)));
    (Request::from_parts(parts, body), Unread(Some(shared)))
}

impl Unread {
    pub async fn discard(self) {
        let Some(mut body) = self.0.filter(|body| !body.is_end_stream()) else {
            return;
        };
        let rest = tokio::time::timeout(LONGEST, async {
            let mut bytes = 0;
            while let Some(Ok(frame)) = poll_fn(|c| Pin::new(&mut body).poll_frame(c)).await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if bytes > MOST_BYTES {
                    break;
                }
            }
        });
        let _ = Box::pin(rest).await;
    }
}

/// A body that reads on where another reader of the same left off.
struct Shared(Arc<Mutex<Body>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.lock()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}
