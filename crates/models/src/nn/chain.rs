//! The steps of chains that may be long, which end early once nobody waits for the answer.
//!
//! A Gibbs chain of a thousand steps takes seconds, one of a hundred thousand minutes. Whoever asked for it may
//! have left by then, and what is computed for nobody keeps others waiting.

use std::cell::RefCell;
use std::panic::resume_unwind;

use super::model::BadOption;

/// Steps of a chain, at most.
pub const MOST_STEPS: u32 = 100_000;
/// Of Gibbs chains that generate, where nothing is said.
pub const USUAL_STEPS: u32 = 1000;
/// Rounds of filling in what is missing, where nothing is said.
pub const USUAL_ROUNDS: u32 = 100;

type Question = Box<dyn Fn() -> bool>;

thread_local! {
    static WANTED: RefCell<Option<Question>> = const { RefCell::new(None) };
}

/// What is thrown, as a panic that prints nothing, out of a chain that nobody waits for.
pub struct GivenUp;

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

/// `0..count`, where each step begins only while the answer is wanted; outside of [`while_wanted`] it is.
///
/// # Panics
/// With [`GivenUp`], once it is not.
pub fn steps(count: u32) -> impl Iterator<Item = u32> {
    (0..count).inspect(|_| go_on())
}

fn go_on() {
    let wanted = WANTED.with_borrow(|question| question.as_ref().is_none_or(|wanted| wanted()));
    if !wanted {
        resume_unwind(Box::new(GivenUp));
    }
}

/// Does `work`, whose chains on this thread ask `wanted` before each step. Whoever calls this catches [`GivenUp`].
pub fn while_wanted<T>(wanted: impl Fn() -> bool + 'static, work: impl FnOnce() -> T) -> T {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            WANTED.set(None);
        }
    }
    WANTED.set(Some(Box::new(wanted)));
    let _reset = Reset;
    work()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_chain_ends_when_nobody_waits_and_the_next_one_does_not() {
        let left = Rc::new(Cell::new(3));
        let asked = Rc::clone(&left);
        let wanted = move || {
            asked.set(asked.get() - 1);
            asked.get() >= 0
        };
        let mut done = 0;
        let thrown = catch_unwind(AssertUnwindSafe(|| {
            while_wanted(wanted, || steps(100).for_each(|_| done += 1));
        }))
        .expect_err("it is given up");
        assert!(thrown.is::<GivenUp>());
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
