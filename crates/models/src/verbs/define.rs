//! What a verb is to everything that lists verbs: a row of the table, and its options behind one trait.

use std::any::Any;
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tch::Device;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::Model;
use super::call::{Call, CallError, Input, Operation, Reply};
use super::context::Context;
use super::tensors::{Shapes, Tensor};
use crate::document::{self, FieldError};
use crate::nn::model::DataFacts;
use crate::nn::rng::Rng;

/// What the rows of a verb's input are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// Rows of data.
    Data,
    /// Codes.
    Code,
    /// Two rows of data, or none where the options say what is asked of.
    Ends,
    /// None are taken.
    None,
}

/// What an answer has beside `outputs`, in JSON.
#[derive(Debug)]
pub struct Extra {
    pub name: &'static str,
    /// For people.
    pub about: &'static str,
    pub shape: ExtraShape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraShape {
    /// A number for each row.
    Number,
    /// A whole number for each row.
    Class,
    /// A list of numbers for each row.
    Row,
    /// A text about all of them.
    Text,
}

/// What a verb's file provides, on the type of its options.
pub trait Define:
    Debug + Clone + PartialEq + Default + DeserializeOwned + ToSchema + Send + Sync + 'static
{
    const NAME: &'static str;
    /// One line for people.
    const SUMMARY: &'static str;
    /// What it answers, in a sentence.
    const ABOUT: &'static str;
    const ROWS: RowKind = RowKind::Data;
    /// Its place among the verbs that a model may be asked by when none is named: the first that it offers.
    const PREFERENCE: u8;
    const EXTRAS: &'static [Extra] = &[];

    /// Computes the answer. What it draws, it draws from `rng`.
    fn run(&self, call: &Context<'_>, rng: &mut Rng) -> Result<Reply, CallError>;

    /// Where the options have classes of rows; none for a verb that is never told of any.
    fn labels_mut(&mut self) -> Option<&mut Option<Vec<i64>>> {
        None
    }

    /// The seed given, where the answer depends on random numbers; none where it does not.
    fn seed(&self) -> Option<Option<u64>> {
        None
    }

    fn set_seed(&mut self, _seed: u64) {}

    /// Whether calls with equal options may be computed as one. Calls that draw numbers go alone, since what
    /// they draw would depend on their company.
    fn may_batch(&self) -> bool {
        self.seed().is_none()
    }

    /// Whether each row of the answer is that of one input row.
    fn answers_row_by_row(&self) -> bool {
        true
    }

    /// Rows that go through the model: those given, or those asked for.
    fn rows(&self, given: usize, _labels: Option<&[i64]>) -> usize {
        given
    }

    /// How often each row goes through the model beside the first time.
    fn steps(&self, _model: &dyn Model) -> u32 {
        0
    }

    /// The field that is to blame where the numbers of an answer overflow, and why.
    fn overflow(&self) -> (&'static str, &'static str) {
        ("inputs", "its values are too large for this model")
    }

    /// The tensors that go in, as the inference protocol names them.
    fn inputs(shapes: &Shapes<'_>) -> Vec<Tensor> {
        let row = match Self::ROWS {
            RowKind::Code => shapes.code,
            RowKind::Data | RowKind::Ends | RowKind::None => shapes.row,
        };
        let labels = shapes.signature.conditioned_on.map(|_| Tensor::labels());
        [Some(Tensor::floats("inputs", row)), labels]
            .into_iter()
            .flatten()
            .collect()
    }

    /// The tensors that come out.
    fn outputs(shapes: &Shapes<'_>) -> Vec<Tensor> {
        vec![Tensor::floats("outputs", shapes.row)]
    }

    /// Makes libtorch choose and cache its kernels, where that is quick; see `on_zeros`.
    fn warm_up(_model: &dyn Model, _facts: &DataFacts, _device: Device) {}

    /// A call that any model which offers the verb answers, for tests over all of them.
    #[cfg(test)]
    fn example(_model: &dyn Model, rows: &super::call::Example) -> Call {
        Call::of(Self::default(), rows.input.clone())
    }
}

/// A call with the usual options on one row of zeros.
pub fn on_zeros<D: Define>(model: &dyn Model, facts: &DataFacts, device: Device) {
    let shape = match D::ROWS {
        RowKind::Code => model.code_shape().unwrap_or_default(),
        RowKind::Data | RowKind::Ends | RowKind::None => facts.shape().to_vec(),
    };
    let width = usize::try_from(shape.iter().product::<i64>()).unwrap_or(0);
    let input = Input {
        rows: 1,
        values: vec![0.0; width],
        labels: model.conditioned_on().map(|_| vec![0]),
    };
    let _ = Call::of(D::default(), input).apply(model, facts, device);
}

/// The options of a call, whichever verb they are of.
pub trait Options: Debug + Send + Sync {
    fn verb(&self) -> &'static str;
    fn run(&self, call: &Context<'_>, rng: &mut Rng) -> Result<Reply, CallError>;
    fn row_kind(&self) -> RowKind;
    fn seed(&self) -> Option<Option<u64>>;
    fn set_seed(&mut self, seed: u64);
    fn may_batch(&self) -> bool;
    fn answers_row_by_row(&self) -> bool;
    fn rows(&self, given: usize, labels: Option<&[i64]>) -> usize;
    fn steps(&self, model: &dyn Model) -> u32;
    fn overflow(&self) -> (&'static str, &'static str);
    /// Whether both ask the same, by the same verb.
    fn equals(&self, other: &dyn Options) -> bool;
    fn boxed(&self) -> Box<dyn Options>;
    fn as_any(&self) -> &dyn Any;
}

impl<D: Define> Options for D {
    fn verb(&self) -> &'static str {
        D::NAME
    }
    fn run(&self, call: &Context<'_>, rng: &mut Rng) -> Result<Reply, CallError> {
        Define::run(self, call, rng)
    }
    fn row_kind(&self) -> RowKind {
        D::ROWS
    }
    fn seed(&self) -> Option<Option<u64>> {
        Define::seed(self)
    }
    fn set_seed(&mut self, seed: u64) {
        Define::set_seed(self, seed);
    }
    fn may_batch(&self) -> bool {
        Define::may_batch(self)
    }
    fn answers_row_by_row(&self) -> bool {
        Define::answers_row_by_row(self)
    }
    fn rows(&self, given: usize, labels: Option<&[i64]>) -> usize {
        Define::rows(self, given, labels)
    }
    fn steps(&self, model: &dyn Model) -> u32 {
        Define::steps(self, model)
    }
    fn overflow(&self) -> (&'static str, &'static str) {
        Define::overflow(self)
    }
    fn equals(&self, other: &dyn Options) -> bool {
        other.as_any().downcast_ref::<D>() == Some(self)
    }
    fn boxed(&self) -> Box<dyn Options> {
        Box::new(self.clone())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Clone for Box<dyn Options> {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}

/// A row of the table: a verb behind one set of function pointers.
#[derive(Debug)]
pub struct Verb {
    pub name: &'static str,
    pub summary: &'static str,
    pub about: &'static str,
    pub rows: RowKind,
    pub preference: u8,
    pub extras: &'static [Extra],
    pub offered: fn(&dyn Model) -> bool,
    /// The options as a client writes them; its classes of rows, if any, set apart.
    pub read: fn(&Value) -> Result<Operation, FieldError>,
    pub inputs: fn(&Shapes<'_>) -> Vec<Tensor>,
    pub outputs: fn(&Shapes<'_>) -> Vec<Tensor>,
    /// Whether calls with the usual options may be computed as one.
    pub may_batch: fn() -> bool,
    pub warm_up: fn(&dyn Model, &DataFacts, Device),
    pub schema: fn() -> VerbSchema,
    #[cfg(test)]
    pub example: fn(&dyn Model, &super::call::Example) -> Call,
}

/// The OpenAPI schema of a verb's options, and those it refers to.
pub struct VerbSchema {
    pub name: String,
    pub schema: RefOr<Schema>,
    pub references: Vec<(String, RefOr<Schema>)>,
}

impl Verb {
    pub(super) const fn of<D: Define>(offered: fn(&dyn Model) -> bool) -> Self {
        Self {
            name: D::NAME,
            summary: D::SUMMARY,
            about: D::ABOUT,
            rows: D::ROWS,
            preference: D::PREFERENCE,
            extras: D::EXTRAS,
            offered,
            read: |value| Ok(Operation::of(document::read::<D>(value, "")?)),
            inputs: D::inputs,
            outputs: D::outputs,
            may_batch: || Define::may_batch(&D::default()),
            warm_up: D::warm_up,
            schema: || {
                let mut references = Vec::new();
                D::schemas(&mut references);
                VerbSchema {
                    name: D::name().into_owned(),
                    schema: D::schema(),
                    references,
                }
            },
            #[cfg(test)]
            example: D::example,
        }
    }
}
