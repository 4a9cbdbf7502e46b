//! The trained machine and the verbs it answers. The code is `p(h = 1 | v)`, `[hidden]`.

use tch::{Device, Tensor};

use crate::nn::ais::LogPartition;
use crate::nn::chain;
use crate::nn::gibbs::BernoulliPair;
use crate::nn::graph::{GraphVerb, Widths, there_and_back};
use crate::nn::model::{
    Answer, BadOption, Decoder, Denoiser, Encoder, Filters, GLIMPSE_STEPS, Inpainter, Likelihood,
    LikelihoodEffort, LikelihoodEstimator, Model, Reconstructor, Rows, Sampler, Scorer, fill_in,
};
use crate::nn::options::{
    EncodeOptions, GenerateOptions, GibbsOptions, InpaintOptions, ScoreOptions,
};
use crate::nn::rng::Rng;
use crate::nn::tempered::Tempered;
use crate::nn::{TensorMismatch, Tensors, copy_named};
use crate::onnx::Graph;

pub struct Rbm {
    pub pair: BernoulliPair,
    /// Log-odds of each visible unit over the training rows, `[visible]`: the machine without weights
    /// that generation, tempering and estimates of `ln Z` start from.
    pub base_bias: Tensor,
}

impl Rbm {
    pub fn init(visible: i64, hidden: i64, rng: &mut Rng, device: Device) -> Self {
        let pair = BernoulliPair::init(visible, hidden, rng, device);
        let base_bias = pair.visible_bias.zeros_like();
        Self { pair, base_bias }
    }

    /// The same machine in storage of its own.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            pair: BernoulliPair {
                weights: self.pair.weights.copy(),
                visible_bias: self.pair.visible_bias.copy(),
                hidden_bias: self.pair.hidden_bias.copy(),
            },
            base_bias: self.base_bias.copy(),
        }
    }

    pub fn restore(&mut self, tensors: &Tensors) -> Result<(), TensorMismatch> {
        self.pair.load(tensors)?;
        copy_named(tensors, "base_bias", &mut self.base_bias)
    }

    /// `p(v = 1 | h)` with `h = p(h = 1 | v)`: one mean-field pass up and down.
    pub fn reconstruction(&self, v: &Tensor) -> Tensor {
        self.pair
            .visible_given_hidden(&self.pair.hidden_given_visible(v))
    }

    /// `steps` of Gibbs sampling from `v`, then one mean-field pass up and down.
    fn settle(&self, v: &Tensor, steps: Option<u32>, rng: &mut Rng) -> Result<Tensor, BadOption> {
        let steps = chain::checked_steps(steps, 0)?;
        let mut h = self.pair.hidden_given_visible(v);
        for _ in chain::steps(steps) {
            (_, _, h) = self.pair.gibbs_step(&rng.bernoulli(&h), rng);
        }
        Ok(self.pair.visible_given_hidden(&h))
    }
}

impl Model for Rbm {
    fn tensors(&self) -> Tensors {
        let mut tensors = self.pair.tensors();
        tensors.insert("base_bias".to_owned(), self.base_bias.shallow_clone());
        tensors
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        Some(vec![self.pair.hidden()])
    }
    fn encoder(&self) -> Option<&dyn Encoder> {
        Some(self)
    }
    fn decoder(&self) -> Option<&dyn Decoder> {
        Some(self)
    }
    fn reconstructor(&self) -> Option<&dyn Reconstructor> {
        Some(self)
    }
    fn denoiser(&self) -> Option<&dyn Denoiser> {
        Some(self)
    }
    fn sampler(&self) -> Option<&dyn Sampler> {
        Some(self)
    }
    fn scorer(&self) -> Option<&dyn Scorer> {
        Some(self)
    }
    fn inpainter(&self) -> Option<&dyn Inpainter> {
        Some(self)
    }
    fn filters(&self) -> Option<&dyn Filters> {
        Some(self)
    }
    fn graph(&self, verb: GraphVerb) -> Option<Graph> {
        let widths = Widths {
            row: self.pair.visible(),
            code: self.pair.hidden(),
        };
        there_and_back(
            verb,
            widths,
            |graph, v| {
                let input = self.pair.write_hidden_input(graph, "", v);
                graph.map("Sigmoid", &input)
            },
            |graph, h| {
                let input = self.pair.write_visible_input(graph, "", h);
                graph.map("Sigmoid", &input)
            },
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
        let p = self.pair.hidden_given_visible(&rows.x);
        Ok(if options.sample { rng.bernoulli(&p) } else { p }.into())
    }
}

impl Decoder for Rbm {
    fn decode(&self, codes: &Rows) -> Tensor {
        self.pair.visible_given_hidden(&codes.x)
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
        // Dividing the energy by T divides every parameter by T.
        let tempered = BernoulliPair {
            weights: &self.pair.weights / temperature,
            visible_bias: &self.pair.visible_bias / temperature,
            hidden_bias: &self.pair.hidden_bias / temperature,
        };
        let rates = self.base_bias.sigmoid();
        let mut visible = rates.expand([n, tempered.visible()], false);
        let mut p = tempered.hidden_given_visible(&rng.bernoulli(&visible));
        for _ in chain::steps(steps) {
            (visible, _, p) = tempered.gibbs_step(&rng.bernoulli(&p), rng);
        }
        Ok(visible.contiguous())
    }

    fn preview(&self, n: i64, labels: Option<&Tensor>, rng: &mut Rng) -> Result<Tensor, BadOption> {
        let options = GenerateOptions {
            gibbs_steps: Some(GLIMPSE_STEPS),
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
        self.pair.free_energy(&rows.x)
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
            let h = rng.bernoulli(&self.pair.hidden_given_visible(&v));
            p = self.pair.visible_given_hidden(&h);
            v = fill_in(&rows.x, missing, &rng.bernoulli(&p));
        }
        Ok(fill_in(&rows.x, missing, &p))
    }
}

impl Filters for Rbm {
    fn filters(&self) -> Tensor {
        self.pair.weights.transpose(0, 1).contiguous()
    }
}

impl Likelihood for Rbm {
    fn needs_partition(&self) -> bool {
        true
    }

    fn pseudo_likelihood(&self, rows: &Rows, rng: &mut Rng) -> Option<Tensor> {
        Some(self.pair.pseudo_likelihood(&rows.x, rng))
    }

    /// `ln p(v) = -F(v) - ln Z` is the logarithm of a probability only where `v` holds 0s and 1s: the
    /// caller binarises grey rows beforehand.
    fn estimator<'a>(
        &'a self,
        effort: LikelihoodEffort,
        rng: &mut Rng,
    ) -> Box<dyn LikelihoodEstimator + 'a> {
        let path = Tempered {
            pair: &self.pair,
            base_bias: &self.base_bias,
            classes: 0,
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
        -self.rbm.pair.free_energy(&rows.x) - self.partition.log_z
    }

    fn notes(&self) -> Vec<(&'static str, f64)> {
        self.partition.notes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gibbs::states;

    #[test]
    fn the_probabilities_of_all_rows_sum_to_one() {
        let mut rng = Rng::at(8, &[]);
        let mut rbm = Rbm::init(6, 40, &mut rng, Device::Cpu);
        rbm.pair.weights *= 50.0;
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
