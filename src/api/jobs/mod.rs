//! `/v1/jobs`.

pub mod admit;
pub mod checkpoints;
pub mod create;
pub mod events;
pub mod feed;
pub mod item;
pub mod list;
pub mod metrics;
pub mod moves;
pub mod promote;
pub mod retry;
pub mod samples;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::problem::Result;
use super::responses::rfc3339;
use super::state::AppState;
use crate::document::Warning;
use crate::jobs::{self, JobError, JobProgress, Status, Task};
use crate::spec::InitFrom;
use crate::spec::ModelSpec;
use crate::spec::evaluation::Evaluation;
use crate::train::Training;

/// A job: what was asked for, how far it is, what came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobResponse {
    pub id: String,
    /// The registry name its result is published under.
    pub name: String,
    pub task: Task,
    pub status: Status,
    /// What it does now, for example `loading`, `training`, `evaluating`.
    pub phase: Option<String>,
    /// 1, and one more for each worker it lost.
    pub attempt: i64,
    /// Of two jobs that wait, that of the higher number starts first.
    pub priority: i64,
    pub retry_of: Option<String>,
    /// The data set's name.
    pub dataset: String,
    pub model: ModelSpec,
    /// How it trains; null for an evaluation.
    #[schema(value_type = Option<Training>)]
    pub training: Value,
    /// Whose weights it started from.
    #[schema(value_type = Option<InitFrom>)]
    pub init_from: Option<Value>,
    /// What it measures; null for training.
    #[schema(value_type = Option<Evaluation>)]
    pub evaluation: Option<Value>,
    #[schema(value_type = Object)]
    pub metadata: Value,
    /// What was taken but may not be what was meant; a run adds what it finds when it ends.
    pub warnings: Vec<Warning>,
    pub progress: JobProgress,
    pub eta_seconds: Option<f64>,
    /// The latest value of each metric.
    #[schema(value_type = std::collections::HashMap<String, f64>)]
    pub metrics: Value,
    /// 1 for the next to start; null unless queued.
    pub queue_position: Option<i64>,
    /// `cpu` or `cuda:N`, once it runs.
    pub device: Option<String>,
    pub error: Option<JobError>,
    /// The published version, once it succeeded.
    #[schema(value_type = Option<JobResult>)]
    pub result: Option<Value>,
    pub transitions: Vec<JobTransition>,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub started_at: Option<String>,
    #[schema(format = DateTime)]
    pub finished_at: Option<String>,
}

/// The model version that a training job published or an evaluation measured.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobResult {
    pub model: String,
    pub version: i64,
    /// Whether it was stopped before its last epoch.
    pub stopped: Option<bool>,
    /// An evaluation's figures.
    pub metrics: Option<std::collections::HashMap<String, f64>>,
    /// With `init_from`: which tensors were copied, which of these were frozen, and which started fresh.
    pub init_from: Option<AdoptedResponse>,
}

/// Names of the tensors of a model that started from another one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Adopted)]
pub struct AdoptedResponse {
    pub copied: Vec<String>,
    pub fresh: Vec<String>,
    /// Those of the copied that stayed as they were.
    pub frozen: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct JobTransition {
    pub status: Status,
    #[schema(format = DateTime)]
    pub at: String,
}

impl JobResponse {
    fn of(job: jobs::Job, queue_position: Option<i64>) -> Self {
        let plan = job.plan;
        Self {
            id: job.id,
            name: plan.name,
            task: plan.task,
            status: job.status,
            phase: job.phase,
            attempt: job.attempt,
            priority: plan.priority,
            retry_of: plan.retry_of,
            dataset: plan.dataset_name,
            model: ModelSpec(plan.model),
            training: plan.training,
            init_from: plan
                .init_from
                .and_then(|mut source| source.get_mut("from").map(Value::take)),
            evaluation: plan.evaluation,
            metadata: plan.metadata,
            warnings: plan.warnings,
            progress: job.progress,
            eta_seconds: job.eta_seconds.filter(|_| !job.status.is_terminal()),
            metrics: Value::Object(job.metrics),
            queue_position,
            device: job.device,
            error: job.error,
            result: job.result,
            transitions: job
                .transitions
                .into_iter()
                .map(|t| JobTransition {
                    status: t.status,
                    at: rfc3339(t.at),
                })
                .collect(),
            created_at: rfc3339(job.created_at),
            started_at: job.started_at.map(rfc3339),
            finished_at: job.finished_at.map(rfc3339),
        }
    }
}

/// The job as clients see it, its place in the queue looked up.
async fn present(app: &AppState, job: jobs::Job) -> Result<JobResponse> {
    let position = if job.status == Status::Queued {
        app.store.queue_position(&job.id).await?
    } else {
        None
    };
    Ok(JobResponse::of(job, position))
}
