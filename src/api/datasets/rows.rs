//! `GET /v1/datasets/{dataset}/rows`.

use axum::extract::Path;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{read_rows, rows_there};
use crate::api::body::no_allowance;
use crate::api::extract::{Form, Query, negotiate};
use crate::api::models::Binary;
use crate::api::models::shape::dims;
use crate::api::models::size::{self, require_rows};
use crate::api::problem::{Problem, Result};
use crate::api::responses::page_limit;
use crate::api::state::AppState;
use crate::data::npy;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct RowsQuery {
    /// `train` (the default) or `test`.
    #[param(pattern = "^(train|test)$")]
    pub split: String,
    pub offset: u64,
    /// Rows, from 1 to 1000. Default 20.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

impl Default for RowsQuery {
    fn default() -> Self {
        Self {
            split: "train".to_owned(),
            offset: 0,
            limit: None,
        }
    }
}

/// Rows of a data set, in model units.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rows)]
pub struct RowsResponse {
    dataset: String,
    split: String,
    offset: u64,
    /// Shape of one row.
    shape: Vec<i64>,
    /// Flat rows.
    rows: Vec<Vec<f32>>,
    labels: Option<Vec<i64>>,
    /// Numbers to regress on, one for each row.
    targets: Option<Vec<f64>>,
}

/// Read rows
// Rows of a split as JSON, or as npy of shape `[rows, …shape]`.
#[utoipa::path(get, path = "/v1/datasets/{dataset}/rows", operation_id = "get_dataset_rows",
    params(RowsQuery),
    responses(
        (status = 200, description = "The rows",
            content((RowsResponse = "application/json"), (Binary = "application/x-npy"))),
        (status = 406, description = "Neither JSON nor npy is accepted"),
    ))]
pub async fn rows(
    app: AppState,
    Path(dataset): Path<String>,
    Query(query): Query<RowsQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let form = negotiate(&headers, &[Form::Json, Form::Npy])?;
    let limit = page_limit(query.limit, 1000)?;
    let dataset = app.dataset(&dataset).await?;
    let bytes = size::number(form).saturating_mul(size::size(dataset.shape()));
    let there = rows_there(&dataset, &query.split, query.offset, limit.into());
    require_rows(app.limits.answer_bytes, there, bytes, "/limit")?;
    let all = usize::try_from(bytes.saturating_mul(there)).unwrap_or(usize::MAX);
    let held = app.answers.hold(all).ok_or_else(no_allowance)?;
    let slice = read_rows(
        &app,
        &dataset,
        &query.split,
        query.offset,
        u64::from(limit),
        "/",
    )
    .await?;
    if form == Form::Npy {
        let mut shape = vec![slice.rows];
        shape.extend(dims(dataset.shape()));
        let body = npy::encode_f32(&shape, &slice.values);
        return Ok(([(header::CONTENT_TYPE, form.media_type())], held.with(body)).into_response());
    }
    let width = slice.values.len() / slice.rows.max(1);
    let rows = slice
        .values
        .chunks(width.max(1))
        .map(<[f32]>::to_vec)
        .collect();
    let body = RowsResponse {
        shape: dataset.shape().to_vec(),
        dataset: dataset.name,
        split: query.split,
        offset: query.offset,
        rows,
        labels: slice.labels,
        targets: slice.targets,
    };
    let body = serde_json::to_vec(&body).map_err(Problem::internal)?;
    Ok(([(header::CONTENT_TYPE, form.media_type())], held.with(body)).into_response())
}
