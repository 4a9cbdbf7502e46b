//! `GET /v1/datasets` and `GET|DELETE /v1/datasets/{dataset}`.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;

use super::DatasetResponse;
use crate::api::extract::Query;
use crate::api::problem::{Problem, Result};
use crate::api::responses::{List, Listed, PageQuery, visible};
use crate::api::state::AppState;
use crate::store::Dataset;

/// List data sets
#[utoipa::path(get, path = "/v1/datasets", operation_id = "list_datasets",
    params(PageQuery),
    responses((status = 200, description = "A page", body = List<DatasetResponse>)))]
pub async fn list(app: AppState, Query(query): Query<PageQuery>) -> Listed<DatasetResponse> {
    let (limit, after) = query.bounds()?;
    let next = async |after: Option<String>| app.store.list_datasets(limit, after.as_deref()).await;
    let shows = |d: &Dataset| app.caller.reaches_dataset(&d.name);
    let page = visible(after.map(str::to_owned), next, shows, |d| &d.id).await?;
    Ok(List::page(page, DatasetResponse::from, |d| d.id.clone()))
}

/// Get a data set
#[utoipa::path(get, path = "/v1/datasets/{dataset}", operation_id = "get_dataset",
    responses((status = 200, description = "The data set", body = DatasetResponse)))]
pub async fn get(app: AppState, Path(dataset): Path<String>) -> Result<Json<DatasetResponse>> {
    Ok(Json(app.dataset(&dataset).await?.into()))
}

/// Delete a data set
// Deletes a data set and its files; refused while a job that has not ended uses it.
#[utoipa::path(delete, path = "/v1/datasets/{dataset}", operation_id = "delete_dataset",
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, description = "A job uses it"),
    ))]
pub async fn delete(app: AppState, Path(dataset): Path<String>) -> Result<StatusCode> {
    let delete = || app.store.delete_dataset(&dataset);
    let dataset = app.reserve.spend(delete).await?;
    // The row is gone; files that stay behind are swept at the next start.
    tokio::fs::remove_dir_all(app.layout.dataset(&dataset.id))
        .await
        .map_err(Problem::internal)?;
    Ok(StatusCode::NO_CONTENT)
}
