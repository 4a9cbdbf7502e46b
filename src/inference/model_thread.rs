//! The two threads that compute answers: the model thread owns the loaded models and computes the fast lane, the
//! slow thread computes the calls that would keep others waiting.

use std::sync::Arc;

use super::cache::ModelCache;
use super::executor::Executor;
use super::queue::Trigger;
use super::request::Request;
use super::scheduler::{Command, Scheduler, Work};

pub(super) struct ModelThread {
    pub scheduler: Arc<Scheduler>,
    pub cache: ModelCache,
    pub executor: Executor,
}

impl ModelThread {
    pub fn run(mut self) {
        loop {
            match self.scheduler.next() {
                Work::Batch(requests, trigger) => self.answer(requests, trigger),
                Work::Command(Command::Load(source, tx)) => self.cache.load(source, tx),
                Work::Command(Command::Loaded(source, result)) => {
                    self.cache.loaded(&source, result);
                }
                Work::Command(Command::PurgeParked) => self.cache.purge_parked(),
                Work::Command(Command::Unload(name, version, tx)) => {
                    let _ = tx.send(self.cache.unload(&name, version));
                }
                Work::End => return,
            }
        }
    }

    fn answer(&mut self, requests: Vec<Request>, trigger: Trigger) {
        let Some(source) = requests.first().map(|request| Arc::clone(&request.source)) else {
            return;
        };
        let Some(model) = self.cache.get(&source) else {
            self.cache.park(source, requests);
            return;
        };
        let is_slow = |request: &Request| model.is_slow(&request.call);
        let (slow, fast): (Vec<_>, Vec<_>) = requests.into_iter().partition(is_slow);
        if !slow.is_empty() {
            self.scheduler.submit_slow(slow, model);
        }
        self.executor.run(fast, trigger, model);
    }
}

/// How much lower than the model thread's the priority of the slow thread is, as `nice` counts.
#[cfg(target_os = "linux")]
const SLOW_THREAD_NICE: i32 = 5;

pub(super) fn run_slow(scheduler: &Scheduler, mut executor: Executor) {
    // On Linux it applies to this thread alone, and to those it starts; elsewhere to all.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(SLOW_THREAD_NICE);
    while let Some((requests, trigger)) = scheduler.next_slow() {
        let mut slow = requests.iter().filter_map(|request| request.slow.as_ref());
        let model = slow.find_map(|slow| slow.model.upgrade());
        match model {
            Some(model) => executor.run(requests, trigger, &model),
            None => scheduler.requeue_slow(requests),
        }
    }
}
