//! `GET /v1/models`.

use axum::Json;

use super::ModelResponse;
use crate::api::extract::Query;
use crate::api::list::{List, PageQuery, page_limit};
use crate::api::problem::Result;
use crate::api::state::AppState;

/// List models
// Lists the names of the registry with their versions, newest name first.
#[utoipa::path(get, path = "/v1/models", operation_id = "list_models",
    params(PageQuery),
    responses(
        (status = 200, description = "A page", body = List<ModelResponse>),
        (status = 404, description = "`after` names no model"),
    ))]
pub async fn list(
    app: AppState,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<ModelResponse>>> {
    let limit = page_limit(query.limit, 200)?;
    let page = app.store.list_models(limit, query.after.as_deref()).await?;
    let data = page.items.into_iter();
    let data = data
        .map(|model| ModelResponse::of(model, &app.engine))
        .collect();
    Ok(Json(List::of(data, page.has_more, |m| m.name.clone())))
}
