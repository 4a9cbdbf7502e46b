//! `PUT /v1/jobs/{job}`: a job under an id of the client's choice.

use axum::extract::{Path, Request};
use axum::response::Response;

use super::{JobResponse, admit, create};
use crate::api::problem::{Problem, Result};
use crate::api::state::AppState;
use crate::jobs::check_job_id;
use crate::spec::JobRequest;

/// Train a model, as a job of this id
// Queues a training job under an id of the client's choice: sent again, the same document answers the
// same job, and another one is refused.
#[utoipa::path(put, path = "/v1/jobs/{job}", operation_id = "put_job",
    params(
        ("job" = String, Path,
            description = "The id it is to have: 1 to 100 letters, digits, `.`, `_`, `-`, not beginning with `job_`"),
    ),
    request_body = JobRequest,
    responses(
        (status = 202, description = "Queued, or as it stands", body = JobResponse),
        (status = 409, description = "The id is another job's"),
        (status = 422, description = "The id or a field is invalid"),
    ))]
pub async fn put(app: AppState, Path(id): Path<String>, request: Request) -> Result<Response> {
    check_job_id(&id).map_err(|rule| Problem::field("/job", format!("path: {rule}")))?;
    let wanted = admit::read::<JobRequest>(&app, request).await?.named(&id);
    let new = create::checked(&app, &wanted.request).await?;
    wanted.admit(&app, new).await
}
