//! `ln Z` of a Boltzmann machine: by enumeration where a layer is narrow, else by annealed importance
//! sampling (Neal, 2001; Salakhutdinov and Murray, 2008) from its base-rate machine, in both
//! directions. The forward estimate is on average too low and the reverse one, from samples of the
//! machine, too high (Burda, Grosse and Salakhutdinov, 2015), so that they bracket the truth.

use tch::{Device, Kind, Tensor};

use super::path::AnnealingPath;
use super::units::states;
use crate::nn::model::LikelihoodEffort;
use crate::nn::rng::Rng;

/// The widest layer whose states are all written down: a million rows.
const ENUMERABLE: i64 = 20;
/// States written down at a time.
const CHUNK: i64 = 1 << 13;

/// What is known of `ln Z`, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogPartition {
    /// The forward estimate, or the exact value.
    pub log_z: f64,
    /// The reverse estimate: an upper one as far as the points it starts from are samples of the machine,
    /// which `effective_samples` tells.
    pub reverse: f64,
    /// Standard error of the forward estimate.
    pub error: f64,
    /// How many independent samples the weights of the forward run are worth.
    pub effective_samples: f64,
    pub exact: bool,
}

impl LogPartition {
    /// Of the machine at the end of `path`.
    pub fn of(path: &AnnealingPath<'_>, effort: LikelihoodEffort, rng: &mut Rng) -> Self {
        if path.machine.units().min(path.machine.hidden()) <= ENUMERABLE {
            let log_z = enumerate(path);
            return Self {
                log_z,
                reverse: log_z,
                error: 0.0,
                effective_samples: f64::from(effort.samples),
                exact: true,
            };
        }
        Annealing::new(path, effort).estimate(rng)
    }

    /// By name, as evaluations report them.
    pub fn notes(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("log_z", self.log_z),
            ("log_z_reverse", self.reverse),
            ("log_z_error", self.error),
            ("effective_samples", self.effective_samples),
            ("exact", f64::from(u8::from(self.exact))),
        ]
    }
}

/// `ln Z` by every state of the narrower layer, the other one summed out.
pub fn enumerate(path: &AnnealingPath<'_>) -> f64 {
    let by_hidden = path.machine.hidden() < path.machine.units();
    let (width, device) = (
        path.machine.hidden().min(path.machine.units()),
        path.base_bias.device(),
    );
    let total = 1_i64 << width;
    let chunks: Vec<f64> = (0..total)
        .step_by(usize::try_from(CHUNK).unwrap_or(1))
        .map(|from| {
            let rows = states(from..(from + CHUNK).min(total), width, device);
            let terms = if by_hidden {
                path.log_weight_of_hidden(&rows)
            } else {
                path.log_weight_of_units(&rows)
            };
            terms.logsumexp(0, false).double_value(&[])
        })
        .collect();
    log_sum_exp(&chunks)
}

struct Annealing<'a> {
    path: &'a AnnealingPath<'a>,
    /// From 0 up to 1.
    betas: Vec<f64>,
    chains: i64,
}

impl<'a> Annealing<'a> {
    fn new(path: &'a AnnealingPath<'a>, effort: LikelihoodEffort) -> Self {
        Self {
            path,
            betas: ladder(effort.temperatures.max(1)),
            chains: i64::from(effort.samples.max(1)),
        }
    }

    fn estimate(&self, rng: &mut Rng) -> LogPartition {
        let (up, samples) = self.forward(rng);
        let weights = Weights::of(&up);
        let starts = self.settled(&samples, &up, rng);
        let minus_down: Vec<f64> = self.reverse(starts, rng).iter().map(|w| -w).collect();
        let base = self.path.base_log_z();
        LogPartition {
            log_z: base + weights.log_mean,
            reverse: base - Weights::of(&minus_down).log_mean,
            error: weights.error,
            effective_samples: weights.effective,
            exact: false,
        }
    }

    /// From samples of the base-rate machine to the machine itself: the logarithm of each chain's
    /// importance weight, and where it ends, `[chains, visible]`.
    fn forward(&self, rng: &mut Rng) -> (Vec<f64>, Tensor) {
        let mut v = self.path.base_sample(self.chains, rng);
        let mut log_weights = self.zeros();
        for pair in self.betas.windows(2) {
            let input = self.path.machine.hidden_input(&v);
            log_weights += self.path.log_ratio(&v, &input, pair[0], pair[1]);
            v = self.transition(&input, pair[1], rng);
        }
        (numbers(&log_weights), v)
    }

    /// From samples of the machine back to the base rates: the same products of ratios on the way
    /// down, whose inverses have the mean `Z(0) / Z(1)`.
    fn reverse(&self, mut v: Tensor, rng: &mut Rng) -> Vec<f64> {
        let mut log_weights = self.zeros();
        for pair in self.betas.windows(2).rev() {
            let input = self.path.machine.hidden_input(&v);
            log_weights += self.path.log_ratio(&v, &input, pair[0], pair[1]);
            v = self.transition(&input, pair[0], rng);
        }
        numbers(&log_weights)
    }

    /// Samples of the machine for the reverse run: the forward run's ends, drawn by their weights,
    /// then a tenth as many Gibbs steps as there are temperatures. They are as good as the forward
    /// run's effective sample size says.
    fn settled(&self, ends: &Tensor, log_weights: &[f64], rng: &mut Rng) -> Tensor {
        let drawn = resample(log_weights, rng);
        let drawn = Tensor::from_slice(&drawn).to_device(ends.device());
        let mut v = ends.index_select(0, &drawn);
        for _ in 0..self.betas.len().div_ceil(10) {
            v = self.transition(&self.path.machine.hidden_input(&v), 1.0, rng);
        }
        v
    }

    /// One Gibbs step at `beta` from visible states with hidden `input`.
    fn transition(&self, input: &Tensor, beta: f64, rng: &mut Rng) -> Tensor {
        let h = rng.bernoulli(&(input * beta).sigmoid_());
        let beta = Tensor::full([1, 1], beta, (Kind::Float, h.device()));
        self.path.sample_visible(&h, &beta, rng)
    }

    fn zeros(&self) -> Tensor {
        Tensor::zeros([self.chains], (Kind::Double, self.path.base_bias.device()))
    }
}

/// Inverse temperatures from 0 to 1, evenly spaced in `steps` steps. On MNIST machines trained by CD
/// and by PCD this gave weights worth more samples than did crowding them towards 1 (Salakhutdinov and
/// Murray, 2008, section 5), from the same number of steps.
fn ladder(steps: u32) -> Vec<f64> {
    (0..=steps)
        .map(|i| f64::from(i) / f64::from(steps))
        .collect()
}

/// What a set of importance weights says.
struct Weights {
    log_mean: f64,
    /// Standard error of `log_mean`: that of the mean over the mean.
    error: f64,
    /// `(Σ w)² / Σ w²`.
    effective: f64,
}

impl Weights {
    fn of(logs: &[f64]) -> Self {
        let n = logs.len() as f64;
        let log_sum = log_sum_exp(logs);
        let shares = logs.iter().map(|log| (log - log_sum).exp());
        let squares: f64 = shares.map(|share| share * share).sum();
        // With mean 1/n, the shares' variance is Σ share² / n - 1/n².
        let variance = (n * squares - 1.0).max(0.0);
        Self {
            log_mean: log_sum - n.ln(),
            error: (variance / (n - 1.0).max(1.0)).sqrt(),
            effective: 1.0 / squares,
        }
    }
}

fn log_sum_exp(logs: &[f64]) -> f64 {
    let greatest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    greatest
        + logs
            .iter()
            .map(|log| (log - greatest).exp())
            .sum::<f64>()
            .ln()
}

/// As many indices as there are weights, each index as often as its weight says (systematic
/// resampling; Kitagawa, 1996).
fn resample(logs: &[f64], rng: &mut Rng) -> Vec<i64> {
    let (n, log_sum) = (logs.len() as f64, log_sum_exp(logs));
    let mut offset = [0.0];
    rng.fill_uniform(&mut offset);
    let mut drawn = Vec::with_capacity(logs.len());
    let mut below = 0.0;
    for (i, log) in logs.iter().enumerate() {
        below += (log - log_sum).exp() * n;
        while drawn.len() < logs.len() && drawn.len() as f64 + f64::from(offset[0]) < below {
            drawn.push(i as i64);
        }
    }
    // What rounding may have left over.
    drawn.resize(logs.len(), logs.len() as i64 - 1);
    drawn
}

fn numbers(x: &Tensor) -> Vec<f64> {
    Vec::try_from(&x.to_device(Device::Cpu)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::boltzmann::machine::{Machine, MachineConfig};

    fn random(config: MachineConfig, scale: f64) -> (Machine, Tensor) {
        let mut rng = Rng::at(11, &[]);
        let mut machine = config.random(&mut rng);
        machine.weights *= scale;
        let base_bias = rng.normal(&machine.visible_bias.size(), Device::Cpu) * 0.5;
        (machine, base_bias)
    }

    fn path<'a>(machine: &'a Machine, base_bias: &'a Tensor) -> AnnealingPath<'a> {
        AnnealingPath { machine, base_bias }
    }

    fn annealed(path: &AnnealingPath<'_>, effort: LikelihoodEffort) -> LogPartition {
        Annealing::new(path, effort).estimate(&mut Rng::at(3, &[]))
    }

    #[test]
    fn enumeration_of_either_layer_is_the_sum_over_both() {
        for (visible, hidden) in [(4, 3), (3, 4)] {
            let (machine, base_bias) = random(MachineConfig::bernoulli(visible, hidden), 1.0);
            let v = states(0..1 << visible, visible, Device::Cpu);
            let h = states(0..1 << hidden, hidden, Device::Cpu);
            let expected = machine
                .negative_energies(&v, &h)
                .view([-1])
                .logsumexp(0, false)
                .double_value(&[]);
            let found = enumerate(&path(&machine, &base_bias));
            assert!((found - expected).abs() < 1e-4);
        }
    }

    #[test]
    fn both_directions_agree_with_enumeration() {
        let effort = LikelihoodEffort {
            samples: 100,
            temperatures: 400,
        };
        // Weak and strong couplings, and more hidden than visible units.
        for (visible, hidden, scale) in [(14, 10, 0.3), (14, 10, 1.0), (6, 30, 0.7)] {
            let (machine, base_bias) = random(MachineConfig::bernoulli(visible, hidden), scale);
            let path = path(&machine, &base_bias);
            let exact = enumerate(&path);
            let found = annealed(&path, effort);
            assert!(
                (found.log_z - exact).abs() < 0.1,
                "{found:?}, exact {exact}"
            );
            assert!(
                (found.reverse - exact).abs() < 0.1,
                "{found:?}, exact {exact}"
            );
            assert!((found.log_z - exact).abs() < 4.0 * found.error + 1e-3);
            assert!(found.effective_samples > 50.0, "{found:?}");
            let chosen = LogPartition::of(&path, effort, &mut Rng::at(3, &[]));
            assert!(chosen.exact && (chosen.log_z - exact).abs() < 1e-9);
        }
    }

    #[test]
    fn of_a_group_of_labels_exactly_one_is_on() {
        let effort = LikelihoodEffort {
            samples: 200,
            temperatures: 400,
        };
        // Enumerated by the units and by the hidden layer.
        for (units, hidden) in [(5, 7), (7, 5)] {
            let config = MachineConfig {
                classes: 3,
                ..MachineConfig::bernoulli(units, hidden)
            };
            let (machine, base_bias) = random(config, 0.8);
            let v = states(0..1 << units, units, Device::Cpu);
            let h = states(0..1 << hidden, hidden, Device::Cpu);
            let terms: Vec<Tensor> = (0..3)
                .map(|l| {
                    let labels = Tensor::full([v.size()[0]], l, (Kind::Int64, Device::Cpu));
                    let v = machine.with_labels(&v, Some(&labels));
                    machine.negative_energies(&v, &h)
                })
                .collect();
            let all = Tensor::cat(&terms, 0).view([-1]).logsumexp(0, false);
            let exact = all.double_value(&[]);
            let path = path(&machine, &base_bias);
            assert!((enumerate(&path) - exact).abs() < 1e-4);
            let found = annealed(&path, effort);
            assert!((found.log_z - exact).abs() < 0.1, "{found:?}, {exact}");
            assert!((found.reverse - exact).abs() < 0.1, "{found:?}, {exact}");
        }
    }

    #[test]
    fn too_few_temperatures_are_low_forward_and_high_in_reverse() {
        let (machine, base_bias) = random(MachineConfig::bernoulli(16, 12), 1.2);
        let path = path(&machine, &base_bias);
        let exact = enumerate(&path);
        let effort = LikelihoodEffort {
            samples: 20,
            temperatures: 3,
        };
        let runs: Vec<LogPartition> = (0..40)
            .map(|seed| Annealing::new(&path, effort).estimate(&mut Rng::at(seed, &[])))
            .collect();
        let mean = |value: fn(&LogPartition) -> f64| runs.iter().map(value).sum::<f64>() / 40.0;
        assert!(
            mean(|r| r.log_z) < exact - 0.1,
            "{}",
            mean(|r| r.log_z) - exact
        );
        assert!(
            mean(|r| r.reverse) > exact + 0.1,
            "{}",
            mean(|r| r.reverse) - exact
        );
    }

    #[test]
    fn without_weights_the_closed_form_is_found_exactly() {
        let (mut machine, _) = random(MachineConfig::bernoulli(40, 30), 0.0);
        let closed = |bias: &Tensor| bias.to_kind(Kind::Double).softplus().sum(Kind::Double);
        let exact =
            (closed(&machine.visible_bias) + closed(&machine.hidden_bias)).double_value(&[]);
        let effort = LikelihoodEffort {
            samples: 5,
            temperatures: 7,
        };
        let base_bias = machine.visible_bias.copy();
        let found = annealed(&path(&machine, &base_bias), effort);
        assert!(
            (found.log_z - exact).abs() < 1e-4,
            "{found:?}, exact {exact}"
        );
        assert!((found.reverse - exact).abs() < 1e-4 && found.error < 1e-4);
        // Nor does it matter which machine without hidden biases is the start of itself.
        machine.hidden_bias = machine.hidden_bias.zeros_like();
        let found = annealed(&path(&machine, &base_bias), effort);
        let exact = closed(&base_bias).double_value(&[]) + 30.0 * std::f64::consts::LN_2;
        assert!((found.log_z - exact).abs() < 1e-9);
    }

    #[test]
    fn resampling_takes_each_index_as_often_as_its_weight_says() {
        let logs = [1.0_f64.ln(), 3.0_f64.ln(), f64::NEG_INFINITY].repeat(400);
        for seed in 0..5 {
            let drawn = resample(&logs, &mut Rng::at(seed, &[]));
            assert_eq!(drawn.len(), 1200);
            for i in 0..1200 {
                // Expected 0.75, 2.25 and 0 times.
                let allowed = [0..=1, 2..=3, 0..=0][i % 3].clone();
                let times = drawn.iter().filter(|&&j| j == i as i64).count();
                assert!(allowed.contains(&times), "{i} was drawn {times} times");
            }
        }
    }
}
