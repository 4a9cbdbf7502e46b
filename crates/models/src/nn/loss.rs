//! Losses: summed over the features of a row, averaged over the batch.

use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, Tensor};
use utoipa::ToSchema;

/// How a reconstruction is compared with its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReconstructionLoss {
    /// Binary cross-entropy for data in [0, 1], else mean squared error.
    Auto,
    BinaryCrossEntropy,
    MeanSquaredError,
}

/// `-Σ x ln y + (1-x) ln(1-y)` with `y = σ(logits)`, for each row: `[batch]`.
pub fn cross_entropy_per_row(logits: &Tensor, target: &Tensor) -> Tensor {
    logits
        .binary_cross_entropy_with_logits::<Tensor>(target, None, None, Reduction::None)
        .sum_dim_intlist(1, false, Kind::Float)
}

/// `Σ (x - y)²` for each row: `[batch]`.
pub fn squared_error_per_row(output: &Tensor, target: &Tensor) -> Tensor {
    (output - target)
        .square()
        .sum_dim_intlist(1, false, Kind::Float)
}

/// The cross-entropy averaged over the batch, in one fused pass.
pub fn cross_entropy(logits: &Tensor, target: &Tensor) -> Tensor {
    logits.binary_cross_entropy_with_logits::<Tensor>(target, None, None, Reduction::Sum)
        / batch_size(target)
}

/// The squared error averaged over the batch.
pub fn squared_error(output: &Tensor, target: &Tensor) -> Tensor {
    output.mse_loss(target, Reduction::Sum) / batch_size(target)
}

fn batch_size(x: &Tensor) -> f64 {
    x.size()[0] as f64
}

#[cfg(test)]
mod tests {
    use super::super::bernoulli;
    use super::super::golden::{assert_close, leaf, read, tensor};
    use super::*;
    use serde_json::Value;

    const GOLDEN: &str = include_str!("../../tests/golden/losses.json");

    /// A loss of each row and its mean over the batch, of outputs and targets.
    struct Pair {
        name: &'static str,
        per_row: fn(&Tensor, &Tensor) -> Tensor,
        mean: fn(&Tensor, &Tensor) -> Tensor,
    }

    fn check(golden: &Value, pair: &Pair) {
        let (output, target) = (leaf(&golden["output"]), tensor(&golden["target"]));
        let expected = &golden[pair.name];
        let rows = (pair.per_row)(&output, &target);
        assert_close(&rows, &expected["rows"], pair.name);
        let mean = (pair.mean)(&output, &target);
        assert_close(&mean, &expected["mean"], pair.name);
        mean.backward();
        assert_close(&output.grad(), &expected["slope"], pair.name);
    }

    #[test]
    fn losses_and_their_slopes_are_those_of_pytorch() {
        let golden = &read(GOLDEN)["reconstruction"];
        check(
            golden,
            &Pair {
                name: "cross_entropy",
                per_row: cross_entropy_per_row,
                mean: cross_entropy,
            },
        );
        check(
            golden,
            &Pair {
                name: "cross_entropy",
                per_row: |output, target| -bernoulli::log_likelihood(output, target),
                mean: |output, target| -bernoulli::log_likelihood(output, target).mean(Kind::Float),
            },
        );
        check(
            golden,
            &Pair {
                name: "squared_error",
                per_row: squared_error_per_row,
                mean: squared_error,
            },
        );
    }
}
