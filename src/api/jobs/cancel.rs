//! `POST /v1/jobs/{job}/cancel`.

use axum::Json;
use axum::extract::{Path, State};

use super::{Job, present};
use crate::api::problem::{ProblemBody, Result};
use crate::api::state::AppState;
use crate::worker::now_ms;

/// Cancels a job: what it has trained is thrown away. A running one stops within a step or two.
#[utoipa::path(post, path = "/v1/jobs/{job}/cancel", operation_id = "cancel_job", tag = "jobs", summary = "Cancel a job",
    params(("job" = String, Path, description = "Id")),
    responses(
        (status = 200, description = "The job, `canceling` or `canceled`", body = Job),
        (status = 404, description = "There is none", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "It has ended", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub async fn cancel(State(app): State<AppState>, Path(job): Path<String>) -> Result<Json<Job>> {
    let job = app.store.cancel(&job, now_ms()).await?;
    Ok(Json(present(&app, job).await?))
}
