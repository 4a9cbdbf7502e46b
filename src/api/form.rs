//! Forms (`multipart/form-data`), read in bounded memory and in a time that grows with their bytes alone.
//!
//! Of a body the reader of forms takes whatever is there before it looks for a boundary, and it looks from the start
//! of all that it has. An unpacked body is always there, so it gets bodies in pieces, with a pause after each; and
//! what stands before or between the parts has a bound.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;
use http_body::Frame;

use super::pace::{self, was_too_slow};
use super::problem::{Code, Problem, Result};
use super::state::AppState;

/// Of what stands before the first part, and of the head of each.
const MOST_HEAD: usize = 16 << 10;
const PIECE: usize = 16 << 10;
/// Of all that is no file's content.
const MOST_BESIDE: u64 = 1 << 20;

/// A form whose parts are read one after the other.
pub struct Form {
    parts: Multipart,
    room: Arc<Room>,
}

impl Form {
    /// The form in the body of a request.
    pub async fn of(app: &AppState, request: Request) -> Result<Self> {
        let room = Arc::new(Room::default());
        let (parts, body) = request.into_parts();
        // Before it is asked for: who waits for `100 Continue` need not send it.
        let most = app.limits.upload_bytes.saturating_add(MOST_BESIDE);
        if body.size_hint().lower() > most {
            let detail = format!(
                "the upload is larger than {} bytes",
                app.limits.upload_bytes
            );
            return Err(Problem::new(Code::TooLarge, detail));
        }
        let pieces = Body::new(Pieces::of(body, Arc::clone(&room)));
        let form = Multipart::from_request(Request::from_parts(parts, pieces), app).await;
        let parts = form.map_err(|e| Problem::new(Code::Malformed, e.body_text()))?;
        Ok(Self { parts, room })
    }

    /// The next part. The one before was read to its end.
    pub async fn next(&mut self) -> Result<Option<Field<'_>>> {
        self.room.is_for_a_head(true);
        let field = self.parts.next_field().await.map_err(broken)?;
        self.room.is_for_a_head(false);
        Ok(field)
    }
}

/// What a form that breaks off, or is none, is refused with.
#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
pub fn broken(error: MultipartError) -> Problem {
    if was_too_slow(&error) {
        return Problem::new(Code::BodyTooSlow, pace::TooSlow.to_string());
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if inner.is::<HeadTooLarge>() {
            return Problem::new(Code::Malformed, inner.to_string());
        }
        cause = inner.source();
    }
    let code = if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Code::TooLarge
    } else {
        Code::Malformed
    };
    let detail = format!("the form cannot be read: {}", error.body_text());
    Problem::new(code, detail)
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the form cannot be read: there is no part within {MOST_HEAD} bytes, or the head of a part is longer than that"
)]
struct HeadTooLarge;

/// Bytes that may still be handed on before a part's content.
struct Room(AtomicUsize);

impl Default for Room {
    fn default() -> Self {
        Self(AtomicUsize::new(MOST_HEAD))
    }
}

impl Room {
    /// Content has no bound here: whoever reads it knows one.
    fn is_for_a_head(&self, head: bool) {
        let room = if head { MOST_HEAD } else { usize::MAX };
        self.0.store(room, Ordering::Relaxed);
    }

    fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A body in pieces that are small, with a pause after each.
struct Pieces {
    body: Body,
    /// What came and was not handed on yet.
    rest: Bytes,
    room: Arc<Room>,
    pause: bool,
}

impl Pieces {
    fn of(body: Body, room: Arc<Room>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            room,
            pause: false,
        }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if std::mem::take(&mut self.pause) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                // What is no data are trailers, which forms have no use for.
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => return Poll::Ready(None),
            }
        }
        let most = PIECE.min(self.room.left());
        if most == 0 {
            return Poll::Ready(Some(Err(HeadTooLarge.into())));
        }
        let piece = self.rest.len().min(most);
        let piece = self.rest.split_to(piece);
        self.room.take(piece.len());
        self.pause = true;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// The parts of a form that arrives in chunks of this size.
    async fn parts(form: &[u8], size: usize) -> Result<Vec<(String, Vec<u8>)>> {
        let chunks: Vec<_> = form.chunks(size).map(Bytes::copy_from_slice).collect();
        let whole = stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>));
        let room = Arc::new(Room::default());
        let pieces = Pieces::of(Body::from_stream(whole), Arc::clone(&room));
        let request = Request::builder()
            .header("content-type", "multipart/form-data; boundary=cut")
            .body(Body::new(pieces))
            .expect("a request");
        let parts = Multipart::from_request(request, &()).await.expect("a form");
        let mut form = Form { parts, room };
        let mut found = Vec::new();
        while let Some(mut field) = form.next().await? {
            let name = field.name().unwrap_or_default().to_owned();
            let mut content = Vec::new();
            while let Some(chunk) = field.chunk().await.map_err(broken)? {
                // Each step from part to part may take one more.
                assert!(chunk.len() <= 8 * PIECE, "{} bytes at once", chunk.len());
                content.extend_from_slice(&chunk);
            }
            found.push((name, content));
        }
        Ok(found)
    }

    fn part(name: &str, padding: usize, content: &[u8]) -> Vec<u8> {
        let head = format!("--cut\r\ncontent-disposition: form-data; name=\"{name}\"\r\n");
        let more = format!("x-padding: {}\r\n\r\n", "p".repeat(padding));
        [head.as_bytes(), more.as_bytes(), content, b"\r\n"].concat()
    }

    fn form(parts: &[Vec<u8>]) -> Vec<u8> {
        [parts.concat(), b"--cut--\r\n".to_vec()].concat()
    }

    #[tokio::test]
    async fn a_form_has_the_same_parts_however_it_is_cut() {
        let tricky = b"\r\n--cu\r\n--\r\n-\r\r\n--cuT".repeat(3000);
        let sent = form(&[
            part("a", 0, b""),
            part("b", 9000, &tricky),
            part("c", 0, b"\r\n"),
        ]);
        let due = [
            ("a".to_owned(), Vec::new()),
            ("b".to_owned(), tricky),
            ("c".to_owned(), b"\r\n".to_vec()),
        ];
        for chunk in [7, 1021, PIECE - 1, PIECE, 70_000, 1 << 20] {
            let found = parts(&sent, chunk).await.expect("sound");
            assert!(found == due, "in chunks of {chunk}");
        }
    }

    #[tokio::test]
    async fn what_stands_outside_of_parts_has_a_bound() {
        let before = [b"x".repeat(MOST_HEAD - 200), form(&[part("a", 0, b"1")])].concat();
        assert!(parts(&before, 1 << 20).await.is_ok());
        let content = vec![b'-'; 3 * PIECE + 5];
        for sent in [
            [b"x".repeat(MOST_HEAD), form(&[part("a", 0, b"1")])].concat(),
            form(&[part("a", MOST_HEAD, b"1")]),
            form(&[part("a", 0, &content), part("b", 3 * MOST_HEAD, b"1")]),
            b"a".repeat(1 << 20),
        ] {
            for chunk in [500, 1 << 20] {
                let refused = parts(&sent, chunk).await.expect_err("too much");
                let said = format!("{refused:?}");
                assert!(
                    said.contains("Malformed") && said.contains("16384"),
                    "{said}"
                );
            }
        }
    }

    #[tokio::test]
    async fn one_that_ends_early_is_refused() {
        let sent = form(&[part("a", 0, b"1")]);
        let cut = parts(&sent[..sent.len() - 12], 100).await;
        assert!(format!("{:?}", cut.expect_err("cut")).contains("Malformed"));
    }
}
