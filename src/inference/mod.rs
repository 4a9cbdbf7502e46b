//! Trained models answering. One thread has the models; requests reach it by a bounded queue, so that "too busy"
//! is said at the door. What waited while it computed is its next batch. Calls that would keep others waiting it
//! hands to a second thread, whose line may be full when the first is not.

mod crowd;
mod desk;
mod door;
pub mod engine;
mod errand;
pub mod loader;
mod merge;
mod meters;
pub mod queue;
pub mod registry;
mod resident;
pub mod statistics;

pub use crate::verbs::{Call, CallError, Input, Reply, Verb};
pub use door::Place;
pub use engine::{Engine, EngineConfig, ModelSource, Terms};
pub use errand::Tried;
pub use queue::{Bounds, Priority};
