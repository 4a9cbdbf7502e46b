//! `GET /v1/jobs/{job}`.

use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, sleep};

use super::{JobResponse, present};
use crate::api::problem::Result;
use crate::api::state::AppState;

const LONGEST_WAIT: u64 = 300;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Get a job, or wait for it
// One job. `Prefer: wait=N` answers when it has ended, or after N seconds.
#[utoipa::path(get, path = "/v1/jobs/{job}", operation_id = "get_job",
    params(("Prefer" = Option<String>, Header, description = "`wait=N`: up to N seconds, 300 at most (RFC 7240)")),
    responses((status = 200, description = "The job", body = JobResponse)))]
pub async fn get(app: AppState, Path(job): Path<String>, headers: HeaderMap) -> Result<Response> {
    let Some(seconds) = wanted_wait(&headers) else {
        let job = app.job(&job).await?;
        return Ok(Json(present(&app, job).await?).into_response());
    };
    let until = Instant::now() + Duration::from_secs(seconds);
    loop {
        let found = app.job(&job).await?;
        if found.status.is_terminal() || Instant::now() >= until || *app.draining.borrow() {
            let mut response = Json(present(&app, found).await?).into_response();
            if let Ok(applied) = HeaderValue::from_str(&format!("wait={seconds}")) {
                response.headers_mut().insert("preference-applied", applied);
            }
            return Ok(response);
        }
        sleep(LOOK_EVERY.min(until - Instant::now())).await;
    }
}

/// The `wait` of a `Prefer` header; other preferences, and what is no number, are ignored as RFC 7240 asks.
fn wanted_wait(headers: &HeaderMap) -> Option<u64> {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .find_map(|preference| {
            preference
                .trim()
                .strip_prefix("wait=")?
                .trim_matches('"')
                .parse()
                .ok()
        })
        .map(|seconds: u64| seconds.min(LONGEST_WAIT))
}
