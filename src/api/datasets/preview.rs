//! `GET /v1/datasets/{dataset}/preview.png`.

use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{read_rows, rows_there};
use crate::api::extract::{Query, require_within};
use crate::api::models::Binary;
use crate::api::models::render::{grid, scale_of};
use crate::api::models::size::{self, require_rows};
use crate::api::problem::Result;
use crate::api::state::AppState;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct PreviewQuery {
    /// `train` (the default) or `test`.
    #[param(pattern = "^(train|test)$")]
    pub split: String,
    /// Pictures, from 1 to 1024. Default 64.
    #[param(minimum = 1, maximum = 1024)]
    pub n: u32,
}

impl Default for PreviewQuery {
    fn default() -> Self {
        Self {
            split: "train".to_owned(),
            n: 64,
        }
    }
}

/// See the first rows
#[utoipa::path(get, path = "/v1/datasets/{dataset}/preview.png", operation_id = "preview_dataset",
    params(PreviewQuery),
    responses(
        (status = 200, description = "The pictures", body = Binary, content_type = "image/png"),
        (status = 422, description = "A query parameter is invalid, or the rows are no pictures"),
    ))]
pub async fn preview(
    app: AppState,
    Path(dataset): Path<String>,
    Query(query): Query<PreviewQuery>,
) -> Result<impl IntoResponse> {
    require_within("n", u64::from(query.n), 1024)?;
    let dataset = app.dataset(&dataset).await?;
    let bytes = size::FLOAT.saturating_mul(size::size(dataset.shape()));
    let there = rows_there(&dataset, &query.split, 0, query.n.into());
    require_rows(app.limits.answer_bytes, there, bytes, "/n")?;
    let slice = read_rows(&app, &dataset, &query.split, 0, u64::from(query.n), "/").await?;
    let scale = scale_of(dataset.range());
    let png = grid(slice.values, dataset.shape(), None, scale).await?;
    Ok(([(header::CONTENT_TYPE, "image/png")], png))
}
