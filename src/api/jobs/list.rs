//! `GET /v1/jobs`.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{JobResponse, present};
use crate::api::extract::Query;
use crate::api::responses::{List, Listed, page_limit, visible};
use crate::api::state::AppState;
use crate::jobs::{Job, Status};
use crate::store::JobFilter;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct JobsQuery {
    pub status: Option<Status>,
    pub name: Option<String>,
    /// A model family.
    pub kind: Option<String>,
    /// Jobs on the page, from 1 to 200. Default 20.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// The `last_id` of the page before.
    pub after: Option<String>,
}

/// List jobs
#[utoipa::path(get, path = "/v1/jobs", operation_id = "list_jobs",
    params(JobsQuery),
    responses(
        (status = 200, description = "A page", body = List<JobResponse>),
        (status = 404, description = "`after` names no job"),
    ))]
pub async fn list(app: AppState, Query(query): Query<JobsQuery>) -> Listed<JobResponse> {
    let limit = page_limit(query.limit, 200)?;
    let filter = JobFilter {
        status: query.status,
        name: query.name,
        kind: query.kind,
    };
    let (store, filter) = (&app.store, &filter);
    let next = async |after: Option<String>| store.list_jobs(filter, limit, after.as_deref()).await;
    let shows = |job: &Job| {
        let plan = &job.plan;
        app.caller.reaches_model(&plan.name) && app.caller.reaches_dataset(&plan.dataset_name)
    };
    let page = visible(query.after, next, shows, |job| &job.id).await?;
    let mut jobs = Vec::with_capacity(page.items.len());
    for job in page.items {
        jobs.push(present(&app, job).await?);
    }
    Ok(Json(List::of(jobs, page.has_more, |job| job.id.clone())))
}
