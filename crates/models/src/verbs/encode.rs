//! `encode`: rows of data to their codes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::call::{CallError, Reply};
use super::context::Context;
use super::define::{Define, Extra, ExtraShape, Options};
use super::tensors::{Shapes, Tensor};
use crate::nn::model::{Answer, BadOption, Rows};
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
    /// The number of the layer that is the code, and what it is in a client's words.
    fn last_layer(&self) -> (usize, &'static str);
    /// Whether a layer's activity has a distribution, in a model that has some use for `sample`.
    fn can_draw(&self, _layer: usize) -> bool {
        true
    }
    /// The activity of a layer: its mean, or what `draw` draws from its distribution.
    fn encode(&self, rows: &Rows, layer: usize, draw: Option<&mut Rng>) -> Answer;
}

impl Options for EncodeOptions {
    fn run(&self, call: &Context<'_>, rng: &mut Rng) -> Result<Reply, CallError> {
        let encoder = call.part(call.model.encoder())?;
        let rows = call.inputs()?;
        let (last, what) = encoder.last_layer();
        let layer = self.layer.unwrap_or(last);
        if layer > last {
            let rule = format!("must be at most {last}, {what}, got {layer}");
            return Err(BadOption::new("layer", rule).into());
        }
        let draw = call.model.honoured("sample", self.sample.then_some(rng))?;
        if draw.is_some() && !encoder.can_draw(layer) {
            let rule = format!("only the code, layer {last}, has a distribution to draw from");
            return Err(BadOption::new("sample", rule).into());
        }
        Ok(Reply::of(encoder.encode(&rows, layer, draw), None))
    }

    fn labels_mut(&mut self) -> Option<&mut Option<Vec<i64>>> {
        Some(&mut self.labels)
    }

    fn seed(&self) -> Option<Option<u64>> {
        self.sample.then_some(self.seed)
    }

    fn answers_a_layer(&self) -> bool {
        self.layer.is_some()
    }
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

    fn outputs(shapes: &Shapes<'_>) -> Vec<Tensor> {
        let beside = shapes.signature.beside_the_code.iter();
        let names = std::iter::once(&"outputs").chain(beside);
        names.map(|name| Tensor::floats(name, shapes.code)).collect()
    }
}
