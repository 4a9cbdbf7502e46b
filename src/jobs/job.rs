//! A job in full, as the store returns it. What clients read is made from this at the HTTP edge.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Status, Task};

/// The error code of a job whose workers died again and again.
pub const WORKER_DIED: &str = "worker_died";

/// A job. Times are epoch milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub id: String,
    /// Order of arrival, over all jobs.
    pub seq: i64,
    /// The registry name under which the result is published.
    pub name: String,
    pub task: Task,
    pub kind: String,
    pub status: Status,
    pub phase: Option<String>,
    /// 1, and one more for every worker lost.
    pub attempt: i64,
    /// A client wants it to end early and keep what is trained.
    pub stop: bool,
    /// Of two jobs that wait, that of the higher number starts first.
    pub priority: i64,
    /// The device it occupies when it runs, `cpu` or `cuda:N`.
    pub place: String,
    pub retry_of: Option<String>,
    /// The span of the client's that asked for it, as W3C writes it.
    pub traceparent: Option<String>,
    pub dataset_id: String,
    pub dataset_name: String,
    /// The normalised spec, `kind` included.
    pub model: Value,
    pub training: Value,
    pub init_from: Option<Value>,
    /// What an evaluation measures.
    pub evaluation: Option<Value>,
    pub metadata: Value,
    pub progress: Progress,
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

/// What a client's request becomes before it is a job.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    pub name: String,
    pub task: Task,
    pub kind: String,
    pub retry_of: Option<String>,
    /// The span of the client's that asked for it, as W3C writes it.
    pub traceparent: Option<String>,
    pub priority: i64,
    /// The device it will occupy, `cpu` or `cuda:N`.
    pub place: String,
    pub dataset_id: String,
    pub dataset_name: String,
    pub model: Value,
    pub training: Value,
    pub init_from: Option<Value>,
    pub evaluation: Option<Value>,
    pub metadata: Value,
    /// How far it is before it starts: nowhere, but of how much may be known.
    pub progress: Progress,
}

/// How far training is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Progress {
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
