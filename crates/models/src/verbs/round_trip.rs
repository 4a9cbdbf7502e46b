//! Models that go to a code and back without drawing anything: what they all answer alike.

use tch::Tensor;

use super::inpaint::fill_in;
use super::{Decoder, Denoiser, Inpainter, Interpolator, Reconstructor, Scorer};
use crate::nn::chain;
use crate::nn::model::{Rows, error_per_row};
use crate::nn::rng::Rng;

/// A deterministic encoder and decoder. Whoever has them decodes, reconstructs, denoises, scores by the
/// reconstruction's error, inpaints by rounds and interpolates.
pub trait RoundTrip {
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

impl<T: RoundTrip> Decoder for T {
    fn decode(&self, codes: &Rows) -> Tensor {
        self.to_rows(&codes.x)
    }
}

impl<T: RoundTrip> Reconstructor for T {
    fn reconstruct(&self, rows: &Rows, _steps: u32, _rng: &mut Rng) -> Tensor {
        self.round_trip(&rows.x)
    }
}

impl<T: RoundTrip> Denoiser for T {}

impl<T: RoundTrip> Scorer for T {
    /// Mean squared error per value.
    fn metric(&self) -> &'static str {
        "reconstruction_error"
    }
    fn score(&self, rows: &Rows, _rng: &mut Rng) -> Tensor {
        error_per_row(&rows.x, &self.round_trip(&rows.x))
    }
}

impl<T: RoundTrip> Inpainter for T {
    /// What is missing starts at the first guess, and is then replaced by its own reconstruction, `rounds`
    /// times, the known values held fast. On a plane this goes to the point of it that is nearest in the known
    /// values.
    fn inpaint(&self, rows: &Rows, missing: &Tensor, rounds: u32, _rng: &mut Rng) -> Tensor {
        let filled_in = |filling: &Tensor| fill_in(&rows.x, missing, filling);
        let start = filled_in(&self.first_guess(&rows.x, missing));
        chain::steps(rounds).fold(start, |filled, _| filled_in(&self.round_trip(&filled)))
    }
}

impl<T: RoundTrip> Interpolator for T {}
