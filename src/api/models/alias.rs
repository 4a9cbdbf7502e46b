//! `PUT|DELETE /v1/models/{model}/aliases/{alias}`.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Model;
use crate::api::extract::Json;
use crate::api::problem::{Problem, ProblemBody, Result};
use crate::api::state::AppState;
use crate::jobs::check_name;
use crate::store::StoreError;

/// Where an alias points.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AliasTarget {
    #[schema(minimum = 1)]
    pub version: i64,
}

/// Points an alias at a version, moving it if it exists.
#[utoipa::path(put, path = "/v1/models/{model}/aliases/{alias}", operation_id = "put_model_alias", tag = "models", summary = "Point an alias at a version",
    params(("model" = String, Path, description = "Name"), ("alias" = String, Path)),
    request_body = AliasTarget,
    responses(
        (status = 200, description = "The model, with the alias", body = Model),
        (status = 404, description = "There is no such model", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The alias is no name, or there is no such version", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub async fn put(
    State(app): State<AppState>,
    Path((model, alias)): Path<(String, String)>,
    Json(target): Json<AliasTarget>,
) -> Result<axum::Json<Model>> {
    check_name(&alias).map_err(|e| Problem::field("/alias", e.to_string()))?;
    app.store.model(&model).await?;
    match app.store.put_alias(&model, &alias, target.version).await {
        Ok(()) => Ok(axum::Json(app.store.model(&model).await?.into())),
        Err(StoreError::NotFound(_)) => Err(Problem::field(
            "/version",
            format!("model \"{model}\" has no version {}", target.version),
        )),
        Err(error) => Err(error.into()),
    }
}

/// Removes an alias; the version stays.
#[utoipa::path(delete, path = "/v1/models/{model}/aliases/{alias}", operation_id = "delete_model_alias", tag = "models", summary = "Remove an alias",
    params(("model" = String, Path, description = "Name"), ("alias" = String, Path)),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "There is none", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub async fn delete(
    State(app): State<AppState>,
    Path((model, alias)): Path<(String, String)>,
) -> Result<StatusCode> {
    app.store.delete_alias(&model, &alias).await?;
    Ok(StatusCode::NO_CONTENT)
}
