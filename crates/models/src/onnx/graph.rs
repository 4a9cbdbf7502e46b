//! A graph under construction: inputs, weights, nodes in the order they are computed, outputs.

use tch::{Kind, Tensor};

/// Something computed with: an input, a weight, a constant, or what a node puts out. It belongs to the
/// graph that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value(pub(super) String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    Float,
    Int64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    Float(f32),
    Int(i64),
    Ints(Vec<i64>),
}

/// Where rows come in or go out: `[batch, …row]`.
#[derive(Debug)]
pub(super) struct Port {
    pub name: &'static str,
    pub element: Element,
    pub row: Vec<i64>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub op: &'static str,
    pub inputs: Vec<Value>,
    pub output: String,
    pub attributes: Vec<(&'static str, Attribute)>,
}

#[derive(Debug, Default)]
pub struct Graph {
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    /// Each name once.
    pub(super) weights: Vec<(String, Tensor)>,
    pub(super) nodes: Vec<Node>,
    constants: usize,
}

impl Graph {
    /// An input of rows of this shape, under any number of them.
    pub fn input(&mut self, name: &'static str, element: Element, row: &[i64]) -> Value {
        self.inputs.push(Port {
            name,
            element,
            row: row.to_vec(),
        });
        Value(name.to_owned())
    }

    /// Gives a value out as rows of this shape.
    pub fn output(&mut self, name: &'static str, value: &Value, element: Element, row: &[i64]) {
        self.nodes.push(Node {
            op: "Identity",
            inputs: vec![value.clone()],
            output: name.to_owned(),
            attributes: Vec::new(),
        });
        self.outputs.push(Port {
            name,
            element,
            row: row.to_vec(),
        });
    }

    /// A tensor of the model under its own name. Asked for again, it is the same one.
    pub fn weight(&mut self, name: &str, tensor: &Tensor) -> Value {
        if !self.weights.iter().any(|(known, _)| known == name) {
            self.weights.push((name.to_owned(), tensor.detach()));
        }
        Value(name.to_owned())
    }

    /// A number that is none of the model's tensors.
    pub fn number(&mut self, number: f64) -> Value {
        self.constant(Tensor::from(number).to_kind(Kind::Float))
    }

    /// Whole numbers, as operators want their shapes and axes.
    pub fn integers(&mut self, numbers: &[i64]) -> Value {
        self.constant(Tensor::from_slice(numbers))
    }

    /// A tensor that is derived from the model's.
    pub fn constant(&mut self, tensor: Tensor) -> Value {
        let name = format!("constant.{}", self.constants);
        self.constants += 1;
        self.weights.push((name.clone(), tensor));
        Value(name)
    }

    /// What an operator of ONNX makes of its inputs; its first output where it has several.
    pub fn node(
        &mut self,
        op: &'static str,
        inputs: &[&Value],
        attributes: Vec<(&'static str, Attribute)>,
    ) -> Value {
        let output = format!("{op}.{}", self.nodes.len());
        self.nodes.push(Node {
            op,
            inputs: inputs.iter().map(|&value| value.clone()).collect(),
            output: output.clone(),
            attributes,
        });
        Value(output)
    }
}
