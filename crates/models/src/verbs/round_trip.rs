//! Models that go to a code and back without drawing anything: what they all answer alike.

use tch::Tensor;

use super::inpaint::fill_in_by_rounds;
use super::reconstruct::GibbsOptions;
use super::{
    Decoder, Denoiser, InpaintOptions, Inpainter, Interpolator, Reconstructor, ScoreOptions, Scorer,
};
use crate::nn::latent::lerp;
use crate::nn::model::{BadOption, Rows, error_per_row};
use crate::nn::rng::Rng;

/// A deterministic encoder and decoder. Whoever has them decodes, reconstructs, denoises, scores by the
/// reconstruction's error, inpaints by rounds and interpolates.
pub trait RoundTrip {
    /// The model in a client's words, for example `a model of kind 'pca'`.
    const WHAT: &'static str;

    /// `[batch, features] -> [batch, code]`.
    fn to_code(&self, x: &Tensor) -> Tensor;

    /// `[batch, code] -> [batch, features]`.
    fn to_rows(&self, code: &Tensor) -> Tensor;

    /// What stands at first where a row is missing, of a shape that goes with `[batch, features]`.
    fn first_guess(&self, x: &Tensor, missing: &Tensor) -> Tensor;

    fn round_trip(&self, x: &Tensor) -> Tensor {
        self.to_rows(&self.to_code(x))
    }
}

fn refuse_gibbs<T: RoundTrip>(steps: Option<u32>) -> Result<(), BadOption> {
    match steps {
        Some(_) => {
            let rule = format!("{} has no use for it", T::WHAT);
            Err(BadOption::new("gibbs_steps", rule))
        }
        None => Ok(()),
    }
}

impl<T: RoundTrip> Decoder for T {
    fn decode(&self, codes: &Rows) -> Tensor {
        self.to_rows(&codes.x)
    }
}

impl<T: RoundTrip> Reconstructor for T {
    fn reconstruct(
        &self,
        rows: &Rows,
        options: &GibbsOptions,
        _rng: &mut Rng,
    ) -> Result<Tensor, BadOption> {
        refuse_gibbs::<T>(options.gibbs_steps)?;
        Ok(self.round_trip(&rows.x))
    }
}

impl<T: RoundTrip> Denoiser for T {
    fn denoise(
        &self,
        noisy: &Rows,
        options: &GibbsOptions,
        _rng: &mut Rng,
    ) -> Result<Tensor, BadOption> {
        refuse_gibbs::<T>(options.gibbs_steps)?;
        Ok(self.round_trip(&noisy.x))
    }
}

impl<T: RoundTrip> Scorer for T {
    /// Mean squared error per value.
    fn metric(&self) -> &'static str {
        "reconstruction_error"
    }
    fn score(&self, rows: &Rows, _options: &ScoreOptions, _rng: &mut Rng) -> Tensor {
        error_per_row(&rows.x, &self.round_trip(&rows.x))
    }
}

impl<T: RoundTrip> Inpainter for T {
    /// What is missing starts at the first guess, and is then replaced by its own reconstruction,
    /// `gibbs_steps` times, the known values held fast. On a plane this goes to the point of it that is
    /// nearest in the known values.
    fn inpaint(
        &self,
        rows: &Rows,
        missing: &Tensor,
        options: &InpaintOptions,
        _rng: &mut Rng,
    ) -> Result<Tensor, BadOption> {
        let start = self.first_guess(&rows.x, missing);
        fill_in_by_rounds(&rows.x, missing, &start, options, |x| self.round_trip(x))
    }
}

impl<T: RoundTrip> Interpolator for T {
    fn locate(&self, rows: &Rows) -> Option<Tensor> {
        Some(self.to_code(&rows.x))
    }
    fn draw(&self, _rng: &mut Rng) -> Option<Tensor> {
        None
    }
    fn between(
        &self,
        from: &Tensor,
        to: &Tensor,
        shares: &[f64],
        _label: Option<&Tensor>,
    ) -> Tensor {
        self.to_rows(&lerp(from, to, shares))
    }
}
