//! `GET /v2/models/{model}/ready` and `…/versions/{version}/ready`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::name::Named;
use crate::api::problem::{Code, Problem, Result};
use crate::api::service;
use crate::api::state::AppState;

#[derive(Serialize, ToSchema)]
pub struct ModelReady {
    name: String,
    ready: bool,
}

/// A model is ready
// Whether the model is there to be asked. One that is not in memory yet is: it is loaded when it is asked.
#[utoipa::path(get, path = "/v2/models/{model}/ready", operation_id = "v2_model_ready",
    params(("model" = String, Path, description = "`name`, `name:3` or `name@alias`, perhaps with `:verb`")),
    responses(
        (status = 200, description = "It is", body = ModelReady),
        (status = 503, description = "It was unloaded, or the service is shutting down"),
    ))]
pub async fn model(app: AppState, named: Named) -> Result<Json<ModelReady>> {
    let found = app.resolver.resolve(&named.reference).await?;
    named.verb(&found.version)?;
    if app
        .engine
        .is_manually_unloaded(&found.version.name, found.version.version)
    {
        let text = "it was unloaded; it is loaded again when it is asked";
        return Err(Problem::new(Code::Unloaded, text));
    }
    service::readyz(app).await?;
    Ok(Json(ModelReady {
        name: named.shown,
        ready: true,
    }))
}

/// A model version is ready
#[utoipa::path(get, path = "/v2/models/{model}/versions/{version}/ready", operation_id = "v2_model_version_ready",
    params(("model" = String, Path, description = "Name, perhaps with `:verb`")),
    responses(
        (status = 200, description = "It is", body = ModelReady),
        (status = 503, description = "It was unloaded, or the service is shutting down"),
    ))]
pub async fn version(app: AppState, named: Named) -> Result<Json<ModelReady>> {
    model(app, named).await
}
