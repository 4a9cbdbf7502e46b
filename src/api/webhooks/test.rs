//! `POST /v1/webhooks/{webhook}/test`.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;

use super::WebhookDelivery;
use crate::api::problem::Result;
use crate::api::state::AppState;
use crate::clock::now_ms;

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
