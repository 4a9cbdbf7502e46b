//! The database, one file a table. No other module knows SQL.
//!
//! Three rules hold throughout. What reads before it writes does both in one `BEGIN IMMEDIATE`
//! transaction. What a worker writes names its lease, and a lease that is no longer the job's is
//! refused before anything changes. And a file is on disk before a row names it, so the files
//! that no row names any more are returned for the caller to delete, after the commit.

mod artifacts;
mod audit;
mod checkpoints;
mod columns;
mod datasets;
mod db;
mod deliveries;
mod error;
mod events;
mod health;
mod jobs;
mod keys;
mod lease;
mod metrics;
mod models;
mod page;
mod samples;
mod storage;
#[cfg(test)]
mod tests;
mod webhooks;

pub use audit::AuditRow;
pub use checkpoints::{Checkpoint, CheckpointReport, Recorded};
pub use datasets::{Dataset, Split, Splits};
pub use db::Store;
pub use deliveries::{Attempt, Delivery, Due, Verdict};
pub use error::{Result, StoreError};
pub use events::{Event, EventKind, EventPage, NewEvent};
pub use health::{Health, Watch};
pub use jobs::{Admitted, Expired, Idempotency, JobFilter, JobReport, LeaseStatus};
pub use metrics::{MetricPoint, Series, SeriesPoint};
pub use models::{Model, ModelVersion, NewVersion};
pub use page::Page;
pub use samples::Sample;
pub use storage::{Usage, Used};
pub use webhooks::Webhook;
