//! `GET /v1/audit`.

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::extract::{Form, Query, negotiate};
use crate::api::problem::{Problem, Result};
use crate::api::responses::{List, page_limit, rfc3339};
use crate::api::state::AppState;
use crate::store::AuditRow;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Lines on the page, from 1 to 1000. Default 20.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// The `last_id` of the page before.
    #[param(minimum = 1)]
    pub after: Option<i64>,
}

/// Who did what to what, when, and with which result.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    pub id: i64,
    #[schema(format = DateTime)]
    pub at: String,
    /// The key that asked; null where none was known.
    pub key_id: Option<String>,
    pub key_name: Option<String>,
    /// Where from.
    pub address: Option<String>,
    pub request_id: String,
    /// What was asked, as this document names it; empty where there is no such operation.
    pub operation: String,
    /// The path.
    pub object: Option<String>,
    pub status: i64,
    /// Of the problem, if it was refused.
    pub code: Option<String>,
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id,
            at: rfc3339(row.at),
            key_id: row.key_id,
            key_name: row.key_name,
            address: row.address,
            request_id: row.request_id,
            operation: row.operation,
            object: row.object,
            status: row.status,
            code: row.code,
        }
    }
}

/// Read the audit log
// Newest first, as a page or as one line of JSON each. What changed something and what was refused to a key is in it,
// for as long as `--keep-audit-days` says, since keys are asked for.
#[utoipa::path(get, path = "/v1/audit", operation_id = "list_audit",
    params(AuditQuery),
    responses((status = 200, description = "A page",
        content((List<AuditEntry> = "application/json"), (String = "application/x-ndjson")))))]
pub async fn audit(
    app: AppState,
    headers: HeaderMap,
    Query(query): Query<AuditQuery>,
) -> Result<Response> {
    let form = negotiate(&headers, &[Form::Json, Form::JsonLines])?;
    let limit = page_limit(query.limit, 1000)?;
    let page = app.store.list_audit(limit, query.after).await?;
    let entries: Vec<AuditEntry> = page.items.into_iter().map(AuditEntry::from).collect();
    if form == Form::Json {
        let list = List::of(entries, page.has_more, |entry| entry.id.to_string());
        return Ok(axum::Json(list).into_response());
    }
    let mut lines = Vec::new();
    for entry in &entries {
        serde_json::to_writer(&mut lines, entry).map_err(Problem::internal)?;
        lines.push(b'\n');
    }
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, lines).into_response())
}
