//! `/v1/webhooks`.

pub mod create;
pub mod deliveries;
pub mod item;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::responses::rfc3339;
use crate::jobs::{DeliveryStatus, WebhookEvent};
use crate::store;

/// A receiver that is told of jobs, in the form of Standard Webhooks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookResponse {
    pub id: String,
    pub url: String,
    pub events: Vec<WebhookEvent>,
    /// What messages are signed with, only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    #[schema(value_type = Object)]
    pub metadata: Value,
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When its receiver answered 410: it is told nothing more.
    #[schema(format = DateTime)]
    pub disabled_at: Option<String>,
}

impl WebhookResponse {
    /// Without the secret.
    fn of(webhook: store::Webhook) -> Self {
        Self {
            id: webhook.id,
            url: webhook.url,
            events: webhook.events,
            secret: None,
            metadata: webhook.metadata,
            created_at: rfc3339(webhook.created_at),
            disabled_at: webhook.disabled_at.map(rfc3339),
        }
    }
}

/// A message to a webhook, and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookDelivery {
    /// The header `webhook-id` of every attempt.
    pub id: String,
    pub webhook: String,
    /// A webhook event, or `webhook.test`.
    pub event: String,
    /// The job it tells of; null for a test.
    pub job: Option<String>,
    pub status: DeliveryStatus,
    pub attempts: i64,
    /// The status of the receiver's last answer; null if there was none to the last attempt.
    pub response_status: Option<i64>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    #[schema(format = DateTime)]
    pub next_attempt_at: Option<String>,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub delivered_at: Option<String>,
}

impl From<store::Delivery> for WebhookDelivery {
    fn from(delivery: store::Delivery) -> Self {
        Self {
            id: delivery.id,
            webhook: delivery.webhook_id,
            event: delivery.event,
            job: delivery.job_id,
            status: delivery.status,
            attempts: delivery.attempts,
            response_status: delivery.response_status,
            error: delivery.error,
            next_attempt_at: delivery.next_attempt_at.map(rfc3339),
            created_at: rfc3339(delivery.created_at),
            delivered_at: delivery.delivered_at.map(rfc3339),
        }
    }
}
