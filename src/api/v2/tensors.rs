//! The tensors that a verb of a model takes and answers, told from the registry alone: nothing is loaded.

use super::datatype::Datatype;
use crate::api::models::resolve::Resolved;
use crate::verbs::tensors::{Element, Shapes, Tensor};
use crate::verbs::{RowKind, Verb};

/// What goes in and what comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensors {
    pub inputs: Vec<Tensor>,
    pub outputs: Vec<Tensor>,
    /// Whether each row of the output is that of a row of the input, whatever the others are.
    pub batched: bool,
}

impl Tensors {
    pub fn of(found: &Resolved, verb: &Verb) -> Self {
        let facts = &found.source.facts;
        let shapes = Shapes {
            row: &found.version.input_shape,
            code: found.version.code_shape.as_deref().unwrap_or_default(),
            signature: found.signature,
            classes: facts.classes(),
            targets: i64::from(facts.has_targets()),
            encodes: found.version.capabilities.iter().any(|c| c == "encode"),
        };
        Self {
            inputs: (verb.inputs)(&shapes),
            outputs: (verb.outputs)(&shapes),
            batched: matches!(verb.rows, RowKind::Data | RowKind::Code),
        }
    }
}

impl From<Element> for Datatype {
    fn from(element: Element) -> Self {
        match element {
            Element::Float => Self::Fp32,
            Element::Whole => Self::Int64,
        }
    }
}
