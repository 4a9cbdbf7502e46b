//! Draws from softmax distributions.

use tch::{Kind, Tensor};

use super::rng::Rng;

/// One class a row, by the inverse of the distribution function: `[batch, classes] -> [batch]`.
pub fn draw_classes(p: &Tensor, rng: &mut Rng) -> Tensor {
    let (rows, classes) = (p.size()[0], p.size()[1]);
    let u = rng.uniform(&[rows, 1], p.device());
    // The last class takes what rounding leaves over.
    p.cumsum(1, Kind::Float)
        .less_equal_tensor(&u)
        .sum_dim_intlist(1, false, Kind::Int64)
        .clamp_max(classes - 1)
}
