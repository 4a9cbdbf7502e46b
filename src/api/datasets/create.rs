//! `POST /v1/datasets`.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DatasetResponse, import, upload};
use crate::api::body;
use crate::api::extract::{content_type, is_json, parse_json};
use crate::api::form::Form;
use crate::api::problem::{Code, Problem, Result};
use crate::api::responses::made;
use crate::api::state::AppState;
use crate::jobs::check_name;

/// The embedded data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Builtin {
    /// UCI optical digits, 8x8 (Alpaydin and Kaynak, 1998; CC BY 4.0).
    Digits,
}

/// A data set that comes with the program.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BuiltinDataset {
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", example = "digits")]
    pub name: String,
    #[schema(inline)]
    pub builtin: Builtin,
}

/// The parts of an upload. Formats are told by content: IDX, NPY, NPZ and CSV, each also gzipped.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the multipart form; `upload` reads it part by part"
)]
pub struct DatasetUpload {
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    name: String,
    #[schema(value_type = String, format = Binary)]
    train: Vec<u8>,
    #[schema(value_type = Option<String>, format = Binary)]
    train_labels: Option<Vec<u8>>,
    /// Numbers to regress on, one for each row.
    #[schema(value_type = Option<String>, format = Binary)]
    train_targets: Option<Vec<u8>>,
    #[schema(value_type = Option<String>, format = Binary)]
    test: Option<Vec<u8>>,
    #[schema(value_type = Option<String>, format = Binary)]
    test_labels: Option<Vec<u8>>,
    #[schema(value_type = Option<String>, format = Binary)]
    test_targets: Option<Vec<u8>>,
    /// Shape of one row, for example `1,28,28`.
    shape: Option<String>,
    /// The CSV column that holds the labels: its name, or its number from 0 (negative: from the end).
    label_column: Option<String>,
    /// The CSV column that holds the targets, numbers to regress on; named like `label_column`.
    target_column: Option<String>,
    /// Whether line 1 of every CSV file is a header: `auto` (the default: it is where a cell is not a number), `yes`
    /// or `no`.
    #[schema(pattern = "^(auto|yes|no)$")]
    header: Option<String>,
    /// What separates the cells of every CSV file: `auto` (the default: `,`, `;` or tab, as the first lines tell) or
    /// the character (`\\t` for a tab).
    delimiter: Option<String>,
    /// `dense`, the default.
    #[schema(pattern = "^dense$")]
    kind: Option<String>,
}

/// Add a data set
// Adds a data set: files as `multipart/form-data`, or an embedded one by name as JSON.
#[utoipa::path(post, path = "/v1/datasets", operation_id = "create_dataset",
    request_body(content((DatasetUpload = "multipart/form-data"), (BuiltinDataset = "application/json"))),
    responses(
        (status = 201, description = "Added", body = DatasetResponse),
        (status = 400, description = "The form or JSON cannot be read"),
        (status = 409, description = "The name is taken"),
        (status = 413, description = "Larger than this server takes"),
        (status = 415, description = "Neither a form nor JSON"),
        (status = 422, description = "A part is missing, unknown, or not what it should be"),
    ))]
pub async fn create(app: AppState, request: Request) -> Result<Response> {
    let dataset = match content_type(request.headers()).as_deref() {
        Some("multipart/form-data") => {
            let form = Form::of(&app, request).await?;
            let received = upload::receive(&app, form).await?;
            import::add(&app, received).await?
        }
        Some(kind) if is_json(kind) => {
            let wanted: BuiltinDataset = parse_json(&body::document(&app, request).await?)?;
            check_name(&wanted.name).map_err(|e| Problem::field("/name", e.to_string()))?;
            app.caller.require_dataset(&wanted.name)?;
            import::add_builtin(&app, &wanted).await?
        }
        _ => {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "send the files as multipart/form-data, or {\"name\", \"builtin\"} as application/json",
            ));
        }
    };
    let path = format!("/v1/datasets/{}", dataset.id);
    made(StatusCode::CREATED, &path, DatasetResponse::from(dataset))
}
