//! The model families: one file each, and the table that lists them.
//!
//! Everything outside reaches a family through its row in [`FAMILIES`]; the routes, the OpenAPI
//! document, the capability lists and the generic tests all follow from the table.

pub mod autoencoder;
pub mod dbn;
pub mod gan;
#[cfg(test)]
mod linear;
pub mod mlp;
pub mod pca;
pub mod rbm;
#[cfg(test)]
mod suite;
pub mod vae;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tch::Device;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::document::{self, FieldError, Ranges, Rules};
use crate::nn::model::DataFacts;
use crate::nn::{TensorMismatch, Tensors};
use crate::train::Learner;
use crate::train::settings::{Training, TrainingDefaults};
use crate::verbs::Model;
use crate::verbs::Signature;

/// Every family that can be trained, in the order they are documented.
pub static FAMILIES: &[Family] = &[
    Family::of::<pca::Pca>(),
    Family::of::<rbm::Rbm>(),
    Family::of::<autoencoder::Autoencoder>(),
    Family::of::<vae::Vae>(),
    Family::of::<dbn::DeepBelief>(),
    Family::of::<gan::Gan>(),
    Family::of::<mlp::Mlp>(),
    #[cfg(test)]
    Family::of::<linear::Linear>(),
];

/// Weights and biases that one model may have: 4 GiB as f32, and as much again for each moment.
pub const MAX_PARAMETERS: u128 = 1 << 30;

/// What a family's file provides.
pub trait Define: 'static {
    const KIND: &'static str;
    /// One line for people.
    const SUMMARY: &'static str;
    /// Whether what is learnt depends on the weights at the start, so that they can be another model's.
    const LEARNS_FROM_A_START: bool = true;
    /// The `model` object of a job, its `kind` included. `Default` is what `{"kind": …}` trains.
    type Spec: Serialize + DeserializeOwned + Default + ToSchema;

    fn training_defaults() -> TrainingDefaults;
    /// Rules beyond the types and the ranges that the schema names; pointers start at `/model`. Values can be out
    /// of their ranges here: those rules are told beside these.
    fn check(spec: &Self::Spec, training: &Training, data: &DataFacts, rules: &mut Rules);
    /// The spec with what was left out and follows from the data written down, so that what is trained says what it
    /// is, and stays that whatever later programs would choose.
    fn settle(spec: Self::Spec, _data: &DataFacts) -> Self::Spec {
        spec
    }
    /// How many numbers the model will have, computed without making them.
    fn parameters(spec: &Self::Spec, data: &DataFacts) -> u128;
    /// Numbers that a training step of `rows` rows keeps at once beside weights, gradients and moments;
    /// rather too few than too many.
    fn working(_spec: &Self::Spec, data: &DataFacts, rows: u128) -> u128 {
        rows.saturating_mul(data.features().unsigned_abs().into())
    }
    fn signature(_spec: &Self::Spec, _data: &DataFacts) -> Signature {
        Signature::default()
    }
    /// A learner with fresh weights, drawn from the training seed.
    fn learner(
        spec: &Self::Spec,
        training: &Training,
        data: &DataFacts,
        device: Device,
    ) -> Box<dyn Learner>;
    /// The trained model from its published tensors.
    fn load(
        spec: &Self::Spec,
        data: &DataFacts,
        tensors: &Tensors,
        device: Device,
    ) -> Result<Box<dyn Model>, TensorMismatch>;
}

type Loader = fn(&Value, &DataFacts, &Tensors, Device) -> Result<Box<dyn Model>, FamilyError>;
type Reader<T> = fn(&Value, &Training, &DataFacts, Device) -> Result<T, FamilyError>;

/// A row of the table: a family behind one set of function pointers.
#[derive(Debug)]
pub struct Family {
    pub kind: &'static str,
    pub summary: &'static str,
    pub learns_from_a_start: bool,
    pub training_defaults: fn() -> TrainingDefaults,
    /// The spec with every default filled in.
    pub normalise: fn(&Value) -> Result<Value, FieldError>,
    pub check: fn(&Value, &Training, &DataFacts) -> Vec<FieldError>,
    pub settle: fn(&Value, &DataFacts) -> Result<Value, FamilyError>,
    pub parameters: fn(&Value, &DataFacts) -> Result<u128, FamilyError>,
    pub working: fn(&Value, &DataFacts, u128) -> Result<u128, FamilyError>,
    pub signature: fn(&Value, &DataFacts) -> Result<Signature, FamilyError>,
    pub learner: Reader<Box<dyn Learner>>,
    pub load: Loader,
    pub schema: fn() -> FamilySchema,
}

/// The OpenAPI schema of a family's spec, and those it refers to.
pub struct FamilySchema {
    pub name: String,
    pub schema: RefOr<Schema>,
    pub references: Vec<(String, RefOr<Schema>)>,
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
    const fn of<D: Define>() -> Self {
        Self {
            kind: D::KIND,
            summary: D::SUMMARY,
            learns_from_a_start: D::LEARNS_FROM_A_START,
            training_defaults: D::training_defaults,
            normalise: |value| {
                let spec: D::Spec = document::read(value, "/model")?;
                Ok(serde_json::to_value(spec).unwrap_or_default())
            },
            check: |value, training, data| {
                let mut rules = Rules::default();
                match document::read::<D::Spec>(value, "/model") {
                    Ok(spec) => {
                        rules.extend(Ranges::of::<D::Spec>().broken(value, "/model"));
                        D::check(&spec, training, data, &mut rules);
                    }
                    Err(error) => rules.extend(vec![error]),
                }
                rules.broken()
            },
            settle: |value, data| {
                let spec = D::settle(stored::<D>(value)?, data);
                Ok(serde_json::to_value(spec).unwrap_or_default())
            },
            parameters: |value, data| Ok(D::parameters(&stored::<D>(value)?, data)),
            working: |value, data, rows| Ok(D::working(&stored::<D>(value)?, data, rows)),
            signature: |value, data| Ok(D::signature(&stored::<D>(value)?, data)),
            learner: |value, training, data, device| {
                Ok(D::learner(&stored::<D>(value)?, training, data, device))
            },
            load: |value, data, tensors, device| {
                Ok(D::load(&stored::<D>(value)?, data, tensors, device)?)
            },
            schema: || {
                let mut references = Vec::new();
                D::Spec::schemas(&mut references);
                FamilySchema {
                    name: D::Spec::name().into_owned(),
                    schema: D::Spec::schema(),
                    references,
                }
            },
        }
    }

    /// The signature of a stored model; that of no verb at all where its spec does not fit this program, which
    /// is told when it is loaded.
    pub fn signature_of(kind: &str, spec: &Value, data: &DataFacts) -> Signature {
        let signature = Self::find(kind).and_then(|family| (family.signature)(spec, data).ok());
        signature.unwrap_or_default()
    }

    /// The family of this `kind`.
    pub fn find(kind: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.kind == kind)
    }
}

fn stored<D: Define>(value: &Value) -> Result<D::Spec, FamilyError> {
    document::read(value, "/model").map_err(FamilyError::Spec)
}

/// The schema of a layer's width in a list of them.
struct Width;

impl PartialSchema for Width {
    fn schema() -> RefOr<Schema> {
        let unit = ExtensionsBuilder::new().add("x-unit", "units");
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(1))
            .maximum(Some(1 << 24))
            .extensions(Some(unit.build()))
            .into()
    }
}

impl ToSchema for Width {}
