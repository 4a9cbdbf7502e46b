//! What a trained model can do. A model says which verbs it offers by returning a part or `None`;
//! the capabilities that the service advertises are computed from that, so they cannot lie.
//!
//! Every input is `[rows, features]`, f32, on the model's device; every output has the same rows.

use serde::{Deserialize, Serialize};
use tch::Tensor;
use utoipa::ToSchema;

use super::Tensors;
use super::corruption::CorruptionKind;
use super::rng::Rng;

/// What a net must know of the data it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DataFacts)]
pub struct DataFacts {
    /// Shape of one row, for example `[1, 28, 28]`.
    pub shape: Vec<i64>,
    /// Least and greatest value of the training rows.
    pub range: (f64, f64),
    /// Number of label classes, if the rows are labelled.
    pub classes: Option<i64>,
}

impl DataFacts {
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

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EncodeOptions {
    /// 0 = the first hidden layer; left out, the code.
    pub layer: Option<usize>,
    /// Draw the code from its distribution instead of giving its mean.
    pub sample: bool,
    pub seed: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DecodeOptions {}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReconstructOptions {
    /// Full Gibbs steps before the last, mean-field pass down (RBM). Default 0.
    #[schema(maximum = 100_000)]
    pub gibbs_steps: Option<u32>,
    pub seed: Option<u64>,
}

/// Noise to put on inputs before they are denoised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Corrupt {
    pub kind: CorruptionKind,
    /// Standard deviation (`gaussian`) or share of the values (`mask`, `salt_and_pepper`).
    pub level: f64,
    pub seed: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DenoiseOptions {
    pub corrupt: Option<Corrupt>,
    /// Full Gibbs steps before the last, mean-field pass down (RBM). Default 0.
    #[schema(maximum = 100_000)]
    pub gibbs_steps: Option<u32>,
    pub seed: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GenerateOptions {
    /// Rows to generate.
    #[schema(minimum = 1, maximum = 4096)]
    pub n: i64,
    pub seed: Option<u64>,
    /// Class of each row, for models conditioned on labels.
    pub labels: Option<Vec<i64>>,
    /// Below 1 sharpens, above 1 flattens the distribution sampled from.
    #[schema(exclusive_minimum = 0.0)]
    pub temperature: Option<f64>,
    /// Length of each Gibbs chain (RBM, DBN). Default 1000.
    #[schema(maximum = 100_000)]
    pub gibbs_steps: Option<u32>,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            n: 16,
            seed: None,
            labels: None,
            temperature: None,
            gibbs_steps: None,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreOptions {}

pub trait Model: Send {
    /// Every tensor of the model, by name: what is published.
    fn tensors(&self) -> Tensors;
    /// Shape of one code, for models that have one.
    fn code_shape(&self) -> Option<Vec<i64>>;
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
    fn filters(&self) -> Option<&dyn Filters> {
        None
    }
}

pub trait Encoder {
    fn encode(
        &self,
        x: &Tensor,
        options: &EncodeOptions,
        rng: &mut Rng,
    ) -> Result<Answer, BadOption>;
}

pub trait Decoder {
    /// `[rows, code] -> [rows, features]`.
    fn decode(&self, code: &Tensor) -> Tensor;
}

pub trait Reconstructor {
    fn reconstruct(
        &self,
        x: &Tensor,
        options: &ReconstructOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption>;
}

pub trait Denoiser {
    /// `noisy` has been corrupted already where the caller asked for it.
    fn denoise(
        &self,
        noisy: &Tensor,
        options: &DenoiseOptions,
        rng: &mut Rng,
    ) -> Result<Tensor, BadOption>;
}

pub trait Sampler {
    /// `[n, features]`.
    fn generate(&self, options: &GenerateOptions, rng: &mut Rng) -> Result<Tensor, BadOption>;
}

pub trait Scorer {
    /// What the score is, for example `free_energy`; higher means less like the training data.
    fn metric(&self) -> &'static str;
    /// `[rows]`.
    fn score(&self, x: &Tensor) -> Tensor;
}

pub trait Filters {
    /// What each first-layer unit looks for: `[units, features]`.
    fn filters(&self) -> Tensor;
}
