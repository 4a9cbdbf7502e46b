//! Runs one batch on a model, records its timing, and sends the replies.

use std::sync::{Arc, Weak};
use std::time::Instant;

use tch::Device;

use super::admission::{Admission, Lane};
use super::batching;
use super::loaded_model::LoadedModel;
use super::metrics::{BatchMetrics, rejected};
use super::queue::{Queued, Trigger, is_late};
use super::request::Request;
use super::statistics::{BatchRecord, Statistics};
use crate::nn::cancellation::CancellationToken;
use crate::verbs::call::{Call, CallError, Reply, Timing};

/// What a thread that computes has of its own.
pub(super) struct Executor {
    pub lane: Lane,
    pub device: Device,
    pub admission: Arc<Admission>,
    pub statistics: Arc<Statistics>,
    pub metrics: BatchMetrics,
    pub threads: Threads,
}

impl Executor {
    /// Answers requests for one model.
    pub fn run(&mut self, requests: Vec<Request>, trigger: Trigger, model: &LoadedModel) {
        let Some(first) = requests.first() else {
            return;
        };
        let source = Arc::clone(&first.source);
        let calls: Vec<&Call> = requests.iter().map(|request| &request.call).collect();
        let rows: usize = calls.iter().map(|call| call.rows()).sum();
        self.threads
            .fit(rows.max(1).saturating_mul(model.parameters()));
        let callers: Vec<Weak<()>> = requests.iter().map(|r| r.caller.clone()).collect();
        let all_left = move || callers.iter().all(|caller| caller.strong_count() == 0);
        let start = Instant::now();
        self.admission.begin_batch(self.lane, requests.len(), start);
        let (replies, compute) = CancellationToken::new(all_left)
            .scope(|| batching::run(&calls, model.model.as_ref(), &source.facts, self.device));
        let batch = start.elapsed();
        model.learn(&calls, &replies, compute);
        let record = BatchRecord {
            rows: requests.iter().map(Queued::rows).sum::<usize>().max(1),
            compute,
            queue: requests
                .iter()
                .map(|request| start.duration_since(request.queued_at))
                .collect(),
            failed: replies.iter().filter(|reply| reply.is_err()).count(),
        };
        if replies.iter().all(|r| matches!(r, Err(CallError::Late))) {
            // Every caller had left. Those that are late are counted where they learn it.
            let now = Instant::now();
            let left = requests.iter().filter(|&r| !is_late(r, now)).count();
            rejected("gone", left as u64);
            self.admission.end_batch(self.lane, None);
        } else {
            self.statistics.record(&source, &record);
            self.metrics.record(&record, trigger, calls[0].verb());
            self.admission.end_batch(self.lane, Some(batch));
        }
        for ((request, reply), queue) in requests.into_iter().zip(replies).zip(record.queue) {
            let timing = Timing {
                since: Some(request.queued_at),
                queue,
                batch,
                compute,
                batch_rows: record.rows,
            };
            let _ = request
                .reply
                .send(reply.map(|reply| Reply { timing, ..reply }));
        }
    }
}

/// The threads that libtorch uses in this thread.
pub(super) struct Threads {
    most: u32,
    /// As last set; 0 before.
    set: u32,
}

/// Multiplications that a second thread pays for: below, handing work over costs more than it saves.
const WORTH_SHARING: usize = 60_000_000;

impl Threads {
    pub fn new(most: u32) -> Self {
        Self { most, set: 0 }
    }

    /// One thread for little work, all for much. What is drawn must not depend on the lane that computes it: only
    /// the calls and the model count.
    fn fit(&mut self, multiplications: usize) {
        let threads = if multiplications < WORTH_SHARING {
            1
        } else {
            self.most
        };
        if self.set == 0 {
            // On its first question in a thread libtorch takes over what any thread set last.
            let _ = tch::get_num_threads();
        }
        if threads != self.set {
            tch::set_num_threads(i32::try_from(threads).unwrap_or(1));
            self.set = threads;
        }
    }
}
