//! Which calls are computed next, and together. Pure: no clock, no thread, no tensor; `now` is a parameter.
//!
//! A batch is whatever waited while the last one was computed: the first call, and all others that ask the same of
//! the same model, until the batch has its rows. A batch that is not full waits for more only where a delay is
//! configured.

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

/// What a queue needs to know of a call.
pub trait Queued {
    /// Whether both can be computed as one batch.
    fn compatible_with(&self, other: &Self) -> bool;
    fn rows(&self) -> usize;
    fn priority(&self) -> Priority;
    fn queued_at(&self) -> Instant;
    fn deadline(&self) -> Option<Instant>;
    /// Whether nobody waits for the answer any more.
    fn is_cancelled(&self) -> bool;
}

/// Whether the deadline has passed.
pub fn is_late(call: &impl Queued, now: Instant) -> bool {
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
    by_priority: [VecDeque<T>; 3],
    bounds: Bounds,
}

impl<T: Queued> Queue<T> {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            by_priority: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
            bounds,
        }
    }

    pub fn len(&self) -> usize {
        self.by_priority.iter().map(VecDeque::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.by_priority.iter().all(VecDeque::is_empty)
    }

    /// Gives the call back when there is no room.
    pub fn push(&mut self, call: T) -> Result<(), T> {
        if self.len() >= self.bounds.calls {
            return Err(call);
        }
        self.by_priority[call.priority() as usize].push_back(call);
        Ok(())
    }

    /// Puts calls that were queued before in front of the others of their priority, in the order given.
    pub fn push_front(&mut self, calls: Vec<T>) {
        for call in calls.into_iter().rev() {
            self.by_priority[call.priority() as usize].push_front(call);
        }
    }

    /// Drops the calls that were cancelled or whose deadline has passed. Returns how many were cancelled in time.
    pub fn purge(&mut self, now: Instant) -> usize {
        let mut cancelled = 0;
        for calls in &mut self.by_priority {
            calls.retain(|call| {
                let (gone, late) = (call.is_cancelled(), is_late(call, now));
                cancelled += usize::from(gone && !late);
                !gone && !late
            });
        }
        cancelled
    }

    /// The batch that is due.
    pub fn next(&mut self, now: Instant) -> Next<T> {
        let Some(first) = self.by_priority.iter().find_map(VecDeque::front) else {
            return Next::Nothing;
        };
        let alone = !first.compatible_with(first);
        let due = first.queued_at() + self.bounds.delay;
        if due > now && !alone && !self.has_full_batch(first) {
            return Next::At(due);
        }
        let (batch, full) = self.take();
        let trigger = if full || alone {
            Trigger::Full
        } else if self.bounds.delay.is_zero() {
            Trigger::Idle
        } else {
            Trigger::Delay
        };
        Next::Batch(batch, trigger)
    }

    /// Whether the calls compatible with the first one fill a batch.
    fn has_full_batch(&self, first: &T) -> bool {
        let compatible = |call: &&T| first.compatible_with(call);
        let calls = self.by_priority.iter().flatten().filter(compatible);
        calls.map(T::rows).sum::<usize>() >= self.bounds.rows
    }

    /// Takes the first call and all that are compatible with it, and says whether they fill a batch.
    fn take(&mut self) -> (Vec<T>, bool) {
        let most = self.bounds.rows;
        let mut batch: Vec<T> = Vec::new();
        let mut rows = 0;
        for calls in &mut self.by_priority {
            // Calls after one that did not fit wait too, or a large call could wait for ever.
            let mut full = false;
            let mut rest = VecDeque::with_capacity(calls.len());
            for call in calls.drain(..) {
                let joins = batch
                    .first()
                    .is_none_or(|first| first.compatible_with(&call));
                full = full || joins && !batch.is_empty() && rows + call.rows() > most;
                if joins && !full {
                    rows += call.rows();
                    batch.push(call);
                } else {
                    rest.push_back(call);
                }
            }
            *calls = rest;
            if full {
                return (batch, true);
            }
        }
        (batch, rows >= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Item {
        name: &'static str,
        /// Calls of one kind are compatible; none is compatible with nothing.
        kind: Option<u8>,
        rows: usize,
        priority: Priority,
        queued_at: Instant,
        deadline: Option<Instant>,
        cancelled: bool,
    }

    impl Queued for Item {
        fn compatible_with(&self, other: &Self) -> bool {
            self.kind.is_some() && self.kind == other.kind
        }
        fn rows(&self) -> usize {
            self.rows
        }
        fn priority(&self) -> Priority {
            self.priority
        }
        fn queued_at(&self) -> Instant {
            self.queued_at
        }
        fn deadline(&self) -> Option<Instant> {
            self.deadline
        }
        fn is_cancelled(&self) -> bool {
            self.cancelled
        }
    }

    fn item(name: &'static str, kind: u8, rows: usize, since: Instant) -> Item {
        Item {
            name,
            kind: Some(kind),
            rows,
            priority: Priority::Normal,
            queued_at: since,
            deadline: None,
            cancelled: false,
        }
    }

    fn queue(calls: usize, rows: usize, delay_ms: u64) -> Queue<Item> {
        Queue::new(Bounds {
            calls,
            rows,
            delay: Duration::from_millis(delay_ms),
        })
    }

    fn fill(queue: &mut Queue<Item>, calls: impl IntoIterator<Item = Item>) {
        for call in calls {
            assert_eq!(queue.push(call), Ok(()));
        }
    }

    fn names(next: Next<Item>) -> (Vec<&'static str>, Option<Trigger>) {
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
            [("a", 1), ("b", 2), ("c", 1), ("d", 2)].map(|(n, k)| item(n, k, 1, now)),
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
        let mut alone = item("a", 0, 1, now);
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
        fill(&mut queue, calls.map(|(n, rows)| item(n, 1, rows, now)));
        assert_eq!(names(queue.next(now)), (vec!["a"], Some(Trigger::Full)));
        // Five rows of eight: these may wait for more.
        assert_eq!(queue.next(now), Next::At(now + Duration::from_secs(1)));
        fill(&mut queue, [item("huge", 2, 100, now)]);
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
        let of = |name, kind, priority| Item {
            priority,
            ..item(name, kind, 1, now)
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
        let late = Item {
            deadline: Some(now),
            ..item("late", 1, 1, now)
        };
        let gone = Item {
            cancelled: true,
            ..item("gone", 1, 1, now)
        };
        fill(&mut queue, [late, gone]);
        let third = item("third", 1, 1, now);
        assert_eq!(queue.push(third.clone()), Err(third.clone()));
        assert_eq!(queue.purge(now), 1, "the other one is told that it is late");
        fill(&mut queue, [third]);
        assert_eq!(queue.purge(now), 0);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn what_waited_for_its_model_comes_first() {
        let now = Instant::now();
        let mut queue = queue(2, 1, 0);
        fill(&mut queue, [item("c", 1, 1, now)]);
        queue.push_front(vec![item("a", 1, 1, now), item("b", 1, 1, now)]);
        for name in ["a", "b", "c"] {
            assert_eq!(names(queue.next(now)).0, vec![name]);
        }
    }
}
