//! The scheduler: the queues of both lanes and the commands to the model thread, behind one lock that is never held
//! while something is computed.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::admission::{Admission, Lane, rejection};
use super::loaded_model::LoadedModel;
use super::queue::{Bounds, Next, Queue, Trigger};
use super::request::{Request, Slow};
use super::source::ModelSource;
use super::statistics::rejected;
use crate::verbs::call::CallError;

/// What the model thread does beside computing.
pub(super) enum Command {
    Load(Arc<ModelSource>, oneshot::Sender<Result<(), CallError>>),
    /// The loader has read it, or failed to.
    Loaded(Arc<ModelSource>, Result<LoadedModel, CallError>),
    Unload(String, i64, oneshot::Sender<bool>),
    /// Drop the parked requests that nobody waits for.
    PurgeParked,
}

pub(super) enum Work {
    Batch(Vec<Request>, Trigger),
    Command(Command),
    End,
}

pub(super) struct Scheduler {
    lanes: Mutex<Lanes>,
    fast_ready: Condvar,
    slow_ready: Condvar,
    bounds: Bounds,
    admission: Arc<Admission>,
}

struct Lanes {
    fast: Queue<Request>,
    slow: Queue<Request>,
    /// Requests that wait for their model to be loaded, in no queue meanwhile.
    parked: usize,
    commands: VecDeque<Command>,
    closed: bool,
}

impl Lanes {
    fn waiting(&self) -> usize {
        self.fast.len() + self.slow.len() + self.parked
    }

    /// Drops what nobody waits for any more; the time of that.
    fn purge(&mut self) -> Instant {
        let now = Instant::now();
        let cancelled = self.fast.purge(now) + self.slow.purge(now);
        if cancelled > 0 {
            rejected("gone", cancelled as u64);
        }
        now
    }
}

/// Slow calls may take half of the queue, so that fast ones are admitted beside them.
fn slow_bounds(bounds: Bounds) -> Bounds {
    Bounds {
        calls: bounds.calls.div_ceil(2),
        ..bounds
    }
}

/// Waits to be notified, until `due` if that is given.
fn sleep<'a>(
    ready: &Condvar,
    lanes: MutexGuard<'a, Lanes>,
    due: Option<Duration>,
) -> MutexGuard<'a, Lanes> {
    match due {
        None => ready.wait(lanes).unwrap_or_else(PoisonError::into_inner),
        Some(time) => {
            let woken = ready.wait_timeout(lanes, time);
            woken.unwrap_or_else(PoisonError::into_inner).0
        }
    }
}

impl Scheduler {
    pub fn new(bounds: Bounds, admission: Arc<Admission>) -> Self {
        Self {
            lanes: Mutex::new(Lanes {
                fast: Queue::new(bounds),
                slow: Queue::new(slow_bounds(bounds)),
                parked: 0,
                commands: VecDeque::new(),
                closed: false,
            }),
            fast_ready: Condvar::new(),
            slow_ready: Condvar::new(),
            bounds,
            admission,
        }
    }

    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a request, or rejects it when the queue is full. Requests that nobody waits for do not count: queued
    /// ones are dropped first, parked ones by the model thread a moment later.
    pub fn submit(&self, request: Request) -> Result<(), CallError> {
        let mut lanes = self.lock();
        if lanes.closed {
            return Err(CallError::Closed);
        }
        if lanes.waiting() >= self.bounds.calls {
            lanes.purge();
        }
        let waiting = lanes.waiting();
        if waiting >= self.bounds.calls {
            let asked = |command: &Command| matches!(command, Command::PurgeParked);
            if lanes.parked > 0 && !lanes.commands.iter().any(asked) {
                lanes.commands.push_back(Command::PurgeParked);
                self.fast_ready.notify_one();
            }
            drop(lanes);
            return Err(rejection(waiting, self.admission.pace(Lane::Fast)));
        }
        // There is room: the queue holds no more than what waits.
        let _ = lanes.fast.push(request);
        drop(lanes);
        self.fast_ready.notify_one();
        Ok(())
    }

    /// Requests that wait, for their turn or for their model.
    pub fn waiting(&self) -> usize {
        let mut lanes = self.lock();
        lanes.purge();
        lanes.waiting()
    }

    /// Slow calls, whether they wait or are computed.
    pub fn slow(&self) -> usize {
        let mut lanes = self.lock();
        lanes.purge();
        lanes.slow.len() + self.admission.computing(Lane::Slow)
    }

    pub fn command(&self, command: Command) {
        let mut lanes = self.lock();
        if !lanes.closed {
            lanes.commands.push_back(command);
        }
        drop(lanes);
        self.fast_ready.notify_one();
    }

    /// Counts requests that left the queue to wait for their model.
    pub fn park(&self, requests: usize) {
        self.lock().parked += requests;
    }

    /// Parked requests were answered or dropped.
    pub fn unpark(&self, requests: usize) {
        let mut lanes = self.lock();
        lanes.parked = lanes.parked.saturating_sub(requests);
    }

    /// Parked requests whose model is loaded return to the head of the queue.
    pub fn unpark_to_queue(&self, requests: Vec<Request>) {
        let mut lanes = self.lock();
        lanes.parked = lanes.parked.saturating_sub(requests.len());
        lanes.fast.push_front(requests);
    }

    /// The next work of the model thread; blocks until there is some. Commands go before calls: they are few and
    /// short.
    pub fn next(&self) -> Work {
        let mut lanes = self.lock();
        let mut yielded = false;
        loop {
            if lanes.closed {
                return Work::End;
            }
            if let Some(command) = lanes.commands.pop_front() {
                return Work::Command(command);
            }
            let now = lanes.purge();
            // On busy cores the tasks that would add to the batch wait for this thread's core: they are let run
            // once. On idle cores this costs nothing.
            if !yielded && !lanes.fast.is_empty() {
                yielded = true;
                drop(lanes);
                std::thread::yield_now();
                lanes = self.lock();
                continue;
            }
            lanes = match lanes.fast.next(now) {
                Next::Batch(batch, trigger) => return Work::Batch(batch, trigger),
                Next::At(due) => sleep(&self.fast_ready, lanes, Some(due - now)),
                Next::Nothing => sleep(&self.fast_ready, lanes, None),
            };
        }
    }

    /// Moves requests to the slow lane, or rejects them when its queue is full.
    pub fn submit_slow(&self, requests: Vec<Request>, model: &Arc<LoadedModel>) {
        let (mut requeued, mut refused) = (Vec::new(), Vec::new());
        let mut lanes = self.lock();
        if lanes.closed {
            // Dropping a request tells its caller; not under the lock, see `close`.
            drop(lanes);
            return;
        }
        lanes.purge();
        for mut request in requests {
            request.slow = Some(Slow {
                model: Arc::downgrade(model),
                permit: request.admitted.then(|| self.admission.enter_slow()),
            });
            if request.requeued {
                requeued.push(request);
            } else if let Err(request) = lanes.slow.push(request) {
                refused.push((request, lanes.slow.len()));
            }
        }
        lanes.slow.push_front(requeued);
        drop(lanes);
        self.slow_ready.notify_one();
        for (request, waiting) in refused {
            let full = rejection(waiting, self.admission.pace(Lane::Slow));
            let _ = request.reply.send(Err(full));
        }
    }

    /// Slow calls whose model was dropped before their turn wait for it again; once it is loaded they are next.
    pub fn requeue_slow(&self, mut requests: Vec<Request>) {
        for request in &mut requests {
            request.slow = None;
            request.requeued = true;
        }
        self.lock().fast.push_front(requests);
        self.fast_ready.notify_one();
    }

    /// The next batch of the slow lane; blocks until there is one. None at the end.
    pub fn next_slow(&self) -> Option<(Vec<Request>, Trigger)> {
        let mut lanes = self.lock();
        loop {
            if lanes.closed {
                return None;
            }
            let now = lanes.purge();
            lanes = match lanes.slow.next(now) {
                Next::Batch(batch, trigger) => return Some((batch, trigger)),
                Next::At(due) => sleep(&self.slow_ready, lanes, Some(due - now)),
                Next::Nothing => sleep(&self.slow_ready, lanes, None),
            };
        }
    }

    /// Ends both threads. Requests that still wait are dropped, which tells their callers.
    pub fn close(&self) {
        let mut lanes = self.lock();
        lanes.closed = true;
        let fast = std::mem::replace(&mut lanes.fast, Queue::new(self.bounds));
        let slow = std::mem::replace(&mut lanes.slow, Queue::new(self.bounds));
        lanes.commands.clear();
        drop(lanes);
        // Not under the lock: each request that is dropped wakes a task.
        drop((fast, slow));
        self.fast_ready.notify_all();
        self.slow_ready.notify_all();
    }
}
