//! What the epoch loop asks of a family: steps that learn, evaluations that do not, and a state
//! that holds everything the next step depends on.

use crate::data::split::Batch;
use crate::nn::model::Model;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};

/// A stretch of training with a name of its own, for example `pretraining layer 2/3`.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    pub name: String,
    pub epochs: u32,
}

/// Where a step stands; all randomness of the step comes from `rng`.
pub struct StepContext {
    pub rng: Rng,
    pub learning_rate: f64,
    /// Epoch within the phase, from 0.
    pub epoch: u32,
    /// Step within the epoch, from 0.
    pub step: u64,
}

/// Means over a batch, by metric name.
#[derive(Debug, Clone, Default)]
pub struct Report(pub Vec<(&'static str, f64)>);

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

    /// Metrics of rows the weights are not to learn from. `reconstruction_mse` is per value.
    fn evaluate(&self, batch: &Batch, rng: &mut Rng) -> Report;

    /// Everything the next step depends on: weights, moments, chains.
    fn state(&self) -> Tensors;

    fn restore(&mut self, state: &Tensors) -> Result<(), TensorMismatch>;

    fn model(&self) -> &dyn Model;
}
