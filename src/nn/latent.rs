//! Ways between two points of a latent space.

use tch::Tensor;

/// Points on the straight line from one latent point to the other, one for each share of the way:
/// `[1, latent] -> [shares, latent]`.
pub fn lerp(from: &Tensor, to: &Tensor, shares: &[f64]) -> Tensor {
    let share = Tensor::from_slice(shares)
        .to_kind(from.kind())
        .to_device(from.device())
        .view([-1, 1]);
    // Two products, so that both ends are met to the last bit.
    (1.0 - &share) * from + share * to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_meets_both_ends_and_the_middle() {
        let from = Tensor::from_slice(&[0.1_f32, 3.0]).view([1, 2]);
        let to = Tensor::from_slice(&[0.7_f32, -1.0]).view([1, 2]);
        let line = lerp(&from, &to, &[0.0, 0.5, 1.0]);
        assert_eq!(line.size(), [3, 2]);
        assert_eq!(line.narrow(0, 0, 1), from);
        assert_eq!(line.narrow(0, 2, 1), to);
        assert!((line.double_value(&[1, 0]) - 0.4).abs() < 1e-6);
        assert!((line.double_value(&[1, 1]) - 1.0).abs() < 1e-6);
    }
}
