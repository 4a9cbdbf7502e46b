//! Telling others of jobs over HTTP, in the form of Standard Webhooks: what is due is signed and sent
//! until it has arrived. What is due is the store's to say; nothing is kept here.

mod address;
mod backoff;
mod client;
mod resolver;
mod secret;
mod sender;
mod target;

pub use backoff::Backoff;
pub use client::{Client, Times};
pub use secret::{Secret, SecretError};
pub use sender::Sender;
pub use target::{Reach, TargetError, check};

/// Webhooks that one service keeps: each costs a row for each change of a job, and its share of the
/// requests that may be under way.
pub const MOST_WEBHOOKS: i64 = 100;
