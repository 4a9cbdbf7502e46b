//! What is written to the audit log: what changed something or was to, and what was refused to a key or for the lack
//! of one.

use axum::http::StatusCode;

use super::check::Admitted;
use crate::api::problem::{Code, Problem};
use crate::api::state::AppState;
use crate::api::telemetry::request_id;
use crate::clock::now_ms;
use crate::store::AuditRow;

/// Writes a line before the answer leaves, where one is due. A line that cannot be written is told in the log: what it
/// tells of has been done.
pub async fn record(app: &AppState, admitted: &Admitted, status: StatusCode, code: Option<Code>) {
    let Some(object) = &admitted.object else {
        return;
    };
    let (keyring, key) = (&app.access.keyring, admitted.caller.key());
    let due = match code {
        // Of refusals only so many, since anybody can cause them.
        Some(Code::Unauthorized | Code::Forbidden) => keyring.notes_refusal(key),
        Some(Code::RateLimited) => false,
        Some(_) => admitted.changes && keyring.notes_refusal(key),
        None => admitted.changes,
    };
    if !due {
        return;
    }
    let row = AuditRow {
        id: 0,
        at: now_ms(),
        key_id: key.map(|key| key.id.clone()),
        key_name: key.map(|key| key.name.clone()),
        address: admitted.address.map(|address| address.to_string()),
        request_id: request_id().into_owned(),
        operation: admitted.operation.clone().unwrap_or_default(),
        object: Some(object.clone()),
        status: status.as_u16().into(),
        code: code.map(Problem::word),
    };
    if let Err(error) = app.store.insert_audit(&row).await {
        tracing::error!(%error, operation = %row.operation, object = %object, "not written to the audit log");
    }
}
