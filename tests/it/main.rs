//! Tests of the whole program: the real binary, spoken to over HTTP.

#![allow(
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test writes what it needs, and one that fails panics"
)]

mod archives;
mod backup;
mod crash;
mod damage;
mod data_dir;
mod datasets;
mod evaluations;
mod exchange;
mod families;
mod faults;
mod fixtures;
mod formats;
mod freezing;
mod full_disk;
mod hostile_answers;
mod hostile_bundles;
mod hostile_clients;
mod hostile_forms;
mod hostile_imports;
mod hostile_requests;
mod hostile_targets;
mod hostile_uploads;
mod hostile_v2;
mod jobs;
mod key_limits;
mod keys;
mod mnist;
mod moves;
mod openapi;
mod origins;
mod process;
mod ranges;
mod readme;
mod receiver;
mod reply;
mod service;
mod serving;
mod shapes;
mod shutdown;
mod small_disk;
mod soak;
mod startup;
mod storage;
mod streams;
mod tables;
mod targets;
mod tidy;
mod tls;
mod traces;
mod training;
mod tritonclient;
mod upgrade;
mod v2;
mod warnings;
mod watching;
mod webhooks;
mod words;
