//! Tests of the whole program: the real binary, spoken to over HTTP.

mod crash;
mod datasets;
mod evaluations;
mod families;
mod faults;
mod fixtures;
mod freezing;
mod hostile_requests;
mod hostile_targets;
mod hostile_uploads;
mod jobs;
mod mnist;
mod moves;
mod openapi;
mod process;
mod receiver;
mod reply;
mod service;
mod shutdown;
mod soak;
mod targets;
mod training;
mod tritonclient;
mod v2;
mod watching;
mod webhooks;
