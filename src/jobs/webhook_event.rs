//! The events that webhooks receive: which changes of a job there are, and the body of a message.

use serde_json::{Value, json};

use super::words::words;
use super::{Job, Status};
use crate::clock::rfc3339;

words! {
    /// A change of a job that a webhook may be told of.
    WebhookEvent {
        Running = "job.running",
        Paused = "job.paused",
        Succeeded = "job.succeeded",
        Failed = "job.failed",
        Canceled = "job.canceled",
    }
}

impl WebhookEvent {
    /// What a webhook receives that names no events: the end of a job.
    pub const ENDS: [Self; 3] = [Self::Succeeded, Self::Failed, Self::Canceled];

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

words! {
    /// Where a message stands.
    DeliveryStatus {
        /// It is sent at `next_attempt_at`, or is being sent.
        Pending = "pending",
        Delivered = "delivered",
        /// Every attempt failed, or the receiver wants nothing more.
        Failed = "failed",
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
