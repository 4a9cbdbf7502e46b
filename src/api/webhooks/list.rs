//! `GET /v1/webhooks`.

use axum::Json;

use super::WebhookResponse;
use crate::api::extract::Query;
use crate::api::list::{List, PageQuery, page_limit};
use crate::api::problem::Result;
use crate::api::state::AppState;

/// List webhooks
// Lists webhooks, newest first.
#[utoipa::path(get, path = "/v1/webhooks", operation_id = "list_webhooks",
    params(PageQuery),
    responses((status = 200, description = "A page", body = List<WebhookResponse>)))]
pub async fn list(
    app: AppState,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<WebhookResponse>>> {
    let limit = page_limit(query.limit, 200)?;
    let page = app
        .store
        .list_webhooks(limit, query.after.as_deref())
        .await?;
    let data = page.items.into_iter().map(WebhookResponse::of).collect();
    Ok(Json(List::of(data, page.has_more, |w| w.id.clone())))
}
