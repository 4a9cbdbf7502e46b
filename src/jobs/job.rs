//! A job in full, as the store returns it. What clients read is made from this at the HTTP edge.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Status, Task};
use crate::document::Warning;

/// The error code of a job whose workers died again and again.
pub const WORKER_DIED: &str = "worker_died";

/// A job. Times are epoch milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub id: String,
    /// Order of arrival, over all jobs.
    pub seq: i64,
    pub plan: JobPlan,
    pub status: Status,
    pub phase: Option<String>,
    /// 1, and one more for every worker lost.
    pub attempt: i64,
    /// A client wants it to end early and keep what is trained.
    pub stop: bool,
    pub progress: JobProgress,
    pub eta_seconds: Option<f64>,
    /// The latest value of each metric.
    pub metrics: Map<String, Value>,
    pub device: Option<String>,
    pub error: Option<JobError>,
    pub result: Option<Value>,
    pub transitions: Vec<Transition>,
    pub created_at: i64,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
}

/// What a job is to do: all of it is known when the job is queued, and none of it changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobPlan {
    /// The registry name under which the result is published.
    pub name: String,
    pub task: Task,
    pub kind: String,
    pub retry_of: Option<String>,
    /// The span of the client's that asked for it, as W3C writes it.
    pub traceparent: Option<String>,
    /// Of two jobs that wait, that of the higher number starts first.
    pub priority: i64,
    /// The device it occupies when it runs, `cpu` or `cuda:N`.
    pub device_slot: String,
    pub dataset_id: String,
    pub dataset_name: String,
    /// The normalised spec, `kind` included.
    pub model: Value,
    /// Null for an evaluation.
    pub training: Value,
    pub init_from: Option<Value>,
    /// What an evaluation measures.
    pub evaluation: Option<Value>,
    pub metadata: Value,
    /// What was taken but may not be what was meant.
    pub warnings: Vec<Warning>,
    /// The API key that asks for it, if it needs one. A job that was read is without.
    pub key: Option<JobKey>,
}

/// Whose job it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobKey {
    pub id: String,
    /// Jobs that this key may have waiting and running.
    pub most_jobs: Option<i64>,
}

impl JobPlan {
    /// How far the job is before it starts: nowhere, but of how many epochs is known.
    pub fn initial_progress(&self) -> JobProgress {
        JobProgress {
            epochs: self.training["epochs"].as_i64().unwrap_or(0),
            ..JobProgress::default()
        }
    }
}

/// How far training is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Progress)]
pub struct JobProgress {
    pub epoch: i64,
    pub epochs: i64,
    pub step: i64,
    pub total_steps: i64,
    /// From 0 to 1.
    pub fraction: f64,
    pub samples_per_second: Option<f64>,
}

/// Why a job failed: a stable code, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobError {
    pub code: String,
    pub detail: String,
    /// The step at which training broke off, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<i64>,
    /// The last checkpoint before it: to promote, or to start from with other settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<i64>,
}

impl JobError {
    pub fn new(code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            detail: detail.into(),
            step: None,
            checkpoint: None,
        }
    }
}

/// A state, and when it was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    pub status: Status,
    pub at: i64,
}
