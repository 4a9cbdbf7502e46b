//! `GET /v1/keys/me`.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::KeyResponse;
use crate::api::problem::{Problem, Result};
use crate::api::state::AppState;

/// What a key may do, and what it uses of its limits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyUse)]
pub struct KeyUseResponse {
    #[serde(flatten)]
    pub key: KeyResponse,
    pub usage: Usage,
}

/// What is used of the limits. The headers `RateLimit-*` tell of the rate.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyUsage)]
pub struct Usage {
    /// Jobs that wait or run.
    pub jobs: i64,
    /// Bytes of the data sets that were uploaded with it.
    pub stored_bytes: i64,
}

/// What this key may do
// What the key that asks may do, and what is left of its limits.
#[utoipa::path(get, path = "/v1/keys/me", operation_id = "get_own_key",
    responses(
        (status = 200, description = "The key, without its secret", body = KeyUseResponse),
        (status = 404, description = "No keys are asked for here"),
    ))]
pub async fn me(app: AppState) -> Result<Json<KeyUseResponse>> {
    let Some(key) = app.caller.key() else {
        let text = "no keys are asked for here: anybody may do everything";
        return Err(Problem::not_found(text));
    };
    let usage = Usage {
        jobs: app.store.open_jobs_of_key(&key.id).await?,
        stored_bytes: app.store.bytes_of_key(&key.id).await?,
    };
    let key = key.clone().into();
    Ok(Json(KeyUseResponse { key, usage }))
}
