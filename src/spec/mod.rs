//! Validated intent: a request off the wire becomes a spec by one constructor, or a list of the
//! fields that are wrong. Pure: no files, no SQL, no tensors.

pub mod evaluation;
pub mod footprint;
pub mod job;
pub mod manifest;
pub mod source;
pub mod training;
pub mod warnings;

pub use evaluation::{Evaluation, EvaluationRequest};
pub use job::{JobRequest, JobSpec, ModelSpec};
pub use manifest::Manifest;
pub use source::InitFrom;
