//! `GET /v1/models/{model}/versions/{version}/export`.

use std::fs::File;

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::once;
use tokio_util::io::ReaderStream;

use super::version::find;
use super::{Binary, attachment, unreadable};
use crate::api::problem::{Code, Problem, Result};
use crate::api::responses::rfc3339;
use crate::api::state::{AppState, blocking};
use crate::artifacts::ArtifactError;
use crate::artifacts::bundle::{Bundle, Sum};
use crate::nn::model::DataFacts;
use crate::spec::Manifest;
use crate::spec::manifest::FORMAT_VERSION;
use crate::store::ModelVersion;

/// Export a model version
// A version with all that another server needs to answer for it: a ZIP archive of `manifest.json` and
// `model.safetensors`.
#[utoipa::path(get, path = "/v1/models/{model}/versions/{version}/export", operation_id = "export_model",
    responses(
        (status = 200, description = "A ZIP archive", body = Binary, content_type = "application/zip"),
        (status = 422, description = "The weights are too large for a bundle"),
    ))]
pub async fn export(
    app: AppState,
    Path((model, version)): Path<(String, String)>,
) -> Result<Response> {
    let found = find(&app, model, &version).await?;
    let name = format!("{}-{}.zip", found.name, found.version);
    let (file, sum) = weighed(&app, &found.sha256).await?;
    let manifest = serde_json::to_vec_pretty(&manifest(found)?).map_err(Problem::internal)?;
    let Some(Bundle { head, tail }) = Bundle::around(&manifest, &sum) else {
        let detail = "the weights are too large for a bundle; download them from …/content";
        return Err(Problem::new(Code::UnsupportedOperation, detail));
    };
    let length = head.len() as u64 + sum.bytes + tail.len() as u64;
    let part = |bytes: Vec<u8>| once(async { Ok::<_, std::io::Error>(Bytes::from(bytes)) });
    let whole = part(head).chain(ReaderStream::new(file)).chain(part(tail));
    let mut headers = attachment(&name, length)?;
    let zip = HeaderValue::from_static("application/zip");
    headers.insert(header::CONTENT_TYPE, zip);
    Ok((headers, Body::from_stream(whole)).into_response())
}

/// The weights, and what the archive says of them. They are read through first, so that damage is seen
/// before anything is sent.
async fn weighed(app: &AppState, sha256: &str) -> Result<(tokio::fs::File, Sum)> {
    let path = app.artifacts.path(sha256);
    let read = move || Ok((File::open(&path)?, Sum::of(&path)?));
    let error = match blocking(read).await? {
        Ok((file, sum)) if sum.sha256 == sha256 => {
            return Ok((tokio::fs::File::from_std(file), sum));
        }
        Ok((_, sum)) => ArtifactError::Damaged {
            sha256: sha256.to_owned(),
            found: sum.sha256,
        },
        Err(source) => ArtifactError::Io {
            sha256: sha256.to_owned(),
            source,
        },
    };
    Err(unreadable(app, sha256, error).await)
}

fn manifest(version: ModelVersion) -> Result<Manifest> {
    let facts: DataFacts = serde_json::from_value(version.data).map_err(Problem::internal)?;
    Ok(Manifest {
        format_version: FORMAT_VERSION,
        name: Some(version.name),
        version: Some(version.version),
        kind: version.kind,
        spec: version.spec,
        data: facts.into(),
        input_shape: Some(version.input_shape),
        code_shape: version.code_shape,
        parameters: Some(version.parameters),
        sha256: version.sha256,
        metrics: version.metrics,
        provenance: version.provenance,
        created_at: Some(rfc3339(version.created_at)),
    })
}
