//! A request to a verb: JSON with `inputs` or `rows`, an npy array, a safetensors file, or one picture. The verb's
//! options stand beside them, in the JSON or in the query string, and among these the deadline and the priority.

use std::time::{Duration, Instant};

use axum::extract::{Query, Request};
use axum::http::{HeaderMap, Uri};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::IntoParams;

use super::beside::{most_beside, require_brief};
use super::body::{Document, Flat};
use super::rows::RowsRef;
use super::shape::dims;
use super::{scan, shape};
use crate::api::body::{Whole, whole};
use crate::api::extract::{content_type, is_json, parse_json};
use crate::api::held::Held;
use crate::api::problem::{Code, Problem, Result};
use crate::api::state::{AppState, blocking};
use crate::data::{npy, picture, show_dims, tensors};
use crate::inference::{Input, Permit, Priority, RequestOptions};

/// Values in one request, at most: what a body of the greatest size could hold as f32.
pub const MOST_VALUES: usize = 64 << 20;
const MOST_PIXELS: u64 = 16 << 20;
const TIMEOUT: &str = "x-latentd-timeout-ms";
const PRIORITY: &str = "x-latentd-priority";
/// An hour.
pub const LONGEST_MS: u64 = 3_600_000;

/// Accepted by every verb.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only the schema is used")]
pub struct RequestOptionsHeaders {
    /// Milliseconds from its arrival after which the request is given up with a 504. `timeout_ms` beside the
    /// options, or in the query string, says the same.
    #[param(rename = "x-latentd-timeout-ms", minimum = 1, maximum = 3_600_000)]
    timeout_ms: Option<u64>,
    /// Which requests are answered first; `priority` beside the options, or in the query string, says the same.
    #[param(rename = "x-latentd-priority", inline)]
    priority: Option<Priority>,
}

/// What a client asks of a verb.
#[derive(Debug, Default)]
pub struct VerbRequest {
    pub input: Option<Input>,
    /// Rows of a data set, to be read by whoever answers.
    pub rows: Option<RowsRef>,
    /// The verb's own.
    pub options: Map<String, Value>,
    pub request_options: RequestOptions,
    /// What its body takes counts as held until the request is answered.
    pub held: Held,
}

/// Reads a request that came at `arrival`; `shape` is that of one row. It is admitted once it is there.
pub async fn read(
    app: &AppState,
    request: Request,
    shape: &[i64],
    arrival: Instant,
) -> Result<(Permit, VerbRequest)> {
    let (mut parts, body) = request.into_parts();
    let headers = std::mem::take(&mut parts.headers);
    let options = query_options(&parts.uri)?;
    let media_type = content_type(&headers);
    require_known(&headers, media_type.as_deref())?;
    app.engine.require_room().await?;
    let whole = whole(app, Request::from_parts(parts, body)).await?;
    let (permit, Whole { bytes, held }) = app.engine.enter(whole).await?;
    let shape = dims(shape);
    let mut read = VerbRequest {
        options,
        held,
        ..VerbRequest::default()
    };
    match media_type.as_deref() {
        Some(kind) if is_json(kind) => read.take_json(&bytes, &shape)?,
        Some(kind @ ("application/x-npy" | "application/x-safetensors")) => {
            let decoded = if kind == "application/x-npy" {
                npy::decode_f32(&bytes, MOST_VALUES)
            } else {
                tensors::decode_f32(&bytes, "inputs", MOST_VALUES)
            };
            let (found, values) = decoded.map_err(|e| Problem::field("/inputs", e.to_string()))?;
            let rows = rows_of_array(&found, &shape)?;
            read.input = Some(input(rows, values));
        }
        Some(_) => {
            let decode = move || picture::decode_image(&bytes, &shape, MOST_PIXELS);
            let values = blocking(decode)
                .await?
                .map_err(|e| Problem::field("/inputs", e.to_string()))?;
            read.input = Some(input(1, values));
        }
        None => {}
    }
    read.request_options = request_options(&headers, &mut read.options, arrival)?;
    Ok((permit, read))
}

fn input(rows: usize, values: Vec<f32>) -> Input {
    Input {
        rows,
        values,
        labels: None,
    }
}

impl VerbRequest {
    /// What the JSON says goes before the query string.
    fn take_json(&mut self, bytes: &[u8], shape: &[usize]) -> Result<()> {
        let most = most_beside(shape.iter().product());
        let document: Document = if let Some(document) = scan::document(bytes, most) {
            document
        } else {
            require_brief(bytes, most)?;
            parse_json(bytes)?
        };
        self.options.extend(document.options);
        if document.inputs.is_some() && document.rows.is_some() {
            return Err(Problem::field("/rows", "give either inputs or rows"));
        }
        if document.rows.as_ref().is_some_and(|rows| rows.limit == 0) {
            return Err(Problem::field("/rows/limit", "must be at least 1, got 0"));
        }
        if let Some(Flat {
            rows,
            shape: found,
            values,
        }) = document.inputs
        {
            // Of no rows there is another rule.
            if rows > 0 {
                shape::check(&found, shape).map_err(|rule| Problem::field("/inputs", rule))?;
            }
            self.input = Some(input(rows, values));
        }
        self.rows = document.rows;
        Ok(())
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

/// Rows of an array `[rows, …]`, or one bare row.
fn rows_of_array(found: &[usize], shape: &[usize]) -> Result<usize> {
    if found == shape {
        return Ok(1);
    }
    let rule = match found.split_first() {
        Some((&rows, row)) if rows > 0 => match shape::check(row, shape) {
            Ok(()) => return Ok(rows),
            Err(rule) => rule,
        },
        _ => "it has no rows".to_owned(),
    };
    let text = format!("the array has the shape {}: {rule}", show_dims(found));
    Err(Problem::field("/inputs", text))
}

/// Options of a body that has no room for them: `?layer=0`, nested ones as `corrupt.level=0.5`.
fn query_options(uri: &Uri) -> Result<Map<String, Value>> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
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

/// Takes deadline and priority out of `options`; what is said there goes before the headers.
pub fn request_options(
    headers: &HeaderMap,
    options: &mut Map<String, Value>,
    arrival: Instant,
) -> Result<RequestOptions> {
    let timeout: Option<(u64, String)> =
        one((headers, TIMEOUT), (options, "timeout_ms"), |text| {
            text.parse::<u64>().map(Value::from).ok()
        })?;
    let priority: Option<(Priority, String)> =
        one((headers, PRIORITY), (options, "priority"), |text| {
            Some(Value::from(text))
        })?;
    let sound = |ms: u64| (1..=LONGEST_MS).contains(&ms);
    if let Some((ms, pointer)) = timeout.as_ref().filter(|(ms, _)| !sound(*ms)) {
        let rule = format!("must be between 1 and {LONGEST_MS}, got {ms}");
        return Err(Problem::field(pointer.as_str(), rule));
    }
    Ok(RequestOptions {
        priority: priority.map(|(priority, _)| priority).unwrap_or_default(),
        deadline: timeout.map(|(ms, _)| arrival + Duration::from_millis(ms)),
    })
}

/// What was said, and where.
fn one<T: DeserializeOwned>(
    (headers, header): (&HeaderMap, &str),
    (options, field): (&mut Map<String, Value>, &str),
    read: impl Fn(&str) -> Option<Value>,
) -> Result<Option<(T, String)>> {
    // Most requests have neither, and none is worth a look-up by hash then.
    let beside = (!options.is_empty())
        .then(|| options.shift_remove(field))
        .flatten();
    let (pointer, value) = match (beside, headers.get(header)) {
        (Some(value), _) => (format!("/{field}"), value),
        (None, Some(value)) => {
            let text = value.to_str().unwrap_or_default();
            let value = read(text).unwrap_or_else(|| Value::from(text));
            (format!("/{header}"), value)
        }
        (None, None) => return Ok(None),
    };
    match serde_json::from_value(value) {
        Ok(value) => Ok(Some((value, pointer))),
        Err(e) => Err(Problem::field(pointer, e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(headers: &[(&'static str, &str)], options: Value) -> Result<RequestOptions> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a header"));
        }
        let Value::Object(mut options) = options else {
            panic!("not an object")
        };
        let found = request_options(&map, &mut options, Instant::now());
        assert!(options.keys().all(|key| key == "layer"), "{options:?}");
        found
    }

    #[test]
    fn the_body_goes_before_the_headers_and_wrong_ones_are_named() {
        let both = read(
            &[(TIMEOUT, "5"), (PRIORITY, "low")],
            json!({"layer": 0, "priority": "high"}),
        )
        .expect("sound");
        assert_eq!(both.priority, Priority::High);
        assert!(both.deadline.is_some());
        assert!(
            read(&[], json!({}))
                .is_ok_and(|t| t.deadline.is_none() && t.priority == Priority::Normal)
        );
        for (headers, options, said) in [
            (vec![(TIMEOUT, "soon")], json!({}), TIMEOUT),
            (vec![(TIMEOUT, "0")], json!({}), TIMEOUT),
            (vec![], json!({"timeout_ms": -1}), "timeout_ms"),
            (vec![], json!({"priority": "urgent"}), "urgent"),
        ] {
            let problem = read(&headers, options).expect_err(said);
            assert!(format!("{problem:?}").contains(said), "{problem:?}");
        }
    }
}
