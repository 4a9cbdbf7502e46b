//! Pointwise nonlinearities, by the names a job document uses.

use serde::{Deserialize, Serialize};
use tch::Tensor;
use utoipa::ToSchema;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    Linear,
    Sigmoid,
    Tanh,
    Relu,
    /// Slope 0.2 below zero, as in DCGAN's discriminators (Radford et al., 2016).
    LeakyRelu,
    Gelu,
    Silu,
    Elu,
}

impl Activation {
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Self::Linear => x.shallow_clone(),
            Self::Sigmoid => x.sigmoid(),
            Self::Tanh => x.tanh(),
            Self::Relu => x.relu(),
            // As a gradient of its own kind it is one pass, there and back; a maximum is nine times slower.
            Self::LeakyRelu => x.detach().leaky_relu_backward(x, 0.2, false),
            Self::Gelu => x.gelu("none"),
            Self::Silu => x.silu(),
            Self::Elu => x.elu(),
        }
    }

    /// Factor on the standard deviation of the initial weights: sqrt(2) for the half-linear units
    /// (He et al., 2015), 1 for the rest (Glorot and Bengio, 2010).
    pub fn gain(self) -> f64 {
        match self {
            Self::Relu | Self::LeakyRelu | Self::Gelu | Self::Silu | Self::Elu => {
                std::f64::consts::SQRT_2
            }
            Self::Linear | Self::Sigmoid | Self::Tanh => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden::{assert_close, leaf, list, read};
    use super::*;

    #[test]
    fn values_and_slopes_are_those_of_pytorch() {
        let golden = &read(include_str!("../../tests/golden/layers.json"))["activations"];
        for case in list(&golden["cases"]) {
            let name = &case["name"];
            let activation: Activation = serde_json::from_value(name.clone()).expect("known");
            let x = leaf(&golden["x"]);
            let y = activation.apply(&x);
            assert_close(&y, &case["y"], &format!("{name}"));
            y.sum(tch::Kind::Float).backward();
            assert_close(&x.grad(), &case["slope"], &format!("slope of {name}"));
        }
    }
}
