//! What a verb is to everything that lists verbs: a row of the table, and its options behind one trait.

use std::any::Any;
use std::fmt::Debug;
use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tch::Device;
use utoipa::ToSchema;

use super::Model;
use super::call::{Call, CallError, Input, Operation, Reply};
use super::context::Context;
use super::tensors::{Shapes, Tensor};
use crate::document::{self, FieldError, Ranges, TypeSchema};
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

/// The options of a call, whichever verb they are of.
pub trait Options: OfOneVerb + Any + Debug + Send + Sync {
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

    /// Whether calls with equal options may be computed as one. Calls that draw numbers go alone, since what
    /// they draw would depend on their company.
    fn may_batch(&self) -> bool {
        self.seed().is_none()
    }

    /// Whether each row of the answer is that of one input row.
    fn answers_row_by_row(&self) -> bool {
        true
    }

    /// Whether the answer is a layer's activity, whose width the registry does not know.
    fn answers_a_layer(&self) -> bool {
        false
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
}

/// What options know by their type: their verb, and others of it.
pub trait OfOneVerb {
    fn verb(&self) -> &'static str;
    fn row_kind(&self) -> RowKind;
    /// Whether both ask the same, by the same verb.
    fn equals(&self, other: &dyn Options) -> bool;
    fn boxed(&self) -> Box<dyn Options>;
}

impl<D: Define> OfOneVerb for D {
    fn verb(&self) -> &'static str {
        D::NAME
    }
    fn row_kind(&self) -> RowKind {
        D::ROWS
    }
    fn equals(&self, other: &dyn Options) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref() == Some(self)
    }
    fn boxed(&self) -> Box<dyn Options> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Options> {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}

/// What a verb's file provides, on the type of its options.
pub trait Define: Options + Clone + PartialEq + Default + DeserializeOwned + ToSchema {
    const NAME: &'static str;
    /// One line for people.
    const SUMMARY: &'static str;
    /// What it answers, in a sentence.
    const ABOUT: &'static str;
    const ROWS: RowKind = RowKind::Data;
    /// Its place among the verbs that a model may be asked by when none is named: the first that it offers.
    const PREFERENCE: u8;
    const EXTRAS: &'static [Extra] = &[];
    /// Whether a model that was loaded is first asked by it, on a row of zeros.
    const WARMS_UP: bool = true;

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

    /// Makes libtorch choose and cache its kernels, where that is quick: by a call with the usual options.
    fn warm_up(model: &dyn Model, facts: &DataFacts, device: Device) {
        if !Self::WARMS_UP {
            return;
        }
        let shape = match Self::ROWS {
            RowKind::Code => model.code_shape().unwrap_or_default(),
            RowKind::Data | RowKind::Ends | RowKind::None => facts.shape().to_vec(),
        };
        let width = usize::try_from(shape.iter().product::<i64>()).unwrap_or(0);
        let input = Input {
            rows: 1,
            values: vec![0.0; width],
            labels: model.conditioned_on().map(|_| vec![0]),
        };
        let _ = Call::of(Self::default(), input).apply(model, facts, device);
    }

    /// A call that any model which offers the verb answers, for tests over all of them.
    #[cfg(test)]
    fn example(_model: &dyn Model, rows: &super::call::Example) -> Call {
        Call::of(Self::default(), rows.input.clone())
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
    typed: fn(&Value) -> Result<Operation, FieldError>,
    ranges: &'static LazyLock<Ranges>,
    pub inputs: fn(&Shapes<'_>) -> Vec<Tensor>,
    pub outputs: fn(&Shapes<'_>) -> Vec<Tensor>,
    /// Whether calls with the usual options may be computed as one.
    pub may_batch: fn() -> bool,
    pub warm_up: fn(&dyn Model, &DataFacts, Device),
    pub schema: fn() -> TypeSchema,
    #[cfg(test)]
    pub example: fn(&dyn Model, &super::call::Example) -> Call,
}

impl Verb {
    /// `ranges` are those of `D`.
    pub(super) const fn of<D: Define>(
        offered: fn(&dyn Model) -> bool,
        ranges: &'static LazyLock<Ranges>,
    ) -> Self {
        Self {
            name: D::NAME,
            summary: D::SUMMARY,
            about: D::ABOUT,
            rows: D::ROWS,
            preference: D::PREFERENCE,
            extras: D::EXTRAS,
            offered,
            typed: |value| Ok(Operation::of(document::read::<D>(value, "")?)),
            ranges,
            inputs: D::inputs,
            outputs: D::outputs,
            may_batch: || D::default().may_batch(),
            warm_up: D::warm_up,
            schema: TypeSchema::of::<D>,
            #[cfg(test)]
            example: D::example,
        }
    }

    /// The options as a client writes them, within the ranges that their schema names; classes of rows, if any,
    /// are set apart.
    pub fn read(&self, options: &Value) -> Result<Operation, Vec<FieldError>> {
        let operation = (self.typed)(options).map_err(|error| vec![error])?;
        let broken = self.ranges.broken(options, "");
        if broken.is_empty() {
            Ok(operation)
        } else {
            Err(broken)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::verbs::find;

    #[test]
    fn options_are_held_to_the_ranges_of_their_schema() {
        let broken = |verb: &str, options| {
            let verb = find(verb).expect("a verb");
            let errors = verb.read(&options).err().unwrap_or_default();
            errors.into_iter().map(|e| (e.pointer, e.detail)).collect()
        };
        let cases = [
            (
                "generate",
                json!({"n": 0}),
                "n",
                "between 1 and 4096, got 0",
            ),
            (
                "generate",
                json!({"temperature": 0}),
                "temperature",
                "above 0, got 0",
            ),
            (
                "generate",
                json!({"gibbs_steps": 100_001}),
                "gibbs_steps",
                "between 0 and 100000, got 100001",
            ),
            (
                "reconstruct",
                json!({"gibbs_steps": 100_001}),
                "gibbs_steps",
                "between 0 and 100000, got 100001",
            ),
            (
                "denoise",
                json!({"gibbs_steps": 100_001}),
                "gibbs_steps",
                "between 0 and 100000, got 100001",
            ),
            (
                "inpaint",
                json!({"mask": [2], "gibbs_steps": 0}),
                "gibbs_steps",
                "between 1 and 100000, got 0",
            ),
            (
                "interpolate",
                json!({"steps": 1, "from": 3}),
                "steps",
                "between 2 and 1024, got 1",
            ),
        ];
        for (verb, options, field, range) in cases {
            let errors: Vec<(String, String)> = broken(verb, options);
            assert_eq!(errors, [(format!("/{field}"), format!("must be {range}"))]);
        }
        let usual = json!({"n": 4096, "gibbs_steps": 0, "temperature": 1e-9, "seed": u64::MAX});
        assert_eq!(broken("generate", usual), []);
    }
}
