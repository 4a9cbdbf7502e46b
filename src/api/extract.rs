//! Extractors whose refusals are problems: JSON bodies, query strings, what the client accepts.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::body;
use super::problem::{Code, Problem, Result};
use super::state::AppState;
use crate::document::{self, FieldError, Strict};

/// A JSON body; also answers to `application/*+json`.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &AppState) -> Result<Self> {
        require_json(request.headers())?;
        Ok(Self(parse_json(&body::document(app, request).await?)?))
    }
}

/// The media type of the body, without parameters.
pub fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(
        value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase(),
    )
}

pub fn is_json(media_type: &str) -> bool {
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

fn require_json(headers: &HeaderMap) -> Result<()> {
    match content_type(headers) {
        Some(kind) if is_json(&kind) => Ok(()),
        found => Err(Problem::new(
            Code::UnsupportedMediaType,
            format!(
                "send application/json, not {}",
                found.as_deref().unwrap_or("a body without a content type")
            ),
        )),
    }
}

/// Reads JSON: bytes that are not JSON are malformed, JSON of the wrong shape is invalid.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(Strict(&mut reader)).map_err(|error| {
        let pointer = document::pointer(error.path());
        let inner = error.into_inner();
        if inner.is_data() {
            Problem::fields(vec![FieldError::new(pointer, inner.to_string())])
        } else {
            Problem::new(Code::Malformed, format!("the body is not JSON: {inner}"))
        }
    })?;
    reader
        .end()
        .map_err(|e| Problem::new(Code::Malformed, format!("the body is not JSON: {e}")))?;
    Ok(value)
}

/// The query string; parameters it does not know are refused.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(query_problem(&rejection.body_text())),
        }
    }
}

fn query_problem(text: &str) -> Problem {
    let detail = text.trim_start_matches("Failed to deserialize query string: ");
    // "field: reason" where serde could name the parameter, "unknown field `x`, …" where it is unknown.
    let named = detail.split_once(": ").map(|(field, _)| field.to_owned());
    let unknown = detail
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split('`').next());
    let field = unknown.map(str::to_owned).or(named).unwrap_or_default();
    Problem::field(format!("/{field}"), format!("query parameter: {detail}"))
}

/// A number in the path that tells one of `things` from others.
pub fn number_in_path(thing: &str, text: &str) -> Result<i64> {
    let rule = || format!("there is no {thing} \"{text}\"; {thing}s have numbers");
    text.parse().map_err(|_| Problem::not_found(rule()))
}

/// A number of the query string within its bounds.
pub fn require_within(name: &str, value: u64, most: u64) -> Result<()> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    let rule = format!("query parameter: must be between 1 and {most}");
    Err(Problem::field(format!("/{name}"), rule))
}

/// What the answer of a verb is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Json,
    Npy,
    Safetensors,
    Png,
    JsonLines,
    EventStream,
}

impl Form {
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Npy => "application/x-npy",
            Self::Safetensors => "application/x-safetensors",
            Self::Png => "image/png",
            Self::JsonLines => "application/x-ndjson",
            Self::EventStream => "text/event-stream",
        }
    }
}

/// The form the client likes best among those on offer; the first is the default.
pub fn negotiate(headers: &HeaderMap, offered: &[Form]) -> Result<Form> {
    let mut wanted: Vec<(f32, String)> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(weighted)
        .filter(|(weight, _)| *weight > 0.0)
        .collect();
    if wanted.is_empty() && !headers.contains_key(header::ACCEPT) {
        return Ok(offered[0]);
    }
    // A stable sort keeps the client's order among equals.
    wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, range) in &wanted {
        if let Some(form) = offered
            .iter()
            .find(|form| matches(range, form.media_type()))
        {
            return Ok(*form);
        }
    }
    let offers: Vec<&str> = offered.iter().map(|form| form.media_type()).collect();
    Err(Problem::new(
        Code::NotAcceptable,
        format!("this is answered as {}", offers.join(", ")),
    ))
}

fn weighted(range: &str) -> (f32, String) {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts
        .find_map(|p| p.strip_prefix("q="))
        .and_then(|q| q.parse().ok())
        .unwrap_or(1.0);
    (weight, kind)
}

fn matches(range: &str, media_type: &str) -> bool {
    range == "*/*"
        || range == media_type
        || range
            .strip_suffix("/*")
            .is_some_and(|kind| media_type.split('/').next() == Some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(accept: &str) -> Option<Form> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().expect("a header"));
        negotiate(&headers, &[Form::Json, Form::Npy, Form::Png]).ok()
    }

    #[test]
    fn the_heaviest_offer_wins_and_none_is_refused() {
        assert_eq!(best("*/*"), Some(Form::Json));
        assert_eq!(best("image/png"), Some(Form::Png));
        assert_eq!(best("image/*, application/json;q=0.5"), Some(Form::Png));
        assert_eq!(
            best("application/json;q=0.5, application/x-npy;q=0.9"),
            Some(Form::Npy)
        );
        assert_eq!(best("text/html"), None);
        assert_eq!(best("application/json;q=0"), None);
    }
}
