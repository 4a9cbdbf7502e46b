//! Ways between two points of a latent space.

use tch::{Kind, Tensor};

/// Along the straight line: `(1 - t) from + t to`. `[1, latent] -> [shares, latent]`.
pub fn lerp(from: &Tensor, to: &Tensor, shares: &[f64]) -> Tensor {
    from + column(shares, from) * (to - from)
}

/// Along the great circle: `(sin((1 - t) ω) from + sin(t ω) to) / sin ω`, ω the angle between the two
/// (Shoemake, 1985). Normal noise in many dimensions lies near a sphere, and so do the points on the
/// way (White, 2016). `[1, latent] -> [shares, latent]`.
pub fn slerp(from: &Tensor, to: &Tensor, shares: &[f64]) -> Tensor {
    let scalar = |x: Tensor| x.double_value(&[]);
    let norms = scalar(from.norm()) * scalar(to.norm());
    let cosine = scalar((from * to).sum(Kind::Double)) / norms;
    let angle = cosine.clamp(-1.0, 1.0).acos();
    // Points on one line through the origin have no circle of their own, nor has the origin.
    if angle.is_nan() || angle.sin() < 1e-6 {
        return lerp(from, to, shares);
    }
    let t = column(shares, from);
    let weight = |angles: Tensor| angles.sin() / angle.sin();
    weight((1.0 - &t) * angle) * from + weight(t * angle) * to
}

fn column(shares: &[f64], like: &Tensor) -> Tensor {
    Tensor::from_slice(shares)
        .view([-1, 1])
        .to_kind(like.kind())
        .to_device(like.device())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).view([1, -1])
    }

    fn is_near(x: &Tensor, y: &[f32]) {
        let y = Tensor::from_slice(y).view_as(x);
        assert!(x.allclose(&y, 1e-6, 1e-6, false), "{x:?} and {y:?}");
    }

    #[test]
    fn a_quarter_circle_is_walked_at_constant_speed() {
        let way = slerp(&row(&[2.0, 0.0]), &row(&[0.0, 2.0]), &[0.0, 1.0 / 3.0, 1.0]);
        let (sin, cos) = std::f32::consts::FRAC_PI_6.sin_cos();
        is_near(&way, &[2.0, 0.0, 2.0 * cos, 2.0 * sin, 0.0, 2.0]);
    }

    #[test]
    fn the_straight_line_is_straight_and_stands_in_where_there_is_no_circle() {
        let (from, to) = (row(&[1.0, 2.0]), row(&[3.0, 6.0]));
        let expected = [1.0, 2.0, 2.0, 4.0, 3.0, 6.0];
        is_near(&lerp(&from, &to, &[0.0, 0.5, 1.0]), &expected);
        is_near(&slerp(&from, &to, &[0.0, 0.5, 1.0]), &expected);
        is_near(&slerp(&row(&[0.0, 0.0]), &to, &[0.5]), &[1.5, 3.0]);
    }
}
