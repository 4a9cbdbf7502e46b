//! The trained machine and the verbs it answers. The code is `p(h = 1 | v)`, `[hidden]`.

use tch::{Device, Tensor};

use crate::nn::boltzmann::machine::{Machine, MachineConfig};
use crate::nn::boltzmann::partition::LogPartition;
use crate::nn::boltzmann::path::AnnealingPath;
use crate::nn::boltzmann::stack::Stack;
use crate::nn::chain;
use crate::nn::graph::{GraphVerb, Widths, there_and_back};
use crate::nn::model::{Answer, Likelihood, LikelihoodEffort, LikelihoodEstimator, Rows};
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors, copy_all};
use crate::onnx::Graph;
use crate::verbs::generate::Drawing;
use crate::verbs::{Encoder, Model, Sampler};

pub struct Rbm {
    /// The one machine. Its base rates are the log-odds of each visible unit over the training rows.
    pub stack: Stack,
}

impl Rbm {
    pub fn init(visible: i64, hidden: i64, rng: &mut Rng, device: Device) -> Self {
        let stack = Stack::init(&[MachineConfig::bernoulli(visible, hidden)], rng, device);
        Self { stack }
    }

    pub fn machine(&self) -> &Machine {
        self.stack.top()
    }

    /// The same machine in storage of its own.
    #[must_use]
    pub fn copy(&self) -> Self {
        let stack = self.stack.copy();
        Self { stack }
    }

    /// What stands under the names of the machine's tensors behind `prefix`.
    pub fn load(&mut self, prefix: &str, tensors: &Tensors) -> Result<(), TensorMismatch> {
        self.stack.machines[0].load(prefix, tensors)
    }

    pub fn restore(&mut self, tensors: &Tensors) -> Result<(), TensorMismatch> {
        copy_all(tensors, self.tensors())
    }
}

impl Model for Rbm {
    fn tensors(&self) -> Tensors {
        let mut tensors = self.machine().tensors();
        tensors.insert("base_bias".to_owned(), self.stack.base_bias.shallow_clone());
        tensors
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        Some(vec![self.machine().hidden()])
    }
    crate::offers!(encoder: Encoder, sampler: Sampler);
    crate::offers!(by stack, decoder: Decoder, reconstructor: Reconstructor, denoiser: Denoiser, scorer: Scorer,
        inpainter: Inpainter, filters: Filters);
    fn graph(&self, verb: GraphVerb) -> Option<Graph> {
        let widths = Widths {
            row: self.machine().units(),
            code: self.machine().hidden(),
        };
        there_and_back(
            verb,
            widths,
            |graph, v| self.machine().write_hidden(graph, "", v),
            |graph, h| self.machine().write_units(graph, "", h),
        )
    }
    fn likelihood(&self) -> Option<&dyn Likelihood> {
        Some(self)
    }
}

impl Encoder for Rbm {
    fn last_layer(&self) -> (usize, &'static str) {
        (0, "the one hidden layer of an rbm")
    }
    fn encode(&self, rows: &Rows, _layer: usize, draw: Option<&mut Rng>) -> Answer {
        let p = self.machine().hidden_mean(&rows.x);
        let drawn = draw.map(|rng| rng.bernoulli(&p));
        drawn.unwrap_or(p).into()
    }
}

impl Sampler for Rbm {
    fn usual_steps(&self) -> u32 {
        chain::USUAL_STEPS
    }

    /// Chains that start at independent visible units with the base rates of the data; the answer is
    /// the visible probabilities of the last step.
    fn generate(&self, n: i64, _labels: Option<&Tensor>, how: Drawing, rng: &mut Rng) -> Tensor {
        let tempered = self.machine().at_temperature(how.temperature);
        let rates = self.stack.base_bias.sigmoid();
        let mut visible = rates.expand([n, tempered.units()], false);
        let mut p = tempered.hidden_mean(&rng.bernoulli(&visible));
        for _ in chain::steps(how.steps) {
            (visible, _, p) = tempered.gibbs_step(&rng.bernoulli(&p), rng);
        }
        visible.contiguous()
    }
}

impl Likelihood for Rbm {
    fn needs_partition(&self) -> bool {
        true
    }

    fn pseudo_likelihood(&self, rows: &Rows, rng: &mut Rng) -> Option<Tensor> {
        Some(self.machine().pseudo_likelihood(&rows.x, rng))
    }

    /// `ln p(v) = -F(v) - ln Z` is the logarithm of a probability only where `v` holds 0s and 1s: the
    /// caller binarises grey rows beforehand.
    fn estimator<'a>(
        &'a self,
        effort: LikelihoodEffort,
        rng: &mut Rng,
    ) -> Box<dyn LikelihoodEstimator + 'a> {
        let path = AnnealingPath {
            machine: self.machine(),
            base_bias: &self.stack.base_bias,
        };
        Box::new(Estimator {
            rbm: self,
            partition: LogPartition::of(&path, effort, rng),
        })
    }
}

struct Estimator<'a> {
    rbm: &'a Rbm,
    partition: LogPartition,
}

impl LikelihoodEstimator for Estimator<'_> {
    /// By the forward estimate of `ln Z`, as is the custom; with the reverse one every row's figure is
    /// lower by `log_z_reverse - log_z`.
    fn log_likelihood(&self, rows: &Rows, _rng: &mut Rng) -> Tensor {
        -self.rbm.machine().free_energy(&rows.x) - self.partition.log_z
    }

    fn notes(&self) -> Vec<(&'static str, f64)> {
        self.partition.notes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::boltzmann::units::states;

    #[test]
    fn the_probabilities_of_all_rows_sum_to_one() {
        let mut rng = Rng::at(8, &[]);
        let mut rbm = Rbm::init(6, 40, &mut rng, Device::Cpu);
        rbm.stack.machines[0].weights *= 50.0;
        let effort = LikelihoodEffort {
            samples: 10,
            temperatures: 10,
        };
        let estimator = rbm
            .likelihood()
            .map(|part| part.estimator(effort, &mut rng));
        let estimator = estimator.expect("an rbm has a likelihood");
        let rows = Rows {
            x: states(0..64, 6, Device::Cpu),
            labels: None,
        };
        let logs = estimator.log_likelihood(&rows, &mut rng);
        let sum = logs.exp().sum(tch::Kind::Double).double_value(&[]);
        assert!((sum - 1.0).abs() < 1e-3, "{sum}");
        assert!(estimator.notes().contains(&("exact", 1.0)));
    }
}
