//! One restricted Boltzmann machine: its parameters, conditional distributions and free energy.
//!
//! `E(v, h) = E_v(v) + E_h(h) - v W h`, with `W: [visible, hidden]`, `b: [visible]`, `c: [hidden]`. Labels are the
//! last visible units: `[v l]`, `[b d]` and `[W; U]` are one vector or matrix each.

use tch::{Device, Kind, Tensor};

use super::units::Layer;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors, copy_all};
use crate::onnx::{Graph, Value};

/// What to build.
#[derive(Debug, Clone, Copy)]
pub struct MachineConfig {
    /// The visible units that are not labels.
    pub visible: Layer,
    /// Size of the label group; 0 for none.
    pub classes: i64,
    pub hidden: Layer,
    /// What products are computed in (`Float` or `BFloat16`); sums, and all that goes in and comes out, are f32.
    pub compute: Kind,
}

pub struct Machine {
    pub weights: Tensor,
    pub visible_bias: Tensor,
    pub hidden_bias: Tensor,
    pub(super) config: MachineConfig,
}

impl MachineConfig {
    /// Bernoulli units without labels, computed in f32.
    pub fn bernoulli(visible: i64, hidden: i64) -> Self {
        Self {
            visible: Layer::bernoulli(visible),
            classes: 0,
            hidden: Layer::bernoulli(hidden),
            compute: Kind::Float,
        }
    }

    /// All visible units.
    fn visible_width(&self) -> i64 {
        self.visible.width + self.classes
    }

    /// Small normal weights (standard deviation 0.01) and zero biases (Hinton, 2010, section 8).
    pub fn init(self, rng: &mut Rng, device: Device) -> Machine {
        let (visible, hidden) = (self.visible_width(), self.hidden.width);
        Machine {
            weights: rng.normal(&[visible, hidden], device) * 0.01,
            visible_bias: Tensor::zeros([visible], (Kind::Float, device)),
            hidden_bias: Tensor::zeros([hidden], (Kind::Float, device)),
            config: self,
        }
    }

    /// Normal weights and biases.
    #[cfg(test)]
    pub fn random(self, rng: &mut Rng) -> Machine {
        let (visible, hidden) = (self.visible_width(), self.hidden.width);
        Machine {
            weights: rng.normal(&[visible, hidden], Device::Cpu),
            visible_bias: rng.normal(&[visible], Device::Cpu),
            hidden_bias: rng.normal(&[hidden], Device::Cpu),
            config: self,
        }
    }

    /// Numbers in the weights and biases, without making them.
    pub fn parameters(&self) -> u128 {
        let [visible, hidden] =
            [self.visible, self.hidden].map(|l| u128::from(l.width.unsigned_abs()));
        let visible = visible + u128::from(self.classes.unsigned_abs());
        visible
            .saturating_mul(hidden)
            .saturating_add(visible + hidden)
    }
}

impl Machine {
    /// The kind that products are computed in.
    pub fn compute(&self) -> Kind {
        self.config.compute
    }

    /// Hidden units.
    pub fn hidden(&self) -> i64 {
        self.config.hidden.width
    }

    /// Visible units that are not labels.
    pub fn units(&self) -> i64 {
        self.config.visible.width
    }

    /// Size of the label group; 0 for none.
    pub fn classes(&self) -> i64 {
        self.config.classes
    }

    pub fn device(&self) -> Device {
        self.weights.device()
    }

    /// The same machine with its weights `w` and biases `b` turned to `f(w)` and `f(b)`.
    fn map(&self, f: impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            weights: f(&self.weights),
            visible_bias: f(&self.visible_bias),
            hidden_bias: f(&self.hidden_bias),
            config: self.config,
        }
    }

    /// The same machine in storage of its own.
    #[must_use]
    pub fn copy(&self) -> Self {
        self.map(Tensor::copy)
    }

    /// The machine of the energy `E / T`, where all units are Bernoulli.
    #[must_use]
    pub fn at_temperature(&self, temperature: f64) -> Self {
        self.map(|tensor| tensor / temperature)
    }

    /// The same machine with its products in `kind`, on weights that are rounded once; a copy, unless they are of
    /// that kind already.
    #[must_use]
    pub fn computing_in(&self, kind: Kind) -> Self {
        let mut machine = self.map(Tensor::shallow_clone);
        machine.weights = self.weights.to_kind(kind);
        machine.config.compute = kind;
        machine
    }

    /// `c + v W`: `[batch, visible] -> [batch, hidden]`.
    pub fn hidden_input(&self, v: &Tensor) -> Tensor {
        self.affine(&self.hidden_bias, v, &self.weights)
    }

    /// `b + h Wᵀ`: `[batch, hidden] -> [batch, visible]`.
    pub fn visible_input(&self, h: &Tensor) -> Tensor {
        self.affine(&self.visible_bias, h, &self.weights.transpose(0, 1))
    }

    /// `E[h | v]`, of Bernoulli units `σ(c + v W)`; `v` has its labels: `[batch, visible] -> [batch, hidden]`.
    pub fn hidden_mean(&self, v: &Tensor) -> Tensor {
        self.config.hidden.units.mean(self.hidden_input(v))
    }

    /// `E[v | h]`, of Bernoulli units `σ(b + h Wᵀ)`, the probabilities of the labels behind it:
    /// `[batch, hidden] -> [batch, visible]`.
    pub fn visible_mean(&self, h: &Tensor) -> Tensor {
        self.visible_mean_of(self.visible_input(h))
    }

    /// One mean-field pass up and down: `[batch, visible]` to the same.
    pub fn reconstruction(&self, v: &Tensor) -> Tensor {
        self.visible_mean(&self.hidden_mean(v))
    }

    /// `h ~ p(h | v)`, from its mean.
    pub fn sample_hidden(&self, mean: &Tensor, rng: &mut Rng) -> Tensor {
        self.config.hidden.units.sample(mean, rng)
    }

    /// One full step of block Gibbs sampling from hidden states: the visible means the step passed through, the
    /// visible sample, and the hidden means that follow from it.
    pub fn gibbs_step(&self, h: &Tensor, rng: &mut Rng) -> (Tensor, Tensor, Tensor) {
        let visible_mean = self.visible_mean(h);
        let v = self.sample_visible(&visible_mean, rng);
        let hidden_mean = self.hidden_mean(&v);
        (visible_mean, v, hidden_mean)
    }

    /// `F(v) = -ln Σ_h exp(-E(v, h))`, so that `p(v) ∝ exp(-F(v))`, summed over the labels too; of Bernoulli units
    /// `-v·b - Σ_j ln(1 + exp(c_j + v W_j))`: `[batch, units] -> [batch]`.
    pub fn free_energy(&self, v: &Tensor) -> Tensor {
        if self.classes() > 0 {
            return -(-self.class_free_energies(v)).logsumexp(1, false);
        }
        let visible = self.config.visible.units.energy(v, &self.visible_bias);
        visible + self.hidden_free_energy(&self.hidden_input(v))
    }

    /// The hidden units' part of `F`: `[batch, hidden] -> [batch]`.
    pub(super) fn hidden_free_energy(&self, input: &Tensor) -> Tensor {
        let units = self.config.hidden.units;
        units.free_energy(input, &self.hidden_bias)
    }

    /// A stochastic estimate of the log pseudo-likelihood, in nats a row (Besag, 1975; as in Marlin et al., 2010):
    /// for one unit `i` drawn for each row, `visible · ln σ(F(v with v_i flipped) - F(v))`. `v` holds 0s and 1s.
    pub fn pseudo_likelihood(&self, v: &Tensor, rng: &mut Rng) -> Tensor {
        let visible = self.units();
        let index = (rng.uniform(&[v.size()[0], 1], v.device()) * visible as f64)
            .to_kind(Kind::Int64)
            .clamp_max(visible - 1);
        let flipped_bits: Tensor = 1.0 - v.gather(1, &index, false);
        let flipped = v.scatter(1, &index, &flipped_bits);
        (self.free_energy(&flipped) - self.free_energy(v)).log_sigmoid() * visible as f64
    }

    /// `E[h | v]`, for `v` without labels under those that are likely. The tensors have the names of
    /// [`Self::tensors`] behind `prefix`.
    pub fn write_hidden(&self, graph: &mut Graph, prefix: &str, v: &Value) -> Value {
        let visible = if self.classes() == 0 {
            v.clone()
        } else {
            let labels = self.write_class_probabilities(graph, prefix, v);
            graph.beside(v, &labels)
        };
        let weights = graph.weight(&format!("{prefix}weights"), &self.weights);
        let bias = graph.weight(&format!("{prefix}hidden_bias"), &self.hidden_bias);
        let input = graph.affine(&visible, &weights, &bias);
        self.config.hidden.units.write_mean(graph, &input)
    }

    /// `E[v | h]` of the visible units that are not labels.
    pub fn write_units(&self, graph: &mut Graph, prefix: &str, h: &Value) -> Value {
        let weights = graph.weight(&format!("{prefix}weights"), &self.weights);
        let bias = graph.weight(&format!("{prefix}visible_bias"), &self.visible_bias);
        let mut input = graph.affine_transposed(h, &weights, &bias);
        if self.classes() > 0 {
            input = graph.narrow(&input, 1, 0, self.units());
        }
        self.config.visible.units.write_mean(graph, &input)
    }

    /// By name; they share storage with the machine.
    pub fn tensors(&self) -> Tensors {
        Tensors::from([
            ("weights".to_owned(), self.weights.shallow_clone()),
            ("visible_bias".to_owned(), self.visible_bias.shallow_clone()),
            ("hidden_bias".to_owned(), self.hidden_bias.shallow_clone()),
        ])
    }

    /// Takes over what stands under these names behind `prefix`.
    pub fn load(&mut self, prefix: &str, source: &Tensors) -> Result<(), TensorMismatch> {
        let own = self.tensors().into_iter();
        copy_all(
            source,
            own.map(|(name, part)| (format!("{prefix}{name}"), part)),
        )
    }

    /// `bias + x w`, the product in the kind asked for, the sum in f32.
    pub(super) fn affine(&self, bias: &Tensor, x: &Tensor, w: &Tensor) -> Tensor {
        let kind = self.config.compute;
        if kind == Kind::Float {
            return bias.addmm(x, w);
        }
        let product = x.to_kind(kind).matmul(&w.to_kind(kind));
        product.to_kind(Kind::Float).g_add_(bias)
    }

    /// Greatest difference between the rates of the states of `v`, of few units, and their probabilities.
    #[cfg(test)]
    pub fn worst_rate(&self, v: &Tensor) -> f64 {
        let all = super::units::states(0..1 << self.units(), self.units(), Device::Cpu);
        let powers = Tensor::from_slice(&[2.0_f32])
            .pow(&Tensor::arange(self.units(), (Kind::Float, Device::Cpu)));
        let seen = v.mv(&powers).to_kind(Kind::Int64);
        let seen = seen
            .bincount::<Tensor>(None, all.size()[0])
            .to_kind(Kind::Float);
        let expected = (-self.free_energy(&all)).softmax(0, Kind::Float);
        let off = seen / v.size()[0] as f64 - expected;
        off.abs().max().double_value(&[])
    }

    /// `-E(v, h)` of all pairs, of Bernoulli units: `[rows of v, rows of h]`.
    #[cfg(test)]
    pub fn negative_energies(&self, v: &Tensor, h: &Tensor) -> Tensor {
        v.matmul(&self.weights).matmul(&h.transpose(0, 1))
            + v.mv(&self.visible_bias).unsqueeze(1)
            + h.mv(&self.hidden_bias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::boltzmann::units::states;

    /// A machine small enough that every state can be written down.
    fn small() -> Machine {
        MachineConfig::bernoulli(4, 3).random(&mut Rng::at(5, &[]))
    }

    fn all_states(width: i64) -> Tensor {
        states(0..1 << width, width, Device::Cpu)
    }

    #[test]
    fn free_energy_is_the_sum_over_every_hidden_state() {
        let machine = small();
        let (v, h) = (all_states(4), all_states(3));
        let expected = -machine.negative_energies(&v, &h).logsumexp(1, false);
        assert!(
            machine
                .free_energy(&v)
                .allclose(&expected, 1e-5, 1e-5, false)
        );
    }

    #[test]
    fn the_free_energy_of_linear_hidden_units_is_their_integral() {
        let config = MachineConfig {
            hidden: Layer::gaussian(4),
            ..MachineConfig::bernoulli(3, 4)
        };
        let m = config.random(&mut Rng::at(5, &[]));
        let v = all_states(3);
        // One unit at a time: -ln ∫ exp(-(h - c)² / 2 + (input - c) h) dh, less the constant ln √2π.
        let grid = Tensor::linspace(-40, 40, 80_001, (Kind::Double, Device::Cpu));
        let mut expected = -v.mv(&m.visible_bias);
        for j in 0..4 {
            let c = m.hidden_bias.double_value(&[j]);
            let drive = m.hidden_input(&v).select(1, j).to_kind(Kind::Double) - c;
            let exponent = (&grid - c).square() * -0.5 + drive.unsqueeze(1) * &grid;
            let integral = exponent.logsumexp(1, false) + (1e-3_f64).ln();
            let normal = (std::f64::consts::TAU).ln() / 2.0;
            expected -= (integral - normal).to_kind(Kind::Float);
        }
        assert!(
            m.free_energy(&v).allclose(&expected, 1e-3, 1e-3, false),
            "{} {expected}",
            m.free_energy(&v)
        );
    }

    #[test]
    fn gibbs_sampling_visits_states_as_often_as_the_model_says() {
        let machine = small();
        let mut rng = Rng::at(9, &[]);
        let chains = 20_000;
        let mut h = rng.bernoulli(&Tensor::full([chains, 3], 0.5, (Kind::Float, Device::Cpu)));
        let mut v = h.shallow_clone();
        for _ in 0..30 {
            let (_, sample, hidden) = machine.gibbs_step(&h, &mut rng);
            v = sample;
            h = rng.bernoulli(&hidden);
        }
        let worst = machine.worst_rate(&v);
        assert!(worst < 0.015, "worst difference in probability {worst}");
    }

    #[test]
    fn products_in_bf16_are_close_to_those_in_f32() {
        let machine = small();
        let low = machine.computing_in(Kind::BFloat16);
        let (v, h) = (all_states(4), all_states(3));
        for (low, full) in [
            (low.hidden_mean(&v), machine.hidden_mean(&v)),
            (low.visible_mean(&h), machine.visible_mean(&h)),
        ] {
            assert_eq!(low.kind(), Kind::Float);
            assert!(low.allclose(&full, 0.0, 0.01, false));
            assert!(low != full, "nothing was rounded");
        }
    }

    #[test]
    fn pseudo_likelihood_is_that_of_enumeration() {
        let machine = small();
        let row = Tensor::from_slice(&[1.0_f32, 0.0, 1.0, 1.0]).view([1, 4]);
        let exact: f64 = (0..4)
            .map(|i| {
                let flipped = row.copy();
                let _ = flipped.select(1, i).fill_(1.0 - row.double_value(&[0, i]));
                let difference = machine.free_energy(&flipped) - machine.free_energy(&row);
                difference.log_sigmoid().double_value(&[0])
            })
            .sum();
        let rows = row.repeat([40_000, 1]);
        let estimate = machine
            .pseudo_likelihood(&rows, &mut Rng::at(2, &[]))
            .mean(Kind::Double);
        assert!((estimate.double_value(&[]) - exact).abs() < 0.05);
    }
}
