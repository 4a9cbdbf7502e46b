//! `POST /v1/jobs/{job}/retry`.

use axum::extract::Path;
use axum::http::HeaderMap;
use axum::response::Response;

use super::JobResponse;
use super::admit::{Wanted, dataset_of};
use crate::api::problem::{Code, Problem, Result};
use crate::api::state::AppState;
use crate::jobs::JobPlan;

/// Run an ended job again, as a new one
// Makes a new job of one that has ended: the same documents, from the start. Its `retry_of` names the
// old one, which stays as it is.
#[utoipa::path(post, path = "/v1/jobs/{job}/retry", operation_id = "retry_job",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[ -~]+$",
        description = "Up to 255 visible ASCII characters of the client's choice")),
    responses(
        (status = 202, description = "Queued (or, for a repeated key, as it stands)", body = JobResponse),
        (status = 409, description = "It has not ended, or its data set is gone"),
        (status = 422, description = "The key belongs to another request"),
    ))]
pub async fn retry(app: AppState, Path(job): Path<String>, headers: HeaderMap) -> Result<Response> {
    let old = app.job(&job).await?;
    if !old.status.is_terminal() {
        let detail = format!(
            "cannot retry a job that is {}: only one that has ended",
            old.status
        );
        return Err(Problem::new(Code::IllegalTransition, detail));
    }
    dataset_of(&app, &old).await?;
    let wanted = Wanted::of(
        old.id.clone(),
        &headers,
        format!("retry {}", old.id).as_bytes(),
    )?;
    let again = JobPlan {
        retry_of: Some(old.id),
        traceparent: None,
        ..old.plan
    };
    wanted.admit(&app, again).await
}
