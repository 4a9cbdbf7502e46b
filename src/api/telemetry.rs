//! A log line and metrics for every request.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::response::Response;
use metrics::{Counter, Histogram};

use super::request_id;

/// The series of one route, method and status.
#[derive(Clone)]
struct Series {
    requests: Counter,
    duration: Histogram,
}

/// By route, method and status, which are few: finding a series by its labels costs more than writing to it.
type Known = HashMap<String, HashMap<(Method, u16), Series>>;

static KNOWN: LazyLock<RwLock<Known>> = LazyLock::new(RwLock::default);

/// A request on its way in. Its path label is the route, so that ids do not multiply the series.
pub struct Asked {
    method: Method,
    route: Option<MatchedPath>,
    start: Instant,
}

impl Asked {
    pub fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            start: Instant::now(),
        }
    }

    pub fn answered(self, response: &Response) {
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str);
        let (status, took) = (response.status().as_u16(), self.start.elapsed());
        let series = series(route, &self.method, status);
        series.requests.increment(1);
        series.duration.record(took);
        let seconds = took.as_secs_f64();
        tracing::debug!(request_id = %request_id::current(), method = %self.method, route, status, seconds, "request");
    }
}

fn series(route: &str, method: &Method, status: u16) -> Series {
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
