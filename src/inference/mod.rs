//! Trained models answering. One thread owns the tensors; requests reach it by a bounded queue, so
//! that "too busy" is said at the door and never inside.

mod answer;
pub mod call;
pub mod engine;
mod errand;
pub mod loaded;

pub use call::{Call, CallError, Input, Reply, Verb};
pub use engine::{Engine, EngineConfig, ModelSource};
pub use errand::Tried;
