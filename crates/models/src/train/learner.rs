//! What the epoch loop asks of a family: steps that learn, evaluations that do not, and a state
//! that holds everything the next step depends on.

use super::adopt::{Adopted, copy_agreeing};
use super::means::{Means, Report};
use crate::data::Batch;
use crate::nn::frozen::CannotFreeze;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};
use crate::verbs::Model;

/// A stretch of training with a name of its own, for example `pretraining layer 2/3`.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    pub name: String,
    pub epochs: u32,
    /// Takes the place of the job's `learning_rate`.
    pub learning_rate: Option<f64>,
    /// What the last step costs, as a multiple of the first; in between the cost goes evenly from one to
    /// the other. Only forecasts look at it.
    pub last_step_cost: f64,
}

impl Phase {
    pub fn new(name: impl Into<String>, epochs: u32) -> Self {
        Self {
            name: name.into(),
            epochs,
            learning_rate: None,
            last_step_cost: 1.0,
        }
    }

    /// The only phase of most families.
    pub fn training(epochs: u32) -> Self {
        Self::new("training", epochs)
    }
}

/// Where a step stands; all randomness of the step comes from `rng`.
pub struct StepContext {
    pub rng: Rng,
    pub learning_rate: f64,
    /// Epoch within the phase, from 0.
    pub epoch: u32,
    /// Step within the epoch, from 0.
    pub step: u64,
    /// Epochs since the phase began, the part of the one under way included.
    pub time: f64,
}

/// The rows of a run, batch after batch, in their order on disk.
pub type BatchSource<'a> = dyn Iterator<Item = std::io::Result<Batch>> + 'a;

pub trait Learner {
    /// The phases of a run, in order.
    fn phases(&self) -> Vec<Phase>;

    /// One look at the training rows before the first step, for weights that start from the data.
    fn prepare(&mut self, _batches: &mut BatchSource<'_>) -> std::io::Result<()> {
        Ok(())
    }

    /// Called when a phase begins, and again when a run is resumed inside it, before `restore`.
    fn enter(&mut self, _phase: usize) {}

    /// One update of the weights.
    fn step(&mut self, batch: &Batch, context: &mut StepContext) -> Report;

    /// Called after the last step of each epoch, before its validation and checkpoint.
    fn close_epoch(&mut self, _phase: usize, _epoch: u32) {}

    /// Why going on makes no sense, where a family can tell: a generator that has collapsed, say.
    /// Asked after every step; the last checkpoint is kept.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Metrics of rows the weights are not to learn from. `reconstruction_mse` is per value.
    fn evaluate(&self, batch: &Batch, rng: &mut Rng) -> Report;

    /// What is told of an epoch or a split, from the means of its reports: for metrics that are no means,
    /// such as a root of one.
    fn summary(&self, means: &Means) -> Vec<(String, f64)> {
        means.told()
    }

    /// Everything the next step depends on: weights, moments, chains.
    fn state(&self) -> Tensors;

    fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch>;

    fn model(&self) -> &dyn Model;

    /// Copies the tensors of another model where names and shapes agree; answers the names that were
    /// copied. For learners that keep more than the model's own tensors, such as averages of them, to
    /// override.
    fn adopt(&mut self, source: &Tensors) -> Vec<String> {
        copy_agreeing(source, &self.model().tensors())
    }

    /// Told what the model took over from another one: after `adopt` in a run that starts, before `enter`
    /// and `restore` in one that is taken up. From then on the frozen tensors must stay as they are, to
    /// the last bit, and a learner that cannot keep to that says why.
    fn hold(&mut self, adopted: &Adopted) -> Result<(), CannotFreeze> {
        if adopted.frozen.is_empty() {
            return Ok(());
        }
        let reason = "this family cannot keep some of its tensors as they are while others learn";
        Err(CannotFreeze(reason.to_owned()))
    }
}
