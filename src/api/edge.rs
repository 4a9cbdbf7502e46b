//! What every request passes on its way in and out, as one layer: each layer of a router copies all that is
//! below it for every request, and six of them cost more than an empty answer.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::poll_fn;
use http_body::{Frame, SizeHint};

use super::access::{self, Admitted};
use super::encoding::leave_identity;
use super::pace::Paced;
use super::prefix;
use super::problem::{Code, Problem, tell_room};
use super::state::AppState;
use super::telemetry::{Arrival, in_request, with_request_id};
use crate::panics::panic_text;

/// Id, body, who asks, panics, refusals, metrics: from the outermost in.
pub async fn edge(app: AppState, request: Request, next: Next) -> Response {
    with_request_id(request, async |request| {
        let (mut request, unread) = Unread::keep(request);
        leave_identity(request.headers_mut());
        let arrival = Arrival::of(&request);
        let mut asked = Asked {
            prefix: app.access.prefix(&request),
            page: app.access.hosts.page(request.headers()),
            admitted: Admitted::default(),
            tells: !only_reads(&arrival.method, arrival.route()),
        };
        let changes = asked.tells && !arrival.method.is_safe();
        let (admitted, outcome) = access::admit(&app, &mut request).await;
        asked.admitted = admitted;
        // Made where it is waited for: a future is moved as a whole, and this one holds all that a handler does.
        let response = match outcome {
            Err(refusal) => {
                let response = refused(refusal, asked.page.take());
                Box::pin(told(&app, response, &asked)).await
            }
            Ok(()) if changes => {
                to_the_end(Box::pin(answered(app.clone(), asked, request, next))).await
            }
            Ok(()) => {
                let response = handled(request, next).await;
                told(&app, response, &asked).await
            }
        };
        arrival.answered(&response);
        unread.discard().await;
        response
    })
    .await
}

/// What is known of a request before it is handled.
struct Asked {
    /// Under which path whoever asks finds the service.
    prefix: Option<String>,
    /// The origin of a page that may read refusals.
    page: Option<HeaderValue>,
    admitted: Admitted,
    /// Whether the answer may tell of a version that was not known before.
    tells: bool,
}

async fn answered(app: AppState, asked: Asked, request: Request, next: Next) -> Response {
    let response = handled(request, next).await;
    told(&app, response, &asked).await
}

async fn handled(request: Request, next: Next) -> Response {
    AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Problem::internal(panic_text(panic.as_ref())).into_response())
}

/// The answer as it leaves, written to the audit log where it is due.
async fn told(app: &AppState, response: Response, asked: &Asked) -> Response {
    let mut response = tell_room(as_problem(response), &app.layout.root);
    if let Some(prefix) = &asked.prefix {
        prefix::keep(&mut response, prefix);
    }
    if asked.admitted.object.is_some() {
        asked.admitted.tell(&mut response);
        let code = response.extensions().get().copied();
        let status = response.status();
        Box::pin(access::record(app, &asked.admitted, status, code)).await;
    }
    if asked.tells {
        app.resolver.forget();
    }
    response
}

/// What changes something is done whole and told of, though its client may have gone: a future that nobody waits for
/// any more is dropped where it stands.
#[expect(
    clippy::disallowed_methods,
    reason = "the task is waited for here, unless its client has gone"
)]
async fn to_the_end(answering: impl Future<Output = Response> + Send + 'static) -> Response {
    let ended = tokio::spawn(in_request(answering)).await;
    ended.unwrap_or_else(|error| Problem::internal(error).into_response())
}

/// A refusal that pages of named origins can read.
fn refused(refusal: Problem, page: Option<HeaderValue>) -> Response {
    let mut response = refusal.into_response();
    if let Some(origin) = page {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

/// Whether a request to this route only reads models: no answer to it tells of a version that was not known before.
fn only_reads(method: &Method, route: &str) -> bool {
    let verb = route.strip_prefix("/v1/models/{model}/");
    let reads = verb.is_some_and(|verb| !verb.contains('/')) || route.ends_with("/infer");
    reads && method == Method::POST
}

pub fn method_not_allowed() -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        "this path does not take this method; the Allow header lists those it does",
    )
}

/// axum and its layers answer some refusals of their own in plain text; clients are promised problems.
fn as_problem(response: Response) -> Response {
    let is_problem = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/problem");
    let headers = response.headers();
    if headers.get(header::CONTENT_TYPE).is_some_and(is_problem) {
        return response;
    }
    let problem = match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => {
            method_not_allowed().with_allow(headers.get(header::ALLOW).cloned())
        }
        StatusCode::BAD_REQUEST => Problem::new(
            Code::Malformed,
            "the path cannot be read: it is not UTF-8 once its percent signs are resolved",
        ),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(
            Code::UnsupportedMediaType,
            "the body's content-encoding is not read here; send gzip, deflate, zstd or none",
        ),
        _ => return response,
    };
    problem.into_response()
}

/// Of what a client still sends when its request has been answered, so much is read. Beyond it is cut off.
const MOST_BYTES: usize = 64 << 20;
const LONGEST: Duration = Duration::from_secs(5);

/// The part of a request's body that its handler leaves.
///
/// A connection that is closed with unread bytes is reset, and a reset can reach the client before the
/// answer that says what was wrong. So the rest is read and thrown away first, within bounds.
struct Unread(Option<Shared>);

impl Unread {
    /// The request, its body held to the least rate, and a second hold on it.
    fn keep(request: Request) -> (Request, Self) {
        if request.body().is_end_stream() {
            return (request, Self(None));
        }
        let (parts, body) = request.into_parts();
        let shared = Shared(Arc::new(Mutex::new(Paced::of(body))));
        let body = Body::new(Shared(Arc::clone(&shared.0)));
        // Who waits for `100 Continue` sends nothing once it is refused.
        let unread = (!parts.headers.contains_key(header::EXPECT)).then_some(shared);
        (Request::from_parts(parts, body), Self(unread))
    }

    async fn discard(self) {
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
struct Shared(Arc<Mutex<Paced>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Paced> {
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
