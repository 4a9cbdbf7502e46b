//! `GET /v2/models/{model}` and `…/versions/{version}`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::datatype::Datatype;
use super::name::Named;
use super::tensors::Tensors;
use crate::api::problem::Result;
use crate::api::state::AppState;
use crate::verbs::tensors::Tensor;

/// What a model takes and answers.
#[derive(Serialize, ToSchema)]
pub struct ModelMetadata {
    /// As it was asked for, its verb included.
    name: String,
    /// Newest first.
    versions: Vec<String>,
    /// `latentd_` and the family.
    platform: String,
    inputs: Vec<TensorMetadata>,
    outputs: Vec<TensorMetadata>,
}

/// A tensor by name; -1 stands for a dimension of any size.
#[derive(Serialize, ToSchema)]
pub struct TensorMetadata {
    #[schema(value_type = String)]
    name: &'static str,
    datatype: Datatype,
    shape: Vec<i64>,
}

impl From<&Tensor> for TensorMetadata {
    fn from(tensor: &Tensor) -> Self {
        Self {
            name: tensor.name,
            datatype: tensor.element.into(),
            shape: tensor.shape(),
        }
    }
}

/// Model metadata
// Inputs and outputs of a model's verb, by the newest version.
#[utoipa::path(get, path = "/v2/models/{model}", operation_id = "v2_model_metadata",
    params(
        ("model" = String, Path,
            description = "`name`, `name:3` or `name@alias`; with `:verb` behind it, that verb instead of the \
                default one"),
    ),
    responses(
        (status = 200, description = "What it takes and answers", body = ModelMetadata),
        (status = 404, description = "There is no such model"),
    ))]
pub async fn model(app: AppState, named: Named) -> Result<Json<ModelMetadata>> {
    let found = app.resolve(&named.reference).await?;
    let Tensors {
        inputs, outputs, ..
    } = Tensors::of(&found, named.verb(&found.version)?);
    let versions = if named.of_version {
        vec![found.version.version]
    } else {
        let model = app.store.model(&found.version.name).await?;
        model.versions.iter().map(|v| v.version).collect()
    };
    Ok(Json(ModelMetadata {
        name: named.shown,
        versions: versions.iter().map(i64::to_string).collect(),
        platform: format!("latentd_{}", found.version.kind),
        inputs: inputs.iter().map(Into::into).collect(),
        outputs: outputs.iter().map(Into::into).collect(),
    }))
}

/// Metadata of a model version
#[utoipa::path(get, path = "/v2/models/{model}/versions/{version}", operation_id = "v2_model_version_metadata",
    params(("model" = String, Path, description = "Name, perhaps with `:verb`")),
    responses((status = 200, description = "What it takes and answers", body = ModelMetadata)))]
pub async fn version(app: AppState, named: Named) -> Result<Json<ModelMetadata>> {
    model(app, named).await
}
