//! What each model version has answered since the service started.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::source::ModelSource;
use crate::clock;

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
    /// Calls; each counts the time of its whole batch.
    pub compute: Tally,
    /// Batches by rows.
    pub batches: BTreeMap<usize, Tally>,
}

/// What a batch took.
#[derive(Debug)]
pub(super) struct BatchRecord {
    pub rows: usize,
    pub compute: Duration,
    /// Each call's time in the queue.
    pub queue: Vec<Duration>,
    pub failed: usize,
}

#[derive(Debug, Default)]
pub(super) struct Statistics(Mutex<HashMap<(String, i64), ModelStatistics>>);

impl Statistics {
    pub fn of(&self, name: &str, version: i64) -> ModelStatistics {
        let key = (name.to_owned(), version);
        self.lock().get(&key).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, i64), ModelStatistics>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn record(&self, source: &ModelSource, batch: &BatchRecord) {
        let key = (source.name.clone(), source.version);
        let mut all = self.lock();
        let of = all.entry(key).or_default();
        let calls = batch.queue.len();
        let (failed, well) = (batch.failed as u64, (calls - batch.failed) as u64);
        let waited: Duration = batch.queue.iter().sum();
        let mean = waited / u32::try_from(calls.max(1)).unwrap_or(u32::MAX);
        of.last_inference = Some(clock::now());
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
