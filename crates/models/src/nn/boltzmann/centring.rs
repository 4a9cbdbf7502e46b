//! The centred gradient of a machine, whose units count from offsets.

use tch::Tensor;

use super::gradient::{Gradient, Statistics, column_means};
use crate::nn::{TensorMismatch, Tensors, copy_all};

/// How fast offsets follow the means of a batch (Melchior et al., 2016, section 6).
const OFFSET_RATE: f64 = 0.01;

/// Offsets `μ` of the visible and `λ` of the hidden units: running means over the data. The gradient
/// of a machine with energy `-(v-μ)·b - (h-λ)·c - (v-μ) W (h-λ)`, written for the parameters of the
/// plain one, is better conditioned and does not depend on how the data codes its 0s and 1s (Montavon
/// and Müller, 2012; Melchior, Fischer and Wiskott, 2016).
pub struct Offsets {
    pub visible: Tensor,
    pub hidden: Tensor,
}

impl Offsets {
    pub fn follow(&mut self, data: &Statistics) {
        let _ = self.visible.lerp_(&column_means(&data.v), OFFSET_RATE);
        let _ = self.hidden.lerp_(&column_means(&data.h), OFFSET_RATE);
    }

    /// `∇W - μ ∇cᵀ - ∇b λᵀ` for the weights, then `∇b - ∇W λ` and `∇c - ∇Wᵀ μ` with these `∇W`.
    pub fn centre(&self, plain: Gradient) -> Gradient {
        let (mu, lambda) = (&self.visible, &self.hidden);
        let left = Tensor::stack(&[mu, &plain.visible_bias], 1);
        let right = Tensor::stack(&[&plain.hidden_bias, lambda], 0);
        let mut weights = plain.weights;
        let weights = weights.addmm_(&left, &-right);
        Gradient {
            visible_bias: plain.visible_bias - weights.mv(lambda),
            hidden_bias: plain.hidden_bias - weights.transpose(0, 1).mv(mu),
            weights,
        }
    }

    pub fn state(&self) -> Tensors {
        Tensors::from([
            ("offsets.visible".to_owned(), self.visible.shallow_clone()),
            ("offsets.hidden".to_owned(), self.hidden.shallow_clone()),
        ])
    }

    pub fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        copy_all(state, self.state())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::boltzmann::machine::{Machine, MachineConfig};
    use crate::nn::rng::Rng;
    use tch::{Device, Kind};

    /// The machine written with offsets has the plain gradient for its own parameters; a step along
    /// it, written for the parameters without offsets, is a step along the centred gradient.
    #[test]
    fn centring_is_the_plain_gradient_of_the_machine_with_offsets() {
        let mut rng = Rng::at(2, &[]);
        let centred = MachineConfig::bernoulli(4, 3).random(&mut rng);
        let (mu, lambda) = (
            rng.uniform(&[4], Device::Cpu),
            rng.uniform(&[3], Device::Cpu),
        );
        for tensor in centred.tensors().values() {
            let _ = tensor.set_requires_grad(true);
        }
        let plain = |weights: Tensor, b: &Tensor, c: &Tensor| Machine {
            visible_bias: b - weights.mv(&lambda),
            hidden_bias: c - weights.transpose(0, 1).mv(&mu),
            weights,
            config: MachineConfig::bernoulli(4, 3),
        };
        let before = plain(
            centred.weights.shallow_clone(),
            &centred.visible_bias,
            &centred.hidden_bias,
        );
        let [model, data] = Statistics::of_coins(&before, &mut rng);
        let mean = |v: &Tensor| before.free_energy(v).mean(Kind::Float);
        (mean(&data.v) - mean(&model.v)).backward();
        let _guard = tch::no_grad_guard();
        let rate = 0.1;
        let stepped = |w: &Tensor| w - w.grad() * rate;
        let after = plain(
            stepped(&centred.weights),
            &stepped(&centred.visible_bias),
            &stepped(&centred.hidden_bias),
        );
        let offsets = Offsets {
            visible: mu.shallow_clone(),
            hidden: lambda.shallow_clone(),
        };
        let gradient = offsets.centre(Gradient::between(&model, &data, Kind::Float));
        let moves = gradient.in_name_order();
        let (before, after) = (before.tensors(), after.tensors());
        for (slope, (name, old)) in moves.iter().zip(&before) {
            let expected = (old - &after[name]) / rate;
            assert!(slope.allclose(&expected, 0.0, 1e-5, false), "{name}");
        }
    }
}
