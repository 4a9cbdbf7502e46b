//! Points of a latent space: the distributions they are drawn from, and the ways between them.

use tch::{Kind, Tensor};

use super::rng::Rng;

/// `N(μ, diag σ²)`, one a row: what an encoder says of a code. Both tensors are `[batch, latent]`.
pub struct DiagonalGaussian {
    pub mean: Tensor,
    pub log_variance: Tensor,
}

impl DiagonalGaussian {
    /// `z = μ + σ ε` (Kingma and Welling, 2014); `noise` is `[batch, latent]`, `[samples, batch, latent]`
    /// or `[latent]`, and so is, broadcast, the answer.
    pub fn at(&self, noise: &Tensor) -> Tensor {
        &self.mean + (&self.log_variance * 0.5).exp() * noise
    }

    /// One point a row, `[batch, latent]`.
    pub fn sample(&self, rng: &mut Rng) -> Tensor {
        self.at(&rng.normal(&self.mean.size(), self.mean.device()))
    }

    /// `KL(N(μ, σ²) ‖ N(0, 1)) = ½ Σ (μ² + σ² - 1 - ln σ²)` of each row in nats: `[batch]`.
    pub fn kl_from_standard(&self) -> Tensor {
        let sum = self.mean.square() + self.log_variance.exp() - &self.log_variance - 1.0;
        sum.sum_dim_intlist(-1, false, Kind::Float) * 0.5
    }

    /// `ln N(z; 0, 1) - ln N(z; μ, σ²)` in nats, for `z = at(noise)`: without the last axis of `noise`.
    pub fn log_ratio_at(&self, z: &Tensor, noise: &Tensor) -> Tensor {
        let sum = noise.square() + &self.log_variance - z.square();
        sum.sum_dim_intlist(-1, false, Kind::Float) * 0.5
    }
}

/// Points on the straight line from one point to another, `[1, latent]` each: `[shares, latent]`.
pub fn lerp(from: &Tensor, to: &Tensor, shares: &[f64]) -> Tensor {
    let t = column(shares, from);
    from * (1.0 - &t) + to * t
}

/// Points on the great arc from one point to another (Shoemake, 1985), `[1, latent]` each:
/// `[shares, latent]`. In many dimensions a normal distribution lies near a sphere, which a straight
/// line leaves (White, 2016).
pub fn slerp(from: &Tensor, to: &Tensor, shares: &[f64]) -> Tensor {
    let norms = from.norm() * to.norm();
    let cosine = ((from * to).sum(Kind::Float) / norms).double_value(&[]);
    // Zero vectors have no direction; along one line both ways are the same, but for the division.
    if !cosine.is_finite() || cosine.abs() > 1.0 - 1e-6 {
        return lerp(from, to, shares);
    }
    let angle = cosine.acos();
    let t = column(shares, from);
    let part = |share: Tensor| (share * angle).sin() / angle.sin();
    from * part(1.0 - &t) + to * part(t)
}

fn column(shares: &[f64], like: &Tensor) -> Tensor {
    Tensor::from_slice(shares)
        .to_kind(Kind::Float)
        .to_device(like.device())
        .view([-1, 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn posterior() -> DiagonalGaussian {
        DiagonalGaussian {
            mean: Tensor::from_slice(&[0.7_f32, -1.2, 0.0]).view([1, 3]),
            log_variance: Tensor::from_slice(&[-1.0_f32, 0.5, -3.0]).view([1, 3]),
        }
    }

    #[test]
    fn the_divergence_and_its_slopes_are_those_of_pytorch() {
        use super::super::golden::{assert_close, leaf, read};
        let golden = &read(include_str!("../../tests/golden/losses.json"))["divergence"];
        let q = DiagonalGaussian {
            mean: leaf(&golden["mean"]),
            log_variance: leaf(&golden["log_variance"]),
        };
        let rows = q.kl_from_standard();
        assert_close(&rows, &golden["rows"], "rows");
        rows.sum(Kind::Float).backward();
        assert_close(&q.mean.grad(), &golden["mean_slope"], "slope by the mean");
        let slope = &golden["log_variance_slope"];
        assert_close(&q.log_variance.grad(), slope, "slope by the log-variance");
    }

    #[test]
    fn the_divergence_in_closed_form_is_that_of_samples() {
        let q = posterior();
        let n = 200_000;
        let noise = Rng::at(1, &[]).normal(&[n, 1, 3], Device::Cpu);
        // KL(q ‖ p) = -E_q [ln p - ln q].
        let sampled = -q.log_ratio_at(&q.at(&noise), &noise);
        let error = sampled.std(true).double_value(&[]) / (n as f64).sqrt();
        let found = sampled.mean(Kind::Double).double_value(&[]);
        let exact = q.kl_from_standard().double_value(&[0]);
        assert!((found - exact).abs() < 4.0 * error, "{found} and {exact}");
        // The same by hand, ½ Σ (μ² + σ² - 1 - ln σ²).
        let by_hand: f64 = [(0.7_f64, -1.0_f64), (-1.2, 0.5), (0.0, -3.0)]
            .iter()
            .map(|(mean, log)| 0.5 * (mean * mean + log.exp() - 1.0 - log))
            .sum();
        assert!((exact - by_hand).abs() < 1e-5, "{exact} and {by_hand}");
    }

    #[test]
    fn an_arc_has_the_right_ends_and_keeps_its_radius() {
        let mut rng = Rng::at(2, &[]);
        let unit = |x: Tensor| &x / x.norm();
        let from = unit(rng.normal(&[1, 20], Device::Cpu));
        let to = unit(rng.normal(&[1, 20], Device::Cpu));
        let shares = [0.0, 0.25, 0.5, 1.0];
        let arc = slerp(&from, &to, &shares);
        let distance = |row: i64, point: &Tensor| (arc.get(row) - point).norm().double_value(&[]);
        assert!(distance(0, &from) < 1e-6);
        assert!(distance(3, &to) < 1e-6);
        for row in 0..4 {
            let radius = arc.get(row).norm().double_value(&[]);
            assert!((radius - 1.0).abs() < 1e-5, "{radius} at {row}");
        }
        let line = lerp(&from, &to, &shares);
        assert!(line.get(2).norm().double_value(&[]) < 0.999);
        assert_eq!(line.get(3), to.get(0));
    }

    #[test]
    fn an_arc_between_points_on_one_line_is_the_line() {
        let x = Tensor::from_slice(&[1.0_f32, 2.0]).view([1, 2]);
        for to in [&x * 3.0, -&x, x.zeros_like()] {
            let shares = [0.0, 0.3, 1.0];
            assert_eq!(slerp(&x, &to, &shares), lerp(&x, &to, &shares));
        }
    }
}
