//! `GET /v1/jobs/{job}`.

use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, sleep_until};

use super::{JobResponse, present};
use crate::api::problem::Result;
use crate::api::state::AppState;

const LONGEST_WAIT: u64 = 300;
const AGAIN: Duration = Duration::from_millis(100);

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
    let mut found = app.job(&job).await?;
    while !found.status.is_terminal() && Instant::now() < until && !*app.draining.borrow() {
        until_it_may_have_ended(&app, &found.id, until).await;
        found = app.job(&job).await?;
    }
    let mut response = Json(present(&app, found).await?).into_response();
    if let Ok(applied) = HeaderValue::from_str(&format!("wait={seconds}")) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

/// Delete a job that has ended
// Deletes an ended job with its events, metrics, checkpoints and pictures. Models that it published stay.
#[utoipa::path(delete, path = "/v1/jobs/{job}", operation_id = "delete_job",
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, description = "It has not ended"),
    ))]
pub async fn delete(app: AppState, Path(job): Path<String>) -> Result<StatusCode> {
    let job = app.job(&job).await?.id;
    let delete = || app.store.delete_job(&job);
    let orphans = app.reserve.spend(delete).await?;
    app.artifacts.remove(&orphans);
    Ok(StatusCode::NO_CONTENT)
}

/// Follows the job as event streams do, so that many who wait cost no more than one.
async fn until_it_may_have_ended(app: &AppState, job: &str, until: Instant) {
    let mut feed = app.feeds.follow(job);
    let mut draining = app.draining.clone();
    // It may have ended before it was followed.
    if !matches!(app.job(job).await, Ok(job) if !job.status.is_terminal()) {
        return;
    }
    let end = async {
        loop {
            match feed.recv().await {
                Ok(batch) if !batch.has_end() => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return,
                // A feed that broke off is not followed anew at once.
                Err(RecvError::Closed) => return sleep(AGAIN).await,
            }
        }
    };
    tokio::select! {
        () = end => {}
        () = sleep_until(until) => {}
        _ = draining.wait_for(|draining| *draining) => {}
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
