//! Stepping through a chain, with a check for cancellation.

use super::cancellation;

/// Of Gibbs chains that generate, where nothing is said.
pub const USUAL_STEPS: u32 = 1000;

/// `0..count`; each step begins with a check for cancellation.
pub fn steps(count: u32) -> impl Iterator<Item = u32> {
    (0..count).inspect(|_| cancellation::check())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    use super::super::cancellation::{CancellationToken, Cancelled};
    use super::*;

    #[test]
    fn a_chain_ends_when_nobody_waits_and_the_next_one_does_not() {
        let left = Rc::new(Cell::new(3));
        let asked = Rc::clone(&left);
        let token = CancellationToken::new(move || {
            asked.set(asked.get() - 1);
            asked.get() < 0
        });
        let mut done = 0;
        let thrown = catch_unwind(AssertUnwindSafe(|| {
            token.scope(|| steps(100).for_each(|_| done += 1));
        }))
        .expect_err("it is cancelled");
        assert!(thrown.is::<Cancelled>());
        assert_eq!(done, 3);
        assert_eq!(steps(100).count(), 100);
    }
}
