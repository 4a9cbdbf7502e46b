//! What a verb is given: JSON `inputs` or `rows`, an npy array or a safetensors file, or one picture; options beside them.

use axum::extract::{FromRequestParts, Query as RawQuery, Request};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::{self, Document};
use crate::api::datasets::read_rows;
use crate::api::extract::{body_in_time, content_type, is_json};
use crate::api::problem::{Code, Problem, Result};
use crate::api::state::AppState;
use crate::data::{npy, picture, show_dims, tensors};
use crate::inference::Input;
use crate::store::{Dataset, StoreError};

/// Values in one request, at most: what a body of the greatest size could hold as f32.
pub const MOST_VALUES: usize = 64 << 20;
const MOST_PIXELS: u64 = 16 << 20;

/// Rows of a data set as input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RowsRef {
    /// Id or name.
    pub dataset: String,
    #[serde(default = "train")]
    #[schema(default = "train")]
    pub split: String,
    #[serde(default)]
    pub offset: u64,
    /// Rows. More than 4096 are streamed, and answered as `application/x-ndjson` or `application/x-npy`.
    /// Default 16.
    #[serde(default = "sixteen")]
    #[schema(minimum = 1, default = 16)]
    pub limit: u64,
}

fn train() -> String {
    "train".to_owned()
}

const fn sixteen() -> u64 {
    16
}

/// A verb's request: its rows, and the fields that are the verb's options.
#[derive(Debug, Default)]
pub struct VerbInput {
    pub input: Option<Input>,
    /// Rows of a data set, to be read by whoever answers.
    pub rows: Option<RowsRef>,
    pub options: Map<String, Value>,
}

/// Reads a request to a verb; `shape` is that of one row.
pub async fn read(app: &AppState, request: Request, shape: &[i64]) -> Result<VerbInput> {
    let (mut parts, body_stream) = request.into_parts();
    let query = query_options(&mut parts).await?;
    let media_type = content_type(&parts.headers);
    require_known(&parts.headers, media_type.as_deref())?;
    let bytes = body_in_time(Request::from_parts(parts, body_stream), app).await?;
    let shape: Vec<usize> = shape
        .iter()
        .map(|&d| usize::try_from(d).unwrap_or(0))
        .collect();
    match media_type.as_deref() {
        Some(kind) if is_json(kind) => from_json(&bytes, query),
        Some(kind @ ("application/x-npy" | "application/x-safetensors")) => {
            let read = if kind == "application/x-npy" {
                npy::decode_f32(&bytes, MOST_VALUES)
            } else {
                tensors::decode_f32(&bytes, "inputs", MOST_VALUES)
            };
            let (found, values) = read.map_err(|e| Problem::field("/inputs", e.to_string()))?;
            let rows = rows_of_array(&found, &shape)?;
            Ok(VerbInput {
                input: Some(Input {
                    rows,
                    values,
                    labels: None,
                }),
                rows: None,
                options: query,
            })
        }
        Some(_) => {
            let decode = move || picture::decode_image(&bytes, &shape, MOST_PIXELS);
            let decoded = tokio::task::spawn_blocking(decode)
                .await
                .map_err(|e| Problem::internal(&e))?;
            let values = decoded.map_err(|e| Problem::field("/inputs", e.to_string()))?;
            Ok(VerbInput {
                input: Some(Input {
                    rows: 1,
                    values,
                    labels: None,
                }),
                rows: None,
                options: query,
            })
        }
        None => Ok(VerbInput {
            input: None,
            rows: None,
            options: query,
        }),
    }
}

/// A body of an unknown type is refused before it is read. No body and no type is no input.
fn require_known(headers: &HeaderMap, media_type: Option<&str>) -> Result<()> {
    const KNOWN: [&str; 4] = [
        "application/x-npy",
        "application/x-safetensors",
        "image/png",
        "image/jpeg",
    ];
    match media_type {
        Some(kind) if is_json(kind) || KNOWN.contains(&kind) => Ok(()),
        None if headers.get("content-length").is_none_or(|n| n == "0")
            && !headers.contains_key("transfer-encoding") =>
        {
            Ok(())
        }
        found => {
            let found = found.unwrap_or("a body without a content type");
            let detail = format!("send application/json, {}, not {found}", KNOWN.join(", "));
            Err(Problem::new(Code::UnsupportedMediaType, detail))
        }
    }
}

/// `[rows, …]` from an array of any rank whose rows have the right number of values, or one bare row.
fn rows_of_array(found: &[usize], shape: &[usize]) -> Result<usize> {
    let needed: usize = shape.iter().product();
    if found == shape {
        return Ok(1);
    }
    match found.split_first() {
        Some((&rows, rest)) if rows > 0 && rest.iter().product::<usize>() == needed => Ok(rows),
        _ => Err(Problem::field(
            "/inputs",
            format!(
                "the array has shape {}; it needs {needed} values a row, as rows x {needed} or rows x {shape}, or one row as {shape}",
                show_dims(found),
                shape = show_dims(shape),
            ),
        )),
    }
}

fn from_json(bytes: &[u8], query: Map<String, Value>) -> Result<VerbInput> {
    let document: Document = body::read(bytes)?;
    let mut options = query;
    options.extend(document.options);
    if document.inputs.is_some() && document.rows.is_some() {
        return Err(Problem::field("/rows", "give either inputs or rows"));
    }
    if document.rows.as_ref().is_some_and(|rows| rows.limit == 0) {
        return Err(Problem::field("/rows/limit", "must be at least 1, got 0"));
    }
    let input = document.inputs.map(|flat| Input {
        rows: flat.rows,
        values: flat.values,
        labels: None,
    });
    Ok(VerbInput {
        input,
        rows: document.rows,
        options,
    })
}

/// The data set that rows are asked of.
pub async fn dataset_of(app: &AppState, rows: &RowsRef) -> Result<Dataset> {
    app.store.dataset(&rows.dataset).await.map_err(|e| match e {
        StoreError::NotFound(text) => {
            Problem::field("/rows/dataset", format!("there is no {text}"))
        }
        other => other.into(),
    })
}

pub async fn referred(app: &AppState, dataset: &Dataset, rows: &RowsRef) -> Result<Input> {
    let slice = read_rows(app, dataset, &rows.split, rows.offset, rows.limit, "/rows/").await?;
    Ok(Input {
        rows: slice.rows,
        values: slice.values,
        labels: slice.labels,
    })
}

/// Options of a body that has no room for them: `?layer=0`, nested ones as `corrupt.level=0.5`.
async fn query_options(parts: &mut axum::http::request::Parts) -> Result<Map<String, Value>> {
    let RawQuery(pairs) = RawQuery::<Vec<(String, String)>>::from_request_parts(parts, &())
        .await
        .map_err(|e| Problem::new(Code::Malformed, e.body_text()))?;
    nested(pairs.into_iter().map(|(key, text)| (key, from_text(text))))
}

/// An option written as text: JSON where it is some, else the text itself.
pub fn from_text(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// Options without room for objects in them: `corrupt.level` is `level` within `corrupt`.
pub fn nested(pairs: impl IntoIterator<Item = (String, Value)>) -> Result<Map<String, Value>> {
    let mut options = Map::new();
    for (key, value) in pairs {
        let earlier = match key.split_once('.') {
            None => options.insert(key.clone(), value),
            Some((outer, inner)) => {
                let nested = options
                    .entry(outer)
                    .or_insert_with(|| Value::Object(Map::new()));
                match nested.as_object_mut() {
                    Some(nested) => nested.insert(inner.to_owned(), value),
                    None => Some(Value::Null),
                }
            }
        };
        if earlier.is_some() {
            return Err(Problem::field(format!("/{key}"), "is given twice"));
        }
    }
    Ok(options)
}
