//! Pointwise nonlinearities, by the names a job document uses.

use serde::{Deserialize, Serialize};
use tch::Tensor;
use utoipa::ToSchema;

use crate::onnx::{Attribute, Graph, Value};

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

    pub fn write(self, graph: &mut Graph, x: &Value) -> Value {
        match self {
            Self::Linear => x.clone(),
            Self::Sigmoid => graph.map("Sigmoid", x),
            Self::Tanh => graph.map("Tanh", x),
            Self::Relu => graph.map("Relu", x),
            Self::LeakyRelu => {
                let slope = vec![("alpha", Attribute::Float(0.2))];
                graph.node("LeakyRelu", &[x], slope)
            }
            // x Φ(x), by the error function: the operator set has no Gelu of its own yet.
            Self::Gelu => {
                let scaled = graph.multiply_by(x, std::f64::consts::FRAC_1_SQRT_2);
                let error = graph.map("Erf", &scaled);
                let one = graph.number(1.0);
                let twice = graph.add(&error, &one);
                let product = graph.multiply(x, &twice);
                graph.multiply_by(&product, 0.5)
            }
            Self::Silu => {
                let gate = graph.map("Sigmoid", x);
                graph.multiply(x, &gate)
            }
            Self::Elu => graph.map("Elu", x),
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
