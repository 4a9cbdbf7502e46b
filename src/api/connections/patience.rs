//! When a connection has had its time. Looked at in coarse steps, so that no request pays for a timer of its own.
//! Pure: no clock, no connection.

use std::time::Duration;

/// How often a connection is looked at.
pub const TICK: Duration = Duration::from_secs(5);

/// Steps from the first byte of a head to its last.
const HEAD: u32 = 3;
/// Steps without a request.
const IDLE: u32 = 15;
const IDLE_IN_A_CROWD: u32 = 1;
/// Steps in which nearly nothing of an answer was taken.
const UNREAD: u32 = 12;
/// Bytes of an answer that must be taken in a step, for who reads slowly still reads.
const LEAST_TAKEN: u64 = 1024 * TICK.as_secs();

/// What goes on on a connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Bytes so far.
    pub written: u64,
    /// Whether the client takes no more for now.
    pub blocked: bool,
    /// Requests so far.
    pub requests: u64,
    /// Whether one of them is not answered yet.
    pub in_hand: bool,
    /// Whether bytes came since the last one ended.
    pub in_a_head: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Stays,
    /// As at a shutdown: nothing is under way.
    Ends,
    IsCut,
}

/// What a connection has used up of its time, in steps.
#[derive(Debug, Default)]
pub struct Patience {
    last: Seen,
    head: u32,
    idle: u32,
    unread: u32,
}

impl Patience {
    /// A step later.
    pub fn look(&mut self, now: Seen, crowded: bool) -> Verdict {
        let last = std::mem::replace(&mut self.last, now);
        let step = |steps: u32, goes_on: bool| if goes_on { steps + 1 } else { 0 };
        let taken = now.written.saturating_sub(last.written);
        self.unread = step(self.unread, now.blocked && taken < LEAST_TAKEN);
        let waits = !now.in_hand && !now.blocked && now.requests == last.requests;
        self.head = step(self.head, waits && now.in_a_head);
        self.idle = step(self.idle, waits);
        let idle = if crowded { IDLE_IN_A_CROWD } else { IDLE };
        if self.unread >= UNREAD || self.head >= HEAD || self.idle > idle + HEAD {
            Verdict::IsCut
        } else if self.idle >= idle && !now.in_a_head {
            Verdict::Ends
        } else {
            Verdict::Stays
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many steps of this it ends, and how; none if it never does.
    fn end(now: impl Fn(u64) -> Seen, crowded: bool) -> Option<(u64, Verdict)> {
        let mut patience = Patience::default();
        let mut looks = (1..500).map(|i| (i, patience.look(now(i), crowded)));
        looks.find(|(_, verdict)| *verdict != Verdict::Stays)
    }

    #[test]
    fn who_asks_nothing_is_let_go_sooner_in_a_crowd() {
        let idle = |_| Seen::default();
        assert_eq!(end(idle, false), Some((15, Verdict::Ends)));
        assert_eq!(end(idle, true), Some((1, Verdict::Ends)));
        let asks_now_and_then = |i| Seen {
            requests: i / 10,
            ..Seen::default()
        };
        assert_eq!(end(asks_now_and_then, false), None);
    }

    #[test]
    fn a_head_that_does_not_end_is_cut() {
        let head = |_| Seen {
            in_a_head: true,
            ..Seen::default()
        };
        assert_eq!(end(head, false), Some((3, Verdict::IsCut)));
        assert_eq!(end(head, true), Some((3, Verdict::IsCut)));
    }

    #[test]
    fn what_is_in_hand_may_take_its_time() {
        let computed = |_| Seen {
            in_hand: true,
            in_a_head: true,
            requests: 1,
            ..Seen::default()
        };
        assert_eq!(end(computed, true), None);
    }

    #[test]
    fn an_answer_that_nobody_reads_is_cut_and_a_slow_reader_is_not() {
        let unread = |bytes_a_step: u64| {
            move |i: u64| Seen {
                in_hand: true,
                blocked: true,
                written: i * bytes_a_step,
                ..Seen::default()
            }
        };
        assert_eq!(end(unread(0), false), Some((12, Verdict::IsCut)));
        assert_eq!(end(unread(5000), false), Some((12, Verdict::IsCut)));
        assert_eq!(end(unread(6000), false), None);
        // The last bytes are the socket's: no answer is in hand any more.
        let last = |_| Seen {
            blocked: true,
            ..Seen::default()
        };
        assert_eq!(end(last, true), Some((12, Verdict::IsCut)));
    }
}
