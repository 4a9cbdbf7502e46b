//! An inference request: a JSON head, and behind it the tensors that are not written in it.
//!
//! Sizes are compared before a value is read: what a shape claims, what the bytes are, what a tensor says of
//! its bytes, and what there is in all.

use std::fmt;

use axum::http::HeaderMap;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::datatype::{Datatype, floats};
use crate::api::extract::parse_json;
use crate::api::models::body::{DEEPEST, Row};
use crate::api::models::input::MOST_VALUES;
use crate::api::models::scan::Scanner;
use crate::api::problem::{Code, Problem, Result};

/// Says how many bytes of a body are its JSON head.
pub const HEAD_LENGTH: &str = "inference-header-content-length";

/// What is asked of a model.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InferenceRequest {
    /// Comes back with the answer.
    pub id: Option<String>,
    /// `timeout` (microseconds), `priority` (1 is the highest), `binary_data_output`, and the verb's options:
    /// nested ones as JSON text or as `corrupt.level`.
    #[schema(value_type = Option<std::collections::HashMap<String, Object>>)]
    pub parameters: Option<Map<String, Value>>,
    pub inputs: Option<Vec<InferenceInput>>,
    /// The outputs that are wanted; left out, all of them.
    pub outputs: Option<Vec<InferenceRequestedOutput>>,
}

/// A tensor that a model is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InferenceInput {
    pub name: String,
    /// Rows first.
    pub shape: Vec<i64>,
    pub datatype: Datatype,
    #[schema(inline)]
    pub parameters: Option<InputParameters>,
    /// The values, flat or nested; left out where they follow the JSON as bytes.
    #[schema(value_type = Option<Vec<Object>>)]
    pub data: Option<Numbers>,
}

/// Others than these are for other servers.
#[derive(Debug, Deserialize, ToSchema)]
pub struct InputParameters {
    /// Bytes of this tensor behind the JSON, where it is written there.
    pub binary_data_size: Option<usize>,
    #[schema(ignore)]
    pub shared_memory_region: Option<Value>,
}

/// An output that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InferenceRequestedOutput {
    pub name: String,
    #[schema(inline)]
    pub parameters: Option<OutputParameters>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct OutputParameters {
    /// Whether it comes as bytes behind the JSON.
    pub binary_data: Option<bool>,
    /// So many greatest values of each row instead of the tensor, as strings `value:index`.
    #[schema(minimum = 1)]
    pub classification: Option<usize>,
    #[schema(ignore)]
    pub shared_memory_region: Option<Value>,
}

/// Numbers in one flat buffer, whatever their nesting.
#[derive(Debug, Default, PartialEq)]
pub struct Numbers(pub Vec<f32>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Outer;
        impl<'de> Visitor<'de> for Outer {
            type Value = Numbers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of numbers, flat or nested")
            }
            fn visit_seq<S: SeqAccess<'de>>(self, seq: S) -> Result<Numbers, S::Error> {
                let mut values = Vec::new();
                let row = Row {
                    values: &mut values,
                    depth: 1,
                };
                row.visit_seq(seq)?;
                Ok(Numbers(values))
            }
        }
        deserializer.deserialize_seq(Outer)
    }
}

/// A tensor that was read.
#[derive(Debug, PartialEq)]
pub struct Tensor {
    pub name: String,
    pub rows: usize,
    pub datatype: Datatype,
    pub values: Vec<f32>,
}

/// Reads a body: its head, and its tensors in order.
pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<(InferenceRequest, Vec<Tensor>)> {
    let (head, tail) = split(headers, body)?;
    let mut request = match scan(head) {
        Some(request) => request,
        None => parse_json(head)?,
    };
    let inputs = request.inputs.take().unwrap_or_default();
    let tensors = tensors(inputs, tail)?;
    Ok((request, tensors))
}

fn split<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<(&'a [u8], &'a [u8])> {
    let Some(length) = headers.get(HEAD_LENGTH) else {
        return Ok((body, &[]));
    };
    let length = length
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    length
        .and_then(|at| body.split_at_checked(at))
        .ok_or_else(|| {
            let most = body.len();
            let text =
                format!("{HEAD_LENGTH} must be a number of bytes, at most the body's {most}");
            Problem::new(Code::Malformed, text)
        })
}

/// The head, if there is nothing about it to explain.
fn scan(head: &[u8]) -> Option<InferenceRequest> {
    let mut scanner = Scanner::new(head);
    let (mut inputs, mut rest) = (None, Map::new());
    scanner.object(|scanner, key| {
        if key != "inputs" {
            return rest
                .insert(key.to_owned(), scanner.value()?)
                .is_none()
                .then_some(());
        }
        let mut tensors = Vec::new();
        scanner.list(|scanner| {
            tensors.push(scan_input(scanner)?);
            Some(())
        })?;
        inputs.replace(tensors).is_none().then_some(())
    })?;
    let request: InferenceRequest = serde_json::from_value(Value::Object(rest)).ok()?;
    scanner
        .end()
        .then_some(InferenceRequest { inputs, ..request })
}

fn scan_input(scanner: &mut Scanner) -> Option<InferenceInput> {
    let (mut data, mut rest) = (None, Map::new());
    scanner.object(|scanner, key| {
        if key != "data" {
            return rest
                .insert(key.to_owned(), scanner.value()?)
                .is_none()
                .then_some(());
        }
        let mut values = Vec::new();
        scanner.numbers(&mut values, DEEPEST)?;
        data.replace(Numbers(values)).is_none().then_some(())
    })?;
    let input: InferenceInput = serde_json::from_value(Value::Object(rest)).ok()?;
    Some(InferenceInput { data, ..input })
}

/// Where the values of an input are.
enum Values<'a> {
    Written(Vec<f32>),
    Behind(&'a [u8]),
}

fn tensors(inputs: Vec<InferenceInput>, mut tail: &[u8]) -> Result<Vec<Tensor>> {
    let mut found = Vec::with_capacity(inputs.len());
    for (at, input) in inputs.into_iter().enumerate() {
        let wrong =
            |field: &str, detail: String| Problem::field(format!("/inputs/{at}{field}"), detail);
        let (rows, count) = size(&input.shape).map_err(|rule| wrong("/shape", rule))?;
        let element = input.datatype.element().ok_or_else(|| {
            wrong(
                "/datatype",
                "must be a type of numbers, got BYTES".to_owned(),
            )
        })?;
        let parameters = input.parameters.as_ref();
        if parameters.is_some_and(|p| p.shared_memory_region.is_some()) {
            let rule = "shared memory is not served; send the values".to_owned();
            return Err(wrong("/parameters/shared_memory_region", rule));
        }
        let values = match (parameters.and_then(|p| p.binary_data_size), input.data) {
            (None, Some(Numbers(values))) if values.len() == count => Values::Written(values),
            (None, Some(Numbers(values))) => {
                let rule = format!("has {} values, but the shape says {count}", values.len());
                return Err(wrong("/data", rule));
            }
            (Some(bytes), None) => {
                if count.checked_mul(element.size()) != Some(bytes) {
                    let rule = format!(
                        "is {bytes}, but {count} values of {} bytes are due by the shape",
                        element.size()
                    );
                    return Err(wrong("/parameters/binary_data_size", rule));
                }
                let Some((own, rest)) = tail.split_at_checked(bytes) else {
                    let left = tail.len();
                    let rule = format!("is {bytes}, but {left} bytes are left behind the JSON");
                    return Err(wrong("/parameters/binary_data_size", rule));
                };
                tail = rest;
                Values::Behind(own)
            }
            (Some(_), Some(_)) => {
                let rule = "is given beside binary_data_size; give one of them".to_owned();
                return Err(wrong("/data", rule));
            }
            (None, None) => return Err(wrong("/data", "is missing".to_owned())),
        };
        found.push((at, input.name, rows, input.datatype, element, values));
    }
    if !tail.is_empty() {
        let text = format!("{} bytes follow that belong to no tensor", tail.len());
        return Err(Problem::new(Code::Malformed, text));
    }
    found
        .into_iter()
        .map(|(at, name, rows, datatype, element, values)| {
            let values = match values {
                Values::Behind(bytes) => floats(element, bytes),
                Values::Written(values) => match datatype.misfit(&values) {
                    Some(odd) => Err(format!("{odd} is no value of this datatype")),
                    None => Ok(values),
                },
            };
            let values = values.map_err(|rule| Problem::field(format!("/inputs/{at}"), rule))?;
            Ok(Tensor {
                name,
                rows,
                datatype,
                values,
            })
        })
        .collect()
}

/// Rows and values of a shape that is one.
fn size(shape: &[i64]) -> Result<(usize, usize), String> {
    let Some(&rows) = shape.first() else {
        return Err("must have a first dimension, the rows".to_owned());
    };
    let count = shape.iter().try_fold(1_usize, |count, &side| {
        count.checked_mul(usize::try_from(side).ok()?)
    });
    match (usize::try_from(rows), count) {
        (Ok(rows), Some(count)) if count <= MOST_VALUES => Ok((rows, count)),
        _ if shape.iter().any(|&side| side < 0) => Err("must have no negative side".to_owned()),
        _ => Err(format!("must be of at most {MOST_VALUES} values")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(head: &Value, tail: &[u8]) -> (HeaderMap, Vec<u8>) {
        let head = head.to_string();
        let mut headers = HeaderMap::new();
        if !tail.is_empty() {
            headers.insert(HEAD_LENGTH, head.len().into());
        }
        (headers, [head.as_bytes(), tail].concat())
    }

    fn refused(head: &Value, tail: &[u8]) -> String {
        let (headers, body) = body(head, tail);
        let problem = read(&headers, &body).expect_err("refused");
        format!("{problem:?}")
    }

    fn input(shape: &[i64], datatype: &str, bytes: usize) -> Value {
        json!({"inputs": [{"name": "inputs", "shape": shape, "datatype": datatype,
            "parameters": {"binary_data_size": bytes}}]})
    }

    #[test]
    fn written_and_binary_tensors_stand_side_by_side() {
        let head = json!({"id": "7", "inputs": [
            {"name": "a", "shape": [2, 2], "datatype": "FP32", "parameters": {"binary_data_size": 16}},
            {"name": "b", "shape": [2], "datatype": "INT64", "data": [3, 4]},
            {"name": "c", "shape": [1, 3], "datatype": "UINT8", "parameters": {"binary_data_size": 3}},
            {"name": "d", "shape": [1, 2, 2], "datatype": "FP64", "data": [[[1, 2], [3, 4.5]]]},
        ], "outputs": [{"name": "x", "parameters": {"binary_data": false, "classification": 2}}]});
        let floats: Vec<u8> = [1_f32, -2.0, 0.5, 4.0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let (headers, body) = body(&head, &[floats, vec![0, 7, 255]].concat());
        let (request, tensors) = read(&headers, &body).expect("sound");
        assert_eq!(request.id.as_deref(), Some("7"));
        let outputs = request.outputs.expect("outputs");
        let parameters = outputs[0].parameters.as_ref().expect("parameters");
        assert_eq!(
            (parameters.binary_data, parameters.classification),
            (Some(false), Some(2))
        );
        let values: Vec<_> = tensors
            .iter()
            .map(|t| (t.rows, t.values.as_slice()))
            .collect();
        assert_eq!(values[0], (2, &[1.0, -2.0, 0.5, 4.0][..]));
        assert_eq!(values[1], (2, &[3.0, 4.0][..]));
        assert_eq!(values[2], (1, &[0.0, 7.0, 255.0][..]));
        assert_eq!(values[3], (1, &[1.0, 2.0, 3.0, 4.5][..]));
    }

    #[test]
    fn sizes_that_disagree_are_refused_before_anything_is_read() {
        let huge = i64::MAX;
        for (head, tail, said) in [
            (input(&[1, 2], "FP32", 4), 4, "due by the shape"),
            (input(&[1, 2], "FP32", 8), 4, "4 bytes are left"),
            (input(&[1, 1], "FP32", 4), 9, "5 bytes follow"),
            (input(&[huge, huge], "FP32", 4), 4, "at most"),
            (input(&[huge, 0], "FP64", 0), 4, "bytes follow"),
            (input(&[-1, 2], "FP32", 8), 8, "negative"),
            (input(&[], "FP32", 4), 4, "first dimension"),
            (input(&[1], "BYTES", 4), 4, "BYTES"),
            (input(&[1], "BF16", 2), 2, "unknown variant"),
            (input(&[1], "FP32", usize::MAX), 4, "due by the shape"),
        ] {
            let text = refused(&head, &vec![0; tail]);
            assert!(text.contains(said), "{head}: {text}");
        }
    }

    #[test]
    fn a_head_must_lie_within_its_body() {
        for length in ["3", "-1", "x", "", "99999999999999999999"] {
            let mut headers = HeaderMap::new();
            headers.insert(HEAD_LENGTH, length.parse().expect("a header"));
            assert!(read(&headers, b"{}").is_err(), "{length}");
        }
    }

    #[test]
    fn both_readers_read_the_same() {
        let head = r#" {"parameters": {"seed": 1}, "inputs": [ {"data": [[0.1, 2], [3e-2, -4]], "name": "inputs",
            "shape": [2, 2], "datatype": "FP32", "parameters": null} ], "id": null} "#;
        let fast = scan(head.as_bytes()).expect("plain");
        let slow: InferenceRequest = serde_json::from_str(head).expect("JSON");
        assert_eq!(format!("{fast:?}"), format!("{slow:?}"));
        for odd in [
            r#"{"inputs": []}"#,
            r#"{"inputs": [], "inputs": []}"#,
            r#"{"inputs": [{"name": "a", "shape": [1], "datatype": "FP32", "data": []}]}"#,
            r#"{"inputs": [{"name": "a"}]}"#,
            r#"{"inputs": [], "colour": 1}"#,
            r#"{"id": 1}"#,
        ] {
            assert!(scan(odd.as_bytes()).is_none(), "{odd}");
        }
    }

    #[test]
    fn written_values_are_held_to_their_type_and_shape() {
        let written = |data: Value, datatype: &str| json!({"inputs": [{"name": "inputs", "shape": [1, 2], "datatype": datatype, "data": data}]});
        for (data, datatype, said) in [
            (json!([1]), "FP32", "has 1 values"),
            (json!([1, 2.5]), "INT32", "2.5 is no value"),
            (json!([1, 256]), "UINT8", "256 is no value"),
            (json!(["a", "b"]), "FP32", "string"),
            (json!("ab"), "FP32", "list of numbers"),
            (json!([1, 1e39]), "FP32", "32-bit"),
            (Value::Null, "FP32", "is missing"),
        ] {
            let text = refused(&written(data, datatype), &[]);
            assert!(text.contains(said), "{text}");
        }
    }
}
