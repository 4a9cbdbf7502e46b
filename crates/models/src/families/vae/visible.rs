//! `p(x | z)`: how values are distributed about what the decoder puts out for a code.

use tch::{Device, Kind, Tensor};

use crate::nn::model::DataFacts;
use crate::nn::{TensorMismatch, Tensors, bernoulli, copy_all};
use crate::onnx::{Graph, Value};

/// Least variance of the noise, in units of the values' own deviation: with less, the density of
/// values that never change would grow without bound.
const LEAST_VARIANCE: f64 = 1e-6;
/// Weight of a batch in the running variance of the noise.
const MOMENTUM: f64 = 0.05;

pub enum Visible {
    /// `p(x = 1) = σ(output)`; values between 0 and 1 count as probabilities.
    Bernoulli,
    Gaussian(Noise),
}

/// `x = shift + scale ⊙ (m + √v ε)`. For data in [0, 1], `m = σ(output)` and the values are taken as they
/// are; else `m = output` and the values are standardised. The variance `v` is one for all
/// values: the maximum of the likelihood, which is the mean squared error (Rybkin et al., 2021).
pub struct Noise {
    /// `[1]`.
    variance: Tensor,
    /// `[features]`.
    shift: Tensor,
    scale: Tensor,
    squashed: bool,
}

impl Visible {
    pub fn gaussian(data: &DataFacts, device: Device) -> Self {
        let options = (Kind::Float, device);
        Self::Gaussian(Noise {
            variance: Tensor::ones([1], options),
            shift: Tensor::zeros([data.features()], options),
            scale: Tensor::ones([data.features()], options),
            squashed: data.is_unit_interval(),
        })
    }

    /// The values as the encoder sees them.
    pub fn standardised(&self, x: &Tensor) -> Tensor {
        match self {
            Self::Gaussian(noise) if !noise.squashed => (x - &noise.shift) / &noise.scale,
            _ => x.shallow_clone(),
        }
    }

    /// `E[x | z]`, in the units of the data.
    pub fn mean(&self, output: &Tensor) -> Tensor {
        match self {
            Self::Bernoulli => output.sigmoid(),
            Self::Gaussian(noise) if noise.squashed => output.sigmoid(),
            Self::Gaussian(noise) => output * &noise.scale + &noise.shift,
        }
    }

    /// [`Self::standardised`] as a graph.
    pub fn write_standardised(&self, graph: &mut Graph, x: &Value) -> Value {
        match self {
            Self::Gaussian(noise) if !noise.squashed => {
                let (shift, scale) = noise.write_moments(graph);
                let centred = graph.subtract(x, &shift);
                graph.divide(&centred, &scale)
            }
            _ => x.clone(),
        }
    }

    /// [`Self::mean`] as a graph.
    pub fn write_mean(&self, graph: &mut Graph, output: &Value) -> Value {
        match self {
            Self::Gaussian(noise) if !noise.squashed => {
                let (shift, scale) = noise.write_moments(graph);
                let scaled = graph.multiply(output, &scale);
                graph.add(&scaled, &shift)
            }
            _ => graph.map("Sigmoid", output),
        }
    }

    /// `ln p(x | z)` in nats, `[samples · batch]`, and for normal noise the squared errors it follows from;
    /// for `output: [samples · batch, features]` and `x: [batch, features]`.
    pub fn log_density(&self, output: &Tensor, x: &Tensor) -> (Tensor, Option<Tensor>) {
        match self {
            Self::Bernoulli => (bernoulli::log_likelihood(output, x), None),
            Self::Gaussian(noise) => {
                let squares = noise.squared_error(output, x);
                (noise.log_density(&squares), Some(squares))
            }
        }
    }

    /// Whether the output is the logit of the mean, so that a bias can be.
    pub fn is_squashed(&self) -> bool {
        match self {
            Self::Bernoulli => true,
            Self::Gaussian(noise) => noise.squashed,
        }
    }

    /// The first look at the data. `mean` and `variance` are `[features]` f64; rows that are images are
    /// scaled by one number, since a pixel that is nearly constant means no more than its
    /// neighbours; columns of a table have units of their own, and each is scaled by its own deviation.
    pub fn start_from(&mut self, mean: &Tensor, variance: &Tensor, image: bool) {
        let Self::Gaussian(noise) = self else {
            return;
        };
        let whole = variance.mean(Kind::Double).double_value(&[]);
        let whole = if whole > 0.0 { whole } else { 1.0 };
        if noise.squashed {
            let _ = noise.variance.fill_(whole.max(LEAST_VARIANCE));
            return;
        }
        noise.shift.copy_(mean);
        if image {
            let _ = noise.scale.fill_(whole.sqrt());
        } else {
            // A column that never changes has no deviation to be measured in.
            let least = 1e-6 * variance.max().double_value(&[]).max(1e-30);
            noise.scale.copy_(&variance.clamp_min(least).sqrt());
        }
    }

    pub fn name_tensors(&self, into: &mut Tensors) {
        if let Self::Gaussian(noise) = self {
            let parts = [
                ("visible.variance", &noise.variance),
                ("visible.shift", &noise.shift),
                ("visible.scale", &noise.scale),
            ];
            into.extend(parts.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())));
        }
    }

    pub fn load(&mut self, source: &Tensors) -> Result<(), TensorMismatch> {
        let mut own = Tensors::new();
        self.name_tensors(&mut own);
        copy_all(source, own)
    }
}

impl Noise {
    fn write_moments(&self, graph: &mut Graph) -> (Value, Value) {
        let shift = graph.weight("visible.shift", &self.shift);
        let scale = graph.weight("visible.scale", &self.scale);
        (shift, scale)
    }

    /// `Σ ((x - shift) / scale - m)²` of each row, `[samples · batch]`.
    fn squared_error(&self, output: &Tensor, x: &Tensor) -> Tensor {
        let (mean, x) = if self.squashed {
            (output.sigmoid(), x.shallow_clone())
        } else {
            (output.shallow_clone(), (x - &self.shift) / &self.scale)
        };
        let size = x.size();
        let errors = mean.view([-1, size[0], size[1]]) - x;
        errors
            .square()
            .sum_dim_intlist(2, false, Kind::Float)
            .view([-1])
    }

    /// `-½ Σ (error² / v + ln 2πv) - Σ ln scale`.
    fn log_density(&self, squares: &Tensor) -> Tensor {
        let features = self.scale.numel() as f64;
        let constant = (&self.variance * std::f64::consts::TAU).log() * (0.5 * features)
            + self.scale.log().sum(Kind::Float);
        squares / (&self.variance * -2.0) - constant
    }

    /// One step of the running mean towards a batch's mean squared error a value.
    pub fn follow(&mut self, squares: &Tensor) {
        let now = squares.detach().mean(Kind::Float) / self.scale.numel() as f64;
        let moved = &self.variance * (1.0 - MOMENTUM) + now * MOMENTUM;
        self.variance.copy_(&moved.clamp_min(LEAST_VARIANCE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::golden::{assert_close, leaf, list, read, tensor};

    #[test]
    fn the_density_of_normal_noise_and_its_slope_are_those_of_pytorch() {
        let golden = &read(include_str!("../../../tests/golden/losses.json"))["gaussian"];
        for case in list(&golden["cases"]) {
            let visible = Visible::Gaussian(Noise {
                variance: tensor(&case["variance"]),
                shift: tensor(&case["shift"]),
                scale: tensor(&case["scale"]),
                squashed: case["squashed"] == true,
            });
            let output = leaf(&golden["output"]);
            let (rows, squares) = visible.log_density(&output, &tensor(&case["x"]));
            let what = format!("squashed: {}", case["squashed"]);
            assert_close(&rows, &case["rows"], &what);
            rows.sum(Kind::Float).backward();
            assert_close(&output.grad(), &case["slope"], &what);
            assert!(squares.is_some(), "{what}");
        }
    }

    #[test]
    fn the_variance_goes_towards_the_mean_squared_error() {
        let mut visible = Visible::gaussian(&DataFacts::new(&[2], (0.0, 1.0)), Device::Cpu);
        let Visible::Gaussian(noise) = &mut visible else {
            panic!("it is normal");
        };
        // Squared errors a row of two values: 0.2 a value on average.
        let squares = Tensor::from_slice(&[0.6_f32, 0.2]);
        noise.follow(&squares);
        assert!((noise.variance.double_value(&[0]) - (0.95 + 0.05 * 0.2)).abs() < 1e-6);
        for _ in 0..1000 {
            noise.follow(&squares);
        }
        assert!((noise.variance.double_value(&[0]) - 0.2).abs() < 1e-6);
    }
}
