//! Latent-variable models on libtorch: how they are computed, trained, measured, stored and asked.
//!
//! Nothing here knows a job, SQL or HTTP; that is the service's, in `src/`. docs/ARCHITECTURE.md draws
//! the modules and what each may use.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests write what they read")
)]

pub mod artifacts;
pub mod data;
pub mod document;
pub mod evaluate;
pub mod families;
pub mod nn;
pub mod onnx;
pub mod train;
pub mod verbs;
