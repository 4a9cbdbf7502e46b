//! What the epoch loop asks of a family: steps that learn, evaluations that do not, and a state
//! that holds everything the next step depends on.

use tch::Tensor;

use super::cursor::Means;
use crate::data::split::Batch;
use crate::nn::model::Model;
use crate::nn::rng::Rng;
use crate::nn::{TensorMismatch, Tensors};

/// A stretch of training with a name of its own, for example `pretraining layer 2/3`.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    pub name: String,
    pub epochs: u32,
    /// Takes the place of the job's `learning_rate`.
    pub learning_rate: Option<f64>,
}

impl Phase {
    pub fn new(name: impl Into<String>, epochs: u32) -> Self {
        Self {
            name: name.into(),
            epochs,
            learning_rate: None,
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
}

/// Tensors that say in what unit a regressor answers: always those of its own training rows.
const UNIT: &str = "target.";

/// Nets that lead from an input to a code or a prediction; a layer may pass from one to the other.
const FORWARD: [&str; 2] = ["net", "encoder"];

/// The tensor of `source` that belongs at `name`, if one of that shape does.
fn counterpart<'a>(source: &'a Tensors, name: &str, tensor: &Tensor) -> Option<&'a Tensor> {
    let other = || {
        let (net, rest) = name.split_once('.')?;
        let mut names = FORWARD.iter().map(|other| format!("{other}.{rest}"));
        FORWARD
            .contains(&net)
            .then(|| names.find_map(|other| source.get(&other)))?
    };
    source
        .get(name)
        .or_else(other)
        .filter(|found| found.size() == tensor.size() && !name.starts_with(UNIT))
}

/// Names in `target` that have a counterpart in `source`.
pub fn agreeing(source: &Tensors, target: &Tensors) -> Vec<String> {
    let agrees = |(name, tensor): &(&String, &Tensor)| counterpart(source, name, tensor).is_some();
    target
        .iter()
        .filter(agrees)
        .map(|(name, _)| name.clone())
        .collect()
}

/// Copies each counterpart; answers the names that were copied.
pub fn copy_agreeing(source: &Tensors, target: &Tensors) -> Vec<String> {
    for (name, tensor) in target {
        if let Some(found) = counterpart(source, name, tensor) {
            tch::no_grad(|| tensor.shallow_clone().copy_(found));
        }
    }
    agreeing(source, target)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn layers_are_copied_where_they_fit_and_the_unit_of_the_answers_never() {
        let tensors = |of: &[(&str, i64)]| -> Tensors {
            let full = |size: i64| Tensor::full([size], size, (Kind::Float, Device::Cpu));
            of.iter()
                .map(|(n, s)| ((*n).to_owned(), full(*s)))
                .collect()
        };
        let source = tensors(&[
            ("encoder.0.weight", 3),
            ("net.1.weight", 2),
            ("target.mean", 1),
        ]);
        let target = tensors(&[("net.0.weight", 3), ("net.1.weight", 4), ("target.mean", 1)]);
        let _ = tch::no_grad(|| target["target.mean"].shallow_clone().zero_());
        assert_eq!(copy_agreeing(&source, &target), ["net.0.weight"]);
        assert!(target["target.mean"].double_value(&[0]).abs() < f64::EPSILON);
    }
}
