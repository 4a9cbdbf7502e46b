//! Which calls are computed next, and together. Pure: no clock, no thread, no tensor; `now` is handed in.
//!
//! A batch is whatever waited while the last one was computed: the first in line, and all others that ask
//! the same of the same model, until the batch has its rows. Only where a delay is allowed does a batch that
//! is not full wait for more.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who goes first; those of one priority go in the order they came.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = RequestPriority)]
pub enum Priority {
    High,
    #[default]
    Normal,
    Low,
}

impl Priority {
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

/// What a queue is told of each call.
pub trait Waiting {
    /// Whether both can be computed as one batch.
    fn goes_with(&self, other: &Self) -> bool;
    fn rows(&self) -> usize;
    fn priority(&self) -> Priority;
    fn since(&self) -> Instant;
    fn deadline(&self) -> Option<Instant>;
    /// Whether nobody waits for the answer any more.
    fn is_gone(&self) -> bool;
}

/// Whether an answer would be of no use any more.
pub fn is_late(call: &impl Waiting, now: Instant) -> bool {
    call.deadline().is_some_and(|at| at <= now)
}

/// Why a batch was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// It had all its rows.
    Full,
    /// Nothing else waited that could have joined it.
    Idle,
    /// Its first call had waited for the allowed delay.
    Delay,
}

impl Trigger {
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Idle => "idle",
            Self::Delay => "delay",
        }
    }
}

#[derive(Debug, PartialEq)]
pub enum Next<T> {
    Batch(Vec<T>, Trigger),
    /// Nothing is due before this.
    At(Instant),
    Nothing,
}

#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Calls that may wait.
    pub calls: usize,
    /// Rows of a batch of several calls, at most.
    pub rows: usize,
    /// How long a batch that is not full may wait for more.
    pub delay: Duration,
}

pub struct Queue<T> {
    /// One for each priority.
    lines: [VecDeque<T>; 3],
    bounds: Bounds,
}

impl<T: Waiting> Queue<T> {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            lines: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
            bounds,
        }
    }

    pub fn len(&self) -> usize {
        self.lines.iter().map(VecDeque::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(VecDeque::is_empty)
    }

    /// Gives the call back when there is no room.
    pub fn push(&mut self, call: T) -> Result<(), T> {
        if self.len() >= self.bounds.calls {
            return Err(call);
        }
        self.lines[call.priority() as usize].push_back(call);
        Ok(())
    }

    /// Puts calls that were admitted before at the head of their lines, in the order given.
    pub fn put_back(&mut self, calls: Vec<T>) {
        for call in calls.into_iter().rev() {
            self.lines[call.priority() as usize].push_front(call);
        }
    }

    /// Takes out what nobody waits for any more, or what is too late; how many were left before they were late.
    pub fn drop_dead(&mut self, now: Instant) -> usize {
        let mut left = 0;
        for line in &mut self.lines {
            line.retain(|call| {
                let (gone, late) = (call.is_gone(), is_late(call, now));
                left += usize::from(gone && !late);
                !gone && !late
            });
        }
        left
    }

    /// The batch that is due.
    pub fn next(&mut self, now: Instant) -> Next<T> {
        let Some(first) = self.first() else {
            return Next::Nothing;
        };
        let (rows, all) = self.company(first);
        let due = first.since() + self.bounds.delay;
        let trigger = if !all || rows >= self.bounds.rows || !first.goes_with(first) {
            Trigger::Full
        } else if self.bounds.delay.is_zero() {
            Trigger::Idle
        } else if due <= now {
            Trigger::Delay
        } else {
            return Next::At(due);
        };
        Next::Batch(self.take(), trigger)
    }

    fn first(&self) -> Option<&T> {
        self.lines.iter().find_map(VecDeque::front)
    }

    /// Rows that would go with the first, and whether these are all that could.
    fn company(&self, first: &T) -> (usize, bool) {
        let mut rows = 0;
        for call in self.lines.iter().flatten() {
            let alone = rows == 0;
            if !alone && !first.goes_with(call) {
                continue;
            }
            if !alone && rows + call.rows() > self.bounds.rows {
                return (rows, false);
            }
            rows += call.rows();
        }
        (rows, true)
    }

    fn take(&mut self) -> Vec<T> {
        let most = self.bounds.rows;
        let mut batch: Vec<T> = Vec::new();
        let mut rows = 0;
        for line in &mut self.lines {
            // Rows after one that did not fit wait too, or a large call could wait for ever.
            let mut full = false;
            let mut rest = VecDeque::with_capacity(line.len());
            for call in line.drain(..) {
                let joins = batch.first().is_none_or(|first| first.goes_with(&call));
                full = full || joins && !batch.is_empty() && rows + call.rows() > most;
                if joins && !full {
                    rows += call.rows();
                    batch.push(call);
                } else {
                    rest.push_back(call);
                }
            }
            *line = rest;
            if full {
                break;
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Asked {
        name: &'static str,
        /// Calls of one kind go together; none goes with nothing.
        kind: Option<u8>,
        rows: usize,
        priority: Priority,
        since: Instant,
        deadline: Option<Instant>,
        gone: bool,
    }

    impl Waiting for Asked {
        fn goes_with(&self, other: &Self) -> bool {
            self.kind.is_some() && self.kind == other.kind
        }
        fn rows(&self) -> usize {
            self.rows
        }
        fn priority(&self) -> Priority {
            self.priority
        }
        fn since(&self) -> Instant {
            self.since
        }
        fn deadline(&self) -> Option<Instant> {
            self.deadline
        }
        fn is_gone(&self) -> bool {
            self.gone
        }
    }

    fn asked(name: &'static str, kind: u8, rows: usize, since: Instant) -> Asked {
        Asked {
            name,
            kind: Some(kind),
            rows,
            priority: Priority::Normal,
            since,
            deadline: None,
            gone: false,
        }
    }

    fn queue(calls: usize, rows: usize, delay_ms: u64) -> Queue<Asked> {
        Queue::new(Bounds {
            calls,
            rows,
            delay: Duration::from_millis(delay_ms),
        })
    }

    fn fill(queue: &mut Queue<Asked>, calls: impl IntoIterator<Item = Asked>) {
        for call in calls {
            assert_eq!(queue.push(call), Ok(()));
        }
    }

    fn names(next: Next<Asked>) -> (Vec<&'static str>, Option<Trigger>) {
        match next {
            Next::Batch(batch, trigger) => (batch.iter().map(|c| c.name).collect(), Some(trigger)),
            Next::At(_) | Next::Nothing => (Vec::new(), None),
        }
    }

    #[test]
    fn a_batch_is_what_waits_and_asks_the_same() {
        let now = Instant::now();
        let mut queue = queue(10, 8, 0);
        fill(
            &mut queue,
            [("a", 1), ("b", 2), ("c", 1), ("d", 2)].map(|(n, k)| asked(n, k, 1, now)),
        );
        assert_eq!(
            names(queue.next(now)),
            (vec!["a", "c"], Some(Trigger::Idle))
        );
        assert_eq!(
            names(queue.next(now)),
            (vec!["b", "d"], Some(Trigger::Idle))
        );
        assert_eq!(queue.next(now), Next::Nothing);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_draws_numbers_goes_alone() {
        let now = Instant::now();
        let mut queue = queue(10, 8, 50);
        let mut alone = asked("a", 0, 1, now);
        alone.kind = None;
        let mut other = alone.clone();
        other.name = "b";
        fill(&mut queue, [alone, other]);
        assert_eq!(names(queue.next(now)), (vec!["a"], Some(Trigger::Full)));
        assert_eq!(names(queue.next(now)), (vec!["b"], Some(Trigger::Full)));
    }

    #[test]
    fn a_batch_ends_at_its_rows_and_none_overtakes_one_that_did_not_fit() {
        let now = Instant::now();
        let mut queue = queue(10, 8, 1000);
        let calls = [("a", 5), ("b", 4), ("c", 1)];
        fill(&mut queue, calls.map(|(n, rows)| asked(n, 1, rows, now)));
        assert_eq!(names(queue.next(now)), (vec!["a"], Some(Trigger::Full)));
        // Five rows of eight: these may wait for more.
        assert_eq!(queue.next(now), Next::At(now + Duration::from_secs(1)));
        fill(&mut queue, [asked("huge", 2, 100, now)]);
        let later = now + Duration::from_secs(1);
        assert_eq!(
            names(queue.next(later)),
            (vec!["b", "c"], Some(Trigger::Delay))
        );
        assert_eq!(names(queue.next(now)), (vec!["huge"], Some(Trigger::Full)));
    }

    #[test]
    fn the_more_urgent_go_first_and_take_along_whatever_fits() {
        let now = Instant::now();
        let mut queue = queue(10, 3, 0);
        let of = |name, kind, priority| Asked {
            priority,
            ..asked(name, kind, 1, now)
        };
        fill(
            &mut queue,
            [
                of("low", 1, Priority::Low),
                of("other", 2, Priority::Normal),
                of("normal", 1, Priority::Normal),
                of("high", 1, Priority::High),
            ],
        );
        assert_eq!(
            names(queue.next(now)).0,
            vec!["high", "normal", "low"],
            "one batch, in order"
        );
        assert_eq!(names(queue.next(now)).0, vec!["other"]);
    }

    #[test]
    fn a_full_queue_gives_the_call_back_and_dead_ones_make_room() {
        let now = Instant::now();
        let mut queue = queue(2, 8, 0);
        let late = Asked {
            deadline: Some(now),
            ..asked("late", 1, 1, now)
        };
        let gone = Asked {
            gone: true,
            ..asked("gone", 1, 1, now)
        };
        fill(&mut queue, [late, gone]);
        let third = asked("third", 1, 1, now);
        assert_eq!(queue.push(third.clone()), Err(third.clone()));
        assert_eq!(
            queue.drop_dead(now),
            1,
            "the other one is told that it is late"
        );
        fill(&mut queue, [third]);
        assert_eq!(queue.drop_dead(now), 0);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn what_waited_for_its_model_comes_first() {
        let now = Instant::now();
        let mut queue = queue(2, 1, 0);
        fill(&mut queue, [asked("c", 1, 1, now)]);
        queue.put_back(vec![asked("a", 1, 1, now), asked("b", 1, 1, now)]);
        for name in ["a", "b", "c"] {
            assert_eq!(names(queue.next(now)).0, vec![name]);
        }
    }
}
