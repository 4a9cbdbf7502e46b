//! The kinds of units that a layer may have: what each adds to the energy, its mean and its samples.
//!
//! A unit `x` with the bias `b`, which the other layer drives by `d`, has the input `a = b + d`, and
//! `p(x) ∝ exp(-E(x) + x d)`. A new kind of unit is a variant here.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use crate::nn::rng::Rng;
use crate::onnx::{Graph, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Units {
    /// 0 or 1: `E(x) = -x b`, so that `p(x = 1) = σ(a)`.
    Bernoulli,
    /// Any number: `E(x) = ½ (x - b)²`, so that `x ~ N(a, 1)` (Hinton and Salakhutdinov, 2006).
    Gaussian,
}

/// A layer of units of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    pub units: Units,
    pub width: i64,
}

impl Layer {
    pub fn bernoulli(width: i64) -> Self {
        let units = Units::Bernoulli;
        Self { units, width }
    }

    pub fn gaussian(width: i64) -> Self {
        let units = Units::Gaussian;
        Self { units, width }
    }
}

impl Units {
    /// `Σ E(x)` of each row: `[batch, units] -> [batch]`.
    pub fn energy(self, x: &Tensor, bias: &Tensor) -> Tensor {
        match self {
            Self::Bernoulli => -x.mv(bias),
            Self::Gaussian => row_sums(&((x - bias).square() * 0.5)),
        }
    }

    /// `-Σ ln Σ_x exp(-E(x) + x d)` of each row, less a constant: `[batch, units] -> [batch]`.
    pub fn free_energy(self, input: &Tensor, bias: &Tensor) -> Tensor {
        match self {
            Self::Bernoulli => -row_sums(&input.softplus()),
            Self::Gaussian => row_sums(&((bias.square() - input.square()) * 0.5)),
        }
    }

    /// `E[x]` from the inputs, of any shape.
    pub fn mean(self, mut input: Tensor) -> Tensor {
        match self {
            Self::Bernoulli => input.sigmoid_(),
            Self::Gaussian => input,
        }
    }

    pub fn sample(self, mean: &Tensor, rng: &mut Rng) -> Tensor {
        match self {
            Self::Bernoulli => rng.bernoulli(mean),
            Self::Gaussian => mean + rng.normal(&mean.size(), mean.device()),
        }
    }

    pub fn write_mean(self, graph: &mut Graph, input: &Value) -> Value {
        match self {
            Self::Bernoulli => graph.map("Sigmoid", input),
            Self::Gaussian => input.clone(),
        }
    }

    /// What of each unit's part of `-F` depends on the input.
    pub fn write_log_sum(self, graph: &mut Graph, input: &Value) -> Value {
        match self {
            Self::Bernoulli => graph.map("Softplus", input),
            Self::Gaussian => {
                let square = graph.multiply(input, input);
                graph.multiply_by(&square, 0.5)
            }
        }
    }

    /// Gaussian units have no bound, so their learning rate must be one or two orders of magnitude
    /// smaller (Hinton, 2010, section 13.2); the program of Hinton and Salakhutdinov (2006) takes a
    /// hundredth.
    pub fn rate_factor(self) -> f64 {
        match self {
            Self::Bernoulli => 1.0,
            Self::Gaussian => 0.01,
        }
    }
}

/// The 0/1 rows that write out the numbers of `range`, lowest bit first: `[range, width]`.
pub fn states(range: Range<i64>, width: i64, device: Device) -> Tensor {
    let numbers = Tensor::arange_start(range.start, range.end, (Kind::Int64, device));
    numbers
        .unsqueeze(1)
        .bitwise_right_shift(&Tensor::arange(width, (Kind::Int64, device)))
        .bitwise_and(1)
        .to_kind(Kind::Float)
}

fn row_sums(x: &Tensor) -> Tensor {
    x.sum_dim_intlist(1, false, x.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Units; 2] = [Units::Bernoulli, Units::Gaussian];

    #[test]
    fn the_mean_is_the_slope_of_the_free_energy_and_that_of_the_samples() {
        let mut rng = Rng::at(3, &[]);
        let bias = rng.normal(&[3], Device::Cpu);
        for units in KINDS {
            let input = rng.normal(&[1, 3], Device::Cpu).set_requires_grad(true);
            units.free_energy(&input, &bias).backward();
            let mean = tch::no_grad(|| units.mean(input.copy()));
            assert!(
                mean.allclose(&-input.grad(), 1e-5, 1e-6, false),
                "{units:?}"
            );
            let samples = units.sample(&mean.expand([100_000, 3], false), &mut rng);
            let off = (samples.mean_dim(0, false, Kind::Float) - mean.get(0)).abs();
            assert!(off.max().double_value(&[]) < 0.02, "{units:?}: {off}");
        }
    }
}
