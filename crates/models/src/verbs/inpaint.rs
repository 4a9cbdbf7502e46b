//! `inpaint`: rows with gaps to whole ones.

use serde::{Deserialize, Serialize};
use tch::Tensor;
use utoipa::ToSchema;

use super::Model;
#[cfg(test)]
use super::call::{Call, Example};
use super::call::{CallError, Reply};
use super::context::Context;
use super::define::{Define, Options};
use super::tensors::{self, Shapes};
use crate::nn::model::{BadOption, Rows};
use crate::nn::rng::Rng;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InpaintOptions {
    /// 1 where a value is missing, else 0: one flat row for all inputs, or one for each.
    #[schema(required)]
    pub mask: Vec<f32>,
    /// Rounds of filling in (a Gibbs step each for RBM and DBN). Default 100.
    #[schema(minimum = 1, maximum = 100_000)]
    pub gibbs_steps: Option<u32>,
    pub seed: Option<u64>,
    /// Class of each row, for models conditioned on labels; `rows` bring their own.
    pub labels: Option<Vec<i64>>,
}

pub trait Inpainter {
    /// Fills in where `missing: [rows, features]` is 1; the rest of the answer is the input's own.
    fn inpaint(&self, rows: &Rows, missing: &Tensor, rounds: u32, rng: &mut Rng) -> Tensor;
}

impl InpaintOptions {
    fn rounds(&self) -> u32 {
        self.gibbs_steps.unwrap_or(100)
    }

    /// `[rows, features]`.
    fn missing(&self, call: &Context<'_>, rows: i64) -> Result<Tensor, BadOption> {
        let features = call.facts.features();
        let given = self.mask.len() as i64;
        if given != features && given != rows * features {
            let rule =
                format!("must have {features} values, or that many for each input, got {given}");
            return Err(BadOption::new("mask", rule));
        }
        if self.mask.iter().any(|&m| m != 0.0 && m != 1.0) {
            let rule = "must be 1 where a value is missing, else 0";
            return Err(BadOption::new("mask", rule));
        }
        Ok(Tensor::from_slice(&self.mask)
            .view([-1, features])
            .expand([rows, features], false)
            .to_device(call.device))
    }
}

impl Options for InpaintOptions {
    fn run(&self, call: &Context<'_>, rng: &mut Rng) -> Result<Reply, CallError> {
        let part = call.part(call.model.inpainter())?;
        let rows = call.inputs()?;
        let missing = self.missing(call, rows.count())?;
        let output = part.inpaint(&rows, &missing, self.rounds(), rng);
        Ok(Reply::of(output, call.shape()))
    }

    fn labels_mut(&mut self) -> Option<&mut Option<Vec<i64>>> {
        Some(&mut self.labels)
    }

    fn seed(&self) -> Option<Option<u64>> {
        Some(self.seed)
    }

    /// A mask may have a row for each input.
    fn answers_row_by_row(&self) -> bool {
        self.mask.len() < 2
    }

    fn steps(&self, _model: &dyn Model) -> u32 {
        self.rounds()
    }
}

impl Define for InpaintOptions {
    const NAME: &'static str = "inpaint";
    const SUMMARY: &'static str = "Inputs with gaps to whole ones";
    const ABOUT: &'static str =
        "Each row with what `mask` calls missing filled in; the rest stays as it was.";
    const PREFERENCE: u8 = 7;
    const WARMS_UP: bool = false;

    fn inputs(shapes: &Shapes<'_>) -> Vec<tensors::Tensor> {
        let labels = shapes.signature.conditioned_on.map(|_| tensors::Tensor::labels());
        let rows = ["inputs", "mask"].map(|name| tensors::Tensor::floats(name, shapes.row));
        rows.into_iter().chain(labels).collect()
    }

    /// The second half of each row is missing.
    #[cfg(test)]
    fn example(_model: &dyn Model, rows: &Example) -> Call {
        let half = rows.input.values.len() / rows.input.rows / 2;
        let options = Self {
            mask: [vec![0.0; half], vec![1.0; half]].concat(),
            seed: Some(2),
            ..Self::default()
        };
        Call::of(options, rows.input.clone())
    }
}

/// `x` where it is known, `filling` where it is missing.
pub fn fill_in(x: &Tensor, missing: &Tensor, filling: &Tensor) -> Tensor {
    x + missing * (filling - x)
}
