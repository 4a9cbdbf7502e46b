//! Overload control. When more than 32 requests have been in flight for 200 ms, admit no more than 32 at once, so
//! that the admitted ones keep their latency (after CoDel, Nichols and Jacobson 2012, "Controlling queue delay").
//! Pure: no clock, no thread; `now` is a parameter.
//!
//! A short burst is admitted up to the queue's bound: some hundred requests at once are answered in a moment. A
//! thousand clients that each send the next request as soon as they are answered make everybody wait for a thousand
//! others, for ever. The difference is whether the queue ever gets short.

use std::time::{Duration, Instant};

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

#[derive(Debug)]
pub struct OverloadControl {
    /// Requests ahead of a new one, as a moving average.
    ahead: f64,
    last_arrival: Instant,
    /// When the average was last below `SHORT`.
    last_short: Instant,
    /// The last rejection; none while there is no overload.
    last_rejection: Option<Instant>,
}

impl OverloadControl {
    pub fn new(now: Instant) -> Self {
        Self {
            ahead: 0.0,
            last_arrival: now,
            last_short: now,
            last_rejection: None,
        }
    }

    /// Whether one more request is admitted, with `ahead` in flight and calls that take `pace` each.
    pub fn admits(&mut self, ahead: usize, pace: Duration, now: Instant) -> bool {
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
    fn slow_calls_are_no_overload() {
        let start = Instant::now();
        let mut control = OverloadControl::new(start);
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            assert!(control.admits(200, Duration::from_millis(30), now));
        }
    }
}
