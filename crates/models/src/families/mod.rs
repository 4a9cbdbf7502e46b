//! The model families: a folder each, and the table that lists them.
//!
//! Everything outside reaches a family through its row in [`FAMILIES`]; the routes, the OpenAPI
//! document, the capability lists and the generic tests all follow from the table.

mod autoencoder;
mod dbn;
mod define;
mod gan;
#[cfg(test)]
mod linear;
mod mlp;
mod pca;
mod rbm;
mod spec;
#[cfg(test)]
mod suite;
mod vae;

use serde_json::Value;

use crate::nn::model::DataFacts;
use crate::verbs::Signature;

pub use define::{Define, Family, FamilyError};

/// Every family that can be trained, in the order they are documented.
pub static FAMILIES: &[Family] = &[
    Family::of::<pca::Spec>(),
    Family::of::<rbm::Spec>(),
    Family::of::<autoencoder::Spec>(),
    Family::of::<vae::Spec>(),
    Family::of::<dbn::Spec>(),
    Family::of::<gan::Spec>(),
    Family::of::<mlp::Spec>(),
    #[cfg(test)]
    Family::of::<linear::Spec>(),
];

/// Weights and biases that one model may have: 4 GiB as f32, and as much again for each moment.
pub const MAX_PARAMETERS: u128 = 1 << 30;

impl Family {
    /// The signature of a stored model; that of no verb at all where its spec does not fit this program, which
    /// is told when it is loaded.
    pub fn signature_of(kind: &str, spec: &Value, data: &DataFacts) -> Signature {
        let signature = Self::find(kind).and_then(|family| (family.signature)(spec, data).ok());
        signature.unwrap_or_default()
    }

    /// Numbers that a row leaves in a training step of a stored model, which is at least what it takes to answer;
    /// 0 where its spec does not fit this program.
    pub fn working_a_row(kind: &str, spec: &Value, data: &DataFacts) -> u128 {
        let of = |rows| Self::find(kind).and_then(|family| (family.working)(spec, data, rows).ok());
        // What does not grow with the rows is no matter here.
        let (one, two) = (of(1).unwrap_or(0), of(2).unwrap_or(0));
        two.saturating_sub(one)
    }

    /// The family of this `kind`.
    pub fn find(kind: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.kind == kind)
    }
}
