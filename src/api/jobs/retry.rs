//! `POST /v1/jobs/{job}/retry`.

use axum::extract::Path;
use axum::http::HeaderMap;
use axum::response::Response;

use super::JobResponse;
use super::admit::{Wanted, dataset_of};
use super::create::require_samples;
use crate::api::problem::{Code, Problem, Result};
use crate::api::state::AppState;
use crate::families::Family;
use crate::jobs::{Job, JobPlan};
use crate::spec::source::PinnedSource;
use crate::spec::{Evaluation, InitFrom};
use crate::store::Dataset;
use crate::train::Training;

/// Run an ended job again, as a new one
// Makes a new job of one that has ended: the same documents, from the start. Its `retry_of` names the
// old one, which stays as it is.
#[utoipa::path(post, path = "/v1/jobs/{job}/retry", operation_id = "retry_job",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[ -~]+$",
        description = "Up to 255 visible ASCII characters of the client's choice")),
    responses(
        (status = 202, description = "Queued (or, for a repeated key, as it stands)", body = JobResponse),
        (status = 409, description = "It has not ended, or its data set is gone"),
        (status = 422, description = "The key belongs to another request"),
    ))]
pub async fn retry(app: AppState, Path(job): Path<String>, headers: HeaderMap) -> Result<Response> {
    let old = app.job(&job).await?;
    if !old.status.is_terminal() {
        let detail = format!(
            "cannot retry a job that is {}: only one that has ended",
            old.status
        );
        return Err(Problem::new(Code::IllegalTransition, detail));
    }
    let dataset = dataset_of(&app, &old).await?;
    require_as_if_new(&app, &old, &dataset).await?;
    let wanted = Wanted::of(
        old.id.clone(),
        &headers,
        format!("retry {}", old.id).as_bytes(),
    )?;
    let again = JobPlan {
        retry_of: Some(old.id),
        traceparent: None,
        ..old.plan
    };
    wanted.admit(&app, again).await
}

/// What the key could not have asked for itself it cannot have again.
async fn require_as_if_new(app: &AppState, old: &Job, dataset: &Dataset) -> Result<()> {
    if app.caller.key().is_none() {
        return Ok(());
    }
    if let Some(value) = &old.plan.init_from {
        let source: PinnedSource =
            serde_json::from_value(value.clone()).map_err(Problem::internal)?;
        match &source.from {
            InitFrom::Ref(model) => app.require_ref(model)?,
            InitFrom::Model(source) => app.require_ref(&source.model)?,
            InitFrom::Checkpoint(source) => {
                app.job(&source.job).await?;
            }
        }
    }
    if let Some(value) = &old.plan.evaluation {
        let mut evaluation: Evaluation =
            serde_json::from_value(value.clone()).map_err(Problem::internal)?;
        let mut judges = evaluation
            .metrics
            .iter_mut()
            .filter_map(|metric| metric.classifier_mut());
        return judges.try_for_each(|judge| app.require_ref(judge));
    }
    let training: Training =
        serde_json::from_value(old.plan.training.clone()).map_err(Problem::internal)?;
    let rows = u64::try_from(dataset.splits.train.rows).unwrap_or(0);
    let family = Family::find(&old.plan.kind).ok_or_else(|| Problem::internal(&old.plan.kind))?;
    require_samples(app, family, &old.plan.model, &training, rows)
}
