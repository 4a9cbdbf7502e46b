//! `GET /v1/jobs/{job}/samples` and `/{epoch}.png`: a model while it learns.

use axum::Json;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::models::{Binary, unreadable};
use crate::api::problem::{Problem, Result};
use crate::api::responses::{List, Listed, rfc3339};
use crate::api::state::{AppState, blocking};

/// A picture of what the model made after an epoch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sample)]
pub struct SampleResponse {
    pub epoch: i64,
    /// Where the PNG is.
    pub path: String,
    pub bytes: i64,
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// List a job's sample pictures
// Lists the pictures that a job on images made while it trained: after each of its last phase's epochs,
// thinned to the first ten and a hundred more in a long one.
#[utoipa::path(get, path = "/v1/jobs/{job}/samples", operation_id = "list_samples",
    responses((status = 200, description = "All of them, by epoch", body = List<SampleResponse>)))]
pub async fn list(app: AppState, Path(job): Path<String>) -> Listed<SampleResponse> {
    let job = app.job(&job).await?.id;
    let found = app.store.samples(&job).await?;
    let data = found.into_iter().map(|sample| SampleResponse {
        epoch: sample.epoch,
        path: format!("/v1/jobs/{job}/samples/{}.png", sample.epoch),
        bytes: sample.bytes,
        created_at: rfc3339(sample.created_at),
    });
    Ok(Json(List::of(data.collect(), false, |s| {
        s.epoch.to_string()
    })))
}

/// Look at a model while it learns
// What the model made after an epoch: 64 samples of a model that generates, from the same noise each
// time; of others the first 32 test images in pairs of lines, each with its reconstruction below.
#[utoipa::path(get, path = "/v1/jobs/{job}/samples/{picture}", operation_id = "get_sample",
    params(("picture" = String, Path, description = "`<epoch>.png`")),
    responses(
        (status = 200, description = "The picture", body = Binary, content_type = "image/png"),
        (status = 404, description = "There is none of this epoch"),
    ))]
pub async fn get(app: AppState, Path((job, picture)): Path<(String, String)>) -> Result<Response> {
    let job = app.job(&job).await?.id;
    let epoch = picture
        .strip_suffix(".png")
        .and_then(|epoch| epoch.parse().ok());
    let epoch = epoch.ok_or_else(|| {
        Problem::not_found(format!(
            "there is no sample '{picture}'; samples are named <epoch>.png"
        ))
    })?;
    let sample = app.store.sample(&job, epoch).await?;
    let artifacts = app.artifacts.clone();
    let digest = sample.sha256.clone();
    let bytes = match blocking(move || artifacts.get(&digest)).await? {
        Ok(bytes) => bytes,
        Err(error) => return Err(unreadable(&app, &sample.sha256, error).await),
    };
    Ok(([(header::CONTENT_TYPE, "image/png")], bytes).into_response())
}
