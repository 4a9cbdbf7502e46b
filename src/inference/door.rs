//! Between the requests' tasks and the inference thread: what waits, what the thread is told, and what it
//! tells of itself. Locks here are held for moments only, never while anything is computed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::call::CallError;
use super::crowd::Crowd;
use super::engine::{ModelSource, Order, seconds_for};
use super::queue::{Bounds, Next, Queue, Trigger};
use super::registry::{Loaded, LoadedModel};
use super::statistics::Statistics;

/// What the thread is asked beside calls.
pub(super) enum Command {
    Load(Arc<ModelSource>, oneshot::Sender<Result<(), CallError>>),
    /// The loader has it, or could not.
    Arrived(Arc<ModelSource>, Result<Loaded, CallError>),
    Unload(String, i64, oneshot::Sender<bool>),
}

pub(super) enum Work {
    Batch(Vec<Order>, Trigger),
    Command(Command),
    End,
}

struct Inside {
    queue: Queue<Order>,
    /// Calls that wait for their model to be loaded, not in the queue meanwhile.
    parked: usize,
    commands: VecDeque<Command>,
    closed: bool,
}

/// A call's place among those in hand; free again when it is dropped.
pub struct Place(Arc<Door>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_hand.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) struct Door {
    inside: Mutex<Inside>,
    /// Requests that were let in and are not answered yet, whether their call is read, waits or is computed.
    in_hand: AtomicUsize,
    crowd: Mutex<Crowd>,
    /// Calls of the batch under way.
    computing: AtomicUsize,
    knock: Condvar,
    bounds: Bounds,
    /// Microseconds a call took of late, smoothed.
    pace: AtomicU64,
    statistics: Mutex<Statistics>,
    /// The models in memory, for those who ask.
    shelf: Mutex<Vec<LoadedModel>>,
    /// Versions that somebody had dropped and nobody asked for since; the oldest first.
    set_aside: Mutex<VecDeque<(String, i64)>>,
}

/// Versions remembered as set aside. Forgetting one makes it look ready, which it is: it is loaded when asked.
const MOST_SET_ASIDE: usize = 4096;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rejected(reason: &'static str, calls: u64) {
    metrics::counter!("latentd_inference_rejected_total", "reason" => reason).increment(calls);
}

impl Door {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            inside: Mutex::new(Inside {
                queue: Queue::new(bounds),
                parked: 0,
                commands: VecDeque::new(),
                closed: false,
            }),
            in_hand: AtomicUsize::new(0),
            crowd: Mutex::new(Crowd::new(Instant::now())),
            computing: AtomicUsize::new(0),
            knock: Condvar::new(),
            bounds,
            pace: AtomicU64::new(0),
            statistics: Mutex::default(),
            shelf: Mutex::default(),
            set_aside: Mutex::default(),
        }
    }

    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub fn admit(&self, order: Order) -> Result<(), CallError> {
        let mut inside = lock(&self.inside);
        if inside.closed {
            return Err(CallError::Closed);
        }
        let waiting = self.waiting_in(&mut inside);
        if waiting >= self.bounds.calls || inside.queue.push(order).is_err() {
            drop(inside);
            return Err(self.full(waiting));
        }
        drop(inside);
        self.knock.notify_one();
        Ok(())
    }

    /// A place for a request whose body has not been read yet. Reading it takes time too, and so does writing
    /// the answer: what is counted is all that was let in, but for what is computed just now.
    pub fn enter(self: &Arc<Self>) -> Result<Place, CallError> {
        let place = Place(Arc::clone(self));
        let before = self.in_hand.fetch_add(1, Ordering::Relaxed);
        let ahead = before.saturating_sub(self.computing.load(Ordering::Relaxed));
        let pace = Duration::from_micros(self.pace.load(Ordering::Relaxed));
        let admitted =
            ahead < self.bounds.calls && lock(&self.crowd).admits(ahead, pace, Instant::now());
        if admitted {
            return Ok(place);
        }
        Err(self.full(ahead))
    }

    pub fn note_computing(&self, calls: usize) {
        self.computing.store(calls, Ordering::Relaxed);
    }

    /// Calls that wait. Those that nobody waits for must not keep out one that somebody does.
    fn waiting_in(&self, inside: &mut Inside) -> usize {
        if inside.queue.len() + inside.parked >= self.bounds.calls {
            let gone = inside.queue.drop_dead(Instant::now());
            rejected("gone", gone as u64);
        }
        inside.queue.len() + inside.parked
    }

    fn full(&self, queued: usize) -> CallError {
        rejected("full", 1);
        CallError::Full {
            queued,
            retry_after_seconds: seconds_for(queued, self.pace.load(Ordering::Relaxed)),
        }
    }

    pub fn note_late(&self) {
        rejected("deadline", 1);
    }

    pub fn waiting(&self) -> usize {
        let inside = lock(&self.inside);
        inside.queue.len() + inside.parked
    }

    pub fn command(&self, command: Command) {
        let mut inside = lock(&self.inside);
        if !inside.closed {
            inside.commands.push_back(command);
        }
        drop(inside);
        self.knock.notify_one();
    }

    /// Calls are on their way out of the queue to wait for their model, or back in again.
    pub fn park(&self, calls: usize) {
        lock(&self.inside).parked += calls;
    }

    pub fn put_back(&self, orders: Vec<Order>) {
        let mut inside = lock(&self.inside);
        inside.parked = inside.parked.saturating_sub(orders.len());
        inside.queue.put_back(orders);
    }

    pub fn unpark(&self, calls: usize) {
        let mut inside = lock(&self.inside);
        inside.parked = inside.parked.saturating_sub(calls);
    }

    /// No more calls; those that wait are told so.
    pub fn close(&self) {
        let mut inside = lock(&self.inside);
        inside.closed = true;
        inside.queue = Queue::new(self.bounds);
        inside.commands.clear();
        drop(inside);
        self.knock.notify_all();
    }

    /// Blocks until there is something to do. Commands go before calls: they are few and short.
    pub fn wait(&self) -> Work {
        let mut inside = lock(&self.inside);
        let mut yielded = false;
        loop {
            if inside.closed {
                return Work::End;
            }
            if let Some(command) = inside.commands.pop_front() {
                return Work::Command(command);
            }
            let now = Instant::now();
            let gone = inside.queue.drop_dead(now);
            if gone > 0 {
                rejected("gone", gone as u64);
            }
            // On busy cores the tasks that would add to the batch are waiting for this thread's core: they
            // are let through once. On idle cores this costs nothing.
            if !yielded && !inside.queue.is_empty() {
                yielded = true;
                drop(inside);
                std::thread::yield_now();
                inside = lock(&self.inside);
                continue;
            }
            inside = match inside.queue.next(now) {
                Next::Batch(batch, trigger) => return Work::Batch(batch, trigger),
                Next::At(due) => {
                    self.knock
                        .wait_timeout(inside, due - now)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                Next::Nothing => self
                    .knock
                    .wait(inside)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    pub fn note_pace(&self, took: Duration, calls: usize) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX) / calls.max(1) as u64;
        let before = self.pace.load(Ordering::Relaxed);
        let smoothed = if before == 0 {
            micros
        } else {
            before - before / 8 + micros / 8
        };
        self.pace.store(smoothed, Ordering::Relaxed);
    }

    pub fn statistics(&self) -> MutexGuard<'_, Statistics> {
        lock(&self.statistics)
    }

    pub fn set_aside(&self, name: &str, version: i64) {
        let mut aside = lock(&self.set_aside);
        aside.retain(|(n, v)| n != name || *v != version);
        if aside.len() >= MOST_SET_ASIDE {
            aside.pop_front();
        }
        aside.push_back((name.to_owned(), version));
    }

    pub fn take_up(&self, name: &str, version: i64) {
        lock(&self.set_aside).retain(|(n, v)| n != name || *v != version);
    }

    pub fn is_set_aside(&self, name: &str, version: i64) -> bool {
        let aside = lock(&self.set_aside);
        aside.iter().any(|(n, v)| n == name && *v == version)
    }

    pub fn shelf(&self) -> MutexGuard<'_, Vec<LoadedModel>> {
        lock(&self.shelf)
    }
}
