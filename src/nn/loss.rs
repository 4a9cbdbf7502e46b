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
