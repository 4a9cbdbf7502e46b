//! Between the requests' tasks and the threads that compute: what waits, what they are told, and what they tell
//! of themselves. Locks here are held for moments only, never while anything is computed.

mod aside;
mod long;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::crowd::Crowd;
use super::engine::{ModelSource, Order, seconds_for};
use super::queue::{Bounds, Next, Queue, Trigger};
use super::registry::LoadedModel;
use super::resident::Resident;
use super::statistics::Statistics;
use crate::verbs::call::CallError;
use aside::SetAside;
use long::Handed;

/// What the thread that has the models is asked beside calls.
pub(super) enum Command {
    Load(Arc<ModelSource>, oneshot::Sender<Result<(), CallError>>),
    /// The loader has it, or could not.
    Arrived(Arc<ModelSource>, Result<Resident, CallError>),
    Unload(String, i64, oneshot::Sender<bool>),
    /// Those who wait for a model to be loaded are to be looked through for calls that nobody waits for.
    DropDead,
}

/// The two lines that calls wait in, each with a thread of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Quick,
    Long,
}

pub(super) enum Work {
    Batch(Vec<Order>, Trigger),
    Command(Command),
    End,
}

struct Inside {
    queue: Queue<Order>,
    /// What the thread for long calls is to do.
    long: Queue<Handed>,
    /// Calls that wait for their model to be loaded, not in the queue meanwhile.
    parked: usize,
    commands: VecDeque<Command>,
    /// Since when a long batch is computed.
    long_since: Option<Instant>,
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
    /// Long calls among these.
    in_hand_long: AtomicUsize,
    crowd: Mutex<Crowd>,
    /// Calls of the batch under way, by line.
    computing: [AtomicUsize; 2],
    knock: Condvar,
    knock_for_long: Condvar,
    bounds: Bounds,
    /// Microseconds that a call took of late, smoothed, by line.
    pace: [AtomicU64; 2],
    statistics: Mutex<Statistics>,
    /// The models in memory, for those who ask.
    shelf: Mutex<Vec<LoadedModel>>,
    set_aside: Mutex<SetAside>,
}

impl Inside {
    fn waiting(&self) -> usize {
        self.queue.len() + self.long.len() + self.parked
    }

    /// Takes out what nobody waits for any more; the moment of that.
    fn drop_dead(&mut self) -> Instant {
        let now = Instant::now();
        let gone = self.queue.drop_dead(now) + self.long.drop_dead(now);
        if gone > 0 {
            rejected("gone", gone as u64);
        }
        now
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Until somebody knocks, or for so long.
fn sleep<'a>(
    knock: &Condvar,
    inside: MutexGuard<'a, Inside>,
    at_most: Option<Duration>,
) -> MutexGuard<'a, Inside> {
    match at_most {
        None => knock.wait(inside).unwrap_or_else(PoisonError::into_inner),
        Some(time) => {
            let woken = knock.wait_timeout(inside, time);
            woken.unwrap_or_else(PoisonError::into_inner).0
        }
    }
}

fn rejected(reason: &'static str, calls: u64) {
    metrics::counter!("latentd_inference_rejected_total", "reason" => reason).increment(calls);
}

/// The refusal of a call behind so many others.
pub(super) fn full(queued: usize, pace: Duration) -> CallError {
    rejected("full", 1);
    CallError::Full {
        queued,
        retry_after_seconds: seconds_for(queued, pace),
    }
}

impl Door {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            inside: Mutex::new(Inside {
                queue: Queue::new(bounds),
                long: Queue::new(long::bounds_of(bounds)),
                parked: 0,
                commands: VecDeque::new(),
                long_since: None,
                closed: false,
            }),
            in_hand: AtomicUsize::new(0),
            crowd: Mutex::new(Crowd::new(Instant::now())),
            in_hand_long: AtomicUsize::new(0),
            computing: Default::default(),
            knock: Condvar::new(),
            knock_for_long: Condvar::new(),
            bounds,
            pace: Default::default(),
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
            return Err(full(waiting, self.pace(Line::Quick)));
        }
        drop(inside);
        self.knock.notify_one();
        Ok(())
    }

    /// A place for a request whose body has not been read yet. Reading it takes time too, and so does writing
    /// the answer: what is counted is all that was let in, but for what is computed just now, and for long calls
    /// where it matters how long a quick one waits.
    pub fn enter(self: &Arc<Self>) -> Result<Place, CallError> {
        let place = Place(Arc::clone(self));
        let before = self.in_hand.fetch_add(1, Ordering::Relaxed);
        let computing =
            [Line::Quick, Line::Long].map(|l| self.computing[l as usize].load(Ordering::Relaxed));
        let ahead = before.saturating_sub(computing[0] + computing[1]);
        let long = self.in_hand_long.load(Ordering::Relaxed);
        let quick = before.saturating_sub(computing[0] + long);
        let pace = self.pace(Line::Quick);
        let admitted =
            ahead < self.bounds.calls && lock(&self.crowd).admits(quick, pace, Instant::now());
        if admitted {
            return Ok(place);
        }
        Err(full(ahead, pace))
    }

    pub fn note_computing(&self, line: Line, calls: usize) {
        self.computing[line as usize].store(calls, Ordering::Relaxed);
        if line == Line::Long {
            lock(&self.inside).long_since = (calls > 0).then(Instant::now);
        }
    }

    /// Calls were given up in the middle.
    pub fn note_gone(&self, calls: usize) {
        rejected("gone", calls as u64);
    }

    /// Calls that wait. Those that nobody waits for must not keep out one that somebody does; among those whose
    /// model is being loaded they are found a moment later.
    fn waiting_in(&self, inside: &mut Inside) -> usize {
        if inside.waiting() >= self.bounds.calls {
            inside.drop_dead();
        }
        if inside.waiting() >= self.bounds.calls && inside.parked > 0 {
            let asked = |command: &Command| matches!(command, Command::DropDead);
            if !inside.commands.iter().any(asked) {
                inside.commands.push_back(Command::DropDead);
                self.knock.notify_one();
            }
        }
        inside.waiting()
    }

    pub fn note_late(&self) {
        rejected("deadline", 1);
    }

    pub fn waiting(&self) -> usize {
        let mut inside = lock(&self.inside);
        inside.drop_dead();
        inside.waiting()
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
        let quick = std::mem::replace(&mut inside.queue, Queue::new(self.bounds));
        let long = std::mem::replace(&mut inside.long, Queue::new(long::bounds_of(self.bounds)));
        inside.commands.clear();
        drop(inside);
        // Each that is dropped wakes a task, and frees its place here.
        drop((quick, long));
        self.knock.notify_all();
        self.knock_for_long.notify_all();
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
            let now = inside.drop_dead();
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
                Next::At(due) => sleep(&self.knock, inside, Some(due - now)),
                Next::Nothing => sleep(&self.knock, inside, None),
            };
        }
    }

    pub fn note_pace(&self, line: Line, took: Duration, calls: usize) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX) / calls.max(1) as u64;
        let pace = &self.pace[line as usize];
        let before = pace.load(Ordering::Relaxed);
        let smoothed = if before == 0 {
            micros
        } else {
            before - before / 8 + micros / 8
        };
        pace.store(smoothed, Ordering::Relaxed);
    }

    fn pace(&self, line: Line) -> Duration {
        Duration::from_micros(self.pace[line as usize].load(Ordering::Relaxed))
    }

    pub fn statistics(&self) -> MutexGuard<'_, Statistics> {
        lock(&self.statistics)
    }

    pub fn set_aside(&self) -> MutexGuard<'_, SetAside> {
        lock(&self.set_aside)
    }

    pub fn shelf(&self) -> MutexGuard<'_, Vec<LoadedModel>> {
        lock(&self.shelf)
    }
}
