//! The tests that every family passes, on the built-in digits and without HTTP. A new family is covered
//! by its line in [`table`].

mod answers;
mod freezing;
mod layers;
mod learning;
mod onnx;
mod settled;
mod start;
mod table;
mod trial;

use std::error::Error;

use serde::Serialize;

use super::Family;
use crate::nn::model::DataFacts;
use crate::train::settings::Training;

type Tried = Result<(), Box<dyn Error>>;

/// Where a spec of the family `kind` breaks a rule.
pub fn broken(
    kind: &str,
    spec: &impl Serialize,
    training: &Training,
    data: &DataFacts,
) -> Vec<String> {
    let spec = serde_json::to_value(spec).expect("JSON");
    let family = Family::find(kind).expect("a family");
    let errors = (family.check)(&spec, training, data).into_iter();
    errors.map(|error| error.pointer).collect()
}
