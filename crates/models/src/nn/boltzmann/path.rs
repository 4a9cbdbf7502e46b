//! The path from independent units to a machine, which annealed importance sampling and parallel tempering walk.
//!
//! `ln p*_β(v, h) = v·b_β + β (h·c + v W h)` with `b_β = (1-β) b₀ + β b`, of Bernoulli units. At β = 0 every unit
//! is independent, the visible ones on with the base rates `σ(b₀)` of the data, and everything about the
//! machine is known (Salakhutdinov and Murray, 2008); at β = 1 it is the machine itself.

use tch::{Kind, Tensor};

use super::machine::Machine;
use crate::nn::rng::Rng;

pub struct AnnealingPath<'a> {
    pub machine: &'a Machine,
    /// `b₀`, the log-odds of each visible unit: `[visible]`.
    pub base_bias: &'a Tensor,
}

impl AnnealingPath<'_> {
    /// `v ~ p_β(v | h)`, by units `σ(b_β + β h Wᵀ)`: `[batch, visible]`; `beta` as a number, or one for
    /// each row, `[batch, 1]`.
    pub fn sample_visible(&self, h: &Tensor, beta: &Tensor, rng: &mut Rng) -> Tensor {
        // b₀ + β (b + h Wᵀ - b₀): a straight line between the two inputs.
        let input = self.machine.visible_input(h);
        self.draw(self.base_bias.lerp_tensor(&input, beta), rng)
    }

    /// Samples of the machine at β = 0: `[rows, visible]`.
    pub fn base_sample(&self, rows: i64, rng: &mut Rng) -> Tensor {
        self.draw(self.base_bias.repeat([rows, 1]), rng)
    }

    fn draw(&self, input: Tensor, rng: &mut Rng) -> Tensor {
        let mean = self.machine.visible_mean_of(input);
        self.machine.sample_visible(&mean, rng)
    }

    /// `ln p*_to(v) - ln p*_from(v)`, the hidden units summed out, in f64: `[batch]`.
    /// `input` is the machine's `hidden_input(v)`.
    pub fn log_ratio(&self, v: &Tensor, input: &Tensor, from: f64, to: f64) -> Tensor {
        let hidden = ((input * to).softplus() - (input * from).softplus()).sum_dim_intlist(
            1,
            false,
            Kind::Double,
        );
        hidden + self.visible_drift(v) * (to - from)
    }

    /// `d/dβ ln p*_β(v, h) = v·(b - b₀) + h·(c + v W)`: `[batch]`.
    pub fn slope(&self, v: &Tensor, h: &Tensor, input: &Tensor) -> Tensor {
        let hidden = (h * input).sum_dim_intlist(1, false, Kind::Double);
        hidden + self.visible_drift(v)
    }

    fn visible_drift(&self, v: &Tensor) -> Tensor {
        v.mv(&(&self.machine.visible_bias - self.base_bias))
            .to_kind(Kind::Double)
    }

    /// `ln Z` at β = 0: `Σ_i ln(1 + exp(b₀_i)) + hidden ln 2`, and the label group's `ln Σ_l exp(b₀_l)`.
    pub fn base_log_z(&self) -> f64 {
        let hidden = self.machine.hidden() as f64 * std::f64::consts::LN_2;
        let bias = self.base_bias.unsqueeze(0);
        self.visible_summed_out(&bias).double_value(&[0]) + hidden
    }

    /// `ln Σ_v exp(v·input)` of each row, in f64: `[batch, visible] -> [batch]`.
    fn visible_summed_out(&self, input: &Tensor) -> Tensor {
        let input = input.to_kind(Kind::Double);
        let units = self.machine.unit_part(&input).softplus();
        let sum = units.sum_dim_intlist(1, false, Kind::Double);
        if self.machine.classes() == 0 {
            return sum;
        }
        sum + self.machine.label_part(&input).logsumexp(1, false)
    }

    /// `ln Σ_v exp(-E(v, h))` of each row, in f64: `[batch, hidden] -> [batch]`.
    pub fn log_weight_of_hidden(&self, h: &Tensor) -> Tensor {
        let hidden = h.mv(&self.machine.hidden_bias).to_kind(Kind::Double);
        hidden + self.visible_summed_out(&self.machine.visible_input(h))
    }

    /// `ln Σ_h exp(-E(v, h))` of each row, summed over the labels too, in f64: `[batch, units] -> [batch]`.
    pub fn log_weight_of_units(&self, units: &Tensor) -> Tensor {
        if self.machine.classes() == 0 {
            return -self.machine.free_energy(units).to_kind(Kind::Double);
        }
        let of_each_class = self.machine.class_free_energies(units);
        (-of_each_class.to_kind(Kind::Double)).logsumexp(1, false)
    }
}
