//! `GET|DELETE /v1/models/{model}/versions/{version}` and `…/content`.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

use super::{Binary, ModelVersionResponse, download};
use crate::api::extract::number_in_path;
use crate::api::problem::Result;
use crate::api::state::AppState;
use crate::jobs::{ModelRef, Selector};
use crate::store;

/// Get a model version
#[utoipa::path(get, path = "/v1/models/{model}/versions/{version}", operation_id = "get_model_version",
    responses((status = 200, description = "The version", body = ModelVersionResponse)))]
pub async fn get(
    app: AppState,
    Path((model, version)): Path<(String, String)>,
) -> Result<Json<ModelVersionResponse>> {
    let found = find(&app, model, &version).await?;
    Ok(Json(ModelVersionResponse::of(found, &app.engine)))
}

/// Delete a model version
// Deletes one version; refused while an alias points at it.
#[utoipa::path(delete, path = "/v1/models/{model}/versions/{version}", operation_id = "delete_model_version",
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, description = "An alias points at it"),
    ))]
pub async fn delete(
    app: AppState,
    Path((model, version)): Path<(String, String)>,
) -> Result<StatusCode> {
    let version = number_in_path("version", &version)?;
    let delete = || app.store.delete_model_version(&model, version);
    let orphans = app.reserve.spend(delete).await?;
    app.artifacts.remove(&orphans);
    app.engine.unload(&model, version).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Download weights
#[utoipa::path(get, path = "/v1/models/{model}/versions/{version}/content", operation_id = "download_model_version",
    responses((status = 200, description = "safetensors", body = Binary, content_type = "application/octet-stream")))]
pub async fn content(
    app: AppState,
    Path((model, version)): Path<(String, String)>,
) -> Result<Response> {
    let found = find(&app, model, &version).await?;
    let name = format!("{}-{}.safetensors", found.name, found.version);
    download(&app, &found.sha256, &name).await
}

pub(super) async fn find(
    app: &AppState,
    name: String,
    version: &str,
) -> Result<store::ModelVersion> {
    let selector = Selector::Version(number_in_path("version", version)?);
    let reference = ModelRef { name, selector };
    Ok(app.store.model_version(&reference).await?)
}
