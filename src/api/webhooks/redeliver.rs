//! `POST /v1/webhooks/{webhook}/deliveries/{delivery}/redeliver`.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;

use super::WebhookDelivery;
use crate::api::problem::Result;
use crate::api::state::AppState;
use crate::clock::now_ms;

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
