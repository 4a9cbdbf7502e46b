//! `GET /v1/webhooks/{webhook}/deliveries`, `POST …/deliveries/{delivery}/redeliver` and `POST …/test`.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;

use super::WebhookDelivery;
use crate::api::extract::Query;
use crate::api::problem::Result;
use crate::api::responses::{List, Listed, PageQuery};
use crate::api::state::AppState;
use crate::clock::now_ms;

/// List a webhook's deliveries
// Lists what a webhook was sent and is still to be sent, newest first.
#[utoipa::path(get, path = "/v1/webhooks/{webhook}/deliveries", operation_id = "list_webhook_deliveries",
    params(PageQuery),
    responses((status = 200, description = "A page", body = List<WebhookDelivery>)))]
pub async fn list(
    app: AppState,
    Path(webhook): Path<String>,
    Query(query): Query<PageQuery>,
) -> Listed<WebhookDelivery> {
    let (limit, after) = query.bounds()?;
    let page = app.store.list_deliveries(&webhook, limit, after).await?;
    Ok(List::page(page, WebhookDelivery::from, |d| d.id.clone()))
}

/// Send a message again
// Sends a message again, now, whatever came of it: the same id and the same body, and all its attempts
// before it again.
#[utoipa::path(post, path = "/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver",
    operation_id = "redeliver_webhook",
    responses(
        (status = 202, description = "Queued", body = WebhookDelivery),
        (status = 404, description = "There is no such webhook or delivery"),
        (status = 409, description = "The webhook is disabled, or a thousand messages wait for it"),
    ))]
pub async fn redeliver(
    app: AppState,
    Path((webhook, delivery)): Path<(String, String)>,
) -> Result<(StatusCode, Json<WebhookDelivery>)> {
    let delivery = app.store.redeliver(&webhook, &delivery, now_ms()).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery.into())))
}

/// Try a webhook out
// Sends the receiver a `webhook.test`, signed and retried like any other message.
#[utoipa::path(post, path = "/v1/webhooks/{webhook}/test", operation_id = "test_webhook",
    responses(
        (status = 202, description = "Queued", body = WebhookDelivery),
        (status = 409, description = "It is disabled, or a thousand messages wait for it"),
    ))]
pub async fn test(
    app: AppState,
    Path(webhook): Path<String>,
) -> Result<(StatusCode, Json<WebhookDelivery>)> {
    let delivery = app.store.queue_test(&webhook, now_ms()).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery.into())))
}
