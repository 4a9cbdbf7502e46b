//! Restricted Boltzmann machine with Bernoulli units, trained by contrastive divergence (CD-k;
//! Hinton, 2002) or persistent contrastive divergence (PCD; Tieleman, 2008).
//!
//! `E(v, h) = -v·b - h·c - v W h`. Visible values in [0, 1] are read as probabilities unless
//! `binarize` turns them into 0s and 1s. The code is `p(h = 1 | v)`, `[hidden]`.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind as TensorKind, Tensor};
use utoipa::ToSchema;

use super::{Define, require_width};
use crate::data::split::Batch;
use crate::document::Rules;
use crate::nn::gibbs::BernoulliPair;
use crate::nn::model::{
    Answer, BadOption, DataFacts, Decoder, Denoiser, Encoder, Filters, Inpainter, Model,
    Reconstructor, Rows, Sampler, Scorer, fill_in,
};
use crate::nn::optimizer::{Optimizer, Rule};
use crate::nn::options::{
    EncodeOptions, GenerateOptions, GibbsOptions, InpaintOptions, ScoreOptions,
};
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors, copy_named};
use crate::train::epoch_loop::stream;
use crate::train::learner::BatchSource;
use crate::train::settings::{Schedule, Training, TrainingDefaults};
use crate::train::{Learner, Phase, Report, StepContext};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RbmKind)]
pub enum Kind {
    #[default]
    Rbm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RbmAlgorithm)]
pub enum Algorithm {
    /// Contrastive divergence: the chain starts at the data.
    Cd,
    /// Persistent contrastive divergence: the chains go on from step to step.
    Pcd,
}

/// What visible units see of values in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Binarize {
    /// The values themselves, as probabilities.
    None,
    /// 1 above one half, else 0.
    Threshold,
    /// A Bernoulli sample, drawn anew each time a row is seen.
    Dynamic,
}

/// Restricted Boltzmann machine with Bernoulli units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = RbmModel)]
pub struct Spec {
    #[schema(required, inline)]
    pub kind: Kind,
    /// Hidden units.
    #[schema(minimum = 1)]
    pub hidden: i64,
    #[schema(inline)]
    pub algorithm: Algorithm,
    /// Gibbs steps for each update.
    #[schema(minimum = 1, maximum = 1000)]
    pub gibbs_steps: u32,
    /// Persistent chains (`pcd`); as many as rows in a batch when left out.
    #[schema(minimum = 1)]
    pub chains: Option<i64>,
    #[schema(inline)]
    pub binarize: Binarize,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            kind: Kind::Rbm,
            hidden: 500,
            algorithm: Algorithm::Cd,
            gibbs_steps: 1,
            chains: None,
            binarize: Binarize::None,
        }
    }
}

/// The trained machine.
pub struct Rbm(BernoulliPair);

impl Define for Rbm {
    const KIND: &'static str = "rbm";
    const SUMMARY: &'static str = "Restricted Boltzmann machine with Bernoulli units (CD-k, PCD)";
    type Spec = Spec;

    fn training_defaults() -> TrainingDefaults {
        TrainingDefaults {
            epochs: 15,
            batch_size: 128,
            optimizer: Rule::Momentum,
            learning_rate: 0.05,
            momentum: 0.9,
            weight_decay: 0.0,
            schedule: Schedule::CONSTANT,
        }
    }

    fn check(spec: &Spec, training: &Training, data: &DataFacts, rules: &mut Rules) {
        require_width(rules, "/model/hidden", spec.hidden);
        rules.require(
            (1..=1000).contains(&spec.gibbs_steps),
            "/model/gibbs_steps",
            "must be between 1 and 1000",
        );
        if let Some(chains) = spec.chains {
            rules.require(
                spec.algorithm == Algorithm::Pcd,
                "/model/chains",
                "only the algorithm 'pcd' keeps chains",
            );
            rules.require(
                (1..=65_536).contains(&chains),
                "/model/chains",
                "must be between 1 and 65536",
            );
        }
        rules.require(
            training.gradient_clip.is_none(),
            "/training/gradient_clip",
            "an rbm's updates are differences of statistics in [0, 1]; there is no gradient to clip",
        );
        rules.require(
            data.is_unit_interval(),
            "/dataset",
            format!(
                "Bernoulli visible units need values in [0, 1]; this data set's are in [{}, {}]: scale them before the upload",
                data.range.0, data.range.1
            ),
        );
    }

    fn parameters(spec: &Spec, data: &DataFacts) -> u128 {
        let (visible, hidden) = (
            u128::from(data.features().unsigned_abs()),
            u128::from(spec.hidden.unsigned_abs()),
        );
        visible * hidden + visible + hidden
    }

    fn learner(
        spec: &Spec,
        training: &Training,
        data: &DataFacts,
        device: Device,
    ) -> Box<dyn Learner> {
        let mut rng = Rng::at(training.seed, &[stream::INIT]);
        let pair = BernoulliPair::init(data.features(), spec.hidden, &mut rng, device);
        let chains = match spec.algorithm {
            Algorithm::Cd => 0,
            Algorithm::Pcd => spec
                .chains
                .unwrap_or_else(|| i64::from(training.batch_size)),
        };
        let start = Tensor::full([chains, spec.hidden], 0.5, (TensorKind::Float, device));
        Box::new(RbmLearner {
            optimizer: Optimizer::new(training.optimizer_config(), pair.tensors()),
            chains: rng.bernoulli(&start),
            rbm: Rbm(pair),
            spec: spec.clone(),
            epochs: training.epochs,
        })
    }

    fn load(
        spec: &Spec,
        data: &DataFacts,
        tensors: &Tensors,
        device: Device,
    ) -> Result<Box<dyn Model>, TensorMismatch> {
        let mut rng = Rng::at(0, &[]);
        let mut pair = BernoulliPair::init(data.features(), spec.hidden, &mut rng, device);
        pair.load(tensors)?;
        Ok(Box::new(Self(pair)))
    }
}

impl Rbm {
    /// `steps` of Gibbs sampling from `v`, then one mean-field pass up and down.
    fn settle(&self, v: &Tensor, steps: Option<u32>, rng: &mut Rng) -> Result<Tensor, BadOption> {
        let steps = checked_gibbs_steps(steps, 0)?;
        let mut h = self.0.hidden_given_visible(v);
        for _ in 0..steps {
            (_, _, h) = self.0.gibbs_step(&rng.bernoulli(&h), rng);
        }
        Ok(self.0.visible_given_hidden(&h))
    }
}

fn checked_gibbs_steps(steps: Option<u32>, default: u32) -> Result<u32, BadOption> {
    let steps = steps.unwrap_or(default);
    if steps > 100_000 {
        return Err(BadOption::new("gibbs_steps", "must be at most 100000"));
    }
    Ok(steps)
}

impl Model for Rbm {
    fn tensors(&self) -> Tensors {
        self.0.tensors()
    }
    fn code_shape(&self) -> Option<Vec<i64>> {
        Some(vec![self.0.hidden()])
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
        let p = self.0.hidden_given_visible(&rows.x);
        Ok(if options.sample { rng.bernoulli(&p) } else { p }.into())
    }
}

impl Decoder for Rbm {
    fn decode(&self, codes: &Rows) -> Tensor {
        self.0.visible_given_hidden(&codes.x)
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
    /// Chains that start at independent visible units with the model's visible biases; the answer
    /// is the visible probabilities of the last step.
    fn generate(
        &self,
        n: i64,
        _labels: Option<&Tensor>,
        options: &GenerateOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption> {
        let steps = checked_gibbs_steps(options.gibbs_steps, 1000)?;
        let temperature = options.temperature.unwrap_or(1.0);
        // Dividing the energy by T divides every parameter by T.
        let tempered = BernoulliPair {
            weights: &self.0.weights / temperature,
            visible_bias: &self.0.visible_bias / temperature,
            hidden_bias: &self.0.hidden_bias / temperature,
        };
        let marginal = tempered
            .visible_bias
            .sigmoid()
            .expand([n, tempered.visible()], false);
        let mut p = tempered.hidden_given_visible(&rng.bernoulli(&marginal));
        let mut visible = marginal;
        for _ in 0..steps {
            (visible, _, p) = tempered.gibbs_step(&rng.bernoulli(&p), rng);
        }
        Ok(visible.contiguous())
    }
}

impl Scorer for Rbm {
    fn metric(&self) -> &'static str {
        "free_energy"
    }
    fn score(&self, rows: &Rows, _options: &ScoreOptions, _rng: &mut Rng) -> Tensor {
        self.0.free_energy(&rows.x)
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
        let steps = checked_gibbs_steps(options.gibbs_steps, 100)?.max(1);
        let noise = rng.uniform(&rows.x.size(), rows.x.device()).round();
        let mut v = fill_in(&rows.x, missing, &noise);
        let mut p = v.shallow_clone();
        for _ in 0..steps {
            let h = rng.bernoulli(&self.0.hidden_given_visible(&v));
            p = self.0.visible_given_hidden(&h);
            v = fill_in(&rows.x, missing, &rng.bernoulli(&p));
        }
        Ok(fill_in(&rows.x, missing, &p))
    }
}

impl Filters for Rbm {
    fn filters(&self) -> Tensor {
        self.0.weights.transpose(0, 1).contiguous()
    }
}

struct RbmLearner {
    rbm: Rbm,
    spec: Spec,
    optimizer: Optimizer,
    /// Hidden states of the persistent chains, `[chains, hidden]`; empty for CD.
    chains: Tensor,
    epochs: u32,
}

/// Steps between two looks at the free energy and its kin: they cost as much as a step.
const LOOK_EVERY: u64 = 20;

impl RbmLearner {
    fn binarized(&self, x: &Tensor, rng: &mut Rng) -> Tensor {
        match self.spec.binarize {
            Binarize::None => x.shallow_clone(),
            Binarize::Threshold => x.greater(0.5).to_kind(TensorKind::Float),
            Binarize::Dynamic => rng.bernoulli(x),
        }
    }

    /// The end of the chain that stands for the model: visible samples and hidden probabilities.
    fn negative_phase(&mut self, h0: &Tensor, rng: &mut Rng) -> (Tensor, Tensor) {
        let persistent = self.spec.algorithm == Algorithm::Pcd;
        let mut h = if persistent {
            self.chains.shallow_clone()
        } else {
            rng.bernoulli(h0)
        };
        let (_, mut v, mut p) = self.rbm.0.gibbs_step(&h, rng);
        for _ in 1..self.spec.gibbs_steps {
            h = rng.bernoulli(&p);
            (_, v, p) = self.rbm.0.gibbs_step(&h, rng);
        }
        if persistent {
            self.chains = rng.bernoulli(&p);
        }
        (v, p)
    }

    fn look(&self, x: &Tensor, rng: &mut Rng) -> Report {
        let v = self.binarized(x, rng);
        let reconstruction = self
            .rbm
            .0
            .visible_given_hidden(&self.rbm.0.hidden_given_visible(&v));
        // The pseudo-likelihood flips bits, so it needs bits.
        let bits = if self.spec.binarize == Binarize::None {
            rng.bernoulli(x)
        } else {
            v.shallow_clone()
        };
        Report(vec![
            ("reconstruction_mse", mean(&(&v - reconstruction).square())),
            ("free_energy", mean(&self.rbm.0.free_energy(&v))),
            (
                "pseudo_likelihood",
                mean(&self.rbm.0.pseudo_likelihood(&bits, rng)),
            ),
        ])
    }
}

fn mean(x: &Tensor) -> f64 {
    x.mean(TensorKind::Double).double_value(&[])
}

impl Learner for RbmLearner {
    fn phases(&self) -> Vec<Phase> {
        vec![Phase::training(self.epochs)]
    }

    /// `b = ln(p / (1 - p))` with `p` the share of each visible unit that is on, so that the
    /// weights need not learn the mean image first (Hinton, 2010, section 8.1).
    fn prepare(&mut self, batches: &mut BatchSource<'_>) -> std::io::Result<()> {
        let mut sum = Tensor::zeros_like(&self.rbm.0.visible_bias);
        let mut rows = 0;
        for batch in batches {
            let x = batch?.x;
            let v = if self.spec.binarize == Binarize::Threshold {
                x.greater(0.5).to_kind(TensorKind::Float)
            } else {
                x
            };
            rows += v.size()[0];
            sum += v.sum_dim_intlist(0, false, TensorKind::Float);
        }
        // Half a row of each value keeps units that never change finite.
        let p = (sum + 0.5) / (rows as f64 + 1.0);
        self.rbm.0.visible_bias.copy_(&p.logit(None::<f64>));
        Ok(())
    }

    /// `ΔW ∝ <v h>_data - <v h>_model`, and the same for the biases.
    fn step(&mut self, batch: &Batch, context: &mut StepContext) -> Report {
        let _guard = tch::no_grad_guard();
        let v0 = self.binarized(&batch.x, &mut context.rng);
        let h0 = self.rbm.0.hidden_given_visible(&v0);
        let (vk, hk) = self.negative_phase(&h0, &mut context.rng);
        let (rows, chains) = (v0.size()[0] as f64, vk.size()[0] as f64);
        // In the name order of the parameters; the optimiser descends, so model minus data.
        let gradients = [
            column_means(&hk) - column_means(&h0),
            column_means(&vk) - column_means(&v0),
            // The means are taken on the narrow side, the difference inside the second product.
            vk.transpose(0, 1)
                .matmul(&(hk / chains))
                .addmm_(&v0.transpose(0, 1), &(h0 / -rows)),
        ];
        self.optimizer.step(&gradients, context.learning_rate, None);
        if context.step.is_multiple_of(LOOK_EVERY) {
            self.look(&batch.x, &mut context.rng)
        } else {
            Report::default()
        }
    }

    fn evaluate(&self, batch: &Batch, rng: &mut Rng) -> Report {
        self.look(&batch.x, rng)
    }

    fn state(&self) -> Tensors {
        let mut state = self.rbm.tensors();
        state.extend(self.optimizer.state("optimizer"));
        if self.chains.numel() > 0 {
            state.insert("chains".to_owned(), self.chains.shallow_clone());
        }
        state
    }

    fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch> {
        self.rbm.0.load(state)?;
        self.optimizer.restore("optimizer", state)?;
        if self.chains.numel() > 0 {
            copy_named(state, "chains", &mut self.chains)?;
        }
        Ok(())
    }

    fn model(&self) -> &dyn Model {
        &self.rbm
    }
}

fn column_means(x: &Tensor) -> Tensor {
    x.mean_dim(0, false, TensorKind::Float)
}
