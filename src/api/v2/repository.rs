//! `POST /v2/repository/index` and `/v2/repository/models/{model}/load|unload`.

use std::sync::Arc;

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::name::Named;
use crate::api::body;
use crate::api::extract::parse_json;
use crate::api::problem::{Problem, Result};
use crate::api::state::AppState;
use crate::jobs::{Selector, parse_ref};

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RepositoryIndexRequest {
    /// Only versions that are ready.
    ready: bool,
}

/// A version in the index.
#[derive(Serialize, ToSchema)]
pub struct RepositoryIndexEntry {
    name: String,
    version: String,
    state: RepositoryState,
    /// `unloaded`, where the version was unloaded and not asked for since.
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RepositoryState {
    Ready,
    Unavailable,
}

/// How to load or unload.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RepositoryModelRequest {
    /// `unload_dependents` says nothing here, where no model depends on another. Models are served as they were
    /// published: `config` and files are refused.
    #[schema(value_type = Option<std::collections::HashMap<String, Value>>)]
    parameters: Option<Map<String, Value>>,
}

/// Index of the model repository
// Every version of every model. One that was never loaded is ready: it is loaded when it is asked.
#[utoipa::path(post, path = "/v2/repository/index", operation_id = "v2_repository_index",
    request_body(content = Option<RepositoryIndexRequest>, content_type = "application/json"),
    responses((status = 200, description = "One entry a version", body = Vec<RepositoryIndexEntry>)))]
pub async fn index(app: AppState, request: Request) -> Result<Json<Vec<RepositoryIndexEntry>>> {
    let asked: RepositoryIndexRequest = read(&app, request).await?;
    let mut versions = app.store.version_numbers().await?;
    versions.retain(|(name, _)| app.caller.reaches_model(name));
    let entries = versions.into_iter().map(|(name, version)| {
        let (state, reason) = match app.engine.is_manually_unloaded(&name, version) {
            true => (RepositoryState::Unavailable, "unloaded"),
            false => (RepositoryState::Ready, ""),
        };
        RepositoryIndexEntry {
            name,
            version: version.to_string(),
            state,
            reason: reason.to_owned(),
        }
    });
    let wanted = |e: &RepositoryIndexEntry| !asked.ready || e.state == RepositoryState::Ready;
    Ok(Json(entries.filter(wanted).collect()))
}

/// Load a model
// Reads a version into memory, and answers once it is there.
#[utoipa::path(post, path = "/v2/repository/models/{model}/load", operation_id = "v2_load_model",
    params(("model" = String, Path, description = "`name` (newest version), `name:3` or `name@alias`")),
    request_body(content = Option<RepositoryModelRequest>, content_type = "application/json"),
    responses((status = 200, description = "It is in memory")))]
pub async fn load(app: AppState, named: Named, request: Request) -> Result<StatusCode> {
    refuse_others(read(&app, request).await?, &[])?;
    let found = app.resolve(&named.reference).await?;
    app.engine.load(Arc::clone(&found.source)).await?;
    Ok(StatusCode::OK)
}

/// Unload a model
// Drops versions from memory. They are loaded again when they are asked.
#[utoipa::path(post, path = "/v2/repository/models/{model}/unload", operation_id = "v2_unload_model",
    params(("model" = String, Path, description = "`name` for all its versions, `name:3` or `name@alias` for one")),
    request_body(content = Option<RepositoryModelRequest>, content_type = "application/json"),
    responses((status = 200, description = "It is not in memory")))]
pub async fn unload(app: AppState, named: Named, request: Request) -> Result<StatusCode> {
    refuse_others(read(&app, request).await?, &["unload_dependents"])?;
    let all = parse_ref(&named.reference).is_ok_and(|r| r.selector == Selector::Newest);
    let versions = if all {
        let model = app.store.model(&named.reference).await?;
        model.versions.iter().map(|v| v.version).collect()
    } else {
        let found = app.resolve(&named.reference).await?;
        vec![found.version.version]
    };
    let name = named.reference.split([':', '@']).next().unwrap_or_default();
    for version in versions {
        app.engine.unload(name, version).await;
    }
    Ok(StatusCode::OK)
}

/// A body that may be left out, of whatever media type: clients send none, or bytes.
async fn read<T: DeserializeOwned + Default>(app: &AppState, request: Request) -> Result<T> {
    let bytes = body::document(app, request).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    parse_json(&bytes)
}

fn refuse_others(request: RepositoryModelRequest, known: &[&str]) -> Result<()> {
    let mut names = request.parameters.iter().flat_map(Map::keys);
    match names.find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Problem::field(
            format!("/parameters/{name}"),
            "is not taken here: models are served as they were published",
        )),
        None => Ok(()),
    }
}
