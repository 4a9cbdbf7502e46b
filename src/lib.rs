//! latentd trains and serves latent-variable models over HTTP: one binary, libtorch inside, SQLite and
//! a folder beside it. docs/ARCHITECTURE.md lists the modules and what each may use.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests write what they read")
)]

pub mod api;
pub mod app;
pub mod clock;
pub mod config;
pub mod inference;
pub mod jobs;
pub mod keys;
pub mod layout;
pub mod leave;
pub mod machine;
pub mod panics;
pub mod spec;
pub mod store;
pub mod telemetry;
pub mod traces;
pub mod webhooks;
pub mod worker;

pub use latentd_models::{artifacts, data, document, evaluate, families, nn, onnx, train, verbs};
