//! The path from a machine without weights to a Boltzmann machine, which annealed importance sampling
//! and parallel tempering walk.
//!
//! `ln p*_β(v, h) = v·b_β + β (h·c + v W h)` with `b_β = (1-β) b₀ + β b`. At β = 0 every unit is
//! independent, the visible ones on with the base rates `σ(b₀)` of the data, and everything about the
//! machine is known (Salakhutdinov and Murray, 2008); at β = 1 it is the machine itself.

use tch::{Kind, Tensor};

use super::categorical::one_hot_draw;
use super::gibbs::BernoulliPair;
use super::rng::Rng;

pub struct Tempered<'a> {
    pub pair: &'a BernoulliPair,
    /// `b₀`, the log-odds of each visible unit: `[visible]`.
    pub base_bias: &'a Tensor,
    /// How many of the visible units, the last ones, are one softmax group, of which exactly one is on;
    /// 0 for none.
    pub classes: i64,
}

impl Tempered<'_> {
    /// `b_β + β h Wᵀ`; `beta` is a number, or one for each row, `[batch, 1]`.
    fn visible_input(&self, h: &Tensor, beta: &Tensor) -> Tensor {
        // b₀ + β (b + h Wᵀ - b₀): a straight line between the two inputs.
        self.base_bias
            .lerp_tensor(&self.pair.visible_input(h), beta)
    }

    /// `v ~ p_β(v | h)`, by units `σ(b_β + β h Wᵀ)`: `[batch, visible]`; `beta` as a number, or one for
    /// each row, `[batch, 1]`.
    pub fn sample_visible(&self, h: &Tensor, beta: &Tensor, rng: &mut Rng) -> Tensor {
        self.draw(self.visible_input(h, beta), rng)
    }

    /// Samples of the machine at β = 0: `[rows, visible]`.
    pub fn base_sample(&self, rows: i64, rng: &mut Rng) -> Tensor {
        self.draw(self.base_bias.repeat([rows, 1]), rng)
    }

    fn draw(&self, mut input: Tensor, rng: &mut Rng) -> Tensor {
        if self.classes == 0 {
            return rng.bernoulli(&input.sigmoid_());
        }
        let units = self.units();
        let labels = one_hot_draw(&input.narrow(1, units, self.classes), rng);
        Tensor::cat(
            &[rng.bernoulli(&input.narrow(1, 0, units).sigmoid()), labels],
            1,
        )
    }

    /// Visible units that are not of the group.
    pub fn units(&self) -> i64 {
        self.pair.visible() - self.classes
    }

    /// `ln p*_to(v) - ln p*_from(v)`, the hidden units summed out, in f64: `[batch]`.
    /// `input` is the pair's `hidden_input(v)`.
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
        v.mv(&(&self.pair.visible_bias - self.base_bias))
            .to_kind(Kind::Double)
    }

    /// `ln Z` at β = 0: `Σ_i ln(1 + exp(b₀_i)) + hidden ln 2`, and the group's `ln Σ_l exp(b₀_l)`.
    pub fn base_log_z(&self) -> f64 {
        let hidden = self.pair.hidden() as f64 * std::f64::consts::LN_2;
        let bias = self.base_bias.unsqueeze(0);
        self.visible_summed_out(&bias).double_value(&[0]) + hidden
    }

    /// `ln Σ_v exp(v·input)` of each row, in f64: `[batch, visible] -> [batch]`.
    pub fn visible_summed_out(&self, input: &Tensor) -> Tensor {
        let units = input.narrow(1, 0, self.units()).to_kind(Kind::Double);
        let sum = units.softplus().sum_dim_intlist(1, false, Kind::Double);
        if self.classes == 0 {
            return sum;
        }
        let group = input.narrow(1, self.units(), self.classes);
        sum + group.to_kind(Kind::Double).logsumexp(1, false)
    }

    /// `ln Σ_v exp(-E(v, h))` of each row, in f64: `[batch, hidden] -> [batch]`.
    pub fn log_weight_of_hidden(&self, h: &Tensor) -> Tensor {
        let pair = self.pair.computing_in(Kind::Float);
        let hidden = h.mv(&pair.hidden_bias).to_kind(Kind::Double);
        hidden + self.visible_summed_out(&pair.visible_input(h))
    }

    /// `ln Σ_h exp(-E(v, h))` of each row, summed over the group too, in f64: `[batch, units] -> [batch]`.
    pub fn log_weight_of_units(&self, units: &Tensor) -> Tensor {
        let pair = self.pair.computing_in(Kind::Float);
        let minus_energy = |v: &Tensor| -pair.free_energy(v).to_kind(Kind::Double);
        if self.classes == 0 {
            return minus_energy(units);
        }
        let of_each_class: Vec<Tensor> = (0..self.classes)
            .map(|l| {
                let label = units.new_zeros(
                    [units.size()[0], self.classes],
                    (Kind::Float, units.device()),
                );
                let _ = label.select(1, l).fill_(1.0);
                minus_energy(&Tensor::cat(&[units, &label], 1))
            })
            .collect();
        Tensor::stack(&of_each_class, 0).logsumexp(0, false)
    }
}
