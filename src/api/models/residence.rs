//! `POST /v1/models/{model}/load` and `…/unload`: what is in memory before it is asked for, and no longer.

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use serde::Serialize;
use utoipa::ToSchema;

use super::resolve::Resolved;
use crate::api::problem::Result;
use crate::api::state::AppState;
use crate::store::ModelVersion;

/// Whether a version is in memory.
#[derive(Debug, Serialize, ToSchema)]
pub struct Residence {
    pub model: String,
    pub version: i64,
    pub loaded: bool,
}

impl Residence {
    fn of(found: &Resolved, loaded: bool) -> Json<Self> {
        Json(Self {
            model: found.version.name.clone(),
            version: found.version.version,
            loaded,
        })
    }
}

/// Load a model into memory
// Loads a version and answers once it is warm, so that the first request is as fast as any. Versions are
// loaded on demand too; the least recently used leave when memory is short.
#[utoipa::path(post, path = "/v1/models/{model}/load", operation_id = "load_model",
    params(("model" = String, Path, description = "`name` (newest version), `name:3` or `name@alias`")),
    responses((status = 200, description = "It is in memory", body = Residence)))]
pub async fn load(app: AppState, Path(model): Path<String>) -> Result<Json<Residence>> {
    let found = app.resolve(&model).await?;
    app.engine.load(Arc::clone(&found.source)).await?;
    Ok(Residence::of(&found, true))
}

/// Drop a model from memory
// Gives a version's memory back. The next request for it loads it again.
#[utoipa::path(post, path = "/v1/models/{model}/unload", operation_id = "unload_model",
    params(("model" = String, Path, description = "`name` (newest version), `name:3` or `name@alias`")),
    responses((status = 200, description = "It is not in memory", body = Residence)))]
pub async fn unload(app: AppState, Path(model): Path<String>) -> Result<Json<Residence>> {
    let found = app.resolve(&model).await?;
    let ModelVersion { name, version, .. } = &found.version;
    app.engine.unload(name, *version).await;
    Ok(Residence::of(&found, false))
}
