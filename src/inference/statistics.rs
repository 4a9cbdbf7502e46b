//! What is counted: per model version since the service started, and for Prometheus over all of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use metrics::{Counter, Histogram};

use super::queue::Trigger;
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

/// Counts calls that get no answer, by the reason.
pub(super) fn rejected(reason: &'static str, calls: u64) {
    metrics::counter!("latentd_inference_rejected_total", "reason" => reason).increment(calls);
}

/// The metrics of one executor. Handles are looked up once: a look-up of two takes 0.6 us
/// (`make bench-parts ONLY=lookups`).
pub(super) struct BatchMetrics {
    queue_wait: Histogram,
    compute: Histogram,
    rows: Histogram,
    fill: Histogram,
    triggers: [Counter; 3],
    /// By verb: calls answered and failed, rows.
    verbs: HashMap<&'static str, [Counter; 3]>,
    most_rows: usize,
}

const TRIGGERS: [Trigger; 3] = [Trigger::Full, Trigger::Idle, Trigger::Delay];

impl BatchMetrics {
    pub fn new(most_rows: usize) -> Self {
        Self {
            queue_wait: metrics::histogram!("latentd_inference_queue_wait_seconds"),
            compute: metrics::histogram!("latentd_inference_compute_duration_seconds"),
            rows: metrics::histogram!("latentd_inference_batch_rows"),
            fill: metrics::histogram!("latentd_inference_batch_fill_ratio"),
            triggers: TRIGGERS.map(
                |t| metrics::counter!("latentd_inference_batches_total", "trigger" => t.name()),
            ),
            verbs: HashMap::new(),
            most_rows,
        }
    }

    pub fn record(&mut self, batch: &BatchRecord, trigger: Trigger, verb: &'static str) {
        for wait in &batch.queue {
            self.queue_wait.record(*wait);
        }
        self.compute.record(batch.compute);
        self.rows.record(batch.rows as f64);
        self.fill
            .record(batch.rows as f64 / self.most_rows.max(1) as f64);
        if let Some(at) = TRIGGERS.iter().position(|&t| t == trigger) {
            self.triggers[at].increment(1);
        }
        let [well, failed, rows] = self.verbs.entry(verb).or_insert_with(|| {
            let calls = |outcome| {
                metrics::counter!("latentd_inference_calls_total", "verb" => verb, "outcome" => outcome)
            };
            [
                calls("answered"),
                calls("failed"),
                metrics::counter!("latentd_inference_rows_total", "verb" => verb),
            ]
        });
        well.increment((batch.queue.len() - batch.failed) as u64);
        failed.increment(batch.failed as u64);
        rows.increment(batch.rows as u64);
    }
}
