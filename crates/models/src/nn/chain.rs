//! How many steps a chain may have, and stepping through it with a check for cancellation.

use super::cancellation;
use super::model::BadOption;

/// Steps of a chain, at most.
pub const MOST_STEPS: u32 = 100_000;
/// Of Gibbs chains that generate, where nothing is said.
pub const USUAL_STEPS: u32 = 1000;
/// Rounds of filling in what is missing, where nothing is said.
pub const USUAL_ROUNDS: u32 = 100;

/// The steps asked for, or the family's `default`.
pub fn checked_steps(steps: Option<u32>, default: u32) -> Result<u32, BadOption> {
    let steps = steps.unwrap_or(default);
    if steps > MOST_STEPS {
        let rule = format!("must be at most {MOST_STEPS}, got {steps}");
        return Err(BadOption::new("gibbs_steps", rule));
    }
    Ok(steps)
}

/// The same where none at all would be no answer.
pub fn checked_rounds(rounds: Option<u32>) -> Result<u32, BadOption> {
    let rounds = rounds.unwrap_or(USUAL_ROUNDS);
    if !(1..=MOST_STEPS).contains(&rounds) {
        let rule = format!("must be between 1 and {MOST_STEPS}, got {rounds}");
        return Err(BadOption::new("gibbs_steps", rule));
    }
    Ok(rounds)
}

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

    #[test]
    fn steps_have_a_limit() {
        assert_eq!(checked_steps(None, 7).ok(), Some(7));
        assert_eq!(checked_steps(Some(0), 7).ok(), Some(0));
        assert!(checked_steps(Some(MOST_STEPS + 1), 7).is_err());
        assert!(checked_rounds(Some(0)).is_err());
        assert_eq!(checked_rounds(None).ok(), Some(USUAL_ROUNDS));
    }
}
