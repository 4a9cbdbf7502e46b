//! An inference answer: the outputs that are wanted, written in the JSON or as bytes behind it.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::datatype::Datatype;
use super::request::{HEAD_LENGTH, InferenceRequestedOutput};
use crate::api::held::Held;
use crate::api::problem::{Problem, Result};
use crate::inference::Reply;

/// What a model answers.
#[derive(Serialize, ToSchema)]
pub struct InferenceResponse<'a> {
    /// As it was asked for, its verb included.
    #[schema(value_type = String)]
    pub model_name: &'a str,
    pub model_version: String,
    /// That of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "InferenceResponseParameters::is_empty")]
    #[schema(value_type = Option<InferenceResponseParameters>)]
    pub parameters: InferenceResponseParameters,
    #[schema(value_type = Vec<InferenceOutput>)]
    pub outputs: Vec<InferenceOutput<'a>>,
}

/// What is said of an answer beside its tensors.
#[derive(Serialize, ToSchema)]
pub struct InferenceResponseParameters {
    /// The seed that was used, where numbers were drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// `score`: what the numbers are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub metric: Option<&'static str>,
}

impl InferenceResponseParameters {
    fn is_empty(&self) -> bool {
        self.seed.is_none() && self.metric.is_none()
    }
}

/// A tensor that a model answers.
#[derive(Serialize, ToSchema)]
pub struct InferenceOutput<'a> {
    #[schema(value_type = String)]
    name: &'static str,
    datatype: Datatype,
    /// Rows first.
    shape: Vec<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline)]
    parameters: Option<BinaryData>,
    /// The values, flat; left out where they follow the JSON as bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    data: Option<Values<'a>>,
    #[serde(skip)]
    behind: Option<Values<'a>>,
}

#[derive(Serialize, ToSchema)]
struct BinaryData {
    /// Bytes of this tensor behind the JSON.
    binary_data_size: usize,
}

#[derive(Clone, Serialize)]
#[serde(untagged)]
enum Values<'a> {
    Floats(&'a [f32]),
    Integers(&'a [i64]),
    Texts(Vec<String>),
}

impl Values<'_> {
    fn datatype(&self) -> Datatype {
        match self {
            Self::Floats(_) => Datatype::Fp32,
            Self::Integers(_) => Datatype::Int64,
            Self::Texts(_) => Datatype::Bytes,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Floats(values) => size_of_val(*values),
            Self::Integers(values) => size_of_val(*values),
            Self::Texts(values) => values.iter().map(|text| 4 + text.len()).sum(),
        }
    }

    /// Little-endian; each string behind its length.
    fn append(&self, to: &mut Vec<u8>) {
        match self {
            Self::Floats(values) => to.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::Integers(values) => to.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::Texts(values) => {
                for text in values {
                    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                    to.extend(length.to_le_bytes());
                    to.extend(text.as_bytes());
                }
            }
        }
    }
}

/// The tensors of `reply` that are wanted; all where none is named.
pub fn outputs<'a>(
    reply: &'a Reply,
    wanted: &[InferenceRequestedOutput],
    binary: bool,
) -> Result<Vec<InferenceOutput<'a>>> {
    let there = tensors(reply);
    if wanted.is_empty() {
        let all = there.into_iter().map(|tensor| tensor.output(binary));
        return Ok(all.collect());
    }
    let mut chosen: Vec<InferenceOutput<'a>> = Vec::with_capacity(wanted.len());
    for (at, output) in wanted.iter().enumerate() {
        let wrong =
            |field: &str, rule: String| Problem::field(format!("/outputs/{at}/{field}"), rule);
        let Some(tensor) = there.iter().find(|tensor| tensor.name == output.name) else {
            let names: Vec<&str> = there.iter().map(|tensor| tensor.name).collect();
            let rule = format!(
                "there is no output \"{}\"; there are: {}",
                output.name,
                names.join(", ")
            );
            return Err(wrong("name", rule));
        };
        if chosen.iter().any(|other| other.name == tensor.name) {
            return Err(wrong(
                "name",
                format!("\"{}\" is asked for twice", tensor.name),
            ));
        }
        let asked = output.parameters.as_ref();
        if asked.is_some_and(|p| p.shared_memory_region.is_some()) {
            let rule = "shared memory is not served; the values come with the answer";
            return Err(wrong("parameters/shared_memory_region", rule.to_owned()));
        }
        let tensor = match asked.and_then(|p| p.classification).filter(|&n| n > 0) {
            Some(n) => tensor
                .greatest(n)
                .ok_or_else(|| wrong("parameters/classification", TWO_SIDES.to_owned()))?,
            None => tensor.clone(),
        };
        chosen.push(tensor.output(asked.and_then(|p| p.binary_data).unwrap_or(binary)));
    }
    Ok(chosen)
}

/// Whether all of an answer comes as bytes.
pub fn are_binary(wanted: &[InferenceRequestedOutput], usually: bool) -> bool {
    let said = |output: &InferenceRequestedOutput| output.parameters.as_ref()?.binary_data;
    match wanted {
        [] => usually,
        wanted => wanted.iter().all(|output| said(output).unwrap_or(usually)),
    }
}

const TWO_SIDES: &str = "is for outputs of floats with one number for each class";

/// A tensor of a reply.
#[derive(Clone)]
struct Tensor<'a> {
    name: &'static str,
    shape: Vec<i64>,
    values: Values<'a>,
}

fn tensors(reply: &Reply) -> Vec<Tensor<'_>> {
    let rows = i64::try_from(reply.rows).unwrap_or(i64::MAX);
    let shape = |row: &[i64]| std::iter::once(rows).chain(row.iter().copied()).collect();
    let mut tensors: Vec<Tensor> = std::iter::once(&reply.output)
        .chain(&reply.extras)
        .map(|field| Tensor {
            name: field.name,
            shape: shape(&field.shape),
            values: Values::Floats(&field.values),
        })
        .collect();
    tensors.extend(reply.labels.as_ref().map(|labels| Tensor {
        name: "labels",
        shape: shape(&[]),
        values: Values::Integers(labels),
    }));
    tensors
}

impl<'a> Tensor<'a> {
    fn output(self, binary: bool) -> InferenceOutput<'a> {
        let parameters = binary.then(|| BinaryData {
            binary_data_size: self.values.bytes(),
        });
        let datatype = self.values.datatype();
        let (data, behind) = match binary {
            true => (None, Some(self.values)),
            false => (Some(self.values), None),
        };
        InferenceOutput {
            name: self.name,
            datatype,
            shape: self.shape,
            parameters,
            data,
            behind,
        }
    }

    /// The `n` greatest values of each row with their places, as the classification extension writes them.
    fn greatest(&self, n: usize) -> Option<Tensor<'static>> {
        let (Values::Floats(values), [rows, classes]) = (&self.values, self.shape.as_slice())
        else {
            return None;
        };
        let classes = usize::try_from(*classes)
            .ok()
            .filter(|&classes| classes > 0)?;
        let n = n.min(classes);
        let mut texts = Vec::with_capacity(n * values.len() / classes);
        for row in values.chunks(classes) {
            let mut order: Vec<usize> = (0..classes).collect();
            // A stable sort: of equal ones the first comes first.
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            texts.extend(order[..n].iter().map(|&i| format!("{}:{i}", row[i])));
        }
        Some(Tensor {
            name: self.name,
            shape: vec![*rows, i64::try_from(n).unwrap_or(i64::MAX)],
            values: Values::Texts(texts),
        })
    }
}

/// The whole answer. What it takes counts as `held` until it is sent.
pub fn write(held: Held, answer: &InferenceResponse) -> Result<Response> {
    let mut body = serde_json::to_vec(answer).map_err(Problem::internal)?;
    let outputs = answer.outputs.iter();
    let behind: Vec<&Values> = outputs.filter_map(|o| o.behind.as_ref()).collect();
    if behind.is_empty() {
        return Ok((
            [(header::CONTENT_TYPE, "application/json")],
            held.with(body),
        )
            .into_response());
    }
    let head = HeaderValue::from(body.len());
    body.reserve_exact(behind.iter().map(|values| values.bytes()).sum());
    for values in behind {
        values.append(&mut body);
    }
    let octets = HeaderValue::from_static("application/octet-stream");
    let head = (HeaderName::from_static(HEAD_LENGTH), head);
    Ok(([(header::CONTENT_TYPE, octets), head], held.with(body)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probabilities(values: &[f32]) -> Tensor<'_> {
        Tensor {
            name: "outputs",
            shape: vec![2, 3],
            values: Values::Floats(values),
        }
    }

    #[test]
    fn the_greatest_come_first_and_equal_ones_in_their_order() {
        let values = [0.25, 0.5, 0.25, 0.1, 0.1, 0.8];
        let best = probabilities(&values).greatest(2).expect("classes");
        assert_eq!(best.shape, [2, 2]);
        let Values::Texts(texts) = &best.values else {
            panic!("not texts")
        };
        assert_eq!(texts, &["0.5:1", "0.25:0", "0.8:2", "0.1:0"]);
        let mut bytes = Vec::new();
        best.values.append(&mut bytes);
        assert_eq!(bytes.len(), best.values.bytes());
        assert_eq!(bytes[..9], *b"\x05\0\0\x000.5:1");
        let all = probabilities(&values).greatest(9).expect("classes");
        assert_eq!(all.shape, [2, 3]);
        let flat = Tensor {
            shape: vec![6],
            ..probabilities(&values)
        };
        assert!(flat.greatest(1).is_none());
    }
}
