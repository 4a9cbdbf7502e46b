//! Ways between two points of a latent space.

use tch::{Kind, Tensor};

/// The straight line: `from + s (to - from)` for each share `s`. Rows `[1, latent]` to
/// `[shares, latent]`.
pub fn lerp(from: &Tensor, to: &Tensor, shares: &[f64]) -> Tensor {
    let shares = Tensor::from_slice(shares)
        .to_device(from.device())
        .to_kind(Kind::Float)
        .unsqueeze(1);
    from + shares * (to - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_both_ends_and_the_middle_between_them() {
        let from = Tensor::from_slice(&[0.0_f32, 4.0]).view([1, 2]);
        let to = Tensor::from_slice(&[2.0_f32, -4.0]).view([1, 2]);
        let points = lerp(&from, &to, &[0.0, 0.5, 1.0]);
        let expected = Tensor::from_slice(&[0.0_f32, 4.0, 1.0, 0.0, 2.0, -4.0]).view([3, 2]);
        assert_eq!(points, expected);
    }
}
