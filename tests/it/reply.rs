//! An answer of the service, and what every answer must be.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// A whole answer: read to its end, so that it can be looked at more than once.
#[derive(Debug)]
pub struct Reply {
    /// The request, for messages.
    pub asked: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body)
            .chars()
            .take(2000)
            .collect()
    }

    pub fn whole_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    #[track_caller]
    pub fn expect(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.asked, self.text()))
    }

    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub fn ok(&self, status: u16) -> Value {
        self.expect(status).json()
    }

    /// A problem of this status and code, complete as RFC 9457 and the contract have it.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let asked = &self.asked;
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{asked}: {}",
            self.text()
        );
        let problem = self.ok(status);
        assert_eq!(problem["code"], code, "{asked}: {problem}");
        assert_eq!(problem["status"], status, "{asked}");
        assert_eq!(problem["error"], problem["detail"], "{asked}");
        assert_eq!(
            problem["request_id"],
            self.header("x-request-id"),
            "{asked}"
        );
        for text in ["type", "title", "detail", "request_id"] {
            assert!(
                problem[text].as_str().is_some_and(|t| !t.is_empty()),
                "{asked}: no {text}: {problem}"
            );
        }
        problem
    }

    /// A 422 that points at this field.
    #[track_caller]
    pub fn invalid(&self, pointer: &str) -> Value {
        let problem = self.problem(422, "invalid");
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        assert!(
            errors.iter().any(|e| e["pointer"] == pointer),
            "{}: no error at {pointer}: {problem}",
            self.asked
        );
        problem
    }

    /// Whether the detail of a problem says this.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        let problem = self.json();
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains(text),
            "{}: {detail:?} does not say {text:?}",
            self.asked
        );
        self
    }
}
