//! `GET /v1/models/{model}/filters.png`.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Binary;
use super::render::grid;
use super::shape::dims;
use crate::api::extract::{Query, require_within};
use crate::api::problem::Result;
use crate::api::state::AppState;
use crate::data::picture::Scale;
use crate::inference::{Call, Input, RequestOptions};
use crate::verbs::filters::FiltersOptions;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct FiltersQuery {
    /// Units to draw, from the first. Default 100.
    #[param(minimum = 1, maximum = 1024)]
    pub n: usize,
}

impl Default for FiltersQuery {
    fn default() -> Self {
        Self { n: 100 }
    }
}

/// See the first layer's weights
// What the first layer's units look for: their weights as pictures, each scaled by itself.
#[utoipa::path(get, path = "/v1/models/{model}/filters.png", operation_id = "get_model_filters",
    params(("model" = String, Path, description = "`name`, `name:3` or `name@alias`"), FiltersQuery),
    responses(
        (status = 200, description = "A grid", body = Binary, content_type = "image/png"),
        (status = 422, description = "The model has no such weights, or its inputs are no pictures"),
        (status = 429, description = "Too many requests wait"),
    ))]
pub async fn filters(
    app: AppState,
    Path(model): Path<String>,
    Query(query): Query<FiltersQuery>,
) -> Result<impl IntoResponse> {
    require_within("n", query.n as u64, 1024)?;
    let source = Arc::clone(&app.resolve(&model).await?.source);
    let call = Call::of(FiltersOptions {}, Input::default());
    let options = RequestOptions::default();
    let reply = app.engine.call(source, call, options, None).await?;
    let (mut values, shape) = (reply.output.values, reply.output.shape);
    values.truncate(query.n * dims(&shape).iter().product::<usize>());
    let png = grid(values, &shape, None, Scale::MinMaxPerTile).await?;
    Ok(([(header::CONTENT_TYPE, "image/png")], png))
}
