//! Errors as RFC 9457 problems, and the one table of their codes.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::telemetry::request_id;
use crate::document::{FieldError, shortened};
use crate::inference::CallError;
use crate::store::StoreError;

/// The stable, machine-readable codes; docs/API.md lists them too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    Malformed,
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
    Unloaded,
    ShuttingDown,
    DeadlinePassed,
    BodyTooSlow,
    Internal,
}

impl Code {
    /// Status and title of each code.
    const fn row(self) -> (StatusCode, &'static str) {
        match self {
            Self::Malformed => (StatusCode::BAD_REQUEST, "The request cannot be read"),
            Self::NotFound => (StatusCode::NOT_FOUND, "There is no such thing"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "The path does not take this method",
            ),
            Self::NotAcceptable => (
                StatusCode::NOT_ACCEPTABLE,
                "The answer cannot be given in that form",
            ),
            Self::Conflict => (StatusCode::CONFLICT, "It is taken or in use"),
            Self::IllegalTransition => {
                (StatusCode::CONFLICT, "The job's state does not allow this")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The content type is not read here",
            ),
            Self::Invalid => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "The request is understood but invalid",
            ),
            Self::IdempotencyMismatch => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "The idempotency key belongs to another request",
            ),
            Self::UnsupportedOperation => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "The model does not offer this",
            ),
            Self::QueueFull => (StatusCode::TOO_MANY_REQUESTS, "The queue is full"),
            Self::Unloaded => (StatusCode::SERVICE_UNAVAILABLE, "The model is not loaded"),
            Self::ShuttingDown => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The service is shutting down",
            ),
            Self::DeadlinePassed => (StatusCode::GATEWAY_TIMEOUT, "There was no answer in time"),
            Self::BodyTooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "The body did not arrive in time",
            ),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "The service failed"),
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

    /// One invalid field.
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError::new(pointer, detail)])
    }

    /// Several invalid fields; the detail names them all.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let said: Vec<String> = errors
            .iter()
            .map(|e| {
                format!(
                    "{}: {}",
                    e.pointer.trim_start_matches('/').replace('/', "."),
                    e.detail
                )
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
    pub fn internal(reason: &dyn std::fmt::Display) -> Self {
        let id = request_id();
        tracing::error!(request_id = %id, %reason, "request failed");
        Self::new(
            Code::Internal,
            "something failed on the server's side; its log has the reason under this request id",
        )
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
            status: status.as_u16(),
            detail: &self.detail,
            code: self.code,
            error: &self.detail,
            request_id: request_id(),
            errors: &self.errors,
        };
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (
            status,
            [(header::CONTENT_TYPE, "application/problem+json")],
            json,
        )
            .into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::NotFound(_) => Self::new(Code::NotFound, text),
            StoreError::Conflict(_) => Self::new(Code::Conflict, text),
            StoreError::IdempotencyMismatch => Self::new(Code::IdempotencyMismatch, text),
            StoreError::QueueFull { .. } => Self::new(Code::QueueFull, text),
            StoreError::Transition(_) => Self::new(Code::IllegalTransition, text),
            StoreError::LeaseLost
            | StoreError::Database(_)
            | StoreError::Migration(_)
            | StoreError::Corrupt(_) => Self::internal(&text),
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
            CallError::Load(_) | CallError::Failed(_) => Self::internal(&text),
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
            Problem::internal(&reason()),
            StoreError::Corrupt(reason()).into(),
            CallError::Load(reason()).into(),
            CallError::Failed(reason()).into(),
        ];
        for problem in problems {
            assert_eq!(problem.code.row().0, StatusCode::INTERNAL_SERVER_ERROR);
            assert!(!problem.detail.contains("latentd.db"), "{}", problem.detail);
        }
    }
}
