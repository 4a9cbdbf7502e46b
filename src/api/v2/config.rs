//! `GET /v2/models/{model}/config` and `…/versions/{version}/config`: a model's configuration in Triton's form.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::datatype::Datatype;
use super::name::Named;
use super::tensors::Tensors;
use crate::api::problem::Result;
use crate::api::state::AppState;
use crate::verbs::tensors::Tensor;

/// How a model is served, in the terms of Triton's model configuration.
#[derive(Serialize, ToSchema)]
pub struct ModelConfig {
    /// As it was asked for, its verb included.
    name: String,
    /// `latentd_` and the family.
    platform: String,
    #[schema(value_type = String)]
    backend: &'static str,
    /// Rows of a batch made of several requests; 0 where rows are not answered one by one. One request may
    /// have more rows.
    max_batch_size: usize,
    input: Vec<ModelConfigInput>,
    output: Vec<ModelConfigOutput>,
    /// Left out where requests are computed one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    dynamic_batching: Option<DynamicBatching>,
}

#[derive(Serialize, ToSchema)]
pub struct ModelConfigInput {
    #[schema(value_type = String)]
    name: &'static str,
    /// For example `TYPE_FP32`.
    data_type: String,
    /// Without the batch where `max_batch_size` is above 0; -1 for any size.
    dims: Vec<i64>,
    optional: bool,
}

#[derive(Serialize, ToSchema)]
pub struct ModelConfigOutput {
    #[schema(value_type = String)]
    name: &'static str,
    data_type: String,
    dims: Vec<i64>,
}

#[derive(Serialize, ToSchema)]
pub struct DynamicBatching {
    preferred_batch_size: Vec<usize>,
    max_queue_delay_microseconds: u64,
    /// `priority` of a request, from 1, the highest.
    priority_levels: u32,
    default_priority_level: u32,
}

/// Model configuration
// How a model's verb is served, by the newest version.
#[utoipa::path(get, path = "/v2/models/{model}/config", operation_id = "v2_model_config",
    params(("model" = String, Path, description = "`name`, `name:3` or `name@alias`, perhaps with `:verb`")),
    responses((status = 200, description = "The configuration", body = ModelConfig)))]
pub async fn model(app: AppState, named: Named) -> Result<Json<ModelConfig>> {
    let found = app.resolve(&named.reference).await?;
    let verb = named.verb(&found.version)?;
    let tensors = Tensors::of(&found, verb);
    let bounds = app.engine.bounds();
    let dims = |tensor: &Tensor| match tensors.batched {
        true => tensor.row.clone(),
        false => tensor.shape(),
    };
    let joins_others = tensors.batched && (verb.may_batch)();
    let input = |tensor: &Tensor| ModelConfigInput {
        name: tensor.name,
        data_type: Datatype::from(tensor.element).config_name(),
        dims: dims(tensor),
        optional: tensor.optional,
    };
    let output = |tensor: &Tensor| ModelConfigOutput {
        name: tensor.name,
        data_type: Datatype::from(tensor.element).config_name(),
        dims: dims(tensor),
    };
    Ok(Json(ModelConfig {
        platform: format!("latentd_{}", found.version.kind),
        backend: "latentd",
        max_batch_size: if tensors.batched { bounds.rows } else { 0 },
        input: tensors.inputs.iter().map(input).collect(),
        output: tensors.outputs.iter().map(output).collect(),
        dynamic_batching: joins_others.then(|| DynamicBatching {
            preferred_batch_size: Vec::new(),
            max_queue_delay_microseconds: u64::try_from(bounds.delay.as_micros())
                .unwrap_or(u64::MAX),
            priority_levels: 3,
            default_priority_level: 2,
        }),
        name: named.shown,
    }))
}

/// Configuration of a model version
#[utoipa::path(get, path = "/v2/models/{model}/versions/{version}/config", operation_id = "v2_model_version_config",
    params(("model" = String, Path, description = "Name, perhaps with `:verb`")),
    responses((status = 200, description = "The configuration", body = ModelConfig)))]
pub async fn version(app: AppState, named: Named) -> Result<Json<ModelConfig>> {
    model(app, named).await
}
