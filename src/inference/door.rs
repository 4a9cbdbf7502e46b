//! Between the requests' tasks and the threads that compute: what waits, what they are told, and what they tell
//! of themselves. Locks here are held for moments only, never while anything is computed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::call::CallError;
use super::crowd::Crowd;
use super::engine::{ModelSource, Order, seconds_for};
use super::queue::{Bounds, Next, Priority, Queue, Trigger, Waiting};
use super::registry::LoadedModel;
use super::resident::Resident;
use super::statistics::Statistics;

/// What the thread is asked beside calls.
pub(super) enum Command {
    Load(Arc<ModelSource>, oneshot::Sender<Result<(), CallError>>),
    /// The loader has it, or could not.
    Arrived(Arc<ModelSource>, Result<Resident, CallError>),
    Unload(String, i64, oneshot::Sender<bool>),
}

pub(super) enum Work {
    Batch(Vec<Order>, Trigger),
    Command(Command),
    End,
}

/// A call for the thread for long ones. By its turn the model may have been dropped to make room.
pub(super) struct Handed {
    pub order: Order,
    pub resident: Weak<Resident>,
    pub place: LongPlace,
}

impl Waiting for Handed {
    fn goes_with(&self, other: &Self) -> bool {
        self.order.goes_with(&other.order)
    }
    fn rows(&self) -> usize {
        self.order.rows()
    }
    fn priority(&self) -> Priority {
        self.order.priority()
    }
    fn since(&self) -> Instant {
        self.order.since()
    }
    fn deadline(&self) -> Option<Instant> {
        self.order.deadline()
    }
    fn is_gone(&self) -> bool {
        self.order.is_gone()
    }
}

/// A call's place among the long ones, free again when it is dropped.
pub(super) struct LongPlace(Arc<Door>);

impl Drop for LongPlace {
    fn drop(&mut self) {
        self.0.long.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Inside {
    queue: Queue<Order>,
    /// What the thread for long calls is to do.
    long: Queue<Handed>,
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
    /// Calls of the batch under way, and of the long one.
    computing: AtomicUsize,
    computing_long: AtomicUsize,
    /// Calls that are long, whether they wait or are computed.
    long: AtomicUsize,
    knock: Condvar,
    knock_for_long: Condvar,
    bounds: Bounds,
    /// Microseconds that a call took of late, smoothed, and that a long one did.
    pace: AtomicU64,
    long_pace: AtomicU64,
    statistics: Mutex<Statistics>,
    /// The models in memory, for those who ask.
    shelf: Mutex<Vec<LoadedModel>>,
    /// Versions that somebody had dropped and nobody asked for since; the oldest first.
    set_aside: Mutex<VecDeque<(String, i64)>>,
}

impl Inside {
    fn waiting(&self) -> usize {
        self.queue.len() + self.long.len() + self.parked
    }
}

fn for_long(bounds: Bounds) -> Bounds {
    Bounds {
        calls: bounds.calls.div_ceil(2),
        ..bounds
    }
}

/// Versions remembered as set aside. Forgetting one makes it look ready, which it is: it is loaded when asked.
const MOST_SET_ASIDE: usize = 4096;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rejected(reason: &'static str, calls: u64) {
    metrics::counter!("latentd_inference_rejected_total", "reason" => reason).increment(calls);
}

/// The refusal of a call behind so many others.
fn full(queued: usize, pace: &AtomicU64) -> CallError {
    rejected("full", 1);
    CallError::Full {
        queued,
        retry_after_seconds: seconds_for(queued, pace.load(Ordering::Relaxed)),
    }
}

fn smooth(pace: &AtomicU64, took: Duration, calls: usize) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX) / calls.max(1) as u64;
    let before = pace.load(Ordering::Relaxed);
    let smoothed = if before == 0 {
        micros
    } else {
        before - before / 8 + micros / 8
    };
    pace.store(smoothed, Ordering::Relaxed);
}

impl Door {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            inside: Mutex::new(Inside {
                queue: Queue::new(bounds),
                long: Queue::new(for_long(bounds)),
                parked: 0,
                commands: VecDeque::new(),
                closed: false,
            }),
            in_hand: AtomicUsize::new(0),
            crowd: Mutex::new(Crowd::new(Instant::now())),
            computing: AtomicUsize::new(0),
            computing_long: AtomicUsize::new(0),
            long: AtomicUsize::new(0),
            knock: Condvar::new(),
            knock_for_long: Condvar::new(),
            bounds,
            pace: AtomicU64::new(0),
            long_pace: AtomicU64::new(0),
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
            return Err(full(waiting, &self.pace));
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
        let others = before.saturating_sub(self.computing.load(Ordering::Relaxed));
        let ahead = others.saturating_sub(self.computing_long.load(Ordering::Relaxed));
        let quick = others.saturating_sub(self.long.load(Ordering::Relaxed));
        let pace = Duration::from_micros(self.pace.load(Ordering::Relaxed));
        let admitted =
            ahead < self.bounds.calls && lock(&self.crowd).admits(quick, pace, Instant::now());
        if admitted {
            return Ok(place);
        }
        Err(full(ahead, &self.pace))
    }

    pub fn note_computing(&self, calls: usize) {
        self.computing.store(calls, Ordering::Relaxed);
    }

    pub fn note_computing_long(&self, calls: usize) {
        self.computing_long.store(calls, Ordering::Relaxed);
    }

    /// Calls that wait. Those that nobody waits for must not keep out one that somebody does.
    fn waiting_in(&self, inside: &mut Inside) -> usize {
        if inside.waiting() >= self.bounds.calls {
            let now = Instant::now();
            let gone = inside.queue.drop_dead(now) + inside.long.drop_dead(now);
            rejected("gone", gone as u64);
        }
        inside.waiting()
    }

    pub fn note_late(&self) {
        rejected("deadline", 1);
    }

    pub fn waiting(&self) -> usize {
        lock(&self.inside).waiting()
    }

    /// Long calls, whether they wait or are computed.
    pub fn long(&self) -> usize {
        self.long.load(Ordering::Relaxed)
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

    /// Long calls whose model was dropped before their turn; they wait for it again.
    pub fn send_back(&self, orders: Vec<Order>) {
        lock(&self.inside).queue.put_back(orders);
        self.knock.notify_one();
    }

    pub fn unpark(&self, calls: usize) {
        let mut inside = lock(&self.inside);
        inside.parked = inside.parked.saturating_sub(calls);
    }

    /// For the thread for long calls. They may take half of what may wait, so that quick ones find room.
    pub fn hand_over(self: &Arc<Self>, orders: Vec<Order>, resident: &Arc<Resident>) {
        let mut refused = Vec::new();
        let mut inside = lock(&self.inside);
        if inside.long.len() + orders.len() > for_long(self.bounds).calls {
            rejected("gone", inside.long.drop_dead(Instant::now()) as u64);
        }
        let waiting = inside.long.len();
        for order in orders {
            self.long.fetch_add(1, Ordering::Relaxed);
            let handed = Handed {
                order,
                resident: Arc::downgrade(resident),
                place: LongPlace(Arc::clone(self)),
            };
            refused.extend(inside.long.push(handed).err());
        }
        drop(inside);
        self.knock_for_long.notify_one();
        for handed in refused {
            let _ = handed
                .order
                .answer
                .send(Err(full(waiting, &self.long_pace)));
        }
    }

    /// Blocks until there is a long batch; none at the end.
    pub fn wait_for_long(&self) -> Option<(Vec<Handed>, Trigger)> {
        let mut inside = lock(&self.inside);
        loop {
            if inside.closed {
                return None;
            }
            let now = Instant::now();
            rejected("gone", inside.long.drop_dead(now) as u64);
            inside = match inside.long.next(now) {
                Next::Batch(batch, trigger) => return Some((batch, trigger)),
                // It has waited for company before; `since` tells from when.
                Next::At(due) => {
                    self.knock_for_long
                        .wait_timeout(inside, due - now)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                Next::Nothing => self
                    .knock_for_long
                    .wait(inside)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// No more calls; those that wait are told so.
    pub fn close(&self) {
        let mut inside = lock(&self.inside);
        inside.closed = true;
        let quick = std::mem::replace(&mut inside.queue, Queue::new(self.bounds));
        let long = std::mem::replace(&mut inside.long, Queue::new(for_long(self.bounds)));
        inside.commands.clear();
        drop(inside);
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
        smooth(&self.pace, took, calls);
    }

    pub fn note_long_pace(&self, took: Duration, calls: usize) {
        smooth(&self.long_pace, took, calls);
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
