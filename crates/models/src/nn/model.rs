//! What models and the verbs asked of them have in common: the facts of the data, rows, answers, options that
//! cannot be honoured, and estimates of the log-likelihood.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::rng::Rng;

/// What a net must know of the data it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataFacts {
    shape: Vec<i64>,
    range: (f64, f64),
    classes: Option<i64>,
    /// The words that the classes stand for, in the order of their codes; left out of documents where classes are
    /// numbers of the client's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    label_names: Vec<String>,
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
            label_names: Vec::new(),
            targets: 0,
        }
    }

    #[must_use]
    pub fn with_classes(self, classes: Option<i64>) -> Self {
        Self { classes, ..self }
    }

    #[must_use]
    pub fn with_label_names(self, label_names: Vec<String>) -> Self {
        Self {
            label_names,
            ..self
        }
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

    /// What the classes are called, in the order of their codes; empty where they are plain numbers.
    pub fn label_names(&self) -> &[String] {
        &self.label_names
    }

    /// Whether the training rows have numbers to regress on: targets, or labels that are numbers.
    pub fn has_numbers(&self) -> bool {
        self.has_targets() || (self.classes.is_some() && self.label_names.is_empty())
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
#[derive(Debug, Clone, thiserror::Error)]
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

/// Mean squared error of each row, per value: `[rows]`.
pub fn error_per_row(x: &Tensor, y: &Tensor) -> Tensor {
    (x - y).square().mean_dim(1, false, Kind::Float)
}
