//! A log line and a metric for every request.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

use super::request_id;

/// Wraps a request; the path label is the route, so that ids do not multiply the series.
pub async fn record(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let start = Instant::now();
    let response = next.run(request).await;
    let (status, seconds) = (response.status().as_u16(), start.elapsed().as_secs_f64());
    let labels = [
        ("method", method.to_string()),
        ("route", route.clone()),
        ("status", status.to_string()),
    ];
    metrics::counter!("latentd_http_requests_total", &labels).increment(1);
    metrics::histogram!("latentd_http_request_duration_seconds", &labels[..2]).record(seconds);
    tracing::debug!(request_id = %request_id::current(), %method, route, status, seconds, "request");
    response
}
