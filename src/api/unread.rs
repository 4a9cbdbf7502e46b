//! What a client still sends when its request has been answered already.
//!
//! A connection that is closed with unread bytes is reset, and a reset can reach the client before the
//! answer that says what was wrong. So the rest is read and thrown away first, within bounds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::poll_fn;

/// Beyond these the client is cut off after all.
const MOST_BYTES: usize = 64 << 20;
const LONGEST: Duration = Duration::from_secs(5);

/// Answers, then reads what is left of the request.
pub async fn discard(request: Request, next: Next) -> Response {
    // Who waits for `100 Continue` sends nothing once it is refused.
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let kept = Arc::new(Mutex::new(body.into_data_stream()));
    let response = next
        .run(Request::from_parts(parts, shared(Arc::clone(&kept))))
        .await;
    let mut rest = shared(kept).into_data_stream();
    let _ = tokio::time::timeout(LONGEST, async {
        let mut bytes = 0;
        while let Some(Ok(chunk)) = rest.next().await {
            bytes += chunk.len();
            if bytes > MOST_BYTES {
                break;
            }
        }
    })
    .await;
    response
}

/// A body that reads on where another reader of the same stream left off.
fn shared(stream: Arc<Mutex<BodyDataStream>>) -> Body {
    Body::from_stream(poll_fn(move |context| {
        stream
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .poll_next_unpin(context)
    }))
}
