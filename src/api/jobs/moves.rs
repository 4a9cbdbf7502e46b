//! `POST /v1/jobs/{job}/cancel`, `/pause`, `/resume` and `/stop`: the moves of a client.

use axum::Json;
use axum::extract::Path;

use super::{JobResponse, present};
use crate::api::problem::Result;
use crate::api::state::AppState;
use crate::clock::now_ms;

/// Cancel a job, discarding what it has trained
// Cancels a job: what it has trained is thrown away. A running one stops within a step or two; one whose
// worker hangs is killed after a grace. A canceled job may be asked for again while it is `canceling`.
#[utoipa::path(post, path = "/v1/jobs/{job}/cancel", operation_id = "cancel_job",
    responses(
        (status = 200, description = "The job, `canceling` or `canceled`", body = JobResponse),
        (status = 404, description = "There is none"),
        (status = 409, description = "It has ended"),
    ))]
pub async fn cancel(app: AppState, Path(job): Path<String>) -> Result<Json<JobResponse>> {
    let cancel = || app.store.cancel(&job, now_ms());
    let job = app.reserve.spend(cancel).await?;
    Ok(Json(present(&app, job).await?))
}

/// Pause a job
// Pauses a job: its worker writes a checkpoint and gives up the machine, and it stays `paused`, across
// restarts too, until it is resumed. A queued job steps out of the queue.
#[utoipa::path(post, path = "/v1/jobs/{job}/pause", operation_id = "pause_job",
    responses(
        (status = 200, description = "The job, `pausing` or `paused`", body = JobResponse),
        (status = 404, description = "There is none"),
        (status = 409, description = "It is paused, is being canceled, or has ended"),
    ))]
pub async fn pause(app: AppState, Path(job): Path<String>) -> Result<Json<JobResponse>> {
    let pause = || app.store.pause(&job, now_ms());
    let job = app.reserve.spend(pause).await?;
    Ok(Json(present(&app, job).await?))
}

/// Resume a paused job
// Resumes a paused job: it takes its place in the queue by its priority and the time it was made, and
// goes on from its checkpoint to the same weights as if it had never been paused.
#[utoipa::path(post, path = "/v1/jobs/{job}/resume", operation_id = "resume_job",
    responses(
        (status = 200, body = JobResponse,
            description = "The job, `queued`, or `running` if the pause had not come about"),
        (status = 404, description = "There is none"),
        (status = 409, description = "It is not paused"),
    ))]
pub async fn resume(app: AppState, Path(job): Path<String>) -> Result<Json<JobResponse>> {
    let resume = || app.store.resume(&job, now_ms());
    let job = app.reserve.spend(resume).await?;
    app.queued.notify_one();
    Ok(Json(present(&app, job).await?))
}

/// Finish a job now, keeping what it has trained
// Stops a training job early: what is trained is measured and published, and the job succeeds with
// `"stopped": true` in its result. A paused job is stopped from its checkpoint.
#[utoipa::path(post, path = "/v1/jobs/{job}/stop", operation_id = "stop_job",
    responses(
        (status = 200, description = "The job, which ends soon", body = JobResponse),
        (status = 404, description = "There is none"),
        (status = 409, description = "It has ended, is being canceled, has nothing trained yet, or is an evaluation"),
    ))]
pub async fn stop(app: AppState, Path(job): Path<String>) -> Result<Json<JobResponse>> {
    let stop = || app.store.stop(&job, now_ms());
    let job = app.reserve.spend(stop).await?;
    app.queued.notify_one();
    Ok(Json(present(&app, job).await?))
}
