//! The events that webhooks receive: which changes of a job there are, and the body of a message.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Job, Status};
use crate::clock::rfc3339;

/// A change of a job that a webhook may be told of.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
pub enum WebhookEvent {
    #[serde(rename = "job.running")]
    Running,
    #[serde(rename = "job.paused")]
    Paused,
    #[serde(rename = "job.succeeded")]
    Succeeded,
    #[serde(rename = "job.failed")]
    Failed,
    #[serde(rename = "job.canceled")]
    Canceled,
}

impl WebhookEvent {
    pub const ALL: [Self; 5] = [
        Self::Running,
        Self::Paused,
        Self::Succeeded,
        Self::Failed,
        Self::Canceled,
    ];

    /// What a webhook receives that names no events: the end of a job.
    pub const ENDS: [Self; 3] = [Self::Succeeded, Self::Failed, Self::Canceled];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "job.running",
            Self::Paused => "job.paused",
            Self::Succeeded => "job.succeeded",
            Self::Failed => "job.failed",
            Self::Canceled => "job.canceled",
        }
    }

    /// The event of becoming `status`. What a job only passes through is none.
    pub const fn of(status: Status) -> Option<Self> {
        match status {
            Status::Running => Some(Self::Running),
            Status::Paused => Some(Self::Paused),
            Status::Succeeded => Some(Self::Succeeded),
            Status::Failed => Some(Self::Failed),
            Status::Canceled => Some(Self::Canceled),
            Status::Queued | Status::Pausing | Status::Canceling => None,
        }
    }
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// It is sent at `next_attempt_at`, or is being sent.
    Pending,
    Delivered,
    /// Every attempt failed, or the receiver wants nothing more.
    Failed,
}

impl DeliveryStatus {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// The name of the event that a client sends itself to try a webhook out.
pub const TEST_EVENT: &str = "webhook.test";

/// The body of a message, in the form of Standard Webhooks.
pub fn message(event: &str, data: &Value, at: i64) -> Value {
    json!({ "type": event, "timestamp": rfc3339(at), "data": data })
}

/// The `data` of a job's message: what became of the job, without its settings.
pub fn payload(job: &Job) -> Value {
    json!({
        "id": job.id,
        "name": job.plan.name,
        "task": job.plan.task,
        "kind": job.plan.kind,
        "status": job.status,
        "attempt": job.attempt,
        "retry_of": job.plan.retry_of,
        "dataset": job.plan.dataset_name,
        "metrics": job.metrics,
        "result": job.result,
        "error": job.error,
        "metadata": job.plan.metadata,
        "created_at": rfc3339(job.created_at),
        "started_at": job.started_at.map(rfc3339),
        "finished_at": job.finished_at.map(rfc3339),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_the_same_in_json_and_every_end_is_an_event() {
        for event in WebhookEvent::ALL {
            assert_eq!(
                serde_json::to_value(event).expect("serialises"),
                event.as_str()
            );
        }
        for status in DeliveryStatus::ALL {
            assert_eq!(
                serde_json::to_value(status).expect("serialises"),
                status.as_str()
            );
        }
        let ends = Status::ALL.into_iter().filter(|s| s.is_terminal());
        let ends: Vec<_> = ends.filter_map(WebhookEvent::of).collect();
        assert_eq!(ends, WebhookEvent::ENDS);
    }
}
