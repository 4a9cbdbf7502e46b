//! Whether those who ask have become a crowd that never clears: then fewer are let in, so that these are
//! answered as fast as ever. Pure: no clock, no thread; `now` is handed in.
//!
//! A burst is no crowd. Some hundred requests at once are worked off in a moment, and turning them away would
//! be unkind; only the bound on all that is in hand holds for them. But a thousand clients who each ask again as soon as they are answered make everybody
//! wait a thousand turns, for ever. The difference is whether the line ever gets short, as in Nichols and
//! Jacobson (2012), "Controlling queue delay".

use std::time::{Duration, Instant};

/// In hand at once, beside those being computed: a line that is shorter than this is short.
const SHORT: usize = 32;
/// What the line is like is averaged over about so long. Most of a crowd waits in its sockets, unseen, and the
/// line in hand comes and goes.
const MEMORY: Duration = Duration::from_millis(50);
/// So long may the line be long before those in it count as a crowd.
const GRACE: Duration = Duration::from_millis(200);
/// The crowd is gone once nobody had to be refused for so long; it is longer than a refusal is held back.
const CALM: Duration = Duration::from_secs(1);
/// Calls that take longer than this each wait for their own computing, not for the crowd.
const QUICK: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub struct Crowd {
    /// What those who came found ahead of them, on average of late, and when the last one came.
    ahead: f64,
    came: Instant,
    /// When the line was short last, on average.
    short: Instant,
    /// When somebody was refused last, while there is a crowd.
    refused: Option<Instant>,
}

impl Crowd {
    pub fn new(now: Instant) -> Self {
        Self {
            ahead: 0.0,
            came: now,
            short: now,
            refused: None,
        }
    }

    /// Whether one more may come in, with `ahead` in hand and calls that take `pace` each.
    pub fn admits(&mut self, ahead: usize, pace: Duration, now: Instant) -> bool {
        let weight =
            -(-now.duration_since(self.came).as_secs_f64() / MEMORY.as_secs_f64()).exp_m1();
        self.ahead += weight * (ahead as f64 - self.ahead);
        self.came = now;
        if self.ahead < SHORT as f64 || pace > QUICK {
            self.short = now;
        }
        if ahead < SHORT || pace > QUICK {
            return true;
        }
        match self.refused {
            Some(at) if now.duration_since(at) < CALM => {
                self.refused = Some(now);
                false
            }
            Some(_) => {
                *self = Self::new(now);
                true
            }
            None if now.duration_since(self.short) > GRACE => {
                self.refused = Some(now);
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

    struct Line(Crowd, Instant);

    impl Line {
        fn new() -> Self {
            let now = Instant::now();
            Self(Crowd::new(now), now)
        }
        fn at(&mut self, ms: u64, ahead: usize) -> bool {
            let now = self.1 + Duration::from_millis(ms);
            self.0.admits(ahead, PACE, now)
        }
    }

    #[test]
    fn a_burst_is_let_in() {
        let mut line = Line::new();
        assert!(line.at(0, 0));
        for ms in 0..150 {
            assert!(line.at(ms, 250), "after {ms} ms");
        }
        assert!(line.at(400, 10));
        for ms in 401..550 {
            assert!(line.at(ms, 250), "the line was short in between");
        }
    }

    #[test]
    fn a_line_that_never_gets_short_is_cut_until_nobody_is_refused() {
        let mut line = Line::new();
        for ms in 0..200 {
            // It comes and goes.
            assert!(line.at(ms, if ms % 4 == 0 { 5 } else { 100 }));
        }
        assert!((200..300).any(|ms| !line.at(ms, 100)));
        // Short lines are no sign of its end: they are short because others are refused.
        assert!(line.at(300, 31));
        assert!(!line.at(301, 32));
        assert!(!line.at(1200, 32));
        assert!(line.at(2300, 32), "nobody was refused for a second");
        assert!(line.at(2301, 200));
        assert!(line.at(2400, 200));
    }

    #[test]
    fn slow_calls_are_not_a_crowd() {
        let start = Instant::now();
        let mut crowd = Crowd::new(start);
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            assert!(crowd.admits(200, Duration::from_millis(30), now));
        }
    }
}
