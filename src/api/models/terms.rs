//! How a request is to be treated: its deadline and its priority, from headers or beside the options.

use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::IntoParams;

use crate::api::problem::{Problem, Result};
use crate::inference::{Priority, RequestOptions};

const TIMEOUT: &str = "x-latentd-timeout-ms";
const PRIORITY: &str = "x-latentd-priority";
/// An hour.
pub const LONGEST_MS: u64 = 3_600_000;

/// Accepted by every verb.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only the schema is used")]
pub struct TermsHeaders {
    /// Milliseconds from its arrival after which the request is given up with a 504. `timeout_ms` beside the
    /// options, or in the query string, says the same.
    #[param(rename = "x-latentd-timeout-ms", minimum = 1, maximum = 3_600_000)]
    timeout_ms: Option<u64>,
    /// Which requests are answered first; `priority` beside the options, or in the query string, says the same.
    #[param(rename = "x-latentd-priority", inline)]
    priority: Option<Priority>,
}

/// What the headers say, and when.
pub struct Asked {
    arrival: Instant,
    timeout: Option<HeaderValue>,
    priority: Option<HeaderValue>,
}

impl Asked {
    pub fn of(headers: &HeaderMap) -> Self {
        Self {
            arrival: Instant::now(),
            timeout: headers.get(TIMEOUT).cloned(),
            priority: headers.get(PRIORITY).cloned(),
        }
    }
}

/// Takes the terms out of `options`; what the body says goes before the headers.
pub fn take(asked: &Asked, options: &mut Map<String, Value>) -> Result<RequestOptions> {
    let timeout: Option<(u64, String)> = one(
        (TIMEOUT, asked.timeout.as_ref()),
        (options, "timeout_ms"),
        |text| text.parse::<u64>().map(Value::from).ok(),
    )?;
    let priority: Option<(Priority, String)> = one(
        (PRIORITY, asked.priority.as_ref()),
        (options, "priority"),
        |text| Some(Value::from(text)),
    )?;
    let sound = |ms: u64| (1..=LONGEST_MS).contains(&ms);
    if let Some((ms, pointer)) = timeout.as_ref().filter(|(ms, _)| !sound(*ms)) {
        let rule = format!("must be between 1 and {LONGEST_MS}, got {ms}");
        return Err(Problem::field(pointer.as_str(), rule));
    }
    Ok(RequestOptions {
        priority: priority.map(|(priority, _)| priority).unwrap_or_default(),
        deadline: timeout.map(|(ms, _)| asked.arrival + Duration::from_millis(ms)),
    })
}

/// What was said, and where.
fn one<T: DeserializeOwned>(
    (header, said): (&str, Option<&HeaderValue>),
    (options, field): (&mut Map<String, Value>, &str),
    read: impl Fn(&str) -> Option<Value>,
) -> Result<Option<(T, String)>> {
    // Most requests have neither, and none is worth a look-up by hash then.
    let beside = (!options.is_empty())
        .then(|| options.shift_remove(field))
        .flatten();
    let (pointer, value) = match (beside, said) {
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

    fn terms(headers: &[(&'static str, &str)], options: Value) -> Result<RequestOptions> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a header"));
        }
        let Value::Object(mut options) = options else {
            panic!("not an object")
        };
        let terms = take(&Asked::of(&map), &mut options);
        assert!(options.keys().all(|key| key == "layer"), "{options:?}");
        terms
    }

    #[test]
    fn the_body_goes_before_the_headers_and_wrong_ones_are_named() {
        let both = terms(
            &[(TIMEOUT, "5"), (PRIORITY, "low")],
            json!({"layer": 0, "priority": "high"}),
        )
        .expect("sound");
        assert_eq!(both.priority, Priority::High);
        assert!(both.deadline.is_some());
        assert!(
            terms(&[], json!({}))
                .is_ok_and(|t| t.deadline.is_none() && t.priority == Priority::Normal)
        );
        for (headers, options, said) in [
            (vec![(TIMEOUT, "soon")], json!({}), TIMEOUT),
            (vec![(TIMEOUT, "0")], json!({}), TIMEOUT),
            (vec![], json!({"timeout_ms": -1}), "timeout_ms"),
            (vec![], json!({"priority": "urgent"}), "urgent"),
        ] {
            let problem = terms(&headers, options).expect_err(said);
            assert!(format!("{problem:?}").contains(said), "{problem:?}");
        }
    }
}
