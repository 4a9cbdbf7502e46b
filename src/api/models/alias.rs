//! `GET|PUT|DELETE /v1/models/{model}/aliases/{alias}`.

use axum::extract::Path;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ModelResponse;
use crate::api::extract::Json;
use crate::api::problem::{Problem, Result};
use crate::api::responses::rfc3339;
use crate::api::state::AppState;
use crate::clock::now_ms;
use crate::jobs::check_name;
use crate::store::StoreError;

/// Where an alias points.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AliasTarget {
    #[schema(minimum = 1)]
    pub version: i64,
}

/// An alias, and where it pointed before.
#[derive(Debug, Serialize, ToSchema)]
pub struct Alias {
    pub model: String,
    pub alias: String,
    /// Where it points now; null once it was removed.
    pub version: Option<i64>,
    /// The last hundred moves, the latest first.
    pub history: Vec<AliasMoveResponse>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AliasMove)]
pub struct AliasMoveResponse {
    /// Null where it was removed.
    pub version: Option<i64>,
    #[schema(format = DateTime)]
    pub at: String,
}

/// An alias and its history
#[utoipa::path(get, path = "/v1/models/{model}/aliases/{alias}", operation_id = "get_model_alias",
    responses(
        (status = 200, description = "The alias", body = Alias),
        (status = 404, description = "There is none, and never was"),
    ))]
pub async fn get(
    app: AppState,
    Path((model, alias)): Path<(String, String)>,
) -> Result<axum::Json<Alias>> {
    let moves = app.store.alias_moves(&model, &alias).await?;
    let Some(latest) = moves.first() else {
        let detail = format!("there is no alias \"{model}@{alias}\"");
        return Err(Problem::not_found(detail));
    };
    let version = latest.version;
    let history = moves
        .iter()
        .map(|m| AliasMoveResponse {
            version: m.version,
            at: rfc3339(m.at),
        })
        .collect();
    Ok(axum::Json(Alias {
        model,
        alias,
        version,
        history,
    }))
}

/// Point an alias at a version
// Points an alias at a version, moving it if it exists.
#[utoipa::path(put, path = "/v1/models/{model}/aliases/{alias}", operation_id = "put_model_alias",
    request_body = AliasTarget,
    responses(
        (status = 200, description = "The model, with the alias", body = ModelResponse),
        (status = 422, description = "The alias is no name, or there is no such version"),
    ))]
pub async fn put(
    app: AppState,
    Path((model, alias)): Path<(String, String)>,
    Json(target): Json<AliasTarget>,
) -> Result<axum::Json<ModelResponse>> {
    check_name(&alias).map_err(|e| Problem::field("/alias", e.to_string()))?;
    app.store.model(&model).await?;
    let (version, now) = (target.version, now_ms());
    let put = app.store.put_alias(&model, &alias, version, now).await;
    put.map_err(|error| match error {
        StoreError::NotFound(_) => {
            let rule = format!("model \"{model}\" has no version {version}");
            Problem::field("/version", rule)
        }
        error => error.into(),
    })?;
    let found = app.store.model(&model).await?;
    Ok(axum::Json(ModelResponse::of(found, &app.engine)))
}

/// Remove an alias
// Removes an alias; the version stays.
#[utoipa::path(delete, path = "/v1/models/{model}/aliases/{alias}", operation_id = "delete_model_alias",
    responses((status = 204, description = "Removed")))]
pub async fn delete(
    app: AppState,
    Path((model, alias)): Path<(String, String)>,
) -> Result<StatusCode> {
    let delete = || app.store.delete_alias(&model, &alias, now_ms());
    app.reserve.spend(delete).await?;
    Ok(StatusCode::NO_CONTENT)
}
