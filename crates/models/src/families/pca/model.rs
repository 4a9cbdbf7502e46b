//! The solution and the verbs it answers.
//!
//! `code = (x - mean) Cᵀ`, `y = code C + mean`, with the rows of `C: [code, features]` the eigenvectors
//! of the covariance with the greatest eigenvalues.

use tch::{Device, Kind, Tensor};

use super::spec::Spec;
use crate::nn::graph::{GraphVerb, Widths, there_and_back};
use crate::nn::model::{Answer, DataFacts, Rows};
use crate::nn::moments::Moments;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors, copy_all};
use crate::onnx::Graph;
use crate::verbs::round_trip::RoundTrip;
use crate::verbs::{Encoder, Filters, Model};

/// Share of the greatest variance below which a component is rounding error, and is not whitened.
const NO_VARIANCE: f64 = 1e-10;

/// The solution.
pub struct Pca {
    /// `[features]`.
    pub(super) mean: Tensor,
    /// `[code, features]`, of length 1 each, the greatest variance first.
    pub(super) components: Tensor,
    /// `[code]`.
    pub(super) explained_variance: Tensor,
    /// The variance of all values in a row together, `[1]`.
    total_variance: Tensor,
    pub(super) whiten: bool,
}

impl Pca {
    pub(super) fn zero(spec: &Spec, data: &DataFacts, device: Device) -> Self {
        let zeros = |size: &[i64]| Tensor::zeros(size, (Kind::Float, device));
        let code = spec.components(data);
        Self {
            mean: zeros(&[data.features()]),
            components: zeros(&[code, data.features()]),
            explained_variance: zeros(&[code]),
            total_variance: zeros(&[1]),
            whiten: spec.whiten,
        }
    }

    pub(super) fn restore(&mut self, tensors: &Tensors) -> Result<(), TensorMismatch> {
        copy_all(tensors, self.tensors())
    }

    /// The leading eigenvectors of the covariance, each with its greatest entry positive: an
    /// eigenvector's sign is arbitrary, and equal data should give equal codes.
    pub(super) fn solve(&mut self, moments: &Moments) {
        let code = self.components.size()[0];
        let covariance = moments.covariance();
        // The eigenvalues ascend; the eigenvectors are columns.
        let (values, vectors) = covariance.linalg_eigh("L");
        let leading = vectors.transpose(0, 1).flip([0]).narrow(0, 0, code);
        let greatest = leading.abs().argmax(1, true);
        let sign = leading.gather(1, &greatest, false).sign();
        self.components.copy_(&(leading * sign));
        // Rounding can take a variance of zero a little below it.
        let variance = values.flip([0]).narrow(0, 0, code).clamp_min(0.0);
        self.explained_variance.copy_(&variance);
        self.total_variance.copy_(&covariance.trace().view([1]));
        self.mean.copy_(moments.mean());
    }

    /// Share of the variance that the code keeps. Rows that are all the same have none to miss.
    pub(super) fn explained_variance_ratio(&self) -> f64 {
        let total = self.total_variance.double_value(&[0]);
        if total > 0.0 {
            self.explained_variance.sum(Kind::Double).double_value(&[]) / total
        } else {
            1.0
        }
    }

    /// Standard deviation of each value of the code, zero where there is none: `[code]`.
    pub(super) fn deviations(&self) -> Tensor {
        let variance = &self.explained_variance;
        let real = variance.greater_tensor(&(variance.max() * NO_VARIANCE));
        variance.sqrt() * real.to_kind(Kind::Float)
    }

    /// `(x - mean) Cᵀ`, divided by the deviations if they are whitened: `[batch, code]`.
    fn project(&self, x: &Tensor) -> Tensor {
        let code = (x - &self.mean).matmul(&self.components.transpose(0, 1));
        if self.whiten {
            let deviations = self.deviations();
            let real = deviations.greater(0.0).to_kind(Kind::Float);
            code * &real / (deviations + (1.0 - real))
        } else {
            code
        }
    }

    /// `code C + mean`: `[batch, features]`.
    fn back(&self, code: &Tensor) -> Tensor {
        let components = if self.whiten {
            &self.components * self.deviations().view([-1, 1])
        } else {
            self.components.shallow_clone()
        };
        self.mean.addmm(code, &components)
    }
}

impl Model for Pca {
    fn tensors(&self) -> Tensors {
        [
            ("mean", &self.mean),
            ("components", &self.components),
            ("explained_variance", &self.explained_variance),
            ("total_variance", &self.total_variance),
        ]
        .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))
        .into()
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        Some(vec![self.components.size()[0]])
    }
    crate::offers!(encoder: Encoder, decoder: Decoder, reconstructor: Reconstructor, denoiser: Denoiser,
        scorer: Scorer, inpainter: Inpainter, interpolator: Interpolator, filters: Filters);
    crate::refuses!(
        sample: "a model of kind 'pca' has no use for it",
        gibbs_steps: "a model of kind 'pca' has no use for it",
    );
    fn graph(&self, verb: GraphVerb) -> Option<Graph> {
        let widths = Widths {
            row: self.components.size()[1],
            code: self.components.size()[0],
        };
        there_and_back(
            verb,
            widths,
            |graph, x| self.write_code(graph, x),
            |graph, code| self.write_rows(graph, code),
        )
    }
}

impl Encoder for Pca {
    fn last_layer(&self) -> (usize, &'static str) {
        (0, "the one layer of pca")
    }
    fn encode(&self, rows: &Rows, _layer: usize, _draw: Option<&mut Rng>) -> Answer {
        self.project(&rows.x).into()
    }
}

impl RoundTrip for Pca {
    fn to_code(&self, x: &Tensor) -> Tensor {
        self.project(x)
    }
    fn to_rows(&self, code: &Tensor) -> Tensor {
        self.back(code)
    }
    /// The mean of the training rows.
    fn first_guess(&self, _x: &Tensor, _missing: &Tensor) -> Tensor {
        self.mean.shallow_clone()
    }
}

impl Filters for Pca {
    fn filters(&self) -> Tensor {
        self.components.shallow_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::Inpainter;

    /// Rows `mean ± √λ_i u_i` on orthonormal `u_i` have covariance `Σ λ_i u_i u_iᵀ` times a known
    /// factor.
    fn solved(spec: &Spec) -> Pca {
        let (c, s) = (0.8_f32, 0.6_f32);
        let directions = Tensor::from_slice(&[c, s, 0.0, s, -c, 0.0, 0.0, 0.0, -1.0]).view([3, 3]);
        let lengths = Tensor::from_slice(&[1.0_f32, 3.0, 2.0]).view([3, 1]);
        let arms = directions * lengths;
        let mean = Tensor::from_slice(&[100.0_f32, -200.0, 300.0]);
        let data = DataFacts::new(&[3], (-203.0, 303.0));
        let mut pca = Pca::zero(spec, &data, Device::Cpu);
        let mut moments = Moments::new(3, Device::Cpu);
        moments.add(&(&mean + &arms));
        moments.add(&(&mean - &arms));
        pca.solve(&moments);
        pca
    }

    fn near(found: &Tensor, expected: &[f64]) -> bool {
        let expected = Tensor::from_slice(expected).view(found.size().as_slice());
        (found - expected).abs().max().double_value(&[]) < 1e-4
    }

    #[test]
    fn a_known_covariance_gives_its_axes_in_order_and_with_their_signs() {
        let pca = solved(&Spec {
            code: Some(2),
            ..Spec::default()
        });
        // Two rows of each length l, among six: λ = 2 l² / 5.
        assert!(near(&pca.explained_variance, &[3.6, 1.6]));
        assert!(near(&pca.total_variance, &[5.6]));
        assert!(near(&pca.mean, &[100.0, -200.0, 300.0]));
        // The greatest entry of (0.6, -0.8, 0) is made positive, and so is that of (0, 0, -1).
        assert!(near(&pca.components, &[-0.6, 0.8, 0.0, 0.0, 0.0, 1.0]));
        let x = Tensor::from_slice(&[100.0_f32, -199.0, 302.0]).view([1, 3]);
        assert!(near(&pca.project(&x), &[0.8, 2.0]));
        assert!(near(&pca.round_trip(&x), &[99.52, -199.36, 302.0]));
    }

    #[test]
    fn whitened_codes_have_variance_one_and_decode_to_the_same() {
        let spec = |whiten| Spec {
            code: Some(2),
            whiten,
            ..Spec::default()
        };
        let (plain, white) = (solved(&spec(false)), solved(&spec(true)));
        let x = Tensor::from_slice(&[103.0_f32, -190.0, 300.5]).view([1, 3]);
        let scaled = plain.project(&x) / plain.explained_variance.sqrt();
        assert!(near(&(white.project(&x) - scaled), &[0.0, 0.0]));
        assert!(near(
            &(white.round_trip(&x) - plain.round_trip(&x)),
            &[0.0; 3]
        ));
    }

    #[test]
    fn a_direction_without_variance_stays_finite_when_whitened() {
        let data = DataFacts::new(&[2], (0.0, 1.0));
        let spec = Spec {
            code: Some(2),
            whiten: true,
            ..Spec::default()
        };
        let mut pca = Pca::zero(&spec, &data, Device::Cpu);
        let mut moments = Moments::new(2, Device::Cpu);
        moments.add(&Tensor::from_slice(&[0.0_f32, 0.5, 1.0, 0.5]).view([2, 2]));
        pca.solve(&moments);
        let x = Tensor::from_slice(&[1.0_f32, 0.9]).view([1, 2]);
        assert!(near(&pca.project(&x), &[0.5_f64.sqrt(), 0.0]));
        assert!(near(&pca.round_trip(&x), &[1.0, 0.5]));
    }

    #[test]
    fn what_is_missing_is_filled_in_from_the_plane() {
        let pca = solved(&Spec {
            code: Some(1),
            ..Spec::default()
        });
        // On the line mean + 2 (-0.6, 0.8, 0), the second value unknown.
        let x = Tensor::from_slice(&[98.8_f32, 0.0, 300.0]).view([1, 3]);
        let rows = Rows { x, labels: None };
        let missing = Tensor::from_slice(&[0.0_f32, 1.0, 0.0]).view([1, 3]);
        let filled = pca.inpaint(&rows, &missing, 100, &mut Rng::at(0, &[]));
        assert!(near(&filled, &[98.8, -198.4, 300.0]), "{filled:?}");
    }
}
