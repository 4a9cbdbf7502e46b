//! `GET /v1/webhooks/{webhook}/deliveries`.

use axum::Json;
use axum::extract::Path;

use super::WebhookDelivery;
use crate::api::extract::Query;
use crate::api::list::{List, PageQuery, page_limit};
use crate::api::problem::Result;
use crate::api::state::AppState;

/// List a webhook's deliveries
// Lists what a webhook was sent and is still to be sent, newest first.
#[utoipa::path(get, path = "/v1/webhooks/{webhook}/deliveries", operation_id = "list_webhook_deliveries",
    params(PageQuery),
    responses((status = 200, description = "A page", body = List<WebhookDelivery>)))]
pub async fn list(
    app: AppState,
    Path(webhook): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<WebhookDelivery>>> {
    let limit = page_limit(query.limit, 200)?;
    let page = app
        .store
        .list_deliveries(&webhook, limit, query.after.as_deref())
        .await?;
    let data = page.items.into_iter().map(WebhookDelivery::from).collect();
    Ok(Json(List::of(
        data,
        page.has_more,
        |d: &WebhookDelivery| d.id.clone(),
    )))
}
