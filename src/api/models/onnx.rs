//! `GET /v1/models/{model}/versions/{version}/onnx`.

use std::sync::Arc;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::resolve::source;
use super::version::find;
use super::{Binary, attachment};
use crate::api::extract::Query;
use crate::api::problem::Result;
use crate::api::state::AppState;
use crate::nn::graph::GraphVerb;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OnnxQuery {
    /// What the graph computes. `generate` is what a generator or a decoder makes of latent points.
    #[param(value_type = GraphVerb, inline)]
    pub verb: String,
}

/// Export a verb as ONNX
// What a verb of the model computes, as an ONNX file: for verbs whose answer follows from what they are given.
#[utoipa::path(get, path = "/v1/models/{model}/versions/{version}/onnx", operation_id = "export_model_onnx",
    params(OnnxQuery),
    responses(
        (status = 200, description = "ONNX", body = Binary, content_type = "application/octet-stream"),
        (status = 422, description = "The verb is missing, or the model has no graph of it"),
        (status = 429, description = "Too many requests wait"),
    ))]
pub async fn onnx(
    app: AppState,
    Path((model, version)): Path<(String, String)>,
    Query(query): Query<OnnxQuery>,
) -> Result<Response> {
    let found = find(&app, model, &version).await?;
    let stem = format!("{}-{}", found.name, found.version);
    let file = app
        .engine
        .background()
        .graph(Arc::new(source(found)?), query.verb.clone())
        .await?;
    // The verb is one that has a graph: nothing else comes this far.
    let name = format!("{stem}-{}.onnx", query.verb);
    Ok((attachment(&name, file.len() as u64)?, file).into_response())
}
