//! Inference. The model thread owns the loaded models; requests reach it through a bounded queue, and a full queue
//! is refused before the body is read. A batch is whatever waited while the last one was computed. Slow calls are
//! computed by a second thread with a queue of its own.
//!
//! Layers, from the ground up: `source`, `queue`; `statistics`; `admission`, `loaded_model`; `request`; `scheduler`;
//! `loader`, `snapshot`, `cache`; `executor`; `model_thread`; `background`; `engine`. A file uses only files below
//! itself.

mod admission;
mod background;
mod cache;
pub mod engine;
mod executor;
mod loaded_model;
pub mod loader;
mod model_thread;
pub mod queue;
mod request;
mod scheduler;
mod snapshot;
mod source;
pub mod statistics;

pub use crate::verbs::{Call, CallError, Input, Reply};
pub use admission::Permit;
pub use background::Trial;
pub use engine::{Engine, EngineConfig};
pub use queue::{Bounds, Priority};
pub use request::RequestOptions;
pub use snapshot::LoadedModelInfo;
pub use source::ModelSource;
