//! How probable a generative deep belief network finds rows (Salakhutdinov and Murray, 2008).
//!
//! `ln Z` of the top RBM is had by annealed importance sampling, and what the layers below leave open by
//! importance samples from the way up, `q(h_1 | v) q(h_2 | h_1) …`:
//! `ln p(v) ≥ E ln 1/K Σ_k p(v | h_1) p(h_1 | h_2) … p*(h_{L-1}) / (Z q(h_1 | v) …)`.
//! One sample gives the variational bound of Hinton, Osindero and Teh (2006), many give `ln p(v)`.

use std::cell::Cell;

use tch::{Kind, Tensor};

use crate::nn::boltzmann::partition::LogPartition;
use crate::nn::boltzmann::path::AnnealingPath;
use crate::nn::boltzmann::stack::Stack;
use crate::nn::loss::cross_entropy_per_row;
use crate::nn::model::{Likelihood, LikelihoodEffort, LikelihoodEstimator, Rows};
use crate::nn::rng::Rng;

/// Importance samples of the hidden layers for each row.
const DRAWS: u32 = 100;

impl Likelihood for Stack {
    fn needs_partition(&self) -> bool {
        true
    }

    fn estimator<'a>(
        &'a self,
        effort: LikelihoodEffort,
        rng: &mut Rng,
    ) -> Box<dyn LikelihoodEstimator + 'a> {
        let top = AnnealingPath {
            machine: self.top(),
            base_bias: &self.base_bias,
        };
        Box::new(Estimator {
            stack: self,
            partition: LogPartition::of(&top, effort, rng),
            // A single RBM leaves nothing open.
            draws: if self.depth() == 1 { 1 } else { DRAWS },
            bound: Cell::new((0.0, 0)),
        })
    }
}

struct Estimator<'a> {
    stack: &'a Stack,
    partition: LogPartition,
    draws: u32,
    /// Sum of the rows' variational bounds, and how many rows there were.
    bound: Cell<(f64, i64)>,
}

impl LikelihoodEstimator for Estimator<'_> {
    /// By the forward estimate of `ln Z`, the labels of a joint model summed out; lower than the truth on
    /// average as far as the hidden layers go.
    fn log_likelihood(&self, rows: &Rows, rng: &mut Rng) -> Tensor {
        let draws: Vec<Tensor> = (0..self.draws)
            .map(|_| self.stack.log_importance(&rows.x, rng))
            .collect();
        let log_weights = Tensor::stack(&draws, 0) - self.partition.log_z;
        let (sum, seen) = self.bound.get();
        let more = log_weights
            .mean_dim(0, false, Kind::Double)
            .sum(Kind::Double);
        self.bound
            .set((sum + more.double_value(&[]), seen + rows.x.size()[0]));
        log_weights.logsumexp(0, false) - f64::from(self.draws).ln()
    }

    fn notes(&self) -> Vec<(&'static str, f64)> {
        let (sum, seen) = self.bound.get();
        let mut notes = self.partition.notes();
        notes.push(("variational_bound", sum / seen.max(1) as f64));
        notes.push(("importance_samples", f64::from(self.draws)));
        notes
    }
}

impl Stack {
    /// `ln p*(v, h) - ln q(h | v)` of one draw of the hidden layers for each row, in f64: `[rows]`.
    fn log_importance(&self, x: &Tensor, rng: &mut Rng) -> Tensor {
        let mut sum = Tensor::zeros([x.size()[0]], (Kind::Double, x.device()));
        let mut v = x.shallow_clone();
        for machine in &self.machines[..self.depth() - 1] {
            let input = machine.hidden_input(&v);
            let h = rng.bernoulli(&input.sigmoid());
            sum += cross_entropy_per_row(&input, &h)
                - cross_entropy_per_row(&machine.visible_input(&h), &v);
            v = h;
        }
        sum - self.top().free_energy(&v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::dbn::spec::Spec;
    use crate::nn::boltzmann::units::states;
    use crate::nn::model::DataFacts;
    use serde_json::json;
    use tch::Device;

    const EFFORT: LikelihoodEffort = LikelihoodEffort {
        samples: 10,
        temperatures: 10,
    };

    fn toy(hidden: &[i64], classes: Option<i64>) -> Stack {
        let spec = json!({"kind": "dbn", "hidden": hidden});
        let spec: Spec = serde_json::from_value(spec).expect("a spec");
        let facts = DataFacts::new(&[5], (0.0, 1.0)).with_classes(classes);
        let mut rng = Rng::at(8, &[]);
        let mut stack = Stack::init(&spec.machines(&facts, Kind::Float), &mut rng, Device::Cpu);
        for machine in &mut stack.machines {
            machine.weights *= 60.0;
            machine.hidden_bias = rng.normal(&[machine.hidden()], Device::Cpu);
        }
        stack
    }

    fn rows(x: Tensor) -> Rows {
        Rows { x, labels: None }
    }

    /// `ln Σ_h p(v | h) p(h)` by every state of the layer between.
    fn exact(stack: &Stack, v: &Tensor, log_z: f64) -> Tensor {
        let h = states(0..1 << 4, 4, Device::Cpu);
        let prior = -stack.top().free_energy(&h) - log_z;
        let columns: Vec<Tensor> = (0..16)
            .map(|i| {
                let input = stack.machines[0].visible_input(&h.get(i).unsqueeze(0));
                prior.get(i) - cross_entropy_per_row(&input.expand_as(v), v)
            })
            .collect();
        Tensor::stack(&columns, 1).logsumexp(1, false)
    }

    #[test]
    fn the_probabilities_of_all_rows_sum_to_one_and_are_those_of_enumeration() {
        for classes in [None, Some(3)] {
            let stack = toy(&[4, 6], classes);
            let mut rng = Rng::at(1, &[]);
            let estimator = stack.estimator(EFFORT, &mut rng);
            let all = states(0..32, 5, Device::Cpu);
            // Many draws for each row, as so many rows.
            let many = rows(all.repeat([300, 1]));
            let found = estimator.log_likelihood(&many, &mut rng).exp();
            let p = found.view([300, 32]).mean_dim(0, false, Kind::Double);
            let sum = p.sum(Kind::Double).double_value(&[]);
            assert!((sum - 1.0).abs() < 0.02, "{sum}, {classes:?}");
            let notes = estimator.notes();
            let note = |name| notes.iter().find(|n| n.0 == name).map_or(f64::NAN, |n| n.1);
            assert!(note("exact") == 1.0);
            let exact = exact(&stack, &all, note("log_z"));
            let worst = (p.log() - &exact).abs().max().double_value(&[]);
            assert!(worst < 0.05, "{worst}, {classes:?}");
            let mean = exact.mean(Kind::Double).double_value(&[]);
            assert!(note("variational_bound") < mean);
        }
    }

    #[test]
    fn one_layer_is_exact() {
        let stack = toy(&[6], Some(2));
        let mut rng = Rng::at(1, &[]);
        let estimator = stack.estimator(EFFORT, &mut rng);
        let all = rows(states(0..32, 5, Device::Cpu));
        let log_p = estimator.log_likelihood(&all, &mut rng);
        let sum = log_p.exp().sum(Kind::Double).double_value(&[]);
        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    }
}
