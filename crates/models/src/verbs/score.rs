//! `score`: how unusual rows are to the model.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::call::{CallError, Reply};
use super::context::Context;
use super::define::{Define, Extra, ExtraShape, Options};
use super::tensors::{Shapes, Tensor};
use crate::nn::model::Rows;
use crate::nn::rng::Rng;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreOptions {
    /// For scores that draw random numbers (VAE).
    pub seed: Option<u64>,
    /// Class of each row, for models conditioned on labels; `rows` bring their own.
    pub labels: Option<Vec<i64>>,
}

pub trait Scorer {
    /// What the score is, for example `free_energy`; higher means less like the training data.
    fn metric(&self) -> &'static str;
    /// `[rows]`.
    fn score(&self, rows: &Rows, rng: &mut Rng) -> tch::Tensor;
}

impl Options for ScoreOptions {
    fn run(&self, call: &Context<'_>, rng: &mut Rng) -> Result<Reply, CallError> {
        let scorer = call.part(call.model.scorer())?;
        let scores = scorer.score(&call.inputs()?, rng);
        let mut reply = Reply::of(scores, Some(&[]));
        reply.metric = Some(scorer.metric());
        Ok(reply)
    }

    fn labels_mut(&mut self) -> Option<&mut Option<Vec<i64>>> {
        Some(&mut self.labels)
    }

    /// An estimate that draws numbers says the same of the same rows, unless asked otherwise.
    fn seed(&self) -> Option<Option<u64>> {
        self.seed.map(Some)
    }

    /// Scores that draw numbers draw the same for every row.
    fn may_batch(&self) -> bool {
        true
    }
}

impl Define for ScoreOptions {
    const NAME: &'static str = "score";
    const SUMMARY: &'static str = "How unusual inputs are";
    const ABOUT: &'static str = "One number a row; higher means less like the training data.";
    const PREFERENCE: u8 = 6;
    const EXTRAS: &'static [Extra] = &[Extra {
        name: "metric",
        about: "`score`: what the numbers are, for example `free_energy`.",
        shape: ExtraShape::Text,
    }];

    fn outputs(_shapes: &Shapes<'_>) -> Vec<Tensor> {
        vec![Tensor::floats("outputs", &[])]
    }
}
