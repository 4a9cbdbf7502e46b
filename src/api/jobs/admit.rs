//! How a checked request becomes a queued job, whatever its task: idempotency, room, the answer.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::present;
use crate::api::body;
use crate::api::extract::{content_type, is_json, parse_json};
use crate::api::problem::{Code, Problem, Result};
use crate::api::responses::made;
use crate::api::state::AppState;
use crate::api::telemetry::request_parent;
use crate::artifacts::files::hex;
use crate::clock::now_ms;
use crate::jobs::{self, JobKey, JobPlan};
use crate::store::{Dataset, Idempotency, StoreError};

/// A request for a job as it came in, with the key under which it may come again.
pub struct Wanted<T> {
    pub request: T,
    /// The id that the client chose for the job.
    id: Option<String>,
    /// Digest of the document.
    body: String,
    idempotency: Option<Idempotency>,
    /// Whose span the job is part of, where jobs are traced.
    traceparent: Option<String>,
}

/// Reads the document and the `Idempotency-Key`.
pub async fn read<T: DeserializeOwned>(app: &AppState, request: Request) -> Result<Wanted<T>> {
    let headers = request.headers().clone();
    if !content_type(&headers).is_some_and(|kind| is_json(&kind)) {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            "send the job as application/json",
        ));
    }
    let bytes = body::document(app, request).await?;
    Ok(Wanted {
        request: parse_json(&bytes)?,
        id: None,
        body: hex(&Sha256::digest(&bytes)),
        idempotency: idempotency(&headers, &bytes)?,
        traceparent: request_parent(&headers),
    })
}

impl<T> Wanted<T> {
    /// A request that is no document; `bytes` tell it from others.
    pub fn of(request: T, headers: &HeaderMap, bytes: &[u8]) -> Result<Self> {
        let idempotency = idempotency(headers, bytes)?;
        Ok(Self {
            request,
            id: None,
            body: String::new(),
            idempotency,
            traceparent: request_parent(headers),
        })
    }

    /// The job is to have this id, which is its idempotency key too: no key of a header looks like this.
    #[must_use]
    pub fn named(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self.idempotency = Some(Idempotency {
            key: format!("\u{1}{id}"),
            digest: self.body.clone(),
        });
        self
    }

    /// Queues the job, or finds the one that the same request made before: 202 either way.
    pub async fn admit(&self, app: &AppState, mut plan: JobPlan) -> Result<Response> {
        app.caller.require_model(&plan.name)?;
        app.caller.require_dataset(&plan.dataset_name)?;
        plan.traceparent.clone_from(&self.traceparent);
        plan.key = app.caller.key().map(|key| JobKey {
            id: key.id.clone(),
            most_jobs: key.grant.limits.jobs,
        });
        let limit = app.limits.queued_jobs;
        let id = self.id.as_deref();
        // A client's idempotency keys are its own: another's would tell of another's job.
        let idempotency = self
            .idempotency
            .clone()
            .map(|idempotency| match app.caller.id() {
                Some(caller) if id.is_none() => Idempotency {
                    key: format!("{caller}\u{1}{}", idempotency.key),
                    ..idempotency
                },
                _ => idempotency,
            });
        let idempotency = idempotency.as_ref();
        let inserted = app
            .store
            .insert_job(&plan, id, idempotency, limit, now_ms());
        let admitted = match inserted.await {
            Ok(admitted) => admitted,
            Err(full @ (StoreError::QueueFull { .. } | StoreError::KeyJobs { .. })) => {
                return Err(Problem::from(full).retry_after(seconds_of_a_job(app).await?));
            }
            Err(StoreError::IdempotencyMismatch) if self.id.is_some() => {
                let detail = "a job of this id was made before, from another document";
                return Err(Problem::new(Code::Conflict, detail));
            }
            Err(error) => return Err(error.into()),
        };
        app.queued.notify_one();
        let path = format!("/v1/jobs/{}", admitted.job.id);
        let job = present(app, admitted.job).await?;
        made(StatusCode::ACCEPTED, &path, job)
    }
}

/// The data set that a field of the request names.
pub async fn find_dataset(app: &AppState, reference: &str) -> Result<Dataset> {
    let found = app.dataset(reference).await;
    found.map_err(|problem| problem.at("/dataset"))
}

/// The data set that an old job was made for.
pub async fn dataset_of(app: &AppState, job: &jobs::Job) -> Result<Dataset> {
    match app.store.dataset(&job.plan.dataset_id).await {
        Ok(dataset) => Ok(dataset),
        Err(StoreError::NotFound(_)) => {
            let detail = format!(
                "the data set '{}' of this job is gone",
                job.plan.dataset_name
            );
            Err(Problem::new(Code::Conflict, detail))
        }
        Err(error) => Err(error.into()),
    }
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

/// When a place should be free: jobs that wait, at the pace of those that ended lately.
async fn seconds_of_a_job(app: &AppState) -> Result<u64> {
    let times = app.store.recent_run_times(20).await?;
    let usual_ms = if times.is_empty() {
        60_000
    } else {
        times.iter().sum::<i64>() / times.len() as i64
    };
    Ok(u64::try_from(usual_ms / 1000).unwrap_or(0).clamp(1, 3600))
}
