//! Bytes that may be held at once for what clients send and what they are answered, over all requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Bytes;

/// What is smaller is not counted: there is a bound on connections.
pub const SMALL: usize = 64 << 10;

/// A handle. Answers that are read slowly, or not at all, hold what they take until they are sent.
#[derive(Debug, Clone)]
pub struct Allowance(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    most: usize,
    held: AtomicUsize,
}

impl Allowance {
    pub fn new(most: usize) -> Self {
        let held = AtomicUsize::new(0);
        Self(Arc::new(Taken { most, held }))
    }

    /// Waits for room, as who answers piece by piece can; none where there is none for a minute.
    pub async fn wait(&self, bytes: usize) -> Option<Held> {
        for _ in 0..600 {
            if let Some(held) = self.hold(bytes.min(self.0.most)) {
                return Some(held);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        None
    }

    /// None where there is no room for so many.
    pub fn hold(&self, bytes: usize) -> Option<Held> {
        let mut held = Held::default();
        held.is_now(self, bytes).then_some(held)
    }
}

/// Bytes that are held until this is dropped.
#[derive(Debug, Default)]
pub struct Held(Option<(Allowance, usize)>);

impl Held {
    /// Whether there is room for so many in place of those held before.
    pub fn is_now(&mut self, allowance: &Allowance, bytes: usize) -> bool {
        let before = self.bytes();
        if bytes <= before.max(SMALL) {
            return true;
        }
        let more = bytes - before;
        let others = allowance.0.held.fetch_add(more, Ordering::Relaxed);
        let there = others.saturating_add(more) <= allowance.0.most;
        if there {
            match &mut self.0 {
                Some((_, held)) => *held = bytes,
                none => *none = Some((allowance.clone(), bytes)),
            }
        } else {
            allowance.0.held.fetch_sub(more, Ordering::Relaxed);
        }
        there
    }

    /// Bytes that are held until the last of them is sent.
    pub fn with(self, bytes: Vec<u8>) -> Bytes {
        match self.0 {
            None => bytes.into(),
            Some(_) => Bytes::from_owner(Sent { bytes, _held: self }),
        }
    }

    fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |(_, bytes)| *bytes)
    }
}

struct Sent {
    bytes: Vec<u8>,
    _held: Held,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((allowance, bytes)) = &self.0 {
            allowance.0.held.fetch_sub(*bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_leaves_no_allowance_for_others_until_it_is_dropped() {
        let allowance = Allowance::new(10 * SMALL);
        let mut first = allowance.hold(4 * SMALL).expect("room");
        assert!(first.is_now(&allowance, 6 * SMALL));
        assert!(first.is_now(&allowance, SMALL), "less than it has");
        assert!(allowance.hold(5 * SMALL).is_none());
        let second = allowance.hold(4 * SMALL).expect("room");
        assert!(!first.is_now(&allowance, 7 * SMALL));
        drop(second);
        assert!(first.is_now(&allowance, 10 * SMALL));
        let sent = first.with(vec![7; 3]);
        assert!(allowance.hold(2 * SMALL).is_none(), "not sent yet");
        assert_eq!(sent, [7; 3].as_slice());
        drop(sent);
        let first = allowance.hold(10 * SMALL).expect("room");
        let small: Vec<Held> = (0..50).filter_map(|_| allowance.hold(SMALL)).collect();
        assert_eq!(small.len(), 50, "small ones always find room");
        drop(first);
        assert!(allowance.hold(11 * SMALL).is_none());
        assert!(allowance.hold(10 * SMALL).is_some());
    }
}
