//! `GET|DELETE /v1/webhooks/{webhook}`.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;

use super::WebhookResponse;
use crate::api::problem::Result;
use crate::api::state::AppState;

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
    app.store.delete_webhook(&webhook).await?;
    Ok(StatusCode::NO_CONTENT)
}
