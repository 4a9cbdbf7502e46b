//! Admission control: a request gets a permit once its body has arrived, or is rejected with the seconds to wait.
//! Before the body is read it is only looked whether that would be for nothing: who sends slowly holds no place.
//!
//! Everything admitted counts until it is answered. With a thousand connections much of the waiting is outside the
//! queue: bodies are being parsed, answers written.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::statistics::rejected;
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

    /// Why a request would be rejected now, if it would. Nothing is counted: its body is still to come.
    pub fn rejects(&self) -> Option<CallError> {
        let before = self.in_flight.load(Ordering::Relaxed);
        let (ahead, ahead_fast) = self.ahead_of(before);
        let pace = self.pace(Lane::Fast);
        let full = ahead >= self.limit;
        // The lock is for those alone who find others waiting.
        let rejects = full
            || ahead_fast >= SHORT && self.overload().goes_on(ahead_fast, pace, Instant::now());
        rejects.then(|| rejection(ahead, pace))
    }

    /// Of so many in flight: those that wait or are read from, all and the quick ones.
    fn ahead_of(&self, in_flight: usize) -> (usize, usize) {
        let [fast, slow] = &self.lanes;
        let computing = fast.computing.load(Ordering::Relaxed);
        let ahead = in_flight.saturating_sub(computing + slow.computing.load(Ordering::Relaxed));
        let slow = self.in_flight_slow.load(Ordering::Relaxed);
        (ahead, in_flight.saturating_sub(computing + slow))
    }

    /// The bound applies to all requests ahead. Overload control looks only at those that a fast call waits for.
    pub fn enter(self: &Arc<Self>) -> Result<Permit, CallError> {
        let permit = Permit(Arc::clone(self));
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let (ahead, ahead_fast) = self.ahead_of(before);
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

/// A queue is short with fewer requests in flight than this, beside those being computed.
const SHORT: usize = 32;
/// The queue's length is averaged over about this time. Under overload most requests wait in their sockets, unseen,
/// and the visible length fluctuates.
const WINDOW: Duration = Duration::from_millis(50);
/// The queue may be long for this time before it counts as overload.
const GRACE: Duration = Duration::from_millis(200);
/// Overload ends once no request was rejected for this time, which is longer than a rejection is delayed.
const CALM: Duration = Duration::from_secs(1);
/// Where a call takes longer than this, its latency is its own computation, not the queue.
const QUICK: Duration = Duration::from_millis(1);

/// When more than 32 requests have been in flight for 200 ms, admits no more than 32 at once, so that the admitted
/// ones keep their latency (after CoDel, Nichols and Jacobson 2012, "Controlling queue delay"). Pure: no clock, no
/// thread; `now` is a parameter.
///
/// A short burst is admitted up to the queue's bound: some hundred requests at once are answered in a moment. A
/// thousand clients that each send the next request as soon as they are answered make everybody wait for a thousand
/// others, for ever. The difference is whether the queue ever gets short.
#[derive(Debug)]
struct OverloadControl {
    /// Requests ahead of a new one, as a moving average.
    ahead: f64,
    last_arrival: Instant,
    /// When the average was last below `SHORT`.
    last_short: Instant,
    /// The last rejection; none while there is no overload.
    last_rejection: Option<Instant>,
}

impl OverloadControl {
    fn new(now: Instant) -> Self {
        Self {
            ahead: 0.0,
            last_arrival: now,
            last_short: now,
            last_rejection: None,
        }
    }

    /// Whether one more request is rejected for what was found before it, with as much ahead of it as below. It
    /// counts as rejected, and as nothing else.
    fn goes_on(&mut self, ahead: usize, pace: Duration, now: Instant) -> bool {
        let recent = |at: Instant| now.duration_since(at) < CALM;
        let goes_on = ahead >= SHORT && pace <= QUICK && self.last_rejection.is_some_and(recent);
        if goes_on {
            self.last_rejection = Some(now);
        }
        goes_on
    }

    /// Whether one more request is admitted, with `ahead` in flight and calls that take `pace` each.
    fn admits(&mut self, ahead: usize, pace: Duration, now: Instant) -> bool {
        let weight =
            -(-now.duration_since(self.last_arrival).as_secs_f64() / WINDOW.as_secs_f64()).exp_m1();
        self.ahead += weight * (ahead as f64 - self.ahead);
        self.last_arrival = now;
        if self.ahead < SHORT as f64 || pace > QUICK {
            self.last_short = now;
        }
        if ahead < SHORT || pace > QUICK {
            return true;
        }
        match self.last_rejection {
            Some(at) if now.duration_since(at) < CALM => {
                self.last_rejection = Some(now);
                false
            }
            Some(_) => {
                *self = Self::new(now);
                true
            }
            None if now.duration_since(self.last_short) > GRACE => {
                self.last_rejection = Some(now);
                false
            }
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Duration = Duration::from_micros(50);

    struct Arrivals(OverloadControl, Instant);

    impl Arrivals {
        fn new() -> Self {
            let now = Instant::now();
            Self(OverloadControl::new(now), now)
        }
        fn at(&mut self, ms: u64, ahead: usize) -> bool {
            let now = self.1 + Duration::from_millis(ms);
            self.0.admits(ahead, PACE, now)
        }
    }

    #[test]
    fn a_burst_is_admitted() {
        let mut arrivals = Arrivals::new();
        assert!(arrivals.at(0, 0));
        for ms in 0..150 {
            assert!(arrivals.at(ms, 250), "after {ms} ms");
        }
        assert!(arrivals.at(400, 10));
        for ms in 401..550 {
            assert!(arrivals.at(ms, 250), "the queue was short in between");
        }
    }

    #[test]
    fn a_queue_that_never_gets_short_is_cut_until_nobody_is_rejected() {
        let mut arrivals = Arrivals::new();
        for ms in 0..200 {
            // It comes and goes.
            assert!(arrivals.at(ms, if ms % 4 == 0 { 5 } else { 100 }));
        }
        assert!((200..300).any(|ms| !arrivals.at(ms, 100)));
        // A short queue is no sign of its end: it is short because others are rejected.
        assert!(arrivals.at(300, 31));
        assert!(!arrivals.at(301, 32));
        assert!(!arrivals.at(1200, 32));
        assert!(arrivals.at(2300, 32), "nobody was rejected for a second");
        assert!(arrivals.at(2301, 200));
        assert!(arrivals.at(2400, 200));
    }

    #[test]
    fn who_would_be_rejected_is_told_before_and_counts_as_nothing_else() {
        let mut arrivals = Arrivals::new();
        let start = arrivals.1;
        let ms = |ms| start + Duration::from_millis(ms);
        assert!(!arrivals.0.goes_on(1000, PACE, ms(0)), "no overload yet");
        assert!((0..300).any(|ms| !arrivals.at(ms, 100)));
        assert!(arrivals.0.goes_on(32, PACE, ms(310)));
        assert!(!arrivals.0.goes_on(31, PACE, ms(310)));
        assert!(!arrivals.0.goes_on(32, 2 * QUICK, ms(310)));
        assert!(arrivals.0.goes_on(32, PACE, ms(1300)), "rejections go on");
        assert!(
            !arrivals.0.goes_on(32, PACE, ms(2310)),
            "nobody was rejected for a second"
        );
    }

    #[test]
    fn slow_calls_are_no_overload() {
        let start = Instant::now();
        let mut control = OverloadControl::new(start);
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            assert!(control.admits(200, Duration::from_millis(30), now));
        }
    }
}
