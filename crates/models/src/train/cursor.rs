//! Where a run stands, as a checkpoint records it: enough to take the very next step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::adopt::Adopted;
use super::learner::Learner;
use super::observer::Halt;
use crate::nn::Tensors;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    pub phase: usize,
    /// Epochs of the phase that are done.
    pub epoch: u32,
    /// Steps done in the epoch that is under way.
    pub step: u64,
    /// Steps done in the whole run.
    pub total_step: u64,
    /// Sums of the reports of the epoch under way.
    pub sums: Means,
    /// The least value of the early-stopping metric so far, and the epochs since.
    pub best: Option<f64>,
    pub epochs_since_best: u32,
    /// What the run started with of another model, which may be gone by now.
    #[serde(default)]
    pub adopted: Adopted,
}

/// Puts a learner where a checkpoint left it.
pub fn take_up(learner: &mut dyn Learner, cursor: &Cursor, state: &Tensors) -> Result<(), Halt> {
    learner.hold(&cursor.adopted)?;
    learner.enter(cursor.phase);
    learner.restore(state)?;
    Ok(())
}

/// Row-weighted means of metrics; a metric that is not in every report counts the rows of those it
/// is in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Means(BTreeMap<String, (f64, u64)>);

impl Means {
    pub fn add(&mut self, report: &super::Report, rows: u64) {
        for &(name, value) in &report.0 {
            let (sum, count) = self.0.entry(name.to_owned()).or_default();
            *sum += value * rows as f64;
            *count += rows;
        }
    }

    pub fn values(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0
            .iter()
            .map(|(name, (sum, count))| (name.as_str(), sum / (*count).max(1) as f64))
    }

    /// All of them, by name.
    pub fn told(&self) -> Vec<(String, f64)> {
        self.values().map(|(n, v)| (n.to_owned(), v)).collect()
    }

    pub fn get(&self, name: &str) -> Option<f64> {
        self.values().find(|(n, _)| *n == name).map(|(_, v)| v)
    }
}
