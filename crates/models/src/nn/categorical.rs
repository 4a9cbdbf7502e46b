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

/// As `draw_classes`, of the softmax of `input`, with a 1 in the column of the class: `[batch, classes]`.
pub fn one_hot_draw(input: &Tensor, rng: &mut Rng) -> Tensor {
    let class = draw_classes(&input.softmax(1, Kind::Float), rng);
    let ones = input.zeros_like();
    ones.shallow_clone()
        .scatter_value_(1, &class.unsqueeze(1), 1.0)
}
