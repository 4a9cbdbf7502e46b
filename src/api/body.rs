//! Bodies that are read whole: within a bound each, and within one for all that are held at the same time.

use std::pin::Pin;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use futures_util::future::poll_fn;

use super::held::Held;
use super::pace::{self, was_too_slow};
use super::problem::{Code, Problem, Result};

use super::state::AppState;

/// A body that has arrived. What it takes counts as held for as long as this is there.
#[derive(Debug, Default)]
pub struct Whole {
    pub bytes: Bytes,
    pub held: Held,
}

/// The whole body, within the limit for bodies.
pub async fn whole(app: &AppState, request: Request) -> Result<Whole> {
    // Boxed, as what calls it is moved as a whole, several times for each request.
    Box::pin(read(app, request.into_body(), app.limits.body_bytes)).await
}

/// The same of a document, which is never as large as rows are.
pub async fn document(app: &AppState, request: Request) -> Result<Bytes> {
    let most = app.limits.body_bytes.min(MOST_OF_A_DOCUMENT);
    Ok(Box::pin(read(app, request.into_body(), most)).await?.bytes)
}

/// JSON takes many times its bytes in memory while it is read.
const MOST_OF_A_DOCUMENT: usize = 1 << 20;
/// What is set aside for a body before it has come, whatever it says of its length.
const AT_FIRST: u64 = 64 << 10;

async fn read(app: &AppState, mut body: Body, most: usize) -> Result<Whole> {
    // Before it is asked for: who waits for `100 Continue` need not send it.
    let said = body.size_hint().lower();
    if said > most as u64 {
        return Err(too_large(most));
    }
    let (mut first, mut all, mut held) = (Bytes::new(), Vec::new(), Held::default());
    while let Some(frame) = poll_fn(|c| Pin::new(&mut body).poll_frame(c)).await {
        let Ok(data) = frame.map_err(|e| broken(&e))?.into_data() else {
            continue;
        };
        let bytes = first.len() + all.len() + data.len();
        if bytes > most {
            return Err(too_large(most));
        }
        if !held.is_now(&app.bodies, bytes) {
            return Err(no_allowance());
        }
        if bytes == data.len() {
            // Most bodies come in one, which is not copied.
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(usize::try_from(said.min(AT_FIRST)).unwrap_or(0));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    let bytes = if all.is_empty() { first } else { all.into() };
    Ok(Whole { bytes, held })
}

fn too_large(most: usize) -> Problem {
    let detail = if most == MOST_OF_A_DOCUMENT {
        format!("the document is larger than {most} bytes")
    } else {
        "the body is larger than this server reads (see --max-body-mib)".to_owned()
    };
    Problem::new(Code::TooLarge, detail)
}

/// Others hold all that may be held at once.
pub fn no_allowance() -> Problem {
    let detail = "too many large bodies and answers are under way; send it again in a moment";
    Problem::new(Code::QueueFull, detail).retry_after(1)
}

/// Why a body could not be read to its end.
fn broken(error: &axum::Error) -> Problem {
    if was_too_slow(error) {
        return Problem::new(Code::BodyTooSlow, pace::TooSlow.to_string());
    }
    Problem::new(Code::Malformed, format!("the body cannot be read: {error}"))
}
