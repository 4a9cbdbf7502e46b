//! Where a run stands, as a checkpoint records it: enough to take the very next step.

use serde::{Deserialize, Serialize};

use super::adopt::Adopted;
use super::means::Means;

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
