//! What may be asked of a model beside its rows: the options of each verb, as a client writes them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::corruption::CorruptionKind;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EncodeOptions {
    /// 0 = the first hidden layer; left out, the code.
    pub layer: Option<usize>,
    /// Draw the code from its distribution instead of giving its mean.
    pub sample: bool,
    pub seed: Option<u64>,
    /// Class of each row, for models conditioned on labels; `rows` bring their own.
    pub labels: Option<Vec<i64>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DecodeOptions {
    /// Class of each row, for models conditioned on labels.
    pub labels: Option<Vec<i64>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReconstructOptions {
    /// Full Gibbs steps before the last, mean-field pass down (RBM, DBN). Default 0.
    #[schema(maximum = 100_000)]
    pub gibbs_steps: Option<u32>,
    pub seed: Option<u64>,
    /// Class of each row, for models conditioned on labels; `rows` bring their own.
    pub labels: Option<Vec<i64>>,
}

/// The part of the options that a reconstruction itself depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GibbsOptions {
    pub gibbs_steps: Option<u32>,
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
    /// Full Gibbs steps before the last, mean-field pass down (RBM, DBN). Default 0.
    #[schema(maximum = 100_000)]
    pub gibbs_steps: Option<u32>,
    pub seed: Option<u64>,
    /// Class of each row, for models conditioned on labels; `rows` bring their own.
    pub labels: Option<Vec<i64>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GenerateOptions {
    /// Rows to generate; 16, or one for each label.
    #[schema(minimum = 1, maximum = 4096)]
    pub n: Option<i64>,
    pub seed: Option<u64>,
    /// Class of each row, for models conditioned on labels; left out, every class in turn.
    pub labels: Option<Vec<i64>>,
    /// Below 1 sharpens, above 1 flattens the distribution sampled from.
    #[schema(exclusive_minimum = 0.0)]
    pub temperature: Option<f64>,
    /// Length of each Gibbs chain (RBM, DBN). Default 1000.
    #[schema(maximum = 100_000)]
    pub gibbs_steps: Option<u32>,
}

impl GenerateOptions {
    pub fn rows(&self) -> i64 {
        let labels = self.labels.as_ref().map(|labels| labels.len() as i64);
        self.n.or(labels).unwrap_or(16)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreOptions {
    /// For scores that draw random numbers (VAE).
    pub seed: Option<u64>,
    /// Class of each row, for models conditioned on labels; `rows` bring their own.
    pub labels: Option<Vec<i64>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PredictOptions {}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InpaintOptions {
    /// 1 where a value is missing, else 0: one flat row for all inputs, or one for each.
    #[schema(required)]
    pub mask: Vec<f32>,
    /// Rounds of filling in (a Gibbs step each for RBM and DBN). Default 100.
    #[schema(minimum = 1, maximum = 100_000)]
    pub gibbs_steps: Option<u32>,
    pub seed: Option<u64>,
    /// Class of each row, for models conditioned on labels; `rows` bring their own.
    pub labels: Option<Vec<i64>>,
}

/// One end of an interpolation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected a seed (a whole number) or a flat row of numbers"
)]
pub enum Endpoint {
    /// A latent point drawn from the prior with this seed.
    Seed(u64),
    /// A flat row: an input for models that encode, else a latent point.
    Row(Vec<f32>),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InterpolateOptions {
    /// Where to start: a seed or a row. Left out, the first of two rows in `inputs` or `rows`.
    pub from: Option<Endpoint>,
    /// Where to end.
    pub to: Option<Endpoint>,
    /// Points on the way, both ends included. Default 8.
    #[schema(minimum = 2, maximum = 1024)]
    pub steps: Option<i64>,
    /// The class of all points, for models conditioned on labels.
    pub labels: Option<Vec<i64>>,
}

impl InterpolateOptions {
    pub fn points(&self) -> i64 {
        self.steps.unwrap_or(8)
    }
}
