//! What every request passes on its way in and out, as one layer: each layer of a router copies all that is
//! below it for every request, and six of them cost more than an empty answer.

use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use super::problem::{Code, Problem};
use super::state::AppState;
use super::{models, request_id, telemetry, unread};
use crate::inference::engine::panic_text;

/// Id, body, panics, refusals, metrics: from the outermost in.
pub async fn edge(State(app): State<AppState>, request: Request, next: Next) -> Response {
    request_id::scope(request, async |request| {
        let (request, unread) = unread::keep(request);
        let inference = models::resolve::is_inference(&request);
        let info = telemetry::RequestInfo::of(&request);
        let response = AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Problem::internal(&panic_text(panic.as_ref())).into_response());
        let response = as_problem(response);
        info.answered(&response);
        if !inference {
            app.resolver.forget();
        }
        unread.discard().await;
        response
    })
    .await
}

pub fn method_not_allowed() -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        "this path does not take this method; the Allow header lists those it does",
    )
}

/// axum and its layers answer some refusals of their own in plain text; clients are promised problems.
fn as_problem(response: Response) -> Response {
    let is_problem = |response: &Response| {
        response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem"))
    };
    if response.status() == StatusCode::METHOD_NOT_ALLOWED && !is_problem(&response) {
        return method_not_allowed()
            .with_allow(response.headers().get(header::ALLOW).cloned())
            .into_response();
    }
    if response.status() == StatusCode::BAD_REQUEST && !is_problem(&response) {
        let detail = "the path cannot be read: it is not UTF-8 once its percent signs are resolved";
        return Problem::new(Code::Malformed, detail).into_response();
    }
    if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE && !is_problem(&response) {
        let detail =
            "the body's content-encoding is not read here; send gzip, deflate, zstd or none";
        return Problem::new(Code::UnsupportedMediaType, detail).into_response();
    }
    response
}
