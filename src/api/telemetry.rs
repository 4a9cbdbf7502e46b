//! An id, a log line, metrics and, where they are sent, spans for every request.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;
use metrics::{Counter, Histogram};
use opentelemetry::KeyValue;

use crate::verbs::call::Timing;
use crate::{clock, traces};

/// The series of one route, method and status.
#[derive(Clone)]
pub struct Series {
    requests: Counter,
    duration: Histogram,
}

/// By route, method and status, which are few: finding a series by its labels takes 9 times
/// as long (`make bench-parts ONLY=lookups`).
type Known = HashMap<String, HashMap<(Method, u16), Series>>;

static KNOWN: LazyLock<RwLock<Known>> = LazyLock::new(RwLock::default);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task answers: the client's own if it sent a usable one.
pub fn request_id() -> Cow<'static, str> {
    CURRENT
        .try_with(|id| Cow::Owned(id.clone()))
        .unwrap_or(Cow::Borrowed(""))
}

/// Gives a request its id, and its response the same one.
pub async fn with_request_id<F>(request: Request, answer: F) -> Response
where
    F: AsyncFnOnce(Request) -> Response,
{
    let given = request.headers().get(REQUEST_ID).filter(|value| {
        let id = value.to_str().unwrap_or_default();
        !id.is_empty() && id.len() <= 128
    });
    let (id, header) = match given {
        Some(value) => (
            value.to_str().unwrap_or_default().to_owned(),
            Some(value.clone()),
        ),
        None => {
            let id = uuid::Uuid::new_v4().simple().to_string();
            let header = HeaderValue::from_str(&id).ok();
            (id, header)
        }
    };
    let mut response = CURRENT.scope(id, answer(request)).await;
    if let Some(value) = header {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The same in a task of its own: it goes on under this request's id.
pub fn in_request<F: Future>(work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(request_id().into_owned(), work)
}

/// The client's span that a request belongs to, where spans are sent.
pub fn request_parent(headers: &HeaderMap) -> Option<String> {
    // Where they are not, no request pays for the look-up.
    let said = traces::are_on().then(|| headers.get("traceparent"))??;
    traces::told(said.as_bytes())
}

/// A request on its way in. Its path label is the route, so that ids do not multiply the series.
pub struct Arrival {
    pub method: Method,
    matched: Option<MatchedPath>,
    start: Instant,
    /// Whose span it is part of, where spans are sent.
    traceparent: Option<String>,
}

impl Arrival {
    pub fn of(request: &Request) -> Self {
        Self {
            method: label(request.method()),
            matched: request.extensions().get::<MatchedPath>().cloned(),
            start: Instant::now(),
            traceparent: request_parent(request.headers()),
        }
    }

    pub fn route(&self) -> &str {
        self.matched
            .as_ref()
            .map_or("unmatched", MatchedPath::as_str)
    }

    pub fn answered(&self, response: &Response) {
        let route = self.route();
        let (status, took) = (response.status().as_u16(), self.start.elapsed());
        let series = series(route, &self.method, status);
        series.requests.increment(1);
        series.duration.record(took);
        if traces::are_on() {
            self.trace(route, response, took);
        }
        let seconds = took.as_secs_f64();
        tracing::debug!(request_id = %request_id(), method = %self.method, route, status, seconds, "request");
    }
}

/// The method as a label: those that HTTP defines, and one word for whatever else clients make up, of which each
/// would be a series for good.
fn label(method: &Method) -> Method {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
        Method::TRACE,
        Method::CONNECT,
    ];
    if KNOWN.contains(method) {
        method.clone()
    } else {
        Method::from_bytes(b"OTHER").unwrap_or_default()
    }
}

impl Arrival {
    fn trace(&self, route: &str, response: &Response, took: Duration) {
        let start = clock::now() - took;
        let timing = response.extensions().get::<Timing>();
        traces::request(traces::Answered {
            traceparent: self.traceparent.as_deref(),
            method: self.method.as_str(),
            route,
            status: response.status().as_u16(),
            request_id: &request_id(),
            start,
            took,
            parts: timing.map_or_else(Vec::new, |timing| self.parts(timing, start)),
        });
    }

    /// The wait, then the batch, and within it the model.
    fn parts(&self, timing: &Timing, start: SystemTime) -> Vec<traces::Part> {
        let Some(since) = timing.since else {
            return Vec::new();
        };
        let queued = start + since.saturating_duration_since(self.start);
        let part = |name, start, took| traces::Part {
            name,
            start,
            took,
            attributes: Vec::new(),
            parts: Vec::new(),
        };
        let rows = i64::try_from(timing.batch_rows).unwrap_or(i64::MAX);
        let begun = queued + timing.queue;
        vec![
            part("queue", queued, timing.queue),
            traces::Part {
                attributes: vec![KeyValue::new("latentd.batch.rows", rows)],
                parts: vec![part("compute", begun, timing.compute)],
                ..part("batch", begun, timing.batch)
            },
        ]
    }
}

/// Those of a request that was answered.
pub fn series(route: &str, method: &Method, status: u16) -> Series {
    let key = (method.clone(), status);
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.get(route).and_then(|of| of.get(&key)) {
        return found.clone();
    }
    drop(known);
    let labels = [
        ("method", method.to_string()),
        ("route", route.to_owned()),
        ("status", status.to_string()),
    ];
    let series = Series {
        requests: metrics::counter!("latentd_http_requests_total", &labels),
        duration: metrics::histogram!("latentd_http_request_duration_seconds", &labels[..2]),
    };
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known
        .entry(route.to_owned())
        .or_default()
        .insert(key, series.clone());
    series
}
