//! `POST /v1/jobs/{job}/checkpoints/{number}/promote`.

use axum::extract::Path;
use axum::response::Response;

use super::admit::dataset_of;
use super::checkpoints::find;
use crate::api::models::{ModelVersionResponse, published};
use crate::api::problem::{Code, Problem, Result};
use crate::api::state::AppState;
use crate::artifacts::{Artifacts, WantOfRoom};
use crate::clock::now_ms;
use crate::worker::promotion::{self, PromotionError};

/// Publish a checkpoint as a model version
// Publishes a checkpoint as the next model version under the job's name: one from the middle of a run
// that still trains, or the last good one of a run that failed.
#[utoipa::path(post, path = "/v1/jobs/{job}/checkpoints/{number}/promote", operation_id = "promote_checkpoint",
    responses(
        (status = 201, description = "The version; its metrics are the checkpoint's", body = ModelVersionResponse),
        (status = 404, description = "There is no such checkpoint"),
        (status = 409, description = "Its data set or its file is gone"),
        (status = 429, description = "Too many requests wait"),
    ))]
pub async fn promote(
    app: AppState,
    Path((job, number)): Path<(String, String)>,
) -> Result<Response> {
    let checkpoint = find(&app, &job, &number).await?;
    let job = app.job(&job).await?;
    let dataset = dataset_of(&app, &job).await?;
    let about = job.clone();
    let build = move |artifacts: &Artifacts| {
        let facts = dataset.facts();
        promotion::version_of(&about, &facts, &checkpoint, artifacts)
    };
    let built = app.engine.background().run(build).await?;
    let new = built.map_err(|error| match error {
        PromotionError::Unreadable(reason) => {
            let detail = format!("the checkpoint cannot be read: {reason}");
            Problem::new(Code::Conflict, detail)
        }
        PromotionError::Unwritable(error) if error.is_full() => Problem::storage_full(),
        error => Problem::internal(error),
    })?;
    let (name, number) = app.store.promote(&job.id, &new, now_ms()).await?;
    let version = app.find(&format!("{name}:{number}")).await?;
    published(&app, version)
}
