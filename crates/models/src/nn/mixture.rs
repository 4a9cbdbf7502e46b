//! Mixture of Gaussians with full covariances, fitted by expectation and maximisation (Dempster, Laird
//! and Rubin, 1977): a density of codes, where the prior is too simple a one.

use tch::{Device, Kind, Tensor};

use super::rng::Rng;
use super::{TensorMismatch, Tensors, copy_all, copy_named};

/// Added to every variance, so that a component never closes in on a single point. Codes have
/// variances of about one.
const RIDGE: f64 = 1e-3;
/// Least share of a component; its logarithm stays finite.
const LEAST_WEIGHT: f64 = 1e-9;

/// Of the parts of a mixture.
pub const NAMES: [&str; 3] = ["weights", "means", "covariances"];

pub struct Mixture {
    /// `[components]`, summing to 1.
    weights: Tensor,
    /// `[components, latent]`.
    means: Tensor,
    /// `[components, latent, latent]`.
    covariances: Tensor,
}

impl Mixture {
    /// Every component is `N(0, 1)`, and so is the mixture.
    pub fn standard(components: i64, latent: i64, device: Device) -> Self {
        let options = (Kind::Float, device);
        let one = Tensor::eye(latent, options);
        Self {
            weights: Tensor::full([components], 1.0 / components as f64, options),
            means: Tensor::zeros([components, latent], options),
            covariances: one.expand([components, latent, latent], false).contiguous(),
        }
    }

    /// Numbers in a mixture.
    pub fn parameters(components: u128, latent: u128) -> u128 {
        let each = latent.saturating_mul(latent).saturating_add(latent + 1);
        components.saturating_mul(each)
    }

    pub fn name_tensors(&self, prefix: &str, into: &mut Tensors) {
        let parts = [&self.weights, &self.means, &self.covariances];
        for (name, part) in NAMES.iter().zip(parts) {
            into.insert(format!("{prefix}.{name}"), part.shallow_clone());
        }
    }

    pub fn load(&mut self, prefix: &str, source: &Tensors) -> Result<(), TensorMismatch> {
        let mut own = Tensors::new();
        self.name_tensors(prefix, &mut own);
        copy_all(source, own)
    }

    /// Starts over: the means at points spread evenly over `points`, each component as wide as all.
    pub fn start_at(&mut self, points: &Tensor) {
        let (n, k) = (points.size()[0], self.means.size()[0]);
        let chosen: Vec<i64> = (0..k).map(|i| i * n / k).collect();
        let chosen = Tensor::from_slice(&chosen).to_device(points.device());
        self.means.copy_(&points.index_select(0, &chosen));
        let centred = points - points.mean_dim(0, true, Kind::Float);
        let covariance = covariance(&centred, n as f64);
        self.covariances.copy_(&covariance);
        let _ = self.weights.fill_(1.0 / k as f64);
    }

    /// So many rounds of EM on `points: [n, latent]`. Computed on the CPU in f64: the sums are long.
    pub fn fit(&mut self, points: &Tensor, rounds: u32) {
        let points = points.to_device(Device::Cpu).to_kind(Kind::Double);
        for _ in 0..rounds {
            // Responsibilities, `[n, components]`.
            let share = self.log_joint(&points).softmax(1, Kind::Double);
            let counts = share.sum_dim_intlist(0, false, Kind::Double);
            let means = share.tr().matmul(&points) / counts.clamp_min(1e-12).unsqueeze(1);
            for c in 0..self.means.size()[0] {
                let centred = (&points - means.get(c)) * share.select(1, c).sqrt().unsqueeze(1);
                let count = counts.double_value(&[c]).max(1e-12);
                let covariance = covariance(&centred, count);
                self.covariances.get(c).copy_(&covariance);
            }
            self.means.copy_(&means);
            let weights = (counts / points.size()[0] as f64).clamp_min(LEAST_WEIGHT);
            self.weights.copy_(&(&weights / weights.sum(Kind::Double)));
        }
    }

    /// `ln p(z)` of each row in nats: `[n]` f64, on the CPU.
    pub fn log_density(&self, points: &Tensor) -> Tensor {
        let points = points.to_device(Device::Cpu).to_kind(Kind::Double);
        self.log_joint(&points).logsumexp(1, false)
    }

    /// `ln w_c N(z; μ_c, Σ_c)`: `[n, components]`. With `Σ = L Lᵀ` the distance is `|L⁻¹ (z - μ)|`.
    fn log_joint(&self, points: &Tensor) -> Tensor {
        let double = |x: &Tensor| x.to_device(Device::Cpu).to_kind(Kind::Double);
        let factors = double(&self.covariances).linalg_cholesky(false);
        let (means, log_weights) = (double(&self.means), double(&self.weights).log());
        let constant = 0.5 * points.size()[1] as f64 * std::f64::consts::TAU.ln();
        let columns: Vec<Tensor> = (0..means.size()[0])
            .map(|c| {
                let factor = factors.get(c);
                let white = factor.linalg_solve_triangular(
                    &(points - means.get(c)).tr(),
                    false,
                    true,
                    false,
                );
                let distance = white.square().sum_dim_intlist(0, false, Kind::Double);
                let log_scale = factor.diag(0).log().sum(Kind::Double);
                log_weights.get(c) - distance * 0.5 - log_scale - constant
            })
            .collect();
        Tensor::stack(&columns, 1)
    }

    /// `[n, latent]`; the deviations from the means are `temperature` times as large.
    pub fn sample(&self, n: i64, temperature: f64, rng: &mut Rng) -> Tensor {
        let (latent, device) = (self.means.size()[1], self.means.device());
        let u = rng.uniform(&[n], device);
        let noise = rng.normal(&[n, latent], device) * temperature;
        let ends = self.weights.cumsum(0, Kind::Float);
        let last = self.means.size()[0] - 1;
        let component = u.searchsorted(&ends, false, false, "left", None::<&Tensor>);
        let component = component.clamp_max(last);
        let factors = self.covariances.linalg_cholesky(false);
        let mut points = noise.zeros_like();
        for c in 0..=last {
            let own = self.means.get(c) + noise.matmul(&factors.get(c).tr());
            points = own.where_self(&component.eq(c).unsqueeze(1), &points);
        }
        points
    }
}

/// `Σ d dᵀ / n + ridge`, of rows `d`.
fn covariance(centred: &Tensor, n: f64) -> Tensor {
    let ridge = Tensor::eye(centred.size()[1], (centred.kind(), centred.device())) * RIDGE;
    centred.tr().matmul(centred) / n + ridge
}

/// The last codes that were drawn, as many as there is room for.
pub struct RecentCodes {
    /// `[room, latent]`.
    codes: Tensor,
    /// Codes that came in since the last `clear`, `[1]` i64.
    count: Tensor,
}

impl RecentCodes {
    pub fn new(room: i64, latent: i64, device: Device) -> Self {
        Self {
            codes: Tensor::zeros([room, latent], (Kind::Float, device)),
            count: Tensor::from_slice(&[0_i64]),
        }
    }

    pub fn clear(&mut self) {
        let _ = self.count.fill_(0);
    }

    /// `z: [batch, latent]`; what is oldest makes room.
    pub fn push(&mut self, z: &Tensor) {
        let (n, room) = (z.size()[0], self.codes.size()[0]);
        let kept = n.min(room);
        let first = self.count.int64_value(&[0]) + n - kept;
        let at = Tensor::arange(kept, (Kind::Int64, self.codes.device())) + first;
        let _ = self
            .codes
            .index_copy_(0, &at.remainder(room), &z.narrow(0, n - kept, kept));
        self.count += n;
    }

    /// `[codes, latent]`.
    pub fn all(&self) -> Tensor {
        let held = self.count.int64_value(&[0]).min(self.codes.size()[0]);
        self.codes.narrow(0, 0, held)
    }

    pub fn name_tensors(&self, prefix: &str, into: &mut Tensors) {
        into.insert(format!("{prefix}.codes"), self.codes.shallow_clone());
        into.insert(format!("{prefix}.count"), self.count.shallow_clone());
    }

    pub fn load(&mut self, prefix: &str, source: &Tensors) -> Result<(), TensorMismatch> {
        copy_named(source, &format!("{prefix}.codes"), &mut self.codes)?;
        copy_named(source, &format!("{prefix}.count"), &mut self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clouds, at (-3, 0) and (3, 1), the second slanted and three times as likely.
    fn clouds(n: i64) -> Tensor {
        let mut rng = Rng::at(4, &[]);
        let slant = Tensor::from_slice(&[0.5_f32, 0.4, 0.0, 0.3]).view([2, 2]);
        let first = rng.normal(&[n, 2], Device::Cpu) * 0.5 + Tensor::from_slice(&[-3.0_f32, 0.0]);
        let second = rng.normal(&[3 * n, 2], Device::Cpu).matmul(&slant)
            + Tensor::from_slice(&[3.0_f32, 1.0]);
        Tensor::cat(&[first, second], 0)
    }

    #[test]
    fn it_finds_the_clouds_that_points_were_drawn_from() {
        let points = clouds(2000);
        let mut mixture = Mixture::standard(2, 2, Device::Cpu);
        mixture.start_at(&points);
        let before = mixture.log_density(&points).mean(Kind::Double);
        mixture.fit(&points, 40);
        let after = mixture.log_density(&points).mean(Kind::Double);
        assert!(after.double_value(&[]) > before.double_value(&[]) + 0.5);
        let at = |x: &Tensor, i: &[i64]| x.double_value(i);
        let order = if at(&mixture.means, &[0, 0]) < 0.0 {
            [0, 1]
        } else {
            [1, 0]
        };
        assert!((at(&mixture.weights, &[order[0]]) - 0.25).abs() < 0.01);
        assert!((at(&mixture.means, &[order[0], 0]) + 3.0).abs() < 0.05);
        assert!((at(&mixture.means, &[order[1], 1]) - 1.0).abs() < 0.05);
        // Slantᵀ slant = [[0.25, 0.20], [0.20, 0.25]].
        assert!((at(&mixture.covariances, &[order[1], 0, 1]) - 0.20).abs() < 0.02);
    }

    #[test]
    fn its_samples_have_its_moments_and_the_temperature_narrows_them() {
        let points = clouds(2000);
        let mut mixture = Mixture::standard(2, 2, Device::Cpu);
        mixture.start_at(&points);
        mixture.fit(&points, 40);
        let mut rng = Rng::at(9, &[]);
        let drawn = mixture.sample(20_000, 1.0, &mut rng);
        let mean = |x: &Tensor| x.mean_dim(0, false, Kind::Double);
        let apart = (mean(&drawn) - mean(&points)).abs().max().double_value(&[]);
        assert!(apart < 0.1, "{apart}");
        let cold = mixture.sample(100, 1e-6, &mut rng);
        let to_means = (cold.unsqueeze(1) - mixture.means.unsqueeze(0)).square();
        let nearest = to_means
            .sum_dim_intlist(2, false, Kind::Float)
            .amin(1, false);
        assert!(nearest.max().double_value(&[]) < 1e-9);
    }

    #[test]
    fn before_it_is_fitted_it_is_the_prior() {
        let mixture = Mixture::standard(3, 2, Device::Cpu);
        let z = Tensor::from_slice(&[1.0_f32, -2.0]).view([1, 2]);
        let expected = -0.5 * 5.0 - std::f64::consts::TAU.ln();
        let found = mixture.log_density(&z).double_value(&[0]);
        assert!((found - expected).abs() < 1e-6, "{found}");
    }

    #[test]
    fn the_last_codes_push_out_the_oldest() {
        let mut recent = RecentCodes::new(5, 1, Device::Cpu);
        let push = |recent: &mut RecentCodes, from: i64, n: i64| {
            recent.push(&(Tensor::arange(n, (Kind::Float, Device::Cpu)) + from).view([n, 1]));
        };
        let held = |recent: &RecentCodes| {
            let mut all = Vec::<f32>::try_from(&recent.all().reshape([-1])).expect("floats");
            all.sort_by(f32::total_cmp);
            all
        };
        push(&mut recent, 0, 3);
        assert_eq!(held(&recent), [0.0, 1.0, 2.0]);
        push(&mut recent, 3, 4);
        assert_eq!(held(&recent), [2.0, 3.0, 4.0, 5.0, 6.0]);
        push(&mut recent, 7, 12);
        assert_eq!(held(&recent), [14.0, 15.0, 16.0, 17.0, 18.0]);
        recent.clear();
        push(&mut recent, 1, 1);
        assert_eq!(held(&recent), [1.0]);
    }
}
