//! `GET /v2`, `/v2/health/live`, `/v2/health/ready` and `/v2/models/{model}/ready`, of a version too.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::EXTENSIONS;
use super::name::Named;
use crate::api::models::unreadable;
use crate::api::problem::{Code, Problem, Result};
use crate::api::service;
use crate::api::state::{AppState, blocking};
use crate::store::ModelVersion;

/// What this server is.
#[derive(Serialize, ToSchema)]
pub struct ServerMetadata {
    #[schema(value_type = String)]
    name: &'static str,
    #[schema(value_type = String)]
    version: &'static str,
    /// Extensions of the protocol that it serves.
    #[schema(value_type = Vec<String>)]
    extensions: [&'static str; EXTENSIONS.len()],
}

#[derive(Serialize, ToSchema)]
pub struct ServerLive {
    live: bool,
}

#[derive(Serialize, ToSchema)]
pub struct ServerReady {
    ready: bool,
}

#[derive(Serialize, ToSchema)]
pub struct ModelReady {
    name: String,
    ready: bool,
}

/// Server metadata
// Name, version and extensions of this server.
#[utoipa::path(get, path = "/v2", operation_id = "v2_server_metadata",
    responses((status = 200, description = "What this server is", body = ServerMetadata)))]
pub async fn server() -> Json<ServerMetadata> {
    Json(ServerMetadata {
        name: "latentd",
        version: env!("CARGO_PKG_VERSION"),
        extensions: EXTENSIONS,
    })
}

/// The process runs
#[utoipa::path(get, path = "/v2/health/live", operation_id = "v2_server_live",
    responses((status = 200, description = "It does", body = ServerLive)))]
pub async fn live() -> Json<ServerLive> {
    Json(ServerLive { live: true })
}

/// Requests are welcome
// Requests are welcome: the database takes writes and no shutdown is under way.
#[utoipa::path(get, path = "/v2/health/ready", operation_id = "v2_server_ready",
    responses(
        (status = 200, description = "They are", body = ServerReady),
        (status = 503, description = "Shutting down, or the database takes no writes"),
    ))]
pub async fn ready(app: AppState) -> Result<Json<ServerReady>> {
    service::readyz(app).await?;
    Ok(Json(ServerReady { ready: true }))
}

/// A model is ready
// Whether the model is there to be asked. One that is not in memory yet is, if its weights are sound on disk: it
// is loaded when it is asked.
#[utoipa::path(get, path = "/v2/models/{model}/ready", operation_id = "v2_model_ready",
    params(("model" = String, Path, description = "`name`, `name:3` or `name@alias`, perhaps with `:verb`")),
    responses(
        (status = 200, description = "It is", body = ModelReady),
        (status = 503, description = "It was unloaded, or the service is shutting down"),
    ))]
pub async fn model_ready(app: AppState, named: Named) -> Result<Json<ModelReady>> {
    let found = app.resolve(&named.reference).await?;
    named.verb(&found.version)?;
    let ModelVersion { name, version, .. } = &found.version;
    if app.engine.is_manually_unloaded(name, *version) {
        let text = "it was unloaded; it is loaded again when it is asked";
        return Err(Problem::new(Code::Unloaded, text));
    }
    if !app.engine.is_loaded(name, *version) {
        let (artifacts, digest) = (app.artifacts.clone(), found.version.sha256.clone());
        if let Err(error) = blocking(move || artifacts.check(&digest)).await? {
            return Err(unreadable(&app, &found.version.sha256, error).await);
        }
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
pub async fn model_version_ready(app: AppState, named: Named) -> Result<Json<ModelReady>> {
    model_ready(app, named).await
}
