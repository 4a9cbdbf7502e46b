//! The gradient of an RBM from samples of the data and of the model, plain or centred.

use tch::{Kind, Tensor};

use crate::nn::{TensorMismatch, Tensors, copy_named};

/// What the optimiser descends: the model's statistics minus the data's.
pub struct Gradient {
    pub weights: Tensor,
    pub visible_bias: Tensor,
    pub hidden_bias: Tensor,
}

/// Visible states and hidden probabilities of a set of rows or chains, `[rows, …]`.
pub struct Phase {
    pub v: Tensor,
    pub h: Tensor,
}

impl Gradient {
    /// `<v h>_model - <v h>_data`, and the same for the biases; the product in `kind`, in one sum, so
    /// that the difference is rounded and not what is subtracted.
    pub fn between(model: &Phase, data: &Phase, kind: Kind) -> Self {
        let rows = |phase: &Phase| phase.v.size()[0] as f64;
        // The means are taken on the narrow side.
        let (h, minus_h) = (&model.h / rows(model), &data.h / -rows(data));
        let weights = if kind == Kind::Float {
            model
                .v
                .transpose(0, 1)
                .matmul(&h)
                .addmm_(&data.v.transpose(0, 1), &minus_h)
        } else {
            let v = Tensor::cat(&[&model.v, &data.v], 0).to_kind(kind);
            let h = Tensor::cat(&[h, minus_h], 0).to_kind(kind);
            v.transpose(0, 1).matmul(&h).to_kind(Kind::Float)
        };
        Self {
            weights,
            visible_bias: column_means(&model.v) - column_means(&data.v),
            hidden_bias: column_means(&model.h) - column_means(&data.h),
        }
    }

    /// In the name order of the parameters.
    pub fn in_name_order(self) -> [Tensor; 3] {
        [self.hidden_bias, self.visible_bias, self.weights]
    }
}

pub fn column_means(x: &Tensor) -> Tensor {
    x.mean_dim(0, false, Kind::Float)
}

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
    pub fn follow(&mut self, data: &Phase) {
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
        copy_named(state, "offsets.visible", &mut self.visible)?;
        copy_named(state, "offsets.hidden", &mut self.hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gibbs::BernoulliPair;
    use crate::nn::rng::Rng;
    use tch::Device;

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn phases(pair: &BernoulliPair, rng: &mut Rng) -> [Phase; 2] {
        [(7, 0.3), (5, 0.6)].map(|(rows, rate)| {
            let v = rng.bernoulli(&Tensor::full([rows, 4], rate, CPU));
            let h = pair.hidden_given_visible(&v);
            Phase { v, h }
        })
    }

    fn pair(rng: &mut Rng) -> BernoulliPair {
        BernoulliPair {
            weights: rng.normal(&[4, 3], Device::Cpu),
            visible_bias: rng.normal(&[4], Device::Cpu),
            hidden_bias: rng.normal(&[3], Device::Cpu),
        }
    }

    #[test]
    fn it_is_the_slope_of_the_difference_in_free_energy() {
        let mut rng = Rng::at(1, &[]);
        let pair = pair(&mut rng);
        let [model, data] = phases(&pair, &mut rng);
        for tensor in pair.tensors().values() {
            let _ = tensor.set_requires_grad(true);
        }
        let mean = |v: &Tensor| pair.free_energy(v).mean(Kind::Float);
        (mean(&data.v) - mean(&model.v)).backward();
        for (kind, tolerance) in [(Kind::Float, 1e-6), (Kind::BFloat16, 5e-3)] {
            let found = Gradient::between(&model, &data, kind).in_name_order();
            for (found, (name, tensor)) in found.iter().zip(pair.tensors()) {
                let close = found.allclose(&tensor.grad(), 0.0, tolerance, false);
                assert!(close, "{name} in {kind:?}");
            }
        }
    }

    /// The machine written with offsets has the plain gradient for its own parameters; a step along
    /// it, written for the parameters without offsets, is a step along the centred gradient.
    #[test]
    fn centring_is_the_plain_gradient_of_the_machine_with_offsets() {
        let mut rng = Rng::at(2, &[]);
        let centred = pair(&mut rng);
        let (mu, lambda) = (
            rng.uniform(&[4], Device::Cpu),
            rng.uniform(&[3], Device::Cpu),
        );
        for tensor in centred.tensors().values() {
            let _ = tensor.set_requires_grad(true);
        }
        let plain = |p: &BernoulliPair| BernoulliPair {
            weights: p.weights.shallow_clone(),
            visible_bias: &p.visible_bias - p.weights.mv(&lambda),
            hidden_bias: &p.hidden_bias - p.weights.transpose(0, 1).mv(&mu),
        };
        let before = plain(&centred);
        let [model, data] = phases(&before, &mut rng);
        let mean = |v: &Tensor| before.free_energy(v).mean(Kind::Float);
        (mean(&data.v) - mean(&model.v)).backward();
        let _guard = tch::no_grad_guard();
        let rate = 0.1;
        let stepped = |w: &Tensor| w - w.grad() * rate;
        let after = plain(&BernoulliPair {
            weights: stepped(&centred.weights),
            visible_bias: stepped(&centred.visible_bias),
            hidden_bias: stepped(&centred.hidden_bias),
        });
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
