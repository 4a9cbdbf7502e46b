//! Where a batch is computed, and what it took is noted.

use std::sync::Weak;
use std::time::{Duration, Instant};

use super::call::{Call, Timing};
use super::door::Door;
use super::engine::{EngineConfig, Order};
use super::merge;
use super::meters::Meters;
use super::queue::{Trigger, Waiting};
use super::resident::Resident;
use super::statistics::Batch;
use crate::nn::chain;

/// What a thread that computes has of its own.
pub(super) struct Desk {
    config: EngineConfig,
    meters: Meters,
    /// That libtorch was last told to use in this thread.
    threads: u32,
}

/// Multiplications that a second thread pays for: below, handing work over costs more than it saves.
const WORTH_SHARING: usize = 60_000_000;

impl Desk {
    pub fn new(config: EngineConfig) -> Self {
        Self {
            config,
            meters: Meters::new(config.bounds.rows),
            threads: 0,
        }
    }

    /// Answers calls of one model; the time that took, and how many there were.
    pub fn answer(
        &mut self,
        orders: Vec<Order>,
        trigger: Trigger,
        resident: &Resident,
        door: &Door,
    ) -> (Duration, usize) {
        let calls: Vec<&Call> = orders.iter().map(|order| &order.call).collect();
        let Some(first) = orders.first() else {
            return (Duration::ZERO, 0);
        };
        let passing: usize = calls.iter().map(|call| call.rows()).sum();
        self.share_work(passing.max(1).saturating_mul(resident.parameters()));
        let askers: Vec<Weak<()>> = orders.iter().map(|order| order.asker.clone()).collect();
        let wanted = move || askers.iter().any(|asker| asker.strong_count() > 0);
        let start = Instant::now();
        let (replies, compute) = chain::while_wanted(wanted, || {
            let (model, facts) = (resident.model.as_ref(), &first.source.facts);
            merge::answer(&calls, model, facts, self.config.device)
        });
        let batch = start.elapsed();
        let rows = orders.iter().map(Waiting::rows).sum::<usize>().max(1);
        let timing = |order: &Order| Timing {
            since: Some(order.since),
            queue: start.duration_since(order.since),
            batch,
            compute,
            batch_rows: rows,
        };
        let failed = replies.iter().filter(|reply| reply.is_err()).count();
        if failed == 0 {
            resident.note(&calls, compute);
        }
        let noted = Batch {
            rows,
            compute,
            queue: orders.iter().map(|order| timing(order).queue).collect(),
            failed,
        };
        door.statistics().note(&first.source, &noted);
        self.meters.note(&noted, trigger, calls[0].verb.name());
        let count = orders.len();
        for (order, reply) in orders.into_iter().zip(replies) {
            let timing = timing(&order);
            let reply = reply.map(|reply| super::Reply { timing, ..reply });
            let _ = order.answer.send(reply);
        }
        (batch, count)
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
