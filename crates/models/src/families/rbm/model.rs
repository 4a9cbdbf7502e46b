//! The trained machine and the verbs it answers. The code is `p(h = 1 | v)`, `[hidden]`.

use tch::{Device, Tensor};

use crate::nn::boltzmann::machine::{Machine, MachineConfig};
use crate::nn::boltzmann::partition::LogPartition;
use crate::nn::boltzmann::path::AnnealingPath;
use crate::nn::chain;
use crate::nn::graph::{GraphVerb, Widths, there_and_back};
use crate::nn::model::{
    Answer, BadOption, Likelihood, LikelihoodEffort, LikelihoodEstimator, Rows,
};
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors, copy_named};
use crate::onnx::Graph;
use crate::verbs::generate::PREVIEW_STEPS;
use crate::verbs::inpaint::fill_in;
use crate::verbs::reconstruct::GibbsOptions;
use crate::verbs::{
    Decoder, Denoiser, EncodeOptions, Encoder, Filters, GenerateOptions, InpaintOptions, Inpainter,
    Model, Reconstructor, Sampler, ScoreOptions, Scorer,
};

pub struct Rbm {
    pub machine: Machine,
    /// Log-odds of each visible unit over the training rows, `[visible]`: the machine without weights
    /// that generation, tempering and estimates of `ln Z` start from.
    pub base_bias: Tensor,
}

impl Rbm {
    pub fn init(visible: i64, hidden: i64, rng: &mut Rng, device: Device) -> Self {
        let machine = MachineConfig::bernoulli(visible, hidden).init(rng, device);
        let base_bias = machine.visible_bias.zeros_like();
        Self { machine, base_bias }
    }

    /// The same machine in storage of its own.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            machine: self.machine.copy(),
            base_bias: self.base_bias.copy(),
        }
    }

    pub fn restore(&mut self, tensors: &Tensors) -> Result<(), TensorMismatch> {
        self.machine.load("", tensors)?;
        copy_named(tensors, "base_bias", &mut self.base_bias)
    }

    /// `steps` of Gibbs sampling from `v`, then one mean-field pass up and down.
    fn settle(&self, v: &Tensor, steps: Option<u32>, rng: &mut Rng) -> Result<Tensor, BadOption> {
        let steps = chain::checked_steps(steps, 0)?;
        let mut h = self.machine.hidden_mean(v);
        for _ in chain::steps(steps) {
            (_, _, h) = self.machine.gibbs_step(&rng.bernoulli(&h), rng);
        }
        Ok(self.machine.visible_mean(&h))
    }
}

impl Model for Rbm {
    fn tensors(&self) -> Tensors {
        let mut tensors = self.machine.tensors();
        tensors.insert("base_bias".to_owned(), self.base_bias.shallow_clone());
        tensors
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        Some(vec![self.machine.hidden()])
    }
    crate::offers!(encoder: Encoder, decoder: Decoder, reconstructor: Reconstructor, denoiser: Denoiser, sampler: Sampler, scorer: Scorer, inpainter: Inpainter, filters: Filters);
    fn graph(&self, verb: GraphVerb) -> Option<Graph> {
        let widths = Widths {
            row: self.machine.units(),
            code: self.machine.hidden(),
        };
        there_and_back(
            verb,
            widths,
            |graph, v| self.machine.write_hidden(graph, "", v),
            |graph, h| self.machine.write_units(graph, "", h),
        )
    }
    fn likelihood(&self) -> Option<&dyn Likelihood> {
        Some(self)
    }
}

impl Encoder for Rbm {
    fn encode(
        &self,
        rows: &Rows,
        options: &EncodeOptions,
        rng: &mut Rng,
    ) -> Result<Answer, BadOption> {
        if options.layer.is_some_and(|layer| layer > 0) {
            return Err(BadOption::new(
                "layer",
                "an rbm has one hidden layer, number 0",
            ));
        }
        let p = self.machine.hidden_mean(&rows.x);
        Ok(if options.sample { rng.bernoulli(&p) } else { p }.into())
    }
}

impl Decoder for Rbm {
    fn decode(&self, codes: &Rows) -> Tensor {
        self.machine.visible_mean(&codes.x)
    }
}

impl Reconstructor for Rbm {
    fn reconstruct(
        &self,
        rows: &Rows,
        options: &GibbsOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption> {
        self.settle(&rows.x, options.gibbs_steps, rng)
    }
}

impl Denoiser for Rbm {
    fn denoise(
        &self,
        noisy: &Rows,
        options: &GibbsOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption> {
        self.settle(&noisy.x, options.gibbs_steps, rng)
    }
}

impl Sampler for Rbm {
    fn usual_steps(&self) -> u32 {
        chain::USUAL_STEPS
    }

    /// Chains that start at independent visible units with the base rates of the data; the answer is
    /// the visible probabilities of the last step.
    fn generate(
        &self,
        n: i64,
        _labels: Option<&Tensor>,
        options: &GenerateOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption> {
        let steps = chain::checked_steps(options.gibbs_steps, self.usual_steps())?;
        let temperature = options.temperature.unwrap_or(1.0);
        let tempered = self.machine.at_temperature(temperature);
        let rates = self.base_bias.sigmoid();
        let mut visible = rates.expand([n, tempered.units()], false);
        let mut p = tempered.hidden_mean(&rng.bernoulli(&visible));
        for _ in chain::steps(steps) {
            (visible, _, p) = tempered.gibbs_step(&rng.bernoulli(&p), rng);
        }
        Ok(visible.contiguous())
    }

    fn preview(&self, n: i64, labels: Option<&Tensor>, rng: &mut Rng) -> Result<Tensor, BadOption> {
        let options = GenerateOptions {
            gibbs_steps: Some(PREVIEW_STEPS),
            ..GenerateOptions::default()
        };
        self.generate(n, labels, &options, rng)
    }
}

impl Scorer for Rbm {
    fn metric(&self) -> &'static str {
        "free_energy"
    }
    fn score(&self, rows: &Rows, _options: &ScoreOptions, _rng: &mut Rng) -> Tensor {
        self.machine.free_energy(&rows.x)
    }
}

impl Inpainter for Rbm {
    /// Gibbs sampling with the known visible units clamped; what is missing starts at random, and the
    /// answer is its probabilities in the last step.
    fn inpaint(
        &self,
        rows: &Rows,
        missing: &Tensor,
        options: &InpaintOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption> {
        let steps = chain::checked_rounds(options.gibbs_steps)?;
        let noise = rng.uniform(&rows.x.size(), rows.x.device()).round();
        let mut v = fill_in(&rows.x, missing, &noise);
        let mut p = v.shallow_clone();
        for _ in chain::steps(steps) {
            let h = rng.bernoulli(&self.machine.hidden_mean(&v));
            p = self.machine.visible_mean(&h);
            v = fill_in(&rows.x, missing, &rng.bernoulli(&p));
        }
        Ok(fill_in(&rows.x, missing, &p))
    }
}

impl Filters for Rbm {
    fn filters(&self) -> Tensor {
        self.machine.weights.transpose(0, 1).contiguous()
    }
}

impl Likelihood for Rbm {
    fn needs_partition(&self) -> bool {
        true
    }

    fn pseudo_likelihood(&self, rows: &Rows, rng: &mut Rng) -> Option<Tensor> {
        Some(self.machine.pseudo_likelihood(&rows.x, rng))
    }

    /// `ln p(v) = -F(v) - ln Z` is the logarithm of a probability only where `v` holds 0s and 1s: the
    /// caller binarises grey rows beforehand.
    fn estimator<'a>(
        &'a self,
        effort: LikelihoodEffort,
        rng: &mut Rng,
    ) -> Box<dyn LikelihoodEstimator + 'a> {
        let path = AnnealingPath {
            machine: &self.machine,
            base_bias: &self.base_bias,
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
        -self.rbm.machine.free_energy(&rows.x) - self.partition.log_z
    }

    fn notes(&self) -> Vec<(&'static str, f64)> {
        self.partition.notes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::boltzmann::partition::states;

    #[test]
    fn the_probabilities_of_all_rows_sum_to_one() {
        let mut rng = Rng::at(8, &[]);
        let mut rbm = Rbm::init(6, 40, &mut rng, Device::Cpu);
        rbm.machine.weights *= 50.0;
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
