//! `GET /v2/models/stats`, `/v2/models/{model}/stats` and `…/versions/{version}/stats`: what each version did
//! since the service started, in Triton's form.

use std::time::UNIX_EPOCH;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::name::Named;
use crate::api::problem::Result;
use crate::api::state::AppState;
use crate::inference::statistics::Tally;
use crate::jobs::{Selector, parse_ref};

#[derive(Serialize, ToSchema)]
pub struct ModelStatisticsList {
    model_stats: Vec<ModelStatisticsResponse>,
}

/// What a version did.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelStatistics)]
pub struct ModelStatisticsResponse {
    name: String,
    version: String,
    /// Milliseconds since 1970; 0 for never.
    last_inference: u64,
    /// Rows.
    inference_count: u64,
    /// Batches.
    execution_count: u64,
    inference_stats: InferenceStatistics,
    batch_stats: Vec<BatchStatistics>,
}

/// How often, and how long in all.
#[derive(Serialize, ToSchema)]
pub struct StatisticDuration {
    count: u64,
    /// Nanoseconds.
    ns: u64,
}

/// Requests, by where their time went. What is not measured apart is 0, and nothing is cached.
#[derive(Serialize, ToSchema)]
pub struct InferenceStatistics {
    success: StatisticDuration,
    fail: StatisticDuration,
    queue: StatisticDuration,
    compute_input: StatisticDuration,
    compute_infer: StatisticDuration,
    compute_output: StatisticDuration,
    cache_hit: StatisticDuration,
    cache_miss: StatisticDuration,
}

/// Batches of so many rows.
#[derive(Serialize, ToSchema)]
pub struct BatchStatistics {
    batch_size: usize,
    compute_input: StatisticDuration,
    compute_infer: StatisticDuration,
    compute_output: StatisticDuration,
}

impl From<Tally> for StatisticDuration {
    fn from(Tally { count, nanos }: Tally) -> Self {
        Self { count, ns: nanos }
    }
}

/// As often as this, in no time.
fn unmeasured(tally: Tally) -> StatisticDuration {
    Tally { nanos: 0, ..tally }.into()
}

/// Statistics of all models
#[utoipa::path(get, path = "/v2/models/stats", operation_id = "v2_statistics",
    responses((status = 200, description = "One entry a version", body = ModelStatisticsList)))]
pub async fn all(app: AppState) -> Result<Json<ModelStatisticsList>> {
    let mut versions = app.store.version_numbers().await?;
    versions.retain(|(name, _)| app.caller.reaches_model(name));
    let each = versions
        .into_iter()
        .map(|(name, version)| of(&app, name, version));
    Ok(Json(ModelStatisticsList {
        model_stats: each.collect(),
    }))
}

/// Statistics of a model
// What every version of a model did.
#[utoipa::path(get, path = "/v2/models/{model}/stats", operation_id = "v2_model_statistics",
    params(
        ("model" = String, Path, description = "`name` for all its versions, `name:3` or `name@alias` for one; \
            its verbs are counted together"),
    ),
    responses((status = 200, description = "One entry a version", body = ModelStatisticsList)))]
pub async fn model(app: AppState, named: Named) -> Result<Json<ModelStatisticsList>> {
    let of_one = named.of_version
        || parse_ref(&named.reference).is_ok_and(|parsed| parsed.selector != Selector::Newest);
    let model_stats = if of_one {
        let found = app.resolve(&named.reference).await?;
        vec![of(&app, found.version.name.clone(), found.version.version)]
    } else {
        let model = app.store.model(&named.reference).await?;
        let versions = model.versions.into_iter();
        versions.map(|v| of(&app, v.name, v.version)).collect()
    };
    Ok(Json(ModelStatisticsList { model_stats }))
}

/// Statistics of a model version
#[utoipa::path(get, path = "/v2/models/{model}/versions/{version}/stats", operation_id = "v2_model_version_statistics",
    responses((status = 200, description = "One entry", body = ModelStatisticsList)))]
pub async fn version(app: AppState, named: Named) -> Result<Json<ModelStatisticsList>> {
    model(app, named).await
}

fn of(app: &AppState, name: String, version: i64) -> ModelStatisticsResponse {
    let did = app.engine.statistics(&name, version);
    let at = did
        .last_inference
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let batch = |(&batch_size, &tally): (&usize, &Tally)| BatchStatistics {
        batch_size,
        compute_input: unmeasured(tally),
        compute_infer: tally.into(),
        compute_output: unmeasured(tally),
    };
    ModelStatisticsResponse {
        name,
        version: version.to_string(),
        last_inference: at.map_or(0, |at| u64::try_from(at.as_millis()).unwrap_or(u64::MAX)),
        inference_count: did.inferences,
        execution_count: did.executions,
        inference_stats: InferenceStatistics {
            success: did.success.into(),
            fail: did.failure.into(),
            queue: did.queue.into(),
            compute_input: unmeasured(did.compute),
            compute_infer: did.compute.into(),
            compute_output: unmeasured(did.compute),
            cache_hit: Tally::default().into(),
            cache_miss: Tally::default().into(),
        },
        batch_stats: did.batches.iter().map(batch).collect(),
    }
}
