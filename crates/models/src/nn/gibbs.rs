//! Two layers of Bernoulli units joined by one weight matrix: the conditionals, the free energy and
//! Gibbs sampling that RBMs and deep belief networks share (Hinton, 2002).
//!
//! `E(v, h) = -v·b - h·c - v W h`, with `W: [visible, hidden]`, `b: [visible]`, `c: [hidden]`.

use tch::{Device, Kind, Tensor};

use super::rng::Rng;
use super::{TensorMismatch, Tensors, copy_named};
use crate::onnx::{Graph, Value};

pub struct BernoulliPair {
    /// Products are computed in the kind of the weights; all that goes in and comes out is f32.
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

    /// The same machine with its products in `kind`, on a copy of the weights unless they are of that
    /// kind already.
    #[must_use]
    pub fn computing_in(&self, kind: Kind) -> Self {
        Self {
            weights: self.weights.to_kind(kind),
            visible_bias: self.visible_bias.shallow_clone(),
            hidden_bias: self.hidden_bias.shallow_clone(),
        }
    }

    /// The same machine with the two layers' parts exchanged.
    #[must_use]
    pub fn flipped(&self) -> Self {
        Self {
            weights: self.weights.transpose(0, 1),
            visible_bias: self.hidden_bias.shallow_clone(),
            hidden_bias: self.visible_bias.shallow_clone(),
        }
    }

    /// `c + v W`: `[batch, visible] -> [batch, hidden]`.
    pub fn hidden_input(&self, v: &Tensor) -> Tensor {
        affine(&self.hidden_bias, v, &self.weights)
    }

    /// `b + h Wᵀ`: `[batch, hidden] -> [batch, visible]`.
    pub fn visible_input(&self, h: &Tensor) -> Tensor {
        affine(&self.visible_bias, h, &self.weights.transpose(0, 1))
    }

    /// `p(h = 1 | v) = σ(c + v W)`: `[batch, visible] -> [batch, hidden]`.
    pub fn hidden_given_visible(&self, v: &Tensor) -> Tensor {
        self.hidden_input(v).sigmoid_()
    }

    /// `p(v = 1 | h) = σ(b + h Wᵀ)`: `[batch, hidden] -> [batch, visible]`.
    pub fn visible_given_hidden(&self, h: &Tensor) -> Tensor {
        self.visible_input(h).sigmoid_()
    }

    /// `F(v) = -v·b - Σ_j ln(1 + exp(c_j + v W_j))`, so that `p(v) ∝ exp(-F(v))`: `[batch]`.
    pub fn free_energy(&self, v: &Tensor) -> Tensor {
        let hidden = self.hidden_input(v).softplus();
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

    /// `c + v W`; the tensors have the names of [`Self::tensors`] behind `prefix`.
    pub fn write_hidden_input(&self, graph: &mut Graph, prefix: &str, v: &Value) -> Value {
        let weights = graph.weight(&format!("{prefix}weights"), &self.weights);
        let bias = graph.weight(&format!("{prefix}hidden_bias"), &self.hidden_bias);
        graph.affine(v, &weights, &bias)
    }

    /// `b + h Wᵀ`.
    pub fn write_visible_input(&self, graph: &mut Graph, prefix: &str, h: &Value) -> Value {
        let weights = graph.weight(&format!("{prefix}weights"), &self.weights);
        let bias = graph.weight(&format!("{prefix}visible_bias"), &self.visible_bias);
        graph.affine_transposed(h, &weights, &bias)
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

/// `bias + x w`, the product in the kind of `w`, the sum in f32.
fn affine(bias: &Tensor, x: &Tensor, w: &Tensor) -> Tensor {
    if w.kind() == Kind::Float {
        return bias.addmm(x, w);
    }
    x.to_kind(w.kind())
        .matmul(w)
        .to_kind(Kind::Float)
        .g_add_(bias)
}

/// The 0/1 rows that write out the numbers of `range`, lowest bit first: `[range, width]`.
pub fn states(range: std::ops::Range<i64>, width: i64, device: Device) -> Tensor {
    let numbers = Tensor::arange_start(range.start, range.end, (Kind::Int64, device));
    numbers
        .unsqueeze(1)
        .bitwise_right_shift(&Tensor::arange(width, (Kind::Int64, device)))
        .bitwise_and(1)
        .to_kind(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::super::tempered::Tempered;
    use super::super::tempering::Replicas;
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

    fn all_states(width: i64) -> Tensor {
        states(0..1 << width, width, Device::Cpu)
    }

    /// Greatest difference between the rates of the states of `v` and their probabilities.
    fn worst_rate(pair: &BernoulliPair, v: &Tensor) -> f64 {
        let powers = Tensor::from_slice(&[1.0_f32, 2.0, 4.0, 8.0]);
        let seen = v.mv(&powers).to_kind(Kind::Int64);
        let seen = seen.bincount::<Tensor>(None, 16).to_kind(Kind::Float) / v.size()[0] as f64;
        let expected = (-pair.free_energy(&all_states(4))).softmax(0, Kind::Float);
        (seen - expected).abs().max().double_value(&[])
    }

    #[test]
    fn free_energy_is_the_sum_over_every_hidden_state() {
        let pair = small();
        let (v, h) = (all_states(4), all_states(3));
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
        let worst = worst_rate(&pair, &v);
        assert!(worst < 0.015, "worst difference in probability {worst}");
    }

    #[test]
    fn tempered_chains_at_beta_one_visit_states_as_often_as_the_model_says() {
        // Deep wells: plain Gibbs sampling from coins would stay where it starts.
        let mut pair = small();
        pair.weights *= 4.0;
        pair.hidden_bias = -0.5 * pair.weights.sum_dim_intlist(0, false, Kind::Float);
        pair.visible_bias = -0.5 * pair.weights.sum_dim_intlist(1, false, Kind::Float);
        let base_bias = Tensor::from_slice(&[0.5_f32, -0.5, 0.0, 1.0]);
        let path = Tempered {
            pair: &pair,
            base_bias: &base_bias,
            classes: 0,
        };
        let mut rng = Rng::at(4, &[]);
        let mut replicas = Replicas::init(6, 5000, 3, &mut rng, Device::Cpu);
        let mut v = Tensor::new();
        for _ in 0..60 {
            (v, _) = replicas.step(&path, &mut rng);
        }
        let worst = worst_rate(&pair, &v);
        assert!(worst < 0.025, "worst difference in probability {worst}");
        let accepted = replicas.accepted();
        assert!((0.2..1.0).contains(&accepted), "{accepted} accepted");
    }

    #[test]
    fn products_in_bf16_are_close_to_those_in_f32() {
        let pair = small();
        let low = pair.computing_in(Kind::BFloat16);
        let (v, h) = (all_states(4), all_states(3));
        for (low, full) in [
            (low.hidden_given_visible(&v), pair.hidden_given_visible(&v)),
            (low.visible_given_hidden(&h), pair.visible_given_hidden(&h)),
        ] {
            assert_eq!(low.kind(), Kind::Float);
            assert!(low.allclose(&full, 0.0, 0.01, false));
            assert!(low != full, "nothing was rounded");
        }
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
