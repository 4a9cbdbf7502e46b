//! `GET /v1/models` and `GET|DELETE /v1/models/{model}`.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;

use super::ModelResponse;
use crate::api::extract::Query;
use crate::api::problem::Result;
use crate::api::responses::{List, Listed, PageQuery, visible};
use crate::api::state::AppState;
use crate::store::Model;

/// List models
// Lists the names of the registry with their versions, newest name first.
#[utoipa::path(get, path = "/v1/models", operation_id = "list_models",
    params(PageQuery),
    responses(
        (status = 200, description = "A page", body = List<ModelResponse>),
        (status = 404, description = "`after` names no model"),
    ))]
pub async fn list(app: AppState, Query(query): Query<PageQuery>) -> Listed<ModelResponse> {
    let (limit, after) = query.bounds()?;
    let next = async |after: Option<String>| app.store.list_models(limit, after.as_deref()).await;
    let shows = |model: &Model| app.caller.reaches_model(&model.name);
    let page = visible(after.map(str::to_owned), next, shows, |model| &model.name).await?;
    let show = |model| ModelResponse::of(model, &app.engine);
    Ok(List::page(page, show, |m| m.name.clone()))
}

/// Get a model
#[utoipa::path(get, path = "/v1/models/{model}", operation_id = "get_model",
    responses((status = 200, description = "The model", body = ModelResponse)))]
pub async fn get(app: AppState, Path(model): Path<String>) -> Result<Json<ModelResponse>> {
    let found = app.store.model(&model).await?;
    Ok(Json(ModelResponse::of(found, &app.engine)))
}

/// Delete a model
// Deletes a model with all its versions and aliases.
#[utoipa::path(delete, path = "/v1/models/{model}", operation_id = "delete_model",
    responses((status = 204, description = "Deleted")))]
pub async fn delete(app: AppState, Path(model): Path<String>) -> Result<StatusCode> {
    let delete = || app.store.delete_model(&model);
    let orphans = app.reserve.spend(delete).await?;
    app.artifacts.remove(&orphans);
    for loaded in app.engine.loaded() {
        if loaded.name == model {
            app.engine.unload(&model, loaded.version).await;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}
