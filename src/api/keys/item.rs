//! `GET /v1/keys` and `GET|DELETE /v1/keys/{key}`.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;

use super::KeyResponse;
use crate::api::extract::Query;
use crate::api::problem::{Problem, Result};
use crate::api::responses::{List, Listed, PageQuery};
use crate::api::state::AppState;
use crate::keys::Key;

/// List API keys
#[utoipa::path(get, path = "/v1/keys", operation_id = "list_keys",
    params(PageQuery),
    responses((status = 200, description = "A page, without secrets", body = List<KeyResponse>)))]
pub async fn list(app: AppState, Query(query): Query<PageQuery>) -> Listed<KeyResponse> {
    let (limit, after) = query.bounds()?;
    app.access.keyring.note_use(&app.store).await?;
    let page = app.store.list_keys(limit, after).await?;
    Ok(List::page(page, KeyResponse::from, |key| key.id.clone()))
}

/// Get an API key
#[utoipa::path(get, path = "/v1/keys/{key}", operation_id = "get_key",
    responses((status = 200, description = "The key, without its secret", body = KeyResponse)))]
pub async fn get(app: AppState, Path(key): Path<String>) -> Result<Json<KeyResponse>> {
    app.access.keyring.note_use(&app.store).await?;
    Ok(Json(app.store.key(&key).await?.into()))
}

/// Revoke an API key
// It is refused from now on. What was made with it stays.
#[utoipa::path(delete, path = "/v1/keys/{key}", operation_id = "revoke_key",
    responses(
        (status = 204, description = "Revoked"),
        (status = 403, description = "It goes beyond the key that asks"),
    ))]
pub async fn delete(app: AppState, Path(key): Path<String>) -> Result<StatusCode> {
    let found = app.store.key(&key).await?;
    require_covered(&app, &found)?;
    app.store.delete_key(&found.id).await?;
    app.access.keyring.reload(&app.store).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A key cannot take away from another what it has not itself.
fn require_covered(app: &AppState, found: &Key) -> Result<()> {
    match app.caller.key() {
        Some(asking) if asking.id != found.id && asking.grant.covers(&found.grant).is_err() => {
            let text = "the key goes beyond the one that asks";
            Err(Problem::forbidden(text))
        }
        _ => Ok(()),
    }
}
