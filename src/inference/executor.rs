//! Runs one batch on a model: its calls are joined and computed as one, the reply is cut apart, and each caller gets
//! its own part.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tch::Device;

use super::admission::{Admission, Lane};
use super::loaded_model::LoadedModel;
use super::queue::{Queued, Trigger, is_late};
use super::request::Request;
use super::statistics::{BatchMetrics, BatchRecord, Statistics, rejected};
use crate::nn::cancellation::{CancellationToken, Cancelled};
use crate::nn::model::DataFacts;
use crate::panics::panic_text;
use crate::verbs::Model;
use crate::verbs::call::{Call, CallError, Field, Input, Operation, Reply, Timing};

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
            .scope(|| run_batch(&calls, model.model.as_ref(), &source.facts, self.device));
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

/// The reply to each call, in order, and the time that the model took. An invalid call gets an error of its own and
/// does not affect the others.
fn run_batch(
    calls: &[&Call],
    model: &dyn Model,
    facts: &DataFacts,
    device: Device,
) -> (Vec<Result<Reply, CallError>>, Duration) {
    let mut took = Duration::ZERO;
    let mut timed = |call: &Call| {
        let start = Instant::now();
        let reply = run_one(call, model, facts, device);
        took += start.elapsed();
        reply
    };
    if let [call] = calls {
        let reply = timed(call);
        return (vec![reply], took);
    }
    let mut replies: Vec<Option<Result<Reply, CallError>>> = calls
        .iter()
        .map(|call| call.check(model, facts, device).err().map(Err))
        .collect();
    let sound: Vec<usize> = (0..calls.len()).filter(|&i| replies[i].is_none()).collect();
    if let Some(&first) = sound.first() {
        let together: Vec<&Call> = sound.iter().map(|&i| calls[i]).collect();
        match timed(&joined(&together)) {
            Ok(reply) => {
                let mut start = 0;
                for &i in &sound {
                    let rows = calls[i].input.rows;
                    replies[i] = Some(Ok(slice_rows(&reply, start, rows)));
                    start += rows;
                }
            }
            // One of them may be at fault: each is computed alone.
            Err(_) if sound.len() > 1 => {
                for &i in &sound {
                    replies[i] = Some(timed(calls[i]));
                }
            }
            Err(error) => replies[first] = Some(Err(error)),
        }
    }
    let replies = replies.into_iter();
    let replies = replies.map(|reply| reply.unwrap_or(Err(CallError::Closed)));
    (replies.collect(), took)
}

/// libtorch reports errors by panicking, which must not end the thread.
fn run_one(
    call: &Call,
    model: &dyn Model,
    facts: &DataFacts,
    device: Device,
) -> Result<Reply, CallError> {
    catch_unwind(AssertUnwindSafe(|| call.apply(model, facts, device))).unwrap_or_else(|panic| {
        Err(if panic.is::<Cancelled>() {
            CallError::Late
        } else {
            CallError::Failed(panic_text(panic.as_ref()))
        })
    })
}

/// One call with the rows of all. Labels become those of the rows, one each.
fn joined(calls: &[&Call]) -> Call {
    let rows = calls.iter().map(|call| call.input.rows).sum();
    let mut values = Vec::with_capacity(calls.iter().map(|call| call.input.values.len()).sum());
    let mut labels = Some(Vec::new());
    for call in calls {
        values.extend_from_slice(&call.input.values);
        match (call.labels().map(Vec::as_slice), &mut labels) {
            (Some([one]), Some(all)) => all.resize(all.len() + call.input.rows, *one),
            (Some(own), Some(all)) => all.extend_from_slice(own),
            _ => labels = None,
        }
    }
    Call {
        operation: Operation {
            labels: None,
            ..calls[0].operation.clone()
        },
        input: Input {
            rows,
            values,
            labels,
        },
    }
}

/// Rows `start..start + rows` of a reply.
fn slice_rows(reply: &Reply, start: usize, rows: usize) -> Reply {
    let cut = |field: &Field| {
        let width = field.values.len() / reply.rows.max(1);
        Field {
            name: field.name,
            shape: field.shape.clone(),
            values: field.values[start * width..(start + rows) * width].to_vec(),
        }
    };
    Reply {
        rows,
        output: cut(&reply.output),
        extras: reply.extras.iter().map(cut).collect(),
        seed: reply.seed,
        labels: reply
            .labels
            .as_ref()
            .map(|labels| labels[start..start + rows].to_vec()),
        metric: reply.metric,
        timing: reply.timing,
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
