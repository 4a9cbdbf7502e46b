//! What a trained model can do. A model says which verbs it offers by returning a part or `None`;
//! the capabilities that the service advertises are computed from that, so they cannot lie.
//!
//! Every input is `[rows, features]`, f32, on the model's device; every output has the same rows. What
//! may be asked beside the rows is in `options`.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::Tensors;
use super::chain;
use super::graph::GraphVerb;
use super::options::{EncodeOptions, GenerateOptions, GibbsOptions, InpaintOptions, ScoreOptions};
use super::rng::Rng;
use crate::onnx::Graph;

/// What a net must know of the data it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataFacts {
    shape: Vec<i64>,
    range: (f64, f64),
    classes: Option<i64>,
    /// 0 or 1, a number in stored documents; left out of them where there are none.
    #[serde(default, skip_serializing_if = "none")]
    targets: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn none(targets: &i64) -> bool {
    *targets == 0
}

impl DataFacts {
    /// Of rows that nothing goes with.
    pub fn new(shape: &[i64], range: (f64, f64)) -> Self {
        Self {
            shape: shape.to_vec(),
            range,
            classes: None,
            targets: 0,
        }
    }

    #[must_use]
    pub fn with_classes(self, classes: Option<i64>) -> Self {
        Self { classes, ..self }
    }

    #[must_use]
    pub fn with_targets(self, targets: bool) -> Self {
        let targets = targets.into();
        Self { targets, ..self }
    }

    /// Shape of one row, for example `[1, 28, 28]`.
    pub fn shape(&self) -> &[i64] {
        &self.shape
    }

    /// Least and greatest value of the training rows.
    pub fn range(&self) -> (f64, f64) {
        self.range
    }

    /// Number of label classes, if the training rows are labelled.
    pub fn classes(&self) -> Option<i64> {
        self.classes
    }

    /// Whether each training row has a target, a number to regress on.
    pub fn has_targets(&self) -> bool {
        self.targets > 0
    }

    /// Values in one row.
    pub fn features(&self) -> i64 {
        self.shape.iter().product()
    }

    /// Whether every value can be read as a probability.
    pub fn is_unit_interval(&self) -> bool {
        self.range.0 >= 0.0 && self.range.1 <= 1.0
    }

    /// The range noisy inputs are clamped to: [0, 1] for data within it.
    pub fn clamp_range(&self) -> (f64, f64) {
        if self.is_unit_interval() {
            (0.0, 1.0)
        } else {
            self.range
        }
    }
}

/// An option that a model cannot honour: which one, and the rule.
#[derive(Debug, thiserror::Error)]
#[error("{option}: {detail}")]
pub struct BadOption {
    pub option: &'static str,
    pub detail: String,
}

impl BadOption {
    pub fn new(option: &'static str, detail: impl Into<String>) -> Self {
        Self {
            option,
            detail: detail.into(),
        }
    }

    /// The option means nothing for this family.
    pub fn meaningless(option: &'static str, family: &str) -> Self {
        Self::new(
            option,
            format!("a model of kind '{family}' has no use for it"),
        )
    }
}

/// What a verb is applied to.
pub struct Rows {
    /// `[rows, features]`, or `[rows, code]` for `decode`.
    pub x: Tensor,
    /// `[rows]` i64; always there for a model that is conditioned on labels, never for another.
    pub labels: Option<Tensor>,
}

impl Rows {
    pub fn labels(&self) -> Option<&Tensor> {
        self.labels.as_ref()
    }

    pub fn count(&self) -> i64 {
        self.x.size()[0]
    }

    /// Other values under the same labels.
    #[must_use]
    pub fn with(&self, x: Tensor) -> Self {
        Self {
            x,
            labels: self.labels.as_ref().map(Tensor::shallow_clone),
        }
    }
}

/// The answer of a verb: the main tensor and what else it found, each with one row an input.
pub struct Answer {
    pub output: Tensor,
    pub extras: Vec<(&'static str, Tensor)>,
}

impl From<Tensor> for Answer {
    fn from(output: Tensor) -> Self {
        Self {
            output,
            extras: Vec::new(),
        }
    }
}

/// Two threads may ask the same model at once: what takes `&self` reads only, without cells, and writes to no tensor
/// of the model in place.
pub trait Model: Send {
    /// Readies the model for answering small batches: its weights do not change from here on. Bytes of
    /// memory that it takes beside the weights.
    fn pack(&mut self) -> usize {
        0
    }
    /// Every tensor of the model, by name: what is published.
    fn tensors(&self) -> Tensors;
    /// Shape of one code, for models that have one.
    fn code_shape(&self) -> Option<Vec<i64>>;
    /// How many classes the model is conditioned on, if it is.
    fn conditioned_on(&self) -> Option<i64> {
        None
    }
    fn encoder(&self) -> Option<&dyn Encoder> {
        None
    }
    fn decoder(&self) -> Option<&dyn Decoder> {
        None
    }
    fn reconstructor(&self) -> Option<&dyn Reconstructor> {
        None
    }
    fn denoiser(&self) -> Option<&dyn Denoiser> {
        None
    }
    fn sampler(&self) -> Option<&dyn Sampler> {
        None
    }
    fn scorer(&self) -> Option<&dyn Scorer> {
        None
    }
    fn inpainter(&self) -> Option<&dyn Inpainter> {
        None
    }
    fn interpolator(&self) -> Option<&dyn Interpolator> {
        None
    }
    fn predictor(&self) -> Option<&dyn Predictor> {
        None
    }
    fn filters(&self) -> Option<&dyn Filters> {
        None
    }
    /// What a verb computes, for other runtimes; none for a verb that the model lacks or that draws numbers.
    fn graph(&self, _verb: GraphVerb) -> Option<Graph> {
        None
    }
    /// Estimates of the log-likelihood, for evaluations.
    fn likelihood(&self) -> Option<&dyn Likelihood> {
        None
    }
}

pub trait Encoder {
    fn encode(
        &self,
        rows: &Rows,
        options: &EncodeOptions,
        rng: &mut Rng,
    ) -> Result<Answer, BadOption>;
}

pub trait Decoder {
    /// `[rows, code] -> [rows, features]`.
    fn decode(&self, codes: &Rows) -> Tensor;
}

pub trait Reconstructor {
    fn reconstruct(
        &self,
        rows: &Rows,
        options: &GibbsOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption>;
}

pub trait Denoiser {
    /// `noisy` has been corrupted already where the caller asked for it.
    fn denoise(
        &self,
        noisy: &Rows,
        options: &GibbsOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption>;
}

pub trait Sampler {
    /// How many classes samples can be asked for by label, of a model that is not conditioned on labels
    /// in anything else.
    fn classes(&self) -> Option<i64> {
        None
    }
    /// Steps of its chains where nothing is said; 0 for models that have none.
    fn usual_steps(&self) -> u32 {
        0
    }
    /// `[n, features]`; `labels: [n]` for a model conditioned on them.
    fn generate(
        &self,
        n: i64,
        labels: Option<&Tensor>,
        options: &GenerateOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption>;

    /// As `generate`, at what a look in passing may cost: for those who watch a model learn.
    fn preview(&self, n: i64, labels: Option<&Tensor>, rng: &mut Rng) -> Result<Tensor, BadOption> {
        self.generate(n, labels, &GenerateOptions::default(), rng)
    }
}

/// Gibbs steps of a look in passing.
pub const GLIMPSE_STEPS: u32 = 50;

pub trait Scorer {
    /// What the score is, for example `free_energy`; higher means less like the training data.
    fn metric(&self) -> &'static str;
    /// `[rows]`.
    fn score(&self, rows: &Rows, options: &ScoreOptions, rng: &mut Rng) -> Tensor;
}

pub trait Inpainter {
    /// Fills in where `missing: [rows, features]` is 1; the rest of the answer is the input's own.
    fn inpaint(
        &self,
        rows: &Rows,
        missing: &Tensor,
        options: &InpaintOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption>;
}

/// The way between two points of the latent space.
pub trait Interpolator {
    /// The latent point of an input, `[1, latent]`; `None` for models without an encoder.
    fn locate(&self, rows: &Rows) -> Option<Tensor>;
    /// A latent point drawn from the prior, `[1, latent]`; `None` for models without one.
    fn draw(&self, rng: &mut Rng) -> Option<Tensor>;
    /// What lies at each share of the way from one latent point to the other: `[shares, features]`.
    fn between(&self, from: &Tensor, to: &Tensor, shares: &[f64], label: Option<&Tensor>)
    -> Tensor;
}

/// A classifier's or a regressor's answer.
pub enum Prediction {
    /// Probabilities, `[rows, classes]`.
    Classes(Tensor),
    /// Values, `[rows, targets]`.
    Values(Tensor),
}

pub trait Predictor {
    fn predict(&self, x: &Tensor) -> Prediction;
    /// What the last layer sees, `[rows, features]`: the space in which sets of images are compared.
    fn features(&self, x: &Tensor) -> Tensor;
}

pub trait Filters {
    /// What each first-layer unit looks for: `[units, features]`.
    fn filters(&self) -> Tensor;
}

/// How hard an estimate of the log-likelihood tries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LikelihoodEffort {
    /// Importance samples a row (VAE), or annealed chains (RBM, DBN).
    pub samples: u32,
    /// Intermediate distributions of annealed importance sampling.
    pub temperatures: u32,
}

pub trait Likelihood {
    /// Whether rows are 0s and 1s to this model; others are made so before they are handed in.
    fn is_of_bits(&self) -> bool {
        true
    }
    /// Whether a partition function has to be estimated, by annealed chains.
    fn needs_partition(&self) -> bool {
        false
    }
    /// An estimate of the log pseudo-likelihood of rows of bits in nats, `[rows]`, where there is one.
    fn pseudo_likelihood(&self, _rows: &Rows, _rng: &mut Rng) -> Option<Tensor> {
        None
    }
    /// Does once what all rows share, such as the partition function.
    fn estimator<'a>(
        &'a self,
        effort: LikelihoodEffort,
        rng: &mut Rng,
    ) -> Box<dyn LikelihoodEstimator + 'a>;
}

pub trait LikelihoodEstimator {
    /// `ln p(x)` of each row in nats, `[rows]`.
    fn log_likelihood(&self, rows: &Rows, rng: &mut Rng) -> Tensor;
    /// What was found on the way, by name: `log_z`, `log_z_reverse`, …
    fn notes(&self) -> Vec<(&'static str, f64)>;
}

/// `x` where it is known, `filling` where it is missing.
pub fn fill_in(x: &Tensor, missing: &Tensor, filling: &Tensor) -> Tensor {
    x + missing * (filling - x)
}

/// Starts where `x` is missing from `start`, then puts `round_trip`'s answer there, `gibbs_steps` times: for
/// models whose reconstruction draws nothing.
pub fn fill_in_by_rounds(
    x: &Tensor,
    missing: &Tensor,
    start: &Tensor,
    options: &InpaintOptions,
    round_trip: impl Fn(&Tensor) -> Tensor,
) -> Result<Tensor, BadOption> {
    let rounds = chain::checked_rounds(options.gibbs_steps)?;
    let start = fill_in(x, missing, start);
    Ok(chain::steps(rounds).fold(start, |filled, _| fill_in(x, missing, &round_trip(&filled))))
}

/// Mean squared error of each row, per value: `[rows]`.
pub fn error_per_row(x: &Tensor, y: &Tensor) -> Tensor {
    (x - y).square().mean_dim(1, false, Kind::Float)
}
