//! `GET /v1/datasets`.

use axum::Json;

use super::DatasetResponse;
use crate::api::extract::Query;
use crate::api::list::{List, PageQuery, page_limit};
use crate::api::problem::Result;
use crate::api::state::AppState;

/// List data sets
// Lists data sets, newest first.
#[utoipa::path(get, path = "/v1/datasets", operation_id = "list_datasets",
    params(PageQuery),
    responses((status = 200, description = "A page", body = List<DatasetResponse>)))]
pub async fn list(
    app: AppState,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<DatasetResponse>>> {
    let limit = page_limit(query.limit, 200)?;
    let page = app
        .store
        .list_datasets(limit, query.after.as_deref())
        .await?;
    let data = page.items.into_iter().map(DatasetResponse::from).collect();
    Ok(Json(List::of(data, page.has_more, |d| d.id.clone())))
}
