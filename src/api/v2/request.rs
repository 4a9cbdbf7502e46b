//! An inference request: a JSON head, and behind it the tensors that are not written in it.

use std::fmt;

use axum::http::HeaderMap;
use serde::de::{Error, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::datatype::Datatype;
use super::values::{Tensor, tensors};
use crate::api::extract::parse_json;
use crate::api::models::beside::{most_beside, require_brief};
use crate::api::models::body::Row;
use crate::api::models::nesting::Nesting;
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
    /// nested ones as JSON text or as `corrupt.level`. `content_type` and `headers` say nothing here.
    #[schema(value_type = Option<std::collections::HashMap<String, Value>>)]
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
    #[schema(value_type = Option<Vec<Value>>)]
    pub data: Option<Numbers>,
}

/// `content_type` and `headers` are for other servers, and say nothing here.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InputParameters {
    /// Bytes of this tensor behind the JSON, where it is written there.
    pub binary_data_size: Option<usize>,
    #[schema(value_type = Option<Value>)]
    #[expect(dead_code, reason = "taken, and of no account")]
    content_type: Option<IgnoredAny>,
    #[schema(value_type = Option<Value>)]
    #[expect(dead_code, reason = "taken, and of no account")]
    headers: Option<IgnoredAny>,
    #[schema(ignore)]
    pub shared_memory_region: Option<IgnoredAny>,
    #[schema(ignore)]
    #[expect(dead_code, reason = "says more of a region, which is refused")]
    shared_memory_byte_size: Option<IgnoredAny>,
    #[schema(ignore)]
    #[expect(dead_code, reason = "says more of a region, which is refused")]
    shared_memory_offset: Option<IgnoredAny>,
}

/// An output that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InferenceRequestedOutput {
    pub name: String,
    #[schema(inline)]
    pub parameters: Option<OutputParameters>,
}

/// `content_type` and `headers` are for other servers, and say nothing here.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputParameters {
    /// Whether it comes as bytes behind the JSON.
    pub binary_data: Option<bool>,
    /// So many greatest values of each row instead of the tensor, as strings `value:index`.
    #[schema(minimum = 1)]
    pub classification: Option<usize>,
    #[schema(value_type = Option<Value>)]
    #[expect(dead_code, reason = "taken, and of no account")]
    content_type: Option<IgnoredAny>,
    #[schema(value_type = Option<Value>)]
    #[expect(dead_code, reason = "taken, and of no account")]
    headers: Option<IgnoredAny>,
    #[schema(ignore)]
    pub shared_memory_region: Option<IgnoredAny>,
    #[schema(ignore)]
    #[expect(dead_code, reason = "says more of a region, which is refused")]
    shared_memory_byte_size: Option<IgnoredAny>,
    #[schema(ignore)]
    #[expect(dead_code, reason = "says more of a region, which is refused")]
    shared_memory_offset: Option<IgnoredAny>,
}

/// Numbers in one flat buffer, whatever their nesting.
#[derive(Debug, Default, PartialEq)]
pub struct Numbers {
    pub values: Vec<f32>,
    /// As the lists are nested.
    pub shape: Vec<usize>,
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Outer;
        impl<'de> Visitor<'de> for Outer {
            type Value = Numbers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of numbers, flat or nested")
            }
            fn visit_seq<S: SeqAccess<'de>>(self, seq: S) -> Result<Numbers, S::Error> {
                let (mut values, mut nesting) = (Vec::new(), Nesting::default());
                let row = Row {
                    values: &mut values,
                    nesting: &mut nesting,
                    depth: 1,
                };
                row.visit_seq(seq)?;
                if nesting.is_uneven() {
                    return Err(S::Error::custom("the numbers are nested unevenly"));
                }
                let shape = nesting.shape();
                Ok(Numbers { values, shape })
            }
        }
        deserializer.deserialize_seq(Outer)
    }
}

/// Reads a body: its head, and its tensors in order.
pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<(InferenceRequest, Vec<Tensor>)> {
    let (head, tail) = split(headers, body)?;
    let mut request = if let Some(request) = scan(head) {
        request
    } else {
        require_brief(head, most_beside(0))?;
        parse_json(head)?
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
    let mut scanner = Scanner::new(head, most_beside(0));
    let (mut inputs, mut outputs, mut rest) = (None, None, Map::new());
    scanner.object(|scanner, key| {
        if key == "outputs" {
            return outputs.replace(scanner.typed()?).is_none().then_some(());
        }
        if key != "inputs" {
            let value: Value = scanner.brief()?;
            return rest.insert(key.to_owned(), value).is_none().then_some(());
        }
        let mut tensors = Vec::new();
        scanner.list(|scanner| {
            tensors.push(scan_input(scanner)?);
            Some(())
        })?;
        inputs.replace(tensors).is_none().then_some(())
    })?;
    let request: InferenceRequest = serde_json::from_value(Value::Object(rest)).ok()?;
    scanner.end().then_some(InferenceRequest {
        inputs,
        outputs: outputs.flatten(),
        ..request
    })
}

fn scan_input(scanner: &mut Scanner) -> Option<InferenceInput> {
    let (mut data, mut parameters, mut rest) = (None, None, Map::new());
    scanner.object(|scanner, key| {
        if key == "parameters" {
            return parameters.replace(scanner.typed()?).is_none().then_some(());
        }
        if key != "data" {
            let value: Value = scanner.brief()?;
            return rest.insert(key.to_owned(), value).is_none().then_some(());
        }
        let (mut values, mut nesting) = (Vec::new(), Nesting::default());
        scanner.numbers(&mut values, &mut nesting, 1)?;
        let shape = nesting.shape();
        let numbers = (!nesting.is_uneven()).then_some(Numbers { values, shape })?;
        data.replace(numbers).is_none().then_some(())
    })?;
    let input: InferenceInput = serde_json::from_value(Value::Object(rest)).ok()?;
    Some(InferenceInput {
        data,
        parameters: parameters.flatten(),
        ..input
    })
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
}
