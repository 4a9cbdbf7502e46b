//! The verbs of a model that can be written as a graph, and what graphs of several families have in
//! common: the names of what goes in and comes out.
//!
//! Rows are flat, `[batch, values]`, on both ends.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::onnx::{Element, Graph, Value};

/// A verb whose answer follows from what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GraphVerb {
    Encode,
    Decode,
    Reconstruct,
    Predict,
    /// From a latent point, which the caller draws.
    Generate,
}

impl GraphVerb {
    pub const ALL: [Self; 5] = [
        Self::Encode,
        Self::Decode,
        Self::Reconstruct,
        Self::Predict,
        Self::Generate,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Encode => "encode",
            Self::Decode => "decode",
            Self::Reconstruct => "reconstruct",
            Self::Predict => "predict",
            Self::Generate => "generate",
        }
    }
}

/// Values in a row of data, and in a code.
#[derive(Debug, Clone, Copy)]
pub struct Widths {
    pub row: i64,
    pub code: i64,
}

/// `inputs`, rows of data.
pub fn rows_in(graph: &mut Graph, width: i64) -> Value {
    graph.input("inputs", Element::Float, &[width])
}

/// `outputs`, rows of data.
pub fn rows_out(graph: &mut Graph, rows: &Value, width: i64) {
    graph.output("outputs", rows, Element::Float, &[width]);
}

/// `labels`, one class for each row, for a model conditioned on them.
pub fn labels_in(graph: &mut Graph) -> Value {
    graph.input("labels", Element::Int64, &[])
}

/// `code` going in.
pub fn code_in(graph: &mut Graph, width: i64) -> Value {
    graph.input("code", Element::Float, &[width])
}

/// What a decoder or a generator is given: `code` or `latent`. None for a verb that is neither's.
pub fn latent_in(graph: &mut Graph, verb: GraphVerb, width: i64) -> Option<Value> {
    match verb {
        GraphVerb::Decode => Some(code_in(graph, width)),
        GraphVerb::Generate => Some(graph.input("latent", Element::Float, &[width])),
        GraphVerb::Encode | GraphVerb::Reconstruct | GraphVerb::Predict => None,
    }
}

/// `code` coming out.
pub fn code_out(graph: &mut Graph, code: &Value, width: i64) {
    graph.output("code", code, Element::Float, &[width]);
}

/// `probabilities` of all classes, and `labels`, the most probable ones.
pub fn classes_out(graph: &mut Graph, probabilities: &Value, classes: i64) {
    let labels = graph.greatest(probabilities);
    graph.output("labels", &labels, Element::Int64, &[]);
    graph.output("probabilities", probabilities, Element::Float, &[classes]);
}

/// `values`, a regressor's one number for each row.
pub fn values_out(graph: &mut Graph, values: &Value) {
    graph.output("values", values, Element::Float, &[1]);
}

/// `encode`, `decode` and `reconstruct` of a model that is a way `up` to a code and a way `down` from it.
pub fn there_and_back(
    verb: GraphVerb,
    widths: Widths,
    up: impl FnOnce(&mut Graph, &Value) -> Value,
    down: impl FnOnce(&mut Graph, &Value) -> Value,
) -> Option<Graph> {
    let mut graph = Graph::default();
    match verb {
        GraphVerb::Encode => {
            let rows = rows_in(&mut graph, widths.row);
            let code = up(&mut graph, &rows);
            code_out(&mut graph, &code, widths.code);
        }
        GraphVerb::Decode => {
            let code = code_in(&mut graph, widths.code);
            let rows = down(&mut graph, &code);
            rows_out(&mut graph, &rows, widths.row);
        }
        GraphVerb::Reconstruct => {
            let rows = rows_in(&mut graph, widths.row);
            let code = up(&mut graph, &rows);
            let back = down(&mut graph, &code);
            rows_out(&mut graph, &back, widths.row);
        }
        GraphVerb::Predict | GraphVerb::Generate => return None,
    }
    Some(graph)
}
