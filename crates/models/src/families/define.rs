//! What a family provides, and the row of the table that is made of it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tch::Device;
use utoipa::ToSchema;

use crate::document::{self, FieldError, Ranges, Rules, TypeSchema};
use crate::nn::model::DataFacts;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::Learner;
use crate::train::settings::{Training, TrainingDefaults};
use crate::verbs::{Model, Signature};

/// What a family is, as the `model` object of a job says it, `kind` included. `Default` is what
/// `{"kind": …}` trains.
pub trait Define: Serialize + DeserializeOwned + Default + ToSchema + 'static {
    const KIND: &'static str;
    /// One line for people.
    const SUMMARY: &'static str;
    /// Whether what is learnt depends on the weights at the start, so that they can be another model's.
    const LEARNS_FROM_A_START: bool = true;
    /// Whether columns of a greater scale weigh more: they are neither standardised nor refused.
    const WEIGHS_BY_SCALE: bool = false;
    const TRAINING: TrainingDefaults;

    /// Rules beyond the types and the ranges that the schema names; pointers start at `/model`. Values can be out
    /// of their ranges here: those rules are told beside these.
    fn check(&self, training: &Training, data: &DataFacts, rules: &mut Rules);
    /// The spec with what was left out and follows from the data written down, so that what is trained says what it
    /// is, and stays that whatever later programs would choose.
    #[must_use]
    fn settled(self, _data: &DataFacts) -> Self {
        self
    }
    /// How many numbers the model will have, computed without making them.
    fn parameters(&self, data: &DataFacts) -> u128;
    /// Numbers that a training step of `rows` rows keeps at once beside weights, gradients and moments;
    /// rather too few than too many.
    fn working(&self, data: &DataFacts, rows: u128) -> u128 {
        rows.saturating_mul(data.features().unsigned_abs().into())
    }
    fn signature(&self, _data: &DataFacts) -> Signature {
        Signature::default()
    }
    /// Epochs over all of its phases, or rather more than fewer.
    fn epochs(&self, training: &Training) -> u64 {
        training.epochs.into()
    }
    /// The width of the code, where nothing but its being narrower than the rows keeps the model from copying them.
    fn bottleneck(&self, _data: &DataFacts) -> Option<i64> {
        None
    }
    /// A learner with fresh weights, drawn from the training seed.
    fn learner(&self, training: &Training, data: &DataFacts, device: Device) -> Box<dyn Learner>;
    /// The trained model from its published tensors.
    fn load(&self, data: &DataFacts, tensors: &Tensors, device: Device) -> Loaded;
}

/// A model, or the tensor that does not fit it.
pub type Loaded = Result<Box<dyn Model>, TensorMismatch>;

/// What a stored spec says.
type Read<T> = Result<T, FamilyError>;
type Of<T> = fn(&Value, &DataFacts) -> Read<T>;
type Starter = fn(&Value, &Training, &DataFacts, Device) -> Read<Box<dyn Learner>>;
type Loader = fn(&Value, &DataFacts, &Tensors, Device) -> Read<Box<dyn Model>>;

/// A row of the table: a family behind one set of function pointers.
#[derive(Debug)]
pub struct Family {
    pub kind: &'static str,
    pub summary: &'static str,
    pub learns_from_a_start: bool,
    pub training_defaults: TrainingDefaults,
    /// The spec with every default filled in.
    pub normalise: fn(&Value) -> Result<Value, FieldError>,
    pub check: fn(&Value, &Training, &DataFacts) -> Vec<FieldError>,
    pub settle: Of<Value>,
    pub parameters: Of<u128>,
    pub working: fn(&Value, &DataFacts, u128) -> Read<u128>,
    pub signature: Of<Signature>,
    pub epochs: fn(&Value, &Training) -> Read<u64>,
    pub bottleneck: Of<Option<i64>>,
    pub weighs_by_scale: bool,
    pub learner: Starter,
    pub load: Loader,
    pub schema: fn() -> TypeSchema,
}

/// Why a stored spec or stored weights no longer make a model.
#[derive(Debug, thiserror::Error)]
pub enum FamilyError {
    #[error("the stored spec does not fit this version: {} {}", .0.pointer, .0.detail)]
    Spec(FieldError),
    #[error(transparent)]
    Tensors(#[from] TensorMismatch),
}

impl Family {
    pub const fn of<D: Define>() -> Self {
        Self {
            kind: D::KIND,
            summary: D::SUMMARY,
            learns_from_a_start: D::LEARNS_FROM_A_START,
            training_defaults: D::TRAINING,
            normalise: |value| Ok(written(&document::read::<D>(value, "/model")?)),
            check: |value, training, data| {
                let mut rules = Rules::default();
                match document::read::<D>(value, "/model") {
                    Ok(spec) => {
                        rules.extend(Ranges::of::<D>().broken(value, "/model"));
                        spec.check(training, data, &mut rules);
                    }
                    Err(error) => rules.extend(vec![error]),
                }
                rules.broken()
            },
            settle: |value, data| Ok(written(&stored::<D>(value)?.settled(data))),
            parameters: |value, data| Ok(stored::<D>(value)?.parameters(data)),
            working: |value, data, rows| Ok(stored::<D>(value)?.working(data, rows)),
            signature: |value, data| Ok(stored::<D>(value)?.signature(data)),
            epochs: |value, training| Ok(stored::<D>(value)?.epochs(training)),
            bottleneck: |value, data| Ok(stored::<D>(value)?.bottleneck(data)),
            weighs_by_scale: D::WEIGHS_BY_SCALE,
            learner: |value, training, data, device| {
                Ok(stored::<D>(value)?.learner(training, data, device))
            },
            load: |value, data, tensors, device| {
                Ok(stored::<D>(value)?.load(data, tensors, device)?)
            },
            schema: TypeSchema::of::<D>,
        }
    }
}

fn stored<D: Define>(value: &Value) -> Read<D> {
    document::read(value, "/model").map_err(FamilyError::Spec)
}

fn written(spec: &impl Define) -> Value {
    serde_json::to_value(spec).unwrap_or_default()
}
