//! Computations as ONNX files, for other runtimes: a graph is built value by value, then written. It knows
//! operators and tensors, no layer and no family.

mod file;
mod graph;
mod ops;
pub mod proto;

pub use file::{FileError, Label};
pub use graph::{Attribute, Element, Graph, Value};
