//! Admission control: a request gets a permit before its body is read, or is rejected with the seconds to wait.
//!
//! Everything admitted counts until it is answered. With a thousand connections most of the waiting is outside the
//! queue: bodies are being read, answers written.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::metrics::rejected;
use super::overload::OverloadControl;
use crate::verbs::call::CallError;

/// Each lane has a queue and a thread of its own. Calls that would keep others waiting go to the slow one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Fast,
    Slow,
}

/// What a lane computes, and how fast.
#[derive(Default)]
struct Load {
    /// Calls of the batch being computed; 0 between batches.
    computing: AtomicUsize,
    /// When that batch began, in microseconds since the service started.
    since: AtomicU64,
    /// Microseconds per call, exponentially smoothed.
    pace: AtomicU64,
}

pub(super) struct Admission {
    /// Requests in flight at once, beside those being computed.
    limit: usize,
    in_flight: AtomicUsize,
    /// Those of them that are slow calls.
    in_flight_slow: AtomicUsize,
    lanes: [Load; 2],
    started: Instant,
    overload: Mutex<OverloadControl>,
}

/// Counts a request as in flight until it is dropped.
pub struct Permit(Arc<Admission>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a slow call with a [`Permit`] as such until it is dropped.
pub(super) struct SlowPermit(Arc<Admission>);

impl Drop for SlowPermit {
    fn drop(&mut self) {
        self.0.in_flight_slow.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    pub fn new(limit: usize) -> Self {
        let now = Instant::now();
        Self {
            limit,
            in_flight: AtomicUsize::new(0),
            in_flight_slow: AtomicUsize::new(0),
            lanes: Default::default(),
            started: now,
            overload: Mutex::new(OverloadControl::new(now)),
        }
    }

    /// The bound applies to all requests ahead. Overload control looks only at those that a fast call waits for.
    pub fn enter(self: &Arc<Self>) -> Result<Permit, CallError> {
        let permit = Permit(Arc::clone(self));
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let [fast, slow] = &self.lanes;
        let computing = fast.computing.load(Ordering::Relaxed);
        let ahead = before.saturating_sub(computing + slow.computing.load(Ordering::Relaxed));
        let slow = self.in_flight_slow.load(Ordering::Relaxed);
        let ahead_fast = before.saturating_sub(computing + slow);
        let pace = self.pace(Lane::Fast);
        if ahead < self.limit && self.overload().admits(ahead_fast, pace, Instant::now()) {
            return Ok(permit);
        }
        Err(rejection(ahead, pace))
    }

    fn overload(&self) -> MutexGuard<'_, OverloadControl> {
        self.overload.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn enter_slow(self: &Arc<Self>) -> SlowPermit {
        self.in_flight_slow.fetch_add(1, Ordering::Relaxed);
        SlowPermit(Arc::clone(self))
    }

    pub fn begin_batch(&self, lane: Lane, calls: usize, now: Instant) {
        let load = &self.lanes[lane as usize];
        let since = micros(now.duration_since(self.started));
        load.since.store(since, Ordering::Relaxed);
        load.computing.store(calls, Ordering::Release);
    }

    /// `took` is left out where the batch was cancelled, which says nothing about the pace.
    pub fn end_batch(&self, lane: Lane, took: Option<Duration>) {
        let load = &self.lanes[lane as usize];
        if let Some(took) = took {
            let calls = load.computing.load(Ordering::Relaxed).max(1);
            let each = micros(took) / calls as u64;
            let pace = match load.pace.load(Ordering::Relaxed) {
                0 => each,
                before => before - before / 8 + each / 8,
            };
            load.pace.store(pace, Ordering::Relaxed);
        }
        load.computing.store(0, Ordering::Relaxed);
    }

    /// Calls that a lane computes just now.
    pub fn computing(&self, lane: Lane) -> usize {
        self.lanes[lane as usize].computing.load(Ordering::Relaxed)
    }

    /// Time per call. A slow call takes at least as long as the one being computed has taken so far.
    pub fn pace(&self, lane: Lane) -> Duration {
        let load = &self.lanes[lane as usize];
        let pace = Duration::from_micros(load.pace.load(Ordering::Relaxed));
        if lane == Lane::Fast || load.computing.load(Ordering::Acquire) == 0 {
            return pace;
        }
        let since = Duration::from_micros(load.since.load(Ordering::Relaxed));
        pace.max(self.started.elapsed().saturating_sub(since))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The rejection of a call behind `queued` others that take `pace` each. `Retry-After` is at least one second.
pub(super) fn rejection(queued: usize, pace: Duration) -> CallError {
    rejected("full", 1);
    let wait = pace.as_micros().saturating_mul(queued as u128);
    let seconds = u64::try_from(wait.div_ceil(1_000_000)).unwrap_or(u64::MAX);
    CallError::Full {
        queued,
        retry_after_seconds: seconds.max(1),
    }
}

/// Returns a rejection after about a quarter of a second. A client that retries at once would take the cores from
/// the requests that were admitted; one that heeds `Retry-After` waits longer anyway. The delay is random, so that
/// clients rejected together do not return together.
pub(super) async fn delayed(rejection: CallError) -> CallError {
    let random = getrandom::u32().unwrap_or_default() % 300;
    let pause = Duration::from_millis(100 + u64::from(random));
    // Boxed: a rare branch must not enlarge the future of every call.
    Box::pin(tokio::time::sleep(pause)).await;
    rejection
}
