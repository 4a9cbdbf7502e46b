//! Greedy pretraining of one layer as a restricted Boltzmann machine on the outputs of the layer below
//! (Hinton and Salakhutdinov, 2006). Visible units are Bernoulli; hidden units are Bernoulli, or Gaussian
//! of variance 1: `p(h | v) = N(c + v W, 1)`.

use tch::{Device, Kind, Tensor};

use super::frozen::Frozen;
use super::gibbs::BernoulliPair;
use super::optimizer::{Optimizer, OptimizerConfig, Rule};
use super::rng::Rng;
use super::{TensorMismatch, Tensors};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HiddenUnits {
    Bernoulli,
    Gaussian,
}

impl HiddenUnits {
    /// Gaussian units have no bound, so their learning rate must be one or two orders of magnitude
    /// smaller (Hinton, 2010, section 13.2); the paper's own program takes a hundredth.
    pub fn rate_factor(self) -> f64 {
        match self {
            Self::Bernoulli => 1.0,
            Self::Gaussian => 0.01,
        }
    }
}

/// The penalty on the weights in Hinton and Salakhutdinov (2006, supporting material).
const WEIGHT_DECAY: f64 = 2e-4;
const MOMENTUM: f64 = 0.9;

/// A layer in pretraining.
pub struct RbmLayer {
    pair: BernoulliPair,
    hidden: HiddenUnits,
    optimizer: Optimizer,
    gibbs_steps: u32,
    compute: Kind,
}

impl RbmLayer {
    pub fn init(
        [visible, hidden]: [i64; 2],
        units: HiddenUnits,
        gibbs_steps: u32,
        rng: &mut Rng,
        device: Device,
    ) -> Self {
        let pair = BernoulliPair::init(visible, hidden, rng, device);
        let config = OptimizerConfig {
            rule: Rule::Momentum,
            momentum: MOMENTUM,
            decay: 0.0,
            weight_decay: WEIGHT_DECAY,
        };
        Self {
            optimizer: Optimizer::new(config, pair.tensors()),
            pair,
            hidden: units,
            gibbs_steps,
            compute: Kind::Float,
        }
    }

    /// Computes products in this kind; all else stays f32.
    #[must_use]
    pub fn computing_in(self, compute: Kind) -> Self {
        Self { compute, ..self }
    }

    /// What the layer has learnt.
    pub fn pair(&self) -> &BernoulliPair {
        &self.pair
    }

    /// Leaves the parts of these names as they are.
    pub fn freeze(&mut self, frozen: &Frozen) {
        self.optimizer.freeze(frozen);
    }

    /// The weights in the kind that products are computed in.
    fn rounded(&self) -> BernoulliPair {
        BernoulliPair {
            weights: self.pair.weights.to_kind(self.compute),
            visible_bias: self.pair.visible_bias.to_kind(self.compute),
            hidden_bias: self.pair.hidden_bias.to_kind(self.compute),
        }
    }

    /// `E[h | v]`: `[batch, visible] -> [batch, hidden]`.
    fn up(&self, pair: &BernoulliPair, v: &Tensor) -> Tensor {
        let v = v.to_kind(self.compute);
        let h = match self.hidden {
            HiddenUnits::Bernoulli => pair.hidden_given_visible(&v),
            HiddenUnits::Gaussian => pair.hidden_bias.addmm(&v, &pair.weights),
        };
        h.to_kind(Kind::Float)
    }

    fn down(&self, pair: &BernoulliPair, h: &Tensor) -> Tensor {
        pair.visible_given_hidden(&h.to_kind(self.compute))
            .to_kind(Kind::Float)
    }

    fn draw(&self, mean: &Tensor, rng: &mut Rng) -> Tensor {
        match self.hidden {
            HiddenUnits::Bernoulli => rng.bernoulli(mean),
            HiddenUnits::Gaussian => mean + rng.normal(&mean.size(), mean.device()),
        }
    }

    /// Up to the mean of the hidden units and down again: `[batch, visible]` to the same.
    pub fn reconstruct(&self, v: &Tensor) -> Tensor {
        let pair = self.rounded();
        self.down(&pair, &self.up(&pair, v))
    }

    /// One step of contrastive divergence from `v0: [batch, visible]`, values read as probabilities;
    /// in the reconstructions the visible units stay at their probabilities, as in the paper. Returns
    /// the mean squared error per value of the first reconstruction.
    pub fn step(&mut self, v0: &Tensor, learning_rate: f64, rng: &mut Rng) -> f64 {
        let _guard = tch::no_grad_guard();
        let pair = self.rounded();
        let h0 = self.up(&pair, v0);
        let mut v = self.down(&pair, &self.draw(&h0, rng));
        let error = (&v - v0).square().mean(Kind::Double).double_value(&[]);
        let mut h = self.up(&pair, &v);
        for _ in 1..self.gibbs_steps {
            v = self.down(&pair, &self.draw(&h, rng));
            h = self.up(&pair, &v);
        }
        let means = |x: &Tensor| x.mean_dim(0, false, Kind::Float);
        // In the name order of the parameters; the optimiser descends, so model minus data.
        let gradients = [
            means(&h) - means(&h0),
            means(&v) - means(v0),
            (self.product(&v, &h) - self.product(v0, &h0)) / v0.size()[0] as f64,
        ];
        self.optimizer.step(&gradients, learning_rate, None);
        error
    }

    /// `vᵀ h`: `[visible, hidden]`.
    fn product(&self, v: &Tensor, h: &Tensor) -> Tensor {
        let (v, h) = (v.to_kind(self.compute), h.to_kind(self.compute));
        v.transpose(0, 1).matmul(&h).to_kind(Kind::Float)
    }

    pub fn state(&self, prefix: &str) -> Tensors {
        let named = self.pair.tensors().into_iter();
        let mut state: Tensors = named
            .map(|(name, tensor)| (format!("{prefix}.{name}"), tensor))
            .collect();
        state.extend(self.optimizer.state(&format!("{prefix}.optimizer")));
        state
    }

    pub fn restore(&mut self, prefix: &str, state: &Tensors) -> Result<(), TensorMismatch> {
        for (name, mut tensor) in self.pair.tensors() {
            super::copy_named(state, &format!("{prefix}.{name}"), &mut tensor)?;
        }
        self.optimizer
            .restore(&format!("{prefix}.optimizer"), state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of two kinds, told apart by which half is on.
    fn two_kinds() -> Tensor {
        let rows: Vec<f32> = (0..64)
            .flat_map(|row| (0..8).map(move |i| f32::from(u8::from((i < 4) == (row % 2 == 0)))))
            .collect();
        Tensor::from_slice(&rows).view([64, 8])
    }

    #[test]
    fn either_kind_of_hidden_unit_learns_two_kinds_of_rows() {
        for (units, kind, rate) in [
            (HiddenUnits::Bernoulli, Kind::Float, 0.1),
            (HiddenUnits::Bernoulli, Kind::BFloat16, 0.1),
            (HiddenUnits::Gaussian, Kind::Float, 0.01),
        ] {
            let mut rng = Rng::at(2, &[]);
            let mut layer =
                RbmLayer::init([8, 2], units, 1, &mut rng, Device::Cpu).computing_in(kind);
            let x = two_kinds();
            for _ in 0..600 {
                layer.step(&x, rate, &mut rng);
            }
            let error = (layer.reconstruct(&x) - &x).square().mean(Kind::Double);
            let error = error.double_value(&[]);
            assert!(error < 0.02, "{units:?} in {kind:?}: {error}");
        }
    }
}
