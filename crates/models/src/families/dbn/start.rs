//! What of another model the RBMs start with.

use std::collections::BTreeSet;

use super::tuning::Tuner;
use crate::nn::frozen::Frozen;
use crate::train::Adopted;

/// By the names of the stack's own tensors.
#[derive(Default)]
pub struct StackStart {
    pub copied: BTreeSet<String>,
    pub frozen: Frozen,
    /// Layers that are not trained as RBMs any more.
    pub done: BTreeSet<usize>,
}

impl StackStart {
    /// Under a net that is tuned afterwards, layers whose weights on the way up were copied are done;
    /// without one, those of which nothing is left to learn.
    pub fn of(adopted: &Adopted, tuner: Option<&Tuner>, depth: usize) -> Self {
        let in_stack = |name: &String| match tuner {
            Some(tuner) => tuner.name_in_stack(name),
            None => Some(name.clone()),
        };
        let copied = adopted.copied.iter().filter_map(in_stack).collect();
        let frozen: Frozen = adopted.frozen.names().filter_map(in_stack).collect();
        let whole = |layer: &usize| {
            let parts = ["weights", "visible_bias", "hidden_bias"];
            let held = |part: &&str| frozen.holds(&format!("layers.{layer}.{part}"));
            parts.iter().all(held)
        };
        let done = match tuner {
            Some(tuner) => tuner.layers_among(&adopted.copied),
            None => (0..depth).filter(whole).collect(),
        };
        Self {
            copied,
            frozen,
            done,
        }
    }
}
