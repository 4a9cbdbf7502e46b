//! `GET /v1/jobs/{job}/checkpoints`, `/{number}`, `/{number}/content`.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::extract::number_in_path;
use crate::api::models::{Binary, download};
use crate::api::problem::Result;
use crate::api::responses::{List, Listed, rfc3339};
use crate::api::state::AppState;
use crate::store;

/// A state of a run that training can go on from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Checkpoint)]
pub struct CheckpointResponse {
    pub number: i64,
    pub epoch: i64,
    pub step: i64,
    pub bytes: i64,
    pub sha256: String,
    #[schema(value_type = std::collections::HashMap<String, f64>)]
    pub metrics: Value,
    /// Best so far by the early-stopping metric.
    pub best: bool,
    #[schema(format = DateTime)]
    pub created_at: String,
}

impl From<store::Checkpoint> for CheckpointResponse {
    fn from(c: store::Checkpoint) -> Self {
        Self {
            number: c.number,
            epoch: c.report.epoch,
            step: c.report.step,
            bytes: c.report.bytes,
            sha256: c.report.sha256,
            metrics: Value::Object(c.report.metrics),
            best: c.report.best,
            created_at: rfc3339(c.created_at),
        }
    }
}

/// List a job's checkpoints
// Lists the checkpoints that are kept, newest first.
#[utoipa::path(get, path = "/v1/jobs/{job}/checkpoints", operation_id = "list_checkpoints",
    responses((status = 200, description = "All of them", body = List<CheckpointResponse>)))]
pub async fn list(app: AppState, Path(job): Path<String>) -> Listed<CheckpointResponse> {
    let job = app.job(&job).await?;
    let kept = app.store.checkpoints(&job.id).await?;
    let data = kept.into_iter().map(CheckpointResponse::from).collect();
    Ok(Json(List::of(data, false, |c| c.number.to_string())))
}

/// Get a checkpoint
#[utoipa::path(get, path = "/v1/jobs/{job}/checkpoints/{number}", operation_id = "get_checkpoint",
    responses((status = 200, description = "The checkpoint", body = CheckpointResponse)))]
pub async fn get(
    app: AppState,
    Path((job, number)): Path<(String, String)>,
) -> Result<Json<CheckpointResponse>> {
    Ok(Json(find(&app, &job, &number).await?.into()))
}

/// Download a checkpoint
// The weights and the optimiser's state as safetensors.
#[utoipa::path(get, path = "/v1/jobs/{job}/checkpoints/{number}/content", operation_id = "download_checkpoint",
    responses((status = 200, description = "safetensors", body = Binary, content_type = "application/octet-stream")))]
pub async fn content(
    app: AppState,
    Path((job, number)): Path<(String, String)>,
) -> Result<Response> {
    let checkpoint = find(&app, &job, &number).await?;
    let name = format!("{job}-{number}.safetensors");
    download(&app, &checkpoint.report.sha256, &name).await
}

/// Delete a checkpoint
// Deletes a checkpoint of a job that has ended; one that has not may go on from it.
#[utoipa::path(delete, path = "/v1/jobs/{job}/checkpoints/{number}", operation_id = "delete_checkpoint",
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, description = "Its job has not ended"),
    ))]
pub async fn delete(
    app: AppState,
    Path((job, number)): Path<(String, String)>,
) -> Result<StatusCode> {
    let job = app.job(&job).await?.id;
    let number = number_in_path("checkpoint", &number)?;
    let delete = || app.store.delete_checkpoint(&job, number);
    let orphans = app.reserve.spend(delete).await?;
    app.artifacts.remove(&orphans);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn find(app: &AppState, job: &str, number: &str) -> Result<store::Checkpoint> {
    let number = number_in_path("checkpoint", number)?;
    Ok(app.store.checkpoint(job, number).await?)
}
