//! `/v1/models`.

pub mod alias;
pub mod answer;
pub mod beside;
pub mod body;
pub mod export;
pub mod filters;
pub mod import;
pub mod item;
pub mod nesting;
pub mod onnx;
mod operations;
pub mod render;
pub mod request;
pub mod residence;
pub mod resolve;
pub mod rows;
pub mod scan;
pub mod shape;
pub mod size;
pub mod stream;
pub mod verbs;
pub mod version;

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_util::io::ReaderStream;
use utoipa::ToSchema;

use super::problem::{Problem, Result};
use super::responses::{made, rfc3339};
use super::state::{AppState, blocking};
use crate::artifacts::ArtifactError;
use crate::document::Warning;
use crate::inference::Engine;
use crate::spec::{InitFrom, ModelSpec};
use crate::store;
use crate::train::Training;

/// Bytes, in the OpenAPI document.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Binary(#[expect(dead_code, reason = "only the schema is used")] Vec<u8>);

/// A name of the registry with its versions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Model)]
pub struct ModelResponse {
    pub name: String,
    /// Version number by alias.
    pub aliases: BTreeMap<String, i64>,
    /// Newest first.
    pub versions: Vec<ModelVersionResponse>,
}

/// A published model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelVersion)]
pub struct ModelVersionResponse {
    pub name: String,
    pub version: i64,
    /// The family.
    pub kind: String,
    pub spec: ModelSpec,
    /// The job that trained it; null if it was imported.
    pub job: Option<String>,
    /// The data set it was trained on; null if it was imported.
    pub dataset: Option<String>,
    /// Shape of one input row.
    pub input_shape: Vec<i64>,
    /// The words that the classes stand for, in the order of their codes, if it was trained on labels in words.
    pub label_names: Option<Vec<String>>,
    /// Shape of one code, for models that have one.
    pub code_shape: Option<Vec<i64>>,
    /// Weights and biases.
    pub parameters: i64,
    /// The verbs it answers.
    pub capabilities: Vec<String>,
    #[schema(value_type = std::collections::HashMap<String, f64>)]
    pub metrics: Value,
    pub bytes: i64,
    pub sha256: String,
    /// Whether it is in memory; if not, the first request for it loads it.
    pub loaded: bool,
    /// How it was made; of a version of an older release or from elsewhere, what is known of that.
    #[schema(value_type = Provenance)]
    pub provenance: Value,
    /// What its job was told, and found, that may not be what was meant.
    pub warnings: Vec<Warning>,
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// How a version was made. It stays with the version, and leaves with its export, whatever becomes of its job.
#[derive(Debug, Serialize, ToSchema)]
pub struct Provenance {
    /// The settings, seed included.
    #[schema(value_type = Option<Training>)]
    training: Option<Value>,
    /// Whose weights it started from.
    #[schema(value_type = Option<InitFrom>)]
    init_from: Option<Value>,
    /// Of the data set's files.
    dataset_sha256: Option<String>,
    /// The job's.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    latentd_version: Option<String>,
    libtorch_version: Option<String>,
}

impl ModelVersionResponse {
    pub fn of(v: store::ModelVersion, engine: &Engine) -> Self {
        Self {
            loaded: engine.is_loaded(&v.name, v.version),
            name: v.name,
            version: v.version,
            kind: v.kind,
            spec: ModelSpec(v.spec),
            job: v.job_id,
            dataset: v.dataset,
            input_shape: v.input_shape,
            label_names: v.data.get("label_names").and_then(names),
            code_shape: v.code_shape,
            parameters: v.parameters,
            capabilities: v.capabilities,
            metrics: Value::Object(v.metrics),
            bytes: v.bytes,
            sha256: v.sha256,
            warnings: v
                .provenance
                .get("warnings")
                .and_then(warnings)
                .unwrap_or_default(),
            provenance: without_warnings(v.provenance),
            created_at: rfc3339(v.created_at),
        }
    }
}

/// The words in a stored list.
fn names(list: &Value) -> Option<Vec<String>> {
    serde_json::from_value(list.clone()).ok()
}

fn warnings(list: &Value) -> Option<Vec<Warning>> {
    serde_json::from_value(list.clone()).ok()
}

/// They stand beside it.
fn without_warnings(mut provenance: Map<String, Value>) -> Value {
    provenance.shift_remove("warnings");
    provenance.into()
}

/// A version was published.
pub fn published(app: &AppState, version: store::ModelVersion) -> Result<Response> {
    let path = format!("/v1/models/{}/versions/{}", version.name, version.version);
    let version = ModelVersionResponse::of(version, &app.engine);
    made(StatusCode::CREATED, &path, version)
}

impl ModelResponse {
    pub fn of(model: store::Model, engine: &Engine) -> Self {
        let versions = model.versions.into_iter();
        Self {
            name: model.name,
            aliases: model.aliases,
            versions: versions
                .map(|v| ModelVersionResponse::of(v, engine))
                .collect(),
        }
    }
}

/// Streams an artifact.
pub async fn download(app: &AppState, sha256: &str, name: &str) -> Result<Response> {
    let file = opened(app, sha256).await?;
    let bytes = file.metadata().await.map_err(Problem::internal)?.len();
    let mut headers = attachment(name, bytes)?;
    let etag = HeaderValue::from_str(&format!("\"{sha256}\"")).map_err(Problem::internal)?;
    headers.insert(header::ETAG, etag);
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}

/// The file of an artifact. It is read through first, so that damage is seen before anything is sent.
async fn opened(app: &AppState, sha256: &str) -> Result<tokio::fs::File> {
    let (artifacts, digest) = (app.artifacts.clone(), sha256.to_owned());
    match blocking(move || artifacts.open_checked(&digest)).await? {
        Ok(file) => Ok(tokio::fs::File::from_std(file)),
        Err(error) => Err(unreadable(app, sha256, error).await),
    }
}

/// Why an artifact cannot be read.
pub async fn unreadable(app: &AppState, sha256: &str, error: ArtifactError) -> Problem {
    if !error.is_damage() {
        return Problem::internal(error);
    }
    match app.store.is_artifact_named(sha256).await {
        Ok(true) => Problem::damaged("the bytes of this file", error),
        Ok(false) => Problem::not_found("it was deleted meanwhile"),
        Err(error) => error.into(),
    }
}

/// The headers of a file that is to be saved under this name.
fn attachment(name: &str, bytes: u64) -> Result<HeaderMap> {
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
        .map_err(Problem::internal)?;
    let octets = HeaderValue::from_static("application/octet-stream");
    Ok(HeaderMap::from_iter([
        (header::CONTENT_TYPE, octets),
        (header::CONTENT_LENGTH, bytes.into()),
        (header::CONTENT_DISPOSITION, disposition),
    ]))
}
