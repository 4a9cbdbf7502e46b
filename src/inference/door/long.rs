//! The line of long calls, that a thread of their own answers.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::{Door, Line, full, lock, sleep};
use crate::inference::engine::Order;
use crate::inference::queue::{Bounds, Next, Priority, Trigger, Waiting};
use crate::inference::resident::Resident;

/// A call for the thread for long ones. By its turn the model may have been dropped to make room.
pub(in crate::inference) struct Handed {
    pub order: Order,
    pub resident: Weak<Resident>,
    /// Of a call that has a place among those in hand.
    pub place: Option<LongPlace>,
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

/// A place among those in hand that a long call has, counted until this is dropped.
pub(in crate::inference) struct LongPlace(Arc<Door>);

impl Drop for LongPlace {
    fn drop(&mut self) {
        self.0.in_hand_long.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Of the line, in a queue of these bounds. Long calls may take half of what may wait, so that quick ones find room.
pub(super) fn bounds_of(queue: Bounds) -> Bounds {
    Bounds {
        calls: queue.calls.div_ceil(2),
        ..queue
    }
}

impl Door {
    /// Long calls, whether they wait or are computed.
    pub fn long(&self) -> usize {
        let mut inside = lock(&self.inside);
        inside.drop_dead();
        inside.long.len() + self.computing[Line::Long as usize].load(Ordering::Relaxed)
    }

    /// Long calls whose model was dropped before their turn; they wait for it again, and are next when it is there.
    pub fn send_back(&self, mut orders: Vec<Order>) {
        for order in &mut orders {
            order.sent_back = true;
        }
        lock(&self.inside).queue.put_back(orders);
        self.knock.notify_one();
    }

    /// For the thread for long calls.
    pub fn hand_over(self: &Arc<Self>, orders: Vec<Order>, resident: &Arc<Resident>) {
        let (mut returned, mut refused) = (Vec::new(), Vec::new());
        let mut inside = lock(&self.inside);
        if inside.closed {
            // Dropped unanswered, which tells them; not under the lock, see `close`.
            drop(inside);
            return;
        }
        inside.drop_dead();
        for order in orders {
            let place = order.in_hand.then(|| {
                self.in_hand_long.fetch_add(1, Ordering::Relaxed);
                LongPlace(Arc::clone(self))
            });
            let handed = Handed {
                resident: Arc::downgrade(resident),
                place,
                order,
            };
            if handed.order.sent_back {
                returned.push(handed);
            } else if let Err(handed) = inside.long.push(handed) {
                refused.push((handed, inside.long.len()));
            }
        }
        inside.long.put_back(returned);
        // None is shorter than the one under way has been so far.
        let so_far = inside.long_since.map(|since| since.elapsed());
        drop(inside);
        self.knock_for_long.notify_one();
        let pace = self.pace(Line::Long).max(so_far.unwrap_or_default());
        for (handed, waiting) in refused {
            let _ = handed.order.answer.send(Err(full(waiting, pace)));
        }
    }

    /// Blocks until there is a long batch; none at the end.
    pub fn wait_for_long(&self) -> Option<(Vec<Handed>, Trigger)> {
        let mut inside = lock(&self.inside);
        loop {
            if inside.closed {
                return None;
            }
            let now = inside.drop_dead();
            inside = match inside.long.next(now) {
                Next::Batch(batch, trigger) => return Some((batch, trigger)),
                Next::At(due) => sleep(&self.knock_for_long, inside, Some(due - now)),
                Next::Nothing => sleep(&self.knock_for_long, inside, None),
            };
        }
    }
}
