//! `encode`: rows of data to their codes.

use serde::{Deserialize, Serialize};
use tch::Device;
use utoipa::ToSchema;

use super::Model;
use super::call::{CallError, Reply};
use super::context::Context;
use super::define::{Define, Extra, ExtraShape, on_zeros};
use super::tensors::{Shapes, Tensor};
use crate::nn::model::{Answer, BadOption, DataFacts, Rows};
use crate::nn::rng::Rng;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EncodeOptions {
    /// 0 = the first hidden layer; left out, the code.
    pub layer: Option<usize>,
    /// Draw the code from its distribution instead of giving its mean.
    pub sample: bool,
    pub seed: Option<u64>,
    /// Class of each row, for models conditioned on labels; `rows` bring their own.
    pub labels: Option<Vec<i64>>,
}

pub trait Encoder {
    fn encode(
        &self,
        rows: &Rows,
        options: &EncodeOptions,
        rng: &mut Rng,
    ) -> Result<Answer, BadOption>;
}

impl Define for EncodeOptions {
    const NAME: &'static str = "encode";
    const SUMMARY: &'static str = "Inputs to codes";
    const ABOUT: &'static str = "The code of each row, or a hidden layer's activity.";
    const PREFERENCE: u8 = 1;
    const EXTRAS: &'static [Extra] = &[
        Extra {
            name: "mean",
            about: "`encode` of a VAE: mean of the latent distribution.",
            shape: ExtraShape::Row,
        },
        Extra {
            name: "log_variance",
            about: "`encode` of a VAE: logarithm of its variance.",
            shape: ExtraShape::Row,
        },
    ];

    fn run(&self, call: &Context<'_>, rng: &mut Rng) -> Result<Reply, CallError> {
        let encoder = call.part(call.model.encoder())?;
        Ok(Reply::of(encoder.encode(&call.inputs()?, self, rng)?, None))
    }

    fn labels_mut(&mut self) -> Option<&mut Option<Vec<i64>>> {
        Some(&mut self.labels)
    }

    fn seed(&self) -> Option<Option<u64>> {
        self.sample.then_some(self.seed)
    }

    fn set_seed(&mut self, seed: u64) {
        self.seed = Some(seed);
    }

    fn outputs(shapes: &Shapes<'_>) -> Vec<Tensor> {
        let beside = shapes.signature.beside_the_code.iter();
        let names = std::iter::once(&"outputs").chain(beside);
        names.map(|name| Tensor::floats(name, shapes.code)).collect()
    }

    fn warm_up(model: &dyn Model, facts: &DataFacts, device: Device) {
        on_zeros::<Self>(model, facts, device);
    }
}
