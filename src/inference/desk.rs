//! Where a batch is computed, and what it took is noted.

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::door::{Door, Line};
use super::engine::{EngineConfig, Order};
use super::merge;
use super::meters::Meters;
use super::queue::{Trigger, Waiting, is_late};
use super::resident::Resident;
use super::statistics::Batch;
use crate::nn::chain;
use crate::verbs::call::{Call, CallError, Reply, Timing};

/// What a thread that computes has of its own.
pub(super) struct Desk {
    door: Arc<Door>,
    /// The line whose calls are answered here.
    line: Line,
    config: EngineConfig,
    meters: Meters,
    /// That libtorch was last told to use in this thread.
    threads: u32,
}

/// Multiplications that a second thread pays for: below, handing work over costs more than it saves.
const WORTH_SHARING: usize = 60_000_000;

impl Desk {
    pub fn new(door: Arc<Door>, line: Line, config: EngineConfig) -> Self {
        Self {
            door,
            line,
            config,
            meters: Meters::new(config.bounds.rows),
            threads: 0,
        }
    }

    /// Answers calls of one model.
    pub fn answer(&mut self, orders: Vec<Order>, trigger: Trigger, resident: &Resident) {
        let Some(first) = orders.first() else { return };
        let source = Arc::clone(&first.source);
        let calls: Vec<&Call> = orders.iter().map(|order| &order.call).collect();
        let passing: usize = calls.iter().map(|call| call.rows()).sum();
        self.share_work(passing.max(1).saturating_mul(resident.parameters()));
        self.door.note_computing(self.line, orders.len());
        let askers: Vec<Weak<()>> = orders.iter().map(|order| order.asker.clone()).collect();
        let wanted = move || askers.iter().any(|asker| asker.strong_count() > 0);
        let start = Instant::now();
        let (replies, compute) = chain::while_wanted(wanted, || {
            let model = resident.model.as_ref();
            merge::answer(&calls, model, &source.facts, self.config.device)
        });
        let batch = start.elapsed();
        match (calls.as_slice(), replies.as_slice()) {
            ([call], [Ok(_)]) => resident.note(call, compute),
            // It would have taken longer still.
            ([call], [Err(CallError::Late)]) => resident.note_at_least(call, compute),
            ([_, _, ..], replies) if replies.iter().all(Result::is_ok) => {
                resident.note_together(&calls, compute);
            }
            // What was refused says nothing of what it would have taken.
            _ => {}
        }
        let rows = orders.iter().map(Waiting::rows).sum::<usize>().max(1);
        let timing = |order: &Order| Timing {
            since: Some(order.since),
            queue: start.duration_since(order.since),
            batch,
            compute,
            batch_rows: rows,
        };
        let noted = Batch {
            rows,
            compute,
            queue: orders.iter().map(|order| timing(order).queue).collect(),
            failed: replies.iter().filter(|reply| reply.is_err()).count(),
        };
        if given_up(&replies) {
            // The others are counted where they are told.
            let now = Instant::now();
            let left = orders.iter().filter(|order| !is_late(*order, now)).count();
            self.door.note_gone(left);
        } else {
            self.door.statistics().note(&source, &noted);
            self.meters.note(&noted, trigger, calls[0].verb.name());
            self.door.note_pace(self.line, batch, orders.len());
        }
        self.door.note_computing(self.line, 0);
        for (order, reply) in orders.into_iter().zip(replies) {
            let timing = timing(&order);
            let reply = reply.map(|reply| Reply { timing, ..reply });
            let _ = order.answer.send(reply);
        }
    }

    /// One thread for little work, all for much. What is drawn must not depend on which thread computes it: only
    /// the calls and the model count.
    fn share_work(&mut self, multiplications: usize) {
        let threads = if multiplications < WORTH_SHARING {
            1
        } else {
            self.config.threads
        };
        if self.threads == 0 {
            // On its first question in a thread libtorch takes over what any thread set last.
            let _ = tch::get_num_threads();
        }
        if threads != self.threads {
            tch::set_num_threads(i32::try_from(threads).unwrap_or(1));
            self.threads = threads;
        }
    }
}

/// Whether these are no answers: everybody had left.
fn given_up(replies: &[Result<Reply, CallError>]) -> bool {
    let late = |reply: &Result<Reply, CallError>| matches!(reply, Err(CallError::Late));
    replies.iter().all(late)
}
