//! `POST /v1/webhooks`.

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::WebhookResponse;
use crate::api::extract::Json;
use crate::api::problem::{Problem, Result};
use crate::api::responses::made;
use crate::api::state::AppState;
use crate::clock::now_ms;
use crate::document::{FieldError, Rules};
use crate::jobs::{WebhookEvent, webhook_id};
use crate::spec::job::check_metadata;
use crate::store;
use crate::webhooks::{MOST_WEBHOOKS, Reach, Secret, check};

/// Where to send what.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookRequest {
    /// `http://` or `https://`, without credentials and without a fragment.
    #[schema(max_length = 2048)]
    pub url: String,
    /// What it is told of. Default: every way that a job can end.
    #[schema(min_items = 1, required = false)]
    pub events: Option<Vec<WebhookEvent>>,
    /// `whsec_` and base64 of 24 to 64 bytes. Default: made by the server.
    pub secret: Option<String>,
    /// Anything of the client's own; at most 16 KiB.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// Register a webhook
// Registers a receiver of job events. The answer is the only one that shows the secret.
#[utoipa::path(post, path = "/v1/webhooks", operation_id = "create_webhook",
    request_body = WebhookRequest,
    responses(
        (status = 201, description = "Registered", body = WebhookResponse),
        (status = 409, description = "There are as many as are kept"),
        (status = 422, description = "A field is invalid, or the URL is an address that this server does not send to"),
    ))]
pub async fn create(app: AppState, Json(request): Json<WebhookRequest>) -> Result<Response> {
    let (webhook, secret) = checked(request, app.webhook_reach)?;
    app.store.insert_webhook(&webhook, MOST_WEBHOOKS).await?;
    let path = format!("/v1/webhooks/{}", webhook.id);
    let mut shown = WebhookResponse::of(webhook);
    shown.secret = Some(secret.text());
    made(StatusCode::CREATED, &path, shown)
}

/// The webhook that a request becomes once every rule is checked.
fn checked(request: WebhookRequest, reach: Reach) -> Result<(store::Webhook, Secret)> {
    let mut rules = Rules::default();
    let url = check(&request.url, reach).map_err(|e| FieldError::new("/url", e.to_string()));
    let secret = match &request.secret {
        Some(text) => Secret::parse(text).map_err(|e| FieldError::new("/secret", e.to_string())),
        None => Ok(Secret::fresh().map_err(Problem::internal)?),
    };
    let mut events = request.events.unwrap_or(WebhookEvent::ENDS.to_vec());
    events.sort_unstable();
    events.dedup();
    rules.require(
        !events.is_empty(),
        "/events",
        "must name at least one event",
    );
    check_metadata(&request.metadata, &mut rules);
    match (url, secret, rules.broken()) {
        (Ok(url), Ok(secret), broken) if broken.is_empty() => {
            let webhook = store::Webhook {
                id: webhook_id(),
                url: url.into(),
                events,
                secret: secret.clone().into_bytes(),
                metadata: request.metadata.into(),
                created_at: now_ms(),
                disabled_at: None,
            };
            Ok((webhook, secret))
        }
        (url, secret, mut broken) => {
            broken.extend(url.err());
            broken.extend(secret.err());
            Err(Problem::fields(broken))
        }
    }
}
