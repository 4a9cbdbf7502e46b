//! latentd trains and serves latent-variable models over HTTP: one binary, libtorch inside, SQLite and
//! a folder beside it. docs/ARCHITECTURE.md draws the rooms and what each may use.

pub mod api;
pub mod app;
pub mod artifacts;
pub mod config;
pub mod data;
pub mod document;
pub mod evaluate;
pub mod families;
pub mod inference;
pub mod jobs;
pub mod leave;
pub mod machine;
pub mod nn;
pub mod onnx;
pub mod spec;
pub mod store;
pub mod telemetry;
pub mod traces;
pub mod train;
pub mod webhooks;
pub mod worker;
