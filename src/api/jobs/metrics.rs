//! `GET /v1/jobs/{job}/metrics`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::extract::{Query, require_within};
use crate::api::problem::Result;
use crate::api::responses::rfc3339;
use crate::api::state::AppState;
use crate::store::SeriesPoint;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct MetricsQuery {
    /// Names with commas between, for example `train/loss,validation/loss`. Default: all.
    pub keys: Option<String>,
    /// Points of each series, at most. Default 1000.
    #[param(minimum = 1, maximum = 10_000)]
    pub max_points: Option<u32>,
}

/// The course of each metric.
#[derive(Debug, Serialize, ToSchema)]
pub struct Metrics {
    series: BTreeMap<String, Vec<MetricPointResponse>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricPoint)]
pub struct MetricPointResponse {
    step: i64,
    epoch: i64,
    /// Null where the value was not finite.
    value: Option<f64>,
    /// The least value of the bucket that the point stands for.
    min: Option<f64>,
    /// The greatest value of the bucket.
    max: Option<f64>,
    #[schema(format = DateTime)]
    at: String,
}

/// Read a job's metrics
// The course of a job's metrics, thinned to the last point of each bucket of steps, with the least and the
// greatest value of the bucket.
#[utoipa::path(get, path = "/v1/jobs/{job}/metrics", operation_id = "get_job_metrics",
    params(MetricsQuery),
    responses((status = 200, description = "One series a metric", body = Metrics)))]
pub async fn metrics(
    app: AppState,
    Path(job): Path<String>,
    Query(query): Query<MetricsQuery>,
) -> Result<Json<Metrics>> {
    let max_points = query.max_points.unwrap_or(1000);
    require_within("max_points", u64::from(max_points), 10_000)?;
    let job = app.job(&job).await?;
    let keys: Option<Vec<String>> = query
        .keys
        .map(|keys| keys.split(',').map(|k| k.trim().to_owned()).collect());
    let point = |p: SeriesPoint| MetricPointResponse {
        step: p.step,
        epoch: p.epoch,
        value: p.value,
        min: p.min,
        max: p.max,
        at: rfc3339(p.at),
    };
    let series = app.store.series(&job.id, keys.as_deref(), max_points);
    let series = series.await?.into_iter();
    let series = series
        .map(|(key, points)| (key, points.into_iter().map(point).collect()))
        .collect();
    Ok(Json(Metrics { series }))
}
