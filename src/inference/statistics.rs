//! What each model version did since the service started.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use super::engine::ModelSource;

/// How often, and how long in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    pub nanos: u64,
}

impl Tally {
    fn add(&mut self, times: u64, took: Duration) {
        self.count += times;
        self.nanos += times * u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    }
}

#[derive(Debug, Clone, Default)]
pub struct ModelStatistics {
    /// When it last answered.
    pub last_inference: Option<SystemTime>,
    /// Rows.
    pub inferences: u64,
    /// Batches.
    pub executions: u64,
    /// Calls, from the queue to the answer.
    pub success: Tally,
    pub failure: Tally,
    pub queue: Tally,
    /// Calls; each is told the time of its whole batch.
    pub compute: Tally,
    /// Batches by rows.
    pub batches: BTreeMap<usize, Tally>,
}

/// A batch that was computed.
#[derive(Debug)]
pub(super) struct Batch {
    pub rows: usize,
    pub compute: Duration,
    /// Each call's wait.
    pub queue: Vec<Duration>,
    pub failed: usize,
}

#[derive(Debug, Default)]
pub(super) struct Statistics(HashMap<(String, i64), ModelStatistics>);

impl Statistics {
    pub fn of(&self, name: &str, version: i64) -> ModelStatistics {
        let key = (name.to_owned(), version);
        self.0.get(&key).cloned().unwrap_or_default()
    }

    pub fn note(&mut self, source: &ModelSource, batch: &Batch) {
        let key = (source.name.clone(), source.version);
        let of = self.0.entry(key).or_default();
        let calls = batch.queue.len();
        let (failed, well) = (batch.failed as u64, (calls - batch.failed) as u64);
        let waited: Duration = batch.queue.iter().sum();
        let mean = waited / u32::try_from(calls.max(1)).unwrap_or(u32::MAX);
        of.last_inference = Some(SystemTime::now());
        of.success.add(well, mean + batch.compute);
        of.failure.add(failed, mean + batch.compute);
        if well > 0 {
            of.inferences += batch.rows as u64;
            of.executions += 1;
            of.queue.add(well, mean);
            of.compute.add(well, batch.compute);
            of.batches
                .entry(batch.rows)
                .or_default()
                .add(1, batch.compute);
        }
    }
}
