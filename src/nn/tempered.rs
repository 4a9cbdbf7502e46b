//! The path from a machine without weights to a Boltzmann machine, which annealed importance sampling
//! and parallel tempering walk.
//!
//! `ln p*_β(v, h) = v·b_β + β (h·c + v W h)` with `b_β = (1-β) b₀ + β b`. At β = 0 every unit is
//! independent, the visible ones on with the base rates `σ(b₀)` of the data, and everything about the
//! machine is known (Salakhutdinov and Murray, 2008); at β = 1 it is the machine itself.

use tch::{Kind, Tensor};

use super::gibbs::BernoulliPair;

pub struct Tempered<'a> {
    pub pair: &'a BernoulliPair,
    /// `b₀`, the log-odds of each visible unit: `[visible]`.
    pub base_bias: &'a Tensor,
}

impl Tempered<'_> {
    /// `p_β(v = 1 | h) = σ(b_β + β h Wᵀ)`; `beta` is a number, or one for each row, `[batch, 1]`.
    pub fn visible_given_hidden(&self, h: &Tensor, beta: &Tensor) -> Tensor {
        // b₀ + β (b + h Wᵀ - b₀): a straight line between the two inputs.
        self.base_bias
            .lerp_tensor(&self.pair.visible_input(h), beta)
            .sigmoid_()
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

    /// `ln Z` at β = 0: `Σ_i ln(1 + exp(b₀_i)) + hidden ln 2`.
    pub fn base_log_z(&self) -> f64 {
        let visible = self.base_bias.to_kind(Kind::Double).softplus();
        visible.sum(Kind::Double).double_value(&[])
            + self.pair.hidden() as f64 * std::f64::consts::LN_2
    }
}
