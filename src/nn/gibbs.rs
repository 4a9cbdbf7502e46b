//! Two layers of Bernoulli units joined by one weight matrix: the conditionals, the free energy and
//! Gibbs sampling that RBMs and deep belief networks share (Hinton, 2002).
//!
//! `E(v, h) = -v·b - h·c - v W h`, with `W: [visible, hidden]`, `b: [visible]`, `c: [hidden]`.

use tch::{Device, Kind, Tensor};

use super::rng::Rng;
use super::{TensorMismatch, Tensors, copy_named};

pub struct BernoulliPair {
    pub weights: Tensor,
    pub visible_bias: Tensor,
    pub hidden_bias: Tensor,
}

impl BernoulliPair {
    /// Small normal weights (standard deviation 0.01) and zero biases (Hinton, 2010, section 8).
    pub fn init(visible: i64, hidden: i64, rng: &mut Rng, device: Device) -> Self {
        Self {
            weights: rng.normal(&[visible, hidden], device) * 0.01,
            visible_bias: Tensor::zeros([visible], (Kind::Float, device)),
            hidden_bias: Tensor::zeros([hidden], (Kind::Float, device)),
        }
    }

    pub fn visible(&self) -> i64 {
        self.weights.size()[0]
    }

    pub fn hidden(&self) -> i64 {
        self.weights.size()[1]
    }

    /// `p(h = 1 | v) = σ(c + v W)`: `[batch, visible] -> [batch, hidden]`.
    pub fn hidden_given_visible(&self, v: &Tensor) -> Tensor {
        self.hidden_bias.addmm(v, &self.weights).sigmoid_()
    }

    /// `p(v = 1 | h) = σ(b + h Wᵀ)`: `[batch, hidden] -> [batch, visible]`.
    pub fn visible_given_hidden(&self, h: &Tensor) -> Tensor {
        self.visible_bias
            .addmm(h, &self.weights.transpose(0, 1))
            .sigmoid_()
    }

    /// `F(v) = -v·b - Σ_j ln(1 + exp(c_j + v W_j))`, so that `p(v) ∝ exp(-F(v))`: `[batch]`.
    pub fn free_energy(&self, v: &Tensor) -> Tensor {
        let hidden = self.hidden_bias.addmm(v, &self.weights).softplus();
        -(v.mv(&self.visible_bias)) - hidden.sum_dim_intlist(1, false, Kind::Float)
    }

    /// One full step of block Gibbs sampling from hidden states: the visible probabilities the step
    /// passed through, the visible sample, and the hidden probabilities that follow from it.
    pub fn gibbs_step(&self, h: &Tensor, rng: &mut Rng) -> (Tensor, Tensor, Tensor) {
        let visible_probabilities = self.visible_given_hidden(h);
        let v = rng.bernoulli(&visible_probabilities);
        let hidden_probabilities = self.hidden_given_visible(&v);
        (visible_probabilities, v, hidden_probabilities)
    }

    /// A stochastic estimate of the log pseudo-likelihood, in nats a row (Besag, 1975; as in
    /// Marlin et al., 2010): for one unit `i` drawn for each row,
    /// `visible · ln σ(F(v with v_i flipped) - F(v))`. `v` holds 0s and 1s.
    pub fn pseudo_likelihood(&self, v: &Tensor, rng: &mut Rng) -> Tensor {
        let visible = self.visible();
        let index = (rng.uniform(&[v.size()[0], 1], v.device()) * visible as f64)
            .to_kind(Kind::Int64)
            .clamp_max(visible - 1);
        let flipped_bits: Tensor = 1.0 - v.gather(1, &index, false);
        let flipped = v.scatter(1, &index, &flipped_bits);
        (self.free_energy(&flipped) - self.free_energy(v)).log_sigmoid() * visible as f64
    }

    pub fn tensors(&self) -> Tensors {
        Tensors::from([
            ("weights".to_owned(), self.weights.shallow_clone()),
            ("visible_bias".to_owned(), self.visible_bias.shallow_clone()),
            ("hidden_bias".to_owned(), self.hidden_bias.shallow_clone()),
        ])
    }

    pub fn load(&mut self, source: &Tensors) -> Result<(), TensorMismatch> {
        copy_named(source, "weights", &mut self.weights)?;
        copy_named(source, "visible_bias", &mut self.visible_bias)?;
        copy_named(source, "hidden_bias", &mut self.hidden_bias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pair small enough that every state can be written down.
    fn small() -> BernoulliPair {
        let mut rng = Rng::at(5, &[]);
        BernoulliPair {
            weights: rng.normal(&[4, 3], Device::Cpu),
            visible_bias: rng.normal(&[4], Device::Cpu),
            hidden_bias: rng.normal(&[3], Device::Cpu),
        }
    }

    /// All 0/1 rows of the given width: `[2^width, width]`.
    fn states(width: i64) -> Tensor {
        let rows: Vec<f32> = (0..1_i64 << width)
            .flat_map(|s| (0..width).map(move |bit| ((s >> bit) & 1) as f32))
            .collect();
        Tensor::from_slice(&rows).view([1 << width, width])
    }

    #[test]
    fn free_energy_is_the_sum_over_every_hidden_state() {
        let pair = small();
        let (v, h) = (states(4), states(3));
        // -E(v, h) for each pair of states: [16, 8].
        let minus_energy = v.matmul(&pair.weights).matmul(&h.transpose(0, 1))
            + v.mv(&pair.visible_bias).unsqueeze(1)
            + h.mv(&pair.hidden_bias).unsqueeze(0);
        let expected = -minus_energy.logsumexp(1, false);
        assert!(pair.free_energy(&v).allclose(&expected, 1e-5, 1e-5, false));
    }

    #[test]
    fn gibbs_sampling_visits_states_as_often_as_the_model_says() {
        let pair = small();
        let mut rng = Rng::at(9, &[]);
        let chains = 20_000;
        let mut h = rng.bernoulli(&Tensor::full([chains, 3], 0.5, (Kind::Float, Device::Cpu)));
        let mut v = h.shallow_clone();
        for _ in 0..30 {
            let (_, sample, hidden) = pair.gibbs_step(&h, &mut rng);
            v = sample;
            h = rng.bernoulli(&hidden);
        }
        let powers = Tensor::from_slice(&[1.0_f32, 2.0, 4.0, 8.0]);
        let seen = v
            .mv(&powers)
            .to_kind(Kind::Int64)
            .bincount::<Tensor>(None, 16);
        let seen = seen.to_kind(Kind::Float) / chains as f64;
        let expected = (-pair.free_energy(&states(4))).softmax(0, Kind::Float);
        let worst = (seen - expected).abs().max().double_value(&[]);
        assert!(worst < 0.015, "worst difference in probability {worst}");
    }

    #[test]
    fn pseudo_likelihood_is_that_of_enumeration() {
        let pair = small();
        let row = Tensor::from_slice(&[1.0_f32, 0.0, 1.0, 1.0]).view([1, 4]);
        let exact: f64 = (0..4)
            .map(|i| {
                let flipped = row.copy();
                let _ = flipped.select(1, i).fill_(1.0 - row.double_value(&[0, i]));
                let difference = pair.free_energy(&flipped) - pair.free_energy(&row);
                difference.log_sigmoid().double_value(&[0])
            })
            .sum();
        let rows = row.repeat([40_000, 1]);
        let estimate = pair
            .pseudo_likelihood(&rows, &mut Rng::at(2, &[]))
            .mean(Kind::Double);
        assert!((estimate.double_value(&[]) - exact).abs() < 0.05);
    }
}
