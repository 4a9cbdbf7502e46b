//! Errors as RFC 9457 problems, and the one table of their codes.

use std::borrow::Cow;
use std::fmt::Display;
use std::io;
use std::path::Path;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::telemetry::request_id;
use crate::artifacts::{WantOfRoom, room};
use crate::document::{FieldError, shortened};
use crate::inference::CallError;
use crate::store::StoreError;

/// The stable, machine-readable codes; docs/API.md lists them too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    Malformed,
    Unauthorized,
    Forbidden,
    ForeignHost,
    CrossOrigin,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    Conflict,
    IllegalTransition,
    TooLarge,
    UnsupportedMediaType,
    Invalid,
    IdempotencyMismatch,
    UnsupportedOperation,
    QueueFull,
    RateLimited,
    JobLimit,
    Unloaded,
    ShuttingDown,
    StorageUnavailable,
    DeadlinePassed,
    StorageFull,
    Damaged,
    BodyTooSlow,
    Internal,
}

impl Code {
    /// Status and title of each code.
    const fn row(self) -> (u16, &'static str) {
        match self {
            Self::Malformed => (400, "The request cannot be read"),
            Self::Unauthorized => (401, "An API key is needed"),
            Self::Forbidden => (403, "The API key does not allow this"),
            Self::ForeignHost => (403, "The service does not answer to this host"),
            Self::CrossOrigin => (403, "Pages of other origins may not change anything"),
            Self::NotFound => (404, "There is no such thing"),
            Self::MethodNotAllowed => (405, "The path does not take this method"),
            Self::NotAcceptable => (406, "The answer cannot be given in that form"),
            Self::BodyTooSlow => (408, "The body did not arrive in time"),
            Self::Conflict => (409, "It is taken or in use"),
            Self::IllegalTransition => (409, "The job's state does not allow this"),
            Self::TooLarge => (413, "The request is too large"),
            Self::UnsupportedMediaType => (415, "The content type is not read here"),
            Self::Invalid => (422, "The request is understood but invalid"),
            Self::IdempotencyMismatch => (422, "The idempotency key belongs to another request"),
            Self::UnsupportedOperation => (422, "The model does not offer this"),
            Self::QueueFull => (429, "The queue is full"),
            Self::RateLimited => (429, "The API key asks too often"),
            Self::JobLimit => (429, "The API key has as many jobs as it may"),
            Self::Internal => (500, "The service failed"),
            Self::Damaged => (500, "What is stored is damaged"),
            Self::Unloaded => (503, "The model is not loaded"),
            Self::ShuttingDown => (503, "The service is shutting down"),
            Self::StorageUnavailable => (503, "The data directory cannot be written to"),
            Self::DeadlinePassed => (504, "There was no answer in time"),
            Self::StorageFull => (507, "The disk is full"),
        }
    }
}

/// An error on its way to the client.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<u64>,
    allow: Option<HeaderValue>,
}

pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// The body of every error (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    #[serde(rename = "type")]
    #[schema(rename = "type", example = "about:blank")]
    kind: &'static str,
    #[schema(value_type = String)]
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: Code,
    /// The same text as `detail`, where Open Inference Protocol clients look for it.
    error: &'a str,
    request_id: Cow<'static, str>,
    /// The invalid fields.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schema(value_type = Vec<FieldError>, required = false)]
    errors: &'a [FieldError],
}

const MISPLACED: &str = "the data directory was removed or replaced under the service, which takes no writes until \
    its own is back in its place";

/// Bytes of a detail: room for many fields.
const MOST_DETAIL: usize = 8000;

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: shortened(detail.into(), MOST_DETAIL),
            errors: Vec::new(),
            retry_after: None,
            allow: None,
        }
    }

    pub fn code(&self) -> Code {
        self.code
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, detail)
    }

    /// The code as clients read it.
    pub fn word(code: Code) -> String {
        let word = serde_json::to_value(code).unwrap_or_default();
        word.as_str().unwrap_or_default().to_owned()
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Code::NotFound, detail)
    }

    /// One invalid field.
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError::new(pointer, detail)])
    }

    /// Several invalid fields; the detail names them all.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let said: Vec<String> = errors
            .iter()
            .map(|FieldError { pointer, detail }| {
                let name = pointer.trim_start_matches('/').replace('/', ".");
                format!("{name}: {detail}")
            })
            .collect();
        Self {
            errors,
            ..Self::new(Code::Invalid, said.join("; "))
        }
    }

    /// What a path may lack with a 404, a field lacks with a 422 that names it.
    #[must_use]
    pub fn at(self, pointer: &str) -> Self {
        match self.code {
            Code::NotFound => Self::field(pointer, self.detail),
            _ => self,
        }
    }

    /// The same, where the fields lie deeper in the document than those who refused them know.
    #[must_use]
    pub fn within(self, base: &str, fields: impl Fn(&str) -> bool) -> Self {
        self.moved(|pointer| fields(pointer).then(|| format!("{base}{pointer}")))
    }

    /// Fields elsewhere than where they were looked for.
    #[must_use]
    pub fn moved(mut self, to: impl Fn(&str) -> Option<String>) -> Self {
        for error in &mut self.errors {
            if let Some(pointer) = to(&error.pointer) {
                error.pointer = pointer;
            }
        }
        self
    }

    /// What went wrong is for the log alone.
    pub fn internal(reason: impl Display) -> Self {
        let id = request_id();
        tracing::error!(request_id = %id, %reason, "request failed");
        Self::new(
            Code::Internal,
            "something failed on the server's side; its log has the reason under this request id",
        )
    }

    /// A file could not be written or read.
    pub fn file(error: io::Error) -> Self {
        if error.is_full() {
            Self::storage_full()
        } else {
            Self::internal(error)
        }
    }

    /// A file in the data directory is not what was stored there. Only the operator can mend that.
    pub fn damaged(what: &str, reason: impl Display) -> Self {
        tracing::error!(request_id = %request_id(), %reason, "request failed");
        let detail =
            format!("{what} are damaged or missing on the server's disk; its log says which file");
        Self::new(Code::Damaged, detail)
    }

    /// How much is free is added where the answer leaves.
    pub fn storage_full() -> Self {
        Self::new(Code::StorageFull, "the disk is full")
    }

    /// The database cannot be reached now, and may be again.
    fn unavailable(reason: impl Display) -> Self {
        tracing::error!(request_id = %request_id(), %reason, "request failed");
        let detail = "the database cannot be opened; the server's log has the reason";
        Self::new(Code::StorageUnavailable, detail).retry_after(5)
    }

    pub fn with_allow(mut self, allow: Option<HeaderValue>) -> Self {
        self.allow = allow;
        self
    }

    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, title) = self.code.row();
        let body = ProblemBody {
            kind: "about:blank",
            title,
            status,
            detail: &self.detail,
            code: self.code,
            error: &self.detail,
            request_id: request_id(),
            errors: &self.errors,
        };
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let media_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (media_type, json).into_response();
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if self.code == Code::StorageFull {
            response.extensions_mut().insert(Full);
        }
        if let Some(seconds) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        if self.code == Code::Unauthorized {
            let ways = HeaderValue::from_static("Bearer realm=\"latentd\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, ways);
        }
        response.extensions_mut().insert(self.code);
        response
    }
}

/// The mark of a response that a full disk caused.
#[derive(Clone, Copy)]
struct Full;

/// The response, with what is free if a full disk caused it.
pub fn tell_room(mut response: Response, data_dir: &Path) -> Response {
    if response.extensions_mut().remove::<Full>().is_none() {
        return response;
    }
    let free = room::free(data_dir).unwrap_or_default();
    let detail = format!(
        "the disk is full: {free} bytes are free where the data directory is, of which {} are left for the database; \
         delete data sets, models or versions, or make room by other means",
        room::left_free(data_dir)
    );
    let mut told = Problem::new(Code::StorageFull, detail).into_response();
    told.extensions_mut().remove::<Full>();
    told
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::NotFound(_) => Self::not_found(text),
            StoreError::Conflict(_) => Self::new(Code::Conflict, text),
            StoreError::KeyJobs { .. } => Self::new(Code::JobLimit, text),
            StoreError::KeyBytes { .. } => Self::new(Code::TooLarge, text),
            StoreError::IdempotencyMismatch => Self::new(Code::IdempotencyMismatch, text),
            StoreError::QueueFull { .. } => Self::new(Code::QueueFull, text),
            StoreError::Transition(_) => Self::new(Code::IllegalTransition, text),
            StoreError::Misplaced => Self::new(Code::StorageUnavailable, MISPLACED),
            StoreError::Full(_) => Self::storage_full(),
            StoreError::Damaged(_) => Self::damaged("parts of the database", text),
            StoreError::Unavailable(_) => Self::unavailable(text),
            StoreError::LeaseLost
            | StoreError::Database(_)
            | StoreError::Migration(_)
            | StoreError::Corrupt(_) => Self::internal(text),
        }
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let text = error.to_string();
        match error {
            CallError::Unsupported { .. } | CallError::NoGraph(_) => {
                Self::new(Code::UnsupportedOperation, text)
            }
            CallError::Unfit(_) => Self::field("/weights", text),
            CallError::Option(bad) => Self::field(format!("/{}", bad.option), bad.detail),
            CallError::Width { .. } => Self::field("/inputs", text),
            CallError::NotFinite { field, .. } => Self::field(format!("/{field}"), text),
            CallError::Full {
                retry_after_seconds,
                ..
            } => Self::new(Code::QueueFull, text).retry_after(retry_after_seconds),
            CallError::Late => Self::new(Code::DeadlinePassed, text),
            CallError::Closed => Self::new(Code::ShuttingDown, text).retry_after(5),
            CallError::Damaged(_) => Self::damaged("the model's weights", text),
            CallError::Load(_) | CallError::Failed(_) => Self::internal(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_an_internal_error_is_not_for_clients() {
        let reason = || "/data/latentd.db: no such column".to_owned();
        let problems = [
            Problem::internal(reason()),
            StoreError::Corrupt(reason()).into(),
            CallError::Load(reason()).into(),
            CallError::Failed(reason()).into(),
            CallError::Damaged(reason()).into(),
        ];
        for problem in problems {
            assert_eq!(problem.code.row().0, 500);
            assert!(!problem.detail.contains("latentd.db"), "{}", problem.detail);
        }
    }
}
