//! `GET /v1/webhooks` and `GET|DELETE /v1/webhooks/{webhook}`.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;

use super::WebhookResponse;
use crate::api::extract::Query;
use crate::api::problem::Result;
use crate::api::responses::{List, Listed, PageQuery};
use crate::api::state::AppState;

/// List webhooks
#[utoipa::path(get, path = "/v1/webhooks", operation_id = "list_webhooks",
    params(PageQuery),
    responses((status = 200, description = "A page", body = List<WebhookResponse>)))]
pub async fn list(app: AppState, Query(query): Query<PageQuery>) -> Listed<WebhookResponse> {
    let (limit, after) = query.bounds()?;
    let page = app.store.list_webhooks(limit, after).await?;
    Ok(List::page(page, WebhookResponse::of, |w| w.id.clone()))
}

/// Get a webhook
// One webhook, without its secret.
#[utoipa::path(get, path = "/v1/webhooks/{webhook}", operation_id = "get_webhook",
    responses((status = 200, description = "The webhook", body = WebhookResponse)))]
pub async fn get(app: AppState, Path(webhook): Path<String>) -> Result<Json<WebhookResponse>> {
    Ok(Json(WebhookResponse::of(
        app.store.webhook(&webhook).await?,
    )))
}

/// Delete a webhook
// Deletes a webhook with its log of deliveries. What still waited to be sent is not sent.
#[utoipa::path(delete, path = "/v1/webhooks/{webhook}", operation_id = "delete_webhook",
    responses((status = 204, description = "Deleted")))]
pub async fn delete(app: AppState, Path(webhook): Path<String>) -> Result<StatusCode> {
    let delete = || app.store.delete_webhook(&webhook);
    app.reserve.spend(delete).await?;
    Ok(StatusCode::NO_CONTENT)
}
