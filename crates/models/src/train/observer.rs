//! The outside of a run: what it is told, what it asks, and why it may end.

use super::adopt::{Adopted, CannotStart};
use super::cursor::Cursor;
use super::directive::Directive;
use super::forecast::PlannedPhase;
use super::means::Report;
use crate::nn::{TensorMismatch, Tensors};
use crate::verbs::Model;

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    #[error(
        "training diverged: {metric} is {value} at step {step}; a lower learning_rate or a gradient_clip may help"
    )]
    Diverged {
        metric: &'static str,
        value: f64,
        step: u64,
    },
    #[error("training stopped at step {step}: {reason}")]
    Collapsed { reason: String, step: u64 },
    #[error("early_stopping.metric '{metric}' is not reported; this model reports: {reported}")]
    NoSuchMetric { metric: String, reported: String },
    #[error(transparent)]
    Start(#[from] CannotStart),
    #[error("the checkpoint does not fit the model: {0}")]
    Restore(#[from] TensorMismatch),
    #[error("a row could not be read: {0}")]
    Data(#[from] std::io::Error),
    #[error("{0}")]
    Observer(String),
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Epochs done, over all phases.
    pub epoch: u32,
    pub epochs: u32,
    pub step: u64,
    pub total_steps: u64,
}

/// What a checkpoint holds.
pub struct Snapshot<'a> {
    pub cursor: &'a Cursor,
    pub progress: Progress,
    pub state: Tensors,
    /// Latest validation (else training) metrics.
    pub metrics: &'a [(String, f64)],
    pub best: bool,
}

/// The outside of a run.
pub trait Observer {
    /// Once, before the first step.
    fn plan(&mut self, _phases: Vec<PlannedPhase>) {}
    /// Asked before every step.
    fn directive(&mut self) -> Directive;
    fn phase(&mut self, name: &str);
    /// What was taken over from another model at the start.
    fn adopted(&mut self, _adopted: &Adopted) {}
    /// After every step; cheap, called often.
    fn step(&mut self, progress: Progress, rows: u64, report: &Report);
    /// The model after some epochs of the last phase, for a preview of it.
    fn preview(&mut self, _epoch: u32, _model: &dyn Model) {}
    /// After every epoch, with its means.
    fn epoch(&mut self, progress: Progress, metrics: &[(String, f64)]);
    fn checkpoint(&mut self, snapshot: Snapshot<'_>) -> Result<(), Halt>;
    /// The state of the best checkpoint so far.
    fn recall_best(&mut self) -> Result<Option<Tensors>, Halt>;
}
