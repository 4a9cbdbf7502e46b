//! `GET /v2`, `/v2/health/live` and `/v2/health/ready`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::EXTENSIONS;
use crate::api::problem::Result;
use crate::api::service;
use crate::api::state::AppState;

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
// Requests are welcome: the database answers and no shutdown is under way.
#[utoipa::path(get, path = "/v2/health/ready", operation_id = "v2_server_ready",
    responses(
        (status = 200, description = "They are", body = ServerReady),
        (status = 503, description = "Shutting down, or the database does not answer"),
    ))]
pub async fn ready(app: AppState) -> Result<Json<ServerReady>> {
    service::readyz(app).await?;
    Ok(Json(ServerReady { ready: true }))
}
