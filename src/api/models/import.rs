//! `POST /v1/models`: a version from another server. Everything is checked before anything is kept.

mod take_in;
mod upload;

use axum::extract::Request;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ModelVersionResponse, published};
use crate::api::extract::content_type;
use crate::api::form::Form;
use crate::api::problem::{Code, Problem, Result};
use crate::api::state::AppState;

/// The parts of an import: `bundle`, or `weights` and `manifest`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the multipart form; `upload` reads it part by part"
)]
pub struct ModelUpload {
    /// What `…/export` gives.
    #[schema(value_type = Option<String>, format = Binary)]
    bundle: Option<Vec<u8>>,
    /// safetensors.
    #[schema(value_type = Option<String>, format = Binary)]
    weights: Option<Vec<u8>>,
    /// JSON, as a bundle's `manifest.json`.
    #[schema(value_type = Option<String>, format = Binary)]
    manifest: Option<Vec<u8>>,
    /// The name to publish it under, in place of the manifest's.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    name: Option<String>,
}

/// Import a model version
// Takes in a model version, as the next of its name. It answers what it answers where it comes from.
#[utoipa::path(post, path = "/v1/models", operation_id = "import_model",
    request_body(content((ModelUpload = "multipart/form-data"))),
    responses(
        (status = 201, description = "Published", body = ModelVersionResponse),
        (status = 400, description = "The form cannot be read"),
        (status = 413, description = "Larger than this server takes"),
        (status = 415, description = "Not a form"),
        (status = 422, description = "A part is missing, unknown, or not what it should be"),
        (status = 429, description = "Too many requests wait"),
    ))]
pub async fn import(app: AppState, request: Request) -> Result<Response> {
    if content_type(request.headers()).as_deref() != Some("multipart/form-data") {
        let detail = "send a bundle, or weights and manifest, as multipart/form-data";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let form = Form::of(&app, request).await?;
    let received = upload::receive(&app, form).await?;
    let version = take_in::publish(&app, received).await?;
    published(&app, version)
}
