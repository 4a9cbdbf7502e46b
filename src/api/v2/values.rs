//! The values of a request's tensors, wherever they are written.
//!
//! Sizes are compared before a value is read: what a shape claims, what a tensor says of its bytes, and what
//! there is in all.

use super::datatype::{Datatype, floats};
use super::request::{InferenceInput, Numbers};
use crate::api::models::request::MOST_VALUES;
use crate::api::models::shape::dims;
use crate::api::problem::{Code, Problem, Result};
use crate::data::import::element::Element;
use crate::data::show_dims;

/// A tensor that was read.
#[derive(Debug, PartialEq)]
pub struct Tensor {
    pub name: String,
    pub rows: usize,
    /// Of one row.
    pub shape: Vec<usize>,
    pub datatype: Datatype,
    pub values: Vec<f32>,
}

/// A tensor whose sizes agree, not read yet.
struct Sized<'a> {
    name: String,
    rows: usize,
    shape: Vec<usize>,
    datatype: Datatype,
    values: Values<'a>,
}

enum Values<'a> {
    Written(Vec<f32>),
    Behind(Element, &'a [u8]),
}

/// The tensors of a request in order; `tail` is what follows its JSON.
pub fn tensors(inputs: Vec<InferenceInput>, mut tail: &[u8]) -> Result<Vec<Tensor>> {
    let at = |at: usize| {
        move |(field, rule): Wrong| Problem::field(format!("/inputs/{at}{field}"), rule)
    };
    let mut sized = Vec::with_capacity(inputs.len());
    for (i, input) in inputs.into_iter().enumerate() {
        sized.push(agreeing(input, &mut tail).map_err(at(i))?);
    }
    if !tail.is_empty() {
        let text = format!("{} bytes follow that belong to no tensor", tail.len());
        return Err(Problem::new(Code::Malformed, text));
    }
    let read = sized.into_iter().enumerate();
    read.map(|(i, tensor)| tensor.read().map_err(|rule| at(i)(("", rule))))
        .collect()
}

/// A field of a tensor, and the rule that it breaks.
type Wrong = (&'static str, String);

const BINARY_SIZE: &str = "/parameters/binary_data_size";

/// Takes the tensor's bytes off the tail, where it has some.
fn agreeing<'a>(input: InferenceInput, tail: &mut &'a [u8]) -> Result<Sized<'a>, Wrong> {
    let InferenceInput {
        name,
        shape,
        datatype,
        parameters,
        data,
    } = input;
    let (rows, count) = size(&shape).map_err(|rule| ("/shape", rule))?;
    let shape = dims(&shape);
    let no_numbers = || "must be a type of numbers, got BYTES".to_owned();
    let element = datatype
        .element()
        .ok_or_else(|| ("/datatype", no_numbers()))?;
    let (bytes, region) = parameters.map_or((None, None), |p| {
        (p.binary_data_size, p.shared_memory_region)
    });
    if region.is_some() {
        let rule = "shared memory is not served; send the values".to_owned();
        return Err(("/parameters/shared_memory_region", rule));
    }
    let values = match (bytes, data) {
        (None, Some(numbers)) => {
            Values::Written(agreed(numbers, &shape, count).map_err(|rule| ("/data", rule))?)
        }
        (Some(bytes), None) => {
            let own = behind(bytes, count, element, tail).map_err(|rule| (BINARY_SIZE, rule))?;
            Values::Behind(element, own)
        }
        (Some(_), Some(_)) => {
            let rule = "is given beside binary_data_size; give one of them".to_owned();
            return Err(("/data", rule));
        }
        (None, None) => return Err(("/data", "is missing".to_owned())),
    };
    Ok(Sized {
        name,
        rows,
        shape: shape[1..].to_vec(),
        datatype,
        values,
    })
}

/// The values, flat or nested: lists end only where a side of the shape does.
fn agreed(numbers: Numbers, shape: &[usize], count: usize) -> Result<Vec<f32>, String> {
    let Numbers {
        values,
        shape: nested,
    } = numbers;
    if values.len() != count {
        let found = values.len();
        return Err(format!("has {found} values, but the shape says {count}"));
    }
    let ends = spans(shape);
    if !spans(&nested).iter().all(|span| ends.contains(span)) {
        let (nested, shape) = (show_dims(&nested), show_dims(shape));
        return Err(format!("is nested as {nested}, but the shape says {shape}"));
    }
    Ok(values)
}

/// Values between the starts of two neighbours, on each level of an array of this shape.
fn spans(shape: &[usize]) -> Vec<usize> {
    let inner = shape.iter().rev().scan(1_usize, |span, side| {
        *span = span.saturating_mul(*side);
        Some(*span)
    });
    inner.collect()
}

fn behind<'a>(
    bytes: usize,
    count: usize,
    element: Element,
    tail: &mut &'a [u8],
) -> Result<&'a [u8], String> {
    let each = element.size();
    if count.checked_mul(each) != Some(bytes) {
        return Err(format!(
            "is {bytes}, but {count} values of {each} bytes are due by the shape"
        ));
    }
    let Some((own, rest)) = tail.split_at_checked(bytes) else {
        let left = tail.len();
        return Err(format!(
            "is {bytes}, but {left} bytes are left behind the JSON"
        ));
    };
    *tail = rest;
    Ok(own)
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
        (Ok(1..), Some(0)) => Err("must have a value in each row".to_owned()),
        (Ok(rows), Some(count)) if count <= MOST_VALUES => Ok((rows, count)),
        _ if shape.iter().any(|&side| side < 0) => Err("must have no negative side".to_owned()),
        _ => Err(format!("must be of at most {MOST_VALUES} values")),
    }
}

impl Sized<'_> {
    fn read(self) -> Result<Tensor, String> {
        let values = match self.values {
            Values::Behind(element, bytes) => floats(element, bytes)?,
            Values::Written(values) => match self.datatype.misfit(&values) {
                Some(odd) => return Err(format!("{odd} is no value of this datatype")),
                None => values,
            },
        };
        Ok(Tensor {
            name: self.name,
            rows: self.rows,
            shape: self.shape,
            datatype: self.datatype,
            values,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refused(input: Value, tail: usize) -> String {
        let input: InferenceInput = match serde_json::from_value(input) {
            Ok(input) => input,
            Err(error) => return error.to_string(),
        };
        let problem = tensors(vec![input], &vec![0; tail]).expect_err("refused");
        format!("{problem:?}")
    }

    #[test]
    fn sizes_that_disagree_are_refused_before_anything_is_read() {
        let input = |shape: &[i64], datatype: &str, bytes: usize| {
            json!({"name": "inputs", "shape": shape, "datatype": datatype,
                "parameters": {"binary_data_size": bytes}})
        };
        let huge = i64::MAX;
        for (head, tail, said) in [
            (input(&[1, 2], "FP32", 4), 4, "due by the shape"),
            (input(&[1, 2], "FP32", 8), 4, "4 bytes are left"),
            (input(&[1, 1], "FP32", 4), 9, "5 bytes follow"),
            (input(&[huge, huge], "FP32", 4), 4, "at most"),
            (input(&[huge, 0], "FP64", 0), 0, "in each row"),
            (input(&[-1, 2], "FP32", 8), 8, "negative"),
            (input(&[], "FP32", 4), 4, "first dimension"),
            (input(&[1], "BYTES", 4), 4, "BYTES"),
            (input(&[1], "BF16", 2), 2, "unknown variant"),
            (input(&[1], "FP32", usize::MAX), 4, "due by the shape"),
        ] {
            let text = refused(head.clone(), tail);
            assert!(text.contains(said), "{head}: {text}");
        }
    }

    #[test]
    fn written_values_are_held_to_their_type_and_shape() {
        for (data, datatype, said) in [
            (json!([1]), "FP32", "has 1 values"),
            (json!([1, 2.5]), "INT32", "2.5 is no value"),
            (json!([1, 256]), "UINT8", "256 is no value"),
            (json!(["a", "b"]), "FP32", "string"),
            (json!("ab"), "FP32", "list of numbers"),
            (json!([1, 1e39]), "FP32", "32-bit"),
            (json!([[1], [2]]), "FP32", "nested as 2 x 1"),
            (json!([[1, [2]]]), "FP32", "unevenly"),
            (json!([[[1], [2]]]), "FP32", "nested as 1 x 2 x 1"),
            (Value::Null, "FP32", "is missing"),
        ] {
            let input =
                json!({"name": "inputs", "shape": [1, 2], "datatype": datatype, "data": data});
            let text = refused(input, 0);
            assert!(text.contains(said), "{text}");
        }
    }
}
