//! `POST /v1/jobs` and `PUT /v1/jobs/{job}`: a job under an id of the server's choice, or of the client's.

use axum::extract::{Path, Request};
use axum::response::Response;
use serde_json::Value;

use super::JobResponse;
use super::admit::{self, find_dataset};
use crate::api::problem::{Problem, Result};
use crate::api::state::AppState;
use crate::families::Family;
use crate::jobs::{JobPlan, check_job_id};
use crate::machine;
use crate::spec::source::{InitFromModel, PinnedSource};
use crate::spec::{InitFrom, JobRequest, warnings};
use crate::store::ModelVersion;
use crate::train::Training;

/// Train a model
// Queues a training job. With an `Idempotency-Key`, the same request sent again answers the same job.
#[utoipa::path(post, path = "/v1/jobs", operation_id = "create_job",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[ -~]+$",
        description = "Up to 255 visible ASCII characters of the client's choice")),
    request_body = JobRequest,
    responses(
        (status = 202, description = "Queued (or, for a repeated key, as it stands)", body = JobResponse),
        (status = 422, description = "A field is invalid, or the key belongs to another request"),
    ))]
pub async fn create(app: AppState, request: Request) -> Result<Response> {
    let wanted = admit::read::<JobRequest>(&app, request).await?;
    let new = checked(&app, &wanted.request).await?;
    wanted.admit(&app, new).await
}

/// Train a model, as a job of this id
// Queues a training job under an id of the client's choice: sent again, the same document answers the
// same job, and another one is refused.
#[utoipa::path(put, path = "/v1/jobs/{job}", operation_id = "put_job",
    params(
        ("job" = String, Path,
            description = "The id it is to have: 1 to 100 letters, digits, `.`, `_`, `-`, not beginning with `job_`"),
    ),
    request_body = JobRequest,
    responses(
        (status = 202, description = "Queued, or as it stands", body = JobResponse),
        (status = 409, description = "The id is another job's"),
        (status = 422, description = "The id or a field is invalid"),
    ))]
pub async fn put(app: AppState, Path(id): Path<String>, request: Request) -> Result<Response> {
    check_job_id(&id).map_err(|rule| Problem::field("/job", format!("path: {rule}")))?;
    let wanted = admit::read::<JobRequest>(&app, request).await?.named(&id);
    let new = checked(&app, &wanted.request).await?;
    wanted.admit(&app, new).await
}

/// The job that a request becomes once every rule is checked.
async fn checked(app: &AppState, request: &JobRequest) -> Result<JobPlan> {
    let dataset = find_dataset(app, &request.dataset).await?;
    let spec = request
        .validate(&dataset.facts(), &app.machine)
        .map_err(Problem::fields)?;
    let device_slot = app.machine.device_slot(&spec.training.device);
    let rows = u64::try_from(dataset.splits.train.rows).unwrap_or(0);
    let footprint = spec
        .footprint(&dataset.facts(), rows)
        .map_err(Problem::fields)?;
    let lacking = footprint.check(machine::capacity(&app.layout.root), device_slot == "cpu");
    if !lacking.is_empty() {
        return Err(Problem::fields(lacking));
    }
    require_rows_to_learn_from(&spec.training, rows)?;
    require_samples(app, spec.family, &spec.model, &spec.training, rows)?;
    let init_from = match &request.init_from {
        Some(from) => Some(source(app, from).await?),
        None => None,
    };
    let told = warnings::of(
        spec.family,
        &spec.model,
        &dataset.facts(),
        &dataset.warnings,
    );
    Ok(JobPlan {
        warnings: told,
        name: spec.name,
        kind: spec.family.kind.to_owned(),
        priority: request.priority,
        device_slot,
        dataset_id: dataset.id,
        dataset_name: dataset.name,
        model: spec.model,
        training: serde_json::to_value(spec.training).map_err(Problem::internal)?,
        init_from,
        metadata: spec.metadata.into(),
        ..JobPlan::default()
    })
}

/// One row to validate on, and one to learn from.
fn require_rows_to_learn_from(training: &Training, all: u64) -> Result<()> {
    let rows = training.max_rows.unwrap_or(all).min(all);
    if training.validation_fraction > 0.0 && rows < 2 {
        return Err(Problem::field(
            "/training/validation_fraction",
            "needs at least two training rows",
        ));
    }
    Ok(())
}

/// How much the key may have trained at once.
pub fn require_samples(
    app: &AppState,
    family: &Family,
    model: &Value,
    training: &Training,
    all: u64,
) -> Result<()> {
    let most = app
        .caller
        .key()
        .and_then(|key| key.grant.limits.job_samples);
    let Some(most) = most.and_then(|most| u64::try_from(most).ok()) else {
        return Ok(());
    };
    let rows = training.max_rows.unwrap_or(all).min(all);
    let epochs = (family.epochs)(model, training).map_err(Problem::internal)?;
    if rows.saturating_mul(epochs) <= most {
        return Ok(());
    }
    let fit = most / rows.max(1);
    let rule = format!(
        "a job of this key may train on {most} rows in all: at most {fit} epochs of {rows} rows, pretraining included, \
        got {epochs}"
    );
    Err(Problem::field("/training/epochs", rule))
}

/// The weights to start from, pinned by their digest.
async fn source(app: &AppState, from: &InitFrom) -> Result<Value> {
    let named = |version: &ModelVersion| format!("{}:{}", version.name, version.version);
    let (settled, sha256) = match from {
        InitFrom::Ref(reference) => {
            let version = app.find(reference).await;
            let version = version.map_err(|problem| problem.at("/init_from"))?;
            (InitFrom::Ref(named(&version)), version.sha256)
        }
        InitFrom::Model(source) => {
            let version = app.find(&source.model).await;
            let version = version.map_err(|problem| problem.at("/init_from/model"))?;
            let settled = InitFromModel {
                model: named(&version),
                freeze: source.freeze.clone(),
            };
            (InitFrom::Model(settled), version.sha256)
        }
        InitFrom::Checkpoint(source) => {
            let job = app.job(&source.job).await;
            job.map_err(|problem| problem.at("/init_from/job"))?;
            let found = app.store.checkpoint(&source.job, source.checkpoint).await;
            let found = found.map_err(|e| Problem::from(e).at("/init_from"))?;
            (from.clone(), found.report.sha256)
        }
    };
    let source = PinnedSource {
        from: settled,
        sha256,
    };
    serde_json::to_value(source).map_err(Problem::internal)
}
