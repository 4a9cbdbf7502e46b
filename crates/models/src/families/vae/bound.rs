//! Lower bounds on `ln p(x)`, in nats: the evidence lower bound (Kingma and Welling, 2014)
//!
//! `E_q [ln p(x | z)] - KL(q(z | x) ‖ p(z))`
//!
//! and the tighter one of `k` importance samples (Burda et al., 2016)
//!
//! `ln 1/k Σ w_i`, with `w_i = p(x | z_i) p(z_i) / q(z_i | x)`.

use tch::{Kind, Tensor};

use super::net::Vae;
use crate::nn::latent::DiagonalGaussian;
use crate::nn::model::{LikelihoodEffort, LikelihoodEstimator, Rows};
use crate::nn::rng::Rng;

/// Values that the decoder puts out at once when many samples are drawn: 4 MiB.
const VALUES_AT_ONCE: i64 = 1 << 20;
/// Codes drawn for the score of each row.
const SCORE_SAMPLES: u32 = 32;

/// Codes drawn for some rows, and what the bounds are made of.
pub struct Drawn {
    pub posterior: DiagonalGaussian,
    /// `[samples · batch, latent]`.
    pub z: Tensor,
    /// `ln p(x | z)`, `[samples, batch]`.
    log_likelihood: Tensor,
    /// `ln p(z) - ln q(z | x)`, `[samples, batch]`.
    log_ratio: Tensor,
    /// Squared errors, `[samples, batch]`, where the noise is normal.
    squares: Option<Tensor>,
}

impl Vae {
    /// `samples` codes for each row of `x: [batch, features]`.
    pub fn draw(&self, x: &Tensor, labels: Option<&Tensor>, samples: u32, rng: &mut Rng) -> Drawn {
        let posterior = self.posterior(x, labels);
        self.draw_from(posterior, x, labels, i64::from(samples), rng)
    }

    fn draw_from(
        &self,
        posterior: DiagonalGaussian,
        x: &Tensor,
        labels: Option<&Tensor>,
        samples: i64,
        rng: &mut Rng,
    ) -> Drawn {
        let (batch, latent) = (x.size()[0], self.latent);
        let noise = rng.normal(&[samples, batch, latent], x.device());
        let z = posterior.at(&noise);
        let log_ratio = posterior.log_ratio_at(&z, &noise);
        let z = z.view([-1, latent]);
        let labels = labels.map(|labels| labels.repeat([samples]));
        let output = self.output(&z, labels.as_ref());
        let (log_likelihood, squares) = self.visible.log_density(&output, x);
        Drawn {
            posterior,
            z,
            log_likelihood: log_likelihood.view([samples, batch]),
            log_ratio,
            squares: squares.map(|s| s.view([samples, batch])),
        }
    }

    /// [`Drawn::importance_weighted`] of each row, `[batch]`; the weights are added up as they come, so that any
    /// number of samples takes the same memory.
    pub fn log_bound(
        &self,
        x: &Tensor,
        labels: Option<&Tensor>,
        samples: u32,
        beta: f64,
        rng: &mut Rng,
    ) -> Tensor {
        let (rows, features) = (x.size()[0], x.size()[1]);
        let rows_at_once = (VALUES_AT_ONCE / features).clamp(1, rows.max(1));
        let samples_at_once = (VALUES_AT_ONCE / (features * rows_at_once)).max(1);
        let mut bounds = Vec::new();
        for from in (0..rows).step_by(usize::try_from(rows_at_once).unwrap_or(1)) {
            let some = |x: &Tensor| x.narrow(0, from, rows_at_once.min(rows - from));
            let (x, labels) = (some(x), labels.map(some));
            let posterior = self.posterior(&x, labels.as_ref());
            let mut sum = x.new_full([x.size()[0]], f64::NEG_INFINITY, (Kind::Float, x.device()));
            let mut left = i64::from(samples);
            while left > 0 {
                let now = left.min(samples_at_once);
                let same = DiagonalGaussian {
                    mean: posterior.mean.shallow_clone(),
                    log_variance: posterior.log_variance.shallow_clone(),
                };
                let drawn = self.draw_from(same, &x, labels.as_ref(), now, rng);
                let log_weights = drawn.log_likelihood + drawn.log_ratio * beta;
                sum = sum.logaddexp(&log_weights.logsumexp(0, false));
                left -= now;
            }
            bounds.push(sum - f64::from(samples).ln());
        }
        Tensor::cat(&bounds, 0)
    }

    /// The evidence lower bound of each row, `[batch]`, with noise that all rows share: what a row is said
    /// to be does not depend on the rows beside it. Each noise is used with both signs.
    pub fn steady_bound(&self, x: &Tensor, labels: Option<&Tensor>, rng: &mut Rng) -> Tensor {
        let x = self.seen(x);
        let posterior = self.posterior(&x, labels);
        let mut sum = x.new_zeros([x.size()[0]], (Kind::Float, x.device()));
        for _ in 0..SCORE_SAMPLES / 2 {
            let noise = rng.normal(&[self.latent], x.device());
            for noise in [&noise, &-&noise] {
                let output = self.output(&posterior.at(noise), labels);
                sum += self.visible.log_density(&output, &x).0;
            }
        }
        sum / f64::from(SCORE_SAMPLES) - posterior.kl_from_standard()
    }
}

impl Drawn {
    /// `L = 1/k Σ ln p(x | z_i) - β KL(q(z | x) ‖ p(z))` (Kingma and Welling, 2014, equation 10; the weight `β` is
    /// that of Higgins et al., 2017), averaged over the batch. Only the reconstruction is left to chance.
    pub fn elbo(&self, beta: f64) -> Tensor {
        self.log_likelihood.mean(Kind::Float) - self.kl() * beta
    }

    /// `L_k = ln 1/k Σ w_i`, with `w_i = p(x | z_i) (p(z_i) / q(z_i | x))^β` (Burda et al., 2016, section 3), averaged
    /// over the batch.
    pub fn importance_weighted(&self, beta: f64) -> Tensor {
        let samples = self.log_likelihood.size()[0] as f64;
        let log_weights = &self.log_likelihood + &self.log_ratio * beta;
        (log_weights.logsumexp(0, false) - samples.ln()).mean(Kind::Float)
    }

    /// `KL(q(z | x) ‖ p(z))`, averaged over the batch.
    pub fn kl(&self) -> Tensor {
        self.posterior.kl_from_standard().mean(Kind::Float)
    }

    /// `-E_q [ln p(x | z)]`, averaged over the batch.
    pub fn distortion(&self) -> Tensor {
        -self.log_likelihood.mean(Kind::Float)
    }

    /// Squared errors of each row, for the variance of normal noise; of several codes, each counts by its
    /// importance.
    pub fn squares(&self) -> Option<Tensor> {
        let squares = self.squares.as_ref()?;
        let importance = (&self.log_likelihood + &self.log_ratio).softmax(0, Kind::Float);
        Some((squares * importance).sum_dim_intlist(0, false, Kind::Float))
    }
}

/// The bound of many importance samples, which is `ln p(x)` in the limit.
pub struct ImportanceSampling<'a> {
    pub net: &'a Vae,
    pub effort: LikelihoodEffort,
}

impl LikelihoodEstimator for ImportanceSampling<'_> {
    fn log_likelihood(&self, rows: &Rows, rng: &mut Rng) -> Tensor {
        let _guard = tch::no_grad_guard();
        let x = self.net.binarize.apply(&rows.x, rng);
        let samples = self.effort.samples.max(1);
        self.net.log_bound(&x, rows.labels(), samples, 1.0, rng)
    }

    fn notes(&self) -> Vec<(&'static str, f64)> {
        vec![("importance_samples", f64::from(self.effort.samples.max(1)))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::vae::spec::Spec;
    use crate::nn::activation::Activation;
    use crate::nn::model::DataFacts;
    use crate::nn::rng::values;
    use serde_json::json;
    use tch::Device;

    /// A model of four values with a code of one, so that `ln p(x)` can be integrated on a grid.
    fn toy(model: serde_json::Value, range: (f64, f64)) -> Vae {
        let spec: Spec = serde_json::from_value(model).expect("a spec");
        let facts = DataFacts::new(&[4], range).with_classes(Some(3));
        let net = Vae::init(&spec, &facts, &mut Rng::at(3, &[]), Device::Cpu);
        // As if trained: codes matter, and `q` is wide enough to sample the integral from.
        let parameters = net.parameters();
        let _ = parameters["decoder.1.weight"]
            .shallow_clone()
            .g_mul_scalar_(20.0);
        let _ = parameters["encoder.1.bias"].narrow(0, 1, 1).fill_(0.7);
        net
    }

    fn tanh() -> serde_json::Value {
        json!({"kind": "vae", "hidden": [5], "latent": 1, "activation": Activation::Tanh})
    }

    fn bits() -> Tensor {
        Tensor::from_slice(&[1.0_f32, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0]).view([2, 4])
    }

    const STEP: f64 = 0.01;

    /// Grid over the code, and `ln p(x | z)` there for one row.
    fn on_grid(net: &Vae, x: &Tensor, label: Option<i64>) -> (Tensor, Tensor) {
        let z =
            Tensor::arange_start_step(-12.0, 12.0, STEP, (Kind::Float, Device::Cpu)).view([-1, 1]);
        let n = z.size()[0];
        let labels = label.map(|l| Tensor::full([n], l, (Kind::Int64, Device::Cpu)));
        let output = net.output(&z, labels.as_ref());
        let x = x.view([1, -1]).expand([n, 4], false);
        let likelihood = net.visible.log_density(&output, &x).0.to_kind(Kind::Double);
        (z.view([-1]).to_kind(Kind::Double), likelihood)
    }

    fn log_normal(z: &Tensor, mean: f64, log_variance: f64) -> Tensor {
        let distance = (z - mean).square() / log_variance.exp();
        (distance + log_variance + std::f64::consts::TAU.ln()) * -0.5
    }

    /// `ln ∫ p(x | z) p(z) dz`.
    fn exact(net: &Vae, x: &Tensor, label: Option<i64>) -> f64 {
        let (z, likelihood) = on_grid(net, x, label);
        (likelihood + log_normal(&z, 0.0, 0.0))
            .logsumexp(0, false)
            .double_value(&[])
            + STEP.ln()
    }

    #[test]
    fn many_importance_samples_give_the_integral_over_the_codes() {
        let conditional = json!({"kind": "vae", "hidden": [5], "latent": 1, "conditional": true});
        let gaussian = json!({"kind": "vae", "hidden": [5], "latent": 1, "likelihood": "gaussian"});
        for (model, range, label) in [
            (tanh(), (0.0, 1.0), None),
            (conditional, (0.0, 1.0), Some(2)),
            (gaussian, (-3.0, 3.0), None),
        ] {
            let net = toy(model, range);
            let labels = label.map(|l| Tensor::from_slice(&[l, l]));
            let mut rng = Rng::at(8, &[]);
            let found = net.log_bound(&bits(), labels.as_ref(), 60_000, 1.0, &mut rng);
            for row in 0..2 {
                let exact = exact(&net, &bits().get(row), label);
                let found = found.double_value(&[row]);
                assert!(
                    (found - exact).abs() < 0.02,
                    "{found} and {exact}, {label:?}"
                );
            }
        }
    }

    /// `∫ q(z | x) (ln p(x | z) + ln p(z) - ln q(z | x)) dz` for one row.
    fn elbo(net: &Vae, x: &Tensor) -> f64 {
        let q = net.posterior(&x.view([1, -1]), None);
        let (mean, log_variance) = (
            q.mean.double_value(&[0, 0]),
            q.log_variance.double_value(&[0, 0]),
        );
        let (z, likelihood) = on_grid(net, x, None);
        let log_q = log_normal(&z, mean, log_variance);
        let inside = likelihood + log_normal(&z, 0.0, 0.0) - &log_q;
        (log_q.exp() * inside).sum(Kind::Double).double_value(&[]) * STEP
    }

    #[test]
    fn one_importance_sample_is_the_evidence_lower_bound() {
        let net = toy(tanh(), (0.0, 1.0));
        for row in 0..2 {
            let x = bits().get(row);
            let (elbo, exact) = (elbo(&net, &x), exact(&net, &x, None));
            assert!(elbo < exact, "{elbo} is no lower bound of {exact}");
            let many = x.view([1, -1]).expand([40_000, 4], false);
            let mut rng = Rng::at(9, &[]);
            let one = net.log_bound(&many, None, 1, 1.0, &mut rng);
            let error = one.std(true).double_value(&[]) / 200.0;
            let found = one.mean(Kind::Double).double_value(&[]);
            assert!((found - elbo).abs() < 4.0 * error, "{found} and {elbo}");
            // The loss of one sample, with the divergence in closed form, is the same number.
            let loss = -net.draw(&many, None, 1, &mut rng).elbo(1.0);
            let loss = loss.double_value(&[]);
            assert!((loss + elbo).abs() < 4.0 * error, "{loss} and {elbo}");
            // The score is the same bound of fewer draws: its mean over many seeds.
            let row = x.view([1, -1]);
            let steady = |rng: &mut Rng| net.steady_bound(&row, None, rng).double_value(&[0]);
            let mean = (0..200).map(|_| steady(&mut rng)).sum::<f64>() / 200.0;
            assert!((mean - elbo).abs() < 0.1, "{mean} and {elbo}");
        }
    }

    #[test]
    fn the_bound_of_more_samples_is_tighter() {
        let net = toy(tanh(), (0.0, 1.0));
        let many = bits().get(0).view([1, -1]).expand([20_000, 4], false);
        let bound = |samples| {
            let bound = net.log_bound(&many, None, samples, 1.0, &mut Rng::at(9, &[]));
            bound.mean(Kind::Double).double_value(&[])
        };
        let exact = exact(&net, &bits().get(0), None);
        assert!(
            bound(1) < bound(5) && bound(5) < exact,
            "{} {}",
            bound(1),
            bound(5)
        );
    }

    #[test]
    fn the_loss_of_several_samples_is_the_bound_added_up_in_pieces() {
        let net = toy(tanh(), (0.0, 1.0));
        let drawn = net.draw(&bits(), None, 7, &mut Rng::at(5, &[]));
        let loss = -drawn.importance_weighted(0.5);
        let bound = net.log_bound(&bits(), None, 7, 0.5, &mut Rng::at(5, &[]));
        let bound = values(&bound.detach()).iter().sum::<f32>() / 2.0;
        assert!((loss.double_value(&[]) + f64::from(bound)).abs() < 1e-5);
    }
}
