//! `denoise`: noisy rows to clean ones.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Model;
use super::call::{CallError, Field, Reply};
use super::context::Context;
use super::define::{Define, Extra, ExtraShape, Options};
use super::reconstruct::Reconstructor;
use crate::nn::corruption::CorruptionKind;
use crate::nn::model::{BadOption, Rows};
use crate::nn::rng::Rng;

/// Noise to put on inputs before they are denoised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Corrupt {
    pub kind: CorruptionKind,
    /// Standard deviation (`gaussian`) or share of the values (`mask`, `salt_and_pepper`).
    pub level: f64,
    pub seed: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DenoiseOptions {
    pub corrupt: Option<Corrupt>,
    /// Full Gibbs steps before the last, mean-field pass down (RBM, DBN). Default 0.
    #[schema(maximum = 100_000)]
    pub gibbs_steps: Option<u32>,
    pub seed: Option<u64>,
    /// Class of each row, for models conditioned on labels; `rows` bring their own.
    pub labels: Option<Vec<i64>>,
}

pub trait Denoiser: Reconstructor {
    /// `noisy` has been corrupted already where the caller asked for it.
    fn denoise(&self, noisy: &Rows, steps: u32, rng: &mut Rng) -> tch::Tensor {
        self.reconstruct(noisy, steps, rng)
    }
}

impl Options for DenoiseOptions {
    fn run(&self, call: &Context<'_>, rng: &mut Rng) -> Result<Reply, CallError> {
        let denoiser = call.part(call.model.denoiser())?;
        let mut noisy = call.inputs()?;
        if let Some(corrupt) = &self.corrupt {
            let limit = corrupt.kind.level_limit();
            if !(corrupt.level >= 0.0 && corrupt.level <= limit) {
                let rule = format!("must be between 0 and {limit}");
                return Err(BadOption::new("corrupt/level", rule).into());
            }
            let chunk = call.call.operation.chunk;
            let own = |seed: u64| Rng::at(seed.wrapping_add(chunk), &[]);
            let mut own = corrupt.seed.map(own);
            let rng = own.as_mut().unwrap_or(rng);
            let range = call.facts.clamp_range();
            noisy.x = corrupt.kind.apply(&noisy.x, corrupt.level, range, rng);
        }
        let steps = call.model.honoured("gibbs_steps", self.gibbs_steps)?;
        let output = denoiser.denoise(&noisy, steps.unwrap_or(0), rng);
        let mut reply = Reply::of(output, call.shape());
        if self.corrupt.is_some() {
            let inputs = Field::of("inputs", &noisy.x, call.shape());
            reply.extras.push(inputs);
        }
        Ok(reply)
    }

    fn labels_mut(&mut self) -> Option<&mut Option<Vec<i64>>> {
        Some(&mut self.labels)
    }

    fn seed(&self) -> Option<Option<u64>> {
        if self.gibbs_steps > Some(0) {
            return Some(self.seed);
        }
        // The noise has a seed of its own; without one it is drawn from the call's.
        self.corrupt.as_ref().map(|c| c.seed.or(self.seed))
    }

    fn steps(&self, _model: &dyn Model) -> u32 {
        self.gibbs_steps.unwrap_or(0)
    }
}

impl Define for DenoiseOptions {
    const NAME: &'static str = "denoise";
    const SUMMARY: &'static str = "Noisy inputs to clean ones";
    const ABOUT: &'static str =
        "Each row freed of noise; `corrupt` adds some first, so that the effect can be seen.";
    const PREFERENCE: u8 = 4;
    const WARMS_UP: bool = false;
    const EXTRAS: &'static [Extra] = &[Extra {
        name: "inputs",
        about: "`denoise` with `corrupt`: the noisy rows that were denoised.",
        shape: ExtraShape::Row,
    }];
}
