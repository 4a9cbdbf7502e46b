//! Prometheus metrics of inference. Handles are looked up once: the look-up would cost as much as a small batch.

use std::collections::HashMap;

use metrics::{Counter, Histogram};

use super::queue::Trigger;
use super::statistics::BatchRecord;

/// Counts calls that get no answer, by the reason.
pub(super) fn rejected(reason: &'static str, calls: u64) {
    metrics::counter!("latentd_inference_rejected_total", "reason" => reason).increment(calls);
}

/// The metrics of one executor.
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
            let calls = |outcome| metrics::counter!("latentd_inference_calls_total", "verb" => verb, "outcome" => outcome);
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
