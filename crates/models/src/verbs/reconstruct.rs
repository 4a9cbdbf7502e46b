//! `reconstruct`: rows of data to their codes and back.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Model;
use super::call::{CallError, Reply};
use super::context::Context;
use super::define::{Define, Extra, ExtraShape, Options};
use super::tensors::{Shapes, Tensor};
use crate::nn::model::{Answer, Rows, error_per_row};
use crate::nn::rng::Rng;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReconstructOptions {
    /// Full Gibbs steps before the last, mean-field pass down (RBM, DBN). Default 0.
    #[schema(maximum = 100_000)]
    pub gibbs_steps: Option<u32>,
    pub seed: Option<u64>,
    /// Class of each row, for models conditioned on labels; `rows` bring their own.
    pub labels: Option<Vec<i64>>,
}

pub trait Reconstructor {
    /// After `steps` of a chain, in a model that has such.
    fn reconstruct(&self, rows: &Rows, steps: u32, rng: &mut Rng) -> tch::Tensor;
}

impl Options for ReconstructOptions {
    fn run(&self, call: &Context<'_>, rng: &mut Rng) -> Result<Reply, CallError> {
        let part = call.part(call.model.reconstructor())?;
        let rows = call.inputs()?;
        let steps = call.model.honoured("gibbs_steps", self.gibbs_steps)?;
        let output = part.reconstruct(&rows, steps.unwrap_or(0), rng);
        let extras = vec![("errors", error_per_row(&rows.x, &output))];
        Ok(Reply::of(Answer { output, extras }, call.shape()))
    }

    fn labels_mut(&mut self) -> Option<&mut Option<Vec<i64>>> {
        Some(&mut self.labels)
    }

    fn seed(&self) -> Option<Option<u64>> {
        (self.gibbs_steps > Some(0)).then_some(self.seed)
    }

    fn steps(&self, _model: &dyn Model) -> u32 {
        self.gibbs_steps.unwrap_or(0)
    }
}

impl Define for ReconstructOptions {
    const NAME: &'static str = "reconstruct";
    const SUMMARY: &'static str = "Inputs to their reconstructions";
    const ABOUT: &'static str = "Each row encoded and decoded again, with its mean squared error.";
    const PREFERENCE: u8 = 3;
    const EXTRAS: &'static [Extra] = &[Extra {
        name: "errors",
        about: "`reconstruct`: mean squared error of each row.",
        shape: ExtraShape::Number,
    }];

    fn outputs(shapes: &Shapes<'_>) -> Vec<Tensor> {
        vec![
            Tensor::floats("outputs", shapes.row),
            Tensor::floats("errors", &[]),
        ]
    }
}
