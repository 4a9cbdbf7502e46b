//! `POST /v1/jobs`.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use sha2::{Digest, Sha256};

use super::{Job, present};
use crate::api::extract::{body, content_type, is_json, parse_json};
use crate::api::problem::{Code, Problem, ProblemBody, Result};
use crate::api::state::AppState;
use crate::artifacts::files::hex;
use crate::jobs::{NewJob, Progress, Task};
use crate::spec::{JobRequest, JobSpec};
use crate::store::{Dataset, Idempotency, StoreError};
use crate::worker::now_ms;

/// Queues a training job. With an `Idempotency-Key`, the same request sent again answers the same job.
#[utoipa::path(post, path = "/v1/jobs", operation_id = "create_job", tag = "jobs", summary = "Train a model",
    params(("Idempotency-Key" = Option<String>, Header, description = "Up to 255 characters of the client's choice")),
    request_body = JobRequest,
    responses(
        (status = 202, description = "Queued (or, for a repeated key, as it stands)", body = Job, headers(("location" = String, description = "Its path"))),
        (status = 400, description = "Not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Larger than this server reads", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not sent as JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is invalid, or the key belongs to another request", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "The queue is full", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub async fn create(State(app): State<AppState>, request: Request) -> Result<impl IntoResponse> {
    let headers = request.headers().clone();
    if !content_type(&headers).is_some_and(|kind| is_json(&kind)) {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            "send the job as application/json",
        ));
    }
    let bytes = body(request, &app).await?;
    let wanted: JobRequest = parse_json(&bytes)?;
    let idempotency = idempotency(&headers, &bytes)?;
    let dataset = find_dataset(&app, &wanted.dataset).await?;
    let spec = wanted
        .validate(&dataset.facts(), &app.here)
        .map_err(Problem::fields)?;
    let new = new_job(spec, &dataset)?;
    let admitted = match app
        .store
        .insert_job(&new, idempotency.as_ref(), app.limits.queued_jobs, now_ms())
        .await
    {
        Ok(admitted) => admitted,
        Err(StoreError::QueueFull { queued }) => return Err(queue_full(&app, queued).await?),
        Err(error) => return Err(error.into()),
    };
    app.queued.notify_one();
    let location = HeaderValue::from_str(&format!("/v1/jobs/{}", admitted.job.id))
        .map_err(|e| Problem::internal(&e))?;
    Ok((
        StatusCode::ACCEPTED,
        [(header::LOCATION, location)],
        Json(present(&app, admitted.job).await?),
    ))
}

fn idempotency(headers: &HeaderMap, bytes: &[u8]) -> Result<Option<Idempotency>> {
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=255).contains(&key.len()));
    let key = key.ok_or_else(|| {
        Problem::field(
            "/Idempotency-Key",
            "header: must be 1 to 255 visible ASCII characters",
        )
    })?;
    Ok(Some(Idempotency {
        key: key.to_owned(),
        digest: hex(&Sha256::digest(bytes)),
    }))
}

async fn find_dataset(app: &AppState, reference: &str) -> Result<Dataset> {
    match app.store.dataset(reference).await {
        Ok(dataset) => Ok(dataset),
        Err(StoreError::NotFound(text)) => {
            Err(Problem::field("/dataset", format!("there is no {text}")))
        }
        Err(error) => Err(error.into()),
    }
}

fn new_job(spec: JobSpec, dataset: &Dataset) -> Result<NewJob> {
    let all = u64::try_from(dataset.splits.train.rows).unwrap_or(0);
    let rows = spec.training.max_rows.unwrap_or(all).min(all);
    if spec.training.validation_fraction > 0.0 && rows < 2 {
        return Err(Problem::field(
            "/training/validation_fraction",
            "needs at least two training rows",
        ));
    }
    Ok(NewJob {
        name: spec.name,
        task: Task::Train,
        kind: spec.family.kind.to_owned(),
        retry_of: None,
        dataset_id: dataset.id.clone(),
        dataset_name: dataset.name.clone(),
        model: spec.model,
        progress: Progress {
            epochs: i64::from(spec.training.epochs),
            ..Progress::default()
        },
        training: serde_json::to_value(spec.training).map_err(|e| Problem::internal(&e))?,
        init_from: None,
        metadata: spec.metadata.into(),
    })
}

/// When a place should be free: jobs that wait, at the pace of those that ended lately.
async fn queue_full(app: &AppState, queued: i64) -> Result<Problem> {
    let times = app.store.recent_run_times(20).await?;
    let usual_ms = if times.is_empty() {
        60_000
    } else {
        times.iter().sum::<i64>() / times.len() as i64
    };
    let seconds = u64::try_from(usual_ms / 1000).unwrap_or(0).clamp(1, 3600);
    Ok(Problem::from(StoreError::QueueFull { queued }).retry_after(seconds))
}
