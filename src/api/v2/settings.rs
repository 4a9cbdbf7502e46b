//! A request's `parameters`: those of the protocol, and the verb's options among them.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use crate::api::models::request::{LONGEST_MS, from_text, nested, request_options};
use crate::api::problem::{Problem, Result};
use crate::inference::{Priority, RequestOptions};

/// What a request says beside its tensors.
#[derive(Debug)]
pub struct Settings {
    pub request_options: RequestOptions,
    /// Whether outputs are binary that do not say it themselves.
    pub binary: bool,
    /// The verb's options.
    pub options: Map<String, Value>,
}

/// Parameters that clients of other servers send along. They say nothing here: what the values are is told by their
/// datatype, and headers are HTTP's.
const FOR_OTHERS: [&str; 2] = ["content_type", "headers"];

impl Settings {
    pub fn read(
        headers: &HeaderMap,
        mut parameters: Map<String, Value>,
        arrival: Instant,
    ) -> Result<Self> {
        for name in FOR_OTHERS {
            parameters.shift_remove(name);
        }
        let binary = match parameters.shift_remove("binary_data_output") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(binary)) => binary,
            Some(other) => return Err(wrong("binary_data_output", "true or false", &other)),
        };
        if let Some(name) = parameters.keys().find(|name| name.starts_with("sequence_")) {
            let pointer = format!("/parameters/{name}");
            return Err(Problem::field(pointer, "no model here keeps sequences"));
        }
        let deadline = deadline(&mut parameters, arrival)?;
        if let Some(level) = parameters
            .get_mut("priority")
            .filter(|level| level.is_number())
        {
            *level = priority(level)?.name().into();
        }
        let texts = parameters.into_iter().map(|(name, value)| match value {
            Value::String(text) => (name, from_text(text)),
            other => (name, other),
        });
        let within =
            |problem: Problem| problem.within("/parameters", |pointer| !pointer.starts_with("/x-"));
        let mut options = nested(texts).map_err(within)?;
        let mut request_options =
            request_options(headers, &mut options, arrival).map_err(within)?;
        request_options.deadline = deadline.or(request_options.deadline);
        Ok(Self {
            request_options,
            binary,
            options,
        })
    }
}

fn wrong(name: &str, needed: &str, found: &Value) -> Problem {
    let detail = format!("must be {needed}, got {found}");
    Problem::field(format!("/parameters/{name}"), detail)
}

/// `timeout` is in microseconds; 0 is none.
fn deadline(parameters: &mut Map<String, Value>, arrival: Instant) -> Result<Option<Instant>> {
    let most = LONGEST_MS * 1000;
    match parameters.shift_remove("timeout") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().filter(|&micros| micros <= most) {
            Some(0) => Ok(None),
            Some(micros) => Ok(Some(arrival + Duration::from_micros(micros))),
            None => {
                let needed = format!("between 0 and {most} microseconds");
                Err(wrong("timeout", &needed, &value))
            }
        },
    }
}

/// 1 is the highest level, 0 the default one; those below the lowest are the lowest.
fn priority(level: &Value) -> Result<Priority> {
    match level.as_u64() {
        Some(0) => Ok(Priority::default()),
        Some(1) => Ok(Priority::High),
        Some(2) => Ok(Priority::Normal),
        Some(_) => Ok(Priority::Low),
        None => Err(wrong("priority", "a whole number from 0", level)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(parameters: Value) -> Result<Settings> {
        let Value::Object(parameters) = parameters else {
            panic!("not an object")
        };
        Settings::read(&HeaderMap::new(), parameters, Instant::now())
    }

    #[test]
    fn the_protocols_own_are_taken_and_the_rest_are_options() {
        let settings = read(json!({
            "binary_data_output": true, "timeout": 5000, "priority": 1, "seed": 7,
            "corrupt.kind": "mask", "corrupt.level": 0.5, "labels": "[1, 2]"
        }))
        .expect("sound");
        assert!(settings.binary);
        assert_eq!(settings.request_options.priority, Priority::High);
        assert!(settings.request_options.deadline.is_some());
        let options =
            json!({"seed": 7, "corrupt": {"kind": "mask", "level": 0.5}, "labels": [1, 2]});
        assert_eq!(Value::Object(settings.options), options);

        let plain = read(json!({"timeout": 0, "corrupt": "{\"kind\": \"mask\"}"})).expect("sound");
        assert!(!plain.binary && plain.request_options.deadline.is_none());
        assert_eq!(plain.options["corrupt"]["kind"], "mask");
    }

    #[test]
    fn levels_are_counted_from_the_highest() {
        for (level, priority) in [
            (0, Priority::Normal),
            (1, Priority::High),
            (2, Priority::Normal),
            (9, Priority::Low),
        ] {
            let settings = read(json!({"priority": level})).expect("a level");
            assert_eq!(settings.request_options.priority, priority, "{level}");
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        for (parameters, said) in [
            (json!({"timeout": -1}), "timeout"),
            (json!({"timeout": 1e30}), "timeout"),
            (json!({"priority": -1}), "priority"),
            (json!({"binary_data_output": 1}), "binary_data_output"),
            (json!({"sequence_id": 4}), "sequences"),
        ] {
            let problem = read(parameters).expect_err(said);
            assert!(format!("{problem:?}").contains(said), "{problem:?}");
        }
    }
}
