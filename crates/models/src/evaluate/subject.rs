//! What is measured, and what every metric needs: batches of rows, generated rows, random streams and means.

use std::io;

use tch::{Device, Tensor};

use crate::data::Batch;
use crate::data::split::Split;
use crate::nn::model::{BadOption, DataFacts, Rows};
use crate::nn::rng::Rng;
use crate::verbs::generate::every_class_in_turn;
use crate::verbs::{GenerateOptions, Model};

/// Rows a batch.
pub const BATCH: usize = 500;

#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    #[error("this model cannot be measured by '{metric}': {reason}")]
    Unsuited {
        metric: &'static str,
        reason: String,
    },
    #[error("a row could not be read: {0}")]
    Data(#[from] io::Error),
    #[error("{0}")]
    Option(#[from] BadOption),
    #[error("stopped from outside")]
    Stopped,
}

pub type Result<T> = std::result::Result<T, EvaluationError>;

/// Figures by name.
pub type Figures = Vec<(String, f64)>;

/// A model, and the rows it is measured on.
pub struct Subject<'a> {
    pub model: &'a dyn Model,
    /// What the model was trained on, perhaps another data set.
    pub learnt: &'a DataFacts,
    /// Of the data set that it is measured on.
    pub facts: &'a DataFacts,
    pub rows: &'a Split,
    /// The rows that models of this data set are trained on.
    pub train: &'a Split,
    /// Reads what the model generates, where a metric asks for it.
    pub classifier: Option<&'a dyn Model>,
    pub device: Device,
    pub seed: u64,
}

/// Told after every batch of work, with the share of the metric that is done; an error stops it.
pub type Pace<'a> = dyn FnMut(f64) -> Result<()> + 'a;

/// First coordinates of an evaluation's random streams.
pub mod stream {
    pub const ROWS: u64 = 0;
    pub const MODEL: u64 = 1;
    pub const GENERATE: u64 = 2;
    pub const PICK: u64 = 3;
}

impl Subject<'_> {
    pub fn rng(&self, stream: u64, at: usize) -> Rng {
        Rng::at(self.seed, &[stream, at as u64])
    }

    /// Calls `each` on the split's rows, batch after batch, with a random stream of the batch's own.
    pub fn for_each(
        &self,
        pace: &mut Pace<'_>,
        mut each: impl FnMut(&Batch, &mut Rng) -> Result<()>,
    ) -> Result<()> {
        let all: Vec<u32> = (0..self.rows.len()).collect();
        let batches = all.len().div_ceil(BATCH);
        for (i, indices) in all.chunks(BATCH).enumerate() {
            let batch = self.rows.batch(indices, self.device)?;
            each(&batch, &mut self.rng(stream::MODEL, i))?;
            pace((i + 1) as f64 / batches as f64)?;
        }
        Ok(())
    }

    /// A batch as the model's verbs take it: with labels only where it is conditioned on them.
    pub fn rows_of(&self, batch: &Batch, metric: &'static str) -> Result<Rows> {
        let labels = match self.model.conditioned_on() {
            None => None,
            Some(_) => Some(labels_of(batch, metric)?.shallow_clone()),
        };
        Ok(Rows {
            x: batch.rows().shallow_clone(),
            labels,
        })
    }

    /// New rows, and the labels they were made for (every class in turn), if the model takes any.
    pub fn generated(
        &self,
        n: usize,
        gibbs_steps: Option<u32>,
        metric: &'static str,
        pace: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let sampler = self
            .model
            .sampler()
            .ok_or_else(|| unsuited(metric, "it generates nothing"))?;
        let labels = every_class_in_turn(self.model, n as i64, self.device);
        let options = GenerateOptions {
            gibbs_steps,
            ..GenerateOptions::default()
        };
        let how = options.drawing(self.model)?;
        let mut parts = Vec::new();
        for (i, from) in (0..n).step_by(BATCH).enumerate() {
            let count = BATCH.min(n - from) as i64;
            let labels = labels.as_ref().map(|l| l.narrow(0, from as i64, count));
            let mut rng = self.rng(stream::GENERATE, i);
            parts.push(sampler.generate(count, labels.as_ref(), how, &mut rng));
            pace((from + BATCH).min(n) as f64 / n as f64)?;
        }
        Ok((Tensor::cat(&parts, 0), labels))
    }
}

pub fn unsuited(metric: &'static str, reason: impl Into<String>) -> EvaluationError {
    EvaluationError::Unsuited {
        metric,
        reason: reason.into(),
    }
}

pub fn labels_of<'a>(batch: &'a Batch, metric: &'static str) -> Result<&'a Tensor> {
    batch
        .labels()
        .ok_or_else(|| unsuited(metric, "the split has no labels"))
}

pub fn figure(name: &str, value: f64) -> (String, f64) {
    (name.to_owned(), value)
}

/// A mean over rows of which only sums are kept, and its standard error.
#[derive(Default)]
pub struct Mean {
    sum: f64,
    squares: f64,
    pub count: f64,
}

impl Mean {
    /// Adds one value for each row: `[rows]`.
    pub fn add(&mut self, values: &Tensor) {
        let values = values.to_kind(tch::Kind::Double);
        self.sum += values.sum(tch::Kind::Double).double_value(&[]);
        self.squares += values.square().sum(tch::Kind::Double).double_value(&[]);
        self.count += values.numel() as f64;
    }

    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1.0)
    }

    pub fn standard_error(&self) -> f64 {
        let variance = self.squares / self.count.max(1.0) - self.mean().powi(2);
        (variance.max(0.0) / self.count.max(1.0)).sqrt()
    }
}
